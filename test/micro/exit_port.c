/* SPDX-License-Identifier: MIT */
/*
 * The exit port: reads are all ones, its neighbours do nothing, and a write ends the guest, with the value in the log.
 */
/* OPTIONS: exit-port=0xf4 */
/* EXPECT-LOG: guest \S+ has ended by its exit port: 3735928559 \(0xdeadbeef\) */
#include "micro.h"

void test(void)
{
	check_equal("what is read", inl(0xf4), 0xffffffff);
	check_equal("a byte that is read", inb(0xf4), 0xff);
	outb(0xf5, 1);
	outw(0xf6, 2);
	outl(0xf5, 3); /* beyond its end */
	pass_early();
	outl(0xf4, 0xdeadbeef);
	fail("it goes on after the exit");
}
