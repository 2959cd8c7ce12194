/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 tags to struct boot_info. PURE: called by boot/main.c on the metal, by unit tests and a
 * fuzzer elsewhere. Multiboot2 specification, "Boot information format"; for the memory descriptors
 * of UEFI machines the UEFI specification, "EFI_BOOT_SERVICES.GetMemoryMap()".
 */
#include "boot/mb2.h"

#include <vmm/errno.h>
#include <vmm/string.h>

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_EFI32 = 11,
	TAG_EFI64 = 12,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15,
	TAG_EFI_MMAP = 17,
	TAG_LOAD_BASE = 21,
};

#define MB2_MEM_AVAILABLE 1

/* EFI memory descriptors */
#define EFI_DESC_MIN     40
#define EFI_ATTR_WB      BIT(3)
#define EFI_ATTR_SP      BIT(18) /* "specific purpose": for a driver that knows it */
#define EFI_LOADER_CODE  1
#define EFI_BOOT_DATA    4
#define EFI_CONVENTIONAL 7

/* One tag: its contents, after the header of 8 bytes. */
struct tag {
	u32 type;
	const u8 *body;
	size_t len;
};

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void mem_add(struct boot_info *info, u64 base, u64 size, bool ram)
{
	struct boot_mem *last = &info->mem[info->mem_count];

	if (size == 0)
		return;
	if (base + size < base) {
		/* It wraps: no RAM can be there; of something else, keep what can be named. */
		size = ~base;
		if (ram || size == 0) {
			info->dropped++;
			return;
		}
	}
	/* Firmware splits RAM by who used it at boot; put it together again where it arrives in order. */
	if (info->mem_count > 0 && last[-1].ram == ram && last[-1].base + last[-1].size == base) {
		last[-1].size += size;
		return;
	}
	if (info->mem_count == BOOT_MEM_MAX) {
		info->dropped++;
		return;
	}
	*last = (struct boot_mem){.base = base, .size = size, .ram = ram};
	info->mem_count++;
}

/* u32 entry size, u32 version, entries { u64 base, u64 size, u32 type, u32 } */
static void parse_mmap(struct boot_info *info, const struct tag *t)
{
	size_t at, step;

	if (t->len < 8 || get32(t->body) < 24) {
		info->dropped++;
		return;
	}
	step = get32(t->body);
	for (at = 8; t->len - at >= step; at += step) {
		const u8 *e = t->body + at;

		mem_add(info, get64(e), get64(e + 8), get32(e + 16) == MB2_MEM_AVAILABLE);
	}
}

static bool efi_is_ram(u32 type, u64 attr)
{
	if (!(attr & EFI_ATTR_WB) || attr & EFI_ATTR_SP)
		return false;
	return (type >= EFI_LOADER_CODE && type <= EFI_BOOT_DATA) || type == EFI_CONVENTIONAL;
}

/* u32 descriptor size, u32 version, descriptors { u32 type, u32, u64 pa, u64 va, u64 pages, u64 attr } */
static void parse_efi_mmap(struct boot_info *info, const struct tag *t)
{
	size_t at, step;

	if (t->len < 8 || get32(t->body) < EFI_DESC_MIN) {
		info->dropped++;
		return;
	}
	step = get32(t->body);
	for (at = 8; t->len - at >= step; at += step) {
		const u8 *d = t->body + at;
		u64 pages = get64(d + 24);

		if (pages > (~0ULL >> PAGE_SHIFT)) {
			info->dropped++;
			continue;
		}
		mem_add(info, get64(d + 8), pages << PAGE_SHIFT,
			efi_is_ram(get32(d), get64(d + 32)));
	}
}

/* u32 start, u32 end, string */
static void parse_module(struct boot_info *info, const struct tag *t)
{
	struct boot_module *m = &info->module[info->module_count];
	size_t room = sizeof(info->strings) - info->strings_used;
	size_t len;

	if (t->len < 8 || get32(t->body + 4) < get32(t->body)) {
		info->dropped++;
		return;
	}
	len = strnlen((const char *)t->body + 8, t->len - 8);
	if (info->module_count == BOOT_MODULES_MAX || len >= room) {
		info->dropped++;
		return;
	}
	m->start = get32(t->body);
	m->end = get32(t->body + 4);
	m->string = info->strings + info->strings_used;
	memcpy(info->strings + info->strings_used, t->body + 8, len);
	info->strings[info->strings_used + len] = 0;
	info->strings_used += len + 1;
	info->module_count++;
}

