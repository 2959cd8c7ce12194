/* SPDX-License-Identifier: MIT */
/* Tests of the local APIC: registers in both modes, priorities, IPIs, addressing, APIC_BASE, errors. The timer has its own. */
/* SOURCES: vmm/irq/vlapic.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_ipi.c vmm/irq/vlapic_timer.c vmm/dev/clock.c */
#include "test/mock/vlapic_test.h"

/* ---- Reset state -------------------------------------------------------------------------- */

static void power_up_state(unused void **state)
{
	u64 base;
	u32 offset;

	vlapic_init(&apic, 5, &test_clock, &ops, NULL);
	vlapic_reset(&apic, false);
	assert_int_equal(rd(ID), 5 << 24);
	assert_int_equal(rd(VERSION), 0x00050014);
	assert_int_equal(rd(SVR), 0xff);
	assert_int_equal(rd(DFR), 0xffffffff);
	for (offset = LVT_TIMER; offset <= LVT_ERROR; offset += 16)
		assert_int_equal(rd(offset), 0x10000);
	for (offset = ISR; offset <= ESR; offset += 16)
		assert_int_equal(rd(offset), 0);
	assert_int_equal(rd(TPR) | rd(PPR) | rd(LDR) | rd(ICR) | rd(ICR_HIGH), 0);
	assert_int_equal(rd(TMICT) | rd(TMCCT) | rd(TDCR), 0);
	assert_true(vlapic_msr_read(&apic, MSR_APIC_BASE, &base));
	assert_int_equal(base, 0xfee00800);
	vlapic_reset(&apic, true);
	assert_true(vlapic_msr_read(&apic, MSR_APIC_BASE, &base));
	assert_int_equal(base, 0xfee00900);
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void init_keeps_mode_and_id(unused void **state)
{
	u64 value;

	assert_true(vlapic_msr_write(&apic, X2(LVT_LINT0), 0x31));
	deliver(APIC_FIXED, 0x40, false);
	vlapic_reset_init(&apic);
	assert_true(apic.enabled_x2apic && apic.hw_enabled);
	assert_true(vlapic_msr_read(&apic, X2(SVR), &value));
	assert_int_equal(value, 0xff);
	assert_true(vlapic_msr_read(&apic, X2(LVT_LINT0), &value));
	assert_int_equal(value, 0x10000);
	assert_true(vlapic_msr_read(&apic, X2(LDR), &value));
	assert_int_equal(value, 1);
	assert_int_equal(vlapic_pending(&apic), -1);
}

/* ---- Acceptance and priority -------------------------------------------------------------- */

static void the_highest_vector_first(unused void **state)
{
	deliver(APIC_FIXED, 0x31, false);
	deliver(APIC_LOWEST, 0xef, false);
	deliver(APIC_FIXED, 0x80, false);
	assert_int_equal(vlapic_pending(&apic), 0xef);
	assert_int_equal(rd(IRR + 0x10), 1 << 17);
	assert_int_equal(rd(IRR + 0x70), 1 << 15);
	vlapic_accept(&apic, 0xef);
	assert_int_equal(rd(IRR + 0x70), 0);
	assert_int_equal(rd(ISR + 0x70), 1 << 15);
	assert_int_equal(rd(PPR), 0xe0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_false(apic.pending_hint);
	seen.notified = 0;
	wr(EOI, 0);
	assert_int_equal(seen.notified, 1);
	assert_int_equal(vlapic_pending(&apic), 0x80);
	vlapic_accept(&apic, 0x80);
	wr(EOI, 0xdeadbeef);
	assert_int_equal(vlapic_pending(&apic), 0x31);
	vlapic_accept(&apic, 0x31);
	wr(EOI, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_false(apic.pending_hint);
	assert_int_equal(seen.eoi, 0);
}

static void interrupts_of_one_class_do_not_nest(unused void **state)
{
	deliver(APIC_FIXED, 0x41, false);
	vlapic_accept(&apic, (u8)vlapic_pending(&apic));
	deliver(APIC_FIXED, 0x4f, false);
	assert_int_equal(vlapic_pending(&apic), -1);
	deliver(APIC_FIXED, 0x50, false);
	assert_int_equal(vlapic_pending(&apic), 0x50);
}

static void one_waits_while_one_is_in_service(unused void **state)
{
	deliver(APIC_FIXED, 0x41, false);
	vlapic_accept(&apic, 0x41);
	deliver(APIC_FIXED, 0x41, false);
	deliver(APIC_FIXED, 0x41, false); /* merges */
	wr(EOI, 0);
	assert_int_equal(vlapic_pending(&apic), 0x41);
	vlapic_accept(&apic, 0x41);
	wr(EOI, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void tpr_holds_back_and_cr8_is_its_high_half(unused void **state)
{
	wr(TPR, 0x4f);
	assert_int_equal(vlapic_cr8_get(&apic), 4);
	assert_int_equal(rd(PPR), 0x4f);
	deliver(APIC_FIXED, 0x4f, false);
	assert_int_equal(seen.notified, 0);
	assert_int_equal(vlapic_pending(&apic), -1);
	vlapic_cr8_set(&apic, 3);
	assert_int_equal(rd(TPR), 0x30);
	assert_int_equal(seen.notified, 1);
	assert_int_equal(vlapic_pending(&apic), 0x4f);
	vlapic_cr8_set(&apic, 15);
	assert_int_equal(vlapic_pending(&apic), -1);
	wr(TPR, 0xffffff00);
	assert_int_equal(rd(TPR), 0);
	assert_int_equal(vlapic_pending(&apic), 0x4f);
}

static void ppr_by_the_manual(unused void **state)
{
	deliver(APIC_FIXED, 0x55, false);
	vlapic_accept(&apic, 0x55);
	wr(TPR, 0x12);
	assert_int_equal(rd(PPR), 0x50);
	wr(TPR, 0x53);
	assert_int_equal(rd(PPR), 0x53);
	wr(TPR, 0x67);
	assert_int_equal(rd(PPR), 0x67);
}

static void eoi_of_a_level_vector_is_broadcast(unused void **state)
{
	deliver(APIC_FIXED, 0x61, true);
	assert_int_equal(rd(TMR + 0x30), 2);
	vlapic_accept(&apic, 0x61);
	wr(EOI, 0);
	assert_int_equal(seen.eoi, 1);
	assert_int_equal(seen.eoi_vector, 0x61);
	/* The same vector, edge-triggered now. */
	deliver(APIC_FIXED, 0x61, false);
	assert_int_equal(rd(TMR + 0x30), 0);
	vlapic_accept(&apic, 0x61);
	wr(EOI, 0);
	assert_int_equal(seen.eoi, 1);
}

/* Vectors that share a word of the registers do not disturb one another. */
static void neighbours(unused void **state)
{
	deliver(APIC_FIXED, 0x62, true);
	deliver(APIC_FIXED, 0x75, true);
	deliver(APIC_FIXED, 0x68, false);
	assert_int_equal(rd(IRR + 0x30), 1 << 2 | 1 << 8 | 1 << 21);
	assert_int_equal(rd(TMR + 0x30), 1 << 2 | 1 << 21);
	vlapic_accept(&apic, 0x68);
	vlapic_accept(&apic, 0x75);
	assert_int_equal(rd(IRR + 0x30), 1 << 2);
	assert_int_equal(rd(ISR + 0x30), 1 << 8 | 1 << 21);
	wr(EOI, 0);
	assert_int_equal(rd(ISR + 0x30), 1 << 8);
}

static void reset_forgets_everything(unused void **state)
{
	u32 offset;

	deliver(APIC_FIXED, 0x62, true);
	deliver(APIC_FIXED, 0x75, true);
	vlapic_accept(&apic, 0x75);
	vlapic_reset(&apic, true);
	assert_false(apic.pending_hint);
	for (offset = ISR; offset <= ESR; offset += 16)
		assert_int_equal(rd(offset), 0);
	wr(SVR, 0x1ff);
	deliver(APIC_FIXED, 0x40, false);
	assert_int_equal(vlapic_pending(&apic), 0x40);
}

static void an_eoi_too_many_is_ignored(unused void **state)
{
	wr(EOI, 0);
	deliver(APIC_FIXED, 0x61, true);
	wr(EOI, 0);
	assert_int_equal(seen.eoi, 0);
	assert_int_equal(vlapic_pending(&apic), 0x61);
}

static void every_vector_from_16_can_be_delivered(unused void **state)
{
	unsigned v;

	for (v = 16; v < 256; v++) {
		deliver(APIC_FIXED, (u8)v, false);
		assert_int_equal(vlapic_pending(&apic), v);
		vlapic_accept(&apic, (u8)v);
		wr(EOI, 0);
	}
	assert_int_equal(esr(), 0);
}

static void nmi_init_sipi_go_to_their_callbacks(unused void **state)
{
	deliver(APIC_NMI, 0, false);
	deliver(APIC_INIT, 0, true);
	deliver(APIC_STARTUP, 0x9a, false);
	deliver(APIC_SMI, 0x40, false);
	deliver(APIC_EXTINT, 0x40, false);
	deliver(3, 0x40, false);
	assert_int_equal(seen.nmi, 1);
	assert_int_equal(seen.init, 1);
	assert_int_equal(seen.sipi, 1);
	assert_int_equal(seen.sipi_vector, 0x9a);
	assert_int_equal(seen.notified, 3);
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void software_disable(unused void **state)
{
	wr(LVT_LINT1, 0x400);
	wr(LVT_ERROR, 0x33);
	deliver(APIC_FIXED, 0x40, false);
	wr(SVR, 0xff);
	assert_int_equal(rd(LVT_LINT1), 0x10400);
	assert_int_equal(rd(LVT_ERROR), 0x10033);
	wr(LVT_ERROR, 0x34);
	assert_int_equal(rd(LVT_ERROR), 0x10034);
	/* What was accepted stays pending; nothing new is accepted but NMI, INIT, SIPI. */
	deliver(APIC_FIXED, 0x90, false);
	assert_int_equal(vlapic_pending(&apic), 0x40);
	deliver(APIC_NMI, 0, false);
	assert_int_equal(seen.nmi, 1);
	wr(SVR, 0x1ff);
	assert_int_equal(rd(LVT_ERROR), 0x10034);
	deliver(APIC_FIXED, 0x90, false);
	assert_int_equal(vlapic_pending(&apic), 0x90);
}

/* ---- xAPIC page --------------------------------------------------------------------------- */

static void xapic_masks(unused void **state)
{
	static const struct {
		u32 offset, written, read;
	} rows[] = {
		{ID, 0xff000000, 0},
		{VERSION, 0, 0x50014},
		{TPR, 0xffffffff, 0xff},
		{APR, 0xffffffff, 0},
		{RRD, 0xffffffff, 0},
		{LDR, 0xffffffff, 0xff000000},
		{DFR, 0x0fffffff, 0x0fffffff},
		{SVR, 0xffffffff, 0x3ff},
		{ISR, 0xffffffff, 0},
		{IRR + 0x70, 0xffffffff, 0},
		{ICR_HIGH, 0xffffffff, 0xff000000},
		{LVT_TIMER, 0xfff9ffff, 0x100ff},
		{LVT_TIMER, 0xffffffff, 0x700ff},
		{LVT_THERMAL, 0xffffffff, 0x107ff},
		{LVT_PERF, 0xffffffff, 0x107ff},
		{LVT_LINT0, 0xffffffff, 0x1a7ff},
		{LVT_LINT1, 0xffffffff, 0x1a7ff},
		{LVT_ERROR, 0xffffffff, 0x100ff},
		{TMCCT, 0xffffffff, 0},
		{TDCR, 0xffffffff, 0xb},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		wr(rows[i].offset, rows[i].written);
		assert_int_equal(rd(rows[i].offset), rows[i].read);
	}
	assert_int_equal(esr(), 0);
}

static void xapic_reserved_registers_show_in_the_esr(unused void **state)
{
	static const u32 reserved[] = {0x00,  0x10,  0x40,     0x70,  0x290, CMCI,
				       0x3a0, 0x3d0, SELF_IPI, 0x400, 0x500, 0xff0};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(reserved); i++) {
		assert_int_equal(rd(reserved[i]), 0);
		assert_int_equal(esr(), 0x80);
		wr(reserved[i], 0xffffffff);
		assert_int_equal(esr(), 0x80);
	}
	assert_int_equal(esr(), 0);
	/* Offsets between registers. */
	assert_int_equal(rd(SVR + 4), 0);
	wr(SVR + 8, 0);
	assert_int_equal(rd(SVR), 0x1ff);
	assert_int_equal(rd(0xffffffff), 0); /* beyond the page, from a careless caller */
	wr(0xfffffff0, 1);
}

static void error_interrupt_once_until_esr_is_written(unused void **state)
{
	wr(LVT_ERROR, 0xfe);
	rd(0x10);
	assert_int_equal(vlapic_pending(&apic), 0xfe);
	vlapic_accept(&apic, 0xfe);
	wr(EOI, 0);
	deliver(APIC_FIXED, 3, false);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(rd(ESR), 0); /* not latched yet */
	wr(ESR, 0);
	assert_int_equal(rd(ESR), 0xc0);
	wr(ESR, 0);
	assert_int_equal(rd(ESR), 0);
	deliver(APIC_FIXED, 15, false);
	assert_int_equal(vlapic_pending(&apic), 0xfe);
}

/* An illegal vector in LVT error itself must not run in circles. */
static void error_lvt_with_an_illegal_vector(unused void **state)
{
	wr(LVT_ERROR, 0x05);
	rd(0x10);
	assert_int_equal(esr(), 0xc0);
	assert_int_equal(vlapic_pending(&apic), -1);
}

static void mmio_is_active_in_xapic_mode_at_its_base(unused void **state)
{
	assert_true(vlapic_mmio_active(&apic, 0xfee00000));
	assert_true(vlapic_mmio_active(&apic, 0xfee00fff));
	assert_false(vlapic_mmio_active(&apic, 0xfee01000));
	assert_false(vlapic_mmio_active(&apic, 0xfedfffff));
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, 0xd0000800));
	assert_true(vlapic_mmio_active(&apic, 0xd0000000));
	assert_false(vlapic_mmio_active(&apic, 0xfee00000));
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, 0xd0000c00));
	assert_false(vlapic_mmio_active(&apic, 0xd0000000));
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, 0xd0000000));
	assert_false(vlapic_mmio_active(&apic, 0xd0000000));
}

