/* SPDX-License-Identifier: MIT */
#include "stack_world.h"

#include <errno.h>

/* Connections that are taken out of a stack alive, and what they were allowed to agree upon. */

#define SYN_OPTIONS "\x02\x04\x05\xb4\x04\x02\x01\x01\x01\x03\x03\x05" /* 1460, SACK, scale 5 */

static struct world *w;
static conn_id l;

static void start(void)
{
	w = world_new();
	w->cfg.ecn = w->cfg.fastopen = false;
	world_start(w);
	l = world_listen(w, 4);
}

static void stop(void)
{
	world_free(w);
}

static struct opened open_one(void)
{
	struct says x = { .ts = true, .tsval = 70, .opt = SYN_OPTIONS, .opt_len = 12, .wnd = 501 };

	return world_open(w, l, x);
}

static void say(struct opened *o, uint8_t flags, uint32_t seq, uint32_t len)
{
	o->x.flags = flags;
	o->x.seq = seq;
	o->x.len = len;
	o->x.tsval++;
	world_says(w, o->x);
}

struct kept {
	unsigned n;
	uint32_t seq[8], len[8];
};

static void keep(void *ctx, uint32_t seq, const uint8_t *bytes, uint32_t len)
{
	struct kept *k = ctx;

	assert_true(k->n < 8 && len > 0);
	assert_non_null(bytes);
	k->seq[k->n] = seq;
	k->len[k->n++] = len;
}

static uint32_t cells(void)
{
	struct stack_usage u;

	stack_usage(w->s, &u);
	return u.cells;
}

/* A request that was not acknowledged yet: its numbers and bytes come out, and nothing goes to the peer. */
static void request(void **state)
{
	struct stack_detached d;
	struct kept k = { 0 };
	struct opened o;
	struct stack_usage u;

	(void)state;
	start();
	o = open_one();
	say(&o, TCP_ACK | TCP_PSH, 1000, 300);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), 0);
	world_flush(w);
	world_passes(w, 100000);
	world_quiet(w);
	assert_int_equal(d.iss, o.iss);
	assert_int_equal(d.snd_nxt, o.iss + 1);
	assert_int_equal(d.irs, 999);
	assert_int_equal(d.rcv_nxt, 1300);
	assert_int_equal(d.acked, 1000);
	assert_true(d.rcv_adv - d.acked <= w->cfg.rcvbuf && d.rcv_adv - d.acked >= 65535);
	assert_int_equal(d.snd_wnd, 501 << 5);
	assert_int_equal(d.snd_wscale, 5);
	assert_int_equal(d.rcv_wscale, 3);
	assert_int_equal(d.peer_mss, 1460);
	assert_true(d.timestamps && d.sack && d.wscale && !d.ecn && !d.fin_in);
	assert_int_equal(d.tsval, o.x.tsecr);
	assert_int_equal(d.ts_recent, 71);
	assert_int_equal(d.unread, 300);
	assert_int_equal(d.kept, 300);
	assert_int_equal(d.local.port, 80);
	assert_int_equal(d.remote.port, 40000);
	assert_int_equal(k.n, 1);
	assert_int_equal(k.seq[0], 1000);
	assert_int_equal(k.len[0], 300);
	assert_int_equal(cells(), 0);
	stack_usage(w->s, &u);
	assert_int_equal(u.conns, 0);
	assert_int_equal(world_count(w, STACK_DETACHED), 1);
	assert_int_equal(stack_detach(w->s, o.id, NULL, NULL, w->now, &d), -EBADF);
	/* It is not here any more. */
	say(&o, TCP_ACK, 1300, 10);
	world_expect(w, TCP_RST);
	world_quiet(w);
	stop();
}

/* What was acknowledged, and read in part, and what lies behind a gap. */
static void behind_a_gap(void **state)
{
	struct stack_detached d;
	struct kept k = { 0 };
	struct opened o;

	(void)state;
	start();
	o = open_one();
	say(&o, TCP_ACK, 1000, 300);
	world_passes(w, 100);
	assert_int_equal(world_expect(w, TCP_ACK)->ack, 1300);
	assert_int_equal(stack_consume(w->s, o.id, 100, w->now), 0);
	say(&o, TCP_ACK, 1400, 50);
	world_expect(w, TCP_ACK);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), 0);
	assert_int_equal(d.acked, 1300);
	assert_int_equal(d.unread, 200);
	assert_int_equal(d.kept, 250);
	assert_int_equal(k.n, 2);
	assert_int_equal(k.seq[0], 1100);
	assert_int_equal(k.len[0], 200);
	assert_int_equal(k.seq[1], 1400);
	assert_int_equal(k.len[1], 50);
	assert_int_equal(cells(), 0);
	world_quiet(w);
	stop();
}

static void half_closed(void **state)
{
	struct stack_detached d;
	struct kept k = { 0 };
	struct opened o;

	(void)state;
	start();
	o = open_one();
	say(&o, TCP_ACK | TCP_FIN, 1000, 40);
	world_expect(w, TCP_ACK);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), 0);
	assert_true(d.fin_in);
	assert_int_equal(d.rcv_nxt, 1041);
	assert_int_equal(k.seq[0], 1000);
	assert_int_equal(k.len[0], 40);
	world_passes(w, 1000);
	world_quiet(w);
	stop();
}

