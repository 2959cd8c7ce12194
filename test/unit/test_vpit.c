/* SPDX-License-Identifier: MIT */
/* Tests of the 8254: access to counters, all modes cycle by cycle, gate, BCD, IRQ 0 without drift or storm, port 0x61. */
/* SOURCES: vmm/dev/vpit.c vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/vpit.h>

/* Control words: access, mode */
enum { LATCH = 0x00, LOW = 0x10, HIGH = 0x20, BOTH = 0x30, BCD = 0x01 };

#define MODE(m)   ((m) << 1)
#define COUNTER2  0x80
#define OUT       0x80
#define NULL_CNT  0x40
#define GATE2     0x01
#define REFRESH   0x10
#define OUT2      0x20
#define READ_BACK 0xc0
#define NO_COUNT  0x20
#define NO_STATUS 0x10

static u64 ticks;
static struct clock test_clock;
static struct vpit pit;
static bool line;
static unsigned rises;

static u64 now(void)
{
	return ticks;
}

static void on_irq(unused void *ctx, unused unsigned pin, bool level)
{
	assert_int_not_equal(level, line);
	line = level;
	rises += level;
}

static void start(u64 hz)
{
	ticks = 5 * hz;
	line = false;
	rises = 0;
	clock_init(&test_clock, now, hz, NULL);
	vpit_init(&pit, &test_clock, &(struct irq_line){on_irq, NULL, 0});
}

/* One tick of the clock is one cycle of the counters. */
static int setup(unused void **state)
{
	start(VPIT_HZ);
	return 0;
}

/* With a real host's rate. */
static int setup_ghz(unused void **state)
{
	start(2400000000ULL);
	return 0;
}

static void pass(u64 n)
{
	ticks += n;
	clock_run(&test_clock, ticks);
}

static void wr(unsigned port, u8 value)
{
	vpit_bus_ops.write(&pit, port, 1, value);
}

static u8 rd(unsigned port)
{
	return (u8)vpit_bus_ops.read(&pit, port, 1);
}

static void wr61(u8 value)
{
	vpit_port61_bus_ops.write(&pit, 0, 1, value);
}

static u8 rd61(void)
{
	return (u8)vpit_port61_bus_ops.read(&pit, 0, 1);
}

static void wr16(unsigned port, u16 value)
{
	wr(port, (u8)value);
	wr(port, (u8)(value >> 8));
}

static u16 rd16(unsigned port)
{
	u16 low = rd(port);

	return (u16)(low | rd(port) << 8);
}

/* Counter 2 in two-byte access. */
static void start2(unsigned mode, u16 count)
{
	wr(3, (u8)(COUNTER2 | BOTH | MODE(mode)));
	wr16(2, count);
}

static bool out2(void)
{
	return (rd61() & OUT2) != 0;
}

static u8 status(unsigned n)
{
	wr(3, (u8)(READ_BACK | NO_COUNT | 2U << n));
	return rd(n);
}

/* What counter 2 reads, and its output, in each of the cycles to come. */
static void assert_cycles(const u16 *values, const char *outs)
{
	unsigned i;

	for (i = 0; outs[i]; i++) {
		assert_int_equal(rd16(2), values[i]);
		assert_int_equal(out2(), outs[i] == '1');
		pass(1);
	}
}

#define ASSERT_CYCLES(outs, ...) assert_cycles((const u16[]){__VA_ARGS__}, outs)

/* ---- Access ------------------------------------------------------------------------------- */

static void at_first_nothing_counts(unused void **state)
{
	unsigned n;

	pass(100000);
	for (n = 0; n < 3; n++) {
		assert_int_equal(status(n), NULL_CNT | BOTH);
		assert_int_equal(rd16(n), 0);
	}
	assert_null(test_clock.head);
	assert_int_equal(rises, 0);
	assert_int_equal(rd(3), 0xff);
}

