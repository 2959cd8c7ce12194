/* SPDX-License-Identifier: MIT */
/* What the doctor (boot/doctor.h) is handed of the running machine. Called by boot/main.c and the monitor. */
#include "boot/doctor.h"

#include "arch/host/host.h"
#include "boot/main.h"

#include <arch/cpu.h>
#include <vmm/host.h>
#include <vmm/log.h>

static void gather(const struct boot *b, struct doctor_facts *f)
{
	const struct console *c = &host.console;

	*f = (struct doctor_facts){
		.version = HAVOC_VERSION,
		.cpuid = host_cpuid,
		.rdmsr = rdmsr_safe,
		.backend = b->ops ? b->ops->name : NULL,
		.problem = b->problem.text,
		.cpuid_was_limited = host.cpuid_was_limited,
		.cpus = host.cpus,
		.info = &b->info,
		.acpi = &host.acpi,
		.ram_bytes = host.ram_bytes,
		.free_bytes = host_mem_free_bytes(),
		.apic = b->apic,
		.x2apic = b->apic && !host.lapic.mmio,
		.tsc_deadline = host.lapic.deadline_mode,
		.apic_id = host.boot_cpu.apic_id,
		.tsc_hz = host.time.tsc_hz,
		.tsc_by_pm = host.time.pm_port,
		.serial_wanted = b->config.console_serial,
		.serial_port = b->config.console_port,
		.serial = c->uart.present,
		.serial_irq = c->uart.irq,
		.screen = c->screen.ops,
		.screen_text = c->screen.vga,
		.screen_columns = c->screen.cols,
		.screen_rows = c->screen.rows,
	};
	if (b->ops)
		f->features = b->ops->features(f->feature, DOCTOR_FEATURES_MAX);
	f->last = log_last(&f->last_end, f->last_reason);
}

void doctor(const struct boot *b, struct report *r)
{
	struct doctor_facts f;

	gather(b, &f);
	doctor_report(&f, r);
}

static void write(unused void *ctx, const char *text, size_t len)
{
	host_console_write(text, len);
}

void doctor_print(const struct boot *b, bool json)
{
	struct report r = {.write = write, .json = json};

	report_begin(&r);
	doctor(b, &r);
	report_end(&r);
}
