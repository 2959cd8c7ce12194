/* SPDX-License-Identifier: MIT */
/*
 * arch/vmx/caps.c against the capability MSRs of real models (vmx_models.h) and against ones that are
 * wrong in one place: what is accepted, what is chosen, and what the user is told.
 */
/* SOURCES: arch/vmx/caps.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <string.h>
#include <vmm/errno.h>
#include <vmm/vm.h>

#include "vmx_models.h"

struct cpu {
	struct vmx_model model;
	bool vmx;
	u32 max_extended;
	u32 signature;
};

static bool cpu_rdmsr(void *ctx, u32 msr, u64 *value)
{
	struct cpu *cpu = ctx;
	u64 v = NONE;

	*value = 0;
	if (msr == MSR_FEATURE_CONTROL)
		v = cpu->model.feature_control;
	else if (msr >= VMX_MODEL_FIRST && msr < VMX_MODEL_FIRST + VMX_MODEL_MSRS)
		v = cpu->model.msr[msr - VMX_MODEL_FIRST];
	if (v == NONE)
		return false;
	*value = v;
	return true;
}

static void cpu_cpuid(void *ctx, u32 leaf, u32 subleaf, u32 out[4])
{
	struct cpu *cpu = ctx;

	(void)subleaf;
	memset(out, 0, 4 * sizeof(u32));
	if (leaf == 1) {
		out[CPUID_EAX] = cpu->signature;
		out[CPUID_ECX] = cpu->vmx ? CPUID1C_VMX : 0;
	}
	if (leaf == 0x80000000)
		out[CPUID_EAX] = cpu->max_extended;
	if (leaf == 0x80000001)
		out[CPUID_EDX] = CPUIDX1D_NX | CPUIDX1D_RDTSCP;
	if (leaf == 0x80000008)
		out[CPUID_EAX] = 0x3028;
}

static struct cpu cpu_of(const char *name)
{
	struct cpu cpu = {.vmx = true, .max_extended = 0x80000008};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(vmx_models); i++) {
		if (strcmp(vmx_models[i].name, name) == 0) {
			cpu.model = vmx_models[i];
			return cpu;
		}
	}
	fail_msg("no model %s", name);
	return cpu;
}

static struct vmx_caps caps;
static struct backend_problem problem;
static u64 feature_control;

static int probe(struct cpu *cpu)
{
	const struct vmx_source src = {cpu_rdmsr, cpu_cpuid, cpu};

	memset(&problem, 0, sizeof(problem));
	return vmx_caps_probe(&src, &caps, &feature_control, &problem);
}

static u64 *msr_of(struct cpu *cpu, u32 msr)
{
	return &cpu->model.msr[msr - VMX_MODEL_FIRST];
}

static void assert_refused(struct cpu *cpu, const char *part)
{
	assert_int_equal(probe(cpu), -HV_ENODEV);
	if (!strstr(problem.text, part))
		fail_msg("\"%s\" does not say \"%s\"", problem.text, part);
	/* A whole sentence, not one cut off. */
	assert_int_equal(problem.text[strlen(problem.text) - 1], '.');
	assert_true(strlen(problem.text) < sizeof(problem.text) - 1);
}

