/* SPDX-License-Identifier: MIT */
#include "stack_peer.h"

#include "base/compiler.h"

#define MSS 1448u
#define DATA (TCP_ACK)
#define LAST (TCP_ACK | TCP_PSH)

static struct peer *opened(void)
{
	struct peer *p = peer_new();

	peer_open(p, 10);
	return p;
}

/* --- headers and checksums: peer_emit() checks each packet's */

static void headers_of_ip4(void **state)
{
	struct peer *p = opened();
	const struct caught *c;

	(void)state;
	peer_write(p, 100);
	c = peer_expect(p, 1, 100, LAST);
	assert_true(c->df);
	assert_int_equal(c->ttl, 64);
	assert_true(c->ts);
	assert_int_equal(c->ip_len, 20 + 32 + 100);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_DSCP, 46, p->now), 0); /* MUST-48 */
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_TTL, 9, p->now), 0); /* MUST-49 */
	peer_ack(p, 101);
	peer_write(p, 1);
	c = peer_next(p);
	assert_int_equal(c->tos, 46 << 2);
	assert_int_equal(c->ttl, 9);
	peer_free(p);
}

static void headers_of_ip6(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->v6 = true;
	p->mss = 1440;
	peer_open(p, 10);
	peer_write(p, 3001); /* odd pieces, too */
	peer_expect(p, 1, 1428, DATA);
	peer_expect(p, 1429, 1428, DATA);
	peer_expect(p, 2857, 145, LAST);
	peer_quiet(p);
	peer_free(p);
}

/* Payload in pieces of odd lengths, in software: the sum of each is turned where it has to be. */
static void sums_of_odd_pieces(void **state)
{
	static uint8_t bytes[5000];
	struct peer *p = opened();

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 31 + 7);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_NODELAY, 1, p->now), 0);
	peer_write(p, 1); /* all that follows begins at odd places of the cells */
	peer_expect(p, 1, 1, LAST);
	assert_int_equal(stack_write(p->s, p->id, bytes, 5000, p->now), 5000);
	peer_flush(p);
	for (unsigned i = 0; i < 3; i++)
		peer_expect(p, 2 + i * MSS, MSS, DATA);
	peer_free(p);
}

static void partial_checksums(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->cfg.offload = STACK_OFFLOAD_CSUM;
	peer_open(p, 10);
	peer_write(p, 2 * MSS);
	assert_int_equal(peer_expect(p, 1, MSS, DATA)->csum, CSUM_PARTIAL);
	assert_int_equal(peer_expect(p, 1 + MSS, MSS, LAST)->gso_type, GSO_NONE);
	peer_free(p);
}

static void super_packets(void **state)
{
	struct peer *p = peer_new();
	const struct caught *c;

	(void)state;
	p->cfg.offload = STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
	peer_open(p, 10);
	peer_conn(p)->cc.cwnd = 200 * MSS;
	peer_write(p, 100 * MSS + 5);
	c = peer_expect(p, 1, 44 * MSS, DATA); /* 65000 bytes hold 44 */
	assert_int_equal(c->gso_type, GSO_TCP4);
	assert_int_equal(c->gso_size, MSS);
	peer_expect(p, 1 + 44 * MSS, 44 * MSS, DATA);
	peer_expect(p, 1 + 88 * MSS, 12 * MSS + 5, LAST);
	peer_quiet(p);
	peer_free(p);
}

/* --- when a short segment may go */

static void nagle(void **state)
{
	struct peer *p = opened();

	(void)state;
	peer_write(p, 10);
	peer_expect(p, 1, 10, LAST);
	peer_write(p, 10); /* SHLD-7: one short segment is outstanding */
	peer_quiet(p);
	peer_write(p, 10);
	peer_quiet(p);
	peer_ack(p, 11);
	peer_expect(p, 11, 20, LAST);
	peer_quiet(p);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_NODELAY, 1, p->now), 0); /* MUST-17 */
	peer_write(p, 3);
	peer_expect(p, 31, 3, LAST);
	peer_free(p);
}

