/* SPDX-License-Identifier: MIT */
/*
 * vmm/mem/page_alloc.c: merging, reserving, both ends, alignment, a full table, and a long random
 * run against a map of every page.
 */
/* SOURCES: vmm/mem/page_alloc.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/page_alloc.h>
#include "test/mock/mock.h"

static struct page_alloc a;

/* The free list's links, of pages 0 to 64 MiB; nobody else touches the memory. */
static u64 links[16384];

static void *link_va(hpa_t pa)
{
	assert_true(pa && pa / PAGE_SIZE < ARRAY_SIZE(links));
	return &links[pa / PAGE_SIZE];
}

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	memset(&a, 0xa5, sizeof(a));
	page_alloc_init(&a, link_va);
	return 0;
}

static void check(u64 free_bytes)
{
	u64 sum = 0;

	for (unsigned i = 0; i < a.count; i++) {
		assert_true(a.free[i].size && a.free[i].base &&
			    IS_ALIGNED(a.free[i].base | a.free[i].size, PAGE_SIZE));
		if (i)
			assert_true(a.free[i - 1].base + a.free[i - 1].size <
				    a.free[i].base); /* merged */
		sum += a.free[i].size;
	}
	for (hpa_t p = a.page_list; p; p = *(u64 *)link_va(p))
		sum += PAGE_SIZE;
	assert_int_equal(a.free_bytes, sum);
	assert_int_equal(a.free_bytes, free_bytes);
}

static void test_add(void **state)
{
	(void)state;
	assert_int_equal(page_alloc_add(&a, MiB(2), MiB(1)), 0);
	assert_int_equal(page_alloc_add(&a, MiB(4), MiB(1)), 0);
	assert_int_equal(a.count, 2);
	assert_int_equal(page_alloc_add(&a, MiB(3), MiB(1)), 0); /* closes the gap */
	assert_int_equal(a.count, 1);
	check(MiB(3));
	/* Rounded inward; nothing left is no mistake. */
	assert_int_equal(page_alloc_add(&a, MiB(8) + 1, 2 * PAGE_SIZE), 0);
	check(MiB(3) + PAGE_SIZE);
	assert_int_equal(a.free[1].base, MiB(8) + PAGE_SIZE);
	assert_int_equal(page_alloc_add(&a, MiB(9) + 1, PAGE_SIZE), 0);
	check(MiB(3) + PAGE_SIZE);
	assert_int_equal(page_alloc_add(&a, 0, PAGE_SIZE * 2), 0); /* page 0 stays out */
	check(MiB(3) + 2 * PAGE_SIZE);
	assert_int_equal(a.free[0].base, PAGE_SIZE);
	/* Overlaps count once. */
	assert_int_equal(page_alloc_add(&a, MiB(1), MiB(9)), 0);
	check(MiB(9) + PAGE_SIZE);
	assert_int_equal(page_alloc_add(&a, ~0ULL - 10, 100), -HV_EINVAL);
	assert_int_equal(page_alloc_add(&a, 0, 0), 0);
	assert_int_equal(page_alloc_add(&a, 1, 100), 0);
	check(MiB(9) + PAGE_SIZE);
	/* The very top of the address space. */
	assert_int_equal(page_alloc_add(&a, ~0ULL - PAGE_SIZE * 3, PAGE_SIZE * 3), 0);
	check(MiB(9) + 3 * PAGE_SIZE);
}

static void test_reserve(void **state)
{
	(void)state;
	assert_int_equal(page_alloc_add(&a, MiB(1), MiB(9)), 0);
	assert_int_equal(page_alloc_reserve(&a, MiB(4) + 5, 10), 0); /* outward: one page */
	check(MiB(9) - PAGE_SIZE);
	assert_int_equal(a.count, 2);
	assert_int_equal(page_alloc_reserve(&a, 0, MiB(2)), 0);
	assert_int_equal(page_alloc_reserve(&a, MiB(9), GiB(100)), 0);
	check(MiB(7) - PAGE_SIZE);
	assert_int_equal(page_alloc_reserve(&a, MiB(3), MiB(3)), 0); /* over the hole */
	check(MiB(4));
	assert_int_equal(page_alloc_reserve(&a, MiB(5), 0), 0);
	assert_int_equal(page_alloc_reserve(&a, ~0ULL - 5, 10), -HV_EINVAL);
	assert_int_equal(page_alloc_reserve(&a, MiB(1), GiB(1)), 0);
	check(0);
	assert_int_equal(a.count, 0);
}

