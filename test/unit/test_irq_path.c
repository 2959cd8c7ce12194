/* SPDX-License-Identifier: MIT */
/*
 * The way of an interrupt through a whole machine: device, I/O APIC, local APIC and back by EOI, wired as the PC
 * wires them.
 */
/* SOURCES: vmm/irq/vlapic.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_ipi.c vmm/irq/vlapic_timer.c vmm/irq/vioapic.c vmm/dev/clock.c vmm/dev/bus.c vmm/dev/vuart.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/bus.h>
#include <vmm/vioapic.h>
#include <vmm/vlapic.h>
#include <vmm/vrtc.h>
#include <vmm/vuart.h>

#define HZ        1000000000ULL
#define UART_VEC  0x34
#define RTC_VEC   0x68
#define TIMER_VEC 0xec

static struct {
	u64 ticks;
	struct clock clock;
	struct bus pio, mmio;
	struct vlapic lapic;
	struct vioapic ioapic;
	struct vuart uart;
	struct vrtc rtc;
	unsigned typed, notified;
} m;

static u64 now(void)
{
	return m.ticks;
}

static void notify(unused void *ctx)
{
	m.notified++;
}

static void event(unused void *ctx)
{
}

static bool send(unused void *ctx, const struct apic_msg *msg)
{
	return vlapic_matches(&m.lapic, msg) && vlapic_deliver(&m.lapic, msg);
}

static void enabled(unused void *ctx)
{
	vioapic_resend(&m.ioapic);
}

static void eoi(unused void *ctx, u8 vector)
{
	vioapic_eoi(&m.ioapic, vector);
}

static u64 tsc(unused void *ctx)
{
	return m.ticks;
}

static u64 tsc_to_ticks(unused void *ctx, u64 t)
{
	return t;
}

static const struct vlapic_ops lapic_ops = {
	.notify = notify,
	.nmi = event,
	.init = event,
	.eoi = eoi,
	.enabled = enabled,
	.guest_tsc = tsc,
	.tsc_to_ticks = tsc_to_ticks,
};

static size_t keyboard(unused void *ctx, u8 *buf, size_t max)
{
	size_t n;

	for (n = 0; n < max && m.typed; n++)
		buf[n] = (u8)m.typed--;
	return n;
}

static void out(u16 port, u8 value)
{
	bus_write(&m.pio, port, 1, value);
}

static u8 in(u16 port)
{
	return (u8)bus_read(&m.pio, port, 1);
}

static void route(unsigned pin, u32 low)
{
	bus_write(&m.mmio, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
	bus_write(&m.mmio, VIOAPIC_BASE + 0x10, 4, low);
}

static int claim(struct bus *b, u64 base, u64 size, const struct bus_ops *ops, void *dev)
{
	return bus_claim(b, &(struct bus_region){base, size, ops, dev, ""});
}

static int setup(unused void **state)
{
	struct irq_line uart_irq = {vioapic_set_pin, &m.ioapic, 4};
	struct irq_line rtc_irq = {vioapic_set_pin, &m.ioapic, 8};
	struct chardev dev = {.read = keyboard};

	m.ticks = m.typed = m.notified = 0;
	clock_init(&m.clock, now, HZ, NULL);
	vlapic_init(&m.lapic, 0, &m.clock, &lapic_ops, NULL);
	vioapic_init(&m.ioapic, 1, send, NULL);
	vuart_init(&m.uart, &dev, &uart_irq);
	vrtc_init(&m.rtc, &m.clock, 0, &rtc_irq);
	bus_init(&m.pio);
	bus_init(&m.mmio);
	assert_int_equal(claim(&m.pio, 0x3f8, VUART_PORTS, &vuart_bus_ops, &m.uart), 0);
	assert_int_equal(claim(&m.pio, 0x70, 2, &vrtc_bus_ops, &m.rtc), 0);
	assert_int_equal(claim(&m.mmio, VIOAPIC_BASE, VIOAPIC_SIZE, &vioapic_bus_ops, &m.ioapic),
			 0);
	vlapic_mmio_write(&m.lapic, 0xf0, 0x1ff);
	route(4, UART_VEC);
	route(8, 0x8000 | RTC_VEC);
	return 0;
}

/* The next interrupt begins; 0: there is none. */
static u8 begin(void)
{
	int vector = vlapic_pending(&m.lapic);

	if (vector < 0)
		return 0;
	vlapic_accept(&m.lapic, (u8)vector);
	return (u8)vector;
}

static void end(void)
{
	vlapic_mmio_write(&m.lapic, 0xb0, 0);
}

/* 200 bytes through a FIFO of 16, by edge-triggered interrupts: each arrives once, and the last empties it. */
static void typing(unused void **state)
{
	unsigned expected = 200;

	out(0x3fc, 8);
	out(0x3fa, 0x81);
	out(0x3f9, 1);
	m.typed = 200;
	vuart_poll(&m.uart);
	assert_int_equal(m.notified, 1);
	while (begin() == UART_VEC) {
		while (!(in(0x3fa) & 1)) {
			while (in(0x3fd) & 1)
				assert_int_equal(in(0x3f8), expected--);
		}
		end();
	}
	assert_int_equal(expected, 0);
	assert_int_equal(vlapic_pending(&m.lapic), -1);
	/* And again, from an idle line. */
	m.typed = expected = 1;
	vuart_poll(&m.uart);
	assert_int_equal(begin(), UART_VEC);
}

/* Level-triggered: as long as register C is not read, each EOI brings the interrupt again. */
static void a_level_that_is_not_served_comes_again(unused void **state)
{
	out(0x70, 0xc);
	in(0x71);
	out(0x70, 0xb);
	out(0x71, 0x12);
	m.ticks = HZ + 10;
	clock_run(&m.clock, m.ticks);
	assert_int_equal(begin(), RTC_VEC);
	end();
	assert_int_equal(begin(), RTC_VEC);
	out(0x70, 0xc);
	assert_int_equal(in(0x71) & 0x90, 0x90);
	end();
	assert_int_equal(begin(), 0);
	m.ticks += HZ;
	clock_run(&m.clock, m.ticks);
	assert_int_equal(begin(), RTC_VEC);
}

/* The timer's vector is of a higher class than the UART's: it interrupts its handler, not the other way round. */
static void nesting_by_priority(unused void **state)
{
	out(0x3fc, 8);
	out(0x3f9, 1);
	m.typed = 1;
	vuart_poll(&m.uart);
	assert_int_equal(begin(), UART_VEC);
	vlapic_mmio_write(&m.lapic, 0x320, 0x40000 | TIMER_VEC);
	assert_true(vlapic_msr_write(&m.lapic, 0x6e0, m.ticks + 100));
	in(0x3f8);
	m.typed = 1;
	vuart_poll(&m.uart);
	assert_int_equal(begin(), 0); /* its own vector waits */
	m.ticks += 100;
	clock_run(&m.clock, m.ticks);
	assert_int_equal(begin(), TIMER_VEC);
	end();
	assert_int_equal(begin(), 0);
	end();
	assert_int_equal(begin(), UART_VEC);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(typing, setup),
		cmocka_unit_test_setup(a_level_that_is_not_served_comes_again, setup),
		cmocka_unit_test_setup(nesting_by_priority, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
