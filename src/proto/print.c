/* SPDX-License-Identifier: MIT */
#include "proto/print.h"

#include <string.h>

#include "base/compiler.h"
#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"
#include "proto/view.h"

/* Text that grows up to size - 1 bytes; what does not fit is cut. */
struct text {
	char *s;
	size_t size, len;
};

static void put_n(struct text *t, const char *s, size_t n)
{
	size_t room = t->size > t->len ? t->size - t->len - 1 : 0;

	if (n > room)
		n = room;
	if (n == 0)
		return;
	memcpy(t->s + t->len, s, n);
	t->len += n;
}

static void put(struct text *t, const char *s)
{
	put_n(t, s, strlen(s));
}

static void put_char(struct text *t, char c)
{
	put_n(t, &c, 1);
}

static void put_uint(struct text *t, uint32_t v)
{
	char digits[10];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put_n(t, digits + at, sizeof digits - at);
}

/* At least min hexadecimal digits of v. */
static void put_hex(struct text *t, uint32_t v, unsigned min)
{
	static const char digit[] = "0123456789abcdef";
	unsigned n = 8;

	while (n > min && v >> (4 * (n - 1)) == 0)
		n--;
	while (n)
		put_char(t, digit[v >> (4 * --n) & 15]);
}

/* before, then v. */
static void put_field(struct text *t, const char *before, uint32_t v)
{
	put(t, before);
	put_uint(t, v);
}

static size_t finish(struct text *t)
{
	if (t->size)
		t->s[t->len] = '\0';
	return t->len;
}

static void put_ip4(struct text *t, const uint8_t *b)
{
	for (unsigned i = 0; i < 4; i++)
		put_field(t, i ? "." : "", b[i]);
}

/* The longest run of two zero groups or more, the first one of equals (RFC 5952, 4.2). */
static void zero_run(const uint8_t addr[16], unsigned *ret_at, unsigned *ret_n)
{
	unsigned best = 8, best_n = 1, n = 0;

	for (unsigned i = 0; i < 8; i++) {
		n = load_be16(addr + 2 * i) == 0 ? n + 1 : 0;
		if (n > best_n) {
			best_n = n;
			best = i + 1 - n;
		}
	}
	*ret_at = best;
	*ret_n = best_n;
}

static void put_addr(struct text *t, const uint8_t addr[16])
{
	unsigned run, run_n;

	if (ip_is_mapped(addr)) {
		put_ip4(t, addr + 12);
		return;
	}
	zero_run(addr, &run, &run_n);
	for (unsigned i = 0; i < 8; i++) {
		if (i == run) {
			put(t, "::");
			i += run_n - 1;
			continue;
		}
		if (i && i != run + run_n)
			put_char(t, ':');
		put_hex(t, load_be16(addr + 2 * i), 1);
	}
}

static void put_flags(struct text *t, unsigned flags)
{
	static const struct {
		char c;
		uint8_t flag;
	} letters[] = {
		{ 'S', TCP_SYN }, { 'F', TCP_FIN }, { 'R', TCP_RST }, { 'P', TCP_PSH },
		{ 'U', TCP_URG }, { 'E', TCP_ECE }, { 'W', TCP_CWR }, { '.', TCP_ACK },
	};

	if (!flags)
		put(t, "none");
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (flags & letters[i].flag)
			put_char(t, letters[i].c);
}

static void put_sack(struct text *t, const uint8_t *b, unsigned blocks)
{
	put_field(t, "sack ", blocks);
	put_char(t, ' ');
	for (unsigned i = 0; i < blocks; i++) {
		put_field(t, "{", load_be32(b + 8 * i));
		put_field(t, ":", load_be32(b + 8 * i + 4));
		put_char(t, '}');
	}
}

static void put_mptcp(struct text *t, unsigned subtype)
{
	if (subtype == MPTCP_CAPABLE)
		put(t, "mptcp capable");
	else if (subtype == MPTCP_JOIN)
		put(t, "mptcp join");
	else
		put_field(t, "mptcp ", subtype);
}

