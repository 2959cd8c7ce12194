/* SPDX-License-Identifier: MIT */
/*
 * WBINVD and INVD are carried out as WBINVD or not at all: memory keeps what was written; both, INVLPG and HLT fault in ring 3.
 */
#include "micro.h"

static volatile int vectors[5];

static void in_ring3(void)
{
	vectors[0] = TRY("wbinvd", : : : "memory");
	vectors[1] = TRY("invd", : : : "memory");
	vectors[2] = TRY("invlpg (%%rax)", : : : "memory");
	vectors[3] = TRY("hlt", : : : "memory");
	vectors[4] = TRY("rdpmc", : : "c"(0) : "rax", "rdx", "memory");
}

void test(void)
{
	u64 *page = page_alloc();
	unsigned i;

	for (i = 0; i < 512; i++)
		page[i] = i * 0x0101010101ULL;
	check_equal("WBINVD: vector", TRY("wbinvd", : : : "memory"), NO_FAULT);
	check_equal("INVD: vector", TRY("invd", : : : "memory"), NO_FAULT);
	check_equal("WBNOINVD: vector", TRY(".byte 0xf3, 0x0f, 0x09", : : : "memory"), NO_FAULT);
	for (i = 0; i < 512; i++)
		check_equal("memory", page[i], i * 0x0101010101ULL);
	ring3_run(in_ring3);
	for (i = 0; i < 4; i++)
		check_equal("in ring 3: vector", vectors[i], VEC_GP);
}
