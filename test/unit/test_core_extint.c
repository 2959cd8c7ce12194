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
/* Interrupts that a PIC gives the vector of: by LINT0 and by the I/O APIC, when they are taken, and when they wait. */
#include "../mock/core_test.h"

#define BASE 0x60

static void out(u16 port, u8 value)
{
	bus_write(&vm.pio, port, 1, value);
}

static void pic_start(void)
{
	static const u8 words[2][4] = {{0x11, BASE, 4, 1}, {0x11, BASE + 8, 2, 1}};

	for (unsigned chip = 0; chip < 2; chip++) {
		u16 port = chip ? 0xa0 : 0x20;

		out(port, words[chip][0]);
		for (unsigned i = 1; i < 4; i++)
			out(port + 1, words[chip][i]);
		out(port + 1, 0);
	}
}

/* A pulse of an ISA line; what it asks of the vcpu is served as the run loop does. */
static void line(unsigned irq, bool level)
{
	vpic_set_irq(&vm.pic, irq, level);
}

static int setup_pic(void **state)
{
	setup(state);
	vlapic_virtual_wire(&v->lapic);
	pic_start();
	v->requests = 0;
	return 0;
}

#define PIC_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_pic, teardown)

static void by_virtual_wire(unused void **state)
{
	const struct event *e;

	assert_null(deliver());
	line(4, true);
	assert_int_equal(v->requests, REQ_PIC);
	e = deliver();
	assert_non_null(e);
	assert_int_equal(e->type, EVENT_EXT_INTR);
	assert_int_equal(e->vector, BASE + 4);
	assert_null(deliver()); /* in service */
	assert_int_equal(backend()->windows, 0);
	line(5, true); /* of a lower priority */
	assert_null(deliver());
	out(0x20, 0x20);
	assert_int_equal(deliver()->vector, BASE + 5);
	line(12, true); /* by the other chip, on IR2: a higher one */
	assert_int_equal(deliver()->vector, BASE + 12);
}

/* Neither TPR nor what a local APIC has in service hold it back; IF does. */
static void what_holds_it_back(unused void **state)
{
	struct apic_msg msg = {.dest = 0, .mode = APIC_FIXED, .vector = 0x31};

	vlapic_mmio_write(&v->lapic, 0x80, 0xff);
	line(4, true);
	backend()->blocked = BLOCK_IF;
	assert_null(deliver());
	assert_int_equal(backend()->windows, WINDOW_INTR);
	v->halted = true;
	assert_false(event_wakes(v));
	backend()->blocked = BLOCK_STI;
	assert_null(deliver());
	backend()->blocked = 0;
	assert_true(event_wakes(v));
	/* It goes before the local APIC's. */
	vlapic_mmio_write(&v->lapic, 0x80, 0);
	assert_true(apic_bus_deliver(&vm, &msg, NULL));
	assert_int_equal(deliver()->vector, BASE + 4);
	assert_int_equal(backend()->windows, WINDOW_INTR);
	assert_int_equal(deliver()->vector, 0x31);
	assert_int_equal(backend()->windows, 0);
}

/* LINT0 is masked: the interrupt waits for that to end, or for the local APIC to be turned off. */
static void masked(unused void **state)
{
	vlapic_mmio_write(&v->lapic, 0x350, 0x10700);
	line(4, true);
	assert_null(deliver());
	assert_int_equal(backend()->windows, 0);
	v->requests = 0;
	vlapic_mmio_write(&v->lapic, 0x350, 0x700);
	assert_true(v->requests & REQ_EVENT);
	vlapic_mmio_write(&v->lapic, 0x350, 0x10700);
	v->requests = 0;
	assert_true(
		vlapic_msr_write(&v->lapic, MSR_APIC_BASE, v->lapic.base_msr & ~(u64)APIC_BASE_EN));
	assert_true(v->requests & REQ_EVENT);
	assert_int_equal(deliver()->vector, BASE + 4);
}

static void by_ioapic(unused void **state)
{
	vlapic_mmio_write(&v->lapic, 0x350, 0x10700);
	bus_write(&vm.mmio, VIOAPIC_BASE, 4, 0x10);
	bus_write(&vm.mmio, VIOAPIC_BASE + 0x10, 4, 0x700);
	line(4, true);
	assert_true(v->requests & REQ_EXTINT);
	v->extint_sent = true; /* as run.c does */
	assert_int_equal(deliver()->vector, BASE + 4);
	assert_null(deliver());
	/* It has been sent, and is gone when the PIC is asked. */
	out(0x20, 0x20);
	v->extint_sent = true;
	assert_int_equal(deliver()->vector, BASE + 7);
	assert_null(deliver());
}

/* Two are pending, and no EOI is needed: the second edge of INT is for the I/O APIC, which sees nothing else. */
static void edges_for_the_ioapic(unused void **state)
{
	vlapic_mmio_write(&v->lapic, 0x350, 0x10700);
	out(0x20, 0x11);
	out(0x21, BASE);
	out(0x21, 4);
	out(0x21, 3); /* automatic EOI */
	out(0x21, 0);
	bus_write(&vm.mmio, VIOAPIC_BASE, 4, 0x10);
	bus_write(&vm.mmio, VIOAPIC_BASE + 0x10, 4, 0x700);
	line(4, true);
	line(5, true);
	v->requests = 0;
	v->extint_sent = true;
	assert_int_equal(deliver()->vector, BASE + 4);
	assert_true(v->requests & REQ_EXTINT);
	v->extint_sent = true;
	v->requests = 0;
	assert_int_equal(deliver()->vector, BASE + 5);
	assert_false(v->requests & REQ_EXTINT);
}

