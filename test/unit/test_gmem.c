/* SPDX-License-Identifier: MIT */
/*
 * vmm/mem/gmem.c: bounds and overflow, clearing on first touch, the nested leaves that come of it,
 * promotion to 1 GiB, scrubbing, and exhaustion of the host.
 */
/* SOURCES: vmm/mem/gmem.c vmm/mem/pagetable.c vmm/mem/pt_formats.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/gmem.h>
#include "test/mock/mock.h"

static struct pagetable npt;
static struct gmem g;

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

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	mock_host.mem_limit = GiB(8);
	assert_int_equal(pt_init(&npt, &pt_format_npt, &mem, 7), 0);
	gmem_init(&g, &npt);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_destroy(&npt);
	gmem_destroy(&g);
	assert_int_equal(mock_host.live, 0);
	assert_int_equal(mock_host.live_bytes, 0);
	return 0;
}

/* What was in the host's memory before must never be seen: make it visible if it is. */
static void dirty(void)
{
	for (unsigned i = 0; i < g.count; i++)
		for (u64 o = 0; o < g.slot[i].size; o += PAGE_SIZE)
			memset(g.slot[i].va + o, 0xd1, 64);
}

static void expect_leaf(gpa_t gpa, u64 size)
{
	struct pt_leaf leaf;

	assert_true(pt_lookup(&npt, gpa, &leaf));
	assert_int_equal(leaf.size, size);
	assert_int_equal(leaf.prot, PT_READ | PT_WRITE | PT_EXEC);
	for (unsigned i = 0; i < g.count; i++) {
		if (gpa - g.slot[i].base < g.slot[i].size)
			assert_int_equal(leaf.pa, g.slot[i].hpa + (gpa - g.slot[i].base));
	}
}

static void expect_unmapped(gpa_t gpa)
{
	struct pt_leaf leaf;

	assert_false(pt_lookup(&npt, gpa, &leaf));
}

static void test_add(void **state)
{
	(void)state;
	assert_int_equal(gmem_add(&g, GiB(4), MiB(16)), 0);
	assert_int_equal(gmem_add(&g, 0, MiB(16)), 0);
	assert_int_equal(g.slot[0].base, 0);
	assert_int_equal(g.slot[1].base, GiB(4));
	assert_int_equal(g.size, MiB(32));
	assert_int_equal(gmem_add(&g, MiB(14), MiB(4)), -HV_EINVAL); /* overlap */
	assert_int_equal(gmem_add(&g, 0, GiB(8)), -HV_EINVAL);
	assert_int_equal(gmem_add(&g, MiB(33), MiB(2)), -HV_EINVAL); /* alignment */
	assert_int_equal(gmem_add(&g, MiB(32), 100), -HV_EINVAL);
	assert_int_equal(gmem_add(&g, MiB(32), 0), -HV_EINVAL);
	assert_int_equal(gmem_add(&g, ~0ULL << 21, MiB(4)), -HV_EINVAL); /* wraps */
	assert_int_equal(gmem_add(&g, MiB(64), MiB(2)), 0);
	assert_int_equal(gmem_add(&g, MiB(128), MiB(2)), 0);
	assert_int_equal(gmem_add(&g, MiB(256), MiB(2)), -HV_ENOSPC);
	mock_host.mem_limit = MiB(64);
	g.count--; /* room again, for the next */
	{
		struct gmem_slot hidden = g.slot[3];

		assert_int_equal(gmem_add(&g, GiB(6), GiB(2)), -HV_ENOMEM);
		assert_int_equal(g.count, 3);
		g.slot[3] = hidden;
		g.count++;
	}
}

