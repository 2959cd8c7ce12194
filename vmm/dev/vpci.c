/* SPDX-License-Identifier: MIT */
/*
 * PCI host bridge: who answers at which configuration address. PCI Local Bus Specification 3.0, "Configuration Mechanism #1"
 * ("Software Generation of Configuration Transactions") and "Configuration Space Organization"; PCI Express Base
 * Specification, "PCI Express Enhanced Configuration Access Mechanism (ECAM)"; PCI Firmware Specification, "MCFG".
 *
 * Called by the buses of a machine for ports 0xCF8-0xCFF and the ECAM region; calls the functions that vpci_add() was told.
 */
#include <vmm/errno.h>
#include <vmm/vpci.h>

/* CONFIG_ADDRESS; the other bits are reserved, and read as zero. */
#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_BUS    GENMASK(23, 16)
#define ADDRESS_DEVFN  GENMASK(15, 8)
#define ADDRESS_REG    GENMASK(7, 2)
#define ADDRESS_BITS   (ADDRESS_ENABLE | ADDRESS_BUS | ADDRESS_DEVFN | ADDRESS_REG)

#define ECAM_BUS   GENMASK(27, 20)
#define ECAM_DEVFN GENMASK(19, 12)
#define ECAM_REG   GENMASK(11, 0)

#define FUNCTION_OF(devfn) ((devfn)&7U)

/* Port 0xCF9, as an offset in the region at 0xCF8. */
#define CF9_OFFSET 1

/* A configuration cycle that nobody claims ends in master abort: all ones. ("Configuration Space Decoding") */
static u32 ones(unsigned size)
{
	return (u32)(BIT(size * 8) - 1);
}

/* ---- The bridge's own configuration space --------------------------------------------------- */

/*
 * "QEMU PCIe Host bridge" of Red Hat's list: a bridge whose every property is in its header, made for machines without a
 * chipset. Linux has quirks and resource probes for the bridges of chipsets (Intel, AMD, VIA, ...), which would look for
 * registers that are not here; it has none for this one, and takes it by its class. The subsystem is the one with which
 * that list knows it, so that a guest's lspci says that this is a virtual machine.
 */
#define BRIDGE_ID        0x00081b36
#define BRIDGE_CLASS     0x06000000 /* bridge, host; revision 0 */
#define BRIDGE_SUBSYSTEM 0x11001af4

enum {
	REG_ID = 0x00,
	REG_COMMAND = 0x04,
	REG_CLASS = 0x08,
	REG_CACHE_LINE = 0x0c,
	REG_SUBSYSTEM = 0x2c,
	REG_INTERRUPT = 0x3c
};

/*
 * "Command Register": bus master, parity error response, SERR enable. A device has no element for what it does not have:
 * no BARs, hence neither I/O nor memory space; no interrupt pin, hence no INTx disable.
 */
#define COMMAND_BITS (BIT(2) | BIT(6) | BIT(8))

/*
 * The dword at `reg`. Status is zero: no capabilities, and no error ever comes to pass that a write would clear. From 0x100 on
 * zero, which says that there are no extended capabilities.
 */
static u32 bridge_dword(const struct vpci *p, unsigned reg)
{
	switch (reg) {
	case REG_ID:
		return BRIDGE_ID;
	case REG_COMMAND:
		return p->command;
	case REG_CLASS:
		return BRIDGE_CLASS;
	case REG_CACHE_LINE: /* then latency, header type 0, no BIST */
		return p->cache_line | (u32)p->latency << 8;
	case REG_SUBSYSTEM:
		return BRIDGE_SUBSYSTEM;
	case REG_INTERRUPT: /* a line register, and no pin */
		return p->interrupt_line;
	default:
		return 0;
	}
}

static u32 bridge_read(void *ctx, unsigned reg, unsigned size)
{
	return bridge_dword(ctx, reg & ~3U) >> (reg % 4 * 8) & ones(size);
}

