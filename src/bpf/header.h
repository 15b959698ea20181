/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_HEADER_H
#define SUT_BPF_HEADER_H
/*
 * header - the in-band header on a SYN: believed by its MAC, and made into a pair of ways.
 *
 * Owns:     SipHash-2-4 over struct way_mac_input, and the form of the pair that a header makes.
 * Does not: look at SYNs without a header, nor take keys from anywhere but the map `config`.
 */
#include "bpf/apply.h"
#include "bpf/maps.h"
#include "bpf/met.h"
#include "bpf/options.h"
#include "bpf/packet.h"

#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))

struct sip {
	__u64 a, b, c, d;
};

static __always_inline void sip_round(struct sip *v)
{
	v->a += v->b;
	v->b = ROTL(v->b, 13) ^ v->a;
	v->a = ROTL(v->a, 32);
	v->c += v->d;
	v->d = ROTL(v->d, 16) ^ v->c;
	v->a += v->d;
	v->d = ROTL(v->d, 21) ^ v->a;
	v->c += v->b;
	v->b = ROTL(v->b, 17) ^ v->c;
	v->c = ROTL(v->c, 32);
}

static __always_inline void sip_word(struct sip *v, __u64 m)
{
	v->d ^= m;
	sip_round(v);
	sip_round(v);
	v->a ^= m;
}

