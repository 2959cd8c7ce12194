/* SPDX-License-Identifier: MIT */
/*
 * The local APIC under random accesses in both modes, messages and steps of time. What must hold after each:
 * its priorities recomputed the slow way, its caches true, nothing deliverable without a notification, a refused MSR
 * access without effect, and a timer only where an interrupt will come of it.
 */
/* SOURCES: vmm/irq/vlapic.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_ipi.c vmm/irq/vlapic_timer.c vmm/dev/clock.c */
#include <string.h>

#include <vmm/vlapic.h>

#include "input.h"

static u64 ticks, tsc_offset;
static struct clock test_clock;
static struct vlapic apic;
static unsigned notified, depth;
static bool word; /* the guest's, of which it knows that it may clear it instead of an EOI */

static u64 now(void)
{
	return ticks;
}

static void on_notify(unused void *ctx)
{
	notified++;
}

static void on_event(unused void *ctx)
{
}

static void on_sipi(unused void *ctx, unused u8 vector)
{
}

/* As the machine does: to all that match, here only itself. */
static void on_send(unused void *ctx, struct vlapic *from, const struct apic_msg *msg, bool exclude)
{
	INVARIANT(++depth < 4);
	INVARIANT(from == &apic);
	if (!exclude && vlapic_matches(&apic, msg))
		(void)vlapic_deliver(&apic, msg);
	depth--;
}

static void on_eoi(unused void *ctx, u8 vector)
{
	INVARIANT(vector >= 16);
}

static bool on_settle(unused void *ctx)
{
	bool was = word;

	INVARIANT(!apic.eoi_offered); /* asked once */
	word = false;
	return !was;
}

static void on_enabled(unused void *ctx)
{
}

static u64 guest_tsc(unused void *ctx)
{
	return ticks + tsc_offset;
}

static u64 tsc_to_ticks(unused void *ctx, u64 tsc)
{
	return tsc - tsc_offset;
}

static const struct vlapic_ops ops = {
	.notify = on_notify,
	.nmi = on_event,
	.init = on_event,
	.sipi = on_sipi,
	.send = on_send,
	.eoi = on_eoi,
	.eoi_settle = on_settle,
	.enabled = on_enabled,
	.guest_tsc = guest_tsc,
	.tsc_to_ticks = tsc_to_ticks,
};

static int highest(const u32 *reg)
{
	int v;

	for (v = 255; v >= 0; v--) {
		if (reg[v / 32] >> (v % 32) & 1)
			return v;
	}
	return -1;
}

/* The vector to deliver, from first principles; -1: none. */
static int deliverable(void)
{
	int irr = highest(apic.irr), isr = highest(apic.isr);
	u32 class = MAX(apic.tpr >> 4, isr < 0 ? 0 : (u32)isr >> 4);

	return irr >= 0 && (u32)irr >> 4 > class ? irr : -1;
}

static void check(void)
{
	unsigned i;
	const struct timer *t = test_clock.head;
	u32 lvt = apic.lvt[VLAPIC_LVT_TIMER], mode = lvt >> 17 & 3;

	INVARIANT(!((apic.irr[0] | apic.isr[0] | apic.tmr[0]) & 0xffff));
	for (i = 0; i < 8; i++) {
		INVARIANT((apic.irr_words >> i & 1) == (apic.irr[i] != 0));
		INVARIANT((apic.isr_words >> i & 1) == (apic.isr[i] != 0));
	}
	INVARIANT(deliverable() < 0 || apic.pending_hint);
	/* Whoever clears the word must have been in the only interrupt there is, and nothing may wait for its end. */
	INVARIANT(!word || apic.eoi_offered);
	INVARIANT(!apic.eoi_offered || vlapic_eoi_is_plain(&apic));
	INVARIANT(vlapic_pending(&apic) == deliverable());
	INVARIANT(apic.hw_enabled == ((apic.base_msr & 0x800) != 0));
	INVARIANT(apic.enabled_x2apic == ((apic.base_msr & 0xc00) == 0xc00));
	INVARIANT((apic.base_msr & 0xc00) != 0x400);
	INVARIANT(apic.tpr <= 0xff && vlapic_cr8_get(&apic) == apic.tpr >> 4);
	for (i = 0; i < VLAPIC_LVTS && !(apic.svr & 0x100); i++)
		INVARIANT(apic.lvt[i] & 0x10000);
	/* The timer. */
	INVARIANT(!apic.tsc_deadline || mode == 2);
	INVARIANT(!apic.timer_running || (mode < 2 && apic.timer_icr));
	INVARIANT(!t || (t == &apic.timer && !t->next));
	INVARIANT((t != NULL) == (!(lvt & 0x10000) && (apic.tsc_deadline || apic.timer_running)));
}

static bool same_state(const struct vlapic *a, const struct vlapic *b)
{
	return !memcmp(a->irr, b->irr, sizeof(a->irr)) && !memcmp(a->isr, b->isr, sizeof(a->isr)) &&
	       !memcmp(a->tmr, b->tmr, sizeof(a->tmr)) && !memcmp(a->lvt, b->lvt, sizeof(a->lvt)) &&
	       a->base_msr == b->base_msr && a->tpr == b->tpr && a->ldr == b->ldr &&
	       a->dfr == b->dfr && a->svr == b->svr && a->esr == b->esr &&
	       a->esr_pending == b->esr_pending && a->icr_low == b->icr_low &&
	       a->icr_high == b->icr_high && a->timer_icr == b->timer_icr &&
	       a->timer_dcr == b->timer_dcr && a->timer_end == b->timer_end &&
	       a->tsc_deadline == b->tsc_deadline && a->timer.deadline == b->timer.deadline;
}

