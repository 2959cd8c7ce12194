/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes decode and execution: input bytes are registers, control registers, segments, an instruction and the guest's memory
 * (page tables included, walked by the real gwalk.c). Any access outside the guest's memory, a device access of a size or
 * place that the contract forbids, or an endless repetition, stops it.
 */
/* SOURCES: vmm/emul/decode.c vmm/emul/modrm.c vmm/emul/opcodes.c vmm/emul/length.c vmm/emul/mem.c vmm/emul/alu.c
   vmm/emul/exec.c vmm/emul/exec_string.c vmm/mem/gwalk.c */
#include <stdlib.h>
#include <string.h>

#include <arch/regs.h>
#include <vmm/emul.h>
#include <vmm/errno.h>

#define RAM_SIZE 0x8000ULL
#define BOUND    16

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct input {
	u8 insn[15];
	u8 mode;
	u64 gpr[16], rip, rflags, cr0, cr3, cr4, efer;
	u8 cpl;
	struct segment seg[6];
} packed;

static struct {
	struct input in;
	u8 ram[RAM_SIZE];
	unsigned accesses;
} m;

static void require(bool ok)
{
	if (!ok)
		abort();
}

bool gmem_is_ram(const struct gmem *g, gpa_t gpa, u64 len)
{
	(void)g;
	require(len >= 1);
	return gpa < RAM_SIZE && len <= RAM_SIZE - gpa;
}

int gmem_read(struct gmem *g, gpa_t gpa, void *buf, u64 len)
{
	if (!gmem_is_ram(g, gpa, len))
		return -HV_EFAULT;
	memcpy(buf, m.ram + gpa, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t gpa, const void *buf, u64 len)
{
	if (!gmem_is_ram(g, gpa, len))
		return -HV_EFAULT;
	memcpy(m.ram + gpa, buf, len);
	return 0;
}

void *gmem_ptr(struct gmem *g, gpa_t gpa, u64 len)
{
	return gmem_is_ram(g, gpa, len) ? m.ram + gpa : NULL;
}

static u64 op_gpr_get(void *ctx, unsigned reg)
{
	(void)ctx;
	require(reg < 16);
	return m.in.gpr[reg];
}

static void op_gpr_set(void *ctx, unsigned reg, u64 value)
{
	(void)ctx;
	require(reg < 16);
	m.in.gpr[reg] = value;
}

static u64 op_rip(void *ctx)
{
	(void)ctx;
	return m.in.rip;
}

static u64 op_rflags_get(void *ctx)
{
	(void)ctx;
	return m.in.rflags;
}

/* Only the arithmetic flags may change. */
static void op_rflags_set(void *ctx, u64 value)
{
	(void)ctx;
	require(!((value ^ m.in.rflags) &
		  ~(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)));
	m.in.rflags = value;
}

static void op_seg_get(void *ctx, unsigned seg, struct segment *out)
{
	(void)ctx;
	require(seg <= VSEG_GS);
	*out = m.in.seg[seg];
}

static void device(gpa_t gpa, unsigned size)
{
	require(size == 1 || size == 2 || size == 4 || size == 8);
	require((gpa & (PAGE_SIZE - 1)) + size <= PAGE_SIZE);
	require(!gmem_is_ram(NULL, gpa, 1));
	require(++m.accesses <= BOUND * 16);
}

static u64 op_mmio_read(void *ctx, gpa_t gpa, unsigned size)
{
	(void)ctx;
	device(gpa, size);
	return size == 8 ? ~0ULL : (1ULL << (8 * size)) - 1;
}

static void op_mmio_write(void *ctx, gpa_t gpa, unsigned size, u64 value)
{
	(void)ctx;
	device(gpa, size);
	require(size == 8 || value >> (8 * size) == 0);
}

static u64 op_pio_read(void *ctx, u16 port, unsigned size)
{
	(void)ctx;
	(void)port;
	require(size == 1 || size == 2 || size == 4);
	return 0x5a;
}

static void op_pio_write(void *ctx, u16 port, unsigned size, u64 value)
{
	(void)ctx;
	(void)port;
	require(size == 1 || size == 2 || size == 4);
	require(value >> (8 * size) == 0);
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

static void fault_is_sane(const struct gwalk_fault *f)
{
	switch (f->vector) {
	case VEC_UD:
	case VEC_SS:
	case VEC_GP:
	case VEC_AC:
		require(f->error == 0);
		break;
	case VEC_PF:
		require(!(f->error & ~(PFEC_P | PFEC_W | PFEC_U | PFEC_RSV | PFEC_I | PFEC_PK)));
		break;
	default:
		abort();
	}
}

static void execute(const struct emul_insn *insn, enum emul_mode mode)
{
	u64 ready = 1;
	struct gmem gmem = {.slot[0] = {.size = RAM_SIZE, .va = m.ram, .ready = &ready},
			    .count = 1,
			    .size = RAM_SIZE};
	struct emul_exec e = {.ops = &ops, .gmem = &gmem, .mode = mode};
	enum emul_result r;

	e.walk = (struct gwalk_state){.cr0 = m.in.cr0,
				      .cr3 = m.in.cr3,
				      .cr4 = m.in.cr4,
				      .efer = m.in.efer,
				      .rflags = m.in.rflags,
				      .cpl = m.in.cpl & 3};
	r = emul_exec(&e, insn, BOUND);
	require(r == EMUL_DONE || r == EMUL_AGAIN || r == EMUL_FAULT || r == EMUL_UNHANDLED);
	if (r == EMUL_FAULT)
		fault_is_sane(&e.fault);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct emul_insn insn;
	enum emul_mode mode;
	unsigned count, i;
	int len;

	memset(&m, 0, sizeof(m));
	memcpy(&m.in, data, size < sizeof(m.in) ? size : sizeof(m.in));
	if (size > sizeof(m.in)) /* repeated, so that short inputs make whole page tables */
		for (i = 0; i < RAM_SIZE; i++)
			m.ram[i] = data[sizeof(m.in) + i % (size - sizeof(m.in))];
	mode = (enum emul_mode)(m.in.mode & 15) % 3;
	count = m.in.mode >> 4;
	len = emul_length(m.in.insn, count, mode);
	require(len < 0 || (len >= 1 && (unsigned)len <= count));
	require(len != -HV_EAGAIN || count < EMUL_INSN_MAX);
	if (emul_decode(m.in.insn, count, mode, &insn))
		return 0;
	require(insn.len == len);
	execute(&insn, mode);
	return 0;
}
