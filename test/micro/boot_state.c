/* SPDX-License-Identifier: MIT */
/*
 * What a kernel finds at its 64-bit entry: the zero page with a memory map that is true, the ACPI root pointer, the boot protocol's
 * segments and control registers, all RAM cleared. Linux Documentation/arch/x86/boot.rst, "64-bit Boot Protocol" and zero-page.rst.
 */
#include "micro.h"

struct e820 {
	u64 base, size;
	u32 type;
} packed;

extern u64 micro_zero_page;

static u64 ram_end;

static void memory_map(const u8 *zero)
{
	const struct e820 *e = (const struct e820 *)(zero + 0x2d0);
	unsigned n = zero[0x1e8], i;
	bool kernel = false;

	check(n >= 2 && n <= 128, "%u entries in the memory map", n);
	for (i = 0; i < n; i++) {
		check(e[i].size, "entry %u of the memory map is empty", i);
		check(!i || e[i].base >= e[i - 1].base + e[i - 1].size,
		      "entries %u and %u overlap or are not sorted", i - 1, i);
		if (e[i].type != 1)
			continue;
		if (e[i].base <= 0x1000000 && e[i].base + e[i].size > 0x1000000)
			kernel = true;
		if (e[i].base < 0x100000000ULL)
			ram_end = e[i].base + e[i].size;
		/* Both ends of it are there and hold what is written. */
		if (e[i].base >= 0x100000) {
			u64 last = e[i].base + e[i].size - 8;

			write64(last, 0x5aa5f00f12345678ULL);
			check_equal("the last quadword of a RAM range", read64(last),
				    0x5aa5f00f12345678ULL);
			check_equal("what is behind a RAM range",
				    read64(last + 8) == 0x5aa5f00f12345678ULL, 0);
		}
	}
	check(kernel, "the kernel's own memory is not in the map");
}

static void acpi(const u8 *zero)
{
	u64 rsdp = *(const u64 *)(zero + 0x70), xsdt;
	u8 sum = 0;
	unsigned i;

	check(rsdp >= 0xe0000 && rsdp < 0x100000, "acpi_rsdp_addr is 0x%llx",
	      (unsigned long long)rsdp);
	check(memory_equal((void *)rsdp, "RSD PTR ", 8), "no RSDP where acpi_rsdp_addr says");
	for (i = 0; i < 36; i++)
		sum += read8(rsdp + i);
	check_equal("checksum of the RSDP", sum, 0);
	xsdt = read64(rsdp + 24);
	check(memory_equal((void *)xsdt, "XSDT", 4), "no XSDT where the RSDP says");
}

static void cleared(void)
{
	u64 at;

	for (at = 0x2000000; at < ram_end - 8; at += 0x100000 - 8)
		check(!read64(at), "RAM at 0x%llx holds 0x%llx", (unsigned long long)at,
		      (unsigned long long)read64(at));
}

void test(void)
{
	const u8 *zero = (const u8 *)micro_zero_page;

	if (!zero)
		skip("there is no zero page");
	check(memory_equal(zero + 0x202, "HdrS", 4), "the zero page has no setup header");
	check(zero[0x210], "type_of_loader is 0");
	check(*(const u32 *)(zero + 0x228) && *(const u32 *)(zero + 0x228) < 0xa0000,
	      "cmd_line_ptr is 0x%x", *(const u32 *)(zero + 0x228));
	memory_map(zero);
	acpi(zero);
	cleared();
	check(read_cr0() & CR0_PG && read_cr0() & CR0_PE && read_cr4() & CR4_PAE,
	      "CR0 0x%llx, CR4 0x%llx", (unsigned long long)read_cr0(),
	      (unsigned long long)read_cr4());
	check_equal("RFLAGS.IF", read_rflags() & RFLAGS_IF, 0);
	check_equal("IA32_APIC_BASE", rdmsr(MSR_APIC_BASE), LAPIC | APIC_BASE_EN | APIC_BASE_BSP);
	check_equal("DR7", read_dr7(), 0x400);
	check_equal("PAT", rdmsr(MSR_PAT), PAT_RESET);
}