static void test_usable_models(void **state)
{
	static const struct {
		const char *name;
		bool vpid, invpcid, xsaves, huge;
		u32 revision;
	} rows[] = {
		{"broadwell_ult", true, true, false, true, 0x2b},
		{"corei3_cnl", true, true, true, true, 0x2b},
		{"corei5_arrandale_m520", true, false, false, false, 0x2b},
		{"corei7_haswell_4770", true, true, false, true, 0x2b},
		{"corei7_icelake_u", true, true, true, true, 4},
		{"corei7_ivy_bridge_3770k", true, false, false, false, 0x2b},
		{"corei7_sandy_bridge_2600k", true, false, false, false, 0x2b},
		{"corei7_skylake_x", true, true, true, true, 0x2b},
		{"tigerlake", true, true, true, true, 4},
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpu cpu = cpu_of(rows[i].name);
		u32 proc2;

		if (probe(&cpu) != 0)
			fail_msg("%s: %s", rows[i].name, problem.text);
		proc2 = caps.control[VMX_PROC2];
		assert_int_equal(caps.control[VMX_PIN], 0x7f); /* with default1 bits 1, 2, 4 */
		assert_int_equal(caps.control[VMX_PROC],
				 0xb6186172 | PROC_HLT | PROC_TSC_OFFSET | PROC_MWAIT | PROC_RDPMC);
		assert_int_equal(caps.control[VMX_EXIT], 0x36dfb | 0x7c8204);
		assert_int_equal(caps.control[VMX_ENTRY], 0x11fb | 0xc004);
		assert_true(proc2 & PROC2_EPT);
		assert_true(proc2 & PROC2_UNRESTRICTED);
		assert_int_equal(!!(proc2 & PROC2_VPID), rows[i].vpid);
		assert_int_equal(!!(proc2 & PROC2_INVPCID), rows[i].invpcid);
		assert_int_equal(!!(proc2 & PROC2_XSAVES), rows[i].xsaves);
		assert_int_equal(!!(caps.ept_vpid & EPT_CAP_1G), rows[i].huge);
		assert_int_equal(caps.basic & VMX_BASIC_REVISION, rows[i].revision);
		assert_int_equal(caps.phys_bits, 40);
		assert_int_equal(caps.linear_bits, 48);
	}
}

/* Whatever is chosen is what the CPU allows, on every model that is usable. */
static void test_chosen_is_allowed(void **state)
{
	unsigned m, w;

	(void)state;
	for (m = 0; m < ARRAY_SIZE(vmx_models); m++) {
		struct cpu cpu = cpu_of(vmx_models[m].name);

		if (probe(&cpu))
			continue;
		for (w = 0; w < VMX_WORDS; w++) {
			assert_int_equal(caps.range[w].must & ~caps.control[w], 0);
			assert_int_equal(caps.control[w] & ~caps.range[w].may, 0);
		}
	}
}

static void test_unusable_models(void **state)
{
	struct cpu cpu;

	(void)state;
	cpu = cpu_of("corei5_lynnfield_750");
	assert_refused(&cpu, "unrestricted guest");
	assert_non_null(strstr(problem.text, "Westmere"));
	cpu = cpu_of("core2_penryn_t9600");
	assert_refused(&cpu, "EPT");
	cpu = cpu_of("bx_generic");
	assert_refused(&cpu, "EPT");
	cpu = cpu_of("ryzen"); /* even if CPUID had VMX */
	assert_refused(&cpu, "EPT");
	cpu.vmx = false;
	assert_refused(&cpu, "has no VMX (Intel VT-x)");
}

static void test_feature_control(void **state)
{
	struct cpu cpu = cpu_of("broadwell_ult");

	(void)state;
	cpu.model.feature_control = 1;
	assert_int_equal(probe(&cpu), -HV_ENODEV);
	assert_string_equal(
		problem.text,
		"VMX is locked off by the firmware (IA32_FEATURE_CONTROL = 0x1): turn on "
		"\"Intel Virtualization Technology\" in the firmware setup, then switch the "
		"machine off and on.");
	cpu.model.feature_control = 3; /* only inside SMX: no use */
	assert_refused(&cpu, "IA32_FEATURE_CONTROL = 0x3");
	cpu.model.feature_control = 0; /* unlocked */
	assert_int_equal(probe(&cpu), 0);
	assert_int_equal(feature_control, 0);
	cpu.model.feature_control = NONE; /* some hypervisors have none */
	assert_int_equal(probe(&cpu), 0);
	cpu.model.feature_control = 5;
	assert_int_equal(probe(&cpu), 0);
	assert_int_equal(feature_control, 5);
}

