/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c vmm/core/extint.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvm_call.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/task_segments.c vmm/core/task_switch.c vmm/core/task_tss.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/sched.c vmm/core/run.c vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
 *   vmm/dev/vpm.c vmm/dev/vrtc.c vmm/dev/vrtc_time.c vmm/dev/vuart.c vmm/emul/alu.c
 *   vmm/emul/decode.c vmm/emul/exec.c vmm/emul/exec_string.c vmm/emul/length.c vmm/emul/mem.c
 *   vmm/emul/modrm.c vmm/emul/opcodes.c vmm/irq/vioapic.c vmm/irq/vpic.c vmm/irq/vlapic.c
 *   vmm/irq/vlapic_ipi.c vmm/irq/vlapic_regs.c vmm/irq/vlapic_timer.c vmm/load/acpi_gen.c
 *   vmm/load/kernel.c vmm/load/loader.c vmm/load/bz_header.c vmm/load/elf.c vmm/load/pvh.c vmm/load/multiboot.c
 *   vmm/load/bzimage.c vmm/load/mptable.c vmm/load/reset_vector.c vmm/load/zeropage.c vmm/machine/config.c
 *   vmm/machine/machine.c vmm/machine/pc.c vmm/dev/vpit.c vmm/dev/vpci.c
 *   vmm/dev/vkbc.c vmm/dev/vhpet.c vmm/mem/gmem.c vmm/mem/gwalk.c vmm/mem/page_alloc.c
 *   vmm/mem/pagetable.c vmm/mem/pt_formats.c vmm/lib/fmt.c vmm/lib/log.c vmm/lib/log_keep.c test/mock/host.c
 *   test/mock/backend.c */
/* The guest's MSRs: #GP for what no row names, the rules of each that one does, MTRRs, EFER, kvmclock. */
#include "../mock/core_test.h"

static bool gp_raised(void)
{
	const struct event *e = deliver();

	backend()->injected_count = 0;
	return e && e->type == EVENT_EXCEPTION && e->vector == VEC_GP && e->has_error && !e->error;
}

static bool rd(u32 msr, u64 *value)
{
	struct vm_exit e = {.kind = EXIT_RDMSR, .insn_len = 2};

	vcpu_reg_set(v, VREG_CR0, vcpu_reg(v, VREG_CR0) | CR0_PE);
	v->gpr[GPR_RCX] = 0xffffffff00000000ULL | msr;
	v->gpr[GPR_RAX] = v->gpr[GPR_RDX] = ~0ULL;
	if (exit_rdmsr(v, &e) == NEXT_ADVANCE) {
		assert_int_equal(v->gpr[GPR_RAX] >> 32, 0);
		assert_int_equal(v->gpr[GPR_RDX] >> 32, 0);
		*value = v->gpr[GPR_RAX] | v->gpr[GPR_RDX] << 32;
		return true;
	}
	assert_int_equal(v->gpr[GPR_RAX], ~0ULL); /* a faulting RDMSR changes nothing */
	assert_true(gp_raised());
	return false;
}

static bool wr(u32 msr, u64 value)
{
	struct vm_exit e = {.kind = EXIT_WRMSR, .insn_len = 2};

	vcpu_reg_set(v, VREG_CR0, vcpu_reg(v, VREG_CR0) | CR0_PE);
	v->gpr[GPR_RCX] = msr;
	v->gpr[GPR_RAX] = 0x1111111100000000ULL | (u32)value; /* the upper halves do not count */
	v->gpr[GPR_RDX] = 0x2222222200000000ULL | value >> 32;
	if (exit_wrmsr(v, &e) == NEXT_ADVANCE)
		return true;
	assert_true(gp_raised());
	return false;
}

static void unknown_faults(unused void **state)
{
	static const u32 msr[] = {0,          0x13,       0x1234,     0x480,
				  0x48f,      0x7ff,      0x900,      0xc0000079,
				  0xc0010114, 0xc0010117, 0xffffffff, 0x4b564d02};
	u64 value;

	for (unsigned i = 0; i < ARRAY_SIZE(msr); i++) {
		assert_false(rd(msr[i], &value));
		assert_false(wr(msr[i], 0));
	}
	assert_false(wr(MSR_MTRRCAP, 0));
	assert_false(wr(MSR_FEATURE_CONTROL, 5));
}

