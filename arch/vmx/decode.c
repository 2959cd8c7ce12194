/* SPDX-License-Identifier: MIT */
/*
 * PURE: raw fields of a VM exit into struct vm_exit, and events into VM-entry interruption information and
 * back. run.c calls it after each exit that is not of the commonest kinds, having read the fields that the reason's row names and no others.
 * SDM vol. 3 "VM Exits", appendix "VMX Basic Exit Reasons".
 */
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/string.h>

#define Q NEED_QUALIFICATION
#define L NEED_LENGTH
#define I NEED_INTR
#define G NEED_GPA
#define S NEED_INSN_INFO
#define V NEED_VECTORING

/* clang-format off */
const struct vmx_exit_row vmx_exit_rows[VMX_EXIT_ROWS] = {
	[REASON_EXCEPTION]     = { EXIT_EXCEPTION,     Q | I | V },
	[REASON_EXT_INTR]      = { EXIT_EXT_INTR,      I },
	[REASON_TRIPLE_FAULT]  = { EXIT_TRIPLE_FAULT,  0 },
	[3]		       = { EXIT_INIT,	       0 },
	[4]		       = { EXIT_SIPI,	       Q },
	[5]		       = { EXIT_UNKNOWN,       0 }, /* SMIs: dual-monitor treatment only */
	[6]		       = { EXIT_UNKNOWN,       0 },
	[7]		       = { EXIT_INTR_WINDOW,   0 },
	[REASON_NMI_WINDOW]    = { EXIT_NMI_WINDOW,    0 },
	[9]		       = { EXIT_TASK_SWITCH,   Q | L | V },
	[REASON_CPUID]	       = { EXIT_CPUID,	       L },
	[11]		       = { EXIT_UNDEFINED,     L }, /* GETSEC */
	[12]		       = { EXIT_HLT,	       L },
	[13]		       = { EXIT_WBINVD,	       L }, /* INVD */
	[14]		       = { EXIT_INVLPG,	       Q | L },
	[15]		       = { EXIT_RDPMC,	       L },
	[REASON_RDTSC]	       = { EXIT_RDTSC,	       L },
	[17]		       = { EXIT_UNDEFINED,     L }, /* RSM */
	[18]		       = { EXIT_HYPERCALL,     L }, /* VMCALL */
	[19]		       = { EXIT_UNDEFINED,     L }, /* VMCLEAR */
	[20]		       = { EXIT_UNDEFINED,     L }, /* VMLAUNCH */
	[21]		       = { EXIT_UNDEFINED,     L }, /* VMPTRLD */
	[22]		       = { EXIT_UNDEFINED,     L }, /* VMPTRST */
	[23]		       = { EXIT_UNDEFINED,     L }, /* VMREAD */
	[24]		       = { EXIT_UNDEFINED,     L }, /* VMRESUME */
	[25]		       = { EXIT_UNDEFINED,     L }, /* VMWRITE */
	[26]		       = { EXIT_UNDEFINED,     L }, /* VMXOFF */
	[27]		       = { EXIT_UNDEFINED,     L }, /* VMXON */
	[REASON_CR]	       = { EXIT_CR,	       Q | L },
	[29]		       = { EXIT_DR,	       Q | L },
	[REASON_IO]	       = { EXIT_IO,	       Q | L },
	[31]		       = { EXIT_RDMSR,	       L },
	[32]		       = { EXIT_WRMSR,	       L },
	[REASON_ENTRY_GUEST]   = { EXIT_ENTRY_FAILED,  Q },
	[REASON_ENTRY_MSR]     = { EXIT_ENTRY_FAILED,  Q },
	[35]		       = { EXIT_UNKNOWN,       0 },
	[36]		       = { EXIT_MONITOR,       L }, /* MWAIT */
	[37]		       = { EXIT_UNKNOWN,       0 }, /* monitor trap flag */
	[38]		       = { EXIT_UNKNOWN,       0 },
	[39]		       = { EXIT_MONITOR,       L }, /* MONITOR */
	[40]		       = { EXIT_PAUSE,	       L },
	[REASON_ENTRY_MCE]     = { EXIT_ENTRY_FAILED,  Q },
	[42]		       = { EXIT_UNKNOWN,       0 },
	[43]		       = { EXIT_UNKNOWN,       0 }, /* TPR below threshold */
	[44]		       = { EXIT_UNKNOWN,       0 }, /* APIC access */
	[45]		       = { EXIT_UNKNOWN,       0 }, /* virtualized EOI */
	[46]		       = { EXIT_UNKNOWN,       0 }, /* GDTR or IDTR */
	[47]		       = { EXIT_UNKNOWN,       0 }, /* LDTR or TR */
	[REASON_EPT_VIOLATION] = { EXIT_NPF,	       Q | G | V },
	[REASON_EPT_MISCONFIG] = { EXIT_NPT_MISCONFIG, G | V },
	[50]		       = { EXIT_UNDEFINED,     L }, /* INVEPT */
	[51]		       = { EXIT_RDTSC,	       L }, /* RDTSCP */
	[REASON_TIMER]	       = { EXIT_TIMER,	       0 },
	[53]		       = { EXIT_UNDEFINED,     L }, /* INVVPID */
	[54]		       = { EXIT_WBINVD,	       L },
	[55]		       = { EXIT_XSETBV,	       L },
	[56]		       = { EXIT_UNKNOWN,       0 }, /* APIC write */
	[57]		       = { EXIT_UNDEFINED,     L }, /* RDRAND */
	[58]		       = { EXIT_UNDEFINED,     L }, /* INVPCID */
	[59]		       = { EXIT_UNDEFINED,     L }, /* VMFUNC */
	[60]		       = { EXIT_UNDEFINED,     L }, /* ENCLS */
	[61]		       = { EXIT_UNDEFINED,     L }, /* RDSEED */
	[62]		       = { EXIT_UNKNOWN,       0 }, /* page-modification log full */
	[63]		       = { EXIT_UNDEFINED,     L }, /* XSAVES */
	[64]		       = { EXIT_UNDEFINED,     L }, /* XRSTORS */
	[65]		       = { EXIT_UNDEFINED,     L }, /* PCONFIG */
	[66]		       = { EXIT_UNKNOWN,       0 }, /* sub-page permissions */
	[67]		       = { EXIT_UNDEFINED,     L }, /* UMWAIT */
	[68]		       = { EXIT_UNDEFINED,     L }, /* TPAUSE */
	[69]		       = { EXIT_UNDEFINED,     L }, /* LOADIWKEY */
	[70]		       = { EXIT_UNDEFINED,     L }, /* ENCLV */
	[71]		       = { EXIT_UNKNOWN,       0 },
	[72]		       = { EXIT_UNDEFINED,     L }, /* ENQCMD */
	[73]		       = { EXIT_UNDEFINED,     L }, /* ENQCMDS */
	[74]		       = { EXIT_UNKNOWN,       0 }, /* bus lock */
	[75]		       = { EXIT_UNKNOWN,       0 }, /* notify */
	[76]		       = { EXIT_UNDEFINED,     L }, /* SEAMCALL */
	[77]		       = { EXIT_UNDEFINED,     L }, /* TDCALL */
	[78 ... 83]	       = { EXIT_UNKNOWN,       0 },
	[84]		       = { EXIT_UNDEFINED,     L }, /* RDMSR with an immediate */
	[85]		       = { EXIT_UNDEFINED,     L }, /* WRMSRNS with an immediate */
};
/* clang-format on */

