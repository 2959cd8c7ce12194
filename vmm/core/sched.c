/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's policy; sched.h is its contract, cpu.c its caller.
 *
 * Each task has a virtual time: the CPU time that it had while others waited, divided by its weight. The least runs. It
 * is one time for all CPUs, and a CPU takes its next task from another one's queue if that has waited clearly longer;
 * so it is fair over the machine, and no CPU is idle while a task waits that may run there. What a task uses while nobody
 * waits is free: a lone guest does not pay for it later. As "weighted fair queueing" of the literature; a task whose
 * weight is more than a whole CPU's share gets that CPU, and what it cannot use is not saved up for it.
 */
#include <vmm/sched.h>

#define VTIME_SHIFT 10

static u64 vtime_of(u64 ticks, u32 weight)
{
	return (ticks << VTIME_SHIFT) / weight;
}

/* By how much another must be behind for a turn to be cut short. */
static u64 wake_grain(const struct sched *s)
{
	return vtime_of(s->slice / 4, SCHED_WEIGHT_DEFAULT);
}

/* One that has waited as long as a turn of its own takes may change its CPU. */
static u64 steal_grain(const struct sched *s, const struct sched_task *t)
{
	return vtime_of(s->slice, t->weight);
}

/* Nobody is behind the others by more: one that slept, or cannot use its share, has no credit beyond it. */
static u64 lag_max(const struct sched *s, const struct sched_task *t)
{
	return vtime_of(2 * s->slice, MIN(t->weight, (u32)SCHED_WEIGHT_DEFAULT));
}

static u64 wake_lag(const struct sched *s)
{
	return vtime_of(s->slice / 2, SCHED_WEIGHT_DEFAULT);
}

/* Virtual times wrap. */
static bool before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* Whoever waited for a lock has read the clock earlier than the one who had it. */
static u64 elapsed(u64 from, u64 now)
{
	return before(now, from) ? 0 : now - from;
}

