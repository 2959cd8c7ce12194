/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space: the host bridge by ports 0xCF8 and 0xCFC, in all sizes, and the same by ECAM; nothing else on bus 0, no
 * other bus; port 0xCF9 is still the reset control register. PCI Local Bus specification 3.0 "Configuration Mechanism #1"; PCI
 * Firmware specification "Enhanced Configuration Access Method".
 */
#include "micro.h"

#define ECAM 0xe0000000ULL

static u32 config(unsigned bus, unsigned devfn, unsigned reg)
{
	outl(0xcf8, BIT(31) | bus << 16 | devfn << 8 | reg);
	return inl(0xcfc);
}

void test(void)
{
	u32 id = config(0, 0, 0), class = config(0, 0, 8);

	check(id != ~0U && id, "no host bridge: 0x%x", id);
	check_equal("its class", class >> 8, 0x060000);
	check_equal("its header type", config(0, 0, 0xc) >> 16 & 0xff, 0);
	(void)config(0, 0, 0);
	check_equal("low half", inw(0xcfc), id & 0xffff);
	check_equal("high half", inw(0xcfe), id >> 16);
	check_equal("third byte", inb(0xcfe), id >> 16 & 0xff);
	check_equal("the address as written", inl(0xcf8), BIT(31));
	check_equal("by ECAM", read32(ECAM), id);
	check_equal("by ECAM, 16 bits", read16(ECAM + 2), id >> 16);
	for (unsigned devfn = 1; devfn < 256; devfn++) {
		check(config(0, devfn, 0) == ~0U, "a function at 0x%x", devfn);
		check(read32(ECAM + (devfn << 12)) == ~0U, "a function at 0x%x by ECAM", devfn);
	}
	check_equal("bus 1", config(1, 0, 0), ~0U);
	outl(0xcf8, 0);
	check_equal("with the enable bit clear", inl(0xcfc), ~0U);
	/* A byte at 0xCF9 is no address. */
	outl(0xcf8, BIT(31) | 8);
	outb(0xcf9, 0x02);
	check_equal("the address after a byte at 0xCF9", inl(0xcf8), BIT(31) | 8);
	check_equal("the reset control register", inb(0xcf9), 0x02);
	/* The command register is there, and the IDs cannot be changed. */
	outl(0xcf8, BIT(31) | 0);
	outl(0xcfc, 0);
	check_equal("IDs after a write", config(0, 0, 0), id);
}
