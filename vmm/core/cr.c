/* SPDX-License-Identifier: MIT */
/*
 * Control registers, EFER and XCR0: the values that a CPU accepts (SDM vol. 3 "Control Registers", "IA-32e Mode
 * Operation", vol. 2 "MOV—Move to/from Control Registers", "XSETBV"; APM vol. 2 "System-Control Registers"). Called by exit.c and msr.c.
 */
#include <arch/cpuid.h>
#include <arch/regs.h>

#include "core.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)

/* Changes after which no old translation may be used. */
#define CR0_FLUSHES (CR0_PG | CR0_WP | CR0_PE)
#define CR4_FLUSHES (CR4_PGE | CR4_PAE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57)

/* A CR4 bit and the CPUID bit that says that it exists. */
static const struct {
	u64 cr4;
	u32 leaf;
	u8 reg;
	u64 bit;
} cr4_rows[] = {
	{CR4_VME | CR4_PVI, 1, CPUID_EDX, BIT(1)},
	{CR4_TSD, 1, CPUID_EDX, CPUID1D_TSC},
	{CR4_DE, 1, CPUID_EDX, BIT(2)},
	{CR4_PSE, 1, CPUID_EDX, BIT(3)},
	{CR4_PAE, 1, CPUID_EDX, BIT(6)},
	{CR4_MCE, 1, CPUID_EDX, CPUID1D_MCE},
	{CR4_PGE, 1, CPUID_EDX, BIT(13)},
	{CR4_OSFXSR, 1, CPUID_EDX, CPUID1D_FXSR},
	{CR4_OSXMMEXCPT, 1, CPUID_EDX, BIT(25)},
	{CR4_PCIDE, 1, CPUID_ECX, CPUID1C_PCID},
	{CR4_OSXSAVE, 1, CPUID_ECX, CPUID1C_XSAVE},
	{CR4_FSGSBASE, 7, CPUID_EBX, CPUID7B_FSGSBASE},
	{CR4_SMEP, 7, CPUID_EBX, CPUID7B_SMEP},
	{CR4_SMAP, 7, CPUID_EBX, CPUID7B_SMAP},
	{CR4_UMIP, 7, CPUID_ECX, CPUID7C_UMIP},
	{CR4_LA57, 7, CPUID_ECX, CPUID7C_LA57},
	{CR4_PKE, 7, CPUID_ECX, CPUID7C_PKU},
};

u64 cr4_allowed(const struct vm *vm)
{
	u64 allowed = CR4_PCE;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cr4_rows); i++) {
		const struct cpuid_entry *e = cpuid_find(vm, cr4_rows[i].leaf, 0);

		if (e && e->reg[cr4_rows[i].reg] & cr4_rows[i].bit)
			allowed |= cr4_rows[i].cr4;
	}
	return allowed;
}

static bool in_64bit_code(struct vcpu *v)
{
	return vcpu_mode(v) == EMUL_MODE64;
}

/*
 * PAE paging without IA-32e mode loads four entries, whose reserved bits fault (SDM vol. 3 "PAE Paging"). Bit 5 is
 * one of them, but QEMU's TCG sets it, as if a PDPTE were accessed like any entry.
 */
static bool pdptes_ok(struct vcpu *v, u64 cr0, u64 cr3, u64 cr4, u64 efer)
{
	u64 reserved = ~0ULL << v->vm->caps->phys_bits | GENMASK(8, 6) | GENMASK(2, 1);
	u64 pdpte[4];
	unsigned i;

	if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || efer & EFER_LME)
		return true;
	if (gmem_read(&v->vm->gmem, cr3 & GENMASK(31, 5), pdpte, sizeof(pdpte)))
		return false;
	for (i = 0; i < 4; i++)
		if (pdpte[i] & 1 && pdpte[i] & reserved)
			return false;
	return true;
}

/* Long mode cannot be entered with one; VM entry would refuse it (SDM vol. 2 "MOV—Move to/from Control Registers"). */
static bool tss_is_16bit(const struct segment *tr)
{
	return (tr->attr & 0xd) == 1;
}

static bool paging_change_ok(struct vcpu *v, u64 old, u64 new)
{
	u64 efer = vcpu_reg(v, VREG_EFER), cr4 = vcpu_reg(v, VREG_CR4);
	struct segment cs, tr;

	if (!((old ^ new) & CR0_PG))
		return true;
	if (!(new &CR0_PG))
		return !in_64bit_code(v) && !(cr4 & CR4_PCIDE);
	if (efer & EFER_LME) {
		v->vm->ops->seg_get(v, VSEG_CS, &cs);
		v->vm->ops->seg_get(v, VSEG_TR, &tr);
		return cr4 & CR4_PAE && !(cs.attr & SEG_ATTR_L) && !tss_is_16bit(&tr);
	}
	return pdptes_ok(v, new, vcpu_reg(v, VREG_CR3), cr4, efer);
}

