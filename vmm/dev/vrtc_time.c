/* SPDX-License-Identifier: MIT */
/*
 * The RTC's calendar: seconds since 1970 to the time registers and back, and when the alarm comes next. Called by
 * vrtc.c. MC146818A data sheet, "Time, Calendar, and Alarm Locations". Gregorian, years 0 to 9999.
 */
#include "vrtc_priv.h"

#define S_PER_DAY    86400
#define HOUR_PM      BIT(7)
#define ALARM_ANY    0xc0   /* "don't care": the two high bits set */
#define DAYS_PER_ERA 146097 /* 400 years */

static u8 encode(const u8 *cmos, unsigned value)
{
	if (cmos[RTC_B] & RTC_B_BINARY)
		return (u8)value;
	return (u8)(value / 10 << 4 | value % 10);
}

static unsigned decode(const u8 *cmos, u8 raw)
{
	if (cmos[RTC_B] & RTC_B_BINARY)
		return raw;
	return (raw >> 4) * 10U + (raw & 0xf);
}

static u8 encode_hour(const u8 *cmos, unsigned hour)
{
	if (cmos[RTC_B] & RTC_B_24H)
		return encode(cmos, hour);
	return encode(cmos, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const u8 *cmos, u8 raw)
{
	if (cmos[RTC_B] & RTC_B_24H)
		return decode(cmos, raw);
	return decode(cmos, raw & (u8)~HOUR_PM) % 12 + (raw & HOUR_PM ? 12 : 0);
}

/*
 * Days since 1970-01-01 of a Gregorian date. Years are counted from March, so that the leap day is a year's last: then
 * the days before month m (0: March) are (153 m + 2) / 5.
 */
static s64 days_from_date(unsigned year, unsigned month, unsigned day)
{
	/* An era earlier than year 0, so that January of year 0 is no negative year. */
	u64 y = (u64)year + 400 - (month <= 2);
	u64 m = month > 2 ? month - 3 : month + 9;
	u64 days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5;

	/* 719468 days from 0000-03-01 to 1970-01-01. `day` may be 0. */
	return (s64)days + (s64)day - 1 - DAYS_PER_ERA - 719468;
}

static void date_from_days(s64 days, unsigned *year, unsigned *month, unsigned *day)
{
	u64 n = (u64)(days + 719468 + DAYS_PER_ERA); /* since March 1st, 400 years before year 0 */
	u64 era = n / DAYS_PER_ERA;
	u64 doe = n % DAYS_PER_ERA;
	u64 yoe = (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
	u64 doy = doe - (yoe * 365 + yoe / 4 - yoe / 100);
	u64 m = (5 * doy + 2) / 153;

	*day = (unsigned)(doy - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = (unsigned)(era * 400 + yoe + (*month <= 2) + 10000 -
			   400); /* modulo 10000 is what counts */
}

static s64 floor_div(s64 a, s64 b)
{
	return a / b - (a % b < 0);
}

void vrtc_fields_put(u8 *cmos, s64 sec)
{
	s64 days = floor_div(sec, S_PER_DAY);
	unsigned rest = (unsigned)(sec - days * S_PER_DAY);
	unsigned year, month, day;

	date_from_days(days, &year, &month, &day);
	cmos[RTC_SECONDS] = encode(cmos, rest % 60);
	cmos[RTC_MINUTES] = encode(cmos, rest / 60 % 60);
	cmos[RTC_HOURS] = encode_hour(cmos, rest / 3600);
	/* 1970-01-01 was a Thursday. */
	cmos[RTC_WEEKDAY] = encode(cmos, (unsigned)(days - floor_div(days + 4, 7) * 7 + 4) + 1);
	cmos[RTC_MONTH_DAY] = encode(cmos, day);
	cmos[RTC_MONTH] = encode(cmos, month);
	cmos[RTC_YEAR] = encode(cmos, year % 100);
	cmos[RTC_CENTURY] = encode(cmos, year / 100 % 100);
}

s64 vrtc_fields_get(const u8 *cmos)
{
	unsigned year = decode(cmos, cmos[RTC_CENTURY]) % 100 * 100;
	unsigned month = decode(cmos, cmos[RTC_MONTH]);
	s64 days;

	year += decode(cmos, cmos[RTC_YEAR]) % 100;
	month = (month + 11) % 12 + 1;
	days = days_from_date(year, month, decode(cmos, cmos[RTC_MONTH_DAY]));
	return days * S_PER_DAY + (s64)decode_hour(cmos, cmos[RTC_HOURS]) * 3600 +
	       (s64)decode(cmos, cmos[RTC_MINUTES]) * 60 + (s64)decode(cmos, cmos[RTC_SECONDS]);
}

s64 vrtc_alarm_after(const u8 *cmos, s64 sec)
{
	bool any_h = cmos[RTC_HOURS_ALARM] >= ALARM_ANY;
	bool any_m = cmos[RTC_MINUTES_ALARM] >= ALARM_ANY;
	bool any_s = cmos[RTC_SECONDS_ALARM] >= ALARM_ANY;
	unsigned hour = any_h ? 0 : decode_hour(cmos, cmos[RTC_HOURS_ALARM]);
	unsigned minute = any_m ? 0 : decode(cmos, cmos[RTC_MINUTES_ALARM]);
	unsigned second = any_s ? 0 : decode(cmos, cmos[RTC_SECONDS_ALARM]);
	unsigned start = (unsigned)(sec - floor_div(sec, S_PER_DAY) * S_PER_DAY) + 1;
	unsigned t = start;

	if (hour > 23 || minute > 59 || second > 59)
		return -1;
	/* Each step goes to the start of the next unit that can match; the largest unit first. Few steps do. */
	for (;;) {
		unsigned h = t / 3600 % 24, m = t / 60 % 60, s = t % 60;

		if (!any_h && h != hour)
			t += (hour + 24 - h) % 24 * 3600 - m * 60 - s;
		else if (!any_m && m != minute)
			t += (minute + 60 - m) % 60 * 60 - s;
		else if (!any_s && s != second)
			t += (second + 60 - s) % 60;
		else
			return t - start + 1;
	}
}
