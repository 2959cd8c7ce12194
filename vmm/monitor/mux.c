/* SPDX-License-Identifier: MIT */
/*
 * The terminal and what is shown on it: mux.h is its contract. Everything goes through the guests' rings: a guest
 * appends to its own, and the terminal is brought up to date from there, by the guest itself while it is shown, which so
 * waits for its own output; or, after the view has changed, by the first CPU, piece by piece.
 */
#include <vmm/mux.h>

#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include "mux_priv.h"

#define TAIL_LINES  20  /* what is shown of a guest again, if nothing of it is new */
#define PIECE       256 /* bytes of a guest that are shown at a time */
#define PIECE_ALL   32  /* where each may become a line with a name before it */
#define PUMP_PIECES 4
#define AHEAD       KiB(4) /* of guests' output at the port: what the user asks for comes behind it */
#define AHEAD_STEP  128    /* 11 ms at 115200 baud */
#define SAID_MAX    160    /* of a line of our own */
#define AROUND_MAX  64     /* of a guest's line: the name, its colours, the line's end */

void mux_put(struct mux *c, const char *text, size_t len)
{
	if (!len)
		return;
	host_console_write(text, len);
	c->line_start = text[len - 1] == '\n';
}

/*
 * A guest that has the terminal to itself may have left a string open, or its colours, or line drawing: what is ours is ours to be
 * read, on a line of its own.
 */
static void make_plain(struct mux *c)
{
	static const char plain[] = "\x18\x1b\\\x1b[m\x1b(B\x0f\r\n";

	if (!c->steered || c->view != MUX_ONE)
		return;
	c->steered = false;
	mux_put(c, plain, sizeof(plain) - 1);
}

/* Whether it may be anything but text and new lines. */
static bool steers(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((u8)text[i] >= 0x7f ||
		    ((u8)text[i] < ' ' && text[i] != '\n' && text[i] != '\r'))
			return true;
	return false;
}

void mux_say(struct mux *c, const char *fmt, ...)
{
	char text[SAID_MAX];
	va_list ap;

	va_start(ap, fmt);
	fmt_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_plain(c);
	mux_new_line(c);
	mux_put(c, text, strlen(text));
}

void mux_new_line(struct mux *c)
{
	if (!c->line_start)
		mux_put(c, "\r\n", 2);
}

/* ---- A guest's ring --------------------------------------------------------------------------- */

static void keep(struct mux_port *p, const u8 *buf, size_t len)
{
	spin_lock(&p->lock);
	for (size_t i = 0; i < len; i++)
		p->kept[(p->written + i) % MUX_KEPT] = buf[i];
	p->written += len;
	spin_unlock(&p->lock);
}

static u64 lost(const struct mux_port *p)
{
	u64 behind = p->written - p->shown;

	return behind > MUX_KEPT ? behind - MUX_KEPT : 0;
}

/*
 * The next piece to show, of `max` bytes at most; 0: there is none. *gone: bytes before it that are lost; *again: it was shown
 * before.
 */
static size_t next_piece(struct mux_port *p, u8 *buf, size_t max, u64 *gone, bool *again)
{
	size_t n;

	spin_lock(&p->lock);
	*gone = lost(p);
	p->shown += *gone;
	n = (size_t)MIN(p->written - p->shown, (u64)max);
	*again = p->shown < p->seen;
	if (*again)
		n = (size_t)MIN(p->seen - p->shown, (u64)n);
	for (size_t i = 0; i < n; i++)
		buf[i] = p->kept[(p->shown + i) % MUX_KEPT];
	p->shown += n;
	p->seen = MAX(p->seen, p->shown);
	spin_unlock(&p->lock);
	return n;
}

/* Back to where the last lines of what was shown begin. */
static void show_again(struct mux_port *p)
{
	u64 oldest, at;
	unsigned lines = 0;

	spin_lock(&p->lock);
	oldest = p->written > MUX_KEPT ? p->written - MUX_KEPT : 0;
	for (at = p->written; at > oldest; at--)
		if (p->kept[(at - 1) % MUX_KEPT] == '\n' && lines++ == TAIL_LINES)
			break;
	if (at < p->shown)
		p->shown = at;
	spin_unlock(&p->lock);
}

