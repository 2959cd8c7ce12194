/* SPDX-License-Identifier: MIT */
/*
 * Who runs on which CPU, and for how long. PURE: it knows tasks, CPUs and ticks, and tells a CPU to look again by a
 * callback; the loop that obeys it is cpu.c. Fair by weight over all CPUs; docs/architecture.md "Scheduling".
 *
 * Each CPU has a queue with a lock of its own; the lock of another CPU's queue is only tried while one's own is held.
 * All functions: root mode, interrupts off. A task is on one queue, or on one CPU, or blocked: never in two places.
 */
#ifndef VMM_SCHED_H
#define VMM_SCHED_H

#include <vmm/spinlock.h>
#include <vmm/types.h>

#define SCHED_CPUS_MAX       64
#define SCHED_WEIGHT_MIN     1
#define SCHED_WEIGHT_DEFAULT 100
#define SCHED_WEIGHT_MAX     10000
#define SCHED_NEVER          (~0ULL)

enum sched_state { SCHED_BLOCKED, SCHED_QUEUED, SCHED_RUNNING };

struct sched_task {
	/* Set by sched_task_init(). */
	u32 weight;
	bool dedicated; /* alone on the CPUs that sched_reserve() took out for it */
	u64 affinity;   /* a bit per CPU on which it may run */
	/* Under the lock of the queue of `cpu`, which changes only under it. */
	unsigned cpu;
	u8 state;    /* enum sched_state */
	bool woken;  /* while it ran: it shall not block */
	u64 vtime;   /* CPU time had while others waited, by weight */
	u64 started; /* ticks, when it was accounted last */
	u64 turn;    /* ticks, when its turn began */
	u64 wake_at; /* blocked: when it is woken by itself; SCHED_NEVER */
	struct sched_task *next, *sleeper_next;
	/* Statistics, ticks. */
	u64 runtime;
	u64 waited; /* queued, not running */
	u64 queued_at;
	u64 migrations;
	/* Its state is in the registers of `cpu`: it can be run nowhere else. Set by that CPU; atomic. */
	bool loaded;
};

struct sched_cpu {
	struct spinlock lock;
	struct sched_task *queue;    /* by vtime, the least first */
	struct sched_task *sleepers; /* by wake_at */
	struct sched_task *running;
	bool idle;
	bool yields;   /* the running one has given way */
	u64 slice_end; /* SCHED_NEVER: nobody waits for the CPU */
	/* For others to look at without the lock. */
	u64 first; /* the vtime from which on one should let the first of the queue that may run elsewhere go before; SCHED_NEVER: none */
	u64 movable;          /* the CPUs, besides this one, on which any of the queue may run */
	u64 current;          /* vtime of the running one; SCHED_NEVER: idle */
	u64 switches, steals; /* statistics */
};

struct sched {
	unsigned cpus;
	u64 slice;    /* ticks */
	u64 reserved; /* a bit per dedicated CPU */
	u64 vnow;     /* the furthest vtime at which a turn has begun; atomic */
	u32 waiting;  /* tasks queued on all CPUs that are not dedicated; atomic */
	/* CPU `cpu`, not the caller's, or the caller's own: it calls sched_due() or sched_switch() soon. */
	void (*look)(void *ctx, unsigned cpu);
	void *ctx;
	struct sched_cpu cpu[SCHED_CPUS_MAX];
};

void sched_init(struct sched *s, unsigned cpus, u64 slice, void (*look)(void *ctx, unsigned cpu),
		void *ctx);
/* Before any task runs: only dedicated tasks may use these CPUs. At least one stays for the others. */
void sched_reserve(struct sched *s, u64 cpus);
/* Blocked. `affinity` holds a CPU that there is and that is not another's; weight within its limits. */
void sched_task_init(struct sched *s, struct sched_task *t, u32 weight, u64 affinity,
		     bool dedicated);

/*
 * From any CPU. One that runs does not block the next time it wants to: the number of its CPU is returned, which the
 * caller may want to kick; else s->cpus.
 */
unsigned sched_wake(struct sched *s, struct sched_task *t, u64 now);

/* Nobody holds it and no queue has it, and that stays so until somebody wakes it. */
bool sched_is_blocked(struct sched *s, struct sched_task *t);

/*
 * On `cpu`: ends the running task's turn, if any. With `block` it waits for sched_wake(), or until `wake_at`; but if it
 * was woken meanwhile it stays in the queue. Returns whose turn it is now; NULL: idle.
 */
struct sched_task *sched_switch(struct sched *s, unsigned cpu, u64 now, bool block, u64 wake_at);
/*
 * On `cpu`, at or after sched_deadline(), or when told to look: wakes the sleepers whose time has come. True: sched_switch()
 * would let another task run now.
 */
bool sched_due(struct sched *s, unsigned cpu, u64 now);
/*
 * On `cpu`: the running task gives way to `t`, if that waits in this CPU's queue: they change places, so that nobody else
 * gains or loses by it. True: it does, and sched_due() will say so. Both have the same weight.
 */
bool sched_yield_to(struct sched *s, unsigned cpu, struct sched_task *t, u64 now);
/* On `cpu`: when sched_due() is to be called next; SCHED_NEVER. */
u64 sched_deadline(struct sched *s, unsigned cpu);
/* On `cpu`: since `from` the CPU has done something that is nobody's turn: the running task is not charged for it. */
void sched_forgive(struct sched *s, unsigned cpu, u64 from, u64 now);
/* Ticks for which it has run in all, from any CPU. */
u64 sched_runtime(struct sched *s, struct sched_task *t, u64 now);
/* On `cpu`: t->loaded was cleared: whoever is idle may have it. */
void sched_unloaded(struct sched *s, struct sched_task *t);

#endif
