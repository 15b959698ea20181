/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/be.h"
#include "core/plane_inside.h"
#include "proto/ip.h"

/* What a SYN with a header says. */
struct ask {
	struct way_header h;
	struct tcp_options o;
	const struct way_key *key;
	uint32_t seq, ack;
};

int plane_origin_of(const struct plane *pl, const struct way_key *key)
{
	for (unsigned i = 0; i < WAY_ORIGINS; i++) {
		const struct way_origin *o = &pl->cfg.origin[i];

		if (o->port == key->dport && !ip_is_zero(o->ip) && memcmp(o->ip, key->dst, 16) == 0)
			return (int)i;
	}
	return -1;
}

/* The header in the options of v; they are well-formed. */
static bool header_find(const struct packet *p, const struct view *v, struct way_header *ret_h)
{
	const uint8_t *opt = p->head + v->l4 + sizeof(struct tcp_hdr);
	size_t off = 0, len = view_options_len(v);
	struct tcp_option o;

	while (tcp_option_next(opt, len, &off, &o)) {
		if (o.kind != WAY_OPT_KIND || o.len != WAY_OPT_LEN ||
		    load_be16(opt + o.off + 2) != WAY_EXID)
			continue;
		memcpy(ret_h, opt + o.off, sizeof *ret_h);
		return true;
	}
	return false;
}

static uint64_t load_le64(const uint8_t *b)
{
	uint64_t v = 0;

	for (unsigned i = 8; i-- > 0;)
		v = v << 8 | b[i];
	return v;
}

static bool mac_holds(const struct plane *pl, const struct ask *a)
{
	struct way_mac_input in = {
		.key = *a->key,
		.seq = a->seq,
		.ack = a->ack,
		.tsecr = a->o.present & OPT_TS ? a->o.tsecr : 0,
		.key_index = a->h.key,
		.origin = a->h.origin,
		.wscale = a->h.wscale,
		.zero = a->h.zero,
	};

	if (pl->cfg.unsigned_too)
		return true;
	if (a->h.key > 1 || !(pl->cfg.keys >> a->h.key & 1))
		return false;
	return way_mac(pl->cfg.key[a->h.key], &in) == load_le64(a->h.mac);
}

/* The slot of key, emptied; there is room. */
static struct way *fresh(struct plane *pl, const struct way_key *key, sut_time now)
{
	struct way_slot *s = way_table_find(plane_table(pl), key);

	if (!s)
		s = way_table_add(plane_table(pl), key);
	memset(&s->w, 0, sizeof s->w);
	s->w.last_ns = now;
	return &s->w;
}

/* Where the host listens for this origin. */
static void host_of(const struct way_origin *o, struct way_key *k)
{
	memcpy(k->src, ip_is_zero(o->host_ip) ? o->ip : o->host_ip, 16);
	k->sport = o->host_port ? o->host_port : o->port;
}

static void pair_make(struct plane *pl, const struct ask *a, const struct way_key *out_key,
		      sut_time now)
{
	const struct way_origin *o = &pl->cfg.origin[a->h.origin];
	struct way *in = fresh(pl, a->key, now), *out = fresh(pl, out_key, now);

	in->act = out->act = WAY_HOST;
	in->origin = out->origin = a->h.origin;
	in->flags = WAY_OPEN | WAY_UNLEARNT;
	in->expect = in->front_seq = a->seq;
	in->mate = *out_key;
	if (memcmp(a->key->dst, out_key->src, 16) != 0 || a->key->dport != out_key->sport) {
		in->flags |= WAY_DST;
		memcpy(in->new_dst, out_key->src, 16);
		in->new_dport = out_key->sport;
	}
	out->flags = WAY_OPEN | WAY_LEARN;
	out->mate = *a->key;
	out->front_seq = a->ack;
	out->front_tsval = a->o.present & OPT_TS ? a->o.tsecr : 0;
	out->front_wscale = a->h.wscale;
	if (memcmp(o->ip, out_key->src, 16) != 0 || o->port != out_key->sport) {
		out->flags |= WAY_SRC;
		memcpy(out->new_src, o->ip, 16);
		out->new_sport = o->port;
	}
}

static enum opening refuse(struct plane *pl, enum way_counter why)
{
	plane_count_event(pl, why);
	pl->why = why;
	return OPEN_DROP;
}

/* Two slots, or what of the pair is not there yet. */
static bool has_room(const struct plane *pl, const struct way_key *in, const struct way_key *out)
{
	const struct way_table *t = plane_table(pl);
	uint32_t more = (way_table_find(t, in) ? 0u : 1u) + (way_table_find(t, out) ? 0u : 1u);

	return t->max - t->count >= more;
}

static void report_opened(struct plane *pl, const struct ask *a)
{
	struct way_event ev = { .kind = WAY_EV_OPENED, .key = *a->key, .a = a->h.origin };

	if (pl->report)
		pl->report(pl->ctx, &ev);
}

enum opening plane_open(struct plane *pl, const struct packet *p, const struct view *v,
			const struct way_key *key, sut_time now)
{
	struct ask a = { .key = key, .seq = v->seq, .ack = v->ack };
	const struct way_origin *o;
	struct way_key out;

	if ((v->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN ||
	    view_options(p, v, &a.o) != R_NONE || !header_find(p, v, &a.h))
		return OPEN_NONE;
	if (!mac_holds(pl, &a))
		return refuse(pl, WAY_N_BAD_MAC);
	if (a.h.wscale > TCP_WSCALE_MAX && a.h.wscale != 0xff)
		return refuse(pl, WAY_N_BAD_OPTIONS);
	o = a.h.origin < WAY_ORIGINS ? &pl->cfg.origin[a.h.origin] : NULL;
	if (!o || ip_is_zero(o->ip))
		return refuse(pl, WAY_N_NOT_ANNOUNCED);
	memset(&out, 0, sizeof out);
	host_of(o, &out);
	memcpy(out.dst, key->src, 16);
	out.dport = key->sport;
	if (ip_is_mapped(out.src) != (v->ip == 4) || ip_is_mapped(o->ip) != (v->ip == 4))
		return refuse(pl, WAY_N_NOT_ANNOUNCED);
	if (!has_room(pl, key, &out))
		return refuse(pl, WAY_N_NO_ROOM);
	pair_make(pl, &a, &out, now);
	report_opened(pl, &a);
	return OPEN_MADE;
}

bool plane_pair_over(const struct plane *pl, const struct way_slot *s, const struct view *v)
{
	const struct way_slot *m = way_table_find(plane_table(pl), &s->w.mate);
	uint32_t seen;

	if (!(s->w.flags & WAY_OPEN) || (v->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	if (m &&
	    v->seq == s->w.front_seq) /* what opened it comes again: a reset may be anybody's */
		return false;
	if (!m || (s->w.flags & WAY_UNLEARNT) || (m->w.flags & WAY_MUTE))
		return true;
	seen = s->w.seen | m->w.seen;
	return (seen & WAY_SAW_RST) || (s->w.seen & m->w.seen & WAY_SAW_FIN);
}
