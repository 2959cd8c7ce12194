/* SPDX-License-Identifier: MIT */
/*
 * arch/host/kbd_map.c: keys of both layouts, alone and with those that are held, to the bytes that a terminal sends; and
 * every sequence of three codes, which must leave nothing behind.
 */
/* SOURCES: arch/host/kbd_map.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/host/kbd.h"

#include <vmm/config.h>

static struct kbd_map k;
static char typed[64];

static int setup(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	return 0;
}

/* Codes in a string ended by 0x00, to what was typed by them. */
static const char *type(const char *codes)
{
	size_t n = 0;

	for (; *codes; codes++) {
		n += kbd_map_feed(&k, (u8)*codes, (u8 *)typed + n);
		assert_true(n < sizeof(typed) - KBD_OUT_MAX);
	}
	typed[n] = 0;
	return typed;
}

#define assert_typed(codes, what) assert_string_equal(type(codes), what)

#define SHIFT(codes)  "\x2a" codes "\xaa"
#define RSHIFT(codes) "\x36" codes "\xb6"
#define CTRL(codes)   "\x1d" codes "\x9d"
#define RCTRL(codes)  "\xe0\x1d" codes "\xe0\x9d"
#define ALT(codes)    "\x38" codes "\xb8"
#define ALTGR(codes)  "\xe0\x38" codes "\xe0\xb8"

static void test_us(void **state)
{
	(void)state;
	assert_typed("\x1e\x9e\x30\xb0\x2e\xae", "abc"); /* nothing when it is let go */
	assert_typed("\x1e\x1e\x1e\x9e", "aaa");         /* repeated */
	assert_typed("\x02\x03\x0b\x0c\x0d\x1a\x1b\x27\x28\x29\x2b\x33\x34\x35\x39",
		     "120-=[];'`\\,./ ");
	assert_typed(SHIFT("\x1e\x02\x03\x0b\x0c\x0d\x1a\x1b\x27\x28\x29\x2b\x33\x34\x35\x39"),
		     "A!@)_+{}:\"~|<>? ");
	assert_typed(RSHIFT("\x2c") "\x2c", "Zz");
	/* Both Shifts, let go one after the other. */
	assert_typed("\x2a\x36\x1e\xaa\x1e\xb6\x1e", "AAa");
	assert_typed("\x56" SHIFT("\x56"), "\\|");
	assert_typed("\x1c\x9c\x0e\x0f\x01\xe0\x1c\xe0\x35", "\r\x7f\t\033\r/");
	assert_typed(SHIFT("\x0f"), "\033[Z");
	/* Caps lock is for letters only. */
	assert_typed("\x3a\xba\x1e\x02\x1a" SHIFT("\x1e\x02") "\x3a\xba\x1e", "A1[a!a");
	/* All layouts have a character for each of the main keys. */
	for (unsigned layout = KEYMAP_US; layout <= KEYMAP_DE; layout++) {
		k.layout = (u8)layout;
		for (u8 key = 2; key <= 0x39; key++) {
			char one[2] = {(char)key, 0};

			if (key == 0x1d || key == 0x2a || (key >= 0x36 && key <= 0x38))
				continue;
			assert_true(type(one)[0]);
		}
	}
}

static void test_held(void **state)
{
	(void)state;
	assert_typed(CTRL("\x2e") RCTRL("\x20"), "\x03\x04");
	assert_typed(CTRL("\x1a\x2b\x1b\x07\x0c\x1c\x0e\x39"),
		     "\x1b\x1c\x1d\x1e\x1f\r\b"); /* and NUL */
	assert_int_equal(kbd_map_feed(&k, 0x1d, (u8 *)typed), 0);
	assert_int_equal(kbd_map_feed(&k, 0x39, (u8 *)typed), 1);
	assert_int_equal(typed[0], 0);
	assert_int_equal(kbd_map_feed(&k, 0x02, (u8 *)typed), 0); /* Ctrl-1 */
	(void)type("\x9d");
	assert_typed(ALT("\x30") ALTGR("\x30"), "\033b\033b"); /* one Alt like the other */
	assert_typed(ALT(CTRL("\x30")), "\033\x02");
	assert_typed(ALT("\x0e"), "\033\x7f");
}

