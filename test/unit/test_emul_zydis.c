/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder against an independent one (Zydis): whatever emul_decode() accepts must have the same
 * length, operation, operands and address, in 16-, 32- and 64-bit mode; and what it promises to know it must accept.
 * Systematic over prefixes, opcodes and ModR/M bytes, then random.
 */
/* SOURCES: vmm/emul/decode.c vmm/emul/modrm.c vmm/emul/opcodes.c vmm/emul/length.c */
/* LIBS: -lZydis */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include <vmm/emul.h>
#include <vmm/errno.h>

/* Zydis's name of an operation, and ours. */
struct name {
	ZydisMnemonic zydis;
	u8 opcode;
};

// clang-format off
static const struct name names[] = {
	{ ZYDIS_MNEMONIC_MOV, EMUL_MOV }, { ZYDIS_MNEMONIC_MOVNTI, EMUL_MOV },
	{ ZYDIS_MNEMONIC_MOVZX, EMUL_MOVZX }, { ZYDIS_MNEMONIC_MOVSX, EMUL_MOVSX },
	{ ZYDIS_MNEMONIC_MOVSXD, EMUL_MOVSX },
	{ ZYDIS_MNEMONIC_MOVSB, EMUL_MOVS }, { ZYDIS_MNEMONIC_MOVSW, EMUL_MOVS },
	{ ZYDIS_MNEMONIC_MOVSD, EMUL_MOVS }, { ZYDIS_MNEMONIC_MOVSQ, EMUL_MOVS },
	{ ZYDIS_MNEMONIC_STOSB, EMUL_STOS }, { ZYDIS_MNEMONIC_STOSW, EMUL_STOS },
	{ ZYDIS_MNEMONIC_STOSD, EMUL_STOS }, { ZYDIS_MNEMONIC_STOSQ, EMUL_STOS },
	{ ZYDIS_MNEMONIC_LODSB, EMUL_LODS }, { ZYDIS_MNEMONIC_LODSW, EMUL_LODS },
	{ ZYDIS_MNEMONIC_LODSD, EMUL_LODS }, { ZYDIS_MNEMONIC_LODSQ, EMUL_LODS },
	{ ZYDIS_MNEMONIC_CMPSB, EMUL_CMPS }, { ZYDIS_MNEMONIC_CMPSW, EMUL_CMPS },
	{ ZYDIS_MNEMONIC_CMPSD, EMUL_CMPS }, { ZYDIS_MNEMONIC_CMPSQ, EMUL_CMPS },
	{ ZYDIS_MNEMONIC_SCASB, EMUL_SCAS }, { ZYDIS_MNEMONIC_SCASW, EMUL_SCAS },
	{ ZYDIS_MNEMONIC_SCASD, EMUL_SCAS }, { ZYDIS_MNEMONIC_SCASQ, EMUL_SCAS },
	{ ZYDIS_MNEMONIC_INSB, EMUL_INS }, { ZYDIS_MNEMONIC_INSW, EMUL_INS }, { ZYDIS_MNEMONIC_INSD, EMUL_INS },
	{ ZYDIS_MNEMONIC_OUTSB, EMUL_OUTS }, { ZYDIS_MNEMONIC_OUTSW, EMUL_OUTS }, { ZYDIS_MNEMONIC_OUTSD, EMUL_OUTS },
	{ ZYDIS_MNEMONIC_ADD, EMUL_ADD }, { ZYDIS_MNEMONIC_OR, EMUL_OR }, { ZYDIS_MNEMONIC_ADC, EMUL_ADC },
	{ ZYDIS_MNEMONIC_SBB, EMUL_SBB }, { ZYDIS_MNEMONIC_AND, EMUL_AND }, { ZYDIS_MNEMONIC_SUB, EMUL_SUB },
	{ ZYDIS_MNEMONIC_XOR, EMUL_XOR }, { ZYDIS_MNEMONIC_CMP, EMUL_CMP }, { ZYDIS_MNEMONIC_TEST, EMUL_TEST },
	{ ZYDIS_MNEMONIC_NOT, EMUL_NOT }, { ZYDIS_MNEMONIC_NEG, EMUL_NEG }, { ZYDIS_MNEMONIC_INC, EMUL_INC },
	{ ZYDIS_MNEMONIC_DEC, EMUL_DEC }, { ZYDIS_MNEMONIC_XCHG, EMUL_XCHG }, { ZYDIS_MNEMONIC_XADD, EMUL_XADD },
	{ ZYDIS_MNEMONIC_CMPXCHG, EMUL_CMPXCHG },
	{ ZYDIS_MNEMONIC_BT, EMUL_BT }, { ZYDIS_MNEMONIC_BTS, EMUL_BTS }, { ZYDIS_MNEMONIC_BTR, EMUL_BTR },
	{ ZYDIS_MNEMONIC_BTC, EMUL_BTC }, { ZYDIS_MNEMONIC_PUSH, EMUL_PUSH },
	{ ZYDIS_MNEMONIC_CLTS, EMUL_CR }, { ZYDIS_MNEMONIC_LMSW, EMUL_CR },
};

