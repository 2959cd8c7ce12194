/* SPDX-License-Identifier: MIT */
/*
 * The registers of the local APIC and the I/O APIC by all kinds of instructions: MOV with every addressing form, arithmetic with flags,
 * XCHG, strings, PUSH; identification and reset values. Intel 82093AA; SDM vol. 3 "Local APIC".
 */
#include "micro.h"

static void identity(void)
{
	u32 v = apic_read(APIC_VERSION);

	check((v & 0xff) >= 0x10 && (v & 0xff) <= 0x1f, "local APIC version 0x%x", v);
	check((v >> 16 & 0xff) >= 3 && (v >> 16 & 0xff) <= 6, "local APIC has %u LVT entries",
	      (v >> 16 & 0xff) + 1);
	check_equal("ID", apic_read(APIC_ID), 0);
	check_equal("spurious vector register", apic_read(APIC_SVR) & ~0x1ffu, 0);
	v = ioapic_read(1);
	check((v & 0xff) >= 0x11 && (v >> 16 & 0xff) == 23, "I/O APIC version register 0x%x", v);
	check(ioapic_read(0x10) & BIT(16), "pin 0 is not masked");
	ioapic_route(5, BIT(63) | APIC_LVT_MASKED | BIT(15) | BIT(13) | 0x55);
	check_equal("redirection entry, low", ioapic_read(0x1a),
		    APIC_LVT_MASKED | BIT(15) | BIT(13) | 0x55);
	check_equal("redirection entry, high", ioapic_read(0x1b), BIT(31));
	ioapic_write(0x1a, ~0u);
	check_equal("read-only bits of an entry", ioapic_read(0x1a) & ~0x1afffu & ~BIT(14), 0);
	check_equal("register that does not exist",
		    ioapic_read(0x80) == 0 || ioapic_read(0x80) == 0xffffffff, 1);
}

static void moves(void)
{
	u64 v, base = LAPIC, index = 2;

	__asm__ volatile("movl $0x20, 0x80(%0)" : : "r"(base) : "memory");
	check_equal("TPR by MOV with a displacement", read32(LAPIC + APIC_TPR), 0x20);
	__asm__ volatile("movl %1, (%0, %2, 8)"
			 :
			 : "r"(base + 0x70), "r"(0x30), "r"(index)
			 : "memory");
	check_equal("TPR by MOV with an index", read32(LAPIC + APIC_TPR), 0x30);
	__asm__ volatile("movabs 0xfee00080, %%eax" : "=a"(v));
	check_equal("TPR by MOV with an offset", v, 0x30);
	__asm__ volatile("movl (%k1), %k0" : "=r"(v) : "r"((LAPIC + APIC_TPR) | BIT(40)));
	check_equal("TPR by MOV with 32-bit address size", v, 0x30);
	__asm__ volatile("movzbl (%1), %k0" : "=r"(v) : "r"(LAPIC + APIC_TPR));
	check_equal("TPR by MOVZX", v, 0x30);
	__asm__ volatile("mov %1, %%r13; mov (%%r13), %k0"
			 : "=r"(v)
			 : "r"(LAPIC + APIC_TPR)
			 : "r13");
	check_equal("TPR by R13", v, 0x30);
	__asm__ volatile("mov %1, %%r12; mov (%%r12), %%r15d; mov %%r15, %0"
			 : "=r"(v)
			 : "r"(LAPIC + APIC_TPR)
			 : "r12", "r15");
	check_equal("TPR by R12 to R15", v, 0x30);
}

