/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "proto/checksum.h"
#include "proto/ip.h"

/*
 * The stack as a whole: its configuration and its block, packets in, time.
 *
 *	block    struct stack | connections | listeners | table | records | timers | cells
 */

#define LIMIT_MS 1000u /* answers to strangers are so many in this time */
#define RSTS 1000u
#define ICMPS 1000u
#define ACKS_LEAST \
	500u /* and at random up to as many again: nobody can tell from them what others get (RFC 5961, 10) */
#define BUF_LEAST 2048u
#define BUF_MOST (1u << 30)
#define CONNS_MOST (1u << 24)
#define CELLS_MOST (1u << 26)
#define HEADERS 60u /* of a super-packet: what is left of 65535 is payload */

/* --- configuration */

void stack_config_default(struct stack_config *ret_c)
{
	*ret_c = (struct stack_config){
		.mtu = 1500,
		.max_conns = 1024,
		.max_listeners = 16,
		.max_half_open = 256,
		.cells = 8192,
		.sndbuf = 262144,
		.rcvbuf = 262144,
		.gso_max = 65535 - HEADERS,
		.ttl = 64,
		.ecn = true, /* SHLD-8 */
		.fastopen = true,
		.cc = STACK_CUBIC,
		.msl = SUT_MS(30000),
		.linger_fin_wait_2 = SUT_MS(60000),
	};
}

/* What is wrong with the addresses; NULL: nothing. */
static const char *wrong_nets(const struct stack_config *c, bool *ret_v6)
{
	*ret_v6 = false;
	if (c->nets == 0 || c->nets > STACK_NETS)
		return "there must be 1 to 16 addresses";
	for (unsigned i = 0; i < c->nets; i++) {
		const struct stack_net *n = &c->net[i];

		if (n->prefix > 128 || (ip_is_mapped(n->ip) && n->prefix < 96))
			return "a prefix is longer than an address, or shorter than an IPv4 one "
			       "begins";
		if (ip_is_zero(n->ip) || n->ip[0] == 0xff ||
		    (ip_is_mapped(n->ip) && (n->ip[12] == 0 || n->ip[12] >= 224)))
			return "an address is zero, a multicast or a broadcast one";
		*ret_v6 |= !ip_is_mapped(n->ip);
	}
	return NULL;
}

static const char *wrong_limits(const struct stack_config *c)
{
	if (c->max_conns == 0 || c->max_conns > CONNS_MOST)
		return "connections must be 1 to 16777216";
	if (c->max_listeners == 0 || c->max_listeners > 65536)
		return "listeners must be 1 to 65536";
	if (c->max_half_open > c->max_conns)
		return "there cannot be more half-open connections than connections";
	if (c->cells < 16 || c->cells > CELLS_MOST)
		return "cells must be 16 to 67108864";
	if (c->records > CELLS_MOST)
		return "records must be 67108864 at most";
	if (c->sndbuf < BUF_LEAST || c->sndbuf > BUF_MOST)
		return "the send buffer must be 2048 bytes to 1 GiB";
	if (c->rcvbuf < BUF_LEAST || c->rcvbuf > BUF_MOST)
		return "the receive buffer must be 2048 bytes to 1 GiB";
	return NULL;
}

static const char *wrong_rest(const struct stack_config *c)
{
	if ((c->offload & STACK_OFFLOAD_TSO) &&
	    (c->gso_max < c->mtu - 40 || c->gso_max > 65535 - HEADERS))
		return "super-packets must hold a segment, and 65475 bytes at most";
	if ((c->offload & (STACK_OFFLOAD_TSO | STACK_OFFLOAD_CSUM)) == STACK_OFFLOAD_TSO)
		return "super-packets need checksum offload too";
	if (c->cc != STACK_CUBIC && c->cc != STACK_NEWRENO)
		return "there is no such congestion control";
	if (c->msl == 0 || c->msl > SUT_MS(3600000))
		return "the maximum segment lifetime must be above 0, and an hour at most";
	return NULL;
}

static const char *wrong(const struct stack_config *c)
{
	bool v6;
	const char *w = wrong_nets(c, &v6);

	if (w == NULL && (c->mtu < 576 || (v6 && c->mtu < 1280) || c->mtu > 65535))
		w = "the MTU must be 576 (IPv6: 1280) to 65535";
	if (w == NULL)
		w = wrong_limits(c);
	return w != NULL ? w : wrong_rest(c);
}

