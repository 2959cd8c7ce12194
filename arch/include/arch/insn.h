/* SPDX-License-Identifier: MIT */
/*
 * The only inline assembly of the product. One function per instruction, named after it; vmm/ never includes it.
 */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

#include <vmm/types.h>

static inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline u16 inw(u16 port)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline u32 inl(u16 port)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}
/* Not before what stands before it has been carried out. */
/* After all that stands before it. LFENCE does that on Intel's CPUs, on AMD's MFENCE does (LFENCE only where DE_CFG[1] is set). */
static inline u64 rdtsc_ordered(void)
{
	u32 lo, hi;
	__asm__ volatile("mfence; lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}
static inline void cpuid_count(u32 leaf, u32 subleaf, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}
static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

#define ARCH_CR_ACCESSORS(cr)                                                                      \
	static inline u64 read_##cr(void)                                                          \
	{                                                                                          \
		u64 v;                                                                             \
		__asm__ volatile("mov %%" #cr ", %0" : "=r"(v) : : "memory");                      \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_##cr(u64 v)                                                       \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #cr : : "r"(v) : "memory");                          \
	}
ARCH_CR_ACCESSORS(cr0)
ARCH_CR_ACCESSORS(cr2)
ARCH_CR_ACCESSORS(cr3)
ARCH_CR_ACCESSORS(cr4)
ARCH_CR_ACCESSORS(cr8)
ARCH_CR_ACCESSORS(dr0)
ARCH_CR_ACCESSORS(dr1)
ARCH_CR_ACCESSORS(dr2)
ARCH_CR_ACCESSORS(dr3)
ARCH_CR_ACCESSORS(dr6)
ARCH_CR_ACCESSORS(dr7)

static inline u64 read_rflags(void)
{
	u64 v;
	__asm__ volatile("pushfq; popq %0" : "=r"(v) : : "memory");
	return v;
}
/* The word that the base of GS points to. */
static inline u64 read_gs_word(void)
{
	u64 v;
	__asm__ volatile("movq %%gs:0, %0" : "=r"(v));
	return v;
}
static inline u64 read_rsp(void)
{
	u64 v;
	__asm__ volatile("mov %%rsp, %0" : "=r"(v));
	return v;
}
static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}
static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}
/* Interrupts on and HLT with no gap between them, then off again. */
static inline void sti_hlt_cli(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}
/* Lets whatever is pending be serviced. */
static inline void sti_nop_cli(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}
static inline void hlt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}
static inline void pause_cpu(void)
{
	__asm__ volatile("pause" : : : "memory");
}
static inline void invlpg(const void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}
static inline void mfence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}
/* What was written before is seen before what follows is done: a WRMSR that does not serialize waits for nothing by itself. */
static inline void wrmsr_fence(void)
{
	__asm__ volatile("mfence; lfence" : : : "memory");
}
static inline void clflush(const void *p)
{
	__asm__ volatile("clflush %0" : : "m"(*(const u8 *)p) : "memory");
}
static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}
static inline u32 rdpkru(void)
{
	u32 v, high;

	__asm__ volatile("rdpkru" : "=a"(v), "=d"(high) : "c"(0));
	return v;
}
static inline void wrpkru(u32 v)
{
	__asm__ volatile("wrpkru" : : "a"(v), "c"(0), "d"(0) : "memory");
}
static inline void clac(void)
{
	__asm__ volatile("clac" : : : "memory");
}

struct desc_ptr {
	u16 limit;
	u64 base;
} packed;

static inline void lgdt(const struct desc_ptr *p)
{
	__asm__ volatile("lgdt %0" : : "m"(*p) : "memory");
}
static inline void lidt(const struct desc_ptr *p)
{
	__asm__ volatile("lidt %0" : : "m"(*p) : "memory");
}
static inline void sgdt(struct desc_ptr *p)
{
	__asm__ volatile("sgdt %0" : "=m"(*p) : : "memory");
}
static inline void sidt(struct desc_ptr *p)
{
	__asm__ volatile("sidt %0" : "=m"(*p) : : "memory");
}
static inline void ltr(u16 sel)
{
	__asm__ volatile("ltr %0" : : "r"(sel) : "memory");
}
/* What a VM exit took in place of the host's own handlers: runs them, and their IRET ends the blocking of NMIs. */
static inline void int_nmi(void)
{
	__asm__ volatile("int $2" : : : "memory");
}
static inline void int_machine_check(void)
{
	__asm__ volatile("int $18" : : : "memory");
}
static inline void lldt(u16 sel)
{
	__asm__ volatile("lldt %0" : : "r"(sel) : "memory");
}
/* All segment registers at once, after LGDT: CS by a far return, FS and GS to null. */
static inline void load_segments(u16 code, u16 data)
{
	__asm__ volatile("pushq %0\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovw %w1, %%ds\n\t"
			 "movw %w1, %%es\n\t"
			 "movw %w1, %%ss\n\t"
			 "movw %w2, %%fs\n\t"
			 "movw %w2, %%gs"
			 :
			 : "r"((u64)code), "r"(data), "r"((u16)0)
			 : "rax", "memory");
}
static inline u16 str_sel(void)
{
	u16 v;
	__asm__ volatile("str %0" : "=r"(v));
	return v;
}

