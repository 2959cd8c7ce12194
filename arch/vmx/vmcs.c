/* SPDX-License-Identifier: MIT */
/*
 * What is written into a VMCS before a guest's first entry: controls, the host-state area, and the guest's
 * power-up state. Called by vmx.c. SDM vol. 3 "Virtual Machine Control Structures"; the state after power-up:
 * "Processor Management and Initialization", table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".
 */
#include <arch/cpu.h>
#include <arch/insn.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/assert.h>
#include <vmm/string.h>
#include <vmm/vm.h>

#define NO_VMCS (~0ULL)

hpa_t vmcs_make_current(struct vmx_vcpu *vx)
{
	hpa_t was = vmptrst(), pa = host_pa(vx->vmcs);

	if (was != pa)
		hv_assert(vmptrld(&pa) == 0);
	return was;
}

void vmcs_restore_current(hpa_t was)
{
	if (was != NO_VMCS && was != vmptrst())
		hv_assert(vmptrld(&was) == 0);
}

static u32 guest_cpuid(const struct vm *vm, u32 leaf, u32 subleaf, unsigned reg)
{
	unsigned i;

	for (i = 0; i < vm->cpuid_count; i++) {
		const struct cpuid_entry *e = &vm->cpuid[i];

		if (e->leaf == leaf && (!e->exact_subleaf || e->subleaf == subleaf))
			return e->reg[reg];
	}
	return 0;
}

static void guest_features(const struct vm *vm, struct vmx_guest_features *f)
{
	f->leaf1_ecx = guest_cpuid(vm, 1, 0, 2);
	f->leaf1_edx = guest_cpuid(vm, 1, 0, 3);
	f->leaf7_ebx = guest_cpuid(vm, 7, 0, 1);
	f->leaf7_ecx = guest_cpuid(vm, 7, 0, 2);
	f->leafd1_eax = guest_cpuid(vm, 0xd, 1, 0);
	f->leafx1_edx = guest_cpuid(vm, 0x80000001, 0, 3);
}

static void write_addresses(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;

	vx->eptp = host_pa(v->vm->npt.root) | EPTP_WB | EPTP_WALK_4;
	vmwrite(VMCS_EPT_POINTER, vx->eptp);
	/* One page of ones serves both halves: no port is let through. */
	vmwrite(VMCS_IO_BITMAP_A, host_pa(vx->io_bitmap));
	vmwrite(VMCS_IO_BITMAP_B, host_pa(vx->io_bitmap));
	vmwrite(VMCS_MSR_BITMAP, host_pa(vx->msr_bitmap));
	vmwrite(VMCS_LINK_POINTER, ~0ULL);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
}

/*
 * Exceptions that exit: #DB and #AC, whose delivery can raise them again for ever inside the CPU (SDM "Exceptions
 * by Class"; a guest could hold the CPU so), and #MC, which is the host's. Of #PF none: mask and match 0.
 */
#define EXCEPTIONS (BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC))

void vmcs_write_controls(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;
	const struct vmx_caps *caps = &vx->caps;
	struct vmx_guest_features f;
	u32 proc2;

	guest_features(v->vm, &f);
	proc2 = vmx_caps_proc2(caps, &f);
	vx->pin = caps->control[VMX_PIN] & ~(u32)PIN_TIMER;
	vx->proc = caps->control[VMX_PROC];
	vx->entry_controls = caps->control[VMX_ENTRY];
	vmwrite(VMCS_PIN_CONTROLS, vx->pin);
	vmwrite(VMCS_PROC_CONTROLS, vx->proc);
	vmwrite(VMCS_PROC2_CONTROLS, proc2);
	vmwrite(VMCS_EXIT_CONTROLS, caps->control[VMX_EXIT] & ~(u32)EXITC_SAVE_TIMER);
	vmwrite(VMCS_ENTRY_CONTROLS, vx->entry_controls);
	vmwrite(VMCS_EXCEPTION_BITMAP, EXCEPTIONS);
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	vmwrite(VMCS_TSC_OFFSET, 0);
	if (proc2 & PROC2_VPID)
		vmwrite(VMCS_VPID, vx->vpid);
	if (proc2 & PROC2_XSAVES)
		vmwrite(VMCS_XSS_EXIT_BITMAP, 0);
	if (proc2 & PROC2_ENCLS) /* no guest has SGX: all of ENCLS exits, and becomes #UD */
		vmwrite(VMCS_ENCLS_EXIT_BITMAP, ~0ULL);
	vx->cr0_mask = ~vmx_cr0_guest_owned(caps);
	vx->cr4_mask = ~vmx_cr4_guest_owned(caps, &f);
	vmwrite(VMCS_CR0_MASK, vx->cr0_mask);
	vmwrite(VMCS_CR4_MASK, vx->cr4_mask);
	write_addresses(v);
}

