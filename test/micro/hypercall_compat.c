/* SPDX-License-Identifier: MIT */
/*
 * The older form of the hypercall, on request: RAX points to a NUL-terminated string in a buffer of RBX bytes. Every register keeps
 * its value, a bad pointer does nothing, and the numbered console write works beside it.
 */
/* OPTIONS: hypercall.compat=on */
#include "micro.h"

static void older(u64 string, u64 size)
{
	u64 a = string, b = size;

	if (is_amd())
		__asm__ volatile("vmmcall" : "+a"(a), "+b"(b) : : "memory");
	else
		__asm__ volatile("vmcall" : "+a"(a), "+b"(b) : : "memory");
	check(a == string && b == size, "a register has changed");
}

static void in_ring3(void)
{
	static char buf[4096] = "older: hello from ring 3\n";

	older((u64)buf, sizeof(buf));
}

void test(void)
{
	static const char unterminated[8] = {'o', 'l', 'd', 'e', 'r', ':', '.', '\n'};
	u8 *page = page_alloc(), *absent = page_alloc();
	u32 r[4];

	cpuid_count(0x40000001, 0, r);
	check(!(r[CPUID_EAX] & (BIT(7) | BIT(11) | BIT(13))), "KVM's hypercalls are offered too");
	ring3_run(in_ring3);
	older((u64)unterminated, 8);
	*page_entry((u64)absent) = 0;
	invlpg(absent);
	memory_copy(page + 4096 - 8, "older!\n", 8); /* its NUL is the last byte before nothing */
	older((u64)page + 4096 - 8, 4096);
	older((u64)absent, 100);
	older(0x800000000000ULL, 100);
	older(HOLE, 100);
	older(0, 0);
	older(~0ULL, ~0ULL);
	check_equal("the numbered form", (u64)hypercall(0x48560001, (u64) "numbered\n", 9, 0), 9);
}
