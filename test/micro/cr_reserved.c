/* SPDX-License-Identifier: MIT */
/*
 * Control registers take what a CPU takes and raise #GP for the rest, leaving the register as it was: reserved bits, forbidden
 * combinations, paging and PAE in long mode, XCR0, EFER, DR6, DR7. SDM vol. 2 "MOV—Move to/from Control Registers", "XSETBV".
 */
#include "micro.h"

#define TRY_CR(cr, value) TRY("mov %0, %%" #cr, : : "r"((u64)(value)) : "memory")

#define REFUSED(cr, value)                                                                         \
	do {                                                                                       \
		u64 before_ = read_##cr();                                                         \
		check(TRY_CR(cr, value) == VEC_GP, #cr " takes 0x%llx (vector %d)",                \
		      (unsigned long long)(value), caught.vector);                                 \
		check_equal(#cr " error code", caught.error, 0);                                   \
		check_equal(#cr " after a refused write", read_##cr(), before_);                   \
	} while (0)

#define TAKEN(cr, value)                                                                           \
	do {                                                                                       \
		u64 before_ = read_##cr();                                                         \
		check(TRY_CR(cr, value) == NO_FAULT, #cr " refuses 0x%llx (vector %d)",            \
		      (unsigned long long)(value), caught.vector);                                 \
		check_equal(#cr, read_##cr(), value);                                              \
		write_##cr(before_);                                                               \
	} while (0)

static void cr0(void)
{
	u64 v = read_cr0();

	TAKEN(cr0, v ^ CR0_WP);
	TAKEN(cr0, v | CR0_TS);
	TAKEN(cr0, v ^ CR0_MP);
	TAKEN(cr0, v ^ CR0_AM);
	TAKEN(cr0, v | CR0_CD);
	REFUSED(cr0, v & ~CR0_PE); /* paging without protection */
	REFUSED(cr0, (v | CR0_NW) & ~CR0_CD);
	/* With another bit changed too: QEMU's CPU looks at the lower half only where it is not intercepted. */
	REFUSED(cr0, (v ^ CR0_WP) | BIT(32));
	REFUSED(cr0, (v ^ CR0_WP) | BIT(63));
	/* Reserved bits of the lower half are ignored. */
	check_equal("CR0 bit 6: vector", TRY_CR(cr0, v | BIT(6)), NO_FAULT);
	check_equal("CR0 after bit 6", read_cr0(), v);
	write_cr0(v | CR0_TS);
	__asm__ volatile("clts");
	check_equal("CR0 after CLTS", read_cr0(), v & ~CR0_TS);
	__asm__ volatile("lmsw %w0" : : "r"((u32)v | CR0_TS));
	check_equal("CR0 after LMSW", read_cr0(), v | CR0_TS);
	__asm__ volatile("lmsw %w0" : : "r"((u32)v & ~1u & 0xfff7)); /* cannot clear PE */
	check_equal("CR0 after LMSW without PE", read_cr0(), v & ~CR0_TS);
	{
		static u16 word;

		word = (u16)(v | CR0_TS);
		__asm__ volatile("lmsw %0" : : "m"(word));
		check_equal("CR0 after LMSW from memory", read_cr0(), v | CR0_TS);
		write_cr0(v);
	}
}

static void cr3(void)
{
	u64 v = read_cr3();

	/* QEMU's CPU ends the guest with the exit code of a refused VMRUN instead. */
	if (!is_amd()) {
		REFUSED(cr3, v | BIT(52));
		REFUSED(cr3, v | BIT(62));
	}
	check_equal("CR3 with bit 5: vector", TRY_CR(cr3, v | BIT(3) | BIT(4)), NO_FAULT);
	write_cr3(v);
}

static void cr4(void)
{
	u64 v = read_cr4();
	u32 r[4];

	TAKEN(cr4, v | CR4_PGE);
	TAKEN(cr4, v | CR4_TSD);
	TAKEN(cr4, v | CR4_OSFXSR);
	REFUSED(cr4, v & ~CR4_PAE);
	REFUSED(cr4, v | CR4_VMXE);
	REFUSED(cr4, v | CR4_SMXE);
	REFUSED(cr4, v | BIT(15));
	REFUSED(cr4, v | BIT(31));
	REFUSED(cr4, v | BIT(32));
	REFUSED(cr4, v | BIT(63));
	REFUSED(cr4, v ^ CR4_LA57); /* not while in long mode */
	cpuid_count(1, 0, r);
	if (r[CPUID_ECX] & CPUID1C_PCID) {
		u64 old = read_cr3();

		write_cr3(old | 1);
		REFUSED(cr4, v | CR4_PCIDE); /* with a PCID already there */
		write_cr3(old);
		TAKEN(cr4, v | CR4_PCIDE);
	} else {
		REFUSED(cr4, v | CR4_PCIDE);
	}
}

static void xcr0(void)
{
	u32 r[4], d[4];
	u64 v;

	cpuid_count(1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_XSAVE)) {
		REFUSED(cr4, read_cr4() | CR4_OSXSAVE);
		return;
	}
	check_equal("XSETBV without CR4.OSXSAVE: vector",
		    TRY("xsetbv",
			:
			: "a"(1), "d"(0), "c"(0)
			: "memory"),
		    VEC_UD);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	cpuid_count(0xd, 0, d);
	v = xgetbv(0);
#define TRY_XCR(index, value)                                                                      \
	TRY("xsetbv", : : "a"((u32)(value)), "d"((u32)((u64)(value) >> 32)), "c"(index) : "memory")
	check_equal("XCR0 = 0: vector", TRY_XCR(0, 0), VEC_GP);
	check_equal("XCR0 without x87: vector", TRY_XCR(0, 2), VEC_GP);
	check_equal("XCR0 with AVX but not SSE: vector", TRY_XCR(0, 5), VEC_GP);
	check_equal("XCR0 bit 63: vector", TRY_XCR(0, v | BIT(63)), VEC_GP);
	check_equal("XCR0 bit 62: vector", TRY_XCR(0, v | BIT(62)), VEC_GP);
	check_equal("XCR0 with half of AVX-512: vector", TRY_XCR(0, 7 | BIT(5)), VEC_GP);
	check_equal("XCR1: vector", TRY_XCR(1, 1), VEC_GP);
	check_equal("XCR0 after all that", xgetbv(0), v);
	check_equal("XCR0 = all offered: vector", TRY_XCR(0, d[CPUID_EAX]), NO_FAULT);
	check_equal("XCR0", xgetbv(0), d[CPUID_EAX]);
	cpuid_count(0xd, 0, r);
	check_equal("size of the XSAVE area", r[CPUID_EBX], r[CPUID_ECX]);
	check_equal("XCR0 = x87: vector", TRY_XCR(0, 1), NO_FAULT);
	cpuid_count(0xd, 0, r);
	check_equal("size of the XSAVE area for x87 alone", r[CPUID_EBX], 576);
}

static volatile int vectors[4];

static void in_ring3(void)
{
	vectors[0] = TRY("mov %%cr0, %%rax", : : : "rax", "memory");
	vectors[1] = TRY("clts", : : : "memory");
	vectors[2] = TRY("mov %%rax, %%dr7", : : : "memory");
	vectors[3] = TRY("xsetbv", : : "a"(1), "d"(0), "c"(0) : "memory");
}

void test(void)
{
	cr0();
	cr3();
	cr4();
	xcr0();
	check_equal("DR7 bit 32: vector",
		    TRY("mov %0, %%dr7",
			:
			: "r"(BIT(32))
			: "memory"),
		    VEC_GP);
	check_equal("DR6 bit 40: vector",
		    TRY("mov %0, %%dr6",
			:
			: "r"(BIT(40))
			: "memory"),
		    VEC_GP);
	check_equal("CR1: vector", TRY(".byte 0x0f, 0x20, 0xc8", : : : "rax", "memory"), VEC_UD);
	check_equal("CR9: vector",
		    TRY(".byte 0x44, 0x0f, 0x20, 0xc8",
			:
			:
			: "rax", "memory"),
		    VEC_UD);
	ring3_run(in_ring3);
	check_equal("MOV from CR0 in ring 3: vector", vectors[0], VEC_GP);
	check_equal("CLTS in ring 3: vector", vectors[1], VEC_GP);
	check_equal("MOV to DR7 in ring 3: vector", vectors[2], VEC_GP);
	if (read_cr4() & CR4_OSXSAVE)
		check_equal("XSETBV in ring 3: vector", vectors[3], VEC_GP);
}
