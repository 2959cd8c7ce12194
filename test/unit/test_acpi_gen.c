/* SPDX-License-Identifier: MIT */
/*
 * vmm/load/acpi_gen.c: found as an OS finds them, checksums, every field that a machine description
 * decides; the DSDT's numbers against it; and, where iasl is installed, each table disassembled and
 * compiled again without a word.
 */
/* SOURCES: vmm/load/acpi_gen.c vmm/machine/machine.c vmm/mem/gmem.c vmm/mem/pagetable.c
 * vmm/mem/pt_formats.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/load.h>
#include <vmm/machine.h>
#include <vmm/vhpet.h>
#include <vmm/vioapic.h>
#include <vmm/vlapic.h>
#include "test/mock/mock.h"

static struct pagetable npt;
static struct gmem g;
static struct machine m;
static const u8 *bios; /* guest memory from MACHINE_BIOS_BASE */

static void *table_alloc(void *ctx)
{
	(void)ctx;
	return host_page_zalloc();
}
static void table_free(void *ctx, void *page)
{
	(void)ctx;
	host_page_free(page);
}
static void *table_va(void *ctx, hpa_t pa)
{
	(void)ctx;
	return host_va(pa);
}
static hpa_t table_pa(void *ctx, const void *va)
{
	(void)ctx;
	return host_pa(va);
}
static const struct pt_mem mem = {table_alloc, table_free, table_va, table_pa, NULL};

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	assert_int_equal(pt_init(&npt, &pt_format_ept, &mem, 3), 0);
	gmem_init(&g, &npt);
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(32)), 0);
	assert_int_equal(gmem_add(&g, 0, m.mem_low), 0);
	bios = gmem_ptr(&g, MACHINE_BIOS_BASE, MACHINE_BIOS_END - MACHINE_BIOS_BASE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pt_destroy(&npt);
	gmem_destroy(&g);
	return 0;
}

static u8 sum(const u8 *p, u64 n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + *p++);
	return s;
}

static u64 get(const u8 *p, unsigned at, unsigned size)
{
	u64 v = 0;

	memcpy(&v, p + at, size);
	return v;
}

/* A table by address: inside the reserved area, whole, with a right checksum. */
static const u8 *table_at(u64 gpa, const char *signature)
{
	const u8 *t = bios + (gpa - MACHINE_BIOS_BASE);
	u64 length;

	assert_in_range(gpa, MACHINE_BIOS_BASE, MACHINE_BIOS_END - 36);
	length = get(t, 4, 4);
	assert_true(gpa + length <= MACHINE_BIOS_END);
	assert_memory_equal(t, signature, 4);
	if (strcmp(signature, "FACS"))
		assert_int_equal(sum(t, length), 0);
	return t;
}

static const u8 *rsdp(void)
{
	const u8 *r = bios + (m.rsdp - MACHINE_BIOS_BASE);

	assert_int_equal(m.rsdp % 16, 0);
	assert_memory_equal(r, "RSD PTR ", 8);
	assert_int_equal(sum(r, 20), 0);
	assert_int_equal(sum(r, 36), 0);
	assert_int_equal(get(r, 15, 1), 2);
	assert_int_equal(get(r, 20, 4), 36);
	assert_int_equal(get(r, 16, 4), 0); /* no RSDT */
	return r;
}

static const u8 *xsdt_entry(unsigned i, const char *signature)
{
	const u8 *x = table_at(get(rsdp(), 24, 8), "XSDT");

	assert_true(36 + (i + 1) * 8 <= get(x, 4, 4));
	return table_at(get(x, 36 + i * 8, 8), signature);
}

static void expect_io(const u8 *gas, u16 port, u8 bits)
{
	assert_int_equal(get(gas, 0, 1), 1);
	assert_int_equal(get(gas, 1, 1), bits);
	assert_int_equal(get(gas, 2, 1), 0);
	assert_int_equal(get(gas, 4, 8), port);
}

