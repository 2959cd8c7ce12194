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

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_STA, 0x0f) /* acpi_gen.c clears it where there is none */
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
