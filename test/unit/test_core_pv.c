/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/output.c vmm/core/sched.c vmm/core/run.c vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
 *   vmm/dev/vpm.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/vuart.c vmm/emul/alu.c
 *   vmm/emul/decode.c vmm/emul/exec.c vmm/emul/exec_string.c vmm/emul/length.c vmm/emul/mem.c
 *   vmm/emul/modrm.c vmm/emul/opcodes.c vmm/irq/vioapic.c vmm/irq/vlapic.c
 *   vmm/irq/vlapic_ipi.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_timer.c vmm/load/acpi_gen.c
 *   vmm/load/bzimage.c vmm/load/mptable.c vmm/load/reset_vector.c vmm/load/zeropage.c vmm/machine/config.c
 *   vmm/machine/machine.c vmm/machine/pc.c vmm/mem/gmem.c vmm/mem/gwalk.c vmm/mem/page_alloc.c
 *   vmm/mem/pagetable.c vmm/mem/pt_formats.c vmm/lib/fmt.c vmm/lib/log.c test/mock/host.c
 *   test/mock/backend.c */
/* KVM's paravirtual interface but for its clock: end of interrupt, steal time. */
#include "../mock/core_test.h"

static bool rd(u32 msr, u64 *value)
{
	struct vm_exit e = {.kind = EXIT_RDMSR, .insn_len = 2};

	v->gpr[GPR_RCX] = msr;
	if (exit_rdmsr(v, &e) != NEXT_ADVANCE)
		return false;
	*value = v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;
	return true;
}

