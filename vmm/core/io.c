/* SPDX-License-Identifier: MIT */
/*
 * Port I/O and nested page faults: the exits that end at a device. The plain IN and OUT go straight to the bus;
 * string forms and MMIO go through the instruction emulator. Called by exit.c.
 */
#include "core.h"

/* IN of 8 and 16 bits leaves the rest of RAX alone; 32 bits clear the upper half (SDM vol. 1 "General-Purpose Registers in 64-Bit Mode"). */
static void io_result(struct vcpu *v, unsigned size, u64 value)
{
	switch (size) {
	case 1:
		v->gpr[GPR_RAX] = (v->gpr[GPR_RAX] & ~0xffULL) | (value & 0xff);
		break;
	case 2:
		v->gpr[GPR_RAX] = (v->gpr[GPR_RAX] & ~0xffffULL) | (value & 0xffff);
		break;
	default:
		v->gpr[GPR_RAX] = (u32)value;
		break;
	}
}

enum next exit_io(struct vcpu *v, struct vm_exit *e)
{
	const struct exit_io *io = &e->io;

	if (unlikely(io->string))
		return emulate_insn(v, e);
	if (io->in)
		io_result(v, io->size, bus_read(&v->vm->pio, io->port, io->size));
	else
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
