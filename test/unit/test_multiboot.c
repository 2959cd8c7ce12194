/* SPDX-License-Identifier: MIT */
/*
 * vmm/load/multiboot.c: the header and where it may stand, ELF files and the header's own addresses, every field of the boot
 * information, modules, the entry, and files made to break it.
 */
/* SOURCES: vmm/load/loader.c vmm/load/elf.c vmm/load/multiboot.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c vmm/lib/fmt.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/mock/load_test.h"

#define TEXT_AT 0x2000
#define MAGIC   0x1badb002u

static u8 file[0x4000], initrd[5000];
static struct elf_row row;

static void header(u64 at, u32 flags)
{
	put(file, at, MAGIC, 4);
	put(file, at + 4, flags, 4);
	put(file, at + 8, 0u - MAGIC - flags, 4);
}

static void addresses(u64 at, u32 header_at, u32 load, u32 load_end, u32 bss_end, u32 start)
{
	const u32 words[] = {header_at, load, load_end, bss_end, start};

	memcpy(file + at + 12, words, sizeof(words));
}

static int setup(unused void **state)
{
	for (unsigned i = 0; i < sizeof(file); i++)
		file[i] = (u8)(i * 5 + (i >> 8) + 3);
	for (unsigned i = 0; i < sizeof(initrd); i++)
		initrd[i] = (u8)(i * 11);
	/* In the upper half, as a kernel is that turns paging on. */
	row = (struct elf_row){1, TEXT_AT, 0xc0100000, MiB(1), 0x1800, 0x3000, 0x1000};
	elf_make(file, false, 0xc0100010, &row, 1);
	header(0x1ff4, 3); /* the last place where it may stand */
	img = (struct load_image){.kernel = file, .kernel_size = sizeof(file), .cmdline = "a b"};
	memory_make(MiB(64));
	return 0;
}

static int teardown(unused void **state)
{
	memory_drop();
	return 0;
}

static void refused(int error, const char *part)
{
	memset(&why, 0x7f, sizeof(why));
	assert_int_equal(load_multiboot(&g, &m, &img, &entry, &why), -error);
	assert_non_null(memchr(why.text, 0, sizeof(why.text)));
	if (!strstr(why.text, part))
		fail_msg("\"%s\" lacks \"%s\"", why.text, part);
	assert_true(strlen(why.text) < sizeof(why.text) - 1);
}

static void loaded(u64 start)
{
	int r = load_multiboot(&g, &m, &img, &entry, &why);

	if (r)
		print_message("%s\n", why.text);
	assert_int_equal(r, 0);
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, start);
	assert_int_equal(entry.eax, 0x2badb002);
	assert_int_equal(entry.ebx, 0x10000);
	assert_int_equal(get(entry.gdt + 0x10, 8), 0x00cf9b000000ffffULL);
}

static void elf_32_and_64(unused void **state)
{
	assert_true(load_is_multiboot(file, sizeof(file)));
	loaded(MiB(1) + 0x10);
	assert_true(memory_is(MiB(1), file + TEXT_AT, 0x1800));
	assert_int_equal(get(MiB(1) + 0x1800, 8), 0);
	/* In 64 bits; linked in the last 2 GiB. */
	row.vaddr = 0xffffffff80100000;
	row.paddr = MiB(2);
	elf_make(file, true, 0xffffffff80100020, &row, 1);
	header(0x1ff4, 3);
	loaded(MiB(2) + 0x20);
	assert_true(memory_is(MiB(2), file + TEXT_AT, 0x1800));
	/* An entry that is physical already. */
	elf_make(file, true, MiB(2) + 0x30, &row, 1);
	loaded(MiB(2) + 0x30);
	elf_make(file, true, MiB(2) + 0x3000, &row, 1);
	refused(HV_ENOEXEC, "entry point, 0x203000, is not in what is loaded");
	elf_make(file, true, 0xffffffff80103000, &row, 1);
	refused(HV_ENOEXEC, "entry point, 0xffffffff80103000");
}

