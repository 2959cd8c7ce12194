/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers as the guest reaches them: the MMIO page in xAPIC mode, MSRs 0x800-0x8ff in x2APIC
 * mode, IA32_APIC_BASE and IA32_TSC_DEADLINE. Called by core/ for the exits. SDM vol. 3 "Local APIC Register
 * Address Map", "x2APIC Register Address Space", "Reserved Bit Checking in x2APIC Mode", "x2APIC State Transitions".
 */
#include <arch/msr.h>
#include <vmm/vlapic.h>

#include "vlapic_priv.h"

/* How a register may be accessed, by mode. A register of neither column is reserved. */
#define XR  BIT(0)
#define XW  BIT(1)
#define X2R BIT(2)
#define X2W BIT(3)
#define RO  (XR | X2R)
#define RW  (XR | XW | X2R | X2W)

struct reg_row {
	u8 access;
	u32 writable; /* bits that a write sets; a write of 1 to others is ignored (xAPIC), faults (x2APIC) */
	u32 ignored; /* of those others: read-only bits, which do not fault */
};

// clang-format off
static const struct reg_row reg_rows[REG_COUNT] = {
	[REG_ID]		= { RO, 0, 0 },
	[REG_VERSION]		= { RO, 0, 0 },
	[REG_TPR]		= { RW, 0xff, 0 },
	[REG_APR]		= { XR, 0, 0 },
	[REG_PPR]		= { RO, 0, 0 },
	[REG_EOI]		= { XW | X2W, 0, 0 },
	[REG_RRD]		= { XR, 0, 0 },
	[REG_LDR]		= { XR | XW | X2R, 0xff000000, 0 },
	[REG_DFR]		= { XR | XW, DFR_MODEL, 0 },
	[REG_SVR]		= { RW, 0x3ff, 0 },
	[REG_ISR ... REG_IRR + 7] = { RO, 0, 0 },
	[REG_ESR]		= { RW, 0, 0 },
	[REG_ICR_LOW]		= { RW, ICR_WRITABLE, ICR_BUSY },
	[REG_ICR_HIGH]		= { XR | XW, 0xff000000, 0 },
	[REG_LVT + VLAPIC_LVT_TIMER]	= { RW, 0x700ff, 0x1000 },
	[REG_LVT + VLAPIC_LVT_THERMAL]	= { RW, 0x107ff, 0x1000 },
	[REG_LVT + VLAPIC_LVT_PERF]	= { RW, 0x107ff, 0x1000 },
	[REG_LVT + VLAPIC_LVT_LINT0]	= { RW, 0x1a7ff, 0x5000 },
	[REG_LVT + VLAPIC_LVT_LINT1]	= { RW, 0x1a7ff, 0x5000 },
	[REG_LVT + VLAPIC_LVT_ERROR]	= { RW, 0x100ff, 0x1000 },
	[REG_TIMER_ICR]		= { RW, 0xffffffff, 0 },
	[REG_TIMER_CCR]		= { RO, 0, 0 },
	[REG_TIMER_DCR]		= { RW, 0xb, 0 },
	[REG_SELF_IPI]		= { X2W, 0xff, 0 },
};
// clang-format on

static u32 reg_read(struct vlapic *l, unsigned reg)
{
	switch (reg) {
	case REG_ID:
		return l->enabled_x2apic ? l->id : l->id << 24;
	case REG_VERSION:
		return VERSION_VALUE;
	case REG_TPR:
		return l->tpr;
	case REG_PPR:
		vlapic_settle_eoi(l);
		return vlapic_ppr(l);
	case REG_LDR:
		return vlapic_ldr(l);
	case REG_DFR:
		return l->dfr;
	case REG_SVR:
		return l->svr;
	case REG_ISR ... REG_ISR + 7:
		vlapic_settle_eoi(l);
		return l->isr[reg - REG_ISR];
	case REG_TMR ... REG_TMR + 7:
		return l->tmr[reg - REG_TMR];
	case REG_IRR ... REG_IRR + 7:
		return l->irr[reg - REG_IRR];
	case REG_ESR:
		return l->esr;
	case REG_ICR_LOW:
		return l->icr_low;
	case REG_ICR_HIGH:
		return l->icr_high;
	case REG_LVT ... REG_LVT_LAST:
		return l->lvt[reg - REG_LVT];
	case REG_TIMER_ICR:
		return l->timer_icr;
	case REG_TIMER_CCR:
		return vlapic_timer_count(l);
	case REG_TIMER_DCR:
		return l->timer_dcr;
	default:
		return 0; /* APR and RRD are of the Pentium's APIC bus */
	}
}

static void lvt_write(struct vlapic *l, unsigned entry, u32 value)
{
	if (!(l->svr & SVR_ENABLE))
		value |= LVT_MASKED;
	if (entry == VLAPIC_LVT_TIMER)
		vlapic_timer_set_lvt(l, value);
	else
		l->lvt[entry] = value;
	if (entry == VLAPIC_LVT_LINT0)
		l->ops->notify(l->ctx); /* a PIC's interrupt may have waited for it */
}

