/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/decode.c */
/* Raw exits of both kinds of CPU, with and without nRIP and decode assists, as struct vm_exit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <arch/regs.h>

#include "arch/svm/svm.h"

static struct vmcb c;
static struct svm_caps old_cpu, new_cpu = {.nrips = true, .decode_assists = true};
static struct vm_exit e;

#define RIP 0xffffffff81000123ULL

static int setup(unused void **state)
{
	memset(&c, 0, sizeof(c));
	c.save.rip = RIP;
	c.save.dr6 = DR6_RESET;
	return 0;
}

/* The two decoders agree wherever the quick one has an opinion. */
static void compare_with_quick(const struct svm_caps *caps)
{
	struct vm_exit quick;
	enum svm_decoded how;

	memset(&quick, 0xa5, sizeof(quick));
	how = svm_decode_quick(&c, caps, &quick);
	if (how == SVM_NOT_DECODED)
		return;
	assert_int_equal(how == SVM_DECODED_BUT_LENGTH, !caps->nrips && e.kind != EXIT_IO);
	assert_memory_equal(&quick, &e, sizeof(e));
}

static struct vm_exit *decode(const struct svm_caps *caps, u64 code, u64 info1, u64 info2)
{
	/* Every member that is not filled in must not be looked at: make it visible if it is. */
	memset(&e, 0xa5, sizeof(e));
	c.exitcode = code;
	c.exitinfo1 = info1;
	c.exitinfo2 = info2;
	svm_decode(&c, caps, &e);
	assert_int_equal(e.raw, code);
	compare_with_quick(caps);
	return &e;
}

static void kinds(unused void **state)
{
	static const struct {
		u64 code;
		u32 kind;
	} row[] = {
		{SVM_EXIT_INTR, EXIT_EXT_INTR},
		{SVM_EXIT_NMI, EXIT_NMI},
		{SVM_EXIT_SMI, EXIT_NONE},
		{SVM_EXIT_INIT, EXIT_INIT},
		{SVM_EXIT_VINTR, EXIT_INTR_WINDOW},
		{0x066, EXIT_UNKNOWN},
		{0x06d, EXIT_UNKNOWN},
		{SVM_EXIT_RDTSC, EXIT_RDTSC},
		{SVM_EXIT_RDPMC, EXIT_RDPMC},
		{0x070, EXIT_UNKNOWN},
		{SVM_EXIT_CPUID, EXIT_CPUID},
		{SVM_EXIT_RSM, EXIT_UNDEFINED},
		{SVM_EXIT_IRET, EXIT_NONE},
		{0x075, EXIT_UNKNOWN},
		{SVM_EXIT_INVD, EXIT_WBINVD},
		{SVM_EXIT_PAUSE, EXIT_PAUSE},
		{SVM_EXIT_HLT, EXIT_HLT},
		{SVM_EXIT_INVLPG, EXIT_INVLPG},
		{SVM_EXIT_INVLPGA, EXIT_UNDEFINED},
		{SVM_EXIT_TASK, EXIT_TASK_SWITCH},
		{SVM_EXIT_FERR_FREEZE, EXIT_UNKNOWN},
		{SVM_EXIT_SHUTDOWN, EXIT_TRIPLE_FAULT},
		{SVM_EXIT_VMRUN, EXIT_UNDEFINED},
		{SVM_EXIT_VMMCALL, EXIT_HYPERCALL},
		{SVM_EXIT_VMLOAD, EXIT_UNDEFINED},
		{SVM_EXIT_SKINIT, EXIT_UNDEFINED},
		{SVM_EXIT_RDTSCP, EXIT_RDTSC},
		{SVM_EXIT_WBINVD, EXIT_WBINVD},
		{SVM_EXIT_MONITOR, EXIT_MONITOR},
		{SVM_EXIT_MWAIT, EXIT_MONITOR},
		{SVM_EXIT_XSETBV, EXIT_XSETBV},
		{SVM_EXIT_RDPRU, EXIT_UNDEFINED},
		{SVM_EXIT_CODES, EXIT_UNKNOWN},
		{0x0a5, EXIT_UNKNOWN},
		{0x3ff, EXIT_UNKNOWN},
		{0x401, EXIT_UNKNOWN},
		{0xffffffffULL, EXIT_ENTRY_FAILED},         /* an emulator */
		{0xffffffffffffffffULL, EXIT_ENTRY_FAILED}, /* a CPU */
		{0xfffffffffffffffeULL, EXIT_UNKNOWN},
		{0x21, EXIT_DR},
		{0x3f, EXIT_DR},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(row); i++)
		assert_int_equal(decode(&old_cpu, row[i].code, 0, 0)->kind, row[i].kind);
}

