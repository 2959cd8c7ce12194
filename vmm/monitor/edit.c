/* SPDX-License-Identifier: MIT */
/* Line editing: edit.h. Called by monitor.c. xterm "Control Sequences" for the keys that send more than one byte. */
#include "edit.h"

#include <vmm/fmt.h>
#include <vmm/string.h>

#define ROW 76 /* columns of the row, prompt included: a longer line is shown in part */

#define CTRL(c) ((c)&0x1f)

enum { PLAIN, ESCAPE, SEQUENCE, KEYPAD };

void edit_init(struct edit *e)
{
	memset(e, 0, sizeof(*e));
}

void edit_insert(struct edit *e, const char *text, size_t len)
{
	len = MIN(len, (size_t)(EDIT_MAX - 1 - e->len));
	memmove(e->line + e->cur + len, e->line + e->cur, e->len - e->cur);
	memcpy(e->line + e->cur, text, len);
	e->len += (unsigned)len;
	e->cur += (unsigned)len;
	e->line[e->len] = '\0';
}

/* From `from` to the cursor. */
static void cut(struct edit *e, unsigned from)
{
	memmove(e->line + from, e->line + e->cur, e->len - e->cur);
	e->len -= e->cur - from;
	e->cur = from;
	e->line[e->len] = '\0';
}

static void cut_word(struct edit *e)
{
	unsigned from = e->cur;

	while (from && e->line[from - 1] == ' ')
		from--;
	while (from && e->line[from - 1] != ' ')
		from--;
	cut(e, from);
}

static void delete_forward(struct edit *e)
{
	if (e->cur == e->len)
		return;
	e->cur++;
	cut(e, e->cur - 1);
}

static void left(struct edit *e)
{
	if (e->cur)
		e->cur--;
}

static void right(struct edit *e)
{
	if (e->cur < e->len)
		e->cur++;
}

/* ---- History ------------------------------------------------------------------------------------ */

static void copy_line(struct edit *e, const char *from)
{
	e->len = e->cur = (unsigned)strnlen(from, EDIT_MAX - 1);
	memmove(e->line, from, e->len);
	e->line[e->len] = '\0';
}

static char *past(struct edit *e, unsigned back)
{
	return e->history[(e->lines - back) % EDIT_HISTORY];
}

static void go_back(struct edit *e)
{
	if (e->back == MIN(e->lines, (unsigned)EDIT_HISTORY))
		return;
	if (!e->back)
		memcpy(e->fresh, e->line, e->len + 1);
	e->back++;
	copy_line(e, past(e, e->back));
}

static void go_forward(struct edit *e)
{
	if (!e->back)
		return;
	e->back--;
	copy_line(e, e->back ? past(e, e->back) : e->fresh);
}

void edit_next(struct edit *e, bool keep)
{
	if (keep && e->len && (!e->lines || strcmp(past(e, 1), e->line))) {
		memcpy(e->history[e->lines % EDIT_HISTORY], e->line, e->len + 1);
		e->lines++;
	}
	e->len = e->cur = e->back = 0;
	e->line[0] = '\0';
	e->escape = PLAIN;
}

/* ---- Keys --------------------------------------------------------------------------------------- */

static void key_final(struct edit *e, u8 byte)
{
	e->escape = PLAIN;
	switch (byte) {
	case 'A':
		go_back(e);
		break;
	case 'B':
		go_forward(e);
		break;
	case 'C':
		right(e);
		break;
	case 'D':
		left(e);
		break;
	case 'H':
		e->cur = 0;
		break;
	case 'F':
		e->cur = e->len;
		break;
	case '~':
		if (e->param == 1 || e->param == 7)
			e->cur = 0;
		else if (e->param == 4 || e->param == 8)
			e->cur = e->len;
		else if (e->param == 3)
			delete_forward(e);
		break;
	default:
		break;
	}
}

/* ESC [ n ; n letter, ESC O letter. */
static void key_escape(struct edit *e, u8 byte)
{
	if (e->escape == ESCAPE) {
		e->escape = byte == '[' ? SEQUENCE : byte == 'O' ? KEYPAD : PLAIN;
		e->param = 0;
	} else if (byte >= '0' && byte <= '9') {
		e->param = MIN(e->param * 10 + (byte - '0'), 1000U);
	} else if (byte >= 0x40 && byte < 0x7f) {
		key_final(e, byte);
	}
}

static enum edit_event control(struct edit *e, u8 byte)
{
	switch (byte) {
	case CTRL('A'):
		e->cur = 0;
		break;
	case CTRL('B'):
		left(e);
		break;
	case CTRL('C'):
		return EDIT_CANCEL;
	case CTRL('D'):
		if (!e->len)
			return EDIT_LEAVE;
		delete_forward(e);
		break;
	case CTRL('E'):
		e->cur = e->len;
		break;
	case CTRL('F'):
		right(e);
		break;
	case '\b':
	case 0x7f:
		if (e->cur)
			cut(e, e->cur - 1);
		break;
	case '\t':
		return EDIT_COMPLETE;
	case CTRL('K'):
		e->len = e->cur;
		e->line[e->len] = '\0';
		break;
	case CTRL('L'):
		return EDIT_REDRAW;
	case CTRL('N'):
		go_forward(e);
		break;
	case CTRL('P'):
		go_back(e);
		break;
	case CTRL('U'):
		cut(e, 0);
		break;
	case CTRL('W'):
		cut_word(e);
		break;
	case 0x1b:
		e->escape = ESCAPE;
		break;
	default:
		break;
	}
	return EDIT_MORE;
}

enum edit_event edit_key(struct edit *e, u8 byte)
{
	bool was_cr = e->was_cr;

	e->was_cr = byte == '\r';
	if (byte == '\n' && was_cr)
		return EDIT_MORE;
	if (byte == '\r' || byte == '\n') {
		e->escape = PLAIN;
		return EDIT_LINE;
	}
	if (byte < ' ' || byte == 0x7f) {
		e->escape = PLAIN; /* a sequence that was not ended keeps no key from its meaning */
		return control(e, byte);
	}
	if (e->escape != PLAIN) {
		key_escape(e, byte);
		return EDIT_MORE;
	}
	if (byte < 0x7f)
		edit_insert(e, (const char *)&byte, 1);
	return EDIT_MORE;
}

size_t edit_show(const struct edit *e, const char *prompt, char out[EDIT_SHOW])
{
	unsigned room = ROW - (unsigned)strlen(prompt), from = 0, n;
	int len;

	/* The cursor stands in the last third at most, where there is more to its right. */
	if (e->len > room && e->cur > room * 2 / 3)
		from = MIN(e->cur - room * 2 / 3, e->len - room);
	n = MIN(e->len - from, room);
	len = fmt_s(out, EDIT_SHOW, "\r%s%.*s\x1b[K", prompt, (int)n, e->line + from);
	if (e->cur < from + n)
		len += fmt_s(out + len, EDIT_SHOW - (size_t)len, "\x1b[%uD", from + n - e->cur);
	return (size_t)len;
}
