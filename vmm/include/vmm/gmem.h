/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical RAM: where it is, and every access to it from root mode. Bounds- and
 * overflow-checked; no pointer into it is kept across an exit.
 *
 * RAM is backed by contiguous host memory from the start, but a 2 MiB chunk is cleared and mapped
 * only when the guest or the loader first touches it: what was there before is never seen, and what
 * is never used is never cleared. When all chunks of a 1 GiB page are there, they become one leaf
 * (if the CPU has them): gmem_populate() says so by returning 1, and translations must be flushed
 * before the guest is entered again.
 */
#ifndef VMM_GMEM_H
#define VMM_GMEM_H

#include <vmm/pagetable.h>
#include <vmm/spinlock.h>
#include <vmm/types.h>

#define GMEM_CHUNK MiB(2)
#define GMEM_SLOTS 4

struct gmem_slot {
	gpa_t base; /* 2 MiB-aligned */
	u64 size;   /* multiple of 4 KiB; a last partial chunk is mapped by 4 KiB leaves */
	hpa_t hpa; /* backing, same alignment modulo 2 MiB (1 GiB if size >= 1 GiB and the host has such an extent) */
	u8 *va;     /* the backing in the host's direct map */
	u64 *ready; /* bitmap, a bit per chunk: cleared and mapped */
};

struct gmem {
	struct spinlock lock;              /* of what populates: vcpus come at the same time */
	struct gmem_slot slot[GMEM_SLOTS]; /* sorted by base */
	unsigned count;
	struct pagetable *npt;
	u64 size;      /* bytes of RAM */
	u64 populated; /* bytes cleared and mapped so far */
};

void gmem_init(struct gmem *g, struct pagetable *npt);
/* Allocates the backing (host_mem_alloc) of a new slot. -HV_ENOMEM, -HV_EINVAL, -HV_ENOSPC. */
int gmem_add(struct gmem *g, gpa_t base, u64 size) must_check;
/* Frees all backing memory. The page table is the caller's, to be destroyed before. */
void gmem_destroy(struct gmem *g);
/*
 * For a guest's reset: forgets contents (chunks are cleared again when next touched) and unmaps
 * them; caller flushes.
 */
int gmem_scrub(struct gmem *g) must_check;

bool gmem_is_ram(const struct gmem *g, gpa_t gpa, u64 len);
/*
 * Nested page fault inside RAM: clears and maps the chunk. 0: enter the guest again, there is
 * nothing to flush (what was not present is in no cache). 1: chunks became a 1 GiB leaf and their
 * table was freed: flush before the guest is entered. -HV_EFAULT if gpa is no RAM; -HV_ENOMEM
 * (tables).
 */
int gmem_populate(struct gmem *g, gpa_t gpa) must_check;

/*
 * Pointer to [gpa, gpa + len), populated, valid until the handler returns; NULL if it is not wholly
 * inside one slot (or, in an exhausted host, if a table for it could not be had). Never makes a
 * flush necessary.
 */
void *gmem_ptr(struct gmem *g, gpa_t gpa, u64 len);
/* The same, inlined for the exit path: a slot, a bound, a bit. */
static inline void *gmem_ptr_fast(struct gmem *g, gpa_t gpa, u64 len)
{
	for (unsigned i = 0; i < g->count; i++) {
		const struct gmem_slot *s = &g->slot[i];
		u64 offset = gpa - s->base, chunk = offset / GMEM_CHUNK;

		if (offset >= s->size)
			continue;
		/* Inside one chunk, which ends inside the slot or with it. */
		if (len > s->size - offset || len > GMEM_CHUNK - offset % GMEM_CHUNK ||
		    !(s->ready[chunk / 64] >> chunk % 64 & 1))
			break;
		return s->va + offset;
	}
	return gmem_ptr(g, gpa, len);
}

int gmem_read(struct gmem *g, gpa_t gpa, void *buf,
	      u64 len) must_check; /* -HV_EFAULT, nothing read */
int gmem_write(struct gmem *g, gpa_t gpa, const void *buf,
	       u64 len) must_check; /* -HV_EFAULT, nothing written */
int gmem_set(struct gmem *g, gpa_t gpa, u8 byte, u64 len) must_check;

#endif
