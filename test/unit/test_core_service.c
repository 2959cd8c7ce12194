/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/core/apic_bus.c vmm/core/cpuid.c vmm/core/cr.c vmm/core/emulate.c vmm/core/event.c vmm/core/extint.c
 *   vmm/core/exit.c vmm/core/hypercall.c vmm/core/io.c vmm/core/kvm_call.c vmm/core/kvmclock.c vmm/core/msr.c vmm/core/pv_eoi.c vmm/core/steal_time.c
 *   vmm/core/task_segments.c vmm/core/task_switch.c vmm/core/task_tss.c
 *   vmm/core/mtrr.c vmm/core/cpu.c vmm/core/sched.c vmm/core/run.c
 *   vmm/core/vcpu.c vmm/core/vm.c vmm/dev/bus.c vmm/dev/clock.c
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
/*
 * What the first CPU does beside running guests, and what others ask of a vcpu: hv_serve() and service_at, vcpu_call(), hv_time(),
 * hv_hold(), vm_stop(), vm_restart().
 */
#include "../mock/core_test.h"

#define VMS 3

static struct vm guest[VMS];
static u8 image[0x2000];
static u64 steps[VMS];
static unsigned kicks_seen;
static void (*script)(struct vcpu *vcpu, unsigned n, struct vm_exit *e);

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
}

/* Steps are of its first vcpu. */
static void play(struct vcpu *vcpu, struct vm_exit *e)
{
	unsigned n = (unsigned)(vcpu->vm - guest);

	mock_host.ticks += 10000;
	e->insn_len = 1;
	e->kind = EXIT_CPUID;
	steps[n] += !vcpu->id;
	script(vcpu, n, e);
	if (e->kind == EXIT_CPUID &&
	    (mock_host.timer <= mock_host.ticks || mock_host.kicks != kicks_seen)) {
		mock_host.timer = HOST_TIMER_OFF;
		kicks_seen = mock_host.kicks;
		e->kind = EXIT_EXT_INTR;
	}
}

/* A back end that knows whose state is loaded. */
static struct vcpu *loaded;
static struct backend_ops ops;

static void load(struct vcpu *vcpu)
{
	assert_null(loaded);
	loaded = vcpu;
}

static void put_away(struct vcpu *vcpu)
{
	assert_ptr_equal(loaded, vcpu);
	loaded = NULL;
}

static void create(unsigned n, unsigned cpus)
{
	static const char *const names[VMS] = {"a", "b", "c"};
	struct vm_params p = {
		.name = names[n],
		.devices = pc_devices,
		.mem = MiB(32),
		.hv = &hv,
		.weight = SCHED_WEIGHT_DEFAULT,
		.affinity = 1,
		.on_crash = CONF_HOLD,
		.on_reboot = CONF_RESTART,
		.cpus = cpus,
		.ops = &ops,
		.caps = &mock_backend_caps,
		.image = {.kernel = image, .kernel_size = sizeof(image), .cmdline = ""}};
	struct load_error why;

	assert_int_equal(vm_create(&guest[n], &p, &why), 0);
	for (unsigned i = 0; i < cpus; i++)
		mock_backend(&guest[n].vcpu[i])->run = play;
}

static void begin(void (*fn)(struct vcpu *vcpu, unsigned n, struct vm_exit *e))
{
	make_image();
	hv_init(&hv, 1); /* the last one's tasks are forgotten */
	memset(steps, 0, sizeof(steps));
	kicks_seen = mock_host.kicks;
	loaded = NULL;
	ops = mock_backend_ops;
	ops.load = load;
	ops.put = put_away;
	script = fn;
}

static void power_off(struct vcpu *vcpu, struct vm_exit *e)
{
	vcpu->gpr[GPR_RAX] = VPM_S5_TYPE << 10 | 1 << 13;
	e->kind = EXIT_IO;
	e->io = (struct exit_io){.port = VPM_BASE + 4, .size = 2};
}

static void halt(struct vcpu *vcpu, struct vm_exit *e)
{
	vcpu_reg_set(vcpu, VREG_RFLAGS, 2 | RFLAGS_IF);
	e->kind = EXIT_HLT;
}

/* ---- The service ------------------------------------------------------------------------------------ */

