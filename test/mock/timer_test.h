/* SPDX-License-Identifier: MIT */
/* What the unit tests of timers have in common: a clock whose time they set, and the one line that the device drives. */
#ifndef TEST_MOCK_TIMER_TEST_H
#define TEST_MOCK_TIMER_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/clock.h>
#include <vmm/irq.h>

static u64 ticks;
static struct clock test_clock;
static bool line;
static unsigned rises;

static inline u64 now(void)
{
	return ticks;
}

/* A level is told when it changes, and only then. */
static inline void on_irq(unused void *ctx, unused unsigned pin, bool level)
{
	assert_int_not_equal(level, line);
	line = level;
	rises += level;
}

/* The host has been up for a while: 5 seconds. */
static inline void clock_start(u64 hz)
{
	ticks = 5 * hz;
	line = false;
	rises = 0;
	clock_init(&test_clock, now, hz, NULL);
}

static inline void pass(u64 n)
{
	ticks += n;
	clock_run(&test_clock, ticks);
}

#endif
