/* SPDX-License-Identifier: MIT */
/*
 * Scan codes of set 1 to what a terminal sends: characters in UTF-8, and for the other keys the sequences of Linux's
 * console and of xterm. Called by kbd.c. Microsoft "Keyboard Scan Code Specification"; xterm "Control Sequences", "PC-Style
 * Function Keys" and "VT220-Style Function Keys". PURE.
 */
#include "arch/host/kbd.h"

#include <vmm/config.h>

enum {
	KEY_ESC = 0x01,
	KEY_BACKSPACE = 0x0e,
	KEY_TAB = 0x0f,
	KEY_ENTER = 0x1c,
	KEY_CTRL = 0x1d,
	KEY_LEFT_SHIFT = 0x2a,
	KEY_SLASH = 0x35,
	KEY_RIGHT_SHIFT = 0x36,
	KEY_PAD_STAR = 0x37,
	KEY_ALT = 0x38,
	KEY_SPACE = 0x39,
	KEY_CAPS = 0x3a,
	KEY_F1 = 0x3b,
	KEY_F10 = 0x44,
	KEY_NUM = 0x45,
	KEY_PAD = 0x47, /* 7 8 9 - 4 5 6 + 1 2 3 0 . */
	KEY_PAD_LAST = 0x53,
	KEY_102ND = 0x56,
	KEY_F11 = 0x57,
	KEY_F12 = 0x58
};

#define RELEASED  0x80
#define KEYS_MAIN (KEY_SPACE + 1)

/* What stands on the keys in Latin-1, by scan code: alone, with Shift, with AltGr; NUL: nothing. */
struct layout {
	const char *plain, *shift, *altgr;
	char below[3]; /* of the key that American keyboards do not have */
};

#define NONE "\0"

// clang-format off
static const struct layout layouts[] = {
	[KEYMAP_US] = {
		NONE NONE "1234567890-=" NONE NONE "qwertyuiop[]" NONE NONE "asdfghjkl;'`" NONE "\\zxcvbnm,./" NONE NONE NONE " ",
		NONE NONE "!@#$%^&*()_+" NONE NONE "QWERTYUIOP{}" NONE NONE "ASDFGHJKL:\"~" NONE "|ZXCVBNM<>?" NONE NONE NONE " ",
		NULL, "\\|",
	},
	[KEYMAP_DE] = {
		NONE NONE "1234567890\xdf\xb4" NONE NONE "qwertzuiop\xfc+" NONE NONE "asdfghjkl\xf6\xe4^" NONE "#yxcvbnm,.-" NONE NONE NONE " ",
		NONE NONE "!\"\xa7$%&/()=?`" NONE NONE "QWERTZUIOP\xdc*" NONE NONE "ASDFGHJKL\xd6\xc4\xb0" NONE "'YXCVBNM;:_" NONE NONE NONE " ",
		NONE NONE NONE "\xb2\xb3" NONE NONE NONE "{[]}\\" NONE NONE NONE "@" NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE "~" NONE NONE
		NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE "\xb5" NONE NONE NONE NONE NONE NONE NONE,
		"<>|",
	},
};

/* The keypad, and with 0xe0 before them the keys between it and the letters: 'A' to 'D' are arrows, digits ESC [ n ~. */
static const char pad_digits[] = "789-456+1230.";
static const char pad_moves[] = "1A5-DGC+4B623"; /* Home Up PgUp - Left (middle) Right + End Down PgDn Ins Del */
/* F1 to F12: the letter of ESC O letter, or the number of ESC [ number ~. */
static const u8 function_keys[] = {'P', 'Q', 'R', 'S', 15, 17, 18, 19, 20, 21, 23, 24};
// clang-format on

static unsigned held(const struct kbd_map *k)
{
	return k->held | k->held_right;
}

static unsigned add(u8 *out, unsigned n, unsigned c)
{
	out[n] = (u8)c;
	return n + 1;
}

/* ESC [ number ; modifiers final, of which what is 1 or none is left out. */
static unsigned sequence(const struct kbd_map *k, u8 *out, unsigned number, u8 final)
{
	unsigned modifiers = held(k) & (KBD_SHIFT | KBD_ALT | KBD_CTRL), n = 0;

	n = add(out, n, 0x1b);
	n = add(out, n, '[');
	if (final != '~' && !modifiers) {
		if (k->app_cursor || final >= 'P')
			out[1] = 'O';
		return add(out, n, final);
	}
	if (number >= 10)
		n = add(out, n, '0' + number / 10);
	n = add(out, n, '0' + number % 10);
	if (modifiers) {
		n = add(out, n, ';');
		n = add(out, n, '1' + modifiers);
	}
	return add(out, n, final);
}

static unsigned function_key(const struct kbd_map *k, u8 *out, unsigned index)
{
	u8 what = function_keys[index];

	return what >= 'P' ? sequence(k, out, 1, what) : sequence(k, out, what, '~');
}

