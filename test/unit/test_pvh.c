/* SPDX-License-Identifier: MIT */
/*
 * vmm/load/pvh.c and elf.c, and the table of kernel.c: the note, segments and their mistakes, every field of the start info,
 * modules, the entry; and which loader a file is for.
 */
/* SOURCES: vmm/load/kernel.c vmm/load/loader.c vmm/load/elf.c vmm/load/pvh.c vmm/load/multiboot.c vmm/load/bz_header.c
 * vmm/load/bzimage.c vmm/load/zeropage.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c vmm/mem/pt_formats.c
 * vmm/lib/fmt.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/mock/load_test.h"

#define NOTE_AT 0x800
#define TEXT_AT 0x1000
#define DATA_AT 0x2000

static u8 file[0x3000], initrd[70000];
static struct elf_row rows[40];
static unsigned count;
static bool wide;

/* An ELF file like a vmlinux: text at 16 MiB, data with a tail that is clear at 18 MiB, and the note. */
static void file_make(void)
{
	memset(file, 0, sizeof(file));
	for (unsigned i = TEXT_AT; i < sizeof(file); i++)
		file[i] = (u8)(i * 7 + (i >> 8));
	count = 3;
	rows[0] = (struct elf_row){1, TEXT_AT, 0x81000000, MiB(16), 0x1000, 0x1000, 0x1000};
	rows[1] = (struct elf_row){1, DATA_AT, 0x81200000, MiB(18), 0x800, 0x5000, 0x1000};
	rows[2] = (struct elf_row){4, NOTE_AT, 0, 0, 0x100, 0x100, 4};
	/* A foreign note first: its sizes are rounded up. */
	put(file, NOTE_AT, 5, 4);
	put(file, NOTE_AT + 4, 3, 4);
	put(file, NOTE_AT + 8, 18, 4);
	memcpy(file + NOTE_AT + 12, "Tree", 5);
	put(file, NOTE_AT + 24, 4, 4);
	put(file, NOTE_AT + 28, wide ? 8 : 4, 4);
	put(file, NOTE_AT + 32, 18, 4);
	memcpy(file + NOTE_AT + 36, "Xen", 4);
	put(file, NOTE_AT + 40, MiB(16) + 0x123, wide ? 8 : 4);
	elf_make(file, wide, 0x81000000, rows, count);
	img = (struct load_image){
		.kernel = file, .kernel_size = sizeof(file), .cmdline = "console=ttyS0"};
	memset(&why, 0x7f, sizeof(why));
	memset(&entry, 0x7f, sizeof(entry));
}

static int setup(unused void **state)
{
	wide = true;
	file_make();
	memset(initrd, 0xa5, sizeof(initrd));
	memory_make(MiB(128));
	return 0;
}

static int teardown(unused void **state)
{
	memory_drop();
	return 0;
}

static void remake(void)
{
	elf_make(file, wide, 0x81000000, rows, count);
}

static void refused(int error, const char *part)
{
	memset(&why, 0x7f, sizeof(why));
	assert_int_equal(load_kernel(&g, &m, &img, &entry, &why), -error);
	assert_non_null(memchr(why.text, 0, sizeof(why.text)));
	if (!strstr(why.text, part))
		fail_msg("\"%s\" lacks \"%s\"", why.text, part);
	assert_true(strlen(why.text) < sizeof(why.text) - 1); /* not cut */
}

static void loaded(void)
{
	int r = load_kernel(&g, &m, &img, &entry, &why);

	if (r)
		print_message("%s\n", why.text);
	assert_int_equal(r, 0);
	assert_string_equal(why.text, "");
}

static void both_classes(unused void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		wide = i;
		file_make();
		assert_string_equal(load_format(file, sizeof(file)), "PVH");
		loaded();
		assert_false(entry.long_mode);
		assert_int_equal(entry.rip, MiB(16) + 0x123);
		assert_int_equal(entry.ebx, 0x10000);
		assert_int_equal(entry.eax, 0);
		assert_int_equal(entry.rsi, 0);
		assert_true(memory_is(MiB(16), file + TEXT_AT, 0x1000));
		assert_true(memory_is(MiB(18), file + DATA_AT, 0x800));
		assert_int_equal(get(MiB(18) + 0x800, 8), 0);
		assert_int_equal(get(entry.gdt + 0x10, 8), 0x00cf9b000000ffffULL);
		assert_int_equal(get(entry.gdt + 0x18, 8), 0x00cf93000000ffffULL);
	}
}

