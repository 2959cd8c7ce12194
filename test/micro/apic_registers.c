/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers by the manual: IA32_APIC_BASE's states and what each may lead to, the spurious-interrupt register and what
 * software disabling masks, the local vector table, the task priority, and the error status. SDM vol. 3 "Local APIC Status and Location", "x2APIC State
 * Transitions", "Local APIC State After It Has Been Software Disabled", "Task and Processor Priorities", "Error Handling".
 * OPTIONS: machine=minimal
 */
#include "micro.h"

#define MSR_X2APIC(offset) (MSR_X2APIC_FIRST + (offset) / 16)
#define LVT_THERMAL        0x330
#define LVT_PERF           0x340

static volatile unsigned taken, errors;
static volatile unsigned last;

static void arrived(struct frame *f)
{
	taken++;
	last = (unsigned)f->vector;
	apic_eoi();
}

static void error(struct frame *f)
{
	(void)f;
	errors++;
	apic_eoi();
}

static void self(u32 vector)
{
	apic_icr(0, 0x40000 | vector);
}

/* ---- Spurious vector and local vector table ---- */

static const u32 lvts[] = {APIC_LVT_TIMER, LVT_THERMAL,    LVT_PERF,
			   APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR};

static void reset_values(void)
{
	unsigned i;

	check_equal("SVR at reset", apic_read(APIC_SVR), 0xff);
	for (i = 0; i < ARRAY_SIZE(lvts); i++)
		check(apic_read(lvts[i]) == APIC_LVT_MASKED, "LVT 0x%x at reset is 0x%x", lvts[i],
		      apic_read(lvts[i]));
	check_equal("DFR at reset", apic_read(APIC_DFR), 0xffffffff);
	check_equal("ESR at reset", apic_read(APIC_ESR), 0);
}

static void software_disable(void)
{
	unsigned i;

	/* Disabled: masks stay set whatever is written. */
	apic_write(APIC_LVT_TIMER, 0x61);
	check_equal("LVT timer, disabled", apic_read(APIC_LVT_TIMER), APIC_LVT_MASKED | 0x61);
	self(0x60);
	check(!apic_bit(APIC_IRR, 0x60), "a disabled local APIC takes an IPI");
	apic_write(APIC_SVR, 0x1ef);
	check_equal("SVR", apic_read(APIC_SVR), 0x1ef);
	for (i = 0; i < ARRAY_SIZE(lvts); i++) {
		apic_write(lvts[i], 0x61);
		check(apic_read(lvts[i]) == 0x61, "LVT 0x%x cannot be unmasked: 0x%x", lvts[i],
		      apic_read(lvts[i]));
	}
	apic_write(APIC_SVR, 0xef);
	for (i = 0; i < ARRAY_SIZE(lvts); i++)
		check(apic_read(lvts[i]) == (APIC_LVT_MASKED | 0x61),
		      "LVT 0x%x of a disabled APIC is 0x%x", lvts[i], apic_read(lvts[i]));
	apic_write(APIC_SVR, 0x1ef);
	for (i = 0; i < ARRAY_SIZE(lvts); i++)
		check(apic_read(lvts[i]) == (APIC_LVT_MASKED | 0x61), "LVT 0x%x after that is 0x%x",
		      lvts[i], apic_read(lvts[i]));
	/* Read-only and reserved bits. */
	apic_write(APIC_LVT_TIMER, 0xffffffff);
	check_equal("LVT timer, all ones", apic_read(APIC_LVT_TIMER) & ~0x60000u, 0x100ff);
	apic_write(APIC_LVT_ERROR, 0xffffffff);
	check_equal("LVT error, all ones", apic_read(APIC_LVT_ERROR), 0x100ff);
	apic_write(APIC_LVT_LINT0, 0xffffffff);
	check_equal("LVT LINT0, all ones", apic_read(APIC_LVT_LINT0) & ~0x4000u, 0x1a7ff);
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	apic_write(APIC_TPR, 0xfffff0a5);
	check_equal("TPR", apic_read(APIC_TPR), 0xa5);
	apic_write(APIC_TPR, 0);
}

