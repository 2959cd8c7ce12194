/* SPDX-License-Identifier: MIT */
/*
 * A back end for unit tests of vmm/core: registers in an array, injections recorded, exits played from a script.
 */
#ifndef TEST_MOCK_BACKEND_H
#define TEST_MOCK_BACKEND_H

#include <vmm/hv.h>
#include <vmm/vm.h>

#define MOCK_EVENTS_MAX 32

struct mock_backend {
	u64 reg[VREG_COUNT];
	struct segment seg[VSEG_IDTR + 1];
	u32 blocked;
	u32 windows;
	u32 hits; /* of breakpoints, as told by hit() */
	unsigned flushes, advanced, dumps, entries;
	struct event injected[MOCK_EVENTS_MAX];
	unsigned injected_count;
	/* Called by run(): fills the exit. Required before the VM runs. */
	void (*run)(struct vcpu *v, struct vm_exit *exit);
};

extern const struct backend_ops mock_backend_ops;
extern const struct backend_caps mock_backend_caps;

static inline struct mock_backend *mock_backend(struct vcpu *v)
{
	return v->backend;
}

/*
 * A VM of `mem` bytes with the pc device table and `mock_console_out` as its console; an AMD-like CPUID is set up unless the test
 * has done it before. Fails the test if it cannot be made.
 */
void mock_vm_create(struct vm *vm, struct hv *hv, u64 mem);
/* The same with several CPUs, on one of the host. */
void mock_vm_create_smp(struct vm *vm, struct hv *hv, u64 mem, unsigned cpus);
/* Starts the VM, and plays CPU 0 of its `hv` until no VM is live. */
void mock_vm_run(struct vm *vm);

extern char mock_vm_output[8192];
extern size_t mock_vm_output_len;

#endif
