/* SPDX-License-Identifier: MIT */
/*
 * boot/mb2.c: each tag that is understood, each that is broken; what GRUB under BIOS and under UEFI gives; lists that
 * lie about their lengths. The tags stand at the very end of a heap block, so that one byte too far is caught.
 */
/* SOURCES: boot/mb2.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include "boot/mb2.h"

static u8 list[65536];
static size_t used;
static struct boot_info info;

static void put32(u32 v)
{
	memcpy(list + used, &v, 4);
	used += 4;
}

static void put64(u64 v)
{
	memcpy(list + used, &v, 8);
	used += 8;
}

static void begin(void)
{
	memset(list, 0, sizeof(list));
	memset(&info, 0, sizeof(info));
	used = 8;
}

/* A tag's header; its length is set by tag_end(). */
static size_t tag(u32 type)
{
	size_t at = used;

	put32(type);
	put32(0);
	return at;
}

static void tag_end(size_t at)
{
	u32 size = (u32)(used - at);

	memcpy(list + at + 4, &size, 4);
	used = (used + 7) & ~(size_t)7;
}

static void text_tag(u32 type, const char *text)
{
	size_t at = tag(type);

	memcpy(list + used, text, strlen(text) + 1);
	used += strlen(text) + 1;
	tag_end(at);
}

static void module_tag(u32 start, u32 end, const char *text)
{
	size_t at = tag(3);

	put32(start);
	put32(end);
	memcpy(list + used, text, strlen(text) + 1);
	used += strlen(text) + 1;
	tag_end(at);
}

static void finish(void)
{
	u32 total;

	tag_end(tag(0));
	total = (u32)used;
	memcpy(list, &total, 4);
}

/* Parses a copy that ends where the heap block does. */
static int parse(size_t max)
{
	u8 *copy = malloc(max ? max : 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, list, max);
	ret = boot_info_parse(&info, copy, max);
	free(copy);
	return ret;
}

static const u8 rsdp_old[20] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ', 1, 'B',
				'O', 'C', 'H', 'S', ' ', 0,   1,   2,   3, 4};

static void test_grub_bios(void **state)
{
	size_t at;

	(void)state;
	begin();
	text_tag(1, "mem=64M loglevel=debug");
	text_tag(2, "GRUB 2.06");
	module_tag(0x200000, 0x300000, "kernel console=ttyS0");
	module_tag(0x300000, 0x300010, "initrd");
	at = tag(6);
	put32(24);
	put32(0);
	put64(0), put64(0x9fc00), put32(1), put32(0);
	put64(0x9fc00), put64(0x400), put32(2), put32(0);
	put64(0x100000), put64(0x1fee0000), put32(1), put32(0);
	put64(0x1ffe0000), put64(0x20000), put32(3), put32(0);
	put64(0x20000000), put64(0x1000), put32(20), put32(0);
	tag_end(at);
	at = tag(8);
	put64(0xfd000000), put32(5120), put32(1280), put32(800);
	memcpy(list + used, (u8[]){32, 1, 0, 0, 16, 8, 8, 8, 0, 8}, 10);
	used += 10;
	tag_end(at);
	at = tag(14);
	memcpy(list + used, rsdp_old, sizeof(rsdp_old));
	used += 20;
	tag_end(at);
	at = tag(21);
	put32(0x200000);
	tag_end(at);
	finish();

	assert_int_equal(parse(used), 0);
	assert_string_equal(info.cmdline, "mem=64M loglevel=debug");
	assert_int_equal(info.module_count, 2);
	assert_int_equal(info.module[0].start, 0x200000);
	assert_int_equal(info.module[0].end, 0x300000);
	assert_string_equal(info.module[0].string, "kernel console=ttyS0");
	assert_string_equal(info.module[1].string, "initrd");
	assert_int_equal(
		info.mem_count,
		4); /* ACPI and the unknown type 20 are neighbours: both reserved, one entry */
	assert_true(info.mem[0].ram);
	assert_false(info.mem[1].ram);
	assert_true(info.mem[2].ram);
	assert_false(info.mem[3].ram);
	assert_int_equal(info.mem[3].base, 0x1ffe0000);
	assert_int_equal(info.mem[3].size, 0x21000);
	assert_int_equal(info.fb.type, BOOT_FB_RGB);
	assert_int_equal(info.fb.addr, 0xfd000000);
	assert_int_equal(info.fb.pitch, 5120);
	assert_int_equal(info.fb.width, 1280);
	assert_int_equal(info.fb.height, 800);
	assert_int_equal(info.fb.bpp, 32);
	assert_int_equal(info.fb.red_pos, 16);
	assert_int_equal(info.fb.blue_bits, 8);
	assert_int_equal(info.rsdp_len, 20);
	assert_memory_equal(info.rsdp, "RSD PTR ", 8);
	assert_false(info.efi);
	assert_true(info.has_load_base);
	assert_int_equal(info.load_base, 0x200000);
	assert_int_equal(info.dropped, 0);
}

