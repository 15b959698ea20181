/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/plane.h"
#include "frame.h"
#include "proto/checksum.h"

/* The client's ISN, the host's, the front end's next number; clocks of the three. */
#define ISN 4000u
#define HOST_ISN 0xfffffff0u
#define FRONT 7000u
#define C_TS 100u
#define H_TS 0xffffff00u
#define F_TS 50000u

static struct plane *pl;
static struct frame f;
static struct view v;
static struct way_event events[64];
static unsigned n_events;

static void hear(void *ctx, const struct way_event *ev)
{
	(void)ctx;
	assert_true(n_events < 64);
	events[n_events++] = *ev;
}

static struct plane_config config(uint32_t ways)
{
	struct plane_config c = { .max_ways = ways, .secret = { 1, 2, 3 }, .keys = 2 };

	memcpy(c.key[1], "0123456789abcdef", 16);
	memcpy(c.origin[3].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	store_be16((uint8_t *)&c.origin[3].port, 80);
	memcpy(c.origin[3].host_ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\x00\x71\x05", 16);
	store_be16((uint8_t *)&c.origin[3].host_port, 8080);
	return c;
}

static void begin(uint32_t ways)
{
	struct plane_config c = config(ways);
	size_t n = (plane_need(&c) + 63) / 64 * 64;
	void *block = aligned_alloc(64, n);

	assert_non_null(block);
	memset(block, 0, n);
	pl = plane_init(block, &c, hear, NULL);
	n_events = 0;
}

static void end(void)
{
	free(pl);
}

/* What is laid out behind the Ethernet header, wholly by hand. */
struct seg {
	uint8_t flags;
	uint32_t seq, ack, tsval, tsecr;
	uint32_t len; /* payload */
	const char *opt; /* in place of timestamps */
	uint32_t opt_len;
};

static struct packet *build(bool out, const struct seg *s)
{
	uint8_t opt[40], *t;
	uint32_t n = s->opt ? s->opt_len : 12;

	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 6, 0);
	if (out) {
		memcpy(f.buf + 26, "\xc6\x33\x64\x01\xc0\x00\x02\x0a", 8);
	}
	memcpy(opt, s->opt ? s->opt : FRAME_TS, n);
	if (!s->opt) {
		store_be32(opt + 4, s->tsval);
		store_be32(opt + 8, s->tsecr);
	}
	t = frame_tcp(&f, s->flags, opt, n);
	if (out) {
		store_be16(t, 80);
		store_be16(t + 2, 40000);
	}
	store_be32(t + 4, s->seq);
	store_be32(t + 8, s->ack);
	frame_payload(&f, s->len);
	frame_end(&f);
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	return &f.p;
}

static struct plane_verdict run(enum plane_hook hook, const struct seg *s)
{
	struct packet *p = build(hook == PLANE_BACK_OUT, s);
	struct plane_verdict r = plane_run(pl, hook, p, &v, SUT_MS(5));
	struct view again;

