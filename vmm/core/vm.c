/* SPDX-License-Identifier: MIT */
/*
 * A VM's life: creation, boot, reset, end. Called by boot/main.c. A guest's faults end here too, in vm_kill():
 * that guest stops with a reason, and nothing else happens.
 */
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/log.h>
#include <vmm/string.h>

#include <stdarg.h>

#include "core.h"

/* ---- Nested tables take their pages from the host ------------------------------------------- */

static void *npt_alloc(unused void *ctx)
{
	return host_page_zalloc();
}

static void npt_free(unused void *ctx, void *page)
{
	host_page_free(page);
}

static void *npt_va(unused void *ctx, hpa_t pa)
{
	return host_va(pa);
}

static hpa_t npt_pa(unused void *ctx, const void *va)
{
	return host_pa(va);
}

static const struct pt_mem npt_mem = {
	.alloc = npt_alloc, .free = npt_free, .va = npt_va, .pa = npt_pa};

/* ---- Devices that several vcpus share ------------------------------------------------------- */

void vm_devices_lock(struct vm *vm)
{
	if (vm->cpus > 1)
		spin_lock(&vm->dev_lock);
}

void vm_devices_unlock(struct vm *vm)
{
	if (vm->cpus > 1)
		spin_unlock(&vm->dev_lock);
}

void vm_console_poll(struct vm *vm)
{
	if (!vm->machine.uart_port)
		return;
	vm_devices_lock(vm);
	vuart_poll(&vm->uart);
	vm_devices_unlock(vm);
}

/* From whichever vcpu accesses a device; it is the first one's clock that wakes for it. */
static void dev_clock_rearm(struct clock *c, unused u64 deadline)
{
	struct vm *vm = container_of(c, struct vm, dev_clock);

	if (vm->state == VM_RUNNING)
		vcpu_notify(&vm->vcpu[0], REQ_DEVICE);
}

static void dev_timer_fire(void *arg)
{
	struct vm *vm = arg;

	vm_devices_lock(vm);
	clock_run(&vm->dev_clock, host_ticks());
	vm_devices_unlock(vm);
	vm_device_deadline(vm);
}

void vm_device_deadline(struct vm *vm)
{
	u64 deadline;

	vm_devices_lock(vm);
	deadline = vm->dev_clock.armed;
	vm_devices_unlock(vm);
	timer_set(&vm->vcpu[0].clock, &vm->dev_timer, deadline);
}

/* ---- Creation ----------------------------------------------------------------------------- */

/* The tables first: no table may map memory that is no longer the guest's. */
static void destroy_memory(struct vm *vm)
{
	pt_destroy(&vm->npt);
	gmem_destroy(&vm->gmem);
}

/* A 1 GiB leaf replaces a table that another vcpu's CPU may be walking: not where there are several. */
static u32 large_pages_for(const struct vm *vm)
{
	return vm->cpus == 1 ? ~0U : (u32)(BIT(1) | BIT(0));
}

static int create_memory(struct vm *vm, u64 mem, u32 left_out, struct load_error *why)
{
	int ret = machine_describe(&vm->machine, vm->name, vm->cpus, mem);

	/* The topmost address must be one that the CPU and the nested tables know. */
	if (!ret && vm->machine.mem_high &&
	    (MACHINE_HIGH_BASE + vm->machine.mem_high) >> vm->caps->phys_bits)
		ret = -HV_EINVAL;
	if (ret) {
		fmt_s(why->text, sizeof(why->text),
		      "a guest cannot have %llu MiB of memory: choose mem= from %llu MiB on, within what the machine has",
		      (unsigned long long)(mem >> 20), (unsigned long long)(MACHINE_MEM_MIN >> 20));
		return ret;
	}
	machine_leave_out(&vm->machine, left_out);
	ret = pt_init(&vm->npt, vm->ops->npt_format, &npt_mem,
		      (vm->caps->large_pages & large_pages_for(vm)) | 1);
	if (ret)
		return ret;
	gmem_init(&vm->gmem, &vm->npt);
	ret = gmem_add(&vm->gmem, 0, vm->machine.mem_low);
	if (!ret && vm->machine.mem_high)
		ret = gmem_add(&vm->gmem, MACHINE_HIGH_BASE, vm->machine.mem_high);
	if (ret) {
		fmt_s(why->text, sizeof(why->text),
		      "the guest is to have %llu MiB of memory, and of the %llu MiB that are free no piece is as large: choose a smaller mem=, or add memory",
		      (unsigned long long)(mem >> 20),
		      (unsigned long long)(host_mem_free_bytes() >> 20));
		destroy_memory(vm);
	}
	return ret;
}

