/* SPDX-License-Identifier: MIT */
/*
 * The machine description of a guest: one data structure from which come the bus regions, the MP
 * table, the ACPI tables, the e820 map, the CPUID topology leaves and the boot parameters. Nothing
 * of it is written twice.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <vmm/machine_io.h>
#include <vmm/types.h>

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct e820_entry {
	u64 base, size;
	u32 type;
} packed;

/* Where things lie below 1 MiB and above; the numbers are in docs/memory-map.md. */
#define MACHINE_LOW_END   0x9f800ULL /* conventional memory ends: EBDA, with the MP tables */
#define MACHINE_EBDA      0x9f800ULL /* 2 KiB: the table of all CPUs fits */
#define MACHINE_BIOS_BASE 0xe0000ULL /* RSDP and ACPI tables, reserved in e820 */
#define MACHINE_BIOS_END  0x100000ULL
#define MACHINE_HOLE_BASE 0xc0000000ULL /* RAM below 4 GiB ends here at the latest */
#define MACHINE_HIGH_BASE GiB(4)
#define MACHINE_MEM_MIN   MiB(16)
#define MACHINE_MEM_MAX   GiB(4096)
#define MACHINE_CPUS_MAX  64
#define MACHINE_CPUS_TEXT "64"

#define MACHINE_E820_MAX 8

/* What may be left out. */
#define MACHINE_SERIAL  BIT(0)
#define MACHINE_RTC     BIT(1)
#define MACHINE_HPET    BIT(2)
#define MACHINE_LEGACY  BIT(3) /* PIC, PIT and speaker port, keyboard controller */
#define MACHINE_PCI     BIT(4) /* the host bridge and configuration space */
#define MACHINE_CHOICE  (MACHINE_SERIAL | MACHINE_RTC | MACHINE_HPET) /* device by device */
#define MACHINE_USUAL   MACHINE_HPET                   /* left out unless asked for */
#define MACHINE_MINIMAL (MACHINE_LEGACY | MACHINE_PCI) /* left out of the minimal machine */

struct machine {
	const char *name;
	unsigned cpus;
	u64 mem_size;
	u64 mem_low;  /* RAM below the hole: [0, mem_low) */
	u64 mem_high; /* RAM from MACHINE_HIGH_BASE */
	struct e820_entry e820[MACHINE_E820_MAX];
	unsigned e820_count;
	u32 ioapic_id;
	u16 uart_port, uart_irq; /* uart_port 0: it has none */
	u16 rtc_port, rtc_irq;   /* likewise */
	u16 sci_irq;
	u16 pm_base;
	gpa_t rsdp;         /* of the ACPI tables */
	gpa_t mp_float;     /* of the MP floating pointer */
	bool pic, pit, kbc; /* does the machine have them? */
	bool pci, hpet;
};

/* The PIT's, and in legacy mode the HPET's. */
static inline bool machine_has_irq0(const struct machine *m)
{
	return m->pit || m->hpet;
}

/* The PC with all that it can have. -HV_EINVAL: cpus or mem_size out of range, or mem_size not
 * a multiple of 4 KiB. `name` is kept, not copied. */
int machine_describe(struct machine *m, const char *name, unsigned cpus, u64 mem_size) must_check;
/* MACHINE_* that it does not have after all. */
void machine_leave_out(struct machine *m, u32 devices);

#endif
