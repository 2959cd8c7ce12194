/* SPDX-License-Identifier: MIT */
/*
 * arch/vmx/check.c and check_guest.c: good states break no rule; then one field at a time is spoilt, and
 * the rule that must notice it, and no unrelated one, is reported.
 */
/* SOURCES: arch/vmx/check.c arch/vmx/check_guest.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arch/regs.h>
#include <arch/vmx/vmx.h>
#include <stdio.h>
#include <string.h>

static u64 vmcs[0x8000];
static struct vmx_caps caps;
static const char *broken[64];
static unsigned broken_count;

static u64 field_read(void *ctx, u32 field)
{
	(void)ctx;
	assert_true(field < ARRAY_SIZE(vmcs));
	return vmcs[field];
}

static void note_broken(void *ctx, const char *rule)
{
	(void)ctx;
	assert_true(rule != NULL && rule[0] != 0);
	if (broken_count < ARRAY_SIZE(broken))
		broken[broken_count] = rule;
	broken_count++;
}

static unsigned check(void)
{
	struct vmx_check c = {.read = field_read, .broken = note_broken, .caps = &caps};

	unsigned count;

	broken_count = 0;
	count = vmx_check_state(&c);
	assert_int_equal(count, broken_count);
	return count;
}

static void set_seg(unsigned i, u16 selector, u64 base, u32 limit, u32 access)
{
	vmcs[VMCS_GUEST_SELECTOR + 2 * i] = selector;
	vmcs[VMCS_GUEST_BASE + 2 * i] = base;
	vmcs[VMCS_GUEST_LIMIT + 2 * i] = limit;
	if (i <= VSEG_TR)
		vmcs[VMCS_GUEST_ACCESS + 2 * i] = access;
}

static void good_caps(void)
{
	caps = (struct vmx_caps){
		.basic = 0xd810000000002b,
		.misc = 0x400401e0, /* HLT, shutdown, SIPI; 4 CR3 targets; length 0 */
		.ept_vpid = 0xf0106334141 & ~EPT_CAP_ACCESSED,
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0xbf27ff,
		.phys_bits = 40,
		.linear_bits = 48,
		.nx = true,
	};
	caps.range[VMX_PIN] = (struct vmx_range){0x16, 0xff};
	caps.range[VMX_PROC] = (struct vmx_range){0x04006172, 0xf7f9fffe};
	caps.range[VMX_EXIT] = (struct vmx_range){0x36dfb, 0x7fffff};
	caps.range[VMX_ENTRY] = (struct vmx_range){0x11fb, 0xffff};
	caps.range[VMX_PROC2] = (struct vmx_range){0, 0x577fff};
}

static void good_host(void)
{
	static const u32 selectors[] = {VMCS_HOST_ES, VMCS_HOST_SS, VMCS_HOST_DS, VMCS_HOST_FS,
					VMCS_HOST_GS};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(selectors); i++)
		vmcs[selectors[i]] = 0x10;
	vmcs[VMCS_HOST_CS] = 8;
	vmcs[VMCS_HOST_TR] = 0x18;
	vmcs[VMCS_HOST_CR0] = 0x80010033;
	vmcs[VMCS_HOST_CR3] = 0x1000;
	vmcs[VMCS_HOST_CR4] = CR4_PAE | CR4_VMXE;
	vmcs[VMCS_HOST_EFER] = EFER_LMA | EFER_LME | EFER_NXE;
	vmcs[VMCS_HOST_PAT] = PAT_RESET;
	vmcs[VMCS_HOST_RIP] = 0xffffffff80200000;
	vmcs[VMCS_HOST_TR_BASE] = 0xffffffff80300000;
	vmcs[VMCS_HOST_GDTR_BASE] = 0xffffffff80300100;
	vmcs[VMCS_HOST_IDTR_BASE] = 0xffffffff80300200;
}

