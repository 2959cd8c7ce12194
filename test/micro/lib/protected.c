/* SPDX-License-Identifier: MIT */
/*
 * Out of long mode into 32-bit protected mode without paging, a call of 32-bit code there, and back. SDM vol. 3 "Initializing
 * IA-32e Mode" and "Switching Out of IA-32e Mode". Code and stack stay where they are: everything is mapped 1:1 below 4 GiB.
 */
#include "micro.h"

static volatile u64 saved_rsp, saved_cr3, saved_cr4;
static volatile u32 saved_efer;
static struct desc_ptr saved_idt;
static void (*volatile code32)(void);

void protected_switch(void);

/* Interrupts are off, and CR0 has what it had but for paging. The code returns with paging off. */
__asm__(".pushsection .text\n"
	"protected_switch:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, saved_rsp\n"
	"	mov %cr3, %rax; mov %rax, saved_cr3\n"
	"	mov %cr4, %rax; mov %rax, saved_cr4\n"
	"	pushq $0x18; pushq $1f; lretq\n" /* SEL_CODE32 */
	".code32\n"
	"1:	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov %eax, saved_efer; and $~0x100, %eax; wrmsr\n"
	"	xor %eax, %eax; mov %eax, %cr4\n"
	"	call *code32\n"
	"	lgdt protected_gdt\n"
	"	mov saved_cr4, %eax; mov %eax, %cr4\n"
	"	mov saved_cr3, %eax; mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov saved_efer, %eax; wrmsr\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	ljmp $0x08, $2f\n"
	".code64\n"
	"2:	mov saved_rsp, %rsp\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; xor %eax, %eax; mov %eax, %fs; mov %eax, %gs\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	".popsection\n"
	".pushsection .rodata\n"
	"protected_gdt: .word 0x5f; .long gdt\n"
	".popsection");

void protected_run(void (*code)(void))
{
	code32 = code;
	sidt(&saved_idt);
	protected_switch();
	lidt(&saved_idt);
	gdt[8] &= ~BIT(41); /* the TSS may be loaded again */
	ltr(SEL_TSS);
}
