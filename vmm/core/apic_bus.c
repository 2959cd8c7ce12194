/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages between the I/O APIC and the local APICs of one VM, and among the latter (SDM vol. 3
 * "Local and I/O APIC", "Interrupt Distribution Mechanism"). Called by vioapic.c and by the local APICs' callbacks.
 */
#include "core.h"

/*
 * Lowest priority goes to one of the CPUs addressed; the SDM leaves which to the platform where priorities tie. The one that
 * already has the fewest interrupts in service is not worth looking for: the first.
 */
bool apic_bus_deliver(struct vm *vm, const struct apic_msg *msg, const struct vlapic *except)
{
	bool taken = false;
	unsigned i;

	for (i = 0; i < vm->cpus; i++) {
		struct vlapic *l = &vm->vcpu[i].lapic;

		if (l == except || !vlapic_matches(l, msg))
			continue;
		taken |= vlapic_deliver(l, msg);
		if (msg->mode == APIC_LOWEST && taken)
			break;
	}
	return taken;
}

bool apic_bus_send(void *vm, const struct apic_msg *msg)
{
	return apic_bus_deliver(vm, msg, NULL);
}
