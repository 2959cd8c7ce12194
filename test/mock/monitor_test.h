/* SPDX-License-Identifier: MIT */
/*
 * What the unit test and the fuzzer of the monitor have in common: guests on the mock back end, a terminal, a monitor, and what it
 * asks of the machine. ask() types a line and plays CPU 0 until the monitor has answered and nothing more happens.
 */
#ifndef TEST_MOCK_MONITOR_TEST_H
#define TEST_MOCK_MONITOR_TEST_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arch/regs.h>
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/log.h>

#include "../../vmm/core/core.h"
#include "../../vmm/monitor/monitor_priv.h"
#include "backend.h"
#include "mock.h"

#define GUESTS     4 /* of the machine's configuration */
#define GUESTS_MAX 8

/* What a guest does whenever it runs. */
enum manner { SPINS, HALTS, POWERS_OFF, CRASHES, RESETS };

static struct machine_guest {
	struct vm vm;
	enum manner manner;
	bool made;
	unsigned cpus;
	u8 on_crash, on_reboot;
	u64 affinity;
	bool cannot_be_made;
} machine[GUESTS_MAX];

static struct hv hv;
static struct mux mux;
static struct monitor *monitor;
static struct monitor_guest guest[GUESTS_MAX];
static char guest_name[GUESTS_MAX][VM_NAME_MAX];
static unsigned guests;
static u8 image[0x2000];
static unsigned quiet, played, kicks_seen;
static u64 step_ticks = 10000; /* that each exit takes */
static jmp_buf settled;
static bool (*until)(void); /* NULL: nothing more happens */

static void image_put(unsigned at, u64 value, unsigned size)
{
	memcpy(image + at, &value, size);
}

/* The least that Linux's boot protocol calls a 64-bit kernel. */
static void make_image(void)
{
	memset(image, 0, sizeof(image));
	image_put(0x1f1, 1, 1);
	image_put(0x1f4, (sizeof(image) - 1024) / 16, 4);
	image_put(0x1fe, 0xaa55, 2);
	image_put(0x201, 0x6a, 1);
	image_put(0x202, 0x53726448, 4);
	image_put(0x206, 0x020f, 2);
	image_put(0x211, 1, 1);
	image_put(0x22c, 0x7fffffff, 4);
	image_put(0x230, MiB(2), 4);
	image_put(0x234, 1, 1);
	image_put(0x236, 1, 2);
	image_put(0x238, 2047, 4);
	image_put(0x258, MiB(16), 8);
	image_put(0x260, MiB(4), 4);
}

/* ---- The CPU ------------------------------------------------------------------------------------ */

/* Nothing is left to be done for what was typed: looked at whenever the CPU has a moment. */
static void look_whether_settled(void)
{
	if (until && until())
		longjmp(settled, 1);
	if (until || monitor->poll || host_console_typed() || hv.serve || mux.behind ||
	    (monitor->open && mux.typed_tail != mux.typed_head))
		quiet = 0;
	else if (++quiet > 30)
		longjmp(settled, 1);
	if (++played > 3000000)
		host_panic("the monitor does not come to an end");
}

static void machine_idle(unused void *arg)
{
	look_whether_settled();
	if (mock_host.timer == HOST_TIMER_OFF)
		return;
	/* As time passes, but when something is waited for. */
	if (!quiet && mock_host.timer > mock_host.ticks)
		mock_host.ticks = mock_host.timer;
}

static void machine_play(struct vcpu *v, struct vm_exit *e)
{
	struct machine_guest *g = container_of(v->vm, struct machine_guest, vm);

	look_whether_settled();
	mock_host.ticks += step_ticks;
	e->insn_len = 1;
	e->kind = EXIT_CPUID;
	if (mock_host.timer <= mock_host.ticks || mock_host.kicks != kicks_seen) {
		mock_host.timer = HOST_TIMER_OFF;
		kicks_seen = mock_host.kicks;
		e->kind = EXIT_EXT_INTR;
		return;
	}
	switch (g->manner) {
	case HALTS:
		mock_backend(v)->reg[VREG_RFLAGS] = 2 | RFLAGS_IF;
		e->kind = EXIT_HLT;
		break;
	case POWERS_OFF:
		v->gpr[GPR_RAX] = VPM_S5_TYPE << 10 | 1 << 13;
		e->kind = EXIT_IO;
		e->io = (struct exit_io){.port = VPM_BASE + 4, .size = 2};
		break;
	case CRASHES:
		vm_kill(v->vm, "as the test has it");
		break;
	case RESETS:
		e->kind = EXIT_TRIPLE_FAULT;
		break;
	default:
		break;
	}
}

/* False: the machine has ended. */
static bool settle(void)
{
	quiet = played = 0;
	if (setjmp(settled))
		return true;
	cpu_loop(&hv, 0);
	return false;
}

/* The same, until fn() says so, whatever waits. */
static inline bool play_until(bool (*fn)(void))
{
	bool going;

	until = fn;
	going = settle();
	until = NULL;
	return going;
}

/* ---- What the monitor asks for -------------------------------------------------------------------- */

