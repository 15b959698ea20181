/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_OPTIONS_H
#define SUT_BPF_OPTIONS_H
/*
 * options - where the TCP options are that numbers stand in.
 *
 * Owns:     one walk over the header in scratch.new, by the same rules as proto/tcp.h: the first of its kind counts, a wrong
 *           length makes all of them bad.
 * The state of a walk lies in scratch: verifiers before 6.7 believe that a loop runs once, and take checks of what they know
 *           (the stack) out of the program.
 * Does not: loop: the layout of established segments is taken at fixed offsets, any other goes option by option through bpf_loop, since
 *           no bounded loop over 40 bytes of unknown layout stays within the verifier's budget.
 */
#include "bpf/maps.h"
#include "bpf/packet.h"

static __always_inline bool opt_fits(__u8 kind, __u8 len)
{
	switch (kind) {
	case 2:
		return len == 4;
	case 3:
		return len == 3;
	case 4:
		return len == 2;
	case 5:
		return len >= 10 && len <= 34 && (len & 7) == 2;
	case 8:
		return len == 10;
	case 19:
		return len == 18;
	case 29:
		return len >= 4;
	case 30:
		return len >= 3;
	case 34:
		return len == 2 || (len >= 6 && len <= 18);
	default:
		return true;
	}
}

static __always_inline void opt_take(struct opts *o, const __u8 *b, __u32 at, __u8 kind, __u8 len)
{
	__u8 off = (__u8)(at + 2);

	if (kind == 3 && !o->wscale)
		o->wscale = off;
	if (kind == 4)
		o->sack_ok = 1;
	if (kind == 8 && !o->ts)
		o->ts = off;
	if (kind == 5 && !o->sack) {
		o->sack = off;
		o->blocks = (__u8)((len - 2) >> 3);
	}
	if (kind == WAY_OPT_KIND && len == WAY_OPT_LEN && !o->header &&
	    b[(at + 2) & 63] == (WAY_EXID >> 8) && b[(at + 3) & 63] == (WAY_EXID & 0xff))
		o->header = (__u8)at;
}

/* One option a call: 1 ends the walk. */
static long opt_step(__u32 index, void *ctx)
{
	struct scratch *s = scratch_get();
	struct opt_walk *w;
	__u32 at;
	__u8 kind, len;

	(void)index;
	(void)ctx;
	if (!s)
		return 1;
	w = &s->walk;
	at = w->at;
	if (at >= w->end || at >= HEADER_MAX)
		return 1;
	kind = s->new[at & 63];
	if (kind == 0)
		return 1;
	if (kind == 1) {
		w->at = at + 1;
		return 0;
	}
	len = s->new[(at + 1) & 63];
	if (w->end - at < 2 || len < 2 || len > w->end - at || !opt_fits(kind, len)) {
		w->o.bad = 1;
		return 1;
	}
	opt_take(&w->o, s->new, at, kind, len);
	w->at = at + len;
	return 0;
}

static __always_inline __u32 word_at(const __u8 *b)
{
	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

/* NOP NOP TS, and nothing more or NOP NOP SACK behind it. */
static __always_inline bool opts_aligned(const __u8 *b, __u8 doff, struct opts *o)
{
	if (doff < TCP_LEN + 12 || word_at(b + TCP_LEN) != 0x0101080a)
		return false;
	if (doff > TCP_LEN + 12) {
		__u8 n = doff - TCP_LEN - 14; /* what a SACK option that fills the header has */

		if (doff < TCP_LEN + 24 || (n & 7) != 2 ||
		    word_at(b + TCP_LEN + 12) != (0x01010500u | n))
			return false;
		o->sack = TCP_LEN + 16;
		o->blocks = (__u8)((n - 2) >> 3);
	}
	o->ts = TCP_LEN + 4;
	return true;
}

/* Reads the options of the header of doff bytes in scratch.new. */
static __always_inline void opts_read(struct scratch *s, __u8 doff, struct opts *ret_o)
{
	__builtin_memset(ret_o, 0, sizeof(*ret_o));
	if (doff == TCP_LEN || opts_aligned(s->new, doff, ret_o))
		return;
	s->walk.at = TCP_LEN;
	s->walk.end = doff;
	s->walk.o = *ret_o;
	bpf_loop(HEADER_MAX - TCP_LEN, opt_step, NULL, 0);
	*ret_o = s->walk.o;
}
#endif
