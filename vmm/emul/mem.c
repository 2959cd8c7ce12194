/* SPDX-License-Identifier: MIT */
/*
 * An emulated instruction's way to memory: segment and canonical checks, alignment check, the page walk, and then RAM or
 * MMIO. Called by exec.c and exec_string.c. SDM vol. 3 "Limit Checking", "Type Checking", "Alignment Check Exception";
 * vol. 1 "Canonical Addressing"; APM vol. 2 "Segment-Protection Checks". An operand that crosses a page is translated on
 * both sides before anything is read or written.
 */
#include <arch/regs.h>
#include <vmm/emul.h>
#include <vmm/errno.h>
#include <vmm/string.h>

#include "internal.h"

#define TYPE_CODE        BIT(3)
#define TYPE_EXPAND_DOWN BIT(2) /* of data */
#define TYPE_RW          BIT(1) /* data: writable; code: readable */

static enum emul_result fault(struct emul_exec *e, u8 vector)
{
	e->fault = (struct gwalk_fault){.vector = vector};
	return EMUL_FAULT;
}

static enum emul_result segment_fault(struct emul_exec *e, unsigned seg)
{
	return fault(e, seg == VSEG_SS ? VEC_SS : VEC_GP);
}

static bool canonical(const struct emul_exec *e, u64 va)
{
	unsigned bits = e->walk.cr4 & CR4_LA57 ? 57 : 48;

	return (u64)((s64)(va << (64 - bits)) >> (64 - bits)) == va;
}

static bool limit_ok(const struct segment *s, u64 offset, unsigned size)
{
	u64 last = offset + size - 1;

	if ((s->attr & (SEG_ATTR_S | TYPE_CODE | TYPE_EXPAND_DOWN)) ==
	    (SEG_ATTR_S | TYPE_EXPAND_DOWN))
		return offset > s->limit &&
		       last <= (s->attr & SEG_ATTR_DB ? 0xffffffffULL : 0xffff);
	return last <= s->limit;
}

/* Type and presence are checked only in protected mode: in real and virtual-8086 mode a segment is what its base says. */
static bool type_ok(const struct emul_exec *e, const struct segment *s, bool write)
{
	if (!(e->walk.cr0 & CR0_PE) || e->walk.rflags & RFLAGS_VM)
		return true;
	if (s->attr & SEG_ATTR_UNUSABLE || !(s->attr & SEG_ATTR_P))
		return false;
	if (s->attr & TYPE_CODE)
		return !write && s->attr & TYPE_RW;
	return !write || s->attr & TYPE_RW;
}

static enum emul_result linear_address(struct emul_exec *e, unsigned seg, u64 offset, unsigned size,
				       bool write, u64 *la)
{
	struct segment s = {.base = 0};

	if (e->mode != EMUL_MODE64) {
		e->ops->seg_get(e->ctx, seg, &s);
		if (!type_ok(e, &s, write) || !limit_ok(&s, offset, size))
			return segment_fault(e, seg);
		*la = (u32)(s.base + offset);
		return EMUL_DONE;
	}
	if (seg == VSEG_FS || seg == VSEG_GS)
		e->ops->seg_get(e->ctx, seg, &s);
	*la = s.base + offset;
	if (!canonical(e, *la) || !canonical(e, *la + size - 1))
		return segment_fault(e, seg);
	return EMUL_DONE;
}

static bool aligned_or_unchecked(const struct emul_exec *e, u64 la, unsigned size)
{
	return (la & (size - 1)) == 0 || e->walk.cpl != 3 || !(e->walk.cr0 & CR0_AM) ||
	       !(e->walk.rflags & RFLAGS_AC);
}

/* ---- Breakpoints: SDM vol. 3 "Debug Control Register (DR7)", "Breakpoint Field Recognition" ---- */

enum { WATCH_EXEC, WATCH_WRITE, WATCH_IO, WATCH_ACCESS }; /* the R/W field */

static unsigned watch_kind(const struct emul_watch *w, unsigned n)
{
	return w->dr7 >> (16 + 4 * n) & 3;
}

static bool watch_enabled(const struct emul_watch *w, unsigned n)
{
	unsigned kind = watch_kind(w, n);

	return w->dr7 >> (2 * n) & 3 && kind != WATCH_EXEC && (kind != WATCH_IO || w->io);
}

static bool watch_overlaps(const struct emul_watch *w, unsigned n, u64 first, unsigned size)
{
	static const u8 sizes[] = {1, 2, 8, 4}; /* by the LEN field */
	unsigned len = sizes[w->dr7 >> (18 + 4 * n) & 3];
	u64 start = w->address[n] & ~(u64)(len - 1);

	return first - start < len || start - first < size;
}

bool emul_watch_any(const struct emul_watch *w)
{
	return watch_enabled(w, 0) || watch_enabled(w, 1) || watch_enabled(w, 2) ||
	       watch_enabled(w, 3);
}

static u8 __attribute__((noinline))
watch_data(const struct emul_watch *w, u64 la, unsigned size, bool write)
{
	u8 hits = 0;
	unsigned n;

	for (n = 0; n < 4; n++) {
		unsigned kind = watch_kind(w, n);

		if (watch_enabled(w, n) &&
		    (kind == WATCH_ACCESS || (kind == WATCH_WRITE && write)) &&
		    watch_overlaps(w, n, la, size))
			hits |= (u8)BIT(n);
	}
	return hits;
}

