/* SPDX-License-Identifier: MIT */
/* Tests of the HPET: counter, one-shot and periodic, edge and level, routing, 32-bit mode, what Linux does; idle timers. */
/* SOURCES: vmm/dev/vhpet.c vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/vhpet.h>

enum { ID = 0x00, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0 };

#define T(n)   (0x100 + (n)*0x20)
#define CMP(n) (T(n) + 8)

#define ENABLE   0x001
#define LEGACY   0x002
#define LEVEL    0x002
#define INT      0x004
#define PERIODIC 0x008
#define VAL_SET  0x040
#define MODE32   0x100
#define PIN(n)   ((n) << 9)

#define HZ    2400000000ULL
#define COUNT (HZ / VHPET_HZ) /* ticks */
#define US    (HZ / 1000000)
#define MS    (HZ / 1000)

static u64 ticks;
static struct clock test_clock;
static struct vhpet hpet;
static bool lines[32];
static unsigned rises[32], reads_of_now;

static u64 now(void)
{
	reads_of_now++;
	return ticks;
}

static void on_irq(unused void *ctx, unsigned pin, bool level)
{
	assert_true(pin < 24);
	/* Told again only where others may have raised it before. */
	if (level || (pin != VHPET_PIN_PIT && pin != VHPET_PIN_RTC))
		assert_int_not_equal(lines[pin], level);
	lines[pin] = level;
	rises[pin] += level;
}

static int setup(unused void **state)
{
	unsigned i;

	ticks = 5 * HZ; /* the host has been up for a while */
	for (i = 0; i < 32; i++) {
		lines[i] = false;
		rises[i] = 0;
	}
	clock_init(&test_clock, now, HZ, NULL);
	vhpet_init(&hpet, &test_clock, &(struct irq_line){on_irq, NULL, 99});
	return 0;
}

static u64 rd(u64 reg)
{
	return vhpet_bus_ops.read(&hpet, reg, 8);
}

static void wr(u64 reg, u64 value)
{
	vhpet_bus_ops.write(&hpet, reg, 8, value);
}

static u32 rd32(u64 reg)
{
	return (u32)vhpet_bus_ops.read(&hpet, reg, 4);
}

static void wr32(u64 reg, u32 value)
{
	vhpet_bus_ops.write(&hpet, reg, 4, value);
}

/* In steps no longer than to the next timer, as a run loop does. */
static void pass(u64 n)
{
	u64 end = ticks + n;

	while (test_clock.head && test_clock.head->deadline <= end) {
		ticks = MAX(ticks, test_clock.head->deadline);
		clock_run(&test_clock, ticks);
	}
	ticks = end;
}

static unsigned all_rises(void)
{
	unsigned i, n = 0;

	for (i = 0; i < 32; i++)
		n += rises[i];
	return n;
}

/* ---- Registers -------------------------------------------------------------------------------- */

static void reset_state(unused void **state)
{
	unsigned i;

	assert_int_equal(rd(ID), 0x009896808086a201);
	assert_int_equal(rd(CONFIG), 0);
	assert_int_equal(rd(STATUS), 0);
	assert_int_equal(rd(COUNTER), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rd(T(i)), 0x00f0000000000000 | (i < 2 ? 0x30 : 0x20));
		assert_int_equal(rd(CMP(i)), ~0ULL);
		assert_int_equal(rd(T(i) + 0x10), 0); /* no FSB */
		assert_int_equal(rd(T(i) + 0x18), 0);
	}
	for (i = 3; i < 24; i++)
		assert_int_equal(rd(T(i)) | rd(CMP(i)), 0);
	assert_null(test_clock.head);
	assert_false(vhpet_legacy(&hpet));
}

static void sizes_and_alignment(unused void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	struct vhpet before;
	unsigned offset, i;

	wr(CMP(0), 0x1122334455667788);
	assert_int_equal(rd32(CMP(0)), 0x55667788);
	assert_int_equal(rd32(CMP(0) + 4), 0x11223344);
	wr32(CMP(0) + 4, 0xaabbccdd);
	assert_int_equal(rd(CMP(0)), 0xaabbccdd55667788);
	wr32(CMP(0), 0x99999999);
	assert_int_equal(rd(CMP(0)), 0xaabbccdd99999999);
	assert_int_equal(rd32(ID + 4), VHPET_PERIOD_FS);
	for (offset = 0; offset < VHPET_SIZE; offset++) {
		for (i = 0; i < ARRAY_SIZE(sizes) && offset + sizes[i] <= VHPET_SIZE; i++) {
			if (sizes[i] >= 4 && offset % sizes[i] == 0)
				continue;
			before = hpet;
			assert_int_equal(vhpet_bus_ops.read(&hpet, offset, sizes[i]), 0);
			vhpet_bus_ops.write(&hpet, offset, sizes[i], ~0ULL);
			assert_memory_equal(&before, &hpet, sizeof(hpet));
		}
	}
}

static void what_can_be_written(unused void **state)
{
	unsigned reg;

	for (reg = 0; reg < VHPET_SIZE; reg += 8)
		if (reg != CONFIG && reg != COUNTER)
			wr(reg, ~0ULL);
	assert_int_equal(rd(ID), 0x009896808086a201);
	assert_int_equal(rd(STATUS), 0);
	/* 31 is no pin: the route stays 0. */
	assert_int_equal(rd(T(0)), 0x00f000000000013e);
	assert_int_equal(rd(T(2)), 0x00f0000000000126);
	wr(CONFIG, ~0ULL);
	assert_int_equal(rd(CONFIG), 3);
}

static void routes(unused void **state)
{
	unsigned pin;

	wr(T(1), PIN(22));
	for (pin = 0; pin < 32; pin++) {
		wr(T(0), PIN(21));
		wr(T(0), PIN(pin));
		assert_int_equal((rd(T(0)) >> 9 & 31) == pin, pin >= 20 && pin <= 23);
	}
	assert_int_equal(rd(T(1)) >> 9 & 31, 22);
}

/* ---- The counter ------------------------------------------------------------------------------ */

static void the_counter_runs_at_its_rate(unused void **state)
{
	pass(HZ);
	assert_int_equal(rd(COUNTER), 0);
	wr(CONFIG, ENABLE);
	pass(HZ);
	assert_int_equal(rd(COUNTER), VHPET_HZ);
	pass(COUNT - 1);
	assert_int_equal(rd(COUNTER), VHPET_HZ);
	pass(1);
	assert_int_equal(rd(COUNTER), VHPET_HZ + 1);
	wr(CONFIG, 0);
	pass(HZ);
	assert_int_equal(rd(COUNTER), VHPET_HZ + 1);
	wr(CONFIG, ENABLE | LEGACY);
	pass(HZ);
	assert_int_equal(rd(COUNTER), 2 * VHPET_HZ + 1);
	/* Writes that do not turn it cost nothing. */
	pass(COUNT / 2);
	wr(CONFIG, ENABLE);
	pass(COUNT / 2);
	assert_int_equal(rd(COUNTER), 2 * VHPET_HZ + 2);
	assert_null(test_clock.head);
}

static void setting_the_counter(unused void **state)
{
	wr(COUNTER, 0xfffffffffffffff0);
	assert_int_equal(rd(COUNTER), 0xfffffffffffffff0);
	wr32(COUNTER + 4, 1);
	assert_int_equal(rd(COUNTER), 0x1fffffff0);
	wr(CONFIG, ENABLE);
	pass(32 * COUNT);
	assert_int_equal(rd(COUNTER), 0x200000010);
	wr(COUNTER, 5);
	pass(COUNT);
	assert_int_equal(rd(COUNTER), 6);
}

/* ---- One-shot --------------------------------------------------------------------------------- */

static void one_shot_edge(unused void **state)
{
	wr(T(2), INT | PIN(23));
	wr(CMP(2), 1000);
	assert_null(test_clock.head);
	wr(CONFIG, ENABLE);
	assert_non_null(test_clock.head);
	pass(1000 * COUNT);
	assert_int_equal(rises[23], 0);
	pass(1);
	assert_int_equal(rises[23], 1);
	assert_false(lines[23]);
	assert_int_equal(rd(STATUS), 0);
	assert_int_equal(rd(CMP(2)), 1000);
	/* 64 bits do not come round. */
	assert_null(test_clock.head);
	pass(3600 * HZ);
	assert_int_equal(all_rises(), 1);
}

static void one_shot_level(unused void **state)
{
	wr(T(0), INT | LEVEL | PIN(20));
	wr(CMP(0), 1000);
	wr(CONFIG, ENABLE);
	pass(1001 * COUNT);
	assert_true(lines[20]);
	assert_int_equal(rd(STATUS), 1);
	assert_null(test_clock.head);
	wr(STATUS, 6);
	assert_true(lines[20]);
	wr(CMP(0), 2000);
	assert_true(lines[20]);
	assert_null(test_clock.head); /* until the status is cleared */
	wr(STATUS, 1);
	assert_false(lines[20]);
	assert_int_equal(rd(STATUS), 0);
	pass(1000 * COUNT);
	assert_true(lines[20]);
}

static void a_comparator_in_the_past(unused void **state)
{
	wr(CONFIG, ENABLE);
	pass(5000 * COUNT);
	wr(T(0), INT | PIN(20));
	wr(CMP(0), 4999);
	wr(T(1), INT | PIN(21) | MODE32);
	wr(CMP(1), 4999);
	pass(HZ);
	assert_int_equal(all_rises(), 0);
	/* In 32-bit mode the counter comes round. */
	pass(43 * HZ);
	assert_int_equal(rises[21], 1);
	pass(43 * HZ);
	assert_int_equal(rises[21], 2);
	assert_int_equal(rises[20], 0);
}

static void late_timers_are_one_interrupt(unused void **state)
{
	wr(T(1), INT | PIN(21) | MODE32);
	wr(CMP(1), 4999);
	wr(CONFIG, ENABLE);
	ticks += 1000 * HZ; /* nobody has run the clock */
	clock_run(&test_clock, ticks);
	assert_int_equal(rises[21], 1);
}

static void status_without_an_interrupt(unused void **state)
{
	wr(T(0), LEVEL | PIN(20));
	wr(CMP(0), 10);
	wr(CONFIG, ENABLE);
	assert_null(test_clock.head);
	pass(11 * COUNT);
	assert_int_equal(rd(STATUS), 1);
	assert_false(lines[20]);
	/* A status that stands interrupts when it is enabled. */
	wr(T(0), INT | LEVEL | PIN(20));
	assert_true(lines[20]);
	wr(T(0), LEVEL | PIN(20));
	assert_false(lines[20]);
}

static void halting_keeps_the_status(unused void **state)
{
	wr(T(0), INT | LEVEL | PIN(20));
	wr(CMP(0), 10);
	wr(CONFIG, ENABLE);
	pass(11 * COUNT);
	wr(CONFIG, 0);
	assert_int_equal(rd(STATUS), 1);
	assert_false(lines[20]);
	wr(CONFIG, ENABLE);
	assert_true(lines[20]);
	/* An edge has no status. */
	wr(T(0), INT | PIN(20));
	assert_false(lines[20]);
	assert_int_equal(rd(STATUS), 0);
}

static void moving_a_timer(unused void **state)
{
	wr(T(0), INT | PIN(20));
	wr(CMP(0), 1000);
	wr(CONFIG, ENABLE);
	pass(500 * COUNT);
	wr(CMP(0), 600);
	pass(101 * COUNT);
	assert_int_equal(rises[20], 1);
	wr(CMP(0), 2000);
	wr(T(0), PIN(20));
	assert_null(test_clock.head);
	pass(2000 * COUNT);
	assert_int_equal(rises[20], 1);
	/* An event that has come is told before its pin changes. */
	wr(T(0), INT | PIN(20));
	wr(CMP(0), 3000);
	ticks += 1000 * COUNT;
	wr(T(0), INT | PIN(22));
	assert_int_equal(rises[20], 2);
	assert_int_equal(rises[22], 0);
}

/* ---- Periodic --------------------------------------------------------------------------------- */

#define MILLISECOND (VHPET_HZ / 1000)

static void periodic(unused void **state)
{
	unsigned i;

	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	assert_int_equal(rd(T(0)) & VAL_SET, VAL_SET);
	wr(CMP(0), 3 * MILLISECOND);
	assert_int_equal(rd(T(0)) & VAL_SET, 0);
	wr(CMP(0), MILLISECOND);
	assert_int_equal(rd(CMP(0)), 3 * MILLISECOND);
	wr(CONFIG, ENABLE);
	pass(3 * MS - 1);
	assert_int_equal(rises[20], 0);
	pass(COUNT);
	assert_int_equal(rises[20], 1);
	assert_int_equal(rd(CMP(0)), 4 * MILLISECOND);
	for (i = 2; i < 1000; i++) {
		pass(MS);
		assert_int_equal(rises[20], i);
	}
	/* Late ones are merged; the phase stays. */
	ticks += 10 * MS + MS / 2;
	clock_run(&test_clock, ticks);
	assert_int_equal(rises[20], 1000);
	assert_int_equal(rd(CMP(0)) % MILLISECOND, 0);
	assert_true(rd(CMP(0)) > rd(COUNTER) && rd(CMP(0)) - rd(COUNTER) <= MILLISECOND);
}

static void one_write_is_first_time_and_period(unused void **state)
{
	wr(T(1), INT | PERIODIC | VAL_SET | PIN(21));
	wr(CMP(1), MILLISECOND);
	wr(CONFIG, ENABLE);
	pass(10 * MS + COUNT);
	assert_int_equal(rises[21], 10);
}

static void periodic_in_halves(unused void **state)
{
	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	wr32(CMP(0), 5 * MILLISECOND);
	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	wr32(CMP(0) + 4, 0);
	wr(CONFIG, ENABLE);
	pass(15 * MS + COUNT);
	assert_int_equal(rises[20], 3);
}

static void timer_2_does_not_repeat(unused void **state)
{
	wr(T(2), INT | PERIODIC | VAL_SET | PIN(20));
	assert_int_equal(rd(T(2)) & (PERIODIC | VAL_SET), 0);
	wr(CMP(2), MILLISECOND);
	wr(CONFIG, ENABLE);
	pass(10 * MS);
	assert_int_equal(rises[20], 1);
}

static void what_was_written_last_is_the_period(unused void **state)
{
	wr(T(0), INT | PIN(20));
	wr(CMP(0), MILLISECOND);
	wr(T(0), INT | PERIODIC | PIN(20));
	wr(CONFIG, ENABLE);
	pass(10 * MS + COUNT);
	assert_int_equal(rises[20], 10);
}

static void periodic_level(unused void **state)
{
	wr(T(0), INT | LEVEL | PERIODIC | VAL_SET | PIN(20));
	wr(CMP(0), MILLISECOND);
	wr(CONFIG, ENABLE);
	pass(5 * MS + COUNT);
	assert_int_equal(rises[20], 1);
	assert_null(test_clock.head);
	wr(STATUS, 1);
	assert_false(lines[20]);
	pass(MS);
	assert_true(lines[20]);
}

static void fast_periods_are_merged(unused void **state)
{
	static const u64 periods[] = {1, 2, 100, 5000};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(periods); i++) {
		setup(NULL);
		wr(T(0), INT | PERIODIC | VAL_SET | PIN(20) | (i & 1 ? MODE32 : 0));
		wr(CMP(0), periods[i]);
		wr(CONFIG, ENABLE);
		pass(100 * MS);
		assert_in_range(rises[20], 990, 1002);
		assert_true(test_clock.head->deadline > ticks);
	}
}

static void no_period_is_one_shot(unused void **state)
{
	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	wr(CMP(0), MILLISECOND);
	wr(CMP(0), 0);
	wr(CONFIG, ENABLE);
	pass(10 * MS);
	assert_int_equal(rises[20], 1);
	assert_null(test_clock.head);
}

/* ---- 32-bit mode ------------------------------------------------------------------------------ */

static void mode_32_cuts_the_upper_half(unused void **state)
{
	wr(CMP(0), 0x123456789abcdef0);
	wr(T(0), MODE32);
	assert_int_equal(rd(CMP(0)), 0x9abcdef0);
	wr(T(0), 0);
	assert_int_equal(rd(CMP(0)), 0x9abcdef0);
	wr(T(0), MODE32);
	wr(CMP(0), 0x123456789abcdef0);
	assert_int_equal(rd(CMP(0)), 0x9abcdef0);
}

static void mode_32_cuts_the_period(unused void **state)
{
	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	wr(CMP(0), (1ULL << 32) + MILLISECOND);
	wr(T(0), INT | PERIODIC | MODE32 | PIN(20));
	wr(CONFIG, ENABLE);
	pass(10 * MS + COUNT);
	assert_int_equal(rises[20], 10);
	/* When it is late, too. */
	ticks += 5 * MS;
	clock_run(&test_clock, ticks);
	assert_int_equal(rises[20], 11);
	pass(3 * MS);
	assert_int_equal(rises[20], 14);
}

static void mode_32_wraps(unused void **state)
{
	wr(COUNTER, 0x5ffffff00);
	wr(T(0), INT | MODE32 | PERIODIC | VAL_SET | PIN(20));
	wr(CMP(0), 0xffffff80);
	wr(CMP(0), MILLISECOND);
	wr(CONFIG, ENABLE);
	pass(0x81 * COUNT);
	assert_int_equal(rises[20], 1);
	assert_int_equal(rd(CMP(0)), (u32)(0xffffff80 + MILLISECOND));
	assert_int_equal(rd(COUNTER), 0x5ffffff81);
	pass(MS);
	assert_int_equal(rises[20], 2);
}

/* ---- Routing ---------------------------------------------------------------------------------- */

static void legacy_replacement(unused void **state)
{
	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	wr(CMP(0), MILLISECOND);
	wr(T(1), INT | PIN(21));
	wr(CMP(1), MILLISECOND / 2);
	wr(T(2), INT | PIN(22));
	wr(CMP(2), MILLISECOND / 2);
	wr(CONFIG, LEGACY);
	assert_false(vhpet_legacy(&hpet));
	lines[VHPET_PIN_PIT] = lines[VHPET_PIN_RTC] =
		true; /* as the PIT and the RTC have left them */
	wr(CONFIG, LEGACY | ENABLE);
	assert_true(vhpet_legacy(&hpet));
	assert_false(lines[VHPET_PIN_PIT] || lines[VHPET_PIN_RTC]);
	pass(2 * MS + COUNT);
	assert_int_equal(rises[VHPET_PIN_PIT], 2);
	assert_int_equal(rises[VHPET_PIN_RTC], 1);
	assert_int_equal(rises[22], 1);
	assert_int_equal(all_rises(), 4);
	wr(CONFIG, ENABLE);
	assert_false(vhpet_legacy(&hpet));
	pass(MS);
	assert_int_equal(rises[20], 1);
}

/* The clock of the CPU that looks now is behind that of the one before: nothing has come to pass. */
static void a_clock_that_is_behind(unused void **state)
{
	wr(T(0), INT | PERIODIC | VAL_SET | PIN(20));
	wr(CMP(0), MILLISECOND);
	wr(CONFIG, ENABLE);
	pass(MS / 2);
	(void)rd(STATUS);
	ticks -= 100 * COUNT;
	(void)rd(STATUS);
	wr(T(1), INT | PIN(21));
	assert_int_equal(all_rises(), 0);
	ticks += 100 * COUNT;
	pass(MS);
	assert_int_equal(rises[20], 1);
}

static void no_route_no_interrupt(unused void **state)
{
	wr(T(0), INT);
	wr(CMP(0), 100);
	wr(T(2), INT | LEVEL);
	wr(CMP(2), 100);
	wr(CONFIG, ENABLE);
	assert_null(test_clock.head);
	pass(MS);
	assert_int_equal(rd(STATUS), 4);
	assert_int_equal(all_rises(), 0);
}

static void a_pin_that_two_share(unused void **state)
{
	wr(T(0), INT | LEVEL | PIN(20));
	wr(CMP(0), 100);
	wr(T(1), INT | LEVEL | PIN(20));
	wr(CMP(1), 200);
	wr(T(2), INT | PIN(20));
	wr(CMP(2), 300);
	wr(CONFIG, ENABLE);
	pass(MS);
	assert_int_equal(rises[20], 1);
	assert_true(lines[20]);
	assert_int_equal(rd(STATUS), 3);
	wr(STATUS, 1);
	assert_true(lines[20]);
	wr(T(1), INT | LEVEL | PIN(23));
	assert_false(lines[20]);
	assert_true(lines[23]);
	vhpet_reset(&hpet);
	assert_false(lines[23]);
	reset_state(NULL);
}

