/* SPDX-License-Identifier: MIT */
/*
 * replica_load - CPU time that a rewriter takes per frame, and how many frames leave it right.
 *
 *	replica_load [OPTION]... DIR FLOWS -- COMMAND [ARG]...
 *
 *	-c		three links: what the secondary sends leaves at DIR/compare, else at DIR/primary
 *	-p N[,N]...	payload bytes, at least 4 (64,1460)
 *	-t MS		how long frames are written, for each figure (400)
 *	-n		no timestamps
 *
 * Theory of operation.  COMMAND is started as a child and connects to unix stream sockets in DIR.  FLOWS connections are set up
 * through it: the client's SYN, the secondary's SYN-ACK, the client's ACK (which teaches what the primary's numbers are), the
 * secondary's greeting of a few bytes.  Each flow has initial sequence numbers and timestamps of its own, all different from each other.  Then, for
 * each payload and each way (to the secondary, from the secondary), data frames of all flows in turn: a thread writes them in blocks
 * of 256 KB for MS milliseconds; this thread reads what comes out and looks at each frame's numbers, and at each 1024th frame's checksum.  A
 * figure counts from idle to idle: the child's own CPU clock before the first frame is written and after the last is read, warmed up before.
 *
 * No more than AHEAD frames are under way, and where frames stay away, others follow: filter-rewriter reads on when its output is full, hands on what it keeps
 * only behind a later frame, and drops above 10000.  It is measured where it does not.
 *
 * Frames go from flow to flow by a step that is coprime to their number: each flow has its turn, and neighbours in time are far apart
 * in any table.  Numbers go on from where they were, as in a stream, acknowledgments are those of the other way.
 *
 * Prints a line for each figure:  PAYLOAD WAY FRAMES CPU_NS WALL_NS REORDERED UNTRANSLATED WRONG MISSING BAD_CSUM TS_UNTRANSLATED FLOWS_LOST KB
 *
 *	FRAMES		came out
 *	REORDERED	not where the frame before it in its flow ended
 *	UNTRANSLATED	left with the numbers that they came with
 *	WRONG		left with others that are not right either
 *	MISSING		written, and not out after a second of silence
 *	FLOWS_LOST	flows with at least one frame untranslated or wrong
 *
 * before them "setup" with NS and CPU_NS of the handshakes' frames, and KB, the memory after it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/be.h"
#include "base/packet.h"
#include "proto/checksum.h"
#include "proto/tcp.h"
#include "proto/view.h"
#include "replica_frame.h"
#include "replica_subject.h"

enum {
	BLOCK = 256 << 10,
	SETUP_FLOWS = 128, /* that are half-open at once: as many frames as any socket takes */
	SILENCE_MS = 1000,
	NUDGE_MS = 5,
	LATEST_MS = 3000, /* beyond its time, for what a figure needs at least */
	LIMIT_S = 120, /* for the whole: then this program ends, and its child with it */
	AHEAD = 4096, /* frames written and not read, a block more at most: filter-rewriter drops what is above 10000 */
	CHECK_EVERY = 1024,
	PAYLOADS_MAX = 8,
	GREETING = 4,
	WARM_MS = 60,
	IN_FLIGHT_BYTES =
		400
		<< 20, /* of a flow, for a figure: the other way acknowledges once a figure, and no window is above 1 GB */
	TS_CLIENT = 1000,
};

enum way { TO_SECONDARY, FROM_SECONDARY };
enum kind { KIND_SYN, KIND_SYNACK, KIND_ACK, KIND_GREETING, KIND_DATA };

/* The initial numbers of a flow. */
struct isns {
	uint32_t client, primary, secondary, ts_primary, ts_secondary;
};

struct tally {
	uint64_t frames, reordered, untranslated, wrong, bad_csum, ts_untranslated, flows_lost;
};

/* One kind of frame through all flows, or some. */
struct phase {
	enum kind kind;
	enum way way;
	uint32_t payload;
	uint32_t first, n; /* set-up: flows first to first + n, once; data: see until */
	uint64_t until, least,
		most; /* data: when to stop writing, and how many frames are written at least and at most */
};

