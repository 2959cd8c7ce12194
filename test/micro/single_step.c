/* SPDX-License-Identifier: MIT */
/*
 * Single-stepping over instructions that the hypervisor carries out: one #DB after each, with DR6.BS, before the next
 * one; for a repeated string one after each iteration. SDM vol. 3 "Single-Step Exception Condition".
 */
#include "micro.h"

static volatile unsigned steps;
static volatile u64 last_rip;

/* TF is set by POPF, which itself is not stepped; the #DB after the instruction at `target` is counted, all others not. */
static volatile u64 behind, at;
static volatile unsigned behind_count, at_count;

static void step(struct frame *f)
{
	u64 dr6 = read_dr6();

	check(dr6 & DR6_BS, "DR6 is 0x%llx, without BS", (unsigned long long)dr6);
	write_dr6(DR6_RESET);
	steps++;
	if (f->rip == behind)
		behind_count++;
	if (f->rip == at)
		at_count++;
}

/*
 * RAX, RCX, RDX, RSI, RDI are loaded, TF is set, the instruction and a NOP are stepped. `repeats`: how often it must be stopped at the
 * instruction itself.
 */
static void expect(const char *name, unsigned repeats)
{
	check(behind_count == 1 && at_count == repeats,
	      "%s: %u times #DB behind it and %u times at it, not 1 and %u (%u steps)", name,
	      behind_count, at_count, repeats, steps);
	check(steps == repeats + 3, "%s: %u steps", name, steps);
}

#define STEP(name, insn, repeats, a, c, d, si, di)                                                 \
	do {                                                                                       \
		u64 a_ = (a), c_ = (c), d_ = (d), si_ = (si), di_ = (di);                          \
		steps = behind_count = at_count = 0;                                               \
		__asm__ volatile("movq $1f, at; movq $2f, behind\n\t"                              \
				 "pushfq; orq $0x100, (%%rsp); popfq\n"                            \
				 "1:	" insn "\n"                                                \
				 "2:	nop\n"                                                        \
				 "	pushfq\n"                                                       \
				 "	andq $~0x100, (%%rsp)\n"                                        \
				 "	popfq"                                                          \
				 : "+a"(a_), "+c"(c_), "+d"(d_), "+S"(si_), "+D"(di_)              \
				 :                                                                 \
				 : "rbx", "memory", "cc");                                         \
		steps -= 2; /* the last PUSHF, AND; POPF clears TF, yet is stepped */              \
		expect(name, repeats);                                                             \
	} while (0)

static u8 buf[64];

void test(void)
{
	u64 b = (u64)buf;

	trap_handlers[VEC_DB] = step;
	STEP("NOP", "nop", 0, 0, 0, 0, 0, 0);
	STEP("CPUID", "cpuid", 0, 0, 0, 0, 0, 0);
	STEP("RDMSR", "rdmsr", 0, 0, MSR_APIC_BASE, 0, 0, 0);
	STEP("WRMSR", "wrmsr", 0, 0, MSR_MCG_STATUS, 0, 0, 0);
	STEP("IN", "in %%dx, %%al", 0, 0, 0, UART + 7, 0, 0);
	STEP("OUT", "out %%al, %%dx", 0, 0, 0, UART + 7, 0, 0);
	STEP("OUTS", "outsb", 0, 0, 0, UART + 7, b, 0);
	STEP("INS", "insb", 0, 0, 0, UART + 7, 0, b);
	STEP("MOV from MMIO", "mov (%%rsi), %%eax", 0, 0, 0, 0, LAPIC + APIC_VERSION, 0);
	STEP("MOV to MMIO", "mov %%eax, (%%rdi)", 0, 0, 0, 0, 0, LAPIC + APIC_TPR);
	STEP("MOV from CR8", "mov %%cr8, %%rax", 0, 0, 0, 0, 0, 0);
	STEP("MOV to CR4", "mov %%rax, %%cr4", 0, read_cr4(), 0, 0, 0, 0);
	STEP("WBINVD", "wbinvd", 0, 0, 0, 0, 0, 0);
	STEP("HLT", "hlt", 0, 0, 0, 0, 0, 0);
	STEP("REP MOVS in memory", "rep movsb", 3, 0, 4, 0, b, b + 32);
	STEP("REP OUTS", "rep outsb", 3, 0, 4, UART + 7, b, 0);
	STEP("REP INS", "rep insb", 3, 0, 4, UART + 7, 0, b);
	STEP("REP STOS to MMIO", "rep stosl", 3, 0, 4, 0, 0, HOLE);
	check_equal("TF at the end", read_rflags() & RFLAGS_TF, 0);
}
