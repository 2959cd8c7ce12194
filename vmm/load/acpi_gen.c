/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables of a guest's machine, from its description: RSDP, XSDT, FADT, FACS, MADT, MCFG and HPET if it has them, and the
 * DSDT that iasl compiled from dsdt.asl. Called by vm_boot() before the kernel is loaded. All lie
 * in the BIOS area, which e820 reserves, with the RSDP first, where a search finds it too. ACPI
 * specification 6.5, "ACPI Software Programming Model".
 */
#include <vmm/errno.h>
#include <vmm/load.h>
#include <vmm/machine.h>
#include <vmm/string.h>
#include <vmm/vhpet.h>
#include <vmm/vioapic.h>
#include <vmm/vlapic.h>

#include "layout.h"

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} packed;

struct acpi_rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 extended_checksum;
	u8 reserved[3];
} packed;

/* Generic Address Structure */
struct acpi_gas {
	u8 space; /* 1: system I/O */
	u8 bit_width, bit_offset;
	u8 access; /* 1 byte, 2 word, 3 dword */
	u64 address;
} packed;

struct acpi_xsdt {
	struct acpi_header h;
	u64 entry[4]; /* FADT, MADT, and what else there is; the FADT names FACS and DSDT */
} packed;

struct acpi_fadt {
	struct acpi_header h;
	u32 facs, dsdt;
	u8 reserved0, pm_profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base,
		cst_cnt;
	u16 c2_latency, c3_latency, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 iapc_boot_arch;
	u8 reserved1;
	u32 flags;
	struct acpi_gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
		x_gpe1, sleep_control, sleep_status;
	u64 hypervisor_vendor;
} packed;

struct acpi_facs {
	char signature[4];
	u32 length, hardware_signature, waking_vector, global_lock, flags;
	u64 x_waking_vector;
	u8 version, reserved[3];
	u32 ospm_flags;
	u8 reserved1[24];
} packed;

struct madt_lapic {
	u8 type, length, uid, apic_id;
	u32 flags;
} packed;

struct madt_ioapic {
	u8 type, length, id, reserved;
	u32 address, gsi_base;
} packed;

struct madt_override {
	u8 type, length, bus, source;
	u32 gsi;
	u16 flags;
} packed;

struct madt_lapic_nmi {
	u8 type, length, uid;
	u16 flags;
	u8 lint;
} packed;

struct acpi_madt {
	struct acpi_header h;
	u32 lapic_address;
	u32 flags;
	struct madt_ioapic ioapic;
	struct madt_override sci;
	struct madt_lapic_nmi nmi;
	struct madt_lapic lapic
		[MACHINE_CPUS_MAX]; /* as many as there are CPUs; then, if it has one, the PIT's override */
} packed;

/* PCI Firmware specification "MCFG Table Description" */
struct acpi_mcfg {
	struct acpi_header h;
	u64 reserved;
	u64 base;
	u16 segment;
	u8 bus_first, bus_last;
	u32 reserved1;
} packed;

/* IA-PC HPET specification "The HPET Description Table" */
struct acpi_hpet {
	struct acpi_header h;
	u32 block_id;
	struct acpi_gas address;
	u8 number;
	u16 min_tick;
	u8 page_protection;
} packed;

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI: System Description Table Header");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI: Root System Description Pointer");
_Static_assert(offsetof(struct acpi_rsdp, length) == 20, "the first checksum's area");
_Static_assert(sizeof(struct acpi_gas) == 12, "ACPI: Generic Address Structure");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI: Fixed ACPI Description Table");
_Static_assert(offsetof(struct acpi_fadt, pm1a_evt) == 56, "FADT");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "FADT");
_Static_assert(offsetof(struct acpi_fadt, x_facs) == 132, "FADT");
_Static_assert(sizeof(struct acpi_facs) == 64, "ACPI: Firmware ACPI Control Structure");
_Static_assert(offsetof(struct acpi_madt, ioapic) == 44, "ACPI: Multiple APIC Description Table");
_Static_assert(sizeof(struct madt_lapic) == 8 && sizeof(struct madt_ioapic) == 12, "MADT");
_Static_assert(sizeof(struct acpi_mcfg) == 60 && sizeof(struct acpi_hpet) == 56, "MCFG, HPET");
_Static_assert(sizeof(struct madt_override) == 10 && sizeof(struct madt_lapic_nmi) == 6, "MADT");

