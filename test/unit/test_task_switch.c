/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c vmm/core/extint.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvm_call.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/task_segments.c vmm/core/task_switch.c vmm/core/task_tss.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/sched.c vmm/core/run.c vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
 *   vmm/dev/vpm.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/vuart.c vmm/emul/alu.c
 *   vmm/emul/decode.c vmm/emul/exec.c vmm/emul/exec_string.c vmm/emul/length.c vmm/emul/mem.c
 *   vmm/emul/modrm.c vmm/emul/opcodes.c vmm/irq/vioapic.c vmm/irq/vpic.c vmm/irq/vlapic.c
 *   vmm/irq/vlapic_ipi.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_timer.c vmm/load/acpi_gen.c
 *   vmm/load/kernel.c vmm/load/loader.c vmm/load/bz_header.c vmm/load/elf.c vmm/load/pvh.c vmm/load/multiboot.c
 *   vmm/load/bzimage.c vmm/load/mptable.c vmm/load/reset_vector.c vmm/load/zeropage.c vmm/machine/config.c
 *   vmm/machine/machine.c vmm/machine/pc.c vmm/dev/vpit.c vmm/dev/vpci.c
 *   vmm/dev/vkbc.c vmm/dev/vhpet.c vmm/mem/gmem.c vmm/mem/gwalk.c vmm/mem/page_alloc.c
 *   vmm/mem/pagetable.c vmm/mem/pt_formats.c vmm/lib/fmt.c vmm/lib/log.c vmm/lib/log_keep.c test/mock/host.c
 *   test/mock/backend.c */
/* Hardware task switches: both layouts, what is checked before and after the commit point, what is linked, and what becomes of the event. */
#include "../../vmm/core/task.h"
#include "../mock/core_test.h"

/* Selectors, and where the tables are. Paging is off: linear is physical. */
#define CODE     0x08
#define DATA     0x10
#define UCODE    0x1b
#define UDATA    0x23
#define LDT      0x28
#define OLD      0x30
#define NEW      0x38
#define OLD16    0x40
#define NEW16    0x48
#define CONFORM  0x50 /* conforming code of level 0 */
#define ABSENT   0x58 /* data */
#define DOWN     0x60 /* an expand-down stack: 0x2000 up to 4 GiB */
#define FREE_SEL 0x68
#define GDT_AT   0x10000
#define LDT_AT   0x11000
#define OLD_AT   0x20000
#define NEW_AT   0x21000
#define STACK    0x30000
#define OLD_EIP  0x1234
#define NEW_EIP  0x5678

static struct exit_task task;
static u8 insn_len;

static void put(gpa_t at, u64 value, unsigned size)
{
	assert_int_equal(gmem_write(&vm.gmem, at, &value, size), 0);
}

static u64 get(gpa_t at, unsigned size)
{
	u64 value = 0;

	assert_int_equal(gmem_read(&vm.gmem, at, &value, size), 0);
	return value;
}

static void descriptor(u16 selector, u32 base, u32 limit, u32 attr)
{
	put(GDT_AT + (selector & 0xfff8),
	    (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attr & 0xf0ff) << 40 |
		    (u64)(limit & 0xf0000) << 32 | (u64)(base >> 24) << 56,
	    8);
}

static u8 type_of(u16 selector)
{
	return (u8)get(GDT_AT + (selector & 0xfff8) + 5, 1);
}

static struct segment segment(enum vseg seg)
{
	struct segment s;

	v->vm->ops->seg_get(v, seg, &s);
	return s;
}

static void set_segment(enum vseg seg, u64 base, u32 limit, u32 attr, u16 selector)
{
	struct segment s = {.base = base, .limit = limit, .attr = attr, .selector = selector};

	v->vm->ops->seg_set(v, seg, &s);
}

static void new_task_32(void)
{
	unsigned i;

	put(NEW_AT + 0x1c, 0x77000, 4);
	put(NEW_AT + 0x20, NEW_EIP, 4);
	put(NEW_AT + 0x24, 0xffc0aad7 & ~RFLAGS_VM, 4); /* undefined bits too */
	for (i = 0; i < 8; i++)
		put(NEW_AT + 0x28 + 4 * i, 0xb0b00000 + i, 4);
	put(NEW_AT + 0x38, STACK, 4);
	for (i = 0; i < 6; i++)
		put(NEW_AT + 0x48 + 4 * i, DATA, 4);
	put(NEW_AT + 0x4c, CODE, 4);
	put(NEW_AT + 0x58, 0, 4); /* FS */
	put(NEW_AT + 0x5c, 4, 4); /* GS: the LDT's */
	put(NEW_AT + 0x60, LDT, 4);
	put(NEW_AT + 0x64, 0x00680000, 4); /* T = 0 */
}