/* Known for their length, with any operands. */
static const ZydisMnemonic others[] = {
	ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_RDMSR, ZYDIS_MNEMONIC_WRMSR, ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_RDTSCP,
	ZYDIS_MNEMONIC_RDPMC, ZYDIS_MNEMONIC_HLT, ZYDIS_MNEMONIC_VMCALL, ZYDIS_MNEMONIC_VMMCALL, ZYDIS_MNEMONIC_WBINVD,
	ZYDIS_MNEMONIC_INVD, ZYDIS_MNEMONIC_XSETBV, ZYDIS_MNEMONIC_XGETBV, ZYDIS_MNEMONIC_PAUSE,
	ZYDIS_MNEMONIC_MONITOR, ZYDIS_MNEMONIC_MWAIT, ZYDIS_MNEMONIC_MONITORX, ZYDIS_MNEMONIC_MWAITX, ZYDIS_MNEMONIC_MCOMMIT,
	ZYDIS_MNEMONIC_INVLPG, ZYDIS_MNEMONIC_INVPCID, ZYDIS_MNEMONIC_INVEPT, ZYDIS_MNEMONIC_INVVPID,
	ZYDIS_MNEMONIC_SMSW, ZYDIS_MNEMONIC_IN, ZYDIS_MNEMONIC_OUT, ZYDIS_MNEMONIC_INT, ZYDIS_MNEMONIC_INT1,
	ZYDIS_MNEMONIC_INT3, ZYDIS_MNEMONIC_INTO, ZYDIS_MNEMONIC_RSM, ZYDIS_MNEMONIC_GETSEC, ZYDIS_MNEMONIC_VMXON,
	ZYDIS_MNEMONIC_VMXOFF, ZYDIS_MNEMONIC_VMLAUNCH, ZYDIS_MNEMONIC_VMRESUME, ZYDIS_MNEMONIC_VMPTRLD,
	ZYDIS_MNEMONIC_VMPTRST, ZYDIS_MNEMONIC_VMCLEAR, ZYDIS_MNEMONIC_VMREAD, ZYDIS_MNEMONIC_VMWRITE,
	ZYDIS_MNEMONIC_VMFUNC, ZYDIS_MNEMONIC_VMRUN, ZYDIS_MNEMONIC_VMLOAD, ZYDIS_MNEMONIC_VMSAVE, ZYDIS_MNEMONIC_STGI,
	ZYDIS_MNEMONIC_CLGI, ZYDIS_MNEMONIC_SKINIT, ZYDIS_MNEMONIC_INVLPGA,
	ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ,
};
// clang-format on