/* ---- Priorities: what the TPR holds back is not lost, and no spurious interrupt comes of it. ---- */

static void priorities(void)
{
	taken = 0;
	apic_write(APIC_TPR, 0x60);
	self(0x6f);
	sti_nop_cli();
	check_equal("interrupts of the TPR's class", taken, 0);
	check(apic_bit(APIC_IRR, 0x6f), "IRR of what the TPR holds back");
	check_equal("PPR", apic_read(APIC_PPR), 0x60);
	self(0x70);
	sti_nop_cli();
	check_equal("interrupts of the class above", taken, 1);
	check_equal("its vector", last, 0x70);
	apic_write(APIC_TPR, 0x5f);
	sti_nop_cli();
	check_equal("interrupts after the TPR fell", taken, 2);
	check_equal("its vector", last, 0x6f);
	/* By CR8, which is the same. */
	__asm__ volatile("mov %0, %%cr8" : : "r"(7ULL));
	check_equal("TPR after CR8 = 7", apic_read(APIC_TPR), 0x70);
	self(0x71);
	sti_nop_cli();
	check_equal("interrupts below CR8", taken, 2);
	__asm__ volatile("mov %0, %%cr8" : : "r"(0ULL));
	sti_nop_cli();
	check_equal("interrupts after CR8 = 0", taken, 3);
	check_equal("IRR of the spurious vector", apic_bit(APIC_IRR, 0xef), 0);
}

/* ---- Errors ---- */

#define ESR_SEND_ILLEGAL     BIT(5)
#define ESR_ILLEGAL_REGISTER BIT(7)

static u32 esr(void)
{
	apic_write(APIC_ESR, 0);
	return apic_read(APIC_ESR);
}

static void error_status(void)
{
	(void)esr();
	check_equal("ESR, nothing wrong", esr(), 0);
	apic_write(APIC_LVT_ERROR, 0x62);
	self(0x0f);
	check_equal("ESR before it is written", apic_read(APIC_ESR), 0);
	sti_nop_cli();
	check_equal("error interrupts", errors, 1);
	check_equal("ESR after an IPI of vector 15", esr(), ESR_SEND_ILLEGAL);
	check_equal("ESR after that", esr(), 0);
	(void)read32(LAPIC + 0x40);
	sti_nop_cli();
	check_equal("error interrupts, by a reserved register", errors, 2);
	check_equal("ESR after it", esr(), ESR_ILLEGAL_REGISTER);
	apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED | 0x62);
	self(0x0e);
	sti_nop_cli();
	check_equal("error interrupts, masked", errors, 2);
	check_equal("ESR, masked", esr(), ESR_SEND_ILLEGAL);
}

/* ---- IA32_APIC_BASE ---- */

static u64 base;

static bool has_apic(void)
{
	u32 r[4];

	cpuid_count(1, 0, r);
	return r[CPUID_EDX] & CPUID1D_APIC;
}

static void refused(const char *what, u64 value)
{
	u64 before = rdmsr(MSR_APIC_BASE);

	check(try_wrmsr(MSR_APIC_BASE, value) == VEC_GP, "%s: vector %d, not #GP", what,
	      caught.vector);
	check(caught.error == 0, "%s: error code 0x%llx", what, (unsigned long long)caught.error);
	check(rdmsr(MSR_APIC_BASE) == before, "%s has changed it to 0x%llx", what,
	      (unsigned long long)rdmsr(MSR_APIC_BASE));
}

