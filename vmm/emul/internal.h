/* SPDX-License-Identifier: MIT */
/*
 * What the files of vmm/emul/ share and nobody else sees: the opcode tables' row format, and how an instruction
 * reaches its operands. Intel SDM vol. 2 "Instruction Format" and appendix "Opcode Map"; APM vol. 3.
 */
#ifndef VMM_EMUL_INTERNAL_H
#define VMM_EMUL_INTERNAL_H

#include <vmm/emul.h>

/* How the operands of an opcode are encoded. */
enum emul_form {
	FORM_BAD = 0,
	FORM_MR,         /* dst = memory, src = reg */
	FORM_RM,         /* dst = reg, src = memory */
	FORM_MI,         /* dst = memory, src = immediate of the operand's size, at most 4 bytes */
	FORM_MI8,        /* dst = memory, src = sign-extended immediate byte */
	FORM_MU8,        /* dst = memory, src = immediate byte */
	FORM_M,          /* dst = memory */
	FORM_PUSH,       /* src = memory, operand size 8 in 64-bit mode */
	FORM_LOAD_MOFFS, /* dst = rAX, src = memory at an absolute offset */
	FORM_STORE_MOFFS,
	FORM_STRING,
	FORM_CR_FROM,
	FORM_CR_TO,
	FORM_CLTS,
	FORM_GROUP, /* .opcode is an enum emul_group; the row is chosen by ModRM.reg */
	FORM_0F01,  /* VMX, SVM and system instructions told apart by the whole ModRM byte */
	/* Length only. */
	FORM_NONE,
	FORM_IMM8,
	FORM_FAR,   /* offset of the operand's size, selector */
	FORM_DR,    /* ModRM, registers only whatever its mod field says */
	FORM_MODRM, /* ModRM with register or memory */
	FORM_MEM,   /* ModRM with memory only */
};

/* Operand size of a row, in bytes, or by the prefixes. */
#define SIZE_V 0
#define SIZE_Y 0x48 /* 8 with REX.W, else 4 */

/* Which prefix (66, F2, F3) a row demands. By default any, and it is ignored or has its usual meaning. */
enum emul_mandatory { PFX_ANY = 0, PFX_NP, PFX_66, PFX_F3, PFX_NP66F3 };

enum emul_group {
	GROUP_1_B,
	GROUP_1_V,
	GROUP_1_I8,
	GROUP_3_B,
	GROUP_3_V,
	GROUP_4,
	GROUP_5,
	GROUP_8,
	GROUP_9,
	GROUP_11_B,
	GROUP_11_V,
	GROUPS
};

struct emul_row {
	u8 opcode; /* enum emul_opcode */
	u8 form;   /* enum emul_form */
	u8 size;   /* of the memory operand: bytes, or SIZE_V */
	u8 prefix; /* enum emul_mandatory */
};

extern const struct emul_row emul_map_1[256];  /* one byte */
extern const struct emul_row emul_map_0f[256]; /* 0F xx */
extern const struct emul_row emul_map_group[GROUPS][8];
/* 0F 38 80-82: INVEPT, INVVPID, INVPCID */
extern const struct emul_row emul_row_0f38_inv;

/* ---- The decoder's parts (decode.c, modrm.c) ------------------------------------------------------- */

/* The bytes, and what the prefixes said. Reading past the end yields zeros and is remembered. */
struct emul_cursor {
	const u8 *bytes;
	unsigned count, pos; /* count: at most EMUL_INSN_MAX */
	bool overrun;
	enum emul_mode mode;
	u8 rex, modrm;
	bool p66, p67;
	u8 seg; /* override, or SEG_DEFAULT */
};

#define SEG_DEFAULT 0xff
#define REX_W       BIT(3)
#define REX_R       BIT(2)
#define REX_X       BIT(1)
#define REX_B       BIT(0)

/* Inlined, all of it, because every access to a device comes through here. */
static inline u8 emul_fetch8(struct emul_cursor *c)
{
	if (unlikely(c->pos >= c->count)) {
		c->overrun = true;
		return 0;
	}
	return c->bytes[c->pos++];
}

/* `size` bytes, little-endian: 1, 2, 4 or 8. */
static inline u64 emul_fetch(struct emul_cursor *c, unsigned size)
{
	const u8 *p = c->bytes + c->pos;
	u64 v = 0;

	if (unlikely(c->count - c->pos < size)) {
		c->overrun = true;
		c->pos = c->count;
		return 0;
	}
	c->pos += size;
	switch (size) {
	case 1:
		return *p;
	case 2:
		__builtin_memcpy(&v, p, 2);
		return v;
	case 4:
		__builtin_memcpy(&v, p, 4);
		return v;
	default:
		__builtin_memcpy(&v, p, 8);
		return v;
	}
}

static inline s64 emul_fetch_signed(struct emul_cursor *c, unsigned size)
{
	unsigned shift = 64 - 8 * size;

	return (s64)(emul_fetch(c, size) << shift) >> shift;
}

static inline u8 modrm_mod(const struct emul_cursor *c)
{
	return c->modrm >> 6;
}

static inline u8 modrm_reg(const struct emul_cursor *c)
{
	return (c->modrm >> 3 & 7) | (c->rex & REX_R ? 8 : 0);
}

static inline u8 modrm_rm(const struct emul_cursor *c)
{
	return (c->modrm & 7) | (c->rex & REX_B ? 8 : 0);
}

/* The segment: the override, or `dflt`. */
void emul_decode_segment(const struct emul_cursor *c, struct emul_insn *i, u8 dflt);
/* The address of a ModRM byte (fetched) whose mod is not 3. */
void emul_decode_address(struct emul_cursor *c, struct emul_insn *i);

/* ---- Memory: segments, pages, RAM or MMIO (mem.c) ------------------------------------------------ */

/* A memory operand after all checks: at most two pieces, one on each side of a page boundary. */
struct emul_ref {
	gpa_t gpa[2];
	u8 len[2];
};

/*
 * Checks and translates [seg:offset, + size), size <= 8, for reading or (also) writing. EMUL_DONE: *ref is set.
 * EMUL_FAULT: e->fault is.
 */
enum emul_result emul_mem_map(struct emul_exec *e, unsigned seg, u64 offset, unsigned size,
			      bool write, struct emul_ref *ref);
enum emul_result emul_mem_read(struct emul_exec *e, const struct emul_ref *ref, u64 *value);
enum emul_result emul_mem_write(struct emul_exec *e, const struct emul_ref *ref, u64 value);

/* ---- Registers and flags (alu.c) ----------------------------------------------------------------- */

static inline u64 emul_size_mask(unsigned size)
{
	return size >= 8 ? ~0ULL : (1ULL << (8 * size)) - 1;
}

/* Writes `size` bytes of a general register: 4 clear the upper half, 1 and 2 leave the rest. */
void emul_gpr_write(struct emul_exec *e, unsigned reg, unsigned size, u64 value);
u64 emul_operand_reg(struct emul_exec *e, const struct emul_operand *op);
void emul_operand_reg_write(struct emul_exec *e, const struct emul_operand *op, u64 value);

/* The result of `opcode` on a (dst) and b (src), both of `size` bytes; *flags is updated as the CPU would. */
u64 emul_alu(unsigned opcode, unsigned size, u64 a, u64 b, u64 *flags);

enum emul_result emul_exec_string(struct emul_exec *e, const struct emul_insn *insn,
				  unsigned max_iterations);

#endif
