/* SPDX-License-Identifier: MIT */
/* The log that outlives a warm reset: what is found of it after a reset at any moment, and in memory that is anything. */
/* SOURCES: vmm/lib/log_keep.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/log_keep.h>

/* What the CPU sees, and what is in memory: only whole cache lines get there. */
static struct log_keep area[2] aligned(64), memory[2] aligned(64);
static void (*at_flush)(void);

static void flush(const void *p, size_t len)
{
	size_t from = ALIGN_DOWN((size_t)((const char *)p - (const char *)area), (size_t)64);
	size_t to = ALIGN_UP((size_t)((const char *)p + len - (const char *)area), (size_t)64);

	assert_true(to <= sizeof(area));
	memcpy((char *)memory + from, (char *)area + from, to - from);
	if (at_flush)
		at_flush();
}

static struct log_keep_writer writer;

static struct seen {
	unsigned count;
	char text[900][LOG_KEEP_LINE];
} seen;

static void see(void *arg, const char *line, size_t len)
{
	assert_ptr_equal(arg, &seen);
	assert_int_equal(strlen(line), len);
	assert_true(seen.count < ARRAY_SIZE(seen.text));
	memcpy(seen.text[seen.count++], line, len + 1);
}

static unsigned read_lines(const struct log_keep_view *v)
{
	seen.count = 0;
	log_keep_replay(v, see, &seen);
	return seen.count;
}

static void line(const char *text)
{
	log_keep_line(&writer, text, strlen(text));
}

static int setup(unused void **state)
{
	at_flush = NULL;
	memset(area, 0xa5, sizeof(area));
	memset(memory, 0xa5, sizeof(memory));
	memset(&writer, 0, sizeof(writer));
	return 0;
}

/* A reset: what was not written back is lost. */
static bool reset(struct log_keep_view *v)
{
	memcpy(area, memory, sizeof(area));
	memset(&writer, 0, sizeof(writer));
	return log_keep_find(area, v);
}

static void boots(unused void **state)
{
	char reason[LOG_KEEP_REASON];
	struct log_keep_view v;

	assert_false(reset(&v));
	log_keep_begin(&writer, area, NULL, flush);
	line("first");
	line("");
	line("third");
	assert_true(reset(&v));
	assert_int_equal(v.keep->boot, 1);
	assert_int_equal(v.state.end, LOG_END_NONE);
	assert_int_equal(read_lines(&v), 3);
	assert_string_equal(seen.text[0], "first");
	assert_string_equal(seen.text[1], "");
	assert_string_equal(seen.text[2], "third");
	log_keep_reason(&v, reason);
	assert_string_equal(reason, "");

	/* The next one leaves it alone, and is found in its place. */
	log_keep_begin(&writer, area, &v, flush);
	assert_ptr_not_equal(writer.keep, v.keep);
	line("second boot");
	assert_int_equal(read_lines(&v), 3);
	log_keep_end(&writer, LOG_END_PANIC, "the reason");
	line("said by the panic");
	log_keep_end(&writer, LOG_END_ORDERLY, NULL);
	assert_true(reset(&v));
	assert_int_equal(v.keep->boot, 2);
	assert_int_equal(v.state.end, LOG_END_PANIC);
	assert_int_equal(read_lines(&v), 2);
	assert_string_equal(seen.text[1], "said by the panic");
	log_keep_reason(&v, reason);
	assert_string_equal(reason, "the reason");

	/* And so on; one that has written nothing yet is a log, too. */
	log_keep_begin(&writer, area, &v, flush);
	assert_true(reset(&v));
	assert_int_equal(v.keep->boot, 3);
	assert_int_equal(read_lines(&v), 0);
}

static void ends(unused void **state)
{
	char reason[LOG_KEEP_REASON], longest[400];
	struct log_keep_view v;

	log_keep_begin(&writer, area, NULL, flush);
	log_keep_end(&writer, LOG_END_ORDERLY, NULL);
	assert_true(reset(&v));
	assert_int_equal(v.state.end, LOG_END_ORDERLY);

	/* A panic on the way down is what is told. */
	log_keep_begin(&writer, area, &v, flush);
	log_keep_end(&writer, LOG_END_ORDERLY, NULL);
	memset(longest, 'x', sizeof(longest));
	longest[3] = '\033';
	longest[sizeof(longest) - 1] = '\0';
	log_keep_end(&writer, LOG_END_PANIC, longest);
	log_keep_end(&writer, LOG_END_PANIC, "another");
	assert_true(reset(&v));
	assert_int_equal(v.state.end, LOG_END_PANIC);
	log_keep_reason(&v, reason);
	assert_int_equal(strlen(reason), LOG_KEEP_REASON - 1);
	assert_memory_equal(reason, "xxx?xx", 6);

	/* Without a place all of it is nothing. */
	memset(&writer, 0, sizeof(writer));
	line("nowhere");
	log_keep_recover(&writer);
	log_keep_end(&writer, LOG_END_PANIC, "nobody");
}

static void hostile_text(unused void **state)
{
	char text[600];
	struct log_keep_view v;

	log_keep_begin(&writer, area, NULL, flush);
	line("a\nb\r\033[2Jc\x80\xff");
	memset(text, 'y', sizeof(text));
	log_keep_line(&writer, text, sizeof(text));
	assert_true(reset(&v));
	assert_int_equal(read_lines(&v), 2);
	assert_string_equal(seen.text[0], "a?b??[2Jc??");
	assert_int_equal(strlen(seen.text[1]), LOG_KEEP_LINE - 1);
}

