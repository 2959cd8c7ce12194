/* SPDX-License-Identifier: MIT */
/*
 * The guest's own page tables, walked in software. Called on the exit path to fetch an instruction
 * that the CPU did not hand over, by the MMIO emulator and by hypercalls. A table may change under
 * the walk: every entry is read once, and accessed and dirty bits are set by compare-and-exchange.
 * SDM vol. 3 "Paging", "Access Rights", "Accessed and Dirty Flags", "Page-Fault Exceptions"; APM
 * vol. 2 "Page Translation and Protection".
 */
#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/gwalk.h>
#include <vmm/string.h>

#define PTE_P    BIT(0)
#define PTE_W    BIT(1)
#define PTE_US   BIT(2)
#define PTE_A    BIT(5)
#define PTE_D    BIT(6)
#define PTE_PS   BIT(7)
#define PTE_PKEY GENMASK(62, 59)
#define PTE_NX   BIT(63)
#define PTE_ADDR GENMASK(51, 12)

#define PHYS_BITS_MAX 52
#define LEVELS_MAX    5
/* How often a walk starts again because another vcpu changed an entry just then. */
#define RETRIES 8

/* One kind of paging. Level 0 holds the entries of 4 KiB pages. */
struct paging {
	u8 levels;
	u8 entry_size; /* bytes */
	u8 index_bits;
	u64 cr3_mask;
	u8 leaf_levels; /* bit n: PS in an entry of level n makes it a leaf */
};

static const struct paging paging_32 = {2, 4, 10, GENMASK(31, 12), 0};
static const struct paging paging_32_pse = {2, 4, 10, GENMASK(31, 12), BIT(1)};
static const struct paging paging_pae = {3, 8, 9, GENMASK(31, 5), BIT(1)};
static const struct paging paging_4level = {4, 8, 9, PTE_ADDR, BIT(1) | BIT(2)};
static const struct paging paging_5level = {5, 8, 9, PTE_ADDR, BIT(1) | BIT(2)};

struct walk {
	const struct paging *p;
	u64 all; /* AND of all entries: W and US are the rights, A is clear if any entry lacks it */
	u64 any; /* OR of all entries: NX */
	u64 leaf;               /* the last entry */
	unsigned level;         /* its level */
	void *slot[LEVELS_MAX]; /* where each level's entry is, by level */
	u64 entry[LEVELS_MAX];  /* and what was read */
};

static const struct paging *paging_mode(const struct gwalk_state *s)
{
	if (s->efer & EFER_LMA)
		return s->cr4 & CR4_LA57 ? &paging_5level : &paging_4level;
	if (s->cr4 & CR4_PAE)
		return &paging_pae;
	return s->cr4 & CR4_PSE ? &paging_32_pse : &paging_32;
}

static bool is_user(const struct gwalk_state *s)
{
	return s->cpl == 3 && !s->implicit;
}

static int fault_set(const struct gwalk_state *s, gva_t va, u32 access, u32 cause,
		     struct gwalk_fault *fault)
{
	u32 error = cause | (access & GWALK_WRITE);

	if (is_user(s))
		error |= PFEC_U;
	/* The CPU tells fetches apart only where a right to fetch exists. */
	if ((access & GWALK_EXEC) &&
	    ((s->cr4 & CR4_SMEP) || ((s->cr4 & CR4_PAE) && (s->efer & EFER_NXE))))
		error |= PFEC_I;
	*fault = (struct gwalk_fault){.vector = VEC_PF, .error = error, .address = va};
	return -HV_EFAULT;
}

/* Physical-address bits that the guest's CPU does not have. */
static u64 beyond_width(const struct gwalk_state *s)
{
	if (!s->phys_bits || s->phys_bits >= PHYS_BITS_MAX)
		return 0;
	return GENMASK(PHYS_BITS_MAX - 1, s->phys_bits);
}

