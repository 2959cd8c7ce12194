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
/* MOV to control registers, CLTS, LMSW, XSETBV: what a CPU refuses, and what changes when it does not. */
#include "../mock/core_test.h"

static void long_mode(void)
{
	struct segment cs = {.attr = 0xb | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_L};

	vcpu_reg_set(v, VREG_CR4, CR4_PAE);
	vcpu_reg_set(v, VREG_EFER, EFER_LME);
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_PG | CR0_ET);
	mock_backend_ops.seg_set(v, VSEG_CS, &cs);
}

static void protected_mode(void)
{
	struct segment cs = {.attr = 0xb | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DB};

	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_ET);
	mock_backend_ops.seg_set(v, VSEG_CS, &cs);
}

/* A MOV from R8 to a control register. True: done; false: #GP. */
static bool mov_to(unsigned cr, u64 value)
{
	struct vm_exit e = {.kind = EXIT_CR,
			    .insn_len = 3,
			    .cr = {.cr = (u8)cr, .op = CR_MOV_TO, .gpr = 8, .decoded = true}};
	const struct event *event;

	v->gpr[8] = value;
	if (exit_cr(v, &e) == NEXT_ADVANCE)
		return true;
	event = deliver();
	assert_non_null(event);
	assert_int_equal(event->vector, VEC_GP);
	return false;
}

static u64 mov_from(unsigned cr)
{
	struct vm_exit e = {.kind = EXIT_CR,
			    .insn_len = 3,
			    .cr = {.cr = (u8)cr, .op = CR_MOV_FROM, .gpr = 9, .decoded = true}};

	assert_int_equal(exit_cr(v, &e), NEXT_ADVANCE);
	return v->gpr[9];
}

static void cr0_refuses(unused void **state)
{
	long_mode();
	assert_false(mov_to(0, BIT(32) | CR0_PE));
	assert_false(mov_to(0, CR0_PG | CR0_ET));          /* paging without protection */
	assert_false(mov_to(0, CR0_PE | CR0_PG | CR0_NW)); /* NW without CD */
	assert_false(mov_to(0, CR0_PE));                   /* paging off in 64-bit code */
	assert_true(mov_to(0, CR0_PE | CR0_PG | CR0_WP));
	assert_int_equal(mov_from(0), CR0_PE | CR0_PG | CR0_WP | CR0_ET);
}

static void long_mode_is_entered_and_left(unused void **state)
{
	protected_mode();
	vcpu_reg_set(v, VREG_EFER, EFER_LME);
	assert_false(mov_to(0, CR0_PE | CR0_PG)); /* LME without PAE */
	assert_true(mov_to(4, CR4_PAE));
	assert_true(mov_to(0, CR0_PE | CR0_PG));
	assert_int_equal(vcpu_reg(v, VREG_EFER), EFER_LME | EFER_LMA);
	assert_int_not_equal(backend()->flushes, 0);
	assert_false(mov_to(4, 0)); /* PAE cannot go while long mode is active */
	assert_true(mov_to(0, CR0_PE));
	assert_int_equal(vcpu_reg(v, VREG_EFER), EFER_LME);
}

static void cr4_refuses_what_cpuid_hides(unused void **state)
{
	static const u64 hidden[] = {CR4_VMXE, CR4_SMXE, CR4_PKE, CR4_CET,
				     CR4_PKS,  BIT(15),  BIT(19), BIT(40)};

	long_mode();
	for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
		assert_false(mov_to(4, CR4_PAE | hidden[i]));
	assert_true(mov_to(4, CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXSAVE | CR4_FSGSBASE));
	assert_false(mov_to(4, CR4_PAE | CR4_LA57)); /* not while long mode is active */
}

static void pcid_needs_long_mode_and_a_clean_cr3(unused void **state)
{
	long_mode();
	vcpu_reg_set(v, VREG_CR3, 0x1001);
	assert_false(mov_to(4, CR4_PAE | CR4_PCIDE));
	vcpu_reg_set(v, VREG_CR3, 0x1000);
	assert_true(mov_to(4, CR4_PAE | CR4_PCIDE));
	protected_mode();
	vcpu_reg_set(v, VREG_CR4, CR4_PAE);
	assert_false(mov_to(4, CR4_PAE | CR4_PCIDE));
}

