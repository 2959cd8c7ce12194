/* SPDX-License-Identifier: MIT */
/*
 * The interval timer: three counters at ports 0x40-0x43, and port 0x61. Intel 8254 data sheet ("Programming the 8254",
 * "Read Operations", "Mode Definitions"), and for port 0x61 the ICH data sheets ("NMI_SC - NMI Status and Control
 * Register").
 *
 * Nothing ticks: what a counter holds follows from the moment at which it was loaded. A count that is to be loaded later
 * (`load_at`) is loaded by whoever looks first. A timer runs for the rising edges of counter 0 only.
 */
#include <vmm/vpit.h>

#define NS_PER_S 1000000000ULL
#define NEVER    CLOCK_NEVER

#define CW_BCD     BIT(0)
#define CW_MODE    GENMASK(3, 1)
#define CW_RW      GENMASK(5, 4)
#define CW_COUNTER GENMASK(7, 6)
#define CW_KEPT    GENMASK(5, 0)
#define CW_RESET                                                                                   \
	0x30 /* "Programming the 8254" leaves it open: mode 0, whose output is low, without a count */
#define CW_READ_BACK 3 /* for a counter */

#define READ_BACK_NO_COUNT   BIT(5)
#define READ_BACK_NO_STATUS  BIT(4)
#define READ_BACK_COUNTER(n) BIT((n) + 1)

#define STATUS_OUT  BIT(7)
#define STATUS_NULL BIT(6)

#define PORT61_GATE2    BIT(0)
#define PORT61_WRITABLE GENMASK(3, 0)
#define PORT61_REFRESH  BIT(4)
#define PORT61_OUT2     BIT(5)

#define REFRESH_CYCLES                                                                             \
	18 /* a refresh each 15 us, whatever is in counter 1: by it old software counts time */

enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH };

/* "Mode Definitions" */
enum mode {
	TERMINAL_COUNT = 0,
	ONE_SHOT = 1,
	RATE = 2,
	SQUARE = 3,
	STROBE = 4,
	TRIGGERED_STROBE = 5,
};

/* What tells the modes apart. */
static const struct mode_rule {
	bool periodic; /* a count is over and over again; a new one waits for the end of the (half) cycle */
	bool triggered; /* counting starts at a rising gate; its level does not matter */
} mode_rule[] = {
	[TERMINAL_COUNT] = {false, false},
	[ONE_SHOT] = {false, true},
	[RATE] = {true, false},
	[SQUARE] = {true, false},
	[STROBE] = {false, false},
	[TRIGGERED_STROBE] = {false, true},
};

static enum mode mode_of(const struct vpit_counter *c)
{
	unsigned mode = (unsigned)field_get(CW_MODE, c->control);

	return (enum mode)(mode > TRIGGERED_STROBE ? mode - 4 : mode); /* 6 and 7 are 2 and 3 */
}

static const struct mode_rule *rule_of(const struct vpit_counter *c)
{
	return &mode_rule[mode_of(c)];
}

static unsigned rw_of(const struct vpit_counter *c)
{
	return (unsigned)field_get(CW_RW, c->control);
}

/* ---- Counts ------------------------------------------------------------------------------- */

/* Values after which a counter starts over. */
static u32 modulus(const struct vpit_counter *c)
{
	return c->control & CW_BCD ? 10000 : 65536;
}

static u32 bcd_decode(u16 raw)
{
	return (raw >> 12) * 1000U + (raw >> 8 & 0xf) * 100U + (raw >> 4 & 0xf) * 10U + (raw & 0xf);
}

static u16 bcd_encode(u32 n)
{
	return (u16)((n / 1000 % 10) << 12 | (n / 100 % 10) << 8 | (n / 10 % 10) << 4 | n % 10);
}

static u16 as_read(const struct vpit_counter *c, u64 n)
{
	u32 value = (u32)(n % modulus(c));

	return c->control & CW_BCD ? bcd_encode(value) : (u16)value;
}

/*
 * The count that the register asks for. 0 is the largest. 1 is "illegal" in modes 2 and 3, and taken as 2 there. A BCD digit
 * above 9 has the weight that it says.
 */
static u32 count_written(const struct vpit_counter *c)
{
	u32 n = c->control & CW_BCD ? bcd_decode(c->count) % modulus(c) : c->count;

	if (!n)
		return modulus(c);
	return rule_of(c)->periodic ? MAX(n, 2U) : n;
}

