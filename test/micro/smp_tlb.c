/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=5
 * HOST-CPUS: 2
 *
 * TLB shootdown. One CPU maps a page elsewhere, again and again; the others read it all the while, and change their CPU of the machine,
 * which has fewer. Each drops its translation when an IPI tells it to, by INVLPG, by CR3, by CR4.PGE. From then on it never reads
 * what was there before: not from a translation that another CPU of the machine has kept from the time before it left. That it needs a
 * real CPU to show: QEMU and Bochs drop all translations at each entry, and pass with a hypervisor that drops none.
 */
#include "smp.h"

#define CPUS   5
#define ROUNDS 240
#define PAGES  8 /* an old one is not used again at once */
#define VECTOR 0x44

static volatile u64 *page;
static volatile unsigned generation, told[CPUS], reads[CPUS];

static void drop(unsigned how)
{
	u64 cr4;

	switch (how % 3) {
	case 0:
		invlpg((const void *)page);
		break;
	case 1:
		write_cr3(read_cr3());
		break;
	default:
		cr4 = read_cr4();
		write_cr4(cr4 ^ CR4_PGE);
		write_cr4(cr4);
	}
}

static void shootdown(struct frame *f)
{
	unsigned now = generation;

	(void)f;
	drop(now);
	told[smp_cpu()] = now;
	apic_eoi();
}

static void reader(unsigned cpu)
{
	unsigned least;
	u64 value;

	sti();
	for (;;) {
		least = told[cpu];
		value = *page;
		if (value < least) {
			cli();
			fail("CPU %u reads of remapping %llu after it has dropped %u", cpu,
			     (unsigned long long)value, least);
		}
		reads[cpu]++;
	}
}

static void remap(u64 *entry, u64 to, unsigned number)
{
	write64(to, number);
	*entry = to | PTE_P | PTE_W;
	generation = number;
	apic_icr(0, ICR_OTHERS | ICR_FIXED | VECTOR);
}

void test(void)
{
	u64 pages[PAGES], *entry;
	unsigned i, cpu;

	for (i = 0; i < PAGES; i++)
		pages[i] = (u64)page_alloc();
	page = page_alloc();
	entry = page_entry((u64)page);
	trap_handlers[VECTOR] = shootdown;
	smp_init(CPUS, reader);
	smp_start_all();
	for (i = 1; i <= ROUNDS; i++) {
		remap(entry, pages[i % PAGES], i);
		for (cpu = 1; cpu < CPUS; cpu++)
			check(smp_wait(&told[cpu], i), "CPU %u is not told of remapping %u", cpu,
			      i);
	}
	for (cpu = 1; cpu < CPUS; cpu++)
		check(reads[cpu] > 0, "CPU %u has read nothing", cpu);
}
