/* SPDX-License-Identifier: MIT */
/*
 * The machine's one struct host, and the parts of vmm/host.h that are about memory: which physical memory there is,
 * who gets it, where it is mapped. Called by boot/main.c at the start, by everybody afterwards. docs/memory-map.md.
 */
#include "arch/host/host.h"

#include <arch/insn.h>
#include <vmm/assert.h>
#include <vmm/config.h>
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/log.h>
#include <vmm/string.h>

/* The first MiB is left alone: firmware uses it behind its own map's back. */
#define LOW_MEMORY_END MiB(1)
/* But for one page between these. */
#define LOW_PAGE_MIN KiB(32)
#define LOW_PAGE_END KiB(640)

struct host host;

void pcpu_init(struct pcpu *cpu, unsigned number)
{
	cpu->self = cpu;
	cpu->number = number;
	cpu->deadline = HOST_TIMER_OFF;
	cpu->console_poll = HOST_TIMER_OFF;
}

void host_init(u64 load_delta, u64 entry_tsc)
{
	u32 r[4];

	host.load_delta = load_delta;
	host.entry_tsc = entry_tsc;
	host.on_error = END_HALT; /* until the options are known */
	pcpu_init(&host.boot_cpu, 0);
	host.boot_cpu.stacks = &host_stacks;
	host.boot_cpu.state = PCPU_ACCEPTED;
	host.cpu[0] = &host.boot_cpu;
	host.cpus = 1;
	host.phys_bits = 36;
	host_cpuid(0x80000008, 0, r);
	if (r[0] & 0xff)
		host.phys_bits = (u8)MIN(r[0] & 0xff, 52u);
	page_alloc_init(&host.pages, host_va);
}

/* ---- The memory map -------------------------------------------------------------------------------------------- */

/* Beyond this nothing can be mapped. */
static hpa_t ram_limit(void)
{
	return MIN(BIT(host.phys_bits), LAYOUT_DIRECT_END - LAYOUT_DIRECT_VA);
}

void memory_add_ram(hpa_t base, u64 size)
{
	hpa_t limit = ram_limit();

	if (base >= limit)
		return;
	if (page_alloc_add(&host.pages, base, MIN(size, limit - base)))
		log_warn(
			"the firmware's memory map has too many pieces: some memory will not be used");
}

void memory_add_reserved(hpa_t base, u64 size)
{
	hpa_t limit = ram_limit();

	if (base < limit)
		memory_keep(base, MIN(size, limit - base));
}

void memory_map_done(void)
{
	host.ram_count = host.pages.count;
	memcpy(host.ram, host.pages.free, host.ram_count * sizeof(host.ram[0]));
	host.ram_bytes = host.pages.free_bytes;
	memory_keep(host_pa(image_start), (u64)(image_end - image_start));
}

/* The highest page of conventional memory that nobody has a claim to. */
static hpa_t low_page(void)
{
	hpa_t found = 0;

	for (unsigned i = 0; i < host.pages.count; i++) {
		const struct extent *e = &host.pages.free[i];
		hpa_t end = MIN(e->base + e->size, LOW_PAGE_END);

		if (end >= e->base + PAGE_SIZE && end - PAGE_SIZE >= LOW_PAGE_MIN)
			found = MAX(found, end - PAGE_SIZE);
	}
	return found;
}

void memory_keep_done(void)
{
	host.low_page = low_page();
	memory_keep(0, LOW_MEMORY_END);
}

void memory_keep(hpa_t base, u64 size)
{
	int ret = page_alloc_reserve(&host.pages, base, size);

	hv_assert(ret == 0);
}

/* ---- vmm/host.h: memory ------------------------------------------------------------------------------------------ */

int host_mem_alloc(u64 size, u64 align, hpa_t *out)
{
	int ret;

	spin_lock(&host.pages_lock);
	ret = page_alloc_get(&host.pages, size, align, out);
	spin_unlock(&host.pages_lock);
	return ret;
}

void host_mem_free(hpa_t pa, u64 size)
{
	spin_lock(&host.pages_lock);
	page_alloc_put(&host.pages, pa, size);
	spin_unlock(&host.pages_lock);
}

u64 host_mem_free_bytes(void)
{
	return __atomic_load_n(&host.pages.free_bytes, __ATOMIC_RELAXED);
}

void *host_page_zalloc(void)
{
	hpa_t pa;

	if (host_mem_alloc(PAGE_SIZE, PAGE_SIZE, &pa))
		return NULL;
	return memset(host_va(pa), 0, PAGE_SIZE);
}

void host_page_free(void *page)
{
	host_mem_free(host_pa(page), PAGE_SIZE);
}

void *host_va(hpa_t pa)
{
	return (void *)(LAYOUT_DIRECT_VA + pa);
}

hpa_t host_pa(const void *va)
{
	u64 a = (u64)va;

	if (a >= LAYOUT_IMAGE_VA)
		return a - LAYOUT_IMAGE_VA + host.load_delta;
	return a - LAYOUT_DIRECT_VA;
}

/* ---- vmm/host.h: CPU ---------------------------------------------------------------------------------------------- */

/* Intel's CPUs answer a leaf above the maximum with another one's data (SDM vol. 2 "CPUID—CPU Identification"). */
void host_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	cpuid_count(leaf & 0x80000000, 0, out);
	if (leaf <= out[0] && (out[0] ^ leaf) < 0x80000000) /* the oldest have no extended leaves */
		cpuid_count(leaf, subleaf, out);
	else
		memset(out, 0, 4 * sizeof(out[0]));
}
