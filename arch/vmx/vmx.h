/* SPDX-License-Identifier: MIT */
/*
 * What the files of arch/vmx share; nothing outside includes it but their tests. SDM vol. 3, chapters
 * "Virtual Machine Control Structures" to "VMX Instruction Reference", and the appendix "VMX Capability
 * Reporting Facility". PURE: caps.c, decode.c, check.c, check_guest.c. On the metal: vmx.c (the operations), vmcs.c
 * (set-up), regs.c (registers), run.c and run.S (the run path), event.c, dump.c.
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <arch/vmx/decode.h>
#include <arch/vmx/vmcs.h>
#include <vmm/backend.h>
#include <vmm/exit.h>
#include <vmm/types.h>

struct xstate;
struct vmx_vcpu;

/* ---- Controls ----------------------------------------------------------------------------- */

#define PIN_EXT_INTR    BIT(0)
#define PIN_NMI         BIT(3)
#define PIN_VIRTUAL_NMI BIT(5)
#define PIN_TIMER       BIT(6)
#define PIN_POSTED_INTR BIT(7)

#define PROC_INTR_WINDOW BIT(2)
#define PROC_TSC_OFFSET  BIT(3)
#define PROC_HLT         BIT(7)
#define PROC_INVLPG      BIT(9)
#define PROC_MWAIT       BIT(10)
#define PROC_RDPMC       BIT(11)
#define PROC_RDTSC       BIT(12)
#define PROC_CR3_LOAD    BIT(15)
#define PROC_CR3_STORE   BIT(16)
#define PROC_CR8_LOAD    BIT(19)
#define PROC_CR8_STORE   BIT(20)
#define PROC_TPR_SHADOW  BIT(21)
#define PROC_NMI_WINDOW  BIT(22)
#define PROC_IO_BITMAPS  BIT(25)
#define PROC_MSR_BITMAPS BIT(28)
#define PROC_MONITOR     BIT(29)
#define PROC_SECONDARY   BIT(31)

#define PROC2_APIC_ACCESS   BIT(0)
#define PROC2_EPT           BIT(1)
#define PROC2_RDTSCP        BIT(3)
#define PROC2_X2APIC        BIT(4)
#define PROC2_VPID          BIT(5)
#define PROC2_WBINVD        BIT(6)
#define PROC2_UNRESTRICTED  BIT(7)
#define PROC2_APIC_REGISTER BIT(8)
#define PROC2_VIRTUAL_INTR  BIT(9)
#define PROC2_INVPCID       BIT(12)
#define PROC2_ENCLS         BIT(15)
#define PROC2_PML           BIT(17)
#define PROC2_XSAVES        BIT(20)
#define PROC2_MBEC          BIT(22)

#define EXITC_SAVE_DEBUG BIT(2)
#define EXITC_HOST_64    BIT(9)
#define EXITC_ACK_INTR   BIT(15)
#define EXITC_SAVE_PAT   BIT(18)
#define EXITC_LOAD_PAT   BIT(19)
#define EXITC_SAVE_EFER  BIT(20)
#define EXITC_LOAD_EFER  BIT(21)
#define EXITC_SAVE_TIMER BIT(22)

#define ENTRYC_LOAD_DEBUG BIT(2)
#define ENTRYC_IA32E      BIT(9)
#define ENTRYC_SMM        BIT(10)
#define ENTRYC_DUAL_SMM   BIT(11)
#define ENTRYC_LOAD_PAT   BIT(14)
#define ENTRYC_LOAD_EFER  BIT(15)

/* The five words of controls, in the order of their capability MSRs. */
enum vmx_word { VMX_PIN, VMX_PROC, VMX_EXIT, VMX_ENTRY, VMX_PROC2, VMX_WORDS };

/* ---- Capabilities (caps.c, PURE) ------------------------------------------------------------ */

#define VMX_BASIC_REVISION   GENMASK(30, 0)
#define VMX_BASIC_SIZE       GENMASK(44, 32)
#define VMX_BASIC_32BIT      BIT(48)
#define VMX_BASIC_MEMTYPE    GENMASK(53, 50)
#define VMX_BASIC_INOUT_INFO BIT(54)
#define VMX_BASIC_TRUE       BIT(55)
#define VMX_BASIC_ANY_ERROR  BIT(56)
#define VMX_MISC_TIMER_RATE  GENMASK(4, 0)
#define VMX_MISC_ACTIVITY    GENMASK(8, 6)
#define VMX_MISC_CR3_TARGETS GENMASK(24, 16)
#define VMX_MISC_INSN_LEN_0  BIT(30)
#define EPT_CAP_WALK_4       BIT(6)
#define EPT_CAP_UC           BIT(8)
#define EPT_CAP_WB           BIT(14)
#define EPT_CAP_2M           BIT(16)
#define EPT_CAP_1G           BIT(17)
#define EPT_CAP_INVEPT       BIT(20)
#define EPT_CAP_ACCESSED     BIT(21)
#define EPT_CAP_INVEPT_ONE   BIT(25)
#define EPT_CAP_INVEPT_ALL   BIT(26)
#define EPT_CAP_INVVPID      BIT(32)
#define EPT_CAP_INVVPID_ONE  BIT(41)
#define EPT_CAP_INVVPID_ALL  BIT(42)

