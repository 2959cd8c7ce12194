/* SPDX-License-Identifier: MIT */
/*
 * The boot order: from boot/entry.S to the guest and to the end of the machine. boot_main() is the whole of it; each
 * step says in one sentence what stands in its way, and then the machine does what on-error= asks for.
 * docs/architecture.md "Boot".
 */
#include "arch/host/host.h"
#include "boot/guest.h"
#include "boot/main.h"
#include "boot/mb2.h"

#include <arch/cpuid.h>
#include <vmm/backend.h>
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/log.h>
#include <vmm/string.h>
#include <vmm/vm.h>

/* What a guest costs beside its own memory: nested tables, the vcpu, the VM itself. */
#define GUEST_OVERHEAD MiB(2)

#define EGA_TEXT_ADDRESS 0xb8000

/* The guest in the image (mk/metal.mk). */
extern const u8 embedded_kernel_start[], embedded_kernel_end[];
extern const u8 embedded_initrd_start[], embedded_initrd_end[];
extern const char embedded_cmdline[];

/* Too large for the stack; nobody else's. */
struct boot {
	struct boot_info info;
	struct config config;
	const struct backend_ops *ops;
	struct backend_caps caps;
	bool enabled; /* the back end, on this CPU */
	struct load_image image;
	struct vm *vm;
};
static struct boot boot;

/* In VMX operation a CPU blocks INIT, by which some machines reset: SDM vol. 3 "Restrictions on VMX Operation". */
static void backend_leave(void)
{
	if (boot.enabled)
		boot.ops->cpu_disable();
	boot.enabled = false;
}

/* Never returns; `sentence` ends up in the log with the prefix of all lines. */
#define refuse(...)                                                                                \
	do {                                                                                       \
		log_err(__VA_ARGS__);                                                              \
		backend_leave();                                                                   \
		host_end(host.on_error);                                                           \
	} while (0)

static unsigned long long mib(u64 bytes)
{
	return bytes >> 20;
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

static void backend_init(void)
{
	struct backend_problem problem = {{0}};

	boot.ops = backend_find();
	if (!boot.ops)
		refuse("this CPU offers neither VMX (Intel VT-x) nor SVM (AMD-V): turn virtualization on in the firmware setup if it is there, else take another machine");
	if (boot.ops->probe(&boot.caps, &problem) || boot.ops->cpu_enable(&problem))
		refuse("%s", problem.text);
	boot.enabled = true;
}

static void guest_init(void)
{
	const struct guest_embedded embedded = {
		.kernel = embedded_kernel_start,
		.kernel_size = (u64)(embedded_kernel_end - embedded_kernel_start),
		.initrd = embedded_initrd_start,
		.initrd_size = (u64)(embedded_initrd_end - embedded_initrd_start),
		.cmdline = embedded_cmdline,
	};
	struct load_error why = {{0}};

	if (guest_choose(&boot.image, &boot.info, &boot.config, &embedded, host_va, &why))
		refuse("%s", why.text);
	if (boot.config.mem + GUEST_OVERHEAD > host_mem_free_bytes())
		refuse("the guest needs %llu MiB, and of this machine's %llu MiB only %llu are free: add memory, or give the guest less (mem=)",
		       mib(boot.config.mem + GUEST_OVERHEAD), mib(host.ram_bytes),
		       mib(host_mem_free_bytes()));
}

/* ---- The guest -------------------------------------------------------------------------------------------------- */

static void guest_console_write(unused void *ctx, const u8 *buf, size_t len)
{
	host_console_write((const char *)buf, len);
}

static size_t guest_console_read(unused void *ctx, u8 *buf, size_t max)
{
	return host_console_read(buf, max);
}

static void guest_start(void)
{
	const struct vm_params p = {
		.name = "guest",
		.mem = boot.config.mem,
		.image = boot.image,
		.hypercall_console = boot.config.hypercall_console,
		.hypercall_compat = boot.config.hypercall_compat,
		.ops = boot.ops,
		.caps = &boot.caps,
		.clock = &host.cpu.clock,
		.console = {.write = guest_console_write, .read = guest_console_read},
		.devices = pc_devices,
	};
	struct load_error why = {{0}};
	hpa_t pa;

	if (host_mem_alloc(ALIGN_UP(sizeof(struct vm), PAGE_SIZE), PAGE_SIZE, &pa))
		refuse("there is too little memory for the guest: add memory");
	boot.vm = host_va(pa);
	if (vm_create(boot.vm, &p, &why) || vm_boot(boot.vm, &why))
		refuse("%s", why.text);
}

static _Noreturn void guest_end(void)
{
	backend_leave();
	if (boot.vm->state == VM_DEAD) /* vm_kill() has said why */
		host_end(host.on_error);
	log_info("the last guest has stopped: %s", boot.config.on_idle == END_POWEROFF ?
							   "powering off" :
						   boot.config.on_idle == END_REBOOT ? "rebooting" :
										       "halting");
	host_end(boot.config.on_idle);
}

/* ---- The order of it all ---------------------------------------------------------------------------------------- */

void boot_main(u32 magic, u32 mbi, u64 entry_tsc, u64 load_delta)
{
	int bad_info;

	host_init(load_delta, entry_tsc);
	idt_init();
	bad_info = magic == MB2_BOOT_MAGIC ?
			   boot_info_parse(&boot.info, host_va(mbi), MB2_SIZE_MAX) :
			   -HV_EINVAL;
	console_init();
	if (bad_info)
		refuse("the boot loader's information makes no sense: boot by GRUB 2, command multiboot2");
	memory_init();
	acpi_init(boot.info.rsdp, boot.info.rsdp_len, boot.info.efi_system_table);
	if (!irq_init())
		refuse("this CPU's local APIC is absent or turned off: turn it on in the firmware setup, or take another machine");
	time_start();
	backend_init();
	guest_init();
	if (!time_finish())
		refuse("this machine has no clock to measure time by: neither an ACPI PM timer nor a PIT");
	console_start();
	log_info("%s, %llu MiB of memory, %llu MiB free; the guest gets %llu MiB", boot.ops->name,
		 mib(host.ram_bytes), mib(host_mem_free_bytes()), mib(boot.config.mem));
	guest_start();
	log_debug("starting the guest %llu ticks after the boot loader",
		  (unsigned long long)(host_ticks() - entry_tsc));
	vm_run(boot.vm);
	guest_end();
}
