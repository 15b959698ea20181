/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A packet finds its way by its addresses; what is done to it stands in the way, in an order that plane.h lists.  Nothing is
 * queued, and nothing has a timer: a packet goes on, goes on changed, or goes no further and is counted.  All there is of state are the
 * ways, and four things of a way change by what passes:
 *
 *   - what was seen of a direction (each bit is reported once);
 *   - `expect`, behind what came by, where a reset is exact and a FIN possible.  It follows the segments, over what was lost of them, and
 *     what the other direction acknowledges; while the host has no connection yet it stands still, since anybody can send anything;
 *   - what LEARN writes into its own way and into its mate;
 *   - the flags of waiting (EXPECT, UNLEARNT, CLAMP), which go when the host shows that it has the connection.
 *
 * The last is never concluded from a verdict ("the listener took it"), only from a segment that the host sends: a full accept queue or
 * a socket in TIME-WAIT say nothing, and then the next retransmission tries again.
 */
#include "core/plane.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/plane_inside.h"
#include "core/rewrite.h"
#include "proto/ip.h"

#define ALIGN 64u

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* Life */

static size_t head_bytes(void)
{
	return (sizeof(struct plane) + ALIGN - 1) / ALIGN * ALIGN;
}

size_t plane_need(const struct plane_config *c)
{
	return head_bytes() + way_table_need(c->max_ways);
}

struct way_table *plane_table(const struct plane *pl)
{
	return (struct way_table *)(void *)((uint8_t *)(uintptr_t)pl + pl->at_table);
}

struct plane *plane_init(void *block, const struct plane_config *c, plane_report report, void *ctx)
{
	struct plane *pl = block;

	pl->cfg = *c;
	pl->report = report;
	pl->ctx = ctx;
	pl->at_table = (uint32_t)head_bytes();
	way_table_init(plane_table(pl), c->max_ways, c->secret);
	return pl;
}

void plane_configure(struct plane *pl, const struct plane_config *c)
{
	uint32_t max = pl->cfg.max_ways;

	pl->cfg = *c;
	pl->cfg.max_ways = max;
}

/* Ways */

void way_keep(struct way *w, const struct way *old)
{
	w->seen = old->seen;
	w->fin_end = old->fin_end;
	w->last_ns = old->last_ns;
	w->packets = old->packets;
	w->bytes = old->bytes;
	if (w->id != old->id || w->act != old->act || ((w->flags | old->flags) & WAY_PENDING))
		return;
	w->expect = old->expect;
	w->flags = (w->flags & ~(uint32_t)WAY_JOIN) | (old->flags & WAY_JOIN);
}

int plane_set(struct plane *pl, const struct way_key *key, const struct way *w, sut_time now)
{
	struct way_slot *s = way_table_find(plane_table(pl), key);
	struct way new = *w;

	new.seen = new.fin_end = 0;
	new.packets = new.bytes = 0;
	new.last_ns = now;
	if (s && !(w->flags & WAY_BEGINS))
		way_keep(&new, &s->w);
	if (!s)
		s = way_table_add(plane_table(pl), key);
	if (!s)
		return -ENOSPC;
	s->w = new;
	return 0;
}

int plane_amend(struct plane *pl, const struct way_key *key, const struct way *w)
{
	struct way_slot *s = way_table_find(plane_table(pl), key);

	if (!s)
		return -ENOENT;
	s->w.flags |= w->flags;
	if (w->id)
		s->w.id = w->id;
	if (w->end)
		s->w.end = w->end;
	return 0;
}

int plane_del(struct plane *pl, const struct way_key *key)
{
	struct way_slot *s = way_table_find(plane_table(pl), key);

	if (!s)
		return -ENOENT;
	way_table_del(plane_table(pl), s);
	return 0;
}

const struct way *plane_get(const struct plane *pl, const struct way_key *key)
{
	const struct way_slot *s = way_table_find(plane_table(pl), key);

	return s ? &s->w : NULL;
}

