/* SPDX-License-Identifier: MIT */
/*
 * The real-time clock and its CMOS memory at ports 0x70 and 0x71. Motorola MC146818A data sheet ("Address Map",
 * "Update Cycle", "Registers"); the century byte at 0x32 is where the FADT says it is.
 *
 * Nothing ticks: the time is computed when it is read, and so are the flags of register C, from the last moment at which
 * they were looked at (`seen`) until now. A timer runs only for an interrupt that is enabled. Calendar: vrtc_time.c.
 */
#include <vmm/vrtc.h>

#include "vrtc_priv.h"

#define A_UIP          BIT(7)
#define A_DIVIDER      GENMASK(6, 4)
#define A_RATE         GENMASK(3, 0)
#define A_RESET        0x26 /* 32768 Hz crystal, 1024 Hz */
#define DIVIDER_RESET  6    /* 6 and 7 hold the divider chain in reset */
#define C_IRQF         BIT(7)
#define C_PF           BIT(6) /* the same bits enable in B and flag in C */
#define C_AF           BIT(5)
#define C_UF           BIT(4)
#define C_FLAGS        (C_PF | C_AF | C_UF)
#define B_SQWE         BIT(3)
#define D_VRT          BIT(7)
#define UIP_NS         244000 /* "Update Cycle": UIP leads the update by 244 us */
#define CRYSTAL_HZ     32768
#define HALF_SECOND_NS (NS_PER_S / 2)

static struct vrtc_time time_now(const struct vrtc *r)
{
	u64 ns = clock_ticks_to_ns(r->clock, clock_now(r->clock));

	return (struct vrtc_time){
		.sec = r->base.sec + (s64)((ns + r->base.ns) / NS_PER_S),
		.ns = (u32)((ns + r->base.ns) % NS_PER_S),
	};
}

/* The tick at which the RTC's time is `t`. */
static u64 time_to_ticks(const struct vrtc *r, struct vrtc_time t)
{
	s64 sec = t.sec - r->base.sec;
	s64 ns = (s64)t.ns - (s64)r->base.ns;

	if (ns < 0) {
		ns += NS_PER_S;
		sec--;
	}
	/* Rounded up, so that the time has come when the tick has. */
	return clock_ns_to_ticks(r->clock, (u64)sec * NS_PER_S + (u64)ns) + 1;
}

/* ---- Flags and interrupts ----------------------------------------------------------------- */

/* Cycles of the crystal in a periodic interrupt's period, or 0. "Periodic Interrupt Selection": 1 and 2 are as 8 and 9. */
static u32 period_cycles(const struct vrtc *r)
{
	unsigned rate = r->cmos[RTC_A] & A_RATE;

	if (!rate)
		return 0;
	return 1U << (rate <= 2 ? rate + 6 : rate - 1);
}

static bool divider_held(const struct vrtc *r)
{
	return field_get(A_DIVIDER, r->cmos[RTC_A]) >= DIVIDER_RESET;
}

/* Number of the period, within the second, that `ns` is in: periods divide the second evenly. */
static u32 period_number(u32 ns, u32 cycles)
{
	return (u32)((u64)ns * CRYSTAL_HZ / NS_PER_S) / cycles;
}

static bool before(struct vrtc_time a, struct vrtc_time b)
{
	return a.sec < b.sec || (a.sec == b.sec && a.ns < b.ns);
}

/* Sets in register C what has come to pass since the last look. */
static void catch_up(struct vrtc *r)
{
	struct vrtc_time now = time_now(r), then = r->seen;
	u32 cycles = period_cycles(r);
	s64 alarm;

	if (!before(then, now))
		return;
	r->seen = now;
	if (divider_held(r))
		return;
	if (cycles && (then.sec != now.sec ||
		       period_number(then.ns, cycles) != period_number(now.ns, cycles)))
		r->cmos[RTC_C] |= C_PF;
	if (r->frozen || then.sec == now.sec)
		return;
	r->cmos[RTC_C] |= C_UF;
	alarm = vrtc_alarm_after(r->cmos, then.sec);
	if (alarm >= 0 && then.sec + alarm <= now.sec)
		r->cmos[RTC_C] |= C_AF;
}

