/* SPDX-License-Identifier: MIT */
#include "replica_lanes.h"

#include <assert.h>

/* Ports of the gateway and of P that no role has. */
enum { GATEWAY_NETWORK = MIRROR_MIRROR + 1 };
enum { P_OUT, P_COPY };

static const char *const gateway_ports[] = { "gateway", "gateway", "gateway", "gateway" };
static const char *const rewrite_ports[] = {
	[REPLICA_PRIMARY] = "r-primary",     [REPLICA_SECONDARY] = "r-second",
	[REPLICA_COMPARE] = "r-compare",     [REPLICA_PRIMARY_OUT] = "r-p-out",
	[REPLICA_SECONDARY_OUT] = "r-s-out", [REPLICA_NETWORK] = "r-network",
	[REPLICA_CONTROL] = "r-control",
};
static const char *const compare_ports[] = {
	[COMPARE_PRIMARY_IN] = "c-primary",
	[COMPARE_SECONDARY_IN] = "c-second",
};

static bool is_role(unsigned node)
{
	return node == PAIR_REWRITE || node == PAIR_COMPARE;
}

static struct net_end end(enum pair_node node, unsigned port)
{
	return (struct net_end){ (uint8_t)node, (uint8_t)port };
}

static struct net_end lane_from(enum pair_lane lane)
{
	switch (lane) {
	case LANE_UP:
		return end(PAIR_OUTSIDE, 0);
	case LANE_P_IN:
		return end(PAIR_GATEWAY, MIRROR_PRIMARY);
	case LANE_MIRROR:
		return end(PAIR_GATEWAY, MIRROR_MIRROR);
	case LANE_NETWORK:
		return end(PAIR_GATEWAY, GATEWAY_NETWORK);
	case LANE_P_OUT:
		return end(PAIR_PRIMARY, P_OUT);
	case LANE_P_COPY:
		return end(PAIR_PRIMARY, P_COPY);
	case LANE_S_IN:
		return end(PAIR_REWRITE, REPLICA_SECONDARY);
	case LANE_S_OUT:
		return end(PAIR_SECONDARY, 0);
	case LANE_COMPARE:
		return end(PAIR_REWRITE, REPLICA_COMPARE);
	case LANE_DOWN:
	case LANES:
	default:
		return end(PAIR_GATEWAY, MIRROR_CLIENT);
	}
}

static struct net_end lane_to(const struct pair_plan *p, enum pair_lane lane)
{
	switch (lane) {
	case LANE_UP:
		return end(PAIR_GATEWAY, MIRROR_CLIENT);
	case LANE_P_IN:
		return end(PAIR_PRIMARY, 0);
	case LANE_MIRROR:
		return end(PAIR_REWRITE, REPLICA_PRIMARY);
	case LANE_NETWORK:
		return end(PAIR_REWRITE, REPLICA_NETWORK);
	case LANE_P_OUT:
		return p->compare ? end(PAIR_COMPARE, COMPARE_PRIMARY_IN)
				  : end(PAIR_GATEWAY, MIRROR_PRIMARY);
	case LANE_P_COPY:
		return end(PAIR_REWRITE, REPLICA_PRIMARY_OUT);
	case LANE_S_IN:
		return end(PAIR_SECONDARY, 0);
	case LANE_S_OUT:
		return end(PAIR_REWRITE,
			   p->s_at_out_port ? REPLICA_SECONDARY_OUT : REPLICA_SECONDARY);
	case LANE_COMPARE:
		return end(PAIR_COMPARE, COMPARE_SECONDARY_IN);
	case LANE_DOWN:
	case LANES:
	default:
		return end(PAIR_OUTSIDE, 0);
	}
}

void pair_lanes_open(struct net *n, const struct pair_plan *p, const struct pair_manners *m)
{
	static const char *const name[] = { "outside",	 "gateway", "primary",
					    "secondary", "rewrite", "compare" };
	static const char *const *const ports[PAIR_NODES] = {
		[PAIR_GATEWAY] = gateway_ports,
		[PAIR_REWRITE] = rewrite_ports,
		[PAIR_COMPARE] = compare_ports,
	};

	for (unsigned i = 0; i < PAIR_NODES; i++) {
		struct net_node node = { name[i], ports[i], m->input[i], m->ctx };

		net_node(n, i, &node);
	}
	for (unsigned i = 0; i < LANES; i++) {
		enum pair_lane lane = (enum pair_lane)i;
		struct net_end to = lane_to(p, lane);
		struct net_link_config cfg = { .link = p->lane[i] };
		unsigned link;

		/* What P says comes to a role, which may be the mirror in the gateway. */
		if (is_role(to.node) || lane == LANE_P_OUT)
			cfg.burst = m->burst;
		if (cfg.burst || m->hosts_at_ticks)
			cfg.tick = NET_TICK;
		link = net_join(n, lane_from(lane), to, &cfg);
		assert(link == i);
		(void)link;
	}
}

uint32_t pair_rewriter_ports(const struct pair_plan *p)
{
	return 1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY | 1u << REPLICA_CONTROL |
	       (uint32_t)p->copies << REPLICA_PRIMARY_OUT |
	       (uint32_t)p->compare_port << REPLICA_COMPARE |
	       (uint32_t)p->out_port << REPLICA_SECONDARY_OUT |
	       (uint32_t)p->network_port << REPLICA_NETWORK;
}
