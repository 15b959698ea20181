/* SPDX-License-Identifier: MIT */
#include "proto/icmp.h"

#include <errno.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "stack/emit.h"

/*
 * Theory of operation
 *
 * Echo requests to an address of ours are answered, so many a second.  Errors are believed as far as RFC 5927 says: they must quote a
 * segment that is in flight.  A hard error ends a connection only while it is being opened (section 5.2); else all of them are soft: the
 * application is told and TCP goes on (MUST-56, MUST-47, SHLD-25).  A "too big" is believed at once while no segment of a size above the
 * one it names has arrived; else when the segment that it is about times out (section 7.2).
 *
 * A TUN device has no neighbours and no link addresses: neighbour and router discovery (RFC 4861) and multicast listeners (RFC 3810)
 * are no duties here, and what comes of them is left alone.  So is source quench (MUST-55).
 */

enum { ECHO4_REPLY = 0, ECHO4 = 8, ECHO6 = 128, ECHO6_REPLY = 129 };
enum { UNREACH4_PROTOCOL = 2, UNREACH4_PORT = 3, UNREACH6_PORT = 4, UNREACH6_PROHIBITED = 1 };

#define MTU4_MIN 552u /* what Linux has too; RFC 791 asks for 68, which serves attackers only */
#define MTU6_MIN 1280u /* RFC 8200, 5 */

/* --- echo */

static bool is_echo(const struct packet *p, const struct view *v)
{
	uint8_t type = p->head[v->l4];

	return v->ip == 4 ? v->proto == IP_ICMP && type == ECHO4
			  : v->proto == IP_ICMP6 && type == ECHO6;
}

/* What follows the ICMP header, where it lies. */
static unsigned echo_slices(const struct packet *p, const struct view *v,
			    struct stack_slice ret_s[2])
{
	uint32_t from = v->l4 + (uint32_t)sizeof(struct icmp_hdr),
		 left = v->l4_len - (uint32_t)sizeof(struct icmp_hdr);
	uint32_t in_head = p->head_len > from ? p->head_len - from : 0;
	unsigned n = 0;

	if (in_head > left)
		in_head = left;
	if (in_head > 0)
		ret_s[n++] = (struct stack_slice){ p->head + from, in_head };
	if (left > in_head)
		ret_s[n++] = (struct stack_slice){ p->body, left - in_head };
	return n;
}

static void echo(struct stack *s, const struct packet *p, const struct view *v)
{
	struct conn_quad q = { 0 };
	struct emit_ip ip = { .proto = v->proto,
			      .ttl = s->cfg.ttl ? s->cfg.ttl : 64,
			      .l4_len = v->l4_len };
	struct stack_slice slice[2];
	struct stack_out out = {
		.head = s->emit_head + PACKET_HEADROOM,
		.slice = slice,
		.payload_len = v->l4_len - (uint32_t)sizeof(struct icmp_hdr),
		.off = { .csum = CSUM_COMPLETE },
	};
	uint8_t *at;
	uint64_t sum;

	view_addrs(p, v, q.raddr, q.laddr);
	if (!addr_is_ours(s, q.laddr) || s->icmp_left == 0)
		return;
	s->icmp_left--;
	out.n = echo_slices(p, v, slice);
	at = out.head + emit_ip(s, NULL, &q, &ip, out.head);
	memcpy(at, p->head + v->l4, sizeof(struct icmp_hdr));
	at[0] = v->ip == 4 ? ECHO4_REPLY : ECHO6_REPLY;
	store_be16(at + offsetof(struct icmp_hdr, csum), 0);
	sum = v->ip == 4 ? 0 : emit_pseudo(&q, IP_ICMP6, v->l4_len);
	sum = emit_sum_slices(csum_add(sum, at, sizeof(struct icmp_hdr)), slice, out.n);
	store_be16(at + offsetof(struct icmp_hdr, csum), (uint16_t)~csum_fold(sum));
	out.head_len = (uint32_t)(at + sizeof(struct icmp_hdr) - out.head);
	stack_bump(s, STACK_ECHO);
	(void)emit_raw(s, &out);
}

/* --- errors */

