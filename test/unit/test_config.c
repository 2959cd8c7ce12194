/* SPDX-License-Identifier: MIT */
/*
 * vmm/machine/config.c: defaults, every option, quoting as GRUB does it, mistakes and their
 * sentences; and that the committed docs/options.md is what tools/gen-options-doc.c writes.
 */
/* SOURCES: vmm/machine/config.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/config.h>

int gen_main(void);
#define main gen_main
#include "tools/gen-options-doc.c" /* NOLINT(bugprone-suspicious-include) */
#undef main

static struct config c;
static char said[4096];

static void report(void *ctx, const char *sentence)
{
	assert_ptr_equal(ctx, &c);
	assert_true(strlen(said) + strlen(sentence) + 2 < sizeof(said));
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", sentence);
}

static unsigned parse(const char *text)
{
	said[0] = '\0';
	config_defaults(&c);
	return config_parse(&c, text, report, &c);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(c.mem, MiB(128));
	assert_false(c.cmdline_set);
	assert_true(c.console_serial);
	assert_true(c.console_screen);
	assert_int_equal(c.console_port, 0x3f8);
	assert_int_equal(c.console_speed, 115200);
	assert_int_equal(c.on_idle, END_POWEROFF);
	assert_int_equal(c.on_error, END_HALT);
	assert_false(c.hypercall_console);
	assert_false(c.hypercall_compat);
	assert_int_equal(c.loglevel, LOG_INFO);
	assert_int_equal(parse("  \t \n "), 0);
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(
		parse("mem=1G cmdline=quiet console=com2,9600 on-idle=halt on-error=reboot "
		      "exit-port=0xf4 keymap=de hypercall.console=on hypercall.compat=on loglevel=warn"),
		0);
	assert_string_equal(said, "");
	assert_int_equal(c.mem, GiB(1));
	assert_true(c.cmdline_set);
	assert_string_equal(c.cmdline, "quiet");
	assert_int_equal(c.console_port, 0x2f8);
	assert_int_equal(c.console_speed, 9600);
	assert_int_equal(c.on_idle, END_HALT);
	assert_int_equal(c.on_error, END_REBOOT);
	assert_int_equal(c.exit_port, 0xf4);
	assert_int_equal(c.keymap, KEYMAP_DE);
	assert_true(c.hypercall_console);
	assert_true(c.hypercall_compat);
	assert_int_equal(c.loglevel, LOG_WARN);
	/* The last one wins. */
	assert_int_equal(parse("mem=1G mem=2G"), 0);
	assert_int_equal(c.mem, GiB(2));
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		u64 mem; /* 0: a mistake */
	} rows[] = {
		{"mem=16M", MiB(16)},
		{"mem=32m", MiB(32)},
		{"mem=65536K", MiB(64)},
		{"mem=2g", GiB(2)},
		{"mem=1T", GiB(1024)},
		{"mem=134217728", MiB(128)},
		{"mem=134217729", MiB(128)},
		{"mem=0x2000000", MiB(32)},
		{"mem=15M", 0},
		{"mem=0", 0},
		{"mem=", 0},
		{"mem=-1", 0},
		{"mem=M", 0},
		{"mem=1.5G", 0},
		{"mem=16MB", 0},
		{"mem=16Q", 0},
		{"mem=5T", 0},
		{"mem=0x", 0},
		{"mem=18446744073709551616", 0},
		{"mem=18446744073709551615T", 0},
		{"mem=99999999999999999999999", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), rows[i].mem ? 0 : 1);
		assert_int_equal(c.mem, rows[i].mem ? rows[i].mem : MiB(128));
	}
}

static void test_cpus(void **state)
{
	(void)state;
	assert_int_equal(parse("cpus=64"), 0);
	assert_int_equal(c.cpus, 64);
	assert_int_equal(parse("cpus=65"), 1);
	assert_int_equal(c.cpus, 1);
	assert_int_equal(parse("cpus=0"), 1);
	assert_int_equal(parse("cpus=2x"), 1);
	assert_int_equal(parse("cpus=18446744073709551617"), 1);
}

static void test_console(void **state)
{
	static const struct {
		const char *text;
		bool ok, serial;
		u16 port;
		u32 speed;
	} rows[] = {
		{"console=com1", true, true, 0x3f8, 115200},
		{"console=com3,57600", true, true, 0x3e8, 57600},
		{"console=com4,2", true, true, 0x2e8, 2},
		{"console=0x2f0", true, true, 0x2f0, 115200},
		{"console=1016,300", true, true, 1016, 300},
		{"console=none", true, false, 0x3f8, 115200},
		{"console=com5", false, true, 0x3f8, 115200},
		{"console=com1,", false, true, 0x3f8, 115200},
		{"console=com1,0", false, true, 0x3f8, 115200},
		{"console=com1,1", false, true, 0x3f8, 115200},
		{"console=com1,115201", false, true, 0x3f8, 115200},
		{"console=com1,100000", false, true, 0x3f8, 115200},
		{"console=com1,9600,8n1", false, true, 0x3f8, 115200},
		{"console=0", false, true, 0x3f8, 115200},
		{"console=0xffff", false, true, 0x3f8, 115200},
		{"console=0x3f8xyz", false, true, 0x3f8, 115200},
		{"console=,9600", false, true, 0x3f8, 115200},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), !rows[i].ok);
		assert_int_equal(c.console_serial, rows[i].serial);
		assert_int_equal(c.console_port, rows[i].port);
		assert_int_equal(c.console_speed, rows[i].speed);
	}
}

