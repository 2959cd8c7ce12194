/* SPDX-License-Identifier: MIT */
/*
 * Loads a kernel by Multiboot1: a header in its first 8 KiB, entered in 32-bit mode with EBX at the boot information.
 * Called by kernel.c. Multiboot Specification 0.6.96, "OS image format", "Machine state", "Boot information format". A
 * video mode is a wish that is not granted: there is no screen, and the information's flags say so.
 */
#include <vmm/errno.h>
#include <vmm/string.h>

#include "elf.h"

/* ---- The header ------------------------------------------------------------------------------- */

#define HEADER_MAGIC  0x1badb002u
#define HEADER_SEARCH 8192
#define HEADER_SIZE   12
#define HEADER_LONG   32 /* with the addresses */

#define FLAG_ALIGN     BIT(0) /* modules on pages: they always are */
#define FLAG_MEMORY    BIT(1) /* always told */
#define FLAG_VIDEO     BIT(2)
#define FLAG_ADDRESSES BIT(16)
#define FLAGS_REQUIRED GENMASK(15, 0) /* to be refused, if one of them is not known */
#define FLAGS_KNOWN    (FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO | FLAG_ADDRESSES)

struct header {
	u64 at; /* in the file */
	u32 flags;
	u32 header, load, load_end, bss_end, entry; /* with FLAG_ADDRESSES */
};

static u32 get32(const u8 *p, u64 at)
{
	u32 v;

	memcpy(&v, p + at, sizeof(v));
	return v;
}

static bool header_find(const u8 *file, u64 size, struct header *h)
{
	u64 end = MIN(size, (u64)HEADER_SEARCH);

	for (u64 at = 0; at + HEADER_SIZE <= end; at += 4) {
		u32 flags = get32(file, at + 4);

		if (get32(file, at) != HEADER_MAGIC || HEADER_MAGIC + flags + get32(file, at + 8))
			continue;
		*h = (struct header){.at = at, .flags = flags};
		if (!(flags & FLAG_ADDRESSES))
			return true;
		if (at + HEADER_LONG > end)
			continue;
		h->header = get32(file, at + 12);
		h->load = get32(file, at + 16);
		h->load_end = get32(file, at + 20);
		h->bss_end = get32(file, at + 24);
		h->entry = get32(file, at + 28);
		return true;
	}
	return false;
}

/* Without addresses of its own, it has to be ELF: any other file just happens to hold the three words. */
bool load_is_multiboot(const u8 *kernel, u64 size)
{
	struct header h;

	return header_find(kernel, size, &h) &&
	       (h.flags & FLAG_ADDRESSES || load_is_elf(kernel, size));
}

/* ---- The kernel ------------------------------------------------------------------------------- */

/* By the header's own addresses, which go before those of an ELF file. */
static int load_by_addresses(struct gmem *g, struct space *s, const struct load_image *img,
			     const struct header *h, struct load_error *why)
{
	u64 skipped = (u64)h->header - h->load; /* of the file, from the header's place back */
	u64 offset = h->at - skipped, length, memory;

	if (h->load > h->header || skipped > h->at)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel's Multiboot header is damaged: by its addresses the kernel begins before its file; copy it again");
	length = h->load_end ? (u64)h->load_end - h->load : img->kernel_size - offset;
	if ((h->load_end && h->load_end < h->load) || length > img->kernel_size - offset)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off, or its Multiboot header damaged: it is to be loaded up to 0x%x; copy it again",
			h->load_end);
	memory = h->bss_end ? (u64)h->bss_end - h->load : length;
	if ((h->bss_end && h->bss_end < h->load) || memory < length || !memory)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel's Multiboot header is damaged: its memory ends at 0x%x, before what is loaded; copy it again",
			h->bss_end);
	switch (space_take(s, h->load, memory)) {
	case 0:
		break;
	case -HV_EEXIST:
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel (0x%llx bytes at 0x%x) lies over what the loader puts below 0x%llx: link it elsewhere",
			(unsigned long long)memory, h->load, LAYOUT_CMDLINE_END);
	default:
		return load_refuse(
			why, HV_ENOMEM,
			"the kernel (0x%llx bytes at 0x%x) is not in the guest's RAM of %llu MiB: give it more memory",
			(unsigned long long)memory, h->load,
			(unsigned long long)(s->m->mem_size >> 20));
	}
	return gmem_write(g, h->load, img->kernel + offset, length);
}

