/* SPDX-License-Identifier: MIT */
/*
 * arch/host/acpi_tables.c on a machine of 2 MiB: every way to the RSDP, both root tables, FADTs of several ages, MADT
 * entries, \_S5 in its encodings; and tables that lie. What is mapped stands alone in a heap block of exactly its size.
 */
/* SOURCES: arch/host/acpi_tables.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/host/acpi_tables.h"

static const u8 signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};

#define MEM_SIZE 0x200000u

static u8 mem[MEM_SIZE];
static void *mapped[4096];
static unsigned mapped_count;
static struct acpi_info info;
static u8 rsdp[ACPI_RSDP_MAX];

static const u8 *map(void *ctx, hpa_t pa, u64 size)
{
	u8 *p;

	(void)ctx;
	if (pa == 0 || pa >= MEM_SIZE || size > MEM_SIZE - pa)
		return NULL;
	p = malloc(size ? size : 1);
	assert_non_null(p);
	assert_true(mapped_count < 4096);
	mapped[mapped_count++] = p;
	memcpy(p, mem + pa, size);
	return p;
}

static const struct acpi_mem m = {.map = map};

static int setup(void **state)
{
	(void)state;
	memset(mem, 0, sizeof(mem));
	memset(rsdp, 0, sizeof(rsdp));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (mapped_count)
		free(mapped[--mapped_count]);
	return 0;
}

static void w32(u8 *p, u32 v)
{
	memcpy(p, &v, 4);
}

static void w64(u8 *p, u64 v)
{
	memcpy(p, &v, 8);
}

static void fix_sum(u8 *p, size_t len, size_t at)
{
	u8 sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (u8)(sum + p[i]);
	p[at] = (u8)-sum;
}

static u8 *table(u32 pa, const char *sig, u32 len)
{
	memcpy(mem + pa, sig, 4);
	w32(mem + pa + 4, len);
	return mem + pa;
}

static void table_done(u32 pa)
{
	u32 len;

	memcpy(&len, mem + pa + 4, 4);
	fix_sum(mem + pa, len, 9);
}

static void make_rsdp(u8 *p, u8 revision, u32 rsdt, u64 xsdt)
{
	memset(p, 0, ACPI_RSDP_MAX);
	memcpy(p, signature, sizeof(signature));
	p[15] = revision;
	w32(p + 16, rsdt);
	fix_sum(p, 20, 8);
	if (revision >= 2) {
		w32(p + 20, 36);
		w64(p + 24, xsdt);
		fix_sum(p, 36, 32);
	}
}

#define RSDT  0x101000
#define XSDT  0x102000
#define FADT  0x103000
#define MADT  0x104000
#define DSDT  0x105000
#define SSDT  0x106000
#define OTHER 0x107000

static void make_roots(void)
{
	u8 *t = table(RSDT, "RSDT", 36 + 16);

	w32(t + 36, OTHER);
	w32(t + 40, FADT);
	w32(t + 44, MADT);
	w32(t + 48, SSDT);
	table_done(RSDT);
	t = table(XSDT, "XSDT", 36 + 32);
	w64(t + 36, OTHER);
	w64(t + 44, FADT);
	w64(t + 52, MADT);
	w64(t + 60, SSDT);
	table_done(XSDT);
	table(OTHER, "HPET", 56);
	table_done(OTHER);
}

static void gas(u8 *p, u8 space, u64 addr)
{
	p[0] = space;
	w64(p + 4, addr);
}

/* A FADT of ACPI 1.0. */
static u8 *make_fadt(u32 len)
{
	u8 *t = table(FADT, "FACP", len);

	w32(t + 40, DSDT);
	w32(t + 48, 0xb2);
	t[52] = 0xf1;
	w32(t + 64, 0xb004);
	w32(t + 76, 0xb008);
	t[91] = 4;
	t[108] = 0x32;
	table_done(FADT);
	return t;
}