static void test_fadt(void **state)
{
	const u8 *f;

	(void)state;
	m.sci_irq = 9;
	assert_int_equal(load_acpi(&g, &m), 0);
	f = xsdt_entry(0, "FACP");
	assert_int_equal(get(f, 4, 4), 276);
	assert_int_equal(get(f, 8, 1), 6);
	assert_int_equal(get(f, 46, 2), 9);
	assert_int_equal(get(f, 48, 4), 0); /* SMI_CMD: always ACPI mode */
	assert_int_equal(get(f, 56, 4), m.pm_base);
	assert_int_equal(get(f, 64, 4), m.pm_base + 4);
	assert_int_equal(get(f, 76, 4), m.pm_base + 8);
	assert_int_equal(get(f, 80, 8), 0); /* no GPE */
	assert_int_equal(get(f, 88, 1), 4);
	assert_int_equal(get(f, 89, 1), 2);
	assert_int_equal(get(f, 91, 1), 4);
	assert_int_equal(get(f, 108, 1), 0x32); /* century */
	assert_int_equal(get(f, 109, 2), 0x7);  /* legacy devices, 8042, no VGA, CMOS RTC there */
	/*
	 * WBINVD, C1, no fixed buttons, no RTC wake, 32-bit timer, reset register, headless; not
	 * hardware-reduced.
	 */
	assert_int_equal(get(f, 112, 4), 0x1575);
	expect_io(f + 116, 0xcf9, 8);
	assert_int_equal(get(f, 128, 1), 6);
	expect_io(f + 148, m.pm_base, 32);
	expect_io(f + 172, m.pm_base + 4, 16);
	expect_io(f + 208, m.pm_base + 8, 32);
	assert_int_equal(get(f, 40, 4), get(f, 140, 8));
	table_at(get(f, 140, 8), "DSDT");
	assert_int_equal(get(f, 36, 4) % 64, 0);
	assert_int_equal(get(table_at(get(f, 36, 4), "FACS"), 4, 4), 64);
	assert_int_equal(get(f, 132, 8), 0); /* the 32-bit address stands */
}

static void test_madt(void **state)
{
	const u8 *t, *e;

	(void)state;
	m.sci_irq = 11;
	m.ioapic_id = 5;
	assert_int_equal(load_acpi(&g, &m), 0);
	t = xsdt_entry(1, "APIC");
	assert_int_equal(get(t, 36, 4), VLAPIC_BASE);
	assert_int_equal(get(t, 40, 4), 1); /* with a PIC */
	assert_int_equal(get(t, 4, 4), 44 + 12 + 10 + 6 + 8 + 10);
	e = t + 44;
	assert_memory_equal(e, "\1\14\5\0", 4);
	assert_int_equal(get(e, 4, 4), VIOAPIC_BASE);
	assert_int_equal(get(e, 8, 4), 0);
	e += 12;
	assert_memory_equal(e, "\2\12\0\13\13\0\0\0\15\0", 10); /* 11 -> 11, high, level */
	e += 10;
	assert_memory_equal(e, "\4\6\377\0\0\1", 6); /* NMI on LINT1 of all */
	e += 6;
	assert_memory_equal(e, "\0\10\0\0\1\0\0\0", 8);
	e += 8;
	assert_memory_equal(e, "\2\12\0\0\2\0\0\0\0\0",
			    10); /* the PIT: 0 -> 2, as the bus has it */
	/* A machine without PIC and PIT says so; interrupt 0 may be the HPET's then. */
	machine_leave_out(&m, MACHINE_LEGACY);
	assert_int_equal(load_acpi(&g, &m), 0);
	assert_int_equal(get(xsdt_entry(1, "APIC"), 4, 4), 44 + 12 + 10 + 6 + 8 + 10);
	machine_leave_out(&m, MACHINE_HPET);
	assert_int_equal(load_acpi(&g, &m), 0);
	t = xsdt_entry(1, "APIC");
	assert_int_equal(get(t, 40, 4), 0);
	assert_int_equal(get(t, 4, 4), 44 + 12 + 10 + 6 + 8);
	assert_int_equal(get(xsdt_entry(0, "FACP"), 109, 2), 5);
}

/* ECAM is where the memory map and the machine have it; the HPET's table says what its registers do. */
static void test_mcfg_hpet(void **state)
{
	const u8 *t;

	(void)state;
	assert_int_equal(load_acpi(&g, &m), 0);
	assert_int_equal(get(table_at(get(rsdp(), 24, 8), "XSDT"), 4, 4), 36 + 4 * 8);
	t = xsdt_entry(2, "MCFG");
	assert_int_equal(get(t, 4, 4), 60);
	assert_int_equal(get(t, 44, 8), MACHINE_ECAM_BASE);
	assert_int_equal(get(t, 52, 8), 0); /* segment 0, buses 0 to 0 */
	t = xsdt_entry(3, "HPET");
	assert_int_equal(get(t, 4, 4), 56);
	assert_int_equal(get(t, 36, 4), VHPET_ID);
	assert_int_equal(get(t, 40, 4), 0x4000); /* memory, 64 bits */
	assert_int_equal(get(t, 44, 8), MACHINE_HPET_BASE);
	assert_int_equal(get(t, 53, 2), 10000);
	machine_leave_out(&m, MACHINE_PCI);
	assert_int_equal(load_acpi(&g, &m), 0);
	xsdt_entry(2, "HPET");
	machine_leave_out(&m, MACHINE_HPET);
	assert_int_equal(load_acpi(&g, &m), 0);
	assert_int_equal(get(table_at(get(rsdp(), 24, 8), "XSDT"), 4, 4), 36 + 2 * 8);
}

