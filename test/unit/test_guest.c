/* SPDX-License-Identifier: MIT */
/* boot/guest.c vmm/machine/conf_check.c: what is started, and with which command line, for modules, embedded images and options. */
/* SOURCES: boot/guest.c vmm/machine/conf.c vmm/machine/conf_check.c vmm/lib/fmt.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <vmm/errno.h>
#include "boot/guest.h"

/* "Physical memory": module n lies at 0x1000 * n; a kernel begins with K. */
static u8 mem[0x10000];
static struct boot_info info;
static struct config config;
static struct load_image image;
static struct load_error why;
static const u8 kernel[] = "K embedded", initrd[] = "embedded initrd";
static struct guest_embedded embedded;

const char *load_format(const u8 *k, u64 size)
{
	return size >= 1 && k[0] == 'K' ? "K" : NULL;
}

static void *va(hpa_t pa)
{
	assert_true(pa < sizeof(mem));
	return mem + pa;
}

static int setup(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	memset(&config, 0, sizeof(config));
	memset(&why, 0, sizeof(why));
	memset(mem, 'x', sizeof(mem));
	mem[0x1000] = 'K';
	mem[0x3000] = 'K';
	embedded = (struct guest_embedded){kernel, sizeof(kernel), initrd, sizeof(initrd),
					   "embedded cmdline"};
	return 0;
}

static void module(unsigned n, u32 size, const char *string)
{
	info.module[info.module_count++] = (struct boot_module){0x1000 * n, 0x1000 * n + size,
								string};
}

static int choose(void)
{
	return guest_choose(&image, &info, &config, &embedded, va, &why);
}

static void test_embedded(void **state)
{
	(void)state;
	assert_int_equal(choose(), 0);
	assert_ptr_equal(image.kernel, kernel);
	assert_ptr_equal(image.initrd, initrd);
	assert_int_equal(image.initrd_size, sizeof(initrd));
	assert_string_equal(image.cmdline, "embedded cmdline");
	config.cmdline_set = true;
	strcpy(config.cmdline, "quiet");
	assert_int_equal(choose(), 0);
	assert_string_equal(image.cmdline, "quiet");
}

static void test_modules_win(void **state)
{
	(void)state;
	module(2, 0x500, "initrd");
	module(1, 0x800, "  kernel  console=ttyS0 quiet");
	assert_int_equal(choose(), 0);
	assert_ptr_equal(image.kernel, mem + 0x1000);
	assert_int_equal(image.kernel_size, 0x800);
	assert_ptr_equal(image.initrd, mem + 0x2000);
	assert_string_equal(image.cmdline, "console=ttyS0 quiet");
	config.cmdline_set = true;
	assert_int_equal(choose(), 0);
	assert_string_equal(image.cmdline, "");
}

/* Further files for the kernel, in their order, each with its text. */
static void test_further_modules(void **state)
{
	(void)state;
	module(1, 0x800, "kernel");
	module(4, 0x10, "module first text");
	module(2, 0x10, "initrd its text");
	module(5, 0x20, "/boot/file module");
	assert_int_equal(choose(), 0);
	assert_string_equal(image.initrd_text, "its text");
	assert_int_equal(image.modules, 2);
	assert_ptr_equal(image.module[0].data, mem + 0x4000);
	assert_int_equal(image.module[0].size, 0x10);
	assert_string_equal(image.module[0].text, "first text");
	assert_ptr_equal(image.module[1].data, mem + 0x5000);
	assert_string_equal(image.module[1].text, "");
	for (unsigned i = 0; i < LOAD_MODULES_MAX - 2; i++)
		module(6, 1, "module");
	assert_int_equal(choose(), 0);
	module(6, 1, "module");
	assert_int_equal(choose(), -HV_ENOSPC);
	assert_non_null(strstr(why.text, "more than 8 modules"));
}

