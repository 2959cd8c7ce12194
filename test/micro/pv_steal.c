/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=2
 *
 * KVM's steal time, of two CPUs on one of the machine: what each is told to have waited for grows, is never more than the time
 * that has passed, and its version is even when it is still; flags and padding stay. A CPU that is kept from running is said to be
 * preempted, one that runs, or that halts, is not. A flush that is asked for in the same byte happens before that CPU runs again: with no
 * IPI it never sees an old translation. Reserved bits fault; where there is no memory nothing is written.
 * Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME.
 */
#include "smp.h"

#define PREEMPTED 1
#define FLUSH     2
#define FLUSHES   40

struct steal {
	u64 steal;
	u32 version, flags;
	u8 preempted, pad8[3];
	u32 pad[11];
};

static volatile struct steal area[2] aligned(64);
static volatile u32 guard aligned(64);
static volatile u64 *page;
static volatile unsigned work, phase, ready;
static volatile u64 seen;

static u64 steal_of(unsigned cpu, u32 *version)
{
	u64 steal;

	do {
		*version = area[cpu].version;
		steal = area[cpu].steal;
	} while (*version & 1 || *version != area[cpu].version);
	return steal;
}

static void other(unsigned id)
{
	(void)id;
	wrmsr(MSR_KVM_STEAL_TIME, (u64)&area[1] | 1);
	ready = 1;
	for (;;) {
		while (phase == 0) {
			seen = *page;
			work++;
		}
		ready = 2;
		while (phase == 1)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		ready = 3;
		while (phase == 2)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
}

static void on_ipi(struct frame *f)
{
	(void)f;
	apic_eoi();
}

/* Until CPU 1 has run for a while, and this one again. */
static void let_it_run(void)
{
	unsigned was = work;

	while (work - was < 3)
		pause_cpu();
}

static void grows(void)
{
	u64 start = rdtsc(), steal[2], ns;
	u32 version[2], again;
	unsigned i, round;

	for (i = 0; i < 2; i++)
		steal[i] = steal_of(i, &version[i]);
	for (round = 0; round < 8; round++)
		let_it_run();
	ns = (rdtsc() - start) / (tsc_hz() / 1000000) * 1000 + 2000000;
	for (i = 0; i < 2; i++) {
		u64 more = steal_of(i, &again) - steal[i];

		check(more && more <= ns, "CPU %u has waited %llu ns in %llu", i,
		      (unsigned long long)more, (unsigned long long)ns);
		check(again != version[i], "the version of CPU %u stays", i);
		check(!area[i].flags && !area[i].pad[0] && !area[i].pad8[0] && !area[i].pad[10],
		      "padding of CPU %u is written", i);
	}
}

static void preempted(void)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		let_it_run();
		check(!area[0].preempted, "a CPU that runs is said to be preempted");
		check(area[1].preempted == PREEMPTED, "a CPU that waits is said to run: %u",
		      area[1].preempted);
		if (i >= 5)
			break;
	}
}

static void flush(void)
{
	u64 to[2] = {(u64)page_alloc(), (u64)page_alloc()}, *entry = page_entry((u64)page);
	unsigned i;

	for (i = 0; i < FLUSHES; i++) {
		u64 next = to[i % 2];
		u8 was;

		*(volatile u64 *)next = 1000 + i;
		*entry = (*entry & 0xfff) | next;
		invlpg((const void *)page);
		do
			was = PREEMPTED;
		while (!__atomic_compare_exchange_n(&area[1].preempted, &was, PREEMPTED | FLUSH,
						    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
		let_it_run();
		check_equal("the remapped page", seen, 1000 + i);
		check(!(area[1].preempted & FLUSH), "the flush is still asked for");
	}
}

static void halts(void)
{
	phase = 1;
	check(wait_for(&ready, 2, 5000000), "CPU 1 does not go on");
	delay_us(20000); /* it halts, if it has not yet */
	check_equal("preempted in HLT", area[1].preempted, 0);
	phase = 2;
	apic_icr(1, 0x4040);
	check(wait_for(&ready, 3, 5000000), "CPU 1 does not wake");
}

static void bad(void)
{
	unsigned i;
	u64 value;

	for (i = 1; i < 6; i++)
		check(try_wrmsr(MSR_KVM_STEAL_TIME, (u64)&area[0] | BIT(i) | 1) == VEC_GP,
		      "bit %u does not fault", i);
	check(try_wrmsr(MSR_KVM_STEAL_TIME, HOLE | 1) == NO_FAULT, "a hole faults");
	let_it_run();
	check(try_wrmsr(MSR_KVM_STEAL_TIME, LAPIC | 1) == NO_FAULT, "the APIC's page faults");
	let_it_run();
	check(try_wrmsr(MSR_KVM_STEAL_TIME, ~0x3eULL) == NO_FAULT, "the last address faults");
	let_it_run();
	check(try_rdmsr(MSR_KVM_STEAL_TIME, &value) == NO_FAULT && value == ~0x3eULL,
	      "it reads as 0x%llx", (unsigned long long)value);
	wrmsr(MSR_KVM_STEAL_TIME, (u64)&area[0] | 1);
}

void test(void)
{
	u32 r[4], version;
	u64 steal;

	cpuid_count(0x40000001, 0, r);
	check(r[CPUID_EAX] & BIT(5) && r[CPUID_EAX] & BIT(9), "not offered");
	trap_handlers[0x40] = on_ipi;
	page = page_alloc();
	*page = 1;
	apic_enable();
	smp_init(2, other);
	wrmsr(MSR_KVM_STEAL_TIME, (u64)&area[0] | 1);
	smp_start(1);
	check(wait_for(&ready, 1, 5000000), "CPU 1 does not begin");
	(void)tsc_hz();
	grows();
	preempted();
	flush();
	bad();
	grows();
	/* Off: it is not written any more. */
	wrmsr(MSR_KVM_STEAL_TIME, 0);
	steal = steal_of(0, &version);
	let_it_run();
	let_it_run();
	check(area[0].steal == steal && area[0].version == version && !area[0].preempted,
	      "written after it was turned off");
	halts();
	check_equal("what lies behind", guard, 0);
}
