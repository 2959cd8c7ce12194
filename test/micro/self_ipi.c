/* SPDX-License-Identifier: MIT */
/*
 * Interprocessor interrupts to oneself by all addresses, in xAPIC and x2APIC mode: IRR, ISR, priorities, TPR and CR8, EOI. SDM vol. 3
 * "Issuing Interprocessor Interrupts", "Task and Processor Priorities".
 */
#include "micro.h"

static volatile unsigned count[256], order[8], taken;

static void arrived(struct frame *f)
{
	count[f->vector]++;
	if (taken < ARRAY_SIZE(order))
		order[taken++] = (unsigned)f->vector;
	if (!apic_bit(APIC_ISR, (unsigned)f->vector))
		fail("vector 0x%x is handled, but not in ISR", (unsigned)f->vector);
	apic_eoi();
}

static void clear(void)
{
	memory_set((void *)count, 0, sizeof(count));
	taken = 0;
}

static void address(const char *how, u32 dest, u32 low)
{
	clear();
	apic_icr(dest, low | 0x50);
	sti_nop_cli();
	check(count[0x50] == 1, "%s: %u interrupts", how, count[0x50]);
}

static void pending_in_irr(void)
{
	clear();
	apic_icr(0, 0x40000 | 0x51);
	check(apic_bit(APIC_IRR, 0x51), "IRR is clear with interrupts off");
	apic_icr(0, 0x40000 | 0x51); /* one stays one */
	sti_nop_cli();
	check_equal("interrupts", count[0x51], 1);
	check(!apic_bit(APIC_IRR, 0x51) && !apic_bit(APIC_ISR, 0x51),
	      "IRR or ISR is set after EOI");
}

static void priorities(void)
{
	clear();
	apic_icr(0, 0x40000 | 0x52);
	apic_icr(0, 0x40000 | 0x92);
	apic_icr(0, 0x40000 | 0x72);
	sti();
	__asm__ volatile("nop; nop; nop; nop");
	cli();
	check(taken == 3 && order[0] == 0x92 && order[1] == 0x72 && order[2] == 0x52,
	      "taken %u: 0x%x 0x%x 0x%x", taken, order[0], order[1], order[2]);
}

static void task_priority(void)
{
	clear();
	apic_write(APIC_TPR, 0x60);
	check_equal("CR8 for TPR 0x60", read_cr8(), 6);
	apic_icr(0, 0x40000 | 0x5f);
	apic_icr(0, 0x40000 | 0x6f);
	apic_icr(0, 0x40000 | 0x70);
	sti();
	__asm__ volatile("nop; nop; nop");
	cli();
	check(count[0x70] == 1 && !count[0x6f] && !count[0x5f], "TPR 0x60 let 0x%x through",
	      order[0]);
	write_cr8(5);
	check_equal("TPR for CR8 = 5", apic_read(APIC_TPR), 0x50);
	sti();
	__asm__ volatile("nop; nop; nop");
	cli();
	check(count[0x6f] == 1 && !count[0x5f], "CR8 = 5 let the wrong one through");
	write_cr8(0);
	sti();
	__asm__ volatile("nop; nop; nop");
	cli();
	check_equal("the last one", count[0x5f], 1);
	check(TRY("mov %0, %%cr8", : : "r"(16ULL) : "memory") == VEC_GP, "CR8 = 16 does not fault");
}

static void all(void)
{
	address("self", 0, 0x40000);
	address("all including self", 0, 0x80000);
	address("physical", apic_read(APIC_ID) >> 24, 0);
	pending_in_irr();
	priorities();
	task_priority();
	clear();
	apic_icr(0, 0xc0000 | 0x50); /* all but self: nobody */
	sti_nop_cli();
	check_equal("all but self", count[0x50], 0);
}

void test(void)
{
	unsigned v;
	u32 r[4];

	for (v = 0x30; v < 0xff; v++)
		if (v != 0x80)
			trap_handlers[v] = arrived;
	apic_enable();
	check_equal("logical destination after reset", apic_read(APIC_LDR), 0);
	apic_write(APIC_LDR, 2 << 24);
	apic_write(APIC_DFR, ~0u);
	all();
	address("logical, flat", 2, 0x800);
	address("physical broadcast", 0xff, 0);
	clear();
	apic_icr(1, 0x800 | 0x50);
	apic_icr(5, 0x50);
	sti_nop_cli();
	check_equal("for somebody else", count[0x50], 0);
	cpuid_count(1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_X2APIC))
		return;
	apic_use_x2apic();
	all();
	address("logical, x2APIC", apic_read(APIC_LDR), 0x800);
	check_equal("x2APIC logical ID", apic_read(APIC_LDR), 1);
	clear();
	apic_write(APIC_SELF_IPI, 0x53);
	sti_nop_cli();
	check_equal("SELF IPI", count[0x53], 1);
}