/* What Ctrl makes of a character; 0x100: nothing. */
static unsigned control(unsigned c)
{
	if (c < ' ')
		return c;
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 1;
	if (c >= '@' && c <= '_')
		return c & 0x1f;
	if (c >= '3' && c <= '7')
		return c - '3' + 0x1b;
	switch (c) {
	case ' ':
	case '2':
		return 0;
	case '/':
	case '-':
		return 0x1f;
	case '8':
	case '?':
		return 0x7f;
	default:
		return 0x100;
	}
}

/* A character of Latin-1, with Alt as ESC before it. */
static unsigned character(const struct kbd_map *k, u8 *out, unsigned c)
{
	unsigned n = 0;

	if (held(k) & KBD_CTRL) {
		c = control(c);
		if (c > 0xff)
			return 0;
	}
	if (held(k) & KBD_ALT)
		n = add(out, n, 0x1b);
	if (c < 0x80)
		return add(out, n, c);
	n = add(out, n, 0xc0 | c >> 6);
	return add(out, n, 0x80 | (c & 0x3f));
}

static bool is_letter(u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xe0 && c != 0xf7);
}

static unsigned main_key(const struct kbd_map *k, u8 *out, u8 key)
{
	const struct layout *l = &layouts[k->layout];
	bool shift = held(k) & KBD_SHIFT;
	u8 c;

	if (key == KEY_102ND)
		c = (u8)l->below[held(k) & KBD_ALTGR ? 2 : shift];
	else if (held(k) & KBD_ALTGR && l->altgr)
		c = (u8)l->altgr[key];
	else if (k->caps && is_letter((u8)l->plain[key]))
		c = (u8)(shift ? l->plain : l->shift)[key];
	else
		c = (u8)(shift ? l->shift : l->plain)[key];
	return c ? character(k, out, c) : 0;
}

static unsigned pad_key(const struct kbd_map *k, u8 *out, unsigned index, bool moves)
{
	u8 what = (u8)(moves ? pad_moves : pad_digits)[index];

	if (!moves || what == '-' || what == '+')
		return character(k, out, what);
	return what >= 'A' ? sequence(k, out, 1, what) : sequence(k, out, what - '0', '~');
}

static unsigned key_down(struct kbd_map *k, u8 *out, u8 key, bool extended)
{
	bool shift = held(k) & KBD_SHIFT;

	if (key >= KEY_PAD && key <= KEY_PAD_LAST)
		return pad_key(k, out, key - KEY_PAD, extended || k->nav != shift);
	if (key == KEY_ENTER)
		return character(k, out, '\r');
	if (extended)
		return key == KEY_SLASH ? character(k, out, '/') : 0;
	if (key >= KEY_F1 && key <= KEY_F10)
		return function_key(k, out, key - KEY_F1);
	switch (key) {
	case KEY_ESC:
		return add(out, 0, 0x1b);
	case KEY_BACKSPACE:
		return held(k) & KBD_CTRL ? add(out, 0, '\b') : character(k, out, 0x7f);
	case KEY_TAB:
		return shift ? add(out, add(out, add(out, 0, 0x1b), '['), 'Z') : add(out, 0, '\t');
	case KEY_PAD_STAR:
		return character(k, out, '*');
	case KEY_CAPS:
		k->caps = !k->caps;
		return 0;
	case KEY_NUM:
		k->nav = !k->nav;
		return 0;
	case KEY_F11:
	case KEY_F12:
		return function_key(k, out, key - KEY_F11 + 10U);
	default:
		return key < KEYS_MAIN || key == KEY_102ND ? main_key(k, out, key) : 0;
	}
}

/* The bit of a key that is held; 0: it is none. The right-hand Alt is AltGr where the layout has such. */
static u8 modifier(const struct kbd_map *k, u8 key, bool extended)
{
	switch (key) {
	case KEY_LEFT_SHIFT:
	case KEY_RIGHT_SHIFT:
		return KBD_SHIFT;
	case KEY_CTRL:
		return KBD_CTRL;
	case KEY_ALT:
		return extended && layouts[k->layout].altgr ? KBD_ALTGR : KBD_ALT;
	default:
		return 0;
	}
}

unsigned kbd_map_feed(struct kbd_map *k, u8 code, u8 out[KBD_OUT_MAX])
{
	bool extended = k->prefix, down = !(code & RELEASED);
	u8 key = code & ~RELEASED, bit, *where;

	if (k->skip) { /* of Pause: 0xe1 and two codes */
		k->skip--;
		return 0;
	}
	if (code == 0xe0 || code == 0xe1) {
		k->prefix = code == 0xe0;
		k->skip = code == 0xe1 ? 2 : 0;
		return 0;
	}
	k->prefix = 0;
	bit = modifier(k, key, extended);
	/* With 0xe0 it is no Shift, but what keyboards put around the arrows for the sake of the first PC. */
	if (extended && bit == KBD_SHIFT)
		return 0;
	where = extended || key == KEY_RIGHT_SHIFT ? &k->held_right : &k->held;
	if (bit)
		*where = down ? *where | bit : (u8)(*where & ~bit);
	return bit || !down || !key ? 0 : key_down(k, out, key, extended);
}
