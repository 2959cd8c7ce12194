/* SPDX-License-Identifier: MIT */
/*
 * What the files of arch/svm/ share: the virtual machine control block (VMCB), the back end's state per
 * vcpu and per CPU, and the functions of each file. Nobody outside arch/svm/ includes it but its unit tests.
 *
 * APM vol. 2 (AMD64 Architecture Programmer's Manual, System Programming): chapter "Secure Virtual
 * Machine", appendix "VMCB Layout" and appendix "SVM Intercept Exit Codes".
 */
#ifndef ARCH_SVM_H
#define ARCH_SVM_H

#include <arch/regs.h>
#include <vmm/backend.h>
#include <vmm/types.h>
#include <vmm/vcpu.h>

/* ---- VMCB: APM vol. 2 appendix "VMCB Layout" ---------------------------------------------- */

struct vmcb_seg {
	u16 selector;
	u16 attr;  /* bits 55:52 and 47:40 of the descriptor; 0 for a null segment */
	u32 limit; /* bytes, expanded by G */
	u64 base;
};

/* The state-save area, at offset 0x400 of the VMCB. */
struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved_0a0[0x0cb - 0x0a0];
	u8 cpl;
	u8 reserved_0cc[4];
	u64 efer;
	u8 reserved_0d8[0x148 - 0x0d8];
	u64 cr4, cr3, cr0;
	u64 dr7, dr6;
	u64 rflags, rip;
	u8 reserved_180[0x1d8 - 0x180];
	u64 rsp;
	u64 s_cet, ssp, isst_addr;
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 reserved_248[0x268 - 0x248];
	u64 g_pat;
	u64 dbgctl, br_from, br_to, last_exc_from, last_exc_to;
};

struct vmcb {
	u32 intercept_cr; /* bit n: read of CRn, bit 16 + n: write of CRn */
	u32 intercept_dr;
	u32 intercept_exc; /* bit n: exception vector n */
	u32 intercept3;    /* SVM_INT3_* */
	u32 intercept4;    /* SVM_INT4_* */
	u32 intercept5;
	u8 reserved_018[0x03c - 0x018];
	u16 pause_threshold, pause_count;
	u64 iopm_pa, msrpm_pa;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control; /* SVM_TLB_* */
	u8 reserved_05d[3];
	u64 int_ctl;    /* SVM_V_* */
	u64 int_shadow; /* bit 0: interrupt shadow */
	u64 exitcode, exitinfo1, exitinfo2, exitintinfo;
	u64 np_control; /* SVM_NP_ENABLE */
	u64 avic_bar, ghcb;
	u64 eventinj;
	u64 ncr3;
	u64 virt_ext;
	u32 clean; /* SVM_CLEAN_*: set bits are not reloaded */
	u32 reserved_0c4;
	u64 nrip;
	u8 insn_count;
	u8 insn[15];
	u8 reserved_0e0[0x400 - 0x0e0];
	struct vmcb_save save;
	u8 reserved_698[0x1000 - 0x698];
};