/* Minshall: behind full segments a short one may go, one of them. */
static void nagle_behind_full_ones(void **state)
{
	struct peer *p = opened();

	(void)state;
	peer_write(p, 2 * MSS + 10);
	peer_expect(p, 1, MSS, DATA);
	peer_expect(p, 1 + MSS, MSS, DATA);
	peer_expect(p, 1 + 2 * MSS, 10, LAST);
	peer_write(p, 10);
	peer_quiet(p);
	peer_write(p, MSS);
	peer_expect(p, 11 + 2 * MSS, MSS, DATA);
	peer_quiet(p);
	peer_free(p);
}

static void cork(void **state)
{
	struct peer *p = opened();

	(void)state;
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_CORK, 1, p->now), 0);
	peer_write(p, MSS + 10);
	peer_expect(p, 1, MSS, DATA);
	peer_quiet(p);
	peer_ack(p, 1 + MSS);
	peer_passes(p, 190);
	peer_quiet(p);
	peer_passes(p, 20); /* 200 ms at most */
	peer_expect(p, 1 + MSS, 10, LAST);
	peer_write(p, 10);
	peer_quiet(p);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_CORK, 0, p->now), 0);
	peer_ack(p, 11 + MSS);
	peer_expect(p, 11 + MSS, 10, LAST);
	peer_free(p);
}

/* A FIN does not wait for Nagle, and goes with the last data. */
static void fin_with_the_last_data(void **state)
{
	struct peer *p = opened();

	(void)state;
	peer_write(p, 10);
	peer_next(p);
	peer_write(p, 10);
	peer_quiet(p);
	assert_int_equal(stack_shutdown(p->s, p->id, p->now), 0);
	peer_flush(p);
	peer_expect(p, 11, 10, LAST | TCP_FIN);
	peer_passes(p, 5000); /* and again, as one */
	peer_expect(p, 11, 10, LAST | TCP_FIN);
	peer_free(p);
}

/* --- windows */

static void no_data_beyond_the_window(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->wnd = 2 * MSS + MSS / 2;
	p->wscale = false;
	p->cfg.no_wscale = true;
	peer_open(p, 10);
	peer_write(p, 5 * MSS);
	peer_expect(p, 1, MSS, DATA);
	peer_expect(p, 1 + MSS, MSS, DATA);
	peer_quiet(p); /* MUST-38: half a segment is less than half of the window */
	peer_free(p);
}

/* A peer whose whole window is less than a segment: half of it is worth a packet. */
static void tiny_windows(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->wnd = 500;
	p->wscale = false;
	p->cfg.no_wscale = true;
	peer_open(p, 10);
	peer_write(p, 2000);
	peer_expect(p, 1, 500, DATA);
	peer_quiet(p);
	p->wnd = 200;
	peer_ack(p, 501);
	peer_quiet(p);
	peer_passes(p, 250); /* the override: after the persist timer even that */
	peer_expect(p, 501, 200, DATA);
	p->wnd = 250;
	peer_ack(p, 701);
	peer_expect(p, 701, 250, DATA);
	peer_free(p);
}

/* SHLD-14 to 17, MUST-34: the window is drawn back behind what was sent. */
static void shrunk_window(void **state)
{
	struct peer *p = opened();

	(void)state;
	peer_write(p, 8 * MSS);
	p->taken = p->n;
	p->wnd = MSS;
	peer_ack(p, 1 + 2 * MSS); /* up to 3 */
	peer_write(p, MSS);
	peer_quiet(p);
	peer_passes(p, 250); /* a probe, a timeout: old data again, the front of it */
	p->taken = p->n - 1;
	peer_expect(p, 1 + 2 * MSS, MSS, DATA);
	p->wnd = PEER_WND;
	peer_ack(p, 1 + 8 * MSS);
	peer_expect(p, 1 + 8 * MSS, MSS, LAST);
	peer_free(p);
}

/* Our ACKs are of use to a peer that has drawn its window back: their number lies within it. */
static void ack_within_a_shrunk_window(void **state)
{
	struct peer *p = opened();

	(void)state;
	peer_write(p, 4 * MSS);
	p->taken = p->n;
	p->wnd = MSS - MSS % 128;
	peer_ack(p, 1);
	output_ack(p->s, peer_conn(p));
	peer_expect(p, 1 + MSS - MSS % 128, 0, TCP_ACK);
	peer_free(p);
}

