/* SPDX-License-Identifier: MIT */
/*
 * A VM's life: creation, boot, reset, end. Called by boot/main.c. A guest's faults end here too, in vm_kill():
 * that guest stops with a reason, and nothing else happens.
 */
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
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

/* ---- Creation ----------------------------------------------------------------------------- */

/* The tables first: no table may map memory that is no longer the guest's. */
static void destroy_memory(struct vm *vm)
{
	pt_destroy(&vm->npt);
	gmem_destroy(&vm->gmem);
}

static int create_memory(struct vm *vm, u64 mem, struct load_error *why)
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
	ret = pt_init(&vm->npt, vm->ops->npt_format, &npt_mem, vm->caps->large_pages | 1);
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

static int create_devices(struct vm *vm)
{
	const struct vm_device *d;

	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	for (d = vm->devices; d->name; d++) {
		int ret = d->create(vm);

		if (ret) {
			log_err("guest %s: device %s cannot be made (%d)", vm->name, d->name, ret);
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

int vm_create(struct vm *vm, const struct vm_params *p, struct load_error *why)
{
	int ret;

	memset(vm, 0, sizeof(*vm));
	vm->name = p->name;
	vm->cpus = 1;
	vm->ops = p->ops;
	vm->caps = p->caps;
	vm->clock = p->clock;
	vm->image = p->image;
	vm->console = p->console;
	vm->devices = p->devices;
	vm->hypercall_console = p->hypercall_console || p->hypercall_compat;
	vm->hypercall_compat = p->hypercall_compat;
	vm->tsc_hz = host_tick_hz();
	vm->policy = (struct vm_policy){msr_passthrough_rows, msr_passthrough_count};
	kvmclock_init(vm);
	fmt_s(why->text, sizeof(why->text),
	      "there is too little memory for the guest's tables: add memory");
	ret = create_memory(vm, p->mem, why);
	if (ret)
		return ret;
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
	ret = create_devices(vm);
	if (ret)
		goto fail_vcpus;
	return 0;

fail_vcpus:
	destroy_vcpus(vm, vm->cpus);
fail_memory:
	destroy_memory(vm);
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
	vm->state = VM_STOPPED;
}

/* ---- Boot and run ------------------------------------------------------------------------- */

int vm_boot(struct vm *vm, struct load_error *why)
{
	struct load_entry entry;
	unsigned i;
	int ret;

	fmt_s(why->text, sizeof(why->text),
	      "the guest's firmware tables do not fit into its memory: give it more with mem=");
	ret = load_acpi(&vm->gmem, &vm->machine);
	if (!ret)
		ret = load_mptable(&vm->gmem, &vm->machine);
	if (!ret)
		ret = load_reset_vector(&vm->gmem);
	if (!ret)
		ret = load_bzimage(&vm->gmem, &vm->machine, &vm->image, &entry, why);
	if (ret)
		return ret;
	vm->boot_ticks = host_ticks();
	reset_devices(vm);
	for (i = 0; i < vm->cpus; i++) {
		vm->ops->load(&vm->vcpu[i]);
		vcpu_reset(&vm->vcpu[i]);
		if (i == 0)
			vcpu_enter_linux(&vm->vcpu[i], &entry);
		vm->ops->put(&vm->vcpu[i]);
	}
	vm->state = VM_RUNNING;
	return 0;
}

#define RESETS_LOGGED 16 /* one by one; then the powers of two */

static int vm_restart(struct vm *vm)
{
	struct load_error why;
	int ret;

	vm->resets++;
	/* A guest that does nothing else must not fill the log. */
	if (vm->resets <= RESETS_LOGGED || !(vm->resets & (vm->resets - 1)))
		log_info("guest %s restarts (%s), %llu so far", vm->name, vm->reset_how,
			 (unsigned long long)vm->resets);
	__atomic_fetch_and(&vm->vcpu[0].requests, ~(u32)REQ_RESET, __ATOMIC_ACQ_REL);
	ret = gmem_scrub(&vm->gmem);
	if (!ret)
		ret = vm_boot(vm, &why);
	else
		fmt_s(why.text, sizeof(why.text), "its memory could not be cleared");
	if (ret) {
		vm_kill(vm, "it cannot be restarted: %s", why.text);
		return ret;
	}
	vcpu_request(&vm->vcpu[0], REQ_FLUSH);
	return 0;
}

static void console_input(void *arg)
{
	vcpu_request(&((struct vm *)arg)->vcpu[0], REQ_INPUT);
}

void vm_run(struct vm *vm)
{
	struct vcpu *v = &vm->vcpu[0];

	host_console_listen(console_input, vm);
	vcpu_request(v, REQ_INPUT); /* what was typed before */
	while (vm->state == VM_RUNNING) {
		vm->ops->load(v);
		vcpu_run(v);
		vm->ops->put(v);
		if (vm->state == VM_RUNNING &&
		    __atomic_load_n(&v->requests, __ATOMIC_ACQUIRE) & REQ_RESET && vm_restart(vm))
			break;
	}
	host_console_listen(NULL, NULL);
	host_timer_arm(HOST_TIMER_OFF);
	if (vm->state == VM_STOPPED)
		log_info("guest %s has powered off", vm->name);
	exit_log_counts(v);
}

/* ---- Ends --------------------------------------------------------------------------------- */

void vm_kill(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_v(vm->why, sizeof(vm->why), fmt, ap);
	va_end(ap);
	vm->state = VM_DEAD;
	log_err("guest %s was stopped: %s", vm->name, vm->why);
	vcpu_request(&vm->vcpu[0], REQ_KILL);
}

void vm_request_reset(struct vm *vm, const char *how)
{
	vm->reset_how = how;
	vcpu_request(&vm->vcpu[0], REQ_RESET);
}

void vm_request_poweroff(struct vm *vm)
{
	if (vm->state == VM_RUNNING)
		vm->state = VM_STOPPED;
	vcpu_request(&vm->vcpu[0], REQ_KILL);
}