static void one_byte_and_two(unused void **state)
{
	wr61(GATE2);
	wr(3, COUNTER2 | LOW | MODE(0));
	wr(2, 0x77);
	pass(1);
	assert_int_equal(rd(2), 0x77);
	assert_int_equal(rd(2), 0x77);
	pass(0x77);
	assert_true(out2());
	wr(3, COUNTER2 | HIGH | MODE(0));
	wr(2, 0x12);
	pass(1);
	assert_int_equal(rd(2), 0x12);
	pass(1);
	assert_int_equal(rd(2), 0x11);
	pass(0x11fe);
	assert_false(out2());
	pass(1);
	assert_true(out2());
	wr(3, COUNTER2 | BOTH | MODE(0));
	wr(2, 0x34);
	wr(2, 0x12);
	pass(1);
	assert_int_equal(rd(2), 0x34);
	assert_int_equal(rd(2), 0x12);
	assert_int_equal(rd(2), 0x34);
	/* A control word starts over, for reads and writes. */
	wr(2, 0xff);
	wr(3, COUNTER2 | BOTH | MODE(0));
	wr16(2, 0x5678);
	pass(1);
	assert_int_equal(rd16(2), 0x5678);
}

static void latch_command(unused void **state)
{
	wr61(GATE2);
	start2(2, 0x1000);
	pass(1);
	wr(3, COUNTER2 | LATCH);
	pass(0x10);
	/* The second one is ignored until the first has been read. */
	wr(3, COUNTER2 | LATCH);
	assert_int_equal(rd(2), 0x00);
	pass(5);
	assert_int_equal(rd(2), 0x10);
	assert_int_equal(rd16(2), 0x0feb);
	/* Until it is read, or until a control word. */
	wr(3, COUNTER2 | LATCH);
	start2(2, 0x2000);
	pass(1);
	assert_int_equal(rd16(2), 0x2000);
	/* One byte is all there is of it. */
	wr(3, COUNTER2 | LOW | MODE(2));
	wr(2, 0x80);
	pass(1);
	wr(3, COUNTER2 | LATCH);
	pass(2);
	assert_int_equal(rd(2), 0x80);
	assert_int_equal(rd(2), 0x7e);
}

static void read_back_command(unused void **state)
{
	wr61(GATE2);
	start2(3, 0x1000);
	wr(3, 0x40 | LOW | MODE(2));
	wr(1, 18);
	pass(5);
	/* Status first, then the count, of both. */
	wr(3, READ_BACK | 0x08 | 0x04);
	pass(100);
	wr(3, READ_BACK | 0x08);
	assert_int_equal(rd(2), OUT | BOTH | MODE(3));
	assert_int_equal(rd16(2), 0x1000 - 8);
	assert_int_equal(rd16(2), 0x1000 - 208);
	assert_int_equal(rd(1), OUT | LOW | MODE(2));
	assert_int_equal(rd(1), 18 - 4);
	assert_int_equal(rd(1), 18 - 104 % 18);
	/* A status that has not been read stays, too. */
	wr(3, READ_BACK | NO_COUNT | 0x08);
	wr(2, 1);
	wr(2, 0x10);
	wr(3, READ_BACK | NO_COUNT | 0x08);
	assert_int_equal(rd(2), OUT | BOTH | MODE(3));
	start2(3, 0x1000);
	pass(105);
	/* Either alone. */
	wr(3, READ_BACK | NO_STATUS | 0x08);
	pass(1);
	assert_int_equal(rd16(2), 0x1000 - 208);
	wr(3, READ_BACK | NO_COUNT | 0x08);
	pass(0x1000 / 2);
	assert_int_equal(rd(2), OUT | BOTH | MODE(3));
	assert_int_equal(status(2), BOTH | MODE(3));
	wr(3, READ_BACK | NO_COUNT | NO_STATUS | 0x0e);
	assert_int_equal(rd16(2), 0x1000 - 210);
}

static void the_mode_is_told_as_written(unused void **state)
{
	unsigned mode;

	for (mode = 0; mode < 8; mode++) {
		wr(3, (u8)(COUNTER2 | LOW | MODE(mode) | BCD));
		assert_int_equal(status(2), LOW | MODE(mode) | BCD | NULL_CNT | (mode ? OUT : 0));
	}
}

static void null_count(unused void **state)
{
	wr61(GATE2);
	wr(3, COUNTER2 | BOTH | MODE(2));
	assert_true(status(2) & NULL_CNT);
	pass(5);
	wr16(2, 10);
	assert_true(status(2) & NULL_CNT);
	pass(1);
	assert_false(status(2) & NULL_CNT);
	/* The first byte is no count yet. */
	wr(2, 20);
	assert_false(status(2) & NULL_CNT);
	wr(2, 0);
	assert_true(status(2) & NULL_CNT);
	pass(9);
	assert_true(status(2) & NULL_CNT);
	pass(1);
	assert_false(status(2) & NULL_CNT);
	assert_int_equal(rd16(2), 20);
}

