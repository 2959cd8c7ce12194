/* SPDX-License-Identifier: MIT */
/*
 * Hardware task switches in 32-bit protected mode with paging, and with PAE: JMP, CALL and IRET, task gates in the GDT and the IDT, by INT n,
 * INT3, an interrupt, NMIs, and exceptions with and without an error code, #DF among them; into 16-bit TSSs, ring 3 and virtual-8086 mode; the T
 * bit; and tasks that cannot be entered. What is saved, loaded and linked is as the manuals say, and each event comes once. SDM vol. 3
 * "Task Management".
 *
 * BACKENDS: svm svm-bochs vmx
 * (QEMU's SVM lets the CPU switch tasks by itself, Bochs' and VMX do not.)
 */
#include "micro.h"

struct tss32 {
	u16 link, res0;
	u32 stacks[6];
	u32 cr3, eip, eflags;
	u32 gpr[8];
	struct {
		u16 sel, res;
	} seg[6];
	u16 ldt, res1;
	u16 trap, iomap;
} packed;

struct tss16 {
	u16 link, stacks[6];
	u16 ip, flags, gpr[8], seg[4], ldt;
} packed;

/* What a task finds: filled by DUMP. */
struct regs {
	u32 gpr[8], eflags, seg[6], ldt, tr;
	u32 cr0, cr2, cr3, dr6, dr7;
	u32 window;
	u32 main_type, task_type; /* the TSSs' descriptors, bits 32-63 */
};

enum { ES, CS, SS, DS, FS, GS };
enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };

/* My GDT; up to CODE32 as the runtime's. */
#define CODE32    0x18
#define UCODE     0x23
#define UDATA     0x2b
#define CODE_LOW  0x30 /* code at task16_entry */
#define STACK16   0x38
#define LDT       0x40
#define TASK_GATE 0x48 /* to TASK */
#define MAIN      0x50
#define TASK      0x58
#define TASK16    0x60
#define ABSENT_C  0x68
#define ABSENT_D  0x70
#define DATA_RO   0x78
#define HANDLERS  0x80 /* from here: a task per vector */

static const u8 vectors[] = {VEC_DB, VEC_NMI, VEC_BP, VEC_DF, VEC_TS, VEC_NP,
			     VEC_SS, VEC_GP,  VEC_PF, 0x90,   0x92};
#define VECTORS ARRAY_SIZE(vectors)

#define WINDOW   0x80000000ULL
#define NOWHERE  0x90000000ULL
#define IN_MAIN  0x600d0001
#define IN_TASK  0x600d0002
#define BAD_SEL  0x1234
#define TASK_ESP 0xff0

volatile struct regs seen, back;
volatile u32 entries, leave_by_jmp, fix_eip, send_eoi, paging_cr4, main_cr3, user_cs, user_ss;
volatile u16 bad_selector = BAD_SEL;
void (*volatile action)(void);
u64 my_gdt[64] aligned(16), my_idt[256] aligned(16), my_ldt[2] aligned(16);
struct tss32 main_tss aligned(128), task_tss aligned(128), handler_tss[VECTORS] aligned(128);
struct tss16 task16_tss aligned(128);
static struct tss16 *volatile behind_task16 = &task16_tss + 1;
struct {
	u16 limit;
	u32 base;
} packed my_gdt_pointer, my_idt_pointer;

void task_code(void);
void task_entry(void);
void task16_entry(void);
void user_entry(void);
extern u8 v86_start[], v86_end[];

#define ACTION(name)                                                                               \
	void act_##name(void);                                                                     \
	void act_##name##_end(void)
ACTION(jmp);
ACTION(jmp_memory);
ACTION(call);
ACTION(call_memory);
ACTION(call_gate);
ACTION(call16);
ACTION(int);
ACTION(int3);
ACTION(gp);
ACTION(pf);
ACTION(ud);
ACTION(interrupt);
ACTION(nmi);
ACTION(iret);
ACTION(jmp_twice);