struct subject {
	u8 bytes[16];
	enum emul_mode mode;
	struct emul_insn ours;
	ZydisDecodedInstruction theirs;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static ZydisDecoder decoders[3];
static unsigned long compared, per_opcode[EMUL_OPCODES];

static int setup(void **state)
{
	(void)state;
	ZydisDecoderInit(&decoders[EMUL_MODE16], ZYDIS_MACHINE_MODE_LEGACY_16,
			 ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[EMUL_MODE32], ZYDIS_MACHINE_MODE_LEGACY_32,
			 ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[EMUL_MODE64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return 0;
}

static void disagree(const struct subject *s, const char *what)
{
	static const unsigned bits[] = {16, 32, 64};
	char hex[64];
	unsigned i;

	for (i = 0; i < 16; i++)
		sprintf(hex + 3 * i, "%02x ", s->bytes[i]);
	fail_msg("%s: %u-bit, %s; ours: opcode %u, length %u; Zydis: %s, length %u", what,
		 bits[s->mode], hex, s->ours.opcode, s->ours.len,
		 ZydisMnemonicGetString(s->theirs.mnemonic), s->theirs.length);
}

static void agree(const struct subject *s, const char *what, u64 ours, u64 theirs)
{
	char text[128];

	if (ours == theirs)
		return;
	snprintf(text, sizeof(text), "%s: %#llx, but Zydis %#llx", what, (unsigned long long)ours,
		 (unsigned long long)theirs);
	disagree(s, text);
}

/* General registers only; -1 for none. High byte registers are 0x100 + 0..3. */
static int register_number(ZydisRegister r)
{
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
		return r - ZYDIS_REGISTER_AL;
	if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
		return 0x100 + r - ZYDIS_REGISTER_AH;
	if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B)
		return 4 + r - ZYDIS_REGISTER_SPL;
	if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W)
		return r - ZYDIS_REGISTER_AX;
	if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D)
		return r - ZYDIS_REGISTER_EAX;
	if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15)
		return r - ZYDIS_REGISTER_RAX;
	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
		return EMUL_BASE_RIP;
	return -1;
}

static int segment_number(ZydisRegister r)
{
	return r - ZYDIS_REGISTER_ES; /* ES CS SS DS FS GS, as enum vseg */
}

static void compare_memory(const struct subject *s, const ZydisDecodedOperand *op)
{
	const ZydisDecodedOperandMem *m = &op->mem;
	u64 mask = s->ours.addr_size == 8 ? ~0ULL : (1ULL << (8 * s->ours.addr_size)) - 1;

	/*
	 * Zydis 4.0 with 32-bit addresses in 64-bit mode takes SIB.base = 101b with REX.B and ModRM.mod = 0 for
	 * R13D; it is a displacement alone, as without REX.B and with 64-bit addresses (so do LLVM and binutils).
	 */
	if (s->mode == EMUL_MODE64 && s->ours.addr_size == 4 && s->theirs.raw.modrm.mod == 0 &&
	    s->theirs.raw.modrm.rm == 4 && s->theirs.raw.sib.base == 5 &&
	    register_number(m->base) == 13) {
		agree(s, "base", (u64)s->ours.base, (u64)-1);
		return;
	}
	/* In 64-bit mode ES, CS, SS and DS have no base: only the vector of a fault tells them apart. */
	agree(s, "segment", s->ours.seg, (u64)segment_number(m->segment));
	agree(s, "base", (u64)s->ours.base, (u64)register_number(m->base));
	agree(s, "index", (u64)s->ours.index, (u64)register_number(m->index));
	if (s->ours.index >= 0 && m->scale)
		agree(s, "scale", s->ours.scale, m->scale);
	agree(s, "displacement", (u64)s->ours.disp & mask, (u64)m->disp.value & mask);
}

static void compare_operand(const struct subject *s, const struct emul_operand *ours,
			    const ZydisDecodedOperand *op)
{
	u64 mask = ours->size == 8 ? ~0ULL : (1ULL << (8 * ours->size)) - 1;

	switch (op->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (ours->kind == EMUL_OP_REG)
			agree(s, "register", ours->reg, (u64)register_number(op->reg.value));
		else if (ours->kind == EMUL_OP_REG_HIGH8)
			agree(s, "register", 0x100 + ours->reg,
			      (u64)register_number(op->reg.value));
		else
			disagree(s, "kind of operand");
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		agree(s, "kind of operand", ours->kind, EMUL_OP_MEM);
		compare_memory(s, op);
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		agree(s, "kind of operand", ours->kind, EMUL_OP_IMM);
		agree(s, "immediate", s->ours.imm & mask, op->imm.value.u & mask);
		return; /* Zydis tells its encoded size */
	default:
		disagree(s, "kind of operand");
	}
	agree(s, "operand size", ours->size * 8U, op->size);
}

