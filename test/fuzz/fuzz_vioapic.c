/* SPDX-License-Identifier: MIT */
/*
 * The I/O APIC under random accesses, pins and EOIs: no asserted level is forgotten, no edge is sent twice, nothing
 * comes from a masked pin.
 */
/* SOURCES: vmm/irq/vioapic.c */
#include <vmm/vioapic.h>

#include "input.h"

static struct vioapic io;
static u32 may_send; /* pins that the act under way may cause to send */
static unsigned sent;
static bool taken;   /* the local APICs accept what is sent */
static bool refused; /* once they did not, and it has not been sent again */

static bool is_level(u64 redir)
{
	return redir & 0x8000 && (redir & 0x700) <= 0x100;
}

static bool on_send(unused void *ctx, const struct apic_msg *msg)
{
	unsigned pin;
	bool found = false;

	for (pin = 0; pin < VIOAPIC_PINS; pin++) {
		u64 r = io.redir[pin];

		found |= may_send & 1U << pin && !(r & 0x10000) && io.level & 1U << pin &&
			 (r & 0xff) == msg->vector && (r >> 8 & 7) == msg->mode &&
			 (r >> 11 & 1) == msg->logical && is_level(r) == msg->level &&
			 (!msg->level || r & 0x4000) &&
			 (r >> 56 == msg->dest || (r >> 56 == 0xff && msg->dest == ~0U));
	}
	INVARIANT(found);
	sent++;
	refused |= !taken;
	return taken;
}

static void resend(void)
{
	taken = true;
	vioapic_resend(&io);
	refused = false;
}

static void check(void)
{
	unsigned pin;

	INVARIANT(!(io.level >> VIOAPIC_PINS));
	for (pin = 0; pin < VIOAPIC_PINS; pin++) {
		u64 r = io.redir[pin];

		INVARIANT(!(r & ~0xff0000000001efffULL));
		INVARIANT(!(r & 0x4000) || is_level(r));
		if (is_level(r) && !(r & 0x10000) && io.level & 1U << pin)
			INVARIANT(r & 0x4000 || refused);
	}
}

static void set_pin(unsigned pin, bool level)
{
	bool rises = level && pin < VIOAPIC_PINS && !(io.level >> pin & 1);
	u64 r = pin < VIOAPIC_PINS ? io.redir[pin] : 0;

	may_send = pin < VIOAPIC_PINS ? 1U << pin : 0;
	sent = 0;
	vioapic_set_pin(&io, pin, level);
	if (rises && !(r & 0x10000) && !(r & 0x4000))
		INVARIANT(sent == 1);
	else
		INVARIANT(sent == 0);
}

static void mmio(struct input *in, bool write)
{
	static const u16 offsets[] = {0, 0x10, 0x10, 0x10, 0x40, 0x20, 0x11, 0xffc};
	u64 offset = offsets[input_u8(in) % ARRAY_SIZE(offsets)];
	unsigned size = 1U << input_u8(in) % 4;
	u64 value;

	if (offset + size > VIOAPIC_SIZE)
		return;
	if (write) {
		vioapic_bus_ops.write(&io, offset, size, input_number(in, size));
	} else {
		value = vioapic_bus_ops.read(&io, offset, size);
		INVARIANT(size == 8 ? value >> 32 == 0 : value >> (size * 8) == 0);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};

	sent = 0;
	taken = true;
	refused = false;
	vioapic_init(&io, 0, on_send, NULL);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		may_send = ~0U;
		if (what < 0x40) {
			set_pin(what & 0x1f, what & 0x20);
		} else if (what < 0x80) {
			vioapic_eoi(&io, input_u8(&in));
		} else if (what < 0xc0) {
			/* A redirection entry's half, whole. */
			vioapic_bus_ops.write(&io, 0, 4, 0x10 + what % 50);
			vioapic_bus_ops.write(&io, 0x10, 4, input_number(&in, 4));
		} else if (what < 0xf8) {
			mmio(&in, what & 1);
		} else if (what < 0xfc) {
			taken = false;
		} else if (what < 0xfe) {
			resend();
		} else {
			vioapic_reset(&io);
		}
		check();
	}
	return 0;
}
