/* SPDX-License-Identifier: MIT */
/*
 * One run of a guest: what has to be done before the entry, the entry (run.S), and the fields of the exit. The core
 * calls it through backend.h for each exit: it is the product's hot path, so what is rarely due stands apart, and only the
 * fields that the exit's row asks for are read. SDM vol. 3 "VM Entries", "VM Exits", "VMX-Preemption Timer", "Caching Translation Information".
 */
#include <arch/insn.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/assert.h>
#include <vmm/string.h>
#include <vmm/vm.h>

/* ---- Translations ----------------------------------------------------------------------------- */

/* INVEPT and INVVPID types; single-context where the CPU has it. */
#define INV_ONE 1
#define INV_ALL 2

static void drop_ept(struct vmx_vcpu *vx)
{
	bool one = vx->caps.ept_vpid & EPT_CAP_INVEPT_ONE;

	hv_assert(invept(one ? INV_ONE : INV_ALL, (struct inv_desc){one ? vx->eptp : 0, 0}) == 0);
}

/* Without VPIDs every entry and exit drops them. */
static void drop_vpid(struct vmx_vcpu *vx)
{
	bool one = vx->caps.ept_vpid & EPT_CAP_INVVPID_ONE;

	if (vx->caps.control[VMX_PROC2] & PROC2_VPID)
		hv_assert(invvpid(one ? INV_ONE : INV_ALL,
				  (struct inv_desc){one ? vx->vpid : 0, 0}) == 0);
}

void vmx_flush(struct vcpu *v)
{
	((struct vmx_vcpu *)v->backend)->state |= VMX_DIRTY_EPT;
}

/* ---- Run ------------------------------------------------------------------------------------- */

static void clean_up(struct vcpu *v)
{
	struct vmx_vcpu *vx = v->backend;
	u32 dirty = vx->state;

	vx->state &= VMX_TIMER_ON;
	if (dirty & VMX_DIRTY_EPT)
		drop_ept(vx);
	if (dirty & VMX_DIRTY_VPID)
		drop_vpid(vx);
	if (dirty & VMX_DIRTY_PDPTE)
		vmx_load_pdptes(v);
}

static void switch_timer(struct vmx_vcpu *vx, bool on)
{
	if (on == !!(vx->state & VMX_TIMER_ON))
		return;
	vx->state ^= VMX_TIMER_ON;
	vx->pin ^= PIN_TIMER;
	vmwrite(VMCS_PIN_CONTROLS, vx->pin);
	vmwrite(VMCS_EXIT_CONTROLS, on ? vx->caps.control[VMX_EXIT] :
					 vx->caps.control[VMX_EXIT] & ~(u32)EXITC_SAVE_TIMER);
}

/* Entries for which a timer that goes on from where the exit has stopped it may lag behind the clock by the time between them. */
#define TIMER_ENTRIES 8

/*
 * The VMX-preemption timer counts down once for every 2^rate ticks of the TSC, which is the host's clock; 0 exits before
 * the guest's first instruction. A deadline beyond its 32 bits ends the run early, which costs an exit and
 * nothing else.
 */
static void start_timer(struct vcpu *v, u64 deadline)
{
	struct vmx_vcpu *vx = v->backend;
	u64 now = rdtsc(), left = 0;

	if (deadline > now)
		left = ((deadline - now) >> vx->timer_rate) + 1;
	vmwrite(VMCS_PREEMPTION_TIMER, MIN(left, 0xffffffffULL));
	v->timer_started = deadline;
	vx->timer_entries = vx->caps.control[VMX_EXIT] & EXITC_SAVE_TIMER ? TIMER_ENTRIES : 1;
}

