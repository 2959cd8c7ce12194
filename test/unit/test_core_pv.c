/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/load/bz_header.c vmm/load/elf.c vmm/load/kernel.c vmm/load/loader.c
 *   vmm/load/multiboot.c vmm/load/pvh.c vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c vmm/core/extint.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvm_call.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/task_segments.c vmm/core/task_switch.c vmm/core/task_tss.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/sched.c vmm/core/run.c vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
 *   vmm/dev/vpm.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/vuart.c vmm/emul/alu.c
 *   vmm/emul/decode.c vmm/emul/exec.c vmm/emul/exec_string.c vmm/emul/length.c vmm/emul/mem.c
 *   vmm/emul/modrm.c vmm/emul/opcodes.c vmm/irq/vioapic.c vmm/irq/vpic.c vmm/irq/vlapic.c
 *   vmm/irq/vlapic_ipi.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_timer.c vmm/load/acpi_gen.c
 *   vmm/load/bzimage.c vmm/load/mptable.c vmm/load/reset_vector.c vmm/load/zeropage.c vmm/machine/config.c
 *   vmm/machine/machine.c vmm/machine/pc.c vmm/dev/vpit.c vmm/dev/vpci.c
 *   vmm/dev/vkbc.c vmm/dev/vhpet.c vmm/mem/gmem.c vmm/mem/gwalk.c vmm/mem/page_alloc.c
 *   vmm/mem/pagetable.c vmm/mem/pt_formats.c vmm/lib/fmt.c vmm/lib/log.c vmm/lib/log_keep.c test/mock/host.c
 *   test/mock/backend.c */
/* KVM's paravirtual interface but for its clock: end of interrupt, steal time, hypercalls. */
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
	u64 value = 1;

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
	u64 value = 1;

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
	u64 value = 1;

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

/* ---- Hypercalls ----------------------------------------------------------------------------- */

static s64 call(u64 number, u64 a, u64 b, u64 c, u64 d)
{
	struct vm_exit e = {.kind = EXIT_HYPERCALL, .insn_len = 3};

	v->gpr[GPR_RAX] = number;
	v->gpr[GPR_RBX] = a;
	v->gpr[GPR_RCX] = b;
	v->gpr[GPR_RDX] = c;
	v->gpr[GPR_RSI] = d;
	assert_int_equal(exit_hypercall(v, &e), NEXT_ADVANCE);
	assert_true(v->gpr[GPR_RBX] == a && v->gpr[GPR_RCX] == b && v->gpr[GPR_RDX] == c &&
		    v->gpr[GPR_RSI] == d);
	return (s64)v->gpr[GPR_RAX];
}

static void mode(u32 attr)
{
	backend()->seg[VSEG_CS].attr = attr;
}

/* Which of the CPUs have vector 0x31 posted; forgets it. */
static unsigned posted(void)
{
	unsigned i, set = 0;

	for (i = 0; i < 4; i++) {
		struct vlapic *l = &vm.vcpu[i].lapic;

		set |= (l->posted[1] >> 17 & 1) << i;
		assert_int_equal(vm.vcpu[i].requests & REQ_APIC, l->posted[1] ? REQ_APIC : 0);
		memset(l->posted, 0, sizeof(l->posted));
		vm.vcpu[i].requests = 0;
	}
	return set;
}

static void calls_are_ring_0s(unused void **state)
{
	u64 number;

	mode(SEG_ATTR_L);
	for (number = 1; number <= 12; number++) {
		backend()->reg[VREG_CPL] = 3;
		assert_int_equal(call(number, 1, 1, 0, 0x31), -1);
		backend()->reg[VREG_CPL] = 0;
		assert_int_equal(call(number, 0, 0, 0, 0),
				 number == 5 || number == 10 || number == 11 ? 0 : -1000);
	}
	assert_int_equal(call(5 | 1ULL << 32, 0, 0, 0, 0), -HV_ENOSYS);
	mode(SEG_ATTR_DB); /* there the upper halves do not count */
	assert_int_equal(call(5 | 1ULL << 32, 0, 0, 0, 0), 0);
	assert_int_equal(call(1 | 1ULL << 32, 0, 0, 0, 0), (u32)-1000);
	assert_false(vm.actions & VM_KILL);
}

