/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/event.c arch/svm/vmcb.c test/mock/host.c */
/* Injection, shadows, windows, and NMIs on a CPU that does not know that one is being handled. */
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
static struct svm_vcpu s;
static struct vcpu v;
static struct vm_exit e;

static int setup(unused void **state)
{
	struct segment cs = {.attr = 0xa09b};

	s = (struct svm_vcpu){.vmcb = &c};
	v = (struct vcpu){.backend = &s};
	svm_vmcb_init(&s, 0x100000, 0x102000, 0x200000);
	svm_vmcb_reset(&s, false);
	svm_vmcb_reg_set(&s, VREG_CR4, CR4_PAE);
	svm_vmcb_reg_set(&s, VREG_EFER, EFER_LME);
	svm_vmcb_reg_set(&s, VREG_CR0, CR0_PE | CR0_PG);
	svm_seg_set(&v, VSEG_CS, &cs);
	c.save.rip = 0x1000;
	c.save.rflags = RFLAGS_ONE | RFLAGS_IF;
	c.clean = SVM_CLEAN_ALL;
	s.entry_work = false;
	return 0;
}

static void inject(u8 type, u8 vector)
{
	svm_inject(&v, &(struct event){.type = type, .vector = vector});
}

/* Can an NMI be taken at this entry? If not, what blocks it may be stepped over. */
static bool nmi_open(void)
{
	bool kick;

	return svm_nmi_prepare(&s, &kick);
}

static void formats(unused void **state)
{
	inject(EVENT_EXT_INTR, 0x31);
	assert_int_equal(c.eventinj, 0x80000031);
	inject(EVENT_NMI, 2);
	assert_int_equal(c.eventinj, 0x80000202);
	inject(EVENT_EXCEPTION, VEC_UD);
	assert_int_equal(c.eventinj, 0x80000306);
	svm_inject(&v, &(struct event){.type = EVENT_EXCEPTION,
				       .vector = VEC_GP,
				       .has_error = true,
				       .error = 0x18});
	assert_int_equal(c.eventinj, 0x1880000b0d);
}

static void software_interrupts_run_again(unused void **state)
{
	inject(EVENT_SOFT_INT, 0x80);
	inject(EVENT_SOFT_EXC, VEC_BP);
	assert_int_equal(c.eventinj, 0);
	assert_int_equal(c.save.rip, 0x1000);
}

static void injecting_nothing_is_a_bug(unused void **state)
{
	enum mock_end end;

	MOCK_CATCH(end, inject(EVENT_NONE, 0));
	assert_int_equal(end, MOCK_PANIC);
}

static void what_blocks(unused void **state)
{
	assert_int_equal(svm_blocked(&v), 0);
	c.save.rflags &= ~RFLAGS_IF;
	assert_int_equal(svm_blocked(&v), BLOCK_IF);
	c.int_shadow = SVM_INT_SHADOW;
	assert_int_equal(svm_blocked(&v), BLOCK_IF | BLOCK_STI);
	c.int_shadow = ~SVM_INT_SHADOW; /* other bits are no shadow */
	assert_int_equal(svm_blocked(&v), BLOCK_IF);
}

static void advance(unused void **state)
{
	c.int_shadow = 1;
	svm_advance(&v, 3);
	assert_int_equal(c.save.rip, 0x1003);
	assert_int_equal(c.int_shadow, 0);
	assert_int_equal(v.exception.type, EVENT_NONE);
	assert_int_equal(v.requests, 0);
	c.save.rip = 0xffffffff;
	svm_advance(&v, 2);
	assert_int_equal(c.save.rip, 0x100000001);
	/* 32 bits wrap around. */
	c.save.efer &= ~EFER_LMA;
	c.save.rip = 0xffffffff;
	svm_advance(&v, 2);
	assert_int_equal(c.save.rip, 1);
	c.save.rflags |= RFLAGS_RF;
	svm_advance(&v, 1);
	assert_false(c.save.rflags & RFLAGS_RF);
}

static void advance_single_steps(unused void **state)
{
	c.save.rflags |= RFLAGS_TF;
	svm_advance(&v, 2);
	assert_int_equal(v.exception.type, EVENT_EXCEPTION);
	assert_int_equal(v.exception.vector, VEC_DB);
	assert_false(v.exception.has_error);
	assert_true(v.requests & REQ_EVENT);
	assert_true(c.save.dr6 & DR6_BS);
	assert_false(c.clean & SVM_CLEAN_DR);
	/* Something more urgent stays. */
	v.exception.vector = VEC_GP;
	svm_advance(&v, 2);
	assert_int_equal(v.exception.vector, VEC_GP);
}

