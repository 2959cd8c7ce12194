/* SPDX-License-Identifier: MIT */
/*
 * havoc.conf: the guests of a machine, as a person writes them. PURE, and the same source in the hypervisor and in
 * tools/havoc-config. The keys are one const table (conf.c), from which docs/config.md is written too.
 *
 * A mistake is one sentence with the line's number: what is wrong, what would be right. One in a guest's section marks that
 * guest as broken, and the others are none the worse; one elsewhere leaves its default in place.
 */
#ifndef VMM_CONF_H
#define VMM_CONF_H

#include <vmm/types.h>

#define CONF_VMS_MAX     64
#define CONF_NAME_MAX    24 /* with the NUL; of guests and images */
#define CONF_PATH_MAX    128
#define CONF_CMDLINE_MAX 1024
#define CONF_MODULES_MAX 8       /* of a guest */
#define CONF_MODULE_MAX  256     /* a module's text, with the NUL */
#define CONF_SIZE_MAX    KiB(64) /* of the file */

enum conf_hypercalls { CONF_HYPERCALLS_OFF, CONF_HYPERCALLS_CONSOLE, CONF_HYPERCALLS_COMPAT };
enum conf_policy { CONF_RESTART, CONF_STOP, CONF_HOLD };

struct conf_vm {
	char name[CONF_NAME_MAX];
	unsigned line;             /* of its section */
	bool broken;               /* it has a mistake: not to be started */
	char image[CONF_NAME_MAX]; /* of guest/images; "": kernel, initrd and cmdline say what it is */
	char kernel[CONF_PATH_MAX], initrd[CONF_PATH_MAX];
	struct conf_module {
		char file[CONF_PATH_MAX], text[CONF_MODULE_MAX];
	} module[CONF_MODULES_MAX];
	unsigned modules;
	char cmdline[CONF_CMDLINE_MAX];
	bool cmdline_set;
	u64 memory; /* bytes */
	u32 cpus;
	u64 affinity; /* a bit per CPU; all: any */
	bool affinity_set;
	bool dedicated;
	u32 weight;
	u32 left_out;  /* of MACHINE_CHOICE: what it does not have */
	u8 machine;    /* MACHINE_*: what that kind of machine does not have */
	u8 hypercalls; /* enum conf_hypercalls */
	u16 exit_port; /* 0: none */
	u8 serial; /* 1 to 4: COM1 to COM4 of the machine are its serial port's far end; 0: the terminal */
	bool autostart;
	u8 on_reboot, on_crash; /* enum conf_policy */
	u32 watchdog;           /* seconds; 0: off */
};

struct conf {
	u8 on_idle, on_error; /* enum end_action */
	bool on_idle_set, on_error_set;
	char input[CONF_NAME_MAX]; /* the guest that is given what is typed; "": the first */
	unsigned input_line;
	struct conf_vm vm[CONF_VMS_MAX];
	unsigned vms;
	unsigned mistakes;
};

/* Told each mistake; line 0: of the file as a whole. */
struct conf_report {
	void (*mistake)(void *ctx, unsigned line, const char *sentence);
	void *ctx;
};

/* Reads `size` bytes of text into *c, which is overwritten. */
void conf_parse(struct conf *c, const char *text, size_t size, const struct conf_report *report);

/* What the guests are to live on. */
struct conf_machine {
	unsigned cpus; /* 0: not known */
	u64 memory;    /* free, bytes; 0: not known */
	/* Is there such an image? `name` as in the file, or IMAGE/bzImage. NULL: not known. */
	bool (*has_image)(void *ctx, const char *name);
	void *ctx;
};

/* What can only be seen of the whole: names, images, CPUs that two claim, memory. */
void conf_check(struct conf *c, const struct conf_machine *m, const struct conf_report *report);

/* How the files of a guest are called where modules are (docs/config.md): text of at most CONF_PATH_MAX. "": it has none. */
void conf_kernel_name(const struct conf_vm *v, char *out);
void conf_initrd_name(const struct conf_vm *v, char *out);
void conf_cmdline_name(const struct conf_vm *v, char *out);

/* The table, for its document: row `index`, NULL after the last. */
struct conf_key_doc {
	const char *section, *key, *values, *dflt, *help;
};
const struct conf_key_doc *conf_doc(unsigned index);

#endif
