/* SPDX-License-Identifier: MIT */
/* Tests of the PCI host bridge: both ways to a function, all sizes, the bridge's own header, port 0xCF9, what Linux does. */
/* SOURCES: vmm/dev/vpci.c vmm/dev/bus.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/string.h>
#include <vmm/vpci.h>

#define ECAM  0xe0000000ULL
#define BUSES 4

static struct vpci pci;
static struct bus pio, mmio;
static u8 space[4096];
static unsigned accesses, last_reg, last_size;
static u64 cf9;
static unsigned cf9_reads;

static u64 cf9_read(void *dev, u64 offset, unsigned size)
{
	assert_ptr_equal(dev, &cf9);
	assert_int_equal(offset, 0);
	assert_int_equal(size, 1);
	cf9_reads++;
	return cf9;
}

static void cf9_write(void *dev, u64 offset, unsigned size, u64 value)
{
	assert_ptr_equal(dev, &cf9);
	assert_int_equal(offset, 0);
	assert_int_equal(size, 1);
	cf9 = value;
}

static const struct bus_ops cf9_ops = {.read = cf9_read, .write = cf9_write};

static void note(void *ctx, unsigned reg, unsigned size)
{
	assert_ptr_equal(ctx, space);
	assert_true(size == 1 || size == 2 || size == 4);
	assert_int_equal(reg % size, 0);
	assert_true(reg + size <= sizeof(space));
	accesses++;
	last_reg = reg;
	last_size = size;
}

/* More bits than were asked for: the bridge cuts them off. */
static u32 space_read(void *ctx, unsigned reg, unsigned size)
{
	u32 value = 0;

	note(ctx, reg, size);
	memcpy(&value, space + reg, size);
	return size == 4 ? value : value | ~0U << (size * 8);
}

static void space_write(void *ctx, unsigned reg, unsigned size, u32 value)
{
	note(ctx, reg, size);
	if (size < 4)
		assert_int_equal(value >> (size * 8), 0);
	memcpy(space + reg, &value, size);
}

static const struct vpci_function_ops space_ops = {.read = space_read, .write = space_write};

static void claim(struct bus *bus, u64 base, u64 size, const struct bus_ops *ops)
{
	assert_int_equal(bus_claim(bus, &(struct bus_region){base, size, ops, &pci, "pci"}), 0);
}

static int setup(unused void **state)
{
	unsigned i;

	for (i = 0; i < sizeof(space); i++)
		space[i] = (u8)(i * 7 + (i >> 8));
	accesses = cf9_reads = 0;
	cf9 = 0x5a;
	vpci_init(&pci, BUSES, &cf9_ops, &cf9);
	assert_int_equal(vpci_add(&pci, VPCI_DEVFN(3, 0), &space_ops, space), 0);
	bus_init(&pio);
	bus_init(&mmio);
	claim(&pio, VPCI_ADDRESS_PORT, 4, &vpci_address_bus_ops);
	claim(&pio, VPCI_DATA_PORT, 4, &vpci_data_bus_ops);
	claim(&mmio, ECAM, BUSES * VPCI_ECAM_BUS_SIZE, &vpci_ecam_bus_ops);
	return 0;
}

static u32 address(unsigned bus, u8 devfn, unsigned reg)
{
	return 0x80000000U | bus << 16 | (u32)devfn << 8 | (reg & 0xfc);
}

static u32 rd1(unsigned bus, u8 devfn, unsigned reg, unsigned size)
{
	bus_write(&pio, 0xcf8, 4, address(bus, devfn, reg));
	return (u32)bus_read(&pio, 0xcfc + reg % 4, size);
}

static void wr1(u8 devfn, unsigned reg, unsigned size, u32 value)
{
	bus_write(&pio, 0xcf8, 4, address(0, devfn, reg));
	bus_write(&pio, 0xcfc + reg % 4, size, value);
}

static u64 at(unsigned bus, u8 devfn, unsigned reg)
{
	return ECAM + ((u64)bus << 20 | (u64)devfn << 12 | reg);
}

static u32 want(unsigned reg, unsigned size)
{
	u32 value = 0;

	memcpy(&value, space + reg, size);
	return value;
}

/* ---- The two ways ------------------------------------------------------------------------- */

