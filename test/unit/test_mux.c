/* SPDX-License-Identifier: MIT */
/*
 * vmm/monitor/mux*.c: one terminal for all guests. What is shown in each view, what is kept, whose the keys are, and where the
 * log and the monitor stand between them.
 */
/* SOURCES: vmm/monitor/mux.c vmm/monitor/mux_keys.c vmm/monitor/mux_text.c vmm/lib/fmt.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include <vmm/mux.h>

#include "../mock/mock.h"

#define GUESTS 3
#define KEY    "\x01"
/* Undoes what a guest has left on that had the terminal to itself. */
#define SANE                                                                                           \
	"\x18\x1b\\\x1b[!p\x1b[?1047l\x1b[?1000;1002;1003;1006;2004l\x1b[>4m\x1b(B\x0f\x1b[m\x1b[?25h" \
	"\r\n"

static struct hv the_hv;
static struct mux c;
static struct vm_console con[GUESTS];
static struct vm vms[GUESTS];
static unsigned served, woken, inputs;
static const struct vm *input_of;

void hv_serve(struct hv *hv)
{
	assert_ptr_equal(hv, &the_hv);
	served++;
}

void hv_input(struct hv *hv, const struct vm *vm)
{
	assert_ptr_equal(hv, &the_hv);
	inputs++;
	input_of = vm;
}

static void wake(void *ctx)
{
	assert_ptr_equal(ctx, &c);
	woken++;
}

static void start(u8 key)
{
	static const char *const names[GUESTS] = {"a", "b", "c"};

	mock_host_reset();
	mock_host.console_room = MiB(1);
	mux_init(&c, &the_hv, key);
	c.wake = wake;
	c.wake_ctx = &c;
	for (unsigned i = 0; i < GUESTS; i++) {
		assert_int_equal(mux_attach(&c, i + 1, names[i], &con[i]), 0);
		mux_set_vm(&c, i + 1, &vms[i]);
	}
	host_console_listen(mux_arrived, &c);
	served = woken = inputs = 0;
	input_of = NULL;
}

static int setup(unused void **state)
{
	start(1);
	return 0;
}

static void guest_writes(unsigned number, const char *text)
{
	con[number - 1].dev.write(con[number - 1].dev.ctx, (const u8 *)text, strlen(text));
}

static void guest_ends(unsigned number)
{
	con[number - 1].ended(con[number - 1].dev.ctx);
}

static void type(const char *text)
{
	mock_host_type(text, strlen(text));
}

/* What guest `number` reads. */
static const char *guest_reads(unsigned number)
{
	static char text[64];
	size_t n = con[number - 1].dev.read(con[number - 1].dev.ctx, (u8 *)text, sizeof(text) - 1);

	text[n] = '\0';
	return text;
}

static const char *monitor_reads(void)
{
	static char text[64];

	text[mux_monitor_read(&c, (u8 *)text, sizeof(text) - 1)] = '\0';
	return text;
}

/* Since the last time. */
static void shown(const char *text)
{
	assert_string_equal(mock_host.console, text);
	mock_host_console_clear();
}

static void pump(void)
{
	while (mux_pump(&c))
		;
}

/* ---- All guests: lines ---------------------------------------------------------------------------- */

static void lines(unused void **state)
{
	mux_begin(&c, 1, false);
	guest_writes(1, "as it is\x1b[m");
	shown("as it is\x1b[m");
	mux_begin(&c, 0, true);
	guest_writes(1, "one");
	guest_writes(2, "other\r\n\n");
	shown("[b] other\r\n[b] \r\n");
	guest_writes(1, " line\nand");
	shown("[a] one line\r\n");
	guest_ends(1);
	shown("[a] and\r\n");
	guest_ends(1);
	shown("");
	for (unsigned i = 0; i < 300; i++)
		guest_writes(1, "x");
	assert_int_equal(mock_host.console_len, 4 + 240 + 2);
	mock_host_console_clear();
	guest_writes(1, "\n");
	assert_int_equal(mock_host.console_len, 4 + 60 + 2);
}

static void shows(const char *written, const char *text)
{
	char want[64];

	mock_host_console_clear();
	guest_writes(1, written);
	snprintf(want, sizeof(want), "[a] %s\r\n", text);
	assert_string_equal(mock_host.console, want);
}

