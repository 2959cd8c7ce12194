/* SPDX-License-Identifier: MIT */
/*
 * The executor where the native test cannot go: segments, faults and their order, page crossing between RAM and MMIO,
 * string port I/O, bounded repetition, LOCK, stack pushes. A small machine: page 0 to 15 RAM, 16 and 17 a device, 18 not
 * present, 19 read-only RAM, identity-mapped; the rest of the address space not present.
 */
/* SOURCES: vmm/emul/decode.c vmm/emul/modrm.c vmm/emul/opcodes.c vmm/emul/length.c vmm/emul/mem.c vmm/emul/alu.c
   vmm/emul/exec.c vmm/emul/exec_string.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <arch/regs.h>
#include <vmm/emul.h>
#include <vmm/errno.h>

#define RAM_SIZE   0x10000ULL
#define MMIO_BASE  0x10000ULL
#define MMIO_END   0x12000ULL
#define NOT_THERE  0x12000ULL
#define READ_ONLY  0x13000ULL
#define RO_END     0x14000ULL
#define LOST_TABLE 0x15000ULL /* the guest's own page tables are not in its memory */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

struct access {
	u64 address, value;
	u8 size;
	bool write, port;
};

static struct {
	u64 gpr[16], rip, rflags;
	struct segment seg[6];
	u8 ram[RAM_SIZE];
	u8 mmio[MMIO_END - MMIO_BASE];
	u8 ro[0x1000];
	struct access log[64];
	unsigned logged;
	struct emul_exec e;
} m;

static void note(u64 address, unsigned size, bool write, bool port, u64 value)
{
	assert_true(size == 1 || size == 2 || size == 4 || size == 8);
	assert_true(m.logged < ARRAY_SIZE(m.log));
	m.log[m.logged++] = (struct access){address, value, (u8)size, write, port};
}

static u64 op_gpr_get(void *ctx, unsigned reg)
{
	assert_ptr_equal(ctx, &m);
	assert_true(reg < 16);
	return m.gpr[reg];
}

static void op_gpr_set(void *ctx, unsigned reg, u64 value)
{
	assert_ptr_equal(ctx, &m);
	assert_true(reg < 16);
	m.gpr[reg] = value;
}

static u64 op_rip(void *ctx)
{
	(void)ctx;
	return m.rip;
}

static u64 op_rflags_get(void *ctx)
{
	(void)ctx;
	return m.rflags;
}

static void op_rflags_set(void *ctx, u64 value)
{
	(void)ctx;
	m.rflags = value;
}

static void op_seg_get(void *ctx, unsigned seg, struct segment *out)
{
	(void)ctx;
	assert_true(seg <= VSEG_GS);
	*out = m.seg[seg];
}

static u64 op_mmio_read(void *ctx, gpa_t gpa, unsigned size)
{
	u64 v = 0;

	(void)ctx;
	assert_true(gpa >= MMIO_BASE && gpa + size <= MMIO_END);
	memcpy(&v, m.mmio + (gpa - MMIO_BASE), size);
	note(gpa, size, false, false, v);
	return v;
}

static void op_mmio_write(void *ctx, gpa_t gpa, unsigned size, u64 value)
{
	(void)ctx;
	assert_true(gpa >= MMIO_BASE && gpa + size <= MMIO_END);
	memcpy(m.mmio + (gpa - MMIO_BASE), &value, size);
	note(gpa, size, true, false, value);
}

static u64 op_pio_read(void *ctx, u16 port, unsigned size)
{
	u64 v = 0x1122334455667788ULL + m.logged;

	(void)ctx;
	if (size < 8)
		v &= (1ULL << (8 * size)) - 1;
	note(port, size, false, true, v);
	return v;
}

static void op_pio_write(void *ctx, u16 port, unsigned size, u64 value)
{
	(void)ctx;
	note(port, size, true, true, value);
}

static const struct emul_ops ops = {
	.gpr_get = op_gpr_get,
	.gpr_set = op_gpr_set,
	.rip = op_rip,
	.rflags_get = op_rflags_get,
	.rflags_set = op_rflags_set,
	.seg_get = op_seg_get,
	.mmio_read = op_mmio_read,
	.mmio_write = op_mmio_write,
	.pio_read = op_pio_read,
	.pio_write = op_pio_write,
};