static bool is_string(const struct emul_insn *i)
{
	return i->opcode >= EMUL_MOVS && i->opcode <= EMUL_OUTS;
}

/* Operands are implicit: one or two in memory, told apart by their index register. */
static void compare_string(const struct subject *s)
{
	unsigned i, memory = 0;

	agree(s, "repeat", s->ours.rep,
	      !!(s->theirs.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)));
	for (i = 0; i < s->theirs.operand_count; i++) {
		if (s->op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		memory++;
		agree(s, "operand size", s->ours.op_size * 8U, s->op[i].size);
		if (register_number(s->op[i].mem.base) == s->ours.base)
			compare_memory(s, &s->op[i]);
		else
			agree(s, "destination", (u64)register_number(s->op[i].mem.base), 7);
	}
	agree(s, "memory operands", (u64)memory,
	      s->ours.opcode == EMUL_MOVS || s->ours.opcode == EMUL_CMPS ? 2 : 1);
	agree(s, "address size", s->ours.addr_size * 8U, s->theirs.address_width);
}

static void compare_cr(const struct subject *s)
{
	const ZydisDecodedOperand *cr, *reg;

	if (s->ours.cr_op == CR_CLTS)
		return;
	if (s->ours.cr_op == CR_LMSW) {
		agree(s, "LMSW", s->theirs.mnemonic, ZYDIS_MNEMONIC_LMSW);
		if (s->ours.src.kind == EMUL_OP_MEM) {
			compare_operand(s, &s->ours.src, &s->op[0]);
		} else {
			agree(s, "register", s->ours.src.reg,
			      (u64)register_number(s->op[0].reg.value));
		}
		return;
	}
	if (s->ours.cr_op == CR_SMSW) {
		agree(s, "SMSW", s->theirs.mnemonic, ZYDIS_MNEMONIC_SMSW);
		if (s->ours.dst.kind == EMUL_OP_MEM)
			compare_operand(s, &s->ours.dst, &s->op[0]);
		else
			agree(s, "register", s->ours.dst.reg,
			      (u64)register_number(s->op[0].reg.value));
		return;
	}
	agree(s, "MOV CR", s->theirs.mnemonic, ZYDIS_MNEMONIC_MOV);
	cr = s->ours.cr_op == CR_MOV_TO ? &s->op[0] : &s->op[1];
	reg = s->ours.cr_op == CR_MOV_TO ? &s->op[1] : &s->op[0];
	agree(s, "CR", ZYDIS_REGISTER_CR0 + s->ours.cr, cr->reg.value);
	compare_operand(s, s->ours.cr_op == CR_MOV_TO ? &s->ours.src : &s->ours.dst, reg);
}

static int opcode_of(ZydisMnemonic m)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].zydis == m)
			return names[i].opcode;
	}
	return EMUL_INVALID;
}

/* Of CALL and JMP only the far ones are, which may switch tasks. */
static bool is_other(const ZydisDecodedInstruction *insn)
{
	ZydisMnemonic m = insn->mnemonic;
	unsigned i;

	if (m == ZYDIS_MNEMONIC_CALL || m == ZYDIS_MNEMONIC_JMP)
		return insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		if (others[i] == m)
			return true;
	}
	return false;
}

static void compare(const struct subject *s)
{
	const struct emul_operand *ours[2] = {&s->ours.dst, &s->ours.src};
	unsigned i, k = 0;

	agree(s, "length", s->ours.len, s->theirs.length);
	per_opcode[s->ours.opcode]++;
	compared++;
	if (s->ours.opcode == EMUL_OTHER) {
		if (!is_other(&s->theirs) && s->theirs.mnemonic != ZYDIS_MNEMONIC_MOV /* DR */)
			disagree(s, "known for its length");
		return;
	}
	if (s->ours.opcode == EMUL_CR) {
		compare_cr(s);
		return;
	}
	agree(s, "operation", s->ours.opcode, (u64)opcode_of(s->theirs.mnemonic));
	if (is_string(&s->ours)) {
		compare_string(s);
		return;
	}
	for (i = 0; i < s->theirs.operand_count_visible; i++) {
		while (k < 2 && ours[k]->kind == EMUL_OP_NONE)
			k++;
		if (k == 2)
			disagree(s, "number of operands");
		compare_operand(s, ours[k++], &s->op[i]);
	}
}

