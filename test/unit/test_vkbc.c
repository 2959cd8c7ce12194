/* SPDX-License-Identifier: MIT */
/* Tests of the keyboard controller: commands, interrupts, A20, reset, and the probes of Linux, none of which waits. */
/* SOURCES: vmm/dev/vkbc.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/vkbc.h>

enum { OBF = 0x01, IBF = 0x02, SYS = 0x04, CMD = 0x08, UNLOCK = 0x10, AUX = 0x20, TIMEOUT = 0x40 };
enum { INT1 = 0x01, INT12 = 0x02, KBD_DIS = 0x10, AUX_DIS = 0x20 };

static struct vkbc kbc;
static bool lines[16];
static unsigned rises[16], resets;
static const char *reset_how;

static void on_irq(unused void *ctx, unsigned pin, bool level)
{
	assert_int_not_equal(lines[pin], level);
	lines[pin] = level;
	rises[pin] += level;
}

static void on_reset(void *ctx, const char *how)
{
	assert_ptr_equal(ctx, &resets);
	resets++;
	reset_how = how;
}

static const struct vkbc_ops ops = {.reset = on_reset};

static int setup(unused void **state)
{
	lines[1] = lines[12] = false;
	rises[1] = rises[12] = resets = 0;
	vkbc_init(&kbc, &(struct irq_line){on_irq, NULL, 1}, &(struct irq_line){on_irq, NULL, 12},
		  &ops, &resets);
	return 0;
}

static u8 status(void)
{
	return (u8)vkbc_command_bus_ops.read(&kbc, 0, 1);
}

static u8 data(void)
{
	return (u8)vkbc_data_bus_ops.read(&kbc, 0, 1);
}

static void cmd(u8 value)
{
	vkbc_command_bus_ops.write(&kbc, 0, 1, value);
}

static void put(u8 value)
{
	vkbc_data_bus_ops.write(&kbc, 0, 1, value);
}

static u8 p92(void)
{
	return (u8)vkbc_port92_bus_ops.read(&kbc, 0, 1);
}

static void p92_write(u8 value)
{
	vkbc_port92_bus_ops.write(&kbc, 0, 1, value);
}

/* A command that answers. */
static u8 ask(u8 command)
{
	cmd(command);
	assert_int_equal(status() & (OBF | IBF | AUX | TIMEOUT), OBF);
	return data();
}

/* A command with a byte. */
static void tell(u8 command, u8 value)
{
	cmd(command);
	assert_int_equal(status() & (CMD | IBF), CMD);
	put(value);
	assert_int_equal(status() & (CMD | IBF), 0);
}

static void reset_state(unused void **state)
{
	assert_int_equal(status(), SYS | UNLOCK);
	assert_int_equal(ask(0x20), 0x74);
	assert_int_equal(p92(), 2);
	assert_int_equal(ask(0xd0), 0xcf);
	assert_false(lines[1] || lines[12]);
}

static void command_byte_and_memory(unused void **state)
{
	unsigned i;

	for (i = 0; i < 32; i++)
		tell((u8)(0x60 + i), (u8)(0xe0 - i));
	for (i = 0; i < 32; i++)
		assert_int_equal(ask((u8)(0x20 + i)), 0xe0 - i);
	/* The system flag is the command byte's. */
	tell(0x60, 0x00);
	assert_int_equal(status() & SYS, 0);
	tell(0x60, 0x04);
	assert_int_equal(status() & SYS, SYS);
}

static void self_tests(unused void **state)
{
	tell(0x60, 0);
	assert_int_equal(ask(0xaa), 0x55);
	assert_int_equal(status() & SYS, SYS);
	assert_int_equal(ask(0xab), 0x00);
	assert_int_equal(ask(0xa9), 0x00);
	assert_int_equal(ask(0xa4), 0xf1);
	assert_int_equal(ask(0xc0), 0x80);
}

static void enabling_the_ports(unused void **state)
{
	assert_int_equal(ask(0xe0), 0);
	cmd(0xae);
	assert_int_equal(ask(0x20) & (KBD_DIS | AUX_DIS), AUX_DIS);
	assert_int_equal(ask(0xe0), 1);
	cmd(0xa8);
	assert_int_equal(ask(0x20) & (KBD_DIS | AUX_DIS), 0);
	assert_int_equal(ask(0xe0), 3);
	cmd(0xad);
	assert_int_equal(ask(0x20) & (KBD_DIS | AUX_DIS), KBD_DIS);
	cmd(0xa7);
	assert_int_equal(ask(0x20) & (KBD_DIS | AUX_DIS), KBD_DIS | AUX_DIS);
}

static void the_buffer_can_be_filled(unused void **state)
{
	tell(0xd2, 0x42);
	assert_int_equal(status() & (OBF | AUX | TIMEOUT), OBF);
	assert_int_equal(data(), 0x42);
	assert_int_equal(status() & OBF, 0);
	tell(0xd3, 0x43);
	assert_int_equal(status() & (OBF | AUX | TIMEOUT), OBF | AUX);
	assert_int_equal(data(), 0x43);
	assert_int_equal(status() & (OBF | AUX), 0);
	assert_int_equal(data(), 0x43); /* still */
	/* One byte, no queue. */
	tell(0xd3, 1);
	tell(0xd2, 2);
	assert_int_equal(status() & AUX, 0);
	assert_int_equal(data(), 2);
	assert_int_equal(status() & OBF, 0);
}

