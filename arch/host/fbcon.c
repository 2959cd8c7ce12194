/* SPDX-License-Identifier: MIT */
/*
 * Painter of screen.c for a linear RGB framebuffer of 16, 24 or 32 bits: cells of 8 by 16 dots; on wide screens each dot
 * is two or four pixels wide, and the steps of slanting strokes are smoothed. Only ever writes: the memory is
 * write-combining, and slow to read. Multiboot2 specification, "Framebuffer info". PURE: a test draws into memory of its
 * own.
 */
#include "arch/host/screen.h"

#include "arch/host/font.h"

#include <vmm/string.h>

#define CELL_WIDTH   8
#define CELL_HEIGHT  16
#define CELL_TOP     2 /* rows of the cell above the letter's */
#define CURSOR_LINES 3 /* the lowest of the cell */
#define WIDE_SCREEN  1600
#define FB_SIZE_MAX  MiB(256)
#define FB_DIM_MAX   16384
#define FB_WIDTH_MIN (40 * CELL_WIDTH)

/* Shades, boxes and blocks of code page 437 go from cell to cell. */
#define JOINED_FIRST 0xb0
#define JOINED_LAST  0xdf

static bool colour_usable(u8 pos, u8 bits, u8 bpp)
{
	return bits >= 1 && bits <= 16 && pos + bits <= bpp;
}

bool fbcon_usable(const struct fb_params *p, u64 *size)
{
	unsigned bytes = (p->bpp + 7) / 8;

	*size = (u64)p->pitch * p->height;
	if (bytes < 2 || bytes > 4 || p->bpp > 32 || !p->addr)
		return false;
	if (p->width < FB_WIDTH_MIN || p->height < 4 * CELL_HEIGHT || p->width > FB_DIM_MAX ||
	    p->height > FB_DIM_MAX)
		return false;
	if (p->pitch < p->width * bytes || *size > FB_SIZE_MAX)
		return false;
	return colour_usable(p->red_pos, p->red_bits, p->bpp) &&
	       colour_usable(p->green_pos, p->green_bits, p->bpp) &&
	       colour_usable(p->blue_pos, p->blue_bits, p->bpp);
}

static u32 colour(u32 level, u8 pos, u8 bits)
{
	u32 v = bits <= 8 ? level >> (8 - bits) : level << (bits - 8);

	return v << pos;
}

/* The low bytes first; the framebuffer need not be aligned to anything. */
static void dot(u8 *at, unsigned bytes, u32 v)
{
	switch (bytes) {
	case 2:
		memcpy(at, &v, 2);
		break;
	case 3:
		memcpy(at, &v, 3);
		break;
	default:
		memcpy(at, &v, 4);
		break;
	}
}

static void draw_line(const struct fb *fb, u8 *at, unsigned bits, unsigned dots, u32 ink, u32 paper)
{
	unsigned wide = fb->scale * CELL_WIDTH / dots;

	for (unsigned x = 0; x < dots; x++) {
		u32 v = bits >> (dots - 1 - x) & 1 ? ink : paper;

		for (unsigned n = 0; n < wide; n++, at += fb->bytes)
			dot(at, fb->bytes, v);
	}
}

/* The usual case: 32 bits, not scaled. */
static void draw_line_32(u8 *at, unsigned bits, u32 ink, u32 paper)
{
	for (unsigned x = 0; x < CELL_WIDTH; x++)
		dot(at + (size_t)4 * x, 4,
		    paper ^ ((ink ^ paper) & -(bits >> (CELL_WIDTH - 1 - x) & 1)));
}

/* What row `y` of the cell shows; rows beside the cell are those of the letter's edge. */
static unsigned glyph_line(u8 c, int y)
{
	const u8 *rows = font_rows[c];

	y -= CELL_TOP;
	if (y >= 0 && y < FONT_ROWS)
		return rows[y];
	if (c < JOINED_FIRST || c > JOINED_LAST)
		return 0;
	return rows[y < 0 ? 0 : FONT_ROWS - 1];
}

/* 8 dots to 16, each twice. */
static unsigned widen(unsigned bits)
{
	bits = (bits | bits << 4) & 0x0f0f;
	bits = (bits | bits << 2) & 0x3333;
	bits = (bits | bits << 1) & 0x5555;
	return bits | bits << 1;
}

/*
 * Row `y` of a letter of twice the size, in 32 rows: of the four that a dot becomes, one takes the colour of the two
 * neighbours at its corner if these are alike and the other two differ from them ("Scale2x", of A. Mazzoleni).
 */
