/* SPDX-License-Identifier: MIT */
/*
 * owe - packets of the role's own.  A flow owes them (bits), and pays in a fixed order as far as the outbox has room;
 * what does not fit stays owed, the flow stays in the list of those that owe, and the role's deadline is due at once.
 */
#include "role/accel/accel.h"

#include <string.h>

#define DATA_TS_LEN 12u

static bool has_ts(const struct cold *c)
{
	return c->promised & OPT_TS;
}

static bool send_to(struct near *n, unsigned port, const struct lane *l, const struct make_tcp *m)
{
	if (!make_tcp(n->out, port, l, m))
		return false;
	count_event(&n->env, EV_MADE);
	if (m->flags & TCP_RST)
		count_event(&n->env, EV_RST_SENT);
	return true;
}

/* The promised SYN-ACK's options: exactly c->promised. */
static uint8_t promise_options(const struct cold *c, uint8_t opt[40])
{
	uint8_t n = 0;

	if (c->promised & OPT_MSS) {
		opt[n++] = TCPOPT_MSS;
		opt[n++] = 4;
		store_be16(opt + n, c->promised_mss);
		n = (uint8_t)(n + 2);
	}
	if (c->promised & (OPT_SACK_PERMITTED | OPT_TS)) {
		bool sack = c->promised & OPT_SACK_PERMITTED;

		opt[n++] = sack ? TCPOPT_SACK_PERMITTED : TCPOPT_NOP;
		opt[n++] = sack ? 2 : TCPOPT_NOP;
		if (has_ts(c)) {
			opt[n++] = TCPOPT_TIMESTAMPS;
			opt[n++] = 10;
			store_be32(opt + n, c->promise_tsval);
			store_be32(opt + n + 4, c->syn_tsval);
			n = (uint8_t)(n + 8);
		} else {
			opt[n++] = TCPOPT_NOP;
			opt[n++] = TCPOPT_NOP;
		}
	}
	if (c->promised & OPT_WSCALE) {
		opt[n++] = TCPOPT_NOP;
		opt[n++] = TCPOPT_WSCALE;
		opt[n++] = 3;
		opt[n++] = c->promised_scale;
	}
	return n;
}

static bool pay_promise(struct near *n, struct cold *c)
{
	uint8_t opt[40];
	struct make_tcp m = {
		.seq = c->promise.v,
		.ack = c->isn.v + 1,
		.window = c->promised_window,
		.flags = TCP_SYN | TCP_ACK,
		.options = opt,
		.options_len = promise_options(c, opt),
	};

	if (!send_to(n, ACCEL_CLIENT, &c->server, &m))
		return false;
	count_event(&n->env, EV_PROMISED);
	return true;
}

/* The option that makes a server take data in the SYN: its length, 0 where the client has no cookie. */
static unsigned cookie_option(struct near *n, uint32_t f, uint8_t ret_opt[20])
{
	const struct cookie *k =
		n->cfg.fastopen_cookies ? cookies_find(n->cookies, &rec_of(n, f, NEAR)->key, n->now)
					: NULL;
	unsigned len = 0;

	if (!k)
		return 0;
	ret_opt[len++] = TCPOPT_TFO;
	ret_opt[len++] = (uint8_t)(2 + k->len);
	memcpy(ret_opt + len, k->bytes, k->len);
	len += k->len;
	return len;
}

/* Bytes of options before the padding at their end. */
static unsigned options_end(const uint8_t *opt, unsigned len)
{
	struct tcp_option o;
	size_t at = 0;

	while (tcp_option_next(opt, len, &at, &o))
		if (o.kind == TCPOPT_EOL)
			return o.off;
	return len;
}

/* Takes out all padding: the options' new length. */
static unsigned options_pack(uint8_t opt[40], unsigned len)
{
	struct tcp_option o;
	unsigned to = 0;
	size_t at = 0;

	while (tcp_option_next(opt, len, &at, &o)) {
		if (o.kind == TCPOPT_EOL || o.kind == TCPOPT_NOP)
			continue;
		memmove(opt + to, opt + o.off, o.len);
		to += o.len;
	}
	return to;
}

