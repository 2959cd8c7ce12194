/* SPDX-License-Identifier: MIT */
/* The scripted back end of backend.h, and a VM made with it. */
#include <stdlib.h>
#include <string.h>

#include <vmm/host.h>

#include "backend.h"
#include "mock.h"

const struct backend_caps mock_backend_caps = {
	.large_pages = 7, .rdtscp = true, .invpcid = true, .phys_bits = 40};

static int create(struct vcpu *v)
{
	v->backend = calloc(1, sizeof(struct mock_backend));
	return v->backend ? 0 : -12;
}

static void destroy(struct vcpu *v)
{
	free(v->backend);
}

static void reset(struct vcpu *v, unused bool init)
{
	struct mock_backend *b = v->backend;

	memset(b->reg, 0, sizeof(b->reg));
	b->reg[VREG_RFLAGS] = 2;
	b->blocked = 0;
}

static void nothing(unused struct vcpu *v)
{
}

static void run(struct vcpu *v, unused u64 deadline, struct vm_exit *exit)
{
	memset(exit, 0, sizeof(*exit));
	mock_backend(v)->entries++;
	mock_backend(v)->run(v, exit);
}

static u64 reg_get(struct vcpu *v, enum vreg reg)
{
	const struct segment *cs = &mock_backend(v)->seg[VSEG_CS];

	if (reg == VREG_CODE_BITS)
		return cs->attr & SEG_ATTR_L ? 64 : cs->attr & SEG_ATTR_DB ? 32 : 16;
	return mock_backend(v)->reg[reg];
}

static void reg_set(struct vcpu *v, enum vreg reg, u64 value)
{
	struct mock_backend *b = v->backend;

	b->reg[reg] = value;
	if (reg == VREG_CR0 || reg == VREG_EFER) {
		b->reg[VREG_EFER] &= ~BIT(10);
		if (b->reg[VREG_CR0] & BIT(31) && b->reg[VREG_EFER] & BIT(8))
			b->reg[VREG_EFER] |= BIT(10);
	}
}

static void seg_get(struct vcpu *v, enum vseg seg, struct segment *out)
{
	*out = mock_backend(v)->seg[seg];
}

static void seg_set(struct vcpu *v, enum vseg seg, const struct segment *in)
{
	mock_backend(v)->seg[seg] = *in;
}

static void advance(struct vcpu *v, unsigned len)
{
	mock_backend(v)->reg[VREG_RIP] += len;
	mock_backend(v)->advanced += len;
}

static void hit(struct vcpu *v, u32 breakpoints)
{
	mock_backend(v)->hits |= breakpoints;
}

static u32 blocked(struct vcpu *v)
{
	return mock_backend(v)->blocked;
}

static void inject(struct vcpu *v, const struct event *event)
{
	struct mock_backend *b = v->backend;

	if (b->injected_count < MOCK_EVENTS_MAX)
		b->injected[b->injected_count++] = *event;
}

static void window(struct vcpu *v, u32 windows)
{
	mock_backend(v)->windows = windows;
}

static void flush(struct vcpu *v)
{
	mock_backend(v)->flushes++;
}

static void dump(struct vcpu *v)
{
	mock_backend(v)->dumps++;
}

const struct backend_ops mock_backend_ops = {
	.name = "mock",
	.npt_format = &pt_format_npt,
	.vcpu_create = create,
	.vcpu_destroy = destroy,
	.vcpu_reset = reset,
	.load = nothing,
	.put = nothing,
	.run = run,
	.reg_get = reg_get,
	.reg_set = reg_set,
	.seg_get = seg_get,
	.seg_set = seg_set,
	.advance = advance,
	.hit = hit,
	.blocked = blocked,
	.inject = inject,
	.window = window,
	.flush = flush,
	.dump = dump,
};

char mock_vm_output[8192];
size_t mock_vm_output_len;

static void output(unused void *ctx, const u8 *buf, size_t len)
{
	if (len > sizeof(mock_vm_output) - mock_vm_output_len)
		len = sizeof(mock_vm_output) - mock_vm_output_len;
	memcpy(mock_vm_output + mock_vm_output_len, buf, len);
	mock_vm_output_len += len;
}

static size_t input(unused void *ctx, u8 *buf, size_t max)
{
	return host_console_read(buf, max);
}

static void typed(void *arg)
{
	const struct vm *vm = arg;

	hv_input(vm->hv, vm);
}

static void cpuid_amd(void)
{
	if (mock_host.cpuid_count)
		return;
	mock_host_cpuid_set(0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);
	mock_host_cpuid_set(1, 0, 0x00800f12, 0x00010800, 0xffffffff, 0xffffffff);
	mock_host_cpuid_set(7, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff);
	mock_host_cpuid_set(0xd, 0, 0x2e7, 0x240, 0xa80, 0);
	mock_host_cpuid_set(0xd, 1, 0xf, 0x240, 0, 0);
	mock_host_cpuid_set(0xd, 2, 0x100, 0x240, 0, 0);
	mock_host_cpuid_set(0xd, 5, 0x40, 0x440, 0, 0);
	mock_host_cpuid_set(0xd, 6, 0x200, 0x480, 0, 0);
	mock_host_cpuid_set(0xd, 7, 0x400, 0x680, 0, 0);
	mock_host_cpuid_set(0x80000000, 0, 0x8000001f, 0, 0, 0);
	mock_host_cpuid_set(0x80000001, 0, 0, 0, 0xffffffff, 0xffffffff);
	mock_host_cpuid_set(0x80000008, 0, 0x3030, 0xffffffff, 0xffffffff, 0);
	mock_host_cpuid_set(0x8000000a, 0, 1, 0xffff, 0, 0xffffffff);
}

void mock_vm_create(struct vm *vm, struct hv *hv, u64 mem)
{
	mock_vm_create_smp(vm, hv, mem, 1);
}

void mock_vm_create_smp(struct vm *vm, struct hv *hv, u64 mem, unsigned cpus)
{
	struct vm_params params = {
		.name = "test",
		.devices = pc_devices,
		.mem = mem,
		.cpus = cpus,
		.ops = &mock_backend_ops,
		.caps = &mock_backend_caps,
		.hv = hv,
		.weight = SCHED_WEIGHT_DEFAULT,
		.affinity = 1,
		.on_crash = CONF_HOLD,
	};
	struct load_error why;

	mock_vm_output_len = 0;
	cpuid_amd();
	hv_init(hv, 1);
	if (vm_create(vm, &params, &why))
		host_panic("mock_vm_create: %s", why.text);
	vm->console = (struct vm_console){.dev = {.write = output, .read = input}};
	host_console_listen(typed, vm);
}

void mock_vm_run(struct vm *vm)
{
	vm_start(vm);
	cpu_loop(vm->hv, 0);
}