/* Each control that Havoc needs, taken away, is named. */
static void test_each_must(void **state)
{
	static const struct {
		u32 msr;
		u32 bit;
		const char *part;
	} rows[] = {
		{MSR_VMX_TRUE_PIN, PIN_EXT_INTR, "external-interrupt exiting"},
		{MSR_VMX_TRUE_PIN, PIN_NMI, "NMI exiting"},
		{MSR_VMX_TRUE_PIN, PIN_VIRTUAL_NMI, "virtual NMIs"},
		{MSR_VMX_TRUE_PROC, PROC_INTR_WINDOW, "interrupt-window"},
		{MSR_VMX_TRUE_PROC, PROC_NMI_WINDOW, "NMI-window"},
		{MSR_VMX_TRUE_PROC, PROC_SECONDARY, "EPT"},
		{MSR_VMX_TRUE_PROC, PROC_TSC_OFFSET, "TSC offsetting"},
		{MSR_VMX_TRUE_PROC, PROC_HLT, "HLT exiting"},
		{MSR_VMX_TRUE_PROC, PROC_CR8_LOAD, "CR8-load"},
		{MSR_VMX_TRUE_PROC, PROC_IO_BITMAPS, "I/O bitmaps"},
		{MSR_VMX_TRUE_PROC, PROC_MSR_BITMAPS, "MSR bitmaps"},
		{MSR_VMX_TRUE_EXIT, EXITC_HOST_64, "64-bit host"},
		{MSR_VMX_TRUE_EXIT, EXITC_ACK_INTR, "acknowledging"},
		{MSR_VMX_TRUE_EXIT, EXITC_LOAD_EFER, "IA32_EFER on exit"},
		{MSR_VMX_TRUE_ENTRY, ENTRYC_IA32E, "64-bit guests"},
		{MSR_VMX_TRUE_ENTRY, ENTRYC_LOAD_PAT, "IA32_PAT on entry"},
		{MSR_VMX_PROC2, PROC2_EPT, "EPT"},
		{MSR_VMX_PROC2, PROC2_UNRESTRICTED, "unrestricted guest"},
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpu cpu = cpu_of("broadwell_ult");

		*msr_of(&cpu, rows[i].msr) &= ~((u64)rows[i].bit << 32);
		assert_refused(&cpu, rows[i].part);
	}
}

static void test_optional_controls(void **state)
{
	struct cpu cpu = cpu_of("broadwell_ult");

	(void)state;
	*msr_of(&cpu, MSR_VMX_TRUE_PIN) &= ~(PIN_TIMER << 32);
	*msr_of(&cpu, MSR_VMX_PROC2) &= ~((PROC2_VPID | PROC2_WBINVD | PROC2_RDTSCP) << 32);
	assert_int_equal(probe(&cpu), 0);
	assert_false(caps.control[VMX_PIN] & PIN_TIMER);
	assert_false(caps.control[VMX_PROC2] & (PROC2_VPID | PROC2_WBINVD | PROC2_RDTSCP));
}

/* Errata "VMX-Preemption Timer Does Not Count Down at the Rate Specified". */
static void test_broken_timer(void **state)
{
	static const struct {
		u32 signature;
		bool works;
	} rows[] = {
		{0x306d4, true},  {0x206a7, true},   {0x306a9, true},  {0x306a8, false},
		{0x20652, false}, {0x23652, false},  {0x106e5, false}, {0x206e6, false},
		{0x106a4, false}, {0x10206e6, true},
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpu cpu = cpu_of("broadwell_ult");

		cpu.signature = rows[i].signature;
		assert_int_equal(probe(&cpu), 0);
		assert_int_equal(!!(caps.control[VMX_PIN] & PIN_TIMER), rows[i].works);
	}
}