/* The one port that a user chooses may be another device's. */
static void tell_device_problem(struct vm *vm, int ret, struct load_error *why)
{
	const struct bus_region *r = NULL;

	for (unsigned i = 0; ret == -HV_EEXIST && !r && i < 4; i++)
		r = bus_find(&vm->pio, vm->exit_port + i);
	if (r)
		fmt_s(why->text, sizeof(why->text),
		      "its exit-port 0x%x would lie on a port of its %s (0x%llx): choose another, 0xf4 for example",
		      vm->exit_port, r->name, (unsigned long long)r->base);
}

static int create_devices(struct vm *vm, struct load_error *why)
{
	const struct vm_device *d;

	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	for (d = vm->devices; d->name; d++) {
		int ret = d->create(vm);

		if (ret) {
			log_err("guest %s: device %s cannot be made (%d)", vm->name, d->name, ret);
			tell_device_problem(vm, ret, why);
			return ret;
		}
	}
	return 0;
}

static void destroy_vcpus(struct vm *vm, unsigned count)
{
	while (count--)
		vcpu_destroy(&vm->vcpu[count]);
}

static int create_vcpus(struct vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->cpus; i++) {
		int ret = vcpu_create(vm, &vm->vcpu[i], i);

		if (ret) {
			destroy_vcpus(vm, i);
			return ret;
		}
	}
	return 0;
}

static u64 first_runtime(struct vm *vm)
{
	return sched_runtime(&vm->hv->sched, &vm->vcpu[0].task, host_ticks());
}

void vm_is_alive(struct vm *vm)
{
	__atomic_store_n(&vm->alive_run, first_runtime(vm), __ATOMIC_RELAXED);
}

static void watchdog_arm(struct vm *vm, u64 left)
{
	timer_set(&vm->vcpu[0].clock, &vm->watchdog_timer, host_ticks() + left);
}

/*
 * In the first vcpu's turn. One that waits in HLT is alive; and one that does not get a CPU cannot help it: what counts is
 * how long it has run.
 */
static void watchdog_fire(void *arg)
{
	struct vm *vm = arg;
	u64 ran;

	if (vm->vcpu[0].halted)
		vm_is_alive(vm);
	ran = first_runtime(vm) - __atomic_load_n(&vm->alive_run, __ATOMIC_RELAXED);
	if ((s64)ran < (s64)vm->watchdog)
		watchdog_arm(vm, vm->watchdog - ran);
	else
		vm_kill(vm, "its watchdog has seen neither a halt nor an interrupt for %llu s",
			(unsigned long long)(vm->watchdog / vm->tsc_hz));
}

static void watchdog_start(struct vm *vm)
{
	if (!vm->watchdog)
		return;
	vm_is_alive(vm);
	watchdog_arm(vm, vm->watchdog);
}

int vm_create(struct vm *vm, const struct vm_params *p, struct load_error *why)
{
	int ret;

	memset(vm, 0, offsetof(struct vm, vcpu));
	vm->name = p->name;
	vm->cpus = p->cpus;
	vm->ops = p->ops;
	vm->caps = p->caps;
	vm->hv = p->hv;
	vm->weight = p->weight;
	vm->affinity = p->affinity;
	vm->dedicated = p->dedicated;
	vm->lone = p->lone;
	vm->on_reboot = p->on_reboot;
	vm->on_crash = p->on_crash;
	vm->destroyed = p->destroyed;
	vm->watchdog = p->watchdog * host_tick_hz();
	timer_init(&vm->watchdog_timer, watchdog_fire, vm);
	vm->clock = vm->cpus == 1 ? &vm->vcpu[0].clock : &vm->dev_clock;
	clock_init(&vm->dev_clock, host_ticks, host_tick_hz(), dev_clock_rearm);
	timer_init(&vm->dev_timer, dev_timer_fire, vm);
	vm->image = p->image;
	vm->console = p->console;
	vm->devices = p->devices;
	vm->hypercall_console = p->hypercall_console || p->hypercall_compat;
	vm->hypercall_compat = p->hypercall_compat;
	vm->exit_port = p->exit_port;
	vm->tsc_hz = host_tick_hz();
	vm->policy = (struct vm_policy){msr_passthrough_rows, msr_passthrough_count};
	kvmclock_init(vm);
	fmt_s(why->text, sizeof(why->text),
	      "there is too little memory for the guest's tables: add memory");
	ret = hv_add(vm->hv, vm);
	if (ret) {
		fmt_s(why->text, sizeof(why->text),
		      "there are %u guests already: no more are possible", HV_VMS_MAX);
		return ret;
	}
	ret = create_memory(vm, p->mem, p->left_out, why);
	if (ret)
		goto fail;
	ret = cpuid_build(vm);
	if (ret) {
		fmt_s(why->text, sizeof(why->text),
		      "this CPU's CPUID has no leaf 1: no guest can do without");
		goto fail_memory;
	}
	vm->cr4_allowed = cr4_allowed(vm);
	ret = create_vcpus(vm);
	if (ret)
		goto fail_memory;
	ret = create_devices(vm, why);
	if (ret)
		goto fail_vcpus;
	return 0;

fail_vcpus:
	destroy_vcpus(vm, vm->cpus);
fail_memory:
	destroy_memory(vm);
fail:
	hv_remove(vm->hv, vm);
	return ret;
}

