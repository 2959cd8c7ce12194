/* SPDX-License-Identifier: MIT */
/*
 * The length of an intercepted instruction where the CPU does not tell it (SVM without nrip-save) and the short
 * test in emul.h did not know it: prefixes, or a rarer instruction. Called by vmm/core on the exit path.
 * APM vol. 2 "State Saved on Exit".
 */
#include <vmm/emul.h>

int emul_length_decode(const u8 *bytes, unsigned count, enum emul_mode mode)
{
	struct emul_insn insn;
	int err = emul_decode(bytes, count, mode, &insn);

	return err ? err : insn.len;
}
