/* SPDX-License-Identifier: MIT */
/* Shared by vrtc.c (the device) and vrtc_time.c (its calendar): the MC146818A's address map. */
#ifndef VMM_DEV_VRTC_PRIV_H
#define VMM_DEV_VRTC_PRIV_H

#include <vmm/types.h>

enum {
	RTC_SECONDS = 0x00,
	RTC_SECONDS_ALARM = 0x01,
	RTC_MINUTES = 0x02,
	RTC_MINUTES_ALARM = 0x03,
	RTC_HOURS = 0x04,
	RTC_HOURS_ALARM = 0x05,
	RTC_WEEKDAY = 0x06, /* 1: Sunday */
	RTC_MONTH_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	RTC_CENTURY = 0x32,
};

#define RTC_B_24H    BIT(1)
#define RTC_B_BINARY BIT(2)
#define RTC_B_SET    BIT(7)

#define NS_PER_S 1000000000

/* Puts the calendar fields of `sec` (since 1970) into the time registers, in the form that register B asks for. */
void vrtc_fields_put(u8 *cmos, s64 sec);
/* The way back. Fields out of range are carried over (minute 75 is 15 past), so that any content is a time. */
s64 vrtc_fields_get(const u8 *cmos);
/* Seconds (at least 1) from `sec` to the next match of the alarm registers; -1: they match no time of day. */
s64 vrtc_alarm_after(const u8 *cmos, s64 sec);

#endif
