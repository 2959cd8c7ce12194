/* SPDX-License-Identifier: MIT */
/* Multiboot2 tags: whatever they are, what comes out is within its own bounds. */
/* SOURCES: boot/mb2.c */
#include <string.h>

#include "boot/mb2.h"

#include "input.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct boot_info *info = calloc(1, sizeof(*info));

	INVARIANT(info);
	if (!boot_info_parse(info, data, size)) {
		INVARIANT(strlen(info->cmdline) < sizeof(info->cmdline));
		INVARIANT(info->mem_count <= BOOT_MEM_MAX);
		for (unsigned i = 0; i < info->mem_count; i++)
			INVARIANT(info->mem[i].size &&
				  info->mem[i].base + info->mem[i].size > info->mem[i].base);
		INVARIANT(info->module_count <= BOOT_MODULES_MAX);
		for (unsigned i = 0; i < info->module_count; i++) {
			const struct boot_module *m = &info->module[i];

			INVARIANT(m->start <= m->end);
			INVARIANT(m->string >= info->strings);
			INVARIANT(m->string + strlen(m->string) <
				  info->strings + sizeof(info->strings));
		}
		INVARIANT(info->rsdp_len <= BOOT_RSDP_MAX);
	}
	free(info);
	return 0;
}
