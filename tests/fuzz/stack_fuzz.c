/* SPDX-License-Identifier: MIT */
/*
 * stack_fuzz - bytes as a sequence of segments, calls and time steps on a live stack.
 *
 * Input: two bytes of settings, then steps: a byte says what, the next ones its numbers.  Segments are made relative to what a
 * connection expects, as somebody who sees the path could make them.  Asserted after every step: stack_check(), the form and the
 * checksums of what leaves, the memory's bounds; and that one segment does not make the stack send without end.  At the end
 * everything is let go, all timers run out, and nothing may be left.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "stack/stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 400, CONNS = 8, ROOM = 4096, EMITS_MAX = 4000 };

struct run {
	const uint8_t *at, *end;
	struct stack *s;
	sut_time now;
	conn_id listener;
	conn_id conn[CONNS];
	unsigned emits; /* since the last step */
	uint64_t dice;
	uint16_t ports;
};

static uint8_t byte(struct run *r)
{
	return r->at < r->end ? *r->at++ : 0;
}

static uint16_t word(struct run *r)
{
	uint16_t high = byte(r);

	return (uint16_t)(high << 8 | byte(r));
}

/* A small number of either sign, modulo 2^32. */
static uint32_t offset(struct run *r)
{
	uint32_t n = word(r);

	return n < 0x8000 ? n : n - 0x10000;
}

static uint64_t dice(void *ctx)
{
	struct run *r = ctx;

	r->dice = r->dice * 6364136223846793005u + 1442695040888963407u;
	return r->dice;
}

static int emit(void *ctx, const struct stack_out *o)
{
	static uint8_t bytes[PACKET_MAX];
	struct run *r = ctx;
	struct packet p = { .head = bytes, .head_len = o->head_len, .off = o->off };
	struct view v;

	assert(++r->emits < EMITS_MAX);
	memcpy(bytes, o->head, o->head_len);
	for (uint32_t i = 0; i < o->n; i++) {
		assert(p.head_len + o->slice[i].len <= sizeof(bytes));
		memcpy(bytes + p.head_len, o->slice[i].bytes, o->slice[i].len);
		p.head_len += o->slice[i].len;
	}
	assert(p.head_len == o->head_len + o->payload_len);
	assert(view_parse_ip(&p, &v) == R_NONE && v.ip);
	if (v.tcp && p.off.gso_type == GSO_NONE) {
		if (p.off.csum == CSUM_PARTIAL)
			assert(csum_finish(&p));
		assert(csum_tcp_ok(&p, &v) && csum_ip_ok(&p, &v));
	}
	return r->emits % 97 == 96 ? -1 : 0;
}

static void check(struct run *r)
{
	const char *what = stack_check(r->s, r->now);

	if (what) {
		fprintf(stderr, "stack_fuzz: %s\n", what);
		abort();
	}
	r->emits = 0;
}

static conn_id pick(struct run *r)
{
	return r->conn[byte(r) % CONNS];
}

/* --- packets */

static void put_ip(uint8_t *h, uint8_t proto, const uint8_t src[4], const uint8_t dst[4],
		   uint32_t l4_len)
{
	memset(h, 0, 20);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)(20 + l4_len));
	h[8] = 64;
	h[9] = proto;
	memcpy(h + 12, src, 4);
	memcpy(h + 16, dst, 4);
	store_be16(h + 10, (uint16_t)~csum_fold(csum_add(0, h, 20)));
}

static const uint8_t us[4] = { 192, 0, 2, 2 }, them[4] = { 192, 0, 2, 1 };

static void give(struct run *r, uint8_t *bytes, uint32_t len)
{
	struct packet p = { .head = bytes, .head_len = len, .off.csum = CSUM_PARTIAL };
	struct view v;

	if (view_parse_ip(&p, &v) == R_NONE)
		stack_input(r->s, &p, &v, r->now);
}

/* Options of this kind, to opt: their length. */
static unsigned options(struct run *r, uint8_t kind, const struct conn_info *i, uint8_t *opt)
{
	unsigned n = 0;

	if (kind & 1) {
		memcpy(opt, (uint8_t[]){ 1, 1, 8, 10 }, 4);
		store_be32(opt + 4, (uint32_t)(r->now / 1000000) + byte(r) - 128u);
		store_be32(opt + 8, (uint32_t)dice(r));
		n = 12;
	}
	if (kind & 2) {
		unsigned blocks = 1 + (kind >> 6) % 2;

		opt[n] = opt[n + 1] = 1;
		opt[n + 2] = 5;
		opt[n + 3] = (uint8_t)(2 + 8 * blocks);
		for (unsigned b = 0; b < blocks; b++) {
			uint32_t left = i->snd_una + offset(r);

			store_be32(opt + n + 4 + 8 * b, left);
			store_be32(opt + n + 8 + 8 * b, left + word(r));
		}
		n += 4 + 8 * blocks;
	}
	if (kind & 4) {
		unsigned len = 4 * (byte(r) % 4);

		for (unsigned b = 0; b < len && n + b < 40; b++)
			opt[n + b] = byte(r);
		n += len;
	}
	return n > 40 ? 40 : n;
}

