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

void guest_free(void *boot, unsigned number, struct vm *vm)
{
	mux_set_vm(&((struct boot *)boot)->mux, number, NULL);
	host_mem_free(host_pa(vm), vm_size(vm->cpus));
}

/* ---- A serial port of its own ----------------------------------------------------------------------------------- */

static void serial_write(void *ctx, const u8 *buf, size_t len)
{
	host_serial_write(((const struct guest_serial *)ctx)->port, buf, len);
}

static size_t serial_read(void *ctx, u8 *buf, size_t max)
{
	return host_serial_read(((const struct guest_serial *)ctx)->port, buf, max);
}

/* hv_input() compares only: the guest may be gone. */
static void serial_arrived(void *ctx)
{
	const struct guest_serial *s = ctx;

	hv_input(&s->boot->hv, __atomic_load_n(&s->boot->guest[s->guest - 1].vm, __ATOMIC_ACQUIRE));
}

static int serial_attach(struct boot *b, unsigned number, unsigned com, struct vm_console *out,
			 struct load_error *why)
{
	static const u16 ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
	struct guest_serial *s = &b->serial[number - 1];

	*s = (struct guest_serial){.boot = b, .guest = number};
	s->port = host_serial_open(ports[com - 1], serial_arrived, s);
	if (s->port == -HV_EBUSY)
		fmt_s(why->text, sizeof(why->text),
		      "com%u is the console's own: give it another, or move the console (option console=)",
		      com);
	else if (s->port < 0)
		fmt_s(why->text, sizeof(why->text),
		      "it is to have com%u, and this machine has no such serial port", com);
	if (s->port < 0)
		return s->port;
	*out = (struct vm_console){.dev = {.write = serial_write, .read = serial_read, .ctx = s}};
	return 0;
}

/* ---- Making one ------------------------------------------------------------------------------------------------- */

/* Makes guest `number`; it is started later. `com`: as struct conf_vm.serial. */
static int guest_create(struct boot *b, unsigned number, unsigned com, struct vm_params *p,
			struct load_error *why)
{
	struct vm *vm;
	u64 before;
	hpa_t pa;
	int ret;

	fmt_s(why->text, sizeof(why->text), "there is too little memory for it: add memory");
	if (com)
		ret = serial_attach(b, number, com, &p->console, why);
	else
		ret = mux_attach(&b->mux, number, p->name, &p->console);
	before = host_mem_free_bytes(); /* the terminal's rings apart */
	if (!ret)
		ret = host_mem_alloc(vm_size(p->cpus), PAGE_SIZE, &pa);
	if (ret)
		return ret;
	vm = host_va(pa);
	ret = vm_create(vm, p, why);
	if (ret) {
		host_mem_free(pa, vm_size(p->cpus));
		return ret;
	}
	if (com)
		mux_leave_out(&b->mux, number);
	else
		mux_set_vm(&b->mux, number, vm);
	b->guest[number - 1].vm = vm;
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
		.destroyed = monitor_vm_gone,
	};
}

static int lone_guest_make(struct boot *b, struct load_error *why)
{
	struct vm_params p = guest_params(b, "guest", b->config.mem);

	p.lone = true;
	p.image = b->image;
	p.cpus = b->config.cpus;
	if (!host.all_cpus)
		p.affinity = BIT(0);
	p.hypercall_console = b->config.hypercall_console;
	p.hypercall_compat = b->config.hypercall_compat;
	p.left_out = MACHINE_USUAL | b->config.machine;
	p.exit_port = b->config.exit_port;
	return guest_create(b, 1, 0, &p, why);
}

static void lone_guest_create(struct boot *b)
{
	struct load_error why = {{0}};

	b->guests = 1;
	b->guest[0] = (struct monitor_guest){
		.name = "guest", .cpus = b->config.cpus, .mem = b->config.mem};
	if (lone_guest_make(b, &why))
		refuse("%s", why.text);
	mux_begin(&b->mux, 1, false);
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

static int conf_guest_make(struct boot *b, unsigned number, struct load_error *why)
{
	struct conf_vm *v = &b->conf->vm[number - 1];
	struct vm_params p = guest_params(b, v->name, v->memory);
	int ret;

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
	ret = guest_images(&p.image, v, &b->info, host_va, why);
	return ret ? ret : guest_create(b, number, v->serial, &p, why);
}

int guest_make(void *boot, unsigned number, struct load_error *why)
{
	struct boot *b = boot;

	return b->conf ? conf_guest_make(b, number, why) : lone_guest_make(b, why);
}

static bool conf_guest_create(struct boot *b, unsigned number)
{
	struct load_error why = {{0}};

	if (!conf_guest_make(b, number, &why))
		return true;
	log_err("guest %s cannot be started: %s", b->conf->vm[number - 1].name, why.text);
	return false;
}

/* Several guests share the terminal line by line, until the user chooses one. */
static void conf_view(struct boot *b, unsigned made)
{
	unsigned chosen = 0;

	for (unsigned i = b->guests; i-- > 0;)
		if (b->guest[i].vm && !b->conf->vm[i].serial)
			chosen = i + 1;
	for (unsigned i = 0; i < b->guests; i++)
		if (b->guest[i].vm && !strcmp(b->guest[i].name, b->conf->input))
			chosen = i + 1;
	mux_begin(&b->mux, chosen, made != 1);
}

/* Before it is made. */
static struct monitor_guest conf_guest(const struct conf_vm *v)
{
	return (struct monitor_guest){
		.name = v->name, .cpus = v->cpus, .mem = v->memory, .broken = v->broken};
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

		b->guest[i] = conf_guest(v);
		if (v->broken)
			log_warn("guest %s is not started: its part of havoc.conf has a mistake",
				 v->name);
		else if (!v->autostart)
			log_info("guest %s is not started: its autostart is off", v->name);
		else
			made += conf_guest_create(b, i + 1);
	}
	b->guests = c->vms;
	if (!made && b->config.on_idle != END_MONITOR)
		refuse("no guest can be started: the lines above say why; havoc.conf needs a section [vm NAME] without a mistake");
	conf_view(b, made);
}

