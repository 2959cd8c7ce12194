/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=2
 *
 * A CPU's registers after an INIT, each as the table says: SDM vol. 3 "Processor State After Reset", APM vol. 2 "Processor
 * Initialization State". x87, XMM, YMM, MXCSR, PKRU, XCR0, MTRRs, CR0.CD and nearly all MSRs are as they were; the rest is as after
 * power-up. Twice: CR0.CD clear, then set.
 *
 * ALSO: vmx:corei7_icelake_u
 */
#include "smp.h"

#define LOOK      0x9000u /* a page of real-mode code, and what it finds */
#define FOUND     (LOOK + 0x800)
#define LOOK_SIPI (0x4600u | LOOK >> 12)
#define KERNEL_GS 0xffff888012345000ULL

/* In the order in which real_code writes them. */
static const struct {
	const char *name;
	u32 want;
} rows[] = {
	{"EAX", 0},
	{"EBX", 0},
	{"ECX", 0},
	{"EDX", 0}, /* CPUID's */
	{"ESI", 0},
	{"EDI", 0},
	{"EBP", 0},
	{"ESP", 0},
	{"EFLAGS", 2},
	{"CR0", CR0_ET}, /* and CD */
	{"CR2", 0},
	{"CR3", 0},
	{"CR4", 0},
	{"DR0", 0},
	{"DR1", 0},
	{"DR2", 0},
	{"DR3", 0},
	{"DR6", (u32)DR6_RESET},
	{"DR7", DR7_RESET},
	{"EFER", 0},
	{"CS", LOOK >> 4},
	{"DS, ES, FS, GS, SS", 0},
	{"the GDT's limit", 0xffff},
	{"the IDT's limit", 0xffff},
};
#define ROW_EDX 3
#define ROW_CR0 9

/* ESP is used as any other; flags come from LAHF and the stack, for which there is room behind what is found. */
#define STORE(reg, n)        "mov %" #reg ", %cs:0x800 + 4 * " #n "\n"
#define STORE_BY_EAX(reg, n) "mov %" #reg ", %eax\n" STORE(eax, n)

extern const u8 look_code[], look_code_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"look_code:\n" STORE(eax, 0) STORE(ebx, 1) STORE(ecx, 2) STORE(edx, 3) STORE(esi, 4) STORE(
		edi, 5) STORE(ebp, 6)
		STORE(esp,
		      7) "mov $0x9f00, %esp\n"
			 "pushfl\n"
			 "pop %eax\n" STORE(eax, 8) STORE_BY_EAX(cr0, 9) STORE_BY_EAX(cr2, 10)
				 STORE_BY_EAX(cr3, 11) STORE_BY_EAX(cr4, 12) STORE_BY_EAX(
					 dr0, 13) STORE_BY_EAX(dr1, 14) STORE_BY_EAX(dr2, 15)
					 STORE_BY_EAX(dr3, 16) STORE_BY_EAX(dr6, 17) STORE_BY_EAX(
						 dr7,
						 18) "mov $0xc0000080, %ecx\n"
						     "rdmsr\n" STORE(
							     eax,
							     19) "xor %eax, %eax\n"
								 "mov %cs, %ax\n" STORE(
									 eax,
									 20) "mov %ds, %ax\n"
									     "mov %es, %bx\n"
									     "or %bx, %ax\n"
									     "mov %fs, %bx\n"
									     "or %bx, %ax\n"
									     "mov %gs, %bx\n"
									     "or %bx, %ax\n"
									     "mov %ss, %bx\n"
									     "or %bx, %ax\n" STORE(
										     eax,
										     21) "movl $0, %cs:0x800 + 4 * 22\n"
											 "movl $0, %cs:0x800 + 4 * 23\n"
											 "sgdt %cs:0x900\n"
											 "sidt %cs:0x908\n"
											 "mov %cs:0x900, %ax\n"
											 "mov %ax, %cs:0x800 + 4 * 22\n"
											 "mov %cs:0x908, %ax\n"
											 "mov %ax, %cs:0x800 + 4 * 23\n"
											 "ljmp $0x800, $0\n" /* SMP_TRAMPOLINE */
											 "look_code_end:\n"
											 ".code64\n"
											 ".popsection\n");

static const struct {
	const char *name;
	u32 msr;
	u64 value;
} msrs[] = {
	{"PAT", MSR_PAT, PAT_RESET ^ 0x0600000000000000ULL},
	{"SYSENTER_CS", MSR_SYSENTER_CS, 0x1230},
	{"SYSENTER_ESP", MSR_SYSENTER_ESP, 0xffff888000001000ULL},
	{"SYSENTER_EIP", MSR_SYSENTER_EIP, 0xffff888000002000ULL},
	{"STAR", MSR_STAR, 0x0023001000000000ULL},
	{"LSTAR", MSR_LSTAR, 0xffff888000003000ULL},
	{"CSTAR", MSR_CSTAR, 0xffff888000004000ULL},
	{"SFMASK", MSR_SFMASK, 0x47700},
	{"KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, KERNEL_GS},
	{"TSC_AUX", MSR_TSC_AUX, 0x76543210},
	{"DEBUGCTL", MSR_DEBUGCTL, DEBUGCTL_BTF},
	{"MTRR_PHYSBASE0", MSR_MTRR_PHYSBASE0, 0xc0000000},
	{"MTRR_DEF_TYPE", MSR_MTRR_DEF_TYPE, BIT(11) | BIT(10) | 6},
	{"MISC_ENABLE", MSR_MISC_ENABLE, BIT(0) | BIT(3)},
	{"TSC_ADJUST", MSR_TSC_ADJUST, 123456},
	{"APIC_BASE", MSR_APIC_BASE, LAPIC | APIC_BASE_EN},
};
static bool has_msr[ARRAY_SIZE(msrs)];

static u8 vectors[4096] aligned(64), now[4096] aligned(64), word[64] aligned(64);
static volatile unsigned prepared, looked;
static u64 cd, xcr0;
static bool xsave, pkru;

static void vectors_on(void)
{
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (xsave ? CR4_OSXSAVE : 0) |
		  (pkru ? CR4_PKE : 0));
}

