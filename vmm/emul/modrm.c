/* SPDX-License-Identifier: MIT */
/*
 * The decoder's lower half: the memory operand that ModR/M, SIB and REX describe. Called by decode.c. SDM vol. 2
 * "Instruction Format" ("Addressing-Mode Encoding of ModR/M and SIB Bytes", "Intel 64 Architecture Instruction Format").
 * Pure: it sees bytes only, and never more than `count` of them.
 */
#include <vmm/emul.h>

#include "internal.h"

void emul_decode_segment(const struct emul_cursor *c, struct emul_insn *i, u8 dflt)
{
	i->seg = c->seg != SEG_DEFAULT ? c->seg : dflt;
}

/* SDM vol. 2, table "16-Bit Addressing Forms with the ModR/M Byte". */
static void memory_16(struct emul_cursor *c, struct emul_insn *i)
{
	// clang-format off
	static const struct { s8 base, index; u8 seg; } forms[8] = {
		{ 3, 6, VSEG_DS }, { 3, 7, VSEG_DS }, { 5, 6, VSEG_SS }, { 5, 7, VSEG_SS },
		{ 6, -1, VSEG_DS }, { 7, -1, VSEG_DS }, { 5, -1, VSEG_SS }, { 3, -1, VSEG_DS },
	};
	// clang-format on
	unsigned rm = c->modrm & 7;

	if (modrm_mod(c) == 0 && rm == 6) {
		i->disp = emul_fetch_signed(c, 2);
		emul_decode_segment(c, i, VSEG_DS);
		return;
	}
	i->base = forms[rm].base;
	i->index = forms[rm].index;
	emul_decode_segment(c, i, forms[rm].seg);
	if (modrm_mod(c) == 1)
		i->disp = emul_fetch_signed(c, 1);
	else if (modrm_mod(c) == 2)
		i->disp = emul_fetch_signed(c, 2);
}

/* SDM vol. 2, tables "32-Bit Addressing Forms with the ModR/M Byte" and "... with the SIB Byte"; REX and RIP. */
static void memory_32(struct emul_cursor *c, struct emul_insn *i)
{
	unsigned mod = modrm_mod(c), rm = c->modrm & 7;
	unsigned disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	if (rm == 4) {
		u8 sib = emul_fetch8(c);
		unsigned index = (sib >> 3 & 7) | (c->rex & REX_X ? 8 : 0);

		if (index != 4) { /* but R12 can be an index */
			i->index = (s8)index;
			i->scale = 1 << (sib >> 6);
		}
		if ((sib & 7) == 5 && mod == 0)
			disp_size = 4;
		else
			i->base = (s8)((sib & 7) | (c->rex & REX_B ? 8 : 0));
	} else if (rm == 5 && mod == 0) {
		disp_size = 4;
		if (c->mode == EMUL_MODE64)
			i->base = EMUL_BASE_RIP;
	} else {
		i->base = (s8)modrm_rm(c);
	}
	emul_decode_segment(c, i, i->base == 4 || i->base == 5 ? VSEG_SS : VSEG_DS);
	if (disp_size)
		i->disp = emul_fetch_signed(c, disp_size);
}

void emul_decode_address(struct emul_cursor *c, struct emul_insn *i)
{
	if (i->addr_size == 2)
		memory_16(c, i);
	else
		memory_32(c, i);
}
