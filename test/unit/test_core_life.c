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
 * Several VMs on one scripted CPU: they take turns; each is started, paused, reset, stopped and destroyed at any moment, by
 * whoever likes; what one does does not end another; nothing is left behind after a thousand lives.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../mock/core_test.h"

#define VMS 4

static struct vm guest[VMS];
static u8 image[0x2000];
static unsigned gone;
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

static void play(struct vcpu *vcpu, struct vm_exit *e)
{
	unsigned n = (unsigned)(vcpu->vm - guest);

	mock_host.ticks += 10000;
	e->insn_len = 1;
	e->kind = EXIT_CPUID;
	steps[n]++;
	script(vcpu, n, e);
	/* The timer's interrupt, as soon as it is due; and those of other CPUs. */
	if (e->kind == EXIT_CPUID &&
	    (mock_host.timer <= mock_host.ticks || mock_host.kicks != kicks_seen)) {
		mock_host.timer = HOST_TIMER_OFF;
		kicks_seen = mock_host.kicks;
		e->kind = EXIT_EXT_INTR;
	}
}

static void create(unsigned n)
{
	static const char *const names[VMS] = {"a", "b", "c", "d"};
	struct vm_params p = {
		.name = names[n],
		.devices = pc_devices,
		.mem = MiB(32),
		.hv = &hv,
		.weight = SCHED_WEIGHT_DEFAULT,
		.affinity = 1,
		.on_crash = CONF_HOLD,
		.cpus = 1,
		.ops = &mock_backend_ops,
		.caps = &mock_backend_caps,
		.image = {.kernel = image, .kernel_size = sizeof(image), .cmdline = ""}};
	struct load_error why;

	assert_int_equal(vm_create(&guest[n], &p, &why), 0);
	mock_backend(&guest[n].vcpu[0])->run = play;
}

static void power_off(struct vcpu *vcpu, struct vm_exit *e)
{
	vcpu->gpr[GPR_RAX] = VPM_S5_TYPE << 10 | 1 << 13;
	e->kind = EXIT_IO;
	e->io = (struct exit_io){.port = VPM_BASE + 4, .size = 2};
}

static void begin(void (*fn)(struct vcpu *vcpu, unsigned n, struct vm_exit *e))
{
	make_image();
	memset(steps, 0, sizeof(steps));
	gone = kicks_seen = 0;
	script = fn;
}

static void went(unused struct vm *which)
{
	gone++;
}

/* ---- Turns -------------------------------------------------------------------------------------- */

static void until_all_have_run(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	if (mock_host.ticks > 2000000000)
		power_off(vcpu, e);
}

static void guests_take_turns(unused void **state)
{
	begin(until_all_have_run);
	for (unsigned i = 0; i < VMS; i++)
		create(i);
	guest[3].vcpu[0].task.weight = 200;
	for (unsigned i = 0; i < VMS; i++)
		vm_start(&guest[i]);
	cpu_loop(&hv, 0);
	for (unsigned i = 0; i < VMS; i++) {
		assert_int_equal(guest[i].state, VM_STOPPED);
		assert_in_range(steps[i] * (i == 3 ? 1 : 2), 75000, 85000);
		vm_destroy(&guest[i]);
	}
}

/* ---- One's death is not the others' ------------------------------------------------------------- */

static void die(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	switch (n) {
	case 0:
		e->kind = EXIT_TRIPLE_FAULT; /* for ever */
		break;
	case 1:
		e->kind = EXIT_UNKNOWN;
		break;
	case 2:
		e->kind = EXIT_ENTRY_FAILED;
		break;
	default:
		if (steps[n] == 20000) {
			vm_request_poweroff(&guest[0]);
			power_off(vcpu, e);
		}
	}
}

static void a_neighbour_lives_on(unused void **state)
{
	begin(die);
	for (unsigned i = 0; i < VMS; i++) {
		create(i);
		vm_start(&guest[i]);
	}
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_STOPPED);
	assert_true(guest[0].resets > 10);
	assert_int_equal(guest[1].state, VM_DEAD);
	assert_int_equal(guest[2].state, VM_DEAD);
	assert_int_equal(hv.died, 2);
	assert_int_equal(steps[3], 20000);
	for (unsigned i = 0; i < VMS; i++)
		vm_destroy(&guest[i]);
}