static void good_controls(void)
{
	vmcs[VMCS_PIN_CONTROLS] = 0x3f;
	vmcs[VMCS_PROC_CONTROLS] = 0xb6186dfa;
	vmcs[VMCS_PROC2_CONTROLS] = PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID;
	vmcs[VMCS_EXIT_CONTROLS] = 0x3fefff;
	vmcs[VMCS_ENTRY_CONTROLS] = 0xd1ff | ENTRYC_IA32E;
	vmcs[VMCS_VPID] = 1;
	vmcs[VMCS_EPT_POINTER] = 0x10000 | EPTP_WB | EPTP_WALK_4;
	vmcs[VMCS_IO_BITMAP_A] = vmcs[VMCS_IO_BITMAP_B] = 0x11000;
	vmcs[VMCS_MSR_BITMAP] = 0x12000;
	vmcs[VMCS_LINK_POINTER] = ~0ULL;
}

/* 64-bit kernel. */
static void good(void)
{
	unsigned i;

	memset(vmcs, 0, sizeof(vmcs));
	good_caps();
	good_host();
	good_controls();
	vmcs[VMCS_GUEST_CR0] = 0x80010033;
	vmcs[VMCS_GUEST_CR4] = CR4_PAE | CR4_VMXE;
	vmcs[VMCS_GUEST_CR3] = 0x2000;
	vmcs[VMCS_GUEST_EFER] = EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE;
	vmcs[VMCS_GUEST_PAT] = PAT_RESET;
	vmcs[VMCS_GUEST_DR7] = DR7_RESET;
	vmcs[VMCS_GUEST_RIP] = 0xffffffff81000000;
	vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_ONE | RFLAGS_IF;
	for (i = VSEG_ES; i <= VSEG_GS; i++)
		set_seg(i, 0x18, 0, 0xffffffff, 0xc093);
	set_seg(VSEG_CS, 0x10, 0, 0xffffffff, 0xa09b);
	set_seg(VSEG_LDTR, 0, 0, 0, SEG_ATTR_UNUSABLE);
	set_seg(VSEG_TR, 0x40, 0xffff888000000000, 0x67, 0x8b);
	set_seg(VSEG_GDTR, 0, 0xffff888000001000, 0x7f, 0);
	set_seg(VSEG_IDTR, 0, 0xffff888000002000, 0xfff, 0);
}

/* Just after power-up: real mode. */
static void good_real(void)
{
	unsigned i;

	good();
	vmcs[VMCS_ENTRY_CONTROLS] &= ~ENTRYC_IA32E;
	vmcs[VMCS_GUEST_CR0] = CR0_ET | CR0_NE;
	vmcs[VMCS_GUEST_CR4] = CR4_VMXE;
	vmcs[VMCS_GUEST_EFER] = 0;
	vmcs[VMCS_GUEST_RIP] = 0xfff0;
	for (i = VSEG_ES; i <= VSEG_GS; i++)
		set_seg(i, 0, 0, 0xffff, 0x93);
	set_seg(VSEG_CS, 0xf000, 0xffff0000, 0xffff, 0x9b);
	set_seg(VSEG_LDTR, 0, 0, 0xffff, 0x82);
	set_seg(VSEG_TR, 0, 0, 0xffff, 0x8b);
	set_seg(VSEG_GDTR, 0, 0, 0xffff, 0);
	set_seg(VSEG_IDTR, 0, 0, 0xffff, 0);
}

static void good_v8086(void)
{
	unsigned i;

	good();
	vmcs[VMCS_ENTRY_CONTROLS] &= ~ENTRYC_IA32E;
	vmcs[VMCS_GUEST_EFER] = 0;
	vmcs[VMCS_GUEST_CR4] = CR4_VMXE;
	vmcs[VMCS_GUEST_RIP] = 0x100;
	vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_ONE | RFLAGS_VM;
	for (i = VSEG_ES; i <= VSEG_GS; i++)
		set_seg(i, 0x1000, 0x10000, 0xffff, 0xf3);
	set_seg(VSEG_TR, 0x40, 0, 0x67, 0x8b);
}

