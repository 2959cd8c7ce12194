/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor under a random hand: linked in front of an unchanged havoc-bare.elf (ld --wrap), it takes the machine's
 * last CPU for itself and from there creates, starts, pauses, resumes, resets, stops and destroys guests, in any state, while
 * the other CPUs run them. The guests of havoc.conf are the models of those it makes, and the neighbours that must live on.
 * At the end all are destroyed, and the free memory must be what it was before the first. test/harness/stress.py runs it.
 *
 *   stress=SECONDS,OPERATIONS,SEED    in the first guest's command line: what comes first ends it
 */
#include <arch/insn.h>
#include <vmm/conf.h>
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/log.h>
#include <vmm/string.h>
#include <vmm/monitor.h>
#include <vmm/mux.h>
#include <vmm/vm.h>

#define SLOTS       12
#define MODELS_MAX  8
#define SAY_SECONDS 10
#define END_SECONDS 300 /* for the last guests to be gone */

void __real_hv_init(struct hv *hv, unsigned cpus);
void __wrap_hv_init(struct hv *hv, unsigned cpus);
void __real_cpu_loop(struct hv *hv, unsigned number);
void __wrap_cpu_loop(struct hv *hv, unsigned number);

/* A guest ends by itself (`leaves`), and is then not touched again; or it is the driver's to destroy. */
enum slot_state { SLOT_FREE, SLOT_MADE, SLOT_LEAVING };

struct slot {
	u32 state; /* atomic: whoever destroys the guest frees it */
	struct vm *vm;
	char name[8];
};

static struct {
	struct slot slot[SLOTS];
	struct vm *model[MODELS_MAX];
	unsigned models;
	u64 free_before, random, operations, lives;
	u32 left; /* atomic: guests that are not yet gone */
} stress;

/* ---- Chance --------------------------------------------------------------------------------- */

/* Marsaglia's xorshift. */
static u64 chance(u64 below)
{
	stress.random ^= stress.random << 13;
	stress.random ^= stress.random >> 7;
	stress.random ^= stress.random << 17;
	return stress.random % below;
}

static u64 number_at(const char **text)
{
	u64 n = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++)
		n = n * 10 + (u64)(**text - '0');
	if (**text == ',')
		(*text)++;
	return n;
}

/* ---- Guests --------------------------------------------------------------------------------- */

static void free_vm(struct vm *vm)
{
	host_mem_free(host_pa(vm), vm_size(vm->cpus));
}

static void slot_gone(struct vm *vm)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &stress.slot[i];

		if (s->vm != vm || !__atomic_load_n(&s->state, __ATOMIC_ACQUIRE))
			continue;
		free_vm(vm);
		s->vm = NULL;
		__atomic_sub_fetch(&stress.left, 1, __ATOMIC_ACQ_REL);
		__atomic_store_n(&s->state, SLOT_FREE, __ATOMIC_RELEASE);
		return;
	}
}

static void model_gone(struct vm *vm)
{
	free_vm(vm);
	__atomic_sub_fetch(&stress.left, 1, __ATOMIC_ACQ_REL);
}

static u64 some_cpus(const struct hv *hv)
{
	u64 all = BIT(hv->cpus - 1) - 1, some = chance(all) + 1;

	return chance(3) ? all : some & all;
}

static void create(struct hv *hv, struct slot *s)
{
	const struct vm *model = stress.model[chance(stress.models)];
	struct vm_params p = {
		.name = s->name,
		.devices = model->devices,
		.mem = model->machine.mem_size,
		.cpus = model->cpus == 1 ? 1 : 1 + (unsigned)chance(4),
		.image = model->image,
		.hypercall_console = model->hypercall_console,
		.console = model->console,
		.ops = model->ops,
		.caps = model->caps,
		.hv = hv,
		.weight = 10 + (u32)chance(1000),
		.affinity = some_cpus(hv),
		.on_reboot = chance(2) ? CONF_RESTART : CONF_STOP,
		.on_crash = (u8)chance(CONF_HOLD + 1),
		.watchdog = chance(4) ? 0 : 1,
	};
	struct load_error why;
	struct vm *vm;
	hpa_t pa;

	/* What crashes by itself may also go by itself. */
	bool leaves = model == stress.model[stress.models - 1] && p.on_crash == CONF_STOP;

	if (leaves)
		p.destroyed = slot_gone;
	if (host_mem_alloc(vm_size(p.cpus), PAGE_SIZE, &pa))
		return;
	vm = host_va(pa);
	s->vm = vm;
	if (vm_create(vm, &p, &why)) {
		host_mem_free(pa, vm_size(p.cpus));
		s->vm = NULL;
		return;
	}
	stress.lives++;
	__atomic_add_fetch(&stress.left, 1, __ATOMIC_ACQ_REL);
	__atomic_store_n(&s->state, leaves ? SLOT_LEAVING : SLOT_MADE, __ATOMIC_RELEASE);
	if (leaves || chance(4))
		vm_start(vm);
}

