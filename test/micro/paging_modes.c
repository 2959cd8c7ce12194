/* SPDX-License-Identifier: MIT */
/*
 * The paging modes that a kernel does not stay in: none, 32-bit with 4 KiB and 4 MiB pages, PAE (whose four directory pointers the CPU
 * loads with CR3), and 5-level. In each, memory reads right through a mapping of its own, and so do CPUID, a device, and string port
 * output, for which the hypervisor walks the guest's tables. SDM vol. 3 "Paging".
 */
#include "micro.h"

void modes_code(void);

/* What the 32-bit code finds, by mode. */
struct seen {
	u32 memory;  /* at 2 GiB */
	u32 scratch; /* the UART's scratch register after OUTS from 2 GiB + 4 */
	u32 version; /* of the local APIC */
	u32 ebx;     /* CPUID */
};
volatile struct seen seen[6];
volatile u32 seen_next;

#define MARK(n) (0x600d0000u + (n))

static u32 *pd32, *pt32;
static u64 *pdpt_pae, *pd_low, *pd_high;
volatile u32 cr3_32, cr3_pae;
volatile u64 *volatile pdpte_2g;
volatile u32 pdpte_2g_new;

/* EDX: address to look at. */
__asm__(".pushsection .text\n"
	".code32\n"
	"modes_probe:\n"
	"	mov seen_next, %edi; shl $4, %edi; lea seen(%edi), %edi; incl seen_next\n"
	"	mov (%ebp), %eax; mov %eax, (%edi)\n"
	"	lea 4(%ebp), %esi; mov $0x3ff, %edx; outsb; xor %eax, %eax; in %dx, %al; mov %eax, 4(%edi)\n"
	"	mov 0xfee00030, %eax; mov %eax, 8(%edi)\n"
	"	push %edi; mov $0x40000100, %eax; xor %ecx, %ecx; cpuid; pop %edi; mov %ebx, 12(%edi)\n"
	"	ret\n"
	".globl modes_code\n"
	"modes_code:\n"
	/* No paging: the frame of mark 0. */
	"	mov mark_frame, %ebp; call modes_probe\n"
	/* 32-bit */
	"	mov $0x80000000, %ebp\n"
	"	mov $0x10, %eax; mov %eax, %cr4\n" /* PSE */
	"	mov cr3_32, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	call modes_probe\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	/* PAE, entered by CR0.PG */
	"	mov $0x20, %eax; mov %eax, %cr4\n"
	"	mov cr3_pae, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	call modes_probe\n"
	/* Another directory pointer, by loading CR3 */
	"	mov pdpte_2g, %ebx; mov pdpte_2g_new, %eax; mov %eax, (%ebx)\n"
	"	mov %cr3, %eax; mov %eax, %cr3\n"
	"	call modes_probe\n"
	/* and by a change of CR4.PGE, which loads them too */
	"	mov pdpte_2g, %ebx; mov pdpte_2g_old, %eax; mov %eax, (%ebx)\n"
	"	mov %cr4, %eax; xor $0x80, %eax; mov %eax, %cr4\n"
	"	call modes_probe\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	/* 32-bit again: what PAE left behind does not matter */
	"	mov $0x10, %eax; mov %eax, %cr4\n"
	"	mov cr3_32, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	call modes_probe\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"	xor %eax, %eax; mov %eax, %cr4\n"
	"	ret\n"
	".code64\n"
	".popsection");

volatile u32 mark_frame, pdpte_2g_old;

static u32 frame(unsigned n)
{
	u32 *f = page_alloc();

	f[0] = MARK(n);
	f[1] = 0xa0 + n;
	return (u32)(u64)f;
}

static void build(void)
{
	u64 *pd_other = page_alloc(), *pt = page_alloc(), *pt_other = page_alloc();
	unsigned i;

	mark_frame = frame(0);
	/* 32-bit: 4 MiB pages 1:1, but 4 KiB at 2 GiB. */
	pd32 = page_alloc();
	pt32 = page_alloc();
	for (i = 0; i < 1024; i++)
		pd32[i] = i << 22 | 0x83;
	pt32[0] = frame(1) | 3;
	pd32[512] = (u32)(u64)pt32 | 3;
	cr3_32 = (u32)(u64)pd32;
	/* PAE: 2 MiB pages 1:1 in the first and the last GiB, 4 KiB at 2 GiB. */
	pdpt_pae = page_alloc();
	pd_low = page_alloc();
	pd_high = page_alloc();
	for (i = 0; i < 512; i++) {
		pd_low[i] = (u64)i << 21 | 0x83;
		pd_high[i] = (0xc0000000ULL + ((u64)i << 21)) | 0x83;
	}
	pt[0] = frame(2) | 3;
	pt_other[0] = frame(3) | 3;
	pd_other[0] = (u64)pt_other | 3;
	pdpt_pae[0] = (u64)pd_low | 1;
	pdpt_pae[2] = (u64)page_alloc() | 1;
	((u64 *)(pdpt_pae[2] & ~1ULL))[0] = (u64)pt | 3;
	pdpt_pae[3] = (u64)pd_high | 1;
	pdpte_2g = &pdpt_pae[2];
	pdpte_2g_old = (u32)pdpt_pae[2];
	pdpte_2g_new = (u32)(u64)pd_other | 1;
	cr3_pae = (u32)(u64)pdpt_pae;
}

static void five_levels(void)
{
	u32 r[4];

	cpuid_count(7, 0, r);
	if (!(r[CPUID_ECX] & CPUID7C_LA57))
		return;
	check(TRY("mov %0, %%cr4",
		  :
		  : "r"(read_cr4() | CR4_LA57)
		  : "memory") == VEC_GP,
	      "LA57 can be set in long mode");
}

void test(void)
{
	static const struct {
		const char *mode;
		unsigned mark;
	} wanted[] = {
		{"no paging", 0},     {"32-bit paging", 1},     {"PAE paging", 2},
		{"PAE after CR3", 3}, {"PAE after CR4.PGE", 2}, {"32-bit paging again", 1},
	};
	u32 version = apic_read(APIC_VERSION), r[4];
	unsigned i;

	check(cmos_read(CMOS_STAGE) == 0,
	      "the guest was restarted: it met a triple fault in one of the modes");
	cmos_write(CMOS_STAGE, 1);
	cpuid_count(0x40000100, 0, r);
	build();
	protected_run(modes_code);
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		check(seen[i].memory == MARK(wanted[i].mark), "%s: memory reads 0x%x, not 0x%x",
		      wanted[i].mode, seen[i].memory, MARK(wanted[i].mark));
		check(seen[i].scratch == 0xa0 + wanted[i].mark, "%s: OUTS has written 0x%x",
		      wanted[i].mode, seen[i].scratch);
		check(seen[i].version == version, "%s: the local APIC's version reads 0x%x",
		      wanted[i].mode, seen[i].version);
		check(seen[i].ebx == r[CPUID_EBX], "%s: CPUID gives 0x%x", wanted[i].mode,
		      seen[i].ebx);
	}
	five_levels();
}