/* "Mode 3": with an odd count the output is high for one cycle more than it is low. */
static u32 square_high(u32 from)
{
	return (from + 1) / 2;
}

/* Cycles that it has counted since it was loaded. */
static u64 elapsed(const struct vpit_counter *c, u64 now)
{
	return c->held ? c->elapsed : now - c->start;
}

/* "Mode 3": down by two each cycle, from the same even number in both halves. */
static u64 square_value(u32 from, u64 phase)
{
	u32 high = square_high(from);

	return (from & ~1U) - 2 * (phase < high ? phase : phase - high);
}

static u16 value_of(const struct vpit_counter *c, u64 now)
{
	u64 t = elapsed(c, now);

	if (!c->loaded)
		return c->stopped_at;
	switch (mode_of(c)) {
	case RATE:
		return as_read(c, c->from - t % c->from);
	case SQUARE:
		return as_read(c, square_value(c->from, t % c->from));
	default:
		/* On from zero: to the largest. */
		return as_read(c, c->from + modulus(c) - t % modulus(c));
	}
}

static bool output_of(const struct vpit_counter *c, u64 now)
{
	enum mode mode = mode_of(c);
	u64 t = elapsed(c, now);

	if (!c->loaded)
		return mode != TERMINAL_COUNT;
	switch (mode) {
	case TERMINAL_COUNT:
	case ONE_SHOT:
		return t >= c->from;
	case RATE:
		return t % c->from != c->from - 1U;
	case SQUARE:
		return t % c->from < square_high(c->from);
	default:
		return t != c->from;
	}
}

/* ---- Loading ------------------------------------------------------------------------------ */

static void stop(struct vpit_counter *c, u64 now)
{
	c->stopped_at = value_of(c, now);
	c->loaded = false;
	c->held = false;
}

/* Stops, until something loads it. */
static void halt(struct vpit_counter *c, u64 now)
{
	stop(c, now);
	c->load_at = NEVER;
}

/* When the cycle starts in which `count` is counted: in mode 3 it may be loaded in the middle, with the output low. */
static u64 start_of_load(const struct vpit_counter *c)
{
	if (mode_of(c) == SQUARE && c->loaded &&
	    (c->load_at - c->start) % c->from == square_high(c->from))
		return c->load_at - square_high(count_written(c));
	return c->load_at;
}

/* From the count register to the counting element, if its time has come. */
static void advance(struct vpit_counter *c, u64 now)
{
	if (c->load_at > now)
		return;
	c->start = start_of_load(c);
	c->from = count_written(c);
	c->load_at = NEVER;
	c->null_count = false;
	c->loaded = true;
	c->held = !c->gate && !rule_of(c)->triggered;
	c->elapsed = 0;
	if (c->held && rule_of(c)->periodic)
		stop(c, now); /* until the gate rises, which loads again */
}

/* The end of the cycle, and in mode 3 of the half cycle, that is on its way. */
static u64 end_of_cycle(const struct vpit_counter *c, u64 now)
{
	u64 phase = (now - c->start) % c->from;

	if (mode_of(c) == SQUARE && phase < square_high(c->from))
		return now - phase + square_high(c->from);
	return now - phase + c->from;
}

/* The count register has a whole new count. */
static void count_complete(struct vpit_counter *c, u64 now)
{
	const struct mode_rule *rule = rule_of(c);

	c->written = true;
	c->null_count = true;
	if (mode_of(c) == TERMINAL_COUNT)
		stop(c, now);
	if (!rule->triggered) /* those wait for a trigger */
		c->load_at = rule->periodic && c->loaded ? end_of_cycle(c, now) : now + 1;
}

/* "Gate Pin Operations Summary" */
static void gate_set(struct vpit_counter *c, bool gate, u64 now)
{
	const struct mode_rule *rule = rule_of(c);

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (rule->triggered || rule->periodic) {
		if (gate && c->written)
			c->load_at = now + 1;
		else if (!gate && rule->periodic && c->loaded)
			halt(c, now);
	} else if (c->loaded && gate) {
		c->start = now - c->elapsed;
		c->held = false;
	} else if (c->loaded) {
		c->elapsed = elapsed(c, now);
		c->held = true;
	}
}

/* ---- The interrupt ------------------------------------------------------------------------ */