#define SVM_AT(field, offset)                                                                      \
	_Static_assert(offsetof(struct vmcb, field) == (offset), "VMCB Layout: " #field)
#define SVM_SAVE_AT(field, offset) SVM_AT(save.field, 0x400 + (offset))

SVM_AT(intercept_cr, 0x000);
SVM_AT(intercept_dr, 0x004);
SVM_AT(intercept_exc, 0x008);
SVM_AT(intercept3, 0x00c);
SVM_AT(intercept4, 0x010);
SVM_AT(intercept5, 0x014);
SVM_AT(pause_threshold, 0x03c);
SVM_AT(pause_count, 0x03e);
SVM_AT(iopm_pa, 0x040);
SVM_AT(msrpm_pa, 0x048);
SVM_AT(tsc_offset, 0x050);
SVM_AT(asid, 0x058);
SVM_AT(tlb_control, 0x05c);
SVM_AT(int_ctl, 0x060);
SVM_AT(int_shadow, 0x068);
SVM_AT(exitcode, 0x070);
SVM_AT(exitinfo1, 0x078);
SVM_AT(exitinfo2, 0x080);
SVM_AT(exitintinfo, 0x088);
SVM_AT(np_control, 0x090);
SVM_AT(avic_bar, 0x098);
SVM_AT(ghcb, 0x0a0);
SVM_AT(eventinj, 0x0a8);
SVM_AT(ncr3, 0x0b0);
SVM_AT(virt_ext, 0x0b8);
SVM_AT(clean, 0x0c0);
SVM_AT(nrip, 0x0c8);
SVM_AT(insn_count, 0x0d0);
SVM_AT(insn, 0x0d1);
SVM_AT(save, 0x400);
SVM_SAVE_AT(es, 0x000);
SVM_SAVE_AT(cs, 0x010);
SVM_SAVE_AT(ss, 0x020);
SVM_SAVE_AT(ds, 0x030);
SVM_SAVE_AT(fs, 0x040);
SVM_SAVE_AT(gs, 0x050);
SVM_SAVE_AT(gdtr, 0x060);
SVM_SAVE_AT(ldtr, 0x070);
SVM_SAVE_AT(idtr, 0x080);
SVM_SAVE_AT(tr, 0x090);
SVM_SAVE_AT(cpl, 0x0cb);
SVM_SAVE_AT(efer, 0x0d0);
SVM_SAVE_AT(cr4, 0x148);
SVM_SAVE_AT(cr3, 0x150);
SVM_SAVE_AT(cr0, 0x158);
SVM_SAVE_AT(dr7, 0x160);
SVM_SAVE_AT(dr6, 0x168);
SVM_SAVE_AT(rflags, 0x170);
SVM_SAVE_AT(rip, 0x178);
SVM_SAVE_AT(rsp, 0x1d8);
SVM_SAVE_AT(s_cet, 0x1e0);
SVM_SAVE_AT(ssp, 0x1e8);
SVM_SAVE_AT(isst_addr, 0x1f0);
SVM_SAVE_AT(rax, 0x1f8);
SVM_SAVE_AT(star, 0x200);
SVM_SAVE_AT(lstar, 0x208);
SVM_SAVE_AT(cstar, 0x210);
SVM_SAVE_AT(sfmask, 0x218);
SVM_SAVE_AT(kernel_gs_base, 0x220);
SVM_SAVE_AT(sysenter_cs, 0x228);
SVM_SAVE_AT(sysenter_esp, 0x230);
SVM_SAVE_AT(sysenter_eip, 0x238);
SVM_SAVE_AT(cr2, 0x240);
SVM_SAVE_AT(g_pat, 0x268);
SVM_SAVE_AT(dbgctl, 0x270);
SVM_SAVE_AT(br_from, 0x278);
SVM_SAVE_AT(br_to, 0x280);
SVM_SAVE_AT(last_exc_from, 0x288);
SVM_SAVE_AT(last_exc_to, 0x290);
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "VMCB Layout");
_Static_assert(sizeof(struct vmcb_seg) == 16, "VMCB Layout");

