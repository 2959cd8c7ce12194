/* SPDX-License-Identifier: MIT */
/*
 * PURE: the guest's half of the VM-entry checks (see check.c, which calls it). SDM vol. 3 "VM Entries":
 * "Checking and Loading Guest State": control registers and MSRs, segments, descriptor tables, RIP and
 * RFLAGS, non-register state, PDPTEs.
 */
#include <arch/regs.h>
#include <arch/vmx/vmx.h>

#define need vmx_check_need

#define DEBUGCTL_KNOWN (GENMASK(1, 0) | GENMASK(15, 6))
#define DEBUGCTL_BTF   BIT(1)

static u64 rd(struct vmx_check *c, u32 field)
{
	return c->read(c->ctx, field);
}

static void check_registers(struct vmx_check *c)
{
	bool long_mode = c->entry & ENTRYC_IA32E;
	u64 except = CR0_NW | CR0_CD | (c->proc2 & PROC2_UNRESTRICTED ? CR0_PE | CR0_PG : 0);

	need(c, vmx_check_fixed(c->cr0, c->caps->cr0_fixed0, c->caps->cr0_fixed1, except),
	     "guest CR0: a bit is not as IA32_VMX_CR0_FIXED0/1 demand");
	need(c, !(c->cr0 & CR0_PG) || (c->cr0 & CR0_PE), "guest CR0.PG is 1 with PE = 0");
	need(c, vmx_check_fixed(c->cr4, c->caps->cr4_fixed0, c->caps->cr4_fixed1, 0),
	     "guest CR4: a bit is not as IA32_VMX_CR4_FIXED0/1 demand");
	need(c, !(c->cr4 & CR4_CET) || (c->cr0 & CR0_WP), "guest CR4.CET is 1 with CR0.WP = 0");
	need(c, !long_mode || ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE)),
	     "an IA-32e mode guest has CR0.PG or CR4.PAE off");
	need(c, long_mode || !(c->cr4 & CR4_PCIDE), "guest CR4.PCIDE is 1 outside IA-32e mode");
	need(c, vmx_check_phys(c, rd(c, VMCS_GUEST_CR3), 1), "guest CR3 is too wide");
	if (c->entry & ENTRYC_LOAD_DEBUG) {
		need(c, (rd(c, VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_KNOWN) == 0,
		     "guest IA32_DEBUGCTL has reserved bits set");
		need(c, rd(c, VMCS_GUEST_DR7) >> 32 == 0, "guest DR7 has bits above 31");
	}
	need(c,
	     vmx_check_canonical(c, rd(c, VMCS_GUEST_SYSENTER_ESP)) &&
		     vmx_check_canonical(c, rd(c, VMCS_GUEST_SYSENTER_EIP)),
	     "guest IA32_SYSENTER_ESP or EIP is not canonical");
	if (c->entry & ENTRYC_LOAD_PAT)
		need(c, vmx_check_pat(rd(c, VMCS_GUEST_PAT)),
		     "guest IA32_PAT has a reserved memory type");
	if (c->entry & ENTRYC_LOAD_EFER) {
		need(c, vmx_check_efer(c, c->efer), "guest IA32_EFER has reserved bits set");
		need(c, !(c->efer & EFER_LMA) == !long_mode,
		     "guest IA32_EFER.LMA differs from the IA-32e mode guest control");
		need(c, !(c->cr0 & CR0_PG) || !(c->efer & EFER_LMA) == !(c->efer & EFER_LME),
		     "guest IA32_EFER.LMA differs from LME with paging on");
	}
}

struct seg {
	u16 selector;
	u32 limit, access, type, dpl;
	u64 base;
	bool usable;
};

static struct seg read_segment(struct vmx_check *c, unsigned i)
{
	struct seg s = {
		.selector = (u16)rd(c, VMCS_GUEST_SELECTOR + 2 * i),
		.limit = (u32)rd(c, VMCS_GUEST_LIMIT + 2 * i),
		.access = (u32)rd(c, VMCS_GUEST_ACCESS + 2 * i),
		.base = rd(c, VMCS_GUEST_BASE + 2 * i),
	};

