/* SPDX-License-Identifier: MIT */
/*
 * The opcodes that Havoc may have to carry out or to measure: what can access MMIO with general registers,
 * string port I/O, and what the back ends intercept. Read by decode.c only. One row per opcode byte, as in
 * the SDM, vol. 2, appendix "Opcode Map". Forms that have no memory operand are absent unless they are
 * intercepted: a decoder that knows less can go wrong less.
 */
#include "internal.h"

// clang-format off

/* The six memory forms of an arithmetic instruction; its short forms with rAX have no memory operand. */
#define ALU(base, op)                                                                                        \
	[(base) + 0] = { op, FORM_MR, 1, 0 }, [(base) + 1] = { op, FORM_MR, SIZE_V, 0 },                     \
	[(base) + 2] = { op, FORM_RM, 1, 0 }, [(base) + 3] = { op, FORM_RM, SIZE_V, 0 }

const struct emul_row emul_map_1[256] = {
	ALU(0x00, EMUL_ADD), ALU(0x08, EMUL_OR),  ALU(0x10, EMUL_ADC), ALU(0x18, EMUL_SBB),
	ALU(0x20, EMUL_AND), ALU(0x28, EMUL_SUB), ALU(0x30, EMUL_XOR), ALU(0x38, EMUL_CMP),
	[0x63] = { EMUL_MOVSX, FORM_RM, 4, 0 }, /* MOVSXD; 64-bit mode only */
	[0x6c] = { EMUL_INS, FORM_STRING, 1, 0 },
	[0x6d] = { EMUL_INS, FORM_STRING, SIZE_V, 0 },
	[0x6e] = { EMUL_OUTS, FORM_STRING, 1, 0 },
	[0x6f] = { EMUL_OUTS, FORM_STRING, SIZE_V, 0 },
	[0x80] = { GROUP_1_B, FORM_GROUP, 0, 0 },
	[0x81] = { GROUP_1_V, FORM_GROUP, 0, 0 },
	[0x82] = { GROUP_1_B, FORM_GROUP, 0, 0 }, /* the same as 0x80; not in 64-bit mode */
	[0x83] = { GROUP_1_I8, FORM_GROUP, 0, 0 },
	[0x84] = { EMUL_TEST, FORM_MR, 1, 0 },
	[0x85] = { EMUL_TEST, FORM_MR, SIZE_V, 0 },
	[0x86] = { EMUL_XCHG, FORM_MR, 1, 0 },
	[0x87] = { EMUL_XCHG, FORM_MR, SIZE_V, 0 },
	[0x88] = { EMUL_MOV, FORM_MR, 1, 0 },
	[0x89] = { EMUL_MOV, FORM_MR, SIZE_V, 0 },
	[0x8a] = { EMUL_MOV, FORM_RM, 1, 0 },
	[0x8b] = { EMUL_MOV, FORM_RM, SIZE_V, 0 },
	[0x90] = { EMUL_OTHER, FORM_NONE, 0, PFX_F3 }, /* PAUSE */
	[0x9a] = { EMUL_OTHER, FORM_FAR, 0, 0 }, /* CALL far */
	[0xa0] = { EMUL_MOV, FORM_LOAD_MOFFS, 1, 0 },
	[0xa1] = { EMUL_MOV, FORM_LOAD_MOFFS, SIZE_V, 0 },
	[0xa2] = { EMUL_MOV, FORM_STORE_MOFFS, 1, 0 },
	[0xa3] = { EMUL_MOV, FORM_STORE_MOFFS, SIZE_V, 0 },
	[0xa4] = { EMUL_MOVS, FORM_STRING, 1, 0 },
	[0xa5] = { EMUL_MOVS, FORM_STRING, SIZE_V, 0 },
	[0xa6] = { EMUL_CMPS, FORM_STRING, 1, 0 },
	[0xa7] = { EMUL_CMPS, FORM_STRING, SIZE_V, 0 },
	[0xaa] = { EMUL_STOS, FORM_STRING, 1, 0 },
	[0xab] = { EMUL_STOS, FORM_STRING, SIZE_V, 0 },
	[0xac] = { EMUL_LODS, FORM_STRING, 1, 0 },
	[0xad] = { EMUL_LODS, FORM_STRING, SIZE_V, 0 },
	[0xae] = { EMUL_SCAS, FORM_STRING, 1, 0 },
	[0xaf] = { EMUL_SCAS, FORM_STRING, SIZE_V, 0 },
	[0xc6] = { GROUP_11_B, FORM_GROUP, 0, 0 },
	[0xc7] = { GROUP_11_V, FORM_GROUP, 0, 0 },
	[0xcc] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* INT3 */
	[0xcd] = { EMUL_OTHER, FORM_IMM8, 0, 0 }, /* INT n */
	[0xce] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* INTO; not in 64-bit mode */
	[0xcf] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* IRET */
	[0xe4] = { EMUL_OTHER, FORM_IMM8, 0, 0 }, /* IN, OUT */
	[0xe5] = { EMUL_OTHER, FORM_IMM8, 0, 0 },
	[0xe6] = { EMUL_OTHER, FORM_IMM8, 0, 0 },
	[0xe7] = { EMUL_OTHER, FORM_IMM8, 0, 0 },
	[0xea] = { EMUL_OTHER, FORM_FAR, 0, 0 }, /* JMP far */
	[0xec] = { EMUL_OTHER, FORM_NONE, 0, 0 },
	[0xed] = { EMUL_OTHER, FORM_NONE, 0, 0 },
	[0xee] = { EMUL_OTHER, FORM_NONE, 0, 0 },
	[0xef] = { EMUL_OTHER, FORM_NONE, 0, 0 },
	[0xf1] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* INT1 */
	[0xf4] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* HLT */
	[0xf6] = { GROUP_3_B, FORM_GROUP, 0, 0 },
	[0xf7] = { GROUP_3_V, FORM_GROUP, 0, 0 },
	[0xfe] = { GROUP_4, FORM_GROUP, 0, 0 },
	[0xff] = { GROUP_5, FORM_GROUP, 0, 0 },
};