static void parse_cmdline(struct boot_info *info, const struct tag *t)
{
	size_t len = strnlen((const char *)t->body, t->len);

	if (len >= sizeof(info->cmdline)) {
		len = sizeof(info->cmdline) - 1;
		info->dropped++;
	}
	memcpy(info->cmdline, t->body, len);
	info->cmdline[len] = 0;
}

static void parse_framebuffer(struct boot_info *info, const struct tag *t)
{
	struct boot_fb *fb = &info->fb;
	const u8 *b = t->body;

	if (t->len < 24 || (b[21] == BOOT_FB_RGB && t->len < 30)) {
		info->dropped++;
		return;
	}
	*fb = (struct boot_fb){
		.type = b[21],
		.bpp = b[20],
		.addr = get64(b),
		.pitch = get32(b + 8),
		.width = get32(b + 12),
		.height = get32(b + 16),
	};
	if (fb->type != BOOT_FB_RGB)
		return;
	fb->red_pos = b[24];
	fb->red_bits = b[25];
	fb->green_pos = b[26];
	fb->green_bits = b[27];
	fb->blue_pos = b[28];
	fb->blue_bits = b[29];
}

static void parse_rsdp(struct boot_info *info, const struct tag *t)
{
	unsigned len = t->type == TAG_RSDP_NEW ? BOOT_RSDP_MAX : 20;

	if (t->len < len) {
		info->dropped++;
		return;
	}
	if (info->rsdp_len >= len)
		return;
	memcpy(info->rsdp, t->body, len);
	info->rsdp_len = len;
}

/* The tag at *at, which is moved to the next one. False at the end of the list. */
static bool tag_next(const u8 *tags, size_t total, size_t *at, struct tag *t)
{
	u32 size;

	if (*at > total || total - *at < 8)
		return false;
	t->type = get32(tags + *at);
	size = get32(tags + *at + 4);
	if (t->type == TAG_END || size < 8 || size > total - *at)
		return false;
	t->body = tags + *at + 8;
	t->len = size - 8;
	*at = ALIGN_UP(*at + size, (size_t)8);
	return true;
}

static void parse_tag(struct boot_info *info, const struct tag *t, bool efi_map)
{
	switch (t->type) {
	case TAG_CMDLINE:
		parse_cmdline(info, t);
		break;
	case TAG_MODULE:
		parse_module(info, t);
		break;
	case TAG_MMAP:
		/* The firmware's own map says more, and nothing of it is lost in translation. */
		if (!efi_map)
			parse_mmap(info, t);
		break;
	case TAG_EFI_MMAP:
		parse_efi_mmap(info, t);
		break;
	case TAG_FRAMEBUFFER:
		parse_framebuffer(info, t);
		break;
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW:
		parse_rsdp(info, t);
		break;
	case TAG_EFI32:
		info->efi = true;
		break;
	case TAG_EFI64:
		info->efi = true;
		if (t->len >= 8)
			info->efi_system_table = get64(t->body);
		break;
	case TAG_LOAD_BASE:
		if (t->len >= 4) {
			info->load_base = get32(t->body);
			info->has_load_base = true;
		}
		break;
	default: /* new tags are none of our business */
		break;
	}
}

int boot_info_parse(struct boot_info *info, const void *tags, size_t max)
{
	bool efi_map = false;
	size_t total, at;
	struct tag t;

	info->fb.type = BOOT_FB_NONE;
	if (max < 16)
		return -HV_EINVAL;
	/* u32 total size, u32 reserved, tags */
	total = get32(tags);
	if (total < 16 || total > max)
		return -HV_EINVAL;
	for (at = 8; tag_next(tags, total, &at, &t);) {
		if (t.type == TAG_EFI_MMAP && t.len >= 8 + EFI_DESC_MIN)
			efi_map = true;
	}
	if (efi_map)
		info->efi = true;
	for (at = 8; tag_next(tags, total, &at, &t);)
		parse_tag(info, &t, efi_map);
	return 0;
}