/* ---- Lines of all ----------------------------------------------------------------------------- */

/* Red and blue are hard to read on many terminals: ECMA-48 "SGR". */
static const char colours[] = {'6', '3', '2', '5'};

static void put_line(struct mux *c, struct mux_port *p)
{
	struct mux_text *t = &p->text;
	char line[sizeof(t->line) + AROUND_MAX];
	int n;

	if (c->colour)
		n = fmt_s(line, sizeof(line), "\x1b[3%cm[%s]\x1b[m %.*s\r\n",
			  colours[p->number % sizeof(colours)], p->name, (int)t->len, t->line);
	else
		n = fmt_s(line, sizeof(line), "[%s] %.*s\r\n", p->name, (int)t->len, t->line);
	t->len = 0;
	mux_put(c, line, MIN((size_t)n, sizeof(line) - 1));
}

static void show_lines(struct mux *c, struct mux_port *p, const u8 *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (mux_text_put(&p->text, buf[i])) {
			put_line(c, p);
			p->line_at = p->shown - len + i + 1;
		}
	}
}

/* ---- Bringing the terminal up to date ----------------------------------------------------------- */

static bool is_shown(const struct mux *c, const struct mux_port *p)
{
	u8 view = __atomic_load_n(&c->view, __ATOMIC_ACQUIRE);

	return view == MUX_ALL ||
	       (view == MUX_ONE && __atomic_load_n(&c->focus, __ATOMIC_ACQUIRE) == p->number);
}

/* The terminal's answers of then are not to be typed now. A sequence that was cut there goes on in what is new. */
static void put_filtered(struct mux *c, const u8 *buf, size_t len, bool again)
{
	u8 out[PIECE + MUX_QUIET];
	size_t n = 0, i;

	for (i = 0; i < len && (again || c->quiet.escape); i++)
		n += mux_quiet_put(&c->quiet, buf[i], out + n);
	c->steered |= steers((const char *)out, n) || steers((const char *)buf + i, len - i);
	mux_put(c, (const char *)out, n);
	mux_put(c, (const char *)buf + i, len - i);
}

/* Under the lock. False: nothing was left. */
static bool show_piece(struct mux *c, struct mux_port *p, size_t max)
{
	u8 buf[PIECE];
	bool again;
	u64 gone;
	size_t n = next_piece(p, buf, max, &gone, &again);

	if (gone) {
		p->text = (struct mux_text){.len = 0};
		p->line_at = p->shown - n;
		mux_say(c, "havoc: %llu bytes of guest %s were not kept\r\n",
			(unsigned long long)gone, p->name);
	}
	if (!n)
		return false;
	if (c->view == MUX_ALL)
		show_lines(c, p, buf, n);
	else
		put_filtered(c, buf, n, again);
	return true;
}

/* By little more than what is then added: nobody waits for what others have written before. */
static void wait_for_port(void)
{
	size_t pending = host_console_pending();

	if (unlikely(pending > AHEAD))
		host_console_drain(MAX(pending - AHEAD_STEP, (size_t)AHEAD));
}

/*
 * Piece by piece, so that others get the terminal in between; and no more than about what was just written: what has gathered
 * while the guest was not shown is mux_pump()'s, lest the guest's CPU stands still for seconds. The interrupt that tells of a
 * key is late when guests write much: the user shall be heard even so.
 */
static void show(struct mux *c, struct mux_port *p, size_t written)
{
	size_t pieces = 2 + 2 * written / PIECE_ALL;
	bool more = true;

	while (more && pieces-- && is_shown(c, p)) {
		size_t before = host_console_pending();

		spin_lock(&c->lock);
		more = is_shown(c, p) && show_piece(c, p, c->view == MUX_ALL ? PIECE_ALL : PIECE);
		spin_unlock(&c->lock);
		if (host_console_pending() > before)
			wait_for_port();
		if (unlikely(host_console_typed()))
			mux_arrived(c);
	}
	if (unlikely(more && is_shown(c, p) &&
		     !__atomic_exchange_n(&c->behind, true, __ATOMIC_ACQ_REL)))
		hv_serve(c->hv);
}

