/* SPDX-License-Identifier: MIT */
/*
 * The allocator of physical memory. Called by arch/host (host_mem_alloc, host_page_zalloc) from the
 * moment the boot memory map is known. A table of free extents and one list of single pages: no
 * metadata per page, so that a machine with a terabyte starts as fast as one with 512 MiB.
 * docs/architecture.md "Guest-physical memory".
 */
#include <vmm/assert.h>
#include <vmm/errno.h>
#include <vmm/page_alloc.h>

#define LARGE MiB(2)

void page_alloc_init(struct page_alloc *a, void *(*va)(hpa_t))
{
	/* free[] is left as it is: count says how much of it counts. */
	a->count = 0;
	a->free_bytes = 0;
	a->lost_bytes = 0;
	a->va = va;
	a->page_list = 0;
}

/*
 * Index of the first extent that ends above `base`: the one to look at for an overlap, or to insert
 * before.
 */
static unsigned extent_find(const struct page_alloc *a, hpa_t base)
{
	unsigned lo = 0, hi = a->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (a->free[mid].base + a->free[mid].size > base)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void extent_delete(struct page_alloc *a, unsigned i)
{
	a->count--;
	for (; i < a->count; i++)
		a->free[i] = a->free[i + 1];
}

/* Room must have been checked. */
static void extent_insert(struct page_alloc *a, unsigned i, hpa_t base, u64 size)
{
	for (unsigned j = a->count; j > i; j--)
		a->free[j] = a->free[j - 1];
	a->free[i] = (struct extent){base, size};
	a->count++;
}

/*
 * Gives [base, base + size), which overlaps nothing free. False: the table is full and no neighbour
 * takes it.
 */
static bool extent_give(struct page_alloc *a, hpa_t base, u64 size)
{
	unsigned i = extent_find(a, base);
	bool joins_prev, joins_next;

	hv_assert(i == a->count || a->free[i].base >= base + size);
	joins_prev = i > 0 && a->free[i - 1].base + a->free[i - 1].size == base;
	joins_next = i < a->count && a->free[i].base == base + size;
	if (joins_prev && joins_next) {
		a->free[i - 1].size += size + a->free[i].size;
		extent_delete(a, i);
	} else if (joins_prev) {
		a->free[i - 1].size += size;
	} else if (joins_next) {
		a->free[i].base = base;
		a->free[i].size += size;
	} else if (a->count < PAGE_ALLOC_EXTENTS) {
		extent_insert(a, i, base, size);
	} else {
		return false;
	}
	a->free_bytes += size;
	return true;
}

/* Takes [base, base + size), all of it inside extent i, out. */
static void extent_cut(struct page_alloc *a, unsigned i, hpa_t base, u64 size)
{
	struct extent *e = &a->free[i];
	u64 before = base - e->base;
	u64 after = e->size - before - size;

	a->free_bytes -= size;
	if (before && after) {
		if (a->count < PAGE_ALLOC_EXTENTS) {
			e->size = before;
			extent_insert(a, i + 1, base + size, after);
			return;
		}
		/* No room for both sides: the smaller one is lost, and reported. */
		a->lost_bytes += MIN(before, after);
		a->free_bytes -= MIN(before, after);
		if (before > after)
			after = 0;
		else
			before = 0;
	}
	if (before)
		e->size = before;
	else if (after)
		*e = (struct extent){base + size, after};
	else
		extent_delete(a, i);
}

int page_alloc_add(struct page_alloc *a, hpa_t base, u64 size)
{
	hpa_t end = base + size;

	if (end < base)
		return -HV_EINVAL;
	end = ALIGN_DOWN(end, PAGE_SIZE);
	/*
	 * Page 0 is never free: 0 means "none" in the page list, and a null pointer shall point to
	 * nothing.
	 */
	base = MAX(base, PAGE_SIZE);
	if (base > end)
		return 0;
	base = ALIGN_UP(base, PAGE_SIZE);
	if (base >= end)
		return 0;
	/* Firmware maps may overlap: what is free already is not added twice. */
	while (base < end) {
		unsigned i = extent_find(a, base);
		hpa_t stop = i < a->count ? MIN(end, a->free[i].base) : end;

		if (i < a->count && a->free[i].base <= base) {
			base = a->free[i].base + a->free[i].size;
			continue;
		}
		if (!extent_give(a, base, stop - base)) {
			a->lost_bytes += end - base;
			return -HV_ENOSPC;
		}
		base = stop;
	}
	return 0;
}

/* Moves the single pages back into the extents, as far as the table has room. */
static void page_list_drain(struct page_alloc *a)
{
	hpa_t kept = 0;

	while (a->page_list) {
		hpa_t pa = a->page_list;
		hpa_t *link = a->va(pa);

		a->page_list = *link;
		a->free_bytes -= PAGE_SIZE;
		if (!extent_give(a, pa, PAGE_SIZE)) {
			a->free_bytes += PAGE_SIZE;
			*link = kept;
			kept = pa;
		}
	}
	a->page_list = kept;
}

int page_alloc_reserve(struct page_alloc *a, hpa_t base, u64 size)
{
	hpa_t end = base + size;

	if (end < base || end > ALIGN_DOWN(~0ULL, PAGE_SIZE))
		return -HV_EINVAL;
	if (!size)
		return 0;
	base = ALIGN_DOWN(base, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	page_list_drain(a);
	for (;;) {
		unsigned i = extent_find(a, base);
		hpa_t from, to;

		if (i == a->count || a->free[i].base >= end)
			return 0;
		from = MAX(base, a->free[i].base);
		to = MIN(end, a->free[i].base + a->free[i].size);
		extent_cut(a, i, from, to - from);
	}
}

/* The highest place in extent e, aligned; false if it does not fit. */
static bool fit_top(const struct extent *e, u64 size, u64 align, hpa_t *base)
{
	if (e->size < size)
		return false;
	*base = ALIGN_DOWN(e->base + e->size - size, align);
	return *base >= e->base;
}

static bool fit_bottom(const struct extent *e, u64 size, u64 align, hpa_t *base)
{
	*base = ALIGN_UP(e->base, align);
	return *base >= e->base && *base - e->base <= e->size &&
	       e->size - (*base - e->base) >= size;
}

static bool extent_take(struct page_alloc *a, u64 size, u64 align, hpa_t *out)
{
	for (unsigned n = 0; n < a->count; n++) {
		unsigned i = size >= LARGE ? a->count - 1 - n : n;
		const struct extent *e = &a->free[i];

		if (size >= LARGE ? fit_top(e, size, align, out) :
				    fit_bottom(e, size, align, out)) {
			extent_cut(a, i, *out, size);
			return true;
		}
	}
	return false;
}

int page_alloc_get(struct page_alloc *a, u64 size, u64 align, hpa_t *out)
{
	if (!size || !IS_ALIGNED(size, PAGE_SIZE) || align < PAGE_SIZE || (align & (align - 1)))
		return -HV_EINVAL;
	if (size == PAGE_SIZE && align == PAGE_SIZE && a->page_list) {
		*out = a->page_list;
		a->page_list = *(hpa_t *)a->va(*out);
		a->free_bytes -= PAGE_SIZE;
		return 0;
	}
	if (extent_take(a, size, align, out))
		return 0;
	/* Single pages may have shredded what was one extent. */
	if (!a->page_list)
		return -HV_ENOMEM;
	page_list_drain(a);
	return extent_take(a, size, align, out) ? 0 : -HV_ENOMEM;
}

void page_alloc_put(struct page_alloc *a, hpa_t base, u64 size)
{
	hv_assert(base && size && IS_ALIGNED(base | size, PAGE_SIZE) && base + size > base);
	if (size == PAGE_SIZE) {
		*(hpa_t *)a->va(base) = a->page_list;
		a->page_list = base;
		a->free_bytes += PAGE_SIZE;
	} else if (!extent_give(a, base, size)) {
		a->lost_bytes += size;
	}
}