	assert_true(csum_tcp_ok(p, &v) && csum_ip_ok(p, &v));
	assert_int_equal(view_parse(p, &again), R_NONE);
	assert_int_equal(again.seq, v.seq);
	assert_int_equal(again.ack, v.ack);
	return r;
}

#define IN(...) run(PLANE_BACK_IN, &(struct seg){ __VA_ARGS__ })
#define OUT(...) run(PLANE_BACK_OUT, &(struct seg){ __VA_ARGS__ })

static uint32_t ts(unsigned which)
{
	struct tcp_options o;

	assert_int_equal(view_options(&f.p, &v, &o), R_NONE);
	assert_true(o.present & OPT_TS);
	return which ? o.tsecr : o.tsval;
}

static void expect_event(enum way_event_kind kind, uint32_t a, uint32_t b)
{
	assert_true(n_events > 0);
	assert_int_equal(events[0].kind, kind);
	assert_int_equal(events[0].a, a);
	assert_int_equal(events[0].b, b);
	/* always the client's direction */
	assert_int_equal(load_be16((uint8_t *)&events[0].key.sport), 40000);
	memmove(events, events + 1, --n_events * sizeof events[0]);
}

static void keys(struct way_key *in, struct way_key *out)
{
	struct seg s = { .flags = TCP_ACK };

	build(false, &s);
	way_key_of(&f.p, &v, in);
	build(true, &s);
	way_key_of(&f.p, &v, out);
}

static void set(const struct way_key *k, const struct way *w)
{
	assert_int_equal(plane_set(pl, k, w, 0), 0);
}

#define SYN_OPTS "\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\x64\0\0\xc3\x50\x01\x03\x03\x07"
#define SYNACK_OPTS(t) "\x02\x04\x05\xb4\x04\x02\x08\x0a\xff\xff\xff" t "\0\0\0\x64\x01\x03\x03\x09"

/* The pair of an announced shift. */
static void announce(void)
{
	struct way_key in, out;
	struct way w = { .act = WAY_HOST, .id = 9, .flags = WAY_UNLEARNT, .expect = ISN };

	keys(&in, &out);
	w.mate = out;
	set(&in, &w);
	w = (struct way){ .act = WAY_HOST,
			  .id = 9,
			  .flags = WAY_LEARN | WAY_WATCH,
			  .end = ISN + 1 + 200,
			  .front_seq = FRONT,
			  .front_tsval = F_TS,
			  .front_wscale = 7 };
	w.mate = in;
	set(&out, &w);
}

static enum way_act syn_in(void)
{
	return IN(.flags = TCP_SYN, .seq = ISN, .ack = FRONT, .opt = SYN_OPTS, .opt_len = 20).act;
}

static enum way_act synack_out(void)
{
	return OUT(.flags = TCP_SYN | TCP_ACK, .seq = HOST_ISN, .ack = ISN + 1,
		   .opt = SYNACK_OPTS("\x00"), .opt_len = 20)
		.act;
}

static const struct way *way_in(void)
{
	struct way_key in, out;

	keys(&in, &out);
	return plane_get(pl, &in);
}

static const struct way *way_out(void)
{
	struct way_key in, out;

	keys(&in, &out);
	return plane_get(pl, &out);
}

static void a_syn_ack_teaches_both_directions(void **state)
{
	(void)state;
	begin(8);
	announce();
	assert_int_equal(IN(.flags = TCP_ACK, .seq = ISN + 1, .len = 5).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_SYN, .seq = ISN + 1).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_SYN | TCP_ACK, .seq = ISN).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_RST, .seq = ISN).act, WAY_DROP);
	assert_int_equal(plane_counter(pl, WAY_N_NOT_EXPECTED), 4);
	assert_int_equal(syn_in(), WAY_HOST);
	assert_int_equal(n_events, 0);
	assert_int_equal(synack_out(), WAY_DROP);
	expect_event(WAY_EV_LEARNT, FRONT - (HOST_ISN + 1), F_TS - H_TS);

	/* The client answers what the front end sent last; its TSecr may be older than the SYN-ACK. */
	assert_int_equal(IN(.flags = TCP_ACK, .seq = ISN + 1, .ack = FRONT, .len = 200,
			    .tsval = 101, .tsecr = F_TS - 3)
				 .act,
			 WAY_HOST);
	assert_int_equal(v.ack, HOST_ISN + 1);
	assert_int_equal(v.seq, ISN + 1);
	assert_int_equal(ts(1), H_TS);
	assert_int_equal(OUT(.flags = TCP_ACK, .seq = HOST_ISN + 1, .ack = ISN + 1 + 200,
			     .len = 100, .tsval = H_TS + 7, .tsecr = 101)
				 .act,
			 WAY_HOST);
	assert_int_equal(v.seq, FRONT);
	assert_int_equal(v.window, 502 << 2); /* 9 bits to 7 */
	assert_int_equal(ts(0), F_TS + 7);
	assert_int_equal(ts(1), 101);
	expect_event(WAY_EV_ESTABLISHED, 0, 0);
	expect_event(WAY_EV_ACKED, ISN + 201, 0);
	/* no clamp any more */
	IN(.flags = TCP_ACK, .seq = ISN + 201, .ack = FRONT + 100, .tsval = 102, .tsecr = F_TS + 9);
	assert_int_equal(ts(1), H_TS + 9);
	assert_int_equal(v.ack, HOST_ISN + 101);
	assert_int_equal(n_events, 0);
	end();
}

static void a_repeated_syn_ack_raises_the_bound(void **state)
{
	(void)state;
	begin(8);
	announce();
	syn_in();
	synack_out();
	n_events = 0;
	assert_int_equal(OUT(.flags = TCP_SYN | TCP_ACK, .seq = HOST_ISN, .ack = ISN + 1,
			     .opt = SYNACK_OPTS("\x20"), .opt_len = 20)
				 .act,
			 WAY_DROP);
	assert_int_equal(n_events, 0);
	assert_int_equal(way_in()->tsecr_lo, H_TS);
	assert_int_equal(way_in()->tsecr_hi, H_TS + 0x20);
	/* An older one does not lower it. */
	OUT(.flags = TCP_SYN | TCP_ACK, .seq = HOST_ISN, .ack = ISN + 1, .opt = SYNACK_OPTS("\x10"),
	    .opt_len = 20);
	assert_int_equal(way_in()->tsecr_hi, H_TS + 0x20);
	IN(.flags = TCP_ACK, .seq = ISN + 1, .ack = FRONT, .tsecr = F_TS + 0x40);
	assert_int_equal(ts(1), H_TS + 0x20);
	IN(.flags = TCP_ACK, .seq = ISN + 1, .ack = FRONT, .tsecr = F_TS + 0x10);
	assert_int_equal(ts(1), H_TS + 0x10);
	/* Another ISN: the host has forgotten the first. */
	OUT(.flags = TCP_SYN | TCP_ACK, .seq = 77, .ack = ISN + 1, .opt = SYNACK_OPTS("\x30"),
	    .opt_len = 20);
	expect_event(WAY_EV_LEARNT, FRONT - 78, F_TS - H_TS - 0x30);
	assert_int_equal(way_in()->tsecr_lo, H_TS + 0x30);
	/* One that does not answer this SYN teaches nothing. */
	OUT(.flags = TCP_SYN | TCP_ACK, .seq = 99, .ack = ISN + 2, .opt = SYNACK_OPTS("\x30"),
	    .opt_len = 20);
	assert_int_equal(n_events, 0);
	/* Nor does any once the host has the connection. */
	OUT(.flags = TCP_ACK, .seq = 78, .ack = ISN + 1, .len = 1);
	expect_event(WAY_EV_ESTABLISHED, 0, 0);
	assert_int_equal(synack_out(), WAY_DROP);
	assert_int_equal(n_events, 0);
	assert_int_equal(way_out()->seq, FRONT - 78);
	end();
}

