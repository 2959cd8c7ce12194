/* SPDX-License-Identifier: MIT */
/*
 * What happens when Havoc itself has gone wrong: cause, registers, backtrace with the names of functions, the last
 * lines of the log; then what on-error= says. Reached from hv_assert(), host_panic() and unexpected exceptions. Trusts
 * as little as it can; a panic inside a panic only halts.
 */
#include "arch/host/host.h"

#include <stdarg.h>

#include <arch/insn.h>
#include <arch/ksym.h>
#include <arch/regs.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/log.h>

#define BACKTRACE_MAX   24
#define FRAMELESS_WORDS 64
#define PANIC_LOG_LINES 12

static const char *const exception_names[32] = {
	[VEC_DE] = "divide error (#DE)",
	[VEC_DB] = "debug exception (#DB)",
	[VEC_NMI] = "NMI",
	[VEC_BP] = "breakpoint (#BP)",
	[VEC_OF] = "overflow (#OF)",
	[VEC_BR] = "bound range (#BR)",
	[VEC_UD] = "invalid opcode (#UD)",
	[VEC_NM] = "no FPU (#NM)",
	[VEC_DF] = "double fault (#DF)",
	[VEC_TS] = "invalid TSS (#TS)",
	[VEC_NP] = "segment not present (#NP)",
	[VEC_SS] = "stack fault (#SS)",
	[VEC_GP] = "general protection (#GP)",
	[VEC_PF] = "page fault (#PF)",
	[VEC_MF] = "x87 error (#MF)",
	[VEC_AC] = "alignment check (#AC)",
	[VEC_MC] = "machine check (#MC)",
	[VEC_XM] = "SIMD error (#XM)",
	[VEC_VE] = "virtualization exception (#VE)",
	[VEC_CP] = "control protection (#CP)",
};

#define LINE_MAX 320

static void panic_line(const char *line, size_t len)
{
	host_console_write("havoc: ", 7);
	host_console_write(line, len);
	host_console_write("\r\n", 2);
}

/* Kept for the next boot first: writing to a console is more that can fail. */
static void panic_vprint(const char *fmt, va_list ap) printf_like(1, 0);
static void panic_vprint(const char *fmt, va_list ap)
{
	char line[LINE_MAX];
	size_t len = MIN((size_t)fmt_v(line, sizeof(line), fmt, ap), sizeof(line) - 1);

	log_panic_line(line, len);
	panic_line(line, len);
}

static void panic_print(const char *fmt, ...) printf_like(1, 2);
static void panic_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_vprint(fmt, ap);
	va_end(ap);
}

/* What this CPU held when it failed again is never given back. */
static _Noreturn void panic_again(void)
{
	smp_stop_others();
	uart_flush(&host.console.uart);
	for (;;)
		hlt();
}

