/* SPDX-License-Identifier: MIT */
#include "app/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/clock.h"
#include "app/merge.h"
#include "app/report.h"
#include "app/runner.h"
#include "proto/checksum.h"
#include "proto/print.h"
#include "proto/view.h"

#define START SUT_MS(1000) /* the role's time at the first frame */
#define PROGRESS_EVERY SUT_MS(200)
#define STUCK_ROUNDS \
	1000000u /* that many calls at one time without output: the role would never go on */

struct replay {
	const struct replay_config *cfg;
	struct runner runner;
	struct merge merge;
	struct sides *sides;
	struct capture_writer *writer[REPLAY_FILES_MAX];
	struct port_stats
		stats[ROLE_PORTS_MAX]; /* of each role port: rx, tx and what was skipped */
	uint64_t cut[REPLAY_FILES_MAX], long_frames;
	sut_time now; /* the role's */
	sut_time base; /* capture's time at the role's time 0 */
	uint64_t frames;
	sut_time next_progress;
	uint64_t rng;
	uint8_t buf[PACKET_HEADROOM + PACKET_MAX];
};

/* SplitMix64: a stream of bits from the seed. */
static uint64_t replay_random(void *ctx)
{
	uint64_t *state = ctx, z;

	z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void print_line(const struct replay *r, const char *way, unsigned port,
		       const struct packet *p)
{
	char text[PRINT_MAX];
	sut_time t = r->now - START;

	print_packet(p, text, sizeof text);
	printf("%" PRIu64 ".%09" PRIu64 " %s %-9s %s\n", t / 1000000000, t % 1000000000, way,
	       r->cfg->ops->ports[port].name, text);
}

/* What the role put in the outbox goes to the captures. */
static void flush(struct replay *r)
{
	struct outbox *o = &r->runner.out;

	for (unsigned i = 0; i < o->n; i++) {
		unsigned port = o->port[i];
		const struct packet *p = o->pkt[i];

		if (!runner_may_send(&r->runner, port))
			continue;
		runner_count_out(&r->runner, port, p);
		r->stats[port].tx++;
		r->stats[port].tx_bytes += packet_len(p);
		if (r->cfg->verbose)
			print_line(r, ">", port, p);
		for (unsigned w = 0; w < r->cfg->out_count; w++)
			if (r->cfg->out[w].port == REPLAY_ANY || r->cfg->out[w].port == (int)port)
				capture_write(r->writer[w], p, r->base + r->now);
	}
	outbox_clear(o);
}

/* Fires all timers due up to until, each at its own time: 0, or -ELOOP if the role's time stands still. */
static int run_timers(struct replay *r, sut_time until)
{
	unsigned idle = 0;
	sut_time t;

	while ((t = runner_deadline(&r->runner)) <= until && t != SUT_NEVER) {
		if (t > r->now) {
			r->now = t;
			idle = 0;
		} else if (idle++ == STUCK_ROUNDS) {
			fprintf(stderr,
				"suture replay: %s wants to be called again and again at the same "
				"time\n",
				r->cfg->ops->name);
			return -ELOOP;
		}
		runner_expire(&r->runner, r->now);
		if (r->runner.out.n)
			idle = 0;
		flush(r);
	}
	return 0;
}

/* A checksum field that holds just the pseudo-header sum, where that is wrong, was left to a device. */
static void find_partial(struct packet *p)
{
	struct view v;

	if (view_parse(p, &v) != R_NONE || !v.tcp || csum_tcp_ok(p, &v) ||
	    be16_get(view_tcp(p, &v)->csum) != csum_pseudo(p, &v, v.l4_len))
		return;
	p->off.csum = CSUM_PARTIAL;
	p->off.csum_start = v.l4;
	p->off.csum_offset = offsetof(struct tcp_hdr, csum);
}

/* Where to count a frame that is skipped: nobody can tell the port of one in a capture of both. */
static struct port_stats *skipped_at(struct replay *r, unsigned source)
{
	int port = r->cfg->in[source].port;

	return &r->stats[port == REPLAY_ANY ? 0 : port];
}

/* Makes a packet of the frame: false, and counted, if it is not whole. */
static bool load(struct replay *r, const struct capture_frame *f, unsigned source,
		 struct packet *ret_p)
{
	if (f->len < f->wire_len) {
		r->cut[source]++;
		skipped_at(r, source)->rx_cut++;
		return false;
	}
	if (f->len > PACKET_MAX) {
		r->long_frames++;
		skipped_at(r, source)->rx_errors++;
		return false;
	}
	*ret_p = (struct packet){ .head = r->buf + PACKET_HEADROOM, .head_len = f->len };
	memcpy(ret_p->head, f->bytes, f->len);
	if (r->cfg->offloaded)
		find_partial(ret_p);
	return true;
}

static void show_progress(struct replay *r)
{
	sut_time t;

	if (!r->cfg->progress || r->frames % 1024)
		return;
	t = clock_now();
	if (t < r->next_progress)
		return;
	r->next_progress = t + PROGRESS_EVERY;
	fprintf(stderr, "\rsuture replay: %" PRIu64 " frames", r->frames);
}

static int play_frame(struct replay *r, const struct capture_frame *f, unsigned source)
{
	struct packet packet, *p = &packet;
	unsigned port;
	int err;

	if (r->frames++ == 0) {
		r->base = f->at - START;
		r->now = START;
	}
	show_progress(r);
	if (!load(r, f, source, p))
		return 0;
	port = r->cfg->in[source].port == REPLAY_ANY ? (unsigned)sides_of(r->sides, p)
						     : (unsigned)r->cfg->in[source].port;
	if (f->at > r->base + r->now) {
		err = run_timers(r, f->at - r->base);
		if (err)
			return err;
		r->now = f->at - r->base;
	}
	r->stats[port].rx++;
	r->stats[port].rx_bytes += f->len;
	if (r->cfg->verbose)
		print_line(r, "<", port, p);
	runner_input(&r->runner, port, &p, 1, r->now);
	flush(r);
	return 0;
}

/* All frames, and the timers after them. */
static int play(struct replay *r)
{
	struct capture_frame f;
	unsigned source;
	sut_time end;
	int got, err;

	while ((got = merge_next(&r->merge, &f, &source)) == 1) {
		err = play_frame(r, &f, source);
		if (err)
			return err;
	}
	end = r->cfg->drain > SUT_NEVER - 1 - r->now ? SUT_NEVER - 1 : r->now + r->cfg->drain;
	err = r->frames ? run_timers(r, end) : 0;
	if (r->cfg->progress && r->next_progress)
		fputs("\r\033[K", stderr);
	if (got < 0)
		fprintf(stderr, "suture replay: %s\n", r->merge.error);
	return got < 0 ? got : err;
}

static void note_skipped(const struct replay *r)
{
	for (unsigned i = 0; i < r->cfg->in_count; i++)
		if (r->cut[i])
			fprintf(stderr,
				"suture replay: %s: skipped %" PRIu64
				" frames of which only a part was captured (capture whole frames: "
				"tcpdump -s 0)\n",
				r->cfg->in[i].file, r->cut[i]);
	if (r->long_frames)
		fprintf(stderr, "suture replay: skipped %" PRIu64 " frames longer than %u bytes\n",
			r->long_frames, PACKET_MAX);
}

static void summary(const struct replay *r)
{
	struct report_port ports[ROLE_PORTS_MAX];
	struct report report = {
		.ops = r->cfg->ops,
		.counters = &r->runner.counters,
		.ports = ports,
	};

	for (unsigned i = 0; r->cfg->ops->ports[i].name; i++) {
		const char *spec = "replay";

		if (!(r->runner.env.ports >> i & 1))
			continue;
		for (unsigned j = 0; j < r->cfg->in_count; j++)
			if (r->cfg->in[j].port == REPLAY_ANY || r->cfg->in[j].port == (int)i)
				spec = r->cfg->in[j].file;
		ports[report.port_count++] = (struct report_port){
			.name = r->cfg->ops->ports[i].name,
			.spec = spec,
			.stats = r->stats[i],
		};
	}
	if (r->cfg->json)
		report_json(&report, stdout);
	else
		report_text(&report, stdout);
}

/* Ports of frames that must be joined, and those for which a capture is named; no port of messages. */
static uint32_t joined(const struct replay_config *c)
{
	uint32_t ports = 0;

	for (unsigned i = 0; c->ops->ports[i].name; i++)
		if (c->ops->ports[i].kind == PORT_FRAMES && !c->ops->ports[i].optional)
			ports |= (uint32_t)1 << i;
	for (unsigned i = 0; i < c->in_count; i++)
		if (c->in[i].port != REPLAY_ANY)
			ports |= (uint32_t)1 << c->in[i].port;
	for (unsigned i = 0; i < c->out_count; i++)
		if (c->out[i].port != REPLAY_ANY)
			ports |= (uint32_t)1 << c->out[i].port;
	return ports;
}

static int open_runner(struct replay *r)
{
	struct role_env env = {
		.random = replay_random,
		.random_ctx = &r->rng,
		.ports = joined(r->cfg),
	};
	uint64_t word;
	int err;

	r->rng = r->cfg->seed;
	for (unsigned i = 0; i < sizeof env.secret; i += sizeof word) {
		word = replay_random(&r->rng);
		memcpy(env.secret + i, &word, sizeof word);
	}
	err = runner_open(&r->runner, r->cfg->ops, r->cfg->role_config, &env);
	if (err)
		fprintf(stderr, "suture replay: %s: %s\n", r->cfg->ops->name,
			err == -EINVAL && r->cfg->role_error ? r->cfg->role_error : strerror(-err));
	return err;
}

/* Opens inputs, then outputs: an input that cannot be read must not cost an older output. */
static int open_files(struct replay *r)
{
	const char *files[REPLAY_FILES_MAX];
	char why[600];
	int err;

	for (unsigned i = 0; i < r->cfg->in_count; i++)
		files[i] = r->cfg->in[i].file;
	err = merge_open(&r->merge, files, r->cfg->in_count, why, sizeof why);
	for (unsigned i = 0; i < r->cfg->out_count && err == 0; i++)
		err = capture_create(r->cfg->out[i].file, &r->writer[i], why, sizeof why);
	if (err)
		fprintf(stderr, "suture replay: %s\n", why);
	return err;
}

static int close_files(struct replay *r)
{
	char why[600];
	int err = 0;

	merge_close(&r->merge);
	for (unsigned i = 0; i < r->cfg->out_count; i++) {
		if (r->writer[i] && capture_finish(r->writer[i], why, sizeof why) != 0) {
			fprintf(stderr, "suture replay: %s\n", why);
			err = -EIO;
		}
	}
	return err;
}

static int run(struct replay *r)
{
	int err = open_files(r), close_err;

	if (err == 0)
		err = play(r);
	note_skipped(r);
	if (err == 0 && r->cfg->summary)
		summary(r);
	close_err = close_files(r);
	return err || close_err ? 1 : 0;
}

int replay_run(const struct replay_config *cfg)
{
	struct replay *r = calloc(1, sizeof *r);
	int code = 1;

	if (!r)
		return 1;
	r->cfg = cfg;
	r->sides = sides_open(cfg->clients);
	if (r->sides && open_runner(r) == 0) {
		code = run(r);
		runner_close(&r->runner);
	}
	if (r->sides)
		sides_close(r->sides);
	free(r);
	return code;
}
