/* SPDX-License-Identifier: MIT */
/*
 * AMD-V: the back end of backend.h for SVM with nested paging. Here is what touches the CPU: probing, turning SVM on, a vcpu's
 * life on a CPU, and the run of the guest. What only edits a VMCB is in vmcb.c and event.c, what reads an exit in decode.c.
 *
 * APM vol. 2 chapter "Secure Virtual Machine". The per-CPU state has no variable to be found by: it lies behind the host
 * save area whose address the CPU keeps in VM_HSAVE_PA.
 */
#include <arch/cpu.h>
#include <arch/cpuid.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/assert.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/hash.h>
#include <vmm/log.h>
#include <vmm/pagetable.h>
#include <vmm/string.h>
#include <vmm/vm.h>

#include "svm.h"

/* ---- This CPU ----------------------------------------------------------------------------- */

/* Pages of the one allocation per CPU. */
enum { CPU_HSAVE, CPU_VMSAVE, CPU_STATE, CPU_PAGES };

_Static_assert(sizeof(struct svm_cpu) <= PAGE_SIZE, "one page");

static void read_cpuid(struct svm_cpuid *id)
{
	host_cpuid(1, 0, id->l1);
	host_cpuid(7, 0, id->l7);
	host_cpuid(0x80000001, 0, id->x1);
	host_cpuid(0x80000008, 0, id->x8);
	host_cpuid(0x8000000a, 0, id->xa);
}

static unsigned svm_backend_features(struct backend_feature *out, unsigned max)
{
	struct svm_cpuid id;

	read_cpuid(&id);
	return svm_features(&id, out, max);
}

static int read_caps(struct svm_caps *caps, struct backend_caps *out,
		     struct backend_problem *problem)
{
	struct svm_cpuid id;
	u64 vm_cr;
	bool known;
	int err;

	read_cpuid(&id);
	known = rdmsr_safe(MSR_VM_CR, &vm_cr);
	err = svm_caps_read(&id, known ? &vm_cr : NULL, caps, out, problem);
	if (err)
		return err;
	out->kind = hash_bytes(HASH_START, id.xa, sizeof(id.xa));
	caps->host_mce = read_cr4() & CR4_MCE;
	caps->xsave = xstate_mask();
	return 0;
}

static int svm_probe(struct backend_caps *out, struct backend_problem *problem)
{
	struct svm_caps caps;

	return read_caps(&caps, out, problem);
}

static struct svm_cpu *this_cpu(void)
{
	return host_va(rdmsr(MSR_VM_HSAVE_PA) + CPU_STATE * PAGE_SIZE);
}

/*
 * Family 10h: a guest that changes the size of a page under way can make the CPU report a machine check ("Revision Guide for
 * AMD Family 10h Processors", erratum 383); bit 47 of DC_CFG is AMD's way around it.
 */
static void avoid_erratum_383(void)
{
	u32 id[4];
	u64 dc_cfg;

	host_cpuid(1, 0, id);
	if ((id[CPUID_EAX] >> 8 & 0xf) + (id[CPUID_EAX] >> 20 & 0xff) == 0x10 &&
	    rdmsr_safe(MSR_DC_CFG, &dc_cfg) && !wrmsr_safe(MSR_DC_CFG, dc_cfg | BIT(47)))
		log_warn("DC_CFG cannot be written: AMD's erratum 383 stays");
}

static int svm_cpu_enable(struct backend_problem *problem)
{
	struct backend_caps unused_caps;
	struct svm_caps caps;
	struct svm_cpu *cpu;
	hpa_t pages;
	u64 vm_cr;
	int err = read_caps(&caps, &unused_caps, problem);

	if (err)
		return err;
	err = host_mem_alloc(CPU_PAGES * PAGE_SIZE, PAGE_SIZE, &pages);
	if (err) {
		fmt_s(problem->text, sizeof(problem->text),
		      "There is no memory for SVM to be turned on: give the machine more.");
		return err;
	}
	memset(host_va(pages), 0, CPU_PAGES * PAGE_SIZE);
	cpu = host_va(pages + CPU_STATE * PAGE_SIZE);
	cpu->caps = caps;
	cpu->host_pa = pages + CPU_VMSAVE * PAGE_SIZE;
	svm_asid_init(cpu);
	/* Probing has made sure that it is not locked. */
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) && vm_cr & VM_CR_SVMDIS)
		wrmsr(MSR_VM_CR, vm_cr & ~VM_CR_SVMDIS);
	avoid_erratum_383();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, pages);
	return 0;
}

