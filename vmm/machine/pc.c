/* SPDX-License-Identifier: MIT */
/*
 * The device table of a PC: one row a device, in the order in which they are made. Each create() claims bus regions by the
 * machine description, which may say that there is no such device, and hands it its lines. To add a device: its file in
 * vmm/dev/, and a row here.
 */
#include <vmm/errno.h>
#include <vmm/host.h>
#include <vmm/vm.h>

#include "../core/core.h"

/* An ISA interrupt is wired to the PIC and to the I/O APIC; a kernel uses one of them, and masks the other. */
static void isa_irq_set(void *ctx, unsigned irq, bool level)
{
	struct vm *vm = ctx;

	if (vm->machine.pic)
		vpic_set_irq(&vm->pic, irq, level);
	vioapic_set_pin(&vm->ioapic, irq == MACHINE_PIT_IRQ ? MACHINE_PIT_PIN : irq, level);
}

static struct irq_line vm_irq(struct vm *vm, unsigned irq)
{
	if (vm->machine.pic)
		return (struct irq_line){.set = isa_irq_set, .ctx = vm, .pin = irq};
	return (struct irq_line){.set = vioapic_set_pin, .ctx = &vm->ioapic, .pin = irq};
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

/* ---- PIC ---------------------------------------------------------------------------------- */

static int pic_create(struct vm *vm)
{
	const struct irq_line out = {.set = extint_pin, .ctx = vm};
	int ret;

	if (!vm->machine.pic)
		return 0;
	vpic_init(&vm->pic, &out);
	ret = claim(vm, &vm->pio, 0x20, 2, &vpic_bus_ops, &vm->pic.chip[0], "pic");
	if (!ret)
		ret = claim(vm, &vm->pio, 0xa0, 2, &vpic_bus_ops, &vm->pic.chip[1], "pic");
	if (!ret)
		ret = claim(vm, &vm->pio, 0x4d0, 2, &vpic_elcr_bus_ops, &vm->pic, "pic-triggers");
	return ret;
}

/* The SCI is shared and level-triggered, as firmware sets it: ICH data sheets "ELCR". */
static void pic_reset(struct vm *vm)
{
	if (!vm->machine.pic)
		return;
	vpic_reset(&vm->pic);
	vpic_elcr_bus_ops.write(&vm->pic, vm->machine.sci_irq / 8, 1, BIT(vm->machine.sci_irq % 8));
}

/* ---- PIT and HPET ------------------------------------------------------------------------- */

/* In legacy mode the HPET's first two timers have the PIT's and the RTC's interrupts. */
static void muted_by_hpet(void *ctx, unsigned irq, bool level)
{
	struct vm *vm = ctx;

	if (!vm->machine.hpet || !vhpet_legacy(&vm->hpet))
		isa_irq_set(vm, irq, level);
}

static void hpet_irq_set(void *ctx, unsigned pin, bool level)
{
	struct vm *vm = ctx;

	if (pin == VHPET_PIN_PIT)
		pin = MACHINE_PIT_IRQ;
	if (pin == VHPET_PIN_RTC || pin == MACHINE_PIT_IRQ)
		isa_irq_set(vm, pin, level);
	else
		vioapic_set_pin(&vm->ioapic, pin, level);
}

static int hpet_create(struct vm *vm)
{
	const struct irq_line irq = {.set = hpet_irq_set, .ctx = vm};

	if (!vm->machine.hpet)
		return 0;
	vhpet_init(&vm->hpet, vm->clock, &irq);
	return claim(vm, &vm->mmio, MACHINE_HPET_BASE, MACHINE_HPET_SIZE, &vhpet_bus_ops, &vm->hpet,
		     "hpet");
}

static void hpet_reset(struct vm *vm)
{
	if (vm->machine.hpet)
		vhpet_reset(&vm->hpet);
}

static int pit_create(struct vm *vm)
{
	const struct irq_line irq = {.set = muted_by_hpet, .ctx = vm, .pin = MACHINE_PIT_IRQ};
	int ret;

	if (!vm->machine.pit)
		return 0;
	vpit_init(&vm->pit, vm->clock, &irq);
	ret = claim(vm, &vm->pio, 0x40, 4, &vpit_bus_ops, &vm->pit, "pit");
	return ret ? ret : claim(vm, &vm->pio, 0x61, 1, &vpit_port61_bus_ops, &vm->pit, "speaker");
}

static void pit_reset(struct vm *vm)
{
	if (vm->machine.pit)
		vpit_reset(&vm->pit);
}

/* ---- UART --------------------------------------------------------------------------------- */

static int uart_create(struct vm *vm)
{
	struct irq_line irq = vm_irq(vm, vm->machine.uart_irq);

	if (!vm->machine.uart_port)
		return 0;
	vuart_init(&vm->uart, &vm->console.dev, &irq);
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

	if (vm->machine.hpet)
		irq = (struct irq_line){.set = muted_by_hpet, .ctx = vm, .pin = irq.pin};
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
	if (!ret && !vm->machine.pci)
		ret = claim(vm, &vm->pio, 0xcf9, 1, &vpm_cf9_bus_ops, &vm->pm, "reset-control");
	if (ret || vm->machine.kbc)
		return ret;
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

/* ---- Keyboard controller ------------------------------------------------------------------ */

static const struct vkbc_ops kbc_ops = {.reset = power_reset};

static int kbc_create(struct vm *vm)
{
	const struct irq_line keyboard = vm_irq(vm, 1), mouse = vm_irq(vm, 12);
	int ret;

	if (!vm->machine.kbc)
		return 0;
	vkbc_init(&vm->kbc, &keyboard, &mouse, &kbc_ops, vm);
	ret = claim(vm, &vm->pio, 0x60, 1, &vkbc_data_bus_ops, &vm->kbc, "keyboard");
	if (!ret)
		ret = claim(vm, &vm->pio, 0x64, 1, &vkbc_command_bus_ops, &vm->kbc, "keyboard");
	if (!ret)
		ret = claim(vm, &vm->pio, 0x92, 1, &vkbc_port92_bus_ops, &vm->kbc, "port92");
	return ret;
}

static void kbc_reset(struct vm *vm)
{
	if (vm->machine.kbc)
		vkbc_reset(&vm->kbc);
}

/* ---- PCI ---------------------------------------------------------------------------------- */

static int pci_create(struct vm *vm)
{
	int ret;

	if (!vm->machine.pci)
		return 0;
	vpci_init(&vm->pci, MACHINE_ECAM_SIZE / VPCI_ECAM_BUS_SIZE, &vpm_cf9_bus_ops, &vm->pm);
	ret = claim(vm, &vm->pio, VPCI_ADDRESS_PORT, 4, &vpci_address_bus_ops, &vm->pci,
		    "pci-address");
	if (!ret)
		ret = claim(vm, &vm->pio, VPCI_DATA_PORT, 4, &vpci_data_bus_ops, &vm->pci,
			    "pci-data");
	return ret ? ret :
		     claim(vm, &vm->mmio, MACHINE_ECAM_BASE, MACHINE_ECAM_SIZE, &vpci_ecam_bus_ops,
			   &vm->pci, "pci-ecam");
}

static void pci_reset(struct vm *vm)
{
	if (vm->machine.pci)
		vpci_reset(&vm->pci);
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
	int ret;

	if (vm->machine.pit)
		return 0;
	ret = claim(vm, &vm->pio, 0x40, 4, &zero_ops, NULL, "no-pit");

	return ret ? ret : claim(vm, &vm->pio, 0x61, 1, &port61_ops, NULL, "no-speaker");
}

const struct vm_device pc_devices[] = {
	{"ioapic", ioapic_create, ioapic_reset},
	{"pic", pic_create, pic_reset},
	{"hpet", hpet_create, hpet_reset},
	{"pit", pit_create, pit_reset},
	{"uart", uart_create, uart_reset},
	{"rtc", rtc_create, rtc_reset},
	{"power", power_create, power_reset_device},
	{"keyboard", kbc_create, kbc_reset},
	{"pci", pci_create, pci_reset},
	{"absent", absent_create, NULL},
	{"exit-port", exit_create, NULL},
	{NULL, NULL, NULL},
};
