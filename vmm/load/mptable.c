/* SPDX-License-Identifier: MIT */
/*
 * The MP table of a guest's machine, from its description: for kernels without ACPI. Called by
 * vm_boot() before the kernel is loaded. Floating pointer and configuration table lie in the EBDA,
 * whose segment the BIOS data area names. Intel MultiProcessor Specification 1.4, "MP Configuration
 * Table".
 */
#include <vmm/errno.h>
#include <vmm/load.h>
#include <vmm/machine.h>
#include <vmm/string.h>
#include <vmm/vioapic.h>
#include <vmm/vlapic.h>

#include "layout.h"

#define EBDA_SIZE   (0xa0000ULL - MACHINE_EBDA)
#define MP_SPEC_1_4 4
#define ISA_IRQS    16
#define IRQ_CASCADE 2
#define PIN_PIC     0 /* of the I/O APIC, and LINT0 of the first local APIC */
#define BUSES       2 /* PCI, whose bus 0 has number 0, and ISA */
#define PIC_INTS    2
#define LOCAL_INTS  1

struct mp_float {
	char signature[4];
	u32 table;
	u8 length; /* in 16 bytes */
	u8 spec, checksum, feature[5];
} packed;

struct mp_config {
	char signature[4];
	u16 length;
	u8 spec, checksum;
	char oem_id[8], product_id[12];
	u32 oem_table;
	u16 oem_size, entries;
	u32 lapic_address;
	u16 extended_length;
	u8 extended_checksum, reserved;
} packed;

struct mp_cpu {
	u8 type, apic_id, apic_version, flags;
	u32 signature, features;
	u32 reserved[2];
} packed;

struct mp_bus {
	u8 type, id;
	char name[6];
} packed;

struct mp_ioapic {
	u8 type, id, version, flags;
	u32 address;
} packed;

struct mp_int {
	u8 type, int_type;
	u16 flags;
	u8 bus, irq, apic_id, pin;
} packed;

_Static_assert(sizeof(struct mp_float) == 16, "MP Floating Pointer Structure");
_Static_assert(sizeof(struct mp_config) == 44, "MP Configuration Table Header");
_Static_assert(sizeof(struct mp_cpu) == 20, "Processor Entries");
_Static_assert(sizeof(struct mp_bus) == 8 && sizeof(struct mp_ioapic) == 8 &&
		       sizeof(struct mp_int) == 8,
	       "Base MP Configuration Table Entry Types");
_Static_assert(sizeof(struct mp_float) + sizeof(struct mp_config) +
			       MACHINE_CPUS_MAX * sizeof(struct mp_cpu) +
			       BUSES * sizeof(struct mp_bus) + sizeof(struct mp_ioapic) +
			       (ISA_IRQS + PIC_INTS + LOCAL_INTS) * sizeof(struct mp_int) <=
		       EBDA_SIZE,
	       "the tables fit the EBDA");

enum { MP_CPU = 0, MP_BUS = 1, MP_IOAPIC = 2, MP_IO_INT = 3, MP_LOCAL_INT = 4 };
enum { MP_INT = 0, MP_NMI = 1, MP_EXTINT = 3 };

#define CPU_ENABLED    1
#define CPU_BSP        2
#define CPU_SIGNATURE  0x600 /* family 6; CPUID says the rest */
#define CPU_FEATURES   0x201 /* FPU, APIC */
#define LAPIC_VERSION  0x14
#define IOAPIC_VERSION 0x20 /* as the version register says */
#define MP_CONFORMS    0    /* polarity and trigger mode as the bus has them: ISA, high and edge */
#define MP_HIGH_LEVEL  0xd
#define ALL_LAPICS     0xff

/* The table being written: the entries follow one another without padding. */
struct writer {
	struct mp_config *config;
	u8 *next;
};

static void write_entry(struct writer *w, const void *entry, u64 size)
{
	memcpy(w->next, entry, size);
	w->next += size;
	w->config->entries++;
}

static u8 checksum(const void *table, u64 size)
{
	const u8 *p = table;
	u8 sum = 0;

	for (u64 i = 0; i < size; i++)
		sum = (u8)(sum + p[i]);
	return (u8)-sum;
}

static void write_cpus(struct writer *w, const struct machine *m)
{
	for (unsigned i = 0; i < m->cpus; i++) {
		struct mp_cpu cpu = {MP_CPU,
				     (u8)i,
				     LAPIC_VERSION,
				     CPU_ENABLED | (i == 0 ? CPU_BSP : 0),
				     CPU_SIGNATURE,
				     CPU_FEATURES,
				     {0}};

		write_entry(w, &cpu, sizeof(cpu));
	}
}