static void efi_descriptor(u32 type, u64 base, u64 pages, u64 attr)
{
	put32(type), put32(0), put64(base), put64(0), put64(pages), put64(attr);
	put64(0xdead); /* descriptors are longer than the structure */
}

static void test_grub_uefi(void **state)
{
	size_t at;

	(void)state;
	begin();
	at = tag(6); /* the loader's translation, which the firmware's own map replaces */
	put32(24), put32(0);
	put64(0), put64(GiB(8)), put32(1), put32(0);
	tag_end(at);
	at = tag(12);
	put64(0x1f9ec018);
	tag_end(at);
	at = tag(14);
	memset(list + used, 'o', 20);
	used += 20;
	tag_end(at);
	at = tag(15);
	memset(list + used, 'n', 36);
	used += 36;
	tag_end(at);
	at = tag(17);
	put32(48), put32(1);
	efi_descriptor(3, 0, 0xa0, 0xf);                    /* boot services code */
	efi_descriptor(7, 0x100000, 0x100, 0xf);            /* conventional */
	efi_descriptor(2, 0x200000, 0x100, 0xf);            /* loader data: joins it */
	efi_descriptor(5, 0x300000, 1, 0x800000000000000f); /* runtime services code */
	efi_descriptor(10, 0x301000, 1, 0xf);               /* ACPI NVS */
	efi_descriptor(7, 0x302000, 1, 0x1);                /* conventional, but not cacheable */
	efi_descriptor(7, 0x303000, 1, 0x4000f);            /* for a driver that knows it */
	efi_descriptor(14, 0x400000, 1, 0x800f);            /* persistent memory */
	efi_descriptor(7, 0x500000, ~0ULL, 0xf);            /* nonsense */
	tag_end(at);
	finish();

	assert_int_equal(parse(used), 0);
	assert_true(info.efi);
	assert_int_equal(info.efi_system_table, 0x1f9ec018);
	assert_int_equal(info.rsdp_len, 36);
	assert_int_equal(info.rsdp[20], 'n');
	assert_int_equal(info.mem_count, 4);
	assert_true(info.mem[0].ram);
	assert_int_equal(info.mem[1].base, 0x100000);
	assert_int_equal(info.mem[1].size, 0x200000);
	assert_true(info.mem[1].ram);
	assert_int_equal(info.mem[2].base, 0x300000);
	assert_int_equal(info.mem[2].size, 0x4000);
	assert_false(info.mem[2].ram);
	assert_false(info.mem[3].ram);
	assert_int_equal(info.dropped, 1);
}

/* The new RSDP stays whatever the order of the tags. */
static void test_rsdp_order(void **state)
{
	size_t at;

	(void)state;
	begin();
	at = tag(15);
	memset(list + used, 'n', 36);
	used += 36;
	tag_end(at);
	at = tag(14);
	memset(list + used, 'o', 20);
	used += 20;
	tag_end(at);
	finish();
	assert_int_equal(parse(used), 0);
	assert_int_equal(info.rsdp_len, 36);
	assert_int_equal(info.rsdp[0], 'n');
}

static void test_no_list(void **state)
{
	u32 total;

	(void)state;
	begin();
	finish();
	assert_int_equal(parse(used), 0);
	assert_int_equal(info.mem_count, 0);
	assert_int_equal(info.fb.type, BOOT_FB_NONE);
	for (size_t max = 0; max < used; max++)
		assert_int_equal(parse(max), -HV_EINVAL);
	total = 15;
	memcpy(list, &total, 4);
	assert_int_equal(parse(used), -HV_EINVAL);
	total = 0xffffffff;
	memcpy(list, &total, 4);
	assert_int_equal(parse(used), -HV_EINVAL);
}

/* A list cut anywhere is read as far as whole tags go. */
static void test_cut_everywhere(void **state)
{
	size_t all;

	(void)state;
	begin();
	text_tag(1, "a");
	module_tag(1, 2, "kernel");
	module_tag(3, 4, "initrd");
	finish();
	all = used;
	for (size_t total = 16; total <= all; total++) {
		u32 t = (u32)total;

		memset(&info, 0, sizeof(info));
		memcpy(list, &t, 4);
		assert_int_equal(parse(total), 0);
		assert_true(info.module_count <= 2);
	}
	assert_int_equal(info.module_count, 2);
}

