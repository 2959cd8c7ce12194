/* SPDX-License-Identifier: MIT */
/*
 * What this CPU's SVM offers, and the sentence for a CPU that cannot be used. Pure: svm.c reads the CPUID
 * leaves and VM_CR, unit tests hand in those of real models.
 *
 * APM vol. 2 "Enabling SVM"; APM vol. 3 appendix "Obtaining Processor Information Via the CPUID Instruction".
 */
#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>

#include "svm.h"

#define CPUIDX1C_TCE      BIT(17)
#define CPUIDX1D_FFXSR    BIT(25)
#define CPUIDX8B_RDPRU    BIT(4)
#define CPUIDX8B_NO_LMSLE BIT(20) /* EferLmsleUnsupported */
#define CPUIDSVM_SVML     BIT(2)

/* With the host's own four-level tables as the format of the nested ones. */
#define NPT_ADDRESS_BITS 48

struct feature_bit {
	u8 leaf; /* offset of the leaf's four words in struct svm_cpuid */
	u8 reg;
	u64 feature;
	u64 allows;
};

#define LEAF(name) offsetof(struct svm_cpuid, name)

/* CR4 bits that exist only where CPUID says so: APM vol. 2 "CR4 Register". */
static const struct feature_bit cr4_bits[] = {
	{LEAF(l1), CPUID_EDX, BIT(1), CR4_VME | CR4_PVI},
	{LEAF(l1), CPUID_EDX, CPUID1D_TSC, CR4_TSD},
	{LEAF(l1), CPUID_EDX, BIT(2), CR4_DE},
	{LEAF(l1), CPUID_EDX, BIT(3), CR4_PSE},
	{LEAF(l1), CPUID_EDX, BIT(6), CR4_PAE},
	{LEAF(l1), CPUID_EDX, CPUID1D_MCE, CR4_MCE},
	{LEAF(l1), CPUID_EDX, BIT(13), CR4_PGE},
	{LEAF(l1), CPUID_EDX, CPUID1D_FPU, CR4_PCE},
	{LEAF(l1), CPUID_EDX, CPUID1D_FXSR, CR4_OSFXSR},
	{LEAF(l1), CPUID_EDX, BIT(25), CR4_OSXMMEXCPT},
	{LEAF(l1), CPUID_ECX, CPUID1C_PCID, CR4_PCIDE},
	{LEAF(l1), CPUID_ECX, CPUID1C_XSAVE, CR4_OSXSAVE},
	{LEAF(l7), CPUID_EBX, CPUID7B_FSGSBASE, CR4_FSGSBASE},
	{LEAF(l7), CPUID_EBX, CPUID7B_SMEP, CR4_SMEP},
	{LEAF(l7), CPUID_EBX, CPUID7B_SMAP, CR4_SMAP},
	{LEAF(l7), CPUID_ECX, CPUID7C_UMIP, CR4_UMIP},
	{LEAF(l7), CPUID_ECX, CPUID7C_PKU, CR4_PKE},
	{LEAF(l7), CPUID_ECX, BIT(7), CR4_CET},
	{LEAF(l7), CPUID_ECX, CPUID7C_LA57, CR4_LA57},
};

/* EFER bits: APM vol. 2 "Extended Feature Enable Register (EFER)". */
static const struct feature_bit efer_bits[] = {
	{LEAF(x1), CPUID_EDX, CPUIDX1D_SYSCALL, EFER_SCE},
	{LEAF(x1), CPUID_EDX, CPUIDX1D_LM, EFER_LME | EFER_LMA},
	{LEAF(x1), CPUID_EDX, CPUIDX1D_NX, EFER_NXE},
	{LEAF(x1), CPUID_ECX, CPUIDX1C_SVM, EFER_SVME | EFER_LMSLE},
	{LEAF(x1), CPUID_EDX, CPUIDX1D_FFXSR, EFER_FFXSR},
	{LEAF(x1), CPUID_ECX, CPUIDX1C_TCE, EFER_TCE},
};

static u64 valid_bits(const struct svm_cpuid *id, const struct feature_bit *row, unsigned count)
{
	u64 valid = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		const u32 *leaf = (const u32 *)((const u8 *)id + row[i].leaf);

		if (leaf[row[i].reg] & row[i].feature)
			valid |= row[i].allows;
	}
	return valid;
}