static unsigned smooth_line(u8 c, unsigned y)
{
	int row = (int)(y / 2);
	unsigned here = glyph_line(c, row), above = glyph_line(c, row - 1),
		 below = glyph_line(c, row + 1);
	unsigned near = y % 2 ? below : above, far = y % 2 ? above : below;
	unsigned left = here >> 1, right = here << 1;
	unsigned at_left = ~(left ^ near) & (left ^ far) & (near ^ right);
	unsigned at_right = ~(right ^ near) & (right ^ far) & (near ^ left);
	unsigned l = (here & ~at_left) | (near & at_left);
	unsigned r = (here & ~at_right) | (near & at_right);

	if (c >= JOINED_FIRST && c <= JOINED_LAST)
		return widen(here);
	return (widen(l & 0xff) & 0xaaaa) | (widen(r & 0xff) & 0x5555);
}

static void draw_lines(struct screen *s, unsigned row, unsigned col, u16 cell, unsigned from)
{
	const struct fb *fb = &s->fb;
	u32 ink = fb->palette[cell >> 8 & 15], paper = fb->palette[cell >> 12];
	u8 c = (u8)cell;
	u8 *at = fb->mem + (u64)(row * CELL_HEIGHT + from) * fb->scale * fb->pitch +
		 (u64)col * CELL_WIDTH * fb->scale * fb->bytes;

	if (fb->scale > 1) {
		for (unsigned y = 2 * from; y < 2 * CELL_HEIGHT; y++) {
			unsigned bits = smooth_line(c, y);

			for (unsigned n = 0; n < fb->scale / 2U; n++, at += fb->pitch)
				draw_line(fb, at, bits, 2 * CELL_WIDTH, ink, paper);
		}
		return;
	}
	for (unsigned y = from; y < CELL_HEIGHT; y++, at += fb->pitch) {
		unsigned bits = glyph_line(c, (int)y);

		if (fb->bytes == 4)
			draw_line_32(at, bits, ink, paper);
		else
			draw_line(fb, at, bits, CELL_WIDTH, ink, paper);
	}
}

static void fbcon_draw(struct screen *s, unsigned row, unsigned col, u16 cell)
{
	draw_lines(s, row, col, cell, 0);
}

static void fbcon_blank_row(struct screen *s, unsigned row)
{
	const struct fb *fb = &s->fb;
	unsigned lines = CELL_HEIGHT * fb->scale;

	for (unsigned y = row * lines; y < (row + 1) * lines; y++) {
		u8 *at = fb->mem + (u64)y * fb->pitch;
		u8 *end = at + (u64)fb->width * fb->bytes;

		/* By the widest store, where a string function might go byte by byte. */
		for (; IS_ALIGNED((u64)at, 8) && end - at >= 8; at += 8)
			*(volatile u64 *)at = 0;
		memset(at, 0, (size_t)(end - at));
	}
}

/* The lowest lines of the cell, with ink and paper exchanged. */
static void fbcon_cursor(struct screen *s, unsigned row, unsigned col, bool on)
{
	u16 cell = s->cell[row][col];

	if (on)
		cell = (u16)((cell & 0xff) | (cell & 0xf00) << 4 | (cell >> 4 & 0xf00));
	draw_lines(s, row, col, cell, CELL_HEIGHT - CURSOR_LINES);
}

static const struct screen_ops fbcon_ops = {
	.draw = fbcon_draw,
	.blank_row = fbcon_blank_row,
	.cursor = fbcon_cursor,
};

void fbcon_attach(struct screen *s, const struct fb_params *p, void *mem)
{
	struct fb *fb = &s->fb;

	fb->mem = mem;
	fb->pitch = p->pitch;
	fb->width = p->width;
	fb->height = p->height;
	fb->bytes = (p->bpp + 7) / 8;
	fb->scale = p->width >= 2 * WIDE_SCREEN ? 4 : p->width >= WIDE_SCREEN ? 2 : 1;
	if (p->height < 4 * CELL_HEIGHT * fb->scale)
		fb->scale = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(fb->palette); i++)
		fb->palette[i] = colour(screen_rgb[i][0], p->red_pos, p->red_bits) |
				 colour(screen_rgb[i][1], p->green_pos, p->green_bits) |
				 colour(screen_rgb[i][2], p->blue_pos, p->blue_bits);
	s->cols = MIN(p->width / (CELL_WIDTH * fb->scale), (u32)SCREEN_COLS_MAX);
	s->rows = MIN(p->height / (CELL_HEIGHT * fb->scale), (u32)SCREEN_ROWS_MAX);
	s->ops = &fbcon_ops;
}
