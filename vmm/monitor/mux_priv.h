/* SPDX-License-Identifier: MIT */
/* What mux.c and mux_keys.c share: all under the multiplexer's lock. */
#ifndef VMM_MONITOR_MUX_PRIV_H
#define VMM_MONITOR_MUX_PRIV_H

#include <vmm/mux.h>

void mux_put(struct mux *c, const char *text, size_t len);
void mux_new_line(struct mux *c);
/* A line of our own. */
void mux_say(struct mux *c, const char *fmt, ...) printf_like(2, 3);

bool mux_view_one(struct mux *c, unsigned number); /* false: there is no such guest */
void mux_view_all(struct mux *c);
void mux_view_monitor(struct mux *c);
unsigned mux_next(struct mux *c); /* 0: there is no guest */

#endif