static void every_msr_answers_or_faults(unused void **state)
{
	u64 value;

	for (u32 msr = 0; msr < 0x1000; msr++) {
		(void)rd(msr, &value);
		(void)wr(msr, 0xa5a5a5a5a5a5a5a5ULL);
		(void)rd(0xc0000000 + msr, &value);
		(void)wr(0xc0000000 + msr, ~0ULL);
	}
	assert_false(vm.actions & VM_KILL);
}

static void tsc_and_adjust(unused void **state)
{
	u64 value;

	assert_true(rd(MSR_TSC_ADJUST, &value) && value == 0);
	assert_true(wr(MSR_TSC, 1000000));
	assert_true(rd(MSR_TSC, &value) && value == 1000000 + 0 * mock_host.tick_step);
	mock_host_advance(500);
	assert_true(rd(MSR_TSC, &value) && value == 1000500);
	assert_true(rd(MSR_TSC_ADJUST, &value));
	assert_true(wr(MSR_TSC_ADJUST, value + 7));
	assert_true(rd(MSR_TSC, &value) && value == 1000507);
	assert_int_equal(backend()->reg[VREG_TSC_OFFSET], v->tsc_offset);
}

static void efer_rules(unused void **state)
{
	u64 value;

	assert_true(wr(MSR_EFER, EFER_SCE | EFER_NXE | EFER_LME));
	assert_true(rd(MSR_EFER, &value) && value == (EFER_SCE | EFER_NXE | EFER_LME));
	assert_false(wr(MSR_EFER, EFER_SVME));
	assert_false(wr(MSR_EFER, BIT(1)));
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_PG);
	assert_false(wr(MSR_EFER, EFER_SCE)); /* LME while paging */
	vcpu_reg_set(v, VREG_CR0, CR0_PE | CR0_PG);
	assert_true(wr(MSR_EFER, EFER_LME)); /* LMA is kept, not written */
	assert_true(rd(MSR_EFER, &value) && value == (EFER_LME | EFER_LMA));
}

/* Kernels write BTF for a debugger's sake, without asking CPUID. */
static void debugctl_rules(unused void **state)
{
	u64 value;

	assert_true(wr(MSR_DEBUGCTL, DEBUGCTL_BTF | DEBUGCTL_LBR));
	assert_true(rd(MSR_DEBUGCTL, &value) && value == 3);
	assert_false(wr(MSR_DEBUGCTL, BIT(6)));
	vcpu_reset(v);
	assert_true(rd(MSR_DEBUGCTL, &value) && value == 0);
}

static void mtrr_and_pat_rules(unused void **state)
{
	u64 value;

	assert_true(rd(MSR_MTRRCAP, &value) && value == 0x508);
	assert_true(rd(MSR_MTRR_DEF_TYPE, &value) && value == 0x806);
	assert_false(wr(MSR_MTRR_DEF_TYPE, 0x802)); /* type 2 is reserved */
	assert_false(wr(MSR_MTRR_DEF_TYPE, BIT(9)));
	assert_true(wr(MSR_MTRR_DEF_TYPE, 0xc00));
	assert_true(wr(MSR_MTRR_FIX64K, 0x0606060606060606ULL));
	assert_false(wr(MSR_MTRR_FIX64K, 0x0606060206060606ULL));
	assert_true(wr(MSR_MTRR_PHYSBASE0, 0x80000006));
	assert_false(wr(MSR_MTRR_PHYSBASE0, BIT(45) | 6)); /* beyond the physical address width */
	assert_true(wr(MSR_MTRR_PHYSBASE0 + 1, 0xff80000800ULL));
	assert_false(wr(MSR_MTRR_PHYSBASE0 + 1, BIT(10)));
	assert_true(rd(MSR_MTRR_PHYSBASE0, &value) && value == 0x80000006);
	assert_true(wr(MSR_PAT, PAT_RESET));
	assert_false(wr(MSR_PAT, 0x02ULL));
	assert_false(wr(MSR_PAT, 0x08ULL << 56));
	assert_true(rd(MSR_PAT, &value) && value == PAT_RESET);
}

