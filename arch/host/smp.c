/* SPDX-License-Identifier: MIT */
/*
 * All CPUs but the first: how they are started, and how they are stopped. boot/main.c starts them; panic.c and power.c
 * stop them. They come one by one, so that one page, one stack pointer and one clock comparison at a time will do. SDM
 * vol. 3 "Multiple-Processor (MP) Initialization", "MP Initialization Protocol Algorithm"; APM vol. 2 the same.
 */
#include "arch/host/host.h"

#include <arch/insn.h>
#include <vmm/assert.h>
#include <vmm/clock.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/log.h>
#include <vmm/string.h>

#define INIT_WAIT_US    10000 /* between INIT and the start-up IPI */
#define STARTUP_WAIT_US 200   /* between the two start-up IPIs */
#define ANSWER_WAIT_US                                                                             \
	500000 /* how long an answer may take: an emulator's CPU may have to wait for one itself */
#define REPORT_WAIT_US  1000000
#define STOP_WAIT_READS 100000 /* of a port, about 1 us each: there may be no clock yet */
#define TSC_ROUNDS      32

/* boot/ap.S */
extern const u8 ap_trampoline[], ap_trampoline_end[], ap_params[], ap_32bit[], ap_64bit[], ap_gdt[];
extern u8 early_pml4[];
void ap_start(void);
_Noreturn void ap_main(struct pcpu *cpu);

struct ap_params {
	struct {
		u16 limit;
		u32 base;
	} packed gdt;
	u16 pad0;
	u32 far_32bit;
	u16 sel_32bit, pad1;
	u32 far_64bit;
	u16 sel_64bit, pad2;
	u64 early_cr3, cr3, entry, cpu;
	u64 stack; /* taken by the CPU that comes */
};
_Static_assert(offsetof(struct ap_params, early_cr3) == 24, "as in ap.S");

static u64 us_to_ticks(u64 us)
{
	return clock_mul_div(us, host_tick_hz(), 1000000);
}

static void wait_us(u64 us)
{
	u64 end = host_ticks() + us_to_ticks(us);

	while (host_ticks() < end)
		pause_cpu();
}

static u32 state_get(const struct pcpu *cpu)
{
	return __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE);
}

static void state_set(struct pcpu *cpu, enum pcpu_state state)
{
	__atomic_store_n(&cpu->state, state, __ATOMIC_RELEASE);
}

/* Until it has left `state`; false: it did not in time. */
static bool wait_leaves(const struct pcpu *cpu, enum pcpu_state state, u64 us)
{
	u64 end = host_ticks() + us_to_ticks(us);

	while (state_get(cpu) == state) {
		if (host_ticks() > end)
			return false;
		pause_cpu();
	}
	return true;
}

/* ---- One clock for all ------------------------------------------------------------------------------------------ */

static bool tsc_wait_turn(const struct pcpu *cpu, u32 turn)
{
	u64 end = host_ticks() + us_to_ticks(REPORT_WAIT_US);

	while (__atomic_load_n(&cpu->tsc_turn, __ATOMIC_ACQUIRE) != turn) {
		if (rdtsc() > end)
			return false;
	}
	return true;
}

/*
 * The other CPU's TSC is read between two readings of this one's, again and again. If the two are one clock, it lies
 * between them each time; if they are apart by more than a round takes at its quickest, it does not.
 */
static bool tsc_agrees(struct pcpu *cpu)
{
	bool agrees = true;

	for (u32 round = 0; round < TSC_ROUNDS; round++) {
		u64 before = rdtsc_ordered(), after;

		__atomic_store_n(&cpu->tsc_turn, 2 * round + 1, __ATOMIC_RELEASE);
		if (!tsc_wait_turn(cpu, 2 * round + 2))
			return false;
		after = rdtsc_ordered();
		if (cpu->tsc_stamp < before || cpu->tsc_stamp > after)
			agrees = false;
	}
	return agrees;
}

/* The other side of it. */
static void tsc_answer(struct pcpu *cpu)
{
	for (u32 round = 0; round < TSC_ROUNDS; round++) {
		while (__atomic_load_n(&cpu->tsc_turn, __ATOMIC_ACQUIRE) != 2 * round + 1)
			pause_cpu();
		cpu->tsc_stamp = rdtsc_ordered();
		__atomic_store_n(&cpu->tsc_turn, 2 * round + 2, __ATOMIC_RELEASE);
	}
}

