/* SPDX-License-Identifier: MIT */
/*
 * What Havoc wants from the machine's ACPI tables, found without AML: where the I/O APICs are, the PM timer, how to
 * reset, how to power off. PURE: memory is reached through a callback, so that tests and a fuzzer supply their own.
 */
#ifndef ARCH_HOST_ACPI_TABLES_H
#define ARCH_HOST_ACPI_TABLES_H

#include <vmm/types.h>

#define ACPI_RSDP_MIN      20
#define ACPI_RSDP_MAX      36
#define ACPI_IOAPICS_MAX   8
#define ACPI_OVERRIDES_MAX 16
#define ACPI_CPUS_MAX      64

/* Physical memory, read only. */
struct acpi_mem {
	/* `size` bytes at `pa`, or NULL if that cannot be. Valid until the tables are done with. */
	const u8 *(*map)(void *ctx, hpa_t pa, u64 size);
	void *ctx;
};

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

/* Generic address structure; addr 0: there is none. */
struct acpi_reg {
	u8 space; /* enum acpi_space */
	u64 addr;
};

struct acpi_ioapic {
	u8 id;
	u64 addr;
	u32 gsi_base;
};

/* MADT interrupt source override: ISA IRQ to global system interrupt. */
struct acpi_override {
	u8 irq;
	u32 gsi;
	bool active_low, level;
};

struct acpi_info {
	bool valid; /* FADT and MADT were looked for, what was found is below */
	/* MADT */
	bool has_madt;
	unsigned cpus;          /* enabled ones, each listed once */
	u32 cpu[ACPI_CPUS_MAX]; /* their APIC IDs, in the order of the table */
	unsigned cpus_dropped;  /* those for which there was no room */
	unsigned ioapics;
	struct acpi_ioapic ioapic[ACPI_IOAPICS_MAX];
	unsigned overrides;
	struct acpi_override override[ACPI_OVERRIDES_MAX];
	/* The IOMMUs' tables: Intel's VT-d, AMD-Vi */
	bool has_dmar, has_ivrs;
	/* FADT */
	bool has_fadt;
	bool hw_reduced;
	bool no_8042; /* it says that there is no keyboard controller */
	u16 pm_timer; /* port, 0: none */
	bool pm_timer_32;
	struct acpi_reg pm1a_cnt, pm1b_cnt, sleep_control, reset;
	u8 reset_value;
	u16 smi_cmd;
	u8 acpi_enable;
	u8 century; /* CMOS index of the century, 0: none */
	hpa_t dsdt;
	hpa_t root; /* of the RSDT or XSDT */
	bool root_is_xsdt;
};

/* `len` bytes of a candidate: signature and checksum. */
bool acpi_rsdp_valid(const u8 *rsdp, size_t len);
/* Copies the RSDP found in the BIOS areas, or in the EFI system table at `efi` (not 0). 0: none; else its length. */
unsigned acpi_rsdp_search(const struct acpi_mem *m, u8 out[ACPI_RSDP_MAX]);
unsigned acpi_rsdp_search_efi(const struct acpi_mem *m, u64 efi, u8 out[ACPI_RSDP_MAX]);
/* False if there is no usable root table. */
bool acpi_parse(struct acpi_info *a, const struct acpi_mem *m, const u8 *rsdp, size_t len);
/* SLP_TYP of the soft-off state from the package \_S5 in DSDT or SSDTs. Reads them whole: only at the end. */
bool acpi_find_s5(const struct acpi_info *a, const struct acpi_mem *m, u8 *typ_a, u8 *typ_b);

#endif
