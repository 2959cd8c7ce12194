/* SPDX-License-Identifier: MIT */
/*
 * The MSRs of a guest: one const table, sorted by number, a row per register or range. What no row names
 * raises #GP, as a reserved MSR does (SDM vol. 2 "RDMSR", "WRMSR"). To add an MSR: a row, and its two functions.
 */
#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/regs.h>

#include "core.h"

typedef bool msr_read_fn(struct vcpu *v, u32 msr, u64 *value);
typedef bool msr_write_fn(struct vcpu *v, u32 msr, u64 value);

struct msr_row {
	u32 first, last;
	msr_read_fn *read;   /* NULL: #GP */
	msr_write_fn *write; /* NULL: #GP */
};

/* Read and written without an exit: they hold nothing but the guest's own state while it is loaded. */
const struct msr_passthrough msr_passthrough_rows[] = {
	{MSR_SYSENTER_CS, true, true},  {MSR_SYSENTER_ESP, true, true},
	{MSR_SYSENTER_EIP, true, true}, {MSR_STAR, true, true},
	{MSR_LSTAR, true, true},        {MSR_CSTAR, true, true},
	{MSR_SFMASK, true, true},       {MSR_FS_BASE, true, true},
	{MSR_GS_BASE, true, true},      {MSR_KERNEL_GS_BASE, true, true},
};
const unsigned msr_passthrough_count = ARRAY_SIZE(msr_passthrough_rows);

static bool read_zero(unused struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = 0;
	return true;
}

static bool write_ignore(unused struct vcpu *v, unused u32 msr, unused u64 value)
{
	return true;
}

static bool write_zero_only(unused struct vcpu *v, unused u32 msr, u64 value)
{
	return value == 0;
}

static bool read_tsc(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = vcpu_guest_tsc(v);
	return true;
}

/* SDM vol. 3 "Time-Stamp Counter Adjustment": a write to the counter moves TSC_ADJUST by as much, and the other way round. */
static bool write_tsc(struct vcpu *v, unused u32 msr, u64 value)
{
	u64 delta = value - vcpu_guest_tsc(v);

	v->tsc_adjust += delta;
	vcpu_set_tsc_offset(v, v->tsc_offset + delta);
	return true;
}

static bool read_tsc_adjust(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = v->tsc_adjust;
	return true;
}

static bool write_tsc_adjust(struct vcpu *v, unused u32 msr, u64 value)
{
	vcpu_set_tsc_offset(v, v->tsc_offset + value - v->tsc_adjust);
	v->tsc_adjust = value;
	return true;
}

static bool read_lapic(struct vcpu *v, u32 msr, u64 *value)
{
	return vlapic_msr_read(&v->lapic, msr, value);
}

static bool write_lapic(struct vcpu *v, u32 msr, u64 value)
{
	bool ok = vlapic_msr_write(&v->lapic, msr, value);

	if (v->lapic.pending_hint)
		vcpu_request(v, REQ_EVENT);
	return ok;
}

/* AuthenticAMD and HygonGenuine. */
static bool is_amd(const struct vcpu *v)
{
	const struct cpuid_entry *e = cpuid_find(v->vm, 0, 0);

	return e && (e->reg[CPUID_ECX] == 0x444d4163 || e->reg[CPUID_ECX] == 0x656e6975);
}

/* Intel's; on AMD it is reserved. */
static bool read_misc_enable(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = v->misc_enable;
	return !is_amd(v);
}

static bool write_misc_enable(struct vcpu *v, unused u32 msr, u64 value)
{
	v->misc_enable = value;
	return !is_amd(v);
}

/* Locked, with VMX and SMX off: what a PC's firmware leaves where virtualisation is not offered. */
static bool read_feature_control(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = FEATURE_CONTROL_LOCK;
	return !is_amd(v);
}

static bool read_efer(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = vcpu_reg(v, VREG_EFER);
	return true;
}

static bool write_efer(struct vcpu *v, unused u32 msr, u64 value)
{
	return efer_write(v, value);
}

static bool read_pat(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = vcpu_reg(v, VREG_PAT);
	return true;
}

/* SDM vol. 3 "IA32_PAT MSR": types 0, 1, 4 to 7; anything else faults. */
static bool write_pat(struct vcpu *v, unused u32 msr, u64 value)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		u64 type = value >> (8 * i) & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	vcpu_reg_set(v, VREG_PAT, value);
	return true;
}

static bool read_tsc_aux(struct vcpu *v, unused u32 msr, u64 *value)
{
	if (!v->vm->caps->rdtscp)
		return false;
	*value = vcpu_reg(v, VREG_TSC_AUX);
	return true;
}

static bool write_tsc_aux(struct vcpu *v, unused u32 msr, u64 value)
{
	if (!v->vm->caps->rdtscp || value >> 32)
		return false;
	vcpu_reg_set(v, VREG_TSC_AUX, value);
	return true;
}

/*
 * LBR and BTF exist without a CPUID bit that announces them, and kernels write BTF when a debugger asks for a step over a block.
 * Kept, without effect: it becomes a step over an instruction.
 */
static bool read_debugctl(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = v->debugctl;
	return true;
}

static bool write_debugctl(struct vcpu *v, unused u32 msr, u64 value)
{
	if (value & ~(u64)(DEBUGCTL_LBR | DEBUGCTL_BTF))
		return false;
	v->debugctl = value;
	return true;
}

/* AMD's registers that every kernel reads without a CPUID bit that announces them. */
static bool read_amd_zero(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = 0;
	return is_amd(v);
}

