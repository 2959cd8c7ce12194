/* SPDX-License-Identifier: MIT */
/*
 * The I/O APIC: 24 pins, each with a redirection entry that says to whom an interrupt goes, and how. Devices raise
 * its pins through struct irq_line; core/ hands it the EOIs of level-triggered vectors. Intel 82093AA data sheet
 * ("Register Description"), and for the EOI register the ICH data sheets ("EOI - EOI Register", version 0x20).
 */
#include <vmm/vioapic.h>

enum {
	MMIO_SELECT = 0x00,
	MMIO_WINDOW = 0x10,
	MMIO_EOI = 0x40,
};

enum {
	REG_ID = 0x00,
	REG_VERSION = 0x01,
	REG_ARBITRATION = 0x02,
	REG_REDIRECTION = 0x10, /* two for each pin: low, high */
	REG_REDIRECTION_LAST = REG_REDIRECTION + 2 * VIOAPIC_PINS - 1,
};

#define VERSION_VALUE (0x20U | (VIOAPIC_PINS - 1) << 16)

#define REDIR_VECTOR     GENMASK(7, 0)
#define REDIR_MODE       GENMASK(10, 8)
#define REDIR_LOGICAL    BIT(11)
#define REDIR_POLARITY   BIT(13) /* stored only: a line here is asserted or not, not high or low */
#define REDIR_REMOTE_IRR BIT(14)
#define REDIR_LEVEL      BIT(15)
#define REDIR_MASKED     BIT(16)
#define REDIR_DEST       GENMASK(63, 56)
#define REDIR_WRITABLE                                                                             \
	(REDIR_VECTOR | REDIR_MODE | REDIR_LOGICAL | REDIR_POLARITY | REDIR_LEVEL | REDIR_MASKED | \
	 REDIR_DEST)

/* Remote IRR is there for interrupts that end with an EOI: level-triggered fixed and lowest priority. */
static bool waits_for_eoi(u64 redir)
{
	return redir & REDIR_LEVEL && field_get(REDIR_MODE, redir) <= APIC_LOWEST;
}

static void send(struct vioapic *io, unsigned pin)
{
	u64 redir = io->redir[pin];
	struct apic_msg msg = {
		.dest = (u32)field_get(REDIR_DEST, redir),
		.logical = (redir & REDIR_LOGICAL) != 0,
		.mode = (u8)field_get(REDIR_MODE, redir),
		.vector = (u8)(redir & REDIR_VECTOR),
		.level = waits_for_eoi(redir),
	};

	if (msg.dest == 0xff)
		msg.dest = ~0U; /* all, in whichever mode a local APIC is */
	/* "Remote IRR": set when a local APIC accepts it. Before it is sent, because the EOI may come back from inside. */
	if (msg.level)
		io->redir[pin] |= REDIR_REMOTE_IRR;
	if (!io->send(io->ctx, &msg))
		io->redir[pin] &= ~REDIR_REMOTE_IRR;
}

/* A level-triggered line that is asserted, not masked, and not in service at a local APIC. */
static void send_level(struct vioapic *io, unsigned pin)
{
	u64 redir = io->redir[pin];

	if (waits_for_eoi(redir) && io->level & 1U << pin &&
	    !(redir & (REDIR_MASKED | REDIR_REMOTE_IRR)))
		send(io, pin);
}

/*
 * "Interrupt Mask": an edge at a masked pin is neither delivered nor kept; a level is looked at again when the
 * pin is unmasked.
 */
void vioapic_set_pin(void *vioapic, unsigned pin, bool level)
{
	struct vioapic *io = vioapic;
	u32 bit;

	if (pin >= VIOAPIC_PINS)
		return;
	bit = 1U << pin;
	if (!level) {
		io->level &= ~bit;
		return;
	}
	if (io->level & bit)
		return;
	io->level |= bit;
	if (waits_for_eoi(io->redir[pin]))
		send_level(io, pin);
	else if (!(io->redir[pin] & REDIR_MASKED))
		send(io, pin);
}