static void length_from_nrip(unused void **state)
{
	c.nrip = RIP + 2;
	assert_int_equal(decode(&new_cpu, SVM_EXIT_CPUID, 0, 0)->insn_len, 2);
	/* The CPU does not have the field: what is there is not one. */
	assert_int_equal(decode(&old_cpu, SVM_EXIT_CPUID, 0, 0)->insn_len, 0);
	c.nrip = RIP + 15;
	assert_int_equal(decode(&new_cpu, SVM_EXIT_HLT, 0, 0)->insn_len, 15);
	c.nrip = RIP + 16;
	assert_int_equal(decode(&new_cpu, SVM_EXIT_HLT, 0, 0)->insn_len, 0);
	c.nrip = 0;
	assert_int_equal(decode(&new_cpu, SVM_EXIT_VMMCALL, 0, 0)->insn_len, 0);
	/* No instruction's exit. */
	c.nrip = RIP + 2;
	assert_int_equal(decode(&new_cpu, SVM_EXIT_INTR, 0, 0)->insn_len, 0);
}

static void in_from_uart(unused void **state)
{
	/* IN AL, DX: port 0x3fd, 1 byte, 64-bit addresses */
	decode(&old_cpu, SVM_EXIT_IOIO, 0x03fd0211, RIP + 1);
	assert_int_equal(e.kind, EXIT_IO);
	assert_int_equal(e.insn_len, 1);
	assert_int_equal(e.io.port, 0x3fd);
	assert_int_equal(e.io.size, 1);
	assert_true(e.io.in);
	assert_false(e.io.string);
	/* This one is so frequent that it has a short way. */
	assert_int_equal(svm_decode_quick(&c, &old_cpu, &e), SVM_DECODED);
}

static void out_dword(unused void **state)
{
	decode(&new_cpu, SVM_EXIT_IOIO, 0x0cf80240, RIP + 2);
	assert_int_equal(e.io.port, 0xcf8);
	assert_int_equal(e.io.size, 4);
	assert_false(e.io.in);
	assert_int_equal(e.insn_len, 2);
}

static void string_io(unused void **state)
{
	/* REP OUTSW with a GS override, 32-bit addresses */
	u64 info = 0x01f00000 | SVM_IO_STRING | SVM_IO_REP | BIT(5) | BIT(8) | 5 << 10;

	decode(&new_cpu, SVM_EXIT_IOIO, info, RIP + 3);
	assert_true(e.io.string);
	assert_true(e.io.rep);
	assert_int_equal(e.io.size, 2);
	assert_int_equal(e.io.addr_size, 4);
	assert_int_equal(e.io.seg, VSEG_GS);
	/* Without decode assists nobody says which segment. */
	decode(&old_cpu, SVM_EXIT_IOIO, info, RIP + 3);
	assert_int_equal(e.io.seg, 0xff);
	decode(&new_cpu, SVM_EXIT_IOIO, info & ~BIT(8), RIP + 3);
	assert_int_equal(e.io.addr_size, 0);
	decode(&new_cpu, SVM_EXIT_IOIO, info | 7 << 10, RIP + 3);
	assert_int_equal(e.io.seg, 0xff);
}

static void msr(unused void **state)
{
	assert_int_equal(decode(&old_cpu, SVM_EXIT_MSR, 0, 0)->kind, EXIT_RDMSR);
	assert_int_equal(decode(&old_cpu, SVM_EXIT_MSR, 1, 0)->kind, EXIT_WRMSR);
	c.nrip = RIP + 2;
	assert_int_equal(decode(&new_cpu, SVM_EXIT_MSR, 1, 0)->insn_len, 2);
}

static void control_registers(unused void **state)
{
	decode(&new_cpu, SVM_EXIT_CR_WRITE + 4, SVM_CR_MOV | 9, 0);
	assert_int_equal(e.kind, EXIT_CR);
	assert_true(e.cr.decoded);
	assert_int_equal(e.cr.cr, 4);
	assert_int_equal(e.cr.op, CR_MOV_TO);
	assert_int_equal(e.cr.gpr, 9);

	decode(&new_cpu, SVM_EXIT_CR_READ + 8, SVM_CR_MOV | 3, 0);
	assert_int_equal(e.cr.cr, 8);
	assert_int_equal(e.cr.op, CR_MOV_FROM);

	decode(&new_cpu, SVM_EXIT_CR0_SEL, SVM_CR_MOV, 0);
	assert_int_equal(e.cr.cr, 0);
	assert_int_equal(e.cr.op, CR_MOV_TO);
	assert_true(e.cr.decoded);

	/* LMSW: the CPU says only that it was no MOV. */
	decode(&new_cpu, SVM_EXIT_CR0_SEL, 0, 0);
	assert_false(e.cr.decoded);
	assert_false(e.cr.lmsw_known);
	/* The bit of a CPU that has no such field is not believed. */
	decode(&old_cpu, SVM_EXIT_CR_WRITE + 4, SVM_CR_MOV | 9, 0);
	assert_false(e.cr.decoded);
	assert_int_equal(e.cr.cr, 4);
}