static int refuse(struct backend_problem *problem, const char *fmt, u64 value)
{
	fmt_s(problem->text, sizeof(problem->text), fmt, (unsigned long long)value);
	return -HV_ENODEV;
}

/*
 * SVMDIS without LOCK is a switch that cpu_enable() turns; with LOCK only the firmware can, or somebody who has the key.
 */
static int usable(const struct svm_cpuid *id, const u64 *vm_cr, struct backend_problem *problem)
{
	if (!(id->x1[CPUID_ECX] & CPUIDX1C_SVM))
		return refuse(
			problem,
			"This CPU has no SVM (CPUID 0x80000001 ecx = %#llx): use a machine with AMD-V, "
			"or turn it on in the virtual machine's settings.",
			id->x1[CPUID_ECX]);
	if (vm_cr && *vm_cr & VM_CR_SVMDIS && *vm_cr & VM_CR_LOCK)
		return refuse(
			problem,
			"SVM is disabled by the firmware (VM_CR = %#llx): turn on \"SVM Mode\" in the "
			"firmware setup, then switch the machine off and on.",
			*vm_cr);
	if (!(id->xa[CPUID_EDX] & CPUIDSVM_NPT))
		return refuse(
			problem,
			"This CPU has SVM without nested paging (CPUID 0x8000000a edx = %#llx): use a "
			"machine with an AMD CPU of family 10h (2007) or later.",
			id->xa[CPUID_EDX]);
	if (id->xa[CPUID_EBX] < 2)
		return refuse(
			problem,
			"This CPU's SVM offers no address space identifier for a guest (CPUID 0x8000000a "
			"ebx = %#llx): use another machine.",
			id->xa[CPUID_EBX]);
	if (!(id->x1[CPUID_EDX] & CPUIDX1D_LM) || !(id->x1[CPUID_EDX] & CPUIDX1D_NX))
		return refuse(
			problem,
			"This CPU lacks long mode or no-execute pages (CPUID 0x80000001 edx = %#llx): "
			"use another machine.",
			id->x1[CPUID_EDX]);
	return 0;
}

int svm_caps_read(const struct svm_cpuid *id, const u64 *vm_cr, struct svm_caps *caps,
		  struct backend_caps *out, struct backend_problem *problem)
{
	u32 features = id->xa[CPUID_EDX];
	u32 phys_bits = id->x8[CPUID_EAX] & 0xff;
	int err = usable(id, vm_cr, problem);

	if (err)
		return err;
	/* A CPU without the leaf has 36 bits: APM vol. 3 "Processor Capacity Parameters". */
	if (!phys_bits)
		phys_bits = 36;
	*caps = (struct svm_caps){
		.nrips = features & CPUIDSVM_NRIPS,
		.decode_assists = features & CPUIDSVM_DECODE,
		.flush_by_asid = features & CPUIDSVM_FLUSHBYASID,
		.vgif = features & CPUIDSVM_VGIF,
		.rdpru = id->x8[CPUID_EBX] & CPUIDX8B_RDPRU,
		.rdtscp = id->x1[CPUID_EDX] & CPUIDX1D_RDTSCP,
		.phys_bits = (u8)MIN(phys_bits, 52U),
		.asids = id->xa[CPUID_EBX],
		.cr4_valid = valid_bits(id, cr4_bits, ARRAY_SIZE(cr4_bits)),
		.efer_valid = valid_bits(id, efer_bits, ARRAY_SIZE(efer_bits)),
	};
	if (id->x8[CPUID_EBX] & CPUIDX8B_NO_LMSLE)
		caps->efer_valid &= ~EFER_LMSLE;
	*out = (struct backend_caps){
		.large_pages = BIT(0) | BIT(1) | (id->x1[CPUID_EDX] & CPUIDX1D_1GB ? BIT(2) : 0),
		.run_deadline = false,
		.rdtscp = caps->rdtscp,
		.invpcid = id->l7[CPUID_EBX] & CPUID7B_INVPCID,
		.phys_bits = MIN(caps->phys_bits, NPT_ADDRESS_BITS),
	};
	return 0;
}