/* GIF is 1 here, so that clearing SVME loses no pending event. The pages stay allocated: the machine goes down. */
static void svm_cpu_disable(void)
{
	wrmsr(MSR_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

/* ---- A vcpu's life ------------------------------------------------------------------------ */

/* The permission maps, one allocation: they are its VM's, made with its first vcpu, which goes last. */
#define MAP_IOPM SVM_MSRPM_SIZE
#define MAP_SIZE (MAP_IOPM + SVM_IOPM_SIZE)

_Static_assert(sizeof(struct svm_vcpu) <= PAGE_SIZE, "one page");

static int maps_create(struct vcpu *v, hpa_t *out)
{
	u8 *maps;
	int ret;

	if (v->id) {
		*out = svm_of(&v->vm->vcpu[0])->maps_pa;
		return 0;
	}
	ret = host_mem_alloc(MAP_SIZE, PAGE_SIZE, out);
	if (ret)
		return ret;
	maps = host_va(*out);
	svm_msrpm_fill(maps, v->vm->policy.msrs, v->vm->policy.msr_count);
	memset(maps + MAP_IOPM, 0xff, SVM_IOPM_SIZE);
	return 0;
}

static void svm_vcpu_destroy(struct vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);

	if (!s)
		return;
	if (s->xstate)
		xstate_destroy(s->xstate);
	if (s->vmcb)
		host_page_free(s->vmcb);
	if (s->maps_pa && !v->id)
		host_mem_free(s->maps_pa, MAP_SIZE);
	host_page_free(s);
	v->backend = NULL;
}

static int svm_vcpu_create(struct vcpu *v)
{
	struct svm_vcpu *s = host_page_zalloc();

	v->backend = s;
	if (!s)
		return -HV_ENOMEM;
	s->xstate = xstate_create();
	s->vmcb = host_page_zalloc();
	if (!s->xstate || !s->vmcb || maps_create(v, &s->maps_pa)) {
		svm_vcpu_destroy(v);
		return -HV_ENOMEM;
	}
	s->vmcb_pa = host_pa(s->vmcb);
	s->vcpu = v;
	v->xcr0 = XCR0_X87; /* it may be loaded before its first reset */
	s->caps = this_cpu()->caps;
	svm_vmcb_init(s, s->maps_pa, s->maps_pa + MAP_IOPM, host_pa(v->vm->npt.root));
	return 0;
}

/* A CPU without XSAVE has no XCR0; to the rest of the world it is 1. */
static u64 xcr0_for_load(struct vcpu *v)
{
	return svm_of(v)->caps.xsave ? v->xcr0 : 0;
}

static void xcr0_read_back(struct vcpu *v)
{
	/* XSETBV is intercepted, but an emulator may let it pass: the register is the truth. */
	if (svm_of(v)->caps.xsave)
		v->xcr0 = xgetbv(0);
}

static void svm_put(struct vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);

	xcr0_read_back(v);
	xstate_save(s->xstate, xcr0_for_load(v));
	if (s->caps.rdtscp)
		s->tsc_aux = rdmsr(MSR_TSC_AUX);
	s->loaded = false;
}

static void svm_load(struct vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	struct svm_cpu *cpu = this_cpu();

	if (s->cpu != cpu) {
		s->cpu = cpu;
		s->host_pa = cpu->host_pa;
		s->generation = 0;
		s->vmcb->clean = 0;
	}
	s->entry_work = true;
	s->loaded = true;
	vmsave(s->host_pa);
	xstate_load(s->xstate, xcr0_for_load(v));
	if (s->caps.rdtscp)
		wrmsr(MSR_TSC_AUX, s->tsc_aux);
}

static void svm_vcpu_reset(struct vcpu *v, bool init)
{
	struct svm_vcpu *s = svm_of(v);
	bool loaded = s->loaded;

	if (loaded)
		svm_put(v);
	svm_vmcb_reset(s, init);
	if (init) {
		xstate_init(s->xstate);
	} else {
		xstate_reset(s->xstate);
		v->xcr0 = XCR0_X87;
		s->tsc_aux = 0;
	}
	if (loaded)
		svm_load(v);
}

/* ---- Registers that are in the CPU while the vcpu is loaded ------------------------------- */

static u64 svm_reg_get(struct vcpu *v, enum vreg reg)
{
	struct svm_vcpu *s = svm_of(v);

	switch (reg) {
	case VREG_XCR0:
		if (s->loaded)
			xcr0_read_back(v);
		return v->xcr0;
	case VREG_TSC_AUX:
		if (s->loaded && s->caps.rdtscp)
			s->tsc_aux = rdmsr(MSR_TSC_AUX);
		return s->tsc_aux;
	case VREG_DR0 ... VREG_DR3:
		return xstate_breakpoint(reg - VREG_DR0);
	case VREG_PKRU:
		return xstate_pkru();
	default:
		return svm_vmcb_reg_get(s, reg);
	}
}

static void svm_reg_set(struct vcpu *v, enum vreg reg, u64 value)
{
	struct svm_vcpu *s = svm_of(v);

	if (unlikely(reg == VREG_XCR0)) {
		v->xcr0 = value;
		if (s->loaded && s->caps.xsave)
			xsetbv(0, value);
	} else if (unlikely(reg == VREG_TSC_AUX)) {
		s->tsc_aux = value;
		if (s->loaded && s->caps.rdtscp)
			wrmsr(MSR_TSC_AUX, value);
	} else {
		svm_vmcb_reg_set(s, reg, value);
	}
}

static void svm_flush(struct vcpu *v)
{
	svm_of(v)->flush = true;
	svm_of(v)->entry_work = true;
}

