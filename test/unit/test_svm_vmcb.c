/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/vmcb.c test/mock/host.c */
/* The power-up state, registers and segments by name, what is kept in step with them, permission maps, clean bits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/vm.h>

#include "arch/svm/svm.h"
#include "test/mock/mock.h"

static struct vmcb c;
static struct svm_vcpu s;
static struct vcpu v = {.backend = &s};

static int setup(unused void **state)
{
	s = (struct svm_vcpu){.vmcb = &c, .caps = {.vgif = true, .rdtscp = true}};
	memset(&c, 0x5a, sizeof(c));
	svm_vmcb_init(&s, 0x100000, 0x102000, 0x200000);
	svm_vmcb_reset(&s, false);
	return 0;
}

/* As after an exit: all is clean, nothing is due. */
static void settle(void)
{
	c.clean = SVM_CLEAN_ALL;
	s.flush = s.check = s.entry_work = false;
}

static u64 get(enum vreg reg)
{
	return svm_vmcb_reg_get(&s, reg);
}

static void set(enum vreg reg, u64 value)
{
	svm_vmcb_reg_set(&s, reg, value);
}

/* APM vol. 2 "Processor Initialization State", table "Initial Processor State". */
static void power_up(unused void **state)
{
	struct segment seg;
	unsigned i;

	assert_int_equal(get(VREG_CR0), 0x60000010);
	assert_int_equal(get(VREG_CR2), 0);
	assert_int_equal(get(VREG_CR3), 0);
	assert_int_equal(get(VREG_CR4), 0);
	assert_int_equal(get(VREG_EFER), 0);
	assert_int_equal(get(VREG_RFLAGS), 2);
	assert_int_equal(get(VREG_RIP), 0xfff0);
	assert_int_equal(get(VREG_DR7), 0x400);
	assert_int_equal(c.save.dr6, 0xffff0ff0);
	assert_int_equal(get(VREG_PAT), 0x0007040600070406);
	assert_int_equal(get(VREG_CPL), 0);
	svm_seg_get(&v, VSEG_CS, &seg);
	assert_int_equal(seg.selector, 0xf000);
	assert_int_equal(seg.base, 0xffff0000);
	assert_int_equal(seg.limit, 0xffff);
	assert_int_equal(seg.attr, 0x9b);
	for (i = VSEG_SS; i <= VSEG_GS; i++) {
		svm_seg_get(&v, (enum vseg)i, &seg);
		assert_int_equal(seg.attr, 0x93);
		assert_int_equal(seg.limit, 0xffff);
		assert_int_equal(seg.base, 0);
	}
	svm_seg_get(&v, VSEG_TR, &seg);
	assert_int_equal(seg.attr, 0x8b);
	svm_seg_get(&v, VSEG_LDTR, &seg);
	assert_int_equal(seg.attr, 0x82);
	svm_seg_get(&v, VSEG_IDTR, &seg);
	assert_int_equal(seg.limit, 0xffff);
	assert_int_equal(seg.attr, 0);
	assert_int_equal(c.clean, 0);
	assert_true(s.flush && s.check && s.entry_work);
}

static void a_reset_forgets_everything(unused void **state)
{
	set(VREG_CR4, CR4_PAE);
	set(VREG_EFER, EFER_LME | EFER_NXE);
	set(VREG_CR0, CR0_PE | CR0_PG);
	set(VREG_LSTAR, 0x1234);
	c.eventinj = SVM_EVENT_VALID | 0x30;
	c.int_shadow = 1;
	c.intercept3 |= SVM_INT3_VINTR | SVM_INT3_IRET;
	c.int_ctl |= SVM_V_IRQ;
	s.nmi_masked = s.iret_reached = s.step = true;
	svm_vmcb_reset(&s, false);
	power_up(NULL);
	assert_int_equal(get(VREG_LSTAR), 0);
	assert_int_equal(c.eventinj, 0);
	assert_int_equal(c.int_shadow, 0);
	assert_false(c.intercept3 & (SVM_INT3_VINTR | SVM_INT3_IRET));
	assert_false(c.int_ctl & SVM_V_IRQ);
	assert_false(s.nmi_masked || s.iret_reached || s.step);
	/* What belongs to the hypervisor stays. */
	assert_int_equal(c.ncr3, 0x200000);
	assert_int_equal(c.int_ctl,
			 SVM_V_INTR_MASKING | SVM_V_IGN_TPR | SVM_V_GIF_ENABLE | SVM_V_GIF);
}

