/* SPDX-License-Identifier: MIT */
/*
 * The two 8259A interrupt controllers of a PC, the second on IR2 of the first: ports 0x20, 0xa0, and the registers at 0x4d0
 * that say which lines are level-triggered (ELCR). No lock: one access, line change or acknowledge at a time.
 */
#ifndef VMM_VPIC_H
#define VMM_VPIC_H

#include <vmm/bus.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VPIC_MASTER_PORT 0x20
#define VPIC_SLAVE_PORT  0xa0
#define VPIC_ELCR_PORT   0x4d0
#define VPIC_PORTS       2 /* at each of them */
#define VPIC_IRQS        16
#define VPIC_CASCADE     2 /* the master's IR that is the slave's INT */

struct vpic;

/* A bit for each IR where nothing else is said. */
struct vpic_chip {
	u8 lines;    /* inputs as they are; IR2 of the master: the slave's INT */
	u8 edges;    /* rising edges not acknowledged yet, of inputs that are still high */
	u8 elcr;     /* level-triggered ones, as the guest chose */
	u8 isr;      /* in service */
	u8 imr;      /* masked */
	u8 vector;   /* of IR0 */
	u8 lowest;   /* the IR of lowest priority; the next one has the highest */
	u8 icw;      /* initialization command word that is to come: 2-4, or 0 */
	bool ready;  /* initialised: nothing is delivered before */
	bool single; /* ICW1: no cascade, no ICW3 */
	bool icw4_follows;
	bool auto_eoi;
	bool rotate_auto; /* rotate in automatic EOI mode */
	bool fully_nested_special;
	bool special_mask;
	bool poll;     /* the next read is a poll */
	bool read_isr; /* or of the ISR, not the IRR */
	struct vpic *pic;
};

struct vpic {
	struct vpic_chip chip[2]; /* master, slave */
	struct irq_line out;      /* INT of the master */
	bool int_level;           /* as `out` was told last */
};

/* out: told of each change, low to begin with. */
void vpic_init(struct vpic *pic, const struct irq_line *out);
/* As after power-up: masks, modes and ELCR are gone, nothing is delivered before ICW1. The lines stay the devices' own. */
void vpic_reset(struct vpic *pic);
/* For struct irq_line: ctx = struct vpic. IRQ 2 and those from 16 on do not exist: ignored. */
void vpic_set_irq(void *vpic, unsigned irq, bool level);
/*
 * The INTA cycle: the vector of the interrupt that is taken now. With none to take it is a spurious one, IR7 of the chip
 * that was asked, which that chip does not put in service.
 */
int vpic_ack(struct vpic *pic) must_check;

extern const struct bus_ops vpic_bus_ops;      /* dev = &pic->chip[n], two ports */
extern const struct bus_ops vpic_elcr_bus_ops; /* dev = struct vpic, two ports */

#endif
