/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: which device answers at an address. Ports and MMIO alike. Called by the exit handlers of core/
 * for every access that left the guest. What nobody claims behaves as an empty bus: reads give all ones
 * (PCI Local Bus Specification, "Master-Abort"), writes vanish, both are counted.
 */
#include <vmm/bus.h>
#include <vmm/errno.h>
#include <vmm/string.h>

void bus_init(struct bus *b)
{
	memset(b, 0, sizeof(*b));
	b->last = b->region;
}

int bus_claim(struct bus *b, const struct bus_region *r)
{
	unsigned i, at = b->count;

	if (!r->size || r->base + (r->size - 1) < r->base || !r->ops)
		return -HV_EINVAL;
	for (i = 0; i < b->count; i++) {
		const struct bus_region *other = &b->region[i];

		/* Compared by last address: a region may end with the address space. */
		if (r->base <= other->base + (other->size - 1) &&
		    other->base <= r->base + (r->size - 1))
			return -HV_EEXIST;
		if (at == b->count && other->base > r->base)
			at = i;
	}
	if (b->count == BUS_REGIONS_MAX)
		return -HV_ENOSPC;
	memmove(&b->region[at + 1], &b->region[at], (b->count - at) * sizeof(b->region[0]));
	b->region[at] = *r;
	b->count++;
	b->last = b->region;
	return 0;
}

const struct bus_region *bus_find(const struct bus *b, u64 addr)
{
	unsigned low = 0, high = b->count;

	while (low < high) {
		unsigned mid = (low + high) / 2;
		const struct bus_region *r = &b->region[mid];

		if (addr < r->base)
			high = mid;
		else if (addr - r->base >= r->size)
			low = mid + 1;
		else
			return r;
	}
	return NULL;
}

/* The region that holds the whole access, or NULL. */
static const struct bus_region *find_access(struct bus *b, u64 addr, unsigned size)
{
	const struct bus_region *r = bus_find(b, addr);

	if (r && r->size - (addr - r->base) >= size) {
		b->last = r;
		return r;
	}
	b->unclaimed++;
	b->unclaimed_last = addr;
	return NULL;
}

u64 bus_read_elsewhere(struct bus *b, u64 addr, unsigned size)
{
	const struct bus_region *r = find_access(b, addr, size);

	if (r)
		return r->ops->read(r->dev, addr - r->base, size);
	return size >= 8 ? ~0ULL : BIT(size * 8) - 1;
}

void bus_write_elsewhere(struct bus *b, u64 addr, unsigned size, u64 value)
{
	const struct bus_region *r = find_access(b, addr, size);

	if (r)
		r->ops->write(r->dev, addr - r->base, size, value);
}
