/* SPDX-License-Identifier: MIT */
/*
 * What guests write, on its way to the host's console. A lone guest's bytes pass as they are; of several each line comes
 * whole, with the guest's name before it. Called by the UART through struct chardev, and by hypercalls.
 */
#include <vmm/host.h>
#include <vmm/hv.h>
#include <vmm/string.h>

#include "core.h"

static void flush(struct vm *vm)
{
	struct vm_output *o = &vm->output;
	char line[VM_NAME_MAX + sizeof(o->line) + 6];
	size_t len = strnlen(vm->name, VM_NAME_MAX);

	line[0] = '[';
	memcpy(line + 1, vm->name, len);
	line[++len] = ']';
	line[++len] = ' ';
	len++;
	memcpy(line + len, o->line, o->len);
	len += o->len;
	line[len++] = '\r';
	line[len++] = '\n';
	host_console_write(line, len);
	o->len = 0;
}

enum { TEXT, ESCAPE, CONTROL, STRING };

/* What follows `byte` in an escape sequence (ECMA-48 "Control functions"): STRING ends with BEL, or with ESC \. */
static u8 escape_next(u8 state, u8 byte)
{
	if (byte == '\n' || byte == 0x18 || byte == 0x1a)
		return TEXT;
	if (byte == 0x1b)
		return ESCAPE;
	switch (state) {
	case ESCAPE:
		if (byte == '[')
			return CONTROL;
		if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_')
			return STRING;
		return byte >= 0x20 && byte < 0x30 ? ESCAPE : TEXT;
	case CONTROL:
		return byte >= 0x40 ? TEXT : CONTROL;
	default:
		return byte == 7 ? TEXT : STRING;
	}
}

/*
 * Where several share a terminal none has it to itself: what moves the cursor or clears the screen is left out, lest it
 * write over the others' lines, or what looks like the hypervisor's.
 */
static bool is_text(struct vm_output *o, u8 byte)
{
	if (o->escape != TEXT || byte == 0x1b) {
		o->escape = escape_next(o->escape, byte);
		return byte == '\n';
	}
	return byte == '\n' || byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static void put(struct vm *vm, u8 byte)
{
	struct vm_output *o = &vm->output;

	if (!is_text(o, byte))
		return;
	if (byte == '\n') {
		flush(vm);
		return;
	}
	if (o->len == sizeof(o->line))
		flush(vm);
	o->line[o->len++] = (char)byte;
}

void vm_output(void *ctx, const u8 *buf, size_t len)
{
	struct vm *vm = ctx;
	size_t i;

	if (!vm->hv->many) {
		host_console_write((const char *)buf, len);
		return;
	}
	for (i = 0; i < len; i++)
		put(vm, buf[i]);
}

void vm_output_end(struct vm *vm)
{
	if (vm->output.len)
		flush(vm);
}

/* What is typed is for one guest. */
size_t vm_input(void *ctx, u8 *buf, size_t max)
{
	struct vm *vm = ctx;

	return vm->hv->console_vm == vm ? host_console_read(buf, max) : 0;
}
