/* SPDX-License-Identifier: MIT */
/*
 * join - the server's answer to a promised SYN: the two halves learn what they disagree about, and are joined.
 *
 * A SYN-ACK teaches shift[FAR] and ts[FAR].  It is acknowledged by the box only once the client's own ACK was seen:
 * anything else would turn spoofed SYNs into connections in the server's accept queue.
 */
#include "role/accel/accel.h"

#include "core/rewrite.h"

#define CHALLENGE_GAP SUT_MS(500) /* RFC 5961, 7: answers are limited */
#define DISLIKE_TIMES 5 /* a reset SYN with data counts for so many negative times */

/* Does ack acknowledge the SYN, and at most what the SYNs carried? */
static bool acks_syn(const struct cold *c, uint32_t ack)
{
	uint32_t n = ack - (c->isn.v + 1);

	return n <= seq_diff(c->syn_end, c->isn) - 1;
}

static void reset_answer(struct near *n, uint32_t f, uint32_t seq)
{
	n->cold[f].rst_seq = seq;
	n->cold[f].rst_ack = 0;
	flow_owe(n, f, OWE_RST_ANSWER);
}

static void server_reset(struct near *n, const struct passing *in)
{
	const struct cold *c = &n->cold[in->flow];

	if (!(in->v->flags & TCP_ACK) || !acks_syn(c, in->v->ack)) {
		drop(n, R_WINDOW);
		return;
	}
	drop(n, R_STATE);
	if (c->state == FS_ABORTED) {
		flow_remove(n, in->flow);
		return;
	}
	if (c->data_in_syn) {
		/* Perhaps not the port is closed, but something on the way dislikes data in a SYN. */
		server_of(n, in->flow)->black_until = n->now + DISLIKE_TIMES * n->cfg.negative_time;
	}
	break_promise(n, in->flow, "the server refused");
}

/*
 * An ACK instead of a SYN-ACK: the server remembers an older connection (RFC 9293, 3.5.2).  Once the client has
 * acknowledged the promise, it is certain that the older one is dead.
 */
static void server_challenge(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];

	if (!c->client_acked) {
		/* Perhaps the SYN was a late duplicate of a living connection, which is none of ours. */
		leave_alone(n, in, R_STATE);
		return;
	}
	drop(n, R_STATE);
	if (acks_syn(c, in->v->ack) || c->state == FS_ANSWERED ||
	    (c->challenged_at && n->now - c->challenged_at < CHALLENGE_GAP))
		return;
	c->challenged_at = n->now;
	c->syn_at = n->now;
	c->data_in_syn = 0;
	c->resent = 1;
	reset_answer(n, in->flow, in->v->ack);
	if (c->state == FS_FORWARDED) {
		flow_owe(n, in->flow, OWE_SYN);
		timer_arm(n, in->flow);
	}
}

/* Keeps the TFO cookie that the server sends, if it does. */
static bool learn_cookie(struct near *n, const struct passing *in, const struct tcp_options *o,
			 struct server *s)
{
	const struct flow_key *k = &rec_of(n, in->flow, NEAR)->key;
	const uint8_t *tcp = (const uint8_t *)view_tcp(in->p, in->v);

	if (!n->cfg.fastopen_cookies || !(o->present & OPT_TFO) || o->tfo_len == 0 ||
	    !cookies_put(n->cookies, k, tcp + o->tfo_off, o->tfo_len, n->now))
		return false;
	count_event(&n->env, EV_COOKIE_LEARNT);
	journal_cookie(n, cookies_find(n->cookies, k, n->now));
	s->gives_cookies = 1;
	s->takes_data = TAKES_UNKNOWN;
	return true;
}

static void learn_answer(struct near *n, const struct passing *in, const struct tcp_options *o)
{
	struct cold *c = &n->cold[in->flow];
	struct server *s = server_of(n, in->flow);
	bool cookie = learn_cookie(n, in, o, s);

	if (c->asked && !c->resent && !cookie)
		s->gives_cookies = 0; /* it was asked, and has none any more */
	learn_synack(s, c->offered, o, in->v->window, c->anew || c->state == FS_VERIFYING, n->now);
	count_event(&n->env, EV_LEARNT);
	if (!c->resent)
		s->rtt = n->now - c->syn_at;
	if (c->state != FS_VERIFYING && seq_diff(c->syn_end, c->isn) > 1 &&
	    (c->data_in_syn || in->v->ack != c->isn.v + 1)) {
		bool took = in->v->ack != c->isn.v + 1;

		if (took || !cookie) {
			s->takes_data = took ? TAKES_YES : TAKES_NO;
			s->takes_until = n->now + n->cfg.learn_time;
		}
		if (!took && !cookie)
			cookies_forget(n->cookies, &rec_of(n, in->flow, NEAR)->key);
		if (took)
			s->black_until = s->black_misses = 0;
		count_event(&n->env, took ? EV_MERGE_TAKEN : EV_MERGE_REFUSED);
	}
	journal_server(n, s);
}

