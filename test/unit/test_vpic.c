/* SPDX-License-Identifier: MIT */
/* Tests of the pair of 8259As: initialisation, priorities, edge and level lines, cascade, EOIs, poll, special modes. */
/* SOURCES: vmm/irq/vpic.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/vpic.h>

enum { MASTER, SLAVE };

/* OCW2 commands */
enum {
	ROTATE_AUTO_CLEAR = 0x00,
	EOI = 0x20,
	NOP = 0x40,
	EOI_SPECIFIC = 0x60,
	ROTATE_AUTO_SET = 0x80,
	EOI_ROTATE = 0xa0,
	SET_PRIORITY = 0xc0,
	EOI_SPECIFIC_ROTATE = 0xe0,
};

static struct vpic pic;
static bool line;
static unsigned changes;

static void on_int(unused void *ctx, unused unsigned pin, bool level)
{
	assert_int_not_equal(level, line);
	line = level;
	changes++;
}

static void wr(unsigned chip, unsigned port, u8 value)
{
	vpic_bus_ops.write(&pic.chip[chip], port, 1, value);
}

static u8 rd(unsigned chip, unsigned port)
{
	return (u8)vpic_bus_ops.read(&pic.chip[chip], port, 1);
}

static u8 irr(unsigned chip)
{
	wr(chip, 0, 0x0a);
	return rd(chip, 0);
}

static u8 isr(unsigned chip)
{
	wr(chip, 0, 0x0b);
	return rd(chip, 0);
}

static u8 poll(unsigned chip)
{
	wr(chip, 0, 0x0c);
	return rd(chip, 0);
}

static void init_chip(unsigned chip, u8 icw4)
{
	wr(chip, 0, 0x11);
	wr(chip, 1, chip ? 0x28 : 0x20);
	wr(chip, 1, chip ? 2 : 4);
	wr(chip, 1, icw4);
}

static void start(u8 icw4_master, u8 icw4_slave)
{
	init_chip(MASTER, icw4_master);
	init_chip(SLAVE, icw4_slave);
}

static void irq(unsigned n, bool level)
{
	vpic_set_irq(&pic, n, level);
}

static void elcr(u16 value)
{
	vpic_elcr_bus_ops.write(&pic, 0, 2, value);
}

static int power_up(unused void **state)
{
	line = false;
	changes = 0;
	vpic_init(&pic, &(struct irq_line){on_int, NULL, 0});
	return 0;
}

static int setup(void **state)
{
	power_up(state);
	start(0x01, 0x01);
	return 0;
}

/* ---- Initialisation ----------------------------------------------------------------------- */

static void nothing_before_icw1(unused void **state)
{
	unsigned n;

	for (n = 0; n < 16; n++)
		irq(n, true);
	wr(MASTER, 1, 0);
	wr(SLAVE, 1, 0);
	assert_int_equal(changes, 0);
}

static void nothing_in_the_middle_of_it(unused void **state)
{
	wr(MASTER, 0, 0x11);
	irq(1, true);
	wr(MASTER, 1, 0x20);
	wr(MASTER, 1, 4);
	assert_false(line);
	wr(MASTER, 1, 1);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x21);
}

static void icw_sequences(unused void **state)
{
	/* ICW1, and how many words follow */
	static const struct {
		u8 icw1;
		unsigned words;
	} rows[] = {{0x10, 2}, {0x11, 3}, {0x12, 1}, {0x13, 2}, {0x19, 3}, {0xff, 2}};
	unsigned i, n;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		power_up(NULL);
		wr(MASTER, 0, rows[i].icw1);
		for (n = 0; n < rows[i].words; n++)
			wr(MASTER, 1, n ? 0x01 : 0x47);
		wr(MASTER, 1, 0xa5);
		assert_int_equal(rd(MASTER, 1), 0xa5);
		wr(MASTER, 1, 0);
		irq(3, true);
		assert_int_equal(vpic_ack(&pic), 0x43);
	}
}

