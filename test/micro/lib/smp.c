/* SPDX-License-Identifier: MIT */
/* See smp.h. SDM vol. 3 "Multiple-Processor (MP) Initialization". */
#include "smp.h"

#define START 0x8000ULL

extern const u8 ap_begin[], ap_end[], ap_cr3[], ap_stack[], ap_go[];

volatile u64 smp_first_tsc[SMP_CPUS];

static u8 stacks[SMP_CPUS][8192] aligned(16);
static struct desc_ptr idt;
static volatile unsigned up;
static void (*volatile start_fn)(unsigned id);

__asm__(".pushsection .rodata\n"
	".code16\n"
	"ap_begin: cli\n"
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	lgdtl 0x8000 + ap_gdtr - ap_begin\n"
	"	mov $0x20, %eax\n"
	"	mov %eax, %cr4\n"
	"	mov 0x8000 + ap_cr3 - ap_begin, %eax\n"
	"	mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	or $0x900, %eax\n"
	"	wrmsr\n"
	"	mov $0x80010001, %eax\n"
	"	mov %eax, %cr0\n"
	"	ljmpl $8, $0x8000 + ap_long - ap_begin\n"
	".code64\n"
	"ap_long: mov $0x10, %eax\n"
	"	mov %eax, %ss\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov ap_stack(%rip), %rsp\n"
	"	mov ap_go(%rip), %rax\n"
	"	call *%rax\n"
	"ap_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
	"ap_gdtr: .word 23\n"
	"	.long 0x8000 + ap_gdt - ap_begin\n"
	"ap_cr3: .quad 0\n"
	"ap_stack: .quad 0\n"
	"ap_go: .quad 0\n"
	"ap_end: .popsection\n");

static u64 *at(const u8 *symbol)
{
	return (u64 *)(START + (u64)(symbol - ap_begin));
}

static void ap_main(void)
{
	unsigned id = apic_read(APIC_ID) >> 24;
	struct desc_ptr g = {sizeof(gdt) - 1, (u64)gdt};

	smp_first_tsc[id] = rdtsc();
	lgdt(&g);
	load_segments(SEL_CODE64, SEL_DATA);
	lidt(&idt);
	apic_enable();
	__atomic_fetch_add(&up, 1, __ATOMIC_SEQ_CST);
	start_fn(id);
}

void smp_prepare(void)
{
	sidt(&idt);
	memory_copy((void *)START, ap_begin, (u64)(ap_end - ap_begin));
	*at(ap_cr3) = read_cr3();
	*at(ap_go) = (u64)ap_main;
}

void smp_start(unsigned id, void (*fn)(unsigned id))
{
	unsigned want = up + 1;

	start_fn = fn;
	*at(ap_stack) = (u64)stacks[id] + sizeof(stacks[id]);
	apic_icr(id, 0x4500);
	delay_us(100);
	apic_icr(id, 0x4600 | START >> 12);
	check(wait_for(&up, want, 5000000), "CPU %u does not start", id);
}