static void a_bare_ack_out_of_syn_received_shows_nothing(void **state)
{
	(void)state;
	begin(8);
	announce();
	syn_in();
	synack_out();
	n_events = 0;
	assert_int_equal(OUT(.flags = TCP_ACK, .seq = HOST_ISN + 1, .ack = ISN + 1).act, WAY_HOST);
	assert_int_equal(n_events, 0);
	assert_true(way_in()->flags & WAY_CLAMP);
	OUT(.flags = TCP_ACK | TCP_FIN, .seq = HOST_ISN + 1, .ack = ISN + 1);
	expect_event(WAY_EV_ESTABLISHED, 0, 0);
	expect_event(WAY_EV_FIN_OUT, FRONT + 1, 0);
	end();
}

static void an_option_that_is_missing_mutes(void **state)
{
	static const char *const lacking[] = {
		"\x02\x04\x05\xb4\x01\x01\x08\x0a\0\0\0\1\0\0\0\x64\x01\x03\x03\x09", /* SACK */
		"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\1\0\0\0\x64\x01\x01\x01\x01", /* scale */
		"\x02\x04\x05\xb4\x04\x02\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x03\x03\x09",
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		begin(8);
		announce();
		syn_in();
		assert_int_equal(OUT(.flags = TCP_SYN | TCP_ACK, .seq = HOST_ISN, .ack = ISN + 1,
				     .opt = lacking[i], .opt_len = 20)
					 .act,
				 WAY_DROP);
		expect_event(WAY_EV_REFUSED, EOPNOTSUPP, 0);
		assert_true(way_out()->flags & WAY_MUTE);
		assert_int_equal(synack_out(), WAY_DROP);
		assert_int_equal(OUT(.flags = TCP_ACK, .seq = 1, .ack = 1, .len = 4).act, WAY_DROP);
		assert_int_equal(IN(.flags = TCP_ACK, .seq = ISN + 1).act, WAY_DROP);
		end();
	}
}

static void a_closed_port_is_told_of_once_and_swallowed(void **state)
{
	(void)state;
	begin(8);
	announce();
	syn_in();
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(OUT(.flags = TCP_RST | TCP_ACK, .seq = 0, .ack = ISN + 1).act,
				 WAY_DROP);
	expect_event(WAY_EV_REFUSED, 0, 0);
	assert_int_equal(n_events, 0);
	/* It may listen a moment later. */
	assert_int_equal(syn_in(), WAY_HOST);
	synack_out();
	expect_event(WAY_EV_LEARNT, FRONT - (HOST_ISN + 1), F_TS - H_TS);
	/* A reset while in SYN-RECEIVED is no answer for the client either, nor is what follows. */
	assert_int_equal(OUT(.flags = TCP_RST, .seq = HOST_ISN + 1).act, WAY_DROP);
	expect_event(WAY_EV_REFUSED, 0, 0);
	assert_int_equal(OUT(.flags = TCP_RST, .seq = HOST_ISN + 1).act, WAY_DROP);
	assert_int_equal(n_events, 0);
	end();
}

static void an_older_connection_answers_nobody(void **state)
{
	(void)state;
	begin(8);
	announce();
	syn_in();
	assert_int_equal(OUT(.flags = TCP_ACK, .seq = 5, .ack = 777).act, WAY_DROP);
	expect_event(WAY_EV_TIME_WAIT, 777, 0);
	assert_int_equal(synack_out(), WAY_DROP);
	expect_event(WAY_EV_LEARNT, FRONT - (HOST_ISN + 1), F_TS - H_TS);
	end();
}

static void a_reset_after_that_is_the_clients(void **state)
{
	(void)state;
	begin(8);
	announce();
	syn_in();
	synack_out();
	OUT(.flags = TCP_ACK, .seq = HOST_ISN + 1, .ack = ISN + 10);
	n_events = 0;
	assert_int_equal(OUT(.flags = TCP_RST | TCP_ACK, .seq = HOST_ISN + 5, .ack = ISN + 10).act,
			 WAY_HOST);
	assert_int_equal(v.seq, FRONT + 4);
	expect_event(WAY_EV_RST_OUT, FRONT + 4, 0);
	end();
}

