/* SPDX-License-Identifier: MIT */
/*
 * The page-table formats, as data for the one walker in pagetable.c: the host's own tables, Intel's
 * EPT, AMD's NPT. SDM vol. 3 "4-Level Paging and 5-Level Paging", "Page Attribute Table (PAT)",
 * "The Extended Page Table Mechanism (EPT)"; APM vol. 2 "Long-Mode Page Translation", "Nested
 * Paging".
 */
#include <vmm/pagetable.h>

#define ADDR_MASK GENMASK(51, 12)

/* x86 and NPT */
#define X86_P      BIT(0)
#define X86_W      BIT(1)
#define X86_US     BIT(2)
#define X86_PWT    BIT(3)
#define X86_PCD    BIT(4)
#define X86_A      BIT(5)
#define X86_D      BIT(6)
#define X86_PS     BIT(7) /* in a level-0 entry this bit is PAT: always clear here */
#define X86_GLOBAL BIT(8)
#define X86_NX     BIT(63)

/* EPT */
#define EPT_R       BIT(0)
#define EPT_W       BIT(1)
#define EPT_X       BIT(2)
#define EPT_RWX     (EPT_R | EPT_W | EPT_X)
#define EPT_TYPE    GENMASK(5, 3)
#define EPT_LEAF    BIT(7)
#define EPT_A       BIT(8)
#define EPT_D       BIT(9)
#define EPT_TYPE_UC 0
#define EPT_TYPE_WC 1
#define EPT_TYPE_WB 6

/*
 * PAT entry, as PCD:PWT; entries 4 to 7 are not used, so that the moving PAT bit does not matter.
 */
static const u64 x86_type_bits[] = {
	[PT_WB] = 0,
	[PT_UC] = X86_PCD | X86_PWT,
	[PT_WC] = X86_PWT,
};

static const u64 ept_type_bits[] = {
	[PT_WB] = EPT_TYPE_WB,
	[PT_UC] = EPT_TYPE_UC,
	[PT_WC] = EPT_TYPE_WC,
};

/*
 * Accessed and dirty are set from the start: nobody reads them, and the CPU need not write them
 * then.
 */
static u64 x86_make_leaf(hpa_t pa, u32 prot, enum pt_memtype type, unsigned level)
{
	u64 e = pa | X86_P | X86_A | X86_D | x86_type_bits[type];

	if (prot & PT_WRITE)
		e |= X86_W;
	if (prot & PT_USER)
		e |= X86_US;
	if (prot & PT_GLOBAL)
		e |= X86_GLOBAL;
	if (!(prot & PT_EXEC))
		e |= X86_NX;
	if (level > 0)
		e |= X86_PS;
	return e;
}

/* The leaf alone decides: rights are the AND over all levels. */
static u64 x86_make_table(hpa_t table)
{
	return table | X86_P | X86_W | X86_US | X86_A;
}

static bool x86_is_present(u64 entry)
{
	return entry & X86_P;
}

static bool x86_is_leaf(u64 entry, unsigned level)
{
	return level == 0 || (entry & X86_PS);
}

static u32 x86_prot(u64 leaf)
{
	u32 prot = PT_READ;

	if (leaf & X86_W)
		prot |= PT_WRITE;
	if (leaf & X86_US)
		prot |= PT_USER;
	if (leaf & X86_GLOBAL)
		prot |= PT_GLOBAL;
	if (!(leaf & X86_NX))
		prot |= PT_EXEC;
	return prot;
}

static enum pt_memtype x86_type(u64 leaf)
{
	if (!(leaf & X86_PWT))
		return PT_WB;
	return leaf & X86_PCD ? PT_UC : PT_WC;
}

/*
 * A nested walk is made with user rights, the walk of the guest's own tables too (APM, "Nested
 * versus Guest Page Faults"): US is set everywhere. The G bit means nothing there.
 */
static u64 npt_make_leaf(hpa_t pa, u32 prot, enum pt_memtype type, unsigned level)
{
	return x86_make_leaf(pa, (prot & ~PT_GLOBAL) | PT_USER, type, level);
}

static u32 npt_prot(u64 leaf)
{
	return x86_prot(leaf) & (PT_READ | PT_WRITE | PT_EXEC);
}

/*
 * Guest PAT is honoured (the "ignore PAT" bit stays clear). A leaf always has R: without it W is a
 * misconfiguration, and X alone needs a capability.
 */
static u64 ept_make_leaf(hpa_t pa, u32 prot, enum pt_memtype type, unsigned level)
{
	u64 e = pa | EPT_R | EPT_A | EPT_D | field_prep(EPT_TYPE, ept_type_bits[type]);

	if (prot & PT_WRITE)
		e |= EPT_W;
	if (prot & PT_EXEC)
		e |= EPT_X;
	if (level > 0)
		e |= EPT_LEAF;
	return e;
}

static u64 ept_make_table(hpa_t table)
{
	return table | EPT_RWX | EPT_A;
}

static bool ept_is_present(u64 entry)
{
	return entry & EPT_RWX;
}

static bool ept_is_leaf(u64 entry, unsigned level)
{
	return level == 0 || (entry & EPT_LEAF);
}

static u32 ept_prot(u64 leaf)
{
	return (leaf & EPT_R ? PT_READ : 0) | (leaf & EPT_W ? PT_WRITE : 0) |
	       (leaf & EPT_X ? PT_EXEC : 0);
}

static enum pt_memtype ept_type(u64 leaf)
{
	switch (field_get(EPT_TYPE, leaf)) {
	case EPT_TYPE_WB:
		return PT_WB;
	case EPT_TYPE_WC:
		return PT_WC;
	default:
		return PT_UC;
	}
}

const struct pt_format pt_format_x86 = {
	.name = "x86",
	.levels = 4,
	.canonical = true,
	.addr_mask = ADDR_MASK,
	.make_leaf = x86_make_leaf,
	.make_table = x86_make_table,
	.is_present = x86_is_present,
	.is_leaf = x86_is_leaf,
	.prot = x86_prot,
	.type = x86_type,
};

const struct pt_format pt_format_ept = {
	.name = "EPT",
	.levels = 4,
	.canonical = false,
	.addr_mask = ADDR_MASK,
	.make_leaf = ept_make_leaf,
	.make_table = ept_make_table,
	.is_present = ept_is_present,
	.is_leaf = ept_is_leaf,
	.prot = ept_prot,
	.type = ept_type,
};

const struct pt_format pt_format_npt = {
	.name = "NPT",
	.levels = 4,
	.canonical = false,
	.addr_mask = ADDR_MASK,
	.make_leaf = npt_make_leaf,
	.make_table = x86_make_table,
	.is_present = x86_is_present,
	.is_leaf = x86_is_leaf,
	.prot = npt_prot,
	.type = x86_type,
};