const struct emul_row emul_map_0f[256] = {
	[0x01] = { EMUL_OTHER, FORM_0F01, 0, 0 },
	[0x06] = { EMUL_CR, FORM_CLTS, 0, 0 },
	[0x08] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* INVD */
	[0x09] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* WBINVD, WBNOINVD */
	[0x20] = { EMUL_CR, FORM_CR_FROM, 0, 0 },
	[0x21] = { EMUL_OTHER, FORM_DR, 0, 0 },
	[0x22] = { EMUL_CR, FORM_CR_TO, 0, 0 },
	[0x23] = { EMUL_OTHER, FORM_DR, 0, 0 },
	[0x30] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* WRMSR */
	[0x31] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* RDTSC */
	[0x32] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* RDMSR */
	[0x33] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* RDPMC */
	[0x37] = { EMUL_OTHER, FORM_NONE, 0, PFX_NP }, /* GETSEC */
	[0x78] = { EMUL_OTHER, FORM_MODRM, 0, PFX_NP }, /* VMREAD */
	[0x79] = { EMUL_OTHER, FORM_MODRM, 0, PFX_NP }, /* VMWRITE */
	[0xa2] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* CPUID */
	[0xa3] = { EMUL_BT, FORM_MR, SIZE_V, 0 },
	[0xaa] = { EMUL_OTHER, FORM_NONE, 0, 0 }, /* RSM */
	[0xab] = { EMUL_BTS, FORM_MR, SIZE_V, 0 },
	[0xb0] = { EMUL_CMPXCHG, FORM_MR, 1, 0 },
	[0xb1] = { EMUL_CMPXCHG, FORM_MR, SIZE_V, 0 },
	[0xb3] = { EMUL_BTR, FORM_MR, SIZE_V, 0 },
	[0xb6] = { EMUL_MOVZX, FORM_RM, 1, 0 },
	[0xb7] = { EMUL_MOVZX, FORM_RM, 2, 0 },
	[0xba] = { GROUP_8, FORM_GROUP, 0, 0 },
	[0xbb] = { EMUL_BTC, FORM_MR, SIZE_V, 0 },
	[0xbe] = { EMUL_MOVSX, FORM_RM, 1, 0 },
	[0xbf] = { EMUL_MOVSX, FORM_RM, 2, 0 },
	[0xc0] = { EMUL_XADD, FORM_MR, 1, 0 },
	[0xc1] = { EMUL_XADD, FORM_MR, SIZE_V, 0 },
	[0xc3] = { EMUL_MOV, FORM_MR, SIZE_Y, PFX_NP }, /* MOVNTI */
	[0xc7] = { GROUP_9, FORM_GROUP, 0, 0 },
};

