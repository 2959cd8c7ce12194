/* SPDX-License-Identifier: MIT */
/*
 * A lock between CPUs: tickets, so that nobody waits for ever. Taken in root mode with interrupts off, held for a short
 * time, never across an entry into a guest, never on the common exits. The order in which locks nest is in vcpu.h.
 */
#ifndef VMM_SPINLOCK_H
#define VMM_SPINLOCK_H

#include <vmm/types.h>

/* All zero: free. */
struct spinlock {
	u32 next;    /* the ticket that the next comer draws */
	u32 serving; /* the ticket whose turn it is */
};

static inline void spin_lock(struct spinlock *l)
{
	u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

/* False: somebody has it, or waits for it. */
static inline must_check bool spin_trylock(struct spinlock *l)
{
	u32 serving = __atomic_load_n(&l->serving, __ATOMIC_ACQUIRE);

	return __atomic_compare_exchange_n(&l->next, &serving, serving + 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}

#endif