static unsigned served;
static u64 served_step, served_at, next_at;
static unsigned again;

static void service(void *ctx)
{
	assert_ptr_equal(ctx, &served);
	assert_null(loaded);
	assert_null(hv.cpu[0].loaded);
	served++;
	served_step = steps[0];
	served_at = mock_host.ticks;
	hv.service_at = next_at;
	if (again && again--)
		hv_serve(&hv);
}

static void with_service(void)
{
	served = again = 0;
	next_at = SCHED_NEVER;
	hv.service = service;
	hv.service_ctx = &served;
}

static void asks_for_service(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n)
		return;
	if (steps[0] == 100) {
		assert_int_equal(served, 0);
		hv_serve(&hv);
	}
	if (steps[0] == 200) {
		assert_int_equal(served, 1);
		hv.service_at = mock_host.ticks + 1000000;
		/* It is for CPU 0 to notice by its timer: whoever changes it does so in the service. */
		hv_serve(&hv);
		next_at = hv.service_at;
	}
	if (steps[0] == 201)
		next_at = SCHED_NEVER;
	if (steps[0] == 250)
		assert_int_equal(served, 2);
	if (steps[0] == 1000) {
		vm_request_poweroff(&guest[1]);
		power_off(vcpu, e);
	}
}

static void served_at_once_and_in_time(unused void **state)
{
	/* Alone, and with another one beside it. */
	for (unsigned i = 1; i <= 2; i++) {
		begin(asks_for_service);
		with_service();
		for (unsigned n = 0; n < 2; n++)
			create(n, 1);
		for (unsigned n = 0; n < i; n++)
			vm_start(&guest[n]);
		cpu_loop(&hv, 0);
		assert_int_equal(served, 3);
		if (i == 1)
			assert_in_range(served_step, 299, 302);
		for (unsigned n = 0; n < 2; n++)
			vm_destroy(&guest[n]);
	}
}

static u64 asked_at;

static void at_once(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	if (steps[0] == 50) {
		hv_serve(&hv);
		asked_at = mock_host.ticks;
	}
	if (steps[0] == 51)
		assert_int_equal(served, 1);
	if (steps[0] == 60)
		power_off(vcpu, e);
}

static void before_the_next_instruction(unused void **state)
{
	begin(at_once);
	with_service();
	create(0, 1);
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(served, 1);
	assert_int_equal(served_at, asked_at);
	vm_destroy(&guest[0]);
}

/* With no guest that runs: the machine halts meanwhile. */
static void end_of_hold(unused void *arg)
{
	if (mock_host.timer != HOST_TIMER_OFF && mock_host.timer > mock_host.ticks)
		mock_host.ticks = mock_host.timer;
	else if (mock_host.timer == HOST_TIMER_OFF && mock_host.idles > 3)
		hv_ended(&hv, false);
}

static void while_it_is_held(unused void **state)
{
	with_service();
	mock_host.idle = end_of_hold;
	cpu_loop(&hv, 0); /* nothing holds it */
	assert_int_equal(mock_host.idles, 0);
	assert_false(hv_hold(&hv)); /* too late */
	assert_int_equal(hv.live, 0);
	hv.live = 1;
	assert_true(hv_hold(&hv));
	hv_ended(&hv, false);
	hv.service_at = 5000000;
	cpu_loop(&hv, 0);
	assert_int_equal(served, 1);
	assert_int_equal(served_at, 5000000);
	assert_true(mock_host.idles > 3);
	assert_int_equal(hv.live, 0);
}

static void spins(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	if (steps[0] == 300)
		power_off(vcpu, e);
}

/* One that always has more to do lets guests run in between. */
static void asked_for_again(unused void **state)
{
	begin(spins);
	with_service();
	again = 100;
	create(0, 1);
	hv_serve(&hv);
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(served, 101);
	assert_int_equal(steps[0], 300);
	vm_destroy(&guest[0]);
}