static void test_modules_of_conf(void **state)
{
	struct conf_vm v = {.kernel = "k", .modules = 2};

	(void)state;
	strcpy(v.module[0].file, "dir/a");
	strcpy(v.module[0].text, "first text");
	strcpy(v.module[1].file, "dir/a");
	module(1, 0x800, "image k");
	module(4, 0x10, "image dir/a");
	assert_int_equal(guest_images(&image, &v, &info, va, &why), 0);
	assert_ptr_equal(image.kernel, mem + 0x1000);
	assert_int_equal(image.modules, 2);
	assert_ptr_equal(image.module[0].data, mem + 0x4000);
	assert_string_equal(image.module[0].text, "first text");
	assert_ptr_equal(image.module[1].data, mem + 0x4000);
	assert_string_equal(image.module[1].text, "");
	mem[0x1000] = 'x';
	assert_int_equal(guest_images(&image, &v, &info, va, &why), -HV_ENOEXEC);
	assert_non_null(strstr(why.text, "k is no kernel that can be booted"));
}

/* A kernel of the user's does not get the initrd of another. */
static void test_kernel_module_alone(void **state)
{
	(void)state;
	module(1, 0x800, "kernel");
	assert_int_equal(choose(), 0);
	assert_null(image.initrd);
	assert_int_equal(image.initrd_size, 0);
	assert_string_equal(image.cmdline, "");
}

static void test_initrd_module_alone(void **state)
{
	(void)state;
	module(2, 0x10, "initrd");
	assert_int_equal(choose(), 0);
	assert_ptr_equal(image.kernel, kernel);
	assert_ptr_equal(image.initrd, mem + 0x2000);
	assert_string_equal(image.cmdline, "embedded cmdline");
}

/* Loaders that pass the file's name too. */
static void test_file_name_first(void **state)
{
	(void)state;
	module(1, 0x800, "/boot/vmlinuz kernel root=/dev/vda");
	module(2, 0x10, "/boot/initrd.gz\tinitrd");
	assert_int_equal(choose(), 0);
	assert_ptr_equal(image.kernel, mem + 0x1000);
	assert_string_equal(image.cmdline, "root=/dev/vda");
	assert_ptr_equal(image.initrd, mem + 0x2000);
}

static void fails(int error, const char *sentence)
{
	assert_int_equal(choose(), error);
	if (!strstr(why.text, sentence))
		fail_msg("\"%s\" does not say \"%s\"", why.text, sentence);
}

static void test_no_guest(void **state)
{
	(void)state;
	embedded = (struct guest_embedded){kernel, 0, initrd, 0, ""};
	fails(-HV_ENOENT, "there is no guest image");
	module(2, 0x10, "initrd");
	fails(-HV_ENOENT, "there is no guest image");
}

static void test_no_role(void **state)
{
	(void)state;
	module(1, 0x800, "");
	fails(-HV_EINVAL, "module 1 (\"\") has no role");
	info.module[0].string = "kernels initrd2 kernel";
	fails(-HV_EINVAL, "has no role");
	info.module[0].string = "a b kernel";
	fails(-HV_EINVAL, "has no role");
	info.module[0].string = "kerne";
	fails(-HV_EINVAL, "has no role");
}

static void test_no_kernel(void **state)
{
	(void)state;
	module(2, 0x800, "kernel");
	fails(-HV_ENOEXEC, "module 1 is no kernel");
}

static void test_empty_module(void **state)
{
	(void)state;
	module(1, 0x800, "kernel");
	module(2, 0, "initrd");
	fails(-HV_EINVAL, "module 2 is empty");
}

static void test_two_of_one(void **state)
{
	(void)state;
	module(1, 0x800, "kernel");
	module(3, 0x800, "kernel");
	fails(-HV_EEXIST, "module 2 is a second kernel");
	info.module_count = 0;
	module(1, 0x800, "initrd");
	module(3, 0x800, "initrd");
	fails(-HV_EEXIST, "module 2 is a second initrd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_embedded, setup),
		cmocka_unit_test_setup(test_modules_win, setup),
		cmocka_unit_test_setup(test_kernel_module_alone, setup),
		cmocka_unit_test_setup(test_further_modules, setup),
		cmocka_unit_test_setup(test_modules_of_conf, setup),
		cmocka_unit_test_setup(test_initrd_module_alone, setup),
		cmocka_unit_test_setup(test_file_name_first, setup),
		cmocka_unit_test_setup(test_no_guest, setup),
		cmocka_unit_test_setup(test_no_role, setup),
		cmocka_unit_test_setup(test_no_kernel, setup),
		cmocka_unit_test_setup(test_empty_module, setup),
		cmocka_unit_test_setup(test_two_of_one, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
