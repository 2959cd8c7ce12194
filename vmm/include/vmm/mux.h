/* SPDX-License-Identifier: MIT */
/*
 * One terminal for all guests and the monitor. What a guest writes is kept (the last 64 KiB) and shown when the terminal is
 * its own; or line by line, with its name before it, when all are shown. What is typed goes to the guest that has the
 * focus, or to the monitor; the escape key (Ctrl-A) and one more say otherwise.
 *
 * A guest that writes to a terminal that shows it waits for the terminal, so that nothing of it is lost; one that is not
 * shown does not wait, and its oldest output is lost.
 *
 * Locks: multiplexer > port. Both are taken with the VMs' devices' locks held, and none is asked for within them but the host
 * console's. Functions that say so may be called in an interrupt.
 */
#ifndef VMM_MUX_H
#define VMM_MUX_H

#include <vmm/chardev.h>
#include <vmm/hv.h>
#include <vmm/spinlock.h>
#include <vmm/types.h>
#include <vmm/vm.h>

#define MUX_PORTS   HV_VMS_MAX
#define MUX_KEPT    KiB(64) /* of each guest's output; a power of two */
#define MUX_TYPED   KiB(16) /* for a guest that does not read yet; a power of two */
#define MUX_MONITOR KiB(4)  /* for the monitor, likewise */
#define MUX_LINE    240     /* of a guest, when all are shown; a longer one is cut in two */
#define MUX_WAITING KiB(2)  /* of the log, while a command tells something */
#define MUX_PROMPT  160     /* the line that the monitor shows last */

/* A line of text that is being put together from what a guest writes: mux_text.c. */
struct mux_text {
	char line[MUX_LINE + 4]; /* a character of several bytes is not cut */
	unsigned len;
	u8 follow; /* bytes of a UTF-8 sequence that are still to come */
	bool held; /* its first byte, C2, is held back */
	u8 escape; /* in the midst of a terminal's control sequence */
};

#define MUX_QUIET 64 /* of a control sequence that is held back until it is known what it is */

/* What was shown before is shown again without what a terminal would answer, as if it were typed: mux_text.c. */
struct mux_quiet {
	u8 held[MUX_QUIET];
	u8 len;
	u8 escape;
};

struct mux;

/* A guest's end. Number n is guest n for the user: 1 to MUX_PORTS. */
struct mux_port {
	struct mux *mux;
	unsigned number;
	const char *name;
	const struct vm *vm;  /* whom to tell of input; only compared with the VMs that there are */
	struct spinlock lock; /* of the rings; counts are free-running */
	u8 *kept;             /* NULL: no guest was ever here */
	u64 written, shown;   /* bytes; `shown` is changed under the multiplexer's lock only, too */
	u64 seen;             /* what is before it was shown once; likewise */
	u64 line_at;          /* where the line in `text` begins; likewise */
	u8 *typed;
	u32 typed_head, typed_tail;
	u64 typed_lost;
	bool told;            /* that nobody reads what is typed; under the multiplexer's lock */
	struct mux_text text; /* under the multiplexer's lock */
};

enum mux_view { MUX_ONE, MUX_ALL, MUX_MON };

struct mux {
	struct spinlock lock;
	struct hv *hv;
	u8 key;               /* the escape key's code; 0: there is none */
	bool colour;          /* of names */
	bool escaped;         /* it was the last one typed */
	u8 view, view_before; /* enum mux_view; that of the monitor's end */
	unsigned focus;       /* number of the guest that is given what is typed; 0: none */
	bool steered;         /* MUX_ONE: the guest has written more than text */
	unsigned first;       /* port that mux_pump() begins with */
	bool line_start;      /* the terminal's cursor is at the beginning of a line */
	struct mux_quiet quiet;
	bool behind;  /* what is to be shown is waiting for mux_pump() */
	u32 openings; /* atomic: how often the monitor's view was chosen */
	struct mux_port port[MUX_PORTS];
	/* The monitor's. */
	void (*wake)(void *ctx); /* something was typed for it, or it was opened; any context */
	void *wake_ctx;
	u8 typed[MUX_MONITOR];
	u32 typed_head, typed_tail;
	bool busy; /* a command is telling something: the log waits for its end */
	char waiting[MUX_WAITING];
	size_t waiting_len;
	unsigned waiting_lost; /* lines */
	char prompt[MUX_PROMPT];
	size_t prompt_len;
};

/* `key`: 0, or 1 to 26: Ctrl-A to Ctrl-Z. */
void mux_init(struct mux *c, struct hv *hv, u8 key);
/* Guest `number` is there: its end of the terminal, for struct vm_params. `name` is kept. -HV_ENOMEM. */
int mux_attach(struct mux *c, unsigned number, const char *name, struct vm_console *out) must_check;
void mux_set_vm(struct mux *c, unsigned number, const struct vm *vm);
/* Guest `number` has a serial port of its own: nobody here reads what is typed for it, and nobody need be told. */
void mux_leave_out(struct mux *c, unsigned number);
/* Before any guest runs: who is given what is typed (0: nobody), and whether that one alone is shown, or all. */
void mux_begin(struct mux *c, unsigned number, bool all);
/* The terminal is one guest's, and so is what is typed (false: there is no such guest); or it shows all. */
bool mux_show_one(struct mux *c, unsigned number);
void mux_show_all(struct mux *c);
void mux_open_monitor(struct mux *c);
void mux_close_monitor(struct mux *c);

/* host_console_listen()'s: takes what was typed. From any CPU, in an interrupt too. */
void mux_arrived(void *mux);
/* Shows what is waiting, as far as the terminal takes it without delay. True: there is more. On the first CPU. */
bool mux_pump(struct mux *c);
/* log_to()'s: a line of the log, between those of others. */
void mux_log(void *mux, const char *line, size_t len);

/* The monitor: bytes that were typed for it; what it has to say; the line that stands last, anew. */
size_t mux_monitor_read(struct mux *c, u8 *buf, size_t max);
/* Ctrl-C is among what was typed: it and what stands before it is taken out. */
bool mux_monitor_cancelled(struct mux *c);
void mux_monitor_write(void *mux, const char *text, size_t len);
/* A command's answer is not torn by the log: between these two its lines wait. */
void mux_monitor_busy(struct mux *c);
void mux_monitor_ready(struct mux *c);
void mux_monitor_prompt(struct mux *c, const char *text, size_t len);

/* mux_text.c: one more byte. True: t->line is complete, t->len bytes of it; the caller sets t->len = 0. */
bool mux_text_put(struct mux_text *t, u8 byte);
/* Likewise; returns how many bytes are in `out` now, which may be some that were held back. All zero: nothing is. */
size_t mux_quiet_put(struct mux_quiet *q, u8 byte, u8 out[MUX_QUIET]);

#endif
