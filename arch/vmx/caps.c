/* SPDX-License-Identifier: MIT */
/*
 * PURE: what the CPU's VMX can do, what Havoc asks of it, and what is to be written because of that.
 * vmx.c calls it with the real CPU, the unit test with tables of several CPU models. SDM vol. 3, appendix
 * "VMX Capability Reporting Facility"; for the bits "VM-Execution Control Fields" and its neighbours.
 */
#include <arch/cpuid.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/string.h>
#include <vmm/vm.h>

/* Family, model and stepping in CPUID leaf 1 EAX: no reserved bits, no processor type. */
#define SIGNATURE_CPU (GENMASK(27, 16) | GENMASK(11, 0))

#define OLDEST_CPU "an Intel CPU of the Westmere generation (2010) or later"

enum wish {
	MUST,  /* set; without it Havoc cannot run here */
	MAY,   /* set where there is */
	LATER, /* must exist; set and cleared as the guest goes */
};

struct control_row {
	u8 word; /* enum vmx_word */
	u8 wish;
	u32 bit;
	const char *name; /* of MUST and LATER, for the sentence */
};

/* clang-format off */
static const struct control_row control_rows[] = {
	/* First what old CPUs lack, so that they are told the reason that matters. */
	{ VMX_PROC,  MUST,  PROC_SECONDARY,	"EPT (extended page tables, Intel's second level of address translation)" },
	{ VMX_PROC2, MUST,  PROC2_EPT,		"EPT (extended page tables, Intel's second level of address translation)" },
	{ VMX_PROC2, MUST,  PROC2_UNRESTRICTED,	"unrestricted guest (VMX running real-mode and unpaged code by itself)" },
	{ VMX_PROC2, MAY,   PROC2_VPID,		NULL },
	{ VMX_PROC2, MAY,   PROC2_WBINVD,	NULL },
	{ VMX_PROC2, MAY,   PROC2_RDTSCP,	NULL },
	{ VMX_PROC2, MAY,   PROC2_INVPCID,	NULL },
	{ VMX_PROC2, MAY,   PROC2_XSAVES,	NULL },
	{ VMX_PROC2, MAY,   PROC2_ENCLS,	NULL },
	{ VMX_PIN,   MUST,  PIN_EXT_INTR,	"external-interrupt exiting" },
	{ VMX_PIN,   MUST,  PIN_NMI,		"NMI exiting" },
	{ VMX_PIN,   MUST,  PIN_VIRTUAL_NMI,	"virtual NMIs" },
	{ VMX_PIN,   MAY,   PIN_TIMER,		NULL },
	{ VMX_PROC,  LATER, PROC_INTR_WINDOW,	"interrupt-window exiting" },
	{ VMX_PROC,  LATER, PROC_NMI_WINDOW,	"NMI-window exiting" },
	{ VMX_PROC,  MUST,  PROC_TSC_OFFSET,	"TSC offsetting" },
	{ VMX_PROC,  MUST,  PROC_HLT,		"HLT exiting" },
	{ VMX_PROC,  MUST,  PROC_MWAIT,		"MWAIT exiting" },
	{ VMX_PROC,  MUST,  PROC_RDPMC,		"RDPMC exiting" },
	{ VMX_PROC,  MUST,  PROC_CR8_LOAD,	"CR8-load exiting" },
	{ VMX_PROC,  MUST,  PROC_CR8_STORE,	"CR8-store exiting" },
	{ VMX_PROC,  MUST,  PROC_IO_BITMAPS,	"I/O bitmaps" },
	{ VMX_PROC,  MUST,  PROC_MSR_BITMAPS,	"MSR bitmaps" },
	{ VMX_PROC,  MUST,  PROC_MONITOR,	"MONITOR exiting" },
	{ VMX_EXIT,  MUST,  EXITC_SAVE_DEBUG,	"saving of debug controls" },
	{ VMX_EXIT,  MUST,  EXITC_HOST_64,	"a 64-bit host" },
	{ VMX_EXIT,  MUST,  EXITC_ACK_INTR,	"acknowledging of interrupts on exit" },
	{ VMX_EXIT,  MUST,  EXITC_SAVE_PAT,	"saving of IA32_PAT" },
	{ VMX_EXIT,  MUST,  EXITC_LOAD_PAT,	"loading of IA32_PAT on exit" },
	{ VMX_EXIT,  MUST,  EXITC_SAVE_EFER,	"saving of IA32_EFER" },
	{ VMX_EXIT,  MUST,  EXITC_LOAD_EFER,	"loading of IA32_EFER on exit" },
	{ VMX_EXIT,  MAY,   EXITC_SAVE_TIMER,	"saving of the VMX-preemption timer" },
	{ VMX_ENTRY, MUST,  ENTRYC_LOAD_DEBUG,	"loading of debug controls" },
	{ VMX_ENTRY, LATER, ENTRYC_IA32E,	"64-bit guests" },
	{ VMX_ENTRY, MUST,  ENTRYC_LOAD_PAT,	"loading of IA32_PAT on entry" },
	{ VMX_ENTRY, MUST,  ENTRYC_LOAD_EFER,	"loading of IA32_EFER on entry" },
};

