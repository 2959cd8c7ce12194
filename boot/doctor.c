/* SPDX-License-Identifier: MIT */
/*
 * PURE: the doctor's report (boot/doctor.h). Details come first and findings last: a screen shows the end of it. SDM vol. 2
 * "CPUID—CPU Identification", vol. 4 on IA32_FEATURE_CONTROL and IA32_MISC_ENABLE; APM vol. 3 appendix "Obtaining Processor
 * Information Via the CPUID Instruction", vol. 2 "Enabling SVM".
 */
#include "boot/doctor.h"

#include <arch/cpuid.h>
#include <arch/msr.h>
#include <vmm/clock.h>
#include <vmm/string.h>

#define MEM_LEAST MiB(64)

static bool has(const struct doctor_facts *f, u32 leaf, unsigned reg, u64 bit)
{
	u32 r[4];

	f->cpuid(leaf, 0, r);
	return r[reg] & bit;
}

/* ---- The CPU ---------------------------------------------------------------------------------------------------- */

enum vendor { INTEL, AMD, OTHER };

static enum vendor vendor_of(const struct doctor_facts *f, char name[13])
{
	u32 r[4];

	f->cpuid(0, 0, r);
	memcpy(name, &r[CPUID_EBX], 4);
	memcpy(name + 4, &r[CPUID_EDX], 4);
	memcpy(name + 8, &r[CPUID_ECX], 4);
	name[12] = '\0';
	if (!strcmp(name, "GenuineIntel"))
		return INTEL;
	return strcmp(name, "AuthenticAMD") && strcmp(name, "HygonGenuine") ? OTHER : AMD;
}

static void model_name(const struct doctor_facts *f, char text[49])
{
	size_t from = 0, len;
	u32 r[4];

	memset(text, 0, 49);
	for (u32 i = 0; i < 3; i++) {
		f->cpuid(0x80000002 + i, 0, r);
		memcpy(text + (size_t)i * 16, r, 16);
	}
	while (text[from] == ' ')
		from++;
	len = strlen(text + from);
	memmove(text, text + from, len + 1);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
}

static void tell_cpu(const struct doctor_facts *f, struct report *r)
{
	char name[49], vendor[13];
	enum vendor v = vendor_of(f, vendor);
	unsigned family, model;
	u32 id[4];
	u64 msr;

	model_name(f, name);
	f->cpuid(1, 0, id);
	family = id[CPUID_EAX] >> 8 & 0xf;
	model = id[CPUID_EAX] >> 4 & 0xf;
	if (family == 6 || family == 15)
		model |= id[CPUID_EAX] >> 12 & 0xf0;
	if (family == 15)
		family += id[CPUID_EAX] >> 20 & 0xff;
	report_section(r, "cpu", "CPU");
	report_text(r, "model", "model", "%s", name[0] ? name : "it has no name");
	report_text(r, "vendor", "vendor", "%s", vendor);
	report_text(r, "signature", "signature", "family 0x%x, model 0x%x, stepping %u", family,
		    model, id[CPUID_EAX] & 0xf);
	if (f->rdmsr(MSR_UCODE_REV, &msr))
		report_hex(r, "microcode", "microcode", v == AMD ? msr & 0xffffffff : msr >> 32);
	report_bool(r, "virtual", "virtual machine", id[CPUID_ECX] & CPUID1C_HYPERVISOR);
	report_number(r, "cpus_listed", "CPUs in the MADT", f->acpi->cpus + f->acpi->cpus_dropped,
		      "");
	report_number(r, "cpus_used", "CPUs used", f->cpus, "");
	report_section_end(r);
}

