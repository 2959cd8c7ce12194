/* SPDX-License-Identifier: MIT */
/*
 * Process-context identifiers and INVPCID: translations outlive a MOV to CR3 that asks for it and no other, and INVPCID drops what its type says.
 * Without the CPUID bits, CR4.PCIDE faults and INVPCID is undefined. RDTSCP and RDPID tell IA32_TSC_AUX. SDM vol. 3 "Process-Context Identifiers
 * (PCIDs)"; vol. 2 "INVPCID", "RDTSCP", "RDPID".
 *
 * ALSO: vmx:corei7_icelake_u
 */
#include "micro.h"

#define WINDOW 0xc0000000ULL

static u64 *entry;
static u64 frame_a, frame_b;

static void map(u64 frame)
{
	*entry = frame | PTE_P | PTE_W;
}

/* Memory shows the frame that the entry names now. */
static void fresh(const char *what, u64 wanted)
{
	check(read64(WINDOW) == wanted, "%s: it reads 0x%llx, not 0x%llx", what,
	      (unsigned long long)read64(WINDOW), (unsigned long long)wanted);
}

static int invpcid(u64 type, u64 pcid, u64 address)
{
	u64 descriptor[2] = {pcid, address};

	return TRY("invpcid %0, %1", : : "m"(descriptor), "r"(type) : "memory");
}

/* A CPU may drop translations whenever it likes: only what must be gone is looked at. */
static void contexts(void)
{
	u64 cr3 = read_cr3();
	unsigned type;

	write_cr4(read_cr4() | CR4_PCIDE);
	check_equal("CR4.PCIDE", read_cr4() & CR4_PCIDE, CR4_PCIDE);
	write_cr3(cr3 | 5);
	check_equal("CR3 with PCID 5", read_cr3(), cr3 | 5);
	map(frame_a);
	fresh("PCID 5", frame_a);
	map(frame_b);
	/* Bit 63 is not kept. */
	write_cr3(cr3 | 6 | CR3_NOFLUSH);
	check_equal("CR3 with PCID 6, not flushed", read_cr3(), cr3 | 6);
	write_cr3(cr3 | 5);
	fresh("MOV to CR3 without bit 63", frame_b);
	/* CPUID between: what the hypervisor does must not bring the old one back. */
	for (type = 0; type < 4; type++) {
		u32 r[4];

		map(frame_a);
		invlpg((void *)WINDOW);
		fresh("INVLPG", frame_a);
		map(frame_b);
		cpuid_count(0, 0, r);
		if (invpcid(type, 5, type ? 0 : WINDOW) != NO_FAULT)
			fail("INVPCID type %u: vector %d", type, caught.vector);
		fresh("INVPCID", frame_b);
	}
	check_equal("INVPCID type 4: vector", invpcid(4, 0, 0), VEC_GP);
	check_equal("INVPCID with a reserved bit: vector", invpcid(1, BIT(12), 0), VEC_GP);
	check_equal("INVPCID of an address that is not canonical: vector", invpcid(0, 5, BIT(60)),
		    VEC_GP);
	check_equal("CR0.PG cannot be cleared in 64-bit mode: vector",
		    TRY("mov %0, %%cr0",
			:
			: "r"(read_cr0() & ~CR0_PG)
			: "memory"),
		    VEC_GP);
	write_cr3(cr3);
	write_cr4(read_cr4() & ~CR4_PCIDE);
	/* Without PCIDE only PCID 0 is used. */
	check_equal("INVPCID of PCID 5 without PCIDE: vector", invpcid(1, 5, 0), VEC_GP);
	check_equal("INVPCID of PCID 0 without PCIDE: vector", invpcid(1, 0, 0), NO_FAULT);
}

static volatile int in_ring3_vector;

static void in_ring3(void)
{
	in_ring3_vector = invpcid(2, 0, 0);
}

static void tsc_aux(bool rdtscp, bool rdpid)
{
	u64 v = 0, hi = 0, aux = 0, tsc;

	if (!rdtscp) {
		check_equal("RDTSCP: vector",
			    TRY("rdtscp",
				:
				:
				: "rax", "rcx", "rdx", "memory"),
			    VEC_UD);
		check_equal("IA32_TSC_AUX: vector", try_rdmsr(MSR_TSC_AUX, &v), VEC_GP);
	} else {
		wrmsr(MSR_TSC_AUX, 0x89abcdef);
		tsc = rdtsc();
		aux = ~0ULL;
		check_equal("RDTSCP: vector",
			    TRY("rdtscp",
				: "=a"(v), "=d"(hi), "+c"(aux)
				:
				: "memory"),
			    NO_FAULT);
		check_equal("RDTSCP: RCX", aux, 0x89abcdef);
		check((hi << 32 | v) >= tsc && (hi << 32 | v) <= rdtsc(),
		      "RDTSCP and RDTSC tell other times");
		check_equal("IA32_TSC_AUX of 33 bits: vector", try_wrmsr(MSR_TSC_AUX, BIT(32)),
			    VEC_GP);
		write_cr4(read_cr4() | CR4_TSD);
		check_equal("RDTSCP in ring 0 with CR4.TSD: vector",
			    TRY("rdtscp",
				:
				:
				: "rax", "rcx", "rdx", "memory"),
			    NO_FAULT);
		write_cr4(read_cr4() & ~CR4_TSD);
	}
	v = ~0ULL;
	if (!rdpid) {
		check_equal("RDPID: vector",
			    TRY(".byte 0xf3, 0x0f, 0xc7, 0xf8",
				: "+a"(v)
				:
				: "memory"),
			    VEC_UD);
		return;
	}
	check_equal("RDPID: vector",
		    TRY(".byte 0xf3, 0x0f, 0xc7, 0xf8",
			: "+a"(v)
			:
			: "memory"),
		    NO_FAULT);
	check_equal("RDPID", v, 0x89abcdef);
}

void test(void)
{
	u32 one[4], seven[4], x[4];

	cpuid_count(1, 0, one);
	cpuid_count(7, 0, seven);
	cpuid_count(0x80000001, 0, x);
	frame_a = (u64)page_alloc();
	frame_b = (u64)page_alloc();
	write64(frame_a, frame_a);
	write64(frame_b, frame_b);
	entry = page_entry(WINDOW);
	tsc_aux(x[CPUID_EDX] & CPUIDX1D_RDTSCP, seven[CPUID_ECX] & CPUID7C_RDPID);
	if (!(seven[CPUID_EBX] & CPUID7B_INVPCID)) {
		check_equal("INVPCID: vector", invpcid(2, 0, 0), VEC_UD);
	} else {
		ring3_run(in_ring3);
		check_equal("INVPCID in ring 3: vector", in_ring3_vector, VEC_GP);
	}
	if (one[CPUID_ECX] & CPUID1C_PCID && seven[CPUID_EBX] & CPUID7B_INVPCID)
		contexts();
}