static void address_register(unused void **state)
{
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0);
	bus_write(&pio, 0xcf8, 4, 0xffffffff);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0x80fffffc);
	/* What is no dword at 0xCF8 goes nowhere. */
	bus_write(&pio, 0xcf8, 2, 0);
	bus_write(&pio, 0xcf8, 1, 0);
	bus_write(&pio, 0xcfa, 1, 0);
	bus_write(&pio, 0xcfa, 2, 0);
	bus_write(&pio, 0xcfb, 1, 0);
	bus_write(&pio, 0xcf9, 2, 0);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0x80fffffc);
	assert_int_equal(bus_read(&pio, 0xcf8, 1), 0xff);
	assert_int_equal(bus_read(&pio, 0xcf8, 2), 0xffff);
	assert_int_equal(bus_read(&pio, 0xcfa, 2), 0xffff);
	assert_int_equal(bus_read(&pio, 0xcfb, 1), 0xff);
	assert_int_equal(cf9_reads, 0);
	assert_int_equal(cf9, 0x5a);
	vpci_reset(&pci);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0);
}

static void reset_control_port(unused void **state)
{
	bus_write(&pio, 0xcf8, 4, 0x80001800);
	assert_int_equal(bus_read(&pio, 0xcf9, 1), 0x5a);
	bus_write(&pio, 0xcf9, 1, 0x06);
	assert_int_equal(cf9, 0x06);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0x80001800);
	/* Words there are nobody's. */
	assert_int_equal(bus_read(&pio, 0xcf9, 2), 0xffff);
	assert_int_equal(cf9_reads, 1);
}

static void nobody_at_the_reset_control_port(unused void **state)
{
	vpci_init(&pci, 1, NULL, NULL);
	assert_int_equal(bus_read(&pio, 0xcf9, 1), 0xff);
	bus_write(&pio, 0xcf9, 1, 6);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0);
}

static void every_size_by_mechanism_1(unused void **state)
{
	unsigned reg, size;

	for (reg = 0; reg < 256; reg++) {
		for (size = 1; size <= 4; size *= 2) {
			if (reg % 4 + size > 4)
				continue;
			assert_int_equal(rd1(0, VPCI_DEVFN(3, 0), reg, size), want(reg, size));
		}
	}
	wr1(VPCI_DEVFN(3, 0), 0x40, 4, 0x11223344);
	assert_int_equal(want(0x40, 4), 0x11223344);
	wr1(VPCI_DEVFN(3, 0), 0x42, 2, 0x5566);
	assert_int_equal(want(0x40, 4), 0x55663344);
	wr1(VPCI_DEVFN(3, 0), 0x43, 1, 0x77);
	assert_int_equal(want(0x40, 4), 0x77663344);
	wr1(VPCI_DEVFN(3, 0), 0x41, 2, 0x99aa);
	assert_int_equal(want(0x40, 4), 0x7799aa44);
}

static void aligned_accesses_arrive_whole(unused void **state)
{
	rd1(0, VPCI_DEVFN(3, 0), 0x4e, 2);
	assert_int_equal(accesses, 1);
	assert_int_equal(last_reg, 0x4e);
	assert_int_equal(last_size, 2);
	bus_write(&mmio, at(0, VPCI_DEVFN(3, 0), 0x104), 4, 1);
	assert_int_equal(accesses, 2);
	assert_int_equal(last_reg, 0x104);
	assert_int_equal(last_size, 4);
}

/* What is above the size in the value of a write means nothing. */
static void writes_are_cut_to_their_size(unused void **state)
{
	bus_write(&pio, 0xcf8, 4, address(0, VPCI_DEVFN(3, 0), 0x40));
	vpci_data_bus_ops.write(&pci, 2, 1, 0xabcdef12);
	assert_int_equal(want(0x42, 1), 0x12);
	vpci_ecam_bus_ops.write(&pci, at(0, VPCI_DEVFN(3, 0), 0x44) - ECAM, 2, 0xabcdef12);
	assert_int_equal(want(0x44, 2), 0xef12);
	assert_int_equal(accesses, 2);
}

static void without_the_enable_bit_there_is_nothing(unused void **state)
{
	bus_write(&pio, 0xcf8, 4, address(0, VPCI_DEVFN(3, 0), 0) & 0x7fffffff);
	assert_int_equal(bus_read(&pio, 0xcfc, 4), 0xffffffff);
	assert_int_equal(bus_read(&pio, 0xcfd, 1), 0xff);
	bus_write(&pio, 0xcfc, 4, 0);
	assert_int_equal(accesses, 0);
}

