/* SPDX-License-Identifier: MIT */
/*
 * The guest's registers are its own: vector and x87 registers, MXCSR, debug registers, general registers, flags and CR2 keep their
 * values over thousands of exits of every kind, and interrupts.
 *
 * CLOCK: instructions
 */
#include "micro.h"

static u8 before[4096] aligned(64), after[4096] aligned(64);
static volatile unsigned ticks;

static void tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

static void exits(void)
{
	u32 r[4];
	unsigned i;

	for (i = 0; i < 500; i++) {
		cpuid_count(i, 0, r);
		outb(UART + 7, (u8)i);
		(void)inb(UART + 7);
		(void)rdmsr(MSR_APIC_BASE);
		(void)read32(LAPIC + APIC_VERSION);
		(void)read32(HOLE);
		(void)hypercall(0x48569999, 1, 2, 3);
		write_cr4(read_cr4());
		apic_icr(0, 0x40000 | 0x60);
		sti_nop_cli();
	}
	apic_write(APIC_TIMER_COUNT, 100000);
	sti_hlt_cli();
}

static bool enable_vectors(void)
{
	u32 r[4];

	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	cpuid_count(1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_XSAVE))
		return false;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	cpuid_count(0xd, 0, r);
	xsetbv(0, r[CPUID_EAX]);
	return true;
}

static void vectors(void)
{
	bool xsave = enable_vectors();
	unsigned i;

	/* A pattern in every component: first what the CPU saves by itself, for its layout. */
	__asm__ volatile("fninit; fld1; fldpi; fldl2e");
	if (xsave)
		xsave64(before, ~0ULL);
	else
		fxsave64(before);
	for (i = 160; i < 416; i++)
		before[i] = (u8)(i * 7); /* XMM0 to XMM15 */
	*(u32 *)(before + 24) = 0x9f80;  /* MXCSR: flush to zero */
	if (xsave) {
		u64 xcr0 = xgetbv(0);
		u32 r[4];

		*(u64 *)(before + 512) |= xcr0 & 7;
		if (xcr0 & XCR0_AVX) {
			cpuid_count(0xd, 2, r);
			for (i = 0; i < 256; i++)
				before[r[CPUID_EBX] + i] = (u8)(i * 11 + 1);
		}
		xrstor64(before, ~0ULL);
	} else {
		fxrstor64(before);
	}
	memory_set(before, 0, sizeof(before));
	if (xsave)
		xsave64(before, ~0ULL);
	else
		fxsave64(before);
	exits();
	if (xsave)
		xsave64(after, ~0ULL);
	else
		fxsave64(after);
	for (i = 0; i < sizeof(before); i++)
		check(before[i] == after[i], "byte %u of the %s area has changed from 0x%x to 0x%x",
		      i, xsave ? "XSAVE" : "FXSAVE", before[i], after[i]);
}

static void debug_registers(void)
{
	write_dr0(0x1111000);
	write_dr1(0x2222000);
	write_dr2(0x3333000);
	write_dr3(0x4444000);
	write_dr7(0x400 | 0x1); /* an execution breakpoint where nothing is executed */
	exits();
	check_equal("DR0", read_dr0(), 0x1111000);
	check_equal("DR1", read_dr1(), 0x2222000);
	check_equal("DR2", read_dr2(), 0x3333000);
	check_equal("DR3", read_dr3(), 0x4444000);
	check_equal("DR7", read_dr7() & ~0x300, 0x401);
	write_dr7(0x400);
}

static volatile unsigned hits;
static volatile u64 hit_at;

static void hit(struct frame *f)
{
	hits++;
	hit_at = f->rip;
	check(read_dr6() & 1, "DR6 is 0x%llx", (unsigned long long)read_dr6());
	write_dr6(DR6_RESET);
	f->rflags |= RFLAGS_RF;
}

/* Breakpoints on an instruction that the hypervisor carries out, and on the one behind it. */
static void breakpoints(void)
{
	u64 at;

	trap_handlers[VEC_DB] = hit;
	__asm__ volatile(
		"mov $1f, %%rax; mov %%rax, %%dr0; mov %%rax, %0; mov $0x401, %%eax; mov %%rax, %%dr7\n\t"
		"xor %%eax, %%eax\n1:	cpuid\n\tmov $0x400, %%eax; mov %%rax, %%dr7"
		: "=m"(at)
		:
		: "rax", "rbx", "rcx", "rdx", "memory");
	check_equal("breakpoints on CPUID", hits, 1);
	check_equal("their place", hit_at, at);
	__asm__ volatile(
		"mov $1f, %%rax; mov %%rax, %%dr0; mov %%rax, %0; mov $0x401, %%eax; mov %%rax, %%dr7\n\t"
		"xor %%eax, %%eax\n\tcpuid\n1:	nop; mov $0x400, %%eax; mov %%rax, %%dr7"
		: "=m"(at)
		:
		: "rax", "rbx", "rcx", "rdx", "memory");
	check_equal("breakpoints behind CPUID", hits, 2);
	check_equal("their place", hit_at, at);
}

static void others(void)
{
	write_cr2(0x123456789000ULL);
	exits();
	check_equal("CR2", read_cr2(), 0x123456789000ULL);
}

void test(void)
{
	trap_handlers[0x60] = tick;
	apic_enable();
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, 0x60);
	vectors();
	debug_registers();
	breakpoints();
	others();
}
