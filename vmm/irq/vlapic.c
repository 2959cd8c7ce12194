/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's core: its state, interrupt acceptance and priorities, EOI, errors and the local vector table.
 * Called by core/ (vlapic_pending, vlapic_accept, vlapic_deliver) and by its sister files. SDM vol. 3, chapter
 * "Advanced Programmable Interrupt Controller (APIC)": "Interrupt Acceptance for Fixed Interrupts", "Task and
 * Processor Priorities", "Signaling Interrupt Servicing Completion", "Error Handling".
 */
#include <arch/msr.h>
#include <vmm/string.h>
#include <vmm/vlapic.h>

#include "vlapic_priv.h"

static inline void vector_set(u32 *reg, u8 *words, u8 vector)
{
	reg[vector / 32] |= 1U << (vector % 32);
	*words |= (u8)(1U << (vector / 32));
}

static inline void vector_clear(u32 *reg, u8 *words, u8 vector)
{
	reg[vector / 32] &= ~(1U << (vector % 32));
	if (!reg[vector / 32])
		*words &= (u8) ~(1U << (vector / 32));
}

/* The highest vector set, or -1. */
static inline int vector_highest(const u32 *reg, u8 words)
{
	unsigned word;

	if (!words)
		return -1;
	word = 31 - (unsigned)__builtin_clz(words);
	return (int)(word * 32 + 31 - (unsigned)__builtin_clz(reg[word]));
}

u32 vlapic_ppr(const struct vlapic *l)
{
	int servicing = vector_highest(l->isr, l->isr_words);
	u32 class = servicing < 0 ? 0 : (u32)servicing & 0xf0;

	return (l->tpr & 0xf0) >= class ? l->tpr : class;
}

int vlapic_pending(struct vlapic *l)
{
	int vector;

	if (likely(!l->pending_hint))
		return -1;
	vector = vector_highest(l->irr, l->irr_words);
	if (vector >= 0 && ((u32)vector & 0xf0) > (vlapic_ppr(l) & 0xf0))
		return vector;
	l->pending_hint = false;
	return -1;
}

void vlapic_accept(struct vlapic *l, u8 vector)
{
	vector_clear(l->irr, &l->irr_words, vector);
	vector_set(l->isr, &l->isr_words, vector);
	l->pending_hint = l->irr_words != 0;
}

void vlapic_unaccept(struct vlapic *l, u8 vector)
{
	vlapic_settle_eoi(l);
	vector_clear(l->isr, &l->isr_words, vector);
	vector_set(l->irr, &l->irr_words, vector);
	l->pending_hint = true;
}

/* The processor priority fell, or IRR grew: is there something to deliver now? */
static void reconsider(struct vlapic *l)
{
	if (!l->irr_words)
		return;
	l->pending_hint = true;
	if (vlapic_pending(l) >= 0)
		l->ops->notify(l->ctx);
}

bool vlapic_accept_fixed(struct vlapic *l, u8 vector, bool level)
{
	u32 bit = 1U << (vector % 32);

	if (vector < VLAPIC_VECTOR_MIN) {
		vlapic_error(l, ESR_RECV_ILLEGAL);
		return false;
	}
	/* "Local APIC State After It Has Been Software Disabled": nothing more is accepted. */
	if (!(l->svr & SVR_ENABLE))
		return false;
	vlapic_settle_eoi(l);
	if (level)
		l->tmr[vector / 32] |= bit;
	else
		l->tmr[vector / 32] &= ~bit;
	if (l->irr[vector / 32] & bit)
		return true; /* merges with the one that waits */
	vector_set(l->irr, &l->irr_words, vector);
	reconsider(l);
	return true;
}

bool vlapic_post(struct vlapic *l, u8 vector, bool level)
{
	u32 bit = 1U << (vector % 32);

	if (!l->hw_enabled || !(l->svr & SVR_ENABLE) || vector < VLAPIC_VECTOR_MIN)
		return false;
	if (level)
		__atomic_fetch_or(&l->posted_level[vector / 32], bit, __ATOMIC_ACQ_REL);
	__atomic_fetch_or(&l->posted[vector / 32], bit, __ATOMIC_ACQ_REL);
	return true;
}

