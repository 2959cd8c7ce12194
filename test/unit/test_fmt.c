/* SPDX-License-Identifier: MIT */
/* vmm/lib/fmt.c against the C library's snprintf: conversions, flags, bounds. */
/* SOURCES: vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/fmt.h>

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char want[300], got[300];                                                          \
		int w = snprintf(want, sizeof(want), __VA_ARGS__);                                 \
		int g = fmt_s(got, sizeof(got), __VA_ARGS__);                                      \
		assert_string_equal(got, want);                                                    \
		assert_int_equal(g, w);                                                            \
	} while (0)

static void test_numbers(void **state)
{
	static const long long values[] = {0,         1,         -1,        9,
					   10,        -10,       127,       128,
					   255,       256,       65535,     INT32_MAX,
					   INT32_MIN, INT64_MAX, INT64_MIN, 0x123456789abcdef};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		long long v = values[i];

		SAME("%lld|%llu|%llx|%llX", v, (unsigned long long)v, (unsigned long long)v,
		     (unsigned long long)v);
		SAME("%ld|%zu|%lx", (long)v, (size_t)v, (unsigned long)v);
		SAME("%d|%i|%u|%x|%X", (int)v, (int)v, (unsigned)v, (unsigned)v, (unsigned)v);
		SAME("%hd|%hu|%hx|%hhd|%hhu|%hhx", (short)v, (unsigned short)v, (unsigned short)v,
		     (signed char)v, (unsigned char)v, (unsigned char)v);
		SAME("%5d|%-5d|%05d|%12llx|%-12llx|%012llx", (int)v, (int)v, (int)v,
		     (unsigned long long)v, (unsigned long long)v, (unsigned long long)v);
		SAME("%#x|%#10x|%#010x|%+d|% d|%+5d", (unsigned)v, (unsigned)v, (unsigned)v, (int)v,
		     (int)v, (int)v);
		SAME("%.5d|%8.5d|%-8.5d|%.0d", (int)v, (int)v, (int)v, (int)v);
		SAME("%*d|%-*d|%.*d", 7, (int)v, 7, (int)v, 4, (int)v);
		SAME("%*d", -7, (int)v);
	}
	SAME("%p %%", (void *)0x1234);
}

static void test_text(void **state)
{
	(void)state;
	SAME("%s|%10s|%-10s|%.2s|%.*s|%c|%3c|%-3c|", "hello", "hello", "hello", "hello", 3, "hello",
	     'x', 'y', 'z');
	SAME("%s", "");
	SAME("plain");
	/* A precision bounds what is read: no NUL needed. */
	{
		const char raw[3] = {'a', 'b', 'c'};
		char got[10];

		assert_int_equal(fmt_s(got, sizeof(got), "%.*s", 3, raw), 3);
		assert_string_equal(got, "abc");
	}
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-overflow"
#endif
static void test_odd(void **state)
{
	char got[64];

	(void)state;
	fmt_s(got, sizeof(got), "%s", (char *)NULL);
	assert_string_equal(got, "(null)");
	fmt_s(got, sizeof(got), "a%qb");
	assert_string_equal(got, "a%qb");
	fmt_s(got, sizeof(got), "a%");
	assert_string_equal(got, "a%");
	fmt_s(got, sizeof(got), "a%-08");
	assert_string_equal(got, "a%-08");
	fmt_s(got, sizeof(got), "%n!");
	assert_string_equal(got, "%n!");
}
#pragma GCC diagnostic pop

static void test_bounds(void **state)
{
	char got[8];
	volatile int lowest =
		INT32_MIN; /* volatile: else the compiler sees through it, and warns */

	(void)state;
	for (size_t size = 0; size <= sizeof(got); size++) {
		memset(got, 'X', sizeof(got));
		assert_int_equal(fmt_s(got, size, "%s", "0123456789"), 10);
		if (size) {
			assert_int_equal(strlen(got), size - 1);
			assert_memory_equal(got, "0123456789", size - 1);
		}
		for (size_t i = size; i < sizeof(got); i++)
			assert_int_equal(got[i], 'X');
	}
	assert_int_equal(fmt_s(NULL, 0, "%d", 12345), 5);
	/* Absurd widths are cut, not obeyed. */
	assert_true(fmt_s(got, sizeof(got), "%99999999d", 1) <= 1024);
	assert_true(fmt_s(got, sizeof(got), "%*d", lowest, 1) <= 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
