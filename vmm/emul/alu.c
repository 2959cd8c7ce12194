/* SPDX-License-Identifier: MIT */
/*
 * Registers and arithmetic of the emulator: what an instruction computes, and the flags it leaves. Called by exec.c and
 * exec_string.c. SDM vol. 1 appendix "EFLAGS Cross-Reference"; vol. 2 for each instruction. Flags that the
 * manuals leave undefined are cleared by logic instructions (as CPUs do) and kept by the bit tests.
 */
#include <arch/regs.h>
#include <vmm/emul.h>

#include "internal.h"

#define ARITH_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

void emul_gpr_write(struct emul_exec *e, unsigned reg, unsigned size, u64 value)
{
	if (size < 4) {
		u64 mask = emul_size_mask(size);

		value = (e->ops->gpr_get(e->ctx, reg) & ~mask) | (value & mask);
	} else {
		value &= emul_size_mask(size);
	}
	e->ops->gpr_set(e->ctx, reg, value);
}

u64 emul_operand_reg(struct emul_exec *e, const struct emul_operand *op)
{
	u64 value = e->ops->gpr_get(e->ctx, op->reg);

	if (op->kind == EMUL_OP_REG_HIGH8)
		return value >> 8 & 0xff;
	return value & emul_size_mask(op->size);
}

void emul_operand_reg_write(struct emul_exec *e, const struct emul_operand *op, u64 value)
{
	if (op->kind == EMUL_OP_REG_HIGH8) {
		u64 old = e->ops->gpr_get(e->ctx, op->reg);

		e->ops->gpr_set(e->ctx, op->reg, (old & ~0xff00ULL) | (value & 0xff) << 8);
		return;
	}
	emul_gpr_write(e, op->reg, op->size, value);
}

/* SF, ZF and PF, which depend on the result alone. */
static u64 flags_of_result(unsigned size, u64 r)
{
	u64 f = 0;

	if (r == 0)
		f |= RFLAGS_ZF;
	if (r >> (8 * size - 1) & 1)
		f |= RFLAGS_SF;
	if (!__builtin_parity((unsigned)(r & 0xff)))
		f |= RFLAGS_PF;
	return f;
}

static u64 alu_add(unsigned size, u64 a, u64 b, bool carry, u64 *flags)
{
	u64 r = (a + b + carry) & emul_size_mask(size);
	u64 f = flags_of_result(size, r);

	if (r < a || (carry && r == a))
		f |= RFLAGS_CF;
	if ((a ^ b ^ r) & 0x10)
		f |= RFLAGS_AF;
	if (((a ^ r) & (b ^ r)) >> (8 * size - 1) & 1)
		f |= RFLAGS_OF;
	*flags = (*flags & ~ARITH_FLAGS) | f;
	return r;
}

static u64 alu_sub(unsigned size, u64 a, u64 b, bool borrow, u64 *flags)
{
	u64 r = (a - b - borrow) & emul_size_mask(size);
	u64 f = flags_of_result(size, r);

	if (a < b || (borrow && a == b))
		f |= RFLAGS_CF;
	if ((a ^ b ^ r) & 0x10)
		f |= RFLAGS_AF;
	if (((a ^ b) & (a ^ r)) >> (8 * size - 1) & 1)
		f |= RFLAGS_OF;
	*flags = (*flags & ~ARITH_FLAGS) | f;
	return r;
}

static u64 alu_logic(unsigned size, u64 r, u64 *flags)
{
	*flags = (*flags & ~ARITH_FLAGS) | flags_of_result(size, r);
	return r;
}

/* INC and DEC leave CF alone. */
static u64 alu_step(unsigned size, u64 a, bool down, u64 *flags)
{
	u64 cf = *flags & RFLAGS_CF;
	u64 r = down ? alu_sub(size, a, 1, false, flags) : alu_add(size, a, 1, false, flags);

	*flags = (*flags & ~RFLAGS_CF) | cf;
	return r;
}

static u64 alu_bit(unsigned opcode, unsigned size, u64 a, u64 b, u64 *flags)
{
	u64 bit = 1ULL << (b & (8 * size - 1));

	*flags = (*flags & ~RFLAGS_CF) | (a & bit ? RFLAGS_CF : 0);
	switch (opcode) {
	case EMUL_BTS:
		return a | bit;
	case EMUL_BTR:
		return a & ~bit;
	case EMUL_BTC:
		return a ^ bit;
	default:
		return a;
	}
}

u64 emul_alu(unsigned opcode, unsigned size, u64 a, u64 b, u64 *flags)
{
	bool carry = *flags & RFLAGS_CF;

	switch (opcode) {
	case EMUL_ADD:
	case EMUL_XADD:
		return alu_add(size, a, b, false, flags);
	case EMUL_ADC:
		return alu_add(size, a, b, carry, flags);
	case EMUL_SUB:
	case EMUL_CMP:
	case EMUL_CMPS:
	case EMUL_SCAS:
		return alu_sub(size, a, b, false, flags);
	case EMUL_SBB:
		return alu_sub(size, a, b, carry, flags);
	case EMUL_AND:
	case EMUL_TEST:
		return alu_logic(size, a & b, flags);
	case EMUL_OR:
		return alu_logic(size, a | b, flags);
	case EMUL_XOR:
		return alu_logic(size, a ^ b, flags);
	case EMUL_NOT:
		return ~a & emul_size_mask(size);
	case EMUL_NEG:
		return alu_sub(size, 0, a, false, flags);
	case EMUL_INC:
	case EMUL_DEC:
		return alu_step(size, a, opcode == EMUL_DEC, flags);
	case EMUL_BT:
	case EMUL_BTS:
	case EMUL_BTR:
	case EMUL_BTC:
		return alu_bit(opcode, size, a, b, flags);
	default: /* MOV, MOVZX, MOVSX, XCHG: the source */
		return b;
	}
}