static void make_madt(void)
{
	static const u8 entries[] = {
		0,  8,  0,   0, 1,  0,    0,    0,                              /* CPU 0 */
		0,  8,  1,   1, 0,  0,    0,    0,                              /* off */
		9,  16, 0,   0, 0,  1,    0,    0,    1,  0, 0, 0, 0, 0,  0, 0, /* x2APIC, on */
		1,  12, 5,   0, 0,  0,    0xc0, 0xfe, 0,  0, 0, 0,              /* I/O APIC 5 */
		1,  12, 6,   0, 0,  0x10, 0xc0, 0xfe, 24, 0, 0, 0, 2, 10, 0, 0,
		2,  0,  0,   0, 0,  0,                       /* IRQ 0 -> 2, as the bus has it */
		2,  10, 0,   9, 9,  0,    0,    0,    13, 0, /* IRQ 9: high, level */
		2,  10, 0,   4, 20, 0,    0,    0,    15, 0, /* IRQ 4 -> 20: low, level */
		77, 5,  1,   2, 3,                           /* unknown */
		4,  6,  255, 0, 0,  1,
	};
	u8 *t = table(MADT, "APIC", 44 + sizeof(entries));

	memcpy(t + 44, entries, sizeof(entries));
	table_done(MADT);
}

static bool parse(u8 revision)
{
	make_rsdp(rsdp, revision, RSDT, XSDT);
	return acpi_parse(&info, &m, rsdp, revision >= 2 ? 36 : 20);
}

/* One that firmware lists in both forms is one; those beyond the room are counted. */
static void test_many_cpus(void **state)
{
	u8 *t, *e;

	(void)state;
	make_roots();
	make_fadt(116);
	t = table(MADT, "APIC", 44 + 70 * 16 + 8);
	for (unsigned i = 0; i < 70; i++) {
		e = t + 44 + 16 * i;
		e[0] = 9;
		e[1] = 16;
		w32(e + 4, 200 + i);
		w32(e + 8, 1);
	}
	e = t + 44 + 70 * 16;
	e[1] = 8;
	e[3] = 201;
	w32(e + 4, 1);
	table_done(MADT);
	assert_true(parse(0));
	assert_int_equal(info.cpus, ACPI_CPUS_MAX);
	assert_int_equal(info.cpus_dropped, 6);
	assert_int_equal(info.cpu[63], 263);
}

static void test_acpi_1(void **state)
{
	(void)state;
	make_roots();
	make_fadt(116);
	make_madt();
	assert_true(parse(0));
	assert_false(info.root_is_xsdt);
	assert_true(info.has_fadt);
	assert_int_equal(info.dsdt, DSDT);
	assert_int_equal(info.smi_cmd, 0xb2);
	assert_int_equal(info.acpi_enable, 0xf1);
	assert_int_equal(info.pm1a_cnt.addr, 0xb004);
	assert_int_equal(info.pm1a_cnt.space, ACPI_SPACE_IO);
	assert_int_equal(info.pm1b_cnt.addr, 0);
	assert_int_equal(info.pm_timer, 0xb008);
	assert_false(info.pm_timer_32);
	assert_int_equal(info.century, 0x32);
	assert_int_equal(info.reset.addr, 0);
	assert_true(info.has_madt);
	assert_int_equal(info.cpus, 2);
	assert_int_equal(info.cpu[0], 0);
	assert_int_equal(info.cpu[1], 256);
	assert_int_equal(info.cpus_dropped, 0);
	assert_int_equal(info.ioapics, 2);
	assert_int_equal(info.ioapic[0].id, 5);
	assert_int_equal(info.ioapic[0].addr, 0xfec00000);
	assert_int_equal(info.ioapic[1].gsi_base, 24);
	assert_int_equal(info.overrides, 3);
	assert_int_equal(info.override[0].gsi, 2);
	assert_false(info.override[0].level);
	assert_false(info.override[1].active_low);
	assert_true(info.override[1].level);
	assert_int_equal(info.override[2].irq, 4);
	assert_int_equal(info.override[2].gsi, 20);
	assert_true(info.override[2].active_low);
	assert_true(info.override[2].level);
}

