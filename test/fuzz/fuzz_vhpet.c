/* SPDX-License-Identifier: MIT */
/* The HPET under random accesses and steps of time: lines by the rule, no timer without a reason, none too often. */
/* SOURCES: vmm/dev/vhpet.c vmm/dev/clock.c */
#include <vmm/vhpet.h>

#include "input.h"

enum { ID = 0x00, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0 };

#define T(n) (0x100 + (n)*0x20)
#define HZ   2400000001ULL

static u64 ticks;
static struct clock test_clock;
static struct vhpet hpet;
static u32 lines;

static u64 now(void)
{
	return ticks;
}

static void on_irq(unused void *ctx, unsigned pin, bool level)
{
	INVARIANT(BIT(pin) & (VHPET_PINS | BIT(VHPET_PIN_PIT) | BIT(VHPET_PIN_RTC)));
	/* Told again only of the two that it takes over. */
	INVARIANT(level != (lines >> pin & 1) ||
		  (!level && (pin == VHPET_PIN_PIT || pin == VHPET_PIN_RTC)));
	lines = level ? lines | (u32)BIT(pin) : lines & ~(u32)BIT(pin);
}

static u64 rd(u64 offset, unsigned size)
{
	u64 value = vhpet_bus_ops.read(&hpet, offset, size);

	INVARIANT(size == 8 || value < BIT(size * 8));
	return value;
}

/* As the specification has it: the pin, if the timer can interrupt at all. */
static u32 pin_bit(unsigned i, u64 config)
{
	if (!(hpet.config & 1) || !(config & 4))
		return 0;
	if (hpet.config & 2 && i < 2)
		return (u32)BIT(i ? VHPET_PIN_RTC : VHPET_PIN_PIT);
	return (u32)(BIT(config >> 9 & 31) & VHPET_PINS);
}

static void check(void)
{
	u64 status = rd(STATUS, 8);
	u32 want = 0;
	bool waits = false;
	unsigned i;

	INVARIANT(rd(ID, 8) == 0x009896808086a201 && rd(CONFIG, 8) < 4 && status < 8);
	INVARIANT(vhpet_legacy(&hpet) == (rd(CONFIG, 8) == 3));
	for (i = 0; i < VHPET_TIMERS; i++) {
		u64 config = rd(T(i), 8);

		INVARIANT((config & ~0x3f4eULL) == (0x00f0000000000000 | (i < 2 ? 0x30 : 0x20)));
		INVARIANT(i < 2 || !(config & 8));
		INVARIANT(config & 2 || !(status & BIT(i)));
		INVARIANT(!(config & 0x100) || rd(T(i) + 8, 8) <= 0xffffffff);
		if (status & BIT(i))
			want |= pin_bit(i, config);
		else if (pin_bit(i, config))
			waits = true;
	}
	INVARIANT(lines == want && lines == hpet.lines);
	INVARIANT(!test_clock.head ||
		  (waits && test_clock.head == &hpet.timer && !hpet.timer.next));
}

static void pass(u64 span)
{
	u64 end = ticks + span;
	unsigned fired = 0;

	if (end > 1ULL << 62)
		return;
	/* At its own times at first, then as one that is late. */
	while (test_clock.head && test_clock.head->deadline <= end && fired < 20) {
		ticks = MAX(ticks, test_clock.head->deadline);
		INVARIANT(clock_run(&test_clock, ticks) > ticks);
		fired++;
	}
	ticks = end;
	INVARIANT(clock_run(&test_clock, ticks) > ticks);
}

/* Without the guest's doing anything: two periodic timers, each no more often than is allowed, and a third that is none. */
static void idle(void)
{
	u64 end = ticks + HZ / 100;
	unsigned fired = 0;

	if (end > 1ULL << 62)
		return;
	for (; test_clock.head && test_clock.head->deadline <= end; fired++) {
		ticks = MAX(ticks, test_clock.head->deadline);
		clock_run(&test_clock, ticks);
	}
	ticks = end;
	INVARIANT(fired <= 2 * 101 + 3);
}

static void counter_goes_on(void)
{
	u64 before = rd(COUNTER, 8), counts;

	if (ticks + HZ > 1ULL << 62)
		return;
	ticks += HZ;
	counts = rd(COUNTER, 8) - before;
	INVARIANT(hpet.config & 1 ? counts == VHPET_HZ : !counts);
}

static void write_register(struct input *in, u8 what)
{
	static const u16 regs[] = {CONFIG, STATUS,   COUNTER,  T(0),     T(1),     T(2),
				   T(0),   T(0) + 8, T(1) + 8, T(2) + 8, T(0) + 8, CONFIG};
	u64 reg = regs[what % ARRAY_SIZE(regs)];
	unsigned size = what & 0x40 ? 4 : 8;
	u64 value = what & 0x20 ? input_number(in, 2) : input_number(in, size);

	/* Comparators near the counter are what makes it work. */
	if (reg % 0x20 == 8 && what & 0x10)
		value += rd(COUNTER, size);
	vhpet_bus_ops.write(&hpet, reg, size, value);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct irq_line irq = {.set = on_irq};

	ticks = 0;
	lines = 0;
	clock_init(&test_clock, now, HZ, NULL);
	vhpet_init(&hpet, &test_clock, &irq);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what < 0x80) {
			write_register(&in, what);
		} else if (what < 0x90) {
			unsigned bytes = 1U << (what & 3);
			u64 offset = input_number(&in, 2) % (VHPET_SIZE + 1 - bytes);

			if (what & 8)
				vhpet_bus_ops.write(&hpet, offset, bytes, input_number(&in, bytes));
			else
				rd(offset, bytes);
		} else if (what < 0xe8) {
			pass(input_span(&in));
		} else if (what < 0xf8) {
			idle();
		} else if (what < 0xfe) {
			counter_goes_on();
		} else {
			vhpet_reset(&hpet);
			INVARIANT(!lines && !test_clock.head);
		}
		check();
	}
	return 0;
}