/* Of several guests none moves the cursor. */
static void no_escapes(unused void **state)
{
	mux_begin(&c, 0, true);
	shows("\x1b[1;31mred\x1b[0m\r\n", "red");
	shows("\x1b[2J\x1b[H[b] forged\n", "[b] forged");
	shows("\x1b]0;title\x07text\n", "text");
	shows("\x1bPstring\x1b\\text\n", "text");
	shows("\x1b(Btext\x1b"
	      "7\n",
	      "text");
	shows("a\x1b[12\x18z\n", "az");
	shows("\x1b]never ended\n", "");
	shows("then\a\b\f\x7f text\tas it is \xc3\xa9\n", "then text\tas it is \xc3\xa9");
	shows("\x9b[2Jone\xc2\x9b"
	      "2Jtwo\x85three\n",
	      "[2Jone2Jtwothree");
	shows("\xc2\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xa9\n",
	      "\xc2\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xa9");
	shows("\xc2"
	      "C \xc2\n",
	      "C ");
	/* A line that nobody ends does not swallow the next life's. */
	guest_writes(1, "\x1b]");
	guest_ends(1);
	shows("again\n", "again");
	shows("\x1b\x1b[31mtwice\n", "twice");
	shows("\xc2\xc2\x9bx\n", "x");
	shows("\xc2\x1b[m\x9bx\n", "x");
}

/* A character of several bytes is not torn, and what is left of one does not become a control of its own. */
static void cut(unused void **state)
{
	char text[MUX_LINE + 32];

	mux_begin(&c, 0, true);
	for (unsigned before = MUX_LINE - 6; before <= MUX_LINE; before++) {
		memset(text, 'x', before);
		memcpy(text + before, "\xf0\x9f\x98\x80.\n", 7);
		guest_writes(2, text);
		assert_true(mock_host_console_has("\xf0\x9f\x98\x80"));
		mock_host_console_clear();
		memset(text, 'x', before);
		memcpy(text + before, "\xc2\xa9.\n", 5);
		guest_writes(2, text);
		assert_true(mock_host_console_has("\xc2\xa9"));
		mock_host_console_clear();
	}
	memset(text, 'x', MUX_LINE - 1);
	memcpy(text + MUX_LINE - 1, "\xe2\xe2\xe2\xe2\x9b\x9b\x9b\x9b\n", 10);
	guest_writes(2, text);
	assert_null(strstr(mock_host.console, "[b] \x9b"));
	mock_host_console_clear();
	for (unsigned i = 0; i < 2 * MUX_LINE; i++)
		guest_writes(2, "\xf0");
	guest_writes(2, "\n");
	for (unsigned i = 0; i < 2 * MUX_LINE; i++)
		guest_writes(2, "\xe2\xc2\xa9");
	assert_true(mock_host.console_len > 2 * MUX_LINE);
}

static void names(unused void **state)
{
	struct vm_console four;

	assert_int_equal(mux_attach(&c, 4, "a-guest-with-a-name-of-31-letters", &four), 0);
	c.colour = true;
	guest_writes(1, "x\n");
	guest_writes(2, "\x1b[31mx\n");
	guest_writes(3, "x\n");
	four.dev.write(four.dev.ctx, (const u8 *)"x\n", 2);
	shown("\x1b[33m[a]\x1b[m x\r\n\x1b[32m[b]\x1b[m x\r\n\x1b[35m[c]\x1b[m x\r\n"
	      "\x1b[36m[a-guest-with-a-name-of-31-letters]\x1b[m x\r\n");
}

static void interleaved(unused void **state)
{
	const char *one = "the first one's\n", *two = "the second one's\n";

	for (unsigned i = 0; two[i]; i++) {
		char byte[2] = {two[i], 0};

		guest_writes(2, byte);
		byte[0] = i < strlen(one) ? one[i] : '\0';
		guest_writes(1, byte);
	}
	shown("[a] the first one's\r\n[b] the second one's\r\n");
}

/* What was begun when the view changed is shown whole when it comes back. */
static void half_a_line(unused void **state)
{
	mux_begin(&c, 1, true);
	guest_writes(1, "half");
	guest_writes(2, "\x1b[31mhalf");
	type(KEY "0");
	guest_writes(2, " of b\n");
	pump();
	assert_true(mock_host_console_has("[b] half of b\r\n"));
	mock_host_console_clear();
	mux_open_monitor(&c);
	guest_writes(1, " a line\n");
	shown("");
	mux_close_monitor(&c);
	pump();
	shown("havoc: all guests; what is typed goes to a (Ctrl-A and a digit: that guest alone)\r\n[a] half a line\r\n");
}

