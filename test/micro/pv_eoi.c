/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: loglevel=debug
 * EXPECT-LOG: exits: \S+ wrmsr 1[01]\d\d\s
 *
 * KVM's PV EOI: an interrupt that is alone in service, an edge, comes with bit 0 of the guest's word set, and clearing it is its
 * EOI: a thousand of them cost a thousand exits for the sending and none for the EOI (the count above). With one that waits, is nested,
 * or level-triggered, the bit is clear and the APIC's EOI is due; which may be used all the same. ISR reads true, an NMI in between changes
 * nothing, the timer's interrupt is one like others, and addresses that are no memory are refused. Off by MSR and by reset.
 * Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN.
 */
#include "micro.h"

#define COUNT 1000

static volatile u32 words[16] aligned(64);
static volatile u32 *const word = &words[1];
static volatile unsigned taken, offered, nmis;
static volatile u8 order[8], with_offer[8];
static volatile unsigned done;

/* What a kernel does; true: without the APIC. */
static bool eoi(void)
{
	u8 was;

	__asm__ volatile("btrl $0, %0; setc %1" : "+m"(*word), "=q"(was) : : "memory");
	if (!was)
		apic_eoi();
	return was;
}

static void arrived(struct frame *f)
{
	taken++;
	if (done < sizeof(order)) {
		order[done] = (u8)f->vector;
		with_offer[done++] = *word & 1;
	}
	offered += eoi();
}

/* Lets others in before its EOI. */
static void nesting(struct frame *f)
{
	taken++;
	order[done] = (u8)f->vector;
	with_offer[done++] = *word & 1;
	sti();
	apic_write(APIC_SELF_IPI, 0x71);
	__asm__ volatile("nop; nop");
	cli();
	check(!(*word & 1), "the offer stands after a nested interrupt");
	offered += eoi();
}

static void looking(struct frame *f)
{
	check(*word & 1, "no offer");
	check(apic_bit(APIC_ISR, (unsigned)f->vector), "not in service");
	check(!(*word & 1), "an offer stands after ISR was read");
	(void)eoi();
	check(!apic_bit(APIC_ISR, (unsigned)f->vector), "in service after its EOI");
	taken++;
}

static void ignoring(struct frame *f)
{
	check(*word & 1, "no offer");
	apic_eoi();
	check(!(*word & 1), "an offer stands after an EOI");
	check(!apic_bit(APIC_ISR, (unsigned)f->vector), "in service after its EOI");
	taken++;
}

static void with_nmi(struct frame *f)
{
	(void)f;
	apic_icr(0, 0x40000 | 0x400);
	check(nmis == 1, "%u NMIs", nmis);
	offered += eoi();
	taken++;
}

static void on_nmi(struct frame *f)
{
	(void)f;
	nmis++;
}

static void clear(void)
{
	taken = offered = done = 0;
}

static void send(u8 vector)
{
	apic_write(APIC_SELF_IPI, vector);
}

static void bad_addresses(void)
{
	static const u64 bad[] = {HOLE | 1, LAPIC | 1, ~0ULL, ~3ULL | 1, 0xffffffffffffcULL | 1,
				  2,        3};
	unsigned i;
	u64 value;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check(try_wrmsr(MSR_KVM_PV_EOI_EN, bad[i]) == VEC_GP, "0x%llx is not refused",
		      (unsigned long long)bad[i]);
	check(try_wrmsr(MSR_KVM_PV_EOI_EN, (u64)word | 3) == VEC_GP, "bit 1 is not refused");
	check(try_wrmsr(MSR_KVM_PV_EOI_EN, HOLE) == NO_FAULT, "an address that is not used");
	check(try_rdmsr(MSR_KVM_PV_EOI_EN, &value) == NO_FAULT && value == HOLE, "reads otherwise");
}

static void waiting(void)
{
	clear();
	cli();
	send(0x51);
	send(0x52);
	send(0x93);
	sti();
	__asm__ volatile("nop; nop; nop; nop");
	cli();
	check(taken == 3 && order[0] == 0x93 && order[1] == 0x52 && order[2] == 0x51,
	      "%u taken: 0x%x 0x%x 0x%x", taken, order[0], order[1], order[2]);
	check(!with_offer[0] && !with_offer[1] && with_offer[2], "offered where another waits");
	check_equal("EOIs saved", offered, 1);
}

static void timer(void)
{
	clear();
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, 0x54 | APIC_LVT_PERIODIC);
	apic_write(APIC_TIMER_COUNT, 2000000);
	check(wait_for(&taken, 20, 5000000), "%u ticks", taken);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	sti_nop_cli();
	/* Where the machine is slow the next tick may wait already. */
	check(offered && offered <= taken, "%u offers with %u ticks", offered, taken);
}

/* The RTC's pin, as a level: it falls when register C is read. */
static void level_arrived(struct frame *f)
{
	(void)f;
	check(!(*word & 1), "an offer with a level-triggered interrupt");
	(void)cmos_read(0xc);
	(void)eoi();
	taken++;
}

static void level(void)
{
	clear();
	trap_handlers[0x55] = level_arrived;
	ioapic_route(8, 0x55 | 1 << 15);
	cmos_write(0xa, 0x26);
	(void)cmos_read(0xc);
	cmos_write(0xb, cmos_read(0xb) | 0x40);
	check(wait_for(&taken, 3, 5000000), "%u of the RTC", taken);
	cmos_write(0xb, cmos_read(0xb) & (u8)~0x40);
	(void)cmos_read(0xc);
	ioapic_route(8, BIT(16));
	sti_nop_cli(); /* the next one may wait already */
}

void test(void)
{
	unsigned i;
	u32 r[4];

	cpuid_count(0x40000001, 0, r);
	check(r[CPUID_EAX] & BIT(6), "PV EOI is not offered");
	apic_use_x2apic();
	apic_enable();
	bad_addresses();
	for (i = 0x50; i < 0xa0; i++)
		trap_handlers[i] = arrived;
	trap_handlers[VEC_NMI] = on_nmi;
	send(0x50);
	sti_nop_cli();
	check(taken == 1 && !offered, "an offer before it was asked for");
	wrmsr(MSR_KVM_PV_EOI_EN, (u64)word | 1);
	words[0] = words[2] = 0x5a5a5a5a;
	clear();
	sti();
	for (i = 0; i < COUNT; i++)
		send(0x50);
	__asm__ volatile("nop");
	cli();
	check(taken == COUNT && offered == COUNT, "%u taken, %u EOIs saved", taken, offered);
	waiting();
	clear();
	trap_handlers[0x60] = nesting;
	send(0x60);
	sti_nop_cli();
	check(taken == 2 && with_offer[0] && !with_offer[1] && !offered, "nested: %u, %u, %u",
	      taken, with_offer[0], with_offer[1]);
	trap_handlers[0x61] = looking;
	trap_handlers[0x62] = ignoring;
	trap_handlers[0x63] = with_nmi;
	for (i = 0x61; i < 0x64; i++) {
		clear();
		send((u8)i);
		sti_nop_cli();
		check(taken == 1, "0x%x came %u times", i, taken);
	}
	check_equal("EOIs saved with an NMI in between", offered, 1);
	timer();
	level();
	/* Off in the midst of it: the APIC's EOI is due. */
	clear();
	wrmsr(MSR_KVM_PV_EOI_EN, 0);
	send(0x50);
	sti_nop_cli();
	check(taken == 1 && !offered, "turned off: it came %u times, %u EOIs saved", taken,
	      offered);
	check(words[0] == 0x5a5a5a5a && words[2] == 0x5a5a5a5a && !words[1], "more was written");
}
