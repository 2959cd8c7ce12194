/* SPDX-License-Identifier: MIT */
/*
 * Hardware task switches, which no CPU carries out for a guest under VMX, and which are intercepted under SVM. What a CPU
 * checks and does, in its order: SDM vol. 3 "Task Switching", "Task Linking"; APM vol. 2 "Task Switching Using Task Gates", "Nesting Tasks".
 * Both kinds of CPU have checked the gate, privileges and the descriptor of the new TSS before the exit (SDM "Treatment of Task Switches", APM "Task
 * Switch Intercept"); the descriptor is looked at again because memory may have changed since.
 *
 * Up to commit() a fault is the old task's, whose instruction has done nothing; after it, it is the new one's.
 */
#include <arch/regs.h>
#include <vmm/errno.h>

#include "task.h"

#define TSS_TYPE_BUSY  BIT(1)
#define TSS_TYPE_MASK  0x17 /* type but for the size, and S */
#define TSS_TYPE_FREE  0x01
#define TSS_LINK_SIZE  2
#define SELECTOR_TI    BIT(2)
#define SELECTOR_INDEX 0xfffc

#define DR7_LOCAL (BIT(0) | BIT(2) | BIT(4) | BIT(6) | BIT(8)) /* L0 to L3, LE */
#define EFLAGS_KNOWN                                                                               \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_IF |       \
	 RFLAGS_DF | RFLAGS_OF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC |     \
	 RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

/* CALL and events nest the new task into the old one. */
static bool nests(const struct task_switch *t)
{
	return t->exit->source == TASK_CALL || t->exit->source == TASK_GATE;
}

/* EXT: the fault came of something that the program has not asked for (SDM vol. 3 "Error Code"). */
bool task_fault(const struct task_switch *t, u8 vector, u16 selector)
{
	vcpu_raise_error(t->v, vector, (selector & SELECTOR_INDEX) | t->exit->external);
	return false;
}

/* ---- Memory --------------------------------------------------------------------------------- */

static bool memory_fault(const struct task_switch *t, int err, const struct gwalk_fault *fault)
{
	if (!err)
		return true;
	if (err == -HV_EFAULT)
		vcpu_raise_fault(t->v, fault);
	else
		vm_kill(t->v->vm, "it switches tasks where it has no memory");
	return false;
}

bool task_read(const struct task_switch *t, gva_t va, void *buf, u32 len)
{
	struct gwalk_fault fault;
	int err = gwalk_read(&t->v->vm->gmem, &t->walk, va, buf, len, GWALK_READ, &fault);

	return memory_fault(t, err, &fault);
}

static must_check bool task_write(const struct task_switch *t, gva_t va, const void *buf, u32 len)
{
	struct gwalk_fault fault;
	int err = gwalk_write(&t->v->vm->gmem, &t->walk, va, buf, len, &fault);

	return memory_fault(t, err, &fault);
}

/* Can all of it be written? It is less than a page. */
static must_check bool probe(const struct task_switch *t, gva_t va, u32 len)
{
	struct gwalk_fault fault;
	gpa_t gpa;
	u64 left;
	int err = gwalk(&t->v->vm->gmem, &t->walk, va, GWALK_WRITE, &gpa, &left, &fault);

	if (!err && left < len)
		err = gwalk(&t->v->vm->gmem, &t->walk, va + left, GWALK_WRITE, &gpa, &left, &fault);
	return memory_fault(t, err, &fault);
}

/* ---- Before the commit point -------------------------------------------------------------------- */

/* Table "Exception Conditions Checked During a Task Switch", its first four rows. */
static bool check_new_tss(struct task_switch *t)
{
	bool iret = t->exit->source == TASK_IRET;
	u8 invalid = iret ? VEC_TS : VEC_GP;
	u16 selector = t->exit->selector;

	if (selector & SELECTOR_TI)
		return task_fault(t, invalid, selector);
	switch (task_descriptor(t, selector, &t->to)) {
	case DESCRIPTOR_READ:
		break;
	case DESCRIPTOR_OUTSIDE:
		return task_fault(t, invalid, selector);
	default:
		return false;
	}
	if (!(selector & SELECTOR_INDEX) ||
	    (t->to.attr & TSS_TYPE_MASK) != (TSS_TYPE_FREE | (iret ? TSS_TYPE_BUSY : 0)))
		return task_fault(t, invalid, selector);
	if (!(t->to.attr & SEG_ATTR_P))
		return task_fault(t, VEC_NP, selector);
	t->to_layout = tss_layout_of(t->to.attr);
	if (t->to.limit < t->to_layout->limit)
		return task_fault(t, VEC_TS, selector);
	return true;
}