/* Intercept vectors 3 and 4 (offsets 0x00c and 0x010). */
#define SVM_INT3_INTR        BIT(0)
#define SVM_INT3_NMI         BIT(1)
#define SVM_INT3_SMI         BIT(2)
#define SVM_INT3_INIT        BIT(3)
#define SVM_INT3_VINTR       BIT(4)
#define SVM_INT3_CR0_SEL     BIT(5)
#define SVM_INT3_RDTSC       BIT(14)
#define SVM_INT3_RDPMC       BIT(15)
#define SVM_INT3_CPUID       BIT(18)
#define SVM_INT3_RSM         BIT(19)
#define SVM_INT3_IRET        BIT(20)
#define SVM_INT3_INVD        BIT(22)
#define SVM_INT3_PAUSE       BIT(23)
#define SVM_INT3_HLT         BIT(24)
#define SVM_INT3_INVLPG      BIT(25)
#define SVM_INT3_INVLPGA     BIT(26)
#define SVM_INT3_IOIO        BIT(27)
#define SVM_INT3_MSR         BIT(28)
#define SVM_INT3_TASK        BIT(29)
#define SVM_INT3_FERR_FREEZE BIT(30)
#define SVM_INT3_SHUTDOWN    BIT(31)
#define SVM_INT4_VMRUN       BIT(0)
#define SVM_INT4_VMMCALL     BIT(1)
#define SVM_INT4_VMLOAD      BIT(2)
#define SVM_INT4_VMSAVE      BIT(3)
#define SVM_INT4_STGI        BIT(4)
#define SVM_INT4_CLGI        BIT(5)
#define SVM_INT4_SKINIT      BIT(6)
#define SVM_INT4_RDTSCP      BIT(7)
#define SVM_INT4_WBINVD      BIT(9)
#define SVM_INT4_MONITOR     BIT(10)
#define SVM_INT4_MWAIT       BIT(11)
#define SVM_INT4_XSETBV      BIT(13)
#define SVM_INT4_RDPRU       BIT(14)
#define SVM_CR_READ(n)       BIT(n)
#define SVM_CR_WRITE(n)      BIT(16 + (n))

#define SVM_TLB_NOTHING     0
#define SVM_TLB_FLUSH_ALL   1
#define SVM_TLB_FLUSH_GUEST 3 /* needs flush-by-ASID */

#define SVM_V_IRQ          BIT(8)
#define SVM_V_GIF          BIT(9)
#define SVM_V_INTR_PRIO    GENMASK(19, 16)
#define SVM_V_IGN_TPR      BIT(20)
#define SVM_V_INTR_MASKING BIT(24)
#define SVM_V_GIF_ENABLE   BIT(25)
#define SVM_V_NMI_ENABLE   BIT(26)

#define SVM_INT_SHADOW BIT(0)
#define SVM_NP_ENABLE  BIT(0)

/* EVENTINJ and EXITINTINFO. */
/* EXITINFO2 of a task switch; its low half is the error code. APM vol. 2 "Miscellaneous Intercepts": "Task Switch Intercept". */
#define SVM_TASK_IRET      BIT(36)
#define SVM_TASK_JMP       BIT(38)
#define SVM_TASK_HAS_ERROR BIT(44)
#define SVM_TASK_RF        BIT(48)

#define SVM_EVENT_VECTOR    GENMASK(7, 0)
#define SVM_EVENT_TYPE      GENMASK(10, 8)
#define SVM_EVENT_HAS_ERROR BIT(11)
#define SVM_EVENT_VALID     BIT(31)
#define SVM_EVENT_ERROR     GENMASK(63, 32)
#define SVM_EVENT_INTR      0
#define SVM_EVENT_NMI       2
#define SVM_EVENT_EXC       3
#define SVM_EVENT_SOFT      4

/* "VMCB Clean Field" */
#define SVM_CLEAN_INTERCEPTS BIT(0) /* and TSC offset */
#define SVM_CLEAN_PERM_MAPS  BIT(1)
#define SVM_CLEAN_ASID       BIT(2)
#define SVM_CLEAN_INT_CTL    BIT(3)
#define SVM_CLEAN_NP         BIT(4) /* nCR3, gPAT */
#define SVM_CLEAN_CR         BIT(5) /* CR0, CR3, CR4, EFER */
#define SVM_CLEAN_DR         BIT(6) /* DR6, DR7 */
#define SVM_CLEAN_DT         BIT(7) /* GDTR, IDTR */
#define SVM_CLEAN_SEG        BIT(8) /* CS, DS, SS, ES, CPL */
#define SVM_CLEAN_CR2        BIT(9)
#define SVM_CLEAN_ALL        GENMASK(9, 0) /* all that Havoc uses */

