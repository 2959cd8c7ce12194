/* SPDX-License-Identifier: MIT */
/* Between conf.c and conf_check.c. */
#ifndef VMM_MACHINE_CONF_PRIV_H
#define VMM_MACHINE_CONF_PRIV_H

#include <vmm/conf.h>
#include <vmm/machine.h>


void conf_mistake(struct conf *c, const struct conf_report *r, unsigned line, const char *fmt, ...)
	printf_like(4, 5);

#endif
