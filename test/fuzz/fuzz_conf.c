/* SPDX-License-Identifier: MIT */
/* SOURCES: vmm/machine/conf.c vmm/machine/conf_check.c vmm/lib/fmt.c */
/* Any bytes as a havoc.conf: whatever is not marked as broken is within its limits. */
#include <stdlib.h>
#include <string.h>

#include <vmm/conf.h>
#include <vmm/machine.h>
#include <vmm/sched.h>

static unsigned told;

static void note(void *ctx, unsigned line, const char *sentence)
{
	(void)ctx;
	(void)line;
	if (!sentence[0])
		abort();
	told++;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct conf c;
	const struct conf_report report = {.mistake = note};
	const struct conf_machine m = {.cpus = 4, .memory = MiB(1024)};

	told = 0;
	conf_parse(&c, (const char *)data, size, &report);
	conf_check(&c, &m, &report);
	if (c.mistakes != told || c.vms > CONF_VMS_MAX)
		abort();
	for (unsigned i = 0; i < c.vms; i++) {
		const struct conf_vm *v = &c.vm[i];

		if (!memchr(v->name, 0, sizeof(v->name)) ||
		    !memchr(v->kernel, 0, sizeof(v->kernel)) ||
		    !memchr(v->cmdline, 0, sizeof(v->cmdline)))
			abort();
		if (v->broken)
			continue;
		if (v->memory < MACHINE_MEM_MIN || v->memory > MACHINE_MEM_MAX || !v->cpus ||
		    v->cpus > MACHINE_CPUS_MAX || v->weight < SCHED_WEIGHT_MIN ||
		    v->weight > SCHED_WEIGHT_MAX || !(v->affinity & 0xf))
			abort();
	}
	return 0;
}
