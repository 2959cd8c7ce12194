/* SPDX-License-Identifier: MIT */
/*
 * The choice of the guest's kernel, initrd and command line. PURE; called by boot/main.c. A module says what it is by
 * the first word of its string (`module2 FILE kernel console=ttyS0`); what comes after "kernel" is the guest's command
 * line, after "initrd" and "module" the text that goes with the file. Modules win over what is embedded; the option cmdline= wins over all. README "Guests".
 */
#include "boot/guest.h"

#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/string.h>

#define NO_KERNEL                                                                                  \
	"no kernel that can be booted: give a Linux bzImage (vmlinuz), or an ELF file with a PVH or Multiboot entry"

enum role { ROLE_NONE, ROLE_KERNEL, ROLE_INITRD, ROLE_MODULE, ROLE_CONFIG, ROLE_IMAGE };

static const struct {
	const char *word;
	enum role role;
} roles[] = {{"kernel", ROLE_KERNEL},
	     {"initrd", ROLE_INITRD},
	     {"module", ROLE_MODULE},
	     {"config", ROLE_CONFIG},
	     {"image", ROLE_IMAGE}};

static const char *skip_spaces(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (s[n] && s[n] != ' ' && s[n] != '\t')
		n++;
	return n;
}

static enum role word_role(const char *s, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(roles); i++) {
		if (strlen(roles[i].word) == len && !memcmp(s, roles[i].word, len))
			return roles[i].role;
	}
	return ROLE_NONE;
}

/* GRUB 2 passes what follows the file's name; other loaders pass the name too. *args: what follows the role. */
static enum role module_role(const char *string, const char **args)
{
	for (unsigned word = 0; word < 2; word++) {
		size_t len;
		enum role role;

		string = skip_spaces(string);
		len = word_length(string);
		role = word_role(string, len);
		string += len;
		if (role != ROLE_NONE) {
			*args = skip_spaces(string);
			return role;
		}
	}
	return ROLE_NONE;
}

static int kernel_set(struct load_image *out, const u8 *kernel, u64 size, const char *cmdline)
{
	if (out->kernel)
		return -HV_EEXIST;
	out->kernel = kernel;
	out->kernel_size = size;
	out->cmdline = cmdline;
	return 0;
}

static int initrd_set(struct load_image *out, const u8 *initrd, u64 size, const char *text)
{
	if (out->initrd)
		return -HV_EEXIST;
	out->initrd = initrd;
	out->initrd_size = size;
	out->initrd_text = text;
	return 0;
}

static int module_add(struct load_image *out, const u8 *data, u64 size, const char *text,
		      struct load_error *why)
{
	if (out->modules == LOAD_MODULES_MAX) {
		fmt_s(why->text, sizeof(why->text),
		      "there are more than %u modules for the kernel: leave some out",
		      LOAD_MODULES_MAX);
		return -HV_ENOSPC;
	}
	out->module[out->modules++] = (struct load_module){data, size, text};
	return 0;
}

static int module_take(struct load_image *out, const struct boot_module *m, unsigned number,
		       void *(*va)(hpa_t), struct load_error *why)
{
	u64 size = m->end - m->start;
	const char *args = "";
	enum role role = module_role(m->string, &args);
	int ret;

	if (role == ROLE_NONE) {
		fmt_s(why->text, sizeof(why->text),
		      "module %u (\"%.40s\") has no role: write \"module2 FILE kernel ARGUMENTS\", \"module2 FILE initrd\" or \"module2 FILE module TEXT\" in grub.cfg",
		      number, m->string);
		return -HV_EINVAL;
	}
	if (size == 0) {
		fmt_s(why->text, sizeof(why->text),
		      "module %u is empty: look at its file name in grub.cfg", number);
		return -HV_EINVAL;
	}
	if (role == ROLE_CONFIG || role == ROLE_IMAGE)
		return 0; /* of havoc.conf: none of this guest's business */
	if (role == ROLE_KERNEL && !load_format(va(m->start), size)) {
		fmt_s(why->text, sizeof(why->text), "module %u is " NO_KERNEL, number);
		return -HV_ENOEXEC;
	}
	if (role == ROLE_MODULE)
		return module_add(out, va(m->start), size, args, why);
	ret = role == ROLE_KERNEL ? kernel_set(out, va(m->start), size, args) :
				    initrd_set(out, va(m->start), size, args);
	if (ret)
		fmt_s(why->text, sizeof(why->text),
		      "module %u is a second %s: only one can be used", number,
		      role == ROLE_KERNEL ? "kernel" : "initrd");
	return ret;
}

