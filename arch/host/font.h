/* SPDX-License-Identifier: MIT */
/* The font of fbcon.c: see font.c. */
#ifndef ARCH_HOST_FONT_H
#define ARCH_HOST_FONT_H

#include <vmm/types.h>

#define FONT_FIRST 0x20
#define FONT_LAST  0x7e
#define FONT_ROWS  9
#define FONT_COLS  5

extern const u8 font_rows[FONT_LAST - FONT_FIRST + 1][FONT_ROWS];

#endif
