/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical RAM: its backing, its lazily cleared and mapped chunks, and every access to it
 * from root mode. Called by vm.c, the nested-fault handler, the loaders and whoever touches a
 * guest's memory. docs/architecture.md "Guest-physical memory and page tables"; SDM vol. 3 and APM
 * vol. 2 on what must be flushed when nested tables change.
 */
#include <vmm/assert.h>
#include <vmm/errno.h>
#include <vmm/gmem.h>
#include <vmm/host.h>
#include <vmm/string.h>

#define GIB            GiB(1)
#define CHUNKS_PER_GIB (GIB / GMEM_CHUNK)
#define RAM_PROT       (PT_READ | PT_WRITE | PT_EXEC)

_Static_assert(CHUNKS_PER_GIB % 64 == 0, "a GiB is whole words of the bitmap");

static u64 bitmap_bytes(u64 size)
{
	return ALIGN_UP(DIV_ROUND_UP(DIV_ROUND_UP(size, GMEM_CHUNK), 64) * 8, PAGE_SIZE);
}

static bool chunk_ready(const struct gmem_slot *s, u64 chunk)
{
	return s->ready[chunk / 64] >> (chunk % 64) & 1;
}

static struct gmem_slot *slot_find(const struct gmem *g, gpa_t gpa)
{
	for (unsigned i = 0; i < g->count; i++) {
		if (gpa - g->slot[i].base < g->slot[i].size)
			return (struct gmem_slot *)&g->slot[i];
	}
	return NULL;
}

/* The slot that holds all of [gpa, gpa + len). */
static struct gmem_slot *slot_find_range(const struct gmem *g, gpa_t gpa, u64 len)
{
	struct gmem_slot *s = slot_find(g, gpa);

	return s && len <= s->size - (gpa - s->base) ? s : NULL;
}

void gmem_init(struct gmem *g, struct pagetable *npt)
{
	*g = (struct gmem){.npt = npt};
}

/*
 * A 1 GiB leaf needs the same alignment on both sides; where the host has no such extent left, 2
 * MiB leaves do.
 */
static int backing_alloc(gpa_t base, u64 size, hpa_t *hpa)
{
	if (size >= GIB && IS_ALIGNED(base, GIB) && host_mem_alloc(size, GIB, hpa) == 0)
		return 0;
	return host_mem_alloc(size, GMEM_CHUNK, hpa);
}

int gmem_add(struct gmem *g, gpa_t base, u64 size)
{
	struct gmem_slot s = {.base = base, .size = size};
	hpa_t bitmap;
	unsigned i = g->count;
	int r;

	if (!size || !IS_ALIGNED(size, PAGE_SIZE) || !IS_ALIGNED(base, GMEM_CHUNK) ||
	    base + size < base)
		return -HV_EINVAL;
	if (g->count == GMEM_SLOTS)
		return -HV_ENOSPC;
	for (unsigned n = 0; n < g->count; n++) {
		if (base < g->slot[n].base + g->slot[n].size && g->slot[n].base < base + size)
			return -HV_EINVAL;
	}
	r = host_mem_alloc(bitmap_bytes(size), PAGE_SIZE, &bitmap);
	if (r < 0)
		return r;
	r = backing_alloc(base, size, &s.hpa);
	if (r < 0) {
		host_mem_free(bitmap, bitmap_bytes(size));
		return r;
	}
	s.va = host_va(s.hpa);
	s.ready = host_va(bitmap);
	memset(s.ready, 0, bitmap_bytes(size));
	for (; i > 0 && g->slot[i - 1].base > base; i--)
		g->slot[i] = g->slot[i - 1];
	g->slot[i] = s;
	g->count++;
	g->size += size;
	return 0;
}

void gmem_destroy(struct gmem *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		struct gmem_slot *s = &g->slot[i];

		host_mem_free(s->hpa, s->size);
		host_mem_free(host_pa(s->ready), bitmap_bytes(s->size));
	}
	gmem_init(g, g->npt);
}

int gmem_scrub(struct gmem *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		struct gmem_slot *s = &g->slot[i];
		int r = pt_unmap(g->npt, s->base, s->size);

		if (r < 0)
			return r;
		memset(s->ready, 0, bitmap_bytes(s->size));
	}
	g->populated = 0;
	return 0;
}

bool gmem_is_ram(const struct gmem *g, gpa_t gpa, u64 len)
{
	return slot_find_range(g, gpa, len);
}

