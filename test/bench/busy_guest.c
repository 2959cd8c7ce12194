/* SPDX-License-Identifier: MIT */
/*
 * A neighbour that always has something to do, half of it exits, until its TSC, which starts at zero, says that it has been
 * there for long enough. Silent, lest the bench counts what it writes.
 */
#include "micro.h"

#ifndef TICKS
#define TICKS 200000000ULL
#endif

void test(void)
{
	u32 r[4];

	while (rdtsc() < TICKS)
		cpuid_count(1, 0, r);
}
