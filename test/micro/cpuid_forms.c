/* SPDX-License-Identifier: MIT */
/*
 * CPUID, RDTSC and IN in every dress: prefixes that mean nothing, an instruction that lies across a page boundary (on two
 * frames that are not neighbours), and in compatibility mode. The next instruction is the right one each time, and no
 * other register changes.
 */
#include "micro.h"

/* Runs `n` bytes at the end of a page such that `first` of them are on it; the code returns by itself. */
static void run_split(const u8 *code, unsigned n, unsigned first)
{
	u8 *window = page_alloc();
	u8 *second = page_alloc();
	u64 start = (u64)window + 4096 - first;
	u64 *entry = page_entry((u64)window + 4096);
	u64 old = *entry;
	u64 rax = 0x40000100, rbx = 1, rcx = 0, rdx = 3, canary = 0x1122334455667788ULL;

	memory_copy((u8 *)start, code, first);
	memory_copy(second, code + first, n - first);
	*entry = (u64)second | PTE_P | PTE_W | PTE_U;
	invlpg(window + 4096);
	__asm__ volatile("call *%5"
			 : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx), "+D"(canary)
			 : "S"(start)
			 : "memory");
	*entry = old;
	invlpg(window + 4096);
	check_equal("rax", rax, 0x40000101);
	check_equal("rbx", rbx, 0x6f766148);
	check_equal("rcx", rcx, 0x76614863);
	check_equal("rdx", rdx, 0x7648636f);
	check_equal("rdi", canary, 0x1122334455667788ULL);
}

static void expect_havoc(const char *what, u64 rbx)
{
	check(rbx == 0x6f766148, "%s: rbx is 0x%llx", what, (unsigned long long)rbx);
}

#define FORM(bytes)                                                                                \
	do {                                                                                       \
		u64 a = 0x40000100, b = ~0ULL, c = 0, d, mark = 1;                                 \
		__asm__ volatile(".byte " bytes "\n\tinc %4"                                       \
				 : "+a"(a), "+b"(b), "+c"(c), "=d"(d), "+S"(mark));                \
		expect_havoc(bytes, b);                                                            \
		check_equal("instructions after " bytes, mark, 2);                                 \
	} while (0)

static u64 compat_result;

/* 32-bit code in its own segment, and back. */
static void compatibility_mode(void)
{
	compat_result = 0;
	__asm__ volatile("pushq %1; pushq $1f; lretq\n\t"
			 ".code32\n"
			 "1:	mov $0x40000100, %%eax; xor %%ecx, %%ecx\n\t"
			 "	.byte 0x66, 0x0f, 0xa2\n\t"
			 "	mov %%ebx, compat_result\n\t"
			 "	ljmp %2, $2f\n\t"
			 ".code64\n"
			 "2:"
			 :
			 : "m"(compat_result), "i"(SEL_CODE32), "i"(SEL_CODE64)
			 : "rax", "rbx", "rcx", "rdx", "memory");
	expect_havoc("compatibility mode", compat_result);
}

void test(void)
{
	static const u8 code[] = {0x0f, 0xa2, 0xc3};
	static const u8 prefixed[] = {0x66, 0x3e, 0x48, 0x0f, 0xa2, 0xc3};
	u32 r[4];
	unsigned i;

	cpuid_count(0x40000100, 0, r);
	if (r[1] != 0x6f766148)
		skip("not under Havoc");
	FORM("0x0f, 0xa2");
	FORM("0x66, 0x0f, 0xa2");
	FORM("0x48, 0x0f, 0xa2");
	FORM("0x67, 0x2e, 0x64, 0x0f, 0xa2");
	FORM("0xf3, 0x0f, 0xa2");
	FORM("0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0xa2");
	for (i = 1; i < sizeof(code); i++)
		run_split(code, sizeof(code), i);
	for (i = 1; i < sizeof(prefixed); i++)
		run_split(prefixed, sizeof(prefixed), i);
	compatibility_mode();
}
