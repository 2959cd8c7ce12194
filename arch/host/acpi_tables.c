/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables to struct acpi_info. PURE; called by acpi.c. ACPI specification, "ACPI Software Programming Model":
 * RSDP, RSDT, XSDT, FADT, MADT; "AML encoding" for the one package that is looked for in the DSDT. Firmware is no
 * friend: each address, length and checksum is checked, and what does not fit is treated as absent.
 */
#include "arch/host/acpi_tables.h"

#include <vmm/string.h>

#define TABLE_HEADER 36
#define TABLE_MAX    MiB(8) /* real DSDTs have some 100 KiB */

#define FADT_TMR_VAL_EXT   BIT(8)
#define FADT_RESET_REG_SUP BIT(10)
#define FADT_HW_REDUCED    BIT(20)

#define FADT_BOOT_ARCH_REVISION 3 /* in older ones the field is reserved */
#define FADT_BOOT_8042          BIT(1)

#define MADT_LAPIC       0
#define MADT_IOAPIC      1
#define MADT_OVERRIDE    2
#define MADT_X2APIC      9
#define MADT_CPU_ENABLED BIT(0)

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool sum_is_zero(const u8 *p, size_t len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum == 0;
}

/* ---- Root pointer --------------------------------------------------------------------------------------------- */

bool acpi_rsdp_valid(const u8 *rsdp, size_t len)
{
	if (len < ACPI_RSDP_MIN || memcmp(rsdp, "RSD PTR ", 8) || !sum_is_zero(rsdp, ACPI_RSDP_MIN))
		return false;
	return true;
}

/* From revision 2 on it is longer and has a second checksum; one that fails leaves the first part usable. */
static unsigned rsdp_copy(u8 out[ACPI_RSDP_MAX], const u8 *rsdp, size_t len)
{
	unsigned n = ACPI_RSDP_MIN;

	if (rsdp[15] >= 2 && len >= ACPI_RSDP_MAX && get32(rsdp + 20) >= ACPI_RSDP_MAX &&
	    sum_is_zero(rsdp, ACPI_RSDP_MAX))
		n = ACPI_RSDP_MAX;
	memcpy(out, rsdp, n);
	return n;
}

static unsigned rsdp_scan(const struct acpi_mem *m, hpa_t base, u64 size, u8 out[ACPI_RSDP_MAX])
{
	const u8 *p = m->map(m->ctx, base, size);

	for (u64 at = 0; p && at + ACPI_RSDP_MIN <= size; at += 16) {
		if (p[at] == 'R' && acpi_rsdp_valid(p + at, size - at))
			return rsdp_copy(out, p + at, size - at);
	}
	return 0;
}

unsigned acpi_rsdp_search(const struct acpi_mem *m, u8 out[ACPI_RSDP_MAX])
{
	const u8 *ebda_seg = m->map(m->ctx, 0x40e, 2);
	hpa_t ebda = ebda_seg ? (hpa_t)get16(ebda_seg) << 4 : 0;
	unsigned len = 0;

	if (ebda >= KiB(512) && ebda <= KiB(639))
		len = rsdp_scan(m, ebda, KiB(1), out);
	return len ? len : rsdp_scan(m, 0xe0000, KiB(128), out);
}

/* UEFI specification, "EFI System Table", "EFI Configuration Table". */
unsigned acpi_rsdp_search_efi(const struct acpi_mem *m, u64 efi, u8 out[ACPI_RSDP_MAX])
{
	static const u8 acpi_guid[2][16] = {
		/* EFI_ACPI_20_TABLE_GUID, ACPI_TABLE_GUID */
		{0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c,
		 0x88, 0x81},
		{0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f,
		 0xc1, 0x4d},
	};
	const u8 *st = m->map(m->ctx, efi, 120);
	const u8 *tables, *rsdp;
	u64 count;

	if (!st || memcmp(st, "IBI SYST", 8))
		return 0;
	count = get64(st + 104);
	if (count > 1024)
		return 0;
	tables = m->map(m->ctx, get64(st + 112), count * 24);
	for (unsigned g = 0; tables && g < 2; g++) {
		for (u64 i = 0; i < count; i++) {
			if (memcmp(tables + i * 24, acpi_guid[g], 16))
				continue;
			rsdp = m->map(m->ctx, get64(tables + i * 24 + 16), ACPI_RSDP_MAX);
			if (rsdp && acpi_rsdp_valid(rsdp, ACPI_RSDP_MAX))
				return rsdp_copy(out, rsdp, ACPI_RSDP_MAX);
		}
	}
	return 0;
}

/* ---- Tables --------------------------------------------------------------------------------------------------- */