__asm__(".pushsection .text\n"
	".macro DUMP to\n"
	"	mov %eax, \\to; mov %ecx, \\to + 4; mov %edx, \\to + 8; mov %ebx, \\to + 12\n"
	"	mov %esp, \\to + 16; mov %ebp, \\to + 20; mov %esi, \\to + 24; mov %edi, \\to + 28\n"
	"	pushf; pop \\to + 32\n"
	"	mov %es, %eax; mov %eax, \\to + 36; mov %cs, %eax; mov %eax, \\to + 40\n"
	"	mov %ss, %eax; mov %eax, \\to + 44; mov %ds, %eax; mov %eax, \\to + 48\n"
	"	mov %fs, %eax; mov %eax, \\to + 52; mov %gs, %eax; mov %eax, \\to + 56\n"
	"	sldt %eax; movzwl %ax, %eax; mov %eax, \\to + 60\n"
	"	str %eax; movzwl %ax, %eax; mov %eax, \\to + 64\n"
	"	mov %cr0, %eax; mov %eax, \\to + 68; mov %cr2, %eax; mov %eax, \\to + 72\n"
	"	mov %cr3, %eax; mov %eax, \\to + 76\n"
	"	mov %dr6, %eax; mov %eax, \\to + 80; mov %dr7, %eax; mov %eax, \\to + 84\n"
	"	mov 0x80000000, %eax; mov %eax, \\to + 88\n"
	"	mov my_gdt + 0x54, %eax; mov %eax, \\to + 92\n"
	"	mov my_gdt + 0x5c, %eax; mov %eax, \\to + 96\n"
	".endm\n"
	".macro ACT name, insn:vararg\n"
	".globl act_\\name, act_\\name\\()_end\n"
	"act_\\name: \\insn\n"
	"act_\\name\\()_end: jmp main_back\n"
	".endm\n"
	".code32\n"
	/* Called without paging; the runtime's GDT. */
	".globl task_code\n"
	"task_code:\n"
	"	lgdt my_gdt_pointer; lidt my_idt_pointer\n"
	"	mov paging_cr4, %eax; mov %eax, %cr4\n"
	"	mov main_cr3, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	mov $0x50, %eax; ltr %ax; xor %eax, %eax; lldt %ax\n"
	"	mov $0x10, %eax; mov %eax, %fs; mov %eax, %gs\n"
	"	mov $0xffff0ff0, %eax; mov %eax, %dr6\n"
	"	mov $0x409, %eax; mov %eax, %dr7\n" /* L0, G1, of nothing that is accessed */
	"	clts\n"
	"	pusha\n"
	"	pushl $0x8d7; popf\n" /* all of the arithmetic flags */
	"	mov $0xa0a0a000, %eax; mov $0xa0a0a001, %ecx; mov $0xa0a0a002, %edx; mov $0xa0a0a003, %ebx\n"
	"	mov $0xa0a0a005, %ebp; mov $0xa0a0a006, %esi; mov $0xa0a0a007, %edi\n"
	"	jmp *action\n"
	"main_back:\n"
	"	DUMP back\n"
	"	pushl $2; popf\n"
	"	popa\n"
	"	mov $0x400, %eax; mov %eax, %dr7\n"
	"	clts\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0; jmp 1f\n"
	"1:	xor %eax, %eax; mov %eax, %cr4\n"
	"	ret\n"
	"ACT jmp, ljmp $0x58, $0x12345678\n"
	"ACT jmp_memory, ljmp *far_pointer\n"
	"ACT call, lcall $0x58, $0\n"
	"ACT call_memory, lcall *%ds:far_pointer\n"
	"ACT call_gate, lcall $0x48, $0\n"
	"ACT call16, lcall $0x60, $0\n"
	"ACT int, int $0x90\n"
	"ACT int3, int3\n"
	".globl act_gp, act_gp_end, act_pf, act_pf_end, act_ud, act_ud_end\n"
	"act_gp: mov bad_selector, %es; ud2\n"
	"act_gp_end: jmp main_back\n"
	"act_pf: mov %eax, 0x90000010; ud2\n"
	"act_pf_end: jmp main_back\n"
	"act_ud: ud2; ud2\n"
	"act_ud_end: jmp main_back\n"
	/* A self-IPI. */
	".globl act_interrupt, act_interrupt_end\n"
	"act_interrupt: sti; movl $0x44092, 0xfee00300; nop; nop; nop; nop\n"
	"1:	cmpl $0, entries; je 1b\n"
	"	cli\n"
	"act_interrupt_end: jmp main_back\n"
	".globl act_iret, act_iret_end\n"
	"act_iret: pushf; orl $0x4000, (%esp); popf\n"
	"1:	iret\n"
	"act_iret_end: jmp main_back\n"
	".globl act_jmp_twice, act_jmp_twice_end\n"
	"act_jmp_twice: ljmp $0x58, $0; ljmp $0x58, $0\n"
	"act_jmp_twice_end: jmp main_back\n"
	"far_pointer: .long 0; .word 0x58\n"
	/* Two NMIs: the second comes only if the task's IRET has unblocked them. */
	".globl act_nmi, act_nmi_end\n"
	"act_nmi: movl $0, 0xfee00310; movl $0x4400, 0xfee00300\n"
	"1:	cmpl $1, entries; jb 1b\n"
	"	movl $0x4400, 0xfee00300\n"
	"1:	cmpl $2, entries; jb 1b\n"
	"act_nmi_end: jmp main_back\n"
	/* Any task. What it does in the end is told by leave_by_jmp; entered again, it goes on behind that. */
	".macro TASK_BODY name\n"
	"\\name:	DUMP seen\n"
	"	incl entries\n"
	"	cmpl $0, send_eoi; je 1f; movl $0, 0xfee000b0\n"
	"1:	mov fix_eip, %eax; test %eax, %eax; je 1f; mov %eax, main_tss + 0x20\n"
	"1:	cmpl $0, leave_by_jmp; jne 1f\n"
	"	iret\n"
	"	jmp \\name\n"
	"1:	ljmp $0x50, $0\n"
	"\\name\\()_behind_jmp:\n"
	"	jmp \\name\n"
	".endm\n"
	".globl task_entry, task16_entry, user_entry, v86_start, v86_end\n"
	"TASK_BODY task_entry\n"
	"	.balign 16\n"
	"TASK_BODY task16_entry\n"
	"user_entry:\n"
	"	mov %cs, %eax; mov %eax, user_cs; mov %ss, %eax; mov %eax, user_ss; push %eax; int3\n"
	".code16\n"
	"v86_start:\n"
	"	mov $0x1234, %ax; mov %ax, 0; push %ax; int3\n"
	"v86_end:\n"
	".code64\n"
	".popsection\n");