bool plane_list(const struct plane *pl, uint32_t *cursor, struct way_key *ret_key,
		struct way *ret_w)
{
	const struct way_table *t = plane_table(pl);

	while (*cursor < t->fresh) {
		const struct way_slot *s = way_table_slot(t, (*cursor)++);

		if (!s)
			continue;
		*ret_key = s->key;
		*ret_w = s->w;
		return true;
	}
	return false;
}

uint32_t plane_count(const struct plane *pl)
{
	return plane_table(pl)->count;
}

uint64_t plane_counter(const struct plane *pl, enum way_counter c)
{
	return pl->counter[c];
}

void plane_count_event(struct plane *pl, enum way_counter c)
{
	pl->counter[c]++;
}

/* Packets */

void plane_tell(const struct pass *x, enum way_event_kind kind, uint32_t a, uint32_t b)
{
	struct way_event ev = {
		.kind = kind, .id = x->s->w.id, .key = *x->event_key, .a = a, .b = b
	};

	if (x->pl->report)
		x->pl->report(x->pl->ctx, &ev);
}

uint32_t pass_seq(const struct pass *x)
{
	const struct way *w = &x->s->w;

	if (!(w->flags & WAY_SHIFT) || seam_keeps_seq(x->v->flags, x->v->seq))
		return x->v->seq;
	return x->v->seq + w->seq;
}

uint32_t pass_ack(const struct pass *x)
{
	return x->v->ack + (x->s->w.flags & WAY_SHIFT ? x->s->w.ack : 0);
}

static enum pass_fate dropped(struct pass *x, enum way_counter why)
{
	x->why = why;
	plane_count_event(x->pl, why);
	return PASS_DROPPED;
}

/* What a client's SYN offers, for the SYN-ACK to be held against. */
static uint8_t offered(const struct tcp_options *o)
{
	return (uint8_t)((o->present & OPT_TS ? WAY_OPT_TS : 0) |
			 (o->present & OPT_SACK_PERMITTED ? WAY_OPT_SACK : 0) |
			 (o->present & OPT_WSCALE ? WAY_OPT_WSCALE : 0));
}

/* Segments to a host that has no connection yet. */
static enum pass_fate in_pending(struct pass *x)
{
	struct way *w = &x->s->w;
	uint8_t kind = x->v->flags & (TCP_SYN | TCP_RST | TCP_ACK | TCP_FIN);

