/* SPDX-License-Identifier: MIT */
/*
 * The monitor: the person at the terminal sees and steers the guests. Its commands are one const table (commands.c), from
 * which `help` and docs/monitor.md come. It runs as hv->service on the first CPU, with no vcpu loaded there, and waits
 * for nothing: a command that has to wait for a guest is asked again, at the next service, whether it is done.
 */
#ifndef VMM_MONITOR_H
#define VMM_MONITOR_H

#include <vmm/mux.h>
#include <vmm/hv.h>
#include <vmm/load.h>
#include <vmm/report.h>
#include <vmm/types.h>

/* A guest that there is or that could be made; number n is guest[n - 1], as for the terminal. */
struct monitor_guest {
	const char *name;
	struct vm *vm;   /* NULL: not made; changed on the first CPU only, where commands run */
	struct vm *gone; /* atomic: the same, destroyed; its memory is still to be freed */
	unsigned cpus;   /* that it will have */
	u64 mem;         /* bytes, likewise */
	bool broken;     /* it cannot be made: its configuration has a mistake */
	char why[160];   /* of one that is gone: why it has crashed; "": it has not */
};

/* What the monitor asks of the machine, on the first CPU. */
struct monitor_ops {
	/* Makes guest `number`; not yet started. -errno with why->text. */
	int (*create)(void *ctx, unsigned number, struct load_error *why);
	/* Defines a guest of that name by the text of a havoc.conf section, and tells mistakes to `r`. Its number, or -errno. */
	int (*define)(void *ctx, const char *name, const char *text, struct report *r);
	/* Guest `number` has been destroyed: the memory of *vm itself is to be freed. */
	void (*gone)(void *ctx, unsigned number, struct vm *vm);
	void (*config)(void *ctx, struct report *r);
	void (*memory)(void *ctx, struct report *r);
	void (*doctor)(void *ctx, struct report *r);
	/* The host's: APIC ID of a CPU. */
	u32 (*apic_id)(void *ctx, unsigned cpu);
	void (*reboot)(void *ctx);
	void (*poweroff)(void *ctx);
};

struct monitor;

struct monitor *monitor_init(void *memory, struct hv *hv, struct mux *c,
			     struct monitor_guest *guest, unsigned guests,
			     const struct monitor_ops *ops, void *ctx);
size_t monitor_size(void);
/* hv->service; what mux.wake() leads to is hv_serve(). */
void monitor_service(void *monitor);
/* struct vm_params.destroyed(), of every guest: its memory is freed at the next service. From any CPU. */
void monitor_vm_gone(struct vm *vm);
/* The machine goes on when no guest runs any more, and the monitor then opens by itself. */
void monitor_stay(struct monitor *m);
void monitor_set_guests(struct monitor *m, unsigned guests);

/* The table, for its document: row `index`, NULL after the last. */
struct command_doc {
	const char *name, *args, *help, *more, *example;
};
const struct command_doc *monitor_doc(unsigned index);

#endif
