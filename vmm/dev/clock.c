/* SPDX-License-Identifier: MIT */
/*
 * The timer queue behind clock.h, and exact conversion between units of time. A queue is one list sorted by
 * deadline: a VM has a handful of timers (one for each local APIC, RTC and PM timer), so a list beats a heap.
 * Called by the devices (timer_set, timer_cancel) and by the run loop (clock_run).
 */
#include <vmm/clock.h>

/* The high half of a 64 x 64 bit product; the low half goes to *lo. */
static u64 mul_64x64(u64 a, u64 b, u64 *lo)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	*lo = (u64)product;
	return (u64)(product >> 64);
}

/* (hi:lo) / div for hi < div, bit by bit: the 128-bit division of the compiler's library is not linked here. */
static u64 div_128_by_64(u64 hi, u64 lo, u64 div)
{
	u64 quotient = 0;
	unsigned i;

	for (i = 0; i < 64; i++) {
		bool carry = hi >> 63;

		hi = hi << 1 | lo >> 63;
		lo <<= 1;
		quotient <<= 1;
		if (carry || hi >= div) {
			hi -= div;
			quotient |= 1;
		}
	}
	return quotient;
}

u64 clock_mul_div(u64 value, u64 mul, u64 div)
{
	u64 whole, rest, hi, lo;

	/* floor(v * m / d) = (v / d) * m + floor((v % d) * m / d), and the parts nearly always fit 64 bits. */
	if (__builtin_mul_overflow(value / div, mul, &whole))
		return ~0ULL;
	if (__builtin_mul_overflow(value % div, mul, &rest)) {
		hi = mul_64x64(value % div, mul, &lo);
		if (hi >= div)
			return ~0ULL;
		rest = div_128_by_64(hi, lo, div);
	} else {
		rest /= div;
	}
	return whole > ~0ULL - rest ? ~0ULL : whole + rest;
}

void clock_init(struct clock *c, u64 (*now)(void), u64 hz, void (*rearm)(struct clock *, u64))
{
	*c = (struct clock){.now = now, .hz = hz, .rearm = rearm, .armed = CLOCK_NEVER};
}

static u64 next_deadline(const struct clock *c)
{
	return c->head ? c->head->deadline : CLOCK_NEVER;
}

static void tell_rearm(struct clock *c)
{
	u64 deadline = next_deadline(c);

	if (c->running || deadline == c->armed)
		return;
	c->armed = deadline;
	if (c->rearm)
		c->rearm(c, deadline);
}

static bool list_remove(struct timer **link, const struct timer *t)
{
	for (; *link; link = &(*link)->next) {
		if (*link == t) {
			*link = t->next;
			return true;
		}
	}
	return false;
}

static void unlink_timer(struct clock *c, struct timer *t)
{
	if (t->deadline == CLOCK_NEVER)
		return;
	if (!list_remove(&c->head, t))
		list_remove(&c->expired, t);
	t->deadline = CLOCK_NEVER;
	t->next = NULL;
}

void timer_init(struct timer *t, void (*fire)(void *), void *arg)
{
	*t = (struct timer){.deadline = CLOCK_NEVER, .fire = fire, .arg = arg};
}

void timer_set(struct clock *c, struct timer *t, u64 deadline)
{
	struct timer **link = &c->head;

	if (t->deadline == deadline && deadline != CLOCK_NEVER && !c->running)
		return; /* it stands where it should */
	unlink_timer(c, t);
	if (deadline != CLOCK_NEVER) {
		while (*link && (*link)->deadline <= deadline)
			link = &(*link)->next;
		t->deadline = deadline;
		t->next = *link;
		*link = t;
	}
	tell_rearm(c);
}

void timer_cancel(struct clock *c, struct timer *t)
{
	unlink_timer(c, t);
	tell_rearm(c);
}

u64 clock_run(struct clock *c, u64 now)
{
	struct timer **end = &c->head;
	struct timer *t;

	if (next_deadline(c) > now)
		return next_deadline(c);

	/* Cut the expired ones off first: what their functions set again is not looked at in this call. */
	while (*end && (*end)->deadline <= now)
		end = &(*end)->next;
	c->expired = c->head;
	c->head = *end;
	*end = NULL;
	c->running = true;
	while ((t = c->expired)) {
		c->expired = t->next;
		t->deadline = CLOCK_NEVER;
		t->next = NULL;
		t->fire(t->arg);
	}
	c->running = false;
	tell_rearm(c);
	return next_deadline(c);
}