static struct vrtc_time next_period(const struct vrtc *r, u32 cycles)
{
	u64 next = ((u64)period_number(r->seen.ns, cycles) + 1) * cycles;

	if (next >= CRYSTAL_HZ)
		return (struct vrtc_time){.sec = r->seen.sec + 1};
	/* The first ns at which that many cycles are complete. */
	return (struct vrtc_time){
		.sec = r->seen.sec,
		.ns = (u32)DIV_ROUND_UP(next * NS_PER_S, CRYSTAL_HZ),
	};
}

/* The tick of the next event whose interrupt is enabled, as of `seen`. */
static u64 next_event(const struct vrtc *r)
{
	u8 enabled = r->cmos[RTC_B] & C_FLAGS;
	u32 cycles = period_cycles(r);
	u64 next = CLOCK_NEVER;
	s64 alarm;

	if (!enabled || divider_held(r))
		return CLOCK_NEVER;
	if (enabled & C_PF && cycles)
		next = time_to_ticks(r, next_period(r, cycles));
	if (r->frozen)
		return next;
	if (enabled & C_UF) {
		struct vrtc_time t = {.sec = r->seen.sec + 1};

		next = MIN(next, time_to_ticks(r, t));
	}
	alarm = enabled & C_AF ? vrtc_alarm_after(r->cmos, r->seen.sec) : -1;
	if (alarm >= 0) {
		struct vrtc_time t = {.sec = r->seen.sec + alarm};

		next = MIN(next, time_to_ticks(r, t));
	}
	return next;
}

/* Drives the line; while it is asserted nothing more can come of an event until register C is read. */
static void update(struct vrtc *r)
{
	bool level = r->cmos[RTC_B] & r->cmos[RTC_C] & C_FLAGS;
	u64 deadline = level ? CLOCK_NEVER : next_event(r);

	if (level)
		r->cmos[RTC_C] |= C_IRQF;
	else
		r->cmos[RTC_C] &= (u8)~C_IRQF;
	if (level != r->irq_level) {
		r->irq_level = level;
		irq_line_set(&r->irq, level);
	}
	if (deadline != r->timer.deadline)
		timer_set(r->clock, &r->timer, deadline);
}

static void fire(void *arg)
{
	struct vrtc *r = arg;

	catch_up(r);
	update(r);
}

static u8 flags_read(struct vrtc *r)
{
	u8 flags;

	catch_up(r);
	update(r);
	flags = r->cmos[RTC_C];
	r->cmos[RTC_C] = 0;
	update(r);
	return flags;
}

/* ---- Time --------------------------------------------------------------------------------- */

static bool wants_freeze(const struct vrtc *r)
{
	return r->cmos[RTC_B] & RTC_B_SET || divider_held(r);
}

/* Makes it `t` now; what has been seen stays seen. */
static void set_time(struct vrtc *r, struct vrtc_time t)
{
	struct vrtc_time now = time_now(r);
	s64 ns = (s64)r->base.ns + t.ns - now.ns;

	r->base.sec += t.sec - now.sec;
	if (ns < 0) {
		ns += NS_PER_S;
		r->base.sec--;
	} else if (ns >= NS_PER_S) {
		ns -= NS_PER_S;
		r->base.sec++;
	}
	r->base.ns = (u32)ns;
	r->seen = t;
}

static void freeze(struct vrtc *r)
{
	vrtc_fields_put(r->cmos, time_now(r).sec);
	r->frozen = true;
}

/*
 * The time goes on from what the registers hold. "Divider Stages": the first update after the chain is released comes half a
 * second later; after SET alone the chain has been running all the while.
 */
static void unfreeze(struct vrtc *r, bool from_reset)
{
	struct vrtc_time t = time_now(r);

	t.sec = vrtc_fields_get(r->cmos);
	if (from_reset)
		t.ns = HALF_SECOND_NS;
	set_time(r, t);
	r->frozen = false;
}

