/* SPDX-License-Identifier: MIT */
/*
 * The log. Every line goes to the console as "havoc: text\n" when its level is at or below the
 * chosen one, and always into a ring from which a panic prints the last lines. A log call never
 * fails, never allocates, and may be made in any context, on any CPU; a line is written whole.
 */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#include <vmm/log_keep.h>
#include <vmm/types.h>

enum log_level {
	LOG_ERR = 0,
	LOG_WARN = 1,
	LOG_INFO = 2,
	LOG_DEBUG = 3,
};

/* `text` has no trailing newline. */
void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

#define log_err(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Lines (with "havoc: " and the line's end) go to `fn` instead of the host's console; NULL: as before. */
void log_to(void (*fn)(void *ctx, const char *line, size_t len), void *ctx);

/* For a panic, when no other CPU runs any more: to the host's console, past all locks. */
void log_break_lock(void);

/* The last lines kept, oldest first, each handed to `fn` without newline. */
void log_replay(unsigned max_lines, void (*fn)(void *arg, const char *line, size_t len), void *arg);

/* ---- The log that outlives a warm reset: log_keep.h -------------------------------------------------------------- */

/*
 * From now on the log is kept in `area`, with what was logged before. `last`: the last boot's, found in the same area;
 * NULL if there is none. Once, before other CPUs run.
 */
void log_keep_in(struct log_keep area[2], const struct log_keep_view *last, log_keep_flush flush);
/* How the last boot ended; false if nothing is known of it. `reason`, which may be NULL: of a panic, else "". */
bool log_last(enum log_end *end, char reason[LOG_KEEP_REASON]);
/* Its lines, as log_replay(); none if there is none. The panic's own are among them. */
void log_last_replay(void (*fn)(void *arg, const char *line, size_t len), void *arg);
/* This boot ends in order. */
void log_end(void);
/* For a panic, behind log_break_lock(): its reason; and what it says, for the kept log alone. */
void log_panic(const char *reason);
void log_panic_line(const char *text, size_t len);

#endif
