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
/* The guest's CPUID: what passes, what is set, what must never be seen, and what follows the guest's state. */
#include <arch/cpuid.h>

#include "../mock/core_test.h"

static const u64 *cpuid(u32 leaf, u32 subleaf)
{
	static u64 out[4];
	struct vm_exit e = {.kind = EXIT_CPUID, .insn_len = 2};

	v->gpr[GPR_RAX] = 0xdead00000000ULL | leaf;
	v->gpr[GPR_RCX] = 0xbeef00000000ULL | subleaf;
	assert_int_equal(exit_cpuid(v, &e), NEXT_ADVANCE);
	out[CPUID_EAX] = v->gpr[GPR_RAX];
	out[CPUID_EBX] = v->gpr[GPR_RBX];
	out[CPUID_ECX] = v->gpr[GPR_RCX];
	out[CPUID_EDX] = v->gpr[GPR_RDX];
	return out;
}

/* The mock CPU has every bit of these leaves set: what comes through is exactly what the table lets through. */
static void hides_what_it_cannot_keep(unused void **state)
{
	assert_int_equal(cpuid(1, 0)[CPUID_ECX] &
				 (CPUID1C_MONITOR | CPUID1C_VMX | CPUID1C_SMX | CPUID1C_PDCM),
			 0);
	assert_int_equal(
		cpuid(1, 0)[CPUID_EDX] & (CPUID1D_DS | CPUID1D_ACPI | CPUID1D_HTT | CPUID1D_TM), 0);
	assert_int_equal(cpuid(7, 0)[CPUID_EBX] & BIT(2) /* SGX */, 0);
	assert_int_equal(
		cpuid(7, 0)[CPUID_ECX] & (CPUID7C_PKU | CPUID7C_OSPKE | BIT(5) /* WAITPKG */), 0);
	assert_int_equal(cpuid(7, 0)[CPUID_EDX] & (BIT(26) | BIT(27) | BIT(29) | BIT(31)), 0);
	assert_int_equal(cpuid(0x80000001, 0)[CPUID_ECX] &
				 (CPUIDX1C_SVM | CPUIDX1C_SKINIT | CPUIDX1C_EXTAPIC),
			 0);
	assert_int_equal(cpuid(0x8000000a, 0)[CPUID_EAX] | cpuid(0x8000000a, 0)[CPUID_EDX], 0);
}

static void offers_what_it_emulates(unused void **state)
{
	const u64 ecx = CPUID1C_X2APIC | CPUID1C_TSC_DEADLINE | CPUID1C_HYPERVISOR;

	assert_int_equal(cpuid(1, 0)[CPUID_ECX] & ecx, ecx);
	assert_int_equal(cpuid(1, 0)[CPUID_EBX] >> 16, 1); /* one CPU, APIC ID 0 */
	assert_int_equal(cpuid(6, 0)[CPUID_EAX], BIT(2));
	assert_int_equal(cpuid(7, 0)[CPUID_EBX] & CPUID7B_TSC_ADJUST, CPUID7B_TSC_ADJUST);
	assert_int_equal(cpuid(0xb, 0)[CPUID_EBX], 1);
	assert_int_equal(cpuid(0xb, 0)[CPUID_ECX], 0x100);
	assert_int_equal(cpuid(0xb, 9)[CPUID_ECX], 9);
}