/* ---- IPIs --------------------------------------------------------------------------------- */

static void icr_fixed_to_a_destination(unused void **state)
{
	wr(ICR_HIGH, 0x03000000);
	wr(ICR, 0x00004051);
	assert_int_equal(seen.sent, 1);
	assert_int_equal(seen.msg.dest, 3);
	assert_false(seen.msg.logical);
	assert_int_equal(seen.msg.mode, APIC_FIXED);
	assert_int_equal(seen.msg.vector, 0x51);
	assert_false(seen.msg.level);
	assert_false(seen.exclude_self);
	assert_int_equal(rd(ICR), 0x4051);
	/* Logical, level trigger (which means nothing here), reserved and read-only bits. */
	wr(ICR, 0xfff3f851);
	assert_int_equal(seen.sent, 2);
	assert_true(seen.msg.logical);
	assert_false(seen.msg.level);
	assert_int_equal(rd(ICR), 0xc851);
}

static void icr_shorthands(unused void **state)
{
	wr(ICR, 0x00044061); /* self */
	assert_int_equal(seen.sent, 0);
	assert_int_equal(vlapic_pending(&apic), 0x61);
	wr(ICR, 0x00084062); /* all */
	assert_int_equal(seen.sent, 1);
	assert_int_equal(seen.msg.dest, 0xffffffff);
	assert_false(seen.exclude_self);
	wr(ICR, 0x000c4862); /* others; the logical bit has no meaning */
	assert_int_equal(seen.sent, 2);
	assert_int_equal(seen.msg.dest, 0xffffffff);
	assert_false(seen.msg.logical);
	assert_true(seen.exclude_self);
	wr(ICR, 0x00044400); /* NMI to self */
	assert_int_equal(seen.nmi, 1);
	wr(ICR, 0x00044500); /* INIT to self: not valid */
	wr(ICR, 0x00084500); /* INIT to all including self: not valid */
	wr(ICR, 0x00084600); /* SIPI likewise */
	assert_int_equal(seen.init + seen.sipi, 0);
	assert_int_equal(seen.sent, 2);
	wr(ICR, 0x000c4500); /* INIT to the others */
	assert_int_equal(seen.sent, 3);
	assert_int_equal(seen.msg.mode, APIC_INIT);
}

