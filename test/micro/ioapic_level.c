/* SPDX-License-Identifier: MIT */
/*
 * A level-triggered interrupt that comes while the local APIC is software-disabled is not lost: no remote IRR is left waiting for an
 * EOI, and it is delivered once the APIC is enabled. Intel 82093AA data sheet "Remote IRR".
 */
#include "micro.h"

#define VECTOR     0x61
#define LEVEL      BIT(15)
#define REMOTE_IRR BIT(14)
#define REDIR_UART (0x10 + 2 * 4)
#define SVR        0xf0

static volatile unsigned hits;

static void irq(struct frame *f)
{
	(void)f;
	hits++;
	outb(UART + 1, 0); /* no more interrupts */
	apic_eoi();
}

void test(void)
{
	trap_handlers[VECTOR] = irq;
	apic_enable();
	apic_write(SVR, 0xff);
	ioapic_write(REDIR_UART + 1, 0);
	ioapic_write(REDIR_UART, VECTOR | LEVEL);
	outb(UART + 4, 8); /* OUT2 */
	outb(UART + 1, 2); /* transmitter empty: pending at once */
	check_equal("remote IRR while the local APIC is disabled",
		    ioapic_read(REDIR_UART) & REMOTE_IRR, 0);
	apic_write(SVR, 0x1ff);
	sti();
	for (unsigned i = 0; i < 100000 && !hits; i++)
		(void)inb(UART + 7);
	cli();
	check(hits == 1, "it came %u times", hits);
	check_equal("remote IRR after the EOI", ioapic_read(REDIR_UART) & REMOTE_IRR, 0);
}
