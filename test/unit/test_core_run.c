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
/* A VM's life on a scripted CPU: start, halt and wake, reset in each way, power-off, death, and nothing left behind. */
#include "../mock/core_test.h"

static u8 image[0x2000];

static void put(unsigned at, u64 value, unsigned size)
{
	memcpy(image + at, &value, size);
}

/* The least that Linux's boot protocol calls a 64-bit kernel. */
static void make_image(void)
{
	memset(image, 0, sizeof(image));
	put(0x1f1, 1, 1);
	put(0x1f4, (sizeof(image) - 1024) / 16, 4);
	put(0x1fe, 0xaa55, 2);
	put(0x201, 0x6a, 1);
	put(0x202, 0x53726448, 4);
	put(0x206, 0x020f, 2);
	put(0x211, 1, 1);
	put(0x22c, 0x7fffffff, 4);
	put(0x230, MiB(2), 4);
	put(0x234, 1, 1);
	put(0x236, 1, 2);
	put(0x238, 2047, 4);
	put(0x258, MiB(16), 8);
	put(0x260, MiB(4), 4);
	vm.image =
		(struct load_image){.kernel = image, .kernel_size = sizeof(image), .cmdline = ""};
}

static unsigned step;
static void (*script)(unsigned step, struct vm_exit *e);

static void play(unused struct vcpu *vcpu, struct vm_exit *e)
{
	e->insn_len = 1;
	script(step++, e);
}

static void run(void (*fn)(unsigned step, struct vm_exit *e))
{
	make_image();
	step = 0;
	script = fn;
	backend()->run = play;
	mock_vm_run(&vm);
}

static void out(struct vm_exit *e, u16 port, u8 size, u32 value)
{
	v->gpr[GPR_RAX] = value;
	e->kind = EXIT_IO;
	e->io = (struct exit_io){.port = port, .size = size};
}

static void power_off(struct vm_exit *e)
{
	out(e, VPM_BASE + 4, 2, VPM_S5_TYPE << 10 | 1 << 13);
}

/* Sent to it in its last life: not to be served in the next. */
static void forgets_what_was_sent_before(unused void **state)
{
	struct load_error why;

	make_image();
	vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
	assert_true(vlapic_post(&v->lapic, 0x41, false));
	assert_true(vlapic_post(&v->lapic, 0x42, true));
	v->requests = REQ_APIC | REQ_NMI | REQ_INIT | REQ_SIPI | REQ_STOP;
	assert_int_equal(vm_boot(&vm, &why), 0);
	assert_int_equal(v->requests & ~(u32)REQ_EVENT, REQ_STOP);
	vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
	vlapic_collect(&v->lapic);
	assert_int_equal(vlapic_pending(&v->lapic), -1);
	assert_false(v->nmi_pending);
}

static void starts_as_linux_expects(unused void **state)
{
	struct load_error why;

	make_image();
	assert_int_equal(vm_boot(&vm, &why), 0);
	assert_int_equal(vcpu_reg(v, VREG_EFER), EFER_LME | EFER_LMA);
	assert_int_equal(vcpu_reg(v, VREG_RIP), MiB(16) + 0x200);
	assert_int_equal(vcpu_reg(v, VREG_RFLAGS) & RFLAGS_IF, 0);
	assert_int_equal(backend()->seg[VSEG_CS].selector, 0x10);
	assert_int_equal(backend()->seg[VSEG_DS].selector, 0x18);
	assert_int_not_equal(v->gpr[GPR_RSI], 0);
}

static void s5(unsigned n, struct vm_exit *e)
{
	if (n == 0)
		e->kind = EXIT_CPUID;
	else
		power_off(e);
}

static void powers_off(unused void **state)
{
	run(s5);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_int_equal(step, 2);
	assert_true(mock_host_console_has("guest test has powered off"));
}

static void resets(unsigned n, struct vm_exit *e)
{
	v->gpr[5] = 0x1234; /* must be gone after each reset */
	switch (n) {
	case 0:
		e->kind = EXIT_TRIPLE_FAULT;
		break;
	case 1:
		out(e, 0xcf9, 1, 6);
		break;
	case 2:
		out(e, 0x64, 1, 0xfe);
		break;
	case 3:
		out(e, 0x92, 1, 1);
		break;
	default:
		power_off(e);
	}
}

