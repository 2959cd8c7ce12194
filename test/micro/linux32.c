/* SPDX-License-Identifier: MIT */
/*
 * A bzImage without a 64-bit entry is entered by the 32-bit one. Linux Documentation/arch/x86/boot.rst, "32-bit Boot
 * Protocol".
 */
/* ENTRY: linux32 */
/* CMDLINE: alpha beta=1 */
/* MODULE: initrd */
#include "lib/entry_test.h"

void test(void)
{
	const struct entry *e = &micro_entry;
	u64 zero = e->esi;

	check_entry32();
	check_equal("CS", e->cs, 0x10);
	check_equal("DS", e->ds, 0x18);
	check_equal("EBX, EBP, EDI", e->ebx | e->ebp | e->edi, 0);
	check(memory_equal((const void *)(zero + 0x202), "HdrS", 4),
	      "ESI does not lead to a zero page");
	check_equal("xloadflags", read16(zero + 0x236), 0);
	check_equal("code32_start", read32(zero + 0x214), 0x1000000);
	check(text_is(read32(zero + 0x228), "alpha beta=1"), "another command line");
	check_equal("ramdisk_size", read32(zero + 0x21c), 7);
	check(memory_equal((const void *)(u64)read32(zero + 0x218), "file 0\n", 7),
	      "another initrd");
	check(read8(zero + 0x1e8) >= 2, "no memory map");
}
