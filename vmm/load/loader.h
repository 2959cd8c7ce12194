/* SPDX-License-Identifier: MIT */
/* What the loaders have in common: refusals, room in the guest's memory, modules, the command line, the boot GDT. */
#ifndef VMM_LOAD_LOADER_H
#define VMM_LOAD_LOADER_H

#include "layout.h"

/* why->text: one sentence, the rest of "error"; returns -error. */
int load_refuse(struct load_error *why, int error, const char *fmt, ...) printf_like(3, 4);

/* Bytes as MiB, rounded up, for a sentence. */
static inline unsigned long long load_mib(u64 bytes)
{
	return DIV_ROUND_UP(bytes, MiB(1));
}

/* ---- Room ----------------------------------------------------------------------------------- */

#define SPACE_MAX 48

/* What of a guest's RAM is taken, byte by byte: by the loader's own structures, the kernel's segments, modules. */
struct space {
	const struct machine *m;
	struct {
		gpa_t start, end;
	} taken[SPACE_MAX];
	unsigned count, own; /* the first `own` of them are the loader's structures */
};

void space_init(struct space *s, const struct machine *m);
/* -HV_EFAULT: it is not all RAM; -HV_EEXIST: some of it is taken; -HV_ENOSPC: too many pieces. */
int space_take(struct space *s, gpa_t start, u64 size) must_check;
/* Is the address in what was taken since space_init()? */
bool space_holds(const struct space *s, gpa_t at);
/* The first byte behind all that was taken. */
gpa_t space_end(const struct space *s);
/* Whole pages below 4 GiB, behind all that is taken, else wherever they fit above 1 MiB; taken. -HV_ENOMEM. */
int space_find(struct space *s, u64 size, gpa_t *out) must_check;

/* ---- What a kernel is given ----------------------------------------------------------------- */

/* The initrd, then the modules, as they lie in the guest's memory. */
struct load_files {
	struct {
		u32 start, size;
		u32 text; /* of a NUL-terminated string */
	} file[LOAD_MODULES_MAX + 1];
	unsigned count;
};

int load_files(struct gmem *g, struct space *s, const struct load_image *img,
	       struct load_files *out, struct load_error *why) must_check;

/* To LAYOUT_CMDLINE; `max`: characters that the kernel takes, at most. */
int load_cmdline(struct gmem *g, const char *cmdline, u64 max, struct load_error *why) must_check;

/* The GDT, and what else all entries have in common, of out->long_mode. */
int load_gdt(struct gmem *g, struct load_entry *out) must_check;

/*
 * What PVH and Multiboot do alike when the kernel is in its place: the check of out->rip, which has to be in what was loaded, where 32
 * bits reach; files, command line, GDT. The information at LAYOUT_INFO, to which EBX leads, is left to them. out->eax is theirs.
 */
int load_rest(struct gmem *g, struct space *s, const struct load_image *img, struct load_entry *out,
	      struct load_files *files, struct load_error *why) must_check;

#endif
