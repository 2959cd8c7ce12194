/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor as a whole: the host's CPUs, the guests on them, and who runs where. boot/main.c owns the one instance on
 * the metal; a test makes its own. A guest's life is a matter for its own vcpus: whoever wants something of it (vm.h)
 * says so, and the CPU on which the last of them stops carries it out, in cpu_loop().
 */
#ifndef VMM_HV_H
#define VMM_HV_H

#include <vmm/sched.h>
#include <vmm/spinlock.h>
#include <vmm/types.h>

struct vm;
struct vcpu;

#define HV_VMS_MAX  64
#define HV_SLICE_US 5000 /* how long a vcpu runs while others wait */

/* A CPU of the host. Only its own cpu_loop() touches it, but for `look`. */
struct cpu {
	unsigned number;
	u32 look;            /* atomic: the scheduler wants the CPU to look again */
	struct vcpu *loaded; /* whose state is in the registers; NULL */
	struct vm *reap;     /* to be destroyed as soon as its vcpu's turn is over */
	u64 deadline;        /* sched_deadline(), as of the last look */
	u64 sched_exits;     /* statistics: exits whose only reason was the scheduler */
};

struct hv {
	struct sched sched;
	unsigned cpus;
	struct cpu cpu[SCHED_CPUS_MAX];
	struct spinlock lock;      /* of vm[] */
	struct vm *vm[HV_VMS_MAX]; /* by vm->id; NULL: free */
	u32 live;                  /* atomic: guests that run, or may again */
	u32 holds;                 /* of them, those that are none, but hv_hold() for good */
	u32 died;                  /* atomic: guests that were stopped for what they did */
	/*
	 * Called on the first CPU, with no vcpu loaded there, soon after hv_serve(), and at service_at (ticks; SCHED_NEVER)
	 * which only it may change. Both are set before any CPU runs; NULL: there is none.
	 */
	void (*service)(void *ctx);
	void *service_ctx;
	u64 service_at;
	u32 serve; /* atomic: asked for */
};

void hv_init(struct hv *hv, unsigned cpus);
/* A number for a guest; -HV_ENOSPC. hv_remove() gives it back. */
int hv_add(struct hv *hv, struct vm *vm) must_check;
void hv_remove(struct hv *hv, struct vm *vm);
/*
 * The machine goes on, even with no guest that runs; until hv_ended() is called for it. False: it has come to its end
 * already, and CPUs have left their loops.
 */
bool hv_hold(struct hv *hv) must_check;
/* Something is there for hv->service. From any CPU, in an interrupt too. */
void hv_serve(struct hv *hv);
/* Something has been typed for `vm`; nothing happens if it is none of the VMs any more. From any CPU. */
void hv_input(struct hv *hv, const struct vm *vm);
/* Starts, from zero, or ends the timing of all exits of `vm`: v->times. From any CPU. */
void hv_time(struct hv *hv, struct vm *vm, bool on);
/* What is under way is counted soon: a vcpu that does not exit by itself has counted nothing. */
void hv_time_so_far(struct hv *hv, struct vm *vm);
/* A guest will not run again. */
void hv_ended(struct hv *hv, bool died);

/* What a CPU does as long as any guest is live. */
void cpu_loop(struct hv *hv, unsigned number);

#endif