/* The last words are a line of their own even if the terminal had not yet come to them. */
static void last_words(unused void **state)
{
	mux_begin(&c, 1, true);
	mux_open_monitor(&c);
	guest_writes(2, "its last\nwords");
	mux_close_monitor(&c);
	mock_host_console_clear();
	guest_ends(2);
	guest_writes(2, "and ");
	pump();
	shown("[b] its last\r\n[b] words\r\n");
	guest_writes(2, "first\n");
	shown("[b] and first\r\n");
	/* And if it is not shown at all; but no line without anything in it. */
	mux_open_monitor(&c);
	guest_writes(2, "last");
	guest_ends(2);
	guest_writes(2, "first\n");
	guest_ends(2);
	guest_ends(1);
	mux_close_monitor(&c);
	mock_host_console_clear();
	pump();
	shown("[b] last\r\n[b] first\r\n");
}

/* ---- One guest -------------------------------------------------------------------------------------- */

static void one(unused void **state)
{
	mux_begin(&c, 1, false);
	guest_writes(2, "not shown\n");
	guest_writes(1, "\x1b[2Jall of it");
	shown("\x1b[2Jall of it");
	assert_true(mux_show_one(&c, 2));
	assert_int_equal(served, 1);
	shown(SANE "havoc: guest 2, b\r\n");
	pump();
	shown("not shown\n");
	guest_writes(1, "nor is this\n");
	shown("");
	assert_false(mux_show_one(&c, 4));
	assert_false(mux_show_one(&c, 0));
	assert_false(mux_show_one(&c, MUX_PORTS + 1));
	mux_show_all(&c);
	pump();
	shown(SANE
	      "havoc: all guests; what is typed goes to b (Ctrl-A and a digit: that guest alone)\r\n[a] nor is this\r\n");
	mux_begin(&c, 0, false);
	guest_writes(1, "nobody is shown\n");
	shown("");
}

static void last_lines_again(unused void **state)
{
	char line[16];

	mux_begin(&c, 1, false);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "line %u\r\n", i);
		guest_writes(1, line);
	}
	guest_writes(1, "login: ");
	mock_host_console_clear();
	type(KEY "1");
	pump();
	assert_true(mock_host_console_has("havoc: guest 1, a\r\nline 80\r\nline 81\r\n"));
	assert_true(mock_host_console_has("line 99\r\nlogin: "));
	/* And no more than that if there is more that is new. */
	type(KEY "2");
	for (unsigned i = 0; i < 100; i++)
		guest_writes(1, "new\n");
	mock_host_console_clear();
	type(KEY "1");
	pump();
	assert_true(mock_host_console_has("a\r\nnew\nnew\n"));
	assert_int_equal(mock_host.console_len, strlen(SANE "havoc: guest 1, a\r\n") + 400);
}

static void oldest_are_lost(unused void **state)
{
	static char block[KiB(1) + 1];
	char line[8];

	mux_begin(&c, 1, false);
	memset(block, '.', KiB(1));
	guest_writes(2, "the oldest");
	for (unsigned i = 0; i < 64; i++) {
		snprintf(line, sizeof(line), "%05u\n", i);
		memcpy(block, line, 6);
		guest_writes(2, block);
	}
	type(KEY "2");
	mock_host_console_clear();
	pump();
	assert_memory_equal(mock_host.console,
			    "havoc: 10 bytes of guest b were not kept\r\n00000\n...", 50);
	assert_int_equal(c.port[1].shown, c.port[1].written);
	/* One that writes more than that at once, while it is shown, loses nothing. */
	type(KEY "1");
	pump();
	{
		static u8 much[3 * MUX_KEPT];

		memset(much, 'y', sizeof(much));
		mock_host_console_clear();
		con[0].dev.write(con[0].dev.ctx, much, sizeof(much));
	}
	assert_false(mock_host_console_has("not kept"));
	assert_int_equal(c.port[0].shown, 3 * MUX_KEPT);
	/* In the midst of a sequence, of which the end is lost. */
	mux_show_all(&c);
	guest_writes(2, "\x1b]");
	mux_open_monitor(&c);
	for (unsigned i = 0; i < 65; i++)
		guest_writes(2, block);
	guest_writes(2, "\n");
	mux_close_monitor(&c);
	mock_host_console_clear();
	pump();
	assert_true(mock_host_console_has(
		"havoc: 1027 bytes of guest b were not kept\r\n[b] 0063\r\n"));
}

