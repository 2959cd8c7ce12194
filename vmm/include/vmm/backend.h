/* SPDX-License-Identifier: MIT */
/*
 * The vendor seam: a table of operations, chosen once at boot. arch/vmx/vmx.c and arch/svm/svm.c each
 * implement it; they never see one another. Nothing above knows which one it talks to.
 *
 * Context: the physical CPU on which the vcpu is loaded, root mode, interrupts off, unless said otherwise.
 */
#ifndef VMM_BACKEND_H
#define VMM_BACKEND_H

#include <vmm/exit.h>
#include <vmm/types.h>

struct vcpu;
struct vm;
struct pt_format;

/* Registers that live in the VMCS or VMCB. General registers except RSP are in vcpu->gpr[]. */
enum vreg {
	VREG_RIP,
	VREG_RSP,
	VREG_RFLAGS,
	VREG_CR0, /* what the guest reads */
	VREG_CR3,
	VREG_CR4,  /* what the guest reads */
	VREG_EFER, /* what the guest reads; the back end keeps LMA and the entry controls in step */
	VREG_PAT,
	VREG_DR7,
	VREG_TSC_OFFSET, /* guest TSC = host TSC + this */
	VREG_SYSENTER_CS,
	VREG_SYSENTER_ESP,
	VREG_SYSENTER_EIP,
	VREG_STAR,
	VREG_LSTAR,
	VREG_CSTAR,
	VREG_SFMASK,
	VREG_KERNEL_GS_BASE,
	VREG_CPL,       /* read only: current privilege level, 0..3 */
	VREG_CODE_BITS, /* read only: default size of the code segment: 16, 32 or 64 */
	VREG_XCR0, /* in the register itself while the vcpu is loaded; also kept in vcpu->xcr0 by reg_set */
	VREG_TSC_AUX, /* for RDTSCP and RDPID; the guest writes it without an exit if vm->policy lets it through */
	VREG_CR2,
	VREG_DR6, /* while the vcpu is loaded */
	VREG_DR0, /* this and the next three: read only, while the vcpu is loaded */
	VREG_DR3 = VREG_DR0 + 3,
	VREG_PKRU, /* read only, too */
	VREG_COUNT
};

enum vseg {
	VSEG_ES,
	VSEG_CS,
	VSEG_SS,
	VSEG_DS,
	VSEG_FS,
	VSEG_GS,
	VSEG_LDTR,
	VSEG_TR,
	VSEG_GDTR,
	VSEG_IDTR
};

/*
 * A segment register with its cache. `attr` is in the VMX access-rights form (SDM, "Guest Register
 * State"): bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable. GDTR and IDTR use base and limit.
 */
struct segment {
	u64 base;
	u32 limit; /* bytes, expanded by G */
	u32 attr;
	u16 selector;
};

#define SEG_ATTR_TYPE     GENMASK(3, 0)
#define SEG_ATTR_S        BIT(4)
#define SEG_ATTR_DPL      GENMASK(6, 5)
#define SEG_ATTR_P        BIT(7)
#define SEG_ATTR_L        BIT(13)
#define SEG_ATTR_DB       BIT(14)
#define SEG_ATTR_G        BIT(15)
#define SEG_ATTR_UNUSABLE BIT(16)

/* What stands in the way of an event now. */
#define BLOCK_IF     BIT(0) /* RFLAGS.IF = 0 */
#define BLOCK_STI    BIT(1) /* shadow of STI (SVM: of either) */
#define BLOCK_MOV_SS BIT(2) /* shadow of MOV SS / POP SS */
#define BLOCK_NMI    BIT(3) /* an NMI is being handled */
#define BLOCK_EVENT  BIT(4) /* inject() was called since the last run: there is room for one event */

/* Events for which run() shall return as soon as the guest can take them. */
#define WINDOW_INTR BIT(0)
#define WINDOW_NMI  BIT(1)

/* Why this machine cannot be used; one sentence that says what is wrong and what to do. */
struct backend_problem {
	char text[240];
};

/* A feature of the CPU that a back end makes use of. */
struct backend_feature {
	const char *name, *lack; /* `lack`: what it costs where it is missing */
	bool present, needed;    /* needed: without it no guest can be started */
};