	s.type = s.access & SEG_ATTR_TYPE;
	s.dpl = (u32)field_get(SEG_ATTR_DPL, s.access);
	s.usable = !(s.access & SEG_ATTR_UNUSABLE);
	return s;
}

/* What holds of every usable segment. */
static void check_common(struct vmx_check *c, const struct seg *s, bool code_or_data)
{
	need(c, !(s->access & SEG_ATTR_S) == !code_or_data,
	     "a guest segment: S is not as the register demands");
	need(c, s->access & SEG_ATTR_P, "a guest segment is usable and not present");
	need(c, (s->access & 0xfffe0f00) == 0, "a guest segment has reserved access rights set");
	need(c, (s->limit & 0xfff) == 0xfff || !(s->access & SEG_ATTR_G),
	     "a guest segment: G is 1 and limit bits 11:0 are not all 1");
	need(c, (s->limit & 0xfff00000) == 0 || (s->access & SEG_ATTR_G),
	     "a guest segment: G is 0 and limit bits 31:20 are not 0");
}

static void check_v8086(struct vmx_check *c)
{
	unsigned i;

	for (i = VSEG_ES; i <= VSEG_GS; i++) {
		struct seg s = read_segment(c, i);

		need(c, s.base == (u64)s.selector << 4,
		     "virtual-8086 mode: a base is not selector * 16");
		need(c, s.limit == 0xffff, "virtual-8086 mode: a limit is not 0xffff");
		need(c, s.access == 0xf3, "virtual-8086 mode: access rights are not 0xf3");
	}
}

static void check_cs_ss(struct vmx_check *c)
{
	struct seg cs = read_segment(c, VSEG_CS), ss = read_segment(c, VSEG_SS);
	bool unrestricted = c->proc2 & PROC2_UNRESTRICTED;

	need(c, cs.usable, "guest CS is unusable");
	check_common(c, &cs, true);
	need(c, cs.base >> 32 == 0, "guest CS: the base has bits above 31");
	need(c, (cs.type & 9) == 9 || (unrestricted && cs.type == 3),
	     "guest CS: the type is no accessed code segment");
	if (cs.type == 3)
		need(c, cs.dpl == 0, "guest CS: DPL is not 0 for a data segment");
	else if (cs.type & 4)
		need(c, cs.dpl <= ss.dpl, "guest CS: DPL of a conforming segment is above SS.DPL");
	else
		need(c, cs.dpl == ss.dpl, "guest CS: DPL differs from SS.DPL");
	need(c,
	     !(c->entry & ENTRYC_IA32E) || !(cs.access & SEG_ATTR_L) || !(cs.access & SEG_ATTR_DB),
	     "guest CS: both L and D are 1");
	if (ss.usable) {
		check_common(c, &ss, true);
		need(c, ss.type == 3 || ss.type == 7,
		     "guest SS: the type is no accessed writable data segment");
		need(c, ss.base >> 32 == 0, "guest SS: the base has bits above 31");
	}
	if (!unrestricted) {
		need(c, (ss.selector & 3) == (cs.selector & 3), "guest SS: RPL differs from CS");
		need(c, ss.dpl == (ss.selector & 3U), "guest SS: DPL differs from RPL");
	}
	need(c, ss.dpl == 0 || (cs.type != 3 && (c->cr0 & CR0_PE)),
	     "guest SS: DPL is not 0 in real mode or with a data segment in CS");
}

static void check_data(struct vmx_check *c)
{
	static const u8 regs[] = {VSEG_DS, VSEG_ES, VSEG_FS, VSEG_GS};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		struct seg s = read_segment(c, regs[i]);

		if (!s.usable)
			continue;
		check_common(c, &s, true);
		need(c, (s.type & 1) && (!(s.type & 8) || (s.type & 2)),
		     "guest DS, ES, FS or GS: the type is not accessed and readable");
		need(c,
		     (c->proc2 & PROC2_UNRESTRICTED) || s.type > 11 || s.dpl >= (s.selector & 3U),
		     "guest DS, ES, FS or GS: DPL is below RPL");
		if (regs[i] == VSEG_DS || regs[i] == VSEG_ES)
			need(c, s.base >> 32 == 0, "guest DS or ES: the base has bits above 31");
	}
}

