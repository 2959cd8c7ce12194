/* SPDX-License-Identifier: MIT */
/*
 * The setup header of a Linux bzImage, read and checked against the file's size. Called by bzimage.c. The image comes from
 * the user and is not trusted. Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and "Details of Header
 * Fields".
 */
#include <vmm/errno.h>
#include <vmm/string.h>

#include "bzimage.h"

enum bz_field {
	BZ_SETUP_SECTS = 0x1f1, /* u8; 0 means 4 */
	BZ_BOOT_FLAG = 0x1fe,   /* u16 */
	BZ_JUMP_LENGTH = 0x201, /* u8: the header ends so many bytes after 0x202 */
	BZ_MAGIC = 0x202,       /* u32 */
	BZ_VERSION = 0x206,     /* u16 */
	BZ_LOADFLAGS = 0x211,   /* u8 */
	BZ_FILE_MIN = 0x264,    /* every field lies before it: no file is shorter */
};

#define BOOT_FLAG      0xaa55
#define MAGIC          0x53726448 /* "HdrS" */
#define VERSION_NEEDED 0x0202     /* cmd_line_ptr */
#define VERSION_SIZES  0x0204     /* syssize can be trusted */
#define VERSION_INIT   0x020a     /* init_size */
#define LOADED_HIGH    BIT(0)
#define XLF_KERNEL_64  BIT(0)
#define SECTOR         512
#define ENTRY_64       0x200 /* after the load address */
#define ALIGNMENT_MAX  GiB(1)

/* Fields that came later than VERSION_NEEDED: with which version, and what holds before. */
struct later {
	u16 at;
	u8 size;
	u16 since;
	u32 before;
};

static const struct later SYSSIZE = {0x1f4, 4, VERSION_SIZES, 0}; /* the payload, in 16 bytes */
static const struct later INITRD_ADDR_MAX = {0x22c, 4, 0x0203, 0x37ffffff}; /* of the last byte */
static const struct later ALIGNMENT = {0x230, 4, 0x0205, PAGE_SIZE};
static const struct later RELOCATABLE = {0x234, 1, 0x0205, false};
static const struct later CMDLINE_SIZE = {0x238, 4, 0x0206, 255}; /* NUL not included */
static const struct later PREF_ADDRESS = {0x258, 8, VERSION_INIT, LAYOUT_KERNEL_MIN};
static const struct later INIT_SIZE = {0x260, 4, VERSION_INIT, 0};
static const struct later XLOADFLAGS = {0x236, 2, 0x020c, 0};

static u64 field(const u8 *file, unsigned at, unsigned size)
{
	u64 v = 0;

	memcpy(&v, file + at, size);
	return v;
}

static u64 later(const u8 *file, const struct later *f)
{
	return field(file, BZ_VERSION, 2) < f->since ? f->before : field(file, f->at, f->size);
}

bool load_is_bzimage(const u8 *kernel, u64 size)
{
	return kernel && size >= BZ_VERSION && field(kernel, BZ_BOOT_FLAG, 2) == BOOT_FLAG &&
	       field(kernel, BZ_MAGIC, 4) == MAGIC;
}

/* Is it a kernel that this loader can start? */
static int check_kind(const u8 *file, u64 size, struct load_error *why)
{
	unsigned version;

	if (!load_is_bzimage(file, size))
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is no Linux bzImage: give the file arch/x86/boot/bzImage of a kernel build, "
			"or /boot/vmlinuz of a distribution");
	if (size < BZ_FILE_MIN)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off: it has %llu bytes, less than its header; copy it again",
			(unsigned long long)size);
	version = (unsigned)field(file, BZ_VERSION, 2);
	if (version < VERSION_NEEDED)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel speaks boot protocol %u.%02u and 2.02 is needed: use Linux 2.4 or later",
			version >> 8, version & 0xff);
	if (!(field(file, BZ_LOADFLAGS, 1) & LOADED_HIGH))
		return load_refuse(why, HV_ENOEXEC,
				   "the kernel image is a zImage: build a bzImage instead");
	return 0;
}

