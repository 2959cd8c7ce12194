/* SPDX-License-Identifier: MIT */
/*
 * Dispatch of VM exits: one const table, a row per kind. The instruction pointer is advanced here and nowhere
 * else. Called by vcpu_run(). To add an exit: a row here, a handler in the file of its subject.
 */
#include <arch/regs.h>
#include <vmm/log.h>

#include "core.h"

static enum next exit_none(unused struct vcpu *v, unused struct vm_exit *e)
{
	return NEXT_RESUME;
}

static enum next exit_nmi_window(struct vcpu *v, unused struct vm_exit *e)
{
	vcpu_request(v, REQ_EVENT);
	return NEXT_RESUME;
}

/* A single-step trap is due behind the HLT: it ends it at once. */
static enum next exit_hlt(struct vcpu *v, unused struct vm_exit *e)
{
	if (!(vcpu_reg(v, VREG_RFLAGS) & RFLAGS_TF)) {
		v->halted = true;
		vcpu_is_alive(v);
		vcpu_request(v, REQ_HALTED);
	}
	return NEXT_ADVANCE;
}

/* An exception that is intercepted only so that its delivery cannot loop for ever inside the CPU: the guest's own. */
static enum next exit_exception(struct vcpu *v, struct vm_exit *e)
{
	if (e->exc.has_error)
		vcpu_raise_error(v, e->exc.vector, e->exc.error);
	else
		vcpu_raise(v, e->exc.vector);
	return NEXT_RESUME;
}

/* Caches are coherent and no device bypasses them yet, so there is nothing to write back. */
static enum next exit_wbinvd(unused struct vcpu *v, unused struct vm_exit *e)
{
	return NEXT_ADVANCE;
}

static enum next exit_undefined(struct vcpu *v, unused struct vm_exit *e)
{
	vcpu_raise(v, VEC_UD);
	return NEXT_RESUME;
}

/* No performance counters are offered: the instruction exists, every index is out of range. */
static enum next exit_rdpmc(struct vcpu *v, unused struct vm_exit *e)
{
	vcpu_raise_error(v, VEC_GP, 0);
	return NEXT_RESUME;
}

static enum next exit_triple_fault(struct vcpu *v, unused struct vm_exit *e)
{
	vm_request_reset(v->vm, "triple fault");
	return NEXT_RESUME;
}

/* INIT and SIPI reach a guest's CPU through its local APIC, never from the host's pins: nothing is due. */
static enum next exit_ignored(struct vcpu *v, struct vm_exit *e)
{
	log_warn("guest %s: unexpected %s exit, ignored", v->vm->name, exit_kind_name(e->kind));
	return NEXT_RESUME;
}

static enum next exit_misconfig(struct vcpu *v, struct vm_exit *e)
{
	v->vm->ops->dump(v);
	vm_kill(v->vm, "the nested page tables are malformed at guest-physical %#llx",
		(unsigned long long)e->npf.gpa);
	return NEXT_RESUME;
}

static enum next exit_entry_failed(struct vcpu *v, struct vm_exit *e)
{
	vm_kill(v->vm,
		"the CPU refused to enter it (code %#llx); the rules that its state breaks are above",
		(unsigned long long)e->raw);
	return NEXT_RESUME;
}

static enum next exit_unknown(struct vcpu *v, struct vm_exit *e)
{
	v->vm->ops->dump(v);
	vm_kill(v->vm, "VM exit %#llx at rip %#llx is one that Havoc did not ask for",
		(unsigned long long)e->raw, (unsigned long long)vcpu_reg(v, VREG_RIP));
	return NEXT_RESUME;
}

