/* SPDX-License-Identifier: MIT */
/*
 * What CPUID says agrees with itself and with what the CPU does: XSAVE sizes with every XCR0 that can be set, topology with the APIC ID, the brand
 * string, address sizes with the reserved bits of page tables and CR3, a feature's bit with its bit of CR4 and with its instruction. SDM vol. 2 "CPUID";
 * vol. 1 "Enabling the XSAVE Feature Set and XSAVE-Enabled Features"; APM vol. 3 appendix E.
 *
 * ALSO: svm:phenom svm:EPYC vmx:corei7_icelake_u vmx:corei5_arrandale_m520
 */
#include "micro.h"

static u32 r[4];
static u32 max_basic, max_extended;

static void leaf(u32 l, u32 sub)
{
	cpuid_count(l, sub, r);
}

static bool is_zero(void)
{
	return !(r[0] | r[1] | r[2] | r[3]);
}

static void ranges(void)
{
	leaf(0, 0);
	max_basic = r[CPUID_EAX];
	leaf(0x80000000, 0);
	max_extended = r[CPUID_EAX];
	check(max_basic >= 6 && max_basic < 0x20, "the last basic leaf is 0x%x", max_basic);
	check(max_extended >= 0x80000008 && max_extended < 0x80000020,
	      "the last extended leaf is 0x%x", max_extended);
	/* Beyond the last one: nothing of another topology, of SGX, of trace or of encryption. */
	leaf(0x1f, 0);
	check(is_zero(), "leaf 0x1f is there");
	leaf(0x14, 0);
	check(is_zero(), "leaf 0x14 is there");
	leaf(0x8000001e, 0);
	check(is_zero(), "leaf 0x8000001e is there");
	leaf(0x8000001f, 0);
	check(is_zero(), "leaf 0x8000001f is there");
	leaf(0x80000001, 0);
	check(!(r[CPUID_ECX] & BIT(22)), "topology extensions without their leaf");
}

static void brand(void)
{
	char text[49];
	unsigned i;

	for (i = 0; i < 3; i++) {
		leaf(0x80000002 + i, 0);
		memory_copy(text + 16 * i, r, 16);
	}
	text[48] = 0;
	check(text[0] > ' ' || text[1] > ' ', "the brand string is empty");
	for (i = 0; i < 48 && text[i]; i++)
		check(text[i] >= ' ' && text[i] <= '~', "byte %u of the brand string is 0x%x", i,
		      (u8)text[i]);
}

/* ---- Topology ---- */

static void topology(void)
{
	u32 id = rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD ? apic_read(APIC_ID) :
							 apic_read(APIC_ID) >> 24;
	u32 cpus, htt;

	leaf(1, 0);
	check_equal("leaf 1: APIC ID", r[CPUID_EBX] >> 24, id);
	cpus = r[CPUID_EBX] >> 16 & 0xff;
	htt = r[CPUID_EDX] & CPUID1D_HTT;
	check_equal("leaf 1: CPUs", cpus, 1);
	check_equal("leaf 1: HTT", htt, 0);
	leaf(0x80000008, 0);
	check_equal("leaf 0x80000008: cores", r[CPUID_ECX] & 0xff, cpus - 1);
	if (max_basic < 0xb)
		return;
	leaf(0xb, 0);
	check_equal("leaf 0xb.0: level", r[CPUID_ECX], 0x100);
	check_equal("leaf 0xb.0: threads", r[CPUID_EBX], 1);
	check_equal("leaf 0xb.0: shift", r[CPUID_EAX], 0);
	check_equal("leaf 0xb.0: x2APIC ID", r[CPUID_EDX], id);
	leaf(0xb, 1);
	check_equal("leaf 0xb.1: level", r[CPUID_ECX], 0x201);
	check_equal("leaf 0xb.1: CPUs", r[CPUID_EBX], cpus);
	check_equal("leaf 0xb.1: x2APIC ID", r[CPUID_EDX], id);
	leaf(0xb, 2);
	check_equal("leaf 0xb.2: level", r[CPUID_ECX], 2);
	check_equal("leaf 0xb.2: CPUs", r[CPUID_EBX], 0);
	check_equal("leaf 0xb.2: x2APIC ID", r[CPUID_EDX], id);
}

/* ---- XSAVE ---- */