static void wide_accesses(unused void **state)
{
	vpit_bus_ops.write(&pit, 0, 4, 0x30000000); /* the counts come before the control word */
	vpit_bus_ops.write(&pit, 2, 2, 0x9000 | 5);
	assert_int_equal(status(2), LOW | MODE(0) | NULL_CNT);
	assert_int_equal(vpit_bus_ops.read(&pit, 2, 2) >> 8, 0xff);
}

/* ---- Modes, cycle by cycle ("Mode Definitions", figures 15 to 20) ------------------------------ */

static void mode_0(unused void **state)
{
	wr61(GATE2);
	start2(0, 4);
	pass(1);
	ASSERT_CYCLES("0000111", 4, 3, 2, 1, 0, 0xffff, 0xfffe);
	/* A new count. The first byte stops it, and its output is low at once. */
	wr(2, 3);
	assert_int_equal(rd16(2), 0xfffd);
	pass(10);
	ASSERT_CYCLES("00", 0xfffd, 0xfffd);
	wr(2, 0);
	pass(1);
	ASSERT_CYCLES("0001", 3, 2, 1, 0);
	/* The first byte of one comes before another has been loaded. */
	wr16(2, 9);
	wr(2, 3);
	pass(2);
	ASSERT_CYCLES("00", 0xffff, 0xffff);
	wr(2, 0);
	pass(1);
	ASSERT_CYCLES("0001", 3, 2, 1, 0);
	/* In the middle of counting. */
	wr(3, COUNTER2 | LOW | MODE(0));
	wr(2, 10);
	pass(3);
	assert_int_equal(rd(2), 8);
	wr(2, 2);
	pass(1);
	assert_int_equal(rd(2), 2);
	assert_false(out2());
	pass(2);
	assert_true(out2());
}

static void mode_0_gate(unused void **state)
{
	/* "If an initial count is written while GATE = 0, it will still be loaded on the next CLK pulse." */
	start2(0, 4);
	pass(1);
	ASSERT_CYCLES("000", 4, 4, 4);
	wr61(GATE2);
	ASSERT_CYCLES("00", 4, 3);
	wr61(0);
	ASSERT_CYCLES("000", 2, 2, 2);
	wr61(GATE2);
	ASSERT_CYCLES("0011", 2, 1, 0, 0xffff);
	wr61(0);
	assert_true(out2());
}

static void mode_1(unused void **state)
{
	start2(1, 3);
	pass(10);
	assert_true(out2());
	assert_true(status(2) & NULL_CNT);
	wr61(GATE2);
	assert_true(out2());
	pass(1);
	assert_false(status(2) & NULL_CNT);
	ASSERT_CYCLES("00011", 3, 2, 1, 0, 0xffff);
	/* The level of the gate is nothing to it; a trigger starts it over, with a new count if there is one. */
	wr61(0);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("00", 3, 2);
	wr16(2, 5);
	wr61(0);
	ASSERT_CYCLES("01", 1, 0);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("00", 5, 4);
	wr61(0);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("000001", 5, 4, 3, 2, 1, 0);
	/* No count, no shot. */
	wr(3, COUNTER2 | BOTH | MODE(1));
	wr61(0);
	wr61(GATE2);
	pass(5);
	assert_true(out2());
}

static void mode_2(unused void **state)
{
	wr61(GATE2);
	start2(2, 3);
	pass(1);
	ASSERT_CYCLES("1101101", 3, 2, 1, 3, 2, 1, 3);
	/* A new count waits for the end of the period. */
	wr16(2, 4);
	ASSERT_CYCLES("101110", 2, 1, 4, 3, 2, 1);
	/* Gate low: output high at once, no counting; a rising gate starts over. */
	pass(3);
	assert_false(out2());
	wr61(0);
	ASSERT_CYCLES("111", 1, 1, 1);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("11101", 4, 3, 2, 1, 4);
	/* A trigger between a new count and the end of the period loads it. */
	wr16(2, 2);
	wr61(0);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("1010", 2, 1, 2, 1);
	/* Loaded but not counted with the gate low. */
	wr61(0);
	start2(6, 9);
	pass(1);
	ASSERT_CYCLES("11", 9, 9);
	wr16(2, 5);
	pass(1);
	ASSERT_CYCLES("11", 5, 5);
	/* With the gate low no period ends. */
	wr61(GATE2);
	pass(2);
	wr16(2, 7);
	wr61(0);
	pass(10);
	ASSERT_CYCLES("11", 4, 4);
	assert_true(status(2) & NULL_CNT);
	/* 1 is illegal. */
	wr61(GATE2);
	start2(2, 1);
	pass(1);
	ASSERT_CYCLES("1010", 2, 1, 2, 1);
}