/* Whatever has to be done before an entry and is not due at most of them. */
static void __attribute__((noinline))
prepare_and_enter(struct vcpu *v, u64 deadline, struct vm_exit *exit)
{
	struct vmx_vcpu *vx = v->backend;
	bool timer = deadline != HOST_TIMER_OFF && (vx->caps.control[VMX_PIN] & PIN_TIMER);
	bool launch = vx->state & VMX_DIRTY_LAUNCH;

	clean_up(v);
	switch_timer(vx, timer);
	if (timer)
		start_timer(v, deadline);
	if (launch)
		vmx_launch(v, &vx->host_rsp, exit);
	else
		vmx_resume(v, &vx->host_rsp, exit);
}

/* The timer is on if and only if there is a deadline; when that changes, so do the controls. */
void vmx_run(struct vcpu *v, u64 deadline, struct vm_exit *exit)
{
	struct vmx_vcpu *vx = v->backend;
	u32 state = vx->state;

	if (deadline == HOST_TIMER_OFF) {
		if (unlikely(state != 0)) {
			prepare_and_enter(v, deadline, exit);
			return;
		}
	} else {
		if (unlikely(state != VMX_TIMER_ON)) {
			prepare_and_enter(v, deadline, exit);
			return;
		}
		if (unlikely(!--vx->timer_entries || deadline != v->timer_started))
			start_timer(v, deadline);
	}
	vmx_resume(v, &vx->host_rsp, exit);
}

/* ---- After the exit ---------------------------------------------------------------------------- */

/* The fields of the rarer exits. */
static void read_more(struct vmx_vcpu *vx, u32 need, struct vmx_raw *raw)
{
	if (need & NEED_GPA)
		raw->gpa = vmread(VMCS_GUEST_PHYSICAL);
	if (need & NEED_INTR) {
		raw->intr_info = (u32)vmread(VMCS_EXIT_INTR_INFO);
		if (raw->intr_info & INTR_HAS_ERROR)
			raw->intr_error = (u32)vmread(VMCS_EXIT_INTR_ERROR);
	}
	if (need & NEED_VECTORING) {
		raw->vectoring_info = (u32)vmread(VMCS_VECTORING_INFO);
		if (unlikely(raw->vectoring_info & INTR_VALID)) {
			raw->vectoring_error = (u32)vmread(VMCS_VECTORING_ERROR);
			raw->length = (u32)vmread(VMCS_EXIT_INSN_LEN);
		}
		/* An IRET that unblocked NMIs did not finish: they stay blocked. */
		if (unlikely(vmx_exit_unblocked_nmi(raw)))
			vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
				vmread(VMCS_GUEST_INTERRUPTIBILITY) | GUEST_BLOCK_NMI);
	}
	if (need & NEED_INSN_INFO)
		raw->insn_info = vx->caps.basic & VMX_BASIC_INOUT_INFO ?
					 (u32)vmread(VMCS_EXIT_INSN_INFO) :
					 0xffffffff;
}

#define DR6_DB_BITS (GENMASK(3, 0) | DR6_BD | DR6_BS)
#define DR6_BD      BIT(13)

/*
 * An intercepted exception. #DB: the CPU has not updated DR6 and DR7 (SDM "Exceptions: Debug"), and injection
 * will not, so it is done here; the core then gives the exception to the guest. INT1 is a trap: RIP goes
 * past it.
 */
static void finish_exception(const struct vmx_raw *raw, struct vm_exit *exit)
{
	u32 type = (u32)field_get(INTR_TYPE, raw->intr_info);

	if (exit->exc.vector == VEC_MC) {
		int_machine_check();
		exit->kind = EXIT_NONE;
	}
	if (exit->exc.vector != VEC_DB)
		return;
	if (type == INTR_PRIV_SOFT)
		vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + vmread(VMCS_EXIT_INSN_LEN));
	write_dr6((read_dr6() & ~GENMASK(3, 0)) | (raw->qualification & DR6_DB_BITS));
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
}

/*
 * NMIs are blocked by the delivery of one, through a task gate too, and no longer once an IRET has begun (SDM "Handling Multiple
 * NMIs"); that neither has gone on to its end is the exit's doing.
 */
