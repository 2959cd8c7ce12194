/* SPDX-License-Identifier: MIT */
/*
 * havoc.conf, looked at as a whole: what no single line shows. Called after conf_parse(), with the machine as far as it is
 * known: at boot all of it, on a development host what the user said.
 */
#include <vmm/fmt.h>
#include <vmm/string.h>

#include "conf_priv.h"

/* With what a guest costs beside its own memory, at the most: tables, the VM itself with a vcpu; the other vcpus. */
static u64 cost_of(const struct conf_vm *v)
{
	/* Nested tables take 4 KiB a GiB with 2 MiB pages; twice that is enough. */
	return v->memory + MiB(1) + (v->memory >> 17) + (v->cpus - 1) * KiB(24);
}

static void name_of(const struct conf_vm *v, const char *own, const char *of_image, char *out)
{
	if (v->image[0])
		fmt_s(out, CONF_PATH_MAX, "%s/%s", v->image, of_image);
	else
		fmt_s(out, CONF_PATH_MAX, "%s", own);
}

void conf_kernel_name(const struct conf_vm *v, char *out)
{
	name_of(v, v->kernel, "bzImage", out);
}

void conf_initrd_name(const struct conf_vm *v, char *out)
{
	name_of(v, v->initrd, "initramfs.cpio.gz", out);
}

void conf_cmdline_name(const struct conf_vm *v, char *out)
{
	name_of(v, "", "cmdline", out);
}

#define mistake(...)                                                                               \
	do {                                                                                       \
		v->broken = true;                                                                  \
		conf_mistake(c, r, v->line, __VA_ARGS__);                                          \
	} while (0)

static void check_images(struct conf *c, struct conf_vm *v, const struct conf_machine *m,
			 const struct conf_report *r)
{
	char name[CONF_PATH_MAX];

	if (v->image[0] && (v->kernel[0] || v->initrd[0])) {
		mistake("guest %s has both an image and a kernel or initrd: leave one of them out",
			v->name);
		return;
	}
	if (!v->image[0] && !v->kernel[0]) {
		mistake("guest %s has nothing to run: write image = NAME or kernel = FILE",
			v->name);
		return;
	}
	if (!m->has_image)
		return;
	conf_kernel_name(v, name);
	if (v->image[0] && !m->has_image(m->ctx, name)) {
		mistake("the image %s of guest %s is missing: make it (make guest), or write its right name",
			v->image, v->name);
		return;
	}
	if (!m->has_image(m->ctx, name))
		mistake("the kernel %s of guest %s is missing: give it, or write its right name",
			name, v->name);
	conf_initrd_name(v, name);
	if (name[0] && !m->has_image(m->ctx, name))
		mistake("the initrd %s of guest %s is missing: give it, or write its right name",
			name, v->name);
	for (unsigned i = 0; i < v->modules; i++) {
		if (!m->has_image(m->ctx, v->module[i].file))
			mistake("the module %s of guest %s is missing: give it, or write its right name",
				v->module[i].file, v->name);
	}
}

static u64 machine_cpus(const struct conf_machine *m)
{
	return m->cpus && m->cpus < 64 ? BIT(m->cpus) - 1 : ~0ULL;
}

static unsigned count_bits(u64 mask)
{
	unsigned n = 0;

	for (; mask; mask &= mask - 1)
		n++;
	return n;
}

static void check_cpus(struct conf *c, struct conf_vm *v, const struct conf_machine *m,
		       const struct conf_report *r)
{
	unsigned count = count_bits(v->affinity & machine_cpus(m));

	if (v->affinity_set && v->affinity & ~machine_cpus(m))
		mistake("guest %s is to run on CPU %u, and the machine has %u (0 to %u): choose among these",
			v->name, 63 - (unsigned)__builtin_clzll(v->affinity), m->cpus, m->cpus - 1);
	else if (v->dedicated && !v->affinity_set)
		mistake("guest %s is to have dedicated CPUs: say which, by affinity", v->name);
	else if (v->dedicated && count != v->cpus)
		mistake("guest %s has %u CPUs and is dedicated %u: give it one for each", v->name,
			v->cpus, count);
}

/* Nobody else may be on them, and somewhere the others must be. */
static void check_dedicated(struct conf *c, struct conf_vm *v, const struct conf_machine *m,
			    const struct conf_report *r)
{
	u64 taken = 0;

	for (unsigned i = 0; i < c->vms; i++) {
		const struct conf_vm *o = &c->vm[i];

		if (o == v || o->broken || !o->dedicated)
			continue;
		taken |= o->affinity;
		if (v->dedicated && o < v && v->affinity & o->affinity) {
			mistake("CPU %u is dedicated to guest %s already (line %u): choose another for guest %s",
				(unsigned)__builtin_ctzll(v->affinity & o->affinity), o->name,
				o->line, v->name);
			return;
		}
	}
	if (!v->dedicated && !(v->affinity & ~taken & machine_cpus(m)))
		mistake("all CPUs on which guest %s may run are dedicated to others: leave it one",
			v->name);
}

/* A port is one guest's. */
static void check_serial(struct conf *c, struct conf_vm *v, const struct conf_report *r)
{
	for (unsigned i = 0; v->serial && &c->vm[i] != v; i++) {
		const struct conf_vm *o = &c->vm[i];

		if (!o->broken && o->serial == v->serial)
			mistake("com%u is guest %s's already (line %u): choose another for guest %s",
				v->serial, o->name, o->line, v->name);
	}
}

void conf_check(struct conf *c, const struct conf_machine *m, const struct conf_report *r)
{
	u64 memory = 0;
	bool found = !c->input[0];

	if (!c->vms)
		conf_mistake(c, r, 0, "there is no guest in it: write a section [vm NAME]");
	for (unsigned i = 0; i < c->vms; i++) {
		check_images(c, &c->vm[i], m, r);
		check_cpus(c, &c->vm[i], m, r);
		check_serial(c, &c->vm[i], r);
	}
	for (unsigned i = 0; i < c->vms; i++) {
		struct conf_vm *v = &c->vm[i];

		if (!v->broken)
			check_dedicated(c, v, m, r);
		found |= !strcmp(v->name, c->input);
		if (v->broken || !v->autostart || !m->memory)
			continue;
		if (memory + cost_of(v) > m->memory)
			mistake("guest %s is to have %llu MiB, and %llu MiB of %llu are left for it: give it less",
				v->name, (unsigned long long)(v->memory >> 20),
				(unsigned long long)((m->memory - memory) >> 20),
				(unsigned long long)(m->memory >> 20));
		else
			memory += cost_of(v);
	}
	if (!found)
		conf_mistake(c, r, c->input_line, "input = %s: there is no guest of that name",
			     c->input);
}