/* When the output rises next after `after`, by a count `from` that was loaded at `start`; NEVER if it does not. */
static u64 edge_after(enum mode mode, u64 start, u32 from, u64 after)
{
	u64 edge;

	switch (mode) {
	case TERMINAL_COUNT:
		edge = start + from;
		break;
	case STROBE:
		edge = start + from + 1;
		break;
	case RATE:
	case SQUARE:
		return after - (after - start) % from + from;
	default:
		return NEVER; /* these wait for the gate, which is always high */
	}
	return edge > after ? edge : NEVER;
}

static u64 next_edge(const struct vpit_counter *c, u64 now)
{
	u64 edge = NEVER;

	if (c->loaded)
		edge = edge_after(mode_of(c), c->start, c->from, now);
	if (c->load_at < edge)
		edge = edge_after(mode_of(c), start_of_load(c), count_written(c), c->load_at);
	return edge;
}

/* Another CPU's clock may be a little behind that of the last one that looked. */
static u64 cycles_now(struct vpit *p)
{
	p->now = MAX(p->now, clock_mul_div(clock_now(p->clock), VPIT_HZ, p->clock->hz));
	return p->now;
}

/* The first tick at which so many cycles are complete. */
static u64 cycles_to_ticks(const struct vpit *p, u64 cycles)
{
	u64 ticks = clock_mul_div(cycles, p->clock->hz, VPIT_HZ);

	return clock_mul_div(ticks, VPIT_HZ, p->clock->hz) < cycles ? ticks + 1 : ticks;
}

static void line_set(struct vpit *p, bool level)
{
	if (level == p->irq_level)
		return;
	p->irq_level = level;
	irq_line_set(&p->irq, level);
}

/* Edges are computed from the moment of the load, so that periods do not add up errors. */
static void rearm(struct vpit *p, u64 now)
{
	const struct vpit_counter *c = &p->counter[0];
	u64 edge = next_edge(c, now);
	u64 deadline = edge == NEVER ? CLOCK_NEVER : cycles_to_ticks(p, edge);

	if (rule_of(c)->periodic)
		deadline = MAX(deadline, p->earliest);
	timer_set(p->clock, &p->timer, deadline);
}

/*
 * An edge has come; several, if the host is late: they are one interrupt, as they are to a CPU that does not acknowledge
 * the first in time. Where the output is low for long before (mode 3) the line is low for no time: what counts is the edge.
 */
static void tick(struct vpit *p)
{
	u64 now = cycles_now(p);

	advance(&p->counter[0], now);
	line_set(p, false);
	line_set(p, true);
	p->earliest = clock_now(p->clock) + clock_ns_to_ticks(p->clock, VPIT_MIN_PERIOD_NS) + 1;
	rearm(p, now);
}

static void fire(void *arg)
{
	tick(arg);
}

/* Everything up to now has happened; returns now. An edge that has come is not lost by what the guest does next. */
static u64 catch_up(struct vpit *p)
{
	u64 now;
	unsigned n;

	if (p->timer.deadline <= clock_now(p->clock))
		tick(p);
	now = cycles_now(p);
	for (n = 0; n < VPIT_COUNTERS; n++)
		advance(&p->counter[n], now);
	return now;
}

/* The guest has changed something of counter 0. */
static void counter0_changed(struct vpit *p, u64 now)
{
	const struct vpit_counter *c = &p->counter[0];

	line_set(p, mode_of(c) != TERMINAL_COUNT || output_of(c, now));
	rearm(p, now);
}

/* ---- Ports -------------------------------------------------------------------------------- */

static void latch_count(struct vpit_counter *c, u64 now)
{
	if (c->count_latched)
		return;
	c->count_latched = true;
	c->latch = value_of(c, now);
}

static void latch_status(struct vpit_counter *c, u64 now)
{
	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = c->control;
	if (output_of(c, now))
		c->status |= (u8)STATUS_OUT;
	if (c->null_count)
		c->status |= (u8)STATUS_NULL;
}

static void read_back(struct vpit *p, u8 value, u64 now)
{
	unsigned n;

	for (n = 0; n < VPIT_COUNTERS; n++) {
		if (!(value & READ_BACK_COUNTER(n)))
			continue;
		if (!(value & READ_BACK_NO_COUNT))
			latch_count(&p->counter[n], now);
		if (!(value & READ_BACK_NO_STATUS))
			latch_status(&p->counter[n], now);
	}
}