/* Exit codes: appendix "SVM Intercept Exit Codes". */
#define SVM_EXIT_CR_READ     0x000 /* + n */
#define SVM_EXIT_CR_WRITE    0x010
#define SVM_EXIT_DR_READ     0x020
#define SVM_EXIT_DR_WRITE    0x030
#define SVM_EXIT_EXC         0x040 /* + vector */
#define SVM_EXIT_INTR        0x060
#define SVM_EXIT_NMI         0x061
#define SVM_EXIT_SMI         0x062
#define SVM_EXIT_INIT        0x063
#define SVM_EXIT_VINTR       0x064
#define SVM_EXIT_CR0_SEL     0x065
#define SVM_EXIT_RDTSC       0x06e
#define SVM_EXIT_RDPMC       0x06f
#define SVM_EXIT_CPUID       0x072
#define SVM_EXIT_RSM         0x073
#define SVM_EXIT_IRET        0x074
#define SVM_EXIT_INVD        0x076
#define SVM_EXIT_PAUSE       0x077
#define SVM_EXIT_HLT         0x078
#define SVM_EXIT_INVLPG      0x079
#define SVM_EXIT_INVLPGA     0x07a
#define SVM_EXIT_IOIO        0x07b
#define SVM_EXIT_MSR         0x07c
#define SVM_EXIT_TASK        0x07d
#define SVM_EXIT_FERR_FREEZE 0x07e
#define SVM_EXIT_SHUTDOWN    0x07f
#define SVM_EXIT_VMRUN       0x080
#define SVM_EXIT_VMMCALL     0x081
#define SVM_EXIT_VMLOAD      0x082
#define SVM_EXIT_VMSAVE      0x083
#define SVM_EXIT_STGI        0x084
#define SVM_EXIT_CLGI        0x085
#define SVM_EXIT_SKINIT      0x086
#define SVM_EXIT_RDTSCP      0x087
#define SVM_EXIT_ICEBP       0x088
#define SVM_EXIT_WBINVD      0x089
#define SVM_EXIT_MONITOR     0x08a
#define SVM_EXIT_MWAIT       0x08b
#define SVM_EXIT_MWAIT_COND  0x08c
#define SVM_EXIT_XSETBV      0x08d
#define SVM_EXIT_RDPRU       0x08e
#define SVM_EXIT_CODES       0x08f /* one more than the last above */
#define SVM_EXIT_NPF         0x400
#define SVM_EXIT_INVALID     0xffffffffU /* low half: an emulator stores only that much of -1 */

/* EXITINFO1 of IOIO. */
#define SVM_IO_IN        BIT(0)
#define SVM_IO_STRING    BIT(2)
#define SVM_IO_REP       BIT(3)
#define SVM_IO_SIZE      GENMASK(6, 4)   /* one bit: 1, 2 or 4 bytes */
#define SVM_IO_ADDR_SIZE GENMASK(9, 7)   /* one bit: 2, 4 or 8 bytes */
#define SVM_IO_SEG       GENMASK(12, 10) /* with decode assists */
#define SVM_IO_PORT      GENMASK(31, 16)

/* EXITINFO1 of a nested page fault: a page-fault error code, and more. */
#define SVM_NPF_WRITE      BIT(1)
#define SVM_NPF_RESERVED   BIT(3)
#define SVM_NPF_EXEC       BIT(4)
#define SVM_NPF_TABLE_WALK BIT(33)

/* EXITINFO1 of MOV CRx, with decode assists. */
#define SVM_CR_MOV BIT(63)
#define SVM_CR_GPR GENMASK(3, 0)

/* ---- caps.c (pure): what a CPU offers ----------------------------------------------------- */

/* The CPUID words that say it; a leaf the CPU does not have is all zero. */
struct svm_cpuid {
	u32 l1[4], l7[4];        /* 1, 7.0 */
	u32 x1[4], x8[4], xa[4]; /* 0x80000001, 0x80000008, 0x8000000a */
};

