/* SPDX-License-Identifier: MIT */
/*
 * String port I/O to the UART's scratch register: OUTS and INS alone and repeated, in all sizes, down as well as up, with 32-bit
 * addresses and a segment override, thousands of items, and across a page that is missing in the middle.
 */
#include "micro.h"

#define SCRATCH (UART + 7)

static u8 *buf; /* three pages */

static void repeat_out(u64 from, u64 count, u64 left, const char *what)
{
	u64 c = count, s = from;

	__asm__ volatile("rep outsb" : "+c"(c), "+S"(s) : "d"(SCRATCH) : "memory");
	check(c == left && s == from + count - left, "%s: RCX %llu, RSI moved by %lld", what,
	      (unsigned long long)c, (long long)(s - from));
}

static void bytes(void)
{
	u64 a = (u64)buf, c = 300;

	buf[0] = 0x11;
	buf[1] = 0x22;
	__asm__ volatile("outsb" : "+S"(a) : "d"(SCRATCH) : "memory");
	check_equal("scratch after OUTS", inb(SCRATCH), 0x11);
	check_equal("RSI after OUTS", a, (u64)buf + 1);
	buf[99] = 0x99;
	repeat_out((u64)buf, 100, 0, "100 bytes");
	check_equal("scratch after 100 bytes", inb(SCRATCH), 0x99);
	repeat_out((u64)buf, 0, 0, "0 bytes");
	repeat_out((u64)buf, 12288, 0, "three pages");
	outb(SCRATCH, 0x5a);
	a = (u64)buf + 100;
	__asm__ volatile("rep insb" : "+c"(c), "+D"(a) : "d"(SCRATCH) : "memory");
	check_equal("RCX after INS", c, 0);
	check_equal("RDI after INS", a, (u64)buf + 400);
	check_equal("the first byte", buf[100], 0x5a);
	check_equal("the last byte", buf[399], 0x5a);
	check_equal("the byte behind", buf[400], 0);
	check_equal("the byte before", buf[99], 0x99);
}

/* Words and doublewords, to a port that nobody has. */
static void wider(void)
{
	u64 a = (u64)buf, c = 5;

	__asm__ volatile("rep insw" : "+c"(c), "+D"(a) : "d"(0x1234) : "memory");
	check_equal("RDI after INSW", a, (u64)buf + 10);
	check_equal("a word of nobody's", *(u16 *)(buf + 8), 0xffff);
	c = 5;
	a = (u64)buf + 4094;
	__asm__ volatile("rep insl" : "+c"(c), "+D"(a) : "d"(0x1234) : "memory");
	check_equal("a doubleword across pages", *(u32 *)(buf + 4094), 0xffffffff);
	c = 5;
	a = (u64)buf + 4094;
	__asm__ volatile("rep outsl" : "+c"(c), "+S"(a) : "d"(0x1234) : "memory");
	check_equal("RSI after OUTSL", a, (u64)buf + 4114);
}

static void directions_and_prefixes(void)
{
	u64 a = (u64)buf + 9, c = 10;

	buf[0] = 0x77;
	__asm__ volatile("std; rep outsb; cld" : "+c"(c), "+S"(a) : "d"(SCRATCH) : "memory", "cc");
	check_equal("RSI after OUTS downwards", a, (u64)buf - 1);
	check_equal("scratch after OUTS downwards", inb(SCRATCH), 0x77);
	a = (u64)buf | 0xdead00000000ULL;
	c = 0xbeef00000001ULL;
	buf[0] = 0x66;
	__asm__ volatile("rep addr32 outsb" : "+c"(c), "+S"(a) : "d"(SCRATCH) : "memory");
	check_equal("scratch after OUTS with 32-bit addresses", inb(SCRATCH), 0x66);
	check_equal("RSI after it", a, (u64)buf + 1);
	check_equal("RCX after it", c, 0);
	wrmsr(MSR_FS_BASE, (u64)buf + 50);
	buf[53] = 0x53;
	a = 3;
	__asm__ volatile(".byte 0x64; outsb" : "+S"(a) : "d"(SCRATCH) : "memory");
	check_equal("scratch after OUTS from FS", inb(SCRATCH), 0x53);
	wrmsr(MSR_FS_BASE, 0);
}

static void missing_page(void)
{
	u64 a = (u64)buf + 4000, c = 200, left, at;
	u64 *entry = page_entry((u64)buf + 4096);
	u64 old = *entry;

	*entry = 0;
	invlpg(buf + 4096);
	check_equal("OUTS into a missing page: vector",
		    TRY("rep outsb",
			: "+c"(c), "+S"(a)
			: "d"(SCRATCH)
			: "memory"),
		    VEC_PF);
	check_equal("CR2", caught.cr2, (u64)buf + 4096);
	/* TRY leaves the registers as the fault found them. */
	left = c;
	at = a;
	*entry = old;
	invlpg(buf + 4096);
	check_equal("RCX at the fault", left, 104);
	check_equal("RSI at the fault", at, (u64)buf + 4096);
	__asm__ volatile("rep outsb" : "+c"(c), "+S"(a) : "d"(SCRATCH) : "memory");
	check_equal("RCX after it was resumed", c, 0);
}

void test(void)
{
	buf = page_alloc();
	page_alloc();
	page_alloc();
	bytes();
	wider();
	directions_and_prefixes();
	missing_page();
}
