/* SPDX-License-Identifier: MIT */
#include "stack_world.h"

#include <errno.h>

#include "base/compiler.h"

/* A world with one connection out of a listener; the peer's next byte is 1000. */
struct one {
	struct world *w;
	conn_id l, id;
	struct says x; /* an ACK of the peer's that is in order */
	struct conn *c;
	uint32_t iss;
};

static struct one one_like(struct world *w, struct says x)
{
	struct one o = { .w = w };
	struct opened p;

	if (w->s == NULL)
		world_start(w);
	o.l = world_listen(w, 4);
	p = world_open(w, o.l, x);
	o.id = p.id;
	o.x = p.x;
	o.iss = p.iss;
	o.c = world_conn(w, p.id);
	return o;
}

static struct one one_new(void)
{
	return one_like(world_new(), (struct says){ 0 });
}

static struct one one_with_timestamps(uint32_t tsval)
{
	return one_like(world_new(), (struct says){ .ts = true, .tsval = tsval });
}

static void one_free(struct one *o)
{
	world_free(o->w);
}

/* The ACK of o.x, changed. */
static struct says with(struct says x, uint8_t flags, uint32_t seq, uint32_t len)
{
	x.flags = flags;
	x.seq = seq;
	x.len = len;
	return x;
}

static uint32_t events_of(struct one *o)
{
	struct conn_ready r;
	uint32_t events = 0;

	while (stack_next(o->w->s, &r))
		events |= r.id == o->id ? r.events : 0;
	return events;
}

static int one_error(struct one *o)
{
	uint8_t b;

	return stack_read(o->w->s, o->id, &b, 1, o->w->now);
}

static void one_shutdown(struct one *o)
{
	assert_int_equal(stack_shutdown(o->w->s, o->id, o->w->now), 0);
	world_flush(o->w);
	assert_int_equal(world_expect(o->w, TCP_FIN | TCP_ACK)->seq, o->iss + 1);
}

/* --- the stack as a whole */

static void impossible(const struct stack_config *c)
{
	char err[96] = "";

	assert_int_equal(stack_need(c, err), 0);
	assert_true(strlen(err) > 10);
}

#define REFUSES(field, value)                   \
	do {                                    \
		struct stack_config x = w->cfg; \
		x.field = (value);              \
		impossible(&x);                 \
	} while (0)

static void limits(void **state)
{
	struct world *w = world_new();
	char err[96];

	(void)state;
	assert_true(stack_need(&w->cfg, err) > 0);
	REFUSES(nets, 0);
	REFUSES(nets, STACK_NETS + 1);
	REFUSES(net[0].prefix, 129);
	REFUSES(net[0].prefix, 95);
	REFUSES(net[0].ip[12], 224);
	REFUSES(net[0].ip[12], 0);
	REFUSES(net[1].ip[0], 0xff);
	REFUSES(mtu, 1279);
	REFUSES(mtu, 65536);
	REFUSES(max_conns, 0);
	REFUSES(max_conns, (1u << 24) + 1);
	REFUSES(max_listeners, 0);
	REFUSES(max_half_open, w->cfg.max_conns + 1);
	REFUSES(cells, 15);
	REFUSES(records, (1u << 26) + 1);
	REFUSES(sndbuf, 2047);
	REFUSES(rcvbuf, 2047);
	REFUSES(rcvbuf, (1u << 30) + 1);
	REFUSES(offload, STACK_OFFLOAD_TSO);
	REFUSES(cc, 2);
	REFUSES(msl, 0);
	w->cfg.offload = STACK_OFFLOAD_TSO | STACK_OFFLOAD_CSUM;
	REFUSES(gso_max, 65535);
	REFUSES(gso_max, 100);
	assert_true(stack_need(&w->cfg, err) > 0);
	w->cfg.nets = 1;
	w->cfg.mtu = 576;
	assert_true(stack_need(&w->cfg, err) > 0);
	REFUSES(mtu, 575);
	free(w);
}

/* MUST-57, MUST-63, MUST-3. */
static void addresses(void **state)
{
	static const struct {
		uint32_t src, dst;
		enum reason why;
	} rows[] = {
		{ 0, 0xc6336402, R_NOT_OURS },
		{ 0, 0xc63364ff, R_BROADCAST }, /* of our network */
		{ 0, 0xc6336400, R_BROADCAST },
		{ 0, 0xffffffff, R_BROADCAST },
		{ 0, 0xe0000001, R_BROADCAST },
		{ 0xe0000001, 0, R_BAD_SOURCE },
		{ 0xffffffff, 0, R_BAD_SOURCE },
		{ 0xc63364ff, 0, R_BAD_SOURCE },
		{ 0x7f000001, 0, R_BAD_SOURCE },
		{ 0x00000001, 0, R_BAD_SOURCE },
		{ WORLD_HERE, 0, R_BAD_SOURCE }, /* ourselves */
	};
	struct world *w = world_new();
	struct says x = { .flags = TCP_SYN };

	(void)state;
	world_start(w);
	world_listen(w, 4);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		x.src = rows[i].src;
		x.dst = rows[i].dst;
		assert_int_equal(world_says(w, x), rows[i].why);
	}
	x.src = x.dst = 0;
	x.bad_csum = true;
	assert_int_equal(world_says(w, x), R_TCP_CSUM);
	world_quiet(w);
	assert_int_equal(w->s->used_conns, 0);
	x.bad_csum = false;
	assert_int_equal(world_says(w, x), R_NONE);
	world_expect(w, TCP_SYN | TCP_ACK);
	x.v6 = true;
	assert_int_equal(world_says(w, x), R_NONE);
	assert_int_equal(world_expect(w, TCP_SYN | TCP_ACK)->mss, 1440);
	/* An IPv4 address in an IPv6 packet is none: it would be one of a connection over IPv4. */
	x.mapped = 24;
	assert_int_equal(world_says(w, x), R_NOT_OURS);
	x.mapped = 8;
	assert_int_equal(world_says(w, x), R_BAD_SOURCE);
	world_quiet(w);
	world_free(w);
}

