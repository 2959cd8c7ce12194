/* SPDX-License-Identifier: MIT */
/*
 * Building and editing a VMCB: intercepts, permission maps, power-up state, and the guest's registers by name. Every edit
 * clears the clean bit of what it changes, and keeps in step what the CPU would have kept in step: EFER.LMA, CPL, and the
 * translations in the TLB. Pure; svm.c and event.c are its callers.
 *
 * APM vol. 2 "VMRUN Instruction", "VMCB State Caching", "TLB Control" (Software Rule), "MSR Intercepts", "Processor
 * Initialization State".
 */
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/assert.h>
#include <vmm/string.h>
#include <vmm/vm.h>

#include "svm.h"

/* What the hypervisor must see. Not in it: CR3, INVLPG, RDTSC(P), PAUSE, debug registers, IRET, VINTR. */
#define INTERCEPTS3                                                                                \
	(SVM_INT3_INTR | SVM_INT3_NMI | SVM_INT3_INIT | SVM_INT3_CR0_SEL | SVM_INT3_RDPMC |        \
	 SVM_INT3_CPUID | SVM_INT3_RSM | SVM_INT3_INVD | SVM_INT3_HLT | SVM_INT3_INVLPGA |         \
	 SVM_INT3_IOIO | SVM_INT3_MSR | SVM_INT3_TASK | SVM_INT3_SHUTDOWN)
#define INTERCEPTS4                                                                                \
	(SVM_INT4_VMRUN | SVM_INT4_VMMCALL | SVM_INT4_VMLOAD | SVM_INT4_VMSAVE | SVM_INT4_STGI |   \
	 SVM_INT4_CLGI | SVM_INT4_SKINIT | SVM_INT4_WBINVD | SVM_INT4_MONITOR | SVM_INT4_MWAIT |   \
	 SVM_INT4_XSETBV)
/*
 * CR0: only changes of bits other than TS and MP (SVM_INT3_CR0_SEL). CR4: all writes, because the guest's CPUID may deny a
 * bit that this CPU has. CR8: the guest's task priority is its virtual local APIC's.
 */
#define INTERCEPTS_CR (SVM_CR_WRITE(4) | SVM_CR_READ(8) | SVM_CR_WRITE(8))
/*
 * Not for their own sake: a guest can make the delivery of #DB and of #AC raise itself again for ever inside the CPU, with no
 * interrupt taken. #MC is the host's.
 */
#define INTERCEPTS_EXC (BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC))

#define CR0_HIDDEN (CR0_CD | CR0_NW)
/* Changes of these make translations in the TLB wrong. */
#define CR0_PAGING (CR0_PG | CR0_WP | CR0_CD | CR0_NW | CR0_PE)
#define CR4_PAGING                                                                                 \
	(CR4_PGE | CR4_PAE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57 | CR4_PKE |      \
	 CR4_CET)
#define EFER_PAGING (EFER_NXE | EFER_LME | EFER_LMA)

void svm_vmcb_init(struct svm_vcpu *s, hpa_t msrpm, hpa_t iopm, hpa_t ncr3)
{
	struct vmcb *c = s->vmcb;

	memset(c, 0, sizeof(*c));
	c->intercept_cr = INTERCEPTS_CR;
	c->intercept_exc = INTERCEPTS_EXC;
	c->intercept3 = INTERCEPTS3;
	c->intercept4 = INTERCEPTS4 | (s->caps.rdpru ? SVM_INT4_RDPRU : 0) |
			(s->caps.rdtscp ? 0 : SVM_INT4_RDTSCP);
	c->msrpm_pa = msrpm;
	c->iopm_pa = iopm;
	c->np_control = SVM_NP_ENABLE;
	c->ncr3 = ncr3;
	c->int_ctl = SVM_V_INTR_MASKING | SVM_V_IGN_TPR;
	if (s->caps.vgif)
		c->int_ctl |= SVM_V_GIF_ENABLE | SVM_V_GIF;
}

static void msrpm_allow(u8 *msrpm, const struct msr_passthrough *row)
{
	static const u32 range[] = {0, 0xc0000000, 0xc0010000};
	unsigned i, bit;

	for (i = 0; i < ARRAY_SIZE(range); i++) {
		if (row->msr < range[i] || row->msr - range[i] >= 0x2000)
			continue;
		bit = i * 0x4000 + (row->msr - range[i]) * 2;
		if (row->read)
			msrpm[bit / 8] &= (u8)~BIT(bit % 8);
		if (row->write)
			msrpm[bit / 8] &= (u8)~BIT(bit % 8 + 1);
		return;
	}
	/* Others always exit. */
}

