/* SPDX-License-Identifier: MIT */
/*
 * vmm/mem/gwalk.c: every paging mode and page size, rights (WP, U/S, NX, SMEP, SMAP, protection
 * keys), reserved bits, accessed and dirty bits, fault codes, copies across pages, tables in bad
 * places.
 */
/*
 * SOURCES: vmm/mem/gwalk.c vmm/mem/gmem.c vmm/mem/pagetable.c vmm/mem/pt_formats.c test/mock/host.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/gwalk.h>
#include "test/mock/mock.h"

static struct pagetable npt;
static struct gmem g;
static struct gwalk_state s;
static struct gwalk_fault f;
static gpa_t gpa;
static u64 left;

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

#define RAM MiB(16)

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	assert_int_equal(pt_init(&npt, &pt_format_ept, &mem, 3), 0);
	gmem_init(&g, &npt);
	assert_int_equal(gmem_add(&g, 0, RAM), 0);
	assert_int_equal(gmem_add(&g, GiB(4), MiB(2)), 0);
	s = (struct gwalk_state){0};
	f = (struct gwalk_fault){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_destroy(&npt);
	gmem_destroy(&g);
	return 0;
}

#define P   1ULL
#define W   2ULL
#define US  4ULL
#define A   0x20ULL
#define D   0x40ULL
#define PS  0x80ULL
#define NX  BIT(63)
#define ALL (P | W | US)

/* Tables: level n's is at 0x1000 * (n + 1), so CR3 of a 4-level walk is 0x4000. */
#define TABLE(level) (0x1000ULL * ((level) + 1))

static void put64(gpa_t at, u64 v)
{
	assert_int_equal(gmem_write(&g, at, &v, 8), 0);
}

static u64 get64(gpa_t at)
{
	u64 v = 0;

	assert_int_equal(gmem_read(&g, at, &v, 8), 0);
	return v;
}

static void put32(gpa_t at, u32 v)
{
	assert_int_equal(gmem_write(&g, at, &v, 4), 0);
}

static u32 get32(gpa_t at)
{
	u32 v = 0;

	assert_int_equal(gmem_read(&g, at, &v, 4), 0);
	return v;
}

static gpa_t slot64(gva_t va, unsigned level)
{
	return TABLE(level) + ((va >> (12 + 9 * level)) & 511) * 8;
}

/* Long mode; a leaf of `level` for va, tables with all rights above. */
static void map64(gva_t va, unsigned levels, unsigned level, u64 leaf)
{
	s.cr0 = CR0_PE | CR0_PG | CR0_WP;
	s.cr4 = CR4_PAE | (levels == 5 ? CR4_LA57 : 0);
	s.efer = EFER_LME | EFER_LMA | EFER_NXE;
	s.cr3 = TABLE(levels - 1);
	for (unsigned l = levels - 1; l > level; l--)
		put64(slot64(va, l), TABLE(l - 1) | ALL);
	put64(slot64(va, level), leaf);
}

static int walk(gva_t va, u32 access)
{
	memset(&f, 0xee, sizeof(f));
	gpa = left = 0x55;
	return gwalk(&g, &s, va, access, &gpa, &left, &f);
}

static void expect_fault(gva_t va, u32 access, u32 error)
{
	assert_int_equal(walk(va, access), -HV_EFAULT);
	assert_int_equal(f.vector, VEC_PF);
	assert_int_equal(f.error, error);
	assert_int_equal(f.address, va);
}

static void expect_ok(gva_t va, u32 access, gpa_t want)
{
	assert_int_equal(walk(va, access), 0);
	assert_int_equal(gpa, want);
	assert_int_equal(left, PAGE_SIZE - va % PAGE_SIZE);
}

static void test_no_paging(void **state)
{
	(void)state;
	s.cr0 = CR0_PE;
	expect_ok(0x12345, GWALK_WRITE, 0x12345);
	expect_ok(0x1ffffffffULL, GWALK_READ, 0xffffffff);
	s.cr0 = 0;
	expect_ok(0xffff0, GWALK_EXEC, 0xffff0);
}

#define VA 0x00007f1234567000ULL

