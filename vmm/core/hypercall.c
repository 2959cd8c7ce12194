/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: VMCALL and VMMCALL, by docs/guest-abi.md. One const table, a row per number of ours, which any
 * privilege level may use; KVM's numbers are kvm_call.c's. What the guest's configuration has not turned on answers -EPERM; a number that nobody defined, -ENOSYS.
 */
#include <vmm/errno.h>

#include "core.h"

#define HYPERCALL_CONSOLE_WRITE 0x48560001 /* "HV", 1 */

#define KVM_HYPERCALL_LAST 12 /* KVM's own numbers: kvm_call.c */

#define CONSOLE_WRITE_MAX 4096
#define COPY_CHUNK        256

typedef s64 hypercall_fn(struct vcpu *v);

struct hypercall_row {
	u64 number;
	hypercall_fn *call;
	bool (*enabled)(const struct vm *vm);
};

/* Copies guest text to the guest's console, chunk by chunk; stops after a NUL if asked to. Bytes written, or -errno. */
static s64 console_copy(struct vcpu *v, gva_t va, u64 len, bool stop_at_nul)
{
	struct gwalk_state walk;
	struct gwalk_fault fault;
	u8 buf[COPY_CHUNK];
	u64 done = 0;

	vcpu_walk_state(v, &walk);
	while (done < len) {
		u64 n = MIN(len - done, (u64)sizeof(buf)), i;

		/* No further than this page: what lies behind a terminator need not be mapped. */
		n = i = MIN(n, PAGE_SIZE - ((va + done) & (PAGE_SIZE - 1)));
		if (gwalk_read(&v->vm->gmem, &walk, va + done, buf, n, GWALK_READ, &fault))
			return done ? (s64)done : -HV_EFAULT;
		if (stop_at_nul)
			for (i = 0; i < n && buf[i]; i++)
				;
		vm_devices_lock(v->vm); /* the UART writes to it too, from another vcpu */
		v->vm->console.dev.write(v->vm->console.dev.ctx, buf, i);
		vm_devices_unlock(v->vm);
		done += i;
		if (i < n)
			break;
	}
	return (s64)done;
}

/* Outside 64-bit code the upper halves of registers are not the caller's. */
static u64 argument_mask(struct vcpu *v)
{
	return vcpu_mode(v) == EMUL_MODE64 ? ~0ULL : 0xffffffff;
}

static s64 hypercall_console_write(struct vcpu *v)
{
	u64 mask = argument_mask(v);

	if ((v->gpr[GPR_RSI] & mask) > CONSOLE_WRITE_MAX)
		return -HV_E2BIG;
	return console_copy(v, v->gpr[GPR_RDI] & mask, v->gpr[GPR_RSI] & mask, false);
}

static bool console_enabled(const struct vm *vm)
{
	return vm->hypercall_console;
}

static const struct hypercall_row hypercall_rows[] = {
	{HYPERCALL_CONSOLE_WRITE, hypercall_console_write, console_enabled},
};

/* The low half of rax is one; what its upper half is to outside 64-bit code, the result's is too. */
static s64 __attribute__((noinline)) kvm_number(struct vcpu *v)
{
	u64 mask = argument_mask(v), number = v->gpr[GPR_RAX] & mask;

	if (!number || number > KVM_HYPERCALL_LAST)
		return -HV_ENOSYS;
	return (s64)((u64)kvm_call(v, number, mask) & mask);
}

static s64 hypercall_call(struct vcpu *v)
{
	u64 number = v->gpr[GPR_RAX];
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(hypercall_rows); i++)
		if (hypercall_rows[i].number == number)
			return hypercall_rows[i].enabled(v->vm) ? hypercall_rows[i].call(v) :
								  -HV_EPERM;
	return number && (u32)number <= KVM_HYPERCALL_LAST ? kvm_number(v) : -HV_ENOSYS;
}

/*
 * The older form: rax points to a NUL-terminated string, rbx is the size of its buffer. Its programs take no result and
 * expect every register as it was.
 */
static void hypercall_compat(struct vcpu *v)
{
	u64 mask = argument_mask(v);

	(void)console_copy(v, v->gpr[GPR_RAX] & mask,
			   MIN(v->gpr[GPR_RBX] & mask, (u64)CONSOLE_WRITE_MAX), true);
}

enum next exit_hypercall(struct vcpu *v, unused struct vm_exit *e)
{
	if (v->vm->hypercall_compat && v->gpr[GPR_RAX] != HYPERCALL_CONSOLE_WRITE)
		hypercall_compat(v);
	else
		v->gpr[GPR_RAX] = (u64)hypercall_call(v);
	return NEXT_ADVANCE;
}
