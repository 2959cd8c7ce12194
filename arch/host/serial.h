/* SPDX-License-Identifier: MIT */
/* Serial ports besides the console's: see serial.c. */
#ifndef ARCH_HOST_SERIAL_H
#define ARCH_HOST_SERIAL_H

#include "arch/host/uart.h"

#include <vmm/spinlock.h>

#define SERIALS_MAX    3
#define SERIAL_RX_RING KiB(16) /* a power of two */
#define SERIAL_SPEED   115200

/* The rings are under the lock; the listener is set by host_serial_open(). */
struct serial {
	struct spinlock lock;
	struct uart uart;
	void (*arrived)(void *arg);
	void *arg;
	u32 rx_head, rx_tail; /* free-running */
	u8 rx[SERIAL_RX_RING];
};

/* In the interrupt that they share with the console, or when that is polled. True: one of them wanted something. */
bool serial_service(void);
/* irq.c: its interrupt, if it has one; else it is polled. */
void uart_start(struct uart *u);

#endif
