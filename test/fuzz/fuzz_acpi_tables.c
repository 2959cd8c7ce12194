/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables: the input is the machine's memory from 64 KiB on, with the RSDP first. Checksums are made right on the
 * way, or no input would come far.
 */
/* SOURCES: arch/host/acpi_tables.c */
#include <string.h>

#include "arch/host/acpi_tables.h"

#include "input.h"

static const u8 signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};

#define BASE 0x10000u

struct memory {
	u8 *mem;
	size_t size;
	void *mapped[256];
	unsigned count;
};

/* A copy of its own for each mapping, so that one byte too far is seen; summing to 0. */
static const u8 *map(void *ctx, hpa_t pa, u64 size)
{
	struct memory *m = ctx;
	u8 *p, sum = 0;

	if (pa < BASE || pa - BASE >= m->size || size > m->size - (pa - BASE) || m->count == 256)
		return NULL;
	p = malloc(size ? size : 1);
	INVARIANT(p);
	m->mapped[m->count++] = p;
	memcpy(p, m->mem + (pa - BASE), size);
	if (size >= 36) {
		for (u64 i = 0; i < size; i++)
			sum = (u8)(sum + p[i]);
		p[9] = (u8)(p[9] - sum);
	}
	return p;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct memory m = {.size = size};
	const struct acpi_mem mem = {.map = map, .ctx = &m};
	struct acpi_info info;
	u8 rsdp[ACPI_RSDP_MAX], sum = 0, a = 0, b = 0;

	if (size < ACPI_RSDP_MAX)
		return 0;
	m.mem = malloc(size);
	INVARIANT(m.mem);
	memcpy(m.mem, data, size);
	memcpy(rsdp, data, sizeof(rsdp));
	memcpy(rsdp, signature, sizeof(signature));
	for (unsigned i = 0; i < ACPI_RSDP_MIN; i++)
		sum = (u8)(sum + rsdp[i]);
	rsdp[8] = (u8)(rsdp[8] - sum);
	if (acpi_parse(&info, &mem, rsdp, sizeof(rsdp))) {
		INVARIANT(info.ioapics <= ACPI_IOAPICS_MAX);
		INVARIANT(info.overrides <= ACPI_OVERRIDES_MAX);
		INVARIANT(info.pm1a_cnt.space != ACPI_SPACE_IO || info.pm1a_cnt.addr <= 0xffff);
		INVARIANT(info.reset.space != ACPI_SPACE_IO || info.reset.addr <= 0xffff);
		if (acpi_find_s5(&info, &mem, &a, &b))
			INVARIANT(a <= 7 && b <= 7);
	}
	(void)acpi_rsdp_search_efi(&mem, BASE, rsdp);
	(void)acpi_rsdp_search(&mem, rsdp);
	while (m.count)
		free(m.mapped[--m.count]);
	free(m.mem);
	return 0;
}
