/* SPDX-License-Identifier: MIT */
/*
 * Carries out a decoded instruction: operands in, arithmetic, operands out. Called by vmm/core for nested page faults
 * outside RAM and for string port I/O; string instructions go on to exec_string.c. SDM vol. 2, each instruction's
 * "Operation" and "Exceptions". A memory destination is translated for writing before it is read, so that a
 * fault comes before any side effect on a device.
 */
#include <arch/regs.h>
#include <vmm/emul.h>

#include "internal.h"

struct traits {
	bool ok;        /* exec.c knows it */
	bool reads_dst; /* else it only writes it */
	bool writes_dst;
	bool lockable; /* with a memory destination */
	bool sets_flags;
};

// clang-format off
static const struct traits traits[EMUL_OPCODES] = {
	/*		   ok    reads  writes lock   flags */
	[EMUL_MOV]     = { true, false, true,  false, false },
	[EMUL_MOVZX]   = { true, false, true,  false, false },
	[EMUL_MOVSX]   = { true, false, true,  false, false },
	[EMUL_ADD]     = { true, true,  true,  true,  true },
	[EMUL_OR]      = { true, true,  true,  true,  true },
	[EMUL_ADC]     = { true, true,  true,  true,  true },
	[EMUL_SBB]     = { true, true,  true,  true,  true },
	[EMUL_AND]     = { true, true,  true,  true,  true },
	[EMUL_SUB]     = { true, true,  true,  true,  true },
	[EMUL_XOR]     = { true, true,  true,  true,  true },
	[EMUL_CMP]     = { true, true,  false, false, true },
	[EMUL_TEST]    = { true, true,  false, false, true },
	[EMUL_NOT]     = { true, true,  true,  true,  false },
	[EMUL_NEG]     = { true, true,  true,  true,  true },
	[EMUL_INC]     = { true, true,  true,  true,  true },
	[EMUL_DEC]     = { true, true,  true,  true,  true },
	[EMUL_XCHG]    = { true, true,  true,  true,  false },
	[EMUL_XADD]    = { true, true,  true,  true,  true },
	[EMUL_CMPXCHG] = { true, true,  true,  true,  true },
	[EMUL_BT]      = { true, true,  false, false, true },
	[EMUL_BTS]     = { true, true,  true,  true,  true },
	[EMUL_BTR]     = { true, true,  true,  true,  true },
	[EMUL_BTC]     = { true, true,  true,  true,  true },
	[EMUL_PUSH]    = { true, false, false, false, false },
};
// clang-format on

static u64 effective_address(struct emul_exec *e, const struct emul_insn *i)
{
	u64 ea = (u64)i->disp;

	if (i->base == EMUL_BASE_RIP)
		ea += e->ops->rip(e->ctx) + i->len;
	else if (i->base >= 0)
		ea += e->ops->gpr_get(e->ctx, (unsigned)i->base);
	if (i->index >= 0)
		ea += e->ops->gpr_get(e->ctx, (unsigned)i->index) * i->scale;
	return ea;
}

/* A register bit offset reaches beyond the operand: SDM vol. 2 "BT", "bit string in memory". */
static u64 bit_string_offset(struct emul_exec *e, const struct emul_insn *i)
{
	unsigned shift = 64 - 8 * i->src.size;
	unsigned log2_bits = i->src.size == 2 ? 4 : i->src.size == 4 ? 5 : 6;
	s64 bit = (s64)(emul_operand_reg(e, &i->src) << shift) >> shift;

	return (u64)((bit >> log2_bits) * i->src.size);
}

static enum emul_result map_memory(struct emul_exec *e, const struct emul_insn *i, unsigned size,
				   bool write, struct emul_ref *ref)
{
	u64 ea = effective_address(e, i);

	if (i->opcode >= EMUL_BT && i->opcode <= EMUL_BTC && i->src.kind == EMUL_OP_REG)
		ea += bit_string_offset(e, i);
	return emul_mem_map(e, i->seg, ea & emul_size_mask(i->addr_size), size, write, ref);
}

enum emul_result emul_operand_read(struct emul_exec *e, const struct emul_insn *insn,
				   const struct emul_operand *op, u64 *value)
{
	struct emul_ref ref;
	enum emul_result r;

	switch (op->kind) {
	case EMUL_OP_REG:
	case EMUL_OP_REG_HIGH8:
		*value = emul_operand_reg(e, op);
		return EMUL_DONE;
	case EMUL_OP_IMM:
		*value = insn->imm & emul_size_mask(op->size);
		return EMUL_DONE;
	case EMUL_OP_MEM:
		r = map_memory(e, insn, op->size, false, &ref);
		return r == EMUL_DONE ? emul_mem_read(e, &ref, value) : r;
	default:
		return EMUL_UNHANDLED;
	}
}

/* PUSH m: both ends are translated before the source is read. */
static enum emul_result exec_push(struct emul_exec *e, const struct emul_insn *i)
{
	struct emul_ref from, to;
	enum emul_result r;
	unsigned stack_size = 8;
	u64 value, sp;

