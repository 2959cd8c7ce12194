/* SPDX-License-Identifier: MIT */
/*
 * The two layouts of a task-state segment. Pure. SDM vol. 3 "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)"; APM vol. 2
 * "Legacy Task-State Segment".
 */
#include <vmm/string.h>

#include "task.h"

#define TSS_TYPE_32 BIT(3)

static const struct tss_layout tss_16 = {
	.limit = 0x2b,
	.width = 2,
	.eip = 0x0e,
	.eflags = 0x10,
	.gpr = 0x12,
	.selector = 0x22,
	.selector_step = 2,
	.selectors = 4, /* no FS and GS */
	.ldt = 0x2a,
};

static const struct tss_layout tss_32 = {
	.limit = 0x67,
	.width = 4,
	.eip = 0x20,
	.eflags = 0x24,
	.gpr = 0x28,
	.selector = 0x48,
	.selector_step = 4,
	.selectors = 6,
	.ldt = 0x60,
	.cr3 = 0x1c,
	.trap = 0x64,
};

const struct tss_layout *tss_layout_of(u32 attr)
{
	return attr & TSS_TYPE_32 ? &tss_32 : &tss_16;
}

static u32 get(const u8 *at, unsigned width)
{
	u32 value = 0;

	memcpy(&value, at, width);
	return value;
}

static void put(u8 *at, unsigned width, u32 value)
{
	memcpy(at, &value, width);
}

/* What a 16-bit TSS does not hold is zero: the manuals say nothing of it. */
void tss_read(const struct tss_layout *l, const u8 *tss, struct task_state *out)
{
	size_t i;

	*out = (struct task_state){
		.cr3 = l->cr3 ? get(tss + l->cr3, 4) : 0,
		.eip = get(tss + l->eip, l->width),
		.eflags = get(tss + l->eflags, l->width),
		.ldt = (u16)get(tss + l->ldt, 2),
		.trap = l->trap && get(tss + l->trap, 2) & 1,
	};
	for (i = 0; i < TASK_GPRS; i++)
		out->gpr[i] = get(tss + l->gpr + i * l->width, l->width);
	for (i = 0; i < l->selectors; i++)
		out->selector[i] = (u16)get(tss + l->selector + i * l->selector_step, 2);
}

/* The dynamic fields; the reserved half of a selector's stays as it is. */
void tss_save(const struct tss_layout *l, const struct task_state *state, u8 *tss)
{
	size_t i;

	put(tss + l->eip, l->width, state->eip);
	put(tss + l->eflags, l->width, state->eflags);
	for (i = 0; i < TASK_GPRS; i++)
		put(tss + l->gpr + i * l->width, l->width, state->gpr[i]);
	for (i = 0; i < l->selectors; i++)
		put(tss + l->selector + i * l->selector_step, 2, state->selector[i]);
}
