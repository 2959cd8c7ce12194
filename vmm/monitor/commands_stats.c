/* SPDX-License-Identifier: MIT */
/*
 * stats: what exits cost, measured for a second, for which the vcpus' exits are timed. top: who uses the CPUs, once a second.
 * Called by the table of commands.c.
 */
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "monitor_priv.h"

#define SECOND_MS 1000
#define COUNT_MS  2 /* for all to leave their guests and count */

static bool is_target(const struct monitor *m, unsigned number)
{
	return !m->args || m->target[0] == number;
}

static void take_sample(struct monitor *m)
{
	struct sample *s = &m->sample;

	s->at = host_ticks();
	for (unsigned n = 1; n <= m->guests; n++) {
		struct vm *vm = monitor_vm(m, n);

		s->runtime[n - 1] = vm ? monitor_runtime(m, vm) : 0;
		s->exits[n - 1] = vm ? monitor_exits(vm) : 0;
	}
}

/* In tenths of a percent. */
static u64 permille(u64 part, u64 whole)
{
	return whole ? part / (whole / 1000 + !(whole / 1000)) : 0;
}

/* One that is gone counts nothing any more. */
static u64 since(u64 now, u64 before)
{
	return now > before ? now - before : 0;
}

/* ---- stats -------------------------------------------------------------------------------------- */

struct totals {
	u64 all[EXIT_KINDS]; /* since the guests were made */
	struct vcpu_times t; /* of the second */
};

static void time_all(struct monitor *m, bool on)
{
	for (unsigned n = 1; n <= m->guests; n++) {
		struct vm *vm = monitor_vm(m, n);

		if (vm && is_target(m, n))
			hv_time(m->hv, vm, on);
	}
}

static void count_all(struct monitor *m)
{
	for (unsigned n = 1; n <= m->guests; n++) {
		struct vm *vm = monitor_vm(m, n);

		if (vm && is_target(m, n))
			hv_time_so_far(m->hv, vm);
	}
}

static void add_up(const struct monitor *m, struct totals *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned n = 1; n <= m->guests; n++) {
		const struct vm *vm = monitor_vm(m, n);

		for (unsigned i = 0; vm && is_target(m, n) && i < vm->cpus; i++) {
			const struct vcpu *v = &vm->vcpu[i];

			sum->t.guest += v->times.guest;
			for (unsigned kind = 0; kind < EXIT_KINDS; kind++) {
				sum->all[kind] += v->exits[kind];
				sum->t.exits[kind] += v->times.exits[kind];
				sum->t.ticks[kind] += v->times.ticks[kind];
			}
		}
	}
}

static const struct report_column stats_columns[] = {
	{"reason", "REASON", 16, false},           {"exits", "EXITS", 12, true},
	{"exits_in_second", "IN-1-S", 9, true},    {"ticks_per_exit", "TICKS/EXIT", 10, true},
	{"percent_of_time", "% OF TIME", 9, true},
};

static void stats_cancel(struct monitor *m)
{
	time_all(m, false);
}

static bool stats_done(struct monitor *m, struct report *r)
{
	u64 passed = host_ticks() - m->sample.at, havoc = 0;
	struct totals sum;

	if (!monitor_waited_too_long(m)) /* the second is not over */
		return false;
	/* One that has not exited since has not been counted: a moment more. */
	if (!m->counted) {
		m->counted = true;
		count_all(m);
		m->poll_every = clock_mul_div(COUNT_MS, host_tick_hz(), 1000);
		return false;
	}
	add_up(m, &sum);
	time_all(m, false);
	report_table(r, "exits", stats_columns, ARRAY_SIZE(stats_columns));
	for (unsigned kind = 0; kind < EXIT_KINDS; kind++) {
		u64 n = sum.t.exits[kind];

		havoc += sum.t.ticks[kind];
		if (!sum.all[kind])
			continue;
		report_cell(r, "%s", exit_kind_name(kind));
		report_cell_number(r, sum.all[kind]);
		report_cell_number(r, n);
		if (n || r->json)
			report_cell_number(r, n ? sum.t.ticks[kind] / n : 0);
		else
			report_cell(r, "-");
		report_cell_tenths(r, permille(sum.t.ticks[kind], passed));
	}
	report_table_end(r);
	report_tenths(r, "percent_guest", "in the guest", permille(sum.t.guest, passed),
		      "% of one CPU");
	report_tenths(r, "percent_havoc", "in Havoc", permille(havoc, passed), "% of one CPU");
	report_number(r, "ticks_per_second", "ticks per second", host_tick_hz(), "");
	return true;
}

void command_stats(struct monitor *m, struct report *r)
{
	if (m->args) {
		m->target[0] = monitor_guest_by(m, m->arg[0]);
		if (!m->target[0])
			return;
		if (!monitor_vm(m, m->target[0])) {
			report_error(r, "guest %s is %s: it has no exits", m->arg[0],
				     monitor_state(m, m->target[0]));
			return;
		}
	}
	time_all(m, true);
	take_sample(m);
	m->counted = false;
	monitor_wait(m, stats_done, SECOND_MS / 4, SECOND_MS);
	m->cancel = stats_cancel;
}

/* ---- top ---------------------------------------------------------------------------------------- */

static const struct report_column top_columns[] = {
	{"number", "NO", 2, true},
	{"name", "GUEST", 16, false},
	{"state", "STATE", 10, false},
	{"cpu_percent", "% CPU", 7, true},
	{"exits_per_second", "EXITS/S", 9, true},
};

static void show_top(struct monitor *m, struct report *r)
{
	struct sample before = m->sample;
	u64 passed;

	take_sample(m);
	passed = m->sample.at - before.at;
	report_table(r, "guests", top_columns, ARRAY_SIZE(top_columns));
	for (unsigned n = 1; n <= m->guests; n++) {
		u64 exits = since(m->sample.exits[n - 1], before.exits[n - 1]);

		report_cell_number(r, n);
		report_cell(r, "%s", m->guest[n - 1].name);
		report_cell(r, "%s", monitor_state(m, n));
		report_cell_tenths(r,
				   permille(since(m->sample.runtime[n - 1], before.runtime[n - 1]),
					    passed));
		report_cell_number(r, exits * 1000 / MAX(monitor_ms(passed), 1ULL));
	}
	report_table_end(r);
}

/* A line feed is the second half of the key that began it. */
static bool key_typed(struct monitor *m)
{
	u8 key;

	while (mux_monitor_read(m->mux, &key, 1))
		if (key != '\n')
			return true;
	return false;
}

static bool top_done(struct monitor *m, struct report *r)
{
	if (!r->json && key_typed(m))
		return true;
	if (!monitor_waited_too_long(m))
		return false;
	if (!r->json) /* ECMA-48: home, clear */
		r->write(r->ctx, "\x1b[H\x1b[2J", 7);
	show_top(m, r);
	if (r->json)
		return true;
	report_line(r, "any key ends it");
	monitor_wait(m, top_done, SECOND_MS / 10, SECOND_MS);
	return false;
}

void command_top(struct monitor *m, unused struct report *r)
{
	take_sample(m);
	monitor_wait(m, top_done, SECOND_MS / 10, SECOND_MS);
}