static void new_task_16(void)
{
	unsigned i;

	put(NEW_AT + 0x0e, NEW_EIP, 2);
	put(NEW_AT + 0x10, RFLAGS_CF, 2);
	for (i = 0; i < 8; i++)
		put(NEW_AT + 0x12 + 2 * i, 0xc0c0 + i, 2);
	for (i = 0; i < 4; i++)
		put(NEW_AT + 0x22 + 2 * i, DATA, 2);
	put(NEW_AT + 0x24, CODE, 2);
	put(NEW_AT + 0x2a, 0, 2);
}

static int task_setup(void **state)
{
	enum vseg seg;
	unsigned i;

	setup(state);
	descriptor(CODE, 0, 0xfffff, 0xc09a);
	descriptor(DATA, 0, 0xfffff, 0xc092);
	descriptor(UCODE, 0, 0xfffff, 0xc0fa);
	descriptor(UDATA, 0, 0xfffff, 0xc0f2);
	descriptor(LDT, LDT_AT, 7, 0x82);
	descriptor(OLD, OLD_AT, 0x67, 0x8b);
	descriptor(NEW, NEW_AT, 0x67, 0x89);
	descriptor(OLD16, OLD_AT, 0x2b, 0x83);
	descriptor(NEW16, NEW_AT, 0x2b, 0x81);
	descriptor(CONFORM, 0, 0xfffff, 0xc09e);
	descriptor(ABSENT, 0, 0xfffff, 0xc012);
	descriptor(DOWN, 0, 0x1, 0xc096);
	put(LDT_AT, 0x00cf92000000ffffULL, 8);
	put(OLD_AT, 0, 8);
	put(OLD_AT + 0x48, 0xabcd0000, 4);
	new_task_32();
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_ET);
	vcpu_reg_set(v, VREG_CR3, 0x66000);
	vcpu_reg_set(v, VREG_RIP, OLD_EIP);
	vcpu_reg_set(v, VREG_RFLAGS, 2 | RFLAGS_ZF | RFLAGS_NT | RFLAGS_IF);
	vcpu_reg_set(v, VREG_DR7, 0x7ff);
	for (i = 0; i < 8; i++)
		vcpu_gpr_set(v, i, 0xffffffffa0a00000ULL + i);
	for (seg = VSEG_ES; seg <= VSEG_GS; seg++)
		set_segment(seg, 0, 0xffffffff, seg == VSEG_CS ? 0xc09b : 0xc093,
			    seg == VSEG_CS ? CODE : DATA);
	set_segment(VSEG_GDTR, GDT_AT, FREE_SEL - 1, 0, 0);
	set_segment(VSEG_LDTR, 0, 0, SEG_ATTR_UNUSABLE, 0);
	set_segment(VSEG_TR, OLD_AT, 0x67, 0x8b, OLD);
	insn_len = 7;
	task = (struct exit_task){.selector = NEW, .insn = true};
	return 0;
}

/* The switch; what the guest is given after it, or NULL. */
static const struct event *run_event(u8 source, struct event event)
{
	struct vm_exit e = {.kind = EXIT_TASK_SWITCH, .insn_len = insn_len, .vectoring = event};
	const struct event *after;

	backend()->injected_count = 0;
	task.source = source;
	e.task = task;
	exit_dispatch(v, &e);
	assert_int_equal(v->reinject.type, EVENT_NONE);
	after = deliver();
	assert_null(deliver());
	return after;
}

static const struct event *run(u8 source)
{
	return run_event(source, (struct event){0});
}

