/* SPDX-License-Identifier: MIT */
/* Tests of the local APIC's timer: one-shot, periodic, TSC-deadline, masks, mode switches, dividers. */
/* SOURCES: vmm/irq/vlapic.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_ipi.c vmm/irq/vlapic_timer.c vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arch/msr.h>
#include <vmm/vlapic.h>

enum { EOI = 0xb0, SVR = 0xf0, LVT_TIMER = 0x320, TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0 };

#define MASKED       0x10000
#define PERIODIC     0x20000
#define TSC_DEADLINE 0x40000
#define RESERVED     0x60000
#define VECTOR       0xec

#define DIV_1 0xb
#define DIV_2 0x0

/* The guest's TSC is the host's less this; one count of the timer is two ticks, divided by 1. */
#define TSC_BEHIND 1000
#define HZ         (2 * VLAPIC_TIMER_HZ)
#define START      1000000

static u64 ticks, behind;
static unsigned notified;
static struct clock test_clock;
static struct vlapic apic;

static u64 now(void)
{
	return ticks;
}

static void on_notify(unused void *ctx)
{
	notified++;
}

static u64 guest_tsc(unused void *ctx)
{
	return ticks - behind;
}

static u64 tsc_to_ticks(unused void *ctx, u64 tsc)
{
	return tsc + behind;
}

static void on_enabled(unused void *ctx)
{
}

static const struct vlapic_ops ops = {
	.notify = on_notify,
	.enabled = on_enabled,
	.guest_tsc = guest_tsc,
	.tsc_to_ticks = tsc_to_ticks,
};

static int setup(unused void **state)
{
	ticks = START;
	behind = TSC_BEHIND;
	notified = 0;
	clock_init(&test_clock, now, HZ, NULL);
	vlapic_init(&apic, 0, &test_clock, &ops, NULL);
	vlapic_reset(&apic, true);
	vlapic_mmio_write(&apic, SVR, 0x1ff);
	vlapic_mmio_write(&apic, TDCR, DIV_1);
	return 0;
}

static u32 rd(u32 offset)
{
	return vlapic_mmio_read(&apic, offset);
}

static void wr(u32 offset, u32 value)
{
	vlapic_mmio_write(&apic, offset, value);
}

/* Time passes; the host's timer fires if it is due. */
static void pass(u64 n)
{
	ticks += n;
	clock_run(&test_clock, ticks);
}

static bool take(void)
{
	if (vlapic_pending(&apic) != VECTOR)
		return false;
	vlapic_accept(&apic, VECTOR);
	wr(EOI, 0);
	return true;
}

static u64 deadline(void)
{
	u64 value = 1;

	assert_true(vlapic_msr_read(&apic, MSR_TSC_DEADLINE, &value));
	return value;
}

static void set_deadline(u64 value)
{
	assert_true(vlapic_msr_write(&apic, MSR_TSC_DEADLINE, value));
}

static bool queued(void)
{
	return test_clock.head != NULL;
}

static void one_shot(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100);
	assert_int_equal(rd(TMICT), 100);
	assert_int_equal(rd(TMCCT), 100);
	pass(100);
	assert_in_range(rd(TMCCT), 50, 51);
	pass(99);
	assert_false(take());
	assert_int_equal(rd(TMCCT), 1);
	pass(1);
	assert_true(take());
	assert_int_equal(notified, 1);
	assert_int_equal(rd(TMCCT), 0);
	assert_int_equal(rd(TMICT), 100);
	pass(100000);
	assert_false(take());
	assert_false(queued());
}

static void the_count_never_rises(unused void **state)
{
	u32 last, count;

	wr(TDCR, 0x3); /* by 16 */
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 1000);
	for (last = 1000; last; last = count) {
		pass(7);
		count = rd(TMCCT);
		assert_true(count <= last);
	}
	assert_true(take());
}

static void count_zero_stops(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100);
	wr(TMICT, 0);
	assert_false(queued());
	pass(1000);
	assert_int_equal(rd(TMCCT), 0);
	assert_false(take());
}

static void writing_the_count_starts_anew(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100);
	pass(150);
	wr(TMICT, 100);
	pass(199);
	assert_false(take());
	pass(1);
	assert_true(take());
}

static void periodic_without_drift(unused void **state)
{
	unsigned i;

	wr(LVT_TIMER, PERIODIC | VECTOR);
	wr(TMICT, 100000);
	for (i = 1; i <= 50; i++) {
		/* The host is late, by differing amounts. */
		ticks = START + i * 200000ULL + i * 37 % 1000;
		clock_run(&test_clock, ticks);
		assert_true(take());
		assert_true(test_clock.head->deadline == START + (i + 1) * 200000ULL);
	}
	assert_int_equal(apic.timer_fired, 50);
}

static void periodic_skips_what_was_missed(unused void **state)
{
	wr(LVT_TIMER, PERIODIC | VECTOR);
	wr(TMICT, 100000);
	pass(200000 * 1000ULL + 50000);
	assert_true(take());
	assert_false(take());
	assert_int_equal(rd(TMCCT), 75000);
	pass(150000);
	assert_true(take());
}

/* A guest cannot make the host fire without end. */
static void periodic_with_a_tiny_period_leaves_time_for_the_guest(unused void **state)
{
	u64 floor = 20000 * 2; /* 20 us */
	unsigned i;

	wr(LVT_TIMER, PERIODIC | VECTOR);
	wr(TMICT, 1);
	for (i = 0; i < 10; i++) {
		assert_true(test_clock.head->deadline >= ticks + floor);
		pass(test_clock.head->deadline - ticks);
		assert_true(take());
	}
	assert_int_equal(rd(TMCCT), 1);
}

static void dividers(unused void **state)
{
	static const u8 dcr[] = {0xb, 0, 1, 2, 3, 8, 9, 0xa}; /* by 1, 2, 4 ... 128 */
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(dcr); i++) {
		wr(TDCR, dcr[i]);
		wr(LVT_TIMER, VECTOR);
		wr(TMICT, 10);
		pass((20ULL << i) - 1);
		assert_false(take());
		pass(1);
		assert_true(take());
	}
}

static void a_new_divider_goes_on_from_the_count(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100);
	pass(100); /* half way */
	wr(TDCR, DIV_2);
	assert_in_range(rd(TMCCT), 50, 51);
	pass(199);
	assert_false(take());
	pass(5);
	assert_true(take());
}

static void the_largest_count(unused void **state)
{
	wr(TDCR, 0xa); /* by 128 */
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 0xffffffff);
	assert_int_equal(rd(TMCCT), 0xffffffff);
	pass((0xffffffffULL << 8) - 1);
	assert_false(take());
	pass(1);
	assert_true(take());
}

static void a_masked_timer_counts_without_a_host_timer(unused void **state)
{
	wr(LVT_TIMER, MASKED | VECTOR);
	wr(TMICT, 100);
	assert_false(queued());
	pass(100);
	assert_in_range(rd(TMCCT), 50, 51);
	/* Unmasked in time: it fires. */
	wr(LVT_TIMER, VECTOR);
	assert_true(queued());
	pass(100);
	assert_true(take());
	/* Unmasked too late: the interrupt is lost. */
	wr(LVT_TIMER, MASKED | VECTOR);
	wr(TMICT, 100);
	pass(300);
	wr(LVT_TIMER, VECTOR);
	pass(300);
	assert_false(take());
	assert_int_equal(rd(TMCCT), 0);
}

static void a_masked_periodic_timer_keeps_its_phase(unused void **state)
{
	wr(LVT_TIMER, PERIODIC | MASKED | VECTOR);
	wr(TMICT, 100000);
	pass(200000 * 5 + 20000);
	wr(LVT_TIMER, PERIODIC | VECTOR);
	assert_false(take());
	assert_int_equal(rd(TMCCT), 90000);
	pass(180000);
	assert_true(take());
}

/* The host is late; meanwhile the guest masks the timer. The expiry was before the mask. */
static void an_expiry_counts_by_the_setting_of_its_time(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100);
	ticks += 500;
	wr(LVT_TIMER, MASKED | VECTOR);
	assert_true(take());
	assert_false(queued());

	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(ticks - TSC_BEHIND + 100);
	ticks += 500;
	set_deadline(ticks - TSC_BEHIND + 100);
	assert_true(take());
	pass(100);
	assert_true(take());
}

/* The same, seen by each register through which the guest can look or act before the host has fired. */
static void a_late_host_is_not_noticed(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100);
	ticks += 500;
	assert_int_equal(rd(TMCCT), 0);
	assert_true(take());
	assert_false(queued());

	wr(TMICT, 100);
	ticks += 500;
	wr(TMICT, 1000);
	assert_true(take());
	assert_true(test_clock.head->deadline == ticks + 2000);

	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(ticks - TSC_BEHIND + 100);
	ticks += 500;
	assert_int_equal(deadline(), 0);
	assert_true(take());
	assert_false(queued());

	wr(LVT_TIMER, PERIODIC | VECTOR);
	wr(TMICT, 100000);
	ticks += 250000;
	wr(TDCR, DIV_2);
	assert_true(take());
	assert_true(test_clock.head->deadline == ticks + 300000);
}

static void one_shot_to_periodic_under_way(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 100000);
	pass(100000);
	wr(LVT_TIMER, PERIODIC | VECTOR);
	pass(100000);
	assert_true(take());
	pass(200000);
	assert_true(take());
	wr(LVT_TIMER, VECTOR);
	pass(200000);
	assert_true(take());
	pass(2000000);
	assert_false(take());
}

static void tsc_deadline(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(START);
	assert_int_equal(deadline(), START);
	assert_true(test_clock.head->deadline == START + TSC_BEHIND);
	pass(TSC_BEHIND - 1);
	assert_false(take());
	assert_int_equal(deadline(), START);
	pass(1);
	assert_true(take());
	assert_int_equal(deadline(), 0);
	assert_false(queued());
	/* The counters play no part. */
	wr(TMICT, 100);
	assert_int_equal(rd(TMICT), 0);
	assert_int_equal(rd(TMCCT), 0);
	pass(1000);
	assert_false(take());
}

static void tsc_deadline_in_the_past_fires_at_once(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(1);
	assert_true(take());
	assert_int_equal(deadline(), 0);
	set_deadline(ticks - TSC_BEHIND);
	assert_true(take());
}

static void tsc_deadline_zero_disarms(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(START + 1000);
	set_deadline(0);
	assert_false(queued());
	assert_int_equal(deadline(), 0);
	pass(100000);
	assert_false(take());
}

static void tsc_deadline_rewritten(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(START + 1000);
	set_deadline(START + 9000);
	pass(9000);
	assert_false(take());
	set_deadline(START + 8500);
	pass(500);
	assert_true(take());
	pass(9000);
	assert_false(take());
}

static void tsc_deadline_far_away_never_comes(unused void **state)
{
	u64 value = ~0ULL;

	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	/* In host ticks this would wrap. */
	set_deadline(value);
	assert_false(take());
	assert_true(deadline() == value);
	assert_true(test_clock.head->deadline > 1ULL << 63);
	pass(1000000000000ULL);
	assert_false(take());
	set_deadline(value - TSC_BEHIND - 1);
	pass(1000000000000ULL);
	assert_false(take());
}

static void tsc_deadline_is_ignored_in_other_modes(unused void **state)
{
	static const u32 modes[] = {0, PERIODIC, RESERVED};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		wr(LVT_TIMER, modes[i] | VECTOR);
		set_deadline(ticks + 10);
		assert_int_equal(deadline(), 0);
		pass(100000);
		assert_false(take());
	}
}

static void masked_tsc_deadline_disarms_unheard(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | MASKED | VECTOR);
	set_deadline(START);
	assert_false(queued());
	pass(TSC_BEHIND);
	assert_int_equal(deadline(), 0);
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	assert_false(take());
	/* Unmasked in time. */
	wr(LVT_TIMER, TSC_DEADLINE | MASKED | VECTOR);
	set_deadline(ticks);
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	pass(TSC_BEHIND);
	assert_true(take());
}

static void changing_to_and_from_tsc_deadline_disarms(unused void **state)
{
	wr(LVT_TIMER, VECTOR);
	wr(TMICT, 1000);
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	assert_false(queued());
	assert_int_equal(rd(TMCCT), 0);
	set_deadline(START + 1000);
	wr(LVT_TIMER, VECTOR);
	assert_false(queued());
	assert_int_equal(deadline(), 0);
	pass(100000);
	assert_false(take());
	/* A new vector or mask in the same mode does not. */
	wr(LVT_TIMER, TSC_DEADLINE | 0x40);
	set_deadline(ticks);
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	pass(TSC_BEHIND);
	assert_true(take());
}

