/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/asid.c */
/*
 * ASIDs of several vcpus on one CPU: never 0, never beyond what the CPU has, and never given to a second one
 * before a flush of everything.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "arch/svm/svm.h"

#define VCPUS 5

static struct vmcb vmcb[VCPUS];
static struct svm_vcpu vcpu[VCPUS];
static struct svm_cpu cpu;
static unsigned flushes;

static int setup(unused void **state)
{
	unsigned i;

	memset(vmcb, 0, sizeof(vmcb));
	for (i = 0; i < VCPUS; i++)
		vcpu[i] = (struct svm_vcpu){.vmcb = &vmcb[i]};
	cpu = (struct svm_cpu){.caps.asids = 4};
	svm_asid_init(&cpu);
	flushes = 0;
	return 0;
}

static void enter(unsigned i)
{
	vmcb[i].tlb_control = SVM_TLB_NOTHING;
	vmcb[i].clean = SVM_CLEAN_ALL;
	svm_asid_prepare(&vcpu[i], &cpu);
	assert_in_range(vmcb[i].asid, 1, cpu.caps.asids - 1);
	if (vmcb[i].tlb_control == SVM_TLB_FLUSH_ALL) {
		flushes++;
		cpu.flush_all = false; /* as svm_run() does, after the entry */
	}
}

static void first_entry_flushes(unused void **state)
{
	enter(0);
	assert_int_equal(vmcb[0].asid, 1);
	assert_int_equal(vmcb[0].tlb_control, SVM_TLB_FLUSH_ALL);
	assert_false(vmcb[0].clean & SVM_CLEAN_ASID);
	enter(0);
	assert_int_equal(vmcb[0].asid, 1);
	assert_int_equal(vmcb[0].tlb_control, SVM_TLB_NOTHING);
	assert_int_equal(vmcb[0].clean, SVM_CLEAN_ALL);
	enter(1);
	assert_int_equal(vmcb[1].asid, 2);
	assert_int_equal(vmcb[1].tlb_control, SVM_TLB_NOTHING);
}

static void flush_by_asid(unused void **state)
{
	cpu.caps.flush_by_asid = true;
	enter(0);
	vcpu[0].flush = true;
	enter(0);
	assert_int_equal(vmcb[0].asid, 1);
	assert_int_equal(vmcb[0].tlb_control, SVM_TLB_FLUSH_GUEST);
	assert_false(vcpu[0].flush);
	enter(0);
	assert_int_equal(vmcb[0].tlb_control, SVM_TLB_NOTHING);
}

static void flush_by_a_new_asid(unused void **state)
{
	enter(0);
	vcpu[0].flush = true;
	enter(0);
	assert_int_equal(vmcb[0].asid, 2);
	vcpu[0].flush = true;
	enter(0);
	assert_int_equal(vmcb[0].asid, 3);
	assert_int_equal(flushes, 1);
	vcpu[0].flush = true;
	enter(0); /* used up: from the beginning */
	assert_int_equal(vmcb[0].asid, 1);
	assert_int_equal(flushes, 2);
}

static void a_new_generation_is_for_all(unused void **state)
{
	enter(0);
	enter(1);
	enter(2);
	enter(3); /* the fourth of three */
	assert_int_equal(vmcb[3].asid, 1);
	assert_int_equal(flushes, 2);
	enter(0);
	assert_int_equal(vmcb[0].asid, 2);
	assert_int_equal(flushes, 2);
}

/* What the first of a new generation does not come to do, for VMRUN is not reached, the next one does. */
static void a_flush_is_not_lost(unused void **state)
{
	cpu.caps.flush_by_asid = true;
	enter(0);
	enter(1);
	enter(2);
	svm_asid_prepare(&vcpu[3], &cpu); /* no entry */
	assert_int_equal(vmcb[3].tlb_control, SVM_TLB_FLUSH_ALL);
	enter(0);
	assert_int_equal(vmcb[0].tlb_control, SVM_TLB_FLUSH_ALL);
	enter(1);
	assert_int_equal(vmcb[1].tlb_control, SVM_TLB_NOTHING);
	/* A flush of one guest is none of all. */
	cpu.flush_all = true;
	vcpu[1].flush = true;
	enter(1);
	assert_int_equal(vmcb[1].tlb_control, SVM_TLB_FLUSH_ALL);
}

static void only_one_asid(unused void **state)
{
	cpu.caps.asids = 2;
	svm_asid_init(&cpu);
	enter(0);
	enter(0);
	assert_int_equal(flushes, 1);
	enter(1);
	enter(0);
	assert_int_equal(vmcb[0].asid, 1);
	assert_int_equal(flushes, 3);
}

static void another_cpu(unused void **state)
{
	struct svm_cpu other = {.caps.asids = 16};

	enter(0);
	svm_asid_init(&other);
	vcpu[0].generation = 0; /* as svm_load() does */
	svm_asid_prepare(&vcpu[0], &other);
	assert_int_equal(vmcb[0].tlb_control, SVM_TLB_FLUSH_ALL);
	assert_int_equal(vcpu[0].generation, other.generation);
}

/* Whatever the order: an ASID's owner changes only across a flush of everything. */
static void random_order(unused void **state)
{
	int owner[4] = {-1, -1, -1, -1};
	unsigned n, i, before;

	srand(1);
	for (n = 0; n < 20000; n++) {
		i = (unsigned)rand() % VCPUS;
		before = flushes;
		vcpu[i].flush = rand() % 4 == 0;
		enter(i);
		if (flushes != before)
			memset(owner, 0xff, sizeof(owner));
		if (owner[vmcb[i].asid] != -1)
			assert_int_equal(owner[vmcb[i].asid], i);
		owner[vmcb[i].asid] = (int)i;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_entry_flushes, setup),
		cmocka_unit_test_setup(flush_by_asid, setup),
		cmocka_unit_test_setup(flush_by_a_new_asid, setup),
		cmocka_unit_test_setup(a_new_generation_is_for_all, setup),
		cmocka_unit_test_setup(a_flush_is_not_lost, setup),
		cmocka_unit_test_setup(only_one_asid, setup),
		cmocka_unit_test_setup(another_cpu, setup),
		cmocka_unit_test_setup(random_order, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