struct load {
	struct subject subject;
	unsigned links;
	uint32_t flows, step, at; /* at: the flow whose turn it is */
	uint32_t payload[PAYLOADS_MAX];
	unsigned payloads;
	unsigned ms;
	bool timestamps;
	bool warm[2]; /* each flow has had data this way */
	/* Bytes of each way and flow so far: as the writer, and as the reader knows them.
	 * A data frame carries the writer's in its first four bytes of payload: it can be judged wherever it comes. */
	uint32_t *written[2], *read[2];
	uint8_t *lost; /* of this figure: by flow */
	struct phase phase;
	struct tally tally;
	_Atomic uint64_t sent; /* frames of this phase; UINT64_MAX until the writer is through */
	_Atomic uint64_t received; /* of them, as far as they have been read */
	uint8_t template[RFRAME_MAX];
	size_t stride; /* of the template */
	uint8_t out[BLOCK], in[2 * BLOCK];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t mix(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352du;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return x ^ x >> 16;
}

static struct isns isns_of(uint32_t flow)
{
	struct isns n = { .client = mix(5 * flow), .primary = mix(5 * flow + 1) };

	n.secondary = mix(5 * flow + 2);
	/* Far from wrapping round, and the secondary's never equal to the primary's. */
	n.ts_primary = mix(5 * flow + 3) >> 1;
	n.ts_secondary = (mix(5 * flow + 4) >> 2) + 0x80000000u;
	return n;
}

/* The variable fields of a frame. */
struct numbers {
	uint32_t seq, ack, tsval, tsecr, tag;
};

static struct numbers numbers_of(const struct load *l, const struct phase *p, uint32_t flow)
{
	struct isns n = isns_of(flow);
	uint32_t to = l->written[TO_SECONDARY][flow], from = l->written[FROM_SECONDARY][flow];

	switch (p->kind) {
	case KIND_SYN:
		return (struct numbers){ n.client, 0, TS_CLIENT, 0, 0 };
	case KIND_SYNACK:
		return (struct numbers){ n.secondary, n.client + 1, n.ts_secondary, TS_CLIENT, 0 };
	case KIND_ACK:
	case KIND_GREETING:
	case KIND_DATA:
		break;
	}
	if (p->way == TO_SECONDARY)
		return (struct numbers){ n.client + 1 + to, n.primary + 1 + from, TS_CLIENT + 1,
					 n.ts_primary, to };
	return (struct numbers){ n.secondary + 1 + from, n.client + 1 + to, n.ts_secondary + 1,
				 TS_CLIENT + 1, from };
}

/* The frame of this phase with all of its variable fields zero. */
static void make_template(struct load *l)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK };
	uint8_t opt[40] = { 0 };
	struct rframe f = { .flags = flags[l->phase.kind], .window = 64240, .options = opt };

	f.from_server = l->phase.way == FROM_SECONDARY;
	f.payload_len = l->phase.payload;
	if (l->timestamps) {
		rframe_timestamps(opt, 0, 0);
		f.options_len = 12;
	}
	l->stride = rframe_build(&f, l->template);
}

static uint64_t add32(uint64_t sum, uint32_t v)
{
	return sum + (v >> 16) + (v & 0xffff);
}

/* Writes the checksum field at f, which holds that of the template, for fields worth sum that were zero. */
static void patch_csum(uint8_t *f, uint64_t sum)
{
	sum += (uint16_t)~load_be16(f);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	store_be16(f, (uint16_t)~sum);
}

/* Makes the template at ret_bytes a frame of the flow. */
static void fill(struct load *l, uint8_t *ret_bytes, uint32_t flow)
{
	const struct phase *p = &l->phase;
	struct numbers n = numbers_of(l, p, flow);
	uint8_t *h = ret_bytes + RFRAME_PREFIX;
	uint8_t client = (uint8_t)flow;
	uint16_t port = (uint16_t)(1024 + (flow >> 8));
	uint64_t sum = (uint64_t)client + port;

	memcpy(ret_bytes, l->template, l->stride);
	h[RFRAME_L3 + (p->way == FROM_SECONDARY ? 19 : 15)] = client;
	store_be16(h + RFRAME_L4 + (p->way == FROM_SECONDARY ? 2 : 0), port);
	store_be32(h + RFRAME_L4 + 4, n.seq);
	store_be32(h + RFRAME_L4 + 8, n.ack);
	sum = add32(add32(sum, n.seq), n.ack);
	if (l->timestamps) {
		store_be32(h + RFRAME_OPTIONS + 4, n.tsval);
		store_be32(h + RFRAME_OPTIONS + 8, n.tsecr);
		sum = add32(add32(sum, n.tsval), n.tsecr);
	}
	if (p->payload) {
		uint8_t *tag = ret_bytes + l->stride - p->payload;

		sum = add32(add32(sum, n.tag), ~load_be32(tag));
		store_be32(tag, n.tag);
	}
	patch_csum(h + RFRAME_L3 + 10, client);
	patch_csum(h + RFRAME_L4 + 16, sum);
	l->written[p->way][flow] += p->payload;
}

