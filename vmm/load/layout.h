/* SPDX-License-Identifier: MIT */
/*
 * Where the loaders put things below 1 MiB of a guest's memory (docs/memory-map.md), besides what
 * machine.h places (MP tables in the EBDA, ACPI tables in the BIOS area). All of it is free for the
 * kernel once it has taken over what it needs. The second megabyte and up is the kernel's and the
 * initial RAM disk's.
 */
#ifndef VMM_LOAD_LAYOUT_H
#define VMM_LOAD_LAYOUT_H

#include <vmm/load.h>
#include <vmm/machine.h>

#define BDA_EBDA_SEGMENT 0x40eULL /* BIOS data area: real-mode segment of the EBDA */
#define BDA_BASE_MEM_KIB 0x413ULL /* conventional memory, KiB */

#define LAYOUT_GDT         0x1000ULL
#define LAYOUT_PAGE_TABLES 0x2000ULL /* PML4, PDPT, 4 PDs: the first 4 GiB, 1:1, 2 MiB pages */
#define LAYOUT_STACK_TOP                                                                           \
	0xf000ULL /* the kernel sets its own at once; one page that nothing else uses */
#define LAYOUT_ZERO_PAGE   0x10000ULL
#define LAYOUT_CMDLINE     0x20000ULL
#define LAYOUT_CMDLINE_MAX 0x10000ULL /* NUL included */
#define LAYOUT_KERNEL_MIN  MiB(1)

/* What of a bzImage's setup header the loader needs, checked against the file's size. */
struct bz_header {
	const u8 *setup;   /* the file: header fields by offset */
	u64 header_end;    /* first offset after the header */
	const u8 *payload; /* the protected-mode part */
	u64 payload_size;
	u32 alignment, init_size, initrd_addr_max, cmdline_size;
	u64 pref_address;
	bool relocatable;
};

/* Where everything has been put. */
struct bz_place {
	gpa_t kernel;
	gpa_t initrd; /* 0: none */
	u64 initrd_size;
	u64 cmdline_len;
};

/* Fills the zero page (struct boot_params of Linux); it must lie in RAM. */
int zeropage_write(struct gmem *g, const struct machine *m, const struct bz_header *h,
		   const struct bz_place *p) must_check;

#endif
