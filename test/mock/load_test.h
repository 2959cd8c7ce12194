/* SPDX-License-Identifier: MIT */
/* What the tests and fuzzers of vmm/load/ have in common: a guest's memory on the mock host, and looks into it. */
#ifndef TEST_MOCK_LOAD_TEST_H
#define TEST_MOCK_LOAD_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/errno.h>
#include <vmm/load.h>
#include <vmm/machine.h>

#include "mock.h"

static struct pagetable npt;
static struct gmem g;
static struct machine m;
static struct load_image img;
static struct load_entry entry;
static struct load_error why;

static void *table_alloc(unused void *ctx)
{
	return host_page_zalloc();
}

static void table_free(unused void *ctx, void *page)
{
	host_page_free(page);
}

static void *table_va(unused void *ctx, hpa_t pa)
{
	return host_va(pa);
}

static hpa_t table_pa(unused void *ctx, const void *va)
{
	return host_pa(va);
}

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

#define NEED(condition) need(condition, #condition)

static inline void memory_make(u64 size)
{
	static const struct pt_mem mem = {table_alloc, table_free, table_va, table_pa, NULL};

	mock_host_reset();
	mock_host.mem_limit = GiB(8);
	NEED(pt_init(&npt, &pt_format_ept, &mem, 3) == 0);
	NEED(machine_describe(&m, "guest", 1, size) == 0);
	gmem_init(&g, &npt);
	NEED(gmem_add(&g, 0, m.mem_low) == 0);
	NEED(!m.mem_high || gmem_add(&g, MACHINE_HIGH_BASE, m.mem_high) == 0);
}

static inline void memory_drop(void)
{
	pt_destroy(&npt);
	gmem_destroy(&g);
}

static inline u64 get(gpa_t at, unsigned size)
{
	u64 v = 0;

	NEED(gmem_read(&g, at, &v, size) == 0);
	return v;
}

static inline void put(u8 *file, u64 at, u64 v, unsigned size)
{
	memcpy(file + at, &v, size);
}

static inline bool memory_is(gpa_t at, const void *want, u64 len)
{
	const void *p = gmem_ptr(&g, at, len);

	return p && !memcmp(p, want, len);
}

/* ---- ELF files to order --------------------------------------------------------------------- */

struct elf_row {
	u32 type;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

/* The header and program headers of an executable file for this CPU; program headers begin behind the header. */
static inline void elf_make(u8 *file, bool wide, u64 start, const struct elf_row *rows,
			    unsigned count)
{
	u64 at = wide ? 64 : 52;

	memcpy(file, "\177ELF\1\1\1", 8);
	file[4] = wide ? 2 : 1;
	put(file, 16, 2, 2);
	put(file, 18, wide ? 62 : 3, 2);
	put(file, 20, 1, 4);
	put(file, 24, start, wide ? 8 : 4);
	put(file, wide ? 32 : 28, at, wide ? 8 : 4);
	put(file, wide ? 52 : 40, at, 2);
	put(file, wide ? 54 : 42, wide ? 56 : 32, 2);
	put(file, wide ? 56 : 44, count, 2);
	for (unsigned i = 0; i < count; i++, at += wide ? 56 : 32) {
		const struct elf_row *r = &rows[i];
		const u64 narrow[] = {r->type,   r->offset, r->vaddr, r->paddr,
				      r->filesz, r->memsz,  5,        r->align};
		const u64 full[] = {r->offset, r->vaddr, r->paddr, r->filesz, r->memsz, r->align};

		for (unsigned k = 0; !wide && k < 8; k++)
			put(file, at + 4 * k, narrow[k], 4);
		if (!wide)
			continue;
		put(file, at, r->type, 4);
		put(file, at + 4, 5, 4);
		for (unsigned k = 0; k < 6; k++)
			put(file, at + 8 + 8 * k, full[k], 8);
	}
}

#endif
