/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables of root mode, and where its exceptions and interrupts go. Called by boot/main.c once and by
 * trap.S. No exception is expected but the #GP of an MSR that does not exist; any other one is our own mistake, and
 * ends in panic.c. SDM vol. 3 "Interrupt and Exception Handling"; APM vol. 2 "Exceptions and Interrupts".
 */
#include "arch/host/host.h"

#include <arch/cpu.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/host.h>

/* Where an instruction's #GP is expected, and where to go on: offsets from LAYOUT_IMAGE_VA. */
struct extable_row {
	u32 from, to;
};
extern const struct extable_row extable_start[], extable_end[];

/* A stack overflow is a #PF at a guard page: it needs another stack as #DF does. */
static const u8 ist_of_vector[32] = {
	[VEC_NMI] = IST_NMI, [VEC_DF] = IST_DF, [VEC_MC] = IST_MC, [VEC_PF] = IST_PF};

static void idt_fill(void)
{
	for (unsigned v = 0; v < IRQ_VECTORS; v++) {
		u64 entry = v < IRQ_VECTOR_FIRST ?
				    (u64)trap_stubs + (u64)v * TRAP_STUB_SIZE :
				    (u64)irq_stubs + (u64)(v - IRQ_VECTOR_FIRST) * IRQ_STUB_SIZE;

		host.idt[v] = (struct idt_gate){
			.offset_low = (u16)entry,
			.selector = SEL_CODE,
			.ist = v < ARRAY_SIZE(ist_of_vector) ? ist_of_vector[v] : 0,
			.attr = GATE_INTERRUPT,
			.offset_mid = (u16)(entry >> 16),
			.offset_high = (u32)(entry >> 32),
		};
	}
}

static void gdt_fill(struct pcpu *cpu)
{
	u64 base = (u64)&cpu->tss, limit = sizeof(cpu->tss) - 1;

	cpu->gdt[SEL_CODE / 8] = GDT_CODE64;
	cpu->gdt[SEL_DATA / 8] = GDT_DATA;
	/* Available 64-bit TSS, present. */
	cpu->gdt[SEL_TSS / 8] = limit | (base & 0xffffff) << 16 | 0x89ULL << 40 |
				(base >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = base >> 32;
}

void cpu_tables_init(struct pcpu *cpu)
{
	struct desc_ptr gdtr = {sizeof(cpu->gdt) - 1, (u64)cpu->gdt};
	struct desc_ptr idtr = {sizeof(host.idt) - 1, (u64)host.idt};

	for (unsigned i = 0; i < IST_COUNT; i++)
		cpu->tss.ist[i] = (u64)(&cpu->stacks->ist[i] + 1);
	cpu->tss.rsp[0] = (u64)(&cpu->stacks->mem + 1);
	cpu->tss.iomap = sizeof(cpu->tss);
	gdt_fill(cpu);
	if (cpu->number == 0)
		idt_fill();
	lgdt(&gdtr);
	load_segments(SEL_CODE, SEL_DATA);
	/* A null selector clears the base on some CPUs and keeps it on others. */
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, (u64)cpu);
	lldt(0);
	ltr(SEL_TSS);
	lidt(&idtr);
}

void host_cpu_state_get(struct host_cpu_state *out)
{
	struct pcpu *cpu = pcpu_here();

	*out = (struct host_cpu_state){
		.cr0 = read_cr0(),
		.cr3 = read_cr3(),
		.cr4 = read_cr4(),
		.efer = rdmsr(MSR_EFER),
		.pat = rdmsr(MSR_PAT),
		.fs_base = rdmsr(MSR_FS_BASE),
		.gs_base = rdmsr(MSR_GS_BASE),
		.tr_base = (u64)&cpu->tss,
		.gdt_base = (u64)cpu->gdt,
		.idt_base = (u64)host.idt,
		.cs = SEL_CODE,
		.ss = SEL_DATA,
		.ds = SEL_DATA,
		.es = SEL_DATA,
		.tr = SEL_TSS,
	};
}

static bool extable_fixup(struct trap_frame *f)
{
	const struct extable_row *row;

	for (row = extable_start; row < extable_end; row++) {
		if (f->rip == LAYOUT_IMAGE_VA + row->from) {
			f->rip = LAYOUT_IMAGE_VA + row->to;
			return true;
		}
	}
	return false;
}

static void irq_service(struct pcpu *cpu, u8 vector)
{
	switch (vector) {
	case IRQ_VECTOR_TIMER:
		timer_interrupt(cpu);
		break;
	case IRQ_VECTOR_CONSOLE:
		console_interrupt();
		break;
	case IRQ_VECTOR_KICK:
		break;
	case IRQ_VECTOR_APIC_ERROR:
		cpu->apic_errors++;
		break;
	case IRQ_VECTOR_SPURIOUS: /* it is in service nowhere */
		cpu->stray_irqs++;
		return;
	default:
		cpu->stray_irqs++;
		if (!lapic_in_service(vector))
			return;
		break;
	}
	lapic_eoi();
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector >= IRQ_VECTOR_FIRST) {
		irq_service(pcpu_here(), (u8)f->vector);
		return;
	}
	if (f->vector == VEC_NMI) {
		if (__atomic_load_n(&host.stopping, __ATOMIC_ACQUIRE))
			smp_stop_here();
		pcpu_here()->nmis++;
		return;
	}
	if (f->vector == VEC_GP && extable_fixup(f))
		return;
	panic_trap(f);
}

void host_irq_service(unsigned cpu, u8 vector)
{
	irq_service(host.cpu[cpu], vector);
}
