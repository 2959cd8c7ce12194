/* SPDX-License-Identifier: MIT */
/*
 * The guest's CPUID. One const table: a row per leaf says which of the CPU's bits pass, which are set, and which
 * follow the guest's state. What no row names reads as zero. The guest's values are computed once, at vm_create(); the exit
 * looks them up and patches the few dynamic bits. SDM vol. 2 "CPUID"; APM vol. 3 appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst.
 *
 * To offer a feature: its bit in a row here, and whatever the feature needs elsewhere (cr.c, msr.c, the back ends).
 */
#include <arch/cpuid.h>
#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "core.h"

enum fixup {
	FIX_NONE,
	FIX_FEATURES,      /* leaf 1: OSXSAVE, APIC */
	FIX_STRUCTURED,    /* leaf 7: OSPKE */
	FIX_XSAVE_SIZE,    /* leaf 0xd.0: size of what XCR0 enables */
	FIX_ID,            /* leaf 0xb: x2APIC ID */
	FIX_XSAVE_COMPACT, /* leaf 0xd.1: the same in the compacted format */
};

/* How the VM's own values enter a row at build time. */
typedef void cpuid_build_fn(const struct vm *vm, struct cpuid_entry *e);

#define ALL         0xffffffffu
#define ANY_SUBLEAF 0xffffffffu

/* There on old CPUs too, whose leaves end before it: without ARAT a kernel looks for a PIT to wake it from idling. */
#define LEAF_POWER 6u

struct cpuid_row {
	u32 leaf, subleaf;
	u32 mask[4];
	u32 set[4];
	u8 fixup;
	cpuid_build_fn *build;
};

/* Leaf 1: what a guest can use with no help but its own state. */
#define L1_ECX                                                                                     \
	(BIT(0) /* SSE3 */ | BIT(1) /* PCLMULQDQ */ | BIT(9) /* SSSE3 */ | BIT(12) /* FMA */ |     \
	 BIT(13) /* CMPXCHG16B */ | CPUID1C_PCID | BIT(19) | BIT(20) /* SSE4 */ |                  \
	 BIT(22) /* MOVBE */ | BIT(23) /* POPCNT */ | BIT(25) /* AES */ | CPUID1C_XSAVE |          \
	 BIT(28) /* AVX */ | BIT(29) /* F16C */ | BIT(30) /* RDRAND */)
#define L1_EDX                                                                                     \
	(GENMASK(9, 0) | GENMASK(17, 11) | BIT(19) /* CLFLUSH */ | GENMASK(27, 23) /* MMX..SS */)
#define L7_EBX                                                                                     \
	(CPUID7B_FSGSBASE | BIT(3) /* BMI1 */ | BIT(5) /* AVX2 */ | BIT(6) | CPUID7B_SMEP |        \
	 BIT(8) /* BMI2 */ | BIT(9) /* ERMS */ | CPUID7B_INVPCID | BIT(13) |                       \
	 BIT(16) /* AVX512F */ | BIT(17) | BIT(18) /* RDSEED */ | BIT(19) /* ADX */ |              \
	 CPUID7B_SMAP | BIT(21) | BIT(23) /* CLFLUSHOPT */ | BIT(24) /* CLWB */ | BIT(26) |        \
	 BIT(27) | BIT(28) | BIT(29) /* SHA */ | BIT(30) | BIT(31))
#define L7_ECX                                                                                     \
	(BIT(1) /* AVX512_VBMI */ | CPUID7C_UMIP | CPUID7C_PKU | BIT(6) | BIT(8) /* GFNI */ |      \
	 BIT(9) /* VAES */ | BIT(10) | BIT(11) | BIT(12) | BIT(14) | CPUID7C_LA57 | CPUID7C_RDPID)
#define L7_EDX (BIT(2) | BIT(3) | BIT(4) /* FSRM */ | BIT(8))
#define LX1_ECX                                                                                    \
	(BIT(0) /* LAHF */ | BIT(4) /* CR8 by LOCK MOV CR0 */ | BIT(5) /* LZCNT */ |               \
	 BIT(6) /* SSE4A */ | BIT(7) | BIT(8) | BIT(11) /* XOP */ | BIT(16) /* FMA4 */ |           \
	 BIT(21) /* TBM */)
#define LX1_EDX                                                                                    \
	(L1_EDX_AMD | CPUIDX1D_SYSCALL | CPUIDX1D_NX | BIT(22) | BIT(25) | CPUIDX1D_1GB |          \
	 CPUIDX1D_RDTSCP | CPUIDX1D_LM)
#define L1_EDX_AMD (GENMASK(9, 0) | GENMASK(17, 12) | GENMASK(24, 23))

