/* SPDX-License-Identifier: MIT */
/*
 * void svm_run(struct vcpu *v, u64 deadline, struct vm_exit *exit)
 *
 * Into the guest, back, and on to svm_exited(s, exit): backend_ops.run. Called with interrupts off. When something is to be done before the
 * entry, svm_run_with_work(v, s, exit) does it and comes back by svm_enter(), which has the same arguments. Offsets are asserted in svm.h.
 *
 * GIF is 0 from before the first guest value is in a register until the host's own are back: only then can an NMI use the host's
 * TSS. RFLAGS.IF is 1 at VMRUN because with V_INTR_MASKING it is the host's IF that lets a physical interrupt end the guest's run;
 * none is taken here, GIF being 0. APM vol. 2 "Global Interrupt Flag, STGI and CLGI Instructions", "Physical (INTR) Interrupt
 * Masking in EFLAGS".
 */

/* struct vcpu */
#define GPR(n)	  (8 * (n)) /* x86 encoding order; RSP is the VMCB's */
#define V_BACKEND 0x98

/* struct svm_vcpu */
#define S_VMCB	     0
#define S_VMCB_PA    8
#define S_HOST_PA    16
#define S_ENTRY_WORK 24

/* struct vmcb */
#define C_CLEAN 0x0c0
#define C_RAX	0x5f8

#define CLEAN_ALL 0x3ff

	.text
	.globl	svm_run, svm_enter
	.type	svm_run, @function
	.type	svm_enter, @function
svm_run:
	mov	V_BACKEND(%rdi), %rsi
	cmpb	$0, S_ENTRY_WORK(%rsi)
	jne	svm_run_with_work
svm_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx
	push	%rdi
	mov	S_VMCB(%rsi), %rcx
	mov	GPR(0)(%rdi), %rax
	mov	%rax, C_RAX(%rcx)
	mov	S_VMCB_PA(%rsi), %rax
	clgi
	sti
	vmload	%rax
	mov	GPR(1)(%rdi), %rcx
	mov	GPR(2)(%rdi), %rdx
	mov	GPR(3)(%rdi), %rbx
	mov	GPR(5)(%rdi), %rbp
	mov	GPR(6)(%rdi), %rsi
	mov	GPR(8)(%rdi), %r8
	mov	GPR(9)(%rdi), %r9
	mov	GPR(10)(%rdi), %r10
	mov	GPR(11)(%rdi), %r11
	mov	GPR(12)(%rdi), %r12
	mov	GPR(13)(%rdi), %r13
	mov	GPR(14)(%rdi), %r14
	mov	GPR(15)(%rdi), %r15
	mov	GPR(7)(%rdi), %rdi

	vmrun	%rax

	/* RAX, RSP and RFLAGS are the host's again, GIF is 0. */
	vmsave	%rax
	cli
	pop	%rax
	mov	%rdi, GPR(7)(%rax)
	mov	%rsi, GPR(6)(%rax)
	mov	%rdx, GPR(2)(%rax)
	mov	%rcx, GPR(1)(%rax)
	mov	%rbx, GPR(3)(%rax)
	mov	%rbp, GPR(5)(%rax)
	mov	%r8, GPR(8)(%rax)
	mov	%r9, GPR(9)(%rax)
	mov	%r10, GPR(10)(%rax)
	mov	%r11, GPR(11)(%rax)
	mov	%r12, GPR(12)(%rax)
	mov	%r13, GPR(13)(%rax)
	mov	%r14, GPR(14)(%rax)
	mov	%r15, GPR(15)(%rax)
	mov	V_BACKEND(%rax), %rdi
	pop	%rsi
	mov	S_VMCB(%rdi), %r10
	mov	C_RAX(%r10), %rdx
	mov	%rdx, GPR(0)(%rax)
	movl	$CLEAN_ALL, C_CLEAN(%r10)
	mov	S_HOST_PA(%rdi), %rax
	vmload	%rax
	stgi

	/* What the guest left in registers that nobody overwrites soon is not for speculation to use. */
	xor	%r11d, %r11d
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	jmp	svm_exited
	.size	svm_run, . - svm_run
	.size	svm_enter, . - svm_enter

	.section .note.GNU-stack, "", @progbits