/*
 * The APIC may have been disabled since it was posted: then it has not been taken after all, which the I/O APIC is told, lest
 * the pin waits for an EOI for ever.
 */
void vlapic_collect(struct vlapic *l)
{
	unsigned word;

	for (word = 0; word < 8; word++) {
		u32 bits = __atomic_exchange_n(&l->posted[word], 0, __ATOMIC_ACQ_REL);
		u32 level = __atomic_fetch_and(&l->posted_level[word], ~bits, __ATOMIC_ACQ_REL);

		for (; bits; bits &= bits - 1) {
			u8 vector = (u8)(32 * word + (unsigned)__builtin_ctz(bits));

			bool is_level = level & bits & -bits;

			if (!vlapic_accept_fixed(l, vector, is_level) && is_level)
				l->ops->eoi(l->ctx, vector);
		}
	}
}

void vlapic_set_tpr(struct vlapic *l, u32 value)
{
	u32 old = l->tpr;

	l->tpr = value & 0xff;
	if (l->tpr < old)
		reconsider(l);
}

u64 vlapic_cr8_get(const struct vlapic *l)
{
	return l->tpr >> 4;
}

void vlapic_cr8_set(struct vlapic *l, u64 value)
{
	vlapic_set_tpr(l, (u32)(value & 0xf) << 4);
}

/* The guest need not take the offer. Out of the way of the ordinary EOI, which is an exit's. */
static void __attribute__((noinline)) eoi_in_spite_of_offer(struct vlapic *l)
{
	vlapic_settle_offer(l);
	vlapic_eoi(l);
}

void vlapic_eoi(struct vlapic *l)
{
	int vector;

	if (!l->isr_words)
		return; /* an EOI without an interrupt in service has no effect */
	if (unlikely(l->eoi_offered)) {
		eoi_in_spite_of_offer(l);
		return;
	}
	vector = vector_highest(l->isr, l->isr_words);
	vector_clear(l->isr, &l->isr_words, (u8)vector);
	if (l->tmr[vector / 32] & 1U << (vector % 32))
		l->ops->eoi(l->ctx, (u8)vector);
	reconsider(l);
}

void vlapic_settle_offer(struct vlapic *l)
{
	l->eoi_offered = false;
	if (l->ops->eoi_settle(l->ctx))
		vlapic_eoi(l);
}

bool vlapic_eoi_is_plain(const struct vlapic *l)
{
	unsigned word;

	/* IRR is empty, and one word of ISR is not, */
	if (l->irr_words || !l->isr_words || l->isr_words & (l->isr_words - 1))
		return false;
	word = (unsigned)__builtin_ctz(l->isr_words);
	/* in which there is one bit. */
	return !(l->isr[word] & (l->isr[word] - 1)) && !(l->isr[word] & l->tmr[word]);
}

void vlapic_set_svr(struct vlapic *l, u32 value)
{
	bool was_enabled = l->svr & SVR_ENABLE;
	unsigned i;

	l->svr = value;
	if (value & SVR_ENABLE) {
		if (!was_enabled)
			l->ops->enabled(l->ctx);
		return;
	}
	/* All LVT entries become masked and stay so; the timer goes on counting. */
	vlapic_timer_set_lvt(l, l->lvt[VLAPIC_LVT_TIMER] | LVT_MASKED);
	for (i = 0; i < VLAPIC_LVTS; i++)
		l->lvt[i] |= LVT_MASKED;
}

/* Errors gather in esr_pending; a write of the ESR shows them. One interrupt until that write re-arms it. */
void vlapic_error(struct vlapic *l, u32 bit)
{
	bool armed = !l->esr_pending;

	l->esr_pending |= bit;
	if (armed)
		vlapic_lvt_raise(l, VLAPIC_LVT_ERROR);
}

