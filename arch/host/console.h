/* SPDX-License-Identifier: MIT */
/*
 * The host's consoles behind host_console_*(): one serial port, one screen with a keyboard, either of which may be
 * missing; and what was typed on them.
 */
#ifndef ARCH_HOST_CONSOLE_H
#define ARCH_HOST_CONSOLE_H

#include "arch/host/kbd.h"
#include "arch/host/screen.h"
#include "arch/host/uart.h"

#include <vmm/spinlock.h>

#define CONSOLE_RX_RING KiB(4) /* a power of two */

/* All of it but the listener is under the lock. */
struct console {
	struct spinlock lock;
	struct uart uart;
	struct screen screen;
	struct kbd kbd;
	bool at_kbd;          /* the last that was typed was typed on the keyboard */
	u32 rx_head, rx_tail; /* free-running */
	u64 rx_lost;
	void (*listener)(void *arg);
	void *listener_arg;
	u8 rx[CONSOLE_RX_RING];
};

void console_serial_init(struct console *c, u16 port, u32 speed);
/* The screen; nothing happens if there is none that can be used. May come before or after paging_init(). */
void console_screen_fb(struct console *c, const struct fb_params *p);
void console_screen_vga(struct console *c, unsigned cols, unsigned rows);
/* The keyboard beside the screen, if there is a screen. */
void console_keyboard_init(struct console *c);
/*
 * Something may have arrived at the serial port or the keyboard (true: it had), or room may be there to send. Calls
 * the listener.
 */
bool console_service(struct console *c);
/* For a panic, when no other CPU runs any more. */
void console_break_locks(struct console *c);
/* Everything written has left the machine. */
void console_flush(struct console *c);

#endif
