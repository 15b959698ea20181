/* SPDX-License-Identifier: MIT */
/*
 * scene SCENE DIR - writes DIR/near.pcap and DIR/far.pcap, what was seen on both sides of a box: small captures for tests.
 *
 * hold    a promise, data held until the server has answered
 * merge   a promise, data that left in the SYN
 * broken  hold, but one ACK to the server is off by one
 * lost    near.pcap alone counts: a SYN repeated, a hole, duplicate ACKs, retransmissions, a keep-alive, a zero window, a reset
 * bulk    bypass, with so much data that it is folded
 * mid     a connection that is older than the captures, shifted both ways
 * unseen  merge, but the client's SYN is not in near.pcap
 * skew    hold, with a far clock that is half a millisecond late
 * pieces  super-packets on one side that are several packets on the other
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "port/capture.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

enum { F = TCP_FIN, S = TCP_SYN, R = TCP_RST, P = TCP_PSH, A = TCP_ACK };
enum side { C, V }; /* client, server: who sends */
enum { NEAR_FILE = 1, FAR_FILE = 2, BOTH = 3 };

#define START 1700000000000000000u
#define CLIENT_ISN 1000000u
#define NEAR_ISN 5000000u /* the server's, as the client knows it */

static struct capture_writer *file[2];
static uint32_t far_isn = NEAR_ISN, client_far_isn = CLIENT_ISN;
static unsigned late_us; /* of the far clock */
static uint32_t spoil_ack; /* added to the next far ACK */
static uint16_t ipid = 1;

/* A segment: numbers are relative, us is microseconds from the beginning. */
struct seg {
	unsigned us;
	enum side from;
	uint8_t flags;
	uint32_t seq, len, ack;
	uint16_t win;
	uint32_t sack_from, sack_to;
};

static uint32_t put_options(uint8_t *o, const struct seg *s)
{
	static const uint8_t syn[8] = { 2, 4, 0x05, 0xb4, 1, 3, 3, 7 }, sack[4] = { 1, 1, 5, 10 };

	if (s->flags & S) {
		memcpy(o, syn, sizeof syn);
		return sizeof syn;
	}
	if (s->sack_to == 0)
		return 0;
	memcpy(o, sack, sizeof sack);
	return 12;
}

static void put(unsigned which, const struct seg *s, unsigned delay_us)
{
	uint32_t server = which ? far_isn : NEAR_ISN, client = which ? client_far_isn : CLIENT_ISN;
	uint8_t bytes[20000] = { 0 }, *ip = bytes + 14, *t = ip + 20;
	uint32_t options = put_options(t + 20, s), l4 = 20 + options + s->len;
	struct packet p = { .head = bytes, .head_len = 34 + l4, .off.csum = CSUM_COMPLETE };
	struct view v;

	bytes[12] = 8;
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(20 + l4));
	store_be16(ip + 4, ipid);
	ip[8] = 64;
	ip[9] = IP_TCP;
	store_be32(ip + 12, s->from == C ? 0xc0000201 : 0xc0000202);
	store_be32(ip + 16, s->from == C ? 0xc0000202 : 0xc0000201);
	store_be16(t, s->from == C ? 40000 : 80);
	store_be16(t + 2, s->from == C ? 80 : 40000);
	store_be32(t + 4, s->seq + (s->from == C ? client : server));
	if (s->flags & A)
		store_be32(t + 8, s->ack + (s->from == C ? server : client));
	if (which == 1 && s->from == C && spoil_ack && (s->flags & A)) {
		store_be32(t + 8, load_be32(t + 8) + spoil_ack);
		spoil_ack = 0;
	}
	t[12] = (uint8_t)((20 + options) / 4 << 4);
	t[13] = s->flags;
	store_be16(t + 14, s->win ? s->win : s->flags & R ? 0 : 500);
	if (options == 12) {
		store_be32(t + 24, s->sack_from + (s->from == C ? server : client));
		store_be32(t + 28, s->sack_to + (s->from == C ? server : client));
	}
	if (s->win == 0xffff)
		store_be16(t + 14, 0);
	for (uint32_t i = 0; i < s->len; i++)
		t[20 + options + i] = (uint8_t)((s->seq + !!(s->flags & S) + i) * 7 + s->from);
	if (view_parse(&p, &v) != R_NONE)
		abort();
	csum_ip_fill(&p, &v);
	csum_tcp_fill(&p, &v);
	capture_write(file[which], &p,
		      START + (sut_time)(s->us + delay_us) * 1000 - (which ? late_us * 1000 : 0));
}

