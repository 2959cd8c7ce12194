/* SPDX-License-Identifier: MIT */
/* The local APIC timer's tests, shared by lapic_timer.c (xAPIC) and lapic_timer_x2apic.c. */
#ifndef TIMER_TEST_H
#define TIMER_TEST_H

void timer_test(void);

#endif
