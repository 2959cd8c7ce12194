/* SPDX-License-Identifier: MIT */
/*
 * The host's keyboard, of a PS/2 controller or of what the firmware makes look like one. kbd_map.c: from scan codes to the
 * bytes that a terminal sends; kbd.c: the controller.
 */
#ifndef ARCH_HOST_KBD_H
#define ARCH_HOST_KBD_H

#include <vmm/types.h>

enum { KBD_SHIFT = 1, KBD_ALT = 2, KBD_CTRL = 4, KBD_ALTGR = 8 };

struct kbd_map {
	u8 layout;       /* enum keymap */
	bool prefix;     /* 0xe0 came before */
	u8 skip;         /* so many codes more mean nothing */
	u8 held;         /* KBD_* of the left-hand keys */
	u8 held_right;   /* and of the right-hand ones */
	bool caps, nav;  /* caps lock; num lock is off: the keypad moves the cursor */
	bool app_cursor; /* DECCKM: as the terminal wants the arrows */
};

#define KBD_OUT_MAX 8

/* A byte of scan code set 1; returns how many bytes are typed by it. */
unsigned kbd_map_feed(struct kbd_map *k, u8 code, u8 out[KBD_OUT_MAX]);

struct kbd {
	bool present;
	struct kbd_map map;
};

/* Nothing happens if there is no controller; a keyboard need not be attached. */
void kbd_init(struct kbd *k);
/* Takes what was typed; each byte of it goes to `take`. */
void kbd_service(struct kbd *k, void (*take)(void *ctx, u8 byte), void *ctx);

#endif
