/* SPDX-License-Identifier: MIT */
/* What the unit tests of the 8254 have in common: one of them, its ports, and the line that it drives. */
#ifndef TEST_MOCK_VPIT_TEST_H
#define TEST_MOCK_VPIT_TEST_H

#include <vmm/vpit.h>

#include "timer_test.h"

/* Control words: access, mode */
enum { LATCH = 0x00, LOW = 0x10, HIGH = 0x20, BOTH = 0x30, BCD = 0x01 };

#define MODE(m)   ((m) << 1)
#define COUNTER2  0x80
#define OUT       0x80
#define NULL_CNT  0x40
#define GATE2     0x01
#define REFRESH   0x10
#define OUT2      0x20
#define READ_BACK 0xc0
#define NO_COUNT  0x20
#define NO_STATUS 0x10

static struct vpit pit;

static inline void start(u64 hz)
{
	clock_start(hz);
	vpit_init(&pit, &test_clock, &(struct irq_line){on_irq, NULL, 0});
}

/* One tick of the clock is one cycle of the counters. */
static inline int setup(unused void **state)
{
	start(VPIT_HZ);
	return 0;
}

/* With a real host's rate. */
static inline int setup_ghz(unused void **state)
{
	start(2400000000ULL);
	return 0;
}

static inline void wr(unsigned port, u8 value)
{
	vpit_bus_ops.write(&pit, port, 1, value);
}

static inline u8 rd(unsigned port)
{
	return (u8)vpit_bus_ops.read(&pit, port, 1);
}

static inline void wr61(u8 value)
{
	vpit_port61_bus_ops.write(&pit, 0, 1, value);
}

static inline u8 rd61(void)
{
	return (u8)vpit_port61_bus_ops.read(&pit, 0, 1);
}

static inline void wr16(unsigned port, u16 value)
{
	wr(port, (u8)value);
	wr(port, (u8)(value >> 8));
}

static inline u16 rd16(unsigned port)
{
	u16 low = rd(port);

	return (u16)(low | rd(port) << 8);
}

/* Counter 2 in two-byte access. */
static inline void start2(unsigned mode, u16 count)
{
	wr(3, (u8)(COUNTER2 | BOTH | MODE(mode)));
	wr16(2, count);
}

static inline void start0(unsigned mode, u16 count)
{
	wr(3, (u8)(BOTH | MODE(mode)));
	wr16(0, count);
	rises = 0;
}

static inline bool out2(void)
{
	return (rd61() & OUT2) != 0;
}

static inline u8 status(unsigned n)
{
	wr(3, (u8)(READ_BACK | NO_COUNT | 2U << n));
	return rd(n);
}

/* What counter 2 reads, and its output, in each of the cycles to come. */
static inline void assert_cycles(const u16 *values, const char *outs)
{
	unsigned i;

	for (i = 0; outs[i]; i++) {
		assert_int_equal(rd16(2), values[i]);
		assert_int_equal(out2(), outs[i] == '1');
		pass(1);
	}
}

#define ASSERT_CYCLES(outs, ...) assert_cycles((const u16[]){__VA_ARGS__}, outs)

#endif
