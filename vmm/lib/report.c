/* SPDX-License-Identifier: MIT */
/* What commands say, as text or JSON: report.h. RFC 8259, "Strings": what has to be escaped. */
#include <vmm/report.h>

#include <stdarg.h>

#include <vmm/fmt.h>
#include <vmm/string.h>

#define LABEL_WIDTH 18

static void put(struct report *r, const char *text)
{
	r->write(r->ctx, text, strlen(text));
}

/* Bytes of a UTF-8 sequence that follow this one, its first. */
static unsigned utf8_follow(u8 byte)
{
	return byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
}

/*
 * Text for the terminal: a value may be a guest's, and steers nothing: no control of ECMA-48's C0 or C1, the latter neither as
 * bytes of their own nor as UTF-8 has them, C2 80 to C2 9F.
 */
static void put_plain(struct report *r, char *text)
{
	unsigned follow = 0;
	u8 before = 0;

	for (char *c = text; *c; c++) {
		u8 byte = (u8)*c;
		bool part = follow && byte >= 0x80 && byte < 0xc0;

		if (byte < ' ' || byte == 0x7f ||
		    (byte >= 0x80 && byte < 0xa0 && (!part || before == 0xc2)))
			*c = '?';
		follow = part ? follow - 1 : utf8_follow(byte);
		before = byte;
	}
	put(r, text);
}

/* What does not fit is seen to be cut. */
static void format(char value[REPORT_VALUE_MAX], const char *fmt, va_list ap)
{
	if (fmt_v(value, REPORT_VALUE_MAX, fmt, ap) >= REPORT_VALUE_MAX)
		memcpy(value + REPORT_VALUE_MAX - 4, "...", 4);
}

/* Bytes above 0x7e are taken for Latin-1: whatever they are, what comes out is JSON. */
static void put_string(struct report *r, const char *text)
{
	put(r, "\"");
	while (*text) {
		size_t plain = 0;
		char escape[8];

		while ((u8)text[plain] >= ' ' && (u8)text[plain] < 0x7f && text[plain] != '"' &&
		       text[plain] != '\\')
			plain++;
		if (plain) {
			r->write(r->ctx, text, plain);
			text += plain;
			continue;
		}
		fmt_s(escape, sizeof(escape), "\\u%04x", (u8)*text++);
		put(r, escape);
	}
	put(r, "\"");
}

static void put_key(struct report *r, const char *key)
{
	if (r->comma)
		put(r, ",");
	r->comma = true;
	put_string(r, key);
	put(r, ":");
}

static void put_label(struct report *r, const char *label)
{
	char text[64];

	fmt_s(text, sizeof(text), "%-*s ", LABEL_WIDTH, label);
	put(r, text);
}

static void group_begin(struct report *r, const char *key, const char *bracket)
{
	put_key(r, key);
	put(r, bracket);
	r->comma = false;
}

static void group_end(struct report *r, const char *bracket)
{
	put(r, bracket);
	r->comma = true;
}

void report_begin(struct report *r)
{
	r->comma = r->failed = false;
	r->columns = r->cell = 0;
	if (r->json)
		put(r, "{");
}

void report_end(struct report *r)
{
	if (r->json)
		put(r, "}\r\n");
}

