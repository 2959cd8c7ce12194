/* SPDX-License-Identifier: MIT */
/* What all 32-bit entries have in common, for the tests of them. */
#ifndef ENTRY_TEST_H
#define ENTRY_TEST_H

#include "micro.h"

/* Protected mode, flat, without paging and interrupts; nothing of long mode. */
static inline void check_entry32(void)
{
	const struct entry *e = &micro_entry;

	check_equal("CR0 (PE, PG)", e->cr0 & (CR0_PE | CR0_PG), CR0_PE);
	check_equal("CR4", e->cr4, 0);
	check_equal("EFER", e->efer, 0);
	check_equal("EFLAGS (VM, IF, TF, DF)", e->eflags & 0x20700, 0);
	check_equal("the selector of ES", e->es, e->ds);
	check_equal("the selector of SS", e->ss, e->ds);
	check(e->cs && e->ds, "CS is %x, DS %x", e->cs, e->ds);
}

static inline bool text_is(u32 at, const char *text)
{
	unsigned n = 0;

	while (text[n])
		n++;
	return memory_equal((const void *)(u64)at, text, n + 1);
}

#endif
