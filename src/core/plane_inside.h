/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_PLANE_INSIDE_H
#define SUT_CORE_PLANE_INSIDE_H
/*
 * plane_inside - what the files of the data plane share: its block, and a packet on its way.
 *
 * Owns:     nothing.
 * Does not: concern anybody outside of plane*.c.
 */
#include "core/plane.h"
#include "core/way_table.h"

struct plane {
	struct plane_config cfg;
	plane_report report;
	void *ctx;
	uint64_t counter[WAY_N_COUNT];
	enum way_counter why; /* of the last SYN with a header that was dropped */
	uint32_t at_table; /* bytes from here */
};

/* A packet that a way names. */
struct pass {
	struct plane *pl;
	struct packet *p;
	struct view *v;
	struct tcp_options o;
	struct way_slot *s, *mate; /* mate: NULL where there is none */
	const struct way_key *event_key;
	enum plane_hook hook;
	enum way_counter why; /* where it goes no further */
};

enum pass_fate { PASS_GOES, PASS_SWALLOWED, PASS_DROPPED };

struct way_table *plane_table(const struct plane *pl);
void plane_count_event(struct plane *pl, enum way_counter c);
/* Reports about the way of x, under its id. */
void plane_tell(const struct pass *x, enum way_event_kind kind, uint32_t a, uint32_t b);

/* seq and ack as the receiver reads them. */
uint32_t pass_seq(const struct pass *x);
uint32_t pass_ack(const struct pass *x);

/* plane_out.c: what the host's packets teach and say. */
enum pass_fate plane_out(struct pass *x);

/* plane_open.c: headers in SYNs. */
enum opening { OPEN_NONE, OPEN_MADE, OPEN_DROP };
/*
 * Looks for a header in a SYN at BACK_IN and makes the pair of ways that it asks for; old: the way that is there already, over (its
 * pair is replaced), or NULL.
 */
enum opening plane_open(struct plane *pl, const struct packet *p, const struct view *v,
			const struct way_key *key, sut_time now);
/* Is the in-band pair of this way, whose client sends such a SYN, over? */
bool plane_pair_over(const struct plane *pl, const struct way_slot *s, const struct view *v);
/* The origin that clients know by the destination of key; -1. */
int plane_origin_of(const struct plane *pl, const struct way_key *key);
#endif
