/* SPDX-License-Identifier: MIT */
/*
 * The file of a micro guest: a bzImage that is little else than its setup header, and the 64-bit entry point.
 * Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and "64-bit Boot Protocol". The payload is linked
 * by micro.ld where pref_address says, and is not relocatable.
 *
 * Its 32-bit entry is for tests of that, and for those that are made an ELF file (micro.mk): there is a Multiboot1 header
 * too, and with MICRO_PVH the note. With MICRO_32 the setup header does not tell of the 64-bit entry.
 */
	.set TABLES, 0x800000

	.section .setup, "a"
setup:
	.org setup + 0x1f1
	.byte 1				/* setup_sects: one, besides the boot sector */
	.word 0				/* root_flags */
	.long micro_paragraphs		/* syssize, in 16 bytes */
	.word 0				/* ram_size */
	.word 0xffff			/* vid_mode */
	.word 0				/* root_dev */
	.word 0xaa55			/* boot_flag */
	.byte 0xeb, header_end - . - 1	/* jump */
	.ascii "HdrS"
	.word 0x020f			/* version */
	.long 0				/* realmode_swtch */
	.word 0, 0			/* start_sys_seg, kernel_version */
	.byte 0				/* type_of_loader */
	.byte 1				/* loadflags: LOADED_HIGH */
	.word 0				/* setup_move_size */
	.long 0x100000			/* code32_start */
	.long 0, 0			/* ramdisk_image, ramdisk_size */
	.long 0				/* bootsect_kludge */
	.word 0				/* heap_end_ptr */
	.byte 0, 0			/* ext_loader_ver, ext_loader_type */
	.long 0				/* cmd_line_ptr */
	.long 0x7fffffff		/* initrd_addr_max */
	.long 0x200000			/* kernel_alignment */
	.byte 0				/* relocatable_kernel */
	.byte 21			/* min_alignment */
#ifdef MICRO_32
	.word 0				/* xloadflags */
#else
	.word 1				/* xloadflags: XLF_KERNEL_64 */
#endif
	.long 2047			/* cmdline_size */
	.long 0				/* hardware_subarch */
	.quad 0				/* hardware_subarch_data */
	.long 0, 0			/* payload_offset, payload_length */
	.quad 0				/* setup_data */
	.quad micro_base		/* pref_address */
	.long micro_init_size
	.long 0, 0			/* handover_offset, kernel_info_offset */
header_end:
	.org setup + 1024

	.section .entry, "ax"
	.code32
	.globl entry32
entry32:
	jmp save
	.balign 4
	.long 0x1badb002, 3, -(0x1badb002 + 3)

	/* What was handed over, before anything changes it: struct entry of micro.h. */
save:	movl %eax, micro_entry
	movl %ebx, micro_entry + 4
	movl %ecx, micro_entry + 8
	movl %edx, micro_entry + 12
	movl %esi, micro_entry + 16
	movl %edi, micro_entry + 20
	movl %ebp, micro_entry + 24
	movl $micro_stack_top, %esp
	pushfl
	popl micro_entry + 28
	movl %cr0, %eax
	movl %eax, micro_entry + 32
	movl %cr4, %eax
	movl %eax, micro_entry + 36
	movl $0xc0000080, %ecx
	rdmsr
	movl %eax, micro_entry + 40
	movw %cs, micro_entry + 44
	movw %ds, micro_entry + 46
	movw %es, micro_entry + 48
	movw %ss, micro_entry + 50

	/* The first 4 GiB, 1:1, in 2 MiB pages: PML4, PDPT, four PDs, where no kernel and no module is. */
	cld
	movl $TABLES, %edi
	movl $6 * 1024, %ecx
	xorl %eax, %eax
	rep stosl
	movl $TABLES + 0x1007, TABLES
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $12, %eax
	addl $TABLES + 0x2007, %eax
	movl %eax, TABLES + 0x1000(, %ecx, 8)
	incl %ecx
	cmpl $4, %ecx
	jb 1b
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $21, %eax
	orl $0x87, %eax
	movl %eax, TABLES + 0x2000(, %ecx, 8)
	incl %ecx
	cmpl $2048, %ecx
	jb 1b
	movl $TABLES, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	lgdt pointer
	ljmp $8, $long
	.balign 8
table:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
pointer:
	.word . - table - 1
	.long table
	.code64
long:	movl micro_entry + 16, %esi
	jmp entry64
	.org entry32 + 0x200

	.code64
	.globl entry64
entry64:
	cli
	cld
	lea micro_bss_start(%rip), %rdi
	lea micro_bss_end(%rip), %rcx
	sub %rdi, %rcx
	xor %eax, %eax
	rep stosb
	mov %rsi, micro_zero_page(%rip)
	lea micro_stack_top(%rip), %rsp
	xor %ebp, %ebp
	call micro_start
1:	cli
	hlt
	jmp 1b

	.data
	.balign 4
	.globl micro_entry
micro_entry:
	.skip 52

#ifdef MICRO_PVH
	.section .note.Xen, "a", @note
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad entry32
#endif

	.section .note.GNU-stack, "", @progbits