/* 32-bit with PAE. */
static void good_pae(void)
{
	good();
	vmcs[VMCS_ENTRY_CONTROLS] &= ~ENTRYC_IA32E;
	vmcs[VMCS_GUEST_EFER] = EFER_NXE;
	vmcs[VMCS_GUEST_RIP] = 0xc1000000;
	set_seg(VSEG_CS, 0x10, 0, 0xffffffff, 0xc09b);
	vmcs[VMCS_GUEST_PDPTE0] = 0x3001;
	vmcs[VMCS_GUEST_PDPTE0 + 2] = 0x6; /* not present: anything goes */
}

static void assert_good(const char *what)
{
	if (check() != 0)
		fail_msg("%s: %s", what, broken[0]);
}

static void test_good_states(void **state)
{
	(void)state;
	good();
	assert_good("64-bit");
	good_real();
	assert_good("real mode");
	vmcs[VMCS_GUEST_ACCESS + 2 * VSEG_CS] =
		0x93; /* unrestricted guests may have a data segment in CS */
	assert_good("real mode, CS as after power-up");
	good_v8086();
	assert_good("virtual-8086");
	good_pae();
	assert_good("PAE");
	good();
	vmcs[VMCS_GUEST_ACTIVITY] = 1;
	assert_good("halted");
	good();
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000030;
	assert_good("interrupt");
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000b0e;
	assert_good("#PF");
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000306;
	assert_good("#UD");
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000480;
	vmcs[VMCS_ENTRY_INSN_LEN] = 2;
	assert_good("INT 0x80");
}

/* Exactly one rule is reported, and its text holds `part`. */
static void expect(const char *part)
{
	unsigned n = check(), i;

	for (i = 0; i < n && i < ARRAY_SIZE(broken); i++)
		if (strstr(broken[i], part))
			break;
	if (i == n || i == ARRAY_SIZE(broken))
		fail_msg("\"%s\" is not reported (%u others, first \"%s\")", part, n,
			 n ? broken[0] : "none");
	if (n != 1)
		fail_msg("\"%s\": %u rules reported, another is \"%s\"", part, n,
			 broken[i == 0 ? 1 : 0]);
}

struct spoil {
	u32 field;
	u64 value;
	const char *part;
};

static void spoil_all(void (*make)(void), const struct spoil *rows, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		make();
		vmcs[rows[i].field] = rows[i].value;
		expect(rows[i].part);
	}
}

#define NOT_CANONICAL 0x800000000000ULL
#define SEL(s)        (VMCS_GUEST_SELECTOR + 2 * (s))
#define BASE(s)       (VMCS_GUEST_BASE + 2 * (s))
#define LIMIT(s)      (VMCS_GUEST_LIMIT + 2 * (s))
#define ACCESS(s)     (VMCS_GUEST_ACCESS + 2 * (s))