static void interrupt_window(unused void **state)
{
	svm_window(&v, WINDOW_INTR);
	assert_true(c.intercept3 & SVM_INT3_VINTR);
	assert_true(c.int_ctl & SVM_V_IRQ);
	assert_true(c.int_ctl & SVM_V_IGN_TPR);
	assert_false(c.clean & (SVM_CLEAN_INT_CTL | SVM_CLEAN_INTERCEPTS));
	assert_false(s.entry_work);
	c.clean = SVM_CLEAN_ALL;
	svm_window(&v, WINDOW_INTR);
	assert_int_equal(c.clean, SVM_CLEAN_ALL);
	svm_window(&v, 0);
	assert_false(c.intercept3 & SVM_INT3_VINTR);
	assert_false(c.int_ctl & SVM_V_IRQ);
	assert_true(c.int_ctl & SVM_V_INTR_MASKING);
}

/* From the injection to the end of its IRET, another NMI waits. */
static void nmi_is_masked_until_iret_ends(unused void **state)
{
	inject(EVENT_NMI, 2);
	c.eventinj = 0; /* entered, delivered */
	c.save.rip = 0x2000;
	assert_true(c.intercept3 & SVM_INT3_IRET);
	assert_int_equal(svm_blocked(&v), BLOCK_NMI);
	svm_window(&v, WINDOW_NMI);
	assert_true(s.entry_work);
	assert_false(nmi_open());
	assert_false(s.step);

	c.save.rip = 0x2100;
	svm_iret_intercepted(&s);
	assert_false(c.intercept3 & SVM_INT3_IRET);
	assert_int_equal(svm_blocked(&v), BLOCK_NMI);
	/* The IRET itself is stepped over. */
	assert_false(nmi_open());
	assert_true(s.step);
	assert_true(c.save.rflags & RFLAGS_TF);
	/* It loads the guest's RFLAGS, without TF, and traps. */
	c.save.rip = 0x1000;
	c.save.rflags = RFLAGS_ONE | RFLAGS_IF;
	c.save.dr6 = DR6_RESET | DR6_BS;
	e = (struct vm_exit){.kind = EXIT_EXCEPTION,
			     .raw = SVM_EXIT_EXC + VEC_DB,
			     .exc = {.vector = VEC_DB, .address = DR6_BS}};
	svm_step_finish(&s, &e);
	assert_int_equal(e.kind, EXIT_NMI_WINDOW);
	assert_int_equal(c.save.dr6, DR6_RESET);
	assert_int_equal(svm_blocked(&v), 0);
	assert_false(s.step);
	assert_true(nmi_open());
}

static void iret_unmasks_without_a_window(unused void **state)
{
	inject(EVENT_NMI, 2);
	c.eventinj = 0;
	c.save.rip = 0x2100;
	svm_iret_intercepted(&s);
	assert_int_equal(svm_blocked(&v), BLOCK_NMI);
	c.save.rip = 0x1000; /* some exit later */
	assert_int_equal(svm_blocked(&v), 0);
}

/* IRET loads TF = 1: it is the guest's, and stays. */
static void iret_to_a_stepped_program(unused void **state)
{
	inject(EVENT_NMI, 2);
	c.eventinj = 0;
	c.save.rip = 0x2100;
	svm_iret_intercepted(&s);
	assert_false(nmi_open());
	c.save.rip = 0x1000;
	c.save.rflags = RFLAGS_ONE | RFLAGS_TF;
	c.save.dr6 = DR6_RESET | DR6_BS;
	e = (struct vm_exit){.kind = EXIT_EXCEPTION,
			     .raw = SVM_EXIT_EXC + VEC_DB,
			     .exc = {.vector = VEC_DB, .address = DR6_BS}};
	svm_step_finish(&s, &e);
	assert_true(c.save.rflags & RFLAGS_TF);
	assert_int_equal(e.kind, EXIT_NMI_WINDOW);
}