	if (w->flags & WAY_UNLEARNT) {
		if (kind != TCP_SYN || x->v->seq != w->expect ||
		    (x->mate && x->mate->w.flags & WAY_MUTE)) /* given up: nothing is to begin */
			return dropped(x, WAY_N_NOT_EXPECTED);
		w->attrs.options = offered(&x->o);
		return PASS_GOES;
	}
	if (!(w->flags & WAY_EXPECT))
		return PASS_GOES;
	if ((kind & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK || x->v->seq != w->expect)
		return dropped(x, WAY_N_NOT_EXPECTED);
	if (w->flags & WAY_ADOPT)
		plane_count_event(x->pl, WAY_N_ADOPTED);
	return PASS_GOES;
}

/* Notes a bit, and reports it the first time. */
static void saw(struct pass *x, uint32_t bit, enum way_event_kind kind, uint32_t a, uint32_t b)
{
	struct way *w = &x->s->w;

	if (w->seen & bit)
		return;
	w->seen |= bit;
	if (bit == WAY_SAW_FIN)
		w->fin_end = a;
	plane_tell(x, kind, a, b);
}

/* Moves `expect` behind a segment that goes on from there, or from a little further on. */
static void follow(struct way *w, const struct view *v, uint32_t end)
{
	if (v->flags & (TCP_SYN | TCP_RST) || w->flags & WAY_PENDING || !way_is_near(w, end))
		return;
	w->expect = end;
	w->flags &= ~(uint32_t)WAY_JOIN;
}

/* What was told is told once more. */
static void again(struct way *w, uint32_t bit)
{
	if (!(w->seen & bit) || w->repeats >= WAY_REPEATS)
		return;
	w->repeats++;
	w->seen &= ~bit;
}

/* Where a side has ended each one may open the quad anew. */
static void saw_syn(struct pass *x)
{
	if (x->s->w.seen & (WAY_SAW_FIN | WAY_SAW_RST))
		again(&x->s->w, WAY_SAW_SYN);
	saw(x, WAY_SAW_SYN, WAY_EV_SYN_IN, pass_seq(x), 0);
}

/* A forged one must not use up the report of the client's own. */
static void saw_reset(struct pass *x)
{
	struct way *w = &x->s->w;
	bool exact = x->v->seq == w->expect && !(w->flags & WAY_JOIN);

	if (exact)
		again(w, WAY_SAW_RST);
	saw(x, WAY_SAW_RST, WAY_EV_RST_IN, pass_seq(x), exact);
}

/* Both sides have ended, or the host has by a reset: whatever it answers a SYN now, the front end would not know of. */
static bool is_over(const struct pass *x)
{
	const struct way *w = &x->s->w, *m = x->mate ? &x->mate->w : NULL;

	return m && !(w->flags & WAY_PENDING) &&
	       ((m->seen & WAY_SAW_RST) || (w->seen & m->seen & WAY_SAW_FIN));
}

static enum pass_fate pass_in(struct pass *x)
{
	struct way *w = &x->s->w;
	uint8_t flags = x->v->flags;
	bool syn = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	uint32_t end = x->v->seq + view_seg_len(x->v);

	if (in_pending(x) == PASS_DROPPED)
		return PASS_DROPPED;
	if (syn && !(w->flags & WAY_UNLEARNT))
		saw_syn(x);
	if (syn && is_over(x))
		return dropped(x, WAY_N_NOT_EXPECTED);
	if (flags & TCP_RST)
		saw_reset(x);
	else if ((flags & TCP_FIN) && !syn && way_is_near(w, end))
		saw(x, WAY_SAW_FIN, WAY_EV_FIN_IN, pass_seq(x) + view_seg_len(x->v), 0);
	follow(w, x->v, end);
	return PASS_GOES;
}

/* What an acknowledgement says of the other direction, and to whom waits for it. */
static void acknowledge(struct pass *x)
{
	struct way *w = &x->s->w, *m = x->mate ? &x->mate->w : NULL;
	uint32_t ack = pass_ack(x);

	if ((x->v->flags & (TCP_ACK | TCP_RST | TCP_SYN)) != TCP_ACK)
		return;
	if (m && !(m->flags & (WAY_PENDING | WAY_JOIN)) && way_is_near(m, ack))
		m->expect = ack;
	if (!(w->flags & WAY_WATCH) || after(w->end, ack))
		return;
	w->flags &= ~(uint32_t)WAY_WATCH;
	w->seen |= WAY_SAW_ACKED;
	plane_tell(x, WAY_EV_ACKED, ack, 0);
}

/* Changes */

static void clamp(struct pass *x)
{
	const struct way *w = &x->s->w;
	const uint8_t *ts = x->p->head + x->v->l4 + x->o.ts_off;
	uint32_t ecr;

	if (!(x->v->flags & TCP_ACK) || !(x->o.present & OPT_TS))
		return;
	ecr = load_be32(ts + 4);
	if (after(w->tsecr_lo, ecr))
		ecr = w->tsecr_lo;
	else if (after(ecr, w->tsecr_hi))
		ecr = w->tsecr_hi;
	rewrite_ts(x->p, x->v, &x->o, load_be32(ts), ecr);
}

static bool readdress(struct pass *x)
{
	const struct way *w = &x->s->w;

	if ((w->flags & WAY_SRC) &&
	    !rewrite_addr(x->p, x->v, REWRITE_SRC, w->new_src, w->new_sport))
		return false;
	return !(w->flags & WAY_DST) ||
	       rewrite_addr(x->p, x->v, REWRITE_DST, w->new_dst, w->new_dport);
}

/* False: an address of another family; the packet is of no use then. */
static bool change(struct pass *x)
{
	const struct way *w = &x->s->w;
	struct seam_add add = { w->seq, w->ack, w->tsval, w->tsecr };

	if (w->flags & WAY_SHIFT)
		rewrite_shift(x->p, x->v, &x->o, add);
	if (w->flags & WAY_CLAMP)
		clamp(x);
	if ((w->flags & WAY_WINDOW) && !(x->v->flags & TCP_SYN))
		rewrite_window(x->p, x->v,
			       seam_window(x->v->window, w->from_scale & 15, w->to_scale & 15));
	if (w->flags & (WAY_SHIFT | WAY_WINDOW | WAY_SRC | WAY_DST))
		plane_count_event(x->pl, WAY_N_TRANSLATED);
	return readdress(x);
}

static void readdress_link(struct packet *p, const struct way *w)
{
	struct eth_hdr *eth = (struct eth_hdr *)p->head;

	memcpy(eth->dst, w->dmac, sizeof eth->dst);
	memcpy(eth->src, w->smac, sizeof eth->src);
}

static void account(struct pass *x, sut_time now)
{
	struct way *w = &x->s->w;

	w->seen |= WAY_SAW_ANY;
	w->last_ns = now;
	w->packets++;
	w->bytes += (uint64_t)(x->v->l4 - x->v->l3) + x->v->l4_len;
}

/* A packet that a way names: what it means, then what is done to it. */
static enum pass_fate known(struct pass *x, sut_time now)
{
	enum pass_fate fate;

