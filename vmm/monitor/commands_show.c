/* SPDX-License-Identifier: MIT */
/* Commands that only look: list, info, cpus, mem. Called by the table of commands.c. */
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "monitor_priv.h"

static unsigned long long mib(u64 bytes)
{
	return bytes >> 20;
}

/* ---- list --------------------------------------------------------------------------------------- */

static const struct report_column list_columns[] = {
	{"number", "NO", 2, true},          {"name", "GUEST", 16, false},
	{"state", "STATE", 10, false},      {"cpus", "CPUS", 4, true},
	{"memory_mib", "MEM-MIB", 7, true}, {"cpu_ms", "CPU-MS", 9, true},
	{"exits", "EXITS", 10, true},       {"why", "", 0, false},
};

void command_list(struct monitor *m, struct report *r)
{
	report_table(r, "guests", list_columns, ARRAY_SIZE(list_columns));
	for (unsigned n = 1; n <= m->guests; n++) {
		const struct monitor_guest *g = &m->guest[n - 1];
		struct vm *vm = monitor_vm(m, n);

		report_cell_number(r, n);
		report_cell(r, "%s", g->name);
		report_cell(r, "%s", monitor_state(m, n));
		report_cell_number(r, vm ? vm->cpus : g->cpus);
		report_cell_number(r, mib(vm ? vm->machine.mem_size : g->mem));
		report_cell_number(r, vm ? monitor_ms(monitor_runtime(m, vm)) : 0);
		report_cell_number(r, vm ? monitor_exits(vm) : 0);
		report_cell(r, "%s", monitor_why(m, n));
	}
	report_table_end(r);
}

/* ---- info --------------------------------------------------------------------------------------- */

static const struct {
	u8 policy;
	const char *name;
} policies[] = {{CONF_RESTART, "restart"}, {CONF_STOP, "stop"}, {CONF_HOLD, "hold"}};

static const char *policy(u8 which)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++)
		if (policies[i].policy == which)
			return policies[i].name;
	return "?";
}

static void tell_ports(const struct machine *machine, char *out, size_t size)
{
	const struct {
		bool is;
		const char *name;
	} device[] = {
		{machine->uart_port, "serial"}, {machine->rtc_port, "rtc"}, {machine->pic, "pic"},
		{machine->pit, "pit"},          {machine->kbc, "keyboard"}, {machine->hpet, "hpet"},
		{machine->pci, "pci"},
	};
	size_t len = (size_t)fmt_s(out, size, "ioapic, acpi");

	for (unsigned i = 0; i < ARRAY_SIZE(device); i++)
		if (device[i].is && len < size)
			len += (size_t)fmt_s(out + len, size - len, ", %s", device[i].name);
}

static void tell_image(struct report *r, const struct vm *vm)
{
	const char *format = load_format(vm->image.kernel, vm->image.kernel_size);

	report_text(r, "kernel", "kernel", "%s", format ? format : "unknown");
	report_number(r, "kernel_bytes", "kernel's size", vm->image.kernel_size, "bytes");
	report_number(r, "initrd_bytes", "initrd's size", vm->image.initrd_size, "bytes");
	report_text(r, "cmdline", "command line", "%s", vm->image.cmdline ? vm->image.cmdline : "");
}

static void tell_life(const struct monitor *m, struct report *r, struct vm *vm)
{
	bool lives = vm->state == VM_RUNNING || vm->state == VM_PAUSED;

	report_number(r, "up_ms", "up for", lives ? monitor_ms(host_ticks() - vm->started_at) : 0,
		      "ms");
	report_number(r, "cpu_ms", "CPU time", monitor_ms(monitor_runtime(m, vm)), "ms");
	report_number(r, "exits", "exits", monitor_exits(vm), "");
	report_number(r, "resets", "resets", vm->resets, "");
	report_text(r, "on_reboot", "on-reboot", "%s", policy(vm->on_reboot));
	report_text(r, "on_crash", "on-crash", "%s", policy(vm->on_crash));
	report_number(r, "watchdog_s", "watchdog", vm->watchdog / vm->tsc_hz, "s");
	report_number(r, "weight", "weight", vm->weight, "");
	report_hex(r, "host_cpus", "host CPUs", vm->affinity & (BIT(m->hv->cpus - 1) * 2 - 1));
	report_bool(r, "dedicated", "dedicated", vm->dedicated);
}

static void tell_denied(struct report *r, const struct vm *vm)
{
	u64 msrs = 0;

	for (unsigned i = 0; i < vm->cpus; i++)
		msrs += vm->vcpu[i].refused_msrs;
	report_number(r, "ports_refused", "ports refused", vm->pio.unclaimed, "");
	report_number(r, "mmio_refused", "MMIO refused", vm->mmio.unclaimed, "");
	report_number(r, "msrs_refused", "MSRs refused", msrs, "");
}

static const struct report_column vcpu_columns[] = {
	{"cpu", "CPU", 3, true},
	{"state", "STATE", 10, false},
	{"host_cpu", "ON-CPU", 6, true},
	{"cpu_ms", "CPU-MS", 9, true},
	{"waited_ms", "WAITED-MS", 9, true},
	{"moves", "MOVES", 6, true},
};