static void mode_3_even(unused void **state)
{
	wr61(GATE2);
	start2(3, 4);
	pass(1);
	ASSERT_CYCLES("110011001", 4, 2, 4, 2, 4, 2, 4, 2, 4);
	/* A new count waits for the end of the half cycle: here the high one, */
	wr16(2, 6);
	ASSERT_CYCLES("100011100", 2, 6, 4, 2, 6, 4, 2, 6, 4);
	/* here the low one. */
	wr16(2, 2);
	ASSERT_CYCLES("010101", 2, 2, 2, 2, 2, 2);
}

static void mode_3_odd(unused void **state)
{
	wr61(GATE2);
	start2(7, 5);
	pass(1);
	ASSERT_CYCLES("111001110", 4, 2, 0, 4, 2, 4, 2, 0, 4);
	wr16(2, 3);
	ASSERT_CYCLES("0110110", 2, 2, 0, 2, 2, 0, 2);
	/* Gate */
	wr61(0);
	assert_true(out2());
	pass(7);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("1101", 2, 0, 2, 2);
}

static void mode_4(unused void **state)
{
	wr61(GATE2);
	start2(4, 3);
	pass(1);
	ASSERT_CYCLES("1110111", 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd);
	/* Once only. */
	pass(0xfffc);
	ASSERT_CYCLES("11", 0, 0xffff);
	/* A new count is loaded at once; its first byte does nothing. */
	start2(4, 9);
	pass(2);
	wr(2, 2);
	ASSERT_CYCLES("11", 8, 7);
	wr(2, 0);
	pass(1);
	ASSERT_CYCLES("1101", 2, 1, 0, 0xffff);
	/* Gate low holds it. */
	wr16(2, 3);
	pass(2);
	wr61(0);
	ASSERT_CYCLES("11", 2, 2);
	wr61(GATE2);
	ASSERT_CYCLES("1101", 2, 1, 0, 0xffff);
}

static void mode_5(unused void **state)
{
	start2(5, 2);
	pass(4);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("11011", 2, 1, 0, 0xffff, 0xfffe);
	wr61(0);
	wr61(GATE2);
	pass(1);
	ASSERT_CYCLES("1", 2);
	wr61(0);
	ASSERT_CYCLES("101", 1, 0, 0xffff);
}

static void the_largest_count(unused void **state)
{
	wr61(GATE2);
	start2(0, 0);
	pass(1);
	assert_int_equal(rd16(2), 0);
	pass(1);
	assert_int_equal(rd16(2), 0xffff);
	pass(65534);
	assert_false(out2());
	pass(1);
	assert_true(out2());
	start2(3, 0);
	pass(1 + 32767);
	assert_true(out2());
	assert_int_equal(rd16(2), 2);
	pass(1);
	assert_false(out2());
	assert_int_equal(rd16(2), 0);
}

static void bcd(unused void **state)
{
	wr61(GATE2);
	wr(3, COUNTER2 | BOTH | MODE(0) | BCD);
	wr16(2, 0x1001);
	pass(1);
	assert_int_equal(rd16(2), 0x1001);
	pass(2);
	assert_int_equal(rd16(2), 0x0999);
	pass(999);
	assert_int_equal(rd16(2), 0);
	assert_true(out2());
	pass(1);
	assert_int_equal(rd16(2), 0x9999);
	/* 0 is 10000. */
	wr16(2, 0);
	pass(10000);
	assert_false(out2());
	assert_int_equal(rd16(2), 1);
	pass(1);
	assert_true(out2());
	/* No digits at all. */
	wr16(2, 0xffff);
	pass(1);
	assert_int_equal(rd16(2), 0x6665);
}

