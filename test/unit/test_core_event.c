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
/* What is injected, in which order, and what is waited for. */
#include "../mock/core_test.h"

static void interrupt(u8 vector)
{
	struct apic_msg msg = {.dest = 0, .mode = APIC_FIXED, .vector = vector};

	assert_true(vlapic_msr_write(&v->lapic, MSR_APIC_BASE, v->lapic.base_msr | APIC_BASE_EN));
	vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
	apic_bus_deliver(&vm, &msg, NULL);
}

static void interrupt_when_open(unused void **state)
{
	const struct event *e;

	interrupt(0x31);
	assert_true(v->requests & REQ_EVENT);
	e = deliver();
	assert_non_null(e);
	assert_int_equal(e->type, EVENT_EXT_INTR);
	assert_int_equal(e->vector, 0x31);
	assert_int_equal(backend()->windows, 0);
	assert_null(deliver());
}

static void interrupt_waits_for_the_window(unused void **state)
{
	static const u32 block[] = {BLOCK_IF, BLOCK_STI, BLOCK_MOV_SS};

	for (unsigned i = 0; i < ARRAY_SIZE(block); i++) {
		backend()->blocked = block[i];
		interrupt(0x40);
		assert_null(deliver());
		assert_int_equal(backend()->windows, WINDOW_INTR);
		backend()->blocked = 0;
		assert_int_equal(deliver()->vector, 0x40);
		assert_int_equal(backend()->windows, 0);
		vlapic_mmio_write(&v->lapic, 0xb0, 0);
	}
}

/* What another CPU sends between an injection and the entry waits for its window, and overwrites nothing. */
static void one_event_at_a_time(unused void **state)
{
	interrupt(0x31);
	assert_int_equal(deliver()->vector, 0x31);
	backend()->blocked = BLOCK_EVENT;
	interrupt(0x51);
	v->nmi_pending = true;
	assert_null(deliver());
	assert_int_equal(backend()->windows, WINDOW_INTR | WINDOW_NMI);
	backend()->blocked = 0;
	assert_int_equal(deliver()->type, EVENT_NMI);
	assert_int_equal(deliver()->vector, 0x51);
	assert_int_equal(backend()->windows, 0);
}

static void second_interrupt_asks_for_a_window(unused void **state)
{
	interrupt(0x31);
	interrupt(0x51); /* higher class: deliverable while 0x31 is in service */
	assert_int_equal(deliver()->vector, 0x51);
	assert_int_equal(backend()->windows, 0); /* 0x31 is below what is in service */
	vlapic_mmio_write(&v->lapic, 0xb0, 0);
	assert_int_equal(deliver()->vector, 0x31);
}

static void exception_goes_first(unused void **state)
{
	vcpu_reg_set(v, VREG_CR0, CR0_PE);
	interrupt(0x31);
	v->nmi_pending = true;
	vcpu_raise_error(v, VEC_GP, 0x18);
	assert_int_equal(backend()->injected_count, 0);
	assert_int_equal(deliver()->vector, VEC_GP);
	assert_int_equal(backend()->windows, WINDOW_INTR | WINDOW_NMI);
	assert_int_equal(deliver()->type, EVENT_NMI);
	assert_int_equal(deliver()->vector, 0x31);
}

/* SDM vol. 3 "Masking Instruction Breakpoints". */
static void faults_set_rf(unused void **state)
{
	static const struct {
		u8 vector;
		bool rf;
	} row[] = {
		{VEC_GP, true}, {VEC_UD, true}, {VEC_PF, true}, {VEC_DB, false}, {VEC_DF, false}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		vcpu_reg_set(v, VREG_RFLAGS, RFLAGS_ONE);
		vcpu_raise(v, row[i].vector);
		event_deliver(v);
		assert_int_equal(!!(vcpu_reg(v, VREG_RFLAGS) & RFLAGS_RF), row[i].rf);
	}
}

static void nmi_is_not_nested(unused void **state)
{
	v->nmi_pending = true;
	backend()->blocked = BLOCK_NMI;
	assert_null(deliver());
	assert_int_equal(backend()->windows, WINDOW_NMI);
	backend()->blocked = BLOCK_IF; /* does not concern NMIs */
	assert_int_equal(deliver()->type, EVENT_NMI);
}

static void interrupted_delivery_comes_again(unused void **state)
{
	struct vm_exit e = {.kind = EXIT_NONE,
			    .vectoring = {.type = EVENT_EXT_INTR, .vector = 0x77}};

	exit_handle(v, &e);
	assert_true(v->requests & REQ_EVENT);
	backend()->blocked = BLOCK_IF; /* already accepted: IF does not count any more */
	assert_int_equal(deliver()->vector, 0x77);
	assert_null(deliver());
}

