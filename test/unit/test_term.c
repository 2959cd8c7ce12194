/* SPDX-License-Identifier: MIT */
/*
 * arch/host/term.c and glyph.c: each control sequence against the cells and the cursor that it has to leave, on a screen of
 * 10 by 6.
 */
/* SOURCES: arch/host/screen.c arch/host/term.c arch/host/glyph.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/host/screen.h"

#define COLS 10
#define ROWS 6

static struct screen s;
static u16 shown[ROWS][COLS];
static char text[COLS + 1], answer[64];
static int cursor_row, cursor_col; /* -1: hidden */

static void grid_draw(unused struct screen *scr, unsigned row, unsigned col, u16 cell)
{
	assert_true(row < ROWS && col < COLS);
	shown[row][col] = cell;
}

static void grid_blank(unused struct screen *scr, unsigned row)
{
	assert_true(row < ROWS);
	for (unsigned col = 0; col < COLS; col++)
		shown[row][col] = CELL_BLANK;
}

static void grid_cursor(unused struct screen *scr, unsigned row, unsigned col, bool on)
{
	assert_true(row < ROWS && col < COLS);
	cursor_row = on ? (int)row : -1;
	cursor_col = on ? (int)col : -1;
}

static const struct screen_ops grid = {grid_draw, grid_blank, grid_cursor};

static void on_reply(unused void *arg, const char *what, size_t len)
{
	size_t at = strlen(answer);

	assert_true(at + len < sizeof(answer));
	memcpy(answer + at, what, len);
	answer[at + len] = 0;
}

static unsigned moments;

static void on_moment(unused void *arg)
{
	moments++;
}

static void put(const char *what)
{
	screen_write(&s, what, strlen(what));
}