/* Errors by which the peer, or the way to it, says that there will be no connection (SHLD-26). */
static int hard_error(const struct view *v, const struct icmp_error *e, uint8_t code)
{
	if (e->kind != ICMP_UNREACHABLE)
		return 0;
	if (v->ip == 4)
		return code == UNREACH4_PORT || code == UNREACH4_PROTOCOL ? ECONNREFUSED : 0;
	return code == UNREACH6_PORT ? ECONNREFUSED : code == UNREACH6_PROHIBITED ? EACCES : 0;
}

static int soft_error(const struct view *v, const struct icmp_error *e, uint8_t code)
{
	if (e->kind == ICMP_PARAM)
		return EPROTO;
	if (e->kind == ICMP_UNREACHABLE && code == 0)
		return ENETUNREACH; /* IPv4: net; IPv6: no route */
	if (e->kind == ICMP_UNREACHABLE && hard_error(v, e, code) != 0)
		return ECONNREFUSED;
	return EHOSTUNREACH;
}

/* RFC 1191, 5: routers of old do not say how much they take. */
static uint32_t next_plateau(uint32_t mtu)
{
	static const uint16_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, MTU4_MIN };

	for (unsigned i = 0; i < ARRAY_LEN(plateaus); i++)
		if (plateaus[i] < mtu)
			return plateaus[i];
	return MTU4_MIN;
}

static void too_big(struct stack *s, struct conn *c, const struct icmp_error *e)
{
	uint32_t least = c->ip == 4 ? MTU4_MIN : MTU6_MIN, mtu = e->mtu;

	if (mtu == 0 && c->ip == 4)
		mtu = next_plateau(c->path_mtu);
	if (mtu < least)
		mtu = least;
	if (mtu >= c->path_mtu) {
		stack_bump(s, STACK_ICMP_IGNORED);
		return;
	}
	stack_bump(s, STACK_ICMP_USED);
	if (mtu < c->max_acked) {
		c->icmp_mtu = (uint16_t)mtu;
		c->icmp_seq = e->seq + 1;
		return;
	}
	c->path_mtu = mtu;
	recovery_mss(s, c);
	conn_dirty(s, c);
}

static void unreachable(struct stack *s, struct conn *c, const struct view *v,
			const struct icmp_error *e, uint8_t code)
{
	int hard = hard_error(v, e, code);

	stack_bump(s, STACK_ICMP_USED);
	if (hard != 0 && c->state == ST_SYN_SENT) {
		conn_end(s, c, hard, "ICMP: refused");
		return;
	}
	c->soft_error = (int16_t)soft_error(v, e, code);
	conn_tell(s, c, CONN_SOFT_ERROR);
}

/* RFC 5927, 4.1: only what quotes a segment in flight is of one who sees our packets. */
static struct conn *quoted(struct stack *s, const struct icmp_error *e)
{
	struct conn_quad q = { .lport = e->sport, .rport = e->dport };
	struct conn *c;

	memcpy(q.laddr, e->src, 16);
	memcpy(q.raddr, e->dst, 16);
	c = table_find(s, &q);
	if (c == NULL || before(e->seq, c->snd_una) || !before(e->seq, c->snd_nxt))
		return NULL;
	return c;
}

enum reason icmp_in(struct stack *s, const struct packet *p, const struct view *v)
{
	struct icmp_error e;
	enum reason r;
	struct conn *c;

	if (v->fragment)
		return R_FRAGMENT;
	if (v->l4_len < sizeof(struct icmp_hdr) || p->head_len < v->l4 + sizeof(struct icmp_hdr))
		return R_ICMP_SHORT;
	if (!csum_icmp_ok(p, v) || (p->off.csum == CSUM_UNKNOWN && !csum_ip_ok(p, v)))
		return R_ICMP_CSUM;
	if (is_echo(p, v)) {
		echo(s, p, v);
		return R_NONE;
	}
	r = icmp_error_read(p, v, &e);
	if (r != R_NONE || e.kind == ICMP_OTHER)
		return r;
	c = quoted(s, &e);
	if (c == NULL)
		stack_bump(s, STACK_ICMP_IGNORED);
	else if (e.kind == ICMP_TOO_BIG)
		too_big(s, c, &e);
	else
		unreachable(s, c, v, &e, p->head[v->l4 + 1]);
	return R_NONE;
}
