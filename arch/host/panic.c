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

static void panic_vprint(const char *fmt, va_list ap) printf_like(1, 0);
static void panic_vprint(const char *fmt, va_list ap)
{
	char line[320];
	int len = fmt_v(line, sizeof(line), fmt, ap);

	host_console_write("havoc: ", 7);
	host_console_write(line, MIN((size_t)len, sizeof(line) - 1));
	host_console_write("\r\n", 2);
}

static void panic_print(const char *fmt, ...) printf_like(1, 2);
static void panic_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_vprint(fmt, ap);
	va_end(ap);
}

/* A second panic, on this CPU or another, would tell of the first one's ruins. The others stop where they are. */
static void panic_begin(void)
{
	cli();
	if (__atomic_exchange_n(&host.panicking, true, __ATOMIC_ACQ_REL))
		host_halt();
	smp_stop_others();
	/* Whoever had them is not coming back. */
	console_break_locks(&host.console);
	log_break_lock();
}

static void print_frame(u64 rip)
{
	const char *name = NULL;
	u64 offset = 0;

	if (rip >= (u64)image_start && rip < (u64)image_text_end)
		name = ksym_lookup(rip, &offset);
	if (name)
		panic_print("  %016llx %s+%#llx", (unsigned long long)rip, name,
			    (unsigned long long)offset);
	else
		panic_print("  %016llx", (unsigned long long)rip);
}

/* Whether a frame of two words at `rbp` lies in one of our stacks. */
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

static void backtrace(u64 rip, u64 rbp)
{
	panic_print("backtrace:");
	if (rip)
		print_frame(rip);
	for (unsigned n = 0; n < BACKTRACE_MAX && frame_is_sane(rbp); n++) {
		const u64 *frame = (const u64 *)rbp;

		if (!frame[1])
			break;
		print_frame(frame[1]);
		if (frame[0] <= rbp && frame_is_sane(frame[0]))
			break; /* frames go upwards on one stack */
		rbp = frame[0];
	}
}

static void print_log_line(unused void *arg, const char *line, size_t len)
{
	panic_print("| %.*s", (int)len, line);
}

static _Noreturn void panic_end(u64 rip, u64 rbp)
{
	const struct pcpu *cpu = pcpu_here();

	backtrace(rip, rbp);
	if (cpu->nmis || cpu->stray_irqs || cpu->apic_errors)
		panic_print("%llu NMIs, %llu stray interrupts, %llu local APIC errors so far",
			    (unsigned long long)cpu->nmis, (unsigned long long)cpu->stray_irqs,
			    (unsigned long long)cpu->apic_errors);
	panic_print("the last lines of the log:");
	log_replay(PANIC_LOG_LINES, print_log_line, NULL);
	host_end(host.on_error);
}

_Noreturn void host_panic(const char *fmt, ...)
{
	va_list ap;

	panic_begin();
	panic_print("panic: Havoc itself has failed, on CPU %u:", pcpu_here()->number);
	va_start(ap, fmt);
	panic_vprint(fmt, ap);
	va_end(ap);
	panic_end(0, read_rbp());
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

_Noreturn void panic_trap(const struct trap_frame *f)
{
	const char *name = f->vector < 32 ? exception_names[f->vector] : NULL;

	panic_begin();
	panic_print("panic: %s, error code %#llx, at %04llx:%016llx%s",
		    name ? name : "unknown exception", (unsigned long long)f->error,
		    (unsigned long long)f->cs, (unsigned long long)f->rip, fault_note(f));
	print_registers(f);
	panic_end(f->rip, f->rbp);
}
