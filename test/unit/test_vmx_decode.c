/* SPDX-License-Identifier: MIT */
/* arch/vmx/decode.c: each exit's fields, events there and back, and hostile values. */
/* SOURCES: arch/vmx/decode.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <string.h>

static struct vm_exit decode(struct vmx_raw raw)
{
	struct vm_exit e;

	memset(&e, 0xa5, sizeof(e));
	vmx_decode(&raw, &e);
	assert_int_equal(e.raw, raw.reason);
	assert_int_equal(e.insn_count, 0);
	return e;
}

static void test_kinds(void **state)
{
	static const struct {
		u32 reason, kind;
		bool length;
	} rows[] = {
		{2, EXIT_TRIPLE_FAULT, false}, {3, EXIT_INIT, false},
		{4, EXIT_SIPI, false},         {7, EXIT_INTR_WINDOW, false},
		{8, EXIT_NMI_WINDOW, false},   {9, EXIT_TASK_SWITCH, true},
		{10, EXIT_CPUID, true},        {11, EXIT_UNDEFINED, true},
		{12, EXIT_HLT, true},          {13, EXIT_WBINVD, true},
		{14, EXIT_INVLPG, true},       {15, EXIT_RDPMC, true},
		{16, EXIT_RDTSC, true},        {18, EXIT_HYPERCALL, true},
		{21, EXIT_UNDEFINED, true},    {27, EXIT_UNDEFINED, true},
		{28, EXIT_CR, true},           {29, EXIT_DR, true},
		{30, EXIT_IO, true},           {31, EXIT_RDMSR, true},
		{32, EXIT_WRMSR, true},        {36, EXIT_MONITOR, true},
		{39, EXIT_MONITOR, true},      {40, EXIT_PAUSE, true},
		{48, EXIT_NPF, false},         {49, EXIT_NPT_MISCONFIG, false},
		{51, EXIT_RDTSC, true},        {52, EXIT_TIMER, false},
		{54, EXIT_WBINVD, true},       {55, EXIT_XSETBV, true},
		{74, EXIT_UNKNOWN, false},     {75, EXIT_UNKNOWN, false},
		{0xffff, EXIT_UNKNOWN, false},
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_exit e = decode((struct vmx_raw){.reason = rows[i].reason, .length = 5});

		assert_int_equal(e.kind, rows[i].kind);
		assert_int_equal(e.insn_len, rows[i].length ? 5 : 0);
		assert_int_equal(e.vectoring.type, EVENT_NONE);
	}
}

static void test_every_row_has_a_kind(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < VMX_EXIT_ROWS; i++)
		assert_true(vmx_exit_rows[i].kind != EXIT_NONE &&
			    vmx_exit_rows[i].kind < EXIT_KINDS);
	assert_ptr_equal(vmx_exit_row(VMX_EXIT_ROWS), &vmx_exit_row_unknown);
	assert_ptr_equal(vmx_exit_row(0xffffffff), &vmx_exit_row_unknown);
}

static void test_io(void **state)
{
	struct vm_exit e;

	(void)state;
	e = decode((struct vmx_raw){.reason = 30, .length = 1, .qualification = 0x3fd0008});
	assert_int_equal(e.io.port, 0x3fd);
	assert_int_equal(e.io.size, 1);
	assert_true(e.io.in);
	assert_false(e.io.string || e.io.rep);
	e = decode((struct vmx_raw){.reason = 30, .qualification = 0xcf80003});
	assert_int_equal(e.io.size, 4);
	assert_false(e.io.in);
	/* REP OUTSB, 64-bit addresses, ES override. */
	e = decode((struct vmx_raw){.reason = 30, .qualification = 0x3f80030, .insn_info = 2 << 7});
	assert_true(e.io.string && e.io.rep && !e.io.in);
	assert_int_equal(e.io.addr_size, 8);
	assert_int_equal(e.io.seg, VSEG_ES);
	/* OUTSW, 16-bit, DS. */
	e = decode(
		(struct vmx_raw){.reason = 30, .qualification = 0x3f80011, .insn_info = 3 << 15});
	assert_int_equal(e.io.addr_size, 2);
	assert_int_equal(e.io.seg, VSEG_DS);
	assert_int_equal(e.io.size, 2);
	/* INS has no segment to choose. */
	e = decode((struct vmx_raw){.reason = 30, .qualification = 0x3f80018, .insn_info = 1 << 7});
	assert_int_equal(e.io.addr_size, 4);
	assert_int_equal(e.io.seg, 0xff);
	/* The CPU does not tell. */
	e = decode((
		struct vmx_raw){.reason = 30, .qualification = 0x3f80010, .insn_info = 0xffffffff});
	assert_int_equal(e.io.addr_size, 0);
	assert_int_equal(e.io.seg, 0xff);
}