static bool write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static uint32_t next_flow(struct load *l)
{
	uint32_t flow = l->at;

	l->at = (uint32_t)(((uint64_t)l->at + l->step) % l->flows);
	return flow;
}

/* Have enough data frames been written? */
static bool is_over(const struct phase *p, uint64_t sent)
{
	uint64_t now = now_ns();

	if (sent < p->least)
		return now >= p->until + LATEST_MS * 1000000ull;
	return now >= p->until || sent >= p->most;
}

/* Waits until no more than AHEAD frames are under way: true, or false if none comes out for a while. */
static bool may_go_on(struct load *l, uint64_t sent)
{
	const struct timespec moment = { .tv_nsec = 20000 };
	uint64_t received = atomic_load(&l->received), last = received, since = now_ns();

	while (sent > received + AHEAD) {
		if (received != last)
			since = now_ns();
		else if (now_ns() - since > NUDGE_MS * 1000000ull)
			return false;
		last = received;
		nanosleep(&moment, NULL);
		received = atomic_load(&l->received);
	}
	return true;
}

/* Thread: writes the phase's frames. */
static void *writer(void *arg)
{
	struct load *l = arg;
	const struct phase *p = &l->phase;
	int fd = l->subject.fd[p->way == TO_SECONDARY ? SUBJECT_PRIMARY : SUBJECT_SECONDARY];
	size_t per_block = sizeof l->out / l->stride;
	uint64_t sent = 0;

	while (p->kind != KIND_DATA || !is_over(p, sent)) {
		/* One frame where others stay away: see nudge(). */
		size_t n = 0, most = may_go_on(l, sent) ? per_block : 1;

		for (; n < most && (p->kind == KIND_DATA || sent + n < p->n); n++)
			fill(l, l->out + n * l->stride,
			     p->kind == KIND_DATA ? next_flow(l) : p->first + (uint32_t)(sent + n));
		if (n == 0 || !write_all(fd, l->out, n * l->stride))
			break;
		sent += n;
	}
	atomic_store(&l->sent, sent);
	return NULL;
}

static bool csum_right(uint8_t *frame, uint32_t len)
{
	struct packet p = { .head = frame, .head_len = len };
	struct view v;

	return view_parse(&p, &v) == R_NONE && v.tcp && csum_ip_ok(&p, &v) && csum_tcp_ok(&p, &v);
}

/* A data frame that came out: its numbers, by what the reader knows of its flow. */
static void judge(struct load *l, uint8_t *h, uint32_t len)
{
	enum way way = l->phase.way;
	uint32_t client = h[RFRAME_L3 + (way == FROM_SECONDARY ? 19 : 15)];
	uint32_t port = load_be16(h + RFRAME_L4 + (way == FROM_SECONDARY ? 2 : 0));
	uint32_t flow = (port - 1024) << 8 | client;
	uint32_t seq = load_be32(h + RFRAME_L4 + 4), ack = load_be32(h + RFRAME_L4 + 8);
	struct tally *t = &l->tally;
	uint32_t tag, other;
	struct isns n;
	bool kept, moved, same; /* the client's number; the server's, translated, or not */

	if (len + RFRAME_PREFIX != l->stride || flow >= l->flows) {
		t->wrong++;
		return;
	}
	n = isns_of(flow);
	tag = load_be32(h + len - l->phase.payload);
	other = l->written[!way][flow]; /* which does not change now */
	kept = (way == TO_SECONDARY ? seq - tag : ack - other) == n.client + 1;
	moved = (way == TO_SECONDARY ? ack - other - n.secondary : seq - tag - n.primary) == 1;
	same = (way == TO_SECONDARY ? ack - other - n.primary : seq - tag - n.secondary) == 1;
	t->untranslated += kept && same;
	t->wrong += !kept || (!moved && !same);
	if (!kept || !moved) {
		t->flows_lost += !l->lost[flow];
		l->lost[flow] = 1;
	}
	t->reordered += tag != l->read[way][flow];
	l->read[way][flow] = tag + l->phase.payload;
	if (l->timestamps) {
		uint32_t ts = load_be32(h + RFRAME_OPTIONS + (way == TO_SECONDARY ? 8 : 4));

		t->ts_untranslated += ts !=
				      (way == TO_SECONDARY ? n.ts_secondary : n.ts_primary + 1);
	}
	if (t->frames % CHECK_EVERY == 0)
		t->bad_csum += !csum_right(h, len);
}

