/* SPDX-License-Identifier: MIT */
/*
 * The terminal that the screen is: characters, control characters and control sequences to the grid of screen.c. What
 * Linux's programs send to TERM=linux, vt100, vt220 and xterm, as far as a screen without a mouse can show it. ECMA-48
 * "Control functions"; Digital VT100 User Guide "Programmer information"; console_codes(4); xterm "Control Sequences".
 * Numbers are clamped as they come, so that no sequence costs more than the screen has cells. PURE.
 */
#include "arch/host/screen.h"

#include <vmm/fmt.h>
#include <vmm/string.h>

#define TAB_STOP      8
#define PARAM_MAX     9999
#define STRING_MAX    1024 /* a control string that has no end is over then */
#define COLOUR_CYAN   3
#define COLOUR_GREY   7
#define COLOUR_DARK   8
#define COLOUR_BRIGHT 8 /* the bit */

enum {
	GROUND, /* 0: term_plain() */
	UTF8,
	ESC,
	ESC_G0,
	ESC_G1,
	ESC_HASH,
	ESC_OTHER, /* an intermediate byte that means nothing here */
	CSI,
	CSI_OTHER,
	STRING,
	STRING_ESC
};

/* Of 0x5f to 0x7e: DEC special graphics. VT100 User Guide, "Character sets". */
static const u8 line_drawing[] = {
	' ',  0x04, 0xb1, '?',  '?',  '?',  '?',  0xf8, 0xf1, '?',  '?',
	0xd9, 0xbf, 0xda, 0xc0, 0xc5, 0xc4, 0xc4, 0xc4, 0xc4, '_',  0xc3,
	0xb4, 0xc1, 0xc2, 0xb3, 0xf3, 0xf2, 0xe3, '#',  0x9c, 0xfa,
};

/* ---- The cursor ------------------------------------------------------------------------------------------------- */

/* What an erased cell is: it keeps the colour of the paper. */
static u16 erased(const struct screen *s)
{
	return (u16)(s->term.at.paper << 12 | COLOUR_GREY << 8 | ' ');
}

static void go_col(struct screen *s, int col)
{
	struct term_cursor *at = &s->term.at;

	at->wrap = false;
	at->col = (u16)MIN((unsigned)MAX(col, 0), s->cols - 1);
}

/* Up or down, not beyond the margin on this side of which the cursor is. */
static void go_by(struct screen *s, int rows)
{
	struct term *t = &s->term;
	int low = t->at.row >= t->top ? t->top : 0;
	int high = (t->at.row < t->bottom ? t->bottom : (int)s->rows) - 1;

	t->at.wrap = false;
	t->at.row = (u16)MIN(MAX(t->at.row + rows, low), high);
	screen_own(s, t->at.row + 1U);
}

/* To a row of the screen: from here on somebody counts on where things are. */
static void go_row(struct screen *s, int row)
{
	struct term *t = &s->term;
	int low = t->at.origin ? t->top : 0;
	int high = (t->at.origin ? t->bottom : (int)s->rows) - 1;

	screen_own(s, s->rows);
	t->exact = (u16)(2 * s->rows);
	t->at.wrap = false;
	t->at.row = (u16)(low + MIN(MAX(row, 0), high - low));
}

/*
 * At the bottom. What is only ever written line by line scrolls by half a screen at once: a framebuffer is too slow to
 * be drawn anew for every line of a log.
 */
static void scroll_up(struct screen *s)
{
	struct term *t = &s->term;
	unsigned gone = s->rows - s->rows / 2;

	if (t->exact || t->alternate || t->top || t->bottom < s->rows) {
		t->exact -= t->exact > 0;
		screen_scroll(s, t->top, t->bottom, 1, erased(s));
		return;
	}
	screen_scroll(s, 0, s->rows, (int)gone, erased(s));
	t->at.row = (u16)(t->at.row - gone + 1);
}

