/* SPDX-License-Identifier: MIT */
/*
 * ELF files (elf.h), for pvh.c and multiboot.c. Nothing in the file is trusted: a segment may be cut off, wrap around, lie
 * where there is no RAM, or over another one or the loader's own structures; each has its sentence. What a segment has in
 * memory and not in the file is clear, because a guest's RAM is when it starts.
 */
#include <vmm/errno.h>
#include <vmm/string.h>

#include "elf.h"

#define CLASS_32    1
#define CLASS_64    2
#define DATA_LITTLE 1
#define TYPE_EXEC   2
#define TYPE_DYN    3
#define MACHINE_386 3
#define MACHINE_X64 62
#define HEADER_32   52
#define HEADER_64   64
#define SEGMENT_32  32
#define SEGMENT_64  56
_Static_assert(SPACE_MAX >= 2 + ELF_SEGMENTS_MAX + LOAD_MODULES_MAX + 1,
	       "room is not what runs out");

#define AT_CLASS   4
#define AT_DATA    5
#define AT_TYPE    16
#define AT_MACHINE 18
#define AT_ENTRY   24

/* Where the fields are that the two classes have at different places: offset and size. */
struct at {
	u8 offset, size;
};

static const struct layout {
	struct at phoff, phentsize, phnum;
	struct at p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align;
	u8 entry, header, segment; /* sizes */
} layouts[] = {
	{{28, 4},
	 {42, 2},
	 {44, 2},
	 {4, 4},
	 {8, 4},
	 {12, 4},
	 {16, 4},
	 {20, 4},
	 {28, 4},
	 4,
	 HEADER_32,
	 SEGMENT_32},
	{{32, 8},
	 {54, 2},
	 {56, 2},
	 {8, 8},
	 {16, 8},
	 {24, 8},
	 {32, 8},
	 {40, 8},
	 {48, 8},
	 8,
	 HEADER_64,
	 SEGMENT_64},
};

static u64 get(const u8 *p, struct at at)
{
	u64 v = 0;

	memcpy(&v, p + at.offset, at.size);
	return v;
}

bool load_is_elf(const u8 *kernel, u64 size)
{
	return size >= HEADER_32 && !memcmp(kernel, "\177ELF", 4);
}

static bool is_for_this_cpu(const u8 *file)
{
	u64 type = get(file, (struct at){AT_TYPE, 2}),
	    machine = get(file, (struct at){AT_MACHINE, 2});

	return file[AT_DATA] == DATA_LITTLE && (type == TYPE_EXEC || type == TYPE_DYN) &&
	       ((file[AT_CLASS] == CLASS_32 && machine == MACHINE_386) ||
		(file[AT_CLASS] == CLASS_64 && machine == MACHINE_X64));
}

int elf_parse(struct elf *e, const u8 *file, u64 size, struct load_error *why)
{
	const struct layout *l;

	if (!load_is_elf(file, size) || !is_for_this_cpu(file))
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel is no ELF program for x86: give one linked for i386 (ELF32) or x86-64 (ELF64)");
	e->file = file;
	e->size = size;
	e->wide = file[AT_CLASS] == CLASS_64;
	l = &layouts[e->wide];
	if (size < l->header)
		return load_refuse(why, HV_ENOEXEC,
				   "the kernel image is cut off: it has %llu bytes; copy it again",
				   (unsigned long long)size);
	e->entry = get(file, (struct at){AT_ENTRY, l->entry});
	e->phoff = get(file, l->phoff);
	e->phentsize = (unsigned)get(file, l->phentsize);
	e->phnum = (unsigned)get(file, l->phnum);
	if (e->phnum && e->phentsize < l->segment)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: its program headers have %u bytes each; copy it again",
			e->phentsize);
	if (e->phoff > size || (u64)e->phnum * e->phentsize > size - e->phoff)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off: of its %u program headers not all are in its %llu bytes; copy it again",
			e->phnum, (unsigned long long)size);
	return 0;
}

void elf_segment(const struct elf *e, unsigned index, struct elf_segment *out)
{
	const struct layout *l = &layouts[e->wide];
	const u8 *p = e->file + e->phoff + (u64)index * e->phentsize;

	out->type = (u32)get(p, (struct at){0, 4});
	out->offset = get(p, l->p_offset);
	out->vaddr = get(p, l->p_vaddr);
	out->paddr = get(p, l->p_paddr);
	out->filesz = get(p, l->p_filesz);
	out->memsz = get(p, l->p_memsz);
	out->align = get(p, l->p_align);
}

/* One that is loaded, and has anything. */
static bool loads(const struct elf *e, unsigned index, struct elf_segment *out)
{
	elf_segment(e, index, out);
	return out->type == ELF_PT_LOAD && out->memsz;
}

static int take(const struct elf *e, unsigned n, const struct elf_segment *p, struct space *s,
		struct load_error *why)
{
	unsigned long long start = p->paddr, size = p->memsz;

	if (p->filesz > p->memsz)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is damaged: its segment %u has more bytes in the file than in memory; copy it again",
			n);
	if (p->offset > e->size || p->filesz > e->size - p->offset)
		return load_refuse(
			why, HV_ENOEXEC,
			"the kernel image is cut off: its segment %u goes beyond its %llu bytes; copy it again",
			n, (unsigned long long)e->size);
	switch (space_take(s, start, size)) {
	case 0:
		return 0;
	case -HV_EEXIST:
		return load_refuse(
			why, HV_ENOEXEC,
			"segment %u of the kernel (0x%llx bytes at 0x%llx) lies over another one, or over what the loader puts "
			"below 0x%llx: link it elsewhere",
			n, size, start, LAYOUT_CMDLINE_END);
	default:
		return load_refuse(
			why, HV_ENOMEM,
			"segment %u of the kernel (0x%llx bytes at 0x%llx) is not in the guest's RAM of %llu MiB: give it more "
			"memory, or link the kernel elsewhere",
			n, size, start, (unsigned long long)(s->m->mem_size >> 20));
	}
}

int elf_load(const struct elf *e, struct gmem *g, struct space *s, struct load_error *why)
{
	struct elf_segment p;
	unsigned found = 0;

	for (unsigned i = 0; i < e->phnum; i++) {
		int r;

		if (!loads(e, i, &p))
			continue;
		if (++found > ELF_SEGMENTS_MAX)
			return load_refuse(
				why, HV_ENOEXEC,
				"the kernel has more than the %u segments that are possible",
				ELF_SEGMENTS_MAX);
		r = take(e, i, &p, s, why);
		if (r)
			return r;
	}
	if (!found)
		return load_refuse(why, HV_ENOEXEC,
				   "the kernel is an ELF file in which there is nothing to load");
	for (unsigned i = 0; i < e->phnum; i++) {
		if (loads(e, i, &p) && gmem_write(g, p.paddr, e->file + p.offset, p.filesz) < 0)
			return -HV_EFAULT;
	}
	return 0;
}

u64 elf_physical(const struct elf *e, u64 vaddr)
{
	struct elf_segment p;

	for (unsigned i = 0; i < e->phnum; i++) {
		if (loads(e, i, &p) && vaddr >= p.vaddr && vaddr - p.vaddr < p.memsz)
			return p.paddr + (vaddr - p.vaddr);
	}
	return vaddr;
}
