/* SPDX-License-Identifier: MIT */
/*
 * KVM's hypercalls (Linux, Documentation/virt/kvm/x86/hypercalls.rst): a kernel's, for its other CPUs, which are named by their
 * APIC IDs. Called by hypercall.c for the numbers that are KVM's. Arguments in rbx, rcx, rdx, rsi; from ring 0 only. An APIC
 * ID that no CPU has is nobody's, as it would be in an ICR.
 */
#include <vmm/hv.h>

#include "core.h"

/* KVM's errors: Linux, include/uapi/linux/kvm_para.h. */
#define KVM_EPERM  1
#define KVM_EINVAL 22
#define KVM_ENOSYS 1000

#define KVM_HC_KICK_CPU    5
#define KVM_HC_SEND_IPI    10
#define KVM_HC_SCHED_YIELD 11

struct kvm_args {
	u64 a[4];
	unsigned bits; /* of a register, by the caller's mode */
};

typedef s64 kvm_call_fn(struct vcpu *v, const struct kvm_args *args);

static struct vcpu *find(struct vcpu *v, u64 apic_id)
{
	return apic_id < v->vm->cpus ? &v->vm->vcpu[apic_id] : NULL;
}

/* Ends a HLT, whatever its IF, or the next one: the kick may come first. */
static s64 kick_cpu(struct vcpu *v, const struct kvm_args *args)
{
	struct vcpu *target = find(v, args->a[1]);

	if (target)
		vcpu_notify(target, REQ_UNHALT);
	return 0;
}

/* The CPUs of a bitmap whose bit 0 is APIC ID a[2]; a[3] as the low half of an ICR. How many have taken it. */
static s64 send_ipi(struct vcpu *v, const struct kvm_args *args)
{
	struct apic_msg msg;
	unsigned half;
	s64 taken = 0;

	if (args->a[3] & VLAPIC_ICR_DESTINATION)
		return -KVM_EINVAL;
	if (!vlapic_icr_message((u32)args->a[3], &msg))
		return 0;
	for (half = 0; half < 2; half++) {
		u64 first = (u32)args->a[2] + (u64)half * args->bits, map;

		for (map = args->a[half]; map; map &= map - 1) {
			struct vcpu *target = find(v, first + (unsigned)__builtin_ctzll(map));

			if (target)
				taken += apic_bus_send_to(target, &msg);
		}
	}
	return taken;
}

/* It waits for that one, which waits for this CPU of the host. */
static s64 give_way(struct vcpu *v, const struct kvm_args *args)
{
	struct vcpu *target = find(v, args->a[0]);

	if (target && target != v &&
	    sched_yield_to(&v->vm->hv->sched, v->cpu, &target->task, host_ticks()))
		vcpu_request(v, REQ_SCHED);
	return 0;
}

static const struct {
	u64 number;
	kvm_call_fn *call;
} kvm_call_rows[] = {
	{KVM_HC_KICK_CPU, kick_cpu},
	{KVM_HC_SEND_IPI, send_ipi},
	{KVM_HC_SCHED_YIELD, give_way},
};

s64 kvm_call(struct vcpu *v, u64 number, u64 mask)
{
	struct kvm_args args = {{v->gpr[GPR_RBX] & mask, v->gpr[GPR_RCX] & mask,
				 v->gpr[GPR_RDX] & mask, v->gpr[GPR_RSI] & mask},
				mask >> 32 ? 64 : 32};
	unsigned i;

	if (vcpu_reg(v, VREG_CPL))
		return -KVM_EPERM;
	for (i = 0; i < ARRAY_SIZE(kvm_call_rows); i++)
		if (kvm_call_rows[i].number == number)
			return kvm_call_rows[i].call(v, &args);
	return -KVM_ENOSYS;
}
