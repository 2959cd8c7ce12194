/* SPDX-License-Identifier: MIT */
/*
 * A virtual CPU. Owned by the physical CPU on which it is loaded; others only set bits in `requests`, wake and kick
 * (vcpu_notify()). Order of the locks: a VM's devices > hv > a scheduler's queue > page tables > page allocator > log > terminal > its ports > host console.
 *
 * gpr[] must stay first: arch/vmx/run.S and arch/svm/run.S store the guest's registers by these offsets, and
 * the back ends assert it.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <vmm/backend.h>
#include <vmm/clock.h>
#include <vmm/gwalk.h>
#include <vmm/sched.h>
#include <vmm/types.h>
#include <vmm/vlapic.h>

/* x86 encoding order. gpr[GPR_RSP] is not used: RSP is VREG_RSP. */
enum {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R15 = 15
};

#define REQ_STOP   BIT(0)  /* something is to be done to the VM: park (vm.h) */
#define REQ_SCHED  BIT(1)  /* another vcpu's turn may have come */
#define REQ_FLUSH  BIT(2)  /* drop cached nested translations before entry */
#define REQ_EVENT  BIT(3)  /* look for something to inject */
#define REQ_INPUT  BIT(4)  /* the console has input for this VM's UART */
#define REQ_APIC   BIT(6)  /* interrupts were posted to its local APIC */
#define REQ_NMI    BIT(7)  /* and so an NMI, */
#define REQ_INIT   BIT(8)  /* an INIT, */
#define REQ_SIPI   BIT(9)  /* a start-up IPI: sipi_vector */
#define REQ_DEVICE BIT(10) /* the earliest deadline of the VM's devices has changed */
#define REQ_UNHALT BIT(11) /* a kick: its HLT, or else the next one, is over */
#define REQ_EXTINT BIT(12) /* the I/O APIC sends it to the PIC for an interrupt */
#define REQ_PIC    BIT(13) /* the PIC's INT output has risen */
#define REQ_CALL   BIT(14) /* `call` is to be made */
#define REQ_TIMED  BIT(15) /* the next exit is timed, and so on while v->timed */
#define REQ_HALTED BIT(5)  /* it executed HLT: wait before the next entry */

/* What a handler wants done next. */
enum next {
	NEXT_RESUME,  /* enter again; RIP is where it should be */
	NEXT_ADVANCE, /* move RIP past the instruction, then enter */
};

struct kvmclock {
	u64 system_time_msr; /* MSR_KVM_SYSTEM_TIME_NEW */
	u64 wall_clock_msr;
	u32 version;
};

struct steal_time {
	u64 msr;  /* MSR_KVM_STEAL_TIME */
	u64 told; /* ns of task.waited that are in the guest's structure, or came before it */
};

#define VMTRR_VARIABLE 8
#define VMTRR_FIXED    11

/* Kept and given back; the memory type of a guest's RAM is the nested tables' (write-back). */
struct vmtrr {
	u64 def_type;
	u64 variable[2 * VMTRR_VARIABLE]; /* base, mask, base, mask... */
	u64 fixed[VMTRR_FIXED];
};

struct vcpu_call;
struct hv;

struct vcpu {
	u64 gpr[16];
	u64 cr2; /* the guest's while it does not run (VMX; SVM keeps it in the VMCB) */
	struct vm *vm;
	unsigned id;   /* in its VM, also the APIC ID */
	unsigned cpu;  /* of the host, on which it is loaded */
	void *backend; /* struct vmx_vcpu or struct svm_vcpu */
	u32 requests;  /* REQ_*, atomic */
	bool halted;   /* HLT: waits for an event; whoever sets it sets REQ_HALTED too */
	const struct backend_ops *ops; /* the VM's, at hand for the exit path */
	u64 deadline; /* when the run is to end at the latest: the clock's or the scheduler's */
	u32 windows;  /* WINDOW_* asked for now */
	struct event exception; /* raised by a handler, to be injected before anything else */
	struct event reinject;  /* delivery was interrupted by the exit */
	bool reinject_deferred; /* an exception went first: wait for a window */
	bool nmi_pending;
	bool extint_taken; /* the last external interrupt that was injected is a PIC's */
	bool extint_sent;  /* REQ_EXTINT has been seen, and the PIC not asked yet */
	s16 extint_kept; /* a vector that the PIC gave, and whose delivery did not come about; -1: none */
	struct vlapic lapic;
	u64 xcr0;
	u64 tsc_offset;
	u64 tsc_adjust;
	u64 misc_enable;
	u64 debugctl;
	u64 refused_msrs; /* accesses that raised #GP */
	u32 refused_msr_last;
	bool io_breakpoints; /* CR4.DE: breakpoints on ports are possible */
	struct vmtrr mtrr;
	u64 timer_armed; /* what the host timer was last set to for this vcpu */
	u64 timer_started; /* a back end's own timer: what for, or TIMER_UNKNOWN: it is to be started anew */
	struct clock
		clock; /* its timers, and as yet those of its VM's devices; runs where the vcpu runs */
	struct sched_task task;
	bool wait_sipi;   /* runs nothing until a start-up IPI comes */
	u8 sipi_vector;   /* atomic */
	bool unhalted;    /* a kick that has not ended a HLT yet */
	bool never_wakes; /* atomic: it waits with interrupts off, or for a start-up IPI */
	bool parked; /* runs no guest code until its VM is started or goes on; its state is in memory */
	struct kvmclock kvmclock;
	u64 pv_eoi_msr; /* MSR_KVM_PV_EOI_EN */
	struct steal_time steal;
	struct gwalk_cache
		fetch; /* where the last intercepted instruction was fetched from; a back end may look there */
	struct vcpu_call *call; /* under hv->lock; NULL: none is under way */
	u64 exits[EXIT_KINDS];  /* statistics */
	u32 timed;              /* atomic: hv_time() has turned it on */
	u64 timed_since;        /* ticks; atomic */
	struct vcpu_times {
		/* Ticks spent in Havoc's code after exits, by kind, and in the guest. */
		u64 exits[EXIT_KINDS], ticks[EXIT_KINDS], guest;
	} times;
};

/*
 * Something to be done with the vcpu's state at hand, loaded, wherever it is: fn() is called in its own turn, between two
 * of its instructions, whether it runs, waits or is parked. `done` is set after that (atomic). The caller keeps it until then.
 */
struct vcpu_call {
	void (*fn)(struct vcpu *v, void *arg);
	void *arg;
	u32 done;
};

/*
 * Asks for a call, from any CPU. -HV_ENOENT: `vm` is no VM any more, or has no such vcpu; -HV_EBUSY: another one is under way;
 * -HV_EINVAL: it has never been started, and has no state.
 */
int vcpu_call(struct hv *hv, const struct vm *vm, unsigned id, struct vcpu_call *call) must_check;

#endif
