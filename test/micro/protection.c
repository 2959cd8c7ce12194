/* SPDX-License-Identifier: MIT */
/*
 * SMEP, SMAP and UMIP where CPUID has them: what they forbid faults with the right error code, by the CPU's own accesses and by those that
 * the hypervisor carries out (a device's page, string port I/O). Without the CPUID bit, the bit of CR4 faults. SDM vol. 3 "Determination of Access
 * Rights", "Supervisor-Mode Access Prevention"; vol. 2 "SMSW", "SGDT".
 *
 * ALSO: vmx:corei7_icelake_u
 */
#include "micro.h"

static u8 *user_page;
static volatile int ring3_vector[5];
static volatile u64 ring3_error;
static u8 operand[16];

/* A page of the local APIC that ring 3 may reach, one that it may not, and such pages of RAM. */
#define APIC_USER 0xc0000000ULL
#define APIC_SUP  0xc0001000ULL

static void map_apic(void)
{
	*page_entry(APIC_USER) = LAPIC | PTE_P | PTE_W | PTE_U;
	*page_entry(APIC_SUP) = LAPIC | PTE_P | PTE_W;
	invlpg((void *)APIC_USER);
	invlpg((void *)APIC_SUP);
}

static void absent(u64 cr4, const char *name)
{
	check(TRY("mov %0, %%cr4",
		  :
		  : "r"(read_cr4() | cr4)
		  : "memory") == VEC_GP,
	      "CR4.%s can be set although CPUID has it not", name);
}

/* The kernel's own code lies on pages that ring 3 may use: they lose that, page by page, before SMEP is turned on. */
static void kernel_to_supervisor(void)
{
	u64 va;

	for (va = 0x1000000; va < 0x1400000; va += 4096) {
		if (va != (u64)user_page)
			*page_entry(va) &= ~PTE_U;
	}
	for (va = 0; va < 0x200000; va += 4096)
		*page_entry(va) &= ~PTE_U;
	write_cr3(read_cr3());
}

static void smep(void)
{
	user_page[0] = 0x0f; /* UD2 */
	user_page[1] = 0x0b;
	write_cr4(read_cr4() | CR4_SMEP);
	check_equal("SMEP: a jump to a user page: vector",
		    TRY("jmp *%0",
			:
			: "r"(user_page)
			: "memory"),
		    VEC_PF);
	check_equal("SMEP: its error code", caught.error, PFEC_P | PFEC_I);
	check_equal("SMEP: its CR2", caught.cr2, user_page);
	write_cr4(read_cr4() & ~CR4_SMEP);
}

static int try_outs(u64 from)
{
	return TRY("outsb", : "+S"(from) : "d"(UART + 7) : "memory");
}

static int try_read(u64 from)
{
	u32 v;

	return TRY("mov (%1), %0", : "=r"(v) : "r"(from) : "memory");
}

static int try_write(u64 to)
{
	return TRY("movl $0, (%0)", : : "r"(to) : "memory");
}

static void smap_denies(const char *what, int vector, u64 error)
{
	check(vector == VEC_PF, "SMAP: %s: vector %d, not #PF", what, vector);
	check(caught.error == error, "SMAP: %s: error code 0x%llx", what,
	      (unsigned long long)caught.error);
}

static void smap(void)
{
	user_page[8] = 0x77;
	write_cr4(read_cr4() | CR4_SMAP);
	clac();
	smap_denies("a read", try_read((u64)user_page), PFEC_P);
	smap_denies("a write", try_write((u64)user_page), PFEC_P | PFEC_W);
	smap_denies("a read of a device", try_read(APIC_USER + APIC_VERSION), PFEC_P);
	smap_denies("a write of a device", try_write(APIC_USER + APIC_TPR), PFEC_P | PFEC_W);
	smap_denies("OUTS", try_outs((u64)user_page + 8), PFEC_P);
	check_equal("SMAP: CR2 of OUTS", caught.cr2, (u64)user_page + 8);
	/* RFLAGS.AC lifts it. */
	__asm__ volatile("stac");
	check_equal("SMAP, AC: a read: vector", try_read((u64)user_page), NO_FAULT);
	check_equal("SMAP, AC: a device: vector", try_read(APIC_USER + APIC_VERSION), NO_FAULT);
	check_equal("SMAP, AC: OUTS: vector", try_outs((u64)user_page + 8), NO_FAULT);
	check_equal("SMAP, AC: what OUTS has written", inb(UART + 7), 0x77);
	clac();
	/* A supervisor's page is no matter of it. */
	check_equal("SMAP: a device's supervisor page: vector", try_read(APIC_SUP + APIC_VERSION),
		    NO_FAULT);
	write_cr4(read_cr4() & ~CR4_SMAP);
}

static void umip_ring3(void)
{
	ring3_vector[0] = TRY("sgdt %0", : "=m"(operand) : : "memory");
	ring3_error = caught.error;
	ring3_vector[1] = TRY("sidt %0", : "=m"(operand) : : "memory");
	ring3_vector[2] = TRY("sldt %%eax", : : : "rax", "memory");
	ring3_vector[3] = TRY("str %%eax", : : : "rax", "memory");
	ring3_vector[4] = TRY("smsw %%eax", : : : "rax", "memory");
}

static void check_umip(const char *what, int wanted)
{
	unsigned i;

	ring3_run(umip_ring3);
	for (i = 0; i < ARRAY_SIZE(ring3_vector); i++)
		check(ring3_vector[i] == wanted, "%s: instruction %u in ring 3: vector %d, not %d",
		      what, i, ring3_vector[i], wanted);
}

static void umip(void)
{
	check_umip("without UMIP", NO_FAULT);
	write_cr4(read_cr4() | CR4_UMIP);
	check_umip("UMIP", VEC_GP);
	check_equal("UMIP: error code", ring3_error, 0);
	check_equal("UMIP: SGDT in ring 0: vector",
		    TRY("sgdt %0",
			: "=m"(operand)
			:
			: "memory"),
		    NO_FAULT);
	/* With CR0.CD, a read of which exits under SVM. */
	write_cr0(read_cr0() | CR0_CD);
	check_umip("UMIP, CR0.CD", VEC_GP);
	write_cr0(read_cr0() & ~CR0_CD);
	write_cr4(read_cr4() & ~CR4_UMIP);
}

void test(void)
{
	u32 r[4];

	cpuid_count(7, 0, r);
	user_page = page_alloc();
	map_apic();
	if (r[CPUID_ECX] & CPUID7C_UMIP)
		umip();
	else
		absent(CR4_UMIP, "UMIP");
	kernel_to_supervisor();
	if (r[CPUID_EBX] & CPUID7B_SMEP)
		smep();
	else
		absent(CR4_SMEP, "SMEP");
	if (r[CPUID_EBX] & CPUID7B_SMAP)
		smap();
	else
		absent(CR4_SMAP, "SMAP");
}
