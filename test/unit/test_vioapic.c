/* SPDX-License-Identifier: MIT */
/* Tests of the I/O APIC: registers, edge and level pins, remote IRR, EOI both ways. */
/* SOURCES: vmm/irq/vioapic.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/vioapic.h>

#define MASKED  0x10000
#define LEVEL   0x8000
#define REMOTE  0x4000
#define LOGICAL 0x800

static struct vioapic io;
static struct apic_msg last;
static unsigned sent;

static bool taken; /* a local APIC accepts what is sent */

static bool on_send(unused void *ctx, const struct apic_msg *msg)
{
	last = *msg;
	sent++;
	return taken;
}

static int setup(unused void **state)
{
	sent = 0;
	taken = true;
	vioapic_init(&io, 2, on_send, NULL);
	return 0;
}

static u32 rd(u32 reg)
{
	vioapic_bus_ops.write(&io, 0x00, 4, reg);
	return (u32)vioapic_bus_ops.read(&io, 0x10, 4);
}

static void wr(u32 reg, u32 value)
{
	vioapic_bus_ops.write(&io, 0x00, 4, reg);
	vioapic_bus_ops.write(&io, 0x10, 4, value);
}

static void route(unsigned pin, u32 low, u8 dest)
{
	wr(0x11 + 2 * pin, (u32)dest << 24);
	wr(0x10 + 2 * pin, low);
}

static u32 low(unsigned pin)
{
	return rd(0x10 + 2 * pin);
}

static void reset_state(unused void **state)
{
	unsigned pin;

	assert_int_equal(rd(0), 2 << 24);
	assert_int_equal(rd(1), 0x00170020);
	assert_int_equal(rd(2), 2 << 24);
	for (pin = 0; pin < 24; pin++) {
		assert_int_equal(low(pin), MASKED);
		assert_int_equal(rd(0x11 + 2 * pin), 0);
	}
	assert_int_equal(rd(3), 0);
	assert_int_equal(rd(0x40), 0);
	assert_int_equal(rd(0xff), 0);
}

static void register_masks(unused void **state)
{
	wr(0, 0xffffffff);
	assert_int_equal(rd(0), 0x0f000000);
	wr(1, 0xffffffff);
	assert_int_equal(rd(1), 0x00170020);
	wr(2, 0);
	assert_int_equal(rd(2), 0x0f000000);
	wr(0x10, 0xffffffff);
	assert_int_equal(rd(0x10), 0x1afff);
	wr(0x11, 0xffffffff);
	assert_int_equal(rd(0x11), 0xff000000);
	wr(0x3f, 0x12345678);
	assert_int_equal(rd(0x3f), 0x12000000);
	wr(0x40, 0xffffffff);
	assert_int_equal(rd(0x40), 0);
	vioapic_reset(&io);
	assert_int_equal(rd(0), 2 << 24);
	assert_int_equal(rd(0x10), MASKED);
}

static void select_has_eight_bits(unused void **state)
{
	vioapic_bus_ops.write(&io, 0, 4, 0xffffff01);
	assert_int_equal(vioapic_bus_ops.read(&io, 0, 4), 1);
	assert_int_equal(vioapic_bus_ops.read(&io, 0x10, 4), 0x00170020);
}

static void odd_offsets_and_sizes(unused void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	u64 offset;
	unsigned i;

	for (offset = 0; offset < VIOAPIC_SIZE; offset++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			if (offset == 0 || offset == 0x10 || offset + sizes[i] > VIOAPIC_SIZE)
				continue;
			vioapic_bus_ops.write(&io, offset, sizes[i], ~0ULL);
			assert_int_equal(vioapic_bus_ops.read(&io, offset, sizes[i]), 0);
		}
	}
	assert_int_equal(sent, 0);
	vioapic_bus_ops.write(&io, 0, 1, 1);
	assert_int_equal(vioapic_bus_ops.read(&io, 0x10, 1), 0x20);
	assert_int_equal(vioapic_bus_ops.read(&io, 0x10, 2), 0x20);
	assert_int_equal(vioapic_bus_ops.read(&io, 0x10, 8), 0x170020);
}

/* Remote IRR would otherwise wait for an EOI that nobody sends. */
static void what_no_local_apic_takes_waits(unused void **state)
{
	taken = false;
	route(4, 0x8034, 7);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sent, 1);
	assert_int_equal(low(4), 0x8034);
	taken = true;
	vioapic_resend(&io);
	assert_int_equal(sent, 2);
	assert_int_equal(low(4), 0xc034);
	vioapic_resend(&io);
	assert_int_equal(sent, 2);
	/* An edge does not wait. */
	taken = false;
	route(5, 0x35, 7);
	vioapic_set_pin(&io, 5, true);
	taken = true;
	vioapic_resend(&io);
	assert_int_equal(sent, 3);
}

