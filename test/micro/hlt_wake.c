/* SPDX-License-Identifier: MIT */
/*
 * HLT sleeps until an interrupt wakes it and goes on behind the HLT: by the local APIC's timer, by an NMI with interrupts off, and
 * not by a masked interrupt; an interrupt that arrived between STI and HLT is not lost.
 */
#include "micro.h"

static volatile unsigned ticks, nmis;

static void tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

static void nmi(struct frame *f)
{
	(void)f;
	nmis++;
}

void test(void)
{
	unsigned i;

	trap_handlers[0x40] = tick;
	trap_handlers[VEC_NMI] = nmi;
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
	/* Interrupts off: the timer does not wake it, the NMI does. The timer's interrupt is there afterwards. */
	apic_write(APIC_TIMER_COUNT, 1);
	delay_us(2000);
	apic_icr(0, 0x400);
	hlt();
	check_equal("NMIs", nmis, 1);
	check_equal("ticks with interrupts off", ticks, 21);
	sti_nop_cli();
	check_equal("ticks with interrupts on", ticks, 22);
}
