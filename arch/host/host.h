/* SPDX-License-Identifier: MIT */
/*
 * The machine: struct host is all mutable state of arch/host, its struct pcpu what belongs to one CPU. Beside it the
 * functions by which boot/main.c starts the machine, in the order in which it calls them, and what the files of
 * arch/host offer one another. What vmm/ may ask for is in vmm/host.h, what the back ends may in arch/cpu.h.
 */
#ifndef ARCH_HOST_HOST_H
#define ARCH_HOST_HOST_H

#include "arch/host/acpi_tables.h"
#include "arch/host/console.h"
#include "arch/host/serial.h"
#include "arch/host/screen.h"

#include <arch/desc.h>
#include <arch/insn.h>
#include <arch/layout.h>
#include <vmm/clock.h>
#include <vmm/page_alloc.h>
#include <vmm/pagetable.h>
#include <vmm/spinlock.h>
#include <vmm/types.h>

/* Interrupt vectors of root mode; the exceptions have the first 32. */
enum {
	IRQ_VECTOR_FIRST = 32,
	IRQ_VECTOR_CONSOLE = 0x30,
	IRQ_VECTOR_TIMER = 0x40,
	IRQ_VECTOR_KICK = 0xf0,
	IRQ_VECTOR_APIC_ERROR = 0xfe,
	IRQ_VECTOR_SPURIOUS = 0xff,
	IRQ_VECTORS = 256,
};

/* Exceptions that get a stack of their own; IST n is stack n - 1. */
enum { IST_DF = 1, IST_NMI, IST_MC, IST_PF, IST_COUNT = IST_PF };
_Static_assert(IST_COUNT == LAYOUT_IST_STACKS, "entry.S leaves room for them");

struct ist_stack {
	u8 guard[LAYOUT_GUARD_SIZE];
	u8 mem[LAYOUT_IST_STACK_SIZE];
};

/* All stacks of a CPU, as addresses: the guards are not mapped. */
struct cpu_stacks {
	u8 guard[LAYOUT_GUARD_SIZE];
	u8 mem[LAYOUT_STACK_SIZE];
	struct ist_stack ist[IST_COUNT];
};
_Static_assert(sizeof(struct cpu_stacks) <= LAYOUT_STACKS_STRIDE, "they do not meet");

/* What all local APICs have in common. */
struct lapic {
	volatile u32 *mmio; /* each CPU sees its own there; NULL: x2APIC */
	bool deadline_mode; /* the timer compares with the TSC itself */
	u64 hz;             /* else: its input clock, after division by one */
	u64 tick_mult;      /* and timer ticks per host tick, times 2^32 */
};

struct ioapic {
	volatile u32 *mmio;
	u32 gsi_base;
	u32 pins;
};

/* One reading of all clocks. */
struct time_sample {
	u64 tsc;
	u64 slack; /* TSC ticks within which the readings lie */
	u32 ref;   /* of the reference clock */
	u32 lapic;
};

struct timebase {
	u64 tsc_hz;
	s64 epoch_ns; /* Unix time at TSC 0 */
	u16 pm_port;  /* the reference: the ACPI PM timer at this port; 0: PIT channel 2 */
	u32 ref_mask;
	u64 ref_hz;
	u32 reads; /* of the reference, so far */
	struct time_sample first;
};

#define HOST_CPUS_MAX ACPI_CPUS_MAX

/*
 * How far a CPU has come. What it writes itself the first one waits for; PCPU_IN_STEP and PCPU_ACCEPTED it is told, and
 * goes no further without.
 */
enum pcpu_state {
	PCPU_CALLED,
	PCPU_ANSWERED, /* itself */
	PCPU_IN_STEP,
	PCPU_UP,       /* itself */
	PCPU_UNFIT,    /* itself, at any time */
	PCPU_ACCEPTED, /* it is in host.cpu[] */
};