bool cr0_write(struct vcpu *v, u64 value)
{
	u64 old = vcpu_reg(v, VREG_CR0);

	if (value >> 32)
		return false;
	value = (value & CR0_DEFINED) |
		CR0_ET; /* undefined bits of the low half are ignored, ET is fixed */
	if ((value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
		return false;
	if (!paging_change_ok(v, old, value))
		return false;
	vcpu_reg_set(v, VREG_CR0, value);
	v->fetch.key = 0; /* its walk was of the old paging mode */
	if ((old ^ value) & CR0_FLUSHES)
		v->vm->ops->flush(v);
	return true;
}

bool cr3_switch_ok(struct vcpu *v, u32 value)
{
	return pdptes_ok(v, vcpu_reg(v, VREG_CR0), value, vcpu_reg(v, VREG_CR4),
			 vcpu_reg(v, VREG_EFER));
}

static bool cr4_change_ok(struct vcpu *v, u64 old, u64 new)
{
	u64 efer = vcpu_reg(v, VREG_EFER);
	bool long_mode = efer & EFER_LMA;

	if (long_mode && (!(new &CR4_PAE) || (old ^ new) & CR4_LA57))
		return false;
	if (new & ~old & CR4_PCIDE && (!long_mode || vcpu_reg(v, VREG_CR3) & CR3_PCID))
		return false;
	if ((old ^ new) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))
		return pdptes_ok(v, vcpu_reg(v, VREG_CR0), vcpu_reg(v, VREG_CR3), new, efer);
	return true;
}

bool cr4_write(struct vcpu *v, u64 value)
{
	u64 old = vcpu_reg(v, VREG_CR4);

	if (value & ~v->vm->cr4_allowed || !cr4_change_ok(v, old, value))
		return false;
	vcpu_reg_set(v, VREG_CR4, value);
	v->io_breakpoints = value & CR4_DE;
	v->fetch.key = 0;
	if ((old ^ value) & CR4_FLUSHES)
		v->vm->ops->flush(v);
	return true;
}

bool efer_write(struct vcpu *v, u64 value)
{
	const struct cpuid_entry *e = cpuid_find(v->vm, 0x80000001, 0);
	u64 allowed = EFER_SCE | EFER_LME | EFER_LMA;
	u64 old = vcpu_reg(v, VREG_EFER);

	if (e && e->reg[CPUID_EDX] & CPUIDX1D_NX)
		allowed |= EFER_NXE;
	if (e && e->reg[CPUID_EDX] & BIT(25))
		allowed |= EFER_FFXSR;
	if (value & ~allowed)
		return false;
	if ((old ^ value) & EFER_LME && vcpu_reg(v, VREG_CR0) & CR0_PG)
		return false;
	value = (value & ~EFER_LMA) | (old & EFER_LMA); /* LMA is the CPU's */
	vcpu_reg_set(v, VREG_EFER, value);
	if ((old ^ value) & EFER_NXE)
		v->vm->ops->flush(v);
	return true;
}

bool xcr0_valid(u64 value, u64 allowed)
{
	if (!(value & XCR0_X87) || value & ~allowed)
		return false;
	if (value & XCR0_AVX && !(value & XCR0_SSE))
		return false;
	if (value & XCR0_AVX512 && ((value & XCR0_AVX512) != XCR0_AVX512 || !(value & XCR0_AVX)))
		return false;
	return true;
}

/* CPL and CR4.OSXSAVE are checked before the exit. */
enum next exit_xsetbv(struct vcpu *v, unused struct vm_exit *e)
{
	u64 value = (u32)v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;

	/* SVM exits before the CPU has looked at the privilege level: APM vol. 2 "Instruction Intercepts". */
	if (vcpu_reg(v, VREG_CPL) || (u32)v->gpr[GPR_RCX] != 0 ||
	    !xcr0_valid(value, cpuid_xcr0_mask(v->vm))) {
		vcpu_raise_error(v, VEC_GP, 0);
		return NEXT_RESUME;
	}
	vcpu_reg_set(v, VREG_XCR0, value);
	return NEXT_ADVANCE;
}

/* ---- The exit itself ---------------------------------------------------------------------- */

static u64 cr_read(struct vcpu *v, unsigned cr)
{
	switch (cr) {
	case 0:
		return vcpu_reg(v, VREG_CR0);
	case 2:
		return vcpu_reg(v, VREG_CR2);
	case 3:
		return vcpu_reg(v, VREG_CR3);
	case 4:
		return vcpu_reg(v, VREG_CR4);
	default:
		return vlapic_cr8_get(&v->lapic);
	}
}

static bool cr3_write(struct vcpu *v, u64 value)
{
	u64 reserved = ~0ULL << v->vm->caps->phys_bits;

	if (vcpu_reg(v, VREG_CR4) & CR4_PCIDE)
		value &= ~CR3_NOFLUSH;
	if (in_64bit_code(v) && value & reserved)
		return false;
	vcpu_reg_set(v, VREG_CR3, value);
	v->vm->ops->flush(v);
	return true;
}

static bool cr_write(struct vcpu *v, unsigned cr, u64 value)
{
	switch (cr) {
	case 0:
		return cr0_write(v, value);
	case 2:
		vcpu_set_cr2(v, value);
		return true;
	case 3:
		return cr3_write(v, value);
	case 4:
		return cr4_write(v, value);
	default:
		if (value & ~0xfULL)
			return false;
		vlapic_cr8_set(&v->lapic, value);
		if (v->lapic.pending_hint)
			vcpu_request(v, REQ_EVENT);
		return true;
	}
}

/* LMSW sets the low four bits of CR0, and cannot clear PE. */
static u64 lmsw_value(u64 cr0, u16 source)
{
	return (cr0 & ~0xeULL) | (source & 0xf);
}

/* SMSW exits where reads of CR0 do: a register takes as much of it as the operand size says, memory 16 bits. */
static bool smsw(struct vcpu *v, const struct emul_insn *insn)
{
	u64 cr0 = vcpu_reg(v, VREG_CR0), old;

	if (insn->dst.kind != EMUL_OP_REG)
		return emulate_write_operand(v, insn, &insn->dst, cr0);
	old = vcpu_gpr(v, insn->dst.reg);
	vcpu_gpr_set(v, insn->dst.reg,
		     insn->op_size == 2 ? (old & ~0xffffULL) | (cr0 & 0xffff) : cr0);
	return true;
}

/* Fills in the operands that a CPU without decode assists did not give. */
static bool cr_decode(struct vcpu *v, struct vm_exit *e)
{
	struct emul_insn insn;

	if (!emulate_fetch(v, e, &insn))
		return false;
	e->insn_len = insn.len;
	if (insn.opcode != EMUL_CR) {
		vcpu_raise(v, VEC_UD);
		return false;
	}
	e->cr.cr = insn.cr;
	e->cr.op = insn.cr_op;
	if (insn.cr_op == CR_SMSW) {
		if (!smsw(v, &insn))
			return false;
	} else if (insn.cr_op != CR_LMSW) {
		e->cr.gpr = insn.cr_op == CR_MOV_TO ? insn.src.reg : insn.dst.reg;
	} else if (!e->cr.lmsw_known) {
		u64 source;

		if (!emulate_read_operand(v, &insn, &insn.src, &source))
			return false;
		e->cr.lmsw_source = (u16)source;
	}
	e->cr.decoded = true;
	return true;
}

enum next exit_cr(struct vcpu *v, struct vm_exit *e)
{
	bool ok = true;
	u64 value;

	if ((!e->cr.decoded || (e->cr.op == CR_LMSW && !e->cr.lmsw_known)) && !cr_decode(v, e))
		return NEXT_RESUME;
	if (!e->insn_len && !emulate_length(v, e))
		return NEXT_RESUME;
	switch (e->cr.op) {
	case CR_MOV_TO:
		value = vcpu_gpr(v, e->cr.gpr);
		ok = cr_write(v, e->cr.cr, in_64bit_code(v) ? value : (u32)value);
		break;
	case CR_MOV_FROM:
		value = cr_read(v, e->cr.cr);
		vcpu_gpr_set(v, e->cr.gpr, in_64bit_code(v) ? value : (u32)value);
		break;
	case CR_SMSW: /* done with its operand at hand */
		break;
	case CR_CLTS:
		ok = cr0_write(v, vcpu_reg(v, VREG_CR0) & ~CR0_TS);
		break;
	case CR_LMSW:
		ok = cr0_write(v, lmsw_value(vcpu_reg(v, VREG_CR0), e->cr.lmsw_source));
		break;
	}
	if (ok)
		return NEXT_ADVANCE;
	vcpu_raise_error(v, VEC_GP, 0);
	return NEXT_RESUME;
}
