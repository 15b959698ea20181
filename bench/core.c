/* SPDX-License-Identifier: MIT */
/*
 * bench-core - nanoseconds per packet of the pure core, beside what memory alone costs.
 *
 *     bench-core [FLOWS...]        without arguments: 1, 1 k, 64 k, 1 M and 4 M flows
 *
 * Packets are 60-byte TCP/IPv4 frames in a ring that stays in the cache; each is given the
 * addresses, ports and numbers of a random direction of a random flow before it is handled.
 * All ways have this generator in common:
 *
 *     floor      read the key from the frame, hash it, and read the one 64-byte line that the
 *                hash names, in an array as large as the table's records, fetched ahead in
 *                bursts of 64
 *     two lines  the same with a line of the table's buckets before it, as any table must read
 *                that finds records at stable addresses: what memory alone takes of the ways
 *                below
 *     core       view_parse, flow_key_of, flows_touch; flows_find_touched; rewrite_fast; in
 *                bursts of 64
 *     tracking   the same, and flow_rec_seen
 *
 * The ways take turns, and the best turn of each counts, in CPU time of the thread.  Figures,
 * not a test: the exit status is 0 wherever the packets come out right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "core/flow.h"
#include "core/quad.h"
#include "core/rewrite.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/view.h"

enum {
	BURST = FLOW_BURST,
	RING = 64,
	FRAME = 60,
	STRIDE = 192,
	L3 = 14,
	L4 = 34,
	TURNS = 100,
	BURSTS_PER_TURN = 1 << 11,
	BURSTS_CHECKED = 2000,
};

enum { FLOOR, TWO_LINES, CORE, TRACKING };

/* clang-format off */
/*
 * Of the floor, at LIMITED_FROM flows and more: below, caches hold it all and the ratio means
 * little.
 */
static const struct limit { unsigned way; double most, aim; } limits[] = {
	{ CORE,     1.5, 1.2 },
	{ TRACKING, 2.2, 1.8 },
};
/* clang-format on */

#define LIMITED_FROM 1000000u

struct bench {
	struct flows *flows;
	uint8_t *lines; /* the floor's array */
	const uint8_t *buckets; /* the table's */
	uint64_t rng, n_flows, n_lines, sum;
	unsigned at; /* next ring slot */
	struct hash_key key;
	struct packet pkt[RING];
	struct view view[BURST];
	struct flow_key keys[BURST];
	uint64_t hash[BURST];
	uint32_t rec[BURST];
	_Alignas(64) uint8_t ring[RING][STRIDE];
};

static uint64_t rnd(struct bench *b)
{
	b->rng ^= b->rng << 13;
	b->rng ^= b->rng >> 7;
	b->rng ^= b->rng << 17;
	return b->rng;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench-core: %s\n", what);
	exit(1);
}

/* Zeroed memory in huge pages, where the system grants them. */
static void *block(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("not enough memory");
	madvise(p, size, MADV_HUGEPAGE);
	return p;
}

/* One direction of flow n, as far as flows differ. */
struct ends {
	uint32_t src, dst, ports;
};

SUT_INLINE struct ends ends_of(uint32_t n, enum sut_side sender)
{
	uint32_t x = 0xc0000200 | (n & 0xff); /* 192.0.2.0/24 */
	uint32_t y = 0xc6336400 | (n >> 8 & 0xff); /* 198.51.100.0/24 */
	uint32_t ports = (1024 + (n >> 16)) << 16 | 80;
	uint32_t swap = (x ^ y) & (0u - (uint32_t)sender);

	return (struct ends){ x ^ swap, y ^ swap,
			      sender == NEAR ? ports : ports << 16 | ports >> 16 };
}

/*
 * Gives the next BURST frames of the ring random flows and numbers; returns the first one's
 * slot.
 */
