/* SPDX-License-Identifier: MIT */
/*
 * load_pvh() with any ELF file and modules: a refusal has a sentence; what is loaded lies in RAM, and modules apart from it.
 */
/* SOURCES: vmm/load/loader.c vmm/load/elf.c vmm/load/pvh.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c vmm/lib/fmt.c test/mock/host.c */
#include "test/mock/load_test.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define FILE_MIN 0x3000

static const u8 contents[0x5000] = {1, 2, 3};

/* A module lies in RAM, beside the loader's structures and the kernel's segments, and ends before 4 GiB. */
static void module_check(const u8 *file, u64 at, u64 size)
{
	bool wide = file[4] == 2;
	u64 phoff = 0, phentsize = 0, phnum = 0;

	NEED(size == sizeof(contents) && at >= MiB(1) && !(at & 0xfff) && at + size <= m.mem_low);
	NEED(memory_is(at, contents, size));
	memcpy(&phoff, file + (wide ? 32 : 28), wide ? 8 : 4);
	memcpy(&phentsize, file + (wide ? 54 : 42), 2);
	memcpy(&phnum, file + (wide ? 56 : 44), 2);
	for (u64 i = 0; true && i < phnum; i++) {
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

/* The input: choices, then bytes that go over a sound file, from some place on. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct elf_row rows[] = {
		{1, 0x1000, 0x100000, MiB(1), 0x1000, 0x2000, 0x1000},
		{4, 0x800, 0, 0, 0x40, 0x40, 4},
		{1, 0x2000, 0xffffffff80000000, MiB(3), 0x800, 0x800, 0x1000},
	};
	char text[300];
	u64 file_size, at;
	gpa_t list;
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
	put(file, 0x800, 0x800000004, 8);
	put(file, 0x808, 0x6e655800000012, 8);
	put(file, 0x810, MiB(1), 8);
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
	if (load_is_pvh(file, file_size)) {
		int r = load_pvh(&g, &m, &img, &entry, &why);

		if (r) {
			NEED(memchr(why.text, 0, sizeof(why.text)) && strlen(why.text) > 20);
			free(file);
			return 0;
		}
		NEED(entry.ebx == 0x10000 && !entry.long_mode && gmem_is_ram(&g, entry.rip, 1));
		NEED(get(entry.ebx + 12, 4) == img.modules &&
		     strlen(gmem_ptr(&g, 0x20000, 512)) == data[4]);
		list = get(entry.ebx + 16, 8);
		for (unsigned i = 0; i < img.modules; i++)
			module_check(file, get(list + 32 * i, 8), get(list + 32 * i + 8, 8));
	}
	free(file);
	return 0;
}