/* A fault of the new task, or of the old one. */
static void faults(const struct event *event, u8 vector, u32 error, bool entered)
{
	assert_non_null(event);
	assert_int_equal(event->type, EVENT_EXCEPTION);
	assert_int_equal(event->vector, vector);
	assert_true(event->has_error);
	assert_int_equal(event->error, error);
	assert_int_equal(segment(VSEG_TR).selector == OLD, !entered);
	assert_int_equal(vcpu_reg(v, VREG_RIP), entered ? NEW_EIP : OLD_EIP);
	assert_int_equal(!!(vcpu_reg(v, VREG_CR0) & CR0_TS), entered);
}

static void old_is_saved(u32 eip, u64 eflags)
{
	unsigned i;

	assert_int_equal(get(OLD_AT + 0x20, 4), eip);
	assert_int_equal(get(OLD_AT + 0x24, 4), eflags);
	for (i = 0; i < 8; i++)
		assert_int_equal(get(OLD_AT + 0x28 + 4 * i, 4), 0xa0a00000 + i);
	for (i = 1; i < 6; i++)
		assert_int_equal(get(OLD_AT + 0x48 + 4 * i, 2), i == VSEG_CS ? CODE : DATA);
	/* The reserved half of a selector's field is nobody's. */
	assert_int_equal(get(OLD_AT + 0x48, 4), 0xabcd0000 | DATA);
}

static void new_is_loaded(bool nested)
{
	unsigned i;

	assert_int_equal(vcpu_reg(v, VREG_RIP), NEW_EIP);
	for (i = 0; i < 8; i++)
		assert_int_equal(vcpu_gpr(v, i), i == GPR_RSP ? STACK : 0xb0b00000 + i);
	assert_int_equal(vcpu_reg(v, VREG_RFLAGS), 0x2ad7 | (nested ? RFLAGS_NT : 0));
	assert_int_equal(segment(VSEG_CS).attr, 0xc09b);
	assert_int_equal(segment(VSEG_CS).limit, 0xffffffff);
	assert_int_equal(segment(VSEG_SS).attr, 0xc093);
	assert_int_equal(segment(VSEG_FS).attr, SEG_ATTR_UNUSABLE);
	assert_int_equal(segment(VSEG_GS).attr, 0xc093);
	assert_int_equal(segment(VSEG_LDTR).base, LDT_AT);
	assert_int_equal(segment(VSEG_TR).base, NEW_AT);
	assert_int_equal(segment(VSEG_TR).attr, 0x8b);
	assert_int_equal(segment(VSEG_TR).selector, NEW);
	assert_int_equal(vcpu_reg(v, VREG_CR0), CR0_PE | CR0_ET | CR0_TS);
	assert_int_equal(vcpu_reg(v, VREG_CR3), 0x66000); /* no paging */
	assert_int_equal(vcpu_reg(v, VREG_DR7), 0x7ff & ~0x155);
	assert_int_equal(type_of(DATA), 0x93); /* accessed */
}

#define OLD_FLAGS (2 | RFLAGS_ZF | RFLAGS_NT | RFLAGS_IF)

static void jmp(unused void **state)
{
	assert_null(run(TASK_JMP));
	old_is_saved(OLD_EIP + 7, OLD_FLAGS);
	new_is_loaded(false);
	assert_int_equal(type_of(OLD), 0x89);
	assert_int_equal(type_of(NEW), 0x8b);
	assert_int_equal(get(NEW_AT, 2), 0);
}

static void call(unused void **state)
{
	assert_null(run(TASK_CALL));
	old_is_saved(OLD_EIP + 7, OLD_FLAGS);
	new_is_loaded(true);
	assert_int_equal(type_of(OLD), 0x8b);
	assert_int_equal(type_of(NEW), 0x8b);
	assert_int_equal(get(NEW_AT, 2), OLD);
}

static void iret(unused void **state)
{
	descriptor(NEW, NEW_AT, 0x67, 0x8b);
	assert_null(run(TASK_IRET));
	old_is_saved(OLD_EIP + 7, OLD_FLAGS & ~RFLAGS_NT);
	new_is_loaded(false);
	assert_int_equal(type_of(OLD), 0x89);
	assert_int_equal(type_of(NEW), 0x8b);
}

static const struct event page_fault = {
	.type = EVENT_EXCEPTION, .vector = VEC_PF, .has_error = true, .error = 6};