int guest_choose(struct load_image *out, const struct boot_info *info, const struct config *c,
		 const struct guest_embedded *embedded, void *(*va)(hpa_t), struct load_error *why)
{
	*out = (struct load_image){0};
	for (unsigned i = 0; i < info->module_count; i++) {
		int ret = module_take(out, &info->module[i], i + 1, va, why);

		if (ret)
			return ret;
	}
	if (!out->kernel) {
		if (!embedded->kernel_size) {
			fmt_s(why->text, sizeof(why->text),
			      "there is no guest image: give one as a GRUB module (module2 /bzImage kernel console=ttyS0), or build Havoc with one");
			return -HV_ENOENT;
		}
		out->kernel = embedded->kernel;
		out->kernel_size = embedded->kernel_size;
		out->cmdline = embedded->cmdline;
		if (!out->initrd) {
			out->initrd = embedded->initrd;
			out->initrd_size = embedded->initrd_size;
		}
	}
	if (c->cmdline_set)
		out->cmdline = c->cmdline;
	return 0;
}

/* ---- Of several guests ------------------------------------------------------------------------------------------ */

static const struct boot_module *module_find(const struct boot_info *info, enum role wanted,
					     const char *name)
{
	for (unsigned i = 0; i < info->module_count; i++) {
		const struct boot_module *m = &info->module[i];
		const char *args = "";

		if (module_role(m->string, &args) == wanted && m->end > m->start &&
		    (!name || !strcmp(args, name)))
			return m;
	}
	return NULL;
}

const struct boot_module *guest_config_module(const struct boot_info *info)
{
	return module_find(info, ROLE_CONFIG, NULL);
}

const struct boot_module *guest_image_module(const struct boot_info *info, const char *name)
{
	return module_find(info, ROLE_IMAGE, name);
}

/* An image's own command line ends with the file, or with its first line. */
static void cmdline_take(struct conf_vm *v, const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);
	size_t len = end ? (size_t)(end - text) : size;

	len = strnlen(text, MIN(len, sizeof(v->cmdline) - 1));
	memcpy(v->cmdline, text, len);
	v->cmdline[len] = '\0';
}

int guest_images(struct load_image *out, struct conf_vm *v, const struct boot_info *info,
		 void *(*va)(hpa_t), struct load_error *why)
{
	const struct boot_module *m;
	char name[CONF_PATH_MAX];

	*out = (struct load_image){.cmdline = v->cmdline};
	conf_kernel_name(v, name);
	m = guest_image_module(info, name);
	if (!m || !load_format(va(m->start), m->end - m->start)) {
		fmt_s(why->text, sizeof(why->text), "%s is " NO_KERNEL, name);
		return -HV_ENOEXEC;
	}
	out->kernel = va(m->start);
	out->kernel_size = m->end - m->start;
	conf_initrd_name(v, name);
	m = guest_image_module(info, name);
	if (m) {
		out->initrd = va(m->start);
		out->initrd_size = m->end - m->start;
	}
	for (unsigned i = 0; i < v->modules; i++) {
		m = guest_image_module(info, v->module[i].file);
		if (m && module_add(out, va(m->start), m->end - m->start, v->module[i].text, why))
			return -HV_ENOSPC;
	}
	conf_cmdline_name(v, name);
	m = guest_image_module(info, name);
	if (m && !v->cmdline_set)
		cmdline_take(v, va(m->start), m->end - m->start);
	return 0;
}
