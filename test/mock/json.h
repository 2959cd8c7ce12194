/* SPDX-License-Identifier: MIT */
/* A strict checker of JSON (RFC 8259), for what is told to programs: one value, nothing around it, no name twice in an object. */
#ifndef TEST_MOCK_JSON_H
#define TEST_MOCK_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define JSON_DEPTH 8
#define JSON_NAMES 64

struct json {
	const char *at, *end;
};

static inline bool json_value(struct json *j, unsigned depth);

static inline bool json_take(struct json *j, char c)
{
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static inline bool json_word(struct json *j, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
		return false;
	j->at += len;
	return true;
}

static inline bool json_digits(struct json *j)
{
	const char *from = j->at;

	while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
		j->at++;
	return j->at > from;
}

static inline bool json_number(struct json *j)
{
	bool zero;

	(void)json_take(j, '-');
	zero = j->at < j->end && *j->at == '0';
	if (zero ? !json_take(j, '0') : !json_digits(j))
		return false;
	if (json_take(j, '.') && !json_digits(j))
		return false;
	if (!json_take(j, 'e') && !json_take(j, 'E'))
		return true;
	if (!json_take(j, '+'))
		(void)json_take(j, '-');
	return json_digits(j);
}

static inline bool json_escape(struct json *j)
{
	if (j->at == j->end)
		return false;
	if (*j->at != 'u')
		return strchr("\"\\/bfnrt", *j->at++) != NULL;
	j->at++;
	for (unsigned i = 0; i < 4; i++, j->at++)
		if (j->at == j->end || !strchr("0123456789abcdefABCDEF", *j->at) || !*j->at)
			return false;
	return true;
}

/* ASCII only: what tells it does not know a guest's encoding. */
static inline bool json_string(struct json *j)
{
	if (!json_take(j, '"'))
		return false;
	while (j->at < j->end && *j->at != '"') {
		char c = *j->at++;

		if (c < ' ' || c > '~' || (c == '\\' && !json_escape(j)))
			return false;
	}
	return json_take(j, '"');
}

static inline bool json_array(struct json *j, unsigned depth)
{
	if (json_take(j, ']'))
		return true;
	do {
		if (!json_value(j, depth))
			return false;
	} while (json_take(j, ','));
	return json_take(j, ']');
}

static inline bool json_object(struct json *j, unsigned depth)
{
	struct json name[JSON_NAMES];
	unsigned names = 0;

	if (json_take(j, '}'))
		return true;
	do {
		struct json *n = &name[names];

		if (names == JSON_NAMES)
			return false;
		n->at = j->at;
		if (!json_string(j))
			return false;
		n->end = j->at;
		for (unsigned i = 0; i < names; i++)
			if (n->end - n->at == name[i].end - name[i].at &&
			    !memcmp(n->at, name[i].at, (size_t)(n->end - n->at)))
				return false;
		names++;
		if (!json_take(j, ':') || !json_value(j, depth))
			return false;
	} while (json_take(j, ','));
	return json_take(j, '}');
}

static inline bool json_value(struct json *j, unsigned depth)
{
	if (!depth)
		return false;
	if (json_take(j, '{'))
		return json_object(j, depth - 1);
	if (json_take(j, '['))
		return json_array(j, depth - 1);
	if (j->at < j->end && *j->at == '"')
		return json_string(j);
	return json_word(j, "true") || json_word(j, "false") || json_word(j, "null") ||
	       json_number(j);
}

/* `text` is one object, without white space between its parts. */
static inline bool json_is_object(const char *text, size_t len)
{
	struct json j = {text, text + len};

	return len && *text == '{' && json_value(&j, JSON_DEPTH) && j.at == j.end;
}

#endif
