/* SPDX-License-Identifier: MIT */
#include "stack_peer.h"

#include "stack/recovery.h"

#define MSS 1448u /* 1500 less 40 and the timestamps' 12 */
#define AT(n) (1 + (uint32_t)(n)*MSS) /* where segment n begins */

static struct peer *opened(unsigned rtt)
{
	struct peer *p = peer_new();

	peer_open(p, rtt);
	return p;
}

/* Writes n full segments, of which `sent` go out at once. */
static void burst(struct peer *p, unsigned n, unsigned sent)
{
	uint32_t from = peer_conn(p)->snd_nxt - p->iss;

	peer_write(p, n * MSS);
	for (unsigned i = 0; i < sent; i++)
		peer_expect(p, from + i * MSS, MSS, i + 1 == n ? TCP_ACK | TCP_PSH : TCP_ACK);
	peer_quiet(p);
}

static void sack(struct peer *p, uint32_t ack, uint32_t left, uint32_t right)
{
	const uint32_t b[] = { left, right, 0 };

	peer_acks(p, ack, b);
}

static const char *recovery_of(struct peer *p)
{
	static const char *const names[] = { "open", "disorder", "recovery", "loss" };

	return names[peer_conn(p)->rec.state];
}

/* --- with SACK */

static void three_behind_a_gap(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 10, 10);
	peer_passes(p, 100);
	sack(p, 1, AT(1), AT(4));
	peer_expect(p, 1, MSS, TCP_ACK);
	peer_quiet(p);
	assert_string_equal(recovery_of(p), "recovery");
	peer_passes(p, 100);
	peer_ack(p, AT(10));
	assert_string_equal(recovery_of(p), "open");
	assert_int_equal(peer_conn(p)->cc.cwnd, 10 * MSS * 7 / 10);
	assert_int_equal(stack_count(p->s, STACK_FAST_RECOVERY), 1);
	assert_int_equal(stack_count(p->s, STACK_RTO), 0);
	peer_free(p);
}

/* ACKs are taken by the batch: of the flight that cwnd was for little is left when the loss is found.  cwnd is what is reduced. */
static void loss_within_a_batch(void **state)
{
	struct peer *p = opened(100);
	const uint32_t b[] = { AT(7), AT(10), 0 };

	(void)state;
	burst(p, 60, 10);
	peer_passes(p, 100);
	peer_says_sack(p, AT(6), NULL);
	peer_says_sack(p, AT(6), b);
	peer_flush(p);
	assert_string_equal(recovery_of(p), "recovery");
	assert_int_equal(peer_conn(p)->cc.ssthresh, 16 * MSS * 7 / 10);
	peer_free(p);
}

/* One segment that overtook another says nothing for a quarter of the RTT (RFC 8985, 6.2.1). */
static void reordering_is_no_loss(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 4, 4);
	peer_passes(p, 100);
	sack(p, 1, AT(1), AT(2));
	peer_passes(p, 20);
	peer_quiet(p);
	assert_string_equal(recovery_of(p), "disorder");
	peer_ack(p, AT(4));
	peer_passes(p, 100);
	peer_quiet(p);
	assert_true(peer_conn(p)->rec.reordering);
	assert_int_equal(peer_conn(p)->retrans_segs, 0);
	peer_free(p);
}

static void gap_that_stays_is_loss(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 4, 4);
	peer_passes(p, 100);
	sack(p, 1, AT(1), AT(2));
	peer_passes(p, 24);
	peer_quiet(p);
	peer_passes(p, 2);
	peer_expect(p, 1, MSS, TCP_ACK);
	assert_string_equal(recovery_of(p), "recovery");
	peer_free(p);
}