static const char *what; /* is being tried */

#define expect(name, got, wanted)                                                                  \
	do {                                                                                       \
		u64 g_ = (u64)(got), w_ = (u64)(wanted);                                           \
		check(g_ == w_, "%s: %s is 0x%llx, not 0x%llx", what, name,                        \
		      (unsigned long long)g_, (unsigned long long)w_);                             \
	} while (0)

/* ---- Tables --------------------------------------------------------------------------------- */

static u8 *stacks[3];
static u32 task_cr3;

static u64 descriptor(u64 base, u32 limit, u32 attr)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)(attr & 0xf0ff) << 40 |
	       (u64)(limit & 0xf0000) << 32 | (base & 0xff000000) << 32;
}

static u64 task_gate(u16 selector)
{
	return (u64)selector << 16 | 0xe500ULL << 32; /* DPL 3 */
}

static void fill(struct tss32 *t, u32 eip, u32 eax, const u8 *stack)
{
	unsigned i;

	*t = (struct tss32){.cr3 = task_cr3, .eip = eip, .eflags = 2 | RFLAGS_CF | RFLAGS_OF};
	for (i = 0; i < 8; i++)
		t->gpr[i] = 0xb0b0b000 + i;
	t->gpr[EAX] = eax;
	t->gpr[ESP] = (u32)(u64)stack + TASK_ESP;
	for (i = 0; i < 6; i++)
		t->seg[i].sel = SEL_DATA;
	t->seg[CS].sel = CODE32;
	t->seg[FS].sel = 0;
	t->seg[GS].sel = 4; /* of the LDT */
	t->ldt = LDT;
	t->iomap = sizeof(*t);
}

static void fill16(void)
{
	unsigned i;

	task16_tss = (struct tss16){.ip = 0, .flags = 2 | RFLAGS_CF, .ldt = LDT};
	for (i = 0; i < 8; i++)
		task16_tss.gpr[i] = (u16)(0xc0c0 + i);
	task16_tss.gpr[ESP] = TASK_ESP;
	task16_tss.seg[ES] = task16_tss.seg[DS] = SEL_DATA;
	task16_tss.seg[CS] = CODE_LOW;
	task16_tss.seg[SS] = STACK16;
}

