/* SPDX-License-Identifier: MIT */
/*
 * Formatted output into a bounded buffer, the subset of C's printf that fmt.h names. Called by the
 * log, by the loaders' messages and by panics: it allocates nothing, keeps no state, and never
 * writes outside the buffer whatever the arguments are. C11 "The fprintf function". An unknown
 * conversion is copied as it stands.
 */
#include <vmm/fmt.h>
#include <vmm/string.h>

/* Widths and precisions beyond this are mistakes; bounded so that a bad one cannot hold the CPU. */
#define FIELD_MAX 1024

struct out {
	char *buf;
	size_t size;
	size_t len; /* of the whole text, even what did not fit */
};

struct spec {
	bool left, zero, alt, plus, space;
	int width;
	int precision; /* -1: none */
	char length;   /* 0, 'h', 'H' (hh), 'l' (l, ll, z, j, t: all 64 bits here) */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int count)
{
	for (; count > 0; count--)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, int len)
{
	if (!s->left)
		pad(o, ' ', s->width - len);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', s->width - len);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	if (!text)
		text = "(null)";
	put_text(o, s, text, (int)strnlen(text, s->precision >= 0 ? s->precision : INT32_MAX));
}

/* Sign or prefix, zeros, digits; `prefix` is "", "-", "+", " " or "0x". */
static void put_number(struct out *o, const struct spec *s, u64 value, unsigned base, bool upper,
		       const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	int count = 0, zeros, fill, prefix_len = (int)strlen(prefix);

	for (u64 v = value; v; v /= base)
		text[sizeof(text) - ++count] = digits[v % base];
	if (!count && s->precision != 0)
		text[sizeof(text) - ++count] = '0';
	zeros = s->precision > count ? s->precision - count : 0;
	fill = s->width - prefix_len - zeros - count;
	if (fill > 0 && s->zero && !s->left && s->precision < 0) {
		zeros += fill;
		fill = 0;
	}
	if (!s->left)
		pad(o, ' ', fill);
	while (*prefix)
		put(o, *prefix++);
	pad(o, '0', zeros);
	for (int i = count; i > 0; i--)
		put(o, text[sizeof(text) - i]);
	if (s->left)
		pad(o, ' ', fill);
}

static void put_signed(struct out *o, const struct spec *s, s64 v)
{
	const char *prefix = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

	put_number(o, s, v < 0 ? -(u64)v : (u64)v, 10, false, prefix);
}

static void put_hex(struct out *o, const struct spec *s, u64 v, bool upper)
{
	put_number(o, s, v, 16, upper, s->alt && v ? (upper ? "0X" : "0x") : "");
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			s->left = true;
			break;
		case '0':
			s->zero = true;
			break;
		case '#':
			s->alt = true;
			break;
		case '+':
			s->plus = true;
			break;
		case ' ':
			s->space = true;
			break;
		default:
			return f;
		}
	}
}

static const char *parse_count(const char *f, int *out)
{
	int n = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		n = n >= FIELD_MAX ? FIELD_MAX : n * 10 + (*f - '0');
	*out = MIN(n, FIELD_MAX);
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case 'h':
			s->length = s->length == 'h' ? 'H' : 'h';
			break;
		case 'l':
		case 'z':
		case 'j':
		case 't':
			s->length = 'l';
			break;
		default:
			return f;
		}
	}
}

/* The arguments, in a struct so that helpers can take from them. */
struct args {
	va_list ap;
};

/* Everything after '%' and before the conversion letter. */
static const char *parse_spec(const char *f, struct spec *s, struct args *args)
{
	*s = (struct spec){.precision = -1};
	f = parse_flags(f, s);
	if (*f == '*') {
		s64 width = va_arg(args->ap,
				   int); /* wide: the most negative int has no positive twin */

		s->left |= width < 0;
		s->width = (int)MIN(width < 0 ? -width : width, (s64)FIELD_MAX);
		f++;
	} else {
		f = parse_count(f, &s->width);
	}
	if (*f == '.') {
		f++;
		if (*f == '*') {
			s->precision = va_arg(args->ap, int);
			s->precision = s->precision < 0 ? -1 : s->precision;
			f++;
		} else {
			f = parse_count(f, &s->precision);
		}
	}
	return parse_length(f, s);
}

static s64 take_signed(const struct spec *s, struct args *args)
{
	switch (s->length) {
	case 'l':
		return va_arg(args->ap, s64);
	case 'h':
		return (s16)va_arg(args->ap, int);
	case 'H':
		return (s8)va_arg(args->ap, int);
	default:
		return va_arg(args->ap, int);
	}
}

static u64 take_unsigned(const struct spec *s, struct args *args)
{
	switch (s->length) {
	case 'l':
		return va_arg(args->ap, u64);
	case 'h':
		return (u16)va_arg(args->ap, unsigned);
	case 'H':
		return (u8)va_arg(args->ap, unsigned);
	default:
		return va_arg(args->ap, unsigned);
	}
}

/* One conversion; false if the letter is none of ours. */
static bool put_conversion(struct out *o, struct spec *s, char letter, struct args *args)
{
	char c;

	switch (letter) {
	case 's':
		put_string(o, s, va_arg(args->ap, const char *));
		return true;
	case 'c':
		c = (char)va_arg(args->ap, int);
		put_text(o, s, &c, 1);
		return true;
	case 'd':
	case 'i':
		put_signed(o, s, take_signed(s, args));
		return true;
	case 'u':
		put_number(o, s, take_unsigned(s, args), 10, false, "");
		return true;
	case 'x':
	case 'X':
		put_hex(o, s, take_unsigned(s, args), letter == 'X');
		return true;
	case 'p':
		s->precision = -1;
		put_number(o, s, (u64)(uintptr_t)va_arg(args->ap, void *), 16, false, "0x");
		return true;
	case '%':
		put(o, '%');
		return true;
	default:
		return false;
	}
}

int fmt_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = {.buf = buf, .size = size};
	struct args args;

	va_copy(args.ap, ap);
	while (*fmt) {
		const char *start = fmt;
		struct spec s;

		if (*fmt++ != '%') {
			put(&o, *start);
			continue;
		}
		fmt = parse_spec(fmt, &s, &args);
		if (put_conversion(&o, &s, *fmt, &args)) {
			fmt++;
			continue;
		}
		/* Unknown, or the text ends: show it as it stands. */
		if (*fmt)
			fmt++;
		while (start < fmt)
			put(&o, *start++);
	}
	va_end(args.ap);
	if (size)
		buf[MIN(o.len, size - 1)] = '\0';
	return (int)MIN(o.len, (size_t)INT32_MAX);
}

int fmt_s(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = fmt_v(buf, size, fmt, ap);
	va_end(ap);
	return len;
}
