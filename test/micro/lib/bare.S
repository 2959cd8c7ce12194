/* SPDX-License-Identifier: MIT */
/*
 * A micro guest on the bare (emulated) machine, to tell a wrong test from a wrong hypervisor: a Multiboot1 image, loaded
 * by `qemu-system-x86_64 -kernel`, that goes to long mode with the first 4 GiB mapped 1:1, moves the payload (MICRO_FILE
 * from byte 1024 on) to where it is linked, and enters it as the 64-bit boot protocol says.
 */
	.set FLAGS, 0x00010003
	.section .text
	.balign 4
header:
	.long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
	.long header, header, bare_end, bare_end + 0x10000, start

	.code32
	.globl start
start:
	cld
	cli
	mov $0xff, %al			/* no interrupt from the PICs, which guests do not have */
	out %al, $0x21
	out %al, $0xa1
	mov $payload, %esi
	mov $0x1000000, %edi
	mov $payload_end - payload, %ecx
	rep movsb
	/* PML4, PDPT and four page directories behind the image */
	mov $bare_end + 4095, %edi
	and $-4096, %edi
	mov %edi, %ebx
	mov $6 * 1024, %ecx
	xor %eax, %eax
	rep stosl
	lea 0x1007(%ebx), %eax
	mov %eax, (%ebx)
	xor %ecx, %ecx
1:	mov %ecx, %eax
	shl $12, %eax
	lea 0x2007(%ebx, %eax), %eax
	mov %eax, 0x1000(%ebx, %ecx, 8)
	inc %ecx
	cmp $4, %ecx
	jb 1b
	xor %ecx, %ecx
1:	mov %ecx, %eax
	shl $21, %eax
	or $0x87, %eax
	mov %eax, 0x2000(%ebx, %ecx, 8)
	inc %ecx
	cmp $2048, %ecx
	jb 1b
	mov %ebx, %cr3
	mov $0x20, %eax
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov $0x80000011, %eax
	mov %eax, %cr0
	lgdt gdt_pointer
	mov $0x18, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %esi, %esi
	ljmp $0x10, $0x1000200

	.balign 8
gdt:	.quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt
payload:
	.incbin MICRO_FILE, 1024
payload_end:
bare_end:
	.section .note.GNU-stack, "", @progbits
