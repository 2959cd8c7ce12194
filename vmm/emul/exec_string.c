/* SPDX-License-Identifier: MIT */
/*
 * String instructions: MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS, alone or repeated. Called by exec.c. SDM vol. 2 "REP/
 * REPE/REPZ/REPNE/REPNZ" and vol. 1 "String Operations". Every iteration is complete in itself: registers are
 * updated after each, so a fault, an interrupt or the bound on one call's work finds a state that the CPU could have left.
 */
#include <arch/regs.h>
#include <vmm/emul.h>

#include "internal.h"

enum { RAX = 0, RCX = 1, RDX = 2, RSI = 6, RDI = 7 };

static u64 address_of(struct emul_exec *e, const struct emul_insn *i, unsigned reg)
{
	return e->ops->gpr_get(e->ctx, reg) & emul_size_mask(i->addr_size);
}

static void step(struct emul_exec *e, const struct emul_insn *i, unsigned reg, bool down)
{
	u64 delta = down ? 0 - (u64)i->op_size : i->op_size;

	emul_gpr_write(e, reg, i->addr_size, e->ops->gpr_get(e->ctx, reg) + delta);
}

/* INS, OUTS */
static u16 port_of(struct emul_exec *e, const struct emul_insn *i)
{
	u16 port = (u16)e->ops->gpr_get(e->ctx, RDX);

	if (unlikely(e->watch))
		e->hits |= emul_watch_io(e->watch, port, i->op_size);
	return port;
}

static enum emul_result read_at(struct emul_exec *e, const struct emul_insn *i, unsigned seg,
				unsigned reg, u64 *value)
{
	struct emul_ref ref;
	enum emul_result r = emul_mem_map(e, seg, address_of(e, i, reg), i->op_size, false, &ref);

	return r == EMUL_DONE ? emul_mem_read(e, &ref, value) : r;
}

/* MOVS, STOS, INS. The destination is translated before a device or port is read. */
static enum emul_result iterate_store(struct emul_exec *e, const struct emul_insn *i)
{
	struct emul_ref to, from;
	enum emul_result r = EMUL_DONE;
	u64 value = 0;

	if (i->opcode == EMUL_MOVS)
		r = emul_mem_map(e, i->seg, address_of(e, i, RSI), i->op_size, false, &from);
	if (r == EMUL_DONE)
		r = emul_mem_map(e, VSEG_ES, address_of(e, i, RDI), i->op_size, true, &to);
	if (r != EMUL_DONE)
		return r;
	if (i->opcode == EMUL_MOVS)
		r = emul_mem_read(e, &from, &value);
	else if (i->opcode == EMUL_INS)
		value = e->ops->pio_read(e->ctx, port_of(e, i), i->op_size);
	else
		value = e->ops->gpr_get(e->ctx, RAX);
	return r == EMUL_DONE ? emul_mem_write(e, &to, value) : r;
}

/* CMPS, SCAS: *equal is the new ZF. */
static enum emul_result iterate_compare(struct emul_exec *e, const struct emul_insn *i, bool *equal)
{
	enum emul_result r = EMUL_DONE;
	u64 a = e->ops->gpr_get(e->ctx, RAX) & emul_size_mask(i->op_size);
	u64 b, flags;

	if (i->opcode == EMUL_CMPS)
		r = read_at(e, i, i->seg, RSI, &a);
	if (r == EMUL_DONE)
		r = read_at(e, i, VSEG_ES, RDI, &b);
	if (r != EMUL_DONE)
		return r;
	flags = e->ops->rflags_get(e->ctx);
	(void)emul_alu(i->opcode, i->op_size, a, b, &flags);
	e->ops->rflags_set(e->ctx, flags);
	*equal = flags & RFLAGS_ZF;
	return EMUL_DONE;
}

static enum emul_result iterate(struct emul_exec *e, const struct emul_insn *i, bool *equal)
{
	enum emul_result r;
	u64 value;

	switch (i->opcode) {
	case EMUL_LODS:
		r = read_at(e, i, i->seg, RSI, &value);
		if (r == EMUL_DONE)
			emul_gpr_write(e, RAX, i->op_size, value);
		return r;
	case EMUL_OUTS:
		r = read_at(e, i, i->seg, RSI, &value);
		if (r == EMUL_DONE)
			e->ops->pio_write(e->ctx, port_of(e, i), i->op_size, value);
		return r;
	case EMUL_CMPS:
	case EMUL_SCAS:
		return iterate_compare(e, i, equal);
	default:
		return iterate_store(e, i);
	}
}

static void step_registers(struct emul_exec *e, const struct emul_insn *i, bool down)
{
	bool si = i->opcode == EMUL_MOVS || i->opcode == EMUL_CMPS || i->opcode == EMUL_LODS ||
		  i->opcode == EMUL_OUTS;
	bool di = i->opcode != EMUL_LODS && i->opcode != EMUL_OUTS;

	if (si)
		step(e, i, RSI, down);
	if (di)
		step(e, i, RDI, down);
}

enum emul_result emul_exec_string(struct emul_exec *e, const struct emul_insn *insn,
				  unsigned max_iterations)
{
	bool repeated = insn->rep || insn->repne;
	bool compares = insn->opcode == EMUL_CMPS || insn->opcode == EMUL_SCAS;
	bool down = e->ops->rflags_get(e->ctx) & RFLAGS_DF;
	bool equal = false;
	enum emul_result r;
	unsigned n = 0;
	u64 count;

	if (repeated && address_of(e, insn, RCX) == 0)
		return EMUL_DONE;
	for (;;) {
		r = iterate(e, insn, &equal);
		if (r != EMUL_DONE)
			return r;
		step_registers(e, insn, down);
		if (!repeated)
			return EMUL_DONE;
		count = address_of(e, insn, RCX) - 1;
		emul_gpr_write(e, RCX, insn->addr_size, count);
		if (count == 0 || (compares && equal == insn->repne))
			return EMUL_DONE;
		if (++n >= max_iterations)
			return EMUL_AGAIN;
	}
}