static void reset_devices(struct vm *vm)
{
	const struct vm_device *d;

	for (d = vm->devices; d->name; d++)
		if (d->reset)
			d->reset(vm);
}

void vm_destroy(struct vm *vm)
{
	reset_devices(vm); /* takes their timers off the clock */
	destroy_vcpus(vm, vm->cpus);
	destroy_memory(vm);
	hv_remove(vm->hv, vm);
	vm->state = VM_STOPPED;
}

/* ---- Boot and run ------------------------------------------------------------------------- */

static void wait_for_startup(struct vcpu *v)
{
	v->wait_sipi = true;
	vcpu_request(v, REQ_HALTED);
}

/* All have parked: nobody sends any more. What was sent before concerns the CPU as it was then, whose APIC takes none now. */
static void forget_messages(struct vcpu *v)
{
	__atomic_fetch_and(&v->requests,
			   ~(u32)(REQ_APIC | REQ_NMI | REQ_INIT | REQ_SIPI | REQ_UNHALT |
				  REQ_EXTINT | REQ_PIC),
			   __ATOMIC_ACQ_REL);
	vlapic_collect(&v->lapic);
}

int vm_boot(struct vm *vm, struct load_error *why)
{
	struct load_entry entry;
	unsigned i;
	int ret;

	fmt_s(why->text, sizeof(why->text),
	      "the guest's firmware tables do not fit into its memory: give it more with mem=");
	/* Their words are gone, and other things may be where they were. */
	for (i = 0; i < vm->cpus; i++)
		vm->vcpu[i].lapic.eoi_offered = false;
	ret = load_acpi(&vm->gmem, &vm->machine);
	if (!ret)
		ret = load_mptable(&vm->gmem, &vm->machine);
	if (!ret)
		ret = load_reset_vector(&vm->gmem);
	if (!ret)
		ret = load_kernel(&vm->gmem, &vm->machine, &vm->image, &entry, why);
	if (ret)
		return ret;
	vm->boot_ticks = host_ticks();
	vm->exited = false;
	reset_devices(vm);
	for (i = 0; i < vm->cpus; i++) {
		vm->ops->load(&vm->vcpu[i]);
		vcpu_reset(&vm->vcpu[i]);
		forget_messages(&vm->vcpu[i]);
		if (i == 0 && vm->machine.pic)
			vlapic_virtual_wire(&vm->vcpu[i].lapic);
		if (i == 0)
			vcpu_enter_kernel(&vm->vcpu[i], &entry);
		else
			wait_for_startup(&vm->vcpu[i]);
		vm->ops->put(&vm->vcpu[i]);
	}
	return 0;
}

#define RESETS_LOGGED 16 /* one by one; then the powers of two */

static void ask(struct vm *vm, u32 action);

/* The last line that it has begun is shown, too, and what its next life writes begins a line of its own. */
static void console_ended(struct vm *vm)
{
	if (vm->console.ended)
		vm->console.ended(vm->console.dev.ctx);
}

static void end(struct vm *vm, enum vm_state state)
{
	unsigned i;

	vm->state = (u8)state;
	if (state == VM_STOPPED)
		vm->why[0] = '\0'; /* it may have been waiting to be restarted */
	console_ended(vm);
	if (state == VM_STOPPED && vm->exited)
		log_info("guest %s has ended by its exit port: %u (0x%x)", vm->name, vm->exit_value,
			 vm->exit_value);
	else if (state == VM_STOPPED && !vm->end_told)
		log_info("guest %s has powered off", vm->name);
	vm->end_told = false;
	for (i = 0; i < vm->cpus; i++)
		exit_log_counts(&vm->vcpu[i]);
	log_debug("guest %s had %llu KiB of page tables", vm->name,
		  (unsigned long long)(vm->npt.pages * PAGE_SIZE) >> 10);
	if (vm->destroyed && !(state == VM_DEAD && vm->on_crash == CONF_HOLD))
		ask(vm, VM_DESTROY);
	hv_ended(vm->hv, state == VM_DEAD);
}

