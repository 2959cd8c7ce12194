/* SPDX-License-Identifier: MIT */
/*
 * The VMX back end: the operations of backend.h. The core calls them through `vmx_backend`; nothing else of
 * arch/vmx is seen from outside. Here: the CPU and a vcpu's life. SDM vol. 3 "Introduction to Virtual Machine
 * Extensions", "Virtual Machine Control Structures".
 */
#include <arch/cpu.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/assert.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/hash.h>
#include <vmm/hv.h>
#include <vmm/log.h>
#include <vmm/string.h>
#include <vmm/vm.h>

_Static_assert(offsetof(struct vcpu, gpr) == 0 && GPR_RBP == 5 && GPR_RSI == 6 && GPR_RDI == 7 &&
		       GPR_R15 == 15,
	       "run.S: registers by their encoding");
_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "one page for the vcpu");

/* ---- The CPU -------------------------------------------------------------------------------- */

static bool source_rdmsr(void *ctx, u32 msr, u64 *value)
{
	(void)ctx;
	return rdmsr_safe(msr, value);
}

static void source_cpuid(void *ctx, u32 leaf, u32 subleaf, u32 out[4])
{
	(void)ctx;
	host_cpuid(leaf, subleaf, out);
}

static const struct vmx_source cpu_source = {source_rdmsr, source_cpuid, NULL};

static unsigned vmx_backend_features(struct backend_feature *out, unsigned max)
{
	return vmx_features(&cpu_source, out, max);
}

#define EPT_PHYS_BITS 48 /* four levels */

static int vmx_probe(struct backend_caps *caps, struct backend_problem *problem)
{
	u64 feature_control;
	struct vmx_caps c;
	int err = vmx_caps_probe(&cpu_source, &c, &feature_control, problem);

	if (err)
		return err;
	caps->large_pages = BIT(0);
	if (c.ept_vpid & EPT_CAP_2M)
		caps->large_pages |= BIT(1);
	if (c.ept_vpid & EPT_CAP_1G)
		caps->large_pages |= BIT(2);
	caps->run_deadline = c.control[VMX_PIN] & PIN_TIMER;
	caps->rdtscp = c.control[VMX_PROC2] & PROC2_RDTSCP;
	caps->invpcid = c.control[VMX_PROC2] & PROC2_INVPCID;
	caps->phys_bits = MIN(c.phys_bits, EPT_PHYS_BITS);
	/* All of it: vmx_caps_probe() has cleared it, padding included. */
	caps->kind = hash_bytes(HASH_START, &c, sizeof(c));
	return 0;
}

static int vmx_cpu_enable(struct backend_problem *problem)
{
	u64 feature_control;
	struct vmx_caps c;
	u32 *region;
	hpa_t pa;
	int err = vmx_caps_probe(&cpu_source, &c, &feature_control, problem);

	if (err)
		return err;
	if (!(feature_control & FEATURE_CONTROL_LOCK) &&
	    !wrmsr_safe(MSR_FEATURE_CONTROL,
			feature_control | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK))
		log_warn("IA32_FEATURE_CONTROL cannot be written; trying without");
	region = host_page_zalloc();
	if (!region) {
		fmt_s(problem->text, sizeof(problem->text),
		      "There is no memory for VMX to be turned on: give the machine more.");
		return -HV_ENOMEM;
	}
	region[0] = (u32)(c.basic & VMX_BASIC_REVISION);
	write_cr0((read_cr0() | c.cr0_fixed0) & c.cr0_fixed1);
	write_cr4((read_cr4() | CR4_VMXE | c.cr4_fixed0) & c.cr4_fixed1);
	pa = host_pa(region);
	if (vmxon(&pa) == 0)
		return 0;
	host_page_free(region);
	fmt_s(problem->text, sizeof(problem->text),
	      "VMXON failed although the CPU has VMX: switch the machine off and on; if that does not help, "
	      "update its firmware.");
	return -HV_EIO;
}

/* The VMXON region stays allocated: this comes when the machine goes down. */
static void vmx_cpu_disable(void)
{
	vmxoff();
	write_cr4(read_cr4() & ~CR4_VMXE);
}

/* ---- A vcpu's life ---------------------------------------------------------------------------- */

/* The bitmaps are the VM's, made with its first vcpu, which goes last. */
static bool bitmaps_create(struct vcpu *v, struct vmx_vcpu *vx)
{
	if (v->id) {
		const struct vmx_vcpu *first = v->vm->vcpu[0].backend;

		vx->msr_bitmap = first->msr_bitmap;
		vx->io_bitmap = first->io_bitmap;
		return true;
	}
	vx->msr_bitmap = host_page_zalloc();
	vx->io_bitmap = host_page_zalloc();
	if (!vx->msr_bitmap || !vx->io_bitmap)
		return false;
	vmx_msr_bitmap(vx->msr_bitmap, v->vm->policy.msrs, v->vm->policy.msr_count);
	memset(vx->io_bitmap, 0xff, PAGE_SIZE);
	return true;
}