struct time_info {
	u32 version, pad0;
	u64 tsc, system;
	u32 mul;
	s8 shift;
	u8 flags, pad[2];
};

/* The computation that Linux makes. */
static u64 guest_clock(const struct time_info *t, u64 tsc)
{
	u64 delta = tsc - t->tsc;

	delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
	return t->system + (u64)(((unsigned __int128)delta * t->mul) >> 32);
}

static void kvmclock_runs_true(unused void **state)
{
	static const u64 rates[] = {100000000,  999999999,  1000000000, 1000000001,
				    2000000000, 2893123456, 5000000000};
	struct time_info t;

	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		u64 second;

		vm.tsc_hz = v->clock.hz = rates[i];
		kvmclock_init(&vm);
		assert_true(wr(MSR_KVM_SYSTEM_TIME_NEW, 0x1001));
		assert_int_equal(gmem_read(&vm.gmem, 0x1000, &t, sizeof(t)), 0);
		assert_int_equal(t.version & 1, 0);
		assert_int_equal(t.flags, 1);
		second = guest_clock(&t, t.tsc + rates[i]) - t.system;
		assert_in_range(second, 999999990, 1000000010);
		/* No drift over a day: better than one part in 10^8. */
		second = guest_clock(&t, t.tsc + 86400 * rates[i]) - t.system;
		assert_in_range(second, 86400ULL * 1000000000 - 864000,
				86400ULL * 1000000000 + 864000);
	}
}

static void kvmclock_refuses_bad_addresses(unused void **state)
{
	assert_false(wr(MSR_KVM_SYSTEM_TIME_NEW, (MiB(32) - 16) | 1)); /* crosses the end of RAM */
	assert_false(wr(MSR_KVM_SYSTEM_TIME_NEW, ~0ULL));
	assert_false(wr(MSR_KVM_WALL_CLOCK_NEW, GiB(1)));
	assert_false(wr(MSR_KVM_WALL_CLOCK_NEW, 0x1001));
	assert_true(
		wr(MSR_KVM_SYSTEM_TIME_NEW, GiB(1))); /* not enabled: the address does not count */
	assert_true(wr(MSR_KVM_WALL_CLOCK_NEW, 0x2000));
}

static void kvmclock_has_its_older_numbers(unused void **state)
{
	struct time_info t;
	u64 value = 1;

	assert_true(wr(MSR_KVM_SYSTEM_TIME, 0x1001));
	assert_true(wr(MSR_KVM_WALL_CLOCK, 0x2000));
	assert_true(rd(MSR_KVM_SYSTEM_TIME_NEW, &value));
	assert_int_equal(value, 0x1001);
	assert_true(rd(MSR_KVM_WALL_CLOCK, &value));
	assert_int_equal(value, 0x2000);
	assert_int_equal(gmem_read(&vm.gmem, 0x1000, &t, sizeof(t)), 0);
	assert_int_equal(t.flags, 1);
	assert_false(wr(MSR_KVM_SYSTEM_TIME, ~0ULL));
	assert_false(wr(MSR_KVM_WALL_CLOCK, 0x1001));
	msr_reset(v);
	assert_true(rd(MSR_KVM_SYSTEM_TIME, &value));
	assert_int_equal(value, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(unknown_faults),
		CORE_TEST(every_msr_answers_or_faults),
		CORE_TEST(tsc_and_adjust),
		CORE_TEST(efer_rules),
		CORE_TEST(debugctl_rules),
		CORE_TEST(mtrr_and_pat_rules),
		CORE_TEST(kvmclock_runs_true),
		CORE_TEST(kvmclock_refuses_bad_addresses),
		CORE_TEST(kvmclock_has_its_older_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