static void test_is_ram(void **state)
{
	static const struct {
		gpa_t gpa;
		u64 len;
		bool ram;
	} rows[] = {
		{0, 1, true},
		{0, MiB(16), true},
		{0, MiB(16) + 1, false},
		{MiB(16) - 1, 1, true},
		{MiB(16) - 1, 2, false},
		{MiB(16), 1, false},
		{GiB(4) - 1, 1, false},
		{GiB(4) - 1, 2, false},
		{GiB(4), MiB(2), true},
		{GiB(4) + MiB(2) - 8, 8, true},
		{GiB(4) + MiB(2) - 7, 8, false},
		{5, ~0ULL, false},
		{5, ~0ULL - 5, false},
		{~0ULL, 1, false},
		{~0ULL, 2, false},
		{~0ULL - 3, 8, false},
	};

	(void)state;
	assert_int_equal(gmem_add(&g, 0, MiB(16)), 0);
	assert_int_equal(gmem_add(&g, GiB(4), MiB(2)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 byte = 0;

		assert_int_equal(gmem_is_ram(&g, rows[i].gpa, rows[i].len), rows[i].ram);
		assert_int_equal(gmem_ptr_fast(&g, rows[i].gpa, rows[i].len) != NULL, rows[i].ram);
		assert_int_equal(gmem_ptr(&g, rows[i].gpa, rows[i].len) != NULL, rows[i].ram);
		if (rows[i].ram)
			continue;
		assert_int_equal(gmem_read(&g, rows[i].gpa, &byte, rows[i].len), -HV_EFAULT);
		assert_int_equal(gmem_write(&g, rows[i].gpa, &byte, rows[i].len), -HV_EFAULT);
		assert_int_equal(gmem_set(&g, rows[i].gpa, 1, rows[i].len), -HV_EFAULT);
	}
	assert_int_equal(gmem_populate(&g, MiB(16)), -HV_EFAULT);
	assert_int_equal(gmem_populate(&g, ~0ULL), -HV_EFAULT);
}

static void test_first_touch(void **state)
{
	u8 buf[64], zero[64] = {0};

	(void)state;
	assert_int_equal(gmem_add(&g, 0, MiB(16)), 0);
	dirty();
	expect_unmapped(0);
	assert_int_equal(gmem_populate(&g, MiB(3)), 0);
	assert_int_equal(g.populated, MiB(2));
	expect_leaf(MiB(2), MiB(2));
	expect_leaf(MiB(4) - 1, MiB(2));
	expect_unmapped(MiB(2) - 1);
	expect_unmapped(MiB(4));
	for (u64 gpa = MiB(2); gpa < MiB(4); gpa += PAGE_SIZE) {
		assert_int_equal(gmem_read(&g, gpa, buf, sizeof(buf)), 0);
		assert_memory_equal(buf, zero, sizeof(buf));
	}
	/* Once only: contents stay. */
	assert_int_equal(gmem_write(&g, MiB(3), "guest", 5), 0);
	assert_int_equal(gmem_populate(&g, MiB(2)), 0);
	assert_int_equal(gmem_read(&g, MiB(3), buf, 5), 0);
	assert_memory_equal(buf, "guest", 5);
	assert_int_equal(g.populated, MiB(2));
	/* An access across two chunks of which neither was there. */
	assert_int_equal(gmem_set(&g, MiB(8) - 1, 0x77, 2), 0);
	assert_int_equal(g.populated, MiB(6));
	expect_leaf(MiB(8) - 1, MiB(2));
	expect_leaf(MiB(8), MiB(2));
	assert_int_equal(gmem_read(&g, MiB(8) - 2, buf, 4), 0);
	assert_memory_equal(buf, "\0\x77\x77\0", 4);
	/* Nothing of length 0 is touched, nor refused inside RAM. */
	assert_int_equal(gmem_read(&g, MiB(3), buf, 0), 0);
}

static void test_partial_chunk(void **state)
{
	u8 byte = 1;

	(void)state;
	assert_int_equal(gmem_add(&g, 0, MiB(2) + 3 * PAGE_SIZE), 0);
	dirty();
	assert_int_equal(gmem_populate(&g, MiB(2) + PAGE_SIZE), 0);
	expect_leaf(MiB(2), PAGE_SIZE);
	expect_leaf(MiB(2) + 3 * PAGE_SIZE - 1, PAGE_SIZE);
	expect_unmapped(MiB(2) + 3 * PAGE_SIZE);
	assert_int_equal(g.populated, 3 * PAGE_SIZE);
	assert_int_equal(gmem_read(&g, MiB(2) + 3 * PAGE_SIZE - 1, &byte, 1), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(gmem_read(&g, MiB(2) + 3 * PAGE_SIZE, &byte, 1), -HV_EFAULT);
	assert_non_null(gmem_ptr(&g, 0, MiB(2) + 3 * PAGE_SIZE));
}

/* All chunks of a GiB become one leaf, and only gmem_populate() does it, saying so. */
static void test_promotion(void **state)
{
	(void)state;
	assert_int_equal(gmem_add(&g, GiB(4), GiB(1) + MiB(2)), 0);
	assert_true(IS_ALIGNED(g.slot[0].hpa, GiB(1)));
	for (u64 o = 0; o < GiB(1) - MiB(2); o += MiB(2))
		assert_int_equal(gmem_populate(&g, GiB(4) + o), 0);
	assert_int_equal(gmem_populate(&g, GiB(5)), 0); /* the next GiB's first */
	expect_leaf(GiB(4), MiB(2));
	assert_int_equal(gmem_populate(&g, GiB(5) - 1), 1);
	expect_leaf(GiB(4), GiB(1));
	expect_leaf(GiB(5) - 1, GiB(1));
	expect_leaf(GiB(5), MiB(2)); /* not a whole GiB of RAM */
	assert_int_equal(gmem_populate(&g, GiB(5) - 1), 0);
	assert_int_equal(npt.pages, 3); /* root, level 2, and the table of the fifth GiB */
}

static void test_no_promotion(void **state)
{
	(void)state;
	/* The CPU has no 1 GiB pages. */
	npt.leaf_levels = 3;
	assert_int_equal(gmem_add(&g, 0, GiB(1)), 0);
	for (u64 o = 0; o < GiB(1); o += MiB(2))
		assert_int_equal(gmem_populate(&g, o), 0);
	expect_leaf(0, MiB(2));
}

static void test_ptr_never_promotes(void **state)
{
	(void)state;
	assert_int_equal(gmem_add(&g, 0, GiB(1)), 0);
	for (u64 o = 0; o < GiB(1) - MiB(2); o += MiB(2))
		assert_int_equal(gmem_populate(&g, o), 0);
	assert_non_null(gmem_ptr(&g, GiB(1) - 1, 1));
	expect_leaf(0, MiB(2));
	assert_int_equal(gmem_populate(&g, 0), 0);
}

static void test_scrub(void **state)
{
	u8 buf[5];

	(void)state;
	assert_int_equal(gmem_add(&g, 0, MiB(6) + PAGE_SIZE), 0);
	assert_int_equal(gmem_add(&g, GiB(4), MiB(2)), 0);
	assert_int_equal(gmem_write(&g, 100, "first", 5), 0);
	assert_int_equal(gmem_write(&g, MiB(6), "third", 5), 0);
	assert_int_equal(gmem_write(&g, GiB(4), "later", 5), 0);
	assert_int_equal(gmem_scrub(&g), 0);
	assert_int_equal(g.populated, 0);
	expect_unmapped(100);
	expect_unmapped(MiB(6));
	expect_unmapped(GiB(4));
	assert_int_equal(gmem_read(&g, 100, buf, 5), 0);
	assert_memory_equal(buf, "\0\0\0\0\0", 5);
	assert_int_equal(gmem_read(&g, MiB(6), buf, 5), 0);
	assert_memory_equal(buf, "\0\0\0\0\0", 5);
	assert_int_equal(g.populated, MiB(2) + PAGE_SIZE);
}

/* The host has no page left for a table: an error, and no contents of the host's. */
static void test_host_exhausted(void **state)
{
	u8 byte = 1;

	(void)state;
	assert_int_equal(gmem_add(&g, 0, MiB(4)), 0);
	dirty();
	mock_host.mem_limit = mock_host.live_bytes; /* not a page more */
	assert_int_equal(gmem_populate(&g, 0), -HV_ENOMEM);
	assert_null(gmem_ptr(&g, MiB(2), 8));
	assert_int_equal(gmem_write(&g, MiB(2), &byte, 1), -HV_EFAULT);
	expect_unmapped(0);
	mock_host.mem_limit = GiB(8);
	assert_int_equal(gmem_populate(&g, 0), 0);
	assert_int_equal(gmem_read(&g, 0, &byte, 1), 0);
	assert_int_equal(byte, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_touch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_promotion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_promotion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ptr_never_promotes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scrub, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_exhausted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