/* 3.10.7.1 */
static void nobody(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	unsigned n;

	(void)state;
	world_start(w);
	assert_int_equal(world_says(w, (struct says){ .flags = TCP_ACK, .ack = 5 }), R_NO_FLOW);
	t = world_expect(w, TCP_RST);
	assert_true(t->seq == 5 && t->sport == 80 && t->dport == 40000);
	world_says(w, (struct says){ .flags = TCP_SYN, .seq = 9, .len = 10 });
	t = world_expect(w, TCP_RST | TCP_ACK);
	assert_true(t->seq == 0 && t->ack == 20);
	world_says(w, (struct says){ .flags = TCP_FIN, .seq = 9 });
	assert_int_equal(world_expect(w, TCP_RST | TCP_ACK)->ack, 10);
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 9 });
	world_says(w, (struct says){ .flags = TCP_RST | TCP_ACK, .seq = 9 });
	world_quiet(w);
	for (unsigned i = 0; i < 3000; i++)
		world_says(w, (struct says){ .flags = TCP_ACK, .ack = i });
	n = w->n - w->taken;
	assert_in_range(n, 900, 1000);
	world_passes(w, 1000);
	world_says(w, (struct says){ .flags = TCP_ACK, .ack = 5 });
	assert_int_equal(w->n - w->taken, n + 1);
	world_free(w);
}

/* --- first: the sequence number */

/* What overlaps is taken where it is new. */
static void trimmed_left(void **state)
{
	struct one o = one_new();
	uint8_t b[300];

	(void)state;
	world_says(o.w, with(o.x, TCP_ACK, 1000, 100));
	world_says(o.w, with(o.x, TCP_ACK, 1050, 100));
	assert_int_equal(o.c->rcv_nxt, 1150);
	world_says(o.w, with(o.x, TCP_ACK | TCP_FIN, 1100, 60));
	assert_int_equal(o.c->rcv_nxt, 1161);
	assert_int_equal(stack_read(o.w->s, o.id, b, 300, o.w->now), 160);
	for (unsigned i = 0; i < 50; i++) /* the bytes of each segment begin anew */
		assert_int_equal(b[100 + i], (uint8_t)((50 + i) * 7 + ((50 + i) >> 5) + 1));
	one_free(&o);
}

/* What is beyond the window is not, nor a FIN behind it; a FIN at its edge takes no room. */
static void trimmed_right(void **state)
{
	struct world *w = world_new();
	struct one o;
	uint32_t wnd;

	(void)state;
	w->cfg.rcvbuf = 3000;
	o = one_like(w, (struct says){ 0 });
	wnd = o.c->rcv_adv - o.c->rcv_nxt;
	assert_int_equal(wnd, 3000);
	world_says(w, with(o.x, TCP_ACK | TCP_FIN, 1000, 3500));
	assert_int_equal(o.c->rcv_nxt, 4000);
	assert_int_equal(o.c->state, ST_ESTABLISHED);
	assert_int_equal(world_expect(w, TCP_ACK)->ack, 4000);
	world_says(w, with(o.x, TCP_ACK, 4001, 100)); /* wholly beyond */
	assert_int_equal(world_expect(w, TCP_ACK)->ack, 4000);
	world_says(w, with(o.x, TCP_ACK | TCP_FIN, 4000, 0));
	assert_int_equal(o.c->state, ST_CLOSE_WAIT);
	assert_int_equal(world_expect(w, TCP_ACK)->ack, 4001);
	world_quiet(w);
	one_free(&o);
}

/* MUST-66: ACK, URG and RST of a segment that a closed window shuts out. */
static void closed_window(void **state)
{
	struct world *w = world_new();
	struct one o;
	struct says x;

	(void)state;
	w->cfg.rcvbuf = 3000;
	o = one_like(w, (struct says){ 0 });
	world_says(w, with(o.x, TCP_ACK, 1000, 3000));
	world_expect(w, TCP_ACK);
	assert_int_equal(stack_write(w->s, o.id, "abc", 3, w->now), 3);
	world_flush(w);
	world_expect(w, TCP_ACK | TCP_PSH);
	x = with(o.x, TCP_ACK | TCP_URG, 4000, 10);
	x.ack += 3;
	x.urg = 5;
	(void)events_of(&o);
	world_says(w, x);
	assert_int_equal(o.c->snd_una, x.ack);
	assert_int_equal(o.c->rcv_nxt, 4000);
	assert_true(events_of(&o) & CONN_URGENT);
	assert_int_equal(world_expect(w, TCP_ACK)->window, 0);
	/* It is no ACK of nothing either: those of a sender count for loss. */
	assert_int_equal(o.c->rec.dupacks, 0);
	world_says(w, with(o.x, TCP_RST, 4000, 0));
	assert_int_equal(o.c->state, ST_CLOSED);
	one_free(&o);
}

