/* SPDX-License-Identifier: MIT */
/*
 * Turns the exit fields of a VMCB into a struct vm_exit, by a const table with a row per exit code. Pure, fuzzed: it
 * sees a VMCB and the CPU's features, nothing else. The exits that are many go through svm_decode_quick() in svm.h, with the same result.
 *
 * APM vol. 2 "#VMEXIT", "IOIO Intercepts", "Decode Assists", "Nested Paging", appendix "SVM Intercept Exit Codes".
 */
#include <arch/regs.h>

#include "svm.h"

const struct svm_exit_row svm_exit_rows[SVM_EXIT_CODES] = {
	[SVM_EXIT_CR_READ... SVM_EXIT_CR_WRITE + 15] = {EXIT_CR, SVM_FORM_OTHER},
	[SVM_EXIT_DR_READ... SVM_EXIT_DR_WRITE + 15] = {EXIT_DR, SVM_FORM_INSN},
	[SVM_EXIT_EXC... SVM_EXIT_EXC + 31] = {EXIT_EXCEPTION, SVM_FORM_OTHER},
	[SVM_EXIT_INTR] = {EXIT_EXT_INTR, SVM_FORM_OTHER},
	[SVM_EXIT_NMI] = {EXIT_NMI, SVM_FORM_OTHER},
	[SVM_EXIT_SMI] = {EXIT_NONE, SVM_FORM_OTHER}, /* taken at STGI */
	[SVM_EXIT_INIT] = {EXIT_INIT, SVM_FORM_OTHER},
	[SVM_EXIT_VINTR] = {EXIT_INTR_WINDOW, SVM_FORM_OTHER},
	[SVM_EXIT_CR0_SEL] = {EXIT_CR, SVM_FORM_OTHER},
	[SVM_EXIT_CR0_SEL + 1 ... SVM_EXIT_RDTSC - 1] = {EXIT_UNKNOWN, SVM_FORM_OTHER},
	[SVM_EXIT_RDTSC] = {EXIT_RDTSC, SVM_FORM_INSN},
	[SVM_EXIT_RDPMC] = {EXIT_RDPMC, SVM_FORM_INSN},
	[SVM_EXIT_RDPMC + 1 ... SVM_EXIT_CPUID - 1] = {EXIT_UNKNOWN, SVM_FORM_OTHER},
	[SVM_EXIT_CPUID] = {EXIT_CPUID, SVM_FORM_INSN},
	[SVM_EXIT_RSM] = {EXIT_UNDEFINED, SVM_FORM_OTHER},
	[SVM_EXIT_IRET] = {EXIT_NONE, SVM_FORM_OTHER}, /* event.c */
	[SVM_EXIT_IRET + 1] = {EXIT_UNKNOWN, SVM_FORM_OTHER},
	[SVM_EXIT_INVD] = {EXIT_WBINVD, SVM_FORM_INSN},
	[SVM_EXIT_PAUSE] = {EXIT_PAUSE, SVM_FORM_INSN},
	[SVM_EXIT_HLT] = {EXIT_HLT, SVM_FORM_INSN},
	[SVM_EXIT_INVLPG] = {EXIT_INVLPG, SVM_FORM_INSN},
	[SVM_EXIT_INVLPGA] = {EXIT_UNDEFINED, SVM_FORM_OTHER},
	[SVM_EXIT_IOIO] = {EXIT_IO, SVM_FORM_OTHER},
	[SVM_EXIT_MSR] = {EXIT_RDMSR, SVM_FORM_OTHER},
	[SVM_EXIT_TASK] = {EXIT_TASK_SWITCH, SVM_FORM_OTHER},
	[SVM_EXIT_FERR_FREEZE] = {EXIT_UNKNOWN, SVM_FORM_OTHER},
	[SVM_EXIT_SHUTDOWN] = {EXIT_TRIPLE_FAULT, SVM_FORM_OTHER},
	[SVM_EXIT_VMRUN] = {EXIT_UNDEFINED, SVM_FORM_OTHER},
	[SVM_EXIT_VMMCALL] = {EXIT_HYPERCALL, SVM_FORM_INSN},
	[SVM_EXIT_VMLOAD... SVM_EXIT_SKINIT] = {EXIT_UNDEFINED, SVM_FORM_OTHER},
	[SVM_EXIT_RDTSCP] = {EXIT_RDTSC, SVM_FORM_INSN},
	[SVM_EXIT_ICEBP] = {EXIT_UNKNOWN, SVM_FORM_OTHER},
	[SVM_EXIT_WBINVD] = {EXIT_WBINVD, SVM_FORM_INSN},
	[SVM_EXIT_MONITOR... SVM_EXIT_MWAIT_COND] = {EXIT_MONITOR, SVM_FORM_INSN},
	[SVM_EXIT_XSETBV] = {EXIT_XSETBV, SVM_FORM_INSN},
	[SVM_EXIT_RDPRU] = {EXIT_UNDEFINED, SVM_FORM_OTHER},
};

