/* SPDX-License-Identifier: MIT */
/*
 * The development host's side of vmm/host.h, for unit tests and fuzzers: what a test sets before it
 * calls the code under test, and what it looks at afterwards. test/mock/host.c implements it.
 *
 * Memory has fake physical addresses (never equal to the virtual ones). Every allocation lies between
 * unmapped pages and freed memory is unmapped and never handed out again before mock_host_reset(): an
 * overrun of a page or a use after free is a fault that AddressSanitizer reports.
 */
#ifndef TEST_MOCK_H
#define TEST_MOCK_H

#include <setjmp.h>
#include <vmm/host.h>
#include <vmm/types.h>

/* How a statement under MOCK_CATCH ended. */
enum mock_end { MOCK_RETURNED, MOCK_PANIC, MOCK_POWEROFF, MOCK_REBOOT, MOCK_HALT };

#define MOCK_CONSOLE_MAX 65536
#define MOCK_CPUID_MAX   64

struct mock_cpuid {
	u32 leaf, subleaf;
	u32 reg[4];
};

struct mock_host {
	/* Memory. fail_alloc: that many allocations succeed, then one fails, and again; -1: none fails. */
	u64 mem_limit; /* bytes that may be allocated at a time; default 4 GiB */
	long fail_alloc;
	unsigned long allocs; /* made since mock_host_reset() */
	unsigned live;        /* allocations not yet freed */
	u64 live_bytes;

	/* Time. Each host_ticks() adds tick_step after it is read. */
	u64 ticks, tick_step, tick_hz;
	void (*on_ticks)(void); /* called by host_ticks() */
	s64 epoch_ns;
	u64 timer; /* what host_timer_arm() was given last */
	unsigned timer_arms;

	/* CPU. idle() is called by host_idle(); without one the clock jumps to the armed timer. */
	void (*idle)(void *arg);
	void *idle_arg;
	unsigned idles, kicks, irqs;
	u8 irq_last;
	struct mock_cpuid cpuid[MOCK_CPUID_MAX]; /* what is not listed reads as zero */
	unsigned cpuid_count;

	/* Console: all that was written, NUL-terminated; the beginning is kept when it is full. */
	char console[MOCK_CONSOLE_MAX];
	size_t console_len;
	size_t console_room; /* what host_console_room() says; what is written takes from it */
	bool console_echo;   /* copy to stderr */

	/* The end. */
	enum mock_end end;
	char panic[256];
};

extern struct mock_host mock_host;

/* Power-up state; frees everything. Call it first in each test (a cmocka setup function will do). */
void mock_host_reset(void);

void mock_host_advance(u64 ticks);
/* Queues input and calls the listener, as the console's interrupt does. */
void mock_host_type(const char *text, size_t len);
/* Adds a CPUID row, or replaces it. */
void mock_host_cpuid_set(u32 leaf, u32 subleaf, u32 eax, u32 ebx, u32 ecx, u32 edx);
/* Did this text appear on the console? */
bool mock_host_console_has(const char *text);
void mock_host_console_clear(void);

/*
 * Runs a statement that may end in host_panic(), host_poweroff(), host_reboot() or host_halt(), and sets `result`
 * (enum mock_end) to how it ended. Any of those outside a MOCK_CATCH fails the test.
 */
#define MOCK_CATCH(result, statement)                                                              \
	do {                                                                                       \
		mock_catching = true;                                                              \
		if (setjmp(mock_jump) == 0) {                                                      \
			statement;                                                                 \
			mock_host.end = MOCK_RETURNED;                                             \
		}                                                                                  \
		mock_catching = false;                                                             \
		(result) = mock_host.end;                                                          \
	} while (0)

extern jmp_buf mock_jump;
extern bool mock_catching;

#endif
