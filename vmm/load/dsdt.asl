/* SPDX-License-Identifier: MIT */
/*
 * The DSDT of a guest's machine: what cannot be found by probing. Compiled by iasl at build time and copied into the guest's
 * memory by acpi_gen.c, which owns the other tables. Its numbers are those of the machine description (machine_io.h).
 * ACPI specification "ASL Reference", "Device Configuration".
 */
#include "../include/vmm/machine_io.h"

DefinitionBlock ("", "DSDT", 2, "HAVOC ", "HAVOC-PC", 1)
{
	/* SLP_TYPa for soft off; PM1b does not exist. */
	Name (\_S5, Package () { MACHINE_S5_TYPE, MACHINE_S5_TYPE, 0, 0 })

	Scope (\_SB)
	{
		/* _UID is the MADT's processor UID. */
		Device (CPU0)
		{
			Name (_HID, "ACPI0007")
			Name (_UID, 0)
		}

		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_STA, 0x0f) /* acpi_gen.c clears it where there is none */
			Name (_SEG, 0)
			Name (_BBN, 0)
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0000, 0x0cf7, 0, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0d00, 0xffff, 0, 0xf300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, MACHINE_PCI_MEM_BASE, MACHINE_PCI_MEM_LAST, 0, MACHINE_PCI_MEM_SIZE)
			})

			/* The system's own: PCI Firmware specification "MCFG Table Description". */
			Device (ECAM)
			{
				Name (_HID, EisaId ("PNP0C02"))
				Name (_CRS, ResourceTemplate ()
				{
					Memory32Fixed (ReadWrite, MACHINE_ECAM_BASE, MACHINE_ECAM_SIZE)
				})
			}
		}

		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadOnly, MACHINE_HPET_BASE, MACHINE_HPET_SIZE)
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, MACHINE_UART_PORT, MACHINE_UART_PORT, 1, MACHINE_UART_PORTS)
				IRQNoFlags () { MACHINE_UART_IRQ }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, MACHINE_RTC_PORT, MACHINE_RTC_PORT, 1, MACHINE_RTC_PORTS)
				IRQNoFlags () { MACHINE_RTC_IRQ }
			})
		}
	}
}
