/* SPDX-License-Identifier: MIT */
/*
 * The host's own page tables. Called by boot/main.c once, then by whoever needs device memory. W^X everywhere: only
 * .text can be executed, nothing that can be executed can be written, not by its alias in the direct map either; no
 * page at 0, none below a stack. SDM vol. 3 "4-Level Paging", "Programming the PAT"; docs/memory-map.md has the map.
 */
#include "arch/host/host.h"

#include <arch/cpu.h>
#include <arch/cpuid.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/assert.h>
#include <vmm/errno.h>
#include <vmm/host.h>

/* Entry 1, that PT_WC selects, is write-combining; the others as at power-up. */
#define HOST_PAT 0x0007010600070106ULL

/* What boot/entry.S has mapped. */
#define EARLY_END GiB(4)

static void *tables_alloc(unused void *ctx)
{
	return host_page_zalloc();
}

static void tables_free(unused void *ctx, void *page)
{
	host_page_free(page);
}

static void *tables_va(unused void *ctx, hpa_t pa)
{
	return host_va(pa);
}

static hpa_t tables_pa(unused void *ctx, const void *va)
{
	return host_pa(va);
}

static const struct pt_mem tables_mem = {
	.alloc = tables_alloc, .free = tables_free, .va = tables_va, .pa = tables_pa};

static u32 cpu_leaf_levels(void)
{
	u32 r[4];

	host_cpuid(0x80000001, 0, r);
	return r[CPUID_EDX] & CPUIDX1D_1GB ? BIT(2) | BIT(1) | BIT(0) : BIT(1) | BIT(0);
}

static int map_ram(struct pagetable *pt)
{
	for (unsigned i = 0; i < host.ram_count; i++) {
		const struct extent *e = &host.ram[i];
		int ret = pt_map(pt, LAYOUT_DIRECT_VA + e->base, e->base, e->size,
				 PT_READ | PT_WRITE | PT_GLOBAL, PT_WB);

		if (ret)
			return ret;
	}
	return 0;
}

struct image_part {
	const u8 *start, *end;
	u32 prot;
};

/* Each part at its linked address, and what must not be written at its alias too. */
static int map_image(struct pagetable *pt)
{
	const struct image_part parts[] = {
		{image_start, image_text_end, PT_READ | PT_EXEC},
		{image_text_end, image_rodata_end, PT_READ},
		{image_rodata_end, image_data_end, PT_READ | PT_WRITE},
		{image_data_end, image_end, PT_READ},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct image_part *p = &parts[i];
		u64 va = (u64)p->start, size = (u64)(p->end - p->start);
		int ret = 0;

		if (size)
			ret = pt_map(pt, va, host_pa(p->start), size, p->prot | PT_GLOBAL, PT_WB);
		if (!ret && size && !(p->prot & PT_WRITE))
			ret = pt_map(pt, (u64)host_va(host_pa(p->start)), host_pa(p->start), size,
				     PT_READ | PT_GLOBAL, PT_WB);
		if (ret)
			return ret;
	}
	return 0;
}

/* The early tables have it already: it must not vanish in between. */
static int map_screen(struct pagetable *pt)
{
	const struct screen *s = &host.console.screen;
	u64 base = ALIGN_DOWN(s->pa, PAGE_SIZE);

	if (!s->ops)
		return 0;
	return pt_map(pt, (u64)host_va(base), base, ALIGN_UP(s->pa + s->size, PAGE_SIZE) - base,
		      PT_READ | PT_WRITE | PT_GLOBAL, PT_WC);
}

static int unmap_guards(struct pagetable *pt)
{
	int ret = pt_unmap(pt, (u64)host_stacks.guard, LAYOUT_GUARD_SIZE);

	for (unsigned i = 0; i < IST_COUNT && !ret; i++)
		ret = pt_unmap(pt, (u64)host_stacks.ist[i].guard, LAYOUT_GUARD_SIZE);
	return ret;
}

/* "Limit CPUID Maximum" of a firmware setup, for the sake of Windows NT: it hides most of what we ask for. */
static void cpuid_unlimit(void)
{
	u64 v;
	u32 r[4];

	host_cpuid(0, 0, r);
	if (r[CPUID_EAX] <= 3 && rdmsr_safe(MSR_MISC_ENABLE, &v) && v & MISC_ENABLE_LIMIT_CPUID)
		host.cpuid_was_limited = wrmsr_safe(MSR_MISC_ENABLE, v & ~MISC_ENABLE_LIMIT_CPUID);
}

