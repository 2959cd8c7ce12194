/* SPDX-License-Identifier: MIT */
/*
 * Every port read and written in every size with junk, but for what ends the guest by design (0xCF9, 0x64, 0x92, the sleep-enable
 * bit): nothing else ends it, and the devices work afterwards. All bits of the PM1 registers.
 */
#include "micro.h"

/* Does an access of `size` at `port` touch one that restarts or stops the guest, or the UART that the verdict needs? */
static bool spared(u32 port, u32 size)
{
	static const u16 ports[] = {0x64, 0x92, 0xcf9, PM1_CNT, PM1_CNT + 1};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ports); i++)
		if (port <= ports[i] && ports[i] < port + size)
			return true;
	return port + size > UART && port < UART + 8;
}

static void write_all(u32 value)
{
	u32 port;

	for (port = 0; port < 0x10000; port++) {
		/* The crowded places by each port, the rest by every 61st. */
		if (port > 0x1000 && port % 61)
			continue;
		if (!spared(port, 1))
			outb((u16)port, (u8)value);
		if (port < 0xffff && !spared(port, 2))
			outw((u16)port, (u16)value);
		if (port < 0xfffd && !spared(port, 4))
			outl((u16)port, value);
	}
}

static void read_all(void)
{
	u32 port;

	for (port = 0; port < 0x10000; port++) {
		if (port > 0x1000 && port % 61)
			continue;
		(void)inb((u16)port);
		(void)inw((u16)port);
		(void)inl((u16)port);
	}
}

static void pm1(void)
{
	unsigned v;

	for (v = 0; v < 0x10000; v += 0x7f)
		if (!(v & 1 << 13))
			outw(PM1_CNT, (u16)v);
	for (v = 0; v < 8; v++)
		if (v != 5)
			outw(PM1_CNT, (u16)(v << 10)); /* types without SLP_EN */
	for (v = 0; v < 16; v++) {
		outw(PM1_EVENT, (u16)(1 << v));
		outw(PM1_EVENT + 2, (u16)(1 << v));
	}
	outl(PM1_EVENT, 0xffffffff);
	outw(PM1_EVENT + 2, 0);
	outw(PM1_EVENT, 0xffff);
}

/* The UART with junk, looping back so that nothing is seen; then as it was. */
static void uart(void)
{
	unsigned i, p;

	outb(UART + 4, 0x10);
	for (i = 0; i < 256; i += 3) {
		for (p = 0; p < 8; p++)
			outb((u16)(UART + p), p == 4 ? (u8)(i | 0x10) : (u8)i);
		for (p = 0; p < 8; p++)
			(void)inb((u16)(UART + p));
		(void)inl(UART);
		outw(UART + 4, 0x10);
	}
	outb(UART + 3, 3);
	outb(UART + 1, 0);
	outb(UART + 2, 7);
	outb(UART + 4, 3);
}

void test(void)
{
	static const u32 junk[] = {0, 0xffffffff, 0xa5a5a5a5};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		write_all(junk[i]);
		read_all();
	}
	pm1();
	uart();
	cmos_write(0xb, 2);
	cmos_write(0x60, 0x33);
	check_equal("a byte of CMOS", cmos_read(0x60), 0x33);
	check_equal("an unclaimed port", inb(0x1234), 0xff);
}
