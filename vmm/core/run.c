/* SPDX-License-Identifier: MIT */
/*
 * The run loop of a vcpu: requests, entry, exit, dispatch, again. Called by cpu_loop(). It is the product's hot
 * loop: a pass in which nothing is pending looks at one word, and asks the clock for nothing.
 *
 * Timers: the earlier of the vcpu's next deadline and the scheduler's goes to the back end (VMX-preemption timer) or into
 * the host's hardware timer; its exit, like any host interrupt, is where expired timers fire. A deadline that passes in root
 * mode ends the next entry at once. docs/decisions/0009-slices.md.
 */
#include <arch/regs.h>
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/log.h>

#include "core.h"

static struct cpu *cpu_of(const struct vcpu *v)
{
	return &v->vm->hv->cpu[v->cpu];
}

void vcpu_deadline_update(struct vcpu *v)
{
	v->deadline = MIN(v->clock.armed, cpu_of(v)->deadline);
}

/* The interrupt may have been the timer's, a little early even: it is armed anew for whatever is left. */
static void timers_fire(struct vcpu *v)
{
	struct cpu *c = cpu_of(v);
	u64 now = host_ticks();

	clock_run(&v->clock, now);
	if (now >= c->deadline || __atomic_load_n(&c->look, __ATOMIC_ACQUIRE)) {
		c->sched_exits++;
		vcpu_request(v, REQ_SCHED);
	}
	v->timer_armed = TIMER_UNKNOWN;
}

/* True: another vcpu's turn has come, or the CPU has something else to do. */
static bool preempted(struct vcpu *v)
{
	struct sched *s = &v->vm->hv->sched;
	struct cpu *c = cpu_of(v);

	__atomic_store_n(&c->look, 0, __ATOMIC_RELEASE);
	if (sched_due(s, c->number, host_ticks()) || hv_service_due(v->vm->hv, c->number))
		return true;
	cpu_deadline(v->vm->hv, c->number);
	vcpu_deadline_update(v);
	return false;
}

/*
 * Whether all vcpus wait for another one. They may be on their way to it, or away from it, while this looks: who has seen all of
 * them wait knows that nothing more is sent, so what was sent before is looked at after that; and one that has been woken
 * meanwhile, with or without a request still to be seen, has counted itself before it took its requests.
 */
static bool all_wait(struct vm *vm)
{
	u32 roused = __atomic_load_n(&vm->roused, __ATOMIC_SEQ_CST);
	unsigned i;

	for (i = 0; i < vm->cpus; i++)
		if (!__atomic_load_n(&vm->vcpu[i].never_wakes, __ATOMIC_SEQ_CST))
			return false;
	for (i = 0; i < vm->cpus; i++)
		if (__atomic_load_n(&vm->vcpu[i].requests, __ATOMIC_SEQ_CST) & ~(u32)REQ_HALTED)
			return false;
	return __atomic_load_n(&vm->roused, __ATOMIC_SEQ_CST) == roused;
}

/* Before its requests are taken: see all_wait(). */
static void rouse(struct vcpu *v)
{
	__atomic_store_n(&v->never_wakes, false, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&v->vm->roused, 1, __ATOMIC_SEQ_CST);
}

/*
 * Only another vcpu can wake this one, or an NMI by a pin of the I/O APIC or by LINT0. When that is so of all of them, nobody will:
 * it is how a kernel says "halt", and it ends the VM. True: it goes on waiting.
 */
static bool never_wakes(struct vcpu *v)
{
	struct vm *vm = v->vm;

	__atomic_store_n(&v->never_wakes, true, __ATOMIC_SEQ_CST);
	if (!all_wait(vm) || vioapic_sends_nmi(&vm->ioapic) ||
	    (vm->machine.pic && vlapic_lint0_is_nmi(&vm->vcpu[0].lapic)))
		return true;
	log_info("guest %s halted with interrupts off: nothing can wake it, so it is stopped",
		 vm->name);
	vm->end_told = true;
	vm_request_poweroff(vm);
	return false;
}

/* Halted, or not yet started: true if it goes on waiting. */
static bool waits_for_event(struct vcpu *v)
{
	if (v->wait_sipi) {
		vcpu_request(v, REQ_HALTED);
		return never_wakes(v);
	}
	if (v->unhalted || event_wakes(v)) {
		v->halted = v->unhalted = false;
		vcpu_request(v, REQ_EVENT);
		return false;
	}
	vcpu_request(v, REQ_HALTED); /* looked at again, after whatever wakes it */
	if (!(vcpu_reg(v, VREG_RFLAGS) & RFLAGS_IF))
		return never_wakes(v);
	return true;
}

/* What other vcpus, and devices served on other CPUs, ask for. */
#define REQ_OTHERS                                                                                 \
	(REQ_APIC | REQ_NMI | REQ_INIT | REQ_SIPI | REQ_DEVICE | REQ_UNHALT | REQ_EXTINT |         \
	 REQ_PIC | REQ_CALL)