static void port_write(void *ctx, const u8 *buf, size_t len)
{
	struct mux_port *p = ctx;

	while (len) {
		/* No more at a time than the ring keeps, or it would be lost while the terminal is waited for. */
		size_t n = MIN(len, (size_t)MUX_KEPT / 2);

		keep(p, buf, n);
		buf += n;
		len -= n;
		show(p->mux, p, n);
	}
}

/*
 * The guest's last words may have no end of line. If they are still to be shown they are given one, lest the first of its next life
 * come behind them.
 */
static void port_ended(void *ctx)
{
	struct mux_port *p = ctx;
	struct mux *c = p->mux;

	spin_lock(&c->lock);
	if (!is_shown(c, p) || p->shown != p->written) {
		if (p->written && p->kept[(p->written - 1) % MUX_KEPT] != '\n')
			keep(p, (const u8 *)"\r\n", 2);
	} else {
		if (p->text.len)
			put_line(c, p);
		p->text = (struct mux_text){.len = 0};
		p->line_at = p->shown;
	}
	spin_unlock(&c->lock);
}

/*
 * How much of a guest can be shown in so much room; 0: nothing. Among all, each byte may become a line with a name around it, the
 * first one ends a line that was begun, and that something was lost may have to be told.
 */
static size_t piece_for(const struct mux *c, size_t room)
{
	if (room < 2UL * PIECE)
		return 0;
	if (c->view != MUX_ALL)
		return PIECE;
	return MIN((room - MUX_LINE - SAID_MAX) / AROUND_MAX, (size_t)PIECE);
}

/* A little at a time: a console may be slow, and no interrupt is taken meanwhile. */
static bool pump_port(struct mux *c, struct mux_port *p, unsigned *pieces)
{
	size_t max;

	while (*pieces && !host_console_typed() && host_console_pending() < AHEAD &&
	       (max = piece_for(c, host_console_room())) && show_piece(c, p, max))
		(*pieces)--;
	return __atomic_load_n(&p->written, __ATOMIC_ACQUIRE) != p->shown;
}

bool mux_pump(struct mux *c)
{
	unsigned pieces = PUMP_PIECES, first = c->first;
	bool more = false;

	if (!__atomic_exchange_n(&c->behind, false, __ATOMIC_ACQ_REL))
		return false;
	for (unsigned i = 0; i < MUX_PORTS; i++) {
		unsigned n = (first + i) % MUX_PORTS;
		struct mux_port *p = &c->port[n];

		if (!p->kept)
			continue;
		spin_lock(&c->lock);
		more |= is_shown(c, p) && pump_port(c, p, &pieces);
		/* Who took as much as it liked is the last one the next time. */
		if (pieces < PUMP_PIECES && c->first == first)
			c->first = (n + 1) % MUX_PORTS;
		spin_unlock(&c->lock);
	}
	if (more)
		__atomic_store_n(&c->behind, true, __ATOMIC_RELEASE);
	return more;
}

static size_t port_read(void *ctx, u8 *buf, size_t max)
{
	struct mux_port *p = ctx;
	size_t n = 0;

	/* At each look of the guest's at its UART. Whoever types tells the guest when it is there. */
	if (likely(__atomic_load_n(&p->typed_head, __ATOMIC_ACQUIRE) == p->typed_tail))
		return 0;
	spin_lock(&p->lock);
	while (n < max && p->typed_tail != p->typed_head)
		buf[n++] = p->typed[p->typed_tail++ % MUX_TYPED];
	spin_unlock(&p->lock);
	return n;
}

/* ---- Views, under the lock ---------------------------------------------------------------------- */

static struct mux_port *port_of(struct mux *c, unsigned number)
{
	struct mux_port *p;

	if (number < 1 || number > MUX_PORTS)
		return NULL;
	p = &c->port[number - 1];
	return p->kept ? p : NULL;
}

/*
 * What a guest that had the terminal to itself may have left on: ends a sequence or string, and puts back (xterm "Control
 * Sequences") modes, the main screen, mouse and paste reports, key modifiers, character set, colours, cursor.
 */
static const char sane[] =
	"\x18\x1b\\\x1b[!p\x1b[?1047l\x1b[?1000;1002;1003;1006;2004l\x1b[>4m\x1b(B\x0f\x1b[m\x1b[?25h\r\n";