static void test_both_ends(void **state)
{
	hpa_t p;

	(void)state;
	assert_int_equal(page_alloc_add(&a, MiB(1), MiB(31)), 0);
	assert_int_equal(page_alloc_get(&a, MiB(4), PAGE_SIZE, &p), 0);
	assert_int_equal(p, MiB(28));
	assert_int_equal(page_alloc_get(&a, PAGE_SIZE, PAGE_SIZE, &p), 0);
	assert_int_equal(p, MiB(1));
	assert_int_equal(page_alloc_get(&a, MiB(2), MiB(8), &p), 0);
	assert_int_equal(p, MiB(24));
	assert_int_equal(page_alloc_get(&a, 2 * PAGE_SIZE, MiB(1), &p), 0);
	assert_int_equal(p, MiB(2));
	check(MiB(31 - 4 - 2) - 3 * PAGE_SIZE);
	assert_int_equal(page_alloc_get(&a, MiB(20), PAGE_SIZE, &p), 0); /* between the two */
	assert_int_equal(p, MiB(4));
	assert_int_equal(page_alloc_get(&a, MiB(20), PAGE_SIZE, &p), -HV_ENOMEM);
	assert_int_equal(page_alloc_get(&a, ~0ULL & ~(PAGE_SIZE - 1), PAGE_SIZE, &p), -HV_ENOMEM);
	assert_int_equal(page_alloc_get(&a, 0, PAGE_SIZE, &p), -HV_EINVAL);
	assert_int_equal(page_alloc_get(&a, 5, PAGE_SIZE, &p), -HV_EINVAL);
	assert_int_equal(page_alloc_get(&a, PAGE_SIZE, 8, &p), -HV_EINVAL);
	assert_int_equal(page_alloc_get(&a, PAGE_SIZE, 3 * PAGE_SIZE, &p), -HV_EINVAL);
}

/* More memory than 64 GiB, at and above 1 TiB: extents only, no memory touched. */
static void test_big_machine(void **state)
{
	hpa_t p, q;

	(void)state;
	assert_int_equal(page_alloc_add(&a, GiB(4), GiB(2048)), 0);
	assert_int_equal(page_alloc_add(&a, MiB(1), GiB(3)), 0);
	assert_int_equal(page_alloc_get(&a, GiB(1000), GiB(1), &p), 0);
	assert_int_equal(p, GiB(1052));
	assert_int_equal(page_alloc_get(&a, GiB(1), GiB(1), &q), 0);
	assert_int_equal(q, GiB(1051));
	page_alloc_put(&a, p, GiB(1000));
	page_alloc_put(&a, q, GiB(1));
	check(GiB(2051));
}

/* Single pages that came back are made whole again when a large request needs it. */
static void test_drain(void **state)
{
	hpa_t page[512], p;

	(void)state;
	assert_int_equal(page_alloc_add(&a, MiB(2), MiB(2)), 0);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(page_alloc_get(&a, PAGE_SIZE, PAGE_SIZE, &page[i]), 0);
	assert_int_equal(page_alloc_get(&a, PAGE_SIZE, PAGE_SIZE, &p), -HV_ENOMEM);
	for (unsigned i = 0; i < 512; i++)
		page_alloc_put(&a, page[(i * 37) % 512], PAGE_SIZE);
	check(MiB(2));
	assert_int_equal(a.count, 0);
	assert_int_equal(page_alloc_get(&a, MiB(2), MiB(2), &p), 0);
	assert_int_equal(p, MiB(2));
	check(0);
	page_alloc_put(&a, p, MiB(2));
	check(MiB(2));
}