void vioapic_resend(struct vioapic *io)
{
	unsigned pin;

	for (pin = 0; pin < VIOAPIC_PINS; pin++)
		send_level(io, pin);
}

bool vioapic_sends_nmi(const struct vioapic *io)
{
	unsigned pin;

	for (pin = 0; pin < VIOAPIC_PINS; pin++)
		if (!(io->redir[pin] & REDIR_MASKED) &&
		    field_get(REDIR_MODE, io->redir[pin]) == APIC_NMI)
			return true;
	return false;
}

void vioapic_eoi(struct vioapic *io, u8 vector)
{
	unsigned pin;

	for (pin = 0; pin < VIOAPIC_PINS; pin++) {
		u64 redir = io->redir[pin];

		if (!(redir & REDIR_REMOTE_IRR) || (redir & REDIR_VECTOR) != vector)
			continue;
		io->redir[pin] &= ~REDIR_REMOTE_IRR;
		send_level(io, pin);
	}
}

static void redirection_write(struct vioapic *io, unsigned pin, u64 value, u64 mask)
{
	u64 *redir = &io->redir[pin];

	mask &= REDIR_WRITABLE;
	*redir = (*redir & ~mask) | (value & mask);
	/* Made edge-triggered, an entry forgets its remote IRR: how software without an EOI register ends a level. */
	if (!waits_for_eoi(*redir))
		*redir &= ~REDIR_REMOTE_IRR;
	send_level(io, pin);
}

static u32 register_read(const struct vioapic *io)
{
	unsigned n;

	switch (io->select) {
	case REG_ID:
	case REG_ARBITRATION:
		return (u32)io->id << 24;
	case REG_VERSION:
		return VERSION_VALUE;
	case REG_REDIRECTION ... REG_REDIRECTION_LAST:
		n = io->select - REG_REDIRECTION;
		return (u32)(io->redir[n / 2] >> (n % 2 * 32));
	default:
		return 0;
	}
}

static void register_write(struct vioapic *io, u32 value)
{
	unsigned n;

	switch (io->select) {
	case REG_ID:
		io->id = value >> 24 & 0xf;
		break;
	case REG_REDIRECTION ... REG_REDIRECTION_LAST:
		n = io->select - REG_REDIRECTION;
		if (n % 2)
			redirection_write(io, n / 2, (u64)value << 32, GENMASK(63, 32));
		else
			redirection_write(io, n / 2, value, GENMASK(31, 0));
		break;
	default:
		break; /* version and arbitration are read only; the rest does not exist */
	}
}

/*
 * The registers are dwords. A narrower read gives the low part of one, a narrower write is taken as the dword with
 * zeros above, a wider one as its low half.
 */
static u64 bus_read_op(void *dev, u64 offset, unsigned size)
{
	struct vioapic *io = dev;
	u32 value = 0;

	if (offset == MMIO_SELECT)
		value = io->select;
	else if (offset == MMIO_WINDOW)
		value = register_read(io);
	return size < 4 ? value & (u32)(BIT(size * 8) - 1) : value;
}

static void bus_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	struct vioapic *io = dev;

	if (size < 4)
		value &= BIT(size * 8) - 1;
	switch (offset) {
	case MMIO_SELECT:
		io->select = (u8)value;
		break;
	case MMIO_WINDOW:
		register_write(io, (u32)value);
		break;
	case MMIO_EOI:
		vioapic_eoi(io, (u8)value);
		break;
	default:
		break;
	}
}

const struct bus_ops vioapic_bus_ops = {.read = bus_read_op, .write = bus_write_op};

/* The lines are the devices' own: they stay as they are. */
void vioapic_reset(struct vioapic *io)
{
	unsigned pin;

	io->id = io->reset_id;
	io->select = 0;
	for (pin = 0; pin < VIOAPIC_PINS; pin++)
		io->redir[pin] = REDIR_MASKED;
}

void vioapic_init(struct vioapic *io, u8 id, bool (*send_fn)(void *ctx, const struct apic_msg *),
		  void *ctx)
{
	*io = (struct vioapic){.reset_id = id, .send = send_fn, .ctx = ctx};
	vioapic_reset(io);
}