/* The hole that is told of twice is sent once; a retransmission that is lost too is found by what was sent after it. */
static void lost_again(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 20, 10);
	peer_passes(p, 100);
	sack(p, 1, AT(1), AT(6));
	peer_expect(p, 1, MSS, TCP_ACK);
	p->taken = p->n; /* and some new ones, as PRR lets */
	peer_passes(p, 20);
	sack(p, 1, AT(1), AT(10));
	p->taken = p->n;
	assert_int_equal(peer_conn(p)->retrans_segs, 1);
	peer_passes(p, 120); /* what was sent behind the retransmission arrives, it does not */
	assert_true(peer_conn(p)->snd_nxt - p->iss > AT(10));
	sack(p, 1, AT(1), peer_conn(p)->snd_nxt - p->iss);
	assert_int_equal(peer_conn(p)->retrans_segs, 2);
	assert_int_equal(stack_count(p->s, STACK_RTO), 0);
	peer_free(p);
}

static void lies_are_ignored(void **state)
{
	static const uint32_t lies[][3] = {
		{ AT(9), AT(11), 0 }, /* beyond snd_nxt */
		{ AT(100), AT(101), 0 },   { AT(5), AT(3), 0 }, /* backwards */
		{ AT(3), AT(3), 0 }, /* empty */
		{ AT(0), AT(5), 0 }, /* begins at what is acknowledged: then it would have been */
		{ 0x80000000u, AT(5), 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct peer *p = opened(100);

		burst(p, 10, 10);
		peer_passes(p, 100);
		peer_acks(p, 1, lies[i]);
		assert_int_equal(peer_conn(p)->rec.sacked, 0);
		assert_int_equal(peer_conn(p)->rec.in_flight, 10 * MSS);
		peer_free(p);
	}
}

/* Blocks of single bytes make no records: a segment has arrived, or has not. */
static void crumbs_are_ignored(void **state)
{
	struct peer *p = opened(100);
	uint32_t used;

	(void)state;
	burst(p, 10, 10);
	used = p->s->used_sent;
	for (uint32_t i = 0; i < 100; i++)
		sack(p, 1, AT(2) + 10 * i, AT(2) + 10 * i + 3);
	assert_int_equal(p->s->used_sent, used);
	assert_int_equal(peer_conn(p)->rec.sacked, 0);
	peer_free(p);
}

static void tail_loss_probe(void **state)
{
	struct peer *p = opened(100);
	const uint32_t dsack[] = { AT(2), AT(3), 0 };

	(void)state;
	burst(p, 3, 3);
	peer_passes(p, 199);
	peer_quiet(p);
	peer_passes(p, 2); /* two RTTs */
	peer_expect(p, AT(2), MSS, TCP_ACK | TCP_PSH);
	peer_quiet(p);
	assert_int_equal(stack_count(p->s, STACK_TLP), 1);
	assert_int_equal(peer_conn(p)->cc.ssthresh,
			 UINT32_MAX / 2); /* nothing is known to be lost */
	peer_acks(p, AT(3), dsack); /* both copies arrived: so nothing was */
	assert_int_equal(peer_conn(p)->cc.ssthresh, UINT32_MAX / 2);
	peer_free(p);
}

/* The probe repaired the loss of the tail: congestion control is told all the same (RFC 8985, 7.4.2). */
static void tail_loss_is_a_loss(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 3, 3);
	peer_passes(p, 100);
	peer_ack(p, AT(2));
	peer_passes(p, 350); /* one segment: its ACK may be delayed */
	peer_expect(p, AT(2), MSS, TCP_ACK | TCP_PSH);
	peer_write(p, MSS); /* and something new behind it */
	peer_next(p);
	peer_ack(p, AT(4));
	assert_true(peer_conn(p)->cc.ssthresh < UINT32_MAX / 2);
	peer_free(p);
}

static void limited_transmit(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 20, 10);
	peer_passes(p, 100);
	sack(p, 1, AT(1), AT(2)); /* RFC 3042: one new segment for each that has left */
	peer_expect(p, AT(10), MSS, TCP_ACK);
	sack(p, 1, AT(1), AT(3));
	peer_expect(p, AT(11), MSS, TCP_ACK);
	peer_quiet(p);
	peer_free(p);
}