static void icw1_clears(unused void **state)
{
	irq(3, true);
	irq(4, true);
	assert_int_equal(vpic_ack(&pic), 0x23);
	wr(MASTER, 1, 0xf0);
	wr(MASTER, 0, 0x68);
	wr(MASTER, 0, SET_PRIORITY | 5);
	assert_int_equal(isr(MASTER), 0x08);
	init_chip(MASTER, 0x01);
	/* The read of the IRR is selected, and a line that is high already is no edge. */
	assert_int_equal(rd(MASTER, 0), 0);
	assert_int_equal(rd(MASTER, 1), 0);
	assert_int_equal(isr(MASTER), 0);
	assert_false(line);
	irq(4, false);
	irq(4, true);
	assert_true(line);
	irq(0, true);
	assert_int_equal(vpic_ack(&pic), 0x20);
}

static void icw1_without_icw4_clears_its_modes(unused void **state)
{
	init_chip(MASTER, 0x03);
	wr(MASTER, 0, 0x10);
	wr(MASTER, 1, 0x20);
	wr(MASTER, 1, 0x04);
	irq(1, true);
	assert_int_equal(vpic_ack(&pic), 0x21);
	assert_int_equal(isr(MASTER), 2);
}

static void reset_is_power_up(unused void **state)
{
	elcr(0xffff);
	irq(10, true);
	assert_true(line);
	vpic_reset(&pic);
	assert_false(line);
	assert_int_equal(vpic_elcr_bus_ops.read(&pic, 0, 2), 0);
	wr(MASTER, 1, 0);
	assert_false(line);
	start(0x01, 0x01);
	assert_false(line);
	/* The line is as the device left it. */
	elcr(0x0400);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x2a);
}

/* ---- Lines -------------------------------------------------------------------------------- */

static void an_edge_is_one_interrupt(unused void **state)
{
	irq(1, true);
	assert_true(line);
	assert_int_equal(irr(MASTER), 0x02);
	assert_int_equal(vpic_ack(&pic), 0x21);
	assert_false(line);
	assert_int_equal(irr(MASTER), 0);
	assert_int_equal(isr(MASTER), 0x02);
	wr(MASTER, 0, EOI);
	assert_int_equal(isr(MASTER), 0);
	assert_false(line);
	irq(1, true);
	assert_false(line);
	irq(1, false);
	irq(1, true);
	assert_true(line);
}

static void an_edge_while_in_service_waits(unused void **state)
{
	irq(1, true);
	assert_int_equal(vpic_ack(&pic), 0x21);
	irq(1, false);
	irq(1, true);
	assert_false(line);
	assert_int_equal(irr(MASTER), 0x02);
	wr(MASTER, 0, EOI);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x21);
}

static void a_request_that_goes_away_is_spurious(unused void **state)
{
	irq(1, true);
	irq(1, false);
	assert_false(line);
	assert_int_equal(irr(MASTER), 0);
	assert_int_equal(vpic_ack(&pic), 0x27);
	assert_int_equal(isr(MASTER), 0);
}

static void a_spurious_one_of_the_slave(unused void **state)
{
	irq(9, true);
	assert_true(line);
	/* It goes away between the first and the second INTA. */
	pic.chip[SLAVE].edges = 0;
	assert_int_equal(vpic_ack(&pic), 0x2f);
	assert_int_equal(isr(MASTER), 0x04);
	assert_int_equal(isr(SLAVE), 0);
	wr(MASTER, 0, EOI);
	assert_false(line);
}

static void a_level_comes_again(unused void **state)
{
	elcr(0x0020);
	irq(5, true);
	assert_int_equal(vpic_ack(&pic), 0x25);
	assert_int_equal(irr(MASTER), 0x20);
	assert_false(line);
	wr(MASTER, 0, EOI);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x25);
	irq(5, false);
	assert_int_equal(irr(MASTER), 0);
	wr(MASTER, 0, EOI);
	assert_false(line);
	irq(5, true);
	irq(5, false);
	assert_false(line);
}

static void elcr_bits(unused void **state)
{
	elcr(0xffff);
	assert_int_equal(vpic_elcr_bus_ops.read(&pic, 0, 2), 0xdef8);
	assert_int_equal(vpic_elcr_bus_ops.read(&pic, 0, 1), 0xf8);
	assert_int_equal(vpic_elcr_bus_ops.read(&pic, 1, 1), 0xde);
	vpic_elcr_bus_ops.write(&pic, 1, 1, 0x02);
	assert_int_equal(vpic_elcr_bus_ops.read(&pic, 0, 2), 0x02f8);
	vpic_elcr_bus_ops.write(&pic, 0, 1, 0x10);
	assert_int_equal(vpic_elcr_bus_ops.read(&pic, 0, 2), 0x0210);
}

