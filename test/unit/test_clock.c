/* SPDX-License-Identifier: MIT */
/* Tests of the timer queue and of unit conversion. */
/* SOURCES: vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/clock.h>

static u64 fake_now;
static u64 rearm_deadline;
static unsigned rearm_calls;

static u64 now(void)
{
	return fake_now;
}

static void rearm(unused struct clock *c, u64 deadline)
{
	rearm_deadline = deadline;
	rearm_calls++;
}

#define TIMERS 4

struct fixture {
	struct clock clock;
	struct timer timer[TIMERS];
	struct tag {
		struct fixture *f;
		unsigned index;
	} tag[TIMERS];
	unsigned order[32];
	unsigned fired;
	/* What a timer does when it fires. */
	unsigned again;  /* index of the timer that is set again ... */
	u64 again_at;    /* ... for this tick; 0: none */
	unsigned cancel; /* index of the timer that is cancelled; TIMERS: none */
};

static void fire(void *arg)
{
	struct tag *tag = arg;
	struct fixture *f = tag->f;

	assert_true(f->timer[tag->index].deadline == CLOCK_NEVER);
	assert_true(f->fired < ARRAY_SIZE(f->order));
	f->order[f->fired++] = tag->index;
	if (f->again_at)
		timer_set(&f->clock, &f->timer[f->again], f->again_at);
	if (f->cancel < TIMERS)
		timer_cancel(&f->clock, &f->timer[f->cancel]);
}

static int setup(void **state)
{
	static struct fixture f;
	unsigned i;

	fake_now = 0;
	rearm_calls = 0;
	rearm_deadline = 1;
	f = (struct fixture){.cancel = TIMERS};
	clock_init(&f.clock, now, 1000000000, rearm);
	for (i = 0; i < TIMERS; i++) {
		f.tag[i] = (struct tag){&f, i};
		timer_init(&f.timer[i], fire, &f.tag[i]);
	}
	*state = &f;
	return 0;
}

static void fires_in_order_of_deadline_then_first_come(void **state)
{
	struct fixture *f = *state;

	timer_set(&f->clock, &f->timer[0], 30);
	timer_set(&f->clock, &f->timer[1], 10);
	timer_set(&f->clock, &f->timer[2], 30);
	timer_set(&f->clock, &f->timer[3], 20);
	assert_int_equal(clock_run(&f->clock, 9), 10);
	assert_int_equal(f->fired, 0);
	assert_true(clock_run(&f->clock, 30) == CLOCK_NEVER);
	assert_int_equal(f->fired, 4);
	assert_int_equal(f->order[0], 1);
	assert_int_equal(f->order[1], 3);
	assert_int_equal(f->order[2], 0);
	assert_int_equal(f->order[3], 2);
}

static void fires_at_the_deadline_and_not_before(void **state)
{
	struct fixture *f = *state;

	timer_set(&f->clock, &f->timer[0], 100);
	assert_int_equal(clock_run(&f->clock, 99), 100);
	assert_int_equal(f->fired, 0);
	clock_run(&f->clock, 100);
	assert_int_equal(f->fired, 1);
	clock_run(&f->clock, 1000);
	assert_int_equal(f->fired, 1);
}

static void moves_a_queued_timer(void **state)
{
	struct fixture *f = *state;

	timer_set(&f->clock, &f->timer[0], 10);
	timer_set(&f->clock, &f->timer[1], 20);
	timer_set(&f->clock, &f->timer[0], 30);
	assert_int_equal(clock_run(&f->clock, 25), 30);
	assert_int_equal(f->fired, 1);
	assert_int_equal(f->order[0], 1);
	/* Never is a cancel. */
	timer_set(&f->clock, &f->timer[0], CLOCK_NEVER);
	assert_true(clock_run(&f->clock, 1000) == CLOCK_NEVER);
	assert_int_equal(f->fired, 1);
}

static void cancel_of_an_idle_timer_is_harmless(void **state)
{
	struct fixture *f = *state;

	timer_cancel(&f->clock, &f->timer[0]);
	timer_cancel(&f->clock, &f->timer[0]);
	assert_null(f->clock.head);
	assert_int_equal(rearm_calls, 0);
}

static void rearm_is_told_of_changes_of_the_first_only(void **state)
{
	struct fixture *f = *state;

	timer_set(&f->clock, &f->timer[0], 50);
	assert_int_equal(rearm_deadline, 50);
	timer_set(&f->clock, &f->timer[1], 60);
	assert_int_equal(rearm_calls, 1);
	timer_set(&f->clock, &f->timer[2], 40);
	assert_int_equal(rearm_deadline, 40);
	timer_cancel(&f->clock, &f->timer[1]);
	assert_int_equal(rearm_calls, 2);
	timer_cancel(&f->clock, &f->timer[2]);
	assert_int_equal(rearm_deadline, 50);
	timer_cancel(&f->clock, &f->timer[0]);
	assert_true(rearm_deadline == CLOCK_NEVER);
	assert_int_equal(rearm_calls, 4);
}

