/* SPDX-License-Identifier: MIT */
/*
 * The device table of the legacy-free PC: one row a device, in the order in which they are made. Each create()
 * claims bus regions by the machine description and hands the device its lines. To add a device: its file in vmm/dev/, and a row here.
 */
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/vm.h>

#include "../core/core.h"

static struct irq_line vm_irq(struct vm *vm, unsigned pin)
{
	return (struct irq_line){.set = vioapic_set_pin, .ctx = &vm->ioapic, .pin = pin};
}

/* Of a VM with several CPUs each access is one at a time. */
static u64 locked_read(void *dev, u64 offset, unsigned size)
{
	struct locked_region *r = dev;
	u64 value;

	spin_lock(r->lock);
	value = r->ops->read(r->dev, offset, size);
	spin_unlock(r->lock);
	return value;
}

static void locked_write(void *dev, u64 offset, unsigned size, u64 value)
{
	struct locked_region *r = dev;

	spin_lock(r->lock);
	r->ops->write(r->dev, offset, size, value);
	spin_unlock(r->lock);
}

static const struct bus_ops locked_ops = {.read = locked_read, .write = locked_write};

static int claim(struct vm *vm, struct bus *bus, u64 base, u64 size, const struct bus_ops *ops,
		 void *dev, const char *name)
{
	struct locked_region *r;

	if (vm->cpus > 1) {
		if (vm->locked_count == VM_LOCKED_MAX)
			return -HV_ENOSPC;
		r = &vm->locked[vm->locked_count++];
		*r = (struct locked_region){&vm->dev_lock, ops, dev};
		ops = &locked_ops;
		dev = r;
	}
	return bus_claim(bus, &(struct bus_region){base, size, ops, dev, name});
}

/* ---- I/O APIC ------------------------------------------------------------------------------- */

static int ioapic_create(struct vm *vm)
{
	vioapic_init(&vm->ioapic, (u8)vm->machine.ioapic_id, apic_bus_send, vm);
	return claim(vm, &vm->mmio, VIOAPIC_BASE, VIOAPIC_SIZE, &vioapic_bus_ops, &vm->ioapic,
		     "ioapic");
}

static void ioapic_reset(struct vm *vm)
{
	vioapic_reset(&vm->ioapic);
}

/* ---- UART --------------------------------------------------------------------------------- */

static int uart_create(struct vm *vm)
{
	struct irq_line irq = vm_irq(vm, vm->machine.uart_irq);

	if (!vm->machine.uart_port)
		return 0;
	vuart_init(&vm->uart, &vm->console, &irq);
	return claim(vm, &vm->pio, vm->machine.uart_port, VUART_PORTS, &vuart_bus_ops, &vm->uart,
		     "uart");
}

static void uart_reset(struct vm *vm)
{
	if (vm->machine.uart_port)
		vuart_reset(&vm->uart);
}

/* ---- RTC ---------------------------------------------------------------------------------- */

static int rtc_create(struct vm *vm)
{
	struct irq_line irq = vm_irq(vm, vm->machine.rtc_irq);

	if (!vm->machine.rtc_port)
		return 0;
	vrtc_init(&vm->rtc, vm->clock, host_epoch_ns(), &irq);
	return claim(vm, &vm->pio, vm->machine.rtc_port, 2, &vrtc_bus_ops, &vm->rtc, "rtc");
}

static void rtc_reset(struct vm *vm)
{
	if (vm->machine.rtc_port)
		vrtc_reset(&vm->rtc);
}

/* ---- Power -------------------------------------------------------------------------------- */

static void power_off(void *ctx)
{
	vm_request_poweroff(ctx);
}

static void power_reset(void *ctx, const char *how)
{
	vm_request_reset(ctx, how);
}

static const struct vpm_ops power_ops = {.poweroff = power_off, .reset = power_reset};

static int power_create(struct vm *vm)
{
	struct irq_line sci = vm_irq(vm, vm->machine.sci_irq);
	int ret;

	vpm_init(&vm->pm, vm->clock, &sci, &power_ops, vm);
	ret = claim(vm, &vm->pio, vm->machine.pm_base, VPM_SIZE, &vpm_acpi_bus_ops, &vm->pm,
		    "acpi-pm");
	if (!ret)
		ret = claim(vm, &vm->pio, 0xcf9, 1, &vpm_cf9_bus_ops, &vm->pm, "reset-control");
	if (!ret)
		ret = claim(vm, &vm->pio, 0x64, 1, &vpm_kbc_bus_ops, &vm->pm, "keyboard-reset");
	if (!ret)
		ret = claim(vm, &vm->pio, 0x92, 1, &vpm_port92_bus_ops, &vm->pm, "port92");
	return ret;
}

static void power_reset_device(struct vm *vm)
{
	vpm_reset(&vm->pm);
}

/* ---- Exit port ---------------------------------------------------------------------------- */

static u64 exit_read(unused void *dev, unused u64 offset, unsigned size)
{
	return BIT(8 * size) - 1;
}

static void exit_write(void *dev, u64 offset, unused unsigned size, u64 value)
{
	if (!offset)
		vm_request_exit(dev, (u32)value);
}

static const struct bus_ops exit_ops = {.read = exit_read, .write = exit_write};

/* The last one: a port that another device has is refused. */
static int exit_create(struct vm *vm)
{
	return vm->exit_port ? claim(vm, &vm->pio, vm->exit_port, 4, &exit_ops, vm, "exit-port") :
			       0;
}

/* ---- What is not there ------------------------------------------------------------------------ */

/*
 * Ports of an absent PIT read as zero: a kernel that probes them spins on all ones for a hundred thousand reads, waiting
 * for a counter to end.
 */
static u64 zero_read(unused void *dev, unused u64 offset, unused unsigned size)
{
	return 0;
}

static void zero_write(unused void *dev, unused u64 offset, unused unsigned size, unused u64 value)
{
}

/* Bit 5 is the output of counter 2, always at its end: older kernels wait for it without a bound. */
static u64 port61_read(unused void *dev, unused u64 offset, unused unsigned size)
{
	return BIT(5);
}

static const struct bus_ops port61_ops = {.read = port61_read, .write = zero_write};
static const struct bus_ops zero_ops = {.read = zero_read, .write = zero_write};

static int absent_create(struct vm *vm)
{
	int ret = claim(vm, &vm->pio, 0x40, 4, &zero_ops, NULL, "no-pit");

	return ret ? ret : claim(vm, &vm->pio, 0x61, 1, &port61_ops, NULL, "no-speaker");
}

const struct vm_device pc_devices[] = {
	{"ioapic", ioapic_create, ioapic_reset},
	{"uart", uart_create, uart_reset},
	{"rtc", rtc_create, rtc_reset},
	{"power", power_create, power_reset_device},
	{"absent", absent_create, NULL},
	{"exit-port", exit_create, NULL},
	{NULL, NULL, NULL},
};
