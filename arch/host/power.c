/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine: off, again, or still. Called by boot/main.c and panic.c through vmm/host.h. Every way that
 * could fail is followed by the next one. ACPI, "Reset Register", "Sleeping/Wake Control", "Waking and Sleeping".
 */
#include "arch/host/host.h"

#include <arch/insn.h>
#include <vmm/config.h>
#include <vmm/host.h>
#include <vmm/log.h>

#define SCI_EN      BIT(0)
#define SLP_TYP     GENMASK(12, 10)
#define SLP_EN      BIT(13)
#define SLEEP_TYP   GENMASK(4, 2) /* of the sleep control register of reduced hardware */
#define SLEEP_EN    BIT(5)
#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define RESET_CF9   0xcf9
#define KBC_STATUS  0x64
#define KBC_FULL    BIT(1)
#define KBC_RESET   0xfe
#define WAIT_READS  100000 /* about 0.1 s */

static void wait_a_little(void)
{
	/* An unused port: one access takes about 1 us on any machine. */
	for (unsigned n = 0; n < WAIT_READS; n++)
		(void)inb(0x80);
}

/* A register of one byte, wherever it is. */
static void reg_write8(const struct acpi_reg *r, u8 value)
{
	volatile u8 *mem;

	switch (r->space) {
	case ACPI_SPACE_IO:
		outb((u16)r->addr, value);
		break;
	case ACPI_SPACE_MEMORY:
		mem = paging_map_phys(r->addr, 1, PT_READ | PT_WRITE, PT_UC);
		if (mem)
			*mem = value;
		break;
	case ACPI_SPACE_PCI: /* bus 0: device, function, offset in 16 bits each */
		outl(PCI_ADDRESS, (u32)(BIT(31) | (r->addr >> 32 & 31) << 11 |
					(r->addr >> 16 & 7) << 8 | (r->addr & 0xfc)));
		outb((u16)(PCI_DATA + (r->addr & 3)), value);
		break;
	default:
		break;
	}
}

/* Until the firmware has been told, it may own the power management registers. */
static void acpi_mode_enter(const struct acpi_info *a)
{
	u16 cnt = (u16)a->pm1a_cnt.addr;

	if (a->pm1a_cnt.space != ACPI_SPACE_IO || !a->smi_cmd || !a->acpi_enable ||
	    inw(cnt) & SCI_EN)
		return;
	outb(a->smi_cmd, a->acpi_enable);
	for (unsigned n = 0; n < WAIT_READS && !(inw(cnt) & SCI_EN); n++)
		pause_cpu();
}

static void pm1_sleep(const struct acpi_reg *r, u8 typ)
{
	volatile u16 *mem;
	u64 bits = field_prep(SLP_TYP, typ);

	if (!r->addr)
		return;
	if (r->space == ACPI_SPACE_IO) {
		u64 old = inw((u16)r->addr) & ~(SLP_TYP | SLP_EN);

		outw((u16)r->addr, (u16)(old | bits));
		outw((u16)r->addr, (u16)(old | bits | SLP_EN));
	} else if (r->space == ACPI_SPACE_MEMORY) {
		mem = paging_map_phys(r->addr, 2, PT_READ | PT_WRITE, PT_UC);
		if (mem)
			*mem = (u16)((*mem & ~(SLP_TYP | SLP_EN)) | bits | SLP_EN);
	}
}

static void acpi_soft_off(void)
{
	const struct acpi_info *a = &host.acpi;
	u8 typ_a, typ_b;

	if (!a->has_fadt || !acpi_find_s5(a, acpi_mem(), &typ_a, &typ_b))
		return;
	if (a->hw_reduced) {
		if (a->sleep_control.addr)
			reg_write8(&a->sleep_control,
				   (u8)(field_prep(SLEEP_TYP, typ_a) | SLEEP_EN));
	} else {
		acpi_mode_enter(a);
		pm1_sleep(&a->pm1a_cnt, typ_a);
		pm1_sleep(&a->pm1b_cnt, typ_b);
	}
	wait_a_little();
}

/* Wherever they were, they go no further: what they hold is nobody's. */
static void stop_others(void)
{
	smp_stop_others();
	console_break_locks(&host.console);
	log_break_lock();
}

_Noreturn void host_halt(void)
{
	cli();
	log_end();
	stop_others();
	console_flush(&host.console);
	for (;;)
		hlt();
}

_Noreturn void host_poweroff(void)
{
	cli();
	log_end();
	stop_others();
	console_flush(&host.console);
	acpi_soft_off();
	log_err("the machine does not power off by ACPI: switch it off by hand");
	host_halt();
}

static void reset_by_acpi(void)
{
	if (host.acpi.reset.addr)
		reg_write8(&host.acpi.reset, host.acpi.reset_value);
}

/* PCI chipsets: system reset, hard, then the transition that starts it. */
static void reset_by_cf9(void)
{
	u8 v = (u8)(inb(RESET_CF9) & ~6u);

	outb(RESET_CF9, v | 2);
	outb(RESET_CF9, v | 6);
}

static void reset_by_kbc(void)
{
	for (unsigned n = 0; n < WAIT_READS && inb(KBC_STATUS) & KBC_FULL; n++)
		pause_cpu();
	outb(KBC_STATUS, KBC_RESET);
}

/* An exception with no IDT: the CPU shuts down, which every chipset answers with a reset. */
static void reset_by_triple_fault(void)
{
	static const struct desc_ptr nothing;

	lidt(&nothing);
	int_nmi();
}

_Noreturn void host_reboot(void)
{
	static void (*const ways[])(void) = {reset_by_acpi, reset_by_cf9, reset_by_kbc,
					     reset_by_triple_fault};

	cli();
	log_end();
	stop_others();
	console_flush(&host.console);
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		ways[i]();
		wait_a_little();
	}
	host_halt();
}

_Noreturn void host_end(u8 action)
{
	switch (action) {
	case END_POWEROFF:
		host_poweroff();
	case END_REBOOT:
		host_reboot();
	default:
		host_halt();
	}
}
