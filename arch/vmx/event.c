/* SPDX-License-Identifier: MIT */
/*
 * Events: what blocks them, their injection, the windows in which the guest can take them, and the end of an
 * emulated instruction. The core calls these through backend.h. SDM vol. 3 "Guest Non-Register State", "Event
 * Injection", "Interrupt-Window Exiting and Virtual-Interrupt Delivery".
 */
#include <arch/insn.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <vmm/assert.h>
#include <vmm/vm.h>

/* RF covers one instruction; TF traps after it. IA32_DEBUGCTL.BTF is never set: the guest cannot write that MSR. */
static void end_instruction(u64 rflags)
{
	if (rflags & RFLAGS_RF)
		vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	if (rflags & RFLAGS_TF)
		vmwrite(VMCS_GUEST_PENDING_DBG, vmread(VMCS_GUEST_PENDING_DBG) | PENDING_DBG_BS);
}

void vmx_advance(struct vcpu *v, unsigned len)
{
	u64 rip = vmread(VMCS_GUEST_RIP), next = rip + len;
	u64 rflags = vmread(VMCS_GUEST_RFLAGS);
	u32 block = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);

	(void)v;
	/* EIP wraps at 4 GiB outside 64-bit code. */
	if (unlikely((rip ^ next) >> 32) &&
	    !(vmread(VMCS_GUEST_ACCESS + 2 * VSEG_CS) & SEG_ATTR_L &&
	      vmread(VMCS_GUEST_EFER) & EFER_LMA))
		next = (u32)next;
	vmwrite(VMCS_GUEST_RIP, next);
	if (unlikely(block & (GUEST_BLOCK_STI | GUEST_BLOCK_MOV_SS)))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			block & ~(u32)(GUEST_BLOCK_STI | GUEST_BLOCK_MOV_SS));
	if (unlikely(rflags & (RFLAGS_RF | RFLAGS_TF)))
		end_instruction(rflags);
}

void vmx_hit(struct vcpu *v, u32 breakpoints)
{
	(void)v;
	vmwrite(VMCS_GUEST_PENDING_DBG,
		vmread(VMCS_GUEST_PENDING_DBG) | PENDING_DBG_ENABLED | breakpoints);
}

u32 vmx_blocked(struct vcpu *v)
{
	u32 block = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY), out = 0;

	(void)v;
	if (!(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF))
		out |= BLOCK_IF;
	if (block & GUEST_BLOCK_STI)
		out |= BLOCK_STI;
	if (block & GUEST_BLOCK_MOV_SS)
		out |= BLOCK_MOV_SS;
	if (block & GUEST_BLOCK_NMI)
		out |= BLOCK_NMI;
	/* The CPU takes the valid bit away when the guest exits. */
	if (vmread(VMCS_ENTRY_INTR_INFO) & INTR_VALID)
		out |= BLOCK_EVENT;
	/*
	 * A debug trap of the previous instruction comes before them, as MOV SS does, and an entry that injects something would lose it
	 * (SDM vol. 3 "Delivery of Pending Debug Exceptions after VM Entry").
	 */
	if (unlikely(vmread(VMCS_GUEST_PENDING_DBG) & (PENDING_DBG_BS | PENDING_DBG_ENABLED)))
		out |= BLOCK_MOV_SS;
	return out;
}

/*
 * An NMI or exception ends the shadows by being delivered, and the entry checks want them ended; an NMI whose
 * delivery an exit interrupted has already blocked NMIs, which its second injection may not find.
 */
static void end_blocking(u8 type)
{
	u32 block = (u32)vmread(VMCS_GUEST_INTERRUPTIBILITY);
	u32 end = GUEST_BLOCK_STI | GUEST_BLOCK_MOV_SS;

	if (type == EVENT_NMI)
		end |= GUEST_BLOCK_NMI;
	if (block & end)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, block & ~end);
}

void vmx_inject(struct vcpu *v, const struct event *event)
{
	u32 info = vmx_event_to_info(event, vmread(VMCS_GUEST_CR0) & CR0_PE);

	(void)v;
	hv_assert(info != 0);
	if (event->type == EVENT_NMI || event->type == EVENT_EXCEPTION)
		end_blocking(event->type);
	if (info & INTR_HAS_ERROR)
		vmwrite(VMCS_ENTRY_INTR_ERROR, event->error & 0xffff);
	if (event->type >= EVENT_SOFT_INT)
		vmwrite(VMCS_ENTRY_INSN_LEN, event->insn_len);
	vmwrite(VMCS_ENTRY_INTR_INFO, info);
}

void vmx_window(struct vcpu *v, u32 windows)
{
	struct vmx_vcpu *vx = v->backend;
	u32 proc = vx->proc & ~(u32)(PROC_INTR_WINDOW | PROC_NMI_WINDOW);

	if (windows & WINDOW_INTR)
		proc |= PROC_INTR_WINDOW;
	if (windows & WINDOW_NMI)
		proc |= PROC_NMI_WINDOW;
	if (proc != vx->proc) {
		vx->proc = proc;
		vmwrite(VMCS_PROC_CONTROLS, proc);
	}
}
