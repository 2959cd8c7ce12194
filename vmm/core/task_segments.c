/* SPDX-License-Identifier: MIT */
/*
 * The segment registers of the task that is switched to: what a CPU loads, and what it refuses. Called by task_switch.c after the
 * commit point: faults are the new task's. SDM vol. 3 "Task Switching", table "Exception Conditions Checked During a Task Switch";
 * "Segment Descriptors".
 */
#include <arch/regs.h>
#include <vmm/errno.h>

#include "task.h"

#define SELECTOR_RPL   3
#define SELECTOR_TI    BIT(2)
#define SELECTOR_TABLE 0xfff8

/* Types of code and data segments. */
#define TYPE_ACCESSED   BIT(0)
#define TYPE_RW         BIT(1) /* data: writable; code: readable */
#define TYPE_CONFORMING BIT(2)
#define TYPE_CODE       BIT(3)
#define TYPE_LDT        2 /* a system segment's */

static unsigned dpl_of(const struct segment *s)
{
	return (unsigned)field_get(SEG_ATTR_DPL, s->attr);
}

static bool is_null(u16 selector)
{
	return !(selector & ~SELECTOR_RPL);
}

/* ---- Descriptors ---------------------------------------------------------------------------- */

static bool descriptor_address(const struct task_switch *t, u16 selector, gva_t *at)
{
	enum vseg table = selector & SELECTOR_TI ? VSEG_LDTR : VSEG_GDTR;
	struct segment s;

	t->v->ops->seg_get(t->v, table, &s);
	if (table == VSEG_LDTR && s.attr & SEG_ATTR_UNUSABLE)
		return false;
	*at = s.base + (selector & SELECTOR_TABLE);
	return (selector | 7U) <= s.limit;
}

static void unpack(u64 d, struct segment *out)
{
	out->base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
	out->limit = (u32)((d & 0xffff) | (d >> 32 & 0xf0000));
	out->attr = (u32)(d >> 40 & 0xf0ff);
	if (out->attr & SEG_ATTR_G)
		out->limit = out->limit << 12 | 0xfff;
}

enum descriptor_read task_descriptor(const struct task_switch *t, u16 selector, struct segment *out)
{
	gva_t at;
	u64 d;

	if (!descriptor_address(t, selector, &at))
		return DESCRIPTOR_OUTSIDE;
	if (!task_read(t, at, &d, sizeof(d)))
		return DESCRIPTOR_FAULTED;
	unpack(d, out);
	out->selector = selector;
	return DESCRIPTOR_READ;
}

/* Other CPUs may use the descriptor: one locked access, as the CPU's (SDM vol. 3 "Automatic Locking"). */
bool task_descriptor_change(const struct task_switch *t, u16 selector, u8 set, u8 clear)
{
	struct gmem *g = &t->v->vm->gmem;
	struct gwalk_fault fault;
	gva_t at = 0;
	u8 *type = NULL;
	gpa_t gpa;
	u64 left;
	int err;

	if (!descriptor_address(t, selector, &at))
		return true;
	err = gwalk(g, &t->walk, at + 5, GWALK_WRITE, &gpa, &left, &fault);
	if (err == -HV_EFAULT) {
		vcpu_raise_fault(t->v, &fault);
		return false;
	}
	if (!err)
		type = gmem_ptr(g, gpa, 1);
	if (!type) {
		vm_kill(t->v->vm, "it keeps a descriptor table where it has no memory");
		return false;
	}
	if (set)
		__atomic_fetch_or(type, set, __ATOMIC_SEQ_CST);
	if (clear)
		__atomic_fetch_and(type, (u8)~clear, __ATOMIC_SEQ_CST);
	return true;
}

/* ---- Checks --------------------------------------------------------------------------------- */

enum check { CHECK_OK, CHECK_INVALID, CHECK_ABSENT };

static enum check check_code(const struct segment *s, unsigned cpl)
{
	if (!(s->attr & SEG_ATTR_S) || !(s->attr & TYPE_CODE))
		return CHECK_INVALID;
	if (s->attr & TYPE_CONFORMING ? dpl_of(s) > cpl : dpl_of(s) != cpl)
		return CHECK_INVALID;
	return s->attr & SEG_ATTR_P ? CHECK_OK : CHECK_ABSENT;
}

static enum check check_stack(const struct segment *s, unsigned cpl)
{
	if (!(s->attr & SEG_ATTR_S) || s->attr & TYPE_CODE || !(s->attr & TYPE_RW))
		return CHECK_INVALID;
	if (dpl_of(s) != cpl || (s->selector & SELECTOR_RPL) != cpl)
		return CHECK_INVALID;
	return s->attr & SEG_ATTR_P ? CHECK_OK : CHECK_ABSENT;
}

static enum check check_data(const struct segment *s, unsigned cpl)
{
	unsigned rpl = s->selector & SELECTOR_RPL;
	bool code = s->attr & TYPE_CODE;

	if (!(s->attr & SEG_ATTR_S) || (code && !(s->attr & TYPE_RW)))
		return CHECK_INVALID;
	if (!(code && s->attr & TYPE_CONFORMING) && dpl_of(s) < MAX(cpl, rpl))
		return CHECK_INVALID;
	return s->attr & SEG_ATTR_P ? CHECK_OK : CHECK_ABSENT;
}

