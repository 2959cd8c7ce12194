/* SPDX-License-Identifier: MIT */
/*
 * A VM exit, told in terms that belong to no vendor. arch/vmx/decode.c and arch/svm/decode.c fill it
 * from the raw fields; vmm/core/exit.c dispatches on `kind` by a const table.
 *
 * A back end fills only the members that the kind's comment names, besides the common ones.
 */
#ifndef VMM_EXIT_H
#define VMM_EXIT_H

#include <vmm/types.h>

enum exit_kind {
	EXIT_NONE = 0, /* nothing to do: enter again (e.g. an exit the back end dealt with) */
	EXIT_EXT_INTR, /* host interrupt; vector in .vector, or already serviced (SVM): .vector = 0 */
	EXIT_NMI,      /* host NMI, already recorded */
	EXIT_TIMER,    /* deadline handed to run() passed (VMX-preemption timer) */
	EXIT_INTR_WINDOW, /* the guest can take an external interrupt now */
	EXIT_NMI_WINDOW,  /* the guest can take an NMI now */
	EXIT_CPUID,
	EXIT_IO, /* .io */
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_HLT,
	EXIT_HYPERCALL,
	EXIT_NPF,       /* .npf: EPT violation or nested page fault */
	EXIT_CR,        /* .cr: MOV to/from CR, CLTS, LMSW */
	EXIT_DR,        /* MOV to/from DR (only intercepted on demand) */
	EXIT_EXCEPTION, /* .exc: an exception of the guest that is intercepted */
	EXIT_XSETBV,
	EXIT_WBINVD, /* WBINVD and INVD (which is never passed to real hardware) */
	EXIT_INVLPG,
	EXIT_RDPMC,
	EXIT_RDTSC,
	EXIT_PAUSE,
	EXIT_MONITOR,   /* MONITOR, MWAIT */
	EXIT_UNDEFINED, /* an instruction that does not exist for the guest (VMX, SVM, SMX...): #UD */
	EXIT_TASK_SWITCH, /* .task */
	EXIT_TRIPLE_FAULT,
	EXIT_INIT,
	EXIT_SIPI,
	EXIT_NPT_MISCONFIG, /* our own tables are wrong: .npf.gpa */
	EXIT_ENTRY_FAILED, /* the CPU refused the state; the back end has logged which rule it breaks */
	EXIT_UNKNOWN,      /* .raw names it */
	EXIT_KINDS
};

/* Access of a nested page fault. */
#define NPF_READ  BIT(0)
#define NPF_WRITE BIT(1)
#define NPF_EXEC  BIT(2)

struct exit_io {
	u16 port;
	u8 size; /* 1, 2, 4 */
	bool in; /* IN/INS */
	bool string;
	bool rep;
	u8 addr_size; /* string: 2, 4, 8; 0 if the hardware did not say */
	u8 seg;       /* string OUTS: enum vseg; 0xff if the hardware did not say */
};

struct exit_npf {
	gpa_t gpa;
	u8 access;       /* NPF_* */
	bool table_walk; /* the guest's own page-table walk caused it, not the final access */
};

enum cr_op { CR_MOV_TO, CR_MOV_FROM, CR_CLTS, CR_LMSW, CR_SMSW };

struct exit_cr {
	u8 cr;  /* 0, 3, 4, 8 */
	u8 op;  /* enum cr_op */
	u8 gpr; /* CR_MOV_*: register number */
	bool decoded; /* false: the hardware gave no operands (SVM without decode assists): decode the bytes */
	u16 lmsw_source; /* CR_LMSW: source operand, valid if lmsw_known */
	bool lmsw_known; /* register form, or value given by the hardware */
};

struct exit_exc {
	u8 vector;
	bool has_error;
	u32 error;
	u64 address; /* #PF: CR2; #DB: pending DR6 bits */
};

/* What tried to switch tasks; in the order of VMX's exit qualification. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE /* of the IDT */ };

struct exit_task {
	u16 selector;   /* of the new TSS */
	u8 source;      /* enum task_source */
	bool insn;      /* RIP is on an instruction, behind which the old task goes on */
	bool external;  /* the event is no INT n, INT3 or INTO: EXT in error codes */
	bool rf;        /* RFLAGS.RF of the old task's image */
	bool has_error; /* the event pushes one */
	u32 error;
};

/* An event for a guest, or one whose delivery an exit interrupted. */
enum event_type {
	EVENT_NONE = 0,
	EVENT_EXT_INTR,
	EVENT_NMI,
	EVENT_EXCEPTION,     /* hardware exception */
	EVENT_SOFT_INT,      /* INT n */
	EVENT_SOFT_EXC,      /* INT3, INTO */
	EVENT_PRIV_SOFT_EXC, /* INT1 */
};

struct event {
	u8 type; /* enum event_type */
	u8 vector;
	bool has_error;
	u8 insn_len; /* of the software interrupt's instruction, else 0 */
	u32 error;
};

#define EXIT_INSN_MAX 15

struct vm_exit {
	u32 kind;      /* enum exit_kind */
	u8 insn_len;   /* length of the instruction that exited; 0: not known, fetch and decode */
	u8 insn_count; /* bytes valid in insn[] (decode assists), 0: fetch them */
	u8 vector;     /* EXIT_EXT_INTR */
	u64 raw;       /* the vendor's own exit code, for statistics and messages */
	struct event vectoring; /* event whose delivery was interrupted; type EVENT_NONE if none */
	union {
		struct exit_io io;
		struct exit_npf npf;
		struct exit_cr cr;
		struct exit_exc exc;
		struct exit_task task;
	};
	u8 insn[EXIT_INSN_MAX]; /* valid: insn_count */
};

const char *exit_kind_name(u32 kind);

#endif
