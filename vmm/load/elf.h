/* SPDX-License-Identifier: MIT */
/*
 * A kernel as an ELF file of 32 or 64 bits, little endian: its program headers, checked; section headers are not looked at.
 * System V ABI, "Object Files", "Program Loading"; and its supplements for i386 and x86-64.
 */
#ifndef VMM_LOAD_ELF_H
#define VMM_LOAD_ELF_H

#include "loader.h"

#define ELF_PT_LOAD 1
#define ELF_PT_NOTE 4

#define ELF_SEGMENTS_MAX 32 /* that are loaded */

struct elf {
	const u8 *file;
	u64 size;
	bool wide; /* ELF64 */
	u64 entry; /* virtual */
	u64 phoff;
	unsigned phnum, phentsize;
};

/* Numbers as they stand in the file: nothing of them is checked. */
struct elf_segment {
	u32 type;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

/* -HV_ENOEXEC: no ELF file for this CPU, or its program headers are not all there. */
int elf_parse(struct elf *e, const u8 *file, u64 size, struct load_error *why) must_check;
void elf_segment(const struct elf *e, unsigned index, struct elf_segment *out);
/* Every segment to its physical address, and taken of *s; nothing is written if one is bad. -HV_ENOEXEC, -HV_ENOMEM, -HV_EFAULT. */
int elf_load(const struct elf *e, struct gmem *g, struct space *s,
	     struct load_error *why) must_check;
/* The physical address of a virtual one, by the segment that holds it; the address itself if none does. */
u64 elf_physical(const struct elf *e, u64 vaddr);

#endif
