/* SPDX-License-Identifier: MIT */
/* vmm/lib/log.c: prefix, levels, hostile text, the ring. */
/* SOURCES: vmm/lib/log.c vmm/lib/log_keep.c vmm/lib/fmt.c test/mock/host.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/log.h>
#include "test/mock/mock.h"

static int setup(void **state)
{
	(void)state;
	mock_host_reset();
	log_set_level(LOG_INFO);
	return 0;
}

static void test_line(void **state)
{
	(void)state;
	log_info("hello %d", 42);
	assert_string_equal(mock_host.console, "havoc: hello 42\r\n");
}

static void test_levels(void **state)
{
	(void)state;
	assert_int_equal(log_get_level(), LOG_INFO);
	log_debug("not this");
	assert_int_equal(mock_host.console_len, 0);
	log_set_level(LOG_DEBUG);
	log_debug("this");
	assert_true(mock_host_console_has("havoc: this\r\n"));
	log_set_level(LOG_ERR);
	log_warn("no warning");
	log_err("an error");
	assert_false(mock_host_console_has("no warning"));
	assert_true(mock_host_console_has("havoc: an error\r\n"));
}

struct seen {
	unsigned lines;
	char first[400], last[400];
	size_t longest;
};

static void see(void *arg, const char *line, size_t len)
{
	struct seen *s = arg;

	assert_int_equal(strlen(line), len);
	if (!s->lines++)
		snprintf(s->first, sizeof(s->first), "%s", line);
	snprintf(s->last, sizeof(s->last), "%s", line);
	s->longest = len > s->longest ? len : s->longest;
}

static void test_replay(void **state)
{
	struct seen s = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) /* far more than the ring holds */
		log_debug("line %d of many, so that the ring wraps more than once", i);
	log_replay(5, see, &s);
	assert_int_equal(s.lines, 5);
	assert_string_equal(s.first, "line 995 of many, so that the ring wraps more than once");
	assert_string_equal(s.last, "line 999 of many, so that the ring wraps more than once");
	memset(&s, 0, sizeof(s));
	log_replay(100000, see, &s);
	assert_true(s.lines > 100 && s.lines < 200);
	/* The oldest is a whole line. */
	assert_memory_equal(s.first, "line ", 5);
	memset(&s, 0, sizeof(s));
	log_replay(0, see, &s);
	assert_int_equal(s.lines, 0);
}

static void test_hostile_text(void **state)
{
	char longest[2000];
	struct seen s = {0};

	(void)state;
	log_info("a\x1b[2Jb\r\nhavoc: forged\tz\x7f");
	assert_string_equal(mock_host.console, "havoc: a?[2Jb??havoc: forged z?\r\n");
	mock_host_console_clear();
	memset(longest, 'q', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	log_info("%s", longest);
	assert_true(mock_host.console_len < 400);
	assert_int_equal(mock_host.console[mock_host.console_len - 1], '\n');
	log_replay(1, see, &s);
	assert_int_equal(s.lines, 1);
	assert_int_equal(s.longest, 319);
}

static void count(void *arg, const char *line, unused size_t len)
{
	if (strstr(line, "kept"))
		++*(unsigned *)arg;
}

/* The same lines go to the area, those from before too; a panic's own go there alone. */
static void test_kept(void **state)
{
	static struct log_keep area[2];
	char reason[LOG_KEEP_REASON];
	struct log_keep_view v;
	enum log_end end;
	unsigned n = 0;

	(void)state;
	assert_false(log_last(&end, reason));
	log_last_replay(count, &n);
	log_info("kept 1");
	log_keep_in(area, NULL, NULL);
	log_debug("kept 2, though not shown");
	assert_false(log_last(&end, reason));
	log_break_lock();
	log_panic("a reason");
	log_panic_line("kept 3", 6);
	log_end();
	assert_true(log_keep_find(area, &v));
	log_keep_replay(&v, count, &n);
	assert_int_equal(n, 3);
	n = 0;
	log_replay(~0U, count, &n);
	assert_int_equal(n, 2);

	/* The next boot, as far as one process can have another. */
	log_keep_in(area, &v, NULL);
	assert_true(log_last(&end, reason));
	assert_int_equal(end, LOG_END_PANIC);
	assert_string_equal(reason, "a reason");
	n = 0;
	log_last_replay(count, &n);
	assert_int_equal(n, 3);
	log_end();
	assert_true(log_keep_find(area, &v));
	assert_int_equal(v.state.end, LOG_END_ORDERLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_line, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_replay, setup),
		cmocka_unit_test_setup(test_hostile_text, setup),
		cmocka_unit_test_setup(test_kept, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
