/* SPDX-License-Identifier: MIT */
/*
 * The machine's I/O APICs. Havoc uses two of their pins, the console's serial port and the keyboard; all others are
 * masked. Called by irq.c. Intel 82093AA "I/O Advanced Programmable Interrupt Controller", ACPI "Multiple APIC Description Table".
 */
#include "arch/host/host.h"

#include <vmm/host.h>

#define IOAPIC_DEFAULT_ADDR 0xfec00000
#define IOAPIC_PINS_MAX     240

enum { IOAPIC_REG_VERSION = 1, IOAPIC_REG_REDIR = 0x10 };

#define REDIR_MODE       GENMASK(10, 8)
#define REDIR_MODE_SMI   2
#define REDIR_ACTIVE_LOW BIT(13)
#define REDIR_LEVEL      BIT(15)
#define REDIR_MASKED     BIT(16)
#define REDIR_DEST_SHIFT 24 /* in the high half */

static u32 ioapic_read(const struct ioapic *io, unsigned reg)
{
	io->mmio[0] = reg;
	return io->mmio[4];
}

static void ioapic_write(const struct ioapic *io, unsigned reg, u64 value)
{
	io->mmio[0] = reg;
	io->mmio[4] = (u32)value;
}

static void ioapic_mask_all(const struct ioapic *io)
{
	for (unsigned pin = 0; pin < io->pins; pin++) {
		u32 low = ioapic_read(io, IOAPIC_REG_REDIR + 2 * pin);

		/* SMIs are the firmware's business. */
		if (!(low & REDIR_MASKED) && field_get(REDIR_MODE, low) != REDIR_MODE_SMI)
			ioapic_write(io, IOAPIC_REG_REDIR + 2 * pin, low | REDIR_MASKED);
	}
}

static void ioapic_add(hpa_t addr, u32 gsi_base)
{
	struct ioapic *io = &host.ioapic[host.ioapics];
	u32 version;

	io->mmio = paging_map_phys(addr, PAGE_SIZE, PT_READ | PT_WRITE, PT_UC);
	if (!io->mmio)
		return;
	version = ioapic_read(io, IOAPIC_REG_VERSION);
	io->gsi_base = gsi_base;
	io->pins = (version >> 16 & 0xff) + 1;
	if (version == 0 || io->pins > IOAPIC_PINS_MAX) /* nothing there */
		return;
	ioapic_mask_all(io);
	host.ioapics++;
}

void ioapic_init(void)
{
	for (unsigned i = 0; i < host.acpi.ioapics; i++)
		ioapic_add(host.acpi.ioapic[i].addr, host.acpi.ioapic[i].gsi_base);
	/* Firmware without ACPI tables: where every PC has its first one. */
	if (!host.acpi.has_madt)
		ioapic_add(IOAPIC_DEFAULT_ADDR, 0);
}

bool ioapic_route_isa(u8 irq, u8 vector)
{
	u32 gsi = irq;
	u64 low = vector | REDIR_MASKED;

	/* The entry has 8 bits for the APIC ID; a larger one would need interrupt remapping. */
	if (host.boot_cpu.apic_id > 0xff)
		return false;
	for (unsigned i = 0; i < host.acpi.overrides; i++) {
		const struct acpi_override *o = &host.acpi.override[i];

		if (o->irq != irq)
			continue;
		gsi = o->gsi;
		low |= (o->active_low ? REDIR_ACTIVE_LOW : 0) | (o->level ? REDIR_LEVEL : 0);
	}
	for (unsigned i = 0; i < host.ioapics; i++) {
		const struct ioapic *io = &host.ioapic[i];
		unsigned reg = IOAPIC_REG_REDIR + 2 * (gsi - io->gsi_base);

		if (gsi < io->gsi_base || gsi - io->gsi_base >= io->pins)
			continue;
		ioapic_write(io, reg, low);
		ioapic_write(io, reg + 1, (u64)host.boot_cpu.apic_id << REDIR_DEST_SHIFT);
		ioapic_write(io, reg, low & ~REDIR_MASKED);
		return true;
	}
	return false;
}
