/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: bytes to struct emul_insn, by the tables of opcodes.c. Called for instructions that
 * touched MMIO, for string port I/O, and for intercepted ones whose operands or length the CPU did not tell.
 * SDM vol. 2 "Instruction Format" (prefixes, ModR/M, SIB, REX); APM vol. 3 "Instruction Encoding".
 * Pure: it sees bytes only, and never more than `count` of them.
 */
#include <vmm/emul.h>
#include <vmm/errno.h>

#include "internal.h"

/* In 64-bit mode the ES, CS, SS and DS overrides are null prefixes: they do not even cancel an earlier FS or GS. */
static void prefix_segment(struct emul_cursor *c, u8 seg)
{
	if (c->mode != EMUL_MODE64 || seg == VSEG_FS || seg == VSEG_GS)
		c->seg = seg;
}

static bool prefix_legacy(struct emul_cursor *c, struct emul_insn *i, u8 b)
{
	switch (b) {
	case 0x26:
		prefix_segment(c, VSEG_ES);
		return true;
	case 0x2e:
		prefix_segment(c, VSEG_CS);
		return true;
	case 0x36:
		prefix_segment(c, VSEG_SS);
		return true;
	case 0x3e:
		prefix_segment(c, VSEG_DS);
		return true;
	case 0x64:
		prefix_segment(c, VSEG_FS);
		return true;
	case 0x65:
		prefix_segment(c, VSEG_GS);
		return true;
	case 0x66:
		c->p66 = true;
		return true;
	case 0x67:
		c->p67 = true;
		return true;
	case 0xf0:
		i->lock = true;
		return true;
	case 0xf2: /* the last of F2 and F3 counts */
		i->repne = true;
		i->rep = false;
		return true;
	case 0xf3:
		i->rep = true;
		i->repne = false;
		return true;
	default:
		return false;
	}
}

/* Eats the prefixes; returns the first opcode byte. A REX that no opcode follows at once is void. */
static u8 decode_prefixes(struct emul_cursor *c, struct emul_insn *i)
{
	u8 b;

	for (;;) {
		b = emul_fetch8(c);
		if (c->overrun)
			return 0;
		if (prefix_legacy(c, i, b))
			c->rex = 0;
		else if (c->mode == EMUL_MODE64 && (b & 0xf0) == 0x40)
			c->rex = b;
		else
			return b;
	}
}

static void decode_sizes(const struct emul_cursor *c, struct emul_insn *i)
{
	switch (c->mode) {
	case EMUL_MODE16:
		i->op_size = c->p66 ? 4 : 2;
		i->addr_size = c->p67 ? 4 : 2;
		break;
	case EMUL_MODE32:
		i->op_size = c->p66 ? 2 : 4;
		i->addr_size = c->p67 ? 2 : 4;
		break;
	case EMUL_MODE64:
		i->op_size = c->rex & REX_W ? 8 : c->p66 ? 2 : 4;
		i->addr_size = c->p67 ? 4 : 8;
		break;
	}
}

static void memory_none(struct emul_insn *i)
{
	i->base = -1;
	i->index = -1;
	i->scale = 1;
	i->disp = 0;
}

static struct emul_operand operand_reg(const struct emul_cursor *c, u8 reg, u8 size)
{
	struct emul_operand op = {.kind = EMUL_OP_REG, .reg = reg, .size = size};

	/* Without REX the byte registers 4 to 7 are AH, CH, DH, BH. */
	if (size == 1 && !c->rex && reg >= 4) {
		op.kind = EMUL_OP_REG_HIGH8;
		op.reg = reg - 4;
	}
	return op;
}

static struct emul_operand operand_of(u8 kind, u8 size)
{
	return (struct emul_operand){.kind = kind, .size = size};
}

/* The CR number; LOCK MOV CR0 is AMD's way to CR8 outside 64-bit mode (APM vol. 3 "MOV CRn"). */
static int decode_cr(struct emul_cursor *c, struct emul_insn *i, bool to)
{
	struct emul_operand *op = to ? &i->src : &i->dst;

	c->modrm = emul_fetch8(c);
	i->op_size = c->mode == EMUL_MODE64 ? 8 : 4;
	*op = (struct emul_operand){EMUL_OP_REG, modrm_rm(c), i->op_size};
	i->cr = modrm_reg(c);
	i->cr_op = to ? CR_MOV_TO : CR_MOV_FROM;
	if (i->lock) {
		if (i->cr != 0)
			return -HV_EINVAL;
		i->cr = 8;
		i->lock = false;
	}
	return i->cr == 0 || i->cr == 2 || i->cr == 3 || i->cr == 4 || i->cr == 8 ? 0 : -HV_EINVAL;
}

