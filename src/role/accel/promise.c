/* SPDX-License-Identifier: MIT */
/*
 * promise - a client's SYN: is it left alone, passed on to learn from, or promised?
 *
 * The promised SYN-ACK offers the server's own options, as learnt, as far as this client offered them, and the
 * forwarded SYN offers exactly what was promised: an option that was not promised is taken out, so that the server
 * cannot accept it.  What remains to be repaired is only what the server has changed since it was learnt.
 */
#include "role/accel/accel.h"

#include <string.h>

#include "base/hash.h"
#include "core/rewrite.h"
#include "proto/checksum.h"

#define NEGOTIATED (OPT_WSCALE | OPT_SACK_PERMITTED | OPT_TS)
#define FIRST_CONTACT_SCALE 7
#define STORE_RESERVE 8 /* of so many cells one is for what was promised already */
#define MSS_DEFAULT4 536 /* RFC 9293, 3.7.1: where a SYN-ACK names none */
#define MSS_DEFAULT6 1220

static bool in_ranges(const struct port_range *r, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++) {
		if (port >= r[i].first && port <= r[i].last)
			return true;
	}
	return false;
}

uint32_t promised_isn(const struct near *n, const struct flow_key *k, uint32_t client_isn,
		      uint32_t *ret_ts_base)
{
	struct {
		struct flow_key key;
		uint32_t isn;
	} in = { *k, client_isn };
	uint64_t h = siphash(n->env.secret, &in, sizeof in);

	*ret_ts_base = (uint32_t)(h >> 32);
	return n->cfg.isn_near_wrap ? 0xfffff000u | ((uint32_t)h & 0xfff) : (uint32_t)h;
}

/* Why this SYN is none of ours, or R_NONE. */
static enum reason refusal(const struct near *n, const struct passing *in, const struct flow_key *k,
			   struct tcp_options *ret_o)
{
	enum reason bad = view_options(in->p, in->v, ret_o);

	if (bad)
		return bad;
	if (!in_ranges(n->cfg.ports, n->cfg.port_count, be16_get(k->dport)))
		return R_MODE_BYPASS;
	if (ret_o->present & (OPT_MD5 | OPT_AO))
		return R_SYN_AUTH;
	if (ret_o->present & OPT_TFO || (ret_o->present & OPT_EXP && ret_o->exid == TCP_EXID_TFO))
		return R_SYN_TFO;
	if (in->v->payload_len)
		return R_SYN_DATA;
	if (ret_o->present & OPT_MPTCP && ret_o->mptcp_subtype != MPTCP_CAPABLE)
		return R_SYN_JOIN;
	if (!csum_ip_ok(in->p, in->v))
		return R_IP_CSUM;
	return csum_tcp_ok(in->p, in->v) ? R_NONE : R_TCP_CSUM;
}

/* Is it known, and not too long ago, which of these options the server has? */
static bool known(const struct near *n, const struct server *s, uint16_t asked)
{
	return s && s->learnt && n->now - s->learnt_at <= n->cfg.learn_time &&
	       !(asked & ~s->offered);
}

/* May data travel in SYNs to this port, as far as the settings say? */
static bool mergeable(const struct near *n, uint16_t port)
{
	const struct accel_near_config *cfg = &n->cfg;

	return cfg->mode == ACCEL_MERGE ||
	       (cfg->mode == ACCEL_AUTO && in_ranges(cfg->idempotent, cfg->idempotent_count, port));
}

/* Does the server take data in this client's SYN only with a cookie that we do not have? */
static bool wants_cookie(struct near *n, const struct server *s, const struct flow_key *k)
{
	return n->cfg.fastopen_cookies && s && s->gives_cookies &&
	       mergeable(n, be16_get(k->dport)) && s->black_until <= n->now &&
	       s->speaks_until <= n->now && !cookies_find(n->cookies, k, n->now);
}

/* Why a server cannot be promised to this client, or R_NONE. */
static enum reason doubt(struct near *n, const struct flow_key *k, const struct tcp_options *o)
{
	const struct server *s = learn_find(n->learn, k, n->now);
	uint16_t asked = o->present & NEGOTIATED;

	if (s && s->negative_until > n->now)
		return R_SYN_NEGATIVE;
	if (store_free_cells(n->store) <= n->cfg.hold_cells / STORE_RESERVE)
		return R_STORE_FULL;
	if (n->cfg.first_contact_promise)
		return R_NONE;
	return known(n, s, asked) && !wants_cookie(n, s, k) ? R_NONE : R_SYN_UNLEARNT;
}

/* Where a SYN names no MSS (RFC 9293, 3.7.1). */
static uint16_t mss_default(const struct view *v)
{
	return v->ip == 4 ? MSS_DEFAULT4 : MSS_DEFAULT6;
}