static void finish_task_switch(struct vm_exit *exit)
{
	u64 block = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	exit->task.rf = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_RF;
	if (exit->task.source == TASK_IRET)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, block & ~GUEST_BLOCK_NMI);
	else if (exit->vectoring.type == EVENT_NMI)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, block | GUEST_BLOCK_NMI);
}

static void refused(struct vm_exit *exit, u64 code)
{
	memset(exit, 0, sizeof(*exit));
	exit->kind = EXIT_ENTRY_FAILED;
	exit->raw = code;
	/* What was to be injected is still in the field. */
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
}

void vmx_entry_failed(struct vcpu *v, struct vm_exit *exit, int failure)
{
	vmx_log_insn_failure(v->backend, failure);
	refused(exit, failure == 2 ? vmread(VMCS_INSN_ERROR) : 0);
}

static void entry_refused(struct vmx_vcpu *vx, u32 reason, struct vm_exit *exit)
{
	vmx_log_entry_failure(vx, reason);
	if ((reason & REASON_BASIC) == REASON_ENTRY_MCE)
		int_machine_check();
	refused(exit, reason);
}

/*
 * Whether STI blocks NMIs too is the CPU's choice, and whether it holds back this exit (SDM "Guest Interruptibility State", "NMI-window
 * exiting"). One that has exited all the same would do so again at each entry, for ever: it takes the NMI now.
 */
static void end_sti_blocking(void)
{
	u64 block = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (block & GUEST_BLOCK_STI)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, block & ~GUEST_BLOCK_STI);
}

/* All exits but the commonest. */
static void __attribute__((noinline))
exited_rarely(struct vcpu *v, struct vm_exit *exit, u32 reason)
{
	struct vmx_vcpu *vx = v->backend;
	struct vmx_raw raw = {.reason = reason & REASON_BASIC};
	u32 need;

	vx->timer_entries = 1; /* it may have been the timer's, or take long */
	if (unlikely(reason & REASON_ENTRY_FAILED)) {
		entry_refused(vx, reason, exit);
		return;
	}
	need = vmx_exit_row(raw.reason)->need;
	if (need & NEED_LENGTH)
		raw.length = (u32)vmread(VMCS_EXIT_INSN_LEN);
	if (need & NEED_QUALIFICATION)
		raw.qualification = vmread(VMCS_EXIT_QUALIFICATION);
	if (raw.reason == REASON_IO && (raw.qualification & IO_STRING))
		need |= NEED_INSN_INFO;
	read_more(vx, need, &raw);
	if (raw.reason == REASON_NMI_WINDOW)
		end_sti_blocking();
	vmx_decode(&raw, exit);
	if (exit->kind == EXIT_EXCEPTION)
		finish_exception(&raw, exit);
	else if (exit->kind == EXIT_TASK_SWITCH)
		finish_task_switch(exit);
	else if (exit->kind == EXIT_NMI)
		int_nmi();
}

/*
 * run.S comes here from every exit. The commonest need their length only (CPUID, RDMSR, WRMSR, HLT, VMCALL...), or are a
 * plain IN or OUT. A reason with any of its flags set, such as a refused entry's bit 31, is none of these.
 */
void vmx_exited(struct vcpu *v, struct vm_exit *exit)
{
	u32 reason = (u32)vmread(VMCS_EXIT_REASON);
	const struct vmx_exit_row *row;

	if (reason == REASON_IO) {
		u64 qualification = vmread(VMCS_EXIT_QUALIFICATION);

		if (likely(!(qualification & IO_STRING))) {
			vmx_decode_common(EXIT_IO, reason, (u32)vmread(VMCS_EXIT_INSN_LEN), exit);
			vmx_decode_io(qualification, &exit->io);
			return;
		}
	}
	row = vmx_exit_row(reason);
	if (likely(row->need == NEED_LENGTH)) {
		vmx_decode_common(row->kind, reason, (u32)vmread(VMCS_EXIT_INSN_LEN), exit);
		return;
	}
	exited_rarely(v, exit, reason);
}
