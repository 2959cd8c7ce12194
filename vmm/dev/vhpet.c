/* SPDX-License-Identifier: MIT */
/*
 * High Precision Event Timers. IA-PC HPET Specification 1.0a: "Memory Map", "General Registers", "Timer N Registers",
 * "Theory of Operation"; what it leaves open is as Intel's I/O controller hubs do it (ICH7 data sheet, "High Precision Event
 * Timer Registers"). Called by a machine's MMIO bus, and by its clock.
 *
 * Nothing ticks: the counter is computed when it is read, and so are comparators and status, from the last count at which they were
 * looked at (`seen`) until now. A timer runs only for an interrupt that is enabled and that can be delivered.
 *
 * A comparator matches by equality, as in hardware: one that is set to a count that has passed waits for the counter to come round
 * (in 32-bit mode 43 seconds). Drivers read the counter back, and try again (Linux: hpet_clkevt_set_next_event()).
 */
#include <vmm/vhpet.h>

enum {
	REG_ID = 0x00,
	REG_CONFIG = 0x10,
	REG_STATUS = 0x20,
	REG_COUNTER = 0xf0,
	REG_TIMERS = 0x100
};
enum { TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08, TIMER_STRIDE = 0x20 };

#define ENABLE   BIT(0)
#define LEGACY   BIT(1)
#define PERIODIC BIT(3)
#define VAL_SET  BIT(6)

#define TN_LEVEL       BIT(1)
#define TN_INT_ENABLE  BIT(2)
#define TN_CAN_REPEAT  BIT(4)
#define TN_CAN_64_BITS BIT(5)
#define TN_32_BITS     BIT(8)
#define TN_ROUTE       GENMASK(13, 9)
#define TN_PINS        GENMASK(63, 32)
#define TN_WRITABLE    (TN_LEVEL | TN_INT_ENABLE | PERIODIC | VAL_SET | TN_32_BITS | TN_ROUTE)

#define PERIODIC_TIMERS 2 /* the first ones */
#define LEGACY_TIMERS   2

_Static_assert((VHPET_ID >> 8 & 0x1f) == VHPET_TIMERS - 1, "number of the last timer");
_Static_assert(VHPET_HZ * 1ULL * VHPET_PERIOD_FS == 1000000000000000ULL, "one second");

/* ---- The counter ------------------------------------------------------------------------------ */

static u64 counter(const struct vhpet *h, u64 now)
{
	if (!(h->config & ENABLE))
		return h->base_count;
	return h->base_count + clock_mul_div(now - h->base_ticks, VHPET_HZ, h->clock->hz);
}

static void counter_set(struct vhpet *h, u64 count)
{
	h->base_ticks = clock_now(h->clock);
	h->base_count = h->seen = count;
}

/* The tick at which the counter, as of `seen`, will have gone on by `distance`. */
static u64 tick_after(const struct vhpet *h, u64 distance)
{
	u64 count, tick;

	if (__builtin_add_overflow(h->seen - h->base_count, distance, &count))
		return CLOCK_NEVER;
	/* Rounded up, so that the count is there when the tick has come. */
	tick = clock_mul_div(count, h->clock->hz, VHPET_HZ);
	if (tick >= CLOCK_NEVER - 1 - h->base_ticks)
		return CLOCK_NEVER;
	return h->base_ticks + tick + 1;
}

/* ---- Comparators ------------------------------------------------------------------------------ */

static u64 width(const struct vhpet_timer *t)
{
	return t->config & TN_32_BITS ? 0xffffffffULL : ~0ULL;
}

/* How far the counter is, at `count`, from the next match: a whole turn where it has just matched. Of 64 bits that is never: 0. */
static u64 distance(const struct vhpet_timer *t, u64 count)
{
	u64 mask = width(t), d = (t->comparator - count) & mask;

	return d ? d : mask + 1;
}

/* The pin of timer `i`, as a bit; 0: it is routed to none that it can have. */
static u32 pin_of(const struct vhpet *h, unsigned i)
{
	if (vhpet_legacy(h) && i < LEGACY_TIMERS)
		return (u32)(i ? BIT(VHPET_PIN_RTC) : BIT(VHPET_PIN_PIT));
	return (u32)(VHPET_PINS & BIT(field_get(TN_ROUTE, h->t[i].config)));
}

/* "Tn_INT_ENB_CNF", "ENABLE_CNF": without either no interrupt is caused, though status is kept. So 0, or the pin's bit. */
static u32 interrupts(const struct vhpet *h, unsigned i)
{
	return h->config & ENABLE && h->t[i].config & TN_INT_ENABLE ? pin_of(h, i) : 0;
}

static void pin_set(const struct vhpet *h, u32 pin, bool level)
{
	struct irq_line line = h->irq;

	line.pin = (unsigned)__builtin_ctz(pin);
	irq_line_set(&line, level);
}

