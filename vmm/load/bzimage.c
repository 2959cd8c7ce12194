/* SPDX-License-Identifier: MIT */
/*
 * Loads a Linux bzImage and its initial RAM disk into a guest's memory, for the 64-bit entry point or, of a kernel that has
 * none, the 32-bit one. Called by kernel.c, at the first start and after every reset. Linux
 * Documentation/arch/x86/boot.rst, "Memory Layout", "32-bit Boot Protocol", "64-bit Boot Protocol".
 */
#include <vmm/errno.h>
#include <vmm/string.h>

#include "bzimage.h"

#define ENTRY_64 0x200 /* after the load address; the 32-bit entry is the load address itself */

#define PTE_TABLE 0x23ULL /* P, W, A */
#define PTE_LARGE 0xe3ULL /* P, W, A, D, PS */

/* Where the kernel prefers to be, else, if it can move, as low as its alignment allows. */
static int place_kernel(const struct machine *m, const struct bz_header *h, struct bz_place *p,
			struct load_error *why)
{
	/* "pref_address": below it even a relocatable kernel moves itself there. */
	u64 lowest = h->relocatable ? ALIGN_UP(h->pref_address, (u64)h->alignment) :
				      h->pref_address;

	if (h->pref_address <= m->mem_low && h->init_size <= m->mem_low &&
	    lowest <= m->mem_low - h->init_size) {
		p->kernel = lowest;
		return 0;
	}
	return load_refuse(
		why, HV_ENOMEM,
		"the kernel needs %llu MiB of memory from %llu MiB on, and the guest has %llu MiB: give it more with "
		"mem=%lluM",
		load_mib(h->init_size), load_mib(lowest), (unsigned long long)(m->mem_size >> 20),
		(unsigned long long)ALIGN_UP(load_mib(lowest) + load_mib(h->init_size) + 16, 32));
}

/* As high as it may be; if the kernel lies in the way, below the kernel. */
static int place_initrd(const struct machine *m, const struct bz_header *h, u64 size,
			struct bz_place *p, struct load_error *why)
{
	u64 top = MIN(m->mem_low, (u64)h->initrd_addr_max + 1);
	u64 kernel_end = p->kernel + h->init_size;

	p->initrd = 0;
	p->initrd_size = size;
	if (!size)
		return 0;
	if (size <= top) {
		p->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
		if (p->initrd >= kernel_end)
			return 0;
		top = MIN(top, p->kernel);
	}
	if (size <= top) {
		p->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
		if (p->initrd >= LAYOUT_KERNEL_MIN)
			return 0;
	}
	return load_refuse(
		why, HV_ENOMEM,
		"the initial RAM disk of %llu MiB does not fit beside the kernel: the guest has %llu MiB, and the kernel takes "
		"it up to %llu MiB only; give it more with mem=%lluM, or a smaller one",
		load_mib(size), (unsigned long long)(m->mem_size >> 20),
		load_mib((u64)h->initrd_addr_max + 1),
		(unsigned long long)ALIGN_UP(load_mib(kernel_end) + 2 * load_mib(size) + 16, 32));
}

/* The page tables that the 64-bit entry asks for: the first 4 GiB, 1:1. */
static int write_page_tables(struct gmem *g, struct load_entry *out)
{
	u64 *table = gmem_ptr(g, LAYOUT_PAGE_TABLES, 6 * PAGE_SIZE);

	if (!table)
		return -HV_EFAULT;
	memset(table, 0, 2 * PAGE_SIZE);
	table[0] = (LAYOUT_PAGE_TABLES + PAGE_SIZE) | PTE_TABLE;
	for (unsigned i = 0; i < 4; i++)
		table[512 + i] = (LAYOUT_PAGE_TABLES + (2 + i) * PAGE_SIZE) | PTE_TABLE;
	for (u64 i = 0; i < GiB(4) / MiB(2); i++)
		table[1024 + i] = i * MiB(2) | PTE_LARGE;
	out->cr3 = LAYOUT_PAGE_TABLES;
	return 0;
}

static int write_entry(struct gmem *g, const struct bz_header *h, const struct bz_place *p,
		       struct load_entry *out)
{
	int r;

	*out = (struct load_entry){.rip = p->kernel + (h->entry_64 ? ENTRY_64 : 0),
				   .rsi = LAYOUT_INFO,
				   .long_mode = h->entry_64};
	r = load_gdt(g, out);
	return r < 0 || !h->entry_64 ? r : write_page_tables(g, out);
}

int load_bzimage(struct gmem *g, const struct machine *m, const struct load_image *img,
		 struct load_entry *out, struct load_error *why)
{
	struct bz_header h = {0};
	struct bz_place p = {0};
	int r = bz_header_parse(img->kernel, img->kernel_size, &h, why);

	if (r < 0)
		return r;
	if (img->modules)
		return load_refuse(
			why, HV_EINVAL,
			"a Linux bzImage takes an initrd and no further modules: leave them out, or put them into its initrd");
	r = place_kernel(m, &h, &p, why);
	if (r < 0)
		return r;
	r = place_initrd(m, &h, img->initrd_size, &p, why);
	if (r < 0)
		return r;
	r = load_cmdline(g, img->cmdline, h.cmdline_size, why);
	if (r < 0)
		return r;
	if (gmem_write(g, p.kernel, h.payload, h.payload_size) < 0)
		return -HV_EFAULT;
	if (p.initrd_size && gmem_write(g, p.initrd, img->initrd, p.initrd_size) < 0)
		return -HV_EFAULT;
	r = write_entry(g, &h, &p, out);
	return r < 0 ? r : zeropage_write(g, m, &h, &p);
}
