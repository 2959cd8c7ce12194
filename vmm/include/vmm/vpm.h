/* SPDX-License-Identifier: MIT */
/*
 * What a guest can do to its power, and the ACPI PM timer: ACPI fixed hardware (PM1 event and control block,
 * PM timer; ACPI spec. "ACPI Register Model"), the reset register 0xCF9, the keyboard controller's reset (0x64 <- 0xFE), port 0x92.
 */
#ifndef VMM_VPM_H
#define VMM_VPM_H

#include <vmm/bus.h>
#include <vmm/clock.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VPM_BASE        0x600 /* PM1a_EVT_BLK; +4 PM1a_CNT_BLK; +8 PM_TMR_BLK */
#define VPM_SIZE        12
#define VPM_S5_TYPE     5 /* SLP_TYPa in the DSDT's \_S5 */
#define VPM_PM_TIMER_HZ 3579545

struct vpm_ops {
	void (*poweroff)(void *ctx);
	void (*reset)(void *ctx, const char *how); /* how: for the log, e.g. "port 0xCF9" */
};

struct vpm {
	u16 pm1_sts, pm1_en, pm1_cnt; /* pm1_sts without TMR_STS, which tmr_seen gives */
	u64 tmr_seen;                 /* PM timer half-periods at the last clear of TMR_STS */
	u8 cf9, port92;
	struct timer timer; /* queued only while TMR_EN waits for TMR_STS */
	struct clock *clock;
	struct irq_line sci;
	bool sci_level;
	const struct vpm_ops *ops;
	void *ctx;
};

void vpm_init(struct vpm *p, struct clock *clock, const struct irq_line *sci,
	      const struct vpm_ops *ops, void *ctx);
void vpm_reset(struct vpm *p);
extern const struct bus_ops vpm_acpi_bus_ops; /* VPM_BASE, VPM_SIZE */
extern const struct bus_ops vpm_cf9_bus_ops;  /* port 0xCF9, 1 port */
extern const struct bus_ops
	vpm_kbc_bus_ops; /* port 0x64, 1 port: status and commands, just enough to reset */
extern const struct bus_ops vpm_port92_bus_ops; /* port 0x92, 1 port */

#endif
