/* SPDX-License-Identifier: MIT */
/*
 * 5-level paging: entered from protected mode, left again. A device, CPUID in code, and string port output are reached by addresses that only
 * five levels have; what is not canonical with 57 bits faults, the reserved bit of a fifth-level entry too. SDM vol. 3 "4-Level Paging and 5-Level Paging".
 *
 * No model of Bochs 2.7 has it.
 *
 * BACKENDS: svm
 */
#include "micro.h"

void la57_code(void);
void la57_inside(void);

volatile u32 la57_cr3;

#define HIGH  BIT(48) /* beyond 48 bits */
#define PTE_S 3

__asm__(".pushsection .text\n"
	".code32\n"
	".globl la57_code\n"
	"la57_code:\n"
	"	mov $0x1020, %eax; mov %eax, %cr4\n" /* LA57, PAE */
	"	mov la57_cr3, %eax; mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	ljmp $0x08, $1f\n"
	".code64\n"
	"1:	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	mov %esp, %esp; mov %rsp, %rbp; and $-16, %rsp\n"
	"	call la57_inside\n"
	"	mov %rbp, %rsp\n"
	"	pushq $0x18; pushq $2f; lretq\n"
	".code32\n"
	"2:	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"	mov $0xc0000080, %ecx; rdmsr; and $~0x100, %eax; wrmsr\n"
	"	xor %eax, %eax; mov %eax, %cr4\n"
	"	ret\n"
	/* CPUID and a return, to be mapped high. */
	".code64\n"
	".balign 16\n"
	"la57_cpuid: cpuid; ret\n"
	"la57_cpuid_end:\n"
	".popsection");
extern u8 la57_cpuid[], la57_cpuid_end[];

static struct desc_ptr idt_ptr;
static u64 *pml5;
static u32 version, havoc_ebx;
static unsigned ran;

static u64 deepest(u64 *table, unsigned level)
{
	u64 *pt = page_alloc();

	for (; level; level--) {
		u64 *next = level == 1 ? pt : page_alloc();

		table[0] = (u64)next | PTE_S;
		table = next;
	}
	return (u64)pt;
}

/* At BIT(48): page 0 is the local APIC, 1 is RAM with the code, 2 RAM. */
static void build(void)
{
	u64 *pml4 = page_alloc(), *pt;
	u8 *code = page_alloc(), *data = page_alloc();

	pml5 = page_alloc();
	pml5[0] = read_cr3() | 7;
	pml5[1] = (u64)pml4 | PTE_S;
	pt = (u64 *)deepest(pml4, 3);
	memory_copy(code, la57_cpuid, (u64)(la57_cpuid_end - la57_cpuid));
	data[0] = 0xb7;
	pt[0] = LAPIC | PTE_S;
	pt[1] = (u64)code | PTE_S;
	pt[2] = (u64)data | PTE_S;
	la57_cr3 = (u32)(u64)pml5;
}

static void code_and_strings(void)
{
	u64 a = 0x40000100, b, c = 0, d, from = HIGH + 0x2000;

	__asm__ volatile("call *%5"
			 : "+a"(a), "=b"(b), "+c"(c), "=d"(d)
			 : "0"(a), "r"(HIGH + 0x1000)
			 : "memory");
	check_equal("CPUID in code beyond 48 bits", b, havoc_ebx);
	__asm__ volatile("outsb" : "+S"(from) : "d"(UART + 7) : "memory");
	check_equal("the scratch register after OUTS", inb(UART + 7), 0xb7);
	check_equal("RSI after it", from, HIGH + 0x2001);
}

void la57_inside(void)
{
	u64 v, from;

	lidt(&idt_ptr);
	check_equal("CR4.LA57", read_cr4() & CR4_LA57, CR4_LA57);
	check_equal("the device beyond 48 bits", read32(HIGH + APIC_VERSION), version);
	write32(HIGH + APIC_TPR, 0x50);
	check_equal("TPR there", read32(LAPIC + APIC_TPR), 0x50);
	write32(HIGH + APIC_TPR, 0);
	code_and_strings();
	v = 0;
	check_equal("bit 56 without the bits above: vector",
		    TRY("mov (%1), %k0",
			: "+r"(v)
			: "r"(BIT(56) + APIC_VERSION)
			: "memory"),
		    VEC_GP);
	/* By an instruction that the hypervisor carries out, too: its source is what is wrong. */
	from = BIT(56);
	check_equal("OUTS of it: vector",
		    TRY("outsb",
			: "+S"(from)
			: "d"(UART + 7)
			: "memory"),
		    VEC_GP);
	check_equal("what is not mapped: vector",
		    TRY("mov (%1), %k0",
			: "+r"(v)
			: "r"(2 * HIGH)
			: "memory"),
		    VEC_PF);
	check_equal("its CR2", caught.cr2, 2 * HIGH);
	from = 2 * HIGH + 5;
	check_equal("OUTS of it: vector",
		    TRY("outsb",
			: "+S"(from)
			: "d"(UART + 7)
			: "memory"),
		    VEC_PF);
	check_equal("its CR2", caught.cr2, 2 * HIGH + 5);
	check_equal("its error code", caught.error, 0);
	/* PS is reserved there. */
	pml5[2] = BIT(7) | PTE_S;
	from = 2 * HIGH + 5;
	check_equal("PS in the fifth level: vector",
		    TRY("outsb",
			: "+S"(from)
			: "d"(UART + 7)
			: "memory"),
		    VEC_PF);
	check_equal("its error code", caught.error, PFEC_P | PFEC_RSV);
	check_equal("LA57 cannot be cleared in long mode: vector",
		    TRY("mov %0, %%cr4",
			:
			: "r"(read_cr4() & ~CR4_LA57)
			: "memory"),
		    VEC_GP);
	ran++;
}

void test(void)
{
	u32 r[4];

	check(cmos_read(CMOS_STAGE) == 0, "the guest was restarted: it met a triple fault");
	cmos_write(CMOS_STAGE, 1);
	cpuid_count(7, 0, r);
	if (!(r[CPUID_ECX] & CPUID7C_LA57))
		skip("the CPU has no 5-level paging");
	cpuid_count(0x80000008, 0, r);
	check_equal("linear-address bits", r[CPUID_EAX] >> 8 & 0xff, 57);
	cpuid_count(0x40000100, 0, r);
	havoc_ebx = r[CPUID_EBX];
	version = apic_read(APIC_VERSION);
	sidt(&idt_ptr);
	build();
	protected_run(la57_code);
	check_equal("runs", ran, 1);
	check_equal("CR4.LA57 afterwards", read_cr4() & CR4_LA57, 0);
}
