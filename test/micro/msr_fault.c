/* SPDX-License-Identifier: MIT */
/*
 * MSRs that do not exist for a guest raise #GP(0) when read and when written, whatever the real CPU has: unknown numbers,
 * VMX's capabilities, SVM's registers, the host's own; and all of them in ring 3.
 */
#include "micro.h"

static const u32 absent[] = {
	0x1234,
	0x2,
	0x480,
	0x481,
	0x48b,
	0x48c,
	0x490,
	0x491,
	0x9e,
	0xda0,
	0x2000,
	0x1fff,
	0x40000000,
	0x4b564d02,
	0xc0000081 + 0x50,
	0xc0010114,
	0xc0010117,
	0xc0010118,
	0xc0011030 + 0x100,
	0xffffffff,
};

static volatile int ring3_vector;
static volatile u64 ring3_error;

static void in_ring3(void)
{
	u64 v;

	ring3_vector = try_rdmsr(MSR_TSC, &v);
	ring3_error = caught.error;
}

void test(void)
{
	unsigned i;
	u64 v;

	for (i = 0; i < ARRAY_SIZE(absent); i++) {
		check(try_rdmsr(absent[i], &v) == VEC_GP, "RDMSR of 0x%x gave 0x%llx, vector %d",
		      absent[i], (unsigned long long)v, caught.vector);
		check_equal("error code", caught.error, 0);
		check(try_wrmsr(absent[i], 0) == VEC_GP, "WRMSR of 0x%x gave vector %d", absent[i],
		      caught.vector);
		check_equal("error code", caught.error, 0);
	}
	check(try_wrmsr(MSR_FEATURE_CONTROL, 5) == VEC_GP, "IA32_FEATURE_CONTROL can be written");
	ring3_run(in_ring3);
	check_equal("RDMSR in ring 3: vector", ring3_vector, VEC_GP);
	check_equal("RDMSR in ring 3: error code", ring3_error, 0);
}
