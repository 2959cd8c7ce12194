/* SPDX-License-Identifier: MIT */
/*
 * vmm/mem/pagetable.c and pt_formats.c. The tables' memory watches: whenever the walker asks it for
 * anything, the tables as the hardware would see them at that moment are walked. No link may lead
 * to a page that is not (or no longer) a table, a split table must be full before it is linked, and
 * every address must translate as before or as after.
 */
/* SOURCES: vmm/mem/pagetable.c vmm/mem/pt_formats.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/pagetable.h>
#include "test/mock/mock.h"

#define POOL 1600

struct pool {
	u64 *page[POOL]; /* "physical" address of page i: MiB(512) + i * 4 KiB */
	bool used[POOL];
	int limit; /* allocations that still succeed; -1: all */
	/* The observer */
	struct pagetable *pt;
	u64 watch_va;
	bool before, after;
	hpa_t before_pa, after_pa;
	unsigned looks;
};

static struct pool pool;
static struct pagetable pt;

#define POOL_BASE MiB(512)

static void *pool_va(void *ctx, hpa_t pa)
{
	struct pool *p = ctx;
	u64 i = (pa - POOL_BASE) / PAGE_SIZE;

	assert_true(pa >= POOL_BASE && i < POOL && p->used[i] && IS_ALIGNED(pa, PAGE_SIZE));
	return p->page[i];
}

static hpa_t pool_find(struct pool *p, const void *va)
{
	for (unsigned i = 0; i < POOL; i++) {
		if (p->page[i] == va)
			return POOL_BASE + i * PAGE_SIZE;
	}
	fail_msg("not a page of the pool");
	return 0;
}

/* As hardware: from the root, through live pages only. */
static void observe(struct pool *p)
{
	struct pt_leaf leaf;
	bool found;

	if (!p->pt || !p->pt->root)
		return;
	p->looks++;
	found = pt_lookup(p->pt, p->watch_va, &leaf);
	if (found)
		assert_true((p->before && leaf.pa == p->before_pa) ||
			    (p->after && leaf.pa == p->after_pa));
	else
		assert_true(!p->before || !p->after);
}

static void walk_all(const struct pagetable *t, const u64 *table, unsigned level, unsigned *tables)
{
	(*tables)++;
	for (unsigned i = 0; level && i < 512; i++) {
		if (t->fmt->is_present(table[i]) && !t->fmt->is_leaf(table[i], level))
			walk_all(t, pool_va(&pool, table[i] & t->fmt->addr_mask), level - 1,
				 tables);
	}
}

static void *pool_alloc(void *ctx)
{
	struct pool *p = ctx;

	observe(p);
	if (p->limit == 0)
		return NULL;
	if (p->limit > 0)
		p->limit--;
	for (unsigned i = 0; i < POOL; i++) {
		if (!p->used[i]) {
			p->used[i] = true;
			p->page[i] = calloc(1, PAGE_SIZE);
			return p->page[i];
		}
	}
	return NULL;
}

static void pool_free(void *ctx, void *page)
{
	struct pool *p = ctx;
	hpa_t pa = pool_find(p, page);

	observe(p);
	p->used[(pa - POOL_BASE) / PAGE_SIZE] = false;
	p->page[(pa - POOL_BASE) / PAGE_SIZE] = NULL;
	free(page);
	/* Not reachable any more: a link to it would make pool_va() fail. */
	observe(p);
}

/* Asked for just before a table is linked. */
static hpa_t pool_pa(void *ctx, const void *va)
{
	struct pool *p = ctx;
	const u64 *table = va;
	unsigned present = 0;

	observe(p);
	for (unsigned i = 0; p->pt && i < 512; i++)
		present += p->pt->fmt->is_present(table[i]);
	assert_true(present == 0 || present == 512); /* cleared, or a whole split */
	return pool_find(p, va);
}

static const struct pt_mem mem = {pool_alloc, pool_free, pool_va, pool_pa, &pool};

static const struct pt_format *const formats[] = {&pt_format_x86, &pt_format_ept, &pt_format_npt};

