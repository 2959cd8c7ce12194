/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259As of a PC. Devices raise its lines through struct irq_line; core/ watches INT and asks for the vector.
 * Intel 8259A data sheet ("Initialization Command Words", "Operation Command Words", "Interrupt Sequence"), and for what a
 * PC's chipset makes of it the ICH data sheets ("8259 Interrupt Controllers", "ELCR1 - Master Controller Edge/Level
 * Triggered Register").
 *
 * What the chipsets ignore is ignored here: LTIM (the ELCR has its place), ICW3 (the wiring is fixed), buffered mode, and
 * the interrupt sequence of the MCS-80/85.
 */
#include <vmm/vpic.h>

enum { MASTER, SLAVE };

#define ICW1        BIT(4)
#define ICW1_IC4    BIT(0)
#define ICW1_SNGL   BIT(1)
#define ICW2_VECTOR GENMASK(7, 3)
#define ICW4_AEOI   BIT(1)
#define ICW4_SFNM   BIT(4)

#define OCW2_COMMAND GENMASK(7, 5)
#define OCW2_LEVEL   GENMASK(2, 0)

#define OCW3      BIT(3)
#define OCW3_RIS  BIT(0)
#define OCW3_RR   BIT(1)
#define OCW3_POLL BIT(2)
#define OCW3_SMM  BIT(5)
#define OCW3_ESMM BIT(6)

#define POLL_INTERRUPT 0x80
#define SPURIOUS_IR    7
#define NONE           (-1)

/* "ELCR1/2": the timer, the keyboard, the cascade, the RTC and the coprocessor are always edge-triggered. */
static const u8 elcr_writable[] = {[MASTER] = 0xf8, [SLAVE] = 0xde};

/* ---- One chip ----------------------------------------------------------------------------- */

static bool is_master(const struct vpic_chip *c)
{
	return c == &c->pic->chip[MASTER];
}

/*
 * The slave's INT is taken as a level. It falls at INTA and rises for the next request, so an edge would say the same, but
 * one that rose before the master was initialised would be missed for good.
 */
static u8 level_pins(const struct vpic_chip *c)
{
	return is_master(c) ? c->elcr | (u8)BIT(VPIC_CASCADE) : c->elcr;
}

static u8 irr(const struct vpic_chip *c)
{
	u8 level = level_pins(c);

	return (u8)((c->lines & level) | (c->edges & ~level));
}

/* Place in the order of priority: 0 is the highest. */
static unsigned priority(const struct vpic_chip *c, unsigned pin)
{
	return (pin - c->lowest - 1U) % 8;
}

/* The pin of highest priority among `pins`, or NONE. */
static int highest(const struct vpic_chip *c, u8 pins)
{
	unsigned first = (c->lowest + 1U) % 8;
	unsigned rotated = (unsigned)pins << 8 | pins;

	if (!pins)
		return NONE;
	return (int)((first + (unsigned)__builtin_ctz(rotated >> first)) % 8);
}

/* "Special Mask Mode": what is masked in service holds nothing up, and is not what a non-specific EOI is about. */
static u8 in_service(const struct vpic_chip *c)
{
	return c->special_mask ? (u8)(c->isr & ~c->imr) : c->isr;
}

/* "Special Fully Nested Mode": a slave in service may interrupt again, for something more urgent of its own. */
static bool nests(const struct vpic_chip *c, int pin)
{
	return c->fully_nested_special && is_master(c) && !c->single && pin == VPIC_CASCADE;
}

/* The interrupt that the chip asks for at INT, or NONE. */
static int pending(const struct vpic_chip *c)
{
	int pin = highest(c, irr(c) & (u8)~c->imr);
	int serviced = highest(c, in_service(c));

	if (!c->ready || pin == NONE)
		return NONE;
	if (serviced == NONE || (pin == serviced && nests(c, pin)) ||
	    priority(c, (unsigned)pin) < priority(c, (unsigned)serviced))
		return pin;
	return NONE;
}

