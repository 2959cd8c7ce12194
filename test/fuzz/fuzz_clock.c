/* SPDX-License-Identifier: MIT */
/* The timer queue against a plain array of deadlines, with timers that set and cancel one another as they fire. */
/* SOURCES: vmm/dev/clock.c */
#include <vmm/clock.h>

#include "input.h"

#define TIMERS 6

static struct clock queue;
static struct timer timers[TIMERS];
static u64 want[TIMERS]; /* deadlines as they should be */
static u64 time_now, told;
static u64 last_fired;
static bool fired_in_run[TIMERS];
static struct input *script;
static bool running;

static u64 now(void)
{
	return time_now;
}

static void rearm(unused struct clock *c, u64 deadline)
{
	INVARIANT(!running || deadline != told);
	told = deadline;
}

static void act(struct input *in)
{
	u8 what = input_u8(in);
	unsigned i = what % TIMERS;

	if (what & 0x80) {
		timer_cancel(&queue, &timers[i]);
		want[i] = CLOCK_NEVER;
	} else {
		want[i] = what & 0x40 ? time_now - input_u8(in) : time_now + input_number(in, 2);
		timer_set(&queue, &timers[i], want[i]);
	}
}

static void fire(void *arg)
{
	unsigned i = (unsigned)((struct timer *)arg - timers);

	INVARIANT(running && want[i] <= time_now);
	INVARIANT(!fired_in_run[i]); /* at most once in a run */
	INVARIANT(want[i] >= last_fired);
	last_fired = want[i];
	fired_in_run[i] = true;
	want[i] = CLOCK_NEVER;
	if (input_u8(script) & 1)
		act(script);
}

static void check(void)
{
	const struct timer *t;
	unsigned i, queued = 0, expected = 0;
	u64 first = CLOCK_NEVER;

	for (t = queue.head; t; t = t->next, queued++)
		INVARIANT(!t->next || t->deadline <= t->next->deadline);
	for (i = 0; i < TIMERS; i++) {
		INVARIANT(timers[i].deadline == want[i]);
		expected += want[i] != CLOCK_NEVER;
		first = MIN(first, want[i]);
	}
	INVARIANT(queued == expected && !queue.expired);
	INVARIANT((queue.head ? queue.head->deadline : CLOCK_NEVER) == first);
	INVARIANT(told == first);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	unsigned i;

	time_now = 100000;
	told = CLOCK_NEVER;
	script = &in;
	clock_init(&queue, now, 1000000000, rearm);
	for (i = 0; i < TIMERS; i++) {
		timer_init(&timers[i], fire, &timers[i]);
		want[i] = CLOCK_NEVER;
	}
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what & 1) {
			act(&in);
		} else {
			time_now += what;
			last_fired = 0;
			for (i = 0; i < TIMERS; i++)
				fired_in_run[i] = false;
			running = true;
			clock_run(&queue, time_now);
			running = false;
		}
		check();
	}
	return 0;
}