static void test_acpi_6(void **state)
{
	u8 *t;

	(void)state;
	make_roots();
	t = make_fadt(276);
	w32(t + 112, BIT(8) | BIT(10));
	gas(t + 116, ACPI_SPACE_IO, 0xcf9);
	t[128] = 6;
	w64(t + 140, SSDT); /* X_DSDT wins */
	gas(t + 172, ACPI_SPACE_IO, 0x604);
	gas(t + 208, ACPI_SPACE_IO, 0x608);
	table_done(FADT);
	assert_true(parse(2));
	assert_true(info.root_is_xsdt);
	assert_int_equal(info.dsdt, SSDT);
	assert_int_equal(info.reset.addr, 0xcf9);
	assert_int_equal(info.reset_value, 6);
	assert_int_equal(info.pm1a_cnt.addr, 0x604);
	assert_int_equal(info.pm_timer, 0x608);
	assert_true(info.pm_timer_32);
	assert_false(info.has_madt);
	/* A keyboard controller, unless a table that has the flag says otherwise. */
	assert_false(info.no_8042);
	t[8] = 3;
	table_done(FADT);
	assert_true(parse(2));
	assert_true(info.no_8042);
	t[109] = BIT(1);
	table_done(FADT);
	assert_true(parse(2));
	assert_false(info.no_8042);
}

static void test_reduced_hardware(void **state)
{
	u8 *t;

	(void)state;
	make_roots();
	t = make_fadt(276);
	w32(t + 112, BIT(20) | BIT(10));
	gas(t + 116, ACPI_SPACE_MEMORY, 0xfed80000);
	gas(t + 244, ACPI_SPACE_MEMORY, 0xfed80010);
	table_done(FADT);
	assert_true(parse(2));
	assert_true(info.hw_reduced);
	assert_int_equal(info.pm_timer, 0);
	assert_int_equal(info.pm1a_cnt.addr, 0);
	assert_int_equal(info.sleep_control.addr, 0xfed80010);
	assert_int_equal(info.reset.space, ACPI_SPACE_MEMORY);
}

/* Registers that cannot be reached are none. */
static void test_absurd_registers(void **state)
{
	u8 *t;

	(void)state;
	make_roots();
	t = make_fadt(276);
	w32(t + 112, BIT(10));
	gas(t + 116, 0x7f, 0x1234); /* functional fixed hardware */
	gas(t + 172, ACPI_SPACE_IO, 0x10604);
	gas(t + 208, ACPI_SPACE_MEMORY, 0xfed80000);
	w32(t + 48, 0x12345678);
	t[108] = 200;
	table_done(FADT);
	assert_true(parse(2));
	assert_int_equal(info.reset.addr, 0);
	assert_int_equal(info.pm1a_cnt.addr, 0);
	assert_int_equal(info.pm_timer, 0);
	assert_int_equal(info.smi_cmd, 0);
	assert_int_equal(info.century, 0);
}

/* A bad XSDT leaves the RSDT; a bad FADT leaves the MADT. */
static void test_checksums(void **state)
{
	(void)state;
	make_roots();
	make_fadt(116);
	make_madt();
	mem[XSDT + 9]++;
	assert_true(parse(2));
	assert_false(info.root_is_xsdt);
	assert_true(info.has_fadt);
	mem[FADT + 9]++;
	assert_true(parse(2));
	assert_false(info.has_fadt);
	assert_true(info.has_madt);
	mem[RSDT + 9]++;
	assert_false(parse(2));
	assert_false(info.valid);
	make_rsdp(rsdp, 2, RSDT, XSDT);
	rsdp[8]++;
	assert_false(acpi_rsdp_valid(rsdp, 36));
	assert_false(acpi_parse(&info, &m, rsdp, 36));
	make_rsdp(rsdp, 2, RSDT, XSDT);
	assert_false(acpi_rsdp_valid(rsdp, 19));
}