/* ---- The exit port ------------------------------------------------------------------------------ */

static struct vm_params exit_params(u16 port)
{
	return (struct vm_params){
		.name = "x",
		.devices = pc_devices,
		.mem = MiB(32),
		.hv = &hv,
		.weight = SCHED_WEIGHT_DEFAULT,
		.affinity = 1,
		.on_crash = CONF_HOLD,
		.cpus = 1,
		.exit_port = port,
		.ops = &mock_backend_ops,
		.caps = &mock_backend_caps,
		.image = {.kernel = image, .kernel_size = sizeof(image), .cmdline = ""}};
}

static const struct exit_io exit_accesses[] = {{.port = 0xf5, .size = 1},
					       {.port = 0xf4, .size = 4, .in = true},
					       {.port = 0xf4, .size = 1}};

static void exiting(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	vcpu->gpr[GPR_RAX] = 0x1234567890abcdef;
	e->kind = EXIT_IO;
	e->io = exit_accesses[MIN(steps[0], (u64)ARRAY_SIZE(exit_accesses)) - 1];
}

static void exit_port(unused void **state)
{
	struct vm_params p = exit_params(0xf4);
	struct load_error why;

	begin(exiting);
	assert_int_equal(vm_create(&guest[0], &p, &why), 0);
	mock_backend(&guest[0].vcpu[0])->run = play;
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_STOPPED);
	assert_int_equal(hv.died, 0);
	assert_int_equal(steps[0], ARRAY_SIZE(exit_accesses));
	assert_true(guest[0].exited);
	assert_int_equal(guest[0].exit_value, 0xef);
	assert_int_equal((u32)guest[0].vcpu[0].gpr[GPR_RAX], 0x90abcdef);
	vm_destroy(&guest[0]);
}

/* The first of its ports and the last. */
static void exit_port_of_a_device(unused void **state)
{
	static const struct {
		u16 port;
		const char *part;
	} bad[] = {
		{0x3f8, "its exit-port 0x3f8 would lie on a port of its uart (0x3f8)"},
		{0x3f5, "its exit-port 0x3f5 would lie on a port of its uart"},
		{0x3ff, "uart"},
		{0x60b, "acpi-pm"},
		{0x64, "keyboard"},
		{0xcf9, "pci-address"},
		{0x42, "pit"},
		{0x70, "rtc"},
	};
	u64 live = mock_host.live;
	struct load_error why;

	make_image();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vm_params p = exit_params(bad[i].port);

		assert_int_equal(vm_create(&guest[0], &p, &why), -HV_EEXIST);
		assert_non_null(strstr(why.text, bad[i].part));
		assert_int_equal(mock_host.live, live);
	}
}

/* ---- The entry ---------------------------------------------------------------------------------- */

/* Multiboot, by the header's addresses; and Linux by its 32-bit entry: protected mode without paging. */
static void entry_without_paging(unused void **state)
{
	static const u32 header[] = {0x1badb002, 1 << 16,      0u - 0x1badb002 - (1 << 16),
				     MiB(2),     MiB(2),       0,
				     0,          MiB(2) + 0x10};
	struct vm_params p = exit_params(0);
	struct load_error why;
	struct mock_backend *b;

	memset(image, 0, sizeof(image));
	memcpy(image, header, sizeof(header));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vm_create(&guest[0], &p, &why), 0);
		b = mock_backend(&guest[0].vcpu[0]);
		assert_int_equal(vm_boot(&guest[0], &why), 0);
		assert_int_equal(b->reg[VREG_CR0], CR0_PE | CR0_ET);
		assert_int_equal(b->reg[VREG_CR4] | b->reg[VREG_CR3] | b->reg[VREG_EFER], 0);
		assert_int_equal(b->reg[VREG_RFLAGS], 2);
		assert_int_equal(b->seg[VSEG_CS].selector, 0x10);
		assert_int_equal(b->seg[VSEG_CS].attr, 0xc09b);
		assert_int_equal(b->seg[VSEG_SS].selector, 0x18);
		assert_int_equal(b->seg[VSEG_SS].attr, 0xc093);
		assert_int_equal(b->seg[VSEG_TR].attr, 0x8b);
		assert_int_equal(b->seg[VSEG_TR].limit, 0x67);
		assert_int_equal(b->reg[VREG_RIP], i ? MiB(16) : MiB(2) + 0x10);
		assert_int_equal(guest[0].vcpu[0].gpr[GPR_RAX], i ? 0 : 0x2badb002);
		assert_int_equal(guest[0].vcpu[0].gpr[GPR_RBX], i ? 0 : 0x10000);
		assert_int_equal(guest[0].vcpu[0].gpr[GPR_RSI], i ? 0x10000 : 0);
		vm_destroy(&guest[0]);
		make_image();
		put(0x236, 0, 2);
	}
}

