/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints on data and on ports, hit by instructions that the hypervisor carries out: one #DB behind each, with the breakpoint's bit in DR6, by length and kind;
 * none where no byte is touched, or where the breakpoint is off; for a repeated string behind each iteration that hits. With TF both bits are told at once.
 * SDM vol. 3 "Debug Control Register (DR7)", "Breakpoint Field Recognition", "Data Memory and I/O Breakpoint Exception Conditions".
 */
#include "micro.h"

#define DEV (LAPIC + APIC_TPR)

/* DR7: enable globally; kind and length of breakpoint n. */
#define EXEC             0
#define WRITE            1
#define IO               2
#define ACCESS           3
#define LEN1             0
#define LEN2             1
#define LEN8             2
#define LEN4             3
#define ON(n)            (2ULL << 2 * (n))
#define BP(n, kind, len) (ON(n) | (u64)(kind) << (16 + 4 * (n)) | (u64)(len) << (18 + 4 * (n)))

static volatile unsigned traps;
static volatile u64 trap_rip, trap_dr6, trap_cx;

static void debug(struct frame *f)
{
	traps++;
	trap_rip = f->rip;
	trap_dr6 = read_dr6();
	trap_cx = f->rcx;
	write_dr6(DR6_RESET);
	f->rflags &= ~RFLAGS_TF;
}

static u8 buf[64] aligned(64);
static u64 at, behind;

/* `insn` with its registers; DR7 is turned on just before it. */
#define RUN(insn, dr7, flags, a, c, d, s, di)                                                      \
	do {                                                                                       \
		u64 a_ = (a), c_ = (c), d_ = (d), s_ = (s), di_ = (di);                            \
		traps = 0;                                                                         \
		trap_dr6 = 0;                                                                      \
		__asm__ volatile(                                                                  \
			"mov $1f, %%rbx; mov %%rbx, %0; mov $2f, %%rbx; mov %%rbx, %1\n\t"         \
			"mov %7, %%rbx; mov %%rbx, %%dr7\n\t"                                      \
			"pushfq; orq %8, (%%rsp); popfq\n"                                         \
			"1:	" insn "\n"                                                        \
			"2:	mov $0x400, %%ebx; mov %%rbx, %%dr7"                                   \
			: "=m"(at), "=m"(behind), "+a"(a_), "+c"(c_), "+d"(d_), "+S"(s_),          \
			  "+D"(di_)                                                                \
			: "r"((u64)(dr7) | 0x400), "i"(flags)                                      \
			: "rbx", "memory", "cc");                                                  \
	} while (0)

#define HIT(name, bits, insn, dr7, ...)                                                            \
	do {                                                                                       \
		RUN(insn, dr7, 0, __VA_ARGS__);                                                    \
		check(traps == 1, name ": %u times #DB", traps);                                   \
		check_equal(name ": RIP", trap_rip, behind);                                       \
		check_equal(name ": DR6", trap_dr6, DR6_RESET | (bits));                           \
	} while (0)

#define MISS(name, insn, dr7, ...)                                                                 \
	do {                                                                                       \
		RUN(insn, dr7, 0, __VA_ARGS__);                                                    \
		check(traps == 0, name ": %u times #DB, DR6 0x%llx", traps,                        \
		      (unsigned long long)trap_dr6);                                               \
	} while (0)

