/* SPDX-License-Identifier: MIT */
/*
 * Changes of mode that a CPU refuses with #GP(0), from protected mode, from PAE paging and from compatibility mode: paging in long
 * mode without PAE, directory pointers with reserved bits, PCIDE outside long mode, EFER.LME under paging, PAE cleared in long mode,
 * paging turned off under PCIDE. SDM vol. 2 "MOV-Move to/from Control Registers"; vol. 3 "Initializing IA-32e Mode".
 *
 * QEMU raises #UD on the way, without a hypervisor too, and checks little of this by itself.
 *
 * BACKENDS: vmx
 */
#include "micro.h"

void mf_code(void);
void mf_compat(void);
extern u8 mf_gp[];

enum {
	PG_WITHOUT_PAE,
	CR4_AFTER,
	PCIDE_OUTSIDE,
	PDPTE_BY_CR0,
	PDPTE_BY_CR4,
	LME_UNDER_PAE,
	PE_UNDER_PAE,
	TRIES_32,
};

volatile u32 mf_seen, mf_error, mf_fix, mf_pdpt, mf_pd32, mf_results[16], mf_errors;
struct desc_ptr mf_idt;

/* An attempt, which clobbers EAX; what came of it goes to the result. */
#define ATTEMPT(n, insn)                                                                           \
	"	movl $0, mf_seen; movl $77f, mf_fix\n"                                                   \
	"	" insn "\n"                                                                        \
	"77:	mov mf_seen, %eax; mov %eax, mf_results + 4 * " #n "\n"

// clang-format off
__asm__(
	".pushsection .text\n"
	".code32\n"
	".globl mf_code, mf_compat, mf_gp\n"
	"mf_gp:\n"
	"	incl mf_seen; pop %eax; or %eax, mf_errors; mov mf_fix, %eax; mov %eax, (%esp); iret\n"
	"mf_code:\n"
	"	lidt mf_idt\n"
	/* No paging. LME without PAE. */
	"	mov mf_pd32, %eax; mov %eax, %cr3; mov $0x10, %eax; mov %eax, %cr4\n"
	"	mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
	"	mov %cr0, %eax; or $0x80000000, %eax\n"
	ATTEMPT(0, "mov %eax, %cr0")
	"	mov %cr4, %eax; mov %eax, mf_results + 4\n"
	"	mov $0xc0000080, %ecx; rdmsr; and $~0x100, %eax; wrmsr\n"
	"	mov $0x20010, %eax\n"
	ATTEMPT(2, "mov %eax, %cr4")
	/* A directory pointer with a reserved bit. */
	"	mov $0x20, %eax; mov %eax, %cr4; mov mf_pdpt, %ebx; mov %ebx, %cr3; orl $2, 24(%ebx)\n"
	"	mov %cr0, %eax; or $0x80000000, %eax\n"
	ATTEMPT(3, "mov %eax, %cr0")
	"	andl $~2, 24(%ebx); mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	orl $2, 24(%ebx); mov $0xa0, %eax\n"
	/* PGE loads them */
	ATTEMPT(4, "mov %eax, %cr4")
	"	andl $~2, 24(%ebx)\n"
	"	mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax\n"
	ATTEMPT(5, "wrmsr")
	"	mov %cr0, %eax; and $~1, %eax\n"
	ATTEMPT(6, "mov %eax, %cr0")
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0; xor %eax, %eax; mov %eax, %cr4\n"
	"	ret\n"
	/* In compatibility mode, by its 64-bit handlers. */
	".code64\n"
	"mf_compat:\n"
	"	pushq $0x18; pushq $1f; lretq\n"
	".code32\n"
	"1:	mov %cr4, %eax; and $~0x20, %eax\n"
	"	movl $2f, trap_fixup; mov %eax, %cr4\n"
	"2:	mov %cr0, %eax; and $0x7fffffff, %eax\n"
	"	cmpl $0, mf_pcide; je 4f\n"
	"	movl $3f, trap_fixup; mov %eax, %cr0\n"
	"3:\n"
	"4:	ljmp $0x08, $5f\n"
	".code64\n"
	"5:	ret\n"
	".popsection");
// clang-format on

static struct gate32 {
	u16 low, selector;
	u8 zero, type;
	u16 high;
} packed idt32[32];

static volatile unsigned faults;
volatile u32 mf_pcide;

static void gp(struct frame *f)
{
	faults++;
	check_equal("error code in compatibility mode", f->error, 0);
	check_equal("CS in compatibility mode", f->cs, SEL_CODE32);
	f->rip = trap_fixup;
	trap_fixup = 0;
}

static void build(void)
{
	u64 *pdpt = page_alloc();
	u32 *pd32 = page_alloc();
	unsigned i, k;

	for (i = 0; i < 4; i++) {
		u64 *pd = page_alloc();

		for (k = 0; k < 512; k++)
			pd[k] = ((u64)i << 30 | (u64)k << 21) | 0x83;
		pdpt[i] = (u64)pd | 1;
	}
	for (i = 0; i < 1024; i++)
		pd32[i] = i << 22 | 0x83;
	mf_pdpt = (u32)(u64)pdpt;
	mf_pd32 = (u32)(u64)pd32;
	i = (u32)(u64)mf_gp;
	idt32[VEC_GP] = (struct gate32){(u16)i, SEL_CODE32, 0, 0x8e, (u16)(i >> 16)};
	mf_idt = (struct desc_ptr){sizeof(idt32) - 1, (u64)idt32};
}

static void from_compatibility_mode(void)
{
	u32 r[4];

	trap_handlers[VEC_GP] = gp;
	cpuid_count(1, 0, r);
	mf_pcide = !!(r[CPUID_ECX] & CPUID1C_PCID);
	if (mf_pcide)
		write_cr4(read_cr4() | CR4_PCIDE);
	mf_compat();
	check_equal("#GP in compatibility mode", faults, 1 + mf_pcide);
	check_equal("CR4.PAE", read_cr4() & CR4_PAE, CR4_PAE);
	check_equal("CR0.PG", read_cr0() & CR0_PG, CR0_PG);
}

void test(void)
{
	static const char *const names[] = {
		"paging in long mode without PAE",
		NULL,
		"PCIDE outside long mode",
		"paging with a reserved bit in a PDPTE",
		"CR4.PGE with a reserved bit in a PDPTE",
		"EFER.LME under paging",
		"CR0.PE under paging",
	};
	unsigned i;

	check(cmos_read(CMOS_STAGE) == 0, "the guest was restarted: it met a triple fault");
	cmos_write(CMOS_STAGE, 1);
	build();
	protected_run(mf_code);
	for (i = 0; i < TRIES_32; i++)
		check(i == CR4_AFTER || mf_results[i] == 1, "%s: %u times #GP", names[i],
		      mf_results[i]);
	check_equal("CR4 after paging was refused", mf_results[CR4_AFTER], CR4_PSE);
	check_equal("error codes", mf_errors, 0);
	from_compatibility_mode();
}
