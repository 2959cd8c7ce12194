/* SPDX-License-Identifier: MIT */
/*
 * The length of an intercepted instruction on a CPU that does not save nRIP. Core can find it out by itself (vmm/emul), for every mode
 * and any prefixes; here is the short way for what a 64-bit kernel does all day: the CPU has said which instruction it was, so
 * only its bytes without prefixes are compared, on the page that core fetched from last. Pure; called by svm.c.
 */
#include <vmm/gwalk.h>

#include "svm.h"

/* The instruction of an exit code: the first bytes of its only form without prefixes. None: length and bytes of 0. */
struct plain_insn {
	u32 bytes, mask;
	u8 len;
};

#define FIRST SVM_EXIT_CPUID
#define LAST  SVM_EXIT_XSETBV

static const struct plain_insn insns[LAST - FIRST + 1] = {
	[SVM_EXIT_CPUID - FIRST] = {0xa20f, 0xffff, 2},
	[SVM_EXIT_INVD - FIRST] = {0x080f, 0xffff, 2},
	[SVM_EXIT_HLT - FIRST] = {0xf4, 0xff, 1},
	[SVM_EXIT_MSR - FIRST] = {0x300f, 0xfdff, 2}, /* WRMSR; RDMSR: 0f 32 */
	[SVM_EXIT_VMMCALL - FIRST] = {0xd9010f, 0xffffff, 3},
	[SVM_EXIT_WBINVD - FIRST] = {0x090f, 0xffff, 2},
	[SVM_EXIT_XSETBV - FIRST] = {0xd1010f, 0xffffff, 3},
};

/* An instruction's bytes lie anywhere. */
struct unaligned_word {
	u32 value;
} packed;

void svm_find_length(struct vcpu *v, struct vm_exit *exit)
{
	const struct vmcb *c = svm_of(v)->vmcb;
	u64 index = c->exitcode - FIRST;
	const u8 *bytes;
	u32 word;

	if (index > LAST - FIRST || unlikely(!svm_in_64bit_code(c)))
		return;
	if (gwalk_cached(&v->fetch, c->save.cr3, c->save.rip, &bytes) < sizeof(word))
		return;
	word = ((const struct unaligned_word *)bytes)->value;
	if (likely((word & insns[index].mask) == insns[index].bytes))
		exit->insn_len = insns[index].len;
}