static int machine_create(unused void *ctx, unsigned number, struct load_error *why)
{
	struct machine_guest *g = &machine[number - 1];
	struct vm_params p = {
		.name = guest[number - 1].name,
		.devices = pc_devices,
		.mem = MiB(32),
		.hv = &hv,
		.weight = SCHED_WEIGHT_DEFAULT,
		.affinity = g->affinity,
		.on_crash = g->on_crash,
		.on_reboot = g->on_reboot,
		.cpus = g->cpus,
		.ops = &mock_backend_ops,
		.caps = &mock_backend_caps,
		.destroyed = monitor_vm_gone,
		.image = {.kernel = image, .kernel_size = sizeof(image), .cmdline = "quiet \"x\""}};
	int ret;

	if (g->cannot_be_made) {
		fmt_s(why->text, sizeof(why->text), "the test says so");
		return -HV_ENOMEM;
	}
	ret = mux_attach(&mux, number, p.name, &p.console);
	if (!ret)
		ret = vm_create(&g->vm, &p, why);
	if (ret)
		return ret;
	g->made = true;
	for (unsigned i = 0; i < g->cpus; i++)
		mock_backend(&g->vm.vcpu[i])->run = machine_play;
	mux_set_vm(&mux, number, &g->vm);
	__atomic_store_n(&guest[number - 1].vm, &g->vm, __ATOMIC_RELEASE);
	return 0;
}

static int machine_define(unused void *ctx, const char *name, const char *text, struct report *r)
{
	if (!strstr(text, "image=tiny\n")) {
		report_error(r, "guest %s: there is no such image", name);
		return -HV_EINVAL;
	}
	for (unsigned i = 0; i < guests; i++)
		if (!strcmp(guest[i].name, name))
			return (int)i + 1;
	if (guests == GUESTS_MAX) {
		report_error(r, "there are %u guests already", guests);
		return -HV_ENOSPC;
	}
	fmt_s(guest_name[guests], VM_NAME_MAX, "%s", name);
	guest[guests].name = guest_name[guests];
	monitor_set_guests(monitor, ++guests);
	return (int)guests;
}

static void machine_gone(unused void *ctx, unsigned number, struct vm *vm)
{
	struct machine_guest *g = &machine[number - 1];

	if (vm != &g->vm || !g->made || guest[number - 1].vm)
		host_panic("guest %u is gone, which was not there", number);
	g->made = false;
	mux_set_vm(&mux, number, NULL);
}

static void machine_config(unused void *ctx, struct report *r)
{
	report_text(r, "options", "options", "the test's \"own\"");
}

static void machine_memory(unused void *ctx, struct report *r)
{
	report_number(r, "free_kib", "of it free", 12345, "KiB");
}

static void machine_doctor(unused void *ctx, struct report *r)
{
	report_text(r, "patient", "patient", "well");
}

static u32 machine_apic_id(unused void *ctx, unsigned cpu)
{
	return cpu * 2;
}

static void machine_reboot(unused void *ctx)
{
	host_reboot();
}

static void machine_poweroff(unused void *ctx)
{
	host_poweroff();
}

static const struct monitor_ops machine_ops = {
	.create = machine_create,
	.define = machine_define,
	.gone = machine_gone,
	.config = machine_config,
	.memory = machine_memory,
	.doctor = machine_doctor,
	.apic_id = machine_apic_id,
	.reboot = machine_reboot,
	.poweroff = machine_poweroff,
};

/* ---- The machine ---------------------------------------------------------------------------------- */

static void machine_cpuid(void)
{
	mock_host_cpuid_set(0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);
	mock_host_cpuid_set(1, 0, 0x00800f12, 0x00010800, 0xffffffff, 0xffffffff);
	mock_host_cpuid_set(0xd, 0, 7, 0x240, 0x340, 0);
	mock_host_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	mock_host_cpuid_set(0x80000001, 0, 0, 0, 0xffffffff, 0xffffffff);
	mock_host_cpuid_set(0x80000008, 0, 0x3030, 0, 0, 0);
}

static void machine_start(void)
{
	static const char *const names[GUESTS] = {"one", "two", "three", "four"};
	static u64 memory[4096];

	mock_host_reset();
	machine_cpuid();
	make_image();
	hv_init(&hv, 1);
	kicks_seen = 0;
	guests = GUESTS;
	memset(guest, 0, sizeof(guest));
	for (unsigned i = 0; i < GUESTS_MAX; i++) {
		guest[i].name = i < GUESTS ? names[i] : NULL;
		guest[i].cpus = 1;
		guest[i].mem = MiB(32);
		machine[i].manner = SPINS;
		machine[i].made = machine[i].cannot_be_made = false;
		machine[i].cpus = 1;
		machine[i].on_crash = machine[i].on_reboot = CONF_RESTART;
		machine[i].affinity = ~0ULL;
	}
	machine[1].cpus = 2;
	mux_init(&mux, &hv, 1);
	if (monitor_size() > sizeof(memory))
		host_panic("the monitor is larger than the test has thought");
	monitor = monitor_init(memory, &hv, &mux, guest, guests, &machine_ops, NULL);
	mux_begin(&mux, 1, true);
	log_to(mux_log, &mux);
	host_console_listen(mux_arrived, &mux);
	mock_host.idle = machine_idle;
	mock_host.console_room = MiB(64);
}

/* Whatever is left of it. */
static void machine_end(void)
{
	log_to(NULL, NULL);
	for (unsigned i = 0; i < GUESTS_MAX; i++)
		if (machine[i].made)
			vm_destroy(&machine[i].vm);
}

#endif
