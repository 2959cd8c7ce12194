/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=4
 *
 * KVM_HC_KICK_CPU: ends a HLT with interrupts off, which a pending interrupt does not, and that interrupt stays pending; a kick before the
 * HLT is not lost, and two of them are one; APIC IDs that no CPU has are nobody's. Locks whose waiters halt, and are kicked by
 * whoever unlocks: four CPUs of the guest on one of the machine count to what they should, and no wake-up is lost, whoever of them halts when.
 * KVM_HC_SCHED_YIELD, for the waiters that yield. Linux Documentation/virt/kvm/x86/hypercalls.rst.
 */
#include "smp.h"

#define KICK   5
#define YIELD  11
#define ROUNDS 1500
#define CPUS   4

static volatile unsigned ipis, wakes, phase, ready, done;

/* A ticket lock. */
static volatile unsigned next, serving, counter;
static volatile unsigned waits_for[CPUS]; /* ticket + 1; 0: none */

static s64 kick(u64 apic_id)
{
	return kvm_hypercall(KICK, 0, apic_id, 0, 0);
}

static void on_ipi(struct frame *f)
{
	(void)f;
	ipis++;
	apic_eoi();
}

static void lock(unsigned id)
{
	unsigned ticket = __atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST), spins = 0;

	for (;;) {
		if (serving == ticket)
			break;
		if (++spins % 16)
			continue;
		if (spins % 5 == 0) {
			check(!kvm_hypercall(YIELD, spins / 5 % (CPUS + 1), 0, 0, 0), "YIELD");
			continue;
		}
		__atomic_store_n(&waits_for[id], ticket + 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&serving, __ATOMIC_SEQ_CST) != ticket)
			hlt(); /* IF is 0 */
		waits_for[id] = 0;
	}
}

static void unlock(void)
{
	unsigned i, now = __atomic_add_fetch(&serving, 1, __ATOMIC_SEQ_CST);

	for (i = 0; i < CPUS; i++)
		if (__atomic_load_n(&waits_for[i], __ATOMIC_SEQ_CST) == now + 1)
			(void)kick(i);
}

static void contend(unsigned id)
{
	unsigned i, was, spin;

	for (i = 0; i < ROUNDS; i++) {
		lock(id);
		was = counter;
		for (spin = 0; spin < i % 64; spin++)
			pause_cpu();
		counter = was + 1;
		unlock();
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

static void other(unsigned id)
{
	if (id == 1) {
		ready = 1;
		while (phase == 0) {
			hlt();
			wakes++;
		}
		check(!ipis, "an interrupt with IF = 0");
		sti_nop_cli();
		check_equal("the interrupt that was pending", ipis, 1);
		ready = 2;
	}
	while (phase < 2)
		pause_cpu();
	contend(id);
	for (;;)
		__asm__ volatile("sti; hlt" : : : "memory");
}

static void one(void)
{
	static const u64 nobody[] = {CPUS, 0xff, 0xffffffff, 1ULL << 32 | 1, ~0ULL};
	unsigned i;

	check(!kick(0) && !kick(0), "a kick fails");
	hlt(); /* at once over, or never */
	smp_start(1);
	check(wait_for(&ready, 1, 5000000), "CPU 1 does not begin");
	delay_us(20000);
	check_equal("wake-ups of nobody", wakes, 0);
	apic_icr(1, 0x4040);
	for (i = 0; i < ARRAY_SIZE(nobody); i++)
		check(!kick(nobody[i]), "a kick of nobody fails");
	delay_us(20000);
	check_equal("wake-ups by an interrupt", wakes, 0);
	for (i = 1; i < 20; i++) {
		check(!kick(1), "a kick fails");
		check(wait_for(&wakes, i, 5000000), "kick %u is lost", i);
	}
	delay_us(1000);
	check_equal("wake-ups", wakes, 19);
	phase = 1;
	(void)kick(1);
	check(wait_for(&ready, 2, 5000000), "CPU 1 does not go on");
}

void test(void)
{
	unsigned i;
	u32 r[4];

	cpuid_count(0x40000001, 0, r);
	check(r[CPUID_EAX] & BIT(7) && r[CPUID_EAX] & BIT(13), "not offered");
	trap_handlers[0x40] = on_ipi;
	apic_enable();
	smp_init(CPUS, other);
	one();
	for (i = 2; i < CPUS; i++)
		smp_start(i);
	phase = 2;
	contend(0);
	check(wait_for(&done, CPUS, 60000000), "%u of 4 have ended", done);
	check_equal("the count", counter, CPUS * ROUNDS);
}
