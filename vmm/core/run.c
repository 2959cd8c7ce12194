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

static u64 next_deadline(struct vcpu *v)
{
	const struct timer *t = v->vm->clock->head;

	return t ? t->deadline : HOST_TIMER_OFF;
}

static void arm_host_timer(struct vcpu *v, u64 deadline)
{
	if (v->timer_armed != deadline) {
		v->timer_armed = deadline;
		host_timer_arm(deadline);
	}
}

#define TIMER_UNKNOWN 0 /* no deadline anybody asks for */

/* The interrupt may have been the timer's, a little early even: it is armed anew for whatever is left. */
static void timers_fire(struct vcpu *v)
{
	clock_run(v->vm->clock, host_ticks());
	v->timer_armed = TIMER_UNKNOWN;
}

/*
 * HLT: the host CPU halts too. An only CPU that halts with interrupts off has no source of NMIs and is never woken
 * again: that is how a kernel says "halt", and it ends the VM.
 */
static void wait_for_event(struct vcpu *v)
{
	if (event_wakes(v)) {
		v->halted = false;
		vcpu_request(v, REQ_EVENT);
		return;
	}
	if (!(vcpu_reg(v, VREG_RFLAGS) & RFLAGS_IF) && v->vm->cpus == 1) {
		log_info(
			"guest %s halted with interrupts off: nothing can wake it, so it is stopped",
			v->vm->name);
		vm_request_poweroff(v->vm);
		return;
	}
	arm_host_timer(v, next_deadline(v));
	host_idle();
	timers_fire(v);
	if (v->vm->caps->run_deadline)
		arm_host_timer(v, HOST_TIMER_OFF);
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
		v->vm->ops->flush(v);
	if (req & REQ_INPUT)
		vuart_poll(&v->vm->uart);
	if (req & REQ_EVENT && !v->halted)
		event_deliver(v);
	return true;
}

static void enter(struct vcpu *v, struct vm_exit *e)
{
	u64 deadline = next_deadline(v);

	if (!v->vm->caps->run_deadline)
		arm_host_timer(v, deadline);
	v->entries++;
	v->vm->ops->run(v, deadline, e);
}

void vcpu_run(struct vcpu *v)
{
	struct vm_exit e;

	for (;;) {
		if (unlikely(__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE)) && !serve_requests(v))
			return;
		if (unlikely(v->halted)) {
			wait_for_event(v);
			continue;
		}
		enter(v, &e);
		if (e.kind == EXIT_EXT_INTR || e.kind == EXIT_TIMER) {
			v->exits[e.kind]++;
			if (e.kind == EXIT_EXT_INTR && e.vector)
				host_irq_service(e.vector);
			timers_fire(v);
			if (e.vectoring.type)
				exit_keep_vectoring(v, &e);
			continue;
		}
		exit_handle(v, &e);
	}
}
