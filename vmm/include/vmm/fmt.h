/* SPDX-License-Identifier: MIT */
/*
 * Formatted output into a bounded buffer: %s %.*s %c %d %i %u %x %X %p %% with -, 0, width,
 * precision and the length modifiers l, ll, z, h, hh. Always NUL-terminated when size > 0. Returns
 * the length that the whole text has, as C's vsnprintf does.
 */
#ifndef VMM_FMT_H
#define VMM_FMT_H

#include <stdarg.h>
#include <vmm/types.h>

int fmt_v(char *buf, size_t size, const char *fmt, va_list ap) printf_like(3, 0);
int fmt_s(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);

#endif
