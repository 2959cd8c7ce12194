/* SPDX-License-Identifier: MIT */
/* vmm/monitor/edit.c: each key, the history, lines longer than the row, and keys that nobody knows. */
/* SOURCES: vmm/monitor/edit.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../vmm/monitor/edit.h"

static struct edit e;

static int setup(void **state)
{
	(void)state;
	memset(&e, 0xa5, sizeof(e));
	edit_init(&e);
	return 0;
}

/* The last key's event; all before it say no more than EDIT_MORE. */
static enum edit_event type(const char *keys)
{
	enum edit_event event = EDIT_MORE;

	for (; *keys; keys++) {
		assert_int_equal(event, EDIT_MORE);
		event = edit_key(&e, (u8)*keys);
		assert_true(e.cur <= e.len && e.len < EDIT_MAX);
		assert_int_equal(strlen(e.line), e.len);
	}
	return event;
}

/* `|` stands for the cursor. */
static void is(const char *want)
{
	char have[EDIT_MAX + 1];

	snprintf(have, sizeof(have), "%.*s|%s", (int)e.cur, e.line, e.line + e.cur);
	assert_string_equal(have, want);
}

static void enter(const char *line)
{
	assert_int_equal(type(line), EDIT_MORE);
	assert_int_equal(type("\r"), EDIT_LINE);
	assert_string_equal(e.line, line);
	edit_next(&e, true);
	is("|");
}

