/* SPDX-License-Identifier: MIT */
/*
 * A stack under attack, in virtual time: floods, forged segments, peers that lie about what they got or when, and peers that will not read or
 * will not write.  Each time a well-behaved connection beside it gets all its bytes there and back, memory stays within its bound, and
 * the stack is sound.
 */
#include "stack_hostile.h"

#include "base/compiler.h"

/* --- floods of handshakes */

/* Sources that nobody answers for. */
static struct says forged_syn(uint64_t *rng)
{
	return (struct says){ .flags = TCP_SYN,
			      .seq = frame_random(rng),
			      .src = (frame_random(rng) & 1 ? 0xc6336400u : 0xcb007100u) + 1 +
				     frame_random(rng) % 250,
			      .port = (uint16_t)(1024 + frame_random(rng) % 60000),
			      .ts = frame_random(rng) & 1,
			      .tsval = frame_random(rng),
			      .opt = "\x02\x04\x05\xb4\x04\x02\x01\x01",
			      .opt_len = 8 };
}

struct most {
	uint32_t conns, half_open, cells, waiting;
};

static void look(const struct hostile *h, struct most *m)
{
	const struct listener *l = listener_by_id(h->w->s, h->listener);
	struct stack_usage u;

	stack_usage(h->w->s, &u);
	m->conns = u.conns > m->conns ? u.conns : m->conns;
	m->half_open = u.half_open > m->half_open ? u.half_open : m->half_open;
	m->cells = u.cells > m->cells ? u.cells : m->cells;
	m->waiting = l->waiting > m->waiting ? l->waiting : m->waiting;
}

/* On the very port that is flooded. */
static void legitimate(struct hostile *h, struct most *m)
{
	struct stack_addr peer;

	good_begin(h);
	for (unsigned i = 0; i < 40 && h->v == 0; i++) {
		hostile_passes(h, 5);
		look(h, m);
		(void)stack_accept(h->w->s, h->listener, 0, &h->v, &peer);
	}
	assert_true(h->v != 0);
	good_ends(h, 5000);
}

static void syn_flood(void **state)
{
	struct hostile *h = hostile_new();
	struct most m = { 0 };
	uint64_t rng = 5;
	unsigned syns = 0;

	(void)state;
	h->port = 80;
	h->total = 2000;
	h->w->cfg.max_conns = 512;
	h->w->cfg.max_half_open = 64;
	h->w->cfg.msl = SUT_MS(100);
	hostile_start(h, 16);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 500; i++, syns++) {
			struct says x = forged_syn(&rng);

			attack(h, &x, NULL);
		}
		stack_flush(h->w->s, h->w->now);
		look(h, &m);
		legitimate(h, &m);
	}
	print_message("%u SYNs: at most %u connections, %u half-open, %u cells, %u in the queue; "
		      "%zu bytes for all; cookies %llu, taken %llu\n",
		      syns, m.conns, m.half_open, m.cells, m.waiting,
		      stack_need(&h->w->cfg, (char[96]){ 0 }),
		      (unsigned long long)world_count(h->w, STACK_COOKIES_SENT),
		      (unsigned long long)world_count(h->w, STACK_COOKIES_TAKEN));
	assert_true(m.half_open <= 16); /* the backlog */
	assert_true(m.conns <= 16 + 8); /* those of the good one, and its TIME-WAITs */
	assert_true(m.waiting <= 1);
	assert_true(m.cells <= 8);
	assert_true(world_count(h->w, STACK_COOKIES_SENT) > 10000);
	assert_true(world_count(h->w, STACK_COOKIES_TAKEN) > 50);
	assert_int_equal(world_count(h->w, STACK_COOKIES_BAD), 0);
	hostile_free(h);
}