/* `value` is down to the bits that can be written. The x2APIC's ICR is not written here: it has 64 bits. */
static void reg_write(struct vlapic *l, unsigned reg, u32 value)
{
	switch (reg) {
	case REG_EOI:
		vlapic_eoi(l);
		break;
	case REG_TPR:
		vlapic_set_tpr(l, value);
		break;
	case REG_LDR:
		l->ldr = value;
		break;
	case REG_DFR:
		l->dfr = value | (u32)~DFR_MODEL;
		break;
	case REG_SVR:
		vlapic_set_svr(l, value);
		break;
	case REG_ESR:
		l->esr = l->esr_pending;
		l->esr_pending = 0;
		break;
	case REG_ICR_LOW:
		l->icr_low = value;
		vlapic_icr_send(l, value, l->icr_high >> 24);
		break;
	case REG_ICR_HIGH:
		l->icr_high = value;
		break;
	case REG_LVT ... REG_LVT_LAST:
		lvt_write(l, reg - REG_LVT, value);
		break;
	case REG_TIMER_ICR:
		vlapic_timer_set_count(l, value);
		break;
	case REG_TIMER_DCR:
		vlapic_timer_set_divider(l, value);
		break;
	case REG_SELF_IPI:
		vlapic_self_ipi(l, (u8)value);
		break;
	default:
		break;
	}
}

bool vlapic_mmio_active(const struct vlapic *l, u64 gpa)
{
	return l->hw_enabled && !l->enabled_x2apic &&
	       gpa - (l->base_msr & APIC_BASE_ADDR) < VLAPIC_SIZE;
}

/*
 * The row of an MMIO access, or NULL. Registers stand at multiples of 16; accesses elsewhere are undefined by the SDM
 * and do nothing here. A reserved register is an error that the ESR shows.
 */
static const struct reg_row *mmio_row(struct vlapic *l, u32 offset)
{
	const struct reg_row *row = offset / 16 < REG_COUNT ? &reg_rows[offset / 16] : NULL;

	if (row && row->access & (XR | XW))
		return offset % 16 ? NULL : row;
	vlapic_error(l, ESR_ILLEGAL_REGISTER);
	return NULL;
}

u32 vlapic_mmio_read(struct vlapic *l, u32 offset)
{
	const struct reg_row *row = mmio_row(l, offset);

	return row && row->access & XR ? reg_read(l, offset / 16) : 0;
}

void vlapic_mmio_write(struct vlapic *l, u32 offset, u32 value)
{
	const struct reg_row *row = mmio_row(l, offset);

	if (row && row->access & XW)
		reg_write(l, offset / 16, value & row->writable);
}

static bool x2apic_read(struct vlapic *l, unsigned reg, u64 *value)
{
	if (!l->enabled_x2apic || reg >= REG_COUNT || !(reg_rows[reg].access & X2R))
		return false;
	*value = reg_read(l, reg);
	if (reg == REG_ICR_LOW)
		*value |= (u64)l->icr_high << 32;
	return true;
}

static bool x2apic_write(struct vlapic *l, unsigned reg, u64 value)
{
	const struct reg_row *row;
	u64 allowed;

	if (!l->enabled_x2apic || reg >= REG_COUNT)
		return false;
	row = &reg_rows[reg];
	if (!(row->access & X2W))
		return false;
	allowed = row->writable | row->ignored;
	if (reg == REG_ICR_LOW)
		allowed |= GENMASK(63, 32);
	if (value & ~allowed)
		return false;
	if (reg == REG_ICR_LOW) {
		l->icr_low = (u32)value & row->writable;
		l->icr_high = (u32)(value >> 32);
		vlapic_icr_send(l, l->icr_low, l->icr_high);
	} else {
		reg_write(l, reg, (u32)value & row->writable);
	}
	return true;
}

/*
 * "x2APIC State Transitions": the pairs (EN, EXTD) and where each may go. Being disabled resets the registers: software
 * may not count on what it had set before ("Enabling or Disabling the Local APIC").
 */
static bool base_write(struct vlapic *l, u64 value)
{
	bool enable = value & APIC_BASE_EN;
	bool x2apic = value & APIC_BASE_EXTD;

	if (value & l->base_reserved)
		return false;
	if (x2apic && (!enable || !l->hw_enabled))
		return false; /* invalid state; disabled to x2APIC */
	if (l->enabled_x2apic && enable && !x2apic)
		return false; /* x2APIC leads to disabled only */
	if (l->hw_enabled && !enable) {
		vlapic_settle_eoi(l);
		vlapic_reset_registers(l);
		l->ops->notify(l->ctx); /* from now on a PIC's interrupts come without it */
	}
	if (x2apic && !l->enabled_x2apic) {
		/* The registers carry over but for those whose form changes. */
		l->ldr = l->icr_high = 0;
		l->dfr = DFR_RESET;
	}
	l->base_msr = value;
	l->hw_enabled = enable;
	l->enabled_x2apic = x2apic;
	return true;
}

bool vlapic_msr_read(struct vlapic *l, u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		*value = l->base_msr;
		return true;
	case MSR_TSC_DEADLINE:
		*value = vlapic_timer_deadline(l);
		return true;
	default:
		return x2apic_read(l, msr - MSR_X2APIC_FIRST, value);
	}
}

bool vlapic_msr_write(struct vlapic *l, u32 msr, u64 value)
{
	switch (msr) {
	case MSR_TSC_DEADLINE:
		vlapic_timer_set_deadline(l, value);
		return true;
	case MSR_APIC_BASE:
		return base_write(l, value);
	default:
		return x2apic_write(l, msr - MSR_X2APIC_FIRST, value);
	}
}
