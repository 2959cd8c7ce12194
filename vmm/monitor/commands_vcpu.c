/* SPDX-License-Identifier: MIT */
/*
 * Commands that look into a vcpu: regs, x, bt. What they need is copied in the vcpu's own turn (vcpu_call()), so that it goes on
 * at once; it is printed when the copy is there. Called by the table of commands.c. SDM vol. 1 "Procedure Stack": frames.
 */
#include <vmm/errno.h>
#include <vmm/fmt.h>
#include <vmm/gmem.h>
#include <vmm/gwalk.h>
#include <vmm/host.h>
#include <vmm/string.h>

#include <arch/regs.h>

#include "monitor_priv.h"

#define POLL_MS  5
#define LIMIT_MS 10000

/* ---- In the vcpu's turn ------------------------------------------------------------------------- */

static void copy_registers(struct vcpu *v, void *arg)
{
	struct vcpu_view *view = arg;
	const struct backend_ops *ops = v->ops;

	memcpy(view->gpr, v->gpr, sizeof(view->gpr));
	view->gpr[GPR_RSP] = ops->reg_get(v, VREG_RSP);
	view->rip = ops->reg_get(v, VREG_RIP);
	view->rflags = ops->reg_get(v, VREG_RFLAGS);
	view->cr0 = ops->reg_get(v, VREG_CR0);
	view->cr2 = ops->reg_get(v, VREG_CR2);
	view->cr3 = ops->reg_get(v, VREG_CR3);
	view->cr4 = ops->reg_get(v, VREG_CR4);
	view->efer = ops->reg_get(v, VREG_EFER);
	view->cpl = (unsigned)ops->reg_get(v, VREG_CPL);
	view->bits = (unsigned)ops->reg_get(v, VREG_CODE_BITS);
	for (enum vseg s = VSEG_ES; s <= VSEG_IDTR; s++)
		ops->seg_get(v, s, &view->seg[s]);
}

/* As its supervisor, with nothing in the way: SMAP and protection keys are not for us. */
static void walk_state(const struct vcpu *v, const struct vcpu_view *view, struct gwalk_state *s)
{
	*s = (struct gwalk_state){
		.cr0 = view->cr0,
		.cr3 = view->cr3,
		.cr4 = view->cr4 & ~(u64)(CR4_SMAP | CR4_PKE),
		.efer = view->efer,
		.rflags = view->rflags,
		.phys_bits = v->vm->caps->phys_bits,
	};
}

/* As many as can be read, by its page tables. */
static unsigned read_bytes(struct vcpu *v, const struct vcpu_view *view, u64 addr, void *out,
			   unsigned len)
{
	struct gwalk_state s;
	struct gwalk_fault fault;
	unsigned got = 0;

	walk_state(v, view, &s);
	while (got < len && addr + got >= addr) { /* no further than the last address */
		unsigned n = MIN(len - got,
				 (unsigned)(PAGE_SIZE - ((addr + got) & (PAGE_SIZE - 1))));

		if (gwalk_read(&v->vm->gmem, &s, addr + got, (u8 *)out + got, n, GWALK_PEEK,
			       &fault))
			break;
		got += n;
	}
	return got;
}

static unsigned read_physical(struct vcpu *v, u64 addr, void *out, unsigned len)
{
	unsigned got = 0;

	while (got < len && addr + got >= addr) { /* no further than the last address */
		unsigned n = MIN(len - got,
				 (unsigned)(PAGE_SIZE - ((addr + got) & (PAGE_SIZE - 1))));

		if (gmem_read(&v->vm->gmem, addr + got, (u8 *)out + got, n))
			break;
		got += n;
	}
	return got;
}

static void copy_bytes(struct vcpu *v, void *arg)
{
	struct vcpu_view *view = arg;

	copy_registers(v, view);
	if (view->physical)
		view->got = read_physical(v, view->addr, view->bytes, view->len);
	else
		view->got = read_bytes(v, view, view->addr, view->bytes, view->len);
}