/* What comes next is ours, or another's. */
static void leave_view(struct mux *c)
{
	if (c->view == MUX_ONE)
		mux_put(c, sane, sizeof(sane) - 1);
	else
		mux_new_line(c);
	c->steered = false;
}

/* What was begun of a line and is not on the terminal yet is shown anew, with its end. */
static void set_view(struct mux *c, u8 view)
{
	for (unsigned i = 0; i < MUX_PORTS; i++) {
		struct mux_port *p = &c->port[i];

		if (c->view == MUX_ALL)
			p->shown = MIN(p->shown, p->line_at);
		p->line_at = p->shown;
		p->text = (struct mux_text){.len = 0};
	}
	c->escaped = false;
	c->quiet = (struct mux_quiet){.len = 0};
	__atomic_store_n(&c->behind, true, __ATOMIC_RELEASE);
	__atomic_store_n(&c->view, view, __ATOMIC_RELEASE);
}

bool mux_view_one(struct mux *c, unsigned number)
{
	struct mux_port *p = port_of(c, number);

	if (!p)
		return false;
	leave_view(c);
	__atomic_store_n(&c->focus, number, __ATOMIC_RELEASE);
	mux_say(c, "havoc: guest %u, %s\r\n", number, p->name);
	show_again(p);
	set_view(c, MUX_ONE);
	return true;
}

void mux_view_all(struct mux *c)
{
	struct mux_port *p = port_of(c, c->focus);
	char how[48] = "";

	leave_view(c);
	if (c->key)
		fmt_s(how, sizeof(how), " (Ctrl-%c and a digit: that guest alone)", c->key + '@');
	if (p)
		mux_say(c, "havoc: all guests; what is typed goes to %s%s\r\n", p->name, how);
	else
		mux_say(c, "havoc: all guests\r\n");
	set_view(c, MUX_ALL);
}

/* The next one that there is, in the order of the numbers, and around; the same one, if it is alone. */
unsigned mux_next(struct mux *c)
{
	unsigned n = c->focus;

	for (unsigned i = 0; i < MUX_PORTS; i++) {
		n = n % MUX_PORTS + 1;
		if (port_of(c, n))
			return n;
	}
	return 0;
}

void mux_view_monitor(struct mux *c)
{
	if (c->view == MUX_MON)
		return;
	c->view_before = c->view;
	leave_view(c);
	c->typed_tail = c->typed_head;
	c->prompt_len = 0;
	__atomic_fetch_add(&c->openings, 1, __ATOMIC_ACQ_REL);
	set_view(c, MUX_MON);
}

/* ---- The interface ---------------------------------------------------------------------------- */

void mux_init(struct mux *c, struct hv *hv, u8 key)
{
	memset(c, 0, sizeof(*c));
	c->hv = hv;
	c->key = key;
	c->line_start = true;
	c->view = c->view_before = MUX_ALL;
	for (unsigned i = 0; i < MUX_PORTS; i++)
		c->port[i] = (struct mux_port){.mux = c, .number = i + 1};
}

int mux_attach(struct mux *c, unsigned number, const char *name, struct vm_console *out)
{
	struct mux_port *p = &c->port[number - 1];
	hpa_t pa;

	if (!p->kept) {
		if (host_mem_alloc(MUX_KEPT + MUX_TYPED, PAGE_SIZE, &pa))
			return -HV_ENOMEM;
		spin_lock(&p->lock);
		p->typed = (u8 *)host_va(pa) + MUX_KEPT;
		p->kept = host_va(pa);
		spin_unlock(&p->lock);
	}
	p->name = name;
	*out = (struct vm_console){
		.dev = {.write = port_write, .read = port_read, .ctx = p},
		.ended = port_ended,
	};
	return 0;
}

void mux_set_vm(struct mux *c, unsigned number, const struct vm *vm)
{
	struct mux_port *p = &c->port[number - 1];

	/* What was typed for the one before is not for this one. */
	spin_lock(&p->lock);
	p->typed_tail = p->typed_head;
	p->told = false;
	spin_unlock(&p->lock);
	__atomic_store_n(&p->vm, vm, __ATOMIC_RELEASE);
}

void mux_leave_out(struct mux *c, unsigned number)
{
	struct mux_port *p = &c->port[number - 1];

	spin_lock(&p->lock);
	p->told = true;
	spin_unlock(&p->lock);
}

