/* SPDX-License-Identifier: MIT */
/*
 * The machine's ACPI tables, found and read into host.acpi. Called by boot/main.c once, and by power.c at the end. The
 * parsing is in acpi_tables.c; here is only how physical memory is reached: read-only, mapped as far as it is not.
 */
#include "arch/host/host.h"

#include <vmm/host.h>
#include <vmm/log.h>

/* No single table, and no list of tables, is larger. */
#define MAP_MAX MiB(16)

static const u8 *mem_map(unused void *ctx, hpa_t pa, u64 size)
{
	if (pa == 0 || size > MAP_MAX)
		return NULL;
	return paging_map_phys(pa, size, PT_READ, PT_WB);
}

static const struct acpi_mem mem = {.map = mem_map};

const struct acpi_mem *acpi_mem(void)
{
	return &mem;
}

void acpi_init(const u8 *rsdp, size_t len, u64 efi)
{
	u8 found[ACPI_RSDP_MAX];

	if (len && acpi_parse(&host.acpi, &mem, rsdp, len))
		return;
	len = efi ? acpi_rsdp_search_efi(&mem, efi, found) : 0;
	if (!len)
		len = acpi_rsdp_search(&mem, found);
	if (len && acpi_parse(&host.acpi, &mem, found, len))
		return;
	log_warn("no ACPI tables were found: the machine cannot be powered off by software");
}
