/* SPDX-License-Identifier: MIT */
/*
 * i8042 keyboard controller of a PS/2, with nothing plugged in: ports 0x60 and 0x64, IRQ 1 and 12; the machine's reset and A20
 * lines, and port 0x92, which drives the same two.
 */
#ifndef VMM_VKBC_H
#define VMM_VKBC_H

#include <vmm/bus.h>
#include <vmm/irq.h>
#include <vmm/types.h>

#define VKBC_DATA_PORT    0x60
#define VKBC_COMMAND_PORT 0x64
#define VKBC_PORT92       0x92
#define VKBC_RAM_SIZE     32

struct vkbc_ops {
	void (*reset)(void *ctx, const char *how); /* how: for the log, e.g. "port 0x92" */
};

struct vkbc {
	u8 status;             /* without the system flag, which is ram[0]'s */
	u8 data;               /* the output buffer */
	u8 command;            /* that waits for its byte at port 0x60; 0: none */
	u8 ram[VKBC_RAM_SIZE]; /* [0]: the command byte */
	u8 output;             /* output port: the lines that nothing here is connected to */
	u8 port92;             /* its reset bit */
	/* Stored and read back, no more: the guest's memory never wraps at 1 MiB, as on any PC of the last twenty years. */
	bool a20;
	struct irq_line irq1, irq12;
	bool irq1_level, irq12_level;
	const struct vkbc_ops *ops;
	void *ctx;
};

void vkbc_init(struct vkbc *k, const struct irq_line *irq1, const struct irq_line *irq12,
	       const struct vkbc_ops *ops, void *ctx);
void vkbc_reset(struct vkbc *k);

/* dev = struct vkbc, one port each */
extern const struct bus_ops vkbc_data_bus_ops;    /* VKBC_DATA_PORT */
extern const struct bus_ops vkbc_command_bus_ops; /* VKBC_COMMAND_PORT */
extern const struct bus_ops vkbc_port92_bus_ops;  /* VKBC_PORT92 */

#endif
