/* SPDX-License-Identifier: MIT */
/*
 * Port I/O and nested page faults: the exits that end at a device. The plain IN and OUT go straight to the bus;
 * string forms and MMIO go through the instruction emulator. Called by exit.c.
 */
#include "core.h"

/*
 * IN of 8 and 16 bits leaves the rest of RAX alone; 32 bits clear the upper half (SDM vol. 1 "General-Purpose Registers in 64-Bit Mode").
 * The lower bytes come first, here as there.
 */
static inline void io_result(struct vcpu *v, unsigned size, u64 value)
{
	if (size == 1)
		__builtin_memcpy(&v->gpr[GPR_RAX], &value, 1);
	else if (size == 2)
		__builtin_memcpy(&v->gpr[GPR_RAX], &value, 2);
	else
		v->gpr[GPR_RAX] = (u32)value;
}

/* True: done, and *next says what comes then. */
static bool __attribute__((noinline)) io_rarely(struct vcpu *v, struct vm_exit *e, enum next *next)
{
	if (e->io.string) {
		*next = emulate_insn(v, e);
		return true;
	}
	emulate_watch_port(v, e->io.port, e->io.size);
	return false;
}

enum next exit_io(struct vcpu *v, struct vm_exit *e)
{
	const struct exit_io *io = &e->io;
	enum next next;

	if (unlikely(io->string || v->io_breakpoints) && io_rarely(v, e, &next))
		return next;
	/* The commonest, by itself: a device of a PC has registers of 8 bits. */
	if (likely(io->in && io->size == 1)) {
		io_result(v, 1, bus_read(&v->vm->pio, io->port, 1));
		return NEXT_ADVANCE;
	}
	if (io->in) {
		io_result(v, io->size, bus_read(&v->vm->pio, io->port, io->size));
		return NEXT_ADVANCE;
	}
	bus_write(&v->vm->pio, io->port, io->size,
		  v->gpr[GPR_RAX] & (~0ULL >> (64 - 8 * io->size)));
	return NEXT_ADVANCE;
}

/*
 * RAM that has not been touched yet is cleared and mapped; everything else is MMIO, or nothing. There is no memory to execute from, and none
 * to keep page tables in, outside RAM.
 */
enum next exit_npf(struct vcpu *v, struct vm_exit *e)
{
	struct vm *vm = v->vm;
	gpa_t gpa = e->npf.gpa;

	if (gmem_is_ram(&vm->gmem, gpa, 1)) {
		int ret = gmem_populate(&vm->gmem, gpa);

		if (ret < 0)
			vm_kill(vm, "no memory is left for the page tables of its RAM at %#llx",
				(unsigned long long)gpa);
		else if (ret > 0)
			vcpu_request(v, REQ_FLUSH);
		return NEXT_RESUME;
	}
	if (e->npf.access & NPF_EXEC || e->npf.table_walk) {
		vm_kill(vm, "it %s guest-physical %#llx, where it has no memory (rip %#llx)",
			e->npf.table_walk ? "keeps a page table at" : "executes from",
			(unsigned long long)gpa, (unsigned long long)vcpu_reg(v, VREG_RIP));
		return NEXT_RESUME;
	}
	/* A stack or table that the delivery of an event accessed: the instruction at RIP has no part in it. */
	if (e->vectoring.type) {
		vm_kill(vm,
			"the delivery of vector %u accessed guest-physical %#llx, where it has no memory (rip %#llx)",
			e->vectoring.vector, (unsigned long long)gpa,
			(unsigned long long)vcpu_reg(v, VREG_RIP));
		return NEXT_RESUME;
	}
	return emulate_insn(v, e);
}
