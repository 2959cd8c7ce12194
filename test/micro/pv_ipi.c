/* SPDX-License-Identifier: MIT */
/*
 * OPTIONS: cpus=4
 *
 * KVM_HC_SEND_IPI: one call reaches the CPUs of a bitmap that begins at any APIC ID, each once, oneself too, by any mode of the
 * ICR that the machine has; it says how many took it. Nobody is reached by IDs that no CPU has, by vectors below 16, by a
 * bitmap that begins at the end of all numbers; logical mode and shorthands are refused. In 32-bit code the bitmap's second half begins
 * at 32. Above ring 0 nothing is sent. Linux Documentation/virt/kvm/x86/hypercalls.rst.
 */
#include "smp.h"

#define SEND_IPI 10
#define EPERM    1
#define EINVAL   22

#define CPUS 4

static volatile unsigned ipis[CPUS], nmis, told;
static unsigned want[CPUS];

static void on_ipi(struct frame *f)
{
	(void)f;
	ipis[apic_read(APIC_ID) >> 24]++;
	apic_eoi();
}

static void on_nmi(struct frame *f)
{
	(void)f;
	__atomic_fetch_add(&nmis, 1, __ATOMIC_SEQ_CST);
}

static void others(unsigned id)
{
	(void)id;
	for (;;)
		__asm__ volatile("sti; hlt" : : : "memory");
}

static s64 send(u64 low, u64 high, u64 min, u64 icr)
{
	return kvm_hypercall(SEND_IPI, low, high, min, icr);
}

/* The CPUs of `set` have one more, and the others have none. */
static void arrived(const char *what, unsigned set)
{
	unsigned i;

	for (i = 0; i < CPUS; i++) {
		want[i] += set >> i & 1;
		check(wait_for(&ipis[i], want[i], 5000000), "%s: CPU %u has no IPI", what, i);
	}
	delay_us(200);
	for (i = 0; i < CPUS; i++)
		check(ipis[i] == want[i], "%s: CPU %u has %u IPIs, not %u", what, i, ipis[i],
		      want[i]);
}

static void expect(const char *what, s64 got, s64 wanted, unsigned set)
{
	check(got == wanted, "%s: %lld, not %lld", what, (long long)got, (long long)wanted);
	arrived(what, set);
}

static s64 members(unsigned set)
{
	s64 n = 0;

	for (; set; set &= set - 1)
		n++;
	return n;
}

static void good(void)
{
	unsigned set;

	for (set = 0; set < 1 << CPUS; set++)
		expect("a set of CPUs", send(set, 0, 0, 0x40), members(set), set);
	expect("from APIC ID 2", send(3, 0, 2, 0x40), 2, 0xc);
	expect("lowest priority", send(6, 0, 0, 0x140), 2, 6);
	expect("NMI", send(0xe, 0, 0, 0x400), 3, 0);
	check(wait_for(&nmis, 3, 5000000), "%u NMIs of 3", nmis);
	expect("all that there might be", send(~0ULL, ~0ULL, 0, 0x40), 4, 0xf);
}

static void nonsense(void)
{
	expect("logical mode", send(0xf, 0, 0, 0x840), -EINVAL, 0);
	expect("a shorthand", send(0xf, 0, 0, 0xc0040), -EINVAL, 0);
	expect("CPUs that are not there", send(~0xfULL, ~0ULL, 0, 0x40), 0, 0);
	expect("far away", send(~0ULL, ~0ULL, 1000000, 0x40), 0, 0);
	expect("the last number", send(~0ULL, ~0ULL, 0xffffffff, 0x40), 0, 0);
	expect("close to it", send(~0ULL, ~0ULL, 0xffffffc0, 0x40), 0, 0);
	expect("vector 5", send(0xf, 0, 0, 5), 0, 0);
	expect("SMI", send(0xf, 0, 0, 0x200), 0, 0);
	expect("a reserved mode", send(0xf, 0, 0, 0x340), 0, 0);
	expect("INIT, de-asserted", send(0xe, 0, 0, 0x8500), 0, 0);
	expect("a start-up IPI to CPUs that run", send(0xe, 0, 0, 0x608), 3, 0);
}

/* IDs 1 and 32 in 32-bit code: EBX, ECX. What is above them does not count. */
extern volatile u32 result32, amd32;
volatile u32 result32, amd32;

void call32(void);
__asm__(".pushsection .text\n"
	".code32\n"
	"call32: push %ebx; push %esi\n"
	"	mov $10, %eax; mov $2, %ebx; mov $1, %ecx; xor %edx, %edx; mov $0x40, %esi\n"
	"	cmpl $0, amd32\n"
	"	jne 1f\n"
	"	vmcall\n"
	"	jmp 2f\n"
	"1:	vmmcall\n"
	"2:	mov %eax, result32\n"
	"	pop %esi; pop %ebx\n"
	"	ret\n"
	".code64\n"
	".popsection\n");

static void ring3(void)
{
	told = send(0xf, 0, 0, 0x40) == -EPERM && kvm_hypercall(5, 0, 1, 0, 0) == -EPERM &&
	       kvm_hypercall(11, 1, 0, 0, 0) == -EPERM && kvm_hypercall(12, 0, 0, 0, 0) == -EPERM;
}

void test(void)
{
	unsigned i;
	u64 start;
	u32 r[4];

	cpuid_count(0x40000001, 0, r);
	check(r[CPUID_EAX] & BIT(11), "PV IPIs are not offered");
	trap_handlers[0x40] = on_ipi;
	trap_handlers[VEC_NMI] = on_nmi;
	apic_enable();
	smp_init(CPUS, others);
	for (i = 1; i < CPUS; i++)
		smp_start(i);
	good();
	nonsense();
	amd32 = is_amd();
	protected_run(call32);
	expect("in 32-bit code", result32, 1, 2);
	ring3_run(ring3);
	check(told, "ring 3 is not refused");
	arrived("ring 3", 0);
	/* A CPU that is stopped takes none, and is there again when it has been started. */
	check_equal("INIT by a call", (u64)send(8, 0, 0, 0x4500), 1);
	start = rdtsc();
	while (send(8, 0, 0,
		    0x40)) { /* until it has taken it, and whatever comes behind is nothing to it */
		check(rdtsc() - start < 5 * tsc_hz(), "CPU 3 takes no INIT");
		sti_nop_cli();
	}
	expect("to a CPU that waits for a start-up IPI", send(0xc, 0, 0, 0x40), 1, 4);
	smp_start(3);
	expect("to it again", send(0xc, 0, 0, 0x40), 2, 0xc);
}
