/* SPDX-License-Identifier: MIT */
#include "core/track.h"

/*
 * Theory of operation
 *
 * A segment is turned into an event by its flags, and the table says, for who sent it and the
 * state it meets, either the next state or a question about numbers that decides.  Then its
 * numbers are checked against the edges, and only then anything is changed: state by set_state()
 * alone, edges by follow() alone.
 *
 * Nobody in the middle knows what the ends received; a packet may be lost behind us.  So the state
 * says what was *seen*.  Where an end may or may not have taken a segment, the table keeps the
 * reading that outlives the other: a record kept too long costs memory until its time is up, one
 * ended too soon costs a connection.
 *
 * Invariants: fin_acked is a subset of fin_seen; FIN_OPENER and FIN_OTHER have one bit of
 * fin_seen, CLOSING and TIME_WAIT both, TIME_WAIT both of fin_acked; edges only grow (modulo
 * 2^32), and a sender's end never passes its FIN.
 */

#define FAR_OUTSIDE (UINT32_C(1) << 30) /* the largest window that scaling allows (RFC 7323, 2.3) */
#define IN_FLIGHT \
	(UINT32_C(1) << 26) /* more than this nobody has under way: a guess by whoever cannot see */
#define RST_BLIND 0x10000u /* see rst_exact */

enum from { OPENER, OTHER };

/* What the table says besides a next state. */
enum move {
	M_OLD = TRACK_STATE_COUNT, /* a stray */
	M_REOPEN, /* a new connection */
	M_SYN_AGAIN, /* the ISN that we saw: retransmitted; another: a new connection */
	M_SYN_DUP, /* the ISN that we saw, or the first that we see: part of it; another: a stray */
	M_SYN_LATE, /* the ISN that we saw: a late duplicate; another: a new connection */
	M_LEARN, /* a SYN-ACK that was overtaken: tells the ISN if we lack it; else a stray */
	M_CONFIRM, /* ESTABLISHED if it has data or acknowledges more than before, else no change */
	M_RST, /* CLOSED if exact, else a stray */
	M_RST_SYN, /* CLOSED if it acknowledges the SYN, else a stray */
	M_RST_EITHER, /* CLOSED if one of these */
};

/* clang-format off */
#define cl TRACK_CLOSED
#define ss TRACK_SYN_SENT
#define sr TRACK_SYN_RECEIVED
#define es TRACK_ESTABLISHED
#define fo TRACK_FIN_OPENER
#define ft TRACK_FIN_OTHER
#define cg TRACK_CLOSING
#define tw TRACK_TIME_WAIT

