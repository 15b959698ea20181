/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_other.h"

#include <string.h>

#include "proto/ip.h"
#include "role/replica/compare_out.h"

/*
 * Theory of operation
 *
 * The first of the primary's frames that waits is looked for among all that wait of the secondary.
 * Found: both are done with, and the next one is looked for.  Not found, but others are there: the
 * two have diverged.  None there: it waits.
 *
 * What is equal: the length of the frames, and all behind the IP header; of fragments and of
 * protocols that are neither UDP nor ICMP, all from the IP header on, but for the identification,
 * which each sender picks for itself, and the IPv4 checksum over it.  A UDP checksum that one of the
 * two senders has left to a device says nothing, and is not compared.
 */

#define UDP_CSUM 6u /* from the UDP header */
#define IP4_ID 4u /* from the IPv4 header */
#define IP4_CSUM 10u
#define FRAG6_ID_BACK 4u /* from the end of the IPv6 fragment header */

static struct waiting waiting_read(const struct compare_turn *t, const struct compare_flow *c,
				   const struct packet *p, const struct view *v)
{
	uint16_t from = c->kind == COMPARE_OTHER ? v->l3 : v->l4;

	return (struct waiting){
		.since = t->now,
		.serial = ++t->c->serial,
		.bytes = from,
		.len = packet_len(p) - from,
	};
}

static struct packet held_packet(const struct compare_turn *t, uint32_t at)
{
	struct packet p;
	unsigned port;

	(void)held_look(t->c->held, at, &port, &p);
	return p;
}

/* Bytes that are not compared, in order; counted from the first one that is.  len 0: none. */
struct holes {
	uint32_t at[2], len[2];
};

static struct holes holes_of(uint8_t kind, const struct packet *p, const struct packet *s)
{
	struct holes h = { { 0 }, { 0 } };
	struct view v;

	if (kind == COMPARE_UDP) {
		if (p->off.csum != CSUM_PARTIAL && s->off.csum != CSUM_PARTIAL)
			return h;
		h.at[0] = UDP_CSUM;
		h.len[0] = 2;
	} else if (kind == COMPARE_OTHER && view_parse(p, &v) == R_NONE && v.ip == 4) {
		h = (struct holes){ { IP4_ID, IP4_CSUM }, { 2, 2 } };
	} else if (kind == COMPARE_OTHER && v.ip == 6 && v.fragment) {
		h.at[0] = v.l4 - v.l3 - FRAG6_ID_BACK;
		h.len[0] = 4;
	}
	return h;
}

static bool equal(uint8_t kind, const struct packet *p, const struct packet *s, uint16_t from)
{
	uint32_t at = from, end = p->head_len;
	struct holes h;

	if (p->head_len != s->head_len)
		return false;
	h = holes_of(kind, p, s);
	for (unsigned i = 0; i < 2 && h.len[i]; i++) {
		uint32_t hole = from + h.at[i];

		if (hole + h.len[i] > end)
			break;
		if (memcmp(p->head + at, s->head + at, hole - at) != 0)
			return false;
		at = hole + h.len[i];
	}
	return memcmp(p->head + at, s->head + at, end - at) == 0;
}

/* Finds the secondary's equal of p, and drops it: true. */
static bool take_equal(struct compare_turn *t, uint32_t f, const struct packet *p,
		       const struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t prev = HELD_NONE, at = c->side[FAR].q.first;

	for (; at != HELD_NONE; at = held_next(t->c->held, at)) {
		struct packet s = held_packet(t, at);

		if (waiting_of(t, at)->bytes == w->bytes && equal(c->kind, p, &s, w->bytes)) {
			compare_drop(t, f, prev, R_COMPARED);
			return true;
		}
		prev = at;
	}
	return false;
}

/* Compares the first of the primary's, and the next while they are equal. */
static void compare_first(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t at = c->side[NEAR].q.first;

	for (; at != HELD_NONE; at = held_next(t->c->held, at)) {
		struct waiting *w = waiting_of(t, at);
		struct packet p = held_packet(t, at);

		if (w->flags & WAITING_MATCHED)
			continue;
		if (!take_equal(t, f, &p, w))
			break;
		w->flags |= WAITING_MATCHED;
	}
	if (at != HELD_NONE && c->side[FAR].frames)
		compare_diverge(t, f, "frames differ");
}

void compare_other_primary(struct compare_turn *t, uint32_t f, struct packet *p,
			   const struct view *v)
{
	struct compare_flow *c = compare_cold(t, f);
	struct waiting w = waiting_read(t, c, p, v);

	if (c->side[NEAR].frames == 0 && take_equal(t, f, p, &w))
		w.flags = WAITING_MATCHED;
	compare_send_or_hold(t, f, p, &w);
	compare_first(t, f);
	compare_release(t, f);
}

void compare_other_secondary(struct compare_turn *t, uint32_t f, struct packet *p,
			     const struct view *v)
{
	struct compare_flow *c = compare_cold(t, f);
	struct waiting w = waiting_read(t, c, p, v);

	(void)compare_hold(t, f, FAR, p, &w, c->side[FAR].q.last);
	compare_first(t, f);
	compare_release(t, f);
}
