/* SPDX-License-Identifier: MIT */
/* The doctor's report of made-up machines: what is told of each, and what is found wrong with it. */
/* SOURCES: boot/doctor.c arch/vmx/doctor.c arch/vmx/caps.c arch/svm/doctor.c vmm/lib/report.c vmm/lib/fmt.c vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/vmx/vmx.h>

#include "arch/svm/svm.h"
#include "boot/doctor.h"

#include "vmx_models.h"

static char out[16384];
static size_t out_len;

static void take(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	assert_true(out_len + len < sizeof(out));
	memcpy(out + out_len, text, len);
	out_len += len;
	out[out_len] = '\0';
}

static struct {
	const char *vendor;
	u32 c1, xc, xd, x7d;
	u64 feature_control, vm_cr, misc_enable;
	const struct vmx_model *model;
} cpu;

static void cpuid(u32 leaf, u32 subleaf, u32 r[4])
{
	(void)subleaf;
	memset(r, 0, 16);
	if (leaf == 0) {
		memcpy(&r[CPUID_EBX], cpu.vendor, 4);
		memcpy(&r[CPUID_EDX], cpu.vendor + 4, 4);
		memcpy(&r[CPUID_ECX], cpu.vendor + 8, 4);
	} else if (leaf == 1) {
		r[CPUID_EAX] = 0x000806ec;
		r[CPUID_ECX] = cpu.c1;
	} else if (leaf == 0x80000001) {
		r[CPUID_ECX] = cpu.xc;
		r[CPUID_EDX] = cpu.xd;
	} else if (leaf == 0x80000002) {
		memcpy(r, "  A \"made-up\" CP", 16);
	} else if (leaf == 0x80000003) {
		memcpy(r, "U, 1 GHz        ", 16);
	} else if (leaf == 0x80000007) {
		r[CPUID_EDX] = cpu.x7d;
	} else if (leaf == 0x80000008) {
		r[CPUID_EAX] = 0x3027;
	} else if (leaf == 0x80000000) {
		r[CPUID_EAX] = 0x80000008;
	}
}

static bool rdmsr(u32 msr, u64 *v)
{
	u64 value = NONE;

	if (msr == MSR_FEATURE_CONTROL)
		value = cpu.feature_control;
	else if (msr == MSR_VM_CR)
		value = cpu.vm_cr;
	else if (msr == MSR_UCODE_REV)
		value = 0xf00000000;
	else if (cpu.model && msr >= VMX_MODEL_FIRST && msr < VMX_MODEL_FIRST + VMX_MODEL_MSRS)
		value = cpu.model->msr[msr - VMX_MODEL_FIRST];
	*v = value == NONE ? 0 : value;
	return value != NONE;
}

static bool source_rdmsr(void *ctx, u32 msr, u64 *v)
{
	(void)ctx;
	return rdmsr(msr, v);
}

static void source_cpuid(void *ctx, u32 leaf, u32 subleaf, u32 r[4])
{
	(void)ctx;
	cpuid(leaf, subleaf, r);
}

static struct boot_info info;
static struct acpi_info acpi;
static struct doctor_facts facts;

/* A sound one of Intel's. */
static int setup(void **state)
{
	(void)state;
	memset(&cpu, 0, sizeof(cpu));
	cpu.vendor = "GenuineIntel";
	cpu.c1 = CPUID1C_VMX | CPUID1C_X2APIC | CPUID1C_XSAVE | CPUID1C_PCID | CPUID1C_TSC_DEADLINE;
	cpu.xd = (u32)(CPUIDX1D_NX | CPUIDX1D_1GB | CPUIDX1D_RDTSCP);
	cpu.x7d = CPUIDX7D_INVARIANT_TSC;
	cpu.feature_control = 5;
	cpu.vm_cr = NONE;
	for (unsigned i = 0; i < ARRAY_SIZE(vmx_models); i++)
		if (!strcmp(vmx_models[i].name, "broadwell_ult"))
			cpu.model = &vmx_models[i];
	memset(&info, 0, sizeof(info));
	strcpy(info.cmdline, "mem=1G \"quoted\"");
	info.mem[0] = (struct boot_mem){0, 0x9f000, true};
	info.mem[1] = (struct boot_mem){0x100000, 0x100000, true};
	info.mem[2] = (struct boot_mem){0x200000, 0x100000, true};
	info.mem[3] = (struct boot_mem){0x300000, 0x100000, false};
	info.mem_count = 4;
	memset(&acpi, 0, sizeof(acpi));
	acpi.valid = acpi.has_madt = acpi.has_fadt = true;
	acpi.cpus = 4;
	acpi.ioapics = 1;
	facts = (struct doctor_facts){
		.version = "1.2",
		.cpuid = cpuid,
		.rdmsr = rdmsr,
		.backend = "VMX",
		.problem = "",
		.cpus = 4,
		.info = &info,
		.acpi = &acpi,
		.ram_bytes = MiB(512),
		.apic = true,
		.tsc_deadline = true,
		.tsc_hz = 1000000000,
		.tsc_by_pm = true,
		.serial_wanted = true,
		.serial = true,
		.serial_port = 0x3f8,
	};
	return 0;
}

static void tell(bool json)
{
	const struct vmx_source source = {source_rdmsr, source_cpuid, NULL};
	struct report r = {.write = take, .json = json};

	if (facts.backend && !strcmp(facts.backend, "VMX"))
		facts.features = vmx_features(&source, facts.feature, DOCTOR_FEATURES_MAX);
	out_len = 0;
	report_begin(&r);
	doctor_report(&facts, &r);
	report_end(&r);
	assert_false(r.failed);
}