static void test_4level(void **state)
{
	(void)state;
	map64(VA, 4, 0, 0x9000 | ALL);
	expect_ok(VA + 0x123, GWALK_READ, 0x9123);
	map64(VA, 4, 1, 0x600000 | PS | ALL);
	expect_ok(VA + 0x123, GWALK_READ, 0x600000 + ((VA + 0x123) & (MiB(2) - 1)));
	map64(VA, 4, 2, GiB(8) | PS | ALL | BIT(12)); /* bit 12 is PAT there */
	expect_ok(VA + 0x123, GWALK_READ, GiB(8) + ((VA + 0x123) & (GiB(1) - 1)));
	/* The kernel half. */
	map64(0xffffffff81000000ULL, 4, 1, 0xa00000 | PS | ALL);
	expect_ok(0xffffffff81000000ULL, GWALK_EXEC, 0xa00000);
	/* CR3's low bits (PCID, PWT, PCD) and bit 63 are no address. */
	s.cr3 |= BIT(63) | 0xfff;
	expect_ok(0xffffffff81000000ULL, GWALK_EXEC, 0xa00000);
}

static void test_5level(void **state)
{
	gva_t va = 0x00f4567812345000ULL;

	(void)state;
	map64(va, 5, 0, 0x9000 | ALL);
	expect_ok(va, GWALK_READ, 0x9000);
	map64(0xff00000000000000ULL, 5, 0, 0xa000 | ALL);
	expect_ok(0xff00000000000abcULL, GWALK_READ, 0xaabc);
	/* Canonical is what 57 bits make. */
	assert_int_equal(walk(0x0100000000000000ULL, 0), -HV_EFAULT);
	assert_int_equal(f.vector, VEC_GP);
	assert_int_equal(f.error, 0);
}

static void test_not_canonical(void **state)
{
	(void)state;
	map64(VA, 4, 0, 0x9000 | ALL);
	for (unsigned bit = 47; bit < 64; bit++) {
		assert_int_equal(walk(BIT(bit), 0), -HV_EFAULT);
		assert_int_equal(f.vector, VEC_GP);
		assert_int_equal(f.error, 0);
	}
	assert_int_equal(walk(0xffff7fffffffffffULL, 0), -HV_EFAULT);
	assert_int_equal(f.vector, VEC_GP);
}

/* PAE: four PDPTEs at CR3, aligned to 32 bytes, without rights of their own. */
static void map_pae(gva_t va, unsigned level, u64 leaf)
{
	s.cr0 = CR0_PE | CR0_PG | CR0_WP;
	s.cr4 = CR4_PAE;
	s.efer = EFER_NXE;
	s.cr3 = 0x3020;
	put64(0x3020 + (va >> 30) * 8, TABLE(1) | P);
	if (level == 0)
		put64(slot64(va, 1), TABLE(0) | ALL);
	put64(slot64(va, level), leaf);
}

static void test_pae(void **state)
{
	(void)state;
	map_pae(0xc0123000, 0, 0x9000 | ALL);
	expect_ok(0xc0123456, GWALK_WRITE, 0x9456);
	assert_int_equal(get64(0x3038), TABLE(1) | P); /* no accessed bit in a PDPTE */
	assert_int_equal(get64(slot64(0xc0123000, 1)), TABLE(0) | ALL | A);
	assert_int_equal(get64(slot64(0xc0123000, 0)), 0x9000 | ALL | A | D);
	map_pae(0x80456000, 1, 0x800000 | PS | P | US);
	expect_ok(0x80456000, GWALK_READ, 0x856000);
	expect_fault(0x80456000, GWALK_WRITE, PFEC_P | PFEC_W);
	map_pae(0x456000, 0, 0x9000 | ALL | NX);
	expect_fault(0x456000, GWALK_EXEC, PFEC_P | PFEC_I);
	/* Reserved: bits 62:52, PDPTE bits 1, 2, 5 to 8 and 63. */
	map_pae(0x456000, 0, 0x9000 | ALL | BIT(52));
	expect_fault(0x456000, GWALK_READ, PFEC_P | PFEC_RSV);
	map_pae(0x456000, 0, 0x9000 | ALL | BIT(62));
	expect_fault(0x456000, GWALK_READ, PFEC_P | PFEC_RSV);
	map_pae(0x456000, 0, 0x9000 | ALL);
	for (unsigned bit = 1; bit < 64; bit++) {
		bool reserved = bit < 3 || (bit > 5 && bit < 9) || bit > 51;

		put64(0x3020, TABLE(1) | P | BIT(bit));
		if (reserved)
			expect_fault(0x456000, GWALK_READ, PFEC_P | PFEC_RSV);
		else if (bit < 12)
			expect_ok(0x456000, GWALK_READ, 0x9000);
	}
	put64(0x3020, 0);
	expect_fault(0x456000, GWALK_READ, 0);
	/* The upper half of va is no part of the address. */
	map_pae(0xc0123000, 0, 0x9000 | ALL);
	expect_ok(0x1c0123456ULL, GWALK_READ, 0x9456);
}