/* What is old is answered: with data always, without it ever more rarely, keepalives twice a second. */
static void old_segments(void **state)
{
	struct one o = one_new();
	unsigned n;

	(void)state;
	world_says(o.w, with(o.x, TCP_ACK, 1000, 100));
	world_passes(o.w, 600);
	o.w->taken = o.w->n;
	for (unsigned i = 0; i < 20; i++)
		world_says(o.w, with(o.x, TCP_ACK, 1000, 100));
	assert_int_equal(o.w->n - o.w->taken, 20);
	o.w->taken = o.w->n;
	for (unsigned i = 0; i < 20; i++) { /* keepalives, one a second */
		world_says(o.w, with(o.x, TCP_ACK, 1099, 0));
		world_passes(o.w, 1000);
	}
	assert_int_equal(o.w->n - o.w->taken, 20);
	o.w->taken = o.w->n;
	for (unsigned i = 0; i < 100; i++)
		world_says(o.w, with(o.x, TCP_ACK, 1099, 0));
	assert_int_equal(o.w->n - o.w->taken, 1);
	o.w->taken = o.w->n;
	for (unsigned i = 0; i < 600; i++) { /* neither: ten minutes of one a second */
		world_says(o.w, with(o.x, TCP_ACK, 500, 0));
		world_passes(o.w, 1000);
	}
	n = o.w->n - o.w->taken;
	assert_in_range(n, 8, 20);
	assert_true(world_count(o.w, STACK_OLD_ACKS_MUTED) > 500);
	/* Something good came: as at the beginning. */
	world_says(o.w, with(o.x, TCP_ACK, 1100, 0));
	world_says(o.w, with(o.x, TCP_ACK, 500, 0));
	assert_int_equal(o.w->n - o.w->taken, n + 1);
	one_free(&o);
}

/* RFC 7323, 5: a timestamp of the past is answered and dropped; a RST is not judged by its; none at all is dropped. */
static void paws(void **state)
{
	struct one o = one_with_timestamps(1000);
	struct says x = with(o.x, TCP_ACK, 1000, 10);

	(void)state;
	x.tsval = 999;
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1000);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1000);
	assert_int_equal(world_count(o.w, STACK_PAWS), 1);
	x.ts = false;
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1000);
	world_quiet(o.w);
	x.ts = true;
	x.tsval = 1000u + 0x7fffffffu; /* as far ahead as can be */
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1010);
	assert_int_equal(o.c->ts_recent, x.tsval);
	x = with(o.x, TCP_RST, 1010, 0);
	x.tsval = 1000; /* long ago */
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_CLOSED);
	one_free(&o);
}

/* RFC 7323, 5.5: after 24 days a timestamp says nothing. */
static void paws_after_24_days(void **state)
{
	struct one o = one_with_timestamps(1000);
	struct says x = with(o.x, TCP_ACK, 1000, 10);

	(void)state;
	x.tsval = 900;
	o.w->now += SUT_MS(23 * 86400000ull);
	stack_expire(o.w->s, o.w->now);
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1000);
	o.w->now += SUT_MS(2 * 86400000ull);
	stack_expire(o.w->s, o.w->now);
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1010);
	assert_int_equal(o.c->ts_recent, 900);
	one_free(&o);
}

/* RFC 7323, 4.3: what is echoed is the timestamp of the first segment that the next ACK covers. */
static void echoed_timestamp(void **state)
{
	struct one o = one_with_timestamps(1000);
	struct says x = with(o.x, TCP_ACK, 1000, 10);

	(void)state;
	x.tsval = 1010;
	world_says(o.w, x);
	x.seq = 1010;
	x.tsval = 1020; /* comes while the ACK is delayed */
	world_says(o.w, x);
	world_passes(o.w, 200);
	assert_int_equal(world_expect(o.w, TCP_ACK)->tsecr, 1010);
	x.seq = 1030; /* behind a gap */
	x.tsval = 1030;
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_ACK)->tsecr, 1010);
	x.seq = 1020;
	x.tsval = 1025; /* fills it */
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_ACK)->tsecr, 1025);
	/* A bad ACK teaches nothing. */
	x.seq = 1040;
	x.len = 0;
	x.tsval = 5000;
	x.ack += 100;
	world_says(o.w, x);
	assert_int_equal(o.c->ts_recent, 1025);
	one_free(&o);
}

/* A copy of what was acknowledged: the ACK was lost; what is echoed then is the timestamp of the copy.  Not so for what is from elsewhere. */
static void echoed_again(void **state)
{
	struct one o = one_with_timestamps(1000);
	struct says x = with(o.x, TCP_ACK, 1000, 10), y;

	(void)state;
	x.tsval = 1010;
	world_says(o.w, x);
	x.seq = 1010;
	world_says(o.w, x);
	world_passes(o.w, 500);
	assert_int_equal(world_expect(o.w, TCP_ACK)->tsecr, 1010);
	x.seq = 1000;
	x.tsval = 1500;
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_ACK)->tsecr, 1500);
	y = x;
	y.tsval = 9000;
	y.ack += 100;
	world_says(o.w, y);
	y = x;
	y.tsval = 9000;
	y.seq -= 1000000;
	world_says(o.w, y);
	y = x;
	y.tsval = 9000;
	y.seq = 1019;
	y.len = 0; /* a keepalive */
	world_says(o.w, y);
	assert_int_equal(o.c->ts_recent, 1500);
	one_free(&o);
}

/* --- second: RST */