SUT_INLINE unsigned generate(struct bench *b)
{
	unsigned first = b->at;

	for (unsigned i = 0; i < BURST; i++) {
		uint64_t r = rnd(b), r2 = r * 0x9e3779b97f4a7c15;
		uint8_t *h = b->ring[first + i];
		struct ends e = ends_of((uint32_t)((r >> 32) * b->n_flows >> 32),
					(enum sut_side)(r & 1));

		store_be32(h + L3 + 12, e.src);
		store_be32(h + L3 + 16, e.dst);
		store_be32(h + L4, e.ports);
		memcpy(h + L4 + 4, &r2, 8);
	}
	b->at = (first + BURST) % RING;
	return first;
}

/*
 * Reads what makes a flow in frame h and hashes as much as a flow_key is, put together in
 * registers.
 */
SUT_INLINE uint64_t hash_frame(const struct bench *b, const uint8_t *h)
{
	uint64_t k[5] = {
		0,
		(uint64_t)load_be32(h + L3 + 12) << 32 | 0xffff,
		0,
		(uint64_t)load_be32(h + L3 + 16) << 32 | 0xffff,
		(uint64_t)load_be32(h + L4) << 32 | 0xffffff,
	};

	return hash40(&b->key, k);
}

SUT_INLINE const uint8_t *line_of(const struct bench *b, uint64_t hash)
{
	return b->lines + ((hash >> 32) * b->n_lines >> 32) * 64;
}

static SUT_NOINLINE void floor_burst(struct bench *b)
{
	unsigned first = generate(b);
	const uint8_t *line[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		line[i] = line_of(b, hash_frame(b, b->ring[first + i]));
		prefetch(line[i]);
	}
	for (unsigned i = 0; i < BURST; i++)
		b->sum += mem_load64(line[i]);
}

static SUT_NOINLINE void two_lines_burst(struct bench *b)
{
	unsigned first = generate(b);
	const uint8_t *line[BURST];
	uint64_t hash[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		hash[i] = hash_frame(b, b->ring[first + i]);
		line[i] = b->buckets + (size_t)flows_home(b->flows, hash[i]) * 64;
		prefetch(line[i]);
	}
	for (unsigned i = 0; i < BURST; i++) { /* the second address hangs on the first line */
		line[i] = line_of(b, hash[i]) + (mem_load64(line[i]) & 1);
		prefetch(line[i]);
	}
	for (unsigned i = 0; i < BURST; i++)
		b->sum += *line[i];
}

SUT_INLINE unsigned parse_and_find(struct bench *b)
{
	unsigned first = generate(b);

	for (unsigned i = 0; i < BURST; i++) {
		const struct packet *p = &b->pkt[first + i];

		if (view_parse(p, &b->view[i]) != R_NONE || !b->view[i].tcp)
			fail("a frame was not read as TCP");
		flow_key_of(p, &b->view[i], 0, &b->keys[i]);
		b->hash[i] = flows_touch(b->flows, &b->keys[i]);
	}
	flows_find_touched(b->flows, b->keys, b->hash, NULL, BURST, b->rec);
	return first;
}

SUT_INLINE void shift(struct bench *b, struct packet *p, struct view *v, const struct flow_rec *r)
{
	if (rewrite_fast(p, v, r->add_seq, r->add_ack, r->add_ts, r->flags & FLOW_TS_VAL) != R_NONE)
		fail("a frame was not rewritten");
	b->sum++;
}

static SUT_NOINLINE void core_burst(struct bench *b)
{
	unsigned first = parse_and_find(b);

	for (unsigned i = 0; i < BURST; i++) {
		if (b->rec[i] == FLOW_NONE)
			fail("a flow was not found");
		shift(b, &b->pkt[first + i], &b->view[i], flows_rec(b->flows, b->rec[i]));
	}
}

static SUT_NOINLINE void tracking_burst(struct bench *b)
{
	unsigned first = parse_and_find(b);

	for (unsigned i = 0; i < BURST; i++) {
		struct flow_rec *r = flows_rec(b->flows, b->rec[i]);
		const struct view *v = &b->view[i];
		uint32_t far = 0u - (b->rec[i] & 1); /* what FAR sends is in far numbers */

		if (b->rec[i] == FLOW_NONE)
			fail("a flow was not found");
		flow_rec_seen(r, v->seq + view_seg_len(v) + (r->add_seq & far),
			      v->ack + (r->add_ack & far));
		shift(b, &b->pkt[first + i], &b->view[i], r);
	}
}

