/* SPDX-License-Identifier: MIT */
/* Tests of the 16550A: registers, FIFOs, interrupts, loop-back, and what Linux's 8250 driver asks of it. */
/* SOURCES: vmm/dev/vuart.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/string.h>
#include <vmm/vuart.h>

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR };

#define OUT2 0x08
#define LOOP 0x10
#define DLAB 0x80

static struct vuart uart;
static struct {
	u8 out[64];
	size_t out_len;
	u8 in[256];
	size_t in_len, in_at;
	bool line;
	unsigned rises;
} far;

static void far_write(unused void *ctx, const u8 *buf, size_t len)
{
	assert_true(far.out_len + len <= sizeof(far.out));
	memcpy(far.out + far.out_len, buf, len);
	far.out_len += len;
}

static size_t far_read(unused void *ctx, u8 *buf, size_t max)
{
	size_t n = MIN(max, far.in_len - far.in_at);

	memcpy(buf, far.in + far.in_at, n);
	far.in_at += n;
	return n;
}

static void on_irq(unused void *ctx, unused unsigned pin, bool level)
{
	assert_int_not_equal(level, far.line);
	far.line = level;
	far.rises += level;
}

static int setup(unused void **state)
{
	struct chardev dev = {.write = far_write, .read = far_read};
	struct irq_line irq = {.set = on_irq, .pin = 4};

	memset(&far, 0, sizeof(far));
	vuart_init(&uart, &dev, &irq);
	return 0;
}

static u8 rd(unsigned port)
{
	return (u8)vuart_bus_ops.read(&uart, port, 1);
}

static void wr(unsigned port, u8 value)
{
	vuart_bus_ops.write(&uart, port, 1, value);
}

static void type(const char *text)
{
	size_t n = strlen(text);

	assert_true(far.in_len + n <= sizeof(far.in));
	memcpy(far.in + far.in_len, text, n);
	far.in_len += n;
	vuart_poll(&uart);
}

/* ---- Registers ---------------------------------------------------------------------------- */

static void reset_state(unused void **state)
{
	assert_int_equal(rd(IER), 0);
	assert_int_equal(rd(IIR), 0x01);
	assert_int_equal(rd(LCR), 0);
	assert_int_equal(rd(MCR), 0);
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(rd(MSR), 0xb0);
	assert_int_equal(rd(RBR), 0);
}

static void register_masks(unused void **state)
{
	wr(IER, 0xff);
	assert_int_equal(rd(IER), 0x0f);
	wr(MCR, 0xff);
	assert_int_equal(rd(MCR), 0x1f);
	wr(LCR, 0x7f);
	assert_int_equal(rd(LCR), 0x7f);
	wr(SCR, 0xa5);
	assert_int_equal(rd(SCR), 0xa5);
	wr(LSR, 0);
	assert_int_equal(rd(LSR), 0x60);
}

static void dlab_switches_the_first_two_ports(unused void **state)
{
	wr(LCR, DLAB | 3);
	wr(0, 0x0c);
	wr(1, 0xab);
	assert_int_equal(rd(0), 0x0c);
	assert_int_equal(rd(1), 0xab);
	wr(LCR, 3);
	assert_int_equal(rd(IER), 0);
	assert_int_equal(far.out_len, 0);
	wr(LCR, DLAB);
	assert_int_equal(rd(0), 0x0c);
}

static void wide_accesses_are_cut_into_bytes(unused void **state)
{
	vuart_bus_ops.write(&uart, 6, 2, 0x5aff);
	assert_int_equal(rd(SCR), 0x5a);
	vuart_bus_ops.write(&uart, 0, 4, 0x00000141);
	assert_int_equal(far.out[0], 'A');
	assert_int_equal(rd(IER), 1);
	assert_int_equal(vuart_bus_ops.read(&uart, 4, 4), 0x5ab06000);
}

