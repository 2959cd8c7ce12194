/* SPDX-License-Identifier: MIT */
/*
 * The older form of the console hypercall: rax = address of a NUL-terminated string, rbx = length
 * of its buffer; no register changes. Written as such programs are, with no look at CPUID beyond
 * the choice of instruction: it needs hypercall.compat=on.
 */
#include <unistd.h>

#include "havoc.h"

static void compat_write(const char *text, size_t size)
{
	if (havoc_cpu_has_svm())
		__asm__ volatile("vmmcall" : : "a"(text), "b"(size) : "memory");
	else
		__asm__ volatile("vmcall" : : "a"(text), "b"(size) : "memory");
}

int main(void)
{
	/* Written to, so that it is mapped. */
	char text[32];

	for (;;) {
		strcpy(text, "hello, the older way\n");
		compat_write(text, sizeof(text));
		sleep(1);
	}
}
