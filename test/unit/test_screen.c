/* SPDX-License-Identifier: MIT */
/*
 * arch/host/screen.c with a painter that keeps a grid of letters: lines, wrapping, scrolling, control characters and
 * escape sequences; and fbcon.c drawing into heap blocks of exactly the framebuffer's size, in each depth.
 */
/* SOURCES: arch/host/screen.c arch/host/term.c arch/host/glyph.c arch/host/fbcon.c arch/host/font.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/host/font.h"
#include "arch/host/screen.h"

#define COLS 10
#define ROWS 6

static struct screen s;
static char shown[ROWS][COLS + 1];
static unsigned draws;

static void grid_draw(unused struct screen *scr, unsigned row, unsigned col, u16 cell)
{
	assert_true(row < ROWS && col < COLS);
	shown[row][col] = (char)cell;
	draws++;
}

static void grid_blank(unused struct screen *scr, unsigned row)
{
	assert_true(row < ROWS);
	memset(shown[row], ' ', COLS);
}

static void grid_cursor(unused struct screen *scr, unsigned row, unsigned col, unused bool on)
{
	assert_true(row < ROWS && col < COLS);
}

static const struct screen_ops grid = {grid_draw, grid_blank, grid_cursor};

static int setup(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	s.ops = &grid;
	s.cols = COLS;
	s.rows = ROWS;
	memset(shown, '#', sizeof(shown)); /* what the boot loader left */
	for (unsigned i = 0; i < ROWS; i++)
		shown[i][COLS] = 0;
	draws = 0;
	return 0;
}

static void put(const char *text)
{
	screen_write(&s, text, strlen(text));
}

static void test_lines(void **state)
{
	(void)state;
	put("ab\r\ncd");
	assert_string_equal(shown[0], "ab        ");
	assert_string_equal(shown[1], "cd        ");
	assert_string_equal(shown[2], "##########");
	assert_int_equal(draws, 4);
	put("\rxy\b\bz\tT");
	assert_string_equal(shown[1], "zy      T ");
}

static void test_wrap(void **state)
{
	(void)state;
	put("0123456789");
	assert_string_equal(shown[1],
			    "##########"); /* not before there is something to put there */
	put("A\r\n0123456789\r\nB");
	assert_string_equal(shown[0], "0123456789");
	assert_string_equal(shown[1], "A         ");
	assert_string_equal(shown[2], "0123456789");
	assert_string_equal(shown[3], "B         ");
}

static void test_scroll(void **state)
{
	(void)state;
	put("0\r\n1\r\n2\r\n3\r\n4\r\n5");
	draws = 0;
	put("\r\n6");
	assert_string_equal(shown[0], "3         ");
	assert_string_equal(shown[2], "5         ");
	assert_string_equal(shown[3], "6         ");
	assert_string_equal(shown[4], "          ");
	assert_true(draws <= 2 * ROWS); /* blanks over blanks are not drawn */
	for (unsigned i = 0; i < 1000; i++)
		put("line\n");
}

static void test_escapes(void **state)
{
	(void)state;
	put("\033[1;31ma\033[0mb\033]0;title\007c\033(Bd\033]x\033\\e\033=f\a\001g");
	assert_string_equal(shown[0], "abcdefg   ");
	put("\033[");
	put("1mh\200");
	assert_string_equal(shown[0], "abcdefgh? ");
	/* A sequence that never ends swallows no line feed's line; a string that never ends neither. */
	put("\033[12\nx");
	assert_string_equal(shown[1], "         x");
	put("\033]0;title\r\nyz");
	assert_string_equal(shown[2], "         y");
	assert_string_equal(shown[3], "z         ");
}

static void test_hostile(void **state)
{
	char text[64];
	u32 seed = 1;

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		for (unsigned i = 0; i < sizeof(text); i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = (char)(seed >> 24);
		}
		screen_write(&s, text, sizeof(text));
	}
	s.ops = NULL;
	put("nothing there");
}