static void little_room(unused void **state)
{
	static char text[4096 + 1];

	memset(text, '\n', 4096);
	mux_begin(&c, 1, false);
	mux_open_monitor(&c);
	guest_writes(1, text);
	mux_close_monitor(&c);
	mock_host_console_clear();
	mock_host.console_room = 511;
	assert_true(mux_pump(&c));
	shown("");
	mock_host.console_room = 1000;
	assert_true(mux_pump(&c));
	assert_in_range(mock_host.console_len, 1, 1000);
	/* Among all each byte may become a line with a name. */
	mux_show_all(&c);
	for (unsigned i = 0; i < 4096; i++) {
		mock_host_console_clear();
		mock_host.console_room = 520;
		if (!mux_pump(&c))
			break;
		assert_in_range(mock_host.console_len, 1, 520);
	}
	assert_false(mux_pump(&c));
	assert_int_equal(c.port[0].shown, 4096);
	mock_host_console_clear();
	mock_host.console_room = 0;
	guest_writes(1, "it waits itself\n");
	shown("[a] it waits itself\r\n");
}

/* ---- Keys -------------------------------------------------------------------------------------------- */

static void whose_keys(unused void **state)
{
	mux_begin(&c, 2, true);
	type("to b");
	assert_int_equal(inputs, 1);
	assert_ptr_equal(input_of, &vms[1]);
	assert_string_equal(guest_reads(2), "to b");
	assert_string_equal(guest_reads(2), "");
	assert_string_equal(guest_reads(1), "");
	assert_int_equal(woken + served, 0);
	type("x" KEY "1y" KEY);
	type("3z");
	assert_string_equal(guest_reads(2), "x");
	assert_string_equal(guest_reads(1), "y");
	assert_string_equal(guest_reads(3), "z");
	assert_int_equal(served, 2);
	mux_begin(&c, 0, true);
	inputs = 0;
	type("nobody's");
	assert_int_equal(inputs, 0);
}

static void escape_keys(unused void **state)
{
	mux_begin(&c, 1, true);
	type(KEY KEY);
	shown("");
	assert_string_equal(guest_reads(1), KEY);
	type(KEY "2");
	shown("havoc: guest 2, b\r\n");
	type(KEY "9");
	shown("havoc: there is no guest 9\r\n");
	assert_int_equal(c.focus, 2);
	type(KEY "0");
	shown(SANE
	      "havoc: all guests; what is typed goes to b (Ctrl-A and a digit: that guest alone)\r\n");
	assert_int_equal(c.view, MUX_ALL);
	type(KEY "n");
	shown("havoc: guest 3, c\r\n");
	type(KEY "n");
	shown(SANE "havoc: guest 1, a\r\n");
	type(KEY "h");
	shown("havoc: Ctrl-A and then: m the monitor, 1 to 9 that guest, n the next one,\r\n"
	      "havoc: 0 all guests, h this help, Ctrl-A itself. Guests: 1 a* 2 b 3 c\r\n");
	type(KEY "?");
	assert_true(mock_host_console_has("1 a*"));
	mock_host_console_clear();
	type(KEY "q");
	shown("havoc: Ctrl-A h tells the keys\r\n");
	assert_string_equal(guest_reads(1), "");
	assert_int_equal(woken, 0);
	type(KEY "m");
	shown(SANE);
	assert_int_equal(woken, 1);
	assert_int_equal(c.view, MUX_MON);
	type("keys" KEY KEY);
	assert_string_equal(monitor_reads(), "keys" KEY);
	type(KEY "m" KEY "1k");
	assert_string_equal(guest_reads(1), "k");
	assert_string_equal(monitor_reads(), "");
}

static void no_guest(unused void **state)
{
	mux_init(&c, &the_hv, 2);
	type("\x02n");
	shown("havoc: there is no guest\r\n");
	type("\x02"
	     "0");
	shown("havoc: all guests\r\n");
	type("\x02h");
	assert_true(mock_host_console_has("Ctrl-B itself. Guests:\r\n"));
	mux_begin(&c, 7, true);
	type("lost");
	assert_int_equal(c.port[6].typed_lost, 4);
}