/* KVM's: what every guest is offered. No delay loops after port I/O: no device here needs them. */
#define KVM_ALWAYS                                                                                 \
	(CPUIDKVM_CLOCKSOURCE | CPUIDKVM_NOP_IO_DELAY | CPUIDKVM_CLOCKSOURCE2 |                    \
	 CPUIDKVM_STEAL_TIME | CPUIDKVM_PV_EOI | CPUIDKVM_TLB_FLUSH | CPUIDKVM_CLOCK_STABLE)

/* What is a hypercall of KVM's is there only where its numbers are not taken for the older form of ours. */
#define KVM_CALLS (CPUIDKVM_UNHALT | CPUIDKVM_SEND_IPI | CPUIDKVM_SCHED_YIELD)

/* Dedicated CPUs are never taken away: a kernel may then wait by spinning, and uses less of all this. */
static void build_kvm_features(const struct vm *vm, struct cpuid_entry *e)
{
	if (!vm->hypercall_compat)
		e->reg[CPUID_EAX] |= (u32)KVM_CALLS;
	e->reg[CPUID_EDX] = vm->dedicated ? CPUIDKVM_HINT_REALTIME : 0;
}

static void build_max_basic(unused const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] = MAX(MIN(e->reg[CPUID_EAX], 0xdu), LEAF_POWER);
}

static void build_max_extended(unused const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] = MIN(e->reg[CPUID_EAX], 0x8000001au);
}

/* EBX: brand and CLFLUSH line are the CPU's; one logical processor, APIC ID 0. */
static void build_features(const struct vm *vm, struct cpuid_entry *e)
{
	u32 xsave[4];

	host_cpuid(0xd, 0, xsave);
	if (!xsave[CPUID_EAX]) /* limited by the firmware: XSAVE without the leaf that describes it */
		e->reg[CPUID_ECX] &= ~(u32)CPUID1C_XSAVE;
	e->reg[CPUID_EBX] = (e->reg[CPUID_EBX] & 0xffff) | vm->cpus << 16;
	if (vm->cpus > 1)
		e->reg[CPUID_EDX] |= (u32)CPUID1D_HTT;
	if (!(e->reg[CPUID_ECX] & CPUID1C_XSAVE))
		e->reg[CPUID_ECX] &= ~(u32)(BIT(28) | BIT(29) | BIT(12));
}

/* PKRU is exchanged with the rest of the extended state, and has its place there: docs/decisions/0010-protection-keys.md. */
static bool host_has_pkru(void)
{
	u32 xsave[4], pkru[4];

	host_cpuid(0xd, 0, xsave);
	host_cpuid(0xd, 9, pkru);
	return xsave[CPUID_EAX] & XCR0_PKRU && pkru[CPUID_EAX];
}

static void build_structured(const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] = 0;
	if (!vm->caps->invpcid)
		e->reg[CPUID_EBX] &= ~(u32)CPUID7B_INVPCID;
	if (!vm->caps->rdtscp)
		e->reg[CPUID_ECX] &= ~(u32)CPUID7C_RDPID;
	if (!host_has_pkru())
		e->reg[CPUID_ECX] &= ~(u32)CPUID7C_PKU;
}

/* Caches are those of one core that shares nothing; all cores are in one package. */
static void build_caches(const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] &= ~(u32)GENMASK(31, 14);
	if (e->reg[CPUID_EAX])
		e->reg[CPUID_EAX] |= (vm->cpus - 1) << 26;
}

/* Bits of an APIC ID that tell the cores apart. */
static u32 core_bits(const struct vm *vm)
{
	u32 bits = 0;

	while (1u << bits < vm->cpus)
		bits++;
	return bits;
}

/* Threads: one a core. Cores: all. EDX, the x2APIC ID, is each CPU's own. */
static void build_topology(const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] = e->subleaf ? core_bits(vm) : 0;
	e->reg[CPUID_EBX] = e->subleaf ? vm->cpus : 1;
	e->reg[CPUID_ECX] = e->subleaf ? 0x201 : 0x100;
	e->reg[CPUID_EDX] = 0;
}

static void build_xsave_caps(unused const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] &= BIT(0) | BIT(1) |
			     BIT(2); /* XSAVEOPT, XSAVEC, XGETBV with ECX=1; no XSAVES: no XSS */
	e->reg[CPUID_EBX] = e->reg[CPUID_ECX] = e->reg[CPUID_EDX] = 0;
}

static void build_extended(const struct vm *vm, struct cpuid_entry *e)
{
	if (!vm->caps->rdtscp)
		e->reg[CPUID_EDX] &= ~(u32)CPUIDX1D_RDTSCP;
}

