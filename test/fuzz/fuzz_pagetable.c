/* SPDX-License-Identifier: MIT */
/*
 * Sequences of pt_map() and pt_unmap() with any arguments, in each format, with memory that may run
 * out: an address that the last successful operation covered translates as it says, and at the end
 * every table has been given back.
 */
/* SOURCES: vmm/mem/pagetable.c vmm/mem/pt_formats.c test/mock/host.c */
#include <stdlib.h>
#include <string.h>

#include <vmm/pagetable.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define POOL 64

struct pool {
	u64 (*page)[512];
	bool used[POOL];
	unsigned live;
};

static void *pool_alloc(void *ctx)
{
	struct pool *p = ctx;

	for (unsigned i = 0; i < POOL; i++) {
		if (!p->used[i]) {
			p->used[i] = true;
			p->live++;
			return memset(p->page[i], 0, PAGE_SIZE);
		}
	}
	return NULL;
}

static void pool_free(void *ctx, void *page)
{
	struct pool *p = ctx;
	size_t i = (size_t)((u64(*)[512])page - p->page);

	if (i >= POOL || !p->used[i])
		abort();
	p->used[i] = false;
	p->live--;
	memset(page, 0xff, PAGE_SIZE); /* a stale link would be followed into this */
}

static void *pool_va(void *ctx, hpa_t pa)
{
	struct pool *p = ctx;
	u64 i = pa / PAGE_SIZE - 1;

	if (i >= POOL || !p->used[i])
		abort();
	return p->page[i];
}

static hpa_t pool_pa(void *ctx, const void *va)
{
	struct pool *p = ctx;

	return ((u64)((const u64(*)[512])va - (const u64(*)[512])p->page) + 1) * PAGE_SIZE;
}

struct op {
	u64 va, pa, size;
	u8 prot, type, unmap, page_bits;
};

static void check(const struct pagetable *pt, const struct op *op, u64 va)
{
	struct pt_leaf leaf;
	bool found = pt_lookup(pt, va, &leaf);

	if (op->unmap ? found : !found || leaf.pa != op->pa + (va - op->va))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct pt_format *const formats[] = {&pt_format_x86, &pt_format_ept,
							  &pt_format_npt};
	static struct pool pool;
	const struct pt_mem mem = {pool_alloc, pool_free, pool_va, pool_pa, &pool};
	struct pagetable pt;

	if (size < 1)
		return 0;
	if (!pool.page)
		pool.page = malloc(POOL * sizeof(*pool.page));
	if (!pool.page || pt_init(&pt, formats[data[0] % 3], &mem, data[0] >> 4) < 0)
		abort();
	data++;
	size--;
	for (; size >= sizeof(struct op); data += sizeof(struct op), size -= sizeof(struct op)) {
		struct op op;
		u64 mask;

		memcpy(&op, data, sizeof(op));
		/* Mostly aligned, small and near one another; sometimes as wild as the input is. */
		mask = ~((PAGE_SIZE << (op.page_bits % 3 * 9)) - 1);
		if (op.page_bits & 0x80) {
			op.va &= mask & (GiB(8) - 1);
			op.pa &= mask & (GiB(64) - 1);
			op.size &= mask & (GiB(4) - 1);
		}
		op.unmap &= 1;
		if (op.unmap ? pt_unmap(&pt, op.va, op.size) :
			       pt_map(&pt, op.va, op.pa, op.size, op.prot, op.type % 3))
			continue;
		check(&pt, &op, op.va);
		check(&pt, &op, op.va + op.size - 1);
		check(&pt, &op, op.va + (op.size / 2 & ~7ULL));
		if (pool.live != pt.pages)
			abort();
	}
	pt_destroy(&pt);
	if (pool.live)
		abort();
	return 0;
}
