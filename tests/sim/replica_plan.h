/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_REPLICA_PLAN_H
#define SUT_SIM_REPLICA_PLAN_H
/*
 * replica_plan - what a seed means for a replicated pair: lanes, connections, how the primary dies, when the secondary
 * becomes its copy, and how the boxes are joined.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "peer.h"
#include "role/replica/compare_role.h"
#include "role/replica/mirror_role.h"
#include "role/replica/rewrite_role.h"
#include "run.h"

#define PAIR_CONNS_MAX 5
#define PAIR_CHECKPOINTS_MAX 3
/* What tells apart whose frame it is. */
#define PAIR_P_MARK 1
#define PAIR_S_MARK 2

/* clang-format off */
#define PAIR_LANES(X) \
	X(UP,      "gateway",   '>')	/* what the clients send; lossy */ \
	X(P_IN,    "primary",   '>')	/* on to the primary */ \
	X(MIRROR,  "mirror",    '>')	/* the same to the rewriter's port primary */ \
	X(NETWORK, "network",   '>')	/* after the failover: to its port network */ \
	X(P_OUT,   "p-out",     '<')	/* what the primary sends, to compare or the gateway */ \
	X(P_COPY,  "p-copy",    '<')	/* the same to the rewriter's port primary-out */ \
	X(S_IN,    "secondary", '>')	/* from the rewriter to the secondary */ \
	X(S_OUT,   "s-out",     '<')	/* from the secondary to the rewriter */ \
	X(COMPARE, "s-compare", '<')	/* from the rewriter to compare's secondary-in */ \
	X(DOWN,    "client",    '<')	/* from the gateway to the clients; lossy */

/* A way that frames go, and the place where they arrive; at one time they do so in this order. */
enum pair_lane {
#define X(id, name, dir) LANE_##id,
	PAIR_LANES(X)
#undef X
	LANES
};

/* What a number of packets is counted from. */
enum pair_trigger {
	BY_PACKETS,	/* the start of the world */
	BY_CONN,	/* the first packet of one connection */
	BY_FIN,		/* the first FIN of one connection */
};
/* clang-format on */

struct pair_when {
	enum pair_trigger by;
	unsigned conn;
	uint32_t packet; /* 0: never */
};

struct pair_conn_plan {
	struct peer_config out, p, s; /* the client, or whom the guest connects to; and the pair */
	bool guest_opens;
	sut_time start, lag; /* when it is opened; guests: the secondary does it that much later */
	int reuses; /* the connection whose ports it takes, `start` after its end; -1: none */
};

struct pair_plan {
	uint64_t seed;
	bool compare; /* P's output is compared, else it goes to the clients at once */
	bool copies; /* P's output is copied to the rewriter */
	bool compare_port, network_port,
		out_port; /* the rewriter has these (the last: secondary-out) */
	bool s_at_out_port; /* what the secondary sends comes in there */
	bool mirrors; /* the gateway is a replica-mirror */
	bool drains; /* failover waits until the mirror is empty */
	bool loses_in_flight; /* what P had sent last dies with it */
	bool tells_as_qemu; /* compare of checkpoints: at its port notify */
	bool rewriter_first; /* it is told of the failover, then compare */
	bool copied; /* the secondary becomes a copy now and then */
	bool lossy;
	struct replica_rewrite_config rewrite;
	struct replica_compare_config comparing;
	struct replica_mirror_config mirror;
	struct link_config lane[LANES];
	struct pair_when death;
	sut_time detect; /* from the death to the failover */
	struct pair_when checkpoint[PAIR_CHECKPOINTS_MAX];
	unsigned conns;
	struct pair_conn_plan conn[PAIR_CONNS_MAX];
};

const char *pair_lane_name(enum pair_lane lane);
char pair_lane_dir(enum pair_lane lane);

void pair_plan_draw(uint64_t seed, bool compare, struct pair_plan *ret_p);
/* Prints all of it, or only what is not of its connections. */
void pair_plan_print(const struct pair_plan *p);
void pair_plan_print_site(const struct pair_plan *p);
#endif
