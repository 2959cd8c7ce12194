/* SPDX-License-Identifier: MIT */
/*
 * Painter of screen.c for VGA text memory: a character and an attribute in each 16 bits. Used under BIOS when there
 * is no framebuffer. IBM VGA, "Alphanumeric modes" and "CRT Controller registers" (cursor location).
 */
#include "arch/host/screen.h"

#include <arch/insn.h>
#include <vmm/types.h>

#define VGA_ATTR      0x0700 /* light grey on black */
#define CRTC_INDEX    0x3d4
#define CRTC_DATA     0x3d5
#define CRTC_CURSOR_H 0x0e
#define CRTC_CURSOR_L 0x0f

static volatile u16 *vga_cell(struct screen *s, unsigned row, unsigned col)
{
	return s->vga + (size_t)row * s->cols + col;
}

static void vgacon_draw(struct screen *s, unsigned row, unsigned col, u8 c)
{
	*vga_cell(s, row, col) = VGA_ATTR | c;
}

static void vgacon_blank_row(struct screen *s, unsigned row)
{
	for (unsigned col = 0; col < s->cols; col++)
		*vga_cell(s, row, col) = VGA_ATTR | ' ';
}

static void vgacon_cursor(struct screen *s, unsigned row, unsigned col)
{
	unsigned at = row * s->cols + col;

	outb(CRTC_INDEX, CRTC_CURSOR_H);
	outb(CRTC_DATA, (u8)(at >> 8));
	outb(CRTC_INDEX, CRTC_CURSOR_L);
	outb(CRTC_DATA, (u8)at);
}

static const struct screen_ops vgacon_ops = {
	.draw = vgacon_draw,
	.blank_row = vgacon_blank_row,
	.cursor = vgacon_cursor,
};

void vgacon_attach(struct screen *s, void *mem, unsigned cols, unsigned rows)
{
	s->vga = mem;
	s->cols = MIN(cols, (unsigned)SCREEN_COLS_MAX);
	s->rows = MIN(rows, (unsigned)SCREEN_ROWS_MAX);
	s->ops = &vgacon_ops;
}