static void icr_modes(unused void **state)
{
	wr(ICR_HIGH, 0x01000000);
	wr(ICR, 0x4171);
	assert_int_equal(seen.msg.mode, APIC_LOWEST);
	wr(ICR, 0x4400);
	assert_int_equal(seen.msg.mode, APIC_NMI);
	wr(ICR, 0xc500);
	assert_int_equal(seen.msg.mode, APIC_INIT);
	assert_true(seen.msg.level);
	wr(ICR, 0x4699);
	assert_int_equal(seen.msg.mode, APIC_STARTUP);
	assert_int_equal(seen.msg.vector, 0x99);
	assert_int_equal(seen.sent, 4);
	wr(ICR, 0x8500); /* INIT level de-assert */
	wr(ICR, 0x4200); /* SMI */
	wr(ICR, 0x4350); /* reserved */
	wr(ICR, 0x4750); /* reserved */
	assert_int_equal(seen.sent, 4);
	assert_int_equal(esr(), 0);
}

static void icr_illegal_vector(unused void **state)
{
	wr(ICR, 0x4000);
	wr(ICR, 0x400f);
	assert_int_equal(seen.sent, 0);
	assert_int_equal(esr(), 0x20);
	wr(ICR, 0x0004400f); /* self */
	assert_int_equal(esr(), 0x20);
	wr(ICR, 0x4010);
	assert_int_equal(seen.sent, 1);
	assert_int_equal(esr(), 0);
}

