/* SPDX-License-Identifier: MIT */
#include "replica_plan.h"

#include <stdio.h>
#include <string.h>

#include "rng.h"

/*
 * Theory of operation
 *
 * P and S run one script on one kind of kernel: what they announce in a SYN is the same.  All else is
 * each one's own: ISN, the base of its clock, pace, segmentation, time-outs.
 *
 * The lane to S loses nothing: what P has acknowledged S must get.  Where S becomes a copy of P, the
 * mirror hangs at P's own device, so that S has had all that is not in the mirror.
 */

#define US(n) ((sut_time)(n)*1000)

const char *pair_lane_name(enum pair_lane lane)
{
	static const char *const name[] = {
#define X(id, text, dir) text,
		PAIR_LANES(X)
#undef X
	};

	return name[lane];
}

char pair_lane_dir(enum pair_lane lane)
{
	static const char dirs[] = {
#define X(id, text, dir) dir,
		PAIR_LANES(X)
#undef X
	};

	return dirs[lane];
}

static void draw_outside(struct rng *r, struct pair_plan *p, struct link_config *l)
{
	bool wild = rng_chance(r, 30);

	l->delay = US(rng_range(r, 1, wild ? 40000 : 3000));
	if (rng_chance(r, 40))
		l->jitter = US(rng_range(r, 0, wild ? 8000 : 300));
	if (rng_chance(r, 15))
		l->rate_bps = (uint64_t)rng_range(r, 5, 200) * 1000000;
	if (p->lossy)
		l->loss_ppm = rng_range(r, 0, rng_chance(r, 30) ? 60000 : 15000);
	if (rng_chance(r, 30))
		l->dup_ppm = rng_range(r, 0, 30000);
	if (rng_chance(r, 30))
		l->reorder_ppm = rng_range(r, 0, 30000);
}

static void draw_lanes(struct rng *r, struct pair_plan *p, bool at_device)
{
	for (unsigned i = 0; i < LANES; i++) {
		struct link_config *l = &p->lane[i];

		l->seed = rng_next(r);
		if (i == LANE_UP || i == LANE_DOWN) {
			draw_outside(r, p, l);
			continue;
		}
		if (i == LANE_P_IN && p->lossy && rng_chance(r, 20))
			l->loss_ppm = rng_range(r, 1000, 20000);
		if (i == LANE_P_IN && at_device)
			continue;
		l->delay = US(rng_below(r, rng_chance(r, 20) && i < LANE_S_IN ? 20000 : 300));
		l->jitter = rng_chance(r, 50) ? 0 : US(rng_below(r, 1000));
	}
	p->lane[LANE_NETWORK].delay = US(rng_below(r, 300));
}

static void draw_addresses(struct rng *r, struct ends *e, unsigned i)
{
	static const uint8_t net6[4] = { 0x20, 0x01, 0x0d, 0xb8 };

	e->ip = rng_chance(r, 75) ? 4 : 6;
	e->vlan = rng_chance(r, 10) ? (uint16_t)rng_range(r, 1, 4094) : 0;
	if (e->ip == 4) {
		memcpy(e->src, (uint8_t[]){ 192, 0, 2, (uint8_t)(10 + rng_below(r, 2)) }, 4);
		memcpy(e->dst, (uint8_t[]){ 198, 51, 100, 1 }, 4);
	} else {
		memcpy(e->src, net6, 4);
		memcpy(e->dst, net6, 4);
		e->src[15] = (uint8_t)(10 + rng_below(r, 2));
		e->dst[14] = e->dst[15] = 1;
	}
	e->sport = (uint16_t)(40000 + i);
	e->dport = 80;
}

static struct ends turned(const struct ends *e)
{
	struct ends t = *e;

	memcpy(t.src, e->dst, sizeof t.src);
	memcpy(t.dst, e->src, sizeof t.dst);
	t.sport = e->dport;
	t.dport = e->sport;
	return t;
}

static uint32_t draw_isn(struct rng *r)
{
	return rng_chance(r, 20) ? 0u - rng_below(r, 5000) : (uint32_t)rng_next(r);
}

