/* SPDX-License-Identifier: MIT */
/*
 * The first instructions: the Multiboot2 header, and the way from GRUB's 32-bit protected mode to
 * boot_main() in long mode at the linked address. GRUB enters here in the same way under BIOS and
 * under UEFI (boot services have been left, as no tag asks to keep them). Multiboot2 specification,
 * "Boot information format: Machine state"; nothing else of the CPU's state is relied upon: CR3,
 * CR4 and EFER may hold what the firmware left there.
 *
 * Position-independent until paging is on: EBP = load address - link address.
 */
#include <arch/layout.h>

#define MB2_HEADER_MAGIC 0xe85250d6
#define MB2_BOOT_MAGIC	 0x36d76289

#define TAG_OPTIONAL 1

#define PHYS(symbol) ((symbol) - LAYOUT_IMAGE_VA)

#define CR0_VALUE  0x80010033 /* PG WP NE ET MP PE */
#define CR4_VALUE  0x20	      /* PAE */
#define MSR_EFER   0xc0000080
#define EFER_VALUE 0x900      /* NXE LME */

#define PTE_TABLE 0x3	      /* present, writable */
#define PTE_2M	  0x83

	.section .multiboot, "a", @progbits
	.balign 8
mb2_header:
	.long MB2_HEADER_MAGIC
	.long 0				/* i386 */
	.long mb2_header_end - mb2_header
	.long -(MB2_HEADER_MAGIC + 0 + (mb2_header_end - mb2_header))

	/* Information request. Optional: what is missing we do without, or say so ourselves. */
	.balign 8
1:	.short 1, TAG_OPTIONAL
	.long 2f - 1b
	.long 1, 3, 6, 8, 12, 14, 15, 17, 21
2:
	/* Console: none required, EGA text is understood. */
	.balign 8
	.short 4, TAG_OPTIONAL
	.long 12
	.long 2
	/* Framebuffer: any size, 32 bits if there is a choice. */
	.balign 8
	.short 5, TAG_OPTIONAL
	.long 20
	.long 0, 0, 32
	/* Modules on page boundaries. */
	.balign 8
	.short 6, 0
	.long 8
	/* Relocatable: 1 MiB to 4 GiB, on 2 MiB, as low as possible. */
	.balign 8
	.short 10, 0
	.long 24
	.long 0x100000, 0xffffffff, 0x200000, 1

	.balign 8
	.short 0, 0
	.long 8
mb2_header_end:

	.section .text.entry, "ax", @progbits
	.code32
	.globl boot_entry
	.type boot_entry, @function
boot_entry:
	cli
	cld
	mov %eax, %edi
	xor %ebp, %ebp
	mov $PHYS(message_magic), %esi
	cmp $MB2_BOOT_MAGIC, %edi
	jne refuse

	/* Where are we? The boot information's reserved word serves as the stack of one CALL. */
	lea 8(%ebx), %esp
	call 1f
1:	pop %ebp
	sub $PHYS(1b), %ebp

	lea PHYS(message_align)(%ebp), %esi
	test $0x1fffff, %ebp
	jnz refuse

	/* The bench counts from here: kept for boot_main(). */
	lea PHYS(host_stack_top)(%ebp), %esp
	rdtsc
	push %edx
	push %eax

	/* Long mode and NX: every CPU with VMX or SVM has them. */
	push %ebx
	lea PHYS(message_cpu)(%ebp), %esi
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb refuse
	mov $0x80000001, %eax
	cpuid
	and $0x20100000, %edx
	cmp $0x20100000, %edx
	jne refuse
	pop %ebx

	/*
	 * The early page tables (in .bss, which the loader has cleared). The first 4 GiB at 0, for the
	 * code right here, and at LAYOUT_DIRECT_VA, where the final tables will have all RAM; the image
	 * at its linked address.
	 */
	lea PHYS(early_pml4)(%ebp), %edx
	lea PHYS(early_pdpt_low) + PTE_TABLE(%ebp), %eax
	mov %eax, (%edx)
	mov %eax, 256 * 8(%edx)
	lea PHYS(early_pdpt_high) + PTE_TABLE(%ebp), %eax
	mov %eax, 511 * 8(%edx)
	lea PHYS(early_pd_high) + PTE_TABLE(%ebp), %eax
	mov %eax, PHYS(early_pdpt_high) + 510 * 8(%ebp)

	lea PHYS(early_pdpt_low)(%ebp), %edx
	lea PHYS(early_pd_low) + PTE_TABLE(%ebp), %eax
	mov $4, %ecx
