/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_WORLD_PORT_H
#define SUT_APP_WORLD_PORT_H
/*
 * world_port - what a front end is told of its back ends, as a port of messages: health and link addresses (role/handoff/front.h).
 *
 *	backend NAME ADDR:PORT up
 *	backend NAME ADDR:PORT down WHY
 *	backend NAME ADDR:PORT mac AA:BB:CC:DD:EE:FF via AA:BB:CC:DD:EE:FF [if N]
 *	client if N
 *
 * And hears "backend NAME ADDR:PORT gone" and "backend NAME gone".
 *
 * Owns:     health checks (health.h) and neighbours (neighbour.h) in one epoll set with a timer.
 */
#include <stdbool.h>

#include "app/health.h"
#include "app/log.h"
#include "app/neighbour.h"

struct port;

/* One address of a back end. */
struct world_target {
	char name[32];
	struct endpoint at;
};

struct world_port_config {
	unsigned targets;
	struct world_target target[HEALTH_TARGETS];
	uint8_t source[2][16]; /* of health checks: as health.h */
	const char *device; /* towards the back ends; NULL: nothing is told of link addresses */
	bool ifindex; /* the device's number is told: where ways are BPF's */
	const char *
		client; /* the clients' device, where that is another one and its number is told; NULL otherwise */
	/* health checks; interval 0: none, all back ends are up */
	char path[512]; /* "": a connection is enough */
	sut_time interval, timeout;
	uint32_t rise, fall;
	uint8_t own[2][16]; /* as health_config.from */
	struct log log; /* where it is said that a target went down, or came up again */
	/* Nothing is left of this name: told from within a send.  May be NULL. */
	void (*gone)(void *ctx, const char *name);
	void *ctx;
};

/* 0, or -errno with a sentence in ret_err. */
int world_port_open(const struct world_port_config *c, struct port **ret_p, char *ret_err,
		    size_t err_size);

/*
 * Other targets, other ways of asking, and another log, from now on; what is asked from, devices and callbacks stay.  A target that is not among them is asked
 * no more, but its link address is looked after until the role says that it is gone.
 */
void world_port_renew(struct port *p, const struct world_port_config *c);
#endif