static void destroy(struct slot *s)
{
	struct vm *vm = s->vm;

	__atomic_store_n(&s->state, SLOT_LEAVING, __ATOMIC_RELEASE);
	vm_request_destroy(vm, slot_gone);
}

static void touch(struct slot *s)
{
	switch (chance(16)) {
	case 0:
		destroy(s);
		break;
	case 1:
	case 2:
		vm_request_poweroff(s->vm);
		break;
	case 3:
	case 4:
	case 5:
		vm_request_reset(s->vm, "by chance");
		break;
	case 6:
	case 7:
	case 8:
		vm_pause(s->vm);
		break;
	case 9:
	case 10:
	case 11:
	case 12:
		vm_resume(s->vm);
		break;
	default:
		vm_start(s->vm);
	}
}

static void operate(struct hv *hv)
{
	struct slot *s = &stress.slot[chance(SLOTS)];
	u32 state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

	stress.operations++;
	if (state == SLOT_FREE)
		create(hv, s);
	else if (state == SLOT_MADE)
		touch(s);
}

/* ---- The driver ----------------------------------------------------------------------------- */

static void wait_until(u64 ticks)
{
	while (host_ticks() < ticks)
		pause_cpu();
}

static void find_models(struct hv *hv)
{
	for (unsigned i = 0; i < HV_VMS_MAX && stress.models < MODELS_MAX; i++)
		if (hv->vm[i])
			stress.model[stress.models++] = hv->vm[i];
	__atomic_add_fetch(&stress.left, stress.models, __ATOMIC_ACQ_REL);
	for (unsigned i = 0; i < SLOTS; i++) {
		char *name = stress.slot[i].name;

		name[0] = 's';
		name[1] = (char)('a' + i);
	}
}

static void destroy_all(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (__atomic_load_n(&stress.slot[i].state, __ATOMIC_ACQUIRE) == SLOT_MADE)
			destroy(&stress.slot[i]);
	for (unsigned i = 0; i < stress.models; i++)
		vm_request_destroy(stress.model[i], model_gone);
}

static void verdict(struct hv *hv)
{
	u64 end = host_ticks() + END_SECONDS * host_tick_hz(), now;
	/* havoc.conf itself stays, the monitor, and what the guests of havoc.conf have written last. */
	u64 stays = ALIGN_UP(sizeof(struct conf), PAGE_SIZE) + ALIGN_UP(monitor_size(), PAGE_SIZE) +
		    stress.models * (u64)(MUX_KEPT + MUX_TYPED);
	u64 wanted = stress.free_before - stays;

	while (__atomic_load_n(&stress.left, __ATOMIC_ACQUIRE) && host_ticks() < end)
		pause_cpu();
	now = host_mem_free_bytes();
	if (stress.left)
		log_err("stress: FAIL: %u guests are not gone", stress.left);
	else if (hv->live != 1) /* the driver */
		log_err("stress: FAIL: %u guests count as live, and there is none", hv->live - 1);
	else if (now != wanted)
		log_err("stress: FAIL: %llu pages are free, and were %llu",
			(unsigned long long)(now / PAGE_SIZE),
			(unsigned long long)(wanted / PAGE_SIZE));
	else
		log_err("stress: PASS: %llu operations, %llu lives, %llu pages free as before",
			(unsigned long long)stress.operations, (unsigned long long)stress.lives,
			(unsigned long long)(now / PAGE_SIZE));
	hv_ended(hv, false);
}

static const char *behind(const char *text, const char *word)
{
	while (*text && strncmp(text, word, strlen(word)))
		text++;
	return *text ? text + strlen(word) : text;
}

static void drive(struct hv *hv)
{
	const char *words = behind(stress.model[0]->image.cmdline, "stress=");
	u64 begin = host_ticks(), hz = host_tick_hz(), said = 0, end, last;

	end = begin + number_at(&words) * hz;
	last = number_at(&words);
	stress.random = number_at(&words) + 1;
	while (host_ticks() < end && stress.operations < last) {
		operate(hv);
		wait_until(host_ticks() + chance(hz / 100));
		if ((host_ticks() - begin) / hz < said + SAY_SECONDS)
			continue;
		said += SAY_SECONDS;
		log_err("stress: %llu s, %llu operations, %llu lives, %u guests",
			(unsigned long long)said, (unsigned long long)stress.operations,
			(unsigned long long)stress.lives, stress.left);
	}
	destroy_all();
	verdict(hv);
}

/* The last CPU is the driver's; and as long as it drives, the machine does not end. */
void __wrap_hv_init(struct hv *hv, unsigned cpus)
{
	__real_hv_init(hv, cpus);
	stress.free_before = host_mem_free_bytes();
	sched_reserve(&hv->sched, BIT(cpus - 1));
	hv->live++;
}

void __wrap_cpu_loop(struct hv *hv, unsigned number)
{
	if (number != hv->cpus - 1) {
		__real_cpu_loop(hv, number);
		return;
	}
	find_models(hv);
	drive(hv);
}
