/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "proto/checksum.h"
#include "role/handoff/front_inside.h"

/*
 * What each rung sends.  adopt: the agent is told, then the client's bytes go as the client's own segments.  shift: a SYN as the client in front of
 * them, with the front end's numbers in its ack and TSecr fields, announced by the channel or carrying a header.  splice: a connection from our own
 * address, with the client's ISN and options, so the client's stream needs no shift.
 *
 * Segments are made as the client's come in, and then take the way that was laid for these: who changes numbers and addresses is the plane alone.
 */

#define SYN_WINDOW_MAX 65535u
#define TS_BYTES 12u
#define PORT_TRIES 64u
#define LONG_COPIES 3u
#define MTU_LEAST 1280u

static uint8_t agreed_options(const struct stack_detached *d)
{
	return (uint8_t)((d->timestamps ? WAY_OPT_TS : 0) | (d->sack ? WAY_OPT_SACK : 0) |
			 (d->wscale ? WAY_OPT_WSCALE : 0));
}

/* --- announcing */

/* By which an agent knows the later one of two of a quad. */
static uint32_t begun(const struct hand *h)
{
	return (uint32_t)(h->begun / 1000);
}

static void announce(struct front *f, struct hand *h)
{
	struct hand_msg m = {
		.kind = h->rung == RUNG_ADOPT ? HAND_ADOPT : HAND_SHIFT,
		.id = h->id,
		.client_port = h->d.remote.port,
		.origin_port = h->d.local.port,
		.seq = h->base,
		.ack = h->d.snd_nxt,
		.end = h->end,
		.mss = h->d.peer_mss,
		.snd_wscale = h->d.snd_wscale,
		.rcv_wscale = h->d.rcv_wscale,
		.wscale = h->d.rcv_wscale,
		.options = agreed_options(&h->d),
		.tsval = h->d.ts_recent,
		.tsecr = h->d.tsval,
		.begun = begun(h),
		.far_host = backend_cfg(f, h->backend)->far_host,
	};

	if (h->rung == RUNG_SHIFT)
		m.seq = h->base - 1; /* the SYN's */
	memcpy(m.client, h->d.remote.ip, 16);
	memcpy(m.origin, h->d.local.ip, 16);
	h->flags |= HF_TOLD;
	front_tell_agent(f, h->backend, &m);
}

/* A pair that was made in-band: from now on its agent speaks of it under this id. */
static void announce_watch(struct front *f, struct hand *h)
{
	struct hand_msg m = {
		.kind = HAND_WATCH,
		.id = h->id,
		.client_port = h->d.remote.port,
		.origin_port = h->d.local.port,
		.end = h->end,
		.begun = begun(h),
	};

	memcpy(m.client, h->d.remote.ip, 16);
	memcpy(m.origin, h->d.local.ip, 16);
	h->flags |= HF_TOLD;
	front_tell_agent(f, h->backend, &m);
}

/* --- segments as the client */

/* The made packet that is last in box takes the client's way. */
static void take_way(struct front *f, struct outbox *box)
{
	struct packet *p = box->pkt[box->n - 1];
	struct plane_verdict verdict = { .act = WAY_DROP };
	struct view v;

	count_event(&f->env, EV_MADE);
	if (view_parse(p, &v) == R_NONE && v.tcp)
		verdict = plane_run(f->plane, PLANE_FRONT, p, &v, f->now);
	if (verdict.act == WAY_SEND) {
		box->port[box->n - 1] = (uint16_t)verdict.ifindex;
		return;
	}
	box->n--;
	count_drop(&f->env, R_NO_FLOW);
}

static bool send_as_client(struct front *f, struct hand *h, const struct make_tcp *m)
{
	struct outbox *box = front_box(f);

	if (!make_tcp(box, back_port(f), &h->lane, m)) {
		count_drop(&f->env, R_OUTBOX_FULL); /* the timer sends it again */
		return false;
	}
	take_way(f, box);
	return true;
}

/* --- SYNs */

static uint16_t window_of(const struct hand *h)
{
	uint32_t w = h->d.snd_wnd >> h->d.snd_wscale;

	return (uint16_t)(w > 0xffff ? 0xffff : w);
}