static const uint8_t table[2][TE_COUNT][TRACK_STATE_COUNT] = {
	[OPENER] = {
		/*               CLOSED     SYN_SENT      SYN_RECEIVED  ESTABLISHED FIN_OPENER  FIN_OTHER   CLOSING     TIME_WAIT */
		/*
		 * Closed ports are free for all.  In SYN_SENT a new ISN means that the opener gave
		 * up and tries again from the same port; once it was answered, only the other end
		 * can say whether it still knows the old one (it sends a challenge ACK, RFC 5961,
		 * 4), so the SYN is a stray to us.  An established flow is never moved by a SYN.
		 * Nor is one of which a half is still open.  When both have closed another ISN is
		 * port reuse (RFC 9293, 3.6.1): a duplicate has the old one.
		 */
		[TE_SYN] =     { M_REOPEN, M_SYN_AGAIN,  M_SYN_DUP,    M_OLD,      M_OLD,      M_OLD,      M_SYN_LATE, M_SYN_LATE },
		/*
		 * The opener sends a SYN-ACK in a simultaneous open only (RFC 9293, 3.5, figure
		 * 7): the other's SYN crossed its own, seen by us or not.  Its ACK alone makes
		 * nothing ESTABLISHED, the other's answer is still to come.
		 */
		[TE_SYNACK] =  { M_OLD,    sr,           M_SYN_DUP,    M_OLD,      M_OLD,      M_OLD,      M_OLD,      M_OLD },
		/*
		 * An ACK of the opener in SYN_SENT answers a SYN-ACK that we cannot see.  It ends
		 * the handshake.  After its own FIN it acknowledges the other's data; in CLOSING it
		 * may be the last ACK (see follow()); in TIME_WAIT it is that ACK again.  After a
		 * reset it is a stray, challenge ACKs among them.
		 */
		[TE_ACK] =     { M_OLD,    es,           es,           es,         fo,         ft,         cg,         tw },
		/*
		 * A FIN carries an ACK, so it ends the handshake as well (the ACK before it was
		 * lost, or there was none: RFC 9293, 3.10.4, CLOSE in SYN-RECEIVED).  A second FIN
		 * is the first one retransmitted: follow() compares.
		 */
		[TE_FIN] =     { M_OLD,    fo,           fo,           fo,         fo,         cg,         cg,         tw },
		/*
		 * In SYN_SENT an opener resets what it dislikes with a seq that is not its own
		 * (RFC 9293, 3.5.1), and goes on; M_RST is true only for its own.  TIME_WAIT is
		 * not assassinated (RFC 1337).
		 */
		[TE_RST] =     { M_OLD,    M_RST,        M_RST,        M_RST,      M_RST,      M_RST,      M_RST,      M_OLD },
	},
	[OTHER] = {
		/*
		 * A SYN that meets the opener's is a simultaneous open; again with the same ISN it
		 * is retransmitted.  When both have closed the ports may be used again from this
		 * end too.
		 */
		[TE_SYN] =     { M_REOPEN, sr,           M_SYN_DUP,    M_OLD,      M_OLD,      M_OLD,      M_SYN_LATE, M_SYN_LATE },
		/*
		 * The answer; then the same retransmitted.  One with another ISN comes from a
		 * server that forgot; the opener took the first, or will be reset.  Behind the
		 * opener's ACK or the server's first data it was overtaken and may still be the
		 * first that we see.
		 */
		[TE_SYNACK] =  { M_OLD,    sr,           M_SYN_DUP,    M_LEARN,    M_LEARN,    M_LEARN,    M_LEARN,    M_OLD },
		/*
		 * In SYN_SENT: the SYN-ACK was lost before us or is overtaken; a challenge ACK
		 * does not acknowledge the SYN and is left out by its numbers.  In SYN_RECEIVED:
		 * data of a server that answers Fast Open at once, or of one whose opener we
		 * cannot see.
		 */
		[TE_ACK] =     { M_OLD,    sr,           M_CONFIRM,    es,         fo,         ft,         cg,         tw },
		/* A server may close at once, before the handshake's ACK.  Else as the opener's. */
		[TE_FIN] =     { M_OLD,    ft,           ft,           ft,         cg,         ft,         cg,         tw },
		/*
		 * A refused SYN is answered by a RST that acknowledges it (RFC 9293, 3.10.7.3).
		 * While we cannot know whether the opener has got the SYN-ACK either form can be
		 * right.
		 */
		[TE_RST] =     { M_OLD,    M_RST_SYN,    M_RST_EITHER, M_RST,      M_RST,      M_RST,      M_RST,      M_OLD },
	},
};
#undef cl
#undef ss
#undef sr
#undef es
#undef fo
#undef ft
#undef cg
#undef tw
/* clang-format on */

enum track_event track_event_of(uint8_t flags)
{
	switch (flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) {
	case TCP_SYN:
		return TE_SYN;
	case TCP_SYN | TCP_ACK:
		return TE_SYNACK;
	case TCP_ACK:
		return TE_ACK;
	case TCP_FIN | TCP_ACK:
		return TE_FIN;
	case TCP_RST:
	case TCP_RST | TCP_ACK:
		return TE_RST;
	default:
		return TE_NONE;
	}
}

static enum sut_side peer_of(enum sut_side s)
{
	return s == NEAR ? FAR : NEAR;
}

static bool has(uint8_t bits, enum sut_side s)
{
	return bits & (1u << s);
}