void svm_msrpm_fill(u8 *msrpm, const struct msr_passthrough *rows, unsigned count)
{
	unsigned i;

	memset(msrpm, 0xff, SVM_MSRPM_SIZE);
	for (i = 0; i < count; i++) {
		/* SVME is set in hardware and must not be seen, still less cleared. */
		if (rows[i].msr != MSR_EFER)
			msrpm_allow(msrpm, &rows[i]);
	}
}

/* ---- Registers ---------------------------------------------------------------------------- */

/* Where the registers that need no care are, and their clean bits. */
struct reg_row {
	u16 offset; /* in struct vmcb_save; 0: none */
	u32 clean;
};

#define SAVE(field) offsetof(struct vmcb_save, field)

static const struct reg_row reg_rows[VREG_COUNT] = {
	[VREG_RIP] = {SAVE(rip), 0},
	[VREG_RSP] = {SAVE(rsp), 0},
	[VREG_CR2] = {SAVE(cr2), SVM_CLEAN_CR2},
	[VREG_CR3] = {SAVE(cr3), SVM_CLEAN_CR},
	[VREG_PAT] = {SAVE(g_pat), SVM_CLEAN_NP},
	[VREG_DR7] = {SAVE(dr7), SVM_CLEAN_DR},
	[VREG_DR6] = {SAVE(dr6), SVM_CLEAN_DR},
	/* VMLOAD's: never cached. */
	[VREG_SYSENTER_CS] = {SAVE(sysenter_cs), 0},
	[VREG_SYSENTER_ESP] = {SAVE(sysenter_esp), 0},
	[VREG_SYSENTER_EIP] = {SAVE(sysenter_eip), 0},
	[VREG_STAR] = {SAVE(star), 0},
	[VREG_LSTAR] = {SAVE(lstar), 0},
	[VREG_CSTAR] = {SAVE(cstar), 0},
	[VREG_SFMASK] = {SAVE(sfmask), 0},
	[VREG_KERNEL_GS_BASE] = {SAVE(kernel_gs_base), 0},
};

static u64 *plain_reg(struct vmcb *c, enum vreg reg)
{
	hv_assert(reg < VREG_COUNT && reg_rows[reg].offset);
	return (u64 *)((u8 *)&c->save + reg_rows[reg].offset);
}

/* In real and virtual-8086 mode the CPU takes 0 and 3, whatever the field says. */
static u64 cpl_get(const struct vmcb *c)
{
	if (!(c->save.cr0 & CR0_PE))
		return 0;
	return c->save.rflags & RFLAGS_VM ? 3 : c->save.cpl & 3;
}

/* EFER.LMA is LME and CR0.PG together. Bochs clears it before the exit of a MOV to CR0 that would have. */
static u64 efer_get(const struct vmcb *c)
{
	u64 efer = c->save.efer & ~(EFER_SVME | EFER_LMA);

	return efer & EFER_LME && c->save.cr0 & CR0_PG ? efer | EFER_LMA : efer;
}

static u64 code_bits(const struct vmcb *c)
{
	if (svm_in_64bit_code(c))
		return 64;
	return c->save.cs.attr & SVM_SEG_DB ? 32 : 16;
}

u64 svm_vmcb_reg_get(const struct svm_vcpu *s, enum vreg reg)
{
	const struct vmcb *c = s->vmcb;

	switch (reg) {
	case VREG_RIP:
		return c->save.rip;
	case VREG_RFLAGS:
		return c->save.rflags;
	case VREG_CR0:
		return c->save.cr0 | s->cr0_hidden;
	case VREG_CR4:
		return c->save.cr4 & ~s->cr4_forced;
	case VREG_EFER:
		return efer_get(c);
	case VREG_TSC_OFFSET:
		return c->tsc_offset;
	case VREG_CPL:
		return cpl_get(c);
	case VREG_CODE_BITS:
		return code_bits(c);
	default:
		return *plain_reg(s->vmcb, reg);
	}
}

/* The hypervisor changed what guest translations depend on, or state that VMRUN checks. */
static void need_flush(struct svm_vcpu *s)
{
	s->flush = true;
	s->entry_work = true;
}

static void need_check(struct svm_vcpu *s)
{
	s->check = true;
	s->entry_work = true;
}

static void efer_update(struct svm_vcpu *s, u64 value)
{
	struct vmcb *c = s->vmcb;

	value = (value | EFER_SVME) & ~EFER_LMA;
	if (value & EFER_LME && c->save.cr0 & CR0_PG)
		value |= EFER_LMA;
	if ((value ^ c->save.efer) & EFER_PAGING)
		need_flush(s);
	c->save.efer = value;
	svm_dirty(s, SVM_CLEAN_CR);
	need_check(s);
}