static u64 look_at(const u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static u64 allowed_cpus(const struct sched *s, const struct sched_task *t)
{
	return t->dedicated ? t->affinity : t->affinity & ~s->reserved;
}

static bool may_run(const struct sched *s, const struct sched_task *t, unsigned cpu)
{
	return allowed_cpus(s, t) >> cpu & 1;
}

static bool is_loaded(const struct sched_task *t)
{
	return __atomic_load_n(&t->loaded, __ATOMIC_ACQUIRE);
}

static bool is_reserved(const struct sched *s, unsigned cpu)
{
	return s->reserved >> cpu & 1;
}

void sched_init(struct sched *s, unsigned cpus, u64 slice, void (*look)(void *ctx, unsigned cpu),
		void *ctx)
{
	*s = (struct sched){.cpus = cpus, .slice = slice, .look = look, .ctx = ctx};
	for (unsigned i = 0; i < cpus; i++)
		s->cpu[i] = (struct sched_cpu){.idle = true,
					       .slice_end = SCHED_NEVER,
					       .first = SCHED_NEVER,
					       .current = SCHED_NEVER};
}

void sched_reserve(struct sched *s, u64 cpus)
{
	s->reserved |= cpus;
}

void sched_task_init(struct sched *s, struct sched_task *t, u32 weight, u64 affinity,
		     bool dedicated)
{
	*t = (struct sched_task){.weight = weight,
				 .affinity = affinity,
				 .dedicated = dedicated,
				 .wake_at = SCHED_NEVER};
	for (unsigned i = s->cpus; i-- > 0;)
		if (may_run(s, t, i))
			t->cpu = i;
}

/* ---- A queue, under its lock ---------------------------------------------------------------- */

/* Of what waits here, only what may run elsewhere concerns the other CPUs. */
static void publish(const struct sched *s, struct sched_cpu *c)
{
	u64 current = c->running ? c->running->vtime : SCHED_NEVER, here = BIT(c - s->cpu);
	u64 first = SCHED_NEVER, movable = 0;
	const struct sched_task *t;

	for (t = c->queue; t; t = t->next) {
		u64 elsewhere = allowed_cpus(s, t) & ~here;

		if (elsewhere && !movable)
			first = t->vtime + steal_grain(s, t);
		movable |= elsewhere;
	}
	__atomic_store_n(&c->movable, movable, __ATOMIC_RELEASE);
	__atomic_store_n(&c->first, first, __ATOMIC_RELEASE);
	__atomic_store_n(&c->current, current, __ATOMIC_RELEASE);
}

static void insert(struct sched_cpu *c, struct sched_task *t)
{
	struct sched_task **link = &c->queue;

	while (*link && !before(t->vtime, (*link)->vtime))
		link = &(*link)->next;
	t->next = *link;
	*link = t;
}

static void take_out(struct sched_cpu *c, struct sched_task *t)
{
	struct sched_task **link = &c->queue;

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
}

static void enqueue(struct sched *s, struct sched_cpu *c, struct sched_task *t, u64 now)
{
	insert(c, t);
	t->state = SCHED_QUEUED;
	t->queued_at = now;
	if (!t->dedicated)
		__atomic_fetch_add(&s->waiting, 1, __ATOMIC_ACQ_REL);
}

static void dequeue(struct sched *s, struct sched_cpu *c, struct sched_task *t, u64 now)
{
	take_out(c, t);
	t->waited += elapsed(t->queued_at, now);
	if (!t->dedicated)
		__atomic_fetch_sub(&s->waiting, 1, __ATOMIC_ACQ_REL);
}

static void sleeper_add(struct sched_cpu *c, struct sched_task *t, u64 wake_at)
{
	struct sched_task **link = &c->sleepers;

	t->wake_at = wake_at;
	if (wake_at == SCHED_NEVER)
		return;
	while (*link && (*link)->wake_at <= wake_at)
		link = &(*link)->sleeper_next;
	t->sleeper_next = *link;
	*link = t;
}

static void sleeper_remove(struct sched_cpu *c, struct sched_task *t)
{
	struct sched_task **link = &c->sleepers;

	if (t->wake_at == SCHED_NEVER)
		return;
	while (*link != t)
		link = &(*link)->sleeper_next;
	*link = t->sleeper_next;
	t->wake_at = SCHED_NEVER;
}

static void vnow_raise(struct sched *s, u64 vtime)
{
	u64 now = look_at(&s->vnow);

	while (before(now, vtime) &&
	       !__atomic_compare_exchange_n(&s->vnow, &now, vtime, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE))
		;
}

/*
 * The running task's time since it was accounted last. Free while nobody waits; and if somebody has begun to, in the midst
 * of a long turn that nothing ended, no more than two slices are charged.
 */
static void account(struct sched *s, struct sched_cpu *c, u64 now)
{
	struct sched_task *t = c->running;
	u64 had = elapsed(t->started, now);

	t->started += had;
	t->runtime += had;
	if (c->queue || __atomic_load_n(&s->waiting, __ATOMIC_ACQUIRE))
		t->vtime += vtime_of(MIN(had, 2 * s->slice), t->weight);
}

/* Nobody is too far behind. */
static void limit_lag(struct sched *s, struct sched_task *t, u64 lag)
{
	u64 least = look_at(&s->vnow) - lag;

	if (before(t->vtime, least))
		t->vtime = least;
}

/* Whether somebody waits for the time of the one that runs here. */
static bool contended(struct sched *s, unsigned cpu)
{
	if (s->cpu[cpu].queue)
		return true;
	return !is_reserved(s, cpu) && __atomic_load_n(&s->waiting, __ATOMIC_ACQUIRE);
}

static void slice_set(struct sched *s, unsigned cpu, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];

	c->slice_end = c->running && contended(s, cpu) ? now + s->slice : SCHED_NEVER;
}

/* ---- Waking --------------------------------------------------------------------------------- */

/* Where it was, if that is idle; else where it would not have to wait; else where it was. */
static unsigned choose_cpu(const struct sched *s, const struct sched_task *t)
{
	unsigned i;

	if (is_loaded(t) || (may_run(s, t, t->cpu) && s->cpu[t->cpu].idle))
		return t->cpu;
	for (i = 0; i < s->cpus; i++)
		if (may_run(s, t, i) && __atomic_load_n(&s->cpu[i].idle, __ATOMIC_ACQUIRE))
			return i;
	return t->cpu;
}

/* Blocked, under the lock of `cpu`, which is t->cpu. True: the CPU is to look. */
static bool make_runnable(struct sched *s, unsigned cpu, struct sched_task *t, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];
	bool first = !c->queue;

	sleeper_remove(c, t);
	t->woken = false;
	limit_lag(s, t, wake_lag(s));
	/* What the running one had until now it had alone. */
	if (c->running && first)
		account(s, c, now);
	enqueue(s, c, t, now);
	publish(s, c);
	/* Whoever is woken next looks for a CPU elsewhere. */
	__atomic_store_n(&c->idle, false, __ATOMIC_RELEASE);
	return !c->running || first || before(t->vtime + wake_grain(s), c->running->vtime);
}

