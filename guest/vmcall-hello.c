/* SPDX-License-Identifier: MIT */
/*
 * Says hello once a second, as hello.c does, but through the hypervisor: by a hypercall straight
 * from ring 3. The kernel's console is used only to say why that cannot be done.
 */
#include <stdio.h>
#include <unistd.h>

#include "havoc.h"

int main(void)
{
	static const char text[] = "hello from ring 3\n";

	for (;;) {
		if (!(havoc_features() & HAVOC_FEATURE_CONSOLE)) {
			puts("vmcall-hello: no console hypercall here: start this guest under Havoc "
			     "with hypercall.console=on");
		} else {
			long written = havoc_console_write(text, sizeof(text) - 1);

			if (written != (long)sizeof(text) - 1)
				printf("vmcall-hello: the console hypercall returned %ld\n",
				       written);
		}
		fflush(stdout);
		sleep(1);
	}
}