/* LTIM makes no line a level: the ELCR says. */
static void ltim_is_ignored(unused void **state)
{
	wr(MASTER, 0, 0x1b);
	wr(MASTER, 1, 0x20);
	wr(MASTER, 1, 0x01);
	irq(5, true);
	assert_int_equal(vpic_ack(&pic), 0x25);
	wr(MASTER, 0, EOI);
	assert_false(line);
}

static void a_masked_edge_is_kept(unused void **state)
{
	wr(MASTER, 1, 0xff);
	irq(1, true);
	assert_false(line);
	assert_int_equal(irr(MASTER), 0x02);
	wr(MASTER, 1, 0xfd);
	assert_true(line);
	wr(MASTER, 1, 0xff);
	assert_false(line);
	assert_int_equal(rd(MASTER, 1), 0xff);
}

static void irqs_that_do_not_exist(unused void **state)
{
	irq(2, true);
	irq(16, true);
	irq(0xffffffff, true);
	assert_false(line);
	assert_int_equal(irr(MASTER), 0);
	assert_int_equal(irr(SLAVE), 0);
}

/* ---- Priorities and the ends of interrupts -------------------------------------------------- */

static void each_irq_has_its_vector(unused void **state)
{
	unsigned n;

	for (n = 0; n < 16; n++) {
		if (n == 2)
			continue;
		irq(n, true);
		assert_int_equal(vpic_ack(&pic), 0x20 + n);
		assert_int_equal(isr(MASTER), n < 8 ? 1 << n : 4);
		assert_int_equal(isr(SLAVE), n < 8 ? 0 : 1 << (n - 8));
		irq(n, false);
		if (n >= 8)
			wr(SLAVE, 0, EOI);
		wr(MASTER, 0, EOI);
		assert_int_equal(isr(MASTER) | isr(SLAVE), 0);
	}
}

static void a_higher_one_nests(unused void **state)
{
	irq(4, true);
	assert_int_equal(vpic_ack(&pic), 0x24);
	irq(6, true);
	assert_false(line);
	irq(3, true);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x23);
	assert_int_equal(isr(MASTER), 0x18);
	/* A non-specific EOI ends the highest, a specific one what it names. */
	wr(MASTER, 0, EOI);
	assert_int_equal(isr(MASTER), 0x10);
	assert_false(line);
	wr(MASTER, 0, EOI_SPECIFIC | 3);
	assert_int_equal(isr(MASTER), 0x10);
	wr(MASTER, 0, EOI_SPECIFIC | 4);
	assert_int_equal(isr(MASTER), 0);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x26);
}

static void the_order_by_default(unused void **state)
{
	static const u8 order[] = {0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7};
	unsigned i;

	for (i = ARRAY_SIZE(order); i--;)
		irq(order[i], true);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		assert_int_equal(vpic_ack(&pic), 0x20 + order[i]);
		if (order[i] >= 8)
			wr(SLAVE, 0, EOI);
		wr(MASTER, 0, EOI);
	}
	assert_false(line);
}

static void set_priority(unused void **state)
{
	unsigned lowest, i, n;

	for (lowest = 0; lowest < 8; lowest++) {
		setup(NULL);
		wr(SLAVE, 0, (u8)(SET_PRIORITY | lowest));
		for (n = 8; n < 16; n++)
			irq(n, true);
		for (i = 1; i <= 8; i++) {
			assert_int_equal(vpic_ack(&pic), 0x28 + (lowest + i) % 8);
			wr(SLAVE, 0, EOI);
			wr(MASTER, 0, EOI);
		}
	}
}

static void rotation_on_eoi(unused void **state)
{
	irq(3, true);
	irq(5, true);
	assert_int_equal(vpic_ack(&pic), 0x23);
	wr(MASTER, 0, EOI_ROTATE);
	assert_int_equal(isr(MASTER), 0);
	/* 3 is the lowest now. */
	irq(3, false);
	irq(3, true);
	assert_int_equal(vpic_ack(&pic), 0x25);
	wr(MASTER, 0, EOI_SPECIFIC_ROTATE | 5);
	irq(5, false);
	irq(5, true);
	assert_int_equal(vpic_ack(&pic), 0x23);
	/* With nothing in service there is nothing to rotate by. */
	wr(MASTER, 0, EOI);
	wr(MASTER, 0, EOI_ROTATE);
	irq(6, true);
	irq(4, true);
	assert_int_equal(vpic_ack(&pic), 0x26);
	/* No operation. */
	wr(MASTER, 0, NOP | 6);
	assert_int_equal(isr(MASTER), 0x40);
}

