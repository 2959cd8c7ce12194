/* SPDX-License-Identifier: MIT */
/*
 * An absent PIT does not hang who calibrates by it: counter 2 ends at once, its output at port 0x61 is high. Linux before 4.15
 * waits for it without a bound. Intel 8254 data sheet, mode 0; docs/decisions/0002.
 * OPTIONS: machine=minimal
 */
#include "micro.h"

void test(void)
{
	unsigned n = 0;

	outb(0x61, (u8)((inb(0x61) & ~0x02) | 0x01));
	outb(0x43, 0xb0);
	outb(0x42, 0x12);
	outb(0x42, 0x34);
	while (!(inb(0x61) & 0x20))
		check(++n < 100000, "port 0x61 bit 5 never comes up");
	check_equal("counter 2", inb(0x42), 0);
}
