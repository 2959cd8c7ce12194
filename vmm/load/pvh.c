/* SPDX-License-Identifier: MIT */
/*
 * Loads an ELF kernel by PVH: found by its note, entered in 32-bit mode with EBX at the start info. Called by kernel.c. Xen
 * docs/misc/pvh, "x86/HVM direct boot ABI"; the structures: Xen public header arch-x86/hvm/start_info.h. Written by offset.
 */
#include <vmm/errno.h>
#include <vmm/string.h>

#include "elf.h"

/* ---- The note --------------------------------------------------------------------------------- */

#define NOTE_HEADER      12 /* sizes of name and descriptor, type: u32 each */
#define NOTE_PHYS32      18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_NAME        "Xen"
#define NOTE_NAME_LENGTH 4 /* with its NUL */

enum found { NO_NOTE, NOTE, NOTE_BEYOND };

/* One note at `at` of `end`: its entry into *entry if it is the one; *next is where another may be. */
static enum found note_look(const struct elf *e, u64 at, u64 end, u64 align, u64 *entry, u64 *next)
{
	u32 header[3];
	u64 desc;

	memcpy(header, e->file + at, NOTE_HEADER);
	/* No overflow: `at` is within the file, the sizes have 32 bits. */
	desc = at + ALIGN_UP(NOTE_HEADER + (u64)header[0], align);
	*next = desc + ALIGN_UP((u64)header[1], align);
	if (header[2] != NOTE_PHYS32 || header[0] != NOTE_NAME_LENGTH ||
	    end - at < NOTE_HEADER + NOTE_NAME_LENGTH ||
	    memcmp(e->file + at + NOTE_HEADER, NOTE_NAME, NOTE_NAME_LENGTH))
		return NO_NOTE;
	/* A kernel of 64 bits has it as a word of its own. */
	if ((header[1] != 4 && header[1] != 8) || desc > end || header[1] > end - desc)
		return NOTE_BEYOND;
	*entry = 0;
	memcpy(entry, e->file + desc, header[1]);
	return NOTE;
}

/* The entry that the first such note names. NOTE_BEYOND: notes end where the file does not hold them. */
static enum found note_find(const struct elf *e, u64 *entry)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct elf_segment p;
		u64 at, end, align;

		elf_segment(e, i, &p);
		if (p.type != ELF_PT_NOTE)
			continue;
		if (p.offset > e->size || p.filesz > e->size - p.offset)
			return NOTE_BEYOND;
		align = p.align == 8 ? 8 : 4;
		end = p.offset + p.filesz;
		for (at = p.offset; at < end && end - at >= NOTE_HEADER;) {
			enum found f = note_look(e, at, end, align, entry, &at);

			if (f != NO_NOTE)
				return f;
		}
	}
	return NO_NOTE;
}

bool load_is_pvh(const u8 *kernel, u64 size)
{
	struct load_error ignored;
	struct elf e;
	u64 entry;

	return !elf_parse(&e, kernel, size, &ignored) && note_find(&e, &entry) != NO_NOTE;
}

/* ---- The start info --------------------------------------------------------------------------- */

#define START_MAGIC   0x336ec578u
#define START_VERSION 1

struct start_info {
	u32 magic, version, flags, modules;
	u64 modlist, cmdline, rsdp, memmap;
	u32 memmap_entries, reserved;
} packed;

struct start_module {
	u64 address, size, cmdline, reserved;
} packed;

struct start_range {
	u64 base, size;
	u32 type, reserved;
} packed;

_Static_assert(sizeof(struct start_info) == 56 && sizeof(struct start_module) == 32 &&
		       sizeof(struct start_range) == 24,
	       "the ABI's layout");

/* All of it, as it lies at LAYOUT_INFO. */
struct start {
	struct start_info info;
	struct start_range map[MACHINE_E820_MAX];
	struct start_module module[LOAD_MODULES_MAX + 1];
} packed;

_Static_assert(sizeof(struct start) <= LAYOUT_TEXTS - LAYOUT_INFO, "it ends before the texts");

static int start_write(struct gmem *g, const struct machine *m, const struct load_files *files)
{
	struct start s = {
		.info = {.magic = START_MAGIC,
			 .version = START_VERSION,
			 .modules = files->count,
			 .modlist = files->count ? LAYOUT_INFO + offsetof(struct start, module) : 0,
			 .cmdline = LAYOUT_CMDLINE,
			 .rsdp = m->rsdp,
			 .memmap = LAYOUT_INFO + offsetof(struct start, map),
			 .memmap_entries = m->e820_count},
	};

	for (unsigned i = 0; i < m->e820_count; i++)
		s.map[i] = (struct start_range){m->e820[i].base, m->e820[i].size, m->e820[i].type,
						0};
	for (unsigned i = 0; i < files->count; i++)
		s.module[i] = (struct start_module){files->file[i].start, files->file[i].size,
						    files->file[i].text, 0};
	return gmem_write(g, LAYOUT_INFO, &s, sizeof(s));
}

int load_pvh(struct gmem *g, const struct machine *m, const struct load_image *img,
	     struct load_entry *out, struct load_error *why)
{
	struct load_files files;
	struct space space;
	struct elf e;
	u64 entry = 0;
	int r = elf_parse(&e, img->kernel, img->kernel_size, why);

	if (r)
		return r;
	if (note_find(&e, &entry) != NOTE)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel's PVH note is damaged, or the file is cut off before its end: copy it again");
	space_init(&space, m);
	*out = (struct load_entry){.rip = entry};
	r = elf_load(&e, g, &space, why);
	if (!r)
		r = load_rest(g, &space, img, out, &files, why);
	return r ? r : start_write(g, m, &files);
}
