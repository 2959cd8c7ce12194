/* SPDX-License-Identifier: MIT */
/* Micro guests with several CPUs: start, stacks, barriers. See smp.h. SDM vol. 3 "MP Initialization Protocol Algorithm". */
#include "smp.h"

#define STACK_SIZE   4096
#define VEC_RELAX    0xf7
#define RELAX_COUNT  100000 /* of the local APIC's timer: nanoseconds */
#define RELAX_MAX    7 /* doublings: an emulator takes long for an exit, and many wait at once */
#define HANG_SECONDS 60

extern const u8 smp_code[], smp_code_end[], smp_code_cr3[], smp_code_main[], smp_code_stacks[];
void smp_main(unsigned cpu);

volatile unsigned smp_starts[SMP_MAX];
static u8 stacks[SMP_MAX][STACK_SIZE] aligned(4096);
static unsigned cpus;
static smp_fn *entered;
static struct desc_ptr idt;

/* Real mode, at SMP_TRAMPOLINE. The stack is found by the APIC ID: several come through here at once. */
__asm__(".pushsection .rodata\n"
	".code16\n"
	"smp_code: cli\n"
	"	xor %ax, %ax\n"
	"	mov %ax, %ds\n"
	"	lgdtl 0x8000 + smp_code_gdtr - smp_code\n"
	"	mov $0x20, %eax\n"
	"	mov %eax, %cr4\n"
	"	mov 0x8000 + smp_code_cr3 - smp_code, %eax\n"
	"	mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	or $0x900, %eax\n"
	"	wrmsr\n"
	"	mov $0x80010001, %eax\n"
	"	mov %eax, %cr0\n"
	"	ljmpl $8, $0x8000 + smp_code_long - smp_code\n"
	".code64\n"
	"smp_code_long: mov $0x10, %eax\n"
	"	mov %eax, %ss\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov $1, %eax\n"
	"	cpuid\n"
	"	shr $24, %ebx\n"
	"	mov %ebx, %edi\n"
	"	inc %ebx\n"
	"	shl $12, %ebx\n"
	"	mov smp_code_stacks(%rip), %rsp\n"
	"	add %rbx, %rsp\n"
	"	mov smp_code_main(%rip), %rax\n"
	"	call *%rax\n"
	"smp_code_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
	"smp_code_gdtr: .word 23\n"
	"	.long 0x8000 + smp_code_gdt - smp_code\n"
	"smp_code_cr3: .quad 0\n"
	"smp_code_stacks: .quad 0\n"
	"smp_code_main: .quad 0\n"
	"smp_code_end: .popsection\n");

static u64 *at(const u8 *symbol)
{
	return (u64 *)(SMP_TRAMPOLINE + (u64)(symbol - smp_code));
}

static void relaxed(struct frame *f)
{
	(void)f;
	apic_eoi();
}

void smp_main(unsigned cpu)
{
	struct desc_ptr g = {sizeof(gdt) - 1, (u64)gdt};

	lgdt(&g);
	load_segments(SEL_CODE64, SEL_DATA);
	lidt(&idt);
	apic_enable();
	__atomic_fetch_add(&smp_starts[cpu], 1, __ATOMIC_SEQ_CST);
	entered(cpu);
	cli();
	for (;;)
		hlt();
}

void smp_init(unsigned count, smp_fn *fn)
{
	cpus = count;
	entered = fn;
	sidt(&idt);
	(void)tsc_hz(); /* now, while no other CPU's turn comes in between */
	apic_enable();
	trap_handlers[VEC_RELAX] = relaxed;
	memory_copy((void *)SMP_TRAMPOLINE, smp_code, (u64)(smp_code_end - smp_code));
	*at(smp_code_cr3) = read_cr3();
	*at(smp_code_stacks) = (u64)stacks;
	*at(smp_code_main) = (u64)smp_main;
}

void smp_start(unsigned cpu)
{
	unsigned want = smp_starts[cpu] + 1;

	apic_icr(cpu, ICR_INIT);
	apic_icr(cpu, ICR_SIPI);
	check(smp_wait(&smp_starts[cpu], want), "CPU %u does not start", cpu);
}

void smp_start_all(void)
{
	unsigned i;

	apic_icr(0, ICR_OTHERS | ICR_INIT);
	apic_icr(0, ICR_OTHERS | ICR_SIPI);
	for (i = 1; i < cpus; i++)
		check(smp_wait(&smp_starts[i], 1), "CPU %u does not start", i);
}

unsigned smp_cpu(void)
{
	u64 offset = read_rsp() - (u64)stacks;

	return offset < sizeof(stacks) ? (unsigned)(offset / STACK_SIZE) : 0;
}

/*
 * By a periodic timer, because its first interrupt may come before the HLT: when a host's interrupt makes the guest exit in STI's shadow,
 * QEMU's VMRUN does not take the shadow up again, as a CPU would.
 */
static void relax(unsigned doublings)
{
	apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, VEC_RELAX | APIC_LVT_PERIODIC);
	apic_write(APIC_TIMER_COUNT, RELAX_COUNT << doublings);
	sti_hlt_cli();
	apic_write(APIC_TIMER_COUNT, 0);
}

void smp_relax(void)
{
	relax(0);
}

bool smp_wait(volatile unsigned *word, unsigned count)
{
	u64 ticks = HANG_SECONDS * tsc_hz(), start = rdtsc();
	unsigned doublings = 0;

	while (*word < count) {
		if (rdtsc() - start > ticks)
			return false;
		relax(doublings);
		doublings += doublings < RELAX_MAX;
	}
	return true;
}

void smp_barrier(void)
{
	static volatile unsigned arrived;
	unsigned mine = __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);

	check(smp_wait(&arrived, (mine / cpus + 1) * cpus), "CPU %u waits at a barrier", smp_cpu());
}

/* The runtime knows one mode for all: nobody may use its APIC until all have changed theirs. */
void smp_use_x2apic(void)
{
	static volatile unsigned ready, changed;

	smp_barrier();
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (ready < cpus) /* the last one has left the barrier's HLT */
		pause_cpu();
	apic_use_x2apic();
	__atomic_fetch_add(&changed, 1, __ATOMIC_SEQ_CST);
	while (changed < cpus)
		pause_cpu();
}

unsigned smp_random(unsigned below)
{
	static u32 seed[SMP_MAX];
	u32 *s = &seed[smp_cpu()];

	/* Numerical Recipes' constants; the high bits are the better ones. */
	*s = *s * 1664525 + 1013904223 + smp_cpu();
	return (*s >> 8) % below;
}