/* The local APIC has a vector of the same number in service: it is not the one that goes back. */
static void same_vector(unused void **state)
{
	struct apic_msg msg = {.dest = 0, .mode = APIC_FIXED, .vector = BASE + 4};
	struct vm_exit e = {.kind = EXIT_EXCEPTION,
			    .vectoring = {.type = EVENT_EXT_INTR, .vector = BASE + 4},
			    .exc = {.vector = VEC_DB}};
	struct vm_exit again = {.kind = EXIT_NONE,
				.vectoring = {.type = EVENT_EXCEPTION, .vector = VEC_DB}};

	assert_true(apic_bus_deliver(&vm, &msg, NULL));
	assert_int_equal(deliver()->vector, BASE + 4);
	line(4, true);
	assert_int_equal(deliver()->vector, BASE + 4);
	exit_handle(v, &e);
	assert_int_equal(deliver()->vector, VEC_DB);
	exit_handle(v, &again);
	assert_int_equal(v->extint_kept, BASE + 4);
	assert_int_equal(vlapic_mmio_read(&v->lapic, 0x100 + 0x10 * (BASE / 32)),
			 1U << (BASE + 4) % 32);
}

/* A machine without a PIC has nobody to ask. */
static void no_pic(unused void **state)
{
	struct apic_msg msg = {.dest = 0, .mode = APIC_EXTINT};

	vm.machine.pic = false;
	assert_false(apic_bus_deliver(&vm, &msg, NULL));
	assert_int_equal(v->requests & REQ_EXTINT, 0);
	vm.machine.pic = true;
	assert_true(apic_bus_deliver(&vm, &msg, NULL));
	assert_int_equal(v->requests & REQ_EXTINT, REQ_EXTINT);
}

/* Its delivery is interrupted, and an exception goes first; then that one's is: the PIC has given the vector, and will not again. */
static void second_exit_in_a_delivery(unused void **state)
{
	struct vm_exit e = {.kind = EXIT_EXCEPTION,
			    .vectoring = {.type = EVENT_EXT_INTR, .vector = BASE + 4},
			    .exc = {.vector = VEC_DB}};
	struct vm_exit again = {.kind = EXIT_NONE,
				.vectoring = {.type = EVENT_EXCEPTION, .vector = VEC_DB}};

	line(4, true);
	assert_int_equal(deliver()->vector, BASE + 4);
	exit_handle(v, &e);
	assert_int_equal(deliver()->vector, VEC_DB);
	exit_handle(v, &again);
	assert_int_equal(deliver()->vector, VEC_DB);
	assert_int_equal(deliver()->vector, BASE + 4);
	assert_null(deliver());
	assert_int_equal(vlapic_pending(&v->lapic), -1);
	line(4, false);
	vcpu_reset(v);
	assert_null(deliver());
}

/* LINT0 as an interrupt of the local APIC's own, and as an NMI. */
static void lint0(unused void **state)
{
	vlapic_mmio_write(&v->lapic, 0x350, 0x51);
	vlapic_lint0_rise(&v->lapic);
	assert_int_equal(deliver()->vector, 0x51);
	vlapic_mmio_write(&v->lapic, 0x350, 0x400);
	vlapic_lint0_rise(&v->lapic);
	assert_int_equal(deliver()->type, EVENT_NMI);
	vlapic_mmio_write(&v->lapic, 0x350, 0x10400);
	vlapic_lint0_rise(&v->lapic);
	assert_null(deliver());
	vlapic_mmio_write(&v->lapic, 0xf0, 0xff); /* disabled: every entry is masked */
	assert_false(vlapic_takes_extint(&v->lapic));
}

/* Only the first CPU's LINT0 is wired to it. */
static void others_have_none(unused void **state)
{
	struct vcpu *other = &vm.vcpu[1];

	vlapic_virtual_wire(&other->lapic);
	vlapic_virtual_wire(&v->lapic);
	pic_start();
	line(4, true);
	assert_false(extint_waits(other));
	assert_true(extint_waits(v));
	assert_false(vlapic_lint0_is_nmi(&v->lapic));
	vlapic_mmio_write(&other->lapic, 0x350, 0x400);
	assert_true(vlapic_lint0_is_nmi(&other->lapic));
	assert_int_equal(other->requests & (REQ_PIC | REQ_EXTINT), 0);
	assert_int_equal(deliver()->vector, BASE + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIC_TEST(by_virtual_wire),
		PIC_TEST(what_holds_it_back),
		PIC_TEST(masked),
		PIC_TEST(by_ioapic),
		PIC_TEST(lint0),
		PIC_TEST(second_exit_in_a_delivery),
		PIC_TEST(same_vector),
		PIC_TEST(no_pic),
		SMP_TEST(others_have_none),
		PIC_TEST(edges_for_the_ioapic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