static const struct way {
	const char *name;
	void (*burst)(struct bench *b);
} ways[] = {
	{ "floor", floor_burst },
	{ "two lines", two_lines_burst },
	{ "core", core_burst },
	{ "tracking", tracking_burst },
};

enum { WAYS = ARRAY_LEN(ways) };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double turn(struct bench *b, const struct way *w)
{
	double begin = now_ns();

	for (unsigned i = 0; i < BURSTS_PER_TURN; i++)
		w->burst(b);
	return (now_ns() - begin) / ((double)BURSTS_PER_TURN * BURST);
}

static void fill_ring(struct bench *b)
{
	static const uint8_t head[FRAME] = {
		2,	 0, 0,	  0, 0,	 2,    2, 0, 0,
		0,	 0, 1,	  8, 0,	 0x45, 0, 0, 40,
		0,	 1, 0x40, 0, 64, 6,    0, 0, [46] = 5 << 4,
		TCP_ACK, 4, 0,
	};

	for (unsigned i = 0; i < RING; i++) {
		memcpy(b->ring[i], head, FRAME);
		b->pkt[i] = (struct packet){ .head = b->ring[i], .head_len = FRAME };
	}
}

static void key_for(uint32_t n, enum sut_side sender, struct flow_key *ret_k)
{
	struct ends e = ends_of(n, sender);

	*ret_k = (struct flow_key){
		.src = { [10] = 0xff, [11] = 0xff },
		.dst = { [10] = 0xff, [11] = 0xff },
		.sport = be16_of((uint16_t)(e.ports >> 16)),
		.dport = be16_of((uint16_t)e.ports),
		.where = 0xffffff,
	};
	store_be32(ret_k->src + 12, e.src);
	store_be32(ret_k->dst + 12, e.dst);
}

static void fill_table(struct bench *b)
{
	for (uint32_t n = 0; n < b->n_flows; n++) {
		struct flow_key near, far;
		uint32_t f;

		key_for(n, NEAR, &near);
		key_for(n, FAR, &far);
		if (flows_insert(b->flows, &near, &far, &f) != 0)
			fail("a flow was refused");
		for (uint32_t rec = 2 * f; rec <= 2 * f + 1; rec++) {
			struct flow_rec *r = flows_rec(b->flows, rec);

			r->flags = FLOW_FAST;
			r->add_seq = (uint32_t)rnd(b);
			r->add_ack = (uint32_t)rnd(b);
		}
	}
}

/*
 * Is what comes out right?  Each packet's own flow, numbers shifted, and a checksum that was
 * right before still is.
 */
static void check(struct bench *b)
{
	for (unsigned n = 0; n < BURSTS_CHECKED * BURST; n += BURST) {
		unsigned first = parse_and_find(b);

		for (unsigned i = 0; i < BURST; i++) {
			struct packet *p = &b->pkt[first + i];
			struct view *v = &b->view[i];
			const struct flow_rec *r = flows_rec(b->flows, b->rec[i]);
			uint32_t seq = v->seq + r->add_seq, ack = v->ack + r->add_ack;

			if (!flow_key_equal(&r->key, &b->keys[i]))
				fail("another flow was found");
			csum_tcp_fill(p, v);
			p->off.csum = CSUM_UNKNOWN;
			shift(b, p, v, r);
			if (load_be32(p->head + L4 + 4) != seq ||
			    load_be32(p->head + L4 + 8) != ack || !csum_tcp_ok(p, v))
				fail("a packet came out wrong");
		}
	}
}

