/* SPDX-License-Identifier: MIT */
#include "app/device_lock.h"

/* Interfaces have no such indices: nobody else's locks are met. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/wait.h>

static unsigned some_index(void)
{
	return 0x40000000u + (unsigned)getpid();
}

static struct device_lock *lock(unsigned ifindex)
{
	struct device_lock *l = NULL;
	char who[DEVICE_LOCK_WHO];

	assert_int_equal(device_lock_open(ifindex, "front", &l, who), 0);
	assert_non_null(l);
	return l;
}

static void test_one_has_it(void **state)
{
	char who[DEVICE_LOCK_WHO] = "", expected[DEVICE_LOCK_WHO];
	struct device_lock *l = lock(some_index()), *other = NULL;

	(void)state;
	snprintf(expected, sizeof expected, "'suture handoff front' (process %ld)", (long)getpid());
	assert_int_equal(device_lock_open(some_index(), "back", &other, who), -EBUSY);
	assert_null(other);
	assert_string_equal(who, expected);
	device_lock_close(l);
	device_lock_close(lock(some_index()));
}

/* Not one whose number begins alike, either. */
static void test_devices_have_locks_of_their_own(void **state)
{
	struct device_lock *a = lock(some_index()), *b = lock(some_index() / 10);

	(void)state;
	device_lock_close(a);
	device_lock_close(b);
	device_lock_close(NULL);
}

static void test_it_goes_with_the_process(void **state)
{
	char who[DEVICE_LOCK_WHO] = "", ready = 0;
	struct device_lock *l = NULL;
	unsigned index = some_index();
	int said[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(said), 0);
	child = fork();
	if (child == 0) {
		ready = (char)(device_lock_open(index, "back", &l, who) == 0 ? 'y' : 'n');
		if (write(said[1], &ready, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(said[0], &ready, 1), 1);
	assert_int_equal(ready, 'y');
	assert_int_equal(device_lock_open(index, "front", &l, who), -EBUSY);
	assert_non_null(strstr(who, "'suture handoff back'"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	device_lock_close(lock(index));
	close(said[0]);
	close(said[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_has_it),
		cmocka_unit_test(test_devices_have_locks_of_their_own),
		cmocka_unit_test(test_it_goes_with_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