/* Found by what runs on the CPU: root mode's GS base points to it. Only its own CPU writes to it, but for `state`. */
struct pcpu {
	struct pcpu *self; /* %gs:0 */
	unsigned number;   /* its place in host.cpu[], once it has one; until then HOST_CPUS_MAX */
	u32 apic_id;
	u32 state; /* enum pcpu_state, atomic */
	struct cpu_stacks *stacks;
	u64 gdt[5];
	struct tss tss;
	u32 tsc_turn; /* smp.c: the rounds in which the clocks were compared: odd, it is this CPU's turn */
	u64 tsc_stamp;    /* and what its TSC was */
	char unfit[240];  /* PCPU_UNFIT: why, as a sentence */
	u64 deadline;     /* asked for by host_timer_arm() */
	u64 console_poll; /* next look at a console without interrupt; HOST_TIMER_OFF: it has one */
	u64 console_busy; /* until then somebody is typing */
	u64 nmis;
	u64 stray_irqs; /* interrupts that nobody asked for */
	u64 apic_errors;
};
_Static_assert(offsetof(struct pcpu, self) == 0, "read_gs_word()");

static inline struct pcpu *pcpu_here(void)
{
	return (struct pcpu *)read_gs_word();
}

struct host {
	u64 load_delta; /* physical - (virtual - LAYOUT_IMAGE_VA) of the image */
	u64 entry_tsc;  /* at the first instruction */
	u8 on_error;    /* enum end_action */
	bool all_cpus;  /* else only the first is touched; set before irq_init() */
	bool efi;
	bool cpuid_was_limited; /* by the firmware; it is not any more */
	struct pcpu *panicking; /* atomic: who has failed first */
	u32 stopping; /* atomic: the machine ends, or has panicked: a CPU that takes an NMI goes no further */
	u32 stopped;                   /* atomic: CPUs that have obeyed */
	struct pcpu *stopper;          /* and who has told them */
	void (*run)(struct pcpu *cpu); /* what a CPU does that smp_start() has started */
	void (*virtualisation_off)(
		void); /* on a stopping CPU on which it is on; set by boot/main.c */
	u8 phys_bits;
	u64 ram_bytes; /* all that the firmware calls RAM */
	struct extent ram[PAGE_ALLOC_EXTENTS];
	unsigned ram_count;
	hpa_t low_page; /* below 1 MiB, for the other CPUs' first instructions; 0: none */
	struct spinlock pages_lock;
	struct page_alloc pages;
	struct spinlock pt_lock;
	struct pagetable pt; /* root NULL: still on the early tables */
	struct acpi_info acpi;
	struct timebase time;
	struct lapic lapic;
	struct ioapic ioapic[ACPI_IOAPICS_MAX];
	unsigned ioapics;
	struct idt_gate idt[IRQ_VECTORS]; /* all CPUs' */
	struct pcpu boot_cpu;             /* number 0 */
	struct pcpu *cpu[HOST_CPUS_MAX];
	unsigned cpus;   /* in host.cpu[]; grows while the machine is started */
	unsigned stacks; /* mapped by paging_map_stacks(): one that does not come keeps its own */
	struct console console;
	struct serial serial[SERIALS_MAX]; /* the guests' */
	unsigned serials;
};

extern struct host host;

/* Of the linker script; only their addresses mean anything. */
extern const u8 image_start[], image_text_end[], image_rodata_end[], image_data_end[], image_end[];
extern struct cpu_stacks host_stacks; /* of the first CPU */

/* ---- Start of the machine, in this order ----------------------------------------------------------------------- */

void host_init(u64 load_delta, u64 entry_tsc);
void pcpu_init(struct pcpu *cpu, unsigned number); /* `cpu` is all zero */

/* RAM as the firmware reports it; what is reserved wins over what is RAM, so all of the one comes before the other. */
void memory_add_ram(hpa_t base, u64 size);
void memory_add_reserved(hpa_t base, u64 size);
/* That was all of the map. From now on memory can be kept from being handed out... */
void memory_map_done(void);
void memory_keep(hpa_t base, u64 size);
/* Of that, where the log outlives a warm reset; says how the last boot ended, if not in order. */
void log_area_init(void);
/* ... and from now on allocated. */
void memory_keep_done(void);

