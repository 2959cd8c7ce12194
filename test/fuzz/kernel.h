/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers of kernels that may be ELF files have in common: a sound file over which the input goes, modules and a command
 * line; and that a refusal has a sentence, that what is loaded lies in RAM, and modules apart from it.
 */
#ifndef TEST_FUZZ_KERNEL_H
#define TEST_FUZZ_KERNEL_H

#include "test/mock/load_test.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define FILE_MIN 0x3000

struct kernel_kind {
	void (*prepare)(u8 *file, const u8 *data); /* what makes it one of the kind */
	bool (*is)(const u8 *kernel, u64 size);
	int (*load)(struct gmem *g, const struct machine *m, const struct load_image *img,
		    struct load_entry *out, struct load_error *why);
	bool (*by_segments)(const u8 *file); /* else nothing is known of where it lies */
	/* The nth module as the kernel is told; false: there are no more. */
	bool (*module)(unsigned n, u64 *at, u64 *size);
};

static const u8 contents[0x5000] = {1, 2, 3};

/* A module lies in RAM, beside the loader's structures and the kernel's segments, and ends before 4 GiB. */
static void module_check(const struct kernel_kind *kind, const u8 *file, u64 at, u64 size)
{
	bool wide = file[4] == 2;
	u64 phoff = 0, phentsize = 0, phnum = 0;

	NEED(size == sizeof(contents) && at >= MiB(1) && !(at & 0xfff) && at + size <= m.mem_low);
	NEED(memory_is(at, contents, size));
	memcpy(&phoff, file + (wide ? 32 : 28), wide ? 8 : 4);
	memcpy(&phentsize, file + (wide ? 54 : 42), 2);
	memcpy(&phnum, file + (wide ? 56 : 44), 2);
	for (u64 i = 0; kind->by_segments(file) && i < phnum; i++) {
		const u8 *p = file + phoff + i * phentsize;
		u64 paddr = 0, memsz = 0;
		u32 type;

		memcpy(&type, p, 4);
		memcpy(&paddr, p + (wide ? 24 : 12), wide ? 8 : 4);
		memcpy(&memsz, p + (wide ? 40 : 20), wide ? 8 : 4);
		NEED(type != 1 || !memsz || paddr >= at + size || paddr + memsz <= at);
		NEED(type != 1 || !memsz || gmem_is_ram(&g, paddr, memsz));
	}
}

static void loaded_check(const struct kernel_kind *kind, const u8 *file, size_t cmdline)
{
	unsigned n = 0;
	u64 at, size;

	NEED(entry.ebx == 0x10000 && !entry.long_mode && gmem_is_ram(&g, entry.rip, 1));
	NEED(strlen(gmem_ptr(&g, 0x20000, 512)) == cmdline);
	for (; kind->module(n, &at, &size); n++)
		module_check(kind, file, at, size);
	NEED(n == img.modules);
}

/* The input: choices, then bytes that go over a sound file, from some place on. */
static inline int kernel_fuzz(const struct kernel_kind *kind, const u8 *data, size_t size)
{
	static const struct elf_row rows[] = {
		{1, 0x1000, 0x100000, MiB(1), 0x1000, 0x2000, 0x1000},
		{4, 0x800, 0, 0, 0x40, 0x40, 4},
		{1, 0x2000, 0xffffffff80000000, MiB(3), 0x800, 0x800, 0x1000},
	};
	char text[300];
	u64 file_size, at;
	u8 *file;

	if (size < 8)
		return 0;
	if (!g.count)
		memory_make(MiB(64));
	file_size = FILE_MIN + size;
	file = calloc(1, file_size);
	if (!file)
		return 0;
	elf_make(file, data[0] & 1, 0x100010, rows, 3);
	kind->prepare(file, data);
	at = data[1] | (u64)(data[2] & 0x3f) << 8;
	for (size_t i = 8; i < size && at + i - 8 < file_size; i++)
		file[at + i - 8] ^= data[i];
	if (data[0] & 2)
		file_size = MIN(file_size, (u64)data[3] * 64 + 1);
	memset(text, 't', sizeof(text));
	text[data[4]] = '\0';
	img = (struct load_image){.kernel = file, .kernel_size = file_size, .cmdline = text};
	img.modules = data[5] % (LOAD_MODULES_MAX + 1);
	for (unsigned i = 0; i < img.modules; i++)
		img.module[i] = (struct load_module){contents, sizeof(contents), text};
	memset(&why, 'x', sizeof(why));
	if (kind->is(file, file_size)) {
		if (kind->load(&g, &m, &img, &entry, &why))
			NEED(memchr(why.text, 0, sizeof(why.text)) && strlen(why.text) > 20);
		else
			loaded_check(kind, file, data[4]);
	}
	free(file);
	return 0;
}

#endif
