/* SPDX-License-Identifier: MIT */
/*
 * Protection keys where CPUID has them: CPUID and CR4 agree, PKRU outlives exits and is a component of XSAVE; what it denies faults, by the CPU's accesses and
 * by those that the hypervisor carries out. Where CPUID has them not, neither CR4.PKE nor RDPKRU is there. SDM vol. 3 "Protection Keys"; vol. 2 "RDPKRU".
 *
 * ALSO: vmx:corei7_icelake_u
 */
#include "micro.h"

#define KEY(n)       ((u64)(n) << 59)
#define NO_ACCESS(n) (1u << 2 * (n))
#define NO_WRITE(n)  (2u << 2 * (n))

/* Pages of key 5: the local APIC, and RAM; one of the supervisor's. */
#define DEVICE 0xc0000000ULL
#define RAM    0xc0001000ULL
#define SUP    0xc0002000ULL

static u32 r[4];

static bool os_pke(void)
{
	cpuid_count(7, 0, r);
	return r[CPUID_ECX] & CPUID7C_OSPKE;
}

static void absent(void)
{
	check(!os_pke(), "OSPKE without PKU");
	check_equal("CR4.PKE: vector",
		    TRY("mov %0, %%cr4",
			:
			: "r"(read_cr4() | CR4_PKE)
			: "memory"),
		    VEC_GP);
	check_equal("RDPKRU: vector", TRY("rdpkru", : : "c"(0) : "rax", "rdx", "memory"), VEC_UD);
}

static void map(void)
{
	u64 frame = (u64)page_alloc();

	write8(frame, 0x42);
	write8(frame + 16, 0xc3); /* RET */
	*page_entry(DEVICE) = LAPIC | PTE_P | PTE_W | PTE_U | KEY(5);
	*page_entry(RAM) = frame | PTE_P | PTE_W | PTE_U | KEY(5);
	*page_entry(SUP) = LAPIC | PTE_P | PTE_W | KEY(5);
	write_cr3(read_cr3());
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

static int try_outs(u64 from)
{
	return TRY("outsb", : "+S"(from) : "d"(UART + 7) : "memory");
}

static int try_ins(u64 to)
{
	return TRY("insb", : "+D"(to) : "d"(UART + 7) : "memory");
}

static void denied(const char *what, int vector, u64 error)
{
	check(vector == VEC_PF, "%s: vector %d, not #PF", what, vector);
	check(caught.error == error, "%s: error code 0x%llx, not 0x%llx", what,
	      (unsigned long long)caught.error, (unsigned long long)error);
}

static void granted(const char *what, int vector)
{
	check(vector == NO_FAULT, "%s: vector %d", what, vector);
}

static void rights(const char *ring)
{
	u64 u = ring[0] == '3' ? PFEC_U : 0;

	wrpkru(NO_ACCESS(5));
	denied("key 5, a read", try_read(RAM), PFEC_P | PFEC_PK | u);
	denied("key 5, a write", try_write(RAM), PFEC_P | PFEC_W | PFEC_PK | u);
	denied("key 5, a read of a device", try_read(DEVICE + APIC_VERSION), PFEC_P | PFEC_PK | u);
	check_equal("its CR2", caught.cr2, DEVICE + APIC_VERSION);
	denied("key 5, a write of a device", try_write(DEVICE + APIC_TPR),
	       PFEC_P | PFEC_W | PFEC_PK | u);
	wrpkru(NO_WRITE(5));
	granted("key 5, no writes, a read", try_read(RAM));
	granted("key 5, no writes, a read of a device", try_read(DEVICE + APIC_VERSION));
	denied("key 5, no writes, a write of a device", try_write(DEVICE + APIC_TPR),
	       PFEC_P | PFEC_W | PFEC_PK | u);
	/* All keys but this one, and the one that everything else has. */
	wrpkru(~(NO_ACCESS(5) | NO_WRITE(5) | NO_ACCESS(0) | NO_WRITE(0)));
	granted("key 5, all others closed, a device", try_write(DEVICE + APIC_TPR));
	wrpkru(0);
}

static void in_ring3(void)
{
	rights("3");
}

static void in_ring0(void)
{
	rights("0");
	wrpkru(NO_ACCESS(5));
	denied("key 5, OUTS", try_outs(RAM), PFEC_P | PFEC_PK);
	denied("key 5, INS", try_ins(RAM), PFEC_P | PFEC_W | PFEC_PK);
	granted("key 5, a supervisor's page", try_read(SUP + APIC_VERSION));
	granted("key 5, a fetch", TRY("call *%0", : : "r"(RAM + 16) : "memory"));
	/* Writes of the supervisor's with CR0.WP clear are not held back by "no writes". */
	wrpkru(NO_WRITE(5));
	write_cr0(read_cr0() | CR0_WP);
	denied("key 5, CR0.WP, a write of a device", try_write(DEVICE + APIC_TPR),
	       PFEC_P | PFEC_W | PFEC_PK);
	write_cr0(read_cr0() & ~CR0_WP);
	granted("key 5, no CR0.WP, a write of a device", try_write(DEVICE + APIC_TPR));
	write_cr0(read_cr0() | CR0_WP);
	wrpkru(0);
}

static volatile unsigned ticks;

static void tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

static void outlives_exits(void)
{
	unsigned i;

	trap_handlers[0x60] = tick;
	apic_enable();
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, 0x60);
	wrpkru(0x5a5a5a50);
	for (i = 0; i < 100; i++) {
		cpuid_count(7, 0, r);
		outb(UART + 7, (u8)i);
		(void)read32(LAPIC + APIC_VERSION);
	}
	apic_write(APIC_TIMER_COUNT, 1000000);
	sti_hlt_cli();
	check_equal("interrupts", ticks, 1);
	check_equal("PKRU after exits", rdpkru(), 0x5a5a5a50);
}