static void exception(unused void **state)
{
	task = (struct exit_task){
		.selector = NEW, .external = true, .rf = true, .has_error = true, .error = 6};
	assert_null(run_event(TASK_GATE, page_fault));
	old_is_saved(OLD_EIP, OLD_FLAGS | RFLAGS_RF);
	assert_int_equal(get(NEW_AT, 2), OLD);
	assert_int_equal(vcpu_reg(v, VREG_RSP), STACK - 4);
	assert_int_equal(get(STACK - 4, 4), 6);
}

static void interrupt(unused void **state)
{
	task = (struct exit_task){.selector = NEW, .external = true};
	assert_null(run_event(TASK_GATE, (struct event){.type = EVENT_EXT_INTR, .vector = 0x40}));
	old_is_saved(OLD_EIP, OLD_FLAGS);
	assert_int_equal(vcpu_reg(v, VREG_RSP), STACK);
}

/* The event that met the fault is gone, or has made it a double one; a double one, the end. */
static void event_fails(unused void **state)
{
	task = (struct exit_task){.selector = NEW, .external = true};
	descriptor(NEW, NEW_AT, 0x67, 0x09);
	faults(run_event(TASK_GATE, (struct event){.type = EVENT_EXT_INTR, .vector = 0x40}), VEC_NP,
	       NEW | 1, false);
	faults(run_event(TASK_GATE, page_fault), VEC_DF, 0, false);
	assert_null(run_event(TASK_GATE, (struct event){.type = EVENT_EXCEPTION,
							.vector = VEC_DF,
							.has_error = true}));
	assert_true(mock_host_console_has("triple fault") || vm.actions);
}

/* Before which an exception has gone, so that it waits: no event of the switch's, which is an instruction's. */
static const struct event *waits(u8 source)
{
	struct vm_exit e = {.kind = EXIT_TASK_SWITCH, .insn_len = insn_len};

	v->reinject = (struct event){.type = EVENT_EXT_INTR, .vector = 0x41};
	v->reinject_deferred = true;
	backend()->injected_count = 0;
	task.source = source;
	e.task = task;
	exit_dispatch(v, &e);
	return deliver();
}

static void another_event_is_kept(unused void **state)
{
	const struct event *e = waits(TASK_JMP);

	assert_int_equal(segment(VSEG_TR).selector, NEW);
	assert_non_null(e);
	assert_int_equal(e->type, EVENT_EXT_INTR);
	assert_int_equal(e->vector, 0x41);
	assert_null(deliver());
}

/* The switch faults: that goes first, and then comes what has waited. */
static void another_event_is_kept_by_a_fault(unused void **state)
{
	descriptor(NEW, NEW_AT, 0x67, 0x09);
	faults(waits(TASK_CALL), VEC_NP, NEW, false);
	assert_int_equal(deliver()->vector, 0x41);
	assert_null(deliver());
}

static void sixteen_bits(unused void **state)
{
	unsigned i;

	new_task_16();
	task.selector = NEW16;
	set_segment(VSEG_TR, OLD_AT, 0x2b, 0x83, OLD16);
	put(OLD_AT + 0x2a, 0x5a5a5a5a, 4);
	vcpu_reg_set(v, VREG_CR3, 0x66000);
	assert_null(run(TASK_CALL));
	assert_int_equal(get(OLD_AT + 0x0e, 2), OLD_EIP + 7);
	assert_int_equal(get(OLD_AT + 0x10, 2), OLD_FLAGS);
	for (i = 0; i < 8; i++)
		assert_int_equal(get(OLD_AT + 0x12 + 2 * i, 2), i);
	assert_int_equal(get(OLD_AT + 0x24, 2), CODE);
	assert_int_equal(get(OLD_AT + 0x28, 2), DATA);
	assert_int_equal(get(OLD_AT + 0x2a, 4), 0x5a5a5a5a);
	assert_int_equal(get(NEW_AT, 2), OLD16);
	assert_int_equal(vcpu_reg(v, VREG_RIP), NEW_EIP);
	assert_int_equal(vcpu_reg(v, VREG_RFLAGS), 2 | RFLAGS_CF | RFLAGS_NT);
	for (i = 0; i < 8; i++)
		assert_int_equal(vcpu_gpr(v, i), 0xc0c0 + i);
	assert_int_equal(segment(VSEG_TR).attr, 0x83);
	assert_int_equal(segment(VSEG_FS).attr, SEG_ATTR_UNUSABLE);
	assert_int_equal(type_of(OLD16), 0x83);
	assert_int_equal(type_of(NEW16), 0x83);
}