static void test_lengths_lie(void **state)
{
	static const u32 lengths[] = {0, 1, 35, 36, 37, 115, MEM_SIZE, 0x800001, 0xffffffff};

	(void)state;
	make_roots();
	make_fadt(116);
	make_madt();
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		w32(mem + FADT + 4, lengths[i]);
		if (lengths[i] >= 36 && lengths[i] < 4096)
			fix_sum(mem + FADT, lengths[i], 9);
		assert_true(parse(2));
		assert_false(info.has_fadt);
		assert_true(info.has_madt);
	}
	/* MADT entries of length 0, 1, and beyond the end */
	for (u8 len = 0; len < 2; len++) {
		mem[MADT + 45] = len;
		table_done(MADT);
		assert_true(parse(2));
		assert_int_equal(info.cpus, 0);
	}
	mem[MADT + 45] = 255;
	table_done(MADT);
	assert_true(parse(2));
	assert_int_equal(info.cpus, 0);
}

static void test_pointers_lie(void **state)
{
	(void)state;
	make_rsdp(rsdp, 2, 0xffffffff, ~0ULL);
	assert_false(acpi_parse(&info, &m, rsdp, 36));
	make_roots();
	w64(mem + XSDT + 44, ~0ULL - 10);
	w64(mem + XSDT + 52, 0);
	table_done(XSDT);
	assert_true(parse(2));
	assert_false(info.has_fadt);
	assert_false(info.has_madt);
}

static void test_search_bios(void **state)
{
	u8 found[ACPI_RSDP_MAX];

	(void)state;
	assert_int_equal(acpi_rsdp_search(&m, found), 0);
	make_rsdp(mem + 0xf5a40, 0, RSDT, 0);
	assert_int_equal(acpi_rsdp_search(&m, found), 20);
	make_rsdp(mem + 0xffff0 - 16, 0, 0x1234, 0); /* the last place that is long enough */
	mem[0xf5a40] = 'X';
	assert_int_equal(acpi_rsdp_search(&m, found), 20);
	/* Off its 16 bytes it does not count. */
	memset(mem + 0xe0000, 0, 0x20000);
	make_rsdp(mem + 0xe0008, 0, RSDT, 0);
	assert_int_equal(acpi_rsdp_search(&m, found), 0);
	/* The EBDA comes first. */
	make_rsdp(mem + 0xe0000, 0, RSDT, 0);
	mem[0x40e] = 0xc0;
	mem[0x40f] = 0x9f;
	make_rsdp(mem + 0x9fc10, 2, RSDT, XSDT);
	assert_int_equal(acpi_rsdp_search(&m, found), 36);
	/* A second checksum that is wrong leaves the first part. */
	mem[0x9fc10 + 33]++;
	assert_int_equal(acpi_rsdp_search(&m, found), 20);
	/* An EBDA that cannot be is not looked at. */
	mem[0x40f] = 0xff;
	assert_int_equal(acpi_rsdp_search(&m, found), 20);
}

static void test_search_efi(void **state)
{
	static const u8 guid2[] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
				   0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81};
	u8 found[ACPI_RSDP_MAX];
	u8 *st = mem + 0x110000;

	(void)state;
	assert_int_equal(acpi_rsdp_search_efi(&m, 0x110000, found), 0);
	memcpy(st, "IBI SYST", 8);
	w64(st + 104, 3);
	w64(st + 112, 0x111000);
	memcpy(mem + 0x111000 + 48, guid2, 16);
	w64(mem + 0x111000 + 48 + 16, 0x112000);
	assert_int_equal(acpi_rsdp_search_efi(&m, 0x110000, found), 0);
	make_rsdp(mem + 0x112000, 2, RSDT, XSDT);
	assert_int_equal(acpi_rsdp_search_efi(&m, 0x110000, found), 36);
	assert_memory_equal(found, mem + 0x112000, 36);
	w64(st + 104, 2); /* the entry is beyond the list */
	assert_int_equal(acpi_rsdp_search_efi(&m, 0x110000, found), 0);
	w64(st + 104, ~0ULL);
	assert_int_equal(acpi_rsdp_search_efi(&m, 0x110000, found), 0);
	w64(st + 104, 3);
	w64(st + 112, ~0ULL);
	assert_int_equal(acpi_rsdp_search_efi(&m, 0x110000, found), 0);
	assert_int_equal(acpi_rsdp_search_efi(&m, ~0ULL, found), 0);
}

