/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=3
 * CLOCK: instructions
 *
 * Three CPUs of a guest on one of the machine: each finds its own PKRU, TSC_AUX, debug registers, CR2 and XMM0 after the others have had their turns, and a device's page
 * obeys the PKRU of the CPU that asks. SDM vol. 3 "Protection Keys", "Debug Registers".
 */
#include "smp.h"

#define CPUS   3
#define DEVICE 0xc0000000ULL

static bool keys, tscp;
static volatile unsigned done;

static u64 xmm0(void)
{
	u64 v;

	__asm__ volatile("movq %%xmm0, %0" : "=r"(v));
	return v;
}

static void look(unsigned cpu, u64 mark)
{
	u32 low, high, aux;

	check(read_dr0() == mark, "CPU %u: DR0 is 0x%llx", cpu, (unsigned long long)read_dr0());
	check(read_cr2() == mark, "CPU %u: CR2 is 0x%llx", cpu, (unsigned long long)read_cr2());
	check(xmm0() == mark, "CPU %u: XMM0 is 0x%llx", cpu, (unsigned long long)xmm0());
	if (tscp) {
		__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
		check(aux == mark, "CPU %u: TSC_AUX is 0x%x", cpu, aux);
	}
	if (keys)
		check(rdpkru() == (cpu ? cpu << 12 : 1u << 10), "CPU %u: PKRU is 0x%x", cpu,
		      rdpkru());
}

/* Only CPU 0's PKRU forbids key 5. */
static void device(unsigned cpu)
{
	u32 v;

	if (!keys)
		return;
	/* One word catches faults for all CPUs: CPU 0 alone expects one. */
	if (cpu)
		(void)read32(DEVICE + APIC_VERSION);
	else
		check(TRY("mov (%1), %0",
			  : "=r"(v)
			  : "r"(DEVICE + APIC_VERSION)
			  : "memory") == VEC_PF,
		      "CPU 0 reads a device whose key it may not use");
}

static void turns(unsigned cpu)
{
	u64 mark = 0x1000000 * (cpu + 1);
	unsigned i;

	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_WP);
	write_cr4(read_cr4() | CR4_OSFXSR | (keys ? CR4_PKE : 0));
	write_dr0(mark);
	if (tscp)
		wrmsr(MSR_TSC_AUX, mark);
	if (keys)
		wrpkru(cpu ? cpu << 12 : 1u << 10);
	__asm__ volatile("movq %0, %%xmm0" : : "r"(mark));
	for (i = 0; i < 50; i++) {
		write_cr2(mark);
		smp_relax();
		look(cpu, mark);
		device(cpu);
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

static void other(unsigned cpu)
{
	turns(cpu);
	for (;;)
		smp_relax();
}

void test(void)
{
	u32 r[4];

	cpuid_count(7, 0, r);
	keys = r[CPUID_ECX] & CPUID7C_PKU;
	cpuid_count(0x80000001, 0, r);
	tscp = r[CPUID_EDX] & CPUIDX1D_RDTSCP;
	*page_entry(DEVICE) = LAPIC | PTE_P | PTE_W | PTE_U | 5ULL << 59;
	write_cr3(read_cr3());
	smp_init(CPUS, other);
	smp_start_all();
	turns(0);
	if (keys)
		wrpkru(0);
	check(smp_wait(&done, CPUS), "%u of the CPUs have come to the end", done);
}