/* ---- Addressing --------------------------------------------------------------------------- */

static bool physical(u32 dest)
{
	return vlapic_matches(&apic, &(struct apic_msg){.dest = dest});
}

static bool logical(u32 dest)
{
	return vlapic_matches(&apic, &(struct apic_msg){.dest = dest, .logical = true});
}

static void addressing_xapic(unused void **state)
{
	apic.id = 3;
	assert_true(physical(3));
	assert_false(physical(2));
	assert_true(physical(0xff));
	assert_true(physical(0xffffffff));
	assert_false(physical(0x103));
	wr(LDR, 0x04000000);
	assert_true(logical(0x04));
	assert_true(logical(0x0c));
	assert_false(logical(0x0b));
	assert_true(logical(0xff));
	assert_false(logical(0x104));
	wr(DFR, 0); /* cluster */
	wr(LDR, 0x24000000);
	assert_true(logical(0x24));
	assert_true(logical(0x2f));
	assert_false(logical(0x14));
	assert_false(logical(0x2b));
	assert_true(logical(0xff));
	wr(DFR, 0x50000000); /* no model */
	assert_false(logical(0x24));
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE));
	assert_false(physical(3));
	assert_false(physical(0xff));
}

static void addressing_x2apic(unused void **state)
{
	u64 ldr;

	apic.id = 0x123;
	assert_true(vlapic_msr_read(&apic, X2(LDR), &ldr));
	assert_int_equal(ldr, 0x00120008);
	assert_true(physical(0x123));
	assert_false(physical(0x23));
	assert_false(physical(0xff));
	assert_true(physical(0xffffffff));
	assert_true(logical(0x00120008));
	assert_true(logical(0x0012ffff));
	assert_false(logical(0x0012fff7));
	assert_false(logical(0x00110008));
	assert_true(logical(0xffffffff));
}

