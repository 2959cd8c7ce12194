/* SPDX-License-Identifier: MIT */
/*
 * The log that outlives a warm reset: log_keep.h. Called by log.c. The idea is that of Linux's ramoops ("Ramoops
 * oops/panic logger", "Ramoops concepts"); there a buffer is written over, here each line counts whole or not at all.
 */
#include <vmm/log_keep.h>

#include <vmm/string.h>

#define RING_MASK (LOG_KEEP_RING - 1)

static const char magic[8] = {'H', 'V', 'C', '-', 'L', 'O', 'G', '\n'};

_Static_assert((LOG_KEEP_RING & RING_MASK) == 0, "positions are masked");

/* Two sums of the bytes, in one of which the place counts: what leaves the ring is taken off them, and nothing is read again. */
static void sum_add(u32 sum[2], u32 pos, char c)
{
	sum[0] += (u8)c;
	sum[1] += (u8)c * ((pos & RING_MASK) + 1);
}

static void sum_remove(u32 sum[2], u32 pos, char c)
{
	sum[0] -= (u8)c;
	sum[1] -= (u8)c * ((pos & RING_MASK) + 1);
}

/* Of the small records, which are summed whole. Never 0 for zeros: FNV-1a, 32 bits. */
static u32 check_of(const void *bytes, size_t size)
{
	const u8 *b = bytes;
	u32 hash = 0x811c9dc5;

	while (size--)
		hash = (hash ^ *b++) * 0x01000193;
	return hash;
}

static u32 header_check(const struct log_keep *k)
{
	return check_of(k, offsetof(struct log_keep, check));
}

static u32 state_check(const struct log_keep_state *s)
{
	return check_of(s, offsetof(struct log_keep_state, check));
}

/* ---- What is found ---------------------------------------------------------------------------------------------- */

static bool header_ok(const struct log_keep *k)
{
	return !memcmp(k->magic, magic, sizeof(magic)) && k->version == LOG_KEEP_VERSION &&
	       k->size == sizeof(*k) && k->check == header_check(k);
}

static bool state_ok(const struct log_keep *k, const struct log_keep_state *s)
{
	u32 sum[2] = {0, 0};

	if (s->check != state_check(s) || s->end >= LOG_ENDS || s->head - s->tail > LOG_KEEP_RING)
		return false;
	for (u32 pos = s->tail; pos != s->head; pos++)
		sum_add(sum, pos, k->ring[pos & RING_MASK]);
	if (sum[0] != s->sum[0] || sum[1] != s->sum[1])
		return false;
	return s->end != LOG_END_PANIC || s->reason_sum == check_of(k->reason, LOG_KEEP_REASON);
}

bool log_keep_open(const struct log_keep *keep, struct log_keep_view *out)
{
	bool found = false;

	if (!header_ok(keep))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		const struct log_keep_state *s = &keep->state[i];

		if (!state_ok(keep, s) || (found && (s32)(s->turn - out->state.turn) < 0))
			continue;
		*out = (struct log_keep_view){.keep = keep, .state = *s};
		found = true;
	}
	return found;
}

bool log_keep_find(const struct log_keep area[2], struct log_keep_view *out)
{
	struct log_keep_view v;
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		if (!log_keep_open(&area[i], &v) ||
		    (found && (s32)(v.keep->boot - out->keep->boot) < 0))
			continue;
		*out = v;
		found = true;
	}
	return found;
}

static char printable(char c)
{
	return (u8)c < ' ' || (u8)c > '~' ? '?' : c;
}

void log_keep_replay(const struct log_keep_view *v,
		     void (*fn)(void *arg, const char *line, size_t len), void *arg)
{
	char line[LOG_KEEP_LINE];
	size_t len = 0;

	for (u32 pos = v->state.tail; pos != v->state.head; pos++) {
		char c = v->keep->ring[pos & RING_MASK];

		if (c != '\n') {
			if (len < sizeof(line) - 1)
				line[len++] = printable(c);
			continue;
		}
		line[len] = '\0';
		fn(arg, line, len);
		len = 0;
	}
}