const struct vmx_exit_row vmx_exit_row_unknown = {EXIT_UNKNOWN, 0};

/* VM-exit instruction information of INS and OUTS. */
#define INSN_ADDR_SIZE GENMASK(9, 7)
#define INSN_SEGMENT   GENMASK(17, 15)

static void decode_io(const struct vmx_raw *raw, struct exit_io *io)
{
	u32 seg = (u32)field_get(INSN_SEGMENT, raw->insn_info);
	u32 size = (u32)field_get(INSN_ADDR_SIZE, raw->insn_info);

	vmx_decode_io(raw->qualification, io);
	if (!(raw->qualification & IO_STRING))
		return;
	io->string = true;
	io->rep = raw->qualification & IO_REP;
	/* insn_info is 0xffffffff where the CPU does not tell (VMX_BASIC bit 54). */
	io->addr_size = size <= 2 ? (u8)(2U << size) : 0;
	io->seg = !io->in && size <= 2 && seg <= VSEG_GS ? (u8)seg : 0xff;
}

/* Exit qualification for control-register accesses. */
static void decode_cr(u64 q, struct exit_cr *cr)
{
	cr->cr = q & 0xf;
	cr->op = (u8)((q >> 4) & 3); /* in the order of enum cr_op */
	cr->gpr = (u8)((q >> 8) & 0xf);
	cr->decoded = true;
	cr->lmsw_source = (u16)(q >> 16);
	cr->lmsw_known = cr->op == CR_LMSW;
}

