/* SPDX-License-Identifier: MIT */
/*
 * Without hypercall.console=on the console hypercall is refused with -EPERM, whatever its arguments; nothing is written.
 */
#include "micro.h"

static volatile s64 result;

static void in_ring3(void)
{
	result = hypercall(0x48560001, (u64) "this must not be seen\n", 22, 0);
}

void test(void)
{
	u32 r[4];

	cpuid_count(0x40000101, 0, r);
	check(!(r[CPUID_EAX] & 1), "CPUID offers what is off");
	in_ring3();
	check(result == -1, "ring 0: %lld", (long long)result);
	ring3_run(in_ring3);
	check(result == -1, "ring 3: %lld", (long long)result);
	result = hypercall(0x48560001, 0x800000000000ULL, 1ULL << 40, 0);
	check(result == -1, "bad arguments: %lld", (long long)result);
	result = hypercall(0x48560099, 0, 0, 0);
	check(result == -38, "unknown number: %lld", (long long)result);
}
