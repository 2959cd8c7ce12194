/* SPDX-License-Identifier: MIT */
/* The bus against a linear search over what was claimed. */
/* SOURCES: vmm/dev/bus.c */
#include <vmm/bus.h>
#include <vmm/errno.h>

#include "input.h"

static struct bus_region claimed[BUS_REGIONS_MAX];
static unsigned count;
static u64 hit_offset;
static void *hit_dev;

static u64 on_read(void *dev, u64 offset, unused unsigned size)
{
	hit_dev = dev;
	hit_offset = offset;
	return 0x5a;
}

static void on_write(void *dev, u64 offset, unused unsigned size, unused u64 value)
{
	hit_dev = dev;
	hit_offset = offset;
}

static const struct bus_ops ops = {.read = on_read, .write = on_write};

static u64 address(struct input *in)
{
	u8 kind = input_u8(in);

	return kind & 1 ? ~(u64)input_u8(in) : input_number(in, kind & 2 ? 1 : 2);
}

static const struct bus_region *search(u64 addr)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		if (addr >= claimed[i].base && addr - claimed[i].base < claimed[i].size)
			return &claimed[i];
	}
	return NULL;
}

static void claim(struct bus *b, struct input *in)
{
	struct bus_region r = {address(in), input_number(in, 2), &ops, NULL, ""};
	int err;
	unsigned i;
	bool overlap = false;

	r.dev = &claimed[count];
	for (i = 0; i < count; i++)
		overlap |= r.base - claimed[i].base < claimed[i].size ||
			   claimed[i].base - r.base < r.size;
	err = bus_claim(b, &r);
	if (!r.size || r.base + (r.size - 1) < r.base)
		INVARIANT(err == -HV_EINVAL);
	else if (overlap)
		INVARIANT(err == -HV_EEXIST);
	else if (count == BUS_REGIONS_MAX)
		INVARIANT(err == -HV_ENOSPC);
	else
		INVARIANT(err == 0);
	if (!err)
		claimed[count++] = r;
}

static void access(struct bus *b, struct input *in)
{
	u64 addr = address(in), value, unclaimed = b->unclaimed;
	unsigned size = 1U << input_u8(in) % 4;
	const struct bus_region *r = search(addr);

	if (r && r->size - (addr - r->base) < size)
		r = NULL;
	hit_dev = NULL;
	value = bus_read(b, addr, size);
	INVARIANT(hit_dev == (r ? r->dev : NULL));
	if (r)
		INVARIANT(value == 0x5a && hit_offset == addr - r->base);
	else
		INVARIANT(value == ~0ULL >> (64 - size * 8));
	hit_dev = NULL;
	bus_write(b, addr, size, 0);
	INVARIANT(hit_dev == (r ? r->dev : NULL));
	INVARIANT(b->unclaimed == unclaimed + (r ? 0 : 2));
	INVARIANT((bus_find(b, addr) == NULL) == (search(addr) == NULL));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct bus b;

	count = 0;
	bus_init(&b);
	while (input_left(&in)) {
		if (input_u8(&in) & 1)
			claim(&b, &in);
		else
			access(&b, &in);
	}
	return 0;
}
