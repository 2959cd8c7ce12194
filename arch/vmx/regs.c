/* SPDX-License-Identifier: MIT */
/*
 * The guest's registers that live in the VMCS or in MSRs of the CPU, by their neutral names. Called through
 * backend.h while the vcpu is loaded (or its VMCS is current). Control registers have two halves, the real one and what
 * the guest reads: SDM vol. 3 "Guest/Host Masks and Read Shadows for CR0 and CR4"; EFER.LMA: "IA-32e Mode Operation".
 */
#include <arch/cpu.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/assert.h>
#include <vmm/vm.h>

const u32 vmx_msr_numbers[VMX_MSRS] = {
	[VMX_MSR_STAR] = MSR_STAR,
	[VMX_MSR_LSTAR] = MSR_LSTAR,
	[VMX_MSR_CSTAR] = MSR_CSTAR,
	[VMX_MSR_SFMASK] = MSR_SFMASK,
	[VMX_MSR_KERNEL_GS] = MSR_KERNEL_GS_BASE,
	[VMX_MSR_TSC_AUX] = MSR_TSC_AUX,
};

/* Where a register is: a VMCS field (+ 1, so that 0 means "elsewhere"), or an MSR that is switched. */
static const u16 fields[VREG_COUNT] = {
	[VREG_RIP] = VMCS_GUEST_RIP + 1,
	[VREG_RSP] = VMCS_GUEST_RSP + 1,
	[VREG_RFLAGS] = VMCS_GUEST_RFLAGS + 1,
	[VREG_CR3] = VMCS_GUEST_CR3 + 1,
	[VREG_EFER] = VMCS_GUEST_EFER + 1,
	[VREG_PAT] = VMCS_GUEST_PAT + 1,
	[VREG_DR7] = VMCS_GUEST_DR7 + 1,
	[VREG_TSC_OFFSET] = VMCS_TSC_OFFSET + 1,
	[VREG_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS + 1,
	[VREG_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP + 1,
	[VREG_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP + 1,
};

/* Index into vmx_msr_numbers, or VMX_MSRS. */
static unsigned msr_index(enum vreg reg)
{
	switch (reg) {
	case VREG_STAR:
		return VMX_MSR_STAR;
	case VREG_LSTAR:
		return VMX_MSR_LSTAR;
	case VREG_CSTAR:
		return VMX_MSR_CSTAR;
	case VREG_SFMASK:
		return VMX_MSR_SFMASK;
	case VREG_KERNEL_GS_BASE:
		return VMX_MSR_KERNEL_GS;
	case VREG_TSC_AUX:
		return VMX_MSR_TSC_AUX;
	default:
		return VMX_MSRS;
	}
}

static u64 msr_get(struct vmx_vcpu *vx, unsigned i)
{
	if (vx->loaded && (i != VMX_MSR_TSC_AUX || vx->caps.rdtscp))
		return rdmsr(vmx_msr_numbers[i]);
	return vx->msr[i];
}

static void msr_set(struct vmx_vcpu *vx, unsigned i, u64 value)
{
	vx->msr[i] = value;
	if (vx->loaded && (i != VMX_MSR_TSC_AUX || vx->caps.rdtscp))
		wrmsr(vmx_msr_numbers[i], value);
}

static u64 cr0_get(struct vmx_vcpu *vx)
{
	return (vmread(VMCS_GUEST_CR0) & ~vx->cr0_mask) | (vmread(VMCS_CR0_SHADOW) & vx->cr0_mask);
}

static u64 cr4_get(struct vmx_vcpu *vx)
{
	return (vmread(VMCS_GUEST_CR4) & ~vx->cr4_mask) | (vmread(VMCS_CR4_SHADOW) & vx->cr4_mask);
}

#define SEG_TYPE_BUSY_TSS 11

/*
 * EFER.LMA is LME and CR0.PG together, and the IA-32e mode guest control follows it. A CPU that turns long mode on
 * with a 16-bit TSS would still work; a VM entry would not, so TR becomes what long mode knows.
 */
static void set_efer(struct vmx_vcpu *vx, u64 efer, u64 cr0)
{
	u32 controls = vx->entry_controls & ~(u32)ENTRYC_IA32E;
	u64 tr;

	efer &= ~EFER_LMA;
	if ((efer & EFER_LME) && (cr0 & CR0_PG)) {
		efer |= EFER_LMA;
		controls |= ENTRYC_IA32E;
		tr = vmread(VMCS_GUEST_ACCESS + 2 * VSEG_TR);
		if ((tr & SEG_ATTR_TYPE) != SEG_TYPE_BUSY_TSS)
			vmwrite(VMCS_GUEST_ACCESS + 2 * VSEG_TR,
				(tr & ~SEG_ATTR_TYPE) | SEG_TYPE_BUSY_TSS);
	}
	vmwrite(VMCS_GUEST_EFER, efer);
	if (controls != vx->entry_controls) {
		vx->entry_controls = controls;
		vmwrite(VMCS_ENTRY_CONTROLS, controls);
	}
}

/*
 * After a change of paging by us, translations that the CPU would have dropped by itself are dropped before the next
 * entry: with VPIDs nothing else drops them (SDM "Operations that Invalidate Cached Mappings").
 */
static void paging_changed(struct vmx_vcpu *vx)
{
	vx->state |= VMX_DIRTY_VPID | VMX_DIRTY_PDPTE;
}

static void cr0_set(struct vmx_vcpu *vx, u64 value)
{
	vmwrite(VMCS_GUEST_CR0, vmx_cr0_real(&vx->caps, value));
	vmwrite(VMCS_CR0_SHADOW, value);
	set_efer(vx, vmread(VMCS_GUEST_EFER), value);
	paging_changed(vx);
}

static void cr4_set(struct vmx_vcpu *vx, u64 value)
{
	vmwrite(VMCS_GUEST_CR4, vmx_cr4_real(&vx->caps, value));
	vmwrite(VMCS_CR4_SHADOW, value);
	paging_changed(vx);
}

/* SDM vol. 3 "Code-Segment Descriptor in 64-bit Mode": L counts in IA-32e mode only. */
static u64 code_bits(void)
{
	u64 access = vmread(VMCS_GUEST_ACCESS + 2 * VSEG_CS);

	if (access & SEG_ATTR_L && vmread(VMCS_GUEST_EFER) & EFER_LMA)
		return 64;
	return access & SEG_ATTR_DB ? 32 : 16;
}

u64 vmx_reg_get(struct vcpu *v, enum vreg reg)
{
	struct vmx_vcpu *vx = v->backend;

	if (likely(fields[reg]))
		return vmread(fields[reg] - 1U);
	switch (reg) {
	case VREG_CR0:
		return cr0_get(vx);
	case VREG_CR4:
		return cr4_get(vx);
	case VREG_CPL:
		return field_get(SEG_ATTR_DPL, vmread(VMCS_GUEST_ACCESS + 2 * VSEG_SS));
	case VREG_CODE_BITS:
		return code_bits();
	case VREG_XCR0:
		return v->xcr0;
	case VREG_CR2:
		return vx->loaded ? read_cr2() : v->cr2;
	case VREG_DR6:
		hv_assert(vx->loaded);
		return read_dr6();
	case VREG_DR0 ... VREG_DR3:
		return xstate_breakpoint(reg - VREG_DR0);
	case VREG_PKRU:
		return xstate_pkru();
	default:
		hv_assert(msr_index(reg) < VMX_MSRS);
		return msr_get(vx, msr_index(reg));
	}
}

void vmx_reg_set(struct vcpu *v, enum vreg reg, u64 value)
{
	struct vmx_vcpu *vx = v->backend;

	switch (reg) {
	case VREG_CR0:
		cr0_set(vx, value);
		return;
	case VREG_CR3:
		vmwrite(VMCS_GUEST_CR3, value);
		paging_changed(vx);
		return;
	case VREG_CR4:
		cr4_set(vx, value);
		return;
	case VREG_EFER:
		set_efer(vx, value, cr0_get(vx));
		paging_changed(vx);
		return;
	case VREG_XCR0:
		v->xcr0 = value;
		if (vx->loaded && vx->xsave)
			xsetbv(0, value);
		return;
	case VREG_CR2:
		v->cr2 = value;
		if (vx->loaded)
			write_cr2(value);
		return;
	case VREG_DR6:
		hv_assert(vx->loaded);
		write_dr6(value);
		return;
	default:
		break;
	}
	if (fields[reg]) {
		vmwrite(fields[reg] - 1U, value);
		return;
	}
	hv_assert(msr_index(reg) < VMX_MSRS);
	msr_set(vx, msr_index(reg), value);
}

void vmx_seg_get(struct vcpu *v, enum vseg seg, struct segment *out)
{
	bool table = seg >= VSEG_GDTR;

	(void)v;
	out->base = vmread(VMCS_GUEST_BASE + 2 * seg);
	out->limit = (u32)vmread(VMCS_GUEST_LIMIT + 2 * seg);
	out->attr = table ? 0 : (u32)vmread(VMCS_GUEST_ACCESS + 2 * seg);
	out->selector = table ? 0 : (u16)vmread(VMCS_GUEST_SELECTOR + 2 * seg);
}

#define SEG_ATTR_KNOWN (GENMASK(16, 12) | GENMASK(7, 0))

void vmx_seg_set(struct vcpu *v, enum vseg seg, const struct segment *in)
{
	(void)v;
	vmwrite(VMCS_GUEST_BASE + 2 * seg, in->base);
	vmwrite(VMCS_GUEST_LIMIT + 2 * seg, in->limit);
	if (seg >= VSEG_GDTR)
		return;
	vmwrite(VMCS_GUEST_ACCESS + 2 * seg, in->attr & SEG_ATTR_KNOWN);
	vmwrite(VMCS_GUEST_SELECTOR + 2 * seg, in->selector);
}

#define CR3_PAE_BASE GENMASK(31, 5)

/*
 * PAE paging keeps four entries inside the CPU; with EPT they are in the VMCS. After a MOV to CR that we carried out
 * they are read as the CPU would have. The core has refused entries with reserved bits (#GP), but for bit 5, which it lets be
 * and an entry does not; one that is wrong all the same becomes not-present, so that only the guest suffers.
 */
void vmx_load_pdptes(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;
	u64 reserved = GENMASK(2, 1) | GENMASK(8, 6) | GENMASK(63, vx->caps.phys_bits);
	u64 pdpte[4] = {0};
	unsigned i;

	if (!(vmread(VMCS_GUEST_CR0) & CR0_PG) || !(vmread(VMCS_GUEST_CR4) & CR4_PAE) ||
	    (vx->entry_controls & ENTRYC_IA32E))
		return;
	if (gmem_read(&v->vm->gmem, vmread(VMCS_GUEST_CR3) & CR3_PAE_BASE, pdpte, sizeof(pdpte)))
		pdpte[0] = pdpte[1] = pdpte[2] = pdpte[3] = 0;
	for (i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i,
			(pdpte[i] & 1) && (pdpte[i] & reserved) ? 0 : pdpte[i] & ~BIT(5));
}