static int boot(struct vm *vm, struct load_error *why)
{
	int ret = vm_boot(vm, why);

	if (!ret) {
		vm->why[0] = '\0';
		vm->state = VM_RUNNING;
		vm->started_at = host_ticks();
	}
	return ret;
}

/* Its memory was mapped otherwise before. */
static void flush_all(struct vm *vm, bool wanted)
{
	unsigned i;

	for (i = 0; wanted && i < vm->cpus; i++)
		vcpu_request(&vm->vcpu[i], REQ_FLUSH);
}

/* For whoever waits for it: its state is what came of it. */
static void count_start(struct vm *vm)
{
	__atomic_fetch_add(&vm->starts, 1, __ATOMIC_ACQ_REL);
}

static void start(struct vm *vm)
{
	struct load_error why = {.text = "its memory could not be cleared"};
	bool again = vm->started_at; /* what it left in its memory is not for its next life */

	if ((!again || !gmem_scrub(&vm->gmem)) && !boot(vm, &why)) {
		flush_all(vm, again);
		count_start(vm);
		return;
	}
	fmt_s(vm->why, sizeof(vm->why), "it cannot be started: %s", why.text);
	if (vm->lone)
		log_err("%s", why.text);
	else
		log_err("guest %s cannot be started: %s", vm->name, why.text);
	end(vm, VM_DEAD);
	count_start(vm);
}

static void restart(struct vm *vm)
{
	struct load_error why;
	int ret;

	vm->resets++;
	/* A guest that does nothing else must not fill the log. */
	if (vm->resets <= RESETS_LOGGED || !(vm->resets & (vm->resets - 1)))
		log_info("guest %s restarts (%s), %llu so far", vm->name, vm->reset_how,
			 (unsigned long long)vm->resets);
	ret = gmem_scrub(&vm->gmem);
	if (!ret)
		ret = boot(vm, &why);
	else
		fmt_s(why.text, sizeof(why.text), "its memory could not be cleared");
	if (ret) {
		fmt_s(vm->why, sizeof(vm->why), "it cannot be restarted: %s", why.text);
		log_err("guest %s was stopped: %s", vm->name, vm->why);
		end(vm, VM_DEAD);
	} else {
		flush_all(vm, true);
	}
	count_start(vm);
}

/* ---- Policies ----------------------------------------------------------------------------- */

#define QUICK_RESETS    16 /* as many as a guest likes, at once, before it is slowed down */
#define QUICK_MS        1000
#define RESET_PAUSE_MS  10
#define CRASH_PAUSE_MS  1000
#define CRASH_FORGET_MS 60000
#define DOUBLINGS_MAX   6

static bool ran_less_than(const struct vm *vm, u64 ms)
{
	return host_ticks() - vm->started_at < clock_mul_div(ms, vm->tsc_hz, 1000);
}

static void pause_then_restart(struct vm *vm, u64 ms, unsigned doublings)
{
	ms <<= MIN(doublings, (unsigned)DOUBLINGS_MAX);
	vm->state = VM_BACKOFF;
	vm->restart_at = host_ticks() + clock_mul_div(ms, vm->tsc_hz, 1000);
}

static void crashed(struct vm *vm)
{
	if (vm->on_crash != CONF_RESTART) {
		end(vm, VM_DEAD);
		return;
	}
	vm->crashes = ran_less_than(vm, CRASH_FORGET_MS) ? vm->crashes + 1 : 1;
	vm->reset_how = "it had crashed";
	console_ended(vm);
	pause_then_restart(vm, CRASH_PAUSE_MS, vm->crashes - 1);
}

/* A guest that does nothing but reset is not given all of a CPU for it, where others could use it. */
static void rebooted(struct vm *vm)
{
	if (vm->on_reboot == CONF_STOP) {
		log_info("guest %s has rebooted (%s) and is stopped, as its on-reboot says",
			 vm->name, vm->reset_how);
		vm->end_told = true;
		end(vm, VM_STOPPED);
		return;
	}
	vm->quick_resets = ran_less_than(vm, QUICK_MS) ? vm->quick_resets + 1 : 0;
	if (vm->quick_resets > QUICK_RESETS && !vm->lone)
		pause_then_restart(vm, RESET_PAUSE_MS, vm->quick_resets - QUICK_RESETS);
	else
		restart(vm);
}