static void test_controls(void **state)
{
	static const struct spoil rows[] = {
		{VMCS_PIN_CONTROLS, 0x3b, "pin-based"},
		{VMCS_PIN_CONTROLS, 0x13f, "pin-based"},
		{VMCS_PROC_CONTROLS, 0xb6186df8, "primary"},
		{VMCS_PROC2_CONTROLS, PROC2_EPT | PROC2_UNRESTRICTED | BIT(31), "secondary"},
		{VMCS_EXIT_CONTROLS, 0x3feffe, "VM-exit controls"},
		{VMCS_ENTRY_CONTROLS, 0xd3fe, "VM-entry controls"},
		{VMCS_CR3_TARGET_COUNT, 5, "CR3-target"},
		{VMCS_IO_BITMAP_A, 0x11001, "I/O bitmap A"},
		{VMCS_IO_BITMAP_B, 1ULL << 40, "I/O bitmap B"},
		{VMCS_MSR_BITMAP, 0x800, "MSR bitmap"},
		{VMCS_VPID, 0, "VPID is 0"},
		{VMCS_EPT_POINTER, 0x10000 | 5 | EPTP_WALK_4, "memory type"},
		{VMCS_EPT_POINTER, 0x10000 | EPTP_WB | 2 << 3, "page-walk"},
		{VMCS_EPT_POINTER, 0x10000 | EPTP_WB | EPTP_WALK_4 | BIT(6), "accessed and dirty"},
		{VMCS_EPT_POINTER, 0x10080 | EPTP_WB | EPTP_WALK_4, "EPTP: reserved"},
		{VMCS_EPT_POINTER, 1ULL << 40 | EPTP_WB | EPTP_WALK_4, "EPTP: reserved"},
		{VMCS_PROC2_CONTROLS, PROC2_UNRESTRICTED, "without EPT"},
		{VMCS_PROC2_CONTROLS, PROC2_EPT | PROC2_UNRESTRICTED | PROC2_APIC_REGISTER,
		 "TPR shadow"},
		{VMCS_PIN_CONTROLS, 0x37, "virtual NMIs are on without"},
		{VMCS_PIN_CONTROLS, 0xbf, "posted interrupts"},
		{VMCS_EXIT_CONTROLS, 0x7fefff, "preemption timer"},
		{VMCS_ENTRY_CONTROLS, 0xd7ff, "SMM"},
	};
	static const struct {
		u32 count, address;
		const char *part;
	} areas[] = {
		{VMCS_EXIT_MSR_STORE_COUNT, VMCS_EXIT_MSR_STORE_ADDR, "MSR-store"},
		{VMCS_EXIT_MSR_LOAD_COUNT, VMCS_EXIT_MSR_LOAD_ADDR, "VM-exit MSR-load"},
		{VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_MSR_LOAD_ADDR, "VM-entry MSR-load"},
	};
	unsigned i;

	(void)state;
	spoil_all(good, rows, ARRAY_SIZE(rows));
	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		good();
		vmcs[areas[i].address] = 8;
		assert_good("no MSRs, any address");
		vmcs[areas[i].count] = 1;
		expect(areas[i].part);
		vmcs[areas[i].address] = 1ULL << 40;
		expect(areas[i].part);
	}
	good();
	vmcs[VMCS_PIN_CONTROLS] = 0x1f;
	vmcs[VMCS_PROC_CONTROLS] |= PROC_NMI_WINDOW;
	expect("NMI-window");
}

/* Havoc virtualizes no APIC, but the rules are there for whoever turns it on. */
static void test_apic_virtualization(void **state)
{
	(void)state;
	good();
	vmcs[VMCS_PROC_CONTROLS] |= PROC_TPR_SHADOW;
	vmcs[VMCS_VIRTUAL_APIC_ADDR] = 0x13000;
	assert_good("TPR shadow");
	vmcs[VMCS_VIRTUAL_APIC_ADDR] = 0x13008;
	expect("virtual-APIC address");
	vmcs[VMCS_VIRTUAL_APIC_ADDR] = 0x13000;
	vmcs[VMCS_PROC2_CONTROLS] |= PROC2_APIC_ACCESS;
	vmcs[VMCS_APIC_ACCESS_ADDR] = 0x14000;
	assert_good("APIC accesses");
	vmcs[VMCS_APIC_ACCESS_ADDR] = 1ULL << 40;
	expect("APIC-access address");
	vmcs[VMCS_APIC_ACCESS_ADDR] = 0x14000;
	vmcs[VMCS_PROC2_CONTROLS] |= PROC2_X2APIC;
	expect("both virtualized");
	vmcs[VMCS_PROC2_CONTROLS] &= ~(PROC2_X2APIC | PROC2_APIC_ACCESS);
	vmcs[VMCS_PROC2_CONTROLS] |= PROC2_VIRTUAL_INTR;
	assert_good("virtual-interrupt delivery");
	vmcs[VMCS_PIN_CONTROLS] &= ~PIN_EXT_INTR;
	expect("virtual-interrupt delivery is on without");
}

static void test_pml(void **state)
{
	(void)state;
	good();
	vmcs[VMCS_PROC2_CONTROLS] |= PROC2_PML;
	vmcs[VMCS_PML_ADDR] = 0x15000;
	assert_good("page-modification logging");
	vmcs[VMCS_PML_ADDR] = 0x15800;
	expect("PML address");
	vmcs[VMCS_PROC2_CONTROLS] &= ~(PROC2_EPT | PROC2_UNRESTRICTED);
	expect("logging is on without EPT");
}