/* Tells the master of the slave's INT, and the CPU of the master's. */
static void update(struct vpic *pic)
{
	struct vpic_chip *master = &pic->chip[MASTER];
	bool level;

	if (pending(&pic->chip[SLAVE]) != NONE)
		master->lines |= (u8)BIT(VPIC_CASCADE);
	else
		master->lines &= (u8)~BIT(VPIC_CASCADE);
	level = pending(master) != NONE;
	if (level == pic->int_level)
		return;
	pic->int_level = level;
	irq_line_set(&pic->out, level);
}

/* INT falls at the acknowledge and rises for what else is pending: there are inputs behind it that see edges only. */
static void acknowledged(struct vpic *pic)
{
	if (pic->int_level) {
		pic->int_level = false;
		irq_line_set(&pic->out, false);
	}
	update(pic);
}

/* Puts the pending interrupt in service; returns its pin or NONE. */
static int accept(struct vpic_chip *c)
{
	int pin = pending(c);

	if (pin == NONE)
		return NONE;
	c->edges &= (u8)~BIT(pin);
	if (!c->auto_eoi)
		c->isr |= (u8)BIT(pin);
	else if (c->rotate_auto)
		c->lowest = (u8)pin;
	return pin;
}

int vpic_ack(struct vpic *pic)
{
	struct vpic_chip *c = &pic->chip[MASTER];
	int pin = accept(c);

	if (pin == VPIC_CASCADE && !c->single) {
		c = &pic->chip[SLAVE];
		pin = accept(c);
	}
	acknowledged(pic);
	return c->vector | (pin == NONE ? SPURIOUS_IR : pin);
}

/* "Edge and Level Triggered Modes": a request that goes away before it is acknowledged is none, in both of them. */
void vpic_set_irq(void *vpic, unsigned irq, bool level)
{
	struct vpic *pic = vpic;
	struct vpic_chip *c;
	u8 bit;

	if (irq >= VPIC_IRQS || irq == VPIC_CASCADE)
		return;
	c = &pic->chip[irq / 8];
	bit = (u8)BIT(irq % 8);
	if (level == ((c->lines & bit) != 0))
		return;
	if (level) {
		c->lines |= bit;
		c->edges |= bit;
	} else {
		c->lines &= (u8)~bit;
		c->edges &= (u8)~bit;
	}
	update(pic);
}

/* ---- Command words ------------------------------------------------------------------------ */

/*
 * "Initialization Command Words 1 and 2 (ICW1, ICW2)": the mask is cleared, IR7 is the lowest, the IRR is read, and an input
 * must go from low to high before it interrupts. That nothing is in service any more goes without saying there.
 */
static void icw1_write(struct vpic_chip *c, u8 value)
{
	*c = (struct vpic_chip){
		.pic = c->pic,
		.lines = c->lines,
		.elcr = c->elcr,
		.vector = c->vector,
		.lowest = 7,
		.icw = 2,
		.single = (value & ICW1_SNGL) != 0,
		.icw4_follows = (value & ICW1_IC4) != 0,
	};
}

static void icw_done(struct vpic_chip *c)
{
	c->icw = 0;
	c->ready = true;
}

static void icw_write(struct vpic_chip *c, u8 value)
{
	switch (c->icw) {
	case 2:
		c->vector = value & (u8)ICW2_VECTOR;
		if (!c->single)
			c->icw = 3;
		else if (c->icw4_follows)
			c->icw = 4;
		else
			icw_done(c);
		break;
	case 3:
		if (c->icw4_follows)
			c->icw = 4;
		else
			icw_done(c);
		break;
	default:
		c->auto_eoi = (value & ICW4_AEOI) != 0;
		c->fully_nested_special = (value & ICW4_SFNM) != 0;
		icw_done(c);
		break;
	}
}

