/* SPDX-License-Identifier: MIT */
/*
 * Memory type range registers: kept and given back, with the faults of SDM vol. 3 "Memory Type Range Registers
 * (MTRRs)". They have no effect: a guest's RAM is write-back by the nested tables, and it has no device memory of its own.
 */
#include <arch/msr.h>

#include "core.h"

#define DEF_TYPE_VALID (GENMASK(7, 0) | BIT(10) | BIT(11))

/* UC, WC, WT, WP, WB */
static bool type_ok(u64 type)
{
	return type < 7 && BIT(type) & (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6));
}

static bool types_ok(u64 eight_types)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		if (!type_ok(eight_types >> (8 * i) & 0xff))
			return false;
	return true;
}

void mtrr_reset(struct vmtrr *m)
{
	/* As a PC's firmware leaves them: on, everything write-back. */
	*m = (struct vmtrr){.def_type = BIT(11) | 6};
}

static u64 *mtrr_register(struct vmtrr *m, u32 msr)
{
	if (msr == MSR_MTRR_DEF_TYPE)
		return &m->def_type;
	if (msr >= MSR_MTRR_PHYSBASE0 && msr < MSR_MTRR_PHYSBASE0 + 2 * VMTRR_VARIABLE)
		return &m->variable[msr - MSR_MTRR_PHYSBASE0];
	if (msr == MSR_MTRR_FIX64K)
		return &m->fixed[0];
	if (msr == MSR_MTRR_FIX16K_0 || msr == MSR_MTRR_FIX16K_1)
		return &m->fixed[1 + msr - MSR_MTRR_FIX16K_0];
	if (msr >= MSR_MTRR_FIX4K_0 && msr <= MSR_MTRR_FIX4K_7)
		return &m->fixed[3 + msr - MSR_MTRR_FIX4K_0];
	return NULL;
}

bool mtrr_read(struct vcpu *v, u32 msr, u64 *value)
{
	const u64 *reg;

	if (msr == MSR_MTRRCAP) {
		*value = VMTRR_VARIABLE | BIT(8) | BIT(10); /* fixed ranges, write combining */
		return true;
	}
	reg = mtrr_register(&v->mtrr, msr);
	if (!reg)
		return false;
	*value = *reg;
	return true;
}

static bool variable_ok(const struct vcpu *v, u32 msr, u64 value)
{
	u64 reserved = ~0ULL << v->vm->caps->phys_bits;

	if (msr & 1) /* mask */
		return !(value & (reserved | GENMASK(10, 0)));
	return !(value & (reserved | GENMASK(11, 8))) && type_ok(value & 0xff);
}

bool mtrr_write(struct vcpu *v, u32 msr, u64 value)
{
	u64 *reg = mtrr_register(&v->mtrr, msr);
	bool ok;

	if (!reg)
		return false; /* MTRRCAP is read-only */
	if (reg == &v->mtrr.def_type)
		ok = !(value & ~DEF_TYPE_VALID) && type_ok(value & 0xff);
	else if (reg >= v->mtrr.fixed && reg < v->mtrr.fixed + VMTRR_FIXED)
		ok = types_ok(value);
	else
		ok = variable_ok(v, msr, value);
	if (ok)
		*reg = value;
	return ok;
}