/* ---- On the CPU that comes -------------------------------------------------------------------------------------- */

static _Noreturn void halt_for_good(void)
{
	for (;;) {
		cli();
		hlt();
	}
}

/* An interrupt comes with what is waited for: tell(). */
static void wait_told(const struct pcpu *cpu, enum pcpu_state state)
{
	while (state_get(cpu) != state)
		host_idle();
}

void smp_report(struct pcpu *cpu, const char *why)
{
	if (!why) {
		state_set(cpu, PCPU_UP);
		wait_told(cpu, PCPU_ACCEPTED);
		return;
	}
	fmt_s(cpu->unfit, sizeof(cpu->unfit), "%s", why);
	state_set(cpu, PCPU_UNFIT);
	halt_for_good();
}

/* From ap.S, on the CPU's own stack and the final page tables, interrupts off. */
_Noreturn void ap_main(struct pcpu *cpu)
{
	cpu_tables_init(cpu);
	cpu_init_features();
	if (!lapic_init_other())
		smp_report(cpu, "its local APIC is in another mode than the first CPU's");
	if (lapic_id() != cpu->apic_id)
		smp_report(cpu, "its APIC ID is not the one that the ACPI tables give");
	state_set(cpu, PCPU_ANSWERED);
	tsc_answer(cpu);
	wait_told(cpu, PCPU_IN_STEP);
	host.run(cpu);
	halt_for_good();
}

/* ---- On the first CPU ------------------------------------------------------------------------------------------- */

static struct ap_params *params_at(u8 *page)
{
	return (struct ap_params *)(page + (ap_params - ap_trampoline));
}

static void trampoline_fill(u8 *page)
{
	u32 base = (u32)host.low_page;
	struct ap_params *p = params_at(page);

	memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	p->gdt.base = base + (u32)(ap_gdt - ap_trampoline);
	p->far_32bit = base + (u32)(ap_32bit - ap_trampoline);
	p->far_64bit = base + (u32)(ap_64bit - ap_trampoline);
	p->early_cr3 = host_pa(early_pml4);
	p->cr3 = host_pa(host.pt.root);
	p->entry = (u64)ap_start;
}

/* The next one's place: kept if the CPU for which it was made does not come. */
static struct pcpu *cpu_create(void)
{
	struct pcpu *cpu = host_page_zalloc();

	_Static_assert(sizeof(struct pcpu) <= PAGE_SIZE, "one page");
	if (!cpu)
		return NULL;
	pcpu_init(cpu, HOST_CPUS_MAX);
	if (paging_map_stacks(cpu)) {
		host_page_free(cpu);
		return NULL;
	}
	return cpu;
}

static void tell(struct pcpu *cpu, enum pcpu_state state)
{
	state_set(cpu, state);
	lapic_ipi(cpu->apic_id, IRQ_VECTOR_KICK);
}

/* NULL, or why it cannot be used. */
static const char *cpu_call(struct pcpu *cpu, u8 *page)
{
	struct ap_params *p = params_at(page);

	p->cpu = (u64)cpu;
	__atomic_store_n(&p->stack, (u64)(&cpu->stacks->mem + 1), __ATOMIC_RELEASE);
	lapic_startup_ipi(cpu->apic_id, (u8)(host.low_page >> PAGE_SHIFT));
	if (!wait_leaves(cpu, PCPU_CALLED, STARTUP_WAIT_US))
		lapic_startup_ipi(cpu->apic_id, (u8)(host.low_page >> PAGE_SHIFT));
	if (!wait_leaves(cpu, PCPU_CALLED, ANSWER_WAIT_US)) {
		/* Lest it comes when nobody waits for it any more. */
		lapic_init_ipi(cpu->apic_id);
		__atomic_store_n(&p->stack, 0, __ATOMIC_RELEASE);
		return "it does not answer";
	}
	if (state_get(cpu) == PCPU_ANSWERED) {
		if (!tsc_agrees(cpu)) {
			lapic_init_ipi(cpu->apic_id);
			return "its time-stamp counter is not in step with the first CPU's";
		}
		tell(cpu, PCPU_IN_STEP);
	}
	if (!wait_leaves(cpu, PCPU_IN_STEP, REPORT_WAIT_US))
		return "it does not come to its end of the start";
	return state_get(cpu) == PCPU_UNFIT ? cpu->unfit : NULL;
}