static void nothing_is_plugged_in(unused void **state)
{
	put(0xff);
	assert_int_equal(status() & (OBF | IBF | AUX | TIMEOUT), OBF | TIMEOUT);
	assert_int_equal(data(), 0xfe);
	assert_int_equal(status() & (OBF | TIMEOUT), 0);
	tell(0xd4, 0xff);
	assert_int_equal(status() & (OBF | IBF | AUX | TIMEOUT), OBF | AUX | TIMEOUT);
	assert_int_equal(data(), 0xfe);
	/* Sending has enabled the ports; a later answer is no time-out. */
	put(0xf2);
	assert_int_equal(ask(0x20) & (KBD_DIS | AUX_DIS), 0);
}

static void a_new_command_takes_the_place_of_one_that_waits(unused void **state)
{
	cmd(0x60);
	cmd(0xd2);
	put(0x11);
	assert_int_equal(data(), 0x11);
	assert_int_equal(ask(0x20), 0x74);
	cmd(0xd1);
	assert_int_equal(ask(0xaa), 0x55);
	put(0); /* for the keyboard */
	assert_int_equal(data(), 0xfe);
	assert_int_equal(resets, 0);
}

static void what_is_no_command_has_no_effect(unused void **state)
{
	static const u8 none[] = {0x00, 0x1f, 0x40, 0x5f, 0x80, 0x9f, 0xa0,
				  0xac, 0xb0, 0xc1, 0xd5, 0xe1, 0xef, 0xff};
	struct vkbc before;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(none); i++) {
		before = kbc;
		before.status |= CMD;
		cmd(none[i]);
		assert_memory_equal(&before, &kbc, sizeof(kbc));
	}
	assert_int_equal(resets, 0);
}

/* ---- Interrupts ----------------------------------------------------------------------------- */

static void interrupts(unused void **state)
{
	tell(0xd2, 1);
	tell(0xd3, 1);
	assert_int_equal(rises[1] + rises[12], 0);
	data();
	tell(0x60, INT1 | INT12);
	tell(0xd2, 1);
	assert_true(lines[1]);
	assert_false(lines[12]);
	data();
	assert_false(lines[1]);
	tell(0xd3, 1);
	assert_true(lines[12]);
	assert_false(lines[1]);
	/* Another byte in its place. */
	tell(0xd2, 1);
	assert_true(lines[1]);
	assert_false(lines[12]);
	data();
	put(0xf2);
	assert_true(lines[1]);
	data();
	tell(0xd4, 0xf2);
	assert_true(lines[12]);
	data();
	/* The controller's own answers. */
	cmd(0xaa);
	assert_true(lines[1]);
	data();
	assert_false(lines[1] || lines[12]);
}

static void enabling_with_a_full_buffer(unused void **state)
{
	tell(0xd2, 1);
	tell(0x60, INT12);
	assert_false(lines[1] || lines[12]);
	tell(0x60, INT1);
	assert_true(lines[1]);
	tell(0x60, 0);
	assert_false(lines[1]);
	tell(0x60, INT1);
	vkbc_reset(&kbc);
	assert_false(lines[1]);
	reset_state(NULL);
}

/* ---- A20 and reset -------------------------------------------------------------------------- */

static void a20(unused void **state)
{
	cmd(0xdd);
	assert_int_equal(p92(), 0);
	assert_int_equal(ask(0xd0), 0xcd);
	cmd(0xdf);
	assert_int_equal(p92(), 2);
	tell(0xd1, 0xdd);
	assert_int_equal(p92(), 0);
	assert_int_equal(ask(0xd0), 0xcd);
	p92_write(2);
	assert_int_equal(ask(0xd0), 0xcf);
	p92_write(0xfc);
	assert_int_equal(p92(), 0);
	tell(0xd1, 0xdf);
	assert_int_equal(p92(), 2);
	/* A pulse does not last. */
	cmd(0xfd);
	assert_int_equal(p92(), 2);
	assert_int_equal(resets, 0);
}

static void output_port(unused void **state)
{
	tell(0xd1, 0x03);
	assert_int_equal(ask(0xd0), 0x03);
	tell(0xd1, 0xff);
	assert_int_equal(ask(0xd0), 0xcf); /* the interrupts are not to be written */
	tell(0x60, INT1);
	tell(0xd2, 0);
	assert_int_equal(ask(0xd0), 0xdf);
	tell(0x60, INT12);
	tell(0xd3, 0);
	cmd(0xd0);
	assert_int_equal(data(), 0xef);
	assert_int_equal(resets, 0);
}

