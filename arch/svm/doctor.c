/* SPDX-License-Identifier: MIT */
/*
 * PURE: which features of this CPU's SVM Havoc makes use of, and what it costs where one is missing. Called through
 * svm_backend by boot/doctor.c, also for CPUs that caps.c refuses. APM vol. 3, CPUID Fn8000_000A "SVM Features".
 */
#include <arch/cpuid.h>

#include "svm.h"

#define LEAF(name) offsetof(struct svm_cpuid, name)

/* clang-format off */
static const struct {
	u8 leaf; /* offset of its four words in struct svm_cpuid */
	u8 reg;
	bool needed;
	u32 bit;
	const char *name, *lack;
} rows[] = {
	{ LEAF(xa), CPUID_EDX, true,  CPUIDSVM_NPT,	    "nested paging",	"guests cannot be started" },
	{ LEAF(x1), CPUID_EDX, false, CPUIDX1D_1GB,	    "pages of 1 GiB",	"large guests have more page tables" },
	{ LEAF(xa), CPUID_EDX, false, CPUIDSVM_FLUSHBYASID, "flush by ASID",	"a flush for one guest takes an ASID more" },
	{ LEAF(xa), CPUID_EDX, false, CPUIDSVM_NRIPS,	    "nRIP save",	"instructions are read again for their length" },
	{ LEAF(xa), CPUID_EDX, false, CPUIDSVM_DECODE,	    "decode assists",	"instructions are read again from the guest" },
	{ LEAF(xa), CPUID_EDX, false, CPUIDSVM_VMCBCLEAN,   "VMCB clean bits",	"each entry loads all of the guest's state" },
	{ LEAF(x1), CPUID_EDX, false, CPUIDX1D_RDTSCP,	    "RDTSCP",		"guests do without it" },
	{ LEAF(l7), CPUID_EBX, false, CPUID7B_INVPCID,	    "INVPCID",		"guests do without it" },
};
/* clang-format on */

unsigned svm_features(const struct svm_cpuid *id, struct backend_feature *out, unsigned max)
{
	unsigned i;

	if (!(id->x1[CPUID_ECX] & CPUIDX1C_SVM))
		return 0;
	for (i = 0; i < ARRAY_SIZE(rows) && i < max; i++) {
		const u32 *leaf = (const u32 *)((const u8 *)id + rows[i].leaf);

		out[i] = (struct backend_feature){.name = rows[i].name,
						  .lack = rows[i].lack,
						  .present = leaf[rows[i].reg] & rows[i].bit,
						  .needed = rows[i].needed};
	}
	return i;
}
