/* SPDX-License-Identifier: MIT */
/*
 * Havoc's options: one table, from which the command line is parsed and docs/options.md is written.
 * Called by boot/main.c with the Multiboot2 command line. GRUB hands an argument that holds spaces
 * over in double quotes, as a whole, and puts a backslash before each \ ' " in it: so key="a b",
 * "key=a b" and escapes all work. GRUB manual, "Quoting"; Multiboot2 specification, "Boot command
 * line".
 */
#include <stdarg.h>

#include <vmm/config.h>
#include <vmm/fmt.h>
#include <vmm/machine.h>
#include <vmm/string.h>

#define KEY_MAX      24 /* the longest known key is shorter */
#define SENTENCE_MAX 240
#define SHOWN        "%.40s" /* how much of the user's text a sentence repeats */
#define UART_CLOCK   115200

struct choice {
	const char *name;
	u32 value;
};

struct option {
	struct config_option_doc doc;
	/* Takes the value into *c; false: it is none, and *c is unchanged. */
	bool (*set)(struct config *c, const struct option *o, const char *value);
	size_t offset;                /* set_choice(): of the member */
	const struct choice *choices; /* ended by a NULL name; values fit a byte */
};

static const struct choice switches[] = {{"on", true}, {"off", false}, {NULL, 0}};
static const struct choice ends[] = {
	{"poweroff", END_POWEROFF}, {"reboot", END_REBOOT}, {"halt", END_HALT}, {NULL, 0}};
static const struct choice idles[] = {{"poweroff", END_POWEROFF},
				      {"reboot", END_REBOOT},
				      {"halt", END_HALT},
				      {"monitor", END_MONITOR},
				      {NULL, 0}};
