/* SPDX-License-Identifier: MIT */
/*
 * The runtime that all micro guests share: a verdict on the serial line, exceptions, page tables, ring 3, local APIC, time.
 * A test is one file with `void test(void)`; its opening comment is its specification. It ends by returning (PASS), by
 * check() or fail() (FAIL), or by skip(); then the guest powers itself off.
 *
 * State at test(): 64-bit ring 0, interrupts off, memory below 4 GiB identity-mapped by 2 MiB pages that ring 3 may
 * use too, all vectors lead to trap_dispatch(), xAPIC mode, UART at 0x3f8 without interrupts.
 */
#ifndef MICRO_H
#define MICRO_H

#include <arch/cpuid.h>
#include <arch/insn.h>
#include <arch/msr.h>
#include <arch/regs.h>
#include <vmm/types.h>

/* ---- Verdicts and output ------------------------------------------------------------------- */

void test(void);

void print(const char *fmt, ...) printf_like(1, 2); /* %s %c %d %u %x %llx %llu and widths */
_Noreturn void fail(const char *fmt, ...) printf_like(1, 2);
_Noreturn void skip(const char *fmt, ...) printf_like(1, 2);
/* For tests whose last act ends the guest: says PASS now. */
void pass_early(void);
_Noreturn void power_off(void);

#define check(cond, ...)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail(__VA_ARGS__);                                                         \
	} while (0)
#define check_equal(what, got, wanted)                                                             \
	do {                                                                                       \
		u64 got_ = (u64)(got), wanted_ = (u64)(wanted);                                    \
		check(got_ == wanted_, "%s is 0x%llx, not 0x%llx", what, (unsigned long long)got_, \
		      (unsigned long long)wanted_);                                                \
	} while (0)

/* ---- The 32-bit entry ------------------------------------------------------------------------ */

/* What it found (header.S). All zero after the 64-bit one. */
struct entry {
	u32 eax, ebx, ecx, edx, esi, edi, ebp, eflags, cr0, cr4, efer;
	u16 cs, ds, es, ss;
};
extern const struct entry micro_entry;

/* ---- Exceptions and interrupts --------------------------------------------------------------- */

struct frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

/* Called for the vector; without one an exception under TRY is caught, and anything else fails the test. */
typedef void trap_fn(struct frame *f);
extern trap_fn *trap_handlers[256];

/* What the last TRY() met. */
struct caught {
	int vector; /* NO_FAULT if nothing happened */
	u64 error, cr2, rip;
};
extern volatile struct caught caught;
extern volatile u64 trap_fixup;

#define NO_FAULT (-1)

/*
 * Runs instructions that may fault; the value is the vector, or NO_FAULT. Works in ring 3 too. Operands follow as
 * in an asm statement:  TRY("rdmsr", : "=a"(lo), "=d"(hi) : "c"(msr) : "memory")
 */
#define TRY(insn, ...)                                                                             \
	({                                                                                         \
		caught.vector = NO_FAULT;                                                          \
		__asm__ volatile("movq $.Lfixup%=, trap_fixup\n\t" insn                            \
				 "\n.Lfixup%=:\n\tmovq $0, trap_fixup" __VA_ARGS__);               \
		caught.vector;                                                                     \
	})

int try_rdmsr(u32 msr, u64 *value);
int try_wrmsr(u32 msr, u64 value);

/* Gate of a vector: entry point, IST, and the privilege level that may call it by INT. */
void gate_set(unsigned vector, void (*entry)(void), unsigned ist, unsigned dpl);
void gate_remove(unsigned vector);         /* not present */
void (*trap_entry(unsigned vector))(void); /* the usual entry point */
void ring3_run(void (*fn)(void));
/* Calls 32-bit code in protected mode without paging and without an IDT; see protected.c. */
void protected_run(void (*code)(void));

/* Selectors of the GDT */
#define SEL_CODE64    0x08
#define SEL_DATA      0x10
#define SEL_CODE32    0x18
#define SEL_CODE16    0x20
#define SEL_DATA16    0x28
#define SEL_USER_DATA 0x33
#define SEL_USER_CODE 0x3b
#define SEL_TSS       0x40
#define SEL_TEST      0x50 /* and 0x58 */
extern u64 gdt[12];        /* the last two are free for a test */