unsigned sched_wake(struct sched *s, struct sched_task *t, u64 now)
{
	for (;;) {
		unsigned cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE), target = cpu;
		struct sched_cpu *c = &s->cpu[cpu];
		bool look = false, runs;

		spin_lock(&c->lock);
		if (t->cpu != cpu) {
			spin_unlock(&c->lock);
			continue;
		}
		runs = t->state == SCHED_RUNNING;
		if (runs) {
			t->woken = true;
		} else if (t->state == SCHED_BLOCKED) {
			target = choose_cpu(s, t);
			if (target == cpu) {
				look = make_runnable(s, cpu, t, now);
			} else {
				/* It goes on there: the other CPU's queue has a lock of its own. */
				sleeper_remove(c, t);
				t->migrations++;
				__atomic_store_n(&t->cpu, target, __ATOMIC_RELEASE);
			}
		}
		spin_unlock(&c->lock);
		if (look)
			s->look(s->ctx, cpu);
		if (target == cpu)
			return runs ? cpu : s->cpus;
	}
}

bool sched_is_blocked(struct sched *s, struct sched_task *t)
{
	for (;;) {
		unsigned cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
		struct sched_cpu *c = &s->cpu[cpu];
		bool blocked, here;

		spin_lock(&c->lock);
		here = t->cpu == cpu;
		blocked = t->state == SCHED_BLOCKED && !is_loaded(t) && t->wake_at == SCHED_NEVER;
		spin_unlock(&c->lock);
		if (here)
			return blocked;
	}
}

static void wake_sleepers(struct sched *s, unsigned cpu, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];

	while (c->sleepers && c->sleepers->wake_at <= now)
		(void)make_runnable(s, cpu, c->sleepers, now);
}

void sched_forgive(struct sched *s, unsigned cpu, u64 from, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];

	spin_lock(&c->lock);
	if (c->running) {
		account(s, c, from);
		c->running->started = now;
	}
	spin_unlock(&c->lock);
}

u64 sched_runtime(struct sched *s, struct sched_task *t, u64 now)
{
	for (;;) {
		unsigned cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
		struct sched_cpu *c = &s->cpu[cpu];
		bool here;
		u64 had;

		spin_lock(&c->lock);
		here = t->cpu == cpu;
		had = t->runtime + (t->state == SCHED_RUNNING ? elapsed(t->started, now) : 0);
		spin_unlock(&c->lock);
		if (here)
			return had;
	}
}

/* ---- Choosing ------------------------------------------------------------------------------- */

/*
 * Of the CPUs of `among`, the one whose queue has what has waited longest, by virtual time, and may run on `cpu`; `cpus`: none.
 * *vtime: who is ahead of this leaves his place to it.
 */
static unsigned longest_waiting(const struct sched *s, unsigned cpu, u64 among, u64 *vtime)
{
	unsigned i, found = s->cpus;

	*vtime = 0;
	for (i = 0; i < s->cpus; i++) {
		u64 first;

		if (i == cpu || !(among >> i & 1) || !(look_at(&s->cpu[i].movable) >> cpu & 1))
			continue;
		first = look_at(&s->cpu[i].first);
		if (first != SCHED_NEVER && (found == s->cpus || before(first, *vtime))) {
			found = i;
			*vtime = first;
		}
	}
	return found;
}

/* Takes a task off another CPU's queue, one that goes before `own` unless that is NULL; NULL: there is none, or somebody is at it. */
static struct sched_task *steal(struct sched *s, unsigned from, unsigned to,
				const struct sched_task *own, u64 now)
{
	struct sched_cpu *c = &s->cpu[from];
	struct sched_task *t;

	if (!spin_trylock(&c->lock))
		return NULL;
	for (t = c->queue; t; t = t->next)
		if (!is_loaded(t) && may_run(s, t, to) &&
		    (!own || before(t->vtime + steal_grain(s, t), own->vtime)))
			break;
	if (t) {
		dequeue(s, c, t, now);
		__atomic_store_n(&t->cpu, to, __ATOMIC_RELEASE);
		t->migrations++;
		publish(s, c);
	}
	spin_unlock(&c->lock);
	return t;
}

/* From whichever CPU has one that goes before `own`. */
static struct sched_task *steal_any(struct sched *s, unsigned cpu, const struct sched_task *own,
				    u64 now)
{
	struct sched_task *t = NULL;
	u64 among = ~0ULL, vtime;

	while (!t) {
		unsigned from = longest_waiting(s, cpu, among, &vtime);

		if (from == s->cpus || (own && !before(vtime, own->vtime)))
			break;
		t = steal(s, from, cpu, own, now);
		among &= ~BIT(from);
	}
	return t;
}

/* The least of this queue; another CPU's, if that has waited clearly longer, or if there is none here. */
static struct sched_task *choose_task(struct sched *s, unsigned cpu, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];
	struct sched_task *t = NULL;

	/* On a dedicated CPU only as long as it has nothing of its own: its guest may have more vcpus than it has run so far. */
	if (!c->queue || !is_reserved(s, cpu))
		t = steal_any(s, cpu, c->queue, now);
	if (t) {
		c->steals++;
		return t;
	}
	t = c->queue;
	if (t)
		dequeue(s, c, t, now);
	return t;
}

