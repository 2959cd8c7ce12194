/* SPDX-License-Identifier: MIT */
/*
 * CR0.CD and NW, which hardware is not given: what is read back is what was written, when they are set and when they are cleared
 * again, as Linux does while it sets up its MTRRs. SDM vol. 3 "Control Registers"; APM vol. 2 "Instruction Intercepts".
 */
#include "micro.h"

void test(void)
{
	u64 cr0 = read_cr0() & ~(CR0_CD | CR0_NW);

	write_cr0(cr0);
	check_equal("CR0 at first", read_cr0(), cr0);
	for (unsigned i = 0; i < 3; i++) {
		write_cr0(cr0 | CR0_CD);
		check_equal("CR0 with CD", read_cr0(), cr0 | CR0_CD);
		write_cr0(cr0 | CR0_CD | CR0_NW);
		check_equal("CR0 with CD and NW", read_cr0(), cr0 | CR0_CD | CR0_NW);
		write_cr0(cr0);
		check_equal("CR0 without them", read_cr0(), cr0);
	}
}