static void test_cr(void **state)
{
	struct vm_exit e;

	(void)state;
	e = decode((struct vmx_raw){.reason = 28, .length = 3, .qualification = 0xf08});
	assert_int_equal(e.cr.cr, 8);
	assert_int_equal(e.cr.op, CR_MOV_TO);
	assert_int_equal(e.cr.gpr, 15);
	assert_true(e.cr.decoded);
	e = decode((struct vmx_raw){.reason = 28, .qualification = 0x314});
	assert_int_equal(e.cr.cr, 4);
	assert_int_equal(e.cr.op, CR_MOV_FROM);
	assert_int_equal(e.cr.gpr, 3);
	e = decode((struct vmx_raw){.reason = 28, .qualification = 0x20});
	assert_int_equal(e.cr.op, CR_CLTS);
	e = decode((struct vmx_raw){.reason = 28, .qualification = 0xabcd0070});
	assert_int_equal(e.cr.op, CR_LMSW);
	assert_int_equal(e.cr.lmsw_source, 0xabcd);
	assert_true(e.cr.lmsw_known);
}

static void test_npf(void **state)
{
	struct vm_exit e;

	(void)state;
	e = decode((struct vmx_raw){.reason = 48, .qualification = 0x182, .gpa = 0xfee000b0});
	assert_int_equal(e.npf.access, NPF_WRITE);
	assert_int_equal(e.npf.gpa, 0xfee000b0);
	assert_false(e.npf.table_walk);
	e = decode((struct vmx_raw){.reason = 48, .qualification = 0x81, .gpa = 0x1000});
	assert_int_equal(e.npf.access, NPF_READ);
	assert_true(e.npf.table_walk);
	/* No linear address: a PDPTE load. */
	e = decode((struct vmx_raw){.reason = 48, .qualification = 0x1, .gpa = 0x1000});
	assert_true(e.npf.table_walk);
	e = decode((struct vmx_raw){.reason = 48, .qualification = 0x3c | 0x180, .gpa = ~0ULL});
	assert_int_equal(e.npf.access, NPF_EXEC);
	e = decode((struct vmx_raw){.reason = 49, .gpa = 0x5000});
	assert_int_equal(e.npf.gpa, 0x5000);
}

static void test_interrupts(void **state)
{
	struct vm_exit e;

	(void)state;
	e = decode((struct vmx_raw){.reason = 1, .intr_info = 0x800000ec});
	assert_int_equal(e.kind, EXIT_EXT_INTR);
	assert_int_equal(e.vector, 0xec);
	e = decode((struct vmx_raw){.reason = 1, .intr_info = 0xec});
	assert_int_equal(e.kind, EXIT_NONE);
	e = decode((struct vmx_raw){.reason = 0, .intr_info = 0x80000202});
	assert_int_equal(e.kind, EXIT_NMI);
	e = decode((struct vmx_raw){.reason = 0, .intr_info = 0x80000301, .qualification = 0x4000});
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.exc.vector, VEC_DB);
	assert_false(e.exc.has_error);
	assert_int_equal(e.exc.address, 0x4000);
	e = decode((struct vmx_raw){.reason = 0, .intr_info = 0x80000b11, .intr_error = 7});
	assert_int_equal(e.exc.vector, VEC_AC);
	assert_true(e.exc.has_error);
	assert_int_equal(e.exc.error, 7);
	/* A stale error code is not taken. */
	e = decode((struct vmx_raw){.reason = 0, .intr_info = 0x80000301, .intr_error = 7});
	assert_int_equal(e.exc.error, 0);
}

static void test_vectoring(void **state)
{
	struct vm_exit e;

	(void)state;
	e = decode(
		(struct vmx_raw){.reason = 48, .vectoring_info = 0x80000b0e, .vectoring_error = 2});
	assert_int_equal(e.vectoring.type, EVENT_EXCEPTION);
	assert_int_equal(e.vectoring.vector, VEC_PF);
	assert_true(e.vectoring.has_error);
	assert_int_equal(e.vectoring.error, 2);
	assert_int_equal(e.vectoring.insn_len, 0);
	e = decode((struct vmx_raw){.reason = 48, .vectoring_info = 0x80000480, .length = 2});
	assert_int_equal(e.vectoring.type, EVENT_SOFT_INT);
	assert_int_equal(e.vectoring.vector, 0x80);
	assert_int_equal(e.vectoring.insn_len, 2);
	e = decode((struct vmx_raw){.reason = 48, .vectoring_info = 0x00000480, .length = 2});
	assert_int_equal(e.vectoring.type, EVENT_NONE);
	/* Exits of instructions do not look: nobody has read the field. */
	e = decode((struct vmx_raw){.reason = 10, .vectoring_info = 0x80000480, .length = 2});
	assert_int_equal(e.vectoring.type, EVENT_NONE);
}

