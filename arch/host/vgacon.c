/* SPDX-License-Identifier: MIT */
/*
 * Painter of screen.c for VGA text memory, whose 16 bits are those of a cell. Used under BIOS when there is no
 * framebuffer. IBM VGA, "Alphanumeric modes", "CRT Controller registers" (cursor location) and "Attribute Controller
 * registers" (mode control).
 */
#include "arch/host/screen.h"

#include <arch/insn.h>
#include <vmm/types.h>

#define CRTC_INDEX    0x3d4
#define CRTC_DATA     0x3d5
#define CRTC_CURSOR_H 0x0e
#define CRTC_CURSOR_L 0x0f

#define ATTR_INDEX      0x3c0 /* and data, in turn */
#define ATTR_READ       0x3c1
#define ATTR_START_OVER 0x3da /* read: the next write is an index */
#define ATTR_MODE       0x10
#define ATTR_VIDEO_ON   0x20   /* of an index: the palette is the screen's */
#define ATTR_MODE_BLINK BIT(3) /* the highest bit of a cell is no colour */

static volatile u16 *vga_cell(struct screen *s, unsigned row, unsigned col)
{
	return s->vga + (size_t)row * s->cols + col;
}

static void vgacon_draw(struct screen *s, unsigned row, unsigned col, u16 cell)
{
	*vga_cell(s, row, col) = cell;
}

static void vgacon_blank_row(struct screen *s, unsigned row)
{
	for (unsigned col = 0; col < s->cols; col++)
		*vga_cell(s, row, col) = CELL_BLANK;
}

/* Off: behind the last cell. */
static void vgacon_cursor(struct screen *s, unsigned row, unsigned col, bool on)
{
	unsigned at = on ? row * s->cols + col : s->rows * s->cols;

	/* One that is taken away only to be put elsewhere. */
	if (!on && !s->term.hidden)
		return;
	outb(CRTC_INDEX, CRTC_CURSOR_H);
	outb(CRTC_DATA, (u8)(at >> 8));
	outb(CRTC_INDEX, CRTC_CURSOR_L);
	outb(CRTC_DATA, (u8)at);
}

/* Sixteen colours of paper instead of eight and blinking. */
static void blink_off(void)
{
	u8 mode;

	(void)inb(ATTR_START_OVER);
	outb(ATTR_INDEX, ATTR_MODE | ATTR_VIDEO_ON);
	mode = inb(ATTR_READ);
	(void)inb(ATTR_START_OVER);
	outb(ATTR_INDEX, ATTR_MODE | ATTR_VIDEO_ON);
	outb(ATTR_INDEX, (u8)(mode & ~ATTR_MODE_BLINK));
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
	blink_off();
}
