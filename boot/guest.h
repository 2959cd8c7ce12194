/* SPDX-License-Identifier: MIT */
/*
 * Which guest is started: GRUB's modules, or else what the build has embedded. PURE; called by boot/main.c.
 */
#ifndef BOOT_GUEST_H
#define BOOT_GUEST_H

#include "boot/mb2.h"

#include <vmm/conf.h>
#include <vmm/config.h>
#include <vmm/load.h>

/* Sizes are 0 where the build has embedded nothing. */
struct guest_embedded {
	const u8 *kernel;
	u64 kernel_size;
	const u8 *initrd;
	u64 initrd_size;
	const char *cmdline;
};

/*
 * Fills *out; everything it points to is `info`'s, `c`'s, the modules' or the image's own. `va` maps physical memory.
 * -HV_ENOENT, -HV_EINVAL, -HV_ENOEXEC with why->text set: one sentence.
 */
int guest_choose(struct load_image *out, const struct boot_info *info, const struct config *c,
		 const struct guest_embedded *embedded, void *(*va)(hpa_t),
		 struct load_error *why) must_check;

/* The module that is havoc.conf (`module2 FILE config`); NULL. And a file of a guest's (`module2 FILE image NAME`). */
const struct boot_module *guest_config_module(const struct boot_info *info);
const struct boot_module *guest_image_module(const struct boot_info *info, const char *name);
/* The files of one guest of havoc.conf; *v gets its image's command line if it has none of its own. As guest_choose(). */
int guest_images(struct load_image *out, struct conf_vm *v, const struct boot_info *info,
		 void *(*va)(hpa_t), struct load_error *why) must_check;

#endif
