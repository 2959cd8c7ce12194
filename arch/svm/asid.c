/* SPDX-License-Identifier: MIT */
/*
 * Address space identifiers: the tags that keep the guests' translations apart in one TLB. ASID 0 is the host's. A CPU hands
 * them out in rising order; when they are used up a new generation begins with a flush of everything, and each vcpu takes a
 * new one when it is next entered. Pure; called by svm_run() only when something changed.
 *
 * APM vol. 2 "TLB Control".
 */
#include "svm.h"

void svm_asid_init(struct svm_cpu *cpu)
{
	/* The first one asked for begins generation 1: what was in the TLB before Havoc is flushed. */
	cpu->generation = 0;
	cpu->asid_next = cpu->caps.asids;
}

/* Until an entry has carried it out, whoever is entered next: the one for which it began may not come that far. */
static void flush_all_if_due(struct svm_vcpu *s, const struct svm_cpu *cpu)
{
	if (cpu->flush_all)
		s->vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
}

void svm_asid_prepare(struct svm_vcpu *s, struct svm_cpu *cpu)
{
	bool current = s->generation == cpu->generation && s->generation;

	if (current && !s->flush) {
		flush_all_if_due(s, cpu);
		return;
	}
	s->flush = false;
	if (current && cpu->caps.flush_by_asid) {
		s->vmcb->tlb_control = SVM_TLB_FLUSH_GUEST;
		flush_all_if_due(s, cpu);
		return;
	}
	/* No way to flush one guest's entries: they are left to die under an ASID that nobody uses. */
	if (cpu->asid_next >= cpu->caps.asids) {
		cpu->generation++;
		cpu->asid_next = 1;
		cpu->flush_all = true;
	}
	s->vmcb->asid = cpu->asid_next++;
	s->generation = cpu->generation;
	svm_dirty(s, SVM_CLEAN_ASID);
	flush_all_if_due(s, cpu);
}
