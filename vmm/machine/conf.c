/* SPDX-License-Identifier: MIT */
/*
 * havoc.conf, read: sections, keys and values by one table. conf_check.c looks at the whole. Called by boot/main.c and
 * tools/havoc-config. An INI file: [section] and key = value, a comment from # or ; at a line's beginning to its end.
 */
#include <stdarg.h>

#include <vmm/conf.h>
#include <vmm/config.h>
#include <vmm/fmt.h>
#include <vmm/machine.h>
#include <vmm/sched.h>
#include <vmm/string.h>

#include "conf_priv.h"

#define LINE_MAX 1200
#define SHOWN    "%.40s"

struct choice {
	const char *name;
	u8 value;
};

static const struct choice switches[] = {{"on", true}, {"off", false}, {NULL, 0}};
static const struct choice ends[] = {
	{"poweroff", END_POWEROFF}, {"reboot", END_REBOOT}, {"halt", END_HALT}, {NULL, 0}};
static const struct choice serials[] = {{"console", 0}, {"com1", 1}, {"com2", 2},
					{"com3", 3},    {"com4", 4}, {NULL, 0}};
static const struct choice idles[] = {{"poweroff", END_POWEROFF},
				      {"reboot", END_REBOOT},
				      {"halt", END_HALT},
				      {"monitor", END_MONITOR},
				      {NULL, 0}};
static const struct choice hypercalls[] = {{"off", CONF_HYPERCALLS_OFF},
					   {"console", CONF_HYPERCALLS_CONSOLE},
					   {"compat", CONF_HYPERCALLS_COMPAT},
					   {NULL, 0}};
static const struct choice reboots[] = {{"restart", CONF_RESTART}, {"stop", CONF_STOP}, {NULL, 0}};
static const struct choice crashes[] = {
	{"restart", CONF_RESTART}, {"stop", CONF_STOP}, {"hold", CONF_HOLD}, {NULL, 0}};
static const struct choice machines[] = {{"pc", 0}, {"minimal", MACHINE_MINIMAL}, {NULL, 0}};

struct key {
	struct conf_key_doc doc;
	/* Takes the value into the section's structure; false: it is none. */
	bool (*set)(void *section, const struct key *k, const char *value);
	size_t offset; /* of the member */
	u32 limit;     /* text: room; numbers: the largest */
	const struct choice *choices;
	size_t flag; /* of a member that says that the key was given; 0: none */
};

static bool set_choice(void *section, const struct key *k, const char *value)
{
	for (const struct choice *c = k->choices; c->name; c++) {
		if (!strcmp(c->name, value)) {
			*((u8 *)section + k->offset) = c->value;
			return true;
		}
	}
	return false;
}

static bool set_text(void *section, const struct key *k, const char *value)
{
	size_t len = strlen(value);

	if (len >= k->limit)
		return false;
	memcpy((char *)section + k->offset, value, len + 1);
	return true;
}

static bool parse_digits(const char **text, u64 *out)
{
	u64 n = 0;
	unsigned digits = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
		if (__builtin_mul_overflow(n, 10ULL, &n) ||
		    __builtin_add_overflow(n, (u64)(**text - '0'), &n))
			return false;
	}
	*out = n;
	return digits;
}

static bool set_number(void *section, const struct key *k, const char *value)
{
	u64 n;

	if (!parse_digits(&value, &n) || *value || !n || n > k->limit)
		return false;
	*(u32 *)((u8 *)section + k->offset) = (u32)n;
	return true;
}

/* A port of the guest's from which four follow one another; decimal, or hexadecimal after 0x. */
static bool set_port(void *section, const struct key *k, const char *value)
{
	u64 n = 0;

	if (!strcmp(value, "none")) {
		*(u16 *)((u8 *)section + k->offset) = 0;
		return true;
	}
	if (value[0] != '0' || (value[1] | 0x20) != 'x') {
		if (!parse_digits(&value, &n))
			return false;
	} else {
		for (value += 2; *value && n <= k->limit; value++) {
			static const char digits[] = "0123456789abcdef";
			const char *d = strchr(digits, *value >= 'A' ? *value | 0x20 : *value);

			if (!d)
				return false;
			n = n << 4 | (u64)(d - digits);
		}
	}
	if (*value || !n || n > k->limit)
		return false;
	*(u16 *)((u8 *)section + k->offset) = (u16)n;
	return true;
}

