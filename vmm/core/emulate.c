/* SPDX-License-Identifier: MIT */
/*
 * The bridge between a vcpu and the instruction emulator (vmm/emul): fetches the bytes at RIP through the guest's page
 * tables, and lends the emulator the guest's registers, memory and devices. Called by exit.c, io.c and cr.c.
 */
#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>

#include "core.h"

/* A REP instruction gives the CPU back after so many items; the guest comes back to it. */
#define REP_ITERATIONS_MAX 1024
/* Fewer to or from a port, which may be a console's: 44 bytes of the host's for each, if it is a line of a guest among others. */
#define REP_PORT_ITERATIONS_MAX 32

/* ---- What the emulator may do with the guest ------------------------------------------------ */

static u64 op_gpr_get(void *ctx, unsigned reg)
{
	return vcpu_gpr(ctx, reg);
}

static void op_gpr_set(void *ctx, unsigned reg, u64 value)
{
	vcpu_gpr_set(ctx, reg, value);
}

static u64 op_rip(void *ctx)
{
	return vcpu_reg(ctx, VREG_RIP);
}

static u64 op_rflags_get(void *ctx)
{
	return vcpu_reg(ctx, VREG_RFLAGS);
}

static void op_rflags_set(void *ctx, u64 value)
{
	vcpu_reg_set(ctx, VREG_RFLAGS, value);
}

static void op_seg_get(void *ctx, unsigned seg, struct segment *out)
{
	struct vcpu *v = ctx;

	v->vm->ops->seg_get(v, (enum vseg)seg, out);
}

/* The local APIC's page is each CPU's own and moves with IA32_APIC_BASE, so it is looked at before the bus. */
static u64 op_mmio_read(void *ctx, gpa_t gpa, unsigned size)
{
	struct vcpu *v = ctx;

	if (vlapic_mmio_active(&v->lapic, gpa))
		return vlapic_mmio_read(&v->lapic, (u32)(gpa & (VLAPIC_SIZE - 1)));
	return bus_read(&v->vm->mmio, gpa, size);
}

static void op_mmio_write(void *ctx, gpa_t gpa, unsigned size, u64 value)
{
	struct vcpu *v = ctx;

	if (!vlapic_mmio_active(&v->lapic, gpa)) {
		bus_write(&v->vm->mmio, gpa, size, value);
		return;
	}
	vlapic_mmio_write(&v->lapic, (u32)(gpa & (VLAPIC_SIZE - 1)), (u32)value);
	if (v->lapic.pending_hint)
		vcpu_request(v, REQ_EVENT);
}

static u64 op_pio_read(void *ctx, u16 port, unsigned size)
{
	return bus_read(&((struct vcpu *)ctx)->vm->pio, port, size);
}

static void op_pio_write(void *ctx, u16 port, unsigned size, u64 value)
{
	bus_write(&((struct vcpu *)ctx)->vm->pio, port, size, value);
}