static void resets(void **state)
{
	struct one o = one_new();

	(void)state;
	world_says(o.w, with(o.x, TCP_RST, 999, 0));
	world_says(o.w,
		   with(o.x, TCP_RST, 1000 + 70000, 0)); /* rcvbuf's window is 65535 at first */
	world_quiet(o.w);
	world_says(o.w, with(o.x, TCP_RST, 1001, 0)); /* RFC 5961: in the window, so it is asked */
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1000);
	assert_int_equal(world_count(o.w, STACK_CHALLENGE_ACK), 1);
	assert_int_equal(o.c->state, ST_ESTABLISHED);
	(void)events_of(&o);
	world_says(o.w, with(o.x, TCP_RST, 1000, 20)); /* SHLD-2 */
	assert_int_equal(o.c->state, ST_CLOSED);
	assert_int_equal(events_of(&o), CONN_ERROR);
	assert_int_equal(one_error(&o), -ECONNRESET);
	assert_int_equal(world_count(o.w, STACK_RESET_IN), 1);
	/* The quad is free, though the application still has the handle. */
	world_says(o.w, (struct says){ .flags = TCP_SYN, .seq = 5 });
	world_expect(o.w, TCP_SYN | TCP_ACK);
	assert_int_equal(stack_close(o.w->s, o.id, o.w->now), 0);
	one_free(&o);
}

/* --- fourth: SYN */

static void challenges(void **state)
{
	static const uint32_t seqs[] = { 1000, 999, 1500, 0x80000000 };
	struct one o = one_new();

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(seqs); i++) {
		world_says(o.w, with(o.x, TCP_SYN, seqs[i], 0));
		assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1000);
	}
	world_says(o.w,
		   with(o.x, TCP_SYN | TCP_ACK, 999, 0)); /* the SYN-ACK again: our ACK was lost */
	world_expect(o.w, TCP_ACK);
	for (unsigned i = 0; i < 100; i++)
		world_says(o.w, with(o.x, TCP_SYN, 1000, 0));
	assert_int_equal(world_count(o.w, STACK_CHALLENGE_ACK), 10);
	assert_int_equal(world_count(o.w, STACK_CHALLENGE_MUTED), 95);
	assert_int_equal(o.c->state, ST_ESTABLISHED);
	world_passes(o.w, 5000);
	world_says(o.w, with(o.x, TCP_SYN, 1000, 0));
	assert_int_equal(world_count(o.w, STACK_CHALLENGE_ACK), 11);
	one_free(&o);
}

/* --- fifth: ACK */

/* MAY-12 (RFC 5961, 5): an ACK of the future, or of long ago, comes from elsewhere. */
static void ack_range(void **state)
{
	struct one o = one_new();
	struct says x = with(o.x, TCP_ACK, 1000, 10);

	(void)state;
	x.ack = o.iss + 2;
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1000);
	world_expect(o.w, TCP_ACK);
	x.ack = o.iss + 1 - 65536;
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1000);
	world_expect(o.w, TCP_ACK);
	x.ack = o.iss + 1 - 65535;
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1010);
	assert_int_equal(o.c->snd_una, o.iss + 1);
	x = with(o.x, 0, 1010, 10); /* no ACK at all */
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1010);
	one_free(&o);
}

/* 3.10.7.4: the window of the newest segment, by seq and then by ack; a peer may draw it back (MUST-34). */
static void windows(void **state)
{
	struct one o = one_new();
	struct says x = with(o.x, TCP_ACK, 1000, 10);

	(void)state;
	x.wnd = 5000;
	world_says(o.w, x);
	assert_int_equal(o.c->snd_wnd, 5000);
	x = with(o.x, TCP_ACK, 1020, 5); /* behind a gap */
	x.wnd = 6000;
	world_says(o.w, x);
	assert_int_equal(o.c->snd_wnd, 6000);
	x = with(o.x, TCP_ACK, 1010, 10); /* begins before the one that told last */
	x.wnd = 7000;
	world_says(o.w, x);
	assert_int_equal(o.c->rcv_nxt, 1025);
	assert_int_equal(o.c->snd_wnd, 6000);
	assert_int_equal(stack_write(o.w->s, o.id, "0123456789", 10, o.w->now), 10);
	world_flush(o.w);
	x = with(o.x, TCP_ACK, 1025, 0);
	x.wnd = 4;
	world_says(o.w, x);
	assert_int_equal(o.c->snd_wnd, 4);
	assert_int_equal(o.c->snd_wnd_max, 65535);
	x.ack += 10; /* what was in flight beyond it is taken all the same */
	world_says(o.w, x);
	assert_int_equal(o.c->snd_una, o.iss + 11);
	x.ack -= 5; /* an ACK that was overtaken */
	x.wnd = 9000;
	world_says(o.w, x);
	assert_int_equal(o.c->snd_wnd, 4);
	one_free(&o);
}

/* --- sixth: URG */

static void urgent(void **state)
{
	struct one o = one_new();
	struct says x = with(o.x, TCP_ACK | TCP_URG, 1000, 10);
	int64_t left;
	uint8_t b[20];

	(void)state;
	x.urg = 4;
	(void)events_of(&o);
	world_says(o.w, x);
	assert_int_equal(events_of(&o), CONN_READABLE | CONN_URGENT);
	assert_int_equal(stack_get(o.w->s, o.id, CONNOPT_URGENT, &left), 0);
	assert_int_equal(left, 4); /* MUST-62: up to the byte behind */
	x.seq = 1010;
	x.urg = 60000; /* MUST-31: any length, long before the data is there */
	world_says(o.w, x);
	assert_int_equal(events_of(&o) & CONN_URGENT, CONN_URGENT);
	assert_int_equal(stack_get(o.w->s, o.id, CONNOPT_URGENT, &left), 0);
	assert_int_equal(left, 60010);
	x.seq = 1020;
	x.urg = 10; /* an older mark changes nothing */
	world_says(o.w, x);
	assert_int_equal(events_of(&o) & CONN_URGENT, 0);
	assert_int_equal(stack_read(o.w->s, o.id, b, 20, o.w->now), 20);
	assert_int_equal(stack_get(o.w->s, o.id, CONNOPT_URGENT, &left), 0);
	assert_int_equal(left, 59990);
	one_free(&o);
}