/* Of every x86 CPU, whatever the back end. */
static const struct {
	u32 leaf;
	u8 reg;
	u32 bit;
	const char *name, *lack;
} cpu_rows[] = {
	{1, CPUID_ECX, CPUID1C_X2APIC, "x2APIC", "interrupts between CPUs cost more"},
	{1, CPUID_ECX, CPUID1C_TSC_DEADLINE, "TSC deadline", "the timer is less exact"},
	{1, CPUID_ECX, CPUID1C_XSAVE, "XSAVE", "guests do without AVX"},
	{1, CPUID_ECX, CPUID1C_PCID, "PCID", "guests do without it"},
	{7, CPUID_EBX, CPUID7B_SMEP, "SMEP", "Havoc and guests are protected less"},
	{0x80000001, CPUID_EDX, CPUIDX1D_1GB, "1 GiB host pages",
	 "Havoc's own page tables are larger"},
	{0x80000007, CPUID_EDX, CPUIDX7D_INVARIANT_TSC, "invariant TSC",
	 "clocks go wrong where the CPU changes its frequency or sleeps"},
};

static void tell_feature(struct report *r, const char *name, bool present, const char *lack)
{
	report_cell(r, "%s", name);
	report_cell(r, "%s", present ? "used" : "missing");
	report_cell(r, "%s", present ? "" : lack);
}

static void tell_features(const struct doctor_facts *f, struct report *r)
{
	static const struct report_column columns[] = {{"name", "FEATURE", 20, false},
						       {"state", "STATE", 7, false},
						       {"cost", "WHAT ITS LACK COSTS", 0, false}};

	report_text(r, "backend", "back end", "%s", f->backend ? f->backend : "none");
	report_bool(r, "usable", "can start guests", f->backend && !f->problem[0] && f->apic);
	report_table(r, "features", columns, ARRAY_SIZE(columns));
	for (unsigned i = 0; i < f->features; i++)
		tell_feature(r, f->feature[i].name, f->feature[i].present, f->feature[i].lack);
	for (unsigned i = 0; i < ARRAY_SIZE(cpu_rows); i++)
		tell_feature(r, cpu_rows[i].name,
			     has(f, cpu_rows[i].leaf, cpu_rows[i].reg, cpu_rows[i].bit),
			     cpu_rows[i].lack);
	report_table_end(r);
}

/* ---- What the firmware's setup has a say in ---------------------------------------------------------------------- */

static void setting(struct report *r, const char *what, const char *state, const char *where)
{
	report_cell(r, "%s", what);
	report_cell(r, "%s", state);
	report_cell(r, "%s", where);
}

static const char *vmx_state(const struct doctor_facts *f)
{
	u64 v;

	if (!has(f, 1, CPUID_ECX, CPUID1C_VMX))
		return "not offered";
	if (!f->rdmsr(MSR_FEATURE_CONTROL, &v) || !(v & FEATURE_CONTROL_LOCK))
		return "open, Havoc turns it on";
	return v & FEATURE_CONTROL_VMX ? "on" : "LOCKED OFF";
}

static const char *svm_state(const struct doctor_facts *f)
{
	u64 v;

	if (!has(f, 0x80000001, CPUID_ECX, CPUIDX1C_SVM))
		return "not offered";
	if (!f->rdmsr(MSR_VM_CR, &v) || !(v & VM_CR_SVMDIS))
		return "on";
	return v & VM_CR_LOCK ? "LOCKED OFF" : "open, Havoc turns it on";
}

static const char *iommu_name(const struct doctor_facts *f)
{
	return f->acpi->has_dmar ? "VT-d" : f->acpi->has_ivrs ? "AMD-Vi" : NULL;
}

