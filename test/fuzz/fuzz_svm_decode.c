/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/decode.c arch/svm/check.c arch/svm/vmcb.c test/mock/host.c */
/*
 * Any VMCB, with any features, through the decoder and the rules: what comes out must be within the bounds that core relies on,
 * and nothing may be reported that VMRUN would refuse to inject again.
 */
#include <string.h>

#include <arch/regs.h>
#include <vmm/assert.h>

#include "arch/svm/svm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned reports;

static void report(unused void *ctx, const char *sentence)
{
	hv_assert(sentence && sentence[0]);
	reports++;
}

static void check_exit(const struct vm_exit *e)
{
	const struct event *v = &e->vectoring;

	hv_assert(e->kind < EXIT_KINDS);
	hv_assert(e->insn_len <= EXIT_INSN_MAX && e->insn_count <= EXIT_INSN_MAX);
	hv_assert(v->type == EVENT_NONE || v->type == EVENT_EXT_INTR || v->type == EVENT_NMI ||
		  v->type == EVENT_EXCEPTION);
	hv_assert(v->type != EVENT_EXCEPTION || (v->vector < 32 && v->vector != VEC_NMI));
	if (e->kind == EXIT_IO) {
		hv_assert(e->io.size < 8);
		if (e->io.string)
			hv_assert((e->io.seg <= VSEG_GS || e->io.seg == 0xff) &&
				  (e->io.addr_size & ~0xe) == 0);
	}
	if (e->kind == EXIT_CR)
		hv_assert(e->cr.cr < 16 && (!e->cr.decoded || e->cr.gpr < 16));
	if (e->kind == EXIT_EXCEPTION)
		hv_assert(e->exc.vector < 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vmcb c;
	struct svm_caps caps = {.phys_bits = 40, .asids = 16};
	struct vm_exit e;
	size_t n = 8 * 8 + 16;

	if (size < n + 2)
		return 0;
	memset(&c, 0, sizeof(c));
	caps.nrips = data[0] & 1;
	caps.decode_assists = data[0] & 2;
	/* The exit codes that exist are few among 2^64. */
	memcpy(&c.exitcode, data + 2, 4 * 8);
	if (data[0] & 4)
		c.exitcode = data[1];
	else if (data[0] & 8)
		c.exitcode = SVM_EXIT_NPF;
	memcpy(&c.nrip, data + 2 + 32, 8 + 16);
	memcpy(&c.save.rip, data + 2 + 56, 8);
	memcpy(&c.save.dr6, data + 2 + 64, 8);
	memset(&e, 0xa5, sizeof(e));
	svm_decode(&c, &caps, &e);
	check_exit(&e);

	if (size > sizeof(c))
		size = sizeof(c);
	memcpy(&c, data, size);
	reports = 0;
	hv_assert(svm_check(&c, &caps, report, NULL) == reports);
	return 0;
}
