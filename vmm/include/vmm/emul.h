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

/* Default operand and address size: CS.L, CS.D. */
enum emul_mode { EMUL_MODE16, EMUL_MODE32, EMUL_MODE64 };

enum emul_opcode {
	EMUL_INVALID = 0,
	EMUL_MOV, /* MOV r<->m, imm->m, moffs */
	EMUL_MOVZX,
	EMUL_MOVSX, /* MOVSXD too */
	EMUL_MOVS,
	EMUL_STOS,
	EMUL_LODS,
	EMUL_CMPS,
	EMUL_SCAS,
	EMUL_INS,
	EMUL_OUTS,
	EMUL_ADD, /* this and the next seven: in the order of the instruction set's group 1 */
	EMUL_OR,
	EMUL_ADC,
	EMUL_SBB,
	EMUL_AND,
	EMUL_SUB,
	EMUL_XOR,
	EMUL_CMP,
	EMUL_TEST,
	EMUL_NOT,
	EMUL_NEG,
	EMUL_INC,
	EMUL_DEC,
	EMUL_XCHG,
	EMUL_XADD,
	EMUL_CMPXCHG,
	EMUL_BT,
	EMUL_BTS,
	EMUL_BTR,
	EMUL_BTC,
	EMUL_PUSH, /* PUSH m */
	EMUL_CR, /* MOV to/from CR, CLTS, LMSW, for CPUs without decode assists: cr, cr_op; src or dst */
	EMUL_OTHER, /* recognised for its length only */
	EMUL_OPCODES
};

enum emul_operand_kind { EMUL_OP_NONE, EMUL_OP_REG, EMUL_OP_REG_HIGH8, EMUL_OP_MEM, EMUL_OP_IMM };

struct emul_operand {
	u8 kind;
	u8 reg;  /* EMUL_OP_REG: 0..15; EMUL_OP_REG_HIGH8: 0..3 for AH, CH, DH, BH */
	u8 size; /* bytes: 1, 2, 4, 8 */
};

struct emul_insn {
	u8 opcode; /* enum emul_opcode */
	u8 len;
	u8 op_size, addr_size; /* bytes */
	bool rep, repne, lock;
	struct emul_operand dst, src;
	/*
	 * The memory operand, if any. String instructions: the one at rSI (with the override), or if there is
	 * none, the one at ES:rDI.
	 */
	u8 seg;         /* enum vseg, override applied */
	s8 base, index; /* register number or -1; base EMUL_BASE_RIP: RIP-relative */
	u8 scale;
	s64 disp;
	u64 imm;  /* sign-extended from its encoded size */
	u8 cr;    /* EMUL_CR */
	u8 cr_op; /* enum cr_op */
};

#define EMUL_BASE_RIP 16
#define EMUL_INSN_MAX 15 /* a longer instruction is #GP */

/*
 * 0, or -HV_EINVAL: not an instruction this file knows; -HV_EAGAIN: more bytes are needed (count < 15). An illegal
 * LOCK prefix is accepted here; emul_exec() makes it #UD.
 */
int emul_decode(const u8 *bytes, unsigned count, enum emul_mode mode,
		struct emul_insn *out) must_check;

/*
 * Length of an intercepted instruction (CPUID, RDMSR, WRMSR, HLT, VMCALL, VMMCALL, WBINVD, INVD, XSETBV, RDPMC,
 * RDTSC(P), PAUSE, MONITOR, MWAIT, INVLPG, INVPCID, CR and DR moves, CLTS, LMSW, SMSW, IN, OUT, INT n, INT3, INTO, INT1,
 * far CALL and JMP, IRET, SVM and VMX instructions) and of all that emul_decode() knows, prefixes included. Negative as above.
 */
int emul_length_decode(const u8 *bytes, unsigned count, enum emul_mode mode) must_check;

/* On the exit path of CPUs that do not tell the length: the common ones, without prefix, are decided here. */
static inline must_check int emul_length(const u8 *bytes, unsigned count, enum emul_mode mode)
{
	/* 0F A2 CPUID, 0F 30 WRMSR, 0F 31 RDTSC, 0F 32 RDMSR; 0F 01 D9 VMMCALL, 0F 01 C1 VMCALL; F4 HLT */
	if (count >= 2 && bytes[0] == 0x0f) {
		if (bytes[1] == 0xa2 || (bytes[1] >= 0x30 && bytes[1] <= 0x32))
			return 2;
		if (count >= 3 && bytes[1] == 0x01 && (bytes[2] == 0xd9 || bytes[2] == 0xc1))
			return 3;
	}
	if (count >= 1 && bytes[0] == 0xf4)
		return 1;
	return emul_length_decode(bytes, count, mode);
}

struct vcpu;

enum emul_result {
	EMUL_DONE, /* carried out; RIP is advanced by the caller: insn->len (or kept: EMUL_AGAIN) */
	EMUL_AGAIN, /* a REP string instruction has done part of its work: RIP stays, enter again */
	EMUL_FAULT, /* exec->fault is to be injected; no register has changed except by completed iterations */
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

/* The guest's debug registers. */
struct emul_watch {
	u64 address[4];
	u32 dr7;
	bool io; /* CR4.DE: there are breakpoints on ports */
};

struct emul_exec {
	const struct emul_ops *ops;
	void *ctx;
	struct gmem *gmem;
	struct gwalk_state walk;
	enum emul_mode mode;
	const struct emul_watch *watch; /* NULL: no breakpoint is set */
	u8 hits; /* of breakpoints on data and ports, as in DR6: a trap behind the instruction */
	struct gwalk_fault fault; /* vectors 6, 12, 13, 14, 17; error is 0 for those that have none */
};

/* Is any breakpoint on data (or ports) set? And which of them does an access to ports hit? */
bool emul_watch_any(const struct emul_watch *w);
u8 emul_watch_io(const struct emul_watch *w, u16 port, unsigned size);

/*
 * Reads operand `op` of `insn` (a register, the memory operand, or the immediate), for instructions that core carries
 * out itself (LMSW). EMUL_DONE, EMUL_FAULT or EMUL_UNHANDLED.
 */
enum emul_result emul_operand_read(struct emul_exec *e, const struct emul_insn *insn,
				   const struct emul_operand *op, u64 *value);

/* `max_iterations` bounds one call of a REP instruction, so that a guest cannot hold the CPU (0 counts as 1). */
enum emul_result emul_exec(struct emul_exec *e, const struct emul_insn *insn,
			   unsigned max_iterations);

#endif
