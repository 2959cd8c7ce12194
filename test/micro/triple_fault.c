/* SPDX-License-Identifier: MIT */
/*
 * A triple fault restarts the guest: memory is as new, the kernel starts from its beginning, CMOS has kept its bytes.
 */
/* EXPECT-RESETS: 2 */
#include "micro.h"

#define MARK (*(volatile u64 *)0x4000000ULL) /* RAM that no loader touches */

void test(void)
{
	static const struct desc_ptr empty = {0, 0};
	u8 stage = cmos_read(CMOS_STAGE);

	check(MARK == 0, "memory has kept 0x%llx over the restart", (unsigned long long)MARK);
	MARK = 0x600dc0de600dc0deULL;
	cmos_write(CMOS_STAGE, stage + 1);
	if (stage >= 2)
		return;
	lidt(&empty);
	if (stage == 0)
		__asm__ volatile("ud2");
	__asm__ volatile("int3");
	fail("it goes on after a triple fault");
}
