/* SPDX-License-Identifier: MIT */
/*
 * The host's own serial port, a 16550A. Output goes into a ring and from there to the chip whenever it has room:
 * 115200 baud is some 90 us a character, for which nobody waits unless the ring is full or the machine ends.
 */
#ifndef ARCH_HOST_UART_H
#define ARCH_HOST_UART_H

#include <vmm/types.h>

#define UART_TX_RING KiB(16) /* a power of two */

struct uart {
	u16 port;
	bool present;
	bool irq;    /* transmitter interrupts empty the ring */
	bool sync;   /* there is no interrupt: every write waits until the ring is empty */
	bool dead;   /* it has stopped taking characters: output is dropped */
	bool worked; /* uart_service() had something to do the last time */
	u8 ier;
	u8 fifo;                          /* characters it takes when its transmitter is empty */
	void (*take)(void *ctx, u8 byte); /* each byte that is received; set before uart_init() */
	void *take_ctx;
	u32 tx_head, tx_tail; /* free-running */
	u8 tx[UART_TX_RING];
};

/* False if there is no UART at `port`. 8N1; `speed` divides 115200. */
bool uart_init(struct uart *u, u16 port, u32 speed);
void uart_write(struct uart *u, const char *text, size_t len);
/* Takes what has been received, while something else holds the CPU that its interrupt goes to. */
void uart_receive(struct uart *u);
/* Gives the chip what it takes at once. */
void uart_pump(struct uart *u);
/* Waits until everything has left the chip, or it is clear that it never will. */
void uart_flush(struct uart *u);
/* From now on uart_service() is called at the port's interrupts. */
void uart_irq_enable(struct uart *u);
/* Deals with whatever the chip wants; `worked`: it wanted something. */
void uart_service(struct uart *u);
u32 uart_pending(const struct uart *u);
/* Waits until `left` bytes at most are to be sent. */
void uart_drain(struct uart *u, u32 left);
/* Bytes that uart_write() takes without waiting: all, where there is nothing to wait for. */
size_t uart_room(const struct uart *u);

#endif
