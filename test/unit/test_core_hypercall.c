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
/* docs/guest-abi.md: results, errors, and what a hypercall must leave alone. */
#include "../mock/core_test.h"

#define WRITE 0x48560001ULL

/* Four-level tables at 0x10000: VA 0x400000 + n pages -> RAM from 0x100000, page 2 supervisor-only, page 3 absent. */
static void user_space(void)
{
	u64 pml4 = 0x11000 | 7, pdpt = 0x12000 | 7, pd = 0x13000 | 7;
	u64 pt[4] = {0x100000 | 7, 0x101000 | 7, 0x102000 | 3, 0};

	assert_int_equal(gmem_write(&vm.gmem, 0x10000, &pml4, 8), 0);
	assert_int_equal(gmem_write(&vm.gmem, 0x11000, &pdpt, 8), 0);
	assert_int_equal(gmem_write(&vm.gmem, 0x12000 + 2 * 8, &pd, 8), 0);
	assert_int_equal(gmem_write(&vm.gmem, 0x13000, pt, sizeof(pt)), 0);
	vcpu_reg_set(v, VREG_CR3, 0x10000);
	vcpu_reg_set(v, VREG_CR4, CR4_PAE);
	vcpu_reg_set(v, VREG_EFER, EFER_LME);
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_PG | CR0_WP);
	backend()->reg[VREG_CPL] = 3;
}

static s64 hypercall(u64 number, u64 rdi, u64 rsi)
{
	struct vm_exit e = {.kind = EXIT_HYPERCALL, .insn_len = 3};
	u64 before[16];
	unsigned i;

	for (i = 0; i < 16; i++)
		v->gpr[i] = 0x1000 + i;
	v->gpr[GPR_RAX] = number;
	v->gpr[GPR_RDI] = rdi;
	v->gpr[GPR_RSI] = rsi;
	memcpy(before, v->gpr, sizeof(before));
	assert_int_equal(exit_hypercall(v, &e), NEXT_ADVANCE);
	assert_memory_equal(before + 1, v->gpr + 1, sizeof(before) - 8);
	return (s64)v->gpr[GPR_RAX];
}

static void text(gpa_t gpa, const char *s)
{
	assert_int_equal(gmem_write(&vm.gmem, gpa, s, strlen(s) + 1), 0);
}

static bool printed(const char *s)
{
	bool same = mock_vm_output_len == strlen(s) && !memcmp(mock_vm_output, s, strlen(s));

	mock_vm_output_len = 0;
	return same;
}

static void off_by_default(unused void **state)
{
	user_space();
	assert_int_equal(hypercall(WRITE, 0x400000, 4), -HV_EPERM);
	assert_true(printed(""));
}

static void writes(unused void **state)
{
	user_space();
	vm.hypercall_console = true;
	text(0x100010, "hello\n");
	assert_int_equal(hypercall(WRITE, 0x400010, 6), 6);
	assert_true(printed("hello\n"));
	text(0x100ffd, "across");
	assert_int_equal(hypercall(WRITE, 0x400ffd, 6), 6);
	assert_true(printed("across"));
	assert_int_equal(hypercall(WRITE, 0x400000, 0), 0);
	assert_int_equal(hypercall(WRITE, 0x400000, 4096), 4096);
}

static void errors(unused void **state)
{
	user_space();
	vm.hypercall_console = true;
	assert_int_equal(hypercall(WRITE, 0x400000, 4097), -HV_E2BIG);
	assert_int_equal(hypercall(WRITE, 0x400000, ~0ULL), -HV_E2BIG);
	assert_int_equal(hypercall(WRITE, 0x402000, 1), -HV_EFAULT);          /* the kernel's */
	assert_int_equal(hypercall(WRITE, 0x403000, 1), -HV_EFAULT);          /* absent */
	assert_int_equal(hypercall(WRITE, 0x800000000000ULL, 1), -HV_EFAULT); /* not canonical */
	assert_int_equal(hypercall(WRITE, ~0ULL, 16), -HV_EFAULT);
	mock_vm_output_len = 0;
	assert_int_equal(hypercall(WRITE, 0x401ffe, 16), 2); /* as far as it can be read */
	assert_int_equal(mock_vm_output_len, 2);
	assert_int_equal(hypercall(0, 0, 0), -HV_ENOSYS);
	assert_int_equal(hypercall(WRITE + 1, 0, 0), -HV_ENOSYS);
	assert_int_equal(hypercall(~0ULL, 0, 0), -HV_ENOSYS);
	backend()->seg[VSEG_CS].attr = SEG_ATTR_L;
	assert_int_equal(hypercall(5, 0, 0), -1); /* KVM's are a kernel's */
	assert_int_equal(hypercall(12, 0, 0), -1);
	assert_int_equal(hypercall(13, 0, 0), -HV_ENOSYS);
	assert_false(vm.actions & VM_KILL);
}

static void compat(u64 rax, u64 rbx)
{
	struct vm_exit e = {.kind = EXIT_HYPERCALL, .insn_len = 3};

	v->gpr[GPR_RAX] = rax;
	v->gpr[GPR_RBX] = rbx;
	assert_int_equal(exit_hypercall(v, &e), NEXT_ADVANCE);
	assert_int_equal(v->gpr[GPR_RAX], rax);
	assert_int_equal(v->gpr[GPR_RBX], rbx);
}

static void older_form(unused void **state)
{
	user_space();
	vm.hypercall_compat = vm.hypercall_console = true;
	text(0x100000, "old\n");
	compat(0x400000, 64);
	assert_true(printed("old\n"));
	compat(0x400000, 2);
	assert_true(printed("ol"));
	text(0x101ff8, "edge");
	compat(0x401ff8,
	       64); /* the buffer runs into a page that is not the program's; the text does not */
	assert_true(printed("edge"));
	compat(0x403000, 64);
	compat(~0ULL, ~0ULL);
	compat(5, 0);
	assert_true(printed(""));
	assert_int_equal(hypercall(WRITE, 0x400000, 3), 3); /* the present form works too */
	assert_true(printed("old"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(off_by_default),
		CORE_TEST(writes),
		CORE_TEST(errors),
		CORE_TEST(older_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