static void map_32(u32 va, unsigned level, u32 leaf, bool pse)
{
	s.cr0 = CR0_PE | CR0_PG | CR0_WP;
	s.cr4 = pse ? CR4_PSE : 0;
	s.efer = 0;
	s.cr3 = TABLE(1) | 0x18;
	if (level == 0)
		put32(TABLE(1) + (va >> 22) * 4, (u32)(TABLE(0) | ALL));
	put32(level ? TABLE(1) + (va >> 22) * 4 : TABLE(0) + ((va >> 12) & 1023) * 4, leaf);
}

static void test_32bit(void **state)
{
	(void)state;
	map_32(0xc0123000, 0, 0x9000 | ALL, false);
	expect_ok(0xc0123456, GWALK_WRITE, 0x9456);
	assert_int_equal(get32(TABLE(1) + 0x300 * 4), TABLE(0) | ALL | A);
	assert_int_equal(get32(TABLE(0) + 0x123 * 4), 0x9000 | ALL | A | D);
	/* The neighbour of a 4-byte entry is left alone. */
	put32(TABLE(0) + 0x124 * 4, 0xdeadbee0);
	map_32(0xc0123000, 0, 0x9000 | ALL, false);
	expect_ok(0xc0123456, GWALK_WRITE, 0x9456);
	assert_int_equal(get32(TABLE(0) + 0x124 * 4), 0xdeadbee0);
	/* PS means nothing without CR4.PSE. */
	map_32(0xc0123000, 0, 0x9000 | ALL, false);
	put32(TABLE(1) + 0x300 * 4, (u32)(TABLE(0) | ALL | PS));
	expect_ok(0xc0123456, GWALK_READ, 0x9456);
	/* 4 MiB pages, and PSE-36. */
	map_32(0x40500000, 1, 0x00800000 | PS | ALL, true);
	expect_ok(0x40512345, GWALK_WRITE, 0x00912345);
	assert_int_equal(get32(TABLE(1) + 0x101 * 4), 0x00800000 | PS | ALL | A | D);
	map_32(0x40500000, 1, 0x00c00000 | 0x1a << 13 | PS | ALL, true);
	expect_ok(0x40500000, GWALK_READ, 0x1a00d00000ULL);
	/* Bit 21 is reserved always; bits above the width too. */
	map_32(0x40500000, 1, 0x00800000 | BIT(21) | PS | ALL, true);
	expect_fault(0x40500000, GWALK_READ, PFEC_P | PFEC_RSV);
	s.phys_bits = 36;
	map_32(0x40500000, 1, 0x00800000 | BIT(16) | PS | ALL, true);
	expect_ok(0x40500000, GWALK_READ, 0x00900000 + GiB(32));
	map_32(0x40500000, 1, 0x00800000 | BIT(17) | PS | ALL, true);
	expect_fault(0x40500000, GWALK_READ, PFEC_P | PFEC_RSV);
	s.phys_bits = 32;
	map_32(0x40500000, 1, 0x00800000 | BIT(13) | PS | ALL, true);
	expect_fault(0x40500000, GWALK_READ, PFEC_P | PFEC_RSV);
	/* No NX in this mode, and no I bit without SMEP. */
	map_32(0xc0123000, 0, 0, false);
	expect_fault(0xc0123000, GWALK_EXEC, 0);
	s.cr4 |= CR4_SMEP;
	expect_fault(0xc0123000, GWALK_EXEC, PFEC_I);
}

