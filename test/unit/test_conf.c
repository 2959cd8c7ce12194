/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/machine/conf.c vmm/machine/conf_check.c vmm/lib/fmt.c */
/*
 * havoc.conf: every key, every mistake with its line and its sentence, and what only the whole shows; that docs/config.md is
 * what tools/havoc-config --doc writes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int havoc_config_main(int argc, char **argv);
#define main havoc_config_main
#include "tools/havoc-config.c" /* NOLINT(bugprone-suspicious-include) */
#undef main

#include <vmm/config.h>
#include <vmm/machine.h>

static struct conf c;
static char told[8192];

static void note(void *ctx, unsigned line, const char *sentence)
{
	(void)ctx;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%u: %s\n", line, sentence);
}

static const struct conf_report report = {.mistake = note};

static bool any_image(void *ctx, const char *name)
{
	(void)ctx;
	return !strstr(name, "missing");
}

static const struct conf_machine four_cpus = {
	.cpus = 4, .memory = MiB(1024), .has_image = any_image};

static void read_conf(const char *s)
{
	told[0] = 0;
	conf_parse(&c, s, strlen(s), &report);
	conf_check(&c, &four_cpus, &report);
}

static void says(const char *s, const char *sentence)
{
	read_conf(s);
	if (!strstr(told, sentence))
		fail_msg("of:\n%s\nit says:\n%s\nand not: %s", s, told, sentence);
	assert_true(c.mistakes > 0);
}

static void everything(void **state)
{
	const struct conf_vm *v = &c.vm[0];

	(void)state;
	read_conf(
		"\xef\xbb\xbf# all\r\n[host]\non-idle = halt\non-error=reboot\n input = b \n\n"
		"[vm a]\n kernel = dir/bzImage\n initrd = rd\n cmdline = a = b # c\n memory = 1G\n"
		"affinity = 0-1, 3\nweight = 7\nmachine = pc\nhypercalls = compat\n; no\n"
		"module = dir/a  first text = 1 \nmodule = b\nexit-port = 0xF4\n"
		"autostart = off\non-reboot = stop\non-crash = hold\nwatchdog = 90s\ncpus = 1\n"
		"[ vm   b ]\nimage = tiny\nmemory=64M\naffinity=2\ndedicated=on\n"
		"[vm c.-_9]\nimage=x\nexit-port = none");
	assert_string_equal(told, "");
	assert_int_equal(c.mistakes, 0);
	assert_int_equal(c.vms, 3);
	assert_int_equal(c.on_idle, END_HALT);
	assert_true(c.on_idle_set);
	assert_int_equal(c.on_error, END_REBOOT);
	assert_string_equal(v->name, "a");
	assert_string_equal(v->kernel, "dir/bzImage");
	assert_string_equal(v->cmdline, "a = b # c");
	assert_true(v->cmdline_set);
	assert_int_equal(v->memory, GiB(1));
	assert_int_equal(v->affinity, 0xb);
	assert_int_equal(v->weight, 7);
	assert_int_equal(v->hypercalls, CONF_HYPERCALLS_COMPAT);
	assert_int_equal(v->modules, 2);
	assert_string_equal(v->module[0].file, "dir/a");
	assert_string_equal(v->module[0].text, "first text = 1");
	assert_string_equal(v->module[1].file, "b");
	assert_string_equal(v->module[1].text, "");
	assert_int_equal(v->exit_port, 0xf4);
	assert_int_equal(c.vm[1].exit_port, 0);
	assert_int_equal(c.vm[2].exit_port, 0);
	assert_false(v->autostart);
	assert_int_equal(v->on_reboot, CONF_STOP);
	assert_int_equal(v->on_crash, CONF_HOLD);
	assert_int_equal(v->watchdog, 90);
	assert_true(c.vm[1].dedicated);
	assert_int_equal(c.vm[2].memory, MiB(128));
	assert_int_equal(c.vm[2].on_crash, CONF_STOP);
	assert_true(c.vm[2].autostart && !c.vm[2].cmdline_set);
}

static void devices(void **state)
{
	(void)state;
	read_conf("[vm a]\nimage = x\n[vm b]\nimage = x\ndevices = none\n[vm c]\nimage = x\n"
		  "devices = rtc\n[vm d]\nimage = x\ndevices = rtc ,serial\n");
	assert_string_equal(told, "");
	assert_int_equal(c.vm[0].left_out, MACHINE_HPET);
	assert_int_equal(c.vm[1].left_out, MACHINE_SERIAL | MACHINE_RTC | MACHINE_HPET);
	assert_int_equal(c.vm[2].left_out, MACHINE_SERIAL | MACHINE_HPET);
	assert_int_equal(c.vm[3].left_out, MACHINE_HPET);
	read_conf("[vm a]\nimage = x\ndevices = hpet, serial\n"
		  "[vm b]\nimage = x\nmachine = minimal\n");
	assert_string_equal(told, "");
	assert_int_equal(c.vm[0].left_out, MACHINE_RTC);
	assert_int_equal(c.vm[0].machine, 0);
	assert_int_equal(c.vm[1].left_out, MACHINE_HPET);
	assert_int_equal(c.vm[1].machine, MACHINE_LEGACY | MACHINE_PCI);
}

