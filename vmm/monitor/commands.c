/* SPDX-License-Identifier: MIT */
/* The monitor's commands: the table, and the few that need no more than a line. monitor.h. */
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/log.h>
#include <vmm/string.h>

#include "monitor_priv.h"

/* ---- help --------------------------------------------------------------------------------------- */

static const struct report_column help_columns[] = {
	{"command", "COMMAND", 30, false},
	{"help", "WHAT IT DOES", 0, false},
};

static void help_row(struct report *r, const struct command_doc *d)
{
	char usage[64];

	fmt_s(usage, sizeof(usage), "%s%s%s", d->name, *d->args ? " " : "", d->args);
	report_cell(r, "%s", usage);
	report_cell(r, "%s", d->help);
}

static void command_help(struct monitor *m, struct report *r)
{
	const struct command *c = m->args ? command_find(m->arg[0]) : NULL;

	if (m->args && !c) {
		report_error(r, "there is no command \"%s\": `help` lists them", m->arg[0]);
		return;
	}
	report_table(r, "commands", help_columns, ARRAY_SIZE(help_columns));
	for (unsigned i = 0; i < command_count; i++)
		if (!c || c == &commands[i])
			help_row(r, &commands[i].doc);
	report_table_end(r);
	if (c && r->json) {
		report_text(r, "more", "", "%s", c->doc.more);
		report_text(r, "example", "", "%s", c->doc.example);
	} else if (c) {
		if (*c->doc.more)
			report_line(r, "%s", c->doc.more);
		report_line(r, "example: %s", c->doc.example);
	} else
		report_line(
			r,
			"-j with any of them: one JSON object. Tab completes; `help NAME` tells more.");
}

/* ---- The console -------------------------------------------------------------------------------- */

/* The answer first: what comes then is the guests'. */
static void command_focus(struct monitor *m, struct report *r)
{
	unsigned number = 0;
	bool all = m->args && !strcmp(m->arg[0], "all");

	if (m->args && !all) {
		number = monitor_guest_by(m, m->arg[0]);
		if (!number)
			return;
		if (!m->mux->port[number - 1].kept) {
			report_error(
				r,
				"guest %s has nothing to be seen here: it has never run, or has a serial port of its own",
				m->guest[number - 1].name);
			return;
		}
	}
	report_end(r);
	mux_monitor_ready(m->mux);
	if (all)
		mux_show_all(m->mux);
	else if (number)
		(void)mux_show_one(m->mux, number);
	else
		mux_close_monitor(m->mux);
	monitor_left(m);
}

/* ---- The log ------------------------------------------------------------------------------------ */

static void log_item(void *arg, const char *line, unused size_t len)
{
	report_item(arg, "%s", line);
}

static const char *const ends[] = {
	[LOG_END_NONE] = "by a reset that was not Havoc's",
	[LOG_END_ORDERLY] = "in good order",
	[LOG_END_PANIC] = "by a panic",
};

static void log_of_last_boot(struct report *r)
{
	char reason[LOG_KEEP_REASON];
	enum log_end end;

	if (!log_last(&end, reason)) {
		report_error(r, "nothing is known of the last boot: its log was not in memory");
		return;
	}
	report_text(r, "end", "it ended", "%s", ends[end]);
	if (*reason)
		report_text(r, "reason", "reason", "%s", reason);
	report_list(r, "log");
	log_last_replay(log_item, r);
	report_list_end(r);
}

static void command_log(struct monitor *m, struct report *r)
{
	if (m->args && strcmp(m->arg[0], "--last")) {
		report_error(r, "usage: log [--last]");
		return;
	}
	if (m->args) {
		log_of_last_boot(r);
		return;
	}
	report_list(r, "log");
	log_replay(~0U, log_item, r);
	report_list_end(r);
}

/* ---- The machine -------------------------------------------------------------------------------- */

static void command_config(struct monitor *m, struct report *r)
{
	m->ops->config(m->ctx, r);
}

static void command_doctor(struct monitor *m, struct report *r)
{
	m->ops->doctor(m->ctx, r);
}

static void command_reboot(struct monitor *m, struct report *r)
{
	report_line(r, "rebooting");
	report_end(r);
	mux_monitor_ready(m->mux);
	m->ops->reboot(m->ctx);
}

static void command_poweroff(struct monitor *m, struct report *r)
{
	report_line(r, "powering off");
	report_end(r);
	mux_monitor_ready(m->mux);
	m->ops->poweroff(m->ctx);
}

static const char *const log_words[] = {"--last", NULL};

/* ---- The table ---------------------------------------------------------------------------------- */

