/* SPDX-License-Identifier: MIT */
/*
 * Protected mode with 16-bit segments of bases of their own, for code, data and stack, without paging and in long mode's compatibility mode:
 * CPUID, port I/O, string I/O and a device in memory are reached through them; a push moves SP alone and a string instruction SI alone.
 * SDM vol. 3 "Mixing 16-Bit and 32-Bit Code", vol. 1 "Address-Size Attribute for Stack".
 */
#include "micro.h"

void p16_from_32(void);
void p16_from_64(void);
extern u8 p16_code[];

/* Selectors of the test's own GDT; the first ten are as in the usual one. */
#define SEL_CODE  0x50
#define SEL_STACK 0x58 /* data too */
#define SEL_APIC  0x60

static u64 own_gdt[13];
struct desc_ptr p16_gdt, p16_usual_gdt;

/* Through the data segment, by offset. */
static struct {
	u32 esp;
	u16 ss, pad;
	u32 ebx, scratch, scratch_outs, version, tpr;
	u32 esp_push32, push32, esp_push16, push16;
	u32 lods, esi;
	u8 string[4];
	u8 stack[4096 - 56];
} packed p16 aligned(4096);

__asm__(".pushsection .text\n"
	".globl p16_from_32, p16_from_64, p16_code\n"
	".code16\n"
	"p16_code:\n"
	"	mov $0x58, %ax; mov %ax, %ds; mov %esp, 0; mov %ss, 4\n"
	"	mov %ax, %ss; mov $0xdead0ff0, %esp; mov $0x60, %ax; mov %ax, %es\n"
	"	mov $0x40000100, %eax; xor %ecx, %ecx; cpuid; mov %ebx, 8\n"
	"	mov $0x3ff, %dx; mov $0x69, %al; out %al, %dx; xor %eax, %eax; in %dx, %al; mov %eax, 12\n"
	"	mov $52, %si; outsb; xor %eax, %eax; in %dx, %al; mov %eax, 16\n"
	"	mov %es:0x1030, %eax; mov %eax, 20\n"
	"	mov $0x1000, %bp; movl $0x30, %es:0x80(%bp); mov $0x80, %di; mov %es:(%bp, %di), %eax; mov %eax, 24\n"
	"	movl $0, %es:0x1080\n"
	"	pushl %es:0x1030; mov %esp, 28; popl 32\n"
	"	pushw %es:0x1030; mov %esp, 36; popw 40\n"
	"	mov $0xbeef1030, %esi; mov %es, %ax; mov %ax, %ds; lodsl; mov $0x58, %bx; mov %bx, %ds\n"
	"	mov %eax, 44; mov %esi, 48\n"
	"	mov 0, %esp; mov 4, %ss\n"
	"	lretl\n"
	".code32\n"
	"p16_from_32:\n"
	"	lgdt p16_gdt\n"
	"	lcall $0x50, $0\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	ret\n"
	".code64\n"
	"p16_from_64:\n"
	"	push %rbx; push %rbp; push %rsi; push %rdi\n"
	"	lgdt p16_gdt\n"
	"	lcall *p16_pointer\n"
	"	mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss\n"
	"	lgdt p16_usual_gdt\n"
	"	pop %rdi; pop %rsi; pop %rbp; pop %rbx\n"
	"	ret\n"
	".popsection\n"
	".pushsection .data\n"
	"p16_pointer: .long 0; .word 0x50\n"
	".popsection");

static u64 segment(u64 base, u64 limit, u64 type)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | type << 40 | (limit >> 16) << 48 |
	       (base >> 24) << 56;
}

static void run(const char *from, bool long_mode)
{
	u32 version = apic_read(APIC_VERSION), r[4];

	cpuid_count(0x40000100, 0, r);
	memory_set(&p16, 0, sizeof(p16));
	p16.string[0] = 0x96;
	if (long_mode)
		p16_from_64();
	else
		protected_run(p16_from_32);
	check(p16.ebx == r[CPUID_EBX], "%s: CPUID gives 0x%x", from, p16.ebx);
	check(p16.scratch == 0x69, "%s: the scratch register is 0x%x", from, p16.scratch);
	check(p16.scratch_outs == 0x96, "%s: OUTS has written 0x%x", from, p16.scratch_outs);
	check(p16.version == version, "%s: the local APIC's version is 0x%x", from, p16.version);
	check(p16.tpr == 0x30, "%s: TPR is 0x%x", from, p16.tpr);
	check(p16.push32 == version, "%s: PUSH of 32 bits gives 0x%x", from, p16.push32);
	check(p16.esp_push32 == 0xdead0fec, "%s: and ESP 0x%x", from, p16.esp_push32);
	check(p16.push16 == (version & 0xffff), "%s: PUSH of 16 bits gives 0x%x", from, p16.push16);
	check(p16.esp_push16 == 0xdead0fee, "%s: and ESP 0x%x", from, p16.esp_push16);
	check(p16.lods == version, "%s: LODS gives 0x%x", from, p16.lods);
	check(p16.esi == 0xbeef1034, "%s: and ESI 0x%x", from, p16.esi);
}

void test(void)
{
	check(cmos_read(CMOS_STAGE) == 0, "the guest was restarted: it met a triple fault");
	cmos_write(CMOS_STAGE, 1);
	memory_copy(own_gdt, gdt, 10 * 8);
	own_gdt[SEL_CODE / 8] = segment((u64)p16_code, 0xfff, 0x9b);
	own_gdt[SEL_STACK / 8] = segment((u64)&p16, 0xfff, 0x93);
	own_gdt[SEL_APIC / 8] = segment(LAPIC - 0x1000, 0x1fff, 0x93);
	p16_gdt = (struct desc_ptr){sizeof(own_gdt) - 1, (u64)own_gdt};
	sgdt(&p16_usual_gdt);
	run("protected mode", false);
	run("compatibility mode", true);
}
