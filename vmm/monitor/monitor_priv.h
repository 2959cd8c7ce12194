/* SPDX-License-Identifier: MIT */
/* What the files of the monitor share. Everything here runs in monitor_service(). */
#ifndef VMM_MONITOR_PRIV_H
#define VMM_MONITOR_PRIV_H

#include <vmm/monitor.h>
#include <vmm/vm.h>

#include "edit.h"

#define MONITOR_ARGS  12
#define MONITOR_BYTES 256 /* that `x` shows at a time */
#define BT_FRAMES     32

/* A vcpu's registers, copied in its own turn. */
struct vcpu_view {
	u64 gpr[16], rip, rflags, cr0, cr2, cr3, cr4, efer;
	unsigned cpl, bits; /* of the code segment: 16, 32, 64 */
	struct segment seg[VSEG_IDTR + 1];
	/* x and bt: what was asked for, what was found. */
	u64 addr;
	bool physical;
	unsigned len, got;
	u8 bytes[MONITOR_BYTES];
	u64 frame[BT_FRAMES];
	unsigned frames;
	const char *end; /* why there are no more */
};

/* What stats and top compare with. */
struct sample {
	u64 at, runtime[MUX_PORTS], exits[MUX_PORTS];
	u64 switches[SCHED_CPUS_MAX];
};

struct action;

struct monitor {
	struct hv *hv;
	struct mux *mux;
	struct monitor_guest *guest;
	unsigned guests;
	const struct monitor_ops *ops;
	void *ctx;
	bool open;
	bool stale;  /* the line has changed, and is to be shown anew */
	u32 opening; /* mux->openings, then */
	bool held;   /* it keeps the machine from its end */
	bool warned; /* that leaving it ends the machine */
	bool idle;   /* monitor_stay(): no guest runs */
	struct edit edit;
	struct report report;
	char words[EDIT_MAX];
	const char *arg[MONITOR_ARGS]; /* without the command's name and -j */
	unsigned args;
	/* The command that waits: true when it is done. */
	bool (*poll)(struct monitor *m, struct report *r);
	void (*cancel)(struct monitor *m); /* NULL: nothing to do */
	u64 poll_every;                    /* ticks */
	u64 give_up;                       /* ticks: the time at which it is */
	const struct action *action;
	unsigned target[MUX_PORTS], targets; /* guests' numbers */
	u32 since[MUX_PORTS];                /* vm->starts, when the action was asked for */
	unsigned vcpu;
	struct vcpu_call call;
	bool call_under_way;
	struct vcpu_view view;
	struct sample sample;
	bool counted; /* stats: all have been made to count what is under way */
};

/* A row of the table. run() says all there is to say, or sets m->poll. */
struct command {
	struct command_doc doc;
	u8 min_args, max_args;
	bool guest, all;          /* the first argument is a guest's name; or `all` */
	const char *const *words; /* what else it may be, for completion; NULL */
	void (*run)(struct monitor *m, struct report *r);
};

extern const struct command commands[];
extern const unsigned command_count;
const struct command *command_find(const char *name);

/* Waits for `poll`, which is asked every `ms` milliseconds, for `limit_ms` at most (0: no end). */
void monitor_wait(struct monitor *m, bool (*poll)(struct monitor *m, struct report *r), u64 ms,
		  u64 limit_ms);
bool monitor_waited_too_long(const struct monitor *m);
u64 monitor_ms(u64 ticks);

/* Numbers of guests by name or number; 0: there is none, and the report says so. */
unsigned monitor_guest_by(struct monitor *m, const char *name);
/* By NAME or NAME.CPU; NULL, and the report says why. */
struct vm *monitor_vcpu_by(struct monitor *m, const char *text, unsigned *vcpu);
struct vm *monitor_vm(const struct monitor *m, unsigned number);   /* NULL: not made */
bool monitor_is_going(const struct vm *vm);                        /* it is being destroyed */
const char *monitor_why(const struct monitor *m, unsigned number); /* "": it has not crashed */
const char *monitor_state(const struct monitor *m, unsigned number);
u64 monitor_runtime(const struct monitor *m, struct vm *vm); /* ticks, of all its vcpus */
u64 monitor_exits(const struct vm *vm);
/* The nearest name of the table, or NULL: a mistyped one. */
const char *monitor_nearest(const char *name);

void monitor_left(struct monitor *m);

/* commands_*.c */
void command_list(struct monitor *m, struct report *r);
void command_info(struct monitor *m, struct report *r);
void command_stats(struct monitor *m, struct report *r);
void command_top(struct monitor *m, struct report *r);
void command_cpus(struct monitor *m, struct report *r);
void command_mem(struct monitor *m, struct report *r);
void command_regs(struct monitor *m, struct report *r);
void command_x(struct monitor *m, struct report *r);
void command_bt(struct monitor *m, struct report *r);
void command_start(struct monitor *m, struct report *r);
void command_stop(struct monitor *m, struct report *r);
void command_reset(struct monitor *m, struct report *r);
void command_pause(struct monitor *m, struct report *r);
void command_resume(struct monitor *m, struct report *r);
void command_create(struct monitor *m, struct report *r);
void command_destroy(struct monitor *m, struct report *r);

#endif
