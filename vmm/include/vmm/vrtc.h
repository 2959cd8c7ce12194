/* SPDX-License-Identifier: MIT */
/* MC146818A real-time clock with 128 bytes of CMOS, ports 0x70/0x71, IRQ 8 (alarm, update-ended, periodic). */
#ifndef VMM_VRTC_H
#define VMM_VRTC_H

#include <vmm/bus.h>
#include <vmm/clock.h>
#include <vmm/irq.h>
#include <vmm/types.h>

struct vrtc {
	u8 index;
	u8 cmos[128]; /* 0x0a-0x0d: registers A-D; time registers are computed */
	s64 epoch_ns; /* Unix time at clock tick 0, ns; changes when the guest sets the time */
	struct timer timer;
	struct clock *clock;
	struct irq_line irq;
	/* owner: more state as needed */
	u64 last_update_s;
	u64 next_periodic;
};

void vrtc_init(struct vrtc *r, struct clock *clock, s64 epoch_ns, const struct irq_line *irq);
void vrtc_reset(struct vrtc *r); /* keeps time and CMOS, clears interrupt enables */
extern const struct bus_ops vrtc_bus_ops; /* dev = struct vrtc, two ports */

#endif
