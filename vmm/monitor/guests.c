/* SPDX-License-Identifier: MIT */
/* What the commands ask about guests: by name, by state, in numbers. monitor_priv.h. */
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "monitor_priv.h"

struct vm *monitor_vm(const struct monitor *m, unsigned number)
{
	return __atomic_load_n(&m->guest[number - 1].vm, __ATOMIC_ACQUIRE);
}

bool monitor_is_going(const struct vm *vm)
{
	return __atomic_load_n(&vm->ending, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&vm->actions, __ATOMIC_ACQUIRE) & VM_DESTROY;
}

static const char *const states[] = {
	[VM_STOPPED] = "made",       [VM_RUNNING] = "running", [VM_PAUSED] = "paused",
	[VM_BACKOFF] = "restarting", [VM_DEAD] = "crashed",
};

const char *monitor_state(const struct monitor *m, unsigned number)
{
	const struct monitor_guest *g = &m->guest[number - 1];
	const struct vm *vm = monitor_vm(m, number);

	if (vm)
		return monitor_is_going(vm) ? "stopping" :
					      states[__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE)];
	if (g->broken)
		return "mistake";
	return *g->why ? "crashed" : "stopped";
}

const char *monitor_why(const struct monitor *m, unsigned number)
{
	const struct vm *vm = monitor_vm(m, number);

	if (!vm)
		return m->guest[number - 1].why;
	return vm->state == VM_DEAD ? vm->why : "";
}

/* A whole number, or `none`. */
static unsigned number_of(const char *text, unsigned none)
{
	unsigned n = 0;

	if (!*text)
		return none;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > MUX_PORTS)
			return none;
		n = n * 10 + (unsigned)(*text - '0');
	}
	return n;
}

static void tell_unknown(struct monitor *m, const char *name)
{
	char text[200];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < m->guests && len < sizeof(text); i++)
		len += (size_t)fmt_s(text + len, sizeof(text) - len, "%s%s", i ? ", " : "",
				     m->guest[i].name);
	report_error(&m->report, "there is no guest \"%s\": there %s %s", name,
		     m->guests == 1 ? "is" : "are", m->guests ? text : "none");
}

unsigned monitor_guest_by(struct monitor *m, const char *name)
{
	unsigned n;

	for (unsigned i = 0; i < m->guests; i++)
		if (!strcmp(m->guest[i].name, name))
			return i + 1;
	n = number_of(name, 0);
	if (n >= 1 && n <= m->guests)
		return n;
	tell_unknown(m, name);
	return 0;
}

/* NAME.CPU, or NAME for its first. Names may hold dots: the whole is tried first. */
struct vm *monitor_vcpu_by(struct monitor *m, const char *text, unsigned *vcpu)
{
	char name[EDIT_MAX];
	size_t dot = strlen(text);
	unsigned number = 0;
	struct vm *vm;

	*vcpu = 0;
	for (unsigned i = 0; i < m->guests && !number; i++)
		if (!strcmp(m->guest[i].name, text))
			number = i + 1;
	while (dot && text[dot - 1] != '.')
		dot--;
	if (!number && dot) {
		*vcpu = number_of(text + dot, VM_CPUS_MAX);
		fmt_s(name, sizeof(name), "%.*s", (int)(dot - 1), text);
	} else {
		fmt_s(name, sizeof(name), "%s", text);
	}
	if (!number)
		number = monitor_guest_by(m, name);
	if (!number)
		return NULL;
	vm = monitor_vm(m, number);
	if (!vm) {
		report_error(&m->report, "guest %s is %s: it has no CPUs",
			     m->guest[number - 1].name, monitor_state(m, number));
		return NULL;
	}
	if (*vcpu >= VM_CPUS_MAX) {
		report_error(&m->report, "\"%s\" names no CPU: %s.0 is the first of guest %s", text,
			     vm->name, vm->name);
		return NULL;
	}
	if (*vcpu >= vm->cpus) {
		report_error(&m->report, "guest %s has %u CPU%s: the last is %s.%u", vm->name,
			     vm->cpus, vm->cpus == 1 ? "" : "s", vm->name, vm->cpus - 1);
		return NULL;
	}
	return vm;
}

u64 monitor_runtime(const struct monitor *m, struct vm *vm)
{
	u64 sum = 0;

	for (unsigned i = 0; i < vm->cpus; i++)
		sum += sched_runtime(&m->hv->sched, &vm->vcpu[i].task, host_ticks());
	return sum;
}

u64 monitor_exits(const struct vm *vm)
{
	u64 sum = 0;

	for (unsigned i = 0; i < vm->cpus; i++)
		for (unsigned kind = 0; kind < EXIT_KINDS; kind++)
			sum += vm->vcpu[i].exits[kind];
	return sum;
}
