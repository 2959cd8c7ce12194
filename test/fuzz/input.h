/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as a stream of numbers. Past its end it gives zeros; a fuzzer loops while input_left().
 */
#ifndef TEST_FUZZ_INPUT_H
#define TEST_FUZZ_INPUT_H

#include <stdio.h>
#include <stdlib.h>
#include <vmm/types.h>

struct input {
	const u8 *data;
	size_t len;
};

static inline bool input_left(const struct input *in)
{
	return in->len != 0;
}

static inline u64 input_number(struct input *in, unsigned bytes)
{
	u64 value = 0;

	while (bytes-- && in->len) {
		value = value << 8 | *in->data++;
		in->len--;
	}
	return value;
}

static inline u8 input_u8(struct input *in)
{
	return (u8)input_number(in, 1);
}

/* 1, 2 or 4: the sizes of port accesses. */
static inline unsigned input_size(struct input *in)
{
	return 1U << input_u8(in) % 3;
}

/* Mostly short, sometimes very long: a span of time. */
static inline u64 input_span(struct input *in)
{
	u8 kind = input_u8(in);
	u64 value = input_number(in, 2);

	return value << kind % 40;
}

#define INVARIANT(cond)                                                                            \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif
