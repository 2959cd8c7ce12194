/* SPDX-License-Identifier: MIT */
/*
 * Memory and string functions of the freestanding build (a host test takes the C library's). Called
 * from everywhere, and by the compiler itself for struct copies. Plain C in words of 8 bytes,
 * unrolled: clearing guest memory and copying kernels are the only large users, and cost about 1.25
 * instructions a word. C11 "String handling <string.h>".
 */
#include <vmm/string.h>
#include <vmm/types.h>

#ifndef HAVOC_HOST_TEST

/* An unaligned word that may alias anything: x86 reads and writes it in one instruction. */
typedef u64 __attribute__((__may_alias__, __aligned__(1))) word_t;

/*
 * Else GCC recognises the loops and turns memcpy() into a call of memcpy(). Clang does not,
 * freestanding.
 */
#if defined(__GNUC__) && !defined(__clang__)
#define no_idiom __attribute__((optimize("no-tree-loop-distribute-patterns")))
#else
#define no_idiom
#endif

/*
 * Copies upward: also right for overlapping areas when dst < src, since every load precedes the
 * store over it.
 */
static inline void no_idiom copy_up(u8 *d, const u8 *s, size_t n)
{
	for (; n >= 32; n -= 32, d += 32, s += 32) {
		u64 a = *(const word_t *)s;
		u64 b = *(const word_t *)(s + 8);
		u64 c = *(const word_t *)(s + 16);
		u64 e = *(const word_t *)(s + 24);

		*(word_t *)d = a;
		*(word_t *)(d + 8) = b;
		*(word_t *)(d + 16) = c;
		*(word_t *)(d + 24) = e;
	}
	for (; n >= 8; n -= 8, d += 8, s += 8)
		*(word_t *)d = *(const word_t *)s;
	for (; n; n--)
		*d++ = *s++;
}

static inline void no_idiom copy_down(u8 *d, const u8 *s, size_t n)
{
	for (; n >= 8; n -= 8)
		*(word_t *)(d + n - 8) = *(const word_t *)(s + n - 8);
	for (; n; n--)
		d[n - 1] = s[n - 1];
}

void *no_idiom memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	copy_up(dst, src, n);
	return dst;
}

void *no_idiom memmove(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

void *no_idiom memset(void *dst, int c, size_t n)
{
	u64 word = (u8)c * 0x0101010101010101ULL;
	u8 *d = dst;

	for (; n >= 64; n -= 64, d += 64) {
		((word_t *)d)[0] = word;
		((word_t *)d)[1] = word;
		((word_t *)d)[2] = word;
		((word_t *)d)[3] = word;
		((word_t *)d)[4] = word;
		((word_t *)d)[5] = word;
		((word_t *)d)[6] = word;
		((word_t *)d)[7] = word;
	}
	for (; n >= 8; n -= 8, d += 8)
		*(word_t *)d = word;
	for (; n; n--)
		*d++ = (u8)c;
	return dst;
}

int no_idiom memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8 && *(const word_t *)x == *(const word_t *)y; n -= 8) {
		x += 8;
		y += 8;
	}
	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

void *no_idiom memchr(const void *s, int c, size_t n)
{
	const u8 *p = s;

	for (; n; n--, p++) {
		if (*p == (u8)c)
			return (void *)p;
	}
	return NULL;
}

size_t no_idiom strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

size_t no_idiom strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int no_idiom strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	}
	return 0;
}

int no_idiom strcmp(const char *a, const char *b)
{
	while (*a == *b && *a) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

char *no_idiom strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

#endif /* HAVOC_HOST_TEST */
