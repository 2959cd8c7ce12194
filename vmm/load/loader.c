/* SPDX-License-Identifier: MIT */
/*
 * What the loaders have in common (loader.h). Called by bzimage.c, pvh.c, multiboot.c and elf.c. The GDT is the one that
 * Linux Documentation/arch/x86/boot.rst, "32-bit Boot Protocol" and "64-bit Boot Protocol", ask for; the others leave it open.
 */
#include <stdarg.h>

#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/string.h>

#include "loader.h"

#define GDT_CODE64 0x00af9b000000ffffULL
#define GDT_CODE32 0x00cf9b000000ffffULL
#define GDT_DATA   0x00cf93000000ffffULL

int load_refuse(struct load_error *why, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_v(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return -error;
}

/* ---- Room ----------------------------------------------------------------------------------- */

void space_init(struct space *s, const struct machine *m)
{
	*s = (struct space){.m = m};
	/* BIOS data area and GDT; information, texts and command line. The rest of what is below 1 MiB is not used here. */
	s->taken[s->count].start = 0;
	s->taken[s->count++].end = LAYOUT_PAGE_TABLES;
	s->taken[s->count].start = LAYOUT_INFO;
	s->taken[s->count++].end = LAYOUT_CMDLINE_END;
	s->own = s->count;
}

static bool all_ram(const struct machine *m, gpa_t start, u64 size)
{
	for (unsigned i = 0; i < m->e820_count; i++) {
		const struct e820_entry *e = &m->e820[i];

		if (e->type == E820_RAM && start >= e->base && start - e->base < e->size &&
		    size <= e->size - (start - e->base))
			return true;
	}
	return false;
}

/* The end of something taken that is in the way; 0: nothing is. */
static gpa_t in_the_way(const struct space *s, gpa_t start, u64 size)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (start < s->taken[i].end && s->taken[i].start < start + size)
			return s->taken[i].end;
	}
	return 0;
}

int space_take(struct space *s, gpa_t start, u64 size)
{
	if (!all_ram(s->m, start, size))
		return -HV_EFAULT;
	if (in_the_way(s, start, size))
		return -HV_EEXIST;
	if (s->count == SPACE_MAX)
		return -HV_ENOSPC;
	s->taken[s->count].start = start;
	s->taken[s->count++].end = start + size;
	return 0;
}

bool space_holds(const struct space *s, gpa_t at)
{
	for (unsigned i = s->own; i < s->count; i++) {
		if (at >= s->taken[i].start && at < s->taken[i].end)
			return true;
	}
	return false;
}

gpa_t space_end(const struct space *s)
{
	gpa_t end = LAYOUT_KERNEL_MIN;

	for (unsigned i = s->own; i < s->count; i++) {
		/* What lies above 4 GiB is in nobody's way. */
		if (s->taken[i].start < GiB(4))
			end = MAX(end, s->taken[i].end);
	}
	return end;
}

static int find_from(struct space *s, gpa_t from, u64 size, gpa_t *out)
{
	gpa_t at = ALIGN_UP(from, PAGE_SIZE), end;

	while (at < s->m->mem_low && size <= s->m->mem_low - at) {
		end = in_the_way(s, at, size);
		if (!end) {
			*out = at;
			return space_take(s, at, size);
		}
		at = ALIGN_UP(end, PAGE_SIZE);
	}
	return -HV_ENOMEM;
}

int space_find(struct space *s, u64 size, gpa_t *out)
{
	/* Kernels that look for free memory begin behind themselves and behind their modules. */
	int r = find_from(s, space_end(s), size, out);

	return r ? find_from(s, LAYOUT_KERNEL_MIN, size, out) : 0;
}

/* ---- What a kernel is given ----------------------------------------------------------------- */

static int put_file(struct gmem *g, struct space *s, const struct load_module *file, u64 *text,
		    struct load_files *out, struct load_error *why)
{
	const char *string = file->text ? file->text : "";
	u64 len = strlen(string) + 1;
	gpa_t at;

	if (space_find(s, file->size, &at) < 0)
		return load_refuse(
			why, HV_ENOMEM,
			"the initrd or module of %llu MiB does not fit beside the kernel into the guest's %llu MiB: "
			"give it more memory",
			load_mib(file->size), (unsigned long long)(s->m->mem_size >> 20));
	if (len > LAYOUT_CMDLINE - *text)
		return load_refuse(
			why, HV_E2BIG,
			"the modules' texts have more than %llu characters: shorten them",
			LAYOUT_CMDLINE - LAYOUT_TEXTS - (LOAD_MODULES_MAX + 1));
	if (gmem_write(g, at, file->data, file->size) < 0 || gmem_write(g, *text, string, len) < 0)
		return -HV_EFAULT;
	out->file[out->count].start = (u32)at;
	out->file[out->count].size = (u32)file->size;
	out->file[out->count++].text = (u32)*text;
	*text += len;
	return 0;
}

int load_files(struct gmem *g, struct space *s, const struct load_image *img,
	       struct load_files *out, struct load_error *why)
{
	const struct load_module initrd = {
		.data = img->initrd, .size = img->initrd_size, .text = img->initrd_text};
	u64 text = LAYOUT_TEXTS;
	int r = 0;

	*out = (struct load_files){0};
	if (initrd.size)
		r = put_file(g, s, &initrd, &text, out, why);
	for (unsigned i = 0; !r && i < img->modules; i++)
		r = put_file(g, s, &img->module[i], &text, out, why);
	return r;
}

int load_cmdline(struct gmem *g, const char *cmdline, u64 max, struct load_error *why)
{
	u64 len;

	max = MIN(max, LAYOUT_CMDLINE_MAX - 1);
	if (!cmdline)
		cmdline = "";
	len = strnlen(cmdline, max + 1);
	if (len > max)
		return load_refuse(
			why, HV_E2BIG,
			"the kernel's command line has more than the %llu characters that this kernel takes: shorten it",
			(unsigned long long)max);
	if (gmem_write(g, LAYOUT_CMDLINE, cmdline, len) < 0)
		return -HV_EFAULT;
	return gmem_set(g, LAYOUT_CMDLINE + len, 0, 1);
}

int load_gdt(struct gmem *g, struct load_entry *out)
{
	const u64 gdt[4] = {0, 0, out->long_mode ? GDT_CODE64 : GDT_CODE32, GDT_DATA};

	out->gdt = LAYOUT_GDT;
	out->gdt_limit = sizeof(gdt) - 1;
	out->rsp = LAYOUT_STACK_TOP;
	return gmem_write(g, LAYOUT_GDT, gdt, sizeof(gdt));
}

static int check_entry(const struct space *s, u64 entry, struct load_error *why)
{
	if (entry < GiB(4) && space_holds(s, entry))
		return 0;
	return load_refuse(
		why, HV_ENOEXEC,
		"the kernel's entry point, 0x%llx, is not in what is loaded of it below 4 GiB: link it right, or copy it again",
		(unsigned long long)entry);
}

int load_rest(struct gmem *g, struct space *s, const struct load_image *img, struct load_entry *out,
	      struct load_files *files, struct load_error *why)
{
	int r = check_entry(s, out->rip, why);

	out->ebx = LAYOUT_INFO;
	if (!r)
		r = load_files(g, s, img, files, why);
	if (!r)
		r = load_cmdline(g, img->cmdline, LAYOUT_CMDLINE_MAX, why);
	return r ? r : load_gdt(g, out);
}
