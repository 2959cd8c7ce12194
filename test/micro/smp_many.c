/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=64
 * HOST-CPUS: 2
 *
 * As many CPUs as a guest can have, on two: all start at once, each with its own APIC ID; all count, and nothing is lost; the TSC of
 * one that has seen another's is never behind it; each answers an IPI to it alone, and all one to all, in xAPIC and x2APIC mode.
 */
#include "smp.h"

#define CPUS 64
#define LAPS 3

static volatile unsigned total, turn, answers, answered[CPUS];
static u64 tsc_seen;

static void answer(struct frame *f)
{
	(void)f;
	__atomic_fetch_add(&answered[smp_cpu()], 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&answers, 1, __ATOMIC_SEQ_CST);
	apic_eoi();
}

static void count(void)
{
	unsigned i;

	for (i = 0; i < 1000; i++)
		__atomic_fetch_add(&total, 1, __ATOMIC_SEQ_CST);
	smp_barrier();
	check_equal("all counts", total, CPUS * 1000);
}

/* Whoever has the turn has seen the last one's TSC. */
static void compare_tsc(unsigned cpu)
{
	unsigned lap;
	u64 now;

	for (lap = 0; lap < LAPS; lap++) {
		check(smp_wait(&turn, lap * CPUS + cpu), "CPU %u has no turn: %u", cpu, turn);
		now = rdtsc_ordered();
		check(now >= tsc_seen, "the TSC of CPU %u is %llu behind another's", cpu,
		      (unsigned long long)(tsc_seen - now));
		tsc_seen = now;
		__atomic_fetch_add(&turn, 1, __ATOMIC_SEQ_CST);
	}
	smp_barrier();
}

static void work(unsigned cpu)
{
	u32 id = apic_read(APIC_ID);

	check((id & 0xffffff) == 0 && id >> 24 == cpu, "CPU %u has the APIC ID 0x%x", cpu, id);
	count();
	compare_tsc(cpu);
	smp_barrier(); /* until the first one has had all its answers */
	smp_use_x2apic();
	check(apic_read(APIC_ID) == cpu, "CPU %u has the x2APIC ID 0x%x", cpu, apic_read(APIC_ID));
	check_equal("logical x2APIC ID", apic_read(APIC_LDR), cpu / 16 << 16 | 1u << cpu % 16);
	smp_barrier();
	smp_barrier();
}

/* CPUID's numbers must fit so many. SDM vol. 2 "CPUID", leaves 1, 4 and 0xb; APM vol. 3 the same, and 0x80000008. */
static void topology(void)
{
	u32 r[4], max;

	cpuid_count(0, 0, r);
	max = r[CPUID_EAX];
	cpuid_count(1, 0, r);
	check_equal("logical processors by leaf 1", r[CPUID_EBX] >> 16 & 0xff, CPUS);
	if (max >= 0xb) {
		cpuid_count(0xb, 1, r);
		check(1u << (r[CPUID_EAX] & 31) >= CPUS && r[CPUID_EBX] == CPUS,
		      "leaf 0xb tells of %u CPUs and %u bits", r[CPUID_EBX], r[CPUID_EAX]);
	}
	cpuid_count(4, 0, r);
	if (r[CPUID_EAX] & 0x1f)
		check_equal("cores by leaf 4", (r[CPUID_EAX] >> 26) + 1, CPUS);
	cpuid_count(0x80000008, 0, r);
	if (r[CPUID_ECX])
		check_equal("cores by leaf 0x80000008", (r[CPUID_ECX] & 0xff) + 1, CPUS);
}

static void ask(void)
{
	unsigned i;

	answers = 0;
	for (i = 1; i < CPUS; i++) {
		answered[i] = 0;
		apic_icr(i, ICR_FIXED | 0x41);
	}
	check(smp_wait(&answers, CPUS - 1), "%u of %u answers to IPIs", answers, CPUS - 1);
	for (i = 1; i < CPUS; i++)
		check(answered[i] == 1, "CPU %u had %u IPIs", i, answered[i]);
	apic_icr(0, ICR_OTHERS | ICR_FIXED | 0x41);
	check(smp_wait(&answers, 2 * (CPUS - 1)), "%u of %u answers to an IPI to all",
	      answers - (CPUS - 1), CPUS - 1);
	for (i = 1; i < CPUS; i++)
		check(answered[i] == 2, "CPU %u had %u IPIs", i, answered[i]);
}

void test(void)
{
	trap_handlers[0x41] = answer;
	topology();
	smp_init(CPUS, work);
	smp_start_all();
	print("smp_many: started\n");
	count();
	compare_tsc(0);
	print("smp_many: counted\n");
	ask();
	smp_barrier();
	smp_use_x2apic();
	smp_barrier();
	ask();
	smp_barrier();
}