static u8 bus_isa(const struct machine *m)
{
	return m->pci ? 1 : 0;
}

static void write_buses(struct writer *w, const struct machine *m)
{
	struct mp_bus pci = {MP_BUS, 0, {'P', 'C', 'I', ' ', ' ', ' '}};
	struct mp_bus isa = {MP_BUS, bus_isa(m), {'I', 'S', 'A', ' ', ' ', ' '}};

	if (m->pci)
		write_entry(w, &pci, sizeof(pci));
	write_entry(w, &isa, sizeof(isa));
}

/*
 * ISA interrupts are wired 1:1, but for the PIT's. Without a PIT there is none of that number, and nothing cascades to pin 2.
 */
static void write_isa_interrupts(struct writer *w, const struct machine *m)
{
	for (unsigned irq = 0; irq < ISA_IRQS; irq++) {
		bool pit = irq == MACHINE_PIT_IRQ;
		struct mp_int e = {MP_IO_INT,
				   MP_INT,
				   irq == m->sci_irq ? MP_HIGH_LEVEL : MP_CONFORMS,
				   bus_isa(m),
				   (u8)irq,
				   (u8)m->ioapic_id,
				   (u8)(pit ? MACHINE_PIT_PIN : irq)};

		if (irq == IRQ_CASCADE || (pit && !machine_has_irq0(m)))
			continue;
		write_entry(w, &e, sizeof(e));
	}
}

/* Whose vectors the PIC gives: by the I/O APIC, and by the first local APIC. */
static void write_pic(struct writer *w, const struct machine *m)
{
	struct mp_int io = {MP_IO_INT, MP_EXTINT,        MP_CONFORMS, bus_isa(m),
			    0,         (u8)m->ioapic_id, PIN_PIC};
	struct mp_int local = {MP_LOCAL_INT, MP_EXTINT, MP_CONFORMS, bus_isa(m), 0, 0, 0};

	if (!m->pic)
		return;
	write_entry(w, &io, sizeof(io));
	write_entry(w, &local, sizeof(local));
}

static void write_nmi(struct writer *w, const struct machine *m)
{
	struct mp_int nmi = {MP_LOCAL_INT, MP_NMI, MP_CONFORMS, bus_isa(m), 0, ALL_LAPICS, 1};

	write_entry(w, &nmi, sizeof(nmi));
}

int load_mptable(struct gmem *g, const struct machine *m)
{
	struct mp_float *f = gmem_ptr(g, MACHINE_EBDA, EBDA_SIZE);
	struct mp_ioapic ioapic = {MP_IOAPIC, (u8)m->ioapic_id, IOAPIC_VERSION, 1, VIOAPIC_BASE};
	u16 segment = MACHINE_EBDA >> 4, base_mem = MACHINE_LOW_END >> 10;
	struct writer w;

	if (!f || m->cpus > MACHINE_CPUS_MAX || m->mp_float != MACHINE_EBDA)
		return -HV_EINVAL;
	memset(f, 0, EBDA_SIZE);
	w.config = (struct mp_config *)(f + 1);
	w.next = (u8 *)(w.config + 1);
	write_cpus(&w, m);
	write_buses(&w, m);
	write_entry(&w, &ioapic, sizeof(ioapic));
	write_isa_interrupts(&w, m);
	write_pic(&w, m);
	write_nmi(&w, m);

	memcpy(w.config->signature, "PCMP", sizeof(w.config->signature));
	w.config->length = (u16)(w.next - (u8 *)w.config);
	w.config->spec = MP_SPEC_1_4;
	memcpy(w.config->oem_id, "HAVOC   ", sizeof(w.config->oem_id));
	memcpy(w.config->product_id, "PC          ", sizeof(w.config->product_id));
	w.config->lapic_address = VLAPIC_BASE;
	w.config->checksum = checksum(w.config, w.config->length);

	memcpy(f->signature, "_MP_", sizeof(f->signature));
	f->table = (u32)(MACHINE_EBDA + sizeof(*f));
	f->length = 1;
	f->spec = MP_SPEC_1_4;
	f->checksum = checksum(f, sizeof(*f));

	if (gmem_write(g, BDA_EBDA_SEGMENT, &segment, sizeof(segment)) < 0)
		return -HV_EINVAL;
	return gmem_write(g, BDA_BASE_MEM_KIB, &base_mem, sizeof(base_mem));
}