/* Bad tags are left out and counted; what follows them is read. */
static void bad_tag(u32 type, size_t body)
{
	size_t at;

	begin();
	at = tag(type);
	used += body;
	tag_end(at);
	text_tag(1, "after");
	finish();
	assert_int_equal(parse(used), 0);
	assert_string_equal(info.cmdline, "after");
	assert_int_equal(info.dropped, 1);
}

static void test_short_tags(void **state)
{
	(void)state;
	bad_tag(3, 7);
	bad_tag(6, 7);
	bad_tag(6, 16); /* entry size 0 */
	bad_tag(8, 23);
	bad_tag(14, 19);
	bad_tag(15, 35);
	bad_tag(17, 7);
	bad_tag(17, 200); /* descriptor size 0 */
}

static void test_tag_size_lies(void **state)
{
	u32 sizes[] = {0, 1, 7, 0x7fffffff, 0xfffffff8, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		begin();
		text_tag(1, "before");
		put32(6);
		put32(sizes[i]);
		used += 64;
		finish();
		assert_int_equal(parse(used), 0);
		assert_string_equal(info.cmdline, "before");
		assert_int_equal(info.mem_count, 0);
	}
}

static void test_strings_without_end(void **state)
{
	size_t at;

	(void)state;
	begin();
	at = tag(1);
	memset(list + used, 'c', 8);
	used += 8;
	tag_end(at);
	at = tag(3);
	put32(0), put32(0);
	memset(list + used, 'm', 8);
	used += 8;
	tag_end(at);
	finish();
	assert_int_equal(parse(used), 0);
	assert_string_equal(info.cmdline, "cccccccc");
	assert_string_equal(info.module[0].string, "mmmmmmmm");
}

static void test_cmdline_too_long(void **state)
{
	char text[CONFIG_CMDLINE_MAX + 10];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	begin();
	text_tag(1, text);
	finish();
	assert_int_equal(parse(used), 0);
	assert_int_equal(strlen(info.cmdline), CONFIG_CMDLINE_MAX - 1);
	assert_int_equal(info.dropped, 1);
}

static void test_too_many_modules(void **state)
{
	char text[600];

	(void)state;
	begin();
	for (unsigned i = 0; i < BOOT_MODULES_MAX + 3; i++)
		module_tag(i, i + 1, "x");
	module_tag(5, 4, "ends before it starts");
	finish();
	assert_int_equal(parse(used), 0);
	assert_int_equal(info.module_count, BOOT_MODULES_MAX);
	assert_int_equal(info.dropped, 4);

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	begin();
	for (unsigned i = 0; i < 20; i++)
		module_tag(i, i + 1, text);
	finish();
	assert_int_equal(parse(used), 0);
	assert_int_equal(info.module_count, BOOT_STRINGS_MAX / sizeof(text));
	assert_int_equal(info.dropped, 20 - BOOT_STRINGS_MAX / sizeof(text));
}

static void test_memory_at_the_top(void **state)
{
	size_t at;

	(void)state;
	begin();
	at = tag(6);
	put32(24), put32(0);
	put64(0xfffffffffffff000), put64(0x1000), put32(2), put32(0); /* ends at 2^64 */
	put64(0xfffffffffffff000), put64(0x2000), put32(1), put32(0); /* wraps */
	put64(~0ULL), put64(1), put32(2), put32(0);
	put64(5), put64(~0ULL), put32(2), put32(0);
	put64(0x1000), put64(0), put32(1), put32(0); /* empty */
	tag_end(at);
	finish();
	assert_int_equal(parse(used), 0);
	for (unsigned i = 0; i < info.mem_count; i++) {
		assert_false(info.mem[i].ram);
		assert_true(info.mem[i].base + info.mem[i].size > info.mem[i].base);
	}
	assert_int_equal(info.mem_count, 2);
	assert_int_equal(info.dropped, 2);
}

static void test_too_many_entries(void **state)
{
	size_t at;

	(void)state;
	begin();
	at = tag(6);
	put32(24), put32(0);
	for (unsigned i = 0; i < BOOT_MEM_MAX + 5; i++)
		put64(i * 0x2000), put64(0x1000), put32(1 + i % 2), put32(0);
	tag_end(at);
	finish();
	assert_int_equal(parse(used), 0);
	assert_int_equal(info.mem_count, BOOT_MEM_MAX);
	assert_int_equal(info.dropped, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grub_bios),
		cmocka_unit_test(test_grub_uefi),
		cmocka_unit_test(test_rsdp_order),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_short_tags),
		cmocka_unit_test(test_tag_size_lies),
		cmocka_unit_test(test_strings_without_end),
		cmocka_unit_test(test_cmdline_too_long),
		cmocka_unit_test(test_too_many_modules),
		cmocka_unit_test(test_memory_at_the_top),
		cmocka_unit_test(test_too_many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
