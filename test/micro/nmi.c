/* SPDX-License-Identifier: MIT */
/*
 * NMIs to oneself: delivered with interrupts off; blocked until the handler's IRET, one of them kept; IRET inside the handler for
 * another exception unblocks as on a CPU. SDM vol. 3 "Handling Multiple NMIs".
 */
#include "micro.h"

static volatile unsigned nmis, depth, depth_max, faults;
static volatile bool again, fault_inside;

static void self_nmi(void)
{
	apic_icr(0, 0x400); /* physical destination 0, NMI */
}

static void nmi(struct frame *f)
{
	u32 r[4];

	(void)f;
	nmis++;
	depth++;
	if (depth > depth_max)
		depth_max = depth;
	if (again && nmis == 1) {
		self_nmi();
		self_nmi();           /* the two are one */
		cpuid_count(0, 0, r); /* exits do not unblock */
		outb(UART + 7, 1);
		check_equal("NMIs inside the first", nmis, 1);
	}
	if (fault_inside && nmis == 1) {
		self_nmi();
		faults = TRY("ud2", : : : "memory") == VEC_UD; /* its IRET ends the blocking */
		check_equal("NMIs behind the IRET of an inner exception", nmis, 2);
	}
	depth--;
}

void test(void)
{
	unsigned i;

	trap_handlers[VEC_NMI] = nmi;
	apic_enable();
	for (i = 1; i <= 100; i++) {
		self_nmi();
		__asm__ volatile("nop; nop");
		check_equal("NMIs", nmis, i);
	}
	nmis = 0;
	again = true;
	self_nmi();
	__asm__ volatile("nop; nop; nop");
	check_equal("NMIs of three", nmis, 2);
	check_equal("NMIs at a time", depth_max, 1);
	again = false;
	fault_inside = true;
	nmis = 0;
	self_nmi();
	__asm__ volatile("nop; nop; nop");
	check_equal("exceptions inside an NMI", faults, 1);
	check_equal("NMIs of two", nmis, 2);
	/* By the I/O APIC's pin of the UART, too. */
	fault_inside = false;
	nmis = 0;
	ioapic_route(4, 0x400);
	outb(UART + 4, 0xb);
	outb(UART + 1, 2);
	delay_us(10);
	outb(UART + 1, 0);
	ioapic_route(4, APIC_LVT_MASKED);
	check_equal("NMIs by pin 4", nmis, 1);
}