/* "Operation Control Word 2": a command has up to three parts. */
static const struct ocw2 {
	bool eoi;      /* ends an interrupt: the highest in service, or */
	bool specific; /* the level that the word names */
	bool rotate;   /* makes it the lowest */
} ocw2_commands[] = {
	[1] = {.eoi = true},
	[3] = {.eoi = true, .specific = true},
	[5] = {.eoi = true, .rotate = true},
	[6] = {.specific = true, .rotate = true},
	[7] = {.eoi = true, .specific = true, .rotate = true},
};

enum { OCW2_ROTATE_AUTO_CLEAR = 0, OCW2_ROTATE_AUTO_SET = 4 };

static void ocw2_write(struct vpic_chip *c, u8 value)
{
	unsigned command = (unsigned)field_get(OCW2_COMMAND, value);
	const struct ocw2 *what = &ocw2_commands[command];
	int pin = what->specific ? (int)(value & OCW2_LEVEL) : highest(c, in_service(c));

	if (command == OCW2_ROTATE_AUTO_CLEAR || command == OCW2_ROTATE_AUTO_SET)
		c->rotate_auto = command == OCW2_ROTATE_AUTO_SET;
	if (pin == NONE)
		return;
	if (what->eoi)
		c->isr &= (u8)~BIT(pin);
	if (what->rotate)
		c->lowest = (u8)pin;
}

static void ocw3_write(struct vpic_chip *c, u8 value)
{
	if (value & OCW3_ESMM)
		c->special_mask = (value & OCW3_SMM) != 0;
	if (value & OCW3_RR)
		c->read_isr = (value & OCW3_RIS) != 0;
	c->poll = (value & OCW3_POLL) != 0;
}

/* ---- Ports -------------------------------------------------------------------------------- */

/* "Poll Command": the read takes the place of INTA. */
static u8 poll(struct vpic_chip *c)
{
	int pin = accept(c);

	c->poll = false;
	acknowledged(c->pic);
	return pin == NONE ? 0 : (u8)(POLL_INTERRUPT | pin);
}

static u8 port_read(void *dev, u64 port)
{
	struct vpic_chip *c = dev;

	if (c->poll)
		return poll(c);
	if (port)
		return c->imr;
	return c->read_isr ? c->isr : irr(c);
}

static void port_write(void *dev, u64 port, u8 value)
{
	struct vpic_chip *c = dev;

	if (!port && value & ICW1)
		icw1_write(c, value);
	else if (!port && value & OCW3)
		ocw3_write(c, value);
	else if (!port)
		ocw2_write(c, value);
	else if (c->icw)
		icw_write(c, value);
	else
		c->imr = value;
	update(c->pic);
}

static u64 bus_read_op(void *dev, u64 offset, unsigned size)
{
	return bus_read_bytes(dev, offset, size, port_read);
}

static void bus_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	bus_write_bytes(dev, offset, size, value, port_write);
}

const struct bus_ops vpic_bus_ops = {.read = bus_read_op, .write = bus_write_op};

static u8 elcr_read(void *dev, u64 port)
{
	return ((const struct vpic *)dev)->chip[port % 2].elcr;
}

static void elcr_write(void *dev, u64 port, u8 value)
{
	((struct vpic *)dev)->chip[port % 2].elcr = value & elcr_writable[port % 2];
}

static u64 elcr_read_op(void *dev, u64 offset, unsigned size)
{
	return bus_read_bytes(dev, offset, size, elcr_read);
}

static void elcr_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	bus_write_bytes(dev, offset, size, value, elcr_write);
	update(dev);
}

const struct bus_ops vpic_elcr_bus_ops = {.read = elcr_read_op, .write = elcr_write_op};

void vpic_reset(struct vpic *pic)
{
	unsigned n;

	for (n = 0; n < ARRAY_SIZE(pic->chip); n++)
		pic->chip[n] = (struct vpic_chip){
			.pic = pic,
			.lines = pic->chip[n].lines,
			.lowest = 7,
		};
	update(pic);
}

void vpic_init(struct vpic *pic, const struct irq_line *out)
{
	*pic = (struct vpic){.out = *out};
	vpic_reset(pic);
}
