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
#define LAYOUT_INFO        0x10000ULL /* zero page, PVH start info or Multiboot information */
#define LAYOUT_TEXTS       0x11000ULL /* of modules; up to the command line */
#define LAYOUT_CMDLINE     0x20000ULL
#define LAYOUT_CMDLINE_MAX 0x10000ULL /* NUL included */
#define LAYOUT_CMDLINE_END (LAYOUT_CMDLINE + LAYOUT_CMDLINE_MAX)
#define LAYOUT_KERNEL_MIN  MiB(1)

#endif
