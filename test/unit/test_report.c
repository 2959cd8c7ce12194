/* SPDX-License-Identifier: MIT */
/* vmm/lib/report.c: the same told as text and as JSON; hostile values in both. */
/* SOURCES: vmm/lib/report.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/report.h>

static char out[4096];
static size_t out_len;

static void take(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	assert_true(out_len + len < sizeof(out));
	memcpy(out + out_len, text, len);
	out_len += len;
	out[out_len] = '\0';
}

static struct report begin(bool json)
{
	struct report r = {.write = take, .json = json};

	out_len = 0;
	out[0] = '\0';
	report_begin(&r);
	return r;
}

static const struct report_column columns[] = {
	{"name", "NAME", 6, false},
	{"exits", "EXITS", 7, true},
	{"state", "STATE", 8, false},
};

static void tell(struct report *r)
{
	report_text(r, "cpu", "CPU", "an %s", "AMD");
	report_number(r, "memory", "memory", 512, "MiB");
	report_section(r, "time", "Time");
	report_hex(r, "tsc", "TSC", 0xffffffffffffffff);
	report_bool(r, "invariant", "invariant", true);
	report_section_end(r);
	report_table(r, "guests", columns, 3);
	for (unsigned i = 1; i <= 2; i++) {
		report_cell(r, "g%u", i);
		report_cell_number(r, i * 1000);
		report_cell(r, "running");
	}
	report_table_end(r);
	report_list(r, "notes");
	report_item(r, "one");
	report_item(r, "two");
	report_list_end(r);
	report_line(r, "bye");
	report_end(r);
}

static void test_text(void **state)
{
	struct report r = begin(false);

	(void)state;
	tell(&r);
	assert_string_equal(out, "CPU                an AMD\r\n"
				 "memory             512 MiB\r\n"
				 "Time\r\n"
				 "TSC                0xffffffffffffffff\r\n"
				 "invariant          yes\r\n"
				 "NAME      EXITS  STATE\r\n"
				 "g1         1000  running\r\n"
				 "g2         2000  running\r\n"
				 "one\r\ntwo\r\nbye\r\n");
	assert_false(r.failed);
}

static void test_json(void **state)
{
	struct report r = begin(true);

	(void)state;
	tell(&r);
	assert_string_equal(out,
			    "{\"cpu\":\"an AMD\",\"memory\":512,"
			    "\"time\":{\"tsc\":\"0xffffffffffffffff\",\"invariant\":true},"
			    "\"guests\":[{\"name\":\"g1\",\"exits\":1000,\"state\":\"running\"},"
			    "{\"name\":\"g2\",\"exits\":2000,\"state\":\"running\"}],"
			    "\"notes\":[\"one\",\"two\"]}\r\n");
}

static void test_empty(void **state)
{
	struct report r = begin(true);

	(void)state;
	report_table(&r, "guests", columns, 3);
	report_table_end(&r);
	report_list(&r, "notes");
	report_list_end(&r);
	report_end(&r);
	assert_string_equal(out, "{\"guests\":[],\"notes\":[]}\r\n");
}

static void test_hostile(void **state)
{
	struct report r = begin(true);

	(void)state;
	report_text(&r, "name", "name", "%s", "a\"b\\c\n\x1b[2J\xff");
	report_end(&r);
	assert_string_equal(out, "{\"name\":\"a\\u0022b\\u005cc\\u000a\\u001b[2J\\u00ff\"}\r\n");
	r = begin(false);
	report_text(&r, "name", "name", "%s", "a\n\x1b[2J");
	report_item(&r, "%s", "x\r");
	report_end(&r);
	assert_string_equal(out, "name               a??[2J\r\nx?\r\n");
}

static void test_error(void **state)
{
	struct report r = begin(true);

	(void)state;
	report_error(&r, "there is no guest %s", "x");
	report_end(&r);
	assert_true(r.failed);
	assert_string_equal(out, "{\"error\":\"there is no guest x\"}\r\n");
	r = begin(false);
	report_error(&r, "there is no guest %s", "x");
	report_end(&r);
	assert_string_equal(out, "there is no guest x\r\n");
}

static void test_long_value(void **state)
{
	char longest[2 * REPORT_VALUE_MAX];
	struct report r = begin(true);

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	report_text(&r, "k", "k", "%s", longest);
	report_end(&r);
	assert_int_equal(strlen(out), strlen("{\"k\":\"\"}\r\n") + REPORT_VALUE_MAX - 1);
	assert_non_null(strstr(out, "xx...\"}\r\n"));
	longest[REPORT_VALUE_MAX - 1] = '\0';
	r = begin(true);
	report_text(&r, "k", "k", "%s", longest);
	assert_null(strchr(out, '.'));
}

/* Neither as bytes of their own nor as UTF-8 has them does a value steer the terminal; what is text stays. */
static void test_controls(void **state)
{
	struct report r = begin(false);

	(void)state;
	report_line(&r, "%s", "a\x9b\xc2\x9b\xe2\x9b\x9b\xc3\x9f\x9f\xf0\x9f\x98\x80\xc2\xa9\x80");
	assert_string_equal(out, "a?\xc2?\xe2\x9b\x9b\xc3\x9f?\xf0\x9f\x98\x80\xc2\xa9?\r\n");
}

static void test_kinds(void **state)
{
	static const struct report_column columns[] = {{"p", "P", 5, true}, {"b", "B", 3, false}};
	struct report r = begin(false);

	(void)state;
	report_tenths(&r, "t", "share", 1005, "%");
	report_table(&r, "x", columns, 2);
	report_cell_tenths(&r, 7);
	report_cell_bool(&r, true);
	report_table_end(&r);
	assert_string_equal(out, "share              100.5 %\r\n    P  B\r\n  0.7  yes\r\n");
	r = begin(true);
	report_tenths(&r, "t", "share", 1005, "%");
	report_table(&r, "x", columns, 2);
	report_cell_tenths(&r, 7);
	report_cell_bool(&r, false);
	report_table_end(&r);
	report_end(&r);
	assert_string_equal(out, "{\"t\":100.5,\"x\":[{\"p\":0.7,\"b\":false}]}\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),     cmocka_unit_test(test_json),
		cmocka_unit_test(test_empty),    cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_error),    cmocka_unit_test(test_long_value),
		cmocka_unit_test(test_controls), cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
