/* SPDX-License-Identifier: MIT */
/*
 * CPUID as a guest sees it: a hypervisor that is KVM-compatible and says that it is Havoc; no VMX, SVM, SMX or MONITOR; x2APIC and TSC
 * deadline offered; unknown leaves read as zero; the bits that follow the guest's own state follow it.
 */
#include "micro.h"

static u32 r[4];

static void leaf(u32 l)
{
	cpuid_count(l, 0, r);
}

static void signature(u32 base, const char *text)
{
	leaf(base);
	check(memory_equal(&r[CPUID_EBX], text, 4) && memory_equal(&r[CPUID_ECX], text + 4, 4) &&
		      memory_equal(&r[CPUID_EDX], text + 8, 4),
	      "leaf 0x%x has no signature \"%s\"", base, text);
	check(r[CPUID_EAX] >= base && r[CPUID_EAX] < base + 0x100, "leaf 0x%x: EAX is 0x%x", base,
	      r[CPUID_EAX]);
}

static void is_zero(u32 l)
{
	leaf(l);
	check(!(r[0] | r[1] | r[2] | r[3]), "leaf 0x%x is 0x%x 0x%x 0x%x 0x%x, not zero", l, r[0],
	      r[1], r[2], r[3]);
}

static void follows_cr4(void)
{
	leaf(1);
	if (!(r[CPUID_ECX] & CPUID1C_XSAVE))
		return;
	check(!(r[CPUID_ECX] & CPUID1C_OSXSAVE), "OSXSAVE is set before CR4 has it");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	leaf(1);
	check(r[CPUID_ECX] & CPUID1C_OSXSAVE, "OSXSAVE is clear although CR4 has it");
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
	leaf(1);
	check(!(r[CPUID_ECX] & CPUID1C_OSXSAVE), "OSXSAVE is still set");
}

void test(void)
{
	leaf(0);
	check(r[CPUID_EAX] >= 1 && r[CPUID_EBX], "leaf 0 is empty");
	leaf(1);
	check(r[CPUID_ECX] & CPUID1C_HYPERVISOR, "the hypervisor bit is clear");
	check(!(r[CPUID_ECX] & (CPUID1C_VMX | CPUID1C_SMX | CPUID1C_MONITOR | CPUID1C_PDCM)),
	      "VMX, SMX, MONITOR or PDCM is offered: ECX 0x%x", r[CPUID_ECX]);
	check(r[CPUID_ECX] & CPUID1C_X2APIC, "x2APIC is not offered");
	check(r[CPUID_ECX] & CPUID1C_TSC_DEADLINE, "TSC deadline is not offered");
	check(r[CPUID_EDX] & CPUID1D_APIC, "there is no APIC");
	check_equal("initial APIC ID", r[CPUID_EBX] >> 24, 0);
	signature(0x40000000, "KVMKVMKVM\0\0\0");
	leaf(0x40000001);
	check(r[CPUID_EAX] & BIT(3) && r[CPUID_EAX] & BIT(24), "no stable kvmclock: EAX 0x%x",
	      r[CPUID_EAX]);
	signature(0x40000100, "HavocHavocHv");
	leaf(0x40000101);
	check(!(r[CPUID_EAX] & 1), "the console hypercall is offered but not configured");
	leaf(0x80000001);
	check(!(r[CPUID_ECX] & (CPUIDX1C_SVM | CPUIDX1C_SKINIT | CPUIDX1C_EXTAPIC)),
	      "SVM is offered: ECX 0x%x", r[CPUID_ECX]);
	check(r[CPUID_EDX] & CPUIDX1D_LM && r[CPUID_EDX] & CPUIDX1D_NX,
	      "long mode or NX is missing");
	is_zero(0x8000000a);
	is_zero(0x40000055);
	is_zero(0x40000200);
	is_zero(0x20000000);
	is_zero(0x8fffffff);
	is_zero(0xffffffff);
	follows_cr4();
}
