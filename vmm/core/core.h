/* SPDX-License-Identifier: MIT */
/*
 * What the files of vmm/core/ share with one another and with nobody else. One paragraph per file.
 * Context of everything here: the CPU on which the vcpu is loaded, root mode, interrupts off.
 */
#ifndef VMM_CORE_H
#define VMM_CORE_H

#include <vmm/emul.h>
#include <vmm/host.h>
#include <vmm/vcpu.h>
#include <vmm/vm.h>

/* vcpu.c: state that handlers share. */
int vcpu_create(struct vm *vm, struct vcpu *v, unsigned id) must_check;
void vcpu_destroy(struct vcpu *v);
void vcpu_reset(struct vcpu *v);
void vcpu_enter_kernel(struct vcpu *v, const struct load_entry *entry);
void vcpu_request(struct vcpu *v, u32 bits); /* on the CPU on which it runs */
void vcpu_notify(struct vcpu *v, u32 bits);  /* from anywhere */
void vcpu_deadline_update(struct vcpu *v);
void vcpu_make_call(struct vcpu *v);          /* REQ_CALL; it is loaded */
void vcpu_init(struct vcpu *v);               /* INIT */
void vcpu_startup(struct vcpu *v, u8 vector); /* a start-up IPI */
u64 vcpu_guest_tsc(struct vcpu *v);
void vcpu_set_tsc_offset(struct vcpu *v, u64 offset);
void vcpu_set_cr2(struct vcpu *v, u64 value);
void vcpu_walk_state(struct vcpu *v, struct gwalk_state *s);
enum emul_mode vcpu_mode(struct vcpu *v);

void vm_is_alive(struct vm *vm); /* vm.c */

/* For the watchdog, which looks after the first one. */
static inline void vcpu_is_alive(struct vcpu *v)
{
	if (unlikely(v->vm->watchdog) && !v->id)
		vm_is_alive(v->vm);
}

static inline u64 vcpu_reg(struct vcpu *v, enum vreg reg)
{
	return v->vm->ops->reg_get(v, reg);
}
static inline void vcpu_reg_set(struct vcpu *v, enum vreg reg, u64 value)
{
	v->vm->ops->reg_set(v, reg, value);
}
u64 vcpu_gpr(struct vcpu *v, unsigned reg);
void vcpu_gpr_set(struct vcpu *v, unsigned reg, u64 value);

/* run.c: the loop. */
#define TIMER_UNKNOWN 0 /* v->timer_armed: no deadline that anybody asks for */
enum run_end {
	RUN_PREEMPTED, /* another one's turn */
	RUN_WAITS,     /* halted, until its clock's next deadline or until it is woken */
	RUN_STOPPED,   /* REQ_STOP */
};
enum run_end vcpu_run(struct vcpu *v);

/* cpu.c: the first CPU has something else to do than to run vcpus. */
bool hv_service_due(const struct hv *hv, unsigned cpu);
void cpu_deadline(struct hv *hv, unsigned number); /* sets cpu[number].deadline anew */

/* vm.c: for cpu.c. */
void vm_vcpu_parked(struct vcpu *v);
void vm_device_deadline(struct vm *vm); /* on the first vcpu */
void vm_console_poll(struct vm *vm);
void vm_devices_lock(struct vm *vm); /* of no effect where one CPU has them to itself */
void vm_devices_unlock(struct vm *vm);
enum vm_next { VM_AGAIN, VM_WAITS, VM_GONE };
enum vm_next vm_work(
	struct vm *vm); /* the turn of its first vcpu, which is parked; nothing is loaded */
/* After VM_GONE, when that turn is over: destroys it, or leaves that to a later turn of its first vcpu. */
void vm_reap(struct hv *hv, struct vm *vm);

/* event.c: what is injected, in which order. */
void vcpu_raise(struct vcpu *v, u8 vector); /* exceptions without an error code */
void vcpu_raise_error(struct vcpu *v, u8 vector, u32 error);
void vcpu_raise_fault(struct vcpu *v, const struct gwalk_fault *fault);
void event_deliver(struct vcpu *v);
bool event_wakes(struct vcpu *v);

/* extint.c: interrupts that a PIC gives the vector of. */
bool extint_waits(const struct vcpu *v);
u8 extint_take(struct vcpu *v); /* it waits, and is being injected */
void extint_pin(void *ctx, unsigned pin,
		bool level); /* struct irq_line.set() of the INT output; ctx: struct vm */

void exit_log_counts(struct vcpu *v);
/* The exit interrupted an event's delivery: it is delivered again by the next entry. */
void exit_keep_vectoring(struct vcpu *v, const struct vm_exit *e);

/* emulate.c: instruction fetch, MMIO, string port I/O. */
/* Both: false: a fault was raised, or the guest was killed. emulate_length() sets e->insn_len. */
bool emulate_length(struct vcpu *v, struct vm_exit *e) must_check;
bool emulate_fetch(struct vcpu *v, struct vm_exit *e, struct emul_insn *insn) must_check;
/* Value of a register or memory operand; false: a fault was raised. */
bool emulate_read_operand(struct vcpu *v, const struct emul_insn *insn,
			  const struct emul_operand *op, u64 *value) must_check;
