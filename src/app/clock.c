/* SPDX-License-Identifier: MIT */
#include "app/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static sut_time read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (sut_time)ts.tv_sec * 1000000000u + (sut_time)ts.tv_nsec;
}

sut_time clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

sut_time clock_wall_offset(void)
{
	return read_clock(CLOCK_REALTIME) - clock_now();
}

sut_time clock_cpu(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int random_bytes(void *ret_p, size_t n)
{
	char *p = ret_p;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}