/* FADT flags */
#define FADT_WBINVD        BIT(0)
#define FADT_PROC_C1       BIT(2)
#define FADT_NO_PWR_BUTTON BIT(4)
#define FADT_NO_SLP_BUTTON BIT(5)
#define FADT_NO_FIX_RTC    BIT(6)
#define FADT_TMR_32BIT     BIT(8)
#define FADT_RESET_REG     BIT(10)
#define FADT_HEADLESS      BIT(12)
#define FADT_APIC_PHYSICAL BIT(19)

/* IA-PC boot architecture flags */
#define BOOT_ARCH_LEGACY_DEVICES BIT(0) /* the UART on its usual port */
#define BOOT_ARCH_8042           BIT(1)
#define BOOT_ARCH_NO_VGA         BIT(2)
#define BOOT_ARCH_NO_RTC         BIT(5)

#define RESET_PORT  0xcf9
#define RESET_VALUE 6 /* full reset, CPU reset */

#define FLAT_CPUS_MAX 8 /* local APICs that the logical flat mode tells apart */

#define MADT_LAPIC_ENABLED    BIT(0)
#define MADT_PCAT_COMPAT      BIT(0)
#define MADT_ALL_CPUS         0xff
#define MPS_ACTIVE_HIGH_LEVEL 0xd /* polarity 01, trigger mode 11 */

extern const u8 dsdt_aml_start[], dsdt_aml_end[];

/* The BIOS area being filled. */
struct area {
	u8 *base;
	u64 used;
};

/*
 * Room for a table in the area, cleared; NULL if there is none. The alignment is more than any
 * table but the FACS asks for.
 */
static void *area_take(struct area *a, u64 size)
{
	void *p = a->base + a->used;

	if (size > MACHINE_BIOS_END - MACHINE_BIOS_BASE - a->used)
		return NULL;
	memset(p, 0, size);
	a->used = ALIGN_UP(a->used + size, 64);
	return p;
}

static gpa_t area_gpa(const struct area *a, const void *p)
{
	return MACHINE_BIOS_BASE + (u64)((const u8 *)p - a->base);
}

/* What must be added so that the bytes sum up to 0. */
static u8 checksum(const void *table, u64 size)
{
	const u8 *p = table;
	u8 sum = 0;

	for (u64 i = 0; i < size; i++)
		sum = (u8)(sum + p[i]);
	return (u8)-sum;
}

/* Called last: the checksum covers all. */
static void header_finish(struct acpi_header *h, const char *signature, u8 revision, u64 length)
{
	memcpy(h->signature, signature, sizeof(h->signature));
	h->length = (u32)length;
	h->revision = revision;
	memcpy(h->oem_id, "HAVOC ", sizeof(h->oem_id));
	memcpy(h->oem_table_id, "HAVOC-PC", sizeof(h->oem_table_id));
	h->oem_revision = 1;
	memcpy(h->creator_id, "HVOC", sizeof(h->creator_id));
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = checksum(h, length);
}

static struct acpi_gas gas_io(u16 port, unsigned bytes)
{
	return (struct acpi_gas){
		.space = 1,
		.bit_width = (u8)(bytes * 8),
		.access = (u8)(__builtin_ctz(bytes) + 1),
		.address = port,
	};
}

/* A register block is given twice, for old and new systems; the lengths are of the old form. */
static void fadt_power(struct acpi_fadt *f, const struct machine *m)
{
	u16 evt = m->pm_base, cnt = m->pm_base + 4, tmr = m->pm_base + 8;

	f->pm1a_evt = evt;
	f->pm1_evt_len = 4;
	f->x_pm1a_evt = gas_io(evt, 4);
	f->x_pm1a_evt.access = 2; /* status and enable are accessed one by one */
	f->pm1a_cnt = cnt;
	f->pm1_cnt_len = 2;
	f->x_pm1a_cnt = gas_io(cnt, 2);
	f->pm_tmr = tmr;
	f->pm_tmr_len = 4;
	f->x_pm_tmr = gas_io(tmr, 4);
	f->reset_reg = gas_io(RESET_PORT, 1);
	f->reset_value = RESET_VALUE;
}