/* A few half-open connections, kept alive by SYNs that come again, for half an hour. */
static void slow_handshakes(void **state)
{
	struct hostile *h = hostile_new();
	struct most m = { 0 };

	(void)state;
	h->port = 80;
	h->total = 2000;
	h->w->cfg.max_half_open = 8;
	h->w->cfg.max_conns = 32;
	hostile_start(h, 8);
	for (unsigned s = 0; s < 1800; s += 10) {
		for (unsigned i = 0; i < 20; i++) {
			struct says x = { .flags = TCP_SYN,
					  .seq = 77,
					  .src = 0xcb007105,
					  .port = (uint16_t)(2000 + i) };

			attack(h, &x, NULL);
		}
		hostile_passes(h, 5000);
		look(h, &m);
		if (s % 60 == 0)
			legitimate(h, &m);
		hostile_passes(h, 5000);
	}
	assert_true(m.half_open <= 8 && m.waiting <= 1);
	hostile_free(h);
}

/* ACKs that hold no cookie open nothing, whatever they say. */
static void cookies_guessed(void **state)
{
	struct hostile *h = hostile_new();
	struct stack_usage u;
	uint64_t rng = 6;

	(void)state;
	h->w->cfg.max_half_open = 2;
	hostile_start(h, 8);
	good_begin(h);
	for (unsigned i = 0; i < 20000; i++) {
		struct says x = forged_syn(&rng);

		if (i % 10) {
			x.flags = TCP_ACK;
			x.ack = frame_random(&rng);
		}
		attack(h, &x, NULL);
		if (i % 100 == 0)
			hostile_passes(h, 10);
	}
	stack_usage(h->w->s, &u);
	assert_int_equal(world_count(h->w, STACK_COOKIES_TAKEN), 0);
	assert_true(world_count(h->w, STACK_COOKIES_BAD) > 10000);
	assert_true(u.conns <= 2 + 1);
	good_ends(h, 60000);
	hostile_free(h);
}

/* Nobody is there: resets have a rate, whatever comes. */
static void closed_port(void **state)
{
	struct hostile *h = hostile_new();
	uint64_t rng = 8;

	(void)state;
	hostile_start(h, 8);
	good_begin(h);
	for (unsigned i = 0; i < 50000; i++) {
		struct says x = forged_syn(&rng);

		x.to = 9;
		x.flags = i % 2 ? TCP_ACK : TCP_SYN;
		attack(h, &x, NULL);
		if (i % 100 == 0)
			hostile_passes(h, 10);
	}
	print_message("50000 segments to nobody in 5 s: %llu resets\n",
		      (unsigned long long)world_count(h->w, STACK_RESET_OUT));
	assert_true(world_count(h->w, STACK_RESET_OUT) > 10);
	assert_true(world_count(h->w, STACK_RESET_OUT) < 10000);
	good_ends(h, 60000);
	hostile_free(h);
}

/* --- forged segments of the good one itself (RFC 5961) */

static struct conn *good_conn(struct hostile *h)
{
	return world_conn(h->w, h->v);
}

/* A segment that says to be of the good one, numbers as given. */
static struct says forged(struct hostile *h, uint8_t flags, uint32_t seq, uint32_t ack,
			  uint32_t len)
{
	const struct conn *c = good_conn(h);

	return (struct says){ .flags = flags,
			      .src = GOOD_HERE,
			      .port = c->quad.rport,
			      .to = c->quad.lport,
			      .seq = seq,
			      .ack = ack,
			      .len = len };
}

/* Runs until half of the transfer is over. */
static void half_way(struct hostile *h)
{
	good_begin(h);
	while (h->took < h->total / 2)
		hostile_passes(h, 1);
}

