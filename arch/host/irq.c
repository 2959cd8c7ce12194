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

/* Looks at the ports in one interrupt: one that always wants something is not served for ever. */
#define CONSOLE_PASSES 64

#define KEYBOARD_IRQ 1

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
	log_debug("local APIC %u: %s, timer: %s; I/O APICs: %u", host.boot_cpu.apic_id,
		  host.lapic.mmio ? "xAPIC" : "x2APIC",
		  host.lapic.deadline_mode ? "TSC deadline" : "one-shot", host.ioapics);
	return true;
}

/* The nearer of what was asked for and the next look at the console. */
static void timer_program(const struct pcpu *cpu)
{
	lapic_timer_set(MIN(cpu->deadline, cpu->console_poll));
}

void host_timer_arm(unsigned cpu, u64 deadline)
{
	struct pcpu *here = host.cpu[cpu];

	if (here->deadline == deadline) /* not fired yet */
		return;
	here->deadline = deadline;
	timer_program(here);
}

void timer_interrupt(struct pcpu *cpu)
{
	u64 now = host_ticks();

	if (cpu->console_poll <= now) {
		(void)serial_service();
		if (console_service(&host.console))
			cpu->console_busy = now + host_tick_hz();
		cpu->console_poll = now + host_tick_hz() / (now < cpu->console_busy ?
								    CONSOLE_POLL_BUSY_HZ :
								    CONSOLE_POLL_HZ);
	}
	if (cpu->deadline <= now)
		cpu->deadline = HOST_TIMER_OFF;
	/* The counter may have been too short, or it was the console's turn. */
	timer_program(cpu);
}

void host_idle(void)
{
	sti_hlt_cli();
}

void host_kick(unsigned cpu)
{
	lapic_ipi(host.cpu[cpu]->apic_id, IRQ_VECTOR_KICK);
}

static void poll_start(void)
{
	host.boot_cpu.console_poll = host_ticks();
	timer_program(&host.boot_cpu);
}

static void keyboard_start(void)
{
	console_keyboard_init(&host.console);
	if (!host.console.kbd.present)
		return;
	if (ioapic_route_isa(KEYBOARD_IRQ, IRQ_VECTOR_CONSOLE))
		console_service(&host.console); /* as below */
	else
		poll_start();
}

/*
 * COM1 and COM3 may share a line, COM2 and COM4 too, whose edge is what interrupts: it must have been low, so all of them
 * must have wanted nothing at once.
 */
void console_interrupt(void)
{
	for (unsigned pass = 0; pass < CONSOLE_PASSES; pass++) {
		bool worked = serial_service();

		console_service(&host.console);
		if (!host.serials || !(worked || host.console.uart.worked))
			return;
	}
}

/* True: the port's interrupt comes. Else it is polled. */
static bool route(const struct uart *u)
{
	for (unsigned i = 0; i < ARRAY_SIZE(com_irqs); i++)
		if (com_irqs[i].port == u->port)
			return ioapic_route_isa(com_irqs[i].irq, IRQ_VECTOR_CONSOLE);
	return false;
}

void uart_start(struct uart *u)
{
	if (route(u)) {
		uart_irq_enable(u);
		return;
	}
	log_info("the serial port at %#x has no interrupt: polled %u times a second", u->port,
		 CONSOLE_POLL_HZ);
	u->sync = true;
	uart_flush(u);
	poll_start();
}

void console_start(void)
{
	struct uart *u = &host.console.uart;

	keyboard_start();
	if (!u->present)
		return;
	uart_start(u);
	/* What has arrived already may have made its edge before the pin listened. */
	console_service(&host.console);
}
