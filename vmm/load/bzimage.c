/* SPDX-License-Identifier: MIT */
/*
 * Loads a Linux bzImage and its initial RAM disk into a guest's memory, for the 64-bit entry point.
 * Called by vm_boot(), at the first start and after every reset. The image comes from the user and
 * is not trusted: each field is checked before use. Linux Documentation/arch/x86/boot.rst, "Details
 * of Header Fields", "Memory Layout", "64-bit Boot Protocol".
 */
#include <stdarg.h>

#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/string.h>

#include "layout.h"

enum bz_field {
	BZ_SETUP_SECTS = 0x1f1,     /* u8; 0 means 4 */
	BZ_SYSSIZE = 0x1f4,         /* u32: the payload, in 16 bytes */
	BZ_BOOT_FLAG = 0x1fe,       /* u16 */
	BZ_JUMP_LENGTH = 0x201,     /* u8: the header ends so many bytes after 0x202 */
	BZ_MAGIC = 0x202,           /* u32 */
	BZ_VERSION = 0x206,         /* u16 */
	BZ_LOADFLAGS = 0x211,       /* u8 */
	BZ_INITRD_ADDR_MAX = 0x22c, /* u32: highest address of the initrd's last byte */
	BZ_ALIGNMENT = 0x230,       /* u32 */
	BZ_RELOCATABLE = 0x234,     /* u8 */
	BZ_XLOADFLAGS = 0x236,      /* u16 */
	BZ_CMDLINE_SIZE = 0x238,    /* u32, NUL not included */
	BZ_PREF_ADDRESS = 0x258,    /* u64 */
	BZ_INIT_SIZE = 0x260,       /* u32 */
	BZ_HEADER_NEEDED = 0x264,   /* a header must reach to here */
};

#define BOOT_FLAG      0xaa55
#define MAGIC          0x53726448 /* "HdrS" */
#define VERSION_NEEDED 0x020c     /* xloadflags */
#define LOADED_HIGH    BIT(0)
#define XLF_KERNEL_64  BIT(0)
#define SECTOR         512
#define ENTRY_64       0x200 /* after the load address */
#define ALIGNMENT_MAX  GiB(1)

#define GDT_CODE64 0x00af9b000000ffffULL
#define GDT_DATA   0x00cf93000000ffffULL

#define PTE_TABLE 0x23ULL /* P, W, A */
#define PTE_LARGE 0xe3ULL /* P, W, A, D, PS */

static u64 field(const u8 *file, enum bz_field at, unsigned size)
{
	u64 v = 0;

	memcpy(&v, file + at, size);
	return v;
}

static int printf_like(3, 4) refuse(struct load_error *why, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_v(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return -error;
}

static u64 mib_up(u64 bytes)
{
	return DIV_ROUND_UP(bytes, MiB(1));
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
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is no Linux bzImage: give the file arch/x86/boot/bzImage of a kernel build, "
			"or /boot/vmlinuz of a distribution");
	if (size < BZ_HEADER_NEEDED)
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off: it has %llu bytes, less than its header; copy it again",
			(unsigned long long)size);
	version = (unsigned)field(file, BZ_VERSION, 2);
	if (version < VERSION_NEEDED)
		return refuse(
			why, HV_ENOEXEC,
			"the kernel speaks boot protocol %u.%02u and 2.12 is needed: use Linux 3.8 or later",
			version >> 8, version & 0xff);
	if (!(field(file, BZ_XLOADFLAGS, 2) & XLF_KERNEL_64))
		return refuse(
			why, HV_ENOEXEC,
			"the kernel has no 64-bit entry point: use one built for x86-64 (CONFIG_64BIT=y)");
	if (!(field(file, BZ_LOADFLAGS, 1) & LOADED_HIGH))
		return refuse(why, HV_ENOEXEC,
			      "the kernel image is a zImage: build a bzImage instead");
	return 0;
}

