/* SPDX-License-Identifier: MIT */
/*
 * The symbol table for backtraces: mk/ksym.awk writes it from the first of the two links of the
 * hypervisor, panic.c reads it. Text symbols only, ascending addresses.
 *
 * Made to be small, not fast (it is read by a panic): four bytes a symbol and its name. The i-th
 * symbol stands at KSYM_BASE + ksym_offset[i], its name is the i-th string of ksym_names.
 */
#ifndef ARCH_KSYM_H
#define ARCH_KSYM_H

#include <vmm/types.h>

#define KSYM_BASE 0xffffffff80000000ULL

extern const u32 ksym_count;
extern const u32 ksym_offset[];
extern const char ksym_names[];

/*
 * The name of the function that `addr` lies in, and how far in; NULL if it lies before the first
 * one. An address beyond the last function counts as that one's: the caller knows where text ends.
 */
static inline const char *ksym_lookup(u64 addr, u64 *offset)
{
	const char *name = ksym_names;
	u32 i;

	if (ksym_count == 0 || addr < KSYM_BASE + ksym_offset[0])
		return NULL;
	for (i = 1; i < ksym_count && addr >= KSYM_BASE + ksym_offset[i]; i++) {
		while (*name++)
			;
	}
	*offset = addr - KSYM_BASE - ksym_offset[i - 1];
	return name;
}

#endif
