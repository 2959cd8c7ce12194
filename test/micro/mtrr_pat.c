/* SPDX-License-Identifier: MIT */
/*
 * MTRRs and PAT can be read and written, all of them, and fault on what is reserved, unchanged. IA32_TSC and IA32_TSC_ADJUST move one another.
 * SDM vol. 3 "Memory Type Range Registers (MTRRs)", "IA32_PAT MSR", "Time-Stamp Counter Adjustment".
 */
#include "micro.h"

static const u32 fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
			    0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

static void holds(u32 msr, u64 value)
{
	check(try_wrmsr(msr, value) == NO_FAULT, "WRMSR 0x%x, 0x%llx faults", msr,
	      (unsigned long long)value);
	check(rdmsr(msr) == value, "MSR 0x%x is 0x%llx, not 0x%llx", msr,
	      (unsigned long long)rdmsr(msr), (unsigned long long)value);
}

static void refuses(u32 msr, u64 value)
{
	u64 before = rdmsr(msr);

	check(try_wrmsr(msr, value) == VEC_GP, "WRMSR 0x%x, 0x%llx: vector %d, not #GP", msr,
	      (unsigned long long)value, caught.vector);
	check(rdmsr(msr) == before, "the refused WRMSR has changed MSR 0x%x", msr);
}

static void types(u32 msr, u64 rest, bool eight)
{
	u64 type;

	for (type = 0; type < 256; type++) {
		u64 value = eight ? type * 0x0101010101010101ULL : rest | type;

		if (type == 0 || type == 1 || (type >= 4 && type <= 6))
			holds(msr, value);
		else
			refuses(msr, value);
	}
}

static void mtrrs(void)
{
	u64 cap = rdmsr(MSR_MTRRCAP), old;
	u32 r[4];
	unsigned i, width, n = cap & 0xff;

	cpuid_count(1, 0, r);
	check(r[CPUID_EDX] & BIT(12), "MTRRs are not offered");
	cpuid_count(0x80000008, 0, r);
	width = r[CPUID_EAX] & 0xff;
	check(n > 0 && cap & BIT(8) && !(cap & ~0x5ffULL), "MTRRCAP is 0x%llx",
	      (unsigned long long)cap);
	refuses(MSR_MTRRCAP, cap);
	for (i = 0; i < ARRAY_SIZE(fixed); i++) {
		old = rdmsr(fixed[i]);
		types(fixed[i], 0, true);
		refuses(fixed[i], 0x0600000000000000ULL | 2 << 8); /* one of eight */
		wrmsr(fixed[i], old);
	}
	for (i = 0; i < n; i++) {
		types(MSR_MTRR_PHYSBASE0 + 2 * i, 0x80000000, false);
		holds(MSR_MTRR_PHYSBASE0 + 2 * i, ((BIT(width) - 1) & ~0xfffULL) | 6);
		refuses(MSR_MTRR_PHYSBASE0 + 2 * i, BIT(width) | 6);
		refuses(MSR_MTRR_PHYSBASE0 + 2 * i, BIT(8) | 6);
		refuses(MSR_MTRR_PHYSBASE0 + 2 * i, BIT(11) | 6);
		holds(MSR_MTRR_PHYSBASE0 + 2 * i + 1, ((BIT(width) - 1) & ~0xfffULL) | BIT(11));
		refuses(MSR_MTRR_PHYSBASE0 + 2 * i + 1, BIT(width));
		refuses(MSR_MTRR_PHYSBASE0 + 2 * i + 1, BIT(10));
		refuses(MSR_MTRR_PHYSBASE0 + 2 * i + 1, 1);
		wrmsr(MSR_MTRR_PHYSBASE0 + 2 * i, 0);
		wrmsr(MSR_MTRR_PHYSBASE0 + 2 * i + 1, 0);
	}
	check(try_rdmsr(MSR_MTRR_PHYSBASE0 + 2 * n, &old) == VEC_GP,
	      "there are more than %u variable ranges", n);
	old = rdmsr(MSR_MTRR_DEF_TYPE);
	types(MSR_MTRR_DEF_TYPE, BIT(10) | BIT(11), false);
	holds(MSR_MTRR_DEF_TYPE, 0);
	refuses(MSR_MTRR_DEF_TYPE, BIT(9));
	refuses(MSR_MTRR_DEF_TYPE, BIT(12));
	wrmsr(MSR_MTRR_DEF_TYPE, old);
}

/* UC- (7) exists here, and not in an MTRR. */
static void pat(void)
{
	u64 old = rdmsr(MSR_PAT), type;
	unsigned i;

	check_equal("PAT at reset", old, 0x0007040600070406ULL);
	for (i = 0; i < 8; i++)
		for (type = 0; type < 256; type++) {
			u64 value = (old & ~(0xffULL << 8 * i)) | type << 8 * i;

			if (type == 0 || type == 1 || (type >= 4 && type <= 7))
				holds(MSR_PAT, value);
			else
				refuses(MSR_PAT, value);
		}
	wrmsr(MSR_PAT, old);
}

static void tsc_adjust(void)
{
	const u64 far = 0x40000000000ULL; /* far more than the test takes */
	u64 adjust, tsc;
	u32 r[4];

	cpuid_count(0, 0, r);
	if (r[CPUID_EAX] < 7)
		return;
	cpuid_count(7, 0, r);
	check(r[CPUID_EBX] & CPUID7B_TSC_ADJUST, "TSC_ADJUST is not offered");
	check_equal("TSC_ADJUST at reset", rdmsr(MSR_TSC_ADJUST), 0);
	tsc = rdtsc();
	wrmsr(MSR_TSC, tsc + far);
	adjust = rdmsr(MSR_TSC_ADJUST);
	check(adjust <= far && adjust > far - far / 4,
	      "a write of the TSC moves TSC_ADJUST by 0x%llx, not 0x%llx",
	      (unsigned long long)adjust, (unsigned long long)far);
	tsc = rdtsc();
	wrmsr(MSR_TSC_ADJUST, adjust + far);
	check(rdtsc() - tsc >= far && rdtsc() - tsc < far + far / 4,
	      "TSC_ADJUST has moved the TSC by 0x%llx", (unsigned long long)(rdtsc() - tsc));
	wrmsr(MSR_TSC_ADJUST, 0);
	check(rdtsc() < far, "the TSC is 0x%llx, and TSC_ADJUST 0", (unsigned long long)rdtsc());
	check_equal("TSC_ADJUST", rdmsr(MSR_TSC_ADJUST), 0);
}

void test(void)
{
	mtrrs();
	pat();
	tsc_adjust();
}
