/* SPDX-License-Identifier: MIT */
/*
 * A guest that writes numbered lines as fast as it can, of lengths from one to beyond what is put into one line of a shared
 * terminal, and then ends. Who reads it can tell whether a line was torn, lost, doubled or came out of turn.
 */
#include "micro.h"

#ifndef LINES
#define LINES 600u
#endif

void test(void)
{
	sti(); /* Bochs holds the host's interrupts back while a guest has its own off */
	for (unsigned i = 0; i < LINES; i++) {
		print("flood %u ", i);
		for (unsigned n = 0; n < i % 97; n++)
			print("%c", '!' + (int)((i + n) % 90));
		print(" end\n");
	}
}
