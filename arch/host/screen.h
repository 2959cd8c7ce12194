/* SPDX-License-Identifier: MIT */
/*
 * The host's screen as a terminal: a grid of cells, drawn by one of two painters (VGA text memory, a linear
 * framebuffer), and the state of the terminal that writes to it (term.c). Shows what goes to the serial line, for
 * machines that have none.
 */
#ifndef ARCH_HOST_SCREEN_H
#define ARCH_HOST_SCREEN_H

#include <vmm/types.h>

#define SCREEN_COLS_MAX 256
#define SCREEN_ROWS_MAX 128

/*
 * A cell is what VGA text memory has: a character of code page 437, above it the colour of the ink in 4 bits and that of
 * the paper in 4, in VGA's order (blue is bit 0).
 */
#define CELL_GREY  0x0700 /* light grey on black, no character */
#define CELL_BLANK (CELL_GREY | ' ')

/* A linear RGB framebuffer. */
struct fb {
	u8 *mem; /* of the direct map */
	u32 pitch, width, height;
	u8 bytes;        /* per pixel: 2, 3, 4 */
	u8 scale;        /* 1, 2 or 4 */
	u32 palette[16]; /* the pixel of each colour, in VGA's order */
};

/* Red, green, blue of the colours in VGA's order. */
extern const u8 screen_rgb[16][3];

struct screen;

struct screen_ops {
	void (*draw)(struct screen *s, unsigned row, unsigned col, u16 cell);
	void (*blank_row)(struct screen *s, unsigned row); /* the whole width, margins too */
	/* Shows the cursor on a cell, or takes it away again. */
	void (*cursor)(struct screen *s, unsigned row, unsigned col, bool on);
};

#define TERM_PARAMS 16

/* What ESC 7 saves. */
struct term_cursor {
	u16 row, col;
	bool wrap;     /* the last column was written: the next character wraps first */
	bool origin;   /* DECOM: rows count from the top margin */
	u8 ink, paper; /* in VGA's order */
	bool bold, dim, underline, reverse;
	u8 charset[2]; /* the final byte that designated G0, G1: '0' is line drawing */
	u8 shift;      /* which of the two is in use */
};

struct term {
	struct term_cursor at;
	u16 top, bottom; /* the scroll region: rows top to bottom - 1 */
	u16 pen;         /* the attributes of what is written, as a cell without character */
	u8 last;         /* the character that REP repeats */
	bool autowrap, insert, newline, hidden, app_cursor, alternate;
	u16 exact; /* so many scrolls more are by one row: somebody counts on where things are */
	/* The parser. */
	u8 state;      /* enum in term.c */
	bool graphics; /* line drawing is in use: no ASCII character is just that */
	u8 private;
	u8 params;
	u8 utf_left; /* bytes that are still to come */
	u32 utf_min, utf;
	u16 swallowed; /* of a control string */
	u16 param[TERM_PARAMS];
	struct term_cursor saved;
};

/* What is used most comes first, and so has the shortest encodings. */
struct screen {
	struct term term;
	unsigned cols, rows;
	unsigned owned; /* the rows above are ours; below is still what the boot loader has left */
	const struct screen_ops *ops; /* NULL: no screen */
	unsigned cursor_row, cursor_col;
	bool cursor_on;
	u16 *vga;
	struct fb fb;
	hpa_t pa; /* its memory, write-combining */
	u64 size;
	/* What the terminal answers (DSR, DA), as if it were typed; may be NULL. */
	void (*reply)(void *arg, const char *text, size_t len);
	/* Between two rows that are drawn one after the other; may be NULL. */
	void (*meanwhile)(void *arg);
	void *reply_arg;
	u16 cell[SCREEN_ROWS_MAX][SCREEN_COLS_MAX];
	u16 main[SCREEN_ROWS_MAX][SCREEN_COLS_MAX]; /* while the alternate screen is shown */
};

/* What the boot loader said of the framebuffer; numbers only, checked here. */
struct fb_params {
	hpa_t addr;
	u32 pitch, width, height;
	u8 bpp, red_pos, red_bits, green_pos, green_bits, blue_pos, blue_bits;
};

/* Whether it is a framebuffer that fbcon.c can draw on; *size = bytes that have to be mapped. */
bool fbcon_usable(const struct fb_params *p, u64 *size);
/* `mem` maps p->addr. */
void fbcon_attach(struct screen *s, const struct fb_params *p, void *mem);
/* `mem` maps the text memory (0xb8000). */
void vgacon_attach(struct screen *s, void *mem, unsigned cols, unsigned rows);

/* All of it needs ops, cols and rows; nothing happens without ops. */
void screen_write(struct screen *s, const char *text, size_t len);
/* Whatever state the terminal was left in: what comes next is seen. */
void screen_sane(struct screen *s);

/* ---- The grid, for term.c: rows and columns are below s->rows and s->cols -------------------------------------- */

/* The first `rows` rows are ours from here on. */
void screen_own(struct screen *s, unsigned rows);
void screen_cell(struct screen *s, unsigned row, unsigned col, u16 cell);
/* Columns from <= col < to of a row. */
void screen_fill(struct screen *s, unsigned row, unsigned from, unsigned to, u16 cell);
/* Rows top <= row < bottom move up by n, or down by -n; what comes free is filled. */
void screen_scroll(struct screen *s, unsigned top, unsigned bottom, int n, u16 cell);
/* Columns from `col` on move right by n, or left by -n. */
void screen_shift(struct screen *s, unsigned row, unsigned col, int n, u16 cell);
/* Keeps the grid in s->main and clears it, or has it back from there. */
void screen_alternate(struct screen *s, bool on, u16 cell);

/* ---- The terminal ----------------------------------------------------------------------------------------------- */

void term_reset(struct screen *s);
void term_byte(struct screen *s, u8 c);
/* A character of code page 437 at the cursor. */
void term_put(struct screen *s, u8 glyph);
/* Whether a printable ASCII character is just that. */
static inline bool term_plain(const struct screen *s)
{
	return !s->term.state && !s->term.graphics;
}
/* The character of code page 437 that shows `code`, or one that is like it; '?'. */
u8 term_glyph(u32 code);

#endif