/* All as new: the last test has left its traces everywhere. */
static void tables(void)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		my_gdt[i] = gdt[i];
	my_gdt[UCODE / 8] = 0x00cffb000000ffffULL;
	my_gdt[UDATA / 8] = 0x00cff3000000ffffULL;
	my_gdt[CODE_LOW / 8] = descriptor((u64)task16_entry, 0xfff, 0x409a);
	my_gdt[STACK16 / 8] = descriptor((u64)stacks[1], 0xfff, 0x92);
	my_gdt[LDT / 8] = descriptor((u64)my_ldt, sizeof(my_ldt) - 1, 0x82);
	my_gdt[TASK_GATE / 8] = task_gate(TASK);
	my_gdt[MAIN / 8] = descriptor((u64)&main_tss, 0x67, 0x89);
	my_gdt[TASK / 8] = descriptor((u64)&task_tss, 0x67, 0x89);
	my_gdt[TASK16 / 8] = descriptor((u64)&task16_tss, 0x2b, 0x81);
	my_gdt[ABSENT_C / 8] = descriptor(0, 0xfffff, 0xc01a);
	my_gdt[ABSENT_D / 8] = descriptor(0, 0xfffff, 0xc012);
	my_gdt[DATA_RO / 8] = descriptor(0, 0xfffff, 0xc090);
	my_ldt[0] = descriptor(0, 0xfffff, 0xc092);
	memory_set(my_idt, 0, sizeof(my_idt));
	for (i = 0; i < VECTORS; i++) {
		my_gdt[HANDLERS / 8 + i] = descriptor((u64)&handler_tss[i], 0x67, 0x89);
		my_idt[vectors[i]] = task_gate((u16)(HANDLERS + 8 * i));
		fill(&handler_tss[i], (u32)(u64)task_entry, vectors[i], stacks[2]);
	}
	memory_set(&main_tss, 0, sizeof(main_tss));
	fill(&task_tss, (u32)(u64)task_entry, 0xb0b0b000, stacks[0]);
	fill16();
	my_gdt_pointer.limit = sizeof(my_gdt) - 1;
	my_gdt_pointer.base = (u32)(u64)my_gdt;
	my_idt_pointer.limit = sizeof(my_idt) - 1;
	my_idt_pointer.base = (u32)(u64)my_idt;
	main_tss.cr3 = main_cr3;
	entries = leave_by_jmp = fix_eip = send_eoi = 0;
	memory_set((void *)&seen, 0xee, sizeof(seen));
	memory_set((void *)&back, 0xee, sizeof(back));
}

static void run(void (*act)(void))
{
	action = act;
	protected_run(task_code);
}

static u32 window_frame(u32 value)
{
	u32 *page = page_alloc();

	page[0] = value;
	return (u32)(u64)page | 3;
}

/* 1:1 by large pages, but for WINDOW and NOWHERE; ring 3 may use it all. */
static u32 tables_32(u32 value)
{
	u32 *pd = page_alloc(), *pt = page_alloc(), i;

	for (i = 0; i < 1024; i++)
		pd[i] = i << 22 | 0x87;
	pt[0] = window_frame(value);
	pd[WINDOW >> 22] = (u32)(u64)pt | 3;
	pd[NOWHERE >> 22] = 0;
	return (u32)(u64)pd;
}

static u32 tables_pae(u32 value)
{
	u64 *pdpt = page_alloc(), *low = page_alloc(), *mid = page_alloc(), *high = page_alloc();
	u64 *pt = page_alloc();
	unsigned i;

	for (i = 0; i < 512; i++) {
		low[i] = (u64)i << 21 | 0x87;
		high[i] = (0xc0000000ULL + ((u64)i << 21)) | 0x87;
	}
	pt[0] = window_frame(value);
	mid[0] = (u64)pt | 3;
	pdpt[0] = (u64)low | 1;
	pdpt[2] = (u64)mid | 1;
	pdpt[3] = (u64)high | 1;
	return (u32)(u64)pdpt;
}

/* ---- Comparisons ------------------------------------------------------------------------------ */

/* EFLAGS that main has before it switches. */
#define MAIN_FLAGS 0x8d7

