/* SPDX-License-Identifier: MIT */
/*
 * MSRs that do exist hold what is written, fault on what is reserved, and mean what they say: SYSENTER and SYSCALL registers, FS,
 * GS and their swap, PAT, EFER, TSC and TSC_ADJUST, MTRRs, IA32_APIC_BASE.
 */
#include "micro.h"

static const u32 plain[] = {MSR_SYSENTER_ESP,   MSR_SYSENTER_EIP, MSR_LSTAR,  MSR_CSTAR,
			    MSR_KERNEL_GS_BASE, MSR_FS_BASE,      MSR_GS_BASE};

static void holds(u32 msr, u64 value)
{
	u64 v, old;

	check(try_rdmsr(msr, &old) == NO_FAULT, "RDMSR 0x%x faults", msr);
	check(try_wrmsr(msr, value) == NO_FAULT, "WRMSR 0x%x, 0x%llx faults", msr,
	      (unsigned long long)value);
	check(try_rdmsr(msr, &v) == NO_FAULT, "RDMSR 0x%x faults", msr);
	check(v == value, "MSR 0x%x is 0x%llx, not 0x%llx", msr, (unsigned long long)v,
	      (unsigned long long)value);
	wrmsr(msr, old);
}

static void refuses(u32 msr, u64 value)
{
	u64 before, after;

	check(try_rdmsr(msr, &before) == NO_FAULT, "RDMSR 0x%x faults", msr);
	check(try_wrmsr(msr, value) == VEC_GP, "WRMSR 0x%x, 0x%llx does not fault", msr,
	      (unsigned long long)value);
	check(try_rdmsr(msr, &after) == NO_FAULT, "RDMSR 0x%x faults", msr);
	check(before == after || msr == MSR_TSC, "the refused WRMSR has changed MSR 0x%x", msr);
}

static void tsc(void)
{
	u64 before = rdtsc(), after, value;

	check(try_rdmsr(MSR_TSC, &value) == NO_FAULT, "RDMSR of the TSC faults");
	after = rdtsc();
	check(before <= value && value <= after, "RDMSR and RDTSC tell different counters");
	check(try_wrmsr(MSR_TSC, 0x123400000000ULL) == NO_FAULT, "the TSC cannot be written");
	value = rdtsc();
	check(value >= 0x123400000000ULL && value < 0x123500000000ULL,
	      "the TSC is 0x%llx after it was set", (unsigned long long)value);
	if (try_rdmsr(MSR_TSC_ADJUST, &value) == NO_FAULT) {
		wrmsr(MSR_TSC_ADJUST, value + 0x100000000000ULL);
		after = rdtsc();
		check(after >= 0x223400000000ULL && after < 0x223500000000ULL,
		      "TSC_ADJUST moved the TSC to 0x%llx", (unsigned long long)after);
	}
}

static void segment_bases(void)
{
	static u64 cell = 0x1234567890abcdefULL;
	u64 fs, gs;

	wrmsr(MSR_FS_BASE, (u64)&cell);
	wrmsr(MSR_KERNEL_GS_BASE, (u64)&cell);
	__asm__ volatile("mov %%fs:0, %0; swapgs; mov %%gs:0, %1; swapgs" : "=&r"(fs), "=&r"(gs));
	check_equal("the quadword at FS", fs, cell);
	check_equal("the quadword at GS after SWAPGS", gs, cell);
}

void test(void)
{
	unsigned i;
	u64 efer = rdmsr(MSR_EFER);

	for (i = 0; i < ARRAY_SIZE(plain); i++) {
		holds(plain[i], 0xffff800012345678ULL);
		holds(plain[i], 0x00007fffffffffffULL);
	}
	holds(MSR_SYSENTER_CS, 0x10);
	holds(MSR_STAR, 0x0023001000000000ULL);
	holds(MSR_SFMASK, 0x47700);
	holds(MSR_PAT, 0x0007010600070106ULL);
	refuses(MSR_PAT, 0x0002000000000000ULL);
	refuses(MSR_PAT, 0x08);
	holds(MSR_EFER, efer | EFER_NXE | EFER_SCE);
	refuses(MSR_EFER, efer | BIT(1));
	refuses(MSR_EFER, efer | BIT(63));
	refuses(MSR_EFER, efer | EFER_SVME);
	refuses(MSR_EFER, efer & ~EFER_LME); /* while paging is on */
	check_equal("EFER", rdmsr(MSR_EFER), efer);
	check(efer & EFER_LMA && efer & EFER_LME, "EFER is 0x%llx", (unsigned long long)efer);
	refuses(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(0));
	refuses(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(62));
	check_equal("IA32_APIC_BASE", rdmsr(MSR_APIC_BASE), LAPIC | APIC_BASE_EN | APIC_BASE_BSP);
	holds(MSR_MTRR_PHYSBASE0, 0x80000006);
	holds(MSR_MTRR_FIX64K, 0x0606060606060606ULL);
	refuses(MSR_MTRR_FIX64K, 0x02);
	segment_bases();
	tsc();
}