static void test_injection(void **state)
{
	static const struct spoil rows[] = {
		{VMCS_ENTRY_INTR_INFO, 0x80000100, "type is reserved"},
		{VMCS_ENTRY_INTR_INFO, 0x80000203, "NMI has a vector"},
		{VMCS_ENTRY_INTR_INFO, 0x80000320, "above 31"},
		{VMCS_ENTRY_INTR_INFO, 0x8000030d, "error code is not"},
		{VMCS_ENTRY_INTR_INFO, 0x80000b06, "error code is not"},
		{VMCS_ENTRY_INTR_INFO, 0x80000830, "error code is not"},
		{VMCS_ENTRY_INTR_INFO, 0x80001030, "injection: reserved"},
	};

	(void)state;
	spoil_all(good, rows, ARRAY_SIZE(rows));
	good();
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000b0d;
	vmcs[VMCS_ENTRY_INTR_ERROR] = 0x10000;
	expect("above 15");
	good();
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000480;
	vmcs[VMCS_ENTRY_INSN_LEN] = 16;
	expect("instruction length");
	vmcs[VMCS_ENTRY_INSN_LEN] = 0;
	assert_good("length 0 with IA32_VMX_MISC bit 30");
	caps.misc &= ~VMX_MISC_INSN_LEN_0;
	expect("instruction length");
	/* Real mode: no error code; with VMX_BASIC bit 56: as the VMM likes. */
	good_real();
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000b0d;
	expect("error code is not");
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x8000030d;
	assert_good("#GP in real mode");
	good();
	caps.basic |= VMX_BASIC_ANY_ERROR;
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000b06;
	assert_good("#UD with an error code, allowed");
	/* Blocking. */
	good();
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000030;
	vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_ONE;
	expect("RFLAGS.IF = 0");
	vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_ONE | RFLAGS_IF;
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = GUEST_BLOCK_STI;
	expect("external interrupt is injected under");
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000202;
	expect("NMI is injected under blocking by STI");
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = GUEST_BLOCK_NMI;
	expect("blocking by NMI");
}

static void test_host(void **state)
{
	static const struct spoil rows[] = {
		{VMCS_HOST_CR0, 0x80010013, "host CR0"},
		{VMCS_HOST_CR0, 0x180010033, "host CR0"},
		{VMCS_HOST_CR4, CR4_PAE, "host CR4"},
		{VMCS_HOST_CR4, CR4_VMXE, "PAE is 0"},
		{VMCS_HOST_CR3, 1ULL << 40, "host CR3"},
		{VMCS_HOST_SYSENTER_ESP, NOT_CANONICAL, "SYSENTER"},
		{VMCS_HOST_SYSENTER_EIP, NOT_CANONICAL, "SYSENTER"},
		{VMCS_HOST_PAT, 2, "host IA32_PAT"},
		{VMCS_HOST_EFER, EFER_LMA | EFER_LME | BIT(1), "host IA32_EFER has"},
		{VMCS_HOST_EFER, EFER_LME, "host IA32_EFER.LMA"},
		{VMCS_HOST_EFER, EFER_LMA, "host IA32_EFER.LMA"},
		{VMCS_HOST_RIP, NOT_CANONICAL, "host RIP"},
		{VMCS_HOST_ES, 0x13, "RPL or TI"},
		{VMCS_HOST_CS, 0xc, "RPL or TI"},
		{VMCS_HOST_CS, 0, "host CS"},
		{VMCS_HOST_TR, 0, "host TR"},
		{VMCS_HOST_FS_BASE, NOT_CANONICAL, "host base"},
		{VMCS_HOST_GS_BASE, NOT_CANONICAL, "host base"},
		{VMCS_HOST_TR_BASE, NOT_CANONICAL, "host base"},
		{VMCS_HOST_GDTR_BASE, NOT_CANONICAL, "host base"},
		{VMCS_HOST_IDTR_BASE, NOT_CANONICAL, "host base"},
	};

	(void)state;
	spoil_all(good, rows, ARRAY_SIZE(rows));
	good();
	vmcs[VMCS_HOST_CR4] |= CR4_CET;
	vmcs[VMCS_HOST_CR0] &= ~CR0_WP;
	expect("host CR4.CET");
	good();
	caps.nx = false;
	vmcs[VMCS_GUEST_EFER] &= ~EFER_NXE;
	expect("host IA32_EFER has");
	good();
	vmcs[VMCS_EXIT_CONTROLS] &= ~EXITC_HOST_64;
	vmcs[VMCS_HOST_EFER] &= ~(EFER_LMA | EFER_LME);
	expect("not 64 bits");
}

