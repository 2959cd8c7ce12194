/* SPDX-License-Identifier: MIT */
/*
 * What a guest writes, made into lines of plain text, for a terminal that several share: none has it to itself, so what moves
 * the cursor or clears the screen is left out, lest it write over the others' lines, or what looks like the hypervisor's.
 * And what it wrote, without what a terminal answers. Called by mux.c. PURE. ECMA-48 "Control functions"; xterm "Control
 * Sequences".
 */
#include <vmm/mux.h>
#include <vmm/string.h>

enum { TEXT, ESCAPE, CONTROL, STRING };

/* What follows `byte` in an escape sequence: STRING ends with BEL, or with ESC \. */
static u8 escape_next(u8 state, u8 byte)
{
	if (byte == '\n' || byte == 0x18 || byte == 0x1a)
		return TEXT;
	if (byte == 0x1b)
		return ESCAPE;
	switch (state) {
	case ESCAPE:
		if (byte == '[')
			return CONTROL;
		if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_')
			return STRING;
		return byte >= 0x20 && byte < 0x30 ? ESCAPE : TEXT;
	case CONTROL:
		return byte >= 0x40 ? TEXT : CONTROL;
	default:
		return byte == 7 ? TEXT : STRING;
	}
}

static bool is_text(struct mux_text *t, u8 byte)
{
	if (t->escape != TEXT || byte == 0x1b) {
		t->escape = escape_next(t->escape, byte);
		return byte == '\n';
	}
	return byte == '\n' || byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static void append(struct mux_text *t, u8 byte)
{
	t->line[t->len++] = (char)byte;
}

/*
 * The controls from 0x80 to 0x9f are left out, too, as bytes of their own and as UTF-8 has them, C2 80 to C2 9F: a terminal may take
 * either. So a C2 is held back until it is known what follows.
 */
static void put_high(struct mux_text *t, u8 byte)
{
	bool held = t->held;

	t->held = false;
	if (byte >= 0xc0) {
		t->follow = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
		t->held = byte == 0xc2;
		if (!t->held)
			append(t, byte);
		return;
	}
	if (byte < 0xa0 && (held || !t->follow)) {
		t->follow = 0;
		return;
	}
	if (held)
		append(t, 0xc2);
	if (t->follow)
		t->follow--;
	append(t, byte);
}

/*
 * What is no UTF-8 is cut wherever it is: there must be room for a C2 and what follows. What then comes of a character
 * that was cut is no part of one any more, lest it become a control where the next line begins.
 */
static bool is_full(struct mux_text *t)
{
	if (t->len < MUX_LINE || (t->follow && t->len < sizeof(t->line) - 1))
		return false;
	t->follow = 0;
	return true;
}

bool mux_text_put(struct mux_text *t, u8 byte)
{
	if (!is_text(t, byte))
		return false;
	if (byte < 0x80) {
		t->follow = 0;
		t->held = false;
		if (byte == '\n')
			return true;
		append(t, byte);
	} else {
		put_high(t, byte);
	}
	return is_full(t);
}

/* ---- What was shown before ---------------------------------------------------------------------- */

/*
 * Reports of status, device, terminal parameters and window; of a mode (DECRQM), the version (XTVERSION), the keyboard's protocol.
 * The sequence is complete: CSI, parameters, the final byte.
 */
static bool is_query(const u8 *seq, unsigned len)
{
	u8 final = seq[len - 1];

	if (seq[1] != '[')
		return final == 'Z';
	return final == 'n' || final == 'c' || final == 'x' || final == 't' ||
	       (final == 'p' && seq[len - 2] == '$') || (final == 'q' && seq[2] == '>') ||
	       (final == 'u' && seq[2] == '?');
}

static size_t release(struct mux_quiet *q, u8 out[MUX_QUIET])
{
	size_t n = q->len;

	memcpy(out, q->held, n);
	q->len = 0;
	return n;
}

/* Strings (titles, colours, pictures, requests) are left out whole: nothing of them is text. */
size_t mux_quiet_put(struct mux_quiet *q, u8 byte, u8 out[MUX_QUIET])
{
	u8 before = q->escape;

	if (before == TEXT && byte != 0x1b) {
		out[0] = byte;
		return byte != 5; /* ENQ: "who is there?" */
	}
	q->escape = escape_next(before, byte);
	if (q->escape == STRING || before == STRING) {
		q->len = 0;
		if (q->escape == ESCAPE) /* its end, or the next sequence */
			q->held[q->len++] = byte;
		return 0;
	}
	if (byte == 0x1b)
		q->len = 0;
	if (q->len < MUX_QUIET)
		q->held[q->len++] = byte;
	if (q->escape != TEXT)
		return 0;
	if (q->len == MUX_QUIET) { /* none that is known is so long */
		q->len = 0;
		return 0;
	}
	if (q->len > 1 && byte >= 0x20 && is_query(q->held, q->len)) {
		q->len = 0;
		return 0;
	}
	return release(q, out);
}
