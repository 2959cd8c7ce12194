/* SPDX-License-Identifier: MIT */
/* The font of fbcon.c: see font.c. */
#ifndef ARCH_HOST_FONT_H
#define ARCH_HOST_FONT_H

#include <vmm/types.h>

#define FONT_GLYPHS 256
#define FONT_ROWS   13

extern const u8 font_rows[FONT_GLYPHS][FONT_ROWS];

#endif