const struct command commands[] = {
	{{"help", "[COMMAND]", "lists the commands, or explains one", "", "help x"},
	 0,
	 1,
	 .run = command_help},
	{{"list", "", "all guests and their states", "", "list"}, 0, 0, .run = command_list},
	{{"info", "VM", "all that is known of a guest", "", "info tiny"},
	 1,
	 1,
	 .guest = true,
	 .run = command_info},
	{{"start", "VM|all", "starts a guest that does not run",
	  "It starts with clear memory, as a machine that is turned on.", "start tiny"},
	 1,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_start},
	{{"stop", "VM|all", "stops a guest at once, as if its power were cut",
	  "To shut it down in good order, do so from inside it.", "stop tiny"},
	 1,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_stop},
	{{"reset", "VM|all", "starts a guest anew at once", "As stop and start.", "reset tiny"},
	 1,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_reset},
	{{"pause", "VM|all", "holds a guest where it is", "Its clocks go on.", "pause tiny"},
	 1,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_pause},
	{{"resume", "VM|all", "lets a paused guest go on", "", "resume tiny"},
	 1,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_resume},
	{{"create", "VM [KEY=VALUE...]",
	  "makes a guest of havoc.conf, or a new one from the loaded modules",
	  "The keys are those of havoc.conf (docs/config.md), image=NAME among them; it is not started. With keys, one that is stopped is made anew by them.",
	  "create two image=tiny memory=32M"},
	 1,
	 MONITOR_ARGS,
	 .guest = true,
	 .run = command_create},
	{{"destroy", "VM|all", "stops a guest and frees all its memory",
	  "What it has written last can still be seen.", "destroy two"},
	 1,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_destroy},
	{{"stats", "[VM]", "exits by reason: how many, and what they cost",
	  "It measures for one second: EXITS are those since the guest was made; the rest is of that second.",
	  "stats tiny"},
	 0,
	 1,
	 .guest = true,
	 .run = command_stats},
	{{"top", "", "CPU time and exits of all guests, every second",
	  "Any key ends it. With -j: once.", "top"},
	 0,
	 0,
	 .run = command_top},
	{{"cpus", "", "this machine's CPUs and what runs on them", "", "cpus"},
	 0,
	 0,
	 .run = command_cpus},
	{{"mem", "", "this machine's memory and who has it", "", "mem"}, 0, 0, .run = command_mem},
	{{"regs", "VM[.CPU]", "registers of a guest's CPU (0 if not said)",
	  "The guest is held only while they are copied.", "regs tiny"},
	 1,
	 1,
	 .guest = true,
	 .run = command_regs},
	{{"x", "VM[.CPU] ADDRESS [BYTES]", "a guest's memory, by its own page tables",
	  "@ADDRESS is guest-physical. At most 256 bytes at a time. The guest notices nothing of it.",
	  "x tiny @0xe0000 32"},
	 2,
	 3,
	 .guest = true,
	 .run = command_x},
	{{"bt", "VM[.CPU]", "the return addresses on a guest's stack, by frame pointers",
	  "Kernels without frame pointers (Debian's, for example) give the first one only, or nonsense.",
	  "bt tiny.0"},
	 1,
	 1,
	 .guest = true,
	 .run = command_bt},
	{{"focus", "[VM|all]", "back to the guests: to one, to all, or to what was shown before",
	  "As the keys behind Ctrl-A.", "focus tiny"},
	 0,
	 1,
	 .guest = true,
	 .all = true,
	 .run = command_focus},
	{{"log", "[--last]", "the last lines of Havoc's log, or those of the boot before this one",
	  "The latter outlive a reset, not a power-off.", "log"},
	 0,
	 1,
	 .words = log_words,
	 .run = command_log},
	{{"config", "", "the options and the havoc.conf that this machine was started with", "",
	  "config"},
	 0,
	 0,
	 .run = command_config},
	{{"doctor", "", "what this machine offers and what it lacks, for a bug report", "",
	  "doctor"},
	 0,
	 0,
	 .run = command_doctor},
	{{"reboot", "", "restarts the machine at once; guests are not asked", "", "reboot"},
	 0,
	 0,
	 .run = command_reboot},
	{{"poweroff", "", "turns the machine off at once; guests are not asked", "", "poweroff"},
	 0,
	 0,
	 .run = command_poweroff},
};

const unsigned command_count = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (!strcmp(commands[i].doc.name, name))
			return &commands[i];
	return NULL;
}

const struct command_doc *monitor_doc(unsigned index)
{
	return index < command_count ? &commands[index].doc : NULL;
}

/* Whether one becomes the other by one letter that is wrong, missing, too much, or by two that changed places. */
static bool is_near(const char *a, const char *b)
{
	size_t same = 0, la = strlen(a), lb = strlen(b);

	while (a[same] && a[same] == b[same])
		same++;
	a += same;
	b += same;
	if (la == lb)
		return !strcmp(a + !!*a, b + !!*b) ||
		       (*a && *b && a[0] == b[1] && a[1] == b[0] && !strcmp(a + 2, b + 2));
	return la > lb ? la == lb + 1 && !strcmp(a + 1, b) : lb == la + 1 && !strcmp(a, b + 1);
}

const char *monitor_nearest(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (is_near(name, commands[i].doc.name))
			return commands[i].doc.name;
	for (unsigned i = 0; i < command_count; i++)
		if (strlen(name) > 1 && !strncmp(name, commands[i].doc.name, strlen(name)))
			return commands[i].doc.name;
	return NULL;
}