static void sixteen_bits_push(unused void **state)
{
	new_task_16();
	task = (struct exit_task){
		.selector = NEW16, .external = true, .has_error = true, .error = 0x12345};
	assert_null(run_event(TASK_GATE, page_fault));
	assert_int_equal(vcpu_reg(v, VREG_RSP), 0xc0c2);
	assert_int_equal(get(0xc0c2, 4), 0x2345);
}

/* Before the commit point nothing has changed. */
static void refused(unused void **state)
{
	static const struct {
		u16 selector;
		u8 attr, limit, source, vector;
	} rows[] = {
		{NEW | 4, 0x89, 0x67, TASK_CALL, VEC_GP}, {NEW | 4, 0x8b, 0x67, TASK_IRET, VEC_TS},
		{FREE_SEL, 0x89, 0x67, TASK_JMP, VEC_GP}, {FREE_SEL, 0x8b, 0x67, TASK_IRET, VEC_TS},
		{NEW, 0x8b, 0x67, TASK_CALL, VEC_GP},     {NEW, 0x8b, 0x67, TASK_JMP, VEC_GP},
		{NEW, 0x89, 0x67, TASK_IRET, VEC_TS},     {NEW, 0x99, 0x67, TASK_CALL, VEC_GP},
		{NEW, 0x82, 0x67, TASK_CALL, VEC_GP},     {NEW, 0x8c, 0x67, TASK_CALL, VEC_GP},
		{NEW, 0x09, 0x67, TASK_CALL, VEC_NP},     {NEW, 0x0b, 0x67, TASK_IRET, VEC_NP},
		{NEW, 0x89, 0x66, TASK_CALL, VEC_TS},     {NEW, 0x81, 0x2a, TASK_CALL, VEC_TS},
		{0, 0x89, 0x67, TASK_CALL, VEC_GP},       {NEW | 3, 0x09, 0x67, TASK_JMP, VEC_NP},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		descriptor(NEW, NEW_AT, rows[i].limit, rows[i].attr);
		task.selector = rows[i].selector;
		faults(run(rows[i].source), rows[i].vector, rows[i].selector & 0xfffc, false);
		assert_int_equal(get(OLD_AT + 0x20, 4), 0);
		assert_int_equal(type_of(OLD), 0x8b);
		assert_int_equal(type_of(NEW), rows[i].attr);
	}
}

static void old_tss_is_small(unused void **state)
{
	set_segment(VSEG_TR, OLD_AT, 0x5e, 0x8b, OLD);
	faults(run(TASK_JMP), VEC_TS, NEW, false);
	set_segment(VSEG_TR, OLD_AT, 0x5f, 0x8b, OLD);
	assert_null(run(TASK_JMP));
}

/* After it the selectors are the new task's, and the fault is. */
static void bad_segments(unused void **state)
{
	static const struct {
		u8 offset;
		u16 selector;
		u8 vector;
	} rows[] = {
		{0x60, DATA, VEC_TS},     {0x60, FREE_SEL, VEC_TS}, {0x60, LDT | 4, VEC_TS},
		{0x4c, 0, VEC_TS},        {0x4c, DATA, VEC_TS},     {0x4c, UCODE & ~3, VEC_TS},
		{0x4c, FREE_SEL, VEC_TS}, {0x4c, CODE | 3, VEC_TS}, {0x50, 0, VEC_TS},
		{0x50, CODE, VEC_TS},     {0x50, UDATA, VEC_TS},    {0x50, DATA | 3, VEC_TS},
		{0x50, ABSENT, VEC_SS},   {0x54, ABSENT, VEC_NP},   {0x48, DATA | 3, VEC_TS},
		{0x48, NEW, VEC_TS},      {0x58, FREE_SEL, VEC_TS}, {0x5c, 0xc, VEC_TS},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		void *none = NULL;

		teardown(&none);
		task_setup(&none);
		put(NEW_AT + rows[i].offset, rows[i].selector, 4);
		faults(run(TASK_JMP), rows[i].vector, rows[i].selector & 0xfffc, true);
		assert_int_equal(segment(VSEG_CS).selector, get(NEW_AT + 0x4c, 2));
		assert_int_equal(segment(VSEG_GS).selector, get(NEW_AT + 0x5c, 2));
		/* Whatever is wrong, an entry must accept it: CS and SS of one level. */
		assert_int_equal(segment(VSEG_CS).attr & (SEG_ATTR_P | SEG_ATTR_S), 0x90);
		assert_int_equal(field_get(SEG_ATTR_DPL, segment(VSEG_CS).attr),
				 field_get(SEG_ATTR_DPL, segment(VSEG_SS).attr));
	}
}