static void begin(const struct pt_format *f, u32 leaf_levels)
{
	memset(&pool, 0, sizeof(pool));
	pool.limit = -1;
	assert_int_equal(pt_init(&pt, f, &mem, leaf_levels), 0);
	assert_int_equal(pt.pages, 1);
}

static void end(void)
{
	unsigned tables = 0;

	walk_all(&pt, pt.root, pt.fmt->levels - 1, &tables);
	assert_int_equal(tables, pt.pages);
	pool.pt = NULL;
	pt_destroy(&pt);
	for (unsigned i = 0; i < POOL; i++)
		assert_false(pool.used[i]);
}

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	return 0;
}

#define RWX (PT_READ | PT_WRITE | PT_EXEC)

static void expect(u64 va, hpa_t pa, u64 size, u32 prot)
{
	struct pt_leaf leaf;

	assert_true(pt_lookup(&pt, va, &leaf));
	assert_int_equal(leaf.pa, pa);
	assert_int_equal(leaf.size, size);
	assert_int_equal(leaf.prot, prot);
}

static void expect_none(u64 va)
{
	struct pt_leaf leaf;

	assert_false(pt_lookup(&pt, va, &leaf));
}

/* The very bits, by the manuals. */
static void test_entries(void **state)
{
	const struct pt_format *x = &pt_format_x86, *e = &pt_format_ept, *n = &pt_format_npt;
	const u64 nx = 1ULL << 63;

	(void)state;
	assert_int_equal(x->make_leaf(0x1234000, PT_READ, PT_WB, 0), 0x1234000 | nx | 0x61);
	assert_int_equal(x->make_leaf(0x1234000, RWX, PT_WB, 0), 0x1234063);
	assert_int_equal(x->make_leaf(0x200000, PT_READ | PT_WRITE | PT_USER | PT_GLOBAL, PT_UC, 1),
			 0x200000 | nx | 0x1ff);
	assert_int_equal(x->make_leaf(GiB(1), PT_READ | PT_EXEC, PT_WC, 2), GiB(1) | 0xe9);
	assert_int_equal(x->make_table(0x5000), 0x5027);
	assert_int_equal(n->make_leaf(0x200000, RWX, PT_WB, 1), 0x2000e7);
	assert_int_equal(n->make_leaf(0x1000, PT_READ | PT_GLOBAL, PT_WB, 0), 0x1000 | nx | 0x65);
	assert_int_equal(n->make_table(0x5000), 0x5027);
	/* EPT: type in bits 5:3, leaf bit 7 above level 0, no IPAT, A and D set. */
	assert_int_equal(e->make_leaf(0x1000, RWX, PT_WB, 0), 0x1000 | 0x300 | 0x37);
	assert_int_equal(e->make_leaf(0x200000, PT_READ | PT_WRITE, PT_UC, 1),
			 0x200000 | 0x300 | 0x83);
	assert_int_equal(e->make_leaf(GiB(1), PT_READ, PT_WC, 2), GiB(1) | 0x300 | 0x89);
	assert_int_equal(e->make_table(0x5000), 0x5107);
	for (unsigned i = 0; i < 3; i++) {
		const struct pt_format *f = formats[i];

		assert_false(f->is_present(0));
		for (unsigned level = 0; level < 3; level++) {
			static const u32 prots[] = {PT_READ, PT_READ | PT_WRITE, PT_READ | PT_EXEC,
						    RWX};

			for (unsigned j = 0; j < ARRAY_SIZE(prots); j++) {
				for (unsigned t = PT_WB; t <= PT_WC; t++) {
					u64 leaf = f->make_leaf(GiB(2), prots[j], t, level);

					assert_true(f->is_present(leaf) && f->is_leaf(leaf, level));
					assert_int_equal(f->prot(leaf), prots[j]);
					assert_int_equal(f->type(leaf), t);
				}
			}
			if (level)
				assert_false(f->is_leaf(f->make_table(0x7000), level));
		}
	}
}

