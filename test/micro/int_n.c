/* SPDX-License-Identifier: MIT */
/*
 * Software interrupts and exceptions go through the guest's own IDT: INT n, INT3, INTO, BOUND, #UD, #DE, #BP, #GP by a gate's privilege, #NP,
 * #SS, #DF on its own stack; saved RIP, error codes and stacks are right, from ring 0 and ring 3.
 */
#include "micro.h"

static volatile u64 seen_vector, seen_rip, seen_error, seen_cs, seen_rsp, times;

static void note(struct frame *f)
{
	seen_vector = f->vector;
	seen_rip = f->rip;
	seen_error = f->error;
	seen_cs = f->cs;
	seen_rsp = f->rsp;
	times++;
	if (trap_fixup) {
		f->rip = trap_fixup;
		trap_fixup = 0;
	}
}

#define BEHIND(insn, vector)                                                                       \
	do {                                                                                       \
		u64 behind_;                                                                       \
		times = 0;                                                                         \
		__asm__ volatile(insn "\n1:	movq $1b, %0" : "=m"(behind_) : : "memory");       \
		check_equal(insn ": deliveries", times, 1);                                        \
		check_equal(insn ": vector", seen_vector, vector);                                 \
		check_equal(insn ": RIP", seen_rip, behind_);                                      \
	} while (0)

static void software(void)
{
	BEHIND("int $0x90", 0x90);
	BEHIND("int3", VEC_BP);
	BEHIND(".byte 0xcd, 3", VEC_BP);
	BEHIND("int $0xfe", 0xfe);
}

static volatile int vector_in_ring3;

static void in_ring3(void)
{
	vector_in_ring3 = TRY("int $0x91", : : : "memory");
	times = 0;
	__asm__ volatile("int3");
}

static void faults(void)
{
	u64 v = 0;

	check_equal("UD2", TRY("ud2", : : : "memory"), VEC_UD);
	check_equal("division by zero",
		    TRY("div %0",
			: "+r"(v)
			:
			: "rax", "rdx", "memory"),
		    VEC_DE);
	check_equal("load of a bad selector",
		    TRY("mov %0, %%es",
			:
			: "r"(0x100)
			: "memory"),
		    VEC_GP);
	check_equal("its error code", caught.error, 0x100);
	check_equal("non-canonical access",
		    TRY("mov (%0), %%al",
			:
			: "r"(BIT(47))
			: "rax", "memory"),
		    VEC_GP);
	/* Through RBP; the fixup of TRY is behind the restored register. */
	check_equal("non-canonical stack access",
		    TRY("mov %%ss:(%0), %%al",
			:
			: "r"(BIT(47))
			: "rax", "memory"),
		    VEC_GP);
}

volatile u32 into_behind, bound_at, into_bounds[2] = {2, 5};

static volatile u64 into_rip;

static void note_into(struct frame *f)
{
	into_rip = f->rip;
	times++;
}

/* INTO and BOUND exist outside 64-bit code only. INTO traps with OF set, and does nothing without it; BOUND faults. */
static void compatibility_mode(void)
{
	check_equal("INTO in 64-bit code: vector", TRY(".byte 0xce", : : : "memory"), VEC_UD);
	trap_handlers[VEC_OF] = note_into;
	trap_handlers[VEC_BR] = note;
	times = 0;
	__asm__ volatile("pushq %0; pushq $1f; lretq\n\t"
			 ".code32\n"
			 "1:	xor %%eax, %%eax; into\n\t"
			 "	mov $0x7fffffff, %%eax; inc %%eax\n\t"
			 "	into\n"
			 "2:	mov $2b, %%eax; mov %%eax, into_behind\n\t"
			 "	mov $3, %%eax; bound %%eax, into_bounds\n\t"
			 "	movl $4f, trap_fixup; mov $6, %%eax\n"
			 "3:	bound %%eax, into_bounds\n"
			 "4:	mov $3b, %%eax; mov %%eax, bound_at\n\t"
			 "	ljmp %1, $5f\n\t"
			 ".code64\n"
			 "5:"
			 :
			 : "i"(SEL_CODE32), "i"(SEL_CODE64)
			 : "rax", "memory", "cc");
	check_equal("INTO and BOUND: deliveries", times, 2);
	check_equal("INTO: RIP", into_rip, into_behind);
	check_equal("BOUND: vector", seen_vector, VEC_BR);
	check_equal("BOUND: RIP", seen_rip, bound_at);
	check_equal("BOUND: CS", seen_cs, SEL_CODE32);
}

/* #UD whose gate is not present is #NP, whose gate is not present either: #DF, on the stack of its IST. */
static void double_fault(void)
{
	u64 rsp;

	gate_remove(VEC_UD);
	check_equal("#UD without a gate: vector", TRY("ud2", : : : "memory"), VEC_NP);
	check(caught.error == VEC_UD * 8 + 3 || is_amd() /* QEMU's doubles the vector */,
	      "its error code is 0x%llx", (unsigned long long)caught.error);
	gate_remove(VEC_NP);
	trap_handlers[VEC_DF] = note;
	times = 0;
	__asm__ volatile("movq $1f, trap_fixup; mov %%rsp, %0; ud2; 1:" : "=m"(rsp) : : "memory");
	check_equal("double faults", times, 1);
	check_equal("the double fault's error code", seen_error, 0);
	check_equal("RSP before the double fault", seen_rsp, rsp);
}

void test(void)
{
	trap_handlers[0x90] = trap_handlers[0xfe] = trap_handlers[VEC_BP] = note;
	software();
	check_equal("CS", seen_cs, SEL_CODE64);
	faults();
	compatibility_mode();
	gate_set(VEC_BP, trap_entry(VEC_BP), 0, 3);
	ring3_run(in_ring3);
	check_equal("INT of a ring-0 gate in ring 3: vector", vector_in_ring3, VEC_GP);
	check_equal("its error code", caught.error & 7,
		    2); /* QEMU's CPU doubles the vector in it */
	check_equal("INT3 in ring 3: deliveries", times, 1);
	check_equal("INT3 in ring 3: CS", seen_cs, SEL_USER_CODE);
	double_fault();
}