/* Nothing happens to a connection that cannot be taken out. */
static void refused(void **state)
{
	struct stack_detached d;
	struct kept k = { 0 };
	struct opened o;

	(void)state;
	start();
	o = open_one();
	assert_int_equal(stack_detach(w->s, l, keep, &k, w->now, &d), -EBADF);
	assert_int_equal(stack_write(w->s, o.id, "x", 1, w->now), 1);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), -EBUSY);
	world_flush(w);
	assert_int_equal(world_expect(w, TCP_ACK | TCP_PSH)->len, 1);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), -EBUSY);
	o.x.ack++;
	say(&o, TCP_ACK, 1000, 0);
	assert_int_equal(stack_shutdown(w->s, o.id, w->now), 0);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), -ENOTCONN);
	world_flush(w);
	world_expect(w, TCP_ACK | TCP_FIN);
	say(&o, TCP_RST, 1000, 0);
	assert_int_equal(stack_detach(w->s, o.id, keep, &k, w->now, &d), -ECONNRESET);
	assert_int_equal(k.n, 0);
	stop();
}

/* A quad that was taken out may be opened anew. */
static void again(void **state)
{
	struct stack_detached d;

	(void)state;
	start();
	for (unsigned i = 0; i < 40; i++) {
		struct opened o = open_one();

		say(&o, TCP_ACK | TCP_PSH, 1000, 3000);
		w->taken = w->n;
		assert_int_equal(stack_detach(w->s, o.id, NULL, NULL, w->now, &d), 0);
		world_sound(w);
	}
	assert_int_equal(cells(), 0);
	stop();
}

/* --- and back */

/* Put back, the connection goes on as if nothing had been. */
static void back_again(void **state)
{
	struct stack_detached d;
	const struct told *t;
	struct opened o;
	conn_id id = 0;

	(void)state;
	start();
	o = open_one();
	say(&o, TCP_ACK | TCP_PSH, 1000, 300);
	assert_int_equal(stack_detach(w->s, o.id, NULL, NULL, w->now, &d), 0);
	world_passes(w, 500);
	assert_int_equal(stack_attach(w->s, &d, 4096, 5, w->now, &id), 0);
	assert_int_equal(stack_attach(w->s, &d, 4096, 5, w->now, &id), -EADDRINUSE);
	assert_int_equal(stack_write(w->s, id, "answer", 6, w->now), 6);
	world_flush(w);
	t = world_expect(w, TCP_ACK | TCP_PSH);
	assert_int_equal(t->seq, o.iss + 1);
	assert_int_equal(t->ack, 1300);
	assert_int_equal(t->tsval, d.tsval + 500);
	assert_int_equal(t->tsecr, 71);
	assert_true(t->ack + ((uint32_t)t->window << 3) + 7 >= d.rcv_adv);
	o.x.ack += 6;
	o.x.tsecr = t->tsval;
	say(&o, TCP_ACK, 1300, 50);
	world_passes(w, 100);
	assert_int_equal(world_expect(w, TCP_ACK)->ack, 1350);
	assert_int_equal(stack_consume(w->s, id, 50, w->now), 0);
	assert_int_equal(stack_close(w->s, id, w->now), 0);
	world_flush(w);
	assert_int_equal(world_expect(w, TCP_ACK | TCP_FIN)->seq, o.iss + 7);
	o.x.ack++;
	say(&o, TCP_ACK | TCP_FIN, 1350, 0);
	assert_int_equal(world_expect(w, TCP_ACK)->ack, 1351);
	world_quiet(w);
	stop();
}

/* However much the peer had said before: half of all numbers are ahead of its first one, and the other half are not. */
static void back_after_much(void **state)
{
	struct stack_detached d;
	struct opened o;
	conn_id id = 0;

	(void)state;
	start();
	o = open_one();
	say(&o, TCP_ACK | TCP_PSH, 1000, 300);
	assert_int_equal(stack_detach(w->s, o.id, NULL, NULL, w->now, &d), 0);
	d.rcv_nxt += 3000000000u;
	d.rcv_adv += 3000000000u;
	d.acked += 3000000000u;
	assert_int_equal(stack_attach(w->s, &d, 4096, 5, w->now, &id), 0);
	world_flush(w);
	world_expect(w, TCP_ACK);
	o.x.wnd = 100;
	say(&o, TCP_ACK, d.rcv_nxt, 0);
	assert_int_equal(world_conn(w, id)->snd_wnd, 100u << d.snd_wscale);
	stop();
}