static void test_largest_leaves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		begin(formats[i], 7);
		assert_int_equal(pt_map(&pt, MiB(2) - PAGE_SIZE, GiB(4) + MiB(2) - PAGE_SIZE,
					GiB(2) + MiB(4), RWX, PT_WB),
				 0);
		expect_none(MiB(2) - PAGE_SIZE - 1);
		expect(MiB(2) - PAGE_SIZE, GiB(4) + MiB(2) - PAGE_SIZE, PAGE_SIZE, RWX);
		expect(MiB(2) + 5, GiB(4) + MiB(2) + 5, MiB(2), RWX);
		expect(GiB(1), GiB(5), GiB(1), RWX);
		expect(GiB(2) - 1, GiB(6) - 1, GiB(1), RWX);
		expect(GiB(2), GiB(6), MiB(2), RWX);
		expect(GiB(2) + MiB(4), GiB(6) + MiB(4), PAGE_SIZE, RWX);
		expect(GiB(2) + MiB(6) - PAGE_SIZE - 1, GiB(6) + MiB(6) - PAGE_SIZE - 1, PAGE_SIZE,
		       RWX);
		expect_none(GiB(2) + MiB(6) - PAGE_SIZE);
		end();
		/* A CPU without 1 GiB pages, and misaligned backing. */
		begin(formats[i], 3);
		assert_int_equal(pt_map(&pt, 0, 0, GiB(1), RWX, PT_WB), 0);
		expect(0, 0, MiB(2), RWX);
		assert_int_equal(pt.pages, 3);
		end();
		begin(formats[i], 0);
		assert_int_equal(pt_map(&pt, 0, 0, MiB(4), RWX, PT_WB), 0);
		expect(0, 0, PAGE_SIZE, RWX);
		end();
		begin(formats[i], 7);
		assert_int_equal(pt_map(&pt, 0, PAGE_SIZE, GiB(1), RWX, PT_WB), 0);
		expect(MiB(2), MiB(2) + PAGE_SIZE, PAGE_SIZE, RWX);
		end();
	}
}

/*
 * A hole and a changed page in a 1 GiB leaf; then all of it is one leaf again, and the tables are
 * given back.
 */
static void test_split_and_promote(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		begin(formats[i], 7);
		assert_int_equal(pt_map(&pt, GiB(1), GiB(3), GiB(1), RWX, PT_WC), 0);
		assert_int_equal(pt.pages, 2);
		pool.pt = &pt;
		pool.watch_va = GiB(1) + MiB(6); /* a neighbour: must not flicker */
		pool.before = pool.after = true;
		pool.before_pa = pool.after_pa = GiB(3) + MiB(6);
		assert_int_equal(pt_unmap(&pt, GiB(1) + MiB(4) + PAGE_SIZE, PAGE_SIZE), 0);
		assert_int_equal(pt.pages, 4);
		expect(GiB(1) + MiB(4), GiB(3) + MiB(4), PAGE_SIZE, RWX);
		expect_none(GiB(1) + MiB(4) + PAGE_SIZE);
		expect(GiB(1) + MiB(4) + 2 * PAGE_SIZE, GiB(3) + MiB(4) + 2 * PAGE_SIZE, PAGE_SIZE,
		       RWX);
		expect(GiB(2) - 1, GiB(4) - 1, MiB(2), RWX);
		assert_int_equal(pt_map(&pt, GiB(1) + MiB(8), GiB(9), PAGE_SIZE, PT_READ, PT_WB),
				 0);
		expect(GiB(1) + MiB(8), GiB(9), PAGE_SIZE, PT_READ);
		expect(GiB(1) + MiB(8) + PAGE_SIZE, GiB(3) + MiB(8) + PAGE_SIZE, PAGE_SIZE, RWX);
		/* The split leaves kept their memory type. */
		{
			struct pt_leaf leaf;

			assert_true(pt_lookup(&pt, GiB(1) + MiB(6), &leaf));
			assert_int_equal(pt.fmt->type(leaf.entry), PT_WC);
		}
		assert_int_equal(pt_map(&pt, GiB(1), GiB(3), GiB(1), RWX, PT_WC), 0);
		expect(GiB(1) + MiB(4) + PAGE_SIZE, GiB(3) + MiB(4) + PAGE_SIZE, GiB(1), RWX);
		assert_int_equal(pt.pages, 2);
		assert_true(pool.looks > 6);
		end();
	}
}