static void test_ept_capabilities(void **state)
{
	static const struct {
		u64 without;
		const char *part;
	} rows[] = {
		{EPT_CAP_WALK_4, "four-level"},
		{EPT_CAP_WB, "write-back"},
		{EPT_CAP_INVEPT, "INVEPT"},
		{EPT_CAP_INVEPT_ONE | EPT_CAP_INVEPT_ALL, "INVEPT"},
	};
	struct cpu cpu;
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cpu = cpu_of("broadwell_ult");
		*msr_of(&cpu, MSR_VMX_EPT_VPID_CAP) &= ~rows[i].without;
		assert_refused(&cpu, rows[i].part);
	}
	/* One type is enough; without any INVVPID there is no VPID. */
	cpu = cpu_of("broadwell_ult");
	*msr_of(&cpu, MSR_VMX_EPT_VPID_CAP) &= ~(EPT_CAP_INVEPT_ONE | EPT_CAP_INVVPID_ONE);
	assert_int_equal(probe(&cpu), 0);
	assert_true(caps.control[VMX_PROC2] & PROC2_VPID);
	*msr_of(&cpu, MSR_VMX_EPT_VPID_CAP) &= ~EPT_CAP_INVVPID_ALL;
	assert_int_equal(probe(&cpu), 0);
	assert_false(caps.control[VMX_PROC2] & PROC2_VPID);
	assert_true(caps.control[VMX_PROC2] & PROC2_EPT);
	*msr_of(&cpu, MSR_VMX_EPT_VPID_CAP) = NONE;
	assert_refused(&cpu, "capability MSRs cannot be read");
}

/* Without the TRUE MSRs a CPU demands CR3 exits, which Havoc does not handle. */
static void test_without_true_controls(void **state)
{
	struct cpu cpu = cpu_of("broadwell_ult");

	(void)state;
	*msr_of(&cpu, MSR_VMX_BASIC) &= ~VMX_BASIC_TRUE;
	assert_refused(&cpu, "demands controls");
	assert_non_null(strstr(problem.text, "MSR 0x482, bits 0x18000"));
	/* Nothing but those two bits is in the way. */
	*msr_of(&cpu, MSR_VMX_PROC) &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	assert_int_equal(probe(&cpu), 0);
}

static void test_odd_values(void **state)
{
	struct cpu cpu = cpu_of("broadwell_ult");
	unsigned i;

	(void)state;
	*msr_of(&cpu, MSR_VMX_BASIC) += 0x100000000ULL; /* a VMCS of 4097 bytes */
	assert_refused(&cpu, "VMCS");
	for (i = 0; i < VMX_MODEL_MSRS; i++) {
		cpu = cpu_of("broadwell_ult");
		cpu.model.msr[i] = NONE;
		if (probe(&cpu))
			assert_true(problem.text[0] != 0);
		cpu.model.msr[i] = 0;
		if (probe(&cpu))
			assert_true(problem.text[0] != 0);
		cpu.model.msr[i] = ~0ULL;
		if (probe(&cpu))
			assert_true(problem.text[0] != 0);
	}
	cpu = cpu_of("broadwell_ult");
	cpu.max_extended = 0x80000001;
	assert_int_equal(probe(&cpu), 0);
	assert_int_equal(caps.phys_bits, 36);
}

static void test_adjust(void **state)
{
	struct vmx_range r = {.must = 0x16, .may = 0x7f};
	u32 value, bad;

	(void)state;
	assert_true(vmx_caps_adjust(r, 0x09, 0xffffff20, 0x16, &value, &bad));
	assert_int_equal(value, 0x3f);
	assert_int_equal(bad, 0);
	assert_false(vmx_caps_adjust(r, 0x89, 0, 0x16, &value, &bad));
	assert_int_equal(bad, 0x80);
	assert_false(vmx_caps_adjust(r, 0x09, 0, 0x06, &value, &bad));
	assert_int_equal(bad, 0x10);
}

