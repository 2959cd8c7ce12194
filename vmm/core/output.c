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

static void append(struct vm *vm, u8 byte)
{
	struct vm_output *o = &vm->output;

	if (o->len == sizeof(o->line))
		flush(vm);
	o->line[o->len++] = (char)byte;
}

/*
 * The controls from 0x80 to 0x9f are left out, too, as bytes of their own and as UTF-8 has them, C2 80 to C2 9F: a terminal may take
 * either. So a C2 is held back until it is known what follows.
 */
static void put_high(struct vm *vm, u8 byte)
{
	struct vm_output *o = &vm->output;
	bool held = o->held;

	o->held = false;
	if (byte >= 0xc0) {
		o->follow = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
		o->held = byte == 0xc2;
		if (!o->held)
			append(vm, byte);
		return;
	}
	if (byte < 0xa0 && (held || !o->follow)) {
		o->follow = 0;
		return;
	}
	if (held)
		append(vm, 0xc2);
	if (o->follow)
		o->follow--;
	append(vm, byte);
}

static void put(struct vm *vm, u8 byte)
{
	struct vm_output *o = &vm->output;

	if (!is_text(o, byte))
		return;
	if (byte >= 0x80) {
		put_high(vm, byte);
		return;
	}
	o->follow = 0;
	o->held = false;
	if (byte == '\n')
		flush(vm);
	else
		append(vm, byte);
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
	vm->output = (struct vm_output){.len = 0};
}

/* What is typed is for one guest. */
size_t vm_input(void *ctx, u8 *buf, size_t max)
{
	struct vm *vm = ctx;

	return vm->hv->console_vm == vm ? host_console_read(buf, max) : 0;
}