/* No more physical address bits than the nested tables map. Linear address bits are the CPU's. */
static void build_address_sizes(const struct vm *vm, struct cpuid_entry *e)
{
	u32 phys = MIN(e->reg[CPUID_EAX] & 0xff, (u32)vm->caps->phys_bits);

	e->reg[CPUID_EAX] = (e->reg[CPUID_EAX] & 0xff00) | phys;
	e->reg[CPUID_ECX] = vm->cpus > 1 ? core_bits(vm) << 12 | (vm->cpus - 1) : 0; /* AMD's */
}

static void build_havoc_features(const struct vm *vm, struct cpuid_entry *e)
{
	e->reg[CPUID_EAX] = vm->hypercall_console ? BIT(0) : 0;
}

static const struct cpuid_row cpuid_rows[] = {
	{0x0, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, build_max_basic},
	{0x1,
	 ANY_SUBLEAF,
	 {ALL, 0xffff, L1_ECX, L1_EDX},
	 {0, 0, CPUID1C_X2APIC | CPUID1C_TSC_DEADLINE | CPUID1C_HYPERVISOR, CPUID1D_APIC},
	 FIX_FEATURES,
	 build_features},
	{0x2, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, NULL},
	{0x4, 0, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, build_caches},
	{0x4, 1, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, build_caches},
	{0x4, 2, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, build_caches},
	{0x4, 3, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, build_caches},
	{LEAF_POWER, ANY_SUBLEAF, {0}, {BIT(2) /* ARAT */, 0, 0, 0}, FIX_NONE, NULL},
	{0x7,
	 0,
	 {0, L7_EBX, L7_ECX, L7_EDX},
	 {0, CPUID7B_TSC_ADJUST, 0, 0},
	 FIX_STRUCTURED,
	 build_structured},
	{0xb, 0, {0}, {0}, FIX_ID, build_topology},
	{0xb, 1, {0}, {0}, FIX_ID, build_topology},
	{0xd, 0, {ALL, ALL, ALL, ALL}, {0}, FIX_XSAVE_SIZE, NULL}, /* rewritten by build_xsave() */
	{0xd, 1, {ALL, 0, 0, 0}, {0}, FIX_XSAVE_COMPACT, build_xsave_caps},
	{0xd, 2, {ALL, ALL, ALL, 0}, {0}, FIX_NONE, NULL},
	{0xd, 5, {ALL, ALL, ALL, 0}, {0}, FIX_NONE, NULL},
	{0xd, 6, {ALL, ALL, ALL, 0}, {0}, FIX_NONE, NULL},
	{0xd, 7, {ALL, ALL, ALL, 0}, {0}, FIX_NONE, NULL},
	{0xd, 9, {ALL, ALL, ALL, 0}, {0}, FIX_NONE, NULL},
	{0x40000000, ANY_SUBLEAF, {0}, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}, FIX_NONE, NULL},
	{0x40000001, ANY_SUBLEAF, {0}, {KVM_ALWAYS, 0, 0, 0}, FIX_NONE, build_kvm_features},
	/* Havoc's own: "HavocHavocHv" */
	{0x40000100,
	 ANY_SUBLEAF,
	 {0},
	 {0x40000101, 0x6f766148, 0x76614863, 0x7648636f},
	 FIX_NONE,
	 NULL},
	{0x40000101, ANY_SUBLEAF, {0}, {0}, FIX_NONE, build_havoc_features},
	{0x80000000, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, build_max_extended},
	{0x80000001, ANY_SUBLEAF, {ALL, 0, LX1_ECX, LX1_EDX}, {0}, FIX_NONE, build_extended},
	{0x80000002, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, NULL},
	{0x80000003, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, NULL},
	{0x80000004, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, NULL},
	{0x80000005, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, NULL},
	{0x80000006, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, FIX_NONE, NULL},
	{0x80000007, ANY_SUBLEAF, {0, 0, 0, CPUIDX7D_INVARIANT_TSC}, {0}, FIX_NONE, NULL},
	{0x80000008, ANY_SUBLEAF, {0xffff, 0, 0, 0}, {0}, FIX_NONE, build_address_sizes},
	{0x80000019, ANY_SUBLEAF, {ALL, ALL, 0, 0}, {0}, FIX_NONE, NULL},
	{0x8000001a, ANY_SUBLEAF, {ALL, 0, 0, 0}, {0}, FIX_NONE, NULL},
};
_Static_assert(ARRAY_SIZE(cpuid_rows) <= VM_CPUID_MAX, "struct vm holds an entry for each row");

