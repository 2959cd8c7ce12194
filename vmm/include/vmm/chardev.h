/* SPDX-License-Identifier: MIT */
/*
 * A character device as a UART sees its far end. The UART pulls input when it has room, so that
 * nothing is lost between a full FIFO and the far end's own buffer.
 */
#ifndef VMM_CHARDEV_H
#define VMM_CHARDEV_H

#include <vmm/types.h>

struct chardev {
	/* Takes `len` bytes, all of them. */
	void (*write)(void *ctx, const u8 *buf, size_t len);
	/* Gives up to `max` bytes that have arrived; 0: none. Never waits. */
	size_t (*read)(void *ctx, u8 *buf, size_t max);
	void *ctx;
};

#endif