/*
 * Bits that all CPUs demand and that mean nothing to us: SDM, "Reserved Controls and Default Settings", the
 * default1 class. Not in it: CR3-load and CR3-store exiting (bits 15 and 16 of PROC), which CPUs
 * without the TRUE capability MSRs demand, for we have no handler for them.
 */
static const struct {
	u32 msr, true_msr;
	u32 tolerate;
} words[VMX_WORDS] = {
	[VMX_PIN]   = { MSR_VMX_PIN,   MSR_VMX_TRUE_PIN,   0x00000016 },
	[VMX_PROC]  = { MSR_VMX_PROC,  MSR_VMX_TRUE_PROC,  0x04006172 },
	[VMX_EXIT]  = { MSR_VMX_EXIT,  MSR_VMX_TRUE_EXIT,  0x00036dff },
	[VMX_ENTRY] = { MSR_VMX_ENTRY, MSR_VMX_TRUE_ENTRY, 0x000011ff },
	[VMX_PROC2] = { MSR_VMX_PROC2, MSR_VMX_PROC2,	   0 },
};

/* CR4 bits that need nothing of us: the guest owns those that its CPUID offers. DE is one that the core wants to know of. */
static const struct {
	u64 cr4;
	u32 bit;
	u8 word; /* offset in struct vmx_guest_features */
} cr4_rows[] = {
#define F(word) offsetof(struct vmx_guest_features, word)
	{ CR4_VME | CR4_PVI, BIT(1),		F(leaf1_edx) },
	{ CR4_PSE,	     BIT(3),		F(leaf1_edx) },
	{ CR4_TSD,	     CPUID1D_TSC,	F(leaf1_edx) },
	{ CR4_PGE,	     BIT(13),		F(leaf1_edx) },
	{ CR4_OSFXSR,	     CPUID1D_FXSR,	F(leaf1_edx) },
	{ CR4_OSXMMEXCPT,    BIT(25),		F(leaf1_edx) },
	{ CR4_PCIDE,	     CPUID1C_PCID,	F(leaf1_ecx) },
	{ CR4_OSXSAVE,	     CPUID1C_XSAVE,	F(leaf1_ecx) },
	{ CR4_FSGSBASE,	     CPUID7B_FSGSBASE,	F(leaf7_ebx) },
	{ CR4_SMEP,	     CPUID7B_SMEP,	F(leaf7_ebx) },
	{ CR4_SMAP,	     CPUID7B_SMAP,	F(leaf7_ebx) },
	{ CR4_UMIP,	     CPUID7C_UMIP,	F(leaf7_ecx) },
	{ CR4_PKE,	     CPUID7C_PKU,	F(leaf7_ecx) },
};
/* clang-format on */

static u32 guest_word(const struct vmx_guest_features *f, unsigned offset)
{
	return *(const u32 *)((const u8 *)f + offset);
}

bool vmx_caps_adjust(struct vmx_range range, u32 must, u32 wish, u32 tolerate, u32 *value, u32 *bad)
{
	*value = must | (wish & range.may) | range.must;
	*bad = must & ~range.may;
	if (*bad == 0)
		*bad = range.must & ~(must | wish | tolerate);
	return *bad == 0;
}

static int missing(struct backend_problem *problem, const char *what)
{
	fmt_s(problem->text, sizeof(problem->text), "This CPU's VMX has no %s: use " OLDEST_CPU ".",
	      what);
	return -HV_ENODEV;
}

static int probe_features(const struct vmx_source *src, struct vmx_caps *caps, u64 *feature_control,
			  struct backend_problem *problem)
{
	u32 r[4];