/* ---- Memory ------------------------------------------------------------------------------- */

#define HOLE 0xd0000000ULL /* guest-physical, never RAM nor a device */

/* A cleared page below 4 GiB. */
void *page_alloc(void);
/* The entry of the 4 KiB page at `va` (below 4 GiB); splits the large page if need be. Call invlpg() after a change. */
u64 *page_entry(u64 va);

#define PTE_P  BIT(0)
#define PTE_W  BIT(1)
#define PTE_U  BIT(2)
#define PTE_NX BIT(63)

void *memory_copy(void *to, const void *from, u64 n);
void *memory_set(void *to, int byte, u64 n);
bool memory_equal(const void *a, const void *b, u64 n);

static inline u8 read8(u64 address)
{
	return *(volatile u8 *)address;
}
static inline u16 read16(u64 address)
{
	return *(volatile u16 *)address;
}
static inline u32 read32(u64 address)
{
	return *(volatile u32 *)address;
}
static inline u64 read64(u64 address)
{
	return *(volatile u64 *)address;
}
static inline void write8(u64 address, u8 v)
{
	*(volatile u8 *)address = v;
}
static inline void write16(u64 address, u16 v)
{
	*(volatile u16 *)address = v;
}
static inline void write32(u64 address, u32 v)
{
	*(volatile u32 *)address = v;
}
static inline void write64(u64 address, u64 v)
{
	*(volatile u64 *)address = v;
}

/* ---- Devices ------------------------------------------------------------------------------- */

#define UART      0x3f8
#define PM1_EVENT 0x600
#define PM1_CNT   0x604
#define PM_TIMER  0x608
#define PM_HZ     3579545
#define LAPIC     0xfee00000ULL
#define IOAPIC    0xfec00000ULL

/* Local APIC registers by their xAPIC offset, in whichever mode it is. */
enum {
	APIC_ID = 0x20,
	APIC_VERSION = 0x30,
	APIC_TPR = 0x80,
	APIC_PPR = 0xa0,
	APIC_EOI = 0xb0,
	APIC_LDR = 0xd0,
	APIC_DFR = 0xe0,
	APIC_SVR = 0xf0,
	APIC_ISR = 0x100,
	APIC_TMR = 0x180,
	APIC_IRR = 0x200,
	APIC_ESR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR2 = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_COUNT = 0x380,
	APIC_TIMER_NOW = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
	APIC_SELF_IPI = 0x3f0, /* x2APIC only */
};
#define APIC_LVT_MASKED   BIT(16)
#define APIC_LVT_PERIODIC BIT(17)
#define APIC_LVT_DEADLINE BIT(18)

void apic_enable(void); /* software enable, spurious vector 0xff */
void apic_use_x2apic(void);
u32 apic_read(unsigned offset);
void apic_write(unsigned offset, u32 value);
void apic_icr(u32 dest, u32 low);
static inline void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}
/* Is the vector's bit set in IRR or ISR? */
bool apic_bit(unsigned offset, unsigned vector);

u32 ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, u32 value);
void ioapic_route(unsigned pin, u64 entry);

u8 cmos_read(u8 index);
void cmos_write(u8 index, u8 value);
/* A byte of CMOS that outlives resets: 0 in a new guest. */
#define CMOS_STAGE 0x50

/* ---- Time ---------------------------------------------------------------------------------- */

u64 tsc_hz(void); /* measured by the PM timer */
void delay_us(u64 us);
/* Waits, with interrupts on, until `*flag` >= `count`; false after `us` microseconds. */
bool wait_for(volatile unsigned *flag, unsigned count, u64 us);

bool is_amd(void);

/* VMCALL or VMMCALL, by the CPU's vendor. */
s64 hypercall(u64 number, u64 a, u64 b, u64 c);
s64 kvm_hypercall(u64 number, u64 a, u64 b, u64 c, u64 d); /* KVM's registers */

#endif
