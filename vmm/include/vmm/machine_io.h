/* SPDX-License-Identifier: MIT */
/*
 * The ports and interrupts of a guest's machine that its DSDT names as well: vmm/load/dsdt.asl
 * includes this file, so that they are written once. Hence no types, no suffixes, no expressions.
 */
#ifndef VMM_MACHINE_IO_H
#define VMM_MACHINE_IO_H

#define MACHINE_UART_PORT   0x3f8
#define MACHINE_UART_PORTS  8
#define MACHINE_UART_IRQ    4
#define MACHINE_RTC_PORT    0x70
#define MACHINE_RTC_PORTS   2
#define MACHINE_RTC_IRQ     8
#define MACHINE_RTC_CENTURY 0x32 /* index of the century in the RTC's memory */
#define MACHINE_SCI_IRQ     9
#define MACHINE_PM_BASE     0x600
#define MACHINE_S5_TYPE     5

#endif
