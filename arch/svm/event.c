/* SPDX-License-Identifier: MIT */
/*
 * Events into the guest: injection, interrupt shadows, and the windows that core asks for. Pure. Called through the ops table, and
 * by svm_run() for what concerns NMIs.
 *
 * An interrupt window is a virtual interrupt that is always pending and whose delivery is intercepted. For NMIs SVM has no such
 * thing, nor does it know that one is being handled: that is tracked here by the IRET intercept, and what blocks an NMI for one more
 * instruction (the IRET itself, an interrupt shadow) is stepped over with RFLAGS.TF.
 *
 * APM vol. 2 "Event Injection", "Virtual Interrupt Intercept", "Interrupt Shadows", "NMI Support".
 */
#include <arch/regs.h>
#include <vmm/assert.h>

#include "svm.h"

/* ---- What an instruction's end does -------------------------------------------------------- */

static void raise_debug(struct vcpu *v, u64 dr6)
{
	struct svm_vcpu *s = svm_of(v);

	/* The CPU writes DR6 when it raises #DB, not when one is injected. */
	s->vmcb->save.dr6 |= dr6;
	svm_dirty(s, SVM_CLEAN_DR);
	if (v->exception.type)
		return;
	v->exception = (struct event){.type = EVENT_EXCEPTION, .vector = VEC_DB};
	__atomic_fetch_or(&v->requests, REQ_EVENT, __ATOMIC_ACQ_REL);
}

static void end_of_flags(struct vcpu *v, struct vmcb_save *save)
{
	bool step = save->rflags & RFLAGS_TF;

	save->rflags &= ~RFLAGS_RF;
	if (step)
		raise_debug(v, DR6_BS);
}

/* Of DR6, bits 0-3 are those of the latest #DB; the CPU clears no others (APM vol. 2 "Debug-Status Register (DR6)"). */
void svm_hit(struct vcpu *v, u32 breakpoints)
{
	svm_of(v)->vmcb->save.dr6 &= ~GENMASK(3, 0);
	raise_debug(v, breakpoints);
}

void svm_advance(struct vcpu *v, unsigned len)
{
	struct vmcb *c = svm_of(v)->vmcb;

	c->save.rip += len;
	if (unlikely(!svm_in_64bit_code(c)))
		c->save.rip = (u32)c->save.rip;
	c->int_shadow = 0;
	if (unlikely(c->save.rflags & (RFLAGS_TF | RFLAGS_RF)))
		end_of_flags(v, &c->save);
}

/* ---- What stands in the way --------------------------------------------------------------- */

/* IRET unmasks NMIs when it has completed: when RIP no longer stands on it. */
static bool nmi_is_masked(struct svm_vcpu *s)
{
	if (s->nmi_masked && s->iret_reached && s->vmcb->save.rip != s->iret_rip) {
		s->nmi_masked = false;
		s->iret_reached = false;
	}
	return s->nmi_masked;
}

u32 svm_blocked(struct vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	u32 blocked = 0;

	if (!(s->vmcb->save.rflags & RFLAGS_IF))
		blocked |= BLOCK_IF;
	if (s->vmcb->int_shadow & SVM_INT_SHADOW)
		blocked |= BLOCK_STI;
	if (unlikely(nmi_is_masked(s)))
		blocked |= BLOCK_NMI;
	if (s->vmcb->eventinj & SVM_EVENT_VALID)
		blocked |= BLOCK_EVENT;
	return blocked;
}

static void iret_intercept(struct svm_vcpu *s, bool on)
{
	if (on)
		s->vmcb->intercept3 |= SVM_INT3_IRET;
	else
		s->vmcb->intercept3 &= ~(u32)SVM_INT3_IRET;
	svm_dirty(s, SVM_CLEAN_INTERCEPTS);
}

void svm_iret_intercepted(struct svm_vcpu *s)
{
	iret_intercept(s, false);
	s->iret_reached = true;
	s->iret_rip = s->vmcb->save.rip;
}

void svm_nmi_undo(struct svm_vcpu *s)
{
	s->nmi_masked = false;
	s->iret_reached = false;
	iret_intercept(s, false);
}

/* ---- Injection ---------------------------------------------------------------------------- */