/* ---- What is asked of a VM, and who does it -------------------------------------------------- */

static bool runs(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED || vm->state == VM_BACKOFF;
}

/* A start that was asked for, and counted, comes to nothing. */
static void uncount_start(struct vm *vm)
{
	hv_ended(vm->hv, false);
}

/* In the order in which one makes the others meaningless; but what is stopped may be started again. */
static void act(struct vm *vm, u32 actions)
{
	if (actions & VM_KILL && !(actions & VM_DESTROY) && runs(vm)) {
		crashed(vm);
	} else if (actions & (VM_STOP | VM_DESTROY) && runs(vm)) {
		if (actions & (VM_QUIET | VM_DESTROY) && !vm->end_told) {
			log_debug("guest %s was stopped by the monitor", vm->name);
			vm->end_told = true;
		}
		end(vm, VM_STOPPED);
	} else if (actions & VM_RESET && runs(vm)) {
		console_ended(vm);
		if (actions & VM_FORCE)
			restart(vm);
		else
			rebooted(vm);
	}
	if (actions & VM_START) {
		if (runs(vm) || actions & VM_DESTROY)
			uncount_start(vm);
		else
			start(vm);
	}
	if (vm->state == VM_PAUSED && actions & VM_RESUME)
		vm->state = VM_RUNNING;
	else if (vm->state == VM_RUNNING && actions & VM_PAUSE)
		vm->state = VM_PAUSED;
	if (actions & VM_DESTROY)
		vm->ending = true;
}

static void go_on(struct vm *vm)
{
	unsigned i;

	vcpu_request(&vm->vcpu[0], REQ_INPUT); /* what was typed before */
	watchdog_start(vm);
	__atomic_store_n(&vm->active, vm->cpus, __ATOMIC_RELEASE);
	for (i = 0; i < vm->cpus; i++) {
		__atomic_fetch_and(&vm->vcpu[i].requests, ~(u32)REQ_STOP, __ATOMIC_ACQ_REL);
		__atomic_store_n(&vm->vcpu[i].parked, false, __ATOMIC_RELEASE);
	}
	for (i = 1; i < vm->cpus; i++)
		vcpu_notify(&vm->vcpu[i], 0);
	/* Something more was asked for meanwhile: its REQ_STOP may have been among those cleared. */
	if (__atomic_load_n(&vm->actions, __ATOMIC_ACQUIRE))
		ask(vm, 0);
}

enum vm_next vm_work(struct vm *vm)
{
	u32 actions;

	if (__atomic_load_n(&vm->active, __ATOMIC_ACQUIRE))
		return VM_WAITS; /* the last one to park wakes us */
	if (vm->ending)
		return VM_GONE;
	actions = __atomic_exchange_n(&vm->actions, 0, __ATOMIC_ACQ_REL);
	if (actions)
		act(vm, actions);
	else if (vm->state == VM_BACKOFF && host_ticks() >= vm->restart_at)
		restart(vm);
	else
		return VM_WAITS;
	if (vm->state == VM_RUNNING)
		go_on(vm);
	return VM_AGAIN;
}

/* Under hv->lock. One that is not blocked has a turn before it, which ends like the last one: nobody need wake it. */
static bool all_blocked(struct hv *hv, struct vm *vm)
{
	unsigned i;

	if (!sched_is_blocked(&hv->sched, &vm->vcpu[0].task))
		return false;
	for (i = 1; i < vm->cpus; i++) {
		if (!sched_is_blocked(&hv->sched, &vm->vcpu[i].task)) {
			/* Soon it is. */
			(void)sched_wake(&hv->sched, &vm->vcpu[0].task, host_ticks());
			return false;
		}
	}
	return true;
}

/* Whether it is the caller who destroys it: another CPU may have had a later turn of it, and may even have done so. */
static bool claim(struct hv *hv, struct vm *vm)
{
	bool mine = false;
	unsigned i;

	spin_lock(&hv->lock);
	for (i = 0; i < HV_VMS_MAX; i++)
		if (hv->vm[i] == vm)
			mine = vm->ending && all_blocked(hv, vm);
	if (mine) {
		hv->vm[vm->id] = NULL; /* from here on nobody finds it; it stays `ending` */
	}
	spin_unlock(&hv->lock);
	return mine;
}