static void what_is_not_expected_waits(void **state)
{
	struct way_key in, out;
	struct way w = {
		.act = WAY_HOST, .id = 4, .flags = WAY_EXPECT | WAY_ADOPT, .expect = 0xfffffff0u
	};
	struct plane_verdict r;

	(void)state;
	begin(2);
	keys(&in, &out);
	w.mate = out;
	set(&in, &w);
	w = (struct way){ .act = WAY_HOST, .id = 4, .flags = WAY_WATCH, .end = 0x10 };
	w.mate = in;
	set(&out, &w);
	assert_int_equal(IN(.flags = TCP_SYN, .seq = 0xfffffff0u).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_RST, .seq = 0xfffffff0u).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_RST | TCP_ACK, .seq = 0xfffffff0u).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_ACK, .seq = 0xfffffff1u, .len = 9).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_ACK, .seq = 0xffffffefu, .len = 9).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_PSH, .seq = 0xfffffff0u, .len = 9).act, WAY_DROP);
	for (unsigned i = 0; i < 2; i++) { /* its retransmission is another try */
		r = IN(.flags = TCP_ACK, .seq = 0xfffffff0u, .len = 0x20);
		assert_int_equal(r.act, WAY_HOST);
		assert_true(r.adopt);
		assert_int_equal(r.w->flags, WAY_EXPECT | WAY_ADOPT);
	}
	assert_int_equal(OUT(.flags = TCP_RST, .seq = 1).act, WAY_DROP);
	expect_event(WAY_EV_REFUSED, 0, 0);
	/* An older connection of the quad. */
	assert_int_equal(OUT(.flags = TCP_ACK, .seq = 1, .ack = 0x7fffffff, .len = 4).act,
			 WAY_DROP);
	expect_event(WAY_EV_TIME_WAIT, 0x7fffffff, 0);
	assert_int_equal(OUT(.flags = TCP_RST | TCP_ACK, .seq = 1, .ack = 0xffffffef).act,
			 WAY_DROP);
	assert_int_equal(n_events, 0);
	assert_int_equal(OUT(.flags = TCP_ACK, .seq = 1, .ack = 0xf).act, WAY_HOST);
	expect_event(WAY_EV_ESTABLISHED, 0, 0);
	assert_int_equal(n_events, 0);
	r = IN(.flags = TCP_ACK, .seq = 5, .len = 1);
	assert_int_equal(r.act, WAY_HOST);
	assert_false(r.adopt);
	OUT(.flags = TCP_ACK, .seq = 1, .ack = 0x10);
	expect_event(WAY_EV_ACKED, 0x10, 0);
	OUT(.flags = TCP_ACK, .seq = 1, .ack = 0x11);
	assert_int_equal(n_events, 0);
	end();
}

static void ends_are_told_of_once(void **state)
{
	struct way_key in, out;
	struct way w = { .act = WAY_HOST, .expect = 100 };

	(void)state;
	begin(4);
	keys(&in, &out);
	w.mate = out;
	set(&in, &w);
	w.mate = in;
	set(&out, &w);
	/* in order, then over a gap, which is filled later: the next number is behind all that came */
	IN(.flags = TCP_ACK, .seq = 90, .len = 20);
	IN(.flags = TCP_ACK, .seq = 200, .len = 20);
	IN(.flags = TCP_ACK, .seq = 110, .len = 90);
	IN(.flags = TCP_SYN, .seq = 50);
	IN(.flags = TCP_SYN, .seq = 51);
	expect_event(WAY_EV_SYN_IN, 50, 0);
	assert_int_equal(IN(.flags = TCP_RST, .seq = 111).act, WAY_HOST);
	expect_event(WAY_EV_RST_IN, 111, 0);
	IN(.flags = TCP_RST, .seq = 112);
	assert_int_equal(n_events, 0);
	IN(.flags = TCP_RST, .seq = 220);
	expect_event(WAY_EV_RST_IN, 220, 1);
	assert_int_equal(way_in()->expect, 220);
	OUT(.flags = TCP_ACK, .seq = 1, .ack = 320);
	assert_int_equal(way_in()->expect, 320);
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 320, .len = 3);
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 320, .len = 3);
	expect_event(WAY_EV_FIN_IN, 324, 0);
	assert_int_equal(way_in()->fin_end, 324);
	for (unsigned i = 0; i < 2; i++) {
		IN(.flags = TCP_SYN, .seq = 60 + i);
		expect_event(WAY_EV_SYN_IN, 60 + i, 0);
	}
	OUT(.flags = TCP_ACK | TCP_FIN, .seq = 9, .ack = 224);
	OUT(.flags = TCP_ACK | TCP_FIN, .seq = 9, .ack = 224);
	expect_event(WAY_EV_FIN_OUT, 10, 0);
	assert_int_equal(n_events, 0);
	end();
	begin(4);
	w.mate = out;
	set(&in, &w);
	IN(.flags = TCP_RST, .seq = 100);
	expect_event(WAY_EV_RST_IN, 100, 1);
	end();
}