static void exceptions(unused void **state)
{
	decode(&new_cpu, SVM_EXIT_EXC + VEC_AC, 0, 0);
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.exc.vector, VEC_AC);
	assert_true(e.exc.has_error);
	assert_int_equal(e.exc.error, 0);

	c.save.dr6 = DR6_RESET | DR6_BS | 2;
	decode(&new_cpu, SVM_EXIT_EXC + VEC_DB, 0x1234, 0);
	assert_false(e.exc.has_error);
	assert_int_equal(e.exc.address, DR6_BS | 2);

	decode(&new_cpu, SVM_EXIT_EXC + VEC_PF, 7, 0xdead000);
	assert_true(e.exc.has_error);
	assert_int_equal(e.exc.error, 7);
	assert_int_equal(e.exc.address, 0xdead000);

	decode(&new_cpu, SVM_EXIT_EXC + VEC_DF, 0x5555, 0); /* EXITINFO1 is undefined */
	assert_true(e.exc.has_error);
	assert_int_equal(e.exc.error, 0);

	decode(&new_cpu, SVM_EXIT_EXC + VEC_MC, 0, 0);
	assert_false(e.exc.has_error);
}

static void nested_page_faults(unused void **state)
{
	decode(&old_cpu, SVM_EXIT_NPF, 0x100000004, 0xfee00020);
	assert_int_equal(e.kind, EXIT_NPF);
	assert_int_equal(e.npf.gpa, 0xfee00020);
	assert_int_equal(e.npf.access, NPF_READ);
	assert_false(e.npf.table_walk);
	assert_int_equal(e.insn_count, 0);

	decode(&old_cpu, SVM_EXIT_NPF, 0x100000006, 0x1000);
	assert_int_equal(e.npf.access, NPF_WRITE);
	decode(&old_cpu, SVM_EXIT_NPF, 0x100000014, 0x1000);
	assert_int_equal(e.npf.access, NPF_EXEC);
	decode(&old_cpu, SVM_EXIT_NPF, 0x200000006, 0x1000);
	assert_true(e.npf.table_walk);
	decode(&old_cpu, SVM_EXIT_NPF, 0x10000000d, 0x2000);
	assert_int_equal(e.kind, EXIT_NPT_MISCONFIG);
	assert_int_equal(e.npf.gpa, 0x2000);
}

static void instruction_bytes(unused void **state)
{
	c.insn_count = 15;
	memcpy(c.insn, "\x89\x07\x90", 3);
	decode(&new_cpu, SVM_EXIT_NPF, 0x100000006, 0xfee000b0);
	assert_int_equal(e.insn_count, 15);
	assert_memory_equal(e.insn, c.insn, 15);
	/* They are not those of the access if the walk itself faulted; and an old CPU gives none. */
	decode(&new_cpu, SVM_EXIT_NPF, 0x200000006, 0x1000);
	assert_int_equal(e.insn_count, 0);
	decode(&old_cpu, SVM_EXIT_NPF, 0x100000006, 0x1000);
	assert_int_equal(e.insn_count, 0);
	c.insn_count = 0xf3; /* bits 7:4 are reserved */
	decode(&new_cpu, SVM_EXIT_NPF, 0x100000006, 0x1000);
	assert_int_equal(e.insn_count, 3);
}

static const struct event *vectoring(u64 intinfo)
{
	c.exitintinfo = intinfo;
	return &decode(&old_cpu, SVM_EXIT_NPF, 0x100000004, 0)->vectoring;
}

