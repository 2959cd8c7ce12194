/* SPDX-License-Identifier: MIT */
/*
 * vmm/lib/string.c against the C library's functions: every small size and alignment, overlaps,
 * guards.
 */
/* SOURCES: */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/types.h>

/* The file under test, under other names, in the form that the metal has. */
#define memcpy  t_memcpy
#define memmove t_memmove
#define memset  t_memset
#define memcmp  t_memcmp
#define memchr  t_memchr
#define strlen  t_strlen
#define strnlen t_strnlen
#define strcmp  t_strcmp
#define strncmp t_strncmp
#define strchr  t_strchr
#undef HAVOC_HOST_TEST
#include "vmm/lib/string.c" /* NOLINT(bugprone-suspicious-include) */
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define SPAN 200

static void fill(u8 *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (u8)(seed + i * 7 + (i >> 3));
}

static void test_memcpy(void **state)
{
	u8 src[SPAN + 16], dst[SPAN + 16], want[SPAN + 16];

	(void)state;
	for (size_t n = 0; n <= SPAN - 16; n++) {
		for (size_t so = 0; so < 8; so++) {
			size_t off = (so * 3) % 8;

			fill(src, sizeof(src), (unsigned)n);
			fill(dst, sizeof(dst), 99);
			memcpy(want, dst, sizeof(want));
			memcpy(want + off, src + so, n);
			assert_ptr_equal(t_memcpy(dst + off, src + so, n), dst + off);
			assert_memory_equal(dst, want, sizeof(want));
		}
	}
}

static void test_memmove_overlap(void **state)
{
	u8 a[SPAN], b[SPAN];

	(void)state;
	for (int shift = -40; shift <= 40; shift++) {
		for (size_t n = 0; n < 100; n++) {
			fill(a, sizeof(a), (unsigned)n);
			memcpy(b, a, sizeof(b));
			memmove(b + 50 + shift, b + 50, n);
			assert_ptr_equal(t_memmove(a + 50 + shift, a + 50, n), a + 50 + shift);
			assert_memory_equal(a, b, sizeof(a));
		}
	}
}

static void test_memset(void **state)
{
	u8 a[SPAN], b[SPAN];

	(void)state;
	for (size_t off = 0; off < 9; off++) {
		for (size_t n = 0; n < SPAN - 9; n++) {
			fill(a, sizeof(a), 1);
			fill(b, sizeof(b), 1);
			memset(b + off, 0xab, n);
			assert_ptr_equal(t_memset(a + off, 0x1ab, n), a + off);
			assert_memory_equal(a, b, sizeof(a));
		}
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_memcmp(void **state)
{
	u8 a[64], b[64];

	(void)state;
	for (size_t n = 0; n < 64; n++) {
		for (size_t at = 0; at < 64; at++) {
			fill(a, sizeof(a), 3);
			memcpy(b, a, sizeof(b));
			b[at] ^= 0x80;
			assert_int_equal(sign(t_memcmp(a, b, n)), sign(memcmp(a, b, n)));
		}
	}
}

static void test_strings(void **state)
{
	static const char *const words[] = {"", "a", "b", "ab", "abc", "abd", "\xff", "abc\x80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		assert_int_equal(t_strlen(words[i]), strlen(words[i]));
		assert_ptr_equal(t_strchr(words[i], 'c'), strchr(words[i], 'c'));
		assert_ptr_equal(t_strchr(words[i], 0), strchr(words[i], 0));
		assert_ptr_equal(t_memchr(words[i], 'b', strlen(words[i])),
				 memchr(words[i], 'b', strlen(words[i])));
		for (size_t n = 0; n < 5; n++)
			assert_int_equal(t_strnlen(words[i], n), strnlen(words[i], n));
		for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
			assert_int_equal(sign(t_strcmp(words[i], words[j])),
					 sign(strcmp(words[i], words[j])));
			for (size_t n = 0; n < 5; n++)
				assert_int_equal(sign(t_strncmp(words[i], words[j], n)),
						 sign(strncmp(words[i], words[j], n)));
		}
	}
}

/* Not one byte beyond the end is read: the sanitizer watches the heap block. */
static void test_bounds(void **state)
{
	(void)state;
	for (size_t n = 1; n < 80; n++) {
		u8 *a = malloc(n), *b = malloc(n);

		t_memset(a, 5, n);
		t_memcpy(b, a, n);
		assert_int_equal(t_memcmp(a, b, n), 0);
		assert_null(t_memchr(a, 6, n));
		assert_int_equal(t_strnlen((char *)a, n), n);
		free(a);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memcpy),  cmocka_unit_test(test_memmove_overlap),
		cmocka_unit_test(test_memset),  cmocka_unit_test(test_memcmp),
		cmocka_unit_test(test_strings), cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