static void names_itself(unused void **state)
{
	const u64 *r = cpuid(0x40000000, 0);
	u32 sig[3] = {(u32)r[1], (u32)r[2], (u32)r[3]};

	assert_memory_equal(sig, "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(cpuid(0x40000001, 0)[CPUID_EAX], 0x1002aeb);
	assert_int_equal(cpuid(0x40000001, 0)[CPUID_EDX], 0);
	r = cpuid(0x40000100, 0);
	memcpy(sig, (u32[]){(u32)r[1], (u32)r[2], (u32)r[3]}, 12);
	assert_memory_equal(sig, "HavocHavocHv", 12);
	assert_int_equal(cpuid(0x40000101, 0)[CPUID_EAX], 0);
	vm.hypercall_console = true;
	assert_int_equal(cpuid_build(&vm), 0);
	assert_int_equal(cpuid(0x40000101, 0)[CPUID_EAX], 1);
	/* No hypercall of KVM's where all are taken for the older form; and CPUs of its own. */
	vm.hypercall_compat = vm.dedicated = true;
	assert_int_equal(cpuid_build(&vm), 0);
	assert_int_equal(cpuid(0x40000001, 0)[CPUID_EAX], 0x100026b);
	assert_int_equal(cpuid(0x40000001, 0)[CPUID_EDX], 1);
}

static void unknown_leaves_are_zero(unused void **state)
{
	static const u32 leaf[] = {0x3,        0x5,        0xa,        0xe,
				   0x14,       0x1f,       0xffffffff, 0x40000002,
				   0x4fffffff, 0x80000009, 0x8000001f, 0xc0000000};

	for (unsigned i = 0; i < ARRAY_SIZE(leaf); i++)
		for (unsigned r = 0; r < 4; r++)
			assert_int_equal(cpuid(leaf[i], 3)[r], 0);
}

static void follows_the_guest(unused void **state)
{
	assert_int_equal(cpuid(1, 0)[CPUID_ECX] & CPUID1C_OSXSAVE, 0);
	vcpu_reg_set(v, VREG_CR4, CR4_OSXSAVE);
	assert_int_equal(cpuid(1, 0)[CPUID_ECX] & CPUID1C_OSXSAVE, CPUID1C_OSXSAVE);
	assert_int_equal(cpuid(1, 0)[CPUID_EDX] & CPUID1D_APIC, CPUID1D_APIC);
	v->lapic.hw_enabled = false;
	assert_int_equal(cpuid(1, 0)[CPUID_EDX] & CPUID1D_APIC, 0);
	v->lapic.hw_enabled = true;
}

static void xsave_sizes(unused void **state)
{
	assert_int_equal(cpuid(0xd, 0)[CPUID_EAX],
			 0xe7); /* PKRU (bit 9) has no place of its own here */
	assert_int_equal(cpuid(0xd, 0)[CPUID_ECX], 0x680 + 0x400);
	vcpu_reg_set(v, VREG_XCR0, XCR0_X87);
	assert_int_equal(cpuid(0xd, 0)[CPUID_EBX], 576);
	vcpu_reg_set(v, VREG_XCR0, XCR0_X87 | XCR0_SSE | XCR0_AVX);
	assert_int_equal(cpuid(0xd, 0)[CPUID_EBX], 0x240 + 0x100);
	assert_int_equal(cpuid(0xd, 1)[CPUID_EAX], 7);
	/* Compacted: no holes, except where a component wants to be aligned. */
	assert_int_equal(cpuid(0xd, 1)[CPUID_EBX], 0x240 + 0x100);
	vcpu_reg_set(v, VREG_XCR0, 0xe7);
	assert_int_equal(cpuid(0xd, 1)[CPUID_EBX], 0x240 + 0x100 + 0x40 + 0x200 + 0x400);
	vcpu_reg_set(v, VREG_XCR0, XCR0_X87);
	assert_int_equal(cpuid(0xd, 1)[CPUID_EBX], 576);
	assert_int_equal(cpuid(0xd, 9)[CPUID_EAX], 0);
}

/* Protection keys come with their component of XSAVE, described, or not at all; OSPKE follows CR4. */
static void protection_keys(unused void **state)
{
	mock_host_cpuid_set(0xd, 9, 8, 0xa80, 0, 0);
	assert_int_equal(cpuid_build(v->vm), 0);
	assert_int_equal(cpuid(7, 0)[CPUID_ECX] & (CPUID7C_PKU | CPUID7C_OSPKE), CPUID7C_PKU);
	assert_int_equal(cr4_allowed(v->vm) & CR4_PKE, CR4_PKE);
	vcpu_reg_set(v, VREG_CR4, CR4_PKE);
	assert_int_equal(cpuid(7, 0)[CPUID_ECX] & CPUID7C_OSPKE, CPUID7C_OSPKE);
	assert_int_equal(cpuid(0xd, 0)[CPUID_EAX], 0x2e7);
	assert_int_equal(cpuid(0xd, 0)[CPUID_ECX], 0xa80 + 8);
	assert_int_equal(cpuid(0xd, 9)[CPUID_EAX], 8);
	vcpu_reg_set(v, VREG_XCR0, XCR0_X87 | XCR0_PKRU);
	assert_int_equal(cpuid(0xd, 0)[CPUID_EBX], 0xa80 + 8);
	assert_int_equal(cpuid(0xd, 1)[CPUID_EBX], 576 + 8);
	assert_true(xcr0_valid(XCR0_X87 | XCR0_PKRU, cpuid_xcr0_mask(v->vm)));
}

/* "Limit CPUID Maximum" in the firmware setup: the bit is there, the leaf is not. */
static void no_xsave_without_its_leaf(unused void **state)
{
	assert_true(cpuid(1, 0)[CPUID_ECX] & CPUID1C_XSAVE);
	mock_host_cpuid_set(0, 0, 3, 0x756e6547, 0x6c65746e, 0x49656e69);
	mock_host_cpuid_set(0xd, 0, 0, 0, 0, 0);
	assert_int_equal(cpuid_build(v->vm), 0);
	assert_int_equal(cpuid(1, 0)[CPUID_ECX] & (CPUID1C_XSAVE | BIT(28) | BIT(12)), 0);
	assert_int_equal(cpuid_xcr0_mask(v->vm), 0);
}

/* A CPU that ends at leaf 5, as AMD's family 10h does: leaf 6 is there for ARAT, and no other. */
static void arat_on_old_cpus(unused void **state)
{
	mock_host_cpuid_set(0, 0, 5, 0x68747541, 0x444d4163, 0x69746e65);
	assert_int_equal(cpuid_build(v->vm), 0);
	assert_int_equal(cpuid(0, 0)[CPUID_EAX], 6);
	assert_int_equal(cpuid(6, 0)[CPUID_EAX], BIT(2));
	assert_int_equal(cpuid(7, 0)[CPUID_EBX], 0);
}

static void xcr0_rules(unused void **state)
{
	const u64 all = 0xe7;

	assert_true(xcr0_valid(1, all));
	assert_true(xcr0_valid(7, all));
	assert_true(xcr0_valid(0xe7, all));
	assert_false(xcr0_valid(0, all));
	assert_false(xcr0_valid(6, all));     /* no x87 */
	assert_false(xcr0_valid(5, all));     /* AVX without SSE */
	assert_false(xcr0_valid(0x67, all));  /* part of AVX-512 */
	assert_false(xcr0_valid(0xe3, all));  /* AVX-512 without AVX */
	assert_false(xcr0_valid(0x207, all)); /* not offered */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(hides_what_it_cannot_keep),
		CORE_TEST(offers_what_it_emulates),
		CORE_TEST(names_itself),
		CORE_TEST(unknown_leaves_are_zero),
		CORE_TEST(follows_the_guest),
		CORE_TEST(xsave_sizes),
		CORE_TEST(protection_keys),
		CORE_TEST(no_xsave_without_its_leaf),
		CORE_TEST(arat_on_old_cpus),
		CORE_TEST(xcr0_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
