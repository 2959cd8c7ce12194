/* SPDX-License-Identifier: MIT */
/* MC146818A real-time clock with 128 bytes of CMOS, ports 0x70/0x71, IRQ 8 (alarm, update-ended, periodic). */
#ifndef VMM_VRTC_H
#define VMM_VRTC_H

#include <vmm/bus.h>
#include <vmm/clock.h>
#include <vmm/irq.h>
#include <vmm/types.h>

/* A moment of the RTC's own time. */
struct vrtc_time {
	s64 sec; /* since 1970-01-01; before it is negative */
	u32 ns;  /* 0..999999999 */
};

struct vrtc {
	u8 index;
	u8 cmos[128]; /* 0x0a-0x0d: registers A-D; the time registers are valid only while `frozen` */
	bool frozen; /* SET, or the divider chain is held in reset: the time does not advance */
	struct vrtc_time base; /* the time at clock tick 0 */
	struct vrtc_time seen; /* flags in register C are up to date as of this moment */
	struct timer timer;    /* queued only while an enabled interrupt is to come */
	struct clock *clock;
	struct irq_line irq;
	bool irq_level;
};

/* epoch_ns: Unix time at clock tick 0. */
void vrtc_init(struct vrtc *r, struct clock *clock, s64 epoch_ns, const struct irq_line *irq);
void vrtc_reset(struct vrtc *r);          /* keeps time and CMOS, clears interrupt enables */
extern const struct bus_ops vrtc_bus_ops; /* dev = struct vrtc, two ports */

#endif
