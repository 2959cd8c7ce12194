/* SPDX-License-Identifier: MIT */
/* The monitor's machine: what it asks for beside the guests, and how it comes to the terminal. Called by main.c. */
#include "boot/main.h"

#include "boot/doctor.h"
#include "boot/guest.h"

#include <vmm/host.h>
#include <vmm/string.h>

static void tell_text(struct report *r, const char *text, size_t size)
{
	size_t at = 0;

	while (at < size && text[at]) {
		size_t n = 0;

		while (at + n < size && text[at + n] && text[at + n] != '\n')
			n++;
		report_item(r, "%.*s", (int)MIN(n, (size_t)REPORT_VALUE_MAX), text + at);
		at += n + 1;
	}
}

static void tell_config(void *boot, struct report *r)
{
	const struct boot *b = boot;
	const struct boot_module *m = guest_config_module(&b->info);

	report_text(r, "options", "options", "%s", b->info.cmdline);
	if (!m) {
		report_line(r, "There is no havoc.conf: a lone guest runs by these options.");
		return;
	}
	report_line(r, "havoc.conf:");
	report_list(r, "havoc_conf");
	tell_text(r, host_va(m->start), m->end - m->start);
	report_list_end(r);
}

static void tell_memory(unused void *boot, struct report *r)
{
	report_number(r, "total_kib", "this machine's", host.ram_bytes >> 10, "KiB");
	report_number(r, "free_kib", "of it free", host_mem_free_bytes() >> 10, "KiB");
}

static void tell_doctor(void *boot, struct report *r)
{
	doctor(boot, r);
}

static u32 apic_id(unused void *boot, unsigned cpu)
{
	return host.cpu[cpu]->apic_id;
}

static void end(u8 action)
{
	backend_leave();
	host_end(action);
}

static void reboot(unused void *boot)
{
	log_info("rebooting, as the monitor was told");
	end(END_REBOOT);
}

static void poweroff(unused void *boot)
{
	log_info("powering off, as the monitor was told");
	end(END_POWEROFF);
}

static const struct monitor_ops ops = {
	.create = guest_make,
	.define = guest_define,
	.gone = guest_free,
	.config = tell_config,
	.memory = tell_memory,
	.doctor = tell_doctor,
	.apic_id = apic_id,
	.reboot = reboot,
	.poweroff = poweroff,
};

void monitor_start(struct boot *b)
{
	hpa_t pa;

	if (host_mem_alloc(ALIGN_UP(monitor_size(), PAGE_SIZE), PAGE_SIZE, &pa))
		refuse("there is too little memory for the monitor: add memory");
	b->monitor = monitor_init(host_va(pa), &b->hv, &b->mux, b->guest, b->guests, &ops, b);
	log_to(mux_log, &b->mux);
	host_console_listen(mux_arrived, &b->mux);
	if (b->config.escape)
		log_info("Ctrl-%c, then m, opens the monitor; then h tells the other keys",
			 b->config.escape + '@');
	if (b->config.on_idle == END_MONITOR)
		monitor_stay(b->monitor);
}