/* QEMU's CPU switches tasks by itself, and less well than the manuals say. */
static bool qemu_cpu(void)
{
	u32 r[4];

	cpuid_count(0x80000002, 0, r);
	return r[0] == 0x554d4551;
}

static bool bochs_svm(void)
{
	return is_amd() && !qemu_cpu();
}

static void main_was_saved(void (*eip)(void), u32 flags)
{
	unsigned i;

	expect("the saved EIP", main_tss.eip, (u32)(u64)eip);
	expect("the saved EFLAGS", main_tss.eflags & ~(u32)RFLAGS_RF, flags);
	for (i = 0; i < 8; i++)
		if (i != ESP)
			expect("a saved register", main_tss.gpr[i], 0xa0a0a000 + i);
	for (i = 0; i < 6; i++)
		expect("a saved selector", main_tss.seg[i].sel, i == CS ? CODE32 : SEL_DATA);
	expect("the saved CR3", main_tss.cr3, main_cr3);
}

static void main_went_on(void)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		expect("a register after the return", back.gpr[i], main_tss.gpr[i]);
	for (i = 0; i < 6; i++)
		expect("a selector after the return", back.seg[i], main_tss.seg[i].sel);
	expect("TR after the return", back.tr, MAIN);
	expect("LDTR after the return", back.ldt, 0);
	expect("the window after the return", back.window, IN_MAIN);
	expect("main's type after the return", back.main_type >> 8 & 0xff, 0x8b);
	expect("CR3 after the return", back.cr3, main_cr3);
}

/* A task entered through `t`, nested or not, with so much on its stack. */
static void task_was_entered(u16 tr, const struct tss32 *t, u32 eax, u8 *stack, bool nested,
			     u32 pushed)
{
	unsigned i;

	expect("the number of entries", entries, 1);
	expect("TR", seen.tr, tr);
	for (i = 1; i < 8; i++)
		if (i != ESP)
			expect("a loaded register", seen.gpr[i], 0xb0b0b000 + i);
	expect("EAX", seen.gpr[EAX], eax);
	expect("ESP", seen.gpr[ESP], (u32)(u64)stack + TASK_ESP - pushed);
	expect("EFLAGS", seen.eflags, 2 | RFLAGS_CF | RFLAGS_OF | (nested ? RFLAGS_NT : 0));
	for (i = 0; i < 6; i++)
		expect("a loaded selector", seen.seg[i],
		       i == CS ? CODE32 :
		       i == FS ? 0 :
		       i == GS ? 4 :
				 SEL_DATA);
	expect("LDTR", seen.ldt, LDT);
	expect("CR3", seen.cr3, task_cr3);
	expect("the window", seen.window, IN_TASK);
	expect("CR0.TS", seen.cr0 & CR0_TS, CR0_TS);
	expect("DR7", seen.dr7, 0x408);
	expect("main's type in the task", seen.main_type >> 8 & 0xff, nested ? 0x8b : 0x89);
	if (nested)
		expect("the link", t->link, MAIN);
	if (!qemu_cpu())
		expect("the accessed bit of the LDT's segment", my_ldt[0] >> 40 & 1, 1);
}

static unsigned handler_of(u8 vector)
{
	unsigned i;

	for (i = 0; vectors[i] != vector; i++)
		;
	return i;
}

static u32 pushed_error(void)
{
	return read32((u64)stacks[2] + TASK_ESP - 4);
}

/* ---- What is tried ------------------------------------------------------------------------------ */

static void jumps(const char *name, void (*act)(void), void (*end)(void))
{
	what = name;
	tables();
	leave_by_jmp = 1;
	run(act);
	task_was_entered(TASK, &task_tss, 0xb0b0b000, stacks[0], false, 0);
	main_was_saved(end, MAIN_FLAGS);
	expect("the task's type in it", seen.task_type >> 8 & 0xff, 0x8b);
	expect("the task's type after it", back.task_type >> 8 & 0xff, 0x89);
	expect("NT after the return", back.eflags & RFLAGS_NT, 0);
	main_went_on();
}

static void calls(const char *name, void (*act)(void), void (*end)(void))
{
	what = name;
	tables();
	run(act);
	task_was_entered(TASK, &task_tss, 0xb0b0b000, stacks[0], true, 0);
	main_was_saved(end, MAIN_FLAGS);
	expect("the task's type after it", back.task_type >> 8 & 0xff, 0x89);
	expect("NT that the task was saved with", task_tss.eflags & RFLAGS_NT, 0);
	main_went_on();
}

