/* SPDX-License-Identifier: MIT */
/*
 * A vcpu's life and the state that exit handlers share: creation, power-up state, registers by number, guest TSC,
 * and the local APIC's callbacks. Called by vm.c and by the handlers.
 */
#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/string.h>

#include "core.h"

_Static_assert(offsetof(struct vcpu, gpr) == 0,
	       "run.S stores registers from the start of struct vcpu");

void vcpu_request(struct vcpu *v, u32 bits)
{
	__atomic_fetch_or(&v->requests, bits, __ATOMIC_ACQ_REL);
}

/* Whatever it does: a run of it ends, a wait ends, or it looks before it runs or waits again. */
void vcpu_notify(struct vcpu *v, u32 bits)
{
	struct sched *s = &v->vm->hv->sched;
	unsigned cpu;

	vcpu_request(v, bits);
	cpu = sched_wake(s, &v->task, host_ticks());
	if (cpu < s->cpus)
		host_kick(cpu);
}

/* v->call is the vcpu's while REQ_CALL stands; `done` gives it back, so nobody looks into it after that. */
void vcpu_make_call(struct vcpu *v)
{
	struct vcpu_call *call = v->call;

	if (!call)
		return;
	call->fn(v, call->arg);
	__atomic_store_n(&v->call, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&call->done, 1, __ATOMIC_RELEASE);
}

u64 vcpu_gpr(struct vcpu *v, unsigned reg)
{
	return reg == GPR_RSP ? vcpu_reg(v, VREG_RSP) : v->gpr[reg & 15];
}

void vcpu_gpr_set(struct vcpu *v, unsigned reg, u64 value)
{
	if (reg == GPR_RSP)
		vcpu_reg_set(v, VREG_RSP, value);
	else
		v->gpr[reg & 15] = value;
}

u64 vcpu_guest_tsc(struct vcpu *v)
{
	return host_ticks() + v->tsc_offset;
}

void vcpu_set_tsc_offset(struct vcpu *v, u64 offset)
{
	v->tsc_offset = offset;
	vcpu_reg_set(v, VREG_TSC_OFFSET, offset);
	vlapic_tsc_changed(&v->lapic);
	kvmclock_update(v);
}

void vcpu_set_cr2(struct vcpu *v, u64 value)
{
	vcpu_reg_set(v, VREG_CR2, value);
}

void vcpu_walk_state(struct vcpu *v, struct gwalk_state *s)
{
	s->cr0 = vcpu_reg(v, VREG_CR0);
	s->cr3 = vcpu_reg(v, VREG_CR3);
	s->cr4 = vcpu_reg(v, VREG_CR4);
	s->efer = vcpu_reg(v, VREG_EFER);
	s->rflags = vcpu_reg(v, VREG_RFLAGS);
	s->cpl = (u8)vcpu_reg(v, VREG_CPL);
	s->implicit = false;
	s->pkru = unlikely(s->cr4 & CR4_PKE) ? (u32)vcpu_reg(v, VREG_PKRU) : 0;
	s->phys_bits = v->vm->caps->phys_bits;
	s->no_1gib = false;
}

/* SDM vol. 3 "Default operand and address sizes": CS.L in IA-32e mode, else CS.D; neither in real and virtual-8086 mode. */
enum emul_mode vcpu_mode(struct vcpu *v)
{
	switch (vcpu_reg(v, VREG_CODE_BITS)) {
	case 64:
		return EMUL_MODE64;
	case 32:
		return EMUL_MODE32;
	default:
		return EMUL_MODE16;
	}
}

/* ---- The local APIC's callbacks ----------------------------------------------------------- */

static void lapic_notify(void *ctx)
{
	vcpu_request(ctx, REQ_EVENT);
}

static void lapic_nmi(void *ctx)
{
	struct vcpu *v = ctx;

	v->nmi_pending = true;
	vcpu_request(v, REQ_EVENT);
}

/* INIT to the only CPU of a machine restarts it, as the firmware of a PC would. */
static void lapic_init(void *ctx)
{
	struct vcpu *v = ctx;

	vm_request_reset(v->vm, "INIT to its only CPU");
}