static void arithmetic(void)
{
	u64 flags, v;
	bool zero, carry;

	write32(LAPIC + APIC_TPR, 0);
	__asm__ volatile("orl $0x50, (%0)" : : "r"(LAPIC + APIC_TPR) : "memory", "cc");
	check_equal("TPR by OR", read32(LAPIC + APIC_TPR), 0x50);
	__asm__ volatile("andl $0x10, (%1); pushfq; pop %0"
			 : "=r"(flags)
			 : "r"(LAPIC + APIC_TPR)
			 : "memory", "cc");
	check_equal("flags of AND", flags & (RFLAGS_ZF | RFLAGS_SF | RFLAGS_CF | RFLAGS_OF), 0);
	check_equal("TPR by AND", read32(LAPIC + APIC_TPR), 0x10);
	__asm__ volatile("addl %1, (%0)" : : "r"(LAPIC + APIC_TPR), "r"(0x20) : "memory", "cc");
	check_equal("TPR by ADD", read32(LAPIC + APIC_TPR), 0x30);
	__asm__ volatile("subl $0x30, (%1)" : "=@ccz"(zero) : "r"(LAPIC + APIC_TPR) : "memory");
	check(zero, "SUB to zero leaves ZF clear");
	__asm__ volatile("testl $0x100, (%1)" : "=@ccz"(zero) : "r"(LAPIC + APIC_SVR) : "memory");
	check(!zero, "TEST of a set bit leaves ZF set");
	__asm__ volatile("cmpl $0, (%1)" : "=@ccz"(zero) : "r"(LAPIC + APIC_TPR) : "memory");
	check(zero, "CMP of equals leaves ZF clear");
	__asm__ volatile("btl $8, (%1)" : "=@ccc"(carry) : "r"(LAPIC + APIC_SVR) : "memory");
	check(carry, "BT of a set bit leaves CF clear");
	v = 0x40;
	__asm__ volatile("xchgl %k0, (%1)" : "+r"(v) : "r"(LAPIC + APIC_TPR) : "memory");
	check_equal("XCHG: the old TPR", v, 0);
	check_equal("XCHG: the new TPR", read32(LAPIC + APIC_TPR), 0x40);
	v = 2;
	__asm__ volatile("addl (%1), %k0" : "+r"(v) : "r"(LAPIC + APIC_TPR) : "memory", "cc");
	check_equal("ADD of a register and the TPR", v, 0x42);
	__asm__ volatile("pushq (%1); popq %0" : "=r"(v) : "r"(LAPIC + APIC_TPR) : "memory");
	check_equal("PUSH: the lower half", (u32)v, 0x40);
}

static void strings(void)
{
	static u32 word;
	u64 to = LAPIC + APIC_TPR, from = (u64)&word;

	word = 0x70;
	__asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
	check_equal("TPR by MOVS", read32(LAPIC + APIC_TPR), 0x70);
	to = (u64)&word;
	from = LAPIC + APIC_VERSION;
	__asm__ volatile("movsl" : "+D"(to), "+S"(from) : : "memory");
	check_equal("version by MOVS", word, apic_read(APIC_VERSION));
	to = LAPIC + APIC_TPR;
	__asm__ volatile("stosl" : "+D"(to) : "a"(0) : "memory");
	check_equal("TPR by STOS", read32(LAPIC + APIC_TPR), 0);
	from = LAPIC + APIC_VERSION;
	__asm__ volatile("lodsl" : "=a"(word), "+S"(from) : : "memory");
	check_equal("version by LODS", word, apic_read(APIC_VERSION));
}

/* The page can be turned off, and moved. */
static void base(void)
{
	u64 old = rdmsr(MSR_APIC_BASE);
	u32 version = apic_read(APIC_VERSION);

	wrmsr(MSR_APIC_BASE, (old & 0xfff) | 0xe0000000);
	check_equal("the page at its old place", read32(LAPIC + APIC_VERSION), 0xffffffff);
	check_equal("the page at its new place", read32(0xe0000000 + APIC_VERSION), version);
	wrmsr(MSR_APIC_BASE, old);
	check_equal("the page back again", read32(LAPIC + APIC_VERSION), version);
	wrmsr(MSR_APIC_BASE, old & ~APIC_BASE_EN);
	check_equal("the page of a disabled APIC", read32(LAPIC + APIC_VERSION), 0xffffffff);
	wrmsr(MSR_APIC_BASE, old);
	check_equal("the page of an enabled APIC", read32(LAPIC + APIC_VERSION), version);
}

void test(void)
{
	apic_enable();
	identity();
	moves();
	arithmetic();
	strings();
	base();
}
