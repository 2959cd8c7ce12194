/* SPDX-License-Identifier: MIT */
/*
 * What restarts a PC restarts the guest: the reset register 0xCF9 (hard and soft), the keyboard controller's pulse, port 0x92.
 * What only comes near it does not.
 */
/* EXPECT-RESETS: 4 */
#include "micro.h"

static void near_misses(void)
{
	outb(0xcf9, 0x02); /* only what kind it would be */
	outb(0xcf9, 0x00);
	outb(0x64, 0xff); /* pulses no line */
	outb(0x92, 0x02); /* A20 */
	outb(0x92, 0x00);
	outw(PM1_CNT, 1 << 10); /* a sleep type without SLP_EN */
	outw(PM1_CNT, 0);
}

void test(void)
{
	u8 stage = cmos_read(CMOS_STAGE);

	near_misses();
	cmos_write(CMOS_STAGE, stage + 1);
	switch (stage) {
	case 0:
		outb(0xcf9, 0x02);
		outb(0xcf9, 0x06);
		break;
	case 1:
		outb(0xcf9, 0x00);
		outb(0xcf9, 0x04);
		break;
	case 2:
		outb(0x64, 0xfe);
		break;
	case 3:
		outb(0x92, 0x01);
		break;
	default:
		return;
	}
	fail("it goes on after reset method %u", stage);
}