/* ---- IRQ 0 -------------------------------------------------------------------------------- */

static void start0(unsigned mode, u16 count)
{
	wr(3, (u8)(BOTH | MODE(mode)));
	wr16(0, count);
	rises = 0;
}

static void one_shot(unused void **state)
{
	/* Mode 0: low until the end. */
	start0(0, 1000);
	assert_false(line);
	pass(1000);
	assert_false(line);
	pass(1);
	assert_true(line);
	assert_null(test_clock.head);
	pass(100000);
	assert_int_equal(rises, 1);
	/* The next count takes it down at once. */
	wr(0, 0xe8);
	assert_false(line);
	wr(0, 0x03);
	pass(1001);
	assert_int_equal(rises, 2);
	/* Mode 4: one cycle later, when the strobe ends. */
	start0(4, 1000);
	assert_true(line);
	pass(1001);
	assert_int_equal(rises, 0);
	pass(1);
	assert_int_equal(rises, 1);
	assert_null(test_clock.head);
	/* Moved before it came. */
	wr16(0, 1000);
	pass(900);
	wr16(0, 1000);
	pass(1001);
	assert_int_equal(rises, 1);
	pass(1);
	assert_int_equal(rises, 2);
	/* A mode 0 word without a count ends it all: how Linux shuts it down. */
	wr16(0, 1000);
	wr(3, BOTH | MODE(0));
	assert_false(line);
	assert_null(test_clock.head);
}

static void the_modes_that_need_a_gate_do_nothing(unused void **state)
{
	start0(1, 100);
	assert_null(test_clock.head);
	start0(5, 100);
	assert_null(test_clock.head);
	pass(1000);
	assert_int_equal(rises, 0);
	assert_true(line);
}

static void periodic(unused void **state)
{
	static const u8 modes[] = {2, 3, 6, 7};
	unsigned i, n;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		setup(NULL);
		start0(modes[i], 1193);
		pass(1193);
		assert_int_equal(rises, 0);
		pass(1);
		assert_int_equal(rises, 1);
		for (n = 1; n < 10; n++) {
			pass(1192);
			assert_int_equal(rises, n);
			pass(1);
			assert_int_equal(rises, n + 1);
		}
	}
}

/* 1000 Hz for an hour, on a clock that no period is a whole number of; late, now and then. */
static void no_drift(unused void **state)
{
	u64 begin = ticks, n;

	start0(2, 1193);
	for (n = 1; n <= 3600000; n++) {
		u64 due = test_clock.head->deadline - ticks;

		pass(n % 7 ? due : due + 100000);
		if (n % 100000)
			continue;
		/* As many as there were periods of 1193 cycles. */
		assert_int_equal(rises, n);
		assert_int_equal((ticks - begin) * VPIT_HZ / 2400000000ULL / 1193, n);
	}
}

static void late_ticks_are_one(unused void **state)
{
	start0(2, 1193);
	pass(10 * 2400000);
	assert_int_equal(rises, 1);
	/* And the next is where it would have been. */
	assert_true(test_clock.head->deadline - ticks < 2400000);
	pass(test_clock.head->deadline - ticks);
	assert_int_equal(rises, 2);
}

static void no_storm(unused void **state)
{
	u16 count;

	for (count = 1; count < 50; count += 7) {
		u64 end;

		setup_ghz(NULL);
		start0(count % 2 ? 2 : 3, count);
		pass(1000000);
		rises = 0;
		end = ticks + 2400000000ULL;
		while (test_clock.head->deadline <= end)
			pass(test_clock.head->deadline - ticks);
		assert_in_range(rises, 15000, 20000);
	}
}

static void a_new_period_starts_after_the_old_one(unused void **state)
{
	start0(2, 1000);
	pass(501);
	wr16(0, 300);
	pass(499);
	assert_int_equal(rises, 0);
	pass(1);
	assert_int_equal(rises, 1);
	pass(299);
	assert_int_equal(rises, 1);
	pass(1);
	assert_int_equal(rises, 2);
	/* Mode 3: after the half. */
	start0(3, 1000);
	pass(101);
	wr16(0, 300);
	pass(400 + 149);
	assert_int_equal(rises, 0);
	pass(1);
	assert_int_equal(rises, 1);
	pass(300);
	assert_int_equal(rises, 2);
}

