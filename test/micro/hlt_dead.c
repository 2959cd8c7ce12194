/* SPDX-License-Identifier: MIT */
/*
 * HLT with interrupts off and nothing that could wake it: Linux's way to halt for good. The guest is stopped, with a line in
 * the log, and does not keep the machine.
 */
/* EXPECT-LOG: halted with interrupts off */
#include "micro.h"

void test(void)
{
	pass_early();
	cli();
	hlt();
	fail("it goes on after HLT");
}