/* The whole table at `pa`, checksum verified; `sig` NULL: any. */
static const u8 *table_map(const struct acpi_mem *m, hpa_t pa, const char *sig, u32 *len)
{
	const u8 *t = pa ? m->map(m->ctx, pa, TABLE_HEADER) : NULL;

	if (!t || (sig && memcmp(t, sig, 4)))
		return NULL;
	*len = get32(t + 4);
	if (*len < TABLE_HEADER || *len > TABLE_MAX)
		return NULL;
	t = m->map(m->ctx, pa, *len);
	return t && sum_is_zero(t, *len) ? t : NULL;
}

/* A register from its newer 12-byte form, or else from the older port number. */
static struct acpi_reg fadt_reg(const u8 *t, u32 len, unsigned gas, u32 port)
{
	struct acpi_reg r = {.space = ACPI_SPACE_IO, .addr = port};

	if (len >= gas + 12 && get64(t + gas + 4))
		r = (struct acpi_reg){.space = t[gas], .addr = get64(t + gas + 4)};
	if (r.space > ACPI_SPACE_PCI || (r.space == ACPI_SPACE_IO && r.addr > 0xffff))
		r.addr = 0;
	return r;
}

static void fadt_parse(struct acpi_info *a, const u8 *t, u32 len)
{
	struct acpi_reg r;
	u32 flags;

	if (len < 116)
		return;
	a->has_fadt = true;
	flags = get32(t + 112);
	a->hw_reduced = flags & FADT_HW_REDUCED;
	/* "IA-PC Boot Architecture Flags" */
	a->no_8042 = t[8] >= FADT_BOOT_ARCH_REVISION && !(get16(t + 109) & FADT_BOOT_8042);
	a->century = t[108] < 128 ? t[108] : 0;
	a->dsdt = get32(t + 40);
	if (len >= 148 && get64(t + 140))
		a->dsdt = get64(t + 140);
	if (flags & FADT_RESET_REG_SUP && len >= 129) {
		a->reset = fadt_reg(t, len, 116, 0);
		a->reset_value = t[128];
	}
	if (a->hw_reduced) {
		if (len >= 256)
			a->sleep_control = fadt_reg(t, len, 244, 0);
		return;
	}
	if (get32(t + 48) <= 0xffff) {
		a->smi_cmd = (u16)get32(t + 48);
		a->acpi_enable = t[52];
	}
	a->pm1a_cnt = fadt_reg(t, len, 172, get32(t + 64));
	a->pm1b_cnt = fadt_reg(t, len, 184, get32(t + 68));
	r = fadt_reg(t, len, 208, t[91] >= 4 ? get32(t + 76) : 0);
	if (r.space == ACPI_SPACE_IO)
		a->pm_timer = (u16)r.addr;
	a->pm_timer_32 = flags & FADT_TMR_VAL_EXT;
}

/* Firmware may list a CPU in both forms. */
static void cpu_add(struct acpi_info *a, u32 apic_id)
{
	for (unsigned i = 0; i < a->cpus; i++) {
		if (a->cpu[i] == apic_id)
			return;
	}
	if (a->cpus == ACPI_CPUS_MAX)
		a->cpus_dropped++;
	else
		a->cpu[a->cpus++] = apic_id;
}

static void madt_entry(struct acpi_info *a, const u8 *e, unsigned len)
{
	struct acpi_override *o;

	switch (e[0]) {
	case MADT_LAPIC:
		/* 0xff is every CPU's, and so nobody's: some firmware fills unused entries with it. */
		if (len >= 8 && get32(e + 4) & MADT_CPU_ENABLED && e[3] != 0xff)
			cpu_add(a, e[3]);
		break;
	case MADT_X2APIC:
		if (len >= 16 && get32(e + 8) & MADT_CPU_ENABLED && get32(e + 4) != ~0U)
			cpu_add(a, get32(e + 4));
		break;
	case MADT_IOAPIC:
		if (len >= 12 && a->ioapics < ACPI_IOAPICS_MAX)
			a->ioapic[a->ioapics++] = (struct acpi_ioapic){e[2], get32(e + 4),
								       get32(e + 8)};
		break;
	case MADT_OVERRIDE:
		if (len < 10 || a->overrides == ACPI_OVERRIDES_MAX)
			break;
		o = &a->override[a->overrides++];
		o->irq = e[3];
		o->gsi = get32(e + 4);
		/* MPS INTI flags: 3 = active low, 3 = level; 0 = as the bus has it, for ISA high and edge. */
		o->active_low = (get16(e + 8) & 3) == 3;
		o->level = (get16(e + 8) >> 2 & 3) == 3;
		break;
	default:
		break;
	}
}

static void madt_parse(struct acpi_info *a, const u8 *t, u32 len)
{
	a->has_madt = true;
	for (u32 at = 44; at + 2 <= len && t[at + 1] >= 2 && t[at + 1] <= len - at; at += t[at + 1])
		madt_entry(a, t + at, t[at + 1]);
}

