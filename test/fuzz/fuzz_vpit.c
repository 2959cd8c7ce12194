/* SPDX-License-Identifier: MIT */
/*
 * The 8254, twice. An even first byte of the input: random accesses and steps of time, no timer without a reason and none in
 * the past. An odd one: counters 0 and 2 beside a model that is clocked, one cycle after the other, by the data sheet's
 * "Mode Definitions".
 */
/* SOURCES: vmm/dev/vpit.c vmm/dev/clock.c */
#include <vmm/vpit.h>

#include "input.h"

static u64 ticks;
static struct clock test_clock;
static struct vpit pit;
static bool line;
static unsigned rises;

static u64 now(void)
{
	return ticks;
}

static void on_irq(unused void *ctx, unused unsigned pin, bool level)
{
	INVARIANT(level != line);
	line = level;
	rises += level;
}

static void wr(unsigned port, u8 value)
{
	vpit_bus_ops.write(&pit, port, 1, value);
}

static u8 rd(unsigned port)
{
	u64 value = vpit_bus_ops.read(&pit, port, 1);

	INVARIANT(value <= 0xff);
	return (u8)value;
}

static u8 rd61(void)
{
	u64 value = vpit_port61_bus_ops.read(&pit, 0, 1);

	INVARIANT(value <= 0x3f);
	return (u8)value;
}

static void wr61(u8 value)
{
	vpit_port61_bus_ops.write(&pit, 0, 1, value);
}

static void run(u64 span)
{
	ticks += span;
	/* What is set again is in the future: the host is not kept busy. */
	INVARIANT(clock_run(&test_clock, ticks) > ticks);
}

/* ---- Beside the model ----------------------------------------------------------------------- */

/* A counter as the data sheet describes it: a count register, a counting element, flip-flops. */
struct model {
	unsigned mode, rw;
	bool bcd, gate, out;
	bool high_next; /* the second byte of a count is to be written */
	bool stopped;   /* mode 0: by the first byte */
	bool have;      /* there is a count */
	bool load;      /* at the next pulse */
	bool fresh;     /* a new count, to be loaded at the end of the cycle */
	bool null;
	bool counting;
	bool strobe; /* to come in this round */
	bool odd;    /* mode 3: the count being counted */
	u8 low;
	u32 cr, ce;
};

static struct model model[3];
static bool rose[3]; /* in the last pulse */

static u32 model_modulus(const struct model *m)
{
	return m->bcd ? 10000 : 65536;
}

static void model_control(struct model *m, u8 value)
{
	m->mode = value >> 1 & 7;
	if (m->mode > 5)
		m->mode -= 4;
	m->rw = value >> 4 & 3;
	m->bcd = value & 1;
	m->out = m->mode != 0;
	m->high_next = m->stopped = m->have = m->load = m->fresh = m->counting = m->strobe = false;
	m->null = true;
}

static void model_count(struct model *m, u32 raw)
{
	u32 n = raw;

	if (m->bcd)
		n = ((raw >> 12) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 +
		     (raw & 15)) %
		    10000;
	if (!n)
		n = model_modulus(m);
	if (n == 1 && (m->mode == 2 || m->mode == 3))
		n = 2;
	m->cr = n;
	m->have = m->null = true;
	m->stopped = false;
	switch (m->mode) {
	case 0:
		m->out = false;
		m->load = true;
		break;
	case 4:
		m->load = true;
		break;
	case 2:
	case 3:
		if (!m->counting)
			m->load = true;
		break;
	default:
		break;
	}
}

static void model_write(struct model *m, u8 value)
{
	if (m->rw == 1) {
		model_count(m, value);
	} else if (m->rw == 2) {
		model_count(m, (u32)value << 8);
	} else if (!m->high_next) {
		m->low = value;
		m->high_next = true;
		if (m->mode == 0) {
			m->stopped = true;
			m->load = false;
			m->out = false;
		}
	} else {
		m->high_next = false;
		model_count(m, (u32)value << 8 | m->low);
	}
}

