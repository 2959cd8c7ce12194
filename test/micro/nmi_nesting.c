/* SPDX-License-Identifier: MIT */
/*
 * NMIs are blocked from the delivery of one to the next IRET, whosever it is: exits of all kinds, a software interrupt still in its handler, and a HLT
 * do not unblock them; the IRET of an interrupt that has ended the HLT does. SDM vol. 3 "Handling Multiple NMIs".
 */
#include "micro.h"

static volatile unsigned nmis, in_soft, after_soft, woken, in_interrupt;

static void self_nmi(void)
{
	apic_icr(0, 0x400);
}

static void soft(struct frame *f)
{
	u32 r[4];

	(void)f;
	cpuid_count(0, 0, r);
	in_soft = nmis;
}

static void interrupt(struct frame *f)
{
	(void)f;
	apic_eoi();
	woken++;
	in_interrupt = nmis;
}

static void exits(void)
{
	u32 r[4];

	cpuid_count(0, 0, r);
	outb(UART + 7, 3);
	(void)inb(UART + 7);
	(void)rdmsr(MSR_APIC_BASE);
	(void)read32(LAPIC + APIC_VERSION);
	(void)hypercall(0x48569999, 1, 2, 3);
	__asm__ volatile("outsb" : : "S"(&r), "d"(UART + 7) : "memory");
}

static volatile unsigned scene;

static void nmi(struct frame *f)
{
	(void)f;
	if (++nmis != 1)
		return;
	self_nmi();
	exits();
	check_equal("NMIs in the handler, after exits", nmis, 1);
	if (scene == 0) {
		__asm__ volatile("int $0x90");
		check_equal("NMIs in a software interrupt's handler", in_soft, 1);
		after_soft = nmis;
	} else {
		apic_icr(0, 0x40000 | 0x60);
		/* The NMI does not end the HLT, the interrupt does. */
		sti_hlt_cli();
		check_equal("interrupts that ended the HLT", woken, 1);
		check_equal("NMIs before the interrupt's IRET", in_interrupt, 1);
		after_soft = nmis;
	}
}

void test(void)
{
	trap_handlers[VEC_NMI] = nmi;
	trap_handlers[0x90] = soft;
	trap_handlers[0x60] = interrupt;
	apic_enable();
	for (scene = 0; scene < 2; scene++) {
		nmis = 0;
		self_nmi();
		__asm__ volatile("nop; nop");
		check_equal("NMIs after an IRET in the handler", after_soft, 2);
		check_equal("NMIs of two", nmis, 2);
	}
}
