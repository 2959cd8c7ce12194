/* SPDX-License-Identifier: MIT */
/* Tests of the RTC: time in all its forms, setting it, alarm, update and periodic interrupts, idle timers. */
/* SOURCES: vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/clock.c */
#include <vmm/vrtc.h>

#include "test/mock/timer_test.h"

enum { A = 0x0a, B = 0x0b, C = 0x0c, D = 0x0d, CENTURY = 0x32 };

#define SET    0x80
#define PIE    0x40
#define AIE    0x20
#define UIE    0x10
#define BINARY 0x04
#define H24    0x02
#define IRQF   0x80
#define UIP    0x80

#define SECOND 2400000000ULL /* ticks */
#define MS     (SECOND / 1000)

/* Wednesday, 28 February 2024, 23:59:50 UTC */
#define EPOCH 1709164790LL

static struct vrtc rtc;

static void start(s64 epoch_ns)
{
	clock_start(SECOND);
	vrtc_init(&rtc, &test_clock, epoch_ns - 5000000000LL, &(struct irq_line){on_irq, NULL, 8});
}

static int setup(unused void **state)
{
	start(EPOCH * 1000000000LL);
	return 0;
}

static u8 rd(u8 reg)
{
	vrtc_bus_ops.write(&rtc, 0, 1, reg);
	return (u8)vrtc_bus_ops.read(&rtc, 1, 1);
}

static void wr(u8 reg, u8 value)
{
	vrtc_bus_ops.write(&rtc, 0, 1, reg);
	vrtc_bus_ops.write(&rtc, 1, 1, value);
}

static void assert_time(u8 century, u8 year, u8 month, u8 day, u8 hour, u8 minute, u8 second)
{
	assert_int_equal(rd(CENTURY), century);
	assert_int_equal(rd(9), year);
	assert_int_equal(rd(8), month);
	assert_int_equal(rd(7), day);
	assert_int_equal(rd(4), hour);
	assert_int_equal(rd(2), minute);
	assert_int_equal(rd(0), second);
}

static void set_date(u8 century, u8 year, u8 month, u8 day)
{
	wr(B, rd(B) | SET);
	wr(CENTURY, century);
	wr(9, year);
	wr(8, month);
	wr(7, day);
	wr(B, rd(B) & (u8)~SET);
}

/* ---- Time --------------------------------------------------------------------------------- */