static void model_gate(struct model *m, bool gate)
{
	bool trigger = gate && !m->gate;

	m->gate = gate;
	if (m->mode == 2 || m->mode == 3) {
		if (!gate) {
			m->out = true;
			m->counting = false;
		}
	}
	if (trigger && m->have && m->mode != 0 && m->mode != 4)
		m->load = true;
}

static void model_load(struct model *m)
{
	m->load = m->null = false;
	m->ce = m->cr;
	m->odd = m->cr & 1;
	if (m->mode == 3)
		m->ce &= ~1U;
	m->counting = m->strobe = true;
	if (m->mode == 1)
		m->out = false;
	if ((m->mode == 2 || m->mode == 3) && !m->gate)
		m->counting = false;
}

static void model_down(struct model *m)
{
	m->ce = (m->ce + model_modulus(m) - 1) % model_modulus(m);
}

static void model_square(struct model *m)
{
	/* "Odd counts": one pulse after zero with the output high, at zero with it low. */
	if (!(m->out && m->odd && !m->ce)) {
		m->ce -= 2;
		if (m->ce || (m->out && m->odd))
			return;
	}
	m->out = !m->out;
	model_load(m);
}

static void model_pulse(struct model *m)
{
	/* The strobe lasts for one pulse, whatever that one does. */
	bool strobed = (m->mode == 4 || m->mode == 5) && !m->out;

	if (m->load) {
		model_load(m);
		if (strobed)
			m->out = true;
		return;
	}
	if (!m->counting || m->stopped || (!m->gate && m->mode != 1 && m->mode != 5))
		return;
	if (strobed)
		m->out = true;
	if (m->mode == 3) {
		model_square(m);
		return;
	}
	model_down(m);
	switch (m->mode) {
	case 0:
	case 1:
		if (!m->ce)
			m->out = true;
		break;
	case 2:
		if (m->ce == 1)
			m->out = false;
		if (m->ce)
			break;
		m->out = true;
		model_load(m);
		break;
	default:
		if (!m->ce && m->strobe)
			m->strobe = m->out = false;
		break;
	}
}

static u32 model_value(const struct model *m)
{
	u32 n = m->ce % model_modulus(m);

	if (!m->bcd)
		return n;
	return n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10;
}

static void compare(unsigned n)
{
	const struct model *m = &model[n];
	u8 status;
	u32 value, expected = model_value(m);

	wr(3, (u8)(0xc0 | 2U << n));
	status = rd(n);
	value = rd(n);
	if (m->rw == 3)
		value |= (u32)rd(n) << 8;
	else if (m->rw == 2)
		value <<= 8;
	INVARIANT(status >> 7 == m->out);
	INVARIANT((status >> 6 & 1) == m->null);
	if (m->rw == 1)
		expected &= 0xff;
	else if (m->rw == 2)
		expected &= 0xff00;
	INVARIANT(value == expected);
}

static void both_pulse(void)
{
	unsigned n, before = rises;

	for (n = 0; n < 3; n += 2) {
		bool was = model[n].out;

		model_pulse(&model[n]);
		rose[n] = !was && model[n].out;
	}
	run(1);
	INVARIANT(rises - before == rose[0]);
}

/* Small ones for counter 2; for counter 0 above what the shortest period of interrupts merges. */
static u8 count_byte(struct input *in, unsigned n)
{
	u8 value = input_u8(in);

	if (n == 0)
		return value | 0x80;
	return value & 0x80 ? value & 3 : value & 0x1f;
}