/* A host that is late must not have the guest's own access take the interrupt away. */
static void an_edge_before_an_access_is_not_lost(unused void **state)
{
	start0(2, 1000);
	ticks += 1001;
	rd(0);
	assert_int_equal(rises, 1);
	clock_run(&test_clock, ticks);
	assert_int_equal(rises, 1);
	pass(1000);
	assert_int_equal(rises, 2);
}

static void a_control_word_that_raises_the_output(unused void **state)
{
	assert_false(line);
	wr(3, BOTH | MODE(2));
	assert_true(line);
	assert_int_equal(rises, 1);
	wr(3, BOTH | MODE(4));
	assert_int_equal(rises, 1);
}

static void reset(unused void **state)
{
	start0(2, 1000);
	wr61(0x0f);
	start2(3, 7);
	vpit_reset(&pit);
	assert_false(line);
	assert_null(test_clock.head);
	assert_int_equal(rd61() & (u8)~REFRESH, 0);
	at_first_nothing_counts(NULL);
}

/* ---- Port 0x61 ---------------------------------------------------------------------------- */

static void port61(unused void **state)
{
	wr61(0xff);
	assert_int_equal(rd61() & (u8)~REFRESH, 0x0f);
	wr61(0xf4);
	assert_int_equal(rd61() & (u8)~REFRESH, 0x04);
	wr(3, COUNTER2 | BOTH | MODE(3));
	assert_int_equal(rd61() & (u8)~REFRESH, 0x24);
}

static void refresh_toggles(unused void **state)
{
	unsigned toggles = 0, n;
	u8 last = rd61();

	for (n = 0; n < 18 * 100; n++) {
		u8 value;

		pass(1);
		value = rd61();
		toggles += (value ^ last) == REFRESH;
		last = value;
	}
	assert_int_equal(toggles, 100);
	assert_null(test_clock.head);
}

/* arch/x86/kernel/tsc.c: 50 ms by counter 2 in mode 0, and its output at bit 5. */
static void how_linux_calibrates(unused void **state)
{
	u64 begin;

	wr61((rd61() & (u8)~0x02) | GATE2);
	wr(3, 0xb0);
	wr(2, 0x0b);
	wr(2, 0xe9); /* 59659 */
	begin = ticks;
	while (!(rd61() & OUT2))
		pass(2400);
	assert_in_range(ticks - begin, 119990000, 120010000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(at_first_nothing_counts, setup),
		cmocka_unit_test_setup(one_byte_and_two, setup),
		cmocka_unit_test_setup(latch_command, setup),
		cmocka_unit_test_setup(read_back_command, setup),
		cmocka_unit_test_setup(the_mode_is_told_as_written, setup),
		cmocka_unit_test_setup(null_count, setup),
		cmocka_unit_test_setup(wide_accesses, setup),
		cmocka_unit_test_setup(mode_0, setup),
		cmocka_unit_test_setup(mode_0_gate, setup),
		cmocka_unit_test_setup(mode_1, setup),
		cmocka_unit_test_setup(mode_2, setup),
		cmocka_unit_test_setup(mode_3_even, setup),
		cmocka_unit_test_setup(mode_3_odd, setup),
		cmocka_unit_test_setup(mode_4, setup),
		cmocka_unit_test_setup(mode_5, setup),
		cmocka_unit_test_setup(the_largest_count, setup),
		cmocka_unit_test_setup(bcd, setup),
		cmocka_unit_test_setup(one_shot, setup),
		cmocka_unit_test_setup(the_modes_that_need_a_gate_do_nothing, setup),
		cmocka_unit_test_setup(periodic, setup),
		cmocka_unit_test_setup(no_drift, setup_ghz),
		cmocka_unit_test_setup(late_ticks_are_one, setup_ghz),
		cmocka_unit_test_setup(no_storm, setup_ghz),
		cmocka_unit_test_setup(a_new_period_starts_after_the_old_one, setup),
		cmocka_unit_test_setup(an_edge_before_an_access_is_not_lost, setup),
		cmocka_unit_test_setup(a_control_word_that_raises_the_output, setup),
		cmocka_unit_test_setup(reset, setup),
		cmocka_unit_test_setup(port61, setup),
		cmocka_unit_test_setup(refresh_toggles, setup),
		cmocka_unit_test_setup(how_linux_calibrates, setup_ghz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
