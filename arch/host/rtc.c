/* SPDX-License-Identifier: MIT */
/*
 * The time of day, read once at boot from the machine's CMOS clock, which is taken to run in UTC. Called by tsc.c.
 * Motorola MC146818A data sheet, "Time, Calendar, and Alarm Locations", "Update Cycle"; ACPI FADT, "CENTURY".
 */
#include "arch/host/host.h"

#include <arch/insn.h>
#include <vmm/string.h>
#include <vmm/types.h>

#define RTC_INDEX 0x70
#define RTC_DATA  0x71

enum {
	RTC_SEC = 0,
	RTC_MIN = 2,
	RTC_HOUR = 4,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_A = 10,
	RTC_B = 11
};

#define RTC_A_UIP    BIT(7)
#define RTC_B_24H    BIT(1)
#define RTC_B_BINARY BIT(2)
#define RTC_PM       BIT(7) /* of the hour, in 12-hour mode */

#define UPDATE_POLLS 5000 /* an update lasts 2.2 ms, a port read about 1 us */

struct rtc_time {
	u8 sec, min, hour, day, month, year, century;
};

static u8 cmos_read(u8 index)
{
	outb(RTC_INDEX, index);
	return inb(RTC_DATA);
}

static void rtc_read_raw(struct rtc_time *t)
{
	for (unsigned n = 0; n < UPDATE_POLLS && cmos_read(RTC_A) & RTC_A_UIP; n++)
		pause_cpu();
	t->sec = cmos_read(RTC_SEC);
	t->min = cmos_read(RTC_MIN);
	t->hour = cmos_read(RTC_HOUR);
	t->day = cmos_read(RTC_DAY);
	t->month = cmos_read(RTC_MONTH);
	t->year = cmos_read(RTC_YEAR);
	t->century = host.acpi.century ? cmos_read(host.acpi.century) : 0;
}

static unsigned value(u8 raw, bool binary)
{
	return binary ? raw : (raw >> 4) * 10u + (raw & 15u);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years are counted from March. */
static s64 days_since_1970(s64 year, unsigned month, unsigned day)
{
	s64 y = month <= 2 ? year - 1 : year;
	unsigned m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 719469;
}

s64 rtc_read_ns(void)
{
	struct rtc_time t, again;
	unsigned year, hour, seconds;
	u8 b = cmos_read(RTC_B);
	bool binary = b & RTC_B_BINARY;

	if (cmos_read(RTC_A) == 0xff) /* there is none */
		return 0;
	rtc_read_raw(&t);
	for (unsigned n = 0; n < 4; n++) {
		rtc_read_raw(&again);
		if (!memcmp(&t, &again, sizeof(t)))
			break;
		t = again;
	}
	hour = value(t.hour & (b & RTC_B_24H ? 0xff : ~RTC_PM), binary);
	if (!(b & RTC_B_24H))
		hour = hour % 12 + (t.hour & RTC_PM ? 12 : 0);
	year = value(t.year, binary);
	/* A century that cannot be is none. */
	if (t.century && value(t.century, binary) >= 19 && value(t.century, binary) <= 29)
		year += value(t.century, binary) * 100;
	else
		year += year < 70 ? 2000 : 1900;
	seconds = (hour * 60 + value(t.min, binary)) * 60 + value(t.sec, binary);
	return (days_since_1970(year, value(t.month, binary), value(t.day, binary)) * 86400 +
		seconds) *
	       1000000000;
}
