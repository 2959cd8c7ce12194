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
	apic_write(APIC_TIMER_COUNT, 4000000000u);
	now = apic_read(APIC_TIMER_NOW);
	later = apic_read(APIC_TIMER_NOW);
	check(now <= 4000000000u && later < now && later > 0,
	      "one-shot: the count goes from %u to %u (initial count %u, LVT 0x%x)", now, later,
	      apic_read(APIC_TIMER_COUNT), apic_read(APIC_LVT_TIMER));
	apic_write(APIC_TIMER_COUNT, 1000000);
	check(wait_for(&ticks, 1, 1000000), "one-shot: no interrupt in a second");
	check_equal("one-shot: count after it fired", apic_read(APIC_TIMER_NOW), 0);
	check(!wait_for(&ticks, 2, 5000), "one-shot: it fired twice");
	apic_write(APIC_TIMER_COUNT, 4000000000u);
	apic_write(APIC_TIMER_COUNT, 0);
	check_equal("stopped: count", apic_read(APIC_TIMER_NOW), 0);
	apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_MASKED);
	apic_write(APIC_TIMER_COUNT, 1000);
	check(!wait_for(&ticks, 2, 5000), "masked: it fired");
	check(!apic_bit(APIC_IRR, VECTOR), "masked: IRR is set");
}

/* Ticks until a count of 20 million (20 ms at 1 GHz) has ended. */
static u64 count_time(void)
{
	u64 start = rdtsc();

	ticks = 0;
	apic_write(APIC_TIMER_COUNT, 20000000);
	check(wait_for(&ticks, 1, 5000000), "no interrupt after a count of 20 million");
	return rdtsc() - start;
}

/* Emulators on a busy machine are late at times, but never early. */
static void divider(void)
{
	u64 once, fast = ~0ULL, slow;
	unsigned tries;

	apic_write(APIC_LVT_TIMER, VECTOR);
	apic_write(APIC_TIMER_DIVIDE, 0x1); /* by 4 */
	slow = count_time();
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	for (tries = 0; tries < 20 && fast > slow / 2; tries++) {
		once = count_time();
		fast = once < fast ? once : fast;
	}
	check(slow / 2 >= fast, "divided by 4 it takes %llu ticks, by 1 %llu",
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
	u64 at = rdtsc() + tsc_hz() / 10, back;

	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_DEADLINE);
	wrmsr(MSR_TSC_DEADLINE, at);
	back = rdmsr(MSR_TSC_DEADLINE);
	check(back == at || rdtsc() >= at, "deadline: 0x%llx was set, and is 0x%llx",
	      (unsigned long long)at, (unsigned long long)back);
	check(wait_for(&ticks, 1, 1000000), "deadline: no interrupt in a second");
	check(rdtsc() >= at, "deadline: it fired too early");
	check_equal("deadline: MSR after it fired", rdmsr(MSR_TSC_DEADLINE), 0);
	wrmsr(MSR_TSC_DEADLINE, 1); /* long past */
	check(wait_for(&ticks, 2, 1000000), "deadline: none for one in the past");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc_hz() / 20);
	wrmsr(MSR_TSC_DEADLINE, 0);
	check(!wait_for(&ticks, 3, 80000), "deadline: it fired after it was disarmed");
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