static void not_on_others(unused void **state)
{
	begin(spins);
	hv_init(&hv, 2);
	with_service();
	hv.service_at = 0;
	hv_serve(&hv);
	assert_true(hv_service_due(&hv, 0));
	assert_false(hv_service_due(&hv, 1));
	create(0, 1);
	for (unsigned i = 0; i < guest[0].cpus; i++)
		sched_task_init(&hv.sched, &guest[0].vcpu[i].task, SCHED_WEIGHT_DEFAULT, 2, false);
	vm_start(&guest[0]);
	cpu_loop(&hv, 1);
	assert_int_equal(steps[0], 300);
	assert_int_equal(served, 0);
	vm_destroy(&guest[0]);
	hv.service = NULL;
	assert_false(hv_service_due(&hv, 0));
}

/* The last guest that ends beside what is held for good is told to the service. */
static void told_when_only_holds_are_left(unused void **state)
{
	begin(spins);
	with_service();
	hv.holds = hv.live = 1;
	create(0, 1);
	vm_start(&guest[0]);
	mock_host.idle = end_of_hold;
	cpu_loop(&hv, 0);
	assert_int_equal(served, 1);
	vm_destroy(&guest[0]);
}

/* ---- vcpu_call ---------------------------------------------------------------------------------------- */

static struct vcpu_call call;
static struct vcpu *called;
static unsigned calls;

static void note(struct vcpu *vcpu, void *arg)
{
	assert_ptr_equal(arg, &calls);
	assert_ptr_equal(loaded, vcpu);
	assert_int_equal(call.done, 0);
	calls++;
	called = vcpu;
}

static int ask(unsigned n, unsigned id)
{
	call = (struct vcpu_call){.fn = note, .arg = &calls};
	return vcpu_call(&hv, &guest[n], id, &call);
}

static void runs(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	struct vcpu_call other = {.fn = note};

	if (steps[0] == 50) {
		assert_int_equal(ask(0, 0), 0);
		assert_int_equal(vcpu_call(&hv, &guest[0], 0, &other), -HV_EBUSY);
	}
	if (steps[0] == 51) {
		assert_int_equal(call.done, 1);
		assert_int_equal(calls, 1);
		assert_ptr_equal(called, &guest[0].vcpu[0]);
		/* It waits for a start-up IPI, and goes on doing so. */
		assert_int_equal(ask(0, 1), 0);
	}
	if (steps[0] == 1500) {
		assert_int_equal(call.done, 1);
		assert_int_equal(calls, 2);
		assert_ptr_equal(called, &guest[0].vcpu[1]);
		assert_true(guest[0].vcpu[1].wait_sipi);
		power_off(vcpu, e);
	}
}

static void call_while_it_runs(unused void **state)
{
	begin(runs);
	calls = 0;
	create(0, 2);
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(calls, 2);
	/* It is stopped, and has a state. */
	assert_int_equal(ask(0, 1), 0);
	hv.live = 1;
	mock_host.idle = end_of_hold;
	mock_host.idles = 4;
	cpu_loop(&hv, 0);
	assert_int_equal(calls, 3);
	assert_ptr_equal(called, &guest[0].vcpu[1]);
	vm_destroy(&guest[0]);
}

static void calls_refused(unused void **state)
{
	begin(spins);
	create(0, 1);
	assert_int_equal(ask(0, 0), -HV_EINVAL);
	assert_int_equal(ask(0, 1), -HV_ENOENT);
	assert_int_equal(ask(0, ~0U), -HV_ENOENT);
	assert_int_equal(ask(1, 0), -HV_ENOENT);
	vm_destroy(&guest[0]);
	assert_int_equal(ask(0, 0), -HV_ENOENT);
}

static unsigned idle_stage;

/* Halted, with interrupts on, or off: it is looked into, and waits again. */
static void while_it_halts(unused void *arg)
{
	switch (idle_stage++) {
	case 0:
		assert_int_equal(ask(0, 0), 0);
		break;
	case 1:
		assert_int_equal(call.done, 1);
		assert_int_equal(calls, 1);
		assert_int_equal(steps[0], 1);
		assert_true(guest[0].vcpu[0].halted);
		vm_pause(&guest[0]);
		break;
	case 2:
		assert_int_equal(guest[0].state, VM_PAUSED);
		assert_int_equal(ask(0, 0), 0);
		break;
	case 3:
		assert_int_equal(call.done, 1);
		assert_int_equal(calls, 2);
		assert_int_equal(guest[0].state, VM_PAUSED);
		assert_true(guest[0].vcpu[0].parked);
		assert_true(guest[0].vcpu[0].halted);
		vm_stop(&guest[0]);
		break;
	default:
		fail();
	}
}