static bool s5_of(u32 pa, const char *sig, const u8 *aml, u32 len, u8 *a, u8 *b)
{
	u8 *t;

	memset(mem + DSDT, 0, 0x1000);
	memset(mem + SSDT, 0, 0x1000);
	t = table(pa, sig, 36 + len);
	memcpy(t + 36, aml, len);
	table_done(pa);
	assert_true(parse(2));
	*a = *b = 0xee;
	return acpi_find_s5(&info, &m, a, b);
}

static void test_s5(void **state)
{
	static const u8 qemu[] = {0x10, 1, 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0, 0, 0, 0};
	static const u8 bochs[] = {0x08, '_',  'S', '5',  '_', 0x12, 0x0a,
				   0x04, 0x0a, 5,   0x0a, 7,   0,    0};
	static const u8 rooted[] = {0x08, '\\', '_',  'S',  '5', '_', 0x12,
				    0x48, 0x01, 0x02, 0x0b, 7,   0,   0x01};
	static const u8 one[] = {0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x01, 0x0a, 6};
	static const u8 reference[] = {0x14, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0, 0};
	static const u8 buffer[] = {0x08, '_', 'S', '5', '_', 0x11, 0x06, 0x04, 0x0a, 5, 0, 0};
	static const u8 large[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 8, 0x0a, 0};
	static const u8 empty[] = {0x08, '_', 'S', '5', '_', 0x12, 0x02, 0x00, 0x0a, 5};
	u8 a, b;

	(void)state;
	make_roots();
	make_fadt(116);
	assert_true(s5_of(DSDT, "DSDT", qemu, sizeof(qemu), &a, &b));
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
	assert_true(s5_of(DSDT, "DSDT", bochs, sizeof(bochs), &a, &b));
	assert_int_equal(a, 5);
	assert_int_equal(b, 7);
	assert_true(s5_of(DSDT, "DSDT", rooted, sizeof(rooted), &a, &b));
	assert_int_equal(a, 7);
	assert_int_equal(b, 1);
	assert_true(s5_of(DSDT, "DSDT", one, sizeof(one), &a, &b));
	assert_int_equal(a, 6);
	assert_int_equal(b, 6);
	assert_true(s5_of(SSDT, "SSDT", bochs, sizeof(bochs), &a, &b));
	assert_int_equal(a, 5);
	assert_false(s5_of(DSDT, "DSDT", reference, sizeof(reference), &a, &b));
	assert_false(s5_of(DSDT, "DSDT", buffer, sizeof(buffer), &a, &b));
	assert_false(s5_of(DSDT, "DSDT", large, sizeof(large), &a, &b));
	assert_false(s5_of(DSDT, "DSDT", empty, sizeof(empty), &a, &b));
	/* Cut anywhere it is not there, and nothing beyond it is read. */
	for (u32 len = 0; len + 4 < sizeof(bochs); len++)
		(void)s5_of(DSDT, "DSDT", bochs, len, &a, &b);
	memset(&info, 0, sizeof(info));
	assert_false(acpi_find_s5(&info, &m, &a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_acpi_1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpi_6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reduced_hardware, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absurd_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checksums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pointers_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(test_search_bios, setup, teardown),
		cmocka_unit_test_setup_teardown(test_search_efi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_s5, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
