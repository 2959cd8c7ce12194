/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/core/sched.c */
/*
 * The scheduler under a simulated clock: up to 8 CPUs that obey it as cpu.c does, tasks that run for ever, sleep, or both.
 * Fair shares by any weights, nobody starved, nobody in two places, no tick for a lone task, affinity, dedicated CPUs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/sched.h>

#define HZ        1000000000ULL /* a tick is a nanosecond */
#define SLICE     (5 * HZ / 1000)
#define TASKS_MAX 40
#define CPUS_MAX  8

struct task {
	struct sched_task t;
	u64 burst, sleep; /* runs so long, then sleeps so long; burst 0: runs for ever */
	u64 left;
	u64 last_ran;
	u64 worst_wait; /* between two turns, while it wanted one */
};

struct cpu {
	struct task *on;
	struct sched_task *loaded;
	bool told;
	unsigned looks;
};

static struct sched s;
static struct task task[TASKS_MAX];
static unsigned tasks;
static struct cpu cpu[CPUS_MAX];
static u64 now;

static void look(void *ctx, unsigned n)
{
	(void)ctx;
	assert_true(n < s.cpus);
	cpu[n].told = true;
}

static void start(unsigned cpus)
{
	memset(task, 0, sizeof(task));
	memset(cpu, 0, sizeof(cpu));
	tasks = 0;
	now = 1000;
	sched_init(&s, cpus, SLICE, look, NULL);
}

static struct task *add(u32 weight, u64 affinity, bool dedicated)
{
	struct task *t = &task[tasks++];

	sched_task_init(&s, &t->t, weight, affinity, dedicated);
	t->last_ran = now;
	return t;
}

static void wake_all(void)
{
	for (unsigned i = 0; i < tasks; i++)
		(void)sched_wake(&s, &task[i].t, now);
}

static void check_places(void)
{
	unsigned seen[TASKS_MAX] = {0}, waiting = 0;

	for (unsigned c = 0; c < s.cpus; c++) {
		if (s.cpu[c].running)
			seen[(struct task *)s.cpu[c].running - task]++;
		for (struct sched_task *t = s.cpu[c].queue; t; t = t->next) {
			seen[(struct task *)t - task]++;
			waiting += !t->dedicated;
			assert_int_equal(t->cpu, c);
			assert_int_equal(t->state, SCHED_QUEUED);
		}
		/* Not idle either: one that has been woken has not been looked at. */
		assert_false(s.cpu[c].idle && (s.cpu[c].running || s.cpu[c].queue));
		assert_true(s.cpu[c].idle || s.cpu[c].running || s.cpu[c].queue || cpu[c].told);
	}
	for (unsigned i = 0; i < tasks; i++)
		assert_int_equal(seen[i], task[i].t.state != SCHED_BLOCKED);
	assert_int_equal(waiting, s.waiting);
}

static void do_switch(unsigned n, bool block, u64 wake_at)
{
	struct cpu *c = &cpu[n];
	struct task *next = (struct task *)sched_switch(&s, n, now, block, wake_at);

	c->on = next;
	if (!next)
		return;
	assert_int_equal(next->t.cpu, n);
	assert_true((next->t.dedicated ? next->t.affinity : next->t.affinity & ~s.reserved) >> n &
		    1);
	if (c->loaded != &next->t) {
		assert_false(next->t.loaded);
		if (c->loaded)
			sched_unloaded(&s, c->loaded);
		next->t.loaded = true;
		c->loaded = &next->t;
	}
	if (now - next->last_ran > next->worst_wait)
		next->worst_wait = now - next->last_ran;
	if (!next->left)
		next->left = next->burst;
}

