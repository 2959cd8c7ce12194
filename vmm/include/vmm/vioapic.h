/* SPDX-License-Identifier: MIT */
/* The I/O APIC of a machine: 24 pins. Intel 82093AA, with the EOI register of later versions (0x20). */
#ifndef VMM_VIOAPIC_H
#define VMM_VIOAPIC_H

#include <vmm/bus.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VIOAPIC_BASE 0xfec00000ULL
#define VIOAPIC_SIZE 0x1000ULL
#define VIOAPIC_PINS 24

struct vioapic {
	u8 id; /* as the guest may have changed it */
	u8 reset_id;
	u32 select;
	u64 redir[VIOAPIC_PINS];
	u32 level; /* a bit per pin: the line is asserted */
	bool (*send)(void *ctx, const struct apic_msg *msg); /* false: no local APIC takes it */
	void *ctx;
};

void vioapic_init(struct vioapic *io, u8 id, bool (*send)(void *ctx, const struct apic_msg *),
		  void *ctx);
void vioapic_reset(struct vioapic *io);
extern const struct bus_ops vioapic_bus_ops; /* dev = struct vioapic */
/* For struct irq_line: ctx = struct vioapic. */
void vioapic_set_pin(void *vioapic, unsigned pin, bool level);
/* Is there a pin, not masked, that is delivered as an NMI? */
bool vioapic_sends_nmi(const struct vioapic *io);
void vioapic_eoi(struct vioapic *io, u8 vector);
/* A local APIC takes interrupts that took none before: level-triggered ones that wait are sent again. */
void vioapic_resend(struct vioapic *io);

#endif