/* Processor extended state; `area` is 64-byte aligned. The *64 forms keep the full RIP/RDP. */
static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}
static inline void xsetbv(u32 index, u64 v)
{
	__asm__ volatile("xsetbv" : : "c"(index), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline void xsave64(void *area, u64 mask)
{
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}
static inline void xrstor64(const void *area, u64 mask)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}
static inline void fxsave64(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}
static inline void fxrstor64(const void *area)
{
	__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/*
 * VMX. Failure (SDM vol. 3 "Conventions" of the VMX instruction reference): CF = VMfailInvalid, ZF = VMfailValid;
 * the functions return 0 for success, 1 for CF, 2 for ZF.
 */
static inline int vmxon(const u64 *pa)
{
	bool cf, zf;
	__asm__ volatile("vmxon %2" : "=@ccc"(cf), "=@ccz"(zf) : "m"(*pa) : "memory");
	return cf ? 1 : zf ? 2 : 0;
}
static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" : : : "memory", "cc");
}
static inline int vmclear(const u64 *pa)
{
	bool cf, zf;
	__asm__ volatile("vmclear %2" : "=@ccc"(cf), "=@ccz"(zf) : "m"(*pa) : "memory");
	return cf ? 1 : zf ? 2 : 0;
}
static inline int vmptrld(const u64 *pa)
{
	bool cf, zf;
	__asm__ volatile("vmptrld %2" : "=@ccc"(cf), "=@ccz"(zf) : "m"(*pa) : "memory");
	return cf ? 1 : zf ? 2 : 0;
}
/* The current VMCS, ~0 if there is none. */
static inline u64 vmptrst(void)
{
	u64 pa;
	__asm__ volatile("vmptrst %0" : "=m"(pa) : : "memory", "cc");
	return pa;
}
static inline int vmread_checked(u64 field, u64 *value)
{
	bool cf, zf;
	__asm__ volatile("vmread %3, %2"
			 : "=@ccc"(cf), "=@ccz"(zf), "=r"(*value)
			 : "r"(field)
			 : "memory");
	return cf ? 1 : zf ? 2 : 0;
}
static inline u64 vmread(u64 field)
{
	u64 v;
	__asm__ volatile("vmread %1, %0" : "=r"(v) : "r"(field) : "cc");
	return v;
}
static inline int vmwrite_checked(u64 field, u64 value)
{
	bool cf, zf;
	__asm__ volatile("vmwrite %3, %2"
			 : "=@ccc"(cf), "=@ccz"(zf)
			 : "r"(field), "r"(value)
			 : "memory");
	return cf ? 1 : zf ? 2 : 0;
}
static inline void vmwrite(u64 field, u64 value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc", "memory");
}

struct inv_desc {
	u64 first, second;
};
static inline int invept(u64 type, struct inv_desc desc)
{
	bool cf, zf;
	__asm__ volatile("invept %2, %3"
			 : "=@ccc"(cf), "=@ccz"(zf)
			 : "m"(desc), "r"(type)
			 : "memory");
	return cf ? 1 : zf ? 2 : 0;
}
static inline int invvpid(u64 type, struct inv_desc desc)
{
	bool cf, zf;
	__asm__ volatile("invvpid %2, %3"
			 : "=@ccc"(cf), "=@ccz"(zf)
			 : "m"(desc), "r"(type)
			 : "memory");
	return cf ? 1 : zf ? 2 : 0;
}

/* SVM */
static inline void stgi(void)
{
	__asm__ volatile("stgi" : : : "memory");
}
static inline void clgi(void)
{
	__asm__ volatile("clgi" : : : "memory");
}
static inline void vmsave(hpa_t vmcb)
{
	__asm__ volatile("vmsave %0" : : "a"(vmcb) : "memory");
}
static inline void vmload(hpa_t vmcb)
{
	__asm__ volatile("vmload %0" : : "a"(vmcb) : "memory");
}

#endif