static void no_escape_key(unused void **state)
{
	start(0);
	mux_begin(&c, 1, true);
	mock_host_type("\0\x01m", 3);
	shown("");
	assert_int_equal(c.port[0].typed_head, 3);
	assert_memory_equal(c.port[0].typed, "\0\x01m", 3);
}

static void typed_too_much(unused void **state)
{
	char block[1024];
	u8 back[64];
	unsigned n = 0;
	size_t got;

	memset(block, 'x', sizeof(block));
	mux_begin(&c, 1, true);
	for (unsigned i = 0; i < 16; i++)
		mock_host_type(block, sizeof(block));
	assert_int_equal(c.port[0].typed_lost, 0);
	type("lost");
	assert_int_equal(c.port[0].typed_lost, 4);
	while ((got = con[0].dev.read(con[0].dev.ctx, back, sizeof(back)))) {
		assert_int_equal(back[0], 'x');
		n += got;
	}
	assert_int_equal(n, MUX_TYPED);
	type("room again");
	assert_string_equal(guest_reads(1), "room again");
	mux_open_monitor(&c);
	for (unsigned i = 0; i < 5; i++)
		mock_host_type(block, sizeof(block));
	assert_int_equal(c.typed_head - c.typed_tail, MUX_MONITOR);
}

/* The interrupt that tells of a key is late: the guest that writes looks itself. */
static void typed_while_a_guest_writes(unused void **state)
{
	mux_begin(&c, 1, false);
	host_console_listen(NULL, NULL);
	type("k" KEY "2");
	assert_int_equal(inputs, 0);
	guest_writes(1, "text\n");
	assert_int_equal(inputs, 1);
	assert_string_equal(guest_reads(1), "k");
	shown("text\n" SANE "havoc: guest 2, b\r\n");
}

/* ---- The monitor and the log ------------------------------------------------------------------------ */

static void say_log(const char *text)
{
	mux_log(&c, text, strlen(text));
}

static void say_monitor(const char *text)
{
	mux_monitor_write(&c, text, strlen(text));
}

static void log_between_lines(unused void **state)
{
	mux_begin(&c, 1, false);
	guest_writes(1, "half a line");
	say_log("havoc: log\r\n");
	guest_writes(1, "\r\n");
	say_log("havoc: more\r\n");
	shown("half a line\r\nhavoc: log\r\n\r\nhavoc: more\r\n");
	mux_show_all(&c);
	guest_writes(2, "half");
	say_log("havoc: log\r\n");
	guest_writes(2, " and half\n");
	shown(SANE
	      "havoc: all guests; what is typed goes to a (Ctrl-A and a digit: that guest alone)\r\nhavoc: log\r\n[b] half and half\r\n");
}

static void log_and_prompt(unused void **state)
{
	mux_begin(&c, 1, false);
	say_monitor("not shown");
	mux_monitor_prompt(&c, "\rhavoc> x", 9);
	shown("");
	mux_open_monitor(&c);
	assert_int_equal(woken, 1);
	say_monitor("welcome\r\n");
	mux_monitor_prompt(&c, "\rhavoc> x", 9);
	shown(SANE "welcome\r\n\rhavoc> x");
	say_log("havoc: log\r\n");
	shown("\r\x1b[Khavoc: log\r\n\rhavoc> x");
	guest_writes(1, "not now\n");
	shown("");
	/* Opened once more, it stays as it is. */
	type("k");
	mux_open_monitor(&c);
	shown("");
	assert_string_equal(monitor_reads(), "k");
	mux_close_monitor(&c);
	pump();
	shown("\r\nhavoc: guest 1, a\r\nnot now\n");
	mux_close_monitor(&c);
	shown("");
}