/* ---- IA32_APIC_BASE ----------------------------------------------------------------------- */

enum { DISABLED, INVALID, XAPIC, X2APIC };

static const u64 base_bits[] = {0, 0x400, 0x800, 0xc00};

static void base_transitions_by_the_manual(void **state)
{
	static const bool allowed[4][4] = {
		[DISABLED] = {[DISABLED] = true, [XAPIC] = true},
		[XAPIC] = {[DISABLED] = true, [XAPIC] = true, [X2APIC] = true},
		[X2APIC] = {[DISABLED] = true, [X2APIC] = true},
	};
	unsigned from, to;
	u64 value;

	for (from = 0; from < 4; from++) {
		for (to = 0; to < 4 && from != INVALID; to++) {
			setup(state);
			if (from != XAPIC)
				assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE,
							     VLAPIC_BASE | base_bits[from]));
			assert_int_equal(vlapic_msr_write(&apic, MSR_APIC_BASE,
							  VLAPIC_BASE | base_bits[to]),
					 allowed[from][to]);
			assert_true(vlapic_msr_read(&apic, MSR_APIC_BASE, &value));
			assert_int_equal(value & 0xc00, base_bits[allowed[from][to] ? to : from]);
			assert_int_equal(apic.hw_enabled, (value & 0x800) != 0);
			assert_int_equal(apic.enabled_x2apic, (value & 0xc00) == 0xc00);
		}
	}
}

