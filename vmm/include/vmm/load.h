/* SPDX-License-Identifier: MIT */
/*
 * Putting a guest's software into its memory. Every input byte is hostile: all sizes and offsets
 * are checked before use. On error, `why` holds one plain sentence for the user.
 */
#ifndef VMM_LOAD_H
#define VMM_LOAD_H

#include <vmm/gmem.h>
#include <vmm/types.h>

struct load_error {
	char text[200];
};

#define LOAD_MODULES_MAX 8 /* besides the initrd */

/* A file that a kernel is given besides itself, and the text that goes with it. */
struct load_module {
	const u8 *data;
	u64 size;
	const char *text; /* NULL: none */
};

/* What a guest is started from; the memory is the host's and stays valid as long as the guest may be restarted. */
struct load_image {
	const u8 *kernel;
	u64 kernel_size;
	const u8 *initrd;
	u64 initrd_size;         /* 0: none */
	const char *initrd_text; /* as of a module; NULL: none */
	const char *cmdline;
	struct load_module module[LOAD_MODULES_MAX];
	unsigned modules;
};

/* State for the first instruction. */
struct load_entry {
	u64 rip, rsi, rsp;
	u32 eax, ebx;
	bool long_mode; /* else protected mode without paging */
	u64 cr3;        /* long mode: identity map of the first 4 GiB in guest memory */
	gpa_t gdt;      /* boot GDT: code 0x10, of that mode; data 0x18; both flat */
	u16 gdt_limit;
};

struct machine; /* vmm/machine.h */

/*
 * Each loader: -HV_ENOEXEC (the file is not what it should be), -HV_ENOMEM (the guest's memory is too small), -HV_E2BIG
 * (the command line is too long), -HV_EINVAL (files that this kind of kernel takes none of), -HV_EFAULT (the host is out of
 * memory); why->text says so in one sentence. The guest's RAM must be clear but for the machine's tables, which must have
 * been written already: what a kernel wants cleared is not cleared again.
 */

/*
 * Linux's x86 boot protocol (Documentation/arch/x86/boot.rst "64-bit Boot Protocol", else "32-bit Boot Protocol", from
 * version 2.02 on): kernel by pref_address, alignment and init_size; initrd as high as initrd_addr_max and memory allow;
 * zero page with e820, command line, and acpi_rsdp_addr.
 */
int load_bzimage(struct gmem *g, const struct machine *m, const struct load_image *img,
		 struct load_entry *out, struct load_error *why) must_check;
/*
 * An ELF file with the note XEN_ELFNOTE_PHYS32_ENTRY (Xen's "x86/HVM direct boot ABI"): 32-bit entry, start info of version
 * 1 with memory map, command line, RSDP, and initrd and modules as its modules.
 */
int load_pvh(struct gmem *g, const struct machine *m, const struct load_image *img,
	     struct load_entry *out, struct load_error *why) must_check;
/*
 * Multiboot1 (Multiboot Specification 0.6.96): a header in the first 8 KiB of an ELF file, 32 or 64 bits, or of any file if
 * the header has the addresses; 32-bit entry; memory sizes and map, command line, initrd and modules, loader's name.
 */
int load_multiboot(struct gmem *g, const struct machine *m, const struct load_image *img,
		   struct load_entry *out, struct load_error *why) must_check;

/* What the file is, by its headers alone: sound or not is for the loader to find out. */
bool load_is_bzimage(const u8 *kernel, u64 size);
bool load_is_pvh(const u8 *kernel, u64 size);
bool load_is_multiboot(const u8 *kernel, u64 size);
bool load_is_elf(const u8 *kernel, u64 size);

/* By whichever of them the file is for (kernel.c). */
int load_kernel(struct gmem *g, const struct machine *m, const struct load_image *img,
		struct load_entry *out, struct load_error *why) must_check;
/* Its format's name; NULL: it is no kernel of any kind. */
const char *load_format(const u8 *kernel, u64 size);

/* The machine's tables, into its memory: MP table and ACPI; the rsdp's address is m->rsdp. */
int load_mptable(struct gmem *g, const struct machine *m) must_check;
int load_acpi(struct gmem *g, const struct machine *m) must_check;
/* Code at FFFF:0000 that resets the machine. */
int load_reset_vector(struct gmem *g) must_check;

#endif
