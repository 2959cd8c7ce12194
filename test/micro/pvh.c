/* SPDX-License-Identifier: MIT */
/*
 * A kernel entered by PVH, although it has a Multiboot header too: the machine's state, and the start info with memory map,
 * command line, RSDP, and modules. Xen docs/misc/pvh, "x86/HVM direct boot ABI".
 */
/* ENTRY: pvh */
/* CMDLINE: alpha beta=1 */
/* MODULE: initrd the ramdisk */
/* MODULE: module first=1 second */
#include "lib/entry_test.h"

struct range {
	u64 base, size;
	u32 type, reserved;
} packed;

static void memory_map(u64 info)
{
	const struct range *r = (const struct range *)read64(info + 40);
	unsigned n = read32(info + 48), i;
	bool own = false;

	check(n >= 2 && n < 100, "%u ranges", n);
	for (i = 0; i < n; i++) {
		check(r[i].size && !r[i].reserved, "range %u is empty", i);
		if (r[i].type == 1 && r[i].base <= 0x1000000 && r[i].base + r[i].size > 0x1000000)
			own = true;
	}
	check(own, "the kernel is not in RAM");
}

static void module(u64 info, unsigned n, const char *text, const char *contents)
{
	u64 m = read64(info + 16) + 32 * n;

	check_equal("a module's size", read64(m + 8), 7);
	check(memory_equal((const void *)read64(m), contents, 7), "module %u has other contents",
	      n);
	check(text_is(read32(m + 16), text), "the text of module %u is \"%s\"", n,
	      (const char *)read64(m + 16));
}

void test(void)
{
	u64 info = micro_entry.ebx;

	check_entry32();
	check_equal("magic", read32(info), 0x336ec578);
	check_equal("version", read32(info + 4), 1);
	check_equal("flags", read32(info + 8), 0);
	check(text_is(read32(info + 24), "alpha beta=1"), "the command line is \"%s\"",
	      (const char *)read64(info + 24));
	check(memory_equal((const void *)read64(info + 32), "RSD PTR ", 8), "no RSDP");
	memory_map(info);
	check_equal("the number of modules", read32(info + 12), 2);
	module(info, 0, "the ramdisk", "file 0\n");
	module(info, 1, "first=1 second", "file 1\n");
}
