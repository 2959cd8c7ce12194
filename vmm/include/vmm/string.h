/* SPDX-License-Identifier: MIT */
/*
 * The C library's memory and string functions that Havoc uses. On the metal vmm/lib/string.c
 * defines them; a host test build takes the C library's.
 */
#ifndef VMM_STRING_H
#define VMM_STRING_H

#ifdef HAVOC_HOST_TEST
#include <string.h>
#else
#include <vmm/types.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
#endif

#endif