/* What a SYN shows: the same for P and S. */
static void draw_features(struct rng *r, struct peer_config *c)
{
	static const uint16_t mss[] = { 1460, 1460, 1460, 1460, 1440, 1400, 1220, 536, 0 };

	c->mss = mss[rng_below(r, 9)];
	if (c->ends.ip == 6 && c->mss == 1460)
		c->mss = 1440;
	c->wscale = rng_chance(r, 10) ? PEER_NO_WSCALE : (uint8_t)rng_below(r, 10);
	c->sack = rng_chance(r, 85);
	c->ts = rng_chance(r, 90);
	c->buffer = rng_range(r, 8192, rng_chance(r, 50) ? 65535 : 300000);
	if (c->wscale != PEER_NO_WSCALE && c->buffer < 2u << c->wscale)
		c->buffer = 2u << c->wscale;
}

/* What no SYN shows: each end's own. */
static void draw_temper(struct rng *r, struct peer_config *c)
{
	c->kernel = true;
	c->isn = draw_isn(r);
	c->ts_base = (uint32_t)rng_next(r);
	c->delay_acks = rng_chance(r, 60);
	c->delack = SUT_MS(rng_range(r, 1, 60));
	c->cwnd = (uint8_t)rng_range(r, 1, 20);
	c->seg_max = rng_chance(r, 30) ? (uint16_t)rng_range(r, 100, 1400) : 0;
	c->think = rng_chance(r, 60) ? 0 : US(rng_below(r, 30000));
	c->rto = SUT_MS(rng_range(r, rng_chance(r, 30) ? 40 : 200, 1000));
	c->abort_at = SUT_NEVER;
}

static uint32_t draw_length(struct rng *r)
{
	if (rng_chance(r, 15))
		return rng_below(r, 60000);
	return rng_range(r, 1, rng_chance(r, 50) ? 300 : 9000);
}

/* Who asks first is answered, who listens may have a greeting. */
static void draw_script(struct rng *r, struct peer_config *opener, struct peer_config *other)
{
	opener->kind = PEER_CLIENT;
	other->kind = PEER_SERVER;
	opener->out_len = other->in_len = draw_length(r);
	other->out_len = opener->in_len = draw_length(r);
	other->first_len = rng_chance(r, 20) ? rng_range(r, 1, 3000) : 0;
	if (other->first_len > other->out_len)
		other->first_len = other->out_len;
	other->wait_len = other->in_len;
	opener->first_len = other->first_len ? 0 : opener->out_len;
	opener->wait_len = other->first_len;
	opener->fin_early = rng_chance(r, 25);
	other->fin_early = rng_chance(r, 60);
	opener->content = other->content = (uint32_t)rng_next(r);
}

/* By how many ms TSval may go back on its way to the clients. */
static uint32_t ts_back(const struct pair_plan *p)
{
	sut_time t = p->compare ? SUT_MS(5000) : SUT_MS(10);

	for (unsigned i = 0; i < LANES; i++)
		t += 2 * p->lane[i].delay + p->lane[i].jitter;
	return (uint32_t)(t / SUT_MS(1));
}

/*
 * The ports of the connection before, a while after its end.  Not of one that guests opened where S
 * becomes P: the rewriter may not have seen its end.
 */
static void reuse(struct rng *r, struct pair_plan *p, unsigned i)
{
	struct pair_conn_plan *c = &p->conn[i], *before = c - 1;

	c->reuses = -1;
	if (i == 0 || c->guest_opens != before->guest_opens || (c->guest_opens && p->copied) ||
	    c->out.ends.ip != before->out.ends.ip || !rng_chance(r, 25))
		return;
	c->reuses = (int)i - 1;
	c->start = SUT_MS(rng_range(r, 100, 70000));
	c->out.abort_at = SUT_NEVER;
	c->out.ends = before->out.ends;
	c->p.ends = before->p.ends;
	c->s.ends = before->s.ends;
	c->out.ts_base = before->out.ts_base;
	c->out.isn = before->out.isn + before->out.out_len + rng_range(r, 100, 1u << 20);
	c->p.isn = before->p.isn + before->p.out_len + rng_range(r, 100, 1u << 20);
	c->s.isn = before->s.isn + before->s.out_len + rng_range(r, 100, 1u << 20);
}