static const struct choice levels[] = {
	{"err", LOG_ERR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
static const struct choice keymaps[] = {{"us", KEYMAP_US}, {"de", KEYMAP_DE}, {NULL, 0}};
static const struct choice doctors[] = {
	{"on", DOCTOR_TEXT}, {"json", DOCTOR_JSON}, {"off", DOCTOR_OFF}, {NULL, 0}};
static const struct choice machines[] = {{"pc", 0}, {"minimal", MACHINE_MINIMAL}, {NULL, 0}};
static const struct choice ports[] = {
	{"com1", 0x3f8}, {"com2", 0x2f8}, {"com3", 0x3e8}, {"com4", 0x2e8}, {NULL, 0}};

static const struct choice *choice_find(const struct choice *c, const char *name)
{
	for (; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

/* Decimal, or hexadecimal after 0x; *end is what follows. False: no digit, or more than 64 bits. */
static bool parse_number(const char *text, u64 *out, const char **end)
{
	unsigned base = 10, digits = 0;
	u64 n = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	for (;; text++, digits++) {
		unsigned d;

		if (*text >= '0' && *text <= '9')
			d = *text - '0';
		else if (base == 16 && (*text | 0x20) >= 'a' && (*text | 0x20) <= 'f')
			d = (*text | 0x20) - 'a' + 10;
		else
			break;
		if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n))
			return false;
	}
	*out = n;
	*end = text;
	return digits > 0;
}

static bool set_choice(struct config *c, const struct option *o, const char *value)
{
	const struct choice *found = choice_find(o->choices, value);

	if (found)
		*((u8 *)c + o->offset) = (u8)found->value;
	return found;
}

static bool set_mem(struct config *c, const struct option *o, const char *value)
{
	static const char suffixes[] = "kmgt";
	const char *end, *suffix;
	unsigned shift = 0;
	u64 n;

	(void)o;
	if (!parse_number(value, &n, &end))
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end | 0x20);
		if (!suffix || end[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (n > MACHINE_MEM_MAX >> shift)
		return false;
	n = ALIGN_DOWN(n << shift, PAGE_SIZE);
	if (n < MACHINE_MEM_MIN)
		return false;
	c->mem = n;
	return true;
}

static bool set_cpus(struct config *c, const struct option *o, const char *value)
{
	const char *end;
	u64 n;

	(void)o;
	if (!parse_number(value, &n, &end) || *end || !n || n > MACHINE_CPUS_MAX)
		return false;
	c->cpus = (u32)n;
	return true;
}

static bool set_cmdline(struct config *c, const struct option *o, const char *value)
{
	size_t len = strlen(value);

	(void)o;
	if (len >= sizeof(c->cmdline))
		return false;
	memcpy(c->cmdline, value, len + 1);
	c->cmdline_set = true;
	return true;
}

static bool set_exit_port(struct config *c, const struct option *o, const char *value)
{
	const char *end;
	u64 port;

	(void)o;
	if (!strcmp(value, "none")) {
		c->exit_port = 0;
		return true;
	}
	if (!parse_number(value, &port, &end) || *end || !port || port > 0xfffc)
		return false;
	c->exit_port = (u16)port;
	return true;
}

/* A letter that Ctrl makes a control character of that no terminal needs for itself. */
static bool set_escape(struct config *c, const struct option *o, const char *value)
{
	(void)o;
	if (!strcmp(value, "off")) {
		c->escape = 0;
		return true;
	}
	if (value[0] < 'a' || value[0] > 'z' || value[1] || strchr("hijm", value[0]))
		return false;
	c->escape = (u8)(value[0] - 'a' + 1);
	return true;
}

/* "com1", "0x3f8", either with ",speed"; "none". */
static bool set_console(struct config *c, const struct option *o, const char *value)
{
	const char *comma = strchr(value, ','), *end;
	const struct choice *named;
	char name[8];
	size_t len = comma ? (size_t)(comma - value) : strlen(value);
	u64 port, speed = UART_CLOCK;

	(void)o;
	if (!strcmp(value, "none")) {
		c->console_serial = false;
		return true;
	}
	if (len >= sizeof(name))
		return false;
	memcpy(name, value, len);
	name[len] = '\0';
	named = choice_find(ports, name);
	if (named)
		port = named->value;
	else if (!parse_number(name, &port, &end) || *end || !port || port > 0xfff8)
		return false;
	/* The divisor has 16 bits and no fraction. */
	if (comma && (!parse_number(comma + 1, &speed, &end) || *end || speed < 2 ||
		      speed > UART_CLOCK || UART_CLOCK % speed))
		return false;
	c->console_serial = true;
	c->console_port = (u16)port;
	c->console_speed = (u32)speed;
	return true;
}

// clang-format off
static const struct option options[] = {
	{{"mem", "a number with K, M or G, at least 16M", "128M", "The guest's memory."},
	 set_mem, 0, NULL},
	{{"cpus", "1 to " MACHINE_CPUS_TEXT, "1", "How many CPUs the guest has."}, set_cpus, 0, NULL},
	{{"machine", "pc or minimal", "pc",
	  "What the guest finds itself on: an ordinary PC without disks and screen, or one without PIC, PIT, keyboard controller and PCI as well (docs/memory-map.md)."},
	 set_choice, offsetof(struct config, machine), machines},
	{{"cmdline", "text, in quotes if it holds spaces", "the module's, else the embedded one",
	  "The guest kernel's command line. It wins over the one built in and over that of the kernel's GRUB module."},
	 set_cmdline, 0, NULL},
	{{"console", "com1, com2, com3, com4 or a port such as 0x3f8, each with ,speed if wanted; none", "com1,115200",
	  "The serial port for messages and for the guest's console. The screen, where there is one, shows them too, and the keyboard types as the serial line does; with none they alone are the console."},
	 set_console, 0, NULL},
	{{"keymap", "us or de", "us", "What stands on the keys of the machine's keyboard, which is read where there is a screen."},
	 set_choice, offsetof(struct config, keymap), keymaps},
	{{"on-idle", "poweroff, reboot, halt or monitor", "poweroff", "What the machine does when the last guest has stopped; with monitor it goes on, and the monitor has the terminal."},
	 set_choice, offsetof(struct config, on_idle), idles},
	{{"on-error", "halt, reboot or poweroff", "halt", "What the machine does when no guest can be started."},
	 set_choice, offsetof(struct config, on_error), ends},
	{{"exit-port", "none, or a port of the guest's: 0xf4", "none",
	  "A write of 8, 16 or 32 bits to it ends the guest, and the value is reported: for test kernels."},
	 set_exit_port, 0, NULL},
	{{"hypercall.console", "on or off", "off", "Lets the guest write to the console by hypercall (docs/guest-abi.md)."},
	 set_choice, offsetof(struct config, hypercall_console), switches},
	{{"hypercall.compat", "on or off", "off", "Takes hypercalls in the older form, a string's address in RAX and its length in RBX (docs/guest-abi.md)."},
	 set_choice, offsetof(struct config, hypercall_compat), switches},
	{{"escape", "a letter but h, i, j, m; or off", "a", "The key before the console's own commands: Ctrl with this letter (docs/monitor.md). With off there are none, and no monitor."},
	 set_escape, 0, NULL},
	{{"colour", "on or off", "on", "Whether guests' names stand in colours before their lines."},
	 set_choice, offsetof(struct config, colour), switches},
	{{"doctor", "on, json or off", "off",
	  "Starts no guest: reports what the machine is and has, and what that means for Havoc, then halts (docs/howto/doctor.md)."},
	 set_choice, offsetof(struct config, doctor), doctors},
	{{"loglevel", "err, warn, info or debug", "info", "The least serious messages that are shown."},
	 set_choice, offsetof(struct config, loglevel), levels},
};
// clang-format on

_Static_assert(sizeof(bool) == 1, "set_choice() writes one byte");

void config_defaults(struct config *c)
{
	*c = (struct config){
		.mem = MiB(128),
		.cpus = 1,
		.console_serial = true,
		.console_screen = true,
		.console_port = 0x3f8,
		.console_speed = UART_CLOCK,
		.on_idle = END_POWEROFF,
		.on_error = END_HALT,
		.escape = 1,
		.colour = true,
		.loglevel = LOG_INFO,
	};
}

const struct config_option_doc *config_doc(unsigned index)
{
	return index < ARRAY_SIZE(options) ? &options[index].doc : NULL;
}

/* What a parse carries around. */
struct parse {
	struct config *config;
	void (*report)(void *ctx, const char *sentence);
	void *ctx;
	unsigned mistakes;
	char token[KEY_MAX + CONFIG_CMDLINE_MAX]; /* the option at hand, unquoted */
};

static void printf_like(2, 3) mistake(struct parse *p, const char *fmt, ...)
{
	char sentence[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	fmt_v(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	p->mistakes++;
	if (p->report)
		p->report(p->ctx, sentence);
}

/*
 * How many characters must be put in, taken out or changed to make b of a; both shorter than
 * KEY_MAX.
 */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[KEY_MAX + 1];
	unsigned len = (unsigned)strlen(b);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 0; a[i]; i++) {
		unsigned diagonal = row[0]; /* of the row above, one to the left */

		row[0] = i + 1;
		for (unsigned j = 0; j < len; j++) {
			unsigned above = row[j + 1];
			unsigned change = diagonal + (a[i] != b[j]);

			row[j + 1] = MIN(MIN(above, row[j]) + 1, change);
			diagonal = above;
		}
	}
	return row[len];
}

static const struct option *option_find(const char *key)
{
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strcmp(options[i].doc.key, key))
			return &options[i];
	}
	return NULL;
}

static const char *nearest_key(const char *key)
{
	unsigned best = ~0U;
	const char *found = options[0].doc.key;
	char cut[KEY_MAX];
	size_t len = strnlen(key, KEY_MAX - 1);

	memcpy(cut, key, len);
	cut[len] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		unsigned distance = edit_distance(cut, options[i].doc.key);

		if (distance < best) {
			best = distance;
			found = options[i].doc.key;
		}
	}
	return found;
}