/* The table is full: nothing breaks, what cannot be kept is counted. */
static void test_full_table(void **state)
{
	u64 total = 0;
	hpa_t p;

	(void)state;
	for (unsigned i = 0; i < PAGE_ALLOC_EXTENTS; i++, total += 3 * PAGE_SIZE)
		assert_int_equal(page_alloc_add(&a, MiB(1) + i * 4 * PAGE_SIZE, 3 * PAGE_SIZE), 0);
	check(total);
	assert_int_equal(page_alloc_add(&a, GiB(1), PAGE_SIZE), -HV_ENOSPC);
	assert_int_equal(a.lost_bytes, PAGE_SIZE);
	/* From the middle of an extent: one side has no row. */
	assert_int_equal(page_alloc_reserve(&a, MiB(1) + PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(a.lost_bytes, 2 * PAGE_SIZE);
	check(total - 2 * PAGE_SIZE);
	page_alloc_put(&a, GiB(2), MiB(2));
	assert_int_equal(a.lost_bytes, 2 * PAGE_SIZE + MiB(2));
	/* Pages that find no row stay on their list, and are handed out again. */
	page_alloc_put(&a, MiB(32), PAGE_SIZE);
	assert_int_equal(page_alloc_get(&a, MiB(2), PAGE_SIZE, &p), -HV_ENOMEM);
	check(total - PAGE_SIZE);
	assert_int_equal(page_alloc_get(&a, PAGE_SIZE, PAGE_SIZE, &p), 0);
	assert_int_equal(p, MiB(32));
}

static void test_misuse(void **state)
{
	enum mock_end end;

	(void)state;
	assert_int_equal(page_alloc_add(&a, MiB(1), MiB(4)), 0);
	MOCK_CATCH(end, page_alloc_put(&a, MiB(2), MiB(1))); /* freed twice */
	assert_int_equal(end, MOCK_PANIC);
	MOCK_CATCH(end, page_alloc_put(&a, MiB(8) + 1, PAGE_SIZE));
	assert_int_equal(end, MOCK_PANIC);
	MOCK_CATCH(end, page_alloc_put(&a, 0, PAGE_SIZE));
	assert_int_equal(end, MOCK_PANIC);
}

/* No two owners of a page, ever. */
static void test_random(void **state)
{
	static u8 owned[ARRAY_SIZE(links)];
	struct {
		hpa_t base;
		u64 size;
	} held[200];
	unsigned count = 0;
	u64 out = 0;

	(void)state;
	memset(owned, 0, sizeof(owned));
	assert_int_equal(page_alloc_add(&a, MiB(1), MiB(61)), 0);
	srand(1);
	for (int step = 0; step < 50000; step++) {
		if (count < ARRAY_SIZE(held) && rand() % 2) {
			u64 size = rand() % 4 ? PAGE_SIZE : (u64)(1 + rand() % 1500) * PAGE_SIZE;
			u64 align = PAGE_SIZE << (rand() % 4 ? 0 : rand() % 10);
			hpa_t p;

			if (page_alloc_get(&a, size, align, &p) < 0)
				continue;
			assert_true(IS_ALIGNED(p, align) && p >= MiB(1) && p + size <= MiB(62));
			for (u64 q = p; q < p + size; q += PAGE_SIZE)
				assert_int_equal(owned[q / PAGE_SIZE]++, 0);
			held[count].base = p;
			held[count++].size = size;
			out += size;
		} else if (count) {
			unsigned i = (unsigned)rand() % count;

			for (u64 q = held[i].base; q < held[i].base + held[i].size; q += PAGE_SIZE)
				owned[q / PAGE_SIZE]--;
			page_alloc_put(&a, held[i].base, held[i].size);
			out -= held[i].size;
			held[i] = held[--count];
		}
		if (step % 500 == 0)
			check(MiB(61) - out);
	}
	assert_int_equal(a.lost_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_add, setup),
		cmocka_unit_test_setup(test_reserve, setup),
		cmocka_unit_test_setup(test_both_ends, setup),
		cmocka_unit_test_setup(test_big_machine, setup),
		cmocka_unit_test_setup(test_drain, setup),
		cmocka_unit_test_setup(test_full_table, setup),
		cmocka_unit_test_setup(test_misuse, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
