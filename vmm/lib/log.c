/* SPDX-License-Identifier: MIT */
/*
 * The log: lines to the host console, and a ring of the last ones for panics. Called from
 * everywhere. Its one instance of struct log_state is the only mutable state outside struct host,
 * vm, vcpu and pcpu: a log must work before any of them exists. docs/architecture.md "Errors".
 */
#include <stdarg.h>

#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/log.h>
#include <vmm/spinlock.h>
#include <vmm/string.h>

#define LOG_RING 8192 /* bytes, a power of two */
#define LOG_LINE 320  /* longest text, NUL included; more is cut */
#define PREFIX   "havoc: "

struct log_state {
	struct spinlock lock; /* of head and ring */
	int above_info; /* the level minus LOG_INFO: all zero at the start, so that the ring is in .bss */
	void (*to)(void *ctx, const char *line, size_t len); /* NULL: the host's console */
	void *to_ctx;
	u32 head; /* bytes ever written to the ring; the position is head % LOG_RING */
	struct log_keep_writer keep; /* the same lines, for the next boot */
	struct log_keep_view last;   /* keep NULL: there is none */
	char ring[LOG_RING];         /* texts, each followed by '\n' */
};

_Static_assert((LOG_RING & (LOG_RING - 1)) == 0, "positions are masked");

static struct log_state log_state;

static char *ring_at(u32 pos)
{
	return &log_state.ring[pos & (LOG_RING - 1)];
}

static void ring_put(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*ring_at(log_state.head++) = text[i];
	*ring_at(log_state.head++) = '\n';
	log_keep_line(&log_state.keep, text, len);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[sizeof(PREFIX) - 1 + LOG_LINE + 2];
	char *text = line + sizeof(PREFIX) - 1;
	void (*to)(void *ctx, const char *line, size_t len);
	va_list ap;
	size_t len;

	memcpy(line, PREFIX, sizeof(PREFIX) - 1);
	va_start(ap, fmt);
	len = (size_t)fmt_v(text, LOG_LINE, fmt, ap);
	va_end(ap);
	len = MIN(len, (size_t)LOG_LINE - 1);
	/*
	 * A command line or a guest's name may hold anything: it shall neither break a line nor
	 * steer the terminal.
	 */
	for (size_t i = 0; i < len; i++) {
		if ((u8)text[i] < ' ' || text[i] == 0x7f)
			text[i] = text[i] == '\t' ? ' ' : '?';
	}
	spin_lock(&log_state.lock);
	ring_put(text, len);
	spin_unlock(&log_state.lock);
	if (level > log_get_level())
		return;
	text[len] = '\r';
	text[len + 1] = '\n';
	len += sizeof(PREFIX) - 1 + 2;
	to = __atomic_load_n(&log_state.to, __ATOMIC_ACQUIRE);
	if (to)
		to(log_state.to_ctx, line, len);
	else
		host_console_write(line, len);
}

void log_to(void (*fn)(void *ctx, const char *line, size_t len), void *ctx)
{
	log_state.to_ctx = ctx;
	__atomic_store_n(&log_state.to, fn, __ATOMIC_RELEASE);
}

void log_break_lock(void)
{
	log_state.lock = (struct spinlock){0};
	log_state.to = NULL;
	log_keep_recover(&log_state.keep);
}

void log_set_level(enum log_level level)
{
	log_state.above_info = (int)level - LOG_INFO;
}

enum log_level log_get_level(void)
{
	return (enum log_level)(LOG_INFO + log_state.above_info);
}

/* The start of the oldest whole line among the last `max_lines`. */
static u32 replay_start(unsigned max_lines, u32 oldest, u32 end)
{
	u32 pos = end;
	unsigned lines = 0;

	while (pos != oldest) {
		if (*ring_at(pos - 1) == '\n' && lines++ == max_lines)
			return pos;
		pos--;
	}
	/*
	 * Everything, unless the ring has wrapped over the beginning of the oldest line: skip what
	 * is left of that.
	 */
	if (oldest == 0)
		return 0;
	while (pos != end && *ring_at(pos) != '\n')
		pos++;
	return pos == end ? pos : pos + 1;
}

void log_replay(unsigned max_lines, void (*fn)(void *arg, const char *line, size_t len), void *arg)
{
	u32 end = __atomic_load_n(&log_state.head, __ATOMIC_ACQUIRE);
	u32 oldest = end > LOG_RING ? end - LOG_RING : 0;
	char line[LOG_LINE + 1];
	size_t len = 0;

	for (u32 pos = replay_start(max_lines, oldest, end); pos != end; pos++) {
		char c = *ring_at(pos);

		if (c != '\n') {
			if (len < sizeof(line) - 1)
				line[len++] = c;
			continue;
		}
		line[len] = '\0';
		fn(arg, line, len);
		len = 0;
	}
}

/* ---- The log that outlives a warm reset ------------------------------------------------------------------------- */

static void keep_line(unused void *arg, const char *line, size_t len)
{
	log_keep_line(&log_state.keep, line, len);
}

void log_keep_in(struct log_keep area[2], const struct log_keep_view *last, log_keep_flush flush)
{
	if (last)
		log_state.last = *last;
	log_keep_begin(&log_state.keep, area, last, flush);
	log_replay(~0U, keep_line, NULL);
}

bool log_last(enum log_end *end, char reason[LOG_KEEP_REASON])
{
	if (!log_state.last.keep)
		return false;
	*end = (enum log_end)log_state.last.state.end;
	if (reason)
		log_keep_reason(&log_state.last, reason);
	return true;
}

void log_last_replay(void (*fn)(void *arg, const char *line, size_t len), void *arg)
{
	if (log_state.last.keep)
		log_keep_replay(&log_state.last, fn, arg);
}

void log_end(void)
{
	/* A panic has ended it already, and whoever had the lock may be halted. */
	if (log_state.keep.now.end != LOG_END_NONE)
		return;
	spin_lock(&log_state.lock);
	log_keep_end(&log_state.keep, LOG_END_ORDERLY, NULL);
	spin_unlock(&log_state.lock);
}

void log_panic(const char *reason)
{
	log_keep_end(&log_state.keep, LOG_END_PANIC, reason);
}

void log_panic_line(const char *text, size_t len)
{
	log_keep_line(&log_state.keep, text, len);
}
