/* SPDX-License-Identifier: MIT */
/*
 * Junk in every MSR of the usual ranges: each access succeeds or raises #GP, nothing else happens, and the guest can go on. What
 * would take away the ground under the test itself is put back at once.
 */
#include "micro.h"

static unsigned faults, successes;

/* Bases that the running code stands on, or that only a restore can undo. */
static bool spared(u32 msr)
{
	return msr == MSR_APIC_BASE || msr == MSR_TSC || msr == MSR_TSC_ADJUST || msr == MSR_EFER;
}

static void one(u32 msr, u64 junk)
{
	u64 old = 0;
	int r = try_rdmsr(msr, &old), w;

	check(r == NO_FAULT || r == VEC_GP, "RDMSR 0x%x: vector %d", msr, r);
	w = try_wrmsr(msr, junk);
	check(w == NO_FAULT || w == VEC_GP, "WRMSR 0x%x, 0x%llx: vector %d", msr,
	      (unsigned long long)junk, w);
	if (w == VEC_GP)
		faults++;
	else
		successes++;
	if (w == NO_FAULT && r == NO_FAULT)
		(void)try_wrmsr(msr, old);
}

static void range(u32 first, u32 last)
{
	static const u64 junk[] = {0,
				   ~0ULL,
				   1,
				   0xdeadbeefcafef00dULL,
				   0x8000000000000000ULL,
				   0x00007ffffffff000ULL,
				   0xd0000001ULL};
	unsigned i;
	u32 msr;

	for (msr = first;; msr++) {
		for (i = 0; i < ARRAY_SIZE(junk) && !spared(msr); i++)
			one(msr, junk[i]);
		if (msr == last)
			return;
	}
}

static void spared_ones(void)
{
	u64 base = rdmsr(MSR_APIC_BASE), efer = rdmsr(MSR_EFER);
	unsigned bit;

	for (bit = 0; bit < 64; bit++) {
		int v = try_wrmsr(MSR_APIC_BASE, base ^ BIT(bit));

		check(v == NO_FAULT || v == VEC_GP, "IA32_APIC_BASE: vector %d", v);
		/* Out of x2APIC mode the way is by "disabled" only. */
		if (v == NO_FAULT && bit == 10)
			check(try_wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_EN) == NO_FAULT,
			      "x2APIC cannot be left");
		check(try_wrmsr(MSR_APIC_BASE, base) == NO_FAULT,
		      "IA32_APIC_BASE cannot be restored");
		v = try_wrmsr(MSR_EFER, efer ^ BIT(bit));
		check(v == NO_FAULT || v == VEC_GP, "EFER: vector %d", v);
		if (v == NO_FAULT)
			wrmsr(MSR_EFER, efer);
	}
	check_equal("EFER", rdmsr(MSR_EFER), efer);
}

void test(void)
{
	range(0, 0x2000);
	range(0x40000000, 0x40000100); /* Hyper-V's */
	range(0x4b564cf0, 0x4b564d20); /* KVM's */
	range(0xc0000000, 0xc0000400);
	range(0xc0010000, 0xc0010400);
	range(0xc0011000, 0xc0011100);
	range(0xfffffff0, 0xffffffff);
	spared_ones();
	check(faults > 10000 && successes > 50, "%u faults, %u successes", faults, successes);
	check_equal("the APIC's page", read32(LAPIC + APIC_ID), 0);
}
