/* SPDX-License-Identifier: MIT */
/*
 * External interrupts of a PIC: the CPU asks it for the vector when it takes one (SDM vol. 3 "External Interrupts", "ExtINT" of
 * "Local Vector Table"). They come to the first CPU's pin LINT0, and by pin 0 of the I/O APIC to whom that says: MultiProcessor
 * specification 1.4 "PIC Mode", "Virtual Wire Mode". Neither TPR nor ISR of a local APIC has a say in them.
 */
#include "core.h"

bool extint_waits(const struct vcpu *v)
{
	if (v->extint_kept >= 0 || v->extint_sent)
		return true;
	return unlikely(__atomic_load_n(&v->vm->pic_int, __ATOMIC_ACQUIRE)) && !v->id &&
	       vlapic_takes_extint(&v->lapic);
}

u8 extint_take(struct vcpu *v)
{
	struct vm *vm = v->vm;
	int vector = v->extint_kept;

	if (vector >= 0) {
		v->extint_kept = -1;
		return (u8)vector;
	}
	v->extint_sent = false;
	vm_devices_lock(vm);
	vector = vpic_ack(&vm->pic);
	vm_devices_unlock(vm);
	return (u8)vector;
}

/* Under the devices' lock, from whichever vcpu. Pin 0 of the I/O APIC is wired to it, too. */
void extint_pin(void *ctx, unused unsigned pin, bool level)
{
	struct vm *vm = ctx;

	__atomic_store_n(&vm->pic_int, level, __ATOMIC_RELEASE);
	vioapic_set_pin(&vm->ioapic, 0, level);
	if (!level)
		return;
	/* Where there is one vcpu its devices act on its CPU, in root mode. */
	if (vm->cpus == 1)
		vcpu_request(&vm->vcpu[0], REQ_PIC);
	else
		vcpu_notify(&vm->vcpu[0], REQ_PIC);
}