static void again(void)
{
	what = "JMP to a task that has been there";
	tables();
	leave_by_jmp = 1;
	run(act_jmp_twice);
	expect("the number of entries", entries, 2);
	main_went_on();
}

/* An event through a task gate of the IDT. `eip`: where main is to go on by what was saved. */
static void event(const char *name, void (*act)(void), u8 vector, void (*saved)(void),
		  void (*fix)(void), bool error)
{
	unsigned h = handler_of(vector);

	what = name;
	tables();
	fix_eip = (u32)(u64)fix;
	/* Seen before it is fixed. */
	run(act);
	task_was_entered((u16)(HANDLERS + 8 * h), &handler_tss[h], vector, stacks[2], true,
			 error ? 4 : 0);
	if (fix)
		main_tss.eip = (u32)(u64)saved;
	main_was_saved(saved, MAIN_FLAGS);
	main_went_on();
}

static void exceptions(void)
{
	event("#GP", act_gp, VEC_GP, act_gp, act_gp_end, true);
	expect("the error code", pushed_error(), BAD_SEL);
	if (!qemu_cpu())
		expect("RF of a fault", main_tss.eflags & RFLAGS_RF, RFLAGS_RF);
	event("#PF", act_pf, VEC_PF, act_pf, act_pf_end, true);
	expect("the error code", pushed_error(), PFEC_W);
	expect("CR2", seen.cr2, NOWHERE + 0x10);
	/* #UD has no gate, and so is #GP, which has none either. */
	what = "#DF";
	tables();
	my_idt[VEC_GP] = 0;
	fix_eip = (u32)(u64)act_ud_end;
	run(act_ud);
	task_was_entered((u16)(HANDLERS + 8 * handler_of(VEC_DF)), &handler_tss[handler_of(VEC_DF)],
			 VEC_DF, stacks[2], true, 4);
	expect("the error code", pushed_error(), 0);
	main_went_on();
}

static void interrupt(void)
{
	what = "an interrupt";
	apic_enable();
	tables();
	send_eoi = 1;
	run(act_interrupt);
	expect("the number of entries", entries, 1);
	expect("TR", seen.tr, HANDLERS + 8 * handler_of(0x92));
	expect("EFLAGS", seen.eflags, 2 | RFLAGS_CF | RFLAGS_OF | RFLAGS_NT);
	expect("the saved IF", main_tss.eflags & RFLAGS_IF, RFLAGS_IF);
	expect("the ISR", apic_bit(APIC_ISR, 0x92), 0);
	expect("TR after the return", back.tr, MAIN);
}

static void nmis(void)
{
	what = "an NMI";
	tables();
	run(act_nmi);
	expect("the number of entries", entries, 2);
	expect("TR", seen.tr, HANDLERS + 8 * handler_of(VEC_NMI));
	expect("TR after the return", back.tr, MAIN);
}

static void sixteen_bits(void)
{
	unsigned i;

	what = "CALL of a 16-bit TSS";
	tables();
	write32((u64)behind_task16, 0x5a5a5a5a);
	run(act_call16);
	expect("the number of entries", entries, 1);
	expect("TR", seen.tr, TASK16);
	for (i = 0; i < 8; i++)
		expect("a loaded register", seen.gpr[i] & 0xffff, i == ESP ? TASK_ESP : 0xc0c0 + i);
	expect("EFLAGS", seen.eflags, 2 | RFLAGS_CF | RFLAGS_NT);
	expect("CS", seen.seg[CS], CODE_LOW);
	expect("SS", seen.seg[SS], STACK16);
	expect("LDTR", seen.ldt, LDT);
	expect("CR3, which it has not", seen.cr3, main_cr3);
	expect("the link", task16_tss.link, MAIN);
	expect("the task's saved flags", task16_tss.flags & RFLAGS_NT, 0);
	expect("the task's saved CS", task16_tss.seg[CS], CODE_LOW);
	expect("the task's saved SP", task16_tss.gpr[ESP], TASK_ESP);
	expect("the task's saved SI", task16_tss.gpr[ESI], 0xc0c0 + ESI);
	expect("the LDT of its TSS", task16_tss.ldt, LDT);
	expect("what is behind its TSS", read32((u64)behind_task16), 0x5a5a5a5a);
	main_was_saved(act_call16_end, MAIN_FLAGS);
	main_went_on();
}

