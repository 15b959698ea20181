/* SPDX-License-Identifier: MIT */
/*
 * hold - the client between the promise and the server's answer.
 *
 * Nothing of it is acknowledged but the SYN: the client keeps its copy, so whatever cannot be held is dropped and comes
 * again.  The first copy of each byte is kept, with its old TSval, so that a client that retransmitted too early can
 * tell (RFC 3522).  Segments are checked before they are held, as they leave with a checksum of our own.
 */
#include "role/accel/accel.h"

#define SYN_RETRY SUT_MS(1000) /* RFC 6298, 2: doubled with every try */
#define SYN_RETRIES_DOUBLED 6
#define DATA_SYN_GRACE SUT_MS(250)
#define LIFE_WINDOW (1u << 26) /* bytes that a connection can have sent when its SYN comes again */

sut_time syn_retry_at(const struct cold *c)
{
	unsigned doubled = c->syn_tries > 1 ? c->syn_tries - 1u : 0;

	if (c->data_in_syn)
		return c->syn_at + c->syn_wait;
	if (doubled > SYN_RETRIES_DOUBLED)
		doubled = SYN_RETRIES_DOUBLED;
	return c->syn_at + (SYN_RETRY << doubled);
}

/* Sends a SYN of our own making, with the first held data or without. */
static void send_syn(struct near *n, uint32_t f, bool with_data)
{
	struct cold *c = &n->cold[f];
	const struct server *s = server_of(n, f);

	c->resent |= c->syn_sent;
	c->syn_sent = 1;
	c->data_in_syn = with_data;
	if (with_data) {
		c->syn_end = seq_add(c->isn, 1 + c->hold.bytes);
		c->syn_wait = (s->rtt ? s->rtt : SYN_RETRY) + DATA_SYN_GRACE;
	}
	c->syn_at = n->now;
	if (c->syn_tries < UINT8_MAX)
		c->syn_tries++;
	flow_owe(n, f, with_data ? OWE_SYN_DATA : OWE_SYN);
}

void hold_expired(struct near *n, uint32_t f)
{
	n->cold[f].hold_ran_out = 1;
	set_state(n, f, FS_FORWARDED, "no first data in time");
	send_syn(n, f, false);
	timer_arm(n, f);
}

void syn_unanswered(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (n->now >= c->promised_at + n->cfg.syn_timeout) {
		/* Its answers may take another way now: it is promised again once one was seen. */
		server_of(n, f)->learnt = 0;
		break_promise(n, f, "no SYN-ACK");
		return;
	}
	if (c->data_in_syn) {
		learn_black(server_of(n, f), n->cfg.learn_time, n->now);
		count_event(&n->env, EV_MERGE_BLACK);
		c->syn_tries = 0;
	}
	send_syn(n, f, false);
	timer_arm(n, f);
}

/* What segments of our own may carry with their options: no more than the server takes, and the client's path. */
static uint32_t made_mss(const struct cold *c)
{
	return c->promised_mss < c->path_mss ? c->promised_mss : c->path_mss;
}

/* What is held is one piece that starts the stream and fits the SYN. */
static bool fits_syn(struct near *n, uint32_t f)
{
	const struct cold *c = &n->cold[f];
	uint8_t opt[40];
	unsigned options = syn_data_options(n, c, opt);
	const struct cell *cell = store_cell_const(n->store, c->hold.first);

	return c->hold.cells == 1 && cell->len > 0 && cell->seq.v == c->isn.v + 1 &&
	       cell->len + options <= made_mss(c);
}

static void data_came(struct near *n, uint32_t f)
{
	bool fits = fits_syn(n, f);

	set_state(n, f, FS_FORWARDED, fits ? "first data, in the SYN" : "first data, too large");
	send_syn(n, f, fits);
	timer_arm(n, f);
}

/* Why a segment is not part of the promised connection, or R_NONE. */
static enum reason unfit(const struct cold *c, const struct passing *in)
{
	const struct view *v = in->v;
	uint32_t at = v->seq - (c->isn.v + 1);

	if (v->flags & TCP_ACK && v->ack != c->promise.v + 1)
		return R_WINDOW;
	if (!(v->flags & (TCP_ACK | TCP_RST)) || v->flags & TCP_URG)
		return R_STATE; /* an urgent pointer cannot be held: it comes again */
	if (at == UINT32_MAX && v->payload_len <= 1)
		return R_HELD_ACK; /* keep-alive */
	if (at + v->payload_len > c->promised_window || at > c->promised_window)
		return R_BEYOND_PROMISE;
	return R_NONE;
}

/* A reset counts where the client's numbers are exactly: behind all that it sent, or behind its SYN (RFC 5961, 3.2). */
static void client_reset(struct near *n, const struct passing *in)
{
	uint32_t f = in->flow;
	struct cold *c = &n->cold[f];

	if (in->v->seq != c->isn.v + 1 && in->v->seq != rec_of(n, f, NEAR)->end.v) {
		drop(n, R_WINDOW);
		return;
	}
	drop(n, R_CLIENT_GONE);
	hold_clear(n->store, &c->hold);
	c->owe = 0;
	if (c->state == FS_KEPT) {
		flow_remove(n, f);
	} else {
		bool answered = c->state == FS_ANSWERED;

		c->rst_seq = c->server_acked.v;
		c->rst_ack = 0;
		set_state(n, f, FS_ABORTED, "client reset");
		flow_owe(n, f, answered ? OWE_RST_ANSWER : 0u);
	}
}