void mux_begin(struct mux *c, unsigned number, bool all)
{
	c->focus = number;
	c->view = c->view_before = all ? MUX_ALL : MUX_ONE;
}

bool mux_show_one(struct mux *c, unsigned number)
{
	bool found;

	spin_lock(&c->lock);
	found = mux_view_one(c, number);
	spin_unlock(&c->lock);
	if (found)
		hv_serve(c->hv);
	return found;
}

void mux_show_all(struct mux *c)
{
	spin_lock(&c->lock);
	mux_view_all(c);
	spin_unlock(&c->lock);
	hv_serve(c->hv);
}

void mux_open_monitor(struct mux *c)
{
	spin_lock(&c->lock);
	mux_view_monitor(c);
	spin_unlock(&c->lock);
	if (c->wake)
		c->wake(c->wake_ctx);
}

void mux_close_monitor(struct mux *c)
{
	spin_lock(&c->lock);
	c->busy = false;
	if (c->view == MUX_MON) {
		c->prompt_len = 0;
		if (c->view_before != MUX_ONE || !mux_view_one(c, c->focus))
			mux_view_all(c);
	}
	spin_unlock(&c->lock);
}

/* The monitor's line stands below whatever the log says. */
static void prompt_again(struct mux *c)
{
	if (c->view == MUX_MON && c->prompt_len)
		mux_put(c, c->prompt, c->prompt_len);
}

static void log_later(struct mux *c, const char *line, size_t len)
{
	if (len > sizeof(c->waiting) - c->waiting_len) {
		c->waiting_lost++;
		return;
	}
	memcpy(c->waiting + c->waiting_len, line, len);
	c->waiting_len += len;
}

void mux_log(void *mux, const char *line, size_t len)
{
	struct mux *c = mux;

	spin_lock(&c->lock);
	if (c->view == MUX_MON && c->busy) {
		log_later(c, line, len);
		spin_unlock(&c->lock);
		return;
	}
	if (c->view == MUX_MON && c->prompt_len)
		mux_put(c, "\r\x1b[K", 4);
	else {
		make_plain(c);
		mux_new_line(c);
	}
	mux_put(c, line, len);
	prompt_again(c);
	spin_unlock(&c->lock);
}

size_t mux_monitor_read(struct mux *c, u8 *buf, size_t max)
{
	size_t n = 0;

	spin_lock(&c->lock);
	while (n < max && c->typed_tail != c->typed_head)
		buf[n++] = c->typed[c->typed_tail++ % MUX_MONITOR];
	spin_unlock(&c->lock);
	return n;
}

bool mux_monitor_cancelled(struct mux *c)
{
	bool found = false;

	spin_lock(&c->lock);
	for (u32 at = c->typed_tail; at != c->typed_head && !found; at++) {
		found = c->typed[at % MUX_MONITOR] == 3;
		if (found)
			c->typed_tail = at + 1;
	}
	spin_unlock(&c->lock);
	return found;
}

void mux_monitor_write(void *mux, const char *text, size_t len)
{
	struct mux *c = mux;

	spin_lock(&c->lock);
	c->prompt_len = 0;
	if (c->view == MUX_MON)
		mux_put(c, text, len);
	spin_unlock(&c->lock);
}

void mux_monitor_busy(struct mux *c)
{
	spin_lock(&c->lock);
	c->busy = true;
	spin_unlock(&c->lock);
}

void mux_monitor_ready(struct mux *c)
{
	spin_lock(&c->lock);
	c->busy = false;
	if (c->waiting_len) { /* the command may have led back to a guest, which writes already */
		make_plain(c);
		mux_new_line(c);
	}
	mux_put(c, c->waiting, c->waiting_len);
	if (c->waiting_lost)
		mux_say(c, "havoc: and %u lines more: `log` has them\r\n", c->waiting_lost);
	c->waiting_len = c->waiting_lost = 0;
	spin_unlock(&c->lock);
}

void mux_monitor_prompt(struct mux *c, const char *text, size_t len)
{
	spin_lock(&c->lock);
	c->prompt_len = MIN(len, sizeof(c->prompt));
	memcpy(c->prompt, text, c->prompt_len);
	prompt_again(c);
	spin_unlock(&c->lock);
}