/* ---- Pause -------------------------------------------------------------------------------------- */

static void pausing(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 1) {
		if (steps[1] == 1000)
			vm_pause(&guest[1]); /* oneself, too */
		if (steps[1] == 2000)
			power_off(vcpu, e);
		return;
	}
	if (steps[0] == 50000) {
		assert_int_equal(steps[1], 1000);
		assert_int_equal(guest[1].state, VM_PAUSED);
		vm_resume(&guest[1]);
	}
	if (steps[0] == 60000)
		power_off(vcpu, e);
}

static void pause_and_resume(unused void **state)
{
	begin(pausing);
	for (unsigned i = 0; i < 2; i++) {
		create(i);
		vm_start(&guest[i]);
	}
	cpu_loop(&hv, 0);
	assert_int_equal(steps[1], 2000);
	assert_int_equal(steps[0], 60000);
	vm_destroy(&guest[0]);
	vm_destroy(&guest[1]);
}

/* ---- A thousand lives --------------------------------------------------------------------------- */

static void reborn(struct vm *which)
{
	gone++;
	create((unsigned)(which - guest));
	vm_start(which);
}

/* Guest 0 is what runs the others' lives. */
static void at_random(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	struct vm *other = &guest[1 + rand() % (VMS - 1)];

	if (n) {
		if (steps[n] % 7 == 0) {
			e->kind = EXIT_NPF; /* memory of its own */
			e->npf = (struct exit_npf){.gpa = MiB(2) * (u64)(rand() % 16),
						   .access = NPF_WRITE};
		} else if (steps[n] % 11 == 0) {
			e->kind = EXIT_HLT;
			vcpu_reg_set(vcpu, VREG_RFLAGS, 2 | RFLAGS_IF);
		}
		return;
	}
	if (gone >= 1000) {
		for (unsigned i = 1; i < VMS; i++)
			if (guest[i].destroyed != went)
				vm_request_destroy(&guest[i], went);
		if (gone == 1000 + VMS - 1)
			power_off(vcpu, e);
		return;
	}
	switch (rand() % 12) {
	case 0:
		vm_pause(other);
		break;
	case 1:
		vm_resume(other);
		break;
	case 2:
		vm_request_reset(other, "random");
		break;
	case 3:
		vm_request_poweroff(other);
		break;
	case 4:
		vm_start(other);
		break;
	case 5:
		vm_kill(other, "random");
		break;
	case 6:
		if (!other->destroyed)
			vm_request_destroy(other, reborn);
		break;
	default:
		break;
	}
}

static void a_thousand_lives(unused void **state)
{
	u64 free_bytes;

	srand(3);
	log_set_level(LOG_ERR);
	begin(at_random);
	create(0);
	free_bytes = host_mem_free_bytes();
	vm_start(&guest[0]);
	for (unsigned i = 1; i < VMS; i++) {
		create(i);
		vm_start(&guest[i]);
	}
	cpu_loop(&hv, 0);
	log_set_level(LOG_INFO);
	assert_int_equal(gone, 1000 + VMS - 1);
	/* Guest 0 has touched memory of its own, which is tables. */
	vm_destroy(&guest[0]);
	create(0);
	assert_int_equal(host_mem_free_bytes(), free_bytes);
	vm_destroy(&guest[0]);
}

/* ---- The last turn ------------------------------------------------------------------------------ */

static bool disturbed;
static unsigned reaps_seen;

/* Woken after its last turn has been decided, before the scheduler knows of it. */
static void disturb(void)
{
	if (hv.cpu[0].reap != &guest[1])
		return;
	assert_true(++reaps_seen < 100);
	if (!disturbed) {
		disturbed = true;
		vcpu_notify(&guest[1].vcpu[0], REQ_INPUT);
	}
}

