/* SPDX-License-Identifier: MIT */
/*
 * Turns the exit fields of a VMCB into a struct vm_exit, by a const table with a row per exit code. Pure, fuzzed: it
 * sees a VMCB and the CPU's features, nothing else. Called by svm_run() after every exit, so the usual kinds are quick.
 *
 * APM vol. 2 "#VMEXIT", "IOIO Intercepts", "Decode Assists", "Nested Paging", appendix "SVM Intercept Exit Codes".
 */
#include <arch/regs.h>

#include "svm.h"

/* How a row's exit is filled in, beyond its kind. */
enum form {
	FORM_PLAIN,
	FORM_INSN, /* an instruction's exit: nRIP is valid where the CPU has it */
	FORM_IO,
	FORM_MSR,
	FORM_CR,
	FORM_EXC,
};

struct row {
	u8 kind;
	u8 form;
};

static const struct row rows[SVM_EXIT_CODES] = {
	[SVM_EXIT_CR_READ... SVM_EXIT_CR_WRITE + 15] = {EXIT_CR, FORM_CR},
	[SVM_EXIT_DR_READ... SVM_EXIT_DR_WRITE + 15] = {EXIT_DR, FORM_INSN},
	[SVM_EXIT_EXC... SVM_EXIT_EXC + 31] = {EXIT_EXCEPTION, FORM_EXC},
	[SVM_EXIT_INTR] = {EXIT_EXT_INTR, FORM_PLAIN},
	[SVM_EXIT_NMI] = {EXIT_NMI, FORM_PLAIN},
	[SVM_EXIT_SMI] = {EXIT_NONE, FORM_PLAIN}, /* taken at STGI */
	[SVM_EXIT_INIT] = {EXIT_INIT, FORM_PLAIN},
	[SVM_EXIT_VINTR] = {EXIT_INTR_WINDOW, FORM_PLAIN},
	[SVM_EXIT_CR0_SEL] = {EXIT_CR, FORM_CR},
	[SVM_EXIT_CR0_SEL + 1 ... SVM_EXIT_RDTSC - 1] = {EXIT_UNKNOWN, FORM_PLAIN},
	[SVM_EXIT_RDTSC] = {EXIT_RDTSC, FORM_INSN},
	[SVM_EXIT_RDPMC] = {EXIT_RDPMC, FORM_INSN},
	[SVM_EXIT_RDPMC + 1 ... SVM_EXIT_CPUID - 1] = {EXIT_UNKNOWN, FORM_PLAIN},
	[SVM_EXIT_CPUID] = {EXIT_CPUID, FORM_INSN},
	[SVM_EXIT_RSM] = {EXIT_UNDEFINED, FORM_PLAIN},
	[SVM_EXIT_IRET] = {EXIT_NONE, FORM_PLAIN}, /* event.c */
	[SVM_EXIT_IRET + 1] = {EXIT_UNKNOWN, FORM_PLAIN},
	[SVM_EXIT_INVD] = {EXIT_WBINVD, FORM_INSN},
	[SVM_EXIT_PAUSE] = {EXIT_PAUSE, FORM_INSN},
	[SVM_EXIT_HLT] = {EXIT_HLT, FORM_INSN},
	[SVM_EXIT_INVLPG] = {EXIT_INVLPG, FORM_INSN},
	[SVM_EXIT_INVLPGA] = {EXIT_UNDEFINED, FORM_PLAIN},
	[SVM_EXIT_IOIO] = {EXIT_IO, FORM_IO},
	[SVM_EXIT_MSR] = {EXIT_RDMSR, FORM_MSR},
	[SVM_EXIT_TASK] = {EXIT_TASK_SWITCH, FORM_PLAIN},
	[SVM_EXIT_FERR_FREEZE] = {EXIT_UNKNOWN, FORM_PLAIN},
	[SVM_EXIT_SHUTDOWN] = {EXIT_TRIPLE_FAULT, FORM_PLAIN},
	[SVM_EXIT_VMRUN] = {EXIT_UNDEFINED, FORM_PLAIN},
	[SVM_EXIT_VMMCALL] = {EXIT_HYPERCALL, FORM_INSN},
	[SVM_EXIT_VMLOAD... SVM_EXIT_SKINIT] = {EXIT_UNDEFINED, FORM_PLAIN},
	[SVM_EXIT_RDTSCP] = {EXIT_RDTSC, FORM_INSN},
	[SVM_EXIT_ICEBP] = {EXIT_UNKNOWN, FORM_PLAIN},
	[SVM_EXIT_WBINVD] = {EXIT_WBINVD, FORM_INSN},
	[SVM_EXIT_MONITOR... SVM_EXIT_MWAIT_COND] = {EXIT_MONITOR, FORM_INSN},
	[SVM_EXIT_XSETBV] = {EXIT_XSETBV, FORM_INSN},
	[SVM_EXIT_RDPRU] = {EXIT_UNDEFINED, FORM_PLAIN},
};

/* Exceptions that push an error code: APM vol. 2 "Vectors". Those of the debug and x87 classes do not. */
#define HAS_ERROR                                                                                  \
	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) |       \
	 BIT(VEC_AC) | BIT(VEC_CP) | BIT(29) | BIT(30))

static u8 insn_length(const struct vmcb *c, u64 next)
{
	u64 len = next - c->save.rip;

	return len <= EXIT_INSN_MAX ? (u8)len : 0;
}

