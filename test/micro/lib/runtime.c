/* SPDX-License-Identifier: MIT */
/*
 * The micro guests' runtime: start, verdicts, output, exceptions, memory. See micro.h. Devices are in devices.c.
 */
#include <stdarg.h>

#include "micro.h"

void micro_start(void);
void trap_dispatch(struct frame *f);
void trap_entries(void);
void ring3_return(void);
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);

u8 micro_stack[16384] aligned(16);
extern u8 micro_stack_top[];
__asm__(".globl micro_stack_top\n.set micro_stack_top, micro_stack + 16384");
u64 micro_zero_page;

static u8 trap_stack[16384] aligned(16);
static u8 ist_stack[8192] aligned(16);

/* ---- Output -------------------------------------------------------------------------------- */

/* Where put() goes when fail() collects its text. */
static char *put_to, *put_end;

static void put(char c)
{
	unsigned tries = 0;

	if (put_to) {
		if (put_to < put_end)
			*put_to++ = c;
		return;
	}

	while (!(inb(UART + 5) & BIT(5)) && ++tries < 1000000)
		;
	outb(UART, (u8)c);
}

static void put_number(u64 v, unsigned base, int width, char pad, bool negative)
{
	char buf[24];
	int n = 0;

	do {
		buf[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative)
		buf[n++] = '-';
	for (; width > n; width--)
		put(pad);
	while (n)
		put(buf[--n]);
}

static void put_argument(const char **fmt, va_list ap)
{
	const char *p = *fmt;
	char pad = *p == '0' ? '0' : ' ';
	int width = 0, longs = 0;
	s64 s;

	for (; *p >= '0' && *p <= '9'; p++)
		width = width * 10 + *p - '0';
	for (; *p == 'l'; p++)
		longs++;
	switch (*p) {
	case 's':
		for (const char *t = va_arg(ap, const char *); *t; t++)
			put(*t);
		break;
	case 'c':
		put((char)va_arg(ap, int));
		break;
	case 'd':
		s = longs ? va_arg(ap, long long) : va_arg(ap, int);
		put_number(s < 0 ? 0 - (u64)s : (u64)s, 10, width, pad, s < 0);
		break;
	case 'u':
	case 'x':
		put_number(longs ? va_arg(ap, unsigned long long) : va_arg(ap, unsigned),
			   *p == 'u' ? 10 : 16, width, pad, false);
		break;
	default:
		put(*p);
	}
	*fmt = p + 1;
}

static void print_v(const char *fmt, va_list ap)
{
	while (*fmt) {
		if (*fmt == '%') {
			fmt++;
			put_argument(&fmt, ap);
			continue;
		}
		if (*fmt == '\n')
			put('\r');
		put(*fmt++);
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_v(fmt, ap);
	va_end(ap);
}

/* A test may have left the UART in any state. */
static void uart_init(void)
{
	outb(UART + 3, 0x03);
	outb(UART + 1, 0);
	outb(UART + 2, 0x01);
	outb(UART + 4, 0x03);
}

_Noreturn void power_off(void)
{
	cli();
	while (!(inb(UART + 5) & BIT(6)))
		;
	outw(PM1_CNT, 5 << 10 | 1 << 13);
	outb(0xf4, 0); /* `make micro-bare`: the emulator's own exit */
	for (;;)
		hlt();
}

static char why[200];
static const char *verdict_word;
static u32 ending;

/* Of several CPUs that have something to say, one does. */
static void only_one_ends(void)
{
	if (!__atomic_exchange_n(&ending, 1, __ATOMIC_SEQ_CST))
		return;
	for (;;)
		__asm__ volatile("pause");
}

/* The gate of vector 0x81 leads here too: a test may fail in ring 3. */
static _Noreturn void verdict(void)
{
	cli();
	uart_init();
	print("%s %s%s%s\n", verdict_word, MICRO_NAME, why[0] ? ": " : "", why);
	power_off();
}

static _Noreturn void end(const char *word, const char *fmt, va_list ap)
{
	u16 cs;

	only_one_ends();
	verdict_word = word;
	put_to = why;
	put_end = why + sizeof(why) - 1;
	print_v(fmt, ap);
	put_to = NULL;
	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	if (cs & 3)
		__asm__ volatile("int $0x81");
	verdict();
}

_Noreturn void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end("FAIL", fmt, ap);
}

_Noreturn void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end("SKIP", fmt, ap);
}

void pass_early(void)
{
	cli();
	uart_init();
	print("PASS %s\n", MICRO_NAME);
	while (!(inb(UART + 5) & BIT(6)))
		;
}

/* ---- Descriptor tables and exceptions ------------------------------------------------------- */

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
} packed;

static struct {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, iomap;
} packed tss;

static struct gate idt[256] aligned(16);

u64 gdt[12] = {
	0,
	0x00af9b000000ffffULL, /* 64-bit code */
	0x00cf93000000ffffULL, /* data */
	0x00cf9b000000ffffULL, /* 32-bit code */
	0x000f9b000000ffffULL, /* 16-bit code, 1 MiB */
	0x000f93000000ffffULL, /* 16-bit data */
	0x00cff3000000ffffULL, /* user data */
	0x00affb000000ffffULL, /* user 64-bit code */
	0,
	0, /* TSS, two entries */
};

trap_fn *trap_handlers[256];
volatile struct caught caught;
volatile u64 trap_fixup;