static void wake_guest_0(unused void *arg)
{
	assert_int_equal(gone, 1);
	vm_resume(&guest[0]);
}

static void one_waits(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 0 && steps[0] == 1)
		vm_pause(&guest[0]);
	else
		power_off(vcpu, e);
}

static void woken_in_its_last_turn(unused void **state)
{
	begin(one_waits);
	disturbed = false;
	reaps_seen = 0;
	create(0);
	create(1);
	guest[1].destroyed = went;
	mock_host.on_ticks = disturb;
	mock_host.idle = wake_guest_0;
	vm_start(&guest[0]);
	vm_start(&guest[1]);
	cpu_loop(&hv, 0);
	assert_true(disturbed);
	assert_int_equal(gone, 1);
	vm_destroy(&guest[0]);
}

/* ---- Policies ----------------------------------------------------------------------------------- */

static void spins(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	mock_host.ticks += 100000;
	if (n == 0 && steps[0] % 100 == 0) {
		e->kind = EXIT_HLT;
		vcpu_reg_set(vcpu, VREG_RFLAGS, 2 | RFLAGS_IF);
		vcpu_request(vcpu, REQ_EVENT);
		vcpu->nmi_pending = true; /* it goes on at once */
	}
	if (n == 0 && mock_host.ticks > 40ULL * 1000000000) {
		vm_request_poweroff(&guest[1]);
		power_off(vcpu, e);
	}
}

/* One halts now and then, the other never: it has crashed after 2 s, and is started again after 1, 2, 4 s. */
static void watchdog_and_backoff(unused void **state)
{
	begin(spins);
	create(0);
	create(1);
	guest[0].watchdog = guest[1].watchdog = 2 * host_tick_hz();
	guest[1].on_crash = CONF_RESTART;
	vm_start(&guest[0]);
	vm_start(&guest[1]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_STOPPED);
	assert_int_equal(guest[0].crashes, 0);
	assert_int_equal(guest[1].state, VM_STOPPED);
	/* Half a CPU: 2 s of its own are 4. 4 + 1 + 4 + 2 + 4 + 4 + 4 + 8 + 4 + 16 s */
	assert_int_equal(guest[1].crashes, 5);
	assert_int_equal(guest[1].resets, 4);
	assert_true(mock_host_console_has("guest b was stopped: its watchdog has seen neither"));
	vm_destroy(&guest[0]);
	vm_destroy(&guest[1]);
}

/* A guest that only resets is slowed down; one that is to stop when it reboots does. */
static void resets_for_ever(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 0 && mock_host.ticks > 3000000000) {
		vm_request_poweroff(&guest[1]);
		power_off(vcpu, e);
	} else if (n) {
		e->kind = EXIT_TRIPLE_FAULT;
	}
}

/* Destroyed, but its memory is still there: nothing that is asked of it now is carried out, or counted. */
static void asked_too_late(struct vm *which)
{
	u32 live = hv.live;

	vm_start(which);
	vm_pause(which);
	vm_stop(which);
	vm_request_destroy(which, asked_too_late);
	assert_int_equal(hv.live, live);
	assert_int_equal(which->actions, 0);
	assert_true(which->ending);
	gone++;
}

static void one_is_destroyed(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 0 && gone)
		power_off(vcpu, e);
}

static void too_late(unused void **state)
{
	begin(one_is_destroyed);
	create(0);
	create(1);
	vm_start(&guest[0]);
	vm_start(&guest[1]);
	vm_request_destroy(&guest[1], asked_too_late);
	cpu_loop(&hv, 0);
	assert_int_equal(gone, 1);
	assert_int_equal(hv.live, 0);
	vm_destroy(&guest[0]);
}

/* It is stopped already, and not yet ending: who starts it now is taken at his word, and it comes to nothing. */
static void start_again(void *vm)
{
	vm_start(vm);
}

static void destroyed_while_it_runs(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 1 && steps[1] == 3)
		vm_request_destroy(&guest[1], went);
	if (n == 0 && gone)
		power_off(vcpu, e);
}

static void started_while_destroyed(unused void **state)
{
	begin(destroyed_while_it_runs);
	create(0);
	create(1);
	guest[1].console.ended = start_again;
	guest[1].console.dev.ctx = &guest[1];
	vm_start(&guest[0]);
	vm_start(&guest[1]);
	cpu_loop(&hv, 0);
	assert_int_equal(gone, 1);
	assert_int_equal(hv.live, 0);
	vm_destroy(&guest[0]);
}

