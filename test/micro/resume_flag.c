/* SPDX-License-Identifier: MIT */
/*
 * A fault's handler finds RF set in the flags that it returns with, so that a breakpoint on the instruction does not hit a second time; traps and interrupts
 * leave it clear. It is so whether the CPU raises the fault or the hypervisor does. SDM vol. 3 "Masking Instruction Breakpoints".
 */
#include "micro.h"

static volatile u64 breakpoint_flags, fault_flags, fault_rip;
static volatile unsigned breakpoints, faults;
static volatile unsigned fault_vector;
static volatile u64 repaired_entry;

static void debug(struct frame *f)
{
	breakpoints++;
	breakpoint_flags = f->rflags;
	check_equal("DR6 at a breakpoint", read_dr6() & 0xf, 1);
	write_dr6(DR6_RESET);
	f->rflags |= RFLAGS_RF;
}

/* The first time the cause is mended, or there is none, and the instruction runs again; the second time it is skipped. */
static void fault(struct frame *f)
{
	faults++;
	fault_vector = (unsigned)f->vector;
	fault_flags = f->rflags;
	fault_rip = f->rip;
	if (repaired_entry) {
		*(u64 *)repaired_entry |= PTE_P;
		repaired_entry = 0;
	} else if (faults > 1) {
		f->rip = trap_fixup;
	}
}

#define FAULT(name, insn, vector, a, c, d, s)                                                      \
	do {                                                                                       \
		u64 at_, a_ = (a), c_ = (c), d_ = (d), s_ = (s);                                   \
		breakpoints = faults = 0;                                                          \
		trap_handlers[vector] = fault;                                                     \
		__asm__ volatile("mov $1f, %%rbx; mov %%rbx, %%dr0; mov %%rbx, %0\n\t"             \
				 "movq $2f, trap_fixup; mov $0x401, %%ebx; mov %%rbx, %%dr7\n"     \
				 "1:	" insn "\n"                                                \
				 "2:	mov $0x400, %%ebx; mov %%rbx, %%dr7; movq $0, trap_fixup"     \
				 : "=m"(at_), "+a"(a_), "+c"(c_), "+d"(d_), "+S"(s_)               \
				 :                                                                 \
				 : "rbx", "memory", "cc");                                         \
		trap_handlers[vector] = NULL;                                                      \
		check(faults &&fault_vector == (vector), name ": %u faults, of vector %u", faults, \
		      fault_vector);                                                               \
		check_equal(name ": RIP", fault_rip, at_);                                         \
		check_equal(name ": RF in its flags", fault_flags &RFLAGS_RF, RFLAGS_RF);          \
		check_equal(name ": breakpoints", breakpoints, 1);                                 \
		check_equal(name ": RF at the breakpoint", breakpoint_flags &RFLAGS_RF, 0);        \
	} while (0)

#define WINDOW 0xc0000000ULL

static void absent_page(u64 frame)
{
	u64 *entry = page_entry(WINDOW);

	*entry = frame | PTE_W;
	invlpg((void *)WINDOW);
	repaired_entry = (u64)entry;
}

static volatile u64 trap_flags;

static void note(struct frame *f)
{
	trap_flags = f->rflags;
	if (f->vector == 0x60)
		apic_eoi();
}

void test(void)
{
	trap_handlers[VEC_DB] = debug;
	FAULT("UD2, the CPU's", "ud2", VEC_UD, 0, 0, 0, 0);
	FAULT("RDMSR", "rdmsr", VEC_GP, 0, 0x1234, 0, 0);
	FAULT("WRMSR", "wrmsr", VEC_GP, 0, MSR_MTRRCAP, 0, 0);
	FAULT("MOV to CR4", "mov %%rax, %%cr4", VEC_GP, BIT(40), 0, 0, 0);
	FAULT("RDPMC", "rdpmc", VEC_GP, 0, 77, 0, 0);
	FAULT("VMXOFF", ".byte 0x0f, 0x01, 0xc4", VEC_UD, 0, 0, 0, 0);
	FAULT("MONITOR", "monitor", VEC_UD, 0, 0, 0, 0);
	absent_page(LAPIC);
	FAULT("MOV from an absent page, the CPU's", "mov (%%rsi), %%eax", VEC_PF, 0, 0, 0,
	      WINDOW + APIC_VERSION);
	absent_page((u64)page_alloc());
	FAULT("OUTS from an absent page", "outsb", VEC_PF, 0, 0, UART + 7, WINDOW);
	/* Traps and interrupts. */
	trap_handlers[VEC_BP] = trap_handlers[0x60] = note;
	trap_flags = ~0ULL;
	__asm__ volatile("int3");
	check_equal("INT3: RF", trap_flags & RFLAGS_RF, 0);
	apic_enable();
	trap_flags = ~0ULL;
	apic_icr(0, 0x40000 | 0x60);
	sti_nop_cli();
	check_equal("interrupt: RF", trap_flags & RFLAGS_RF, 0);
}