static void bridge_write_byte(struct vpci *p, unsigned reg, u8 value)
{
	switch (reg) {
	case REG_COMMAND:
		p->command = (u16)((p->command & 0xff00) | (value & COMMAND_BITS));
		break;
	case REG_COMMAND + 1:
		p->command = (u16)((p->command & 0xff) | ((u32)value << 8 & COMMAND_BITS));
		break;
	case REG_CACHE_LINE:
		p->cache_line = value;
		break;
	case REG_CACHE_LINE + 1:
		p->latency = value;
		break;
	case REG_INTERRUPT:
		p->interrupt_line = value;
		break;
	default:
		break;
	}
}

static void bridge_write(void *ctx, unsigned reg, unsigned size, u32 value)
{
	unsigned i;

	for (i = 0; i < size; i++)
		bridge_write_byte(ctx, reg + i, (u8)(value >> (i * 8)));
}

static const struct vpci_function_ops bridge_ops = {.read = bridge_read, .write = bridge_write};

/* ---- Functions ------------------------------------------------------------------------------ */

static const struct vpci_function *find(const struct vpci *p, unsigned bus, unsigned devfn)
{
	unsigned i;

	if (bus)
		return NULL;
	for (i = 0; i < p->count; i++)
		if (p->function[i].devfn == devfn)
			return &p->function[i];
	return NULL;
}

static u32 function_read(const struct vpci_function *f, unsigned reg, unsigned size)
{
	return f->ops->read(f->ctx, reg, size) & ones(size);
}

/* Byte by byte where the access is not aligned: on a real bus these are the byte enables of one dword. */
static u32 config_read(const struct vpci *p, unsigned bus, unsigned devfn, unsigned reg,
		       unsigned size)
{
	const struct vpci_function *f = find(p, bus, devfn);
	u32 value = 0;
	unsigned i;

	if (!f)
		return ones(size);
	if (reg % size == 0)
		return function_read(f, reg, size);
	for (i = 0; i < size; i++)
		value |= function_read(f, reg + i, 1) << (i * 8);
	return value;
}

static void config_write(const struct vpci *p, unsigned bus, unsigned devfn, unsigned reg,
			 unsigned size, u32 value)
{
	const struct vpci_function *f = find(p, bus, devfn);
	unsigned i;

	if (!f)
		return;
	value &= ones(size);
	if (reg % size == 0) {
		f->ops->write(f->ctx, reg, size, value);
		return;
	}
	for (i = 0; i < size; i++)
		f->ops->write(f->ctx, reg + i, 1, value >> (i * 8) & 0xff);
}

/* ---- Configuration mechanism #1 --------------------------------------------------------------- */

static bool is_cf9(const struct vpci *p, u64 offset, unsigned size)
{
	return offset == CF9_OFFSET && size == 1 && p->cf9_ops;
}

/* Only dwords at 0xCF8 are CONFIG_ADDRESS. Any other access is none of the bridge's, and but for 0xCF9 nobody's. */
static u64 address_read(void *dev, u64 offset, unsigned size)
{
	const struct vpci *p = dev;

	if (!offset && size == 4)
		return p->address;
	if (is_cf9(p, offset, size))
		return p->cf9_ops->read(p->cf9_dev, 0, 1);
	return ones(size);
}

static void address_write(void *dev, u64 offset, unsigned size, u64 value)
{
	struct vpci *p = dev;

	if (!offset && size == 4)
		p->address = (u32)(value & ADDRESS_BITS);
	else if (is_cf9(p, offset, size))
		p->cf9_ops->write(p->cf9_dev, 0, 1, value);
}

const struct bus_ops vpci_address_bus_ops = {.read = address_read, .write = address_write};

static unsigned address_reg(const struct vpci *p, u64 offset)
{
	return (unsigned)((p->address & ADDRESS_REG) + offset);
}

