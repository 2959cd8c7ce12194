/* SPDX-License-Identifier: MIT */
/*
 * load_multiboot() with any file and modules, ELF or by the header's addresses: a refusal has a sentence; what is loaded lies in
 * RAM, and modules apart from it.
 */
/* SOURCES: vmm/load/loader.c vmm/load/elf.c vmm/load/multiboot.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c vmm/lib/fmt.c test/mock/host.c */
#include "kernel.h"

static void prepare(u8 *file, const u8 *data)
{
	/* Flags first: 1 << 16 has the addresses behind them count. */
	put(file, 0x400, 0x1badb002, 4);
	put(file, 0x404, data[0] & 4 ? 0x10003 : data[6], 4);
	put(file, 0x408, 0u - 0x1badb002 - (data[0] & 4 ? 0x10003u : data[6]), 4);
	put(file, 0x40c, MiB(2) + 0x400, 4);
	put(file, 0x410, MiB(2), 4);
	put(file, 0x41c, MiB(2) + data[6], 4);
}

/* Of the header where it is put below: another one may have been made, and then nothing is known of the segments. */
static u32 data_flags(const u8 *file)
{
	u32 words[3];

	memcpy(words, file + 0x400, sizeof(words));
	return words[0] == 0x1badb002 && !(words[0] + words[1] + words[2]) ? words[1] : 1u << 16;
}

static bool by_segments(const u8 *file)
{
	return !(data_flags(file) >> 16 & 1);
}

static bool module(unsigned n, u64 *at, u64 *size)
{
	gpa_t list = get(entry.ebx + 24, 4) + 16 * n;

	if (n >= get(entry.ebx + 20, 4))
		return false;
	*at = get(list, 4);
	*size = get(list + 4, 4) - *at;
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct kernel_kind kind = {prepare, load_is_multiboot, load_multiboot,
						by_segments, module};

	return kernel_fuzz(&kind, data, size);
}