/* The leaves below 0x20 of the basic and of the extended range have a place in the index, the hypervisor's few are looked for. */
static unsigned cpuid_first(const struct vm *vm, u32 leaf)
{
	unsigned i;

	if (likely((leaf & ~(u32)BIT(31)) < VM_CPUID_INDEX))
		return vm->cpuid_index[leaf >> 31][leaf & (VM_CPUID_INDEX - 1)];
	for (i = 0; i < vm->cpuid_count; i++)
		if (vm->cpuid[i].leaf == leaf)
			return i;
	return VM_CPUID_NONE;
}

const struct cpuid_entry *cpuid_find(const struct vm *vm, u32 leaf, u32 subleaf)
{
	unsigned i = cpuid_first(vm, leaf);

	for (; i < vm->cpuid_count && vm->cpuid[i].leaf == leaf; i++)
		if (!vm->cpuid[i].exact_subleaf || vm->cpuid[i].subleaf == subleaf)
			return &vm->cpuid[i];
	return NULL;
}

static void build_index(struct vm *vm)
{
	unsigned i = vm->cpuid_count;

	memset(vm->cpuid_index, VM_CPUID_NONE, sizeof(vm->cpuid_index));
	while (i--) {
		u32 leaf = vm->cpuid[i].leaf;

		if ((leaf & ~(u32)BIT(31)) < VM_CPUID_INDEX)
			vm->cpuid_index[leaf >> 31][leaf & (VM_CPUID_INDEX - 1)] = (u8)i;
	}
}

/* ---- XSAVE -------------------------------------------------------------------------------- */

#define XCR0_OFFERED  (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)
#define XSAVE_END     10     /* behind the last component that is offered */
#define XSAVE_LEGACY  576u   /* legacy region and header */
#define XSAVE_XSAVEC  BIT(1) /* leaf 0xd.1 EAX */
#define XSAVE_ALIGN64 BIT(1) /* leaf 0xd.n ECX */

u64 cpuid_xcr0_mask(const struct vm *vm)
{
	const struct cpuid_entry *e = cpuid_find(vm, 0xd, 0);

	return e ? e->reg[CPUID_EAX] : 0;
}

/* Standard format: the end of the last component that `xcr0` holds. */
static u32 xsave_size(const struct vm *vm, u64 xcr0)
{
	u32 size = XSAVE_LEGACY;
	unsigned i;

	for (i = 2; i < XSAVE_END; i++) {
		const struct cpuid_entry *e = xcr0 & BIT(i) ? cpuid_find(vm, 0xd, i) : NULL;

		if (e)
			size = MAX(size, e->reg[CPUID_EBX] + e->reg[CPUID_EAX]);
	}
	return size;
}

/* Compacted format: the components one behind the other (SDM vol. 1 "Compacted Format"). There is no XSS. */
static u32 xsave_compact_size(const struct vm *vm, u64 xcr0)
{
	u32 size = XSAVE_LEGACY;
	unsigned i;

	for (i = 2; i < XSAVE_END; i++) {
		const struct cpuid_entry *e = xcr0 & BIT(i) ? cpuid_find(vm, 0xd, i) : NULL;

		if (e && e->reg[CPUID_ECX] & XSAVE_ALIGN64)
			size = ALIGN_UP(size, 64u);
		if (e)
			size += e->reg[CPUID_EAX];
	}
	return size;
}

static void build_xsave(struct vm *vm)
{
	const struct cpuid_entry *features = cpuid_find(vm, 1, 0);
	struct cpuid_entry *d = (struct cpuid_entry *)cpuid_find(vm, 0xd, 0);
	bool offered = features && features->reg[CPUID_ECX] & CPUID1C_XSAVE;
	unsigned i;

	if (!d)
		return;
	d->reg[CPUID_EAX] = offered ? d->reg[CPUID_EAX] & XCR0_OFFERED : 0;
	d->reg[CPUID_EDX] = 0;
	if (!cpuid_find(vm, 7, 0) || !(cpuid_find(vm, 7, 0)->reg[CPUID_ECX] & CPUID7C_PKU))
		d->reg[CPUID_EAX] &= ~(u32)XCR0_PKRU;
	if ((d->reg[CPUID_EAX] & XCR0_AVX512) != XCR0_AVX512)
		d->reg[CPUID_EAX] &= ~(u32)XCR0_AVX512;
	for (i = 0; i < vm->cpuid_count; i++) {
		struct cpuid_entry *e = &vm->cpuid[i];

		if (e->leaf == 0xd && ((e->subleaf == 1 && !offered) ||
				       (e->subleaf > 1 && !(d->reg[CPUID_EAX] & BIT(e->subleaf)))))
			e->reg[0] = e->reg[1] = e->reg[2] = e->reg[3] = 0;
	}
	d->reg[CPUID_ECX] = offered ? xsave_size(vm, d->reg[CPUID_EAX]) : 0;
	d->reg[CPUID_EBX] = 0; /* the exit fills it in */
}