#define EPTP_WB     6
#define EPTP_WALK_4 (3 << 3)

/* Where capabilities are read from: the CPU, or a test's table. rdmsr: false if the MSR does not exist. */
struct vmx_source {
	bool (*rdmsr)(void *ctx, u32 msr, u64 *value);
	void (*cpuid)(void *ctx, u32 leaf, u32 subleaf, u32 out[4]);
	void *ctx;
};

/* The bits of a word of controls that must be 1, and those that may be. */
struct vmx_range {
	u32 must, may;
};

struct vmx_caps {
	u64 basic, misc, ept_vpid;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	struct vmx_range range[VMX_WORDS];
	u32 control[VMX_WORDS]; /* what this back end sets */
	u8 phys_bits, linear_bits;
	bool nx, long_mode_1g, rdtscp;
};

/*
 * Whether this CPU can be used: -HV_ENODEV with the sentence in `problem`, or 0 with all of `caps`
 * filled. `feature_control` gets IA32_FEATURE_CONTROL, which may still be unlocked.
 */
int vmx_caps_probe(const struct vmx_source *src, struct vmx_caps *caps, u64 *feature_control,
		   struct backend_problem *problem) must_check;
/* All capability MSRs that are there; the ranges of controls that are not are empty. False: there are none. */
bool vmx_caps_read(const struct vmx_source *src, struct vmx_caps *caps);
/* What this CPU has of what Havoc makes use of, as backend_ops.features(). */
unsigned vmx_features(const struct vmx_source *src, struct backend_feature *out, unsigned max);
/*
 * One word of controls: `must` and whatever of `wish` there is, with the bits that the CPU demands. False,
 * with *bad set, if a bit of `must` is not to be had or if the CPU demands one that is not in `tolerate`.
 */
bool vmx_caps_adjust(struct vmx_range range, u32 must, u32 wish, u32 tolerate, u32 *value,
		     u32 *bad) must_check;

/* CPUID feature words of the guest, which decide what it may own. */
struct vmx_guest_features {
	u32 leaf1_ecx, leaf1_edx, leaf7_ebx, leaf7_ecx, leafd1_eax, leafx1_edx;
};
u32 vmx_caps_proc2(const struct vmx_caps *caps, const struct vmx_guest_features *f);
/* CR0 and CR4: bits that the guest changes without an exit, and the real register for what the guest reads. */
u64 vmx_cr0_guest_owned(const struct vmx_caps *caps);
u64 vmx_cr0_real(const struct vmx_caps *caps, u64 guest);
u64 vmx_cr4_guest_owned(const struct vmx_caps *caps, const struct vmx_guest_features *f);
u64 vmx_cr4_real(const struct vmx_caps *caps, u64 guest);

struct msr_passthrough;
/* Fills a page: all MSRs exit but those of the table (SDM "MSR-Bitmap Address"). */
void vmx_msr_bitmap(u8 *bitmap, const struct msr_passthrough *msrs, unsigned count);

/* ---- The entry checks (check.c, check_guest.c, PURE) ------------------------------------------ */

struct vmx_check {
	u64 (*read)(void *ctx, u32 field);
	/* Told each rule that the state breaks, as a sentence. */
	void (*broken)(void *ctx, const char *rule);
	void *ctx;
	const struct vmx_caps *caps;
	unsigned count; /* of broken rules */
	/* Read once, used by many rules. */
	u32 pin, proc, proc2, exit, entry, intr_info;
	u64 cr0, cr4, rflags, efer;
};

/* How many rules the state breaks; read, broken, ctx and caps are set by the caller. */
unsigned vmx_check_state(struct vmx_check *c);

/* For the two files themselves. */
void vmx_check_guest(struct vmx_check *c);
void vmx_check_need(struct vmx_check *c, bool holds, const char *rule);
bool vmx_check_canonical(const struct vmx_check *c, u64 address);
bool vmx_check_pat(u64 pat);
bool vmx_check_efer(const struct vmx_check *c, u64 efer);
bool vmx_check_fixed(u64 value, u64 fixed0, u64 fixed1, u64 except);
bool vmx_check_phys(const struct vmx_check *c, u64 address, u64 align);