static void mistakes(void **state)
{
	(void)state;
	says("", "0: there is no guest in it: write a section [vm NAME]");
	says("[vm a]\nimage = x\nmemroy = 64M\n",
	     "3: the key memroy is not known in [vm]: did you mean memory?");
	says("[host]\nonidle = halt\n",
	     "2: the key onidle is not known in [host]: did you mean on-idle?");
	says("[vm a]\nimage = x\nmemory = lots\n",
	     "3: memory = lots is not possible: the value is a number with K, M or G");
	says("[vm a]\nimage = x\nmemory = 1M\n", "memory = 1M is not possible");
	says("[vm a]\nimage = x\nmemory = 99999999999T\n", "is not possible");
	says("[vm a]\nimage = x\nweight = 0\n",
	     "weight = 0 is not possible: the value is 1 to 10000");
	says("[vm a]\nimage = x\nweight = 10001\n", "weight = 10001 is not possible");
	says("[vm a]\nimage = x\ncpus = 9999\n", "cpus = 9999 is not possible");
	says("[vm a]\nimage = x\ncpus = 65\n", "cpus = 65 is not possible: the value is 1 to 64");
	says("[vm a]\nimage = x\nwatchdog = 30\n",
	     "watchdog = 30 is not possible: the value is off, or seconds: 30s");
	says("[vm a]\nimage = x\naffinity = 3-1\n", "affinity = 3-1 is not possible");
	says("[vm a]\nimage = x\naffinity = 64\n", "affinity = 64 is not possible");
	says("[vm a]\nimage = x\nmachine = q35\n",
	     "3: machine = q35 is not possible: the value is pc or minimal");
	says("[vm a]\nimage = x\non-reboot = hold\n",
	     "on-reboot = hold is not possible: the value is restart or stop");
	says("[vm a]\nimage = x\nweight = 7\nweight = 8\n",
	     "4: weight was given already, in line 3: leave one of the two");
	says("[vm a]\nimage = x\nmemory = 1\nmemory = 1G\n",
	     "4: memory was given already, in line 3: leave one of the two");
	says("[host]\non-idle = halt\n[vm b]\nimage = x\n[host]\non-idle = halt\ninput = nobody\n",
	     "nobody");
	says("[vm a]\nimage = x\ndevices = serial; rtc\n",
	     "3: devices = serial; rtc is not possible: the value is serial, rtc, hpet, with");
	says("[vm a]\nimage = x\ndevices = rtcs\n", "devices = rtcs is not possible");
	says("[vm a]\nimage = x\ndevices = serial,\n", "devices = serial, is not possible");
	says("[vm a]\nimage = x\ndevices =\n", "devices =  is not possible");
	says("[vm a]\nimage = x\ndevices = none, rtc\n", "is not possible");
	says("[vm a]\nimage = x\nautostart\n",
	     "3: \"autostart\" is no line of this file: write key = value");
	says("image = x\n", "1: this stands before any section");
	says("[vm a\nimage = x\n", "1: a section's line ends with ]");
	says("[guest a]\nimage = x\n",
	     "1: the section [guest a] is not known: write [host] or [vm NAME]");
	says("[vm a/b]\nimage = x\n", "1: [vm a/b] is no name");
	says("[vm a]\nimage=x\n[vm a]\nimage=x\n",
	     "3: there is a guest a already, in line 1: choose another name");
	says("[vm a]\nmemory = 64M\n",
	     "1: guest a has nothing to run: write image = NAME or kernel = FILE");
	says("[vm a]\nimage = x\nkernel = y\n",
	     "1: guest a has both an image and a kernel or initrd");
	says("[vm a]\nimage = missing\n",
	     "1: the image missing of guest a is missing: make it (make guest)");
	says("[vm a]\nkernel = missing/bzImage\n",
	     "1: the kernel missing/bzImage of guest a is missing");
	says("[vm a]\nkernel = k\ninitrd = missing\n", "the initrd missing of guest a is missing");
	says("[vm a]\nkernel = k\nmodule = missing text\n",
	     "1: the module missing of guest a is missing");
	says("[vm a]\nkernel = k\nmodule =\n", "the value is a file, a space, and text");
	says("[vm a]\nkernel=k\nmodule=1\nmodule=2\nmodule=3\nmodule=4\nmodule=5\nmodule=6\nmodule=7\n"
	     "module=8\nmodule=9\n",
	     "11: module = 9 is not possible: the value is a file, a space, and text; at most 8 times");
	says("[vm a]\nimage = x\nexit-port = 0\n",
	     "exit-port = 0 is not possible: the value is none, or a port of the guest's: 0xf4");
	says("[vm a]\nimage = x\nexit-port = 0xfffd\n", "is not possible");
	says("[vm a]\nimage = x\nexit-port = 0xg\n", "0xg is not possible");
	says("[vm a]\nimage = x\nexit-port = 0xf4\n exit-port = none\n",
	     "4: exit-port was given already, in line 3: leave one of the two");
	says("[vm a]\nimage = x\nexit-port = 65533\n", "is not possible");
	says("[vm a]\nimage = x\nexit-port = 0xfffffffffffffffff4\n", "is not possible");
	says("[vm a]\nimage = x\naffinity = 2-7\n",
	     "guest a is to run on CPU 7, and the machine has 4 (0 to 3)");
	says("[vm a]\nimage = x\ndedicated = on\n",
	     "guest a is to have dedicated CPUs: say which, by affinity");
	says("[vm a]\nimage = x\ndedicated = on\naffinity = 0,1\n",
	     "guest a has 1 CPUs and is dedicated 2: give it one for each");
	says("[vm a]\nimage=x\ndedicated=on\naffinity=1\n[vm b]\nimage=x\ndedicated=on\naffinity=1\n",
	     "5: CPU 1 is dedicated to guest a already (line 1): choose another for guest b");
	says("[vm a]\nimage=x\ndedicated=on\naffinity=1\n[vm b]\nimage=x\naffinity=1\n",
	     "5: all CPUs on which guest b may run are dedicated to others: leave it one");
	says("[vm a]\nimage=x\nmemory=900M\n[vm b]\nimage=x\nmemory=200M\n",
	     "4: guest b is to have 200 MiB, and 122 MiB of 1024 are left for it: give it less");
	says("[host]\ninput = z\n[vm a]\nimage=x\n",
	     "2: input = z: there is no guest of that name");
}

