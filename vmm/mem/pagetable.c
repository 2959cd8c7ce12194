/* SPDX-License-Identifier: MIT */
/*
 * The page-table walker, one for every hardware format (pt_formats.c). Called by arch/host/paging.c
 * for the host's own tables and by gmem.c for a guest's nested ones. It never flushes: it cannot
 * know which CPUs hold translations; the caller does, after an unmap, a narrowing or a change of
 * leaf size. SDM vol. 3 "Caching Translation Information": an entry that was not present is in no
 * cache, so that adding a mapping needs nothing.
 */
#include <vmm/assert.h>
#include <vmm/errno.h>
#include <vmm/pagetable.h>

#define PT_ENTRIES    512
#define PT_INDEX_BITS 9

static u64 leaf_size(unsigned level)
{
	return PAGE_SIZE << (PT_INDEX_BITS * level);
}

static unsigned entry_index(u64 va, unsigned level)
{
	return (va >> (PAGE_SHIFT + PT_INDEX_BITS * level)) & (PT_ENTRIES - 1);
}

/*
 * The hardware may walk the tables meanwhile: one store of 64 bits, after all stores that filled
 * what it names.
 */
static void entry_store(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static u64 *table_alloc(struct pagetable *pt)
{
	u64 *table = pt->mem->alloc(pt->mem->ctx);

	if (table)
		pt->pages++;
	return table;
}

static void table_free(struct pagetable *pt, u64 *table)
{
	pt->mem->free(pt->mem->ctx, table);
	pt->pages--;
}

static u64 *entry_table(const struct pagetable *pt, u64 entry)
{
	return pt->mem->va(pt->mem->ctx, entry & pt->fmt->addr_mask);
}

static hpa_t leaf_pa(const struct pagetable *pt, u64 leaf, unsigned level)
{
	return ALIGN_DOWN(leaf & pt->fmt->addr_mask, leaf_size(level));
}

static bool entry_is_table(const struct pagetable *pt, u64 entry, unsigned level)
{
	return pt->fmt->is_present(entry) && !pt->fmt->is_leaf(entry, level);
}

/*
 * Frees the table that an entry of `level` named, and all below it. Depth is bounded by the
 * format's levels.
 */
static void subtree_free(struct pagetable *pt, u64 *table, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < PT_ENTRIES; i++) {
		if (entry_is_table(pt, table[i], level))
			subtree_free(pt, entry_table(pt, table[i]), level - 1);
	}
	table_free(pt, table);
}

/* Writes an entry of `level`, then frees what hung below the old one. */
static void entry_replace(struct pagetable *pt, u64 *entry, unsigned level, u64 value)
{
	u64 old = *entry;

	entry_store(entry, value);
	if (entry_is_table(pt, old, level))
		subtree_free(pt, entry_table(pt, old), level - 1);
}

int pt_init(struct pagetable *pt, const struct pt_format *fmt, const struct pt_mem *mem,
	    u32 leaf_levels)
{
	*pt = (struct pagetable){.fmt = fmt, .mem = mem, .leaf_levels = leaf_levels | BIT(0)};
	pt->root = table_alloc(pt);
	return pt->root ? 0 : -HV_ENOMEM;
}

void pt_destroy(struct pagetable *pt)
{
	if (!pt->root)
		return;
	subtree_free(pt, pt->root, pt->fmt->levels - 1);
	pt->root = NULL;
	hv_assert(pt->pages == 0);
}

/*
 * The table below *entry, made if there is none. A leaf is split: the new table maps the same, so
 * that the one store that links it changes no translation.
 */
static u64 *table_below(struct pagetable *pt, u64 *entry, unsigned level)
{
	const struct pt_format *f = pt->fmt;
	u64 *table;

	if (entry_is_table(pt, *entry, level))
		return entry_table(pt, *entry);
	table = table_alloc(pt);
	if (!table)
		return NULL;
	if (f->is_present(*entry)) {
		hpa_t pa = leaf_pa(pt, *entry, level);

		for (unsigned i = 0; i < PT_ENTRIES; i++)
			table[i] = f->make_leaf(pa + i * leaf_size(level - 1), f->prot(*entry),
						f->type(*entry), level - 1);
	}
	entry_store(entry, f->make_table(pt->mem->pa(pt->mem->ctx, table)));
	return table;
}