/* Exceptions that push an error code: APM vol. 2 "Vectors". Those of the debug and x87 classes do not. */
#define HAS_ERROR                                                                                  \
	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) |       \
	 BIT(VEC_AC) | BIT(VEC_CP) | BIT(29) | BIT(30))

static void decode_string_io(const struct svm_caps *caps, u64 info, struct exit_io *io)
{
	u8 addr = (u8)field_get(SVM_IO_ADDR_SIZE, info);

	io->string = true;
	io->rep = info & SVM_IO_REP;
	io->addr_size = addr == 1 || addr == 2 || addr == 4 ? addr * 2 : 0;
	io->seg = caps->decode_assists ? (u8)field_get(SVM_IO_SEG, info) : 0xff;
	if (io->seg > VSEG_GS)
		io->seg = 0xff;
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

/* INT n, INT3 and INTO. */
static bool is_software(u64 info)
{
	u8 type = (u8)field_get(SVM_EVENT_TYPE, info), vector = (u8)(info & SVM_EVENT_VECTOR);

	return type == SVM_EVENT_SOFT ||
	       (type == SVM_EVENT_EXC && (vector == VEC_BP || vector == VEC_OF));
}

/*
 * A CALL and a task gate of the IDT are told apart by whether an event was being delivered. The exit comes before the instruction
 * has done anything, and without its length.
 */
static void decode_task(const struct vmcb *c, struct vm_exit *exit)
{
	u64 info = c->exitinfo2;
	bool gate = c->exitintinfo & SVM_EVENT_VALID;
	bool software = gate && is_software(c->exitintinfo);

	exit->task = (struct exit_task){
		.selector = (u16)c->exitinfo1,
		.source = info & SVM_TASK_IRET ? TASK_IRET :
			  info & SVM_TASK_JMP  ? TASK_JMP :
			  gate                 ? TASK_GATE :
						 TASK_CALL,
		.insn = !gate || software,
		.external = gate && !software,
		.rf = info & SVM_TASK_RF,
		.has_error = gate && info & SVM_TASK_HAS_ERROR,
		.error = (u32)info,
	};
}

static void decode_row(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	const struct svm_exit_row *row = &svm_exit_rows[c->exitcode];

	exit->kind = row->kind;
	switch (row->kind) {
	case EXIT_IO:
		exit->insn_len = svm_length_to(c, c->exitinfo2);
		svm_decode_io(c->exitinfo1, &exit->io);
		if (c->exitinfo1 & SVM_IO_STRING)
			decode_string_io(caps, c->exitinfo1, &exit->io);
		return;
	case EXIT_EXCEPTION:
		decode_exception(c, exit);
		return;
	case EXIT_CR:
		decode_cr(c, caps, exit);
		break;
	case EXIT_TASK_SWITCH:
		decode_task(c, exit);
		return;
	case EXIT_RDMSR:
		if (c->exitinfo1 & 1)
			exit->kind = EXIT_WRMSR;
		break;
	default:
		if (row->form != SVM_FORM_INSN)
			return;
	}
	if (caps->nrips)
		exit->insn_len = svm_length_to(c, c->nrip);
}

void svm_decode(const struct vmcb *c, const struct svm_caps *caps, struct vm_exit *exit)
{
	svm_decode_head(c->exitcode, EXIT_UNKNOWN, 0, exit);
	/* What lies there with the valid bit clear may be stale. */
	if (c->exitintinfo & SVM_EVENT_VALID)
		decode_vectoring(c->exitintinfo, &exit->vectoring);
	if (c->exitcode < SVM_EXIT_CODES)
		decode_row(c, caps, exit);
	else if (c->exitcode == SVM_EXIT_NPF)
		decode_npf(c, caps, exit);
	else if ((u32)c->exitcode == SVM_EXIT_INVALID)
		exit->kind = EXIT_ENTRY_FAILED;
}
