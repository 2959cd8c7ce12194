/* SPDX-License-Identifier: MIT */
/*
 * PURE: which features of this CPU's VMX Havoc makes use of, and what it costs where one is missing. Called through
 * vmx_backend by boot/doctor.c, also for CPUs that caps.c refuses. SDM vol. 3, appendix "VMX Capability Reporting Facility".
 */
#include <arch/cpuid.h>
#include <arch/vmx/vmx.h>
#include <vmm/string.h>

#define IN_EPT_CAP VMX_WORDS

/* clang-format off */
static const struct {
	u8 word; /* enum vmx_word, or IN_EPT_CAP */
	bool needed;
	u64 bit;
	const char *name, *lack;
} rows[] = {
	{ VMX_PROC2,  true,  PROC2_EPT,		 "EPT",			"guests cannot be started" },
	{ VMX_PROC2,  true,  PROC2_UNRESTRICTED, "unrestricted guest",	"guests cannot be started" },
	{ IN_EPT_CAP, false, EPT_CAP_2M,	 "EPT pages of 2 MiB",	"more and slower page tables" },
	{ IN_EPT_CAP, false, EPT_CAP_1G,	 "EPT pages of 1 GiB",	"large guests have more page tables" },
	{ VMX_PROC2,  false, PROC2_VPID,	 "VPID",		"each exit empties the TLB" },
	{ VMX_PIN,    false, PIN_TIMER,		 "VMX-preemption timer","a guest's timer costs an interrupt more" },
	{ VMX_PROC2,  false, PROC2_RDTSCP,	 "RDTSCP",		"guests do without RDTSCP and RDPID" },
	{ VMX_PROC2,  false, PROC2_INVPCID,	 "INVPCID",		"guests do without it" },
	{ VMX_PROC2,  false, PROC2_XSAVES,	 "XSAVES",		"guests do without it" },
	{ VMX_PROC2,  false, PROC2_WBINVD,	 "WBINVD exiting",	"a guest's WBINVD delays all of the machine" },
};
/* clang-format on */

unsigned vmx_features(const struct vmx_source *src, struct backend_feature *out, unsigned max)
{
	struct backend_problem problem;
	struct vmx_caps caps;
	u64 feature_control;
	unsigned i;
	u32 r[4];

	src->cpuid(src->ctx, 1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_VMX))
		return 0;
	/* Locked off: it has not come as far. */
	if (vmx_caps_probe(src, &caps, &feature_control, &problem) && !caps.basic)
		vmx_caps_read(src, &caps);
	for (i = 0; i < ARRAY_SIZE(rows) && i < max; i++) {
		u64 word = rows[i].word == IN_EPT_CAP ? caps.ept_vpid :
							caps.range[rows[i].word].may;

		out[i] = (struct backend_feature){.name = rows[i].name,
						  .lack = rows[i].lack,
						  .present = word & rows[i].bit,
						  .needed = rows[i].needed};
	}
	return i;
}