/* ---- The framebuffer --------------------------------------------------------------------------------------------- */

static const struct fb_params rgb32 = {.addr = 0xfd000000,
				       .pitch = 2560 + 64,
				       .width = 640,
				       .height = 480,
				       .bpp = 32,
				       .red_pos = 16,
				       .red_bits = 8,
				       .green_pos = 8,
				       .green_bits = 8,
				       .blue_pos = 0,
				       .blue_bits = 8};

static void test_usable(void **state)
{
	struct fb_params p = rgb32;
	u64 size;

	(void)state;
	assert_true(fbcon_usable(&p, &size));
	assert_int_equal(size, p.pitch * p.height);
	p.pitch = 2559;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.bpp = 8;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.bpp = 64;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.addr = 0;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.width = 0xffffffff;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.height = 0xffffffff;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.width = 0;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.pitch = 0xffffffff;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.red_pos = 30;
	assert_false(fbcon_usable(&p, &size));
	p = rgb32, p.blue_bits = 0;
	assert_false(fbcon_usable(&p, &size));
}

/* Draws a screenful; the block ends where the framebuffer does. */
static u8 *draw(const struct fb_params *p)
{
	u64 size;
	u8 *mem;

	memset(&s, 0, sizeof(s));
	assert_true(fbcon_usable(p, &size));
	mem = malloc(size);
	assert_non_null(mem);
	memset(mem, 0x55, size);
	fbcon_attach(&s, p, mem);
	for (unsigned i = 0; i < s.rows * 3; i++) {
		for (unsigned j = 0; j < s.cols; j++)
			put("W");
	}
	return mem;
}

static void test_depths(void **state)
{
	struct fb_params p = rgb32;
	u8 *mem;

	(void)state;
	mem = draw(&p);
	assert_int_equal(s.cols, 80);
	assert_int_equal(s.rows, 30);
	assert_int_equal(s.fb.palette[7], 0xaaaaaa);
	assert_int_equal(s.fb.palette[1], 0x0000aa); /* VGA's blue */
	assert_int_equal(s.fb.palette[12], 0xff5555);
	/* What lies between the lines is not ours. */
	for (unsigned y = 0; y < p.height; y++)
		assert_int_equal(mem[y * p.pitch + 2560], 0x55);
	free(mem);
	p.bpp = 24, p.pitch = 640 * 3;
	free(draw(&p));
	p.bpp = 16, p.pitch = 640 * 2, p.red_pos = 11, p.red_bits = 5, p.green_pos = 5,
	p.green_bits = 6, p.blue_bits = 5;
	free(draw(&p));
	assert_int_equal(s.fb.palette[7], 0xad55);
	p = rgb32, p.width = 1920, p.height = 1085, p.pitch = 1920 * 4;
	free(draw(&p));
	assert_int_equal(s.fb.scale, 2);
	assert_int_equal(s.cols, 120);
	assert_int_equal(s.rows, 33);
	p = rgb32, p.width = 16384, p.height = 4096, p.pitch = 16384 * 4;
	free(draw(&p));
	assert_int_equal(s.fb.scale, 4);
	assert_int_equal(s.cols, SCREEN_COLS_MAX);
	assert_int_equal(s.rows, 64);
	p = rgb32, p.width = 1024, p.height = 4096, p.pitch = 4096;
	free(draw(&p));
	assert_int_equal(s.fb.scale, 1);
	assert_int_equal(s.rows, SCREEN_ROWS_MAX);
}

/* The pixels of a cell at the screen's scale, as a picture: '#' is `ink`. */
static void picture(const struct fb_params *p, const u8 *mem, unsigned row, unsigned col, u32 ink,
		    char *out)
{
	unsigned width = 8 * s.fb.scale, height = 16 * s.fb.scale;

	for (unsigned y = 0; y < height; y++) {
		for (unsigned x = 0; x < width; x++) {
			u32 v;

			memcpy(&v,
			       mem + (size_t)(row * height + y) * p->pitch + (col * width + x) * 4,
			       4);
			*out++ = v == ink ? '#' : '.';
		}
		*out++ = '\n';
	}
	*out = 0;
}

