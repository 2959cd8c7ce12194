/* SPDX-License-Identifier: MIT */
/*
 * What a Multiboot1 kernel finds at its entry. Multiboot Specification 0.6.96, "Machine state" and "Boot information format".
 * The command line and the modules are those of the comments in the tests.
 */
#include "entry_test.h"

struct range {
	u32 size;
	u64 base, length;
	u32 type;
} packed;

static void memory_map(u64 info)
{
	u64 at = read32(info + 48), end = at + read32(info + 44), own = 0x1000000, upper = 0;

	for (; at < end; at += read32(at) + 4) {
		const struct range *r = (const struct range *)at;

		check_equal("the size of a range", r->size, 20);
		if (r->base == 0x100000 && r->type == 1)
			upper = r->length;
		if (r->type == 1 && own >= r->base && own - r->base < r->length)
			own = 0;
	}
	check_equal("the end of the map", at, end);
	check(!own, "the kernel is not in RAM");
	check_equal("mem_upper", read32(info + 8), upper >> 10);
	check(read32(info + 4) >= 512 && read32(info + 4) <= 640, "mem_lower is %u",
	      read32(info + 4));
}

static void module(u64 info, unsigned n, const char *text, const char *contents)
{
	u64 m = read32(info + 24) + 16 * n;
	u32 start = read32(m), end = read32(m + 4);

	check(!(start & 4095), "module %u begins at 0x%x", n, start);
	check_equal("a module's size", end - start, 7);
	check(memory_equal((const void *)(u64)start, contents, 7), "module %u has other contents",
	      n);
	check(text_is(read32(m + 8), text), "the text of module %u is \"%s\"", n,
	      (const char *)(u64)read32(m + 8));
}

void test(void)
{
	u64 info = micro_entry.ebx;

	check_entry32();
	check_equal("EAX", micro_entry.eax, 0x2badb002);
	check_equal("flags", read32(info), 0x24d);
	memory_map(info);
	check(text_is(read32(info + 16), "alpha beta=1"), "the command line is \"%s\"",
	      (const char *)(u64)read32(info + 16));
	check(text_is(read32(info + 64), "Havoc"), "another loader's name");
	check_equal("the number of modules", read32(info + 20), 3);
	module(info, 0, "the ramdisk", "file 0\n");
	module(info, 1, "first=1 second", "file 1\n");
	module(info, 2, "", "file 2\n");
}
