/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a vcpu: xAPIC (MMIO) and x2APIC (MSRs), timer in one-shot, periodic and TSC-deadline mode.
 * SDM vol. 3 "Advanced Programmable Interrupt Controller (APIC)". Sees a clock and a few callbacks; no vcpu, no back end.
 */
#ifndef VMM_VLAPIC_H
#define VMM_VLAPIC_H

#include <vmm/clock.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VLAPIC_BASE 0xfee00000ULL
#define VLAPIC_SIZE 0x1000ULL
/* The timer's input clock before its divider, Hz. Told to the guest by CPUID 0x15/KVM leaf where asked. */
#define VLAPIC_TIMER_HZ 1000000000ULL

struct vlapic;

struct vlapic_ops {
	/* Something is pending that was not: an interrupt in IRR, or NMI/INIT/SIPI (already recorded by the callee). */
	void (*notify)(void *ctx);
	void (*nmi)(void *ctx);
	void (*init)(void *ctx);
	void (*sipi)(void *ctx, u8 vector);
	/* Sends an IPI (ICR); self-IPI by shorthand never comes here. exclude_self for "all but self". */
	void (*send)(void *ctx, struct vlapic *from, const struct apic_msg *msg, bool exclude_self);
	/* EOI of a level-triggered vector: to the I/O APICs. */
	void (*eoi)(void *ctx, u8 vector);
	/*
	 * eoi_offered stands: takes the offer back. True: the guest has made use of it, so the interrupt in service has ended.
	 */
	bool (*eoi_settle)(void *ctx);
	/* It takes interrupts again: level-triggered ones that it did not take are to be sent anew. */
	void (*enabled)(void *ctx);
	/* Host ticks to guest TSC and back: deadline values are in guest TSC. */
	u64 (*guest_tsc)(void *ctx);                   /* now */
	u64 (*tsc_to_ticks)(void *ctx, u64 guest_tsc); /* absolute */
};

/* SDM "Local Vector Table", in the order of their registers (0x320...). No CMCI: MCG_CAP offers none. */
enum vlapic_lvt {
	VLAPIC_LVT_TIMER,
	VLAPIC_LVT_THERMAL,
	VLAPIC_LVT_PERF,
	VLAPIC_LVT_LINT0,
	VLAPIC_LVT_LINT1,
	VLAPIC_LVT_ERROR,
	VLAPIC_LVTS
};

struct vlapic {
	u32 id; /* APIC ID */
	u64 base_msr;
	/* Bits of IA32_APIC_BASE that fault. vlapic_init() sets those that every CPU reserves; the owner may add to
	 * them those beyond the guest's physical-address width. */
	u64 base_reserved;
	bool enabled_x2apic, hw_enabled; /* cached from base_msr */
	bool pending_hint; /* IRR may hold something deliverable; cleared by vlapic_pending() when not */
	/*
	 * The guest may end the one interrupt in service, an edge, without a word to its APIC (core/pv_eoi.c). IRR is empty as
	 * long as this stands: vlapic_settle_eoi() comes before whatever looks at ISR or sets a bit in IRR.
	 */
	bool eoi_offered;
	/* Interrupts from other CPUs, which the owner has yet to take: atomic. */
	u32 posted[8], posted_level[8];
	u8 irr_words, isr_words; /* bit n: word n of the register has a bit set */
	u32 irr[8], isr[8], tmr[8];
	u32 tpr, ldr, dfr, svr, esr, esr_pending, icr_low, icr_high;
	u32 lvt[VLAPIC_LVTS];
	u32 timer_icr, timer_dcr; /* initial count; divide configuration */
	bool timer_running;       /* the current count is not 0 (one-shot, periodic) */
	u64 timer_end;            /* ticks at which it will be */
	u64 tsc_deadline;         /* guest TSC; 0: disarmed */
	struct timer timer;       /* queued only while an interrupt would come of it */
	struct clock *clock;
	const struct vlapic_ops *ops;
	void *ctx;
	u64 timer_fired; /* statistics */
};