static void rearm_is_told_once_at_the_end_of_a_run(void **state)
{
	struct fixture *f = *state;

	timer_set(&f->clock, &f->timer[0], 10);
	timer_set(&f->clock, &f->timer[1], 10);
	rearm_calls = 0;
	f->again = 2;
	f->again_at = 70;
	assert_int_equal(clock_run(&f->clock, 10), 70);
	assert_int_equal(rearm_calls, 1);
	assert_int_equal(rearm_deadline, 70);
}

/* A periodic timer that is hopelessly late must not hold the CPU in clock_run(). */
static void a_timer_set_again_in_the_past_waits_for_the_next_run(void **state)
{
	struct fixture *f = *state;

	f->again = 0;
	f->again_at = 1;
	timer_set(&f->clock, &f->timer[0], 10);
	assert_int_equal(clock_run(&f->clock, 100), 1);
	assert_int_equal(f->fired, 1);
	assert_int_equal(clock_run(&f->clock, 100), 1);
	assert_int_equal(f->fired, 2);
}

static void a_timer_can_cancel_one_that_expired_with_it(void **state)
{
	struct fixture *f = *state;

	f->cancel = 1;
	timer_set(&f->clock, &f->timer[0], 10);
	timer_set(&f->clock, &f->timer[1], 20);
	timer_set(&f->clock, &f->timer[2], 30);
	clock_run(&f->clock, 100);
	assert_int_equal(f->fired, 2);
	assert_int_equal(f->order[1], 2);
	assert_true(f->timer[1].deadline == CLOCK_NEVER);
	assert_null(f->clock.expired);
}

static void a_timer_can_move_one_that_expired_with_it(void **state)
{
	struct fixture *f = *state;

	f->again = 1;
	f->again_at = 500;
	timer_set(&f->clock, &f->timer[0], 10);
	timer_set(&f->clock, &f->timer[1], 20);
	assert_int_equal(clock_run(&f->clock, 100), 500);
	assert_int_equal(f->fired, 1);
	/* The same deadline that it had: still not in this run. */
	f->again_at = 40;
	timer_set(&f->clock, &f->timer[0], 30);
	timer_set(&f->clock, &f->timer[1], 40);
	f->fired = 0;
	assert_int_equal(clock_run(&f->clock, 100), 40);
	assert_int_equal(f->fired, 1);
}

static void mul_div_is_exact(unused void **state)
{
	static const struct {
		u64 value, mul, div;
	} cases[] = {
		{0, 5, 7},
		{1, 1, 1},
		{1000000007, 3579545, 2400000000ULL},
		{~0ULL, 1, 1},
		{~0ULL, 3579545, 4000000000ULL},
		{~0ULL, ~0ULL, ~0ULL},
		{~0ULL - 1, ~0ULL - 1, ~0ULL},
		{0x123456789abcdef0ULL, 0xfedcba9876543210ULL, 0xfedcba9876543211ULL},
		{1ULL << 63, 1ULL << 63, (1ULL << 62) + 1},
		{999999999999ULL, 1000000000, 2399999999ULL},
		{3, ~0ULL, 2},
		{5, ~0ULL, 1ULL << 63},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned __int128 exact = (unsigned __int128)cases[i].value * cases[i].mul /
					  cases[i].div;
		u64 want = exact > ~0ULL ? ~0ULL : (u64)exact;

		assert_true(clock_mul_div(cases[i].value, cases[i].mul, cases[i].div) == want);
	}
}

static void mul_div_random_against_128_bits(unused void **state)
{
	u64 seed = 88172645463325252ULL, v[3];
	unsigned i, j;

	for (i = 0; i < 20000; i++) {
		unsigned __int128 exact;

		for (j = 0; j < 3; j++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			v[j] = seed >> (seed % 64);
		}
		v[2] += !v[2];
		exact = (unsigned __int128)v[0] * v[1] / v[2];
		assert_true(clock_mul_div(v[0], v[1], v[2]) ==
			    (exact > ~0ULL ? ~0ULL : (u64)exact));
	}
}

static void units(unused void **state)
{
	struct clock c;

	clock_init(&c, now, 2500000000ULL, NULL);
	assert_int_equal(clock_ns_to_ticks(&c, 1000), 2500);
	assert_int_equal(clock_ticks_to_ns(&c, 2500000000ULL * 3600), 3600000000000ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fires_in_order_of_deadline_then_first_come, setup),
		cmocka_unit_test_setup(fires_at_the_deadline_and_not_before, setup),
		cmocka_unit_test_setup(moves_a_queued_timer, setup),
		cmocka_unit_test_setup(cancel_of_an_idle_timer_is_harmless, setup),
		cmocka_unit_test_setup(rearm_is_told_of_changes_of_the_first_only, setup),
		cmocka_unit_test_setup(rearm_is_told_once_at_the_end_of_a_run, setup),
		cmocka_unit_test_setup(a_timer_set_again_in_the_past_waits_for_the_next_run, setup),
		cmocka_unit_test_setup(a_timer_can_cancel_one_that_expired_with_it, setup),
		cmocka_unit_test_setup(a_timer_can_move_one_that_expired_with_it, setup),
		cmocka_unit_test(mul_div_is_exact),
		cmocka_unit_test(mul_div_random_against_128_bits),
		cmocka_unit_test(units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
