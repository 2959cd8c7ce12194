/* SPDX-License-Identifier: MIT */
/*
 * SMSW and LMSW with CR0.CD set and clear, to and from registers of each size and memory: the low half of CR0, whatever the
 * hypervisor keeps from the hardware.
 */
#include "micro.h"

static void look(const char *when)
{
	volatile u16 word[2] = {0, 0xbeef};
	u64 cr0 = read_cr0(), r16 = 0x1122334455667788ULL, r32 = ~0ULL, r64 = 0;

	print("%s\n", when);
	__asm__ volatile("smsww %w0" : "+r"(r16));
	__asm__ volatile("smswl %k0" : "+r"(r32));
	__asm__ volatile("smswq %q0" : "+r"(r64));
	__asm__ volatile("smsw %0" : "=m"(word[0]));
	check_equal("SMSW to 16 bits", r16, (0x1122334455660000ULL | (cr0 & 0xffff)));
	check_equal("SMSW to 32 bits", r32 & 0xffff, cr0 & 0xffff);
	check_equal("SMSW to 64 bits", r64 & 0xffff, cr0 & 0xffff);
	check_equal("SMSW to memory", word[0], cr0 & 0xffff);
	check_equal("what lies behind it", word[1], 0xbeef);
}

void test(void)
{
	u64 cr0 = read_cr0();
	volatile u16 source = (u16)(cr0 | CR0_TS);

	look("caches on");
	write_cr0(cr0 | CR0_CD);
	check_equal("CR0", read_cr0(), cr0 | CR0_CD);
	look("caches off");
	__asm__ volatile("lmsw %0" : : "m"(source));
	check_equal("CR0 after LMSW", read_cr0(), cr0 | CR0_CD | CR0_TS);
	__asm__ volatile("clts");
	check_equal("CR0 after CLTS", read_cr0(), (cr0 | CR0_CD) & ~CR0_TS);
	write_cr0(cr0);
	look("caches on again");
}
