/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer in all three modes, whichever way its registers are reached: counts down, fires at its time and
 * as often as it should, is silent when masked or stopped. SDM vol. 3 "APIC Timer".
 */
#include "micro.h"
#include "timer_test.h"

#define VECTOR 0x41

static volatile unsigned ticks;

static void tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

static void one_shot(void)
{
	u32 now, later;

	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR);
	apic_write(APIC_TIMER_COUNT, 1000000);
	now = apic_read(APIC_TIMER_NOW);
	later = apic_read(APIC_TIMER_NOW);
	check(now <= 1000000 && later <= now && now > 0, "one-shot: the count goes from %u to %u",
	      now, later);
	check(wait_for(&ticks, 1, 1000000), "one-shot: no interrupt in a second");
	check_equal("one-shot: count after it fired", apic_read(APIC_TIMER_NOW), 0);
	check(!wait_for(&ticks, 2, 5000), "one-shot: it fired twice");
	apic_write(APIC_TIMER_COUNT, 1000000000);
	apic_write(APIC_TIMER_COUNT, 0);
	check_equal("stopped: count", apic_read(APIC_TIMER_NOW), 0);
	apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_MASKED);
	apic_write(APIC_TIMER_COUNT, 1000);
	check(!wait_for(&ticks, 2, 5000), "masked: it fired");
	check(!apic_bit(APIC_IRR, VECTOR), "masked: IRR is set");
}

static void divider(void)
{
	u64 start, fast, slow;

	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR);
	start = rdtsc();
	apic_write(APIC_TIMER_COUNT, 2000000);
	check(wait_for(&ticks, 1, 5000000), "divided by 1: no interrupt");
	fast = rdtsc() - start;
	apic_write(APIC_TIMER_DIVIDE, 0x1); /* by 4 */
	start = rdtsc();
	apic_write(APIC_TIMER_COUNT, 2000000);
	check(wait_for(&ticks, 2, 5000000), "divided by 4: no interrupt");
	slow = rdtsc() - start;
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	check(slow > 2 * fast, "divided by 4 it takes %llu ticks, by 1 %llu",
	      (unsigned long long)slow, (unsigned long long)fast);
}

static void periodic(void)
{
	unsigned seen;

	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_PERIODIC);
	apic_write(APIC_TIMER_COUNT, 1000000);
	check(wait_for(&ticks, 10, 2000000), "periodic: %u interrupts in 2 seconds", ticks);
	check(apic_read(APIC_TIMER_NOW) <= 1000000, "periodic: the count is too large");
	apic_write(APIC_TIMER_COUNT, 0);
	sti_nop_cli();
	seen = ticks;
	check(!wait_for(&ticks, seen + 1, 10000), "periodic: it goes on after it was stopped");
}

static void deadline(void)
{
	u64 at = rdtsc() + tsc_hz() / 500;

	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_DEADLINE);
	wrmsr(MSR_TSC_DEADLINE, at);
	check_equal("deadline: read back", rdmsr(MSR_TSC_DEADLINE), at);
	check(wait_for(&ticks, 1, 1000000), "deadline: no interrupt in a second");
	check(rdtsc() >= at, "deadline: it fired too early");
	check_equal("deadline: MSR after it fired", rdmsr(MSR_TSC_DEADLINE), 0);
	wrmsr(MSR_TSC_DEADLINE, 1); /* long past */
	check(wait_for(&ticks, 2, 1000000), "deadline: none for one in the past");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_hz() / 100);
	wrmsr(MSR_TSC_DEADLINE, 0);
	check(!wait_for(&ticks, 3, 30000), "deadline: it fired after it was disarmed");
	apic_write(APIC_TIMER_COUNT, 1000); /* ignored in this mode */
	check(!wait_for(&ticks, 3, 5000), "deadline: the initial count started it");
	apic_write(APIC_LVT_TIMER, VECTOR);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 1000); /* ignored in the others */
	check_equal("one-shot: deadline MSR", rdmsr(MSR_TSC_DEADLINE), 0);
	check(!wait_for(&ticks, 3, 5000), "one-shot: the deadline fired");
}

void timer_test(void)
{
	u32 r[4];

	trap_handlers[VECTOR] = tick;
	apic_enable();
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	one_shot();
	divider();
	periodic();
	cpuid_count(1, 0, r);
	if (r[CPUID_ECX] & CPUID1C_TSC_DEADLINE)
		deadline();
}