static void test_events(void **state)
{
	struct event e = {.type = EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true, .error = 8},
		     back;
	unsigned type;

	(void)state;
	assert_int_equal(vmx_event_to_info(&e, true), 0x80000b0d);
	assert_int_equal(vmx_event_to_info(&e, false),
			 0x8000030d); /* real mode pushes no error code */
	e.has_error = false;
	assert_int_equal(vmx_event_to_info(&e, true), 0x8000030d);
	e = (struct event){.type = EVENT_EXT_INTR, .vector = 0x30, .has_error = true};
	assert_int_equal(vmx_event_to_info(&e, true), 0x80000030);
	e = (struct event){.type = EVENT_NMI, .vector = VEC_NMI};
	assert_int_equal(vmx_event_to_info(&e, true), 0x80000202);
	e = (struct event){.type = EVENT_NONE};
	assert_int_equal(vmx_event_to_info(&e, true), 0);
	e = (struct event){.type = 200};
	assert_int_equal(vmx_event_to_info(&e, true), 0);
	for (type = EVENT_EXT_INTR; type <= EVENT_PRIV_SOFT_EXC; type++) {
		e = (struct event){.type = (u8)type, .vector = 3};
		vmx_info_to_event(vmx_event_to_info(&e, true), 9, 1, &back);
		assert_int_equal(back.type, type);
		assert_int_equal(back.vector, 3);
		assert_int_equal(back.insn_len, type >= EVENT_SOFT_INT ? 1 : 0);
		assert_int_equal(back.error, 0);
	}
	vmx_info_to_event(0x80000100, 0, 0, &back); /* reserved type */
	assert_int_equal(back.type, EVENT_NONE);
	vmx_info_to_event(0x80000700, 0, 0, &back);
	assert_int_equal(back.type, EVENT_NONE);
}

static void test_nmi_unblocking(void **state)
{
	struct vmx_raw raw = {.reason = 48, .qualification = BIT(12)};

	(void)state;
	assert_true(vmx_exit_unblocked_nmi(&raw));
	raw.vectoring_info = INTR_VALID;
	assert_false(vmx_exit_unblocked_nmi(&raw));
	raw = (struct vmx_raw){.reason = 48, .intr_info = BIT(12)};
	assert_false(vmx_exit_unblocked_nmi(&raw));
	raw = (struct vmx_raw){.reason = 0, .intr_info = 0x80001b11};
	assert_true(vmx_exit_unblocked_nmi(&raw));
	raw.intr_info = 0x80001b08; /* double fault: undefined */
	assert_false(vmx_exit_unblocked_nmi(&raw));
	raw = (struct vmx_raw){.reason = 10, .qualification = BIT(12), .intr_info = BIT(12)};
	assert_false(vmx_exit_unblocked_nmi(&raw));
}

static void test_task_switch(void **state)
{
	static const struct {
		u64 qualification;
		u32 vectoring;
		u8 source;
		bool insn, external, has_error;
	} rows[] = {
		{0x00000028, 0, TASK_CALL, true, false, false},
		{0x40000028, 0, TASK_IRET, true, false, false},
		{0x80000028, 0, TASK_JMP, true, false, false},
		{0xc0000028, 0x80000490, TASK_GATE, true, false, false}, /* INT n */
		{0xc0000028, 0x80000603, TASK_GATE, true, false, false}, /* INT3 */
		{0xc0000028, 0x80000501, TASK_GATE, true, true, false},  /* INT1 */
		{0xc0000028, 0x80000b0e, TASK_GATE, false, true, true},  /* #PF */
		{0xc0000028, 0x80000306, TASK_GATE, false, true, false}, /* #UD */
		{0xc0000028, 0x80000040, TASK_GATE, false, true, false}, /* interrupt */
		{0xc0000028, 0x80000202, TASK_GATE, false, true, false}, /* NMI */
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vm_exit e = decode((struct vmx_raw){.reason = 9,
							   .length = 2,
							   .qualification = rows[i].qualification,
							   .vectoring_info = rows[i].vectoring,
							   .vectoring_error = 6});

		assert_int_equal(e.kind, EXIT_TASK_SWITCH);
		assert_int_equal(e.task.selector, 0x28);
		assert_int_equal(e.task.source, rows[i].source);
		assert_int_equal(e.task.insn, rows[i].insn);
		assert_int_equal(e.task.external, rows[i].external);
		assert_int_equal(e.task.has_error, rows[i].has_error);
		if (rows[i].has_error)
			assert_int_equal(e.task.error, 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_every_row_has_a_kind),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_cr),
		cmocka_unit_test(test_npf),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_vectoring),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_nmi_unblocking),
		cmocka_unit_test(test_task_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
