/* SPDX-License-Identifier: MIT */
/*
 * The way into a guest and back. vmx_run() (run.c) ends in a jump to vmx_resume or vmx_launch; the exit comes out in
 * a jump to vmx_exited(), or vmx_entry_failed() if nothing was entered, each of which returns to vmx_run()'s caller. So
 * the callee-saved registers are stored once, and no C frame stays open around the guest. The general registers are what a
 * VMCS does not switch; they live at the start of struct vcpu. SDM vol. 3 "VM Entries", "VM Exits".
 *
 *	void vmx_resume(struct vcpu *v, u64 *host_rsp, struct vm_exit *exit);	(vmx_launch: the same)
 */
#include <arch/vmx/vmcs.h>

#define GPR(n) (8 * (n))
#define RAX    0
#define RCX    1
#define RDX    2
#define RBX    3
#define RBP    5
#define RSI    6
#define RDI    7

.macro enter_guest instruction
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx
	push	%rdi
	/* The stack is as deep at every entry but the first few: a compare instead of a VMWRITE. */
	cmp	%rsp, (%rsi)
	je	1f
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	.Lfailed
	mov	%rsp, (%rsi)
1:	mov	GPR(RAX)(%rdi), %rax
	mov	GPR(RCX)(%rdi), %rcx
	mov	GPR(RDX)(%rdi), %rdx
	mov	GPR(RBX)(%rdi), %rbx
	mov	GPR(RBP)(%rdi), %rbp
	mov	GPR(RSI)(%rdi), %rsi
	mov	GPR(8)(%rdi), %r8
	mov	GPR(9)(%rdi), %r9
	mov	GPR(10)(%rdi), %r10
	mov	GPR(11)(%rdi), %r11
	mov	GPR(12)(%rdi), %r12
	mov	GPR(13)(%rdi), %r13
	mov	GPR(14)(%rdi), %r14
	mov	GPR(15)(%rdi), %r15
	mov	GPR(RDI)(%rdi), %rdi
	\instruction
.endm

.macro restore_host
	pop	%rdi
	pop	%rsi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
.endm

	.section .text.vmx_enter, "ax", @progbits
	.globl vmx_resume, vmx_launch, vmx_exit_point
	.type vmx_resume, @function
	.type vmx_launch, @function
vmx_launch:
	enter_guest vmlaunch
	jmp	.Lfailed
	.size vmx_launch, . - vmx_launch

vmx_resume:
	enter_guest vmresume

	/* The instruction failed. CF: VMfailInvalid, ZF: VMfailValid. */
.Lfailed:
	mov	$1, %edx
	mov	$2, %ecx
	cmovz	%ecx, %edx
	restore_host
	jmp	vmx_entry_failed

	/* HOST_RIP. RSP is what it was at the VMWRITE, all other registers are the guest's. */
vmx_exit_point:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR(RAX)(%rdi)
	mov	%rcx, GPR(RCX)(%rdi)
	mov	%rdx, GPR(RDX)(%rdi)
	mov	%rbx, GPR(RBX)(%rdi)
	mov	%rbp, GPR(RBP)(%rdi)
	mov	%rsi, GPR(RSI)(%rdi)
	mov	%r8, GPR(8)(%rdi)
	mov	%r9, GPR(9)(%rdi)
	mov	%r10, GPR(10)(%rdi)
	mov	%r11, GPR(11)(%rdi)
	mov	%r12, GPR(12)(%rdi)
	mov	%r13, GPR(13)(%rdi)
	mov	%r14, GPR(14)(%rdi)
	mov	%r15, GPR(15)(%rdi)
	pop	GPR(RDI)(%rdi)
	/*
	 * What the guest left in registers that no C code has written yet, so that nothing can run ahead with it.
	 * The others come from the stack.
	 */
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	restore_host
	jmp	vmx_exited
	.size vmx_resume, . - vmx_resume

	.section .note.GNU-stack, "", @progbits