/* ---- On the metal ------------------------------------------------------------------------------ */

/* MSRs of the guest that no VMCS field holds and the host never uses: switched at load() and put(). */
enum {
	VMX_MSR_STAR,
	VMX_MSR_LSTAR,
	VMX_MSR_CSTAR,
	VMX_MSR_SFMASK,
	VMX_MSR_KERNEL_GS,
	VMX_MSR_TSC_AUX,
	VMX_MSRS
};

/* What is due before the next entry, and whether the timer is on: one word, for one look. */
#define VMX_DIRTY_VPID   BIT(0) /* linear and combined translations of this vcpu are to be dropped */
#define VMX_DIRTY_EPT    BIT(1) /* guest-physical and combined translations of this VM */
#define VMX_DIRTY_PDPTE  BIT(2) /* PAE: the four PDPTEs are to be read again */
#define VMX_DIRTY_LAUNCH BIT(3) /* VMLAUNCH: the VMCS has not been entered since VMCLEAR */
#define VMX_TIMER_ON     BIT(4) /* the VMX-preemption timer is active: PIN_TIMER is set */

struct vmx_vcpu {
	u64 host_rsp;                  /* in the VMCS now; 0: none yet. run.S keeps it */
	u32 state;                     /* VMX_DIRTY_*, VMX_TIMER_ON */
	u32 pin, proc, entry_controls; /* as in the VMCS */
	u64 cr0_mask, cr4_mask;        /* bits that the host owns */
	u64 *vmcs;
	u8 *msr_bitmap, *io_bitmap; /* the same for all vcpus of a VM */
	struct xstate *xstate;
	bool loaded;
	bool xsave;        /* the CPU has XCR0 */
	u8 timer_rate;     /* the VMX-preemption timer counts every 2^n TSC ticks */
	u32 timer_entries; /* that it may still go on for by itself, the next one included */
	u16 vpid;
	unsigned cpu; /* 1 + the one on which it was loaded last; 0: none */
	u64 eptp;
	u64 msr[VMX_MSRS];
	struct vmx_caps caps;
};

struct vcpu;

/* run.S: enter the guest, and come out in one of the two below. */
void vmx_resume(struct vcpu *v, u64 *host_rsp, struct vm_exit *exit);
void vmx_launch(struct vcpu *v, u64 *host_rsp, struct vm_exit *exit);
extern const char vmx_exit_point[]; /* HOST_RIP */
/* run.c, called by run.S. failure: 1 VMfailInvalid, 2 VMfailValid. */
void vmx_exited(struct vcpu *v, struct vm_exit *exit);
void vmx_entry_failed(struct vcpu *v, struct vm_exit *exit, int failure);

/* vmcs.c: the VMCS must be current for all but vmcs_make_current(). */
hpa_t vmcs_make_current(struct vmx_vcpu *vx); /* gives back the one that was, ~0 if none */
void vmcs_restore_current(hpa_t was);
void vmcs_write_controls(struct vcpu *v);
void vmcs_write_host(struct vmx_vcpu *vx);
void vmcs_write_reset_state(struct vcpu *v, bool init); /* backend.h: vcpu_reset() */

/* regs.c */
extern const u32 vmx_msr_numbers[VMX_MSRS];
u64 vmx_reg_get(struct vcpu *v, enum vreg reg);
void vmx_reg_set(struct vcpu *v, enum vreg reg, u64 value);
void vmx_seg_get(struct vcpu *v, enum vseg seg, struct segment *out);
void vmx_seg_set(struct vcpu *v, enum vseg seg, const struct segment *in);
void vmx_load_pdptes(struct vcpu *v);

/* run.c */
void vmx_run(struct vcpu *v, u64 deadline, struct vm_exit *exit);
void vmx_flush(struct vcpu *v);

/* event.c */
void vmx_advance(struct vcpu *v, unsigned len);
void vmx_hit(struct vcpu *v, u32 breakpoints);
u32 vmx_blocked(struct vcpu *v);
void vmx_inject(struct vcpu *v, const struct event *event);
void vmx_window(struct vcpu *v, u32 windows);

/* dump.c */
void vmx_dump(struct vcpu *v);
void vmx_log_insn_failure(struct vmx_vcpu *vx, int failure);
void vmx_log_entry_failure(struct vmx_vcpu *vx, u32 reason);

#endif