u8 emul_watch_io(const struct emul_watch *w, u16 port, unsigned size)
{
	u8 hits = 0;
	unsigned n;

	for (n = 0; n < 4; n++)
		if (watch_enabled(w, n) && watch_kind(w, n) == WATCH_IO &&
		    watch_overlaps(w, n, port, size))
			hits |= (u8)BIT(n);
	return hits;
}

/* A guest whose page tables lie outside its memory is past help. */
static enum emul_result translate(struct emul_exec *e, u64 la, u32 access, gpa_t *gpa, u64 *left)
{
	int err = gwalk(e->gmem, &e->walk, la, access, gpa, left, &e->fault);

	return !err ? EMUL_DONE : err == -HV_EFAULT ? EMUL_FAULT : EMUL_UNHANDLED;
}

enum emul_result emul_mem_map(struct emul_exec *e, unsigned seg, u64 offset, unsigned size,
			      bool write, struct emul_ref *ref)
{
	u32 access = write ? GWALK_WRITE : GWALK_READ;
	enum emul_result r;
	u64 la, left;

	r = linear_address(e, seg, offset, size, write, &la);
	if (r != EMUL_DONE)
		return r;
	if (!aligned_or_unchecked(e, la, size))
		return fault(e, VEC_AC);
	if (unlikely(e->watch))
		e->hits |= watch_data(e->watch, la, size, write);
	r = translate(e, la, access, &ref->gpa[0], &left);
	if (r != EMUL_DONE)
		return r;
	ref->len[0] = (u8)MIN(left, size);
	ref->len[1] = (u8)(size - ref->len[0]);
	if (ref->len[1] == 0)
		return EMUL_DONE;
	la += ref->len[0];
	if (e->mode != EMUL_MODE64)
		la = (u32)la;
	return translate(e, la, access, &ref->gpa[1], &left);
}

/* Devices take 1, 2, 4 or 8 bytes: what a page boundary leaves of an operand is cut into such pieces. */
static unsigned mmio_piece(unsigned len)
{
	return len >= 8 ? 8 : len >= 4 ? 4 : len >= 2 ? 2 : 1;
}

static enum emul_result part_read(struct emul_exec *e, gpa_t gpa, u8 *buf, unsigned len)
{
	u64 v;

	if (gmem_is_ram(e->gmem, gpa, len))
		return gmem_read(e->gmem, gpa, buf, len) ? EMUL_UNHANDLED : EMUL_DONE;
	while (len) {
		unsigned n = mmio_piece(len);

		v = e->ops->mmio_read(e->ctx, gpa, n);
		memcpy(buf, &v, n);
		gpa += n;
		buf += n;
		len -= n;
	}
	return EMUL_DONE;
}

static enum emul_result part_write(struct emul_exec *e, gpa_t gpa, const u8 *buf, unsigned len)
{
	if (gmem_is_ram(e->gmem, gpa, len))
		return gmem_write(e->gmem, gpa, buf, len) ? EMUL_UNHANDLED : EMUL_DONE;
	while (len) {
		unsigned n = mmio_piece(len);
		u64 v = 0;

		memcpy(&v, buf, n);
		e->ops->mmio_write(e->ctx, gpa, n, v);
		gpa += n;
		buf += n;
		len -= n;
	}
	return EMUL_DONE;
}

/* An operand on both sides of a page boundary, one or both of which may be a device. */
static enum emul_result pieces_read(struct emul_exec *e, const struct emul_ref *ref, u64 *value)
{
	u8 buf[8] = {0};
	enum emul_result r;

	r = part_read(e, ref->gpa[0], buf, ref->len[0]);
	if (r == EMUL_DONE)
		r = part_read(e, ref->gpa[1], buf + ref->len[0], ref->len[1]);
	memcpy(value, buf, sizeof(*value));
	return r;
}

static enum emul_result pieces_write(struct emul_exec *e, const struct emul_ref *ref, u64 value)
{
	u8 buf[8];
	enum emul_result r;

	memcpy(buf, &value, sizeof(buf));
	r = part_write(e, ref->gpa[0], buf, ref->len[0]);
	if (r == EMUL_DONE)
		r = part_write(e, ref->gpa[1], buf + ref->len[0], ref->len[1]);
	return r;
}

enum emul_result emul_mem_read(struct emul_exec *e, const struct emul_ref *ref, u64 *value)
{
	unsigned len = ref->len[0];

	if (unlikely(ref->len[1]))
		return pieces_read(e, ref, value);
	if (gmem_is_ram(e->gmem, ref->gpa[0], len)) {
		*value = 0;
		return gmem_read(e->gmem, ref->gpa[0], value, len) ? EMUL_UNHANDLED : EMUL_DONE;
	}
	*value = e->ops->mmio_read(e->ctx, ref->gpa[0], len) & emul_size_mask(len);
	return EMUL_DONE;
}

enum emul_result emul_mem_write(struct emul_exec *e, const struct emul_ref *ref, u64 value)
{
	unsigned len = ref->len[0];

	if (unlikely(ref->len[1]))
		return pieces_write(e, ref, value);
	if (gmem_is_ram(e->gmem, ref->gpa[0], len))
		return gmem_write(e->gmem, ref->gpa[0], &value, len) ? EMUL_UNHANDLED : EMUL_DONE;
	e->ops->mmio_write(e->ctx, ref->gpa[0], len, value & emul_size_mask(len));
	return EMUL_DONE;
}