/* On these sides; through the box in 10 us. */
static void seg(unsigned where, struct seg s)
{
	unsigned in = s.from == C ? 0 : 1;

	ipid++;
	if (where >> in & 1)
		put(in, &s, 0);
	if (where >> !in & 1)
		put(!in, &s, where == BOTH ? 10 : 0);
}

#define SEG(where, ...) seg((where), (struct seg){ __VA_ARGS__ })

static void end(unsigned us, uint32_t c, uint32_t v)
{
	SEG(BOTH, us, C, F | A, c, 0, v);
	SEG(BOTH, us + 20000, V, F | A, v, 0, c + 1);
	SEG(BOTH, us + 20100, C, A, c + 1, 0, v + 1);
}

static void hold(void)
{
	far_isn = 77000000;
	SEG(BOTH, 0, C, S, 0);
	SEG(NEAR_FILE, 20, V, S | A, 0, 0, 1);
	SEG(NEAR_FILE, 120, C, A, 1, 0, 1);
	SEG(NEAR_FILE, 200, C, P | A, 1, 100, 1);
	SEG(FAR_FILE, 20200, V, S | A, 0, 0, 1);
	SEG(FAR_FILE, 20210, C, A, 1, 0, 1, 501);
	SEG(FAR_FILE, 20220, C, P | A, 1, 100, 1);
	SEG(BOTH, 40300, V, A, 1, 0, 101);
	SEG(BOTH, 40400, V, P | A, 1, 300, 101);
	SEG(BOTH, 40500, C, A, 101, 0, 301);
	end(41000, 101, 301);
}

static void skew(void)
{
	late_us = 500;
	hold();
}

static void unseen(void)
{
	far_isn = 4294967000; /* the shift wraps */
	SEG(NEAR_FILE, 20, V, S | A, 0, 0, 1);
	SEG(NEAR_FILE, 120, C, A, 1, 0, 1);
	SEG(NEAR_FILE, 2200, C, P | A, 1, 100, 1);
	SEG(FAR_FILE, 2210, C, S, 0, 100);
	SEG(FAR_FILE, 22300, V, S | A, 0, 0, 101);
	SEG(NEAR_FILE, 22310, V, A, 1, 0, 101);
	SEG(FAR_FILE, 22311, C, A, 101, 0, 1);
	SEG(BOTH, 22400, V, P | A, 1, 300, 101);
	SEG(BOTH, 22500, C, A, 101, 0, 301);
	end(23000, 101, 301);
}

static void merge(void)
{
	SEG(NEAR_FILE, 0, C, S, 0);
	unseen();
}

static void broken(void)
{
	far_isn = 77000000;
	SEG(BOTH, 0, C, S, 0);
	SEG(BOTH, 20000, V, S | A, 0, 0, 1);
	SEG(BOTH, 20100, C, A, 1, 0, 1);
	SEG(BOTH, 20200, C, P | A, 1, 100, 1);
	SEG(BOTH, 40400, V, P | A, 1, 300, 101);
	spoil_ack = 1;
	SEG(BOTH, 40500, C, A, 101, 0, 301);
	SEG(BOTH, 40600, V, P | A, 301, 300, 101);
	SEG(BOTH, 40700, C, A, 101, 0, 601);
	end(41000, 101, 601);
}