/* RFC 6937: during recovery no more goes out than came in, and in the end cwnd is ssthresh. */
static void prr_keeps_the_pace(void **state)
{
	struct peer *p = opened(100);
	unsigned sent = 0;

	(void)state;
	peer_conn(p)->cc.cwnd = 100 * MSS;
	burst(p, 200, 100);
	peer_passes(p, 100);
	for (uint32_t i = 1; i < 100; i++) {
		unsigned n;

		sack(p, 1, AT(1), AT(i + 1));
		n = p->n - p->taken;
		p->taken = p->n;
		assert_true(n <= 2);
		sent += n;
	}
	assert_string_equal(recovery_of(p), "recovery");
	/* CUBIC: 0.7 of what was in flight, in place of each */
	assert_in_range(sent, 66, 75);
	assert_in_range(peer_conn(p)->rec.in_flight, 66 * MSS, 72 * MSS);
	peer_ack(p, AT(100));
	assert_int_equal(peer_conn(p)->cc.cwnd, 70 * MSS);
	peer_free(p);
}

static void timeout_loses_all(void **state)
{
	struct peer *p = opened(100);
	uint32_t i;

	(void)state;
	burst(p, 10, 10);
	peer_passes(p, 200);
	peer_expect(p, AT(9), MSS, TCP_ACK | TCP_PSH); /* the probe */
	peer_passes(p, 400);
	peer_expect(p, 1, MSS, TCP_ACK); /* the timeout: one segment */
	peer_quiet(p);
	assert_string_equal(recovery_of(p), "loss");
	assert_int_equal(peer_conn(p)->cc.cwnd, MSS);
	peer_passes(p, 100);
	peer_ack(p, AT(1)); /* slow start */
	peer_expect(p, AT(1), MSS, TCP_ACK);
	peer_expect(p, AT(2), MSS, TCP_ACK);
	peer_quiet(p);
	peer_passes(p, 100);
	peer_ack(p, AT(3));
	for (i = 3; i < 7; i++)
		peer_expect(p, AT(i), MSS, TCP_ACK);
	peer_quiet(p);
	peer_ack(p, AT(10));
	assert_string_equal(recovery_of(p), "open");
	peer_free(p);
}

/* RFC 2018, 8: at a timeout the front one is SACKed and still not acknowledged, so the peer has thrown it away. */
static void reneging(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 4, 4);
	peer_passes(p, 100);
	sack(p, 1, AT(1), AT(4));
	peer_expect(p, 1, MSS, TCP_ACK);
	peer_passes(p, 100);
	peer_ack(p, AT(1)); /* the hole is filled, and what was behind it is gone */
	peer_passes(p, 600);
	peer_expect(p, AT(1), MSS, TCP_ACK);
	peer_ack(p, AT(2));
	peer_expect(p, AT(2), MSS, TCP_ACK);
	peer_expect(p, AT(3), MSS, TCP_ACK | TCP_PSH);
	peer_free(p);
}

/* --- needless retransmissions */

/* RFC 3522: the ACK for what was sent twice echoes the timestamp of the first copy. */
static void eifel(void **state)
{
	struct peer *p = opened(100);
	uint32_t cwnd, tsval;

	(void)state;
	cwnd = peer_conn(p)->cc.cwnd;
	burst(p, 5, 5);
	tsval = p->out[p->n - 1].tsval;
	peer_passes(p, 700); /* the path stood still: a probe, then a timeout */
	assert_string_equal(recovery_of(p), "loss");
	p->taken = p->n;
	/* the ACK of the first copy of segment 0 */
	p->out[p->n - 1].tsval = tsval;
	peer_ack(p, AT(1));
	assert_string_equal(recovery_of(p), "open");
	assert_true(peer_conn(p)->cc.cwnd >= cwnd);
	assert_int_equal(peer_conn(p)->cc.ssthresh, UINT32_MAX / 2);
	assert_int_equal(stack_count(p->s, STACK_SPURIOUS), 1);
	peer_quiet(p); /* the others are in flight after all */
	peer_free(p);
}

/* The same with the timestamp of the second copy: it was lost. */
static void no_eifel(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	burst(p, 5, 5);
	peer_passes(p, 700);
	p->taken = p->n;
	peer_ack(p, AT(1));
	assert_string_equal(recovery_of(p), "loss");
	assert_int_equal(stack_count(p->s, STACK_SPURIOUS), 0);
	peer_free(p);
}