static void copy_frames(struct vcpu *v, void *arg)
{
	struct vcpu_view *view = arg;
	unsigned size;
	u64 at, next[2], base;

	copy_registers(v, view);
	size = view->bits / 8;
	base = view->bits == 64 ? 0 : view->seg[VSEG_SS].base;
	view->frames = 0;
	view->frame[view->frames++] = view->rip;
	for (at = view->gpr[GPR_RBP]; view->frames < BT_FRAMES; at = next[0]) {
		u8 raw[16] = {0};

		if (at & (size - 1)) {
			view->end = "the frame pointer is no address of a frame";
			return;
		}
		if (read_bytes(v, view, at + base, raw, 2 * size) != 2 * size) {
			view->end = "the frame pointer leads to no memory";
			return;
		}
		next[0] = next[1] = 0;
		memcpy(&next[0], raw, size);
		memcpy(&next[1], raw + size, size);
		view->frame[view->frames++] = next[1];
		if (next[0] <= at) { /* stacks grow down: callers' frames lie above */
			view->end = "";
			return;
		}
	}
	view->end = "there are more";
}

/* ---- The commands ------------------------------------------------------------------------------- */

/* An earlier one may have been given up: m->view is that vcpu's until it has answered. */
static bool is_free(struct monitor *m, struct report *r)
{
	if (m->call_under_way && !__atomic_load_n(&m->call.done, __ATOMIC_ACQUIRE)) {
		report_error(r, "the last guest that was asked has not answered yet: try again");
		return false;
	}
	m->call_under_way = false;
	return true;
}

static void ask(struct monitor *m, struct report *r, void (*fn)(struct vcpu *v, void *arg),
		bool (*show)(struct monitor *m, struct report *r))
{
	struct vm *vm;
	int ret;

	vm = monitor_vcpu_by(m, m->arg[0], &m->vcpu);
	if (!vm)
		return;
	m->call = (struct vcpu_call){.fn = fn, .arg = &m->view};
	ret = vcpu_call(m->hv, vm, m->vcpu, &m->call);
	if (ret == -HV_EINVAL)
		report_error(r, "guest %s has never run: it has no state yet", vm->name);
	else if (ret)
		report_error(r, "guest %s cannot be asked now: try again", vm->name);
	m->call_under_way = !ret;
	if (!ret)
		monitor_wait(m, show, POLL_MS, LIMIT_MS);
}

/* True: the copy is there, or will not come: the latter has been said. */
static bool answered(struct monitor *m, struct report *r, bool *over)
{
	*over = false;
	if (__atomic_load_n(&m->call.done, __ATOMIC_ACQUIRE)) {
		m->call_under_way = false;
		return true;
	}
	if (monitor_waited_too_long(m)) {
		report_error(r, "the guest's CPU does not answer");
		*over = true;
	}
	return false;
}

static const char *const gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					  "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const seg_names[] = {"es", "cs",   "ss", "ds",   "fs",
					"gs", "ldtr", "tr", "gdtr", "idtr"};

struct named {
	const char *name;
	u64 value;
};

/* Three in a line for a person, one field each for a program. */
static void tell_named(struct report *r, const struct named *reg, unsigned count)
{
	char line[96];
	int len = 0;

	for (unsigned i = 0; i < count; i++) {
		if (r->json) {
			report_hex(r, reg[i].name, reg[i].name, reg[i].value);
			continue;
		}
		len += fmt_s(line + len, sizeof(line) - (size_t)len, "%-6s %016llx%s", reg[i].name,
			     (unsigned long long)reg[i].value, i % 3 < 2 ? "  " : "");
		if (i % 3 == 2 || i + 1 == count) {
			report_line(r, "%s", line);
			len = 0;
		}
	}
}

static const struct report_column seg_columns[] = {
	{"name", "SEG", 4, false},   {"selector", "SELECTOR", 8, true}, {"base", "BASE", 16, true},
	{"limit", "LIMIT", 8, true}, {"attributes", "ATTR", 6, true},
};

static bool show_regs(struct monitor *m, struct report *r)
{
	const struct vcpu_view *view = &m->view;
	struct named reg[23];
	bool over;

	if (!answered(m, r, &over))
		return over;
	for (unsigned i = 0; i < 16; i++)
		reg[i] = (struct named){gpr_names[i], view->gpr[i]};
	reg[16] = (struct named){"rip", view->rip};
	reg[17] = (struct named){"rflags", view->rflags};
	reg[18] = (struct named){"efer", view->efer};
	reg[19] = (struct named){"cr0", view->cr0};
	reg[20] = (struct named){"cr2", view->cr2};
	reg[21] = (struct named){"cr3", view->cr3};
	reg[22] = (struct named){"cr4", view->cr4};
	tell_named(r, reg, ARRAY_SIZE(reg));
	report_table(r, "segments", seg_columns, ARRAY_SIZE(seg_columns));
	for (unsigned i = VSEG_ES; i <= VSEG_IDTR; i++) {
		report_cell(r, "%s", seg_names[i]);
		report_cell(r, "%04x", view->seg[i].selector);
		report_cell(r, "%016llx", (unsigned long long)view->seg[i].base);
		report_cell(r, "%08x", view->seg[i].limit);
		report_cell(r, "%05x", view->seg[i].attr);
	}
	report_table_end(r);
	report_text(r, "mode", "mode", "%u-bit code, privilege level %u", view->bits, view->cpl);
	return true;
}