int gwalk(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access, gpa_t *gpa, u64 *left,
	  struct gwalk_fault *fault)
{
	(void)g;
	(void)s;
	if (va == LOST_TABLE)
		return -HV_EIO;
	if ((va >= NOT_THERE && va < READ_ONLY) || va >= RO_END) {
		*fault = (struct gwalk_fault){VEC_PF, access & (GWALK_WRITE | GWALK_EXEC), va};
		return -HV_EFAULT;
	}
	if (va >= READ_ONLY && access & GWALK_WRITE) {
		*fault = (struct gwalk_fault){VEC_PF, PFEC_P | PFEC_W, va};
		return -HV_EFAULT;
	}
	*gpa = va;
	*left = PAGE_SIZE - (va & (PAGE_SIZE - 1));
	return 0;
}

static u8 *backing(gpa_t gpa)
{
	return gpa < RAM_SIZE                   ? m.ram + gpa :
	       gpa >= READ_ONLY && gpa < RO_END ? m.ro + (gpa - READ_ONLY) :
						  NULL;
}

bool gmem_is_ram(const struct gmem *g, gpa_t gpa, u64 len)
{
	(void)g;
	(void)len;
	return backing(gpa) != NULL;
}

int gmem_read(struct gmem *g, gpa_t gpa, void *buf, u64 len)
{
	(void)g;
	memcpy(buf, backing(gpa), len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t gpa, const void *buf, u64 len)
{
	(void)g;
	memcpy(backing(gpa), buf, len);
	return 0;
}

/* ---- Scaffolding ------------------------------------------------------------------------------- */

#define DATA_RW (SEG_ATTR_P | SEG_ATTR_S | 3)

static int reset(void **state)
{
	unsigned i;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.rflags = RFLAGS_ONE;
	for (i = 0; i < 6; i++)
		m.seg[i] = (struct segment){.limit = 0xffffffff,
					    .attr = DATA_RW | SEG_ATTR_DB | SEG_ATTR_G};
	m.seg[VSEG_CS].attr = SEG_ATTR_P | SEG_ATTR_S | 0xb | SEG_ATTR_DB | SEG_ATTR_G;
	m.e = (struct emul_exec){.ops = &ops, .ctx = &m, .mode = EMUL_MODE64};
	m.e.walk.cr0 = CR0_PE | CR0_PG;
	return 0;
}

static void mode(enum emul_mode wanted)
{
	m.e.mode = wanted;
}

static enum emul_result run_bounded(unsigned bound, const u8 *bytes, unsigned n)
{
	struct emul_insn insn;

	assert_int_equal(emul_decode(bytes, n, m.e.mode, &insn), 0);
	assert_int_equal(insn.len, n);
	return emul_exec(&m.e, &insn, bound);
}

#define RUN(...) run_bounded(100, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
#define RUN_MAX(max, ...)                                                                          \
	run_bounded(max, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static void expect_fault(enum emul_result r, u8 vector, u32 error, u64 address)
{
	assert_int_equal(r, EMUL_FAULT);
	assert_int_equal(m.e.fault.vector, vector);
	assert_int_equal(m.e.fault.error, error);
	if (vector == VEC_PF)
		assert_int_equal(m.e.fault.address, address);
}

static void expect_log(unsigned i, u64 address, unsigned size, bool write, u64 value)
{
	assert_true(i < m.logged);
	assert_int_equal(m.log[i].address, address);
	assert_int_equal(m.log[i].size, size);
	assert_int_equal(m.log[i].write, write);
	assert_int_equal(m.log[i].value, value);
}

/* ---- Plain accesses ---------------------------------------------------------------------------- */

static void test_mov_device(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE;
	m.gpr[RAX] = 0x1111222233334444ULL;
	assert_int_equal(RUN(0x89, 0x43, 0x20), EMUL_DONE); /* mov %eax, 0x20(%rbx) */
	expect_log(0, MMIO_BASE + 0x20, 4, true, 0x33334444);
	m.gpr[RCX] = ~0ULL;
	assert_int_equal(RUN(0x8b, 0x4b, 0x20),
			 EMUL_DONE); /* mov 0x20(%rbx), %ecx: the upper half is cleared */
	assert_int_equal(m.gpr[RCX], 0x33334444);
	m.gpr[RCX] = ~0ULL;
	assert_int_equal(RUN(0x8a, 0x6b, 0x20), EMUL_DONE); /* mov 0x20(%rbx), %ch */
	assert_int_equal(m.gpr[RCX], 0xffffffffffff44ffULL);
	assert_int_equal(RUN(0xc7, 0x03, 0x78, 0x56, 0x34, 0x12),
			 EMUL_DONE); /* movl $0x12345678, (%rbx) */
	expect_log(3, MMIO_BASE, 4, true, 0x12345678);
	assert_int_equal(RUN(0x48, 0xc7, 0x03, 0xff, 0xff, 0xff, 0xff),
			 EMUL_DONE); /* movq $-1, (%rbx) */
	expect_log(4, MMIO_BASE, 8, true, ~0ULL);
	assert_int_equal(m.rflags, RFLAGS_ONE);
	assert_int_equal(m.logged, 5);
}

static void test_rip_relative(void **state)
{
	(void)state;
	m.rip = MMIO_BASE - 0x100;
	assert_int_equal(RUN(0xc6, 0x05, 0xf9, 0x00, 0x00, 0x00, 0x5a),
			 EMUL_DONE); /* movb $0x5a, 0xf9(%rip) */
	expect_log(0, MMIO_BASE, 1, true, 0x5a);
	m.rip |= 0x100000000ULL; /* 32-bit addresses: EIP-relative */
	assert_int_equal(RUN(0x67, 0xc6, 0x05, 0xf8, 0x00, 0x00, 0x00, 0xa5), EMUL_DONE);
	expect_log(1, MMIO_BASE, 1, true, 0xa5);
}

static void test_moffs(void **state)
{
	(void)state;
	m.mmio[8] = 0x77;
	assert_int_equal(RUN(0xa0, 8, 0, 1, 0, 0, 0, 0, 0), EMUL_DONE); /* movabs 0x10008, %al */
	assert_int_equal(m.gpr[RAX], 0x77);
	m.seg[VSEG_FS].base = MMIO_BASE;
	assert_int_equal(RUN(0x64, 0xa3, 4, 0, 0, 0, 0, 0, 0, 0), EMUL_DONE); /* mov %eax, %fs:4 */
	expect_log(1, MMIO_BASE + 4, 4, true, 0x77);
	mode(EMUL_MODE16);
	m.seg[VSEG_DS].base = MMIO_BASE;
	assert_int_equal(RUN(0xa1, 8, 0), EMUL_DONE); /* mov (8), %ax */
	expect_log(2, MMIO_BASE + 8, 2, false, 0x77);
}

/* A page boundary between RAM and the device, and inside the device: both sides, in pieces that a bus takes. */
static void test_page_crossing(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE - 3;
	m.gpr[RAX] = 0x8877665544332211ULL;
	assert_int_equal(RUN(0x48, 0x89, 0x03), EMUL_DONE); /* mov %rax, (%rbx) */
	assert_memory_equal(m.ram + RAM_SIZE - 3, "\x11\x22\x33", 3);
	expect_log(0, MMIO_BASE, 4, true, 0x77665544);
	expect_log(1, MMIO_BASE + 4, 1, true, 0x88);
	assert_int_equal(RUN(0x48, 0x8b, 0x0b), EMUL_DONE); /* mov (%rbx), %rcx */
	assert_int_equal(m.gpr[RCX], m.gpr[RAX]);
	m.logged = 0;
	m.gpr[RBX] = MMIO_BASE + 0xffa;
	assert_int_equal(RUN(0x48, 0x89, 0x03), EMUL_DONE);
	expect_log(0, MMIO_BASE + 0xffa, 4, true, 0x44332211);
	expect_log(1, MMIO_BASE + 0xffe, 2, true, 0x6655);
	expect_log(2, MMIO_BASE + 0x1000, 2, true, 0x8877);
}

/* The second page faults: nothing on the first has been touched. */
static void test_page_crossing_fault(void **state)
{
	(void)state;
	m.gpr[RBX] = NOT_THERE - 2;
	expect_fault(RUN(0x89, 0x03), VEC_PF, PFEC_W, NOT_THERE);
	assert_int_equal(m.logged, 0);
	m.gpr[RBX] = NOT_THERE - 1;
	expect_fault(RUN(0x66, 0x8b, 0x03), VEC_PF, 0, NOT_THERE);
	assert_int_equal(m.logged, 0);
}

/* Read-modify-write faults as a write, before the device is read; a comparison only reads. */
static void test_write_fault_first(void **state)
{
	(void)state;
	m.gpr[RBX] = READ_ONLY + 8;
	expect_fault(RUN(0x01, 0x03), VEC_PF, PFEC_P | PFEC_W,
		     READ_ONLY + 8); /* add %eax, (%rbx) */
	expect_fault(RUN(0x0f, 0xb1, 0x0b), VEC_PF, PFEC_P | PFEC_W,
		     READ_ONLY + 8); /* cmpxchg, unequal or not */
	expect_fault(RUN(0x87, 0x03), VEC_PF, PFEC_P | PFEC_W, READ_ONLY + 8);
	assert_int_equal(RUN(0x39, 0x03), EMUL_DONE); /* cmp %eax, (%rbx) */
	assert_int_equal(m.rflags, RFLAGS_ONE | RFLAGS_ZF | RFLAGS_PF);
	assert_int_equal(RUN(0x0f, 0xba, 0x23, 0x01), EMUL_DONE); /* bt $1, (%rbx) */
	assert_int_equal(RUN(0xf6, 0x03, 0x01), EMUL_DONE);       /* testb $1, (%rbx) */
}

static void test_read_modify_write(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE;
	m.mmio[0] = 0xf0;
	assert_int_equal(RUN(0x80, 0x0b, 0x0f), EMUL_DONE); /* orb $0xf, (%rbx) */
	expect_log(0, MMIO_BASE, 1, false, 0xf0);
	expect_log(1, MMIO_BASE, 1, true, 0xff);
	assert_int_equal(m.rflags & (RFLAGS_SF | RFLAGS_ZF | RFLAGS_CF), RFLAGS_SF);
	assert_int_equal(RUN(0xf0, 0x0f, 0xb3, 0x03), EMUL_DONE); /* lock btr %eax, (%rbx) */
	assert_int_equal(m.mmio[0], 0xfe);
	m.gpr[RAX] = 0x12345678;
	assert_int_equal(RUN(0x87, 0x03), EMUL_DONE); /* xchg %eax, (%rbx) */
	assert_int_equal(m.gpr[RAX], 0xfe);
	assert_int_equal(m.mmio[3], 0x12);
}

static void test_lock(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE;
	expect_fault(RUN(0xf0, 0x89, 0x03), VEC_UD, 0, 0);       /* lock mov */
	expect_fault(RUN(0xf0, 0x03, 0x03), VEC_UD, 0, 0);       /* lock add (%rbx), %eax */
	expect_fault(RUN(0xf0, 0x39, 0x03), VEC_UD, 0, 0);       /* lock cmp */
	expect_fault(RUN(0xf0, 0x84, 0x03), VEC_UD, 0, 0);       /* lock test */
	expect_fault(RUN(0xf0, 0xa4), VEC_UD, 0, 0);             /* lock movsb */
	expect_fault(RUN(0xf0, 0x0f, 0xa3, 0x03), VEC_UD, 0, 0); /* lock bt */
	expect_fault(RUN(0xf0, 0x6e), VEC_UD, 0, 0);             /* lock outsb */
	assert_int_equal(m.logged, 0);
	assert_int_equal(RUN(0xf0, 0x01, 0x03), EMUL_DONE);
	assert_int_equal(RUN(0xf0, 0x87, 0x03), EMUL_DONE);
	assert_int_equal(RUN(0xf0, 0xff, 0x03), EMUL_DONE);
	assert_int_equal(RUN(0xf0, 0x0f, 0xc1, 0x03), EMUL_DONE);
}

/* ---- Addresses --------------------------------------------------------------------------------- */

static void test_canonical(void **state)
{
	(void)state;
	m.gpr[RBX] = 0x800000000000ULL;
	m.gpr[RBP] = 0x800000000000ULL;
	expect_fault(RUN(0x8b, 0x03), VEC_GP, 0, 0);
	expect_fault(RUN(0x8b, 0x45, 0x00), VEC_SS, 0, 0); /* by RBP: the stack segment */
	expect_fault(RUN(0x3e, 0x8b, 0x45, 0x00), VEC_SS, 0,
		     0); /* DS is no override in 64-bit mode */
	expect_fault(RUN(0x64, 0x8b, 0x45, 0x00), VEC_GP, 0, 0);
	m.gpr[RBX] = 0x7fffffffffffULL; /* its last byte is not canonical */
	expect_fault(RUN(0x66, 0x8b, 0x03), VEC_GP, 0, 0);
	expect_fault(RUN(0x8a, 0x03), VEC_PF, 0, 0x7fffffffffffULL);
	m.e.walk.cr4 = CR4_LA57;
	m.gpr[RBX] = 0x800000000000ULL;
	expect_fault(RUN(0x8b, 0x03), VEC_PF, 0, 0x800000000000ULL);
	m.gpr[RBX] = 0x100000000000000ULL;
	expect_fault(RUN(0x8b, 0x03), VEC_GP, 0, 0);
}

static void test_address_size(void **state)
{
	(void)state;
	m.gpr[RBX] = 0xdeadbeef00000000ULL | MMIO_BASE;
	assert_int_equal(RUN(0x67, 0x88, 0x03), EMUL_DONE);
	expect_log(0, MMIO_BASE, 1, true, 0);
	mode(EMUL_MODE16);
	m.seg[VSEG_DS].base = MMIO_BASE;
	m.gpr[RBX] = 0xfff0;
	m.gpr[RSI] = 0x20;
	assert_int_equal(RUN(0x88, 0x00), EMUL_DONE); /* mov %al, (%bx,%si): wraps at 64 KiB */
	expect_log(1, MMIO_BASE + 0x10, 1, true, 0);
}

static void test_limit(void **state)
{
	(void)state;
	mode(EMUL_MODE32);
	m.seg[VSEG_DS].base = MMIO_BASE;
	m.seg[VSEG_DS].limit = 0xff;
	m.gpr[RBX] = 0xfc;
	assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
	m.gpr[RBX] = 0xfd;
	expect_fault(RUN(0x8b, 0x03), VEC_GP, 0, 0);
	m.gpr[RBX] = 0xffffffff;
	expect_fault(RUN(0x66, 0x8b, 0x03), VEC_GP, 0, 0);
	m.seg[VSEG_SS] = m.seg[VSEG_DS];
	m.gpr[RBP] = 0x100;
	expect_fault(RUN(0x8b, 0x45, 0x00), VEC_SS, 0, 0);
	m.seg[VSEG_DS].attr |= BIT(2); /* expand-down: above the limit, up to 4 GiB */
	m.gpr[RBX] = 0xff;
	expect_fault(RUN(0x8a, 0x03), VEC_GP, 0, 0);
	m.gpr[RBX] = 0x100;
	assert_int_equal(RUN(0x8a, 0x03), EMUL_DONE);
	m.seg[VSEG_DS].attr &= ~SEG_ATTR_DB; /* up to 64 KiB */
	m.gpr[RBX] = 0xffff;
	expect_fault(RUN(0x66, 0x8b, 0x03), VEC_GP, 0, 0);
}

static void test_segment_type(void **state)
{
	(void)state;
	mode(EMUL_MODE32);
	m.gpr[RBX] = MMIO_BASE;
	m.seg[VSEG_DS].attr &= ~BIT(1); /* read-only */
	assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE);
	expect_fault(RUN(0x89, 0x03), VEC_GP, 0, 0);
	expect_fault(RUN(0x2e, 0x89, 0x03), VEC_GP, 0, 0); /* code is never writable */
	assert_int_equal(RUN(0x2e, 0x8b, 0x03), EMUL_DONE);
	m.seg[VSEG_CS].attr &= ~BIT(1); /* execute-only */
	expect_fault(RUN(0x2e, 0x8b, 0x03), VEC_GP, 0, 0);
	m.seg[VSEG_DS].attr = SEG_ATTR_UNUSABLE;
	expect_fault(RUN(0x8b, 0x03), VEC_GP, 0, 0);
	m.seg[VSEG_ES].attr &= ~SEG_ATTR_P;
	expect_fault(RUN(0x26, 0x8b, 0x03), VEC_GP, 0, 0);
	m.seg[VSEG_SS].attr |= SEG_ATTR_UNUSABLE;
	expect_fault(RUN(0x36, 0x8b, 0x03), VEC_SS, 0, 0);
	m.e.walk.cr0 = 0; /* real mode looks at base and limit only */
	assert_int_equal(RUN(0x2e, 0x89, 0x03), EMUL_DONE);
	m.e.walk.cr0 = CR0_PE;
	m.e.walk.rflags = RFLAGS_VM;
	assert_int_equal(RUN(0x2e, 0x89, 0x03), EMUL_DONE);
}

/* Outside 64-bit mode linear addresses are 32 bits: base plus offset wraps. */
static void test_linear_wrap(void **state)
{
	(void)state;
	mode(EMUL_MODE32);
	m.seg[VSEG_DS].base = 0xffff0000;
	m.gpr[RBX] = 0x20000;
	assert_int_equal(RUN(0x89, 0x03), EMUL_DONE);
	expect_log(0, MMIO_BASE, 4, true, 0);
}

static void test_alignment(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE + 2;
	m.e.walk.cr0 |= CR0_AM;
	m.e.walk.rflags = RFLAGS_AC;
	assert_int_equal(RUN(0x8b, 0x03), EMUL_DONE); /* supervisor: AC is SMAP's */
	m.e.walk.cpl = 3;
	expect_fault(RUN(0x8b, 0x03), VEC_AC, 0, 0);
	assert_int_equal(RUN(0x66, 0x8b, 0x03), EMUL_DONE);
}

static void test_bit_string(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE + 0x100;
	m.gpr[RAX] = (u64)-9;
	assert_int_equal(RUN(0x48, 0x0f, 0xab, 0x03),
			 EMUL_DONE); /* bts %rax, (%rbx): bit 55 of the quadword before */
	expect_log(1, MMIO_BASE + 0xf8, 8, true, BIT(55));
	m.gpr[RAX] = 0x100000021ULL;
	assert_int_equal(RUN(0x0f, 0xab, 0x03),
			 EMUL_DONE); /* bts %eax: bit 1 of the next doubleword */
	expect_log(3, MMIO_BASE + 0x104, 4, true, 2);
}

static void test_push(void **state)
{
	(void)state;
	m.gpr[RBX] = MMIO_BASE;
	memcpy(m.mmio, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	m.gpr[RSP] = 0x1000;
	assert_int_equal(RUN(0xff, 0x33), EMUL_DONE); /* pushq (%rbx) */
	assert_int_equal(m.gpr[RSP], 0xff8);
	assert_memory_equal(m.ram + 0xff8, m.mmio, 8);
	assert_int_equal(RUN(0x66, 0xff, 0x33), EMUL_DONE);
	assert_int_equal(m.gpr[RSP], 0xff6);
	m.gpr[RSP] = READ_ONLY +
		     8; /* the stack faults: the device has not been read again, RSP stays */
	m.logged = 0;
	expect_fault(RUN(0xff, 0x33), VEC_PF, PFEC_P | PFEC_W, READ_ONLY);
	assert_int_equal(m.gpr[RSP], READ_ONLY + 8);
	assert_int_equal(m.logged, 0);
	mode(EMUL_MODE32);
	m.seg[VSEG_SS].attr &= ~SEG_ATTR_DB; /* a 16-bit stack in 32-bit code */
	m.gpr[RSP] = 0xabcd0002;
	assert_int_equal(RUN(0xff, 0x33), EMUL_DONE);
	assert_int_equal(m.gpr[RSP], 0xabcdfffe);
}

/* ---- Strings ----------------------------------------------------------------------------------- */

static void test_movs(void **state)
{
	(void)state;
	memcpy(m.ram + 0x100, "abcdefgh", 8);
	m.gpr[RSI] = 0x100;
	m.gpr[RDI] = MMIO_BASE;
	m.gpr[RCX] = 8;
	assert_int_equal(RUN(0xf3, 0xa4), EMUL_DONE);
	assert_memory_equal(m.mmio, "abcdefgh", 8);
	assert_int_equal(m.logged, 8);
	assert_int_equal(m.gpr[RCX], 0);
	assert_int_equal(m.gpr[RSI], 0x108);
	assert_int_equal(m.gpr[RDI], MMIO_BASE + 8);
	m.rflags |= RFLAGS_DF;
	m.gpr[RSI] = MMIO_BASE + 4;
	m.gpr[RDI] = 0x204;
	m.gpr[RCX] = 2;
	assert_int_equal(RUN(0xf2, 0xa5), EMUL_DONE); /* repne is rep here */
	assert_memory_equal(m.ram + 0x200, "abcdefgh", 8);
	assert_int_equal(m.gpr[RSI], MMIO_BASE - 4);
}

static void test_bounded(void **state)
{
	unsigned calls = 0;

	(void)state;
	m.gpr[RDI] = MMIO_BASE;
	m.gpr[RCX] = 10;
	assert_int_equal(RUN_MAX(4, 0xf3, 0xaa), EMUL_AGAIN);
	assert_int_equal(m.gpr[RCX], 6);
	assert_int_equal(m.gpr[RDI], MMIO_BASE + 4);
	assert_int_equal(RUN_MAX(4, 0xf3, 0xaa), EMUL_AGAIN);
	assert_int_equal(RUN_MAX(4, 0xf3, 0xaa), EMUL_DONE);
	assert_int_equal(m.gpr[RCX], 0);
	assert_int_equal(RUN_MAX(4, 0xf3, 0xaa), EMUL_DONE); /* nothing left: nothing done */
	assert_int_equal(m.logged, 10);
	m.gpr[RCX] = 5;
	while (RUN_MAX(0, 0xf3, 0xaa) == EMUL_AGAIN)
		assert_true(++calls < 10);
	assert_int_equal(calls, 4);
}

/* A fault in the middle: registers stand after the last whole iteration. */
static void test_string_fault(void **state)
{
	(void)state;
	m.gpr[RDI] = NOT_THERE - 8;
	m.gpr[RCX] = 5;
	expect_fault(RUN(0xf3, 0xab), VEC_PF, PFEC_W, NOT_THERE);
	assert_int_equal(m.gpr[RCX], 3);
	assert_int_equal(m.gpr[RDI], NOT_THERE);
}

static void test_address_size_string(void **state)
{
	(void)state;
	m.gpr[RCX] = 0xffffffff00000001ULL;
	m.gpr[RDI] = 0xffffffff00000000ULL | MMIO_BASE;
	assert_int_equal(RUN(0x67, 0xf3, 0xaa), EMUL_DONE);
	assert_int_equal(m.gpr[RCX], 0);
	assert_int_equal(m.gpr[RDI], MMIO_BASE + 1);
	mode(EMUL_MODE16);
	m.seg[VSEG_ES].base = MMIO_BASE;
	m.gpr[RCX] = 0xffff0002;
	m.gpr[RDI] = 0x1234ffff;
	m.seg[VSEG_ES].base = 0;
	assert_int_equal(RUN(0xf3, 0xaa), EMUL_DONE);
	assert_int_equal(m.gpr[RCX], 0xffff0000);
	assert_int_equal(m.gpr[RDI], 0x12340001); /* only DI counts, and it wraps */
}

static void test_scas_cmps(void **state)
{
	(void)state;
	memcpy(m.mmio, "aaab", 4);
	m.gpr[RDI] = MMIO_BASE;
	m.gpr[RAX] = 'b';
	m.gpr[RCX] = 10;
	assert_int_equal(RUN(0xf2, 0xae), EMUL_DONE); /* repne scasb */
	assert_int_equal(m.gpr[RCX], 6);
	assert_true(m.rflags & RFLAGS_ZF);
	memcpy(m.ram + 0x300, "aaac", 4);
	m.gpr[RSI] = 0x300;
	m.gpr[RDI] = MMIO_BASE;
	m.gpr[RCX] = 10;
	assert_int_equal(RUN(0xf3, 0xa6), EMUL_DONE); /* repe cmpsb */
	assert_int_equal(m.gpr[RCX], 6);
	assert_false(m.rflags & RFLAGS_ZF);
	assert_false(m.rflags & RFLAGS_CF); /* 'c' - 'b' */
	m.gpr[RCX] = 0;                     /* no iteration: flags stay */
	m.rflags = RFLAGS_ONE | RFLAGS_ZF | RFLAGS_CF;
	assert_int_equal(RUN(0xf3, 0xa6), EMUL_DONE);
	assert_int_equal(m.rflags, RFLAGS_ONE | RFLAGS_ZF | RFLAGS_CF);
}

static void test_port_strings(void **state)
{
	(void)state;
	m.gpr[RDX] = 0xffff03f8;
	memcpy(m.ram + 0x400, "xyz", 3);
	m.gpr[RSI] = 0x400;
	m.gpr[RCX] = 3;
	assert_int_equal(RUN(0xf3, 0x6e), EMUL_DONE);
	expect_log(0, 0x3f8, 1, true, 'x');
	expect_log(2, 0x3f8, 1, true, 'z');
	assert_true(m.log[0].port);
	m.gpr[RDI] = 0x500;
	assert_int_equal(RUN(0x66, 0x6d), EMUL_DONE);
	assert_int_equal(m.ram[0x500] | m.ram[0x501] << 8, 0x778b);
	assert_int_equal(m.gpr[RDI], 0x502);
	assert_int_equal(RUN(0x48, 0x6d), EMUL_DONE); /* REX.W means nothing: 4 bytes */
	assert_int_equal(m.gpr[RDI], 0x506);
	m.logged = 0;
	m.gpr[RDI] = READ_ONLY; /* no byte is taken from the port when it cannot be stored */
	expect_fault(RUN(0x6c), VEC_PF, PFEC_P | PFEC_W, READ_ONLY);
	assert_int_equal(m.logged, 0);
	m.gpr[RSI] = NOT_THERE;
	expect_fault(RUN(0x6e), VEC_PF, 0, NOT_THERE);
	assert_int_equal(m.logged, 0);
}

static void test_port_segment(void **state)
{
	(void)state;
	mode(EMUL_MODE32);
	m.seg[VSEG_FS].base = 0x600;
	m.ram[0x600] = 'q';
	assert_int_equal(RUN(0x64, 0x6e), EMUL_DONE);
	expect_log(0, 0, 1, true, 'q');
	m.seg[VSEG_ES].attr &= ~BIT(1);
	expect_fault(RUN(0x64, 0x6c), VEC_GP, 0, 0); /* INS stores to ES whatever the prefix says */
	assert_int_equal(m.logged, 1);
}

/* ---- What core carries out itself -------------------------------------------------------------- */

static void test_not_ours(void **state)
{
	struct emul_insn insn;
	u64 v;

	(void)state;
	assert_int_equal(RUN(0x0f, 0x22, 0xc0), EMUL_UNHANDLED);
	assert_int_equal(RUN(0x0f, 0xa2), EMUL_UNHANDLED);
	m.gpr[RBX] = MMIO_BASE;
	memcpy(m.mmio, "\x33\x44\x55", 3);
	assert_int_equal(emul_decode((const u8[]){0x0f, 0x01, 0x33}, 3, EMUL_MODE64, &insn),
			 0); /* lmsw (%rbx) */
	assert_int_equal(emul_operand_read(&m.e, &insn, &insn.src, &v), EMUL_DONE);
	assert_int_equal(v, 0x4433);
	assert_int_equal(emul_operand_read(&m.e, &insn, &insn.dst, &v), EMUL_UNHANDLED);
	insn = (struct emul_insn){.opcode = 0xff};
	assert_int_equal(emul_exec(&m.e, &insn, 1), EMUL_UNHANDLED);
	m.gpr[RBX] = LOST_TABLE;
	assert_int_equal(RUN(0x8b, 0x03), EMUL_UNHANDLED);
	insn = (struct emul_insn){.opcode = EMUL_INVALID};
	assert_int_equal(emul_exec(&m.e, &insn, 1), EMUL_UNHANDLED);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mov_device),
		TEST(test_rip_relative),
		TEST(test_moffs),
		TEST(test_page_crossing),
		TEST(test_page_crossing_fault),
		TEST(test_write_fault_first),
		TEST(test_read_modify_write),
		TEST(test_lock),
		TEST(test_canonical),
		TEST(test_address_size),
		TEST(test_limit),
		TEST(test_segment_type),
		TEST(test_linear_wrap),
		TEST(test_alignment),
		TEST(test_bit_string),
		TEST(test_push),
		TEST(test_movs),
		TEST(test_bounded),
		TEST(test_string_fault),
		TEST(test_address_size_string),
		TEST(test_scas_cmps),
		TEST(test_port_strings),
		TEST(test_port_segment),
		TEST(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