static void line_feed(struct screen *s)
{
	struct term *t = &s->term;

	t->at.wrap = false;
	if (t->at.row + 1U == t->bottom) {
		scroll_up(s);
	} else if (t->at.row + 1U < s->rows) {
		t->at.row++;
		screen_own(s, t->at.row + 1U);
	}
}

static void reverse_line_feed(struct screen *s)
{
	struct term *t = &s->term;

	if (t->at.row != t->top) {
		go_by(s, -1);
		return;
	}
	screen_own(s, s->rows);
	t->exact = (u16)(2 * s->rows);
	screen_scroll(s, t->top, t->bottom, -1, erased(s));
}

/* ---- Characters ------------------------------------------------------------------------------------------------- */

void term_put(struct screen *s, u8 glyph)
{
	struct term *t = &s->term;

	if (t->at.wrap) {
		t->at.col = 0;
		line_feed(s);
	}
	if (t->insert)
		screen_shift(s, t->at.row, t->at.col, 1, erased(s));
	screen_cell(s, t->at.row, t->at.col, t->pen | glyph);
	t->last = glyph;
	if (t->at.col + 1U < s->cols)
		t->at.col++;
	else
		t->at.wrap = t->autowrap;
}

static bool wide(u32 code)
{
	return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
	       (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
	       (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
	       (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd);
}

static void put_code(struct screen *s, u32 code)
{
	/* C1 controls, combining characters, joiners, variation selectors: nothing of their own. */
	if (code < 0xa0 || (code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) ||
	    (code >= 0xfe00 && code <= 0xfe0f) || code == 0xfeff)
		return;
	term_put(s, term_glyph(code));
	if (wide(code)) /* whoever writes it counts two columns */
		term_put(s, term_glyph(code));
}

static void utf_begin(struct screen *s, u8 c)
{
	struct term *t = &s->term;

	t->utf_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	t->utf_min = c < 0xe0 ? 0x80 : c < 0xf0 ? 0x800 : 0x10000;
	t->utf = c & (0x3fU >> t->utf_left);
	if (c < 0xc2 || c > 0xf4)
		term_put(s, '?');
	else
		t->state = UTF8;
}

/* False: what has begun is broken off, and `c` is something else. */
static bool utf_more(struct screen *s, u8 c)
{
	struct term *t = &s->term;

	if ((c & 0xc0) != 0x80) {
		t->state = GROUND;
		term_put(s, '?');
		return false;
	}
	t->utf = t->utf << 6 | (c & 0x3fU);
	if (--t->utf_left)
		return true;
	t->state = GROUND;
	if (t->utf < t->utf_min || t->utf > 0x10ffff)
		term_put(s, '?');
	else
		put_code(s, t->utf);
	return true;
}

static void graphics_update(struct term *t)
{
	t->graphics = t->at.charset[t->at.shift] == '0';
}

static void control(struct screen *s, u8 c)
{
	struct term_cursor *at = &s->term.at;

	switch (c) {
	case '\b':
		go_col(s, at->col - 1);
		break;
	case '\t':
		go_col(s, (int)ALIGN_UP(at->col + 1U, (unsigned)TAB_STOP));
		break;
	case '\n':
	case '\v':
	case '\f':
		line_feed(s);
		if (s->term.newline)
			at->col = 0;
		break;
	case '\r':
		go_col(s, 0);
		break;
	case 0x0e: /* shift out */
	case 0x0f: /* shift in */
		at->shift = c == 0x0e;
		graphics_update(&s->term);
		break;
	default:
		break;
	}
}

/* ---- Colours ---------------------------------------------------------------------------------------------------- */

static void pen_update(struct term *t)
{
	const struct term_cursor *at = &t->at;
	/* A cell has no line below it: underlined is cyan, as on Linux's own colour console. */
	unsigned ink = at->underline ? COLOUR_CYAN : at->dim ? COLOUR_DARK : at->ink;

	if (at->bold)
		ink |= COLOUR_BRIGHT;
	t->pen = (u16)(at->reverse ? ink << 12 | (unsigned)at->paper << 8 :
				     (unsigned)at->paper << 12 | ink << 8);
}

static void pen_default(struct term *t)
{
	struct term_cursor *at = &t->at;

	at->ink = COLOUR_GREY;
	at->paper = 0;
	at->bold = at->dim = at->underline = at->reverse = false;
	pen_update(t);
}

/* ECMA-48 has red in bit 0, VGA has blue there. */
static u8 vga_order(unsigned colour)
{
	return (u8)((colour & 0xa) | (colour & 1) << 2 | (colour >> 2 & 1));
}

static u8 nearest(const unsigned rgb[3])
{
	unsigned best = ~0U;
	u8 found = 0;

	for (unsigned i = 0; i < 16; i++) {
		unsigned distance = 0;

		for (unsigned n = 0; n < 3; n++) {
			unsigned d = rgb[n] - screen_rgb[i][n];

			distance += d * d;
		}
		if (distance < best) {
			best = distance;
			found = (u8)i;
		}
	}
	return found;
}

/* xterm's 256 colours: 16, a cube of 6 * 6 * 6, and greys. */
static u8 of_256(unsigned n)
{
	unsigned rgb[3], level;

	if (n < 16)
		return vga_order(n);
	if (n >= 232) {
		rgb[0] = rgb[1] = rgb[2] = 8 + 10 * (n - 232);
		return nearest(rgb);
	}
	n -= 16;
	for (unsigned i = 3; i-- > 0; n /= 6) {
		level = n % 6;
		rgb[i] = level ? 55 + 40 * level : 0;
	}
	return nearest(rgb);
}

/* The parameters behind 38 or 48 at `i`; returns how many they are. */
static unsigned sgr_extended(struct term *t, unsigned i, u8 *colour)
{
	unsigned rgb[3];

	if (i + 2 < t->params && t->param[i + 1] == 5) {
		*colour = of_256(t->param[i + 2] & 0xffU);
		return 2;
	}
	if (i + 4 < t->params && t->param[i + 1] == 2) {
		for (unsigned n = 0; n < 3; n++)
			rgb[n] = t->param[i + 2 + n] & 0xffU;
		*colour = nearest(rgb);
		return 4;
	}
	return t->params; /* nobody knows where it ends */
}

static void sgr_one(struct term_cursor *at, unsigned p)
{
	switch (p) {
	case 1:
		at->bold = true;
		break;
	case 2:
		at->dim = true;
		break;
	case 4:
	case 21:
		at->underline = true;
		break;
	case 7:
		at->reverse = true;
		break;
	case 22:
		at->bold = at->dim = false;
		break;
	case 24:
		at->underline = false;
		break;
	case 27:
		at->reverse = false;
		break;
	case 39:
		at->ink = COLOUR_GREY;
		break;
	case 49:
		at->paper = 0;
		break;
	default:
		if (p >= 30 && p <= 37)
			at->ink = vga_order(p - 30);
		else if (p >= 40 && p <= 47)
			at->paper = vga_order(p - 40);
		else if (p >= 90 && p <= 97)
			at->ink = vga_order(p - 90 + 8);
		else if (p >= 100 && p <= 107)
			at->paper = vga_order(p - 100 + 8);
		break;
	}
}

static void sgr(struct term *t)
{
	for (unsigned i = 0; i < t->params; i++) {
		switch (t->param[i]) {
		case 0:
			pen_default(t);
			break;
		case 38:
			i += sgr_extended(t, i, &t->at.ink);
			break;
		case 48:
			i += sgr_extended(t, i, &t->at.paper);
			break;
		default:
			sgr_one(&t->at, t->param[i]);
			break;
		}
	}
	pen_update(t);
}

/* ---- Modes, reports --------------------------------------------------------------------------------------------- */

static void cursor_restore(struct screen *s)
{
	struct term *t = &s->term;

	t->at = t->saved;
	t->exact = (u16)(2 * s->rows);
	screen_own(s, t->at.row + 1U);
	graphics_update(t);
	pen_update(t);
}

static void alternate(struct screen *s, bool on, bool cursor)
{
	struct term *t = &s->term;

	if (on == t->alternate)
		return;
	if (on && cursor)
		t->saved = t->at;
	screen_alternate(s, on, erased(s));
	t->alternate = on;
	if (!on && cursor)
		cursor_restore(s);
}

static void mode_private(struct screen *s, unsigned mode, bool on)
{
	struct term *t = &s->term;

	switch (mode) {
	case 1: /* DECCKM */
		t->app_cursor = on;
		break;
	case 6: /* DECOM */
		t->at.origin = on;
		go_row(s, 0);
		go_col(s, 0);
		break;
	case 7: /* DECAWM */
		t->autowrap = on;
		t->at.wrap = false;
		break;
	case 25: /* DECTCEM */
		t->hidden = !on;
		break;
	case 47:
	case 1047:
	case 1049:
		alternate(s, on, mode == 1049);
		break;
	case 1048:
		if (on)
			t->saved = t->at;
		else
			cursor_restore(s);
		break;
	default:
		break;
	}
}

static void modes(struct screen *s, bool on)
{
	struct term *t = &s->term;

	for (unsigned i = 0; i < t->params; i++) {
		if (t->private == '?')
			mode_private(s, t->param[i], on);
		else if (t->private)
			return;
		else if (t->param[i] == 4) /* IRM */
			t->insert = on;
		else if (t->param[i] == 20) /* LNM */
			t->newline = on;
	}
}

static void reply(struct screen *s, const char *text)
{
	if (s->reply)
		s->reply(s->reply_arg, text, strlen(text));
}

static void status_report(struct screen *s)
{
	const struct term *t = &s->term;
	char text[24];

	if (t->param[0] == 5)
		reply(s, "\033[0n");
	if (t->param[0] != 6)
		return;
	(void)fmt_s(text, sizeof(text), "\033[%u;%uR", t->at.row + 1U - (t->at.origin ? t->top : 0),
		    t->at.col + 1U);
	reply(s, text);
}

void term_reset(struct screen *s)
{
	struct term *t = &s->term;

	if (t->alternate)
		screen_alternate(s, false, CELL_BLANK);
	*t = (struct term){.bottom = (u16)s->rows, .autowrap = true};
	t->at.charset[0] = t->at.charset[1] = 'B';
	pen_default(t);
	t->saved = t->at;
}

/* ---- Control sequences ------------------------------------------------------------------------------------------ */

/* A parameter that counts: 0 and none are 1. */
static int count(const struct term *t, unsigned i)
{
	return MAX(t->param[i], 1);
}

static void erase_display(struct screen *s, unsigned what)
{
	const struct term_cursor *at = &s->term.at;
	unsigned from = what == 0 ? at->row + 1U : 0, to = what == 1 ? at->row : s->rows;

	if (what > 2)
		return;
	screen_own(s, s->rows);
	if (what == 0)
		screen_fill(s, at->row, at->col, s->cols, erased(s));
	if (what == 1)
		screen_fill(s, at->row, 0, at->col + 1U, erased(s));
	for (unsigned row = from; row < to; row++)
		screen_fill(s, row, 0, s->cols, erased(s));
}

static void erase_line(struct screen *s, unsigned what)
{
	const struct term_cursor *at = &s->term.at;

	if (what <= 2)
		screen_fill(s, at->row, what == 0 ? at->col : 0, what == 1 ? at->col + 1U : s->cols,
			    erased(s));
}

/* Lines move from the cursor's on, if it is inside the margins. */
static void insert_lines(struct screen *s, int n)
{
	struct term *t = &s->term;

	if (t->at.row < t->top || t->at.row >= t->bottom)
		return;
	go_row(s, t->at.row - (t->at.origin ? t->top : 0));
	go_col(s, 0);
	screen_scroll(s, t->at.row, t->bottom, -n, erased(s));
}

static void set_margins(struct screen *s)
{
	struct term *t = &s->term;
	unsigned top = (unsigned)count(t, 0) - 1;
	unsigned bottom = t->param[1] ? MIN((unsigned)t->param[1], s->rows) : s->rows;

	if (top + 1 >= bottom)
		return;
	t->top = (u16)top;
	t->bottom = (u16)bottom;
	go_row(s, 0);
	go_col(s, 0);
}

/* Those that move the cursor. False: it is none. */
static bool csi_move(struct screen *s, u8 final)
{
	const struct term *t = &s->term;
	int n = count(t, 0);

	switch (final) {
	case 'A': /* CUU */
		go_by(s, -n);
		break;
	case 'B': /* CUD */
	case 'e': /* VPR */
		go_by(s, n);
		break;
	case 'C': /* CUF */
	case 'a': /* HPR */
		go_col(s, t->at.col + n);
		break;
	case 'D': /* CUB */
		go_col(s, t->at.col - n);
		break;
	case 'E': /* CNL */
	case 'F': /* CPL */
		go_by(s, final == 'E' ? n : -n);
		go_col(s, 0);
		break;
	case 'G': /* CHA */
	case '`': /* HPA */
		go_col(s, n - 1);
		break;
	case 'H': /* CUP */
	case 'f': /* HVP */
		go_row(s, n - 1);
		go_col(s, count(t, 1) - 1);
		break;
	case 'I': /* CHT */
		go_col(s, (t->at.col / TAB_STOP + n) * TAB_STOP);
		break;
	case 'Z': /* CBT */
		go_col(s, ((t->at.col + TAB_STOP - 1) / TAB_STOP - n) * TAB_STOP);
		break;
	case 'd': /* VPA */
		go_row(s, n - 1);
		break;
	default:
		return false;
	}
	return true;
}

/* Those that change what is shown. */
static void csi_edit(struct screen *s, u8 final)
{
	struct term *t = &s->term;
	int n = count(t, 0);

	switch (final) {
	case '@': /* ICH */
	case 'P': /* DCH */
		t->at.wrap = false;
		screen_shift(s, t->at.row, t->at.col, final == '@' ? n : -n, erased(s));
		break;
	case 'J': /* ED */
		t->at.wrap = false;
		erase_display(s, t->param[0]);
		break;
	case 'K': /* EL */
		t->at.wrap = false;
		erase_line(s, t->param[0]);
		break;
	case 'L': /* IL */
	case 'M': /* DL */
		insert_lines(s, final == 'L' ? n : -n);
		break;
	case 'S': /* SU */
	case 'T': /* SD */
		screen_own(s, s->rows);
		screen_scroll(s, t->top, t->bottom, final == 'S' ? n : -n, erased(s));
		break;
	case 'X': /* ECH */
		t->at.wrap = false;
		screen_fill(s, t->at.row, t->at.col, MIN(t->at.col + (unsigned)n, s->cols),
			    erased(s));
		break;
	case 'b': /* REP */
		for (n = MIN(n, (int)s->cols); n > 0 && t->last; n--)
			term_put(s, t->last);
		break;
	default:
		break;
	}
}

static void csi_plain(struct screen *s, u8 final)
{
	struct term *t = &s->term;

	switch (final) {
	case 'c': /* DA: a VT102 */
		if (!t->param[0])
			reply(s, "\033[?6c");
		break;
	case 'm':
		sgr(t);
		break;
	case 'n': /* DSR */
		status_report(s);
		break;
	case 'r': /* DECSTBM */
		set_margins(s);
		break;
	case 's':
		t->saved = t->at;
		break;
	case 'u':
		cursor_restore(s);
		break;
	default:
		if (!csi_move(s, final))
			csi_edit(s, final);
		break;
	}
}

static void csi(struct screen *s, u8 c)
{
	struct term *t = &s->term;

	if (c >= '0' && c <= '9') {
		u16 *p = &t->param[t->params - 1];

		*p = (u16)MIN(*p * 10 + (c - '0'), PARAM_MAX);
	} else if (c == ';' || c == ':') {
		if (t->params < TERM_PARAMS)
			t->param[t->params++] = 0;
		else
			t->state = CSI_OTHER;
	} else if (c >= '<' && c <= '?') {
		t->private = c;
	} else if (c < 0x40 ||
		   c >= 0x7f) { /* an intermediate byte: none that is known; or what has no place here */
		t->state = c < 0x80 ? CSI_OTHER : GROUND;
	} else {
		t->state = GROUND;
		if (c == 'h' || c == 'l')
			modes(s, c == 'h');
		else if (!t->private)
			csi_plain(s, c);
	}
}

static void csi_begin(struct term *t)
{
	t->state = CSI;
	t->private = 0;
	t->params = 1;
	memset(t->param, 0, sizeof(t->param));
}

static void escape(struct screen *s, u8 c)
{
	struct term *t = &s->term;

	t->state = GROUND;
	switch (c) {
	case '[':
		csi_begin(t);
		break;
	case ']': /* OSC */
	case 'P': /* DCS */
	case 'X': /* SOS */
	case '^': /* PM */
	case '_': /* APC */
		t->state = STRING;
		t->swallowed = 0;
		break;
	case '(':
		t->state = ESC_G0;
		break;
	case ')':
		t->state = ESC_G1;
		break;
	case '#':
		t->state = ESC_HASH;
		break;
	case '7': /* DECSC */
		t->saved = t->at;
		break;
	case '8': /* DECRC */
		cursor_restore(s);
		break;
	case 'D': /* IND */
		line_feed(s);
		break;
	case 'E': /* NEL */
		line_feed(s);
		go_col(s, 0);
		break;
	case 'M': /* RI */
		reverse_line_feed(s);
		break;
	case 'Z': /* DECID */
		reply(s, "\033[?6c");
		break;
	case 'c': /* RIS */
		term_reset(s);
		erase_display(s, 2);
		break;
	default:
		if (c >= ' ' && c < '0')
			t->state = ESC_OTHER;
		break;
	}
}

/* DECALN: a screen full of E. */
static void align(struct screen *s)
{
	go_row(s, 0);
	go_col(s, 0);
	for (unsigned row = 0; row < s->rows; row++)
		screen_fill(s, row, 0, s->cols, CELL_GREY | 'E');
}

/* Inside a sequence that is no string. */
static void sequence(struct screen *s, u8 c)
{
	struct term *t = &s->term;
	u8 state = t->state;

	if (state == ESC) {
		escape(s, c);
		return;
	}
	if (state == CSI) {
		csi(s, c);
		return;
	}
	if (state == CSI_OTHER) {
		if (c >= 0x40)
			t->state = GROUND;
		return;
	}
	t->state = GROUND;
	if (state == ESC_G0 || state == ESC_G1) {
		t->at.charset[state == ESC_G1] = c;
		graphics_update(t);
	} else if (state == ESC_HASH && c == '8') {
		align(s);
	}
}

/* Up to BEL or ESC \; but not for ever. */
static void string(struct term *t, u8 c)
{
	if (t->state == STRING_ESC || c == 0x07 || ++t->swallowed == STRING_MAX)
		t->state = GROUND;
}

void term_byte(struct screen *s, u8 c)
{
	struct term *t = &s->term;

	if (t->state == UTF8 && utf_more(s, c))
		return;
	if (c == 0x1b) {
		t->state = t->state == STRING ? STRING_ESC : ESC;
		return;
	}
	if (c == 0x18 || c == 0x1a) { /* CAN, SUB */
		t->state = GROUND;
		return;
	}
	if (c ==
	    '\n') /* what stands on the next line is to be seen, whatever has been left unfinished here */
		t->state = GROUND;
	if (t->state >= STRING) {
		/* ESC and anything but \ is a new sequence. */
		if (t->state == STRING_ESC && c != '\\') {
			escape(s, c);
			return;
		}
		string(t, c);
		return;
	}
	if (c < ' ' || c == 0x7f)
		control(s, c); /* in the middle of a sequence, too */
	else if (t->state != GROUND)
		sequence(s, c);
	else if (c >= 0x80)
		utf_begin(s, c);
	else
		term_put(s, t->graphics && c >= 0x5f ? line_drawing[c - 0x5f] : c);
}