/* "Control Word Format": the control logic is reset, and the output is as it is at first in that mode. */
static void program(struct vpit_counter *c, u8 value, u64 now)
{
	*c = (struct vpit_counter){
		.control = value & CW_KEPT,
		.gate = c->gate,
		.null_count = true,
		.stopped_at = value_of(c, now),
		.load_at = NEVER,
	};
}

static void control_write(struct vpit *p, u8 value, u64 now)
{
	unsigned n = (unsigned)field_get(CW_COUNTER, value);

	if (n == CW_READ_BACK) {
		read_back(p, value, now);
		return;
	}
	if (field_get(CW_RW, value) == RW_LATCH) {
		latch_count(&p->counter[n], now);
		return;
	}
	program(&p->counter[n], value, now);
	if (n == 0)
		counter0_changed(p, now);
}

static void count_write(struct vpit_counter *c, u8 value, u64 now)
{
	switch (rw_of(c)) {
	case RW_LOW:
		c->count = value;
		break;
	case RW_HIGH:
		c->count = (u16)(value << 8);
		break;
	default:
		if (!c->write_high) {
			/* A count that waits to be loaded stays whole meanwhile. "Mode 0": the first byte stops the counting. */
			c->low = value;
			c->write_high = true;
			if (mode_of(c) == TERMINAL_COUNT)
				halt(c, now);
			return;
		}
		c->count = (u16)(c->low | value << 8);
		c->write_high = false;
		break;
	}
	count_complete(c, now);
}

static u8 count_read(struct vpit_counter *c, u64 now)
{
	u16 value = c->count_latched ? c->latch : value_of(c, now);
	unsigned rw = rw_of(c);
	bool high = rw == RW_HIGH || (rw == RW_BOTH && c->read_high);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (rw == RW_BOTH)
		c->read_high = !high;
	if (high || rw == RW_LOW)
		c->count_latched = false;
	return (u8)(high ? value >> 8 : value);
}

/* The control port cannot be read. */
static u8 port_read(struct vpit *p, u64 port, u64 now)
{
	return port < VPIT_COUNTERS ? count_read(&p->counter[port], now) : 0xff;
}

static void port_write(struct vpit *p, u64 port, u8 value, u64 now)
{
	if (port >= VPIT_COUNTERS) {
		control_write(p, value, now);
		return;
	}
	count_write(&p->counter[port], value, now);
	if (port == 0)
		counter0_changed(p, now);
}

static u64 bus_read_op(void *dev, u64 offset, unsigned size)
{
	u64 now = catch_up(dev);
	u64 value = 0;
	unsigned i;

	for (i = 0; i < size; i++)
		value |= (u64)port_read(dev, offset + i, now) << (i * 8);
	return value;
}

static void bus_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	u64 now = catch_up(dev);
	unsigned i;

	for (i = 0; i < size; i++)
		port_write(dev, offset + i, (u8)(value >> (i * 8)), now);
}

const struct bus_ops vpit_bus_ops = {.read = bus_read_op, .write = bus_write_op};

/* Bits 7 and 6, the causes of an NMI, are never set: the machine has no parity and no IOCHK#. */
static u64 port61_read_op(void *dev, unused u64 offset, unused unsigned size)
{
	struct vpit *p = dev;
	u64 now = catch_up(p);
	u64 value = p->port61;

	if (now / REFRESH_CYCLES % 2)
		value |= PORT61_REFRESH;
	if (output_of(&p->counter[2], now))
		value |= PORT61_OUT2;
	return value;
}

static void port61_write_op(void *dev, unused u64 offset, unused unsigned size, u64 value)
{
	struct vpit *p = dev;
	u64 now = catch_up(p);

	p->port61 = (u8)(value & PORT61_WRITABLE);
	gate_set(&p->counter[2], value & PORT61_GATE2, now);
}

const struct bus_ops vpit_port61_bus_ops = {.read = port61_read_op, .write = port61_write_op};

void vpit_reset(struct vpit *p)
{
	unsigned n;

	for (n = 0; n < VPIT_COUNTERS; n++)
		p->counter[n] = (struct vpit_counter){
			.control = CW_RESET,
			.gate = n != 2,
			.null_count = true,
			.load_at = NEVER,
		};
	p->port61 = 0;
	p->earliest = 0;
	timer_cancel(p->clock, &p->timer);
	line_set(p, false);
}

void vpit_init(struct vpit *p, struct clock *clock, const struct irq_line *irq)
{
	*p = (struct vpit){.clock = clock, .irq = *irq};
	timer_init(&p->timer, fire, p);
	vpit_reset(p);
}