/* RFC 3708: D-SACKs tell that all that was sent again had arrived. */
static void dsack_undoes(void **state)
{
	struct peer *p = peer_new();
	const uint32_t dsack[] = { 1, 1 + 1460, 0 };
	uint32_t cwnd, m = 1460;

	(void)state;
	p->ts = false;
	p->cfg.no_timestamps = true;
	peer_open(p, 100);
	cwnd = peer_conn(p)->cc.cwnd;
	peer_write(p, 10 * m);
	p->taken = p->n;
	peer_passes(p, 100);
	sack(p, 1, 1 + m, 1 + 4 * m);
	peer_expect(p, 1, m, TCP_ACK);
	peer_ack(p, 1 + 10 * m); /* the first copy was late */
	assert_true(peer_conn(p)->cc.cwnd < cwnd);
	peer_acks(p, 1 + 10 * m, dsack);
	assert_int_equal(peer_conn(p)->cc.cwnd, cwnd);
	assert_int_equal(stack_count(p->s, STACK_SPURIOUS), 1);
	assert_int_equal(peer_conn(p)->rec.reo_mult, 2); /* and RACK is more patient */
	peer_free(p);
}

/* --- without SACK (RFC 6582) */

static struct peer *opened_without_sack(void)
{
	struct peer *p = peer_new();

	p->sack = false;
	peer_open(p, 100);
	return p;
}

static void newreno(void **state)
{
	struct peer *p = opened_without_sack();

	(void)state;
	burst(p, 10, 10);
	peer_passes(p, 100);
	peer_ack(p, 1);
	peer_ack(p, 1);
	peer_quiet(p);
	peer_ack(p, 1); /* the third */
	peer_expect(p, 1, MSS, TCP_ACK);
	peer_quiet(p);
	assert_string_equal(recovery_of(p), "recovery");
	for (int i = 0; i < 5; i++)
		peer_ack(p, 1);
	peer_quiet(p);
	peer_passes(p, 100);
	peer_ack(p, AT(4)); /* partial: the next hole */
	peer_expect(p, AT(4), MSS, TCP_ACK);
	peer_quiet(p);
	assert_string_equal(recovery_of(p), "recovery");
	peer_passes(p, 100);
	peer_ack(p, AT(10));
	assert_string_equal(recovery_of(p), "open");
	assert_int_equal(peer_conn(p)->cc.cwnd, 7 * MSS);
	assert_int_equal(peer_conn(p)->rec.sacked, 0);
	peer_free(p);
}

/* What carries data or another window is no duplicate ACK (RFC 5681, 2). */
static void what_is_no_duplicate(void **state)
{
	struct peer *p = opened_without_sack();

	(void)state;
	burst(p, 10, 10);
	for (int i = 0; i < 5; i++) {
		p->wnd += 1280;
		peer_ack(p, 1);
	}
	for (int i = 0; i < 5; i++) {
		peer_says(p, TCP_ACK, p->snd, 1, NULL, 0, 10);
		p->snd += 10;
	}
	peer_flush(p);
	assert_int_equal(peer_conn(p)->retrans_segs, 0);
	peer_free(p);
}

/* --- super-packets */

static void sack_cuts_a_super_packet(void **state)
{
	struct peer *p = peer_new();
	const struct caught *c;

	(void)state;
	p->cfg.offload = STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
	peer_open(p, 100);
	peer_write(p, 10 * MSS);
	c = peer_expect(p, 1, 10 * MSS, TCP_ACK | TCP_PSH);
	assert_int_equal(c->gso_type, GSO_TCP4);
	assert_int_equal(c->gso_size, MSS);
	peer_passes(p, 100);
	sack(p, AT(2), AT(4), AT(9)); /* 2 and 3 are lost, 9 is not known */
	assert_int_equal(peer_conn(p)->rec.sacked, 5 * MSS);
	c = peer_next(p);
	assert_int_equal(c->seq, AT(2));
	assert_true(c->len >= MSS && c->len <= 2 * MSS);
	peer_passes(p, 100);
	peer_ack(p, AT(10));
	assert_int_equal(p->s->used_sent, 0);
	peer_free(p);
}