/*
 * The next option, unquoted, into p->token. False: there is none. One that is too long is reported,
 * and skipped by leaving the token empty.
 */
static bool next_token(struct parse *p, const char **text)
{
	const char *s = *text;
	size_t len = 0;
	char quote = 0;

	while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')
		s++;
	if (!*s)
		return false;
	for (; *s && (quote || (*s != ' ' && *s != '\t' && *s != '\n' && *s != '\r')); s++) {
		if (quote ? *s == quote : *s == '"' || *s == '\'') {
			quote = quote ? 0 : *s;
			continue;
		}
		if (*s == '\\' && s[1] && strchr("\\\"' ", s[1]))
			s++;
		if (len < sizeof(p->token))
			p->token[len] = *s;
		len++;
	}
	*text = s;
	if (quote)
		mistake(p, "the options end inside quotes: close the %c", quote);
	if (len >= sizeof(p->token)) {
		p->token[sizeof(p->token) - 1] = '\0';
		mistake(p,
			"the option " SHOWN "... is too long: at most %u characters are possible",
			p->token, CONFIG_CMDLINE_MAX - 1);
		len = 0;
	}
	p->token[len] = '\0';
	return true;
}

static void apply_token(struct parse *p)
{
	char *equals = strchr(p->token, '=');
	const struct option *o;

	if (!p->token[0])
		return;
	if (equals)
		*equals = '\0';
	o = option_find(p->token);
	if (!o)
		mistake(p, "the option " SHOWN " is not known: did you mean %s=?", p->token,
			nearest_key(p->token));
	else if (!equals)
		mistake(p, "the option %s has no value: write %s=value, where value is %s",
			o->doc.key, o->doc.key, o->doc.values);
	else if (!o->set(p->config, o, equals + 1))
		mistake(p, "%s=" SHOWN " is not possible: the value is %s", o->doc.key, equals + 1,
			o->doc.values);
}

unsigned config_parse(struct config *c, const char *text,
		      void (*report)(void *ctx, const char *sentence), void *ctx)
{
	struct parse p = {.config = c, .report = report, .ctx = ctx};

	while (next_token(&p, &text))
		apply_token(&p);
	return p.mistakes;
}