/* Out of it by INT3 through a task gate, back to main by JMP. */
static void ring3(void)
{
	unsigned h = handler_of(VEC_BP);

	what = "JMP to a task of ring 3";
	tables();
	leave_by_jmp = 1;
	task_tss.eip = (u32)(u64)user_entry;
	task_tss.seg[CS].sel = UCODE;
	task_tss.seg[SS].sel = task_tss.seg[DS].sel = UDATA;
	task_tss.seg[ES].sel = UDATA;
	task_tss.seg[GS].sel = 0;
	run(act_jmp);
	expect("CS", user_cs, UCODE);
	expect("SS", user_ss, UDATA);
	expect("the number of entries", entries, 1);
	expect("TR of the handler", seen.tr, HANDLERS + 8 * h);
	expect("the handler's link", handler_tss[h].link, TASK);
	expect("the saved CS", task_tss.seg[CS].sel, UCODE);
	expect("the saved ESP", task_tss.gpr[ESP], (u32)(u64)stacks[0] + TASK_ESP - 4);
	main_went_on();
}

static void virtual_8086(void)
{
	unsigned i;

	what = "JMP to a virtual-8086 task";
	tables();
	leave_by_jmp = 1;
	memory_copy((void *)0x8000, v86_start, (u64)(v86_end - v86_start));
	write32(0x8100, 0);
	write32(0x90fc, 0);
	task_tss.eflags = 2 | RFLAGS_VM | RFLAGS_IOPL;
	task_tss.eip = 0;
	task_tss.gpr[ESP] = 0x100;
	for (i = 0; i < 6; i++)
		task_tss.seg[i].sel = 0x810;
	task_tss.seg[CS].sel = 0x800;
	task_tss.seg[SS].sel = 0x900;
	run(act_jmp);
	expect("what it wrote", read16(0x8100), 0x1234);
	expect("what it pushed", read16(0x90fe), 0x1234);
	expect("the number of entries", entries, 1);
	expect("TR of the handler", seen.tr, HANDLERS + 8 * handler_of(VEC_BP));
	expect("the saved EFLAGS", task_tss.eflags, 2 | RFLAGS_VM | RFLAGS_IOPL);
	expect("the saved EIP", task_tss.eip, (u64)(v86_end - v86_start));
	expect("the saved CS", task_tss.seg[CS].sel, 0x800);
	expect("the saved FS", task_tss.seg[FS].sel, 0x810);
	expect("the saved SP", task_tss.gpr[ESP], 0xfe);
	main_went_on();
}

static void trap_bit(void)
{
	unsigned h = handler_of(VEC_DB);

	if (qemu_cpu())
		return; /* it knows of no such bit */
	what = "the T bit";
	tables();
	leave_by_jmp = 1;
	task_tss.trap = 1;
	run(act_jmp);
	expect("the number of entries", entries, 1);
	expect("TR", seen.tr, HANDLERS + 8 * h);
	expect("DR6.BT", seen.dr6 & BIT(15), BIT(15));
	expect("the task's EIP", task_tss.eip, (u32)(u64)task_entry);
	expect("the link", handler_tss[h].link, TASK);
}

/* The task cannot be entered, which is found in it: the fault is its own. */
static void bad_task(const char *name, u8 vector, u16 error, u16 cs)
{
	unsigned h = handler_of(vector);

	what = name;
	leave_by_jmp = 1;
	run(act_jmp);
	expect("the number of entries", entries, 1);
	expect("TR of the fault's task", seen.tr, HANDLERS + 8 * h);
	expect("the error code", pushed_error(), error);
	if (!qemu_cpu()) {
		expect("its link", handler_tss[h].link, TASK);
		expect("the task's EIP", task_tss.eip, (u32)(u64)task_entry);
		expect("the task's CS", task_tss.seg[CS].sel, cs);
		expect("the task's EBX", task_tss.gpr[EBX], 0xb0b0b003);
	}
	main_went_on();
}