static void msr_access(struct input *in, u32 msr, bool write)
{
	static struct vlapic before;
	u64 value = 0x5a5a;
	bool ok;

	before = apic;
	if (write) {
		value = input_number(in, input_u8(in) % 9);
		ok = vlapic_msr_write(&apic, msr, value);
	} else {
		ok = vlapic_msr_read(&apic, msr, &value);
	}
	INVARIANT(ok || same_state(&before, &apic));
	if (msr >= 0x800 && msr < 0x900 && !before.enabled_x2apic)
		INVARIANT(!ok);
	if (msr == 0x839 && ok)
		INVARIANT(value <= apic.timer_icr);
}

static u32 pick_msr(u8 n)
{
	static const u32 common[] = {0x1b, 0x6e0, 0x80b, 0x830, 0x83f, 0x832, 0x838, 0x80f};

	return n & 0x80 ? 0x800 + (n & 0x7f) : common[n % ARRAY_SIZE(common)];
}

static void mmio_access(struct input *in, bool write)
{
	u32 offset = input_u8(in) * 16U;

	if (!apic.hw_enabled || apic.enabled_x2apic)
		return; /* no access comes here then */
	if (write)
		vlapic_mmio_write(&apic, offset | (input_u8(in) == 0xff ? 4 : 0),
				  (u32)input_number(in, 4));
	else if (offset == 0x390)
		INVARIANT(vlapic_mmio_read(&apic, offset) <= apic.timer_icr);
	else
		vlapic_mmio_read(&apic, offset);
}

static void message(struct input *in)
{
	struct apic_msg msg = {
		.dest = input_u8(in) & 1 ? ~0U : input_u8(in),
		.logical = input_u8(in) & 1,
		.mode = input_u8(in) & 7,
		.vector = input_u8(in),
		.level = input_u8(in) & 1,
	};

	if (vlapic_matches(&apic, &msg))
		vlapic_deliver(&apic, &msg);
}

static void pass(u64 span)
{
	if (ticks + span < 1ULL << 62)
		ticks += span;
	INVARIANT(clock_run(&test_clock, ticks) > ticks);
}

/* The ordinary ways in, so that random bytes get somewhere. */
static void well_formed(struct input *in, u8 what)
{
	u64 base = apic.base_msr & 0xfee00100;
	bool accepted;

	switch (what % 4) {
	case 0:
		vlapic_mmio_write(&apic, 0xf0, 0x1ff);
		break;
	case 1:
		/* Whether it is refused depends on the state; what came of it is for check(). */
		accepted = vlapic_msr_write(&apic, 0x1b, base | (input_u8(in) & 3) << 10);
		INVARIANT(!accepted || (apic.base_msr & 0xfee00100) == base);
		break;
	case 2:
		if (apic.enabled_x2apic)
			msr_access(in, 0x832, true);
		else
			vlapic_mmio_write(&apic, 0x320, (input_u8(in) & 7U) << 16 | 0xe0);
		break;
	default:
		if (!vlapic_msr_write(&apic, 0x6e0, guest_tsc(NULL) + input_span(in)))
			abort();
		break;
	}
}

static void reset_init(void)
{
	vlapic_settle_eoi(&apic);
	vlapic_reset_init(&apic);
}

static void act(struct input *in)
{
	u8 what = input_u8(in);

	if (what < 0x30)
		mmio_access(in, what & 1);
	else if (what < 0x70)
		msr_access(in, pick_msr(input_u8(in)), what & 1);
	else if (what < 0x90)
		message(in);
	else if (what < 0xc0)
		pass(input_span(in));
	else if (what < 0xe0)
		well_formed(in, what);
	else if (what < 0xf0)
		vlapic_cr8_set(&apic, what & 0xf);
	else if (what < 0xf6)
		word = false; /* an EOI, or nothing */
	else if (what < 0xf8)
		reset_init();
	else if (what < 0xfc) {
		tsc_offset += input_number(in, 8);
		vlapic_tsc_changed(&apic);
	} else {
		word = false; /* memory is cleared too */
		vlapic_reset(&apic, what & 1);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};

	ticks = 1000;
	tsc_offset = 0;
	word = false;
	clock_init(&test_clock, now, 2100000000ULL, NULL);
	memset(&apic, 0, sizeof(apic));
	vlapic_init(&apic, input_u8(&in) % 16, &test_clock, &ops, NULL);
	vlapic_reset(&apic, true);
	while (input_left(&in)) {
		int before = deliverable();
		int pending;

		notified = 0;
		act(&in);
		if (deliverable() > before)
			INVARIANT(notified);
		check();
		pending = vlapic_pending(&apic);
		if (pending >= 0 && input_u8(&in) & 1) {
			vlapic_accept(&apic, (u8)pending);
			apic.eoi_offered = word = vlapic_eoi_is_plain(&apic);
			INVARIANT(vlapic_pending(&apic) == -1);
			check();
		}
	}
	return 0;
}
