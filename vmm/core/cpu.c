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
#include <vmm/string.h>

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

	*hv = (struct hv){.cpus = cpus, .service_at = SCHED_NEVER};
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
	if (hv->vm[vm->id] == vm) /* else it has been taken out before */
		hv->vm[vm->id] = NULL;
	spin_unlock(&hv->lock);
}

bool hv_hold(struct hv *hv)
{
	u32 live = __atomic_load_n(&hv->live, __ATOMIC_ACQUIRE);

	while (live && !__atomic_compare_exchange_n(&hv->live, &live, live + 1, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return live;
}

void hv_serve(struct hv *hv)
{
	__atomic_store_n(&hv->serve, 1, __ATOMIC_RELEASE);
	look(hv, 0);
}

bool hv_service_due(const struct hv *hv, unsigned cpu)
{
	if (cpu || !hv->service)
		return false;
	return __atomic_load_n(&hv->serve, __ATOMIC_ACQUIRE) || host_ticks() >= hv->service_at;
}

static bool is_there(const struct hv *hv, const struct vm *vm)
{
	for (unsigned i = 0; i < HV_VMS_MAX; i++)
		if (vm && hv->vm[i] == vm)
			return true;
	return false;
}

/* Under the lock: a VM that is found has not been claimed by whoever destroys it (vm.c), and is not while it is woken. */
void hv_input(struct hv *hv, const struct vm *vm)
{
	spin_lock(&hv->lock);
	if (is_there(hv, vm))
		vcpu_notify((struct vcpu *)&vm->vcpu[0], REQ_INPUT);
	spin_unlock(&hv->lock);
}

void hv_time(struct hv *hv, struct vm *vm, bool on)
{
	spin_lock(&hv->lock);
	for (unsigned i = 0; is_there(hv, vm) && i < vm->cpus; i++) {
		struct vcpu *v = &vm->vcpu[i];

		if (on) {
			memset(&v->times, 0, sizeof(v->times));
			__atomic_store_n(&v->timed_since, host_ticks(), __ATOMIC_RELEASE);
		}
		__atomic_store_n(&v->timed, on, __ATOMIC_RELEASE);
		if (on)
			vcpu_notify(v, REQ_TIMED);
	}
	spin_unlock(&hv->lock);
}

void hv_time_so_far(struct hv *hv, struct vm *vm)
{
	spin_lock(&hv->lock);
	for (unsigned i = 0; is_there(hv, vm) && i < vm->cpus; i++)
		vcpu_notify(&vm->vcpu[i], REQ_TIMED);
	spin_unlock(&hv->lock);
}

int vcpu_call(struct hv *hv, const struct vm *vm, unsigned id, struct vcpu_call *call)
{
	struct vcpu *v;
	int ret = 0;

	spin_lock(&hv->lock);
	if (!is_there(hv, vm) || id >= vm->cpus) {
		spin_unlock(&hv->lock);
		return -HV_ENOENT;
	}
	v = (struct vcpu *)&vm->vcpu[id];
	if (!vm->started_at)
		ret = -HV_EINVAL;
	else if (v->call)
		ret = -HV_EBUSY;
	if (!ret) {
		call->done = 0;
		v->call = call;
		vcpu_notify(v, REQ_CALL);
	}
	spin_unlock(&hv->lock);
	return ret;
}

void hv_ended(struct hv *hv, bool died)
{
	u32 left;
	unsigned i;

	if (died)
		__atomic_fetch_add(&hv->died, 1, __ATOMIC_ACQ_REL);
	left = __atomic_sub_fetch(&hv->live, 1, __ATOMIC_ACQ_REL);
	if (left && left == hv->holds)
		hv_serve(hv);
	if (left)
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

/*
 * Calls of parked vcpus: their state is in memory, and goes back there. In the first one's turn, as all that is done to a VM that
 * does not run: nobody resets it meanwhile.
 */
static void parked_calls(struct cpu *c, struct vm *vm)
{
	for (unsigned i = 0; i < vm->cpus; i++) {
		struct vcpu *v = &vm->vcpu[i];

		if (!(__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) & REQ_CALL))
			continue;
		__atomic_fetch_and(&v->requests, ~(u32)REQ_CALL, __ATOMIC_ACQ_REL);
		v->cpu = c->number;
		v->ops->load(v);
		vcpu_make_call(v);
		v->ops->put(v);
	}
}

/* The first vcpu does the work; another one that is woken hands it on. */
static bool parked_turn(struct hv *hv, struct cpu *c, struct vcpu *v, u64 *wake_at)
{
	enum vm_next next;

	if (v->id) {
		if (__atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) & REQ_CALL)
			(void)sched_wake(&hv->sched, &v->vm->vcpu[0].task, host_ticks());
		return true;
	}
	unload(hv, c);
	if (!__atomic_load_n(&v->vm->active, __ATOMIC_ACQUIRE))
		parked_calls(c, v->vm);
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

static void serve(struct hv *hv, struct cpu *c)
{
	u64 began = host_ticks();

	__atomic_store_n(&hv->serve, 0, __ATOMIC_RELEASE);
	unload(hv, c);
	hv->service(hv->service_ctx);
	sched_forgive(&hv->sched, c->number, began, host_ticks());
}

void cpu_deadline(struct hv *hv, unsigned number)
{
	u64 at = sched_deadline(&hv->sched, number);

	hv->cpu[number].deadline = number ? at : MIN(at, hv->service_at);
}

void cpu_loop(struct hv *hv, unsigned number)
{
	struct cpu *c = &hv->cpu[number];
	u64 wake_at = SCHED_NEVER;
	bool waits = false;

	while (__atomic_load_n(&hv->live, __ATOMIC_ACQUIRE)) {
		struct sched_task *t;

		/* Before the look at what is asked for: whoever asks says so first. */
		(void)__atomic_exchange_n(&c->look, 0, __ATOMIC_SEQ_CST);
		if (unlikely(hv_service_due(hv, number)))
			serve(hv, c);
		t = sched_switch(&hv->sched, number, host_ticks(), waits, wake_at);
		cpu_deadline(hv, number);
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
