/* SPDX-License-Identifier: MIT */
/*
 * What the log is told when something goes wrong: the guest's whole state, why an instruction failed, which
 * rules a refused state breaks. Called by vmx.c and, through backend.h, by the core. SDM vol. 3
 * "VM-Instruction Error Numbers", "VM-Entry Failures During or After Loading Guest State".
 */
#include <arch/insn.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/log.h>
#include <vmm/vm.h>

static unsigned long long rd(u64 field)
{
	return vmread(field);
}

static unsigned long long reg(struct vcpu *v, enum vreg r)
{
	return vmx_reg_get(v, r);
}

static void dump_segments(struct vcpu *v)
{
	static const char names[][5] = {"es", "cs",   "ss", "ds",   "fs",
					"gs", "ldtr", "tr", "gdtr", "idtr"};
	struct segment s;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		vmx_seg_get(v, (enum vseg)i, &s);
		log_err("  %-4s %04x base %016llx limit %08x access %05x", names[i], s.selector,
			(unsigned long long)s.base, s.limit, s.attr);
	}
}

void vmx_dump(struct vcpu *v)
{
	const u64 *g = v->gpr;

#define R(n) ((unsigned long long)g[n])
	log_err("guest state (VMX): rip %016llx rsp %016llx rflags %08llx cpl %llu",
		reg(v, VREG_RIP), reg(v, VREG_RSP), reg(v, VREG_RFLAGS), reg(v, VREG_CPL));
	log_err("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", R(0), R(3), R(1), R(2));
	log_err("  rsi %016llx rdi %016llx rbp %016llx r8  %016llx", R(6), R(7), R(5), R(8));
	log_err("  r9  %016llx r10 %016llx r11 %016llx r12 %016llx", R(9), R(10), R(11), R(12));
	log_err("  r13 %016llx r14 %016llx r15 %016llx cr2 %016llx", R(13), R(14), R(15),
		reg(v, VREG_CR2));
#undef R
	log_err("  cr0 %08llx (real %08llx) cr3 %016llx cr4 %08llx (real %08llx) efer %llx",
		reg(v, VREG_CR0), rd(VMCS_GUEST_CR0), reg(v, VREG_CR3), reg(v, VREG_CR4),
		rd(VMCS_GUEST_CR4), reg(v, VREG_EFER));
	dump_segments(v);
	log_err("  interruptibility %llx activity %llu pending debug %llx dr7 %llx debugctl %llx",
		rd(VMCS_GUEST_INTERRUPTIBILITY), rd(VMCS_GUEST_ACTIVITY),
		rd(VMCS_GUEST_PENDING_DBG), rd(VMCS_GUEST_DR7), rd(VMCS_GUEST_DEBUGCTL));
	log_err("  exit reason %llx qualification %llx gpa %llx intr %llx vectoring %llx entry intr %llx",
		rd(VMCS_EXIT_REASON), rd(VMCS_EXIT_QUALIFICATION), rd(VMCS_GUEST_PHYSICAL),
		rd(VMCS_EXIT_INTR_INFO), rd(VMCS_VECTORING_INFO), rd(VMCS_ENTRY_INTR_INFO));
	log_err("  controls: pin %llx proc %llx proc2 %llx exit %llx entry %llx eptp %llx",
		rd(VMCS_PIN_CONTROLS), rd(VMCS_PROC_CONTROLS), rd(VMCS_PROC2_CONTROLS),
		rd(VMCS_EXIT_CONTROLS), rd(VMCS_ENTRY_CONTROLS), rd(VMCS_EPT_POINTER));
	log_err("  efer %llx pat %llx sysenter %llx:%llx pdptes %llx %llx %llx %llx",
		rd(VMCS_GUEST_EFER), rd(VMCS_GUEST_PAT), rd(VMCS_GUEST_SYSENTER_CS),
		rd(VMCS_GUEST_SYSENTER_EIP), rd(VMCS_GUEST_PDPTE0), rd(VMCS_GUEST_PDPTE0 + 2),
		rd(VMCS_GUEST_PDPTE0 + 4), rd(VMCS_GUEST_PDPTE0 + 6));
}

static u64 check_read(void *ctx, u32 field)
{
	(void)ctx;
	return vmread(field);
}

static void check_broken(void *ctx, const char *rule)
{
	(void)ctx;
	log_err("  %s", rule);
}

static void log_broken_rules(struct vmx_vcpu *vx)
{
	struct vmx_check c = {.read = check_read, .broken = check_broken, .caps = &vx->caps};

	if (vmx_check_state(&c) == 0)
		log_err("  no rule that Havoc knows is broken");
}

static const char *const insn_errors[] = {
	[1] = "VMCALL in root mode",
	[2] = "VMCLEAR of an address that is no VMCS",
	[3] = "VMCLEAR of the VMXON region",
	[4] = "VMLAUNCH of a VMCS that was launched before",
	[5] = "VMRESUME of a VMCS that was not launched",
	[6] = "VMRESUME after VMXOFF",
	[7] = "the control fields are invalid",
	[8] = "the host-state fields are invalid",
	[9] = "VMPTRLD of an address that is no VMCS",
	[10] = "VMPTRLD of the VMXON region",
	[11] = "VMPTRLD of a VMCS of another revision",
	[12] = "a VMCS field that this CPU does not have",
	[13] = "VMWRITE to a read-only field",
	[15] = "VMXON in VMX operation",
	[26] = "events are blocked by MOV SS",
	[28] = "INVEPT or INVVPID with a wrong operand",
};

/* VMLAUNCH or VMRESUME failed: nothing was entered. */
void vmx_log_insn_failure(struct vmx_vcpu *vx, int failure)
{
	u64 error = failure == 2 ? vmread(VMCS_INSN_ERROR) : 0;
	const char *text = "no VMCS is current";

	if (failure == 2)
		text = error < ARRAY_SIZE(insn_errors) && insn_errors[error] ?
			       insn_errors[error] :
			       "an error that is not known";
	log_err("VM entry failed: VM-instruction error %llu: %s. Broken rules:",
		(unsigned long long)error, text);
	log_broken_rules(vx);
}

/* The guest's state was refused: exit reason with bit 31. */
void vmx_log_entry_failure(struct vmx_vcpu *vx, u32 reason)
{
	const char *text = "an unknown reason";

	switch (reason & REASON_BASIC) {
	case REASON_ENTRY_GUEST:
		text = "the guest's state is invalid";
		break;
	case REASON_ENTRY_MSR:
		text = "an MSR of the load area was refused";
		break;
	case REASON_ENTRY_MCE:
		text = "a machine check came in between";
		break;
	default:
		break;
	}
	log_err("VM entry failed: exit reason 0x%x, qualification %llu: %s. Broken rules:", reason,
		rd(VMCS_EXIT_QUALIFICATION), text);
	log_broken_rules(vx);
}
