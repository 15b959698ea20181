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
 * protocols that are neither UDP nor ICMP, all from the IP header on.  A UDP checksum that one of
 * the two senders has left to a device says nothing, and is not compared.
 */

#define UDP_CSUM 6u /* from the UDP header */

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

static bool equal(uint8_t kind, const struct packet *p, const struct packet *s, uint16_t from)
{
	uint32_t n = p->head_len - from, skip = 0;
	const uint8_t *a = p->head + from, *b = s->head + from;

	if (p->head_len != s->head_len)
		return false;
	if (kind == COMPARE_UDP && n >= UDP_CSUM + 2 &&
	    (p->off.csum == CSUM_PARTIAL || s->off.csum == CSUM_PARTIAL)) {
		if (memcmp(a, b, UDP_CSUM) != 0)
			return false;
		skip = UDP_CSUM + 2;
	}
	return memcmp(a + skip, b + skip, n - skip) == 0;
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