void gate_set(unsigned vector, void (*entry)(void), unsigned ist, unsigned dpl)
{
	u64 a = (u64)entry;

	idt[vector] = (struct gate){
		.offset_low = (u16)a,
		.selector = SEL_CODE64,
		.ist = (u8)ist,
		.type = (u8)(0x8e | dpl << 5),
		.offset_mid = (u16)(a >> 16),
		.offset_high = (u32)(a >> 32),
	};
}

void gate_remove(unsigned vector)
{
	idt[vector].type &= ~0x80;
}

void (*trap_entry(unsigned vector))(void)
{
	return (void (*)(void))((u64)trap_entries + (u64)vector * 16);
}

static void tables_init(void)
{
	struct desc_ptr p;
	unsigned v;

	for (v = 0; v < 256; v++)
		gate_set(v, trap_entry(v), 0, 0);
	gate_set(VEC_DF, trap_entry(VEC_DF), 1, 0);
	gate_set(0x80, ring3_return, 0, 3);
	gate_set(0x81, (void (*)(void))verdict, 0, 3);
	tss.rsp[0] = (u64)trap_stack + sizeof(trap_stack);
	tss.ist[0] = (u64)ist_stack + sizeof(ist_stack);
	tss.iomap = sizeof(tss);
	gdt[8] = ((u64)&tss & 0xffffff) << 16 | ((u64)&tss >> 24 & 0xff) << 56 | 0x890000000000ULL |
		 (sizeof(tss) - 1);
	gdt[9] = (u64)&tss >> 32;
	p = (struct desc_ptr){sizeof(gdt) - 1, (u64)gdt};
	lgdt(&p);
	p = (struct desc_ptr){sizeof(idt) - 1, (u64)idt};
	lidt(&p);
	__asm__ volatile("pushq %0; pushq $1f; lretq; 1:\n\t"
			 "mov %1, %%ds; mov %1, %%es; mov %1, %%ss; mov %2, %%fs; mov %2, %%gs"
			 :
			 : "i"(SEL_CODE64), "r"(SEL_DATA), "r"(0)
			 : "memory");
	ltr(SEL_TSS);
}

void trap_dispatch(struct frame *f)
{
	if (trap_handlers[f->vector]) {
		trap_handlers[f->vector](f);
		return;
	}
	if (f->vector < 32 && trap_fixup) {
		caught.vector = (int)f->vector;
		caught.error = f->error;
		caught.rip = f->rip;
		if (f->vector == VEC_PF)
			caught.cr2 = read_cr2();
		f->rip = trap_fixup;
		f->rflags &= ~RFLAGS_TF;
		trap_fixup = 0;
		return;
	}
	fail("unexpected vector %u (error 0x%llx, cr2 0x%llx) at rip 0x%llx cs 0x%llx",
	     (unsigned)f->vector, (unsigned long long)f->error, (unsigned long long)read_cr2(),
	     (unsigned long long)f->rip, (unsigned long long)f->cs);
}

int try_rdmsr(u32 msr, u64 *value)
{
	u32 lo = 0, hi = 0;
	int v = TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");

	*value = (u64)hi << 32 | lo;
	return v;
}

int try_wrmsr(u32 msr, u64 value)
{
	return TRY("wrmsr", : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/* ---- Memory -------------------------------------------------------------------------------- */

#define POOL_PAGES 64
#define PDE_FLAGS  0x87 /* P W U, 2 MiB */

static u8 pool[POOL_PAGES][4096] aligned(4096);
static unsigned pool_used;
static u64 pml4[512] aligned(4096), pdpt[512] aligned(4096), pd[4][512] aligned(4096);

void *page_alloc(void)
{
	check(pool_used < POOL_PAGES, "the test needs more than %d pages", POOL_PAGES);
	return pool[pool_used++];
}

static void paging_init(void)
{
	unsigned i;

	for (i = 0; i < 4 * 512; i++)
		pd[i / 512][i % 512] = (u64)i << 21 | PDE_FLAGS;
	for (i = 0; i < 4; i++)
		pdpt[i] = (u64)pd[i] | 7;
	pml4[0] = (u64)pdpt | 7;
	write_cr3((u64)pml4);
	/* As every kernel has it: what the hypervisor does for a guest with and without is not the same. */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
}

u64 *page_entry(u64 va)
{
	u64 *pde = &pd[va >> 30][va >> 21 & 511];
	unsigned i;

	if (*pde & BIT(7)) {
		u64 *table = page_alloc();

		for (i = 0; i < 512; i++)
			table[i] = (*pde & ~0x1fffffULL) + i * 4096 + 7;
		*pde = (u64)table | 7;
	}
	return (u64 *)(*pde & ~0xfffULL) + (va >> 12 & 511);
}

void *memory_copy(void *to, const void *from, u64 n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memory_set(void *to, int byte, u64 n)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
	return to;
}

bool memory_equal(const void *a, const void *b, u64 n)
{
	const u8 *x = a, *y = b;

	while (n--)
		if (*x++ != *y++)
			return false;
	return true;
}

/* The compiler calls these. */
void *memcpy(void *to, const void *from, size_t n)
{
	return memory_copy(to, from, n);
}

void *memset(void *to, int byte, size_t n)
{
	return memory_set(to, byte, n);
}

void micro_start(void)
{
	uart_init();
	tables_init();
	paging_init();
	test();
	pass_early();
	power_off();
}
