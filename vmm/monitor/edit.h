/* SPDX-License-Identifier: MIT */
/*
 * A line that is being typed: keys in, the edited line out, with a history. The keys are those of shells (Emacs) and of
 * terminals (ECMA-48 and xterm sequences). PURE: what is shown is for the caller to write.
 */
#ifndef VMM_MONITOR_EDIT_H
#define VMM_MONITOR_EDIT_H

#include <vmm/types.h>

#define EDIT_MAX     240 /* bytes of a line, with the NUL */
#define EDIT_HISTORY 32
#define EDIT_SHOW    (EDIT_MAX + 64) /* what edit_show() needs at most */

enum edit_event {
	EDIT_MORE,     /* the line may have changed: show it */
	EDIT_LINE,     /* it is complete, in line[]; edit_next() begins the next */
	EDIT_COMPLETE, /* Tab */
	EDIT_CANCEL,   /* Ctrl-C */
	EDIT_LEAVE,    /* Ctrl-D on an empty line */
	EDIT_REDRAW,   /* Ctrl-L: on a clear screen */
};

struct edit {
	char line[EDIT_MAX];
	unsigned len, cur;
	u8 escape; /* within a sequence: enum in edit.c */
	unsigned param;
	bool was_cr; /* a LF after it is its second half */
	char history[EDIT_HISTORY][EDIT_MAX];
	unsigned lines;       /* ever kept */
	unsigned back;        /* how far the user has gone back; 0: the line is new */
	char fresh[EDIT_MAX]; /* the new one meanwhile */
};

void edit_init(struct edit *e);
enum edit_event edit_key(struct edit *e, u8 byte);
/* Puts text where the cursor is; what does not fit is left out. */
void edit_insert(struct edit *e, const char *text, size_t len);
/* After EDIT_LINE: it goes into the history. After EDIT_CANCEL too: it does not. */
void edit_next(struct edit *e, bool keep);
/* The prompt and the line as one row of a terminal, the cursor where it belongs. Returns the length; no NUL. */
size_t edit_show(const struct edit *e, const char *prompt, char out[EDIT_SHOW]);

#endif