	if (e->mode != EMUL_MODE64) {
		struct segment ss;

		e->ops->seg_get(e->ctx, VSEG_SS, &ss);
		stack_size = ss.attr & SEG_ATTR_DB ? 4 : 2;
	}
	sp = (e->ops->gpr_get(e->ctx, 4) - i->op_size) & emul_size_mask(stack_size);
	r = map_memory(e, i, i->op_size, false, &from);
	if (r == EMUL_DONE)
		r = emul_mem_map(e, VSEG_SS, sp, i->op_size, true, &to);
	if (r == EMUL_DONE)
		r = emul_mem_read(e, &from, &value);
	if (r == EMUL_DONE)
		r = emul_mem_write(e, &to, value);
	if (r == EMUL_DONE)
		emul_gpr_write(e, 4, stack_size, sp);
	return r;
}

/* The destination is always written, with its old value if the comparison failed. */
static enum emul_result exec_cmpxchg(struct emul_exec *e, const struct emul_insn *i,
				     const struct emul_ref *ref, u64 old)
{
	static const u8 rax = 0;
	unsigned size = i->dst.size;
	u64 flags = e->ops->rflags_get(e->ctx);
	u64 acc = e->ops->gpr_get(e->ctx, rax) & emul_size_mask(size);
	enum emul_result r;

	(void)emul_alu(EMUL_CMP, size, acc, old, &flags);
	r = emul_mem_write(e, ref, acc == old ? emul_operand_reg(e, &i->src) : old);
	if (r != EMUL_DONE)
		return r;
	if (acc != old)
		emul_gpr_write(e, rax, size, old);
	e->ops->rflags_set(e->ctx, flags);
	return EMUL_DONE;
}

static enum emul_result exec_to_memory(struct emul_exec *e, const struct emul_insn *i,
				       const struct traits *t)
{
	unsigned size = i->dst.size;
	struct emul_ref ref;
	enum emul_result r;
	u64 old = 0, src = 0, result, flags = 0;

	r = map_memory(e, i, size, t->writes_dst, &ref);
	if (r == EMUL_DONE && t->reads_dst)
		r = emul_mem_read(e, &ref, &old);
	if (r != EMUL_DONE)
		return r;
	if (i->opcode == EMUL_CMPXCHG)
		return exec_cmpxchg(e, i, &ref, old);
	if (i->src.kind == EMUL_OP_IMM)
		src = i->imm & emul_size_mask(size);
	else if (i->src.kind != EMUL_OP_NONE)
		src = emul_operand_reg(e, &i->src);
	if (t->sets_flags)
		flags = e->ops->rflags_get(e->ctx);
	result = emul_alu(i->opcode, size, old, src, &flags);
	if (t->writes_dst)
		r = emul_mem_write(e, &ref, result);
	if (r != EMUL_DONE)
		return r;
	if (i->opcode == EMUL_XCHG || i->opcode == EMUL_XADD)
		emul_operand_reg_write(e, &i->src, old);
	if (t->sets_flags)
		e->ops->rflags_set(e->ctx, flags);
	return EMUL_DONE;
}

static enum emul_result exec_to_register(struct emul_exec *e, const struct emul_insn *i,
					 const struct traits *t)
{
	u64 src, dst = 0, flags = 0;
	enum emul_result r;

	r = emul_operand_read(e, i, &i->src, &src);
	if (r != EMUL_DONE)
		return r;
	if (i->opcode == EMUL_MOVSX) {
		unsigned shift = 64 - 8 * i->src.size;

		src = (u64)((s64)(src << shift) >> shift);
	}
	if (t->sets_flags)
		flags = e->ops->rflags_get(e->ctx);
	if (t->reads_dst)
		dst = emul_operand_reg(e, &i->dst);
	src = emul_alu(i->opcode, i->dst.size, dst, src, &flags);
	if (t->writes_dst)
		emul_operand_reg_write(e, &i->dst, src);
	if (t->sets_flags)
		e->ops->rflags_set(e->ctx, flags);
	return EMUL_DONE;
}

enum emul_result emul_exec(struct emul_exec *e, const struct emul_insn *insn,
			   unsigned max_iterations)
{
	const struct traits *t = &traits[insn->opcode < EMUL_OPCODES ? insn->opcode : EMUL_INVALID];

	if (insn->lock && !(t->lockable && insn->dst.kind == EMUL_OP_MEM)) {
		e->fault = (struct gwalk_fault){.vector = VEC_UD};
		return EMUL_FAULT;
	}
	if (insn->opcode >= EMUL_MOVS && insn->opcode <= EMUL_OUTS)
		return emul_exec_string(e, insn, max_iterations);
	if (!t->ok)
		return EMUL_UNHANDLED;
	if (insn->opcode == EMUL_PUSH)
		return exec_push(e, insn);
	if (insn->dst.kind == EMUL_OP_MEM)
		return exec_to_memory(e, insn, t);
	return exec_to_register(e, insn, t);
}
