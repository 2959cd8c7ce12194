/* SPDX-License-Identifier: MIT */
/*
 * The machine description: where a guest's memory and devices lie. Called once by vm_create(); the
 * loaders, the ACPI and MP tables, the bus regions and CPUID read it. The numbers are those of
 * machine.h, machine_io.h and of docs/memory-map.md; ACPI specification "System Address Map
 * Interfaces" for the e820 types.
 */
#include <vmm/errno.h>
#include <vmm/machine.h>

_Static_assert(sizeof(struct e820_entry) == 20, "the boot protocol's and BIOS's layout");

static void e820_add(struct machine *m, u64 base, u64 end, enum e820_type type)
{
	if (base < end)
		m->e820[m->e820_count++] = (struct e820_entry){base, end - base, type};
}

static void e820_drop(struct machine *m, u64 base)
{
	unsigned i = 0;

	while (i < m->e820_count && m->e820[i].base != base)
		i++;
	for (; i + 1 < m->e820_count; i++)
		m->e820[i] = m->e820[i + 1];
	m->e820_count = i;
}

/*
 * Local APICs have the numbers of their CPUs, and the I/O APIC the first one behind them, as MP
 * specification 1.4 "I/O APIC Entries" wants it; but its register has four bits (82093AA data sheet
 * "IOAPICID"), and 15 is the broadcast of old buses. Beyond, 0: on CPUs whose APICs have no bus of
 * their own nobody is addressed by that number, and KVM and QEMU number theirs so too.
 */
static u32 ioapic_id(unsigned cpus)
{
	return cpus < 15 ? cpus : 0;
}

int machine_describe(struct machine *m, const char *name, unsigned cpus, u64 mem_size)
{
	if (cpus < 1 || cpus > MACHINE_CPUS_MAX || !IS_ALIGNED(mem_size, PAGE_SIZE))
		return -HV_EINVAL;
	if (mem_size < MACHINE_MEM_MIN || mem_size > MACHINE_MEM_MAX)
		return -HV_EINVAL;
	*m = (struct machine){
		.name = name,
		.cpus = cpus,
		.mem_size = mem_size,
		.mem_low = MIN(mem_size, MACHINE_HOLE_BASE),
		.mem_high = mem_size - MIN(mem_size, MACHINE_HOLE_BASE),
		.ioapic_id = ioapic_id(cpus),
		.uart_port = MACHINE_UART_PORT,
		.uart_irq = MACHINE_UART_IRQ,
		.rtc_port = MACHINE_RTC_PORT,
		.rtc_irq = MACHINE_RTC_IRQ,
		.sci_irq = MACHINE_SCI_IRQ,
		.pm_base = MACHINE_PM_BASE,
		.rsdp = MACHINE_BIOS_BASE,
		.mp_float = MACHINE_EBDA,
		.pic = true,
		.pit = true,
		.kbc = true,
		.pci = true,
		.hpet = true,
	};
	/*
	 * The slot of low memory begins at 0 and is RAM throughout; what holds the MP and ACPI
	 * tables, and what is VGA and ROM on a PC, is reserved.
	 */
	e820_add(m, 0, MACHINE_LOW_END, E820_RAM);
	e820_add(m, MACHINE_LOW_END, MACHINE_BIOS_END, E820_RESERVED);
	e820_add(m, MACHINE_BIOS_END, m->mem_low, E820_RAM);
	/* PCI Firmware specification "MCFG Table Description": ECAM is reserved in the memory map, if by nothing else. */
	e820_add(m, MACHINE_ECAM_BASE, MACHINE_ECAM_BASE + MACHINE_ECAM_SIZE, E820_RESERVED);
	e820_add(m, MACHINE_HIGH_BASE, MACHINE_HIGH_BASE + m->mem_high, E820_RAM);
	return 0;
}

void machine_leave_out(struct machine *m, u32 devices)
{
	if (devices & MACHINE_SERIAL)
		m->uart_port = 0;
	if (devices & MACHINE_RTC)
		m->rtc_port = 0;
	if (devices & MACHINE_LEGACY)
		m->pic = m->pit = m->kbc = false;
	if (devices & MACHINE_HPET)
		m->hpet = false;
	if (devices & MACHINE_PCI && m->pci) {
		m->pci = false;
		e820_drop(m, MACHINE_ECAM_BASE);
	}
}