struct backend_caps {
	u32 large_pages; /* bit n: leaf of 4 KiB << (9 * n) possible in the nested tables (bits 0, 1, 2) */
	bool run_deadline; /* run() returns EXIT_TIMER at the deadline by itself (no host timer needed) */
	bool rdtscp, invpcid; /* the guest can execute them (VMX: a secondary control each) */
	u8 phys_bits; /* guest-physical address width the nested tables can map, at most the CPU's */
	u64 kind; /* of all that the back end makes use of, a number: CPUs with the same one can be used alike */
};

struct backend_ops {
	const char *name; /* "VMX" or "SVM" */
	const struct pt_format *npt_format;

	/* Looks at this CPU without changing it. 0, or -errno with problem->text set. */
	int (*probe)(struct backend_caps *caps, struct backend_problem *problem) must_check;
	/* For the doctor: what this CPU has, whether or not it can be used; how many, at most `max`; 0: no such back end's CPU. */
	unsigned (*features)(struct backend_feature *out, unsigned max);
	/* Turns virtualisation on on this CPU (sets IA32_FEATURE_CONTROL if unlocked). */
	int (*cpu_enable)(struct backend_problem *problem) must_check;
	/* For the end of the machine; may be called wherever root mode was interrupted by an NMI. Takes no lock. */
	void (*cpu_disable)(void);

	/* Allocates vcpu->backend. The vcpu is not usable before reset(). */
	int (*vcpu_create)(struct vcpu *v) must_check;
	void (*vcpu_destroy)(struct vcpu *v);
	/*
	 * The state after power-up, or else after an INIT, of all that the VMCS/VMCB and switched MSRs, XCR0, FPU and DRs hold. An INIT
	 * leaves as they are: x87, SSE and all else that XSAVE knows, XCR0, CR0.CD and NW, PAT, TSC_AUX, the MSRs of SYSENTER and
	 * SYSCALL, KERNEL_GS_BASE.
	 */
	void (*vcpu_reset)(struct vcpu *v, bool init);

	/* Brings the vcpu onto this CPU (VMPTRLD; FPU, XCR0, DRs, SYSCALL MSRs), and takes it off. */
	void (*load)(struct vcpu *v);
	void (*put)(struct vcpu *v);

	/* Enters the guest; returns with *exit filled. `deadline` in host ticks, used if caps.run_deadline. */
	void (*run)(struct vcpu *v, u64 deadline, struct vm_exit *exit);

	u64 (*reg_get)(struct vcpu *v, enum vreg reg);
	void (*reg_set)(struct vcpu *v, enum vreg reg, u64 value);
	void (*seg_get)(struct vcpu *v, enum vseg seg, struct segment *out);
	void (*seg_set)(struct vcpu *v, enum vseg seg, const struct segment *in);

	/*
	 * Moves RIP past an emulated instruction of `len` bytes and ends interrupt shadows. If RFLAGS.TF was set, the
	 * single-step #DB is made pending, as after any instruction.
	 */
	void (*advance)(struct vcpu *v, unsigned len);
	/*
	 * Before advance(): the instruction has hit breakpoints on data or ports (bits 0-3, as in DR6), whose #DB is made pending
	 * behind it, as after any instruction.
	 */
	void (*hit)(struct vcpu *v, u32 breakpoints);
	/* BLOCK_* bits. */
	u32 (*blocked)(struct vcpu *v);
	/* The event is delivered by the next run(). At most one; only when blocked() allows it. */
	void (*inject)(struct vcpu *v, const struct event *event);
	/* Sets which windows (WINDOW_*) are asked for, replacing what was asked before. */
	void (*window)(struct vcpu *v, u32 windows);

	/* Nested tables changed (an entry was removed or narrowed): drop this VM's cached translations. */
	void (*flush)(struct vcpu *v);
	/* Prints the whole state by log_line(), most useful first. */
	void (*dump)(struct vcpu *v);
};

extern const struct backend_ops vmx_backend;
extern const struct backend_ops svm_backend;

#endif