static void back_half_closed(void **state)
{
	struct stack_detached d;
	struct opened o;
	conn_id id = 0;

	(void)state;
	start();
	o = open_one();
	say(&o, TCP_ACK | TCP_FIN, 1000, 40);
	world_expect(w, TCP_ACK);
	assert_int_equal(stack_detach(w->s, o.id, NULL, NULL, w->now, &d), 0);
	assert_int_equal(stack_attach(w->s, &d, 4096, 5, w->now, &id), 0);
	assert_int_equal(stack_close(w->s, id, w->now), 0);
	world_flush(w);
	world_expect(w, TCP_ACK | TCP_FIN);
	o.x.ack++;
	say(&o, TCP_ACK, 1041, 0);
	world_quiet(w);
	assert_int_equal(stack_attach(w->s, &d, 4096, 5, w->now, &id), 0);
	stop();
}

/* --- limits of a listener's connections */

static const struct told *synack(struct says x)
{
	x.flags = TCP_SYN;
	x.seq = 999;
	world_says(w, x);
	return world_expect(w, TCP_SYN | TCP_ACK);
}

static void limits(void **state)
{
	struct says x = { .ts = true, .opt = SYN_OPTIONS, .opt_len = 12 };
	const struct told *t;
	struct opened o;
	conn_id first;

	(void)state;
	start();
	assert_int_equal(stack_listen_limits(w->s, l, 2047, 7), -EINVAL);
	assert_int_equal(stack_listen_limits(w->s, l, 8192, 15), -EINVAL);
	assert_int_equal(stack_listen_limits(w->s, 12345, 8192, 7), -EBADF);
	assert_int_equal(stack_listen_limits(w->s, l, 8192, 7), 0);
	o = open_one();
	first = o.id;
	assert_int_equal(w->out[w->taken - 1].shift, 7);
	assert_int_equal(w->out[w->taken - 1].window, 8192);
	for (unsigned i = 0; i < 8; i++)
		say(&o, TCP_ACK, 1000 + 900 * i, 900);
	world_passes(w, 1000);
	while (w->taken < w->n) {
		t = world_expect(w, TCP_ACK);
		assert_true(t->ack + ((uint32_t)t->window << 7) <= 1000 + 8192 + 256);
	}
	/* SYN cookies have the same. */
	for (uint16_t port = 1; port < 6; port++) {
		x.port = port;
		t = synack(x);
		assert_int_equal(t->shift, 7);
		assert_int_equal(t->window, 8192);
	}
	assert_true(world_count(w, STACK_COOKIES_SENT) > 0);
	x.flags = TCP_ACK;
	x.seq = 1000;
	x.ack = t->seq + 1;
	x.tsecr = t->tsval;
	x.opt_len = 0;
	x.len = 10;
	world_says(w, x);
	assert_int_equal(world_count(w, STACK_COOKIES_TAKEN), 1);
	o.id = world_accept(w, l);
	assert_int_equal(world_conn(w, o.id)->rcv_wscale, 7);
	assert_int_equal(world_conn(w, o.id)->rcvbuf, 8192);
	/* Another listener begins without. */
	assert_int_equal(stack_abort(w->s, first, w->now), 0);
	world_passes(w, 100000);
	assert_int_equal(stack_close(w->s, l, w->now), 0);
	w->taken = w->n;
	l = world_listen(w, 4);
	o = open_one();
	assert_int_equal(world_conn(w, o.id)->rcvbuf, w->cfg.rcvbuf);
	stop();
}

static void offers(void **state)
{
	struct says x = { .ts = true, .opt = SYN_OPTIONS, .opt_len = 12 };
	const struct told *t;

	(void)state;
	start();
	stack_offer(w->s, false, true, false);
	t = synack(x);
	assert_true(!t->ts && t->sack_ok && !t->scale);
	stack_offer(w->s, true, false, true);
	x.port = 7;
	t = synack(x);
	assert_true(t->ts && !t->sack_ok && t->scale);
	stop();
}

static void offers_less_than_the_device(void **state)
{
	struct says x = { .ts = true, .opt = SYN_OPTIONS, .opt_len = 12 };
	uint16_t own;

	(void)state;
	start();
	own = synack(x)->mss;
	assert_int_equal(stack_offer_mtu(w->s, 575), -EINVAL);
	assert_int_equal(stack_offer_mtu(w->s, own), 0); /* less by the headers */
	x.port = 7;
	assert_int_equal(synack(x)->mss, own - 40);
	assert_int_equal(stack_offer_mtu(w->s, 65535), 0);
	x.port = 8;
	assert_int_equal(synack(x)->mss, own);
	assert_int_equal(stack_offer_mtu(w->s, 0), 0);
	x.port = 9;
	assert_int_equal(synack(x)->mss, own);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers_less_than_the_device),
		cmocka_unit_test(request),
		cmocka_unit_test(behind_a_gap),
		cmocka_unit_test(half_closed),
		cmocka_unit_test(refused),
		cmocka_unit_test(again),
		cmocka_unit_test(limits),
		cmocka_unit_test(offers),
		cmocka_unit_test(back_again),
		cmocka_unit_test(back_after_much),
		cmocka_unit_test(back_half_closed),
	};

	return cmocka_run_group_tests_name("stack_detach", tests, NULL, NULL);
}