/* Where the tables lie, in the order of their addresses: none reaches into the next. */
static void check_no_overlap(void)
{
	const u8 *f = xsdt_entry(0, "FACP");
	const u64 at[] = {m.rsdp,
			  get(rsdp(), 24, 8),
			  (u64)(f - bios) + MACHINE_BIOS_BASE,
			  get(f, 36, 4),
			  (u64)(xsdt_entry(1, "APIC") - bios) + MACHINE_BIOS_BASE,
			  (u64)(xsdt_entry(2, "MCFG") - bios) + MACHINE_BIOS_BASE,
			  (u64)(xsdt_entry(3, "HPET") - bios) + MACHINE_BIOS_BASE,
			  get(f, 140, 8)};
	const u64 size[ARRAY_SIZE(at)] = {36};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		u64 n = size[i] ? size[i] : get(bios + (at[i] - MACHINE_BIOS_BASE), 4, 4);

		for (size_t j = 0; j < ARRAY_SIZE(at); j++)
			assert_true(j == i || at[j] < at[i] || at[j] >= at[i] + n);
		/* The code at the reset vector has the last 16 bytes. */
		assert_true(at[i] + n <= MACHINE_BIOS_END - 16);
	}
}

/* However many CPUs: one local APIC for each. Logical flat mode is for eight of them; a machine with more says so. */
static void test_cpus(void **state)
{
	static const unsigned cpus[] = {1, 2, 3, 8, 9, 15, 16, 63, 64};

	(void)state;
	assert_true(cpus[ARRAY_SIZE(cpus) - 1] == MACHINE_CPUS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		const u8 *t;

		assert_int_equal(machine_describe(&m, "guest", cpus[i], MiB(32)), 0);
		assert_int_equal(load_acpi(&g, &m), 0);
		t = xsdt_entry(1, "APIC");
		assert_int_equal(get(t, 4, 4), 44 + 12 + 10 + 6 + 8 * cpus[i] + 10);
		assert_int_equal(get(t, 46, 1), m.ioapic_id);
		for (unsigned n = 0; n < cpus[i]; n++) {
			assert_int_equal(get(t, 72 + 8 * n, 4),
					 0x800 | (u64)n << 16 | (u64)n << 24);
			assert_int_equal(get(t, 76 + 8 * n, 4), 1);
		}
		assert_int_equal(get(xsdt_entry(0, "FACP"), 112, 4) >> 18 & 3, cpus[i] > 8 ? 2 : 0);
		check_no_overlap();
	}
}

static bool has_bytes(const u8 *t, const void *what, size_t n)
{
	for (u64 i = 0; i + n <= get(t, 4, 4); i++) {
		if (!memcmp(t + i, what, n))
			return true;
	}
	return false;
}

/* Small resource descriptors of ports and interrupts, and \_S5, as the machine has them. */
static void test_dsdt(void **state)
{
	const u8 *d;
	u8 io[8] = {0x47, 1}, irq[3] = {0x22};

	(void)state;
	assert_int_equal(load_acpi(&g, &m), 0);
	d = table_at(get(xsdt_entry(0, "FACP"), 140, 8), "DSDT");
	memcpy(io + 2, &m.uart_port, 2);
	memcpy(io + 4, &m.uart_port, 2);
	io[6] = 1;
	io[7] = MACHINE_UART_PORTS;
	assert_true(has_bytes(d, io, 8));
	memcpy(io + 2, &m.rtc_port, 2);
	memcpy(io + 4, &m.rtc_port, 2);
	io[7] = MACHINE_RTC_PORTS;
	assert_true(has_bytes(d, io, 8));
	memcpy(irq + 1, &(u16){(u16)BIT(m.uart_irq)}, 2);
	assert_true(has_bytes(d, irq, 3));
	memcpy(irq + 1, &(u16){(u16)BIT(m.rtc_irq)}, 2);
	assert_true(has_bytes(d, irq, 3));
	assert_true(has_bytes(d, (u8[]){'_', 'S', '5', '_', 0x12, 8, 4, 0x0a, MACHINE_S5_TYPE}, 9));
	assert_true(has_bytes(d, "ACPI0007", 9));
}