static void test_not_present(void **state)
{
	(void)state;
	for (unsigned level = 0; level < 4; level++) {
		map64(VA, 4, level, 0x9000 | W | US | NX); /* any other bits */
		expect_fault(VA, GWALK_READ, 0);
		expect_fault(VA, GWALK_WRITE, PFEC_W);
		expect_fault(VA, GWALK_EXEC, PFEC_I);
		s.cpl = 3;
		expect_fault(VA, GWALK_WRITE, PFEC_W | PFEC_U);
		s.implicit = true;
		expect_fault(VA, GWALK_WRITE, PFEC_W);
		s.implicit = false;
		s.cpl = 0;
	}
}

/* Rights are the AND over all levels; NX the OR. One table of all combinations. */
static void test_rights(void **state)
{
	(void)state;
	for (unsigned level = 0; level < 4; level++) { /* the level that takes the right away */
		for (unsigned bits = 0; bits < 8; bits++) {
			bool us = bits & 1, w = bits & 2, nx = bits & 4;
			u64 entry = P | (us ? US : 0) | (w ? W : 0) | (nx ? NX : 0);

			map64(VA, 4, 0, 0x9000 | ALL);
			put64(slot64(VA, level), (level ? TABLE(level - 1) : 0x9000) | entry);
			for (unsigned conf = 0; conf < 32; conf++) {
				bool wp = conf & 1, smep = conf & 2, smap = conf & 4, ac = conf & 8,
				     user = conf & 16;
				u32 u = user ? PFEC_U : 0;
				bool ok;

				s.cr0 = CR0_PE | CR0_PG | (wp ? CR0_WP : 0);
				s.cr4 = CR4_PAE | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
				s.rflags = ac ? RFLAGS_AC : 0;
				s.cpl = user ? 3 : 0;

				ok = user ? us : !(us && smap && !ac);
				if (ok)
					expect_ok(VA, GWALK_READ, 0x9000);
				else
					expect_fault(VA, GWALK_READ, PFEC_P | u);
				ok = ok && (w || (!user && !wp));
				if (ok)
					expect_ok(VA, GWALK_WRITE, 0x9000);
				else
					expect_fault(VA, GWALK_WRITE, PFEC_P | PFEC_W | u);
				ok = !nx && (user ? us : !(us && smep));
				if (ok)
					expect_ok(VA, GWALK_EXEC, 0x9000);
				else
					expect_fault(VA, GWALK_EXEC, PFEC_P | PFEC_I | u);
			}
		}
	}
	/* CPL 1 and 2 are supervisor. */
	map64(VA, 4, 0, 0x9000 | P | W);
	for (s.cpl = 0; s.cpl < 3; s.cpl++)
		expect_ok(VA, GWALK_WRITE, 0x9000);
	/*
	 * An implicit access by a user's instruction is a supervisor's, which AC does not excuse.
	 */
	s.cpl = 3;
	s.implicit = true;
	expect_ok(VA, GWALK_READ, 0x9000);
	map64(VA, 4, 0, 0x9000 | ALL);
	s.cr4 |= CR4_SMAP;
	s.rflags = RFLAGS_AC;
	expect_fault(VA, GWALK_READ, PFEC_P);
}

static void test_protection_keys(void **state)
{
	(void)state;
	for (unsigned key = 0; key < 16; key++) {
		map64(VA, 4, 0, 0x9000 | ALL | (u64)key << 59);
		s.cr4 |= CR4_PKE;
		s.cpl = 3;
		s.pkru = ~(3U << (2 * key)); /* all others are closed */
		expect_ok(VA, GWALK_READ, 0x9000);
		expect_ok(VA, GWALK_WRITE, 0x9000);
		s.pkru = 2U << (2 * key); /* write disable */
		expect_ok(VA, GWALK_READ, 0x9000);
		expect_fault(VA, GWALK_WRITE, PFEC_P | PFEC_W | PFEC_U | PFEC_PK);
		s.cpl = 0;
		expect_fault(VA, GWALK_WRITE, PFEC_P | PFEC_W | PFEC_PK);
		s.cr0 &= ~CR0_WP;
		expect_ok(VA, GWALK_WRITE, 0x9000);
		s.cpl = 3;
		expect_fault(VA, GWALK_WRITE, PFEC_P | PFEC_W | PFEC_U | PFEC_PK);
		s.pkru = 1U << (2 * key); /* access disable; never for fetches */
		expect_fault(VA, GWALK_READ, PFEC_P | PFEC_U | PFEC_PK);
		expect_ok(VA, GWALK_EXEC, 0x9000);
		s.cr4 &= ~CR4_PKE;
		expect_ok(VA, GWALK_WRITE, 0x9000);
		s.cr4 |= CR4_PKE;
		/* Supervisor pages have no key. */
		put64(slot64(VA, 0), 0x9000 | P | W | (u64)key << 59);
		s.cpl = 0;
		expect_ok(VA, GWALK_WRITE, 0x9000);
	}
}

