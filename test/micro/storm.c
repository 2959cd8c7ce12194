/* SPDX-License-Identifier: MIT */
/*
 * Storms that a hostile guest can raise, each bounded here and each survived by both: exceptions by the ten thousand (#UD, #DB by TF and
 * by breakpoints in the handlers' own way, #AC, #PF), interrupts without EOI, timers of a nanosecond, IPIs to oneself, port I/O and unknown hypercalls.
 *
 * CLOCK: instructions
 */
#include "micro.h"

#define MANY 20000

static volatile unsigned count;

static void counting(struct frame *f)
{
	(void)f;
	count++;
	if (f->vector >= 0x20)
		apic_eoi();
}

static void skip_ud(struct frame *f)
{
	count++;
	f->rip += 2;
}

static void stop_stepping(struct frame *f)
{
	if (++count >= MANY)
		f->rflags &= ~RFLAGS_TF;
}

static void undefined(void)
{
	count = 0;
	trap_handlers[VEC_UD] = skip_ud;
	while (count < MANY)
		__asm__ volatile("ud2");
	trap_handlers[VEC_UD] = NULL;
}

static void single_steps(void)
{
	count = 0;
	trap_handlers[VEC_DB] = stop_stepping;
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq\n1:	cmpl %1, %0; jb 1b"
			 : "+m"(count)
			 : "i"(MANY)
			 : "cc");
	check(count >= MANY, "stepping ended after %u", count);
}

/* A data breakpoint on the stack that the delivery of its own #DB writes to. */
static void breakpoint_on_the_stack(void)
{
	u64 rsp = read_rsp();

	count = 0;
	trap_handlers[VEC_DB] = counting;
	write_dr0((rsp & ~15ULL) - 0x100);
	write_dr7(0x400 | 1 | 0xd0000); /* 8 bytes... of 4, write */
	while (count < 1000 && rsp) {
		write64((rsp & ~15ULL) - 0x100, 1);
		rsp = count ? rsp : 0;
	}
	write_dr7(0x400);
	write_dr6(DR6_RESET);
}

static volatile unsigned ac_count;

static void ac_in_ring3(void)
{
	unsigned i;

	__asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory", "cc");
	for (i = 0; i < 2000; i++)
		ac_count += TRY("mov 1(%%rsp), %%eax", : : : "rax", "memory") == VEC_AC;
	__asm__ volatile("pushfq; andq $~0x40000, (%%rsp); popfq" : : : "memory", "cc");
}

static void alignment(void)
{
	write_cr0(read_cr0() | CR0_AM);
	ring3_run(ac_in_ring3);
	write_cr0(read_cr0() & ~CR0_AM);
	/* Not every emulator has #AC at all; what counts is that all is well afterwards. */
	check(ac_count == 0 || ac_count == 2000, "%u of 2000 alignment checks", ac_count);
}

static void page_faults(void)
{
	unsigned i;

	for (i = 0; i < MANY; i++)
		check(TRY("mov (%0), %%eax",
			  :
			  : "r"(0x7f0000000000ULL + i * 4096ULL)
			  : "rax", "memory") == VEC_PF,
		      "no page fault");
}

/* Stops the timer by itself: the code outside need not get a single instruction done meanwhile. */
static void hundred(struct frame *f)
{
	(void)f;
	if (++count == 100)
		apic_write(APIC_TIMER_COUNT, 0);
	apic_eoi();
}

static void timers(void)
{
	unsigned i;

	count = 0;
	trap_handlers[0x41] = hundred;
	apic_write(APIC_LVT_TIMER, 0x41 | APIC_LVT_PERIODIC);
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_TIMER_COUNT, 1); /* every nanosecond */
	check(wait_for(&count, 100, 5000000), "%u of 100 interrupts in 5 seconds", count);
	sti_nop_cli();
	apic_write(APIC_LVT_TIMER, 0x41 | APIC_LVT_DEADLINE);
	for (i = 0; i < 2000; i++) {
		wrmsr(MSR_TSC_DEADLINE, i & 1 ? 1 : ~0ULL);
		sti_nop_cli();
	}
	wrmsr(MSR_TSC_DEADLINE, 0);
	sti_nop_cli();
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

static void ipis(void)
{
	unsigned i;

	count = 0;
	trap_handlers[0x42] = counting;
	sti();
	for (i = 0; i < MANY / 4; i++)
		apic_icr(0, 0x40000 | 0x42);
	__asm__ volatile("nop; nop");
	cli();
	check_equal("IPIs", count, MANY / 4);
	/* Vectors that no interrupt may have, INIT and SIPI to oneself by "all but self", reserved modes. */
	for (i = 0; i < 16; i++)
		apic_icr(0, 0x40000 | i);
	for (i = 0; i < 8; i++)
		if (i != 4 && i != 5 && i != 6)
			apic_icr(0x55, i << 8 | 0x42);
	apic_icr(0, 0xc0500);
	apic_icr(0, 0xc0608);
	apic_write(APIC_ESR, 0);
	sti_nop_cli();
}

static void calls(void)
{
	unsigned i;

	for (i = 0; i < MANY; i++)
		(void)inb(0x1000 + i);
	for (i = 0; i < MANY; i++)
		(void)hypercall(0x48560000ULL + i * 0x100000001ULL, i, i, i);
}

void test(void)
{
	static const struct {
		const char *name;
		void (*raise)(void);
	} storms[] = {
		{"#UD", undefined},
		{"single steps", single_steps},
		{"breakpoints", breakpoint_on_the_stack},
		{"#AC", alignment},
		{"page faults", page_faults},
		{"timers", timers},
		{"IPIs", ipis},
		{"calls", calls},
	};
	unsigned i;

	apic_enable();
	for (i = 0; i < ARRAY_SIZE(storms); i++) {
		print("storm: %s\n", storms[i].name); /* which one it was, should it not end */
		storms[i].raise();
	}
}