/* ---- Output ------------------------------------------------------------------------------- */

static void output_goes_out_at_once(unused void **state)
{
	const char *p;

	for (p = "hello"; *p; p++) {
		assert_true(rd(LSR) & 0x20);
		wr(THR, (u8)*p);
		assert_int_equal(rd(LSR), 0x60);
	}
	assert_int_equal(far.out_len, 5);
	assert_memory_equal(far.out, "hello", 5);
}

static void thre_is_pending_when_enabled_on_an_empty_thr(unused void **state)
{
	wr(MCR, OUT2);
	wr(IER, 2);
	assert_true(far.line);
	assert_int_equal(rd(IIR), 0x02);
	/* Reading it has taken it. */
	assert_false(far.line);
	assert_int_equal(rd(IIR), 0x01);
	/* Writing the same enables again does not bring it back, turning it off and on does. */
	wr(IER, 2);
	assert_int_equal(rd(IIR), 0x01);
	wr(IER, 0);
	wr(IER, 2);
	assert_int_equal(rd(IIR), 0x02);
}

static void thre_comes_back_with_each_byte(unused void **state)
{
	wr(MCR, OUT2);
	wr(IER, 2);
	rd(IIR);
	far.rises = 0;
	wr(THR, 'x');
	assert_true(far.line);
	assert_int_equal(far.rises, 1);
	/* Not read: the next write ends it and raises the next, with an edge between. */
	wr(THR, 'y');
	assert_true(far.line);
	assert_int_equal(far.rises, 2);
	assert_int_equal(rd(IIR), 0x02);
	assert_false(far.line);
}

static void iir_of_another_source_does_not_take_thre(unused void **state)
{
	wr(IER, 3);
	type("a");
	assert_int_equal(rd(IIR), 0x04);
	rd(RBR);
	assert_int_equal(rd(IIR), 0x02);
	assert_int_equal(rd(IIR), 0x01);
}

/* ---- Input -------------------------------------------------------------------------------- */

static void input_without_fifo_is_one_byte_at_a_time(unused void **state)
{
	wr(MCR, OUT2);
	wr(IER, 1);
	type("abc");
	assert_int_equal(far.in_at, 1);
	assert_true(far.line);
	assert_int_equal(rd(IIR), 0x04);
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(RBR), 'a');
	assert_int_equal(rd(RBR), 'b');
	assert_int_equal(rd(RBR), 'c');
	assert_int_equal(rd(LSR), 0x60);
	assert_false(far.line);
}

static void no_byte_is_lost_or_doubled(unused void **state)
{
	u8 i = 0, n = 0;

	wr(FCR, 0xc1);
	wr(IER, 1);
	for (far.in_len = 0; far.in_len < 200; far.in_len++)
		far.in[far.in_len] = i++;
	vuart_poll(&uart);
	vuart_poll(&uart);
	assert_int_equal(uart.rx_count, 16);
	while (rd(LSR) & 1)
		assert_int_equal(rd(RBR), n++);
	assert_int_equal(n, 200);
	assert_int_equal(rd(LSR), 0x60);
}

static void the_trigger_level_tells_data_from_timeout(unused void **state)
{
	static const u8 triggers[] = {1, 4, 8, 14};
	unsigned i, n;

	for (i = 0; i < 4; i++) {
		setup(NULL);
		wr(FCR, (u8)(1 | i << 6));
		wr(IER, 1);
		for (n = 1; n <= 16; n++) {
			type("x");
			assert_int_equal(rd(IIR), n >= triggers[i] ? 0xc4 : 0xcc);
		}
		while (n-- > 1) {
			assert_int_equal(rd(IIR), n >= triggers[i] ? 0xc4 : 0xcc);
			rd(RBR);
		}
		assert_int_equal(rd(IIR), 0xc1);
	}
}