static void start_info(unused void **state)
{
	const struct {
		unsigned at, size;
		u64 value;
	} fields[] = {
		{0, 4, 0x336ec578}, {4, 4, 1},        {8, 4, 0},  {12, 4, 3},
		{24, 8, 0x20000},   {32, 8, 0xe0000}, {48, 4, 4}, {52, 4, 0},
	};
	gpa_t map, list;

	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	img.module[0] = (struct load_module){(const u8 *)"one", 3, "first text"};
	img.module[1] = (struct load_module){(const u8 *)"two2", 4, NULL};
	img.modules = 2;
	loaded();
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		assert_int_equal(get(entry.ebx + fields[i].at, fields[i].size), fields[i].value);
	assert_true(memory_is(0x20000, "console=ttyS0", 14));
	map = get(entry.ebx + 40, 8);
	for (unsigned i = 0; i < m.e820_count; i++) {
		assert_int_equal(get(map + 24 * i, 8), m.e820[i].base);
		assert_int_equal(get(map + 24 * i + 8, 8), m.e820[i].size);
		assert_int_equal(get(map + 24 * i + 16, 4), m.e820[i].type);
		assert_int_equal(get(map + 24 * i + 20, 4), 0);
	}
	/* Behind the kernel, each from a page's beginning. */
	list = get(entry.ebx + 16, 8);
	assert_int_equal(get(list, 8), MiB(18) + 0x5000);
	assert_int_equal(get(list + 8, 8), sizeof(initrd));
	assert_int_equal(get(get(list + 16, 8), 1), 0);
	assert_true(memory_is(get(list, 8), initrd, sizeof(initrd)));
	assert_int_equal(get(list + 32, 8), MiB(18) + 0x5000 + ALIGN_UP(sizeof(initrd), PAGE_SIZE));
	assert_int_equal(get(list + 40, 8), 3);
	assert_true(memory_is(get(list + 32, 8), "one", 3));
	assert_true(memory_is(get(list + 48, 8), "first text", 11));
	assert_int_equal(get(list + 56, 8), 0);
	assert_int_equal(get(list + 72, 8), 4);
	assert_int_equal(get(get(list + 80, 8), 1), 0);
	/* And none. */
	img.initrd_size = img.modules = 0;
	loaded();
	assert_int_equal(get(entry.ebx + 12, 4), 0);
	assert_int_equal(get(entry.ebx + 16, 8), 0);
}

static void notes(unused void **state)
{
	/* In 8-byte alignment, as some linkers have it. */
	rows[2].align = 8;
	memset(file + NOTE_AT, 0, 0x100);
	put(file, NOTE_AT, 4, 4);
	put(file, NOTE_AT + 4, 4, 4);
	put(file, NOTE_AT + 8, 18, 4);
	memcpy(file + NOTE_AT + 12, "Xen", 4);
	put(file, NOTE_AT + 16, MiB(16), 4);
	remake();
	loaded();
	assert_int_equal(entry.rip, MiB(16));
	/* Not the one, and then none. */
	put(file, NOTE_AT + 8, 17, 4);
	refused(HV_ENOEXEC, "neither a PVH note (Linux: CONFIG_PVH=y) nor a Multiboot header");
	assert_string_equal(load_format(file, sizeof(file)), "ELF");
	put(file, NOTE_AT + 8, 18, 4);
	memcpy(file + NOTE_AT + 12, "Zen", 4);
	refused(HV_ENOEXEC, "neither a PVH note");
	/* Damaged. */
	memcpy(file + NOTE_AT + 12, "Xen", 4);
	put(file, NOTE_AT + 4, 5, 4);
	refused(HV_ENOEXEC, "PVH note is damaged");
	put(file, NOTE_AT + 4, 8, 4);
	rows[2].filesz = 20;
	remake();
	refused(HV_ENOEXEC, "PVH note is damaged");
	rows[2].filesz = 0xffff;
	remake();
	refused(HV_ENOEXEC, "PVH note is damaged, or the file is cut off");
	rows[2].offset = ~0ULL;
	remake();
	refused(HV_ENOEXEC, "PVH note is damaged");
	/* Too short for a note at all; sizes that go round. */
	rows[2] = (struct elf_row){4, NOTE_AT, 0, 0, 11, 11, 4};
	remake();
	refused(HV_ENOEXEC, "neither a PVH note");
	rows[2].filesz = 0x100;
	remake();
	put(file, NOTE_AT, ~0ULL, 8);
	refused(HV_ENOEXEC, "neither a PVH note");
}