/* The client's options as it must have had them in its own SYN: their length. */
static uint8_t syn_options(const struct hand *h, uint32_t mss, uint32_t tsecr, uint8_t ret_opt[40])
{
	const struct stack_detached *d = &h->d;
	uint8_t *at = ret_opt;

	memset(ret_opt, 0, 40);
	*at++ = TCPOPT_MSS;
	*at++ = 4;
	store_be16(at, (uint16_t)mss);
	at += 2;
	if (d->timestamps) {
		*at++ = d->sack ? TCPOPT_SACK_PERMITTED : TCPOPT_NOP;
		*at++ = d->sack ? 2 : TCPOPT_NOP;
		*at++ = TCPOPT_TIMESTAMPS;
		*at++ = 10;
		store_be32(at, d->ts_recent);
		store_be32(at + 4, tsecr);
		at += 8;
	} else if (d->sack) {
		*at++ = TCPOPT_NOP;
		*at++ = TCPOPT_NOP;
		*at++ = TCPOPT_SACK_PERMITTED;
		*at++ = 2;
	}
	if (d->wscale) {
		*at++ = TCPOPT_NOP;
		*at++ = TCPOPT_WSCALE;
		*at++ = 3;
		*at++ = d->snd_wscale;
	}
	return (uint8_t)(at - ret_opt);
}

static struct make_tcp syn_of(const struct hand *h, const uint8_t *opt, uint8_t len)
{
	uint32_t w = h->d.snd_wnd;

	return (struct make_tcp){
		.seq = h->base - 1,
		.window = (uint16_t)(w > SYN_WINDOW_MAX ? SYN_WINDOW_MAX : w),
		.flags = TCP_SYN,
		.options = opt,
		.options_len = len,
	};
}

/* The in-band header behind the options: their new length. */
static uint8_t add_header(const struct front *f, const struct hand *h, uint8_t opt[40], uint8_t len)
{
	const uint8_t key = f->cfg.key_index & 1;
	struct way_mac_input in = {
		.key = h->key[CLIENT],
		.seq = h->base - 1,
		.ack = h->d.snd_nxt,
		.tsecr = h->d.timestamps ? h->d.tsval : 0,
		.key_index = key,
		.origin = h->origin,
		.wscale = h->d.wscale ? h->d.rcv_wscale : 0xff,
	};
	struct way_header head = {
		.kind = WAY_OPT_KIND,
		.len = WAY_OPT_LEN,
		.exid = { WAY_EXID >> 8, WAY_EXID & 0xff },
		.key = key,
		.origin = in.origin,
		.wscale = in.wscale,
	};
	const struct stack_addr *at = hand_at(f, h);

	if (backend_cfg(f, h->backend)->far_host) {
		memcpy(in.key.dst, at->ip, 16);
		in.key.dport = net16(at->port);
	}
	mem_store64(head.mac, way_mac(f->cfg.key[key], &in));
	memcpy(opt + len, &head, sizeof head);
	return (uint8_t)(len + sizeof head);
}

static void shift_syn(struct front *f, struct hand *h)
{
	uint8_t opt[40], len = syn_options(h, h->d.peer_mss, h->d.tsval, opt);
	struct make_tcp m;

	if (f->cfg.header)
		len = add_header(f, h, opt, len);
	m = syn_of(h, opt, len);
	m.ack = h->d.snd_nxt; /* without ACK: nobody but an agent looks at it */
	(void)send_as_client(f, h, &m);
}

/* --- splice */

/* A port of ours from which this address is not talked to; 0: none. */
static uint16_t own_port(struct front *f, const uint8_t own[16], const struct stack_addr *b)
{
	uint32_t n = (uint32_t)(f->cfg.port_hi - f->cfg.port_lo) + 1;
	struct way_key k = { .sport = net16(b->port) };
	enum side side;

	memcpy(k.src, b->ip, 16);
	memcpy(k.dst, own, 16);
	for (unsigned i = 0; i < PORT_TRIES; i++) {
		uint16_t port = (uint16_t)(f->cfg.port_lo + f->next_port++ % n);

		k.dport = net16(port);
		if (hand_find(f, &k, &side) == NULL)
			return port;
	}
	return 0;
}