	src->cpuid(src->ctx, 1, 0, r);
	if (!(r[CPUID_ECX] & CPUID1C_VMX)) {
		fmt_s(problem->text, sizeof(problem->text),
		      "This CPU has no VMX (Intel VT-x): use " OLDEST_CPU
		      ", or, in a virtual machine, turn on nested virtualisation.");
		return -HV_ENODEV;
	}
	if (!src->rdmsr(src->ctx, MSR_FEATURE_CONTROL, feature_control))
		*feature_control = 0;
	if ((*feature_control & FEATURE_CONTROL_LOCK) &&
	    !(*feature_control & FEATURE_CONTROL_VMX)) {
		fmt_s(problem->text, sizeof(problem->text),
		      "VMX is locked off by the firmware (IA32_FEATURE_CONTROL = 0x%llx): turn on "
		      "\"Intel Virtualization Technology\" in the firmware setup, then switch the "
		      "machine off and on.",
		      (unsigned long long)*feature_control);
		return -HV_ENODEV;
	}
	caps->phys_bits = 36;
	caps->linear_bits = 48;
	src->cpuid(src->ctx, 0x80000000, 0, r);
	if (r[CPUID_EAX] >= 0x80000008) {
		src->cpuid(src->ctx, 0x80000008, 0, r);
		caps->phys_bits = (u8)r[CPUID_EAX];
		caps->linear_bits = (u8)(r[CPUID_EAX] >> 8);
	}
	src->cpuid(src->ctx, 0x80000001, 0, r);
	caps->nx = r[CPUID_EDX] & CPUIDX1D_NX;
	caps->rdtscp = r[CPUID_EDX] & CPUIDX1D_RDTSCP;
	return 0;
}

bool vmx_caps_read(const struct vmx_source *src, struct vmx_caps *caps)
{
	bool ok = src->rdmsr(src->ctx, MSR_VMX_BASIC, &caps->basic) &&
		  src->rdmsr(src->ctx, MSR_VMX_MISC, &caps->misc) &&
		  src->rdmsr(src->ctx, MSR_VMX_CR0_FIXED0, &caps->cr0_fixed0) &&
		  src->rdmsr(src->ctx, MSR_VMX_CR0_FIXED1, &caps->cr0_fixed1) &&
		  src->rdmsr(src->ctx, MSR_VMX_CR4_FIXED0, &caps->cr4_fixed0) &&
		  src->rdmsr(src->ctx, MSR_VMX_CR4_FIXED1, &caps->cr4_fixed1);
	unsigned i;

	for (i = 0; ok && i < VMX_WORDS; i++) {
		u64 v = 0;

		if (i == VMX_PROC2 && !(caps->range[VMX_PROC].may & PROC_SECONDARY))
			break;
		ok = src->rdmsr(src->ctx,
				caps->basic & VMX_BASIC_TRUE ? words[i].true_msr : words[i].msr,
				&v);
		caps->range[i] = (struct vmx_range){.must = (u32)v, .may = (u32)(v >> 32)};
	}
	if (ok && (caps->range[VMX_PROC2].may & (PROC2_EPT | PROC2_VPID)))
		ok = src->rdmsr(src->ctx, MSR_VMX_EPT_VPID_CAP, &caps->ept_vpid);
	return ok;
}

/* What EPT must be able to do beyond being there; and VPID is of use only with a way to invalidate. */
static int check_ept(struct vmx_caps *caps, struct backend_problem *problem)
{
	u64 cap = caps->ept_vpid;

	if (!(cap & EPT_CAP_WALK_4))
		return missing(problem, "four-level EPT");
	if (!(cap & EPT_CAP_WB))
		return missing(problem, "write-back memory for EPT tables");
	if (!(cap & EPT_CAP_INVEPT) || !(cap & (EPT_CAP_INVEPT_ONE | EPT_CAP_INVEPT_ALL)))
		return missing(problem, "INVEPT (flushing of translations)");
	if (!(cap & EPT_CAP_INVVPID) || !(cap & (EPT_CAP_INVVPID_ONE | EPT_CAP_INVVPID_ALL)))
		caps->range[VMX_PROC2].may &= ~PROC2_VPID;
	return 0;
}

static int choose_controls(struct vmx_caps *caps, struct backend_problem *problem)
{
	u32 must[VMX_WORDS] = {0}, wish[VMX_WORDS] = {0}, bad;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(control_rows); i++) {
		const struct control_row *row = &control_rows[i];

		if (row->wish != MAY && !(caps->range[row->word].may & row->bit))
			return missing(problem, row->name);
		if (row->wish == MUST)
			must[row->word] |= row->bit;
		else if (row->wish == MAY)
			wish[row->word] |= row->bit;
	}
	for (i = 0; i < VMX_WORDS; i++) {
		if (vmx_caps_adjust(caps->range[i], must[i], wish[i], words[i].tolerate,
				    &caps->control[i], &bad))
			continue;
		fmt_s(problem->text, sizeof(problem->text),
		      "This CPU's VMX demands controls that Havoc does not know (MSR 0x%x, bits "
		      "0x%x): use " OLDEST_CPU ".",
		      caps->basic & VMX_BASIC_TRUE ? words[i].true_msr : words[i].msr, bad);
		return -HV_ENODEV;
	}
	return 0;
}

/*
 * Steppings whose VMX-preemption timer does not count at the rate that it claims: Nehalem and Westmere, errata AAK139, AAM126,
 * AAN92, AAO80, AAP86, AAT59, AAU65, AAX65, BA86; and one of Ivy Bridge. There the host's own timer does its work.
 */
