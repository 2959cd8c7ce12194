/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader told us, copied: nothing of GRUB's own memory is looked at after
 * boot_info_parse(). All of it is hostile until checked: addresses and sizes are only numbers here,
 * and whoever uses them checks that they make sense.
 */
#ifndef BOOT_MB2_H
#define BOOT_MB2_H

#include <vmm/config.h>
#include <vmm/types.h>

#define MB2_BOOT_MAGIC 0x36d76289u
/* No sane loader passes more; a size beyond it is refused. */
#define MB2_SIZE_MAX MiB(1)

#define BOOT_MEM_MAX     384
#define BOOT_MODULES_MAX 32
#define BOOT_STRINGS_MAX 8192
#define BOOT_RSDP_MAX    36

/* A range of physical memory. What is not RAM is not to be touched, whatever the firmware calls it. */
struct boot_mem {
	u64 base;
	u64 size; /* base + size does not wrap */
	bool ram;
};

struct boot_module {
	u32 start;
	u32 end; /* >= start */
	const char *string;
};

/* Type of the framebuffer, the values of the Multiboot2 specification. */
enum boot_fb_type {
	BOOT_FB_INDEXED = 0,
	BOOT_FB_RGB = 1,
	BOOT_FB_EGA_TEXT = 2,
	BOOT_FB_NONE = 0xff
};

struct boot_fb {
	u8 type; /* enum boot_fb_type */
	u8 bpp;
	u64 addr;
	u32 pitch;         /* bytes */
	u32 width, height; /* pixels; characters if text */
	u8 red_pos, red_bits, green_pos, green_bits, blue_pos, blue_bits;
};

struct boot_info {
	char cmdline[CONFIG_CMDLINE_MAX];
	struct boot_mem
		mem[BOOT_MEM_MAX]; /* in the loader's order; ranges may overlap: not RAM wins */
	unsigned mem_count;
	struct boot_module module[BOOT_MODULES_MAX];
	unsigned module_count;
	u8 rsdp[BOOT_RSDP_MAX]; /* the newest that was given */
	unsigned rsdp_len;      /* 0: none */
	struct boot_fb fb;
	bool efi;
	u64 efi_system_table; /* 0: none; valid for 64-bit firmware only */
	bool has_load_base;
	u32 load_base;
	unsigned dropped; /* entries and modules for which there was no room, or that were nonsense */
	size_t strings_used;
	char strings[BOOT_STRINGS_MAX];
};

/*
 * `info` is all zero. `tags`: the loader's boot information, of which at most `max` bytes may be read. 0, or
 * -HV_EINVAL when it is not a list of tags at all; a single bad tag is skipped and counted.
 */
int boot_info_parse(struct boot_info *info, const void *tags, size_t max) must_check;

#endif