static u8 *blank(const struct fb_params *p)
{
	u64 size;
	u8 *mem;

	memset(&s, 0, sizeof(s));
	assert_true(fbcon_usable(p, &size));
	mem = calloc(1, size);
	assert_non_null(mem);
	fbcon_attach(&s, p, mem);
	return mem;
}

/* Colours; the letter's place in the cell; the cursor, below the next. */
static void test_pixels(void **state)
{
	static char got[17 * 9 + 1], cursor[17 * 9 + 1];
	u8 *mem = blank(&rgb32);

	(void)state;
	put("\033[31;44mL\033[m");
	picture(&rgb32, mem, 0, 0, 0xaa0000, got);
	assert_string_equal(got, "........\n........\n........\n........\n"
				 ".#......\n.#......\n.#......\n.#......\n.#......\n.#......\n"
				 ".#......\n.#......\n.######.\n........\n........\n........\n");
	picture(&rgb32, mem, 0, 0, 0x0000aa, got);
	assert_memory_equal(got, "########\n", 9);
	picture(&rgb32, mem, 0, 1, 0xaaaaaa, cursor);
	assert_string_equal(cursor + 13 * 9, "########\n########\n########\n");
	assert_null(memchr(cursor, '#', (size_t)13 * 9));
	put("\033[?25l");
	picture(&rgb32, mem, 0, 1, 0xaaaaaa, cursor);
	assert_null(strchr(cursor, '#'));
	put("\033[?25h\r");
	picture(&rgb32, mem, 0, 0, 0xaa0000, got);
	assert_string_equal(got + 13 * 9, "########\n########\n########\n");
	/* Boxes join: a line down has no gap above or below. */
	put("\033[H\033(0x");
	picture(&rgb32, mem, 0, 0, 0xaaaaaa, got);
	for (unsigned y = 0; y < 16; y++)
		assert_memory_equal(got + (size_t)y * 9, "...#....\n", 9);
	free(mem);
}

/* Twice and four times the size: slanting strokes without steps of a whole dot, straight ones as they are. */
static void test_smooth(void **state)
{
	static char got[65 * 33 + 1];
	struct fb_params p = rgb32;
	unsigned dots = 0;
	u8 *mem;

	(void)state;
	p.width = 1920, p.height = 1080, p.pitch = 1920 * 4;
	mem = blank(&p);
	put("L/");
	picture(&p, mem, 0, 0, 0xaaaaaa, got);
	assert_memory_equal(got + (size_t)17 * 10, "..##............\n", 17);
	assert_memory_equal(got + (size_t)17 * 25, "...###########..\n", 17);
	picture(&p, mem, 0, 1, 0xaaaaaa, got);
	for (unsigned i = 0; got[i]; i++)
		dots += got[i] == '#';
	assert_true(dots > 0 && dots != 4 * 9); /* not each dot of the letter four times */
	free(mem);
	p.width = 3840, p.height = 2160, p.pitch = 3840 * 4;
	mem = blank(&p);
	put("L");
	picture(&p, mem, 0, 0, 0xaaaaaa, got);
	assert_memory_equal(got + (size_t)33 * 20, "....####........................\n", 33);
	free(mem);
}

/* Each letter of ASCII differs from every other. */
static void test_font(void **state)
{
	(void)state;
	for (unsigned a = ' '; a < 0x7f; a++) {
		for (unsigned b = ' '; b < a; b++)
			assert_memory_not_equal(font_rows[a], font_rows[b], FONT_ROWS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_wrap, setup),
		cmocka_unit_test_setup(test_scroll, setup),
		cmocka_unit_test_setup(test_escapes, setup),
		cmocka_unit_test_setup(test_hostile, setup),
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_depths),
		cmocka_unit_test(test_pixels),
		cmocka_unit_test(test_smooth),
		cmocka_unit_test(test_font),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