static void pulses_reset(unused void **state)
{
	unsigned command;

	for (command = 0xf0; command < 0x100; command++) {
		resets = 0;
		cmd((u8)command);
		assert_int_equal(resets, !(command & 1));
		assert_int_equal(status() & (OBF | IBF), 0);
	}
	cmd(0xfe);
	assert_string_equal(reset_how, "the keyboard controller");
	resets = 0;
	tell(0xd1, 0xde);
	assert_int_equal(resets, 1);
	tell(0xd1, 0xdf);
	assert_int_equal(resets, 1);
	assert_int_equal(ask(0xd0) & 1, 1);
}

static void port_92(unused void **state)
{
	p92_write(2);
	assert_int_equal(resets, 0);
	p92_write(3);
	assert_int_equal(resets, 1);
	assert_string_equal(reset_how, "port 0x92");
	assert_int_equal(p92(), 3);
	p92_write(3);
	assert_int_equal(resets, 1);
	p92_write(2);
	p92_write(1);
	assert_int_equal(resets, 2);
	assert_int_equal(p92(), 1);
	vkbc_reset(&kbc);
	assert_int_equal(p92(), 2);
	p92_write(1);
	assert_int_equal(resets, 3);
}

/* ---- What Linux does ------------------------------------------------------------------------ */

/* arch/x86/boot/a20.c: empty_8042(), enable_a20_kbc(). */
static void linux_boot_enables_a20(unused void **state)
{
	cmd(0xdd);
	assert_int_not_equal(status(), 0xff);
	assert_int_equal(status() & (OBF | IBF), 0);
	cmd(0xd1);
	assert_int_equal(status() & (OBF | IBF), 0);
	put(0xdf);
	assert_int_equal(status() & (OBF | IBF), 0);
	cmd(0xff);
	assert_int_equal(status() & (OBF | IBF), 0);
	assert_int_equal(p92(), 2);
	assert_int_equal(resets, 0);
}

/* drivers/input/serio/i8042.c, in the order in which i8042_probe() comes to it. Nothing is waited for. */
static void linux_probes(unused void **state)
{
	u8 ctr;

	assert_int_equal(status() & OBF, 0); /* i8042_controller_check() */
	assert_int_equal(ask(0xaa), 0x55);
	ctr = ask(0x20);
	assert_int_equal(ask(0x20), ctr);
	assert_int_equal(status() & UNLOCK, UNLOCK);
	ctr = (u8)((ctr | KBD_DIS) & ~INT1);
	tell(0x60, ctr);
	assert_int_equal(status() & OBF, 0);
	/* i8042_check_aux() */
	tell(0xd3, 0x5a);
	assert_int_equal(status() & (OBF | AUX), OBF | AUX);
	assert_int_equal(data(), 0x5a);
	cmd(0xa7);
	assert_int_equal(ask(0x20) & AUX_DIS, AUX_DIS);
	cmd(0xa8);
	assert_int_equal(ask(0x20) & AUX_DIS, 0);
	tell(0x60, (u8)((ctr & ~AUX_DIS) | INT12));
	tell(0xd3, 0xa5);
	assert_true(lines[12]);
	assert_int_equal(status() & (OBF | AUX), OBF | AUX);
	assert_int_equal(data(), 0xa5);
	assert_false(lines[12]);
	/* i8042_check_mux(): the third byte comes back as it is. */
	tell(0xd3, 0xf0);
	assert_int_equal(data(), 0xf0);
	tell(0xd3, 0x56);
	assert_int_equal(data(), 0x56);
	tell(0xd3, 0xa4);
	assert_int_equal(data(), 0xa4);
	/* atkbd, psmouse: an interrupt with 0xFE for every byte, at once. */
	tell(0x60, (u8)((ctr & ~(KBD_DIS | AUX_DIS)) | INT1 | INT12));
	put(0xf2);
	assert_true(lines[1]);
	assert_int_equal(data(), 0xfe);
	tell(0xd4, 0xf2);
	assert_true(lines[12]);
	assert_int_equal(data(), 0xfe);
	assert_int_equal(resets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_state, setup),
		cmocka_unit_test_setup(command_byte_and_memory, setup),
		cmocka_unit_test_setup(self_tests, setup),
		cmocka_unit_test_setup(enabling_the_ports, setup),
		cmocka_unit_test_setup(the_buffer_can_be_filled, setup),
		cmocka_unit_test_setup(nothing_is_plugged_in, setup),
		cmocka_unit_test_setup(a_new_command_takes_the_place_of_one_that_waits, setup),
		cmocka_unit_test_setup(what_is_no_command_has_no_effect, setup),
		cmocka_unit_test_setup(interrupts, setup),
		cmocka_unit_test_setup(enabling_with_a_full_buffer, setup),
		cmocka_unit_test_setup(a20, setup),
		cmocka_unit_test_setup(output_port, setup),
		cmocka_unit_test_setup(pulses_reset, setup),
		cmocka_unit_test_setup(port_92, setup),
		cmocka_unit_test_setup(linux_boot_enables_a20, setup),
		cmocka_unit_test_setup(linux_probes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
