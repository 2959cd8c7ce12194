/* SPDX-License-Identifier: MIT */
/*
 * Which loader a kernel is for: a table, told apart by the file's headers, the first row that fits. Called by core/vm.c
 * and, for the choice of modules, by boot/guest.c.
 */
#include <vmm/errno.h>

#include "elf.h"
#include "loader.h"

/* The last row: an ELF file that says nowhere how it is entered. */
static int load_entryless(unused struct gmem *g, unused const struct machine *m,
			  const struct load_image *img, unused struct load_entry *out,
			  struct load_error *why)
{
	struct elf e;
	int r = elf_parse(&e, img->kernel, img->kernel_size, why);

	if (r)
		return r;
	return load_refuse(
		why, HV_ENOEXEC,
		"the kernel is an ELF file with neither a PVH note (Linux: CONFIG_PVH=y) nor a Multiboot header: give one "
		"that has either, or a bzImage");
}

/*
 * PVH before Multiboot: it is made for virtual machines, and tells more (the ACPI root pointer, 64-bit addresses). A kernel
 * that has both is entered by the one that it has for this very case.
 */
// clang-format off
static const struct format {
	const char *name;
	bool (*is)(const u8 *kernel, u64 size);
	int (*load)(struct gmem *g, const struct machine *m, const struct load_image *img,
		    struct load_entry *out, struct load_error *why) must_check;
} formats[] = {
	{"Linux bzImage", load_is_bzimage,   load_bzimage},
	{"PVH",           load_is_pvh,       load_pvh},
	{"Multiboot",     load_is_multiboot, load_multiboot},
	{"ELF",           load_is_elf,       load_entryless},
};
// clang-format on

static const struct format *format_find(const u8 *kernel, u64 size)
{
	for (unsigned i = 0; kernel && i < ARRAY_SIZE(formats); i++) {
		if (formats[i].is(kernel, size))
			return &formats[i];
	}
	return NULL;
}

const char *load_format(const u8 *kernel, u64 size)
{
	const struct format *f = format_find(kernel, size);

	return f ? f->name : NULL;
}

int load_kernel(struct gmem *g, const struct machine *m, const struct load_image *img,
		struct load_entry *out, struct load_error *why)
{
	const struct format *f = format_find(img->kernel, img->kernel_size);
	int r;

	*out = (struct load_entry){0};
	*why = (struct load_error){.text = "the guest's memory cannot be written"};
	if (!f)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel is no file that can be booted: give a Linux bzImage (/boot/vmlinuz of a distribution), or "
			"an ELF file with a PVH or Multiboot entry");
	r = f->load(g, m, img, out, why);
	if (!r)
		why->text[0] = '\0';
	return r;
}
