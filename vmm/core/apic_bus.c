/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages between the I/O APIC and the local APICs of one VM, and among the latter (SDM vol. 3
 * "Local and I/O APIC", "Interrupt Distribution Mechanism"). Called by vioapic.c and by the local APICs' callbacks.
 */
#include "core.h"

/* To a vcpu that may be running on another CPU, or on none. */
static bool send_to(struct vcpu *v, const struct apic_msg *msg)
{
	switch (msg->mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (!vlapic_post(&v->lapic, msg->vector, msg->level))
			return false;
		vcpu_notify(v, REQ_APIC);
		return true;
	case APIC_NMI:
		vcpu_notify(v, REQ_NMI);
		return true;
	case APIC_INIT:
		/* What came before and has not been looked at is lost by it; what comes after is not. */
		__atomic_fetch_and(&v->requests,
				   ~(u32)(REQ_NMI | REQ_SIPI | REQ_UNHALT | REQ_EXTINT),
				   __ATOMIC_ACQ_REL);
		vcpu_notify(v, REQ_INIT);
		return true;
	case APIC_STARTUP:
		__atomic_store_n(&v->sipi_vector, msg->vector, __ATOMIC_RELEASE);
		vcpu_notify(v, REQ_SIPI);
		return true;
	default:
		return false; /* SMI: the machine has no SMM */
	}
}

bool apic_bus_send_to(struct vcpu *v, const struct apic_msg *msg)
{
	if (!v->lapic.hw_enabled)
		return false;
	if (unlikely(msg->mode == APIC_EXTINT)) {
		if (!v->vm->machine.pic)
			return false;
		vcpu_notify(v, REQ_EXTINT);
		return true;
	}
	return v->vm->cpus == 1 ? vlapic_deliver(&v->lapic, msg) : send_to(v, msg);
}

/*
 * Lowest priority goes to one of the CPUs addressed; the SDM leaves which to the platform where priorities tie. The one that
 * already has the fewest interrupts in service is not worth looking for: the first. A physical destination is one CPU, whose
 * APIC ID is its place, or all: beyond the CPUs that there may be lie no others.
 */
bool apic_bus_deliver(struct vm *vm, const struct apic_msg *msg, const struct vlapic *except)
{
	bool one = !msg->logical && msg->dest < vm->cpus, taken = false;
	unsigned i = one ? msg->dest : 0, end = one ? i + 1 : vm->cpus;

	for (; i < end; i++) {
		struct vlapic *l = &vm->vcpu[i].lapic;

		if (l == except || !vlapic_matches(l, msg))
			continue;
		taken |= apic_bus_send_to(&vm->vcpu[i], msg);
		if (msg->mode == APIC_LOWEST && taken)
			break;
	}
	return taken;
}

bool apic_bus_send(void *vm, const struct apic_msg *msg)
{
	return apic_bus_deliver(vm, msg, NULL);
}