/*
 * These accesses exit only while hardware and the guest's view differ: hardly ever. Writes of CR0 too: the selective intercept
 * compares with what hardware holds, and would let one pass that clears a hidden bit.
 */
static void cr_exits(struct svm_vcpu *s, u32 bits, bool exits)
{
	u32 want = exits ? s->vmcb->intercept_cr | bits : s->vmcb->intercept_cr & ~bits;

	if (want != s->vmcb->intercept_cr) {
		s->vmcb->intercept_cr = want;
		svm_dirty(s, SVM_CLEAN_INTERCEPTS);
	}
}

/*
 * A guest's CR0.CD would really turn caching off, and its locked accesses would lock the bus for everybody ("Combining Memory
 * Types, MTRRs"): it is kept from hardware, and so is NW, which may not stand without it.
 */
static void cr0_set(struct svm_vcpu *s, u64 value)
{
	struct vmcb *c = s->vmcb;
	u64 hw = (value | CR0_ET) & ~CR0_HIDDEN;

	if ((hw ^ c->save.cr0) & CR0_PAGING)
		need_flush(s);
	/* Leaving or entering protected mode is at CPL 0. */
	if ((hw ^ c->save.cr0) & CR0_PE) {
		c->save.cpl = 0;
		svm_dirty(s, SVM_CLEAN_SEG);
	}
	s->cr0_hidden = value & CR0_HIDDEN;
	c->save.cr0 = hw;
	svm_dirty(s, SVM_CLEAN_CR);
	cr_exits(s, SVM_CR_READ(0) | SVM_CR_WRITE(0), s->cr0_hidden);
	efer_update(s, c->save.efer);
}

/* A machine check under CR4.MCE = 0 is a shutdown, without a word why: MCE stays set if the host has it set. */
static void cr4_set(struct svm_vcpu *s, u64 value)
{
	struct vmcb *c = s->vmcb;
	u64 forced = s->caps.host_mce ? CR4_MCE & ~value : 0;
	u64 hw = value | forced;

	if ((hw ^ c->save.cr4) & CR4_PAGING)
		need_flush(s);
	s->cr4_forced = forced;
	c->save.cr4 = hw;
	svm_dirty(s, SVM_CLEAN_CR);
	cr_exits(s, SVM_CR_READ(4), forced);
	need_check(s);
}

void svm_vmcb_reg_set(struct svm_vcpu *s, enum vreg reg, u64 value)
{
	struct vmcb *c = s->vmcb;

	switch (reg) {
	case VREG_RFLAGS:
		c->save.rflags = value | RFLAGS_ONE;
		break;
	case VREG_CR0:
		cr0_set(s, value);
		break;
	case VREG_CR3:
		c->save.cr3 = value & ~CR3_NOFLUSH;
		svm_dirty(s, SVM_CLEAN_CR);
		need_flush(s);
		need_check(s);
		break;
	case VREG_CR4:
		cr4_set(s, value);
		break;
	case VREG_EFER:
		efer_update(s, value);
		break;
	case VREG_TSC_OFFSET:
		c->tsc_offset = value;
		svm_dirty(s, SVM_CLEAN_INTERCEPTS);
		break;
	case VREG_CPL: /* read only: they follow SS and CS */
	case VREG_CODE_BITS:
		hv_assert(reg != VREG_CPL && reg != VREG_CODE_BITS);
		break;
	default:
		*plain_reg(c, reg) = value;
		svm_dirty(s, reg_rows[reg].clean);
		break;
	}
}

/* ---- Segments ----------------------------------------------------------------------------- */

/* The access-rights form has bits 8-11 of the descriptor's limit between the two groups of attributes; the VMCB's has not. */
u16 svm_attr_from_vmx(u32 attr)
{
	if (attr & SEG_ATTR_UNUSABLE)
		return 0;
	return (u16)((attr & 0xff) | (attr >> 4 & 0xf00));
}

u32 svm_attr_to_vmx(u16 attr)
{
	u32 out = (attr & 0xff) | (u32)(attr & 0xf00) << 4;

	return out & SEG_ATTR_P ? out : out | SEG_ATTR_UNUSABLE;
}

static const u16 seg_offset[] = {
	[VSEG_ES] = SAVE(es),     [VSEG_CS] = SAVE(cs), [VSEG_SS] = SAVE(ss),
	[VSEG_DS] = SAVE(ds),     [VSEG_FS] = SAVE(fs), [VSEG_GS] = SAVE(gs),
	[VSEG_LDTR] = SAVE(ldtr), [VSEG_TR] = SAVE(tr), [VSEG_GDTR] = SAVE(gdtr),
	[VSEG_IDTR] = SAVE(idtr),
};