static void free_vcpu(const struct vcpu *v, struct vmx_vcpu *vx)
{
	if (vx->xstate)
		xstate_destroy(vx->xstate);
	if (vx->io_bitmap && !v->id)
		host_page_free(vx->io_bitmap);
	if (vx->msr_bitmap && !v->id)
		host_page_free(vx->msr_bitmap);
	if (vx->vmcs)
		host_page_free(vx->vmcs);
	host_page_free(vx);
}

static int vmx_vcpu_create(struct vcpu *v)
{
	struct vmx_vcpu *vx = host_page_zalloc();
	struct backend_problem problem;
	u64 feature_control;
	hpa_t pa;
	int err;

	if (!vx)
		return -HV_ENOMEM;
	err = vmx_caps_probe(&cpu_source, &vx->caps, &feature_control, &problem);
	hv_assert(err == 0); /* cpu_enable() has said so */
	vx->vmcs = host_page_zalloc();
	vx->xstate = xstate_create();
	if (!vx->vmcs || !vx->xstate || !bitmaps_create(v, vx)) {
		free_vcpu(v, vx);
		return -HV_ENOMEM;
	}
	vx->xsave = xstate_mask() != 0;
	vx->timer_rate = (u8)(vx->caps.misc & VMX_MISC_TIMER_RATE);
	_Static_assert(HV_VMS_MAX * VM_CPUS_MAX < 0xffff, "a VPID has 16 bits");
	vx->vpid = (u16)(v->vm->id * VM_CPUS_MAX + v->id + 1);
	*(u32 *)vx->vmcs = (u32)(vx->caps.basic & VMX_BASIC_REVISION);
	pa = host_pa(vx->vmcs);
	hv_assert(vmclear(&pa) == 0);
	v->backend = vx;
	return 0;
}

static void vmx_vcpu_destroy(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;
	hpa_t pa = host_pa(vx->vmcs);

	hv_assert(!vx->loaded);
	hv_assert(vmclear(&pa) == 0);
	free_vcpu(v, vx);
}

static u64 guest_xcr0(const struct vcpu *v)
{
	return ((const struct vmx_vcpu *)v->backend)->xsave ? v->xcr0 : 0;
}

static void vmx_vcpu_reset(struct vcpu *v, bool init)
{
	struct vmx_vcpu *vx = v->backend;
	hpa_t was = vmcs_make_current(vx);

	vmcs_write_controls(v);
	vmcs_write_host(vx);
	vmcs_write_reset_state(v, init);
	vx->state = (vx->state & VMX_DIRTY_LAUNCH) | VMX_DIRTY_VPID | VMX_DIRTY_EPT; /* timer off */
	if (vx->loaded)
		xstate_save(vx->xstate, vx->xsave ? xgetbv(0) : 0);
	if (init) {
		xstate_init(vx->xstate);
	} else {
		v->xcr0 = XCR0_X87;
		xstate_reset(vx->xstate);
	}
	if (vx->loaded)
		xstate_load(vx->xstate, guest_xcr0(v));
	vmcs_restore_current(was);
}

static void vmx_load(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;
	hpa_t pa = host_pa(vx->vmcs);
	unsigned i;

	hv_assert(!vx->loaded);
	hv_assert(vmptrld(&pa) == 0);
	vmcs_write_host(vx);
	for (i = 0; i < VMX_MSRS; i++)
		if (i != VMX_MSR_TSC_AUX || vx->caps.rdtscp)
			wrmsr(vmx_msr_numbers[i], vx->msr[i]);
	xstate_load(vx->xstate, guest_xcr0(v));
	/* Root mode takes no page fault and lives, so CR2 holds the guest's as long as it is on this CPU. */
	write_cr2(v->cr2);
	vx->state |= VMX_DIRTY_LAUNCH;
	/* What that CPU has cached of this VM, it has from another time. */
	if (vx->cpu != v->cpu + 1) {
		vx->cpu = v->cpu + 1;
		vx->state |= VMX_DIRTY_VPID | VMX_DIRTY_EPT;
	}
	vx->loaded = true;
}

static void vmx_put(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;
	hpa_t pa = host_pa(vx->vmcs);
	unsigned i;

	hv_assert(vx->loaded);
	v->cr2 = read_cr2();
	xstate_save(vx->xstate, guest_xcr0(v));
	for (i = 0; i < VMX_MSRS; i++)
		if (i != VMX_MSR_TSC_AUX || vx->caps.rdtscp)
			vx->msr[i] = rdmsr(vmx_msr_numbers[i]);
	hv_assert(vmclear(&pa) == 0);
	vx->loaded = false;
}

/* ---- The table ------------------------------------------------------------------------------ */

const struct backend_ops vmx_backend = {
	.name = "VMX",
	.npt_format = &pt_format_ept,
	.probe = vmx_probe,
	.features = vmx_backend_features,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.load = vmx_load,
	.put = vmx_put,
	.run = vmx_run,
	.reg_get = vmx_reg_get,
	.reg_set = vmx_reg_set,
	.seg_get = vmx_seg_get,
	.seg_set = vmx_seg_set,
	.advance = vmx_advance,
	.hit = vmx_hit,
	.blocked = vmx_blocked,
	.inject = vmx_inject,
	.window = vmx_window,
	.flush = vmx_flush,
	.dump = vmx_dump,
};
