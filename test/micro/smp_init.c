/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=4
 * HOST-CPUS: 2
 * EXPECT-RESETS: 1
 *
 * INIT in the middle of things: it stops a CPU that halts (with interrupts on or off), that loops, that is handling an interrupt, that
 * is in real mode, that waits for a start-up IPI; and each starts afresh afterwards, with no interrupt left in service, its TSC and
 * APIC ID as they were. A start-up IPI means nothing to a CPU that runs, and the second of two nothing either; an NMI before the
 * INIT is lost. INIT to the first CPU restarts the guest. SDM vol. 3 "MP Initialization Protocol Algorithm".
 */
#include "smp.h"

#define CPUS      4
#define VECTOR    0x45
#define REAL_MODE 0x9000ULL /* a page of real-mode code */
#define COUNTER   0x9800ULL

enum doing { LOOP, HALT, HALT_DEAF, IN_HANDLER };

static volatile enum doing doing;
static volatile unsigned work[CPUS], taken[CPUS], in_handler, nmis;
static volatile u64 tsc_at_start[CPUS];

extern const u8 real_code[], real_code_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"real_code: xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"1:	incl 0x9800\n"
	"	jmp 1b\n"
	"real_code_end:\n"
	".code64\n"
	".popsection\n");

static void on_interrupt(struct frame *f)
{
	(void)f;
	if (doing == IN_HANDLER) {
		in_handler = 1;
		for (;;)
			work[smp_cpu()]++;
	}
	taken[smp_cpu()]++;
	apic_eoi();
}

static void on_nmi(struct frame *f)
{
	(void)f;
	nmis++;
}

static void other(unsigned cpu)
{
	tsc_at_start[cpu] = rdtsc();
	check(apic_read(APIC_ID) >> 24 == cpu, "CPU %u has the APIC ID %u", cpu,
	      apic_read(APIC_ID) >> 24);
	if (doing != HALT_DEAF)
		sti();
	for (;;) {
		work[cpu]++;
		if (doing == HALT || doing == HALT_DEAF)
			hlt();
	}
}

/* Its interrupts come, and nothing is in service from before. */
static void is_well(unsigned cpu)
{
	unsigned before = taken[cpu];

	doing = LOOP;
	apic_icr(cpu, ICR_FIXED | VECTOR);
	check(smp_wait(&taken[cpu], before + 1), "CPU %u takes no interrupt", cpu);
}

static bool stands_still(volatile unsigned *word)
{
	unsigned was, i, same = 0;

	for (i = 0; i < 200 && same < 20; i++) {
		was = *word;
		smp_relax();
		same = *word == was ? same + 1 : 0;
	}
	return same == 20;
}

/* The CPU does something, gets an INIT, does nothing; then it starts anew. */
static void interrupted_in(enum doing what, const char *name)
{
	unsigned cpu = 1, starts;
	u64 before;

	doing = what;
	smp_start(cpu);
	before = work[cpu];
	check(smp_wait(&work[cpu], before + (what == LOOP)), "%s: no work", name);
	if (what == IN_HANDLER) {
		apic_icr(cpu, ICR_FIXED | VECTOR);
		check(smp_wait(&in_handler, 1), "%s: it does not come there", name);
	}
	smp_relax();
	starts = smp_starts[cpu];
	apic_icr(cpu, ICR_INIT);
	check(stands_still(&work[cpu]), "%s: it works on after INIT", name);
	apic_icr(cpu, ICR_FIXED | VECTOR); /* nothing to one that waits for a start-up IPI */
	smp_relax();
	check(smp_starts[cpu] == starts, "%s: it starts by itself", name);
	doing = LOOP;
	before = rdtsc();
	apic_icr(cpu, ICR_SIPI);
	check(smp_wait(&smp_starts[cpu], starts + 1), "%s: it does not start again", name);
	check(tsc_at_start[cpu] >= before || tsc_at_start[cpu] == 0,
	      "%s: its TSC went back by the INIT", name);
	is_well(cpu);
}