static int decode_0f01(struct emul_cursor *c, struct emul_insn *i)
{
	/* The register forms, a bit per ModRM byte from 0xC0: VMX; MONITOR, MWAIT; XGETBV, XSETBV, VMFUNC; SVM; RDTSCP... */
	static const u64 register_forms = GENMASK(4, 1) | GENMASK(9, 8) | GENMASK(17, 16) |
					  BIT(20) | GENMASK(31, 24) | GENMASK(59, 57);
	unsigned reg;

	c->modrm = emul_fetch8(c);
	reg = c->modrm >> 3 & 7;
	if (reg == 4 || reg == 6) { /* SMSW, LMSW */
		i->src = (struct emul_operand){EMUL_OP_REG, modrm_rm(c), 2};
		if (modrm_mod(c) != 3) {
			i->src = operand_of(EMUL_OP_MEM, 2);
			emul_decode_address(c, i);
		}
		if (reg == 4) {
			i->dst = i->src;
			i->src.kind = EMUL_OP_NONE;
			i->opcode = EMUL_CR;
			i->cr_op = CR_SMSW;
			return 0;
		}
		i->opcode = EMUL_CR;
		i->cr_op = CR_LMSW;
		return 0;
	}
	if (modrm_mod(c) == 3)
		return register_forms >> (c->modrm & 63) & 1 ? 0 : -HV_EINVAL;
	if (reg != 7) /* all but INVLPG */
		return -HV_EINVAL;
	emul_decode_address(c, i);
	i->src = operand_of(EMUL_OP_MEM, 1);
	return 0;
}

static int decode_string(struct emul_cursor *c, struct emul_insn *i, u8 size)
{
	bool from_si = i->opcode != EMUL_STOS && i->opcode != EMUL_SCAS && i->opcode != EMUL_INS;
	bool port = i->opcode == EMUL_INS || i->opcode == EMUL_OUTS;

	if (port && size == 8)
		size = 4;
	i->op_size = size;
	i->base = from_si ? 6 : 7;
	i->seg = VSEG_ES;
	if (from_si)
		emul_decode_segment(c, i, VSEG_DS);
	i->dst = operand_of(EMUL_OP_MEM, size);
	i->src = operand_of(EMUL_OP_MEM, size);
	switch (i->opcode) {
	case EMUL_STOS:
		i->src = (struct emul_operand){EMUL_OP_REG, 0, size};
		break;
	case EMUL_SCAS:
		i->src = i->dst;
		i->dst = (struct emul_operand){EMUL_OP_REG, 0, size};
		break;
	case EMUL_LODS:
		i->dst = (struct emul_operand){EMUL_OP_REG, 0, size};
		break;
	case EMUL_INS:
		i->src = operand_of(EMUL_OP_NONE, size);
		break;
	case EMUL_OUTS:
		i->dst = operand_of(EMUL_OP_NONE, size);
		break;
	}
	return 0;
}

/* Forms with a ModRM byte (already fetched) whose r/m must be memory. */
static int decode_modrm_memory(struct emul_cursor *c, struct emul_insn *i,
			       const struct emul_row *row, u8 size)
{
	u8 reg_size = i->opcode == EMUL_MOVZX || i->opcode == EMUL_MOVSX ? i->op_size : size;
	unsigned imm_size;

	if (modrm_mod(c) == 3)
		return -HV_EINVAL;
	emul_decode_address(c, i);
	switch (row->form) {
	case FORM_MR:
		i->dst = operand_of(EMUL_OP_MEM, size);
		i->src = operand_reg(c, modrm_reg(c), reg_size);
		return 0;
	case FORM_RM:
		i->dst = operand_reg(c, modrm_reg(c), reg_size);
		i->src = operand_of(EMUL_OP_MEM, size);
		return 0;
	case FORM_PUSH:
		i->src = operand_of(EMUL_OP_MEM, size);
		return 0;
	case FORM_M:
		i->dst = operand_of(EMUL_OP_MEM, size);
		return 0;
	default: /* FORM_MI, FORM_MI8, FORM_MU8 */
		imm_size = row->form == FORM_MI ? MIN(size, 4) : 1;
		i->dst = operand_of(EMUL_OP_MEM, size);
		i->src = operand_of(EMUL_OP_IMM, size);
		i->imm = row->form == FORM_MU8 ? emul_fetch(c, 1) :
						 (u64)emul_fetch_signed(c, imm_size);
		return 0;
	}
}

static int decode_moffs(struct emul_cursor *c, struct emul_insn *i, bool load, u8 size)
{
	struct emul_operand mem = operand_of(EMUL_OP_MEM, size);
	struct emul_operand acc = {EMUL_OP_REG, 0, size};

	i->disp = (s64)emul_fetch(c, i->addr_size);
	emul_decode_segment(c, i, VSEG_DS);
	i->dst = load ? acc : mem;
	i->src = load ? mem : acc;
	return 0;
}

