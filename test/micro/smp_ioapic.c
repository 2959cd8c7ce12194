/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=4
 * HOST-CPUS: 2
 *
 * Level-triggered interrupts of the I/O APIC among several CPUs: as long as the line is high each EOI brings the next, wherever it is
 * done; remote IRR is set from delivery to EOI; a destination that changes meanwhile is the next one's; one that nobody has keeps the
 * interrupt, and no remote IRR, until it is another. Intel 82093AA data sheet "I/O Redirection Table Registers"; SDM vol. 3 "Signaling Interrupt Servicing
 * Completion".
 */
#include "smp.h"

#define CPUS       4
#define VECTOR     0x61
#define PIN        4
#define REDIR      (0x10u + 2 * PIN)
#define LEVEL      BIT(15)
#define REMOTE_IRR BIT(14)
#define MASKED     BIT(16)
#define TO_LOGICAL BIT(11)
#define TO_LOWEST  BIT(8)

static volatile unsigned hits[CPUS], total, ended, without_irr, in_service, let_go;
static volatile unsigned stop_at; /* hits after which the device is quiet */
static volatile unsigned hold;    /* the handler waits before its EOI */
static volatile unsigned rotate;  /* the handler sends the next one to another CPU */

static void line(bool high)
{
	outb(UART + 4, 8);            /* OUT2 */
	outb(UART + 1, high ? 2 : 0); /* transmitter empty */
}

static void route(unsigned cpu, u64 flags)
{
	ioapic_write(REDIR, MASKED | LEVEL | VECTOR);
	ioapic_write(REDIR + 1, cpu << 24);
	ioapic_write(REDIR, (u32)(flags | LEVEL | VECTOR));
}

static void on_interrupt(struct frame *f)
{
	unsigned cpu = smp_cpu(), n = ++total;

	(void)f;
	hits[cpu]++;
	if (!(ioapic_read(REDIR) & REMOTE_IRR))
		without_irr++;
	if (n >= stop_at)
		line(false);
	if (rotate)
		ioapic_write(REDIR + 1, (1 + n % (CPUS - 1)) << 24);
	if (hold) {
		in_service = 1;
		while (!let_go)
			pause_cpu();
	}
	apic_eoi();
	__atomic_fetch_add(&ended, 1, __ATOMIC_SEQ_CST);
}

static void forget(unsigned stop)
{
	unsigned i;

	for (i = 0; i < CPUS; i++)
		hits[i] = 0;
	total = ended = without_irr = in_service = let_go = hold = rotate = 0;
	stop_at = stop;
}

static void ends_well(const char *what)
{
	check(smp_wait(&ended, stop_at), "%s: %u of %u handlers have ended", what, ended, stop_at);
	smp_relax();
	check(total == stop_at, "%s: %u interrupts, not %u", what, total, stop_at);
	check(!without_irr, "%s: remote IRR is clear while it is in service", what);
	check(!(ioapic_read(REDIR) & REMOTE_IRR), "%s: remote IRR is left", what);
}

static void again_and_again(void)
{
	forget(20);
	route(1, 0);
	line(true);
	check(smp_wait(&total, 20), "the line is high, and %u interrupts came of 20", total);
	ends_well("to one CPU");
	check_equal("interrupts at CPU 1", hits[1], 20);
}

static void logical(void)
{
	forget(10);
	route(0xc, TO_LOGICAL | TO_LOWEST);
	line(true);
	check(smp_wait(&total, 10), "lowest priority: %u interrupts of 10", total);
	ends_well("lowest priority");
	check_equal("interrupts at CPUs 2 and 3", hits[2] + hits[3], 10);
}

static void moved_in_service(void)
{
	forget(2);
	hold = 1;
	route(1, 0);
	line(true);
	check(smp_wait(&in_service, 1), "no interrupt at CPU 1");
	ioapic_write(REDIR + 1, 2 << 24);
	check(ioapic_read(REDIR) & REMOTE_IRR, "remote IRR is lost by another destination");
	smp_relax();
	check_equal("interrupts before the EOI", total, 1);
	hold = 0;
	let_go = 1;
	check(smp_wait(&hits[2], 1), "no interrupt at the new destination");
	ends_well("moved");
	check_equal("interrupts at CPU 1", hits[1], 1);
}

/* Masked while in service: the EOI brings none, unmasking does. */
static void masked_in_service(void)
{
	forget(2);
	hold = 1;
	route(1, 0);
	line(true);
	check(smp_wait(&in_service, 1), "no interrupt at CPU 1");
	ioapic_write(REDIR, MASKED | LEVEL | VECTOR);
	hold = 0;
	let_go = 1;
	check(smp_wait(&ended, 1), "the handler does not end");
	smp_relax();
	check_equal("interrupts while masked", total, 1);
	ioapic_write(REDIR, LEVEL | VECTOR);
	check(smp_wait(&total, 2), "no interrupt after unmasking");
	ends_well("masked");
}

static void nobody(void)
{
	forget(1);
	route(0x77, 0);
	line(true);
	smp_relax();
	check_equal("interrupts to nobody", total, 0);
	check(!(ioapic_read(REDIR) & REMOTE_IRR), "remote IRR, and nobody has it");
	ioapic_write(REDIR + 1, 3 << 24);
	check(smp_wait(&hits[3], 1), "no interrupt at a destination that is there");
	ends_well("nobody");
}

/* Each to the next CPU. */
static void round_and_round(void)
{
	unsigned i;

	forget(300);
	rotate = 1;
	route(1, 0);
	line(true);
	check(smp_wait(&total, 300), "rotating: %u interrupts of 300", total);
	ends_well("rotating");
	for (i = 1; i < CPUS; i++)
		check(hits[i] == 100, "rotating: %u of 100 at CPU %u", hits[i], i);
}

static void work(unsigned cpu)
{
	apic_write(APIC_LDR, 1u << (24 + cpu));
	smp_barrier();
	for (;;)
		__asm__ volatile("sti; hlt" : : : "memory");
}

void test(void)
{
	trap_handlers[VECTOR] = on_interrupt;
	smp_init(CPUS, work);
	smp_start_all();
	apic_write(APIC_LDR, 1u << 24);
	smp_barrier();
	again_and_again();
	logical();
	moved_in_service();
	masked_in_service();
	nobody();
	round_and_round();
}
