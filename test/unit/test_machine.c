/* SPDX-License-Identifier: MIT */
/*
 * vmm/machine/machine.c: limits, the split around the hole, an e820 map in order and without
 * overlap.
 */
/* SOURCES: vmm/machine/machine.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/machine.h>
#include <vmm/vm.h>

static struct machine m;

static void check_map(u64 mem)
{
	u64 ram = 0;

	for (unsigned i = 0; i < m.e820_count; i++) {
		const struct e820_entry *e = &m.e820[i];

		assert_true(e->size > 0);
		assert_true(e->base + e->size > e->base);
		if (i)
			assert_true(m.e820[i - 1].base + m.e820[i - 1].size <= e->base);
		if (e->type == E820_RAM)
			ram += e->size;
		/* The hole is left to devices: of them, ECAM is in the map. */
		assert_true(e->base + e->size <= MACHINE_HOLE_BASE ||
			    e->base >= MACHINE_HIGH_BASE ||
			    (m.pci && e->base == MACHINE_ECAM_BASE &&
			     e->size == MACHINE_ECAM_SIZE && e->type == E820_RESERVED));
	}
	assert_int_equal(ram, mem - (MACHINE_BIOS_END - MACHINE_LOW_END));
	assert_int_equal(m.mem_low + m.mem_high, mem);
	assert_true(m.mem_low <= MACHINE_HOLE_BASE);
	assert_true(m.e820_count <= MACHINE_E820_MAX);
}

static void test_sizes(void **state)
{
	static const u64 sizes[] = {MiB(16),   MiB(16) + PAGE_SIZE,
				    MiB(128),  GiB(3) - PAGE_SIZE,
				    GiB(3),    GiB(3) + PAGE_SIZE,
				    MiB(3500), GiB(4),
				    GiB(64),   GiB(4096)};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(machine_describe(&m, "guest", 1, sizes[i]), 0);
		check_map(sizes[i]);
		machine_leave_out(&m, MACHINE_PCI);
		machine_leave_out(&m, MACHINE_PCI); /* once is enough */
		check_map(sizes[i]);
	}
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(128)), 0);
	assert_int_equal(m.e820_count, 4);
	assert_int_equal(m.e820[0].base, 0);
	assert_int_equal(m.e820[0].size, 0x9f800);
	assert_int_equal(m.e820[1].type, E820_RESERVED);
	assert_int_equal(m.e820[2].base, 0x100000);
	assert_int_equal(m.e820[2].size, 0x7f00000);
	assert_int_equal(machine_describe(&m, "guest", 1, GiB(4)), 0);
	assert_int_equal(m.e820[3].base, MACHINE_ECAM_BASE);
	assert_int_equal(m.e820[4].base, GiB(4));
	assert_int_equal(m.e820[4].size, GiB(1));
	machine_leave_out(&m, MACHINE_PCI);
	assert_int_equal(m.e820_count, 4);
	assert_int_equal(m.e820[3].base, GiB(4));
}

/* What may be left out is there at first, and then it alone is not. */
static void test_left_out(void **state)
{
	(void)state;
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(128)), 0);
	assert_true(m.uart_port && m.rtc_port && m.pic && m.pit && m.kbc && m.pci && m.hpet);
	machine_leave_out(&m, MACHINE_USUAL);
	assert_true(m.uart_port && m.rtc_port && m.pic && m.pit && m.kbc && m.pci && !m.hpet);
	machine_leave_out(&m, MACHINE_MINIMAL);
	assert_true(m.uart_port && m.rtc_port && !m.pic && !m.pit && !m.kbc && !m.pci);
	machine_leave_out(&m, MACHINE_CHOICE);
	assert_true(!m.uart_port && !m.rtc_port);
}

static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(machine_describe(&m, "guest", 0, MiB(128)), -HV_EINVAL);
	assert_int_equal(machine_describe(&m, "guest", MACHINE_CPUS_MAX + 1, MiB(128)), -HV_EINVAL);
	assert_int_equal(machine_describe(&m, "guest", 1, 0), -HV_EINVAL);
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(16) - PAGE_SIZE), -HV_EINVAL);
	assert_int_equal(machine_describe(&m, "guest", 1, MiB(128) + 1), -HV_EINVAL);
	assert_int_equal(machine_describe(&m, "guest", 1, GiB(4096) + PAGE_SIZE), -HV_EINVAL);
	assert_int_equal(machine_describe(&m, "guest", 1, ~0ULL << PAGE_SHIFT), -HV_EINVAL);
}

/* Constants that a device's header and the description both have. */
static void test_one_truth(void **state)
{
	(void)state;
	assert_int_equal(MACHINE_PM_BASE, VPM_BASE);
	assert_int_equal(MACHINE_S5_TYPE, VPM_S5_TYPE);
	assert_int_equal(MACHINE_UART_PORTS, VUART_PORTS);
	assert_true(MACHINE_CPUS_MAX <= VM_CPUS_MAX);
	assert_true(VIOAPIC_BASE >= MACHINE_HOLE_BASE &&
		    VIOAPIC_BASE + VIOAPIC_SIZE <= MACHINE_HIGH_BASE);
	assert_true(VLAPIC_BASE >= MACHINE_HOLE_BASE &&
		    VLAPIC_BASE + VLAPIC_SIZE <= MACHINE_HIGH_BASE);
}

/* The I/O APIC's number is no CPU's, as long as its four bits, without the bus's broadcast, have one. */
static void test_ioapic_id(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= MACHINE_CPUS_MAX; cpus++) {
		assert_int_equal(machine_describe(&m, "guest", cpus, MiB(128)), 0);
		assert_true(m.ioapic_id < 15);
		assert_int_equal(m.ioapic_id, cpus < 15 ? cpus : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),     cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_one_truth),
		cmocka_unit_test(test_ioapic_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
