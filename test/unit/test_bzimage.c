/* SPDX-License-Identifier: MIT */
/*
 * vmm/load/bzimage.c and zeropage.c: placement of kernel, initrd and command line, every byte of
 * the zero page, page tables and GDT, and images made to break the loader.
 */
/* SOURCES: vmm/load/bzimage.c vmm/load/bz_header.c vmm/load/loader.c vmm/load/zeropage.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c vmm/lib/fmt.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/load.h>
#include <vmm/machine.h>
#include "test/mock/mock.h"

static struct pagetable npt;
static struct gmem g;
static struct machine m;
static struct load_image img;
static struct load_entry entry;
static struct load_error why;

static void *table_alloc(void *ctx)
{
	(void)ctx;
	return host_page_zalloc();
}
static void table_free(void *ctx, void *page)
{
	(void)ctx;
	host_page_free(page);
}
static void *table_va(void *ctx, hpa_t pa)
{
	(void)ctx;
	return host_va(pa);
}
static hpa_t table_pa(void *ctx, const void *va)
{
	(void)ctx;
	return host_pa(va);
}
static const struct pt_mem mem = {table_alloc, table_free, table_va, table_pa, NULL};

static void machine_with(u64 size)
{
	assert_int_equal(machine_describe(&m, "guest", 1, size), 0);
	gmem_init(&g, &npt);
	assert_int_equal(gmem_add(&g, 0, m.mem_low), 0);
	if (m.mem_high)
		assert_int_equal(gmem_add(&g, MACHINE_HIGH_BASE, m.mem_high), 0);
}

/* An image like a real one: 64-bit, relocatable, 34 MiB from 16 MiB on. */
#define SETUP_SECTS 31
#define SETUP       ((SETUP_SECTS + 1) * 512)
#define PAYLOAD     (100 * 1024)

static u8 file[SETUP + PAYLOAD];
static u8 initrd[70000];

static void put(unsigned at, u64 v, unsigned size)
{
	memcpy(file + at, &v, size);
}

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	mock_host.mem_limit = GiB(8);
	assert_int_equal(pt_init(&npt, &pt_format_ept, &mem, 3), 0);
	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = (u8)(i * 3 + (i >> 8) + 1);
	for (size_t i = 0; i < sizeof(initrd); i++)
		initrd[i] = (u8)(i * 5 + (i >> 8));
	memset(file + 0x1f1, 0, 0x290 - 0x1f1);
	put(0x1f1, SETUP_SECTS, 1);
	put(0x1f4, PAYLOAD / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x200, 0x6aeb, 2);
	put(0x202, 0x53726448, 4);
	put(0x206, 0x020f, 2);
	put(0x211, 0x03, 1); /* LOADED_HIGH, and a KASLR flag that no loader may pass on */
	put(0x22c, 0x7fffffff, 4);
	put(0x230, 0x200000, 4);
	put(0x234, 1, 1);
	put(0x236, 0x0f, 2);
	put(0x238, 2047, 4);
	put(0x23c, 3, 4);            /* a foreign subarchitecture */
	put(0x250, 0x1122334455, 8); /* setup_data: a wild pointer */
	put(0x258, 0x1000000, 8);
	put(0x260, MiB(34), 4);
	img = (struct load_image){
		.kernel = file, .kernel_size = sizeof(file), .cmdline = "console=ttyS0"};
	memset(&why, 0x7f, sizeof(why));
	memset(&entry, 0x7f, sizeof(entry));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_destroy(&npt);
	gmem_destroy(&g);
	return 0;
}

static u64 get(gpa_t at, unsigned size)
{
	u64 v = 0;

	assert_int_equal(gmem_read(&g, at, &v, size), 0);
	return v;
}

static void expect_bytes(gpa_t at, const void *want, u64 len)
{
	const void *p = gmem_ptr(&g, at, len);

	assert_non_null(p);
	assert_memory_equal(p, want, len);
}

static void expect_loaded(gpa_t kernel)
{
	int r = load_bzimage(&g, &m, &img, &entry, &why);

	if (r)
		print_message("%s\n", why.text);
	assert_int_equal(r, 0);
	assert_int_equal(entry.rip, kernel + 0x200);
	assert_true(entry.long_mode);
	assert_int_equal(get(entry.rsi + 0x214, 4), kernel);
	expect_bytes(kernel, file + SETUP, PAYLOAD);
}

