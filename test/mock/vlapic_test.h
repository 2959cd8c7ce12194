/* SPDX-License-Identifier: MIT */
/* What the unit tests of the local APIC have in common: one APIC, its registers by offset, and what it has called back. Its timer's tests have their own. */
#ifndef TEST_MOCK_VLAPIC_TEST_H
#define TEST_MOCK_VLAPIC_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arch/msr.h>
#include <vmm/string.h>
#include <vmm/vlapic.h>

enum {
	ID = 0x20,
	VERSION = 0x30,
	TPR = 0x80,
	APR = 0x90,
	PPR = 0xa0,
	EOI = 0xb0,
	RRD = 0xc0,
	LDR = 0xd0,
	DFR = 0xe0,
	SVR = 0xf0,
	ISR = 0x100,
	TMR = 0x180,
	IRR = 0x200,
	ESR = 0x280,
	CMCI = 0x2f0,
	ICR = 0x300,
	ICR_HIGH = 0x310,
	LVT_TIMER = 0x320,
	LVT_THERMAL = 0x330,
	LVT_PERF = 0x340,
	LVT_LINT0 = 0x350,
	LVT_LINT1 = 0x360,
	LVT_ERROR = 0x370,
	TMICT = 0x380,
	TMCCT = 0x390,
	TDCR = 0x3e0,
	SELF_IPI = 0x3f0,
};

#define X2(offset) (0x800 + (offset) / 16)

static struct {
	u64 ticks;
	unsigned notified, nmi, init, sipi, sent, eoi, enabled;
	u8 sipi_vector, eoi_vector;
	struct apic_msg msg;
	bool exclude_self;
} seen;

static inline u64 now(void)
{
	return seen.ticks;
}

static inline void on_notify(unused void *ctx)
{
	seen.notified++;
}

static inline void on_nmi(unused void *ctx)
{
	seen.nmi++;
}

static inline void on_init(unused void *ctx)
{
	seen.init++;
}

static inline void on_sipi(unused void *ctx, u8 vector)
{
	seen.sipi++;
	seen.sipi_vector = vector;
}

static inline void on_send(unused void *ctx, unused struct vlapic *from, const struct apic_msg *msg,
			   bool exclude_self)
{
	seen.sent++;
	seen.msg = *msg;
	seen.exclude_self = exclude_self;
}

static inline void on_eoi(unused void *ctx, u8 vector)
{
	seen.eoi++;
	seen.eoi_vector = vector;
}

static inline void on_enabled(unused void *ctx)
{
	seen.enabled++;
}

static inline u64 guest_tsc(unused void *ctx)
{
	return seen.ticks;
}

static inline u64 tsc_to_ticks(unused void *ctx, u64 tsc)
{
	return tsc;
}

static const struct vlapic_ops ops = {
	.notify = on_notify,
	.nmi = on_nmi,
	.init = on_init,
	.sipi = on_sipi,
	.send = on_send,
	.eoi = on_eoi,
	.enabled = on_enabled,
	.guest_tsc = guest_tsc,
	.tsc_to_ticks = tsc_to_ticks,
};

static struct clock test_clock;
static struct vlapic apic;

static inline int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	clock_init(&test_clock, now, 1000000000, NULL);
	vlapic_init(&apic, 0, &test_clock, &ops, NULL);
	vlapic_reset(&apic, true);
	vlapic_mmio_write(&apic, SVR, 0x1ff);
	*state = &apic;
	return 0;
}

static inline int setup_x2apic(void **state)
{
	setup(state);
	assert_true(vlapic_msr_write(&apic, MSR_APIC_BASE, VLAPIC_BASE | 0xd00));
	return 0;
}

static inline u32 rd(u32 offset)
{
	return vlapic_mmio_read(&apic, offset);
}

static inline void wr(u32 offset, u32 value)
{
	vlapic_mmio_write(&apic, offset, value);
}

static inline void deliver(u8 mode, u8 vector, bool level)
{
	vlapic_deliver(&apic, &(struct apic_msg){.mode = mode, .vector = vector, .level = level});
}

static inline u32 esr(void)
{
	wr(ESR, 0);
	return rd(ESR);
}

#endif