static void serve_others(struct vcpu *v, u32 req)
{
	if (req & REQ_CALL)
		vcpu_make_call(v);
	if (req & REQ_DEVICE)
		vm_device_deadline(v->vm);
	if (req & REQ_INIT)
		vcpu_init(v);
	if (req & REQ_SIPI)
		vcpu_startup(v, __atomic_load_n(&v->sipi_vector, __ATOMIC_ACQUIRE));
	if (req & REQ_APIC)
		vlapic_collect(&v->lapic);
	if (req & REQ_UNHALT)
		v->unhalted = true;
	if (req & REQ_EXTINT && !v->wait_sipi)
		v->extint_sent = true;
	if (req & REQ_PIC)
		vlapic_lint0_rise(&v->lapic);
	if (req & (REQ_EXTINT | REQ_PIC))
		vcpu_request(v, REQ_EVENT);
	if (req & REQ_NMI) {
		v->nmi_pending = true;
		vcpu_request(v, REQ_EVENT);
	}
}

/* What is asked for; RUN_AGAIN: nothing ends the run; RUN_TIMED: likewise, and the next exit is to be timed. */
enum { RUN_AGAIN = -1, RUN_TIMED = -2 };

static int serve_requests(struct vcpu *v)
{
	u32 req;

	if (unlikely(v->never_wakes))
		rouse(v);
	req = __atomic_exchange_n(&v->requests, 0, __ATOMIC_ACQ_REL);

	if (req & REQ_FLUSH)
		v->ops->flush(v);
	/* It has been carried out already, while the one who asked still went from vcpu to vcpu: actions are taken when all have parked. */
	if (req & REQ_STOP && !__atomic_load_n(&v->vm->actions, __ATOMIC_ACQUIRE))
		req &= ~(u32)REQ_STOP;
	if (req & (REQ_STOP | REQ_SCHED) && (req & REQ_STOP || preempted(v))) {
		/* The rest is for when it comes on again. */
		vcpu_request(v, req & ~(u32)(REQ_FLUSH | REQ_STOP | REQ_SCHED));
		return req & REQ_STOP ? RUN_STOPPED : RUN_PREEMPTED;
	}
	if (unlikely(req & REQ_OTHERS))
		serve_others(v, req);
	if (req & REQ_INPUT)
		vm_console_poll(v->vm);
	if (v->halted || v->wait_sipi) {
		if (waits_for_event(v))
			return RUN_WAITS;
	} else if (req & REQ_EVENT) {
		event_deliver(v);
	}
	return req & REQ_TIMED ? RUN_TIMED : RUN_AGAIN;
}

/* The earliest deadline is another one: a back end without a timer of its own needs the host's. */
static void deadline_changed(struct vcpu *v, u64 deadline)
{
	v->timer_armed = deadline;
	if (!v->vm->caps->run_deadline)
		host_timer_arm(v->cpu, deadline);
}

/* EXIT_EXT_INTR and EXIT_TIMER. */
enum next run_host_interrupt(struct vcpu *v, struct vm_exit *e)
{
	if (e->kind == EXIT_EXT_INTR && e->vector)
		host_irq_service(v->cpu, e->vector);
	timers_fire(v);
	return NEXT_RESUME;
}

/*
 * EXIT_INTR_WINDOW. A deadline that has passed while the guest had interrupts off is dealt with even if the host's timer was not heard:
 * QEMU (7.2: helper_vmrun) notes the virtual interrupt that asks for the window among the CPU's pending ones without its lock, and a host
 * interrupt that comes at this moment is forgotten until the next one. test/micro/window_timer.c
 */
enum next run_intr_window(struct vcpu *v, unused struct vm_exit *e)
{
	vcpu_request(v, REQ_EVENT);
	timers_fire(v);
	return NEXT_RESUME;
}

static inline void enter(struct vcpu *v, struct vm_exit *e)
{
	u64 deadline = v->deadline;

	if (unlikely(deadline != v->timer_armed))
		deadline_changed(v, deadline);
	v->ops->run(v, deadline, e);
}

/*
 * One entry with its exit, timed. It asks for the next one to be timed by a request: so it costs nothing on the usual path.
 * What else is asked for meanwhile comes first.
 */
static void __attribute__((noinline, cold)) run_timed(struct vcpu *v)
{
	struct vcpu_times *t = &v->times;
	struct vm_exit e;
	u64 entered, left;

	if (!__atomic_load_n(&v->timed, __ATOMIC_ACQUIRE))
		return;
	vcpu_request(v, REQ_TIMED);
	if (__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) & ~(u32)REQ_TIMED)
		return;
	entered = host_ticks();
	enter(v, &e);
	left = host_ticks();
	/* Measuring may have begun while it was in the guest. */
	entered = MAX(entered, __atomic_load_n(&v->timed_since, __ATOMIC_ACQUIRE));
	exit_handle(v, &e); /* not inlined here, lest it is not in vcpu_run() either */
	t->exits[e.kind]++;
	t->ticks[e.kind] += host_ticks() - left;
	t->guest += left > entered ? left - entered : 0;
}

enum run_end vcpu_run(struct vcpu *v)
{
	struct vm_exit e;

	v->timer_started = TIMER_UNKNOWN; /* it may have waited since */
	if (unlikely(v->timed))
		vcpu_request(v, REQ_TIMED);
	for (;;) {
		if (unlikely(__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE))) {
			int end = serve_requests(v);

			if (end == RUN_TIMED)
				run_timed(v);
			else if (end != RUN_AGAIN)
				return (enum run_end)end;
			continue;
		}
		enter(v, &e);
		exit_dispatch(v, &e);
	}
}