static const struct emul_ops vcpu_emul_ops = {
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

/* ---- Fetch -------------------------------------------------------------------------------- */

static void kill_undecodable(struct vcpu *v, const struct vm_exit *e)
{
	char bytes[3 * EXIT_INSN_MAX + 1] = "";
	size_t i;

	for (i = 0; i < e->insn_count; i++)
		fmt_s(bytes + 3 * i, sizeof(bytes) - 3 * i, "%02x ", e->insn[i]);
	vm_kill(v->vm,
		"it used an instruction on a device that Havoc does not emulate: %sat rip %#llx",
		bytes, (unsigned long long)vcpu_reg(v, VREG_RIP));
}

/* Linear address of the instruction. In 64-bit code the base of CS is zero whatever its register holds. */
static gva_t fetch_address(struct vcpu *v, enum emul_mode mode)
{
	u64 rip = vcpu_reg(v, VREG_RIP);
	struct segment cs;

	if (mode == EMUL_MODE64)
		return rip;
	v->vm->ops->seg_get(v, VSEG_CS, &cs);
	return (u32)(cs.base + rip);
}

/* Bytes up to the end of the page; the rest only if the decoder asks for them, since the next page need not be mapped. */
static bool fetch_bytes(struct vcpu *v, struct vm_exit *e, enum emul_mode mode, bool next_page)
{
	gva_t va = fetch_address(v, mode);
	u64 in_page = PAGE_SIZE - (va & (PAGE_SIZE - 1));
	unsigned want = EXIT_INSN_MAX;
	struct gwalk_fault fault;
	struct gwalk_state walk;

	if (!next_page && in_page < want)
		want = (unsigned)in_page;
	vcpu_walk_state(v, &walk);
	switch (gwalk_read(&v->vm->gmem, &walk, va, e->insn, want, GWALK_EXEC, &fault)) {
	case 0:
		e->insn_count = (u8)want;
		return true;
	case -HV_EFAULT:
		vcpu_raise_fault(v, &fault);
		return false;
	default:
		vm_kill(v->vm, "it executes from where it has no memory (rip %#llx)",
			(unsigned long long)vcpu_reg(v, VREG_RIP));
		return false;
	}
}

typedef int decode_fn(const struct vm_exit *e, enum emul_mode mode, struct emul_insn *insn);

static int decode_length(const struct vm_exit *e, enum emul_mode mode,
			 unused struct emul_insn *insn)
{
	return emul_length(e->insn, e->insn_count, mode);
}

static int decode_full(const struct vm_exit *e, enum emul_mode mode, struct emul_insn *insn)
{
	return emul_decode(e->insn, e->insn_count, mode, insn);
}

/* Fetches what is missing and decodes. The decoder's result, or -1 when a fault was raised or the guest killed. */
static int fetch_and_decode(struct vcpu *v, struct vm_exit *e, decode_fn *decode,
			    struct emul_insn *insn)
{
	enum emul_mode mode = vcpu_mode(v);
	int ret;

	if (!e->insn_count && !fetch_bytes(v, e, mode, false))
		return -1;
	ret = decode(e, mode, insn);
	if (ret == -HV_EAGAIN && e->insn_count < EXIT_INSN_MAX) {
		if (!fetch_bytes(v, e, mode, true))
			return -1;
		ret = decode(e, mode, insn);
	}
	if (ret < 0) {
		kill_undecodable(v, e);
		return -1;
	}
	return ret;
}

/*
 * A CPU that does not tell lengths fetches here at its first CPUID or hypercall from a page; the next time its back end finds the
 * bytes by v->fetch. Whatever else comes of this walk is found again, and dealt with, by the fetch proper.
 */
static void fill_fetch_cache(struct vcpu *v)
{
	struct gwalk_fault fault;
	struct gwalk_state walk;
	u8 buf[EXIT_INSN_MAX];
	const u8 *bytes;

	if (vcpu_reg(v, VREG_CODE_BITS) != 64)
		return;
	vcpu_walk_state(v, &walk);
	(void)!gwalk_fetch(&v->vm->gmem, &walk, vcpu_reg(v, VREG_RIP), 1, buf, &bytes, &v->fetch,
			   &fault);
}

bool emulate_length(struct vcpu *v, struct vm_exit *e)
{
	int len;

	fill_fetch_cache(v);
	len = fetch_and_decode(v, e, decode_length, NULL);

	if (len < 0)
		return false;
	e->insn_len = (u8)len;
	return true;
}

bool emulate_fetch(struct vcpu *v, struct vm_exit *e, struct emul_insn *insn)
{
	return fetch_and_decode(v, e, decode_full, insn) >= 0;
}

/* ---- Execution ---------------------------------------------------------------------------- */

static bool __attribute__((noinline)) watch_fill(struct vcpu *v, u64 dr7, struct emul_watch *w)
{
	unsigned n;

	w->dr7 = (u32)dr7;
	w->io = v->io_breakpoints;
	if (!emul_watch_any(w))
		return false;
	for (n = 0; n < 4; n++)
		w->address[n] = vcpu_reg(v, VREG_DR0 + n);
	return true;
}

/* False: there is nothing to watch. */
static inline bool watch_prepare(struct vcpu *v, struct emul_watch *w)
{
	u64 dr7 = vcpu_reg(v, VREG_DR7);

	return unlikely(dr7 & 0xff) && watch_fill(v, dr7, w);
}

void emulate_watch_port(struct vcpu *v, u16 port, unsigned size)
{
	struct emul_watch w;
	u8 hits = 0;

	if (watch_prepare(v, &w))
		hits = emul_watch_io(&w, port, size);
	if (hits)
		v->vm->ops->hit(v, hits);
}

static void exec_prepare(struct vcpu *v, struct emul_exec *x, struct emul_watch *w)
{
	x->watch = watch_prepare(v, w) ? w : NULL;
	x->hits = 0;
	x->ops = &vcpu_emul_ops;
	x->ctx = v;
	x->gmem = &v->vm->gmem;
	x->mode = vcpu_mode(v);
	vcpu_walk_state(v, &x->walk);
}

enum next emulate_insn(struct vcpu *v, struct vm_exit *e)
{
	struct emul_insn insn;
	struct emul_watch watch;
	struct emul_exec x;
	unsigned most = e->kind == EXIT_IO ? REP_PORT_ITERATIONS_MAX : REP_ITERATIONS_MAX;
	bool stepping;

	if (!emulate_fetch(v, e, &insn))
		return NEXT_RESUME;
	exec_prepare(v, &x, &watch);
	stepping = x.walk.rflags & RFLAGS_TF;
	switch (emul_exec(&x, &insn, stepping || x.watch ? 1 : most)) {
	case EMUL_DONE:
		if (unlikely(x.hits))
			v->vm->ops->hit(v, x.hits);
		e->insn_len = insn.len;
		return NEXT_ADVANCE;
	case EMUL_AGAIN:
		/* RIP stays, but an iteration with a debug trap behind it is a step. */
		if (unlikely(x.hits))
			v->vm->ops->hit(v, x.hits);
		if (unlikely(stepping || x.hits))
			v->vm->ops->advance(v, 0);
		return NEXT_RESUME;
	case EMUL_FAULT:
		vcpu_raise_fault(v, &x.fault);
		return NEXT_RESUME;
	default:
		kill_undecodable(v, e);
		return NEXT_RESUME;
	}
}

static bool exec_mov(struct vcpu *v, const struct emul_insn *mov)
{
	struct emul_watch watch;
	struct emul_exec x;

	exec_prepare(v, &x, &watch);
	switch (emul_exec(&x, mov, 1)) {
	case EMUL_DONE:
		if (unlikely(x.hits))
			v->vm->ops->hit(v, x.hits);
		return true;
	case EMUL_FAULT:
		vcpu_raise_fault(v, &x.fault);
		return false;
	default:
		vm_kill(v->vm, "it keeps a page table where it has no memory (rip %#llx)",
			(unsigned long long)vcpu_reg(v, VREG_RIP));
		return false;
	}
}

/* A memory operand is read as MOV would read it, by way of a register that gets its old value back. */
bool emulate_read_operand(struct vcpu *v, const struct emul_insn *insn,
			  const struct emul_operand *op, u64 *value)
{
	u64 rax = v->gpr[GPR_RAX];
	struct emul_insn mov = *insn;

	if (op->kind == EMUL_OP_REG) {
		*value = vcpu_gpr(v, op->reg);
		return true;
	}
	mov.opcode = EMUL_MOV;
	mov.src = *op;
	mov.dst = (struct emul_operand){.kind = EMUL_OP_REG, .reg = GPR_RAX, .size = op->size};
	if (!exec_mov(v, &mov))
		return false;
	*value = v->gpr[GPR_RAX];
	v->gpr[GPR_RAX] = rax;
	return true;
}

/* And written as MOV with an immediate would write it. */
bool emulate_write_operand(struct vcpu *v, const struct emul_insn *insn,
			   const struct emul_operand *op, u64 value)
{
	struct emul_insn mov = *insn;

	mov.opcode = EMUL_MOV;
	mov.dst = *op;
	mov.src = (struct emul_operand){.kind = EMUL_OP_IMM, .size = op->size};
	mov.imm = value & (~0ULL >> (64 - 8 * op->size));
	return exec_mov(v, &mov);
}