static void base_reserved_bits_fault(unused void **state)
{
	unsigned bit;

	for (bit = 0; bit < 64; bit++) {
		bool reserved = bit < 8 || bit == 9 || bit >= 52;
		u64 value = VLAPIC_BASE | 0x800;

		if (bit == 10)
			continue;
		assert_int_equal(vlapic_msr_write(&apic, MSR_APIC_BASE, value | BIT(bit)),
				 !reserved);
		assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, value));
	}
	apic.base_reserved |= GENMASK(51, 39);
	assert_false(vlapic_msr_write(&apic, MSR_APIC_BASE, BIT(39) | 0x800));
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, BIT(38) | 0x800));
}

static void moving_the_page_keeps_the_registers(unused void **state)
{
	wr(LDR, 0x08000000);
	wr(DFR, 0);
	wr(ICR_HIGH, 0x05000000);
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, 0xd0000800));
	assert_int_equal(rd(LDR), 0x08000000);
	assert_int_equal(rd(DFR), 0x0fffffff);
	assert_int_equal(rd(ICR_HIGH), 0x05000000);
}

static void disabling_resets_and_delivers_nothing(unused void **state)
{
	wr(LDR, 0x01000000);
	deliver(APIC_FIXED, 0x40, false);
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE));
	assert_int_equal(vlapic_pending(&apic), -1);
	deliver(APIC_FIXED, 0x40, false);
	deliver(APIC_NMI, 0, false);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(seen.nmi, 0);
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE | 0x800));
	assert_int_equal(rd(SVR), 0xff);
	assert_int_equal(rd(LDR), 0);
}