	if (view_options(x->p, x->v, &x->o) != R_NONE)
		return dropped(x, WAY_N_BAD_OPTIONS);
	if (x->s->w.act == WAY_DROP)
		return dropped(x, WAY_N_NOT_EXPECTED);
	fate = x->hook == PLANE_BACK_OUT ? plane_out(x) : pass_in(x);
	if (fate == PASS_DROPPED)
		return fate;
	account(x, now);
	if (fate == PASS_GOES) {
		acknowledge(x);
		if (x->hook == PLANE_BACK_OUT && (x->s->w.flags & WAY_MUTE))
			fate = PASS_SWALLOWED;
	}
	if (fate == PASS_SWALLOWED) {
		x->why = WAY_N_SWALLOWED;
		plane_count_event(x->pl, x->why);
		return fate;
	}
	if (!change(x))
		return dropped(x, WAY_N_NOT_EXPECTED);
	if (x->s->w.act == WAY_SEND) {
		readdress_link(x->p, &x->s->w);
		plane_count_event(x->pl, WAY_N_FORWARDED);
	}
	return PASS_GOES;
}

/* The client's direction of what the host sends under key. */
static void turn(const struct way_key *key, struct way_key *ret_key)
{
	memcpy(ret_key->src, key->dst, 16);
	memcpy(ret_key->dst, key->src, 16);
	ret_key->sport = key->dport;
	ret_key->dport = key->sport;
	ret_key->zero = 0;
}

static const struct way_key *mate_key(const struct way *w)
{
	static const struct way_key none;

	return memcmp(&w->mate, &none, sizeof none) ? &w->mate : NULL;
}

static struct plane_verdict verdict_drop(struct way_slot *s, enum way_counter why)
{
	return (struct plane_verdict){
		.act = WAY_DROP, .found = s, .why = why, .w = s ? &s->w : NULL
	};
}

static struct plane_verdict run_known(struct pass *x, const struct way_key *key, sut_time now)
{
	const struct way_key *mate = mate_key(&x->s->w);
	uint32_t before = x->s->w.flags;
	struct way_key turned;

