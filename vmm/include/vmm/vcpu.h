/* SPDX-License-Identifier: MIT */
/*
 * A virtual CPU. Owned by the physical CPU on which it is loaded; other CPUs only set bits in `requests`
 * and kick. Lock order of the whole product: machine > vm > vcpu > device > page allocator (no vcpu lock exists
 * yet, because no two CPUs run Havoc's code).
 *
 * gpr[] must stay first: arch/vmx/run.S and arch/svm/run.S store the guest's registers by these offsets, and
 * the back ends assert it.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <vmm/backend.h>
#include <vmm/types.h>
#include <vmm/vlapic.h>

/* x86 encoding order. gpr[GPR_RSP] is not used: RSP is VREG_RSP. */
enum { GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI, GPR_R8, GPR_R15 = 15 };

#define REQ_KILL   BIT(0) /* the VM is stopping: leave vcpu_run() */
#define REQ_RESET  BIT(1) /* the VM is to be reset */
#define REQ_FLUSH  BIT(2) /* drop cached nested translations before entry */
#define REQ_EVENT  BIT(3) /* look for something to inject */
#define REQ_CLOCK  BIT(4) /* timers may have expired */

/* What a handler wants done next. */
enum next {
	NEXT_RESUME,  /* enter again; RIP is where it should be */
	NEXT_ADVANCE, /* move RIP past the instruction, then enter */
	NEXT_STOP,    /* leave vcpu_run(): a request says why */
};

struct kvmclock {
	u64 system_time_msr; /* MSR_KVM_SYSTEM_TIME_NEW */
	u64 wall_clock_msr;
};

struct vcpu {
	u64 gpr[16];
	u64 cr2; /* the guest's while it does not run (VMX; SVM keeps it in the VMCB) */
	struct vm *vm;
	unsigned id; /* in its VM, also the APIC ID */
	void *backend; /* struct vmx_vcpu or struct svm_vcpu */
	u32 requests;  /* REQ_*, atomic */
	bool halted;   /* HLT: waits for an event */
	u32 windows;   /* WINDOW_* asked for now */
	struct event exception; /* raised by a handler, to be injected before anything else */
	struct event reinject;	/* delivery was interrupted by the exit */
	bool nmi_pending;
	struct vlapic lapic;
	u64 xcr0;
	u64 tsc_offset;
	u64 tsc_adjust;
	u64 misc_enable, mtrr_def_type, feature_control, microcode;
	u64 mtrr[32]; /* variable and fixed MTRRs: see msr.c */
	struct kvmclock clock;
	u64 exits[EXIT_KINDS]; /* statistics */
	u64 entries;
};

#endif
