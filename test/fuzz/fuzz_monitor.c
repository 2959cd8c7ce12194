/* SPDX-License-Identifier: MIT */
/*
 * The monitor: any keys, and lines made of its own words, while guests run, crash, reset and end, and while what it asks of the
 * machine succeeds or fails and says what it likes. With -j each line is answered by one line, which is one JSON object.
 */
/* SOURCES: vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c vmm/core/extint.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvm_call.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/task_segments.c vmm/core/task_switch.c vmm/core/task_tss.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/sched.c vmm/core/run.c
 *   vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
 *   vmm/dev/vpm.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/vuart.c vmm/emul/alu.c
 *   vmm/emul/decode.c vmm/emul/exec.c vmm/emul/exec_string.c vmm/emul/length.c vmm/emul/mem.c
 *   vmm/emul/modrm.c vmm/emul/opcodes.c vmm/irq/vioapic.c vmm/irq/vpic.c vmm/irq/vlapic.c
 *   vmm/irq/vlapic_ipi.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_timer.c vmm/load/acpi_gen.c
 *   vmm/load/kernel.c vmm/load/loader.c vmm/load/bz_header.c vmm/load/elf.c vmm/load/pvh.c vmm/load/multiboot.c
 *   vmm/load/bzimage.c vmm/load/mptable.c vmm/load/reset_vector.c vmm/load/zeropage.c vmm/machine/config.c
 *   vmm/machine/machine.c vmm/machine/pc.c vmm/dev/vpit.c vmm/dev/vpci.c
 *   vmm/dev/vkbc.c vmm/dev/vhpet.c vmm/mem/gmem.c vmm/mem/gwalk.c vmm/mem/page_alloc.c
 *   vmm/mem/pagetable.c vmm/mem/pt_formats.c vmm/lib/fmt.c vmm/lib/log.c vmm/lib/log_keep.c test/mock/host.c
 *   test/mock/backend.c vmm/lib/report.c vmm/monitor/commands.c
 *   vmm/monitor/commands_life.c vmm/monitor/commands_show.c vmm/monitor/commands_stats.c vmm/monitor/commands_vcpu.c
 *   vmm/monitor/edit.c vmm/monitor/guests.c vmm/monitor/monitor.c vmm/monitor/mux.c vmm/monitor/mux_keys.c vmm/monitor/mux_text.c */
#include "input.h"

#include "../mock/json.h"
#include "../mock/monitor_test.h"

static struct input *source;

static const char *const words[] = {
	"help",   "list",    "info",   "start",      "stop",     "reset", "pause",   "resume",
	"create", "destroy", "stats",  "top",        "cpus",     "mem",   "regs",    "x",
	"bt",     "focus",   "log",    "config",     "doctor",   "one",   "two",     "three",
	"four",   "all",     "two.1",  "1",          "2",        "@0",    "@0x2000", "0x1000000",
	"16",     "--last",  "newone", "image=tiny", "image=no", "-j",    "five",    "x.0"};

/* ---- What the machine says ------------------------------------------------------------------------ */

static const char *any_text(char *out, size_t size)
{
	size_t n = input_u8(source) % size, at = 0;

	while (at < n && input_left(source))
		out[at++] = (char)input_u8(source);
	out[at] = '\0';
	return out;
}

static void tell(unused void *ctx, struct report *r)
{
	static const struct report_column columns[] = {{"a", "A", 5, false}, {"b", "B", 3, true}};
	char text[40];
	unsigned n = input_u8(source) % 4;

	report_text(r, "text", "text", "%s", any_text(text, sizeof(text)));
	report_number(r, "number", "number", input_number(source, 8), "things");
	report_section(r, "section", "Section");
	report_bool(r, "bool", "bool", n & 1);
	report_section_end(r);
	report_table(r, "table", columns, 2);
	for (unsigned i = 0; i < n; i++) {
		report_cell(r, "%s", any_text(text, sizeof(text)));
		report_cell_number(r, i);
	}
	report_table_end(r);
	report_list(r, "list");
	for (unsigned i = 0; i < n; i++)
		report_item(r, "%s", any_text(text, sizeof(text)));
	report_list_end(r);
	if (n == 3)
		report_error(r, "%s", any_text(text, sizeof(text)));
}

static int create(void *ctx, unsigned number, struct load_error *why)
{
	machine[number - 1].cannot_be_made = input_u8(source) % 8 == 7;
	return machine_create(ctx, number, why);
}

static struct monitor_ops ops;

/* ---- What is done --------------------------------------------------------------------------------- */

