/* SPDX-License-Identifier: MIT */
/*
 * The guests that the machine is started with: a lone one, by the options and GRUB's modules or what the image holds, or
 * those of havoc.conf. Called by main.c. Whatever stands in the way of all of them ends the start (refuse()); what stands
 * in the way of one is told, and the others are made.
 */
#include "boot/guest.h"
#include "boot/main.h"

#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>
#include <vmm/vm.h>

/* What a guest costs beside its own memory: nested tables, the vcpu, the VM itself. */
#define GUEST_OVERHEAD MiB(2)

/* The guest in the image (mk/metal.mk). */
extern const u8 embedded_kernel_start[], embedded_kernel_end[];
extern const u8 embedded_initrd_start[], embedded_initrd_end[];
extern const char embedded_cmdline[];

/* ---- A lone guest ----------------------------------------------------------------------------------------------- */

void guests_choose(struct boot *b)
{
	const struct guest_embedded embedded = {
		.kernel = embedded_kernel_start,
		.kernel_size = (u64)(embedded_kernel_end - embedded_kernel_start),
		.initrd = embedded_initrd_start,
		.initrd_size = (u64)(embedded_initrd_end - embedded_initrd_start),
		.cmdline = embedded_cmdline,
	};
	struct load_error why = {{0}};

	if (guest_config_module(&b->info))
		return;
	if (guest_choose(&b->image, &b->info, &b->config, &embedded, host_va, &why))
		refuse("%s", why.text);
	if (b->config.mem + GUEST_OVERHEAD > host_mem_free_bytes())
		refuse("the guest needs %llu MiB, and of this machine's %llu MiB only %llu are free: add memory, or give the guest less (mem=)",
		       mib(b->config.mem + GUEST_OVERHEAD), mib(host.ram_bytes),
		       mib(host_mem_free_bytes()));
}

static void guest_gone(struct vm *vm)
{
	host_mem_free(host_pa(vm), vm_size(vm->cpus));
}

/* Makes it; it is started later. */
static int guest_create(struct boot *b, const struct vm_params *p, struct load_error *why)
{
	u64 before = host_mem_free_bytes();
	struct vm *vm;
	hpa_t pa;
	int ret = host_mem_alloc(vm_size(p->cpus), PAGE_SIZE, &pa);

	if (ret) {
		fmt_s(why->text, sizeof(why->text),
		      "there is too little memory for it: add memory");
		return ret;
	}
	vm = host_va(pa);
	ret = vm_create(vm, p, why);
	if (ret) {
		guest_gone(vm);
		return ret;
	}
	if (!b->hv.console_vm)
		b->hv.console_vm = vm;
	log_debug("guest %s takes %llu KiB beside its memory and its page tables", p->name,
		  (unsigned long long)(before - host_mem_free_bytes() - vm->gmem.size -
				       vm->npt.pages * PAGE_SIZE) >>
			  10);
	return 0;
}

static struct vm_params guest_params(struct boot *b, const char *name, u64 mem)
{
	return (struct vm_params){
		.name = name,
		.mem = mem,
		.cpus = 1,
		.ops = b->ops,
		.caps = &b->caps,
		.hv = &b->hv,
		.weight = SCHED_WEIGHT_DEFAULT,
		.affinity = ~0ULL,
		.on_reboot = CONF_RESTART,
		.on_crash = CONF_HOLD,
		.devices = pc_devices,
	};
}

static void lone_guest_create(struct boot *b)
{
	struct vm_params p = guest_params(b, "guest", b->config.mem);
	struct load_error why = {{0}};

	p.lone = true;
	p.image = b->image;
	p.cpus = b->config.cpus;
	if (!host.all_cpus)
		p.affinity = BIT(0);
	p.hypercall_console = b->config.hypercall_console;
	p.hypercall_compat = b->config.hypercall_compat;
	p.left_out = MACHINE_USUAL | b->config.machine;
	p.exit_port = b->config.exit_port;
	if (guest_create(b, &p, &why))
		refuse("%s", why.text);
}

/* ---- havoc.conf ------------------------------------------------------------------------------------------------- */