/* It runs: INIT alone makes a difference. */
static void sipi_alone(void)
{
	unsigned cpu = 1, starts = smp_starts[cpu], before = work[cpu];

	apic_icr(cpu, ICR_SIPI);
	apic_icr(cpu, 0x4600 | REAL_MODE >> 12);
	check(smp_wait(&work[cpu], before + 1000), "a start-up IPI stops a CPU that runs");
	check(smp_starts[cpu] == starts, "a CPU that runs is started");
}

static void twice(void)
{
	unsigned cpu = 2, starts;

	doing = LOOP;
	smp_start(cpu);
	starts = smp_starts[cpu];
	apic_icr(cpu, ICR_INIT);
	apic_icr(cpu, ICR_INIT);
	smp_relax();
	apic_icr(cpu, ICR_INIT); /* it waits already */
	apic_icr(cpu, ICR_SIPI);
	check(smp_wait(&smp_starts[cpu], starts + 1), "INIT, INIT: it does not start");
	apic_icr(cpu, ICR_INIT);
	apic_icr(cpu, ICR_SIPI);
	apic_icr(cpu, ICR_SIPI);
	check(smp_wait(&smp_starts[cpu], starts + 2), "two start-up IPIs: it does not start");
	is_well(cpu);
	check(smp_starts[cpu] == starts + 2, "two start-up IPIs: it started %u times",
	      smp_starts[cpu] - starts - 1);
	/* The last one says what is. */
	apic_icr(cpu, ICR_INIT);
	apic_icr(cpu, ICR_SIPI);
	apic_icr(cpu, ICR_INIT);
	check(stands_still(&work[cpu]), "INIT, start-up, INIT: it runs");
}

/* In real mode, where only IVT and BIOS data are: stopped there, and started elsewhere. */
static void real_mode(void)
{
	volatile unsigned *counter = (volatile unsigned *)COUNTER;
	unsigned cpu = 3;

	memory_copy((void *)REAL_MODE, real_code, (u64)(real_code_end - real_code));
	*counter = 0;
	apic_icr(cpu, ICR_INIT);
	apic_icr(cpu, 0x4600 | REAL_MODE >> 12);
	check(smp_wait(counter, 1000), "no work in real mode");
	apic_icr(cpu, ICR_INIT);
	check(stands_still(counter), "it works on in real mode after INIT");
	smp_start(cpu);
	is_well(cpu);
	check(stands_still(counter), "it works in real mode after another start");
}

static void nmi_before_init(void)
{
	unsigned cpu = 3;

	apic_icr(cpu, ICR_INIT);
	check(stands_still(&work[cpu]), "it works on after INIT");
	apic_icr(cpu, ICR_NMI);
	smp_relax();
	smp_start(cpu); /* by another INIT */
	is_well(cpu);
	check_equal("NMIs from before INIT", nmis, 0);
	apic_icr(cpu, ICR_NMI);
	check(smp_wait(&nmis, 1), "no NMI after INIT");
}

static void restart(unsigned cpu)
{
	(void)cpu;
	apic_icr(0, ICR_INIT);
	for (;;)
		pause_cpu();
}

void test(void)
{
	trap_handlers[VECTOR] = on_interrupt;
	trap_handlers[VEC_NMI] = on_nmi;
	if (cmos_read(CMOS_STAGE))
		return;
	smp_init(CPUS, other);
	interrupted_in(LOOP, "in a loop");
	sipi_alone();
	interrupted_in(HALT, "halted");
	interrupted_in(HALT_DEAF, "halted with interrupts off");
	interrupted_in(IN_HANDLER, "in a handler");
	twice();
	real_mode();
	nmi_before_init();
	cmos_write(CMOS_STAGE, 1);
	smp_init(CPUS, restart);
	smp_start(1);
	smp_relax();
	for (;;)
		smp_relax();
}
