/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls of docs/guest-abi.md, from ring 3 and ring 0: console write with text that crosses pages, its limits, pointers that
 * ring 3 may not read, that nobody can read, and that are no memory; unknown numbers. Registers other than RAX stay.
 */
/* OPTIONS: hypercall.console=on */
#include "micro.h"

#define CONSOLE_WRITE 0x48560001ULL
#define EPERM         1
#define E2BIG         7
#define EFAULT        14
#define ENOSYS        38

static u8 *text; /* two pages, the second of which can be taken away */

static void expect(const char *what, s64 got, s64 wanted)
{
	check(got == wanted, "%s: %lld, not %lld", what, (long long)got, (long long)wanted);
}

static void from_either_ring(void)
{
	expect("write", hypercall(CONSOLE_WRITE, (u64) "hypercall: hello\n", 17, 0), 17);
	expect("write nothing", hypercall(CONSOLE_WRITE, (u64)text, 0, 0), 0);
	expect("write nothing from nowhere", hypercall(CONSOLE_WRITE, 0x800000000000ULL, 0, 0), 0);
	expect("write across pages", hypercall(CONSOLE_WRITE, (u64)text + 4090, 12, 0), 12);
	expect("4096 bytes", hypercall(CONSOLE_WRITE, (u64)text, 4096, 0), 4096);
	expect("4097 bytes", hypercall(CONSOLE_WRITE, (u64)text, 4097, 0), -E2BIG);
	expect("2^63 bytes", hypercall(CONSOLE_WRITE, (u64)text, 1ULL << 63, 0), -E2BIG);
	expect("-1 bytes", hypercall(CONSOLE_WRITE, (u64)text, ~0ULL, 0), -E2BIG);
	expect("non-canonical", hypercall(CONSOLE_WRITE, 0x800000000000ULL, 1, 0), -EFAULT);
	expect("not mapped", hypercall(CONSOLE_WRITE, 0x7f0000000000ULL, 1, 0), -EFAULT);
	expect("end of the address space", hypercall(CONSOLE_WRITE, ~0ULL, 2, 0), -EFAULT);
	expect("no memory", hypercall(CONSOLE_WRITE, HOLE, 4, 0), -EFAULT);
	expect("a device", hypercall(CONSOLE_WRITE, LAPIC, 4, 0), -EFAULT);
	expect("unknown number", hypercall(0x48560002, 1, 2, 3), -ENOSYS);
	expect("number 0", hypercall(0, 1, 2, 3), -ENOSYS);
	expect("number -1", hypercall(~0ULL, 1, 2, 3), -ENOSYS);
	expect("upper half of the number", hypercall(CONSOLE_WRITE | 1ULL << 32, (u64)text, 1, 0),
	       -ENOSYS);
}

static void ring3_only(void)
{
	expect("KVM's KVM_HC_KICK_CPU", hypercall(5, 0, 0, 0), -EPERM);
	expect("KVM's number 12", hypercall(12, 0, 0, 0), -EPERM);
	expect("a page of the kernel's", hypercall(CONSOLE_WRITE, (u64)text + 4096, 4, 0), -EFAULT);
	expect("up to a page of the kernel's", hypercall(CONSOLE_WRITE, (u64)text + 4088, 16, 0),
	       8);
}

static void registers_stay(void)
{
	bool amd = is_amd();
	u64 a = CONSOLE_WRITE, b = 0x1111, c = 0x2222, d = 0x3333, si = 0, di = (u64)text;
	register u64 r8 __asm__("r8") = 0x88;
	register u64 r15 __asm__("r15") = 0x1515;

	if (amd)
		__asm__ volatile("vmmcall"
				 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si), "+D"(di), "+r"(r8),
				   "+r"(r15));
	else
		__asm__ volatile("vmcall"
				 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si), "+D"(di), "+r"(r8),
				   "+r"(r15));
	check(a == 0 && b == 0x1111 && c == 0x2222 && d == 0x3333 && si == 0 && di == (u64)text &&
		      r8 == 0x88 && r15 == 0x1515,
	      "a register has changed");
}

void test(void)
{
	u32 r[4];
	unsigned i;

	cpuid_count(0x40000101, 0, r);
	check(r[CPUID_EAX] & 1, "the console hypercall is configured, but not offered in CPUID");
	text = page_alloc();
	page_alloc();
	for (i = 0; i < 8192; i++)
		text[i] = i % 64 == 63 ? '\n' : '-';
	from_either_ring();
	registers_stay();
	expect("KVM's number 12", hypercall(12, 0, 0, 0), -1000);
	expect("number 13", hypercall(13, 0, 0, 0), -ENOSYS);
	ring3_run(from_either_ring);
	*page_entry((u64)text + 4096) &= ~PTE_U;
	invlpg(text + 4096);
	expect("a page of the kernel's, from ring 0",
	       hypercall(CONSOLE_WRITE, (u64)text + 4096, 4, 0), 4);
	*page_entry((u64)text) |= PTE_U;
	for (i = 0; i < 8; i++)
		text[4096 + i] = '\n';
	ring3_run(ring3_only);
}