_Static_assert(CR_MOV_TO == 0 && CR_MOV_FROM == 1 && CR_CLTS == 2 && CR_LMSW == 3,
	       "enum cr_op is in the order of the exit qualification");

#define EPT_QUAL_READ  BIT(0)
#define EPT_QUAL_WRITE BIT(1)
#define EPT_QUAL_EXEC  BIT(2)
#define EPT_QUAL_VALID BIT(7) /* there is a linear address */
#define EPT_QUAL_FINAL BIT(8) /* the access itself, not the walk to it */

static void decode_npf(const struct vmx_raw *raw, struct exit_npf *npf)
{
	u64 q = raw->qualification;

	npf->gpa = raw->gpa;
	npf->access = (u8)(q & (NPF_READ | NPF_WRITE | NPF_EXEC));
	/* No linear address: the load of PDPTEs by a MOV to a control register. */
	npf->table_walk = !(q & EPT_QUAL_VALID) || !(q & EPT_QUAL_FINAL);
}

_Static_assert(NPF_READ == EPT_QUAL_READ && NPF_WRITE == EPT_QUAL_WRITE &&
		       NPF_EXEC == EPT_QUAL_EXEC,
	       "NPF_* are the bits of the exit qualification");

static void decode_exception(const struct vmx_raw *raw, struct vm_exit *exit)
{
	u32 info = raw->intr_info;

	exit->exc = (struct exit_exc){
		.vector = (u8)info,
		.has_error = info & INTR_HAS_ERROR,
		.error = info & INTR_HAS_ERROR ? raw->intr_error : 0,
		.address = raw->qualification,
	};
	if (field_get(INTR_TYPE, info) == INTR_NMI)
		exit->kind = EXIT_NMI;
}

void vmx_info_to_event(u32 info, u32 error, u32 insn_len, struct event *out)
{
	/* By the interruption type. 1 is reserved; 7 cannot interrupt a delivery. */
	static const u8 types[8] = {EVENT_EXT_INTR,  EVENT_NONE,     EVENT_NMI,
				    EVENT_EXCEPTION, EVENT_SOFT_INT, EVENT_PRIV_SOFT_EXC,
				    EVENT_SOFT_EXC,  EVENT_NONE};
	u8 type = info & INTR_VALID ? types[field_get(INTR_TYPE, info)] : EVENT_NONE;

	*out = (struct event){.type = type};
	if (type == EVENT_NONE)
		return;
	out->vector = (u8)info;
	out->has_error = info & INTR_HAS_ERROR;
	if (out->has_error)
		out->error = error;
	if (type >= EVENT_SOFT_INT)
		out->insn_len = (u8)insn_len;
}

_Static_assert(EVENT_SOFT_INT < EVENT_SOFT_EXC && EVENT_SOFT_EXC < EVENT_PRIV_SOFT_EXC,
	       "the software events come last");

