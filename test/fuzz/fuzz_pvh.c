/* SPDX-License-Identifier: MIT */
/*
 * load_pvh() with any ELF file and modules: a refusal has a sentence; what is loaded lies in RAM, and modules apart from it.
 */
/* SOURCES: vmm/load/loader.c vmm/load/elf.c vmm/load/pvh.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c vmm/lib/fmt.c test/mock/host.c */
#include "kernel.h"

/* The note. */
static void prepare(u8 *file, unused const u8 *data)
{
	put(file, 0x800, 0x800000004, 8);
	put(file, 0x808, 0x6e655800000012, 8);
	put(file, 0x810, MiB(1), 8);
}

static bool by_segments(unused const u8 *file)
{
	return true;
}

static bool module(unsigned n, u64 *at, u64 *size)
{
	gpa_t list = get(entry.ebx + 16, 8) + 32 * n;

	if (n >= get(entry.ebx + 12, 4))
		return false;
	*at = get(list, 8);
	*size = get(list + 8, 8);
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct kernel_kind kind = {prepare, load_is_pvh, load_pvh, by_segments,
						module};

	return kernel_fuzz(&kind, data, size);
}
