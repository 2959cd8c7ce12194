/* SPDX-License-Identifier: MIT */
/*
 * vmm/core/apic_bus.c with the local APICs of 64 CPUs: who is addressed, in every mode, and who is not; what an INIT takes away.
 */
/* SOURCES: vmm/core/apic_bus.c vmm/irq/vlapic.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_ipi.c vmm/irq/vlapic_timer.c vmm/dev/clock.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arch/msr.h>

#include "../../vmm/core/core.h"

#define VECTOR 0x41
#define LDR    0xd0
#define DFR    0xe0
#define SVR    0xf0
#define ALL    (~0ULL)

static struct vm vm;

/* Stands for vcpu.c's: nobody runs here. */
void vcpu_notify(struct vcpu *v, u32 bits)
{
	v->requests |= bits;
}

static u64 now(void)
{
	return 0;
}

static u64 now_of(unused void *ctx)
{
	return 0;
}

static u64 same(unused void *ctx, u64 ticks)
{
	return ticks;
}

static void nothing(unused void *ctx)
{
}

static const struct vlapic_ops ops = {
	.notify = nothing, .enabled = nothing, .guest_tsc = now_of, .tsc_to_ticks = same};

static struct vlapic *apic(unsigned i)
{
	return &vm.vcpu[i].lapic;
}

static int setup(unused void **state)
{
	vm.cpus = VM_CPUS_MAX;
	for (unsigned i = 0; i < vm.cpus; i++) {
		struct vcpu *v = &vm.vcpu[i];

		*v = (struct vcpu){.vm = &vm, .id = i};
		clock_init(&v->clock, now, 1000000000, NULL);
		vlapic_init(&v->lapic, i, &v->clock, &ops, v);
		vlapic_mmio_write(&v->lapic, SVR, 0x1ff);
	}
	return 0;
}

static void use_x2apic(unsigned first)
{
	for (unsigned i = first; i < vm.cpus; i++)
		assert_true(vlapic_msr_write(apic(i), MSR_APIC_BASE,
					     apic(i)->base_msr | APIC_BASE_EXTD));
}

/* Who gets it: a bit for each CPU. */
static u64 send(struct apic_msg msg, const struct vlapic *except)
{
	u64 got = 0;
	bool taken;

	msg.vector = VECTOR;
	taken = apic_bus_deliver(&vm, &msg, except);
	for (unsigned i = 0; i < vm.cpus; i++) {
		if (vm.vcpu[i].requests & REQ_APIC)
			got |= BIT(i);
		assert_int_equal(apic(i)->posted[VECTOR / 32] >> VECTOR % 32 & 1, got >> i & 1);
		apic(i)->posted[VECTOR / 32] = 0;
		vm.vcpu[i].requests = 0;
	}
	assert_int_equal(taken, got != 0);
	return got;
}

static u64 physical(u32 dest)
{
	return send((struct apic_msg){.dest = dest}, NULL);
}

static u64 logical(u32 dest)
{
	return send((struct apic_msg){.dest = dest, .logical = true}, NULL);
}

static void physical_xapic(unused void **state)
{
	for (u32 i = 0; i < 0xff; i++)
		assert_int_equal(physical(i), i < vm.cpus ? BIT(i) : 0);
	assert_int_equal(physical(0xff), ALL);
	assert_int_equal(physical(0x100), 0);
	assert_int_equal(physical(~0U), ALL);
	assert_int_equal(send((struct apic_msg){.dest = ~0U}, apic(17)), ALL & ~BIT(17));
	/* One that is turned off takes nothing. */
	assert_true(vlapic_msr_write(apic(5), MSR_APIC_BASE, VLAPIC_BASE));
	vlapic_mmio_write(apic(6), SVR, 0xff);
	assert_int_equal(physical(5), 0);
	assert_int_equal(physical(6), 0);
	assert_int_equal(physical(0xff), ALL & ~(BIT(5) | BIT(6)));
}

static void physical_x2apic(unused void **state)
{
	use_x2apic(0);
	for (u32 i = 0; i < 0x200; i++)
		assert_int_equal(physical(i), i < vm.cpus ? BIT(i) : 0);
	assert_int_equal(physical(~0U), ALL);
}

/* The eight that have a bit of their own. */
static void logical_flat(unused void **state)
{
	for (unsigned i = 0; i < 8; i++)
		vlapic_mmio_write(apic(i), LDR, 1u << (24 + i));
	for (u32 dest = 0; dest < 0xff; dest++)
		assert_int_equal(logical(dest), dest);
	assert_int_equal(logical(0xff), ALL);
}