static uint32_t take_all(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	(void)ctx, (void)user, (void)bytes;
	return len;
}

/* What is taken straight from the segment passes the mark too. */
static void urgent_taken(void **state)
{
	struct one o = one_new();
	struct says x = with(o.x, TCP_ACK | TCP_URG, 1000, 10);

	(void)state;
	assert_int_equal(stack_set_take(o.w->s, o.id, take_all, NULL), 0);
	x.urg = 15;
	world_says(o.w, x);
	assert_true(o.c->flags & CF_URG_IN);
	world_says(o.w, with(o.x, TCP_ACK, 1010, 10));
	assert_false(o.c->flags & CF_URG_IN);
	one_free(&o);
}

/* --- seventh: text */

/* MUST-58, 59: one ACK for a batch, but not more than 64 KB late; behind a gap at once. */
static void acks(void **state)
{
	struct one o = one_new();
	struct says x;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		x = with(o.x, TCP_ACK, 1000 + i * 1460, 1460);
		world_hears(o.w, &x);
	}
	world_quiet(o.w);
	world_flush(o.w);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1000 + 20 * 1460);
	world_quiet(o.w);
	x = with(o.x, TCP_ACK, 1000 + 21 * 1460, 1460); /* behind a gap */
	world_hears(o.w, &x);
	world_expect(o.w, TCP_ACK);
	x.seq += 1460;
	world_hears(o.w, &x);
	world_expect(o.w, TCP_ACK);
	x.seq = 1000 + 20 * 1460; /* fills it */
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1000 + 23 * 1460);
	x.seq = 1000 + 23 * 1460;
	x.len = 10; /* SHLD-18: waits */
	world_says(o.w, x);
	world_quiet(o.w);
	world_passes(o.w, 500);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, x.seq + 10);
	one_free(&o);
}

static void ack_every_64k(void **state)
{
	struct world *w = world_new();
	struct one o;
	struct says x;
	uint8_t opt[4] = { 1, 3, 3, 4 };
	unsigned n;

	(void)state;
	w->cfg.rcvbuf = 1 << 20;
	o = one_like(w, (struct says){ .opt = opt, .opt_len = 4 });
	world_says(w, with(o.x, TCP_ACK, 1000, 100));
	world_passes(w, 100); /* announces the scaled window */
	w->taken = w->n;
	for (unsigned i = 0; i < 100; i++) {
		x = with(o.x, TCP_ACK, 1100 + i * 1460, 1460);
		world_hears(w, &x);
	}
	n = w->n - w->taken;
	assert_int_equal(n, 2); /* 146000 bytes */
	world_flush(w);
	assert_int_equal(w->n - w->taken, 3);
	one_free(&o);
}

/* SHLD-3: data that nobody will read. */
static void data_after_close(void **state)
{
	struct one o = one_new();
	struct says x;

	(void)state;
	assert_int_equal(stack_close(o.w->s, o.id, o.w->now), 0);
	world_flush(o.w);
	world_expect(o.w, TCP_FIN | TCP_ACK);
	x = with(o.x, TCP_ACK, 1000, 0);
	x.ack++;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_FIN_WAIT_2);
	x.len = 5;
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_RST | TCP_ACK)->seq, o.iss + 2);
	assert_int_equal(o.w->s->used_conns, 0);
	one_free(&o);
}

/* --- eighth: FIN */

static void passive_close(void **state)
{
	struct one o = one_new();
	struct says x = with(o.x, TCP_ACK | TCP_FIN, 1010, 10);
	uint8_t b[30];

	(void)state;
	world_says(o.w, x); /* behind a gap: remembered */
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1000);
	assert_int_equal(o.c->state, ST_ESTABLISHED);
	(void)events_of(&o);
	world_says(o.w, with(o.x, TCP_ACK, 1000, 10));
	assert_int_equal(o.c->state, ST_CLOSE_WAIT);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1021);
	assert_int_equal(events_of(&o), CONN_READABLE);
	world_says(o.w, x); /* again: our ACK was lost */
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1021);
	assert_int_equal(stack_read(o.w->s, o.id, b, 30, o.w->now), 20);
	assert_int_equal(stack_read(o.w->s, o.id, b, 30, o.w->now), 0);
	world_says(o.w, with(o.x, TCP_ACK, 1021, 10)); /* what comes behind a FIN is nothing */
	assert_int_equal(o.c->rcv_nxt, 1021);
	o.w->taken = o.w->n;
	one_shutdown(&o);
	assert_int_equal(o.c->state, ST_LAST_ACK);
	x = with(o.x, TCP_ACK, 1021, 0);
	x.ack++;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_CLOSED);
	assert_int_equal(events_of(&o), CONN_CLOSED);
	assert_int_equal(world_count(o.w, STACK_CLOSED), 1);
	assert_int_equal(stack_close(o.w->s, o.id, o.w->now), 0);
	assert_int_equal(o.w->s->used_conns, 0);
	one_free(&o);
}

static void active_close(void **state)
{
	struct one o = one_new();
	struct says x;

	(void)state;
	one_shutdown(&o);
	assert_int_equal(o.c->state, ST_FIN_WAIT_1);
	world_says(o.w, with(o.x, TCP_ACK, 1000, 10)); /* half-closed: data still comes */
	assert_int_equal(o.c->recvq.unread, 10);
	x = with(o.x, TCP_ACK, 1010, 0);
	x.ack++;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_FIN_WAIT_2);
	x.flags |= TCP_FIN;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	assert_true(events_of(&o) & CONN_CLOSED);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1011);
	one_free(&o);
}

