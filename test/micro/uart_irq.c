/* SPDX-License-Identifier: MIT */
/*
 * The UART's interrupt through the I/O APIC's pin 4: transmitter empty, received data (by loop-back) and its end, identified
 * in the order of their priorities; level-triggered it comes again until its cause is gone, masked it does not come.
 * TI PC16550D, "Interrupt Identification Register"; Intel 82093AA, "I/O Redirection Table".
 */
#include "micro.h"

#define VECTOR   0x44
#define IER      (UART + 1)
#define IIR      (UART + 2)
#define LCR      (UART + 3)
#define MCR      (UART + 4)
#define LSR      (UART + 5)
#define IIR_NONE 1
#define IIR_THRE 2
#define IIR_RX   4
#define LOOP     0x10

static volatile unsigned interrupts;
static volatile u8 causes[16], received;

static void uart(struct frame *f)
{
	u8 iir = inb(IIR) & 0xf;

	(void)f;
	if (interrupts < ARRAY_SIZE(causes))
		causes[interrupts] = iir;
	interrupts++;
	if (iir == IIR_RX || iir == 0xc)
		received = inb(UART);
	apic_eoi();
}

static void uart_ignored(struct frame *f)
{
	(void)f;
	if (++interrupts == 20)
		ioapic_route(4, APIC_LVT_MASKED | VECTOR);
	apic_eoi();
}

static void transmitter_empty(u64 trigger)
{
	interrupts = 0;
	ioapic_route(4, trigger | VECTOR);
	outb(IER, 2);
	check(wait_for(&interrupts, 1, 1000000), "no interrupt when the transmitter is empty");
	check_equal("cause", causes[0], IIR_THRE);
	check(!wait_for(&interrupts, 2, 3000), "an identified THRE interrupt came again");
	outb(UART, '\n');
	check(wait_for(&interrupts, 2, 1000000), "no interrupt after a character");
	outb(IER, 0);
	check_equal("IIR with nothing enabled", inb(IIR) & 0xf, IIR_NONE);
}

/* A byte in the receiver. The line's interrupt is gated by OUT2, which is inactive in loop-back. */
static void receive(u8 byte)
{
	outb(MCR, LOOP | 0xb);
	outb(UART, byte);
	while (!(inb(LSR) & 1))
		;
	outb(MCR, 0xb);
}

static void received_data(void)
{
	interrupts = 0;
	outb(IER, 1);
	check(!wait_for(&interrupts, 1, 3000), "an interrupt without data");
	receive(0x5a);
	check(wait_for(&interrupts, 1, 1000000), "no interrupt for data that came back");
	check_equal("cause", causes[0], IIR_RX);
	check_equal("data", received, 0x5a);
	check(!wait_for(&interrupts, 2, 3000), "data that was read interrupts again");
	check_equal("LSR data ready", inb(LSR) & 1, 0);
	outb(IER, 0);
}

static void masked_and_level(void)
{
	ioapic_route(4, APIC_LVT_MASKED | BIT(15) | VECTOR);
	interrupts = 0;
	outb(IER, 2);
	check(!wait_for(&interrupts, 1, 3000), "a masked pin interrupts");
	check_equal("pending cause", inb(IIR) & 0xf, IIR_THRE);
	/* Nobody removes the cause: data waits. */
	outb(IER, 0);
	trap_handlers[VECTOR] = uart_ignored;
	outb(IER, 1);
	receive(1);
	ioapic_route(4, BIT(15) | VECTOR);
	check(wait_for(&interrupts, 20, 1000000),
	      "level-triggered, and only %u interrupts for data that nobody reads", interrupts);
	check(inb(LSR) & 1, "the data is gone");
	(void)inb(UART);
	outb(IER, 0);
}

void test(void)
{
	trap_handlers[VECTOR] = uart;
	apic_enable();
	outb(LCR, 3);
	outb(IIR, 1);
	outb(MCR, 0xb);
	transmitter_empty(0);
	transmitter_empty(BIT(15));
	received_data();
	masked_and_level();
}