#define GROUP_1(form, size)                                                                                  \
	{ { EMUL_ADD, form, size, 0 }, { EMUL_OR, form, size, 0 },  { EMUL_ADC, form, size, 0 },             \
	  { EMUL_SBB, form, size, 0 }, { EMUL_AND, form, size, 0 }, { EMUL_SUB, form, size, 0 },             \
	  { EMUL_XOR, form, size, 0 }, { EMUL_CMP, form, size, 0 } }

const struct emul_row emul_map_group[GROUPS][8] = {
	[GROUP_1_B] = GROUP_1(FORM_MI, 1),
	[GROUP_1_V] = GROUP_1(FORM_MI, SIZE_V),
	[GROUP_1_I8] = GROUP_1(FORM_MI8, SIZE_V),
	[GROUP_3_B] = { [0] = { EMUL_TEST, FORM_MI, 1, 0 }, [1] = { EMUL_TEST, FORM_MI, 1, 0 },
			[2] = { EMUL_NOT, FORM_M, 1, 0 }, [3] = { EMUL_NEG, FORM_M, 1, 0 } },
	[GROUP_3_V] = { [0] = { EMUL_TEST, FORM_MI, SIZE_V, 0 }, [1] = { EMUL_TEST, FORM_MI, SIZE_V, 0 },
			[2] = { EMUL_NOT, FORM_M, SIZE_V, 0 }, [3] = { EMUL_NEG, FORM_M, SIZE_V, 0 } },
	[GROUP_4] = { [0] = { EMUL_INC, FORM_M, 1, 0 }, [1] = { EMUL_DEC, FORM_M, 1, 0 } },
	[GROUP_5] = { [0] = { EMUL_INC, FORM_M, SIZE_V, 0 }, [1] = { EMUL_DEC, FORM_M, SIZE_V, 0 },
		      [3] = { EMUL_OTHER, FORM_MEM, 0, 0 }, [5] = { EMUL_OTHER, FORM_MEM, 0, 0 }, /* CALL, JMP far */
		      [6] = { EMUL_PUSH, FORM_PUSH, SIZE_V, 0 } },
	[GROUP_8] = { [4] = { EMUL_BT, FORM_MU8, SIZE_V, 0 }, [5] = { EMUL_BTS, FORM_MU8, SIZE_V, 0 },
		      [6] = { EMUL_BTR, FORM_MU8, SIZE_V, 0 }, [7] = { EMUL_BTC, FORM_MU8, SIZE_V, 0 } },
	/* VMPTRLD, VMCLEAR (66), VMXON (F3); VMPTRST */
	[GROUP_9] = { [6] = { EMUL_OTHER, FORM_MEM, 0, PFX_NP66F3 }, [7] = { EMUL_OTHER, FORM_MEM, 0, PFX_NP } },
	[GROUP_11_B] = { [0] = { EMUL_MOV, FORM_MI, 1, 0 } },
	[GROUP_11_V] = { [0] = { EMUL_MOV, FORM_MI, SIZE_V, 0 } },
};

const struct emul_row emul_row_0f38_inv = { EMUL_OTHER, FORM_MEM, 0, PFX_66 };
