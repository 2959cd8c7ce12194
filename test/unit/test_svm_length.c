/* SPDX-License-Identifier: MIT */
/* SOURCES: arch/svm/length.c */
/*
 * The short way to an instruction's length: what it knows, and that it gives up, without reading past the page, on whatever is not
 * plain 64-bit code on the page that was fetched from last.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <arch/regs.h>

#include "arch/svm/svm.h"

#define VA      0xffffffff81234000ULL
#define UNKNOWN 0

static struct vmcb c;
static struct svm_vcpu s = {.vmcb = &c};
static struct vcpu v = {.backend = &s};
static u64 entries[4] = {1, 2, 3, 4};
static u8 *page;

/* Exactly a page: a read outside is one that the sanitizer sees. */
static int setup(unused void **state)
{
	unsigned i;

	page = malloc(PAGE_SIZE);
	memset(page, 0, PAGE_SIZE);
	memset(&c, 0, sizeof(c));
	c.save.cr3 = 0x5000;
	c.save.efer = EFER_LME | EFER_LMA | EFER_SVME;
	c.save.cs.attr = 0xa9b;
	c.save.rip = VA + 0x123;
	v.fetch = (struct gwalk_cache){.key = (VA >> PAGE_SHIFT) + 1, .cr3 = 0x5000, .page = page};
	for (i = 0; i < 4; i++) {
		v.fetch.slot[i] = &entries[i];
		v.fetch.entry[i] = entries[i];
	}
	return 0;
}

static int teardown(unused void **state)
{
	free(page);
	return 0;
}

static u8 length(u64 code)
{
	struct vm_exit e = {.insn_len = UNKNOWN};

	c.exitcode = code;
	svm_find_length(&v, &e);
	return e.insn_len;
}

static u8 length_of(u64 code, const char *bytes)
{
	memcpy(page + 0x123, bytes, 4);
	return length(code);
}

static void instructions(unused void **state)
{
	assert_int_equal(length_of(SVM_EXIT_CPUID, "\x0f\xa2\x90\x90"), 2);
	assert_int_equal(length_of(SVM_EXIT_HLT, "\xf4\xf4\xf4\xf4"), 1);
	assert_int_equal(length_of(SVM_EXIT_MSR, "\x0f\x32\x00\x00"), 2);
	assert_int_equal(length_of(SVM_EXIT_MSR, "\x0f\x30\x00\x00"), 2);
	assert_int_equal(length_of(SVM_EXIT_VMMCALL, "\x0f\x01\xd9\xc3"), 3);
	assert_int_equal(length_of(SVM_EXIT_XSETBV, "\x0f\x01\xd1\xc3"), 3);
	assert_int_equal(length_of(SVM_EXIT_WBINVD, "\x0f\x09\xff\xff"), 2);
	assert_int_equal(length_of(SVM_EXIT_INVD, "\x0f\x08\xff\xff"), 2);
	/* Not what the CPU said, or with a prefix. */
	assert_int_equal(length_of(SVM_EXIT_VMMCALL, "\x0f\x01\xc1\xc3"), UNKNOWN);
	assert_int_equal(length_of(SVM_EXIT_MSR, "\x0f\x31\x00\x00"), UNKNOWN);
	assert_int_equal(length_of(SVM_EXIT_CPUID, "\x66\x0f\xa2\x00"), UNKNOWN);
	assert_int_equal(length_of(SVM_EXIT_CPUID, "\x48\x0f\xa2\x00"), UNKNOWN);
}

static void other_exits(unused void **state)
{
	static const u64 codes[] = {0,
				    SVM_EXIT_INTR,
				    SVM_EXIT_RDPMC,
				    SVM_EXIT_RSM,
				    SVM_EXIT_IOIO,
				    SVM_EXIT_RDPRU,
				    SVM_EXIT_NPF,
				    ~0ULL};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(length_of(codes[i], "\0\0\0\0"), UNKNOWN);
}

static void another_page(unused void **state)
{
	assert_int_equal(length_of(SVM_EXIT_CPUID, "\x0f\xa2\x90\x90"), 2);
	c.save.rip += PAGE_SIZE;
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
	c.save.rip -= PAGE_SIZE;
	c.save.cr3 += PAGE_SIZE;
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
	c.save.cr3 -= PAGE_SIZE;
	entries[2] ^= BIT(12); /* the guest has changed its tables */
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
	entries[2] ^= BIT(12);
	assert_int_equal(length(SVM_EXIT_CPUID), 2);
	v.fetch = (struct gwalk_cache){0};
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
	c.save.rip = 0x123;
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
}

static void end_of_the_page(unused void **state)
{
	memcpy(page + 0xffc, "\x0f\xa2\x0f\xa2", 4);
	c.save.rip = VA + 0xffc;
	assert_int_equal(length(SVM_EXIT_CPUID), 2);
	c.save.rip = VA + 0xffe;
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
	c.save.rip = VA + 0xfff;
	assert_int_equal(length(SVM_EXIT_HLT), UNKNOWN);
}

static void other_modes(unused void **state)
{
	assert_int_equal(length_of(SVM_EXIT_CPUID, "\x0f\xa2\x90\x90"), 2);
	c.save.cs.attr &= (u16)~SVM_SEG_L; /* compatibility mode */
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
	c.save.cs.attr |= SVM_SEG_L;
	c.save.efer &= ~EFER_LMA;
	assert_int_equal(length(SVM_EXIT_CPUID), UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(instructions, setup, teardown),
		cmocka_unit_test_setup_teardown(other_exits, setup, teardown),
		cmocka_unit_test_setup_teardown(another_page, setup, teardown),
		cmocka_unit_test_setup_teardown(end_of_the_page, setup, teardown),
		cmocka_unit_test_setup_teardown(other_modes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
