/* SPDX-License-Identifier: MIT */
#include "proto/tcp.h"

#include <string.h>

#include "base/compiler.h"

#define HDR ((uint8_t)sizeof(struct tcp_hdr)) /* offsets of tcp_options count from the header */

bool tcp_option_next(const uint8_t *opt, size_t len, size_t *off, struct tcp_option *ret_o)
{
	size_t at = *off, n = 1;

	if (at >= len)
		return false;
	if (opt[at] > TCPOPT_NOP) {
		if (len - at < 2 || opt[at + 1] < 2 || opt[at + 1] > len - at)
			return false;
		n = opt[at + 1];
	}
	*ret_o = (struct tcp_option){ opt[at], (uint8_t)at, (uint8_t)n };
	*off = opt[at] == TCPOPT_EOL ? len : at + n;
	return true;
}

bool tcp_option_fits(const struct tcp_option *o)
{
	unsigned n = o->len;

	switch (o->kind) {
	case TCPOPT_MSS:
		return n == 4;
	case TCPOPT_WSCALE:
		return n == 3;
	case TCPOPT_SACK_PERMITTED:
		return n == 2;
	case TCPOPT_SACK:
		return n >= 10 && n <= 34 && n % 8 == 2;
	case TCPOPT_TIMESTAMPS:
		return n == 10;
	case TCPOPT_MD5:
		return n == 18;
	case TCPOPT_AO:
		return n >= 4;
	case TCPOPT_MPTCP:
		return n >= 3;
	case TCPOPT_TFO:
		return n == 2 || (n >= 6 && n <= 18);
	default:
		return true;
	}
}

static unsigned presence_bit(unsigned kind)
{
	switch (kind) {
	case TCPOPT_EOL:
	case TCPOPT_NOP:
		return 0;
	case TCPOPT_MSS:
		return OPT_MSS;
	case TCPOPT_WSCALE:
		return OPT_WSCALE;
	case TCPOPT_SACK_PERMITTED:
		return OPT_SACK_PERMITTED;
	case TCPOPT_SACK:
		return OPT_SACK;
	case TCPOPT_TIMESTAMPS:
		return OPT_TS;
	case TCPOPT_MD5:
		return OPT_MD5;
	case TCPOPT_AO:
		return OPT_AO;
	case TCPOPT_MPTCP:
		return OPT_MPTCP;
	case TCPOPT_TFO:
		return OPT_TFO;
	case TCPOPT_EXP1:
	case TCPOPT_EXP2:
		return OPT_EXP;
	default:
		return OPT_UNKNOWN;
	}
}

/* An experimental option: its ExID (old experiments have none), and TFO in that disguise. */
static void read_experiment(const uint8_t *b, struct tcp_option o, struct tcp_options *r)
{
	unsigned cookie = o.len - 4u;

	if (o.len < 4)
		return;
	if (!(r->present & OPT_EXP))
		r->exid = load_be16(b + 2);
	if (load_be16(b + 2) != TCP_EXID_TFO || r->present & OPT_TFO ||
	    (cookie != 0 && (cookie < 4 || cookie > 16)))
		return;
	r->present |= OPT_TFO;
	r->tfo_off = (uint8_t)(HDR + o.off + 4);
	r->tfo_len = (uint8_t)cookie;
}

static void read_timestamps(const uint8_t *b, unsigned off, struct tcp_options *r)
{
	r->ts_off = (uint8_t)(HDR + off + 2);
	r->tsval = load_be32(b + 2);
	r->tsecr = load_be32(b + 6);
}

static void read_sack(unsigned len, unsigned off, struct tcp_options *r)
{
	r->sack_off = (uint8_t)(HDR + off + 2);
	r->sack_count = (uint8_t)((len - 2) / 8);
}

/* Takes the meaning of the first option of its kind; b is its kind byte. */
static void read_first(const uint8_t *b, struct tcp_option o, struct tcp_options *r)
{
	switch (o.kind) {
	case TCPOPT_MSS:
		r->mss = load_be16(b + 2);
		break;
	case TCPOPT_WSCALE:
		r->wscale = b[2] > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : b[2];
		break;
	case TCPOPT_SACK:
		read_sack(o.len, o.off, r);
		break;
	case TCPOPT_TIMESTAMPS:
		read_timestamps(b, o.off, r);
		break;
	case TCPOPT_MPTCP:
		r->mptcp_subtype = b[2] >> 4;
		break;
	case TCPOPT_TFO:
		r->tfo_off = (uint8_t)(HDR + o.off + 2);
		r->tfo_len = (uint8_t)(o.len - 2);
		break;
	default:
		break;
	}
}

/* The layout of established segments, NOP NOP TS [NOP NOP SACK]: true if it is that, and read. */
SUT_INLINE bool read_aligned(const uint8_t *opt, size_t len, struct tcp_options *r)
{
	if (len < 12 || load_be32(opt) != 0x0101080a)
		return false;
	if (len > 12) {
		if (len < 24 || load_be16(opt + 12) != 0x0101 || opt[14] != TCPOPT_SACK ||
		    opt[15] != len - 14 || (len - 16) % 8 != 0 || len > 40)
			return false;
		read_sack((unsigned)len - 14, 14, r);
		r->present = OPT_SACK;
	}
	read_timestamps(opt + 2, 2, r);
	r->present |= OPT_TS;
	return true;
}

/* Every other layout, option by option. */
static SUT_NOINLINE enum reason read_any(const uint8_t *opt, size_t len, struct tcp_options *r)
{
	struct tcp_option o;
	size_t off = 0;

	while (tcp_option_next(opt, len, &off, &o)) {
		unsigned bit = presence_bit(o.kind);

		if (!tcp_option_fits(&o))
			return R_TCP_OPT;
		if (bit == OPT_EXP)
			read_experiment(opt + o.off, o, r);
		else if (!(r->present & bit))
			read_first(opt + o.off, o, r);
		r->present = (uint16_t)(r->present | bit);
	}
	return off < len ? R_TCP_OPT : R_NONE;
}

enum reason tcp_options_read(const uint8_t *opt, size_t len, struct tcp_options *ret_opts)
{
	*ret_opts = (struct tcp_options){ 0 };
	if (len == 0 || likely(read_aligned(opt, len, ret_opts)))
		return R_NONE;
	return read_any(opt, len, ret_opts);
}