static __always_inline __u64 mac_of(const __u8 *key, const struct way_mac_input *in)
{
	const __u64 *m = (const __u64 *)in;
	__u64 k0, k1;
	struct sip v;

	__builtin_memcpy(&k0, key, 8);
	__builtin_memcpy(&k1, key + 8, 8);
	v.a = k0 ^ 0x736f6d6570736575ull;
	v.b = k1 ^ 0x646f72616e646f6dull;
	v.c = k0 ^ 0x6c7967656e657261ull;
	v.d = k1 ^ 0x7465646279746573ull;
#pragma clang loop unroll(full)
	for (unsigned i = 0; i < sizeof(*in) / 8; i++)
		sip_word(&v, m[i]);
	sip_word(&v, (__u64)sizeof(*in) << 56);
	v.c ^= 0xff;
	sip_round(&v);
	sip_round(&v);
	sip_round(&v);
	sip_round(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}

_Static_assert(sizeof(struct way_mac_input) % 8 == 0, "the MAC's input is whole words");

/* The header that opts found in scratch.new. */
static __always_inline void header_read(const struct scratch *s, const struct opts *o,
					struct way_header *ret_h)
{
	__u8 *b = (__u8 *)ret_h;

	for (__u32 i = 0; i < WAY_OPT_LEN; i++)
		b[i] = s->new[(o->header + i) & 63];
}

static __always_inline bool header_signed(const struct plane_cfg *cfg, const struct pkt *p,
					  const struct opts *o, const struct way_header *h,
					  struct scratch *s)
{
	struct way_mac_input *in = &s->mac;
	__u32 which = h->key;
	__u64 mac;

	if (cfg->unsigned_too)
		return true;
	if (which > 1)
		return false;
	barrier_var(which); /* older verifiers do not see through the compiler's view of this */
	which &= 1;
	if (!(cfg->keys >> which & 1))
		return false;
	in->key = p->key;
	in->seq = p->seq;
	in->ack = p->ack;
	in->tsecr = o->ts ? get_at(s, o->ts + 4u) : 0;
	in->key_index = h->key;
	in->origin = h->origin;
	in->wscale = h->wscale;
	in->zero = h->zero;
	__builtin_memcpy(&mac, h->mac, sizeof(mac));
	return mac_of(cfg->key[which], in) == mac;
}

static __always_inline bool same16(const __u8 *a, const __u8 *b)
{
	__u64 x[2], y[2];

	__builtin_memcpy(x, a, 16);
	__builtin_memcpy(y, b, 16);
	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline bool is_zero(const __u8 *ip)
{
	__u64 x[2];

	__builtin_memcpy(x, ip, 16);
	return (x[0] | x[1]) == 0;
}

/* Where the host listens for this origin, and the client: the key of what it sends. */
static __always_inline void host_of(const struct way_origin *o, const struct pkt *p,
				    struct way_key *ret_key)
{
	__builtin_memcpy(ret_key->src, is_zero(o->host_ip) ? o->ip : o->host_ip, 16);
	ret_key->sport = o->host_port ? o->host_port : o->port;
	__builtin_memcpy(ret_key->dst, p->key.src, 16);
	ret_key->dport = p->key.sport;
	ret_key->zero = 0;
}

/* The two ways of a pair, into scratch.in (of which mate is there) and scratch.out. */
static __always_inline void pair_make(const struct pkt *p, const struct opts *o,
				      const struct way_header *h, const struct way_origin *origin,
				      struct scratch *s)
{
	struct way *in = &s->in, *out = &s->out;

	in->act = out->act = WAY_HOST;
	in->origin = out->origin = h->origin;
	in->flags = WAY_OPEN | WAY_UNLEARNT;
	in->expect = in->front_seq = p->seq;
	if (in->mate.sport != p->key.dport || !same16(in->mate.src, p->key.dst)) {
		in->flags |= WAY_DST;
		__builtin_memcpy(in->new_dst, in->mate.src, 16);
		in->new_dport = in->mate.sport;
	}
	out->flags = WAY_OPEN | WAY_LEARN;
	out->mate = p->key;
	out->front_seq = p->ack;
	out->front_tsval = o->ts ? get_at(s, o->ts + 4u) : 0;
	out->front_wscale = h->wscale;
	if (in->mate.sport != origin->port || !same16(in->mate.src, origin->ip)) {
		out->flags |= WAY_SRC;
		__builtin_memcpy(out->new_src, origin->ip, 16);
		out->new_sport = origin->port;
	}
}

enum header_result { HEADER_NONE, HEADER_TAKEN, HEADER_DROP };

static __always_inline enum header_result header_refuse(__u32 why)
{
	count(why);
	return HEADER_DROP;
}

/* Negative: there is no room.  Kernels before 6.4 return an int here, whatever the helper's prototype says. */
static __always_inline int way_lay(const struct way_key *key, const struct way *w)
{
	return (int)bpf_map_update_elem(&ways, key, w, BPF_ANY);
}

/* Both ways of a pair, or neither: what is not there yet needs room, and comes first. */
static __always_inline bool pair_lay(const struct pkt *p, struct scratch *s)
{
	bool had_out = bpf_map_lookup_elem(&ways, &s->in.mate) != NULL;

	s->in.last_ns = s->out.last_ns = bpf_ktime_get_coarse_ns();
	if (!had_out && way_lay(&s->in.mate, &s->out) < 0)
		return false;
	if (way_lay(&p->key, &s->in) < 0) {
		if (!had_out)
			bpf_map_delete_elem(&ways, &s->in.mate);
		return false;
	}
	return !had_out || way_lay(&s->in.mate, &s->out) == 0;
}

/* A SYN (no ACK), whose header is in scratch.new: makes the pair that it asks for. */
static __always_inline enum header_result header_open(const struct pkt *p, const struct opts *o,
						      struct scratch *s)
{
	const struct plane_cfg *cfg = config_get();
	const struct way_origin *origin;
	struct way_header h;
	__u32 index;

	if (!cfg || !o->header || o->bad || (p->flags & (F_RST | F_FIN)))
		return HEADER_NONE;
	header_read(s, o, &h);
	if (!header_signed(cfg, p, o, &h, s))
		return header_refuse(WAY_N_BAD_MAC);
	if (h.wscale > 14 && h.wscale != 0xff)
		return header_refuse(WAY_N_BAD_OPTIONS);
	index = h.origin;
	origin = bpf_map_lookup_elem(&origins, &index);
	if (!origin || is_zero(origin->ip))
		return header_refuse(WAY_N_NOT_ANNOUNCED);
	__builtin_memset(&s->in, 0, sizeof(s->in));
	__builtin_memset(&s->out, 0, sizeof(s->out));
	host_of(origin, p, &s->in.mate);
	if (is_mapped(s->in.mate.src) != (p->ip == 4) || is_mapped(origin->ip) != (p->ip == 4))
		return header_refuse(WAY_N_NOT_ANNOUNCED);
	pair_make(p, o, &h, origin, s);
	if (!pair_lay(p, s))
		return header_refuse(WAY_N_NO_ROOM);
	report(WAY_EV_OPENED, 0, &p->key, h.origin, 0);
	return HEADER_TAKEN;
}

/* Is the in-band pair of this way, whose client sends such a SYN, over? */
static __always_inline bool pair_over(const struct way *w, const struct pkt *p)
{
	const struct way *mate;

	if (!(w->flags & WAY_OPEN))
		return false;
	mate = bpf_map_lookup_elem(&ways, &w->mate);
	if (mate &&
	    p->seq == w->front_seq) /* what opened it comes again: a reset may be anybody's */
		return false;
	if (!mate || (w->flags & WAY_UNLEARNT) || (mate->flags & WAY_MUTE))
		return true;
	return ((w->seen | mate->seen) & WAY_SAW_RST) || (w->seen & mate->seen & WAY_SAW_FIN);
}
#endif