static void test_guest_registers(void **state)
{
	static const struct spoil rows[] = {
		{VMCS_GUEST_CR0, 0x80010013, "guest CR0: a bit"},
		{VMCS_GUEST_CR4, CR4_PAE, "guest CR4: a bit"},
		{VMCS_GUEST_CR4, CR4_VMXE, "CR0.PG or CR4.PAE off"},
		{VMCS_GUEST_CR0, 0x10033, "CR0.PG or CR4.PAE off"},
		{VMCS_GUEST_CR3, 1ULL << 40, "guest CR3"},
		{VMCS_GUEST_DEBUGCTL, BIT(2), "DEBUGCTL"},
		{VMCS_GUEST_DR7, 1ULL << 32, "DR7"},
		{VMCS_GUEST_SYSENTER_ESP, NOT_CANONICAL, "guest IA32_SYSENTER"},
		{VMCS_GUEST_SYSENTER_EIP, NOT_CANONICAL, "guest IA32_SYSENTER"},
		{VMCS_GUEST_PAT, 8ULL << 56, "guest IA32_PAT"},
		{VMCS_GUEST_EFER, EFER_LMA | EFER_LME | BIT(9), "guest IA32_EFER has"},
		{VMCS_GUEST_RIP, 0x1000000000000, "guest RIP: bits"},
		{VMCS_GUEST_RFLAGS, RFLAGS_IF, "RFLAGS: reserved"},
		{VMCS_GUEST_RFLAGS, RFLAGS_ONE | BIT(15), "RFLAGS: reserved"},
		{VMCS_GUEST_RFLAGS, RFLAGS_ONE | BIT(22), "RFLAGS: reserved"},
		{VMCS_LINK_POINTER, 0, "link pointer"},
		{LIMIT(VSEG_GDTR), 0x10000, "limit has bits above 15"},
		{LIMIT(VSEG_IDTR), 0x10000, "limit has bits above 15"},
		{BASE(VSEG_GDTR), NOT_CANONICAL, "GDTR or IDTR: the base"},
		{BASE(VSEG_IDTR), NOT_CANONICAL, "GDTR or IDTR: the base"},
	};

	(void)state;
	spoil_all(good, rows, ARRAY_SIZE(rows));
	good_real();
	vmcs[VMCS_GUEST_CR4] |= CR4_PCIDE;
	expect("PCIDE");
	good_real();
	vmcs[VMCS_GUEST_CR0] |= CR0_PG;
	expect("PG is 1 with PE = 0");
	good_real();
	vmcs[VMCS_GUEST_RIP] = 1ULL << 32;
	expect("above 31 outside");
	good_real();
	vmcs[VMCS_GUEST_EFER] = EFER_LMA;
	expect("differs from the IA-32e mode guest");
	good();
	vmcs[VMCS_GUEST_EFER] = EFER_LMA;
	expect("differs from LME");
	good();
	vmcs[VMCS_GUEST_CR4] |= CR4_CET;
	vmcs[VMCS_GUEST_CR0] &= ~CR0_WP;
	expect("guest CR4.CET");
	/* RIP need not be canonical, only alike beyond the width: bit 47 set is what a wrap leaves. */
	good();
	vmcs[VMCS_GUEST_RIP] = NOT_CANONICAL;
	assert_good("RIP just beyond the lower half");
}

