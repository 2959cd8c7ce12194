/* SPDX-License-Identifier: MIT */
/* Any memory where a kept log is looked for, its checksums right or not; then one that is written beside what was found. */
/* SOURCES: vmm/lib/log_keep.c */
#include <string.h>
#include <vmm/log_keep.h>

#include "input.h"

static u32 check_of(const void *bytes, size_t size)
{
	const u8 *b = bytes;
	u32 hash = 0x811c9dc5;

	while (size--)
		hash = (hash ^ *b++) * 0x01000193;
	return hash;
}

/* Behind the checksums is where it gets interesting. */
static void make_right(struct log_keep *k)
{
	k->check = check_of(k, offsetof(struct log_keep, check));
	for (unsigned i = 0; i < 2; i++) {
		struct log_keep_state *s = &k->state[i];

		s->sum[0] = s->sum[1] = 0;
		for (u32 n = 0; n < s->head - s->tail && n <= LOG_KEEP_RING; n++) {
			u32 at = (s->tail + n) % LOG_KEEP_RING;

			s->sum[0] += (u8)k->ring[at];
			s->sum[1] += (u8)k->ring[at] * (at + 1);
		}
		s->reason_sum = check_of(k->reason, LOG_KEEP_REASON);
		s->check = check_of(s, offsetof(struct log_keep_state, check));
	}
}

static unsigned lines, chars;

static void see(unused void *arg, const char *line, size_t len)
{
	lines++;
	chars += (unsigned)len + 1;
	INVARIANT(len < LOG_KEEP_LINE && strlen(line) == len);
	for (size_t i = 0; i < len; i++)
		INVARIANT(line[i] >= ' ' && line[i] <= '~');
}

static void look(const struct log_keep_view *v)
{
	char reason[LOG_KEEP_REASON];

	lines = chars = 0;
	log_keep_replay(v, see, NULL);
	INVARIANT(lines <= LOG_KEEP_RING && chars <= LOG_KEEP_RING);
	log_keep_reason(v, reason);
	INVARIANT(strlen(reason) < LOG_KEEP_REASON);
	INVARIANT(v->state.end == LOG_END_PANIC || !reason[0]);
}

static void change(struct input *in, struct log_keep area[2])
{
	while (input_left(in)) {
		struct log_keep *k = &area[input_u8(in) & 1];
		u8 what = input_u8(in);
		size_t at = input_number(in, 2);

		if (what < 0x40) /* the records */
			((u8 *)k)[at % offsetof(struct log_keep, reason)] = input_u8(in);
		else if (what < 0x80)
			((u32 *)k)[at % (offsetof(struct log_keep, reason) / 4)] =
				(u32)input_number(in, 4);
		else if (what < 0xc0)
			((u8 *)k)[at % sizeof(*k)] = input_u8(in);
		else
			make_right(k);
		if (what == 0xff)
			break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};
	struct log_keep *area = calloc(2, sizeof(*area));
	struct log_keep_writer w;
	struct log_keep_view v, old, now;
	bool found;

	log_keep_begin(&w, area, NULL, NULL);
	log_keep_line(&w, "a line", 6);
	log_keep_end(&w, LOG_END_PANIC, "a reason");
	change(&in, area);
	found = log_keep_find(area, &v);
	if (found)
		look(&v);
	log_keep_begin(&w, area, found ? &v : NULL, NULL);
	while (input_left(&in)) {
		size_t len = input_number(&in, 2) % 400;

		len = MIN(len, in.len);
		log_keep_line(&w, (const char *)in.data, len);
		in.data += len;
		in.len -= len;
	}
	/* What was found is as it was, and this one is there. */
	if (found) {
		INVARIANT(log_keep_open(v.keep, &old) &&
			  !memcmp(&old.state, &v.state, sizeof(v.state)));
	}
	INVARIANT(log_keep_find(area, &now));
	INVARIANT(now.keep == w.keep);
	look(&now);
	free(area);
	return 0;
}
