/* SPDX-License-Identifier: MIT */
/*
 * The boot order: from boot/entry.S to the guest and to the end of the machine. boot_main() is the whole of it; each
 * step says in one sentence what stands in its way, and then the machine does what on-error= asks for.
 * docs/architecture.md "Boot".
 */
#include "arch/host/host.h"
#include "boot/doctor.h"
#include "boot/guest.h"
#include "boot/main.h"
#include "boot/mb2.h"

#include <arch/cpuid.h>
#include <vmm/backend.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/hash.h>
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/log.h>
#include <vmm/string.h>
#include <vmm/vm.h>

#define EGA_TEXT_ADDRESS 0xb8000

/* Too large for the stack. */
static struct boot boot;

/* In VMX operation a CPU blocks INIT, by which some machines reset: SDM vol. 3 "Restrictions on VMX Operation". */
void backend_leave(void)
{
	if (boot.enabled)
		boot.ops->cpu_disable();
	boot.enabled = false;
}

static void ignore_mistake(unused void *ctx, unused const char *sentence)
{
}

static void report_mistake(unused void *ctx, const char *sentence)
{
	log_warn("%s", sentence);
}

/* ---- Console ---------------------------------------------------------------------------------------------------- */

static void screen_start(const struct boot_fb *fb)
{
	const struct fb_params p = {
		.addr = fb->addr,
		.pitch = fb->pitch,
		.width = fb->width,
		.height = fb->height,
		.bpp = fb->bpp,
		.red_pos = fb->red_pos,
		.red_bits = fb->red_bits,
		.green_pos = fb->green_pos,
		.green_bits = fb->green_bits,
		.blue_pos = fb->blue_pos,
		.blue_bits = fb->blue_bits,
	};

	if (fb->type == BOOT_FB_RGB)
		console_screen_fb(&host.console, &p);
	else if (fb->type == BOOT_FB_EGA_TEXT && fb->addr == EGA_TEXT_ADDRESS)
		console_screen_vga(&host.console, fb->width, fb->height);
	else if (fb->type == BOOT_FB_NONE && !boot.info.efi)
		console_screen_vga(&host.console, 80, 25);
}

