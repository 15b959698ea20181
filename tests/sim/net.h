/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_NET_H
#define SUT_SIM_NET_H
/*
 * net - the network of a world: nodes, links between their ports, the frames that are under way.
 *
 *     node.port ──── link ────► node.port          the other direction is a link of its own
 *
 * A node is whatever is given frames: a host, a simulated peer, a role in its box, a gateway that is a few lines of the world's.  A
 * link leads from a port of one node to a port of any node, and may lose a frame, delay it, double it, damage it...  A world
 *
 *     1  says net_open(), and net_node() for each of its nodes;
 *     2  joins them by net_join(), which numbers the links in order: of what arrives at one time, lower links come first;
 *     3  puts wire frames on links by net_put(), or by net_send() where a port has one link that leaves it (device.h makes wire
 *        frames of what roles and stacks put out);
 *     4  in its loop lets time jump to net_deadline() (or its own next event), then has net_deliver() give each node what has arrived.
 *
 * Owns:     frames under way, the links' dice, the hash and the trace of all that leaves and arrives.
 * Does not: look into frames, but where it damages them; know what nodes do with them.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "core/link.h"
#include "queue.h"
#include "rng.h"
#include "run.h"

#define NET_NODES 16u
#define NET_LINKS 64u
#define NET_BURST 256u /* most frames that a node is given at once */
#define NET_SPELLS 4u
#define NET_TICK ((sut_time)50000) /* a usual tick: bursts of several frames happen */
#define NET_NONE UINT32_MAX /* no link */

/* A port of a node: the nodes' and the ports' numbers are the world's. */
struct net_end {
	uint8_t node, port;
};

struct net_node {
	const char *name; /* in traces */
	const char *const *ports; /* names of its ports, if it has more than one */
	/* n frames have arrived at one port of it; they are its own until it returns, PACKET_HEADROOM bytes in front of each. */
	void (*input)(void *ctx, struct net_end at, struct packet **pkts, unsigned n);
	void *ctx;
};

/* A time in which a link is another one. */
struct net_spell {
	sut_time from, until;
	bool blackout; /* all is lost; else: */
	sut_time delay; /* this much more */
};

struct net_link_config {
	struct link_config
		link; /* delay, jitter, loss, doubling, reordering, rate and queue; its seed */
	sut_time tick; /* frames arrive at its multiples; 0: exactly when they do */
	unsigned burst; /* most frames that its end is given at once, up to NET_BURST; 0: one */
	uint32_t cut_pct; /* frames whose tail is cut off, in a hundred */
	uint32_t squeeze_ppm; /* frames whose window field is made smaller, the checksum right */
	uint32_t
		corrupt_ppm; /* frames in which a bit behind the Ethernet header is turned, once on the whole way */
	uint32_t mtu; /* bytes of IP packet; 0: no limit */
	bool black_hole; /* nobody is told of packets that are too long; else an ICMP error goes back to where they came from */
	unsigned spells;
	struct net_spell spell[NET_SPELLS];
};

struct net_link {
	struct net_end from, to;
	struct net_link_config cfg;
	struct link link;
	uint64_t hash[2]; /* of what left, of what arrived */
};

struct net {
	struct run *run;
	struct net_node node[NET_NODES];
	struct net_link link[NET_LINKS];
	unsigned links;
	struct rng dice; /* of what links do to frames, beyond core/link.h */
	struct queue queue;
};

/* n is all zero before. */
void net_open(struct net *n, struct run *r, uint64_t seed);
void net_close(struct net *n);
void net_node(struct net *n, unsigned node, const struct net_node *cfg);
/* A link: its number, one more than the one before's. */
unsigned net_join(struct net *n, struct net_end from, struct net_end to,
		  const struct net_link_config *cfg);

/* A wire frame (in one piece) leaves on a link. */
void net_put(struct net *n, unsigned link, const struct packet *p);
/* The same on the link that begins at a port, or, where none does, goes nowhere: false. */
bool net_send(struct net *n, struct net_end from, const struct packet *p);
/* All that is under way on a link is lost. */
void net_lose(struct net *n, unsigned link);

/*
 * A frame one of whose bits was turned bears that in its Ethernet header, so that a role which does not write one of its own hands it
 * on.  Checksums see one bit; where they do not (a length that became another one), that is marked too.
 */
#define NET_MARK_AT 4 /* in the destination address */
#define NET_DAMAGED 0x80u
#define NET_UNSEEN 0x40u
static inline unsigned net_marks(const struct packet *p)
{
	return p->head[NET_MARK_AT] & (NET_DAMAGED | NET_UNSEEN);
}

/* Is it a TCP segment whose checksums are right? */
bool net_sums(const struct packet *p);

/* When something arrives next; SUT_NEVER. */
sut_time net_deadline(const struct net *n);
/*
 * Gives one node what has arrived by now on one link, in one burst: false where there is nothing.  A world whose nodes may break
 * something, or that has to do something in between, looks after each.
 */
bool net_deliver(struct net *n);

/* When the last frame that was put on a link so far arrives, reordered and doubled ones aside. */
sut_time net_drained(const struct net *n, unsigned link);
/* The link that begins at a port, the one that ends there: the first one, or NET_NONE. */
unsigned net_link_from(const struct net *n, struct net_end at);
unsigned net_link_to(const struct net *n, struct net_end at);
/* For the trace and the hash: a frame is at one end of a link, though it does not go through it. */
void net_note(struct net *n, unsigned link, bool arrives, const struct packet *p);
/* Of all that has left and arrived on each link, in order, with its time. */
uint64_t net_hash(const struct net *n);
#endif
