/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=5
 * HOST-CPUS: 2
 * EXPECT-RESETS: 3
 * EXPECT-LOG: was stopped: it executes
 *
 * What a hostile guest with several CPUs can do to itself, at any moment of its other CPUs: storms of INITs, start-up IPIs, NMIs and
 * interrupts in all directions; resets by a port and by a triple fault while the others run; INIT to the first CPU out of the storm; and in the end, by one CPU, what it
 * is stopped for. Each ends that life of the guest and no other's (the boot case guests/svm-hostile has neighbours).
 */
#include "smp.h"

#define CPUS   5
#define STORM  300
#define VECTOR 0x50

static volatile unsigned nmis, interrupts, storming;

static void on_nmi(struct frame *f)
{
	(void)f;
	nmis++;
}

static void on_interrupt(struct frame *f)
{
	(void)f;
	interrupts++;
	apic_eoi();
}

/*
 * Anything to any sibling. NMIs to the first CPU only: one that meets a CPU before it has its IDT would end the storm by a triple fault,
 * each time at another moment.
 */
static void shoot(void)
{
	unsigned to = 1 + smp_random(CPUS - 1);

	switch (smp_random(6)) {
	case 0:
		apic_icr(to, ICR_INIT);
		break;
	case 1:
	case 2:
		apic_icr(to, ICR_SIPI);
		break;
	case 3:
		apic_icr(0, ICR_NMI);
		break;
	case 4:
		apic_icr(to, ICR_FIXED | VECTOR);
		break;
	default:
		apic_icr(0, ICR_OTHERS | ICR_FIXED | VECTOR);
		break;
	}
}

static void storm(unsigned cpu)
{
	(void)cpu;
	sti();
	for (;;) {
		shoot();
		(void)inb(0x80);
	}
}

static void start_again(void)
{
	apic_icr(0, ICR_OTHERS | ICR_INIT);
	apic_icr(0, ICR_OTHERS | ICR_SIPI);
}

static void raise(void)
{
	unsigned i;

	sti();
	for (i = 0; i < STORM; i++) {
		if (i % 128 == 0)
			start_again();
		shoot();
	}
	cli();
	check(nmis > 0, "no NMI came in the storm");
}

static void triple_fault(void)
{
	struct desc_ptr none = {0, 0};

	lidt(&none);
	__asm__ volatile("ud2");
}

void test(void)
{
	u8 stage = cmos_read(CMOS_STAGE);

	trap_handlers[VEC_NMI] = on_nmi;
	trap_handlers[VECTOR] = on_interrupt;
	smp_init(CPUS, storm);
	cmos_write(CMOS_STAGE, stage + 1);
	print("smp_hostile: life %u\n", stage);
	raise();
	switch (stage) {
	case 0:
		outb(0xcf9, 6);
		break;
	case 1:
		triple_fault();
		break;
	case 2:
		apic_icr(0, ICR_SELF | VECTOR);
		apic_icr(0, ICR_INIT);
		break;
	default:
		pass_early();
		((void (*)(void))HOLE)();
	}
	fail("it goes on after the end of life %u", stage);
}