static void test_reserved(void **state)
{
	static const struct {
		unsigned levels, level, bit;
		bool leaf;
	} rows[] = {
		{4, 3, 7, false}, {5, 4, 7, false}, {5, 3, 7, false}, {4, 1, 13, true},
		{4, 1, 20, true}, {4, 2, 13, true}, {4, 2, 29, true}, {4, 2, 21, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		gva_t va = 0x00007f1200000000ULL;

		map64(va, rows[i].levels, rows[i].leaf ? rows[i].level : 0,
		      0x40000000 | ALL | (rows[i].leaf ? PS : 0));
		expect_ok(va, GWALK_READ, 0x40000000);
		put64(slot64(va, rows[i].level),
		      get64(slot64(va, rows[i].level)) | BIT(rows[i].bit));
		expect_fault(va, GWALK_READ, PFEC_P | PFEC_RSV);
		expect_fault(va, GWALK_WRITE, PFEC_P | PFEC_RSV | PFEC_W);
	}
	/* NX without EFER.NXE. */
	map64(VA, 4, 0, 0x9000 | ALL | NX);
	s.efer &= ~EFER_NXE;
	expect_fault(VA, GWALK_READ, PFEC_P | PFEC_RSV);
	expect_fault(VA, GWALK_EXEC, PFEC_P | PFEC_RSV); /* and no I bit */
	/* The width of physical addresses, at every level. */
	for (unsigned level = 0; level < 4; level++) {
		map64(VA, 4, 0, 0x9000 | ALL);
		s.phys_bits = 39;
		expect_ok(VA, GWALK_READ, 0x9000);
		put64(slot64(VA, level), get64(slot64(VA, level)) | BIT(39));
		expect_fault(VA, GWALK_READ, PFEC_P | PFEC_RSV);
		put64(slot64(VA, level), (get64(slot64(VA, level)) & ~BIT(39)) | BIT(51));
		expect_fault(VA, GWALK_READ, PFEC_P | PFEC_RSV);
		s.phys_bits = 0;
	}
	/* Bits 58:52 are the system's. */
	map64(VA, 4, 0, 0x9000 | ALL | GENMASK(58, 52));
	expect_ok(VA, GWALK_READ, 0x9000);
	/* A CPU without 1 GiB pages. */
	map64(VA, 4, 2, GiB(1) | ALL | PS);
	s.no_1gib = true;
	expect_fault(VA, GWALK_READ, PFEC_P | PFEC_RSV);
}

static void test_accessed_dirty(void **state)
{
	(void)state;
	for (unsigned leaf = 0; leaf < 3; leaf++) {
		u64 entry = GiB(1) | ALL | (leaf ? PS : 0);

		map64(VA, 4, leaf, entry);
		expect_ok(VA, GWALK_READ, GiB(1) + (VA & ((PAGE_SIZE << (9 * leaf)) - 1)));
		for (unsigned l = 3; l > leaf; l--)
			assert_int_equal(get64(slot64(VA, l)), TABLE(l - 1) | ALL | A);
		assert_int_equal(get64(slot64(VA, leaf)), entry | A);
		assert_int_equal(walk(VA, GWALK_WRITE), 0);
		assert_int_equal(get64(slot64(VA, leaf)), entry | A | D);
		assert_int_equal(get64(slot64(VA, 3)),
				 TABLE(2) | ALL | A); /* never D above the leaf */
		/* D only missing. */
		put64(slot64(VA, leaf), entry | A);
		assert_int_equal(walk(VA, GWALK_EXEC), 0);
		assert_int_equal(get64(slot64(VA, leaf)), entry | A);
		assert_int_equal(walk(VA, GWALK_WRITE), 0);
		assert_int_equal(get64(slot64(VA, leaf)), entry | A | D);
	}
	/* A walk that faults leaves no trace of a write. */
	map64(VA, 4, 0, 0x9000 | P | US);
	expect_fault(VA, GWALK_WRITE, PFEC_P | PFEC_W);
	assert_int_equal(get64(slot64(VA, 0)) & D, 0);
}

static void test_tables_outside_ram(void **state)
{
	(void)state;
	map64(VA, 4, 0, 0x9000 | ALL);
	s.cr3 = RAM;
	assert_int_equal(walk(VA, 0), -HV_EIO);
	s.cr3 = GENMASK(51, 12);
	assert_int_equal(walk(VA, 0), -HV_EIO);
	for (unsigned level = 1; level < 4; level++) {
		map64(VA, 4, 0, 0x9000 | ALL);
		put64(slot64(VA, level), 0xfee00000 | ALL);
		assert_int_equal(walk(VA, 0), -HV_EIO);
		put64(slot64(VA, level), GENMASK(51, 12) | ALL);
		assert_int_equal(walk(VA, 0), -HV_EIO);
	}
	/* A page table that is a page table of itself ends at level 0. */
	map64(VA, 4, 0, 0x9000 | ALL);
	for (unsigned i = 0; i < 512; i++)
		put64(0x4000 + i * 8, 0x4000 | ALL);
	expect_ok(VA, GWALK_READ, 0x4000);
}

static void test_copy(void **state)
{
	u8 out[3 * PAGE_SIZE], in[sizeof(out)];
	gva_t va = 0x400000;

	(void)state;
	map64(va, 4, 0, 0x20000 | ALL);
	put64(slot64(va + PAGE_SIZE, 0), 0x10000 | ALL); /* not in order */
	put64(slot64(va + 2 * PAGE_SIZE, 0), (GiB(4) + PAGE_SIZE) | ALL);
	put64(slot64(va + 3 * PAGE_SIZE, 0), 0xfee00000 | ALL);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (u8)(i * 7 + (i >> 8));
	assert_int_equal(gwalk_write(&g, &s, va, in, sizeof(in), &f), 0);
	assert_int_equal(gwalk_read(&g, &s, va, out, sizeof(out), GWALK_READ, &f), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(gmem_read(&g, 0x10000, out, PAGE_SIZE), 0);
	assert_memory_equal(out, in + PAGE_SIZE, PAGE_SIZE);
	/* Odd offsets, over two seams. */
	assert_int_equal(gwalk_read(&g, &s, va + PAGE_SIZE - 3, out, PAGE_SIZE + 6, GWALK_READ, &f),
			 0);
	assert_memory_equal(out, in + PAGE_SIZE - 3, PAGE_SIZE + 6);
	/* MMIO, then nothing. */
	assert_int_equal(gwalk_read(&g, &s, va + 3 * PAGE_SIZE - 4, out, 8, GWALK_READ, &f),
			 -HV_EIO);
	assert_int_equal(gwalk_write(&g, &s, va + 3 * PAGE_SIZE, in, 1, &f), -HV_EIO);
	assert_int_equal(gwalk_read(&g, &s, va + 4 * PAGE_SIZE - 4, out, 0, GWALK_READ, &f), 0);
	put64(slot64(va + 3 * PAGE_SIZE, 0), 0);
	assert_int_equal(gwalk_write(&g, &s, va + 3 * PAGE_SIZE - 4, in, 8, &f), -HV_EFAULT);
	assert_int_equal(f.address, va + 3 * PAGE_SIZE); /* CR2 is the byte that faults */
	assert_int_equal(f.error, PFEC_W);
	/*
	 * From the top of the address space to its beginning: not canonical is not what happens,
	 * page 0 is.
	 */
	map64(0, 4, 0, 0x20000 | ALL);
	assert_int_equal(gwalk_read(&g, &s, 0x00007ffffffffff8ULL, out, 16, GWALK_READ, &f),
			 -HV_EFAULT);
	/* 32 bits wrap. */
	map_32(0xfffff000, 0, 0x20000 | ALL, false);
	put32(TABLE(1), (u32)(0x8000 | ALL));
	put32(0x8000, 0x10000 | ALL);
	assert_int_equal(gwalk_write(&g, &s, 0xfffffffe, in, 4, &f), 0);
	assert_int_equal(get32(0x10000) & 0xffff, in[2] | in[3] << 8);
}

static void test_fetch(void **state)
{
	static const u8 code[15] = {0x0f, 0xa2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
	const u8 *bytes = NULL;
	u8 buf[15];
	gva_t va = 0x400000;

	(void)state;
	map64(va, 4, 0, 0x20000 | ALL);
	assert_int_equal(gmem_write(&g, 0x20ff1, code, 15), 0);
	assert_int_equal(gwalk_fetch(&g, &s, va + 0xff1, 15, buf, &bytes, NULL, &f), 15);
	assert_memory_equal(bytes, code, 15);
	assert_ptr_not_equal(bytes, buf); /* in place */
	/* The next page is not there: what is there counts. */
	assert_int_equal(gwalk_fetch(&g, &s, va + 0xff3, 15, buf, &bytes, NULL, &f), 13);
	assert_memory_equal(bytes, code + 2, 13);
	assert_int_equal(gwalk_fetch(&g, &s, va + 0xfff, 15, buf, &bytes, NULL, &f), 1);
	/* It is there. */
	put64(slot64(va + PAGE_SIZE, 0), 0x10000 | ALL);
	assert_int_equal(gmem_write(&g, 0x10000, "\xaa\xbb", 2), 0);
	assert_int_equal(gwalk_fetch(&g, &s, va + 0xff3, 15, buf, &bytes, NULL, &f), 15);
	assert_memory_equal(bytes, code + 2, 13);
	assert_memory_equal(bytes + 13, "\xaa\xbb", 2);
	/* Not a byte. */
	put64(slot64(va, 0), 0x20000 | ALL | NX);
	assert_int_equal(gwalk_fetch(&g, &s, va, 15, buf, &bytes, NULL, &f), -HV_EFAULT);
	assert_int_equal(f.error, PFEC_P | PFEC_I);
	put64(slot64(va, 0), 0xfee00000 | ALL);
	assert_int_equal(gwalk_fetch(&g, &s, va, 15, buf, &bytes, NULL, &f), -HV_EIO);
	/* Real mode. */
	s = (struct gwalk_state){0};
	assert_int_equal(gwalk_fetch(&g, &s, 0x20ff1, 15, buf, &bytes, NULL, &f), 15);
	assert_memory_equal(bytes, code, 15);
}

/* The cache answers what a walk would answer now, or nothing. */
static void test_fetch_cache(void **state)
{
	const gva_t va = 0x400000;
	struct gwalk_cache c = {0};
	const u8 *bytes = NULL;
	u8 buf[15];

	(void)state;
	map64(va, 4, 0, 0x20000 | ALL);
	assert_int_equal(gmem_write(&g, 0x20100, "\x0f\xa2", 2), 0);
	assert_int_equal(gmem_write(&g, 0x30100, "\xf4\x90", 2), 0);
	assert_int_equal(gwalk_cached(&c, 0, 0, &bytes), 0); /* empty */
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x100, &bytes), 0);
	assert_int_equal(gwalk_fetch(&g, &s, va + 0x100, 15, buf, &bytes, &c, &f), 15);
	bytes = NULL;
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x100, &bytes), 15);
	assert_memory_equal(bytes, "\x0f\xa2", 2);
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0xffd, &bytes), 3);
	assert_int_equal(gwalk_cached(&c, s.cr3, va + PAGE_SIZE, &bytes), 0);
	assert_int_equal(gwalk_cached(&c, s.cr3, va - 1, &bytes), 0);
	assert_int_equal(gwalk_cached(&c, s.cr3 + PAGE_SIZE, va, &bytes), 0);
	/* Code is read afresh. */
	assert_int_equal(gmem_write(&g, 0x20100, "\xcc", 1), 0);
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x100, &bytes), 15);
	assert_memory_equal(bytes, "\xcc", 1);
	/* Any entry on the way that changes ends it. */
	for (unsigned level = 0; level < 4; level++) {
		u64 old = get64(slot64(va, level));

		put64(slot64(va, level), old ^ W);
		assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x100, &bytes), 0);
		put64(slot64(va, level), old);
		assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x100, &bytes), 15);
	}
	put64(slot64(va, 0), 0x30000 | ALL | A);
	assert_int_equal(gwalk_fetch(&g, &s, va + 0x100, 15, buf, &bytes, &c, &f), 15);
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x100, &bytes), 15);
	assert_memory_equal(bytes, "\xf4", 1);
	/* A 2 MiB page; a page far inside it. */
	map64(va, 4, 1, 0x200000 | PS | ALL);
	assert_int_equal(gmem_write(&g, 0x345678, "\x0f\x01\xd9", 3), 0);
	assert_int_equal(gwalk_fetch(&g, &s, va + 0x145678, 15, buf, &bytes, &c, &f), 15);
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x145678, &bytes), 15);
	assert_memory_equal(bytes, "\x0f\x01\xd9", 3);
	put64(slot64(va, 1), 0x400000 | PS | ALL);
	assert_int_equal(gwalk_cached(&c, s.cr3, va + 0x145678, &bytes), 0);
	/* What cannot be cached empties it. */
	map64(va, 5, 0, 0x20000 | ALL);
	assert_int_equal(gwalk_fetch(&g, &s, va, 15, buf, &bytes, &c, &f), 15);
	assert_int_equal(c.key, 0);
	s = (struct gwalk_state){0};
	assert_int_equal(gwalk_fetch(&g, &s, 0x20000, 15, buf, &bytes, &c, &f), 15);
	assert_int_equal(c.key, 0);
}

