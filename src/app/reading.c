/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A direction has an end, the highest number that was seen of it, and a list of the ranges below it that were not: its holes.  A
 * segment with data lies at the end (plain), beyond it (a hole opens), in a hole (fills it), or in what was seen already
 * (retransmission).  ACKs are compared with the last one of their direction.
 */
#include "app/reading.h"

#include <string.h>

#define OVERTAKEN SUT_MS(3) /* a hole filled within this was made by reordering */
#define FORGOTTEN SUT_MS(130000) /* a SYN after that much silence begins anew */
#define WILD (UINT32_C(1) << 30) /* further away is no part of the connection */

static enum sut_side other(enum sut_side s)
{
	return s == NEAR ? FAR : NEAR;
}

/* A capture's times may go back. */
static sut_time since(sut_time then, sut_time now)
{
	return now > then ? now - then : 0;
}

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void say(struct notes *n, enum note what)
{
	n->set |= UINT32_C(1) << what;
}

#define BIT(note) (UINT32_C(1) << (note))
#define RANGED                                                                            \
	(BIT(NOTE_RETRANSMIT) | BIT(NOTE_FILLS) | BIT(NOTE_HOLE) | BIT(NOTE_ACK_UNSEEN) | \
	 BIT(NOTE_DSACK))

/* There is one range: what is found first is of more interest. */
static void say_range(struct notes *n, enum note what, uint32_t from, uint32_t to)
{
	if (n->set & RANGED)
		return;
	say(n, what);
	n->from = from;
	n->to = to;
}

static struct segment segment_of(const struct sight *s, enum sut_side sender)
{
	return (struct segment){
		.sender = sender,
		.flags = s->flags,
		.window = s->window,
		.len = sight_space(s),
		.payload_len = s->len,
		.seq = { s->seq },
		.ack = { s->ack },
	};
}

