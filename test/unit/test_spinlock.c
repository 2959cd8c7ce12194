/* SPDX-License-Identifier: MIT */
/* SOURCES: */
/* vmm/spinlock.h between real threads: one at a time, in the order in which they came; trying never waits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <cmocka.h>

#include <vmm/spinlock.h>

#define THREADS 4
#define ROUNDS  20000

static struct spinlock lock;
static unsigned long count;

static void *add(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		/* A thread that has drawn a ticket and does not run holds up all: so yield often. */
		while (!spin_trylock(&lock))
			sched_yield();
		count++;
		spin_unlock(&lock);
	}
	return arg;
}

static void excludes(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	count = 0;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(count, THREADS * ROUNDS);
}

static void trying(void **state)
{
	(void)state;
	lock = (struct spinlock){0xffffffff, 0xffffffff}; /* tickets wrap */
	assert_true(spin_trylock(&lock));
	assert_false(spin_trylock(&lock));
	spin_unlock(&lock);
	spin_lock(&lock);
	assert_false(spin_trylock(&lock));
	spin_unlock(&lock);
	assert_true(spin_trylock(&lock));
	spin_unlock(&lock);
}

static void *second(void *arg)
{
	spin_lock(&lock);
	*(unsigned *)arg = 2;
	spin_unlock(&lock);
	return NULL;
}

static void waits(void **state)
{
	unsigned seen = 1;
	pthread_t thread;

	(void)state;
	lock = (struct spinlock){0, 0};
	spin_lock(&lock);
	assert_int_equal(pthread_create(&thread, NULL, second, &seen), 0);
	while (__atomic_load_n(&lock.next, __ATOMIC_ACQUIRE) != 2)
		sched_yield();
	assert_int_equal(seen, 1);
	spin_unlock(&lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(seen, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(excludes),
		cmocka_unit_test(trying),
		cmocka_unit_test(waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