/* ---- Linux ------------------------------------------------------------------------------------ */

/* arch/x86/kernel/hpet.c: hpet_enable(), hpet_clkevt_set_state_periodic(), _oneshot(), hpet_clkevt_set_next_event(). */
static void linux_clock_event(unused void **state)
{
	u32 cfg, cmp, count;

	assert_in_range(rd32(ID + 4), 100000, 100000000);
	assert_int_equal(rd32(ID) & 0x8000, 0x8000);
	wr32(CONFIG, rd32(CONFIG) | ENABLE);
	count = rd32(COUNTER);
	pass(200000);
	assert_int_not_equal(rd32(COUNTER), count);
	wr32(CONFIG, rd32(CONFIG) | LEGACY);
	/* Periodic: the counter is halted, and not reset. */
	wr32(CONFIG, rd32(CONFIG) & ~1U);
	cmp = rd32(COUNTER) + MILLISECOND;
	cfg = rd32(T(0));
	wr32(T(0), (cfg & ~2U) | INT | PERIODIC | VAL_SET | MODE32);
	wr32(CMP(0), cmp);
	pass(US);
	wr32(CMP(0), MILLISECOND);
	wr32(CONFIG, rd32(CONFIG) | ENABLE);
	pass(100 * MS + COUNT);
	assert_int_equal(rises[VHPET_PIN_PIT], 100);
	/* One-shot */
	wr32(T(0), (rd32(T(0)) & ~(u32)PERIODIC) | INT | MODE32);
	cmp = rd32(COUNTER) + 12345;
	wr32(CMP(0), cmp);
	assert_int_equal(rd32(CMP(0)), cmp);
	pass(12346 * COUNT);
	assert_int_equal(rises[VHPET_PIN_PIT], 101);
	wr32(T(0), rd32(T(0)) & ~(u32)INT);
	assert_null(test_clock.head);
}

static void reading_the_counter_is_cheap(unused void **state)
{
	wr(CONFIG, ENABLE);
	reads_of_now = 0;
	rd(COUNTER);
	assert_int_equal(reads_of_now, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_state, setup),
		cmocka_unit_test_setup(sizes_and_alignment, setup),
		cmocka_unit_test_setup(what_can_be_written, setup),
		cmocka_unit_test_setup(routes, setup),
		cmocka_unit_test_setup(the_counter_runs_at_its_rate, setup),
		cmocka_unit_test_setup(setting_the_counter, setup),
		cmocka_unit_test_setup(one_shot_edge, setup),
		cmocka_unit_test_setup(one_shot_level, setup),
		cmocka_unit_test_setup(a_comparator_in_the_past, setup),
		cmocka_unit_test_setup(late_timers_are_one_interrupt, setup),
		cmocka_unit_test_setup(status_without_an_interrupt, setup),
		cmocka_unit_test_setup(halting_keeps_the_status, setup),
		cmocka_unit_test_setup(moving_a_timer, setup),
		cmocka_unit_test_setup(periodic, setup),
		cmocka_unit_test_setup(one_write_is_first_time_and_period, setup),
		cmocka_unit_test_setup(periodic_in_halves, setup),
		cmocka_unit_test_setup(timer_2_does_not_repeat, setup),
		cmocka_unit_test_setup(what_was_written_last_is_the_period, setup),
		cmocka_unit_test_setup(periodic_level, setup),
		cmocka_unit_test_setup(fast_periods_are_merged, setup),
		cmocka_unit_test_setup(no_period_is_one_shot, setup),
		cmocka_unit_test_setup(mode_32_cuts_the_upper_half, setup),
		cmocka_unit_test_setup(mode_32_cuts_the_period, setup),
		cmocka_unit_test_setup(mode_32_wraps, setup),
		cmocka_unit_test_setup(legacy_replacement, setup),
		cmocka_unit_test_setup(no_route_no_interrupt, setup),
		cmocka_unit_test_setup(a_clock_that_is_behind, setup),
		cmocka_unit_test_setup(a_pin_that_two_share, setup),
		cmocka_unit_test_setup(linux_clock_event, setup),
		cmocka_unit_test_setup(reading_the_counter_is_cheap, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
