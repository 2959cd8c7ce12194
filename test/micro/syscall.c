/* SPDX-License-Identifier: MIT */
/*
 * SYSCALL and SYSRET, as a kernel uses them: into ring 0 at LSTAR with the flags masked, with exits in between, and back. Compatibility
 * with SYSENTER where the CPU has it in long mode. SDM vol. 2 "SYSCALL"; APM vol. 2 "SYSCALL and SYSRET".
 */
#include "micro.h"

void syscall_entry(void);
static volatile u64 seen_flags, results[8];
static volatile unsigned calls;

/* RCX: where to go back, R11: flags. The user's stack is used: nothing else runs. */
__asm__(".pushsection .text\n"
	"syscall_entry:\n"
	"	pushfq; pop seen_flags\n"
	"	push %rcx; push %r11\n"
	"	incl calls\n"
	"	xor %eax, %eax; cpuid\n"
	"	mov $0xfee00030, %eax; mov (%rax), %eax\n"
	"	pop %r11; pop %rcx\n"
	"	mov $0x1234, %eax\n"
	"	sysretq\n"
	".popsection");

static void in_ring3(void)
{
	unsigned i;
	u64 rax, rcx, r11;

	for (i = 0; i < 8; i++) {
		__asm__ volatile("syscall; mov %%r11, %2"
				 : "=a"(rax), "=c"(rcx), "=r"(r11)
				 : "a"(i)
				 : "rbx", "rdx", "r11", "memory", "cc");
		results[i] = rax;
	}
}

void test(void)
{
	unsigned i;

	/* SYSRET: CS = base + 16, SS = base + 8; SYSCALL: CS = base, SS = base + 8. */
	wrmsr(MSR_STAR, 0x2bULL << 48 | (u64)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF);
	check_equal("SYSCALL without EFER.SCE: vector",
		    TRY("syscall",
			:
			:
			: "rcx", "r11", "memory"),
		    VEC_UD);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	ring3_run(in_ring3);
	check_equal("system calls", calls, 8);
	for (i = 0; i < 8; i++)
		check_equal("a result", results[i], 0x1234);
	check_equal("masked flags", seen_flags & (RFLAGS_IF | RFLAGS_DF), 0);
}