static void fifo_clears(unused void **state)
{
	wr(FCR, 1);
	type("abc");
	wr(FCR, 3);
	assert_int_equal(rd(LSR), 0x60);
	/* What waited at the far end comes into the room. */
	type("0123456789abcdef!");
	wr(FCR, 3);
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(RBR), '!');
	type("d");
	wr(FCR, 5); /* the transmitter's only */
	assert_int_equal(rd(LSR), 0x61);
	wr(FCR, 0); /* off: both */
	assert_int_equal(rd(LSR), 0x60);
	assert_int_equal(rd(IIR), 0x01);
	/* The other bits are not programmed without bit 0. */
	wr(FCR, 0xc0);
	assert_int_equal(rd(IIR), 0x01);
}

static void input_lowers_the_line_when_read(unused void **state)
{
	wr(MCR, OUT2);
	wr(FCR, 1);
	wr(IER, 1);
	type("ab");
	assert_true(far.line);
	rd(RBR);
	assert_true(far.line);
	rd(RBR);
	assert_false(far.line);
	type("c");
	assert_int_equal(far.rises, 2);
}

static void out2_gates_the_line(unused void **state)
{
	wr(IER, 1);
	type("a");
	assert_false(far.line);
	assert_int_equal(rd(IIR), 0x04);
	wr(MCR, OUT2);
	assert_true(far.line);
	wr(MCR, OUT2 | LOOP);
	assert_false(far.line);
	wr(MCR, OUT2);
	assert_true(far.line);
	wr(IER, 0);
	assert_false(far.line);
}

/* ---- Loop-back ---------------------------------------------------------------------------- */

static void loopback_brings_output_back(unused void **state)
{
	wr(FCR, 1);
	wr(MCR, LOOP);
	type("z"); /* waits at the far end */
	wr(THR, 'q');
	assert_int_equal(far.out_len, 0);
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(RBR), 'q');
	assert_int_equal(rd(LSR), 0x60);
	wr(MCR, 0);
	assert_int_equal(rd(RBR), 'z');
}

static void loopback_wires_the_modem_lines(unused void **state)
{
	static const struct {
		u8 mcr, msr;
	} rows[] = {{0, 0}, {1, 0x20}, {2, 0x10}, {4, 0x40}, {8, 0x80}, {0xf, 0xf0}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		wr(MCR, LOOP | rows[i].mcr);
		assert_int_equal(rd(MSR) & 0xf0, rows[i].msr);
	}
}

static void modem_deltas(unused void **state)
{
	wr(IER, 8);
	wr(MCR, LOOP); /* CTS, DSR, DCD fall */
	assert_int_equal(rd(IIR), 0x00);
	assert_int_equal(rd(MSR), 0x0b);
	assert_int_equal(rd(MSR), 0x00);
	assert_int_equal(rd(IIR), 0x01);
	wr(MCR, LOOP | 4); /* RI rises: no event */
	assert_int_equal(rd(MSR), 0x40);
	wr(MCR, LOOP); /* and falls */
	assert_int_equal(rd(MSR), 0x04);
	/* Changes gather until they are read. */
	wr(MCR, LOOP | 1);
	wr(MCR, LOOP | 3);
	assert_int_equal(rd(MSR), 0x33);
	wr(MCR, OUT2);
	assert_true(far.line);
	assert_int_equal(rd(MSR), 0xb8);
	assert_false(far.line);
}

static void overrun_is_a_line_status_interrupt(unused void **state)
{
	unsigned i;

	wr(IER, 0x0d);
	wr(FCR, 1);
	wr(MCR, LOOP | 0xb);
	rd(MSR);
	for (i = 0; i < 18; i++)
		wr(THR, (u8)i);
	assert_int_equal(rd(IIR), 0xc6);
	assert_int_equal(rd(LSR), 0x63);
	assert_int_equal(rd(LSR), 0x61);
	assert_int_equal(rd(IIR), 0xc4);
	for (i = 0; i < 16; i++)
		assert_int_equal(rd(RBR), i);
	assert_int_equal(rd(LSR), 0x60);
}

