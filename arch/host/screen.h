/* SPDX-License-Identifier: MIT */
/*
 * The host's screen as a text console: a grid of characters, drawn by one of two painters (VGA text memory, a linear
 * framebuffer). Shows what goes to the serial line, for machines that have none.
 */
#ifndef ARCH_HOST_SCREEN_H
#define ARCH_HOST_SCREEN_H

#include <vmm/types.h>

#define SCREEN_COLS_MAX 256
#define SCREEN_ROWS_MAX 128

/* A linear RGB framebuffer. */
struct fb {
	u8 *mem; /* of the direct map */
	u32 pitch, width, height;
	u8 bytes; /* per pixel: 2, 3, 4 */
	u8 scale; /* 1 or 2 */
	u32 ink;  /* the pixel of light grey */
};

struct screen;

struct screen_ops {
	void (*draw)(struct screen *s, unsigned row, unsigned col, u8 c);
	void (*blank_row)(struct screen *s, unsigned row); /* the whole width, margins too */
	void (*cursor)(struct screen *s, unsigned row, unsigned col);
};

struct screen {
	const struct screen_ops *ops; /* NULL: no screen */
	unsigned cols, rows, row, col;
	u8 esc;   /* inside an escape sequence: enum in screen.c */
	hpa_t pa; /* its memory, write-combining */
	u64 size;
	struct fb fb;
	u16 *vga;
	u8 cell[SCREEN_ROWS_MAX][SCREEN_COLS_MAX];
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
void screen_write(struct screen *s, const char *text, size_t len);

#endif
