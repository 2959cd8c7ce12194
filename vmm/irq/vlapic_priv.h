/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the local APIC only: register numbers and bits (SDM vol. 3 "Local APIC Register Address
 * Map"), and what each file offers the others.
 *
 * vlapic.c: state, priorities, acceptance · vlapic_regs.c: registers, MMIO and MSRs · vlapic_ipi.c: ICR and
 * addressing · vlapic_timer.c: the timer.
 */
#ifndef VMM_IRQ_VLAPIC_PRIV_H
#define VMM_IRQ_VLAPIC_PRIV_H

#include <vmm/vlapic.h>

/* Register number: MMIO offset / 16 = MSR - 0x800. */
enum {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_APR = 0x09,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_RRD = 0x0c,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR_LOW = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT = 0x32,
	REG_LVT_LAST = REG_LVT + VLAPIC_LVTS - 1,
	REG_TIMER_ICR = 0x38,
	REG_TIMER_CCR = 0x39,
	REG_TIMER_DCR = 0x3e,
	REG_SELF_IPI = 0x3f,
	REG_COUNT = 0x40,
};

/* Integrated APIC, the highest LVT entry's number, no EOI-broadcast suppression. */
#define VERSION_VALUE (0x14U | (VLAPIC_LVTS - 1) << 16)

#define SVR_ENABLE BIT(8)
#define SVR_RESET  0xffU
#define DFR_MODEL  0xf0000000U
#define DFR_RESET  0xffffffffU

#define LVT_VECTOR    0xffU
#define LVT_MODE      GENMASK(10, 8)
#define LVT_MASKED    BIT(16)
#define LVT_TIMERMODE GENMASK(18, 17)

enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };

#define ICR_VECTOR        GENMASK(7, 0)
#define ICR_MODE          GENMASK(10, 8)
#define ICR_LOGICAL       BIT(11)
#define ICR_BUSY          BIT(12) /* delivery status: read only, never busy here */
#define ICR_LEVEL         BIT(14)
#define ICR_TRIGGER       BIT(15)
#define ICR_SHORTHAND     GENMASK(19, 18)
#define ICR_WRITABLE      (ICR_VECTOR | ICR_MODE | ICR_LOGICAL | ICR_LEVEL | ICR_TRIGGER | ICR_SHORTHAND)
#define VLAPIC_VECTOR_MIN 16 /* 0-15 are illegal: SDM "Valid Interrupt Vectors" */
#define VLAPIC_BROADCAST  0xffffffffU
#define VLAPIC_XBROADCAST 0xffU

#define ESR_SEND_ILLEGAL     BIT(5)
#define ESR_RECV_ILLEGAL     BIT(6)
#define ESR_ILLEGAL_REGISTER BIT(7)

/* vlapic.c */
u32 vlapic_ppr(const struct vlapic *l);
void vlapic_set_tpr(struct vlapic *l, u32 value);
void vlapic_eoi(struct vlapic *l);
void vlapic_set_svr(struct vlapic *l, u32 value);
void vlapic_error(struct vlapic *l, u32 bit);
/* A fixed interrupt arrives, from wherever. False: it is not taken. */
bool vlapic_accept_fixed(struct vlapic *l, u8 vector, bool level);
/* The source of a local vector table entry is active: the timer, or an error. Both are hardwired to fixed delivery. */
void vlapic_lvt_raise(struct vlapic *l, enum vlapic_lvt entry);
void vlapic_reset_registers(struct vlapic *l);

/* vlapic_ipi.c */
void vlapic_icr_send(struct vlapic *l, u32 low, u32 dest);
void vlapic_self_ipi(struct vlapic *l, u8 vector);
u32 vlapic_ldr(const struct vlapic *l);

/* vlapic_timer.c */
void vlapic_timer_fire(void *vlapic);
void vlapic_timer_reset(struct vlapic *l);
void vlapic_timer_set_lvt(struct vlapic *l, u32 value);
void vlapic_timer_set_count(struct vlapic *l, u32 value);
u32 vlapic_timer_count(struct vlapic *l);
void vlapic_timer_set_divider(struct vlapic *l, u32 value);
void vlapic_timer_set_deadline(struct vlapic *l, u64 guest_tsc);
u64 vlapic_timer_deadline(struct vlapic *l);

#endif
