/* SPDX-License-Identifier: MIT */
/*
 * Virtual-8086 mode under a monitor of the guest's own, with paging: CPUID, permitted port I/O, a string output and a device in memory
 * are carried out with 16-bit segments; whatever a CPU forbids there comes to the monitor as #GP(0); an interrupt is taken out of it.
 * SDM vol. 3 "8086 Emulation".
 */
#include "micro.h"

void v86_run(void);
extern u8 v86_start[], v86_end[], v86_gp[], v86_irq[], v86_int21[], v86_other[];

/* Copied to 0x8000: CS 0x700, DS and SS 0x800, ES 0xb000, where the page tables put the local APIC. */
#define DATA        0x8000ULL
#define RESULT(off) read32(DATA + (off))
#define VECTOR      0x60

/* What the monitor writes down. */
struct fault {
	u32 opcode, error, flags;
};
volatile struct fault v86_fault[16];
volatile u32 v86_faults, v86_irqs, v86_irq_flags, v86_irq_cs, v86_int21s, v86_int21_flags,
	v86_int21_ip, v86_unexpected;
volatile u32 v86_cr3, v86_flags, v86_ip, v86_esp;
struct desc_ptr v86_idt_ptr;

/*
 * The monitor's handlers find: what PUSHA has pushed, error code, EIP, CS, EFLAGS, ESP, SS. HLT ends the run; after others the guest goes on behind the
 * instruction.
 */
__asm__(".pushsection .text\n"
	".code32\n"
	".globl v86_run, v86_gp, v86_irq, v86_int21, v86_other, v86_start, v86_end\n"
	"v86_run:\n"
	"	lidt v86_idt_ptr\n"
	"	mov $0x50, %eax; ltr %ax\n"                                           /* SEL_TEST */
	"	mov $0x10, %eax; mov %eax, %cr4; mov v86_cr3, %eax; mov %eax, %cr3\n" /* PSE */
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	movl $0x40060, 0xfee00300\n" /* taken when the flags are loaded */
	"	mov %esp, v86_esp\n"
	"	push $0; push $0; push $0x800; push $0xb000; push $0x800; push $0xe00\n"
	"	push v86_flags; push $0x700; push v86_ip\n"
	"	iret\n"
	"v86_end_run:\n"
	"	mov v86_esp, %esp\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0; xor %eax, %eax; mov %eax, %cr4\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es\n"
	"	ret\n"
	"v86_gp:\n"
	"	pusha; mov $0x10, %eax; mov %eax, %ds\n"
	"	mov v86_faults, %edi; incl v86_faults; and $15, %edi; imul $12, %edi, %edi; lea v86_fault(%edi), %edi\n"
	"	mov 40(%esp), %ebx; shl $4, %ebx; add 36(%esp), %ebx; movzbl (%ebx), %eax; mov %eax, (%edi)\n"
	"	mov 32(%esp), %ecx; mov %ecx, 4(%edi); mov 44(%esp), %ecx; mov %ecx, 8(%edi)\n"
	"	cmp $0xf4, %eax; je v86_end_run\n"
	"	mov $3, %ecx; cmp $0x0f, %eax; je 1f\n" /* MOV from CR0; RDMSR and a NOP */
	"	mov $2, %ecx; cmp $0xcd, %eax; je 1f\n"
	"	mov $1, %ecx\n"
	"1:	add %ecx, 36(%esp); popa; add $4, %esp; iret\n"
	"v86_irq:\n"
	"	push %eax; mov $0x10, %eax; mov %eax, %ds\n"
	"	incl v86_irqs; mov 8(%esp), %eax; mov %eax, v86_irq_cs; mov 12(%esp), %eax; mov %eax, v86_irq_flags\n"
	"	movl $0, 0xfee000b0; pop %eax; iret\n"
	"v86_int21:\n"
	"	push %eax; mov $0x10, %eax; mov %eax, %ds\n"
	"	incl v86_int21s; mov 4(%esp), %eax; mov %eax, v86_int21_ip; mov 12(%esp), %eax; mov %eax, v86_int21_flags\n"
	"	pop %eax; iret\n"
	"v86_other:\n"
	"	mov $0x10, %eax; mov %eax, %ds; incl v86_unexpected; jmp v86_end_run\n"
	".code16\n"
	"v86_start:\n"
	"	mov %cs, %ax; mov %ax, 0xf00\n"
	"	mov $0x40000100, %eax; xor %ecx, %ecx; cpuid; mov %ebx, 0xf04\n"
	"	mov $0x3ff, %dx; mov $0x5a, %al; out %al, %dx; xor %eax, %eax; in %dx, %al; mov %eax, 0xf08\n"
	"	mov $0xf40, %si; outsb; xor %eax, %eax; in %dx, %al; mov %eax, 0xf0c\n"
	"	mov %es:0x30, %eax; mov %eax, 0xf10\n"
	"	movl $0x20, %es:0x80; mov $0x80, %bx; mov %es:(%bx), %eax; mov %eax, 0xf14; movl $0, %es:0x80\n"
	"	push %es:0x30; pop %ax; movzwl %ax, %eax; mov %eax, 0xf18; mov %sp, 0xf1c\n"
	"	mov $0x64, %dx; out %al, %dx\n"   /* 0: denied by the bitmap */
	"	mov $0x1234, %dx; out %al, %dx\n" /* 1: beyond it */
	"	int $0x21\n"                      /* 2 */
	"	mov %cr0, %eax\n"                 /* 3 */
	"	rdmsr; nop\n"                     /* 4 */
	"	cli\n"                            /* 5 */
	"	pushf\n"                          /* 6 */
	"	hlt\n"                            /* 7 */
	"v86_iopl3:\n"
	"	cli; sti\n"
	"	int $0x21\n"
	"v86_behind:\n"
	"	hlt\n"
	".code64\n"
	"v86_end:\n"
	".globl v86_iopl3, v86_behind\n"
	".popsection");
