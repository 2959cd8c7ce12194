/* SPDX-License-Identifier: MIT */
/*
 * Entry points of exceptions and interrupts in root mode, and the two instructions whose exception is expected. The
 * frame that trap_common builds is struct trap_frame of host.h. SDM vol. 3 "64-Bit Mode Stack Frame", "IRET in IA-32e
 * Mode"; APM vol. 2 "Long-Mode Interrupt Control Transfers".
 */
#include <arch/layout.h>

#define TRAP_STUB_SIZE 16 /* as in host.h */
#define IRQ_STUB_SIZE  8
#define TRAPS	       32

	/* struct trap_frame, from `rax` down. */
	.macro push_registers
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
	.endm

	.text
	.globl trap_stubs
	.balign 16
trap_stubs:
	.set vector, 0
	.rept TRAPS
	.balign TRAP_STUB_SIZE
	/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC and #SX push an error code themselves. */
	.ifeq (vector == 8) | ((vector >= 10) & (vector <= 14)) | (vector == 17) | (vector == 21) | \
		(vector == 29) | (vector == 30)
	push $0
	.endif
	push $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	/* Interrupts: all 224, and small. The byte's sign is extended; only the byte counts. */
	.globl irq_stubs
	.balign 16
irq_stubs:
	.rept 256 - TRAPS
	.balign IRQ_STUB_SIZE
	.byte 0x6a, vector		/* push imm8 */
	jmp trap_irq
	.set vector, vector + 1
	.endr

	.balign 16
trap_irq:
	push (%rsp)			/* where an exception has its error code */
	.type trap_common, @function
trap_common:
	push_registers
	cld
	mov %rsp, %rdi
	call trap_dispatch		/* the CPU aligned the stack: 22 words are on it */
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

	/*
	 * void host_panic(const char *fmt, ...): a frame as if the call were a trap, so that the caller's registers can be shown. The
	 * arguments are found in it and above it.
	 */
	.globl host_panic
	.type host_panic, @function
host_panic:
	push $0				/* SS */
	push %rsp			/* the caller's, once the call has returned */
	addq $16, (%rsp)
	pushfq
	push $0				/* CS */
	push 32(%rsp)			/* RIP: the return address */
	push $0
	push $0
	push_registers
	cld
	mov %rsp, %rdi
	sub $8, %rsp			/* the ABI's alignment: the return address and 22 words */
	call panic_call

	/* Where `from` raises #GP, execution goes on at `to`. */
	.macro EXTABLE from, to
	.pushsection .extable, "a", @progbits
	.long \from - LAYOUT_IMAGE_VA
	.long \to - LAYOUT_IMAGE_VA
	.popsection
	.endm

	/* bool rdmsr_safe(u32 msr, u64 *v) */
	.globl rdmsr_safe
	.type rdmsr_safe, @function
rdmsr_safe:
	mov %edi, %ecx
1:	rdmsr
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, (%rsi)
	mov $1, %eax
	ret
2:	xor %eax, %eax
	mov %rax, (%rsi)
	ret
	EXTABLE 1b, 2b

	/* bool wrmsr_safe(u32 msr, u64 v) */
	.globl wrmsr_safe
	.type wrmsr_safe, @function
wrmsr_safe:
	mov %edi, %ecx
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
1:	wrmsr
	mov $1, %eax
	ret
2:	xor %eax, %eax
	ret
	EXTABLE 1b, 2b

	.section .note.GNU-stack, "", @progbits
