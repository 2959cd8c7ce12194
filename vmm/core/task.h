/* SPDX-License-Identifier: MIT */
/*
 * What task_switch.c, task_tss.c and task_segments.c share with one another and with nobody else: a task switch in progress.
 * Functions that return false have raised a fault for the guest, or killed it.
 */
#ifndef VMM_CORE_TASK_H
#define VMM_CORE_TASK_H

#include "core.h"

#define TASK_GPRS     8
#define TASK_SEGMENTS 6

/* What a TSS holds of a task, of either layout. */
struct task_state {
	u32 cr3, eip, eflags;
	u32 gpr[TASK_GPRS];
	u16 selector[TASK_SEGMENTS]; /* by enum vseg: ES to GS */
	u16 ldt;
	bool trap; /* T */
};

/* Offsets in a TSS. */
struct tss_layout {
	u8 limit; /* the least that the descriptor may say */
	u8 width; /* of a register, and of the error code that is pushed */
	u8 eip, eflags, gpr;
	u8 selector, selector_step, selectors;
	u8 ldt;
	u8 cr3, trap; /* 0: has none */
};

#define TSS_MAX 0x68

/* task_tss.c: pure. `attr` is of a descriptor, or TR's. */
const struct tss_layout *tss_layout_of(u32 attr);
void tss_read(const struct tss_layout *layout, const u8 *tss, struct task_state *out);
void tss_save(const struct tss_layout *layout, const struct task_state *state, u8 *tss);
/* What tss_save() changes: from here, and so many bytes. */
static inline u32 tss_saved_from(const struct tss_layout *layout)
{
	return layout->eip;
}
static inline u32 tss_saved_size(const struct tss_layout *layout)
{
	return layout->selector + layout->selectors * layout->selector_step - layout->eip;
}

struct task_switch {
	struct vcpu *v;
	const struct exit_task *exit;
	struct gwalk_state walk; /* of the CPU's own accesses: descriptor tables, TSSs */
	struct segment from, to; /* TR before and after */
	const struct tss_layout *from_layout, *to_layout;
	struct task_state state; /* of the new task */
};

/* task_switch.c */
/* A fault whose error code names a selector. */
bool task_fault(const struct task_switch *t, u8 vector, u16 selector);
bool task_read(const struct task_switch *t, gva_t va, void *buf, u32 len) must_check;

/* task_segments.c */
enum descriptor_read {
	DESCRIPTOR_READ,
	DESCRIPTOR_OUTSIDE, /* of its table */
	DESCRIPTOR_FAULTED, /* dealt with */
};
/* *out: as the register's cache is to be, but for `selector`, which is the one given. */
enum descriptor_read task_descriptor(const struct task_switch *t, u16 selector,
				     struct segment *out) must_check;
/* Sets and clears bits of a descriptor's type in the GDT or LDT. */
bool task_descriptor_change(const struct task_switch *t, u16 selector, u8 set, u8 clear) must_check;
/* Loads LDTR and the segment registers from t->state, where the registers are the new task's already. */
bool task_load_segments(const struct task_switch *t) must_check;

#endif
