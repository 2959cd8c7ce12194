/* SPDX-License-Identifier: MIT */
/*
 * vmm/monitor/mux*.c: what guests write, what is typed, the log and the monitor, in any order. While all guests are shown the terminal
 * sees nothing but whole lines, each with the name of who wrote it, without any control character but those of the name's colour;
 * while one is shown, its bytes as they are. The rings' counts stay in step.
 */
/* SOURCES: vmm/monitor/mux.c vmm/monitor/mux_keys.c vmm/monitor/mux_text.c vmm/lib/fmt.c test/mock/host.c */
#include "input.h"

#include <string.h>

#include <vmm/mux.h>

#include "../mock/mock.h"

#define GUESTS 3

static struct hv the_hv;
static struct mux c;
static struct vm_console con[GUESTS];
static struct vm vms[GUESTS];
static const char *const names[GUESTS] = {"a", "b", "the-third-with-a-very-long-name"};
static u8 rings[GUESTS][MUX_KEPT + MUX_TYPED];

void hv_serve(unused struct hv *hv)
{
}

void hv_input(unused struct hv *hv, const struct vm *vm)
{
	INVARIANT(vm >= vms && vm < vms + GUESTS);
}

static void start(u8 flags)
{
	mock_host_console_clear();
	mux_init(&c, &the_hv, flags & 1);
	c.colour = flags & 2;
	for (unsigned i = 0; i < GUESTS; i++) {
		c.port[i].kept = rings[i];
		c.port[i].typed = rings[i] + MUX_KEPT;
		INVARIANT(!mux_attach(&c, i + 1, names[i], &con[i]));
		mux_set_vm(&c, i + 1, &vms[i]);
	}
	mux_begin(&c, flags >> 2 & 3, flags & 16);
	host_console_listen(mux_arrived, &c);
}

/* One line's text: no control but a tab, neither as a byte of its own nor as UTF-8 has them. */
static void check_text(const char *text, size_t len)
{
	unsigned follow = 0;
	bool c2 = false;

	for (size_t i = 0; i < len; i++) {
		u8 b = (u8)text[i];

		if (b < 0x80) {
			INVARIANT(b == '\t' || (b >= ' ' && b < 0x7f));
			follow = 0;
		} else if (b >= 0xc0) {
			follow = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
			c2 = b == 0xc2;
			continue;
		} else {
			INVARIANT(b >= 0xa0 || (follow && !c2));
			follow -= follow != 0;
		}
		c2 = false;
	}
}

static bool skip(const char **text, const char *what)
{
	if (strncmp(*text, what, strlen(what)))
		return false;
	*text += strlen(what);
	return true;
}

static void check_line(const char *line, size_t len)
{
	static const char *const colours[] = {"\x1b[33m", "\x1b[32m", "\x1b[35m"};
	const char *at = line;

	if (skip(&at, "havoc: ")) {
		check_text(at, len - 7);
		return;
	}
	for (unsigned i = 0; i < GUESTS; i++) {
		at = line;
		if (c.colour && !skip(&at, colours[i]))
			continue;
		if (!skip(&at, "[") || !skip(&at, names[i]) || !skip(&at, "]") ||
		    (c.colour && !skip(&at, "\x1b[m")) || !skip(&at, " "))
			continue;
		INVARIANT(len - (size_t)(at - line) <= MUX_LINE + 4);
		check_text(at, len - (size_t)(at - line));
		return;
	}
	INVARIANT(!"a line of nobody's");
}

static void check_lines(void)
{
	const char *at = mock_host.console, *end;

	for (; *at; at = end + 2) {
		end = strstr(at, "\r\n");
		INVARIANT(end);
		check_line(at, (size_t)(end - at));
	}
	INVARIANT(at == mock_host.console + mock_host.console_len);
	INVARIANT(c.line_start);
}

static void check_rings(void)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		const struct mux_port *p = &c.port[i];

		INVARIANT(p->shown <= p->written && p->line_at <= p->shown);
		INVARIANT(p->typed_head - p->typed_tail <= MUX_TYPED);
		INVARIANT(p->text.len < sizeof(p->text.line) && p->text.follow <= 3);
		INVARIANT(c.view == MUX_ALL || !p->text.len);
	}
	INVARIANT(c.view <= MUX_MON && c.view_before <= MUX_ONE + 1 && c.view_before != MUX_MON);
	INVARIANT(c.focus <= MUX_PORTS);
	INVARIANT(c.typed_head - c.typed_tail <= MUX_MONITOR);
	INVARIANT(c.waiting_len <= MUX_WAITING && c.prompt_len <= MUX_PROMPT);
}