/* Must we know this one? General registers and memory; not the segment, debug and vector registers. */
static bool promised(const struct subject *s)
{
	unsigned i;
	bool memory = false;

	if (is_other(&s->theirs))
		return true;
	if (s->theirs.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    opcode_of(s->theirs.mnemonic) == EMUL_INVALID)
		return false;
	if (s->theirs.mnemonic == ZYDIS_MNEMONIC_CLTS || s->theirs.mnemonic == ZYDIS_MNEMONIC_LMSW)
		return true;
	for (i = 0; i < s->theirs.operand_count; i++) {
		const ZydisDecodedOperand *op = &s->op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    (op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT ||
		     s->theirs.mnemonic != ZYDIS_MNEMONIC_PUSH))
			memory = true;
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT &&
		    register_number(op->reg.value) < 0)
			return false;
	}
	return memory;
}

/*
 * The 0F 01 group: the SDM demands "no 66, F2 or F3" of some instructions, Zydis of all. An intercepted instruction
 * has been recognised by the CPU already, and its length is the same: with null prefixes in their place.
 */
static bool same_without_prefixes(const struct subject *s)
{
	ZydisDecodedInstruction theirs;
	u8 b[16];
	unsigned i;

	memcpy(b, s->bytes, sizeof(b));
	for (i = 0; i < s->ours.len && b[i] != 0x0f; i++) {
		if (b[i] == 0x66 || b[i] == 0xf0 || b[i] == 0xf2 || b[i] == 0xf3)
			b[i] = 0x3e;
	}
	return b[i + 1] == 0x01 &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[s->mode], b, 15, &theirs,
						   (ZydisDecodedOperand *)s->op)) &&
	       theirs.length == s->ours.len && is_other(&theirs);
}

/* Bytes that we accept and Zydis does not; each with its reason. */
static bool excused(const struct subject *s, ZyanStatus status)
{
	if (s->ours.opcode == EMUL_CR && !s->ours.lock)
		return s->ours.cr == 8 &&
		       memchr(s->bytes, 0xf0, s->ours.len); /* AMD's LOCK MOV CR0 */
	if (status == ZYDIS_STATUS_ILLEGAL_LOCK)
		return s->ours.lock; /* emul_exec() raises #UD */
	return s->ours.opcode == EMUL_OTHER && same_without_prefixes(s);
}

static void check(const u8 *bytes, enum emul_mode mode)
{
	struct subject s = {.mode = mode}; /* bytes[15] is never decoded */
	ZyanStatus status;
	int err;

	memcpy(s.bytes, bytes, 15);
	err = emul_decode(s.bytes, 15, mode, &s.ours);
	status = ZydisDecoderDecodeFull(&decoders[mode], s.bytes, 15, &s.theirs, s.op);
	assert_int_equal(emul_length(s.bytes, 15, mode), err ? err : s.ours.len);
	if (err) {
		assert_int_equal(err, -HV_EINVAL);
		if (ZYAN_SUCCESS(status) && promised(&s))
			disagree(&s, "not accepted");
		return;
	}
	if (ZYAN_SUCCESS(status))
		compare(&s);
	else if (!excused(&s, status))
		disagree(&s, "accepted, and Zydis refuses it");
}

static u64 seed = 0x9e3779b97f4a7c15ULL;

static u64 random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_bytes(u8 *buf, unsigned n)
{
	while (n--)
		*buf++ = (u8)(random64() >> 24);
}