static void absent_code(unused void **state)
{
	descriptor(CODE, 0, 0xfffff, 0xc01a);
	faults(run(TASK_JMP), VEC_NP, CODE, true);
}

static void ring3_and_conforming(unused void **state)
{
	unsigned i;

	for (i = 0; i < 6; i++)
		put(NEW_AT + 0x48 + 4 * i, UDATA, 4);
	put(NEW_AT + 0x4c, CONFORM | 3, 4);
	put(NEW_AT + 0x54, CONFORM | 3, 4); /* readable, and so data too */
	assert_null(run(TASK_JMP));
	assert_int_equal(segment(VSEG_CS).attr, 0xc09f);
	assert_int_equal(segment(VSEG_SS).attr, 0xc0f3);
	assert_int_equal(segment(VSEG_DS).attr, 0xc09f);
}

static void virtual_8086(unused void **state)
{
	enum vseg seg;

	put(NEW_AT + 0x24, RFLAGS_VM | RFLAGS_IOPL, 4);
	put(NEW_AT + 0x4c, 0x1234, 4);
	assert_null(run(TASK_JMP));
	assert_int_equal(vcpu_reg(v, VREG_RFLAGS), 2 | RFLAGS_VM | RFLAGS_IOPL);
	assert_int_equal(segment(VSEG_CS).base, 0x12340);
	for (seg = VSEG_ES; seg <= VSEG_GS; seg++) {
		assert_int_equal(segment(seg).attr, 0xf3);
		assert_int_equal(segment(seg).limit, 0xffff);
	}
	assert_int_equal(segment(VSEG_LDTR).base, LDT_AT);
}

static void trap_bit(unused void **state)
{
	const struct event *event;

	put(NEW_AT + 0x64, 1, 2);
	event = run(TASK_JMP);
	assert_non_null(event);
	assert_int_equal(event->vector, VEC_DB);
	assert_false(event->has_error);
	assert_int_equal(vcpu_reg(v, VREG_DR6), DR6_BT);
	new_is_loaded(false);
}

/* Where the error code has no room. */
static void stack_limits(unused void **state)
{
	task = (struct exit_task){.selector = NEW, .external = true, .has_error = true, .error = 6};
	put(NEW_AT + 0x50, DOWN, 4);
	put(NEW_AT + 0x38, 0x2003, 4);
	faults(run_event(TASK_GATE, (struct event){.type = EVENT_EXCEPTION, .vector = VEC_AC}),
	       VEC_SS, 1, true);
}

static void stack_has_room(unused void **state)
{
	task = (struct exit_task){.selector = NEW, .external = true, .has_error = true, .error = 6};
	put(NEW_AT + 0x50, DOWN, 4);
	put(NEW_AT + 0x38, 0x2004, 4);
	assert_null(run_event(TASK_GATE, page_fault));
	assert_int_equal(get(0x2000, 4), 6);
}

/* ---- With paging ---------------------------------------------------------------------------- */

/* 1:1 but for one page, in PAE paging of 2 MiB pages and one table. */
static void pae_tables(u64 at, u64 hole)
{
	unsigned i;

	put(at, (at + 0x1000) | 1, 8);
	for (i = 0; i < 16; i++)
		put(at + 0x1000 + 8 * i, (u64)i << 21 | 0x83, 8);
	put(at + 0x1000, (at + 0x2000) | 3, 8);
	for (i = 0; i < 512; i++)
		put(at + 0x2000 + 8 * i, (u64)i << 12 | (i == hole >> 12 ? 0 : 3), 8);
}

static void paging_on(u64 hole)
{
	pae_tables(0x100000, hole);
	pae_tables(0x110000, 0x1ff000);
	vcpu_reg_set(v, VREG_CR4, CR4_PAE);
	vcpu_reg_set(v, VREG_CR3, 0x100000);
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_ET | CR0_PG);
	put(NEW_AT + 0x1c, 0x110000, 4);
}