static void restarts_in_every_way(unused void **state)
{
	static const char mark[] = "what the last run left";
	char seen[sizeof(mark)];

	assert_int_equal(gmem_write(&vm.gmem, MiB(8), mark, sizeof(mark)), 0);
	run(resets);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_int_equal(vm.resets, 4);
	assert_true(mock_host_console_has("triple fault"));
	assert_int_equal(gmem_read(&vm.gmem, MiB(8), seen, sizeof(seen)), 0);
	assert_int_equal(seen[0], 0);
	assert_int_not_equal(backend()->flushes, 0);
	assert_int_equal(vcpu_reg(v, VREG_RIP) & ~0xffULL, MiB(16) + 0x200);
}

static void executes_from_nowhere(unused unsigned n, struct vm_exit *e)
{
	e->kind = EXIT_NPF;
	e->npf = (struct exit_npf){.gpa = GiB(3), .access = NPF_EXEC};
}

static void dies_alone_with_a_reason(unused void **state)
{
	run(executes_from_nowhere);
	assert_int_equal(vm.state, VM_DEAD);
	assert_int_equal(step, 1);
	assert_true(mock_host_console_has(
		"guest test was stopped: it executes from guest-physical 0xc0000000"));
}

static void refused(unused unsigned n, struct vm_exit *e)
{
	*e = (struct vm_exit){.kind = EXIT_ENTRY_FAILED, .raw = 0x80000021};
}

static void refused_entry_stops_the_guest(unused void **state)
{
	run(refused);
	assert_int_equal(vm.state, VM_DEAD);
	assert_true(mock_host_console_has("0x80000021"));
}

/* HLT with the TSC-deadline timer armed: the host halts once, the interrupt is delivered. */
static void sleeper(unsigned n, struct vm_exit *e)
{
	switch (n) {
	case 0:
		vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
		vlapic_mmio_write(&v->lapic, 0x320, 0x40000 | 0x55);
		assert_true(
			vlapic_msr_write(&v->lapic, MSR_TSC_DEADLINE, vcpu_guest_tsc(v) + 100000));
		vcpu_reg_set(v, VREG_RFLAGS, 2 | RFLAGS_IF);
		e->kind = EXIT_HLT;
		break;
	default:
		power_off(e);
	}
}

static void halts_and_wakes(unused void **state)
{
	u64 before = mock_host.ticks;

	run(sleeper);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_in_range(mock_host.idles, 1, 2);
	assert_true(mock_host.ticks - before >= 100000);
	assert_int_equal(backend()->injected_count, 1);
	assert_int_equal(backend()->injected[0].vector, 0x55);
}

static void dead_halt(unused unsigned n, struct vm_exit *e)
{
	e->kind = EXIT_HLT; /* IF is 0 */
}

static void halt_for_ever_ends_the_vm(unused void **state)
{
	run(dead_halt);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_int_equal(mock_host.idles, 0);
	assert_true(mock_host_console_has("halted with interrupts off"));
}

/* ---- A back end's own timer ------------------------------------------------------------------ */

/*
 * As the VMX-preemption timer's: it counts only while the guest runs, and is started anew when it is wanted for another deadline or
 * when `timer_started` says so. Over a HLT it must be: the clock has gone on.
 */
static u64 started_at[2];

static void timed(unsigned n, struct vm_exit *e)
{
	if (n < 2)
		started_at[n] = v->timer_started;
	switch (n) {
	case 0:
		vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
		vlapic_mmio_write(&v->lapic, 0x320, 0x40000 | 0x55);
		assert_true(
			vlapic_msr_write(&v->lapic, MSR_TSC_DEADLINE, vcpu_guest_tsc(v) + 100000));
		vcpu_reg_set(v, VREG_RFLAGS, 2 | RFLAGS_IF);
		v->timer_started = v->deadline;
		e->kind = EXIT_HLT;
		break;
	case 1: /* woken by something else, the deadline is the same */
		assert_int_equal(backend()->injected[0].vector, 0x41);
		assert_true(v->deadline > mock_host.ticks);
		/* fall through */
	default:
		power_off(e);
	}
}

static void interrupt_while_halted(unused void *arg)
{
	static const struct apic_msg msg = {.mode = APIC_FIXED, .vector = 0x41};

	mock_host_advance(50000);
	assert_true(apic_bus_deliver(&vm, &msg, NULL));
	vcpu_notify(v, REQ_EVENT);
}

