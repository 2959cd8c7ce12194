/* SPDX-License-Identifier: MIT */
/*
 * What is typed: whose it is, and the keys behind the escape key. Called in the interrupt that brings it, so it waits for
 * nothing. mux.h.
 */
#include <vmm/fmt.h>
#include <vmm/host.h>

#include "mux_priv.h"

/* Where the bytes went: whoever it was is told once. */
struct arrived {
	const struct vm *vm;
	bool monitor, shown;
};

/* Once, until there is another guest. */
static void tell_gone(struct mux *c, struct mux_port *p)
{
	if (p->told)
		return;
	p->told = true;
	if (c->key)
		mux_say(c,
			"havoc: guest %s does not run: Ctrl-%c m, then `start %s`, starts it\r\n",
			p->name, c->key + '@', p->name);
	else
		mux_say(c, "havoc: guest %s does not run\r\n", p->name);
}

static void to_guest(struct mux *c, struct arrived *a, u8 byte)
{
	struct mux_port *p;

	if (!c->focus)
		return;
	p = &c->port[c->focus - 1];
	a->vm = __atomic_load_n(&p->vm, __ATOMIC_ACQUIRE);
	if (!a->vm && p->kept) {
		tell_gone(c, p);
		return;
	}
	spin_lock(&p->lock);
	if (p->typed && p->typed_head - p->typed_tail < MUX_TYPED)
		p->typed[p->typed_head++ % MUX_TYPED] = byte;
	else
		p->typed_lost++;
	spin_unlock(&p->lock);
}

static void to_monitor(struct mux *c, struct arrived *a, u8 byte)
{
	if (c->typed_head - c->typed_tail < MUX_MONITOR)
		c->typed[c->typed_head++ % MUX_MONITOR] = byte;
	a->monitor = true;
}

static void to_whom(struct mux *c, struct arrived *a, u8 byte)
{
	if (c->view == MUX_MON)
		to_monitor(c, a, byte);
	else
		to_guest(c, a, byte);
}

static void help(struct mux *c)
{
	unsigned n = 0;
	char key = (char)(c->key + '@');

	mux_say(c, "havoc: Ctrl-%c and then: m the monitor, 1 to 9 that guest, n the next one,\r\n",
		key);
	mux_say(c, "havoc: 0 all guests, h this help, Ctrl-%c itself. Guests:", key);
	for (unsigned i = 0; i < MUX_PORTS; i++) {
		char name[40];

		if (!c->port[i].kept)
			continue;
		n = (unsigned)fmt_s(name, sizeof(name), " %u %s%s", i + 1, c->port[i].name,
				    i + 1 == c->focus ? "*" : "");
		mux_put(c, name, n);
	}
	mux_put(c, "\r\n", 2);
}

/* The key behind the escape key. */
static void command(struct mux *c, struct arrived *a, u8 byte)
{
	a->shown = true;
	if (byte == c->key) {
		to_whom(c, a, byte);
	} else if (byte >= '1' && byte <= '9') {
		if (!mux_view_one(c, byte - '0'))
			mux_say(c, "havoc: there is no guest %c\r\n", byte);
	} else if (byte == '0' && mux_next(c) == c->focus && c->view == MUX_ONE) {
		mux_say(c, "havoc: there is one guest only\r\n");
	} else if (byte == '0') {
		mux_view_all(c);
	} else if (byte == 'n') {
		if (!mux_view_one(c, mux_next(c)))
			mux_say(c, "havoc: there is no guest\r\n");
	} else if (byte == 'm') {
		mux_view_monitor(c);
		a->monitor = true;
	} else if (byte == 'h' || byte == '?') {
		help(c);
	} else {
		mux_say(c, "havoc: Ctrl-%c h tells the keys\r\n", c->key + '@');
	}
}

static void take(struct mux *c, struct arrived *a, u8 byte)
{
	if (c->escaped) {
		c->escaped = false;
		command(c, a, byte);
	} else if (byte == c->key && c->key) {
		c->escaped = true;
	} else {
		to_whom(c, a, byte);
	}
}

static void tell(struct mux *c, const struct arrived *a)
{
	if (a->vm)
		hv_input(c->hv, a->vm);
	if (a->monitor && c->wake)
		c->wake(c->wake_ctx);
	if (a->shown)
		hv_serve(c->hv);
}

/*
 * Up to the key that changes whose the next one is. Read under the lock, so that what is typed keeps its order whoever takes it.
 * False: there was nothing.
 */
static bool take_run(struct mux *c)
{
	struct arrived a = {.vm = NULL};
	bool any = false;
	u8 byte;

	spin_lock(&c->lock);
	while (!a.shown && host_console_read(&byte, 1)) {
		any = true;
		take(c, &a, byte);
	}
	spin_unlock(&c->lock);
	tell(c, &a);
	return any;
}

void mux_arrived(void *mux)
{
	while (take_run(mux))
		;
}