struct svm_caps {
	bool nrips, decode_assists, flush_by_asid, vgif, rdpru, rdtscp;
	bool host_mce; /* the host has CR4.MCE set (not from CPUID: svm.c) */
	bool xsave;    /* the host has CR4.OSXSAVE set (likewise) */
	u8 phys_bits;
	u32 asids;                 /* valid: 1 .. asids - 1 */
	u64 cr4_valid, efer_valid; /* the bits that are not MBZ */
};

/* `vm_cr`: NULL if the MSR does not exist. 0, or -HV_ENODEV with problem->text set. */
int svm_caps_read(const struct svm_cpuid *id, const u64 *vm_cr, struct svm_caps *caps,
		  struct backend_caps *out, struct backend_problem *problem) must_check;

/* What this CPU has of what Havoc makes use of, as backend_ops.features(). */
unsigned svm_features(const struct svm_cpuid *id, struct backend_feature *out, unsigned max);

/* ---- State -------------------------------------------------------------------------------- */

/* Of a physical CPU on which SVM is on. */
struct svm_cpu {
	struct svm_caps caps;
	hpa_t host_pa;  /* VMSAVE area: the host's TR, FS, GS, SYSCALL and SYSENTER registers */
	u64 generation; /* of ASIDs: another one begins with a flush of the whole TLB */
	u32 asid_next;
	bool flush_all; /* a generation has begun, and no guest has been entered since */
};

/* Of a vcpu; vcpu->backend. */
struct svm_vcpu {
	struct vmcb *vmcb;
	hpa_t vmcb_pa;
	hpa_t host_pa; /* of the CPU it is loaded on */

	/*
	 * Something is due at the next entry that most entries do not need: svm_run() looks at this one member.
	 * Set with any of: flush, check, an injection, a WINDOW_NMI wish, another CPU.
	 */
	bool entry_work;
	bool flush; /* drop this guest's translations */
	bool check; /* state that VMRUN checks was changed: check it ourselves */
	bool loaded;

	struct svm_caps caps;
	struct vcpu *vcpu;   /* whose backend this is */
	struct svm_cpu *cpu; /* loaded on, or last loaded on */
	u64 generation;      /* cpu->generation when vmcb->asid was given */

	/* Bits of CR0 and CR4 in which the hardware register and what the guest reads differ. */
	u64 cr0_hidden; /* the guest's CD and NW: clear in hardware */
	u64 cr4_forced; /* MCE: set in hardware, clear for the guest */

	/* NMI: event.c. */
	bool nmi_masked; /* between an NMI's injection and the end of IRET */
	bool iret_reached; /* the IRET intercept has hit, at iret_rip; it has not completed while RIP stands there */
	bool step;    /* this entry single-steps one instruction */
	bool step_tf; /* RFLAGS.TF as the guest has it */
	u64 iret_rip, step_rip, step_dr6;
	u32 windows; /* WINDOW_* wanted */

	struct xstate *xstate;
	u64 tsc_aux;
	hpa_t maps_pa; /* MSRPM, IOPM: one allocation for all vcpus of a VM */
};

static inline struct svm_vcpu *svm_of(struct vcpu *v)
{
	return v->backend;
}

#define SVM_SEG_L  BIT(9)
#define SVM_SEG_DB BIT(10)

/* APM vol. 2 "Code-Segment Descriptors": L counts in long mode only. */
static inline bool svm_in_64bit_code(const struct vmcb *c)
{
	return c->save.efer & EFER_LMA && c->save.cs.attr & SVM_SEG_L;
}

static inline void svm_dirty(struct svm_vcpu *s, u32 clean_bits)
{
	s->vmcb->clean &= ~clean_bits;
}

/* ---- vmcb.c (pure): building and editing a VMCB ------------------------------------------- */

#define SVM_MSRPM_SIZE KiB(8)
#define SVM_IOPM_SIZE  KiB(12)

struct msr_passthrough; /* vmm/vm.h */

/* Everything that never changes while the vcpu lives: intercepts, maps, nested paging. */
void svm_vmcb_init(struct svm_vcpu *s, hpa_t msrpm, hpa_t iopm, hpa_t ncr3);
/* The power-up state. */
void svm_vmcb_reset(struct svm_vcpu *s, bool init); /* backend.h: vcpu_reset() */
/* All accesses exit but those of the rows; EFER always exits. */
void svm_msrpm_fill(u8 *msrpm, const struct msr_passthrough *rows, unsigned count);