static void test_segments(void **state)
{
	static const struct spoil rows[] = {
		{ACCESS(VSEG_CS), 0xa09b | SEG_ATTR_UNUSABLE, "CS is unusable"},
		{ACCESS(VSEG_CS), 0xa08b, "S is not"},
		{ACCESS(VSEG_CS), 0xa01b, "not present"},
		{ACCESS(VSEG_CS), 0xa19b, "reserved access"},
		{ACCESS(VSEG_CS), 0xa09a, "no accessed code"},
		{ACCESS(VSEG_CS), 0xa097, "no accessed code"},
		{ACCESS(VSEG_CS), 0xa0fb, "DPL differs from SS"},
		{ACCESS(VSEG_CS), 0xa0ff, "conforming"},
		{ACCESS(VSEG_CS), 0xe09b, "both L and D"},
		{ACCESS(VSEG_CS), 0x209b, "G is 0"},
		{BASE(VSEG_CS), 1ULL << 32, "CS: the base"},
		{LIMIT(VSEG_CS), 0xfffff000, "G is 1"},
		{ACCESS(VSEG_SS), 0xc09b, "SS: the type"},
		{ACCESS(VSEG_SS), 0xc091, "SS: the type"},
		{BASE(VSEG_SS), 1ULL << 32, "SS: the base"},
		{ACCESS(VSEG_DS), 0xc092, "not accessed and readable"},
		{ACCESS(VSEG_ES), 0xc099, "not accessed and readable"},
		{ACCESS(VSEG_FS), 0xc013, "not present"},
		{BASE(VSEG_DS), 1ULL << 32, "DS or ES"},
		{BASE(VSEG_FS), NOT_CANONICAL, "FS or GS"},
		{BASE(VSEG_GS), NOT_CANONICAL, "FS or GS"},
		{ACCESS(VSEG_TR), 0x8b | SEG_ATTR_UNUSABLE, "TR is unusable"},
		{ACCESS(VSEG_TR), 0x83, "busy TSS"},
		{ACCESS(VSEG_TR), 0x89, "busy TSS"},
		{ACCESS(VSEG_TR), 0x0b, "not present"},
		{ACCESS(VSEG_TR), 0x9b, "S is not"},
		{SEL(VSEG_TR), 0x44, "TR: the selector"},
		{BASE(VSEG_TR), NOT_CANONICAL, "TR: the base"},
		{ACCESS(VSEG_LDTR), 0x83, "type is not LDT"},
	};

	(void)state;
	spoil_all(good, rows, ARRAY_SIZE(rows));
	good_real();
	vmcs[SEL(VSEG_LDTR)] = 4;
	expect("LDTR: the selector");
	good_real();
	vmcs[BASE(VSEG_LDTR)] = NOT_CANONICAL;
	expect("LDTR: the base");
	good_real();
	vmcs[ACCESS(VSEG_TR)] = 0x83;
	assert_good("16-bit TSS outside IA-32e mode");
	good_real();
	vmcs[ACCESS(VSEG_CS)] = 0xfb;
	vmcs[ACCESS(VSEG_SS)] = 0xf3;
	expect("SS: DPL is not 0 in real mode");
	good_real();
	vmcs[ACCESS(VSEG_CS)] = 0xb3;
	expect("CS: DPL is not 0");
}

/* Without unrestricted guest RPL and DPL must agree. */
static void test_restricted(void **state)
{
	(void)state;
	good();
	vmcs[VMCS_PROC2_CONTROLS] &= ~PROC2_UNRESTRICTED;
	assert_good("restricted");
	vmcs[SEL(VSEG_SS)] = 0x1b;
	check();
	assert_int_equal(broken_count, 2);
	good();
	vmcs[VMCS_PROC2_CONTROLS] &= ~PROC2_UNRESTRICTED;
	vmcs[SEL(VSEG_DS)] = 0x1b;
	expect("DPL is below RPL");
	good_real();
	vmcs[VMCS_PROC2_CONTROLS] &= ~PROC2_UNRESTRICTED;
	assert_true(check() > 0);
}

