/* SPDX-License-Identifier: MIT */
/*
 * The page walk over tables and registers that the input makes up: every access stays in guest
 * memory, the quick way and the general one agree (the second walk meets what the first has
 * marked), and the fetch cache never disagrees with a walk.
 */
/*
 * SOURCES: vmm/mem/gwalk.c vmm/mem/gmem.c vmm/mem/pagetable.c vmm/mem/pt_formats.c test/mock/host.c
 */
#include <stdlib.h>
#include <string.h>

#include <arch/regs.h>
#include <vmm/gwalk.h>
#include "test/mock/mock.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct pagetable npt;
static struct gmem g;

static void *table_alloc(void *ctx)
{
	(void)ctx;
	return host_page_zalloc();
}
static void table_free(void *ctx, void *page)
{
	(void)ctx;
	host_page_free(page);
}
static void *table_va(void *ctx, hpa_t pa)
{
	(void)ctx;
	return host_va(pa);
}
static hpa_t table_pa(void *ctx, const void *va)
{
	(void)ctx;
	return host_pa(va);
}
static const struct pt_mem mem = {table_alloc, table_free, table_va, table_pa, NULL};

static void begin(void)
{
	if (g.count) {
		memset(gmem_ptr(&g, 0, 0x8000), 0, 0x8000);
		return;
	}
	mock_host_reset();
	gmem_init(&g, &npt);
	if (pt_init(&npt, &pt_format_npt, &mem, 3) < 0 ||
	    gmem_add(&g, 0, MiB(2) + 2 * PAGE_SIZE) < 0 || gmem_add(&g, GiB(4), MiB(2)) < 0)
		abort();
}

struct input {
	struct {
		u64 cr0, cr3, cr4, efer, rflags;
		u32 pkru;
		u8 cpl, implicit, phys_bits, no_1gib;
	} state;
	u64 va;
	u8 access, len;
} packed;

struct poke {
	u16 at; /* in the first 32 KiB */
	u64 value;
} packed;

static bool same_fault(const struct gwalk_fault *a, const struct gwalk_fault *b)
{
	return a->vector == b->vector && a->error == b->error && a->address == b->address;
}

static void check_cache(const struct gwalk_state *s, gva_t va)
{
	struct gwalk_cache c = {0};
	struct gwalk_fault f;
	const u8 *bytes, *cached;
	u8 buf[15];
	int n = gwalk_fetch(&g, s, va, 15, buf, &bytes, &c, &f);
	unsigned m = gwalk_cached(&c, s->cr3, va, &cached);

	if (n <= 0 && m)
		abort();
	if (m && memcmp(bytes, cached, (unsigned)n < m ? (unsigned)n : m))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct gwalk_fault f, f2;
	struct gwalk_state s;
	struct input in;
	gpa_t gpa, gpa2;
	u64 left, left2;
	u8 buf[300];
	int r, r2;

	if (size < sizeof(in))
		return 0;
	begin();
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	for (; size >= sizeof(struct poke);
	     data += sizeof(struct poke), size -= sizeof(struct poke)) {
		struct poke p;

		memcpy(&p, data, sizeof(p));
		if (gmem_write(&g, p.at & 0x7ff8, &p.value, 8) < 0)
			abort();
	}
	s = (struct gwalk_state){
		.cr0 = in.state.cr0,
		.cr3 = in.state.cr3,
		.cr4 = in.state.cr4,
		.efer = in.state.efer,
		.rflags = in.state.rflags,
		.pkru = in.state.pkru,
		.cpl = in.state.cpl & 3,
		.implicit = in.state.implicit & 1,
		.phys_bits = in.state.phys_bits % 53,
		.no_1gib = in.state.no_1gib & 1,
	};
	if (s.efer & EFER_LMA) /* which the CPU keeps so */
		s.cr0 |= CR0_PG;
	if (s.phys_bits && s.phys_bits < 32)
		s.phys_bits = 32;
	in.access &= GWALK_WRITE | GWALK_EXEC;
	if (in.access == (GWALK_WRITE | GWALK_EXEC))
		in.access = GWALK_WRITE;
	memset(&f, 0, sizeof(f));
	memset(&f2, 0, sizeof(f2));
	r = gwalk(&g, &s, in.va, in.access, &gpa, &left, &f);
	r2 = gwalk(&g, &s, in.va, in.access, &gpa2, &left2, &f2);
	/*
	 * A table may hold itself: then marking it changes what it says, but never the verdict of a
	 * fault.
	 */
	if (r == 0 && r2 == 0 && (gpa ^ gpa2) & (PAGE_SIZE - 1))
		abort();
	if (r < 0 && (r2 != r || !same_fault(&f, &f2)))
		abort();
	if (r == 0 &&
	    (gpa >> 52 || left > PAGE_SIZE || left + (in.va & (PAGE_SIZE - 1)) != PAGE_SIZE))
		abort();
	check_cache(&s, in.va);
	r = gwalk_read(&g, &s, in.va, buf, in.len, in.access & GWALK_EXEC, &f);
	if (r == 0 && gwalk_write(&g, &s, in.va, buf, in.len, &f) > 0)
		abort();
	return 0;
}
