/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=8
 * HOST-CPUS: 2
 *
 * All CPUs send IPIs to one another at once, in every form: to one, to all, by each shorthand, to logical sets (flat, cluster, x2APIC
 * cluster), with lowest priority, as NMI. Each waits for what it sent before it sends again, so that nothing merges: in the end as
 * many have arrived as were sent, at those to whom they were sent.
 */
#include "smp.h"

#define CPUS   8
#define ALL    ((1u << CPUS) - 1)
#define ROUNDS 12
#define VECTOR 0x40 /* and up: one for each sender */

/* How a set of CPUs is addressed; 0: it cannot be. */
typedef u32 address_fn(unsigned set);

static volatile unsigned got[CPUS][CPUS]; /* by receiver and sender */
static unsigned sent[CPUS][CPUS];
static volatile unsigned one_of[CPUS]; /* lowest priority, by sender */
static volatile unsigned nmis[CPUS];
static volatile u32 nmi_lock;
static const char *mode;

static void arrived(struct frame *f)
{
	unsigned sender = (unsigned)f->vector - VECTOR;

	got[smp_cpu()][sender]++;
	__atomic_fetch_add(&one_of[sender], 1, __ATOMIC_SEQ_CST);
	apic_eoi();
}

static void on_nmi(struct frame *f)
{
	(void)f;
	nmis[smp_cpu()]++;
}

/* The sender's IPI has come to each of the set, once. */
static void await(unsigned me, unsigned set, const char *form)
{
	unsigned i;

	for (i = 0; i < CPUS; i++) {
		sent[i][me] += set >> i & 1;
		check(smp_wait(&got[i][me], sent[i][me]), "%s, %s: none from CPU %u at CPU %u",
		      mode, form, me, i);
	}
	for (i = 0; i < CPUS; i++)
		check(got[i][me] == sent[i][me], "%s, %s: %u of %u from CPU %u at CPU %u", mode,
		      form, got[i][me], sent[i][me], me, i);
}

static void fixed(unsigned me)
{
	unsigned to = smp_random(CPUS), v = VECTOR + me;

	apic_icr(to, ICR_FIXED | v);
	await(me, 1u << to, "to one");
	apic_icr(0, ICR_SELF | v);
	await(me, 1u << me, "to self");
	apic_icr(0, ICR_ALL | v);
	await(me, ALL, "to all");
	apic_icr(0, ICR_OTHERS | v);
	await(me, ALL & ~(1u << me), "to all others");
	apic_icr(~0u, ICR_FIXED | v);
	await(me, ALL, "broadcast");
	apic_icr(~0u, ICR_LOGICAL | ICR_FIXED | v);
	await(me, ALL, "logical broadcast");
}

/* One of them has it; which, is the machine's choice. */
static void lowest(unsigned me, unsigned set, u32 dest)
{
	unsigned i, want = one_of[me] + 1, more = 0;

	apic_icr(dest, ICR_LOGICAL | ICR_LOWEST | (VECTOR + me));
	check(smp_wait(&one_of[me], want), "%s: nobody has the lowest priority", mode);
	smp_relax(); /* for a second one to come, if it does */
	for (i = 0; i < CPUS; i++) {
		more += got[i][me] - sent[i][me];
		check(got[i][me] == sent[i][me] || set >> i & 1,
		      "%s: lowest priority at CPU %u, which was not addressed", mode, i);
		sent[i][me] = got[i][me];
	}
	check(more == 1, "%s: %u CPUs had the lowest priority", mode, more);
}

static void logical(unsigned me, address_fn *address)
{
	unsigned set = smp_random(ALL) + 1;
	u32 dest = address(set);

	if (!dest) { /* not by one message */
		set &= -set;
		dest = address(set);
	}
	apic_icr(dest, ICR_LOGICAL | ICR_FIXED | (VECTOR + me));
	await(me, set, "to a logical set");
	lowest(me, set, dest);
}

/* NMIs of several senders would merge: one sends at a time. */
static void nmi(unsigned me)
{
	unsigned i, before[CPUS];

	while (__atomic_exchange_n(&nmi_lock, 1, __ATOMIC_SEQ_CST))
		smp_relax();
	for (i = 0; i < CPUS; i++)
		before[i] = nmis[i];
	apic_icr(0, ICR_OTHERS | ICR_NMI);
	for (i = 0; i < CPUS; i++)
		check(i == me || smp_wait(&nmis[i], before[i] + 1), "%s: no NMI at CPU %u", mode,
		      i);
	for (i = 0; i < CPUS; i++)
		check(nmis[i] == before[i] + (i != me), "%s: %u NMIs of one at CPU %u", mode,
		      nmis[i] - before[i], i);
	__atomic_store_n(&nmi_lock, 0, __ATOMIC_SEQ_CST);
}

static void storm(unsigned me, const char *name, address_fn *address)
{
	unsigned i;

	smp_barrier();
	if (me == 0) {
		mode = name;
		print("smp_storm: %s\n", name);
	}
	smp_barrier();
	for (i = 0; i < ROUNDS; i++) {
		fixed(me);
		logical(me, address);
		if (i % 4 == 0)
			nmi(me);
	}
	smp_barrier();
}

static u32 flat(unsigned set)
{
	return set;
}

static u32 cluster(unsigned set)
{
	if (!(set & 0xf0))
		return set;
	return set & 0x0f ? 0 : 1u << 4 | set >> 4;
}

/* All in the first cluster of 16. */
static u32 x2apic(unsigned set)
{
	return set;
}

static void work(unsigned me)
{
	apic_write(APIC_LDR, 1u << (24 + me));
	storm(me, "flat", flat);
	apic_write(APIC_DFR, 0x0fffffff);
	apic_write(APIC_LDR, (me / 4 << 4 | 1u << me % 4) << 24);
	storm(me, "cluster", cluster);
	smp_use_x2apic();
	storm(me, "x2APIC", x2apic);
}

void test(void)
{
	unsigned i;

	for (i = 0; i < CPUS; i++)
		trap_handlers[VECTOR + i] = arrived;
	trap_handlers[VEC_NMI] = on_nmi;
	smp_init(CPUS, work);
	smp_start_all();
	work(0);
}