/* Six rows of letters, as full-screen programs leave them. */
static int setup(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	s.ops = &grid;
	s.cols = COLS;
	s.rows = ROWS;
	s.reply = on_reply;
	answer[0] = 0;
	for (unsigned row = 0; row < ROWS; row++) {
		for (unsigned col = 0; col < COLS; col++)
			shown[row][col] = '#';
	}
	put("\033[H");
	for (unsigned row = 0; row < ROWS; row++) {
		char line[32];

		(void)snprintf(line, sizeof(line), "\033[%u;1H%u%c%c%c%c%c%c%c%c%c", row + 1, row,
			       'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
		put(line);
	}
	put("\033[3;4H"); /* row 2, column 3 */
	return 0;
}

static const char *row_text(unsigned row)
{
	for (unsigned col = 0; col < COLS; col++) {
		assert_int_equal(shown[row][col], s.cell[row][col]);
		text[col] = (char)shown[row][col];
	}
	return text;
}

#define assert_row(row, what) assert_string_equal(row_text(row), what)

static void at(int row, int col)
{
	assert_int_equal(cursor_row, row);
	assert_int_equal(cursor_col, col);
}

static void moved(const char *what, int row, int col)
{
	put("\033[3;4H");
	put(what);
	at(row, col);
}

static void test_moves(void **state)
{
	(void)state;
	moved("\033[A", 1, 3);
	moved("\033[0A", 1, 3);
	moved("\033[2A", 0, 3);
	moved("\033[9999A", 0, 3);
	moved("\033[B", 3, 3);
	moved("\033[99999999999B", 5, 3);
	moved("\033[2e", 4, 3);
	moved("\033[C", 2, 4);
	moved("\033[4a", 2, 7);
	moved("\033[99C", 2, 9);
	moved("\033[D", 2, 2);
	moved("\033[99D", 2, 0);
	moved("\033[2E", 4, 0);
	moved("\033[F", 1, 0);
	moved("\033[7G", 2, 6);
	moved("\033[7`", 2, 6);
	moved("\033[99G", 2, 9);
	moved("\033[5d", 4, 3);
	moved("\033[2;8H", 1, 7);
	moved("\033[2;8f", 1, 7);
	moved("\033[;8H", 0, 7);
	moved("\033[4H", 3, 0);
	moved("\033[99;99H", 5, 9);
	moved("\033[H", 0, 0);
	moved("\t", 2, 8);
	moved("\t\t", 2, 9);
	moved("\033[I", 2, 8);
	moved("\033[99I", 2, 9);
	moved("\033[Z", 2, 0);
	moved("\t\t\033[Z", 2, 8);
	moved("\033[9999Z", 2, 0);
	moved("\b\b", 2, 1);
	moved("\r\b", 2, 0);
	moved("\v", 3, 3);
	moved("\033D", 3, 3);
	moved("\033E", 3, 0);
	moved("\033M", 1, 3);
	/* Control characters are carried out in the middle of a sequence; CAN breaks one off. */
	moved("\033[2\rC", 2, 2);
	moved("\033[2\030C", 2, 4);
	moved("\033[2\033[2A", 0, 3);
	/* Unknown ones, and those with a place of their own, do nothing. */
	moved("\033[5y\033[>5A\033[5 q\033[!p\033[?5A\033[=5C\033%G\033 F\033#3", 2, 3);
	assert_row(2, "2abCdefghi"); /* of the one broken off */
}

static void test_erase(void **state)
{
	(void)state;
	put("\033[K");
	assert_row(2, "2ab       ");
	put("\033[4;4H\033[1K");
	assert_row(3, "    defghi");
	at(3, 3);
	put("\033[2K");
	assert_row(3, "          ");
	put("\033[5;4H\033[J");
	assert_row(3, "          ");
	assert_row(4, "4ab       ");
	assert_row(5, "          ");
	put("\033[2;4H\033[1J");
	assert_row(0, "          ");
	assert_row(1, "    defghi");
	assert_row(2, "2ab       ");
	put("\033[3J\033[7J");
	assert_row(2, "2ab       ");
	put("\033[44m\033[2J");
	for (unsigned row = 0; row < ROWS; row++)
		assert_row(row, "          ");
	assert_int_equal(shown[5][9], 0x1720); /* the paper's colour stays */
	at(1, 3);
}

static void test_characters(void **state)
{
	(void)state;
	put("\033[2@");
	assert_row(2, "2ab  cdefg");
	put("\033[3P");
	assert_row(2, "2abdefg   ");
	put("\033[99@");
	assert_row(2, "2ab       ");
	put("\033[4;4H\033[2X");
	assert_row(3, "3ab  efghi");
	put("\033[999X");
	assert_row(3, "3ab       ");
	put("\033[5;9H\033[P");
	assert_row(4, "4abcdefgi ");
	put("\033[6;2H\033[4hXY\033[4lZ");
	assert_row(5, "5XYZbcdefg");
	put("\033[6;1H-\033[3b");
	assert_row(5, "----bcdefg");
	put("\033[1;1H=\033[9999b");
	assert_row(0, "==========");
}

static void test_lines(void **state)
{
	(void)state;
	put("\033[2L");
	assert_row(1, "1abcdefghi");
	assert_row(2, "          ");
	assert_row(3, "          ");
	assert_row(4, "2abcdefghi");
	assert_row(5, "3abcdefghi");
	at(2, 0);
	put("\033[3M");
	assert_row(2, "3abcdefghi");
	assert_row(3, "          ");
	put("\033[S");
	assert_row(0, "1abcdefghi");
	put("\033[2T");
	assert_row(0, "          ");
	assert_row(2, "1abcdefghi");
	assert_row(3, "3abcdefghi");
	put("\033[9999S");
	for (unsigned row = 0; row < ROWS; row++)
		assert_row(row, "          ");
}

static void test_region(void **state)
{
	(void)state;
	put("\033[2;4r");
	at(0, 0);
	put("\033[4;1H\n");
	at(3, 0);
	assert_row(0, "0abcdefghi");
	assert_row(1, "2abcdefghi");
	assert_row(2, "3abcdefghi");
	assert_row(3, "          ");
	assert_row(4, "4abcdefghi");
	put("\033[2;1H\033M");
	assert_row(1, "          ");
	assert_row(2, "2abcdefghi");
	assert_row(3, "3abcdefghi");
	assert_row(4, "4abcdefghi");
	/* Inside the margins the cursor does not leave them, outside it does not scroll. */
	put("\033[9A");
	at(1, 0);
	put("\033[9B");
	at(3, 0);
	put("\033[6;1H\n\n");
	at(5, 0);
	put("\033[9A");
	at(1, 0);
	put("\033[1;1H\033[A");
	at(0, 0);
	put("\033[L"); /* the cursor is outside */
	assert_row(0, "0abcdefghi");
	put("\033[3;1H\033[L");
	assert_row(2, "          ");
	assert_row(3, "2abcdefghi");
	assert_row(4, "4abcdefghi");
	/* Origin mode. */
	put("\033[?6h");
	at(1, 0);
	put("\033[99;3H");
	at(3, 2);
	put("\033[6n");
	assert_string_equal(answer, "\033[3;3R");
	put("\033[2;1H");
	at(2, 0);
	put("\033[?6l");
	at(0, 0);
	/* None of a single line, none upside down. */
	put("\033[3;3r\033[5;2r\033[4;1H\n");
	at(3, 0);
	put("\033[r\033[6;1H\n");
	at(5, 0);
	assert_row(0, "          ");
	put("\033[2;9999r\033[6;1H\n");
	assert_row(0, "          ");
	assert_row(5, "          ");
}

/* Without a sequence that counts on places half the screen scrolls at once; with one, a row. */
static void test_scroll(void **state)
{
	(void)state;
	put("\033[6;1H\n");
	assert_row(0, "1abcdefghi");
	at(5, 0);
	for (unsigned i = 0; i < 2 * ROWS; i++)
		put("\n");
	at(3, 0);
	put("\033[?1049h\033[6;1H");
	for (unsigned i = 0; i < 5 * ROWS; i++)
		put("\n");
	at(5, 0);
}

static void test_wrap(void **state)
{
	(void)state;
	put("\033[3;9HXY");
	at(2, 9); /* not before there is something to put there */
	assert_row(3, "3abcdefghi");
	put("Z");
	at(3, 1);
	assert_row(3, "Zabcdefghi");
	/* What moves the cursor forgets it. */
	put("\033[3;10HX\rQ");
	at(2, 1);
	put("\033[3;10HX\033[KY");
	assert_row(2, "QabcdefgXY");
	put("\033[3;10HX\bY");
	assert_row(2, "QabcdefgYX");
	put("\033[?7l\033[3;9HABCD");
	assert_row(2, "QabcdefgAD");
	at(2, 9);
	put("\033[?7h\033[6;10HXY");
	assert_row(5, "Y         ");
	assert_row(4, "5abcdefghX");
}

static void test_save(void **state)
{
	(void)state;
	put("\033[31m\0337\033[m\033[H\0338X");
	assert_row(2, "2abXdefghi");
	assert_int_equal(shown[2][3], 0x0400 | 'X');
	put("\033[m\033[5;5H\033[s\033[H\033[u");
	at(4, 4);
	put("\0337\033[?25l");
	at(-1, -1);
	put("\033[?25h");
	at(4, 4);
	put("\033[?1048h\033[H\033[?1048l");
	at(4, 4);
}

static void colours(const char *sequence, unsigned attributes)
{
	put("\033[m\033[3;4H");
	put(sequence);
	put("X");
	assert_int_equal(shown[2][3], attributes << 8 | 'X');
}

static void test_colours(void **state)
{
	(void)state;
	colours("", 0x07);
	colours("\033[1m", 0x0f);
	colours("\033[2m", 0x08);
	colours("\033[1;22m", 0x07);
	colours("\033[4m", 0x03);
	colours("\033[4;24m", 0x07);
	colours("\033[7m", 0x70);
	colours("\033[7;27m", 0x07);
	colours("\033[1;7m", 0xf0);
	colours("\033[31m", 0x04);
	colours("\033[34m", 0x01);
	colours("\033[33;44m", 0x16);
	colours("\033[1;33;44m", 0x1e);
	colours("\033[91m", 0x0c);
	colours("\033[104m", 0x97);
	colours("\033[31;42;39;49m", 0x07);
	colours("\033[31m\033[0m", 0x07);
	colours("\033[31m\033[m", 0x07);
	colours("\033[38;5;1m", 0x04);
	colours("\033[38;5;12m", 0x09);
	colours("\033[38;5;196m", 0x04);
	colours("\033[38;5;21;48;5;226m", 0xe1);
	colours("\033[38;5;231m", 0x0f);
	colours("\033[38;5;16;48;5;250m", 0x70);
	colours("\033[38;2;255;250;255m", 0x0f);
	colours("\033[48;2;0;0;170;31m", 0x14);
	colours("\033[38:5:2m", 0x02);
	colours("\033[38;5;1;7m", 0x40);
	/* Cut short, or unknown: the rest is left alone. */
	colours("\033[38m", 0x07);
	colours("\033[38;5m", 0x07);
	colours("\033[38;9;1m", 0x07);
	colours("\033[5;8;9;53;999;32m", 0x02);
	colours("\033[>4;2m\033[?4m", 0x07);
	/* More parameters than there is room for. */
	colours("\033[31;31;31;31;31;31;31;31;31;31;31;31;31;31;31;31;31;31;31m", 0x07);
}

static void test_alternate(void **state)
{
	(void)state;
	put("\033[?1049h");
	assert_row(0, "          ");
	put("\033[H~");
	put("\033[?1049h"); /* again: nothing */
	assert_row(0, "~         ");
	put("\033[?1049l");
	assert_row(0, "0abcdefghi");
	assert_row(5, "5abcdefghi");
	at(2, 3);
	put("\033[?47h\033[6;1Hx\033[?47l");
	assert_row(5, "5abcdefghi");
	at(5, 1);
	put("\033[?1049l"); /* none */
	at(5, 1);
}

static void test_reports(void **state)
{
	(void)state;
	put("\033[6n\033[5n\033[c\033[0c\033Z");
	assert_string_equal(answer, "\033[3;4R\033[0n\033[?6c\033[?6c\033[?6c");
	put("\033[>c\033[=c\033[?6n\033[7n\033[1c");
	assert_string_equal(answer, "\033[3;4R\033[0n\033[?6c\033[?6c\033[?6c");
	s.reply = NULL;
	put("\033[6n\033[c");
}

static void test_reset(void **state)
{
	(void)state;
	put("\033[31;44m\033[2;3r\033[?25l\033[?7l\033[4h\033(0\033[?1h\033[?1049h\033[20h\033cx");
	assert_row(0, "x         ");
	assert_row(5, "          ");
	assert_int_equal(shown[0][0], 0x0700 | 'x');
	at(0, 1);
	assert_false(s.term.app_cursor);
	/* A panic finds the terminal in any state. */
	put("\033[5;5H\033[2;3r\033[?25l\033[31m\033[5;1H\033]unfinished");
	screen_sane(&s);
	put("\r\npanic\r\n");
	assert_row(2, "panic     ");
	assert_int_equal(shown[2][0], 0x0700 | 'p');
	put("\033[?1h");
	assert_true(s.term.app_cursor);
	put("\033[20hab\nc");
	assert_int_equal(s.term.at.col, 1);
	put("\033#8");
	assert_row(5, "EEEEEEEEEE");
}

static void test_strings(void **state)
{
	(void)state;
	put("\033]0;title\007A\033]0;t\033\\B\033P1;2q#\033\\C\033_apc\033\\D\033^p\033\\E\033Xs\033\\F");
	assert_row(2, "2abABCDEFi");
	/* ESC and something else ends it, and begins anew. */
	put("\033]0;t\033[1;1HQ");
	assert_row(0, "Qabcdefghi");
	put("\033]0;t\030R");
	assert_row(0, "QRbcdefghi");
	put("\033]");
	for (unsigned i = 0; i < 2000; i++)
		put(".");
	assert_string_equal(row_text(1), "..........");
}

static void test_unicode(void **state)
{
	(void)state;
	put("\033[1;1H\303\244\303\266\342\202\254\342\224\200\342\226\210\303\200\342\200\224\342\200\234");
	assert_memory_equal(row_text(0), "\204\224E\304\333A-\"", 8);
	/* Combining and invisible ones take no room, wide ones take two. */
	put("\033[2;1He\314\201\342\200\213x\343\201\202y");
	assert_row(1, "ex??yefghi");
	/* Cut short, overlong, out of range, lone. */
	put("\033[3;1H\303x\342\202y\300\200z\200");
	assert_row(2, "?x?y??z?hi");
	put("\033[4;1H\360\237\230\200\303\033[4;4Hq\365");
	assert_row(3, "???q?efghi");
	put("\033[5;1H\340\200\200\355\240\200\364\220\200\200w");
	assert_row(4, "???wdefghi");
	/* In pieces. */
	put("\033[6;1H\342");
	put("\224");
	put("\202");
	assert_row(5, "\263abcdefghi");
	/* C1 controls do nothing. */
	put("\033[6;1H\302\233A");
	assert_row(5, "Aabcdefghi");
}

static void test_line_drawing(void **state)
{
	(void)state;
	put("\033[1;1H\033(0lqkx`a\033(Blq");
	assert_memory_equal(row_text(0), "\332\304\277\263\004\261lq", 8);
	put("\033[2;1H\033)0\016q\017q\0337\016\0338q");
	assert_memory_equal(row_text(1), "\304qq", 3);
	put("\033[3;1H\033(0ABC_\033(B");
	assert_row(2, "ABC defghi");
}

/* All of code page 437 comes back as itself. */
static void test_glyphs(void **state)
{
	(void)state;
	for (u32 c = ' '; c < 0x7f; c++)
		assert_int_equal(term_glyph(c), c);
	assert_int_equal(term_glyph(0xc7), 0x80);
	assert_int_equal(term_glyph(0xe4), 0x84);
	assert_int_equal(term_glyph(0x2591), 0xb0);
	assert_int_equal(term_glyph(0x2588), 0xdb);
	assert_int_equal(term_glyph(0xa0), 0xff);
	assert_int_equal(term_glyph(0x2191), 0x18);
	assert_int_equal(term_glyph(0x2501), 0xc4);
	assert_int_equal(term_glyph(0x2503), 0xb3);
	assert_int_equal(term_glyph(0x250f), '+');
	assert_int_equal(term_glyph(0x256d), 0xda);
	assert_int_equal(term_glyph(0xd8), 'O');
	assert_int_equal(term_glyph(0xd7), 'x');
	assert_int_equal(term_glyph(0xff), 0x98);
	assert_int_equal(term_glyph(0x2019), '\'');
	assert_int_equal(term_glyph(0x4e00), '?');
	assert_int_equal(term_glyph(0x10ffff), '?');
	for (u32 c = 0; c < 0x30000; c++)
		assert_true(term_glyph(c) || !c);
}

/* While many rows are drawn others are let in between: by a scroll, by the other screen. */
static void let_in(void **state)
{
	(void)state;
	s.meanwhile = on_moment;
	moments = 0;
	put("x");
	assert_int_equal(moments, 0);
	put("\033[6H\n");
	assert_int_equal(moments, ROWS);
	put("\033[?1049h\033[?1049l");
	assert_int_equal(moments, 3 * ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_moves, setup),
		cmocka_unit_test_setup(test_erase, setup),
		cmocka_unit_test_setup(test_characters, setup),
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_region, setup),
		cmocka_unit_test_setup(test_scroll, setup),
		cmocka_unit_test_setup(test_wrap, setup),
		cmocka_unit_test_setup(test_save, setup),
		cmocka_unit_test_setup(test_colours, setup),
		cmocka_unit_test_setup(test_alternate, setup),
		cmocka_unit_test_setup(test_reports, setup),
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_strings, setup),
		cmocka_unit_test_setup(test_unicode, setup),
		cmocka_unit_test_setup(test_line_drawing, setup),
		cmocka_unit_test_setup(let_in, setup),
		cmocka_unit_test(test_glyphs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