static void draw_conn(struct rng *r, struct pair_plan *p, unsigned i)
{
	struct pair_conn_plan *c = &p->conn[i];
	struct peer_config pair = { 0 };
	sut_time before = RUN_FIRST;

	for (unsigned k = 0; k < i; k++)
		if (p->conn[k].reuses < 0)
			before = p->conn[k].start;

	c->guest_opens = p->copies && rng_chance(r, 25);
	draw_addresses(r, &c->out.ends, i);
	pair.ends = turned(&c->out.ends);
	draw_features(r, &c->out);
	draw_features(r, &pair);
	if (c->guest_opens)
		draw_script(r, &pair, &c->out);
	else
		draw_script(r, &c->out, &pair);
	draw_temper(r, &c->out);
	c->p = c->s = pair;
	draw_temper(r, &c->p);
	draw_temper(r, &c->s);
	c->p.ends.mark = PAIR_P_MARK;
	c->s.ends.mark = PAIR_S_MARK;
	c->out.ts_back = c->p.ts_back = c->s.ts_back = ts_back(p);
	c->s.trims = true;
	c->s.echo_slack = 120000;
	if (rng_chance(r, 4) && c->p.in_len)
		c->p.abort_after = c->s.abort_after = rng_range(r, 1, c->p.in_len);
	if (rng_chance(r, 3))
		c->out.abort_at = before + SUT_MS(rng_below(r, 1000));
	c->start = before + US(rng_below(r, rng_chance(r, 50) ? 5000 : 500000));
	c->lag = US(rng_below(r, 20000));
	reuse(r, p, i);
}

static uint32_t packets_of(const struct pair_conn_plan *c)
{
	return 10 + (c->out.out_len + c->out.in_len) / 1000 * 2;
}

static struct pair_when draw_when(struct rng *r, const struct pair_plan *p)
{
	struct pair_when w = { (enum pair_trigger)rng_below(r, 3), rng_below(r, p->conns), 0 };
	uint32_t all = 0;

	for (unsigned i = 0; i < p->conns; i++)
		all += packets_of(&p->conn[i]);
	w.packet = rng_range(r, 1, w.by == BY_PACKETS ? all : rng_chance(r, 70) ? 7 : 30);
	return w;
}

static void draw_joints(struct rng *r, struct pair_plan *p)
{
	p->copies = rng_chance(r, 60);
	p->compare_port = rng_chance(r, 30);
	p->network_port = rng_chance(r, 40);
	p->out_port = rng_chance(r, 25);
	p->s_at_out_port = p->out_port && rng_chance(r, 50);
	p->mirrors = rng_chance(r, 40);
	p->drains = !p->compare || rng_chance(r, 50);
	p->loses_in_flight = rng_chance(r, 50);
	p->lossy = rng_chance(r, 60);
	p->rewriter_first = rng_chance(r, 50);
	p->tells_as_qemu = rng_chance(r, 50);
}