static void where_the_header_is(unused void **state)
{
	header(0x1ff4, 0); /* an earlier one would count */
	memset(file + 0x1ff4, 0, 12);
	refused(HV_ENOEXEC, "no Multiboot header in its first 8 KiB");
	assert_false(load_is_multiboot(file, sizeof(file)));
	header(0x1ff8, 0);
	assert_false(load_is_multiboot(file, sizeof(file)));
	header(0x802, 0); /* not on a multiple of four */
	assert_false(load_is_multiboot(file, sizeof(file)));
	header(0x400, 0);
	put(file, 0x408, 5, 4); /* checksum */
	assert_false(load_is_multiboot(file, sizeof(file)));
	header(0x600, 0);
	assert_true(load_is_multiboot(file, sizeof(file)));
	assert_true(load_is_multiboot(file, 0x60c));
	assert_false(load_is_multiboot(file, 0x60b));
	assert_false(load_is_multiboot(file, 0));
	loaded(MiB(1) + 0x10);
	/* No ELF file, and no addresses of its own: no kernel. */
	file[0] = 0;
	assert_false(load_is_multiboot(file, sizeof(file)));
	refused(HV_ENOEXEC, "no ELF program");
}

static void flags(unused void **state)
{
	static const u32 bad[] = {8, 0x8000, 0x10};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		header(0x1ff4, bad[i]);
		refused(HV_ENOEXEC, "Multiboot features that Havoc does not have");
	}
	header(0x1ff4, 7); /* a video mode is a wish */
	loaded(MiB(1) + 0x10);
	header(0x1ff4, 0xfffe0000); /* what is not required may be anything */
	loaded(MiB(1) + 0x10);
}

static void own_addresses(unused void **state)
{
	static const struct {
		u32 words[5];
		const char *part;
		int error;
	} bad[] = {
		{{MiB(2) + 0x500, MiB(2) + 0x501, 0, 0, MiB(2)},
		 "begins before its file",
		 HV_ENOEXEC},
		{{MiB(2) + 0x501, MiB(2), 0, 0, MiB(2)}, "begins before its file", HV_ENOEXEC},
		{{0xffffffff, 0, 0, 0, 0}, "begins before its file", HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), MiB(2) - 1, 0, MiB(2)}, "cut off", HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), MiB(2) + 0x4001, 0, MiB(2)}, "cut off", HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), 0, MiB(2) + 0x3fff, MiB(2)},
		 "memory ends at 0x203fff",
		 HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), 0, 1, MiB(2)}, "memory ends at 0x1", HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), 0, 0, MiB(2) + 0x4000}, "entry point", HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), 0, 0, MiB(2) - 1}, "entry point", HV_ENOEXEC},
		{{MiB(2) + 0x500, MiB(2), 0, MiB(64) + 1, MiB(2)},
		 "not in the guest's RAM of 64 MiB",
		 HV_ENOMEM},
		{{0xfffff500, 0xfffff000, 0, 0, 0xfffff000}, "not in the guest's RAM", HV_ENOMEM},
		{{0x20500, 0x20000, 0, 0, 0x20000},
		 "lies over what the loader puts below 0x30000",
		 HV_ENOEXEC},
	};

	/* Any file: no ELF. */
	memset(file, 0xcc, sizeof(file));
	header(0x500, 1 << 16);
	addresses(0x500, MiB(2) + 0x400, MiB(2), 0, MiB(2) + 0x8000, MiB(2) + 0x10);
	assert_true(load_is_multiboot(file, sizeof(file)));
	loaded(MiB(2) + 0x10);
	assert_true(memory_is(MiB(2), file + 0x100, sizeof(file) - 0x100));
	assert_int_equal(get(MiB(2) + 0x4000, 8), 0);
	addresses(0x500, MiB(4) + 0x500, MiB(4) + 0x500, MiB(4) + 0x600, 0, MiB(4) + 0x5ff);
	loaded(MiB(4) + 0x5ff);
	assert_true(memory_is(MiB(4) + 0x500, file + 0x500, 0x100));
	assert_int_equal(get(MiB(4) + 0x600, 8), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const u32 *w = bad[i].words;

		addresses(0x500, w[0], w[1], w[2], w[3], w[4]);
		refused(bad[i].error, bad[i].part);
	}
	/* They go before an ELF file's. And a header that 8 KiB do not hold is none. */
	addresses(0x500, MiB(2) + 0x500, MiB(2), 0, 0, MiB(2));
	elf_make(file, false, 0xc0100010, &row, 1);
	loaded(MiB(2));
	memset(file + 0x500, 0, 12);
	header(0x1fe4, 1 << 16);
	assert_false(load_is_multiboot(file, sizeof(file)));
}

