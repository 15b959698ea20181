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
	__u64 mac;

	if (cfg->unsigned_too)
		return true;
	if (h->key > 1 || !(cfg->keys >> (h->key & 1) & 1))
		return false;
	in->key = p->key;
	in->seq = p->seq;
	in->ack = p->ack;
	in->tsecr = o->ts ? get_at(s, o->ts + 4u) : 0;
	in->key_index = h->key;
	in->origin = h->origin;
	in->wscale = h->wscale;
	in->zero = 0;
	__builtin_memcpy(&mac, h->mac, sizeof(mac));
	return mac_of(cfg->key[h->key & 1], in) == mac;
}

static __always_inline bool same16(const __u8 *a, const __u8 *b)
{
	__u64 x[2], y[2];

	__builtin_memcpy(x, a, 16);
	__builtin_memcpy(y, b, 16);
	return x[0] == y[0] && x[1] == y[1];
}

/* The two ways of a pair, into scratch.in and scratch.out. */
static __always_inline void pair_make(const struct pkt *p, const struct opts *o,
				      const struct way_header *h, const struct way_origin *origin,
				      struct scratch *s)
{
	struct way *in = &s->in, *out = &s->out;

	__builtin_memset(in, 0, sizeof(*in));
	__builtin_memset(out, 0, sizeof(*out));
	in->act = WAY_HOST;
	in->flags = WAY_OPEN | WAY_UNLEARNT;
	in->origin = h->origin;
	in->expect = p->seq;
	out->act = WAY_HOST;
	out->flags = WAY_OPEN | WAY_LEARN;
	out->origin = h->origin;
	out->front_seq = p->ack;
	out->front_tsval = o->ts ? get_at(s, o->ts + 4u) : 0;
	out->front_wscale = h->wscale == 0xff ? 0 : h->wscale;
	out->mate = p->key;
	__builtin_memcpy(in->mate.src, origin->host_ip, 16);
	in->mate.sport = origin->host_port;
	__builtin_memcpy(in->mate.dst, p->key.src, 16);
	in->mate.dport = p->key.sport;
	if (origin->host_port != p->key.dport || !same16(origin->host_ip, p->key.dst)) {
		in->flags |= WAY_DST;
		__builtin_memcpy(in->new_dst, origin->host_ip, 16);
		in->new_dport = origin->host_port;
	}
	if (origin->host_port != origin->port || !same16(origin->host_ip, origin->ip)) {
		out->flags |= WAY_SRC;
		__builtin_memcpy(out->new_src, origin->ip, 16);
		out->new_sport = origin->port;
	}
}

enum header_result { HEADER_NONE, HEADER_TAKEN, HEADER_BAD, HEADER_FULL };

/* A SYN (no ACK) that no pair has yet, or another one has: its header is in scratch.new. */
static __always_inline enum header_result header_open(const struct pkt *p, const struct opts *o,
						      struct scratch *s)
{
	const struct plane_cfg *cfg = config_get();
	const struct way_origin *origin;
	struct way_header h;
	__u32 index;

	if (!cfg || !o->header)
		return HEADER_NONE;
	header_read(s, o, &h);
	index = h.origin;
	origin = bpf_map_lookup_elem(&origins, &index);
	if (!origin || origin->port == 0 || !header_signed(cfg, p, o, &h, s))
		return HEADER_BAD;
	pair_make(p, o, &h, origin, s);
	if (bpf_map_update_elem(&ways, &s->in.mate, &s->out, BPF_ANY) < 0)
		return HEADER_FULL;
	if (bpf_map_update_elem(&ways, &p->key, &s->in, BPF_ANY) < 0) {
		bpf_map_delete_elem(&ways, &s->in.mate);
		return HEADER_FULL;
	}
	report(WAY_EV_OPENED, 0, &p->key, h.origin, 0);
	return HEADER_TAKEN;
}
#endif
