/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_HEALTH_H
#define SUT_APP_HEALTH_H
/*
 * health - asks servers again and again whether they serve, by sockets of the kernel that never block.
 *
 * Owns:     one socket for each server that is being asked.
 * Does not: wait: the caller has the epoll set and the clock.
 *
 * A server is asked by a connection, or by a GET on one, where 2xx and 3xx are well.  It is up at its first good answer and down at its first bad one;
 * later it takes `rise` good ones, or `fall` bad ones, in a row.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/endpoint.h"
#include "base/time.h"

#define HEALTH_TARGETS 128u

struct health_config {
	char path[512]; /* of the GET: "/health"; "": a connection is enough */
	sut_time interval, timeout;
	uint32_t rise, fall; /* at least 1 */
	struct endpoint target[HEALTH_TARGETS]; /* port 0: none at this index */
	uint8_t source
		[2]
		[16]; /* from where they are asked: IPv4, IPv6; zero: whatever the kernel takes */
	uint8_t from
		[2]
		[16]; /* IPv4 and IPv6: asked from there where the host has that address.  Zero: from whichever the host takes */
	int epoll; /* where sockets are watched, with tag + i as data */
	uint32_t tag;
	/* Target i is up, or down and why ("refused", "timeout", "status 503"): told when it changes. */
	void (*tell)(void *ctx, unsigned i, bool up, const char *why);
	void *ctx;
};

struct health;

/* NULL: out of memory. */
struct health *health_open(const struct health_config *c, sut_time now);
void health_close(struct health *h);

/* Another target i from now on, of which nothing is known yet; NULL: none. */
void health_target(struct health *h, unsigned i, const struct endpoint *at, sut_time now);
/* Path, interval, timeout, rise and fall of c from now on. */
void health_tune(struct health *h, const struct health_config *c);

/* Target i's socket is ready. */
void health_ready(struct health *h, unsigned i, sut_time now);

/* Asks whoever is due, and gives up who has not answered. */
void health_expire(struct health *h, sut_time now);
sut_time health_deadline(const struct health *h);
#endif
