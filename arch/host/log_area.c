/* SPDX-License-Identifier: MIT */
/*
 * Where the log is kept over a warm reset. Called by boot/main.c once, between memory_map_done() and memory_keep_done().
 *
 * The place must be the same at each boot, and be nobody's on the way from the reset to here. A machine's RAM fills from
 * both ends: the image and the modules from the bottom; from the top of what is below 4 GiB the firmware, and GRUB's
 * heap, which takes the end of a free block first (GRUB, grub-core/kern/mm.c). So it is at three quarters of a power of
 * two, with half as much free RAM below and above, that the modules may grow and the end may move from boot to boot; and at the
 * lowest such place, because a guest's memory is one piece, and this lies in its way.
 */
#include "arch/host/host.h"

#include <arch/cpuid.h>
#include <arch/insn.h>
#include <vmm/host.h>
#include <vmm/log.h>

#define PLACE_MAX MiB(1536)
#define PLACE_MIN MiB(24)
#define LINE      64 /* of the cache, on all CPUs with long mode */

static bool within(const struct extent *e, unsigned count, hpa_t base, u64 size)
{
	for (unsigned i = 0; i < count; i++) {
		if (base >= e[i].base && base - e[i].base < e[i].size)
			return size <= e[i].size - (base - e[i].base);
	}
	return false;
}

/* RAM, without the image and the modules. */
static bool is_free(hpa_t base, u64 size)
{
	return within(host.pages.free, host.pages.count, base, size);
}

/*
 * A reset discards what is in the caches alone (SDM vol. 3 "Processor State After Reset": caches invalid; vol. 2 "CLFLUSH").
 * Line by line and at once, because there may be no later: a hang, a reset button.
 */
static void flush(const void *p, size_t len)
{
	u64 end = (u64)p + len;

	mfence(); /* on older AMD CPUs nothing else orders the stores before it: APM vol. 3 "CLFLUSH" */
	for (u64 at = ALIGN_DOWN((u64)p, LINE); at < end; at += LINE)
		clflush((const void *)at);
	mfence();
}

static bool has_clflush(void)
{
	u32 r[4];

	host_cpuid(1, 0, r);
	return r[CPUID_EDX] & CPUID1D_CLFSH;
}

static void tell_last(void)
{
	char reason[LOG_KEEP_REASON];
	enum log_end end;

	if (!log_last(&end, reason) || end == LOG_END_ORDERLY)
		return;
	if (end == LOG_END_PANIC)
		log_warn(
			"the log of the last boot is kept (it ended by a panic: %s): \"log --last\" in the monitor shows it",
			reason);
	else
		log_warn(
			"the log of the last boot is kept (it ended by a reset that was not Havoc's): \"log --last\" in the monitor shows it");
}

void log_area_init(void)
{
	struct log_keep_view last;
	hpa_t place = 0;
	bool found = false;

	/* Where the last one is, even if there is a better place by now. */
	for (hpa_t at = PLACE_MIN; at <= PLACE_MAX && !found; at *= 2) {
		if (!is_free(at, LOG_KEEP_AREA))
			continue;
		found = log_keep_find(host_va(at), &last);
		if (found || (!place && is_free(at / 2, at)))
			place = at;
	}
	if (!place)
		return;
	memory_keep(place, LOG_KEEP_AREA);
	log_keep_in(host_va(place), found ? &last : NULL, has_clflush() ? flush : NULL);
	log_debug("the log is kept at 0x%llx", (unsigned long long)place);
	tell_last();
}
