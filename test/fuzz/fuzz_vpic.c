/* SPDX-License-Identifier: MIT */
/* The 8259As under random accesses, lines and acknowledges: INT by the rule, vectors of what was asked for, no odd ELCR bit. */
/* SOURCES: vmm/irq/vpic.c */
#include <vmm/vpic.h>

#include "input.h"

static struct vpic pic;
static bool line;

static void on_int(unused void *ctx, unused unsigned pin, bool level)
{
	INVARIANT(level != line);
	line = level;
}

/* What a chip asks for, by going through its pins in the order of priority; -1: nothing. */
static int wanted(const struct vpic_chip *c, unsigned n)
{
	unsigned i;

	if (!c->ready)
		return -1;
	for (i = 1; i <= 8; i++) {
		unsigned pin = (c->lowest + i) % 8;
		bool cascade = n == 0 && pin == VPIC_CASCADE;
		bool level = cascade || c->elcr >> pin & 1;
		bool request = (level ? c->lines : c->edges) >> pin & 1;
		bool serviced = c->isr >> pin & 1 && !(c->special_mask && c->imr >> pin & 1);

		request = request && !(c->imr >> pin & 1);
		if (request && (!serviced || (cascade && !c->single && c->fully_nested_special)))
			return (int)pin;
		if (serviced)
			return -1;
	}
	return -1;
}

static void check(void)
{
	const struct vpic_chip *c = pic.chip;
	unsigned n;

	for (n = 0; n < 2; n++) {
		INVARIANT(c[n].lowest < 8 && c[n].icw < 5 && !(c[n].vector & 7));
		INVARIANT(!(c[n].edges & ~c[n].lines));
		INVARIANT(!c[n].ready || !c[n].icw);
		INVARIANT(c[n].pic == &pic);
	}
	INVARIANT(!(c[0].elcr & 0x07) && !(c[1].elcr & 0x21));
	INVARIANT((c[0].lines >> 2 & 1) == (wanted(&c[1], 1) >= 0));
	INVARIANT(line == (wanted(&c[0], 0) >= 0) && line == pic.int_level);
}

static void ack(void)
{
	int master = wanted(&pic.chip[0], 0), slave = wanted(&pic.chip[1], 1);
	bool cascade = master == VPIC_CASCADE && !pic.chip[0].single;
	int vector = vpic_ack(&pic);

	if (cascade) {
		INVARIANT(slave >= 0 && vector == (pic.chip[1].vector | slave));
		INVARIANT(pic.chip[1].auto_eoi || pic.chip[1].isr >> slave & 1);
	} else {
		INVARIANT(vector == (pic.chip[0].vector | (master < 0 ? 7 : master)));
	}
	INVARIANT(master < 0 || pic.chip[0].auto_eoi || pic.chip[0].isr >> master & 1);
}

static void init_chip(unsigned n, u8 icw4)
{
	vpic_bus_ops.write(&pic.chip[n], 0, 1, 0x11);
	vpic_bus_ops.write(&pic.chip[n], 1, 1, 0x20 + 8 * n);
	vpic_bus_ops.write(&pic.chip[n], 1, 1, n ? 2 : 4);
	vpic_bus_ops.write(&pic.chip[n], 1, 1, icw4);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct irq_line irq = {.set = on_int};

	line = false;
	vpic_init(&pic, &irq);
	while (input_left(&in)) {
		u8 what = input_u8(&in);
		struct vpic_chip *c = &pic.chip[what & 1];

		if (what < 0x50)
			vpic_set_irq(&pic, input_u8(&in) % 20, what & 2);
		else if (what < 0x80)
			ack();
		else if (what < 0xb0)
			vpic_bus_ops.write(c, what >> 1 & 1, 1, input_u8(&in));
		else if (what < 0xb8)
			vpic_bus_ops.write(c, 0, 2, input_number(&in, 2));
		else if (what < 0xc8)
			INVARIANT(vpic_bus_ops.read(c, what >> 1 & 1, 1) <= 0xff);
		else if (what < 0xd0)
			INVARIANT(vpic_bus_ops.read(c, 0, 2) <= 0xffff);
		else if (what < 0xe0)
			vpic_elcr_bus_ops.write(&pic, 0, 2, input_number(&in, 2));
		else if (what < 0xe8)
			vpic_elcr_bus_ops.write(&pic, what & 1, 1, input_u8(&in));
		else if (what < 0xec)
			vpic_elcr_bus_ops.read(&pic, what & 1, 1);
		else if (what < 0xfe)
			init_chip(what & 1, input_u8(&in));
		else
			vpic_reset(&pic);
		check();
	}
	return 0;
}
