/* SPDX-License-Identifier: MIT */
/*
 * arch/vmx/decode.c with any fields: what comes out is in range, and an interrupted event injected again
 * is the same event.
 */
/* SOURCES: arch/vmx/decode.c */
#include <arch/vmx/vmx.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(cond)                                                                              \
	do {                                                                                       \
		if (!(cond))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmx_raw raw = {0};
	struct vm_exit e;
	struct event again;
	u32 info;

	memcpy(&raw, data, size < sizeof(raw) ? size : sizeof(raw));
	memset(&e, 0xa5, sizeof(e));
	vmx_decode(&raw, &e);
	require(e.kind < EXIT_KINDS);
	require(e.vectoring.type <= EVENT_PRIV_SOFT_EXC);
	require(e.insn_count == 0);
	if (e.kind == EXIT_IO) {
		require(e.io.size >= 1 && e.io.size <= 8);
		if (e.io.string) {
			require(e.io.addr_size == 0 || e.io.addr_size == 2 || e.io.addr_size == 4 ||
				e.io.addr_size == 8);
			require(e.io.seg <= VSEG_GS || e.io.seg == 0xff);
		}
	}
	if (e.kind == EXIT_CR)
		require(e.cr.gpr < 16 && e.cr.op <= CR_LMSW);
	if (e.kind == EXIT_NPF)
		require((e.npf.access & ~(NPF_READ | NPF_WRITE | NPF_EXEC)) == 0);
	if (e.vectoring.type == EVENT_NONE)
		return 0;
	info = vmx_event_to_info(&e.vectoring, true);
	require(info & INTR_VALID);
	vmx_info_to_event(info, e.vectoring.error, e.vectoring.insn_len, &again);
	require(again.type == e.vectoring.type && again.vector == e.vectoring.vector);
	require(again.insn_len == e.vectoring.insn_len);
	(void)vmx_exit_unblocked_nmi(&raw);
	return 0;
}