static void pae_checks_its_pointers(unused void **state)
{
	u64 pdpte[4] = {0x5001, 0x6001, 0x7001, 0x8001};

	protected_mode();
	vcpu_reg_set(v, VREG_CR3, 0x4000);
	vcpu_reg_set(v, VREG_CR4, CR4_PAE);
	assert_int_equal(gmem_write(&vm.gmem, 0x4000, pdpte, sizeof(pdpte)), 0);
	assert_true(mov_to(0, CR0_PE | CR0_PG));
	assert_true(mov_to(0, CR0_PE));
	pdpte[2] |= BIT(6);
	assert_int_equal(gmem_write(&vm.gmem, 0x4000, pdpte, sizeof(pdpte)), 0);
	assert_false(mov_to(0, CR0_PE | CR0_PG));
	pdpte[2] = 0x7001 | BIT(5); /* an emulator's accessed bit */
	assert_int_equal(gmem_write(&vm.gmem, 0x4000, pdpte, sizeof(pdpte)), 0);
	assert_true(mov_to(0, CR0_PE | CR0_PG));
	assert_true(mov_to(0, CR0_PE));
	vcpu_reg_set(v, VREG_CR3, 0xfffff000); /* no memory there */
	assert_false(mov_to(0, CR0_PE | CR0_PG));
}

static void cr8_is_the_task_priority(unused void **state)
{
	long_mode();
	assert_false(mov_to(8, 16));
	assert_true(mov_to(8, 9));
	assert_int_equal(mov_from(8), 9);
	assert_int_equal(vlapic_cr8_get(&v->lapic), 9);
}

static void clts_and_lmsw(unused void **state)
{
	struct vm_exit clts = {
		.kind = EXIT_CR, .insn_len = 2, .cr = {.op = CR_CLTS, .decoded = true}};
	struct vm_exit lmsw = {
		.kind = EXIT_CR,
		.insn_len = 3,
		.cr = {.op = CR_LMSW, .decoded = true, .lmsw_known = true, .lmsw_source = 0xfffa}};

	protected_mode();
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_TS | CR0_ET);
	assert_int_equal(exit_cr(v, &clts), NEXT_ADVANCE);
	assert_int_equal(vcpu_reg(v, VREG_CR0), CR0_PE | CR0_ET);
	assert_int_equal(exit_cr(v, &lmsw), NEXT_ADVANCE);
	assert_int_equal(vcpu_reg(v, VREG_CR0),
			 CR0_PE | CR0_MP | CR0_TS | CR0_ET); /* PE cannot be cleared */
}

static void xsetbv(unused void **state)
{
	struct vm_exit e = {.kind = EXIT_XSETBV, .insn_len = 3};

	v->gpr[GPR_RCX] = 0;
	v->gpr[GPR_RDX] = 0;
	v->gpr[GPR_RAX] = 7;
	assert_int_equal(exit_xsetbv(v, &e), NEXT_ADVANCE);
	assert_int_equal(vcpu_reg(v, VREG_XCR0), 7);
	v->gpr[GPR_RAX] = 5;
	assert_int_equal(exit_xsetbv(v, &e), NEXT_RESUME);
	assert_int_equal(deliver()->vector, VEC_GP);
	v->gpr[GPR_RAX] = 7;
	v->gpr[GPR_RCX] = 1;
	assert_int_equal(exit_xsetbv(v, &e), NEXT_RESUME);
	assert_int_equal(vcpu_reg(v, VREG_XCR0), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(cr0_refuses),
		CORE_TEST(long_mode_is_entered_and_left),
		CORE_TEST(cr4_refuses_what_cpuid_hides),
		CORE_TEST(pcid_needs_long_mode_and_a_clean_cr3),
		CORE_TEST(pae_checks_its_pointers),
		CORE_TEST(cr8_is_the_task_priority),
		CORE_TEST(clts_and_lmsw),
		CORE_TEST(xsetbv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
