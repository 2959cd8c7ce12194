/* SPDX-License-Identifier: MIT */
/* Tests of what the 8254 is wired to: IRQ 0 by counter 0, without drift or storm, and port 0x61. */
/* SOURCES: vmm/dev/vpit.c vmm/dev/clock.c */
#include "test/mock/vpit_test.h"

/* ---- IRQ 0 -------------------------------------------------------------------------------- */

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
		cmocka_unit_test_setup(one_shot, setup),
		cmocka_unit_test_setup(the_modes_that_need_a_gate_do_nothing, setup),
		cmocka_unit_test_setup(periodic, setup),
		cmocka_unit_test_setup(no_drift, setup_ghz),
		cmocka_unit_test_setup(late_ticks_are_one, setup_ghz),
		cmocka_unit_test_setup(no_storm, setup_ghz),
		cmocka_unit_test_setup(a_new_period_starts_after_the_old_one, setup),
		cmocka_unit_test_setup(an_edge_before_an_access_is_not_lost, setup),
		cmocka_unit_test_setup(a_control_word_that_raises_the_output, setup),
		cmocka_unit_test_setup(port61, setup),
		cmocka_unit_test_setup(refresh_toggles, setup),
		cmocka_unit_test_setup(how_linux_calibrates, setup_ghz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