/* Who does not see the connection guesses: neither a FIN of his counts, nor do his segments make the client's own reset a wrong one. */
static void what_is_far_off_ends_nothing(void **state)
{
	struct way_key in, out;
	struct way w = { .act = WAY_HOST, .expect = 0xfffffff0u };

	(void)state;
	begin(4);
	keys(&in, &out);
	w.mate = out;
	set(&in, &w);
	w.mate = in;
	set(&out, &w);
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 0xffffffee, .len = 0); /* behind what came by */
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 0xfffffff0u + WAY_NEAR, .len = 0); /* one too far */
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 0x80000000, .len = 10);
	IN(.flags = TCP_ACK, .seq = 0x70000000, .len = 10);
	IN(.flags = TCP_ACK, .seq = 0xfffffff0u + WAY_NEAR, .len = 1);
	OUT(.flags = TCP_ACK, .seq = 1, .ack = 0xfffffff1u + WAY_NEAR);
	assert_int_equal(way_in()->expect, 0xfffffff0u);
	assert_int_equal(n_events, 0);
	IN(.flags = TCP_ACK, .seq = 0xffffffefu + WAY_NEAR, .len = 1);
	assert_int_equal(way_in()->expect, 0xfffffff0u + WAY_NEAR);
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 0xfffffff0u + WAY_NEAR, .len = 0);
	expect_event(WAY_EV_FIN_IN, 0xfffffff1u + WAY_NEAR, 0);
	/* The client's own comes again: `expect` is behind it. */
	IN(.flags = TCP_RST, .seq = 0xfffffff1u + WAY_NEAR);
	expect_event(WAY_EV_RST_IN, 0xfffffff1u + WAY_NEAR, 1);
	end();
}

/* The connection went on while nobody had its ways. */
static void a_way_joins_in_the_midst(void **state)
{
	struct way_key in, out;
	struct way w = { .act = WAY_HOST, .id = 3, .flags = WAY_JOIN, .expect = 100 };

	(void)state;
	begin(4);
	keys(&in, &out);
	w.mate = out;
	set(&in, &w);
	IN(.flags = TCP_RST, .seq = 100);
	expect_event(WAY_EV_RST_IN, 100, 0);
	IN(.flags = TCP_ACK, .seq = 0x70000000, .len = 10);
	assert_int_equal(way_in()->expect, 0x7000000a);
	assert_int_equal(way_in()->flags, 0);
	/* Said once more, it goes on where it is; another one does not. */
	set(&in, &w);
	assert_int_equal(way_in()->expect, 0x7000000a);
	assert_int_equal(way_in()->flags, 0);
	assert_int_equal(way_in()->seen, WAY_SAW_ANY | WAY_SAW_RST);
	w.id = 4;
	set(&in, &w);
	assert_int_equal(way_in()->expect, 100);
	w.act = WAY_SEND;
	w.flags = 0;
	w.expect = 200;
	set(&in, &w);
	assert_int_equal(way_in()->expect, 200);
	w.flags = WAY_SHIFT | WAY_CLAMP;
	w.expect = 300;
	set(&in, &w);
	assert_int_equal(way_in()->expect, 300);
	w.flags = WAY_SHIFT;
	w.expect = 400;
	set(&in, &w);
	assert_int_equal(way_in()->expect, 400);
	end();
}

static void a_muted_host_is_heard_by_nobody(void **state)
{
	struct way_key in, out;
	struct way w = { .act = WAY_HOST, .id = 1 };

	(void)state;
	begin(4);
	keys(&in, &out);
	w.mate = out;
	set(&in, &w);
	w.mate = in;
	set(&out, &w);
	OUT(.flags = TCP_ACK, .seq = 1);
	w = (struct way){ .flags = WAY_MUTE | WAY_WATCH, .id = 2, .end = 40 };
	assert_int_equal(plane_amend(pl, &out, &w), 0);
	assert_int_equal(OUT(.flags = TCP_ACK | TCP_FIN, .seq = 1, .ack = 50).act, WAY_DROP);
	assert_int_equal(plane_counter(pl, WAY_N_SWALLOWED), 1);
	assert_int_equal(events[0].id, 2);
	expect_event(WAY_EV_FIN_OUT, 2, 0);
	expect_event(WAY_EV_ACKED, 50, 0);
	assert_int_equal(plane_get(pl, &out)->packets, 2);
	assert_int_equal(plane_del(pl, &out), 0);
	assert_int_equal(plane_del(pl, &out), -ENOENT);
	assert_int_equal(plane_amend(pl, &out, &w), -ENOENT);
	assert_int_equal(OUT(.flags = TCP_ACK, .seq = 1).act, WAY_HOST);
	end();
}