/* All registers but VREG_XCR0 and VREG_TSC_AUX, which are in the CPU itself: svm.c. */
u64 svm_vmcb_reg_get(const struct svm_vcpu *s, enum vreg reg);
void svm_vmcb_reg_set(struct svm_vcpu *s, enum vreg reg, u64 value);
void svm_seg_get(struct vcpu *v, enum vseg seg, struct segment *out);
void svm_seg_set(struct vcpu *v, enum vseg seg, const struct segment *in);
u16 svm_attr_from_vmx(u32 attr);
u32 svm_attr_to_vmx(u16 attr);

/* ---- event.c (pure): injection, shadows, windows ------------------------------------------ */

void svm_advance(struct vcpu *v, unsigned len);
void svm_hit(struct vcpu *v, u32 breakpoints);
u32 svm_blocked(struct vcpu *v);
void svm_inject(struct vcpu *v, const struct event *event);
void svm_window(struct vcpu *v, u32 windows);
/*
 * Before an entry: true if an NMI that is waited for can be taken now, so that there is no need to enter.
 * Else arms the single step that ends what blocks it; *kick: the NMI must follow the event injected now.
 */
bool svm_nmi_prepare(struct svm_vcpu *s, bool *kick);
/* After an exit of an entry that was single-stepped; may turn the #DB exit into EXIT_NMI_WINDOW. */
void svm_step_finish(struct svm_vcpu *s, struct vm_exit *exit);
/* The IRET intercept has hit. */
void svm_iret_intercepted(struct svm_vcpu *s);
/* An NMI's delivery was interrupted: it has not begun. */
void svm_nmi_undo(struct svm_vcpu *s);

/* ---- asid.c (pure) ------------------------------------------------------------------------ */

void svm_asid_init(struct svm_cpu *cpu);
/* Gives the vcpu an ASID of cpu's current generation and obeys s->flush: sets vmcb->asid and TLB_CONTROL. */
void svm_asid_prepare(struct svm_vcpu *s, struct svm_cpu *cpu);

/* ---- decode.c (pure): raw exit to struct vm_exit ------------------------------------------- */

/* How an exit code's exit is filled in, beyond its kind. */
enum svm_exit_form {
	SVM_FORM_OTHER,
	SVM_FORM_INSN, /* an instruction's exit, without operands: nRIP is valid where the CPU has it */
};

struct svm_exit_row {
	u8 kind;
	u8 form;
};

extern const struct svm_exit_row svm_exit_rows[SVM_EXIT_CODES];

/* Fills all of *exit that its kind has; insn_len may stay 0. */
void svm_decode(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit);

/* The common members of *exit; those from kind to vector by one store. */
static inline void svm_decode_head(u64 code, u32 kind, u8 insn_len, struct vm_exit *exit)
{
	u64 head = kind | (u64)insn_len << 32;

	__builtin_memcpy(exit, &head, sizeof(head));
	exit->raw = code;
	exit->vectoring.type = EVENT_NONE;
}

_Static_assert(offsetof(struct vm_exit, kind) == 0 && offsetof(struct vm_exit, insn_len) == 4 &&
		       offsetof(struct vm_exit, insn_count) == 5 &&
		       offsetof(struct vm_exit, vector) == 6 && offsetof(struct vm_exit, raw) == 8,
	       "svm_decode_head()");

/* Where the CPU saves the next RIP; 16-bit code wraps around. */
static inline u8 svm_length_to(const struct vmcb *c, u64 next)
{
	u16 len = (u16)(next - c->save.rip);

	return likely(len <= EXIT_INSN_MAX) ? (u8)len : 0;
}

