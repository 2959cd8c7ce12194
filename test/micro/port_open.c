/* SPDX-License-Identifier: MIT */
/*
 * A port that belongs to nobody reads as all ones, in each size, and swallows what is written; IN of 8 and 16 bits leaves the rest of
 * RAX alone, 32 bits clear its upper half; ring 3 has no port without IOPL or the I/O bitmap.
 * OPTIONS: machine=minimal
 */
#include "micro.h"

#define NOBODY 0x1234

static volatile int vectors[3];

static void in_ring3(void)
{
	vectors[0] = TRY("inb %%dx, %%al", : : "d"(UART + 7) : "rax", "memory");
	vectors[1] = TRY("outb %%al, $0x80", : : "a"(0) : "memory");
	vectors[2] = TRY("cli", : : : "memory");
}

void test(void)
{
	u64 a;

	outb(NOBODY, 0x12);
	outw(NOBODY, 0x1234);
	outl(NOBODY, 0x12345678);
	a = 0x1122334455667788ULL;
	__asm__ volatile("inb %%dx, %%al" : "+a"(a) : "d"(NOBODY));
	check_equal("RAX after an 8-bit IN", a, 0x11223344556677ffULL);
	__asm__ volatile("inw %%dx, %%ax" : "+a"(a) : "d"(NOBODY));
	check_equal("RAX after a 16-bit IN", a, 0x112233445566ffffULL);
	__asm__ volatile("inl %%dx, %%eax" : "+a"(a) : "d"(NOBODY));
	check_equal("RAX after a 32-bit IN", a, 0xffffffffULL);
	a = 0;
	__asm__ volatile("inb $0xe0, %%al" : "+a"(a));
	check_equal("RAX after IN with an immediate", a, 0xff);
	check_equal("the last port", inb(0xffff), 0xff);
	check_equal("32 bits at the last port",
		    TRY("inl %%dx, %%eax",
			:
			: "d"(0xffff)
			: "rax", "memory"),
		    NO_FAULT);
	/*
	 * The PIC and PIT that this machine does not have. The PIT's ports read as zero: kernels that probe it wait for its
	 * counter to end, and all ones never end.
	 */
	check_equal("PIT", inb(0x42), 0);
	check_equal("speaker gate", inb(0x61), 0x20);
	outb(0x21, 0x5a);
	check_equal("PIC mask", inb(0x21), 0xff);
	check_equal("PCI configuration address", inl(0xcf8), 0xffffffff);
	ring3_run(in_ring3);
	check_equal("IN in ring 3: vector", vectors[0], VEC_GP);
	check_equal("OUT in ring 3: vector", vectors[1], VEC_GP);
	check_equal("CLI in ring 3: vector", vectors[2], VEC_GP);
}