static void cpu_accept(struct pcpu *cpu)
{
	cpu->number = host.cpus;
	host.cpu[cpu->number] = cpu;
	/* Whoever stops all CPUs counts on those in host.cpu[]. */
	__atomic_store_n(&host.cpus, host.cpus + 1, __ATOMIC_RELEASE);
	tell(cpu, PCPU_ACCEPTED);
}

static void cpus_call(u8 *page)
{
	struct pcpu *cpu = NULL;

	for (unsigned i = 0; i < host.acpi.cpus; i++) {
		u32 id = host.acpi.cpu[i];
		const char *why;

		if (id == host.boot_cpu.apic_id)
			continue;
		if (!cpu)
			cpu = cpu_create();
		if (!cpu) {
			log_warn("there is too little memory for more than %u CPUs", host.cpus);
			return;
		}
		cpu->apic_id = id;
		why = cpu_call(cpu, page);
		if (why)
			log_warn("the CPU with APIC ID %u is left out: %s", id, why);
		else
			cpu_accept(cpu);
		/* One that has come has its place for good. */
		if (state_get(cpu) != PCPU_CALLED)
			cpu = NULL;
	}
}

static bool x2apic_missing(void)
{
	for (unsigned i = 0; i < host.acpi.cpus; i++) {
		if (host.lapic.mmio && host.acpi.cpu[i] >= 0xff)
			return true;
	}
	return false;
}

void smp_start(void (*run)(struct pcpu *cpu))
{
	u8 saved[512], *page = host_va(host.low_page);
	size_t size = (size_t)(ap_trampoline_end - ap_trampoline);
	u64 before;

	host.run = run;
	if (host.acpi.cpus_dropped)
		log_warn("%u CPUs more than the %u that Havoc uses are left out",
			 host.acpi.cpus_dropped, HOST_CPUS_MAX);
	if (host.acpi.cpus < 2)
		return;
	if (!host.low_page || x2apic_missing()) {
		log_warn(
			host.low_page ?
				"the CPUs have APIC IDs above 254 but no x2APIC: only the first is used" :
				"no memory below 640 KiB is free: only the first CPU is used");
		return;
	}
	before = host_mem_free_bytes();
	hv_assert(size <= sizeof(saved));
	memcpy(saved, page, size);
	trampoline_fill(page);
	for (unsigned i = 0; i < host.acpi.cpus; i++) {
		if (host.acpi.cpu[i] != host.boot_cpu.apic_id)
			lapic_init_ipi(host.acpi.cpu[i]);
	}
	wait_us(INIT_WAIT_US);
	cpus_call(page);
	memcpy(page, saved, size);
	log_debug("%u CPUs more take %llu KiB", host.cpus - 1,
		  (unsigned long long)(before - host_mem_free_bytes()) >> 10);
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

_Noreturn void smp_stop_here(void)
{
	/* In VMX operation a CPU blocks INIT, by which some machines reset: SDM vol. 3 "Restrictions on VMX Operation". */
	if (state_get(pcpu_here()) == PCPU_ACCEPTED) {
		if (host.virtualisation_off)
			host.virtualisation_off();
		__atomic_fetch_add(&host.stopped, 1, __ATOMIC_RELEASE);
	}
	halt_for_good();
}

void smp_stop_others(void)
{
	if (__atomic_exchange_n(&host.stopping, 1, __ATOMIC_ACQ_REL)) {
		/* Another CPU has begun to end the machine, or this one has, before. */
		if (host.stopper != pcpu_here())
			halt_for_good();
		return;
	}
	host.stopper = pcpu_here();
	if (host.cpus < 2)
		return;
	lapic_nmi_others();
	for (unsigned n = 0; n < STOP_WAIT_READS; n++) {
		if (__atomic_load_n(&host.stopped, __ATOMIC_ACQUIRE) >= host.cpus - 1)
			return;
		(void)inb(0x80);
	}
}