/* "Processor Initialization State", the column of INIT. */
static void an_init_keeps_msrs_and_the_caches_state(unused void **state)
{
	static const enum vreg kept[] = {
		VREG_STAR,         VREG_LSTAR,          VREG_CSTAR,
		VREG_SFMASK,       VREG_KERNEL_GS_BASE, VREG_SYSENTER_CS,
		VREG_SYSENTER_ESP, VREG_SYSENTER_EIP,   VREG_PAT,
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		set(kept[i], 0x1000 + i);
	set(VREG_CR2, 0x1234);
	set(VREG_DR7, 0x401);
	set(VREG_CR4, CR4_PAE);
	set(VREG_EFER, EFER_LME | EFER_NXE);
	set(VREG_CR0, CR0_PE | CR0_PG);
	svm_vmcb_reset(&s, true);
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		assert_int_equal(get(kept[i]), 0x1000 + i);
	assert_int_equal(get(VREG_CR0), CR0_ET);
	set(VREG_CR0, CR0_PE | CR0_CD | CR0_NW);
	svm_vmcb_reset(&s, true);
	assert_int_equal(get(VREG_CR0), CR0_ET | CR0_CD | CR0_NW);
	set(VREG_PAT, PAT_RESET);
	power_up(NULL); /* all else, and CR0 has the same value */
}

static void intercepts(unused void **state)
{
	assert_int_equal(c.intercept_cr, SVM_CR_WRITE(4) | SVM_CR_READ(8) | SVM_CR_WRITE(8) |
						 SVM_CR_READ(0) | SVM_CR_WRITE(0));
	set(VREG_CR0, CR0_ET);
	assert_int_equal(c.intercept_cr, SVM_CR_WRITE(4) | SVM_CR_READ(8) | SVM_CR_WRITE(8));
	assert_true(c.intercept4 & SVM_INT4_VMRUN);
	assert_true(c.intercept3 & SVM_INT3_SHUTDOWN);
	assert_false(c.intercept4 & (SVM_INT4_RDTSCP | SVM_INT4_RDPRU));
	assert_true(c.np_control & SVM_NP_ENABLE);
	s.caps = (struct svm_caps){.rdpru = true};
	svm_vmcb_init(&s, 0, 0, 0);
	assert_true(c.intercept4 & SVM_INT4_RDPRU);
	assert_true(c.intercept4 & SVM_INT4_RDTSCP);
	assert_false(c.int_ctl & (SVM_V_GIF | SVM_V_GIF_ENABLE));
}

static void svme_is_set_and_not_seen(unused void **state)
{
	assert_true(c.save.efer & EFER_SVME);
	set(VREG_EFER, EFER_NXE | EFER_SCE);
	assert_true(c.save.efer & EFER_SVME);
	assert_int_equal(get(VREG_EFER), EFER_NXE | EFER_SCE);
}

static void lma_follows(unused void **state)
{
	set(VREG_EFER, EFER_LME);
	assert_int_equal(get(VREG_EFER), EFER_LME);
	set(VREG_CR4, CR4_PAE);
	set(VREG_CR0, CR0_PE | CR0_PG);
	assert_int_equal(get(VREG_EFER), EFER_LME | EFER_LMA);
	set(VREG_EFER, EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(get(VREG_EFER), EFER_LME | EFER_LMA | EFER_NXE);
	set(VREG_CR0, CR0_PE);
	assert_int_equal(get(VREG_EFER), EFER_LME | EFER_NXE);
	/* What the caller says of LMA does not count. */
	set(VREG_EFER, EFER_LMA);
	assert_int_equal(get(VREG_EFER), 0);
}

static void caches_stay_on(unused void **state)
{
	set(VREG_CR0, CR0_PE | CR0_CD | CR0_NW | CR0_ET);
	assert_int_equal(c.save.cr0, CR0_PE | CR0_ET);
	assert_int_equal(get(VREG_CR0), CR0_PE | CR0_CD | CR0_NW | CR0_ET);
	assert_true(c.intercept_cr & SVM_CR_READ(0));
	/* The guest sets TS without an exit; it is seen all the same. */
	c.save.cr0 |= CR0_TS;
	assert_int_equal(get(VREG_CR0), CR0_PE | CR0_CD | CR0_NW | CR0_ET | CR0_TS);
	settle();
	set(VREG_CR0, CR0_PE);
	assert_int_equal(get(VREG_CR0), CR0_PE | CR0_ET);
	assert_false(c.intercept_cr & SVM_CR_READ(0));
	assert_false(c.clean & SVM_CLEAN_INTERCEPTS);
}

static void machine_checks_stay_on(unused void **state)
{
	set(VREG_CR4, CR4_PAE);
	assert_int_equal(c.save.cr4, CR4_PAE);
	s.caps.host_mce = true;
	set(VREG_CR4, CR4_PAE);
	assert_int_equal(c.save.cr4, CR4_PAE | CR4_MCE);
	assert_int_equal(get(VREG_CR4), CR4_PAE);
	assert_true(c.intercept_cr & SVM_CR_READ(4));
	set(VREG_CR4, CR4_PAE | CR4_MCE);
	assert_int_equal(get(VREG_CR4), CR4_PAE | CR4_MCE);
	assert_false(c.intercept_cr & SVM_CR_READ(4));
}

/* Which clean bit a change clears, and whether it flushes or asks for the check. */
static void clean_bits(unused void **state)
{
	static const struct {
		enum vreg reg;
		u64 value;
		u32 dirty;
		bool flush, check;
	} row[] = {
		{VREG_RIP, 0x1000, 0, false, false},
		{VREG_RSP, 0x1000, 0, false, false},
		{VREG_RFLAGS, RFLAGS_IF, 0, false, false},
		{VREG_CR2, 0x1000, SVM_CLEAN_CR2, false, false},
		{VREG_CR3, 0x1000, SVM_CLEAN_CR, true, true},
		{VREG_CR4, CR4_OSFXSR, SVM_CLEAN_CR, false, true},
		{VREG_CR4, CR4_OSFXSR | CR4_PGE, SVM_CLEAN_CR, true, true},
		{VREG_EFER, EFER_SCE, SVM_CLEAN_CR, false, true},
		{VREG_EFER, EFER_NXE, SVM_CLEAN_CR, true, true},
		{VREG_PAT, 0, SVM_CLEAN_NP, false, false},
		{VREG_DR7, 0x401, SVM_CLEAN_DR, false, false},
		{VREG_DR6, DR6_RESET | DR6_BT, SVM_CLEAN_DR, false, false},
		{VREG_TSC_OFFSET, 1, SVM_CLEAN_INTERCEPTS, false, false},
		{VREG_STAR, 1, 0, false, false},
		{VREG_SYSENTER_EIP, 1, 0, false, false},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		settle();
		set(row[i].reg, row[i].value);
		assert_int_equal(c.clean, SVM_CLEAN_ALL & ~row[i].dirty);
		assert_int_equal(s.flush, row[i].flush);
		assert_int_equal(s.check, row[i].check);
		assert_int_equal(s.entry_work, row[i].flush || row[i].check);
	}
}

static void paging_bits_flush(unused void **state)
{
	set(VREG_CR0, CR0_PE | CR0_PG);
	settle();
	set(VREG_CR0, CR0_PE | CR0_PG | CR0_NE);
	assert_false(s.flush);
	set(VREG_CR0, CR0_PE | CR0_PG | CR0_WP);
	assert_true(s.flush);
	settle();
	set(VREG_CR0, CR0_PE | CR0_WP);
	assert_true(s.flush);
}

static void every_register_comes_back(unused void **state)
{
	enum vreg reg;

	for (reg = 0; reg < VREG_COUNT; reg++) {
		if (reg == VREG_CPL || reg == VREG_CODE_BITS || reg == VREG_XCR0 ||
		    reg == VREG_TSC_AUX || reg == VREG_EFER || reg >= VREG_DR0)
			continue;
		set(reg, 0x10 | RFLAGS_ONE);
		assert_int_equal(get(reg), 0x10 | RFLAGS_ONE);
	}
}

static void foreign_registers_are_a_bug(unused void **state)
{
	enum mock_end end;

	MOCK_CATCH(end, set(VREG_XCR0, 1));
	assert_int_equal(end, MOCK_PANIC);
	MOCK_CATCH(end, (void)get(VREG_TSC_AUX));
	assert_int_equal(end, MOCK_PANIC);
	MOCK_CATCH(end, set(VREG_CPL, 0));
	assert_int_equal(end, MOCK_PANIC);
}

static void cr3_keeps_no_command_bit(unused void **state)
{
	set(VREG_CR3, CR3_NOFLUSH | 0x5001);
	assert_int_equal(get(VREG_CR3), 0x5001);
}

static void attributes(unused void **state)
{
	u32 attr;

	assert_int_equal(svm_attr_from_vmx(0xa09b), 0xa9b);
	assert_int_equal(svm_attr_to_vmx(0xa9b), 0xa09b);
	assert_int_equal(svm_attr_from_vmx(SEG_ATTR_UNUSABLE | 0xc093), 0);
	assert_int_equal(svm_attr_to_vmx(0), SEG_ATTR_UNUSABLE);
	/* There and back for every form that is present and usable. */
	for (attr = 0; attr < 0x10000; attr++) {
		if (attr & 0xf00 || !(attr & SEG_ATTR_P))
			continue;
		assert_int_equal(svm_attr_to_vmx(svm_attr_from_vmx(attr)), attr);
	}
}

static void segments(unused void **state)
{
	struct segment in = {.base = 0x12345678,
			     .limit = 0xffffffff,
			     .attr = 0xc093,
			     .selector = 0x18},
		       out;
	enum vseg seg;

	for (seg = VSEG_ES; seg <= VSEG_TR; seg++) {
		in.base += 0x1000;
		settle();
		svm_seg_set(&v, seg, &in);
		svm_seg_get(&v, seg, &out);
		assert_int_equal(out.base, in.base);
		assert_int_equal(out.limit, in.limit);
		assert_int_equal(out.attr, in.attr);
		assert_int_equal(out.selector, in.selector);
		/* FS, GS, LDTR and TR are VMLOAD's: never cached. */
		assert_int_equal(!(c.clean & SVM_CLEAN_SEG), seg <= VSEG_DS);
	}
	settle();
	svm_seg_set(&v, VSEG_GDTR, &(struct segment){.base = 0x1000, .limit = 0x7f});
	assert_int_equal(c.clean, SVM_CLEAN_ALL & ~SVM_CLEAN_DT);
	assert_int_equal(c.save.gdtr.limit, 0x7f);
	/* They are where the VMCB has them. */
	assert_int_equal(c.save.tr.base, in.base);
	assert_int_equal(c.save.ldtr.base, in.base - 0x1000);
}

static void null_and_granular_segments(unused void **state)
{
	struct segment out;

	svm_seg_set(&v, VSEG_FS, &(struct segment){.attr = SEG_ATTR_UNUSABLE | 0x93});
	assert_int_equal(c.save.fs.attr, 0);
	svm_seg_get(&v, VSEG_FS, &out);
	assert_true(out.attr & SEG_ATTR_UNUSABLE);
	/* A CPU that does not keep G, nor P of CS. */
	c.save.cs.attr = 0x21b;
	c.save.cs.limit = 0xffffffff;
	svm_seg_get(&v, VSEG_CS, &out);
	assert_int_equal(out.attr, 0xa09b);
}

static void cpl(unused void **state)
{
	const struct segment user = {.attr = 0xc0f3, .selector = 0x2b};
	const struct segment kernel = {.attr = 0xc093, .selector = 0x18};

	svm_seg_set(&v, VSEG_SS, &user);
	assert_int_equal(get(VREG_CPL), 0); /* real mode */
	set(VREG_CR0, CR0_PE);
	assert_int_equal(get(VREG_CPL), 0);
	svm_seg_set(&v, VSEG_SS, &user);
	assert_int_equal(get(VREG_CPL), 3);
	assert_int_equal(c.save.cpl, 3);
	svm_seg_set(&v, VSEG_SS, &kernel);
	assert_int_equal(get(VREG_CPL), 0);
	set(VREG_RFLAGS, RFLAGS_VM);
	assert_int_equal(get(VREG_CPL), 3);
	set(VREG_RFLAGS, 0);
	/* A null SS, as 64-bit kernels have: CS tells. */
	svm_seg_set(&v, VSEG_SS, &(struct segment){.attr = SEG_ATTR_UNUSABLE});
	svm_seg_set(&v, VSEG_CS, &(struct segment){.attr = 0xa0fb, .selector = 0x33});
	assert_int_equal(get(VREG_CPL), 3);
	set(VREG_CR0, 0);
	set(VREG_CR0, CR0_PE);
	assert_int_equal(get(VREG_CPL), 0);
}

static void code_size(unused void **state)
{
	struct segment cs = {.attr = 0xa09b};

	assert_int_equal(get(VREG_CODE_BITS), 16);
	svm_seg_set(&v, VSEG_CS, &cs);
	assert_int_equal(get(VREG_CODE_BITS), 16); /* L means nothing outside of long mode */
	set(VREG_EFER, EFER_LME);
	set(VREG_CR4, CR4_PAE);
	set(VREG_CR0, CR0_PE | CR0_PG);
	assert_int_equal(get(VREG_CODE_BITS), 64);
	cs.attr = 0xc09b;
	svm_seg_set(&v, VSEG_CS, &cs);
	assert_int_equal(get(VREG_CODE_BITS), 32);
}

static bool allowed(const u8 *map, unsigned bit)
{
	return !(map[bit / 8] >> bit % 8 & 1);
}

static void msr_permissions(unused void **state)
{
	static const struct msr_passthrough rows[] = {
		{MSR_SYSENTER_CS, true, true},
		{MSR_GS_BASE, true, true},
		{MSR_LSTAR, true, false},
		{0xc0011fff, false, true},
		{0x1fff, true, true},
		{MSR_EFER, true, true},
		{MSR_KVM_SYSTEM_TIME_NEW, true, true},
		{0xc0002000, true, true},
		{0x2000, true, true},
	};
	static u8 map[SVM_MSRPM_SIZE + 1];
	unsigned i, open = 0;

	map[SVM_MSRPM_SIZE] = 0x77;
	svm_msrpm_fill(map, rows, ARRAY_SIZE(rows));
	assert_int_equal(map[SVM_MSRPM_SIZE], 0x77);
	assert_true(allowed(map, MSR_SYSENTER_CS * 2));
	assert_true(allowed(map, MSR_SYSENTER_CS * 2 + 1));
	assert_true(allowed(map, 0x800 * 8 + 0x101 * 2));
	assert_true(allowed(map, 0x800 * 8 + 0x101 * 2 + 1));
	assert_true(allowed(map, 0x800 * 8 + 0x82 * 2));
	assert_false(allowed(map, 0x800 * 8 + 0x82 * 2 + 1));
	assert_false(allowed(map, 0x1000 * 8 + 0x1fff * 2));
	assert_true(allowed(map, 0x1000 * 8 + 0x1fff * 2 + 1));
	assert_true(allowed(map, 0x1fff * 2));
	assert_false(allowed(map, 0x800 * 8 + 0x80 * 2)); /* EFER */
	for (i = 0; i < SVM_MSRPM_SIZE * 8; i++)
		open += allowed(map, i);
	assert_int_equal(open, 2 + 2 + 1 + 1 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(power_up, setup),
		cmocka_unit_test_setup(a_reset_forgets_everything, setup),
		cmocka_unit_test_setup(an_init_keeps_msrs_and_the_caches_state, setup),
		cmocka_unit_test_setup(intercepts, setup),
		cmocka_unit_test_setup(svme_is_set_and_not_seen, setup),
		cmocka_unit_test_setup(lma_follows, setup),
		cmocka_unit_test_setup(caches_stay_on, setup),
		cmocka_unit_test_setup(machine_checks_stay_on, setup),
		cmocka_unit_test_setup(clean_bits, setup),
		cmocka_unit_test_setup(paging_bits_flush, setup),
		cmocka_unit_test_setup(every_register_comes_back, setup),
		cmocka_unit_test_setup(foreign_registers_are_a_bug, setup),
		cmocka_unit_test_setup(cr3_keeps_no_command_bit, setup),
		cmocka_unit_test_setup(attributes, setup),
		cmocka_unit_test_setup(segments, setup),
		cmocka_unit_test_setup(null_and_granular_segments, setup),
		cmocka_unit_test_setup(cpl, setup),
		cmocka_unit_test_setup(code_size, setup),
		cmocka_unit_test_setup(msr_permissions, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