static void says(const char *part)
{
	if (!strstr(out, part))
		fail_msg("\"%s\" is not in:\n%s", part, out);
}

static void says_not(const char *part)
{
	if (strstr(out, part))
		fail_msg("\"%s\" is in:\n%s", part, out);
}

static void sound(void **state)
{
	(void)state;
	tell(false);
	says("A \"made-up\" CPU, 1 GHz\r\n");
	says("family 0x6, model 0x8e, stepping 12\r\n");
	says("microcode          0xf\r\n");
	says("can start guests   yes\r\n");
	says("EPT                   used");
	says("VPID                  used");
	says("VT-x            on ");
	says("0x100000        0x2fffff        RAM\r\n");
	says("0x300000        0x3fffff        reserved\r\n");
	says("Nothing that was looked at stands in the way of guests.\r\n");
	says_not("AMD-V");
	says_not("LOCKED");
	tell(true);
	says("\"model\":\"A \\u0022made-up\\u0022 CPU, 1 GHz\"");
	says("{\"name\":\"EPT\",\"state\":\"used\",\"cost\":\"\"}");
	says("\"tsc_hz\":1000000000");
	says("\"findings\":[\"Nothing");
}

static void locked_off(void **state)
{
	(void)state;
	cpu.feature_control = FEATURE_CONTROL_LOCK;
	facts.problem = "VMX is locked off.";
	facts.cpuid_was_limited = true;
	tell(false);
	says("can start guests   no\r\n");
	says("VT-x            LOCKED OFF ");
	says("Havoc has lifted it");
	/* The rest can be told all the same. */
	says("EPT                   used");
	says("VPID                  used");
	says("FINDINGS\r\nVMX is locked off.\r\n");
	says_not("Nothing that was");
	cpu.feature_control = 0;
	tell(false);
	says("VT-x            open, Havoc turns it on");
}

/* Each feature, missing, costs something; a test's CPU without capability MSRs has none. */
static void old_cpus(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(vmx_models); i++)
		if (!strcmp(vmx_models[i].name, "corei5_lynnfield_750"))
			cpu.model = &vmx_models[i];
	tell(false);
	says("EPT                   used");
	says("unrestricted guest    missing  guests cannot be started\r\n");
	cpu.model = NULL;
	tell(false);
	says("EPT                   missing  guests cannot be started\r\n");
	for (unsigned i = 0; i < facts.features; i++) {
		assert_false(facts.feature[i].present);
		assert_true(facts.feature[i].lack[0]);
	}
	cpu.c1 = 0;
	facts.backend = NULL;
	facts.features = 0;
	tell(false);
	says("back end           none\r\n");
	says("VT-x            not offered");
	says("This CPU offers neither VMX");
	says("XSAVE                 missing  guests do without AVX\r\n");
}

static void amd(void **state)
{
	struct svm_cpuid id = {.x1 = {0, 0, CPUIDX1C_SVM, 0},
			       .xa = {0, 16, 0, CPUIDSVM_NPT | CPUIDSVM_NRIPS}};

	(void)state;
	cpu.vendor = "AuthenticAMD";
	cpu.c1 = 0;
	cpu.xc = CPUIDX1C_SVM;
	cpu.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
	acpi.has_ivrs = true;
	facts.backend = "SVM";
	facts.features = svm_features(&id, facts.feature, DOCTOR_FEATURES_MAX);
	tell(false);
	says("AMD-V           LOCKED OFF ");
	says("IOMMU           on ");
	says("IOMMU              AMD-Vi, which");
	says("nested paging         used");
	says("decode assists        missing  instructions are read again");
	says_not("VT-x");
	says_not("CPUID limit");
	cpu.vm_cr = VM_CR_SVMDIS;
	tell(false);
	says("AMD-V           open, Havoc turns it on");
	assert_int_equal(svm_features(&id, facts.feature, 1), 1);
	id.x1[CPUID_ECX] = 0;
	assert_int_equal(svm_features(&id, facts.feature, DOCTOR_FEATURES_MAX), 0);
}

static void bare(void **state)
{
	(void)state;
	info.efi = true;
	info.mem_count = 0;
	memset(&acpi, 0, sizeof(acpi));
	cpu.x7d = 0;
	facts.apic = facts.serial = false;
	facts.tsc_hz = 0;
	facts.last = true;
	facts.last_end = LOG_END_PANIC;
	strcpy(facts.last_reason, "assertion failed");
	tell(false);
	says("Secure Boot     off, or GRUB is trusted");
	says("serial port     NOT FOUND");
	says("the last boot      ended by a panic: assertion failed\r\n");
	says("local APIC is absent");
	says("not said to be invariant");
	says("no ACPI tables");
	says("no serial port at 0x3f8");
	facts.apic = true;
	tell(false);
	says("There is no clock");
	facts.tsc_hz = 1;
	facts.ram_bytes = MiB(48);
	tell(false);
	says("little memory");
	tell(true);
	says("\"memory_map\":[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sound, setup),    cmocka_unit_test_setup(locked_off, setup),
		cmocka_unit_test_setup(old_cpus, setup), cmocka_unit_test_setup(amd, setup),
		cmocka_unit_test_setup(bare, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
