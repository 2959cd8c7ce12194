/* SPDX-License-Identifier: MIT */
/*
 * The devices that micro guests use: local APIC, I/O APIC, CMOS, time; and the hypercall instruction. See micro.h.
 */
#include "micro.h"

static bool x2apic;

u32 apic_read(unsigned offset)
{
	if (x2apic)
		return (u32)rdmsr(MSR_X2APIC_FIRST + offset / 16);
	return read32(LAPIC + offset);
}

void apic_write(unsigned offset, u32 value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_FIRST + offset / 16, value);
	else
		write32(LAPIC + offset, value);
}

void apic_enable(void)
{
	apic_write(APIC_SVR, 0x1ff);
	apic_write(APIC_TPR, 0);
}

void apic_use_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EN | APIC_BASE_EXTD);
	x2apic = true;
}

void apic_icr(u32 dest, u32 low)
{
	if (x2apic) {
		wrmsr(MSR_X2APIC_FIRST + APIC_ICR / 16, (u64)dest << 32 | low);
		return;
	}
	write32(LAPIC + APIC_ICR2, dest << 24);
	write32(LAPIC + APIC_ICR, low);
}

bool apic_bit(unsigned offset, unsigned vector)
{
	return apic_read(offset + vector / 32 * 16) >> vector % 32 & 1;
}

u32 ioapic_read(unsigned reg)
{
	write32(IOAPIC, reg);
	return read32(IOAPIC + 0x10);
}

void ioapic_write(unsigned reg, u32 value)
{
	write32(IOAPIC, reg);
	write32(IOAPIC + 0x10, value);
}

void ioapic_route(unsigned pin, u64 entry)
{
	ioapic_write(0x10 + 2 * pin, BIT(16)); /* masked while it is half written */
	ioapic_write(0x11 + 2 * pin, (u32)(entry >> 32));
	ioapic_write(0x10 + 2 * pin, (u32)entry);
}

u8 cmos_read(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

void cmos_write(u8 index, u8 value)
{
	outb(0x70, index);
	outb(0x71, value);
}

/* ---- Time ---------------------------------------------------------------------------------- */

/* The counter has 24 bits at least. */
static u32 pm_ticks_since(u32 start)
{
	return (inl(PM_TIMER) - start) & 0xffffff;
}

u64 tsc_hz(void)
{
	static u64 hz;
	u64 start, end;
	u32 pm, ticks;

	if (hz)
		return hz;
	pm = inl(PM_TIMER);
	start = rdtsc();
	while ((ticks = pm_ticks_since(pm)) < PM_HZ / 100)
		check(rdtsc() - start < 0x400000000ULL, "the PM timer stands still");
	end = rdtsc();
	hz = (end - start) * PM_HZ / ticks;
	return hz;
}

void delay_us(u64 us)
{
	u64 ticks = us * (tsc_hz() / 1000) / 1000, start = rdtsc();

	while (rdtsc() - start < ticks)
		pause_cpu();
}

bool wait_for(volatile unsigned *flag, unsigned count, u64 us)
{
	u64 ticks = us * (tsc_hz() / 1000) / 1000, start = rdtsc();

	sti();
	while (*flag < count && rdtsc() - start < ticks)
		pause_cpu();
	cli();
	return *flag >= count;
}

/* ---- The CPU ------------------------------------------------------------------------------- */

bool is_amd(void)
{
	u32 r[4];

	cpuid_count(0, 0, r);
	return r[CPUID_EBX] == 0x68747541; /* "Auth" */
}

s64 hypercall(u64 number, u64 a, u64 b, u64 c)
{
	register u64 r10 __asm__("r10") = 0;
	s64 ret;

	if (is_amd())
		__asm__ volatile("vmmcall"
				 : "=a"(ret)
				 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "=a"(ret)
				 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
				 : "memory");
	return ret;
}

s64 kvm_hypercall(u64 number, u64 a, u64 b, u64 c, u64 d)
{
	s64 ret;

	if (is_amd())
		__asm__ volatile("vmmcall"
				 : "=a"(ret)
				 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "=a"(ret)
				 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
				 : "memory");
	return ret;
}
