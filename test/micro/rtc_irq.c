/* SPDX-License-Identifier: MIT */
/*
 * The RTC's interrupt on pin 8: periodic at its rate, once a second at the end of an update, at an alarm; it does not come again
 * before register C has been read. MC146818A data sheet, "Interrupts".
 */
#include "micro.h"

static volatile unsigned interrupts, causes;
static volatile bool acknowledge = true;

static void rtc(struct frame *f)
{
	(void)f;
	interrupts++;
	if (acknowledge)
		causes |= cmos_read(0xc);
	apic_eoi();
}

static void mode(u8 enable)
{
	cmos_write(0xb, 0x02);
	(void)cmos_read(0xc);
	sti_nop_cli(); /* one that was under way */
	cmos_write(0xb, 0x02 | enable);
	interrupts = causes = 0;
}

void test(void)
{
	trap_handlers[0x48] = rtc;
	apic_enable();
	ioapic_route(8, 0x48);
	cmos_write(0xa, 0x26); /* 1024 Hz */
	mode(0x40);
	check(wait_for(&interrupts, 20, 3000000), "periodic: %u interrupts in 3 seconds",
	      interrupts);
	check_equal("periodic: cause", causes & 0xc0, 0xc0);
	acknowledge = false;
	mode(0x40);
	check(wait_for(&interrupts, 1, 1000000), "periodic: no interrupt");
	check(!wait_for(&interrupts, 2, 20000), "periodic: another before register C was read");
	acknowledge = true;
	mode(0x10);
	check(wait_for(&interrupts, 1, 3000000), "update ended: no interrupt in 3 seconds");
	check_equal("update ended: cause", causes & 0x90, 0x90);
	cmos_write(1, 0xff);
	cmos_write(3, 0xff);
	cmos_write(5, 0xff); /* don't care: every second */
	mode(0x20);
	check(wait_for(&interrupts, 1, 3000000), "alarm: no interrupt in 3 seconds");
	check_equal("alarm: cause", causes & 0xa0, 0xa0);
	mode(0);
	check(!wait_for(&interrupts, 1, 50000), "an interrupt with none enabled");
}