static const char *vcpu_state(const struct vcpu *v)
{
	if (v->parked)
		return "parked";
	if (v->task.state == SCHED_RUNNING)
		return "runs";
	if (v->task.state == SCHED_QUEUED)
		return "queued";
	return v->wait_sipi ? "not started" : "halted";
}

static void tell_vcpus(const struct monitor *m, struct report *r, struct vm *vm)
{
	report_table(r, "vcpus", vcpu_columns, ARRAY_SIZE(vcpu_columns));
	for (unsigned i = 0; i < vm->cpus; i++) {
		struct vcpu *v = &vm->vcpu[i];

		report_cell_number(r, i);
		report_cell(r, "%s", vcpu_state(v));
		report_cell_number(r, v->cpu);
		report_cell_number(
			r, monitor_ms(sched_runtime(&m->hv->sched, &v->task, host_ticks())));
		report_cell_number(r, monitor_ms(v->task.waited));
		report_cell_number(r, v->task.migrations);
	}
	report_table_end(r);
}

void command_info(struct monitor *m, struct report *r)
{
	unsigned number = monitor_guest_by(m, m->arg[0]);
	const struct mux_port *port;
	char devices[80];
	struct vm *vm;

	if (!number)
		return;
	vm = monitor_vm(m, number);
	report_number(r, "number", "number", number, "");
	report_text(r, "name", "name", "%s", m->guest[number - 1].name);
	report_text(r, "state", "state", "%s", monitor_state(m, number));
	if (*monitor_why(m, number))
		report_text(r, "why", "why", "%s", monitor_why(m, number));
	if (!vm)
		return;
	tell_image(r, vm);
	tell_ports(&vm->machine, devices, sizeof(devices));
	report_text(r, "devices", "devices", "%s", devices);
	report_number(r, "memory_mib", "memory", mib(vm->machine.mem_size), "MiB");
	report_number(r, "touched_mib", "of it in use", mib(vm->gmem.populated), "MiB");
	report_number(r, "tables_kib", "page tables", vm->npt.pages * (PAGE_SIZE / 1024), "KiB");
	tell_life(m, r, vm);
	tell_denied(r, vm);
	port = &m->mux->port[number - 1];
	report_number(r, "output_bytes", "has written", port->written, "bytes");
	report_number(r, "typed_lost", "keys lost", port->typed_lost, "bytes");
	tell_vcpus(m, r, vm);
}

/* ---- cpus, mem ---------------------------------------------------------------------------------- */

static const struct report_column cpu_columns[] = {
	{"cpu", "CPU", 3, true},
	{"apic_id", "APIC-ID", 7, true},
	{"dedicated", "DEDICATED", 9, false},
	{"runs", "LOADED", 20, false},
	{"switches", "SWITCHES", 10, true},
	{"scheduler_exits", "SCHED-EXITS", 11, true},
};

/* The vcpu whose state the CPU holds; on this one there is none now, so what its queue says. */
static void loaded_name(const struct monitor *m, unsigned cpu, char *out, size_t size)
{
	fmt_s(out, size, "-");
	for (unsigned n = 1; n <= m->guests; n++) {
		struct vm *vm = monitor_vm(m, n);

		for (unsigned i = 0; vm && i < vm->cpus; i++) {
			const struct vcpu *v = &vm->vcpu[i];

			if (v->cpu == cpu && (v->task.loaded || v->task.state == SCHED_RUNNING))
				fmt_s(out, size, "%s.%u", vm->name, i);
		}
	}
}

void command_cpus(struct monitor *m, struct report *r)
{
	const struct sched *s = &m->hv->sched;

	report_table(r, "cpus", cpu_columns, ARRAY_SIZE(cpu_columns));
	for (unsigned i = 0; i < m->hv->cpus; i++) {
		char name[48];

		loaded_name(m, i, name, sizeof(name));
		report_cell_number(r, i);
		report_cell_number(r, m->ops->apic_id(m->ctx, i));
		report_cell_bool(r, s->reserved >> i & 1);
		report_cell(r, "%s", name);
		report_cell_number(r, s->cpu[i].switches);
		report_cell_number(r, m->hv->cpu[i].sched_exits);
	}
	report_table_end(r);
}

static const struct report_column mem_columns[] = {
	{"name", "GUEST", 16, false},
	{"memory_kib", "MEMORY-KIB", 10, true},
	{"touched_kib", "IN-USE-KIB", 10, true},
	{"tables_kib", "TABLES-KIB", 10, true},
};

void command_mem(struct monitor *m, struct report *r)
{
	m->ops->memory(m->ctx, r);
	report_table(r, "guests", mem_columns, ARRAY_SIZE(mem_columns));
	for (unsigned n = 1; n <= m->guests; n++) {
		struct vm *vm = monitor_vm(m, n);

		if (!vm)
			continue;
		report_cell(r, "%s", vm->name);
		report_cell_number(r, vm->gmem.size >> 10);
		report_cell_number(r, vm->gmem.populated >> 10);
		report_cell_number(r, vm->npt.pages * (PAGE_SIZE / 1024));
	}
	report_table_end(r);
}