static void test_v8086(void **state)
{
	static const struct spoil rows[] = {
		{BASE(VSEG_CS), 0x10010, "selector * 16"},
		{LIMIT(VSEG_DS), 0xfffff, "0xffff"},
		{ACCESS(VSEG_GS), 0x93, "0xf3"},
	};

	(void)state;
	spoil_all(good_v8086, rows, ARRAY_SIZE(rows));
	good_v8086();
	vmcs[VMCS_GUEST_CR0] = CR0_ET | CR0_NE;
	expect("RFLAGS.VM");
}

static void test_non_register(void **state)
{
	static const struct spoil rows[] = {
		{VMCS_GUEST_ACTIVITY, 4, "not one that the CPU has"},
		{VMCS_GUEST_INTERRUPTIBILITY, BIT(5), "interruptibility: reserved"},
		{VMCS_GUEST_INTERRUPTIBILITY, 3, "both STI and MOV SS"},
		{VMCS_GUEST_INTERRUPTIBILITY, GUEST_BLOCK_SMI, "SMI"},
		{VMCS_GUEST_PENDING_DBG, BIT(4), "debug exceptions: reserved"},
	};

	(void)state;
	spoil_all(good, rows, ARRAY_SIZE(rows));
	good();
	caps.misc &= ~BIT(6);
	vmcs[VMCS_GUEST_ACTIVITY] = 1;
	expect("not one that the CPU has");
	good();
	vmcs[VMCS_GUEST_ACTIVITY] = 1;
	vmcs[ACCESS(VSEG_SS)] = 0xc0f3;
	vmcs[ACCESS(VSEG_CS)] = 0xa0fb;
	expect("HLT with SS.DPL");
	good();
	vmcs[VMCS_GUEST_ACTIVITY] = 2;
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = GUEST_BLOCK_STI;
	expect("not active with blocking");
	good();
	vmcs[VMCS_GUEST_ACTIVITY] = 3;
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000030;
	expect("waits for a SIPI");
	vmcs[VMCS_GUEST_ACTIVITY] = 2;
	expect("shut-down");
	vmcs[VMCS_GUEST_ACTIVITY] = 1;
	assert_good("interrupt to a halted guest");
	vmcs[VMCS_ENTRY_INTR_INFO] = 0x80000306;
	expect("halted guest");
	good();
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = GUEST_BLOCK_STI;
	assert_good("STI shadow");
	vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_ONE;
	expect("STI with RFLAGS.IF");
	vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_ONE | RFLAGS_IF | RFLAGS_TF;
	expect("BS differs");
	vmcs[VMCS_GUEST_PENDING_DBG] = PENDING_DBG_BS;
	assert_good("single step in a shadow");
	vmcs[VMCS_GUEST_DEBUGCTL] = BIT(1); /* BTF: on branches only */
	expect("BS differs");
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
	assert_good("pending single step");
}

static void test_pdptes(void **state)
{
	static const struct spoil rows[] = {
		{VMCS_GUEST_PDPTE0, 0x3003, "PDPTE"},
		{VMCS_GUEST_PDPTE0 + 2, 0x3021, "PDPTE"},
		{VMCS_GUEST_PDPTE0 + 4, 1ULL << 63 | 1, "PDPTE"},
		{VMCS_GUEST_PDPTE0 + 6, 1ULL << 40 | 1, "PDPTE"},
	};

	(void)state;
	spoil_all(good_pae, rows, ARRAY_SIZE(rows));
	good(); /* IA-32e: not looked at */
	vmcs[VMCS_GUEST_PDPTE0] = 0x3003;
	assert_good("PDPTEs in long mode");
}

/* A page of noise is survived and found wanting. */
static void test_noise(void **state)
{
	u64 x = 88172645463325252ULL;
	unsigned round, i;

	(void)state;
	good();
	for (round = 0; round < 200; round++) {
		for (i = 0; i < ARRAY_SIZE(vmcs); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			vmcs[i] = x;
		}
		assert_true(check() > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_states),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_apic_virtualization),
		cmocka_unit_test(test_pml),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_guest_registers),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_restricted),
		cmocka_unit_test(test_v8086),
		cmocka_unit_test(test_non_register),
		cmocka_unit_test(test_pdptes),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
