/* SPDX-License-Identifier: MIT */
/*
 * KVM's paravirtual clock (Linux, Documentation/virt/kvm/x86/msr.rst: MSR_KVM_SYSTEM_TIME_NEW and
 * MSR_KVM_WALL_CLOCK_NEW, and the numbers that they had at first): the guest names a structure in its memory, from
 * which it computes time by its TSC. The host's TSC has one rate for ever, so the structure is written once and stays true
 * (PVCLOCK_TSC_STABLE_BIT).
 */
#include <arch/msr.h>
#include <vmm/host.h>

#include "core.h"

struct pvclock_vcpu_time_info {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags;
	u8 pad[2];
} packed;
_Static_assert(sizeof(struct pvclock_vcpu_time_info) == 32, "pvclock_vcpu_time_info is 32 bytes");

struct pvclock_wall_clock {
	u32 version;
	u32 sec;
	u32 nsec;
} packed;
_Static_assert(sizeof(struct pvclock_wall_clock) == 12, "pvclock_wall_clock is 12 bytes");

#define PVCLOCK_TSC_STABLE BIT(0)
#define SYSTEM_TIME_ENABLE BIT(0)

/* ns = (tsc << shift) * mul >> 32, with mul in [2^31, 2^32). */
void kvmclock_init(struct vm *vm)
{
	u64 ticks = vm->tsc_hz; /* ticks that make one second */
	s8 shift = 0;

	while (ticks > 2 * 1000000000ULL) {
		ticks >>= 1;
		shift--;
	}
	while (ticks <= 1000000000ULL) {
		ticks <<= 1;
		shift++;
	}
	vm->kvmclock_shift = shift;
	vm->kvmclock_mult = (u32)clock_mul_div(
		1000000000ULL, 1ULL << 32, shift < 0 ? vm->tsc_hz >> -shift : vm->tsc_hz << shift);
}

static bool write_version(struct vcpu *v, gpa_t gpa, u32 version)
{
	int ret = gmem_write(&v->vm->gmem, gpa, &version, sizeof(version));

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	v->kvmclock.version = version;
	return !ret;
}

/*
 * Even versions are whole: odd first, then the contents, then even, for the other vcpus may be reading. All have the same base, the
 * VM's start, so that they agree for ever, whenever each of them has asked.
 */
static bool write_system_time(struct vcpu *v, gpa_t gpa)
{
	u32 version = v->kvmclock.version & ~1U;
	struct pvclock_vcpu_time_info info = {
		.version = version + 1,
		.tsc_timestamp = v->vm->boot_ticks + v->tsc_offset,
		.system_time = 0,
		.tsc_to_system_mul = v->vm->kvmclock_mult,
		.tsc_shift = v->vm->kvmclock_shift,
		.flags = PVCLOCK_TSC_STABLE,
	};

	/* All of it is RAM, or nothing is written. */
	if (!gmem_is_ram(&v->vm->gmem, gpa, sizeof(info)))
		return false;
	return write_version(v, gpa, version + 1) &&
	       !gmem_write(&v->vm->gmem, gpa, &info, sizeof(info)) &&
	       write_version(v, gpa, version + 2);
}

void kvmclock_update(struct vcpu *v)
{
	/* The guest chose the address, and it was RAM then; RAM does not go away. */
	if (v->kvmclock.system_time_msr & SYSTEM_TIME_ENABLE)
		(void)write_system_time(v, v->kvmclock.system_time_msr & ~SYSTEM_TIME_ENABLE);
}

/* The time of day when system_time was 0. */
static bool write_wall_clock(struct vcpu *v, gpa_t gpa)
{
	s64 boot = host_epoch_ns() + (s64)clock_ticks_to_ns(v->vm->clock, v->vm->boot_ticks);
	struct pvclock_wall_clock wc = {.version = 2};

	if (boot < 0)
		boot = 0;
	wc.sec = (u32)(boot / 1000000000);
	wc.nsec = (u32)(boot % 1000000000);
	return gmem_write(&v->vm->gmem, gpa, &wc, sizeof(wc)) == 0;
}

/* The older numbers are other names of the same registers. */
static bool is_wall_clock(u32 msr)
{
	return msr == MSR_KVM_WALL_CLOCK_NEW || msr == MSR_KVM_WALL_CLOCK;
}

bool kvmclock_read(struct vcpu *v, u32 msr, u64 *value)
{
	*value = is_wall_clock(msr) ? v->kvmclock.wall_clock_msr : v->kvmclock.system_time_msr;
	return true;
}

/* An address that is no RAM is refused by #GP, as KVM does. */
bool kvmclock_write(struct vcpu *v, u32 msr, u64 value)
{
	if (is_wall_clock(msr)) {
		if (value & 3 || !write_wall_clock(v, value))
			return false;
		v->kvmclock.wall_clock_msr = value;
		return true;
	}
	if (value & 2)
		return false;
	if (value & SYSTEM_TIME_ENABLE && !write_system_time(v, value & ~SYSTEM_TIME_ENABLE))
		return false;
	v->kvmclock.system_time_msr = value;
	return true;
}
