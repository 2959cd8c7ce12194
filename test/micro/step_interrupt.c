/* SPDX-License-Identifier: MIT */
/*
 * An instruction that the hypervisor carries out makes an interrupt or NMI pending while TF is set: the single-step trap behind it
 * comes first, and is not lost. SDM vol. 3 "Priority Among Concurrent Events", "Delivery of Pending Debug Exceptions after VM Entry".
 */
#include "micro.h"

#define VECTOR 0x60

static volatile u64 behind;
static volatile u64 event_rip;
static volatile unsigned order, steps_behind, step_order, events, event_order;

static void step(struct frame *f)
{
	write_dr6(DR6_RESET);
	if (f->rip == behind) {
		steps_behind++;
		step_order = ++order;
	}
}

static void arrived(struct frame *f)
{
	events++;
	event_order = ++order;
	event_rip = f->rip;
	if (f->vector == VECTOR)
		apic_eoi();
}

static void self_ipi(const char *name, u32 icr)
{
	order = steps_behind = events = 0;
	__asm__ volatile("movq $2f, behind\n\t"
			 "pushfq; orq $0x300, (%%rsp); popfq\n"
			 "1:	mov %%eax, (%%rdx)\n"
			 "2:	nop\n\t"
			 "pushfq; andq $~0x300, (%%rsp); popfq"
			 :
			 : "a"(icr), "d"(LAPIC + APIC_ICR)
			 : "memory", "cc");
	check(events == 1, "%s: it came %u times", name, events);
	check(steps_behind == 1, "%s: %u times #DB behind the instruction, not 1", name,
	      steps_behind);
}

void test(void)
{
	trap_handlers[VEC_DB] = step;
	trap_handlers[VECTOR] = arrived;
	trap_handlers[VEC_NMI] = arrived;
	apic_enable();
	self_ipi("interrupt", 0x40000 | VECTOR);
	check(step_order < event_order, "the interrupt came before the #DB");
	/* The handler of #DB does not hold back NMIs: it is interrupted at its first instruction. */
	self_ipi("NMI", 0x40400);
	check_equal("RIP at which the NMI came", event_rip, trap_entry(VEC_DB));
	self_ipi("interrupt again", 0x40000 | VECTOR);
	check(step_order < event_order, "the interrupt came before the #DB, after an NMI");
}