/* Remembers how the client looks and what its SYN said. */
static void note_syn(struct near *n, uint32_t f, const struct passing *in,
		     const struct tcp_options *o)
{
	struct cold *c = &n->cold[f];

	lane_learn(&c->client, in->p, in->v);
	lane_reverse(&c->client, &c->server);
	c->isn = (sut_seq){ in->v->seq };
	c->released = seq_add(c->isn, 1);
	c->syn_end = seq_add(c->released, in->v->payload_len);
	c->syn_window = in->v->window;
	c->syn_tsval = o->present & OPT_TS ? o->tsval : 0;
	c->client_tsval = c->released_tsval = c->syn_tsval;
	c->client_scale = o->present & OPT_WSCALE ? o->wscale : 0;
	c->path_mss = o->present & OPT_MSS ? o->mss : mss_default(in->v);
	if (c->path_mss < MSS_LEAST)
		c->path_mss = MSS_LEAST;
	c->syn_at = n->now;
	c->syn_tries = c->syn_sent = 1;
}

/* Enters a connection whose client has not shown itself, if the budget has room for it: FLOW_NONE with the SYN passed on if not. */
static uint32_t enter(struct near *n, const struct passing *in, const struct flow_key *k)
{
	enum reason why = budget_take(&n->budget, k->src);
	uint32_t f;

	if (why) {
		leave_alone(n, in, why);
		return FLOW_NONE;
	}
	f = flow_enter(n, k);
	if (f == FLOW_NONE) {
		budget_give(&n->budget, k->src);
		pass_on(n, in);
		return FLOW_NONE;
	}
	n->cold[f].pending = 1;
	return f;
}

/*
 * Sends the SYN with a request for a TFO cookie, in place of the client's own: false if that is not wanted, or has no room.
 * Should it be lost, the client's next one passes as it is.
 */
static bool ask_cookie(struct near *n, uint32_t f, const struct passing *in)
{
	static const uint8_t request[] = { TCPOPT_TFO, 2 };
	const struct flow_key *k = &rec_of(n, f, NEAR)->key;
	const struct server *s = learn_find(n->learn, k, n->now);
	uint8_t opt[40], len = (uint8_t)view_options_len(in->v);
	struct make_tcp m = {
		.seq = in->v->seq,
		.window = in->v->window,
		.flags = in->v->flags,
		.options = opt,
	};

	if (!n->cfg.fastopen_cookies || !mergeable(n, be16_get(k->dport)) ||
	    (s && s->black_until > n->now) || cookies_find(n->cookies, k, n->now))
		return false;
	memcpy(opt, view_tcp(in->p, in->v) + 1, len);
	m.options_len = (uint8_t)options_add(opt, len, request, sizeof request);
	if (!m.options_len || !make_tcp(n->out, ACCEL_SERVER, &n->cold[f].client, &m))
		return false;
	count_event(&n->env, EV_MADE);
	count_event(&n->env, EV_COOKIE_ASKED);
	n->cold[f].asked = 1;
	return true;
}

/* Does the client itself do what a merge would do for it? */
static bool sends_early(enum reason why)
{
	return why == R_SYN_TFO || why == R_SYN_DATA;
}

/* Passes the SYN on, for a reason or by the mode, and remembers it. */
static void verify(struct near *n, const struct passing *in, const struct flow_key *k,
		   const struct tcp_options *o, enum reason why)
{
	uint32_t f;

	if (why)
		count_pass(&n->env, why);
	f = enter(n, in, k);
	if (f == FLOW_NONE)
		return;
	note_syn(n, f, in, o);
	n->cold[f].offered = o->present & NEGOTIATED;
	n->cold[f].mode = ACCEL_VERIFY;
	set_state(n, f, FS_VERIFYING, "SYN");
	if (sends_early(why) || !ask_cookie(n, f, in))
		pass_on(n, in);
}

/* May the first data of this flow travel in its SYN? */
static bool may_merge(const struct near *n, const struct server *s, uint16_t port)
{
	if (!mergeable(n, port))
		return false;
	if (!s)
		return true;
	return s->speaks_until <= n->now && s->black_until <= n->now &&
	       !(s->takes_data == TAKES_NO && s->takes_until > n->now);
}

/* What the promised SYN-ACK will say. */
static void choose_promise(const struct near *n, const struct server *s, const struct passing *in,
			   const struct tcp_options *o, struct cold *c)
{
	uint16_t asked = o->present & NEGOTIATED;
	uint16_t early = (uint16_t)n->cfg.early_bytes;

	if (known(n, s, asked)) {
		c->promised = (uint16_t)((asked & s->has) | (s->has & OPT_MSS));
		if (s->no_ts_until > n->now)
			c->promised &= (uint16_t)~OPT_TS;
		c->promised_mss = s->mss;
		c->promised_scale = s->wscale;
		c->promised_window = s->window < early ? s->window : early;
	} else {
		uint16_t mss = in->v->ip == 4 ? 1460 : 1440;

		c->anew = 1;
		c->promised = (uint16_t)((asked & ~OPT_TS) | OPT_MSS);
		c->promised_mss = o->present & OPT_MSS && o->mss < mss ? o->mss : mss;
		c->promised_scale = FIRST_CONTACT_SCALE;
		c->promised_window = early;
	}
	if (!(c->promised & OPT_MSS))
		c->promised_mss = mss_default(in->v);
	if (!(c->promised & OPT_WSCALE))
		c->promised_scale = 0;
	if (c->promised_window == 0)
		c->promised_window = 1;
	c->real_mss = c->promised_mss;
	c->offered = c->promised & NEGOTIATED;
}