/* An edge; not seen on a pin that another timer holds asserted. */
static void pulse(const struct vhpet *h, u32 pin)
{
	if (h->lines & pin)
		return;
	pin_set(h, pin, true);
	pin_set(h, pin, false);
}

static void matched(struct vhpet *h, unsigned i, u64 now)
{
	struct vhpet_timer *t = &h->t[i];
	u32 pin = interrupts(h, i);

	if (t->config & TN_LEVEL)
		h->status |= (u8)BIT(i);
	if (!pin)
		return;
	t->not_before = now + clock_ns_to_ticks(h->clock, VHPET_INTERVAL_MIN_NS);
	if (!(t->config & TN_LEVEL))
		pulse(h, pin);
}

/* Whatever came to pass of timer `i` while the counter went from `seen` on by `elapsed`: periods that were missed are one event. */
static void advance(struct vhpet *h, unsigned i, u64 elapsed, u64 now)
{
	struct vhpet_timer *t = &h->t[i];
	u64 first = distance(t, h->seen);

	if (!first || first > elapsed)
		return;
	if (t->config & PERIODIC && t->period)
		t->comparator = (t->comparator + ((elapsed - first) / t->period + 1) * t->period) &
				width(t);
	matched(h, i, now);
}

static void catch_up(struct vhpet *h)
{
	u64 now = clock_now(h->clock), count = counter(h, now);
	unsigned i;

	/* Another CPU's clock may be a little behind that of the last one that looked. */
	if ((s64)(count - h->seen) < 0)
		return;
	for (i = 0; i < VHPET_TIMERS; i++)
		advance(h, i, count - h->seen, now);
	h->seen = count;
}

/* ---- Interrupts ------------------------------------------------------------------------------- */

static void drive(struct vhpet *h)
{
	u32 want = 0, changed;
	unsigned i;

	for (i = 0; i < VHPET_TIMERS; i++)
		if (h->status & BIT(i))
			want |= interrupts(h, i);
	changed = want ^ h->lines;
	h->lines = want;
	for (; changed; changed &= changed - 1) {
		u32 pin = changed & -changed;

		pin_set(h, pin, want & pin);
	}
}

/* The tick of timer `i`'s next interrupt, as of `seen`. While its status stands there is nothing more to tell. */
static u64 next_interrupt(const struct vhpet *h, unsigned i)
{
	const struct vhpet_timer *t = &h->t[i];
	u64 d = distance(t, h->seen), tick;

	if (!interrupts(h, i) || h->status & BIT(i) || !d)
		return CLOCK_NEVER;
	tick = tick_after(h, d);
	return t->config & PERIODIC ? MAX(tick, t->not_before) : tick;
}

static void update(struct vhpet *h)
{
	u64 deadline = CLOCK_NEVER;
	unsigned i;

	drive(h);
	for (i = 0; i < VHPET_TIMERS; i++) {
		u64 next = next_interrupt(h, i);

		deadline = MIN(deadline, next);
	}
	if (deadline != h->timer.deadline)
		timer_set(h->clock, &h->timer, deadline);
}

static void fire(void *arg)
{
	struct vhpet *h = arg;

	catch_up(h);
	update(h);
}

/* "LEG_RT_CNF": the routing is replaced if ENABLE_CNF and this are both set. */
bool vhpet_legacy(const struct vhpet *h)
{
	return (h->config & (ENABLE | LEGACY)) == (ENABLE | LEGACY);
}

/* ---- Registers -------------------------------------------------------------------------------- */

static u64 merge(u64 old, u64 value, u64 mask)
{
	return (old & ~mask) | (value & mask);
}

static void config_write(struct vhpet *h, u8 value)
{
	bool turned = (value ^ h->config) & ENABLE, was_legacy = vhpet_legacy(h);

	h->config = value & (ENABLE | LEGACY);
	/* The lines are taken over from the PIT and the RTC as these have left them. */
	if (vhpet_legacy(h) && !was_legacy) {
		pin_set(h, BIT(VHPET_PIN_PIT), false);
		pin_set(h, BIT(VHPET_PIN_RTC), false);
	}
	if (turned)
		counter_set(h, h->seen); /* goes on, or stands, from here */
}

static u64 timer_config(const struct vhpet *h, unsigned i)
{
	return h->t[i].config | (i < PERIODIC_TIMERS ? TN_CAN_REPEAT : 0) | TN_CAN_64_BITS |
	       field_prep(TN_PINS, VHPET_PINS);
}

/* "Tn_INT_ROUTE_CNF": of a pin that cannot be, what is read back is something else. It stays what it was. */
static u32 legal_config(const struct vhpet *h, unsigned i, u32 config)
{
	if (!(VHPET_PINS & BIT(field_get(TN_ROUTE, config))))
		config = (u32)merge(config, h->t[i].config, TN_ROUTE);
	if (i >= PERIODIC_TIMERS)
		config &= (u32)~PERIODIC;
	if (!(config & PERIODIC))
		config &= (u32)~VAL_SET;
	return config;
}