bool reading_reopens(const struct reading *r, const struct sight *s, enum sut_side sender)
{
	struct reading copy = *r;
	struct segment seg = segment_of(s, sender);
	const struct track_edges e[SUT_SIDES] = {
		{ &copy.end[NEAR], &copy.acked[NEAR] },
		{ &copy.end[FAR], &copy.acked[FAR] },
	};

	if (!r->begun || (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	if (s->at > r->last && s->at - r->last > FORGOTTEN)
		return true;
	if (r->way[sender].syn && r->way[sender].base == s->seq)
		return false;
	return track_segment(&copy.track, &seg, e) == TV_REOPEN;
}

static void track(struct reading *r, const struct sight *s, enum sut_side sender, struct notes *n)
{
	struct segment seg = segment_of(s, sender);
	const struct track_edges e[SUT_SIDES] = {
		{ &r->end[NEAR], &r->acked[NEAR] },
		{ &r->end[FAR], &r->acked[FAR] },
	};
	uint8_t old = r->track.state;
	enum track_verdict v = TV_OK;

	if (!r->begun) {
		track_pick_up(&r->track, &seg, e);
		if (!(s->flags & TCP_SYN)) {
			say(n, NOTE_PICKED_UP);
			r->track.opener = NEAR;
		}
		old = TRACK_STATE_COUNT;
		r->begun = true;
	} else {
		v = track_segment(&r->track, &seg, e);
	}
	if (v == TV_REOPEN || (v == TV_OLD && (s->flags & (TCP_SYN | TCP_RST)) == TCP_SYN))
		say(n, NOTE_SYN_OTHER);
	else if ((v == TV_OLD || v == TV_INVALID) && (s->flags & TCP_RST))
		say(n, NOTE_RST_WRONG);
	else if (v == TV_INVALID)
		say(n, NOTE_STRAY);
	n->state = r->track.state;
	if (old != r->track.state)
		say(n, NOTE_STATE);
}

/* Forgets hole i. */
static void drop_hole(struct reading_way *w, unsigned i)
{
	w->holes--;
	memmove(&w->hole[i], &w->hole[i + 1], (w->holes - i) * sizeof w->hole[0]);
}

static void add_hole(struct reading_way *w, uint32_t from, uint32_t to, sut_time at)
{
	if (w->holes == READING_HOLES)
		drop_hole(w, 0);
	w->hole[w->holes++] = (struct reading_range){ from, to, at };
}

/* Takes [from, to) out of hole i, which it meets. */
static void fill(struct reading_way *w, unsigned i, uint32_t from, uint32_t to)
{
	struct reading_range h = w->hole[i];

	drop_hole(w, i);
	if (before(h.from, from))
		add_hole(w, h.from, from, h.since);
	if (before(to, h.to))
		add_hole(w, to, h.to, h.since);
}

/* Does the segment fill a hole?  All that it meets are taken out. */
static bool fills(struct reading_way *w, const struct sight *s, struct notes *n)
{
	uint32_t from = sight_data(s), to = s->seq + sight_space(s);
	bool any = false;

	for (unsigned i = w->holes; i-- > 0;) {
		struct reading_range h = w->hole[i];

		if (!before(from, h.to) || !before(h.from, to))
			continue;
		if (!any)
			say_range(n, NOTE_FILLS, before(h.from, from) ? from : h.from,
				  before(to, h.to) ? to : h.to);
		if (since(h.since, s->at) < OVERTAKEN)
			say(n, NOTE_LATE);
		any = true;
		fill(w, i, from, to);
	}
	return any;
}

/* The segment has data or FIN, and lies below the end at least in part. */
static void read_again(struct reading *r, const struct sight *s, enum sut_side sender,
		       struct notes *n)
{
	struct reading_way *w = &r->way[sender], *peer = &r->way[other(sender)];
	uint32_t to = s->seq + sight_space(s);
	bool more = before(w->end, to);

	if (s->len <= 1 && to == w->end && !(s->flags & TCP_FIN) && peer->acks &&
	    peer->acked == w->end) {
		say(n, NOTE_KEEPALIVE);
		return;
	}
	if (fills(w, s, n))
		return;
	if ((s->flags & TCP_FIN) && s->len == 0) {
		say(n, NOTE_FIN_AGAIN);
		return;
	}
	say_range(n, NOTE_RETRANSMIT, sight_data(s), more ? w->end : s->seq + s->len);
	if (more)
		say(n, NOTE_PARTLY_NEW);
	else if (peer->acks && !before(peer->acked, to))
		say(n, NOTE_NEEDLESS);
}

static void read_syn(struct reading_way *w, const struct sight *s, struct notes *n)
{
	if (w->syn && w->base == s->seq) {
		say(n, s->flags & TCP_ACK ? NOTE_SYNACK_AGAIN : NOTE_SYN_AGAIN);
		n->after = since(w->syn_at, s->at);
	} else if (!w->seen) {
		w->seen = w->syn = true;
		w->base = s->seq;
		w->end = s->seq + 1;
		w->scaled = s->present & OPT_WSCALE;
		w->scale = s->wscale;
		w->syn_cut = s->marks & SIGHT_CUT_OPTIONS;
	}
	w->syn_at = s->at;
	if (s->len)
		say(n, NOTE_SYN_DATA);
}

/* Numbers of a direction of which nothing was seen yet begin with what is seen first. */
static void begin(struct reading_way *w, uint32_t next)
{
	w->seen = true;
	w->base = next - 1;
	w->end = next;
}

/* seq and length: returns whether it is no part of the connection. */
static bool read_numbers(struct reading *r, const struct sight *s, enum sut_side sender,
			 struct notes *n)
{
	struct reading_way *w = &r->way[sender], *peer = &r->way[other(sender)];
	uint32_t to = s->seq + sight_space(s);

	if (s->flags & TCP_SYN)
		read_syn(w, s, n);
	if (!w->seen && (s->flags & TCP_RST))
		return false; /* it has a number of the other side, or none */
	if (!w->seen)
		begin(w, s->seq);
	if (s->seq - w->end + WILD > 2 * WILD)
		return true;
	if ((s->flags & TCP_SYN) && s->len == 0)
		return false;
	if (s->len && peer->acks && peer->window == 0 && s->seq == w->end && s->len == 1)
		say(n, NOTE_WINDOW_PROBE);
	if (before(w->end, sight_data(s)) && !(s->flags & TCP_RST)) {
		say_range(n, NOTE_HOLE, w->end, s->seq);
		add_hole(w, w->end, s->seq, s->at);
	} else if (to != sight_data(s) && before(sight_data(s), w->end)) {
		read_again(r, s, sender, n);
	} else if (s->len == 0 && s->seq + 1 == w->end && !(s->flags & (TCP_SYN | TCP_RST)) &&
		   peer->acks && peer->acked == w->end) {
		say(n, NOTE_KEEPALIVE);
	}
	if (before(w->end, to))
		w->end = to;
	return false;
}

/* A segment without data, SYN, FIN and RST. */
static void read_pure_ack(struct reading_way *w, const struct reading_way *peer,
			  const struct sight *s, struct notes *n)
{
	if (s->ack != w->acked || notes_have(n, NOTE_KEEPALIVE))
		return;
	if (peer->probed)
		say(n, NOTE_KEEPALIVE_ACK);
	else if (s->window != w->window && s->window)
		say(n, w->window == 0 ? NOTE_WINDOW_OPENS : NOTE_WINDOW_UPDATE);
	else if (s->window == w->window && peer->seen && before(s->ack, peer->end)) {
		say(n, NOTE_DUP_ACK);
		n->count = ++w->dup_acks;
	}
}

static void read_ack(struct reading *r, const struct sight *s, enum sut_side sender,
		     struct notes *n)
{
	struct reading_way *w = &r->way[sender], *peer = &r->way[other(sender)];
	bool pure = s->len == 0 && !(s->flags & (TCP_SYN | TCP_FIN | TCP_RST));

	if (!peer->seen)
		begin(peer, s->ack);
	if (s->ack - peer->end - 1 < WILD && !(s->flags & TCP_RST)) {
		say_range(n, NOTE_ACK_UNSEEN, peer->end, s->ack);
		add_hole(peer, peer->end, s->ack, s->at); /* it may still come */
		peer->end = s->ack;
	}
	if (pure && w->acks)
		read_pure_ack(w, peer, s, n);
	if (s->sack_count && (!before(s->ack, s->sack[0][1]) ||
			      (s->sack_count > 1 && !before(s->sack[0][0], s->sack[1][0]) &&
			       !before(s->sack[1][1], s->sack[0][1]))))
		say_range(n, NOTE_DSACK, s->sack[0][0], s->sack[0][1]);
	if (!w->acks || before(w->acked, s->ack)) {
		w->acked = s->ack;
		w->dup_acks = 0;
	}
	if (!(s->flags & TCP_RST)) {
		if (s->window == 0 && (!w->acks || w->window))
			say(n, NOTE_ZERO_WINDOW);
		w->window = s->window;
		w->acks = true;
	}
}

void reading_add(struct reading *r, const struct sight *s, enum sut_side sender,
		 struct notes *ret_n)
{
	struct reading_way *w = &r->way[sender];
	struct notes n = { 0 };

	track(r, s, sender, &n);
	if (!w->has_ts && (s->present & OPT_TS)) {
		w->has_ts = true;
		w->ts_base = s->tsval;
	}
	if (read_numbers(r, s, sender, &n))
		say(&n, NOTE_STRAY);
	else if (s->flags & TCP_ACK)
		read_ack(r, s, sender, &n);
	w->probed = notes_have(&n, NOTE_KEEPALIVE) || notes_have(&n, NOTE_WINDOW_PROBE);
	r->last = s->at;
	*ret_n = n;
}
