/* SPDX-License-Identifier: MIT */
/*
 * The host's own serial port. Called by console.c only. TI PC16550D data sheet. An absent port reads as all ones
 * and a broken one may never report an empty transmitter: neither may hang the machine, so every wait is bounded.
 */
#include "arch/host/uart.h"

#include <arch/insn.h>
#include <vmm/types.h>

enum {
	UART_DATA = 0,
	UART_IER = 1,
	UART_IIR = 2,
	UART_FCR = 2,
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_SCR = 7
};

#define IER_RX       BIT(0)
#define IER_TX       BIT(1)
#define IIR_NONE     BIT(0)
#define IIR_FIFO     GENMASK(7, 6)
#define FCR_ENABLE   BIT(0)
#define FCR_CLEAR    GENMASK(2, 1)
#define FCR_TRIGGER8 BIT(7)
#define LCR_8N1      0x03
#define LCR_DLAB     BIT(7)
#define MCR_DTR_RTS  GENMASK(1, 0)
#define MCR_OUT2     BIT(3) /* on a PC it gates the interrupt line */
#define LSR_DATA     BIT(0)
#define LSR_THRE     BIT(5)
#define LSR_TEMT     BIT(6)

#define UART_CLOCK 115200
#define UART_FIFO  16
#define UART_BURST 256 /* reads of one interrupt */
/* Reads of LSR, about 1 us each on a real machine: 16 characters at 1200 baud take 133 ms. */
#define UART_PATIENCE 200000

static u8 uart_in(const struct uart *u, unsigned reg)
{
	return inb((u16)(u->port + reg));
}

static void uart_out(const struct uart *u, unsigned reg, u64 value)
{
	outb((u16)(u->port + reg), (u8)value);
}

/* What is received while we write or wait would overrun its FIFO: so it is taken meanwhile. */
static u8 uart_status(struct uart *u)
{
	u8 lsr = uart_in(u, UART_LSR);

	if (lsr & LSR_DATA && lsr != 0xff)
		u->take(u->take_ctx, uart_in(u, UART_DATA));
	return lsr;
}

void uart_receive(struct uart *u)
{
	for (unsigned n = 0; u->present && n < UART_FIFO && uart_status(u) & LSR_DATA; n++)
		;
}

static bool uart_wait(struct uart *u, u8 wanted)
{
	for (unsigned i = 0; i < UART_PATIENCE; i++) {
		if (uart_status(u) & wanted)
			return true;
		pause_cpu();
	}
	return false;
}

bool uart_init(struct uart *u, u16 port, u32 speed)
{
	u32 divisor = UART_CLOCK / MAX(speed, 1u);

	u->port = port;
	u->present = false;
	uart_out(u, UART_SCR, 0x5a);
	if (uart_in(u, UART_SCR) != 0x5a)
		return false;
	/* What the boot loader still has in the FIFO is not ours to cut off. */
	if (uart_in(u, UART_LSR) == 0xff || !uart_wait(u, LSR_TEMT))
		return false;
	uart_out(u, UART_IER, 0);
	uart_out(u, UART_LCR, LCR_DLAB);
	uart_out(u, 0, divisor & 0xff);
	uart_out(u, 1, divisor >> 8 & 0xff);
	uart_out(u, UART_LCR, LCR_8N1);
	uart_out(u, UART_FCR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER8);
	uart_out(u, UART_MCR, MCR_DTR_RTS);
	u->fifo = (uart_in(u, UART_IIR) & IIR_FIFO) == IIR_FIFO ? UART_FIFO : 1;
	u->present = true;
	return true;
}

u32 uart_pending(const struct uart *u)
{
	return u->tx_head - u->tx_tail;
}

static void uart_ier_set(struct uart *u, u64 ier)
{
	if (u->ier == ier)
		return;
	u->ier = (u8)ier;
	uart_out(u, UART_IER, ier);
}

void uart_pump(struct uart *u)
{
	unsigned room;

	if (uart_pending(u) && uart_status(u) & LSR_THRE) {
		for (room = u->fifo; room > 0 && uart_pending(u); room--)
			uart_out(u, UART_DATA, u->tx[u->tx_tail++ % UART_TX_RING]);
	}
	if (u->irq)
		uart_ier_set(u, uart_pending(u) ? IER_RX | IER_TX : IER_RX);
}

void uart_drain(struct uart *u, u32 left)
{
	while (uart_pending(u) > left) {
		if (!uart_wait(u, LSR_THRE)) {
			u->dead = true;
			u->tx_tail = u->tx_head;
			return;
		}
		uart_pump(u);
	}
}

size_t uart_room(const struct uart *u)
{
	if (!u->present || u->dead || u->sync)
		return UART_TX_RING;
	return UART_TX_RING - uart_pending(u);
}

void uart_write(struct uart *u, const char *text, size_t len)
{
	if (!u->present || u->dead)
		return;
	for (size_t i = 0; i < len && !u->dead; i++) {
		if (uart_pending(u) == UART_TX_RING)
			uart_drain(u, UART_TX_RING - UART_FIFO);
		u->tx[u->tx_head++ % UART_TX_RING] = (u8)text[i];
	}
	uart_pump(u);
	if (u->sync)
		uart_drain(u, 0);
}

void uart_flush(struct uart *u)
{
	if (!u->present || u->dead)
		return;
	uart_drain(u, 0);
	if (!u->dead)
		u->dead = !uart_wait(u, LSR_TEMT);
}

void uart_irq_enable(struct uart *u)
{
	if (!u->present)
		return;
	u->irq = true;
	uart_out(u, UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	uart_ier_set(u, IER_RX);
	uart_pump(u);
}

/* What it has received and what it can send. True: there was something. */
static bool uart_turn(struct uart *u)
{
	u32 tail = u->tx_tail;
	unsigned n;

	for (n = 0; n < UART_BURST; n++) {
		u8 lsr = uart_in(u, UART_LSR);

		if (lsr == 0xff || !(lsr & LSR_DATA))
			break;
		u->take(u->take_ctx, uart_in(u, UART_DATA));
	}
	if (!u->dead)
		uart_pump(u);
	return n || u->tx_tail != tail;
}

void uart_service(struct uart *u)
{
	u->worked = false;
	if (!u->present)
		return;
	/*
	 * The line is edge-triggered: it must have been low, or there is no next edge. So go on until the chip
	 * wants nothing; but a chip that always wants something is not served for ever.
	 */
	for (unsigned turns = 0; turns < 64; turns++) {
		u->worked |= uart_turn(u);
		if (uart_in(u, UART_IIR) & IIR_NONE)
			break;
		u->worked = true;
	}
}