unsigned options_add(uint8_t opt[40], unsigned len, const uint8_t *more, unsigned more_len)
{
	unsigned end = options_end(opt, len);

	if (end + more_len > 40)
		end = options_pack(opt, end);
	if (end + more_len > 40) {
		/* as long as it was, in any case */
		memset(opt + end, TCPOPT_NOP, len - end);
		return 0;
	}
	memcpy(opt + end, more, more_len);
	for (end += more_len; end % 4; end++)
		opt[end] = TCPOPT_NOP;
	return end;
}

/* The SYN's options with the cookie behind them, if there is one, and room for it. */
uint8_t syn_data_options(struct near *n, const struct cold *c, uint8_t ret_opt[40])
{
	uint8_t cookie[20];
	unsigned len = cookie_option(n, (uint32_t)(c - n->cold), cookie), all = 0;

	memcpy(ret_opt, c->syn_options, c->syn_options_len);
	if (len)
		all = options_add(ret_opt, c->syn_options_len, cookie, len);
	return all ? (uint8_t)all : c->syn_options_len;
}

static bool pay_syn(struct near *n, struct cold *c, bool with_data)
{
	uint8_t opt[40];
	struct make_tcp m = {
		.seq = c->isn.v,
		.window = c->syn_window,
		.flags = TCP_SYN,
		.options = c->syn_options,
		.options_len = c->syn_options_len,
	};

	with_data = with_data && c->hold.first != STORE_NONE;
	if (with_data) {
		const struct cell *cell = store_cell_const(n->store, c->hold.first);

		m.payload = cell->bytes;
		m.payload_len = cell->len;
		m.options = opt;
		m.options_len = syn_data_options(n, c, opt);
	}
	if (!send_to(n, ACCEL_SERVER, &c->client, &m))
		return false;
	if (with_data)
		count_event(&n->env, EV_MERGED);
	return true;
}

/* To the client: the acknowledgement that came with the server's SYN-ACK. */
static bool pay_ack_client(struct near *n, struct cold *c)
{
	uint8_t opt[DATA_TS_LEN];
	struct make_tcp m = {
		.seq = c->promise.v + 1,
		.ack = c->server_acked.v,
		.flags = TCP_ACK,
		.window = seam_window(c->synack_window, 0, c->seam.near_scale[FAR]),
		.options = opt,
		.options_len = has_ts(c) ? DATA_TS_LEN : 0,
	};

	make_ts_option(opt, c->promise_tsval, c->synack_tsecr);
	return send_to(n, ACCEL_CLIENT, &c->server, &m);
}

/*
 * To the server: a segment of the client's, which the box speaks for.  A TSval is the first copy's, but never older than one
 * that left before it, or the server would drop the segment (RFC 7323, 5).
 */
static bool pay_segment(struct near *n, struct cold *c, struct make_tcp m, uint32_t tsval,
			uint32_t tsecr)
{
	uint8_t opt[DATA_TS_LEN];

	if ((int32_t)(tsval - c->released_tsval) < 0)
		tsval = c->released_tsval;
	m.ack = c->far_isn + 1;
	m.window = seam_window_of(&c->seam, NEAR, c->client_window);
	m.options = opt;
	m.options_len = has_ts(c) ? DATA_TS_LEN : 0;
	make_ts_option(opt, tsval, tsecr);
	if (!send_to(n, ACCEL_SERVER, &c->client, &m))
		return false;
	c->released_tsval = tsval;
	return true;
}

/* In front of held data the ACK carries the TSval of the first of it. */
static bool pay_ack_server(struct near *n, struct cold *c)
{
	struct make_tcp m = { .seq = c->server_acked.v, .flags = TCP_ACK };
	uint32_t tsval = c->client_tsval;

	if (c->hold.first != STORE_NONE && store_cell_const(n->store, c->hold.first)->has_ts)
		tsval = store_cell_const(n->store, c->hold.first)->tsval;
	return pay_segment(n, c, m, tsval, c->synack_tsval[1]);
}

