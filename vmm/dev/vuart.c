/* SPDX-License-Identifier: MIT */
/*
 * A 16550A UART on the port bus, its far end a struct chardev. National/TI PC16550D data sheet ("Registers",
 * "FIFO Interrupt Mode Operation", "Programmable Baud Generator"); OUT2 gates the interrupt as on every PC.
 *
 * The line is infinitely fast: a byte is out as soon as it is written, so the transmitter is always empty; a received
 * byte below the FIFO's trigger level has always waited for four character times. No byte is lost to an overrun of the far
 * end: it is asked for no more than there is room for.
 */
#include <vmm/vuart.h>

enum {
	PORT_DATA, /* RBR, THR; DLL with DLAB */
	PORT_IER,  /* DLM with DLAB */
	PORT_IIR,  /* FCR */
	PORT_LCR,
	PORT_MCR,
	PORT_LSR,
	PORT_MSR,
	PORT_SCR,
};

#define IER_RX    BIT(0)
#define IER_THRE  BIT(1)
#define IER_LINE  BIT(2)
#define IER_MODEM BIT(3)
#define IER_BITS  0x0f

/* By priority: line status, received data, time-out, transmitter empty, modem status. */
#define IIR_NONE    0x01
#define IIR_LINE    0x06
#define IIR_RX      0x04
#define IIR_TIMEOUT 0x0c
#define IIR_THRE    0x02
#define IIR_MODEM   0x00
#define IIR_FIFO    0xc0

#define FCR_ENABLE   BIT(0)
#define FCR_CLEAR_RX BIT(1)
#define FCR_TRIGGER  GENMASK(7, 6)
#define FCR_STORED   (FCR_ENABLE | BIT(3) | FCR_TRIGGER)

#define LCR_DLAB BIT(7)

#define MCR_DTR  BIT(0)
#define MCR_RTS  BIT(1)
#define MCR_OUT1 BIT(2)
#define MCR_OUT2 BIT(3)
#define MCR_LOOP BIT(4)
#define MCR_BITS 0x1f

#define LSR_DATA    BIT(0)
#define LSR_OVERRUN BIT(1)
#define LSR_THRE    BIT(5)
#define LSR_TEMT    BIT(6)

#define MSR_CTS   BIT(4)
#define MSR_DSR   BIT(5)
#define MSR_RI    BIT(6)
#define MSR_DCD   BIT(7)
#define MSR_FAR   (MSR_CTS | MSR_DSR | MSR_DCD) /* the far end is always there, and ready */
#define MSR_SHIFT 4                             /* from a line to its delta bit */

static const u8 triggers[] = {1, 4, 8, 14};

static unsigned rx_room(const struct vuart *u)
{
	return (u->fcr & FCR_ENABLE ? VUART_FIFO : 1u) - u->rx_count;
}

static unsigned rx_trigger(const struct vuart *u)
{
	return u->fcr & FCR_ENABLE ? triggers[field_get(FCR_TRIGGER, u->fcr)] : 1;
}