/* "FILE TEXT": one more each time. */
static bool set_module(void *section, unused const struct key *k, const char *value)
{
	struct conf_vm *v = section;
	struct conf_module *m = &v->module[v->modules];
	size_t len = 0, rest;

	while (value[len] && value[len] != ' ' && value[len] != '\t')
		len++;
	if (v->modules == CONF_MODULES_MAX || !len || len >= sizeof(m->file))
		return false;
	memcpy(m->file, value, len);
	m->file[len] = '\0';
	for (value += len; *value == ' ' || *value == '\t'; value++)
		;
	rest = strlen(value);
	if (rest >= sizeof(m->text))
		return false;
	memcpy(m->text, value, rest + 1);
	v->modules++;
	return true;
}

/* Seconds, or "off". */
static bool set_watchdog(void *section, const struct key *k, const char *value)
{
	size_t len = strlen(value);
	char digits[8];

	if (!strcmp(value, "off")) {
		((struct conf_vm *)section)->watchdog = 0;
		return true;
	}
	if (len < 2 || len > sizeof(digits) || value[len - 1] != 's')
		return false;
	memcpy(digits, value, len - 1);
	digits[len - 1] = '\0';
	return set_number(section, k, digits);
}

static bool set_memory(void *section, const struct key *k, const char *value)
{
	static const char suffixes[] = "kmgt";
	unsigned shift = 0;
	u64 n;

	if (!parse_digits(&value, &n))
		return false;
	if (*value) {
		const char *suffix = strchr(suffixes, *value | 0x20);

		if (!suffix || value[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (n > MACHINE_MEM_MAX >> shift)
		return false;
	n = ALIGN_DOWN(n << shift, PAGE_SIZE);
	if (n < MACHINE_MEM_MIN)
		return false;
	*(u64 *)((u8 *)section + k->offset) = n;
	return true;
}

/* "serial, rtc": what there is besides what no guest can do without. */
static bool set_devices(void *section, unused const struct key *k, const char *value)
{
	static const struct choice devices[] = {{"serial", MACHINE_SERIAL},
						{"rtc", MACHINE_RTC},
						{"hpet", MACHINE_HPET},
						{NULL, 0}};
	struct conf_vm *v = section;
	u32 wanted = 0;

	for (const char *at = value; strcmp(value, "none"); at++) {
		size_t len = 0;
		const struct choice *c = devices;

		while (*at == ' ' || *at == '\t')
			at++;
		while (at[len] && at[len] != ',' && at[len] != ' ' && at[len] != '\t')
			len++;
		while (c->name && (strlen(c->name) != len || strncmp(c->name, at, len)))
			c++;
		if (!c->name)
			return false;
		wanted |= c->value;
		for (at += len; *at == ' ' || *at == '\t'; at++)
			;
		if (!*at)
			break;
		if (*at != ',')
			return false;
	}
	v->left_out = MACHINE_CHOICE & ~wanted;
	return true;
}

/* "0-3,8": CPU numbers and ranges. */
static bool set_cpu_list(void *section, const struct key *k, const char *value)
{
	u64 mask = 0, first, last;

	for (;; value++) {
		if (!parse_digits(&value, &first) || first >= SCHED_CPUS_MAX)
			return false;
		last = first;
		if (*value == '-') {
			value++;
			if (!parse_digits(&value, &last) || last >= SCHED_CPUS_MAX || last < first)
				return false;
		}
		mask |= GENMASK(last, first);
		if (*value != ',')
			break;
		while (value[1] == ' ')
			value++;
	}
	if (*value)
		return false;
	*(u64 *)((u8 *)section + k->offset) = mask;
	return true;
}

#define HOST(member)    offsetof(struct conf, member)
#define VM(member)      offsetof(struct conf_vm, member)
#define VM_TEXT(member) VM(member), sizeof(((struct conf_vm *)0)->member)

// clang-format off
static const struct key keys[] = {
	{{"host", "on-idle", "poweroff, reboot, halt or monitor", "the option `on-idle=`", "What the machine does when the last guest has stopped; with monitor it goes on, and the monitor has the terminal."},
	 set_choice, HOST(on_idle), 0, idles, HOST(on_idle_set)},
	{{"host", "on-error", "poweroff, reboot or halt", "the option `on-error=`", "What it does when no guest can be started, or one of those that are over has crashed."},
	 set_choice, HOST(on_error), 0, ends, HOST(on_error_set)},
	{{"host", "input", "a guest's name", "the first guest", "Who is given what is typed."},
	 set_text, HOST(input), CONF_NAME_MAX, NULL, 0},
	{{"vm", "image", "a folder of `guest/images`, or the name of a guest of your own", "", "The guest's kernel, initrd and command line are those of this image."},
	 set_text, VM_TEXT(image), NULL, 0},
	{{"vm", "kernel", "a file, relative to this one", "", "A Linux bzImage, or an ELF file with a PVH or Multiboot entry (docs/guests.md). One of `image` and `kernel` is needed."},
	 set_text, VM_TEXT(kernel), NULL, 0},
	{{"vm", "initrd", "a file, relative to this one", "none", "Its initial RAM disk."},
	 set_text, VM_TEXT(initrd), NULL, 0},
	{{"vm", "module", "a file, a space, and text; at most 8 times", "none", "One more file for a kernel that is entered by PVH or Multiboot, behind the initrd, and the text that goes with it as its arguments."},
	 set_module, 0, 0, NULL, 0},
	{{"vm", "cmdline", "text, up to the line's end", "the image's", "Its command line."},
	 set_text, VM_TEXT(cmdline), NULL, VM(cmdline_set)},
	{{"vm", "memory", "a number with K, M or G, at least 16M", "128M", "Its memory."},
	 set_memory, VM(memory), 0, NULL, 0},
	{{"vm", "cpus", "1 to " MACHINE_CPUS_TEXT, "1", "How many CPUs it has."},
	 set_number, VM(cpus), MACHINE_CPUS_MAX, NULL, 0},
	{{"vm", "affinity", "CPUs of the machine: 0-3,8", "all that are not dedicated to others", "Where its CPUs may run."},
	 set_cpu_list, VM(affinity), 0, NULL, VM(affinity_set)},
	{{"vm", "dedicated", "on or off", "off", "The CPUs of `affinity` run nothing else: as many as it has itself."},
	 set_choice, VM(dedicated), 0, switches, 0},
	{{"vm", "weight", "1 to 10000", "100", "Its share, beside the others', of CPUs that are too few."},
	 set_number, VM(weight), SCHED_WEIGHT_MAX, NULL, 0},
	{{"vm", "machine", "pc or minimal", "pc", "What it finds itself on: an ordinary PC without disks and screen, or one without PIC, PIT, keyboard controller and PCI as well (docs/memory-map.md)."},
	 set_choice, VM(machine), 0, machines, 0},
	{{"vm", "devices", "serial, rtc, hpet, with commas between them, or none", "serial, rtc", "Which of these it has, besides what no guest can do without."},
	 set_devices, VM(left_out), 0, NULL, 0},
	{{"vm", "serial", "console, com1, com2, com3 or com4", "console", "Where its serial port leads: to the terminal that all share, or to a port of the machine (115200 8N1) that is its alone."},
	 set_choice, VM(serial), 0, serials, 0},
	{{"vm", "hypercalls", "off, console or compat", "off", "Whether it may write by hypercall, and in which form (docs/guest-abi.md)."},
	 set_choice, VM(hypercalls), 0, hypercalls, 0},
	{{"vm", "exit-port", "none, or a port of the guest's: 0xf4", "none", "A write of 8, 16 or 32 bits to it ends the guest, and the value is reported: for test kernels."},
	 set_port, VM(exit_port), 0xfffc, NULL, 0},
	{{"vm", "autostart", "on or off", "on", "Whether it is started with the machine."},
	 set_choice, VM(autostart), 0, switches, 0},
	{{"vm", "on-reboot", "restart or stop", "restart", "What becomes of it when it reboots."},
	 set_choice, VM(on_reboot), 0, reboots, 0},
	{{"vm", "on-crash", "restart, stop or hold", "stop", "And when it does what only ends it, or hangs: again, after a pause that doubles each time; its memory is given back; all of it is kept as it is."},
	 set_choice, VM(on_crash), 0, crashes, 0},
	{{"vm", "watchdog", "off, or seconds: 30s", "off", "It has crashed if its first CPU has run for so long without a halt or an interrupt."},
	 set_watchdog, VM(watchdog), 86400, NULL, 0},
};
// clang-format on

#define KEYS ARRAY_SIZE(keys)

const struct conf_key_doc *conf_doc(unsigned index)
{
	return index < ARRAY_SIZE(keys) ? &keys[index].doc : NULL;
}

/* ---- Mistakes ------------------------------------------------------------------------------- */

void conf_mistake(struct conf *c, const struct conf_report *r, unsigned line, const char *fmt, ...)
{
	char sentence[240];
	va_list ap;

	va_start(ap, fmt);
	fmt_v(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	c->mistakes++;
	if (r->mistake)
		r->mistake(r->ctx, line, sentence);
}

/* How many characters must be put in, taken out or changed to make b of a. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[CONF_NAME_MAX + 1], len = (unsigned)strnlen(b, CONF_NAME_MAX);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 0; i < CONF_NAME_MAX && a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 0; j < len; j++) {
			unsigned above = row[j + 1], change = diagonal + (a[i] != b[j]);

			row[j + 1] = MIN(MIN(above, row[j]) + 1, change);
			diagonal = above;
		}
	}
	return row[len];
}

/* ---- Lines ---------------------------------------------------------------------------------- */

struct parse {
	struct conf *c;
	const struct conf_report *report;
	unsigned line;
	const char *section;  /* "host", "vm"; NULL: none, or one that is not known */
	bool skipping;        /* of a section that is not known: it was told */
	unsigned given[KEYS]; /* the line in which this section has the key; 0: it has not */
	struct conf_vm *vm;
	char text[LINE_MAX];
};

#define mistake(p, ...)                                                                            \
	do {                                                                                       \
		if ((p)->vm)                                                                       \
			(p)->vm->broken = true;                                                    \
		conf_mistake((p)->c, (p)->report, (p)->line, __VA_ARGS__);                         \
	} while (0)

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

/* The text without what is blank around it. */
static char *trim(char *s)
{
	size_t len;

	while (is_blank(*s))
		s++;
	for (len = strlen(s); len && is_blank(s[len - 1]); len--)
		s[len - 1] = '\0';
	return s;
}

static bool name_ok(const char *name)
{
	size_t len = 0;

	for (; name[len]; len++) {
		char ch = name[len];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		      (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.'))
			return false;
	}
	return len > 0 && len < CONF_NAME_MAX;
}

static void vm_begin(struct parse *p, const char *name)
{
	struct conf *c = p->c;

	p->vm = NULL;
	p->section = NULL;
	p->skipping = true;
	if (!name_ok(name)) {
		mistake(p,
			"[vm " SHOWN "] is no name: letters, digits, - _ . and at most %u of them",
			name, CONF_NAME_MAX - 1);
		return;
	}
	for (unsigned i = 0; i < c->vms; i++) {
		if (!strcmp(c->vm[i].name, name)) {
			mistake(p, "there is a guest %s already, in line %u: choose another name",
				name, c->vm[i].line);
			return;
		}
	}
	if (c->vms == CONF_VMS_MAX) {
		mistake(p, "there are %u guests already: no more are possible", CONF_VMS_MAX);
		return;
	}
	p->section = "vm";
	p->skipping = false;
	p->vm = &c->vm[c->vms++];
	*p->vm = (struct conf_vm){.line = p->line,
				  .memory = MiB(128),
				  .cpus = 1,
				  .left_out = MACHINE_USUAL,
				  .affinity = ~0ULL,
				  .weight = SCHED_WEIGHT_DEFAULT,
				  .autostart = true,
				  .on_reboot = CONF_RESTART,
				  .on_crash = CONF_STOP};
	memcpy(p->vm->name, name, strlen(name) + 1);
}

static void section_begin(struct parse *p, char *s)
{
	size_t len = strlen(s);

	p->vm = NULL;
	p->section = NULL;
	p->skipping = true;
	memset(p->given, 0, sizeof(p->given));
	if (s[len - 1] != ']') {
		mistake(p, "a section's line ends with ]: write [host] or [vm NAME]");
		return;
	}
	s[len - 1] = '\0';
	s = trim(s + 1);
	if (!strcmp(s, "host")) {
		p->section = "host";
		p->skipping = false;
	} else if (!strncmp(s, "vm", 2) && is_blank(s[2])) {
		vm_begin(p, trim(s + 2));
	} else {
		mistake(p, "the section [" SHOWN "] is not known: write [host] or [vm NAME]", s);
	}
}

static const struct key *key_find(const struct parse *p, const char *name,
				  const struct key **nearest)
{
	unsigned best = ~0U;

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		unsigned d;

		if (strcmp(keys[i].doc.section, p->section))
			continue;
		d = distance(name, keys[i].doc.key);
		if (d < best) {
			best = d;
			*nearest = &keys[i];
		}
		if (!strcmp(keys[i].doc.key, name))
			return &keys[i];
	}
	return NULL;
}

static void key_line(struct parse *p, char *s)
{
	char *equals = strchr(s, '='), *name, *value;
	const struct key *k, *nearest = NULL;
	u8 *section = p->vm ? (u8 *)p->vm : (u8 *)p->c;
	unsigned *given;

	if (p->skipping)
		return;
	if (!p->section) {
		mistake(p, "this stands before any section: begin with [host] or [vm NAME]");
		p->skipping = true;
		return;
	}
	if (!equals) {
		mistake(p, "\"" SHOWN "\" is no line of this file: write key = value", s);
		return;
	}
	*equals = '\0';
	name = trim(s);
	value = trim(equals + 1);
	k = key_find(p, name, &nearest);
	given = k ? &p->given[k - keys] : NULL;
	if (!k)
		mistake(p, "the key " SHOWN " is not known in [%s]: did you mean %s?", name,
			p->section, nearest->doc.key);
	else if (*given && k->set != set_module) /* the one key that stands for a list */
		mistake(p, "%s was given already, in line %u: leave one of the two", name, *given);
	else if (!k->set(section, k, value))
		mistake(p, "%s = " SHOWN " is not possible: the value is %s", name, value,
			k->doc.values);
	else if (k->flag)
		*(bool *)(section + k->flag) = true;
	if (k && !*given)
		*given = p->line;
	if (k && !strcmp(k->doc.key, "input"))
		p->c->input_line = p->line;
}

static void take_line(struct parse *p, const char *text, size_t len)
{
	char *s;

	p->line++;
	if (len >= sizeof(p->text)) {
		mistake(p, "the line is too long: at most %u characters are possible",
			LINE_MAX - 1);
		return;
	}
	memcpy(p->text, text, len);
	p->text[len] = '\0';
	if (strlen(p->text) != len) {
		mistake(p, "the line holds a zero byte: this is no text");
		return;
	}
	s = trim(p->text);
	if (!*s || *s == '#' || *s == ';')
		return;
	if (*s == '[')
		section_begin(p, s);
	else
		key_line(p, s);
}

void conf_parse(struct conf *c, const char *text, size_t size, const struct conf_report *report)
{
	static const char mark[] =
		"\xef\xbb\xbf"; /* UTF-8's byte order mark: some editors begin with it */
	struct parse p = {.c = c, .report = report};
	size_t at = size >= 3 && !memcmp(text, mark, 3) ? 3 : 0;

	memset(c, 0, sizeof(*c));
	if (size > CONF_SIZE_MAX) {
		conf_mistake(c, report, 0, "the file is larger than %u KiB",
			     (unsigned)(CONF_SIZE_MAX >> 10));
		return;
	}
	while (at < size) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t len = end ? (size_t)(end - text) - at : size - at;

		take_line(&p, text + at, len);
		at += len + 1;
	}
}