bool emulate_write_operand(struct vcpu *v, const struct emul_insn *insn,
			   const struct emul_operand *op, u64 value) must_check;
enum next emulate_insn(struct vcpu *v, struct vm_exit *e);
/* An IN or OUT that is carried out: does it hit a breakpoint of the guest's? */
void emulate_watch_port(struct vcpu *v, u16 port, unsigned size);

/* Handlers, one file per subject; all of this form. */
typedef enum next exit_handler(struct vcpu *v, struct vm_exit *e);
exit_handler run_host_interrupt, run_intr_window; /* run.c */
exit_handler exit_cpuid;                          /* cpuid.c */
exit_handler exit_io;                             /* io.c */
exit_handler exit_npf;                            /* io.c */
exit_handler exit_rdmsr;                          /* msr.c */
exit_handler exit_wrmsr;                          /* msr.c */
exit_handler exit_cr;                             /* cr.c */
exit_handler exit_xsetbv;                         /* cr.c */
exit_handler exit_hypercall;                      /* hypercall.c */
exit_handler exit_task_switch;                    /* task_switch.c */

/* exit.c: the table, a row per kind. */
struct exit_row {
	const char *name;
	exit_handler *handle;
	bool insn; /* an instruction's exit: its length must be known before the handler acts */
};
extern const struct exit_row exit_rows[EXIT_KINDS];

/* Dispatch, in the run loop itself: the instruction pointer is advanced here and nowhere else. */
static inline void exit_dispatch(struct vcpu *v, struct vm_exit *e)
{
	const struct exit_row *row = &exit_rows[e->kind];

	v->exits[e->kind]++;
	if (unlikely(e->vectoring.type))
		exit_keep_vectoring(v, e);
	if (unlikely(!e->insn_len) && row->insn && !emulate_length(v, e))
		return;
	if (row->handle(v, e) == NEXT_ADVANCE)
		v->ops->advance(v, e->insn_len);
}
void exit_handle(struct vcpu *v, struct vm_exit *e);

/* cpuid.c: the guest's CPUID, computed once from the CPU's. */
int cpuid_build(struct vm *vm) must_check;
const struct cpuid_entry *cpuid_find(const struct vm *vm, u32 leaf, u32 subleaf);
u64 cpuid_xcr0_mask(const struct vm *vm);

/* cr.c: which bits the guest's CPUID allows. */
u64 cr4_allowed(const struct vm *vm);
/* A MOV to CR0 or CR4, or to EFER: true, or false for #GP. */
bool cr0_write(struct vcpu *v, u64 value) must_check;
bool cr4_write(struct vcpu *v, u64 value) must_check;
bool efer_write(struct vcpu *v, u64 value) must_check;
bool xcr0_valid(u64 value, u64 allowed);
/* A task switch would load CR3 with this: false for #GP. */
bool cr3_switch_ok(struct vcpu *v, u32 value);

/* msr.c */
extern const struct msr_passthrough msr_passthrough_rows[];
extern const unsigned msr_passthrough_count;
void msr_reset(struct vcpu *v); /* power-up */
void msr_init(struct vcpu *v);  /* INIT */

/* mtrr.c */
void mtrr_reset(struct vmtrr *m);
bool mtrr_read(struct vcpu *v, u32 msr, u64 *value) must_check;
bool mtrr_write(struct vcpu *v, u32 msr, u64 value) must_check;

/* kvmclock.c */
void kvmclock_init(struct vm *vm);
void kvmclock_update(
	struct vcpu *v); /* the guest's TSC was set: what it computes time from follows */
bool kvmclock_read(struct vcpu *v, u32 msr, u64 *value) must_check;
bool kvmclock_write(struct vcpu *v, u32 msr, u64 value) must_check;

/* pv_eoi.c */
void pv_eoi_offer(struct vcpu *v); /* an interrupt is being injected, and v->pv_eoi_msr is not 0 */
bool pv_eoi_settle(void *vcpu);
bool pv_eoi_read(struct vcpu *v, u32 msr, u64 *value) must_check;
bool pv_eoi_write(struct vcpu *v, u32 msr, u64 value) must_check;

/* steal_time.c: before the first entry of a turn; after a turn that somebody else's has cut short */
void steal_time_resume(struct vcpu *v);
void steal_time_preempted(struct vcpu *v);
bool steal_time_read(struct vcpu *v, u32 msr, u64 *value) must_check;
bool steal_time_write(struct vcpu *v, u32 msr, u64 value) must_check;

/* kvm_call.c: a number that is KVM's; mask: of the caller's registers */
s64 kvm_call(struct vcpu *v, u64 number, u64 mask);

/* apic_bus.c: interrupt messages between I/O APIC, local APICs. True: somebody takes it. */
bool apic_bus_send(void *vm, const struct apic_msg *msg); /* as struct vioapic's send() */
bool apic_bus_deliver(struct vm *vm, const struct apic_msg *msg, const struct vlapic *except);
bool apic_bus_send_to(struct vcpu *v, const struct apic_msg *msg); /* whomever it addresses */

#endif
