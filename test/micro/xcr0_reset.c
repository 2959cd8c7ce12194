/* SPDX-License-Identifier: MIT */
/*
 * XCR0 with components that the guest's CPUID does not offer: #GP; and where an emulator lets XSETBV pass (QEMU), a reset all
 * the same brings the guest back with the XCR0 of a CPU after power-up.
 */
/* EXPECT-RESETS: 1 */
#include "micro.h"

/* MPX, protection keys. What is taken stays. */
static void set_what_is_not_offered(u64 offered)
{
	static const u32 more[] = {BIT(3) | BIT(4), BIT(9)};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(more); i++)
		if (!(offered & more[i]))
			(void)TRY("xsetbv",
				  :
				  : "a"((u32)(offered & 7) | more[i]), "d"(0), "c"(0)
				  : "memory");
}

void test(void)
{
	u32 r[4];

	cpuid_count(1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_XSAVE))
		skip("no XSAVE");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	if (cmos_read(CMOS_STAGE) == 1) {
		check_equal("XCR0 after a reset", xgetbv(0), 1);
		return;
	}
	cmos_write(CMOS_STAGE, 1);
	cpuid_count(0xd, 0, r);
	set_what_is_not_offered(r[CPUID_EAX]);
	outb(0xcf9, 6);
	fail("it goes on after a reset");
}
