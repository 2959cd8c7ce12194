/* SPDX-License-Identifier: MIT */
/*
 * The run loop of a vcpu: requests, entry, exit, dispatch, again. Called by vm_run(). It is the product's hot
 * loop: a pass in which nothing is pending looks at one word, and asks the clock for nothing.
 *
 * Timers: the earliest deadline goes to the back end (VMX-preemption timer) or into the host's hardware timer; its
 * exit, like any host interrupt, is where expired timers fire. A deadline that passes in root mode ends the next entry at once.
 */
#include <arch/regs.h>
#include <vmm/host.h>
#include <vmm/log.h>

#include "core.h"

#define TIMER_UNKNOWN 0 /* no deadline anybody asks for */

/* The interrupt may have been the timer's, a little early even: it is armed anew for whatever is left. */
static void timers_fire(struct vcpu *v)
{
	clock_run(v->clock, host_ticks());
	v->timer_armed = TIMER_UNKNOWN;
}

/*
 * HLT: the host CPU halts too. An only CPU that halts with interrupts off, and to which no pin of the I/O APIC sends NMIs, is
 * never woken again: that is how a kernel says "halt", and it ends the VM.
 */
static void wait_for_event(struct vcpu *v)
{
	if (event_wakes(v)) {
		v->halted = false;
		vcpu_request(v, REQ_EVENT);
		return;
	}
	if (!(vcpu_reg(v, VREG_RFLAGS) & RFLAGS_IF) && v->vm->cpus == 1 &&
	    !vioapic_sends_nmi(&v->vm->ioapic)) {
		log_info(
			"guest %s halted with interrupts off: nothing can wake it, so it is stopped",
			v->vm->name);
		vm_request_poweroff(v->vm);
		return;
	}
	host_timer_arm(v->clock->armed);
	host_idle();
	if (v->vm->caps->run_deadline)
		host_timer_arm(HOST_TIMER_OFF);
	timers_fire(v);
}

/* False: leave vcpu_run(). */
static bool serve_requests(struct vcpu *v)
{
	u32 req = __atomic_exchange_n(&v->requests, 0, __ATOMIC_ACQ_REL);

	if (req & (REQ_KILL | REQ_RESET)) {
		/* Left for vm_run() to see. */
		vcpu_request(v, req & (REQ_KILL | REQ_RESET));
		return false;
	}
	if (req & REQ_FLUSH)
		v->ops->flush(v);
	if (req & REQ_INPUT)
		vuart_poll(&v->vm->uart);
	if (v->halted) {
		wait_for_event(v);
		vcpu_request(v, REQ_HALTED); /* looked at again, after whatever woke the CPU */
	} else if (req & REQ_EVENT) {
		event_deliver(v);
	}
	return true;
}

/* The earliest deadline is another one: a back end without a timer of its own needs the host's. */
static void deadline_changed(struct vcpu *v, u64 deadline)
{
	v->timer_armed = deadline;
	if (!v->vm->caps->run_deadline)
		host_timer_arm(deadline);
}

/* EXIT_EXT_INTR and EXIT_TIMER. */
enum next run_host_interrupt(struct vcpu *v, struct vm_exit *e)
{
	if (e->kind == EXIT_EXT_INTR && e->vector)
		host_irq_service(e->vector);
	timers_fire(v);
	return NEXT_RESUME;
}

void vcpu_run(struct vcpu *v)
{
	struct vm_exit e;
	u64 deadline;

	for (;;) {
		if (unlikely(__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE))) {
			if (!serve_requests(v))
				return;
			continue;
		}
		deadline = v->clock->armed;
		if (unlikely(deadline != v->timer_armed))
			deadline_changed(v, deadline);
		v->ops->run(v, deadline, &e);
		exit_dispatch(v, &e);
	}
}
