/* SPDX-License-Identifier: MIT */
/*
 * An interrupt waits while the guest, its interrupts off, exits and exits: then the timer still runs, and the interrupts go on
 * coming once they are on. Each entry asks for a window then, and this is when QEMU may forget an interrupt of the host's.
 */
#include "micro.h"

#define VECTOR 0x50
#define PERIOD 1000000 /* of 1 ns */
#define ROUNDS 100
#define EXITS  4000 /* of some microseconds in an emulator: several periods */

static volatile unsigned ticks;

static void on_tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

void test(void)
{
	trap_handlers[VECTOR] = on_tick;
	apic_write(APIC_SVR, 0x1ff);
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_PERIODIC);
	for (unsigned round = 0; round < ROUNDS; round++) {
		ticks = 0;
		apic_write(APIC_TIMER_COUNT, PERIOD);
		for (unsigned i = 0; i < EXITS; i++)
			(void)inb(0x3fd);
		check(wait_for(&ticks, 5, 2000000),
		      "round %u: %u interrupts of the timer in 2 seconds", round, ticks);
		apic_write(APIC_TIMER_COUNT, 0);
	}
}