void report_text(struct report *r, const char *key, const char *label, const char *fmt, ...)
{
	char value[REPORT_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	format(value, fmt, ap);
	va_end(ap);
	if (r->json) {
		put_key(r, key);
		put_string(r, value);
		return;
	}
	put_label(r, label);
	put_plain(r, value);
	put(r, "\r\n");
}

/* A number, or `true` and `false`. */
static void put_bare(struct report *r, const char *key, const char *label, const char *json,
		     const char *text)
{
	if (r->json) {
		put_key(r, key);
		put(r, json);
		return;
	}
	put_label(r, label);
	put(r, text);
	put(r, "\r\n");
}

void report_number(struct report *r, const char *key, const char *label, u64 value,
		   const char *unit)
{
	char digits[24], text[64];

	fmt_s(digits, sizeof(digits), "%llu", (unsigned long long)value);
	fmt_s(text, sizeof(text), "%s%s%s", digits, *unit ? " " : "", unit);
	put_bare(r, key, label, digits, text);
}

void report_tenths(struct report *r, const char *key, const char *label, u64 value,
		   const char *unit)
{
	char digits[24], text[64];

	fmt_s(digits, sizeof(digits), "%llu.%llu", (unsigned long long)value / 10,
	      (unsigned long long)value % 10);
	fmt_s(text, sizeof(text), "%s %s", digits, unit);
	put_bare(r, key, label, digits, text);
}

void report_hex(struct report *r, const char *key, const char *label, u64 value)
{
	report_text(r, key, label, "0x%llx", (unsigned long long)value);
}

void report_bool(struct report *r, const char *key, const char *label, bool value)
{
	put_bare(r, key, label, value ? "true" : "false", value ? "yes" : "no");
}

void report_section(struct report *r, const char *key, const char *title)
{
	if (r->json) {
		group_begin(r, key, "{");
		return;
	}
	put(r, title);
	put(r, "\r\n");
}

void report_section_end(struct report *r)
{
	if (r->json)
		group_end(r, "}");
}

void report_table(struct report *r, const char *key, const struct report_column *column,
		  unsigned columns)
{
	r->column = column;
	r->columns = columns;
	r->cell = 0;
	if (r->json) {
		group_begin(r, key, "[");
		return;
	}
	for (unsigned i = 0; i < columns; i++)
		report_cell(r, "%s", column[i].title);
}

static void put_cell_text(struct report *r, const struct report_column *c, char *value)
{
	bool last = r->cell + 1 == r->columns;
	char text[REPORT_VALUE_MAX];

	if (c->right)
		fmt_s(text, sizeof(text), "%*s%s", c->width, value, last ? "" : "  ");
	else
		fmt_s(text, sizeof(text), "%-*s%s", last ? 0 : c->width, value, last ? "" : "  ");
	put_plain(r, text);
	if (last)
		put(r, "\r\n");
}

static void put_cell(struct report *r, char *value, bool number)
{
	const struct report_column *c = &r->column[r->cell];

	if (!r->json) {
		put_cell_text(r, c, value);
	} else {
		if (!r->cell) {
			put(r, r->comma ? ",{" : "{");
			r->comma = false;
		}
		put_key(r, c->key);
		if (number)
			put(r, value);
		else
			put_string(r, value);
		if (r->cell + 1 == r->columns)
			group_end(r, "}");
	}
	r->cell = (r->cell + 1) % r->columns;
}

void report_cell(struct report *r, const char *fmt, ...)
{
	char value[REPORT_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	format(value, fmt, ap);
	va_end(ap);
	put_cell(r, value, false);
}

void report_cell_number(struct report *r, u64 value)
{
	char digits[24];

	fmt_s(digits, sizeof(digits), "%llu", (unsigned long long)value);
	put_cell(r, digits, true);
}

void report_cell_tenths(struct report *r, u64 value)
{
	char digits[24];

	fmt_s(digits, sizeof(digits), "%llu.%llu", (unsigned long long)value / 10,
	      (unsigned long long)value % 10);
	put_cell(r, digits, true);
}

void report_cell_bool(struct report *r, bool value)
{
	char word[8];

	fmt_s(word, sizeof(word), "%s", r->json ? value ? "true" : "false" : value ? "yes" : "no");
	put_cell(r, word, true);
}

void report_table_end(struct report *r)
{
	if (r->json)
		group_end(r, "]");
}

void report_list(struct report *r, const char *key)
{
	if (r->json)
		group_begin(r, key, "[");
}

void report_item(struct report *r, const char *fmt, ...)
{
	char value[REPORT_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	format(value, fmt, ap);
	va_end(ap);
	if (r->json) {
		if (r->comma)
			put(r, ",");
		r->comma = true;
		put_string(r, value);
		return;
	}
	put_plain(r, value);
	put(r, "\r\n");
}

void report_list_end(struct report *r)
{
	if (r->json)
		group_end(r, "]");
}

void report_line(struct report *r, const char *fmt, ...)
{
	char value[REPORT_VALUE_MAX];
	va_list ap;

	if (r->json)
		return;
	va_start(ap, fmt);
	format(value, fmt, ap);
	va_end(ap);
	put_plain(r, value);
	put(r, "\r\n");
}

void report_error(struct report *r, const char *fmt, ...)
{
	char value[REPORT_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	format(value, fmt, ap);
	va_end(ap);
	if (r->json && r->failed) /* a key once */
		return;
	r->failed = true;
	if (r->json) {
		put_key(r, "error");
		put_string(r, value);
		return;
	}
	put_plain(r, value);
	put(r, "\r\n");
}