const struct exit_row exit_rows[EXIT_KINDS] = {
	[EXIT_NONE] = {"none", exit_none, false},
	[EXIT_EXT_INTR] = {"interrupt", run_host_interrupt, false},
	[EXIT_NMI] = {"nmi", exit_none, false},
	[EXIT_TIMER] = {"timer", run_host_interrupt, false},
	[EXIT_INTR_WINDOW] = {"intr-window", run_intr_window, false},
	[EXIT_NMI_WINDOW] = {"nmi-window", exit_nmi_window, false},
	[EXIT_CPUID] = {"cpuid", exit_cpuid, true},
	[EXIT_IO] = {"io", exit_io, true},
	[EXIT_RDMSR] = {"rdmsr", exit_rdmsr, true},
	[EXIT_WRMSR] = {"wrmsr", exit_wrmsr, true},
	[EXIT_HLT] = {"hlt", exit_hlt, true},
	[EXIT_HYPERCALL] = {"hypercall", exit_hypercall, true},
	[EXIT_NPF] = {"npf", exit_npf, false},
	[EXIT_CR] = {"cr", exit_cr, false}, /* decodes where the CPU gave no operands */
	[EXIT_DR] = {"dr", exit_unknown, false},
	[EXIT_EXCEPTION] = {"exception", exit_exception, false},
	[EXIT_XSETBV] = {"xsetbv", exit_xsetbv, true},
	[EXIT_WBINVD] = {"wbinvd", exit_wbinvd, true},
	[EXIT_INVLPG] = {"invlpg", exit_unknown, false},
	[EXIT_RDPMC] = {"rdpmc", exit_rdpmc, false},
	[EXIT_RDTSC] = {"rdtsc", exit_unknown, false},
	[EXIT_PAUSE] = {"pause", exit_wbinvd, true},
	[EXIT_MONITOR] = {"monitor", exit_undefined, false},
	[EXIT_UNDEFINED] = {"undefined", exit_undefined, false},
	[EXIT_TASK_SWITCH] = {"task-switch", exit_task_switch, false},
	[EXIT_TRIPLE_FAULT] = {"triple-fault", exit_triple_fault, false},
	[EXIT_INIT] = {"init", exit_ignored, false},
	[EXIT_SIPI] = {"sipi", exit_ignored, false},
	[EXIT_NPT_MISCONFIG] = {"npt-misconfig", exit_misconfig, false},
	[EXIT_ENTRY_FAILED] = {"entry-failed", exit_entry_failed, false},
	[EXIT_UNKNOWN] = {"unknown", exit_unknown, false},
};

const char *exit_kind_name(u32 kind)
{
	return kind < EXIT_KINDS ? exit_rows[kind].name : "out of range";
}

/* The delivery of an event was interrupted. If it was that of an exception before which another event stood back, that one goes back to its source. */
void exit_keep_vectoring(struct vcpu *v, const struct vm_exit *e)
{
	if (v->reinject_deferred && v->reinject.type == EVENT_NMI)
		v->nmi_pending = true;
	else if (v->reinject_deferred && v->reinject.type == EVENT_EXT_INTR && v->extint_taken)
		v->extint_kept = v->reinject.vector; /* the PIC has given it, and will not again */
	else if (v->reinject_deferred && v->reinject.type == EVENT_EXT_INTR)
		vlapic_unaccept(&v->lapic, v->reinject.vector);
	v->reinject = e->vectoring;
	v->reinject_deferred = false;
	vcpu_request(v, REQ_EVENT);
}

void exit_handle(struct vcpu *v, struct vm_exit *e)
{
	exit_dispatch(v, e);
}

void exit_log_counts(struct vcpu *v)
{
	unsigned kind;

	for (kind = 0; kind < EXIT_KINDS; kind++)
		if (v->exits[kind])
			log_debug("exits: %s.%u %s %llu", v->vm->name, v->id, exit_rows[kind].name,
				  (unsigned long long)v->exits[kind]);
	log_debug(
		"refused: %s.%u ports %llu (last %#llx), MMIO %llu (last %#llx), MSRs %llu (last %#x)",
		v->vm->name, v->id, (unsigned long long)v->vm->pio.unclaimed,
		(unsigned long long)v->vm->pio.unclaimed_last,
		(unsigned long long)v->vm->mmio.unclaimed,
		(unsigned long long)v->vm->mmio.unclaimed_last, (unsigned long long)v->refused_msrs,
		v->refused_msr_last);
}
