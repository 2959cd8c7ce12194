/* SPDX-License-Identifier: MIT */
/*
 * The monitor's shell: reads keys, edits the line, completes it, runs the command, waits for it. monitor.h. Called by
 * cpu_loop() as hv->service.
 */
#include <vmm/monitor.h>

#include <vmm/clock.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "monitor_priv.h"

#define PROMPT  "havoc> "
#define PUMP_MS 10

static const char welcome[] =
	"havoc: monitor; `help` lists the commands, Ctrl-D leads back to the guests\r\n";

size_t monitor_size(void)
{
	return sizeof(struct monitor);
}

static void wake(void *ctx)
{
	hv_serve(((struct monitor *)ctx)->hv);
}

struct monitor *monitor_init(void *memory, struct hv *hv, struct mux *c,
			     struct monitor_guest *guest, unsigned guests,
			     const struct monitor_ops *ops, void *ctx)
{
	struct monitor *m = memory;

	memset(m, 0, sizeof(*m));
	m->hv = hv;
	m->mux = c;
	m->guest = guest;
	m->guests = guests;
	m->ops = ops;
	m->ctx = ctx;
	edit_init(&m->edit);
	c->wake_ctx = m;
	c->wake = wake;
	hv->service_ctx = m;
	hv->service = monitor_service;
	return m;
}

void monitor_set_guests(struct monitor *m, unsigned guests)
{
	m->guests = guests;
}

void monitor_stay(struct monitor *m)
{
	m->hv->holds++;
	__atomic_fetch_add(&m->hv->live, 1, __ATOMIC_ACQ_REL);
	hv_serve(m->hv);
}

static void say(struct monitor *m, const char *text)
{
	mux_monitor_write(m->mux, text, strlen(text));
}

static void prompt(struct monitor *m)
{
	char row[EDIT_SHOW];
	size_t len = edit_show(&m->edit, PROMPT, row);

	m->stale = false;
	mux_monitor_prompt(m->mux, row, len);
}

/* ---- Waiting ------------------------------------------------------------------------------------ */

static u64 ticks_of(u64 ms)
{
	return clock_mul_div(ms, host_tick_hz(), 1000);
}

u64 monitor_ms(u64 ticks)
{
	return clock_mul_div(ticks, 1000, host_tick_hz());
}

void monitor_wait(struct monitor *m, bool (*poll)(struct monitor *m, struct report *r), u64 ms,
		  u64 limit_ms)
{
	m->poll = poll;
	m->cancel = NULL;
	m->poll_every = ticks_of(ms);
	m->give_up = limit_ms ? host_ticks() + ticks_of(limit_ms) : SCHED_NEVER;
}

bool monitor_waited_too_long(const struct monitor *m)
{
	return host_ticks() >= m->give_up;
}

/* ---- A command ---------------------------------------------------------------------------------- */

/* Words, by spaces; -j is taken out. False: there are too many. */
static bool split(struct monitor *m, const char **name, bool *json)
{
	char *c = m->words;
	bool fits = true;

	memcpy(m->words, m->edit.line, m->edit.len + 1);
	m->args = 0;
	*name = NULL;
	*json = false;
	for (;;) {
		const char *word;

		while (*c == ' ')
			*c++ = '\0';
		if (!*c)
			return fits;
		word = c;
		while (*c && *c != ' ')
			c++;
		if (*c)
			*c++ = '\0';
		if (!strcmp(word, "-j"))
			*json = true;
		else if (!*name)
			*name = word;
		else if (m->args == MONITOR_ARGS)
			fits = false;
		else
			m->arg[m->args++] = word;
	}
}

static void finish(struct monitor *m)
{
	report_end(&m->report);
	mux_monitor_ready(m->mux);
	m->poll = NULL;
	if (m->open)
		prompt(m);
}

static void run_command(struct monitor *m, const char *name, struct report *r)
{
	const struct command *c = command_find(name);
	const char *nearest;

	if (!c) {
		nearest = monitor_nearest(name);
		report_error(r, "there is no command \"%s\": %s%s%s`help` lists them", name,
			     nearest ? "did you mean `" : "", nearest ? nearest : "",
			     nearest ? "`? " : "");
		return;
	}
	if (m->args < c->min_args || m->args > c->max_args) {
		report_error(r, "usage: %s%s%s", c->doc.name, *c->doc.args ? " " : "", c->doc.args);
		return;
	}
	c->run(m, r);
}