static void test_movement(void **state)
{
	(void)state;
	assert_typed("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4d\xe0\x4b", "\033[A\033[B\033[C\033[D");
	assert_typed("\xe0\x47\xe0\x4f\xe0\x49\xe0\x51\xe0\x52\xe0\x53",
		     "\033[1~\033[4~\033[5~\033[6~\033[2~\033[3~");
	/* Keyboards put a Shift that is none around them. */
	assert_typed("\xe0\x2a\xe0\x48\xe0\xc8\xe0\xaa\x1e", "\033[Aa");
	assert_typed(CTRL("\xe0\x4d") SHIFT("\xe0\x48") ALT("\xe0\x53"),
		     "\033[1;5C\033[1;2A\033[3;3~");
	k.app_cursor = true;
	assert_typed("\xe0\x48\xe0\x47", "\033OA\033[1~");
	k.app_cursor = false;
	/* The keypad. */
	assert_typed("\x47\x4c\x52\x53\x4a\x4e\x37", "750.-+*");
	assert_typed("\x45\xc5\x47\x48\x52\x53\x4a\x4e\x37", "\033[1~\033[A\033[2~\033[3~-+*");
	assert_typed("\x45\xc5\x47", "7");
}

static void test_functions(void **state)
{
	(void)state;
	assert_typed("\x3b\x3c\x3d\x3e\x3f\x40", "\033OP\033OQ\033OR\033OS\033[15~\033[17~");
	assert_typed("\x41\x42\x43\x44\x57\x58",
		     "\033[18~\033[19~\033[20~\033[21~\033[23~\033[24~");
	assert_typed(SHIFT("\x3b\x58"), "\033[1;2P\033[24;2~");
	/* Pause, PrintScreen, the Windows keys, an answer of the keyboard's: nothing, and what follows is itself. */
	assert_typed(
		"\xe1\x1d\x45\xe1\x9d\xc5\x1e\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa\xe0\x5b\xe0\xdb\xfa\xff\xaa\x1e",
		"aa");
}

static void test_german(void **state)
{
	(void)state;
	k.layout = KEYMAP_DE;
	assert_typed("\x15\x2c\x35\x0c\x1a\x27\x28\x0d",
		     "zy-\xc3\x9f\xc3\xbc\xc3\xb6\xc3\xa4\xc2\xb4");
	assert_typed(SHIFT("\x08\x0c\x1b\x29\x33\x28\x2b"), "/?*\xc2\xb0;\xc3\x84'");
	assert_typed(ALTGR("\x10\x08\x09\x0a\x0b\x0c\x1b\x56\x32\x1e"), "@{[]}\\~|\xc2\xb5");
	assert_typed("\x56" SHIFT("\x56"), "<>");
	assert_typed("\x3a\xba\x28\x0c\x3a\xba", "\xc3\x84\xc3\x9f");
	assert_typed(CTRL("\x2c") ALT("\x10"), "\x19\033q");
}

static void test_all(void **state)
{
	u8 out[KBD_OUT_MAX];

	(void)state;
	for (u32 n = 0; n < 1u << 24; n += 7) {
		k.layout = n & 1;
		k.app_cursor = n >> 1 & 1;
		for (unsigned i = 0; i < 3; i++)
			assert_true(kbd_map_feed(&k, (u8)(n >> 8 * i), out) <= KBD_OUT_MAX);
	}
	/* All let go: nothing is held. */
	k.skip = 0;
	k.prefix = false;
	(void)type("\xaa\xb6\x9d\xe0\x9d\xb8\xe0\xb8");
	k.layout = KEYMAP_DE;
	(void)type("\xe0\xb8");
	assert_int_equal(k.held | k.held_right, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_us, setup),
		cmocka_unit_test_setup(test_held, setup),
		cmocka_unit_test_setup(test_movement, setup),
		cmocka_unit_test_setup(test_functions, setup),
		cmocka_unit_test_setup(test_german, setup),
		cmocka_unit_test_setup(test_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
