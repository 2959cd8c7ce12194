/* SPDX-License-Identifier: MIT */
/*
 * The debug registers are the guest's: general detect, the aliases DR4 and DR5, what DR6 and DR7 keep; INT1 and its DR6; a trap in the shadow of MOV SS comes
 * behind the instruction in it, also when the hypervisor carries that out. SDM vol. 3 "Debug Registers", "Debug Exception (#DB)"; vol. 2 "MOV-Move to a Stack Segment".
 */
#include "micro.h"

#define DR6_BD        BIT(13)
#define WATCH_WRITE4  (2ULL | 0xdULL << 16) /* breakpoint 0, on writes of 4 bytes */
#define WATCH_ACCESS2 (2ULL | 0x7ULL << 16) /* on accesses of 2 */

static volatile unsigned traps;
static volatile u64 trap_rip, trap_dr6, trap_dr7;

static void debug(struct frame *f)
{
	trap_dr6 = read_dr6();
	trap_dr7 = read_dr7();
	traps++;
	trap_rip = f->rip;
	f->rflags &= ~RFLAGS_TF;
	write_dr6(DR6_RESET);
}

static void kept(void)
{
	write_dr6(DR6_RESET);
	check_equal("DR6 at reset", read_dr6(), DR6_RESET);
	write_dr6(DR6_BS | 5);
	check_equal("DR6 with BS and two hits", read_dr6() & ~BIT(12),
		    (DR6_RESET | DR6_BS | 5) & ~BIT(12));
	write_dr6(DR6_RESET);
	write_dr7(0);
	check_equal("DR7 of nothing", read_dr7(), 0x400);
	write_dr0(0xffff800000001234ULL);
	check_equal("DR0", read_dr0(), 0xffff800000001234ULL);
}

static void aliases(void)
{
	u64 v = 0;

	write_cr4(read_cr4() | CR4_DE);
	check_equal("DR4 with CR4.DE: vector",
		    TRY(".byte 0x0f, 0x21, 0xe0",
			: "+a"(v)
			:
			: "memory"),
		    VEC_UD);
	check_equal("DR5 with CR4.DE: vector",
		    TRY(".byte 0x0f, 0x23, 0xe8",
			: "+a"(v)
			:
			: "memory"),
		    VEC_UD);
	write_cr4(read_cr4() & ~CR4_DE);
	check_equal("DR4: vector", TRY(".byte 0x0f, 0x21, 0xe0", : "+a"(v) : : "memory"), NO_FAULT);
	check_equal("DR4", v, read_dr6());
}

/* A fault before the access; GD is off in the handler, and back off afterwards. */
static void general_detect(void)
{
	u64 at;

	traps = 0;
	__asm__ volatile("mov $1f, %%rax; mov %%rax, %0; mov %1, %%rax; mov %%rax, %%dr7\n"
			 "1:	mov %%dr0, %%rax"
			 : "=m"(at)
			 : "i"(0x400 | DR7_GD)
			 : "rax", "memory");
	check_equal("general detect: exceptions", traps, 1);
	check_equal("general detect: RIP", trap_rip, at);
	check_equal("general detect: DR6", trap_dr6 & (DR6_BD | DR6_BS | 0xf), DR6_BD);
	check_equal("general detect: DR7 in the handler", trap_dr7 & DR7_GD, 0);
	check_equal("general detect: DR7 afterwards", read_dr7(), 0x400);
}

static u16 selector;

/* MOV SS from a watched word: its trap waits for the end of the next instruction. */
#define SHADOWED(name, insn)                                                                       \
	do {                                                                                       \
		u64 behind_;                                                                       \
		traps = 0;                                                                         \
		write_dr0((u64)&selector);                                                         \
		write_dr7(0x400 | WATCH_ACCESS2);                                                  \
		__asm__ volatile(                                                                  \
			"mov $2f, %%rax; mov %%rax, %0; mov $0x1b, %%ecx; mov $0x3ff, %%edx\n\t"   \
			"xor %%eax, %%eax; mov selector, %%ss\n\t" insn "\n"                       \
			"2:	nop"                                                                   \
			: "=m"(behind_)                                                            \
			:                                                                          \
			: "rax", "rbx", "rcx", "rdx", "memory");                                   \
		write_dr7(0x400);                                                                  \
		check(traps == 1, "MOV SS, " name ": %u exceptions", traps);                       \
		check_equal("MOV SS, " name ": RIP", trap_rip, behind_);                           \
		check_equal("MOV SS, " name ": DR6", trap_dr6 & 0xf, 1);                           \
	} while (0)

static void shadow(void)
{
	__asm__ volatile("mov %%ss, %0" : "=m"(selector));
	SHADOWED("NOP", "nop");
	SHADOWED("CPUID", "cpuid");
	SHADOWED("RDMSR", "rdmsr");
	SHADOWED("IN", "in %%dx, %%al");
}

static void int1(void)
{
	u64 behind;

	traps = 0;
	__asm__ volatile(".byte 0xf1\n1:	movq $1b, %0" : "=m"(behind) : : "memory");
	check_equal("INT1: exceptions", traps, 1);
	check_equal("INT1: RIP", trap_rip, behind);
	check_equal("INT1: DR6", trap_dr6, DR6_RESET);
}

/* What a program in ring 3 may not do, and where its breakpoints lead. */
static volatile int ring3_vector;
static u32 word;

static void in_ring3(void)
{
	ring3_vector = TRY("mov %%dr0, %%rax", : : : "rax", "memory");
	word = 1;
}

static void ring3(void)
{
	traps = 0;
	write_dr0((u64)&word);
	write_dr7(0x400 | WATCH_WRITE4);
	ring3_run(in_ring3);
	write_dr7(0x400);
	check_equal("MOV from DR0 in ring 3: vector", ring3_vector, VEC_GP);
	check_equal("a write in ring 3: exceptions", traps, 1);
	check_equal("a write in ring 3: DR6", trap_dr6, DR6_RESET | 1);
}

void test(void)
{
	trap_handlers[VEC_DB] = debug;
	kept();
	aliases();
	ring3();
	/* QEMU, without a hypervisor too, has no general detect and no shadow for debug traps, and stops for its own debugger at INT1. */
	if (is_amd())
		return;
	general_detect();
	shadow();
	int1();
}