static void the_reserved_mode_never_starts(unused void **state)
{
	wr(LVT_TIMER, RESERVED | VECTOR);
	wr(TMICT, 10);
	set_deadline(1);
	assert_false(queued());
	pass(1000);
	assert_false(take());
	assert_int_equal(rd(TMCCT), 0);
}

static void a_deadline_moves_with_the_guests_tsc(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(START + 1000);
	behind = TSC_BEHIND + 5000; /* the guest has put its TSC back */
	vlapic_tsc_changed(&apic);
	assert_true(test_clock.head->deadline == START + 1000 + behind);
	pass(6999);
	assert_false(take());
	pass(1);
	assert_true(take());
	set_deadline(ticks);
	behind = 0; /* and forward: the deadline has passed */
	vlapic_tsc_changed(&apic);
	assert_true(take());
}

static void software_disable_masks_the_timer(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(START);
	wr(SVR, 0xff);
	assert_false(queued());
	assert_int_equal(rd(LVT_TIMER), TSC_DEADLINE | MASKED | VECTOR);
	pass(TSC_BEHIND);
	assert_false(take());
}

static void reset_stops(unused void **state)
{
	wr(LVT_TIMER, TSC_DEADLINE | VECTOR);
	set_deadline(START);
	vlapic_reset(&apic, true);
	assert_false(queued());
	assert_int_equal(deadline(), 0);
	wr(SVR, 0x1ff);
	wr(LVT_TIMER, PERIODIC | VECTOR);
	wr(TMICT, 100);
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE));
	assert_false(queued());
}

static void an_illegal_vector_goes_to_the_esr(unused void **state)
{
	wr(LVT_TIMER, 0x0f);
	wr(TMICT, 10);
	pass(20);
	assert_int_equal(vlapic_pending(&apic), -1);
	wr(0x280, 0);
	assert_int_equal(rd(0x280), 0x40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_shot, setup),
		cmocka_unit_test_setup(the_count_never_rises, setup),
		cmocka_unit_test_setup(count_zero_stops, setup),
		cmocka_unit_test_setup(writing_the_count_starts_anew, setup),
		cmocka_unit_test_setup(periodic_without_drift, setup),
		cmocka_unit_test_setup(periodic_skips_what_was_missed, setup),
		cmocka_unit_test_setup(periodic_with_a_tiny_period_leaves_time_for_the_guest,
				       setup),
		cmocka_unit_test_setup(dividers, setup),
		cmocka_unit_test_setup(a_new_divider_goes_on_from_the_count, setup),
		cmocka_unit_test_setup(the_largest_count, setup),
		cmocka_unit_test_setup(a_masked_timer_counts_without_a_host_timer, setup),
		cmocka_unit_test_setup(a_masked_periodic_timer_keeps_its_phase, setup),
		cmocka_unit_test_setup(an_expiry_counts_by_the_setting_of_its_time, setup),
		cmocka_unit_test_setup(a_late_host_is_not_noticed, setup),
		cmocka_unit_test_setup(one_shot_to_periodic_under_way, setup),
		cmocka_unit_test_setup(tsc_deadline, setup),
		cmocka_unit_test_setup(tsc_deadline_in_the_past_fires_at_once, setup),
		cmocka_unit_test_setup(tsc_deadline_zero_disarms, setup),
		cmocka_unit_test_setup(tsc_deadline_rewritten, setup),
		cmocka_unit_test_setup(tsc_deadline_far_away_never_comes, setup),
		cmocka_unit_test_setup(tsc_deadline_is_ignored_in_other_modes, setup),
		cmocka_unit_test_setup(masked_tsc_deadline_disarms_unheard, setup),
		cmocka_unit_test_setup(changing_to_and_from_tsc_deadline_disarms, setup),
		cmocka_unit_test_setup(the_reserved_mode_never_starts, setup),
		cmocka_unit_test_setup(a_deadline_moves_with_the_guests_tsc, setup),
		cmocka_unit_test_setup(software_disable_masks_the_timer, setup),
		cmocka_unit_test_setup(reset_stops, setup),
		cmocka_unit_test_setup(an_illegal_vector_goes_to_the_esr, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