static struct vmcb_seg *seg_at(struct vmcb *c, enum vseg seg)
{
	hv_assert(seg < ARRAY_SIZE(seg_offset));
	return (struct vmcb_seg *)((u8 *)&c->save + seg_offset[seg]);
}

void svm_seg_get(struct vcpu *v, enum vseg seg, struct segment *out)
{
	const struct vmcb_seg *s = seg_at(svm_of(v)->vmcb, seg);

	out->base = s->base;
	out->limit = s->limit;
	out->selector = s->selector;
	out->attr = 0;
	if (seg == VSEG_GDTR || seg == VSEG_IDTR)
		return;
	out->attr = svm_attr_to_vmx(s->attr);
	/* CS and TR are never null: their P is not looked at, and need not be kept. */
	if (seg == VSEG_CS || seg == VSEG_TR)
		out->attr = (out->attr | SEG_ATTR_P) & ~SEG_ATTR_UNUSABLE;
	/* Not every CPU keeps G; the limit is expanded, so it tells. */
	if (s->limit > 0xfffff)
		out->attr |= SEG_ATTR_G;
}

void svm_seg_set(struct vcpu *v, enum vseg seg, const struct segment *in)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb_seg *to = seg_at(s->vmcb, seg);

	to->base = in->base;
	to->limit = in->limit;
	to->selector = in->selector;
	if (seg == VSEG_GDTR || seg == VSEG_IDTR) {
		svm_dirty(s, SVM_CLEAN_DT);
		return;
	}
	to->attr = svm_attr_from_vmx(in->attr);
	if (seg <= VSEG_DS)
		svm_dirty(s, SVM_CLEAN_SEG);
	/* The CPL is SS.DPL where SS has one; a null SS (64-bit mode) leaves what CS says. */
	if ((seg == VSEG_SS && to->attr) || (seg == VSEG_CS && !s->vmcb->save.ss.attr))
		s->vmcb->save.cpl = (u8)field_get(SEG_ATTR_DPL, in->attr);
	if (seg == VSEG_CS)
		need_check(s);
}

/* ---- Power-up ----------------------------------------------------------------------------- */

#define ATTR_CODE 0x9b /* present, code, readable, accessed */
#define ATTR_DATA 0x93 /* present, data, writable, accessed */
#define ATTR_LDT  0x82
#define ATTR_TSS  0x8b /* busy */

static void reset_segments(struct vmcb_save *save)
{
	const struct vmcb_seg data = {.limit = 0xffff, .attr = ATTR_DATA};
	const struct vmcb_seg table = {.limit = 0xffff};

	save->cs = (struct vmcb_seg){0xf000, ATTR_CODE, 0xffff, 0xffff0000};
	save->es = save->ss = save->ds = save->fs = save->gs = data;
	save->gdtr = save->idtr = table;
	save->ldtr = (struct vmcb_seg){.limit = 0xffff, .attr = ATTR_LDT};
	save->tr = (struct vmcb_seg){.limit = 0xffff, .attr = ATTR_TSS};
}

/* What of the save area an INIT leaves alone. */
static void keep_msrs(struct vmcb_save *to, const struct vmcb_save *from)
{
	to->star = from->star;
	to->lstar = from->lstar;
	to->cstar = from->cstar;
	to->sfmask = from->sfmask;
	to->kernel_gs_base = from->kernel_gs_base;
	to->sysenter_cs = from->sysenter_cs;
	to->sysenter_esp = from->sysenter_esp;
	to->sysenter_eip = from->sysenter_eip;
	to->g_pat = from->g_pat;
}

void svm_vmcb_reset(struct svm_vcpu *s, bool init)
{
	struct vmcb *c = s->vmcb;
	const struct vmcb_save was = c->save;
	u64 cache = init ? s->cr0_hidden : CR0_CD | CR0_NW;

	memset(&c->save, 0, sizeof(c->save));
	reset_segments(&c->save);
	c->save.rflags = RFLAGS_ONE;
	c->save.rip = 0xfff0;
	c->save.dr6 = DR6_RESET;
	c->save.dr7 = DR7_RESET;
	c->save.g_pat = PAT_RESET;
	if (init)
		keep_msrs(&c->save, &was);
	c->eventinj = 0;
	c->exitintinfo = 0;
	c->int_shadow = 0;
	c->int_ctl &= ~(SVM_V_IRQ | SVM_V_INTR_PRIO);
	c->intercept3 &= ~(u32)(SVM_INT3_VINTR | SVM_INT3_IRET);
	s->nmi_masked = false;
	s->iret_reached = false;
	s->step = false;
	s->windows = 0;
	cr4_set(s, 0);
	cr0_set(s, cache | CR0_ET);
	c->clean = 0;
	s->flush = true;
	s->check = true;
	s->entry_work = true;
}