/* One guest's mistake is not the others'. */
static void only_one_is_broken(void **state)
{
	(void)state;
	read_conf("[vm a]\nimage = x\nmemroy = 1\n[vm b]\nimage = x\n[vm c]\nimage = missing\n");
	assert_true(c.vm[0].broken);
	assert_false(c.vm[1].broken);
	assert_true(c.vm[2].broken);
}

static void limits(void **state)
{
	static char big[CONF_SIZE_MAX + 2];
	unsigned at = 0;

	(void)state;
	memset(big, ' ', sizeof(big));
	told[0] = 0;
	conf_parse(&c, big, sizeof(big), &report);
	assert_non_null(strstr(told, "0: the file is larger than 64 KiB"));
	told[0] = 0;
	conf_parse(&c, big, 5000, &report);
	assert_non_null(strstr(told, "1: the line is too long"));
	told[0] = 0;
	conf_parse(&c, "[vm a]\nimage\0 = x\n", 18, &report);
	assert_non_null(strstr(told, "2: the line holds a zero byte"));
	for (unsigned i = 0; i < CONF_VMS_MAX + 1; i++)
		at += (unsigned)snprintf(big + at, sizeof(big) - at, "[vm v%u]\nimage=x\n", i);
	told[0] = 0;
	conf_parse(&c, big, at, &report);
	assert_int_equal(c.vms, CONF_VMS_MAX);
	assert_non_null(strstr(told, "there are 64 guests already"));
}

static void names(void **state)
{
	char name[CONF_PATH_MAX];

	(void)state;
	read_conf("[vm a]\nimage = tiny\n[vm b]\nkernel = k\n");
	conf_kernel_name(&c.vm[0], name);
	assert_string_equal(name, "tiny/bzImage");
	conf_cmdline_name(&c.vm[0], name);
	assert_string_equal(name, "tiny/cmdline");
	conf_kernel_name(&c.vm[1], name);
	assert_string_equal(name, "k");
	conf_initrd_name(&c.vm[1], name);
	assert_string_equal(name, "");
}

static void document(void **state)
{
	static char committed[32768], made[32768];
	FILE *in = fopen("docs/config.md", "r"), *out = fmemopen(made, sizeof(made), "w");

	(void)state;
	assert_non_null(in);
	assert_non_null(out);
	committed[fread(committed, 1, sizeof(committed) - 1, in)] = 0;
	fclose(in);
	config_doc_write(out);
	fclose(out);
	assert_string_equal(committed, made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything), cmocka_unit_test(devices),
		cmocka_unit_test(mistakes),   cmocka_unit_test(only_one_is_broken),
		cmocka_unit_test(limits),     cmocka_unit_test(names),
		cmocka_unit_test(document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