/* Bits that must be clear in a present entry of 8 bytes. */
static u64 reserved_64(const struct gwalk_state *s, const struct paging *p, u64 entry,
		       unsigned level)
{
	u64 mask = beyond_width(s);

	if (!(s->efer & EFER_NXE))
		mask |= PTE_NX;
	if (p == &paging_pae) {
		mask |= GENMASK(62, 52);
		/* A PDPTE has no rights of its own. Bit 5 is reserved too, but QEMU's TCG sets it as in any entry. */
		if (level == 2)
			return mask | PTE_NX | GENMASK(8, 6) | GENMASK(2, 1);
	}
	if (level == 0 || !(entry & PTE_PS))
		return mask;
	if (!(p->leaf_levels & BIT(level)) || (level == 2 && s->no_1gib))
		return mask | PTE_PS;
	/* Bit 12 is PAT there. */
	return mask | GENMASK(PAGE_SHIFT + 9 * level - 1, 13);
}

/*
 * In 32-bit paging only a 4 MiB page has any: bit 21, and what PSE-36 gives beyond the width (at
 * most 40 bits).
 */
static u64 reserved_32(const struct gwalk_state *s, u64 entry, unsigned level)
{
	unsigned width = s->phys_bits ? MIN(s->phys_bits, 40) : 40;

	if (level == 0 || !(entry & PTE_PS) || !(s->cr4 & CR4_PSE))
		return 0;
	return GENMASK(21, MAX(width, 32) - 19);
}

/*
 * Any bit that could be reserved, for the quick test: an entry without these is right in every
 * mode.
 */
#define MAYBE_RESERVED (PTE_NX | PTE_PS | GENMASK(62, 36))

static bool entry_reserved(const struct gwalk_state *s, const struct paging *p, u64 entry,
			   unsigned level)
{
	if (p->entry_size == 4)
		return entry & reserved_32(s, entry, level);
	return entry & reserved_64(s, p, entry, level);
}

/* Down the tables to the leaf. 0, -HV_EFAULT with *fault, -HV_EIO. */
static int walk_down(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access,
		     struct walk *w, struct gwalk_fault *fault)
{
	const struct paging *p = w->p;
	gpa_t table = s->cr3 & p->cr3_mask;
	unsigned shift = PAGE_SHIFT + p->index_bits * p->levels;
	unsigned index_mask = (1U << p->index_bits) - 1;

	for (unsigned level = p->levels; level-- > 0;) {
		u64 entry;
		void *slot;

		shift -= p->index_bits;
		slot = gmem_ptr_fast(g, table + ((va >> shift) & index_mask) * p->entry_size,
				     p->entry_size);
		if (unlikely(!slot))
			return -HV_EIO;
		entry = p->entry_size == 8 ? __atomic_load_n((u64 *)slot, __ATOMIC_RELAXED) :
					     __atomic_load_n((u32 *)slot, __ATOMIC_RELAXED);
		if (!(entry & PTE_P))
			return fault_set(s, va, access, 0, fault);
		if (unlikely((entry & MAYBE_RESERVED) || p != &paging_4level) &&
		    entry_reserved(s, p, entry, level))
			return fault_set(s, va, access, PFEC_P | PFEC_RSV, fault);
		w->slot[level] = slot;
		w->entry[level] = entry;
		if (unlikely(p == &paging_pae &&
			     level == 2)) /* has neither rights nor an accessed bit */
			entry |= PTE_W | PTE_US | PTE_A;
		w->all &= entry;
		w->any |= entry;
		if (level == 0 || ((entry & PTE_PS) && (p->leaf_levels & BIT(level)))) {
			w->leaf = entry;
			w->level = level;
			return 0;
		}
		table = entry & PTE_ADDR;
	}
	return -HV_EIO; /* not reached: level 0 is a leaf */
}

/* Does the protection key of a user page forbid this data access? */
static bool key_denies(const struct gwalk_state *s, const struct walk *w, u32 access)
{
	u32 rights = s->pkru >> (2 * field_get(PTE_PKEY, w->leaf));

	if (!(s->cr4 & CR4_PKE) || !(s->efer & EFER_LMA) || (access & GWALK_EXEC))
		return false;
	if (rights & 1) /* access disable */
		return true;
	return (rights & 2) && (access & GWALK_WRITE) && (is_user(s) || (s->cr0 & CR0_WP));
}