/* Takes the whole frames among the n bytes at l->in: how many bytes they were. */
static size_t take(struct load *l, size_t n)
{
	size_t at = 0;

	while (n - at >= RFRAME_PREFIX) {
		uint32_t len = load_be32(l->in + at);

		if (n - at - RFRAME_PREFIX < len)
			break;
		if (l->phase.kind == KIND_DATA)
			judge(l, l->in + at + RFRAME_PREFIX, len);
		l->tally.frames++;
		at += RFRAME_PREFIX + len;
	}
	return at;
}

/*
 * One frame more, where the rewriter sits on frames until another one comes: filter-rewriter hands on what a full socket has made it keep
 * when the next frame has gone out before it.
 */
static void nudge(struct load *l)
{
	const struct phase *p = &l->phase;
	int fd = l->subject.fd[p->way == TO_SECONDARY ? SUBJECT_PRIMARY : SUBJECT_SECONDARY];

	if (p->kind != KIND_DATA)
		return;
	fill(l, l->out, next_flow(l));
	if (write_all(fd, l->out, l->stride))
		atomic_fetch_add(&l->sent, 1);
}

/* Reads until all that was written has come out, or nothing more comes. */
static void reader(struct load *l)
{
	unsigned out = l->links == SUBJECT_LINKS ? SUBJECT_COMPARE : SUBJECT_PRIMARY;
	struct pollfd p = { .events = POLLIN };
	unsigned silent = 0;
	size_t have = 0;

	p.fd = l->subject.fd[l->phase.way == TO_SECONDARY ? SUBJECT_SECONDARY : out];
	while (l->tally.frames < atomic_load(&l->sent) && silent < SILENCE_MS / NUDGE_MS) {
		ssize_t n;

		if (poll(&p, 1, NUDGE_MS) == 0) {
			if (atomic_load(&l->sent) != UINT64_MAX) {
				silent++;
				nudge(l);
			}
			continue;
		}
		n = recv(p.fd, l->in + have, sizeof l->in - have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) {
			fprintf(stderr, "the rewriter has closed a link\n");
			break;
		}
		silent = 0;
		have += (size_t)n;
		n = (ssize_t)take(l, have);
		have -= (size_t)n;
		memmove(l->in, l->in + n, have);
		atomic_store(&l->received, l->tally.frames);
	}
}

/* One phase, from idle to idle. */
static void run(struct load *l)
{
	pthread_t thread;

	make_template(l);
	l->tally = (struct tally){ .frames = 0 };
	memset(l->lost, 0, l->flows);
	atomic_store(&l->sent, UINT64_MAX);
	atomic_store(&l->received, 0);
	if (pthread_create(&thread, NULL, writer, l) != 0) {
		fprintf(stderr, "no thread\n");
		subject_stop(&l->subject);
		exit(1);
	}
	reader(l);
	pthread_join(thread, NULL);
	if (l->tally.frames != l->sent)
		memcpy(l->read[l->phase.way], l->written[l->phase.way],
		       l->flows * sizeof **l->read);
}

static void set_up(struct load *l)
{
	static const enum way ways[] = { TO_SECONDARY, FROM_SECONDARY, TO_SECONDARY,
					 FROM_SECONDARY };
	uint64_t cpu, began;

	subject_settle(&l->subject);
	cpu = subject_cpu_ns(&l->subject);
	began = now_ns();

	for (uint32_t first = 0; first < l->flows; first += SETUP_FLOWS) {
		uint32_t n = l->flows - first < SETUP_FLOWS ? l->flows - first : SETUP_FLOWS;

		for (unsigned k = KIND_SYN; k <= KIND_GREETING; k++) {
			l->phase =
				(struct phase){ .kind = k, .way = ways[k], .first = first, .n = n };
			l->phase.payload = k == KIND_GREETING ? GREETING : 0;
			run(l);
			if (l->tally.frames != n)
				fprintf(stderr, "set-up: %u frames in, %llu out\n", n,
					(unsigned long long)l->tally.frames);
		}
	}
	memcpy(l->read[FROM_SECONDARY], l->written[FROM_SECONDARY], l->flows * sizeof **l->read);
	printf("setup %llu %llu %llu\n", (unsigned long long)(now_ns() - began),
	       (unsigned long long)(subject_cpu_ns(&l->subject) - cpu),
	       (unsigned long long)subject_memory_kb(&l->subject));
	fflush(stdout);
}

