/* SPDX-License-Identifier: MIT */
/*
 * Micro guests with several CPUs. CPU n has APIC ID n; the first one is 0 and runs test(). fail() may be called on any.
 *
 * Limits of waits are in the guest's time and far beyond what is needed: they tell a CPU that hangs from one that waits for its
 * turn on a busy host.
 */
#ifndef SMP_H
#define SMP_H

#include "micro.h"

#define SMP_MAX        64
#define SMP_TRAMPOLINE 0x8000ULL /* the page to which SIPI_VECTOR leads */
#define SIPI_VECTOR    (SMP_TRAMPOLINE >> 12)

/* ICR, low half: delivery mode, and the level bit that all but INIT de-assert have. */
#define ICR_FIXED   0x4000u
#define ICR_LOWEST  0x4100u
#define ICR_NMI     0x4400u
#define ICR_INIT    0x4500u
#define ICR_SIPI    (0x4600u | (u32)SIPI_VECTOR)
#define ICR_LOGICAL 0x800u
#define ICR_SELF    0x40000u
#define ICR_ALL     0x80000u
#define ICR_OTHERS  0xc0000u

/* Where CPUs begin: 64-bit mode, test()'s tables, a stack of their own, interrupts off, local APIC enabled. */
typedef void smp_fn(unsigned cpu);
void smp_init(unsigned cpus, smp_fn *fn);
/* INIT and start-up IPI; and that it has come to fn(). */
void smp_start(unsigned cpu);
void smp_start_all(void); /* all others at once */
/* How often it has come there. */
extern volatile unsigned smp_starts[SMP_MAX];

unsigned smp_cpu(void); /* which one is this; costs no exit */

/* Halts for a tenth of a millisecond, with interrupts on: the CPU is left to others. Afterwards they are off. */
void smp_relax(void);
/* Until *word >= count; with interrupts on. False: it took longer than a hung guest is given. */
bool smp_wait(volatile unsigned *word, unsigned count);
/* Until all CPUs have come here. */
void smp_barrier(void);
/* All CPUs at once, each by itself: x2APIC mode. */
void smp_use_x2apic(void);

/* Numbers from nothing, one sequence a CPU. */
unsigned smp_random(unsigned below);

#endif
