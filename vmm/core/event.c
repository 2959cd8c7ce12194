/* SPDX-License-Identifier: MIT */
/*
 * The one place that decides what a guest is given next: the event whose delivery an exit interrupted, an exception
 * raised by a handler, NMI, the highest pending interrupt, in this order (SDM vol. 3 "Priority Among Concurrent Events"), respecting
 * shadows; else a window is asked for. Looked at only when REQ_EVENT says that something may be pending.
 */
#include <arch/regs.h>
#include <vmm/log.h>

#include "core.h"

/* SDM vol. 3 "Interrupt 8—Double Fault Exception (#DF)", table "Interrupt and Exception Classes". */
#define CONTRIBUTORY                                                                               \
	(BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_CP))

static bool is_contributory(u8 vector)
{
	return vector < 32 && CONTRIBUTORY & BIT(vector);
}

/* Does `second`, raised while `first` was being delivered, make a double fault? */
static bool makes_double_fault(u8 first, u8 second)
{
	if (first == VEC_PF || first == VEC_VE)
		return second == VEC_PF || is_contributory(second);
	return is_contributory(first) && is_contributory(second);
}

static void raise(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	struct event *first = v->exception.type ? &v->exception : &v->reinject;

	if (first->type == EVENT_EXCEPTION && first->vector == VEC_DF) {
		vm_request_reset(v->vm, "triple fault");
		return;
	}
	if (first->type == EVENT_EXCEPTION && makes_double_fault(first->vector, vector)) {
		vector = VEC_DF;
		has_error = true;
		error = 0;
	}
	/*
	 * An interrupted exception or software interrupt comes again when its instruction runs again; an external interrupt or NMI
	 * was taken from its source already and waits.
	 */
	if (v->reinject.type != EVENT_EXT_INTR && v->reinject.type != EVENT_NMI)
		v->reinject.type = EVENT_NONE;
	else
		v->reinject_deferred = true;
	v->exception = (struct event){
		.type = EVENT_EXCEPTION,
		.vector = vector,
		.has_error = has_error,
		.error = error,
	};
	vcpu_request(v, REQ_EVENT);
}

void vcpu_raise(struct vcpu *v, u8 vector)
{
	raise(v, vector, false, 0);
}

/* Real mode pushes no error codes (SDM vol. 3 "Real-Address Mode Operation"). */
void vcpu_raise_error(struct vcpu *v, u8 vector, u32 error)
{
	raise(v, vector, vcpu_reg(v, VREG_CR0) & CR0_PE, error);
}

void vcpu_raise_fault(struct vcpu *v, const struct gwalk_fault *fault)
{
	if (fault->vector == VEC_PF)
		vcpu_set_cr2(v, fault->address);
	if (fault->vector == VEC_UD)
		vcpu_raise(v, VEC_UD);
	else
		vcpu_raise_error(v, fault->vector, fault->error);
}

static void set_windows(struct vcpu *v, u32 windows)
{
	if (v->windows != windows) {
		v->windows = windows;
		v->vm->ops->window(v, windows);
	}
}

static u32 windows_wanted(struct vcpu *v)
{
	u32 windows = 0;

	if (v->nmi_pending || (v->reinject_deferred && v->reinject.type == EVENT_NMI))
		windows |= WINDOW_NMI;
	if (vlapic_pending(&v->lapic) >= 0 || extint_waits(v) ||
	    (v->reinject_deferred && v->reinject.type == EVENT_EXT_INTR))
		windows |= WINDOW_INTR;
	return windows;
}

static bool take_reinject(struct vcpu *v, u32 blocked, struct event *out)
{
	if (!v->reinject.type)
		return false;
	if (v->reinject_deferred) {
		if (v->reinject.type == EVENT_NMI ? blocked & (BLOCK_NMI | BLOCK_MOV_SS) :
						    blocked & (BLOCK_IF | BLOCK_STI | BLOCK_MOV_SS))
			return false;
	}
	*out = v->reinject;
	v->reinject.type = EVENT_NONE;
	v->reinject_deferred = false;
	return true;
}

/* A PIC's goes before the local APIC's: nothing says which, and it cannot be held back by a task priority. */
static bool take_interrupt(struct vcpu *v, struct event *out)
{
	int vector = vlapic_pending(&v->lapic);

	v->extint_taken = extint_waits(v);
	if (unlikely(v->extint_taken)) {
		vector = extint_take(v);
	} else if (vector >= 0) {
		vlapic_accept(&v->lapic, (u8)vector);
		if (v->pv_eoi_msr)
			pv_eoi_offer(v);
	} else {
		return false;
	}
	vcpu_is_alive(v);
	*out = (struct event){.type = EVENT_EXT_INTR, .vector = (u8)vector};
	return true;
}

/*
 * The flags that a fault's handler returns with have RF set, so that a breakpoint on the instruction does not hit again; injection
 * pushes what is there (SDM vol. 3 "Masking Instruction Breakpoints"). #DB is a trap where it is raised here, #DF an abort.
 */
static void take_exception(struct vcpu *v, struct event *out)
{
	*out = v->exception;
	v->exception.type = EVENT_NONE;
	if (out->vector != VEC_DB && out->vector != VEC_DF)
		vcpu_reg_set(v, VREG_RFLAGS, vcpu_reg(v, VREG_RFLAGS) | RFLAGS_RF);
}

static bool take_event(struct vcpu *v, struct event *out)
{
	u32 blocked = v->vm->ops->blocked(v);

	/* Another CPU may have asked for something since the last one was injected, and before the guest was entered. */
	if (unlikely(blocked & BLOCK_EVENT))
		return false;
	if (v->exception.type) {
		take_exception(v, out);
		return true;
	}
	if (take_reinject(v, blocked, out))
		return true;
	if (v->nmi_pending && !(blocked & (BLOCK_NMI | BLOCK_MOV_SS | BLOCK_STI))) {
		v->nmi_pending = false;
		*out = (struct event){.type = EVENT_NMI, .vector = VEC_NMI};
		return true;
	}
	return !(blocked & (BLOCK_IF | BLOCK_STI | BLOCK_MOV_SS)) && take_interrupt(v, out);
}

void event_deliver(struct vcpu *v)
{
	struct event event;

	if (take_event(v, &event))
		v->vm->ops->inject(v, &event);
	set_windows(v, windows_wanted(v));
}

bool event_wakes(struct vcpu *v)
{
	bool interrupt;
	u32 blocked;

	if (v->exception.type || v->reinject.type)
		return true;
	interrupt = vlapic_pending(&v->lapic) >= 0 || extint_waits(v);
	if (!v->nmi_pending && !interrupt)
		return false;
	blocked = v->vm->ops->blocked(v);
	return (v->nmi_pending && !(blocked & BLOCK_NMI)) || (interrupt && !(blocked & BLOCK_IF));
}