/*
 * Random tables, random state: every answer is in bounds, and a success obeys what the walk itself
 * says.
 */
static void test_random(void **state)
{
	(void)state;
	srand(3);
	for (int round = 0; round < 20000; round++) {
		gva_t va = ((u64)rand() << 34) ^ ((u64)rand() << 12) ^ (u64)rand();
		u8 buf[40];
		int r;

		if (round % 50 == 0) {
			u64 *table = gmem_ptr(&g, 0x1000, 0x6000);

			for (unsigned i = 0; i < 0x6000 / 8; i++) {
				table[i] = ((u64)(1 + rand() % 8) << 12) |
					   (rand() % 16 ? ALL : (u64)rand() % 512);
				if (rand() % 40 == 0)
					table[i] |= BIT(rand() % 64);
			}
		}
		if (rand() % 2)
			va = (va & (BIT(47) - 1)) | (rand() % 2 ? 0 : GENMASK(63, 47));
		s = (struct gwalk_state){
			.cr0 = CR0_PE | (rand() % 20 ? CR0_PG : 0) | (rand() % 2 ? CR0_WP : 0),
			.cr3 = (u64)(1 + rand() % 6) << 12 | (rand() % 10 ? 0 : (u64)rand()),
			.cr4 = (u64)rand() &
			       (CR4_PAE | CR4_PSE | CR4_LA57 | CR4_SMEP | CR4_SMAP | CR4_PKE),
			.efer = (u64)rand() & (EFER_NXE | EFER_LMA),
			.cpl = rand() % 4,
			.pkru = (u32)rand(),
			.phys_bits = rand() % 4 ? 0 : 36 + rand() % 17,
		};
		r = walk(va, (u32[]){GWALK_READ, GWALK_WRITE, GWALK_EXEC}[rand() % 3]);
		assert_true(r == 0 || r == -HV_EFAULT || r == -HV_EIO);
		if (r == 0)
			assert_true(gpa < BIT(52) && gpa % PAGE_SIZE == va % PAGE_SIZE &&
				    left == PAGE_SIZE - va % PAGE_SIZE);
		if (r == -HV_EFAULT)
			assert_true(f.vector == VEC_GP ||
				    (f.vector == VEC_PF && !(f.error & ~0x3fU)));
		r = gwalk_read(&g, &s, va, buf, sizeof(buf), GWALK_READ, &f);
		if (r == 0)
			r = gwalk_write(&g, &s, va, buf, sizeof(buf), &f);
		assert_true(r == 0 || r == -HV_EFAULT || r == -HV_EIO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_paging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_4level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_5level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_canonical, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pae, setup, teardown),
		cmocka_unit_test_setup_teardown(test_32bit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_present, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protection_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_accessed_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables_outside_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
