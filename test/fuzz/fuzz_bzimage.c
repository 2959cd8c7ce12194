/* SPDX-License-Identifier: MIT */
/*
 * load_bzimage() with any image, initrd size and command line: a refusal has a sentence; what is
 * loaded lies in the guest's memory, apart from one another and from the low-memory structures.
 */
/* SOURCES: vmm/load/bzimage.c vmm/load/bz_header.c vmm/load/loader.c vmm/load/zeropage.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c vmm/lib/fmt.c test/mock/host.c */
#include <stdlib.h>
#include <string.h>

#include <vmm/load.h>
#include <vmm/machine.h>
#include "test/mock/mock.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct pagetable npt;
static struct gmem g;
static struct machine m;
static u8 initrd[MiB(1)];

static void *table_alloc(void *ctx)
{
	(void)ctx;
	return host_page_zalloc();
}
static void table_free(void *ctx, void *page)
{
	(void)ctx;
	host_page_free(page);
}
static void *table_va(void *ctx, hpa_t pa)
{
	(void)ctx;
	return host_va(pa);
}
static hpa_t table_pa(void *ctx, const void *va)
{
	(void)ctx;
	return host_pa(va);
}
static const struct pt_mem mem = {table_alloc, table_free, table_va, table_pa, NULL};

static void begin(void)
{
	if (g.count)
		return;
	mock_host_reset();
	gmem_init(&g, &npt);
	if (machine_describe(&m, "guest", 1, MiB(64)) < 0 ||
	    pt_init(&npt, &pt_format_npt, &mem, 3) < 0 || gmem_add(&g, 0, m.mem_low) < 0)
		abort();
}

static u64 get(gpa_t at, unsigned size)
{
	u64 v = 0;

	if (gmem_read(&g, at, &v, size) < 0)
		abort();
	return v;
}

static bool overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
	return a < b + b_size && b < a + a_size;
}

/*
 * A right header, of which the input keeps the fields whose bit is set in `mask` as it has made
 * them.
 */
static void complete(u8 *file, u32 mask)
{
	static const struct {
		u16 at;
		u8 size;
		u64 value;
	} good[] = {
		{0x1fe, 2, 0xaa55},     {0x202, 4, 0x53726448}, {0x206, 2, 0x20f},
		{0x1f1, 1, 1},          {0x201, 1, 0x6a},       {0x211, 1, 1},
		{0x22c, 4, 0x7fffffff}, {0x230, 4, 0x200000},   {0x234, 1, 1},
		{0x236, 2, 1},          {0x238, 4, 255},        {0x258, 8, 0x1000000},
		{0x260, 4, 0x2000000},  {0x1f4, 4, 64},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!(mask >> i & 1))
			memcpy(file + good[i].at, &good[i].value, good[i].size);
	}
}

/*
 * The input: 8 bytes of sizes, then the file, completed so that the magic is not what stops the
 * fuzzer.
 */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct load_image img = {0};
	struct load_entry entry;
	struct load_error why;
	u64 kernel, init_size, rd, rd_size;
	char cmdline[300];
	u32 sizes[2];
	u8 *file;

	if (size < 8)
		return 0;
	begin();
	memcpy(sizes, data, 8);
	data += 8;
	size -= 8;
	/* Completed, a short input is a whole image. */
	file = calloc(1, MAX(size, (size_t)0x900));
	if (!file)
		return 0;
	memcpy(file, data, size);
	if (sizes[1] & 1)
		size = MAX(size, (size_t)0x900);
	if (size >= 0x400 && (sizes[1] & 1))
		complete(file, sizes[1] >> 16);
	img.kernel = file;
	img.kernel_size = size;
	img.initrd = initrd;
	img.initrd_size = sizes[0] % (sizeof(initrd) + 1);
	memset(cmdline, 'c', sizeof(cmdline));
	cmdline[(sizes[1] >> 1) % sizeof(cmdline)] = '\0';
	img.cmdline = cmdline;
	memset(&why, 'x', sizeof(why));
	/* kernel.c would have said that it is none. */
	if (!load_is_bzimage(file, size)) {
		free(file);
		return 0;
	}
	if (load_bzimage(&g, &m, &img, &entry, &why) < 0) {
		if (!memchr(why.text, 0, sizeof(why.text)) || strlen(why.text) < 20)
			abort();
		free(file);
		return 0;
	}
	free(file);
	kernel = entry.rip - (entry.long_mode ? 0x200 : 0);
	/* Told from 2.10 on; before, this fuzzer does not know it. */
	init_size = get(entry.rsi + 0x206, 2) >= 0x20a ? get(entry.rsi + 0x260, 4) : 1;
	rd = get(entry.rsi + 0x218, 4);
	rd_size = get(entry.rsi + 0x21c, 4);
	if (rd_size != img.initrd_size || kernel < MiB(1) || !gmem_is_ram(&g, kernel, init_size))
		abort();
	if (rd_size && (rd < MiB(1) || !gmem_is_ram(&g, rd, rd_size) ||
			overlap(kernel, init_size, rd, rd_size)))
		abort();
	if (entry.rsi != 0x10000 || strlen(gmem_ptr(&g, 0x20000, 400)) != strlen(cmdline))
		abort();
	return 0;
}