/* Address of the i-th table that the root table names; 0 past the end. */
static hpa_t root_entry(const struct acpi_info *a, const u8 *root, u32 len, u32 i)
{
	u32 step = a->root_is_xsdt ? 8 : 4;

	if (i >= (len - TABLE_HEADER) / step)
		return 0;
	root += TABLE_HEADER + i * step;
	return a->root_is_xsdt ? get64(root) : get32(root);
}

static const u8 *root_map(struct acpi_info *a, const struct acpi_mem *m, const u8 *rsdp,
			  size_t rsdp_len, u32 *len)
{
	const u8 *root;

	if (rsdp_len >= ACPI_RSDP_MAX && rsdp[15] >= 2) {
		a->root = get64(rsdp + 24);
		a->root_is_xsdt = true;
		root = table_map(m, a->root, "XSDT", len);
		if (root)
			return root;
	}
	a->root = get32(rsdp + 16);
	a->root_is_xsdt = false;
	return table_map(m, a->root, "RSDT", len);
}

bool acpi_parse(struct acpi_info *a, const struct acpi_mem *m, const u8 *rsdp, size_t len)
{
	const u8 *root, *t;
	u32 root_len, t_len;
	hpa_t pa;

	memset(a, 0, sizeof(*a));
	if (!acpi_rsdp_valid(rsdp, len))
		return false;
	root = root_map(a, m, rsdp, len, &root_len);
	if (!root)
		return false;
	a->valid = true;
	for (u32 i = 0; i < (root_len - TABLE_HEADER) / (a->root_is_xsdt ? 8 : 4); i++) {
		pa = root_entry(a, root, root_len, i);
		if (!a->has_fadt && (t = table_map(m, pa, "FACP", &t_len)))
			fadt_parse(a, t, t_len);
		else if (!a->has_madt && (t = table_map(m, pa, "APIC", &t_len)))
			madt_parse(a, t, t_len);
		else if (!a->has_dmar && table_map(m, pa, "DMAR", &t_len))
			a->has_dmar = true;
		else if (!a->has_ivrs && table_map(m, pa, "IVRS", &t_len))
			a->has_ivrs = true;
	}
	return true;
}

/* ---- \_S5 ------------------------------------------------------------------------------------------------------ */

/* A small integer of AML at *at: ZeroOp, OneOp, BytePrefix, WordPrefix, DWordPrefix. */
static bool aml_integer(const u8 *t, u32 len, u32 *at, u8 *value)
{
	static const u8 width[] = {[0x0a - 0x0a] = 1, [0x0b - 0x0a] = 2, [0x0c - 0x0a] = 4};
	u8 op;

	if (*at >= len)
		return false;
	op = t[(*at)++];
	if (op <= 1) {
		*value = op;
		return true;
	}
	if (op < 0x0a || op > 0x0c || len - *at < width[op - 0x0a])
		return false;
	*value = t[*at];
	*at += width[op - 0x0a];
	return true;
}

/* At `at`, past the name: PackageOp PkgLength NumElements SLP_TYPa SLP_TYPb. */
static bool s5_package(const u8 *t, u32 len, u32 at, u8 *typ_a, u8 *typ_b)
{
	u32 lead;

	if (len - at < 4 || t[at] != 0x12)
		return false;
	lead = t[at + 1] >> 6; /* bytes of PkgLength after the first */
	at += 2 + lead + 1;
	if (at >= len || t[at - 1] == 0)
		return false;
	if (!aml_integer(t, len, &at, typ_a))
		return false;
	if (!aml_integer(t, len, &at, typ_b))
		*typ_b = *typ_a;
	return *typ_a <= 7 && *typ_b <= 7;
}

static bool s5_in_table(const u8 *t, u32 len, u8 *typ_a, u8 *typ_b)
{
	for (u32 at = TABLE_HEADER; at + 5 <= len; at++) {
		/* NameOp, an optional root prefix, the name. */
		if (t[at] != '_' || memcmp(t + at, "_S5_", 4))
			continue;
		if (t[at - 1] != 0x08 && !(t[at - 1] == '\\' && t[at - 2] == 0x08))
			continue;
		if (s5_package(t, len, at + 4, typ_a, typ_b))
			return true;
	}
	return false;
}

bool acpi_find_s5(const struct acpi_info *a, const struct acpi_mem *m, u8 *typ_a, u8 *typ_b)
{
	u32 len, root_len;
	const u8 *root, *t = a->valid ? table_map(m, a->dsdt, "DSDT", &len) : NULL;

	if (t && s5_in_table(t, len, typ_a, typ_b))
		return true;
	root = a->valid ? table_map(m, a->root, a->root_is_xsdt ? "XSDT" : "RSDT", &root_len) :
			  NULL;
	for (u32 i = 0; root && i < (root_len - TABLE_HEADER) / (a->root_is_xsdt ? 8 : 4); i++) {
		t = table_map(m, root_entry(a, root, root_len, i), "SSDT", &len);
		if (t && s5_in_table(t, len, typ_a, typ_b))
			return true;
	}
	return false;
}