static void priorities(unused void **state)
{
	unsigned i;

	wr(FCR, 1);
	wr(MCR, LOOP | 0xb);
	rd(MSR);
	for (i = 0; i < 17; i++)
		wr(THR, 'x');
	wr(MCR, LOOP); /* modem status */
	wr(IER, 0x0f);
	assert_int_equal(rd(IIR), 0xc6);
	rd(LSR);
	assert_int_equal(rd(IIR), 0xc4);
	while (rd(LSR) & 1)
		rd(RBR);
	assert_int_equal(rd(IIR), 0xc2);
	assert_int_equal(rd(IIR), 0xc0);
	rd(MSR);
	assert_int_equal(rd(IIR), 0xc1);
}

/* ---- What Linux asks (drivers/tty/serial/8250/8250_port.c), in its order ------------------ */

static void linux_autoconfig_finds_a_16550a(unused void **state)
{
	/* Is there a UART at all? */
	wr(IER, 0);
	assert_int_equal(rd(IER) & 0x0f, 0);
	wr(IER, 0x0f);
	assert_int_equal(rd(IER) & 0x0f, 0x0f);
	wr(IER, 0);
	/* Loop-back test. */
	wr(MCR, LOOP | 0x0a);
	assert_int_equal(rd(MSR) & 0xf0, 0x90);
	wr(MCR, 0);
	/* Which one? */
	wr(LCR, 0xbf);
	wr(2, 0);
	wr(LCR, 0);
	wr(FCR, 1);
	assert_int_equal(rd(IIR) >> 6, 3);
	/* No enhanced features: the register there is not 0, in both configuration modes. */
	wr(LCR, 0x80);
	assert_int_not_equal(rd(2), 0);
	wr(LCR, 0xbf);
	assert_int_not_equal(rd(2), 0);
	/* No National Super I/O: bank 2's EXCR1 does not follow MCR's loop bit. */
	wr(LCR, 0);
	wr(MCR, 0);
	wr(LCR, 0xe0);
	assert_false(rd(2) & LOOP);
	wr(LCR, 0);
	wr(MCR, LOOP);
	wr(LCR, 0xe0);
	assert_false(rd(2) & LOOP);
	wr(LCR, 0);
	wr(MCR, 0);
	/* No 64-byte FIFO (TI 16750). */
	wr(FCR, 1);
	assert_int_equal(rd(IIR) >> 5, 6);
	wr(LCR, DLAB);
	wr(FCR, 0x21);
	assert_int_equal(rd(IIR) >> 5, 6);
	wr(LCR, 0);
	/* No XScale: IER bit 6 cannot be set. */
	wr(IER, 0x40);
	assert_false(rd(IER) & 0x40);
}

static void linux_size_fifo_counts_sixteen(unused void **state)
{
	unsigned i, count;

	wr(LCR, 0);
	wr(FCR, 7);
	wr(MCR, LOOP);
	wr(LCR, DLAB);
	wr(0, 1);
	wr(1, 0);
	wr(LCR, 3);
	for (i = 0; i < 256; i++)
		wr(THR, (u8)i);
	for (count = 0; rd(LSR) & 1 && count < 256; count++)
		rd(RBR);
	assert_int_equal(count, 16);
}

static void linux_startup_finds_no_bugs(unused void **state)
{
	u8 iir1, iir2;

	wr(MCR, OUT2);
	/* THRE must interrupt again when it is enabled again (UART_BUG_THRE). */
	wr(IER, 2);
	iir1 = rd(IIR);
	wr(IER, 0);
	wr(IER, 2);
	iir2 = rd(IIR);
	wr(IER, 0);
	assert_false(iir1 & 1);
	assert_false(iir2 & 1);
	/* Enabling it with an empty THR interrupts (UART_BUG_TXEN). */
	wr(IER, 2);
	assert_true(rd(LSR) & 0x40);
	assert_false(rd(IIR) & 1);
	wr(IER, 0);
	assert_false(far.line);
}

