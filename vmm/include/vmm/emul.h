/* SPDX-License-Identifier: MIT */
/*
 * Instructions that the hypervisor must carry out itself: those that access MMIO, string port I/O, and
 * the length of an intercepted one where the CPU does not tell it. decode.c is pure; exec.c reaches the
 * guest only through struct emul_ops.
 */
#ifndef VMM_EMUL_H
#define VMM_EMUL_H

#include <vmm/backend.h>
#include <vmm/gwalk.h>
#include <vmm/types.h>

enum emul_mode { EMUL_MODE16, EMUL_MODE32, EMUL_MODE64 }; /* default operand/address size from CS.L, CS.D */

enum emul_opcode {
	EMUL_INVALID = 0,
	EMUL_MOV,    /* MOV r<->m, imm->m, moffs */
	EMUL_MOVZX,
	EMUL_MOVSX,  /* MOVSXD too */
	EMUL_MOVS,
	EMUL_STOS,
	EMUL_LODS,
	EMUL_CMPS,
	EMUL_SCAS,
	EMUL_INS,
	EMUL_OUTS,
	EMUL_AND,
	EMUL_OR,
	EMUL_XOR,
	EMUL_ADD,
	EMUL_SUB,
	EMUL_TEST,
	EMUL_CMP,
	EMUL_XCHG,
	EMUL_BT,
	EMUL_BTS,
	EMUL_BTR,
	EMUL_BTC,
	EMUL_PUSH, /* PUSH m */
	EMUL_CR,   /* MOV to/from CR, CLTS, LMSW, for CPUs without decode assists: cr, to_cr, reg */
	EMUL_OTHER, /* recognised for its length only */
};

enum emul_operand_kind { EMUL_OP_NONE, EMUL_OP_REG, EMUL_OP_REG_HIGH8, EMUL_OP_MEM, EMUL_OP_IMM };

struct emul_operand {
	u8 kind;
	u8 reg;	 /* EMUL_OP_REG: 0..15; EMUL_OP_REG_HIGH8: 0..3 for AH..BH */
	u8 size; /* bytes: 1, 2, 4, 8 */
};

struct emul_insn {
	u8 opcode; /* enum emul_opcode */
	u8 len;
	u8 op_size, addr_size; /* bytes */
	bool rep, repne, lock;
	struct emul_operand dst, src;
	/* The memory operand, if any. */
	u8 seg;	   /* enum vseg, override applied */
	s8 base, index; /* register number or -1; base 16: RIP-relative */
	u8 scale;
	s64 disp;
	u64 imm;
	u8 cr;	/* EMUL_CR */
	u8 cr_op; /* enum cr_op */
};

/* 0, or -HV_EINVAL: not an instruction this file knows; -HV_EAGAIN: more bytes are needed (count < 15). */
int emul_decode(const u8 *bytes, unsigned count, enum emul_mode mode, struct emul_insn *out) must_check;

/*
 * Length of an intercepted instruction (CPUID, RDMSR, WRMSR, HLT, VMCALL, VMMCALL, WBINVD, INVD, XSETBV, RDPMC,
 * RDTSC(P), PAUSE, MONITOR, MWAIT, INVLPG, CR and DR moves, CLTS, LMSW, SVM and VMX instructions), prefixes included. Negative
 * as above.
 */
int emul_length(const u8 *bytes, unsigned count, enum emul_mode mode) must_check;

struct vcpu;

enum emul_result {
	EMUL_DONE,	/* carried out; RIP is advanced by the caller: insn->len (or kept: EMUL_AGAIN) */
	EMUL_AGAIN,	/* a REP string instruction has done part of its work: RIP stays, enter again */
	EMUL_FAULT,	/* exec->fault is to be injected; no register has changed except by completed iterations */
	EMUL_UNHANDLED, /* not carried out; kill the guest and show the bytes */
};

/* How exec.c reaches the guest. gpr index 4 is RSP. */
struct emul_ops {
	u64 (*gpr_get)(void *ctx, unsigned reg);
	void (*gpr_set)(void *ctx, unsigned reg, u64 value);
	u64 (*rip)(void *ctx);
	u64 (*rflags_get)(void *ctx);
	void (*rflags_set)(void *ctx, u64 value);
	void (*seg_get)(void *ctx, unsigned seg, struct segment *out);
	/* Physical access that is no RAM. */
	u64 (*mmio_read)(void *ctx, gpa_t gpa, unsigned size);
	void (*mmio_write)(void *ctx, gpa_t gpa, unsigned size, u64 value);
	u64 (*pio_read)(void *ctx, u16 port, unsigned size);
	void (*pio_write)(void *ctx, u16 port, unsigned size, u64 value);
};

struct emul_exec {
	const struct emul_ops *ops;
	void *ctx;
	struct gmem *gmem;
	struct gwalk_state walk;
	enum emul_mode mode;
	struct gwalk_fault fault;
};

/* `max_iterations` bounds one call of a REP instruction, so that a guest cannot hold the CPU. */
enum emul_result emul_exec(struct emul_exec *e, const struct emul_insn *insn, unsigned max_iterations);

#endif
