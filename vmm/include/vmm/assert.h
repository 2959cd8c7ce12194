/* SPDX-License-Identifier: MIT */
/*
 * Havoc's own invariants. Always on. Never about what a guest, a user or firmware did: for those
 * there are vm_kill(), -errno and one plain sentence.
 */
#ifndef VMM_ASSERT_H
#define VMM_ASSERT_H

#include <vmm/host.h>

#define hv_assert(cond)                                                                            \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			host_panic("assertion failed: %s (%s:%d)", #cond, __FILE__, __LINE__);     \
	} while (0)

#endif