struct mapping {
	hpa_t pa;
	u32 prot;
	enum pt_memtype type;
	bool present; /* false: unmap */
};

/*
 * Is an entry of `level` to be written itself, rather than one below it? For an unmap, one that
 * maps nothing needs no table either.
 */
static bool entry_is_target(const struct pagetable *pt, u64 entry, unsigned level, u64 va, u64 size,
			    const struct mapping *m)
{
	u64 leaf = leaf_size(level);

	if (!m->present && !pt->fmt->is_present(entry))
		return true;
	if (level == 0)
		return true;
	if (size < leaf || !IS_ALIGNED(va, leaf))
		return false;
	return !m->present || ((pt->leaf_levels & BIT(level)) && IS_ALIGNED(m->pa, leaf));
}

/*
 * [va, va + size) lies inside what `table`, of `level`, covers; m->pa is that of va and moves on
 * with it.
 */
static int table_apply(struct pagetable *pt, u64 *table, unsigned level, u64 va, u64 size,
		       struct mapping *m)
{
	while (size) {
		u64 *entry = &table[entry_index(va, level)];
		u64 step = MIN(size, leaf_size(level) - (va & (leaf_size(level) - 1)));

		if (entry_is_target(pt, *entry, level, va, size, m)) {
			u64 value = m->present ?
					    pt->fmt->make_leaf(m->pa, m->prot, m->type, level) :
					    0;

			entry_replace(pt, entry, level, value);
			m->pa += step;
		} else {
			u64 *below = table_below(pt, entry, level);
			int r;

			if (!below)
				return -HV_ENOMEM;
			r = table_apply(pt, below, level - 1, va, step, m);
			if (r < 0)
				return r;
		}
		va += step;
		size -= step;
	}
	return 0;
}

static bool va_valid(const struct pt_format *f, u64 va)
{
	unsigned bits = PAGE_SHIFT + PT_INDEX_BITS * f->levels;

	if (f->canonical)
		return (u64)((s64)(va << (64 - bits)) >> (64 - bits)) == va;
	return va >> bits == 0;
}

/*
 * The range may end at the very top of the address space: its end is not computed, its last byte
 * is.
 */
static bool range_valid(const struct pt_format *f, u64 va, u64 size)
{
	u64 last = va + size - 1;
	unsigned top = PAGE_SHIFT + PT_INDEX_BITS * f->levels - 1;

	return size && IS_ALIGNED(va | size, PAGE_SIZE) && last >= va && va_valid(f, va) &&
	       va_valid(f, last) && (!f->canonical || va >> top == last >> top);
}

int pt_map(struct pagetable *pt, u64 va, hpa_t pa, u64 size, u32 prot, enum pt_memtype type)
{
	struct mapping m = {.pa = pa, .prot = prot, .type = type, .present = true};
	const struct pt_format *f = pt->fmt;

	if (!range_valid(f, va, size) || !IS_ALIGNED(pa, PAGE_SIZE) || !(prot & PT_READ))
		return -HV_EINVAL;
	if (pa + size - 1 < pa || (pa + size - 1) & ~(f->addr_mask | (PAGE_SIZE - 1)))
		return -HV_EINVAL;
	return table_apply(pt, pt->root, f->levels - 1, va, size, &m);
}

int pt_unmap(struct pagetable *pt, u64 va, u64 size)
{
	struct mapping m = {.present = false};

	if (!range_valid(pt->fmt, va, size))
		return -HV_EINVAL;
	return table_apply(pt, pt->root, pt->fmt->levels - 1, va, size, &m);
}

bool pt_lookup(const struct pagetable *pt, u64 va, struct pt_leaf *out)
{
	const struct pt_format *f = pt->fmt;
	const u64 *table = pt->root;

	if (!va_valid(f, va))
		return false;
	for (unsigned level = f->levels - 1;; level--) {
		u64 entry = table[entry_index(va, level)];

		if (!f->is_present(entry))
			return false;
		if (f->is_leaf(entry, level)) {
			out->pa = leaf_pa(pt, entry, level) + (va & (leaf_size(level) - 1));
			out->size = leaf_size(level);
			out->prot = f->prot(entry);
			out->entry = entry;
			return true;
		}
		table = entry_table(pt, entry);
	}
}