/* A kernel that finds an invariant TSC wants to read here that it counts at the P0 frequency. */
static bool read_hwcr(struct vcpu *v, unused u32 msr, u64 *value)
{
	const struct cpuid_entry *e = cpuid_find(v->vm, 0x80000007, 0);

	*value = e && e->reg[CPUID_EDX] & CPUIDX7D_INVARIANT_TSC ? HWCR_TSC_FREQ_SEL : 0;
	return is_amd(v);
}

static bool write_amd_ignore(struct vcpu *v, unused u32 msr, unused u64 value)
{
	return is_amd(v);
}

/* Written before it is read, to make CPUID load it (SDM vol. 3 "Microcode Update Facilities"). */
static bool read_microcode(unused struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = BIT(32); /* revision 1 */
	return true;
}

static const struct msr_row msr_rows[] = {
	{MSR_TSC, MSR_TSC, read_tsc, write_tsc},
	{MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, kvmclock_read, kvmclock_write},
	{MSR_PLATFORM_ID, MSR_PLATFORM_ID, read_zero, NULL},
	{MSR_APIC_BASE, MSR_APIC_BASE, read_lapic, write_lapic},
	{MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, read_feature_control, NULL},
	{MSR_TSC_ADJUST, MSR_TSC_ADJUST, read_tsc_adjust, write_tsc_adjust},
	{MSR_UCODE_REV, MSR_UCODE_REV, read_microcode, write_ignore},
	{MSR_MTRRCAP, MSR_MTRRCAP, mtrr_read, NULL},
	{MSR_MCG_CAP, MSR_MCG_CAP, read_zero, NULL},
	{MSR_MCG_STATUS, MSR_MCG_STATUS, read_zero, write_zero_only},
	{MSR_MISC_ENABLE, MSR_MISC_ENABLE, read_misc_enable, write_misc_enable},
	{MSR_DEBUGCTL, MSR_DEBUGCTL, read_debugctl, write_debugctl},
	{MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * VMTRR_VARIABLE - 1, mtrr_read, mtrr_write},
	{MSR_MTRR_FIX64K, MSR_MTRR_FIX64K, mtrr_read, mtrr_write},
	{MSR_MTRR_FIX16K_0, MSR_MTRR_FIX16K_1, mtrr_read, mtrr_write},
	{MSR_MTRR_FIX4K_0, MSR_MTRR_FIX4K_7, mtrr_read, mtrr_write},
	{MSR_PAT, MSR_PAT, read_pat, write_pat},
	{MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, mtrr_read, mtrr_write},
	{MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW, kvmclock_read, kvmclock_write},
	{MSR_KVM_STEAL_TIME, MSR_KVM_STEAL_TIME, steal_time_read, steal_time_write},
	{MSR_KVM_PV_EOI_EN, MSR_KVM_PV_EOI_EN, pv_eoi_read, pv_eoi_write},
	{MSR_EFER, MSR_EFER, read_efer, write_efer},
	{MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux},
	{MSR_SYSCFG, MSR_SYSCFG, read_amd_zero, write_amd_ignore},
	{MSR_HWCR, MSR_HWCR, read_hwcr, write_amd_ignore},
	{MSR_NB_CFG, MSR_NB_CFG, read_amd_zero, write_amd_ignore},
	{MSR_INT_PENDING, MSR_INT_PENDING, read_amd_zero, write_amd_ignore},
};

static const struct msr_row lapic_row = {MSR_X2APIC_FIRST, MSR_X2APIC_LAST, read_lapic,
					 write_lapic};

static const struct msr_row *msr_find(u32 msr)
{
	unsigned low = 0, high = ARRAY_SIZE(msr_rows);

	/* The rows of interrupts and timers, which a running kernel writes all day. */
	if (likely(msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST ||
		   msr == MSR_TSC_DEADLINE))
		return &lapic_row;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (msr > msr_rows[mid].last)
			low = mid + 1;
		else if (msr < msr_rows[mid].first)
			high = mid;
		else
			return &msr_rows[mid];
	}
	return NULL;
}

static enum next refuse(struct vcpu *v)
{
	v->refused_msrs++;
	v->refused_msr_last = (u32)v->gpr[GPR_RCX];
	vcpu_raise_error(v, VEC_GP, 0);
	return NEXT_RESUME;
}

/* The privilege check comes before the exit (SDM vol. 3 "Relative Priority of Faults and VM Exits"; APM the same). */
enum next exit_rdmsr(struct vcpu *v, unused struct vm_exit *e)
{
	const struct msr_row *row = msr_find((u32)v->gpr[GPR_RCX]);
	u64 value;

	if (!row || !row->read || !row->read(v, (u32)v->gpr[GPR_RCX], &value))
		return refuse(v);
	v->gpr[GPR_RAX] = (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	return NEXT_ADVANCE;
}

enum next exit_wrmsr(struct vcpu *v, unused struct vm_exit *e)
{
	const struct msr_row *row = msr_find((u32)v->gpr[GPR_RCX]);
	u64 value = (u32)v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;

	if (!row || !row->write || !row->write(v, (u32)v->gpr[GPR_RCX], value))
		return refuse(v);
	return NEXT_ADVANCE;
}

void msr_reset(struct vcpu *v)
{
	v->tsc_adjust = 0;
	v->misc_enable = MISC_ENABLE_FAST_STRING;
	v->debugctl = 0;
	mtrr_reset(&v->mtrr);
	msr_init(v);
}

/* KVM's own, which no manual knows, are 0 after an INIT too, as KVM has it. */
void msr_init(struct vcpu *v)
{
	v->kvmclock = (struct kvmclock){0};
	v->pv_eoi_msr = 0;
	v->steal = (struct steal_time){0};
}