/* --- records */

/* They are few: what cannot be noted is not sent; an ACK makes room, and in the end all has gone. */
static void few_records(void **state)
{
	struct peer *p = peer_new();
	uint32_t top = 1;

	(void)state;
	p->cfg.records = 8;
	peer_open(p, 10);
	peer_write(p, 40 * MSS);
	for (int i = 0; i < 200 && top < AT(40); i++) {
		while (p->taken < p->n) {
			const struct caught *c = peer_next(p);

			if (c->seq == top)
				top += c->len;
		}
		assert_true(p->s->used_sent <= 4); /* one connection alone has half of them */
		peer_ack(p, top);
		peer_passes(p, 10);
	}
	assert_int_equal(top, AT(40));
	assert_int_equal(p->s->used_sent, 0);
	peer_free(p);
}

/* --- ECN (RFC 3168) */

static void ecn_once_a_window(void **state)
{
	struct peer *p = peer_new();
	const struct caught *c;
	uint32_t cwnd;

	(void)state;
	p->cfg.ecn = p->ecn = true;
	peer_connect(p);
	c = peer_expect(p, 0, 0, TCP_SYN | TCP_ECE | TCP_CWR);
	assert_int_equal(c->tos & 3, 0);
	peer_passes(p, 100);
	peer_synack(p, 1);
	peer_flush(p);
	c = peer_expect(p, 1, 0, TCP_ACK);
	assert_int_equal(c->tos & 3, 0); /* a pure ACK is not ECT */
	peer_write(p, 20 * MSS);
	c = peer_next(p);
	assert_int_equal(c->tos & 3, 2);
	p->taken = p->n;
	peer_passes(p, 100);
	cwnd = peer_conn(p)->cc.cwnd;
	peer_says(p, TCP_ACK | TCP_ECE, 1, AT(2), NULL, 0, 0);
	assert_true(peer_conn(p)->cc.cwnd < cwnd);
	cwnd = peer_conn(p)->cc.ssthresh;
	peer_says(p, TCP_ACK | TCP_ECE, 1, AT(4), NULL, 0, 0); /* the same window */
	assert_int_equal(peer_conn(p)->cc.ssthresh, cwnd);
	peer_says(p, TCP_ACK | TCP_ECE, 1, AT(9), NULL, 0, 0);
	peer_flush(p);
	c = peer_next(p); /* new data: CWR, once */
	assert_int_equal(c->flags & TCP_CWR, TCP_CWR);
	assert_int_equal(peer_next(p)->flags & TCP_CWR, 0);
	assert_int_equal(peer_conn(p)->retrans_segs, 0);
	peer_free(p);
}

/* --- a whole path: anything may be lost, late or twice; in the end all has arrived, and nothing is left */

#define PATH 256u

/* A super-packet is longer than a segment: that alone does not make it too long for a device whose MTU has changed. */
static void mtu_that_loses_nothing(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->cfg.offload = STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
	peer_open(p, 20);
	peer_write(p, 10 * peer_conn(p)->mss);
	peer_expect(p, 1, 10 * peer_conn(p)->mss, TCP_ACK | TCP_PSH);
	assert_int_equal(stack_set_mtu(p->s, 9000), 0); /* the peer takes no more than before */
	peer_flush(p);
	peer_quiet(p);
	assert_int_equal(stack_set_mtu(p->s, 1400), 0);
	peer_flush(p);
	assert_int_equal(peer_next(p)->seq, 1);
	peer_free(p);
}

/*
 * Marks of long ago (where a recovery ended, the window was reduced, a short segment went) must not lie ahead again when half of all
 * numbers have gone by.
 */
