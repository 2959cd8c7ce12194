/* SPDX-License-Identifier: MIT */
/*
 * The doctor: what this machine is and has, what that means for Havoc, and where a user can change it; for a bug report.
 * It works where no guest can be started, and is needed most there. doctor.c is PURE: it tells what it is handed.
 * doctor_facts.c gathers that from the running machine; the monitor and boot/main.c (option doctor=) call it.
 */
#ifndef BOOT_DOCTOR_H
#define BOOT_DOCTOR_H

#include "arch/host/acpi_tables.h"
#include "boot/mb2.h"

#include <vmm/backend.h>
#include <vmm/log_keep.h>
#include <vmm/report.h>

#define DOCTOR_FEATURES_MAX 16

struct doctor_facts {
	const char *version;
	/* The CPU that this runs on. rdmsr: false if there is no such MSR. */
	void (*cpuid)(u32 leaf, u32 subleaf, u32 out[4]);
	bool (*rdmsr)(u32 msr, u64 *value);
	const char *backend; /* "VMX", "SVM"; NULL: neither */
	const char *problem; /* why it cannot be used, a sentence; "": it can */
	struct backend_feature feature[DOCTOR_FEATURES_MAX];
	unsigned features;
	bool cpuid_was_limited;
	unsigned cpus; /* that are used; the MADT says how many there are */
	/* What the boot loader and the firmware have said. */
	const struct boot_info *info;
	const struct acpi_info *acpi;
	u64 ram_bytes, free_bytes;
	/* Local APIC and clock. */
	bool apic; /* there is one that can be used */
	bool x2apic, tsc_deadline;
	unsigned apic_id;
	u64 tsc_hz;     /* 0: not measured */
	bool tsc_by_pm; /* against the ACPI PM timer; else the PIT */
	/* Consoles. */
	u16 serial_port;
	bool serial_wanted, serial, serial_irq;
	bool screen, screen_text;
	unsigned screen_columns, screen_rows;
	/* The kept log. */
	bool last; /* something is known of the last boot */
	enum log_end last_end;
	char last_reason[LOG_KEEP_REASON];
};

/* Between report_begin() and report_end(), which are the caller's. */
void doctor_report(const struct doctor_facts *f, struct report *r);

struct boot;

/* The same, of this machine as it is now. At any time after acpi_init(). */
void doctor(const struct boot *b, struct report *r);
/* For doctor=on|json: to the consoles. */
void doctor_print(const struct boot *b, bool json);

#endif