void svm_inject(struct vcpu *v, const struct event *event)
{
	struct svm_vcpu *s = svm_of(v);
	u64 inject = SVM_EVENT_VALID | event->vector;

	switch (event->type) {
	case EVENT_EXT_INTR:
		inject |= field_prep(SVM_EVENT_TYPE, SVM_EVENT_INTR);
		break;
	case EVENT_NMI:
		inject |= field_prep(SVM_EVENT_TYPE, SVM_EVENT_NMI);
		s->nmi_masked = true;
		s->iret_reached = false;
		iret_intercept(s, true);
		break;
	case EVENT_EXCEPTION:
		inject |= field_prep(SVM_EVENT_TYPE, SVM_EVENT_EXC);
		if (event->has_error)
			inject |= SVM_EVENT_HAS_ERROR | field_prep(SVM_EVENT_ERROR, event->error);
		break;
	case EVENT_SOFT_INT:
	case EVENT_SOFT_EXC:
	case EVENT_PRIV_SOFT_EXC:
		/* RIP stands on the instruction: running it is the delivery. See decode_vectoring(). */
		return;
	default:
		hv_assert(event->type == EVENT_NMI);
	}
	s->vmcb->eventinj = inject;
	s->entry_work = true;
}

/* ---- Windows ------------------------------------------------------------------------------ */

void svm_window(struct vcpu *v, u32 windows)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb *c = s->vmcb;

	s->windows = windows;
	if (windows & WINDOW_NMI)
		s->entry_work = true;
	if (!!(windows & WINDOW_INTR) == !!(c->intercept3 & SVM_INT3_VINTR))
		return;
	if (windows & WINDOW_INTR) {
		c->intercept3 |= SVM_INT3_VINTR;
		/* Of the highest priority, and V_IGN_TPR is set anyway: only IF, GIF and a shadow hold it back. */
		c->int_ctl |= SVM_V_IRQ | SVM_V_INTR_PRIO;
	} else {
		c->intercept3 &= ~(u32)SVM_INT3_VINTR;
		c->int_ctl &= ~(SVM_V_IRQ | SVM_V_INTR_PRIO);
	}
	svm_dirty(s, SVM_CLEAN_INTERCEPTS | SVM_CLEAN_INT_CTL);
}

bool svm_nmi_prepare(struct svm_vcpu *s, bool *kick)
{
	struct vmcb *c = s->vmcb;
	bool masked = nmi_is_masked(s);

	*kick = false;
	/* Still in the handler: the IRET intercept will tell. */
	if (masked && !s->iret_reached)
		return false;
	/*
	 * An event goes in first. TF would be pushed with the event's RFLAGS, so instead a host interrupt makes the guest
	 * exit as soon as the event is delivered.
	 */
	if (c->eventinj & SVM_EVENT_VALID) {
		*kick = true;
		return false;
	}
	if (!masked && !(c->int_shadow & SVM_INT_SHADOW))
		return true;
	s->step = true;
	s->step_rip = c->save.rip;
	s->step_dr6 = c->save.dr6;
	s->step_tf = c->save.rflags & RFLAGS_TF;
	c->save.rflags |= RFLAGS_TF;
	return false;
}

/*
 * The instruction has completed if #DB says so (DR6.BS), or if RIP has moved. An IRET has then loaded the guest's own RFLAGS;
 * after any other instruction, or none, TF is as the guest had it.
 */
void svm_step_finish(struct svm_vcpu *s, struct vm_exit *exit)
{
	struct vmcb *c = s->vmcb;
	bool trap = exit->raw == SVM_EXIT_EXC + VEC_DB && c->save.dr6 & DR6_BS;
	bool done = trap || c->save.rip != s->step_rip;

	s->step = false;
	if (!(s->iret_reached && done) && !s->step_tf)
		c->save.rflags &= ~RFLAGS_TF;
	if (s->iret_reached && done) {
		s->nmi_masked = false;
		s->iret_reached = false;
	}
	if (!trap || s->step_tf)
		return;
	c->save.dr6 &= ~DR6_BS;
	c->save.dr6 |= s->step_dr6 & DR6_BS;
	svm_dirty(s, SVM_CLEAN_DR);
	exit->exc.address &= ~DR6_BS;
	/* A breakpoint of the guest's own hit at the same time: the #DB is the guest's. */
	if (!(exit->exc.address & 0xf))
		exit->kind = EXIT_NMI_WINDOW;
}