/* 3.6, figure 13: both FINs cross. */
static void simultaneous_close(void **state)
{
	struct one o = one_new();
	struct says x;

	(void)state;
	one_shutdown(&o);
	world_says(o.w, with(o.x, TCP_ACK | TCP_FIN, 1000, 0));
	assert_int_equal(o.c->state, ST_CLOSING);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1001);
	x = with(o.x, TCP_ACK | TCP_FIN, 1000,
		 0); /* the ACK was lost, and comes with the FIN again */
	x.ack++;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1001);
	one_free(&o);
}

/* FIN and the ACK of ours at once. */
static void fin_with_ack(void **state)
{
	struct one o = one_new();
	struct says x;

	(void)state;
	one_shutdown(&o);
	x = with(o.x, TCP_ACK | TCP_FIN, 1000, 0);
	x.ack++;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	one_free(&o);
}

/* --- TIME-WAIT */

/* In TIME-WAIT; the peer's FIN was 1000. */
static struct one waiting(struct one o)
{
	struct says x;

	one_shutdown(&o);
	x = with(o.x, TCP_ACK | TCP_FIN, 1000, 0);
	x.ack++;
	world_says(o.w, x);
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	assert_int_equal(stack_close(o.w->s, o.id, o.w->now), 0);
	o.w->taken = o.w->n;
	o.x = with(x, TCP_ACK, 1001, 0);
	return o;
}

/* MUST-13: 2 MSL, and anew from each FIN; RFC 1337: a RST does not end it. */
static void time_wait(void **state)
{
	struct one o = waiting(one_new());

	(void)state;
	world_says(o.w, with(o.x, TCP_RST, 1001, 0));
	world_passes(o.w, 59000);
	assert_int_equal(o.w->s->used_conns, 1);
	world_says(o.w, with(o.x, TCP_ACK | TCP_FIN, 1000, 0));
	assert_int_equal(world_expect(o.w, TCP_ACK)->ack, 1001);
	world_passes(o.w, 59000);
	assert_int_equal(o.w->s->used_conns, 1);
	assert_int_equal(o.w->s->time_wait, 1);
	world_passes(o.w, 2000);
	assert_int_equal(o.w->s->used_conns, 0);
	assert_int_equal(o.w->s->time_wait, 0);
	one_free(&o);
}

/* Where all places are taken by TIME-WAIT, the oldest gives way; who is open, or still held, does not. */
static void time_wait_cut(void **state)
{
	struct world *w = world_new();
	struct one o, kept;

	(void)state;
	w->cfg.max_conns = 3;
	w->cfg.max_half_open = 3;
	kept = one_like(w, (struct says){ .port = 1 });
	for (uint16_t i = 2; i <= 6; i++) {
		assert_int_equal(stack_close(w->s, kept.l, w->now), 0);
		o = one_like(w, (struct says){ .port = i });
		kept.l = o.l;
		(void)waiting(o);
		assert_int_equal(w->s->used_conns, i < 3 ? i : 3);
	}
	assert_int_equal(world_count(w, STACK_TIME_WAIT_CUT), 3);
	assert_int_equal(kept.c->state, ST_ESTABLISHED);
	assert_int_equal(conn_at(w->s, w->s->tw_first - 1)->quad.rport, 5);
	assert_int_equal(conn_at(w->s, w->s->tw_last - 1)->quad.rport, 6);
	world_free(w);
}

/* MAY-2: by its number, the ISN above all that was used. */
static void reopened_by_number(void **state)
{
	struct one o = one_new();
	uint32_t top;

	(void)state;
	/* As after gigabytes: the clock of ISNs lags. */
	o.c->snd_nxt += 0x30000000;
	o.c->snd_una += 0x30000000;
	o.c->iss += 0x30000000;
	o.x.ack += 0x30000000;
	o.iss += 0x30000000;
	o = waiting(o);
	top = o.iss + 2;
	world_says(o.w, (struct says){ .flags = TCP_SYN, .seq = 1001 }); /* not above */
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	world_expect(o.w, TCP_ACK);
	world_says(o.w, (struct says){ .flags = TCP_SYN, .seq = 1002 });
	assert_true(after(world_expect(o.w, TCP_SYN | TCP_ACK)->seq, top));
	assert_int_equal(o.w->s->time_wait, 0);
	assert_int_equal(o.w->s->used_conns, 1);
	one_free(&o);
}

/* RFC 6191: by its timestamp, whatever its number. */
static void reopened_by_timestamp(void **state)
{
	struct one o = waiting(one_with_timestamps(1000));
	struct says syn = { .flags = TCP_SYN, .seq = 77, .ts = true, .tsval = 1000 };

	(void)state;
	world_says(o.w, syn);
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	syn.tsval = 999;
	syn.seq = 5000;
	world_says(o.w, syn);
	assert_int_equal(o.c->state, ST_TIME_WAIT);
	o.w->taken = o.w->n;
	syn.tsval = 1001;
	syn.seq = 77;
	world_says(o.w, syn);
	world_expect(o.w, TCP_SYN | TCP_ACK);
	assert_int_equal(o.w->s->time_wait, 0);
	one_free(&o);
}

/* Nobody listens any more: TIME-WAIT goes on. */
static void not_reopened_without_listener(void **state)
{
	struct one o = waiting(one_new());

	(void)state;
	assert_int_equal(stack_close(o.w->s, o.l, o.w->now), 0);
	world_says(o.w, (struct says){ .flags = TCP_SYN, .seq = 5000 });
	world_expect(o.w, TCP_ACK);
	assert_int_equal(o.w->s->time_wait, 1);
	one_free(&o);
}

