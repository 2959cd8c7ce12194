/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of root mode: the CPU's timer, waiting, and the console's input. Called by boot/main.c at the start, then
 * by vmm/core through vmm/host.h. Root mode runs with interrupts off; they are taken in host_idle(), at VM exits, and
 * nowhere else. docs/architecture.md "The run loop".
 */
#include "arch/host/host.h"

#include <arch/insn.h>
#include <vmm/host.h>
#include <vmm/log.h>

#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE_DATA  0xa1

/* How often a console without an interrupt is looked at; and while somebody types, lest its FIFO overflows. */
#define CONSOLE_POLL_HZ      100
#define CONSOLE_POLL_BUSY_HZ 1000

static const struct {
	u16 port;
	u8 irq;
} com_irqs[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

bool irq_init(void)
{
	outb(PIC_MASTER_DATA, 0xff);
	outb(PIC_SLAVE_DATA, 0xff);
	if (!lapic_init())
		return false;
	ioapic_init();
	log_debug("local APIC %u: %s, timer: %s; I/O APICs: %u", host.lapic.id,
		  host.lapic.mmio ? "xAPIC" : "x2APIC",
		  host.lapic.deadline_mode ? "TSC deadline" : "one-shot", host.ioapics);
	return true;
}

/* The nearer of what was asked for and the next look at the console. */
static void timer_program(void)
{
	lapic_timer_set(MIN(host.cpu.deadline, host.cpu.console_poll));
}

void host_timer_arm(u64 deadline)
{
	if (host.cpu.deadline == deadline) /* not fired yet */
		return;
	host.cpu.deadline = deadline;
	timer_program();
}

void timer_interrupt(void)
{
	struct pcpu *cpu = &host.cpu;
	u64 now = host_ticks();

	if (cpu->console_poll <= now) {
		u32 before = host.console.rx_head;

		console_service(&host.console);
		if (host.console.rx_head != before)
			cpu->console_busy = now + host_tick_hz();
		cpu->console_poll = now + host_tick_hz() / (now < cpu->console_busy ?
								    CONSOLE_POLL_BUSY_HZ :
								    CONSOLE_POLL_HZ);
	}
	if (cpu->deadline <= now)
		cpu->deadline = HOST_TIMER_OFF;
	/* The counter may have been too short, or it was the console's turn. */
	timer_program();
}

void host_idle(void)
{
	sti_hlt_cli();
}

void host_kick(unused unsigned cpu)
{
	lapic_self_ipi(IRQ_VECTOR_KICK);
}

void console_start(void)
{
	struct uart *u = &host.console.uart;

	if (!u->present)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(com_irqs); i++) {
		if (com_irqs[i].port != u->port ||
		    !ioapic_route_isa(com_irqs[i].irq, IRQ_VECTOR_CONSOLE))
			continue;
		uart_irq_enable(u);
		/* What has arrived already may have made its edge before the pin listened. */
		console_service(&host.console);
		return;
	}
	log_info("the console at port %#x has no interrupt: polled %u times a second", u->port,
		 CONSOLE_POLL_HZ);
	u->sync = true;
	uart_flush(u);
	host.cpu.console_poll = host_ticks();
	timer_program();
}