static void half_of_all_numbers(void **state)
{
	struct peer *p = peer_new();
	const struct conn *c;
	uint32_t at, cwnd;

	(void)state;
	p->sack = false;
	p->ecn = p->cfg.ecn = true;
	p->cfg.offload = STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
	peer_open(p, 20);
	c = peer_conn(p);
	while (c->snd_una - p->iss < (1u << 31) + (1u << 28)) {
		if (c->sendq.bytes == 0)
			peer_write(p, 600 * c->mss);
		p->out[0] = p->out[p->n - 1];
		p->n = p->taken = 1;
		peer_passes(p, 20);
		peer_ack(p, c->snd_nxt - p->iss);
	}
	p->taken = p->n;
	at = c->snd_una - p->iss;
	peer_write(p, 100); /* nothing is in flight: Nagle has nothing against it */
	peer_expect(p, at, 100, TCP_ACK | TCP_PSH);
	peer_ack(p, at + 100);
	cwnd = c->cc.cwnd;
	peer_write(p, 8 * c->mss);
	p->taken = p->n;
	peer_says(p, TCP_ACK | TCP_ECE, 1, at + 100 + c->mss, NULL, 0, 0);
	peer_flush(p);
	assert_true(c->cc.cwnd < cwnd);
	for (unsigned k = 0; k < 3; k++)
		peer_ack(p, at + 100 + c->mss);
	assert_int_equal(c->rec.state, REC_RECOVERY);
	peer_expect(p, at + 100 + c->mss, c->mss, TCP_ACK);
	peer_free(p);
}

struct path {
	struct {
		sut_time at;
		uint32_t seq, len;
	} q[PATH]; /* to the peer */
	unsigned n;
	uint8_t got[400]; /* segments that the peer has */
	uint32_t rcv; /* the first that it has not */
	unsigned loss, late, twice; /* percent */
};

static void path_take(struct peer *p, struct path *w)
{
	for (; p->taken < p->n; p->taken++) {
		const struct caught *c = &p->out[p->taken];
		sut_time at = p->now + SUT_MS(20);

		for (uint32_t off = 0; off < c->len; off += MSS) {
			unsigned copies = 1u + (frame_random(&p->rng) % 100 < w->twice);

			if (frame_random(&p->rng) % 100 < w->loss)
				continue;
			for (; copies > 0 && w->n < PATH; copies--) {
				w->q[w->n].at = at + (frame_random(&p->rng) % 100 < w->late
							      ? SUT_MS(frame_random(&p->rng) % 15)
							      : 0);
				w->q[w->n].seq = c->seq + off;
				w->q[w->n++].len = MSS;
			}
		}
	}
	if (p->n > PEER_OUT / 2)
		p->n = p->taken = 0;
}

/* The peer has segment k: it acknowledges, with blocks of what lies behind gaps. */
static void path_arrives(struct peer *p, struct path *w, uint32_t k)
{
	uint32_t b[9] = { 0 }, n = 0;

	if (w->got[k] && p->sack) {
		b[n++] = AT(k);
		b[n++] = AT(k + 1);
	}
	w->got[k] = 1;
	while (w->got[w->rcv])
		w->rcv++;
	for (uint32_t i = w->rcv; p->sack && i < 399 && n < 6; i++) {
		uint32_t from = i;

		while (w->got[i] && i < 399)
			i++;
		if (i > from) {
			b[n++] = AT(from);
			b[n++] = AT(i);
		}
	}
	if (frame_random(&p->rng) % 100 >= w->loss / 2)
		peer_acks(p, AT(w->rcv), b);
}

static void path_run(struct peer *p, struct path *w, uint32_t segments)
{
	sut_time end = p->now + SUT_MS(600000);

	peer_write(p, segments * MSS);
	while (peer_conn(p)->snd_una - p->iss < AT(segments)) {
		unsigned first = 0;
		sut_time d = stack_deadline(p->s);

		path_take(p, w);
		for (unsigned i = 1; i < w->n; i++)
			if (w->q[i].at < w->q[first].at)
				first = i;
		if (w->n > 0 && w->q[first].at <= d) {
			uint32_t k = (w->q[first].seq - 1) / MSS;

			peer_until(p, w->q[first].at);
			p->tsval = (uint32_t)(p->now / 1000000);
			w->q[first] = w->q[--w->n];
			path_arrives(p, w, k);
		} else {
			/* something is unacknowledged: some timer runs */
			assert_true(d != SUT_NEVER);
			peer_until(p, d);
		}
		assert_true(p->now < end);
	}
	assert_int_equal(p->s->used_sent, 0);
}

