/* SPDX-License-Identifier: MIT */
/*
 * What an exit costs, in ticks of the TSC, which under the bench's emulators are instructions: from the guest's instruction to its
 * next one. Each is run in a loop, and the same loop without it is taken off. test/bench/README.md.
 * OPTIONS: hypercall.console=on
 */
#include "micro.h"

#ifndef COUNT /* the profile wants few */
#define COUNT 1000ULL
#endif

#define CONSOLE_WRITE 0x48560001 /* docs/guest-abi.md */

#define LOOP(n, setup, insn)                                                                       \
	({                                                                                         \
		u64 left_ = (n), start_ = rdtsc();                                                 \
		__asm__ volatile("1:\n\t" setup "\n\t" insn "\n\tdec %0\n\tjnz 1b"                 \
				 : "+r"(left_)                                                     \
				 :                                                                 \
				 : "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "memory", "cc");      \
		rdtsc() - start_;                                                                  \
	})

/* The quickest of three: another guest may have had its turn in between. */
#define QUICKEST(setup, insn)                                                                      \
	({                                                                                         \
		u64 best_ = ~0ULL;                                                                 \
		for (unsigned i_ = 0; i_ < 3; i_++) {                                              \
			u64 ticks_ = LOOP(COUNT, setup, insn);                                     \
			best_ = MIN(best_, ticks_);                                                \
		}                                                                                  \
		best_;                                                                             \
	})

/* Once before, so that code and tables are in place. Rounded to the nearest. */
#define MEASURE(name, setup, insn)                                                                 \
	do {                                                                                       \
		u64 all_, empty_;                                                                  \
		(void)LOOP(1, setup, insn);                                                        \
		all_ = QUICKEST(setup, insn);                                                      \
		empty_ = QUICKEST(setup, "");                                                      \
		print("BENCH %s %llu\n", name,                                                     \
		      (unsigned long long)((all_ - empty_ + COUNT / 2) / COUNT));                  \
	} while (0)

#define STRING(x)  #x
#define NUMBER(x)  STRING(x)
#define UNKNOWN_NR "xor %%eax, %%eax"
#define WRITE_NR   "mov $" NUMBER(CONSOLE_WRITE) ", %%eax; mov $0x100000, %%edi; xor %%esi, %%esi"

void test(void)
{
	MEASURE("cpuid", "mov $1, %%eax; xor %%ecx, %%ecx", "cpuid");
	MEASURE("in", "mov $0x3fd, %%edx", "in %%dx, %%al");
	if (is_amd()) {
		MEASURE("hypercall", UNKNOWN_NR, "vmmcall");
		MEASURE("console_write_0", WRITE_NR, "vmmcall");
	} else {
		MEASURE("hypercall", UNKNOWN_NR, "vmcall");
		MEASURE("console_write_0", WRITE_NR, "vmcall");
	}
	MEASURE("rdmsr", "mov $0x1b, %%ecx", "rdmsr"); /* IA32_APIC_BASE */
	MEASURE("wrmsr_tsc_deadline", "mov $0x6e0, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx",
		"wrmsr");
	MEASURE("out_unclaimed", "xor %%eax, %%eax", "out %%al, $0x80");
	MEASURE("wbinvd", "", "wbinvd");
	apic_enable();
	MEASURE("eoi_xapic", "mov $0xfee000b0, %%edi", "movl $0, (%%rdi)");
	apic_use_x2apic();
	MEASURE("eoi_x2apic", "mov $0x80b, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx", "wrmsr");
}