/* A figure: some frames to warm up with, then those that count. */
static void measure(struct load *l, uint32_t payload, enum way way)
{
	const struct tally *t = &l->tally;
	uint64_t cpu, began, wall;

	l->phase = (struct phase){ .kind = KIND_DATA, .way = way, .payload = payload };
	l->phase.until = now_ns() + WARM_MS * 1000000ull;
	l->phase.most = (uint64_t)l->flows * (IN_FLIGHT_BYTES / payload);
	l->phase.least = l->warm[way] ? 0 : l->flows; /* no flow's first data counts */
	run(l);
	cpu = subject_cpu_ns(&l->subject);
	began = now_ns();
	l->warm[way] = true;
	l->phase.least = 0;
	l->phase.until = began + l->ms * 1000000ull;
	run(l);
	wall = now_ns() - began;
	cpu = subject_cpu_ns(&l->subject) - cpu;
	printf("%u %s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n", payload,
	       way == TO_SECONDARY ? "to" : "from", (unsigned long long)t->frames,
	       (unsigned long long)cpu, (unsigned long long)wall, (unsigned long long)t->reordered,
	       (unsigned long long)t->untranslated, (unsigned long long)t->wrong,
	       (unsigned long long)(l->sent - t->frames), (unsigned long long)t->bad_csum,
	       (unsigned long long)t->ts_untranslated, (unsigned long long)t->flows_lost,
	       (unsigned long long)subject_memory_kb(&l->subject));
	fflush(stdout);
}

/* A step of about 0.618 n that has no divisor in common with n. */
static uint32_t step_of(uint32_t n)
{
	for (uint32_t step = (uint32_t)((uint64_t)n * 618 / 1000) | 1;; step += 2) {
		uint32_t a = step, b = n;

		while (b) {
			uint32_t r = a % b;

			a = b;
			b = r;
		}
		if (a == 1)
			return step;
	}
}

static bool parse(struct load *l, int argc, char **argv)
{
	char *word;
	int c;

	while ((c = getopt(argc, argv, "+cnp:t:")) != -1) {
		switch (c) {
		case 'c':
			l->links = SUBJECT_LINKS;
			break;
		case 'n':
			l->timestamps = false;
			break;
		case 'p':
			l->payloads = 0;
			for (word = strtok(optarg, ","); word && l->payloads < PAYLOADS_MAX;
			     word = strtok(NULL, ","))
				l->payload[l->payloads++] = (uint32_t)strtoul(word, NULL, 10);
			break;
		case 't':
			l->ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	for (unsigned i = 0; i < l->payloads; i++)
		if (l->payload[i] < 4 || l->payload[i] > 1460)
			return false;
	/* 256 addresses, and the ports from 1024 on */
	if (argc - optind < 4 || strcmp(argv[optind + 2], "--") != 0)
		return false;
	l->flows = (uint32_t)strtoul(argv[optind + 1], NULL, 10);
	return l->flows >= 1 && l->flows <= 64512u * 256;
}

int main(int argc, char **argv)
{
	static struct load l = {
		.links = 2,
		.payload = { 64, 1460 },
		.payloads = 2,
		.ms = 400,
		.timestamps = true,
	};

	if (!parse(&l, argc, argv)) {
		fprintf(stderr,
			"usage: replica_load [-cn] [-p N,...] [-t MS] DIR FLOWS -- COMMAND...\n");
		return 2;
	}
	for (unsigned i = 0; i < 2; i++) {
		l.written[i] = calloc(l.flows, sizeof *l.written[i]);
		l.read[i] = calloc(l.flows, sizeof *l.read[i]);
		if (!l.written[i] || !l.read[i])
			return 1;
	}
	l.lost = calloc(l.flows, 1);
	if (!l.lost)
		return 1;
	l.step = step_of(l.flows);
	alarm(LIMIT_S);
	subject_start(&l.subject, argv[optind], l.links, argv + optind + 3);
	set_up(&l);
	for (unsigned i = 0; i < l.payloads; i++) {
		measure(&l, l.payload[i], TO_SECONDARY);
		measure(&l, l.payload[i], FROM_SECONDARY);
	}
	subject_stop(&l.subject);
	return 0;
}