	x->mate = mate ? way_table_find(plane_table(x->pl), mate) : NULL;
	turn(key, &turned);
	x->event_key = x->hook != PLANE_BACK_OUT ? key : mate ? mate : &turned;
	if (known(x, now) != PASS_GOES)
		return verdict_drop(x->s, x->why);
	return (struct plane_verdict){
		.act = (enum way_act)x->s->w.act,
		.found = true,
		.adopt = x->hook == PLANE_BACK_IN && (before & WAY_EXPECT) && (before & WAY_ADOPT),
		.ifindex = x->s->w.ifindex,
		.w = &x->s->w,
	};
}

/* What no way names at BACK_IN. */
static struct plane_verdict run_unknown(struct plane *pl, const struct way_key *key)
{
	int i = plane_origin_of(pl, key);

	if (i < 0 || !(pl->cfg.origin[i].flags & WAY_ORIGIN_GUARD))
		return (struct plane_verdict){ .act = WAY_HOST };
	plane_count_event(pl, WAY_N_NOT_ANNOUNCED);
	return verdict_drop(NULL, WAY_N_NOT_ANNOUNCED);
}

/* Who the first fragment of a segment is from and for; false: it is none. */
static bool fragment_key(const struct packet *p, const struct view *v, struct way_key *ret_key)
{
	uint32_t at = v->l4, n = p->head_len > at ? p->head_len - at : 0;
	struct ip6_chain c = { .proto = v->proto };

	if (!v->fragment)
		return false;
	if (v->ip == 4 ? load_be16(p->head + v->l3 + 6) & 0x1fff
		       : load_be16(p->head + at - 6) & 0xfff8)
		return false;
	if (n > v->l4_len)
		n = v->l4_len;
	if (v->ip == 6 && ip6_chain_read(v->proto, p->head + at, n, &c) != R_NONE)
		return false;
	if (c.proto != IP_TCP || n < c.len + 4u)
		return false;
	memset(ret_key, 0, sizeof *ret_key);
	view_addrs(p, v, ret_key->src, ret_key->dst);
	memcpy(&ret_key->sport, p->head + at + c.len, 2);
	memcpy(&ret_key->dport, p->head + at + c.len + 2, 2);
	return true;
}

bool plane_fragment(struct plane *pl, enum plane_hook hook, const struct packet *p,
		    const struct view *v)
{
	const struct way_slot *s;
	struct way_key key;

	if (!fragment_key(p, v, &key))
		return false;
	s = way_table_find(plane_table(pl), &key);
	if (!s && (hook != PLANE_FRONT || plane_origin_of(pl, &key) < 0))
		return hook == PLANE_BACK_IN && run_unknown(pl, &key).act == WAY_DROP;
	if (s && hook != PLANE_FRONT && s->w.act == WAY_HOST &&
	    !(s->w.flags & ~(uint32_t)WAY_WATCH))
		return false;
	plane_count_event(pl, WAY_N_FRAGMENT);
	return true;
}

struct plane_verdict plane_run(struct plane *pl, enum plane_hook hook, struct packet *p,
			       struct view *v, sut_time now)
{
	struct pass x = { .pl = pl, .p = p, .v = v, .hook = hook };
	struct way_key key;

	assert(v->tcp);
	way_key_of(p, v, &key);
	x.s = way_table_find(plane_table(pl), &key);
	if (hook == PLANE_BACK_IN && (!x.s || plane_pair_over(pl, x.s, v))) {
		enum opening made = plane_open(pl, p, v, &key, now);

		if (made == OPEN_DROP && !x.s)
			return verdict_drop(NULL, pl->why);
		x.s = way_table_find(plane_table(pl), &key);
	}
	if (x.s)
		return run_known(&x, &key, now);
	if (hook == PLANE_BACK_IN)
		return run_unknown(pl, &key);
	return (struct plane_verdict){ .act = WAY_HOST };
}