static void blind(void **state)
{
	static const struct {
		uint8_t flags;
		int32_t seq, ack; /* behind rcv_nxt, snd_una */
		uint32_t len;
	} rows[] = {
		{ TCP_RST, 1, 0, 0 },
		{ TCP_RST, 1000, 0, 0 },
		{ TCP_RST | TCP_ACK, 20000, 0, 0 },
		{ TCP_RST, -1, 0, 0 },
		{ TCP_RST, 100000000, 0, 0 },
		{ TCP_SYN, 0, 0, 0 },
		{ TCP_SYN, 1000, 0, 0 },
		{ TCP_SYN, -1000, 0, 0 },
		{ TCP_SYN | TCP_ACK, 5, 0, 0 },
		{ TCP_SYN | TCP_FIN | TCP_RST, 5, 0, 0 },
		{ TCP_ACK, 0, 100000000, 500 }, /* acknowledges what was never sent */
		{ TCP_ACK, 0, -100000000, 500 },
		{ TCP_ACK | TCP_FIN, 0, 100000000, 500 },
		{ TCP_ACK, -500, 0, 500 },
		{ TCP_ACK, 50000000, 0, 500 },
		{ TCP_FIN, 0, 0, 500 }, /* without ACK */
		{ 0, 0, 0, 500 },
		{ TCP_ACK | TCP_URG, 50000000, 0, 100 },
	};

	(void)state;
	for (unsigned ts = 0; ts < 2; ts++) {
		struct hostile *h = hostile_new();

		h->good_cfg.no_timestamps = ts == 0;
		hostile_start(h, 4);
		half_way(h);
		for (unsigned k = 0; k < 40; k++) {
			for (unsigned i = 0; i < ARRAY_LEN(rows) && h->v; i++) {
				const struct conn *c = good_conn(h);
				struct says x =
					forged(h, rows[i].flags, c->rcv_nxt + (uint32_t)rows[i].seq,
					       c->snd_una + (uint32_t)rows[i].ack, rows[i].len);

				attack(h, &x, NULL);
			}
			hostile_passes(h, 1);
		}
		good_ends(h, 60000);
		assert_true(world_count(h->w, STACK_CHALLENGE_ACK) > 0);
		assert_true(world_count(h->w, STACK_CHALLENGE_ACK) <= 20);
		assert_int_equal(world_count(h->w, STACK_RESET_IN), 0);
		hostile_free(h);
	}
}

/* Each number of the window as a RST, but the one that counts. */
static void rst_sweep(void **state)
{
	struct hostile *h = hostile_new();

	(void)state;
	hostile_start(h, 4);
	half_way(h);
	for (uint32_t off = 1; off < 300000 && h->v; off += 7) {
		struct says x = forged(h, TCP_RST, good_conn(h)->rcv_nxt + off, 0, 0);

		attack(h, &x, NULL);
	}
	good_ends(h, 60000);
	assert_true(world_count(h->w, STACK_CHALLENGE_MUTED) > 1000);
	hostile_free(h);
}

/* --- two of our stacks are told of each other what is not so */

/* After this many forged segments the two have said little to each other, and then nothing. */
static void ack_storm(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct hostile *h = hostile_new();
		uint64_t before, after;

		h->total = 2000000;
		h->good_cfg.no_timestamps =
			true; /* what has none would be dropped without a word */
		hostile_start(h, 4);
		half_way(h);
		h->total = h->wrote; /* nothing more, and no end */
		h->g_shut = true;
		hostile_passes(h, 2000);
		before = h->sent;
		for (unsigned i = 0; i < 1000; i++) {
			const struct conn *c = good_conn(h);
			struct says x = forged(h, kind == 2 ? TCP_ACK | TCP_FIN : TCP_ACK,
					       c->rcv_nxt, c->snd_nxt, 0);

			x.seq += kind == 0 ? 0 : kind == 1 ? 1000000000u : (uint32_t)-5000;
			x.ack += kind == 0 || kind == 3 ? 1000000000u : 0;
			attack(h, &x, NULL);
			hostile_passes(h, 20);
		}
		after = h->sent - before;
		print_message(
			"kind %u: 1000 forged segments in 20 s, %llu packets between the two\n",
			kind, (unsigned long long)after);
		/* A FIN has sequence space, and is answered each time; what answers it is not answered. */
		assert_true(after <= (kind == 2 ? 1000 : 100));
		before = h->sent;
		hostile_passes(h, 3600000);
		assert_true(h->sent - before <= 4);
		hostile_free(h);
	}
}

/* --- peers that lie about what they have got */