static void open_monitor(void)
{
	if (monitor->open && mux.view == MUX_MON)
		return;
	hv.live++;
	mux_open_monitor(&mux);
	INVARIANT(settle() && monitor->open && mux.view == MUX_MON);
	hv_ended(&hv, false);
}

/* `top` ends by a key only. */
static bool enough(void)
{
	return played > (monitor->poll ? 3000 : 100);
}

/* False: the machine has ended. */
static bool machine_goes_on(bool limited)
{
	enum mock_end end;
	bool on = false;

	MOCK_CATCH(end, on = limited ? play_until(enough) : settle());
	until = NULL;
	return end == MOCK_RETURNED && on;
}

static void check(void)
{
	const struct edit *e = &monitor->edit;

	INVARIANT(e->cur <= e->len && e->len < EDIT_MAX && strlen(e->line) == e->len);
	INVARIANT(monitor->guests == guests && monitor->args <= MONITOR_ARGS);
	INVARIANT(hv.live >= monitor->open && hv.live < 2 * GUESTS_MAX);
	INVARIANT(!monitor->open || mux.view == MUX_MON || hv.serve);
}

static bool types(const char *text, size_t len, bool limited)
{
	mock_host_type(text, len);
	return machine_goes_on(limited);
}

/* Whatever was typed before is over. */
static void fresh_line(void)
{
	if (!types("\x03\x03", 2, false))
		hv.live = 0;
	open_monitor();
	INVARIANT(!monitor->poll && !monitor->edit.len);
	mock_host_console_clear();
}

static void any_keys(struct input *in)
{
	char keys[64];
	size_t n = input_u8(in) % sizeof(keys), at = 0;

	while (at < n && input_left(in))
		keys[at++] = (char)input_u8(in);
	mock_host_console_clear();
	(void)types(keys, at, true);
}

static void a_line(struct input *in, bool json)
{
	char line[EDIT_MAX] = "";
	unsigned n = input_u8(in) % 5 + 1;
	const char *from, *end;
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		u8 which = input_u8(in);

		len += (size_t)fmt_s(line + len, sizeof(line) - len, "%s%s", i ? " " : "",
				     words[which % ARRAY_SIZE(words)]);
	}
	if (!strncmp(line, "-j", 2))
		return;
	if (json)
		len += (size_t)fmt_s(line + len, sizeof(line) - len, " -j");
	line[len++] = '\r';
	fresh_line();
	(void)types(line, len, !json);
	if (!json)
		return;
	from = strstr(mock_host.console, "\r\n");
	INVARIANT(from);
	from += 2;
	end = strstr(from, "\r\n");
	INVARIANT(end);
	if (!json_is_object(from, (size_t)(end - from)))
		fprintf(stderr, "%.*s: %.*s\n", (int)len, line, (int)(end - from), from);
	INVARIANT(json_is_object(from, (size_t)(end - from)));
}

static void guests_do(u8 what)
{
	unsigned n = what % GUESTS;

	machine[n].manner = (enum manner)(what / GUESTS % (RESETS + 1));
	machine[n].on_crash = (u8)(what & 128 ? CONF_HOLD : what & 64 ? CONF_STOP : CONF_RESTART);
	machine[n].on_reboot = what & 32 ? CONF_STOP : CONF_RESTART;
}

static void guest_writes(struct input *in)
{
	unsigned n = input_u8(in) % GUESTS;
	struct vm_console out;
	char text[40];

	if (!mux.port[n].kept || mux_attach(&mux, n + 1, guest[n].name, &out))
		return;
	(void)any_text(text, sizeof(text));
	out.dev.write(out.dev.ctx, (const u8 *)text, strlen(text));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};

	source = &in;
	log_set_level(LOG_INFO);
	step_ticks = 1000000;
	machine_start();
	ops = machine_ops;
	ops.create = create;
	ops.config = ops.memory = ops.doctor = tell;
	monitor->ops = &ops;
	open_monitor();
	for (unsigned i = 0; input_left(&in) && i < 40; i++) {
		u8 what = input_u8(&in);

		switch (what & 7) {
		case 0:
			any_keys(&in);
			break;
		case 1:
			guests_do(input_u8(&in));
			break;
		case 2:
			guest_writes(&in);
			break;
		case 3:
			log_info("%u things happened", what);
			break;
		default:
			a_line(&in, what & 4);
		}
		if (mock_host.end == MOCK_REBOOT || mock_host.end == MOCK_POWEROFF)
			break;
		check();
	}
	machine_end();
	return 0;
}
