/* SPDX-License-Identifier: MIT */
/*
 * Painter of screen.c for a linear RGB framebuffer of 16, 24 or 32 bits: cells of 8 by 16 dots, twice that on wide
 * screens. Only ever writes: the memory is write-combining, and slow to read. Multiboot2 specification, "Framebuffer
 * info". PURE: a test draws into memory of its own.
 */
#include "arch/host/screen.h"

#include "arch/host/font.h"

#include <vmm/string.h>

#define CELL_WIDTH   8
#define CELL_HEIGHT  16
#define MARGIN_LEFT  1 /* dots of the cell left of the letter */
#define GREY         0xaau
#define WIDE_SCREEN  1600
#define FB_SIZE_MAX  MiB(256)
#define FB_DIM_MAX   16384
#define FB_WIDTH_MIN (40 * CELL_WIDTH)

/* Which row of the font each row of the cell shows; FONT_ROWS: none. */
static const u8 font_row_of[CELL_HEIGHT] = {FONT_ROWS, 0, 0, 1, 2, 2, 3, 4,
					    4,         5, 6, 6, 7, 8, 8, FONT_ROWS};

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

static u32 colour(u8 pos, u8 bits)
{
	u32 v = bits <= 8 ? GREY >> (8 - bits) : GREY << (bits - 8);

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

static void draw_line(const struct fb *fb, u8 *at, unsigned bits)
{
	for (unsigned x = 0; x < CELL_WIDTH; x++) {
		u32 v = bits >> (CELL_WIDTH - 1 - x) & 1 ? fb->ink : 0;

		for (unsigned n = 0; n < fb->scale; n++, at += fb->bytes)
			dot(at, fb->bytes, v);
	}
}

/* The usual case: 32 bits, not scaled. */
static void draw_line_32(const struct fb *fb, u8 *at, unsigned bits)
{
	for (unsigned x = 0; x < CELL_WIDTH; x++)
		dot(at + (size_t)4 * x, 4, fb->ink & -(bits >> (CELL_WIDTH - 1 - x) & 1));
}

static void fbcon_draw(struct screen *s, unsigned row, unsigned col, u8 c)
{
	const struct fb *fb = &s->fb;
	const u8 *glyph =
		font_rows[c >= FONT_FIRST && c <= FONT_LAST ? c - FONT_FIRST : '?' - FONT_FIRST];
	u8 *at = fb->mem + (u64)row * CELL_HEIGHT * fb->scale * fb->pitch +
		 (u64)col * CELL_WIDTH * fb->scale * fb->bytes;

	for (unsigned y = 0; y < CELL_HEIGHT; y++) {
		unsigned r = font_row_of[y];
		unsigned bits = r == FONT_ROWS ? 0 :
						 (unsigned)glyph[r]
							 << (CELL_WIDTH - FONT_COLS - MARGIN_LEFT);

		if (fb->bytes == 4 && fb->scale == 1) {
			draw_line_32(fb, at, bits);
			at += fb->pitch;
			continue;
		}
		for (unsigned n = 0; n < fb->scale; n++, at += fb->pitch)
			draw_line(fb, at, bits);
	}
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

static void fbcon_cursor(unused struct screen *s, unused unsigned row, unused unsigned col)
{
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
	fb->scale = p->width >= WIDE_SCREEN ? 2 : 1;
	fb->ink = colour(p->red_pos, p->red_bits) | colour(p->green_pos, p->green_bits) |
		  colour(p->blue_pos, p->blue_bits);
	s->cols = MIN(p->width / (CELL_WIDTH * fb->scale), (u32)SCREEN_COLS_MAX);
	s->rows = MIN(p->height / (CELL_HEIGHT * fb->scale), (u32)SCREEN_ROWS_MAX);
	s->ops = &fbcon_ops;
}