static void automatic_eoi(unused void **state)
{
	start(0x03, 0x03);
	irq(4, true);
	irq(5, true);
	assert_int_equal(vpic_ack(&pic), 0x24);
	assert_int_equal(isr(MASTER), 0);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x25);
	assert_false(line);
	/* Both of two on the slave. */
	irq(9, true);
	irq(10, true);
	assert_int_equal(vpic_ack(&pic), 0x29);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x2a);
	assert_false(line);
	assert_int_equal(isr(MASTER) | isr(SLAVE), 0);
}

static void automatic_eoi_with_rotation(unused void **state)
{
	unsigned i;

	start(0x03, 0x01);
	elcr(0x0030);
	irq(4, true);
	irq(5, true);
	assert_int_equal(vpic_ack(&pic), 0x24);
	assert_int_equal(vpic_ack(&pic), 0x24);
	wr(MASTER, 0, ROTATE_AUTO_SET);
	for (i = 0; i < 4; i++)
		assert_int_equal(vpic_ack(&pic), 0x24 + i % 2);
	wr(MASTER, 0, ROTATE_AUTO_CLEAR);
	assert_int_equal(vpic_ack(&pic), 0x24);
	assert_int_equal(vpic_ack(&pic), 0x24);
}

/* ---- Cascade ------------------------------------------------------------------------------ */

static void the_slave_is_ir2(unused void **state)
{
	irq(9, true);
	assert_int_equal(irr(MASTER), 0x04);
	assert_int_equal(irr(SLAVE), 0x02);
	wr(MASTER, 1, 0x04);
	assert_false(line);
	wr(MASTER, 1, 0x00);
	assert_int_equal(vpic_ack(&pic), 0x29);
	/* Higher on the slave, but the same to the master. */
	irq(8, true);
	assert_false(line);
	irq(1, true);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x21);
	wr(MASTER, 0, EOI);
	wr(MASTER, 0, EOI);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x28);
	assert_int_equal(isr(SLAVE), 0x03);
}

static void a_slave_that_waited_for_the_master(unused void **state)
{
	power_up(NULL);
	init_chip(SLAVE, 0x01);
	irq(9, true);
	init_chip(MASTER, 0x01);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x29);
}

static void special_fully_nested_mode(unused void **state)
{
	start(0x11, 0x01);
	irq(9, true);
	assert_int_equal(vpic_ack(&pic), 0x29);
	irq(8, true);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x28);
	assert_int_equal(isr(SLAVE), 0x03);
	/* Not what is lower on the slave or on the master. */
	irq(10, true);
	irq(3, true);
	assert_false(line);
	wr(SLAVE, 0, EOI);
	wr(SLAVE, 0, EOI);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x2a);
}

static void a_single_master_has_no_cascade(unused void **state)
{
	wr(MASTER, 0, 0x13);
	wr(MASTER, 1, 0x20);
	wr(MASTER, 1, 0x01);
	irq(9, true);
	assert_int_equal(vpic_ack(&pic), 0x22);
	assert_int_equal(isr(SLAVE), 0);
	/* And nothing that could nest. */
	wr(MASTER, 0, 0x13);
	wr(MASTER, 1, 0x20);
	wr(MASTER, 1, 0x11);
	assert_int_equal(vpic_ack(&pic), 0x22);
	assert_false(line);
}

/* ---- OCW3, ports -------------------------------------------------------------------------- */

static void special_mask_mode(unused void **state)
{
	irq(3, true);
	assert_int_equal(vpic_ack(&pic), 0x23);
	wr(MASTER, 1, 0x08);
	irq(6, true);
	assert_false(line);
	wr(MASTER, 0, 0x68);
	assert_true(line);
	/* SMM alone changes nothing. */
	wr(MASTER, 0, 0x08);
	assert_true(line);
	assert_int_equal(vpic_ack(&pic), 0x26);
	/* The one that is masked is ended by its name only. */
	wr(MASTER, 0, EOI);
	assert_int_equal(isr(MASTER), 0x08);
	wr(MASTER, 0, EOI);
	assert_int_equal(isr(MASTER), 0x08);
	irq(6, false);
	irq(6, true);
	assert_true(line);
	wr(MASTER, 0, 0x48);
	assert_false(line);
	wr(MASTER, 0, EOI_SPECIFIC | 3);
	assert_int_equal(isr(MASTER), 0);
	assert_true(line);
}

