/* SPDX-License-Identifier: MIT */
/*
 * The real CPUs' local APICs: in xAPIC or x2APIC mode, as the firmware left the first one, or in x2APIC mode if there are
 * APIC IDs that need it; never disabled: some CPUs would not take it back. Every function is about the CPU that it runs
 * on. The timer is the CPU's one hardware timer. Called by irq.c, smp.c and tsc.c. SDM vol. 3 "Advanced
 * Programmable Interrupt Controller (APIC)"; APM vol. 2 the same.
 */
#include "arch/host/host.h"

#include <arch/cpu.h>
#include <arch/cpuid.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <vmm/assert.h>
#include <vmm/host.h>

/* Register offsets of the xAPIC page; the x2APIC's MSR is MSR_X2APIC_FIRST + offset / 16. */
enum {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TPR = 0x80,
	LAPIC_EOI = 0xb0,
	LAPIC_SVR = 0xf0,
	LAPIC_ISR = 0x100,
	LAPIC_ESR = 0x280,
	LAPIC_LVT_CMCI = 0x2f0,
	LAPIC_ICR_LOW = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_ICR = 0x380,
	LAPIC_TIMER_CCR = 0x390,
	LAPIC_TIMER_DCR = 0x3e0,
};

#define TPR_EXCEPTIONS                                                                             \
	0x10 /* holds back vectors 16 to 31, which a stray MSI may have: they are exceptions' */
#define SVR_ENABLE         BIT(8)
#define LVT_MASKED         BIT(16)
#define LVT_NMI            0x400
#define LVT_TIMER_DEADLINE BIT(18)
#define DCR_BY_ONE         0xb
#define ICR_NMI            0x400
#define ICR_INIT           0x500
#define ICR_STARTUP        0x600
#define ICR_PENDING        BIT(12)
#define ICR_ASSERT         BIT(14)
#define VERSION_MAX_LVT    GENMASK(23, 16)

static u32 lapic_read(unsigned reg)
{
	if (host.lapic.mmio)
		return host.lapic.mmio[reg / 4];
	return (u32)rdmsr(MSR_X2APIC_FIRST + reg / 16);
}

static void lapic_write(unsigned reg, u64 value)
{
	if (host.lapic.mmio)
		host.lapic.mmio[reg / 4] = (u32)value;
	else
		wrmsr(MSR_X2APIC_FIRST + reg / 16, value);
}

bool lapic_in_service(u8 vector)
{
	return lapic_read(LAPIC_ISR + vector / 32 * 16) & BIT(vector % 32);
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

/* What the firmware or the boot loader was in the middle of will never be ended by them. */
static void lapic_drain(void)
{
	for (unsigned n = 0; n < IRQ_VECTORS; n++) {
		u32 any = 0;

		for (unsigned i = 0; i < IRQ_VECTORS / 32; i++)
			any |= lapic_read(LAPIC_ISR + i * 16);
		if (!any)
			return;
		lapic_eoi();
	}
}

#define INT_PENDING_C1E GENMASK(28, 27) /* SmiOnCmpHalt, C1eOnCmpHalt */

/*
 * AMD's families 0Fh to 11h go from HLT to C1E if the firmware says so, and there the timer stops: nobody would wake the CPU
 * (erratum 400; BIOS and Kernel Developer's Guides, "Interrupt Pending and CMP-Halt Register").
 */
static void c1e_disable(void)
{
	unsigned family;
	u32 r[4];
	u64 v;

	host_cpuid(1, 0, r);
	family = r[CPUID_EAX] >> 8 & 0xf;
	if (family == 0xf)
		family += r[CPUID_EAX] >> 20 & 0xff;
	if (family >= 0xf && family <= 0x11 && rdmsr_safe(MSR_INT_PENDING, &v) &&
	    v & INT_PENDING_C1E)
		(void)wrmsr_safe(MSR_INT_PENDING, v & ~INT_PENDING_C1E);
}

u32 lapic_id(void)
{
	return host.lapic.mmio ? lapic_read(LAPIC_ID) >> 24 : lapic_read(LAPIC_ID);
}

/* The 8 bits of the older mode do not reach them; 0xff is everybody. */
static bool x2apic_needed(void)
{
	for (unsigned i = 0; host.all_cpus && i < host.acpi.cpus; i++) {
		if (host.acpi.cpu[i] >= 0xff)
			return true;
	}
	return false;
}

static void lapic_init_registers(void)
{
	lapic_write(LAPIC_SVR, SVR_ENABLE | IRQ_VECTOR_SPURIOUS);
	lapic_write(LAPIC_TPR, TPR_EXCEPTIONS);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | IRQ_VECTOR_TIMER);
	lapic_write(LAPIC_LVT_PERF, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED); /* the legacy PIC is not listened to */
	lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
	if (field_get(VERSION_MAX_LVT, lapic_read(LAPIC_VERSION)) >= 6)
		lapic_write(LAPIC_LVT_CMCI, LVT_MASKED);
	lapic_write(LAPIC_ESR, 0);
	lapic_write(LAPIC_LVT_ERROR, IRQ_VECTOR_APIC_ERROR);
	lapic_drain();
	c1e_disable();
}

static void lapic_timer_mode_set(void)
{
	if (!host.lapic.deadline_mode) {
		lapic_write(LAPIC_LVT_TIMER, IRQ_VECTOR_TIMER);
		return;
	}
	lapic_write(LAPIC_LVT_TIMER, LVT_TIMER_DEADLINE | IRQ_VECTOR_TIMER);
	/* The mode change in memory before the first WRMSR: SDM "TSC-Deadline Mode". */
	mfence();
}