static uint32_t fill(struct hostile *h, conn_id c)
{
	static const uint8_t zero[4096];
	uint32_t all = 0;
	int n;

	while ((n = stack_write(h->w->s, c, zero, sizeof zero, h->w->now)) > 0)
		all += (uint32_t)n;
	stack_flush(h->w->s, h->w->now);
	return all;
}

/* ACKs of what was sent and cannot have arrived are not to be told apart; ACKs of what was not sent are; and bytes count, not ACKs. */
static void optimistic_acks(void **state)
{
	struct hostile *h = hostile_new();
	struct conn *c;
	struct says x;
	conn_id id;
	uint32_t una, cwnd;

	(void)state;
	hostile_start(h, 4);
	good_begin(h);
	x = attack_open(h, (struct says){ 0 }, &id);
	fill(h, id);
	c = world_conn(h->w, id);
	una = c->snd_una;
	cwnd = c->cc.cwnd;
	for (uint32_t ahead = 1; ahead < 2000000000u; ahead = ahead * 3 + 1) {
		x.ack = c->snd_nxt + ahead;
		attack(h, &x, NULL);
		assert_int_equal(c->snd_una, una);
		assert_int_equal(c->cc.cwnd, cwnd);
	}
	for (uint32_t i = 1; i <= 1000; i++) {
		x.ack = una + i;
		attack(h, &x, NULL);
		stack_flush(h->w->s, h->w->now);
	}
	assert_int_equal(c->snd_una, una + 1000);
	assert_true(c->cc.cwnd <= cwnd + 1000);
	hostile_sound(h);
	good_ends(h, 60000);
	hostile_free(h);
}

static void store_block(uint8_t *o, unsigned i, uint32_t left, uint32_t right)
{
	store_be32(o + 4 + 8 * i, left);
	store_be32(o + 8 + 8 * i, right);
}

/* Blocks at random: inside, outside, the wrong way round, everything; then a peer that is honest gets what it lacks. */
static void lying_sacks(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct hostile *h = hostile_new();
		uint64_t rng = seed;
		struct conn *c;
		uint8_t o[28] = { 1, 1, 5, 26 };
		struct says x;
		conn_id id;
		uint32_t una;

		hostile_start(h, 4);
		good_begin(h);
		x = attack_open(h, (struct says){ .opt = "\x01\x01\x04\x02", .opt_len = 4 }, &id);
		fill(h, id);
		c = world_conn(h->w, id);
		una = c->snd_una;
		x.opt = o;
		x.opt_len = 28;
		for (unsigned i = 0; i < 500; i++) {
			for (unsigned k = 0; k < 3; k++) {
				uint32_t spread = frame_random(&rng) % 4 ? 60000u : 0xffffffffu;
				uint32_t left = una - 2000 +
						(spread == 60000u ? frame_random(&rng) % spread
								  : frame_random(&rng));

				store_block(o, k, left,
					    left + (frame_random(&rng) % 8
							    ? frame_random(&rng) % 20000
							    : frame_random(&rng)));
			}
			if (seed % 4 == 0) /* all of it, always */
				store_block(o, 0, una + 1, c->snd_nxt);
			attack(h, &x, NULL);
			hostile_passes(h, frame_random(&rng) % 20);
			assert_int_equal(c->snd_una, una);
		}
		/* What was said to have arrived is not forgotten: it comes again when it is asked for. */
		x.opt_len = 0;
		for (unsigned i = 0; i < 4000 && c->sendq.bytes; i++) {
			unsigned at = h->w->n;

			hostile_passes(h, 500);
			for (; at < h->w->n; at++) {
				const struct told *t = &h->w->out[at];

				if (t->dport == 40000 && t->len && !after(t->seq, x.ack) &&
				    after(t->seq + t->len, x.ack))
					x.ack = t->seq + t->len;
			}
			attack(h, &x, NULL);
		}
		assert_int_equal(c->sendq.bytes, 0);
		good_ends(h, 60000);
		hostile_free(h);
	}
}