/* A refusal is one sentence; nothing of the guest's memory was needed for it. */
static void expect_refused(int error, const char *part)
{
	assert_int_equal(load_bzimage(&g, &m, &img, &entry, &why), -error);
	assert_true(memchr(why.text, 0, sizeof(why.text)) != NULL);
	if (!strstr(why.text, part))
		fail_msg("\"%s\" lacks \"%s\"", why.text, part);
	assert_true(strlen(why.text) < sizeof(why.text) - 1); /* not cut */
}

static void test_placed(void **state)
{
	(void)state;
	machine_with(MiB(128));
	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	expect_loaded(MiB(16));
	/* The initrd ends with memory, on a page of its own. */
	assert_int_equal(get(entry.rsi + 0x218, 4),
			 ALIGN_DOWN(MiB(128) - sizeof(initrd), PAGE_SIZE));
	assert_int_equal(get(entry.rsi + 0x21c, 4), sizeof(initrd));
	expect_bytes(get(entry.rsi + 0x218, 4), initrd, sizeof(initrd));
	/* Only what was written has been populated. */
	assert_int_equal(g.populated, MiB(6));
}

static void test_zero_page(void **state)
{
	static const struct {
		unsigned at, size;
		u64 value;
	} rows[] = {
		{0x000, 8, 0},       /* screen_info */
		{0x070, 8, 0xe0000}, /* acpi_rsdp_addr */
		{0x1e8, 1, 4},       /* e820 entries */
		{0x1ef, 1, 0},       /* sentinel */
		{0x1f1, 1, SETUP_SECTS}, {0x1fa, 2, 0xffff},
		{0x1fe, 2, 0xaa55},      {0x202, 4, 0x53726448},
		{0x206, 2, 0x20f},       {0x210, 1, 0xff},
		{0x211, 1, 0x01},        {0x226, 2, 0},
		{0x228, 4, 0x20000},     {0x22c, 4, 0x7fffffff},
		{0x236, 2, 0x0f},        {0x238, 4, 2047},
		{0x23c, 4, 0},           {0x240, 8, 0},
		{0x250, 8, 0},           {0x258, 8, 0x1000000},
		{0x260, 4, MiB(34)},     {0x290, 8, 0}, /* beyond the header: not the file's */
		{0x2d0, 8, 0},           {0x2d8, 8, 0x9f800},
		{0x2e0, 4, 1},           {0x2e4, 8, 0x9f800},
		{0x2ec, 8, 0x60800},     {0x2f4, 4, 2},
		{0x2f8, 8, 0x100000},    {0x300, 8, MiB(127)},
		{0x308, 4, 1},           {0x30c, 8, 0xe0000000},
		{0x314, 8, 0x100000},    {0x31c, 4, 2},
		{0xff8, 8, 0},
	};

	(void)state;
	machine_with(MiB(128));
	expect_loaded(MiB(16));
	assert_int_equal(entry.rsi, 0x10000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(get(entry.rsi + rows[i].at, rows[i].size), rows[i].value);
	/* Before the header and after it nothing of the file shows. */
	for (unsigned at = 0x78; at < 0x1e8; at++)
		assert_int_equal(get(entry.rsi + at, 1), 0);
	assert_int_equal(get(entry.rsi + 0x26c, 4), 0);
	expect_bytes(0x20000, "console=ttyS0", 14);
	/* No command line is an empty one. */
	img.cmdline = NULL;
	expect_loaded(MiB(16));
	assert_int_equal(get(0x20000, 1), 0);
}

static void test_cpu_tables(void **state)
{
	(void)state;
	machine_with(MiB(128));
	expect_loaded(MiB(16));
	assert_int_equal(entry.gdt_limit, 31);
	assert_int_equal(get(entry.gdt + 0x10, 8), 0x00af9b000000ffffULL); /* 64-bit code */
	assert_int_equal(get(entry.gdt + 0x18, 8), 0x00cf93000000ffffULL); /* flat data */
	assert_true(gmem_is_ram(&g, entry.rsp - 8, 8));
	for (u64 va = 0; va < GiB(4); va += MiB(2)) {
		u64 pml4e = get(entry.cr3 + (va >> 39) * 8, 8);
		u64 pdpte = get((pml4e & GENMASK(51, 12)) + (va >> 30 & 511) * 8, 8);
		u64 pde = get((pdpte & GENMASK(51, 12)) + (va >> 21 & 511) * 8, 8);

		assert_int_equal(pml4e & 0x83, 3);
		assert_int_equal(pdpte & 0x83, 3);
		assert_int_equal(pde & 0x83, 0x83);
		assert_int_equal(pde & GENMASK(51, 21), va);
	}
	assert_int_equal(get(entry.cr3 + 8, 8), 0);
}

static void test_where(void **state)
{
	(void)state;
	/* Just enough. */
	machine_with(MiB(50));
	expect_loaded(MiB(16));
	teardown(NULL);
	setup(NULL);
	/* A preferred address that its own alignment forbids: the next one that does not, for below it the kernel would move. */
	put(0x258, 0x1100000, 8);
	machine_with(MiB(128));
	expect_loaded(MiB(18));
	put(0x234, 0, 1); /* it cannot move: taken at its word */
	expect_loaded(0x1100000);
}

static void test_too_little_memory(void **state)
{
	(void)state;
	machine_with(MiB(50) - PAGE_SIZE);
	expect_refused(HV_ENOMEM, "from 16 MiB on");
	teardown(NULL);
	setup(NULL);
	machine_with(MiB(32));
	expect_refused(
		HV_ENOMEM,
		"the kernel needs 34 MiB of memory from 16 MiB on, and the guest has 32 MiB: give it more with mem=96M");
	put(0x234, 0, 1);
	expect_refused(
		HV_ENOMEM,
		"the kernel needs 34 MiB of memory from 16 MiB on, and the guest has 32 MiB: give it more with mem=96M");
	put(0x258, GiB(5), 8); /* beyond low memory */
	expect_refused(HV_ENOMEM, "from 5120 MiB on");
	put(0x258, ~0ULL << 12, 8);
	expect_refused(HV_ENOMEM, "mem=");
	put(0x260, 0xffffffff, 4);
	expect_refused(HV_ENOMEM, "the kernel needs 4096 MiB");
}

static void test_initrd(void **state)
{
	u8 *big = calloc(1, MiB(80));

	(void)state;
	machine_with(MiB(128));
	img.initrd = big;
	/* Exactly what is left above the kernel. */
	img.initrd_size = MiB(128 - 50);
	expect_loaded(MiB(16));
	assert_int_equal(get(entry.rsi + 0x218, 4), MiB(50));
	/* One byte more lies below it, if it fits there. */
	img.initrd_size = MiB(128 - 50) + 1;
	expect_refused(HV_ENOMEM, "initial RAM disk");
	assert_non_null(strstr(why.text, "the guest has 128 MiB"));
	/* initrd_addr_max is the last byte's. */
	put(0x22c, MiB(60) - 1, 4);
	img.initrd_size = MiB(10);
	expect_loaded(MiB(16));
	assert_int_equal(get(entry.rsi + 0x218, 4), MiB(50));
	img.initrd_size = MiB(10) + 1;
	expect_loaded(MiB(16));
	assert_int_equal(get(entry.rsi + 0x218, 4), MiB(16) - MiB(10) - PAGE_SIZE);
	img.initrd_size = MiB(15) + 1;
	expect_refused(HV_ENOMEM, "initial RAM disk");
	put(0x22c, 0, 4);
	img.initrd_size = 1;
	expect_refused(HV_ENOMEM, "initial RAM disk");
	put(0x22c, 0xffffffff, 4);
	expect_loaded(MiB(16));
	img.initrd_size = ~0ULL;
	expect_refused(HV_ENOMEM, "initial RAM disk");
	free(big);
}

/* In a guest with more than 3 GiB the initrd stays below what the kernel can reach. */
static void test_big_guest(void **state)
{
	(void)state;
	machine_with(GiB(5));
	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	expect_loaded(MiB(16));
	assert_int_equal(get(entry.rsi + 0x218, 4), ALIGN_DOWN(GiB(2) - sizeof(initrd), PAGE_SIZE));
	put(0x22c, 0xffffffff, 4);
	expect_loaded(MiB(16));
	assert_int_equal(get(entry.rsi + 0x218, 4), ALIGN_DOWN(GiB(3) - sizeof(initrd), PAGE_SIZE));
	assert_int_equal(get(entry.rsi + 0x1e8, 1), 5);
}

static void test_cmdline(void **state)
{
	char *text = malloc(0x20001);

	(void)state;
	machine_with(MiB(128));
	memset(text, 'x', 0x20000);
	text[2047] = '\0';
	img.cmdline = text;
	expect_loaded(MiB(16));
	expect_bytes(0x20000, text, 2048);
	text[2047] = 'x';
	text[2048] = '\0';
	expect_refused(HV_E2BIG, "more than the 2047 characters");
	/* A header that promises more than there is room for. */
	put(0x238, 0xffffffff, 4);
	text[2048] = 'x';
	text[0x10000] = '\0';
	expect_refused(HV_E2BIG, "more than the 65535 characters");
	text[0xffff] = '\0';
	expect_loaded(MiB(16));
	put(0x238, 0, 4);
	expect_refused(HV_E2BIG, "0 characters");
	free(text);
}

static void test_no_kernel(void **state)
{
	u8 *tiny;

	(void)state;
	machine_with(MiB(128));
	assert_true(load_is_bzimage(file, sizeof(file)));
	assert_false(load_is_bzimage(file, 0x205));
	assert_false(load_is_bzimage(NULL, 0));
	img.kernel_size = 0;
	expect_refused(HV_ENOEXEC, "no Linux bzImage");
	/* Cut at every length of the setup: on the heap, so that a read beyond it shows. */
	for (u64 size = 1; size < SETUP + 100; size = size < 0x300 ? size + 1 : size + 97) {
		tiny = malloc(size);
		memcpy(tiny, file, size);
		img.kernel = tiny;
		img.kernel_size = size;
		expect_refused(HV_ENOEXEC, size < 0x206 ? "no Linux bzImage" : "cut off");
		free(tiny);
	}
	img.kernel = file;
	img.kernel_size = sizeof(file) - 15; /* its size is counted in 16 bytes, rounded up */
	assert_int_equal(load_bzimage(&g, &m, &img, &entry, &why), 0);
	expect_bytes(MiB(16), file + SETUP, PAYLOAD - 15);
	teardown(NULL);
	setup(NULL);
	machine_with(MiB(128));
	img.kernel_size = sizeof(file) - 16;
	expect_refused(HV_ENOEXEC, "cut off");
	img.kernel_size = sizeof(file);
	put(0x1fe, 0xaa54, 2);
	expect_refused(HV_ENOEXEC, "no Linux bzImage");
	put(0, 0x464c457f, 4); /* an ELF file */
	expect_refused(HV_ENOEXEC, "no Linux bzImage");
}

static void test_wrong_kernels(void **state)
{
	static const struct {
		const char *part;
		u64 value;
		unsigned at, size;
	} rows[] = {
		{"boot protocol 2.01 and 2.02 is needed", 0x0201, 0x206, 2},
		{"zImage", 0, 0x211, 1},
		{"header ends at 0x263", 0x61, 0x201, 1},
		{"header ends at", 0, 0x201, 1},
		{"header ends at 0x239", 0x37, 0x201, 1},
		{"damaged", 0, 0x1f4, 4},
		{"damaged", 0x20, 0x1f4, 4}, /* up to the entry point only */
		{"cut off", PAYLOAD / 16 + 1, 0x1f4, 4},
		{"cut off", 0xffffffff, 0x1f4, 4},
		{"cut off", 0xff, 0x1f1, 1},
		{"damaged", 0, 0x260, 4},
		{"damaged", PAYLOAD - 1, 0x260, 4},
		{"aligned to 0x0", 0, 0x230, 4},
		{"aligned to", 3, 0x230, 4},
		{"aligned to", 0x800, 0x230, 4},
		{"aligned to", 0x80000000, 0x230, 4},
		{"loaded at 0x0", 0, 0x258, 8},
		{"loaded at", 0x1000, 0x258, 8},
		{"loaded at", 0x1000001, 0x258, 8},
	};

	(void)state;
	machine_with(MiB(128));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 kept[sizeof(u64)];

		memcpy(kept, file + rows[i].at, sizeof(kept));
		put(rows[i].at, rows[i].value, rows[i].size);
		expect_refused(HV_ENOEXEC, rows[i].part);
		memcpy(file + rows[i].at, kept, sizeof(kept));
	}
	/* setup_sects 0 means 4; the longest header there can be. */
	put(0x1f1, 0, 1);
	put(0x201, 0xff, 1);
	assert_int_equal(load_bzimage(&g, &m, &img, &entry, &why), 0);
	expect_bytes(MiB(16), file + 5 * 512, PAYLOAD);
	assert_int_equal(get(entry.rsi + 0x290, 8), 0);
	/* Bytes after the payload (a signature) are no concern of the loader's. */
	img.kernel_size = 5 * 512 + PAYLOAD;
	assert_int_equal(load_bzimage(&g, &m, &img, &entry, &why), 0);
}