static void bad_tasks(void)
{
	static const struct {
		const char *what;
		u16 segment, selector, error;
		u8 vector;
	} rows[] = {
		{"an absent code segment", CS, ABSENT_C, ABSENT_C, VEC_NP},
		{"data for code", CS, SEL_DATA, SEL_DATA, VEC_TS},
		{"code of another level", CS, UCODE & ~3, UCODE & ~3, VEC_TS},
		{"a null stack segment", SS, 0, 0, VEC_TS},
		{"an absent stack segment", SS, ABSENT_D, ABSENT_D, VEC_SS},
		{"a read-only stack segment", SS, DATA_RO, DATA_RO, VEC_TS},
		{"a stack segment of another level", SS, UDATA, UDATA & ~3, VEC_TS},
		{"an absent data segment", DS, ABSENT_D, ABSENT_D, VEC_NP},
		{"a TSS for data", ES, TASK16, TASK16, VEC_TS},
		{"a selector beyond the GDT", FS, 0x7f8, 0x7f8, VEC_TS},
		{"a selector beyond the LDT", GS, 0x14, 0x14, VEC_TS},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (qemu_cpu() && rows[i].vector == VEC_SS)
			continue; /* it says #TS */
		tables();
		task_tss.seg[rows[i].segment].sel = rows[i].selector;
		bad_task(rows[i].what, rows[i].vector, rows[i].error,
			 rows[i].segment == CS ? rows[i].selector : CODE32);
	}
	tables();
	task_tss.ldt = DATA_RO;
	bad_task("no LDT", VEC_TS, DATA_RO, CODE32);
	tables();
	task_tss.ldt = 4;
	bad_task("an LDT in the LDT", VEC_TS, 4, CODE32);
}

/* The switch is refused, and main has the fault. */
static void refused(const char *name, void (*act)(void), void (*end)(void), u8 vector, u16 error)
{
	unsigned h = handler_of(vector);

	what = name;
	fix_eip = (u32)(u64)end;
	run(act);
	expect("the number of entries", entries, 1);
	expect("TR of the fault's task", seen.tr, HANDLERS + 8 * h);
	expect("the error code", pushed_error(), error);
	expect("its link", handler_tss[h].link, MAIN);
	main_went_on();
}

static void refusals(void)
{
	tables();
	my_gdt[TASK / 8] &= ~BIT(47);
	refused("CALL of an absent TSS", act_call, act_call_end, VEC_NP, TASK);
	tables();
	my_gdt[TASK / 8] |= BIT(41);
	refused("CALL of a busy TSS", act_call, act_call_end, VEC_GP, TASK);
	tables();
	my_gdt[TASK / 8]--;
	refused("JMP to a TSS that is too small", act_jmp, act_jmp_end, VEC_TS, TASK);
	tables();
	main_tss.link = TASK;
	refused("IRET to a TSS that is not busy", act_iret, act_iret_end, VEC_TS, TASK);
}

static void all(void)
{
	jumps("JMP", act_jmp, act_jmp_end);
	jumps("JMP by a pointer in memory", act_jmp_memory, act_jmp_memory_end);
	again();
	calls("CALL", act_call, act_call_end);
	calls("CALL by a pointer in memory", act_call_memory, act_call_memory_end);
	calls("CALL of a task gate", act_call_gate, act_call_gate_end);
	/* Bochs' SVM does not tell that it was one: EXITINTINFO has what was there before. */
	if (!bochs_svm())
		event("INT n", act_int, 0x90, act_int_end, NULL, false);
	event("INT3", act_int3, VEC_BP, act_int3_end, NULL, false);
	exceptions();
	interrupt();
	nmis();
	sixteen_bits();
	ring3();
	/* Bochs' SVM stops Bochs at an exit of virtual-8086 mode. */
	if (!bochs_svm())
		virtual_8086();
	trap_bit();
	bad_tasks();
	refusals();
}

void test(void)
{
	unsigned i;

	check(cmos_read(CMOS_STAGE) == 0, "the guest was restarted: it met a triple fault");
	cmos_write(CMOS_STAGE, 1);
	for (i = 0; i < ARRAY_SIZE(stacks); i++)
		stacks[i] = page_alloc();
	paging_cr4 = CR4_PSE;
	main_cr3 = tables_32(IN_MAIN);
	task_cr3 = tables_32(IN_TASK);
	all();
	paging_cr4 = CR4_PAE;
	main_cr3 = tables_pae(IN_MAIN);
	task_cr3 = tables_pae(IN_TASK);
	all();
}