/* The step's entry exits for another reason, before the instruction has run. */
static void a_step_that_does_not_happen(unused void **state)
{
	c.int_shadow = 1;
	assert_false(nmi_open());
	assert_true(s.step);
	e = (struct vm_exit){.kind = EXIT_NPF, .raw = SVM_EXIT_NPF};
	svm_step_finish(&s, &e);
	assert_int_equal(e.kind, EXIT_NPF);
	assert_false(c.save.rflags & RFLAGS_TF);
	assert_false(s.step);
	/* Next time. */
	assert_false(nmi_open());
	assert_true(s.step);
}

static void stepping_out_of_a_shadow(unused void **state)
{
	c.int_shadow = 1;
	assert_false(nmi_open());
	c.int_shadow = 0;
	c.save.rip = 0x1002;
	c.save.dr6 = DR6_RESET | DR6_BS;
	e = (struct vm_exit){.kind = EXIT_EXCEPTION,
			     .raw = SVM_EXIT_EXC + VEC_DB,
			     .exc = {.vector = VEC_DB, .address = DR6_BS}};
	svm_step_finish(&s, &e);
	assert_int_equal(e.kind, EXIT_NMI_WINDOW);
	assert_false(c.save.rflags & RFLAGS_TF);
}

/* The guest's own single step and breakpoints are not swallowed. */
static void guests_debug_traps(unused void **state)
{
	c.int_shadow = 1;
	c.save.rflags |= RFLAGS_TF;
	assert_false(nmi_open());
	c.save.dr6 = DR6_RESET | DR6_BS;
	e = (struct vm_exit){.kind = EXIT_EXCEPTION,
			     .raw = SVM_EXIT_EXC + VEC_DB,
			     .exc = {.vector = VEC_DB, .address = DR6_BS}};
	svm_step_finish(&s, &e);
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.exc.address, DR6_BS);
	assert_true(c.save.dr6 & DR6_BS);
	assert_true(c.save.rflags & RFLAGS_TF);

	setup(NULL);
	c.int_shadow = 1;
	assert_false(nmi_open());
	c.save.dr6 = DR6_RESET | DR6_BS | 1;
	e = (struct vm_exit){.kind = EXIT_EXCEPTION,
			     .raw = SVM_EXIT_EXC + VEC_DB,
			     .exc = {.vector = VEC_DB, .address = DR6_BS | 1}};
	svm_step_finish(&s, &e);
	assert_int_equal(e.kind, EXIT_EXCEPTION);
	assert_int_equal(e.exc.address, 1);
	assert_int_equal(c.save.dr6, DR6_RESET | 1);
	assert_false(c.save.rflags & RFLAGS_TF);
}

static void nmi_behind_another_event(unused void **state)
{
	bool kick;

	inject(EVENT_EXT_INTR, 0x30);
	assert_false(svm_nmi_prepare(&s, &kick));
	assert_true(kick);
	assert_false(s.step);
	assert_false(c.save.rflags & RFLAGS_TF);
}

static void interrupted_nmi_has_not_begun(unused void **state)
{
	inject(EVENT_NMI, 2);
	c.eventinj = 0;
	svm_nmi_undo(&s);
	assert_int_equal(svm_blocked(&v), 0);
	assert_false(c.intercept3 & SVM_INT3_IRET);
	inject(EVENT_NMI, 2);
	assert_int_equal(svm_blocked(&v), BLOCK_NMI | BLOCK_EVENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(formats, setup),
		cmocka_unit_test_setup(software_interrupts_run_again, setup),
		cmocka_unit_test_setup(injecting_nothing_is_a_bug, setup),
		cmocka_unit_test_setup(what_blocks, setup),
		cmocka_unit_test_setup(advance, setup),
		cmocka_unit_test_setup(advance_single_steps, setup),
		cmocka_unit_test_setup(interrupt_window, setup),
		cmocka_unit_test_setup(nmi_is_masked_until_iret_ends, setup),
		cmocka_unit_test_setup(iret_unmasks_without_a_window, setup),
		cmocka_unit_test_setup(iret_to_a_stepped_program, setup),
		cmocka_unit_test_setup(a_step_that_does_not_happen, setup),
		cmocka_unit_test_setup(stepping_out_of_a_shadow, setup),
		cmocka_unit_test_setup(guests_debug_traps, setup),
		cmocka_unit_test_setup(nmi_behind_another_event, setup),
		cmocka_unit_test_setup(interrupted_nmi_has_not_begun, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