static void control_write(struct vrtc *r, unsigned reg, u8 value)
{
	bool held = divider_held(r);

	catch_up(r);
	if (reg == RTC_A) {
		r->cmos[RTC_A] = value & (u8)~A_UIP;
	} else {
		/* Stop the time in the form in which it was kept, not in the new one. */
		if (value & RTC_B_SET && !r->frozen)
			freeze(r);
		if (value & RTC_B_SET)
			value &= (u8)~C_UF; /* SET going up clears UIE */
		r->cmos[RTC_B] = value;
	}
	if (wants_freeze(r) && !r->frozen)
		freeze(r);
	else if (!wants_freeze(r) && r->frozen)
		unfreeze(r, held);
	update(r);
}

/* A write with the clock running is a change of that one register. */
static void time_write(struct vrtc *r, unsigned reg, u8 value)
{
	catch_up(r);
	if (r->frozen) {
		r->cmos[reg] = value;
	} else {
		freeze(r);
		r->cmos[reg] = value;
		unfreeze(r, false);
	}
	update(r);
}

static bool is_time(unsigned reg)
{
	return reg == RTC_SECONDS || reg == RTC_MINUTES || reg == RTC_HOURS ||
	       (reg >= RTC_WEEKDAY && reg <= RTC_YEAR) || reg == RTC_CENTURY;
}

static u8 cmos_read(struct vrtc *r, unsigned reg)
{
	struct vrtc_time now;

	switch (reg) {
	case RTC_A:
		now = time_now(r);
		if (!r->frozen && now.ns >= NS_PER_S - UIP_NS)
			return r->cmos[RTC_A] | A_UIP;
		return r->cmos[RTC_A];
	case RTC_C:
		return flags_read(r);
	case RTC_D:
		return D_VRT;
	default:
		if (is_time(reg) && !r->frozen)
			vrtc_fields_put(r->cmos, time_now(r).sec);
		return r->cmos[reg];
	}
}

static void cmos_write(struct vrtc *r, unsigned reg, u8 value)
{
	if (is_time(reg)) {
		time_write(r, reg, value);
		return;
	}
	switch (reg) {
	case RTC_A:
	case RTC_B:
		control_write(r, reg, value);
		break;
	case RTC_C:
	case RTC_D:
		break; /* read only */
	case RTC_SECONDS_ALARM:
	case RTC_MINUTES_ALARM:
	case RTC_HOURS_ALARM:
		catch_up(r);
		r->cmos[reg] = value;
		update(r);
		break;
	default:
		r->cmos[reg] = value;
		break;
	}
}

/* ---- Ports -------------------------------------------------------------------------------- */

static u8 port_read(void *dev, u64 port)
{
	struct vrtc *r = dev;

	return port ? cmos_read(r, r->index) : 0xff; /* 0x70 is write only */
}

/* Bit 7 of the index port masks NMI on a PC; the machine has no source of NMIs behind it. */
static void port_write(void *dev, u64 port, u8 value)
{
	struct vrtc *r = dev;

	if (port)
		cmos_write(r, r->index, value);
	else
		r->index = value & 0x7f;
}

static u64 bus_read_op(void *dev, u64 offset, unsigned size)
{
	return bus_read_bytes(dev, offset, size, port_read);
}

static void bus_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	bus_write_bytes(dev, offset, size, value, port_write);
}

const struct bus_ops vrtc_bus_ops = {.read = bus_read_op, .write = bus_write_op};

/* "RESET": interrupt enables and flags are cleared; the time, the memory and the form of the time stay. */
void vrtc_reset(struct vrtc *r)
{
	catch_up(r);
	r->index = 0;
	r->cmos[RTC_B] &= (u8) ~(C_FLAGS | B_SQWE);
	r->cmos[RTC_C] = 0;
	update(r);
}

void vrtc_init(struct vrtc *r, struct clock *clock, s64 epoch_ns, const struct irq_line *irq)
{
	s64 sec = epoch_ns / NS_PER_S;
	s64 ns = epoch_ns % NS_PER_S;

	if (ns < 0) {
		ns += NS_PER_S;
		sec--;
	}
	*r = (struct vrtc){
		.base = {.sec = sec, .ns = (u32)ns},
		.clock = clock,
		.irq = *irq,
	};
	r->cmos[RTC_A] = A_RESET;
	r->cmos[RTC_B] = RTC_B_24H;
	r->seen = time_now(r);
	timer_init(&r->timer, fire, r);
}
