/* SPDX-License-Identifier: MIT */
/*
 * Page faults reach the guest with the right error code and CR2, whether the CPU finds them or the hypervisor does: ordinary accesses,
 * string port I/O, and an MMIO instruction whose other operand is not there. Accessed and dirty bits are set. SDM vol. 3 "Page-Fault
 * Exceptions".
 */
#include "micro.h"

static u8 *page, *mmio;

static void expect(const char *what, int vector, u64 error, const void *address)
{
	check(vector == VEC_PF, "%s: vector %d", what, vector);
	check(caught.error == error, "%s: error code 0x%llx, not 0x%llx", what,
	      (unsigned long long)caught.error, (unsigned long long)error);
	check(caught.cr2 == (u64)address, "%s: CR2 0x%llx, not 0x%llx", what,
	      (unsigned long long)caught.cr2, (unsigned long long)address);
}

static void map(u64 flags)
{
	*page_entry((u64)page) = (u64)page | flags;
	invlpg(page);
}

#define LOAD(p)  TRY("mov (%0), %%eax", : : "r"(p) : "rax", "memory")
#define STORE(p) TRY("mov %%eax, (%0)", : : "r"(p) : "memory")
/* Carried out by the hypervisor: the port exits, then it finds the page missing. */
#define OUTS(p) TRY("outsb", : : "S"(p), "d"(UART + 7) : "memory")
#define INS(p)  TRY("insb", : : "D"(p), "d"(UART + 7) : "memory")
/* From or to a device, which exits. */
#define FROM_MMIO(p) TRY("movsl", : : "S"(mmio), "D"(p) : "memory")
#define TO_MMIO(p)   TRY("movsl", : : "S"(p), "D"(mmio) : "memory")

static volatile int v3;

static void load_in_ring3(void)
{
	v3 = LOAD(page);
}

static void store_in_ring3(void)
{
	v3 = STORE(page);
}

static void jump_in_ring3(void)
{
	v3 = TRY("jmp *%0", : : "r"(page) : "memory");
}

static void absent(void)
{
	map(0);
	expect("load", LOAD(page + 8), 0, page + 8);
	expect("store", STORE(page + 8), PFEC_W, page + 8);
	expect("OUTS", OUTS(page + 9), 0, page + 9);
	expect("INS", INS(page + 10), PFEC_W, page + 10);
	expect("MOVS from a device", FROM_MMIO(page + 12), PFEC_W, page + 12);
	expect("MOVS to a device", TO_MMIO(page + 12), 0, page + 12);
	expect("OUTS into the page", OUTS(page - 1 + 1), 0, page);
	expect("a load that ends in it", LOAD(page - 2), 0, page);
	expect("MOVS to a device, ending in it", TO_MMIO(page - 2), 0, page);
	ring3_run(load_in_ring3);
	expect("load in ring 3", v3, PFEC_U, page);
}

static void rights(void)
{
	map(PTE_P | PTE_U);
	write_cr0(read_cr0() | CR0_WP);
	expect("store to a read-only page", STORE(page), PFEC_P | PFEC_W, page);
	expect("INS to a read-only page", INS(page), PFEC_P | PFEC_W, page);
	expect("MOVS from a device to a read-only page", FROM_MMIO(page), PFEC_P | PFEC_W, page);
	write_cr0(read_cr0() & ~CR0_WP);
	check_equal("store without CR0.WP", STORE(page), NO_FAULT);
	check_equal("INS without CR0.WP", INS(page), NO_FAULT);
	ring3_run(store_in_ring3);
	expect("store to a read-only page in ring 3", v3, PFEC_P | PFEC_W | PFEC_U, page);
	map(PTE_P | PTE_W);
	ring3_run(load_in_ring3);
	expect("load of the kernel's page in ring 3", v3, PFEC_P | PFEC_U, page);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	map(PTE_P | PTE_W | PTE_U | PTE_NX);
	memory_set(page, 0xcc, 4096);
	expect("execution of an NX page",
	       TRY("jmp *%0",
		   :
		   : "r"(page)
		   : "memory"),
	       PFEC_P | PFEC_I, page);
	ring3_run(jump_in_ring3);
	expect("execution of an NX page in ring 3", v3, PFEC_P | PFEC_I | PFEC_U, page);
	map(PTE_P | PTE_W | PTE_U | BIT(51));
	check_equal("a reserved bit: vector", LOAD(page), VEC_PF);
	check_equal("a reserved bit: error code",
		    caught.error | PFEC_P, /* QEMU's CPU leaves P out */
		    PFEC_P | PFEC_RSV);
	expect("a reserved bit, found by OUTS", OUTS(page), PFEC_P | PFEC_RSV, page);
}

static void accessed_dirty(void)
{
	u64 *entry = page_entry((u64)page);

	map(PTE_P | PTE_W | PTE_U);
	check_equal("OUTS", OUTS(page), NO_FAULT);
	check_equal("A and D after OUTS", *entry & 0x60, 0x20);
	check_equal("INS", INS(page), NO_FAULT);
	check_equal("A and D after INS", *entry & 0x60, 0x60);
	map(PTE_P | PTE_W | PTE_U);
	check_equal("MOVS from a device", FROM_MMIO(page), NO_FAULT);
	check_equal("A and D after MOVS from a device", *entry & 0x60, 0x60);
}

/* SMEP and SMAP, where the CPU has them. */
static void supervisor_protection(void)
{
	u32 r[4];

	cpuid_count(7, 0, r);
	if (!(r[CPUID_EBX] & CPUID7B_SMAP))
		return;
	/* The rest of memory is user memory too: only this page must be, while SMAP is on. AC lets all others pass. */
	map(PTE_P | PTE_W | PTE_U);
	__asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory", "cc");
	write_cr4(read_cr4() | CR4_SMAP);
	check_equal("load with SMAP and AC", LOAD(page), NO_FAULT);
	check_equal("OUTS with SMAP and AC", OUTS(page), NO_FAULT);
	write_cr4(read_cr4() & ~CR4_SMAP);
	__asm__ volatile("pushfq; andq $~0x40000, (%%rsp); popfq" : : : "memory", "cc");
}

void test(void)
{
	page_alloc();
	page = page_alloc();
	mmio = (u8 *)HOLE;
	absent();
	rights();
	accessed_dirty();
	supervisor_protection();
}
