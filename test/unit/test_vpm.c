/* SPDX-License-Identifier: MIT */
/* Tests of power management: PM1 registers at every size and offset, PM timer, S5, the ways to reset. */
/* SOURCES: vmm/dev/vpm.c vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/string.h>
#include <vmm/vpm.h>

enum { STS = 0, EN = 2, CNT = 4, RESERVED = 6, TIMER = 8 };

#define HZ         1000000000ULL
#define HALF_TICKS 599931488000ULL /* a little less than 2^31 / 3579545 s */

static u64 ticks;
static struct clock test_clock;
static struct vpm pm;
static bool sci;
static unsigned poweroffs, resets;
static const char *reset_how;

static u64 now(void)
{
	return ticks;
}

static void on_sci(unused void *ctx, unused unsigned pin, bool level)
{
	assert_int_not_equal(level, sci);
	sci = level;
}

static void on_poweroff(unused void *ctx)
{
	poweroffs++;
}

static void on_reset(unused void *ctx, const char *how)
{
	resets++;
	reset_how = how;
}

static const struct vpm_ops ops = {.poweroff = on_poweroff, .reset = on_reset};

static int setup(unused void **state)
{
	ticks = 0;
	sci = false;
	poweroffs = resets = 0;
	clock_init(&test_clock, now, HZ, NULL);
	vpm_init(&pm, &test_clock, &(struct irq_line){on_sci, NULL, 9}, &ops, NULL);
	return 0;
}

static u64 rd(u64 offset, unsigned size)
{
	return vpm_acpi_bus_ops.read(&pm, offset, size);
}

static void wr(u64 offset, unsigned size, u64 value)
{
	vpm_acpi_bus_ops.write(&pm, offset, size, value);
}

static void pass(u64 n)
{
	ticks += n;
	clock_run(&test_clock, ticks);
}

static void reset_state(unused void **state)
{
	assert_int_equal(rd(STS, 2), 0);
	assert_int_equal(rd(EN, 2), 0);
	assert_int_equal(rd(CNT, 2), 1); /* SCI_EN */
	assert_int_equal(rd(RESERVED, 2), 0);
	assert_null(test_clock.head);
}

static void control_bits(unused void **state)
{
	wr(CNT, 2, 0);
	assert_int_equal(rd(CNT, 2), 1);
	wr(CNT, 2, 0xdfff); /* all but SLP_EN */
	assert_int_equal(rd(CNT, 2), 0x1c03);
	wr(EN, 2, 0xffff);
	assert_int_equal(rd(EN, 2), 0x0721);
	wr(RESERVED, 2, 0xffff);
	assert_int_equal(rd(RESERVED, 2), 0);
	assert_int_equal(poweroffs, 0);
}

static void s5_powers_off(unused void **state)
{
	wr(CNT, 2, 5 << 10 | 1 << 13);
	assert_int_equal(poweroffs, 1);
	/* Type first, then SLP_EN, as ACPICA does. */
	wr(CNT, 2, 5 << 10);
	assert_int_equal(poweroffs, 1);
	wr(CNT, 2, 5 << 10 | 1 << 13);
	assert_int_equal(poweroffs, 2);
	/* By the high byte alone, and as part of a dword. */
	wr(CNT + 1, 1, 0x34);
	assert_int_equal(poweroffs, 3);
	wr(EN, 4, 0x34000000);
	assert_int_equal(poweroffs, 4);
	wr(EN, 4, 0x00003400);
	assert_int_equal(poweroffs, 4);
	assert_false(rd(CNT, 2) & 1 << 13);
}

static void other_sleep_states_end_at_once(unused void **state)
{
	unsigned type;

	for (type = 0; type < 8; type++) {
		if (type == VPM_S5_TYPE)
			continue;
		wr(STS, 2, 0xffff);
		wr(CNT, 2, type << 10 | 1 << 13);
		assert_int_equal(rd(STS, 2), 0x8000); /* WAK_STS */
	}
	assert_int_equal(poweroffs, 0);
	wr(STS, 2, 0x8000);
	assert_int_equal(rd(STS, 2), 0);
}

static void every_size_at_every_offset(unused void **state)
{
	static const unsigned sizes[] = {1, 2, 4};
	u64 offset;
	unsigned i, n;
	u8 bytes[VPM_SIZE];

	ticks = 123456789012ULL;
	wr(EN, 2, 0x0700);
	wr(CNT, 2, 0x1402);
	for (offset = 0; offset < VPM_SIZE; offset++)
		bytes[offset] = (u8)rd(offset, 1);
	assert_int_equal(bytes[3], 0x07);
	assert_int_equal(bytes[4], 0x03);
	assert_int_equal(bytes[5], 0x14);
	for (offset = 0; offset < VPM_SIZE; offset++) {
		for (i = 0; i < ARRAY_SIZE(sizes) && offset + sizes[i] <= VPM_SIZE; i++) {
			u64 want = 0;

			for (n = 0; n < sizes[i]; n++)
				want |= (u64)bytes[offset + n] << (n * 8);
			assert_int_equal(rd(offset, sizes[i]), want);
		}
	}
	/* Bytes of EN, each by itself. */
	wr(EN, 1, 0x21);
	assert_int_equal(rd(EN, 2), 0x0721);
	wr(EN + 1, 1, 0);
	assert_int_equal(rd(EN, 2), 0x0021);
	wr(STS + 1, 4, 0x00000100); /* STS high, EN, CNT low */
	assert_int_equal(rd(EN, 2), 0x0001);
}

