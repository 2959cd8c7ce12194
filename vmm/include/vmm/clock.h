/* SPDX-License-Identifier: MIT */
/*
 * Time as a device or local APIC sees it. The unit is the host tick (TSC); conversions go through the
 * clock's rate. On the metal the ticks are host_ticks(); a test hands its own.
 *
 * A timer belongs to a queue; a queue belongs to one CPU and is touched with interrupts off there only.
 * Setting or cancelling a timer allocates nothing.
 */
#ifndef VMM_CLOCK_H
#define VMM_CLOCK_H

#include <vmm/types.h>

#define CLOCK_NEVER (~0ULL)

struct timer {
	u64 deadline; /* ticks; CLOCK_NEVER when not queued */
	void (*fire)(
		void *arg); /* called by clock_run(), no longer queued; may set the timer again */
	void *arg;
	struct timer *next; /* queue order: by deadline, then first come */
};

struct clock {
	u64 (*now)(void); /* ticks, monotonic */
	u64 hz;           /* ticks per second */
	struct timer *head;
	struct timer *expired; /* those that the clock_run() now on its way has yet to fire */
	u64 armed;             /* the deadline last told to rearm() */
	bool running;          /* clock_run() is firing: rearm() is told once, at its end */
	/* Told when the earliest deadline has changed; CLOCK_NEVER: none. May be NULL. */
	void (*rearm)(struct clock *c, u64 deadline);
};

void clock_init(struct clock *c, u64 (*now)(void), u64 hz, void (*rearm)(struct clock *, u64));

static inline u64 clock_now(struct clock *c)
{
	return c->now();
}

/* value * mul / div without overflow of the product (128-bit intermediate); div != 0; saturates at ~0. */
u64 clock_mul_div(u64 value, u64 mul, u64 div);
static inline u64 clock_ns_to_ticks(const struct clock *c, u64 ns)
{
	return clock_mul_div(ns, c->hz, 1000000000);
}
static inline u64 clock_ticks_to_ns(const struct clock *c, u64 ticks)
{
	return clock_mul_div(ticks, 1000000000, c->hz);
}

void timer_init(struct timer *t, void (*fire)(void *), void *arg);
/* Queues (or moves) `t`; a deadline in the past fires at the next clock_run(); CLOCK_NEVER cancels. */
void timer_set(struct clock *c, struct timer *t, u64 deadline);
void timer_cancel(struct clock *c, struct timer *t);
/*
 * Fires all timers whose deadline is <= now; returns the next deadline or CLOCK_NEVER. One that is set again while this
 * runs waits for the next call whatever its deadline, so that no timer can keep the CPU here.
 */
u64 clock_run(struct clock *c, u64 now);

#endif
