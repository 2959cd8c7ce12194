/* SPDX-License-Identifier: MIT */
/* What the unit tests of vmm/core/ have in common: one VM on the mock back end, made before each test and checked for leaks after it. */
#ifndef TEST_MOCK_CORE_TEST_H
#define TEST_MOCK_CORE_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/errno.h>

#include "../../vmm/core/core.h"
#include "backend.h"
#include "mock.h"

static struct vm vm;
static struct hv hv;
static struct vcpu *const v = &vm.vcpu[0];

static int setup(unused void **state)
{
	mock_host_reset();
	mock_vm_create(&vm, &hv, MiB(32));
	vcpu_reset(v);
	return 0;
}

static inline int setup_smp(unused void **state)
{
	unsigned i;

	mock_host_reset();
	mock_vm_create_smp(&vm, &hv, MiB(32), 4);
	for (i = 0; i < 4; i++)
		vcpu_reset(&vm.vcpu[i]);
	return 0;
}

static int teardown(unused void **state)
{
	vm_destroy(&vm);
	assert_int_equal(mock_host.live, 0);
	return 0;
}

#define CORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#define SMP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_smp, teardown)

static inline struct mock_backend *backend(void)
{
	return mock_backend(v);
}

/* Delivers what is pending; the event injected, or NULL. */
static inline const struct event *deliver(void)
{
	unsigned before = backend()->injected_count;

	event_deliver(v);
	return backend()->injected_count > before ? &backend()->injected[before] : NULL;
}

#endif