/* Without the enable bit the data ports are common I/O ports, at which there is nothing. */
static u64 data_read(void *dev, u64 offset, unsigned size)
{
	const struct vpci *p = dev;

	if (!(p->address & ADDRESS_ENABLE))
		return ones(size);
	return config_read(p, field_get(ADDRESS_BUS, p->address),
			   field_get(ADDRESS_DEVFN, p->address), address_reg(p, offset), size);
}

static void data_write(void *dev, u64 offset, unsigned size, u64 value)
{
	const struct vpci *p = dev;

	if (p->address & ADDRESS_ENABLE)
		config_write(p, field_get(ADDRESS_BUS, p->address),
			     field_get(ADDRESS_DEVFN, p->address), address_reg(p, offset), size,
			     (u32)value);
}

const struct bus_ops vpci_data_bus_ops = {.read = data_read, .write = data_write};

/* ---- ECAM ------------------------------------------------------------------------------------- */

/* "Enhanced Configuration Access Mechanism": accesses that cross a dword need not be supported. Such a piece of one? */
static bool in_dword(u64 offset, unsigned size)
{
	return offset % 4 + size <= 4;
}

static u32 ecam_read_dword(const struct vpci *p, u64 offset, unsigned size)
{
	if (!in_dword(offset, size) || field_get(ECAM_BUS, offset) >= p->buses)
		return ones(size);
	return config_read(p, field_get(ECAM_BUS, offset), field_get(ECAM_DEVFN, offset),
			   field_get(ECAM_REG, offset), size);
}

static void ecam_write_dword(const struct vpci *p, u64 offset, unsigned size, u32 value)
{
	if (in_dword(offset, size) && field_get(ECAM_BUS, offset) < p->buses)
		config_write(p, field_get(ECAM_BUS, offset), field_get(ECAM_DEVFN, offset),
			     field_get(ECAM_REG, offset), size, value);
}

/* Eight bytes are two dwords, as a bridge splits them, the low one first. */
static u64 ecam_read(void *dev, u64 offset, unsigned size)
{
	const struct vpci *p = dev;
	u64 low;

	if (size != 8)
		return ecam_read_dword(p, offset, size);
	low = ecam_read_dword(p, offset, 4);
	return low | (u64)ecam_read_dword(p, offset + 4, 4) << 32;
}

static void ecam_write(void *dev, u64 offset, unsigned size, u64 value)
{
	const struct vpci *p = dev;

	ecam_write_dword(p, offset, MIN(size, 4U), (u32)value);
	if (size == 8)
		ecam_write_dword(p, offset + 4, 4, (u32)(value >> 32));
}

const struct bus_ops vpci_ecam_bus_ops = {.read = ecam_read, .write = ecam_write};

/* ---- Life ------------------------------------------------------------------------------------- */

int vpci_add(struct vpci *p, u8 devfn, const struct vpci_function_ops *ops, void *ctx)
{
	if (find(p, 0, devfn))
		return -HV_EEXIST;
	if (FUNCTION_OF(devfn) && !find(p, 0, devfn - FUNCTION_OF(devfn)))
		return -HV_EINVAL;
	if (p->count == VPCI_FUNCTIONS_MAX)
		return -HV_ENOSPC;
	p->function[p->count++] = (struct vpci_function){.devfn = devfn, .ops = ops, .ctx = ctx};
	return 0;
}

/* "Reset": registers that can be written are zero again. */
void vpci_reset(struct vpci *p)
{
	p->address = 0;
	p->command = 0;
	p->cache_line = p->latency = p->interrupt_line = 0;
}

void vpci_init(struct vpci *p, unsigned buses, const struct bus_ops *cf9_ops, void *cf9_dev)
{
	*p = (struct vpci){.buses = buses, .cf9_ops = cf9_ops, .cf9_dev = cf9_dev};
	p->function[p->count++] = (struct vpci_function){.ops = &bridge_ops, .ctx = p};
}