/* What the CPU does at this moment. */
static void step_cpu(unsigned n)
{
	struct cpu *c = &cpu[n];
	bool told = c->told;

	c->told = false;
	if (!c->on) {
		if (told || now >= sched_deadline(&s, n)) {
			c->looks++;
			(void)sched_due(&s, n, now);
			do_switch(n, false, SCHED_NEVER);
		}
		return;
	}
	if (c->on->burst && !c->on->left) {
		c->on->last_ran = now + c->on->sleep;
		do_switch(n, true, now + c->on->sleep);
	} else if (told || now >= sched_deadline(&s, n)) {
		c->looks++;
		if (sched_due(&s, n, now))
			do_switch(n, false, SCHED_NEVER);
	}
}

static void run(u64 ticks, u64 step)
{
	u64 end = now + ticks;

	while (now < end) {
		for (unsigned pass = 0; pass < 3; pass++)
			for (unsigned n = 0; n < s.cpus; n++)
				step_cpu(n);
		check_places();
		now += step;
		for (unsigned n = 0; n < s.cpus; n++) {
			struct task *t = cpu[n].on;

			if (!t)
				continue;
			t->last_ran = now;
			if (t->burst)
				t->left -= MIN(t->left, step);
		}
	}
	for (unsigned n = 0; n < s.cpus; n++)
		if (cpu[n].on)
			(void)sched_due(&s, n, now); /* accounts */
}

/* The shares that weights give, none of more than a CPU: in 1/10000 of a CPU. */
static void fair_shares(u64 share[])
{
	bool full[TASKS_MAX] = {false};
	u64 capacity = 10000ULL * s.cpus;

	for (;;) {
		u64 weights = 0;
		bool again = false;

		for (unsigned i = 0; i < tasks; i++)
			if (!full[i])
				weights += task[i].t.weight;
		for (unsigned i = 0; i < tasks; i++) {
			if (full[i])
				continue;
			share[i] = capacity * task[i].t.weight / weights;
			if (share[i] >= 10000) {
				full[i] = again = true;
				share[i] = 10000;
				capacity -= 10000;
				break;
			}
		}
		if (!again)
			return;
	}
}

static void check_fair(u64 seconds)
{
	u64 share[TASKS_MAX], before[TASKS_MAX];

	fair_shares(share);
	for (unsigned i = 0; i < tasks; i++)
		before[i] = task[i].t.runtime;
	run(seconds * HZ, SLICE / 10);
	for (unsigned i = 0; i < tasks; i++) {
		s64 got = (s64)((task[i].t.runtime - before[i]) * 10000 / (seconds * HZ));

		if (llabs(got - (s64)share[i]) > 200)
			fail_msg("%u CPUs: task %u of %u, weight %u: %ld of 10000, not %ld", s.cpus,
				 i, tasks, task[i].t.weight, (long)got, (long)share[i]);
	}
}

static void fair_on_one(void **state)
{
	static const u32 weights[][4] = {{100, 100, 100, 100},
					 {100, 200, 300, 400},
					 {1, 10, 100, 1000},
					 {1, 1, 1, 10000},
					 {7, 7, 93, 500}};

	(void)state;
	for (unsigned w = 0; w < ARRAY_SIZE(weights); w++) {
		start(1);
		for (unsigned i = 0; i < 4; i++)
			add(weights[w][i], ~0ULL, false);
		wake_all();
		check_fair(1);
		check_fair(1);
	}
}

static void fair_on_many(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < 40; round++) {
		unsigned cpus = 2 + (unsigned)rand() % 7, n = cpus + 1 + (unsigned)rand() % 24;

		start(cpus);
		for (unsigned i = 0; i < n; i++)
			add((u32)(1 + rand() % (round % 4 == 3 ? 10000 : 400)), ~0ULL, false);
		wake_all();
		run(HZ / 2, SLICE / 10);
		check_fair(1);
	}
}

static void nobody_starves(void **state)
{
	(void)state;
	start(2);
	add(1, ~0ULL, false);
	for (unsigned i = 0; i < 20; i++)
		add(10000, ~0ULL, false);
	for (unsigned i = 0; i < 10; i++) {
		struct task *t = add(1000, ~0ULL, false);

		t->burst = HZ / 2000;
		t->sleep = HZ / 1000;
	}
	wake_all();
	run(60 * HZ, SLICE / 10);
	assert_true(task[0].t.runtime > 0);
	for (unsigned i = 1; i < tasks; i++)
		assert_true(task[i].worst_wait < HZ / 2);
}

