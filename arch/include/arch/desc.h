/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of long mode: selectors of the host's own GDT, the task state segment, interrupt gates. SDM vol. 3
 * "64-Bit Mode Task Management", "64-Bit Mode IDT"; APM vol. 2 "Segment Descriptors".
 */
#ifndef ARCH_DESC_H
#define ARCH_DESC_H

#include <vmm/types.h>

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS  0x18 /* 16 bytes */

#define GDT_CODE64 0x00af9b000000ffffULL /* present, accessed, L */
#define GDT_DATA   0x00cf93000000ffffULL

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7]; /* ist[n - 1] is IST n */
	u64 reserved2;
	u16 reserved3;
	u16 iomap; /* beyond the limit: no port is allowed to less than CPL 0 */
} packed;
_Static_assert(sizeof(struct tss) == 104, "TSS of the manual");
_Static_assert(offsetof(struct tss, ist) == 36, "IST1");

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */

struct idt_gate {
	u16 offset_low;
	u16 selector;
	u8 ist;
	u8 attr;
	u16 offset_mid;
	u32 offset_high;
	u32 reserved;
} packed;
_Static_assert(sizeof(struct idt_gate) == 16, "gate of the manual");

#endif