static void bcd_24_hours(unused void **state)
{
	assert_int_equal(rd(B), H24);
	assert_int_equal(rd(A), 0x26);
	assert_int_equal(rd(D), 0x80);
	assert_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x50);
	assert_int_equal(rd(6), 4); /* Wednesday */
	pass(10 * SECOND);
	assert_time(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
	assert_int_equal(rd(6), 5);
	pass(86400 * SECOND);
	assert_time(0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
}

static void binary(unused void **state)
{
	wr(B, BINARY | H24);
	assert_time(20, 24, 2, 28, 23, 59, 50);
}

static void twelve_hours(unused void **state)
{
	unsigned h;

	wr(B, 0);
	assert_int_equal(rd(4), 0x91); /* 11 pm */
	wr(B, BINARY);
	pass(10 * SECOND);
	for (h = 0; h < 24; h++) {
		assert_int_equal(rd(4), (h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0));
		pass(3600 * SECOND);
	}
}

static void calendar_against_known_days(unused void **state)
{
	static const struct {
		s64 sec;
		u8 century, year, month, day, weekday;
	} days[] = {
		{0, 0x19, 0x70, 0x01, 0x01, 5},           {-86400, 0x19, 0x69, 0x12, 0x31, 4},
		{951782400, 0x20, 0x00, 0x02, 0x29, 3},   {946684800, 0x20, 0x00, 0x01, 0x01, 7},
		{978220800, 0x20, 0x00, 0x12, 0x31, 1},   {4107542400, 0x21, 0x00, 0x03, 0x01, 2},
		{-2203977600, 0x19, 0x00, 0x02, 0x28, 4}, {-2203891200, 0x19, 0x00, 0x03, 0x01, 5},
		{9214560000, 0x22, 0x61, 0x12, 0x31, 3},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(days); i++) {
		start(days[i].sec * 1000000000LL);
		assert_time(days[i].century, days[i].year, days[i].month, days[i].day, 0, 0, 0);
		assert_int_equal(rd(6), days[i].weekday);
	}
}

static void every_day_of_400_years_goes_round(unused void **state)
{
	unsigned day;

	start(0);
	test_clock.hz = 1000; /* 400 years are too many ticks of a fast clock */
	wr(B, BINARY | H24);
	set_date(18, 0, 1, 1);
	for (day = 0; day < 146097; day += 13) {
		u8 c = rd(CENTURY), y = rd(9), m = rd(8), d = rd(7), w = rd(6);

		set_date(c, y, m, d);
		assert_int_equal(rd(CENTURY), c);
		assert_int_equal(rd(9), y);
		assert_int_equal(rd(8), m);
		assert_int_equal(rd(7), d);
		assert_int_equal(rd(6), w);
		assert_int_equal(w, (3 + day) % 7 + 1); /* 1 January 1800 was a Wednesday */
		pass(13 * 86400 * 1000);
	}
	assert_int_equal(rd(CENTURY), 22);
}

static void before_the_epoch_with_a_fraction(unused void **state)
{
	start(-1);
	assert_time(0x19, 0x69, 0x12, 0x31, 0x23, 0x59, 0x59);
	pass(1 * MS);
	assert_time(0x19, 0x70, 0x01, 0x01, 0x00, 0x00, 0x00);
}

static void uip_leads_the_update_by_244_us(unused void **state)
{
	assert_int_equal(rd(A) & UIP, 0);
	pass(999 * MS);
	assert_int_equal(rd(A) & UIP, 0);
	pass(MS * 757 / 1000);
	assert_int_equal(rd(A) & UIP, UIP);
	assert_int_equal(rd(0), 0x50);
	pass(MS * 243 / 1000 + 1);
	assert_int_equal(rd(A) & UIP, 0);
	assert_int_equal(rd(0), 0x51);
}

/* ---- Setting it --------------------------------------------------------------------------- */

static void setting_the_time(unused void **state)
{
	pass(300 * MS);
	wr(B, SET | H24);
	/* Stopped. */
	pass(5 * SECOND);
	assert_int_equal(rd(0), 0x50);
	wr(CENTURY, 0x19);
	wr(9, 0x99);
	wr(8, 0x12);
	wr(7, 0x31);
	wr(4, 0x23);
	wr(2, 0x59);
	wr(0, 0x58);
	assert_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	assert_int_equal(rd(A) & UIP, 0);
	wr(B, H24);
	assert_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	/* The divider has been running: the next second begins where it would have. */
	pass(699 * MS);
	assert_int_equal(rd(0), 0x58);
	pass(2 * MS);
	assert_int_equal(rd(0), 0x59);
	pass(SECOND);
	assert_time(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
}

/* drivers/rtc/rtc-mc146818-lib.c: SET, divider in reset, the time, SET off, divider on: half a second to the next. */
static void setting_it_with_the_divider_in_reset(unused void **state)
{
	wr(B, SET | H24);
	wr(A, 0x76);
	wr(0, 0x30);
	wr(B, H24);
	pass(3 * SECOND);
	assert_int_equal(rd(0), 0x30);
	wr(A, 0x26);
	assert_int_equal(rd(0), 0x30);
	pass(499 * MS);
	assert_int_equal(rd(0), 0x30);
	pass(2 * MS);
	assert_int_equal(rd(0), 0x31);
}

static void the_divider_in_reset_stops_the_time(unused void **state)
{
	wr(A, 0x66);
	pass(5 * SECOND);
	assert_int_equal(rd(0), 0x50);
	assert_int_equal(rd(C), 0);
	wr(A, 0x26);
	assert_int_equal(rd(0), 0x50);
	pass(501 * MS);
	assert_int_equal(rd(0), 0x51);
}

static void setting_it_in_another_form(unused void **state)
{
	wr(B, SET | BINARY);
	wr(4, 0x80 | 12); /* 12 pm: noon */
	wr(2, 34);
	wr(0, 56);
	wr(7, 9);
	wr(8, 8);
	wr(9, 26);
	wr(CENTURY, 20);
	wr(B, BINARY);
	assert_time(20, 26, 8, 9, 0x80 | 12, 34, 56);
	wr(B, H24);
	assert_time(0x20, 0x26, 0x08, 0x09, 0x12, 0x34, 0x56);
}

static void writing_one_register_while_it_runs(unused void **state)
{
	wr(2, 0x15);
	assert_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x15, 0x50);
	pass(SECOND);
	assert_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x15, 0x51);
}

