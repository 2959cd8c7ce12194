/* SPDX-License-Identifier: MIT */
/*
 * What an IPI costs, there and back, between two vcpus on CPUs of their own: in ticks of the TSC, which in Bochs are instructions
 * that each of the two executes in the meantime. Once with both busy, once with both in HLT.
 * OPTIONS: cpus=2
 */
#include "smp.h"

#define ROUNDS 200u

static volatile unsigned got[2], halting, trips;

static void on_ipi(struct frame *f)
{
	unsigned cpu = smp_cpu();

	(void)f;
	got[cpu]++;
	apic_eoi();
	if (cpu)
		apic_icr(0, ICR_FIXED | 0x40);
}

static void other(unsigned cpu)
{
	(void)cpu;
	smp_use_x2apic();
	for (;;) {
		if (halting)
			__asm__ volatile("sti; hlt" : : : "memory");
		else
			sti();
	}
}

static u64 rounds(void)
{
	u64 start = rdtsc();

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned was = got[0];

		trips++;
		cli();
		apic_icr(1, ICR_FIXED | 0x40);
		while (got[0] == was) {
			if (halting)
				__asm__ volatile("sti; hlt; cli" : : : "memory");
			else
				sti_nop_cli(); /* after PAUSE QEMU still sees the shadow of STI */
		}
	}
	return (rdtsc() - start) / ROUNDS;
}

void test(void)
{
	trap_handlers[0x40] = on_ipi;
	apic_enable();
	smp_init(2, other);
	smp_start(1);
	smp_use_x2apic();
	(void)rounds();
	print("BENCH ipi_busy %llu\n", (unsigned long long)rounds());
	if (!is_amd()) { /* QEMU may lose the shadow of STI before a HLT, and with it the wake-up */
		halting = 1;
		(void)rounds();
		print("BENCH ipi_halted %llu\n", (unsigned long long)rounds());
	}
	print("BENCH ipi_trips %u\n", trips);
}
