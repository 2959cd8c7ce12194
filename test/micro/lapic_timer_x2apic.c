/* SPDX-License-Identifier: MIT */
/* The local APIC's timer, one-shot, periodic and TSC deadline, with the registers as MSRs (x2APIC). */
#include "micro.h"
#include "timer_test.h"

void test(void)
{
	u32 r[4];

	cpuid_count(1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_X2APIC))
		skip("no x2APIC");
	apic_use_x2apic();
	timer_test();
}
