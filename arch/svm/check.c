/* SPDX-License-Identifier: MIT */
/*
 * The rules that VMRUN checks, as a table of predicates with a sentence each, so that a refused entry names what is wrong. An
 * emulator lets most of them pass: svm.c runs the table itself before the first entry with changed control state, so that
 * what works there is proven to be a state that a CPU accepts. Pure.
 *
 * APM vol. 2 "VMRUN Instruction" (Canonicalization and Consistency Checks), "Event Injection", "Nested Paging and VMRUN/#VMEXIT",
 * "TLB Control", "NMI Virtualization".
 */
#include <arch/regs.h>

#include "svm.h"

typedef bool broken(const struct vmcb *c, const struct svm_caps *caps);

static bool beyond(u64 address, const struct svm_caps *caps)
{
	return address >> caps->phys_bits;
}

static bool paged_long(const struct vmcb *c)
{
	return c->save.efer & EFER_LME && c->save.cr0 & CR0_PG;
}

static bool efer_no_svme(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return !(c->save.efer & EFER_SVME);
}

static bool cr0_nw_without_cd(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return (c->save.cr0 & (CR0_CD | CR0_NW)) == CR0_NW;
}

static bool cr0_high(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return c->save.cr0 >> 32;
}

/* Only in long mode does CR3 have more than 32 bits: APM vol. 2 "CR3 Register". */
static bool cr3_mbz(const struct vmcb *c, const struct svm_caps *caps)
{
	return c->save.efer & EFER_LMA && beyond(c->save.cr3, caps);
}

static bool cr4_mbz(const struct vmcb *c, const struct svm_caps *caps)
{
	return c->save.cr4 & ~caps->cr4_valid;
}

static bool dr6_high(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return c->save.dr6 >> 32;
}

static bool dr7_high(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return c->save.dr7 >> 32;
}

static bool efer_mbz(const struct vmcb *c, const struct svm_caps *caps)
{
	return c->save.efer & ~caps->efer_valid;
}

static bool long_without_pae(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return paged_long(c) && !(c->save.cr4 & CR4_PAE);
}

static bool long_without_pe(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return paged_long(c) && !(c->save.cr0 & CR0_PE);
}

static bool long_cs_l_and_d(const struct vmcb *c, unused const struct svm_caps *caps)
{
	u32 cs = svm_attr_to_vmx(c->save.cs.attr);

	return paged_long(c) && c->save.cr4 & CR4_PAE && cs & SEG_ATTR_L && cs & SEG_ATTR_DB;
}

static bool no_vmrun_intercept(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return !(c->intercept4 & SVM_INT4_VMRUN);
}

/* The CPU ignores the low 12 bits of both. */
static bool iopm_beyond(const struct vmcb *c, const struct svm_caps *caps)
{
	return beyond(ALIGN_DOWN(c->iopm_pa, PAGE_SIZE) + SVM_IOPM_SIZE - 1, caps);
}

static bool msrpm_beyond(const struct vmcb *c, const struct svm_caps *caps)
{
	return beyond(ALIGN_DOWN(c->msrpm_pa, PAGE_SIZE) + SVM_MSRPM_SIZE - 1, caps);
}

static bool asid_zero(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return c->asid == 0;
}

static bool asid_beyond(const struct vmcb *c, const struct svm_caps *caps)
{
	return c->asid >= caps->asids;
}

static bool tlb_control_reserved(const struct vmcb *c, const struct svm_caps *caps)
{
	if (c->tlb_control == SVM_TLB_NOTHING || c->tlb_control == SVM_TLB_FLUSH_ALL)
		return false;
	return !caps->flush_by_asid || (c->tlb_control != 3 && c->tlb_control != 7);
}

/* Bits 3 and 4 are PWT and PCD; the others below the address have no meaning in the host's mode. */
static bool ncr3_mbz(const struct vmcb *c, const struct svm_caps *caps)
{
	return c->np_control & SVM_NP_ENABLE && (beyond(c->ncr3, caps) || c->ncr3 & 0xfe7);
}

static bool gpat_type(const struct vmcb *c, unused const struct svm_caps *caps)
{
	/* UC, WC, WT, WP, WB, UC- */
	const u32 types = BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7);
	unsigned i;

	if (!(c->np_control & SVM_NP_ENABLE))
		return false;
	for (i = 0; i < 64; i += 8) {
		u8 entry = (u8)(c->save.g_pat >> i);

		if (entry > 7 || !(types & BIT(entry)))
			return true;
	}
	return false;
}

