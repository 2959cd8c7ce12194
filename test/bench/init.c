/* SPDX-License-Identifier: MIT */
/*
 * /init of the bench: prints its guest's TSC at its first instruction in main(), then switches the guest off. A guest's TSC starts
 * at zero when it is started, and counts the host's ticks; RDTSC causes no exit.
 */
#include <stdio.h>
#include <sys/reboot.h>
#include <x86intrin.h>

int main(void)
{
	unsigned long long now = __rdtsc();

	printf("BENCH init %llu\n", now);
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
