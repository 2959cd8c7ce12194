/* SPDX-License-Identifier: MIT */
/*
 * Entries of a micro guest's IDT, all 256, and the way to ring 3 and back. The saved registers are struct frame of
 * micro.h.
 */
	.text
	.macro entry vector
	.balign 16
	.if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21)
	.else
	push $0			/* no error code */
	.endif
	push $\vector
	jmp trap_common
	.endm

	.balign 16
	.globl trap_entries
trap_entries:
	.set v, 0
	.rept 256
	entry v
	.set v, v + 1
	.endr

trap_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $-16, %rsp
	call trap_dispatch
	mov %rbp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

/* void ring3_run(void (*fn)(void)): returns when fn does. rdi: fn */
	.globl ring3_run
ring3_run:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	pushfq
	mov %rsp, ring3_kernel_rsp(%rip)
	lea ring3_stack_top - 8(%rip), %rax
	lea ring3_leave(%rip), %rcx
	mov %rcx, (%rax)
	push $0x33
	push %rax
	pushq $0x2
	push $0x3b
	push %rdi
	iretq
ring3_leave:
	int $0x80

/* The gate of vector 0x80. */
	.globl ring3_return
ring3_return:
	mov ring3_kernel_rsp(%rip), %rsp
	popfq
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.bss
	.balign 16
ring3_kernel_rsp:
	.quad 0
	.balign 4096
	.skip 8192
ring3_stack_top:

	.section .note.GNU-stack, "", @progbits
