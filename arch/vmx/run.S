/* SPDX-License-Identifier: MIT */
/*
 * The way into a guest and back: int vmx_enter(u64 *gpr, struct vmx_entry *entry). Called by vmx_run() only.
 * The general registers and CR2 are what a VMCS does not switch; they live at the start of struct vcpu (the
 * offsets are asserted in vmx.c). SDM vol. 3 "VM Entries", "VM Exits"; instructions: VMLAUNCH/VMRESUME.
 */
#include <arch/vmx/vmcs.h>

#define GPR(n)	       (8 * (n))
#define RAX	       0
#define RCX	       1
#define RDX	       2
#define RBX	       3
#define RBP	       5
#define RSI	       6
#define RDI	       7
#define CR2_OFFSET     128
#define ENTRY_RSP      0
#define ENTRY_LAUNCHED 8

	.section .text.vmx_enter, "ax", @progbits
	.globl vmx_enter, vmx_exit_point
	.type vmx_enter, @function
vmx_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	/* The stack is as deep at every entry but the first few: a compare instead of a VMWRITE. */
	cmp	%rsp, ENTRY_RSP(%rsi)
	je	1f
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	.Lfail
	mov	%rsp, ENTRY_RSP(%rsi)
1:	mov	CR2_OFFSET(%rdi), %rax
	mov	%cr2, %rcx
	cmp	%rax, %rcx
	je	2f
	mov	%rax, %cr2
2:	cmpq	$0, ENTRY_LAUNCHED(%rsi)
	/* None of these moves changes the flags. */
	mov	GPR(RAX)(%rdi), %rax
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
	je	3f
	vmresume
	jmp	.Lfail
3:	vmlaunch

	/* The instruction failed: nothing was entered. CF: VMfailInvalid, ZF: VMfailValid. */
.Lfail:
	mov	$1, %eax
	mov	$2, %ecx
	cmovz	%ecx, %eax
	jmp	.Lreturn

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
	mov	%cr2, %rax
	mov	%rax, CR2_OFFSET(%rdi)
	/*
	 * What the guest left in registers that C may still read speculatively before it writes them; those
	 * below come from the stack.
	 */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%eax, %eax
.Lreturn:
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size vmx_enter, . - vmx_enter

	.section .note.GNU-stack, "", @progbits
