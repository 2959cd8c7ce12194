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

/* What a guest is started from; the memory is the host's and stays valid during the load. */
struct load_image {
	const u8 *kernel;
	u64 kernel_size;
	const u8 *initrd;
	u64 initrd_size; /* 0: none */
	const char *cmdline;
};

/* State for the first instruction. */
struct load_entry {
	u64 rip, rsi, rsp;
	u64 cr3;   /* identity map of the first 4 GiB in guest memory */
	gpa_t gdt; /* boot GDT: __BOOT_CS 0x10, __BOOT_DS 0x18, 64-bit code, flat data */
	u16 gdt_limit;
};

struct machine; /* vmm/machine.h */

/*
 * Linux's x86 boot protocol, 64-bit entry (Documentation/arch/x86/boot.rst "64-bit Boot Protocol"):
 * kernel by pref_address, alignment and init_size; initrd as high as initrd_addr_max and memory
 * allow; zero page with e820, command line, and acpi_rsdp_addr. ACPI and MP tables must have been
 * written already.
 */
int load_bzimage(struct gmem *g, const struct machine *m, const struct load_image *img,
		 struct load_entry *out, struct load_error *why) must_check;
/* Is it a bzImage at all? (magic only) */
bool load_is_bzimage(const u8 *kernel, u64 size);

/* The machine's tables, into its memory: MP table and ACPI; the rsdp's address is m->rsdp. */
int load_mptable(struct gmem *g, const struct machine *m) must_check;
int load_acpi(struct gmem *g, const struct machine *m) must_check;
/* Code at FFFF:0000 that resets the machine. */
int load_reset_vector(struct gmem *g) must_check;

#endif