static void forwarding_sets_link_addresses_only(void **state)
{
	struct way_key in, out;
	struct way w = { .act = WAY_SEND,
			 .ifindex = 7,
			 .dmac = { 2, 0, 0, 0, 0, 0x55 },
			 .smac = { 2, 0, 0, 0, 0, 0x44 } };
	struct seg s = { .flags = TCP_ACK, .seq = 1, .len = 10 };
	struct plane_verdict r;
	uint8_t before[80];

	(void)state;
	begin(4);
	keys(&in, &out);
	set(&in, &w);
	memcpy(before, build(false, &s)->head, 76);
	r = plane_run(pl, PLANE_FRONT, &f.p, &v, 0);
	assert_int_equal(r.act, WAY_SEND);
	assert_int_equal(r.ifindex, 7);
	assert_memory_equal(f.buf, w.dmac, 6);
	assert_memory_equal(f.buf + 6, w.smac, 6);
	assert_memory_equal(f.buf + 12, before + 12, 64);
	assert_int_equal(plane_counter(pl, WAY_N_FORWARDED), 1);
	assert_int_equal(plane_counter(pl, WAY_N_TRANSLATED), 0);
	assert_int_equal(r.w->bytes, 62);
	s.opt = "\x08\x0b\0\0\0\0\0\0\0\0\0\0";
	s.opt_len = 12;
	build(false, &s);
	assert_int_equal(plane_run(pl, PLANE_FRONT, &f.p, &v, 0).act, WAY_DROP);
	assert_int_equal(plane_counter(pl, WAY_N_BAD_OPTIONS), 1);
	end();
}

/* The SYN of a hand-off with a header; the option's bytes can be spoilt. */
static struct plane_verdict open_syn(uint32_t seq, int spoil, uint8_t origin)
{
	uint8_t opt[36];
	struct way_mac_input in = { .seq = seq,
				    .ack = FRONT,
				    .tsecr = F_TS,
				    .key_index = 1,
				    .origin = origin,
				    .wscale = 7 };
	struct seg s = {
		.flags = TCP_SYN, .seq = seq, .ack = FRONT, .opt = (char *)opt, .opt_len = 36
	};
	struct way_key out;
	uint64_t mac;

	keys(&in.key, &out);
	mac = way_mac((const uint8_t *)"0123456789abcdef", &in);
	memcpy(opt, SYN_OPTS, 20);
	memcpy(opt + 20, "\xfe\x10\x53\x55\x01\x00\x07\x00", 8);
	opt[25] = origin;
	for (unsigned i = 0; i < 8; i++)
		opt[28 + i] = (uint8_t)(mac >> 8 * i);
	if (spoil >= 0)
		opt[20 + spoil] ^= 1;
	return run(PLANE_BACK_IN, &s);
}

static void a_header_opens_a_pair(void **state)
{
	struct plane_config c = config(2);
	struct plane_verdict r;

	(void)state;
	begin(2);
	for (int i = 4; i < 16; i++) { /* kind, length and ExID make it another option */
		assert_int_equal(open_syn(ISN, i, 3).act, WAY_DROP);
		assert_int_equal(plane_counter(pl, WAY_N_BAD_MAC), i - 3);
	}
	c.keys = 1; /* the other key alone */
	plane_configure(pl, &c);
	assert_int_equal(open_syn(ISN, -1, 3).act, WAY_DROP);
	c.keys = 2;
	plane_configure(pl, &c);
	assert_int_equal(open_syn(ISN, 2, 3).act, WAY_HOST);
	assert_int_equal(open_syn(ISN, -1, 2).act, WAY_DROP);
	assert_int_equal(plane_counter(pl, WAY_N_NOT_ANNOUNCED), 1);
	assert_int_equal(plane_count(pl), 0);
	r = open_syn(ISN, -1, 3);
	assert_int_equal(r.act, WAY_HOST);
	expect_event(WAY_EV_OPENED, 3, 0);
	assert_int_equal(plane_count(pl), 2);
	/* 203.0.113.5:8080 is where the host listens for it. */
	assert_memory_equal(f.buf + 30, "\xcb\x00\x71\x05", 4);
	assert_int_equal(load_be16(f.buf + 36), 8080);
	/* The same SYN again is a retransmission. */
	assert_int_equal(open_syn(ISN, -1, 3).act, WAY_HOST);
	assert_int_equal(n_events, 0);
	/* Another one replaces what has not begun. */
	assert_int_equal(open_syn(ISN + 7, -1, 3).act, WAY_HOST);
	expect_event(WAY_EV_OPENED, 3, 0);
	assert_int_equal(plane_count(pl), 2);
	assert_int_equal(way_in()->expect, ISN + 7);
	end();
}