static void a_sleeper_is_quick(void **state)
{
	struct task *t;

	(void)state;
	start(1);
	for (unsigned i = 0; i < 8; i++)
		add(100, ~0ULL, false);
	t = add(100, ~0ULL, false);
	t->burst = HZ / 10000;
	t->sleep = 10 * HZ / 1000;
	wake_all();
	run(HZ, SLICE / 50);
	t->worst_wait = 0;
	run(5 * HZ, SLICE / 50);
	/* It comes on at once, not after the eight. */
	assert_true(t->worst_wait <= SLICE);
}

static void alone_without_a_tick(void **state)
{
	(void)state;
	start(2);
	add(100, ~0ULL, false);
	add(100, ~0ULL, false);
	wake_all();
	run(HZ / 10, SLICE / 10);
	cpu[0].looks = cpu[1].looks = 0;
	run(HZ, SLICE / 10);
	assert_int_equal(cpu[0].looks, 0);
	assert_int_equal(cpu[1].looks, 0);
	assert_true(sched_deadline(&s, 0) == SCHED_NEVER);
	assert_true(task[0].t.runtime > 9 * HZ / 10 && task[1].t.runtime > 9 * HZ / 10);
}

static void time_alone_is_free(void **state)
{
	(void)state;
	start(1);
	add(100, ~0ULL, false);
	add(100, ~0ULL, false);
	(void)sched_wake(&s, &task[0].t, now);
	run(100 * HZ, SLICE);
	(void)sched_wake(&s, &task[1].t, now);
	check_fair(1);
}

static void idle_cpus_take_over(void **state)
{
	u64 total = 0;

	(void)state;
	start(4);
	for (unsigned i = 0; i < 4; i++) {
		add(100, ~0ULL, false);
		task[i].t.cpu = 0; /* all where they must not stay */
	}
	wake_all();
	run(HZ, SLICE / 10);
	for (unsigned i = 0; i < 4; i++)
		total += task[i].t.runtime;
	assert_true(total > 396 * HZ / 100);
}

static void affinity_holds(void **state)
{
	(void)state;
	start(4);
	for (unsigned i = 0; i < 8; i++)
		add(100, 1ULL << (i % 2), false); /* do_switch() looks */
	add(100, 0xc, false);
	wake_all();
	run(HZ, SLICE / 10);
	for (unsigned i = 0; i < 8; i++)
		assert_true(task[i].t.runtime > HZ / 5);
	assert_true(task[8].t.runtime > 99 * HZ / 100);
}

static void dedicated_is_undisturbed(void **state)
{
	(void)state;
	start(3);
	sched_reserve(&s, 1 << 1);
	add(100, 1 << 1, true);
	for (unsigned i = 0; i < 10; i++)
		add(100, ~0ULL, false);
	wake_all();
	run(HZ / 10, SLICE / 10);
	cpu[1].looks = 0;
	run(HZ, SLICE / 10);
	assert_int_equal(cpu[1].looks, 0);
	assert_int_equal(s.cpu[1].switches, 1);
	assert_true(task[0].t.runtime >= HZ);
	/* Also when it sleeps, nobody comes. */
	task[0].burst = HZ / 1000;
	task[0].sleep = HZ / 1000;
	run(HZ, SLICE / 10);
	assert_int_equal(s.cpu[1].steals, 0);
}

