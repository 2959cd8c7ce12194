/* SPDX-License-Identifier: MIT */
/*
 * Interrupt shadows across exits: the instruction behind STI or MOV SS is carried out before a pending interrupt is
 * taken, also when the hypervisor carries it out; the shadow ends with it. SDM vol. 2 "STI", "MOV"; vol. 3 "Masking Exceptions and
 * Interrupts When Switching Stacks".
 */
#include "micro.h"

static volatile u64 taken_at;
static volatile unsigned taken;

static void arrived(struct frame *f)
{
	taken_at = f->rip;
	taken++;
	f->rflags &= ~RFLAGS_IF;
	apic_eoi();
}

/* A pending interrupt is let in by `open`; it must be taken at label 2, behind `insn`. */
#define SHADOW(name, prepare, open, insn)                                                          \
	do {                                                                                       \
		u64 behind_;                                                                       \
		taken = 0;                                                                         \
		apic_icr(0, 0x40000 | 0x60);                                                       \
		__asm__ volatile(prepare "\n\t" open "\n\t" insn "\n"                              \
					 "2:	nop; nop; nop\n\t"                                    \
					 "cli\n\t"                                                 \
					 "movq $2b, %0"                                            \
				 : "=m"(behind_)                                                   \
				 :                                                                 \
				 : "rax", "rbx", "rcx", "rdx", "memory", "cc");                    \
		check_equal(name ": interrupts", taken, 1);                                        \
		check_equal(name ": taken at", taken_at, behind_);                                 \
	} while (0)

static void nmi(struct frame *f)
{
	taken_at = f->rip;
	taken++;
}

void test(void)
{
	trap_handlers[0x60] = arrived;
	trap_handlers[VEC_NMI] = nmi;
	apic_enable();
	SHADOW("STI; NOP", "", "sti", "nop");
	SHADOW("STI; CPUID", "xor %%eax, %%eax", "sti", "cpuid");
	SHADOW("STI; IN", "mov $0x3ff, %%edx", "sti", "in %%dx, %%al");
	SHADOW("STI; RDMSR", "mov $0x1b, %%ecx", "sti", "rdmsr");
	SHADOW("STI; MOV from MMIO", "mov $0xfee00030, %%eax", "sti", "mov (%%rax), %%ebx");
	SHADOW("STI; HLT", "", "sti", "hlt");
	SHADOW("STI; STI; NOP", "", "sti; nop", "");
	SHADOW("POPF, no shadow", "pushfq; orq $0x200, (%%rsp)", "popfq", "");
	/* The shadow holds back a self-IPI that the shadowed instruction itself sends, and one NMI. */
	taken = 0;
	__asm__ volatile("mov %%ss, %%ecx; mov %%ecx, %%ss; movl $0x40400, (%%rdx); nop; nop"
			 :
			 : "d"(LAPIC + APIC_ICR)
			 : "rcx", "memory");
	check_equal("NMIs", taken, 1);
}