/*
 * What page-table entries and control registers forbid, protection keys apart. `all` and `any` are
 * the AND and the OR over the levels.
 */
static inline bool rights_deny(const struct gwalk_state *s, u64 all, u64 any, u32 access)
{
	bool user_page = all & PTE_US;
	bool user = is_user(s);

	if (user && !user_page)
		return true;
	if (access & GWALK_EXEC)
		return (any & PTE_NX) || (!user && user_page && (s->cr4 & CR4_SMEP));
	/* An implicit access cannot be excused by RFLAGS.AC. */
	if (!user && user_page && (s->cr4 & CR4_SMAP) && (s->implicit || !(s->rflags & RFLAGS_AC)))
		return true;
	return (access & GWALK_WRITE) && !(all & PTE_W) && (user || (s->cr0 & CR0_WP));
}

static bool entry_set_bits(const struct paging *p, void *slot, u64 old, u64 bits)
{
	u64 expected = old;
	u32 expected32 = (u32)old;

	if (p->entry_size == 8)
		return __atomic_compare_exchange_n((u64 *)slot, &expected, old | bits, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((u32 *)slot, &expected32, (u32)(old | bits), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/*
 * Sets A in every entry used, and D in the leaf for a write. False: an entry has changed meanwhile.
 */
static bool walk_mark(const struct walk *w, u32 access)
{
	for (unsigned level = w->p->levels; level-- > w->level;) {
		u64 bits = PTE_A;

		if (w->p == &paging_pae && level == 2)
			continue;
		if (level == w->level && (access & GWALK_WRITE))
			bits |= PTE_D;
		if ((w->entry[level] & bits) != bits &&
		    !entry_set_bits(w->p, w->slot[level], w->entry[level], bits))
			return false;
	}
	return true;
}

static bool walk_is_marked(const struct walk *w, u32 access)
{
	return (w->all & PTE_A) && (!(access & GWALK_WRITE) || (w->leaf & PTE_D));
}

static gpa_t walk_address(const struct walk *w, gva_t va)
{
	u64 offset = BIT(PAGE_SHIFT + w->p->index_bits * w->level) - 1;
	u64 base = w->leaf & PTE_ADDR;

	/* PSE-36: bits 20:13 of the entry are bits 39:32 of the address. */
	if (w->p->entry_size == 4 && w->level == 1)
		base = (w->leaf & GENMASK(31, 22)) | (w->leaf & GENMASK(20, 13)) << 19;
	return (base & ~offset) | (va & offset);
}

static bool is_canonical(const struct gwalk_state *s, gva_t va)
{
	unsigned unused_bits = s->cr4 & CR4_LA57 ? 7 : 16;

	return (gva_t)((s64)(va << unused_bits) >> unused_bits) == va;
}

/*
 * The exit path's case, in few instructions: 4-level paging with NX; all entries present, accessed
 * and without an odd bit; 4 KiB or 2 MiB pages. Whatever is different, a fault too, is left to the
 * general walk.
 */
#define QUICK_CHECKED (PTE_P | PTE_A | PTE_PS | GENMASK(62, 36))

struct quick {
	u64 entry; /* the last one; at first CR3 */
	u64 all, any;
};

static inline bool quick_ptr(const struct gmem *g, gpa_t gpa, u8 **out)
{
	const struct gmem_slot *slot = &g->slot[0];
	u64 offset = gpa - slot->base;

	/* An unused slot has size 0. */
	if (unlikely(offset >= slot->size)) {
		slot++;
		offset = gpa - slot->base;
		if (offset >= slot->size)
			return false;
	}
	*out = slot->va + offset;
	return slot->ready[offset / (64 * GMEM_CHUNK)] >> (offset / GMEM_CHUNK % 64) & 1;
}

/* One level down. False: the table is not in RAM, or not populated. */
static inline bool quick_step(const struct gmem *g, gva_t va, unsigned level, struct quick *q)
{
	u8 *table;

	if (unlikely(!quick_ptr(g, q->entry & PTE_ADDR, &table)))
		return false;
	q->entry = __atomic_load_n((u64 *)table + (va >> (PAGE_SHIFT + 9 * level) & 511),
				   __ATOMIC_RELAXED);
	q->all &= q->entry;
	q->any |= q->entry;
	return true;
}

/* 0: not this way; else the size of the page that q->entry maps. */
static inline u64 quick_walk(const struct gmem *g, const struct gwalk_state *s, gva_t va,
			     struct quick *q)
{
	*q = (struct quick){.entry = s->cr3, .all = ~0ULL, .any = 0};
	if (!quick_step(g, va, 3, q) || unlikely((q->entry & QUICK_CHECKED) != (PTE_P | PTE_A)))
		return 0;
	if (!quick_step(g, va, 2, q) || unlikely((q->entry & QUICK_CHECKED) != (PTE_P | PTE_A)))
		return 0;
	if (!quick_step(g, va, 1, q))
		return 0;
	/* Bits 20:13 of a 2 MiB page are reserved. */
	if ((q->entry & (QUICK_CHECKED | GENMASK(20, 13))) == (PTE_P | PTE_A | PTE_PS))
		return MiB(2);
	if (unlikely((q->entry & QUICK_CHECKED) != (PTE_P | PTE_A)) || !quick_step(g, va, 0, q))
		return 0;
	return likely((q->entry & (QUICK_CHECKED & ~PTE_PS)) == (PTE_P | PTE_A)) ? PAGE_SIZE : 0;
}

static int walk_general(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access,
			gpa_t *gpa, struct gwalk_fault *fault)
{
	struct walk w;

	w.p = paging_mode(s);
	for (unsigned tries = 0;; tries++) {
		int r;

		w.all = w.leaf = ~0ULL;
		w.any = w.level = 0;
		r = walk_down(g, s, va, access, &w, fault);
		if (unlikely(r < 0))
			return r;
		if (unlikely((w.all & PTE_US) && key_denies(s, &w, access)))
			return fault_set(s, va, access, PFEC_P | PFEC_PK, fault);
		if (unlikely(rights_deny(s, w.all, w.any, access)))
			return fault_set(s, va, access, PFEC_P, fault);
		/*
		 * After the last try the bits stay as the racing vcpu left them: the translation
		 * read is still one it made.
		 */
		if (walk_is_marked(&w, access) || access & GWALK_PEEK || walk_mark(&w, access) ||
		    tries == RETRIES)
			break;
	}
	*gpa = walk_address(&w, va);
	return 0;
}

/* The general walk says no in its own words, so that a fault is made in one place. */
static inline int walk_any(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access,
			   gpa_t *gpa, struct gwalk_fault *fault)
{
	struct quick q;
	u64 size;

	if (unlikely(!(s->efer & EFER_LMA))) {
		va = (u32)va;
		if (s->cr0 & CR0_PG)
			return walk_general(g, s, va, access, gpa, fault);
		*gpa = va;
		return 0;
	}
	if (unlikely(!is_canonical(s, va))) {
		*fault = (struct gwalk_fault){.vector = VEC_GP};
		return -HV_EFAULT;
	}
	if (unlikely((s->cr4 & (CR4_LA57 | CR4_PKE)) || !(s->efer & EFER_NXE)))
		return walk_general(g, s, va, access, gpa, fault);
	size = quick_walk(g, s, va, &q);
	if (unlikely(!size || rights_deny(s, q.all, q.any, access) ||
		     ((access & GWALK_WRITE) && !(q.entry & PTE_D))))
		return walk_general(g, s, va, access, gpa, fault);
	*gpa = (q.entry & PTE_ADDR & ~(size - 1)) | (va & (size - 1));
	return 0;
}

int gwalk(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access, gpa_t *gpa, u64 *left,
	  struct gwalk_fault *fault)
{
	*left = PAGE_SIZE - (va & (PAGE_SIZE - 1));
	return walk_any(g, s, va, access, gpa, fault);
}

/* Outside long mode linear addresses are 32 bits and wrap. */
static gva_t va_add(const struct gwalk_state *s, gva_t va, u64 n)
{
	return s->efer & EFER_LMA ? va + n : (u32)(va + n);
}

int gwalk_read(struct gmem *g, const struct gwalk_state *s, gva_t va, void *buf, u64 len,
	       u32 access, struct gwalk_fault *fault)
{
	u8 *to = buf;

	while (len) {
		gpa_t gpa;
		u64 left;
		int r = gwalk(g, s, va, access, &gpa, &left, fault);

		if (r < 0)
			return r;
		left = MIN(left, len);
		if (gmem_read(g, gpa, to, left) < 0)
			return -HV_EIO;
		to += left;
		len -= left;
		va = va_add(s, va, left);
	}
	return 0;
}

int gwalk_write(struct gmem *g, const struct gwalk_state *s, gva_t va, const void *buf, u64 len,
		struct gwalk_fault *fault)
{
	const u8 *from = buf;

	while (len) {
		gpa_t gpa;
		u64 left;
		int r = gwalk(g, s, va, GWALK_WRITE, &gpa, &left, fault);

		if (r < 0)
			return r;
		left = MIN(left, len);
		if (gmem_write(g, gpa, from, left) < 0)
			return -HV_EIO;
		from += left;
		len -= left;
		va = va_add(s, va, left);
	}
	return 0;
}

/*
 * Remembers the walk to an instruction's page, if it was one of the quick kind. Not on the hot
 * path: once a page.
 */
static void cache_fill(const struct gmem *g, const struct gwalk_state *s, gva_t va, const u8 *bytes,
		       struct gwalk_cache *c)
{
	struct quick q = {.entry = s->cr3};

	c->key = 0;
	if ((s->cr4 & CR4_LA57) || !(s->efer & EFER_LMA))
		return;
	for (unsigned i = 0; i < 4; i++) {
		unsigned level = 3 - i;
		u8 *table;

		if (!quick_ptr(g, q.entry & PTE_ADDR, &table))
			return;
		c->slot[i] = (u64 *)table + (va >> (PAGE_SHIFT + 9 * level) & 511);
		c->entry[i] = q.entry = __atomic_load_n(c->slot[i], __ATOMIC_RELAXED);
		if (level == 1 && (q.entry & PTE_PS)) {
			c->slot[3] = c->slot[2];
			c->entry[3] = c->entry[2];
			break;
		}
		if (level == 2 && (q.entry & PTE_PS))
			return;
	}
	c->cr3 = s->cr3;
	c->page = bytes - (va & (PAGE_SIZE - 1));
	c->key = (va >> PAGE_SHIFT) + 1;
}

int gwalk_fetch(struct gmem *g, const struct gwalk_state *s, gva_t va, unsigned max, u8 buf[15],
		const u8 **bytes, struct gwalk_cache *cache, struct gwalk_fault *fault)
{
	struct gwalk_fault second;
	u8 *first;
	gpa_t gpa;
	u64 left = PAGE_SIZE - (va & (PAGE_SIZE - 1));
	int r = walk_any(g, s, va, GWALK_EXEC, &gpa, fault);

	if (unlikely(r < 0))
		return r;
	/* A page of RAM lies inside one slot. */
	if (unlikely(!quick_ptr(g, gpa, &first)))
		first = gmem_ptr(g, gpa, MIN(left, max));
	if (unlikely(!first))
		return -HV_EIO;
	if (cache)
		cache_fill(g, s, va, first, cache);
	*bytes = first;
	if (likely(left >= max))
		return (int)max;
	/* The instruction may end before the page does: the next one counts only if it is there. */
	memcpy(buf, first, left);
	*bytes = buf;
	r = gwalk_read(g, s, va_add(s, va, left), buf + left, max - left, GWALK_EXEC, &second);
	return r < 0 ? (int)left : (int)max;
}
