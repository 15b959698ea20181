/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_METRICS_H
#define SUT_APP_METRICS_H
/*
 * metrics - answers GET /metrics and GET /healthz over HTTP, inside of the loop: no thread, nothing that waits.
 *
 * Owns:     the listening socket and METRICS_CLIENTS connections, by libmicrohttpd.  One that is silent for five seconds is closed,
 *           and the oldest when all are taken.
 * Does not: know what is told: its caller writes it.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/time.h"

#define METRICS_CLIENTS 64u

struct metrics_server;

/* Writes the answer to GET /metrics. */
typedef void metrics_fn(void *ctx, FILE *f);

/* Is where one of these?  0, or -EINVAL with a sentence in ret_err. */
int metrics_check(const char *where, char *ret_err, size_t err_size);

/*
 * Listens at "PORT" of 127.0.0.1, "ADDR:PORT" or "[ADDR6]:PORT", addresses in numbers.
 * 0; -EINVAL: where is none of these; or another -errno; with a sentence in ret_err.
 */
int metrics_open(const char *where, metrics_fn *fn, void *ctx, struct metrics_server **ret_s,
		 char *ret_err, size_t err_size);
void metrics_close(struct metrics_server *s);

/* The descriptor to wait on. */
int metrics_fd(const struct metrics_server *s);

/* Does what can be done at once. */
void metrics_serve(struct metrics_server *s);

/* When metrics_serve is to be called although nothing is ready: nanoseconds from now on; SUT_NEVER: not. */
sut_time metrics_timeout(const struct metrics_server *s);
#endif