static void poll_command(unused void **state)
{
	assert_int_equal(poll(MASTER), 0);
	irq(5, true);
	assert_int_equal(poll(MASTER), 0x85);
	assert_false(line);
	assert_int_equal(rd(MASTER, 0), 0); /* of the IRR */
	assert_int_equal(isr(MASTER), 0x20);
	/* At either port, and once. */
	irq(1, true);
	wr(MASTER, 1, 0x80);
	wr(MASTER, 0, 0x0c);
	assert_int_equal(rd(MASTER, 1), 0x81);
	assert_int_equal(rd(MASTER, 1), 0x80);
	wr(MASTER, 0, EOI);
	wr(MASTER, 0, EOI);
	/* Each chip by itself. */
	irq(12, true);
	assert_int_equal(poll(MASTER), 0x82);
	assert_int_equal(poll(SLAVE), 0x84);
	assert_int_equal(poll(SLAVE), 0);
}

static void what_is_read_stays_selected(unused void **state)
{
	irq(1, true);
	irq(3, true);
	assert_int_equal(vpic_ack(&pic), 0x21);
	assert_int_equal(isr(MASTER), 0x02);
	wr(MASTER, 0, 0x08);
	assert_int_equal(rd(MASTER, 0), 0x02);
	wr(MASTER, 0, 0x09);
	assert_int_equal(rd(MASTER, 0), 0x02);
	wr(MASTER, 0, 0x0a);
	assert_int_equal(rd(MASTER, 0), 0x08);
	assert_int_equal(rd(MASTER, 0), 0x08);
}

static void wide_accesses(unused void **state)
{
	irq(3, true);
	vpic_bus_ops.write(&pic.chip[MASTER], 0, 2, 0x770a);
	assert_int_equal(rd(MASTER, 1), 0x77);
	assert_int_equal(vpic_bus_ops.read(&pic.chip[MASTER], 0, 2), 0x7708);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_before_icw1, power_up),
		cmocka_unit_test_setup(nothing_in_the_middle_of_it, power_up),
		cmocka_unit_test_setup(icw_sequences, power_up),
		cmocka_unit_test_setup(icw1_clears, setup),
		cmocka_unit_test_setup(icw1_without_icw4_clears_its_modes, setup),
		cmocka_unit_test_setup(reset_is_power_up, setup),
		cmocka_unit_test_setup(an_edge_is_one_interrupt, setup),
		cmocka_unit_test_setup(an_edge_while_in_service_waits, setup),
		cmocka_unit_test_setup(a_request_that_goes_away_is_spurious, setup),
		cmocka_unit_test_setup(a_spurious_one_of_the_slave, setup),
		cmocka_unit_test_setup(a_level_comes_again, setup),
		cmocka_unit_test_setup(elcr_bits, setup),
		cmocka_unit_test_setup(ltim_is_ignored, setup),
		cmocka_unit_test_setup(a_masked_edge_is_kept, setup),
		cmocka_unit_test_setup(irqs_that_do_not_exist, setup),
		cmocka_unit_test_setup(each_irq_has_its_vector, setup),
		cmocka_unit_test_setup(a_higher_one_nests, setup),
		cmocka_unit_test_setup(the_order_by_default, setup),
		cmocka_unit_test_setup(set_priority, setup),
		cmocka_unit_test_setup(rotation_on_eoi, setup),
		cmocka_unit_test_setup(automatic_eoi, setup),
		cmocka_unit_test_setup(automatic_eoi_with_rotation, setup),
		cmocka_unit_test_setup(the_slave_is_ir2, setup),
		cmocka_unit_test_setup(a_slave_that_waited_for_the_master, setup),
		cmocka_unit_test_setup(special_fully_nested_mode, setup),
		cmocka_unit_test_setup(a_single_master_has_no_cascade, setup),
		cmocka_unit_test_setup(special_mask_mode, setup),
		cmocka_unit_test_setup(poll_command, setup),
		cmocka_unit_test_setup(what_is_read_stays_selected, setup),
		cmocka_unit_test_setup(wide_accesses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