/* --- SYN-SENT */

static struct one connecting(void)
{
	struct one o = { .w = world_new() };
	struct stack_addr here = { .port = 80 }, there = { .port = 40000 };

	world_start(o.w);
	memcpy(here.ip, o.w->cfg.net[0].ip, 16);
	memcpy(there.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
	assert_int_equal(stack_connect(o.w->s, &here, &there, 7, o.w->now, &o.id), 0);
	world_flush(o.w);
	o.iss = world_next(o.w)->seq;
	o.c = world_conn(o.w, o.id);
	o.x = (struct says){ .flags = TCP_SYN | TCP_ACK, .seq = 999, .ack = o.iss + 1 };
	return o;
}

static void syn_sent(void **state)
{
	struct one o = connecting();
	struct says x = o.x;
	const struct told *t;

	(void)state;
	x.ack = o.iss; /* of nothing that was sent */
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_RST)->seq, o.iss);
	x.ack = o.iss + 2;
	world_says(o.w, x);
	assert_int_equal(world_expect(o.w, TCP_RST)->seq, o.iss + 2);
	x.flags = TCP_RST | TCP_ACK;
	world_says(o.w, x);
	x.flags = TCP_RST;
	world_says(o.w, x);
	world_says(o.w, with(o.x, TCP_ACK, 999, 0)); /* neither SYN nor RST */
	world_quiet(o.w);
	assert_int_equal(o.c->state, ST_SYN_SENT);
	x = with(o.x, TCP_SYN | TCP_ACK | TCP_FIN, 999, 30); /* all at once */
	world_says(o.w, x);
	t = world_expect(o.w, TCP_ACK);
	assert_true(t->seq == o.iss + 1 && t->ack == 1031);
	assert_int_equal(o.c->state, ST_CLOSE_WAIT);
	assert_int_equal(o.c->recvq.unread, 30);
	assert_int_equal(world_count(o.w, STACK_OPENED_ACTIVE), 1);
	one_free(&o);
}

static void refused(void **state)
{
	struct one o = connecting();

	(void)state;
	world_says(o.w, with(o.x, TCP_RST | TCP_ACK, 0, 0));
	assert_int_equal(events_of(&o), CONN_ERROR);
	assert_int_equal(one_error(&o), -ECONNREFUSED);
	assert_int_equal(world_count(o.w, STACK_OPEN_FAILED), 1);
	world_quiet(o.w);
	one_free(&o);
}

/* MUST-10, MUST-11: two SYNs cross (3.5, figure 7); a RST then is a refusal. */
static void crossing_syns(void **state)
{
	struct one o = connecting();
	const struct told *t;
	struct says x = { .flags = TCP_SYN, .seq = 999 };

	(void)state;
	world_says(o.w, x);
	t = world_expect(o.w, TCP_SYN | TCP_ACK);
	assert_true(t->seq == o.iss && t->ack == 1000);
	assert_int_equal(o.c->state, ST_SYN_RECEIVED);
	world_says(o.w, o.x); /* the other's SYN-ACK, before our window */
	assert_int_equal(o.c->state, ST_ESTABLISHED);
	world_quiet(o.w);
	one_free(&o);

	o = connecting();
	world_says(o.w, x);
	world_expect(o.w, TCP_SYN | TCP_ACK);
	world_says(o.w, with(o.x, TCP_RST, 1000, 0));
	assert_int_equal(one_error(&o), -ECONNREFUSED);
	one_free(&o);
}

/* shutdown() before the handshake is over: the FIN follows it. */
static void closed_while_opening(void **state)
{
	struct one o = connecting();

	(void)state;
	assert_int_equal(stack_write(o.w->s, o.id, "abc", 3, o.w->now), 3);
	assert_int_equal(stack_shutdown(o.w->s, o.id, o.w->now), 0);
	world_flush(o.w);
	world_quiet(o.w);
	world_says(o.w, o.x);
	assert_int_equal(o.c->state, ST_FIN_WAIT_1);
	assert_int_equal(world_expect(o.w, TCP_FIN | TCP_PSH | TCP_ACK)->len, 3);
	one_free(&o);
}

/* --- others */

/* RFC 3168, 6.1.3: ECE on every ACK from the mark to CWR. */
static void ecn(void **state)
{
	struct world *w = world_new();
	struct says syn = { .flags = TCP_SYN | TCP_ECE | TCP_CWR, .seq = 999 }, x;
	const struct told *t;

	(void)state;
	world_start(w);
	world_listen(w, 4);
	world_says(w, syn);
	t = world_expect(w, TCP_SYN | TCP_ACK | TCP_ECE);
	x = (struct says){ .flags = TCP_ACK, .seq = 1000, .ack = t->seq + 1 };
	world_says(w, x);
	x.len = 1460;
	x.tos = 3;
	world_says(w, x);
	x.seq += 1460;
	x.tos = 2;
	world_says(w, x);
	assert_int_equal(world_count(w, STACK_ECN_CE), 1);
	world_expect(w, TCP_ACK | TCP_ECE);
	x.seq += 1460;
	x.flags |= TCP_CWR;
	world_says(w, x);
	x.flags = TCP_ACK;
	x.seq += 1460;
	world_says(w, x);
	world_expect(w, TCP_ACK);
	world_quiet(w);
	world_free(w);
}

