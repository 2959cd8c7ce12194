/* SPDX-License-Identifier: MIT */
/*
 * The host clock: the TSC, its rate measured once at boot against the ACPI PM timer, or the PIT where there is none.
 * The measurement takes the time that booting takes anyway, and only spins for what is missing. Called by boot/main.c.
 * ACPI "Power Management Timer"; Intel 8254 data sheet; SDM vol. 3 "Time-Stamp Counter", vol. 2 CPUID leaf 15H.
 */
#include "arch/host/host.h"

#include <arch/cpuid.h>
#include <arch/insn.h>
#include <vmm/host.h>
#include <vmm/log.h>

#define PM_TIMER_HZ 3579545
#define PIT_HZ      1193182
/* Readings this far apart give a rate good to some 10^-5 where port reads are quick, 10^-4 where they take 1 us. */
#define MEASURE_MIN_US 1000
/* And this many ticks of the TSC: where it is slow, so is the reference (Bochs's moves in steps of 1 us). */
#define MEASURE_MIN_TICKS 1000000
/*
 * Where the CPU does not state its rate, the guests' clocks hang on the measurement alone: then it goes on for this long, or for as
 * many reads as that takes where one takes 1 us. Quicker reads are as exact sooner.
 */
#define MEASURE_ALONE_US    10000
#define MEASURE_ALONE_READS 10000
/*
 * After this many ticks a timer of 24 bits may have gone round (468 M at 100 MHz): measure anew, and longer, because
 * nobody has waited only for us.
 */
#define MEASURE_MAX_TICKS 400000000
#define MEASURE_ANEW_US   10000

#define PIT_CH2      0x42
#define PIT_COMMAND  0x43
#define PIT_CH2_ONCE 0xb0 /* channel 2, low then high byte, mode 0 */
#define PIT_CH2_READ 0x80 /* latch channel 2 */
#define PORT_B       0x61
#define PORT_B_GATE2 BIT(0)
#define PORT_B_SPKR  BIT(1)
#define PORT_B_OUT2  BIT(5)

u64 host_ticks(void)
{
	return rdtsc();
}

u64 host_tick_hz(void)
{
	return host.time.tsc_hz;
}

s64 host_epoch_ns(void)
{
	return host.time.epoch_ns;
}

static void pit_start(void)
{
	outb(PORT_B, (u8)((inb(PORT_B) & ~PORT_B_SPKR) | PORT_B_GATE2));
	outb(PIT_COMMAND, PIT_CH2_ONCE);
	outb(PIT_CH2, 0xff);
	outb(PIT_CH2, 0xff);
}

/* Counts up, as the PM timer does. Stops at the top: 55 ms after pit_start() it is of no use any more. */
static u32 pit_read(void)
{
	u32 low;

	if (inb(PORT_B) & PORT_B_OUT2)
		return 0xffff;
	outb(PIT_COMMAND, PIT_CH2_READ);
	low = inb(PIT_CH2);
	return 0xffff - (low | (u32)inb(PIT_CH2) << 8);
}

static u32 ref_read(struct timebase *t)
{
	t->reads++;
	return t->pm_port ? inl(t->pm_port) & t->ref_mask : pit_read();
}

/*
 * All clocks at one instant: right after an edge of the reference, the narrowest of a few tries (an SMI may have come
 * between). False if the reference stands still.
 */
static bool sample(struct timebase *t, struct time_sample *out)
{
	out->slack = ~0ULL;
	for (unsigned attempt = 0; attempt < 3; attempt++) {
		u32 before = ref_read(t), ref = before;
		u64 t0 = 0, t1 = 0;

		for (unsigned n = 0; n < 10000 && ref == before; n++) {
			t0 = rdtsc();
			ref = ref_read(t);
			t1 = rdtsc();
		}
		if (ref == before)
			return false;
		if (t1 - t0 < out->slack)
			*out = (struct time_sample){t0 + (t1 - t0) / 2, t1 - t0, ref,
						    lapic_timer_count()};
	}
	return true;
}