/* The command line says where the console is, so it is read twice: mistakes can be told only now. */
static void console_init(void)
{
	struct config *c = &boot.config;

	config_defaults(c);
	(void)config_parse(c, boot.info.cmdline, ignore_mistake, NULL);
	host.on_error = c->on_error;
	log_set_level((enum log_level)c->loglevel);
	if (c->console_serial)
		console_serial_init(&host.console, c->console_port, c->console_speed);
	if (c->console_screen)
		screen_start(&boot.info.fb);
	host.console.kbd.map.layout = c->keymap;
	log_info("Havoc " HAVOC_VERSION);
	config_defaults(c);
	(void)config_parse(c, boot.info.cmdline, report_mistake, NULL);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static void memory_init(void)
{
	const struct boot_info *info = &boot.info;

	for (unsigned i = 0; i < info->mem_count; i++) {
		const struct boot_mem *m = &info->mem[i];

		log_debug("memory: 0x%011llx-0x%011llx %s", (unsigned long long)m->base,
			  (unsigned long long)(m->base + m->size - 1), m->ram ? "RAM" : "reserved");
		if (m->ram)
			memory_add_ram(m->base, m->size);
	}
	for (unsigned i = 0; i < info->mem_count; i++) {
		if (!info->mem[i].ram)
			memory_add_reserved(info->mem[i].base, info->mem[i].size);
	}
	memory_map_done();
	for (unsigned i = 0; i < info->module_count; i++)
		memory_keep(info->module[i].start, info->module[i].end - info->module[i].start);
	log_area_init();
	memory_keep_done();
	if (!host.ram_bytes)
		refuse("the boot loader gave no memory map: boot by GRUB 2, command multiboot2");
	if (info->dropped)
		log_warn(
			"%u entries of the boot information were nonsense or too many, and are left out",
			info->dropped);
	if (paging_init())
		refuse("there is too little memory for page tables: %llu MiB are free",
		       mib(host_mem_free_bytes()));
	if (boot.config.console_screen) /* one above 4 GiB could not be reached before */
		screen_start(&info->fb);
}

/* ---- Preflight -------------------------------------------------------------------------------------------------- */

static const struct backend_ops *backend_find(void)
{
	u32 r[4];

	host_cpuid(1, 0, r);
	if (r[CPUID_ECX] & CPUID1C_VMX)
		return &vmx_backend;
	host_cpuid(0x80000001, 0, r);
	if (r[CPUID_ECX] & CPUIDX1C_SVM)
		return &svm_backend;
	return NULL;
}

/*
 * Whether the CPU can do what the first one can, so that a guest may run on either: all that the back end makes use of, and
 * the features of which guests are told.
 */
static bool caps_equal(const struct backend_caps *a, const struct backend_caps *b)
{
	return a->large_pages == b->large_pages && a->run_deadline == b->run_deadline &&
	       a->rdtscp == b->rdtscp && a->invpcid == b->invpcid && a->phys_bits == b->phys_bits &&
	       a->kind == b->kind;
}

/* Feature words that guests see; not what differs between CPUs of one machine: their IDs, caches, and what is on or off. */
static const struct {
	u32 leaf, subleaf;
	u8 reg;
	u32 mask;
} feature_words[] = {
	{1, 0, CPUID_ECX, ~(u32)CPUID1C_OSXSAVE},
	{1, 0, CPUID_EDX, ~0U},
	{7, 0, CPUID_EBX, ~0U},
	{7, 0, CPUID_ECX, ~(u32)CPUID7C_OSPKE},
	{7, 0, CPUID_EDX, ~0U},
	{0xd, 0, CPUID_EAX, ~0U},
	{0xd, 1, CPUID_EAX, ~0U},
	{0x80000001, 0, CPUID_ECX, ~0U},
	{0x80000001, 0, CPUID_EDX, ~0U},
	{0x80000008, 0, CPUID_EAX, 0xffff},
	{0x80000008, 0, CPUID_EBX, ~0U},
};

static u64 features_add(u64 hash)
{
	for (unsigned i = 0; i < ARRAY_SIZE(feature_words); i++) {
		u32 r[4], word;

		host_cpuid(feature_words[i].leaf, feature_words[i].subleaf, r);
		word = r[feature_words[i].reg] & feature_words[i].mask;
		hash = hash_bytes(hash, &word, sizeof(word));
	}
	return hash;
}

static int probe(struct backend_caps *caps, struct backend_problem *problem)
{
	int ret = boot.ops->probe(caps, problem);

	if (!ret)
		caps->kind = features_add(caps->kind);
	return ret;
}

static void backend_init(void)
{
	boot.ops = backend_find();
	if (!boot.ops)
		refuse("this CPU offers neither VMX (Intel VT-x) nor SVM (AMD-V): turn virtualization on in the firmware setup if it is there, else take another machine");
	if (probe(&boot.caps, &boot.problem) || boot.ops->cpu_enable(&boot.problem))
		refuse("%s", boot.problem.text);
	host.virtualisation_off = boot.ops->cpu_disable;
	boot.enabled = true;
}

/* What each CPU but the first does: it waits until there are guests, runs them, and waits for the end. */
static void cpu_run(struct pcpu *cpu)
{
	struct backend_problem problem = {{0}};
	struct backend_caps caps = {0};

	if (probe(&caps, &problem))
		smp_report(cpu, problem.text);
	if (!caps_equal(&caps, &boot.caps))
		smp_report(cpu, "it is of another kind than the first CPU");
	if (boot.ops->cpu_enable(&problem))
		smp_report(cpu, problem.text);
	smp_report(cpu, NULL);
	while (!__atomic_load_n(&boot.ready, __ATOMIC_ACQUIRE))
		host_idle();
	cpu_loop(&boot.hv, cpu->number);
}

/* A lone guest with one CPU stays where it is: the other CPUs are left as the firmware has left them. */
static bool wants_all_cpus(void)
{
	return guest_config_module(&boot.info) || boot.config.cpus > 1;
}

/* ---- The guests -------------------------------------------------------------------------------------------------- */

static void guests_start(void)
{
	for (unsigned i = 0; i < HV_VMS_MAX; i++) {
		if (boot.hv.vm[i])
			vm_start(boot.hv.vm[i]);
	}
	__atomic_store_n(&boot.ready, 1, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < host.cpus; i++)
		host_kick(i);
}

static void log_counts(void)
{
	for (unsigned i = 0; i < boot.hv.cpus; i++)
		log_debug("CPU %u: %llu turns, %llu exits for the scheduler alone", i,
			  (unsigned long long)boot.hv.sched.cpu[i].switches,
			  (unsigned long long)boot.hv.cpu[i].sched_exits);
}

static _Noreturn void guest_end(u64 entry_tsc)
{
	backend_leave();
	log_counts();
	log_debug("the end, %llu ticks after the boot loader",
		  (unsigned long long)(host_ticks() - entry_tsc));
	if (boot.hv.died) /* the log says why */
		host_end(host.on_error);
	log_info("the last guest has stopped: %s", boot.config.on_idle == END_POWEROFF ?
							   "powering off" :
						   boot.config.on_idle == END_REBOOT ? "rebooting" :
										       "halting");
	host_end(boot.config.on_idle);
}

/* In the place of guests, for doctor=: goes as far as it can, whatever there is not. */
static _Noreturn void doctor_end(void)
{
	boot.apic = irq_init();
	if (boot.apic)
		time_start();
	boot.ops = backend_find();
	if (boot.ops)
		(void)probe(&boot.caps, &boot.problem);
	if (boot.apic && time_finish())
		console_start();
	else
		host.time.tsc_hz = 0;
	doctor_print(&boot, boot.config.doctor == DOCTOR_JSON);
	log_info(
		"the doctor is done, and no guest is started: put all of the above into a bug report; restart the machine to start guests");
	host_halt();
}

/* ---- The order of it all ---------------------------------------------------------------------------------------- */

void boot_main(u32 magic, u32 mbi, u64 entry_tsc, u64 load_delta)
{
	int bad_info;

	host_init(load_delta, entry_tsc);
	cpu_tables_init(&host.boot_cpu);
	bad_info = magic == MB2_BOOT_MAGIC ?
			   boot_info_parse(&boot.info, host_va(mbi), MB2_SIZE_MAX) :
			   -HV_EINVAL;
	console_init();
	if (bad_info)
		refuse("the boot loader's information makes no sense: boot by GRUB 2, command multiboot2");
	host.all_cpus = wants_all_cpus();
	memory_init();
	acpi_init(boot.info.rsdp, boot.info.rsdp_len, boot.info.efi_system_table);
	if (boot.config.doctor)
		doctor_end();
	boot.apic = irq_init();
	if (!boot.apic)
		refuse("this CPU's local APIC is absent or turned off: turn it on in the firmware setup, or take another machine");
	time_start();
	backend_init();
	guests_choose(&boot);
	if (!time_finish())
		refuse("this machine has no clock to measure time by: neither an ACPI PM timer nor a PIT");
	console_start();
	if (host.all_cpus)
		smp_start(cpu_run);
	guests_create(&boot);
	monitor_start(&boot);
	guests_start();
	log_debug("starting the guest %llu ticks after the boot loader",
		  (unsigned long long)(host_ticks() - entry_tsc));
	cpu_loop(&boot.hv, 0);
	guest_end(entry_tsc);
}
