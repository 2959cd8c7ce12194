/* SPDX-License-Identifier: MIT */
/*
 * vmm/host.h on a development host: the environment of unit tests and fuzzers. All that it does can be
 * set and seen through test/mock/mock.h; nothing depends on the real clock or on this machine's CPU.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "test/mock/mock.h"
#include <vmm/errno.h>
#include <vmm/host.h>

/*
 * Address space only; pages appear when they are allocated. The physical base is high and a multiple of
 * 1 GiB, so that a test sees it if a virtual address, a 32-bit truncation or a missing mask creeps in.
 */
#define ARENA_SIZE GiB(64)
#define ARENA_PA   GiB(5)

#define BLOCKS_MAX 8192

struct block {
	u64 offset, size;
};

struct mock_host mock_host;
jmp_buf mock_jump;
bool mock_catching;

static u8 *arena;
static u64 arena_next;
static struct block blocks[BLOCKS_MAX];

static u8 input[4096];
static size_t input_head, input_count;
static void (*listener)(void *arg);
static void *listener_arg;

/* In a cmocka program a failure ends the test, elsewhere (a fuzzer) the process. */
void _fail(const char *file, int line) __attribute__((weak));

static _Noreturn void mock_fail(const char *fmt, ...) printf_like(1, 2);
static void mock_fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "mock host: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (_fail)
		_fail(__FILE__, __LINE__);
	abort();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void arena_reset(void)
{
	if (!arena) {
		/* 1 GiB more, for the guard pages and for a start that is aligned as the fake one is. */
		u8 *p = mmap(NULL, ARENA_SIZE + GiB(1), PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			mock_fail("no address space for the arena");
		arena = (u8 *)ALIGN_UP((uintptr_t)p, GiB(1));
	} else if (arena_next) {
		/* A new mapping over the old one drops pages and protections alike. */
		if (mmap(arena, arena_next, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			mock_fail("the arena could not be reset");
	}
	arena_next = 0;
	memset(blocks, 0, sizeof(blocks));
}

static struct block *block_at(u64 offset)
{
	unsigned i;

	for (i = 0; i < BLOCKS_MAX; i++)
		if (blocks[i].size && blocks[i].offset == offset)
			return &blocks[i];
	return NULL;
}

/* Fresh memory is no zeroes: what needs to be cleared must be cleared by the code under test. */
static void fill_garbage(u8 *p, u64 size)
{
	u64 at;

	for (at = 0; at < size; at += MiB(2))
		memset(p + at, 0xa5, MIN(size - at, PAGE_SIZE));
	if (size <= MiB(2))
		memset(p, 0xa5, size);
}

static int mem_alloc(u64 size, u64 align, bool zeroed, hpa_t *out)
{
	struct block *b;
	u64 at;

	if (!arena)
		arena_reset();
	if (!size || size % PAGE_SIZE || align < PAGE_SIZE || (align & (align - 1)))
		mock_fail("host_mem_alloc(size 0x%llx, align 0x%llx) breaks its contract",
			  (unsigned long long)size, (unsigned long long)align);
	if (mock_host.fail_alloc == 0) {
		mock_host.fail_alloc = -1;
		return -HV_ENOMEM;
	}
	if (mock_host.fail_alloc > 0)
		mock_host.fail_alloc--;
	if (size > mock_host.mem_limit - mock_host.live_bytes)
		return -HV_ENOMEM;

	/* A guard page before and after. */
	at = ALIGN_UP(arena_next + PAGE_SIZE, align);
	if (at > ARENA_SIZE || size > ARENA_SIZE - at - PAGE_SIZE)
		return -HV_ENOMEM;
	for (b = blocks; b < blocks + BLOCKS_MAX && b->size; b++)
		;
	if (b == blocks + BLOCKS_MAX)
		mock_fail("more than %d allocations at a time", BLOCKS_MAX);
	if (mprotect(arena + at, size, PROT_READ | PROT_WRITE))
		mock_fail("mprotect failed: too many allocations?");
	b->offset = at;
	b->size = size;
	arena_next = at + size;
	if (!zeroed)
		fill_garbage(arena + at, size);
	mock_host.allocs++;
	mock_host.live++;
	mock_host.live_bytes += size;
	*out = ARENA_PA + at;
	return 0;
}

int host_mem_alloc(u64 size, u64 align, hpa_t *out)
{
	return mem_alloc(size, align, false, out);
}

void host_mem_free(hpa_t pa, u64 size)
{
	struct block *b = block_at(pa - ARENA_PA);

	if (!b || b->size != size)
		mock_fail("host_mem_free(0x%llx, 0x%llx): no such allocation",
			  (unsigned long long)pa, (unsigned long long)size);
	if (mmap(arena + b->offset, size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		mock_fail("mmap failed");
	b->size = 0;
	mock_host.live--;
	mock_host.live_bytes -= size;
}

u64 host_mem_free_bytes(void)
{
	return mock_host.mem_limit - mock_host.live_bytes;
}

void *host_page_zalloc(void)
{
	hpa_t pa;

	return mem_alloc(PAGE_SIZE, PAGE_SIZE, true, &pa) ? NULL : host_va(pa);
}

void host_page_free(void *page)
{
	host_mem_free(host_pa(page), PAGE_SIZE);
}

void *host_va(hpa_t pa)
{
	if (!arena || pa < ARENA_PA || pa - ARENA_PA >= ARENA_SIZE)
		mock_fail("host_va(0x%llx): not an address that was handed out",
			  (unsigned long long)pa);
	return arena + (pa - ARENA_PA);
}

hpa_t host_pa(const void *va)
{
	const u8 *p = va;

	if (!arena || p < arena || p >= arena + ARENA_SIZE)
		mock_fail("host_pa(%p): not in the direct map", va);
	return ARENA_PA + (u64)(p - arena);
}

/* ---- Time ------------------------------------------------------------------------------------ */

u64 host_ticks(void)
{
	u64 now = mock_host.ticks;

	if (mock_host.on_ticks)
		mock_host.on_ticks();
	mock_host.ticks += mock_host.tick_step;
	return now;
}

u64 host_tick_hz(void)
{
	return mock_host.tick_hz;
}

s64 host_epoch_ns(void)
{
	return mock_host.epoch_ns;
}

void host_timer_arm(unsigned cpu, u64 deadline)
{
	(void)cpu;
	mock_host.timer = deadline;
	mock_host.timer_arms++;
}

void mock_host_advance(u64 ticks)
{
	mock_host.ticks += ticks;
}

/* ---- CPU ------------------------------------------------------------------------------------- */

void host_idle(void)
{
	mock_host.idles++;
	if (mock_host.idle)
		mock_host.idle(mock_host.idle_arg);
	else if (mock_host.timer == HOST_TIMER_OFF && !input_count)
		mock_fail(
			"host_idle() with no timer armed and nothing typed: it would wait for ever");
	else if (mock_host.timer != HOST_TIMER_OFF && mock_host.timer > mock_host.ticks)
		mock_host.ticks = mock_host.timer;
}

void host_irq_service(unsigned cpu, u8 vector)
{
	(void)cpu;
	mock_host.irqs++;
	mock_host.irq_last = vector;
}

void host_kick(unsigned cpu)
{
	(void)cpu;
	mock_host.kicks++;
}

void host_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	unsigned i;

	memset(out, 0, 4 * sizeof(u32));
	for (i = 0; i < mock_host.cpuid_count; i++)
		if (mock_host.cpuid[i].leaf == leaf && mock_host.cpuid[i].subleaf == subleaf)
			memcpy(out, mock_host.cpuid[i].reg, 4 * sizeof(u32));
}

void mock_host_cpuid_set(u32 leaf, u32 subleaf, u32 eax, u32 ebx, u32 ecx, u32 edx)
{
	struct mock_cpuid row = {leaf, subleaf, {eax, ebx, ecx, edx}};
	unsigned i;

	for (i = 0; i < mock_host.cpuid_count; i++)
		if (mock_host.cpuid[i].leaf == leaf && mock_host.cpuid[i].subleaf == subleaf)
			break;
	if (i == MOCK_CPUID_MAX)
		mock_fail("more than %d CPUID rows", MOCK_CPUID_MAX);
	mock_host.cpuid[i] = row;
	if (i == mock_host.cpuid_count)
		mock_host.cpuid_count++;
}

/* ---- Console --------------------------------------------------------------------------------- */

void host_console_write(const char *text, size_t len)
{
	size_t room = sizeof(mock_host.console) - 1 - mock_host.console_len;

	mock_host.console_room -= MIN(len, mock_host.console_room);
	if (mock_host.console_echo)
		fwrite(text, 1, len, stderr);
	memcpy(mock_host.console + mock_host.console_len, text, MIN(len, room));
	mock_host.console_len += MIN(len, room);
	mock_host.console[mock_host.console_len] = 0;
}

bool host_console_typed(void)
{
	return input_count != 0;
}

size_t host_console_room(void)
{
	return mock_host.console_room;
}

size_t host_console_pending(void)
{
	return 0;
}

void host_console_drain(unused size_t left)
{
}

void host_console_poll(void)
{
}

size_t host_console_read(u8 *buf, size_t max)
{
	size_t n;

	for (n = 0; n < max && input_count; n++, input_count--) {
		buf[n] = input[input_head];
		input_head = (input_head + 1) % sizeof(input);
	}
	return n;
}

void host_console_listen(void (*fn)(void *arg), void *arg)
{
	listener = fn;
	listener_arg = arg;
}

void mock_host_type(const char *text, size_t len)
{
	size_t i;

	if (len > sizeof(input) - input_count)
		mock_fail("mock_host_type(): more than %zu bytes wait", sizeof(input));
	for (i = 0; i < len; i++)
		input[(input_head + input_count++) % sizeof(input)] = (u8)text[i];
	if (listener)
		listener(listener_arg);
}

bool mock_host_console_has(const char *text)
{
	return strstr(mock_host.console, text) != NULL;
}

void mock_host_console_clear(void)
{
	mock_host.console_len = 0;
	mock_host.console[0] = 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

static _Noreturn void mock_end(enum mock_end end, const char *what)
{
	mock_host.end = end;
	if (mock_catching)
		longjmp(mock_jump, 1);
	mock_fail("%s", what);
}

void host_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(mock_host.panic, sizeof(mock_host.panic), fmt, ap);
	va_end(ap);
	mock_end(MOCK_PANIC, mock_host.panic);
}

void host_poweroff(void)
{
	mock_end(MOCK_POWEROFF, "host_poweroff() was called");
}

void host_reboot(void)
{
	mock_end(MOCK_REBOOT, "host_reboot() was called");
}

void host_halt(void)
{
	mock_end(MOCK_HALT, "host_halt() was called");
}

void mock_host_reset(void)
{
	arena_reset();
	memset(&mock_host, 0, sizeof(mock_host));
	mock_host.mem_limit = GiB(4);
	mock_host.fail_alloc = -1;
	mock_host.ticks = 1000;
	mock_host.tick_hz = 1000000000;
	mock_host.timer = HOST_TIMER_OFF;
	mock_catching = false;
	input_head = 0;
	input_count = 0;
	listener = NULL;
	listener_arg = NULL;
}

/* A test that needs nothing special does not have to call mock_host_reset(). */
static __attribute__((constructor)) void mock_start(void)
{
	mock_host_reset();
}