void time_start(void)
{
	struct timebase *t = &host.time;

	t->pm_port = host.acpi.pm_timer;
	t->ref_hz = PM_TIMER_HZ;
	t->ref_mask = host.acpi.pm_timer_32 ? ~0u : 0xffffff;
	lapic_timer_start_free();
	if (t->pm_port && sample(t, &t->first))
		return;
	t->pm_port = 0;
	t->ref_hz = PIT_HZ;
	t->ref_mask = 0xffff;
	pit_start();
	if (!sample(t, &t->first))
		t->ref_hz = 0;
}

/* The rate that the CPU itself states: CPUID 15H, the crystal's where it is given. 0: not stated. */
static u64 stated_hz(void)
{
	u32 r[4];

	host_cpuid(0x15, 0, r);
	if (!r[CPUID_EAX] || !r[CPUID_EBX] || !r[CPUID_ECX])
		return 0;
	return clock_mul_div(r[CPUID_ECX], r[CPUID_EBX], r[CPUID_EAX]);
}

/* Within half a percent: some CPUs, and more emulators, state a rate that is not theirs. */
static bool agrees(u64 a, u64 b)
{
	u64 diff = a > b ? a - b : b - a;

	return diff <= b / 200;
}

/* Reference ticks since the first sample; ~0 if the PIT has stopped meanwhile. */
static u64 ref_elapsed(const struct timebase *t, const struct time_sample *s)
{
	if (!t->pm_port && s->ref == t->ref_mask)
		return ~0ULL;
	return (s->ref - t->first.ref) & t->ref_mask;
}

/* The second sample. If the boot has taken too long for one of the counters, both samples are taken anew. */
static bool second_sample(struct timebase *t, struct time_sample *s, bool alone)
{
	u64 want = t->ref_hz * MEASURE_MIN_US / 1000000;
	u64 want_alone = alone ? t->ref_hz * MEASURE_ALONE_US / 1000000 : 0;

	if (!sample(t, s))
		return false;
	if (s->tsc - t->first.tsc > MEASURE_MAX_TICKS || ref_elapsed(t, s) == ~0ULL ||
	    s->lapic == 0) {
		want = t->ref_hz * MEASURE_ANEW_US / 1000000;
		if (!t->pm_port)
			pit_start();
		lapic_timer_start_free();
		if (!sample(t, &t->first))
			return false;
	}
	do {
		if (!sample(t, s))
			return false;
	} while (ref_elapsed(t, s) < want || s->tsc - t->first.tsc < MEASURE_MIN_TICKS ||
		 (ref_elapsed(t, s) < want_alone && t->reads < MEASURE_ALONE_READS));
	return true;
}

bool time_finish(void)
{
	struct timebase *t = &host.time;
	struct time_sample s;
	u64 stated = stated_hz(), lapic_hz = 0;

	if (t->ref_hz && second_sample(t, &s, !stated)) {
		u64 ref = ref_elapsed(t, &s);

		t->tsc_hz = clock_mul_div(s.tsc - t->first.tsc, t->ref_hz, ref);
		lapic_hz = clock_mul_div(t->first.lapic - s.lapic, t->ref_hz, ref);
	}
	if (!t->tsc_hz &&
	    host.lapic.deadline_mode) /* nothing to measure by, and no timer that needs it */
		t->tsc_hz = stated;
	if (!t->tsc_hz || (!lapic_hz && !host.lapic.deadline_mode))
		return false;
	if (stated && agrees(stated, t->tsc_hz))
		t->tsc_hz = stated;
	lapic_timer_ready(lapic_hz, t->tsc_hz);
	clock_init(&host.cpu.clock, host_ticks, t->tsc_hz, NULL);
	/* Ticks are read after the RTC: its second has only begun. */
	t->epoch_ns = rtc_read_ns();
	t->epoch_ns -= (s64)clock_mul_div(host_ticks(), 1000000000, t->tsc_hz);
	log_info("clock: TSC at %llu.%03llu MHz by the %s",
		 (unsigned long long)(t->tsc_hz / 1000000),
		 (unsigned long long)(t->tsc_hz / 1000 % 1000),
		 t->pm_port ? "ACPI PM timer" : "PIT");
	return true;
}