/* SYN's options, all of them. */
static unsigned syn_options(uint8_t *opt)
{
	memcpy(opt, (uint8_t[]){ 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7 },
	       20);
	return 20;
}

static void segment(struct run *r, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack,
		    uint8_t flags, uint16_t window, const uint8_t *opt, unsigned opt_len,
		    uint32_t len)
{
	static uint8_t bytes[20 + 60 + ROOM];
	uint8_t *t = bytes + 20;

	put_ip(bytes, IP_TCP, them, us, 20 + opt_len + len);
	store_be16(t, sport);
	store_be16(t + 2, dport);
	store_be32(t + 4, seq);
	store_be32(t + 8, ack);
	t[12] = (uint8_t)((5 + opt_len / 4) << 4);
	t[13] = flags;
	store_be16(t + 14, window);
	store_be32(t + 16, flags & TCP_URG ? (uint32_t)dice(r) & 0xff : 0);
	memcpy(t + 20, opt, opt_len);
	for (uint32_t i = 0; i < len; i++)
		t[20 + opt_len + i] = (uint8_t)(seq + i);
	give(r, bytes, 40 + opt_len + len);
}

/* The n-th connection that there is, half-open ones too. */
static bool nth(struct run *r, unsigned n, struct conn_info *ret_i)
{
	uint32_t cursor = 0;
	struct conn_info i;
	bool any = false;

	for (unsigned k = 0; stack_list(r->s, &cursor, r->now, &i);)
		if (i.state != ST_LISTEN) {
			*ret_i = i;
			any = true;
			if (k++ == n)
				break;
		}
	return any;
}

/* A segment near what a connection expects. */
static void near_segment(struct run *r)
{
	struct conn_info i;
	uint8_t opt[64], flags, kind;
	uint32_t seq, ack, len;
	uint16_t window;
	unsigned n;

	if (!nth(r, byte(r) % CONNS, &i))
		return;
	flags = byte(r);
	kind = byte(r);
	seq = i.rcv_nxt + (kind & 8 ? offset(r) : 0);
	ack = kind & 16 ? i.snd_una + offset(r) : i.snd_nxt;
	window = kind & 32 ? word(r) : 65535;
	len = byte(r) * 16u;
	n = options(r, kind, &i, opt);
	segment(r, i.remote.port, i.local.port, seq, ack, flags, window, opt, n, len);
}

static void syn(struct run *r)
{
	uint16_t port = (uint16_t)(1000 + byte(r) % 16);
	uint8_t opt[40];

	segment(r, port, 80, (uint32_t)word(r) << 16, 0, TCP_SYN, 65535, opt, syn_options(opt), 0);
}

/* An answer to our own SYN. */
static void syn_ack(struct run *r)
{
	struct conn_info i;
	uint8_t opt[40];

	if (nth(r, byte(r) % CONNS, &i) && i.state == ST_SYN_SENT)
		segment(r, i.remote.port, i.local.port, 5000, i.iss + 1 + byte(r) % 2,
			TCP_SYN | TCP_ACK, word(r), opt, byte(r) & 1 ? syn_options(opt) : 0, 0);
}

static void raw(struct run *r)
{
	uint8_t bytes[80];
	unsigned n = byte(r) % sizeof(bytes);

	for (unsigned i = 0; i < n; i++)
		bytes[i] = byte(r);
	if (n > 20) {
		bytes[0] = (uint8_t)(bytes[0] & 1 ? 0x60 : 0x45);
		memcpy(bytes + 16, us, 4);
	}
	give(r, bytes, n);
}

/* An ICMP error about a segment of ours. */
static void icmp(struct run *r)
{
	struct conn_info i;
	uint8_t bytes[56];

	if (!nth(r, byte(r) % CONNS, &i))
		return;
	put_ip(bytes, IP_ICMP, them, us, 36);
	memset(bytes + 20, 0, 8);
	bytes[20] = 3;
	bytes[21] = byte(r) % 16;
	store_be16(bytes + 26, word(r));
	put_ip(bytes + 28, IP_TCP, us, them, 20);
	store_be16(bytes + 48, i.local.port);
	store_be16(bytes + 50, i.remote.port);
	store_be32(bytes + 52, i.snd_una + offset(r));
	store_be16(bytes + 22, (uint16_t)~csum_fold(csum_add(0, bytes + 20, 36)));
	give(r, bytes, sizeof(bytes));
}

/* --- calls */

static void keep(struct run *r, conn_id c)
{
	conn_id *place = &r->conn[byte(r) % CONNS];

	if (*place)
		stack_abort(r->s, *place, r->now);
	*place = c;
}