static int check_sizes(const u8 *file, u64 size, struct bz_header *h, struct load_error *why)
{
	u64 sectors = field(file, BZ_SETUP_SECTS, 1);
	u64 setup = ((sectors ? sectors : 4) + 1) * SECTOR;
	u64 told; /* no overflow: at most 36 bits */

	h->setup = file;
	h->header_end = BZ_MAGIC + field(file, BZ_JUMP_LENGTH, 1);
	if (h->header_end < BZ_HEADER_NEEDED || h->header_end > setup)
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: its header ends at 0x%llx; copy it again",
			(unsigned long long)h->header_end);
	h->payload_size = field(file, BZ_SYSSIZE, 4) * 16;
	/* A signature may follow the payload, never stand in for a part of it. */
	told = setup + h->payload_size;
	/* Counted in 16 bytes, rounded up: the last of them need not be whole (memtest86+). */
	if (told >= size + 16)
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off: its header tells of %llu bytes and there are %llu; copy it again",
			(unsigned long long)told, (unsigned long long)size);
	h->payload = file + setup;
	h->payload_size = MIN(h->payload_size, size - setup);
	h->init_size = (u32)field(file, BZ_INIT_SIZE, 4);
	if (h->payload_size <= ENTRY_64 || h->init_size < h->payload_size)
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: %llu bytes of payload do not fit the %u bytes that it asks for; "
			"copy it again",
			(unsigned long long)h->payload_size, h->init_size);
	return 0;
}

static int parse_header(const u8 *file, u64 size, struct bz_header *h, struct load_error *why)
{
	int r = check_kind(file, size, why);

	if (r < 0)
		return r;
	r = check_sizes(file, size, h, why);
	if (r < 0)
		return r;
	h->alignment = (u32)field(file, BZ_ALIGNMENT, 4);
	h->relocatable = field(file, BZ_RELOCATABLE, 1);
	h->pref_address = field(file, BZ_PREF_ADDRESS, 8);
	h->initrd_addr_max = (u32)field(file, BZ_INITRD_ADDR_MAX, 4);
	h->cmdline_size = (u32)field(file, BZ_CMDLINE_SIZE, 4);
	if (h->alignment < PAGE_SIZE || h->alignment > ALIGNMENT_MAX ||
	    (h->alignment & (h->alignment - 1)))
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: it wants to be aligned to 0x%x bytes; copy it again",
			h->alignment);
	if (!IS_ALIGNED(h->pref_address, PAGE_SIZE) || h->pref_address < LAYOUT_KERNEL_MIN)
		return refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: it wants to be loaded at 0x%llx; copy it again",
			(unsigned long long)h->pref_address);
	return 0;
}

/* Where the kernel prefers to be, else, if it can move, as low as its alignment allows. */
static int place_kernel(const struct machine *m, const struct bz_header *h, struct bz_place *p,
			struct load_error *why)
{
	/* "pref_address": below it even a relocatable kernel moves itself there. */
	u64 lowest = h->relocatable ? ALIGN_UP(h->pref_address, (u64)h->alignment) :
				      h->pref_address;

	if (h->pref_address <= m->mem_low && h->init_size <= m->mem_low &&
	    lowest <= m->mem_low - h->init_size) {
		p->kernel = lowest;
		return 0;
	}
	return refuse(
		why, HV_ENOMEM,
		"the kernel needs %llu MiB of memory from %llu MiB on, and the guest has %llu MiB: give it more with "
		"mem=%lluM",
		(unsigned long long)mib_up(h->init_size), (unsigned long long)mib_up(lowest),
		(unsigned long long)(m->mem_size >> 20),
		(unsigned long long)ALIGN_UP(mib_up(lowest) + mib_up(h->init_size) + 16, 32));
}

/* As high as it may be; if the kernel lies in the way, below the kernel. */
static int place_initrd(const struct machine *m, const struct bz_header *h, u64 size,
			struct bz_place *p, struct load_error *why)
{
	u64 top = MIN(m->mem_low, (u64)h->initrd_addr_max + 1);
	u64 kernel_end = p->kernel + h->init_size;