bool lapic_init(void)
{
	struct lapic *l = &host.lapic;
	u64 base, wanted;
	u32 r[4];

	if (!rdmsr_safe(MSR_APIC_BASE, &base))
		return false;
	wanted = base | APIC_BASE_EN;
	if (wanted != base)
		(void)wrmsr_safe(MSR_APIC_BASE, wanted);
	host_cpuid(1, 0, r);
	if (!(r[CPUID_EDX] & CPUID1D_APIC))
		return false;
	if (r[CPUID_ECX] & CPUID1C_X2APIC && !(wanted & APIC_BASE_EXTD) && x2apic_needed()) {
		wanted |= APIC_BASE_EXTD;
		wrmsr(MSR_APIC_BASE, wanted);
	}
	if (!(wanted & APIC_BASE_EXTD)) {
		l->mmio = paging_map_phys(wanted & APIC_BASE_ADDR, PAGE_SIZE, PT_READ | PT_WRITE,
					  PT_UC);
		hv_assert(l->mmio);
	}
	l->deadline_mode = r[CPUID_ECX] & CPUID1C_TSC_DEADLINE;
	host.boot_cpu.apic_id = lapic_id();
	lapic_init_registers();
	return true;
}

/* In the first one's mode, and at its address. There is no way from x2APIC mode back but through "disabled". */
bool lapic_init_other(void)
{
	struct lapic *l = &host.lapic;
	u64 base = rdmsr(MSR_APIC_BASE), wanted = base | APIC_BASE_EN;

	if (l->mmio && (base & APIC_BASE_EXTD ||
			host_va(base & APIC_BASE_ADDR) != (const volatile void *)l->mmio))
		return false;
	if (wanted != base)
		wrmsr(MSR_APIC_BASE, wanted);
	if (!l->mmio && !(wanted & APIC_BASE_EXTD))
		wrmsr(MSR_APIC_BASE, wanted | APIC_BASE_EXTD);
	lapic_init_registers();
	/* The machine's NMI line is wired to all: one CPU is enough to answer it. */
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED | LVT_NMI);
	lapic_write(LAPIC_TIMER_DCR, DCR_BY_ONE);
	lapic_timer_mode_set();
	return true;
}

/* ---- Interprocessor interrupts ---------------------------------------------------------------------------------- */

static void lapic_icr_write(u32 apic_id, u64 low)
{
	if (!host.lapic.mmio) {
		/* What was written to memory before must be seen by whom it concerns. SDM vol. 3 "MSR Access in x2APIC Mode". */
		wrmsr_fence();
		lapic_write(LAPIC_ICR_LOW, (u64)apic_id << 32 | low);
		return;
	}
	while (lapic_read(LAPIC_ICR_LOW) & ICR_PENDING)
		pause_cpu();
	lapic_write(LAPIC_ICR_HIGH, (u64)apic_id << 24);
	lapic_write(LAPIC_ICR_LOW, low);
}

void lapic_ipi(u32 apic_id, u8 vector)
{
	lapic_icr_write(apic_id, ICR_ASSERT | vector);
}

void lapic_init_ipi(u32 apic_id)
{
	/* Edge-triggered: nothing need take it back. */
	lapic_icr_write(apic_id, ICR_INIT | ICR_ASSERT);
}

void lapic_startup_ipi(u32 apic_id, u8 page)
{
	lapic_icr_write(apic_id, ICR_STARTUP | ICR_ASSERT | page);
}

/* One by one: the shorthand for all others would also reach CPUs that were left out, or that the firmware keeps. */
void lapic_nmi_others(void)
{
	unsigned cpus = __atomic_load_n(&host.cpus, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < cpus; i++) {
		if (host.cpu[i] != pcpu_here())
			lapic_icr_write(host.cpu[i]->apic_id, ICR_NMI | ICR_ASSERT);
	}
}

/* ---- Timer ------------------------------------------------------------------------------------------------------ */

void lapic_timer_start_free(void)
{
	lapic_write(LAPIC_TIMER_DCR, DCR_BY_ONE);
	lapic_write(LAPIC_TIMER_ICR, ~0u);
}

u32 lapic_timer_count(void)
{
	return lapic_read(LAPIC_TIMER_CCR);
}

void lapic_timer_ready(u64 lapic_hz, u64 tsc_hz)
{
	struct lapic *l = &host.lapic;

	lapic_write(LAPIC_TIMER_ICR, 0);
	if (!l->deadline_mode) {
		l->hz = lapic_hz;
		l->tick_mult = clock_mul_div(lapic_hz, BIT(32), tsc_hz);
	}
	lapic_timer_mode_set();
}

/* Ticks of this timer for `ticks` of the host, at least 1, at most what its counter holds. */
static u32 lapic_timer_ticks(u64 ticks)
{
	u64 count;

	/* Longer than the counter goes, at any rate: timer_interrupt() sets it again. */
	if (ticks >> 32)
		return ~0u;
	count = (u64)(((unsigned __int128)ticks * host.lapic.tick_mult) >> 32);
	return count > ~0u ? ~0u : (u32)count + (count != ~0u);
}

void lapic_timer_set(u64 deadline)
{
	u64 now;

	if (host.lapic.deadline_mode) {
		wrmsr_fence();
		/* 0 disarms; nobody waits for tick 0. */
		wrmsr(MSR_TSC_DEADLINE, deadline == HOST_TIMER_OFF ? 0 : MAX(deadline, 1ULL));
		return;
	}
	if (deadline == HOST_TIMER_OFF) {
		lapic_write(LAPIC_TIMER_ICR, 0);
		return;
	}
	now = host_ticks();
	lapic_write(LAPIC_TIMER_ICR, deadline > now ? lapic_timer_ticks(deadline - now) : 1);
}
