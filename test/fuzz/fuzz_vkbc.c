/* SPDX-License-Identifier: MIT */
/* The keyboard controller under random accesses: lines by the rule, never busy, resets only of what asks for them. */
/* SOURCES: vmm/dev/vkbc.c */
#include <vmm/vkbc.h>

#include "input.h"

static struct vkbc kbc;
static bool lines[2];
static unsigned resets;

static void on_irq(unused void *ctx, unsigned pin, bool level)
{
	INVARIANT(pin < 2 && level != lines[pin]);
	lines[pin] = level;
}

static void on_reset(unused void *ctx, const char *how)
{
	INVARIANT(how && *how);
	resets++;
}

static const struct vkbc_ops ops = {.reset = on_reset};

static u8 rd(const struct bus_ops *port)
{
	u64 value = port->read(&kbc, 0, 1);

	INVARIANT(value <= 0xff);
	return (u8)value;
}

static void check(void)
{
	u8 status = rd(&vkbc_command_bus_ops);
	bool full = status & 1, aux = status & 0x20;

	INVARIANT(!(status & 0x82) && status & 0x10);
	INVARIANT(full || !(status & 0x60));
	INVARIANT(!(status & 4) == !(kbc.ram[0] & 4));
	INVARIANT(lines[0] == (full && !aux && kbc.ram[0] & 1));
	INVARIANT(lines[1] == (full && aux && kbc.ram[0] & 2));
	INVARIANT(rd(&vkbc_port92_bus_ops) == ((kbc.a20 ? 2 : 0) | (kbc.port92 & 1)));
}

static void data_write(u8 value)
{
	bool reset = kbc.command == 0xd1 && !(value & 1);
	bool device = !kbc.command || kbc.command == 0xd4;
	unsigned before = resets;

	vkbc_data_bus_ops.write(&kbc, 0, 1, value);
	INVARIANT(resets == before + reset);
	INVARIANT(!kbc.command);
	if (device)
		INVARIANT((rd(&vkbc_command_bus_ops) & 0x41) == 0x41 && kbc.data == 0xfe);
}

static void command_write(u8 value)
{
	unsigned before = resets;

	vkbc_command_bus_ops.write(&kbc, 0, 1, value);
	INVARIANT(resets == before + (value >= 0xf0 && !(value & 1)));
}

static void port92_write(u8 value)
{
	bool rises = value & ~rd(&vkbc_port92_bus_ops) & 1;
	unsigned before = resets;

	vkbc_port92_bus_ops.write(&kbc, 0, 1, value);
	INVARIANT(resets == before + rises);
	INVARIANT(rd(&vkbc_port92_bus_ops) == (value & 3));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct irq_line irq1 = {.set = on_irq, .pin = 0}, irq12 = {.set = on_irq, .pin = 1};

	lines[0] = lines[1] = false;
	resets = 0;
	vkbc_init(&kbc, &irq1, &irq12, &ops, NULL);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what < 0x40) {
			rd(&vkbc_data_bus_ops);
			INVARIANT(!(rd(&vkbc_command_bus_ops) & 1));
		} else if (what < 0x80) {
			data_write(input_u8(&in));
		} else if (what < 0xe0) {
			command_write(input_u8(&in));
		} else if (what < 0xfc) {
			port92_write(input_u8(&in));
		} else {
			vkbc_reset(&kbc);
			INVARIANT(!lines[0] && !lines[1]);
		}
		check();
	}
	return 0;
}