/* ---- Build and exit ----------------------------------------------------------------------- */

static u32 host_max_leaf(u32 range)
{
	u32 reg[4];

	host_cpuid(range, 0, reg);
	return reg[CPUID_EAX];
}

int cpuid_build(struct vm *vm)
{
	u32 max_basic = host_max_leaf(0), max_extended = host_max_leaf(0x80000000);
	unsigned i, r;

	vm->cpuid_count = 0;
	for (i = 0; i < ARRAY_SIZE(cpuid_rows); i++) {
		const struct cpuid_row *row = &cpuid_rows[i];
		struct cpuid_entry *e = &vm->cpuid[vm->cpuid_count];
		bool hypervisor = row->leaf >> 16 == 0x4000;

		if (!hypervisor && row->leaf != LEAF_POWER &&
		    row->leaf > (row->leaf & BIT(31) ? max_extended : max_basic))
			continue;
		*e = (struct cpuid_entry){.leaf = row->leaf,
					  .subleaf = row->subleaf == ANY_SUBLEAF ? 0 : row->subleaf,
					  .exact_subleaf = row->subleaf != ANY_SUBLEAF,
					  .fixup = row->fixup};
		if (!hypervisor)
			host_cpuid(e->leaf, e->subleaf, e->reg);
		for (r = 0; r < 4; r++)
			e->reg[r] = (e->reg[r] & row->mask[r]) | row->set[r];
		if (row->build)
			row->build(vm, e);
		vm->cpuid_count++;
	}
	build_index(vm);
	if (!cpuid_find(vm, 1, 0))
		return -HV_ENODEV;
	build_xsave(vm);
	return 0;
}

static void fix_features(struct vcpu *v, u32 reg[4])
{
	reg[CPUID_EBX] |= v->id << 24;
	if (reg[CPUID_ECX] & CPUID1C_XSAVE && vcpu_reg(v, VREG_CR4) & CR4_OSXSAVE)
		reg[CPUID_ECX] |= CPUID1C_OSXSAVE;
	if (!v->lapic.hw_enabled)
		reg[CPUID_EDX] &= ~(u32)CPUID1D_APIC;
}

static void fix_structured(struct vcpu *v, u32 reg[4])
{
	if (vcpu_reg(v, VREG_CR4) & CR4_PKE)
		reg[CPUID_ECX] |= (u32)CPUID7C_OSPKE;
}

enum next exit_cpuid(struct vcpu *v, unused struct vm_exit *e)
{
	u32 leaf = (u32)v->gpr[GPR_RAX], subleaf = (u32)v->gpr[GPR_RCX];
	const struct cpuid_entry *entry = cpuid_find(v->vm, leaf, subleaf);
	u32 reg[4] = {0, 0, 0, 0};

	if (likely(entry)) {
		reg[0] = entry->reg[0];
		reg[1] = entry->reg[1];
		reg[2] = entry->reg[2];
		reg[3] = entry->reg[3];
	} else if (leaf == 0xb) {
		/* SDM: level type 0 ("invalid"), ECX[7:0] echoes the input. */
		reg[CPUID_ECX] = subleaf & 0xff;
		reg[CPUID_EDX] = v->id;
	}
	if (entry && entry->fixup == FIX_FEATURES)
		fix_features(v, reg);
	else if (entry && entry->fixup == FIX_STRUCTURED)
		fix_structured(v, reg);
	else if (entry && entry->fixup == FIX_ID)
		reg[CPUID_EDX] = v->id;
	else if (entry && entry->fixup == FIX_XSAVE_SIZE && entry->reg[CPUID_EAX])
		reg[CPUID_EBX] = xsave_size(v->vm, vcpu_reg(v, VREG_XCR0));
	else if (entry && entry->fixup == FIX_XSAVE_COMPACT && entry->reg[CPUID_EAX] & XSAVE_XSAVEC)
		reg[CPUID_EBX] = xsave_compact_size(v->vm, vcpu_reg(v, VREG_XCR0));
	v->gpr[GPR_RAX] = reg[CPUID_EAX];
	v->gpr[GPR_RBX] = reg[CPUID_EBX];
	v->gpr[GPR_RCX] = reg[CPUID_ECX];
	v->gpr[GPR_RDX] = reg[CPUID_EDX];
	return NEXT_ADVANCE;
}
