/* SPDX-License-Identifier: MIT */
/*
 * Havoc's options, from its own Multiboot2 command line, parsed by one const table (config.c), from
 * which docs/options.md is made too. Form: key=value separated by spaces; a value, or the whole,
 * may be quoted with "..." or '...'; a backslash keeps the meaning of a following backslash, quote
 * or space from it. The last of two equal keys wins.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <vmm/log.h>
#include <vmm/types.h>

enum keymap { KEYMAP_US, KEYMAP_DE };
enum end_action { END_POWEROFF, END_REBOOT, END_HALT, END_MONITOR };

enum doctor_mode { DOCTOR_OFF, DOCTOR_TEXT, DOCTOR_JSON };

#define CONFIG_CMDLINE_MAX 2048

struct config {
	u64 mem;    /* mem=128M: guest RAM, bytes */
	u32 cpus;   /* cpus=1: of the guest */
	u8 machine; /* machine=pc|minimal: MACHINE_* that it does not have */
	char cmdline[CONFIG_CMDLINE_MAX]; /* cmdline="...": the guest kernel's, wins over the embedded one and the module's */
	bool cmdline_set;
	bool console_serial; /* console=com1,115200 | com2 | com3 | com4 | 0x3f8[,speed] | none; screen always */
	bool console_screen;
	u16 console_port;
	u32 console_speed;
	u8 keymap;              /* keymap=us|de: of the keyboard beside the screen */
	u8 on_idle;             /* on-idle=poweroff|reboot|halt|monitor */
	u8 on_error;            /* on-error=halt|reboot|poweroff, default halt */
	bool hypercall_console; /* hypercall.console=on|off, default off */
	bool hypercall_compat;  /* hypercall.compat=on|off, default off */
	u16 exit_port;          /* exit-port=0xf4: of the guest's; 0: none */
	u8 escape;              /* escape=a..z|off: Ctrl with that letter, 1 to 26; 0: none */
	bool colour;            /* colour=on|off: of guests' names, default on */
	u8 doctor;              /* doctor=on|json|off, default off: enum doctor_mode */
	u8 loglevel;            /* loglevel=err|warn|info|debug, default info */
};

void config_defaults(struct config *c);

/*
 * Each mistake is one sentence handed to `report`; the option keeps its default. Returns the number
 * of mistakes.
 */
unsigned config_parse(struct config *c, const char *text,
		      void (*report)(void *ctx, const char *sentence), void *ctx);

/*
 * For the generator of docs/options.md (tools/gen-options-doc.c): row `index` of the table, NULL
 * after the last.
 */
struct config_option_doc {
	const char *key, *values, *dflt, *help;
};
const struct config_option_doc *config_doc(unsigned index);

#endif
