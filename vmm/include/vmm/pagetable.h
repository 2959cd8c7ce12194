/* SPDX-License-Identifier: MIT */
/*
 * One page-table walker for every hardware format. A format is a const description; the walker
 * holds no knowledge of any. The tables' memory comes through struct pt_mem, so that a host test
 * can supply its own and watch every store.
 *
 * Order of stores: a new table is filled before it is linked; an entry is written by one 64-bit
 * store. The caller flushes translations after an unmap, a narrowing, or a change of leaf size.
 */
#ifndef VMM_PAGETABLE_H
#define VMM_PAGETABLE_H

#include <vmm/types.h>

#define PT_READ   BIT(0)
#define PT_WRITE  BIT(1)
#define PT_EXEC   BIT(2)
#define PT_USER   BIT(3) /* formats without user/supervisor ignore it */
#define PT_GLOBAL BIT(4)

/*
 * x86 and NPT name them by PAT entries 0 (WB), 3 (UC) and 1 (WC if arch/host programs the PAT so;
 * WT after a reset, which is right for a framebuffer too, only slower).
 */
enum pt_memtype { PT_WB, PT_UC, PT_WC };

/* Leaf size of level n is 4 KiB << (9 * n); level 0 is the last. */
struct pt_format {
	const char *name;
	u8 levels; /* 4 for all today */
	bool canonical; /* bit 47 of an address is extended upward (virtual addresses); false: it stops at 2^48 */
	u64 addr_mask;
	u64 (*make_leaf)(hpa_t pa, u32 prot, enum pt_memtype type, unsigned level);
	u64 (*make_table)(hpa_t table);
	bool (*is_present)(u64 entry);
	bool (*is_leaf)(u64 entry, unsigned level); /* of a present entry */
	u32 (*prot)(u64 leaf);                      /* PT_* of a leaf */
	enum pt_memtype (*type)(u64 leaf);
};

extern const struct pt_format pt_format_x86; /* the host's own, SDM "4-Level Paging" (APM the same) */
extern const struct pt_format pt_format_ept; /* SDM "EPT Translation Mechanism" */
extern const struct pt_format pt_format_npt; /* APM "Nested Paging": x86 with US=1 everywhere */

struct pt_mem {
	void *(*alloc)(void *ctx); /* one cleared page, or NULL */
	void (*free)(void *ctx, void *page);
	void *(*va)(void *ctx, hpa_t pa);
	hpa_t (*pa)(void *ctx, const void *va);
	void *ctx;
};

struct pagetable {
	const struct pt_format *fmt;
	const struct pt_mem *mem;
	u32 leaf_levels; /* bit n: leaves of level n may be used; bit 0 always */
	u64 *root;
	u64 pages; /* tables held, the root too */
};

int pt_init(struct pagetable *pt, const struct pt_format *fmt, const struct pt_mem *mem,
	    u32 leaf_levels) must_check;
void pt_destroy(struct pagetable *pt); /* frees all tables */

/*
 * Maps [va, va + size) to [pa, ...), all 4 KiB-aligned, with the largest leaves that fit; replaces
 * what was there, and frees tables that a larger leaf replaces. `prot` holds PT_READ. -HV_ENOMEM (a
 * part may be mapped), -HV_EINVAL (alignment, wrap, beyond the format; nothing changed).
 */
int pt_map(struct pagetable *pt, u64 va, hpa_t pa, u64 size, u32 prot,
	   enum pt_memtype type) must_check;
/* Removes whatever maps the range; splits a larger leaf that it touches in part. */
int pt_unmap(struct pagetable *pt, u64 va, u64 size) must_check;

struct pt_leaf {
	hpa_t pa; /* of `va` itself */
	u64 size; /* of the leaf */
	u32 prot;
	u64 entry;
};
bool pt_lookup(const struct pagetable *pt, u64 va, struct pt_leaf *out) must_check;

#endif
