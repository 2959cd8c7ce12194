/* SPDX-License-Identifier: MIT */
/*
 * The file of a micro guest: a bzImage that is little else than its setup header, and the 64-bit entry point.
 * Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and "64-bit Boot Protocol". The payload is linked
 * by micro.ld where pref_address says, and is not relocatable.
 */
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
	.word 1				/* xloadflags: XLF_KERNEL_64 */
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

	/* 32-bit entry: a loader that takes it is not the one this is made for. */
	.section .entry, "ax"
	.code32
entry:
	cli
	hlt
	jmp entry
	.org entry + 0x200

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

	.section .note.GNU-stack, "", @progbits