static bool wr(u32 msr, u64 value)
{
	struct vm_exit e = {.kind = EXIT_WRMSR, .insn_len = 2};

	v->gpr[GPR_RCX] = msr;
	v->gpr[GPR_RAX] = (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	if (exit_wrmsr(v, &e) == NEXT_ADVANCE)
		return true;
	assert_int_equal(deliver()->vector, VEC_GP);
	return false;
}

/* ---- End of interrupt ----------------------------------------------------------------------- */

#define WORD 0x3004ULL

static u32 word(void)
{
	u32 value;

	assert_int_equal(gmem_read(&vm.gmem, WORD, &value, sizeof(value)), 0);
	return value;
}

static void set_word(u32 value)
{
	assert_int_equal(gmem_write(&vm.gmem, WORD, &value, sizeof(value)), 0);
}

static void interrupt(u8 vector)
{
	struct apic_msg msg = {.dest = 0, .mode = APIC_FIXED, .vector = vector};

	assert_true(apic_bus_deliver(&vm, &msg, NULL));
}

static void eoi_start(void)
{
	vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
	set_word(0xabcdef00); /* its other bits are the guest's */
	assert_true(wr(MSR_KVM_PV_EOI_EN, WORD | 1));
}

static void eoi_by_memory(unused void **state)
{
	unsigned i;

	eoi_start();
	for (i = 0; i < 3; i++) {
		interrupt(0x31);
		assert_int_equal(deliver()->vector, 0x31);
		assert_int_equal(word(), 0xabcdef01);
		set_word(0xabcdef00);
	}
	assert_int_equal(vlapic_mmio_read(&v->lapic, 0x110), 0);
	assert_false(v->lapic.eoi_offered);
}

static void eoi_by_the_apic_all_the_same(unused void **state)
{
	eoi_start();
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	vlapic_mmio_write(&v->lapic, 0xb0, 0);
	assert_int_equal(word(), 0xabcdef00);
	assert_int_equal(vlapic_mmio_read(&v->lapic, 0x110), 0);
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
}

static void eoi_is_due_where_another_waits(unused void **state)
{
	eoi_start();
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	interrupt(0x30); /* same class: must be delivered when 0x31 ends */
	assert_int_equal(word(), 0xabcdef00);
	assert_null(deliver());
	vlapic_mmio_write(&v->lapic, 0xb0, 0);
	interrupt(0x51); /* and comes in between */
	assert_int_equal(deliver()->vector, 0x51);
	assert_int_equal(word(), 0xabcdef00); /* 0x30 still waits */
	vlapic_mmio_write(&v->lapic, 0xb0, 0);
	assert_int_equal(deliver()->vector, 0x30);
	assert_int_equal(word(), 0xabcdef01); /* the last one */
	interrupt(0x71);                      /* nested in it */
	assert_int_equal(deliver()->vector, 0x71);
	assert_int_equal(word(), 0xabcdef00);
}

/* The delivery is interrupted by an exception, so that the interrupt goes back to IRR; an NMI comes in between. */
static void eoi_of_an_interrupted_delivery(unused void **state)
{
	struct vm_exit e = {.kind = EXIT_EXCEPTION,
			    .vectoring = {.type = EVENT_EXT_INTR, .vector = 0x31},
			    .exc = {.vector = VEC_DB}};
	struct vm_exit again = {.kind = EXIT_NONE,
				.vectoring = {.type = EVENT_EXCEPTION, .vector = VEC_DB}};

	eoi_start();
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	exit_handle(v, &e);
	assert_int_equal(deliver()->vector, VEC_DB);
	v->nmi_pending = true;
	exit_handle(v, &again);
	assert_int_equal(word(), 0xabcdef00);
	assert_int_equal(deliver()->vector, VEC_DB);
	assert_int_equal(deliver()->type, EVENT_NMI);
	assert_int_equal(deliver()->vector, 0x31);
	assert_int_equal(word(), 0xabcdef01);
}

static void eoi_ends_with_its_register(unused void **state)
{
	u64 value;

	eoi_start();
	assert_true(rd(MSR_KVM_PV_EOI_EN, &value));
	assert_int_equal(value, WORD | 1);
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	assert_true(wr(MSR_KVM_PV_EOI_EN, 0)); /* not ended: the APIC's EOI is due */
	assert_int_equal(word(), 0xabcdef00);
	assert_int_equal(vlapic_mmio_read(&v->lapic, 0x110), 1 << 17);
	vlapic_mmio_write(&v->lapic, 0xb0, 0);
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	assert_int_equal(word(), 0xabcdef00);
	vlapic_mmio_write(&v->lapic, 0xb0, 0);
	/* Ended, and then turned off. */
	assert_true(wr(MSR_KVM_PV_EOI_EN, WORD | 1));
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	set_word(0);
	assert_true(wr(MSR_KVM_PV_EOI_EN, WORD));
	assert_int_equal(vlapic_mmio_read(&v->lapic, 0x110), 0);
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	assert_int_equal(word(), 0); /* an address alone is not enough */
}

static void eoi_after_reset(unused void **state)
{
	u64 value;

	eoi_start();
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	vcpu_reset(v); /* memory is another's matter: it has been loaded anew by now */
	assert_int_equal(word(), 0xabcdef01);
	assert_true(rd(MSR_KVM_PV_EOI_EN, &value));
	assert_int_equal(value, 0);
	vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	assert_int_equal(vlapic_mmio_read(&v->lapic, 0x110), 1 << 17);
}

static void eoi_refuses_bad_addresses(unused void **state)
{
	assert_false(wr(MSR_KVM_PV_EOI_EN, WORD | 3));
	assert_false(wr(MSR_KVM_PV_EOI_EN, WORD | 2));
	assert_false(wr(MSR_KVM_PV_EOI_EN, GiB(1) | 1));
	assert_false(wr(MSR_KVM_PV_EOI_EN, MiB(32) | 1));
	assert_false(wr(MSR_KVM_PV_EOI_EN, ~3ULL | 1));
	assert_false(wr(MSR_KVM_PV_EOI_EN, 0xfee00000 | 1));
	assert_true(wr(MSR_KVM_PV_EOI_EN, (MiB(32) - 4) | 1));
	assert_true(wr(MSR_KVM_PV_EOI_EN, GiB(1))); /* not enabled: the address does not count */
}

/* ---- Steal time ----------------------------------------------------------------------------- */

#define AREA 0x5040ULL

struct area {
	u64 steal;
	u32 version, flags;
	u8 preempted, pad8[3];
	u32 pad[11];
};

static struct area area(void)
{
	struct area a;

	assert_int_equal(gmem_read(&vm.gmem, AREA, &a, sizeof(a)), 0);
	return a;
}

static void set_area(struct area a)
{
	assert_int_equal(gmem_write(&vm.gmem, AREA, &a, sizeof(a)), 0);
}

static void steal_is_what_it_waited(unused void **state)
{
	struct area a;
	u64 sum = 0, third;
	unsigned i;

	set_area(
		(struct area){.steal = 1000, .version = 7, .flags = 3, .pad = {1, 2}, .pad8 = {9}});
	v->clock.hz =
		3000000000; /* three ticks a nanosecond: what is left of a division is not lost */
	v->task.waited = 123456789;
	assert_true(wr(MSR_KVM_STEAL_TIME, AREA | 1));
	steal_time_resume(v);
	a = area();
	assert_int_equal(a.steal, 1000); /* what it waited before is nothing to this kernel */
	for (i = 0; i < 3000; i++) {
		steal_time_preempted(v);
		v->task.waited += 1 + i % 7;
		sum += 1 + i % 7;
		steal_time_resume(v);
	}
	a = area();
	third = (123456789 + sum) / 3 - 123456789 / 3;
	assert_int_equal(a.steal, 1000 + third);
	assert_int_equal(a.version & 1, 0);
	assert_true(a.version > 7);
	assert_int_equal(a.preempted, 0);
	assert_true(a.flags == 3 && a.pad[0] == 1 && a.pad[1] == 2 && a.pad8[0] == 9);
	/* Off and on again: it goes on from where it was. */
	assert_true(wr(MSR_KVM_STEAL_TIME, 0));
	v->task.waited += 300;
	steal_time_resume(v);
	steal_time_preempted(v);
	assert_int_equal(area().preempted, 0);
	assert_true(wr(MSR_KVM_STEAL_TIME, AREA | 1));
	v->task.waited += 3000;
	steal_time_resume(v);
	assert_int_equal(area().steal, 1000 + third + 1000);
}

static void flush_of_a_preempted_one(unused void **state)
{
	struct area a;

	set_area((struct area){0});
	assert_true(wr(MSR_KVM_STEAL_TIME, AREA | 1));
	steal_time_preempted(v);
	a = area();
	assert_int_equal(a.preempted, 1);
	assert_int_equal(backend()->flushes, 0);
	steal_time_resume(v);
	assert_int_equal(backend()->flushes, 0);
	steal_time_preempted(v);
	a.preempted |= 2; /* a sibling */
	set_area(a);
	steal_time_resume(v);
	assert_int_equal(backend()->flushes, 1);
	assert_int_equal(area().preempted, 0);
	steal_time_resume(v);
	assert_int_equal(backend()->flushes, 1);
}

static void steal_bears_bad_addresses(unused void **state)
{
	static const u64 nowhere[] = {GiB(1), MiB(32), ~0x3fULL, 0xfee00000};
	unsigned i;
	u64 value;

	for (i = 1; i < 6; i++)
		assert_false(wr(MSR_KVM_STEAL_TIME, AREA | BIT(i) | 1));
	for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
		assert_true(wr(MSR_KVM_STEAL_TIME, nowhere[i] | 1));
		assert_true(rd(MSR_KVM_STEAL_TIME, &value));
		assert_int_equal(value, nowhere[i] | 1);
		steal_time_preempted(v);
		v->task.waited += 1000;
		steal_time_resume(v);
	}
	assert_true(wr(MSR_KVM_STEAL_TIME, (MiB(32) - 64) | 1)); /* the last there is */
	vcpu_reset(v);
	assert_true(rd(MSR_KVM_STEAL_TIME, &value));
	assert_int_equal(value, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(eoi_by_memory),
		CORE_TEST(eoi_by_the_apic_all_the_same),
		CORE_TEST(eoi_is_due_where_another_waits),
		CORE_TEST(eoi_of_an_interrupted_delivery),
		CORE_TEST(eoi_ends_with_its_register),
		CORE_TEST(eoi_after_reset),
		CORE_TEST(eoi_refuses_bad_addresses),
		CORE_TEST(steal_is_what_it_waited),
		CORE_TEST(flush_of_a_preempted_one),
		CORE_TEST(steal_bears_bad_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