1:	mov %eax, (%edx)
	add $0x1000, %eax
	add $8, %edx
	loop 1b

	lea PHYS(early_pd_low)(%ebp), %edx
	mov $PTE_2M, %eax
	mov $4 * 512, %ecx
1:	mov %eax, (%edx)
	add $0x200000, %eax
	add $8, %edx
	loop 1b

	lea PHYS(early_pd_high) + 8 * (LAYOUT_LINK_PA >> 21)(%ebp), %edx
	lea LAYOUT_LINK_PA + PTE_2M(%ebp), %eax
	lea PHYS(image_end)(%ebp), %ecx
1:	mov %eax, (%edx)
	add $0x200000, %eax
	add $8, %edx
	cmp %ecx, %eax
	jb 1b

	/* CR4, CR3, EFER, CR0 are set, not amended. */
	mov $CR4_VALUE, %eax
	mov %eax, %cr4
	lea PHYS(early_pml4)(%ebp), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	mov $EFER_VALUE, %eax
	xor %edx, %edx
	wrmsr
	mov $CR0_VALUE, %eax
	mov %eax, %cr0

	/* A code segment with L = 1: from compatibility mode to 64-bit mode. */
	lea PHYS(entry_gdt)(%ebp), %eax
	push %eax
	pushw $entry_gdt_end - entry_gdt - 1
	lgdt (%esp)
	add $6, %esp
	push $8
	lea PHYS(1f)(%ebp), %eax
	push %eax
	lret

	.code64
1:	mov $2f, %rax
	jmp *%rax
2:	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov $host_stack_top, %rax
	mov -8(%rax), %rdx		/* the TSC at entry, pushed above */
	mov %rax, %rsp
	/* Magic is in EDI; the rest of boot_main(magic, mbi, tsc, load delta). */
	mov %ebx, %esi
	mov %ebp, %ecx
	xor %ebp, %ebp			/* a backtrace ends here */
	call boot_main
1:	cli
	hlt
	jmp 1b

	/*
	 * ESI = message, physical. COM1 as the firmware or GRUB left it, and the VGA text screen; whoever
	 * boots this on such a machine may see it on either.
	 */
	.code32
refuse:
	mov $0xb8000, %edi
1:	lodsb
	test %al, %al
	jz 3f
	mov $0x07, %ah
	mov %ax, (%edi)
	add $2, %edi
	mov %al, %bl
	mov $0x3fd, %dx
	mov $0x10000, %ecx
2:	in %dx, %al
	test $0x20, %al
	loopz 2b
	mov $0x3f8, %dx
	mov %bl, %al
	out %al, %dx
	jmp 1b
3:	hlt
	jmp 3b

	.balign 8
entry_gdt:
	.quad 0
	.quad 0x00209a0000000000
entry_gdt_end:

message_magic:
	.asciz "havoc: not started by Multiboot2: use GRUB's multiboot2 command\r\n"
message_align:
	.asciz "havoc: not loaded at a multiple of 2 MiB: use GRUB 2.02 or later\r\n"
message_cpu:
	.asciz "havoc: this CPU has no 64-bit mode or no NX: turn on NX (Execute Disable) in the firmware setup, or take another machine\r\n"

	/* ---- Early page tables; paging.c replaces them. ------------------------------------------ */
	.section .bss.page, "aw", @nobits
	.balign 4096
	.globl early_pml4		/* APs start on it too: ap.S */
early_pml4:
	.skip 4096
early_pdpt_low:
	.skip 4096
early_pdpt_high:
	.skip 4096
early_pd_high:
	.skip 4096
early_pd_low:
	.skip 4 * 4096

	/* ---- The first CPU's stacks (struct cpu_stacks); paging.c unmaps their guard pages. ------- */
	.globl host_stacks
host_stacks:
	.skip LAYOUT_GUARD_SIZE
	.skip LAYOUT_STACK_SIZE
host_stack_top:
	.skip LAYOUT_IST_STACKS * (LAYOUT_GUARD_SIZE + LAYOUT_IST_STACK_SIZE)

	.section .note.GNU-stack, "", @progbits