static bool prefix_fits(const struct emul_cursor *c, const struct emul_insn *i, u8 wanted)
{
	switch (wanted) {
	case PFX_NP:
		return !c->p66 && !i->rep && !i->repne;
	case PFX_66:
		return c->p66 && !i->rep && !i->repne;
	case PFX_F3:
		return i->rep;
	case PFX_NP66F3:
		return !i->repne;
	default:
		return true;
	}
}

static u8 row_size(const struct emul_cursor *c, const struct emul_insn *i,
		   const struct emul_row *row)
{
	if (row->size == SIZE_Y)
		return c->rex & REX_W ? 8 : 4;
	return row->size == SIZE_V ? i->op_size : row->size;
}

static int decode_form(struct emul_cursor *c, struct emul_insn *i, const struct emul_row *row)
{
	u8 size = row_size(c, i, row);

	switch (row->form) {
	case FORM_LOAD_MOFFS:
	case FORM_STORE_MOFFS:
		return decode_moffs(c, i, row->form == FORM_LOAD_MOFFS, size);
	case FORM_STRING:
		return decode_string(c, i, size);
	case FORM_CR_FROM:
	case FORM_CR_TO:
		return decode_cr(c, i, row->form == FORM_CR_TO);
	case FORM_CLTS:
		i->cr_op = CR_CLTS;
		return 0;
	case FORM_0F01:
		return decode_0f01(c, i);
	case FORM_NONE:
		return 0;
	case FORM_IMM8:
		i->imm = emul_fetch(c, 1);
		return 0;
	case FORM_FAR:
		if (c->mode == EMUL_MODE64)
			return -HV_EINVAL;
		emul_fetch(c, i->op_size);
		emul_fetch(c, 2);
		return 0;
	case FORM_DR:
		c->modrm = emul_fetch8(c);
		return modrm_reg(c) < 8 ? 0 : -HV_EINVAL;
	default:
		return -HV_EINVAL;
	}
}

/* The row of the opcode, groups resolved: then ModRM has been fetched, as for every form from FORM_MR to FORM_PUSH. */
static const struct emul_row *decode_row(struct emul_cursor *c, struct emul_insn *i)
{
	const struct emul_row *row;
	u8 b = decode_prefixes(c, i);

	row = &emul_map_1[b];
	if ((b == 0x63 && c->mode != EMUL_MODE64) ||
	    ((b == 0x82 || b == 0xce) && c->mode == EMUL_MODE64))
		return NULL;
	if (b == 0x0f) {
		b = emul_fetch8(c);
		row = &emul_map_0f[b];
		if (b == 0x38) {
			b = emul_fetch8(c);
			row = b >= 0x80 && b <= 0x82 ? &emul_row_0f38_inv : &emul_map_0f[0];
		}
	}
	if ((row->form >= FORM_MR && row->form <= FORM_PUSH) || row->form == FORM_GROUP ||
	    row->form == FORM_MODRM || row->form == FORM_MEM)
		c->modrm = emul_fetch8(c);
	if (row->form == FORM_GROUP)
		row = &emul_map_group[row->opcode][c->modrm >> 3 & 7];
	return row->form != FORM_BAD && prefix_fits(c, i, row->prefix) ? row : NULL;
}

static int decode_operands(struct emul_cursor *c, struct emul_insn *i, const struct emul_row *row)
{
	i->opcode = row->opcode;
	if (row->form == FORM_PUSH && c->mode == EMUL_MODE64 && i->op_size == 4)
		i->op_size = 8;
	if (row->form >= FORM_MR && row->form <= FORM_PUSH)
		return decode_modrm_memory(c, i, row, row_size(c, i, row));
	if (row->form == FORM_MODRM || row->form == FORM_MEM) {
		if (modrm_mod(c) != 3)
			emul_decode_address(c, i);
		return row->form == FORM_MEM && modrm_mod(c) == 3 ? -HV_EINVAL : 0;
	}
	return decode_form(c, i, row);
}

int emul_decode(const u8 *bytes, unsigned count, enum emul_mode mode, struct emul_insn *out)
{
	struct emul_cursor c = {.bytes = bytes,
				.count = MIN(count, EMUL_INSN_MAX),
				.mode = mode,
				.seg = SEG_DEFAULT};
	const struct emul_row *row;
	int err = -HV_EINVAL;

	*out = (struct emul_insn){.seg = VSEG_DS};
	memory_none(out);
	row = decode_row(&c, out);
	decode_sizes(&c, out);
	if (row && !c.overrun)
		err = decode_operands(&c, out, row);
	if (c.overrun)
		return count < EMUL_INSN_MAX ? -HV_EAGAIN : -HV_EINVAL;
	out->len = (u8)c.pos;
	return err;
}