/* 15 clusters of four: sixty CPUs; the last four have no address. */
static void logical_cluster(unused void **state)
{
	for (unsigned i = 0; i < vm.cpus; i++) {
		vlapic_mmio_write(apic(i), DFR, 0);
		if (i < 60)
			vlapic_mmio_write(apic(i), LDR, (i / 4 << 4 | 1u << i % 4) << 24);
	}
	for (u32 dest = 0; dest < 0xf0; dest++)
		assert_int_equal(logical(dest), (u64)(dest & 0xf) << (dest >> 4) * 4);
	assert_int_equal(logical(0xff), ALL);
}

/* Four clusters of 16, by the APIC ID. */
static void logical_x2apic(unused void **state)
{
	use_x2apic(0);
	for (u32 cluster = 0; cluster < 6; cluster++)
		for (u32 bits = 1; bits < 0x10000; bits = bits * 3 + 1)
			assert_int_equal(logical(cluster << 16 | bits),
					 cluster < 4 ? (u64)bits << 16 * cluster : 0);
	assert_int_equal(logical(~0U), ALL);
	assert_int_equal(logical(0xff), 0xff); /* no broadcast here */
}

/* Some in each mode, as while a kernel starts its CPUs. */
static void mixed_modes(unused void **state)
{
	use_x2apic(32);
	assert_int_equal(physical(3), BIT(3));
	assert_int_equal(physical(40), BIT(40));
	assert_int_equal(physical(0xff), BIT(32) - 1);
	assert_int_equal(physical(~0U), ALL);
}

/* One of those addressed, and one that is there. */
static void lowest_priority(unused void **state)
{
	struct apic_msg msg = {.dest = 1 << 16 | 0xf0, .logical = true, .mode = APIC_LOWEST};

	use_x2apic(0);
	assert_int_equal(send(msg, NULL), BIT(20));
	assert_true(vlapic_msr_write(apic(20), MSR_X2APIC_FIRST + SVR / 16, 0xff));
	assert_int_equal(send(msg, NULL), BIT(21));
	msg.dest = 1 << 16 | BIT(4);
	assert_int_equal(send(msg, NULL), 0);
	msg = (struct apic_msg){.dest = 33, .mode = APIC_LOWEST};
	assert_int_equal(send(msg, NULL), BIT(33));
}

static u32 after(const u8 *modes, unsigned n)
{
	vm.vcpu[9].requests = 0;
	for (unsigned i = 0; i < n; i++)
		assert_true(apic_bus_deliver(
			&vm, &(struct apic_msg){.dest = 9, .mode = modes[i], .vector = 0x12},
			NULL));
	return vm.vcpu[9].requests;
}

#define AFTER(...) after((const u8[]){__VA_ARGS__}, sizeof((u8[]){__VA_ARGS__}))

/* A CPU looks at its requests in one order, INIT first, whatever the order in which they came. */
static void init_takes_away_what_was_before(unused void **state)
{
	vm.machine.pic = true;
	assert_int_equal(AFTER(APIC_INIT, APIC_STARTUP), REQ_INIT | REQ_SIPI);
	assert_int_equal(vm.vcpu[9].sipi_vector, 0x12);
	assert_int_equal(AFTER(APIC_STARTUP, APIC_INIT), REQ_INIT);
	assert_int_equal(AFTER(APIC_NMI, APIC_INIT), REQ_INIT);
	assert_int_equal(AFTER(APIC_INIT, APIC_NMI), REQ_INIT | REQ_NMI);
	assert_int_equal(AFTER(APIC_EXTINT, APIC_INIT), REQ_INIT);
	assert_int_equal(AFTER(APIC_INIT, APIC_STARTUP, APIC_INIT, APIC_STARTUP),
			 REQ_INIT | REQ_SIPI);
	/* Nobody has SMIs. Where there is a PIC, somebody asks it. */
	vm.vcpu[9].requests = 0;
	assert_false(apic_bus_deliver(&vm, &(struct apic_msg){.dest = 9, .mode = APIC_SMI}, NULL));
	assert_int_equal(vm.vcpu[9].requests, 0);
	assert_true(
		apic_bus_deliver(&vm, &(struct apic_msg){.dest = 9, .mode = APIC_EXTINT}, NULL));
	assert_int_equal(vm.vcpu[9].requests, REQ_EXTINT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(physical_xapic, setup),
		cmocka_unit_test_setup(physical_x2apic, setup),
		cmocka_unit_test_setup(logical_flat, setup),
		cmocka_unit_test_setup(logical_cluster, setup),
		cmocka_unit_test_setup(logical_x2apic, setup),
		cmocka_unit_test_setup(mixed_modes, setup),
		cmocka_unit_test_setup(lowest_priority, setup),
		cmocka_unit_test_setup(init_takes_away_what_was_before, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
