/* SPDX-License-Identifier: MIT */
/*
 * PURE: the checks that a CPU makes before it enters a guest, in words: after a failed VM entry vmx.c
 * logs which rules the state breaks, for the CPU itself does not say. SDM vol. 3 "VM Entries": "Checks on
 * VMX Controls and Host-State Area". The guest's half stands in check_guest.c.
 */
#include <arch/regs.h>
#include <arch/vmx/vmx.h>

#define need vmx_check_need

void vmx_check_need(struct vmx_check *c, bool holds, const char *rule)
{
	if (holds)
		return;
	c->count++;
	c->broken(c->ctx, rule);
}

bool vmx_check_canonical(const struct vmx_check *c, u64 address)
{
	unsigned shift = 64 - c->caps->linear_bits;

	return (u64)((s64)(address << shift) >> shift) == address;
}

/* A physical address that is aligned and within the CPU's width. */
bool vmx_check_phys(const struct vmx_check *c, u64 address, u64 align)
{
	return IS_ALIGNED(address, align) && address >> c->caps->phys_bits == 0;
}

/* Each of the eight bytes is 0 (UC), 1 (WC), 4 (WT), 5 (WP), 6 (WB) or 7 (UC-). */
bool vmx_check_pat(u64 pat)
{
	unsigned i;

	for (i = 0; i < 8; i++, pat >>= 8) {
		u8 type = (u8)pat;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool vmx_check_efer(const struct vmx_check *c, u64 efer)
{
	u64 known = EFER_SCE | EFER_LME | EFER_LMA;

	if (c->caps->nx)
		known |= EFER_NXE;
	return (efer & ~known) == 0;
}

bool vmx_check_fixed(u64 value, u64 fixed0, u64 fixed1, u64 except)
{
	return ((fixed0 & ~value) & ~except) == 0 && ((value & ~fixed1) & ~except) == 0;
}

static void check_words(struct vmx_check *c)
{
	static const char *const rules[VMX_WORDS] = {
		[VMX_PIN] = "pin-based controls: a bit is not as the capability MSR demands",
		[VMX_PROC] =
			"primary processor-based controls: a bit is not as the capability MSR demands",
		[VMX_EXIT] = "VM-exit controls: a bit is not as the capability MSR demands",
		[VMX_ENTRY] = "VM-entry controls: a bit is not as the capability MSR demands",
		[VMX_PROC2] =
			"secondary processor-based controls: a bit is not as the capability MSR demands",
	};
	const u32 value[VMX_WORDS] = {[VMX_PIN] = c->pin,
				      [VMX_PROC] = c->proc,
				      [VMX_EXIT] = c->exit,
				      [VMX_ENTRY] = c->entry,
				      [VMX_PROC2] = c->proc2};
	unsigned i;

	for (i = 0; i < VMX_WORDS; i++) {
		const struct vmx_range *r = &c->caps->range[i];

		if (i != VMX_PROC2 || (c->proc & PROC_SECONDARY))
			need(c, (r->must & ~value[i]) == 0 && (value[i] & ~r->may) == 0, rules[i]);
	}
}

static u64 rd(struct vmx_check *c, u32 field)
{
	return c->read(c->ctx, field);
}

static void check_execution(struct vmx_check *c)
{
	need(c, rd(c, VMCS_CR3_TARGET_COUNT) <= field_get(VMX_MISC_CR3_TARGETS, c->caps->misc),
	     "the CR3-target count is higher than IA32_VMX_MISC allows");
	if (c->proc & PROC_IO_BITMAPS) {
		need(c, vmx_check_phys(c, rd(c, VMCS_IO_BITMAP_A), PAGE_SIZE),
		     "the address of I/O bitmap A is not page-aligned or too wide");
		need(c, vmx_check_phys(c, rd(c, VMCS_IO_BITMAP_B), PAGE_SIZE),
		     "the address of I/O bitmap B is not page-aligned or too wide");
	}
	if (c->proc & PROC_MSR_BITMAPS)
		need(c, vmx_check_phys(c, rd(c, VMCS_MSR_BITMAP), PAGE_SIZE),
		     "the address of the MSR bitmap is not page-aligned or too wide");
	if (c->proc & PROC_TPR_SHADOW)
		need(c, vmx_check_phys(c, rd(c, VMCS_VIRTUAL_APIC_ADDR), PAGE_SIZE),
		     "the virtual-APIC address is not page-aligned or too wide");
	else
		need(c, !(c->proc2 & (PROC2_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTR)),
		     "APIC virtualization is on without a TPR shadow");
	need(c, (c->pin & PIN_NMI) || !(c->pin & PIN_VIRTUAL_NMI),
	     "virtual NMIs are on without NMI exiting");
	need(c, (c->pin & PIN_VIRTUAL_NMI) || !(c->proc & PROC_NMI_WINDOW),
	     "NMI-window exiting is on without virtual NMIs");
	need(c, !(c->proc2 & PROC2_X2APIC) || !(c->proc2 & PROC2_APIC_ACCESS),
	     "x2APIC mode and APIC accesses are both virtualized");
	if (c->proc2 & PROC2_APIC_ACCESS)
		need(c, vmx_check_phys(c, rd(c, VMCS_APIC_ACCESS_ADDR), PAGE_SIZE),
		     "the APIC-access address is not page-aligned or too wide");
	need(c, !(c->proc2 & PROC2_VIRTUAL_INTR) || (c->pin & PIN_EXT_INTR),
	     "virtual-interrupt delivery is on without external-interrupt exiting");
	need(c,
	     !(c->pin & PIN_POSTED_INTR) ||
		     ((c->proc2 & PROC2_VIRTUAL_INTR) && (c->exit & EXITC_ACK_INTR)),
	     "posted interrupts are on without virtual-interrupt delivery or acknowledge on exit");
	need(c, !(c->proc2 & PROC2_VPID) || rd(c, VMCS_VPID) != 0,
	     "VPID is enabled and the VPID is 0");
}

static void check_ept(struct vmx_check *c)
{
	u64 eptp = rd(c, VMCS_EPT_POINTER), cap = c->caps->ept_vpid;

	if (!(c->proc2 & PROC2_EPT)) {
		need(c, !(c->proc2 & (PROC2_UNRESTRICTED | PROC2_MBEC)),
		     "unrestricted guest or mode-based execute control is on without EPT");
		need(c, !(c->proc2 & PROC2_PML), "page-modification logging is on without EPT");
		return;
	}
	need(c, ((eptp & 7) == 6 && (cap & EPT_CAP_WB)) || ((eptp & 7) == 0 && (cap & EPT_CAP_UC)),
	     "EPTP: the memory type is not one that the CPU has");
	need(c, (eptp & 0x38) == EPTP_WALK_4 && (cap & EPT_CAP_WALK_4),
	     "EPTP: the page-walk length is not one that the CPU has");
	need(c, !(eptp & BIT(6)) || (cap & EPT_CAP_ACCESSED),
	     "EPTP: accessed and dirty flags are on and the CPU has none");
	need(c, (eptp & 0xf80) == 0 && vmx_check_phys(c, eptp & ~0xfffULL, PAGE_SIZE),
	     "EPTP: reserved bits are set");
	if (c->proc2 & PROC2_PML)
		need(c, vmx_check_phys(c, rd(c, VMCS_PML_ADDR), PAGE_SIZE),
		     "the PML address is not page-aligned or too wide");
}

static void check_msr_area(struct vmx_check *c, u32 count, u32 address, const char *rule)
{
	if (rd(c, count) != 0)
		need(c, vmx_check_phys(c, rd(c, address), 16), rule);
}

/* Vectors of exceptions that push an error code. #CP is left out: no guest of ours has CET. */
static bool has_error_code(u32 vector)
{
	return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

static void check_injection(struct vmx_check *c)
{
	u32 info = c->intr_info, type = (u32)field_get(INTR_TYPE, info),
	    vector = info & INTR_VECTOR;
	bool error = info & INTR_HAS_ERROR;
	bool may_push = type == INTR_HARD &&
			(!(c->proc2 & PROC2_UNRESTRICTED) || (c->cr0 & CR0_PE));

	if (!(info & INTR_VALID))
		return;
	need(c, type != 1 && type != INTR_OTHER, "injection: the interruption type is reserved");
	need(c, type != INTR_NMI || vector == VEC_NMI,
	     "injection: an NMI has a vector other than 2");
	need(c, type != INTR_HARD || vector <= 31, "injection: an exception has a vector above 31");
	if (!may_push || !(c->caps->basic & VMX_BASIC_ANY_ERROR))
		need(c, error == (may_push && has_error_code(vector)),
		     "injection: the error code is not as vector, type and mode demand");
	need(c, (info & GENMASK(30, 12)) == 0, "injection: reserved bits are set");
	if (error)
		need(c, (rd(c, VMCS_ENTRY_INTR_ERROR) & GENMASK(31, 16)) == 0,
		     "injection: the error code has bits above 15");
	if (type >= INTR_SOFT && type <= INTR_SOFT_EXC) {
		u64 len = rd(c, VMCS_ENTRY_INSN_LEN);

		need(c, len <= 15 && (len != 0 || (c->caps->misc & VMX_MISC_INSN_LEN_0)),
		     "injection: the instruction length of a software event is not 1 to 15");
	}
}

static void check_exit_entry(struct vmx_check *c)
{
	need(c, (c->pin & PIN_TIMER) || !(c->exit & EXITC_SAVE_TIMER),
	     "the VMX-preemption timer is saved but not active");
	check_msr_area(c, VMCS_EXIT_MSR_STORE_COUNT, VMCS_EXIT_MSR_STORE_ADDR,
		       "the VM-exit MSR-store address is not 16-byte-aligned or too wide");
	check_msr_area(c, VMCS_EXIT_MSR_LOAD_COUNT, VMCS_EXIT_MSR_LOAD_ADDR,
		       "the VM-exit MSR-load address is not 16-byte-aligned or too wide");
	check_msr_area(c, VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_MSR_LOAD_ADDR,
		       "the VM-entry MSR-load address is not 16-byte-aligned or too wide");
	need(c, !(c->entry & (ENTRYC_SMM | ENTRYC_DUAL_SMM)),
	     "an entry to SMM is asked for outside SMM");
}

static void check_host_registers(struct vmx_check *c)
{
	u64 cr0 = rd(c, VMCS_HOST_CR0), cr4 = rd(c, VMCS_HOST_CR4), efer = rd(c, VMCS_HOST_EFER);

	need(c, vmx_check_fixed(cr0, c->caps->cr0_fixed0, c->caps->cr0_fixed1, 0),
	     "host CR0: a bit is not as IA32_VMX_CR0_FIXED0/1 demand");
	need(c, vmx_check_fixed(cr4, c->caps->cr4_fixed0, c->caps->cr4_fixed1, 0),
	     "host CR4: a bit is not as IA32_VMX_CR4_FIXED0/1 demand");
	need(c, !(cr4 & CR4_CET) || (cr0 & CR0_WP), "host CR4.CET is 1 with CR0.WP = 0");
	need(c, vmx_check_phys(c, rd(c, VMCS_HOST_CR3), 1), "host CR3 is too wide");
	need(c,
	     vmx_check_canonical(c, rd(c, VMCS_HOST_SYSENTER_ESP)) &&
		     vmx_check_canonical(c, rd(c, VMCS_HOST_SYSENTER_EIP)),
	     "host IA32_SYSENTER_ESP or EIP is not canonical");
	if (c->exit & EXITC_LOAD_PAT)
		need(c, vmx_check_pat(rd(c, VMCS_HOST_PAT)),
		     "host IA32_PAT has a reserved memory type");
	if (c->exit & EXITC_LOAD_EFER) {
		need(c, vmx_check_efer(c, efer), "host IA32_EFER has reserved bits set");
		need(c,
		     !(efer & EFER_LMA) == !(c->exit & EXITC_HOST_64) &&
			     !(efer & EFER_LME) == !(c->exit & EXITC_HOST_64),
		     "host IA32_EFER.LMA and LME differ from the host address-space size");
	}
	need(c, c->exit & EXITC_HOST_64, "the host address-space size is not 64 bits");
	need(c, cr4 & CR4_PAE, "host CR4.PAE is 0");
	need(c, vmx_check_canonical(c, rd(c, VMCS_HOST_RIP)), "host RIP is not canonical");
}

static void check_host_segments(struct vmx_check *c)
{
	static const u32 selectors[] = {VMCS_HOST_ES, VMCS_HOST_CS, VMCS_HOST_SS, VMCS_HOST_DS,
					VMCS_HOST_FS, VMCS_HOST_GS, VMCS_HOST_TR};
	static const u32 bases[] = {VMCS_HOST_FS_BASE, VMCS_HOST_GS_BASE, VMCS_HOST_TR_BASE,
				    VMCS_HOST_GDTR_BASE, VMCS_HOST_IDTR_BASE};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(selectors); i++)
		need(c, (rd(c, selectors[i]) & 7) == 0, "a host selector has RPL or TI set");
	need(c, rd(c, VMCS_HOST_CS) != 0, "the host CS selector is 0");
	need(c, rd(c, VMCS_HOST_TR) != 0, "the host TR selector is 0");
	for (i = 0; i < ARRAY_SIZE(bases); i++)
		need(c, vmx_check_canonical(c, rd(c, bases[i])),
		     "a host base (FS, GS, TR, GDTR, IDTR) is not canonical");
}

unsigned vmx_check_state(struct vmx_check *c)
{
	c->count = 0;
	c->pin = (u32)rd(c, VMCS_PIN_CONTROLS);
	c->proc = (u32)rd(c, VMCS_PROC_CONTROLS);
	c->proc2 = c->proc & PROC_SECONDARY ? (u32)rd(c, VMCS_PROC2_CONTROLS) : 0;
	c->exit = (u32)rd(c, VMCS_EXIT_CONTROLS);
	c->entry = (u32)rd(c, VMCS_ENTRY_CONTROLS);
	c->intr_info = (u32)rd(c, VMCS_ENTRY_INTR_INFO);
	c->cr0 = rd(c, VMCS_GUEST_CR0);
	c->cr4 = rd(c, VMCS_GUEST_CR4);
	c->rflags = rd(c, VMCS_GUEST_RFLAGS);
	c->efer = rd(c, VMCS_GUEST_EFER);
	check_words(c);
	check_execution(c);
	check_ept(c);
	check_exit_entry(c);
	check_injection(c);
	check_host_registers(c);
	check_host_segments(c);
	vmx_check_guest(c);
	return c->count;
}
