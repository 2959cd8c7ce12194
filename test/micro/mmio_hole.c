/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical addresses that are neither RAM nor a device read as all ones and swallow writes, in every size and by
 * every instruction of the MOV, arithmetic and string families; the guest goes on.
 */
#include "micro.h"

static void moves(void)
{
	u64 v;

	check_equal("8 bits", read8(HOLE), 0xff);
	check_equal("16 bits", read16(HOLE), 0xffff);
	check_equal("32 bits", read32(HOLE), 0xffffffff);
	check_equal("64 bits", read64(HOLE), ~0ULL);
	check_equal("across a page", read64(HOLE + 0xffc), ~0ULL);
	check_equal("the page below the local APIC", read32(LAPIC - 4), 0xffffffff);
	__asm__ volatile("movzbl (%1), %k0" : "=r"(v) : "r"(HOLE));
	check_equal("MOVZX", v, 0xff);
	__asm__ volatile("movsbq (%1), %0" : "=r"(v) : "r"(HOLE));
	check_equal("MOVSX", v, ~0ULL);
	__asm__ volatile("movslq (%1), %0" : "=r"(v) : "r"(HOLE));
	check_equal("MOVSXD", v, ~0ULL);
	v = 0x1122334455667788ULL;
	__asm__ volatile("movb (%1), %h0" : "+Q"(v) : "b"(HOLE));
	check_equal("MOV to a high byte", v, 0x112233445566ff88ULL);
	write8(HOLE, 1);
	write16(HOLE, 2);
	write32(HOLE, 3);
	write64(HOLE + 0xffc, 4);
	check_equal("after writes", read64(HOLE), ~0ULL);
}

static void arithmetic(void)
{
	u64 flags, v;
	u8 carry;

	__asm__ volatile("addl $1, (%1); pushfq; popq %0"
			 : "=r"(flags)
			 : "r"(HOLE)
			 : "memory", "cc");
	check_equal("flags of 0xffffffff + 1", flags & 0x8d5,
		    RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF);
	__asm__ volatile("cmpb $0x7f, (%1); pushfq; popq %0"
			 : "=r"(flags)
			 : "r"(HOLE)
			 : "memory", "cc");
	check_equal("flags of 0xff - 0x7f", flags & 0x8d5, RFLAGS_SF);
	v = 5;
	__asm__ volatile("lock xaddl %k0, (%1)" : "+r"(v) : "r"(HOLE) : "memory", "cc");
	check_equal("XADD", v, 0xffffffff);
	v = 7;
	__asm__ volatile("xchgq %0, (%1)" : "+r"(v) : "r"(HOLE) : "memory");
	check_equal("XCHG", v, ~0ULL);
	__asm__ volatile("lock btsl $5, (%1)" : "=@ccc"(carry) : "r"(HOLE) : "memory");
	check_equal("BTS: carry", carry, 1);
	v = 3;
	__asm__ volatile("lock cmpxchgl %k2, (%1)" : "+a"(v) : "r"(HOLE), "r"(9) : "memory", "cc");
	check_equal("CMPXCHG: EAX", v, 0xffffffff);
	__asm__ volatile("pushq (%1); popq %0" : "=r"(v) : "r"(HOLE) : "memory");
	check_equal("PUSH", v, ~0ULL);
	__asm__ volatile(
		"orl %1, (%0); andl %1, (%0); xorl %1, (%0); incl (%0); decl (%0); notl (%0); negl (%0)"
		:
		: "r"(HOLE), "r"(1)
		: "memory", "cc");
}

static void strings(void)
{
	static u8 buf[64];
	const u8 *from = (u8 *)HOLE;
	u8 *to = buf;
	u64 n = 32, i;
	bool equal;

	__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	for (i = 0; i < 32; i++)
		check_equal("MOVS: a byte", buf[i], 0xff);
	check_equal("MOVS: byte behind", buf[32], 0);
	check_equal("MOVS: rcx", n, 0);
	check_equal("MOVS: rsi", (u64)from, HOLE + 32);
	to = (u8 *)HOLE;
	n = 5000;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(1) : "memory");
	check_equal("STOS: rdi", (u64)to, HOLE + 20000);
	to = (u8 *)HOLE;
	n = 10;
	__asm__ volatile("repne scasb" : "+D"(to), "+c"(n), "=@ccz"(equal) : "a"(0) : "memory");
	check(!equal && n == 0, "SCAS found a zero byte");
}

void test(void)
{
	moves();
	arithmetic();
	strings();
}