static void fadt_fill(struct acpi_fadt *f, const struct machine *m, gpa_t facs, gpa_t dsdt)
{
	fadt_power(f, m);
	f->facs = (u32)facs;
	f->dsdt = (u32)dsdt;
	f->x_dsdt = dsdt;
	f->sci_int = m->sci_irq;
	/* smi_cmd 0: there is no legacy mode, the machine is always in ACPI mode. */
	f->century = m->rtc_port ? MACHINE_RTC_CENTURY : 0;
	f->c2_latency = 101;  /* above 100: no C2 */
	f->c3_latency = 1001; /* above 1000: no C3 */
	f->iapc_boot_arch = BOOT_ARCH_NO_VGA | (m->uart_port ? BOOT_ARCH_LEGACY_DEVICES : 0) |
			    (m->kbc ? BOOT_ARCH_8042 : 0) | (m->rtc_port ? 0 : BOOT_ARCH_NO_RTC);
	f->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_PWR_BUTTON | FADT_NO_SLP_BUTTON |
		   FADT_NO_FIX_RTC | FADT_TMR_32BIT | FADT_RESET_REG | FADT_HEADLESS;
	/* No logical mode of xAPICs reaches as many as there may be. */
	if (m->cpus > FLAT_CPUS_MAX)
		f->flags |= FADT_APIC_PHYSICAL;
	f->minor = 5;
	header_finish(&f->h, "FACP", 6, sizeof(*f));
}

static u64 madt_size(const struct machine *m)
{
	return offsetof(struct acpi_madt, lapic) + m->cpus * sizeof(struct madt_lapic) +
	       (machine_has_irq0(m) ? sizeof(struct madt_override) : 0);
}

/*
 * Interrupts are wired 1:1, but for the PIT's: pin 0 is the PIC's. The SCI is level-triggered, active high. What is not there
 * has no entry.
 */
static void madt_fill(struct acpi_madt *t, const struct machine *m)
{
	struct madt_override pit = {2, sizeof(pit), 0, MACHINE_PIT_IRQ, MACHINE_PIT_PIN, 0};

	t->lapic_address = VLAPIC_BASE;
	t->flags = m->pic ? MADT_PCAT_COMPAT : 0;
	t->ioapic = (struct madt_ioapic){1, sizeof(t->ioapic), (u8)m->ioapic_id,
					 0, VIOAPIC_BASE,      0};
	t->sci = (struct madt_override){2,          sizeof(t->sci),       0, (u8)m->sci_irq,
					m->sci_irq, MPS_ACTIVE_HIGH_LEVEL};
	t->nmi = (struct madt_lapic_nmi){4, sizeof(t->nmi), MADT_ALL_CPUS, 0, 1};
	for (unsigned i = 0; i < m->cpus; i++)
		t->lapic[i] = (struct madt_lapic){0, sizeof(t->lapic[i]), (u8)i, (u8)i,
						  MADT_LAPIC_ENABLED};
	if (machine_has_irq0(m))
		memcpy(&t->lapic[m->cpus], &pit, sizeof(pit));
	header_finish(&t->h, "APIC", 5, madt_size(m));
}

static void mcfg_fill(struct acpi_mcfg *t)
{
	t->base = MACHINE_ECAM_BASE;
	t->bus_last = MACHINE_ECAM_SIZE / MiB(1) - 1;
	header_finish(&t->h, "MCFG", 1, sizeof(*t));
}

static void hpet_fill(struct acpi_hpet *t)
{
	t->block_id = VHPET_ID;
	t->address = (struct acpi_gas){.bit_width = 64, .address = MACHINE_HPET_BASE};
	t->min_tick = VHPET_INTERVAL_MIN_NS / (1000000000 / VHPET_HZ);
	header_finish(&t->h, "HPET", 1, sizeof(*t));
}

/*
 * The device of this name is not there: the value behind the first _STA that follows the name becomes 0. "Name (_STA, 0x0f)" is
 * NameOp, the name, BytePrefix and the byte: ACPI specification "AML Grammar Definition". False: the DSDT is not what it was.
 */
