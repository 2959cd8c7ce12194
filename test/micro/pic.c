/* SPDX-License-Identifier: MIT */
/*
 * The PIC's interrupts reach the CPU in each way that a PC has: with the local APIC as firmware leaves it (virtual wire), with it
 * turned off, by an ExtINT entry of the I/O APIC; and by LINT0 as an NMI or an interrupt of the local APIC's. Masks, the order of
 * priority, a spurious vector, and TPR, which does not hold them back. Intel 8259A data sheet; MultiProcessor specification 1.4
 * "Interrupt Modes"; SDM vol. 3 "Local Vector Table".
 */
#include "micro.h"

#define BASE 0x60

static volatile unsigned timer, rtc, nmis, spurious, own;
static volatile unsigned order, timer_order, rtc_order;

static void eoi(unsigned irq)
{
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static void on_timer(struct frame *f)
{
	(void)f;
	timer++;
	if (!timer_order)
		timer_order = ++order;
	eoi(0);
}

static void on_rtc(struct frame *f)
{
	(void)f;
	rtc++;
	if (!rtc_order)
		rtc_order = ++order;
	(void)cmos_read(0xc);
	eoi(8);
}

static void on_spurious(struct frame *f)
{
	(void)f;
	spurious++;
}

static void on_own(struct frame *f)
{
	(void)f;
	own++;
	apic_eoi();
}

static void on_nmi(struct frame *f)
{
	(void)f;
	nmis++;
}

static void pic_start(u16 mask)
{
	outb(0x20, 0x11);
	outb(0x21, BASE);
	outb(0x21, 1 << 2);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, BASE + 8);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, (u8)mask);
	outb(0xa1, (u8)(mask >> 8));
}

/* Counter 0, a rate generator of 1 kHz, or stopped: mode 0 without a count. */
static void pit_run(bool on)
{
	outb(0x43, on ? 0x34 : 0x30);
	if (on) {
		outb(0x40, 1193 & 0xff);
		outb(0x40, 1193 >> 8);
	}
}

/* It comes again and again, and no more once it is masked. */
static void comes(const char *how)
{
	timer = 0;
	pit_run(true);
	check(wait_for(&timer, 5, 3000000), "%s: %u interrupts of the PIT in 3 seconds", how,
	      timer);
	outb(0x21, 0xfb);
	sti_nop_cli();
	timer = 0;
	check(!wait_for(&timer, 1, 20000), "%s: an interrupt that is masked", how);
	outb(0x21, 0xfa);
	check(wait_for(&timer, 1, 1000000), "%s: none after it was unmasked", how);
	outb(0x21, 0xfb);
	pit_run(false);
	sti_nop_cli();
}

static void virtual_wire(void)
{
	check_equal("LINT0 at the start", apic_read(APIC_LVT_LINT0), 0x700);
	check_equal("the local APIC is on at the start", apic_read(APIC_SVR) & 0x100, 0x100);
	comes("virtual wire");
	apic_write(APIC_TPR, 0xff); /* not the local APIC's: not held back */
	outb(0x21, 0xfa);
	comes("virtual wire, TPR 0xff");
	apic_write(APIC_TPR, 0);
}

/* Both wait: the PIT's goes first; the RTC's comes by way of the other chip. */
static void priorities(void)
{
	order = timer_order = rtc_order = timer = rtc = 0;
	cmos_write(0xa, 0x26);
	cmos_write(0xb, 0x42);
	(void)cmos_read(0xc);
	pit_run(true);
	outb(0xa1, 0xfe);
	delay_us(20000);
	outb(0x20, 0x0a);
	check_equal("IRR of the first chip", inb(0x20) & 5, 5);
	outb(0x21, 0xfa);
	check(wait_for(&rtc, 1, 1000000), "no interrupt of the RTC");
	check(timer_order == 1, "the PIT's interrupt was number %u", timer_order);
	check(rtc_order > timer_order, "the RTC's interrupt went first");
	cmos_write(0xb, 0x02);
	(void)cmos_read(0xc);
	pit_run(false);
	outb(0x21, 0xfb);
	outb(0xa1, 0xff);
	sti_nop_cli();
}

/* The line drops between INT and its acknowledge: IR7, which is not in service. The way there is the ExtINT entry's. */
static void by_ioapic(void)
{
	apic_write(APIC_LVT_LINT0, 0x10700);
	outb(0x21, 0xfa);
	timer = 0;
	pit_run(true);
	check(!wait_for(&timer, 1, 20000), "an interrupt although LINT0 is masked");
	pit_run(false);
	outb(0x21, 0xfb);
	sti_nop_cli();
	timer = 0;
	ioapic_route(0, 0x700);
	outb(0x21, 0xfa);
	comes("ExtINT of the I/O APIC");
	pit_run(true);
	outb(0x21, 0xfa);
	delay_us(20000); /* it has been sent, and interrupts are off */
	outb(0x21, 0xff);
	timer = 0;
	sti_nop_cli();
	check_equal("spurious interrupts", spurious, 1);
	check_equal("interrupts with all masked", timer, 0);
	outb(0x20, 0x0b);
	check_equal("ISR after a spurious one", inb(0x20), 0);
	pit_run(false);
	ioapic_route(0, 0x10000);
}

static void by_lint0(void)
{
	apic_write(APIC_LVT_LINT0, 0x400);
	outb(0x21, 0xfa);
	pit_run(true);
	check(wait_for(&nmis, 1, 1000000), "LINT0 as NMI: none came");
	pit_run(false);
	outb(0x21, 0xff);
	apic_write(APIC_LVT_LINT0, 0x50);
	(void)inb(0x20);
	outb(0x20, 0x20);
	outb(0x21, 0xfa);
	pit_run(true);
	check(wait_for(&own, 1, 1000000), "LINT0 as a fixed interrupt: none came");
	pit_run(false);
	outb(0x21, 0xff);
	apic_write(APIC_LVT_LINT0, 0x10000);
}

static void apic_off(void)
{
	u64 base;

	check(try_rdmsr(MSR_APIC_BASE, &base) == NO_FAULT, "IA32_APIC_BASE cannot be read");
	check(try_wrmsr(MSR_APIC_BASE, base & ~BIT(11)) == NO_FAULT,
	      "the local APIC cannot be turned off");
	pic_start(0xfffa);
	comes("local APIC off");
}

void test(void)
{
	trap_handlers[BASE] = on_timer;
	trap_handlers[BASE + 8] = on_rtc;
	trap_handlers[BASE + 7] = on_spurious;
	trap_handlers[0x50] = on_own;
	trap_handlers[VEC_NMI] = on_nmi;
	pic_start(0xfffa);
	virtual_wire();
	priorities();
	by_ioapic();
	by_lint0();
	apic_off();
}