static bool splice_begin(struct front *f, struct hand *h)
{
	const struct stack_addr *b = hand_at(f, h);
	const uint8_t *own = h->lane.ip == 4 ? f->cfg.own_ip4 : f->cfg.own_ip6;
	struct way_key k = { .sport = net16(b->port) };
	uint16_t port = own_port(f, own, b);

	if (port == 0)
		return false;
	memcpy(k.src, b->ip, 16);
	memcpy(k.dst, own, 16);
	k.dport = net16(port);
	hand_key_add(f, h, BACK, &k);
	way_claim(f, h);
	return true;
}

void rung_lane(const struct front *f, const struct hand *h, struct lane *ret_l)
{
	const struct face *b = hand_face_const(f, h);
	const struct way_key *k = &h->key[BACK];
	struct lane l = h->lane;

	memcpy(l.eth, b->mac, 6);
	memcpy(l.eth + 6, b->via, 6);
	memcpy(l.src, k->dst, 16);
	memcpy(l.dst, k->src, 16);
	l.sport = net16(k->dport);
	l.dport = net16(k->sport);
	l.ttl = 64;
	l.tos = 0;
	*ret_l = l;
}

static void splice_syn(struct front *f, struct hand *h)
{
	uint32_t fits = f->cfg.mtu - (h->lane.ip == 4 ? 40 : 60);
	uint8_t opt[40], len = syn_options(h, h->d.peer_mss < fits ? h->d.peer_mss : fits, 0, opt);
	struct make_tcp m = syn_of(h, opt, len);
	struct lane l;

	rung_lane(f, h, &l);
	if (make_tcp(front_box(f), back_port(f), &l, &m))
		count_event(&f->env, EV_MADE);
	else
		count_drop(&f->env, R_OUTBOX_FULL);
}

/* How long the segments may be that it takes, for the clients that come from now on. */
static void learn_mss(struct front *f, const struct hand *h, uint16_t mss)
{
	uint32_t mtu = mss + (h->lane.ip == 4 ? 40u : 60u);
	struct face *x = hand_face(f, h);

	if (x->mtu == mtu)
		return;
	x->mtu = mtu;
	ladder_limits(f);
}

/* The options of a SYN-ACK: what the client agreed upon with us must hold for the back end too. */
static bool splice_learn(struct front *f, struct hand *h, const struct packet *p,
			 const struct view *v)
{
	struct tcp_options o;

	if (view_options(p, v, &o) != R_NONE || (h->d.timestamps && !(o.present & OPT_TS)))
		return false;
	h->far_isn = v->seq;
	h->far_has_ts = o.present & OPT_TS;
	h->far_ts = h->far_has_ts ? o.tsval : 0;
	h->far_scale = o.present & OPT_WSCALE ? o.wscale : NO_SCALE;
	h->flags |= HF_SPLICED;
	if (o.present & OPT_MSS)
		learn_mss(f, h, o.mss);
	return true;
}

void rung_answer(struct front *f, struct hand *h, const struct packet *p, const struct view *v)
{
	bool ours = (v->flags & TCP_ACK) && v->ack == h->base;

	if (h->state != FR_ASKED || h->rung != RUNG_SPLICE || !ours || !csum_tcp_ok(p, v)) {
		count_drop(&f->env, R_STATE);
		return;
	}
	if (v->flags & TCP_RST) {
		over_failed(f, h, "the back end refuses connections");
	} else if (!(v->flags & TCP_SYN)) {
		count_drop(&f->env, R_STATE);
	} else if (splice_learn(f, h, p, v)) {
		over_ready(f, h);
	} else {
		rung_reset(f, h);
		over_failed(f, h, "the back end does not know options of the client's");
	}
}

/* --- by rung */

void rung_announce(struct front *f, struct hand *h)
{
	if (h->rung == RUNG_SHIFT && f->cfg.header)
		announce_watch(f, h);
	else if (h->rung != RUNG_SPLICE)
		announce(f, h);
}