/* A start-up IPI means something only to a CPU that waits for one; this one runs. SDM vol. 3 "MP Initialization Protocol". */
static void lapic_sipi(unused void *ctx, unused u8 vector)
{
}

static void lapic_send(void *ctx, struct vlapic *from, const struct apic_msg *msg,
		       bool exclude_self)
{
	(void)apic_bus_deliver(((struct vcpu *)ctx)->vm, msg, exclude_self ? from : NULL);
}

static void lapic_eoi(void *ctx, u8 vector)
{
	struct vm *vm = ((struct vcpu *)ctx)->vm;

	vm_devices_lock(vm);
	vioapic_eoi(&vm->ioapic, vector);
	vm_devices_unlock(vm);
}

static void lapic_enabled(void *ctx)
{
	struct vm *vm = ((struct vcpu *)ctx)->vm;

	vm_devices_lock(vm);
	vioapic_resend(&vm->ioapic);
	vm_devices_unlock(vm);
}

static u64 lapic_guest_tsc(void *ctx)
{
	return vcpu_guest_tsc(ctx);
}

static u64 lapic_tsc_to_ticks(void *ctx, u64 guest_tsc)
{
	return guest_tsc - ((struct vcpu *)ctx)->tsc_offset;
}

static const struct vlapic_ops lapic_ops = {
	.notify = lapic_notify,
	.nmi = lapic_nmi,
	.init = lapic_init,
	.sipi = lapic_sipi,
	.send = lapic_send,
	.eoi = lapic_eoi,
	.eoi_settle = pv_eoi_settle,
	.enabled = lapic_enabled,
	.guest_tsc = lapic_guest_tsc,
	.tsc_to_ticks = lapic_tsc_to_ticks,
};

static void clock_rearm(struct clock *c, unused u64 deadline)
{
	vcpu_deadline_update(container_of(c, struct vcpu, clock));
}

/* ---- Life --------------------------------------------------------------------------------- */

int vcpu_create(struct vm *vm, struct vcpu *v, unsigned id)
{
	memset(v, 0, sizeof(*v));
	v->vm = vm;
	v->ops = vm->ops;
	clock_init(&v->clock, host_ticks, host_tick_hz(), clock_rearm);
	v->id = id;
	v->timer_armed = HOST_TIMER_OFF;
	v->deadline = CLOCK_NEVER;
	v->parked = true;
	sched_task_init(&vm->hv->sched, &v->task, vm->weight, vm->affinity, vm->dedicated);
	v->xcr0 = XCR0_X87;
	vlapic_init(&v->lapic, id, &v->clock, &lapic_ops, v);
	v->lapic.base_reserved |= ~0ULL << vm->caps->phys_bits;
	return vm->ops->vcpu_create(v);
}

void vcpu_destroy(struct vcpu *v)
{
	vlapic_reset(&v->lapic, v->id == 0); /* takes its timer off the queue */
	v->vm->ops->vcpu_destroy(v);
	v->backend = NULL;
}

/* What power-up and INIT have in common. */
static void start_over(struct vcpu *v, bool init)
{
	const struct cpuid_entry *id = cpuid_find(v->vm, 1, 0);

	memset(v->gpr, 0, sizeof(v->gpr));
	if (id)
		v->gpr[GPR_RDX] = id->reg[CPUID_EAX]; /* family, model, stepping */
	v->cr2 = 0;
	v->fetch = (struct gwalk_cache){0};
	v->halted = v->unhalted = false;
	v->windows = 0;
	v->exception.type = EVENT_NONE;
	v->reinject.type = EVENT_NONE;
	v->reinject_deferred = false;
	v->nmi_pending = v->extint_sent = false;
	v->extint_kept = -1;
	v->wait_sipi = false;
	v->io_breakpoints = false;
	__atomic_fetch_and(&v->requests, ~(u32)REQ_EVENT, __ATOMIC_ACQ_REL);
	v->vm->ops->vcpu_reset(v, init);
	v->vm->ops->window(v, 0);
}