/* Others wait here: a CPU that is idle, or whose task is far ahead of them, may want one. */
static unsigned helper(const struct sched *s, unsigned cpu)
{
	const struct sched_task *t = s->cpu[cpu].queue;
	unsigned i;

	for (; t; t = t->next) {
		if (is_loaded(t))
			continue;
		for (i = 0; i < s->cpus; i++) {
			u64 current = look_at(&s->cpu[i].current);

			if (i == cpu || !may_run(s, t, i))
				continue;
			if (__atomic_load_n(&s->cpu[i].idle, __ATOMIC_ACQUIRE) ||
			    (current != SCHED_NEVER &&
			     before(t->vtime + steal_grain(s, t), current)))
				return i;
		}
	}
	return cpu;
}

struct sched_task *sched_switch(struct sched *s, unsigned cpu, u64 now, bool block, u64 wake_at)
{
	struct sched_cpu *c = &s->cpu[cpu];
	struct sched_task *t;
	unsigned help;

	spin_lock(&c->lock);
	t = c->running;
	if (t) {
		account(s, c, now);
		c->running = NULL;
		c->yields = false;
		if (block && !t->woken) {
			t->state = SCHED_BLOCKED;
			sleeper_add(c, t, wake_at);
		} else {
			enqueue(s, c, t, now);
		}
		t->woken = false;
	}
	wake_sleepers(s, cpu, now);
	publish(s, c); /* nothing of ours is current: nobody need send for us */
	t = choose_task(s, cpu, now);
	if (t) {
		limit_lag(s, t, lag_max(s, t));
		vnow_raise(s, t->vtime);
		t->state = SCHED_RUNNING;
		t->started = t->turn = now;
		c->switches++;
	}
	c->running = t;
	__atomic_store_n(&c->idle, !t, __ATOMIC_RELEASE);
	publish(s, c);
	slice_set(s, cpu, now);
	help = helper(s, cpu);
	spin_unlock(&c->lock);
	if (help != cpu)
		s->look(s->ctx, help);
	return t;
}

/* Is there one that should run rather than the running one? A turn is cut short only for a clear case. */
static bool better_waits(struct sched *s, unsigned cpu, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];
	struct sched_task *t = c->running;
	bool over = now - t->turn >= s->slice;
	u64 vtime;

	if (c->queue && before(c->queue->vtime + (over ? 0 : wake_grain(s)), t->vtime))
		return true;
	return !is_reserved(s, cpu) && longest_waiting(s, cpu, ~0ULL, &vtime) < s->cpus &&
	       before(vtime, t->vtime);
}

bool sched_due(struct sched *s, unsigned cpu, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];
	unsigned help = cpu;
	bool due = true;

	spin_lock(&c->lock);
	wake_sleepers(s, cpu, now);
	if (c->running) {
		account(s, c, now);
		due = c->yields || better_waits(s, cpu, now);
		if (now - c->running->turn >= s->slice)
			c->running->turn = now;
		if (!due)
			slice_set(s, cpu, now);
		help = helper(s, cpu);
	}
	publish(s, c);
	spin_unlock(&c->lock);
	if (help != cpu)
		s->look(s->ctx, help);
	return due;
}

bool sched_yield_to(struct sched *s, unsigned cpu, struct sched_task *t, u64 now)
{
	struct sched_cpu *c = &s->cpu[cpu];
	struct sched_task *from;
	bool waits;

	spin_lock(&c->lock);
	from = c->running;
	waits = from && t->cpu == cpu && t->state == SCHED_QUEUED;
	if (waits) {
		c->yields = true;
		account(s, c, now);
	}
	if (waits && before(from->vtime, t->vtime)) {
		u64 place = t->vtime;

		take_out(c, t);
		t->vtime = from->vtime;
		from->vtime = place;
		insert(c, t);
		publish(s, c);
	}
	spin_unlock(&c->lock);
	return waits;
}

u64 sched_deadline(struct sched *s, unsigned cpu)
{
	struct sched_cpu *c = &s->cpu[cpu];
	u64 deadline;

	spin_lock(&c->lock);
	deadline = c->slice_end;
	if (c->sleepers)
		deadline = MIN(deadline, c->sleepers->wake_at);
	spin_unlock(&c->lock);
	return deadline;
}

void sched_unloaded(struct sched *s, struct sched_task *t)
{
	unsigned cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE), help;

	__atomic_store_n(&t->loaded, false, __ATOMIC_RELEASE);
	spin_lock(&s->cpu[cpu].lock);
	help = helper(s, cpu);
	spin_unlock(&s->cpu[cpu].lock);
	if (help != cpu)
		s->look(s->ctx, help);
}