static u8 area[4096] aligned(64);

static void xsave_component(void)
{
	u32 offset;

	cpuid_count(0xd, 0, r);
	check(r[CPUID_EAX] & XCR0_PKRU, "PKU without its component of XSAVE");
	cpuid_count(0xd, 9, r);
	check(r[CPUID_EAX] >= 4 && r[CPUID_EBX] + r[CPUID_EAX] <= sizeof(area),
	      "component 9: size %u at %u", r[CPUID_EAX], r[CPUID_EBX]);
	offset = r[CPUID_EBX];
	write_cr4(read_cr4() | CR4_OSXSAVE | CR4_OSFXSR);
	xsetbv(0, XCR0_X87 | XCR0_PKRU);
	xsave64(area, XCR0_PKRU);
	check_equal("PKRU in the XSAVE area", read32((u64)area + offset), 0x5a5a5a50);
	write32((u64)area + offset, 0x12345670);
	xrstor64(area, XCR0_PKRU);
	check_equal("PKRU after XRSTOR", rdpkru(), 0x12345670);
	write64((u64)area + 512, 0);
	xrstor64(area, XCR0_PKRU);
	check_equal("PKRU after XRSTOR of none", rdpkru(), 0);
	/* XCR0 without it: PKRU is there all the same. */
	xsetbv(0, XCR0_X87);
	wrpkru(0xcc0);
	cpuid_count(0, 0, r);
	check_equal("PKRU without XCR0's bit", rdpkru(), 0xcc0);
	wrpkru(0);
}

void test(void)
{
	cpuid_count(7, 0, r);
	if (!(r[CPUID_ECX] & CPUID7C_PKU)) {
		absent();
		return;
	}
	write_cr0(read_cr0() | CR0_WP);
	check(!os_pke(), "OSPKE before CR4 has PKE");
	check_equal("RDPKRU without CR4.PKE: vector",
		    TRY("rdpkru",
			:
			: "c"(0)
			: "rax", "rdx", "memory"),
		    VEC_UD);
	map();
	granted("key 5 without CR4.PKE", try_read(DEVICE + APIC_VERSION));
	write_cr4(read_cr4() | CR4_PKE);
	check(os_pke(), "no OSPKE although CR4 has PKE");
	check_equal("PKRU at reset", rdpkru(), 0);
	check_equal("RDPKRU with ECX = 1: vector",
		    TRY("rdpkru",
			:
			: "c"(1)
			: "rax", "rdx", "memory"),
		    VEC_GP);
	in_ring0();
	ring3_run(in_ring3);
	outlives_exits();
	xsave_component();
	wrpkru(NO_ACCESS(5));
	write_cr4(read_cr4() & ~CR4_PKE);
	check(!os_pke(), "OSPKE is still set");
	granted("key 5 with CR4.PKE clear again", try_read(DEVICE + APIC_VERSION));
}
