/* SPDX-License-Identifier: MIT */
/*
 * An instruction on a device's memory that no driver uses, and the emulation does not know: the guest is stopped, with the
 * instruction's bytes and its address in the log.
 */
/* EXPECT-LOG: guest \S+ was stopped: .*0f 29 */
#include "micro.h"

void test(void)
{
	pass_early();
	write_cr4(read_cr4() | CR4_OSFXSR);
	__asm__ volatile("movaps %%xmm0, (%0)" : : "r"(IOAPIC) : "memory");
	fail("it goes on");
}
