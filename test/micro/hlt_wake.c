/* SPDX-License-Identifier: MIT */
/*
 * HLT sleeps until an interrupt wakes it and goes on behind the HLT: by the local APIC's timer, and
 * not by an interrupt below the task priority; an interrupt that arrived between STI and HLT is not lost.
 *
 * CLOCK: instructions
 */
#include "micro.h"

static volatile unsigned ticks;

static void tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

void test(void)
{
	unsigned i;

	trap_handlers[0x40] = tick;
	apic_enable();
	apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, 0x40);
	for (i = 1; i <= 20; i++) {
		apic_write(APIC_TIMER_COUNT, 200000);
		sti_hlt_cli();
		check_equal("ticks after HLT", ticks, i);
	}
	/* Pending already: HLT falls through. */
	apic_icr(0, 0x40000 | 0x40);
	sti_hlt_cli();
	check_equal("ticks after a pending interrupt", ticks, 21);
	/* A masked source does not end it: only the second timer's interrupt does. */
	apic_icr(0, 0x40000 | 0x40);
	apic_write(APIC_TPR, 0x50);
	trap_handlers[0x60] = tick;
	apic_write(APIC_LVT_TIMER, 0x60);
	apic_write(APIC_TIMER_COUNT, 200000);
	sti_hlt_cli();
	check_equal("ticks above the task priority", ticks, 22);
	check(apic_bit(APIC_IRR, 0x40), "the interrupt below the task priority is gone");
	apic_write(APIC_TPR, 0);
	sti_nop_cli();
	check_equal("ticks after the task priority went down", ticks, 23);
}
