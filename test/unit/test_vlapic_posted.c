/* SPDX-License-Identifier: MIT */
/* Tests of the local APIC: interrupts that other CPUs post, and ends of interrupts without a word (KVM's PV EOI). */
/* SOURCES: vmm/irq/vlapic.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_ipi.c vmm/irq/vlapic_timer.c vmm/dev/clock.c */
#include "test/mock/vlapic_test.h"

/* From another CPU: nothing is seen of it before the owner collects; many of a vector are one; the level comes along. */
static void posted_by_others(unused void **state)
{
	assert_true(vlapic_post(&apic, 0x31, false));
	assert_true(vlapic_post(&apic, 0x31, false));
	assert_true(vlapic_post(&apic, 0xfe, true));
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(seen.notified, 0);
	vlapic_collect(&apic);
	assert_int_equal(vlapic_pending(&apic), 0xfe);
	assert_true(seen.notified > 0);
	vlapic_accept(&apic, 0xfe);
	vlapic_mmio_write(&apic, 0xb0, 0);
	assert_int_equal(seen.eoi_vector, 0xfe);
	assert_int_equal(vlapic_pending(&apic), 0x31);
	vlapic_accept(&apic, 0x31);
	vlapic_mmio_write(&apic, 0xb0, 0);
	assert_int_equal(seen.eoi, 1);
	vlapic_collect(&apic);
	assert_int_equal(vlapic_pending(&apic), -1);
	/* What it would not accept is not posted. */
	assert_false(vlapic_post(&apic, 15, false));
	vlapic_mmio_write(&apic, SVR, 0xff);
	assert_false(vlapic_post(&apic, 0x31, false));
}

static bool on_settle(void *ctx)
{
	return *(const bool *)ctx;
}

static void eoi_without_a_word(unused void **state)
{
	static const struct vlapic_ops settling = {.notify = on_notify, .eoi_settle = on_settle};
	bool used = true;

	apic.ops = &settling;
	apic.ctx = &used;
	assert_false(vlapic_eoi_is_plain(&apic)); /* nothing is in service */
	deliver(APIC_FIXED, 0x31, false);
	vlapic_accept(&apic, 0x31);
	assert_true(vlapic_eoi_is_plain(&apic));
	apic.eoi_offered = true;
	/* Used: the next interrupt, of the same class, finds nothing in service. */
	deliver(APIC_FIXED, 0x30, false);
	assert_false(apic.eoi_offered);
	assert_int_equal(vlapic_pending(&apic), 0x30);
	vlapic_accept(&apic, 0x30);
	/* Not used: the next one waits for the EOI, which is no plain one any more. */
	apic.eoi_offered = true;
	used = false;
	deliver(APIC_FIXED, 0x32, false);
	assert_false(apic.eoi_offered);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_false(vlapic_eoi_is_plain(&apic));
	wr(EOI, 0);
	assert_int_equal(vlapic_pending(&apic), 0x32);
	vlapic_accept(&apic, 0x32);
	/* Two in service, in one word of ISR and in two; a level one. */
	deliver(APIC_FIXED, 0x41, false);
	vlapic_accept(&apic, 0x41);
	assert_false(vlapic_eoi_is_plain(&apic));
	wr(EOI, 0);
	deliver(APIC_FIXED, 0x91, false);
	vlapic_accept(&apic, 0x91);
	assert_false(vlapic_eoi_is_plain(&apic));
	wr(EOI, 0);
	wr(EOI, 0);
	deliver(APIC_FIXED, 0x51, true);
	vlapic_accept(&apic, 0x51);
	assert_false(vlapic_eoi_is_plain(&apic));
}

/* What looks at ISR sees an interrupt that has been ended so as ended. */
static void eoi_without_a_word_is_seen(unused void **state)
{
	static const struct vlapic_ops settling = {
		.notify = on_notify, .eoi_settle = on_settle, .enabled = on_enabled};
	static const u32 reads[] = {ISR + 0x10, PPR};
	bool used = true;
	unsigned i;

	apic.ops = &settling;
	apic.ctx = &used;
	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		deliver(APIC_FIXED, 0x31, false);
		vlapic_accept(&apic, 0x31);
		apic.eoi_offered = true;
		assert_int_equal(rd(reads[i]), 0);
		assert_false(apic.eoi_offered);
	}
	/* An EOI in spite of the offer, and one too many. */
	for (used = false; i < 4; i++, used = true) {
		deliver(APIC_FIXED, 0x31, false);
		vlapic_accept(&apic, 0x31);
		apic.eoi_offered = true;
		wr(EOI, 0);
		assert_int_equal(rd(ISR + 0x10), 0);
	}
	/* Taken back to IRR; disabled. */
	deliver(APIC_FIXED, 0x31, false);
	vlapic_accept(&apic, 0x31);
	apic.eoi_offered = true;
	used = false;
	vlapic_unaccept(&apic, 0x31);
	assert_false(apic.eoi_offered);
	assert_int_equal(vlapic_pending(&apic), 0x31);
	vlapic_accept(&apic, 0x31);
	apic.eoi_offered = true;
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE | 0x100));
	assert_false(apic.eoi_offered);
}

/* Disabled between the post and the collection: the sender of a level-triggered one need not wait for an EOI. */
static void posted_and_not_taken(unused void **state)
{
	assert_true(vlapic_post(&apic, 0x31, false));
	assert_true(vlapic_post(&apic, 0x45, true));
	vlapic_mmio_write(&apic, SVR, 0xff);
	vlapic_collect(&apic);
	assert_int_equal(vlapic_pending(&apic), -1);
	assert_int_equal(seen.eoi, 1);
	assert_int_equal(seen.eoi_vector, 0x45);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(posted_by_others, setup),
		cmocka_unit_test_setup(eoi_without_a_word, setup),
		cmocka_unit_test_setup(eoi_without_a_word_is_seen, setup),
		cmocka_unit_test_setup(posted_and_not_taken, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