static void keys(void **state)
{
	static const struct {
		const char *keys, *line;
	} row[] = {
		{"one two", "one two|"},
		{"one two\x01", "|one two"},
		{"one two\x01\x02", "|one two"},
		{"one two\x02", "one tw|o"},
		{"one two\x02\x06", "one two|"},
		{"one two\x06", "one two|"},
		{"one two\x01\x05", "one two|"},
		{"one two\x01\x04", "|ne two"},
		{"one two\x04", "one two|"},
		{"one two\b", "one tw|"},
		{"one two\x7f\x7f", "one t|"},
		{"one two\x01\x7f", "|one two"},
		{"one two\x02\x7f", "one t|o"},
		{"one two\x02\x02\x0b", "one t|"},
		{"one two\x02\x02\x15", "|wo"},
		{"one two\x17", "one |"},
		{"one two  \x17", "one |"},
		{"one two\x02\x17", "one |o"},
		{"one two\x17\x17\x17", "|"},
		{"one two\x02-", "one tw-|o"},
		{"one\x1b[D\x1b[D", "o|ne"},
		{"one\x1b[D\x1b[D\x1b[C", "on|e"},
		{"one\x1bOD\x1bOD\x1bOC", "on|e"},
		{"one\x1b[H", "|one"},
		{"one\x1b[H\x1b[F", "one|"},
		{"one\x1bOH", "|one"},
		{"one\x1bOH\x1bOF", "one|"},
		{"one\x1b[1~", "|one"},
		{"one\x1b[7~", "|one"},
		{"one\x1b[1~\x1b[4~", "one|"},
		{"one\x1b[7~\x1b[8~", "one|"},
		{"one\x1b[D\x1b[3~", "on|"},
		{"one\x1b[3~", "one|"},
		/* Keys that mean nothing here. */
		{"one\x1b[2~\x1b[5~\x1b[15~\x1bOP\x1b[Z", "one|"},
		{"one\x1b[99999999999999999999~", "one|"},
		{"one\x1b[1;5D", "on|e"},
		{"one\x1b\x1b[Dx", "onx|e"},
		{"one\x1b[12\x1b[Dx", "onx|e"},
		{"one\x1b[12\x01x", "x|one"},
		{"one\x1b\x7f", "on|"},
		{"one\x1bx", "one|"},
		{"\x0e\x10\x0f\x11\x12\x13\x14\x16\x18\x19\x1a\x1c\x1d\x1e\x1fone", "one|"},
		{"\x80\xc3\xa9\xff\x9bone", "one|"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		edit_init(&e);
		assert_int_equal(type(row[i].keys), EDIT_MORE);
		is(row[i].line);
	}
	assert_int_equal(edit_key(&e, 0), EDIT_MORE);
	is("one|");
}

static void events(void **state)
{
	(void)state;
	assert_int_equal(type("\x04"), EDIT_LEAVE);
	assert_int_equal(type("a\x04"), EDIT_MORE);
	assert_int_equal(type("\x03"), EDIT_CANCEL);
	edit_next(&e, false);
	is("|");
	assert_int_equal(e.lines, 0);
	assert_int_equal(type("\t"), EDIT_COMPLETE);
	assert_int_equal(type("\x0c"), EDIT_REDRAW);
	/* Return, a line feed, or both: one line. */
	assert_int_equal(type("one\r"), EDIT_LINE);
	edit_next(&e, true);
	assert_int_equal(type("\n"), EDIT_MORE);
	assert_int_equal(type("\n"), EDIT_LINE);
	assert_int_equal(type("\n"), EDIT_LINE);
	assert_int_equal(type("\r"), EDIT_LINE);
	assert_int_equal(type("\r"), EDIT_LINE);
	/* In the midst of a sequence, too. */
	assert_int_equal(type("x\x1b[1\r"), EDIT_LINE);
	assert_string_equal(e.line, "x");
	edit_next(&e, true);
	assert_int_equal(type("\x1b\x03"), EDIT_CANCEL);
	assert_int_equal(type("\x1b[\x03"), EDIT_CANCEL);
	assert_int_equal(type("\x1b\x04"), EDIT_LEAVE);
	assert_int_equal(type("\x1b\t"), EDIT_COMPLETE);
}

static void history(void **state)
{
	(void)state;
	assert_int_equal(type("\x1b[A\x1b[B\x10\x0e"), EDIT_MORE);
	is("|");
	enter("one");
	enter("two");
	enter("two");
	enter("three");
	type("fresh\x02");
	type("\x1b[A");
	is("three|");
	type("\x10");
	is("two|");
	type("\x1bOA");
	is("one|");
	type("\x10");
	is("one|");
	type("\x0e");
	is("two|");
	type("\x1b[B");
	is("three|");
	type("\x1bOB");
	is("fresh|");
	type("\x0e");
	is("fresh|");
	/* One of them changed is a new line; the old one stays. */
	type("\x10\x10");
	type("-and-more");
	assert_int_equal(type("\r"), EDIT_LINE);
	assert_string_equal(e.line, "two-and-more");
	edit_next(&e, true);
	type("\x10\x10\x10");
	is("two|");
	edit_next(&e, false);
	type("\x10");
	is("two-and-more|");
	/* Nothing typed, nothing kept. */
	type("\x15");
	assert_int_equal(type("\r"), EDIT_LINE);
	edit_next(&e, true);
	type("\x10");
	is("two-and-more|");
}

static void history_wraps(void **state)
{
	char line[EDIT_MAX];

	(void)state;
	for (unsigned i = 0; i < 3 * EDIT_HISTORY + 5; i++) {
		snprintf(line, sizeof(line), "line %u", i);
		enter(line);
	}
	type("fresh");
	for (unsigned i = 1; i <= EDIT_HISTORY + 3; i++) {
		type("\x10");
		snprintf(line, sizeof(line), "line %u|",
			 3 * EDIT_HISTORY + 5 - (i < EDIT_HISTORY ? i : EDIT_HISTORY));
		is(line);
	}
	for (unsigned i = 1; i < EDIT_HISTORY; i++)
		type("\x0e");
	snprintf(line, sizeof(line), "line %u|", 3 * EDIT_HISTORY + 4);
	is(line);
	type("\x0e");
	is("fresh|");
}

static void full(void **state)
{
	char most[EDIT_MAX];

	(void)state;
	memset(most, 'x', sizeof(most) - 1);
	most[sizeof(most) - 1] = '\0';
	enter(most);
	type(most);
	type("y\x02y");
	assert_string_equal(e.line, most);
	assert_int_equal(e.cur, EDIT_MAX - 2);
	type("\x01\x04z");
	assert_int_equal(e.line[0], 'z');
	type("\x10");
	assert_string_equal(e.line, most);
	type("\x0e");
	assert_int_equal(e.line[0], 'z');
	edit_next(&e, false);
	edit_insert(&e, most, sizeof(most) - 1);
	edit_insert(&e, "more", 4);
	assert_string_equal(e.line, most);
	edit_next(&e, false);
	type("ab\x02");
	edit_insert(&e, "--", 2);
	is("a--|b");
}

static const char *show(void)
{
	static char out[EDIT_SHOW + 1];
	char *exact = test_malloc(EDIT_SHOW);
	size_t n = edit_show(&e, "p> ", exact);

	assert_true(n <= EDIT_SHOW);
	memcpy(out, exact, n);
	out[n] = '\0';
	test_free(exact);
	return out;
}

static void row(void **state)
{
	(void)state;
	assert_string_equal(show(), "\rp> \x1b[K");
	type("one");
	assert_string_equal(show(), "\rp> one\x1b[K");
	type("\x02");
	assert_string_equal(show(), "\rp> one\x1b[K\x1b[1D");
	type("\x01");
	assert_string_equal(show(), "\rp> one\x1b[K\x1b[3D");
}

/* The part that is shown has the cursor in it, is never wider than the row, and shows all that fits. */
static void window(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EDIT_MAX - 1; i++) {
		char byte[2] = {(char)('a' + i % 26), '\0'};

		type(byte);
		for (unsigned at = 0; at <= e.len; at += e.len / 7 + 1) {
			const char *text, *end;
			unsigned shown, back = 0, from;

			e.cur = at;
			text = show();
			assert_memory_equal(text, "\rp> ", 4);
			end = strstr(text, "\x1b[K");
			assert_non_null(end);
			shown = (unsigned)(end - text) - 4;
			assert_int_equal(shown, e.len < 73 ? e.len : 73);
			if (end[3])
				assert_int_equal(sscanf(end + 3, "\x1b[%uD", &back), 1);
			assert_true(back <= shown);
			from = at - (shown - back);
			assert_memory_equal(text + 4, e.line + from, shown);
		}
		e.cur = e.len;
	}
}

/* Any bytes at all; test/fuzz/fuzz_monitor.c has more of them. */
static void hostile(void **state)
{
	u32 x = 1;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		enum edit_event event;

		x = x * 1664525 + 1013904223;
		event = edit_key(&e, (u8)(x >> 24));
		assert_true(e.cur <= e.len && e.len < EDIT_MAX);
		assert_int_equal(strlen(e.line), e.len);
		for (unsigned at = 0; at < e.len; at++)
			assert_in_range(e.line[at], ' ', 0x7e);
		if (event == EDIT_LINE)
			edit_next(&e, x & 1);
		(void)show();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keys, setup),
		cmocka_unit_test_setup(events, setup),
		cmocka_unit_test_setup(history, setup),
		cmocka_unit_test_setup(history_wraps, setup),
		cmocka_unit_test_setup(full, setup),
		cmocka_unit_test_setup(row, setup),
		cmocka_unit_test_setup(window, setup),
		cmocka_unit_test_setup(hostile, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
