/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of every CPU but the first one: from the start-up IPI in real mode to ap_main() in long mode.
 * smp.c copies ap_trampoline to a page below 1 MiB and fills in its struct ap_params. SDM vol. 3
 * "Multiple-Processor (MP) Initialization"; APM vol. 2 "Multiprocessor Initialization".
 *
 * Like boot/entry.S it goes by way of the early page tables, in which low memory is mapped 1:1.
 */
#define CR0_PE	   1
#define CR0_VALUE  0x80010033 /* PG WP NE ET MP PE: caches on */
#define CR4_VALUE  0x20	      /* PAE */
#define MSR_EFER   0xc0000080
#define EFER_VALUE 0x900      /* NXE LME */

#define AP_DATA 0x10

#define OFFSET(symbol) ((symbol) - ap_trampoline)

	.section .rodata.ap, "a", @progbits
	.globl ap_trampoline, ap_trampoline_end, ap_params, ap_32bit, ap_64bit, ap_gdt
	.balign 16
	.code16
ap_trampoline:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	xor %ebx, %ebx
	mov %ax, %bx
	shl $4, %ebx			/* where the copy lies */
	lgdtl OFFSET(ap_params)
	mov %cr0, %eax
	or $CR0_PE, %eax
	mov %eax, %cr0
	ljmpl *OFFSET(ap_far_32bit)

	.code32
ap_32bit:
	mov $AP_DATA, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov $CR4_VALUE, %eax
	mov %eax, %cr4
	mov OFFSET(ap_early_cr3)(%ebx), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	mov $EFER_VALUE, %eax
	xor %edx, %edx
	wrmsr
	mov $CR0_VALUE, %eax
	mov %eax, %cr0
	ljmp *OFFSET(ap_far_64bit)(%ebx)

	.code64
ap_64bit:
	/* Whoever comes without being awaited, or second, finds no stack. */
	xor %eax, %eax
	xchg %rax, ap_stack(%rip)
	test %rax, %rax
	jz 1f
	mov ap_cpu(%rip), %rdi
	mov ap_cr3(%rip), %rsi
	mov ap_entry(%rip), %rdx
	jmp *%rdx
1:	cli
	hlt
	jmp 1b

	/* Null, 32-bit code, data, 64-bit code. */
	.balign 8
ap_gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff

	/* struct ap_params of smp.c */
ap_params:
	.word 31			/* limit and base of ap_gdt */
	.long 0
	.word 0
ap_far_32bit:
	.long 0
	.word 0x08
	.word 0
ap_far_64bit:
	.long 0
	.word 0x18
	.word 0
ap_early_cr3:
	.quad 0
ap_cr3:
	.quad 0
ap_entry:
	.quad 0
ap_cpu:
	.quad 0
ap_stack:
	.quad 0
ap_trampoline_end:

	/* At its linked address: the final page tables have the stack, and nothing low. */
	.section .text.ap, "ax", @progbits
	.globl ap_start
	.type ap_start, @function
ap_start:
	mov %rsi, %cr3
	mov %rax, %rsp
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %ebp, %ebp			/* a backtrace ends here */
	call ap_main
1:	cli
	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
