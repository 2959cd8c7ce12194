/* SPDX-License-Identifier: MIT */
/*
 * States that a CPU would refuse to enter a guest with, and that a guest tries to get into: each ends in the exception that a CPU raises,
 * or in a state that is allowed, never in a refused entry. SDM vol. 3 "Checking and Loading Guest State", from the guest's side.
 */
#include "micro.h"

void bad_code(void);

/* Vectors that the 32-bit code met, in order; 0xff: none. */
volatile u8 bad_vectors[16];
volatile u32 bad_next, bad_efer, bad_amd;
volatile u32 bad_cr3_pae, bad_cr3_long;
u64 idt32[32] aligned(16);

void bad_gp(void);
void bad_other(void);

/* The handler notes the vector (AL) and goes on at EBX. */
__asm__(".pushsection .text\n"
	".code32\n"
	"bad_gp:	mov $13, %al; jmp 1f\n"
	"bad_other:	mov $0xee, %al\n"
	"1:	mov bad_next, %ecx; mov %al, bad_vectors(%ecx); incl bad_next\n"
	"	mov bad_esp, %esp; jmp *%ebx\n"
	"bad_none:	mov $0xff, %al; jmp 1b\n"
	".globl bad_code\n"
	"bad_code:\n"
	"	pusha\n"
	"	mov %esp, bad_esp\n"
	"	lidt bad_idt\n"
	"	lgdt bad_gdt\n"
	/*
	 * 0: PG with LME but without PAE. QEMU's SVM does not bear EFER.LME without CR4.PAE: it cannot come back from such a
	 * guest to its host.
	 */
	"	cmpl $0, bad_amd; je 1f; mov $0x20, %eax; mov %eax, %cr4\n"
	"1:	mov $0xc0000080, %ecx; rdmsr; mov %eax, bad_efer; or $0x100, %eax; wrmsr\n"
	"	mov bad_cr3_long, %eax; mov %eax, %cr3\n"
	"	mov $2f, %ebx; cmpl $0, bad_amd; jne bad_gp\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp bad_none\n"
	/* 1: long mode with a 16-bit TSS in TR */
	"2:	mov $0x50, %eax; ltr %ax\n"
	"	mov $0x20, %eax; mov %eax, %cr4\n"
	"	mov $2f, %ebx; mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp bad_none\n"
	/* 2: PAE paging with a reserved bit in a present PDPTE */
	"2:	mov $0xc0000080, %ecx; xor %edx, %edx; mov bad_efer, %eax; wrmsr\n"
	"	mov bad_cr3_pae, %eax; mov %eax, %cr3\n"
	"	mov $2f, %ebx; mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp bad_none\n"
	/* 3: PCIDE outside long mode */
	"2:	mov $2f, %ebx; mov $0x20020, %eax; mov %eax, %cr4; jmp bad_none\n"
	/* 4: NW without CD */
	"2:	mov $2f, %ebx; mov %cr0, %eax; or $0x20000000, %eax; and $~0x40000000, %eax; mov %eax, %cr0; jmp bad_none\n"
	/* 5: a CR4 bit of the upper half of the low word that nobody has */
	"2:	mov $2f, %ebx; mov $0x80000000, %eax; mov %eax, %cr4; jmp bad_none\n"
	"2:	xor %eax, %eax; mov %eax, %cr4; mov %eax, %cr3\n"
	"	mov $0x58, %eax; ltr %ax\n"
	"	mov bad_esp, %esp; popa; ret\n"
	".code64\n"
	".popsection\n"
	".pushsection .data\n"
	".balign 8\n"
	"bad_idt: .word 255; .long idt32\n"
	"bad_gdt: .word 0x5f; .long gdt\n"
	"bad_esp: .long 0\n"
	".popsection");

static void build(void)
{
	static u8 tss[104];
	u64 *pdpt = page_alloc();
	unsigned v;

	for (v = 0; v < 32; v++) {
		u64 entry = (u64)(v == 13 ? bad_gp : bad_other);

		idt32[v] = (entry & 0xffff) | (u64)SEL_CODE32 << 16 | 0x8e0000000000ULL |
			   (entry >> 16 & 0xffff) << 48;
	}
	/* A 16-bit TSS, and a 32-bit one to come back with. */
	gdt[10] = 0x810000000000ULL | (sizeof(tss) - 1) | ((u64)tss & 0xffffff) << 16 |
		  ((u64)tss >> 24 & 0xff) << 56;
	gdt[11] = gdt[10] | 0x890000000000ULL;
	pdpt[0] = 1 | BIT(1); /* a reserved bit */
	bad_cr3_pae = (u32)(u64)pdpt;
	bad_cr3_long = (u32)read_cr3();
}

/* In long mode, odd things that are allowed, each followed by exits. */
static void allowed(void)
{
	u32 r[4];
	u64 flags;

	__asm__ volatile("mov %0, %%ss" : : "r"(0)); /* a null SS in ring 0 */
	cpuid_count(0, 0, r);
	outb(UART + 7, 1);
	__asm__ volatile("mov %0, %%ss" : : "r"(SEL_DATA));
	__asm__ volatile("lldt %w0" : : "r"(0));
	cpuid_count(0, 0, r);
	__asm__ volatile("pushq $~0x4300; popfq; pushfq; popq %0; pushq $2; popfq"
			 : "=r"(flags)
			 :
			 : "memory", "cc");
	check(!(flags & (RFLAGS_VM | BIT(3) | BIT(5) | BIT(15))) && !(flags >> 22),
	      "RFLAGS is 0x%llx", (unsigned long long)flags);
	wrmsr(MSR_FS_BASE, 0xffff800000000000ULL);
	wrmsr(MSR_GS_BASE, 0x00007fffffffffffULL);
	cpuid_count(0, 0, r);
	/* QEMU's CPU, which these MSRs reach without an exit, takes anything. */
	if (!is_amd()) {
		check_equal("FS base not canonical: vector", try_wrmsr(MSR_FS_BASE, BIT(47)),
			    VEC_GP);
		check_equal("SYSENTER_EIP not canonical: vector",
			    try_wrmsr(MSR_SYSENTER_EIP, BIT(63)), VEC_GP);
	}
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
	write_cr0(read_cr0() & ~CR0_NE);
	cpuid_count(0, 0, r);
	check_equal("CR0.NE after it was cleared", read_cr0() & CR0_NE, 0);
	write_cr0(read_cr0() | CR0_NE | CR0_CD | CR0_NW);
	cpuid_count(0, 0, r);
	check_equal("CR0.CD and NW", read_cr0() & (CR0_CD | CR0_NW), CR0_CD | CR0_NW);
	write_cr0(read_cr0() & ~(CR0_CD | CR0_NW));
}

void test(void)
{
	static const struct {
		const char *what;
		u8 vector;
	} wanted[] = {
		{"PG with LME and without PAE", 13}, {"long mode with a 16-bit TSS", 13},
		{"a reserved bit in a PDPTE", 13},   {"CR4.PCIDE outside long mode", 13},
		{"CR0.NW without CD", 13},           {"CR4 bit 31", 13},
	};
	unsigned i;

	check(cmos_read(CMOS_STAGE) == 0, "the guest was restarted: it met a triple fault");
	cmos_write(CMOS_STAGE, 1);
	build();
	bad_amd = is_amd();
	protected_run(bad_code);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		check(i < bad_next && bad_vectors[i] == wanted[i].vector,
		      "%s: vector 0x%x, not 0x%x", wanted[i].what, bad_vectors[i],
		      wanted[i].vector);
	allowed();
}
