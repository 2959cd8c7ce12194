/* SPDX-License-Identifier: MIT */
/*
 * KVM's steal time (Linux, Documentation/virt/kvm/x86/msr.rst: MSR_KVM_STEAL_TIME): the guest names a structure of each vcpu
 * in its memory, in which it finds for how long the vcpu has waited for a CPU of the host, and whether it does just now.
 * To one that waits a sibling need not send an IPI to have its translations flushed (KVM_FEATURE_PV_TLB_FLUSH): it
 * asks for that in the same byte, and the vcpu is entered with none. Called by cpu.c at both ends of a turn, and by msr.c.
 */
#include "core.h"

struct kvm_steal_time {
	u64 steal; /* ns */
	u32 version;
	u32 flags;
	u8 preempted;
	u8 pad8[3];
	u32 pad[11];
};
_Static_assert(sizeof(struct kvm_steal_time) == 64, "kvm_steal_time is 64 bytes");

#define STEAL_ENABLE   BIT(0)
#define STEAL_RESERVED GENMASK(5, 1)
#define STEAL_ADDRESS  GENMASK(63, 6)

#define VCPU_PREEMPTED BIT(0)
#define VCPU_FLUSH_TLB BIT(1)

/* NULL: off, or no memory. By its alignment it is in one page. */
static struct kvm_steal_time *guest_area(struct vcpu *v)
{
	if (!(v->steal.msr & STEAL_ENABLE))
		return NULL;
	return gmem_ptr_fast(&v->vm->gmem, v->steal.msr & STEAL_ADDRESS,
			     sizeof(struct kvm_steal_time));
}

/* In ns as a whole, so that the differences add up. */
static u64 waited_ns(struct vcpu *v)
{
	return clock_ticks_to_ns(&v->clock, v->task.waited);
}

/* Siblings read it too: odd while it changes. The first version may be anything. */
static void add_steal(struct kvm_steal_time *st, u64 ns)
{
	u32 version = (__atomic_load_n(&st->version, __ATOMIC_RELAXED) + 1) | 1;

	__atomic_store_n(&st->version, version, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&st->steal, __atomic_load_n(&st->steal, __ATOMIC_RELAXED) + ns,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&st->version, version + 1, __ATOMIC_RELEASE);
}

void steal_time_resume(struct vcpu *v)
{
	struct kvm_steal_time *st = guest_area(v);
	u64 waited;

	if (likely(!st))
		return;
	/* In one step: a sibling sees that it waits, and the flush is done here; or that it does not, and an IPI comes. */
	if (__atomic_exchange_n(&st->preempted, 0, __ATOMIC_SEQ_CST) & VCPU_FLUSH_TLB)
		v->ops->flush(v);
	waited = waited_ns(v);
	if (waited != v->steal.told)
		add_steal(st, waited - v->steal.told);
	v->steal.told = waited;
}

/*
 * It could go on and may not. One that halts is not preempted: a kernel knows its idle CPUs by itself, and would not choose
 * one that is said to be kept from running.
 */
void steal_time_preempted(struct vcpu *v)
{
	struct kvm_steal_time *st = guest_area(v);

	if (unlikely(st))
		__atomic_fetch_or(&st->preempted, VCPU_PREEMPTED, __ATOMIC_SEQ_CST);
}

bool steal_time_read(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = v->steal.msr;
	return true;
}

/* The address is not looked at before it is used, as KVM does: where there is no memory nothing is written. */
bool steal_time_write(struct vcpu *v, unused u32 msr, u64 value)
{
	if (value & STEAL_RESERVED)
		return false;
	v->steal.msr = value;
	v->steal.told = waited_ns(v);
	steal_time_resume(v);
	return true;
}