/* Timestamps that jump to and fro: no RTT out of them is believed for long, and what is acceptable is taken. */
static void jumping_timestamps(void **state)
{
	struct hostile *h = hostile_new();
	uint64_t rng = 9;
	struct conn *c;
	struct says x;
	conn_id id;

	(void)state;
	hostile_start(h, 4);
	good_begin(h);
	x = attack_open(h, (struct says){ .ts = true, .tsval = 5 }, &id);
	c = world_conn(h->w, id);
	for (unsigned i = 0; i < 2000; i++) {
		x.tsval += frame_random(&rng) % 3 ? frame_random(&rng) % 1000 : frame_random(&rng);
		x.tsecr = frame_random(&rng);
		x.len = 1 + frame_random(&rng) % 100;
		x.seq = c->rcv_nxt;
		if (i % 10 == 0)
			fill(h, id);
		x.ack = c->snd_nxt;
		attack(h, &x, NULL);
		hostile_passes(h, frame_random(&rng) % 10);
		assert_true(c->rtt.rto <= 120000000);
		{
			uint8_t b[4000];

			while (stack_read(h->w->s, id, b, sizeof b, h->w->now) > 0)
				;
		}
	}
	assert_true(c->bytes_in > 1000);
	assert_true(world_count(h->w, STACK_PAWS) > 100);
	print_message("bytes taken %llu, RTO %u us\n", (unsigned long long)c->bytes_in, c->rtt.rto);
	good_ends(h, 60000);
	hostile_free(h);
}

/* --- overlaps */

#define PLACES 40000u

/* What was sent for each place first is what is read, never anything else. */
static void overlaps(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct hostile *h = hostile_new();
		static uint8_t first[PLACES], seg[1500], got[PLACES];
		static bool have[PLACES];
		uint64_t rng = 1000 + seed;
		uint32_t base, read = 0;
		struct says x;
		conn_id id;
		int n;

		memset(have, 0, sizeof have);
		hostile_start(h, 4);
		good_begin(h);
		x = attack_open(h, (struct says){ 0 }, &id);
		base = x.seq;
		for (unsigned i = 0; i < 3000 && read < PLACES; i++) {
			uint32_t at = read + frame_random(&rng) % 6000;
			uint32_t len = 1 + frame_random(&rng) % 1400;
			bool mark = frame_random(&rng) % 50 == 0;

			at = mark ? read : at >= 500 ? at - 500 : at;
			len = at + len > PLACES ? PLACES - at : len;
			if (at >= PLACES || len == 0)
				continue;
			for (uint32_t k = 0; k < len; k++)
				seg[k] = (uint8_t)frame_random(&rng);
			x.seq = base + at;
			x.len = len;
			assert_int_equal(attack(h, &x, seg), R_NONE);
			for (uint32_t k = 0; k < len; k++) {
				if (!have[at + k])
					first[at + k] = seg[k];
				have[at + k] = true;
			}
			hostile_passes(h, 1);
			n = stack_read(h->w->s, id, got, 1 + frame_random(&rng) % 5000, h->w->now);
			for (int k = 0; k < n; k++) {
				if (got[k] != first[read + (uint32_t)k])
					fail_msg("seed %u: byte %u is not what came first", seed,
						 read + (unsigned)k);
			}
			read += n > 0 ? (uint32_t)n : 0;
		}
		assert_true(read > PLACES / 2);
		good_ends(h, 60000);
		hostile_free(h);
	}
}

/* --- peers that do not read, or do not write */

