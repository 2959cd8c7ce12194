/* SPDX-License-Identifier: MIT */
/* Between conf.c and conf_check.c. */
#ifndef VMM_MACHINE_CONF_PRIV_H
#define VMM_MACHINE_CONF_PRIV_H

#include <vmm/conf.h>
#include <vmm/machine.h>

/* MACHINE_CPUS_MAX, as text. */
#define CONF_TEXT_OF(x) #x
#define CONF_TEXT(x)    CONF_TEXT_OF(x)
#define CONF_CPUS_TEXT  CONF_TEXT(MACHINE_CPUS_MAX)

void conf_mistake(struct conf *c, const struct conf_report *r, unsigned line, const char *fmt, ...)
	printf_like(4, 5);

#endif