/* Step 5: whatever of the two TSSs is written. The old one has no row for its limit: what it cannot hold is an invalid TSS too. */
static bool check_memory(const struct task_switch *t)
{
	u32 from = tss_saved_from(t->from_layout), size = tss_saved_size(t->from_layout);

	if (t->from.limit < from + size - 1)
		return task_fault(t, VEC_TS, t->exit->selector);
	return probe(t, t->from.base + from, size) &&
	       (!nests(t) || probe(t, t->to.base, TSS_LINK_SIZE));
}

static bool read_new_state(struct task_switch *t)
{
	u8 tss[TSS_MAX];

	if (!task_read(t, t->to.base, tss, t->to_layout->limit + 1U))
		return false;
	tss_read(t->to_layout, tss, &t->state);
	return true;
}

static bool loads_cr3(const struct task_switch *t)
{
	return t->to_layout->cr3 && vcpu_reg(t->v, VREG_CR0) & CR0_PG;
}

static bool check_cr3(const struct task_switch *t)
{
	if (!loads_cr3(t) || cr3_switch_ok(t->v, t->state.cr3))
		return true;
	return task_fault(t, VEC_GP, 0);
}

/* ---- The commit point ------------------------------------------------------------------------ */

/* Step 8. IRET leaves the task for good: it is not nested any more. */
static bool save_old_state(const struct task_switch *t, u32 eip)
{
	u64 eflags = vcpu_reg(t->v, VREG_RFLAGS) & ~RFLAGS_RF;
	gva_t at = t->from.base + tss_saved_from(t->from_layout);
	u32 size = tss_saved_size(t->from_layout);
	struct task_state old = {.eip = eip};
	struct segment s;
	u8 tss[TSS_MAX];
	unsigned i;

	if (t->exit->source == TASK_IRET)
		eflags &= ~RFLAGS_NT;
	old.eflags = (u32)(eflags | (t->exit->rf ? RFLAGS_RF : 0));
	for (i = 0; i < TASK_GPRS; i++)
		old.gpr[i] = (u32)vcpu_gpr(t->v, i);
	for (i = 0; i < TASK_SEGMENTS; i++) {
		t->v->ops->seg_get(t->v, (enum vseg)i, &s);
		old.selector[i] = s.selector;
	}
	if (!task_read(t, at, tss + tss_saved_from(t->from_layout), size))
		return false;
	tss_save(t->from_layout, &old, tss);
	return task_write(t, at, tss + tss_saved_from(t->from_layout), size);
}

/* Table "Effect of a Task Switch on Busy Flag, NT Flag, Previous Task Link Field, and TS Flag". */
static bool link_tasks(const struct task_switch *t)
{
	bool iret = t->exit->source == TASK_IRET;

	if (!nests(t) && !task_descriptor_change(t, t->from.selector, 0, TSS_TYPE_BUSY))
		return false;
	if (nests(t) && !task_write(t, t->to.base, &t->from.selector, TSS_LINK_SIZE))
		return false;
	return iret || task_descriptor_change(t, t->to.selector, TSS_TYPE_BUSY, 0);
}

/* A task that returns to itself is written before it is read: hence the second read. */
static bool commit(struct task_switch *t, u32 eip)
{
	if (!save_old_state(t, eip) || !read_new_state(t) || !link_tasks(t))
		return false;
	t->to.attr |= TSS_TYPE_BUSY;
	t->v->ops->seg_set(t->v, VSEG_TR, &t->to);
	return true;
}

/* ---- The new task ------------------------------------------------------------------------------- */

static void load_eflags(struct task_switch *t)
{
	struct vcpu *v = t->v;

	t->state.eflags = (t->state.eflags & (u32)EFLAGS_KNOWN) | (u32)RFLAGS_ONE;
	if (nests(t))
		t->state.eflags |= (u32)RFLAGS_NT;
	/* Shadows and a single step that are due are the old task's, and end with it. */
	vcpu_reg_set(v, VREG_RFLAGS, RFLAGS_ONE);
	v->ops->advance(v, 0);
	vcpu_reg_set(v, VREG_RFLAGS, t->state.eflags);
}

