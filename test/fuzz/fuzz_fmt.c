/* SPDX-License-Identifier: MIT */
/*
 * fmt_s() with any format text: the conversions that take pointers are broken up first, all others
 * get the same value. Never a byte outside the buffer; the same text whatever the buffer's size.
 */
/* SOURCES: vmm/lib/fmt.c */
#include <stdlib.h>
#include <string.h>

#include <vmm/fmt.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char fmt[64], whole[70000], *part;
	u64 v;
	int len;

	if (size < 9 || size > 8 + sizeof(fmt) - 1)
		return 0;
	memcpy(&v, data, 8);
	memcpy(fmt, data + 8, size - 8);
	fmt[size - 8] = '\0';
	for (char *p = fmt; *p; p++) {
		if (*p == 's')
			*p = 'd';
	}
	/*
	 * More arguments than a format of this length can take, so that no conversion reads beyond
	 * them.
	 */
#define SIX  v, v, v, v, v, v
#define ARGS SIX, SIX, SIX, SIX, SIX, SIX, SIX, SIX, SIX, SIX, SIX
	len = fmt_s(whole, sizeof(whole), fmt, ARGS);
	/* A width from the arguments may be huge: then there is nothing to compare with. */
	if (len < 0 || (size_t)len >= sizeof(whole))
		return 0;
	if (strlen(whole) > (size_t)len)
		abort();
	part = malloc(v % 40);
	if (v % 40 && !part)
		return 0;
	if (fmt_s(part, v % 40, fmt, ARGS) != len)
		abort();
	if (v % 40 && (memcmp(part, whole, strnlen(part, v % 40)) ||
		       part[(size_t)len < v % 40 ? (size_t)len : v % 40 - 1]))
		abort();
	free(part);
	return 0;
}
