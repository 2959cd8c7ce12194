/* SPDX-License-Identifier: MIT */
/*
 * arch/host/term.c: any bytes, on screens of several sizes. The cursor and the margins stay on the screen, what is shown is
 * what the grid says, no write draws more than a few screenfuls for each of its bytes, and an answer is one that can be
 * typed. The painter's grid is a heap block of exactly the screen's size.
 */
/* SOURCES: arch/host/screen.c arch/host/term.c arch/host/glyph.c vmm/lib/fmt.c */
#include "input.h"

#include "arch/host/screen.h"

#include <string.h>

static struct screen s;
static u16 *shown;
static u64 draws;
static int cursor;

static void grid_draw(struct screen *scr, unsigned row, unsigned col, u16 cell)
{
	INVARIANT(row < scr->rows && col < scr->cols && row < scr->owned);
	shown[row * scr->cols + col] = cell;
	draws++;
}

static void grid_blank(struct screen *scr, unsigned row)
{
	INVARIANT(row < scr->rows && row == scr->owned);
	for (unsigned col = 0; col < scr->cols; col++)
		shown[row * scr->cols + col] = CELL_BLANK;
}

static void grid_cursor(struct screen *scr, unsigned row, unsigned col, bool on)
{
	INVARIANT(row < scr->owned && col < scr->cols);
	cursor = on ? (int)(row * scr->cols + col) : -1;
}

static const struct screen_ops grid = {grid_draw, grid_blank, grid_cursor};

static void on_reply(unused void *arg, const char *text, size_t len)
{
	INVARIANT(len > 2 && len < 24 && text[0] == '\033' && text[1] == '[');
	for (size_t i = 2; i < len; i++)
		INVARIANT(strchr("0123456789;?Rcn", text[i]));
}

static void check(void)
{
	const struct term *t = &s.term;

	INVARIANT(s.owned >= 1 && s.owned <= s.rows);
	INVARIANT(t->at.row < s.owned && t->at.col < s.cols);
	INVARIANT(t->saved.row < s.rows && t->saved.col < s.cols);
	INVARIANT(t->top + 1 < t->bottom && t->bottom <= s.rows);
	INVARIANT(t->params <= TERM_PARAMS);
	INVARIANT(!t->at.wrap || t->at.col == s.cols - 1);
	INVARIANT(cursor == (t->hidden ? -1 : (int)(t->at.row * s.cols + t->at.col)));
	for (unsigned row = 0; row < s.owned; row++)
		INVARIANT(!memcmp(shown + (size_t)row * s.cols, s.cell[row], s.cols * sizeof(u16)));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 widths[] = {2, 10, 80, 132}, heights[] = {4, 6, 25, 43};
	struct input in = {data, size};
	u8 shape = input_u8(&in);

	memset(&s, 0, offsetof(struct screen, cell));
	s.ops = &grid;
	s.cols = widths[shape & 3];
	s.rows = heights[shape >> 2 & 3];
	s.reply = on_reply;
	cursor = -1;
	shown = malloc(s.cols * s.rows * sizeof(u16));
	INVARIANT(shown);
	while (input_left(&in)) {
		size_t len = input_u8(&in) % 32 + 1U;

		len = MIN(len, in.len);
		draws = 0;
		screen_write(&s, (const char *)in.data, len);
		in.data += len;
		in.len -= len;
		if (!s.owned) /* nothing was left to write */
			break;
		check();
		INVARIANT(draws <= len * 4 * s.cols * s.rows);
		if (len == 32) {
			screen_sane(&s);
			INVARIANT(term_plain(&s) && s.term.at.row < s.owned);
		}
	}
	free(shown);
	return 0;
}
