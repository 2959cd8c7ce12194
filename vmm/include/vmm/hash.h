/* SPDX-License-Identifier: MIT */
/* FNV-1a, 64 bits: tells apart what differs by accident. No protection against whoever wants two to be the same. */
#ifndef VMM_HASH_H
#define VMM_HASH_H

#include <vmm/types.h>

#define HASH_START 0xcbf29ce484222325ULL

/* Goes on from `hash`, which is HASH_START at first. */
static inline u64 hash_bytes(u64 hash, const void *bytes, size_t size)
{
	const u8 *b = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ b[i]) * 0x100000001b3ULL;
	return hash;
}

#endif