/* --- our window */

static void read_all(struct peer *p)
{
	static uint8_t b[1 << 20];

	while (stack_read(p->s, p->id, b, sizeof b, p->now) > 0)
		;
}

static void data_in(struct peer *p, uint32_t n)
{
	while (n > 0) {
		uint32_t k = n < MSS ? n : MSS;

		peer_says(p, DATA, p->snd, peer_conn(p)->snd_nxt - p->iss, NULL, 0, k);
		p->snd += k;
		n -= k;
	}
}

/* MUST-39: it closes as the buffer fills, and opens by no less than a segment; its edge never moves left (SHLD-14). */
static void window_closes_and_opens(void **state)
{
	struct peer *p = peer_new();
	uint32_t edge = 0;
	uint8_t b[500];
	const struct caught *c;

	(void)state;
	p->cfg.rcvbuf = 20 * MSS;
	p->cfg.no_wscale = true;
	p->wscale = false;
	p->wnd = 60000;
	peer_open(p, 10);
	for (int i = 0; i < 10; i++) {
		data_in(p, 2 * MSS);
		peer_flush(p);
		c = peer_next(p);
		assert_int_equal(c->ack, p->snd);
		assert_true(c->ack + c->window >= edge);
		edge = c->ack + c->window;
	}
	assert_int_equal(c->window, 0);
	assert_int_equal(stack_read(p->s, p->id, b, 500, p->now), 500);
	peer_flush(p);
	output_ack(p->s, peer_conn(p));
	assert_int_equal(peer_next(p)->window,
			 0); /* 500 bytes are not worth a segment of the peer's */
	read_all(p);
	peer_flush(p);
	c = peer_next(p); /* an update of its own */
	assert_int_equal(c->window, 20 * MSS);
	peer_quiet(p);
	peer_free(p);
}

/*
 * With a scale of 7 each ACK of one byte would draw the edge back by up to 127 bytes, or push it on for ever.  It is pushed on by two
 * units of the scale; after that it goes back by less than one (RFC 7323, 2.4).
 */
static void scaled_window_does_not_shrink(void **state)
{
	struct peer *p = peer_new();
	uint32_t edge = 0;

	(void)state;
	p->cfg.rcvbuf = 1 << 22;
	p->cfg.cells = 16384;
	peer_open(p, 10);
	for (int i = 0; i < 1000; i++) {
		const struct caught *c;
		uint32_t right;

		data_in(p, 1);
		output_ack(p->s, peer_conn(p));
		c = peer_next(p);
		right = c->ack + ((uint32_t)c->window << peer_conn(p)->rcv_wscale);
		assert_true(right + (i < 200 ? 0 : 127) >= edge);
		edge = right;
	}
	assert_true(peer_conn(p)->rcv_adv - PEER_ISN - 1 <= p->cfg.rcvbuf + 512);
	peer_free(p);
}

/* --- urgent data (MUST-30, 31, 62) */

static void urgent(void **state)
{
	struct peer *p = opened();
	static uint8_t big[80000];
	const struct caught *c;

	(void)state;
	assert_int_equal(stack_write_urgent(p->s, p->id, "abc", 3, p->now), 3);
	peer_flush(p);
	c = peer_expect(p, 1, 3, LAST | TCP_URG);
	assert_int_equal(c->urg, 3); /* the byte behind it */
	peer_ack(p, 4);
	peer_write(p, 5);
	peer_expect(p, 4, 5, LAST);
	peer_conn(p)->cc.cwnd = 200000;
	peer_ack(p, 9);
	assert_int_equal(stack_write_urgent(p->s, p->id, big, sizeof big, p->now), sizeof big);
	peer_flush(p);
	c = peer_expect(p, 9, MSS, DATA | TCP_URG);
	assert_int_equal(c->urg, 65535);
	peer_free(p);
}

/* --- what the device refuses */