void rung_ask(struct front *f, struct hand *h)
{
	if (h->rung == RUNG_SPLICE) {
		if (!(h->in_table >> BACK & 1) && !splice_begin(f, h))
			over_failed(f, h, "no port of our own is free");
		else
			splice_syn(f, h);
	} else if (h->rung == RUNG_SHIFT && f->cfg.header) {
		over_ready(f, h);
	} else {
		announce(f, h);
	}
}

/* One segment with n bytes at bytes, the first of which has seq. */
static bool replay_one(struct front *f, struct hand *h, uint32_t seq, const char *bytes, uint32_t n,
		       uint8_t flags)
{
	uint8_t ts[TS_BYTES];
	struct make_tcp m = {
		.seq = seq,
		.ack = h->d.snd_nxt,
		.window = window_of(h),
		.flags = (uint8_t)(TCP_ACK | flags),
		.payload = (const uint8_t *)bytes,
		.payload_len = n,
	};

	if (h->d.timestamps) {
		make_ts_option(ts, h->d.ts_recent, h->d.tsval);
		m.options = ts;
		m.options_len = TS_BYTES;
	}
	return send_as_client(f, h, &m);
}

/* Payload of a segment that fits the path to any back end, and a slot of the outbox. */
static uint32_t segment_max(const struct front *f, const struct hand *h)
{
	uint32_t mtu = f->mtu;

	/* it may be too long for a link on the way */
	if (h->sends > LONG_COPIES && mtu > MTU_LEAST)
		mtu = MTU_LEAST;
	return mtu - (h->lane.ip == 4 ? 40 : 60) - (h->d.timestamps ? TS_BYTES : 0);
}

/* One run of bytes; last: the FIN goes behind it, if there is one. */
static bool replay_run(struct front *f, struct hand *h, uint32_t seq, uint32_t n, bool last)
{
	uint32_t max = segment_max(f, h), at = 0;

	do {
		uint32_t len = n - at < max ? n - at : max;
		bool end = at + len == n;
		unsigned flags = end && n > 0 ? TCP_PSH : 0u;

		if (end && last && h->d.fin_in)
			flags |= TCP_FIN;
		if (!replay_one(f, h, seq + at, f->head + at, len, (uint8_t)flags))
			return false;
		at += len;
	} while (at < n);
	return true;
}

/* The cells from i on whose bytes follow each other, put to f->head: their number of bytes; *i is behind them. */
static uint32_t run_of(struct front *f, uint32_t *i)
{
	uint32_t n = 0, seq = store_cell_const(f->store, *i)->seq.v;

	while (*i != STORE_NONE) {
		const struct cell *x = store_cell_const(f->store, *i);

		if (x->seq.v != seq + n || n + x->len > f->head_room)
			break;
		memcpy(f->head + n, x->bytes, x->len);
		n += x->len;
		*i = x->next;
	}
	return n;
}

void rung_replay(struct front *f, struct hand *h)
{
	uint32_t i = h->first;

	h->sends++;
	if (h->rung == RUNG_SHIFT && !(h->flags & HF_ANSWERED)) /* else it has had its SYN */
		shift_syn(f, h);
	if (i == STORE_NONE)
		(void)replay_run(f, h, h->base, 0, true);
	while (i != STORE_NONE) {
		uint32_t seq = store_cell_const(f->store, i)->seq.v, n = run_of(f, &i);

		if (!replay_run(f, h, seq, n, seq + n + h->d.fin_in == h->end))
			break;
	}
	if (h->rung == RUNG_SHIFT && f->cfg.header)
		announce_watch(f, h);
}

void rung_reset(struct front *f, struct hand *h)
{
	struct make_tcp m = { .seq = h->rung == RUNG_SPLICE ? h->acked : h->end, .flags = TCP_RST };
	struct lane l;

	if (h->flags & HF_LAID) {
		(void)send_as_client(f, h, &m);
		return;
	}
	if (h->rung != RUNG_SPLICE || !(h->in_table >> BACK & 1))
		return;
	rung_lane(f, h, &l);
	if (!make_tcp(front_box(f), back_port(f), &l, &m))
		count_drop(&f->env, R_OUTBOX_FULL);
}