/* Step 12. Breakpoints that are one task's end with it (SDM vol. 3 "Debug Control Register (DR7)"). */
static void load_registers(struct task_switch *t)
{
	struct vcpu *v = t->v;
	unsigned i;

	v->fetch.key = 0;
	if (loads_cr3(t) && vcpu_reg(v, VREG_CR3) != t->state.cr3) {
		vcpu_reg_set(v, VREG_CR3, t->state.cr3);
		v->ops->flush(v);
	}
	vcpu_reg_set(v, VREG_CR0, vcpu_reg(v, VREG_CR0) | CR0_TS);
	vcpu_reg_set(v, VREG_DR7, vcpu_reg(v, VREG_DR7) & ~DR7_LOCAL);
	for (i = 0; i < TASK_GPRS; i++)
		vcpu_gpr_set(v, i, t->state.gpr[i]);
	vcpu_reg_set(v, VREG_RIP, t->state.eip);
	load_eflags(t);
	t->walk.cr0 = vcpu_reg(v, VREG_CR0);
	t->walk.cr3 = vcpu_reg(v, VREG_CR3);
	t->walk.rflags = t->state.eflags;
}

/* SDM vol. 3 "Expand-down" limits: "Limit Checking". */
static bool inside(const struct segment *ss, u32 sp, u32 size, u32 mask)
{
	bool expand_down = ss->attr & BIT(2);
	u64 last = (u64)sp + size - 1;

	if (expand_down)
		return sp > ss->limit && last <= mask;
	return last <= ss->limit;
}

/* On the new task's stack, and with its rights; as wide as its TSS. */
static bool push_error(struct task_switch *t)
{
	struct vcpu *v = t->v;
	u32 size = t->to_layout->width, error = t->exit->error, mask, sp;
	u64 rsp = vcpu_reg(v, VREG_RSP);
	struct segment ss;

	v->ops->seg_get(v, VSEG_SS, &ss);
	mask = ss.attr & SEG_ATTR_DB ? ~0U : 0xffff;
	sp = (u32)(rsp - size) & mask;
	if (!inside(&ss, sp, size, mask))
		return task_fault(t, VEC_SS, 0);
	vcpu_walk_state(v, &t->walk);
	if (!task_write(t, ss.base + sp, &error, size))
		return false;
	vcpu_reg_set(v, VREG_RSP, (rsp & ~(u64)mask) | sp);
	return true;
}

/* A trap before the task's first instruction. It is of no class that makes a double fault. */
static void debug_trap(struct vcpu *v)
{
	vcpu_reg_set(v, VREG_DR6, vcpu_reg(v, VREG_DR6) | DR6_BT);
	vcpu_raise(v, VEC_DB);
}

static void switch_task(struct task_switch *t, u32 eip)
{
	struct vcpu *v = t->v;

	vcpu_walk_state(v, &t->walk);
	t->walk.implicit = true;
	v->ops->seg_get(v, VSEG_TR, &t->from);
	t->from_layout = tss_layout_of(t->from.attr);
	if (!check_new_tss(t) || !check_memory(t) || !read_new_state(t) || !check_cr3(t) ||
	    !commit(t, eip))
		return;
	load_registers(t);
	if (!task_load_segments(t) || (t->exit->has_error && !push_error(t)))
		return;
	if (t->state.trap)
		debug_trap(v);
}

/*
 * The event that came through a task gate is in v->reinject meanwhile, so that a fault finds it and may make a double fault of the
 * two (event.c). With the switch it has been delivered; with a fault it is lost, as in the CPU.
 */
enum next exit_task_switch(struct vcpu *v, struct vm_exit *e)
{
	struct task_switch t = {.v = v, .exit = &e->task};
	u32 eip;

	if (e->task.insn && !e->insn_len && !emulate_length(v, e))
		return NEXT_RESUME;
	eip = (u32)vcpu_reg(v, VREG_RIP) + (e->task.insn ? e->insn_len : 0);
	switch_task(&t, eip);
	if (e->task.source == TASK_GATE) {
		v->reinject.type = EVENT_NONE;
		v->reinject_deferred = false;
	}
	return NEXT_RESUME;
}