static void add(uint8_t *bits, unsigned bit)
{
	*bits = (uint8_t)(*bits | 1u << bit);
}

static bool end_known(const struct track *t, enum sut_side s)
{
	return has(t->edges_known, s);
}

static bool acked_known(const struct track *t, enum sut_side s)
{
	return t->edges_known & (1u << (s + 2));
}

static void set_state(struct track *t, enum track_state s)
{
	t->state = (uint8_t)s;
}

/* Is n in [from, to], a range of less than 2^31? */
static bool within(sut_seq n, sut_seq from, sut_seq to)
{
	return !seq_before(n, from) && !seq_before(to, n);
}

/* Is n less than 2^30 from ref on either side? */
static bool close_to(sut_seq n, sut_seq ref)
{
	return seq_diff(n, ref) + FAR_OUTSIDE - 1 < 2 * FAR_OUTSIDE - 1;
}

/* Does the segment acknowledge its peer's SYN, and nothing that the peer has not sent?  True where no SYN was seen. */
static bool acks_syn(const struct track *t, const struct segment *s,
		     const struct track_edges e[SUT_SIDES])
{
	enum sut_side peer = peer_of(s->sender);

	if (!has(t->isn_known, peer))
		return true;
	return (s->flags & TCP_ACK) && within(s->ack, seq_add(t->isn[peer], 1), *e[peer].end);
}

static bool same_isn(const struct track *t, const struct segment *s)
{
	return has(t->isn_known, s->sender) && t->isn[s->sender].v == s->seq.v;
}

/* Is the segment behind the SYNs that were seen, less than 2^30? */
static bool behind_syns(const struct track *t, const struct segment *s)
{
	enum sut_side peer = peer_of(s->sender);

	if (has(t->isn_known, s->sender) &&
	    seq_diff(s->seq, seq_add(t->isn[s->sender], !(s->flags & TCP_SYN))) >= FAR_OUTSIDE)
		return false;
	return !has(t->isn_known, peer) || !(s->flags & TCP_ACK) ||
	       seq_diff(s->ack, seq_add(t->isn[peer], 1)) < FAR_OUTSIDE;
}

/* Do the numbers of an ending handshake fit it?  What does not is a stray of an earlier connection. */
static bool fits_handshake(const struct track *t, const struct segment *s,
			   const struct track_edges e[SUT_SIDES])
{
	if (t->state != TRACK_SYN_SENT && t->state != TRACK_SYN_RECEIVED)
		return true;
	/* Before the answer nothing of the opener can be on its way that we have not seen. */
	if (t->state == TRACK_SYN_SENT && s->sender != t->opener && (s->flags & TCP_ACK) &&
	    !acks_syn(t, s, e))
		return false;
	if ((s->flags & TCP_SYN) && has(t->isn_known, s->sender) && !same_isn(t, s))
		return false;
	return behind_syns(t, s);
}

/* Are the numbers near enough to what was seen?  A side not seen yet is measured by what the other says of it. */
static bool in_range(const struct track *t, const struct segment *s,
		     const struct track_edges e[SUT_SIDES])
{
	enum sut_side me = s->sender, peer = peer_of(me);

	if (end_known(t, me) ? !close_to(s->seq, *e[me].end)
			     : acked_known(t, peer) && !close_to(s->seq, *e[peer].acked))
		return false;
	if (!(s->flags & TCP_ACK))
		return true;
	return acked_known(t, me) ? close_to(s->ack, *e[me].acked)
				  : !end_known(t, peer) || close_to(s->ack, *e[peer].end);
}

/*
 * Is this the FIN that was seen before, or the first, near what the other end has acknowledged or what its sender has sent?
 * (A stray may have moved either edge, which must not make a connection immortal.)
 */
