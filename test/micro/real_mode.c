/* SPDX-License-Identifier: MIT */
/*
 * From long mode down to protected mode without paging and to real mode, and back up: 16-bit code runs with its own segments,
 * interrupt table, port I/O and CPUID, as a kernel's wake-up and AP start-up code does. SDM vol. 3 "Switching to Real-Address Mode".
 */
#include "micro.h"

extern u8 real_start[], real_end[];

struct result {
	u32 ebx;      /* CPUID in real mode */
	u16 cs, sum;  /* of a loop over DS */
	u16 int_seen; /* INT 0x60 through the real-mode table */
	u16 port;     /* of an unclaimed port */
	u32 cr0;
	u16 scratch;
	u16 unreal;  /* read above 1 MiB by a 4 GiB segment */
	u32 version; /* of the local APIC, by the same */
	u16 outs;    /* what OUTS has written */
	u16 gp_sp;   /* SP at the handler of #GP: no error code */
	u16 gp_ip, gp_at;
} packed;

#define RESULT ((volatile struct result *)0x8f00)

/*
 * Copied to 0x8000 and run from there. On entry (64-bit): RSP and all else is the caller's; RDI holds CR3 to come back to.
 */
__asm__(".pushsection .text\n"
	".globl real_start, real_end\n"
	".balign 16\n"
	"real_start:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, 0x8fe0\n"
	"	mov %cr3, %rax; mov %rax, 0x8fe8\n"
	"	sidt 0x8fd0\n"
	"	lidt 0x8000 + (real_idt - real_start)\n"
	"	pushq $0x18\n" /* SEL_CODE32 */
	"	pushq $0x8000 + (1f - real_start)\n"
	"	lretq\n"
	".code32\n"
	"1:	mov $0x10, %eax; mov %eax, %ss; mov %eax, %ds; mov %eax, %es\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n" /* paging off: leaves long mode */
	"	mov $0xc0000080, %ecx; rdmsr; mov %eax, 0x8ff4; and $~0x100, %eax; wrmsr\n"
	"	xor %eax, %eax; mov %cr4, %eax; mov %eax, 0x8ff0; xor %eax, %eax; mov %eax, %cr4\n"
	"	mov $0x28, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %fs; mov %eax, %gs; mov %eax, %ss\n"
	"	ljmp $0x20, $0x8000 + (2f - real_start)\n"
	".code16\n"
	"2:	mov %cr0, %eax; and $~1, %eax; mov %eax, %cr0\n"
	"	ljmp $0x700, $0x1000 + (3f - real_start)\n"
	/* Real mode. */
	"3:	mov $0x800, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss; mov $0xd00, %sp\n"
	"	xor %ax, %ax; mov %ax, %fs\n"
	"	mov %cs, %ax; mov %ax, 0xf04\n"
	"	mov %cr0, %eax; mov %eax, 0xf0c\n"
	"	movw $(real_handler - real_start + 0x1000), %fs:0x180; movw $0x700, %fs:0x182\n"
	"	int $0x60\n"
	"	mov $0x40000100, %eax; xor %ecx, %ecx; cpuid; mov %ebx, 0xf00\n"
	"	mov $0x1234, %dx; in %dx, %ax; mov %ax, 0xf0a\n"
	"	mov $0x3ff, %dx; mov $0x5a, %al; out %al, %dx; xor %ax, %ax; in %dx, %al; mov %ax, 0xf10\n"
	"	mov $0xf40, %si; mov $0x3ff, %dx; outsb; xor %ax, %ax; in %dx, %al; mov %ax, 0xf18\n"
	/* #GP by an instruction that the hypervisor refuses */
	"	movw $(real_gp - real_start + 0x1000), %fs:0x34; movw $0x700, %fs:0x36\n"
	"	mov $0x1234, %ecx\n"
	"9:	rdmsr\n"
	"	movw $(9b - real_start + 0x1000), 0xf1e\n"
	"	xor %ax, %ax; xor %si, %si; mov $10, %cx\n"
	"4:	add $3, %ax; loop 4b\n"
	"	mov %ax, 0xf06\n"
	/* Back to protected mode, by way of a segment that stays large in real mode. */
	"	cli\n"
	"	data32 lgdt (real_gdt - real_start)\n"
	"	mov %cr0, %eax; or $1, %al; mov %eax, %cr0; jmp 5f\n"
	"5:	mov $0x10, %bx; mov %bx, %gs; and $~1, %al; mov %eax, %cr0; jmp 6f\n"
	"6:	mov $0x1000202, %ebx; movw %gs:(%ebx), %ax; mov %ax, 0xf12\n"
	"	mov $0xfee00030, %ebx; movl %gs:(%ebx), %eax; mov %eax, 0xf14\n"
	"	mov %cr0, %eax; or $1, %al; mov %eax, %cr0\n"
	"	data32 ljmp $0x18, $0x8000 + (7f - real_start)\n"
	".code32\n"
	"7:	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	mov 0x8ff0, %eax; mov %eax, %cr4\n"
	"	mov 0x8fe8, %eax; mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov 0x8ff4, %eax; wrmsr\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	ljmp $0x08, $0x8000 + (8f - real_start)\n"
	".code64\n"
	"8:	mov 0x8fe0, %rsp\n"
	"	lidt 0x8fd0\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; xor %eax, %eax; mov %eax, %fs; mov %eax, %gs\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	".code16\n"
	"real_handler:\n"
	"	movw $0x6060, 0xf08\n"
	"	iret\n"
	"real_gp:\n"
	"	mov %sp, 0xf1a; pop %ax; mov %ax, 0xf1c; add $2, %ax; push %ax\n"
	"	iret\n"
	".code64\n"
	".balign 8\n"
	"real_idt: .word 0x3ff; .quad 0\n"
	"real_gdt: .word 0x5f; .long gdt; .long 0\n"
	"real_end:\n"
	".popsection\n");

void test(void)
{
	u32 r[4];
	unsigned round;

	cpuid_count(0x40000100, 0, r);
	memory_copy((void *)0x8000, real_start, (u64)(real_end - real_start));
	/* The path outlives the page tables: everything below lies below 2 GiB, mapped 1:1. */
	for (round = 0; round < 3; round++) {
		memory_set((void *)0x8f00, 0, sizeof(struct result));
		write8(0x8f40, 0x3c);
		((void (*)(void))0x8000)();
		check_equal("CS in real mode", RESULT->cs, 0x700);
		check_equal("CR0.PE in real mode", RESULT->cr0 & (CR0_PE | CR0_PG), 0);
		check_equal("a loop in real mode", RESULT->sum, 30);
		check_equal("INT 0x60", RESULT->int_seen, 0x6060);
		check_equal("CPUID in real mode", RESULT->ebx, r[CPUID_EBX]);
		check_equal("an unclaimed port in real mode", RESULT->port, 0xffff);
		check_equal("the UART's scratch register", RESULT->scratch, 0x5a);
		check_equal("memory at 16 MiB, by a 4 GiB segment", RESULT->unreal,
			    read16(0x1000202));
		check_equal("the local APIC, by the same", RESULT->version,
			    apic_read(APIC_VERSION));
		check_equal("OUTS in real mode", RESULT->outs, 0x3c);
		check_equal("SP in the handler of #GP", RESULT->gp_sp, 0xd00 - 6);
		check_equal("IP there", RESULT->gp_ip, RESULT->gp_at);
		check_equal("an IP", RESULT->gp_at != 0, 1);
		check(rdmsr(MSR_EFER) & EFER_LMA, "not back in long mode");
	}
}