/* A second panic, on this CPU or another, would tell of the first one's ruins. The others stop where they are. */
static void panic_begin(void)
{
	struct pcpu *cpu = pcpu_here(), *first = NULL;

	cli();
	if (!__atomic_compare_exchange_n(&host.panicking, &first, cpu, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		if (first == cpu)
			panic_again();
		/* The other one has the word. It must find nobody who stops it: an NMI of its ends this here. */
		for (;;)
			hlt();
	}
	smp_stop_others();
	/* Whoever had them is not coming back. */
	console_break_locks(&host.console);
	log_break_lock();
}

static bool in_text(u64 rip)
{
	return rip >= (u64)image_start && rip < (u64)image_text_end;
}

static void print_frame(u64 rip, const char *mark)
{
	const char *name = NULL;
	u64 offset = 0;

	if (in_text(rip))
		name = ksym_lookup(rip, &offset);
	if (name)
		panic_print("  %016llx %s%s+%#llx", (unsigned long long)rip, mark, name,
			    (unsigned long long)offset);
	else
		panic_print("  %016llx", (unsigned long long)rip);
}

/* Whether two words at `rbp` lie in one of our stacks. */
static bool frame_is_sane(u64 rbp)
{
	const struct cpu_stacks *s = pcpu_here()->stacks;

	if (rbp % 8)
		return false;
	if (rbp >= (u64)s->mem && rbp <= (u64)(&s->mem + 1) - 16)
		return true;
	for (unsigned i = 0; i < IST_COUNT; i++) {
		if (rbp >= (u64)s->ist[i].mem && rbp <= (u64)(&s->ist[i] + 1) - 16)
			return true;
	}
	return false;
}

/* Behind a CALL: E8 with a displacement, or FF /2 through a register or memory, with or without SIB and displacement. */
static bool is_return_address(u64 rip)
{
	const u8 *code = (const u8 *)rip;

	if (!in_text(rip) || !in_text(rip - 7))
		return false;
	if (code[-5] == 0xe8)
		return true;
	for (int len = 2; len <= 7; len++)
		if (code[-len] == 0xff && (code[-len + 1] & 0x38) == 0x10)
			return true;
	return false;
}

/* What runs at every exit keeps no frames (mk/metal.mk, HOT_FRAMES): what looks like a return address below the first frame. */
static void print_frameless(u64 rsp, u64 rbp)
{
	for (unsigned n = 0; n < FRAMELESS_WORDS && rsp < rbp && frame_is_sane(rsp); n++) {
		u64 word = *(const u64 *)rsp;

		if (is_return_address(word))
			print_frame(word, "? ");
		rsp += sizeof(word);
	}
}

static void backtrace(u64 rip, u64 rsp, u64 rbp)
{
	panic_print("backtrace:");
	print_frame(rip, "");
	print_frameless(rsp, rbp);
	for (unsigned n = 0; n < BACKTRACE_MAX && frame_is_sane(rbp); n++) {
		const u64 *frame = (const u64 *)rbp;

		if (!frame[1])
			break;
		print_frame(frame[1], "");
		if (frame[0] <= rbp && frame_is_sane(frame[0]))
			break; /* frames go upwards on one stack */
		rbp = frame[0];
	}
}

/* The kept log has them. */
static void print_log_line(unused void *arg, const char *line, size_t len)
{
	char text[LINE_MAX + 2];

	panic_line(text, (size_t)fmt_s(text, sizeof(text), "| %.*s", (int)len, line));
}

static _Noreturn void panic_end(const struct trap_frame *f)
{
	const struct pcpu *cpu = pcpu_here();

	backtrace(f->rip, f->rsp, f->rbp);
	if (cpu->nmis || cpu->stray_irqs || cpu->apic_errors)
		panic_print("%llu NMIs, %llu stray interrupts, %llu local APIC errors so far",
			    (unsigned long long)cpu->nmis, (unsigned long long)cpu->stray_irqs,
			    (unsigned long long)cpu->apic_errors);
	panic_print("the last lines of the log:");
	log_replay(PANIC_LOG_LINES, print_log_line, NULL);
	host_end(host.on_error);
}

static void print_registers(const struct trap_frame *f)
{
	const struct {
		const char *name;
		u64 value;
	} regs[] = {
		{"rax", f->rax},     {"rbx", f->rbx},     {"rcx", f->rcx},     {"rdx", f->rdx},
		{"rsi", f->rsi},     {"rdi", f->rdi},     {"rbp", f->rbp},     {"rsp", f->rsp},
		{"r8 ", f->r8},      {"r9 ", f->r9},      {"r10", f->r10},     {"r11", f->r11},
		{"r12", f->r12},     {"r13", f->r13},     {"r14", f->r14},     {"r15", f->r15},
		{"cr0", read_cr0()}, {"cr2", read_cr2()}, {"cr3", read_cr3()}, {"cr4", read_cr4()},
		{"rfl", f->rflags},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(regs); i += 3)
		panic_print("%s %016llx  %s %016llx  %s %016llx", regs[i].name,
			    (unsigned long long)regs[i].value, regs[i + 1].name,
			    (unsigned long long)regs[i + 1].value, regs[i + 2].name,
			    (unsigned long long)regs[i + 2].value);
}

/* A page fault at a guard page has one cause. */
static const char *fault_note(const struct trap_frame *f)
{
	const struct cpu_stacks *s = pcpu_here()->stacks;
	u64 cr2 = read_cr2();

	if (f->vector != VEC_PF)
		return "";
	if (cr2 >= (u64)s->guard && cr2 < (u64)s->mem)
		return ": stack overflow";
	for (unsigned i = 0; i < IST_COUNT; i++) {
		if (cr2 >= (u64)s->ist[i].guard && cr2 < (u64)s->ist[i].mem)
			return ": stack overflow";
	}
	return cr2 < PAGE_SIZE ? ": null pointer" : "";
}

/* va_list as the ABI lays it out: System V, AMD64, "Variable Argument Lists". */
union abi_va_list {
	struct {
		u32 gp_offset, fp_offset;
		const void *overflow_arg_area, *reg_save_area;
	} abi;
	va_list list;
};
_Static_assert(sizeof(union abi_va_list) == 24, "ABI: va_list");

/* host_panic() of trap.S. Its arguments: six in registers, the rest on the stack. */
_Noreturn void panic_call(const struct trap_frame *f)
{
	const u64 in_registers[] = {f->rdi, f->rsi, f->rdx, f->rcx, f->r8, f->r9};
	union abi_va_list args = {
		.abi = {
			.gp_offset = sizeof(in_registers[0]), /* behind the format */
			.fp_offset = sizeof(in_registers),
			.overflow_arg_area = (const void *)f->rsp,
			.reg_save_area = in_registers,
		}};
	char reason[LINE_MAX];

	panic_begin();
	fmt_v(reason, sizeof(reason), (const char *)f->rdi, args.list);
	log_panic(reason);
	panic_print("panic: Havoc itself has failed, on CPU %u:", pcpu_here()->number);
	panic_print("%s", reason);
	print_registers(f);
	panic_end(f);
}

_Noreturn void panic_trap(const struct trap_frame *f)
{
	const char *name = f->vector < 32 ? exception_names[f->vector] : NULL;
	char reason[LINE_MAX];

	panic_begin();
	fmt_s(reason, sizeof(reason), "%s, error code %#llx, at %04llx:%016llx%s",
	      name ? name : "unknown exception", (unsigned long long)f->error,
	      (unsigned long long)f->cs, (unsigned long long)f->rip, fault_note(f));
	log_panic(reason);
	panic_print("panic: %s", reason);
	print_registers(f);
	panic_end(f);
}