static bool fin_fits(const struct track *t, const struct segment *s,
		     const struct track_edges e[SUT_SIDES])
{
	enum sut_side me = s->sender, peer = peer_of(me);
	sut_seq fin = seq_add(s->seq, s->len);

	if (has(t->fin_seen, s->sender))
		return fin.v == t->fin[s->sender].v;
	return (acked_known(t, peer) && seq_diff(fin, *e[peer].acked) < IN_FLIGHT) ||
	       (end_known(t, me) && seq_diff(fin, *e[me].end) < IN_FLIGHT) ||
	       (!acked_known(t, peer) && !end_known(t, me));
}

/* Moves the edges of the sender; its end no further than its FIN: what comes behind is ignored by the receiver. */
static void move_edges(struct track *t, const struct segment *s,
		       const struct track_edges e[SUT_SIDES])
{
	enum sut_side me = s->sender;
	sut_seq end = seq_add(s->seq, s->len);

	if (has(t->fin_seen, me) && seq_before(t->fin[me], end))
		end = t->fin[me];
	if (!end_known(t, me) || seq_before(*e[me].end, end))
		*e[me].end = end;
	if (has(t->fin_seen, me) && seq_before(t->fin[me], *e[me].end))
		*e[me].end = t->fin[me]; /* a stray had moved it */
	add(&t->edges_known, me);
	if (!(s->flags & TCP_ACK))
		return;
	if (!acked_known(t, me) || seq_before(*e[me].acked, s->ack))
		*e[me].acked = s->ack;
	add(&t->edges_known, me + 2u);
}

/* Which FINs were acknowledged by now?  The hot path may have moved an edge since the last segment. */
static void mark_acked_fins(struct track *t, const struct track_edges e[SUT_SIDES])
{
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		if (has(t->fin_seen, s) && acked_known(t, peer_of(s)) &&
		    !seq_before(*e[peer_of(s)].acked, t->fin[s]))
			add(&t->fin_acked, s);
}

/* Checks the numbers of s, and commits: edges, SYN and FIN, then the state. */
static enum track_verdict follow(struct track *t, const struct segment *s,
				 const struct track_edges e[SUT_SIDES], enum track_state next)
{
	if (!fits_handshake(t, s, e))
		return TV_OLD;
	if (!in_range(t, s, e) || ((s->flags & TCP_FIN) && !fin_fits(t, s, e)))
		return TV_INVALID;
	if (s->flags & TCP_SYN) {
		t->isn[s->sender] = s->seq;
		add(&t->isn_known, s->sender);
	}
	if (s->flags & TCP_FIN) {
		t->fin[s->sender] = seq_add(s->seq, s->len);
		add(&t->fin_seen, s->sender);
	}
	move_edges(t, s, e);
	mark_acked_fins(t, e);
	if (next == TRACK_CLOSING && t->fin_acked == 3)
		next = TRACK_TIME_WAIT;
	set_state(t, next);
	return TV_OK;
}

/* A SYN-ACK of a flow that went on without it: the first that we see of its sender's ISN? */
static enum track_verdict learn(struct track *t, const struct segment *s,
				const struct track_edges e[SUT_SIDES])
{
	enum sut_side peer = peer_of(s->sender);

	if (has(t->isn_known, s->sender) || !has(t->isn_known, peer) || !acks_syn(t, s, e) ||
	    (end_known(t, s->sender) && seq_before(*e[s->sender].end, seq_add(s->seq, s->len))) ||
	    (acked_known(t, peer) && seq_before(*e[peer].acked, seq_add(s->seq, 1))) ||
	    !in_range(t, s, e))
		return TV_OLD;
	return follow(t, s, e, (enum track_state)t->state);
}

/* Data, or an ACK beyond the SYN: the other end would not send it without the opener's ACK (or Fast Open). */
static enum track_verdict confirm(struct track *t, const struct segment *s,
				  const struct track_edges e[SUT_SIDES])
{
	bool more = s->payload_len > 0 ||
		    (acked_known(t, s->sender) && seq_before(*e[s->sender].acked, s->ack));

	return follow(t, s, e, more ? TRACK_ESTABLISHED : TRACK_SYN_RECEIVED);
}

