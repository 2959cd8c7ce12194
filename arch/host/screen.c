/* SPDX-License-Identifier: MIT */
/*
 * The grid of cells behind the screen, drawn by vgacon.c or fbcon.c; what is written goes through the terminal (term.c).
 * Called by console.c only. Cheap before pretty: a cell is drawn when it changes, and a row is blanked when the cursor
 * first comes to it, so that a line of log costs no more than its own characters. PURE.
 */
#include "arch/host/screen.h"

#include <vmm/string.h>

// clang-format off
const u8 screen_rgb[16][3] = {
	{0x00, 0x00, 0x00}, {0x00, 0x00, 0xaa}, {0x00, 0xaa, 0x00}, {0x00, 0xaa, 0xaa},
	{0xaa, 0x00, 0x00}, {0xaa, 0x00, 0xaa}, {0xaa, 0x55, 0x00}, {0xaa, 0xaa, 0xaa},
	{0x55, 0x55, 0x55}, {0x55, 0x55, 0xff}, {0x55, 0xff, 0x55}, {0x55, 0xff, 0xff},
	{0xff, 0x55, 0x55}, {0xff, 0x55, 0xff}, {0xff, 0xff, 0x55}, {0xff, 0xff, 0xff},
};
// clang-format on

void screen_cell(struct screen *s, unsigned row, unsigned col, u16 cell)
{
	if (s->cell[row][col] == cell)
		return;
	s->cell[row][col] = cell;
	s->ops->draw(s, row, col, cell);
}

void screen_own(struct screen *s, unsigned rows)
{
	for (; s->owned < rows; s->owned++) {
		s->ops->blank_row(s, s->owned);
		for (unsigned col = 0; col < s->cols; col++)
			s->cell[s->owned][col] = CELL_BLANK;
	}
}

void screen_fill(struct screen *s, unsigned row, unsigned from, unsigned to, u16 cell)
{
	for (unsigned col = from; col < to; col++)
		screen_cell(s, row, col, cell);
}

/* A row of a framebuffer takes its time. */
static void row_done(const struct screen *s)
{
	if (s->meanwhile)
		s->meanwhile(s->reply_arg);
}

static void row_copy(struct screen *s, unsigned to, const u16 *from)
{
	for (unsigned col = 0; col < s->cols; col++)
		screen_cell(s, to, col, from[col]);
}

void screen_scroll(struct screen *s, unsigned top, unsigned bottom, int n, u16 cell)
{
	unsigned height = bottom - top, by = MIN((unsigned)(n < 0 ? -n : n), height);

	for (unsigned i = 0; i < height; i++) {
		unsigned row = n < 0 ? bottom - 1 - i : top + i;

		if (i + by >= height)
			screen_fill(s, row, 0, s->cols, cell);
		else
			row_copy(s, row, s->cell[n < 0 ? row - by : row + by]);
		row_done(s);
	}
}

void screen_shift(struct screen *s, unsigned row, unsigned col, int n, u16 cell)
{
	unsigned width = s->cols - col, by = MIN((unsigned)(n < 0 ? -n : n), width);

	for (unsigned i = 0; i < width; i++) {
		unsigned at = n < 0 ? col + i : s->cols - 1 - i;

		screen_cell(s, row, at,
			    i + by >= width ? cell : s->cell[row][n < 0 ? at + by : at - by]);
	}
}

void screen_alternate(struct screen *s, bool on, u16 cell)
{
	screen_own(s, s->rows);
	for (unsigned row = 0; row < s->rows; row++) {
		if (on) {
			memcpy(s->main[row], s->cell[row], s->cols * sizeof(u16));
			screen_fill(s, row, 0, s->cols, cell);
		} else {
			row_copy(s, row, s->main[row]);
		}
		row_done(s);
	}
}

static void cursor_update(struct screen *s)
{
	const struct term *t = &s->term;

	if (s->cursor_on && (t->hidden || s->cursor_row != t->at.row || s->cursor_col != t->at.col))
		s->ops->cursor(s, s->cursor_row, s->cursor_col, false);
	s->cursor_on = !t->hidden;
	s->cursor_row = t->at.row;
	s->cursor_col = t->at.col;
	/* Always: the cell may have been drawn anew. */
	if (s->cursor_on)
		s->ops->cursor(s, s->cursor_row, s->cursor_col, true);
}

void screen_write(struct screen *s, const char *text, size_t len)
{
	if (!s->ops)
		return;
	if (!s->owned) { /* nothing was ever written */
		term_reset(s);
		screen_own(s, 1);
	}
	for (size_t i = 0; i < len; i++) {
		u8 c = (u8)text[i];

		if (c >= ' ' && c < 0x7f && term_plain(s))
			term_put(s, c);
		else
			term_byte(s, c);
	}
	cursor_update(s);
}

void screen_sane(struct screen *s)
{
	unsigned row = s->term.at.row;

	if (!s->ops || !s->owned)
		return;
	term_reset(s);
	s->term.at.row = (u16)row;
}
