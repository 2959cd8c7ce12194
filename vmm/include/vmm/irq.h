/* SPDX-License-Identifier: MIT */
/*
 * Interrupts as devices and interrupt controllers see them: a line that is raised or lowered, and a
 * message that an I/O APIC (or MSI, or an IPI) sends to local APICs.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <vmm/types.h>

/* A device's interrupt pin. Level: set(1) asserts until set(0). Edge users pulse it. */
struct irq_line {
	void (*set)(void *ctx, unsigned pin, bool level);
	void *ctx;
	unsigned pin; /* global system interrupt number */
};

static inline void irq_line_set(const struct irq_line *l, bool level)
{
	if (l->set)
		l->set(l->ctx, l->pin, level);
}

/* Delivery modes, the encoding of the SDM's "Interrupt Command Register" and I/O APIC redirection entries. */
enum apic_mode {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_STARTUP = 6,
	APIC_EXTINT = 7,
};

struct apic_msg {
	u32 dest; /* APIC ID or logical destination; xAPIC: 8 bits (0xff = all), x2APIC: 32 bits (~0 = all) */
	bool logical;
	u8 mode; /* enum apic_mode */
	u8 vector;
	bool level; /* trigger mode of the interrupt (for TMR), or INIT level */
};

#endif
