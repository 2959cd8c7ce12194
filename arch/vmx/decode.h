/* SPDX-License-Identifier: MIT */
/*
 * VM exits and events: reasons, the fields that each needs, and how they become struct vm_exit. PURE: decode.c, and
 * here what is inlined into the run path (run.c). SDM vol. 3 "VM Exits", appendix "VMX Basic Exit Reasons".
 */
#ifndef VMX_DECODE_H
#define VMX_DECODE_H

#include <vmm/exit.h>
#include <vmm/types.h>

#define REASON_EXCEPTION     0
#define REASON_EXT_INTR      1
#define REASON_TRIPLE_FAULT  2
#define REASON_NMI_WINDOW    8
#define REASON_CPUID         10
#define REASON_RDTSC         16
#define REASON_CR            28
#define REASON_IO            30
#define REASON_ENTRY_GUEST   33
#define REASON_ENTRY_MSR     34
#define REASON_ENTRY_MCE     41
#define REASON_EPT_VIOLATION 48
#define REASON_EPT_MISCONFIG 49
#define REASON_TIMER         52
#define REASON_BASIC         GENMASK(15, 0)
#define REASON_ENTRY_FAILED  BIT(31)

/* Interruption information: VM exit, IDT-vectoring, VM entry. */
#define INTR_VECTOR        GENMASK(7, 0)
#define INTR_TYPE          GENMASK(10, 8)
#define INTR_HAS_ERROR     BIT(11)
#define INTR_UNBLOCKED_NMI BIT(12) /* VM exit only */
#define INTR_VALID         BIT(31)
enum {
	INTR_EXT = 0,
	INTR_NMI = 2,
	INTR_HARD = 3,
	INTR_SOFT = 4,
	INTR_PRIV_SOFT = 5,
	INTR_SOFT_EXC = 6,
	INTR_OTHER = 7
};

/* Interruptibility */
#define GUEST_BLOCK_STI    BIT(0)
#define GUEST_BLOCK_MOV_SS BIT(1)
#define GUEST_BLOCK_SMI    BIT(2)
#define GUEST_BLOCK_NMI    BIT(3)

/* Pending debug exceptions */
#define PENDING_DBG_ENABLED BIT(12)
#define PENDING_DBG_BS      BIT(14)

/* The fields that decoding an exit needs; a row's mask says which of them have been read. */
#define NEED_QUALIFICATION BIT(0)
#define NEED_LENGTH        BIT(1)
#define NEED_INTR          BIT(2) /* intr_info and, if that says so, intr_error */
#define NEED_GPA           BIT(3)
#define NEED_INSN_INFO     BIT(4) /* of string I/O only */
#define NEED_VECTORING     BIT(5) /* vectoring_* and the length of a software event */

struct vmx_raw {
	u32 reason;
	u32 length;
	u64 qualification;
	u64 gpa;
	u32 intr_info, intr_error;
	u32 vectoring_info, vectoring_error;
	u32 insn_info;
};

struct vmx_exit_row {
	u8 kind; /* enum exit_kind */
	u8 need; /* NEED_* */
};

#define VMX_EXIT_ROWS 86
extern const struct vmx_exit_row vmx_exit_rows[VMX_EXIT_ROWS];
extern const struct vmx_exit_row vmx_exit_row_unknown;

static inline const struct vmx_exit_row *vmx_exit_row(u32 reason)
{
	return likely(reason < VMX_EXIT_ROWS) ? &vmx_exit_rows[reason] : &vmx_exit_row_unknown;
}

/* Exit qualification for I/O instructions. */
#define IO_SIZE   GENMASK(2, 0) /* less one */
#define IO_IN     BIT(3)
#define IO_STRING BIT(4)
#define IO_REP    BIT(5)
#define IO_PORT   GENMASK(31, 16)

/* What is in every exit; the rest of exits that need only NEED_LENGTH. */
static inline void vmx_decode_common(u32 kind, u32 reason, u32 length, struct vm_exit *exit)
{
	exit->kind = kind;
	exit->raw = reason;
	exit->insn_len = (u8)length;
	exit->insn_count = 0;
	exit->vector = 0;
	exit->vectoring.type = EVENT_NONE;
}

/* IN and OUT; REP means nothing to them. */
static inline void vmx_decode_io(u64 qualification, struct exit_io *io)
{
	io->port = (u16)field_get(IO_PORT, qualification);
	io->size = (u8)(field_get(IO_SIZE, qualification) + 1);
	io->in = field_get(IO_IN, qualification);
	io->string = false;
	io->rep = false;
}

/* Any exit, from the fields that its row needs. */
void vmx_decode(const struct vmx_raw *raw, struct vm_exit *exit);
/* VM-entry interruption information of an event; an error code is delivered in protected mode only. */
u32 vmx_event_to_info(const struct event *event, bool protected_mode);
void vmx_info_to_event(u32 info, u32 error, u32 insn_len, struct event *out);
/* The exit came from an IRET that had already unblocked NMIs: they are to be blocked again. */
bool vmx_exit_unblocked_nmi(const struct vmx_raw *raw);

#endif
