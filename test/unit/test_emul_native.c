/* SPDX-License-Identifier: MIT */
/*
 * The executor against the real CPU: random 64-bit instructions that emul_decode() accepts are carried out twice,
 * by emul_exec() on a copy of the memory (as RAM, and as MMIO) and natively; registers, defined flags and memory must
 * be equal.
 */
/* SOURCES: vmm/emul/decode.c vmm/emul/modrm.c vmm/emul/opcodes.c vmm/emul/length.c vmm/emul/mem.c vmm/emul/alu.c
   vmm/emul/exec.c vmm/emul/exec_string.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <arch/regs.h>
#include <vmm/emul.h>
#include <vmm/errno.h>

#define BUF_BASE 0x20000000ULL /* below 2 GiB, so that every addressing form reaches it */
#define BUF_SIZE 0x2000ULL
#define ARITH    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* Loaded before, and stored after, the instruction at `code`. Offsets are used by native_run. */
struct native {
	u64 gpr[16];
	u64 flags;
	void (*code)(void);
	u64 rsp;
};
extern struct native native;
struct native native;
void native_run(void);

__asm__(".text\n"
	".globl native_run\n"
	"native_run:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rax\n"
	"	mov %rsp, native+144(%rip)\n"
	"	pushq native+128(%rip); popfq\n"
	"	mov native+0(%rip), %rax; mov native+8(%rip), %rcx; mov native+16(%rip), %rdx\n"
	"	mov native+24(%rip), %rbx; mov native+40(%rip), %rbp; mov native+48(%rip), %rsi\n"
	"	mov native+56(%rip), %rdi; mov native+64(%rip), %r8; mov native+72(%rip), %r9\n"
	"	mov native+80(%rip), %r10; mov native+88(%rip), %r11; mov native+96(%rip), %r12\n"
	"	mov native+104(%rip), %r13; mov native+112(%rip), %r14; mov native+120(%rip), %r15\n"
	"	call *native+136(%rip)\n"
	"	mov %rax, native+0(%rip); mov %rcx, native+8(%rip); mov %rdx, native+16(%rip)\n"
	"	mov %rbx, native+24(%rip); mov %rbp, native+40(%rip); mov %rsi, native+48(%rip)\n"
	"	mov %rdi, native+56(%rip); mov %r8, native+64(%rip); mov %r9, native+72(%rip)\n"
	"	mov %r10, native+80(%rip); mov %r11, native+88(%rip); mov %r12, native+96(%rip)\n"
	"	mov %r13, native+104(%rip); mov %r14, native+112(%rip); mov %r15, native+120(%rip)\n"
	"	pushfq; popq native+128(%rip)\n"
	"	cld\n"
	"	pop %rax; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

/* ---- The emulated side ------------------------------------------------------------------------- */

static u64 gpr[16], rflags;
static u8 memory[BUF_SIZE];
static bool as_ram;

static u64 op_gpr_get(void *ctx, unsigned reg)
{
	(void)ctx;
	return gpr[reg];
}

static void op_gpr_set(void *ctx, unsigned reg, u64 value)
{
	(void)ctx;
	gpr[reg] = value;
}

static u64 op_rip(void *ctx)
{
	(void)ctx;
	return 0;
}

static u64 op_rflags_get(void *ctx)
{
	(void)ctx;
	return rflags;
}

static void op_rflags_set(void *ctx, u64 value)
{
	(void)ctx;
	rflags = value;
}

static void op_seg_get(void *ctx, unsigned seg, struct segment *out)
{
	(void)ctx;
	(void)seg;
	*out = (struct segment){.limit = ~0U};
}

static u64 op_mmio_read(void *ctx, gpa_t gpa, unsigned size)
{
	u64 v = 0;

	(void)ctx;
	assert_false(as_ram);
	assert_true(gpa - BUF_BASE <= BUF_SIZE - size);
	memcpy(&v, memory + (gpa - BUF_BASE), size);
	return v;
}

static void op_mmio_write(void *ctx, gpa_t gpa, unsigned size, u64 value)
{
	(void)ctx;
	assert_false(as_ram);
	assert_true(gpa - BUF_BASE <= BUF_SIZE - size);
	assert_true(size == 8 || value >> (8 * size) == 0);
	memcpy(memory + (gpa - BUF_BASE), &value, size);
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
};

/* Memory as the executor sees it: identity-mapped, and wholly RAM or wholly MMIO. */
int gwalk(struct gmem *g, const struct gwalk_state *s, gva_t va, u32 access, gpa_t *gpa, u64 *left,
	  struct gwalk_fault *fault)
{
	(void)g;
	(void)s;
	(void)access;
	(void)fault;
	assert_true(va - BUF_BASE < BUF_SIZE);
	*gpa = va;
	*left = PAGE_SIZE - (va & (PAGE_SIZE - 1));
	return 0;
}

bool gmem_is_ram(const struct gmem *g, gpa_t gpa, u64 len)
{
	(void)g;
	(void)gpa;
	(void)len;
	return as_ram;
}

int gmem_read(struct gmem *g, gpa_t gpa, void *buf, u64 len)
{
	(void)g;
	assert_true(gpa - BUF_BASE <= BUF_SIZE - len);
	memcpy(buf, memory + (gpa - BUF_BASE), len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t gpa, const void *buf, u64 len)
{
	(void)g;
	assert_true(gpa - BUF_BASE <= BUF_SIZE - len);
	memcpy(memory + (gpa - BUF_BASE), buf, len);
	return 0;
}

/* ---- Random instructions ----------------------------------------------------------------------- */

static u64 seed = 0x2545f4914f6cdd1dULL;

static u64 random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Values at which flags change, more often than chance has it. */
static u64 random_value(void)
{
	static const u64 edges[] = {0,
				    1,
				    0x7f,
				    0x80,
				    0xff,
				    0x7fff,
				    0x8000,
				    0xffff,
				    0x7fffffff,
				    0x80000000,
				    0xffffffff,
				    0x7fffffffffffffff,
				    0x8000000000000000,
				    ~0ULL,
				    0x0f,
				    0x10};

	if (random64() >> 30 & 1)
		return edges[(random64() >> 20) % ARRAY_SIZE(edges)];
	return random64();
}

static unsigned random_insn(u8 *b)
{
	static const u8 prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x3e};
	unsigned n = 0, i;

	while ((random64() >> 33 & 3) == 0 && n < 3)
		b[n++] = prefixes[(random64() >> 21) % ARRAY_SIZE(prefixes)];
	if (random64() >> 40 & 1)
		b[n++] = 0x40 | (random64() >> 50 & 15);
	if ((random64() >> 37 & 3) == 0)
		b[n++] = 0x0f;
	for (i = n; i < 15; i++)
		b[i] = (u8)(random64() >> 19);
	return n;
}

static bool uses_rsp(const struct emul_insn *i)
{
	return i->base == 4 || i->index == 4 || (i->dst.kind == EMUL_OP_REG && i->dst.reg == 4) ||
	       (i->src.kind == EMUL_OP_REG && i->src.reg == 4);
}

static bool lock_legal(const struct emul_insn *i)
{
	return !i->lock ||
	       (i->dst.kind == EMUL_OP_MEM && i->opcode >= EMUL_ADD && i->opcode <= EMUL_BTC &&
		i->opcode != EMUL_CMP && i->opcode != EMUL_TEST && i->opcode != EMUL_BT);
}

static bool is_string(const struct emul_insn *i)
{
	return i->opcode >= EMUL_MOVS && i->opcode <= EMUL_SCAS;
}

/* Can it run here, in ring 3, in the buffer? */
static bool usable(const struct emul_insn *i)
{
	if (i->opcode == EMUL_INS || i->opcode == EMUL_OUTS || i->opcode == EMUL_PUSH ||
	    i->opcode == EMUL_CR || i->opcode == EMUL_OTHER || i->seg == VSEG_FS ||
	    i->seg == VSEG_GS || !lock_legal(i))
		return false;
	if (is_string(i))
		return true;
	if (i->base < 0 || i->base == EMUL_BASE_RIP || i->base == i->index || uses_rsp(i))
		return false;
	return !(i->opcode >= EMUL_BT && i->opcode <= EMUL_BTC && i->src.kind == EMUL_OP_REG &&
		 (i->src.reg == i->base || i->src.reg == i->index));
}

/* The address register gets a value that points into the buffer, sometimes across the page in its middle. */
static void aim(const struct emul_insn *i)
{
	u64 target = BUF_BASE + 512 + (random64() >> 23) % (BUF_SIZE - 1024);

	if (random64() >> 44 & 1)
		target = BUF_BASE + BUF_SIZE / 2 - (random64() >> 23 & 7);
	if (is_string(i)) {
		gpr[6] = target;
		gpr[7] = BUF_BASE + 512 + (random64() >> 27) % (BUF_SIZE - 1024);
		gpr[1] = random64() >> 25 & 31;
		if (i->addr_size == 4) { /* the upper halves are ignored, then cleared */
			gpr[6] |= random64() << 32;
			gpr[7] |= random64() << 32;
			gpr[1] |= i->rep || i->repne ? random64() << 32 : 0;
			if ((u32)gpr[1] == 0) /* CPUs differ in what they clear then */
				gpr[1] = 3;
		}
		return;
	}
	if (i->opcode >= EMUL_BT && i->opcode <= EMUL_BTC && i->src.kind == EMUL_OP_REG)
		gpr[i->src.reg] = (u64)((s64)(random64() >> 30 & 0xfff) - 2048);
	gpr[i->base] = target - (u64)i->disp - (i->index >= 0 ? gpr[i->index] * i->scale : 0);
	if (i->addr_size == 4 && !(i->src.kind == EMUL_OP_REG && i->src.reg == i->base))
		gpr[i->base] ^= random64() << 32;
}

static u64 defined_flags(unsigned opcode)
{
	switch (opcode) {
	case EMUL_AND:
	case EMUL_OR:
	case EMUL_XOR:
	case EMUL_TEST:
		return ARITH & ~RFLAGS_AF;
	case EMUL_BT:
	case EMUL_BTS:
	case EMUL_BTR:
	case EMUL_BTC:
		return RFLAGS_CF | RFLAGS_ZF;
	default:
		return ARITH;
	}
}

static unsigned long ran[EMUL_OPCODES];

static void emulate(const struct emul_insn *insn)
{
	struct emul_exec e = {.ops = &ops, .mode = EMUL_MODE64};
	enum emul_result r;

	e.walk.cr0 = CR0_PE | CR0_PG;
	do {
		r = emul_exec(&e, insn, 5);
	} while (r == EMUL_AGAIN);
	assert_int_equal(r, EMUL_DONE);
}

static void show(const struct emul_insn *insn, const u8 *code, const char *what, u64 ours,
		 u64 theirs)
{
	char hex[64];
	unsigned i;

	for (i = 0; i < insn->len; i++)
		sprintf(hex + 3 * i, "%02x ", code[i]);
	fail_msg("%s: %#llx, the CPU %#llx; opcode %u, bytes %s", what, (unsigned long long)ours,
		 (unsigned long long)theirs, insn->opcode, hex);
}

static void try_one(u8 *code)
{
	u8 *buf = (u8 *)BUF_BASE;
	struct emul_insn insn;
	unsigned i;
	u8 *bytes = code;

	random_insn(bytes);
	if (emul_decode(bytes, 15, EMUL_MODE64, &insn) || !usable(&insn))
		return;
	bytes[insn.len] = 0xc3;
	for (i = 0; i < 16; i++)
		gpr[i] = random_value();
	aim(&insn);
	for (i = 0; i < BUF_SIZE; i += 8) {
		u64 v = random_value();

		memcpy(buf + i, &v, 8);
	}
	if (is_string(&insn) && random64() >> 39 & 1)
		memset(buf, (int)gpr[0] & 0xff, BUF_SIZE);
	memcpy(memory, buf, BUF_SIZE);
	rflags = RFLAGS_ONE | RFLAGS_IF | (random64() & ARITH) | (random64() & RFLAGS_DF);
	memcpy(native.gpr, gpr, sizeof(gpr));
	native.flags = rflags;
	as_ram = random64() >> 35 & 1;
	emulate(&insn);
	native_run();
	for (i = 0; i < 16; i++) {
		if (i != 4 && gpr[i] != native.gpr[i])
			show(&insn, code, "register", gpr[i], native.gpr[i]);
	}
	if ((rflags ^ native.flags) & (defined_flags(insn.opcode) | RFLAGS_DF))
		show(&insn, code, "flags", rflags, native.flags);
	for (i = 0; i < BUF_SIZE; i++) {
		if (memory[i] != buf[i])
			show(&insn, code, "memory", memory[i], buf[i]);
	}
	ran[insn.opcode]++;
}

static void test_native(void **state)
{
	u8 *code = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *buf = mmap((void *)BUF_BASE, BUF_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	unsigned long i;

	(void)state;
	assert_true(code != MAP_FAILED);
	assert_true(buf == (void *)BUF_BASE);
	native.code = (void (*)(void))code;
	for (i = 0; i < 500000; i++)
		try_one(code);
}

static void test_coverage(void **state)
{
	unsigned op;

	(void)state;
	for (op = EMUL_MOV; op <= EMUL_BTC; op++) {
		if (op != EMUL_INS && op != EMUL_OUTS && ran[op] < 100)
			fail_msg("opcode %u ran %lu times only", op, ran[op]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_coverage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
