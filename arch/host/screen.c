/* SPDX-License-Identifier: MIT */
/*
 * The grid of characters behind the screen, drawn by vgacon.c or fbcon.c. Called by console.c only. Cheap before
 * pretty: a cell is drawn when it changes, and at the bottom half the screen scrolls at once, so that a line costs
 * no more than its own characters. Control characters are those of ECMA-48 that logs use; escape sequences
 * ("Elements of control functions") are swallowed.
 */
#include "arch/host/screen.h"

#include <vmm/string.h>

#define TAB_STOP 8

enum { ESC_NONE, ESC_START, ESC_CSI, ESC_STRING, ESC_CHARSET };

static void cell_set(struct screen *s, unsigned row, unsigned col, u8 c)
{
	if (s->cell[row][col] == c)
		return;
	s->cell[row][col] = c;
	s->ops->draw(s, row, col, c);
}

/* Rows are blanked when the cursor comes to them, not before: most of the screen is never touched. */
static void row_enter(struct screen *s, unsigned row)
{
	s->ops->blank_row(s, row);
	memset(s->cell[row], ' ', s->cols);
}

static void scroll(struct screen *s)
{
	unsigned gone = s->rows - s->rows / 2;

	for (unsigned row = 0; row < s->rows; row++) {
		for (unsigned col = 0; col < s->cols; col++)
			cell_set(s, row, col,
				 row + gone < s->rows ? s->cell[row + gone][col] : ' ');
	}
	s->row -= gone;
}

static void newline(struct screen *s)
{
	if (s->row + 1 == s->rows) {
		scroll(s);
		s->row++;
		return;
	}
	s->row++;
	row_enter(s, s->row);
}

static void put(struct screen *s, u8 c)
{
	if (s->col == s->cols) {
		s->col = 0;
		newline(s);
	}
	cell_set(s, s->row, s->col++, c);
}

static void control(struct screen *s, u8 c)
{
	switch (c) {
	case '\n':
		newline(s);
		break;
	case '\r':
		s->col = 0;
		break;
	case '\b':
		if (s->col > 0)
			s->col--;
		break;
	case '\t':
		s->col = MIN(ALIGN_UP(s->col + 1, (unsigned)TAB_STOP), s->cols - 1);
		break;
	case 0x1b:
		s->esc = ESC_START;
		break;
	default:
		break;
	}
}

/* ESC [ ... final, ESC ] ... BEL or ESC \, ESC ( x, ESC x. */
static void escape(struct screen *s, u8 c)
{
	switch (s->esc) {
	case ESC_START:
		s->esc = c == '['             ? ESC_CSI :
			 c == ']' || c == 'P' ? ESC_STRING :
			 c >= ' ' && c < '0'  ? ESC_CHARSET :
						ESC_NONE;
		break;
	case ESC_CSI:
		if (c >= 0x40 || c < ' ')
			s->esc = ESC_NONE;
		break;
	case ESC_STRING:
		if (c == 0x07)
			s->esc = ESC_NONE;
		else if (c == 0x1b)
			s->esc = ESC_CHARSET;
		break;
	default:
		s->esc = ESC_NONE;
		break;
	}
}

void screen_write(struct screen *s, const char *text, size_t len)
{
	if (!s->ops)
		return;
	if (!s->cell[0][0]) /* nothing was ever written: row 0 is not ours yet */
		row_enter(s, 0);
	for (size_t i = 0; i < len; i++) {
		u8 c = (u8)text[i];

		if (s->esc != ESC_NONE)
			escape(s, c);
		else if (c < ' ' || c == 0x7f)
			control(s, c);
		else
			put(s, c < 0x7f ? c : '?');
	}
	s->ops->cursor(s, s->row, MIN(s->col, s->cols - 1));
}