u32 vmx_event_to_info(const struct event *event, bool protected_mode)
{
	static const u8 types[] = {
		[EVENT_EXT_INTR] = INTR_EXT,      [EVENT_NMI] = INTR_NMI,
		[EVENT_EXCEPTION] = INTR_HARD,    [EVENT_SOFT_INT] = INTR_SOFT,
		[EVENT_SOFT_EXC] = INTR_SOFT_EXC, [EVENT_PRIV_SOFT_EXC] = INTR_PRIV_SOFT};
	u32 info;

	if (event->type == EVENT_NONE || event->type >= ARRAY_SIZE(types))
		return 0;
	info = (u32)(INTR_VALID | field_prep(INTR_TYPE, types[event->type]) | event->vector);
	if (event->has_error && event->type == EVENT_EXCEPTION && protected_mode)
		info |= INTR_HAS_ERROR;
	return info;
}

#define TASK_SELECTOR GENMASK(15, 0)
#define TASK_SOURCE   GENMASK(31, 30)

_Static_assert(TASK_CALL == 0 && TASK_IRET == 1 && TASK_JMP == 2 && TASK_GATE == 3,
	       "enum task_source is in the order of the exit qualification");

/*
 * Exit qualification for task switches; an event through a task gate is the one whose delivery was interrupted. RFLAGS as saved is
 * what the old TSS is to get, RF included (SDM "Saving RIP, RSP, RFLAGS, and SSP"): run.c has it.
 */
static void decode_task(const struct vmx_raw *raw, struct vm_exit *exit)
{
	const struct event *event = &exit->vectoring;
	u8 source = (u8)field_get(TASK_SOURCE, raw->qualification);
	bool gate = source == TASK_GATE;

	exit->task = (struct exit_task){
		.selector = (u16)field_get(TASK_SELECTOR, raw->qualification),
		.source = source,
		.insn = !gate || event->type >= EVENT_SOFT_INT,
		.external = gate && event->type != EVENT_SOFT_INT && event->type != EVENT_SOFT_EXC,
		.has_error = gate && event->has_error,
		.error = event->error,
	};
}

/*
 * SDM "Information About NMI Unblocking Due to IRET": bit 12 of the exit qualification or of the interruption
 * information, valid unless the exit came while an event was being delivered, or for a double fault.
 */
bool vmx_exit_unblocked_nmi(const struct vmx_raw *raw)
{
	if (raw->vectoring_info & INTR_VALID)
		return false;
	if (raw->reason == REASON_EPT_VIOLATION)
		return raw->qualification & INTR_UNBLOCKED_NMI;
	return raw->reason == REASON_EXCEPTION && (raw->intr_info & INTR_UNBLOCKED_NMI) &&
	       (raw->intr_info & INTR_VECTOR) != VEC_DF;
}

void vmx_decode(const struct vmx_raw *raw, struct vm_exit *exit)
{
	const struct vmx_exit_row *row = vmx_exit_row(raw->reason);

	vmx_decode_common(row->kind, raw->reason, row->need & NEED_LENGTH ? raw->length : 0, exit);
	if (unlikely(row->need & NEED_VECTORING))
		vmx_info_to_event(raw->vectoring_info, raw->vectoring_error, raw->length,
				  &exit->vectoring);
	switch (row->kind) {
	case EXIT_IO:
		decode_io(raw, &exit->io);
		break;
	case EXIT_NPF:
		decode_npf(raw, &exit->npf);
		break;
	case EXIT_CR:
		decode_cr(raw->qualification, &exit->cr);
		break;
	case EXIT_EXCEPTION:
		decode_exception(raw, exit);
		break;
	case EXIT_TASK_SWITCH:
		decode_task(raw, exit);
		break;
	case EXIT_EXT_INTR:
		exit->vector = (u8)raw->intr_info;
		if (!(raw->intr_info & INTR_VALID))
			exit->kind = EXIT_NONE;
		break;
	case EXIT_NPT_MISCONFIG:
		exit->npf = (struct exit_npf){.gpa = raw->gpa};
		break;
	default:
		break;
	}
}