static void tell_settings(const struct doctor_facts *f, struct report *r)
{
	static const struct report_column columns[] = {{"setting", "SETTING", 14, false},
						       {"state", "STATE", 24, false},
						       {"where", "CALLED, IN FIRMWARE MENUS", 0,
							false}};
	char name[13];
	enum vendor v = vendor_of(f, name);

	report_table(r, "firmware", columns, ARRAY_SIZE(columns));
	if (v != AMD)
		setting(r, "VT-x", vmx_state(f),
			"Intel Virtualization Technology, VT-x, VMX, Vanderpool (CPU, Advanced, Security)");
	if (v != INTEL)
		setting(r, "AMD-V", svm_state(f),
			"SVM Mode, AMD-V, Secure Virtual Machine (CPU, Advanced, OC)");
	setting(r, "IOMMU", iommu_name(f) ? "on" : "no table of one",
		v == AMD ? "IOMMU, AMD-Vi (Advanced, AMD CBS/NBIO)" :
			   "VT-d, Intel VT for Directed I/O (Chipset, System Agent)");
	setting(r, "x2APIC",
		f->x2apic                            ? "on" :
		has(f, 1, CPUID_ECX, CPUID1C_X2APIC) ? "off, which will do" :
						       "not offered",
		"x2APIC, Local APIC Mode (CPU)");
	if (v == INTEL)
		setting(r, "CPUID limit", f->cpuid_was_limited ? "on; Havoc has lifted it" : "off",
			"Limit CPUID Maximum (CPU)");
	setting(r, "no-execute", has(f, 0x80000001, CPUID_EDX, CPUIDX1D_NX) ? "on" : "OFF",
		"Execute Disable Bit, XD, NX Mode (CPU, Security)");
	setting(r, "boot mode", f->info->efi ? "UEFI" : "BIOS",
		"CSM, Legacy Boot, Boot Mode (Boot)");
	setting(r, "Secure Boot", f->info->efi ? "off, or GRUB is trusted" : "none without UEFI",
		"Secure Boot (Security, Boot)");
	setting(r, "serial port",
		f->serial        ? "found" :
		f->serial_wanted ? "NOT FOUND" :
				   "not asked for",
		"Serial Port, COM1, Super IO (Advanced, Peripherals); no Console Redirection to it");
	report_table_end(r);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static void tell_memory(const struct doctor_facts *f, struct report *r)
{
	static const struct report_column columns[] = {
		{"from", "FROM", 14, false}, {"to", "TO", 14, false}, {"kind", "KIND", 0, false}};
	const struct boot_mem *m = f->info->mem;
	unsigned i = 0;

	report_section(r, "memory", "MEMORY");
	report_number(r, "ram", "RAM", f->ram_bytes >> 20, "MiB");
	report_number(r, "free", "free", f->free_bytes >> 20, "MiB");
	report_section_end(r);
	report_table(r, "memory_map", columns, ARRAY_SIZE(columns));
	while (i < f->info->mem_count) {
		unsigned first = i;
		u64 end;

		/* UEFI's pieces are many. */
		do {
			end = m[i].base + m[i].size;
			i++;
		} while (i < f->info->mem_count && m[i].base == end && m[i].ram == m[first].ram);
		report_cell(r, "0x%llx", (unsigned long long)m[first].base);
		report_cell(r, "0x%llx", (unsigned long long)(end - 1));
		report_cell(r, "%s", m[first].ram ? "RAM" : "reserved");
	}
	report_table_end(r);
}

/* ---- The rest of the machine ------------------------------------------------------------------------------------ */

/* CPUID 15H: the rate that the CPU itself states; 0: it does not. */
static u64 stated_hz(const struct doctor_facts *f)
{
	u32 r[4];

	f->cpuid(0x15, 0, r);
	if (!r[CPUID_EAX] || !r[CPUID_EBX] || !r[CPUID_ECX])
		return 0;
	return clock_mul_div(r[CPUID_ECX], r[CPUID_EBX], r[CPUID_EAX]);
}

static void tell_machine(const struct doctor_facts *f, struct report *r)
{
	const struct acpi_info *a = f->acpi;

	report_section(r, "machine", "MACHINE");
	report_text(r, "acpi", "ACPI tables", "%s",
		    !a->valid    ? "none" :
		    !a->has_madt ? "no MADT" :
		    !a->has_fadt ? "no FADT" :
				   "found");
	report_text(r, "iommu", "IOMMU", "%s%s", iommu_name(f) ? iommu_name(f) : "none found",
		    iommu_name(f) ? ", which Havoc does not use yet" :
				    ": no device could be given to a guest");
	report_text(r, "apic", "local APIC", "%s",
		    !f->apic  ? "none" :
		    f->x2apic ? "x2APIC" :
				"xAPIC");
	report_text(r, "timer", "its timer", "%s",
		    !f->apic        ? "none" :
		    f->tsc_deadline ? "TSC deadline" :
				      "one-shot");
	report_number(r, "ioapics", "I/O APICs", a->ioapics, "");
	report_number(r, "tsc_hz", "TSC, measured", f->tsc_hz, "Hz");
	report_text(r, "tsc_reference", "... against", "%s",
		    !f->tsc_hz   ? "nothing" :
		    f->tsc_by_pm ? "the ACPI PM timer" :
				   "the PIT");
	if (stated_hz(f) || r->json)
		report_number(r, "tsc_stated_hz", "TSC, as stated", stated_hz(f), "Hz");
	else
		report_text(r, "tsc_stated_hz", "TSC, as stated", "%s", "the CPU does not say");
	report_section_end(r);
}

static void tell_consoles(const struct doctor_facts *f, struct report *r)
{
	report_section(r, "console", "CONSOLES");
	report_hex(r, "serial_port", "serial port", f->serial_wanted ? f->serial_port : 0);
	report_text(r, "serial", "... is", "%s",
		    !f->serial_wanted ? "not asked for" :
		    !f->serial        ? "not there" :
		    f->serial_irq     ? "there, by interrupt" :
					"there, looked at by timer");
	if (f->screen)
		report_text(r, "screen", "screen", "%s, %u x %u characters",
			    f->screen_text ? "VGA text" : "framebuffer", f->screen_columns,
			    f->screen_rows);
	else
		report_text(r, "screen", "screen", "none");
	report_text(r, "last_boot", "the last boot", "%s%s",
		    !f->last                       ? "left nothing" :
		    f->last_end == LOG_END_PANIC   ? "ended by a panic: " :
		    f->last_end == LOG_END_ORDERLY ? "ended in order" :
						     "ended by a reset that was not Havoc's",
		    f->last && f->last_end == LOG_END_PANIC ? f->last_reason : "");
	report_section_end(r);
}

/* ---- Findings --------------------------------------------------------------------------------------------------- */

static void tell_findings(const struct doctor_facts *f, struct report *r)
{
	static const char *const nothing =
		"Nothing that was looked at stands in the way of guests.";
	bool any = true;

	report_line(r, "FINDINGS");
	report_list(r, "findings");
	if (!f->backend)
		report_item(
			r,
			"This CPU offers neither VMX (Intel VT-x) nor SVM (AMD-V): turn "
			"virtualization on in the firmware setup if it is there, else take another machine.");
	else if (f->problem[0])
		report_item(r, "%s", f->problem);
	else if (!f->apic)
		report_item(
			r,
			"The CPU's local APIC is absent or turned off: turn it on in the firmware setup.");
	else if (!f->tsc_hz)
		report_item(
			r,
			"There is no clock to measure time by: neither an ACPI PM timer nor a PIT.");
	else if (f->ram_bytes < MEM_LEAST)
		report_item(r, "There is little memory: Havoc wants 64 MiB.");
	else
		any = false;
	if (!has(f, 0x80000007, CPUID_EDX, CPUIDX7D_INVARIANT_TSC)) {
		report_item(
			r,
			"The TSC is not said to be invariant: turn off the CPU's power saving in the firmware "
			"setup if guests' clocks go wrong.");
		any = true;
	}
	if (!f->acpi->valid) {
		report_item(
			r,
			"There are no ACPI tables: the machine has one CPU, and is switched off by hand.");
		any = true;
	}
	if (f->serial_wanted && !f->serial) {
		report_item(
			r,
			"There is no serial port at 0x%x: turn it on in the firmware setup, or say which "
			"one by console=.",
			f->serial_port);
		any = true;
	}
	if (!any)
		report_item(r, "%s", nothing);
	report_list_end(r);
}

void doctor_report(const struct doctor_facts *f, struct report *r)
{
	report_text(r, "version", "Havoc", "%s", f->version);
	report_text(r, "options", "its options", "%s", f->info->cmdline);
	tell_cpu(f, r);
	tell_features(f, r);
	tell_settings(f, r);
	tell_memory(f, r);
	tell_machine(f, r);
	tell_consoles(f, r);
	tell_findings(f, r);
}