static void data(void)
{
	write_dr0(DEV);
	write_dr1(DEV + 2);
	write_dr2(DEV + 4);
	write_dr3((u64)buf + 8);
	HIT("write, on writes", 1, "mov %%eax, (%%rdi)", BP(0, WRITE, LEN4), 0, 0, 0, 0, DEV);
	HIT("write, on accesses", 1, "mov %%eax, (%%rdi)", BP(0, ACCESS, LEN4), 0, 0, 0, 0, DEV);
	HIT("read, on accesses", 1, "mov (%%rdi), %%eax", BP(0, ACCESS, LEN4), 0, 0, 0, 0, DEV);
	MISS("read, on writes", "mov (%%rdi), %%eax", BP(0, WRITE, LEN4), 0, 0, 0, 0, DEV);
	MISS("write, breakpoint off", "mov %%eax, (%%rdi)", BP(0, WRITE, LEN4) & ~0xffULL, 0, 0, 0,
	     0, DEV);
	MISS("write, on execution", "mov %%eax, (%%rdi)", BP(0, EXEC, LEN1), 0, 0, 0, 0, DEV);
	HIT("local enable", 1, "mov %%eax, (%%rdi)", BP(0, WRITE, LEN4) ^ 3, 0, 0, 0, 0, DEV);
	/* The second one lies inside the operand, the third behind it. */
	HIT("inside", 2, "mov %%eax, (%%rdi)", BP(1, WRITE, LEN1) | BP(2, WRITE, LEN1), 0, 0, 0, 0,
	    DEV);
	HIT("two at once", 3, "mov %%eax, (%%rdi)", BP(0, WRITE, LEN1) | BP(1, WRITE, LEN2), 0, 0,
	    0, 0, DEV);
	HIT("8 bytes, aligned down", 4, "mov %%eax, (%%rdi)", BP(2, WRITE, LEN8), 0, 0, 0, 0, DEV);
	HIT("read and write", 1, "orl $0, (%%rdi)", BP(0, WRITE, LEN4), 0, 0, 0, 0, DEV);
	MISS("CMP, on writes", "cmpl $0, (%%rdi)", BP(0, WRITE, LEN4), 0, 0, 0, 0, DEV);
	HIT("CMP, on accesses", 1, "cmpl $0, (%%rdi)", BP(0, ACCESS, LEN4), 0, 0, 0, 0, DEV);
	/* The other end of a string instruction is RAM. */
	HIT("MOVS, its source", 1, "movsl", BP(0, ACCESS, LEN4), 0, 0, 0, DEV, (u64)buf);
	HIT("MOVS, its destination", 8, "movsl", BP(3, WRITE, LEN4), 0, 0, 0, DEV, (u64)buf + 8);
	HIT("OUTS, its source", 8, "outsb", BP(3, ACCESS, LEN1), 0, 0, UART + 7, (u64)buf + 8, 0);
	HIT("INS, its destination", 8, "insb", BP(3, WRITE, LEN1), 0, 0, UART + 7, 0, (u64)buf + 8);
	/* And the CPU's own, behind an exit. */
	HIT("RAM", 8, "mov %%al, (%%rdi)", BP(3, WRITE, LEN1), 0, 0, 0, 0, (u64)buf + 8);
}

static void repeated(void)
{
	/* The third of four bytes: two are left when the trap comes. */
	write_dr3((u64)buf + 2);
	RUN("rep outsb", BP(3, ACCESS, LEN1), 0, 0, 4, UART + 7, (u64)buf, 0);
	check_equal("REP OUTS: traps", traps, 1);
	check_equal("REP OUTS: DR6", trap_dr6, DR6_RESET | 8);
	check_equal("REP OUTS: RIP", trap_rip, at);
	check_equal("REP OUTS: RCX", trap_cx, 1);
	RUN("rep insb", BP(3, WRITE, LEN2), 0, 0, 4, UART + 7, 0, (u64)buf);
	check_equal("REP INS: traps", traps, 2);
	check_equal("REP INS: DR6", trap_dr6, DR6_RESET | 8);
	check_equal("REP INS: RCX", trap_cx, 0);
}

static void with_step(void)
{
	write_dr0(DEV);
	RUN("mov %%eax, (%%rdi)", BP(0, WRITE, LEN4), 0x100, 0, 0, 0, 0, DEV);
	check_equal("TF and a breakpoint: traps", traps, 1);
	check_equal("TF and a breakpoint: RIP", trap_rip, behind);
	check_equal("TF and a breakpoint: DR6", trap_dr6, DR6_RESET | DR6_BS | 1);
}

static void ports(void)
{
	write_dr0(UART + 7);
	write_dr1(UART + 4);
	write_cr4(read_cr4() | CR4_DE);
	HIT("OUT", 1, "out %%al, %%dx", BP(0, IO, LEN1), 0, 0, UART + 7, 0, 0);
	HIT("IN", 1, "in %%dx, %%al", BP(0, IO, LEN1), 0, 0, UART + 7, 0, 0);
	MISS("OUT to the next port", "in %%dx, %%al", BP(0, IO, LEN1), 0, 0, UART + 6, 0, 0);
	HIT("IN, four ports", 2, "in %%dx, %%al", BP(1, IO, LEN4), 0, 0, UART + 7, 0, 0);
	HIT("OUTS", 1, "outsb", BP(0, IO, LEN1), 0, 0, UART + 7, (u64)buf, 0);
	HIT("INS", 1, "insb", BP(0, IO, LEN1), 0, 0, UART + 7, 0, (u64)buf);
	MISS("a port as an address", "mov %%eax, (%%rdi)", BP(0, IO, LEN1), 0, 0, 0, 0, UART + 7);
	RUN("in %%dx, %%al", BP(0, IO, LEN1), 0x100, 0, 0, UART + 7, 0, 0);
	check_equal("TF and a port: traps", traps, 1);
	check_equal("TF and a port: DR6", trap_dr6, DR6_RESET | DR6_BS | 1);
	write_cr4(read_cr4() & ~CR4_DE);
	MISS("IN without CR4.DE", "in %%dx, %%al", BP(0, IO, LEN1), 0, 0, UART + 7, 0, 0);
}

void test(void)
{
	trap_handlers[VEC_DB] = debug;
	data();
	repeated();
	with_step();
	ports();
}