void vcpu_reset(struct vcpu *v)
{
	v->xcr0 = XCR0_X87;
	start_over(v, false);
	vlapic_reset(&v->lapic, v->id == 0);
	msr_reset(v);
	/* A reset CPU's time-stamp counter starts from zero. */
	vcpu_set_tsc_offset(v, -v->vm->boot_ticks);
}

/*
 * INIT. SDM vol. 3 "Processor State After Reset", the table of states, and "Local APIC State After an INIT Reset";
 * APM vol. 2 "Processor Initialization State": the time-stamp counter, MTRRs and other MSRs stay, and so do, by the back end, x87,
 * SSE and their successors. The first CPU starts at the reset vector, where a machine's firmware would begin anew.
 */
void vcpu_init(struct vcpu *v)
{
	if (v->id == 0) {
		vm_request_reset(v->vm, "INIT to its first CPU");
		return;
	}
	vlapic_settle_eoi(&v->lapic); /* its memory stays the guest's */
	start_over(v, true);
	vlapic_reset_init(&v->lapic);
	msr_init(v);
	vcpu_set_tsc_offset(v, v->tsc_offset); /* the back end has forgotten it */
	v->wait_sipi = true;
	vcpu_request(v, REQ_HALTED);
}

/*
 * Means something only to a CPU that waits for one. SDM vol. 3 "MP Initialization Protocol Algorithm". An NMI that came
 * meanwhile has been held back ("Activity State": waiting for a SIPI blocks NMIs), and comes now.
 */
void vcpu_startup(struct vcpu *v, u8 vector)
{
	struct segment cs;

	if (!v->wait_sipi)
		return;
	v->wait_sipi = false;
	v->halted = false;
	v->ops->seg_get(v, VSEG_CS, &cs);
	cs.selector = (u16)(vector << 8);
	cs.base = (u64)vector << 12;
	v->ops->seg_set(v, VSEG_CS, &cs);
	vcpu_reg_set(v, VREG_RIP, 0);
	vcpu_request(v, REQ_EVENT);
}

static void set_flat(struct vcpu *v, enum vseg seg, u16 selector, u32 attr)
{
	struct segment s = {.base = 0, .limit = 0xffffffff, .attr = attr, .selector = selector};

	v->vm->ops->seg_set(v, seg, &s);
}

/*
 * The state that Linux's 64-bit boot protocol asks for (Documentation/arch/x86/boot.rst), or the one that its 32-bit
 * protocol, PVH and Multiboot ("Machine state") have in common.
 */
void vcpu_enter_kernel(struct vcpu *v, const struct load_entry *entry)
{
	const u32 code = 0xb | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_G |
			 (entry->long_mode ? SEG_ATTR_L : SEG_ATTR_DB);
	const u32 data = 0x3 | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DB | SEG_ATTR_G;
	struct segment gdt = {.base = entry->gdt, .limit = entry->gdt_limit};
	struct segment idt = {.base = 0, .limit = 0};
	struct segment tr = {.base = 0, .limit = 0x67, .attr = 0xb | SEG_ATTR_P};
	enum vseg seg;

	if (entry->long_mode) {
		vcpu_reg_set(v, VREG_CR3, entry->cr3);
		vcpu_reg_set(v, VREG_CR4, CR4_PAE);
		vcpu_reg_set(v, VREG_EFER, EFER_LME);
	}
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_ET | (entry->long_mode ? CR0_PG : 0));
	set_flat(v, VSEG_CS, 0x10, code);
	for (seg = VSEG_ES; seg <= VSEG_GS; seg++)
		if (seg != VSEG_CS)
			set_flat(v, seg, 0x18, data);
	v->vm->ops->seg_set(v, VSEG_GDTR, &gdt);
	v->vm->ops->seg_set(v, VSEG_IDTR, &idt);
	v->vm->ops->seg_set(v, VSEG_TR, &tr);
	vcpu_reg_set(v, VREG_RFLAGS, RFLAGS_ONE);
	vcpu_reg_set(v, VREG_RIP, entry->rip);
	vcpu_reg_set(v, VREG_RSP, entry->rsp);
	v->gpr[GPR_RAX] = entry->eax;
	v->gpr[GPR_RBX] = entry->ebx;
	v->gpr[GPR_RSI] = entry->rsi;
}