static void beside_model(struct input *in)
{
	unsigned i;

	ticks = 1000;
	for (i = 0; i < 3; i++) {
		model[i] = (struct model){.gate = i != 2};
		wr(3, (u8)(i << 6 | 0x30));
		model_control(&model[i], 0x30);
	}
	while (input_left(in)) {
		u8 what = input_u8(in);
		unsigned n = what & 1 ? 2 : 0;
		u8 value;

		if (what < 0x20) {
			value = input_u8(in) & 0x3f;
			value |= value & 0x30 ? 0 : 0x30;
			wr(3, (u8)(n << 6 | value));
			/* The counting element keeps what it held, as bits. */
			i = model_value(&model[n]);
			model_control(&model[n], value);
			model[n].ce = model[n].bcd ? (i >> 12) * 1000 + (i >> 8 & 15) * 100 +
							     (i >> 4 & 15) * 10 + (i & 15) :
						     i;
			/* Digits above 9 are read as they are until a count is loaded: not compared. */
			model[n].ce %= model_modulus(&model[n]);
			if (model_value(&model[n]) != i) {
				model_write(&model[n], 0x80);
				wr(n, 0x80);
				if (model[n].rw == 3) {
					model_write(&model[n], 0x80);
					wr(n, 0x80);
				}
				if (model[n].mode == 1 || model[n].mode == 5)
					return;
				both_pulse();
			}
		} else if (what < 0x60) {
			value = count_byte(in, n);
			wr(n, value);
			model_write(&model[n], value);
		} else if (what < 0x80) {
			wr61(what >> 1 & 1);
			model_gate(&model[2], what >> 1 & 1);
		} else {
			for (i = what & 0x3f; i--;) {
				both_pulse();
				if (what & 0x40)
					compare(2);
			}
		}
		compare(0);
		compare(2);
		INVARIANT((rd61() >> 5 & 1) == model[2].out);
	}
}

/* ---- At random ------------------------------------------------------------------------------ */

static void check(void)
{
	const struct timer *t = test_clock.head;
	unsigned n, mode = pit.counter[0].control >> 1 & 7;

	INVARIANT(!t || (t == &pit.timer && !t->next && pit.counter[0].written && mode != 1 &&
			 mode != 5));
	INVARIANT(line == pit.irq_level && (line || mode == 0));
	INVARIANT(mode != 0 || !line || !t);
	INVARIANT(pit.port61 <= 0xf && pit.counter[2].gate == (pit.port61 & 1));
	for (n = 0; n < 3; n++) {
		const struct vpit_counter *c = &pit.counter[n];

		INVARIANT(!c->loaded || (c->from >= 1 && c->from <= 65536));
		INVARIANT(c->control >> 4 && c->control <= 0x3f);
		INVARIANT(c->null_count || c->written);
	}
}

static void pass(u64 span)
{
	unsigned before = rises;

	if (ticks + span > 1ULL << 62)
		return;
	run(span);
	INVARIANT(rises - before <= 1);
}

static void at_random(struct input *in)
{
	while (input_left(in)) {
		u8 what = input_u8(in);

		if (what < 0x30)
			rd(what & 3);
		else if (what < 0x38)
			vpit_bus_ops.read(&pit, what & 1, 2);
		else if (what < 0x40)
			vpit_bus_ops.write(&pit, 0, 4, input_number(in, 4));
		else if (what < 0x60)
			wr(3, input_u8(in));
		else if (what < 0xa0)
			wr(what & 3, input_u8(in));
		else if (what < 0xb0)
			wr61(input_u8(in));
		else if (what < 0xb8)
			rd61();
		else if (what < 0xf8)
			pass(input_span(in));
		else if (what < 0xfe)
			ticks += input_u8(in) * 1000U; /* the host is late */
		else
			vpit_reset(&pit);
		check();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	bool beside = input_u8(&in) & 1;
	struct irq_line irq = {.set = on_irq};

	ticks = 0;
	line = false;
	clock_init(&test_clock, now, beside ? VPIT_HZ : 2400000000ULL, NULL);
	vpit_init(&pit, &test_clock, &irq);
	if (beside)
		beside_model(&in);
	else
		at_random(&in);
	return 0;
}