static void entering_x2apic_keeps_what_is_pending(unused void **state)
{
	u64 value;

	wr(TPR, 0x20);
	wr(LVT_ERROR, 0xfe);
	wr(ICR_HIGH, 0x07000000);
	deliver(APIC_FIXED, 0x71, false);
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE | 0xc00));
	assert_int_equal(vlapic_pending(&apic), 0x71);
	assert_true(vlapic_msr_read(&apic, X2(TPR), &value));
	assert_int_equal(value, 0x20);
	assert_true(vlapic_msr_read(&apic, X2(LVT_ERROR), &value));
	assert_int_equal(value, 0xfe);
	assert_true(vlapic_msr_read(&apic, X2(ICR), &value));
	assert_int_equal(value >> 32, 0);
}

/* ---- x2APIC MSRs -------------------------------------------------------------------------- */

/* SDM table "Local APIC Register Address Map Supported by x2APIC": r and w, and the bits that a write may set. */
static const struct {
	u32 msr;
	bool r, w;
	u64 bits;
} x2_rows[] = {
	{0x802, true, false, 0},
	{0x803, true, false, 0},
	{0x808, true, true, 0xff},
	{0x80a, true, false, 0},
	{0x80b, false, true, 0},
	{0x80d, true, false, 0},
	{0x80f, true, true, 0x3ff},
	{0x828, true, true, 0},
	{0x830, true, true, 0xffffffff000cdfff},
	{0x832, true, true, 0x710ff},
	{0x833, true, true, 0x117ff},
	{0x834, true, true, 0x117ff},
	{0x835, true, true, 0x1f7ff},
	{0x836, true, true, 0x1f7ff},
	{0x837, true, true, 0x110ff},
	{0x838, true, true, 0xffffffff},
	{0x839, true, false, 0},
	{0x83e, true, true, 0xb},
	{0x83f, false, true, 0xff},
};

static void x2apic_access_and_reserved_bits(unused void **state)
{
	unsigned i, bit;
	u32 msr;
	u64 value;

	for (msr = 0x800; msr < 0x900; msr++) {
		bool r = msr >= 0x810 && msr <= 0x827, w = false;
		u64 bits = 0;

		for (i = 0; i < ARRAY_SIZE(x2_rows); i++) {
			if (x2_rows[i].msr == msr) {
				r = x2_rows[i].r;
				w = x2_rows[i].w;
				bits = x2_rows[i].bits;
			}
		}
		assert_int_equal(vlapic_msr_read(&apic, msr, &value), r);
		assert_int_equal(vlapic_msr_write(&apic, msr, 0), w);
		for (bit = 0; bit < 64; bit++)
			assert_int_equal(vlapic_msr_write(&apic, msr, BIT(bit)),
					 w && (bits & BIT(bit)) != 0);
	}
}

static void x2apic_msrs_fault_in_xapic_mode(unused void **state)
{
	u32 msr;
	u64 value;

	for (msr = 0x800; msr < 0x900; msr++) {
		assert_false(vlapic_msr_read(&apic, msr, &value));
		assert_false(vlapic_msr_write(&apic, msr, 0));
	}
	/* And what is none of its MSRs, from a careless caller. */
	assert_false(vlapic_msr_read(&apic, 0, &value));
	assert_false(vlapic_msr_write(&apic, 0xffffffff, 0));
}

static void x2apic_icr_is_one_write(unused void **state)
{
	u64 value;

	assert_true(vlapic_msr_write(&apic, 0x830, 0x0000012300004851));
	assert_int_equal(seen.sent, 1);
	assert_int_equal(seen.msg.dest, 0x123);
	assert_true(seen.msg.logical);
	assert_int_equal(seen.msg.vector, 0x51);
	assert_true(vlapic_msr_read(&apic, 0x830, &value));
	assert_int_equal(value, 0x0000012300004851);
	assert_false(vlapic_msr_write(&apic, 0x831, 0));
}