extern u8 v86_iopl3[], v86_behind[];

static struct {
	u32 link, esp0, ss0, rest[22];
	u16 trap, iomap;
	u8 bitmap[129];
} packed tss32 aligned(256);

static struct gate32 {
	u16 low, selector;
	u8 zero, type;
	u16 high;
} packed idt32[256];

static void gate(unsigned vector, const u8 *entry, u8 type)
{
	u32 at = (u32)(u64)entry;

	idt32[vector] = (struct gate32){(u16)at, SEL_CODE32, 0, type, (u16)(at >> 16)};
}

static void build_tables(void)
{
	static u8 monitor_stack[4096] aligned(16);
	u64 tss = (u64)&tss32;
	u32 *pd = page_alloc(), *pt = page_alloc();
	unsigned i;

	for (i = 0; i < 256; i++)
		gate(i, v86_other, 0x8e);
	gate(VEC_GP, v86_gp, 0x8e);
	gate(VECTOR, v86_irq, 0x8e);
	gate(0x21, v86_int21, 0xee);
	v86_idt_ptr = (struct desc_ptr){sizeof(idt32) - 1, (u64)idt32};
	tss32.esp0 = (u32)(u64)monitor_stack + sizeof(monitor_stack);
	tss32.ss0 = SEL_DATA;
	tss32.iomap = 104;
	memory_set(tss32.bitmap, 0xff, sizeof(tss32.bitmap));
	tss32.bitmap[0x3f8 / 8] = 0;
	gdt[10] = (tss & 0xffffff) << 16 | (tss >> 24) << 56 | 0x890000000000ULL |
		  (sizeof(tss32) - 1);
	for (i = 0; i < 1024; i++) {
		pd[i] = i << 22 | 0x87;
		pt[i] = i << 12 | 7;
	}
	pd[0] = (u32)(u64)pt | 7;
	pt[0xb0] = (u32)LAPIC | 7;
	v86_cr3 = (u32)(u64)pd;
}

static void run(const u8 *from, u32 flags)
{
	gdt[10] &= ~BIT(41); /* not busy */
	v86_faults = v86_irqs = v86_int21s = 0;
	v86_ip = 0x1000 + (u32)(from - v86_start);
	v86_flags = flags;
	protected_run(v86_run);
	check_equal("other exceptions", v86_unexpected, 0);
	check_equal("interrupts", v86_irqs, 1);
	check_equal("EFLAGS.VM where the interrupt came", v86_irq_flags & RFLAGS_VM, RFLAGS_VM);
	check_equal("CS where it came", v86_irq_cs, 0x700);
}

static void check_faults(void)
{
	static const struct {
		const char *what;
		u32 opcode;
	} wanted[] = {
		{"OUT to a denied port", 0xee},
		{"OUT beyond the bitmap", 0xee},
		{"INT n", 0xcd},
		{"MOV from CR0", 0x0f},
		{"RDMSR", 0x0f},
		{"CLI", 0xfa},
		{"PUSHF", 0x9c},
		{"HLT", 0xf4},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(wanted) && i < v86_faults; i++) {
		check(v86_fault[i].opcode == wanted[i].opcode,
		      "#GP %u is that of opcode 0x%x, not %s", i, v86_fault[i].opcode,
		      wanted[i].what);
		check(v86_fault[i].error == 0, "%s: error code 0x%x", wanted[i].what,
		      v86_fault[i].error);
		check(v86_fault[i].flags & RFLAGS_VM, "%s: EFLAGS 0x%x", wanted[i].what,
		      v86_fault[i].flags);
	}
	check_equal("the number of #GP", v86_faults, ARRAY_SIZE(wanted));
}

void test(void)
{
	u32 r[4], version = apic_read(APIC_VERSION);

	check(cmos_read(CMOS_STAGE) == 0, "the guest was restarted: it met a triple fault");
	cmos_write(CMOS_STAGE, 1);
	apic_enable();
	cpuid_count(0x40000100, 0, r);
	build_tables();
	memory_copy((void *)DATA, v86_start, (u64)(v86_end - v86_start));
	memory_set((void *)(DATA + 0xf00), 0, 0x40);
	write8(DATA + 0xf40, 0xa5);
	run(v86_start, RFLAGS_VM | RFLAGS_IF | RFLAGS_ONE);
	check_equal("CS", RESULT(0xf00), 0x700);
	check_equal("CPUID", RESULT(0xf04), r[CPUID_EBX]);
	check_equal("the UART's scratch register", RESULT(0xf08), 0x5a);
	check_equal("the same after OUTS", RESULT(0xf0c), 0xa5);
	check_equal("the local APIC's version", RESULT(0xf10), version);
	check_equal("TPR", RESULT(0xf14), 0x20);
	check_equal("PUSH from the device", RESULT(0xf18), version & 0xffff);
	check_equal("SP after it", RESULT(0xf1c), 0xe00);
	check_faults();
	/* With IOPL 3, INT n goes through a gate of privilege 3, and CLI and STI are the CPU's. */
	run(v86_iopl3, RFLAGS_VM | RFLAGS_IF | 0x3000 | RFLAGS_ONE);
	check_equal("IOPL 3: #GP", v86_faults, 1);
	check_equal("IOPL 3: INT 0x21", v86_int21s, 1);
	check_equal("IOPL 3: its return address", v86_int21_ip,
		    0x1000 + (u32)(v86_behind - v86_start));
	check_equal("IOPL 3: EFLAGS.VM there", v86_int21_flags & RFLAGS_VM, RFLAGS_VM);
}