/* The 32-bit entry: of kernels without another, and of old ones whose header tells less. */
static void expect_entry_32(gpa_t kernel)
{
	assert_int_equal(load_bzimage(&g, &m, &img, &entry, &why), 0);
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, kernel);
	assert_int_equal(entry.rsi, 0x10000);
	assert_int_equal(entry.eax | entry.ebx | entry.cr3, 0);
	assert_int_equal(get(entry.rsi + 0x214, 4), kernel);
	assert_int_equal(get(entry.gdt + 0x10, 8), 0x00cf9b000000ffffULL); /* 32-bit code */
	assert_int_equal(get(entry.gdt + 0x18, 8), 0x00cf93000000ffffULL);
	expect_bytes(kernel, file + SETUP, PAYLOAD);
}

static void test_entry_32(void **state)
{
	char text[300];

	(void)state;
	machine_with(MiB(128));
	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	put(0x236, 0x0e, 2);
	expect_entry_32(MiB(16));
	/* Before 2.12 there is no word about it. */
	put(0x236, 1, 2);
	put(0x206, 0x020b, 2);
	expect_entry_32(MiB(16));
	/* Before 2.10: at 1 MiB, aligned as it says; three times the payload is taken to be in use. */
	put(0x206, 0x0209, 2);
	expect_entry_32(MiB(2));
	put(0x234, 0, 1);
	expect_entry_32(MiB(1));
	/* Before 2.06 the command line has 255 characters, before 2.05 nothing moves, before 2.04 the size means nothing. */
	put(0x206, 0x0205, 2);
	memset(text, 'x', sizeof(text));
	text[255] = '\0';
	img.cmdline = text;
	expect_entry_32(MiB(1));
	text[255] = 'x';
	text[256] = '\0';
	expect_refused(HV_E2BIG, "more than the 255 characters");
	text[1] = '\0';
	put(0x206, 0x0203, 2);
	put(0x230, 3, 4);
	put(0x234, 1, 1);
	put(0x1f4, 0, 4);
	put(0x201, 0x2e, 1);
	expect_entry_32(MiB(1));
	/* And before 2.03 the initrd has to end below 896 MiB. */
	teardown(NULL);
	setup(NULL);
	machine_with(GiB(1));
	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	put(0x206, 0x0202, 2);
	put(0x201, 0x2a, 1);
	expect_entry_32(MiB(1));
	assert_int_equal(get(entry.rsi + 0x218, 4),
			 ALIGN_DOWN(0x38000000 - sizeof(initrd), PAGE_SIZE));
	put(0x201, 0x29, 1);
	expect_refused(HV_ENOEXEC, "header ends at 0x22b");
	/* A header and nothing behind it. */
	put(0x201, 0x2a, 1);
	img.kernel_size = SETUP;
	expect_refused(HV_ENOEXEC, "damaged");
	img.kernel_size = SETUP - 600;
	expect_refused(HV_ENOEXEC, "cut off");
}

static void test_no_modules(void **state)
{
	(void)state;
	machine_with(MiB(128));
	img.modules = 1;
	expect_refused(HV_EINVAL, "no further modules");
}

/* Loading again after a reset gives the same. */
static void test_again(void **state)
{
	u8 before[4096];

	(void)state;
	machine_with(MiB(128));
	img.initrd = initrd;
	img.initrd_size = sizeof(initrd);
	expect_loaded(MiB(16));
	assert_int_equal(gmem_read(&g, entry.rsi, before, sizeof(before)), 0);
	assert_int_equal(gmem_set(&g, 0, 0xee, MiB(1)), 0);
	assert_int_equal(gmem_scrub(&g), 0);
	expect_loaded(MiB(16));
	expect_bytes(entry.rsi, before, sizeof(before));
}

/* The host runs out of memory meanwhile. */
static void test_host_exhausted(void **state)
{
	(void)state;
	machine_with(MiB(128));
	mock_host.mem_limit = mock_host.live_bytes;
	assert_int_equal(load_bzimage(&g, &m, &img, &entry, &why), -HV_EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_placed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zero_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpu_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_where, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_little_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_initrd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_big_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmdline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_kernels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entry_32, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_modules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_exhausted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