static void states(void)
{
	u32 r[4];
	u64 v;

	base = rdmsr(MSR_APIC_BASE);
	check_equal("IA32_APIC_BASE", base, LAPIC | APIC_BASE_EN | APIC_BASE_BSP);
	check_equal("x2APIC register in xAPIC mode: vector",
		    try_rdmsr(MSR_X2APIC(APIC_VERSION), &v), VEC_GP);
	refused("xAPIC to the invalid state", (base & ~APIC_BASE_EN) | APIC_BASE_EXTD);
	refused("bit 9", base | BIT(9));
	cpuid_count(0x80000008, 0, r);
	refused("an address too wide", base | BIT(r[CPUID_EAX] & 0xff));
	/* Disabled. */
	apic_write(APIC_TPR, 0x30);
	wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_EN);
	check(!has_apic(), "CPUID shows a disabled APIC");
	check_equal("the page of a disabled APIC", read32(LAPIC + APIC_VERSION), 0xffffffff);
	check_equal("x2APIC register of a disabled APIC: vector",
		    try_rdmsr(MSR_X2APIC(APIC_VERSION), &v), VEC_GP);
	refused("disabled to x2APIC", base | APIC_BASE_EXTD);
	refused("disabled to the invalid state", (base & ~APIC_BASE_EN) | APIC_BASE_EXTD);
	/* Enabled again: as after reset. */
	wrmsr(MSR_APIC_BASE, base);
	check(has_apic(), "CPUID does not show the APIC");
	check_equal("SVR after it was disabled", apic_read(APIC_SVR), 0xff);
	check_equal("TPR after it was disabled", apic_read(APIC_TPR), 0);
}

static void x2apic(void)
{
	static const u32 absent[] = {APIC_DFR, APIC_ICR2, 0x90, 0xc0};
	u32 id;
	unsigned i;
	u64 v;

	apic_enable();
	apic_write(APIC_TPR, 0x20);
	id = apic_read(APIC_ID) >> 24;
	apic_use_x2apic();
	check_equal("the page in x2APIC mode", read32(LAPIC + APIC_VERSION), 0xffffffff);
	check_equal("x2APIC ID", apic_read(APIC_ID), id);
	check_equal("TPR, carried over", apic_read(APIC_TPR), 0x20);
	check_equal("SVR, carried over", apic_read(APIC_SVR), 0x1ff);
	check_equal("logical x2APIC ID", apic_read(APIC_LDR), (id >> 4) << 16 | 1u << (id & 15));
	apic_write(APIC_TPR, 0);
	refused("x2APIC to xAPIC", base);
	refused("x2APIC to the invalid state", (base & ~APIC_BASE_EN) | APIC_BASE_EXTD);
	for (i = 0; i < ARRAY_SIZE(absent); i++)
		check(try_rdmsr(MSR_X2APIC(absent[i]), &v) == VEC_GP, "x2APIC register 0x%x exists",
		      absent[i]);
	check_equal("RDMSR of EOI: vector", try_rdmsr(MSR_X2APIC(APIC_EOI), &v), VEC_GP);
	check_equal("WRMSR of EOI, 1: vector", try_wrmsr(MSR_X2APIC(APIC_EOI), 1), VEC_GP);
	check_equal("WRMSR of ESR, 1: vector", try_wrmsr(MSR_X2APIC(APIC_ESR), 1), VEC_GP);
	check_equal("WRMSR of the ID: vector", try_wrmsr(MSR_X2APIC(APIC_ID), 0), VEC_GP);
	check_equal("WRMSR of a reserved LVT bit: vector",
		    try_wrmsr(MSR_X2APIC(APIC_LVT_ERROR), BIT(13)), VEC_GP);
	check_equal("WRMSR of TPR, 9 bits: vector", try_wrmsr(MSR_X2APIC(APIC_TPR), BIT(8)),
		    VEC_GP);
	taken = 0;
	apic_write(APIC_SELF_IPI, 0x60);
	sti_nop_cli();
	check_equal("self-IPIs", taken, 1);
	/* Disabled, and from there to xAPIC. */
	wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_EN);
	check_equal("x2APIC register of a disabled APIC: vector",
		    try_rdmsr(MSR_X2APIC(APIC_VERSION), &v), VEC_GP);
	refused("disabled to x2APIC", base | APIC_BASE_EXTD);
	wrmsr(MSR_APIC_BASE, base);
	check_equal("SVR in xAPIC mode again", read32(LAPIC + APIC_SVR), 0xff);
}

void test(void)
{
	unsigned v;

	for (v = 0x60; v < 0x80; v++)
		trap_handlers[v] = arrived;
	trap_handlers[0x62] = error;
	reset_values();
	software_disable();
	priorities();
	error_status();
	states();
	x2apic();
}