static void exception_during_an_interrupts_delivery(unused void **state)
{
	struct vm_exit e = {.kind = EXIT_EXCEPTION,
			    .vectoring = {.type = EVENT_EXT_INTR, .vector = 0x77},
			    .exc = {.vector = VEC_AC, .has_error = true}};

	vcpu_reg_set(v, VREG_CR0, CR0_PE);
	exit_handle(v, &e);
	assert_int_equal(deliver()->vector, VEC_AC);
	assert_int_equal(backend()->windows, WINDOW_INTR);
	backend()->blocked = BLOCK_IF;
	assert_null(deliver());
	backend()->blocked = 0;
	assert_int_equal(deliver()->vector, 0x77); /* not lost */
}

/* ... and the delivery of that exception is interrupted too. */
static void second_exit_in_a_delivery(unused void **state)
{
	struct vm_exit e = {.kind = EXIT_EXCEPTION,
			    .vectoring = {.type = EVENT_EXT_INTR, .vector = 0x77},
			    .exc = {.vector = VEC_DB}};
	struct vm_exit again = {.kind = EXIT_NONE,
				.vectoring = {.type = EVENT_EXCEPTION, .vector = VEC_DB}};

	interrupt(0x77);
	assert_int_equal(deliver()->vector, 0x77);
	exit_handle(v, &e);
	assert_int_equal(deliver()->vector, VEC_DB);
	exit_handle(v, &again);
	assert_int_equal(deliver()->vector, VEC_DB);
	assert_int_equal(deliver()->vector, 0x77);
	assert_null(deliver());
	/* An NMI likewise. */
	e.vectoring = (struct event){.type = EVENT_NMI, .vector = VEC_NMI};
	exit_handle(v, &e);
	assert_int_equal(deliver()->vector, VEC_DB);
	exit_handle(v, &again);
	assert_int_equal(deliver()->vector, VEC_DB);
	assert_int_equal(deliver()->vector, VEC_NMI);
	assert_null(deliver());
}

static void double_fault(unused void **state)
{
	static const struct {
		u8 first, second, result;
	} row[] = {
		{VEC_GP, VEC_NP, VEC_DF}, {VEC_PF, VEC_GP, VEC_DF}, {VEC_PF, VEC_PF, VEC_DF},
		{VEC_GP, VEC_PF, VEC_PF}, {VEC_UD, VEC_GP, VEC_GP}, {VEC_DB, VEC_PF, VEC_PF},
	};

	vcpu_reg_set(v, VREG_CR0, CR0_PE);
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		const struct event *e;

		v->reinject = (struct event){.type = EVENT_EXCEPTION, .vector = row[i].first};
		vcpu_raise_error(v, row[i].second, 3);
		e = deliver();
		assert_int_equal(e->vector, row[i].result);
		if (row[i].result == VEC_DF)
			assert_int_equal(e->error, 0);
		assert_null(deliver());
	}
}

static void fault_in_a_double_fault_restarts_the_guest(unused void **state)
{
	v->reinject = (struct event){.type = EVENT_EXCEPTION, .vector = VEC_DF};
	vcpu_raise_error(v, VEC_GP, 0);
	assert_true(vm.actions & VM_RESET);
	assert_null(deliver() && backend()->injected[0].vector == VEC_GP ? (void *)1 : NULL);
}

static void real_mode_pushes_no_error_code(unused void **state)
{
	vcpu_reg_set(v, VREG_CR0, 0);
	vcpu_raise_error(v, VEC_GP, 0);
	assert_false(deliver()->has_error);
}

static void halt_and_wake(unused void **state)
{
	v->halted = true;
	assert_false(event_wakes(v));
	backend()->blocked = BLOCK_IF;
	interrupt(0x31);
	assert_false(event_wakes(v));
	backend()->blocked = 0;
	assert_true(event_wakes(v));
	deliver();
	backend()->blocked = BLOCK_IF;
	v->nmi_pending = true;
	assert_true(event_wakes(v));
	backend()->blocked = BLOCK_NMI;
	assert_false(event_wakes(v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(interrupt_when_open),
		CORE_TEST(interrupt_waits_for_the_window),
		CORE_TEST(one_event_at_a_time),
		CORE_TEST(second_interrupt_asks_for_a_window),
		CORE_TEST(exception_goes_first),
		CORE_TEST(faults_set_rf),
		CORE_TEST(nmi_is_not_nested),
		CORE_TEST(interrupted_delivery_comes_again),
		CORE_TEST(exception_during_an_interrupts_delivery),
		CORE_TEST(second_exit_in_a_delivery),
		CORE_TEST(double_fault),
		CORE_TEST(fault_in_a_double_fault_restarts_the_guest),
		CORE_TEST(real_mode_pushes_no_error_code),
		CORE_TEST(halt_and_wake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