static void timer_does_not_go_on_from_before_a_halt(unused void **state)
{
	mock_host.idle = interrupt_while_halted;
	run(timed);
	assert_int_equal(step, 2);
	assert_int_equal(mock_host.idles, 1);
	assert_int_equal(started_at[0], TIMER_UNKNOWN);
	assert_int_equal(started_at[1], TIMER_UNKNOWN);
}

/* A deadline has passed, and the host's timer was not heard: the window tells of the time, too. */
static void window_late(unsigned n, struct vm_exit *e)
{
	switch (n) {
	case 0:
		vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
		vlapic_mmio_write(&v->lapic, 0x320, 0x40000 | 0x55);
		assert_true(
			vlapic_msr_write(&v->lapic, MSR_TSC_DEADLINE, vcpu_guest_tsc(v) + 100000));
		vcpu_reg_set(v, VREG_RFLAGS, 2 | RFLAGS_IF);
		e->kind = EXIT_CPUID;
		break;
	case 1:
		assert_int_equal(backend()->injected_count, 0);
		mock_host_advance(200000);
		e->kind = EXIT_INTR_WINDOW;
		break;
	default:
		assert_int_equal(backend()->injected[0].vector, 0x55);
		power_off(e);
	}
}

static void a_window_tells_of_the_time(unused void **state)
{
	run(window_late);
	assert_int_equal(step, 3);
}

/* ---- An NMI, with interrupts off ------------------------------------------------------------- */

static void halts_deaf(unsigned n, struct vm_exit *e)
{
	if (n == 0)
		e->kind = EXIT_HLT;
	else
		power_off(e);
}

static void wire_nmi(unsigned n, struct vm_exit *e)
{
	static const u8 words[] = {0x11, 0x60, 4, 1, 0};
	unsigned i;

	if (n == 0) {
		vlapic_mmio_write(&v->lapic, 0xf0, 0x1ff);
		vlapic_mmio_write(&v->lapic, 0x350, 0x400);
		for (i = 0; i < ARRAY_SIZE(words); i++)
			bus_write(&vm.pio, i ? 0x21 : 0x20, 1, words[i]);
	}
	halts_deaf(n, e);
}

static void route_nmi(unsigned n, struct vm_exit *e)
{
	if (n == 0) {
		bus_write(&vm.mmio, VIOAPIC_BASE, 4, 0x10 + 2 * 4);
		bus_write(&vm.mmio, VIOAPIC_BASE + 0x10, 4, 0x400);
	}
	halts_deaf(n, e);
}

/* Where there is one vcpu a device acts on its CPU, which it has woken by its deadline or by the console's input. */
static void raise_pic(unused void *arg)
{
	vpic_set_irq(&vm.pic, 4, true);
	vcpu_notify(v, 0);
}

static void raise_ioapic(unused void *arg)
{
	vioapic_set_pin(&vm.ioapic, 4, true);
	vcpu_notify(v, 0);
}

static void woken_by_nmi(void (*fn)(unsigned n, struct vm_exit *e), void (*idle)(void *arg))
{
	mock_host.idle = idle;
	run(fn);
	assert_int_equal(step, 2);
	assert_int_equal(mock_host.idles, 1);
	assert_int_equal(backend()->injected_count, 1);
	assert_int_equal(backend()->injected[0].type, EVENT_NMI);
	assert_true(mock_host_console_has("guest test has powered off"));
	assert_false(mock_host_console_has("halted with interrupts off"));
}

static void halted_waits_for_lint0s_nmi(unused void **state)
{
	woken_by_nmi(wire_nmi, raise_pic);
}

static void halted_waits_for_an_ioapics_nmi(unused void **state)
{
	woken_by_nmi(route_nmi, raise_ioapic);
}

/* ---- Kicks, with interrupts off ------------------------------------------------------------- */

static unsigned steps[2];

static void kick(struct vcpu *from, struct vm_exit *e, u64 apic_id)
{
	from->gpr[GPR_RAX] = 5;
	from->gpr[GPR_RCX] = apic_id;
	e->kind = EXIT_HYPERCALL;
}

/* Each halts with IF = 0 and is woken by the other one; a kick that comes first is not lost. */
static void kicking(struct vcpu *vcpu, struct vm_exit *e)
{
	static const struct apic_msg startup = {.mode = APIC_STARTUP, .vector = 8};
	unsigned n = steps[vcpu->id]++;

	e->insn_len = 1;
	e->kind = EXIT_HLT;
	if (vcpu->id == 0) {
		if (n == 0)
			kick(vcpu, e, 0);
		if (n == 2) /* 1 was no halt */
			assert_true(apic_bus_send_to(&vm.vcpu[1], &startup));
		if (n == 3 || n == 4) /* two are one */
			kick(vcpu, e, 1);
	} else {
		if (n == 0)
			kick(vcpu, e, 0);
		if (n == 2) {
			power_off(e);
			vcpu->gpr[GPR_RAX] = v->gpr[GPR_RAX];
		}
	}
}