/* One of three bits says the size, by its place. */
static inline void svm_decode_io(u64 info, struct exit_io *io)
{
	io->port = (u16)(info >> 16);
	io->size = (u8)field_get(SVM_IO_SIZE, info);
	io->in = info & SVM_IO_IN;
	io->string = false;
}

/* How far svm_decode_quick() got. */
enum svm_decoded { SVM_DECODED, SVM_DECODED_BUT_LENGTH, SVM_NOT_DECODED };

/* The exits that are many, without a call: plain port I/O, and instructions that have no operands to tell. */
static inline enum svm_decoded svm_decode_quick(const struct vmcb *c, const struct svm_caps *caps,
						struct vm_exit *exit)
{
	u64 code = c->exitcode, info = c->exitinfo1;
	u32 kind;

	if (unlikely((u32)c->exitintinfo & (u32)SVM_EVENT_VALID))
		return SVM_NOT_DECODED;
	if (code == SVM_EXIT_IOIO) {
		if (unlikely(info & SVM_IO_STRING))
			return SVM_NOT_DECODED;
		/* This EXITINFO2 every CPU has had: it needs no doubt. */
		svm_decode_head(code, EXIT_IO, (u8)(c->exitinfo2 - c->save.rip), exit);
		svm_decode_io(info, &exit->io);
		return SVM_DECODED;
	}
	if (code >= SVM_EXIT_CODES || svm_exit_rows[code].form != SVM_FORM_INSN)
		return SVM_NOT_DECODED;
	kind = svm_exit_rows[code].kind;
	if (!caps->nrips) {
		svm_decode_head(code, kind, 0, exit);
		return SVM_DECODED_BUT_LENGTH;
	}
	svm_decode_head(code, kind, svm_length_to(c, c->nrip), exit);
	return SVM_DECODED;
}

/* ---- check.c (pure): the rules of VMRUN ---------------------------------------------------- */

/* Hands a sentence to `report` for every rule that the VMCB breaks; returns their number. */
unsigned svm_check(const struct vmcb *c, const struct svm_caps *caps,
		   void (*report)(void *ctx, const char *sentence), void *ctx);

/* ---- dump.c --------------------------------------------------------------------------------- */

void svm_dump(struct vcpu *v);

/* ---- length.c (pure) ------------------------------------------------------------------------ */

/*
 * For a CPU without nRIP: finds out exit->insn_len, if the instruction that exited is a plain one in 64-bit code; else leaves it alone,
 * and core fetches and decodes.
 */
void svm_find_length(struct vcpu *v, struct vm_exit *exit);

/* ---- run.S and svm.c -------------------------------------------------------------------------- */

void svm_run(struct vcpu *v, u64 deadline, struct vm_exit *exit);
void svm_enter(struct vcpu *v, struct svm_vcpu *s, struct vm_exit *exit);
/* run.S goes to it instead of entering when s->entry_work is set. */
void svm_run_with_work(struct vcpu *v, struct svm_vcpu *s, struct vm_exit *exit);
/* run.S goes on to it after the exit, with GIF = 1 and interrupts off. */
void svm_exited(struct svm_vcpu *s, struct vm_exit *exit);

_Static_assert(offsetof(struct svm_vcpu, vmcb) == 0 && offsetof(struct svm_vcpu, vmcb_pa) == 8 &&
		       offsetof(struct svm_vcpu, host_pa) == 16 &&
		       offsetof(struct svm_vcpu, entry_work) == 24,
	       "run.S: S_VMCB, S_VMCB_PA, S_HOST_PA, S_ENTRY_WORK");
_Static_assert(offsetof(struct vmcb, save.rax) == 0x5f8 && offsetof(struct vmcb, clean) == 0xc0,
	       "run.S: C_RAX, C_CLEAN");
_Static_assert(SVM_CLEAN_ALL == 0x3ff, "run.S: CLEAN_ALL");
_Static_assert(offsetof(struct vcpu, gpr) == 0 && GPR_RSP == 4 &&
		       offsetof(struct vcpu, backend) == 0x98,
	       "run.S: GPR(), V_BACKEND");

#endif