/* A peer that has a segment or not; it acknowledges what it has from the front on. */
static void refused(void **state)
{
	struct peer *p = opened();
	bool got[3] = { false };

	(void)state;
	p->refuse = 1;
	peer_write(p, 3 * MSS);
	assert_int_equal(stack_count(p->s, STACK_EMIT_REFUSED), 1);
	for (unsigned i = 0; i < 30 && peer_conn(p)->snd_una - p->iss <= 3 * MSS; i++) {
		uint32_t k = 0;

		for (; p->taken < p->n; p->taken++)
			got[(p->out[p->taken].seq - 1) / MSS] = true;
		while (k < 3 && got[k])
			k++;
		peer_ack(p, 1 + k * MSS);
		peer_passes(p, 500);
	}
	assert_int_equal(peer_conn(p)->snd_una - p->iss, 1 + 3 * MSS);
	assert_true(peer_conn(p)->retrans_segs > 0);
	peer_free(p);
}

/* --- ACKs */

/* MUST-58, 59: a batch is acknowledged once; SHLD-19: two full segments are. */
static void batch_is_acknowledged_once(void **state)
{
	struct peer *p = opened();

	(void)state;
	data_in(p, 10 * MSS);
	peer_flush(p);
	assert_int_equal(peer_expect(p, 1, 0, TCP_ACK)->ack, 1 + 10 * MSS);
	peer_quiet(p);
	data_in(p, 100 * MSS); /* at most 64 KB late */
	peer_flush(p);
	assert_in_range(p->n - p->taken, 3, 4);
	peer_free(p);
}

static void data_carries_the_ack(void **state)
{
	struct peer *p = opened();

	(void)state;
	data_in(p, 10 * MSS);
	assert_int_equal(stack_write(p->s, p->id, "answer", 6, p->now), 6);
	peer_flush(p);
	assert_int_equal(peer_expect(p, 1, 6, LAST)->ack, 1 + 10 * MSS);
	peer_quiet(p);
	peer_free(p);
}

/* SACK blocks go in an ACK of their own, so that a full segment stays within the MTU. */
static void sack_beside_data(void **state)
{
	struct peer *p = opened();
	const struct caught *c;

	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* 0 and 2 are lost, 1 and 3 are told of at once */
		p->snd += MSS;
		data_in(p, MSS);
		peer_next(p);
	}
	p->snd = 1;
	data_in(p, MSS); /* 0 comes */
	assert_int_equal(stack_write(p->s, p->id, "answer", 6, p->now), 6);
	peer_flush(p);
	c = peer_expect(p, 1, 0, TCP_ACK);
	assert_int_equal(c->ack, 1 + 2 * MSS);
	assert_int_equal(c->sacks, 1);
	assert_int_equal(c->left[0], 1 + 3 * MSS);
	assert_int_equal(c->right[0], 1 + 4 * MSS);
	c = peer_expect(p, 1, 6, LAST);
	assert_int_equal(c->sacks, 0);
	peer_free(p);
}

static void idle_restart(void **state)
{
	struct peer *p = opened();

	(void)state;
	peer_conn(p)->cc.cwnd = 50 * MSS;
	peer_write(p, MSS);
	p->taken = p->n;
	peer_ack(p, 1 + MSS);
	peer_passes(p, 1000);
	peer_write(p, 40 * MSS);
	assert_int_equal(p->n - p->taken, 10); /* RFC 5681, 4.1 */
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_ip4),
		cmocka_unit_test(headers_of_ip6),
		cmocka_unit_test(sums_of_odd_pieces),
		cmocka_unit_test(partial_checksums),
		cmocka_unit_test(super_packets),
		cmocka_unit_test(nagle),
		cmocka_unit_test(nagle_behind_full_ones),
		cmocka_unit_test(cork),
		cmocka_unit_test(fin_with_the_last_data),
		cmocka_unit_test(no_data_beyond_the_window),
		cmocka_unit_test(tiny_windows),
		cmocka_unit_test(shrunk_window),
		cmocka_unit_test(ack_within_a_shrunk_window),
		cmocka_unit_test(window_closes_and_opens),
		cmocka_unit_test(scaled_window_does_not_shrink),
		cmocka_unit_test(urgent),
		cmocka_unit_test(refused),
		cmocka_unit_test(batch_is_acknowledged_once),
		cmocka_unit_test(data_carries_the_ack),
		cmocka_unit_test(sack_beside_data),
		cmocka_unit_test(idle_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
