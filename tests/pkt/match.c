/* SPDX-License-Identifier: MIT */
#include "match.h"

#include <string.h>

#include "base/be.h"
#include "heard.h"
#include "opt.h"
#include "proto/ip.h"
#include "proto/tcp.h"

static bool number(const char *what, const struct value *want, uint32_t got, const struct ctx *x)
{
	char s[96];

	if (value_fits(want, x->vars, got))
		return true;
	value_print(want, x, s, sizeof s);
	return fault_say(x->f, "%s: expected %s, came %u", what, s, got);
}

static bool plain(const char *what, uint32_t want, uint32_t got, const struct ctx *x)
{
	return want == got || fault_say(x->f, "%s: expected %u, came %u", what, want, got);
}

static bool bytes(const char *what, const uint8_t *want, const uint8_t *got, size_t n,
		  const struct ctx *x)
{
	for (size_t i = 0; i < n; i++)
		if (want[i] != got[i])
			return fault_say(x->f, "%s: byte %zu: expected %02x, came %02x", what, i,
					 want[i], got[i]);
	return true;
}

static bool link_fits(const struct seg *want, const struct lane_of *lane, const struct heard *h,
		      const struct ctx *x)
{
	const uint16_t *vlan = want->m.vlan_set ? want->m.vlan : lane->c->vlan;
	unsigned tags = want->m.vlan_set ? want->m.vlans : lane->c->vlans;
	uint8_t mac[12] = { [0] = 2, [6] = 2 };

	mac[5] = lane->dir == FROM_SOURCE ? 2 : 1;
	mac[11] = lane->dir == FROM_SOURCE ? 1 : 2;
	if (!bytes("link addresses", mac, h->eth, 12, x) || !plain("VLAN tags", tags, h->vlans, x))
		return false;
	for (unsigned i = 0; i < tags; i++)
		if (!plain("VLAN", vlan[i], h->vlan[i], x))
			return false;
	return true;
}

static bool ip_fits(const struct seg *want, const struct lane_of *lane, const struct heard *h,
		    const struct ctx *x)
{
	const struct conn *c = lane->c;
	const uint8_t *src = want->from_set ? want->from : c->addr[lane->dir];

	if (!plain("IP version", c->ip6 ? 6 : 4, h->ip, x) ||
	    !bytes("source address", src, h->src, 16, x) ||
	    !bytes("destination address", c->addr[!lane->dir], h->dst, 16, x) ||
	    !plain("TTL", want->m.ttl, h->ttl, x) || !plain("TOS", want->m.tos, h->tos, x) ||
	    !plain("IP options", want->m.ipopt, h->ipopt, x) ||
	    !plain("extension headers", want->m.exts, h->exts, x) ||
	    !bytes("extension headers", want->m.ext, h->ext, h->exts, x) ||
	    !plain("fragment", false, h->frag, x))
		return false;
	if (want->m.df && !plain("DF", true, h->df, x))
		return false;
	return plain("IP checksum is right", !want->m.bad_ip_csum, h->ip_csum_ok, x);
}

static bool offload_fits(const struct seg *want, const struct lane_of *lane, const struct heard *h,
			 const struct caught *got, const struct ctx *x)
{
	const struct offload *o = &got->off;
	unsigned type = want->m.gso == 0 ? GSO_NONE : lane->c->ip6 ? GSO_TCP6 : GSO_TCP4;

	if (!plain("partial checksum", want->m.partial, o->csum == CSUM_PARTIAL, x) ||
	    !plain("GSO type", type, o->gso_type & ~(unsigned)GSO_ECN, x) ||
	    (type != GSO_NONE && !plain("GSO size", want->m.gso, o->gso_size, x)))
		return false;
	if (!want->m.partial)
		return true;
	return plain("csum_start", (uint32_t)h->l4_off, o->csum_start, x) &&
	       plain("csum_offset", 16, o->csum_offset, x);
}

/*
 * The checksum at offset `at`: by the full sum, or the pseudo-header's where a device finishes
 * it.
 */
static bool csum_fits(const struct seg *want, const struct heard *h, size_t at, const struct ctx *x)
{
	uint16_t right = want->m.bad_csum ? CSUM_ERROR : 0xffff;

	if (!want->m.partial)
		return h->sum == right ||
		       fault_say(x->f, "checksum: all sums to 0x%04x, not to 0x%04x", h->sum,
				 right);
	return load_be16(h->l4 + at) == h->pseudo ||
	       fault_say(x->f, "partial checksum: the field is 0x%04x, the pseudo-header 0x%04x",
			 load_be16(h->l4 + at), h->pseudo);
}

static bool payload_fits(const struct seg *want, const struct lane_of *lane, const uint8_t *b,
			 size_t n, uint32_t seq, const struct ctx *x)
{
	uint32_t off = seq - lane->base + !!(want->flags & TCP_SYN);

	if (want->m.payload == PAYLOAD_ANY)
		return true;
	if (want->m.payload == PAYLOAD_TEXT)
		return bytes("payload", (const uint8_t *)want->m.text, b, n, x);
	for (size_t i = 0; i < n; i++) {
		uint8_t right = stream_byte(lane->stream, off + (uint32_t)i);

		if (b[i] != right)
			return fault_say(x->f,
					 "payload: byte %zu is not byte %u of its stream: "
					 "expected %02x, came %02x",
					 i, off + (uint32_t)i, right, b[i]);
	}
	return true;
}

static bool range_fits(const struct seg *want, uint32_t seq, size_t len, const struct ctx *x)
{
	if (!want->len_any && !plain("length", want->len, (uint32_t)len, x))
		return false;
	return want->range_any || (number("first number", &want->seq, seq, x) &&
				   number("last number", &want->end, seq + (uint32_t)len, x));
}