static void test_guest_features(void **state)
{
	struct cpu cpu = cpu_of("corei7_skylake_x");
	struct vmx_guest_features f = {0};
	u64 owned;

	(void)state;
	assert_int_equal(probe(&cpu), 0);
	assert_false(vmx_caps_proc2(&caps, &f) & (PROC2_RDTSCP | PROC2_INVPCID | PROC2_XSAVES));
	f.leafx1_edx = CPUIDX1D_RDTSCP;
	f.leaf7_ebx = CPUID7B_INVPCID;
	f.leafd1_eax = BIT(3);
	assert_int_equal(vmx_caps_proc2(&caps, &f) & (PROC2_RDTSCP | PROC2_INVPCID | PROC2_XSAVES),
			 PROC2_RDTSCP | PROC2_INVPCID | PROC2_XSAVES);
	f.leafx1_edx = 0;
	f.leaf7_ecx = CPUID7C_RDPID;
	assert_true(vmx_caps_proc2(&caps, &f) & PROC2_RDTSCP);

	memset(&f, 0, sizeof(f));
	assert_int_equal(vmx_cr4_guest_owned(&caps, &f), CR4_PCE);
	memset(&f, 0xff, sizeof(f));
	owned = vmx_cr4_guest_owned(&caps, &f);
	assert_int_equal(owned & (CR4_VMXE | CR4_SMXE | CR4_PAE | CR4_MCE | CR4_LA57 | CR4_CET), 0);
	assert_true(owned & CR4_PGE);
	assert_true(owned & CR4_SMAP);
	assert_int_equal(owned & CR4_PKE, CR4_PKE & 0x3727ff); /* not in CR4_FIXED1 */
}

static void test_control_registers(void **state)
{
	struct cpu cpu = cpu_of("broadwell_ult");

	(void)state;
	assert_int_equal(probe(&cpu), 0);
	assert_int_equal(vmx_cr0_real(&caps, CR0_CD | CR0_NW | CR0_ET), CR0_ET | CR0_NE);
	assert_int_equal(vmx_cr0_real(&caps, CR0_PE | CR0_PG), CR0_PE | CR0_PG | CR0_ET | CR0_NE);
	assert_int_equal(vmx_cr0_guest_owned(&caps), CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM);
	assert_int_equal(vmx_cr4_real(&caps, CR4_PAE), CR4_PAE | CR4_MCE | CR4_VMXE);
}

static bool passes(const u8 *map, u32 msr, bool write)
{
	const u8 *p = map + (write ? 2048 : 0) + (msr >= 0xc0000000 ? 1024 : 0);

	msr &= 0x1fff;
	return !(p[msr / 8] >> (msr % 8) & 1);
}

static void test_msr_bitmap(void **state)
{
	static const struct msr_passthrough rows[] = {
		{MSR_SYSENTER_CS, true, true}, {MSR_LSTAR, true, true},  {0x1fff, true, false},
		{0xc0001fff, false, true},     {0x2000, true, true},     {0x40000010, true, true},
		{0xbfffffff, true, true},      {0xc0002000, true, true},
	};
	u8 map[PAGE_SIZE];
	unsigned i, zero = 0;

	(void)state;
	vmx_msr_bitmap(map, rows, ARRAY_SIZE(rows));
	assert_true(passes(map, MSR_SYSENTER_CS, false) && passes(map, MSR_SYSENTER_CS, true));
	assert_true(passes(map, MSR_LSTAR, false) && passes(map, MSR_LSTAR, true));
	assert_true(passes(map, 0x1fff, false));
	assert_false(passes(map, 0x1fff, true));
	assert_false(passes(map, 0xc0001fff, false));
	assert_true(passes(map, 0xc0001fff, true));
	for (i = 0; i < PAGE_SIZE * 8; i++)
		zero += !(map[i / 8] >> (i % 8) & 1);
	assert_int_equal(zero, 6); /* and nothing else */
	vmx_msr_bitmap(map, NULL, 0);
	for (i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(map[i], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usable_models),
		cmocka_unit_test(test_chosen_is_allowed),
		cmocka_unit_test(test_unusable_models),
		cmocka_unit_test(test_feature_control),
		cmocka_unit_test(test_each_must),
		cmocka_unit_test(test_optional_controls),
		cmocka_unit_test(test_broken_timer),
		cmocka_unit_test(test_ept_capabilities),
		cmocka_unit_test(test_without_true_controls),
		cmocka_unit_test(test_odd_values),
		cmocka_unit_test(test_adjust),
		cmocka_unit_test(test_guest_features),
		cmocka_unit_test(test_control_registers),
		cmocka_unit_test(test_msr_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