static void entries(unused void **state)
{
	static const u64 bad[] = {
		0,        0x1000,           MiB(16) - 1, MiB(16) + 0x1000, MiB(18) + 0x5000,
		MiB(128), GiB(4) + MiB(16), ~0ULL};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(file, NOTE_AT + 40, bad[i], 8);
		refused(HV_ENOEXEC, "entry point, 0x");
	}
	put(file, NOTE_AT + 40, MiB(18) + 0x4fff, 8);
	loaded();
	assert_int_equal(entry.rip, MiB(18) + 0x4fff);
}

static void segments(unused void **state)
{
	static const struct {
		struct elf_row row;
		const char *part;
		int error;
	} bad[] = {
		{{1, TEXT_AT, 0, MiB(18), 0x2000, 0x1000, 0},
		 "segment 1 has more bytes in the file",
		 HV_ENOEXEC},
		{{1, TEXT_AT, 0, MiB(18), 0x2001, 0x3000, 0}, "cut off: its segment 1", HV_ENOEXEC},
		{{1, ~0ULL, 0, MiB(18), 2, 0x3000, 0}, "cut off: its segment 1", HV_ENOEXEC},
		{{1, TEXT_AT, 0, MiB(128) - 0x1000, 16, 0x1001, 0},
		 "not in the guest's RAM of 128 MiB",
		 HV_ENOMEM},
		{{1, TEXT_AT, 0, MiB(18), 16, ~0ULL, 0}, "not in the guest's RAM", HV_ENOMEM},
		{{1, TEXT_AT, 0, ~0ULL - 15, 16, 32, 0}, "not in the guest's RAM", HV_ENOMEM},
		{{1, TEXT_AT, 0, 0xa0000, 16, 32, 0}, "not in the guest's RAM", HV_ENOMEM},
		{{1, TEXT_AT, 0, MACHINE_LOW_END - 8, 16, 16, 0},
		 "not in the guest's RAM",
		 HV_ENOMEM},
		{{1, TEXT_AT, 0, GiB(4), 16, 32, 0}, "not in the guest's RAM", HV_ENOMEM},
		{{1, TEXT_AT, 0, MiB(16) + 0xfff, 16, 32, 0},
		 "segment 1 of the kernel (0x20 bytes at 0x1000fff) lies over",
		 HV_ENOEXEC},
		{{1, TEXT_AT, 0, MiB(16) - 31, 16, 32, 0}, "lies over another one", HV_ENOEXEC},
		{{1, TEXT_AT, 0, 0x1fff, 16, 32, 0},
		 "what the loader puts below 0x30000",
		 HV_ENOEXEC},
		{{1, TEXT_AT, 0, 0xffff, 16, 32, 0}, "lies over", HV_ENOEXEC},
		{{1, TEXT_AT, 0, 0x2ffff, 16, 32, 0}, "lies over", HV_ENOEXEC},
		{{1, TEXT_AT, 0, 0, 16, 32, 0}, "lies over", HV_ENOEXEC},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		rows[1] = bad[i].row;
		remake();
		refused(bad[i].error, bad[i].part);
	}
	/* Nothing of a bad kernel was written. */
	assert_int_equal(get(MiB(16), 8), 0);
	/* What touches is no overlap; one without memory is nothing; and low memory is RAM too. */
	rows[1] = (struct elf_row){1, TEXT_AT, 0, MiB(16) + 0x1000, 16, 32, 0};
	remake();
	loaded();
	rows[1] = (struct elf_row){1, ~0ULL, 0, ~0ULL, 0, 0, 0};
	remake();
	loaded();
	rows[1] = (struct elf_row){1, TEXT_AT, 0, 0x30000, 0x100, MACHINE_LOW_END - 0x30000, 0};
	remake();
	loaded();
	assert_true(memory_is(0x30000, file + TEXT_AT, 0x100));
}

static void many_segments(unused void **state)
{
	for (count = 3; count < 34; count++)
		rows[count] = (struct elf_row){1, TEXT_AT, 0, MiB(20) + count * 0x1000, 8, 8, 0};
	/* The headers reach to where the note was. */
	memmove(file + 0x900, file + NOTE_AT, 0x100);
	rows[2].offset = 0x900;
	remake();
	refused(HV_ENOEXEC, "more than the 32 segments");
	count = 33;
	img.initrd = initrd;
	img.initrd_size = 1;
	for (img.modules = 0; img.modules < LOAD_MODULES_MAX; img.modules++)
		img.module[img.modules] = (struct load_module){initrd, 1, NULL};
	remake();
	loaded();
	assert_int_equal(get(entry.ebx + 12, 4), 9);
}

