/* SPDX-License-Identifier: MIT */
/* A 16550A: eight ports, FIFOs, interrupts by the identification register's priorities. TI PC16550D data sheet. */
#ifndef VMM_VUART_H
#define VMM_VUART_H

#include <vmm/bus.h>
#include <vmm/chardev.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VUART_PORTS 8
#define VUART_FIFO  16

struct vuart {
	u8 ier, fcr, lcr, mcr, scr, dll, dlm;
	u8 lsr_errors;     /* overrun, cleared by a read of LSR */
	bool thre_pending; /* THR-empty interrupt not yet taken */
	u8 msr_delta, msr_lines;
	u8 rx[VUART_FIFO];
	u8 rx_head, rx_count;
	struct chardev far;
	struct irq_line irq;
	bool irq_level;
};

void vuart_init(struct vuart *u, const struct chardev *far, const struct irq_line *irq);
void vuart_reset(struct vuart *u);
extern const struct bus_ops vuart_bus_ops; /* dev = struct vuart */
/*
 * The far end has input: pulls what there is room for and raises the interrupt. Reads of RBR, and what else makes room,
 * pull again by themselves.
 */
void vuart_poll(struct vuart *u);

#endif