static const struct segment_rule {
	enum check (*check)(const struct segment *s, unsigned cpl);
	u8 absent; /* the vector */
	bool null; /* may be */
} rules[TASK_SEGMENTS] = {
	[VSEG_ES] = {check_data, VEC_NP, true},   [VSEG_CS] = {check_code, VEC_NP, false},
	[VSEG_SS] = {check_stack, VEC_SS, false}, [VSEG_DS] = {check_data, VEC_NP, true},
	[VSEG_FS] = {check_data, VEC_NP, true},   [VSEG_GS] = {check_data, VEC_NP, true},
};

/* A descriptor that passes, its accessed bit set, into *out. */
static bool qualify(const struct task_switch *t, enum vseg seg, unsigned cpl, struct segment *out)
{
	const struct segment_rule *rule = &rules[seg];
	u16 selector = t->state.selector[seg];
	enum check result = CHECK_INVALID;

	*out = (struct segment){.attr = SEG_ATTR_UNUSABLE, .selector = selector};
	if (is_null(selector))
		return rule->null || task_fault(t, VEC_TS, selector);
	switch (task_descriptor(t, selector, out)) {
	case DESCRIPTOR_READ:
		result = rule->check(out, cpl);
		break;
	case DESCRIPTOR_OUTSIDE:
		break;
	default:
		return false;
	}
	if (result != CHECK_OK)
		return task_fault(t, result == CHECK_ABSENT ? rule->absent : VEC_TS, selector);
	if (!(out->attr & TYPE_ACCESSED) && !task_descriptor_change(t, selector, TYPE_ACCESSED, 0))
		return false;
	out->attr |= TYPE_ACCESSED;
	return true;
}

/* ---- Loads ---------------------------------------------------------------------------------- */

static void load(const struct task_switch *t, enum vseg seg, const struct segment *s)
{
	t->v->ops->seg_set(t->v, seg, s);
}

/*
 * The registers hold the new selectors, but nothing can be reached through them yet: what a fault finds. CS and SS have the
 * new privilege level; a CPU cannot be without CS, so its limits stay the old task's.
 */
static void load_selectors(const struct task_switch *t, unsigned cpl)
{
	u32 dpl = (u32)field_prep(SEG_ATTR_DPL, cpl);
	struct segment cs, s;
	enum vseg seg;

	t->v->ops->seg_get(t->v, VSEG_CS, &cs);
	for (seg = VSEG_ES; seg <= VSEG_GS; seg++) {
		s = (struct segment){.attr = SEG_ATTR_UNUSABLE, .selector = t->state.selector[seg]};
		if (seg == VSEG_SS)
			s.attr |= dpl;
		if (seg != VSEG_CS)
			load(t, seg, &s);
	}
	cs.selector = t->state.selector[VSEG_CS];
	cs.attr = (cs.attr & (SEG_ATTR_DB | SEG_ATTR_G)) | SEG_ATTR_P | SEG_ATTR_S | TYPE_CODE |
		  TYPE_RW | TYPE_ACCESSED | dpl;
	load(t, VSEG_CS, &cs);
	s = (struct segment){.attr = SEG_ATTR_UNUSABLE, .selector = t->state.ldt};
	load(t, VSEG_LDTR, &s);
}

static bool load_ldtr(const struct task_switch *t)
{
	u16 selector = t->state.ldt;
	struct segment s;

	if (is_null(selector))
		return true;
	if (selector & SELECTOR_TI)
		return task_fault(t, VEC_TS, selector);
	switch (task_descriptor(t, selector, &s)) {
	case DESCRIPTOR_READ:
		break;
	case DESCRIPTOR_OUTSIDE:
		return task_fault(t, VEC_TS, selector);
	default:
		return false;
	}
	if ((s.attr & (SEG_ATTR_S | SEG_ATTR_TYPE | SEG_ATTR_P)) != (TYPE_LDT | SEG_ATTR_P))
		return task_fault(t, VEC_TS, selector);
	load(t, VSEG_LDTR, &s);
	return true;
}

/* SDM vol. 3 "Registers Supported in Virtual-8086 Mode"; the rest of the cache as VM entry wants it ("Checks on Guest Segment Registers"). */
static void load_v86(const struct task_switch *t)
{
	struct segment s = {.limit = 0xffff,
			    .attr = SEG_ATTR_P | SEG_ATTR_DPL | SEG_ATTR_S | TYPE_RW |
				    TYPE_ACCESSED};
	enum vseg seg;

	for (seg = VSEG_ES; seg <= VSEG_GS; seg++) {
		s.selector = t->state.selector[seg];
		s.base = (u64)s.selector << 4;
		load(t, seg, &s);
	}
}

/* In the order of the table; SS before CS is loaded, because CS may be of a lower level than the CPL, which is SS's. */
static bool load_protected(const struct task_switch *t, unsigned cpl)
{
	static const u8 data[] = {VSEG_DS, VSEG_ES, VSEG_FS, VSEG_GS};
	struct segment cs, s;
	unsigned i;

	if (!qualify(t, VSEG_CS, cpl, &cs) || !qualify(t, VSEG_SS, cpl, &s))
		return false;
	load(t, VSEG_SS, &s);
	load(t, VSEG_CS, &cs);
	for (i = 0; i < ARRAY_SIZE(data); i++) {
		if (!qualify(t, (enum vseg)data[i], cpl, &s))
			return false;
		load(t, (enum vseg)data[i], &s);
	}
	return true;
}

bool task_load_segments(const struct task_switch *t)
{
	unsigned cpl = t->state.selector[VSEG_CS] & SELECTOR_RPL;
	bool v86 = t->state.eflags & RFLAGS_VM;

	load_selectors(t, v86 ? 3 : cpl);
	if (v86)
		load_v86(t);
	return load_ldtr(t) && (v86 || load_protected(t, cpl));
}