static u32 standard_size(u64 xcr0)
{
	u32 size = 576;
	unsigned i;

	for (i = 2; i < 63; i++) {
		if (!(xcr0 & BIT(i)))
			continue;
		leaf(0xd, i);
		check(r[CPUID_EAX] && r[CPUID_EBX] >= 576, "component %u has size %u at %u", i,
		      r[CPUID_EAX], r[CPUID_EBX]);
		check(!(r[CPUID_ECX] & 1), "component %u is of XSS", i);
		if (r[CPUID_EBX] + r[CPUID_EAX] > size)
			size = r[CPUID_EBX] + r[CPUID_EAX];
	}
	return size;
}

static u32 compact_size(u64 xcr0)
{
	u32 size = 576;
	unsigned i;

	for (i = 2; i < 63; i++) {
		if (!(xcr0 & BIT(i)))
			continue;
		leaf(0xd, i);
		if (r[CPUID_ECX] & 2)
			size = (size + 63) & ~63u;
		size += r[CPUID_EAX];
	}
	return size;
}

static u64 valid_xcr0(u64 v)
{
	bool avx512 = v & XCR0_AVX512;

	return v & 1 && (!(v & XCR0_AVX) || v & XCR0_SSE) &&
	       (!avx512 || ((v & XCR0_AVX512) == XCR0_AVX512 && v & XCR0_AVX));
}

static void xsave_sizes(void)
{
	u64 all, v;
	bool compact;
	unsigned i;

	leaf(1, 0);
	if (!(r[CPUID_ECX] & CPUID1C_XSAVE)) {
		check(!(r[CPUID_ECX] & (BIT(28) | BIT(27))), "AVX or OSXSAVE without XSAVE");
		leaf(0xd, 0);
		check(is_zero(), "leaf 0xd without XSAVE");
		return;
	}
	write_cr4(read_cr4() | CR4_OSXSAVE);
	leaf(0xd, 1);
	compact = r[CPUID_EAX] & 2;
	check(!(r[CPUID_EAX] & ~7u), "leaf 0xd.1: 0x%x, more than XSAVEOPT, XSAVEC, XGETBV",
	      r[CPUID_EAX]);
	check(!(r[CPUID_ECX] | r[CPUID_EDX]), "leaf 0xd.1 has components of XSS");
	leaf(0xd, 0);
	all = r[CPUID_EAX] | (u64)r[CPUID_EDX] << 32;
	check(r[CPUID_ECX] == standard_size(all),
	      "leaf 0xd.0: ECX is not the size of all components");
	for (i = 2; i < 63; i++) {
		leaf(0xd, i);
		check(all & BIT(i) || is_zero(), "component %u is described, but not there", i);
	}
	for (v = 0; v < BIT(10); v++) {
		u32 size, packed_size;

		if (v & ~all || !valid_xcr0(v))
			continue;
		xsetbv(0, v);
		size = standard_size(v);
		packed_size = compact_size(v);
		leaf(0xd, 0);
		check(r[CPUID_EBX] == size, "XCR0 0x%llx: size %u, not %u", (unsigned long long)v,
		      r[CPUID_EBX], size);
		leaf(0xd, 1);
		check(r[CPUID_EBX] == (compact ? packed_size : 0),
		      "XCR0 0x%llx: compacted size %u, not %u", (unsigned long long)v, r[CPUID_EBX],
		      packed_size);
	}
	xsetbv(0, 1);
}

/* ---- Address sizes ---- */

static void address_sizes(void)
{
	unsigned physical, linear;
	u64 *entry = page_entry(0xc0000000);
	bool la57;
	u32 v;

	leaf(7, 0);
	la57 = max_basic >= 7 && r[CPUID_ECX] & CPUID7C_LA57;
	leaf(0x80000008, 0);
	physical = r[CPUID_EAX] & 0xff;
	linear = r[CPUID_EAX] >> 8 & 0xff;
	check(physical >= 36 && physical <= 52, "%u physical address bits", physical);
	check_equal("linear address bits", linear, la57 ? 57 : 48);
	/* The first bit beyond the width is reserved: for the CPU's walk, where the CPU itself has no more, and for ours. */
	*entry = BIT(physical) | PTE_P | PTE_W | PTE_U;
	invlpg((void *)0xc0000000);
	if (physical < 52) {
		u64 from = 0xc0000000;

		check_equal("OUTS through a reserved bit: vector",
			    TRY("outsb",
				: "+S"(from)
				: "d"(UART + 7)
				: "memory"),
			    VEC_PF);
		check_equal("its error code", caught.error, PFEC_P | PFEC_RSV);
	}
	*entry = 0xc0000000 | 7;
	invlpg((void *)0xc0000000);
	v = 0;
	check_equal("an address that is not canonical: vector",
		    TRY("mov (%1), %0",
			: "+r"(v)
			: "r"(BIT(47))
			: "memory"),
		    VEC_GP);
}