static void a_full_table_opens_nothing(void **state)
{
	(void)state;
	begin(1);
	assert_int_equal(open_syn(ISN, -1, 3).act, WAY_DROP);
	assert_int_equal(plane_counter(pl, WAY_N_NO_ROOM), 1);
	assert_int_equal(plane_count(pl), 0);
	end();
}

/* The host's side of an opened pair: from 203.0.113.5:8080. */
static struct plane_verdict host_says(uint8_t flags, uint32_t seq, uint32_t ack, const char *opt)
{
	struct seg s = { .flags = flags, .seq = seq, .ack = ack, .opt = opt, .opt_len = 20 };
	struct plane_verdict r;
	struct packet *p = build(true, &s);

	memcpy(f.buf + 26, "\xcb\x00\x71\x05", 4);
	store_be16(f.buf + 34, 8080);
	frame_end(&f);
	assert_int_equal(view_parse(p, &v), R_NONE);
	r = plane_run(pl, PLANE_BACK_OUT, p, &v, 0);
	assert_true(csum_tcp_ok(p, &v) && csum_ip_ok(p, &v));
	return r;
}

static void an_open_pair_lives_and_gives_way_when_over(void **state)
{
	(void)state;
	begin(2);
	open_syn(ISN, -1, 3);
	assert_int_equal(host_says(TCP_SYN | TCP_ACK, HOST_ISN, ISN + 1, SYNACK_OPTS("\0")).act,
			 WAY_DROP);
	assert_int_equal(host_says(TCP_ACK, HOST_ISN + 1, ISN + 9, NULL).act, WAY_HOST);
	assert_memory_equal(f.buf + 26, "\xc6\x33\x64\x01", 4);
	assert_int_equal(load_be16(f.buf + 34), 80);
	assert_int_equal(v.seq, FRONT);
	n_events = 0;
	/* A good header does not end what lives: the host answers the SYN. */
	assert_int_equal(open_syn(ISN + 70, -1, 3).act, WAY_HOST);
	expect_event(WAY_EV_SYN_IN, ISN + 70, 0);
	assert_int_equal(n_events, 0);
	IN(.flags = TCP_ACK | TCP_FIN, .seq = ISN + 9, .ack = FRONT);
	open_syn(ISN + 70, -1, 3);
	host_says(TCP_ACK | TCP_FIN, HOST_ISN + 1, ISN + 10, NULL);
	n_events = 0;
	open_syn(ISN + 70, 15, 3);
	expect_event(WAY_EV_SYN_IN, ISN + 70, 0); /* a SYN like any other */
	assert_int_equal(n_events, 0);
	open_syn(ISN + 70, -1, 3);
	expect_event(WAY_EV_OPENED, 3, 0);
	assert_int_equal(way_in()->expect, ISN + 70);
	assert_true(way_in()->flags & WAY_UNLEARNT);
	end();
}

/* A reset may be anybody's, and the network may repeat the SYN: what they were for lives. */
static void the_syn_of_a_pair_opens_no_other(void **state)
{
	(void)state;
	begin(2);
	open_syn(ISN, -1, 3);
	host_says(TCP_SYN | TCP_ACK, HOST_ISN, ISN + 1, SYNACK_OPTS("\0"));
	host_says(TCP_ACK, HOST_ISN + 1, ISN + 9, NULL);
	IN(.flags = TCP_RST, .seq = ISN + 4000000);
	n_events = 0;
	open_syn(ISN, -1, 3);
	expect_event(WAY_EV_SYN_IN, ISN, 0);
	assert_int_equal(n_events, 0);
	assert_int_equal(way_in()->flags & WAY_UNLEARNT, 0);
	end();
}

static void a_guarded_origin_takes_nobody_else(void **state)
{
	struct plane_config c = config(4);

	(void)state;
	begin(4);
	assert_int_equal(IN(.flags = TCP_SYN).act, WAY_HOST);
	c.origin[3].flags = WAY_ORIGIN_GUARD;
	plane_configure(pl, &c);
	assert_int_equal(IN(.flags = TCP_SYN).act, WAY_DROP);
	assert_int_equal(IN(.flags = TCP_ACK).act, WAY_DROP);
	assert_int_equal(plane_counter(pl, WAY_N_NOT_ANNOUNCED), 2);
	end();
}

/* One client that resets its connection for ever is told of some times, not for ever. */
static void repeats_have_an_end(void **state)
{
	struct way_key in, out;
	unsigned told = 0;

	(void)state;
	begin(2);
	keys(&in, &out);
	set(&in, &(struct way){ .act = WAY_HOST, .expect = 5 });
	for (unsigned i = 0; i < 1000; i++) {
		n_events = 0;
		IN(.flags = TCP_RST, .seq = 5);
		IN(.flags = TCP_SYN, .seq = 9);
		told += n_events;
	}
	assert_int_equal(told, 2 + WAY_REPEATS);
	end();
}