void vm_reap(struct hv *hv, struct vm *vm)
{
	if (!claim(hv, vm))
		return;
	/* Asked for while its last actions were carried out, which end with it. */
	if (__atomic_exchange_n(&vm->actions, 0, __ATOMIC_ACQ_REL) & VM_START)
		uncount_start(vm);
	timer_cancel(&vm->vcpu[0].clock, &vm->watchdog_timer);
	vm_destroy(vm);
	vm->destroyed(vm);
}

void vm_vcpu_parked(struct vcpu *v)
{
	struct vm *vm = v->vm;

	v->parked = true;
	if (!__atomic_sub_fetch(&vm->active, 1, __ATOMIC_ACQ_REL))
		(void)sched_wake(&vm->hv->sched, &vm->vcpu[0].task, host_ticks());
}

/* Under hv->lock. Of one that claim() has taken nothing can be asked any more. */
static bool can_be_asked(const struct vm *vm)
{
	return vm->hv->vm[vm->id] == vm;
}

/*
 * The first vcpu carries it out, as soon as all have parked; and it must be woken even if it has. Under hv->lock: what is asked for may
 * be the VM's end, and claim() must not find all of them blocked before each has been told.
 */
static void ask_locked(struct vm *vm, u32 action)
{
	unsigned i;

	__atomic_fetch_or(&vm->actions, action, __ATOMIC_ACQ_REL);
	for (i = 0; i < vm->cpus; i++)
		vcpu_notify(&vm->vcpu[i], REQ_STOP);
}

static void ask(struct vm *vm, u32 action)
{
	struct hv *hv = vm->hv;

	spin_lock(&hv->lock);
	if (can_be_asked(vm))
		ask_locked(vm, action);
	spin_unlock(&hv->lock);
}

void vm_start(struct vm *vm)
{
	struct hv *hv = vm->hv;
	bool twice;

	spin_lock(&hv->lock);
	if (!can_be_asked(vm)) {
		spin_unlock(&hv->lock);
		return;
	}
	/* Counted first, lest the last one that runs ends everything meanwhile; and once, however often it is asked for. */
	__atomic_fetch_add(&hv->live, 1, __ATOMIC_ACQ_REL);
	twice = __atomic_fetch_or(&vm->actions, VM_START, __ATOMIC_ACQ_REL) & VM_START;
	/* Not VM_START again: it may have been carried out by now, and a second one would be counted down. */
	ask_locked(vm, 0);
	spin_unlock(&hv->lock);
	if (twice)
		hv_ended(hv, false);
}

void vm_restart(struct vm *vm)
{
	vm->reset_how = "by the monitor";
	ask(vm, VM_RESET | VM_FORCE);
}

void vm_stop(struct vm *vm)
{
	ask(vm, VM_STOP | VM_QUIET);
}

void vm_pause(struct vm *vm)
{
	ask(vm, VM_PAUSE);
}

void vm_resume(struct vm *vm)
{
	ask(vm, VM_RESUME);
}

void vm_request_destroy(struct vm *vm, void (*destroyed)(struct vm *vm))
{
	struct hv *hv = vm->hv;

	spin_lock(&hv->lock);
	if (can_be_asked(vm)) {
		vm->destroyed = destroyed;
		ask_locked(vm, VM_DESTROY);
	}
	spin_unlock(&hv->lock);
}

/* ---- Ends --------------------------------------------------------------------------------- */

void vm_kill(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	/* One reason is enough: another vcpu's comes too late. Nothing is done before the caller has parked. */
	if (__atomic_fetch_or(&vm->actions, VM_KILL, __ATOMIC_ACQ_REL) & VM_KILL)
		return;
	va_start(ap, fmt);
	fmt_v(vm->why, sizeof(vm->why), fmt, ap);
	va_end(ap);
	log_err("guest %s was stopped: %s", vm->name, vm->why);
	ask(vm, VM_KILL);
}

void vm_request_reset(struct vm *vm, const char *how)
{
	vm->reset_how = how;
	ask(vm, VM_RESET);
}

void vm_request_poweroff(struct vm *vm)
{
	ask(vm, VM_STOP);
}

/* Where there are several vcpus, one at a time comes here. */
void vm_request_exit(struct vm *vm, u32 value)
{
	if (vm->exited)
		return;
	vm->exited = true;
	vm->exit_value = value;
	ask(vm, VM_STOP);
}