static void count_end(void *ctx)
{
	(*(unsigned *)ctx)++;
}

static void reboots(unused void **state)
{
	unsigned ends = 0;

	begin(resets_for_ever);
	for (unsigned i = 0; i < 3; i++)
		create(i);
	guest[2].on_reboot = CONF_STOP;
	guest[1].console.ended = count_end;
	guest[1].console.dev.ctx = &ends;
	for (unsigned i = 0; i < 3; i++)
		vm_start(&guest[i]);
	cpu_loop(&hv, 0);
	/* 17 at once, then after 20, 40, 80, 160, 320, 640, 640... ms. */
	assert_in_range(guest[1].resets, 22, 26);
	assert_in_range(ends, guest[1].resets + 1, guest[1].resets + 2); /* each of its lives */
	assert_int_equal(guest[2].resets, 0);
	assert_int_equal(guest[2].state, VM_STOPPED);
	for (unsigned i = 0; i < 3; i++)
		vm_destroy(&guest[i]);
}

/* A lone guest is not slowed down, and what keeps it from starting needs no name. */
static void resets_often(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 0 && guest[1].resets >= 60) {
		vm_request_poweroff(&guest[1]);
		power_off(vcpu, e);
	} else if (n) {
		e->kind = EXIT_TRIPLE_FAULT;
	}
}

static void alone(unused void **state)
{
	begin(resets_often);
	create(0);
	create(1);
	guest[1].lone = true;
	vm_start(&guest[0]);
	vm_start(&guest[1]);
	cpu_loop(&hv, 0);
	assert_in_range(mock_host.ticks, 0, 3000000000); /* others have had 26 until then */
	vm_destroy(&guest[0]);
	vm_destroy(&guest[1]);
}

static void breaks_its_image(struct vcpu *vcpu, unused unsigned n, struct vm_exit *e)
{
	assert_int_equal(vcpu->vm->resets, 0);
	put(0x202, 0, 4);
	e->kind = EXIT_TRIPLE_FAULT;
}

static void cannot_start(unused void **state)
{
	begin(breaks_its_image);
	create(0);
	create(1);
	create(2);
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_DEAD);
	assert_true(mock_host_console_has("guest a was stopped: it cannot be restarted: "));
	mock_host_console_clear();
	vm_start(&guest[1]);
	cpu_loop(&hv, 0);
	assert_true(mock_host_console_has("guest b cannot be started: "));
	mock_host_console_clear();
	guest[2].lone = true;
	vm_start(&guest[2]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[2].state, VM_DEAD);
	assert_false(mock_host_console_has("guest c"));
	assert_int_equal(hv.died, 3);
	for (unsigned i = 0; i < 3; i++)
		vm_destroy(&guest[i]);
}

/* ---- Asked for, and carried out meanwhile --------------------------------------------------------- */

static void a_late_word(struct vcpu *vcpu, unsigned n, struct vm_exit *e)
{
	if (n == 0 && steps[0] == 100)
		vcpu_notify(
			vcpu,
			REQ_STOP); /* by one who still goes from vcpu to vcpu; nothing is asked for any more */
	if (steps[n] > 1000)
		power_off(vcpu, e);
}

static void late_stop(unused void **state)
{
	begin(a_late_word);
	create(0);
	vm_start(&guest[0]);
	cpu_loop(&hv, 0);
	assert_int_equal(guest[0].state, VM_STOPPED);
	assert_true(steps[0] > 1000);
	vm_destroy(&guest[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORE_TEST(guests_take_turns),
		CORE_TEST(a_neighbour_lives_on),
		CORE_TEST(entry_without_paging),
		CORE_TEST(exit_port_of_a_device),
		CORE_TEST(exit_port),
		CORE_TEST(pause_and_resume),
		CORE_TEST(a_thousand_lives),
		CORE_TEST(late_stop),
		CORE_TEST(woken_in_its_last_turn),
		CORE_TEST(watchdog_and_backoff),
		CORE_TEST(reboots),
		CORE_TEST(too_late),
		CORE_TEST(started_while_destroyed),
		CORE_TEST(alone),
		CORE_TEST(cannot_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