static size_t text_of(struct input *in, u8 *buf, size_t max)
{
	size_t len = input_u8(in);

	len = MIN(MIN(len, max), in->len);
	memcpy(buf, in->data, len);
	in->data += len;
	in->len -= len;
	return len;
}

static void guest_writes(struct input *in, unsigned n)
{
	static u8 much[KiB(8)];
	struct mux_port *p = &c.port[n];
	/* But for a control sequence that was cut where what is shown again ends: it is known at its end what it is. */
	bool raw = c.view == MUX_ONE && c.focus == n + 1 && p->shown == p->written &&
		   !c.quiet.escape;
	u8 buf[255];
	size_t len = text_of(in, buf, sizeof(buf));

	con[n].dev.write(con[n].dev.ctx, buf, len);
	if (raw) {
		INVARIANT(mock_host.console_len == len);
		INVARIANT(!memcmp(mock_host.console, buf, len));
	}
	if (len == sizeof(buf) && c.view == MUX_MON) {
		/* More than is kept. */
		memset(much, buf[0], sizeof(much));
		for (unsigned i = 0; i < 9; i++)
			con[n].dev.write(con[n].dev.ctx, much, sizeof(much));
	}
}

static void says(struct input *in, u8 which)
{
	u8 text[255];
	char line[7 + sizeof(text)];
	size_t len = text_of(in, text, sizeof(text) - 2);

	switch (which & 3) {
	case 0: /* a line of the log: log.c lets no control through */
		for (size_t i = 0; i < len; i++)
			text[i] = text[i] < ' ' || text[i] >= 0x7f ? '?' : text[i];
		memcpy(text + len, "\r\n", 2);
		memcpy(line, "havoc: ", 7);
		memcpy(line + 7, text, len + 2);
		mux_log(&c, line, 7 + len + 2);
		break;
	case 1:
		mux_monitor_write(&c, (const char *)text, len);
		break;
	case 2:
		mux_monitor_prompt(&c, (const char *)text, len);
		break;
	default:
		if (which & 4)
			mux_monitor_busy(&c);
		else
			mux_monitor_ready(&c);
	}
}

static void types(struct input *in)
{
	u8 byte = input_u8(in);

	mock_host_type((const char *)&byte, 1);
}

static void views(u8 which)
{
	switch (which % 5) {
	case 0:
		mux_show_all(&c);
		break;
	case 1:
		(void)mux_show_one(&c, which / 5 % 5);
		break;
	case 2:
		mux_open_monitor(&c);
		break;
	case 3:
		mux_close_monitor(&c);
		break;
	default:
		(void)mux_monitor_cancelled(&c);
	}
}

static void reads(u8 which)
{
	u8 buf[64];

	if (which & 1)
		(void)mux_monitor_read(&c, buf, which >> 2);
	else
		(void)con[which % GUESTS].dev.read(con[which % GUESTS].dev.ctx, buf, which >> 2);
}

static void step(struct input *in)
{
	u8 what = input_u8(in);
	size_t room = input_u8(in) * 16U;

	switch (what & 7) {
	case 0:
	case 1:
		guest_writes(in, (what >> 3) % GUESTS);
		break;
	case 2:
		con[(what >> 3) % GUESTS].ended(con[(what >> 3) % GUESTS].dev.ctx);
		break;
	case 3:
		mock_host.console_room = room;
		(void)mux_pump(&c);
		INVARIANT(mock_host.console_len <= room);
		break;
	case 4:
		says(in, what >> 3);
		break;
	case 5:
		types(in);
		break;
	case 6:
		views(what >> 3);
		break;
	default:
		reads(what >> 3);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = {data, size};

	start(input_u8(&in));
	while (input_left(&in)) {
		u8 before = c.view;

		mock_host_console_clear();
		step(&in);
		check_rings();
		/* What is kept of it, unless it is too much. */
		if (before == MUX_ALL && c.view == MUX_ALL &&
		    mock_host.console_len < MOCK_CONSOLE_MAX - 1)
			check_lines();
		if (!c.behind && before == c.view && c.view == MUX_ALL)
			for (unsigned i = 0; i < GUESTS; i++)
				INVARIANT(c.port[i].shown == c.port[i].written);
	}
	return 0;
}
