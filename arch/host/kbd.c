/* SPDX-License-Identifier: MIT */
/*
 * The controller of the host's keyboard, an 8042, and its keyboard port; the mouse's stays off. Called by console.c only.
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". Firmware that makes it out
 * of a USB keyboard may do so badly, or slowly: every wait is bounded, and nothing is asked that need not be.
 */
#include "arch/host/kbd.h"

#include <arch/insn.h>
#include <vmm/log.h>

#define KBD_DATA    0x60
#define KBD_STATUS  0x64 /* read */
#define KBD_COMMAND 0x64 /* write */

#define STATUS_OUTPUT BIT(0) /* there is a byte for us */
#define STATUS_INPUT  BIT(1) /* it has not taken ours yet */
#define STATUS_MOUSE  BIT(5)

#define CMD_MODE_READ    0x20
#define CMD_MODE_WRITE   0x60
#define CMD_MOUSE_OFF    0xa7
#define CMD_KEYBOARD_OFF 0xad
#define CMD_KEYBOARD_ON  0xae

#define MODE_KEYBOARD_IRQ BIT(0)
#define MODE_MOUSE_IRQ    BIT(1)
#define MODE_KEYBOARD_OFF BIT(4)
#define MODE_MOUSE_OFF    BIT(5)
#define MODE_TRANSLATE    BIT(6) /* scan code set 2, which all keyboards have, to set 1 */

#define KEYBOARD_SCAN 0xf4

#define KBD_PATIENCE 20000 /* reads of the status, about 1 us each on a real machine */
#define KBD_BURST    64    /* bytes of one interrupt */

static bool kbd_wait(u8 mask, u8 value)
{
	for (unsigned i = 0; i < KBD_PATIENCE; i++) {
		if ((inb(KBD_STATUS) & mask) == value)
			return true;
		pause_cpu();
	}
	return false;
}

static bool kbd_write(u16 port, u8 value)
{
	if (!kbd_wait(STATUS_INPUT, 0))
		return false;
	outb(port, value);
	return true;
}

/* What has been typed before belongs to nobody. */
static void kbd_drain(void)
{
	for (unsigned i = 0; i < KBD_BURST && inb(KBD_STATUS) & STATUS_OUTPUT; i++)
		(void)inb(KBD_DATA);
}

static bool mode_read(u8 *mode)
{
	kbd_drain();
	if (!kbd_write(KBD_COMMAND, CMD_MODE_READ) || !kbd_wait(STATUS_OUTPUT, STATUS_OUTPUT))
		return false;
	*mode = inb(KBD_DATA);
	return true;
}

static bool controller_init(void)
{
	u8 mode;

	if (!kbd_write(KBD_COMMAND, CMD_KEYBOARD_OFF) || !kbd_write(KBD_COMMAND, CMD_MOUSE_OFF) ||
	    !mode_read(&mode))
		return false;
	mode &= (u8) ~(MODE_MOUSE_IRQ | MODE_KEYBOARD_OFF);
	mode |= MODE_KEYBOARD_IRQ | MODE_MOUSE_OFF | MODE_TRANSLATE;
	return kbd_write(KBD_COMMAND, CMD_MODE_WRITE) && kbd_write(KBD_DATA, mode);
}

void kbd_init(struct kbd *k)
{
	bool ready;

	if (inb(KBD_STATUS) == 0xff)
		return;
	ready = controller_init();
	/* On again even if it has stopped half-way: it may work by what the firmware has set. */
	k->present = kbd_write(KBD_COMMAND, CMD_KEYBOARD_ON);
	if (!ready || !k->present)
		log_warn("the keyboard controller does not answer as one does: keys may be dead");
	/* Its answer, 0xfa, comes in its own time, and is no key. */
	if (k->present)
		(void)kbd_write(KBD_DATA, KEYBOARD_SCAN);
}

void kbd_service(struct kbd *k, void (*take)(void *ctx, u8 byte), void *ctx)
{
	u8 out[KBD_OUT_MAX];

	if (!k->present)
		return;
	for (unsigned i = 0; i < KBD_BURST; i++) {
		u8 status = inb(KBD_STATUS), code;
		unsigned n;

		if (status == 0xff || !(status & STATUS_OUTPUT))
			return;
		code = inb(KBD_DATA);
		if (status & STATUS_MOUSE)
			continue;
		n = kbd_map_feed(&k->map, code, out);
		for (unsigned j = 0; j < n; j++)
			take(ctx, out[j]);
	}
}
