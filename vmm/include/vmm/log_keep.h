/* SPDX-License-Identifier: MIT */
/*
 * A log in memory that a warm reset leaves alone, for the next boot: a ring of lines, how the boot ended, and, of a
 * panic, the reason. PURE: the caller says where it is and how it gets out of the caches. What is found there at a
 * boot is taken for noise until signature and checksums say otherwise, and is text for a terminal even then.
 *
 * A change is first written beside what counts, and then made to count by one record of 64 bytes, of which there are
 * two in turn: whenever the machine is reset, one of them is whole. docs/memory-map.md has where it is.
 */
#ifndef VMM_LOG_KEEP_H
#define VMM_LOG_KEEP_H

#include <vmm/types.h>

#define LOG_KEEP_VERSION 1
#define LOG_KEEP_RING    8192 /* bytes, a power of two */
#define LOG_KEEP_LINE    320  /* longest line handed out, NUL included; more is cut */
#define LOG_KEEP_REASON  192  /* NUL included; more is cut */

/* How a boot has ended. */
enum log_end {
	LOG_END_NONE,    /* not by Havoc's doing: a reset from outside, a hang, the power */
	LOG_END_PANIC,   /* there is a reason */
	LOG_END_ORDERLY, /* powered off, rebooted or halted */
	LOG_ENDS
};

/* What counts. Positions are bytes ever written, modulo 2^32. */
struct log_keep_state {
	u32 turn; /* the later one counts */
	u32 head, tail;
	u32 end;        /* enum log_end */
	u32 sum[2];     /* of the ring from tail to head */
	u32 reason_sum; /* LOG_END_PANIC */
	u32 check;      /* of all before it */
	u8 pad[32];
};

struct log_keep {
	char magic[8];
	u32 version;
	u32 size; /* of all this */
	u32 boot; /* counts boots; the later of two logs is the last one's */
	u32 check;
	u8 pad[40];
	struct log_keep_state state[2];
	char reason[LOG_KEEP_REASON];
	char ring[LOG_KEEP_RING]; /* whole lines, each with its '\n' */
};
_Static_assert(sizeof(struct log_keep_state) == 64, "one cache line");
_Static_assert(offsetof(struct log_keep, state) == 64, "and on one");

/* Where two of them are, in turn: the one boot's, and the one before's. */
#define LOG_KEEP_AREA ALIGN_UP(2 * sizeof(struct log_keep), PAGE_SIZE)

/* `p` to `p + len` out of the caches, in order with what was written before; NULL where there is no need. */
typedef void (*log_keep_flush)(const void *p, size_t len);

/* One that is being written. */
struct log_keep_writer {
	struct log_keep *keep; /* NULL: none; all calls do nothing */
	log_keep_flush flush;
	struct log_keep_state now;
};

/* One that was found. */
struct log_keep_view {
	const struct log_keep *keep;
	struct log_keep_state state;
};

/* Whether a log is there whole; fills *out. Nothing of it was written while it is looked at. */
bool log_keep_open(const struct log_keep *keep, struct log_keep_view *out) must_check;
/* The later one of the area's two; false: there is none. */
bool log_keep_find(const struct log_keep area[2], struct log_keep_view *out) must_check;
/* Its lines, oldest first, without newline, with a NUL; only printable ASCII. */
void log_keep_replay(const struct log_keep_view *v,
		     void (*fn)(void *arg, const char *line, size_t len), void *arg);
/* "" unless it ended by a panic; only printable ASCII. */
void log_keep_reason(const struct log_keep_view *v, char out[LOG_KEEP_REASON]);

/* An empty log, in that half of the area that is not `last` (NULL: there is none). */
void log_keep_begin(struct log_keep_writer *w, struct log_keep area[2],
		    const struct log_keep_view *last, log_keep_flush flush);
/* One line, without newline; the oldest ones make room for it. A longer one than LOG_KEEP_LINE - 1 is cut. */
void log_keep_line(struct log_keep_writer *w, const char *text, size_t len);
/* Whoever was writing was stopped in the middle of it: goes on behind what counts. */
void log_keep_recover(struct log_keep_writer *w);
/* The first end stays, but for a panic, which is always told. `reason` is a panic's; else NULL. */
void log_keep_end(struct log_keep_writer *w, enum log_end end, const char *reason);

#endif