/* What the halves agreed to, each with its own peer. */
static void set_seam(struct cold *c, const struct passing *in, const struct tcp_options *o)
{
	bool scaled = c->promised & OPT_WSCALE;
	bool real = scaled && o->present & OPT_WSCALE;
	uint16_t mss_default = in->v->ip == 4 ? 536 : 1220;

	c->seam = (struct seam){ .seq = { .known = 0 } };
	seqmap_learn(&c->seam.seq, NEAR, c->isn, (sut_farseq){ c->isn.v });
	seqmap_learn(&c->seam.seq, FAR, c->promise, (sut_farseq){ in->v->seq });
	if (c->promised & OPT_TS)
		c->seam.ts[FAR] = o->tsval - c->promise_tsval;
	c->seam.near_scale[FAR] = scaled ? c->promised_scale : 0;
	c->seam.near_scale[NEAR] = scaled ? c->client_scale : 0;
	c->seam.far_scale[FAR] = real ? o->wscale : 0;
	c->seam.far_scale[NEAR] = real ? c->client_scale : 0;
	c->strip_sack = c->promised & OPT_SACK_PERMITTED && !(o->present & OPT_SACK_PERMITTED);
	c->real_mss = o->present & OPT_MSS ? o->mss : mss_default;
	if (c->real_mss < MSS_LEAST)
		c->real_mss = MSS_LEAST;
	c->far_isn = in->v->seq;
	c->server_acked = (sut_seq){ in->v->ack };
	c->synack_window = in->v->window;
	c->synack_tsval[0] = c->synack_tsval[1] = o->tsval;
	c->synack_tsecr = o->tsecr;
}

void flow_join(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];
	bool took = c->server_acked.v != c->isn.v + 1;

	c->owe = (uint16_t)(c->owe & ~(OWE_SYN | OWE_SYN_DATA));
	hold_drop_before(n->store, &c->hold, c->server_acked);
	if (seq_before(c->released, c->server_acked))
		c->released = c->server_acked;
	set_state(n, f, FS_OPEN, "joined");
	pass_set_records(n, f);
	journal_flow(n, f);
	count_event(&n->env, EV_PROMISE_KEPT);
	flow_owe(n, f,
		 (took ? OWE_ACK_CLIENT : 0u) | OWE_ACK_SERVER |
			 (c->hold.cells ? OWE_RELEASE : 0u));
}

/* The same SYN-ACK again, while the client's ACK is still awaited. */
static bool repeated(struct cold *c, const struct passing *in, const struct tcp_options *o)
{
	if (c->state != FS_ANSWERED || in->v->seq != c->far_isn)
		return false;
	if (c->promised & OPT_TS)
		c->synack_tsval[1] = o->tsval;
	return true;
}

/* Timestamps can neither be made up nor taken away, and what was not offered cannot have been accepted. */
static bool joinable(const struct cold *c, const struct tcp_options *o)
{
	const uint16_t negotiated = OPT_WSCALE | OPT_SACK_PERMITTED | OPT_TS;

	return !(c->promised & ~o->present & OPT_TS) && !(o->present & negotiated & ~c->offered);
}

static void server_synack(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	struct tcp_options o;
	enum reason why = view_options(in->p, in->v, &o);

	if (why) {
		drop(n, why);
		return;
	}
	drop(n, R_SWALLOWED_SYNACK);
	if (!acks_syn(c, in->v->ack) || c->state == FS_ABORTED) {
		reset_answer(n, in->flow, in->v->ack);
	} else if (repeated(c, in, &o)) {
		/* The client's ACK may be lost, and it may have nothing to say: the promise again makes it repeat it. */
		flow_owe(n, in->flow, OWE_PROMISE);
	} else {
		learn_answer(n, in, &o);
		if (!joinable(c, &o)) {
			if (c->promised & ~o.present & OPT_TS)
				server_of(n, in->flow)->no_ts_until = n->now + n->cfg.learn_time;
			reset_answer(n, in->flow, in->v->ack);
			break_promise(n, in->flow, "the server's options cannot be joined");
			return;
		}
		lane_learn(&c->server, in->p, in->v);
		set_seam(c, in, &o);
		set_state(n, in->flow, FS_ANSWERED, "SYN-ACK");
		if (c->client_acked)
			flow_join(n, in->flow);
	}
}

/* A crossing SYN (simultaneous open, split handshake) cannot be joined to the promised history: both ends are reset. */
static void server_opens(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];

	drop(n, R_STATE);
	if (c->state != FS_FORWARDED)
		return;
	end_promise(n, in->flow, "simultaneous open");
	c->rst_seq = c->isn.v + 1;
	c->rst_ack = in->v->seq + 1;
	flow_owe(n, in->flow, OWE_RST_ANSWER);
}

void server_answer(struct near *n, const struct passing *in)
{
	const unsigned mask = TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN;
	unsigned flags = in->v->flags & mask;

	if (flags & TCP_RST) {
		server_reset(n, in);
	} else if (flags == (TCP_SYN | TCP_ACK)) {
		server_synack(n, in);
	} else if (flags == TCP_SYN) {
		server_opens(n, in);
	} else if (flags & TCP_ACK) {
		server_challenge(n, in);
	} else {
		drop(n, R_TCP_FLAGS);
	}
}

/*
 * The answer to a SYN that was passed on.  The record stays for as long as a duplicate of that SYN may come: it must not be
 * promised by what its own answer has taught.
 */
void verify_answer(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	unsigned flags = in->v->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	struct tcp_options o;

	if (!c->verified && flags == (TCP_SYN | TCP_ACK) && acks_syn(c, in->v->ack) &&
	    view_options(in->p, in->v, &o) == R_NONE) {
		learn_answer(n, in, &o);
		if (c->asked && o.present & OPT_TFO &&
		    !(o.present & OPT_EXP)) /* the client did not ask for it */
			rewrite_nop(in->p, in->v, (uint8_t)(o.tfo_off - 2),
				    (uint8_t)(o.tfo_len + 2));
		c->verified = 1;
		flow_shown(n, in->flow);
	} else if (flags == (TCP_RST | TCP_ACK) && acks_syn(c, in->v->ack)) {
		/* refused: its client does not repeat it */
		flow_shown(n, in->flow);
		flow_may_go(n, in->flow);
	}
	pass_on(n, in);
}

void broken_answer(struct near *n, const struct passing *in)
{
	drop(n, R_STATE);
	if ((in->v->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK))
		reset_answer(n, in->flow, in->v->ack);
}