static void the_timer_runs_at_its_rate(unused void **state)
{
	ticks = HZ;
	assert_int_equal(rd(TIMER, 4), 3579545);
	ticks = 3600 * HZ;
	assert_int_equal(rd(TIMER, 4), (u32)(3600ULL * 3579545));
	wr(TIMER, 4, 0);
	assert_int_equal(rd(TIMER, 4), (u32)(3600ULL * 3579545));
}

static void overflow_sets_the_status(unused void **state)
{
	pass(HALF_TICKS);
	assert_int_equal(rd(STS, 2) & 1, 0);
	assert_false(rd(TIMER, 4) & 0x80000000);
	pass(HZ);
	assert_true(rd(TIMER, 4) & 0x80000000);
	assert_int_equal(rd(STS, 2), 1);
	wr(STS, 2, 0xfffe);
	assert_int_equal(rd(STS, 2), 1);
	wr(STS, 2, 1);
	assert_int_equal(rd(STS, 2), 0);
	/* From set to clear too. */
	pass(HALF_TICKS);
	assert_false(rd(TIMER, 4) & 0x80000000);
	assert_int_equal(rd(STS, 2), 1);
	assert_false(sci);
	assert_null(test_clock.head);
}

static void overflow_raises_sci_if_enabled(unused void **state)
{
	wr(EN, 2, 1);
	assert_non_null(test_clock.head);
	pass(HALF_TICKS);
	assert_false(sci);
	pass(test_clock.head->deadline - ticks);
	assert_true(sci);
	assert_null(test_clock.head);
	wr(STS, 2, 1);
	assert_false(sci);
	assert_non_null(test_clock.head);
	wr(EN, 2, 0);
	assert_null(test_clock.head);
	/* A status that stands interrupts as soon as it is enabled. */
	pass(HALF_TICKS + HZ);
	assert_false(sci);
	wr(EN, 2, 1);
	assert_true(sci);
	wr(EN, 2, 0x20);
	assert_false(sci);
}

static void port_cf9(unused void **state)
{
	const struct bus_ops *cf9 = &vpm_cf9_bus_ops;

	cf9->write(&pm, 0, 1, 0x02);
	assert_int_equal(resets, 0);
	assert_int_equal(cf9->read(&pm, 0, 1), 0x02);
	cf9->write(&pm, 0, 1, 0x06);
	assert_int_equal(resets, 1);
	assert_string_equal(reset_how, "port 0xCF9");
	cf9->write(&pm, 0, 1, 0x06); /* no edge */
	assert_int_equal(resets, 1);
	vpm_reset(&pm);
	assert_int_equal(cf9->read(&pm, 0, 1), 0);
	cf9->write(&pm, 0, 1, 0x0e);
	assert_int_equal(resets, 2);
	cf9->write(&pm, 0, 1, 0xf1);
	assert_int_equal(cf9->read(&pm, 0, 1), 0);
	assert_int_equal(resets, 2);
}

static void keyboard_controller(unused void **state)
{
	unsigned cmd;

	for (cmd = 0; cmd < 256; cmd++) {
		resets = 0;
		vpm_kbc_bus_ops.write(&pm, 0, 1, cmd);
		assert_int_equal(resets, cmd >= 0xf0 && !(cmd & 1));
	}
	vpm_kbc_bus_ops.write(&pm, 0, 1, 0xfe);
	assert_string_equal(reset_how, "the keyboard controller");
	/* Ready for a command at any time, and no floating bus. */
	assert_int_equal(vpm_kbc_bus_ops.read(&pm, 0, 1) & 2, 0);
	assert_int_not_equal(vpm_kbc_bus_ops.read(&pm, 0, 1), 0xff);
}

/* drivers/input/serio/i8042.c, i8042_flush(): more than 16 bytes in the output buffer is no controller. */
static void linux_finds_no_keyboard_at_once(unused void **state)
{
	unsigned n = 0;

	while (vpm_kbc_bus_ops.read(&pm, 0, 1) & 1 && n < 17)
		n++;
	assert_int_equal(n, 17);
}

static void port_92(unused void **state)
{
	const struct bus_ops *p92 = &vpm_port92_bus_ops;

	assert_int_equal(p92->read(&pm, 0, 1), 2);
	p92->write(&pm, 0, 1, 0xfc);
	assert_int_equal(p92->read(&pm, 0, 1), 0);
	p92->write(&pm, 0, 1, 2);
	assert_int_equal(p92->read(&pm, 0, 1), 2);
	assert_int_equal(resets, 0);
	p92->write(&pm, 0, 1, 3);
	assert_int_equal(resets, 1);
	p92->write(&pm, 0, 1, 3);
	assert_int_equal(resets, 1);
	vpm_reset(&pm);
	p92->write(&pm, 0, 1, 1);
	assert_int_equal(resets, 2);
}

static void reset_lowers_sci(unused void **state)
{
	wr(EN, 2, 1);
	pass(HALF_TICKS + HZ);
	assert_true(sci);
	vpm_reset(&pm);
	assert_false(sci);
	reset_state(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_state, setup),
		cmocka_unit_test_setup(control_bits, setup),
		cmocka_unit_test_setup(s5_powers_off, setup),
		cmocka_unit_test_setup(other_sleep_states_end_at_once, setup),
		cmocka_unit_test_setup(every_size_at_every_offset, setup),
		cmocka_unit_test_setup(the_timer_runs_at_its_rate, setup),
		cmocka_unit_test_setup(overflow_sets_the_status, setup),
		cmocka_unit_test_setup(overflow_raises_sci_if_enabled, setup),
		cmocka_unit_test_setup(port_cf9, setup),
		cmocka_unit_test_setup(keyboard_controller, setup),
		cmocka_unit_test_setup(linux_finds_no_keyboard_at_once, setup),
		cmocka_unit_test_setup(port_92, setup),
		cmocka_unit_test_setup(reset_lowers_sci, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