static void timer_config_write(struct vhpet *h, unsigned i, u64 value, u64 mask)
{
	struct vhpet_timer *t = &h->t[i];

	t->config = legal_config(h, i, (u32)(merge(t->config, value, mask) & TN_WRITABLE));
	/* "Tn_INT_STS": has no meaning for an edge. */
	if (!(t->config & TN_LEVEL))
		h->status &= (u8)~BIT(i);
	/* ICH7, "TIMERn_32MODE_CNF": the upper halves are loaded with zeros, which stay. */
	t->comparator &= width(t);
	t->period &= width(t);
}

/*
 * "Timer N Comparator Value Register": what is written last is the period. The comparator itself is set by a write only
 * where it does not repeat, or when VAL_SET says so, for one write. Drivers write both in turn (Linux: hpet_clkevt_set_state_periodic()).
 */
static void comparator_write(struct vhpet *h, unsigned i, u64 value, u64 mask)
{
	struct vhpet_timer *t = &h->t[i];

	t->period = merge(t->period, value, mask) & width(t);
	if (!(t->config & PERIODIC) || t->config & VAL_SET)
		t->comparator = merge(t->comparator, value, mask) & width(t);
	t->config &= (u32)~VAL_SET;
}

static u64 timer_read(const struct vhpet *h, unsigned i, unsigned reg)
{
	if (i >= VHPET_TIMERS)
		return 0;
	if (reg == TIMER_CONFIG)
		return timer_config(h, i);
	return reg == TIMER_COMPARATOR ? h->t[i].comparator : 0;
}

static void timer_write(struct vhpet *h, unsigned i, unsigned reg, u64 value, u64 mask)
{
	if (i >= VHPET_TIMERS)
		return;
	if (reg == TIMER_CONFIG)
		timer_config_write(h, i, value, mask);
	else if (reg == TIMER_COMPARATOR)
		comparator_write(h, i, value, mask);
}

/* All 64 bits of the register at `reg`. */
static u64 register_read(struct vhpet *h, unsigned reg)
{
	/* The one that is read all the time, and that nothing else hangs on. */
	if (likely(reg == REG_COUNTER))
		return counter(h, clock_now(h->clock));
	catch_up(h);
	update(h);
	switch (reg) {
	case REG_ID:
		return VHPET_ID | (u64)VHPET_PERIOD_FS << 32;
	case REG_CONFIG:
		return h->config;
	case REG_STATUS:
		return h->status;
	default:
		if (reg < REG_TIMERS)
			return 0;
		return timer_read(h, (reg - REG_TIMERS) / TIMER_STRIDE, reg % TIMER_STRIDE);
	}
}

/* The bits of `mask` are written. */
static void register_write(struct vhpet *h, unsigned reg, u64 value, u64 mask)
{
	catch_up(h);
	switch (reg) {
	case REG_CONFIG:
		config_write(h, (u8)merge(h->config, value, mask));
		break;
	case REG_STATUS:
		h->status &= (u8) ~(value & mask);
		break;
	case REG_COUNTER: /* to be written while it is halted; if it is not, it goes on from there */
		counter_set(h, merge(h->seen, value, mask));
		break;
	default:
		if (reg >= REG_TIMERS)
			timer_write(h, (reg - REG_TIMERS) / TIMER_STRIDE, reg % TIMER_STRIDE, value,
				    mask);
		break;
	}
	update(h);
}

/* "Memory Map": 32 and 64 bits, aligned. Others are the software's fault: read as 0, ignored. */
static bool legal_access(u64 offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

static u64 bus_read_op(void *dev, u64 offset, unsigned size)
{
	u64 value;

	if (!legal_access(offset, size))
		return 0;
	value = register_read(dev, (unsigned)offset & ~7U);
	return size == 8 ? value : (u32)(value >> (offset % 8 * 8));
}

static void bus_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	unsigned shift = (unsigned)(offset % 8 * 8);

	if (!legal_access(offset, size))
		return;
	register_write(dev, (unsigned)offset & ~7U, value << shift,
		       size == 8 ? ~0ULL : GENMASK(31, 0) << shift);
}

const struct bus_ops vhpet_bus_ops = {.read = bus_read_op, .write = bus_write_op};

/* ---- Life ------------------------------------------------------------------------------------- */

void vhpet_reset(struct vhpet *h)
{
	unsigned i;

	h->config = h->status = 0;
	counter_set(h, 0);
	for (i = 0; i < VHPET_TIMERS; i++)
		h->t[i] = (struct vhpet_timer){.comparator = ~0ULL};
	update(h);
}

void vhpet_init(struct vhpet *h, struct clock *clock, const struct irq_line *irq)
{
	*h = (struct vhpet){.clock = clock, .irq = *irq};
	timer_init(&h->timer, fire, h);
	vhpet_reset(h);
}