static void conf_mistake_log(unused void *ctx, unsigned line, const char *sentence)
{
	if (line)
		log_warn("havoc.conf:%u: %s", line, sentence);
	else
		log_warn("havoc.conf: %s", sentence);
}

static bool conf_has_image(void *ctx, const char *name)
{
	return guest_image_module(&((struct boot *)ctx)->info, name);
}

static void conf_read(struct boot *b, const struct boot_module *m)
{
	const struct conf_report report = {.mistake = conf_mistake_log};
	const struct conf_machine machine = {.cpus = host.cpus,
					     .memory = host_mem_free_bytes(),
					     .has_image = conf_has_image,
					     .ctx = b};
	hpa_t pa;

	if (host_mem_alloc(ALIGN_UP(sizeof(struct conf), PAGE_SIZE), PAGE_SIZE, &pa))
		refuse("there is too little memory for havoc.conf: add memory");
	b->conf = host_va(pa);
	conf_parse(b->conf, host_va(m->start), m->end - m->start, &report);
	conf_check(b->conf, &machine, &report);
	if (b->conf->on_error_set)
		host.on_error = b->conf->on_error;
	if (b->conf->on_idle_set)
		b->config.on_idle = b->conf->on_idle;
}

static bool conf_guest_create(struct boot *b, struct conf_vm *v)
{
	struct vm_params p = guest_params(b, v->name, v->memory);
	struct load_error why = {{0}};

	p.hypercall_console = v->hypercalls == CONF_HYPERCALLS_CONSOLE;
	p.hypercall_compat = v->hypercalls == CONF_HYPERCALLS_COMPAT;
	p.left_out = v->left_out | v->machine;
	p.exit_port = v->exit_port;
	p.weight = v->weight;
	p.cpus = v->cpus;
	p.affinity = v->affinity;
	p.dedicated = v->dedicated;
	p.on_reboot = v->on_reboot;
	p.on_crash = v->on_crash;
	p.watchdog = v->watchdog;
	p.destroyed = guest_gone;
	if (guest_images(&p.image, v, &b->info, host_va, &why) || guest_create(b, &p, &why)) {
		log_err("guest %s cannot be started: %s", v->name, why.text);
		return false;
	}
	return true;
}

/* Every guest that can be made; the mistakes of one are not the others'. */
static void conf_guests_create(struct boot *b)
{
	struct conf *c = b->conf;
	unsigned made = 0;

	for (unsigned i = 0; i < c->vms; i++) {
		if (c->vm[i].dedicated && !c->vm[i].broken)
			sched_reserve(&b->hv.sched, c->vm[i].affinity);
	}
	for (unsigned i = 0; i < c->vms; i++) {
		struct conf_vm *v = &c->vm[i];

		if (v->broken)
			log_warn("guest %s is not started: its part of havoc.conf has a mistake",
				 v->name);
		else if (!v->autostart)
			log_info("guest %s is not started: its autostart is off", v->name);
		else
			made += conf_guest_create(b, v);
	}
	if (!made)
		refuse("no guest can be started: havoc.conf has no section [vm NAME] without a mistake");
	b->hv.many = made > 1;
	for (unsigned i = 0; i < HV_VMS_MAX; i++) {
		if (b->hv.vm[i] && !strcmp(b->hv.vm[i]->name, c->input))
			b->hv.console_vm = b->hv.vm[i];
	}
}

void guests_create(struct boot *b)
{
	const struct boot_module *config = guest_config_module(&b->info);
	char what[48] = "guests by havoc.conf", cpus[16] = "";

	if (!config)
		fmt_s(what, sizeof(what), "the guest gets %llu MiB", mib(b->config.mem));
	if (host.cpus > 1)
		fmt_s(cpus, sizeof(cpus), "%u CPUs, ", host.cpus);
	log_info("%s, %s%llu MiB of memory, %llu MiB free; %s", b->ops->name, cpus,
		 mib(host.ram_bytes), mib(host_mem_free_bytes()), what);
	hv_init(&b->hv, host.cpus);
	if (config) {
		conf_read(b, config);
		conf_guests_create(b);
	} else {
		lone_guest_create(b);
	}
}