static bool dsdt_hide(u8 *dsdt, u64 size, const char *name)
{
	static const u8 sta[] = {0x08, '_', 'S', 'T', 'A', 0x0a, 0x0f};
	u64 i = sizeof(struct acpi_header);

	while (i + sizeof(sta) <= size && memcmp(dsdt + i, name, 4))
		i++;
	while (i + sizeof(sta) <= size && memcmp(dsdt + i, sta, sizeof(sta)))
		i++;
	if (i + sizeof(sta) > size)
		return false;
	dsdt[i + sizeof(sta) - 1] = 0;
	return true;
}

static bool dsdt_fill(u8 *dsdt, u64 size, const struct machine *m)
{
	struct acpi_header *h = (struct acpi_header *)dsdt;

	memcpy(dsdt, dsdt_aml_start, size);
	if ((!m->uart_port && !dsdt_hide(dsdt, size, "COM1")) ||
	    (!m->rtc_port && !dsdt_hide(dsdt, size, "RTC_")) ||
	    (!m->pci && !dsdt_hide(dsdt, size, "PCI0")) ||
	    (!m->hpet && !dsdt_hide(dsdt, size, "HPET")))
		return false;
	h->checksum = 0;
	h->checksum = checksum(dsdt, size);
	return true;
}

static void facs_fill(struct acpi_facs *f)
{
	memcpy(f->signature, "FACS", sizeof(f->signature));
	f->length = sizeof(*f);
	f->version = 2;
}

static void rsdp_fill(struct acpi_rsdp *r, gpa_t xsdt)
{
	memcpy(r->signature, "RSD PTR ", sizeof(r->signature));
	memcpy(r->oem_id, "HAVOC ", sizeof(r->oem_id));
	r->revision = 2;
	r->length = sizeof(*r);
	r->xsdt = xsdt;
	r->checksum = checksum(r, offsetof(struct acpi_rsdp, length));
	r->extended_checksum = checksum(r, sizeof(*r));
}

int load_acpi(struct gmem *g, const struct machine *m)
{
	u64 dsdt_size = (u64)(dsdt_aml_end - dsdt_aml_start);
	struct area a = {
		.base = gmem_ptr(g, MACHINE_BIOS_BASE, MACHINE_BIOS_END - MACHINE_BIOS_BASE)};
	struct acpi_rsdp *rsdp;
	struct acpi_xsdt *xsdt;
	struct acpi_fadt *fadt;
	struct acpi_facs *facs;
	struct acpi_madt *madt;
	struct acpi_mcfg *mcfg;
	struct acpi_hpet *hpet;
	unsigned entries = 2;
	void *dsdt;

	if (!a.base || m->cpus > MACHINE_CPUS_MAX || m->rsdp != MACHINE_BIOS_BASE)
		return -HV_EINVAL;
	rsdp = area_take(&a, sizeof(*rsdp));
	xsdt = area_take(&a, sizeof(*xsdt));
	fadt = area_take(&a, sizeof(*fadt));
	facs = area_take(&a, sizeof(*facs));
	madt = area_take(&a, madt_size(m));
	mcfg = area_take(&a, sizeof(*mcfg));
	hpet = area_take(&a, sizeof(*hpet));
	dsdt = area_take(&a, dsdt_size);
	if (!dsdt) /* the last and only one whose size is not known here */
		return -HV_ENOSPC;
	if (!dsdt_fill(dsdt, dsdt_size, m))
		return -HV_EINVAL;
	facs_fill(facs);
	fadt_fill(fadt, m, area_gpa(&a, facs), area_gpa(&a, dsdt));
	madt_fill(madt, m);
	xsdt->entry[0] = area_gpa(&a, fadt);
	xsdt->entry[1] = area_gpa(&a, madt);
	if (m->pci) {
		mcfg_fill(mcfg);
		xsdt->entry[entries++] = area_gpa(&a, mcfg);
	}
	if (m->hpet) {
		hpet_fill(hpet);
		xsdt->entry[entries++] = area_gpa(&a, hpet);
	}
	header_finish(&xsdt->h, "XSDT", 1,
		      offsetof(struct acpi_xsdt, entry) + entries * sizeof(xsdt->entry[0]));
	rsdp_fill(rsdp, area_gpa(&a, xsdt));
	return 0;
}