/* ---- Features ---- */

static const struct {
	u64 cr4;
	u32 leaf;
	u8 reg, bit;
	const char *name;
} features[] = {
	{CR4_VME, 1, CPUID_EDX, 1, "VME"},           {CR4_DE, 1, CPUID_EDX, 2, "DE"},
	{CR4_MCE, 1, CPUID_EDX, 7, "MCE"},           {CR4_PGE, 1, CPUID_EDX, 13, "PGE"},
	{CR4_OSXSAVE, 1, CPUID_ECX, 26, "OSXSAVE"},  {CR4_PCIDE, 1, CPUID_ECX, 17, "PCIDE"},
	{CR4_VMXE, 1, CPUID_ECX, 5, "VMXE"},         {CR4_SMXE, 1, CPUID_ECX, 6, "SMXE"},
	{CR4_FSGSBASE, 7, CPUID_EBX, 0, "FSGSBASE"}, {CR4_UMIP, 7, CPUID_ECX, 2, "UMIP"},
	{CR4_PKE, 7, CPUID_ECX, 3, "PKE"},           {CR4_CET, 7, CPUID_ECX, 7, "CET"},
	{BIT(19), 7, CPUID_ECX, 23, "KL"},           {CR4_PKS, 7, CPUID_ECX, 31, "PKS"},
};

static bool has(u32 l, unsigned reg, unsigned bit)
{
	if (l == 7 && max_basic < 7)
		return false;
	leaf(l, 0);
	return r[reg] >> bit & 1;
}

static void cr4_bits(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		u64 before = read_cr4();
		bool there = has(features[i].leaf, features[i].reg, features[i].bit);
		int wanted = there ? NO_FAULT : VEC_GP;

		if (before & features[i].cr4)
			continue;
		check(TRY("mov %0, %%cr4",
			  :
			  : "r"(before | features[i].cr4)
			  : "memory") == wanted,
		      "CPUID and CR4 do not agree on %s", features[i].name);
		write_cr4(before);
	}
}

static volatile int vector_in_ring3;

static void rdfsbase(void)
{
	vector_in_ring3 = TRY("rdfsbase %%rax", : : : "rax", "memory");
}

static void instructions(void)
{
	u64 a = 0;

	/* Never offered. */
	check(!has(1, CPUID_ECX, 3) && TRY("monitor",
					   :
					   : "a"(&a), "c"(0), "d"(0)
					   : "memory") == VEC_UD,
	      "MONITOR is there");
	check(!has(1, CPUID_ECX, 5) && TRY("vmxoff", : : : "memory") == VEC_UD, "VMX is there");
	check(!has(1, CPUID_ECX, 6) && TRY(".byte 0x0f, 0x37",
					   : "+a"(a)
					   :
					   : "rbx", "memory") == VEC_UD,
	      "SMX is there");
	check(!has(0x80000001, CPUID_ECX, 2) && TRY("vmrun",
						    :
						    : "a"(0)
						    : "memory") == VEC_UD,
	      "SVM is there");
	check_equal("RDFSBASE without CR4.FSGSBASE: vector",
		    TRY("rdfsbase %0",
			: "+a"(a)
			:
			: "memory"),
		    VEC_UD);
	if (has(7, CPUID_EBX, 0)) {
		write_cr4(read_cr4() | CR4_FSGSBASE);
		ring3_run(rdfsbase);
		check_equal("RDFSBASE in ring 3: vector", vector_in_ring3, NO_FAULT);
		write_cr4(read_cr4() & ~CR4_FSGSBASE);
	}
	check_equal("XGETBV without CR4.OSXSAVE: vector",
		    (write_cr4(read_cr4() & ~CR4_OSXSAVE), TRY("xgetbv",
							       : "+a"(a)
							       : "c"(0)
							       : "rdx", "memory")),
		    VEC_UD);
}

void test(void)
{
	ranges();
	brand();
	topology();
	address_sizes();
	cr4_bits();
	xsave_sizes();
	instructions();
}