static void run_line(struct monitor *m)
{
	struct report *r = &m->report;
	const char *name;
	bool fits = split(m, &name, &r->json);

	edit_next(&m->edit, true);
	if (!name) {
		prompt(m);
		return;
	}
	r->write = mux_monitor_write;
	r->ctx = m->mux;
	m->poll = NULL;
	mux_monitor_busy(m->mux);
	report_begin(r);
	if (fits)
		run_command(m, name, r);
	else
		report_error(r, "that is more than %u words", MONITOR_ARGS);
	if (!m->poll)
		finish(m);
}

/* ---- Completion --------------------------------------------------------------------------------- */

struct candidates {
	const char *word; /* what is there of it */
	size_t len;
	unsigned found;
	char common[EDIT_MAX]; /* what all of them begin with */
	bool show;
	struct monitor *m;
};

static void candidate(struct candidates *c, const char *text)
{
	size_t n;

	if (strncmp(text, c->word, c->len))
		return;
	if (c->show) {
		say(c->m, "  ");
		say(c->m, text);
		return;
	}
	if (!c->found++) {
		fmt_s(c->common, sizeof(c->common), "%s", text);
		return;
	}
	for (n = 0; c->common[n] && c->common[n] == text[n]; n++)
		;
	c->common[n] = '\0';
}

static void candidates(struct candidates *c, const struct command *cmd, unsigned place)
{
	struct monitor *m = c->m;

	if (!place) {
		for (unsigned i = 0; i < command_count; i++)
			candidate(c, commands[i].doc.name);
		return;
	}
	if (!cmd || place > 1)
		return;
	for (unsigned i = 0; cmd->guest && i < m->guests; i++)
		candidate(c, m->guest[i].name);
	if (cmd->all)
		candidate(c, "all");
	for (unsigned i = 0; cmd->words && cmd->words[i]; i++)
		candidate(c, cmd->words[i]);
	if (!strcmp(cmd->doc.name, "help"))
		candidates(c, cmd, 0);
}

/* The word before the cursor: its start, and which one it is. */
static unsigned word_at(const struct edit *e, unsigned *place, char name[EDIT_MAX])
{
	unsigned start = e->cur, n = 0;

	while (start && e->line[start - 1] != ' ')
		start--;
	*place = 0;
	name[0] = '\0';
	while (n < start) {
		unsigned from;

		while (n < start && e->line[n] == ' ')
			n++;
		from = n;
		while (n < start && e->line[n] != ' ')
			n++;
		if (n == from)
			break;
		if (!(*place)++)
			fmt_s(name, EDIT_MAX, "%.*s", (int)(n - from), e->line + from);
	}
	return start;
}

static void complete(struct monitor *m)
{
	struct edit *e = &m->edit;
	char name[EDIT_MAX];
	unsigned place, start = word_at(e, &place, name);
	struct candidates c = {.word = e->line + start, .len = e->cur - start, .m = m};
	const struct command *cmd = command_find(name);

	candidates(&c, cmd, place);
	if (c.found && strlen(c.common) > c.len)
		edit_insert(e, c.common + c.len, strlen(c.common) - c.len);
	else if (c.found > 1) {
		c.show = true;
		say(m, "\r\n");
		candidates(&c, cmd, place);
		say(m, "\r\n");
	}
	if (c.found == 1)
		edit_insert(e, " ", 1);
}

/* ---- The service -------------------------------------------------------------------------------- */

/* While a command waits the keys do too, but for Ctrl-C. */
static void cancelled(struct monitor *m)
{
	if (m->cancel)
		m->cancel(m);
	if (!m->report.json)
		say(m, "^C\r\n");
	finish(m);
}

/*
 * While it is open the machine does not end with its last guest, and after that not because the user looks at something else:
 * it is held until a guest runs again, or the user says so.
 */
static bool only_held(const struct monitor *m)
{
	return m->held && __atomic_load_n(&m->hv->live, __ATOMIC_ACQUIRE) == 1;
}

static void release(struct monitor *m)
{
	m->held = false;
	hv_ended(m->hv, false);
}

/* The terminal is the guests' again. Nobody would see what a command that waits says: it is not waited for any more. */
void monitor_left(struct monitor *m)
{
	m->open = false;
	if (m->poll)
		cancelled(m);
}