/* ---- By the monitor --------------------------------------------------------------------------------------------- */

static void define_mistake(void *ctx, unused unsigned line, const char *sentence)
{
	report_error(ctx, "%s", sentence);
}

/* The parser sees this guest alone. */
static void tell_serial_taken(struct boot *b, const struct conf_vm *v, struct report *r)
{
	for (unsigned i = 0; v->serial && i < b->guests; i++) {
		const struct conf_vm *o = &b->conf->vm[i];

		if (!o->broken && o->serial == v->serial && strcmp(o->name, v->name))
			report_error(r, "com%u is guest %s's already: choose another", v->serial,
				     o->name);
	}
}

/* As a section of havoc.conf, and by its parser. */
static int define(struct boot *b, struct conf *c, const char *text, struct report *r)
{
	const struct conf_report report = {.mistake = define_mistake, .ctx = r};
	const struct conf_machine machine = {.cpus = host.cpus,
					     .memory = host_mem_free_bytes(),
					     .has_image = conf_has_image,
					     .ctx = b};
	unsigned slot = 0;

	conf_parse(c, text, strlen(text), &report);
	if (!c->mistakes)
		conf_check(c, &machine, &report);
	if (!c->mistakes && c->vm[0].dedicated)
		report_error(
			r,
			"dedicated=on is for guests of havoc.conf: CPUs are set aside before any guest runs");
	else if (!c->mistakes &&
		 !(c->vm[0].affinity & ~b->hv.sched.reserved & (BIT(host.cpus - 1) * 2 - 1)))
		report_error(
			r,
			"all CPUs on which guest %s may run are dedicated to others: leave it one",
			c->vm[0].name);
	tell_serial_taken(b, &c->vm[0], r);
	if (c->mistakes || r->failed)
		return -HV_EINVAL;
	/* One of that name that is not made is so no longer what it was. */
	while (slot < b->guests && strcmp(b->guest[slot].name, c->vm[0].name))
		slot++;
	b->conf->vm[slot] = c->vm[0];
	b->guest[slot] = conf_guest(&b->conf->vm[slot]);
	b->guests = MAX(b->guests, slot + 1);
	monitor_set_guests(b->monitor, b->guests);
	return (int)slot + 1;
}

/* The monitor's own words for guests. */
static bool is_taken(const char *name)
{
	size_t digits = 0;

	while (name[digits] >= '0' && name[digits] <= '9')
		digits++;
	return !strcmp(name, "all") || !name[digits];
}

int guest_define(void *boot, const char *name, const char *text, struct report *r)
{
	struct boot *b = boot;
	char section[CONF_CMDLINE_MAX];
	hpa_t pa;
	int ret;

	if (!b->conf || b->guests == CONF_VMS_MAX) {
		report_error(
			r,
			b->conf ?
				"there are as many guests as there can be" :
				"this machine was started without a havoc.conf, so no images are loaded");
		return -HV_ENOSPC;
	}
	if (is_taken(name)) {
		report_error(r, "a guest cannot be called %s: that has a meaning of its own here",
			     name);
		return -HV_EINVAL;
	}
	if (host_mem_alloc(ALIGN_UP(sizeof(struct conf), PAGE_SIZE), PAGE_SIZE, &pa)) {
		report_error(r, "there is too little memory");
		return -HV_ENOMEM;
	}
	fmt_s(section, sizeof(section), "[vm %s]\n%s", name, text);
	ret = define(b, host_va(pa), section, r);
	host_mem_free(pa, ALIGN_UP(sizeof(struct conf), PAGE_SIZE));
	return ret;
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

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
	mux_init(&b->mux, &b->hv, b->config.escape);
	b->mux.colour = b->config.colour;
	if (config) {
		conf_read(b, config);
		conf_guests_create(b);
	} else {
		lone_guest_create(b);
	}
}
