/* SPDX-License-Identifier: MIT */
/*
 * The allocator of physical memory: extents for guests, single pages for tables. Pure: it hands out
 * addresses, and touches the memory itself only for the free list of single pages (through va()).
 */
#ifndef VMM_PAGE_ALLOC_H
#define VMM_PAGE_ALLOC_H

#include <vmm/types.h>

#define PAGE_ALLOC_EXTENTS 512

struct extent {
	hpa_t base;
	u64 size;
};

struct page_alloc {
	struct extent free[PAGE_ALLOC_EXTENTS]; /* sorted by base, merged */
	unsigned count;
	u64 free_bytes; /* single free pages included */
	u64 lost_bytes; /* freed, but the extent table was full; 0 in practice, and reported */
	void *(*va)(hpa_t pa);
	/* owner: keep what else the implementation needs here */
	hpa_t page_list; /* single free pages, linked through their first 8 bytes; 0: empty */
};

void page_alloc_init(struct page_alloc *a, void *(*va)(hpa_t));
/* Adds free memory (rounded inward to pages); merges. */
int page_alloc_add(struct page_alloc *a, hpa_t base, u64 size) must_check;
/*
 * Takes [base, base + size) out of the free memory, whatever of it is there (rounded outward to
 * pages).
 */
int page_alloc_reserve(struct page_alloc *a, hpa_t base, u64 size) must_check;
/*
 * Large requests (>= 2 MiB) come from the top, small ones from the bottom, so that they do not
 * shred one another.
 */
int page_alloc_get(struct page_alloc *a, u64 size, u64 align, hpa_t *out) must_check;
void page_alloc_put(struct page_alloc *a, hpa_t base, u64 size);

#endif