static int load_image(struct gmem *g, struct space *s, const struct load_image *img, u64 *entry,
		      struct load_error *why)
{
	struct header h;
	struct elf e;
	int r;

	if (!header_find(img->kernel, img->kernel_size, &h))
		return load_refuse(why, HV_ENOEXEC,
				   "the kernel has no Multiboot header in its first 8 KiB");
	if (h.flags & FLAGS_REQUIRED & ~FLAGS_KNOWN)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel asks for Multiboot features that Havoc does not have: flags 0x%x, of which 0x%x are known",
			h.flags, (unsigned)FLAGS_KNOWN);
	if (h.flags & FLAG_ADDRESSES) {
		*entry = h.entry;
		return load_by_addresses(g, s, img, &h, why);
	}
	r = elf_parse(&e, img->kernel, img->kernel_size, why);
	if (r)
		return r;
	/* The file has a virtual address; paging is off. */
	*entry = elf_physical(&e, e.entry);
	return elf_load(&e, g, s, why);
}

/* ---- The boot information ---------------------------------------------------------------------- */

#define BOOT_MAGIC 0x2badb002u

#define INFO_MEMORY  BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MAP     BIT(6)
#define INFO_LOADER  BIT(9)

/* Up to the last field that flags of ours announce. */
struct mb_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	u32 symbols[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name;
	u32 others[13]; /* APM, VBE, framebuffer */
} packed;

struct mb_module {
	u32 start, end, string, reserved;
} packed;

struct mb_range {
	u32 size; /* of what follows */
	u64 base, length;
	u32 type;
} packed;

struct boot {
	struct mb_info info;
	struct mb_range map[MACHINE_E820_MAX];
	struct mb_module module[LOAD_MODULES_MAX + 1];
	char loader[8];
} packed;

_Static_assert(offsetof(struct mb_info, mmap_length) == 44 &&
		       offsetof(struct mb_info, loader_name) == 64 &&
		       sizeof(struct mb_range) == 24 &&
		       sizeof(struct boot) <= LAYOUT_TEXTS - LAYOUT_INFO,
	       "the specification's layout, before the texts");

#define AT(member) ((u32)LAYOUT_INFO + (u32)offsetof(struct boot, member))

static int info_write(struct gmem *g, const struct machine *m, const struct load_files *files)
{
	struct boot b = {
		.info = {.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP |
				  INFO_LOADER,
			 .mem_lower = (u32)(MACHINE_LOW_END >> 10),
			 .mem_upper = (u32)((m->mem_low - MiB(1)) >> 10),
			 .cmdline = LAYOUT_CMDLINE,
			 .mods_count = files->count,
			 .mods_addr = AT(module),
			 .mmap_length = m->e820_count * (u32)sizeof(struct mb_range),
			 .mmap_addr = AT(map),
			 .loader_name = AT(loader)},
		.loader = "Havoc",
	};

	for (unsigned i = 0; i < m->e820_count; i++)
		b.map[i] = (struct mb_range){sizeof(struct mb_range) - sizeof(u32), m->e820[i].base,
					     m->e820[i].size, m->e820[i].type};
	for (unsigned i = 0; i < files->count; i++)
		b.module[i] = (struct mb_module){files->file[i].start,
						 files->file[i].start + files->file[i].size,
						 files->file[i].text, 0};
	return gmem_write(g, LAYOUT_INFO, &b, sizeof(b));
}

int load_multiboot(struct gmem *g, const struct machine *m, const struct load_image *img,
		   struct load_entry *out, struct load_error *why)
{
	struct load_files files;
	struct space space;
	int r;

	space_init(&space, m);
	*out = (struct load_entry){.eax = BOOT_MAGIC};
	r = load_image(g, &space, img, &out->rip, why);
	if (!r)
		r = load_rest(g, &space, img, out, &files, why);
	return r ? r : info_write(g, m, &files);
}
