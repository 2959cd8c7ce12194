/* SPDX-License-Identifier: MIT */
/*
 * 32-bit paging with PAE, whose four page-directory pointers the CPU holds inside: they are loaded by MOV to CR0, CR3 and CR4, whether
 * the hypervisor carries that out or the CPU alone, and not when memory changes. SDM vol. 3 "PAE Paging", "PDPTE Registers".
 */
#include "micro.h"

extern u8 pae_start[], pae_end[];

struct result {
	u32 first; /* after paging was turned on */
	u32 stale; /* memory has changed, the CPU has not looked */
	u32 cr3;   /* after MOV to CR3 */
	u32 cr4;   /* after MOV to CR4 */
	u32 again; /* after paging was off and on */
	u32 efer;
	u32 pdpt; /* in: physical addresses */
	u32 other;
} packed;

#define RESULT  ((volatile struct result *)0x8f00)
#define PTE_PS  BIT(7)
#define WINDOW  0xc0000000ULL /* the fourth pointer's gigabyte */
#define MAGIC_A 0x11111111
#define MAGIC_B 0x22222222

/*
 * Copied to 0x8000 and run from there. Maps the fourth gigabyte to A or B by what is at 8 * 3 in the table that CR3 points
 * to, and reads a word of it. EBX: the table; the two values of its last pointer are at 0x8f40 and 0x8f48.
 */
__asm__(".pushsection .text\n"
	".globl pae_start, pae_end\n"
	".balign 16\n"
	"pae_start:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, 0x8fe0\n"
	"	mov %cr3, %rax; mov %rax, 0x8fe8\n"
	"	pushq $0x18\n" /* SEL_CODE32 */
	"	pushq $0x8000 + (1f - pae_start)\n"
	"	lretq\n"
	".code32\n"
	"1:	mov $0x10, %eax; mov %eax, %ss; mov %eax, %ds; mov %eax, %es; mov $0x8e00, %esp\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov %eax, 0x8ff4; and $~0x100, %eax; wrmsr\n"
	"	mov %cr4, %eax; mov %eax, 0x8ff0; mov $0x20, %eax; mov %eax, %cr4\n"
	/* MOV to CR0. */
	"	mov 0x8f18, %ebx; mov %ebx, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 2f\n"
	"2:	mov 0xc0000ff0, %eax; mov %eax, 0x8f00\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov %eax, 0x8f14\n"
	/* Memory alone. The translation goes, the pointer stays. */
	"	mov 0x8f48, %eax; mov %eax, 24(%ebx); invlpg 0xc0000ff0\n"
	"	mov 0xc0000ff0, %eax; mov %eax, 0x8f04\n"
	/* MOV to CR3. */
	"	mov %ebx, %cr3; mov 0xc0000ff0, %eax; mov %eax, 0x8f08\n"
	/* MOV to CR4: PGE. */
	"	mov 0x8f40, %eax; mov %eax, 24(%ebx)\n"
	"	mov $0xa0, %eax; mov %eax, %cr4; mov 0xc0000ff0, %eax; mov %eax, 0x8f0c\n"
	/* Paging off and on. */
	"	mov 0x8f48, %eax; mov %eax, 24(%ebx)\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0; jmp 3f\n"
	"3:	or $0x80000000, %eax; mov %eax, %cr0; jmp 4f\n"
	"4:	mov 0xc0000ff0, %eax; mov %eax, 0x8f10\n"
	/* Back to long mode. */
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"	mov 0x8ff0, %eax; mov %eax, %cr4\n"
	"	mov 0x8fe8, %eax; mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov 0x8ff4, %eax; wrmsr\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	ljmp $0x08, $0x8000 + (5f - pae_start)\n"
	".code64\n"
	"5:	mov 0x8fe0, %rsp\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; xor %eax, %eax; mov %eax, %fs; mov %eax, %gs\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	"pae_end:\n"
	".popsection\n");

/* A page directory whose first 4 KiB are one page with `magic` in it. */
static u64 directory(u32 magic)
{
	u64 *pd = page_alloc(), *pt = page_alloc();
	void *page = page_alloc();

	write32((u64)page + 0xff0, magic);
	pt[0] = (u64)page | PTE_P | PTE_W;
	pd[0] = (u64)pt | PTE_P | PTE_W;
	return (u64)pd | PTE_P;
}

void test(void)
{
	u64 *pdpt = page_alloc(), *low = page_alloc();
	u64 a = directory(MAGIC_A), b = directory(MAGIC_B);
	unsigned i;

	memory_copy((void *)0x8000, pae_start, (u64)(pae_end - pae_start));
	for (i = 0; i < 512; i++)
		low[i] = i * MiB(2) | PTE_P | PTE_W | PTE_PS;
	pdpt[0] = (u64)low | PTE_P;
	for (i = 0; i < 3; i++) {
		pdpt[3] = a;
		memory_set((void *)0x8f00, 0, sizeof(struct result));
		RESULT->pdpt = (u32)(u64)pdpt;
		write64(0x8f40, a);
		write64(0x8f48, b);
		((void (*)(void))0x8000)();
		check_equal("EFER.LMA with PAE", RESULT->efer & EFER_LMA, 0);
		check_equal("what MOV to CR0 brought", RESULT->first, MAGIC_A);
		/* AMD's CPUs look at memory whenever they walk: both are right. */
		if (!is_amd())
			check_equal("what a store to the table alone brought", RESULT->stale,
				    MAGIC_A);
		check_equal("what MOV to CR3 brought", RESULT->cr3, MAGIC_B);
		check_equal("what MOV to CR4 brought", RESULT->cr4, MAGIC_A);
		check_equal("what paging off and on brought", RESULT->again, MAGIC_B);
		check(rdmsr(MSR_EFER) & EFER_LMA, "not back in long mode");
	}
}