void pair_plan_draw(uint64_t seed, bool compare, struct pair_plan *ret_p)
{
	struct rng r = { seed };
	unsigned checkpoints;

	memset(ret_p, 0, sizeof *ret_p);
	ret_p->seed = seed;
	ret_p->compare = compare;
	draw_joints(&r, ret_p);
	checkpoints = rng_chance(&r, 20) ? rng_range(&r, 1, PAIR_CHECKPOINTS_MAX) : 0;
	ret_p->copied = checkpoints > 0;
	draw_lanes(&r, ret_p, compare || checkpoints > 0);
	ret_p->conns = rng_range(&r, 1, PAIR_CONNS_MAX);
	for (unsigned i = 0; i < ret_p->conns; i++)
		draw_conn(&r, ret_p, i);
	if (rng_chance(&r, 95))
		ret_p->death = draw_when(&r, ret_p);
	ret_p->detect = rng_chance(&r, 30) ? 0 : US(rng_below(&r, 400000));
	for (unsigned i = 0; i < checkpoints; i++)
		ret_p->checkpoint[i] = draw_when(&r, ret_p);
	replica_rewrite_defaults(&ret_p->rewrite);
	replica_mirror_defaults(&ret_p->mirror);
	replica_compare_defaults(&ret_p->comparing);
	ret_p->comparing.max_flows = 64;
	ret_p->comparing.hold_cells = 2048;
	ret_p->comparing.idle_time = SUT_MS(1200000);
	ret_p->rewrite.max_flows = 64;
	ret_p->rewrite.hold_cells = 512;
	ret_p->rewrite.idle_time = SUT_MS(1200000);
}

static void print_peer(const char *what, const struct peer_config *c)
{
	printf("  %s %s port %u isn %u mss %u wscale %d%s%s ts_base %u buffer %u out %u first %u "
	       "think %llu us rto %llu ms cwnd %u seg %u%s\n",
	       what, c->kind == PEER_CLIENT ? "opens" : "listens", c->ends.sport, c->isn, c->mss,
	       c->wscale == PEER_NO_WSCALE ? -1 : c->wscale, c->sack ? " sack" : "",
	       c->ts ? " ts" : "", c->ts_base, c->buffer, c->out_len, c->first_len,
	       (unsigned long long)c->think / 1000, (unsigned long long)(c->rto / SUT_MS(1)),
	       c->cwnd, c->seg_max, c->fin_early ? " fin-early" : "");
}

static void print_when(const char *what, const struct pair_when *w)
{
	static const char *const from[] = { "packet", "packet of connection", "behind the FIN of" };

	if (w->packet)
		printf("  %s at %s %u: %u\n", what, from[w->by], w->conn, w->packet);
}

void pair_plan_print_site(const struct pair_plan *p)
{
	printf("scenario of seed %llu: %s%s%s%s%s%s%s%s%s, detected after %llu us\n",
	       (unsigned long long)p->seed, p->compare ? "compare" : "direct",
	       p->copies ? " copies" : "", p->compare_port ? " compare-port" : "",
	       p->network_port ? " network-port" : "", p->out_port ? " out-port" : "",
	       p->s_at_out_port ? " (both ways)" : "", p->mirrors ? " mirrors" : "",
	       p->drains ? " drains" : "", p->loses_in_flight ? " loses-in-flight" : "",
	       (unsigned long long)p->detect / 1000);
	print_when("death", &p->death);
	for (unsigned i = 0; i < PAIR_CHECKPOINTS_MAX; i++)
		print_when("checkpoint", &p->checkpoint[i]);
	for (unsigned i = 0; i < LANES; i++)
		printf("  lane to %s: delay %llu us jitter %llu us loss %u dup %u reorder %u ppm, "
		       "%llu bit/s\n",
		       pair_lane_name((enum pair_lane)i),
		       (unsigned long long)p->lane[i].delay / 1000,
		       (unsigned long long)p->lane[i].jitter / 1000, p->lane[i].loss_ppm,
		       p->lane[i].dup_ppm, p->lane[i].reorder_ppm,
		       (unsigned long long)p->lane[i].rate_bps);
}

void pair_plan_print(const struct pair_plan *p)
{
	pair_plan_print_site(p);
	for (unsigned i = 0; i < p->conns; i++) {
		const struct pair_conn_plan *c = &p->conn[i];

		printf(" connection %u, starts %.6f%s%s\n", i,
		       (double)(c->start - (c->reuses < 0 ? RUN_FIRST : 0)) / 1e9,
		       c->reuses < 0 ? "" : " after the end of the one before, on its ports",
		       c->guest_opens ? ", opened by the guests" : "");
		print_peer("outside", &c->out);
		print_peer("primary", &c->p);
		print_peer("secondary", &c->s);
	}
}