/* Takes the ACK, window and clock of a segment that belongs to the promise. */
static void note_client(struct near *n, const struct passing *in, const struct tcp_options *o)
{
	struct cold *c = &n->cold[in->flow];
	struct track_edges e[SUT_SIDES];
	struct segment s;

	flow_shown(n, in->flow);
	c->client_acked = 1;
	c->client_window = in->v->window;
	if (o->present & OPT_TS && (int32_t)(o->tsval - c->client_tsval) > 0)
		c->client_tsval = o->tsval;
	edges_of(n, in->flow, e);
	if (segment_read(in->v, NEAR, NEAR, &c->seam.seq, &s) == R_NONE)
		track_segment(&c->track, &s, e);
}

/* Payload bytes of a cell: a segment's worth, as far as the server's MSS is known. */
static uint32_t piece_of(const struct cold *c)
{
	uint32_t ts = c->promised & OPT_TS ? 12 : 0;
	uint32_t mss = made_mss(c);
	uint32_t piece = mss > ts + MSS_LEAST ? mss - ts : MSS_LEAST;

	return piece < STORE_CELL_BYTES ? piece : STORE_CELL_BYTES;
}

static void take(struct near *n, const struct passing *in, const struct tcp_options *o)
{
	struct cold *c = &n->cold[in->flow];
	uint32_t had = c->hold.bytes;
	enum reason r;

	if (in->v->payload_len == 0 && !(in->v->flags & TCP_FIN)) {
		drop(n, R_HELD_ACK);
		return;
	}
	r = hold_insert(n->store, &c->hold, in->p, in->v, (sut_seq){ in->v->seq },
			o->present & OPT_TS, o->tsval, piece_of(c), n->max_cells);
	if (r)
		drop(n, r);
	n->env.counters->event[EV_HELD_BYTES] += c->hold.bytes - had;
}

/*
 * A client that acknowledges something else than the promise lives another life than the one we promised, and we step
 * aside.  Before the server's answer: its numbers follow the SYN, so the SYN was a late duplicate of a connection that was never
 * ours.  After it: it acknowledges the server's real ISN, which it has by another way than through us.
 */
static bool another_life(const struct cold *c, const struct passing *in)
{
	if (c->client_acked || !(in->v->flags & TCP_ACK) ||
	    in->v->seq - (c->isn.v + 1) >= LIFE_WINDOW)
		return false;
	return c->state != FS_ANSWERED || in->v->ack == c->far_isn + 1;
}

static void client_syn_again(struct near *n, struct passing *in)
{
	struct flow_key k = rec_of(n, in->flow, NEAR)->key;

	if (in->v->seq == n->cold[in->flow].isn.v && n->cold[in->flow].state != FS_ABORTED) {
		promise_again(n, in);
		return;
	}
	count_event(&n->env, EV_FLOWS_REOPENED);
	flow_remove(n, in->flow);
	in->flow = FLOW_NONE;
	client_syn(n, in, &k);
}

/* We took it for gone (or forged), and the server was told so: whatever it sends is answered by a reset. */
static void client_aborted(struct near *n, const struct passing *in)
{
	drop(n, R_CLIENT_GONE);
	if (!(in->v->flags & TCP_RST))
		flow_owe(n, in->flow, OWE_RST_CLIENT);
}

void client_held(struct near *n, struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	struct tcp_options o;
	enum reason why;

	if ((in->v->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) {
		client_syn_again(n, in);
		return;
	}
	why = view_options(in->p, in->v, &o);
	if (c->state == FS_ABORTED) {
		client_aborted(n, in);
		return;
	}
	if (why == R_NONE)
		why = unfit(c, in);
	if (why == R_WINDOW && another_life(c, in)) {
		flow_remove(n, in->flow);
		leave_alone(n, in, R_NO_FLOW);
		return;
	}
	if (why) {
		drop(n, why);
		return;
	}
	if (in->v->flags & TCP_RST) {
		client_reset(n, in);
		return;
	}
	note_client(n, in, &o);
	take(n, in, &o);
	if (c->state == FS_KEPT && c->hold.cells)
		data_came(n, in->flow);
	else if (c->state == FS_ANSWERED)
		flow_join(n, in->flow);
}

/* The client of a broken promise: whatever it still sends is answered by a reset; another SYN begins anew. */
void client_broken(struct near *n, struct passing *in)
{
	const struct cold *c = &n->cold[in->flow];
	struct flow_key k = rec_of(n, in->flow, NEAR)->key;

	if ((in->v->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN &&
	    in->v->seq != c->isn.v) {
		flow_remove(n, in->flow);
		in->flow = FLOW_NONE;
		client_syn(n, in, &k);
		return;
	}
	drop(n, R_STATE);
	if (in->v->flags & TCP_RST)
		flow_remove(n, in->flow);
	else
		flow_owe(n, in->flow, OWE_RST_CLIENT);
}