static void cr3_is_loaded(unused void **state)
{
	unsigned flushes;

	paging_on(0x1fe000);
	flushes = backend()->flushes;
	assert_null(run(TASK_JMP));
	assert_int_equal(vcpu_reg(v, VREG_CR3), 0x110000);
	assert_int_equal(backend()->flushes, flushes + 1);
}

static void bad_pdpte(unused void **state)
{
	paging_on(0x1fe000);
	put(0x110008, 0x100000007ULL, 8);
	faults(run(TASK_JMP), VEC_GP, 0, false);
	assert_int_equal(vcpu_reg(v, VREG_CR3), 0x100000);
	assert_int_equal(type_of(NEW), 0x89);
}

/* A TSS that is not there is the old task's fault. */
static void absent_tss(unused void **state)
{
	paging_on(NEW_AT);
	faults(run(TASK_JMP), VEC_PF, 0, false);
	assert_int_equal(vcpu_reg(v, VREG_CR2), NEW_AT);
	faults(run(TASK_CALL), VEC_PF, PFEC_W, false);
}

static void absent_old_tss(unused void **state)
{
	paging_on(OLD_AT);
	faults(run(TASK_JMP), VEC_PF, PFEC_W, false);
	assert_int_equal(vcpu_reg(v, VREG_CR2), OLD_AT + 0x20);
	assert_int_equal(type_of(NEW), 0x89);
}

/* Its stack is the new one's. */
static void absent_stack(unused void **state)
{
	const struct event *event;

	paging_on(0x1fe000);
	put(0x110000 + 0x2000 + 8 * (STACK / 4096 - 1), 0, 8);
	task = (struct exit_task){.selector = NEW, .external = true, .has_error = true};
	event = run_event(TASK_GATE, (struct event){.type = EVENT_EXCEPTION,
						    .vector = VEC_AC,
						    .has_error = true});
	faults(event, VEC_PF, PFEC_W, true);
	assert_int_equal(vcpu_reg(v, VREG_CR2), STACK - 4);
	assert_int_equal(vcpu_reg(v, VREG_RSP), STACK);
}

/* Back to itself: what was saved is what is loaded. */
static void to_itself(unused void **state)
{
	put(OLD_AT + 0x60, 0, 4);
	task.selector = OLD;
	assert_null(run(TASK_IRET));
	assert_int_equal(vcpu_reg(v, VREG_RIP), OLD_EIP + 7);
	assert_int_equal(vcpu_gpr(v, 3), 0xa0a00003);
	assert_int_equal(segment(VSEG_TR).selector, OLD);
}

/* No length: the instruction is fetched. */
static void length_is_fetched(unused void **state)
{
	insn_len = 0;
	put(OLD_EIP, 0x0038000000009aULL << 8 | 0x66, 8); /* 66 9A: CALL ptr16:16 */
	assert_null(run(TASK_CALL));
	assert_int_equal(get(OLD_AT + 0x20, 4), OLD_EIP + 6);
}

#define TASK_TEST(fn) cmocka_unit_test_setup_teardown(fn, task_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TASK_TEST(jmp),
		TASK_TEST(call),
		TASK_TEST(iret),
		TASK_TEST(exception),
		TASK_TEST(interrupt),
		TASK_TEST(event_fails),
		TASK_TEST(another_event_is_kept),
		TASK_TEST(another_event_is_kept_by_a_fault),
		TASK_TEST(sixteen_bits),
		TASK_TEST(sixteen_bits_push),
		TASK_TEST(refused),
		TASK_TEST(old_tss_is_small),
		TASK_TEST(bad_segments),
		TASK_TEST(absent_code),
		TASK_TEST(ring3_and_conforming),
		TASK_TEST(virtual_8086),
		TASK_TEST(trap_bit),
		TASK_TEST(stack_limits),
		TASK_TEST(stack_has_room),
		TASK_TEST(cr3_is_loaded),
		TASK_TEST(bad_pdpte),
		TASK_TEST(absent_tss),
		TASK_TEST(absent_old_tss),
		TASK_TEST(absent_stack),
		TASK_TEST(to_itself),
		TASK_TEST(length_is_fetched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