void vlapic_lvt_raise(struct vlapic *l, enum vlapic_lvt entry)
{
	u32 lvt = l->lvt[entry];

	if (!(lvt & LVT_MASKED))
		(void)vlapic_accept_fixed(l, (u8)(lvt & LVT_VECTOR), false);
}

bool vlapic_takes_extint(const struct vlapic *l)
{
	u32 lvt = l->lvt[VLAPIC_LVT_LINT0];

	return !l->hw_enabled || (!(lvt & LVT_MASKED) && field_get(LVT_MODE, lvt) == APIC_EXTINT);
}

void vlapic_lint0_rise(struct vlapic *l)
{
	u32 lvt = l->lvt[VLAPIC_LVT_LINT0];

	if (!l->hw_enabled || lvt & LVT_MASKED)
		return;
	if (field_get(LVT_MODE, lvt) == APIC_FIXED)
		vlapic_lvt_raise(l, VLAPIC_LVT_LINT0);
	else if (field_get(LVT_MODE, lvt) == APIC_NMI)
		l->ops->nmi(l->ctx);
}

bool vlapic_lint0_is_nmi(const struct vlapic *l)
{
	u32 lvt = l->lvt[VLAPIC_LVT_LINT0];

	return l->hw_enabled && !(lvt & LVT_MASKED) && field_get(LVT_MODE, lvt) == APIC_NMI;
}

void vlapic_virtual_wire(struct vlapic *l)
{
	l->svr |= SVR_ENABLE;
	l->lvt[VLAPIC_LVT_LINT0] = (u32)field_prep(LVT_MODE, APIC_EXTINT);
	l->lvt[VLAPIC_LVT_LINT1] = (u32)field_prep(LVT_MODE, APIC_NMI);
}

bool vlapic_deliver(struct vlapic *l, const struct apic_msg *msg)
{
	if (!l->hw_enabled)
		return false;
	switch (msg->mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		return vlapic_accept_fixed(l, msg->vector, msg->level);
	case APIC_NMI:
		l->ops->nmi(l->ctx);
		break;
	case APIC_INIT:
		l->ops->init(l->ctx);
		break;
	case APIC_STARTUP:
		l->ops->sipi(l->ctx, msg->vector);
		break;
	default:
		return false; /* SMI: the machine has no SMM; ExtINT is core/extint.c's */
	}
	l->ops->notify(l->ctx);
	return true;
}

void vlapic_reset_registers(struct vlapic *l)
{
	unsigned i;

	memset(l->irr, 0, sizeof(l->irr));
	memset(l->isr, 0, sizeof(l->isr));
	memset(l->tmr, 0, sizeof(l->tmr));
	l->irr_words = l->isr_words = 0;
	l->pending_hint = l->eoi_offered = false;
	l->tpr = l->ldr = l->esr = l->esr_pending = l->icr_low = l->icr_high = 0;
	l->dfr = DFR_RESET;
	l->svr = SVR_RESET;
	for (i = 0; i < VLAPIC_LVTS; i++)
		l->lvt[i] = LVT_MASKED;
	vlapic_timer_reset(l);
}

void vlapic_reset_init(struct vlapic *l)
{
	vlapic_reset_registers(l);
}

void vlapic_reset(struct vlapic *l, bool bsp)
{
	l->base_msr = VLAPIC_BASE | APIC_BASE_EN | (bsp ? APIC_BASE_BSP : 0);
	l->hw_enabled = true;
	l->enabled_x2apic = false;
	vlapic_reset_registers(l);
}

void vlapic_init(struct vlapic *l, u32 id, struct clock *clock, const struct vlapic_ops *ops,
		 void *ctx)
{
	memset(l, 0, sizeof(*l));
	l->id = id;
	l->clock = clock;
	l->ops = ops;
	l->ctx = ctx;
	l->base_reserved = ~(APIC_BASE_ADDR | APIC_BASE_EN | APIC_BASE_EXTD | APIC_BASE_BSP);
	timer_init(&l->timer, vlapic_timer_fire, l);
	vlapic_reset(l, id == 0);
}