/* --- the block */

static uint32_t table_size(const struct stack_config *c)
{
	uint32_t n = 16;

	while (n < c->max_conns)
		n *= 2;
	return n;
}

static size_t place(size_t *end, size_t bytes)
{
	size_t at = *end;

	*end += (bytes + 63) & ~(size_t)63;
	return at;
}

/* Where the parts lie: fills the offsets of ret_s in, and returns where the block ends. */
static size_t lay_out(const struct stack_config *c, struct stack *ret_s)
{
	size_t end = (sizeof(struct stack) + 63) & ~(size_t)63;
	uint32_t records = c->records ? c->records : c->cells;

	ret_s->conns = place(&end, (size_t)c->max_conns * sizeof(struct conn));
	ret_s->listeners = place(&end, (size_t)c->max_listeners * sizeof(struct listener));
	ret_s->table = place(&end, (size_t)table_size(c) * sizeof(uint32_t));
	ret_s->sent = place(&end, (size_t)records * sizeof(struct sent));
	ret_s->wheel = place(&end, wheel_need(c->max_conns));
	ret_s->store = place(&end, store_need(c->cells));
	return end;
}

size_t stack_need(const struct stack_config *c, char *ret_err)
{
	const char *w = wrong(c);
	struct stack s;

	if (w != NULL) {
		(void)snprintf(ret_err, 96, "%s", w);
		return 0;
	}
	return lay_out(c, &s);
}

static void make_keys(struct stack *s)
{
	for (uint64_t i = 0; i < 5; i++) {
		uint8_t text[16] = "suture table";

		text[15] = (uint8_t)i;
		s->table_key.k[i] = siphash(s->env.secret, text, sizeof text);
	}
}

static void refill(struct stack *s)
{
	s->rst_left = RSTS;
	s->icmp_left = ICMPS;
	s->ack_left = ACKS_LEAST + (uint32_t)(s->env.random(s->env.ctx) % ACKS_LEAST);
	s->limits_since = now_ms(s);
}

struct stack *stack_init(void *block, const struct stack_config *c, const struct stack_env *env,
			 sut_time now)
{
	struct stack *s = block;

	(void)lay_out(c, s);
	s->cfg = *c;
	if (s->cfg.records == 0)
		s->cfg.records = c->cells;
	if (s->cfg.ttl == 0)
		s->cfg.ttl = 64;
	s->env = *env;
	s->now = now;
	s->table_mask = table_size(c) - 1;
	s->dirty_first = s->dirty_last = CONN_NONE;
	s->ready_first = s->ready_last = CONN_NONE;
	make_keys(s);
	s->port_salt = (uint32_t)env->random(env->ctx);
	(void)wheel_init(stack_wheel(s), c->max_conns);
	(void)store_init(stack_store(s), c->cells);
	refill(s);
	return s;
}

/* --- packets in */

static void set_now(struct stack *s, sut_time now)
{
	s->now = now;
	if (now_ms(s) - s->limits_since >= LIMIT_MS)
		refill(s);
}

static bool has_ce(const struct packet *p, const struct view *v)
{
	const uint8_t *h = p->head + v->l3;

	return v->ip == 4 ? (h[1] & 3) == 3 : (h[1] >> 4 & 3) == 3;
}

static void seg_read(const struct packet *p, const struct view *v, struct seg *ret_g)
{
	*ret_g = (struct seg){
		.p = p,
		.v = v,
		.seq = v->seq,
		.ack = v->ack,
		.len = view_seg_len(v),
		.data_len = v->payload_len,
		.wnd = v->window,
		.urg = be16_get(view_tcp(p, v)->urg),
		.flags = v->flags,
		.ce = has_ce(p, v),
	};
	/*
	 * EOL, NOP, MSS and others (MUST-4), in any segment (MUST-5), at any alignment (MUST-64); unknown ones are skipped by their length
	 * (MUST-6, MUST-68); what stands behind one of an impossible length is left alone (MUST-7).
	 */
	(void)view_options(p, v, &ret_g->opt);
}

/* RFC 9293, 3.10.7: to its connection, else to who listens, else it gets a RST (3.10.7.1). */
static enum reason deliver(struct stack *s, const struct conn_quad *q, struct seg *g)
{
	struct conn *c = table_find(s, q);
	struct listener *l;