static void every_size_by_ecam(unused void **state)
{
	unsigned reg, size;

	for (reg = 0; reg < 4096; reg++) {
		for (size = 1; size <= 4; size *= 2) {
			u64 value = bus_read(&mmio, at(0, VPCI_DEVFN(3, 0), reg), size);

			if (reg % 4 + size <= 4)
				assert_int_equal(value, want(reg, size));
			else
				assert_int_equal(value, BIT(size * 8) - 1);
		}
	}
	accesses = 0;
	bus_write(&mmio, at(0, VPCI_DEVFN(3, 0), 0x203), 2, 0);
	bus_write(&mmio, at(0, VPCI_DEVFN(3, 0), 0x201), 4, 0);
	bus_write(&mmio, at(0, VPCI_DEVFN(3, 0), 0x202), 8, 0);
	assert_int_equal(accesses, 0);
}

static void eight_bytes_are_two_dwords(unused void **state)
{
	u64 value = bus_read(&mmio, at(0, VPCI_DEVFN(3, 0), 0x204), 8);

	assert_int_equal((u32)value, want(0x204, 4));
	assert_int_equal(value >> 32, want(0x208, 4));
	assert_int_equal(accesses, 2);
	bus_write(&mmio, at(0, VPCI_DEVFN(3, 0), 0x300), 8, 0x1122334455667788);
	assert_int_equal(want(0x300, 4), 0x55667788);
	assert_int_equal(want(0x304, 4), 0x11223344);
	/* From the last dword of one function into the next, which is not there. */
	value = bus_read(&mmio, at(0, VPCI_DEVFN(3, 0), 0xffc), 8);
	assert_int_equal((u32)value, want(0xffc, 4));
	assert_int_equal(value >> 32, 0xffffffff);
}

static void absent_functions_read_as_ones(unused void **state)
{
	unsigned bus, devfn;

	for (devfn = 0; devfn < 256; devfn++) {
		if (devfn == 0 || devfn == VPCI_DEVFN(3, 0))
			continue;
		assert_int_equal(rd1(0, (u8)devfn, 0, 4), 0xffffffff);
		assert_int_equal(rd1(0, (u8)devfn, 2, 2), 0xffff);
		assert_int_equal(bus_read(&mmio, at(0, (u8)devfn, 0), 4), 0xffffffff);
		wr1((u8)devfn, 4, 2, 7);
	}
	for (bus = 1; bus < 256; bus++)
		assert_int_equal(rd1(bus, VPCI_DEVFN(3, 0), 0, 4), 0xffffffff);
	for (bus = 1; bus < BUSES; bus++) {
		assert_int_equal(bus_read(&mmio, at(bus, VPCI_DEVFN(3, 0), 0), 4), 0xffffffff);
		assert_int_equal(bus_read(&mmio, at(bus, 0, 0), 8), ~0ULL);
		bus_write(&mmio, at(bus, VPCI_DEVFN(3, 0), 0), 4, 0);
	}
	assert_int_equal(accesses, 0);
}

static void adding_functions(unused void **state)
{
	unsigned device, n = 2;

	assert_int_equal(vpci_add(&pci, VPCI_DEVFN(3, 0), &space_ops, space), -HV_EEXIST);
	assert_int_equal(vpci_add(&pci, 0, &space_ops, space), -HV_EEXIST);
	assert_int_equal(vpci_add(&pci, VPCI_DEVFN(4, 1), &space_ops, space), -HV_EINVAL);
	assert_int_equal(vpci_add(&pci, VPCI_DEVFN(3, 7), &space_ops, space), 0);
	n++;
	assert_int_equal(rd1(0, VPCI_DEVFN(3, 7), 0, 4), want(0, 4));
	for (device = 31; n < VPCI_FUNCTIONS_MAX; device--) {
		if (device == 3)
			continue;
		assert_int_equal(vpci_add(&pci, VPCI_DEVFN(device, 0), &space_ops, space), 0);
		n++;
	}
	assert_int_equal(rd1(0, VPCI_DEVFN(31, 0), 0, 4), want(0, 4));
	assert_int_equal(vpci_add(&pci, VPCI_DEVFN(3, 1), &space_ops, space), -HV_ENOSPC);
}

/* ---- The bridge ----------------------------------------------------------------------------- */