static void information(unused void **state)
{
	const struct {
		unsigned at;
		u64 value;
	} fields[] = {
		{0, 0x24d},     {4, MACHINE_LOW_END / 1024},
		{8, 63 * 1024}, {12, 0},
		{16, 0x20000},  {20, 3},
		{28, 0},        {40, 0},
		{44, 96},       {52, 0},
		{56, 0},        {60, 0},
		{68, 0},        {72, 0},
		{112, 0},
	};
	gpa_t map, mods;

	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	img.module[0] = (struct load_module){(const u8 *)"one", 3, "arguments of one"};
	img.module[1] = (struct load_module){(const u8 *)"two2", 4, NULL};
	img.modules = 2;
	loaded(MiB(1) + 0x10);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		assert_int_equal(get(0x10000 + fields[i].at, 4), fields[i].value);
	assert_true(memory_is(0x20000, "a b", 4));
	assert_true(memory_is(get(0x10000 + 64, 4), "Havoc", 6));
	map = get(0x10000 + 48, 4);
	for (unsigned i = 0; i < m.e820_count; i++) {
		assert_int_equal(get(map + 24 * i, 4), 20);
		assert_int_equal(get(map + 24 * i + 4, 8), m.e820[i].base);
		assert_int_equal(get(map + 24 * i + 12, 8), m.e820[i].size);
		assert_int_equal(get(map + 24 * i + 20, 4), m.e820[i].type);
	}
	mods = get(0x10000 + 24, 4);
	assert_int_equal(get(mods, 4), MiB(1) + 0x3000);
	assert_int_equal(get(mods + 4, 4), MiB(1) + 0x3000 + sizeof(initrd));
	assert_int_equal(get(get(mods + 8, 4), 1), 0);
	assert_true(memory_is(get(mods, 4), initrd, sizeof(initrd)));
	assert_int_equal(get(mods + 16, 4), MiB(1) + 0x5000);
	assert_int_equal(get(mods + 20, 4), MiB(1) + 0x5003);
	assert_true(memory_is(get(mods + 24, 4), "arguments of one", 17));
	assert_int_equal(get(mods + 32, 4), MiB(1) + 0x6000);
	assert_int_equal(get(mods + 44, 4), 0);
	img.modules = img.initrd_size = 0;
	loaded(MiB(1) + 0x10);
	assert_int_equal(get(0x10000 + 20, 4), 0);
}

/* With more than 3 GiB the map has the memory above 4 GiB too; mem_upper ends at the first hole. */
static void big_guest(unused void **state)
{
	memory_drop();
	memory_make(GiB(5));
	loaded(MiB(1) + 0x10);
	assert_int_equal(get(0x10008, 4), (GiB(3) - MiB(1)) >> 10);
	assert_int_equal(get(0x1002c, 4), 120);
}

static void cut(unused void **state)
{
	for (u64 size = 1; size < TEXT_AT + 0x1800; size += size < 0x100 ? 1 : 41) {
		u8 *copy = malloc(size);

		memcpy(copy, file, size);
		img.kernel = copy;
		img.kernel_size = size;
		refused(HV_ENOEXEC, size < 0x2000 ? "no Multiboot header" : "cut off");
		(void)load_is_multiboot(copy, size);
		free(copy);
	}
}

static void exhausted(unused void **state)
{
	mock_host.mem_limit = mock_host.live_bytes;
	assert_int_equal(load_multiboot(&g, &m, &img, &entry, &why), -HV_EFAULT);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(elf_32_and_64), TEST(where_the_header_is), TEST(flags), TEST(own_addresses),
		TEST(information),   TEST(big_guest),           TEST(cut),   TEST(exhausted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
