/* SPDX-License-Identifier: MIT */
/*
 * What main.c and guests.c share: all that is known while the machine is started. And the C side's entry, called by
 * boot/entry.S on the main stack, with interrupts off.
 */
#ifndef BOOT_MAIN_H
#define BOOT_MAIN_H

#include "arch/host/host.h"
#include "boot/mb2.h"

#include <vmm/backend.h>
#include <vmm/conf.h>
#include <vmm/config.h>
#include <vmm/mux.h>
#include <vmm/hv.h>
#include <vmm/load.h>
#include <vmm/log.h>
#include <vmm/monitor.h>
#include <vmm/types.h>

struct boot {
	struct boot_info info;
	struct config config;
	const struct backend_ops *ops;
	struct backend_caps caps;
	struct backend_problem problem; /* why the back end cannot be used; "": it can */
	bool apic;                      /* the local APIC can be used */
	bool enabled;                   /* the back end, on the first CPU */
	struct load_image image;
	struct hv hv;
	u32 ready;         /* atomic: hv is there for the other CPUs */
	struct conf *conf; /* NULL: a lone guest, by the options */
	struct mux mux;
	struct monitor_guest guest[CONF_VMS_MAX];
	unsigned guests;
	struct guest_serial {
		struct boot *boot;
		unsigned guest; /* its number */
		int port;       /* host_serial_open()'s */
	} serial[CONF_VMS_MAX]; /* of guests with a port of their own */
	struct monitor *monitor;
};

/* The back end is off on this CPU. */
void backend_leave(void);

/* Never returns; `sentence` ends up in the log with the prefix of all lines. */
#define refuse(...)                                                                                \
	do {                                                                                       \
		log_err(__VA_ARGS__);                                                              \
		if (host.on_error == END_HALT)                                                     \
			log_info("the machine halts here: option on-error=");                      \
		backend_leave();                                                                   \
		host_end(host.on_error);                                                           \
	} while (0)

static inline unsigned long long mib(u64 bytes)
{
	return bytes >> 20;
}

/* guests.c: what is to be run, as far as it can be told before the clock is known; then all guests, not yet started. */
void guests_choose(struct boot *b);
void guests_create(struct boot *b);
/* One of them, again or for the first time: monitor_ops.create(), define() and gone(). */
int guest_make(void *boot, unsigned number, struct load_error *why);
int guest_define(void *boot, const char *name, const char *text, struct report *r);
void guest_free(void *boot, unsigned number, struct vm *vm);
/* monitor.c: console and monitor. The guests are there, none runs yet. */
void monitor_start(struct boot *b);

/* EAX and EBX as the boot loader left them, the TSC at the first instruction, load address - link address. */
_Noreturn void boot_main(u32 magic, u32 mbi, u64 entry_tsc, u64 load_delta);

#endif
