/* SPDX-License-Identifier: MIT */
/*
 * Every offset of the local APIC's and the I/O APIC's pages read and written in every size with junk: nothing but those devices
 * changes, and after a reset of their registers they work. Writes that would send INIT to oneself are left out.
 */
#include "micro.h"

static volatile unsigned ticks;

static void tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

static void ignore(struct frame *f)
{
	if (f->vector != 0xff && f->vector >= 0x20)
		apic_eoi();
}

static bool spared(u64 page, u64 offset)
{
	return page == LAPIC && offset >= APIC_ICR - 8 && offset < APIC_ICR + 0x10;
}

static void sweep(u64 page, u32 value)
{
	u64 offset;

	for (offset = 0; offset < 0x1000; offset++) {
		u64 at = page + offset;

		/* Each register, and enough of what lies between them. */
		if (offset % 16 && offset % 7)
			continue;
		(void)read8(at);
		(void)read16(at);
		(void)read32(at);
		(void)read64(at);
		if (spared(page, offset))
			continue;
		write8(at, (u8)value);
		write16(at, (u16)value);
		write32(at, value);
		if (offset <= 0xff8)
			write64(at, value | (u64)value << 32);
	}
}

static void ioapic_registers(u32 value)
{
	unsigned i;

	for (i = 0; i < 256; i++) {
		(void)ioapic_read(i);
		/* No pin of this machine is asserted; NMI and INIT by edge stay quiet. */
		ioapic_write(i, value | APIC_LVT_MASKED);
	}
}

void test(void)
{
	static const u32 junk[] = {0, 0xffffffff, 0x000100ff, 0xa5a5a5a5};
	unsigned i, v;

	for (v = 0x10; v < 256; v++)
		if (v < 0x80 || v > 0x81)
			trap_handlers[v] = ignore;
	trap_handlers[VEC_NMI] = ignore;
	apic_enable();
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		sweep(LAPIC, junk[i]);
		sweep(IOAPIC, junk[i]);
		ioapic_registers(junk[i]);
		for (v = 0; v < 20; v++)
			sti_nop_cli();
	}
	for (v = APIC_LVT_TIMER; v <= APIC_LVT_ERROR; v += 0x10)
		apic_write(v, APIC_LVT_MASKED);
	for (v = 0; v < 256; v++)
		apic_eoi();
	/* Through a software-disabled APIC back to the reset state. */
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_BASE_EN);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EN);
	apic_enable();
	trap_handlers[0x41] = tick;
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, 0x41);
	apic_write(APIC_TIMER_COUNT, 10000);
	check(wait_for(&ticks, 1, 1000000), "the timer is dead");
	ioapic_route(6, APIC_LVT_MASKED | 0x77);
	check_equal("an I/O APIC register", ioapic_read(0x1c), APIC_LVT_MASKED | 0x77);
}
