/* SPDX-License-Identifier: MIT */
/* Tests of the 8254: access to counters, all modes cycle by cycle, gate, BCD. IRQ 0 and port 0x61 have their own. */
/* SOURCES: vmm/dev/vpit.c vmm/dev/clock.c */
#include "test/mock/vpit_test.h"

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
		cmocka_unit_test_setup(reset, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