static void halts(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	halt(vcpu, e);
}

static void call_while_it_halts(unused void **state)
{
	begin(halts);
	calls = idle_stage = 0;
	create(0, 1);
	vm_start(&guest[0]);
	mock_host.idle = while_it_halts;
	mock_host_console_clear();
	cpu_loop(&hv, 0);
	assert_int_equal(idle_stage, 4);
	assert_int_equal(guest[0].state, VM_STOPPED);
	assert_string_equal(mock_host.console, ""); /* vm_stop() */
	vm_destroy(&guest[0]);
}

static unsigned gone, done_when_gone;

static void went(unused struct vm *which)
{
	gone++;
	done_when_gone += call.done;
}

static unsigned which_first, which_id;

static void dies(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 0 && steps[0] == 100) {
		if (which_first)
			vm_request_destroy(&guest[1], went);
		assert_int_equal(ask(1, which_id), 0);
		if (!which_first)
			vm_request_destroy(&guest[1], went);
	}
	if (n == 0 && steps[0] == 3000) {
		assert_int_equal(gone, 1);
		assert_int_equal(ask(1, which_id), -HV_ENOENT);
		power_off(vcpu, e);
	}
	if (n == 1)
		halt(vcpu, e);
}

/* Whoever asks is answered before the memory is gone, or told that it is no VM any more. */
static void call_while_it_is_destroyed(unused void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		begin(dies);
		gone = done_when_gone = 0;
		which_first = i & 1;
		which_id = i >> 1 & 1;
		create(0, 1);
		create(1, 2);
		vm_start(&guest[0]);
		vm_start(&guest[1]);
		if (i & 4)
			vm_pause(&guest[1]);
		cpu_loop(&hv, 0);
		assert_int_equal(gone, 1);
		assert_int_equal(done_when_gone, 1);
		vm_destroy(&guest[0]);
	}
}

/* ---- hv_time ------------------------------------------------------------------------------------------ */

static struct vcpu_times kept;
static u64 exits_before;

static void timed(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	struct vcpu *first = &guest[0].vcpu[0];

	if (n)
		return;
	switch (steps[0]) {
	case 100:
		assert_int_equal(first->times.guest, 0);
		hv_time(&hv, &guest[0], true);
		exits_before = first->exits[EXIT_CPUID];
		break;
	case 1100:
		kept = first->times;
		/* The exit that was under way is not among them, and the one of now is not over. */
		assert_in_range(kept.guest, 997 * 10000, 1000 * 10020);
		assert_int_equal(kept.exits[EXIT_CPUID], first->exits[EXIT_CPUID] - exits_before);
		assert_true(kept.ticks[EXIT_CPUID] >= kept.exits[EXIT_CPUID] * mock_host.tick_step);
		hv_time(&hv, &guest[0], false);
		break;
	case 1102:
		kept = first->times;
		break;
	case 1500:
		assert_memory_equal(&kept, &first->times, sizeof(kept));
		hv_time(&hv, &guest[0], true);
		assert_int_equal(first->times.guest + first->times.exits[EXIT_CPUID], 0);
		break;
	case 1600:
		assert_in_range(first->times.guest, 97 * 10000, 100 * 10020);
		/* Of no other guest. */
		assert_int_equal(guest[1].vcpu[0].times.guest, 0);
		vm_request_poweroff(&guest[1]);
		power_off(vcpu, e);
		break;
	default:
		break;
	}
}

static void counts_add_up(unused void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		begin(timed);
		mock_host.tick_step = 1;
		create(0, 1);
		create(1, 1);
		vm_start(&guest[0]);
		if (i) /* they take turns */
			vm_start(&guest[1]);
		cpu_loop(&hv, 0);
		assert_int_equal(steps[0], 1600);
		hv_time(&hv, &guest[2], true); /* no VM */
		assert_int_equal(guest[2].vcpu[0].timed, 0);
		vm_destroy(&guest[0]);
		vm_destroy(&guest[1]);
	}
}