static void store_vectors(u8 *area)
{
	memory_set(area, 0, sizeof(vectors));
	if (xsave)
		xsave64(area, ~0ULL);
	else
		fxsave64(area);
}

/* A pattern in what every CPU has, and in AVX: first what the CPU saves by itself, for its layout. */
static void fill_vectors(void)
{
	u32 r[4];
	unsigned i;

	cpuid_count(1, 0, r);
	xsave = r[CPUID_ECX] & CPUID1C_XSAVE;
	cpuid_count(7, 0, r);
	pkru = r[CPUID_ECX] & CPUID7C_PKU;
	vectors_on();
	if (xsave) {
		cpuid_count(0xd, 0, r);
		xcr0 = r[CPUID_EAX];
		xsetbv(0, xcr0);
	}
	__asm__ volatile("fninit; fld1; fldpi; fldl2e");
	store_vectors(vectors);
	for (i = 160; i < 416; i++)
		vectors[i] = (u8)(i * 7 + cd / CR0_CD); /* XMM0 to XMM15 */
	*(u32 *)(vectors + 24) = 0x9f80;                /* MXCSR: flush to zero */
	if (xsave) {
		*(u64 *)(vectors + 512) |= xcr0 & 7;
		if (xcr0 & XCR0_AVX) {
			cpuid_count(0xd, 2, r);
			for (i = 0; i < 256; i++)
				vectors[r[CPUID_EBX] + i] = (u8)(i * 11 + 1);
		}
		xrstor64(vectors, ~0ULL);
	} else {
		fxrstor64(vectors);
	}
	if (pkru)
		wrpkru(0x55555550); /* all but key 0, which is everybody's here */
	store_vectors(vectors);
}

static void prepare(void)
{
	unsigned i;

	fill_vectors();
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		has_msr[i] = try_wrmsr(msrs[i].msr, msrs[i].value) == NO_FAULT;
	check_equal("steal time's vector", try_wrmsr(MSR_KVM_STEAL_TIME, (u64)word | 1), NO_FAULT);
	apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | 0x70);
	apic_write(APIC_TIMER_COUNT, 0xffffffff);
	write_cr2(0x123456789000ULL);
	write_dr0(0x1111000);
	write_dr1(0x2222000);
	write_dr2(0x3333000);
	write_dr3(0x4444000);
	write_dr6(DR6_RESET | BIT(14) | 3);
	write_dr7(DR7_RESET | 1); /* where nothing is executed */
	write_cr0((read_cr0() & ~(CR0_CD | CR0_NW)) | cd);
	prepared++;
	for (;;)
		__asm__ volatile(
			"mov $-1, %%eax; mov %%eax, %%ebx; mov %%eax, %%ecx; mov %%eax, %%edx\n\t"
			"mov %%eax, %%esi; mov %%eax, %%edi; stc; pause"
			:
			:
			: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "cc");
}

static void look(void)
{
	const u32 *found = (const u32 *)(u64)FOUND;
	u64 value;
	u32 r[4];
	unsigned i;

	cpuid_count(1, 0, r);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 want = rows[i].want;

		if (i == ROW_EDX)
			want = r[CPUID_EAX];
		if (i == ROW_CR0)
			want |= (u32)cd;
		check_equal(rows[i].name, found[i], want);
	}
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		if (has_msr[i])
			check_equal(msrs[i].name, rdmsr(msrs[i].msr), msrs[i].value);
	check(!try_rdmsr(MSR_KVM_STEAL_TIME, &value) || !value, "steal time is still on");
	check_equal("the timer's entry", apic_read(APIC_LVT_TIMER), APIC_LVT_MASKED);
	check_equal("the timer's count", apic_read(APIC_TIMER_NOW), 0);
	vectors_on();
	if (xsave)
		check_equal("XCR0", xgetbv(0), xcr0);
	if (pkru)
		check_equal("PKRU", rdpkru(), 0x55555550);
	store_vectors(now);
	for (i = 0; i < sizeof(now); i++)
		check(now[i] == vectors[i], "byte %u of the %s area has changed from 0x%x to 0x%x",
		      i, xsave ? "XSAVE" : "FXSAVE", vectors[i], now[i]);
	looked++;
}

static void other(unsigned cpu)
{
	(void)cpu;
	if (prepared == looked)
		prepare();
	else
		look();
	for (;;)
		hlt();
}

static void pass(u64 with)
{
	unsigned n = prepared, starts;

	cd = with;
	smp_start(1);
	check(smp_wait(&prepared, n + 1), "it does not come to where it waits for INIT");
	starts = smp_starts[1];
	apic_icr(1, ICR_INIT);
	apic_icr(1, LOOK_SIPI);
	check(smp_wait(&smp_starts[1], starts + 1), "it does not start again");
	check(smp_wait(&looked, n + 1), "it does not look");
}

void test(void)
{
	memory_copy((void *)(u64)LOOK, look_code, (u64)(look_code_end - look_code));
	smp_init(2, other);
	pass(0);
	pass(CR0_CD);
}
