/* SPDX-License-Identifier: MIT */
/*
 * The address spaces of a machine: port I/O and MMIO. A device claims a region at create() and gets
 * its accesses by offset. What no region claims reads as all ones, swallows writes, and is counted.
 *
 * Lookup is on the exit path: O(log n), no lock (regions change only while the VM does not run).
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <vmm/types.h>

struct bus_ops {
	/* offset from the region's base; size 1, 2, 4 or 8 (MMIO only), never past the region's end. The result is
	 * zero-extended. */
	u64 (*read)(void *dev, u64 offset, unsigned size);
	void (*write)(void *dev, u64 offset, unsigned size, u64 value);
};

struct bus_region {
	u64 base;
	u64 size;
	const struct bus_ops *ops;
	void *dev;
	const char *name;
};

/*
 * For bus_ops of a device whose ports have 8 bits: the bus cuts a wider access into bytes, lowest port first. Inline, so that the
 * compiler sees through the pointer.
 */
static inline u64 bus_read_bytes(void *dev, u64 offset, unsigned size,
				 u8 (*read)(void *dev, u64 port))
{
	u64 value = 0;
	unsigned i;

	for (i = 0; i < size; i++)
		value |= (u64)read(dev, offset + i) << (i * 8);
	return value;
}

static inline void bus_write_bytes(void *dev, u64 offset, unsigned size, u64 value,
				   void (*write)(void *dev, u64 port, u8 value))
{
	unsigned i;

	for (i = 0; i < size; i++)
		write(dev, offset + i, (u8)(value >> (i * 8)));
}

#define BUS_REGIONS_MAX 32

struct bus {
	struct bus_region region[BUS_REGIONS_MAX]; /* sorted by base, no overlap */
	unsigned count;
	const struct bus_region *last; /* hit last: most accesses come in runs */
	u64 unclaimed;                 /* accesses that no region claimed */
	u64 unclaimed_last;            /* address of the last one */
};

void bus_init(struct bus *b);
/* -HV_EEXIST on overlap, -HV_ENOSPC when full, -HV_EINVAL for size 0 or wrap-around. */
int bus_claim(struct bus *b, const struct bus_region *r) must_check;
const struct bus_region *bus_find(const struct bus *b, u64 addr);
/* For bus_read() and bus_write(): the access is not, or not wholly, in the region hit last. */
u64 bus_read_elsewhere(struct bus *b, u64 addr, unsigned size);
void bus_write_elsewhere(struct bus *b, u64 addr, unsigned size, u64 value);

/* With no region at all `last` is region[0], of size 0: it never matches. */
static inline bool bus_hits(const struct bus_region *r, u64 addr, unsigned size)
{
	u64 offset = addr - r->base;

	return offset < r->size && size <= r->size - offset;
}

/* An access that crosses a region's end, or hits no region: all ones / swallowed, counted. */
static inline u64 bus_read(struct bus *b, u64 addr, unsigned size)
{
	/* Once: another vcpu may change it meanwhile. */
	const struct bus_region *r = __atomic_load_n(&b->last, __ATOMIC_RELAXED);

	if (bus_hits(r, addr, size))
		return r->ops->read(r->dev, addr - r->base, size);
	return bus_read_elsewhere(b, addr, size);
}

static inline void bus_write(struct bus *b, u64 addr, unsigned size, u64 value)
{
	/* Once: another vcpu may change it meanwhile. */
	const struct bus_region *r = __atomic_load_n(&b->last, __ATOMIC_RELAXED);

	if (bus_hits(r, addr, size))
		r->ops->write(r->dev, addr - r->base, size, value);
	else
		bus_write_elsewhere(b, addr, size, value);
}

#endif