static void any_path(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 120; seed++) {
		struct peer *p = peer_new();
		struct path *w = calloc(1, sizeof *w);

		p->rng = seed;
		p->sack = seed % 4 != 0;
		p->ts = false; /* so that the peer need not model its echoes */
		p->cfg.no_timestamps = true;
		p->mss = MSS;
		p->cfg.cc = seed % 2 ? STACK_CUBIC : STACK_NEWRENO;
		p->cfg.offload = seed % 3 ? 0 : STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
		p->cfg.records = seed % 5 ? 0 : 12;
		/* Without SACK and timestamps a back-off stays for long (Karn): more loss than that takes hours. */
		w->loss = seed % 7 * (p->sack ? 5 : 2);
		w->late = seed % 5 * 10;
		w->twice = seed % 3 * 5;
		peer_open(p, 20);
		path_run(p, w, 300);
		free(w);
		peer_free(p);
	}
}

/* A peer that says anything: old, new and impossible numbers, timestamps of any time.  The records hold together, and timers run. */
static void any_peer(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		struct peer *p = peer_new();

		p->rng = seed;
		p->sack = seed % 5 != 0;
		p->cfg.offload = seed % 3 ? 0 : STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
		p->cfg.records = seed % 4 ? 0 : 20;
		peer_open(p, 20);
		for (unsigned i = 0; i < 300 && peer_conn(p)->state == ST_ESTABLISHED; i++) {
			uint32_t una = peer_conn(p)->snd_una - p->iss,
				 n = peer_conn(p)->snd_nxt - p->iss - una;
			uint32_t ack = una, b[9] = { 0 }, r = frame_random(&p->rng);

			if (r % 4 == 0)
				ack += n ? frame_random(&p->rng) % (n + 1) : 0;
			for (unsigned k = 0; p->sack && k < r / 4 % 4; k++) {
				b[2 * k] = una + frame_random(&p->rng) % (n + 5000) - 1000;
				b[2 * k + 1] = b[2 * k] + frame_random(&p->rng) % 6000;
				if (b[2 * k] == 0)
					b[2 * k] = 1;
			}
			if (r / 16 % 4 == 0)
				(void)stack_write(p->s, p->id, b, sizeof b, p->now);
			if (r / 64 % 8 == 0)
				peer_write(p, 1 + frame_random(&p->rng) % 20000);
			if (r / 512 % 16 == 0)
				p->wnd = frame_random(&p->rng) % 100000;
			peer_passes(p, frame_random(&p->rng) % (r / 8192 % 8 ? 20 : 1000));
			p->out[p->n ? p->n - 1 : 0].tsval += r / 65536 % 50;
			peer_acks(p, ack, b);
			if (p->n > PEER_OUT / 2)
				p->n = p->taken = 0;
		}
		peer_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_behind_a_gap),
		cmocka_unit_test(loss_within_a_batch),
		cmocka_unit_test(reordering_is_no_loss),
		cmocka_unit_test(gap_that_stays_is_loss),
		cmocka_unit_test(lost_again),
		cmocka_unit_test(lies_are_ignored),
		cmocka_unit_test(crumbs_are_ignored),
		cmocka_unit_test(tail_loss_probe),
		cmocka_unit_test(tail_loss_is_a_loss),
		cmocka_unit_test(limited_transmit),
		cmocka_unit_test(prr_keeps_the_pace),
		cmocka_unit_test(timeout_loses_all),
		cmocka_unit_test(reneging),
		cmocka_unit_test(eifel),
		cmocka_unit_test(no_eifel),
		cmocka_unit_test(dsack_undoes),
		cmocka_unit_test(newreno),
		cmocka_unit_test(what_is_no_duplicate),
		cmocka_unit_test(sack_cuts_a_super_packet),
		cmocka_unit_test(few_records),
		cmocka_unit_test(ecn_once_a_window),
		cmocka_unit_test(half_of_all_numbers),
		cmocka_unit_test(mtu_that_loses_nothing),
		cmocka_unit_test(any_path),
		cmocka_unit_test(any_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
