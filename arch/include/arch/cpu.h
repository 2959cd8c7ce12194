/* SPDX-License-Identifier: MIT */
/*
 * What arch/host offers the two back ends beyond vmm/host.h: MSRs that may not exist, the host state that a VMCS
 * wants to know, and the extended state of guests. Context as vmm/host.h: root mode, interrupts off.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <arch/regs.h>
#include <vmm/types.h>

/* RDMSR and WRMSR that survive the #GP of an MSR or a value that this CPU does not know. *v = 0 then. */
bool rdmsr_safe(u32 msr, u64 *v);
bool wrmsr_safe(u32 msr, u64 v);

/* The registers of root mode, as they stay from boot_main() on (but CR4.VMXE and EFER.SVME, which back ends turn on). */
struct host_cpu_state {
	u64 cr0, cr3, cr4, efer, pat;
	u64 fs_base, gs_base, tr_base, gdt_base, idt_base;
	u16 cs, ss, ds, es, fs, gs, tr;
};
void host_cpu_state_get(struct host_cpu_state *out);

/* ---- Extended state: x87, SSE, AVX..., XCR0, DR0-DR3, DR6. Root mode uses none of it. ----------------------- */

/* The components of XCR0 that a guest may be offered, where the CPU has them. */
#define XSTATE_GUEST_MASK (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)

struct xstate;

/* XCR0 of root mode: XSTATE_GUEST_MASK as far as this CPU goes; 0: it has no XSAVE. */
u64 xstate_mask(void);
/* One guest's state, reset; NULL: no memory. */
struct xstate *xstate_create(void) must_check;
void xstate_destroy(struct xstate *x);
/* Power-up values. Not while it is loaded. */
void xstate_reset(struct xstate *x); /* power-up */
void xstate_init(struct xstate *x);  /* INIT */
/*
 * Puts the guest's state into the CPU; afterwards XCR0 = guest_xcr0, which must be within xstate_mask() (0 if and only
 * if that is 0: a CPU without XSAVE).
 */
void xstate_load(struct xstate *x, u64 guest_xcr0);
/* The guest's DR0 to DR3 and PKRU (0 where there is none), while its state is in the CPU. */
u64 xstate_breakpoint(unsigned n);
u32 xstate_pkru(void);

/* Takes it out again; guest_xcr0 is what the register holds. Afterwards XCR0 is root mode's. */
void xstate_save(struct xstate *x, u64 guest_xcr0);

#endif