/* Every opcode of the two maps with every ModR/M byte, behind each prefix alone and some pairs. */
static void test_systematic(void **state)
{
	static const u8 prefixes[][2] = {
		{0, 0},       {0x66, 0},    {0x67, 0},    {0xf0, 0},    {0xf2, 0},    {0xf3, 0},
		{0x2e, 0},    {0x64, 0},    {0x36, 0},    {0x40, 0},    {0x4f, 0},    {0x48, 0},
		{0x66, 0x48}, {0x67, 0x47}, {0x64, 0x2e}, {0xf2, 0xf3}, {0xf3, 0xf2}, {0x48, 0x66},
		{0x66, 0x67}, {0x65, 0x67}, {0x3e, 0x26}, {0x66, 0xf2}, {0x66, 0xf3}, {0xf3, 0x48},
	};
	unsigned mode, p, op, modrm, map;
	u8 b[15];

	(void)state;
	for (mode = 0; mode < 3; mode++) {
		for (p = 0; p < ARRAY_SIZE(prefixes); p++) {
			for (op = 0; op < 768; op++) {
				for (modrm = 0; modrm < 256; modrm++) {
					unsigned n = 0;

					random_bytes(b, sizeof(b));
					if (prefixes[p][0])
						b[n++] = prefixes[p][0];
					if (prefixes[p][1])
						b[n++] = prefixes[p][1];
					map = op >> 8;
					if (map)
						b[n++] = 0x0f;
					if (map == 2)
						b[n++] = 0x38;
					b[n++] = (u8)op;
					b[n++] = (u8)modrm;
					check(b, (enum emul_mode)mode);
				}
			}
		}
	}
}

static void test_random(void **state)
{
	static const u8 likely_bytes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e,
					  0x64, 0x65, 0x40, 0x41, 0x42, 0x44, 0x48, 0x4c, 0x4f};
	unsigned long i;
	unsigned k, n;
	u8 b[15];

	(void)state;
	for (i = 0; i < 1500000; i++) {
		random_bytes(b, sizeof(b));
		n = random64() >> 20 & 3;
		for (k = 0; k < n; k++)
			b[k] = likely_bytes[(random64() >> 13) % ARRAY_SIZE(likely_bytes)];
		if (random64() & BIT(40))
			b[n] = 0x0f;
		check(b, (enum emul_mode)(i % 3));
	}
}

/* Fewer bytes than the instruction has: more are asked for, and never one is read that is not there. */
static void test_truncated(void **state)
{
	unsigned long i;
	unsigned count;
	u8 b[15];

	(void)state;
	for (i = 0; i < 200000; i++) {
		enum emul_mode mode = (enum emul_mode)(i % 3);
		struct emul_insn whole, part;

		random_bytes(b, sizeof(b));
		if (i & 1)
			b[0] = (u8)(0x88 + (i >> 1) % 4);
		if (emul_decode(b, 15, mode, &whole))
			continue;
		for (count = 0; count < whole.len; count++) {
			u8 exact[15]; /* AddressSanitizer sees a read past the end of this copy */
			u8 *end = exact + 15 - count;

			memcpy(end, b, count);
			assert_int_equal(emul_decode(end, count, mode, &part), -HV_EAGAIN);
			assert_int_equal(emul_length(end, count, mode), -HV_EAGAIN);
		}
		assert_int_equal(emul_decode(b, whole.len, mode, &part), 0);
		assert_memory_equal(&whole, &part, sizeof(whole));
	}
}

/* 16 bytes are one too many, whatever they are. */
static void test_too_long(void **state)
{
	u8 b[20];
	struct emul_insn insn;

	(void)state;
	memset(b, 0x66, sizeof(b));
	assert_int_equal(emul_decode(b, 15, EMUL_MODE64, &insn), -HV_EINVAL);
	assert_int_equal(emul_decode(b, 20, EMUL_MODE64, &insn), -HV_EINVAL);
	assert_int_equal(emul_decode(b, 14, EMUL_MODE64, &insn), -HV_EAGAIN);
	b[14] = 0x0f; /* CPUID as bytes 15 and 16 */
	b[15] = 0xa2;
	assert_int_equal(emul_decode(b, 20, EMUL_MODE64, &insn), -HV_EINVAL);
	assert_int_equal(emul_length(b, 20, EMUL_MODE64), -HV_EINVAL);
	assert_int_equal(emul_length(b + 1, 15, EMUL_MODE64), 15);
}

/* The tests above have met every operation often enough to mean something. */
static void test_coverage(void **state)
{
	unsigned op;

	(void)state;
	for (op = EMUL_INVALID + 1; op < EMUL_OPCODES; op++) {
		if (per_opcode[op] < 100)
			fail_msg("opcode %u was compared %lu times only", op, per_opcode[op]);
	}
	assert_true(compared > 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_systematic), cmocka_unit_test(test_random),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_coverage),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
