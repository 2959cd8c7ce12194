/* SPDX-License-Identifier: MIT */
/* The classic: /init of the default guest image. Says hello once a second, for ever. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	for (;;) {
		puts("hello");
		fflush(stdout);
		sleep(1);
	}
}