/*
 * The left side as it comes from GRUB or is written by hand; the right side as the guest shall get
 * it.
 */
static void test_quotes(void **state)
{
	static const struct {
		const char *text, *cmdline;
	} rows[] = {
		{"cmdline=quiet", "quiet"},
		{"cmdline=\"a b\"", "a b"},
		{"\"cmdline=a b\"", "a b"}, /* GRUB's own way */
		{"'cmdline=a b'", "a b"},
		{"cmdline='a \"b\" c'", "a \"b\" c"},
		{"\"cmdline=a=\\\"b c\\\" d\"", "a=\"b c\" d"},
		{"\"cmdline=it\\'s\"", "it's"},
		{"\"cmdline=it's\"", "it's"},
		{"cmdline=a\\ b", "a b"},
		{"\"cmdline=c:\\\\x\"", "c:\\x"},
		{"cmdline=a\\nb", "a\\nb"}, /* no other escapes */
		{"cmdline=\"\"", ""},
		{"cmdline=", ""},
		{"cmdline=a=b=c", "a=b=c"},
		{"cmdline=\"a  b\"", "a  b"},
		{"cmdline=a\"b c\"d", "ab cd"},
		{"cmdline=a\\", "a\\"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), 0);
		assert_true(c.cmdline_set);
		assert_string_equal(c.cmdline, rows[i].cmdline);
	}
	/* What follows is an option of its own. */
	assert_int_equal(parse("\"cmdline=console=ttyS0 quiet\" mem=64M"), 0);
	assert_string_equal(c.cmdline, "console=ttyS0 quiet");
	assert_int_equal(c.mem, MiB(64));
	assert_int_equal(parse("cmdline=\"a b mem=64M"), 1);
	assert_non_null(strstr(said, "close the \""));
}

static void test_mistakes(void **state)
{
	(void)state;
	assert_int_equal(parse("on-idel=halt mem=64M"), 1);
	assert_string_equal(said, "the option on-idel is not known: did you mean on-idle=?\n");
	assert_int_equal(c.mem, MiB(64)); /* the rest counts */
	assert_int_equal(parse("memory=1G"), 1);
	assert_non_null(strstr(said, "mem=?"));
	assert_int_equal(parse("hypercall_console=on"), 1);
	assert_non_null(strstr(said, "hypercall.console=?"));
	assert_int_equal(parse("comandline=x"), 1);
	assert_non_null(strstr(said, "cmdline=?"));
	assert_int_equal(parse("log=info"), 1);
	assert_int_equal(parse("mem"), 1);
	assert_non_null(strstr(said, "the option mem has no value"));
	assert_int_equal(parse("=5"), 1);
	assert_int_equal(parse("exit-port=0 exit-port=0xfffd exit-port=1f4 exit-port=0x"), 4);
	assert_int_equal(c.exit_port, 0);
	assert_int_equal(parse("exit-port=0xfffc exit-port=501"), 0);
	assert_int_equal(c.exit_port, 501);
	assert_int_equal(parse("on-error=explode"), 1);
	assert_string_equal(
		said, "on-error=explode is not possible: the value is halt, reboot or poweroff\n");
	assert_int_equal(c.on_error, END_HALT);
	assert_int_equal(parse("MEM=1G Loglevel=info a b c"), 5);
	/* Nobody listens: still counted. */
	config_defaults(&c);
	assert_int_equal(config_parse(&c, "x=1 y=2", NULL, NULL), 2);
}

static void test_long(void **state)
{
	char *text = malloc(100000);

	(void)state;
	for (unsigned len = CONFIG_CMDLINE_MAX - 2; len < CONFIG_CMDLINE_MAX + 40; len++) {
		snprintf(text, 100000, "cmdline=%*s mem=64M", (int)len, "");
		memset(text + 8, 'a', len);
		assert_int_equal(parse(text), len >= CONFIG_CMDLINE_MAX);
		assert_int_equal(c.mem, MiB(64));
		assert_int_equal(strlen(c.cmdline), len >= CONFIG_CMDLINE_MAX ? 0 : len);
		assert_true(strlen(said) < 300);
	}
	memset(text, 'q', 99999);
	text[99999] = '\0';
	assert_int_equal(parse(text), 1);
	assert_true(strlen(said) < 300);
	memset(text, ' ', 99999);
	assert_int_equal(parse(text), 0);
	free(text);
}

/* docs/options.md is generated: `make` writes it, and this says when it was forgotten. */
static void test_docs(void **state)
{
	static char want[65536], got[65536];
	FILE *f = fmemopen(want, sizeof(want), "w");

	(void)state;
	write_doc(f);
	fclose(f);
	f = fopen("docs/options.md", "r");
	assert_non_null(f); /* tests run in the top folder */
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(got, want);
	/* Each option is there, and each default is what config_defaults() gives. */
	for (unsigned i = 0; config_doc(i); i++) {
		const struct config_option_doc *d = config_doc(i);
		char text[256];
		struct config defaults;

		assert_non_null(strstr(got, d->key));
		if (!strcmp(d->key, "cmdline"))
			continue;
		config_defaults(&defaults);
		snprintf(text, sizeof(text), "%s=%s", d->key, d->dflt);
		assert_int_equal(parse(text), 0);
		assert_memory_equal(&c, &defaults, sizeof(c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),
		cmocka_unit_test(test_sizes),    cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_sizes),    cmocka_unit_test(test_console),
		cmocka_unit_test(test_quotes),   cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_long),     cmocka_unit_test(test_docs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