/* Exceptions are caught from here on; on each CPU. */
void cpu_tables_init(struct pcpu *cpu);
/* The final page tables. -HV_ENOMEM. */
int paging_init(void) must_check;
/* `efi`: address of the EFI system table, 0 if there is none; rsdp: a copy, len 0 if the loader gave none. */
void acpi_init(const u8 *rsdp, size_t len, u64 efi);
/* Legacy PIC off, local APIC on, I/O APICs masked. False: there is no local APIC. */
bool irq_init(void) must_check;
/* Starts to measure the clocks, and ends it: false if there is no clock to measure by. */
void time_start(void);
bool time_finish(void) must_check;
/* Console input by interrupt, or by polling where it has none. */
void console_start(void);
/*
 * Starts all CPUs that the MADT lists. On each, `run` is called once its tables, clock and local APIC are as the first
 * one's; it calls smp_report() and never returns. One that does not answer, or reports that it is unfit, is named in the log and left out.
 */
void smp_start(void (*run)(struct pcpu *cpu));
/* `why`: NULL, or a sentence, copied. Returns when the first CPU knows, and counts on the CPU. */
void smp_report(struct pcpu *cpu, const char *why);

/* ---- Between the files of arch/host ----------------------------------------------------------------------------- */

/*
 * Physical memory that is not RAM, at its place in the direct map: [pa, pa + size) mapped if it is not yet. NULL if
 * there can be nothing at that address, or no memory for tables.
 */
void *paging_map_phys(hpa_t pa, u64 size, u32 prot, enum pt_memtype type);
/* Stacks for another CPU than the first; never given back. -HV_ENOMEM. */
int paging_map_stacks(struct pcpu *cpu) must_check;
/* Control registers and MSRs of root mode, the page tables aside. */
void cpu_init_features(void);

const struct acpi_mem *acpi_mem(void);

bool lapic_init(void) must_check;
/* The same for another CPU than the first. False: it is in a mode in which it cannot be used like the first. */
bool lapic_init_other(void);
u32 lapic_id(void);
void lapic_eoi(void);
bool lapic_in_service(u8 vector);
/* Interrupt `vector` to the CPU with this APIC ID. */
void lapic_ipi(u32 apic_id, u8 vector);
void lapic_init_ipi(u32 apic_id);
void lapic_startup_ipi(u32 apic_id, u8 page); /* to begin at page << 12 */
void lapic_nmi_others(void);
void lapic_timer_start_free(void); /* counts down from the top, for calibration */
u32 lapic_timer_count(void);
void lapic_timer_ready(u64 lapic_hz, u64 tsc_hz);
void lapic_timer_set(u64 deadline); /* host ticks; HOST_TIMER_OFF */

void ioapic_init(void);
/* Sends ISA interrupt `irq` to the first CPU as `vector`. False if no I/O APIC has such a pin. */
bool ioapic_route_isa(u8 irq, u8 vector);

void timer_interrupt(struct pcpu *cpu);
void console_interrupt(void);
s64 rtc_read_ns(void);

/* Every other CPU is halted for good, with virtualisation off, or has had the time to be. */
void smp_stop_others(void);
/* In an NMI's handler while host.stopping is set. */
_Noreturn void smp_stop_here(void);

/* The end; see vmm/host.h for the rest. */
_Noreturn void host_end(u8 action); /* enum end_action */

/* An interrupt or exception, from trap.S. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};
void trap_dispatch(struct trap_frame *f);
_Noreturn void panic_trap(const struct trap_frame *f);
_Noreturn void panic_call(const struct trap_frame *f);

/* Entry points of trap.S: the exceptions', then the interrupts', each of the size below. */
extern const u8 trap_stubs[], irq_stubs[];
#define TRAP_STUB_SIZE 16
#define IRQ_STUB_SIZE  8

#endif