static bool timer_is_broken(u32 signature)
{
	static const u32 broken[] = {0x106a0, 0x106a1, 0x106a4, 0x106a5, 0x106e5,
				     0x20652, 0x20655, 0x206e6, 0x306a8};

	for (unsigned i = 0; i < ARRAY_SIZE(broken); i++)
		if ((signature & SIGNATURE_CPU) == broken[i])
			return true;
	return false;
}

int vmx_caps_probe(const struct vmx_source *src, struct vmx_caps *caps, u64 *feature_control,
		   struct backend_problem *problem)
{
	u32 r[4];
	int err;

	memset(caps, 0, sizeof(*caps));
	err = probe_features(src, caps, feature_control, problem);
	if (err)
		return err;
	if (!vmx_caps_read(src, caps)) {
		fmt_s(problem->text, sizeof(problem->text),
		      "This CPU says that it has VMX, but its VMX capability MSRs cannot be read: if "
		      "this is a virtual machine, update its hypervisor or turn nested virtualisation on.");
		return -HV_ENODEV;
	}
	if (field_get(VMX_BASIC_SIZE, caps->basic) > PAGE_SIZE)
		return missing(problem, "VMCS of at most 4 KiB");
	src->cpuid(src->ctx, 1, 0, r);
	if (timer_is_broken(r[CPUID_EAX]))
		caps->range[VMX_PIN].may &= ~(u32)PIN_TIMER;
	err = choose_controls(caps, problem);
	if (err)
		return err;
	err = check_ept(caps, problem);
	caps->control[VMX_PROC2] &= caps->range[VMX_PROC2].may;
	return err;
}

/*
 * The secondary controls for one guest: an instruction that its CPUID does not offer stays #UD. RDPID
 * goes with RDTSCP.
 */
u32 vmx_caps_proc2(const struct vmx_caps *caps, const struct vmx_guest_features *f)
{
	u32 value = caps->control[VMX_PROC2];

	if (!(f->leafx1_edx & CPUIDX1D_RDTSCP) && !(f->leaf7_ecx & CPUID7C_RDPID))
		value &= ~PROC2_RDTSCP;
	if (!(f->leaf7_ebx & CPUID7B_INVPCID))
		value &= ~PROC2_INVPCID;
	if (!(f->leafd1_eax & BIT(3)))
		value &= ~PROC2_XSAVES;
	return value | caps->range[VMX_PROC2].must;
}

/* Of CR0 the guest owns what paging and the caches do not hang on, unless the CPU fixes it. */
u64 vmx_cr0_guest_owned(const struct vmx_caps *caps)
{
	return (CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM) & ~caps->cr0_fixed0 & caps->cr0_fixed1;
}

/* CD and NW stay off: a guest that turns its caches off would only slow down. */
u64 vmx_cr0_real(const struct vmx_caps *caps, u64 guest)
{
	u64 fixed0 = caps->cr0_fixed0 & ~(CR0_PE | CR0_PG); /* unrestricted guest */

	return ((guest & ~(CR0_CD | CR0_NW)) | CR0_ET | fixed0) & caps->cr0_fixed1;
}

u64 vmx_cr4_guest_owned(const struct vmx_caps *caps, const struct vmx_guest_features *f)
{
	u64 owned = CR4_PCE; /* RDPMC exits in any case */
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cr4_rows); i++) {
		if (guest_word(f, cr4_rows[i].word) & cr4_rows[i].bit)
			owned |= cr4_rows[i].cr4;
	}
	return owned & ~caps->cr4_fixed0 & caps->cr4_fixed1;
}

/* MCE is always on: with it off, a machine check in the guest would shut the CPU down. */
u64 vmx_cr4_real(const struct vmx_caps *caps, u64 guest)
{
	return (guest | CR4_MCE | caps->cr4_fixed0) & caps->cr4_fixed1;
}

/* Four quarters of the page: reads of low MSRs, of high ones (0xc0000000 on), writes of low, of high. */
void vmx_msr_bitmap(u8 *bitmap, const struct msr_passthrough *msrs, unsigned count)
{
	unsigned i;

	memset(bitmap, 0xff, PAGE_SIZE);
	for (i = 0; i < count; i++) {
		u32 n = msrs[i].msr & 0x1fff;
		u8 *quarter = bitmap;

		if ((msrs[i].msr & ~0x1fffU) == 0xc0000000)
			quarter += 1024;
		else if (msrs[i].msr > 0x1fff)
			continue; /* no bitmap reaches it: it always exits */
		if (msrs[i].read)
			quarter[n / 8] &= (u8) ~(1U << n % 8);
		if (msrs[i].write)
			quarter[2048 + n / 8] &= (u8) ~(1U << n % 8);
	}
}