static void measure(uint32_t n_flows, double ret_ns[WAYS])
{
	struct bench *b = block(sizeof *b);
	size_t table = flows_need(n_flows), lines = (size_t)n_flows * 2 * 64;

	b->rng = 88172645463325252u;
	b->n_flows = n_flows;
	b->n_lines = 2 * (uint64_t)n_flows;
	b->lines = block(lines);
	memset(b->lines, 1, lines);
	for (unsigned i = 0; i < ARRAY_LEN(b->key.k); i++)
		b->key.k[i] = rnd(b);
	b->flows = flows_init(block(table), n_flows, &b->key);
	b->buckets = (const uint8_t *)flows_rec_const(b->flows, 2 * n_flows);
	fill_ring(b);
	fill_table(b);
	check(b);
	for (unsigned w = 0; w < WAYS; w++)
		ret_ns[w] = 1e9;
	for (unsigned t = 0; t < TURNS; t++) {
		for (unsigned w = 0; w < WAYS; w++) {
			double ns = turn(b, &ways[w]);

			if (ns < ret_ns[w])
				ret_ns[w] = ns;
		}
	}
	munmap(b->flows, table);
	munmap(b->lines, lines);
	munmap(b, sizeof *b);
}

static void print_head(void)
{
	char line[256], *cpu = line;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f != NULL && fgets(line, sizeof line, f) != NULL &&
	       strncmp(line, "model name", 10) != 0)
		;
	if (f != NULL)
		fclose(f);
	cpu = strchr(line, ':');
	printf("# The pure core: ns per packet\n\n"
	       "Command: `make bench` (bench-core). CPU: %.*s. Compiler: %s. "
	       "Huge pages asked for with madvise.\n\n"
	       "60-byte TCP/IPv4 frames, random flow and direction per packet, bursts of %d, "
	       "two records a flow, "
	       "the generator included; best of %d turns of %d packets.\n\n"
	       "| flows | floor | two lines | core | x floor | x two lines "
	       "| tracking | x floor | x two lines |\n|---|---|---|---|---|---|---|---|---|\n",
	       cpu != NULL ? (int)strcspn(cpu + 2, "\n") : 7, cpu != NULL ? cpu + 2 : "unknown",
	       __VERSION__, BURST, TURNS, BURSTS_PER_TURN * BURST);
}

static void print_row(uint32_t n_flows, const double ns[WAYS])
{
	printf("| %u | %.1f | %.1f | %.1f | %.2f | %.2f | %.1f | %.2f | %.2f |\n", n_flows,
	       ns[FLOOR], ns[TWO_LINES], ns[CORE], ns[CORE] / ns[FLOOR], ns[CORE] / ns[TWO_LINES],
	       ns[TRACKING], ns[TRACKING] / ns[FLOOR], ns[TRACKING] / ns[TWO_LINES]);
	fflush(stdout);
}

static void print_verdicts(uint32_t n_flows, const double ns[WAYS])
{
	if (n_flows < LIMITED_FROM)
		return;
	for (const struct limit *l = limits; l < limits + ARRAY_LEN(limits); l++) {
		double ratio = ns[l->way] / ns[FLOOR];

		printf("| %s, %u flows | %.2f | %.1f | %.1f | %s |\n", ways[l->way].name, n_flows,
		       ratio, l->most, l->aim,
		       ratio <= l->aim	  ? "PASS, aim met"
		       : ratio <= l->most ? "PASS"
					  : "over");
	}
}

int main(int argc, char **argv)
{
	static const uint32_t usual[] = { 1, 1000, 64000, 1000000, 4000000 };
	unsigned n = argc > 1 ? (unsigned)argc - 1 : ARRAY_LEN(usual);
	uint32_t flows[16];
	double ns[16][WAYS];

	if (n > ARRAY_LEN(flows))
		fail("at most 16 numbers of flows");
	print_head();
	for (unsigned i = 0; i < n; i++) {
		flows[i] = argc > 1 ? (uint32_t)strtoul(argv[i + 1], NULL, 10) : usual[i];
		if (flows_need(flows[i]) == 0)
			fail("FLOWS is a number from 1 to 67108864");
		measure(flows[i], ns[i]);
		print_row(flows[i], ns[i]);
	}
	printf("\n| figure | x floor | limit | aim | verdict |\n|---|---|---|---|---|\n");
	for (unsigned i = 0; i < n; i++)
		print_verdicts(flows[i], ns[i]);
	return 0;
}