static void bridge_header(unused void **state)
{
	static const struct {
		u8 reg;
		u32 value;
	} header[] = {
		{0x00, 0x00081b36}, {0x04, 0}, {0x08, 0x06000000}, {0x0c, 0}, {0x10, 0}, {0x14, 0},
		{0x18, 0},          {0x1c, 0}, {0x20, 0},          {0x24, 0}, {0x28, 0}, {0x30, 0},
		{0x2c, 0x11001af4}, {0x34, 0}, {0x38, 0},          {0x3c, 0},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(header); i++)
		assert_int_equal(rd1(0, 0, header[i].reg, 4), header[i].value);
	assert_int_equal(rd1(0, 0, 0x02, 2), 0x0008);
	assert_int_equal(rd1(0, 0, 0x0a, 2), 0x0600);
	assert_int_equal(rd1(0, 0, 0x0b, 1), 0x06);
	assert_int_equal(rd1(0, 0, 0x0e, 1), 0);
	for (i = 0x40; i < 4096; i += 4)
		assert_int_equal(bus_read(&mmio, at(0, 0, i), 4), 0);
}

static void what_can_be_written_of_it(unused void **state)
{
	unsigned reg;

	for (reg = 0; reg < 4096; reg += 4)
		bus_write(&mmio, at(0, 0, reg), 4, 0xffffffff);
	for (reg = 0; reg < 4096; reg += 4) {
		u32 expected = reg == 0x00 ? 0x00081b36 :
			       reg == 0x04 ? 0x00000144 :
			       reg == 0x08 ? 0x06000000 :
			       reg == 0x0c ? 0x0000ffff :
			       reg == 0x2c ? 0x11001af4 :
			       reg == 0x3c ? 0x000000ff :
					     0;

		assert_int_equal(bus_read(&mmio, at(0, 0, reg), 4), expected);
	}
	/* Byte by byte. */
	wr1(0, 0x05, 1, 0);
	assert_int_equal(rd1(0, 0, 4, 2), 0x0044);
	wr1(0, 0x04, 1, 0x04);
	wr1(0, 0x05, 1, 0xff);
	assert_int_equal(rd1(0, 0, 4, 2), 0x0104);
	wr1(0, 0x0d, 1, 0x40);
	assert_int_equal(rd1(0, 0, 0x0c, 2), 0x40ff);
	vpci_reset(&pci);
	bridge_header(NULL);
}

/* ---- Linux ------------------------------------------------------------------------------------ */

/* arch/x86/pci/direct.c, pci_check_type1(), pci_check_type2(), pci_sanity_check(). */
static void linux_finds_mechanism_1(unused void **state)
{
	bus_write(&pio, 0xcfb, 1, 0x01);
	bus_write(&pio, 0xcf8, 4, 0x80000000);
	assert_int_equal(bus_read(&pio, 0xcf8, 4), 0x80000000);
	assert_int_equal(rd1(0, 0, 0x0a, 2), 0x0600); /* a host bridge: this is PCI */
	/* Mechanism #2 is not here. */
	bus_write(&pio, 0xcfb, 1, 0);
	bus_write(&pio, 0xcf8, 1, 0);
	bus_write(&pio, 0xcfa, 1, 0);
	assert_int_not_equal(bus_read(&pio, 0xcf8, 1), 0);
}

/* drivers/pci/probe.c, pci_cfg_space_size_ext(): no ones at 0x100, and the header not again there. */
static void linux_finds_extended_space(unused void **state)
{
	unsigned pos;

	assert_int_not_equal(bus_read(&mmio, at(0, 0, 0x100), 4), 0xffffffff);
	for (pos = 0x100; pos < 0x1000; pos += 0x100)
		assert_int_not_equal(bus_read(&mmio, at(0, 0, pos), 4), rd1(0, 0, 0, 4));
	assert_int_equal(bus_read(&mmio, at(0, 0, 0), 4), rd1(0, 0, 0, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(address_register, setup),
		cmocka_unit_test_setup(reset_control_port, setup),
		cmocka_unit_test_setup(nobody_at_the_reset_control_port, setup),
		cmocka_unit_test_setup(every_size_by_mechanism_1, setup),
		cmocka_unit_test_setup(aligned_accesses_arrive_whole, setup),
		cmocka_unit_test_setup(writes_are_cut_to_their_size, setup),
		cmocka_unit_test_setup(without_the_enable_bit_there_is_nothing, setup),
		cmocka_unit_test_setup(every_size_by_ecam, setup),
		cmocka_unit_test_setup(eight_bytes_are_two_dwords, setup),
		cmocka_unit_test_setup(absent_functions_read_as_ones, setup),
		cmocka_unit_test_setup(adding_functions, setup),
		cmocka_unit_test_setup(bridge_header, setup),
		cmocka_unit_test_setup(what_can_be_written_of_it, setup),
		cmocka_unit_test_setup(linux_finds_mechanism_1, setup),
		cmocka_unit_test_setup(linux_finds_extended_space, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