static void headers(unused void **state)
{
	static const struct {
		u64 value;
		unsigned at, size;
		const char *part;
	} bad[] = {
		{3, 18, 2, "no ELF program for x86"},       /* machine */
		{1, 16, 2, "no ELF program for x86"},       /* an object file */
		{2, 5, 1, "no ELF program for x86"},        /* big endian */
		{3, 4, 1, "no ELF program for x86"},        /* class */
		{55, 54, 2, "program headers have 55"},     /* phentsize */
		{0xffff, 56, 2, "cut off: of its 65535"},   /* phnum */
		{sizeof(file), 32, 8, "cut off: of its 3"}, /* phoff */
		{~0ULL, 32, 8, "cut off: of its 3"},        {0, 56, 2, "neither a PVH note"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		file_make();
		put(file, bad[i].at, bad[i].value, bad[i].size);
		refused(HV_ENOEXEC, bad[i].part);
	}
	/* A note and nothing to load. */
	file_make();
	rows[0] = rows[2];
	count = 1;
	remake();
	refused(HV_ENOEXEC, "nothing to load");
	/* Cut at any length: on the heap, so that a read beyond it shows. */
	file_make();
	for (u64 size = 1; size < 0x2800; size += size < 0x400 ? 1 : 61) {
		u8 *cut = malloc(size);

		memcpy(cut, file, size);
		img.kernel = cut;
		img.kernel_size = size;
		refused(HV_ENOEXEC, size < 52 ? "no file that can be booted" : "the kernel");
		free(cut);
	}
}

static void too_much(unused void **state)
{
	u8 *big = calloc(1, MiB(112));
	char *text = malloc(0x10001);

	img.initrd = big;
	img.initrd_size = MiB(128) - (MiB(18) + 0x5000);
	loaded();
	/* One byte more is not behind the kernel; below it there are 15 MiB. */
	img.initrd_size++;
	refused(HV_ENOMEM,
		"the initrd or module of 110 MiB does not fit beside the kernel into the guest's 128 MiB");
	img.initrd_size = ~0ULL;
	refused(HV_ENOMEM, "does not fit");
	img.initrd_size = MiB(105);
	img.module[0] = (struct load_module){big, MiB(15), NULL};
	img.modules = 1;
	loaded();
	assert_int_equal(get(get(entry.ebx + 16, 8) + 32, 8), MiB(1));
	img.initrd_size = img.modules = 0;
	memset(text, 'x', 0x10000);
	text[0x10000] = '\0';
	img.cmdline = text;
	refused(HV_E2BIG, "more than the 65535 characters");
	text[0xffff] = '\0';
	loaded();
	img.cmdline = NULL;
	loaded();
	assert_int_equal(get(0x20000, 1), 0);
	img.module[0] = (struct load_module){big, 1, text};
	img.modules = 1;
	refused(HV_E2BIG, "the modules' texts");
	text[0xefff] = '\0';
	loaded();
	free(big);
	free(text);
}

static void exhausted(unused void **state)
{
	mock_host.mem_limit = mock_host.live_bytes;
	refused(HV_EFAULT, "cannot be written");
}

static void choice(unused void **state)
{
	u8 other[0x300] = {0};

	assert_null(load_format(NULL, 0));
	assert_null(load_format(other, sizeof(other)));
	img.kernel = NULL;
	refused(HV_ENOEXEC, "no file that can be booted");
	put(other, 0x1fe, 0xaa55, 2);
	put(other, 0x202, 0x53726448, 4);
	assert_string_equal(load_format(other, sizeof(other)), "Linux bzImage");
	img.kernel = other;
	img.kernel_size = sizeof(other);
	refused(HV_ENOEXEC, "boot protocol 0.00");
	/* Both notes and header: PVH. Without the note: Multiboot. */
	put(file, 0x400, 0x1badb002, 4);
	put(file, 0x408, 0u - 0x1badb002, 4);
	assert_string_equal(load_format(file, sizeof(file)), "PVH");
	put(file, NOTE_AT + 32, 17, 4);
	assert_string_equal(load_format(file, sizeof(file)), "Multiboot");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(both_classes), TEST(start_info),    TEST(notes),   TEST(entries),
		TEST(segments),     TEST(many_segments), TEST(headers), TEST(too_much),
		TEST(exhausted),    TEST(choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
