/* SPDX-License-Identifier: MIT */
/* Other CPUs for micro guests: started by INIT and a start-up IPI, and brought to the state that test() has (micro.h). */
#ifndef MICRO_SMP_H
#define MICRO_SMP_H

#include "micro.h"

#define SMP_CPUS 4

/* Once, before the first start. */
void smp_prepare(void);
/* Starts CPU `id` (its APIC ID) in fn(id), interrupts off, its APIC enabled in xAPIC mode; fn() does not return. Waits for it. */
void smp_start(unsigned id, void (*fn)(unsigned id));
/* The TSC that it has read first of all. */
extern volatile u64 smp_first_tsc[SMP_CPUS];

#endif
