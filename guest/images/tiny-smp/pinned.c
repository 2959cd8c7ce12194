/* SPDX-License-Identifier: MIT */
/*
 * /init of tiny-smp: one process pinned on each CPU says once a second on which one it is. It prints
 * by the hypercall where there is one, else by the console, so that the image is of use without the
 * hypervisor too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "havoc.h"

static void say(const char *text, size_t length)
{
	if (havoc_features() & HAVOC_FEATURE_CONSOLE) {
		if (havoc_console_write(text, length) == (long)length)
			return;
		puts("pinned: the console hypercall failed");
	} else {
		fputs(text, stdout);
	}
	fflush(stdout);
}

static void stay_on(int cpu)
{
	char text[64];
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		printf("pinned: CPU %d: %s\n", cpu, strerror(errno));
		fflush(stdout);
		_exit(1);
	}
	for (;;) {
		/* The CPU is asked, not remembered: a pin that does not hold is seen. */
		int length = snprintf(text, sizeof(text), "hello from CPU %d\n", sched_getcpu());

		say(text, length);
		sleep(1);
	}
}

int main(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	printf("pinned: %ld CPU%s\n", cpus, cpus == 1 ? "" : "s");
	fflush(stdout);
	for (int cpu = 0; cpu < cpus; cpu++) {
		pid_t child = fork();

		if (child == 0)
			stay_on(cpu);
		if (child < 0)
			perror("pinned: fork");
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	for (;;)
		pause();
}