static void check_system(struct vmx_check *c)
{
	struct seg tr = read_segment(c, VSEG_TR), ldtr = read_segment(c, VSEG_LDTR);
	unsigned i;

	need(c, tr.usable, "guest TR is unusable");
	check_common(c, &tr, false);
	need(c, !(tr.selector & 4), "guest TR: the selector has TI set");
	need(c, tr.type == 11 || (tr.type == 3 && !(c->entry & ENTRYC_IA32E)),
	     "guest TR: the type is no busy TSS of the guest's mode");
	need(c, vmx_check_canonical(c, tr.base), "guest TR: the base is not canonical");
	if (ldtr.usable) {
		check_common(c, &ldtr, false);
		need(c, !(ldtr.selector & 4), "guest LDTR: the selector has TI set");
		need(c, ldtr.type == 2, "guest LDTR: the type is not LDT");
		need(c, vmx_check_canonical(c, ldtr.base), "guest LDTR: the base is not canonical");
	}
	for (i = VSEG_FS; i <= VSEG_GS; i++)
		need(c, vmx_check_canonical(c, rd(c, VMCS_GUEST_BASE + 2 * i)),
		     "guest FS or GS: the base is not canonical");
	for (i = VSEG_GDTR; i <= VSEG_IDTR; i++) {
		need(c, vmx_check_canonical(c, rd(c, VMCS_GUEST_BASE + 2 * i)),
		     "guest GDTR or IDTR: the base is not canonical");
		need(c, rd(c, VMCS_GUEST_LIMIT + 2 * i) <= 0xffff,
		     "guest GDTR or IDTR: the limit has bits above 15");
	}
}

static void check_rip_rflags(struct vmx_check *c)
{
	u64 rip = rd(c, VMCS_GUEST_RIP);
	bool code64 = (c->entry & ENTRYC_IA32E) && (read_segment(c, VSEG_CS).access & SEG_ATTR_L);
	u64 top = rip >> c->caps->linear_bits;

	if (code64)
		need(c, top == 0 || top == ~0ULL >> c->caps->linear_bits,
		     "guest RIP: bits beyond the linear-address width differ");
	else
		need(c, rip >> 32 == 0, "guest RIP has bits above 31 outside 64-bit mode");
	need(c,
	     (c->rflags & (GENMASK(63, 22) | BIT(15) | BIT(5) | BIT(3))) == 0 &&
		     (c->rflags & RFLAGS_ONE),
	     "guest RFLAGS: reserved bits are not as they must be");
	need(c, !(c->rflags & RFLAGS_VM) || (!(c->entry & ENTRYC_IA32E) && (c->cr0 & CR0_PE)),
	     "guest RFLAGS.VM is 1 in IA-32e or real mode");
	if ((c->intr_info & INTR_VALID) && field_get(INTR_TYPE, c->intr_info) == INTR_EXT)
		need(c, c->rflags & RFLAGS_IF,
		     "an external interrupt is injected with RFLAGS.IF = 0");
}