/* One piece of held data; *at is where it begins, and moves behind it. */
static bool pay_piece(struct near *n, struct cold *c, const struct cell *cell, sut_seq *at)
{
	uint32_t skip = seq_diff(*at, cell->seq), left = cell->len - skip;
	uint32_t most = c->real_mss - (has_ts(c) ? DATA_TS_LEN : 0);
	uint32_t len = left < most ? left : most;
	struct make_tcp m = {
		.seq = at->v,
		.flags = TCP_ACK,
		.payload = cell->bytes + skip,
		.payload_len = len,
	};

	if (len == left)
		m.flags = (uint8_t)(m.flags | (cell->flags & (TCP_PSH | TCP_FIN)));
	if (!pay_segment(n, c, m, cell->has_ts ? cell->tsval : c->client_tsval, c->synack_tsval[0]))
		return false;
	*at = seq_add(*at, len);
	return true;
}

/* The held data in order, cut to the server's real MSS; a cell is given back when it is sent. */
static bool pay_release(struct near *n, struct cold *c)
{
	while (c->hold.first != STORE_NONE) {
		const struct cell *cell = store_cell_const(n->store, c->hold.first);
		sut_seq at = seq_before(cell->seq, c->released) ? c->released : cell->seq;
		sut_seq end = seq_add(cell->seq, cell->len);

		do {
			if (!pay_piece(n, c, cell, &at))
				return false;
			c->released = at;
		} while (seq_before(at, end));
		hold_drop_before(n->store, &c->hold, seq_add(end, !!(cell->flags & TCP_FIN)));
	}
	return true;
}

static bool pay_rst_client(struct near *n, uint32_t f, struct cold *c)
{
	struct flow_rec *a = rec_of(n, f, NEAR), *b = rec_of(n, f, FAR);
	bool joined = c->server_heard;
	struct make_tcp m = {
		.seq = joined ? a->acked.v : c->promise.v + 1,
		.ack = joined ? b->acked.v : c->isn.v + 1,
		.flags = TCP_RST | TCP_ACK,
	};

	return send_to(n, ACCEL_CLIENT, &c->server, &m);
}

static bool pay_rst_server(struct near *n, uint32_t f, struct cold *c)
{
	struct make_tcp m = { .seq = rec_of(n, f, FAR)->acked.v, .flags = TCP_RST };

	return send_to(n, ACCEL_SERVER, &c->client, &m);
}

static bool pay_rst_answer(struct near *n, struct cold *c)
{
	struct make_tcp m = {
		.seq = c->rst_seq,
		.ack = c->rst_ack,
		.flags = (uint8_t)(TCP_RST | (c->rst_ack ? TCP_ACK : 0)),
	};

	return send_to(n, ACCEL_SERVER, &c->client, &m);
}

static bool pay_one(struct near *n, uint32_t f, unsigned what)
{
	struct cold *c = &n->cold[f];

	switch (what) {
	case OWE_PROMISE:
		return pay_promise(n, c);
	case OWE_SYN:
		return pay_syn(n, c, false);
	case OWE_SYN_DATA:
		return pay_syn(n, c, true);
	case OWE_ACK_CLIENT:
		return pay_ack_client(n, c);
	case OWE_ACK_SERVER:
		return pay_ack_server(n, c);
	case OWE_RELEASE:
		return pay_release(n, c);
	case OWE_RST_CLIENT:
		return pay_rst_client(n, f, c);
	case OWE_RST_SERVER:
		return pay_rst_server(n, f, c);
	case OWE_RST_ANSWER:
		return pay_rst_answer(n, c);
	default:
		return true;
	}
}

/* Pays what f owes as far as there is room; takes f out if that was its end. */
static bool pay(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	for (unsigned what = OWE_PROMISE; what < OWE_END; what <<= 1) {
		if (!(c->owe & what))
			continue;
		if (!pay_one(n, f, what)) {
			owing_add(n, f);
			return false;
		}
		c->owe = (uint16_t)(c->owe & ~what);
	}
	owing_del(n, f);
	if (c->owe & OWE_END)
		flow_remove(n, f);
	return true;
}

void flow_owe(struct near *n, uint32_t f, unsigned owe)
{
	n->cold[f].owe = (uint16_t)(n->cold[f].owe | owe);
	pay(n, f);
}

void owe_pay_all(struct near *n)
{
	while (n->owing.first != FLOW_NONE && pay(n, n->owing.first))
		;
}