static void leave(struct monitor *m)
{
	say(m, "\r\n");
	if (only_held(m) && !m->warned) {
		m->warned = m->stale = true;
		say(m,
		    "no guest runs: Ctrl-D again ends the machine, `start VM` starts a guest\r\n");
		return;
	}
	mux_close_monitor(m->mux);
	monitor_left(m);
	if (m->warned)
		release(m);
}

static void key(struct monitor *m, u8 byte)
{
	enum edit_event event = edit_key(&m->edit, byte);

	if (event != EDIT_LEAVE)
		m->warned = false;
	/* Many keys came at once: the line is to be seen before what it leads to. */
	if (event != EDIT_MORE && m->stale)
		prompt(m);
	switch (event) {
	case EDIT_LINE:
		say(m, "\r\n");
		run_line(m);
		return;
	case EDIT_COMPLETE:
		complete(m);
		break;
	case EDIT_CANCEL:
		say(m, "^C\r\n");
		edit_next(&m->edit, false);
		break;
	case EDIT_LEAVE:
		leave(m);
		return;
	case EDIT_REDRAW:
		say(m, "\x1b[H\x1b[2J");
		break;
	default:
		break;
	}
	m->stale = true;
}

static void keys(struct monitor *m)
{
	u8 byte;

	do {
		while (m->open && !m->poll && mux_monitor_read(m->mux, &byte, 1))
			key(m, byte);
		if (m->open && !m->poll && m->stale)
			prompt(m);
	} while (m->poll && mux_monitor_cancelled(m->mux) && (cancelled(m), true));
}

static void opened(struct monitor *m)
{
	if (!m->held && !hv_hold(m->hv)) /* the machine is at its end */
		return;
	m->open = m->held = true;
	m->warned = false;
	edit_next(&m->edit, false);
	say(m, welcome);
	prompt(m);
}

static void look_at_view(struct monitor *m)
{
	bool shown = __atomic_load_n(&m->mux->view, __ATOMIC_ACQUIRE) == MUX_MON;
	u32 opening = __atomic_load_n(&m->mux->openings, __ATOMIC_ACQUIRE);

	if (m->open && (!shown || opening != m->opening))
		monitor_left(m);
	if (shown && !m->open) {
		m->opening = opening;
		opened(m);
	}
}

/* Commands run here only: so nobody looks at it meanwhile. */
static void bury(struct monitor *m)
{
	for (unsigned i = 0; i < m->guests; i++) {
		struct monitor_guest *g = &m->guest[i];
		struct vm *vm = __atomic_exchange_n(&g->gone, NULL, __ATOMIC_ACQ_REL);

		if (!vm)
			continue;
		fmt_s(g->why, sizeof(g->why), "%s", vm->why);
		g->vm = NULL;
		m->ops->gone(m->ctx, i + 1, vm);
	}
}

void monitor_vm_gone(struct vm *vm)
{
	struct monitor *m = vm->hv->service_ctx;
	struct hv *hv = vm->hv;

	for (unsigned i = 0; i < m->guests; i++)
		if (m->guest[i].vm == vm)
			__atomic_store_n(&m->guest[i].gone, vm, __ATOMIC_RELEASE);
	hv_serve(hv);
}

/* Once: whoever then wants to see what a guest has written last is not called back. */
static void open_if_idle(struct monitor *m)
{
	u32 live = __atomic_load_n(&m->hv->live, __ATOMIC_ACQUIRE) - m->held;
	bool idle = m->hv->holds && live == m->hv->holds;

	if (idle && !m->idle && !m->open)
		mux_open_monitor(m->mux);
	m->idle = idle;
}

void monitor_service(void *monitor)
{
	struct monitor *m = monitor;
	u64 next = SCHED_NEVER;

	host_console_poll();
	bury(m);
	open_if_idle(m);
	look_at_view(m);
	keys(m);
	if (m->held && !m->open && !only_held(m))
		release(m);
	while (m->poll && m->poll(m, &m->report)) {
		finish(m);
		keys(m); /* what was typed meanwhile */
	}
	if (m->poll)
		next = host_ticks() + m->poll_every;
	if (mux_pump(m->mux) || (m->open && host_console_pending()))
		next = MIN(next, host_ticks() + ticks_of(PUMP_MS));
	m->hv->service_at = next;
}
