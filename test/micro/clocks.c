/* SPDX-License-Identifier: MIT */
/*
 * All clocks of the machine tell the same time: kvmclock (which starts near 0 and never goes back), the TSC, the ACPI PM timer, and
 * the RTC's seconds. Linux Documentation/virt/kvm/x86/msr.rst; ACPI "Power Management Timer".
 */
#include "micro.h"

struct pvclock {
	u32 version, pad;
	u64 tsc_timestamp, system_time;
	u32 mul;
	s8 shift;
	u8 flags, pad2[2];
} packed;

struct wall_clock {
	u32 version, sec, nsec;
} packed;

static volatile struct pvclock clock aligned(64);
static volatile struct wall_clock wall aligned(64);

static u64 clock_ns(void)
{
	u64 delta = rdtsc() - clock.tsc_timestamp;

	delta = clock.shift >= 0 ? delta << clock.shift : delta >> -clock.shift;
	return clock.system_time + (u64)((unsigned __int128)delta * clock.mul >> 32);
}

static void kvmclock(void)
{
	u64 a, b, tsc, hz, ns;
	unsigned i;

	check(try_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (u64)&clock | 1) == NO_FAULT,
	      "kvmclock cannot be turned on");
	check_equal("the system time MSR", rdmsr(MSR_KVM_SYSTEM_TIME_NEW), (u64)&clock | 1);
	check(clock.version && !(clock.version & 1), "version is %u", clock.version);
	check(clock.flags & 1, "the clock is not said to be stable");
	check(clock.mul && clock.tsc_timestamp <= rdtsc(), "the structure has not been filled in");
	a = clock_ns();
	check(a < 600000000000ULL, "the clock starts at %llu ns", (unsigned long long)a);
	for (i = 0; i < 100000; i++) {
		b = clock_ns();
		check(b >= a, "the clock goes back from %llu to %llu", (unsigned long long)a,
		      (unsigned long long)b);
		a = b;
	}
	hz = tsc_hz();
	tsc = rdtsc();
	a = clock_ns();
	while (rdtsc() - tsc < hz / 20)
		;
	b = clock_ns();
	ns = (rdtsc() - tsc) * 1000 / (hz / 1000000);
	check(b - a > ns / 100 * 98 && b - a <= ns / 100 * 103,
	      "kvmclock counts %llu ns where the PM timer says %llu", (unsigned long long)(b - a),
	      (unsigned long long)ns);
	check(try_wrmsr(MSR_KVM_WALL_CLOCK_NEW, (u64)&wall) == NO_FAULT, "no wall clock");
	check(wall.sec > 946000000 && wall.nsec < 1000000000 && !(wall.version & 1),
	      "the wall clock says %u.%09u", wall.sec, wall.nsec);
	/* Off, and addresses that are no memory: nothing is written, nothing breaks. */
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0);
	(void)try_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, HOLE | 1);
	(void)try_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, ~0ULL);
	(void)try_wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0xffffffffffe1ULL);
	(void)try_wrmsr(MSR_KVM_WALL_CLOCK_NEW, HOLE);
	(void)try_wrmsr(MSR_KVM_WALL_CLOCK_NEW, ~0ULL);
}

static void pm_timer(void)
{
	u32 a = inl(PM_TIMER), b, i;
	u64 tsc;

	for (i = 0; i < 10000; i++) {
		b = inl(PM_TIMER);
		check(((b - a) & 0xffffff) < 0x800000, "the PM timer goes back from 0x%x to 0x%x",
		      a, b);
		a = b;
	}
	tsc = rdtsc();
	delay_us(1000);
	b = (inl(PM_TIMER) - a) & 0xffffff;
	check(b >= 3500, "the PM timer counts %u in a millisecond", b);
	check(rdtsc() - tsc >= tsc_hz() / 1010, "the delay was too short");
	check_equal("upper bits of the PM timer", inl(PM_TIMER) & 0xff000000 & ~0xff000000, 0);
}

static unsigned bcd(u8 v, bool binary)
{
	return binary ? v : (v >> 4) * 10u + (v & 15);
}

static unsigned rtc_second(void)
{
	u64 start = rdtsc();

	while (cmos_read(0xa) & 0x80)
		check(rdtsc() - start < tsc_hz(), "UIP stays set for a second");
	return bcd(cmos_read(0), cmos_read(0xb) & 4);
}

static void rtc(void)
{
	bool binary = cmos_read(0xb) & 4;
	unsigned second, month, day;
	u64 start, hz = tsc_hz();

	check(cmos_read(0xd) & 0x80, "the RTC says that its battery is empty");
	month = bcd(cmos_read(8), binary);
	day = bcd(cmos_read(7), binary);
	check(month >= 1 && month <= 12 && day >= 1 && day <= 31, "the date is day %u of month %u",
	      day, month);
	check(bcd(cmos_read(4) & 0x7f, binary) < 24 && bcd(cmos_read(2), binary) < 60,
	      "the time is no time");
	second = rtc_second();
	start = rdtsc();
	while (rtc_second() == second)
		check(rdtsc() - start < 3 * hz, "the RTC stands still");
	start = rdtsc();
	second = (second + 1) % 60;
	check_equal("the next second", rtc_second(), second);
	while (rtc_second() == second)
		check(rdtsc() - start < 3 * hz, "the RTC stands still");
	check(rdtsc() - start > hz / 2, "a second of the RTC is too short");
	cmos_write(0x60, 0xa5);
	check_equal("a byte of CMOS", cmos_read(0x60), 0xa5);
}

void test(void)
{
	u32 r[4];

	pm_timer();
	cpuid_count(0x40000001, 0, r);
	kvmclock();
	rtc();
}
