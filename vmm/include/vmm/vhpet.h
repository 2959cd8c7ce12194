/* SPDX-License-Identifier: MIT */
/* High Precision Event Timers: a 64-bit counter of 100 MHz and three comparators. IA-PC HPET Specification 1.0a. */
#ifndef VMM_VHPET_H
#define VMM_VHPET_H

#include <vmm/bus.h>
#include <vmm/clock.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VHPET_BASE      0xfed00000ULL
#define VHPET_SIZE      KiB(1)
#define VHPET_TIMERS    3
#define VHPET_HZ        100000000
#define VHPET_PERIOD_FS 10000000
/* The low half of the capability register, which the ACPI table HPET repeats ("Event Timer Block ID"). */
#define VHPET_ID 0x8086a201
/* Pins of the I/O APIC that a comparator can be routed to, and the two of "LegacyReplacement": for IRQ 0 and for IRQ 8. */
#define VHPET_PINS    0x00f00000
#define VHPET_PIN_PIT 2
#define VHPET_PIN_RTC 8
/* Periodic interrupts come no more often than this; those that would are merged into one. */
#define VHPET_INTERVAL_MIN_NS 100000

struct vhpet_timer {
	u32 config; /* what is writable of it */
	u64 comparator;
	u64 period;     /* what was written to the comparator last */
	u64 not_before; /* tick before which it causes no further periodic interrupt */
};

struct vhpet {
	u8 config;      /* general configuration */
	u8 status;      /* a bit for each level-triggered timer */
	u64 base_count; /* the counter at tick `base_ticks`, or as it stands when it is halted */
	u64 base_ticks;
	u64 seen; /* comparators and status are up to date as of this count */
	struct vhpet_timer t[VHPET_TIMERS];
	u32 lines;          /* a bit for each pin that is asserted */
	struct timer timer; /* queued only while an enabled interrupt is to come */
	struct clock *clock;
	struct irq_line irq;
};

/* irq: for all pins; its own `pin` means nothing, set() is told VHPET_PIN_* or one of VHPET_PINS. */
void vhpet_init(struct vhpet *h, struct clock *clock, const struct irq_line *irq);
void vhpet_reset(struct vhpet *h); /* halted, counter 0 */
/* Timers 0 and 1 are in the place of the PIT's IRQ 0 and the RTC's IRQ 8: these two must not reach their pins. */
bool vhpet_legacy(const struct vhpet *h);
extern const struct bus_ops vhpet_bus_ops; /* dev = struct vhpet; MMIO, VHPET_SIZE */

#endif