static void put_tfo(struct text *t, const uint8_t *cookie, unsigned len)
{
	put(t, len ? "tfo " : "tfo cookiereq");
	for (unsigned i = 0; i < len; i++)
		put_hex(t, cookie[i], 2);
}

static void put_experiment(struct text *t, const uint8_t *b, unsigned len)
{
	if (len < 4) {
		put_field(t, "unknown-", b[0]);
		return;
	}
	put(t, "exp-");
	put_hex(t, load_be16(b + 2), 4);
}

/* One option of a length that is right for its kind; b is its kind byte. */
static void put_option(struct text *t, const uint8_t *b, unsigned len)
{
	switch (b[0]) {
	case TCPOPT_EOL:
		put(t, "eol");
		break;
	case TCPOPT_NOP:
		put(t, "nop");
		break;
	case TCPOPT_MSS:
		put_field(t, "mss ", load_be16(b + 2));
		break;
	case TCPOPT_WSCALE:
		put_field(t, "wscale ", b[2]);
		break;
	case TCPOPT_SACK_PERMITTED:
		put(t, "sackOK");
		break;
	case TCPOPT_SACK:
		put_sack(t, b + 2, (len - 2) / 8);
		break;
	case TCPOPT_TIMESTAMPS:
		put_field(t, "TS val ", load_be32(b + 2));
		put_field(t, " ecr ", load_be32(b + 6));
		break;
	case TCPOPT_MD5:
		put(t, "md5");
		break;
	case TCPOPT_AO:
		put(t, "ao");
		break;
	case TCPOPT_MPTCP:
		put_mptcp(t, b[2] >> 4);
		break;
	case TCPOPT_TFO:
		put_tfo(t, b + 2, len - 2);
		break;
	case TCPOPT_EXP1:
	case TCPOPT_EXP2:
		put_experiment(t, b, len);
		break;
	default:
		put_field(t, "unknown-", b[0]);
		break;
	}
}

/* Options in wire order, up to a malformed one. */
static void put_options(struct text *t, const uint8_t *opt, size_t len)
{
	struct tcp_option o;
	size_t off = 0;
	bool good = true;

	if (len == 0)
		return;
	put(t, " <");
	while (good && tcp_option_next(opt, len, &off, &o)) {
		if (o.off)
			put_char(t, ',');
		good = tcp_option_fits(&o);
		if (good)
			put_option(t, opt + o.off, o.len);
	}
	if (good && off < len) {
		put(t, off ? "," : "");
		good = false;
	}
	put(t, good ? ">" : "[bad opt]>");
}

static void put_segment(struct text *t, const struct packet *p, const struct view *v)
{
	const struct tcp_hdr *h = view_tcp(p, v);

	put_flags(t, v->flags);
	put_field(t, " ", v->seq);
	put_field(t, ":", v->seq + v->payload_len);
	put_field(t, "(", v->payload_len);
	put_char(t, ')');
	if (v->flags & TCP_ACK)
		put_field(t, " ack ", v->ack);
	put_field(t, " win ", v->window);
	if (v->flags & TCP_URG)
		put_field(t, " urg ", be16_get(h->urg));
	put_options(t, (const uint8_t *)(h + 1), view_options_len(v));
}

/* "A.port > B.port", or "A > B" where ports is NULL. */
static void put_ends(struct text *t, const uint8_t src[16], const uint8_t dst[16],
		     const uint16_t ports[2])
{
	put_addr(t, src);
	if (ports)
		put_field(t, ".", ports[0]);
	put(t, " > ");
	put_addr(t, dst);
	if (ports)
		put_field(t, ".", ports[1]);
}