static void writing_while_it_runs_keeps_the_phase(unused void **state)
{
	pass(300 * MS);
	wr(9, 0x25);
	wr(2, 0x10);
	assert_time(0x20, 0x25, 0x02, 0x28, 0x23, 0x10, 0x50);
	pass(699 * MS);
	assert_int_equal(rd(0), 0x50);
	pass(2 * MS);
	assert_int_equal(rd(0), 0x51);
}

static void the_divider_is_released_at_any_phase(unused void **state)
{
	unsigned phase;

	for (phase = 0; phase < 1000; phase += 100) {
		start(EPOCH * 1000000000LL + phase * 1000000LL + 1);
		pass(phase * MS * 7 / 3);
		wr(A, 0x76);
		wr(0, 0x20);
		wr(A, 0x26);
		pass(499 * MS);
		assert_int_equal(rd(0), 0x20);
		pass(2 * MS);
		assert_int_equal(rd(0), 0x21);
		assert_true(rtc.base.ns < 1000000000);
	}
}

static void any_content_is_a_time(unused void **state)
{
	static const u8 regs[] = {0, 2, 4, 6, 7, 8, 9, CENTURY};
	unsigned value, i;

	for (value = 0; value < 256; value++) {
		wr(B, (u8)(SET | (value & 6)));
		for (i = 0; i < ARRAY_SIZE(regs); i++) {
			wr(regs[i], (u8)value);
			assert_int_equal(rd(regs[i]), value);
		}
		wr(B, H24);
		assert_in_range(rd(8), 1, 0x12);
		assert_in_range(rd(7), 1, 0x31);
		assert_in_range(rd(6), 1, 7);
		assert_in_range(rd(4), 0, 0x23);
		assert_in_range(rd(2), 0, 0x59);
		assert_in_range(rd(0), 0, 0x59);
		pass(SECOND);
	}
}

/* ---- Interrupts --------------------------------------------------------------------------- */

static void an_idle_clock_has_no_timer(unused void **state)
{
	assert_null(test_clock.head);
	assert_int_equal(rd(C), 0);
	pass(10 * SECOND);
	/* The flags are there all the same. */
	assert_int_equal(rd(C) & 0x50, 0x50);
	assert_int_equal(rd(C), 0);
	assert_null(test_clock.head);
	assert_int_equal(rises, 0);
}

static void update_interrupt(unused void **state)
{
	rd(C);
	wr(B, H24 | UIE);
	assert_non_null(test_clock.head);
	pass(SECOND - 1);
	assert_false(line);
	pass(10);
	assert_true(line);
	/* Nothing more until register C is read. */
	assert_null(test_clock.head);
	pass(5 * SECOND);
	assert_int_equal(rises, 1);
	assert_int_equal(rd(C) & (IRQF | UIE), IRQF | UIE);
	assert_false(line);
	assert_non_null(test_clock.head);
	pass(SECOND);
	assert_int_equal(rises, 2);
	wr(B, H24);
	assert_false(line);
	assert_null(test_clock.head);
	/* SET going up turns it off. */
	wr(B, H24 | UIE);
	wr(B, H24 | UIE | SET);
	assert_int_equal(rd(B), H24 | SET);
}

static void a_flag_that_stands_interrupts_when_enabled(unused void **state)
{
	pass(2 * SECOND);
	wr(B, H24 | UIE);
	assert_true(line);
}

static void periodic_interrupt(unused void **state)
{
	static const struct {
		u8 rate;
		unsigned hz;
	} rows[] = {{1, 256},  {2, 128}, {3, 8192}, {4, 4096},
		    {6, 1024}, {12, 16}, {14, 4},   {15, 2}};
	unsigned i;
	u64 end;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(NULL);
		wr(A, 0x20 | rows[i].rate);
		rd(C);
		wr(B, H24 | PIE);
		end = ticks + 3 * SECOND + SECOND / 100000;
		while (test_clock.head && test_clock.head->deadline <= end) {
			pass(test_clock.head->deadline - ticks);
			assert_true(line);
			assert_int_equal(rd(C) & (IRQF | PIE), IRQF | PIE);
		}
		assert_int_equal(rises, 3 * rows[i].hz);
	}
	wr(A, 0x20);
	assert_null(test_clock.head);
	rd(C);
	pass(SECOND);
	assert_int_equal(rd(C) & PIE, 0);
}