/* What it waits in HLT is nobody's time. */
static void wakes_it(unused void *arg)
{
	mock_host.ticks += 1000000;
	if (++idle_stage == 20)
		vm_stop(&guest[0]);
	guest[0].vcpu[0].nmi_pending = true;
	vcpu_notify(&guest[0].vcpu[0], REQ_EVENT);
}

static void halts_do_not_count(unused void **state)
{
	begin(halts);
	idle_stage = 0;
	create(0, 1);
	hv_time(&hv, &guest[0], true);
	vm_start(&guest[0]);
	mock_host.idle = wakes_it;
	cpu_loop(&hv, 0);
	assert_in_range(steps[0], 19, 21);
	assert_int_equal(guest[0].vcpu[0].times.exits[EXIT_HLT], steps[0]);
	assert_int_equal(guest[0].vcpu[0].times.guest, steps[0] * 10000);
	vm_destroy(&guest[0]);
}

/* ---- vm_restart, vm_stop --------------------------------------------------------------------------------- */

static void restarts(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n)
		return;
	switch (steps[0]) {
	case 10:
		vm_restart(&guest[1]);
		break;
	case 1500:
		assert_int_equal(guest[1].state, VM_RUNNING);
		assert_int_equal(guest[1].resets, 1);
		assert_int_equal(guest[1].starts, 2);
		vm_pause(&guest[1]);
		break;
	case 3000:
		assert_int_equal(guest[1].state, VM_PAUSED);
		vm_restart(&guest[1]);
		break;
	case 4500:
		assert_int_equal(guest[1].state, VM_RUNNING);
		assert_int_equal(guest[1].resets, 2);
		mock_host_console_clear();
		vm_stop(&guest[1]);
		break;
	case 6000:
		assert_int_equal(guest[1].state, VM_STOPPED);
		assert_string_equal(mock_host.console, "");
		vm_restart(&guest[1]); /* means nothing to one that does not run */
		vm_stop(&guest[1]);
		break;
	case 7500:
		assert_int_equal(guest[1].state, VM_STOPPED);
		assert_int_equal(guest[1].resets, 2);
		assert_string_equal(mock_host.console, "");
		vm_start(&guest[1]);
		break;
	case 9000:
		assert_int_equal(guest[1].state, VM_RUNNING);
		assert_int_equal(guest[1].starts, 4);
		vm_request_poweroff(&guest[1]); /* its own doing is told */
		break;
	case 10500:
		assert_true(mock_host_console_has("guest b has powered off"));
		power_off(vcpu, e);
		break;
	default:
		break;
	}
}

static void restart_and_stop(unused void **state)
{
	begin(restarts);
	create(0, 1);
	create(1, 1);
	guest[1].on_reboot = CONF_STOP;
	vm_start(&guest[0]);
	vm_start(&guest[1]);
	cpu_loop(&hv, 0);
	assert_int_equal(steps[0], 10500);
	vm_destroy(&guest[0]);
	vm_destroy(&guest[1]);
}

/* Why one is dead is kept, and forgotten when it is not. */
static void why_it_is_dead(unused void **state)
{
	begin(spins);
	create(0, 1);
	put(0x202, 0, 4);
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_DEAD);
	assert_memory_equal(guest[0].why, "it cannot be started: ", 22);
	assert_int_equal(guest[0].starts, 1);
	make_image();
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_STOPPED);
	assert_string_equal(guest[0].why, "");
	assert_int_equal(guest[0].starts, 2);
	vm_destroy(&guest[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(served_at_once_and_in_time),
		CORE_TEST(before_the_next_instruction),
		CORE_TEST(while_it_is_held),
		CORE_TEST(asked_for_again),
		CORE_TEST(not_on_others),
		CORE_TEST(told_when_only_holds_are_left),
		CORE_TEST(call_while_it_runs),
		CORE_TEST(calls_refused),
		CORE_TEST(call_while_it_halts),
		CORE_TEST(call_while_it_is_destroyed),
		CORE_TEST(counts_add_up),
		CORE_TEST(halts_do_not_count),
		CORE_TEST(restart_and_stop),
		CORE_TEST(why_it_is_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