void vmcs_write_host(struct vmx_vcpu *vx)
{
	struct host_cpu_state h;

	host_cpu_state_get(&h);
	vmwrite(VMCS_HOST_CR0, h.cr0);
	vmwrite(VMCS_HOST_CR3, h.cr3);
	vmwrite(VMCS_HOST_CR4, h.cr4);
	vmwrite(VMCS_HOST_EFER, h.efer);
	vmwrite(VMCS_HOST_PAT, h.pat);
	/* RPL and TI must be 0; of the data segments only their being there counts. */
	vmwrite(VMCS_HOST_CS, h.cs & ~7U);
	vmwrite(VMCS_HOST_SS, h.ss & ~7U);
	vmwrite(VMCS_HOST_DS, h.ds & ~7U);
	vmwrite(VMCS_HOST_ES, h.es & ~7U);
	vmwrite(VMCS_HOST_FS, h.fs & ~7U);
	vmwrite(VMCS_HOST_GS, h.gs & ~7U);
	vmwrite(VMCS_HOST_TR, h.tr & ~7U);
	vmwrite(VMCS_HOST_FS_BASE, h.fs_base);
	vmwrite(VMCS_HOST_GS_BASE, h.gs_base);
	vmwrite(VMCS_HOST_TR_BASE, h.tr_base);
	vmwrite(VMCS_HOST_GDTR_BASE, h.gdt_base);
	vmwrite(VMCS_HOST_IDTR_BASE, h.idt_base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_point);
	vx->host_rsp = 0;
}

/* Segments after power-up. CS is written as the code segment that it acts as. */
static void write_reset_segments(struct vcpu *v)
{
	static const struct segment data = {.limit = 0xffff, .attr = 0x93};
	static const struct segment cs = {
		.base = 0xffff0000, .limit = 0xffff, .attr = 0x9b, .selector = 0xf000};
	static const struct segment ldtr = {.limit = 0xffff, .attr = 0x82};
	static const struct segment tr = {.limit = 0xffff, .attr = 0x8b};
	static const struct segment table = {.limit = 0xffff};
	enum vseg seg;

	for (seg = VSEG_ES; seg <= VSEG_GS; seg++)
		vmx_seg_set(v, seg, seg == VSEG_CS ? &cs : &data);
	vmx_seg_set(v, VSEG_LDTR, &ldtr);
	vmx_seg_set(v, VSEG_TR, &tr);
	vmx_seg_set(v, VSEG_GDTR, &table);
	vmx_seg_set(v, VSEG_IDTR, &table);
}

/* What an INIT leaves alone. */
static void write_power_up_msrs(struct vcpu *v)
{
	vmx_reg_set(v, VREG_PAT, PAT_RESET);
	vmx_reg_set(v, VREG_SYSENTER_CS, 0);
	vmx_reg_set(v, VREG_SYSENTER_ESP, 0);
	vmx_reg_set(v, VREG_SYSENTER_EIP, 0);
	vmx_reg_set(v, VREG_STAR, 0);
	vmx_reg_set(v, VREG_LSTAR, 0);
	vmx_reg_set(v, VREG_CSTAR, 0);
	vmx_reg_set(v, VREG_SFMASK, 0);
	vmx_reg_set(v, VREG_KERNEL_GS_BASE, 0);
	vmx_reg_set(v, VREG_TSC_AUX, 0);
}

void vmcs_write_reset_state(struct vcpu *v, bool init)
{
	u64 cache = CR0_CD | CR0_NW;
	unsigned i;

	if (init)
		cache &= vmx_reg_get(v, VREG_CR0); /* the table's footnote to CR0 */
	else
		write_power_up_msrs(v);
	vmx_reg_set(v, VREG_CR2, 0);
	write_reset_segments(v);
	vmx_reg_set(v, VREG_EFER, 0);
	vmx_reg_set(v, VREG_CR0, cache | CR0_ET);
	vmx_reg_set(v, VREG_CR3, 0);
	vmx_reg_set(v, VREG_CR4, 0);
	vmx_reg_set(v, VREG_DR7, DR7_RESET);
	vmx_reg_set(v, VREG_RIP, 0xfff0);
	vmx_reg_set(v, VREG_RSP, 0);
	vmx_reg_set(v, VREG_RFLAGS, RFLAGS_ONE);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DBG, 0);
	for (i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, 0);
}