/* ---- The run ------------------------------------------------------------------------------ */

static void report_rule(void *ctx, const char *sentence)
{
	log_err("%s: VMRUN's rule is broken: %s", (const char *)ctx, sentence);
}

static void check_failed(struct vcpu *v, struct vm_exit *exit)
{
	exit->kind = EXIT_ENTRY_FAILED;
	exit->raw = svm_of(v)->vmcb->exitcode;
	svm_dump(v);
}

/* What few entries need. False: *exit is filled, do not enter. */
static bool before_entry(struct vcpu *v, struct vm_exit *exit)
{
	struct svm_vcpu *s = svm_of(v);
	bool kick;

	svm_asid_prepare(s, s->cpu);
	if (s->windows & WINDOW_NMI) {
		if (svm_nmi_prepare(s, &kick)) {
			*exit = (struct vm_exit){.kind = EXIT_NMI_WINDOW};
			return false;
		}
		if (kick)
			host_kick(v->cpu);
	}
	if (s->check) {
		s->check = false;
		if (svm_check(s->vmcb, &s->caps, report_rule, (void *)v->vm->name)) {
			*exit = (struct vm_exit){.kind = EXIT_ENTRY_FAILED};
			s->vmcb->exitcode = SVM_EXIT_INVALID;
			check_failed(v, exit);
			return false;
		}
	}
	return true;
}

/* The other end of before_entry(). */
static void after_entry(struct svm_vcpu *s, struct vm_exit *exit)
{
	if (s->vmcb->tlb_control == SVM_TLB_FLUSH_ALL && s->vmcb->exitcode != SVM_EXIT_INVALID)
		s->cpu->flush_all = false;
	s->vmcb->eventinj = 0;
	s->vmcb->tlb_control = SVM_TLB_NOTHING;
	s->entry_work = s->windows & WINDOW_NMI;
	if (s->step)
		svm_step_finish(s, exit);
}

static void entry_refused(struct vcpu *v, struct vm_exit *exit)
{
	struct svm_vcpu *s = svm_of(v);

	s->vmcb->clean = 0;
	s->flush = true;
	s->entry_work = true;
	if (!svm_check(s->vmcb, &s->caps, report_rule, (void *)v->vm->name))
		log_err("%s: VMRUN was refused, but none of its rules that Havoc knows is broken",
			v->vm->name);
	check_failed(v, exit);
}

/* What is to be done for an exit before core sees it. */
static void own_exit(struct vcpu *v, struct svm_vcpu *s, struct vm_exit *exit)
{
	/* A task switch ends its delivery (task_switch.c); after any other exit it is injected again. */
	if (exit->vectoring.type == EVENT_NMI && exit->kind != EXIT_TASK_SWITCH)
		svm_nmi_undo(s);
	switch (exit->kind) {
	case EXIT_EXT_INTR:
		/* The one window in which the host's handlers run. */
		sti_nop_cli();
		break;
	case EXIT_NONE:
		if (exit->raw == SVM_EXIT_IRET)
			svm_iret_intercepted(s);
		break;
	case EXIT_EXCEPTION:
		if (exit->exc.vector == VEC_MC)
			host_panic("the CPU reported a machine check while guest %s ran",
				   v->vm->name);
		break;
	case EXIT_ENTRY_FAILED:
		entry_refused(v, exit);
		break;
	default:
		if (!s->caps.nrips && !exit->insn_len)
			svm_find_length(v, exit);
		break;
	}
}

/* Not inline, and the last act of their callers: the usual entry and exit need no stack frame in C. */
static __attribute__((noinline)) void exited_rest(struct svm_vcpu *s, struct vm_exit *exit)
{
	svm_decode(s->vmcb, &s->caps, exit);
	if (s->entry_work)
		after_entry(s, exit);
	own_exit(s->vcpu, s, exit);
}

void svm_exited(struct svm_vcpu *s, struct vm_exit *exit)
{
	if (unlikely(s->entry_work)) {
		exited_rest(s, exit);
		return;
	}
	switch (svm_decode_quick(s->vmcb, &s->caps, exit)) {
	case SVM_DECODED:
		break;
	case SVM_DECODED_BUT_LENGTH:
		svm_find_length(s->vcpu, exit);
		break;
	default:
		exited_rest(s, exit);
		break;
	}
}

void svm_run_with_work(struct vcpu *v, struct svm_vcpu *s, struct vm_exit *exit)
{
	if (before_entry(v, exit))
		svm_enter(v, s, exit);
}

const struct backend_ops svm_backend = {
	.name = "SVM",
	.npt_format = &pt_format_npt,
	.probe = svm_probe,
	.features = svm_backend_features,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.load = svm_load,
	.put = svm_put,
	.run = svm_run,
	.reg_get = svm_reg_get,
	.reg_set = svm_reg_set,
	.seg_get = svm_seg_get,
	.seg_set = svm_seg_set,
	.advance = svm_advance,
	.hit = svm_hit,
	.blocked = svm_blocked,
	.inject = svm_inject,
	.window = svm_window,
	.flush = svm_flush,
	.dump = svm_dump,
};