static void log_waits_for_a_command(unused void **state)
{
	mux_begin(&c, 1, true);
	mux_open_monitor(&c);
	mux_monitor_busy(&c);
	say_monitor("half an ");
	say_log("havoc: log\r\n");
	say_monitor("answer\r\n");
	shown("half an answer\r\n");
	mux_monitor_ready(&c);
	shown("havoc: log\r\n");
	mux_monitor_busy(&c);
	for (unsigned i = 0; i < MUX_WAITING / 16 + 3; i++)
		say_log("havoc: a log..\r\n");
	shown("");
	mux_monitor_ready(&c);
	assert_string_equal(mock_host.console + MUX_WAITING,
			    "havoc: and 3 lines more: `log` has them\r\n");
	mock_host_console_clear();
	mux_monitor_ready(&c);
	shown("");
	/* A guest has been let on the terminal meanwhile. */
	mux_monitor_busy(&c);
	say_log("havoc: log\r\n");
	assert_true(mux_show_one(&c, 1));
	guest_writes(1, "half a line");
	say_log("havoc: other\r\n");
	guest_writes(1, "half a line");
	mock_host_console_clear();
	mux_monitor_ready(&c);
	shown("\r\nhavoc: log\r\n");
}

static void cancelled(unused void **state)
{
	mux_open_monitor(&c);
	type("ab");
	assert_false(mux_monitor_cancelled(&c));
	type("c\x03"
	     "de");
	assert_true(mux_monitor_cancelled(&c));
	assert_false(mux_monitor_cancelled(&c));
	assert_string_equal(monitor_reads(), "de");
	/* A prompt may be longer than there is room for. */
	{
		static char row[MUX_PROMPT + 50];

		memset(row, 'p', sizeof(row));
		mock_host_console_clear();
		mux_monitor_prompt(&c, row, sizeof(row));
		assert_int_equal(mock_host.console_len, MUX_PROMPT);
	}
}

static void closed_leads_back(unused void **state)
{
	mux_begin(&c, 2, false);
	mux_open_monitor(&c);
	mux_close_monitor(&c);
	assert_int_equal(c.view, MUX_ONE);
	mux_show_all(&c);
	mux_open_monitor(&c);
	mux_close_monitor(&c);
	assert_int_equal(c.view, MUX_ALL);
	/* Nobody has the focus, or one who is not there. */
	mux_begin(&c, 9, false);
	mux_open_monitor(&c);
	mux_close_monitor(&c);
	assert_int_equal(c.view, MUX_ALL);
}

/* What has gathered while the monitor was open comes from all, not from the first until there is no more. */
static void each_in_turn(unused void **state)
{
	mux_begin(&c, 0, true);
	mux_open_monitor(&c);
	for (unsigned i = 0; i < 200; i++) {
		guest_writes(1, "a line of the first guest's\n");
		guest_writes(2, "a line of the second guest's\n");
	}
	mux_close_monitor(&c);
	mock_host_console_clear();
	mock_host.console_room = KiB(16);
	assert_true(mux_pump(&c));
	assert_true(mock_host_console_has("[a]"));
	assert_false(mock_host_console_has("[b]"));
	assert_true(mux_pump(&c));
	assert_true(mock_host_console_has("[b]"));
	for (unsigned i = 0; i < 3; i++) {
		mock_host_console_clear();
		assert_true(mux_pump(&c));
		assert_true(mock_host_console_has("[a]"));
		mock_host_console_clear();
		assert_true(mux_pump(&c));
		assert_true(mock_host_console_has("[b]"));
	}
}

#define PLAIN "\x18\x1b\\\x1b[m\x1b(B\x0f\r\n"

/* What a guest has left open, hidden or otherwise drawn does not swallow the hypervisor's words. */
static void own_words(unused void **state)
{
	static const char line[] = "havoc: it was stopped\r\n";
	static const char *const left[] = {"\x1b]0;\n", "\x1b[8m\n", "\x1b(0\n", "\x0e\n",
					   "\x9b;m\n"};

	mux_begin(&c, 1, false);
	for (unsigned i = 0; i < sizeof(left) / sizeof(*left); i++) {
		guest_writes(1, left[i]);
		mock_host_console_clear();
		mux_log(&c, line, strlen(line));
		shown(PLAIN "havoc: it was stopped\r\n");
		mux_log(&c, line, strlen(line));
		shown(line);
	}
	guest_writes(1, "plain text\r\n");
	mock_host_console_clear();
	type(KEY "9");
	shown("havoc: there is no guest 9\r\n");
}

/* What guest 1 wrote, when it is shown a second time. */
static void again(const char *text, const char *wanted)
{
	char all[512];

	start(1);
	mux_begin(&c, 1, false);
	guest_writes(1, text);
	shown(text);
	type(KEY "1");
	pump();
	snprintf(all, sizeof(all), SANE "havoc: guest 1, a\r\n%s", wanted);
	shown(all);
}

