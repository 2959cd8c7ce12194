/* SPDX-License-Identifier: MIT */
/*
 * Commands that change a guest's life: start, stop, reset, pause, resume, create, destroy. One table says in which states each
 * means something, and when it is done. Called by the table of commands.c.
 */
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "monitor_priv.h"

#define POLL_MS  5
#define LIMIT_MS 10000

struct action {
	const char *name, *done_text; /* "guest X %s" */
	u32 states;                   /* BIT(enum vm_state) */
	const char *otherwise;        /* "guest X is STATE: %s" */
	void (*ask)(struct vm *vm);
	bool (*done)(const struct monitor *m, unsigned i, struct vm *vm);
	u32 after; /* BIT(enum vm_state): it is what was asked for; 0: it is gone */
};

#define ENDED (BIT(VM_STOPPED) | BIT(VM_DEAD))
#define LIVES (BIT(VM_RUNNING) | BIT(VM_PAUSED) | BIT(VM_BACKOFF))

static u8 state_of(const struct vm *vm)
{
	return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);
}

static u32 starts_of(const struct vm *vm)
{
	return __atomic_load_n(&vm->starts, __ATOMIC_ACQUIRE);
}

static bool has_started(const struct monitor *m, unsigned i, struct vm *vm)
{
	return !vm || starts_of(vm) != m->since[i];
}

static bool is_gone(unused const struct monitor *m, unused unsigned i, struct vm *vm)
{
	return !vm;
}

static bool is_paused(unused const struct monitor *m, unused unsigned i, struct vm *vm)
{
	return !vm || state_of(vm) != VM_RUNNING;
}

static bool goes_on(unused const struct monitor *m, unused unsigned i, struct vm *vm)
{
	return !vm || state_of(vm) != VM_PAUSED;
}

static const struct action start_action = {
	"start",  "runs",      ENDED,          "only one that is stopped can be started",
	vm_start, has_started, BIT(VM_RUNNING)};
static const struct action stop_action = {"stop",  "is stopped", LIVES, "there is nothing to stop",
					  vm_stop, is_gone,      0};
static const struct action reset_action = {"reset",        "starts anew",
					   LIVES,          "`start` starts it",
					   vm_restart,     has_started,
					   BIT(VM_RUNNING)};
static const struct action pause_action = {"pause",         "is paused",
					   BIT(VM_RUNNING), "only one that runs can be paused",
					   vm_pause,        is_paused,
					   BIT(VM_PAUSED)};
static const struct action resume_action = {"resume",       "goes on",
					    BIT(VM_PAUSED), "only a paused one can go on",
					    vm_resume,      goes_on,
					    BIT(VM_RUNNING)};
static const struct action destroy_action = {
	"destroy", "is destroyed", ENDED | LIVES, "it has no memory to be freed", NULL, is_gone, 0};

static const struct report_column done_columns[] = {
	{"number", "", 0, false},
	{"name", "", 0, false},
	{"state", "", 0, false},
};

/* For programs: which guests it was, and how they are now. */
static void tell_rows(struct monitor *m, struct report *r)
{
	if (!r->json)
		return;
	report_table(r, "guests", done_columns, ARRAY_SIZE(done_columns));
	for (unsigned i = 0; i < m->targets; i++) {
		report_cell_number(r, m->target[i]);
		report_cell(r, "%s", m->guest[m->target[i] - 1].name);
		report_cell(r, "%s", monitor_state(m, m->target[i]));
	}
	report_table_end(r);
}

/* It may have gone on by itself meanwhile. */
static bool is_as_asked(const struct monitor *m, unsigned number)
{
	const struct vm *vm = monitor_vm(m, number);

	if (!vm || !m->action->after)
		return !vm == !m->action->after;
	return BIT(state_of(vm)) & m->action->after && !monitor_is_going(vm);
}

static void tell_done(struct monitor *m, struct report *r)
{
	for (unsigned i = 0; !r->json && i < m->targets; i++) {
		unsigned n = m->target[i];

		if (*monitor_why(m, n) && m->action != &destroy_action)
			report_line(r, "guest %s has crashed: %s", m->guest[n - 1].name,
				    monitor_why(m, n));
		else if (is_as_asked(m, n))
			report_line(r, "guest %s %s", m->guest[n - 1].name, m->action->done_text);
		else
			report_line(r, "guest %s is %s", m->guest[n - 1].name, monitor_state(m, n));
	}
	tell_rows(m, r);
}

static bool all_done(struct monitor *m, struct report *r)
{
	for (unsigned i = 0; i < m->targets; i++) {
		struct vm *vm = monitor_vm(m, m->target[i]);

		if (m->action->done(m, i, vm))
			continue;
		if (!monitor_waited_too_long(m))
			return false;
		report_error(r, "guest %s does not obey yet: `list` shows its state",
			     m->guest[m->target[i] - 1].name);
		return true;
	}
	tell_done(m, r);
	return true;
}