/* Ten hours of a window of 0: the connection lives, its probes grow rare, and what waits arrives in the end. */
static void zero_window_for_ever(void **state)
{
	struct hostile *h = hostile_new();
	uint64_t probes, last = 0;
	struct stack_usage u;
	struct conn *c;
	struct says x;
	conn_id id;

	(void)state;
	hostile_start(h, 4);
	x = attack_open(h, (struct says){ 0 }, &id);
	c = world_conn(h->w, id);
	x.wnd = CLOSED_WINDOW;
	attack(h, &x, NULL);
	fill(h, id);
	for (unsigned s = 0; s < 36000; s++) {
		uint64_t was = h->sent_others;

		hostile_passes(h, 1000);
		if (h->sent_others != was)
			attack(h, &x, NULL); /* still closed */
		if (s == 35399)
			last = world_count(h->w, STACK_WINDOW_PROBES);
		if (s == 18000)
			good_begin(h);
	}
	probes = world_count(h->w, STACK_WINDOW_PROBES);
	stack_usage(h->w->s, &u);
	print_message("ten hours: %llu probes, %llu of them in the last ten minutes; %u cells\n",
		      (unsigned long long)probes, (unsigned long long)(probes - last), u.cells);
	assert_int_equal(c->state, ST_ESTABLISHED);
	assert_true(probes >= 250 && probes < 2000);
	assert_true(probes - last >= 4 && probes - last <= 15);
	assert_true(u.cells <= h->w->cfg.sndbuf / STORE_CELL_BYTES + 2);
	assert_true(h->done && !h->failed);
	x.wnd = 0; /* open */
	for (unsigned i = 0; i < 3000 && c->sendq.bytes; i++) {
		attack(h, &x, NULL);
		hostile_passes(h, 100);
		x.ack = c->snd_nxt;
	}
	assert_int_equal(c->sendq.bytes, 0);
	hostile_free(h);
}

/* Windows of a few bytes, for an hour: no storm of tiny segments. */
static void tiny_windows(void **state)
{
	struct hostile *h = hostile_new();
	struct conn *c;
	struct says x;
	conn_id id;

	(void)state;
	hostile_start(h, 4);
	good_begin(h);
	x = attack_open(h, (struct says){ .wnd = 10 }, &id);
	c = world_conn(h->w, id);
	fill(h, id);
	for (unsigned s = 0; s < 3600; s++) {
		hostile_passes(h, 1000);
		x.wnd = (uint16_t)(1 + s % 20);
		x.ack = c->snd_nxt;
		attack(h, &x, NULL);
	}
	print_message("an hour of tiny windows: %llu packets to it\n",
		      (unsigned long long)h->sent_others);
	assert_true(h->sent_others < 3700); /* no more than the peer says */
	assert_int_equal(c->state, ST_ESTABLISHED);
	good_ends(h, 60000);
	hostile_free(h);
}

/* Single bytes with a gap behind each: what is kept is bounded by memory, not by bytes. */
static void single_bytes(void **state)
{
	struct hostile *h = hostile_new();
	struct stack_usage u, most = { 0 };
	struct says x;
	conn_id id;

	(void)state;
	h->w->cfg.max_ofo = 64 * STORE_CELL;
	hostile_start(h, 4);
	good_begin(h);
	for (unsigned k = 0; k < 4; k++) {
		uint32_t base;

		x = attack_open(h, (struct says){ .port = (uint16_t)(5000 + k) }, &id);
		base = x.seq;
		x.len = 1;
		for (uint32_t i = 1; i < 30000; i++) {
			x.seq = base + 2 * i;
			attack(h, &x, NULL);
			if (i % 500 == 0)
				hostile_passes(h, 1);
			stack_usage(h->w->s, &u);
			most.ofo_bytes = u.ofo_bytes > most.ofo_bytes ? u.ofo_bytes
								      : most.ofo_bytes;
			most.cells = u.cells > most.cells ? u.cells : most.cells;
		}
	}
	print_message(
		"120000 single bytes: at most %llu bytes behind gaps, %u cells; %llu dropped\n",
		(unsigned long long)most.ofo_bytes, most.cells,
		(unsigned long long)world_count(h->w, STACK_OFO_DROPPED));
	assert_true(most.ofo_bytes <= 64 * STORE_CELL);
	good_ends(h, 60000);
	assert_true(most.cells <= 64 + 512);
	hostile_free(h);
}