/* The interrupt handler's loop, edge-triggered: nothing sticks. */
static void linux_interrupt_driven_output(unused void **state)
{
	const char *text = "0123456789abcdefghijklmnopqrstuvwxyz";
	size_t sent = 0, len = strlen(text);
	unsigned handled, i;

	wr(MCR, OUT2 | 3);
	wr(FCR, 0x81);
	wr(IER, 0x05);
	far.rises = 0;
	wr(IER, 0x07);
	for (handled = 0; far.rises > handled; handled++) {
		u8 iir;

		while (!((iir = rd(IIR)) & 1)) {
			assert_int_equal(iir, 0xc2);
			assert_true(rd(LSR) & 0x20);
			for (i = 0; i < 16 && sent < len; i++)
				wr(THR, (u8)text[sent++]);
			if (sent == len)
				wr(IER, 0x05);
		}
		if (sent == len)
			break;
	}
	assert_int_equal(far.out_len, len);
	assert_memory_equal(far.out, text, len);
	assert_false(far.line);
}

static void a_far_end_without_functions(unused void **state)
{
	struct chardev none = {0};
	struct irq_line irq = {0};

	vuart_init(&uart, &none, &irq);
	wr(MCR, OUT2);
	wr(IER, 0x0f);
	wr(THR, 'x');
	vuart_poll(&uart);
	assert_int_equal(rd(LSR), 0x60);
}

static void reset_lowers_the_line(unused void **state)
{
	wr(MCR, OUT2);
	wr(IER, 2);
	type("x");
	assert_true(far.line);
	vuart_reset(&uart);
	assert_false(far.line);
	reset_state(NULL);
	assert_int_equal(uart.rx_count, 0);
	assert_false(uart.thre_pending);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reset_state, setup),
		cmocka_unit_test_setup(register_masks, setup),
		cmocka_unit_test_setup(dlab_switches_the_first_two_ports, setup),
		cmocka_unit_test_setup(wide_accesses_are_cut_into_bytes, setup),
		cmocka_unit_test_setup(output_goes_out_at_once, setup),
		cmocka_unit_test_setup(thre_is_pending_when_enabled_on_an_empty_thr, setup),
		cmocka_unit_test_setup(thre_comes_back_with_each_byte, setup),
		cmocka_unit_test_setup(iir_of_another_source_does_not_take_thre, setup),
		cmocka_unit_test_setup(input_without_fifo_is_one_byte_at_a_time, setup),
		cmocka_unit_test_setup(no_byte_is_lost_or_doubled, setup),
		cmocka_unit_test_setup(the_trigger_level_tells_data_from_timeout, setup),
		cmocka_unit_test_setup(fifo_clears, setup),
		cmocka_unit_test_setup(input_lowers_the_line_when_read, setup),
		cmocka_unit_test_setup(out2_gates_the_line, setup),
		cmocka_unit_test_setup(loopback_brings_output_back, setup),
		cmocka_unit_test_setup(loopback_wires_the_modem_lines, setup),
		cmocka_unit_test_setup(modem_deltas, setup),
		cmocka_unit_test_setup(overrun_is_a_line_status_interrupt, setup),
		cmocka_unit_test_setup(priorities, setup),
		cmocka_unit_test_setup(linux_autoconfig_finds_a_16550a, setup),
		cmocka_unit_test_setup(linux_size_fifo_counts_sixteen, setup),
		cmocka_unit_test_setup(linux_startup_finds_no_bugs, setup),
		cmocka_unit_test_setup(linux_interrupt_driven_output, setup),
		cmocka_unit_test_setup(a_far_end_without_functions, setup),
		cmocka_unit_test_setup(reset_lowers_the_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