/* The interrupt of the highest priority that is enabled and pending, as the IIR shows it. */
static u8 interrupt_id(const struct vuart *u)
{
	if (u->ier & IER_LINE && u->lsr_errors)
		return IIR_LINE;
	if (u->ier & IER_RX && u->rx_count)
		return u->rx_count >= rx_trigger(u) ? IIR_RX : IIR_TIMEOUT;
	if (u->ier & IER_THRE && u->thre_pending)
		return IIR_THRE;
	if (u->ier & IER_MODEM && u->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void irq_drive(struct vuart *u, bool level)
{
	if (level != u->irq_level) {
		u->irq_level = level;
		irq_line_set(&u->irq, level);
	}
}

/* In loop-back the modem outputs are inactive, OUT2 with them. */
static void irq_update(struct vuart *u)
{
	bool gate = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	irq_drive(u, gate && u->ier && interrupt_id(u) != IIR_NONE);
}

static void rx_push(struct vuart *u, u8 byte)
{
	u->rx[(u->rx_head + u->rx_count) % VUART_FIFO] = byte;
	u->rx_count++;
}

/* In loop-back the receiver is cut off from the line: what comes waits at the far end. */
static void rx_pull(struct vuart *u)
{
	u8 buf[VUART_FIFO];
	size_t i, n, room = rx_room(u);

	if (!room || u->mcr & MCR_LOOP || !u->far.read)
		return;
	n = u->far.read(u->far.ctx, buf, room);
	n = MIN(n, room);
	for (i = 0; i < n; i++)
		rx_push(u, buf[i]);
}

static void rx_clear(struct vuart *u)
{
	u->rx_head = u->rx_count = 0;
}

void vuart_poll(struct vuart *u)
{
	rx_pull(u);
	irq_update(u);
}

static u8 data_read(struct vuart *u)
{
	u8 byte;

	if (!u->rx_count)
		return 0;
	byte = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % VUART_FIFO;
	u->rx_count--;
	rx_pull(u);
	irq_update(u);
	return byte;
}

/* The byte is out at once: THRE goes away and comes back, which is the next interrupt's edge. */
static void data_write(struct vuart *u, u8 byte)
{
	if (u->mcr & MCR_LOOP) {
		if (rx_room(u))
			rx_push(u, byte);
		else
			u->lsr_errors |= LSR_OVERRUN;
	} else if (u->far.write) {
		u->far.write(u->far.ctx, &byte, 1);
	}
	u->thre_pending = false;
	if (u->ier)
		irq_update(u);
	u->thre_pending = true;
	if (u->ier)
		irq_update(u);
}

static u8 lsr_read(struct vuart *u)
{
	u8 lsr = LSR_THRE | LSR_TEMT | u->lsr_errors | (u->rx_count ? LSR_DATA : 0);

	if (unlikely(u->lsr_errors)) {
		u->lsr_errors = 0;
		irq_update(u);
	}
	return lsr;
}

/* Reading the IIR takes the THRE interrupt if that is what it shows. */
static u8 iir_read(struct vuart *u)
{
	u8 id = interrupt_id(u);

	if (id == IIR_THRE) {
		u->thre_pending = false;
		irq_update(u);
	}
	return id | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static u8 msr_read(struct vuart *u)
{
	u8 msr = u->msr_lines | u->msr_delta;

	u->msr_delta = 0;
	irq_update(u);
	return msr;
}

static void ier_write(struct vuart *u, u8 value)
{
	/* Enabling the interrupt while THR is empty, as it always is, makes it pending. */
	if (value & ~u->ier & IER_THRE)
		u->thre_pending = true;
	u->ier = value & IER_BITS;
	irq_update(u);
}

static void fcr_write(struct vuart *u, u8 value)
{
	/* The other bits are programmed only with bit 0 set; a change of it clears both FIFOs. */
	if ((value ^ u->fcr) & FCR_ENABLE || value & FCR_CLEAR_RX)
		rx_clear(u);
	u->fcr = value & FCR_ENABLE ? value & FCR_STORED : 0;
	vuart_poll(u);
}

/* In loop-back the modem inputs are wired to the outputs: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD. */
static u8 modem_lines(const struct vuart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_FAR;
	return (u8)((u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_RTS ? MSR_CTS : 0) |
		    (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void mcr_write(struct vuart *u, u8 value)
{
	u8 lines, changed;

	u->mcr = value & MCR_BITS;
	lines = modem_lines(u);
	changed = lines ^ u->msr_lines;
	if (lines & MSR_RI)
		changed &= (u8)~MSR_RI; /* TERI: the trailing edge only */
	u->msr_delta |= changed >> MSR_SHIFT;
	u->msr_lines = lines;
	vuart_poll(u);
}

static u8 port_read(struct vuart *u, unsigned port)
{
	switch (port) {
	case PORT_DATA:
		return u->lcr & LCR_DLAB ? u->dll : data_read(u);
	case PORT_IER:
		return u->lcr & LCR_DLAB ? u->dlm : u->ier;
	case PORT_IIR:
		return iir_read(u);
	case PORT_LCR:
		return u->lcr;
	case PORT_MCR:
		return u->mcr;
	case PORT_LSR:
		return lsr_read(u);
	case PORT_MSR:
		return msr_read(u);
	default:
		return u->scr;
	}
}

static void port_write(struct vuart *u, unsigned port, u8 value)
{
	switch (port) {
	case PORT_DATA:
		if (u->lcr & LCR_DLAB)
			u->dll = value;
		else
			data_write(u, value);
		break;
	case PORT_IER:
		if (u->lcr & LCR_DLAB)
			u->dlm = value;
		else
			ier_write(u, value);
		break;
	case PORT_IIR:
		fcr_write(u, value);
		break;
	case PORT_LCR:
		u->lcr = value;
		break;
	case PORT_MCR:
		mcr_write(u, value);
		break;
	case PORT_SCR:
		u->scr = value;
		break;
	default:
		break; /* LSR and MSR: writes are for factory tests */
	}
}

/* The bus cuts a wider access into bytes, lowest port first. */
static __attribute__((noinline)) u64 wide_read(struct vuart *u, unsigned port, unsigned size)
{
	u64 value = 0;
	unsigned i;

	for (i = 0; i < size; i++)
		value |= (u64)port_read(u, port + i) << (i * 8);
	return value;
}

static u64 bus_read_op(void *dev, u64 offset, unsigned size)
{
	/* The port that is read before each byte that is written. */
	if (likely(offset == PORT_LSR && size == 1))
		return lsr_read(dev);
	if (likely(size == 1))
		return port_read(dev, (unsigned)offset);
	return wide_read(dev, (unsigned)offset, size);
}

static void bus_write_op(void *dev, u64 offset, unsigned size, u64 value)
{
	unsigned i;

	for (i = 0; i < size; i++)
		port_write(dev, (unsigned)offset + i, (u8)(value >> (i * 8)));
}

const struct bus_ops vuart_bus_ops = {.read = bus_read_op, .write = bus_write_op};

void vuart_reset(struct vuart *u)
{
	u->ier = u->fcr = u->lcr = u->mcr = 0;
	u->lsr_errors = u->msr_delta = 0;
	u->msr_lines = MSR_FAR;
	u->thre_pending = false;
	rx_clear(u);
	irq_drive(u, false);
}

void vuart_init(struct vuart *u, const struct chardev *far, const struct irq_line *irq)
{
	*u = (struct vuart){.far = *far, .irq = *irq, .dll = 1};
	vuart_reset(u);
}
