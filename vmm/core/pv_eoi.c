/* SPDX-License-Identifier: MIT */
/*
 * KVM's paravirtual end of interrupt (Linux, Documentation/virt/kvm/x86/msr.rst: MSR_KVM_EOI_EN): with an interrupt whose EOI
 * would do nothing but clear its bit in ISR, bit 0 of a word in the guest's memory is set. A guest that finds it set clears it
 * instead of writing to its local APIC, which would be an exit. Called by event.c when such an interrupt is injected, by the
 * local APIC before it looks at ISR or changes IRR, and by msr.c.
 *
 * The word is touched only while the vcpu is in root mode on the CPU of the caller: nothing here races with the guest.
 */
#include "core.h"

#define PV_EOI_ENABLE   BIT(0)
#define PV_EOI_RESERVED BIT(1)
#define PV_EOI_BIT      1

/* NULL: no memory. The guest chose the address, and it was RAM then; but an address is never trusted for long. */
static u8 *guest_word(struct vcpu *v, u64 msr)
{
	return gmem_ptr_fast(&v->vm->gmem, msr & ~(u64)PV_EOI_ENABLE, sizeof(u32));
}

void pv_eoi_offer(struct vcpu *v)
{
	u8 *word;

	if (!(v->pv_eoi_msr & PV_EOI_ENABLE) || !vlapic_eoi_is_plain(&v->lapic))
		return;
	word = guest_word(v, v->pv_eoi_msr);
	if (!word)
		return;
	__atomic_store_n(word, *word | PV_EOI_BIT, __ATOMIC_RELAXED);
	v->lapic.eoi_offered = true;
}

/* As struct vlapic_ops' eoi_settle(). */
bool pv_eoi_settle(void *vcpu)
{
	struct vcpu *v = vcpu;
	u8 *word = guest_word(v, v->pv_eoi_msr), was;

	if (!word)
		return false;
	was = __atomic_load_n(word, __ATOMIC_RELAXED);
	if (!(was & PV_EOI_BIT))
		return true;
	__atomic_store_n(word, was & (u8)~PV_EOI_BIT, __ATOMIC_RELAXED);
	return false;
}

bool pv_eoi_read(struct vcpu *v, unused u32 msr, u64 *value)
{
	*value = v->pv_eoi_msr;
	return true;
}

/* An address that is no RAM is refused by #GP, as KVM does. */
bool pv_eoi_write(struct vcpu *v, unused u32 msr, u64 value)
{
	if (value & PV_EOI_RESERVED || (value & PV_EOI_ENABLE && !guest_word(v, value)))
		return false;
	vlapic_settle_eoi(&v->lapic); /* by the old word, which is not looked at again */
	v->pv_eoi_msr = value;
	return true;
}
