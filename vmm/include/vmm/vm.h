/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine: its memory, devices, vcpus and policy. All mutable state of a guest hangs here; destroying
 * it gives every page back.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <vmm/bus.h>
#include <vmm/clock.h>
#include <vmm/conf.h>
#include <vmm/config.h>
#include <vmm/gmem.h>
#include <vmm/load.h>
#include <vmm/machine.h>
#include <vmm/vcpu.h>
#include <vmm/vioapic.h>
#include <vmm/vhpet.h>
#include <vmm/vkbc.h>
#include <vmm/vpci.h>
#include <vmm/vpic.h>
#include <vmm/vpit.h>
#include <vmm/vpm.h>
#include <vmm/vrtc.h>
#include <vmm/vuart.h>

#define VM_CPUS_MAX    MACHINE_CPUS_MAX
#define VM_CPUID_MAX   48
#define VM_CPUID_INDEX 32
#define VM_CPUID_NONE  0xff

#define VM_NAME_MAX 32

/* VM_BACKOFF: it is going to be restarted, after a pause. */
enum vm_state { VM_STOPPED, VM_RUNNING, VM_PAUSED, VM_BACKOFF, VM_DEAD };

/* What is to be done to a VM once all its vcpus have stopped. */
#define VM_START   BIT(0)
#define VM_RESET   BIT(1)
#define VM_PAUSE   BIT(2)
#define VM_RESUME  BIT(3)
#define VM_STOP    BIT(4)
#define VM_KILL    BIT(5)
#define VM_DESTROY BIT(6)
#define VM_QUIET   BIT(7) /* VM_STOP by one who tells it himself */
#define VM_FORCE   BIT(8) /* VM_RESET whatever on_reboot says */

/* Where the guest's serial port and console hypercalls lead to. */
struct vm_console {
	struct chardev dev;
	void (*ended)(
		void *ctx); /* what the guest has begun to write is all: it has stopped, or starts anew; NULL: of no interest */
};

/* A CPUID leaf as the guest sees it, computed once; dynamic bits are patched at the exit. */
struct cpuid_entry {
	u32 leaf, subleaf;
	bool exact_subleaf; /* false: any subleaf gives this */
	u8 fixup;           /* enum in cpuid.c */
	u32 reg[4];         /* eax, ebx, ecx, edx */
};

/* Bitmaps of what the guest may do without an exit; the back ends turn them into their own form. */
struct vm_policy {
	const struct msr_passthrough *msrs;
	unsigned msr_count;
};

/* MSRs that exist in the guest context and are read (and written) without an exit. */
struct msr_passthrough {
	u32 msr;
	bool read, write;
};

#define VM_LOCKED_MAX 24

/* A bus region of a device that several vcpus may access at a time. */
struct locked_region {
	struct spinlock *lock;
	const struct bus_ops *ops;
	void *dev;
};

struct vm {
	const char *name;
	unsigned id; /* its place in hv->vm[] */
	struct hv *hv;
	u32 weight; /* of each vcpu, for the scheduler, as in struct vm_params */
	u64 affinity;
	bool dedicated;
	bool lone;                        /* as in struct vm_params */
	u8 state;                         /* enum vm_state */
	u32 actions;                      /* VM_*, atomic: asked for, not yet begun */
	u32 active;                       /* atomic: vcpus that are not parked */
	bool end_told;                    /* the log has said why it ends */
	bool ending;                      /* VM_DESTROY is all that is still to be done */
	void (*destroyed)(struct vm *vm); /* VM_DESTROY is done: the memory of *vm is the callee's */
	u8 on_reboot, on_crash;           /* enum conf_policy */
	u64 started_at;                   /* ticks, the last time */
	u32 starts; /* atomic: how often it was tried to start it, or to start it anew, and whether or not that went well */
	u64 restart_at;        /* VM_BACKOFF */
	unsigned quick_resets; /* in a row, each soon after the start */
	unsigned crashes;      /* in a row likewise */
	u64 watchdog;          /* ticks of the first vcpu's run time; 0: off */
	u64 alive_run; /* what that was when it last halted or took an interrupt; kept only with a watchdog */
	struct timer watchdog_timer;
	const struct backend_ops *ops;
	const struct backend_caps *caps;
	struct pagetable npt;
	struct gmem gmem;
	struct machine machine;
	struct bus pio, mmio;
	struct clock *clock; /* of its devices: its first vcpu's */
	struct vioapic ioapic;
	struct vuart uart;
	struct vrtc rtc;
	struct vpm pm;
	struct vpic pic;
	bool pic_int; /* atomic: its INT output */
	struct vpit pit;
	struct vhpet hpet;
	struct vkbc kbc;
	struct vpci pci;
	unsigned cpus;
	struct cpuid_entry cpuid[VM_CPUID_MAX];
	unsigned cpuid_count;
	u8 cpuid_index[2]
		      [VM_CPUID_INDEX]; /* first entry of basic and extended leaves, or VM_CPUID_NONE */
	struct vm_policy policy;
	struct load_image image;
	struct vm_console console;
	const struct vm_device *devices;
	bool hypercall_console, hypercall_compat;
	u16 exit_port; /* 0: none */
	bool exited;   /* it has written to it, since it was started: */
	u32 exit_value;
	u64 cr4_allowed; /* bits that the guest's CPUID offers */
	u64 boot_ticks;  /* host ticks when the guest last started: zero of its kvmclock */
	u64 tsc_hz;
	u32 kvmclock_mult;
	s8 kvmclock_shift;
	u32 roused; /* atomic: how often a vcpu has ceased to have never_wakes set */
	u64 resets;
	const char *reset_how; /* for the log */
	char why[160];         /* VM_DEAD: the reason, until it is started again */
	/* Of a VM with several CPUs: they share its devices, under a lock that one with a single CPU does not need. */
	struct spinlock dev_lock;
	struct locked_region locked[VM_LOCKED_MAX];
	unsigned locked_count;
	struct clock dev_clock;        /* the devices', under the lock */
	struct timer dev_timer;        /* of the first vcpu: stands for the first of them */
	struct vcpu vcpu[VM_CPUS_MAX]; /* the last member: vm_size() */
};