static void call(struct run *r)
{
	static uint8_t bytes[8192];
	struct stack_addr to = { .port = (uint16_t)(2000 + byte(r) % 4) }, peer;
	struct stack_slice slice[4];
	conn_id c = pick(r), new;
	int64_t value;

	switch (byte(r) % 16) {
	case 0:
	case 1:
		if (stack_accept(r->s, r->listener, 1, &new, &peer) == 0)
			keep(r, new);
		break;
	case 2:
	case 3:
		stack_write(r->s, c, bytes, word(r) % sizeof(bytes), r->now);
		break;
	case 4:
	case 5:
		stack_read(r->s, c, bytes, word(r) % sizeof(bytes), r->now);
		break;
	case 6:
		stack_peek(r->s, c, bytes, word(r) % sizeof(bytes));
		break;
	case 7:
		if (stack_peek_slices(r->s, c, slice, 4) > 0)
			stack_consume(r->s, c, word(r) % (slice[0].len + 1), r->now);
		break;
	case 8:
		stack_shutdown(r->s, c, r->now);
		break;
	case 9:
		stack_close(r->s, c, r->now);
		break;
	case 10:
		stack_abort(r->s, c, r->now);
		break;
	case 11:
		stack_set(r->s, c, (enum conn_option)(byte(r) % CONNOPT_COUNT), (int16_t)word(r),
			  r->now);
		break;
	case 12:
		stack_get(r->s, c, (enum conn_option)(byte(r) % CONNOPT_COUNT), &value);
		break;
	case 13:
		stack_write_urgent(r->s, c, bytes, word(r) % 100, r->now);
		break;
	default:
		memcpy(to.ip, (uint8_t[16]){ [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 }, 16);
		if (stack_connect(r->s, NULL, &to, 2, r->now, &new) == 0)
			keep(r, new);
	}
}

static void pass_time(struct run *r, sut_time by)
{
	r->now += by;
	for (unsigned i = 0; stack_deadline(r->s) <= r->now; i++) {
		assert(i < 1000);
		stack_expire(r->s, r->now);
		r->emits = 0;
	}
}

static void step(struct run *r)
{
	struct conn_ready ready;

	switch (byte(r) % 12) {
	case 0:
	case 1:
	case 2:
	case 3:
		near_segment(r);
		break;
	case 4:
		syn(r);
		break;
	case 5:
		syn_ack(r);
		break;
	case 6:
		raw(r);
		break;
	case 7:
		icmp(r);
		break;
	case 8:
		pass_time(r, (sut_time)word(r) * word(r) * 100);
		break;
	case 9:
		while (stack_next(r->s, &ready))
			assert(ready.events);
		break;
	default:
		call(r);
	}
	check(r);
	if (byte(r) & 1) {
		stack_flush(r->s, r->now);
		check(r);
	}
}

static void configure(struct run *r, struct stack_config *c)
{
	uint8_t a = byte(r), b = byte(r);

	stack_config_default(c);
	memcpy(c->net[0].ip, (uint8_t[16]){ [10] = 0xff, [11] = 0xff, 192, 0, 2, 2 }, 16);
	c->net[0].prefix = 120;
	c->nets = 1;
	c->max_conns = a & 1 ? 4 : 16;
	c->max_listeners = 2;
	c->max_half_open = a & 2 ? 1 : 4;
	c->cells = a & 4 ? 16 : 64;
	c->records = a & 8 ? 4 : 0;
	c->sndbuf = a & 16 ? 2048 : 20000;
	c->rcvbuf = a & 32 ? 2048 : 20000;
	c->no_timestamps = a & 64;
	c->no_sack = a & 128;
	c->no_wscale = b & 1;
	c->ecn = b & 2;
	c->fastopen = b & 4;
	c->cc = b & 8 ? STACK_NEWRENO : STACK_CUBIC;
	c->offload = b & 16 ? STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO : 0;
	c->mtu = b & 32 ? 576 : 1500;
}

static void finish(struct run *r)
{
	struct stack_usage u;

	stack_close(r->s, r->listener, r->now);
	for (unsigned i = 0; i < CONNS; i++)
		if (r->conn[i])
			stack_abort(r->s, r->conn[i], r->now);
	stack_flush(r->s, r->now);
	check(r);
	for (unsigned i = 0; i < 100000 && stack_deadline(r->s) != SUT_NEVER; i++) {
		sut_time at = stack_deadline(r->s);

		pass_time(r, at > r->now ? at - r->now : 0);
	}
	check(r);
	stack_usage(r->s, &u);
	assert(!u.conns && !u.half_open && !u.time_wait && !u.listeners && !u.cells && !u.records &&
	       !u.ofo_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .at = data, .end = data + size, .now = SUT_MS(1000000), .dice = 42 };
	struct stack_env env = { .random = dice, .emit = emit, .ctx = &r, .secret = { 7 } };
	struct stack_addr any = { .port = 80 };
	struct stack_config c;
	char why[96];
	void *block;
	size_t need;

	configure(&r, &c);
	need = stack_need(&c, why);
	assert(need);
	block = aligned_alloc(64, (need + 63) / 64 * 64);
	assert(block);
	memset(block, 0, need);
	r.s = stack_init(block, &c, &env, r.now);
	assert(stack_listen(r.s, &any, 4, 9, &r.listener) == 0);
	for (unsigned i = 0; i < STEPS_MAX && r.at < r.end; i++)
		step(&r);
	finish(&r);
	free(block);
	return 0;
}
