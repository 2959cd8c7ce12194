/* SPDX-License-Identifier: MIT */
/*
 * config_parse() with any text: whatever it holds, the result is a possible configuration, and each
 * sentence is whole.
 */
/* SOURCES: vmm/machine/config.c vmm/lib/fmt.c */
#include <stdlib.h>
#include <string.h>

#include <vmm/config.h>
#include <vmm/machine.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void report(void *ctx, const char *sentence)
{
	unsigned *count = ctx;

	(*count)++;
	if (strlen(sentence) < 10 || strlen(sentence) > 239)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	unsigned count = 0;
	struct config c;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	config_defaults(&c);
	if (config_parse(&c, text, report, &count) != count)
		abort();
	free(text);
	if (c.mem < MACHINE_MEM_MIN || c.mem > MACHINE_MEM_MAX || c.mem % PAGE_SIZE)
		abort();
	if (!memchr(c.cmdline, 0, sizeof(c.cmdline)) || (!c.cmdline_set && c.cmdline[0]))
		abort();
	if (c.on_idle > END_HALT || c.on_error > END_HALT || c.loglevel > LOG_DEBUG)
		abort();
	if (!c.console_port || c.console_port > 0xfff8 || c.console_speed < 2 ||
	    115200 % c.console_speed)
		abort();
	return 0;
}