/* The fields behind ports and seq. */
static bool fields_fit(const struct seg *want, const uint8_t *t, const struct ctx *x)
{
	bool loose = want->rest_any;

	if (t[13] != want->flags)
		return fault_say(x->f, "flags: expected 0x%02x, came 0x%02x", want->flags, t[13]);
	if (want->has_ack && !number("ack", &want->ack, load_be32(t + 8), x))
		return false;
	if (want->has_win && !number("win", &want->win, load_be16(t + 14), x))
		return false;
	if (want->has_urg || !loose)
		return number("urg", &want->urg, load_be16(t + 18), x);
	return true;
}

static bool tcp_fits(const struct seg *want, struct lane_of *lane, const struct heard *h,
		     const struct ctx *x)
{
	const uint8_t *t = h->l4;
	size_t hdr;
	uint32_t seq;

	if (h->proto != IP_TCP || h->l4_len < 20)
		return fault_say(x->f, "not TCP: protocol %u", h->proto);
	hdr = (size_t)(t[12] >> 4) * 4;
	if (hdr < 20 || hdr > h->l4_len)
		return fault_say(x->f, "the TCP header's length is damaged");
	seq = load_be32(t + 4);
	if (!plain("source port", lane->c->port[lane->dir], load_be16(t), x) ||
	    !plain("destination port", lane->c->port[!lane->dir], load_be16(t + 2), x) ||
	    !fields_fit(want, t, x) || !range_fits(want, seq, h->l4_len - hdr, x) ||
	    !opts_fit(want, t + 20, hdr - 20, x->vars, x->f))
		return false;
	if ((want->flags & TCP_SYN) && !want->m.stray)
		lane->base = seq;
	return csum_fits(want, h, 16, x) &&
	       payload_fits(want, lane, t + hdr, h->l4_len - hdr, seq, x);
}

/* The quoted packet: n bytes at b, sent against the error. */
static bool quote_fits(const struct seg *want, const struct lane_of *lane, const uint8_t *b,
		       size_t n, const struct ctx *x)
{
	const struct conn *c = lane->c;
	size_t ip = c->ip6 ? 40 : n ? (size_t)(b[0] & 15) * 4 : 0;
	const uint8_t *src = c->addr[!lane->dir], *dst = c->addr[lane->dir];
	const uint8_t *t = b + ip;

	if (n < ip + 8 || ip < 20)
		return fault_say(x->f, "the quoted packet is too short: %zu bytes", n);
	if (!bytes("quoted source", c->ip6 ? src : src + 12, b + (c->ip6 ? 8 : 12), c->ip6 ? 16 : 4,
		   x) ||
	    !bytes("quoted destination", c->ip6 ? dst : dst + 12, b + (c->ip6 ? 24 : 16),
		   c->ip6 ? 16 : 4, x) ||
	    !plain("quoted source port", c->port[!lane->dir], load_be16(t), x) ||
	    !plain("quoted destination port", c->port[lane->dir], load_be16(t + 2), x))
		return false;
	if (!want->range_any && !number("quoted seq", &want->seq, load_be32(t + 4), x))
		return false;
	return n < ip + 20 || fields_fit(want, t, x);
}

static bool icmp_fits(const struct seg *want, const struct lane_of *lane, const struct heard *h,
		      const struct ctx *x)
{
	uint8_t type[2];

	if (h->proto != (lane->c->ip6 ? IP_ICMP6 : IP_ICMP) || h->l4_len < 8)
		return fault_say(x->f, "not ICMP: protocol %u", h->proto);
	frame_icmp_type(want, lane->c->ip6, type);
	if (!plain("ICMP type", type[0], h->l4[0], x) ||
	    !plain("ICMP code", type[1], h->l4[1], x) || !csum_fits(want, h, 2, x))
		return false;
	if (want->icmp == SI_TOO_BIG && !number("MTU", &want->mtu, load_be32(h->l4 + 4), x))
		return false;
	return !want->quote || quote_fits(want->quote, lane, h->l4 + 8, h->l4_len - 8, x);
}

/* Byte for byte. */
static bool exact(const struct seg *want, struct lane_of *lane, const struct ctx *x,
		  const struct caught *got)
{
	static uint8_t buf[PACKET_MAX];
	struct packet p;

	if (!frame_build(want, lane, x, buf, &p))
		return false;
	return plain("frame's length", p.head_len, (uint32_t)got->n, x) &&
	       bytes("frame", buf, got->b, got->n, x) &&
	       plain("checksum state", p.off.csum, got->off.csum, x) &&
	       plain("GSO type", p.off.gso_type, got->off.gso_type, x);
}

bool match(const struct seg *want, struct lane_of *lane, const struct ctx *x,
	   const struct caught *got)
{
	struct heard h;

	if (want->m.frag != FRAG_NONE || want->m.cut != 0 ||
	    (want->kind != SEG_TCP && want->kind != SEG_ICMP))
		return exact(want, lane, x, got);
	if (!heard_read(got->b, got->n, &h, x->f))
		return false;
	if (h.ip == 0)
		return fault_say(x->f, "not an IP packet");
	if (want->kind == SEG_ICMP)
		return icmp_fits(want, lane, &h, x) && link_fits(want, lane, &h, x) &&
		       ip_fits(want, lane, &h, x);
	return tcp_fits(want, lane, &h, x) && link_fits(want, lane, &h, x) &&
	       ip_fits(want, lane, &h, x) && offload_fits(want, lane, &h, got, x);
}