static void alarm_at_a_time(unused void **state)
{
	wr(5, 0x00);
	wr(3, 0x01);
	wr(1, 0x05);
	rd(C);
	wr(B, H24 | AIE);
	/* From 23:59:50 to 00:01:05. */
	pass(75 * SECOND - 1);
	assert_false(line);
	pass(10);
	assert_true(line);
	assert_int_equal(rd(C) & (IRQF | AIE), IRQF | AIE);
	assert_false(line);
	pass(86400 * SECOND - 20);
	assert_false(line);
	pass(20);
	assert_true(line);
}

static void alarm_wildcards(unused void **state)
{
	/* Alarm registers, and seconds until the first and the second match from 23:59:50. */
	static const struct {
		u8 hour, minute, second;
		unsigned first, then;
	} rows[] = {
		{0xff, 0xff, 0xff, 1, 1},         {0xc0, 0xc0, 0x00, 10, 60},
		{0xff, 0xff, 0x50, 60, 60},       {0xff, 0x30, 0x00, 1810, 3600},
		{0xff, 0x59, 0xff, 1, 1},         {0x01, 0xff, 0xff, 3610, 1},
		{0x23, 0x59, 0x50, 86400, 86400}, {0x23, 0x59, 0x51, 1, 86400},
		{0xff, 0x58, 0x59, 3549, 3600},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(NULL);
		wr(5, rows[i].hour);
		wr(3, rows[i].minute);
		wr(1, rows[i].second);
		rd(C);
		wr(B, H24 | AIE);
		pass(rows[i].first * SECOND - 10);
		assert_false(line);
		pass(20);
		assert_true(line);
		rd(C);
		pass(rows[i].then * SECOND - 20);
		assert_false(line);
		pass(20);
		assert_true(line);
	}
}

static void moving_the_alarm_moves_its_timer(unused void **state)
{
	rd(C);
	wr(5, 0x12);
	wr(B, H24 | AIE);
	wr(5, 0x00);
	pass(10 * SECOND + 10);
	assert_true(line);
}

/* The flag is for what the alarm was when its time came. */
static void an_alarm_that_has_come_stays_when_it_is_moved(unused void **state)
{
	wr(5, 0xff);
	wr(3, 0xff);
	wr(1, 0x55);
	rd(C);
	pass(7 * SECOND);
	wr(1, 0x99);
	assert_int_equal(rd(C) & AIE, AIE);
}

static void an_alarm_that_matches_never(unused void **state)
{
	static const u8 bad[][3] = {{0x24, 0, 0}, {0, 0x60, 0}, {0, 0, 0x7f}, {0xbf, 0, 0}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		setup(NULL);
		wr(5, bad[i][0]);
		wr(3, bad[i][1]);
		wr(1, bad[i][2]);
		wr(B, H24 | AIE);
		assert_null(test_clock.head);
		pass(200000 * SECOND);
		assert_int_equal(rd(C) & AIE, 0);
	}
}

static void alarm_in_twelve_hour_form(unused void **state)
{
	wr(B, BINARY);
	wr(5, 12); /* midnight */
	wr(3, 0);
	wr(1, 0);
	rd(C);
	wr(B, BINARY | AIE);
	pass(10 * SECOND + 10);
	assert_true(line);
}

static void no_alarm_while_the_time_stands(unused void **state)
{
	wr(5, 0xff);
	wr(3, 0xff);
	wr(1, 0xff);
	rd(C);
	wr(B, H24 | AIE | SET);
	assert_null(test_clock.head);
	pass(10 * SECOND);
	assert_int_equal(rd(C) & (AIE | UIE), 0);
	wr(B, H24 | AIE);
	assert_false(line);
	pass(SECOND + 10);
	assert_true(line);
}