static void test_unmap(void **state)
{
	(void)state;
	begin(&pt_format_ept, 3);
	assert_int_equal(pt_map(&pt, 0, GiB(1), MiB(64), RWX, PT_WB), 0);
	/* Unmapping nothing allocates nothing. */
	assert_int_equal(pt_unmap(&pt, GiB(512), GiB(512)), 0);
	assert_int_equal(pt_unmap(&pt, GiB(100) + PAGE_SIZE, MiB(3)), 0);
	assert_int_equal(pt.pages, 3);
	assert_int_equal(pt_unmap(&pt, 0, 1ULL << 48), 0); /* everything */
	assert_int_equal(pt.pages, 1);
	expect_none(0);
	end();
}

static void test_limits(void **state)
{
	(void)state;
	begin(&pt_format_npt, 7);
	assert_int_equal(pt_map(&pt, 1, 0, PAGE_SIZE, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, 1, PAGE_SIZE, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, 0, 100, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, 0, 0, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, 0, PAGE_SIZE, PT_WRITE, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 1ULL << 48, 0, PAGE_SIZE, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, (1ULL << 48) - PAGE_SIZE, 0, 2 * PAGE_SIZE, RWX, PT_WB),
			 -HV_EINVAL);
	assert_int_equal(pt_map(&pt, PAGE_SIZE, 0, ~0ULL << PAGE_SHIFT, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, 1ULL << 52, PAGE_SIZE, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, (1ULL << 52) - PAGE_SIZE, 2 * PAGE_SIZE, RWX, PT_WB),
			 -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, ~0ULL << PAGE_SHIFT, 2 * PAGE_SIZE, RWX, PT_WB),
			 -HV_EINVAL);
	assert_int_equal(pt_unmap(&pt, 5, PAGE_SIZE), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, (1ULL << 48) - PAGE_SIZE, (1ULL << 52) - PAGE_SIZE, PAGE_SIZE,
				RWX, PT_WB),
			 0);
	expect((1ULL << 48) - 1, (1ULL << 52) - 1, PAGE_SIZE, RWX);
	expect_none(1ULL << 48);
	end();
	/* Virtual addresses are canonical; the last page can be mapped. */
	begin(&pt_format_x86, 7);
	assert_int_equal(pt_map(&pt, 1ULL << 47, 0, PAGE_SIZE, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(pt_map(&pt, (1ULL << 47) - PAGE_SIZE, 0, 2 * PAGE_SIZE, RWX, PT_WB),
			 -HV_EINVAL);
	assert_int_equal(pt_map(&pt, 0, 0, ~0ULL << PAGE_SHIFT, RWX, PT_WB), -HV_EINVAL);
	assert_int_equal(
		pt_map(&pt, ~0ULL << PAGE_SHIFT, 0x7000, PAGE_SIZE, PT_READ | PT_GLOBAL, PT_WB), 0);
	expect(~0ULL, 0x7fff, PAGE_SIZE, PT_READ | PT_GLOBAL);
	assert_int_equal(
		pt_map(&pt, 0xffffffff80000000ULL, 0x100000, MiB(2), PT_READ | PT_EXEC, PT_WB), 0);
	expect(0xffffffff80000000ULL, 0x100000, PAGE_SIZE, PT_READ | PT_EXEC);
	assert_int_equal(pt_map(&pt, 0xffff800000000000ULL, 0, GiB(512), PT_READ | PT_WRITE, PT_WB),
			 0);
	expect(0xffff800000000000ULL + GiB(511), GiB(511), GiB(1), PT_READ | PT_WRITE);
	expect_none(1ULL << 47);
	end();
}

/* Every allocation fails once: an error, a consistent table, nothing leaked. */
static void test_no_memory(void **state)
{
	(void)state;
	for (int limit = 0;; limit++) {
		int r;

		memset(&pool, 0, sizeof(pool));
		pool.limit = -1;
		assert_int_equal(pt_init(&pt, &pt_format_ept, &mem, 7), 0);
		assert_int_equal(pt_map(&pt, GiB(1), 0, GiB(1), RWX, PT_WB), 0);
		pool.limit = limit;
		pool.pt = &pt;
		pool.watch_va = GiB(1);
		pool.before = pool.after = true;
		r = pt_unmap(&pt, GiB(2) - PAGE_SIZE, PAGE_SIZE);
		if (!r)
			r = pt_map(&pt, GiB(600), 0, MiB(1), RWX, PT_WB);
		pool.limit = -1;
		expect(GiB(2) - MiB(2) - 1, GiB(1) - MiB(2) - 1, limit >= 1 ? MiB(2) : GiB(1), RWX);
		end();
		if (!r) {
			assert_true(limit >= 5);
			break;
		}
		assert_int_equal(r, -HV_ENOMEM);
	}
	pool.limit = 0;
	assert_int_equal(pt_init(&pt, &pt_format_ept, &mem, 7), -HV_ENOMEM);
	pt_destroy(&pt);
}

/* Random operations against a flat model of every page. */
#define MODEL_PAGES (GiB(3) / PAGE_SIZE)

static u64 random_size(void)
{
	static const u64 units[] = {PAGE_SIZE, MiB(2), GiB(1)};
	u64 unit = units[rand() % 3];

	return unit * (1 + (u64)rand() % (unit == GiB(1) ? 2 : 600));
}

static void test_random(void **state)
{
	u64 *model = calloc(MODEL_PAGES, sizeof(*model)); /* pa + prot, 0: none */

	(void)state;
	for (unsigned f = 0; f < 3; f++) {
		begin(formats[f], 7);
		memset(model, 0, MODEL_PAGES * sizeof(*model));
		srand(7 + f);
		for (int step = 0; step < 300; step++) {
			static const u64 aligns[] = {PAGE_SIZE, MiB(2), GiB(1)};
			u64 size = random_size();
			u64 va = ALIGN_DOWN(((u64)rand() << 12) % GiB(3), aligns[rand() % 3]);
			hpa_t pa = ALIGN_DOWN(((u64)rand() << 15) % GiB(64), aligns[rand() % 3]);
			u32 prot = PT_READ | (rand() % 2 ? PT_WRITE : 0) |
				   (rand() % 2 ? PT_EXEC : 0);
			bool map = rand() % 3;

			size = MIN(size, GiB(3) - va);
			if (map)
				assert_int_equal(pt_map(&pt, va, pa, size, prot, PT_WB), 0);
			else
				assert_int_equal(pt_unmap(&pt, va, size), 0);
			for (u64 o = 0; o < size; o += PAGE_SIZE)
				model[(va + o) / PAGE_SIZE] = map ? (pa + o) | prot : 0;
			for (int probe = 0; probe < 200; probe++) {
				u64 page = (u64)rand() % MODEL_PAGES;
				struct pt_leaf leaf;
				bool found;

				if (probe < 4) { /* the edges, and just outside */
					page = (va + (probe & 1 ? size : 0)) / PAGE_SIZE;
					if (probe & 2 && page)
						page--;
					page = MIN(page, MODEL_PAGES - 1);
				}
				found = pt_lookup(&pt, page * PAGE_SIZE + 3, &leaf);
				assert_int_equal(found, model[page] != 0);
				if (found)
					assert_int_equal(leaf.pa - 3 + leaf.prot, model[page]);
			}
		}
		end();
	}
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_entries, setup),
		cmocka_unit_test_setup(test_largest_leaves, setup),
		cmocka_unit_test_setup(test_split_and_promote, setup),
		cmocka_unit_test_setup(test_unmap, setup),
		cmocka_unit_test_setup(test_limits, setup),
		cmocka_unit_test_setup(test_no_memory, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
