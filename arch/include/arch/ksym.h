/* SPDX-License-Identifier: MIT */
/*
 * The symbol table for backtraces: mk/ksym.awk writes it from the first of the two links of the
 * hypervisor, panic.c reads it. Text symbols only, ascending addresses.
 *
 * Made to be small, not fast (a panic reads it): two bytes a symbol, and its name. The first one
 * stands at ksym_first, each next one ksym_size[i] bytes after the i-th; the i-th name is the i-th
 * string of ksym_names.
 */
#ifndef ARCH_KSYM_H
#define ARCH_KSYM_H

#include <vmm/types.h>

extern const u64 ksym_first;
extern const u32 ksym_count;
extern const u16 ksym_size[];
extern const char ksym_names[];

/*
 * The name of the function that `addr` lies in, and how far in; NULL if it lies before the first
 * one. An address beyond the last function counts as that one's: the caller knows where text ends.
 */
static inline const char *ksym_lookup(u64 addr, u64 *offset)
{
	const char *name = ksym_names;
	u64 start = ksym_first;
	u32 i;

	if (addr < start || ksym_count == 0)
		return NULL;
	for (i = 0; i + 1 < ksym_count && addr - start >= ksym_size[i]; i++) {
		start += ksym_size[i];
		while (*name++)
			;
	}
	*offset = addr - start;
	return name;
}

#endif