/*
 * CR4 beyond PAE: extended state is on for the guests' sake, the protections for ours. SMAP has nothing to protect as
 * long as no page is a user page, and costs nothing either.
 */
void cpu_init_features(void)
{
	u64 cr4 = CR4_PAE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT, mask;
	u32 r[4];

	cpuid_unlimit();
	host_cpuid(7, 0, r);
	if (r[CPUID_EBX] & CPUID7B_SMEP)
		cr4 |= CR4_SMEP;
	if (r[CPUID_EBX] & CPUID7B_SMAP)
		cr4 |= CR4_SMAP;
	if (r[CPUID_ECX] & CPUID7C_UMIP)
		cr4 |= CR4_UMIP;
	/* For RDPKRU, which tells the guest's rights; no page of ours is a user page. */
	if (r[CPUID_ECX] & CPUID7C_PKU && xstate_mask() & XCR0_PKRU)
		cr4 |= CR4_PKE;
	host_cpuid(1, 0, r);
	if (r[CPUID_ECX] & CPUID1C_XSAVE)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	mask = xstate_mask();
	if (mask) /* zero also where the firmware hides leaf 0DH, and XCR0 without x87 is a #GP */
		xsetbv(0, mask);
	wrmsr(MSR_PAT, HOST_PAT);
}

int paging_init(void)
{
	struct pagetable pt;
	int ret = pt_init(&pt, &pt_format_x86, &tables_mem, cpu_leaf_levels());

	if (!ret)
		ret = map_ram(&pt);
	if (!ret)
		ret = map_image(&pt);
	if (!ret)
		ret = map_screen(&pt);
	if (!ret)
		ret = unmap_guards(&pt);
	if (ret)
		return ret;
	cpu_init_features();
	write_cr3(host_pa(pt.root));
	host.pt = pt;
	return 0;
}

/* The parts of one block of memory, at a place that no other CPU has had; between them nothing is mapped. */
int paging_map_stacks(struct pcpu *cpu)
{
	u64 size = sizeof(cpu->stacks->mem) + IST_COUNT * sizeof(cpu->stacks->ist[0].mem);
	hpa_t pa;
	int ret = host_mem_alloc(size, PAGE_SIZE, &pa);

	if (ret)
		return ret;
	cpu->stacks =
		(struct cpu_stacks *)(LAYOUT_STACKS_VA + ++host.stacks * (u64)LAYOUT_STACKS_STRIDE);
	spin_lock(&host.pt_lock);
	ret = pt_map(&host.pt, (u64)cpu->stacks->mem, pa, sizeof(cpu->stacks->mem),
		     PT_READ | PT_WRITE | PT_GLOBAL, PT_WB);
	pa += sizeof(cpu->stacks->mem);
	for (unsigned i = 0; i < IST_COUNT && !ret; i++, pa += LAYOUT_IST_STACK_SIZE)
		ret = pt_map(&host.pt, (u64)cpu->stacks->ist[i].mem, pa, LAYOUT_IST_STACK_SIZE,
			     PT_READ | PT_WRITE | PT_GLOBAL, PT_WB);
	spin_unlock(&host.pt_lock);
	return ret;
}

static bool map_phys(hpa_t pa, hpa_t end, u32 prot, enum pt_memtype type)
{
	struct pt_leaf leaf;

	for (hpa_t at = ALIGN_DOWN(pa, PAGE_SIZE); at < end; at += PAGE_SIZE) {
		/* What is mapped is RAM, or was asked for before. */
		if (pt_lookup(&host.pt, (u64)host_va(at), &leaf))
			continue;
		if (pt_map(&host.pt, (u64)host_va(at), at, PAGE_SIZE, prot | PT_GLOBAL, type))
			return false;
	}
	return true;
}

void *paging_map_phys(hpa_t pa, u64 size, u32 prot, enum pt_memtype type)
{
	hpa_t end = pa + size;
	bool ok;

	if (end < pa || end > BIT(host.phys_bits) || end > LAYOUT_DIRECT_END - LAYOUT_DIRECT_VA)
		return NULL;
	if (!host.pt.root)
		return end <= EARLY_END ? host_va(pa) : NULL;
	spin_lock(&host.pt_lock);
	ok = map_phys(pa, end, prot, type);
	spin_unlock(&host.pt_lock);
	return ok ? host_va(pa) : NULL;
}