static void a_set_keeps_what_was_seen(void **state)
{
	struct way_key in, out, k;
	struct way w = { .act = WAY_HOST }, got;
	uint32_t cursor = 0;

	(void)state;
	begin(2);
	keys(&in, &out);
	set(&in, &w);
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 5);
	w.id = 8;
	set(&in, &w);
	assert_int_equal(plane_get(pl, &in)->seen, WAY_SAW_ANY | WAY_SAW_FIN);
	assert_int_equal(plane_get(pl, &in)->fin_end, 6);
	assert_int_equal(plane_get(pl, &in)->last_ns, SUT_MS(5));
	set(&out, &w);
	k = in;
	k.sport = 1;
	assert_int_equal(plane_set(pl, &k, &w, 0), -ENOSPC);
	assert_true(plane_list(pl, &cursor, &k, &got));
	assert_memory_equal(&k, &in, sizeof k);
	assert_int_equal(got.id, 8);
	assert_true(plane_list(pl, &cursor, &k, &got));
	assert_false(plane_list(pl, &cursor, &k, &got));
	plane_del(pl, &in);
	assert_null(plane_get(pl, &in));
	assert_non_null(plane_get(pl, &out));
	end();
}

/* The client's port comes again: what the connection before it did is not said of it. */
static void a_set_that_begins_has_seen_nothing(void **state)
{
	struct way_key in, out;

	(void)state;
	begin(2);
	announce();
	keys(&in, &out);
	set(&in, &(struct way){ .act = WAY_HOST, .mate = out });
	set(&out, &(struct way){ .act = WAY_HOST, .mate = in });
	IN(.flags = TCP_ACK | TCP_FIN, .seq = 5);
	OUT(.flags = TCP_ACK | TCP_FIN, .seq = 7);
	OUT(.flags = TCP_RST, .seq = 8);
	n_events = 0;
	announce();
	assert_int_equal(plane_get(pl, &in)->seen | plane_get(pl, &out)->seen, 0);
	assert_int_equal(plane_get(pl, &in)->packets + plane_get(pl, &out)->packets, 0);
	IN(.flags = TCP_SYN, .seq = ISN, .opt = SYN_OPTS, .opt_len = 20);
	OUT(.flags = TCP_RST | TCP_ACK, .ack = ISN + 1);
	expect_event(WAY_EV_REFUSED, 0, 0);
	assert_int_equal(n_events, 0);
	end();
}

/* Any packets past any ways: checksums hold or stay wrong by as much, the view stays true, nothing is lost from the table. */
static void nothing_that_comes_breaks_it(void **state)
{
	uint64_t rng = 5;

	(void)state;
	begin(16);
	for (unsigned round = 0; round < 100000; round++) {
		uint32_t r = frame_random(&rng), n = frame_random(&rng);
		struct seg s = { .flags = (uint8_t)(r & 0x17 ? r & 0x17 : 16),
				 .seq = ISN + (n & 3),
				 .ack = r & 0x100 ? ISN + 1 : FRONT + (n >> 4 & 15),
				 .len = n >> 8 & 7,
				 .tsval = r };

		if (r & 0x200) {
			s.opt = r & 0x400 ? SYN_OPTS : SYNACK_OPTS("\1");
			s.opt_len = 20;
		}
		n_events = 0;
		if ((r >> 20 & 63) == 0)
			announce();
		if ((r >> 20 & 63) == 1)
			open_syn(ISN + (n & 1), -1, 3);
		run((enum plane_hook)((r >> 12) % 3), &s);
		assert_true(plane_count(pl) <= 16);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_syn_ack_teaches_both_directions),
		cmocka_unit_test(a_repeated_syn_ack_raises_the_bound),
		cmocka_unit_test(a_bare_ack_out_of_syn_received_shows_nothing),
		cmocka_unit_test(an_option_that_is_missing_mutes),
		cmocka_unit_test(a_closed_port_is_told_of_once_and_swallowed),
		cmocka_unit_test(an_older_connection_answers_nobody),
		cmocka_unit_test(a_reset_after_that_is_the_clients),
		cmocka_unit_test(what_is_not_expected_waits),
		cmocka_unit_test(what_is_far_off_ends_nothing),
		cmocka_unit_test(a_way_joins_in_the_midst),
		cmocka_unit_test(ends_are_told_of_once),
		cmocka_unit_test(a_muted_host_is_heard_by_nobody),
		cmocka_unit_test(forwarding_sets_link_addresses_only),
		cmocka_unit_test(a_header_opens_a_pair),
		cmocka_unit_test(a_full_table_opens_nothing),
		cmocka_unit_test(an_open_pair_lives_and_gives_way_when_over),
		cmocka_unit_test(the_syn_of_a_pair_opens_no_other),
		cmocka_unit_test(a_guarded_origin_takes_nobody_else),
		cmocka_unit_test(repeats_have_an_end),
		cmocka_unit_test(a_set_keeps_what_was_seen),
		cmocka_unit_test(a_set_that_begins_has_seen_nothing),
		cmocka_unit_test(nothing_that_comes_breaks_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