static void halted_and_kicked(unused void **state)
{
	unsigned i;

	make_image();
	steps[0] = steps[1] = 0;
	for (i = 0; i < 4; i++)
		mock_backend(&vm.vcpu[i])->run = kicking;
	mock_vm_run(&vm);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_int_equal(steps[1], 3);
	assert_int_equal(steps[0], 6);
	assert_false(mock_host_console_has("halted with interrupts off"));
}

/* All of them halt so, and none is kicked. */
static void halting(struct vcpu *vcpu, struct vm_exit *e)
{
	static const struct apic_msg startup = {.mode = APIC_STARTUP, .vector = 8};
	unsigned n = steps[vcpu->id]++;

	e->insn_len = 1;
	e->kind = EXIT_HLT;
	if (vcpu->id == 0 && n == 0)
		assert_true(apic_bus_send_to(&vm.vcpu[1], &startup));
}

static void all_halted_ends_the_vm(unused void **state)
{
	unsigned i;

	make_image();
	steps[0] = steps[1] = 0;
	for (i = 0; i < 4; i++)
		mock_backend(&vm.vcpu[i])->run = halting;
	mock_vm_run(&vm);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_int_equal(steps[0], 1);
	assert_int_equal(steps[1], 1);
	assert_true(mock_host_console_has("halted with interrupts off"));
}

static void touches(unsigned n, struct vm_exit *e)
{
	if (n >= 3) {
		power_off(e);
		return;
	}
	e->kind = EXIT_NPF;
	e->npf = (struct exit_npf){.gpa = MiB(20) + n, .access = NPF_WRITE};
}

static void ram_appears_when_touched(unused void **state)
{
	struct pt_leaf leaf;

	assert_false(pt_lookup(&vm.npt, MiB(20), &leaf));
	run(touches);
	assert_int_equal(vm.state, VM_STOPPED);
	assert_true(pt_lookup(&vm.npt, MiB(20), &leaf));
	assert_int_equal(leaf.size, MiB(2));
}

static void creation_fails_cleanly(unused void **state)
{
	struct vm_params params = {.name = "second",
				   .devices = pc_devices,
				   .mem = MiB(32),
				   .hv = &hv,
				   .weight = SCHED_WEIGHT_DEFAULT,
				   .cpus = 1,
				   .affinity = 1,
				   .ops = &mock_backend_ops,
				   .caps = &mock_backend_caps};
	static struct vm second;
	struct load_error why;
	unsigned live = mock_host.live;
	long n;

	for (n = 0; n < 64; n++) {
		mock_host.fail_alloc = n;
		if (vm_create(&second, &params, &why) == 0)
			break;
		assert_int_equal(mock_host.live, live);
		assert_int_not_equal(why.text[0], 0);
	}
	assert_in_range(n, 1, 63);
	mock_host.fail_alloc = -1;
	vm_destroy(&second);
	assert_int_equal(mock_host.live, live);
	params.mem = MiB(1);
	assert_true(vm_create(&second, &params, &why) < 0);
	assert_int_equal(mock_host.live, live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(forgets_what_was_sent_before),
		CORE_TEST(powers_off),
		CORE_TEST(starts_as_linux_expects),
		CORE_TEST(powers_off),
		CORE_TEST(restarts_in_every_way),
		CORE_TEST(dies_alone_with_a_reason),
		CORE_TEST(refused_entry_stops_the_guest),
		CORE_TEST(halts_and_wakes),
		CORE_TEST(halt_for_ever_ends_the_vm),
		CORE_TEST(timer_does_not_go_on_from_before_a_halt),
		CORE_TEST(a_window_tells_of_the_time),
		CORE_TEST(halted_waits_for_lint0s_nmi),
		CORE_TEST(halted_waits_for_an_ioapics_nmi),
		SMP_TEST(halted_and_kicked),
		SMP_TEST(all_halted_ends_the_vm),
		CORE_TEST(ram_appears_when_touched),
		CORE_TEST(creation_fails_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