void command_regs(struct monitor *m, struct report *r)
{
	if (is_free(m, r))
		ask(m, r, copy_registers, show_regs);
}

/* ---- x ------------------------------------------------------------------------------------------ */

/* Decimal, or with 0x. */
static bool parse_number(const char *text, u64 *value)
{
	bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	unsigned base = hex ? 16 : 10;

	*value = 0;
	text += hex ? 2 : 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0') :
				 (*text | 0x20) >= 'a' ? (unsigned)((*text | 0x20) - 'a') + 10 :
							 base;

		if (digit >= base || *value > (~0ULL - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	return true;
}

static const struct report_column byte_columns[] = {
	{"address", "ADDRESS", 16, false},
	{"bytes", "BYTES", 47, false},
	{"text", "TEXT", 0, false},
};

static bool show_bytes(struct monitor *m, struct report *r)
{
	const struct vcpu_view *view = &m->view;
	bool over;

	if (!answered(m, r, &over))
		return over;
	if (!view->got) {
		report_error(r, "guest-%s address 0x%llx is no memory of the guest's",
			     view->physical ? "physical" : "virtual",
			     (unsigned long long)view->addr);
		return true;
	}
	report_table(r, "memory", byte_columns, ARRAY_SIZE(byte_columns));
	for (unsigned at = 0; at < view->got; at += 16) {
		unsigned n = MIN(view->got - at, 16U);
		char hex[52] = "", text[17] = "";
		size_t len = 0;

		for (unsigned i = 0; i < n; i++) {
			u8 b = view->bytes[at + i];

			len += (size_t)fmt_s(hex + len, sizeof(hex) - len, "%02x%s", b,
					     i + 1 < n ? " " : "");
			text[i] = b >= ' ' && b < 0x7f ? (char)b : '.';
		}
		report_cell(r, "%016llx", (unsigned long long)view->addr + at);
		report_cell(r, "%s", hex);
		report_cell(r, "%s", text);
	}
	report_table_end(r);
	if (view->got < view->len)
		report_line(r, "what follows is no memory of the guest's");
	return true;
}

void command_x(struct monitor *m, struct report *r)
{
	struct vcpu_view *view = &m->view;
	u64 addr, len = 64;
	bool physical = m->arg[1][0] == '@';

	if (!parse_number(m->arg[1] + physical, &addr)) {
		report_error(r,
			     "\"%s\" is no address: 0x1000 is, or @0x1000 for a guest-physical one",
			     m->arg[1]);
		return;
	}
	if (m->args > 2 && (!parse_number(m->arg[2], &len) || !len || len > MONITOR_BYTES)) {
		report_error(r, "\"%s\" bytes cannot be shown: choose 1 to %u", m->arg[2],
			     MONITOR_BYTES);
		return;
	}
	if (!is_free(m, r))
		return;
	view->addr = addr;
	view->len = (unsigned)len;
	view->physical = physical;
	ask(m, r, copy_bytes, show_bytes);
}

/* ---- bt ----------------------------------------------------------------------------------------- */

static const struct report_column frame_columns[] = {
	{"frame", "FRAME", 5, true},
	{"address", "ADDRESS", 0, false},
};

static bool show_frames(struct monitor *m, struct report *r)
{
	const struct vcpu_view *view = &m->view;
	bool over;

	if (!answered(m, r, &over))
		return over;
	report_table(r, "frames", frame_columns, ARRAY_SIZE(frame_columns));
	for (unsigned i = 0; i < view->frames; i++) {
		report_cell_number(r, i);
		report_cell(r, "0x%016llx", (unsigned long long)view->frame[i]);
	}
	report_table_end(r);
	if (*view->end)
		report_line(r, "%s", view->end);
	return true;
}

void command_bt(struct monitor *m, struct report *r)
{
	if (is_free(m, r))
		ask(m, r, copy_frames, show_frames);
}