static bool event_type_reserved(const struct vmcb *c, unused const struct svm_caps *caps)
{
	u64 type = field_get(SVM_EVENT_TYPE, c->eventinj);

	return c->eventinj & SVM_EVENT_VALID && type != SVM_EVENT_INTR && type != SVM_EVENT_NMI &&
	       type != SVM_EVENT_EXC && type != SVM_EVENT_SOFT;
}

static bool injects_exception(const struct vmcb *c)
{
	return c->eventinj & SVM_EVENT_VALID &&
	       field_get(SVM_EVENT_TYPE, c->eventinj) == SVM_EVENT_EXC;
}

static bool event_no_exception(const struct vmcb *c, unused const struct svm_caps *caps)
{
	/* All but 2 (NMI), 9, 15, 20, 22-27, 31: APM vol. 2 "Interrupt Vector Source and Cause". */
	const u32 exceptions = 0x702f7dfbU;
	u64 vector = c->eventinj & SVM_EVENT_VECTOR;

	return injects_exception(c) && (vector > 31 || !(exceptions & BIT(vector)));
}

static bool event_impossible(const struct vmcb *c, unused const struct svm_caps *caps)
{
	u64 vector = c->eventinj & SVM_EVENT_VECTOR;

	return injects_exception(c) && (vector == VEC_OF || vector == VEC_BR) &&
	       c->save.efer & EFER_LMA && svm_attr_to_vmx(c->save.cs.attr) & SEG_ATTR_L;
}

static bool cet_without_wp(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return c->save.cr4 & CR4_CET && !(c->save.cr0 & CR0_WP);
}

static bool vnmi_without_intercept(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return c->int_ctl & SVM_V_NMI_ENABLE && !(c->intercept3 & SVM_INT3_NMI);
}

/* Not checked by VMRUN, but a state that no mode transition can produce: the guest would run in a mode its registers do not tell. */
static bool lma_out_of_step(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return !(c->save.efer & EFER_LMA) != !paged_long(c);
}

static bool pg_without_pe(const struct vmcb *c, unused const struct svm_caps *caps)
{
	return (c->save.cr0 & (CR0_PG | CR0_PE)) == CR0_PG;
}

static const struct {
	broken *broken;
	const char *sentence;
} rules[] = {
	{efer_no_svme, "EFER.SVME is zero"},
	{cr0_nw_without_cd, "CR0.CD is zero and CR0.NW is set"},
	{cr0_high, "CR0[63:32] are not zero"},
	{cr3_mbz, "CR3 has a bit set beyond the physical address width"},
	{cr4_mbz, "CR4 has a bit set that this CPU does not have"},
	{dr6_high, "DR6[63:32] are not zero"},
	{dr7_high, "DR7[63:32] are not zero"},
	{efer_mbz, "EFER has a bit set that this CPU does not have"},
	{long_without_pae, "EFER.LME and CR0.PG are set and CR4.PAE is zero"},
	{long_without_pe, "EFER.LME and CR0.PG are set and CR0.PE is zero"},
	{long_cs_l_and_d, "CS.L and CS.D are both set in long mode"},
	{no_vmrun_intercept, "VMRUN is not intercepted"},
	{iopm_beyond, "the I/O permissions map lies beyond the physical address width"},
	{msrpm_beyond, "the MSR permissions map lies beyond the physical address width"},
	{asid_zero, "the ASID is zero, the host's own"},
	{asid_beyond, "the ASID is beyond those that this CPU has"},
	{tlb_control_reserved, "TLB_CONTROL has an encoding that this CPU does not have"},
	{ncr3_mbz, "nCR3 has a reserved bit set"},
	{gpat_type, "gPAT has an entry of a reserved memory type"},
	{event_type_reserved, "EVENTINJ has a reserved type"},
	{event_no_exception, "EVENTINJ has a vector that is no exception"},
	{event_impossible, "EVENTINJ has an exception that 64-bit mode cannot raise"},
	{cet_without_wp, "CR4.CET is set and CR0.WP is zero"},
	{vnmi_without_intercept, "NMI virtualization is on and NMIs are not intercepted"},
	{lma_out_of_step, "EFER.LMA does not match EFER.LME and CR0.PG"},
	{pg_without_pe, "CR0.PG is set and CR0.PE is zero"},
};

unsigned svm_check(const struct vmcb *c, const struct svm_caps *caps,
		   void (*report)(void *ctx, const char *sentence), void *ctx)
{
	unsigned i, count = 0;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (likely(!rules[i].broken(c, caps)))
			continue;
		report(ctx, rules[i].sentence);
		count++;
	}
	return count;
}
