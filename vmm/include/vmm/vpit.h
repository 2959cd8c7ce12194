/* SPDX-License-Identifier: MIT */
/*
 * 8254 interval timer: ports 0x40-0x43, IRQ 0 from counter 0, and port 0x61 of a PC, which has the gate and the output of
 * counter 2. No lock: one access or clock_run() at a time.
 */
#ifndef VMM_VPIT_H
#define VMM_VPIT_H

#include <vmm/bus.h>
#include <vmm/clock.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VPIT_PORT     0x40
#define VPIT_PORTS    4
#define VPIT_PORT61   0x61
#define VPIT_COUNTERS 3
#define VPIT_HZ       1193182

/*
 * Periodic interrupts come no faster than this, those between are merged into one: a guest that asks for one every 2 us
 * cannot have the host do nothing else. Below the 61 us of what software does ask for at most, sound by samples at 16 kHz;
 * a twentieth of a kernel's shortest tick (1000 Hz).
 */
#define VPIT_MIN_PERIOD_NS 50000

/* Moments are in cycles of the 1.19 MHz clock since clock tick 0, counts in 1-65536 (BCD: 1-10000). */
struct vpit_counter {
	u8 control;      /* bits 5-0 of its control word */
	bool gate;       /* input */
	u8 low;          /* first byte of a count in two */
	bool write_high; /* it is written, the other is to come */
	bool read_high;  /* the second byte is read next */
	bool count_latched;
	bool status_latched;
	u8 status;       /* latched */
	u16 latch;       /* latched count */
	u16 count;       /* count register, as written */
	bool written;    /* `count` is a whole one, written since the control word */
	bool null_count; /* `count` is not what is being counted */
	bool loaded;     /* `from` is counted down; false: it stands still at `stopped_at` */
	u16 stopped_at;  /* as read */
	u32 from;        /* the count that was loaded */
	u64 start;       /* when it was */
	bool held;       /* gate is low: counting stands at `elapsed` cycles (modes 0 and 4) */
	u64 elapsed;
	u64 load_at; /* when `count` is to be loaded; ~0: not now */
};

struct vpit {
	struct vpit_counter counter[VPIT_COUNTERS];
	u8 port61;          /* bits 3-0 */
	struct timer timer; /* queued only while IRQ 0 is to come */
	u64 now;            /* cycles, as looked at last */
	u64 earliest;       /* clock tick before which there is no periodic interrupt */
	struct clock *clock;
	struct irq_line irq;
	bool irq_level;
};

/* irq: told of each change, low to begin with. */
void vpit_init(struct vpit *pit, struct clock *clock, const struct irq_line *irq);
void vpit_reset(struct vpit *pit);               /* nothing counts, the line is low */
extern const struct bus_ops vpit_bus_ops;        /* dev = struct vpit, four ports */
extern const struct bus_ops vpit_port61_bus_ops; /* dev = struct vpit, one port */

#endif
