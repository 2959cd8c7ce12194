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
#define MACHINE_PIT_IRQ     0
#define MACHINE_PIT_PIN     2 /* of the I/O APIC: its pin 0 is the PIC's output */
#define MACHINE_PM_BASE     0x600
#define MACHINE_S5_TYPE     5

/* PCI: configuration space of bus 0 (ECAM), and where memory of devices may go. */
#define MACHINE_ECAM_BASE    0xe0000000
#define MACHINE_ECAM_SIZE    0x100000
#define MACHINE_PCI_MEM_BASE 0xc0000000
#define MACHINE_PCI_MEM_LAST 0xdfffffff
#define MACHINE_PCI_MEM_SIZE 0x20000000
#define MACHINE_HPET_BASE    0xfed00000
#define MACHINE_HPET_SIZE    0x400

#endif