static void an_edge_is_sent_once(unused void **state)
{
	route(4, 0x34, 7);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sent, 1);
	assert_int_equal(last.vector, 0x34);
	assert_int_equal(last.dest, 7);
	assert_int_equal(last.mode, APIC_FIXED);
	assert_false(last.logical);
	assert_false(last.level);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sent, 1);
	vioapic_set_pin(&io, 4, false);
	assert_int_equal(sent, 1);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sent, 2);
	assert_int_equal(low(4), 0x34);
}

static void a_masked_edge_is_lost(unused void **state)
{
	route(4, MASKED | 0x34, 0);
	vioapic_set_pin(&io, 4, true);
	route(4, 0x34, 0);
	assert_int_equal(sent, 0);
	vioapic_set_pin(&io, 4, false);
	vioapic_set_pin(&io, 4, true);
	assert_int_equal(sent, 1);
}

static void a_level_waits_for_its_eoi(unused void **state)
{
	route(8, LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	assert_int_equal(sent, 1);
	assert_true(last.level);
	assert_int_equal(low(8), LEVEL | REMOTE | 0x48);
	/* Toggling does nothing before the EOI. */
	vioapic_set_pin(&io, 8, false);
	vioapic_set_pin(&io, 8, true);
	assert_int_equal(sent, 1);
	/* Still asserted at the EOI: again. */
	vioapic_eoi(&io, 0x48);
	assert_int_equal(sent, 2);
	assert_int_equal(low(8), LEVEL | REMOTE | 0x48);
	vioapic_set_pin(&io, 8, false);
	vioapic_eoi(&io, 0x48);
	assert_int_equal(sent, 2);
	assert_int_equal(low(8), LEVEL | 0x48);
	vioapic_eoi(&io, 0x48);
	assert_int_equal(sent, 2);
}

static void an_eoi_of_another_vector_is_not_ours(unused void **state)
{
	route(8, LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	vioapic_eoi(&io, 0x49);
	assert_int_equal(sent, 1);
	assert_true(low(8) & REMOTE);
}

static void pins_that_share_a_vector_all_hear_its_eoi(unused void **state)
{
	route(8, LEVEL | 0x48, 0);
	route(9, LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	vioapic_set_pin(&io, 9, true);
	assert_int_equal(sent, 2);
	vioapic_set_pin(&io, 8, false);
	vioapic_eoi(&io, 0x48);
	assert_int_equal(sent, 3);
	assert_false(low(8) & REMOTE);
	assert_true(low(9) & REMOTE);
}

static void a_masked_level_is_sent_when_unmasked(unused void **state)
{
	route(8, MASKED | LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	assert_int_equal(sent, 0);
	wr(0x20, LEVEL | 0x48);
	assert_int_equal(sent, 1);
	/* Masked in service, EOI, unmasked: what Linux does with a oneshot interrupt. */
	wr(0x20, MASKED | LEVEL | 0x48);
	assert_int_equal(low(8), MASKED | LEVEL | REMOTE | 0x48);
	vioapic_eoi(&io, 0x48);
	assert_int_equal(sent, 1);
	assert_int_equal(low(8), MASKED | LEVEL | 0x48);
	wr(0x20, LEVEL | 0x48);
	assert_int_equal(sent, 2);
}

static void a_level_that_went_away_while_masked_is_gone(unused void **state)
{
	route(8, MASKED | LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	vioapic_set_pin(&io, 8, false);
	wr(0x20, LEVEL | 0x48);
	assert_int_equal(sent, 0);
}

static void remote_irr_cannot_be_written(unused void **state)
{
	route(8, LEVEL | REMOTE | 0x1000 | 0x48, 0);
	assert_int_equal(low(8), LEVEL | 0x48);
	vioapic_set_pin(&io, 8, true);
	wr(0x20, LEVEL | 0x48);
	assert_int_equal(low(8), LEVEL | REMOTE | 0x48);
	assert_int_equal(sent, 1);
}

/* How Linux ends a level interrupt without an EOI register: to edge and back, masked. */
static void becoming_edge_clears_remote_irr(unused void **state)
{
	route(8, LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	wr(0x20, MASKED | 0x48);
	assert_int_equal(low(8), MASKED | 0x48);
	wr(0x20, LEVEL | 0x48);
	assert_int_equal(sent, 2);
}

static void pins_do_not_disturb_one_another(unused void **state)
{
	route(8, LEVEL | 0x148, 0); /* lowest priority: an EOI is waited for as well */
	route(9, LEVEL | 0x49, 0);
	vioapic_set_pin(&io, 8, true);
	assert_true(last.level);
	vioapic_set_pin(&io, 9, true);
	assert_int_equal(sent, 2);
	vioapic_set_pin(&io, 9, false);
	vioapic_eoi(&io, 0x48);
	assert_int_equal(sent, 3);
	assert_int_equal(last.vector, 0x48);
}

static void the_eoi_register_ends_a_level(unused void **state)
{
	route(8, LEVEL | 0x48, 0);
	vioapic_set_pin(&io, 8, true);
	vioapic_set_pin(&io, 8, false);
	vioapic_bus_ops.write(&io, 0x40, 4, 0x48);
	assert_int_equal(low(8), LEVEL | 0x48);
	assert_int_equal(vioapic_bus_ops.read(&io, 0x40, 4), 0);
}

static void logical_lowest_priority(unused void **state)
{
	route(1, LOGICAL | 0x100 | 0x31, 0x0f);
	vioapic_set_pin(&io, 1, true);
	assert_true(last.logical);
	assert_int_equal(last.mode, APIC_LOWEST);
	assert_int_equal(last.dest, 0x0f);
}

static void destination_ff_is_everybody(unused void **state)
{
	route(1, 0x31, 0xff);
	vioapic_set_pin(&io, 1, true);
	assert_int_equal(last.dest, 0xffffffff);
}

/* NMI, INIT, ExtINT have no EOI: never level, whatever the entry says. */
static void modes_without_eoi_are_edges(unused void **state)
{
	static const u8 modes[] = {APIC_NMI, APIC_INIT, APIC_EXTINT};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		setup(NULL);
		route(2, LEVEL | (u32)modes[i] << 8, 0);
		vioapic_set_pin(&io, 2, true);
		assert_int_equal(sent, 1);
		assert_int_equal(last.mode, modes[i]);
		assert_false(last.level);
		assert_false(low(2) & REMOTE);
		vioapic_set_pin(&io, 2, false);
		vioapic_set_pin(&io, 2, true);
		assert_int_equal(sent, 2);
	}
}

static void pins_beyond_the_last_do_not_exist(unused void **state)
{
	vioapic_set_pin(&io, 24, true);
	vioapic_set_pin(&io, 0xffffffff, true);
	assert_int_equal(io.level, 0);
	route(23, 0x50, 0);
	vioapic_set_pin(&io, 23, true);
	assert_int_equal(sent, 1);
}

/* A line that a device holds over a reset is asserted still. */
static void reset_keeps_the_lines(unused void **state)
{
	vioapic_set_pin(&io, 8, true);
	vioapic_reset(&io);
	route(8, LEVEL | 0x48, 0);
	assert_int_equal(sent, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_state, setup),
		cmocka_unit_test_setup(register_masks, setup),
		cmocka_unit_test_setup(select_has_eight_bits, setup),
		cmocka_unit_test_setup(odd_offsets_and_sizes, setup),
		cmocka_unit_test_setup(what_no_local_apic_takes_waits, setup),
		cmocka_unit_test_setup(an_edge_is_sent_once, setup),
		cmocka_unit_test_setup(a_masked_edge_is_lost, setup),
		cmocka_unit_test_setup(a_level_waits_for_its_eoi, setup),
		cmocka_unit_test_setup(an_eoi_of_another_vector_is_not_ours, setup),
		cmocka_unit_test_setup(pins_that_share_a_vector_all_hear_its_eoi, setup),
		cmocka_unit_test_setup(a_masked_level_is_sent_when_unmasked, setup),
		cmocka_unit_test_setup(a_level_that_went_away_while_masked_is_gone, setup),
		cmocka_unit_test_setup(remote_irr_cannot_be_written, setup),
		cmocka_unit_test_setup(becoming_edge_clears_remote_irr, setup),
		cmocka_unit_test_setup(pins_do_not_disturb_one_another, setup),
		cmocka_unit_test_setup(the_eoi_register_ends_a_level, setup),
		cmocka_unit_test_setup(logical_lowest_priority, setup),
		cmocka_unit_test_setup(destination_ff_is_everybody, setup),
		cmocka_unit_test_setup(modes_without_eoi_are_edges, setup),
		cmocka_unit_test_setup(pins_beyond_the_last_do_not_exist, setup),
		cmocka_unit_test_setup(reset_keeps_the_lines, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