/* What a VM of so many CPUs takes. */
static inline u64 vm_size(unsigned cpus)
{
	return ALIGN_UP(offsetof(struct vm, vcpu) + cpus * sizeof(struct vcpu), PAGE_SIZE);
}

/*
 * A row of a machine's device table (vmm/machine/pc.c). create() claims bus regions and hands the device its lines;
 * reset() may be NULL. Order: as in the table.
 */
struct vm_device {
	const char *name; /* NULL ends the table */
	int (*create)(struct vm *vm) must_check;
	void (*reset)(struct vm *vm);
};

extern const struct vm_device pc_devices[]; /* vmm/machine/pc.c */

struct vm_params {
	const char *name;
	const struct vm_device *devices; /* pc_devices */
	u32 left_out;                    /* MACHINE_*: of them, those that it is not to have */
	u64 mem;
	unsigned cpus; /* 1 to VM_CPUS_MAX; *vm has vm_size(cpus) bytes */
	struct load_image image;
	struct vm_console console;
	bool hypercall_console, hypercall_compat;
	u16 exit_port; /* a write to it, and to none of the three behind it, ends the guest; 0: none */
	const struct backend_ops *ops;
	const struct backend_caps *caps;
	struct hv *hv;
	u32 weight;     /* SCHED_WEIGHT_MIN to _MAX */
	u64 affinity;   /* a bit per CPU of the host */
	bool dedicated; /* the CPUs of `affinity` are reserved for it */
	bool lone; /* the machine is there for it alone: it is not slowed down, and needs no name */
	u8 on_reboot, on_crash; /* enum conf_policy */
	u32 watchdog;           /* seconds; 0: off */
	/* If not NULL: a VM that is over is destroyed, but for CONF_HOLD, and then handed over. */
	void (*destroyed)(struct vm *vm);
};

/* Builds the VM: memory, devices, vcpus; it does not run yet. On failure nothing is left allocated. */
int vm_create(struct vm *vm, const struct vm_params *p, struct load_error *why) must_check;
void vm_destroy(struct vm *vm);
/* Loads the image and sets the boot state (first start, and after a reset). */
int vm_boot(struct vm *vm, struct load_error *why) must_check;

/*
 * From any CPU, at any time. They say what shall be done; it is done as soon as the VM's vcpus have stopped. A VM that has
 * never been started, or has ended, can be started; one that runs, reset, paused and stopped; any one, destroyed, after
 * which destroyed(vm) is called.
 */
void vm_start(struct vm *vm);
void vm_stop(struct vm *vm); /* as if its power were cut; nothing is said of it in the log */
void vm_restart(
	struct vm *vm); /* as if its reset button were pressed; whatever its on_reboot says */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
void vm_request_destroy(struct vm *vm, void (*destroyed)(struct vm *vm));

/* A guest did what only kills itself: log, remember, stop it. */
void vm_kill(struct vm *vm, const char *fmt, ...) printf_like(2, 3);
void vm_request_reset(struct vm *vm, const char *how);
void vm_request_poweroff(struct vm *vm);
/* By its exit port: the first value counts, and is reported. */
void vm_request_exit(struct vm *vm, u32 value);

#endif
