/* SPDX-License-Identifier: MIT */
/*
 * Serial ports of the machine that are not the console's: each is one guest's. Implements that part of vmm/host.h. They
 * share the console's interrupt vector, behind which all of them are looked at (serial_service()).
 */
#include "arch/host/serial.h"

#include "arch/host/host.h"

#include <vmm/errno.h>
#include <vmm/host.h>

static void serial_take(void *ctx, u8 byte)
{
	struct serial *s = ctx;

	if (s->rx_head - s->rx_tail < SERIAL_RX_RING)
		s->rx[s->rx_head++ % SERIAL_RX_RING] = byte;
}

bool serial_service(void)
{
	bool worked = false;

	for (unsigned i = 0; i < host.serials; i++) {
		struct serial *s = &host.serial[i];
		bool arrived;

		spin_lock(&s->lock);
		uart_service(&s->uart);
		arrived = s->rx_head != s->rx_tail;
		worked |= s->uart.worked;
		spin_unlock(&s->lock);
		if (arrived && s->arrived)
			s->arrived(s->arg);
	}
	return worked;
}

static int serial_add(u16 port)
{
	struct serial *s = &host.serial[host.serials];

	if (host.serials == SERIALS_MAX)
		return -HV_ENODEV;
	s->uart.take = serial_take;
	s->uart.take_ctx = s;
	if (!uart_init(&s->uart, port, SERIAL_SPEED))
		return -HV_ENODEV;
	host.serials++;
	uart_start(&s->uart);
	return (int)host.serials - 1;
}

int host_serial_open(u16 port, void (*arrived)(void *arg), void *arg)
{
	int n;

	if (host.console.uart.present && host.console.uart.port == port)
		return -HV_EBUSY;
	for (n = 0; n < (int)host.serials; n++)
		if (host.serial[n].uart.port == port)
			break;
	if (n == (int)host.serials)
		n = serial_add(port);
	if (n >= 0) {
		host.serial[n].arg = arg;
		host.serial[n].arrived = arrived;
	}
	return n;
}

void host_serial_write(int number, const u8 *buf, size_t len)
{
	struct serial *s = &host.serial[number];

	spin_lock(&s->lock);
	uart_write(&s->uart, (const char *)buf, len);
	spin_unlock(&s->lock);
}

size_t host_serial_read(int number, u8 *buf, size_t max)
{
	struct serial *s = &host.serial[number];
	size_t n = 0;

	spin_lock(&s->lock);
	while (n < max && s->rx_tail != s->rx_head)
		buf[n++] = s->rx[s->rx_tail++ % SERIAL_RX_RING];
	spin_unlock(&s->lock);
	return n;
}
