/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/caps.c vmm/lib/fmt.c */
/* What is read out of the CPUID words of several models, and the sentence for each CPU that cannot be used. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/errno.h>

#include "arch/svm/svm.h"

static struct svm_caps caps;
static struct backend_caps out;
static struct backend_problem problem;

/* As QEMU 7.2's "phenom" (TCG) answers: family 10h, the oldest with nested paging. */
static struct svm_cpuid phenom(void)
{
	return (struct svm_cpuid){
		.l1 = {0x100f23, 0, 0x00802001, 0x178bfbff},
		.x1 = {0x100f23, 0, 0x000001e7, 0xeed3fbff},
		.x8 = {0x3028, 0, 0, 0},
		.xa = {1, 16, 0, 0x00010001},
	};
}

/* A Zen 2 (EPYC 7002). */
static struct svm_cpuid zen2(void)
{
	return (struct svm_cpuid){
		.l1 = {0x830f10, 0, 0x7ed8320b, 0x178bfbff},
		.l7 = {0, 0x219c91a9, 0x00400004, 0},
		.x1 = {0x830f10, 0x40000000, 0x75c237ff, 0x2fd3fbff},
		.x8 = {0x00003030, 0x118ee757, 0x0000707f, 0x00010007},
		.xa = {1, 0x8000, 0, 0x1c5bcff},
	};
}

static int read_caps(const struct svm_cpuid *id, const u64 *vm_cr)
{
	memset(&caps, 0x5a, sizeof(caps));
	memset(&out, 0x5a, sizeof(out));
	problem.text[0] = 0;
	return svm_caps_read(id, vm_cr, &caps, &out, &problem);
}

static void old_cpu(unused void **state)
{
	struct svm_cpuid id = phenom();

	assert_int_equal(read_caps(&id, NULL), 0);
	assert_false(caps.nrips);
	assert_false(caps.decode_assists);
	assert_false(caps.flush_by_asid);
	assert_true(caps.vgif);
	assert_false(caps.rdpru);
	assert_true(caps.rdtscp);
	assert_int_equal(caps.asids, 16);
	assert_int_equal(caps.phys_bits, 40);
	assert_int_equal(out.phys_bits, 40);
	assert_int_equal(out.large_pages, 7);
	assert_false(out.run_deadline);
	assert_false(out.invpcid);
	assert_true(out.rdtscp);
	/* No XSAVE, SMEP... in this CPU: those CR4 bits are reserved in it. */
	assert_false(caps.cr4_valid &
		     (CR4_OSXSAVE | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_LA57 | CR4_VMXE));
	assert_true(caps.cr4_valid & CR4_PAE);
	assert_true(caps.efer_valid & EFER_SVME);
	assert_true(caps.efer_valid & EFER_FFXSR);
	assert_false(caps.efer_valid & EFER_TCE);
	assert_false(caps.efer_valid & BIT(1));
}

static void new_cpu(unused void **state)
{
	struct svm_cpuid id = zen2();
	u64 vm_cr = VM_CR_LOCK; /* locked on */

	assert_int_equal(read_caps(&id, &vm_cr), 0);
	assert_true(caps.nrips);
	assert_true(caps.decode_assists);
	assert_true(caps.flush_by_asid);
	assert_true(caps.vgif);
	assert_true(caps.rdpru);
	assert_int_equal(caps.asids, 0x8000);
	assert_int_equal(caps.phys_bits, 48);
	assert_true(caps.cr4_valid & CR4_SMAP);
	assert_true(caps.cr4_valid & CR4_OSXSAVE);
	assert_false(caps.cr4_valid & CR4_LA57);
	assert_true(caps.efer_valid & EFER_TCE);
}

static void guest_addresses_stay_within_four_levels(unused void **state)
{
	struct svm_cpuid id = zen2();

	id.x8[CPUID_EAX] = 0x3934; /* 52 physical bits */
	assert_int_equal(read_caps(&id, NULL), 0);
	assert_int_equal(caps.phys_bits, 52);
	assert_int_equal(out.phys_bits, 48);
	id.x8[CPUID_EAX] = 0xff; /* nonsense */
	assert_int_equal(read_caps(&id, NULL), 0);
	assert_int_equal(caps.phys_bits, 52);
	id.x8[CPUID_EAX] = 0; /* no such leaf */
	assert_int_equal(read_caps(&id, NULL), 0);
	assert_int_equal(out.phys_bits, 36);
}

static void no_1gb_pages(unused void **state)
{
	struct svm_cpuid id = phenom();

	id.x1[CPUID_EDX] &= (u32)~CPUIDX1D_1GB;
	assert_int_equal(read_caps(&id, NULL), 0);
	assert_int_equal(out.large_pages, 3);
}

static void refused(const struct svm_cpuid *id, const u64 *vm_cr, const char *says)
{
	assert_int_equal(read_caps(id, vm_cr), -HV_ENODEV);
	assert_non_null(strstr(problem.text, says));
	/* One whole sentence: neither empty nor cut off. */
	assert_int_equal(problem.text[strlen(problem.text) - 1], '.');
}

static void refusals(unused void **state)
{
	struct svm_cpuid id = phenom();
	u64 vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;

	refused(&id, &vm_cr, "disabled by the firmware (VM_CR = 0x18): turn on \"SVM Mode\"");
	id.x1[CPUID_ECX] &= (u32)~CPUIDX1C_SVM;
	refused(&id, NULL, "no SVM");
	id = phenom();
	id.xa[CPUID_EDX] &= (u32)~CPUIDSVM_NPT;
	refused(&id, NULL, "nested paging");
	id = phenom();
	id.xa[CPUID_EBX] = 1;
	refused(&id, NULL, "address space identifier");
	id = phenom();
	id.x1[CPUID_EDX] &= (u32)~CPUIDX1D_NX;
	refused(&id, NULL, "no-execute");
	memset(&id, 0, sizeof(id));
	refused(&id, NULL, "no SVM");
}

static void disabled_but_not_locked(unused void **state)
{
	struct svm_cpuid id = phenom();
	u64 vm_cr = VM_CR_SVMDIS;

	assert_int_equal(read_caps(&id, &vm_cr), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_cpu),
		cmocka_unit_test(new_cpu),
		cmocka_unit_test(guest_addresses_stay_within_four_levels),
		cmocka_unit_test(no_1gb_pages),
		cmocka_unit_test(refusals),
		cmocka_unit_test(disabled_but_not_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
