/* SPDX-License-Identifier: MIT */
/*
 * A guest that jumps to where it has no memory is stopped, with a reason in the log that names the place; the
 * hypervisor goes on (and powers off, because no guest is left).
 */
/* EXPECT-LOG: guest \S+ was stopped: .*0xd0000000 */
#include "micro.h"

void test(void)
{
	pass_early();
	__asm__ volatile("jmp *%0" : : "r"(HOLE));
}