static void interrupted_delivery(unused void **state)
{
	const struct event *v;

	v = vectoring(SVM_EVENT_VALID | 0x30);
	assert_int_equal(v->type, EVENT_EXT_INTR);
	assert_int_equal(v->vector, 0x30);
	assert_false(v->has_error);

	v = vectoring(SVM_EVENT_VALID | 2 << 8 | 0x77);
	assert_int_equal(v->type, EVENT_NMI);
	assert_int_equal(v->vector, VEC_NMI);

	v = vectoring(SVM_EVENT_VALID | 3 << 8 | SVM_EVENT_HAS_ERROR | VEC_GP | 0x18ULL << 32);
	assert_int_equal(v->type, EVENT_EXCEPTION);
	assert_int_equal(v->vector, VEC_GP);
	assert_true(v->has_error);
	assert_int_equal(v->error, 0x18);

	/* The error half is undefined without EV. */
	v = vectoring(SVM_EVENT_VALID | 3 << 8 | VEC_UD | 0x18ULL << 32);
	assert_int_equal(v->type, EVENT_EXCEPTION);
	assert_false(v->has_error);

	/* INT n, INT3, INTO run again instead. */
	assert_int_equal(vectoring(SVM_EVENT_VALID | 4 << 8 | 0x80)->type, EVENT_NONE);
	assert_int_equal(vectoring(SVM_EVENT_VALID | 3 << 8 | VEC_BP)->type, EVENT_NONE);
	assert_int_equal(vectoring(SVM_EVENT_VALID | 3 << 8 | VEC_OF)->type, EVENT_NONE);
	/* Stale: the valid bit is clear. */
	assert_int_equal(vectoring(0x30)->type, EVENT_NONE);
	assert_int_equal(vectoring(3 << 8 | SVM_EVENT_HAS_ERROR | VEC_GP)->type, EVENT_NONE);
	/* Reserved types and vectors that no CPU writes must not become something to inject. */
	assert_int_equal(vectoring(SVM_EVENT_VALID | 5 << 8 | 0x30)->type, EVENT_NONE);
	assert_int_equal(vectoring(SVM_EVENT_VALID | 3 << 8 | 0x80)->type, EVENT_NONE);
}

static void task_switches(unused void **state)
{
	static const struct {
		u64 info2, intinfo;
		u8 source;
		bool insn, external, has_error, rf;
	} rows[] = {
		{0, 0, TASK_CALL, true, false, false, false},
		{SVM_TASK_IRET, 0, TASK_IRET, true, false, false, false},
		{SVM_TASK_JMP | SVM_TASK_RF, 0, TASK_JMP, true, false, false, true},
		{0, SVM_EVENT_VALID | 4 << 8 | 0x90, TASK_GATE, true, false, false, false},
		{0, SVM_EVENT_VALID | 3 << 8 | VEC_BP, TASK_GATE, true, false, false, false},
		{0, SVM_EVENT_VALID | 3 << 8 | VEC_OF, TASK_GATE, true, false, false, false},
		{SVM_TASK_HAS_ERROR | SVM_TASK_RF | 6,
		 SVM_EVENT_VALID | 3 << 8 | SVM_EVENT_HAS_ERROR | VEC_PF, TASK_GATE, false, true,
		 true, true},
		{0, SVM_EVENT_VALID | 0x40, TASK_GATE, false, true, false, false},
		{0, SVM_EVENT_VALID | 2 << 8 | 2, TASK_GATE, false, true, false, false},
		{0, 3 << 8 | VEC_PF, TASK_CALL, true, false, false, false}, /* stale */
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		c.exitintinfo = rows[i].intinfo;
		decode(&new_cpu, SVM_EXIT_TASK, 0x28, rows[i].info2);
		assert_int_equal(e.kind, EXIT_TASK_SWITCH);
		assert_int_equal(e.insn_len, 0);
		assert_int_equal(e.task.selector, 0x28);
		assert_int_equal(e.task.source, rows[i].source);
		assert_int_equal(e.task.insn, rows[i].insn);
		assert_int_equal(e.task.external, rows[i].external);
		assert_int_equal(e.task.has_error, rows[i].has_error);
		assert_int_equal(e.task.rf, rows[i].rf);
		if (rows[i].has_error)
			assert_int_equal(e.task.error, 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(kinds, setup),
		cmocka_unit_test_setup(length_from_nrip, setup),
		cmocka_unit_test_setup(in_from_uart, setup),
		cmocka_unit_test_setup(out_dword, setup),
		cmocka_unit_test_setup(string_io, setup),
		cmocka_unit_test_setup(msr, setup),
		cmocka_unit_test_setup(control_registers, setup),
		cmocka_unit_test_setup(exceptions, setup),
		cmocka_unit_test_setup(nested_page_faults, setup),
		cmocka_unit_test_setup(instruction_bytes, setup),
		cmocka_unit_test_setup(interrupted_delivery, setup),
		cmocka_unit_test_setup(task_switches, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
