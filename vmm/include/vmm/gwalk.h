/* SPDX-License-Identifier: MIT */
/*
 * The guest's own page tables, walked in software: for instruction fetch, emulated memory operands
 * and hypercall arguments. SDM vol. 3 "Paging"; APM vol. 2 "Page Translation and Protection". All
 * modes: none, 32-bit, PAE, 4-level, 5-level. Pure: it sees a struct gwalk_state and a struct gmem.
 */
#ifndef VMM_GWALK_H
#define VMM_GWALK_H

#include <vmm/gmem.h>
#include <vmm/types.h>

/* The state a walk depends on, read from the vcpu once. */
struct gwalk_state {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;    /* AC, for SMAP */
	u8 cpl;        /* of the access: 3 is a user access, anything else supervisor */
	bool implicit; /* supervisor access whatever the CPL (descriptor tables) */
	u32 pkru;
	u8 phys_bits; /* the guest's MAXPHYADDR, for reserved bits; 0: 52, nothing reserved by width */
	bool no_1gib; /* the guest's CPUID has no 1 GiB pages: PS in a PDPTE is reserved */
};

#define GWALK_READ  0
#define GWALK_WRITE BIT(1)
#define GWALK_EXEC  BIT(4)  /* the bits of a page-fault error code */
#define GWALK_PEEK  BIT(31) /* the hypervisor looks: no accessed bit is set */

struct gwalk_fault {
	u8 vector; /* 14 #PF, 13 #GP (non-canonical), 12 #SS (set by callers) */
	u32 error;
	gva_t address; /* for CR2 */
};

/*
 * Translates one address. 0: *gpa is set (a RAM or MMIO address), and *left the bytes from it to
 * the end of the 4 KiB page. Accessed and dirty bits are set as the CPU would. -HV_EFAULT: *fault
 * tells what to inject. -HV_EIO: a table of the guest's is not in its RAM; *fault is not set.
 * Outside long mode `va` is cut to 32 bits; in compatibility mode that is the caller's to do.
 */
int gwalk(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access, gpa_t *gpa, u64 *left,
	  struct gwalk_fault *fault) must_check;

/*
 * Copies across pages; -HV_EFAULT with *fault set (what lies before the fault may have been
 * copied), -HV_EIO if a page is no RAM.
 */
int gwalk_read(struct gmem *g, const struct gwalk_state *s, gva_t va, void *buf, u64 len,
	       u32 access, struct gwalk_fault *fault) must_check;
int gwalk_write(struct gmem *g, const struct gwalk_state *s, gva_t va, const void *buf, u64 len,
		struct gwalk_fault *fault) must_check;

/*
 * Where the last instruction was fetched from, for the exit path of a CPU that hands over neither
 * bytes nor length. It holds no translation of its own accord: each use compares the four entries
 * of the walk with what they were, so that it says what a walk would say now. Zeroed: empty. It
 * must be emptied when guest memory is scrubbed (reset) or goes.
 */
struct gwalk_cache {
	u64 key; /* linear page number + 1; 0: empty */
	u64 cr3;
	const u64 *slot
		[4]; /* the entries in guest memory, from the top; the last one repeated for a 2 MiB page */
	u64 entry[4];   /* what they held */
	const u8 *page; /* the 4 KiB page in guest memory */
};

/*
 * Bytes at `va` up to the end of the page, at most 15; 0: not cached, use gwalk_fetch(). For an
 * instruction that the CPU has just fetched itself in 64-bit mode: rights are not looked at.
 */
static inline unsigned gwalk_cached(const struct gwalk_cache *c, u64 cr3, gva_t va,
				    const u8 **bytes)
{
	u64 offset = va & (PAGE_SIZE - 1);

	if (c->key != (va >> PAGE_SHIFT) + 1 || c->cr3 != cr3)
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		if (__atomic_load_n(c->slot[i], __ATOMIC_RELAXED) != c->entry[i])
			return 0;
	}
	*bytes = c->page + offset;
	return PAGE_SIZE - offset < 15 ? (unsigned)(PAGE_SIZE - offset) : 15;
}

/*
 * Instruction bytes at `va`, at most `max` (<= 15), for the decoder on the exit path. *bytes points
 * into guest memory if one page holds them, else to `buf`, into which they were copied; other vcpus
 * may write there meanwhile: a decoder must not rely on reading the same value twice. What lies
 * beyond a page that cannot be fetched from is left out. Returns the number of bytes, or -HV_EFAULT
 * (*fault set) or -HV_EIO if there is not even one. `cache`, if not NULL, is filled for the next
 * time where that is possible.
 */
int gwalk_fetch(struct gmem *g, const struct gwalk_state *s, gva_t va, unsigned max, u8 buf[15],
		const u8 **bytes, struct gwalk_cache *cache, struct gwalk_fault *fault) must_check;

#endif
