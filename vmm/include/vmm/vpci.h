/* SPDX-License-Identifier: MIT */
/*
 * PCI host bridge with bus 0 behind it. A function's configuration space is reached by configuration mechanism #1 (ports
 * 0xCF8, 0xCFC) and by ECAM; both end in the function's own read and write. 00:00.0 is the bridge itself.
 */
#ifndef VMM_VPCI_H
#define VMM_VPCI_H

#include <vmm/bus.h>
#include <vmm/types.h>

#define VPCI_ADDRESS_PORT  0xcf8 /* four ports; the reset control register 0xCF9 is among them */
#define VPCI_DATA_PORT     0xcfc /* four ports */
#define VPCI_FUNCTIONS_MAX 32    /* with the bridge */
#define VPCI_BUSES_MAX     256
#define VPCI_ECAM_BUS_SIZE MiB(1) /* for each bus */

#define VPCI_DEVFN(device, function) ((u8)((device) << 3 | (function)))

struct vpci_function_ops {
	/*
	 * reg 0..4095 (by mechanism #1 0..255), size 1, 2 or 4, aligned to its size. What read() returns is cut to the size.
	 * Registers of the function that do not exist read as 0.
	 */
	u32 (*read)(void *ctx, unsigned reg, unsigned size);
	void (*write)(void *ctx, unsigned reg, unsigned size, u32 value);
};

struct vpci_function {
	u8 devfn;
	const struct vpci_function_ops *ops;
	void *ctx;
};

struct vpci {
	u32 address; /* CONFIG_ADDRESS */
	unsigned buses;
	struct vpci_function function[VPCI_FUNCTIONS_MAX];
	unsigned count;
	/* The bridge's own registers that can be written. */
	u16 command;
	u8 cache_line, latency, interrupt_line;
	/* Who has port 0xCF9; ops NULL: nobody. */
	const struct bus_ops *cf9_ops;
	void *cf9_dev;
};

/* buses: 1..256, as many as the ECAM region (VPCI_ECAM_BUS_SIZE each) and the MCFG table say. */
void vpci_init(struct vpci *p, unsigned buses, const struct bus_ops *cf9_ops, void *cf9_dev);
void vpci_reset(struct vpci *p); /* the bridge; functions are reset by whoever added them */
/*
 * A function on bus 0. -HV_EEXIST: there is one; -HV_ENOSPC: the table is full; -HV_EINVAL: a function other than 0 of a
 * device that has no function 0 yet, by which a guest finds the device. Function 0 says in its own header type (bit 7)
 * that there are others.
 */
int vpci_add(struct vpci *p, u8 devfn, const struct vpci_function_ops *ops, void *ctx) must_check;

/* dev = struct vpci */
extern const struct bus_ops vpci_address_bus_ops; /* VPCI_ADDRESS_PORT, 4 ports */
extern const struct bus_ops vpci_data_bus_ops;    /* VPCI_DATA_PORT, 4 ports */
extern const struct bus_ops vpci_ecam_bus_ops;    /* MMIO, buses * VPCI_ECAM_BUS_SIZE */

#endif