void vlapic_init(struct vlapic *l, u32 id, struct clock *clock, const struct vlapic_ops *ops,
		 void *ctx);
/* Power-up state; bsp sets BSP in APIC_BASE. SDM "Local APIC State After Power-Up or Reset". */
void vlapic_reset(struct vlapic *l, bool bsp);
/* State after an INIT: as power-up, but IA32_APIC_BASE (so the mode) and the APIC ID stay. */
void vlapic_reset_init(struct vlapic *l);

/* MMIO page, xAPIC mode. Offsets not aligned to 16 or reserved: as the SDM says (0 / ignored / ESR). */
u32 vlapic_mmio_read(struct vlapic *l, u32 offset);
void vlapic_mmio_write(struct vlapic *l, u32 offset, u32 value);
/* The guest has its MMIO page here and now (hardware-enabled and not x2APIC). */
bool vlapic_mmio_active(const struct vlapic *l, u64 gpa);

/* IA32_APIC_BASE, IA32_TSC_DEADLINE, 0x800-0x8ff. False: #GP. */
bool vlapic_msr_read(struct vlapic *l, u32 msr, u64 *value) must_check;
bool vlapic_msr_write(struct vlapic *l, u32 msr, u64 value) must_check;

/* The guest's TSC has been set, by the guest or by a new offset: an armed TSC deadline moves with it. */
void vlapic_tsc_changed(struct vlapic *l);

/* CR8 */
u64 vlapic_cr8_get(const struct vlapic *l);
void vlapic_cr8_set(struct vlapic *l, u64 value);

/*
 * Pin LINT0, at which a PIC's INT output ends. Does it reach the CPU as such: is the APIC off, or is the pin's entry ExtINT and
 * not masked?
 */
bool vlapic_takes_extint(const struct vlapic *l);
/* The pin rises: what the entry makes of it, if that is an interrupt of its own or an NMI. */
void vlapic_lint0_rise(struct vlapic *l);
bool vlapic_lint0_is_nmi(const struct vlapic *l);
/* As a PC's firmware leaves it: MultiProcessor specification "Virtual Wire Mode". */
void vlapic_virtual_wire(struct vlapic *l);

/* Highest vector that may be delivered now (above PPR), or -1. */
int vlapic_pending(struct vlapic *l);
/*
 * From any CPU: a fixed interrupt for this APIC; its owner takes it by vlapic_collect(), which the caller sees to. False:
 * as vlapic_deliver().
 */
bool vlapic_post(struct vlapic *l, u8 vector, bool level);
void vlapic_collect(struct vlapic *l);
/* It is being delivered: IRR -> ISR. */
void vlapic_accept(struct vlapic *l, u8 vector);
/* Its delivery did not come about, and something else goes first: ISR -> IRR. */
void vlapic_unaccept(struct vlapic *l, u8 vector);

/* Would an EOI now do nothing but clear ISR: one interrupt is in service, an edge, and none waits? */
bool vlapic_eoi_is_plain(const struct vlapic *l);
void vlapic_settle_offer(struct vlapic *l); /* eoi_offered stands */
static inline void vlapic_settle_eoi(struct vlapic *l)
{
	if (unlikely(l->eoi_offered))
		vlapic_settle_offer(l);
}

/* Does the message address this APIC? (physical/logical, flat/cluster, xAPIC/x2APIC, broadcast) */
bool vlapic_matches(const struct vlapic *l, const struct apic_msg *msg);
/* What the low half of an ICR describes, but for whom it is. False: nothing that is sent. */
bool vlapic_icr_message(u32 low, struct apic_msg *msg);
#define VLAPIC_ICR_DESTINATION (BIT(11) | GENMASK(19, 18)) /* logical mode, shorthand */
/* False: it is not taken (the APIC is disabled, the vector illegal, the mode unknown here). */
bool vlapic_deliver(struct vlapic *l, const struct apic_msg *msg);

#endif