static void ipis(unused void **state)
{
	unsigned i;

	mode(SEG_ATTR_L);
	for (i = 0; i < 4; i++)
		vlapic_mmio_write(&vm.vcpu[i].lapic, 0xf0, 0x1ff);
	assert_int_equal(call(10, 0xa, 0, 0, 0x31), 2);
	assert_int_equal(posted(), 0xa);
	assert_int_equal(call(10, 1, 0, 3, 0x31), 1);
	assert_int_equal(posted(), 8);
	assert_int_equal(call(10, ~0ULL, ~0ULL, 0, 0x131), 4); /* lowest priority: to each named */
	assert_int_equal(posted(), 0xf);
	assert_int_equal(call(10, ~0ULL, ~0ULL, 2, 0x31), 2);
	assert_int_equal(posted(), 0xc);
	assert_int_equal(call(10, ~0ULL, ~0ULL, 4, 0x31), 0);
	assert_int_equal(call(10, ~0ULL, ~0ULL, 0xffffffff, 0x31), 0); /* it does not wrap */
	assert_int_equal(call(10, ~0ULL, ~0ULL, 0xffffffc0, 0x31), 0);
	assert_int_equal(call(10, 0, 0, 0, 0x31), 0);
	assert_int_equal(posted(), 0);
	/* The second half of the bitmap begins with the register's width. */
	mode(SEG_ATTR_DB);
	assert_int_equal(call(10, ~0ULL << 32 | 2, 1, 0, 0x31), 1);
	assert_int_equal(posted(), 2);
	assert_int_equal(call(10, 1ULL << 31, 1, (u32)-30, 0x31), 0);
	mode(SEG_ATTR_L);
	/* No destination but the bitmap; no vector below 16; no SMI. */
	assert_int_equal(call(10, 15, 0, 0, 0x831), -22);
	assert_int_equal(call(10, 15, 0, 0, 0x40031), -22);
	assert_int_equal(call(10, 15, 0, 0, 0xc0031), -22);
	assert_int_equal(call(10, 15, 0, 0, 0x0f), 0);
	assert_int_equal(call(10, 15, 0, 0, 0x200), 0);
	assert_int_equal(posted(), 0);
	/* A disabled APIC takes none. */
	vlapic_mmio_write(&vm.vcpu[2].lapic, 0xf0, 0xff);
	vm.vcpu[3].lapic.hw_enabled = false;
	assert_int_equal(call(10, 15, 0, 0, 0x31), 2);
	assert_int_equal(posted(), 3);
	assert_int_equal(call(10, 15, 0, 0, 0x400), 3);
	assert_true(vm.vcpu[1].requests & REQ_NMI && !(vm.vcpu[3].requests & REQ_NMI));
	assert_int_equal(call(10, 2, 0, 0, 0x608), 1);
	assert_true(vm.vcpu[1].requests & REQ_SIPI && vm.vcpu[1].sipi_vector == 8);
	assert_int_equal(call(10, 2, 0, 0, 0x8500), 0); /* INIT, de-asserted */
	assert_int_equal(call(10, 2, 0, 0, 0x4500), 1);
	assert_true(vm.vcpu[1].requests & REQ_INIT);
}

static void ipi_of_a_lone_cpu(unused void **state)
{
	mode(SEG_ATTR_L);
	vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
	assert_int_equal(call(10, ~0ULL, ~0ULL, 0, 0x31), 1);
	assert_int_equal(deliver()->vector, 0x31);
}

static void kicks(unused void **state)
{
	static const u64 nobody[] = {4, 0xff, 0xffffffff, 1ULL << 32, ~0ULL};
	unsigned i;

	mode(SEG_ATTR_L);
	assert_int_equal(call(5, 0, 2, 0, 0), 0);
	assert_int_equal(vm.vcpu[2].requests, REQ_UNHALT);
	for (i = 0; i < ARRAY_SIZE(nobody); i++) {
		assert_int_equal(call(5, 0, nobody[i], 0, 0), 0);
		assert_int_equal(call(11, nobody[i], 0, 0, 0), 0);
	}
	assert_int_equal(call(11, 0, 0, 0, 0), 0); /* to oneself */
	assert_int_equal(vm.vcpu[0].requests | vm.vcpu[1].requests | vm.vcpu[3].requests, 0);
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
		CORE_TEST(calls_are_ring_0s),
		SMP_TEST(ipis),
		CORE_TEST(ipi_of_a_lone_cpu),
		SMP_TEST(kicks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
