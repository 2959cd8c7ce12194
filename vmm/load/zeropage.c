/* SPDX-License-Identifier: MIT */
/*
 * Linux's zero page (struct boot_params): what the kernel is told by its loader. Called by
 * bzimage.c when everything else lies in the guest's memory. Linux
 * Documentation/arch/x86/zero-page.rst and boot.rst, "Details of Header Fields". Fields are written
 * by offset: the documents give offsets, and no copy of the kernel's headers is kept here.
 */
#include <vmm/errno.h>
#include <vmm/string.h>

#include "bzimage.h"

enum zero_page {
	ZP_ACPI_RSDP = 0x070,    /* u64 */
	ZP_E820_ENTRIES = 0x1e8, /* u8 */
	ZP_SETUP_HEADER = 0x1f1,
	ZP_VID_MODE = 0x1fa,         /* u16 */
	ZP_TYPE_OF_LOADER = 0x210,   /* u8 */
	ZP_LOADFLAGS = 0x211,        /* u8 */
	ZP_CODE32_START = 0x214,     /* u32 */
	ZP_RAMDISK_IMAGE = 0x218,    /* u32 */
	ZP_RAMDISK_SIZE = 0x21c,     /* u32 */
	ZP_CMD_LINE_PTR = 0x228,     /* u32 */
	ZP_HARDWARE_SUBARCH = 0x23c, /* u32, then u64 of data */
	ZP_SETUP_DATA = 0x250,       /* u64 */
	ZP_HEADER_END = 0x290,       /* the header can be no longer: the EDD data begins */
	ZP_E820_TABLE = 0x2d0,
	ZP_SIZE = 0x1000,
};

#define LOADER_UNDEFINED 0xff
#define LOADED_HIGH      BIT(0)
#define KASLR_FLAG       BIT(1) /* set by the kernel's own decompressor only */
#define KEEP_SEGMENTS    BIT(6)
#define CAN_USE_HEAP     BIT(7) /* of the real-mode code, which is not run */
#define VID_NORMAL       0xffff

_Static_assert(ZP_E820_TABLE + MACHINE_E820_MAX * sizeof(struct e820_entry) <= ZP_SIZE,
	       "e820 fits");

static void put16(u8 *zp, enum zero_page at, u16 v)
{
	memcpy(zp + at, &v, sizeof(v));
}

static void put32(u8 *zp, enum zero_page at, u32 v)
{
	memcpy(zp + at, &v, sizeof(v));
}

static void put64(u8 *zp, enum zero_page at, u64 v)
{
	memcpy(zp + at, &v, sizeof(v));
}

int zeropage_write(struct gmem *g, const struct machine *m, const struct bz_header *h,
		   const struct bz_place *p)
{
	u8 *zp = gmem_ptr(g, LAYOUT_INFO, ZP_SIZE);
	u64 header_end = MIN(h->header_end, (u64)ZP_HEADER_END);

	if (!zp)
		return -HV_EFAULT;
	/*
	 * All zero but the header: screen_info too (there is no screen), and the sentinel that
	 * shows a careless loader.
	 */
	memset(zp, 0, ZP_SIZE);
	memcpy(zp + ZP_SETUP_HEADER, h->setup + ZP_SETUP_HEADER, header_end - ZP_SETUP_HEADER);

	put16(zp, ZP_VID_MODE, VID_NORMAL);
	zp[ZP_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	zp[ZP_LOADFLAGS] &= (u8) ~(KASLR_FLAG | KEEP_SEGMENTS | CAN_USE_HEAP);
	put32(zp, ZP_CODE32_START, (u32)p->kernel);
	put32(zp, ZP_RAMDISK_IMAGE, (u32)p->initrd);
	put32(zp, ZP_RAMDISK_SIZE, (u32)p->initrd_size);
	put32(zp, ZP_CMD_LINE_PTR, LAYOUT_CMDLINE);
	/* Fields that an image could carry in to lead the kernel astray. */
	put32(zp, ZP_HARDWARE_SUBARCH, 0);
	put64(zp, ZP_SETUP_DATA, 0);

	put64(zp, ZP_ACPI_RSDP, m->rsdp);
	zp[ZP_E820_ENTRIES] = (u8)m->e820_count;
	memcpy(zp + ZP_E820_TABLE, m->e820, m->e820_count * sizeof(m->e820[0]));
	return 0;
}
