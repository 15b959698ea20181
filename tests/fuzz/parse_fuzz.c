/* SPDX-License-Identifier: MIT */
/*
 * parse_fuzz - bytes as a frame: through the parser, options, ICMP quotes, checksums and the printer.
 *
 * Input: a byte of offload state and of where head ends, then the frame.  Head and body are blocks of their own, of
 * exactly their size.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"
#include "proto/print.h"
#include "proto/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *copy(const uint8_t *data, size_t size)
{
	uint8_t *b = calloc(size ? size : 1, 1);

	assert(b);
	if (size)
		memcpy(b, data, size);
	return b;
}

/* Bits 0-1: checksum state; 2-3: kind of super-packet; 4-7: sixteenths of the frame that lie in body. */
static struct packet unpack(uint8_t how, const uint8_t *frame, size_t size)
{
	static const uint8_t gso[] = { GSO_NONE, GSO_TCP4, GSO_TCP6 | GSO_ECN, GSO_UDP_L4 };
	size_t body = size * (how >> 4) / 16, head = size - body;

	return (struct packet){
		.head = copy(frame, head),
		.head_len = (uint32_t)head,
		.body = copy(frame + head, body),
		.body_len = (uint32_t)body,
		.off = { .csum = (uint8_t)((how & 3) % 3),
			 .gso_type = gso[how >> 2 & 3],
			 .gso_size = 1448,
			 .csum_start = 34,
			 .csum_offset = 16 },
	};
}

static void check_view(const struct packet *p, const struct view *v, enum reason r)
{
	assert(r < SUT_REASON_COUNT && v->vlans <= VLAN_TAGS_MAX);
	assert(r == R_NONE || !v->tcp);
	if (v->ip)
		assert(v->l3 + (v->ip == 4 ? 20u : 40u) <= p->head_len);
	if (r == R_NONE && v->ip) {
		assert(v->l4 <= p->head_len && v->l4 + v->l4_len <= packet_len(p));
		assert(v->l4 >= v->l3 + (v->ip == 4 ? 20 : 40));
	}
	if (v->tcp) {
		assert(v->proto == IP_TCP && !v->fragment);
		assert(v->payload >= v->l4 + 20 && v->payload <= p->head_len);
		assert(v->payload - v->l4 + v->payload_len == v->l4_len);
	}
}

static void check_line(const struct packet *p)
{
	char line[PRINT_MAX];
	size_t n = print_packet(p, line, sizeof line);

	assert(n > 0 && n < PRINT_MAX - 1 && strlen(line) == n);
	for (size_t i = 0; i < n; i++)
		assert(line[i] >= ' ' && line[i] <= '~');
}

static void check_payload(const struct packet *p, const struct view *v)
{
	uint8_t *b = malloc(v->payload_len + 1u);

	assert(b);
	view_payload_copy(p, v, 0, v->payload_len, b);
	for (uint32_t i = 0; i < v->payload_len; i++) {
		uint32_t at = v->payload + i;

		assert(b[i] == (at < p->head_len ? p->head[at] : p->body[at - p->head_len]));
	}
	free(b);
}

/* A change of seq keeps the checksum's truth, whatever it was; filling makes it right. */
static void check_csum(struct packet *p, const struct view *v)
{
	uint8_t *t = p->head + v->l4;
	bool ok = csum_tcp_ok(p, v);
	struct csum_delta d = { 0 };

	csum_swap32(&d, load_be32(t + 4), 0xfedcba98, false);
	store_be32(t + 4, 0xfedcba98);
	csum_apply(t + 16, &p->off, d);
	assert(csum_tcp_ok(p, v) == ok);
	csum_tcp_fill(p, v);
	assert(p->off.csum == CSUM_COMPLETE && csum_tcp_ok(p, v));
	csum_ip_fill(p, v);
	assert(csum_ip_ok(p, v));
}

static void check_icmp(struct packet *p, const struct view *v)
{
	struct icmp_error e, again;
	enum reason r = icmp_error_read(p, v, &e);

	assert(r == R_NONE || r == R_ICMP_SHORT || r == R_ICMP_QUOTE);
	if (r != R_NONE || e.kind == ICMP_OTHER)
		return;
	assert(e.quote == v->l4 + 8 && e.quote_l4 >= e.quote + (v->ip == 4 ? 20 : 40));
	assert(e.quote_l4 + (e.has_ack ? 12u : 8u) <= p->head_len);
	icmp_error_set_seq(p, v, &e, ~e.seq);
	assert(icmp_error_read(p, v, &again) == R_NONE && again.seq == ~e.seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p;
	struct view v;
	enum reason r;

	if (size == 0 || size > PACKET_MAX)
		return 0;
	p = unpack(data[0], data + 1, size - 1);
	r = view_parse(&p, &v);
	check_view(&p, &v, r);
	check_line(&p);
	if (v.tcp) {
		struct tcp_options o;
		enum reason opt = view_options(&p, &v, &o);

		assert(opt == R_NONE || opt == R_TCP_OPT);
		check_payload(&p, &v);
		check_csum(&p, &v);
	} else if (r == R_NONE && v.ip) {
		check_icmp(&p, &v);
	}
	if (csum_finish(&p))
		assert(p.off.csum != CSUM_PARTIAL);
	free(p.head);
	free((void *)(uintptr_t)p.body);
	return 0;
}