/* Activity: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI. */
static void check_activity(struct vmx_check *c, u32 block)
{
	u64 activity = rd(c, VMCS_GUEST_ACTIVITY);
	u32 type = (u32)field_get(INTR_TYPE, c->intr_info), vector = c->intr_info & INTR_VECTOR;
	bool inject = c->intr_info & INTR_VALID;

	need(c, activity == 0 || (activity <= 3 && (c->caps->misc & BIT(5 + activity))),
	     "guest activity state: not one that the CPU has");
	need(c,
	     activity != 1 || field_get(SEG_ATTR_DPL, rd(c, VMCS_GUEST_ACCESS + 2 * VSEG_SS)) == 0,
	     "guest activity state is HLT with SS.DPL above 0");
	need(c, activity == 0 || !(block & (GUEST_BLOCK_STI | GUEST_BLOCK_MOV_SS)),
	     "guest activity state is not active with blocking by STI or MOV SS");
	if (!inject || activity == 0)
		return;
	need(c, activity != 3, "an event is injected into a guest that waits for a SIPI");
	need(c, activity != 2 || type == INTR_NMI || (type == INTR_HARD && vector == VEC_MC),
	     "an event other than NMI or #MC is injected into a shut-down guest");
	need(c,
	     activity != 1 || type == INTR_EXT || type == INTR_NMI ||
		     (type == INTR_HARD && (vector == VEC_DB || vector == VEC_MC)),
	     "an event other than an interrupt, #DB or #MC is injected into a halted guest");
}

static void check_non_register(struct vmx_check *c)
{
	u32 block = (u32)rd(c, VMCS_GUEST_INTERRUPTIBILITY);
	u64 pending = rd(c, VMCS_GUEST_PENDING_DBG);
	u32 type = (u32)field_get(INTR_TYPE, c->intr_info);
	bool inject = c->intr_info & INTR_VALID;
	bool step = (c->rflags & RFLAGS_TF) && !(rd(c, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);
	u32 shadow = block & (GUEST_BLOCK_STI | GUEST_BLOCK_MOV_SS);

	check_activity(c, block);
	need(c, (block & ~0xfU) == 0, "guest interruptibility: reserved bits are set");
	need(c, shadow != (GUEST_BLOCK_STI | GUEST_BLOCK_MOV_SS),
	     "guest interruptibility: blocking by both STI and MOV SS");
	need(c, !(block & GUEST_BLOCK_STI) || (c->rflags & RFLAGS_IF),
	     "guest interruptibility: blocking by STI with RFLAGS.IF = 0");
	need(c, !inject || type != INTR_EXT || !shadow,
	     "an external interrupt is injected under blocking by STI or MOV SS");
	need(c, !inject || type != INTR_NMI || !shadow,
	     "an NMI is injected under blocking by STI or MOV SS");
	need(c, !(block & GUEST_BLOCK_SMI), "guest interruptibility: blocking by SMI outside SMM");
	need(c,
	     !inject || type != INTR_NMI || !(c->pin & PIN_VIRTUAL_NMI) ||
		     !(block & GUEST_BLOCK_NMI),
	     "an NMI is injected under blocking by NMI");
	need(c, (pending & ~(GENMASK(3, 0) | BIT(12) | BIT(14) | BIT(16))) == 0,
	     "guest pending debug exceptions: reserved bits are set");
	if (shadow || rd(c, VMCS_GUEST_ACTIVITY) == 1)
		need(c, !(pending & PENDING_DBG_BS) == !step,
		     "guest pending debug exceptions: BS differs from RFLAGS.TF under a shadow");
	need(c, rd(c, VMCS_LINK_POINTER) == ~0ULL, "the VMCS link pointer is not all ones");
}

static void check_pdptes(struct vmx_check *c)
{
	u64 reserved = BIT(1) | BIT(2) | GENMASK(8, 5) | GENMASK(63, c->caps->phys_bits);
	unsigned i;

	if (!(c->proc2 & PROC2_EPT) || !(c->cr0 & CR0_PG) || !(c->cr4 & CR4_PAE) ||
	    (c->entry & ENTRYC_IA32E))
		return;
	for (i = 0; i < 4; i++) {
		u64 pdpte = rd(c, VMCS_GUEST_PDPTE0 + 2 * i);

		need(c, !(pdpte & 1) || (pdpte & reserved) == 0,
		     "a guest PDPTE has reserved bits set");
	}
}

void vmx_check_guest(struct vmx_check *c)
{
	check_registers(c);
	if (c->rflags & RFLAGS_VM) {
		check_v8086(c);
	} else {
		check_cs_ss(c);
		check_data(c);
	}
	check_system(c);
	check_rip_rflags(c);
	check_non_register(c);
	check_pdptes(c);
}