static uint16_t present_bit(uint8_t kind)
{
	switch (kind) {
	case TCPOPT_WSCALE:
		return OPT_WSCALE;
	case TCPOPT_SACK_PERMITTED:
		return OPT_SACK_PERMITTED;
	case TCPOPT_TIMESTAMPS:
		return OPT_TS;
	default:
		return 0;
	}
}

/*
 * Takes out of the SYN all that was not promised, and ECN; keeps a copy of the options.  Only the MSS needs no promise: it
 * is what each end can take.
 */
static void filter_syn(struct passing *in, struct cold *c)
{
	struct packet *p = in->p;
	const uint8_t *opt = (const uint8_t *)(view_tcp(p, in->v) + 1);
	size_t len = view_options_len(in->v), at = 0;
	struct tcp_option o;

	while (tcp_option_next(opt, len, &at, &o)) {
		uint16_t bit = present_bit(o.kind);

		if (o.len > 1 && o.kind != TCPOPT_MSS && !(c->promised & bit))
			rewrite_nop(p, in->v, (uint8_t)(sizeof(struct tcp_hdr) + o.off), o.len);
	}
	rewrite_syn_flags(p, in->v);
	memcpy(c->syn_options, opt, len);
	c->syn_options_len = (uint8_t)len;
}

/* Starts the tracker as the near half sees the promised handshake. */
static void track_promise(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];
	struct track_edges e[SUT_SIDES];
	struct segment syn = { .sender = NEAR, .flags = TCP_SYN, .len = 1, .seq = c->isn };
	struct segment synack = {
		.sender = FAR,
		.flags = TCP_SYN | TCP_ACK,
		.len = 1,
		.seq = c->promise,
		.ack = seq_add(c->isn, 1),
	};

	edges_of(n, f, e);
	track_open(&c->track, &syn, e);
	track_segment(&c->track, &synack, e);
}

static void promise(struct near *n, struct passing *in, const struct flow_key *k,
		    const struct tcp_options *o)
{
	const struct server *s = learn_find(n->learn, k, n->now);
	uint32_t f = enter(n, in, k), ts_base;
	struct cold *c;
	bool merging;

	if (f == FLOW_NONE)
		return;
	c = &n->cold[f];
	note_syn(n, f, in, o);
	choose_promise(n, s, in, o, c);
	c->promise = (sut_seq){ promised_isn(n, k, in->v->seq, &ts_base) };
	c->promise_tsval = ts_base + (uint32_t)(n->now / SUT_MS(1));
	c->promised_at = n->now;
	merging = may_merge(n, s, be16_get(k->dport));
	filter_syn(in, c);
	track_promise(n, f);
	if (merging) {
		c->syn_tries = c->syn_sent = 0;
		c->mode = ACCEL_MERGE;
		set_state(n, f, FS_KEPT, "promised, SYN kept back");
	} else {
		c->mode = ACCEL_HOLD;
		set_state(n, f, FS_FORWARDED, "promised, SYN forwarded");
		pass_on(n, in);
	}
	flow_owe(n, f, OWE_PROMISE);
}

/*
 * A SYN that is none of ours.  One with a cookie or data may come again without, and look like any other, while the server has taken
 * what the first one brought: it is remembered.
 */
static void refused(struct near *n, const struct passing *in, const struct flow_key *k,
		    const struct tcp_options *o, enum reason why)
{
	if (sends_early(why) && !n->draining && n->full_until <= n->now &&
	    csum_ip_ok(in->p, in->v) && csum_tcp_ok(in->p, in->v))
		verify(n, in, k, o, why);
	else
		leave_alone(n, in, why);
}

void client_syn(struct near *n, struct passing *in, const struct flow_key *k)
{
	struct tcp_options o;
	enum reason why = n->cfg.mode == ACCEL_BYPASS ? R_MODE_BYPASS : refusal(n, in, k, &o);

	if (why) {
		refused(n, in, k, &o, why);
		return;
	}
	if (n->draining) {
		leave_alone(n, in, R_DRAINING);
		return;
	}
	if (n->full_until > n->now) {
		/* Perhaps its first copy passed, and the server is answering that. */
		leave_alone(n, in, R_FLOWS_FULL);
		return;
	}
	why = doubt(n, k, &o);
	if (why || n->cfg.mode == ACCEL_VERIFY)
		verify(n, in, k, &o, why);
	else
		promise(n, in, k, &o);
}

void promise_again(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	struct tcp_options o;

	/* The TSecr of a promise is the TSval of the SYN that it answers, to the tick: an older one is reset. */
	if (view_options(in->p, in->v, &o) == R_NONE && o.present & OPT_TS && c->promised & OPT_TS)
		c->syn_tsval = o.tsval;
	drop(n, R_SWALLOWED_SYN);
	flow_owe(n, in->flow, OWE_PROMISE);
}
