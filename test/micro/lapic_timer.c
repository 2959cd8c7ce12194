/* SPDX-License-Identifier: MIT */
/* The local APIC's timer, one-shot, periodic and TSC deadline, with the registers in memory (xAPIC). */
#include "micro.h"
#include "timer_test.h"

void test(void)
{
	timer_test();
}