static void put_icmp(struct text *t, const struct icmp_error *e)
{
	static const char *const what[] = {
		[ICMP_OTHER] = "",
		[ICMP_UNREACHABLE] = " unreachable",
		[ICMP_TOO_BIG] = " too-big",
		[ICMP_TIME] = " time-exceeded",
		[ICMP_PARAM] = " parameter-problem",
	};

	put(t, what[e->kind]);
	if (e->kind == ICMP_TOO_BIG)
		put_field(t, " mtu ", e->mtu);
	if (e->kind == ICMP_OTHER)
		return;
	put(t, " of ");
	put_ends(t, e->src, e->dst, (const uint16_t[]){ e->sport, e->dport });
	put_field(t, " seq ", e->seq);
}

static void put_proto(struct text *t, unsigned proto)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {
		{ IP_ICMP, "icmp" },
		{ IP_TCP, "tcp" },
		{ IP_UDP, "udp" },
		{ IP_ICMP6, "icmp6" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].proto == proto) {
			put(t, names[i].name);
			return;
		}
	}
	put_field(t, "ip-proto-", proto);
}

/* What IP carries and is no TCP segment. */
static void put_other(struct text *t, const struct packet *p, const struct view *v)
{
	struct icmp_error e;

	put_proto(t, v->proto);
	if (icmp_error_read(p, v, &e) == R_NONE)
		put_icmp(t, &e);
	put_field(t, ", length ", v->l4_len);
}

static void put_ip(struct text *t, const struct packet *p, const struct view *v, enum reason r)
{
	const struct tcp_hdr *h = view_tcp(p, v);
	uint8_t src[16], dst[16];

	view_addrs(p, v, src, dst);
	if (v->tcp)
		put_ends(t, src, dst, (const uint16_t[]){ be16_get(h->sport), be16_get(h->dport) });
	else
		put_ends(t, src, dst, NULL);
	put(t, ": ");
	if (v->tcp)
		put_segment(t, p, v);
	else if (r == R_NONE)
		put_other(t, p, v);
}

static void put_ethernet(struct text *t, const struct packet *p, const struct view *v)
{
	unsigned type = load_be16(p->head + v->l3 - 2);

	if (type == ETH_ARP) {
		put(t, "arp");
	} else {
		put(t, "ethertype 0x");
		put_hex(t, type, 4);
	}
	put_field(t, ", length ", packet_len(p) - v->l3);
}

/* What is to be said about the packet beside its contents. */
static void put_marks(struct text *t, const struct packet *p, const struct view *v)
{
	for (unsigned i = 0; i < v->vlans; i++) {
		put_field(t, " [vlan ", v->vlan[i]);
		put_char(t, ']');
	}
	if (v->fragment)
		put(t, " [frag]");
	if (v->tcp && !csum_tcp_ok(p, v))
		put(t, " [bad tcp cksum]");
	if (!csum_ip_ok(p, v))
		put(t, " [bad ip cksum]");
	if (p->off.csum == CSUM_PARTIAL)
		put(t, " [partial]");
	if (p->off.gso_type != GSO_NONE) {
		put_field(t, " [gso ", p->off.gso_size);
		put_char(t, ']');
	}
}

size_t print_segment(const struct packet *p, const struct view *v, char *ret_s, size_t size)
{
	struct text t = { ret_s, size, 0 };

	put_segment(&t, p, v);
	return finish(&t);
}

size_t print_packet(const struct packet *p, char *ret_s, size_t size)
{
	struct text t = { ret_s, size, 0 };
	struct view v;
	enum reason r = view_parse(p, &v);

	if (v.ip)
		put_ip(&t, p, &v, r);
	else if (r == R_NONE)
		put_ethernet(&t, p, &v);
	if (r != R_NONE) {
		put(&t, "malformed ");
		put(&t, reason_label(r));
		put_field(&t, ", length ", packet_len(p));
	}
	put_marks(&t, p, &v);
	return finish(&t);
}

size_t print_addr(const unsigned char addr[16], char *ret_s, size_t size)
{
	struct text t = { ret_s, size, 0 };

	put_addr(&t, addr);
	return finish(&t);
}
