/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline. SDM vol. 3 "APIC Timer", "TSC-Deadline Mode".
 * Called by vlapic_regs.c for the registers and by the clock for expiry.
 *
 * The count is not kept but computed from the tick at which it will be 0. A timer whose interrupt is masked counts
 * without a timer of the host: settle() catches up with what has passed unseen.
 */
#include <vmm/vlapic.h>

#include "vlapic_priv.h"

/*
 * Interrupts of a periodic timer come no closer together than this; with a shorter period they merge, as they would
 * in the IRR of a CPU that is too slow for them. A shorter one could keep the vcpu from making any progress.
 */
#define PERIOD_MIN_NS 20000

static unsigned timer_mode(const struct vlapic *l)
{
	return (unsigned)field_get(LVT_TIMERMODE, l->lvt[VLAPIC_LVT_TIMER]);
}

/* "Divide Configuration Register": bits 3, 1, 0 = n divide by 2 << n, 7 by 1. */
static unsigned divider_shift(const struct vlapic *l)
{
	unsigned n = (l->timer_dcr >> 1 & 4) | (l->timer_dcr & 3);

	return (n + 1) & 7;
}

static u64 counts_to_ticks(const struct vlapic *l, u32 counts)
{
	u64 ticks = clock_mul_div((u64)counts << divider_shift(l), l->clock->hz, VLAPIC_TIMER_HZ);

	return MAX(ticks, 1);
}

/* When the next interrupt of a periodic timer shall come: its end, but no sooner than the floor allows. */
static u64 periodic_deadline(const struct vlapic *l)
{
	u64 floor = clock_ns_to_ticks(l->clock, PERIOD_MIN_NS);

	if (counts_to_ticks(l, l->timer_icr) >= floor)
		return l->timer_end;
	return MAX(l->timer_end, clock_now(l->clock) + floor);
}

/* A guest TSC in host ticks. One so far off that the sum wraps must not look like one that has passed. */
static u64 deadline_to_ticks(const struct vlapic *l, u64 tsc)
{
	u64 guest_now = l->ops->guest_tsc(l->ctx);
	u64 ticks = l->ops->tsc_to_ticks(l->ctx, tsc);

	if (tsc > guest_now && ticks < l->ops->tsc_to_ticks(l->ctx, guest_now))
		return CLOCK_NEVER - 1;
	return MIN(ticks, CLOCK_NEVER - 1);
}

/* Queues the host's timer for the next expiry that gives an interrupt, or takes it off. */
static void queue(struct vlapic *l)
{
	u64 deadline = CLOCK_NEVER;

	if (!(l->lvt[VLAPIC_LVT_TIMER] & LVT_MASKED)) {
		if (l->tsc_deadline)
			deadline = deadline_to_ticks(l, l->tsc_deadline);
		else if (l->timer_running)
			deadline = timer_mode(l) == TIMER_PERIODIC ? periodic_deadline(l) :
								     l->timer_end;
	}
	if (deadline != l->timer.deadline)
		timer_set(l->clock, &l->timer, deadline);
}

static void expire(struct vlapic *l)
{
	l->timer_fired++;
	vlapic_lvt_raise(l, VLAPIC_LVT_TIMER);
}

static void settle_deadline(struct vlapic *l, u64 guest_now)
{
	if (l->tsc_deadline && guest_now >= l->tsc_deadline) {
		l->tsc_deadline = 0;
		expire(l);
	}
}

/*
 * Brings the state up to now. Everything that looks at it, or changes what the next expiry means, comes here first, so
 * that an expiry counts by the setting of its own time even if the host is late with it.
 */
static void settle(struct vlapic *l)
{
	u64 now, period;

	if (l->tsc_deadline) {
		settle_deadline(l, l->ops->guest_tsc(l->ctx));
		return;
	}
	if (!l->timer_running)
		return;
	now = clock_now(l->clock);
	if (now < l->timer_end)
		return;
	if (timer_mode(l) == TIMER_PERIODIC) {
		period = counts_to_ticks(l, l->timer_icr);
		l->timer_end += ((now - l->timer_end) / period + 1) * period;
	} else {
		l->timer_running = false;
	}
	expire(l);
}

void vlapic_timer_fire(void *vlapic)
{
	struct vlapic *l = vlapic;

	settle(l);
	queue(l);
}

void vlapic_timer_reset(struct vlapic *l)
{
	l->timer_icr = l->timer_dcr = 0;
	l->timer_running = false;
	l->tsc_deadline = 0;
	timer_cancel(l->clock, &l->timer);
}

/*
 * "TSC-Deadline Mode": going to or from this mode disarms the timer. Between one-shot and periodic the count goes on,
 * and its end is dealt with by the mode of that moment. The mode 3 is reserved: a timer in it never starts.
 */
void vlapic_timer_set_lvt(struct vlapic *l, u32 value)
{
	unsigned old = timer_mode(l);
	unsigned mode = (unsigned)field_get(LVT_TIMERMODE, value);

	settle(l);
	l->lvt[VLAPIC_LVT_TIMER] = value;
	if (mode != old && (mode >= TIMER_TSC_DEADLINE || old >= TIMER_TSC_DEADLINE)) {
		l->timer_icr = 0;
		l->timer_running = false;
		l->tsc_deadline = 0;
	}
	queue(l);
}

void vlapic_timer_set_count(struct vlapic *l, u32 value)
{
	if (timer_mode(l) >= TIMER_TSC_DEADLINE)
		return;
	settle(l);
	l->timer_icr = value;
	l->timer_running = value != 0;
	l->timer_end = clock_now(l->clock) + counts_to_ticks(l, value);
	queue(l);
}

/* The count for `ticks` still to go, rounded up: it is 0 only at the end. */
static u32 ticks_to_counts(const struct vlapic *l, u64 ticks)
{
	u64 counts = clock_mul_div(ticks, VLAPIC_TIMER_HZ, l->clock->hz << divider_shift(l));

	if (!counts || (counts < l->timer_icr && counts_to_ticks(l, (u32)counts) < ticks))
		counts++;
	return (u32)MIN(counts, l->timer_icr);
}

u32 vlapic_timer_count(struct vlapic *l)
{
	u64 now;

	settle(l);
	queue(l);
	if (!l->timer_running)
		return 0;
	now = clock_now(l->clock);
	return now < l->timer_end ? ticks_to_counts(l, l->timer_end - now) : 0;
}

/* A count under way goes on from where it is, at the new rate. */
void vlapic_timer_set_divider(struct vlapic *l, u32 value)
{
	u32 left = vlapic_timer_count(l);

	l->timer_dcr = value;
	if (l->timer_running)
		l->timer_end = clock_now(l->clock) + counts_to_ticks(l, left);
	queue(l);
}

void vlapic_timer_set_deadline(struct vlapic *l, u64 guest_tsc)
{
	u64 now;

	if (timer_mode(l) != TIMER_TSC_DEADLINE)
		return;
	now = l->ops->guest_tsc(l->ctx);
	settle_deadline(l, now); /* the old one may have passed unseen */
	l->tsc_deadline = guest_tsc;
	settle_deadline(l, now);
	queue(l);
}

u64 vlapic_timer_deadline(struct vlapic *l)
{
	settle(l);
	queue(l);
	return l->tsc_deadline;
}

void vlapic_tsc_changed(struct vlapic *l)
{
	settle(l);
	queue(l);
}
