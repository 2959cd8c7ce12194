/* SPDX-License-Identifier: MIT */
/*
 * What a command has to say, written once and shown twice: as text for a person, or as one JSON object (RFC 8259) on
 * one line for a program. Nothing is kept: what is told is written at once, in pieces, through write(). PURE.
 *
 * A report holds fields, sections of fields (JSON: objects), tables (lists of objects) and lists of sentences. Keys
 * are the caller's own: lower case, with `_`; they need no escape. Values may hold anything.
 */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <vmm/types.h>

#define REPORT_VALUE_MAX 320 /* bytes of a value, with the NUL; a longer one ends with "..." */

/* `width` of a column in the text; a value that is longer pushes the others. Right: numbers. */
struct report_column {
	const char *key, *title;
	u8 width;
	bool right;
};

struct report {
	void (*write)(void *ctx, const char *text, size_t len);
	void *ctx;
	bool json;
	/* The report's own. */
	bool comma; /* JSON: something stands before, in this object or list */
	bool failed;
	const struct report_column *column;
	unsigned columns, cell;
};

/* From here to report_end() it is one object. Set write, ctx and json before. */
void report_begin(struct report *r);
void report_end(struct report *r);

/* One fact. `label` is the text's; a number's `unit` is the text's too: "" if there is none. */
void report_text(struct report *r, const char *key, const char *label, const char *fmt, ...)
	printf_like(4, 5);
void report_number(struct report *r, const char *key, const char *label, u64 value,
		   const char *unit);
/* A number with one decimal, given in tenths. */
void report_tenths(struct report *r, const char *key, const char *label, u64 value,
		   const char *unit);
/* A number that is read in base 16; JSON: a string, since many programs know integers of 53 bits only. */
void report_hex(struct report *r, const char *key, const char *label, u64 value);
void report_bool(struct report *r, const char *key, const char *label, bool value);

/* Facts that belong together. Not nested. */
void report_section(struct report *r, const char *key, const char *title);
void report_section_end(struct report *r);

/* Rows of as many cells as there are columns, the last of which ends the row. */
void report_table(struct report *r, const char *key, const struct report_column *column,
		  unsigned columns);
void report_cell(struct report *r, const char *fmt, ...) printf_like(2, 3);
void report_cell_number(struct report *r, u64 value);
void report_cell_tenths(struct report *r, u64 value);
void report_cell_bool(struct report *r, bool value);
void report_table_end(struct report *r);

/* A list of sentences. */
void report_list(struct report *r, const char *key);
void report_item(struct report *r, const char *fmt, ...) printf_like(2, 3);
void report_list_end(struct report *r);

/* For the person only. */
void report_line(struct report *r, const char *fmt, ...) printf_like(2, 3);
/* What went wrong: the only line of the text, "error" in the object. The report is `failed`. */
void report_error(struct report *r, const char *fmt, ...) printf_like(2, 3);

#endif
