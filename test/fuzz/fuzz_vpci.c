/* SPDX-License-Identifier: MIT */
/* The PCI host bridge under random accesses: functions get what they can take, both ways agree, the header stays. */
/* SOURCES: vmm/dev/vpci.c */
#include <string.h>
#include <vmm/vpci.h>

#include "input.h"

#define MODELS 4

static struct vpci pci;
static u8 space[MODELS][4096];
static u8 devfn_of[MODELS];
static unsigned models;
static u8 cf9;
static unsigned touched; /* accesses that a function or port 0xCF9 has seen */

static u64 cf9_read(unused void *dev, u64 offset, unsigned size)
{
	INVARIANT(!offset && size == 1);
	touched++;
	return cf9;
}

static void cf9_write(unused void *dev, u64 offset, unsigned size, u64 value)
{
	INVARIANT(!offset && size == 1);
	touched++;
	cf9 = (u8)value;
}

static const struct bus_ops cf9_ops = {.read = cf9_read, .write = cf9_write};

static void note(unsigned reg, unsigned size)
{
	INVARIANT(size == 1 || size == 2 || size == 4);
	INVARIANT(reg % size == 0 && reg < 4096);
	touched++;
}

static u32 model_read(void *ctx, unsigned reg, unsigned size)
{
	u32 value = ~0U; /* too many bits */

	note(reg, size);
	memcpy(&value, (u8 *)ctx + reg, size);
	return value;
}

static void model_write(void *ctx, unsigned reg, unsigned size, u32 value)
{
	note(reg, size);
	INVARIANT(size == 4 || !(value >> (size * 8)));
	memcpy((u8 *)ctx + reg, &value, size);
}

static const struct vpci_function_ops model_ops = {.read = model_read, .write = model_write};

static u64 fits(u64 value, unsigned size)
{
	INVARIANT(size == 8 || value < BIT(size * 8));
	return value;
}

static void check(void)
{
	u32 saved = pci.address;
	unsigned i, reg;

	INVARIANT(!(saved & 0x7f000003));
	INVARIANT(vpci_address_bus_ops.read(&pci, 0, 4) == saved);
	INVARIANT(vpci_ecam_bus_ops.read(&pci, 0, 4) == 0x00081b36);
	INVARIANT(vpci_ecam_bus_ops.read(&pci, 8, 4) == 0x06000000);
	INVARIANT(!(vpci_ecam_bus_ops.read(&pci, 4, 4) & ~0x144ULL));
	INVARIANT(!(vpci_ecam_bus_ops.read(&pci, 0xc, 4) & ~0xffffULL));
	for (i = 0; i < models; i++) {
		reg = 0x40 + i * 4;
		vpci_address_bus_ops.write(&pci, 0, 4, 0x80000000U | (u32)devfn_of[i] << 8 | reg);
		INVARIANT(vpci_data_bus_ops.read(&pci, 0, 4) ==
			  vpci_ecam_bus_ops.read(&pci, (u64)devfn_of[i] << 12 | reg, 4));
	}
	vpci_address_bus_ops.write(&pci, 0, 4, saved);
}

static void ports(struct input *in, bool data, bool write)
{
	const struct bus_ops *ops = data ? &vpci_data_bus_ops : &vpci_address_bus_ops;
	unsigned size = input_size(in), offset = input_u8(in) % (5 - size);

	if (write)
		ops->write(&pci, offset, size, input_number(in, size));
	else
		fits(ops->read(&pci, offset, size), size);
}

static void ecam(struct input *in, unsigned buses, bool write)
{
	unsigned size = 1U << input_u8(in) % 4;
	u64 offset = input_number(in, 4) % (buses * VPCI_ECAM_BUS_SIZE + 1 - size);
	unsigned before = touched;

	/* Mostly where there is something. */
	if (offset & 1 && models)
		offset = ((u64)devfn_of[offset % models] << 12) | (offset >> 8 & 0xff8);
	if (write)
		vpci_ecam_bus_ops.write(&pci, offset, size, input_number(in, size));
	else
		fits(vpci_ecam_bus_ops.read(&pci, offset, size), size);
	if (offset >= VPCI_ECAM_BUS_SIZE)
		INVARIANT(touched == before);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	unsigned buses = input_u8(&in) + 1U;

	memset(space, 0x5a, sizeof(space));
	models = 0;
	vpci_init(&pci, buses, &cf9_ops, NULL);
	while (input_left(&in)) {
		u8 what = input_u8(&in);

		if (what < 0x20) {
			u8 devfn = input_u8(&in);

			if (models < MODELS && !vpci_add(&pci, devfn, &model_ops, space[models]))
				devfn_of[models++] = devfn;
		} else if (what < 0x50) {
			/* A good address. */
			vpci_address_bus_ops.write(&pci, 0, 4,
						   0x80000000U | (u32)input_number(&in, 2));
		} else if (what < 0xa0) {
			ports(&in, what & 1, what & 2);
		} else if (what < 0xfc) {
			ecam(&in, buses, what & 1);
		} else {
			vpci_reset(&pci);
		}
		check();
	}
	return 0;
}