/* Each vcpu of a dedicated guest gets a CPU of its own, whichever woke when; and then there is no tick. */
static void dedicated_vcpus_spread(void **state)
{
	(void)state;
	for (unsigned cpus = 3; cpus <= CPUS_MAX; cpus++) {
		start(cpus);
		sched_reserve(&s, BIT(cpus) - 2);
		for (unsigned i = 1; i < cpus; i++)
			add(100, BIT(cpus) - 2, true);
		add(100, ~0ULL, false);
		(void)sched_wake(&s, &task[0].t, now);
		run(SLICE, SLICE / 10);
		wake_all();
		run(HZ / 10, SLICE / 10);
		for (unsigned i = 0; i < cpus; i++) {
			cpu[i].looks = 0;
			task[i].t.runtime = 0;
		}
		run(HZ, SLICE / 10);
		for (unsigned i = 0; i < cpus; i++) {
			assert_true(task[i].t.runtime > 99 * HZ / 100);
			assert_int_equal(cpu[i].looks, 0);
		}
		/* One that comes to the CPU of another by its timer is taken from there. */
		task[0].burst = HZ / 1000;
		task[0].sleep = HZ / 1000;
		run(HZ, SLICE / 10);
		for (unsigned i = 1; i + 1 < cpus; i++)
			assert_true(task[i].t.runtime > 198 * HZ / 100);
	}
}

/* Those that may run on two CPUs share them evenly, however many others wait where they may not run. */
static void fair_beside_pinned(void **state)
{
	(void)state;
	for (unsigned pinned = 0; pinned <= 4; pinned++) {
		start(3);
		for (unsigned i = 0; i < 4 + pinned; i++)
			add(100, i < 4 ? 6 : 1, false);
		wake_all();
		run(HZ / 2, SLICE / 10);
		for (unsigned i = 0; i < tasks; i++)
			task[i].t.runtime = 0;
		run(HZ, SLICE / 10);
		for (unsigned i = 0; i < tasks; i++) {
			u64 want = i < 4 ? HZ / 2 : HZ / pinned;

			if (task[i].t.runtime > want + HZ / 50 ||
			    task[i].t.runtime + HZ / 50 < want)
				fail_msg("%u pinned: task %u had %lu of %lu", pinned, i,
					 (unsigned long)task[i].t.runtime, (unsigned long)want);
		}
	}
}

static void a_wake_is_not_lost(void **state)
{
	(void)state;
	start(2);
	add(100, ~0ULL, false);
	(void)sched_wake(&s, &task[0].t, now);
	assert_ptr_equal(sched_switch(&s, 0, now, false, SCHED_NEVER), &task[0].t);
	/* Woken while it runs: the next block is none. */
	(void)sched_wake(&s, &task[0].t, now);
	assert_ptr_equal(sched_switch(&s, 0, now, true, SCHED_NEVER), &task[0].t);
	assert_null(sched_switch(&s, 0, now, true, now + 10));
	assert_int_equal(sched_deadline(&s, 0), now + 10);
	assert_null(sched_switch(&s, 0, now + 9, false, SCHED_NEVER));
	assert_ptr_equal(sched_switch(&s, 0, now + 10, false, SCHED_NEVER), &task[0].t);
	/* Woken before its time, on another CPU's word: the sleep is over. */
	assert_null(sched_switch(&s, 0, now + 11, true, now + 20));
	(void)sched_wake(&s, &task[0].t, now + 12);
	(void)sched_wake(&s, &task[0].t, now + 12);
	assert_ptr_equal(sched_switch(&s, 0, now + 13, false, SCHED_NEVER), &task[0].t);
	assert_int_equal(sched_deadline(&s, 0), SCHED_NEVER);
}

