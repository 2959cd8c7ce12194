/* SPDX-License-Identifier: MIT */
/*
 * The state of a vcpu as lines of the log: what stopped it first, then registers, segments, controls. For backend_ops.dump, called
 * before a guest is killed for what Havoc did not expect.
 */
#include <vmm/log.h>

#include "svm.h"

typedef unsigned long long ull;

static void dump_seg(struct vcpu *v, const char *name, enum vseg seg)
{
	struct segment s;

	svm_seg_get(v, seg, &s);
	log_err("  %s sel %04x base %016llx limit %08x attr %05x", name, s.selector, (ull)s.base,
		s.limit, s.attr);
}

static void dump_gprs(const struct vcpu *v, const struct vmcb_save *save)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					    "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15"};
	u64 r[16];
	unsigned i;

	for (i = 0; i < 16; i++)
		r[i] = i == GPR_RSP ? save->rsp : v->gpr[i];
	for (i = 0; i < 16; i += 4)
		log_err("  %s %016llx %s %016llx %s %016llx %s %016llx", names[i], (ull)r[i],
			names[i + 1], (ull)r[i + 1], names[i + 2], (ull)r[i + 2], names[i + 3],
			(ull)r[i + 3]);
}

void svm_dump(struct vcpu *v)
{
	static const char *const names[] = {"es  ", "cs  ", "ss  ", "ds  ", "fs  ",
					    "gs  ", "ldtr", "tr  ", "gdtr", "idtr"};
	const struct svm_vcpu *s = svm_of(v);
	const struct vmcb *c = s->vmcb;
	const struct vmcb_save *save = &c->save;
	unsigned seg;

	log_err("VMCB: exit %llx info1 %llx info2 %llx intinfo %llx inject %llx", (ull)c->exitcode,
		(ull)c->exitinfo1, (ull)c->exitinfo2, (ull)c->exitintinfo, (ull)c->eventinj);
	log_err("  rip %016llx rflags %08llx cpl %u shadow %llx", (ull)save->rip, (ull)save->rflags,
		save->cpl, (ull)c->int_shadow);
	dump_gprs(v, save);
	log_err("  cr0 %llx (hidden %llx) cr2 %llx cr3 %llx cr4 %llx (forced %llx) efer %llx",
		(ull)save->cr0, (ull)s->cr0_hidden, (ull)save->cr2, (ull)save->cr3, (ull)save->cr4,
		(ull)s->cr4_forced, (ull)save->efer);
	log_err("  dr6 %llx dr7 %llx pat %llx", (ull)save->dr6, (ull)save->dr7, (ull)save->g_pat);
	for (seg = VSEG_ES; seg <= VSEG_IDTR; seg++)
		dump_seg(v, names[seg], (enum vseg)seg);
	log_err("  kernel_gs %llx star %llx lstar %llx sfmask %llx sysenter %llx:%llx:%llx",
		(ull)save->kernel_gs_base, (ull)save->star, (ull)save->lstar, (ull)save->sfmask,
		(ull)save->sysenter_cs, (ull)save->sysenter_eip, (ull)save->sysenter_esp);
	log_err("  intercepts cr %x dr %x exc %x %x %x int_ctl %llx tsc_offset %llx",
		c->intercept_cr, c->intercept_dr, c->intercept_exc, c->intercept3, c->intercept4,
		(ull)c->int_ctl, (ull)c->tsc_offset);
	log_err("  asid %u tlb %u ncr3 %llx iopm %llx msrpm %llx clean %x nmi masked %u iret %u",
		c->asid, c->tlb_control, (ull)c->ncr3, (ull)c->iopm_pa, (ull)c->msrpm_pa, c->clean,
		s->nmi_masked, s->iret_reached);
}
