/* SPDX-License-Identifier: MIT */
/*
 * Sending and addressing of interprocessor interrupts. Called by vlapic_regs.c for writes of the ICR and of
 * SELF IPI, and by core/ (vlapic_matches) to find whom a message is for. SDM vol. 3 "Issuing Interprocessor
 * Interrupts", "Determining IPI Destination", "Interrupt Distribution Mechanism", "x2APIC Mode".
 */
#include <vmm/vlapic.h>

#include "vlapic_priv.h"

enum { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };

/* "Deriving Logical x2APIC ID from the Local x2APIC ID": 16 CPUs to a cluster, one bit each. */
u32 vlapic_ldr(const struct vlapic *l)
{
	if (l->enabled_x2apic)
		return (l->id >> 4) << 16 | 1U << (l->id & 15);
	return l->ldr;
}

static bool matches_logical(const struct vlapic *l, u32 dest)
{
	u32 ldr = vlapic_ldr(l);
	u32 mine;

	if (l->enabled_x2apic)
		return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
	mine = ldr >> 24;
	if (dest > 0xff)
		return false;
	if ((l->dfr & DFR_MODEL) == DFR_MODEL)
		return dest & mine; /* flat */
	if (!(l->dfr & DFR_MODEL))
		return dest >> 4 == mine >> 4 && (dest & mine & 0xf); /* cluster */
	return false;
}

bool vlapic_matches(const struct vlapic *l, const struct apic_msg *msg)
{
	if (!l->hw_enabled)
		return false;
	if (msg->dest == VLAPIC_BROADCAST || (!l->enabled_x2apic && msg->dest == VLAPIC_XBROADCAST))
		return true;
	return msg->logical ? matches_logical(l, msg->dest) : msg->dest == l->id;
}

/* "Valid Combinations": with the self shorthand only fixed is defined; NMI is taken as CPUs do take it. */
static void send_self(struct vlapic *l, const struct apic_msg *msg)
{
	if (msg->mode == APIC_FIXED || msg->mode == APIC_LOWEST || msg->mode == APIC_NMI)
		(void)vlapic_deliver(l, msg);
}

bool vlapic_icr_message(u32 low, struct apic_msg *msg)
{
	*msg = (struct apic_msg){
		.mode = (u8)field_get(ICR_MODE, low),
		.vector = (u8)(low & ICR_VECTOR),
	};
	switch (msg->mode) {
	case APIC_INIT:
		/* INIT level de-assert is of the Pentium only. Elsewhere the trigger mode has no meaning: an IPI is an edge. */
		msg->level = true;
		return !(low & ICR_TRIGGER) || low & ICR_LEVEL;
	case APIC_FIXED:
	case APIC_LOWEST:
	case APIC_NMI:
	case APIC_STARTUP:
		return true;
	default:
		return false; /* SMI: the machine has no SMM; 3 and 7 are reserved */
	}
}

void vlapic_icr_send(struct vlapic *l, u32 low, u32 dest)
{
	unsigned to = (unsigned)field_get(ICR_SHORTHAND, low);
	struct apic_msg msg;

	if (!vlapic_icr_message(low, &msg))
		return;
	msg.dest = dest;
	msg.logical = low & ICR_LOGICAL;
	if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < VLAPIC_VECTOR_MIN) {
		vlapic_error(l, ESR_SEND_ILLEGAL);
		return;
	}
	if (to == TO_SELF) {
		send_self(l, &msg);
		return;
	}
	if (to != TO_DESTINATION) {
		/* INIT and SIPI to all including self are no valid combination. */
		if (to == TO_ALL && (msg.mode == APIC_INIT || msg.mode == APIC_STARTUP))
			return;
		msg.dest = VLAPIC_BROADCAST;
		msg.logical = false;
	}
	l->ops->send(l->ctx, l, &msg, to == TO_OTHERS);
}

void vlapic_self_ipi(struct vlapic *l, u8 vector)
{
	if (vector < VLAPIC_VECTOR_MIN)
		vlapic_error(l, ESR_SEND_ILLEGAL);
	else
		(void)vlapic_accept_fixed(l, vector, false);
}
