/* SPDX-License-Identifier: MIT */
/* The RTC under random accesses and steps of time: always a valid date, its line by the rule, no timer without a reason. */
/* SOURCES: vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/clock.c */
#include <vmm/vrtc.h>

#include "input.h"

enum { A = 0x0a, B = 0x0b, C = 0x0c, D = 0x0d };

static u64 ticks;
static struct clock test_clock;
static struct vrtc rtc;
static bool line;

static u64 now(void)
{
	return ticks;
}

static void on_irq(unused void *ctx, unused unsigned pin, bool level)
{
	INVARIANT(level != line);
	line = level;
}

static u8 rd(u8 reg)
{
	u8 index = rtc.index;
	u64 value;

	vrtc_bus_ops.write(&rtc, 0, 1, reg);
	value = vrtc_bus_ops.read(&rtc, 1, 1);
	INVARIANT(value <= 0xff);
	vrtc_bus_ops.write(&rtc, 0, 1, index);
	return (u8)value;
}

static unsigned field(u8 reg)
{
	u8 raw = rd(reg);

	if (reg == 4 && !(rd(B) & 2)) /* 12 h */
		raw &= 0x7f;
	if (rd(B) & 4)
		return raw;
	INVARIANT((raw & 0xf) < 10 && raw >> 4 < 10);
	return (raw >> 4) * 10U + (raw & 0xf);
}

static void check(void)
{
	u8 b = rtc.cmos[B], c = rtc.cmos[C];
	const struct timer *t = test_clock.head;

	INVARIANT(line == ((b & c & 0x70) != 0));
	INVARIANT((c & 0x80) == (line ? 0x80 : 0) && !(c & 0xf));
	INVARIANT(!(b & 0x80) || !(b & 0x10)); /* SET keeps UIE off */
	INVARIANT(!t || (b & 0x70 && !line && t == &rtc.timer && !t->next));
	INVARIANT(rtc.frozen == (b >> 7 || (rtc.cmos[A] & 0x60) == 0x60));
	INVARIANT(!(rtc.cmos[A] & 0x80));
	INVARIANT(rd(D) == 0x80);
	if (rtc.frozen)
		return;
	INVARIANT(field(0) < 60 && field(2) < 60 && field(4) < 24);
	INVARIANT(field(6) >= 1 && field(6) <= 7);
	INVARIANT(field(7) >= 1 && field(7) <= 31);
	INVARIANT(field(8) >= 1 && field(8) <= 12);
	INVARIANT(field(9) < 100 && field(0x32) < 100);
}

static void pass(u64 span)
{
	/* A clock that does not wrap in the test: 100 years and more. */
	if (ticks + span > 1ULL << 62)
		return;
	ticks += span;
	/* What is set again is in the future: the host is not kept busy. */
	INVARIANT(clock_run(&test_clock, ticks) > ticks);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct irq_line irq = {.set = on_irq};

	ticks = 0;
	line = false;
	clock_init(&test_clock, now, 1000000000ULL, NULL);
	vrtc_init(&rtc, &test_clock, (s64)input_number(&in, 8), &irq);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what < 0x50) {
			vrtc_bus_ops.read(&rtc, what & 1, 1);
		} else if (what < 0x58) {
			vrtc_bus_ops.read(&rtc, 0, 2);
		} else if (what < 0x60) {
			vrtc_bus_ops.write(&rtc, 0, 2, input_number(&in, 2));
		} else if (what < 0x70) {
			vrtc_bus_ops.write(&rtc, 0, 1, input_u8(&in));
		} else if (what < 0xc0) {
			/* Mostly the registers that do something. */
			vrtc_bus_ops.write(&rtc, 0, 1, what & 0xf);
			vrtc_bus_ops.write(&rtc, 1, 1, input_u8(&in));
		} else if (what < 0xfe) {
			pass(input_span(&in));
		} else {
			vrtc_reset(&rtc);
		}
		check();
	}
	return 0;
}