static void x2apic_self_ipi(unused void **state)
{
	assert_true(vlapic_msr_write(&apic, 0x83f, 0x10));
	assert_int_equal(vlapic_pending(&apic), 0x10);
	assert_true(vlapic_msr_write(&apic, 0x83f, 0x77));
	assert_int_equal(vlapic_pending(&apic), 0x77);
	vlapic_accept(&apic, 0x77);
	assert_true(vlapic_msr_write(&apic, 0x80b, 0));
	assert_int_equal(seen.eoi, 0); /* it was edge-triggered */
	assert_false(vlapic_msr_write(&apic, 0x83f, 0x177));
	assert_true(vlapic_msr_write(&apic, 0x83f, 0x0f));
	assert_true(vlapic_msr_write(&apic, 0x828, 0));
	assert_int_equal(apic.esr, 0x20);
}

static void x2apic_id_has_32_bits(unused void **state)
{
	u64 value;

	apic.id = 0x12345;
	assert_true(vlapic_msr_read(&apic, 0x802, &value));
	assert_int_equal(value, 0x12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(power_up_state, setup),
		cmocka_unit_test_setup(init_keeps_mode_and_id, setup_x2apic),
		cmocka_unit_test_setup(the_highest_vector_first, setup),
		cmocka_unit_test_setup(interrupts_of_one_class_do_not_nest, setup),
		cmocka_unit_test_setup(one_waits_while_one_is_in_service, setup),
		cmocka_unit_test_setup(tpr_holds_back_and_cr8_is_its_high_half, setup),
		cmocka_unit_test_setup(ppr_by_the_manual, setup),
		cmocka_unit_test_setup(eoi_of_a_level_vector_is_broadcast, setup),
		cmocka_unit_test_setup(neighbours, setup),
		cmocka_unit_test_setup(reset_forgets_everything, setup),
		cmocka_unit_test_setup(an_eoi_too_many_is_ignored, setup),
		cmocka_unit_test_setup(every_vector_from_16_can_be_delivered, setup),
		cmocka_unit_test_setup(nmi_init_sipi_go_to_their_callbacks, setup),
		cmocka_unit_test_setup(software_disable, setup),
		cmocka_unit_test_setup(xapic_masks, setup),
		cmocka_unit_test_setup(xapic_reserved_registers_show_in_the_esr, setup),
		cmocka_unit_test_setup(error_interrupt_once_until_esr_is_written, setup),
		cmocka_unit_test_setup(error_lvt_with_an_illegal_vector, setup),
		cmocka_unit_test_setup(mmio_is_active_in_xapic_mode_at_its_base, setup),
		cmocka_unit_test_setup(icr_fixed_to_a_destination, setup),
		cmocka_unit_test_setup(icr_shorthands, setup),
		cmocka_unit_test_setup(icr_modes, setup),
		cmocka_unit_test_setup(icr_illegal_vector, setup),
		cmocka_unit_test_setup(addressing_xapic, setup),
		cmocka_unit_test_setup(addressing_x2apic, setup_x2apic),
		cmocka_unit_test_setup(base_transitions_by_the_manual, setup),
		cmocka_unit_test_setup(base_reserved_bits_fault, setup),
		cmocka_unit_test_setup(moving_the_page_keeps_the_registers, setup),
		cmocka_unit_test_setup(disabling_resets_and_delivers_nothing, setup),
		cmocka_unit_test_setup(entering_x2apic_keeps_what_is_pending, setup),
		cmocka_unit_test_setup(x2apic_access_and_reserved_bits, setup_x2apic),
		cmocka_unit_test_setup(x2apic_msrs_fault_in_xapic_mode, setup),
		cmocka_unit_test_setup(x2apic_icr_is_one_write, setup_x2apic),
		cmocka_unit_test_setup(x2apic_self_ipi, setup_x2apic),
		cmocka_unit_test_setup(x2apic_id_has_32_bits, setup_x2apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
