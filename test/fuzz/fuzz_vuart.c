/* SPDX-License-Identifier: MIT */
/*
 * The UART under random accesses: the received bytes against a queue of what the far end gave, the sent ones
 * against what was written, the interrupt line against the data sheet's rule.
 */
/* SOURCES: vmm/dev/vuart.c */
#include <vmm/vuart.h>

#include "input.h"

#define QUEUE 64

static struct vuart uart;
static u8 queue[QUEUE]; /* what the receiver should hold */
static unsigned queued;
static u8 next_in, available;
static int written; /* the last byte sent; -1: none */
static bool line;

static void push(u8 byte)
{
	INVARIANT(queued < QUEUE);
	queue[queued++] = byte;
}

static void far_write(unused void *ctx, const u8 *buf, size_t len)
{
	INVARIANT(len == 1 && written == -1);
	written = *buf;
}

static size_t far_read(unused void *ctx, u8 *buf, size_t max)
{
	size_t n;

	INVARIANT(!(uart.mcr & 0x10));
	for (n = 0; n < max && available; n++, available--) {
		push(next_in);
		buf[n] = next_in++;
	}
	return n;
}

static void on_irq(unused void *ctx, unused unsigned pin, bool level)
{
	INVARIANT(level != line);
	line = level;
}

static void check(void)
{
	unsigned depth = uart.fcr & 1 ? 16 : 1;
	bool pending = (uart.ier & 1 && queued) || (uart.ier & 2 && uart.thre_pending) ||
		       (uart.ier & 4 && uart.lsr_errors) || (uart.ier & 8 && uart.msr_delta);

	INVARIANT(uart.rx_count == queued && queued <= depth);
	INVARIANT(line == (pending && (uart.mcr & 0x18) == 8));
	INVARIANT(uart.irq_level == line);
	/* Room and input never stand side by side. */
	INVARIANT(uart.mcr & 0x10 || !available || queued == depth);
}

static void read_port(unsigned port)
{
	bool dlab = uart.lcr & 0x80;
	u8 front = queued ? queue[0] : 0;
	bool data = port == 0 && !dlab, full = data && queued;
	unsigned i;
	u64 value;

	if (full) {
		queued--;
		for (i = 0; i < queued; i++)
			queue[i] = queue[i + 1];
	}
	value = vuart_bus_ops.read(&uart, port, 1);
	INVARIANT(value <= 0xff);
	if (data)
		INVARIANT(value == front);
	if (port == 5)
		INVARIANT((value & 0xe1) == (queued ? 0x61 : 0x60));
	if (port == 2)
		INVARIANT(!(value & 0x30) && value >> 6 == (uart.fcr & 1 ? 3 : 0));
}

static void write_port(unsigned port, u8 value)
{
	bool dlab = uart.lcr & 0x80;
	unsigned depth = uart.fcr & 1 ? 16 : 1;

	written = -1;
	if (port == 2 && ((value ^ uart.fcr) & 1 || value & 2))
		queued = 0;
	if (port == 0 && !dlab && uart.mcr & 0x10 && queued < depth)
		push(value);
	vuart_bus_ops.write(&uart, port, 1, value);
	if (port == 0 && !dlab && !(uart.mcr & 0x10))
		INVARIANT(written == value);
	else
		INVARIANT(written == -1);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct chardev dev = {.write = far_write, .read = far_read};
	struct irq_line irq = {.set = on_irq};

	queued = 0;
	next_in = available = 0;
	line = false;
	vuart_init(&uart, &dev, &irq);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what < 0x60) {
			read_port(what & 7);
		} else if (what < 0xe0) {
			write_port(what & 7, input_u8(&in));
		} else if (what < 0xf8) {
			available = (u8)MIN(available + what % 20, 200);
			vuart_poll(&uart);
		} else if (what < 0xfc) {
			/* Wide accesses: only that they are safe; the model starts afresh. */
			unsigned n = input_size(&in), port = what & 3;

			queued = 0;
			vuart_reset(&uart);
			available = 0;
			written = -1;
			vuart_bus_ops.write(&uart, port, n, 0xffffffff00000000ULL);
			INVARIANT(vuart_bus_ops.read(&uart, port, n) >> (n * 8) == 0);
			queued = uart.rx_count;
		} else {
			vuart_reset(&uart);
			queued = 0;
			vuart_poll(&uart);
		}
		check();
	}
	return 0;
}