/* Without a UART or an RTC the tables say so. */
static void test_left_out(void **state)
{
	static const u8 there[] = {'_', 'S', 'T', 'A', 0x0a, 0x0f};
	static const u8 hidden[] = {'_', 'S', 'T', 'A', 0x0a, 0};
	const u8 *fadt, *d;

	(void)state;
	assert_int_equal(load_acpi(&g, &m), 0);
	fadt = xsdt_entry(0, "FACP");
	assert_int_equal(get(fadt, 109, 2), 7); /* legacy devices, 8042, no VGA */
	machine_leave_out(&m, MACHINE_SERIAL | MACHINE_LEGACY | MACHINE_PCI | MACHINE_HPET);
	assert_int_equal(load_acpi(&g, &m), 0);
	fadt = xsdt_entry(0, "FACP");
	d = table_at(get(fadt, 140, 8), "DSDT");
	assert_int_equal(get(fadt, 109, 2), 4);
	assert_int_equal(get(fadt, 108, 1), MACHINE_RTC_CENTURY);
	assert_true(has_bytes(d, there, 6) && has_bytes(d, hidden, 6));
	machine_leave_out(&m, MACHINE_RTC);
	assert_int_equal(load_acpi(&g, &m), 0);
	fadt = xsdt_entry(0, "FACP");
	d = table_at(get(fadt, 140, 8), "DSDT");
	assert_int_equal(get(fadt, 109, 2), 0x24); /* and no RTC */
	assert_int_equal(get(fadt, 108, 1), 0);
	assert_true(!has_bytes(d, there, 6) && has_bytes(d, hidden, 6));
}

static void test_refused(void **state)
{
	struct gmem empty;

	(void)state;
	gmem_init(&empty, &npt);
	assert_int_equal(load_acpi(&empty, &m), -HV_EINVAL);
	m.cpus = MACHINE_CPUS_MAX + 1;
	assert_int_equal(load_acpi(&g, &m), -HV_EINVAL);
	m.cpus = 1;
	m.rsdp = 0xf0000;
	assert_int_equal(load_acpi(&g, &m), -HV_EINVAL);
}

/* What was there before does not shine through. */
static void test_again(void **state)
{
	static u8 first[2048];

	(void)state;
	assert_int_equal(load_acpi(&g, &m), 0);
	memcpy(first, bios, sizeof(first));
	assert_int_equal(gmem_set(&g, MACHINE_BIOS_BASE, 0xee, 36), 0);
	assert_int_equal(gmem_set(&g, MACHINE_BIOS_BASE + 64, 0xee, 52), 0);
	assert_int_equal(load_acpi(&g, &m), 0);
	assert_memory_equal(bios, first, sizeof(first));
}

static void dump(const char *dir, const char *name, const u8 *t)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(t, 1, get(t, 4, 4), f), get(t, 4, 4));
	fclose(f);
}

static void test_iasl(void **state)
{
	char dir[] = "/tmp/havoc-acpi-XXXXXX", command[1024];
	const u8 *fadt;
	int r;

	(void)state;
	if (system("command -v iasl >/dev/null 2>&1"))
		skip();
	assert_int_equal(load_acpi(&g, &m), 0);
	assert_non_null(mkdtemp(dir));
	fadt = xsdt_entry(0, "FACP");
	dump(dir, "facp", fadt);
	dump(dir, "apic", xsdt_entry(1, "APIC"));
	dump(dir, "facs", table_at(get(fadt, 36, 4), "FACS"));
	dump(dir, "dsdt", table_at(get(fadt, 140, 8), "DSDT"));
	dump(dir, "xsdt", table_at(get(rsdp(), 24, 8), "XSDT"));
	/* The compiler puts its own name into the header, hence -i 36. */
	snprintf(
		command, sizeof(command),
		"cd %s && for t in facp apic facs dsdt xsdt; do "
		"iasl -d $t.aml >$t.log 2>&1 && ! grep -il 'error\\|warning\\|\\*\\*\\*\\*' $t.log $t.dsl && "
		"iasl -p $t-again -we $t.dsl >>$t.log 2>&1 && cmp -i 36 $t.aml $t-again.aml || { cat $t.log; exit 1; }; done",
		dir);
	r = system(command);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fadt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_madt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mcfg_hpet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dsdt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iasl, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