/*
 * Clears a chunk, maps it, and only then calls it ready. If a table could not be had, the chunk may
 * be mapped in part, with cleared memory only; it is cleared again should it be tried again.
 */
static int chunk_populate(struct gmem *g, struct gmem_slot *s, u64 chunk)
{
	u64 offset = chunk * GMEM_CHUNK;
	u64 len = MIN(GMEM_CHUNK, s->size - offset);
	int r;

	memset(s->va + offset, 0, len);
	r = pt_map(g->npt, s->base + offset, s->hpa + offset, len, RAM_PROT, PT_WB);
	if (r < 0)
		return r;
	/* Cleared and mapped before it is seen to be. */
	__atomic_fetch_or(&s->ready[chunk / 64], BIT(chunk % 64), __ATOMIC_RELEASE);
	g->populated += len;
	return 0;
}

/*
 * Are all chunks of the 1 GiB page around `chunk` ready? Alignment makes them whole words of the
 * bitmap.
 */
static bool gib_complete(const struct gmem_slot *s, u64 chunk)
{
	u64 first = ALIGN_DOWN(chunk, CHUNKS_PER_GIB);

	if (!IS_ALIGNED(s->base, GIB) || !IS_ALIGNED(s->hpa, GIB) ||
	    s->size - first * GMEM_CHUNK < GIB)
		return false;
	for (u64 word = first / 64; word < (first + CHUNKS_PER_GIB) / 64; word++) {
		if (s->ready[word] != ~0ULL)
			return false;
	}
	return true;
}

/*
 * 512 leaves of 2 MiB become one of 1 GiB. Translations and rights stay the same, but the entry
 * that named the table of the 512 may be in a paging-structure cache, and that table is freed: SDM
 * vol. 3 "Operations that Invalidate Cached Mappings" and APM vol. 2 "TLB Management" ask for an
 * invalidation before the guest runs on. Hence 1.
 */
static int gib_promote(struct gmem *g, struct gmem_slot *s, u64 chunk)
{
	u64 offset = ALIGN_DOWN(chunk, CHUNKS_PER_GIB) * GMEM_CHUNK;
	int r;

	if (!(g->npt->leaf_levels & BIT(2)) || !gib_complete(s, chunk))
		return 0;
	r = pt_map(g->npt, s->base + offset, s->hpa + offset, GIB, RAM_PROT, PT_WB);
	/* It frees a table and needs none. */
	hv_assert(r == 0);
	return 1;
}

int gmem_populate(struct gmem *g, gpa_t gpa)
{
	struct gmem_slot *s = slot_find(g, gpa);
	u64 chunk;
	int r;

	if (!s)
		return -HV_EFAULT;
	chunk = (gpa - s->base) / GMEM_CHUNK;
	spin_lock(&g->lock);
	r = 0;
	if (!chunk_ready(s, chunk)) {
		r = chunk_populate(g, s, chunk);
		if (r == 0)
			r = gib_promote(g, s, chunk);
	}
	spin_unlock(&g->lock);
	return r;
}

void *gmem_ptr(struct gmem *g, gpa_t gpa, u64 len)
{
	struct gmem_slot *s = slot_find_range(g, gpa, len);
	u64 chunk, last;

	if (!s)
		return NULL;
	chunk = (gpa - s->base) / GMEM_CHUNK;
	last = (gpa - s->base + (len ? len - 1 : 0)) / GMEM_CHUNK;
	for (; chunk <= last; chunk++) {
		/*
		 * No promotion here: the loaders and handlers that call this could not answer for
		 * the flush.
		 */
		int r = 0;

		spin_lock(&g->lock);
		if (!chunk_ready(s, chunk))
			r = chunk_populate(g, s, chunk);
		spin_unlock(&g->lock);
		if (r < 0)
			return NULL;
	}
	return s->va + (gpa - s->base);
}

int gmem_read(struct gmem *g, gpa_t gpa, void *buf, u64 len)
{
	const void *p = gmem_ptr_fast(g, gpa, len);

	if (!p)
		return -HV_EFAULT;
	memcpy(buf, p, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t gpa, const void *buf, u64 len)
{
	void *p = gmem_ptr_fast(g, gpa, len);

	if (!p)
		return -HV_EFAULT;
	memcpy(p, buf, len);
	return 0;
}

int gmem_set(struct gmem *g, gpa_t gpa, u8 byte, u64 len)
{
	void *p = gmem_ptr_fast(g, gpa, len);

	if (!p)
		return -HV_EFAULT;
	memset(p, byte, len);
	return 0;
}
