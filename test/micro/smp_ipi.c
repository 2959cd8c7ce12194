/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=4
 *
 * Four CPUs: each starts by INIT and a start-up IPI, in real mode where the vector says, with an APIC ID of its own; its TSC is
 * the first one's. IPIs of every form arrive, once each: to one, to a logical set, to all but oneself; NMIs; many at a time
 * between all. A remapped page is seen as remapped by a CPU that ran all the while. INIT stops a CPU in the midst of work.
 */
#include "smp.h"

#define CPUS   4
#define ROUNDS 2000

static volatile unsigned ipis[CPUS], nmis, phase, seen_new, work[CPUS];
static volatile u64 tsc_at[CPUS], *page;

static void on_ipi(struct frame *f)
{
	(void)f;
	ipis[apic_read(APIC_ID) >> 24]++;
	apic_eoi();
}

static void on_nmi(struct frame *f)
{
	(void)f;
	__atomic_fetch_add(&nmis, 1, __ATOMIC_SEQ_CST);
}

static void on_shootdown(struct frame *f)
{
	(void)f;
	invlpg((const void *)page);
	apic_eoi();
	__atomic_fetch_add(&seen_new, 1, __ATOMIC_SEQ_CST);
}

static void ap_main(unsigned id)
{
	tsc_at[id] = rdtsc();
	apic_write(APIC_LDR, 1u << (24 + id));
	while (phase == 0)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	sti();
	for (;;) {
		work[id]++;
		if (phase == 2 && work[id] % 64 == 0)
			apic_icr(id % (CPUS - 1) + 1, 0x4041); /* the next of 1, 2, 3 */
		(void)*page;
		pause_cpu();
	}
}

static void start(unsigned id)
{
	u64 before = rdtsc();

	smp_start(id);
	check(tsc_at[id] >= before && tsc_at[id] <= rdtsc(),
	      "the TSC of CPU %u is not the first one's", id);
}

static void one_of_each(void)
{
	unsigned i, before;

	for (i = 1; i < CPUS; i++) {
		before = ipis[i];
		apic_icr(i, 0x4040);
		check(wait_for(&ipis[i], before + 1, 1000000), "no IPI at CPU %u", i);
	}
	apic_icr(0x0c, 0x4840); /* logical: 2 and 3 */
	check(wait_for(&ipis[2], 2, 1000000) && wait_for(&ipis[3], 2, 1000000), "no logical IPI");
	apic_icr(0, 0xc4040); /* all but self */
	check(wait_for(&ipis[1], 2, 1000000) && wait_for(&ipis[2], 3, 1000000) &&
		      wait_for(&ipis[3], 3, 1000000),
	      "no broadcast");
	check_equal("IPIs to oneself", ipis[0], 0);
	apic_icr(0, 0xc4400);
	check(wait_for(&nmis, 3, 1000000), "%u NMIs of 3", nmis);
}

static void storm(void)
{
	unsigned i, want = ipis[1] + 200;

	phase = 2;
	for (i = 0; i < ROUNDS; i++)
		apic_icr(1 + i % (CPUS - 1), 0x4040);
	check(wait_for(&ipis[1], want, 20000000), "the storm of IPIs stands still");
	phase = 1;
}

static void shootdown(void)
{
	u64 *entry, other = (u64)page_alloc();
	unsigned i;

	*(volatile u64 *)other = 2;
	entry = page_entry((u64)page);
	*entry = (*entry & 0xfff) | other;
	invlpg((const void *)page);
	apic_icr(0, 0xc4042);
	check(wait_for(&seen_new, CPUS - 1, 5000000), "%u of 3 took the shootdown", seen_new);
	for (i = 1; i < CPUS; i++)
		check_equal("the remapped page", *page, 2);
}

static void stopped(void)
{
	unsigned was;

	apic_icr(2, 0x4500);
	delay_us(20000);
	was = work[2];
	delay_us(20000);
	check_equal("work of a CPU after INIT", work[2], was);
	apic_icr(2, 0x4041); /* nothing to one that waits for a start-up IPI */
	start(2);
	was = work[2];
	check(wait_for(&work[2], was + 1, 5000000), "CPU 2 does not work again");
}

void test(void)
{
	unsigned i;

	page = page_alloc();
	*page = 1;
	trap_handlers[0x40] = trap_handlers[0x41] = on_ipi;
	trap_handlers[0x42] = on_shootdown;
	trap_handlers[VEC_NMI] = on_nmi;
	apic_enable();
	smp_init(CPUS, ap_main);
	for (i = 1; i < CPUS; i++)
		start(i);
	one_of_each();
	phase = 1;
	apic_icr(0, 0xc4041);
	storm();
	shootdown();
	stopped();
}
