/* SPDX-License-Identifier: MIT */
/*
 * Havoc's guest ABI for programs (docs/guest-abi.md). Works from ring 3: no driver, no library.
 */
#ifndef HAVOC_H
#define HAVOC_H

#include <cpuid.h>
#include <stddef.h>
#include <string.h>

/* CPUID: ebx, ecx, edx of the signature leaf spell the signature; eax of the next has feature bits. */
#define HAVOC_CPUID_SIGNATURE 0x40000100
#define HAVOC_CPUID_FEATURES  0x40000101
#define HAVOC_SIGNATURE       "HavocHavocHv"
#define HAVOC_FEATURE_CONSOLE (1u << 0)

/* rdi = address, rsi = length, 0 to 4096: returns the bytes written, or a negative error. */
#define HAVOC_CONSOLE_WRITE 0x48560001

/* AMD's and Hygon's instruction is VMMCALL, all others' is VMCALL; the wrong one is an invalid opcode. */
static inline int havoc_cpu_has_svm(void)
{
	unsigned eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	return ebx == signature_AMD_ebx || ebx == 0x6f677948;
}

/* The feature bits, or 0 if this machine is no guest of Havoc, or of one that offers nothing. */
static inline unsigned havoc_features(void)
{
	unsigned eax, name[3], ebx, ecx, edx;

	__cpuid(HAVOC_CPUID_SIGNATURE, eax, name[0], name[1], name[2]);
	if (memcmp(name, HAVOC_SIGNATURE, sizeof(name)) != 0)
		return 0;
	__cpuid(HAVOC_CPUID_FEATURES, eax, ebx, ecx, edx);
	return eax;
}

/* rax = number; rdi, rsi, rdx, r10 = arguments; the result comes in rax, all else is preserved. */
static inline long havoc_hypercall(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	if (havoc_cpu_has_svm())
		__asm__ volatile("vmmcall"
				 : "=a"(result)
				 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "=a"(result)
				 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
				 : "memory");
	return result;
}

static inline long havoc_console_write(const char *text, size_t length)
{
	volatile const char *p = text;

	/*
	 * The hypervisor reads through this program's page tables, and a page that the kernel has not
	 * mapped yet is a bad address to it: touch them all.
	 */
	for (size_t i = 0; i < length; i++)
		(void)p[i];
	return havoc_hypercall(HAVOC_CONSOLE_WRITE, (long)text, (long)length, 0, 0);
}

#endif