static void decode_io(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	u64 info = c->exitinfo1;

	exit->insn_len = insn_length(c, c->exitinfo2);
	exit->io = (struct exit_io){
		.port = (u16)(info >> 16),
		.size = (u8)field_get(SVM_IO_SIZE, info),
		.in = info & SVM_IO_IN,
	};
	/* Exactly one bit is set; what the size of a malformed one is does not matter, but it is one. */
	if (unlikely(exit->io.size != 1 && exit->io.size != 2 && exit->io.size != 4))
		exit->io.size = 1;
	if (unlikely(info & SVM_IO_STRING)) {
		u8 addr = (u8)field_get(SVM_IO_ADDR_SIZE, info);

		exit->io.string = true;
		exit->io.rep = info & SVM_IO_REP;
		exit->io.addr_size = addr == 1 || addr == 2 || addr == 4 ? addr * 2 : 0;
		exit->io.seg = caps->decode_assists ? (u8)field_get(SVM_IO_SEG, info) : 0xff;
		if (exit->io.seg > VSEG_GS)
			exit->io.seg = 0xff;
	}
}

static void decode_cr(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	bool to = c->exitcode >= SVM_EXIT_CR_WRITE;

	exit->cr = (struct exit_cr){
		.cr = c->exitcode == SVM_EXIT_CR0_SEL ? 0 : (u8)(c->exitcode & 15),
		.op = to ? CR_MOV_TO : CR_MOV_FROM,
	};
	/* CLTS, LMSW and SMSW are not told apart: bit 63 is clear for all of them. */
	if (caps->decode_assists && c->exitinfo1 & SVM_CR_MOV) {
		exit->cr.gpr = (u8)(c->exitinfo1 & SVM_CR_GPR);
		exit->cr.decoded = true;
	}
}

static void decode_exception(const struct vmcb *c, struct vm_exit *exit)
{
	u8 vector = (u8)(c->exitcode - SVM_EXIT_EXC);

	exit->exc = (struct exit_exc){
		.vector = vector,
		.has_error = HAS_ERROR & BIT(vector),
	};
	if (exit->exc.has_error && vector != VEC_DF)
		exit->exc.error = (u32)c->exitinfo1;
	if (vector == VEC_PF)
		exit->exc.address = c->exitinfo2;
	if (vector == VEC_DB)
		exit->exc.address = c->save.dr6 ^ DR6_RESET;
}

/* The host's walk of its own tables found a reserved bit: the tables are wrong, not the guest. */
static void decode_npf(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	u64 info = c->exitinfo1;
	unsigned i;

	exit->kind = info & SVM_NPF_RESERVED ? EXIT_NPT_MISCONFIG : EXIT_NPF;
	exit->npf.gpa = c->exitinfo2;
	exit->npf.access = info & SVM_NPF_WRITE ? NPF_WRITE :
			   info & SVM_NPF_EXEC  ? NPF_EXEC :
						  NPF_READ;
	exit->npf.table_walk = info & SVM_NPF_TABLE_WALK;
	if (caps->decode_assists && !exit->npf.table_walk) {
		exit->insn_count = MIN(c->insn_count & 15, EXIT_INSN_MAX);
		for (i = 0; i < exit->insn_count; i++)
			exit->insn[i] = c->insn[i];
	}
}

/*
 * The event whose delivery the exit interrupted. For INT n, INT3 and INTO the RIP saved is that of the instruction ("Exception
 * Intercepts", "Instruction Intercepts"): it has done nothing yet and simply runs again. Injecting them would need nRIP, which old CPUs
 * lack and which is not saved at such an exit.
 */
static void decode_vectoring(u64 info, struct event *out)
{
	u8 vector = (u8)(info & SVM_EVENT_VECTOR);

	*out = (struct event){.type = EVENT_NONE, .vector = vector};
	switch (field_get(SVM_EVENT_TYPE, info)) {
	case SVM_EVENT_INTR:
		out->type = EVENT_EXT_INTR;
		break;
	case SVM_EVENT_NMI:
		out->type = EVENT_NMI;
		out->vector = VEC_NMI;
		break;
	case SVM_EVENT_EXC:
		if (vector == VEC_BP || vector == VEC_OF || vector == VEC_NMI || vector > 31)
			break;
		out->type = EVENT_EXCEPTION;
		if (info & SVM_EVENT_HAS_ERROR) {
			out->has_error = true;
			out->error = (u32)field_get(SVM_EVENT_ERROR, info);
		}
		break;
	default:
		break;
	}
}

static void decode_rare(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	if (c->exitcode == SVM_EXIT_NPF)
		decode_npf(c, caps, exit);
	else if ((u32)c->exitcode == SVM_EXIT_INVALID)
		exit->kind = EXIT_ENTRY_FAILED;
	else
		exit->kind = EXIT_UNKNOWN;
}

void svm_decode(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	u64 code = c->exitcode;
	const struct row *row;

	exit->raw = code;
	exit->insn_len = 0;
	exit->insn_count = 0;
	exit->vector = 0;
	exit->vectoring.type = EVENT_NONE;
	/* What lies there with the valid bit clear may be stale. */
	if (unlikely(c->exitintinfo & SVM_EVENT_VALID))
		decode_vectoring(c->exitintinfo, &exit->vectoring);
	if (unlikely(code >= SVM_EXIT_CODES)) {
		decode_rare(c, caps, exit);
		return;
	}
	row = &rows[code];
	exit->kind = row->kind;
	if (row->form == FORM_PLAIN)
		return;
	if (row->form == FORM_IO) {
		decode_io(c, caps, exit);
		return;
	}
	if (row->form == FORM_EXC) {
		decode_exception(c, exit);
		return;
	}
	if (caps->nrips)
		exit->insn_len = insn_length(c, c->nrip);
	if (row->form == FORM_CR)
		decode_cr(c, caps, exit);
	else if (row->form == FORM_MSR && c->exitinfo1 & 1)
		exit->kind = EXIT_WRMSR;
}