/* Setting the clock past the alarm is no alarm; setting it back makes it come again. */
static void setting_the_time_moves_the_alarm(unused void **state)
{
	wr(5, 0x12);
	wr(3, 0x00);
	wr(1, 0x00);
	rd(C);
	wr(B, H24 | AIE);
	wr(4, 0x12); /* 12:59:50 */
	pass(10);
	assert_false(line);
	wr(4, 0x11); /* 11:59:50 */
	pass(10 * SECOND);
	assert_true(line);
}

/* ---- Ports, memory, reset ----------------------------------------------------------------- */

static void memory_and_ports(unused void **state)
{
	unsigned reg;

	for (reg = 0x0e; reg < 0x80; reg++) {
		if (reg == CENTURY)
			continue;
		assert_int_equal(rd((u8)reg), 0);
		wr((u8)reg, (u8)(reg ^ 0x5a));
	}
	for (reg = 0x0e; reg < 0x80; reg++) {
		if (reg != CENTURY)
			assert_int_equal(rd((u8)(reg | 0x80)), reg ^ 0x5a); /* bit 7: NMI mask */
	}
	assert_int_equal(vrtc_bus_ops.read(&rtc, 0, 1), 0xff);
	/* Read only: C, D, UIP. */
	wr(C, 0xff);
	wr(D, 0);
	wr(A, 0xa6);
	assert_int_equal(rd(D), 0x80);
	assert_int_equal(rd(A), 0x26);
	/* Index and data in one access. */
	vrtc_bus_ops.write(&rtc, 0, 2, 0x7740);
	assert_int_equal(rd(0x40), 0x77);
	assert_int_equal(vrtc_bus_ops.read(&rtc, 0, 2), 0x77ff);
}

static void reset_keeps_time_and_memory(unused void **state)
{
	wr(0x40, 0x12);
	wr(4, 0x05);
	wr(B, BINARY | H24 | UIE | PIE | AIE);
	pass(2 * SECOND);
	assert_true(line);
	vrtc_reset(&rtc);
	assert_false(line);
	assert_null(test_clock.head);
	assert_int_equal(rd(B), BINARY | H24);
	assert_int_equal(rd(C), 0);
	assert_int_equal(rd(0x40), 0x12);
	assert_time(20, 24, 2, 28, 5, 59, 52);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bcd_24_hours, setup),
		cmocka_unit_test_setup(binary, setup),
		cmocka_unit_test_setup(twelve_hours, setup),
		cmocka_unit_test_setup(calendar_against_known_days, setup),
		cmocka_unit_test_setup(every_day_of_400_years_goes_round, setup),
		cmocka_unit_test_setup(before_the_epoch_with_a_fraction, setup),
		cmocka_unit_test_setup(uip_leads_the_update_by_244_us, setup),
		cmocka_unit_test_setup(setting_the_time, setup),
		cmocka_unit_test_setup(setting_it_with_the_divider_in_reset, setup),
		cmocka_unit_test_setup(the_divider_in_reset_stops_the_time, setup),
		cmocka_unit_test_setup(setting_it_in_another_form, setup),
		cmocka_unit_test_setup(writing_one_register_while_it_runs, setup),
		cmocka_unit_test_setup(the_divider_is_released_at_any_phase, setup),
		cmocka_unit_test_setup(writing_while_it_runs_keeps_the_phase, setup),
		cmocka_unit_test_setup(any_content_is_a_time, setup),
		cmocka_unit_test_setup(an_idle_clock_has_no_timer, setup),
		cmocka_unit_test_setup(update_interrupt, setup),
		cmocka_unit_test_setup(a_flag_that_stands_interrupts_when_enabled, setup),
		cmocka_unit_test_setup(periodic_interrupt, setup),
		cmocka_unit_test_setup(alarm_at_a_time, setup),
		cmocka_unit_test_setup(alarm_wildcards, setup),
		cmocka_unit_test_setup(moving_the_alarm_moves_its_timer, setup),
		cmocka_unit_test_setup(an_alarm_that_has_come_stays_when_it_is_moved, setup),
		cmocka_unit_test_setup(an_alarm_that_matches_never, setup),
		cmocka_unit_test_setup(alarm_in_twelve_hour_form, setup),
		cmocka_unit_test_setup(no_alarm_while_the_time_stands, setup),
		cmocka_unit_test_setup(setting_the_time_moves_the_alarm, setup),
		cmocka_unit_test_setup(memory_and_ports, setup),
		cmocka_unit_test_setup(reset_keeps_time_and_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