static unsigned written; /* lines that log_keep_line() was called with */
static unsigned resets;

static void number_line(unsigned n)
{
	char text[LOG_KEEP_LINE];
	int len = snprintf(text, sizeof(text), "%u", n);

	memset(text + len, '.', sizeof(text) - (size_t)len);
	log_keep_line(&writer, text, (size_t)len + n * 37 % 300);
}

/* At each moment a run of whole lines is there, the last of which is the one being written, or the one before. */
static void reset_here(void)
{
	struct log_keep_view v;
	unsigned count, n;

	assert_true(log_keep_find(memory, &v));
	count = read_lines(&v);
	resets++;
	if (!count) {
		assert_true(written <= 1);
		return;
	}
	assert_int_equal(sscanf(seen.text[count - 1], "%u", &n), 1);
	assert_true(n == written || n + 1 == written);
	for (unsigned i = 0; i < count; i++) {
		unsigned got;

		assert_int_equal(sscanf(seen.text[i], "%u", &got), 1);
		assert_int_equal(got, n - (count - 1 - i));
	}
	/* Not less than it must be. */
	assert_true(count == n || v.state.head - v.state.tail > LOG_KEEP_RING - 2 * LOG_KEEP_LINE);
}

static void reset_at_any_moment(unused void **state)
{
	log_keep_begin(&writer, area, NULL, flush);
	/* Positions wrap at 2^32, too. */
	writer.now.head = writer.now.tail = 0U - 20000;
	log_keep_line(&writer, "0", 1);
	written = resets = 0;
	log_keep_begin(&writer, area, NULL, flush);
	writer.now.head = writer.now.tail = 0U - 20000;
	at_flush = reset_here;
	for (written = 1; written < 400; written++)
		number_line(written);
	assert_true(resets > 800);
	/* Two flushes a line, a third where old ones make room, a fourth where it goes around the ring's end. */
	assert_true(resets < 400 * 4);
}

static void stopped_in_the_middle(unused void **state)
{
	struct log_keep_view v;

	log_keep_begin(&writer, area, NULL, flush);
	line("whole");
	/* Bytes that are in the ring and do not count, and a writer that does not know any more where it was. */
	memcpy(&writer.keep->ring[writer.now.head], "torn", 4);
	writer.now.head += 3;
	writer.now.sum[0] += 99;
	writer.now.turn++;
	log_keep_recover(&writer);
	log_keep_end(&writer, LOG_END_PANIC, "why");
	line("what");
	assert_true(reset(&v));
	assert_int_equal(v.state.end, LOG_END_PANIC);
	assert_int_equal(read_lines(&v), 2);
	assert_string_equal(seen.text[0], "whole");
	assert_string_equal(seen.text[1], "what");
}

/* One bit anywhere: nothing is found, or what was there before the last line. */
static void any_bit(unused void **state)
{
	const size_t used = offsetof(struct log_keep, ring) + 10 * 13;
	struct log_keep_view v;
	unsigned older = 0;

	log_keep_begin(&writer, area, NULL, flush);
	for (unsigned i = 0; i < 10; i++)
		line("twelve chars");
	log_keep_end(&writer, LOG_END_PANIC, "one bit");
	for (size_t bit = 0; bit < used * 8; bit++) {
		u8 *byte = (u8 *)area + bit / 8;

		*byte ^= (u8)(1U << bit % 8);
		if (log_keep_find(area, &v)) {
			bool record = v.state.end == LOG_END_PANIC;
			/* The padding is nobody's. */
			assert_true(record || v.state.end == LOG_END_NONE);
			older += !record;
			assert_int_equal(read_lines(&v), 10);
			assert_string_equal(seen.text[9], "twelve chars");
		} else {
			assert_true(bit < 24 * 8 || bit >= 192 * 8);
		}
		*byte ^= (u8)(1U << bit % 8);
	}
	/* The later record's 32 bytes and the reason's, where the record before does without them. */
	assert_int_equal(older, (32 + LOG_KEEP_REASON) * 8);
}

static void the_later_one(unused void **state)
{
	struct log_keep_view v;

	/* The count of boots wraps. */
	log_keep_begin(&writer, area, NULL, flush);
	writer.keep->boot = ~0U;
	assert_false(log_keep_find(area, &v));
	setup(NULL);
	log_keep_begin(&writer, area, NULL, flush);
	assert_true(log_keep_find(area, &v));
	for (unsigned n = 2; n < 6; n++) {
		log_keep_begin(&writer, area, &v, flush);
		assert_true(log_keep_find(area, &v));
		assert_int_equal(v.keep->boot, n);
		assert_ptr_equal(v.keep, writer.keep);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(boots, setup),
		cmocka_unit_test_setup(ends, setup),
		cmocka_unit_test_setup(hostile_text, setup),
		cmocka_unit_test_setup(reset_at_any_moment, setup),
		cmocka_unit_test_setup(stopped_in_the_middle, setup),
		cmocka_unit_test_setup(any_bit, setup),
		cmocka_unit_test_setup(the_later_one, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
