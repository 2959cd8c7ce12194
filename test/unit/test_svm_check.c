/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/check.c arch/svm/vmcb.c test/mock/host.c */
/* Each rule of VMRUN, by breaking a good state in one place; and that the states that vmcb.c makes break none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <arch/regs.h>

#include "arch/svm/svm.h"
#include "test/mock/mock.h"

static struct vmcb c;
static struct svm_vcpu s = {.vmcb = &c};
static struct vcpu v = {.backend = &s};
static const char *said;

static void report(unused void *ctx, const char *sentence)
{
	said = sentence;
}

/* 64-bit Linux, as it is started. */
static int setup(unused void **state)
{
	struct segment cs = {.limit = ~0U,
			     .attr = 0xb | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_L | SEG_ATTR_G};

	s = (struct svm_vcpu){.vmcb = &c};
	s.caps = (struct svm_caps){
		.phys_bits = 40,
		.asids = 16,
		.cr4_valid = 0x7ff,
		.efer_valid = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME,
	};
	svm_vmcb_init(&s, 0x100000, 0x102000, 0x200000);
	svm_vmcb_reset(&s, false);
	c.asid = 1;
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	svm_vmcb_reg_set(&s, VREG_CR3, 0x1000);
	svm_vmcb_reg_set(&s, VREG_CR4, CR4_PAE);
	svm_vmcb_reg_set(&s, VREG_EFER, EFER_LME);
	svm_vmcb_reg_set(&s, VREG_CR0, CR0_PE | CR0_PG | CR0_ET);
	svm_seg_set(&v, VSEG_CS, &cs);
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	return 0;
}

/* Exactly one rule is broken now, and this text names it. */
static void breaks(const char *text)
{
	said = NULL;
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 1);
	if (!strstr(said, text))
		fail_msg("\"%s\" instead of \"%s\"", said, text);
	setup(NULL);
}

static void registers(unused void **state)
{
	c.save.efer &= ~EFER_SVME;
	breaks("EFER.SVME is zero");
	c.save.cr0 |= CR0_NW;
	breaks("CR0.NW");
	c.save.cr0 |= BIT(32);
	breaks("CR0[63:32]");
	c.save.cr3 = BIT(40);
	breaks("CR3");
	c.save.cr3 = CR3_NOFLUSH;
	breaks("CR3");
	c.save.cr4 |= CR4_SMEP;
	breaks("CR4 has");
	c.save.cr4 |= BIT(63);
	breaks("CR4 has");
	c.save.dr6 |= BIT(32);
	breaks("DR6");
	c.save.dr7 |= BIT(63);
	breaks("DR7");
	c.save.efer |= BIT(1);
	breaks("EFER has");
	c.save.cr4 &= ~CR4_PAE;
	breaks("CR4.PAE is zero");
	c.save.cs.attr |= 0x400;
	breaks("CS.L and CS.D");
	c.save.efer &= ~EFER_LMA;
	breaks("EFER.LMA");
	/* The same high bits in CR3 are nothing to a CPU outside of long mode. */
	c.save.efer &= ~(EFER_LMA | EFER_LME);
	c.save.cr3 = BIT(40);
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
}

static void paging_without_protection(unused void **state)
{
	c.save.cr0 &= ~CR0_PE;
	said = NULL;
	/* In long mode VMRUN's own rule, and ours. */
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 2);
	c.save.efer &= ~(EFER_LMA | EFER_LME);
	breaks("CR0.PG is set and CR0.PE");
}

static void controls(unused void **state)
{
	c.intercept4 &= ~(u32)SVM_INT4_VMRUN;
	breaks("VMRUN is not intercepted");
	c.iopm_pa = BIT(40) - 0x2000;
	breaks("I/O permissions map");
	c.iopm_pa = BIT(40) - 0x3000;
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	c.msrpm_pa = BIT(40) - 0x1000;
	breaks("MSR permissions map");
	c.asid = 0;
	breaks("ASID is zero");
	c.asid = 16;
	breaks("ASID is beyond");
	c.tlb_control = 3;
	breaks("TLB_CONTROL");
	s.caps.flush_by_asid = true;
	c.tlb_control = 3;
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	c.tlb_control = 2;
	breaks("TLB_CONTROL");
	c.ncr3 = BIT(40);
	breaks("nCR3");
	c.ncr3 |= 1;
	breaks("nCR3");
	c.save.g_pat = 2;
	breaks("gPAT");
	c.save.g_pat = 0x0800000000000000;
	breaks("gPAT");
	c.int_ctl |= SVM_V_NMI_ENABLE;
	c.intercept3 &= ~(u32)SVM_INT3_NMI;
	breaks("NMI virtualization");
	s.caps.cr4_valid |= CR4_CET;
	c.save.cr4 |= CR4_CET;
	breaks("CR4.CET");
}

static void inject(u64 type, u64 vector)
{
	c.eventinj = SVM_EVENT_VALID | type << 8 | vector;
}

static void events(unused void **state)
{
	static const u8 good[] = {0,  1,  3,  6,  7,  8,  10, 11, 12, 13,
				  14, 16, 17, 18, 19, 21, 28, 29, 30};
	static const u8 bad[] = {2, 9, 15, 20, 22, 27, 31, 32, 255};
	unsigned i;

	for (i = 0; i < sizeof(good); i++) {
		inject(SVM_EVENT_EXC, good[i]);
		assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	}
	for (i = 0; i < sizeof(bad); i++) {
		inject(SVM_EVENT_EXC, bad[i]);
		breaks("no exception");
	}
	for (i = 0; i < 8; i++) {
		inject(i, 32);
		if (i == 1 || i > 4)
			breaks("reserved type");
		else if (i == SVM_EVENT_EXC)
			breaks("no exception");
		else
			assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	}
	inject(SVM_EVENT_EXC, VEC_BR);
	breaks("64-bit mode");
	inject(SVM_EVENT_EXC, VEC_OF);
	breaks("64-bit mode");
	c.save.cs.attr &= (u16)~0x200;
	inject(SVM_EVENT_EXC, VEC_BR);
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
	/* Not valid: whatever it holds. */
	c.eventinj = 7 << 8 | 2;
	assert_int_equal(svm_check(&c, &s.caps, report, NULL), 0);
}

static void count_sentences(void *ctx, unused const char *sentence)
{
	++*(unsigned *)ctx;
}

static void all_at_once(unused void **state)
{
	unsigned sentences = 0, broken;

	memset(&c, 0xff, sizeof(c));
	broken = svm_check(&c, &s.caps, count_sentences, &sentences);
	assert_int_equal(broken, sentences);
	assert_true(broken > 10);
	memset(&c, 0, sizeof(c));
	assert_true(svm_check(&c, &s.caps, report, NULL) >= 3); /* SVME, VMRUN, ASID */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers, setup),
		cmocka_unit_test_setup(paging_without_protection, setup),
		cmocka_unit_test_setup(controls, setup),
		cmocka_unit_test_setup(events, setup),
		cmocka_unit_test_setup(all_at_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
