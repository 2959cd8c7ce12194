/* SPDX-License-Identifier: MIT */
/*
 * The extended state of guests: x87, SSE, AVX and their successors, XCR0, the debug registers. Root mode never touches
 * it, so it is exchanged only when a vcpu comes on or goes; called by the two back ends. SDM vol. 1 "Managing State
 * Using the XSAVE Feature Set"; vol. 3 "Processor State Following Power-up, Reset, or INIT"; APM vol. 2 the same.
 */
#include <arch/cpu.h>
#include <arch/cpuid.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <vmm/assert.h>
#include <vmm/host.h>
#include <vmm/string.h>

#define XSAVE_LEGACY 512
#define XSAVE_HEADER 64
#define FCW_RESET    0x40
#define FTW_RESET    0xff /* all registers valid, each +0.0 */
#define MXCSR_RESET  0x1f80

/* The start of the legacy area, and XSTATE_BV behind it. */
struct xsave_area {
	u16 fcw, fsw;
	u8 ftw, reserved;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 registers[XSAVE_LEGACY - 32];
	u64 xstate_bv, xcomp_bv;
	u8 header[XSAVE_HEADER - 16];
};
_Static_assert(sizeof(struct xsave_area) == XSAVE_LEGACY + XSAVE_HEADER,
	       "XSAVE area of the manual");
_Static_assert(offsetof(struct xsave_area, mxcsr) == 24, "MXCSR");
_Static_assert(offsetof(struct xsave_area, xstate_bv) == 512, "XSTATE_BV");

struct xstate {
	struct xsave_area *area; /* before this struct, in the same pages */
	u64 area_size;
	u64 mask; /* 0: FXSAVE */
	bool has_xss;
	u64 dr[4], dr6;
};

u64 xstate_mask(void)
{
	u32 r[4];
	u64 all;

	host_cpuid(1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_XSAVE))
		return 0;
	host_cpuid(0xd, 0, r); /* zero where the firmware limits CPUID to fewer leaves */
	all = ((u64)r[CPUID_EDX] << 32 | r[CPUID_EAX]) & XSTATE_GUEST_MASK;
	/* Three components that XSETBV takes together or not at all, and only with AVX. */
	if ((all & XCR0_AVX512) != XCR0_AVX512 || !(all & XCR0_AVX))
		all &= ~XCR0_AVX512;
	return all;
}

/*
 * Bytes of the standard format for the components of `mask`, so many that what follows is aligned. Not fewer than the CPU itself
 * says for all that it has: Bochs writes PKRU's place although that is not asked for.
 */
static u64 xstate_size(u64 mask)
{
	u64 size = sizeof(struct xsave_area);
	u32 r[4];

	if (mask) {
		host_cpuid(0xd, 0, r);
		size = MAX(size, (u64)r[CPUID_ECX]);
	}
	for (unsigned i = 2; i < 63; i++) {
		if (!(mask & BIT(i)))
			continue;
		host_cpuid(0xd, i, r);
		size = MAX(size, (u64)r[CPUID_EBX] + r[CPUID_EAX]);
	}
	return ALIGN_UP(size, 64);
}

static u64 pages_size(u64 area_size)
{
	return ALIGN_UP(area_size + sizeof(struct xstate), PAGE_SIZE);
}

struct xstate *xstate_create(void)
{
	u64 mask = xstate_mask(), area_size = xstate_size(mask);
	struct xstate *x;
	hpa_t pa;
	u32 r[4];

	if (host_mem_alloc(pages_size(area_size), PAGE_SIZE, &pa))
		return NULL;
	x = host_va(pa + area_size);
	*x = (struct xstate){.area = host_va(pa), .area_size = area_size, .mask = mask};
	if (x->mask) {
		host_cpuid(0xd, 1, r);
		x->has_xss = r[CPUID_EAX] & BIT(3);
	}
	xstate_reset(x);
	return x;
}

void xstate_destroy(struct xstate *x)
{
	host_mem_free(host_pa(x->area), pages_size(x->area_size));
}

void xstate_reset(struct xstate *x)
{
	memset(x->area, 0, x->area_size);
	x->area->fcw = FCW_RESET;
	x->area->ftw = FTW_RESET;
	x->area->mxcsr = MXCSR_RESET;
	if (x->mask)
		x->area->xstate_bv = XCR0_X87 | XCR0_SSE;
	xstate_init(x);
}

/* The debug registers only: x87, SSE, AVX and the rest, MXCSR and PKRU too, are unchanged by an INIT, says the table of either manual. */
void xstate_init(struct xstate *x)
{
	memset(x->dr, 0, sizeof(x->dr));
	x->dr6 = DR6_RESET;
}

void xstate_load(struct xstate *x, u64 guest_xcr0)
{
	hv_assert(!guest_xcr0 == !x->mask);
	/* An emulator that lets XSETBV pass (QEMU) may have let a guest set more than it was offered. */
	guest_xcr0 &= x->mask;
	if (x->mask) {
		/* All components, those too that the guest has turned off for now: it finds them as it left them. */
		xrstor64(x->area, x->mask);
		if (x->has_xss)
			wrmsr(MSR_XSS, 0);
		if (guest_xcr0 != x->mask)
			xsetbv(0, guest_xcr0);
	} else {
		fxrstor64(x->area);
	}
	write_dr0(x->dr[0]);
	write_dr1(x->dr[1]);
	write_dr2(x->dr[2]);
	write_dr3(x->dr[3]);
	write_dr6(x->dr6);
}

void xstate_save(struct xstate *x, u64 guest_xcr0)
{
	if (x->mask) {
		if (guest_xcr0 != x->mask)
			xsetbv(0, x->mask);
		xsave64(x->area, x->mask);
	} else {
		fxsave64(x->area);
	}
	x->dr[0] = read_dr0();
	x->dr[1] = read_dr1();
	x->dr[2] = read_dr2();
	x->dr[3] = read_dr3();
	x->dr6 = read_dr6();
}

u64 xstate_breakpoint(unsigned n)
{
	switch (n) {
	case 0:
		return read_dr0();
	case 1:
		return read_dr1();
	case 2:
		return read_dr2();
	default:
		return read_dr3();
	}
}

u32 xstate_pkru(void)
{
	return read_cr4() & CR4_PKE ? rdpkru() : 0;
}