/* See track_segment()'s contract. */
static bool rst_exact(const struct track *t, const struct segment *s,
		      const struct track_edges e[SUT_SIDES])
{
	enum sut_side me = s->sender, peer = peer_of(me);

	if (acked_known(t, peer) && s->seq.v == e[peer].acked->v)
		return true;
	if (!end_known(t, me))
		return false;
	return (s->seq.v == e[me].end->v &&
		(!acked_known(t, peer) || seq_before(s->seq, *e[peer].acked) ||
		 seq_diff(s->seq, *e[peer].acked) < IN_FLIGHT)) ||
	       (!end_known(t, peer) && seq_diff(s->seq, *e[me].end) < RST_BLIND);
}

static enum track_verdict close_if(struct track *t, bool right)
{
	if (!right)
		return TV_OLD;
	set_state(t, TRACK_CLOSED);
	return TV_OK;
}

static enum track_verdict reset(struct track *t, const struct segment *s,
				const struct track_edges e[SUT_SIDES], enum move m)
{
	bool refused = has(t->isn_known, peer_of(s->sender)) && acks_syn(t, s, e);
	bool exact = rst_exact(t, s, e);

	if (m == M_RST)
		return close_if(t, exact);
	return close_if(t, refused || (m == M_RST_EITHER && exact));
}

enum track_verdict track_segment(struct track *t, const struct segment *s,
				 const struct track_edges e[SUT_SIDES])
{
	enum track_event ev = track_event_of(s->flags);
	enum from from = s->sender == t->opener ? OPENER : OTHER;
	bool same = same_isn(t, s);
	uint8_t m;

	if (ev == TE_NONE)
		return TV_INVALID;
	m = table[from][ev][t->state];
	if (m < TRACK_STATE_COUNT)
		return follow(t, s, e, (enum track_state)m);
	switch ((enum move)m) {
	case M_OLD:
		return TV_OLD;
	case M_REOPEN:
		return TV_REOPEN;
	case M_SYN_AGAIN:
		return same ? follow(t, s, e, (enum track_state)t->state) : TV_REOPEN;
	case M_SYN_DUP:
		return same || !has(t->isn_known, s->sender)
			       ? follow(t, s, e, (enum track_state)t->state)
			       : TV_OLD;
	case M_SYN_LATE:
		return same ? TV_OLD : TV_REOPEN;
	case M_LEARN:
		return learn(t, s, e);
	case M_CONFIRM:
		return confirm(t, s, e);
	case M_RST:
	case M_RST_SYN:
	case M_RST_EITHER:
		return reset(t, s, e, (enum move)m);
	}
	return TV_INVALID;
}

void track_open(struct track *t, const struct segment *syn, const struct track_edges e[SUT_SIDES])
{
	bool answer = syn->flags & TCP_ACK;

	*t = (struct track){
		.opener = (uint8_t)(answer ? peer_of(syn->sender) : syn->sender),
		.state = TRACK_CLOSED,
	};
	follow(t, syn, e, answer ? TRACK_SYN_RECEIVED : TRACK_SYN_SENT);
}

void track_pick_up(struct track *t, const struct segment *s, const struct track_edges e[SUT_SIDES])
{
	enum track_event ev = track_event_of(s->flags);

	if (ev == TE_SYN || ev == TE_SYNACK) {
		track_open(t, s, e);
		return;
	}
	*t = (struct track){ .opener = (uint8_t)s->sender, .state = TRACK_CLOSED };
	if (ev != TE_RST && ev != TE_NONE)
		follow(t, s, e, ev == TE_FIN ? TRACK_FIN_OPENER : TRACK_ESTABLISHED);
}

const char *track_state_name(enum track_state s)
{
	static const char *const name[] = {
#define X(id, text) #id,
		TRACK_STATES(X)
#undef X
	};

	return s < TRACK_STATE_COUNT ? name[s] : "?";
}

const char *track_state_text(enum track_state s)
{
	static const char *const text_of[] = {
#define X(id, text) text,
		TRACK_STATES(X)
#undef X
	};

	return s < TRACK_STATE_COUNT ? text_of[s] : "?";
}