/* Peers that take nothing of what they asked for, as many as memory has room for beside the good one. */
static void never_reads(void **state)
{
	struct hostile *h = hostile_new();
	struct stack_usage u;
	conn_id id[32];

	(void)state;
	h->w->cfg.max_conns = 64;
	h->w->cfg.sndbuf = 65536;
	hostile_start(h, 32);
	for (unsigned k = 0; k < 32; k++) {
		struct says x = attack_open(h, (struct says){ .port = (uint16_t)(5000 + k) },
					    &id[k]);

		x.wnd = CLOSED_WINDOW;
		attack(h, &x, NULL);
		fill(h, id[k]);
	}
	good_begin(h);
	hostile_passes(h, 1000);
	stack_usage(h->w->s, &u);
	print_message("32 peers that never read: %u of %u cells\n", u.cells, h->w->cfg.cells);
	good_ends(h, 60000);
	for (unsigned k = 0; k < 32; k++)
		assert_int_equal(stack_abort(h->w->s, id[k], h->w->now), 0);
	hostile_passes(h, 200000);
	stack_usage(h->w->s, &u);
	assert_true(u.cells == 0 && u.conns == 0 && u.ofo_bytes == 0);
	hostile_free(h);
}

/* The same where they have all memory between them: what is kept for who has nothing is enough for others to go on. */
static void never_read_all(void **state)
{
	struct hostile *h = hostile_new();
	struct stack_usage u;

	(void)state;
	h->w->cfg.max_conns = 64;
	h->w->cfg.cells = 1024;
	h->w->cfg.sndbuf = 1 << 20;
	hostile_start(h, 32);
	for (unsigned k = 0; k < 20; k++) {
		conn_id id;
		struct says x = attack_open(h, (struct says){ .port = (uint16_t)(5000 + k) }, &id);

		x.wnd = CLOSED_WINDOW;
		attack(h, &x, NULL);
		fill(h, id);
	}
	stack_usage(h->w->s, &u);
	print_message("20 peers that never read, of 1 MB each: %u of %u cells\n", u.cells,
		      h->w->cfg.cells);
	good_begin(h);
	good_ends(h, 60000);
	hostile_free(h);
}

/* What we send to peers that send without end and what we do not read, stays within its buffer. */
static void never_read_by_us(void **state)
{
	struct hostile *h = hostile_new();
	struct stack_usage u;
	struct conn *c[8];

	(void)state;
	h->w->cfg.rcvbuf = 65536;
	hostile_start(h, 32);
	good_begin(h);
	for (unsigned k = 0; k < 8; k++) {
		struct says x;
		conn_id id;

		x = attack_open(h, (struct says){ .port = (uint16_t)(5000 + k) }, &id);
		c[k] = world_conn(h->w, id);
		x.len = 1000;
		for (unsigned i = 0; i < 400; i++) { /* whatever the window says */
			attack(h, &x, NULL);
			x.seq += x.len;
			if (i % 20 == 0)
				hostile_passes(h, 1);
		}
		assert_true(c[k]->recvq.unread <= 65536);
	}
	stack_usage(h->w->s, &u);
	print_message("8 peers that write 400 KB each into 64 KB: %u cells\n", u.cells);
	assert_true(u.cells <= 8 * (65536 / 1000 + 4) + 256);
	good_ends(h, 60000);
	hostile_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syn_flood),
		cmocka_unit_test(slow_handshakes),
		cmocka_unit_test(cookies_guessed),
		cmocka_unit_test(closed_port),
		cmocka_unit_test(blind),
		cmocka_unit_test(rst_sweep),
		cmocka_unit_test(ack_storm),
		cmocka_unit_test(optimistic_acks),
		cmocka_unit_test(lying_sacks),
		cmocka_unit_test(jumping_timestamps),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(zero_window_for_ever),
		cmocka_unit_test(tiny_windows),
		cmocka_unit_test(single_bytes),
		cmocka_unit_test(never_reads),
		cmocka_unit_test(never_read_all),
		cmocka_unit_test(never_read_by_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