static bool fits(const struct monitor *m, const struct action *a, unsigned number)
{
	const struct vm *vm = monitor_vm(m, number);

	if (!vm)
		return a == &start_action && !m->guest[number - 1].broken;
	return BIT(state_of(vm)) & a->states && !monitor_is_going(vm);
}

static void tell_misfit(struct monitor *m, const struct action *a, struct report *r,
			unsigned number)
{
	const char *name = m->guest[number - 1].name;

	if (m->guest[number - 1].broken)
		report_error(
			r,
			"guest %s cannot be made: its part of havoc.conf has a mistake (see `log`)",
			name);
	else if (monitor_vm(m, number) && monitor_is_going(monitor_vm(m, number)))
		report_error(r, "guest %s is just being stopped: try again", name);
	else
		report_error(r, "guest %s is %s: %s", name, monitor_state(m, number), a->otherwise);
}

/* One that is not made yet is made first. */
static void target(struct monitor *m, struct report *r, unsigned number)
{
	struct load_error why = {{0}};

	if (!monitor_vm(m, number) && m->ops->create(m->ctx, number, &why)) {
		report_error(r, "guest %s cannot be made: %s", m->guest[number - 1].name, why.text);
		return;
	}
	m->since[m->targets] = starts_of(monitor_vm(m, number));
	m->target[m->targets++] = number;
}

static void act(struct monitor *m, const struct action *a, struct report *r)
{
	unsigned number;

	m->targets = 0;
	m->action = a;
	if (!strcmp(m->arg[0], "all")) {
		for (number = 1; number <= m->guests; number++)
			if (fits(m, a, number))
				target(m, r, number);
		if (!m->targets && !r->failed)
			report_line(r, "there is no guest to %s", a->name);
	} else {
		number = monitor_guest_by(m, m->arg[0]);
		if (!number)
			return;
		if (!fits(m, a, number)) {
			tell_misfit(m, a, r, number);
			return;
		}
		target(m, r, number);
	}
	if (!m->targets) {
		if (!r->failed)
			tell_rows(m, r);
		return;
	}
	for (unsigned i = 0; i < m->targets; i++) {
		struct vm *vm = monitor_vm(m, m->target[i]);

		if (a->ask)
			a->ask(vm);
		else
			vm_request_destroy(vm, monitor_vm_gone);
	}
	monitor_wait(m, all_done, POLL_MS, LIMIT_MS);
}

void command_start(struct monitor *m, struct report *r)
{
	act(m, &start_action, r);
}

void command_stop(struct monitor *m, struct report *r)
{
	act(m, &stop_action, r);
}

void command_reset(struct monitor *m, struct report *r)
{
	act(m, &reset_action, r);
}

void command_pause(struct monitor *m, struct report *r)
{
	act(m, &pause_action, r);
}

void command_resume(struct monitor *m, struct report *r)
{
	act(m, &resume_action, r);
}

void command_destroy(struct monitor *m, struct report *r)
{
	act(m, &destroy_action, r);
}

/* ---- create ------------------------------------------------------------------------------------- */

static unsigned known(const struct monitor *m, const char *name)
{
	for (unsigned i = 0; i < m->guests; i++)
		if (!strcmp(m->guest[i].name, name))
			return i + 1;
	return 0;
}

/* KEY=VALUE words as lines of a section. */
static void section_text(const struct monitor *m, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 1; i < m->args && len < size; i++)
		len += (size_t)fmt_s(out + len, size - len, "%s\n", m->arg[i]);
}

void command_create(struct monitor *m, struct report *r)
{
	unsigned number = known(m, m->arg[0]);
	struct load_error why = {{0}};

	if (number && m->args > 1 && monitor_vm(m, number)) {
		report_error(
			r, "there is a guest %s already: destroy it first, or choose another name",
			m->arg[0]);
		return;
	}
	if (m->args > 1) {
		char text[EDIT_MAX + MONITOR_ARGS];
		int ret;

		section_text(m, text, sizeof(text));
		ret = m->ops->define(m->ctx, m->arg[0], text, r);
		if (ret < 0)
			return;
		number = (unsigned)ret;
	}
	if (!number) {
		report_error(
			r,
			"there is no guest %s in havoc.conf: `create %s image=NAME` makes a new one from a loaded image",
			m->arg[0], m->arg[0]);
		return;
	}
	if (monitor_vm(m, number)) {
		report_error(r, "guest %s is there already: it is %s", m->arg[0],
			     monitor_state(m, number));
		return;
	}
	if (m->guest[number - 1].broken) {
		report_error(
			r,
			"guest %s cannot be made: its part of havoc.conf has a mistake (see `log`)",
			m->arg[0]);
		return;
	}
	if (m->ops->create(m->ctx, number, &why)) {
		report_error(r, "guest %s cannot be made: %s", m->arg[0], why.text);
		return;
	}
	m->targets = 1;
	m->target[0] = number;
	report_line(r, "guest %s is made: `start %s` starts it", m->arg[0], m->arg[0]);
	tell_rows(m, r);
}