	p->initrd = 0;
	p->initrd_size = size;
	if (!size)
		return 0;
	if (size <= top) {
		p->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
		if (p->initrd >= kernel_end)
			return 0;
		top = MIN(top, p->kernel);
	}
	if (size <= top) {
		p->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
		if (p->initrd >= LAYOUT_KERNEL_MIN)
			return 0;
	}
	return refuse(
		why, HV_ENOMEM,
		"the initial RAM disk of %llu MiB does not fit beside the kernel: the guest has %llu MiB, and the kernel takes "
		"it up to %llu MiB only; give it more with mem=%lluM, or a smaller one",
		(unsigned long long)mib_up(size), (unsigned long long)(m->mem_size >> 20),
		(unsigned long long)mib_up((u64)h->initrd_addr_max + 1),
		(unsigned long long)ALIGN_UP(mib_up(kernel_end) + 2 * mib_up(size) + 16, 32));
}

static int write_cmdline(struct gmem *g, const struct bz_header *h, const char *cmdline,
			 struct bz_place *p, struct load_error *why)
{
	u64 max = MIN((u64)h->cmdline_size, LAYOUT_CMDLINE_MAX - 1);

	if (!cmdline)
		cmdline = "";
	p->cmdline_len = strnlen(cmdline, max + 1);
	if (p->cmdline_len > max)
		return refuse(
			why, HV_E2BIG,
			"the kernel's command line has more than the %llu characters that this kernel takes: shorten it",
			(unsigned long long)max);
	if (gmem_write(g, LAYOUT_CMDLINE, cmdline, p->cmdline_len) < 0)
		return -HV_EFAULT;
	return gmem_set(g, LAYOUT_CMDLINE + p->cmdline_len, 0, 1);
}

/* The boot GDT and the page tables that the 64-bit entry asks for: the first 4 GiB, 1:1. */
static int write_cpu_tables(struct gmem *g, struct load_entry *out)
{
	const u64 gdt[4] = {0, 0, GDT_CODE64, GDT_DATA};
	u64 *table = gmem_ptr(g, LAYOUT_PAGE_TABLES, 6 * PAGE_SIZE);

	if (!table)
		return -HV_EFAULT;
	memset(table, 0, 2 * PAGE_SIZE);
	table[0] = (LAYOUT_PAGE_TABLES + PAGE_SIZE) | PTE_TABLE;
	for (unsigned i = 0; i < 4; i++)
		table[512 + i] = (LAYOUT_PAGE_TABLES + (2 + i) * PAGE_SIZE) | PTE_TABLE;
	for (u64 i = 0; i < GiB(4) / MiB(2); i++)
		table[1024 + i] = i * MiB(2) | PTE_LARGE;
	out->cr3 = LAYOUT_PAGE_TABLES;
	out->gdt = LAYOUT_GDT;
	out->gdt_limit = sizeof(gdt) - 1;
	return gmem_write(g, LAYOUT_GDT, gdt, sizeof(gdt));
}

int load_bzimage(struct gmem *g, const struct machine *m, const struct load_image *img,
		 struct load_entry *out, struct load_error *why)
{
	struct bz_header h = {0};
	struct bz_place p = {0};
	int r;

	*why = (struct load_error){.text = "the guest's memory cannot be written"};
	r = parse_header(img->kernel, img->kernel_size, &h, why);
	if (r < 0)
		return r;
	r = place_kernel(m, &h, &p, why);
	if (r < 0)
		return r;
	r = place_initrd(m, &h, img->initrd_size, &p, why);
	if (r < 0)
		return r;
	r = write_cmdline(g, &h, img->cmdline, &p, why);
	if (r < 0)
		return r;
	if (gmem_write(g, p.kernel, h.payload, h.payload_size) < 0)
		return -HV_EFAULT;
	if (p.initrd_size && gmem_write(g, p.initrd, img->initrd, p.initrd_size) < 0)
		return -HV_EFAULT;
	r = write_cpu_tables(g, out);
	if (r < 0)
		return r;
	r = zeropage_write(g, m, &h, &p);
	if (r < 0)
		return r;
	out->rip = p.kernel + ENTRY_64;
	out->rsi = LAYOUT_ZERO_PAGE;
	out->rsp = LAYOUT_STACK_TOP;
	why->text[0] = '\0';
	return 0;
}