/* MUST-5, 6, 7, 64: options that nobody knows, that lie about their length, at odd places. */
static void odd_options(void **state)
{
	static const uint8_t bad[][8] = {
		{ 77, 4, 1, 2, 1, 1, 1, 0 }, { 77, 0, 1, 1, 1, 1, 1, 1 },
		{ 77, 1, 1, 1, 1, 1, 1, 1 }, { 77, 200, 1, 1, 1, 1, 1, 1 },
		{ 1, 77, 3, 9, 1, 1, 1, 2 }, { 2, 4, 5, 0xb4, 3, 3, 7, 0 },
		{ 8, 3, 1, 5, 2, 1, 1, 1 },  { 5, 2, 5, 3, 0, 0, 0, 0 },
	};
	struct one o = one_new();
	struct says x = with(o.x, TCP_ACK, 1000, 10);

	(void)state;
	x.opt_len = 8;
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		x.opt = bad[i];
		world_says(o.w, x);
		x.seq += 10;
		assert_int_equal(o.c->rcv_nxt, x.seq);
	}
	one_free(&o);
}

/* SHLD-6 */
static void mtu_falls(void **state)
{
	struct one o = one_new();

	(void)state;
	assert_int_equal(o.c->mss, 536);
	o.c->peer_mss = 1460;
	negotiate_mss(o.w->s, o.c);
	assert_int_equal(o.c->mss, 1460);
	assert_int_equal(stack_set_mtu(o.w->s, 1300), 0);
	assert_int_equal(o.c->mss, 1260);
	assert_int_equal(stack_set_mtu(o.w->s, 1400), 0);
	assert_int_equal(o.c->mss, 1360);
	assert_int_equal(stack_set_mtu(o.w->s, 100), -EINVAL);
	assert_int_equal(o.w->s->cfg.mtu, 1400);
	one_free(&o);
}

/* Whatever comes, what must hold holds.  Numbers are close to what would be good. */
static void anything_at_all(void **state)
{
	uint64_t rng = 11;

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct world *w = world_new();
		struct one o;

		w->cfg.rcvbuf = 2048 + frame_random(&rng) % 10000;
		o = one_like(w, (struct says){ .ts = round & 1, .tsval = 1000 });
		for (unsigned i = 0; i < 300; i++) {
			const struct conn *c = o.c;
			struct says x = o.x;
			uint8_t b[500], opt[12];

			x.flags = (uint8_t)frame_random(&rng);
			if (frame_random(&rng) % 8)
				x.flags = (uint8_t)((x.flags | TCP_ACK) & ~(TCP_SYN | TCP_RST));
			if (frame_random(&rng) % 20)
				x.flags &= (uint8_t)~TCP_FIN;
			x.seq = c->rcv_nxt - 3000 + frame_random(&rng) % 6000;
			if (frame_random(&rng) & 1)
				x.seq = c->rcv_nxt;
			x.ack = c->snd_una + frame_random(&rng) % 3;
			if (frame_random(&rng) & 1)
				x.ack = c->snd_nxt;
			x.len = frame_random(&rng) % 1400;
			x.urg = (uint16_t)frame_random(&rng);
			x.wnd = (uint16_t)frame_random(&rng);
			x.tos = frame_random(&rng) & 3;
			x.tsval = 1000 + i - frame_random(&rng) % 2;
			for (unsigned k = 0; k < sizeof opt; k++)
				opt[k] = (uint8_t)(frame_random(&rng) % (k & 1 ? 12 : 40));
			x.opt = opt;
			x.opt_len = frame_random(&rng) % 4 ? 0 : 12;
			world_says(w, x);
			w->n = w->taken = 0;
			if (frame_random(&rng) % 4 == 0)
				(void)stack_write(w->s, o.id, b, frame_random(&rng) % 500, w->now);
			if (frame_random(&rng) % 4 == 0)
				(void)stack_read(w->s, o.id, b, frame_random(&rng) % 500, w->now);
			if (frame_random(&rng) % 100 == 0)
				(void)stack_shutdown(w->s, o.id, w->now);
			world_passes(w, frame_random(&rng) % 50);
			w->n = w->taken = 0;
		}
		one_free(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),
		cmocka_unit_test(addresses),
		cmocka_unit_test(nobody),
		cmocka_unit_test(trimmed_left),
		cmocka_unit_test(trimmed_right),
		cmocka_unit_test(closed_window),
		cmocka_unit_test(old_segments),
		cmocka_unit_test(paws),
		cmocka_unit_test(paws_after_24_days),
		cmocka_unit_test(echoed_timestamp),
		cmocka_unit_test(echoed_again),
		cmocka_unit_test(resets),
		cmocka_unit_test(challenges),
		cmocka_unit_test(ack_range),
		cmocka_unit_test(windows),
		cmocka_unit_test(urgent),
		cmocka_unit_test(urgent_taken),
		cmocka_unit_test(acks),
		cmocka_unit_test(ack_every_64k),
		cmocka_unit_test(data_after_close),
		cmocka_unit_test(passive_close),
		cmocka_unit_test(active_close),
		cmocka_unit_test(simultaneous_close),
		cmocka_unit_test(fin_with_ack),
		cmocka_unit_test(time_wait),
		cmocka_unit_test(time_wait_cut),
		cmocka_unit_test(reopened_by_number),
		cmocka_unit_test(reopened_by_timestamp),
		cmocka_unit_test(not_reopened_without_listener),
		cmocka_unit_test(syn_sent),
		cmocka_unit_test(refused),
		cmocka_unit_test(crossing_syns),
		cmocka_unit_test(closed_while_opening),
		cmocka_unit_test(ecn),
		cmocka_unit_test(odd_options),
		cmocka_unit_test(mtu_falls),
		cmocka_unit_test(anything_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