/* A terminal answers what it is asked, and the answer is typed: once, not at each look. */
static void asked_once(unused void **state)
{
	again("\x1b[31mred\x1b[m \x1b[2;5Hx\x1b(B", "\x1b[31mred\x1b[m \x1b[2;5Hx\x1b(B");
	again("a\x1b[6n$ \x1b[c\x1b[>c\x1b[?5n\x1b[1x\x1b[18t.\x1bZ\x05", "a$ .");
	again("a\x1b[?25$pb\x1b[>qc\x1b[?ud\x1b[u\x1b[1 qe", "abcd\x1b[u\x1b[1 qe");
	again("a\x1b]0;title\007b\x1b]11;?\x1b\\c\x1bP$qm\x1b\\d", "ab\x1b\\c\x1b\\d");
	again("a\x1b\x1b[6nb\x1b[3\x18mc", "ab\x1b[3\x18mc");
	again("a\x1b[38;2;255;255;255;48;2;10;10;10mb", "a\x1b[38;2;255;255;255;48;2;10;10;10mb");
	again("a\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26mb", "ab");
	/* What goes on in what is new is neither torn nor taken for a request of old; and a request that is new is made. */
	again("a\x1b[3", "a");
	guest_writes(1, "1mred\x1b[6n");
	shown("\x1b[31mred\x1b[6n");
	type(KEY "1");
	pump();
	mock_host_console_clear();
	guest_writes(1, "\x1b[6n");
	shown("\x1b[6n");
}

/* Whoever types for a guest that is not there is told so, once for each of its lives. */
static void nobody_reads(unused void **state)
{
	static const char told[] =
		"\r\nhavoc: guest b does not run: Ctrl-A m, then `start b`, starts it\r\n";

	mux_begin(&c, 2, false);
	guest_writes(2, "$ ");
	mock_host_console_clear();
	mux_set_vm(&c, 2, NULL);
	type("x");
	shown(told);
	type("yz");
	shown("");
	assert_int_equal(inputs, 0);
	mux_set_vm(&c, 2, &vms[1]);
	type("new");
	assert_string_equal(guest_reads(2), "new");
	mux_set_vm(&c, 2, NULL);
	type("x");
	shown(told + 2);
	start(0);
	mux_begin(&c, 2, false);
	mux_set_vm(&c, 2, NULL);
	type("x");
	shown("havoc: guest b does not run\r\n");
}

static void no_memory(unused void **state)
{
	struct vm_console out;
	unsigned live = mock_host.live;

	mock_host.fail_alloc = 0;
	assert_int_equal(mux_attach(&c, 5, "e", &out), -HV_ENOMEM);
	assert_int_equal(mux_attach(&c, 5, "e", &out), 0);
	/* Made again: what it has written before stays. */
	out.dev.write(out.dev.ctx, (const u8 *)"old\n", 4);
	assert_int_equal(mux_attach(&c, 5, "e", &out), 0);
	assert_int_equal(mock_host.live, live + 1);
	mock_host_console_clear();
	assert_true(mux_show_one(&c, 5));
	pump();
	shown("havoc: guest 5, e\r\nold\n");
}

#define MUX_TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MUX_TEST(lines),
		MUX_TEST(no_escapes),
		MUX_TEST(cut),
		MUX_TEST(names),
		MUX_TEST(interleaved),
		MUX_TEST(half_a_line),
		MUX_TEST(last_words),
		MUX_TEST(one),
		MUX_TEST(last_lines_again),
		MUX_TEST(oldest_are_lost),
		MUX_TEST(little_room),
		MUX_TEST(whose_keys),
		MUX_TEST(escape_keys),
		MUX_TEST(no_guest),
		MUX_TEST(no_escape_key),
		MUX_TEST(typed_too_much),
		MUX_TEST(typed_while_a_guest_writes),
		MUX_TEST(log_between_lines),
		MUX_TEST(log_and_prompt),
		MUX_TEST(log_waits_for_a_command),
		MUX_TEST(cancelled),
		MUX_TEST(closed_leads_back),
		MUX_TEST(each_in_turn),
		MUX_TEST(own_words),
		MUX_TEST(asked_once),
		MUX_TEST(nobody_reads),
		MUX_TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