static void lost(void)
{
	SEG(1, 0, C, S, 0);
	SEG(1, 1020000, C, S, 0);
	SEG(1, 1040000, V, S | A, 0, 0, 1);
	SEG(1, 1040100, C, A, 1, 0, 1);
	SEG(1, 1040200, C, P | A, 1, 100, 1);
	SEG(1, 1060000, V, A, 1, 1000, 101);
	SEG(1, 1060100, V, A, 2001, 1000, 101);
	SEG(1, 1060200, C, A, 101, 0, 1001);
	SEG(1, 1060300, C, A, 101, 0, 1001, 500, 2001, 3001);
	SEG(1, 1060400, C, A, 101, 0, 1001, 500, 2001, 3001);
	SEG(1, 1080000, V, A, 1001, 1000, 101);
	SEG(1, 1080100, C, A, 101, 0, 3001);
	SEG(1, 1090000, V, A, 1001, 1000, 101);
	SEG(1, 1090100, C, A, 101, 0, 3001, 500, 1001, 2001);
	SEG(1, 1100000, C, A, 101, 0, 3001, 0xffff);
	SEG(1, 1300000, C, A, 101, 0, 3001, 400);
	SEG(1, 3300000, V, A, 3000, 0, 101);
	SEG(1, 3300100, C, A, 101, 0, 3001, 400);
	SEG(1, 3400000, C, P | A, 101, 50, 3001, 400);
	SEG(1, 3600000, C, P | A, 101, 50, 3001, 400);
	SEG(1, 3700000, V, R, 3001);
	/* the same ends again */
	SEG(1, 5000000, C, S, 900000);
	SEG(1, 5000100, V, R | A, 0u - NEAR_ISN, 0, 900001);
}

static void bulk(void)
{
	SEG(BOTH, 0, C, S, 0);
	SEG(BOTH, 20000, V, S | A, 0, 0, 1);
	SEG(BOTH, 20100, C, A, 1, 0, 1);
	SEG(BOTH, 20200, C, P | A, 1, 100, 1);
	for (unsigned i = 0; i < 40; i++) {
		SEG(BOTH, 40000 + i * 100, V, A, 1 + i * 1000, 1000, 101);
		if (i % 2)
			SEG(BOTH, 40050 + i * 100, C, A, 101, 0, 1001 + i * 1000);
	}
	end(50000, 101, 40001);
}

static void mid(void)
{
	far_isn = 12345;
	client_far_isn = 4000000000;
	SEG(BOTH, 0, C, P | A, 5000, 100, 7000);
	SEG(BOTH, 20000, V, P | A, 7000, 200, 5100);
	SEG(BOTH, 20100, C, A, 5100, 0, 7200);
	SEG(BOTH, 20200, C, P | A, 5100, 90, 7200);
	SEG(BOTH, 40000, V, P | A, 7200, 210, 5190);
	SEG(BOTH, 40100, C, A, 5190, 0, 7410);
}

static void pieces(void)
{
	far_isn = 77000000;
	SEG(BOTH, 0, C, S, 0);
	SEG(BOTH, 20000, V, S | A, 0, 0, 1);
	SEG(BOTH, 20100, C, A, 1, 0, 1);
	SEG(NEAR_FILE, 20200, C, P | A, 1, 3000, 1);
	for (unsigned i = 0; i < 3; i++)
		SEG(FAR_FILE, 20210 + i, C, A, 1 + 1000 * i, 1000, 1);
	for (unsigned i = 0; i < 3; i++)
		SEG(FAR_FILE, 40000 + i, V, A, 1 + 1000 * i, 1000, 3001);
	SEG(NEAR_FILE, 40020, V, A, 1, 3000, 3001);
	SEG(BOTH, 40100, C, A, 3001, 0, 3001);
	end(41000, 3001, 3001);
}

static const struct {
	const char *name;
	void (*write)(void);
} scenes[] = {
	{ "hold", hold },     { "merge", merge },   { "broken", broken },
	{ "lost", lost },     { "bulk", bulk },	    { "mid", mid },
	{ "pieces", pieces }, { "unseen", unseen }, { "skew", skew },
};

int main(int argc, char **argv)
{
	static const char *const name[] = { "near", "far" };
	char path[600], why[600];

	for (unsigned i = 0; i < 2 && argc == 3; i++) {
		snprintf(path, sizeof path, "%s/%s.pcap", argv[2], name[i]);
		if (capture_create(path, &file[i], why, sizeof why) != 0)
			return 1;
	}
	for (unsigned i = 0; argc == 3 && i < sizeof scenes / sizeof scenes[0]; i++) {
		if (strcmp(scenes[i].name, argv[1]) != 0)
			continue;
		scenes[i].write();
		return capture_finish(file[0], why, sizeof why) |
		       capture_finish(file[1], why, sizeof why);
	}
	fprintf(stderr, "usage: scene SCENE DIR\n");
	return 2;
}