/* The header must hold every field that its version has. */
static bool header_holds(const struct bz_header *h)
{
	static const struct later *const fields[] = {&INITRD_ADDR_MAX, &ALIGNMENT,    &RELOCATABLE,
						     &XLOADFLAGS,      &CMDLINE_SIZE, &INIT_SIZE};

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		if (field(h->setup, BZ_VERSION, 2) >= fields[i]->since &&
		    h->header_end < fields[i]->at + fields[i]->size)
			return false;
	}
	return h->header_end >= INITRD_ADDR_MAX.at; /* cmd_line_ptr is right before it */
}

static int check_payload(struct bz_header *h, u64 size, u64 setup, struct load_error *why)
{
	bool trusted = field(h->setup, BZ_VERSION, 2) >= VERSION_SIZES;
	u64 told; /* no overflow: at most 36 bits */

	h->payload_size = trusted      ? later(h->setup, &SYSSIZE) * 16 :
			  size > setup ? size - setup :
					 0;
	/* A signature may follow the payload, never stand in for a part of it. */
	told = setup + h->payload_size;
	/* Counted in 16 bytes, rounded up: the last of them need not be whole (memtest86+). */
	if (told >= size + 16)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off: its header tells of %llu bytes and there are %llu; copy it again",
			(unsigned long long)told, (unsigned long long)size);
	h->payload = h->setup + setup;
	h->payload_size = MIN(h->payload_size, size - setup);
	h->init_size = later(h->setup, &INIT_SIZE);
	/* Before it was told: as much as GRUB gives, too, for a kernel that unpacks itself in place. */
	if (field(h->setup, BZ_VERSION, 2) < VERSION_INIT)
		h->init_size = 3 * ALIGN_UP(h->payload_size, PAGE_SIZE);
	if (h->payload_size <= ENTRY_64 || h->init_size < h->payload_size)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: %llu bytes of payload do not fit the %llu bytes that it asks for; "
			"copy it again",
			(unsigned long long)h->payload_size, (unsigned long long)h->init_size);
	return 0;
}

static int check_sizes(const u8 *file, u64 size, struct bz_header *h, struct load_error *why)
{
	u64 sectors = field(file, BZ_SETUP_SECTS, 1);
	u64 setup = ((sectors ? sectors : 4) + 1) * SECTOR;

	h->setup = file;
	h->header_end = BZ_MAGIC + field(file, BZ_JUMP_LENGTH, 1);
	if (!header_holds(h) || h->header_end > setup)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: its header ends at 0x%llx; copy it again",
			(unsigned long long)h->header_end);
	return check_payload(h, size, setup, why);
}

int bz_header_parse(const u8 *file, u64 size, struct bz_header *h, struct load_error *why)
{
	int r = check_kind(file, size, why);

	if (r < 0)
		return r;
	r = check_sizes(file, size, h, why);
	if (r < 0)
		return r;
	h->alignment = (u32)later(file, &ALIGNMENT);
	h->relocatable = later(file, &RELOCATABLE);
	h->pref_address = later(file, &PREF_ADDRESS);
	h->initrd_addr_max = (u32)later(file, &INITRD_ADDR_MAX);
	h->cmdline_size = (u32)later(file, &CMDLINE_SIZE);
	h->entry_64 = later(file, &XLOADFLAGS) & XLF_KERNEL_64;
	if (h->alignment < PAGE_SIZE || h->alignment > ALIGNMENT_MAX ||
	    (h->alignment & (h->alignment - 1)))
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: it wants to be aligned to 0x%x bytes; copy it again",
			h->alignment);
	if (!IS_ALIGNED(h->pref_address, PAGE_SIZE) || h->pref_address < LAYOUT_KERNEL_MIN)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: it wants to be loaded at 0x%llx; copy it again",
			(unsigned long long)h->pref_address);
	return 0;
}