	if (c != NULL && !input_reopens(s, c, g)) {
		if (!listen_other_isn(s, c, g))
			input_segment(s, c, g);
		return R_NONE;
	}
	l = table_listener(s, q->laddr, q->lport);
	if (c != NULL && l == NULL) {
		input_segment(s, c, g);
		return R_NONE;
	}
	if (c != NULL) {
		g->reopens = true;
		g->isn_floor = c->snd_nxt;
		conn_end(s, c, 0, "SYN: opened anew");
	}
	if (l != NULL) {
		listen_input(s, l, q, g);
		return R_NONE;
	}
	reply_rst(s, q, g);
	return R_NO_FLOW;
}

/* MUST-3; what a device or the sender's own host vouches for is not summed again. */
static bool csum_good(const struct packet *p, const struct view *v)
{
	return p->off.csum != CSUM_UNKNOWN || (csum_ip_ok(p, v) && csum_tcp_ok(p, v));
}

enum reason stack_input(struct stack *s, const struct packet *p, const struct view *v, sut_time now)
{
	struct conn_quad q = { .zero = 0 };
	struct seg g;

	set_now(s, now);
	if (v->ip == 0)
		return R_NOT_TCP;
	view_addrs(p, v, q.raddr, q.laddr);
	if (addr_is_many(s, q.laddr)) /* MUST-57 */
		return R_BROADCAST;
	/* IPv4's addresses in IPv6 packets would be those of connections over IPv4 (RFC 4942, 2.2). */
	if (!addr_is_ours(s, q.laddr) || (v->ip == 6 && ip_is_mapped(q.laddr)))
		return R_NOT_OURS;
	if (!addr_is_peer(s, q.raddr) || (v->ip == 6 && ip_is_mapped(q.raddr)))
		return R_BAD_SOURCE;
	if (v->fragment)
		return R_FRAGMENT;
	/*
	 * Options of IP stand between the headers and are passed over (MUST-50): a route that a sender asks for is not answered by the
	 * same way back (MUST-51, MUST-52, MUST-53 need IP to have source routes; a TUN device has no routes at all).
	 */
	if (v->proto == (v->ip == 4 ? IP_ICMP : IP_ICMP6))
		return icmp_in(s, p, v); /* MUST-54 */
	if (!v->tcp)
		return R_NOT_TCP;
	if (!csum_good(p, v))
		return R_TCP_CSUM;
	q.lport = be16_get(view_tcp(p, v)->dport);
	q.rport = be16_get(view_tcp(p, v)->sport);
	seg_read(p, v, &g);
	stack_bump(s, STACK_SEGS_IN);
	return deliver(s, &q, &g);
}

/* --- time */

void stack_flush(struct stack *s, sut_time now)
{
	set_now(s, now);
	conn_flush_all(s);
}

void stack_expire(struct stack *s, sut_time now)
{
	uint32_t i;

	set_now(s, now);
	while ((i = wheel_pop(stack_wheel(s), now)) != WHEEL_NONE)
		timers_fire(s, conn_at(s, i));
	conn_flush_all(s);
}

sut_time stack_deadline(const struct stack *s)
{
	return wheel_deadline(stack_wheel(s));
}

/* --- the rest */

uint64_t stack_count(const struct stack *s, enum stack_counter c)
{
	assert(c < STACK_COUNTER_COUNT);
	return s->count[c];
}

/* SHLD-6: what connections may send follows, at once where it is less. */
int stack_set_mtu(struct stack *s, uint32_t mtu)
{
	struct stack_config c = s->cfg;
	uint32_t old = c.mtu;

	c.mtu = mtu;
	if (wrong(&c) != NULL)
		return -EINVAL;
	s->cfg.mtu = mtu;
	for (uint32_t i = 0; i < s->fresh_conn; i++) {
		struct conn *x = conn_at(s, i);

		if (x->gen % 2 == 0 || (x->path_mtu < mtu && x->path_mtu != old))
			continue;
		x->path_mtu = mtu;
		recovery_mss(s, x);
		conn_dirty(s, x);
	}
	return 0;
}

void stack_usage(const struct stack *s, struct stack_usage *ret_u)
{
	*ret_u = (struct stack_usage){
		.conns = s->used_conns,
		.half_open = s->half_open,
		.time_wait = s->time_wait,
		.listeners = s->used_listeners,
		.cells = s->cfg.cells - store_free_cells(stack_store(s)),
		.records = s->used_sent,
		.ofo_bytes = s->ofo_bytes,
	};
}
