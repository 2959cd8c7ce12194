/* SPDX-License-Identifier: MIT */
/*
 * What a CPU of the host does: runs the vcpu whose turn it is, and halts when there is none. Called by boot/main.c on each
 * CPU. A vcpu stays loaded until another one's turn comes, so that a guest that halts and wakes costs no switch of its
 * state; but one that has stopped is taken off at once, and its VM's work (vm.c) is done with nothing loaded.
 */
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/log.h>

#include "core.h"

static void look(void *ctx, unsigned number)
{
	struct hv *hv = ctx;

	__atomic_store_n(&hv->cpu[number].look, 1, __ATOMIC_RELEASE);
	host_kick(number);
}

void hv_init(struct hv *hv, unsigned cpus)
{
	unsigned i;

	*hv = (struct hv){.cpus = cpus};
	for (i = 0; i < cpus; i++)
		hv->cpu[i] = (struct cpu){.number = i, .deadline = SCHED_NEVER};
	sched_init(&hv->sched, cpus, clock_mul_div(HV_SLICE_US, host_tick_hz(), 1000000), look, hv);
}

int hv_add(struct hv *hv, struct vm *vm)
{
	unsigned i;

	spin_lock(&hv->lock);
	for (i = 0; i < HV_VMS_MAX && hv->vm[i]; i++)
		;
	if (i < HV_VMS_MAX) {
		hv->vm[i] = vm;
		vm->id = i;
	}
	spin_unlock(&hv->lock);
	return i < HV_VMS_MAX ? 0 : -HV_ENOSPC;
}

void hv_remove(struct hv *hv, struct vm *vm)
{
	spin_lock(&hv->lock);
	hv->vm[vm->id] = NULL;
	spin_unlock(&hv->lock);
}

void hv_ended(struct hv *hv, bool died)
{
	unsigned i;

	if (died)
		__atomic_fetch_add(&hv->died, 1, __ATOMIC_ACQ_REL);
	if (__atomic_sub_fetch(&hv->live, 1, __ATOMIC_ACQ_REL))
		return;
	for (i = 0; i < hv->cpus; i++)
		look(hv, i);
}

static void unload(struct hv *hv, struct cpu *c)
{
	struct vcpu *v = c->loaded;

	if (!v)
		return;
	v->ops->put(v);
	c->loaded = NULL;
	sched_unloaded(&hv->sched, &v->task);
}

static void make_loaded(struct hv *hv, struct cpu *c, struct vcpu *v)
{
	if (c->loaded != v) {
		unload(hv, c);
		v->cpu = c->number;
		v->task.loaded = true;
		v->ops->load(v);
		c->loaded = v;
	}
	v->timer_armed = TIMER_UNKNOWN;
	clock_run(&v->clock, host_ticks());
	vcpu_deadline_update(v);
}

/* Only the first vcpu has work to do then. */
static bool parked_turn(struct hv *hv, struct cpu *c, struct vcpu *v, u64 *wake_at)
{
	enum vm_next next;

	if (v->id)
		return true;
	unload(hv, c);
	next = vm_work(v->vm);
	if (next == VM_GONE)
		c->reap = v->vm;
	if (v->vm->state == VM_BACKOFF)
		*wake_at = v->vm->restart_at;
	return next != VM_AGAIN;
}

/* The VM whose last turn is over. */
static void reap(struct hv *hv, struct cpu *c)
{
	struct vm *vm = c->reap;

	c->reap = NULL;
	vm_reap(hv, vm);
}

/* One turn. True: it waits for somebody to wake it, or until *wake_at. */
static bool take_turn(struct hv *hv, struct cpu *c, struct vcpu *v, u64 *wake_at)
{
	*wake_at = SCHED_NEVER;
	if (__atomic_load_n(&v->parked, __ATOMIC_ACQUIRE))
		return parked_turn(hv, c, v, wake_at);
	make_loaded(hv, c, v);
	steal_time_resume(v);
	switch (vcpu_run(v)) {
	case RUN_PREEMPTED:
		steal_time_preempted(v);
		return false;
	case RUN_WAITS:
		*wake_at = v->clock.armed;
		return true;
	default:
		unload(hv, c);
		vm_vcpu_parked(v);
		return true;
	}
}

static void idle(struct cpu *c)
{
	host_timer_arm(c->number, c->deadline);
	if (!__atomic_load_n(&c->look, __ATOMIC_ACQUIRE))
		host_idle();
	host_timer_arm(c->number, HOST_TIMER_OFF);
}

void cpu_loop(struct hv *hv, unsigned number)
{
	struct cpu *c = &hv->cpu[number];
	u64 wake_at = SCHED_NEVER;
	bool waits = false;

	while (__atomic_load_n(&hv->live, __ATOMIC_ACQUIRE)) {
		struct sched_task *t;

		__atomic_store_n(&c->look, 0, __ATOMIC_RELEASE);
		t = sched_switch(&hv->sched, number, host_ticks(), waits, wake_at);
		c->deadline = sched_deadline(&hv->sched, number);
		waits = false;
		if (unlikely(c->reap))
			reap(hv, c);
		if (t)
			waits = take_turn(hv, c, container_of(t, struct vcpu, task), &wake_at);
		else
			idle(c);
	}
	unload(hv, c);
}