void log_keep_reason(const struct log_keep_view *v, char out[LOG_KEEP_REASON])
{
	size_t len = 0;

	if (v->state.end == LOG_END_PANIC) {
		while (len < LOG_KEEP_REASON - 1 && v->keep->reason[len]) {
			out[len] = printable(v->keep->reason[len]);
			len++;
		}
	}
	out[len] = '\0';
}

/* ---- What is written -------------------------------------------------------------------------------------------- */

static void flush(const struct log_keep_writer *w, const void *p, size_t len)
{
	/* What is written must be written before what makes it count, for the compiler too. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (w->flush)
		w->flush(p, len);
}

/* From here on it is as w->now says. */
static void commit(struct log_keep_writer *w)
{
	struct log_keep_state *s;

	w->now.turn++;
	w->now.check = state_check(&w->now);
	s = &w->keep->state[w->now.turn % 2];
	*s = w->now;
	flush(w, s, sizeof(*s));
}

void log_keep_begin(struct log_keep_writer *w, struct log_keep area[2],
		    const struct log_keep_view *last, log_keep_flush flush_fn)
{
	struct log_keep *k = &area[last && last->keep == &area[0]];

	*w = (struct log_keep_writer){.keep = k, .flush = flush_fn};
	/* Old records must not count beside the new header. */
	memset(k, 0, offsetof(struct log_keep, ring));
	flush(w, k, offsetof(struct log_keep, ring));
	commit(w);
	memcpy(k->magic, magic, sizeof(magic));
	k->version = LOG_KEEP_VERSION;
	k->size = sizeof(*k);
	k->boot = last ? last->keep->boot + 1 : 1;
	k->check = header_check(k);
	flush(w, k, offsetof(struct log_keep, state));
}

/* The oldest lines go until there are `size` bytes; they stay in memory until they no longer count. */
static void make_room(struct log_keep_writer *w, u32 size)
{
	struct log_keep_state *s = &w->now;

	if (s->head + size - s->tail <= LOG_KEEP_RING)
		return;
	while (s->tail != s->head) {
		char c = w->keep->ring[s->tail & RING_MASK];

		sum_remove(s->sum, s->tail++, c);
		if (c == '\n' && s->head + size - s->tail <= LOG_KEEP_RING)
			break;
	}
	commit(w);
}

static void put(struct log_keep_writer *w, char c)
{
	w->keep->ring[w->now.head & RING_MASK] = c;
	sum_add(w->now.sum, w->now.head++, c);
}

void log_keep_line(struct log_keep_writer *w, const char *text, size_t len)
{
	u32 at = w->now.head & RING_MASK, first;

	if (!w->keep)
		return;
	len = MIN(len, (size_t)LOG_KEEP_LINE - 1);
	make_room(w, (u32)len + 1);
	for (size_t i = 0; i < len; i++)
		put(w, text[i] == '\n' ? '?' : text[i]);
	put(w, '\n');
	first = MIN((u32)len + 1, LOG_KEEP_RING - at);
	flush(w, &w->keep->ring[at], first);
	if (len + 1 > first)
		flush(w, w->keep->ring, len + 1 - first);
	commit(w);
}

void log_keep_recover(struct log_keep_writer *w)
{
	struct log_keep_view v;

	if (w->keep && log_keep_open(w->keep, &v))
		w->now = v.state;
}

void log_keep_end(struct log_keep_writer *w, enum log_end end, const char *reason)
{
	if (!w->keep || w->now.end == LOG_END_PANIC ||
	    (w->now.end != LOG_END_NONE && end != LOG_END_PANIC))
		return;
	if (end == LOG_END_PANIC) {
		char *to = w->keep->reason;
		size_t len = strnlen(reason, LOG_KEEP_REASON - 1);

		memset(to, 0, LOG_KEEP_REASON);
		memcpy(to, reason, len);
		flush(w, to, LOG_KEEP_REASON);
		w->now.reason_sum = check_of(to, LOG_KEEP_REASON);
	}
	w->now.end = end;
	commit(w);
}