/* A's turn goes to C, which is behind B in the queue; and the two of them together get no more than before. */
static void gives_way(void **state)
{
	struct sched_task *t;

	(void)state;
	start(2);
	for (unsigned i = 0; i < 3; i++)
		add(100, 1, false);
	wake_all();
	t = sched_switch(&s, 0, now, false, SCHED_NEVER);
	assert_ptr_equal(t, &task[0].t);
	assert_false(sched_yield_to(&s, 0, t, now)); /* it runs */
	task[1].t.vtime = task[0].t.vtime + 100;
	task[2].t.vtime = task[0].t.vtime + 5000;
	assert_true(sched_yield_to(&s, 0, &task[2].t, now));
	assert_true(sched_due(&s, 0, now));
	assert_int_equal(task[0].t.vtime - task[2].t.vtime, 5000);
	t = sched_switch(&s, 0, now, false, SCHED_NEVER);
	assert_ptr_equal(t, &task[2].t);
	check_places();
	assert_false(sched_due(&s, 0, now)); /* given way once */
	/* One that is blocked, or waits for another CPU, is not waited for. */
	assert_false(sched_yield_to(&s, 1, &task[1].t, now));
	add(100, 2, false);
	assert_false(sched_yield_to(&s, 0, &task[3].t, now));
	(void)sched_wake(&s, &task[3].t, now);
	assert_false(sched_yield_to(&s, 0, &task[3].t, now));
	/* One that is before the running one anyway: nothing to exchange. */
	assert_ptr_equal(s.cpu[0].queue, &task[1].t);
	task[2].t.vtime = task[1].t.vtime + 10;
	assert_true(sched_yield_to(&s, 0, &task[1].t, now));
	assert_ptr_equal(sched_switch(&s, 0, now, false, SCHED_NEVER), &task[1].t);
}

static void giving_way_is_fair(void **state)
{
	u64 all = 0;

	(void)state;
	srand(3);
	start(2);
	for (unsigned i = 0; i < 6; i++)
		add(100, ~0ULL, false);
	wake_all();
	for (unsigned i = 0; i < 4000; i++) {
		unsigned n = (unsigned)rand() % 2;

		run(SLICE / 4, SLICE / 20);
		/* The first three are one guest's. */
		if (cpu[n].on && cpu[n].on < task + 3 &&
		    sched_yield_to(&s, n, &task[rand() % 3].t, now))
			cpu[n].told = true;
	}
	for (unsigned i = 0; i < tasks; i++)
		all += task[i].t.runtime;
	for (unsigned i = 3; i < tasks; i++)
		assert_in_range(task[i].t.runtime, all / 6 * 98 / 100, all / 6 * 102 / 100);
}

/* Everything at once, and no invariant broken (check_places). */
static void mixed(void **state)
{
	(void)state;
	srand(7);
	for (unsigned round = 0; round < 20; round++) {
		unsigned cpus = 1 + (unsigned)rand() % 8;

		start(cpus);
		if (cpus > 2 && round & 1) {
			sched_reserve(&s, 1);
			add(100, 1, true);
		}
		for (unsigned i = 0; i < 30; i++) {
			u64 affinity = ~0ULL << (unsigned)rand() % cpus;
			struct task *t;

			if (!(affinity & ~s.reserved & ((1ULL << cpus) - 1)))
				affinity = ~0ULL;
			t = add((u32)(1 + rand() % 1000), affinity, false);
			t->burst = rand() % 3 ? (u64)rand() % SLICE + 1 : 0;
			t->sleep = (u64)rand() % (4 * SLICE) + 1;
		}
		wake_all();
		for (unsigned i = 0; i < 200; i++) {
			run(HZ / 200, SLICE / 20);
			(void)sched_wake(&s, &task[rand() % tasks].t, now);
		}
		for (unsigned i = 0; i < tasks; i++)
			assert_true(task[i].t.runtime > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fair_on_one),
		cmocka_unit_test(fair_on_many),
		cmocka_unit_test(nobody_starves),
		cmocka_unit_test(a_sleeper_is_quick),
		cmocka_unit_test(alone_without_a_tick),
		cmocka_unit_test(time_alone_is_free),
		cmocka_unit_test(idle_cpus_take_over),
		cmocka_unit_test(affinity_holds),
		cmocka_unit_test(dedicated_is_undisturbed),
		cmocka_unit_test(dedicated_vcpus_spread),
		cmocka_unit_test(fair_beside_pinned),
		cmocka_unit_test(a_wake_is_not_lost),
		cmocka_unit_test(gives_way),
		cmocka_unit_test(giving_way_is_fair),
		cmocka_unit_test(mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
