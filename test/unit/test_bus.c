/* SPDX-License-Identifier: MIT */
/* Tests of the bus: claims, lookup, what no region claims. */
/* SOURCES: vmm/dev/bus.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/bus.h>
#include <vmm/errno.h>

struct device {
	u64 offset, value;
	unsigned size, reads, writes;
};

static u64 device_read(void *dev, u64 offset, unsigned size)
{
	struct device *d = dev;

	d->offset = offset;
	d->size = size;
	d->reads++;
	return 0x55;
}

static void device_write(void *dev, u64 offset, unsigned size, u64 value)
{
	struct device *d = dev;

	d->offset = offset;
	d->size = size;
	d->value = value;
	d->writes++;
}

static const struct bus_ops ops = {.read = device_read, .write = device_write};

static int claim(struct bus *b, u64 base, u64 size, struct device *d)
{
	return bus_claim(b, &(struct bus_region){base, size, &ops, d, "device"});
}

static void an_empty_bus_reads_all_ones(unused void **state)
{
	struct bus b;

	bus_init(&b);
	assert_true(bus_read(&b, 0, 1) == 0xff);
	assert_true(bus_read(&b, 0, 2) == 0xffff);
	assert_true(bus_read(&b, 0x3f8, 4) == 0xffffffff);
	assert_true(bus_read(&b, ~0ULL, 8) == ~0ULL);
	bus_write(&b, 0x80, 1, 0);
	assert_int_equal(b.unclaimed, 5);
	assert_int_equal(b.unclaimed_last, 0x80);
	assert_null(bus_find(&b, 0));
}

static void accesses_reach_their_device_by_offset(unused void **state)
{
	struct device d[3] = {0};
	struct bus b;

	bus_init(&b);
	/* Not claimed in order. */
	assert_int_equal(claim(&b, 0x600, 12, &d[1]), 0);
	assert_int_equal(claim(&b, 0x70, 2, &d[0]), 0);
	assert_int_equal(claim(&b, 0xcf9, 1, &d[2]), 0);
	assert_true(b.region[0].base < b.region[1].base && b.region[1].base < b.region[2].base);

	assert_int_equal(bus_read(&b, 0x71, 1), 0x55);
	assert_int_equal(d[0].offset, 1);
	bus_write(&b, 0x608, 4, 0x12345678);
	assert_int_equal(d[1].offset, 8);
	assert_int_equal(d[1].size, 4);
	assert_int_equal(d[1].value, 0x12345678);
	bus_write(&b, 0xcf9, 1, 6);
	assert_int_equal(d[2].writes, 1);
	assert_int_equal(b.unclaimed, 0);
	assert_string_equal(bus_find(&b, 0x60b)->name, "device");
	assert_null(bus_find(&b, 0x60c));
	assert_null(bus_find(&b, 0x5ff));
}

static void an_access_across_the_end_is_nobodys(unused void **state)
{
	struct device d = {0};
	struct bus b;

	bus_init(&b);
	assert_int_equal(claim(&b, 0x3f8, 8, &d), 0);
	assert_int_equal(bus_read(&b, 0x3ff, 1), 0x55);
	assert_int_equal(bus_read(&b, 0x3ff, 2), 0xffff);
	assert_int_equal(bus_read(&b, 0x3f7, 2), 0xffff);
	bus_write(&b, 0x3fe, 4, 0);
	assert_int_equal(d.reads, 1);
	assert_int_equal(d.writes, 0);
	assert_int_equal(b.unclaimed, 3);
}

static void a_write_to_0xcf8_is_not_one_to_0xcf9(unused void **state)
{
	struct device d = {0};
	struct bus b;

	bus_init(&b);
	assert_int_equal(claim(&b, 0xcf9, 1, &d), 0);
	bus_write(&b, 0xcf8, 4, 0x80000600);
	assert_int_equal(d.writes, 0);
}

static void overlap_is_refused(unused void **state)
{
	struct device d = {0};
	struct bus b;

	bus_init(&b);
	assert_int_equal(claim(&b, 0x100, 0x10, &d), 0);
	assert_int_equal(claim(&b, 0x100, 0x10, &d), -HV_EEXIST);
	assert_int_equal(claim(&b, 0x10f, 1, &d), -HV_EEXIST);
	assert_int_equal(claim(&b, 0xff, 2, &d), -HV_EEXIST);
	assert_int_equal(claim(&b, 0, 0x1000, &d), -HV_EEXIST);
	assert_int_equal(claim(&b, 0x104, 1, &d), -HV_EEXIST);
	assert_int_equal(claim(&b, 0x110, 1, &d), 0);
	assert_int_equal(claim(&b, 0xff, 1, &d), 0);
	assert_int_equal(b.count, 3);
}

static void nonsense_is_refused(unused void **state)
{
	struct device d = {0};
	struct bus b;

	bus_init(&b);
	assert_int_equal(claim(&b, 0x100, 0, &d), -HV_EINVAL);
	assert_int_equal(claim(&b, ~0ULL, 2, &d), -HV_EINVAL);
	assert_int_equal(claim(&b, 1, ~0ULL, &d), 0); /* ends with the address space */
	assert_int_equal(bus_read(&b, ~0ULL, 1), 0x55);
	assert_int_equal(bus_read(&b, ~0ULL, 2), 0xffff);
	assert_int_equal(bus_read(&b, 0, 1), 0xff);
}

static void a_full_bus_says_so(unused void **state)
{
	struct device d = {0};
	struct bus b;
	unsigned i;

	bus_init(&b);
	for (i = 0; i < BUS_REGIONS_MAX; i++)
		assert_int_equal(claim(&b, (BUS_REGIONS_MAX - i) * 16, 8, &d), 0);
	assert_int_equal(claim(&b, 0x10000, 8, &d), -HV_ENOSPC);
	for (i = 1; i <= BUS_REGIONS_MAX; i++) {
		assert_int_equal(bus_read(&b, i * 16 + 7, 1), 0x55);
		assert_int_equal(d.offset, 7);
		assert_int_equal(bus_read(&b, i * 16 + 8, 1), 0xff);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_bus_reads_all_ones),
		cmocka_unit_test(accesses_reach_their_device_by_offset),
		cmocka_unit_test(an_access_across_the_end_is_nobodys),
		cmocka_unit_test(a_write_to_0xcf8_is_not_one_to_0xcf9),
		cmocka_unit_test(overlap_is_refused),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_full_bus_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
