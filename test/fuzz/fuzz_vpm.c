/* SPDX-License-Identifier: MIT */
/* Power management under random accesses: sizes agree, power-off and reset come of nothing but what asks for them. */
/* SOURCES: vmm/dev/vpm.c vmm/dev/clock.c */
#include <vmm/vpm.h>

#include "input.h"

static u64 ticks;
static struct clock test_clock;
static struct vpm pm;
static bool sci;
static unsigned poweroffs, resets;

static u64 now(void)
{
	return ticks;
}

static void on_sci(unused void *ctx, unused unsigned pin, bool level)
{
	INVARIANT(level != sci);
	sci = level;
}

static void on_poweroff(unused void *ctx)
{
	poweroffs++;
}

static void on_reset(unused void *ctx, const char *how)
{
	INVARIANT(how && *how);
	resets++;
}

static const struct vpm_ops ops = {.poweroff = on_poweroff, .reset = on_reset};

static void check(void)
{
	u64 all[3];
	unsigned i, offset;
	bool tmr;

	for (i = 0; i < 3; i++)
		all[i] = vpm_acpi_bus_ops.read(&pm, i * 4, 4);
	for (offset = 0; offset < VPM_SIZE; offset++)
		INVARIANT(vpm_acpi_bus_ops.read(&pm, offset, 1) ==
			  (all[offset / 4] >> (offset % 4 * 8) & 0xff));
	tmr = all[0] & 1;
	INVARIANT((all[1] & 0x2001) == 1 && all[1] >> 16 == 0);
	INVARIANT(sci == (tmr && all[0] >> 16 & 1));
	INVARIANT((test_clock.head != NULL) == (!tmr && all[0] >> 16 & 1));
}

static void acpi_write(struct input *in)
{
	unsigned size = input_size(in), offset = input_u8(in) % (VPM_SIZE + 1 - size);
	u64 value = input_number(in, 4), byte = 0;
	unsigned before = poweroffs;

	/* What arrives at the high byte of PM1_CNT. */
	if (offset <= 5 && offset + size > 5)
		byte = value >> ((5 - offset) * 8) & 0xff;
	vpm_acpi_bus_ops.write(&pm, offset, size, value);
	INVARIANT(poweroffs == before + ((byte & 0x3c) == 0x34));
}

static void reset_write(struct input *in, unsigned which)
{
	u8 value = input_u8(in), old;
	unsigned before = resets;
	bool want;

	switch (which) {
	case 0:
		old = (u8)vpm_cf9_bus_ops.read(&pm, 0, 1);
		vpm_cf9_bus_ops.write(&pm, 0, 1, value);
		want = value & ~old & 4;
		break;
	case 1:
		vpm_kbc_bus_ops.write(&pm, 0, 1, value);
		want = value >= 0xf0 && !(value & 1);
		break;
	default:
		old = (u8)vpm_port92_bus_ops.read(&pm, 0, 1);
		vpm_port92_bus_ops.write(&pm, 0, 1, value);
		want = value & ~old & 1;
		break;
	}
	INVARIANT(resets == before + want);
	INVARIANT(!(vpm_kbc_bus_ops.read(&pm, 0, 1) & ~0xfdULL));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct irq_line irq = {.set = on_sci};

	ticks = 0;
	sci = false;
	poweroffs = resets = 0;
	clock_init(&test_clock, now, 2400000001ULL, NULL);
	vpm_init(&pm, &test_clock, &irq, &ops, NULL);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what < 0x60) {
			acpi_write(&in);
		} else if (what < 0x80) {
			reset_write(&in, what % 3);
		} else if (what < 0xfc) {
			u64 span = input_span(&in);

			if (ticks + span < 1ULL << 62)
				ticks += span;
			INVARIANT(clock_run(&test_clock, ticks) > ticks);
		} else {
			vpm_reset(&pm);
		}
		check();
	}
	return 0;
}
