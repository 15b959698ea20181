/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_FRAME_H
#define SUT_TEST_FRAME_H
/*
 * frame - builds frames byte by byte for tests, on paths of its own: it shares no code with what it tests.
 *
 * Begin, append from the outside in, then frame_end() fills lengths and checksums of the headers that were
 * begun, except where they were given by hand.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/packet.h"

#define FRAME_MAX 4096

struct frame {
	uint8_t buf[FRAME_MAX];
	uint32_t len;
	uint32_t ip, ip_len,
		l4; /* offsets; ip_len: where the IP header ends; l4: where the sum begins */
	uint8_t version, proto; /* 4 or 6; what l4 is */
	struct packet p;
};

/* A generator of its own, so that a seed means the same everywhere. */
static inline uint32_t frame_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

/* The plainest checksum there is: bytes one by one, folded at each step, inverted. */
static inline uint16_t frame_sum(uint32_t sum, const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static inline uint8_t *frame_add(struct frame *f, const void *bytes, uint32_t n)
{
	uint8_t *at = f->buf + f->len;

	assert(f->len + n <= FRAME_MAX);
	if (bytes)
		memcpy(at, bytes, n);
	else
		memset(at, 0, n);
	f->len += n;
	return at;
}

/* Link addresses, tags in order (host order tpid << 16 | tci, ending with 0), ether type. */
static inline void frame_eth(struct frame *f, const uint32_t *tags, uint16_t type)
{
	memset(f, 0, sizeof *f);
	frame_add(f, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	for (; tags && *tags; tags++)
		store_be32(frame_add(f, NULL, 4), *tags);
	store_be16(frame_add(f, NULL, 2), type);
}

/* 192.0.2.10 > 198.51.100.1, with optlen bytes (a multiple of 4) of NOP options. */
static inline void frame_ip4(struct frame *f, uint8_t proto, uint32_t optlen)
{
	uint8_t *h;

	f->ip = f->len;
	h = frame_add(f, NULL, 20 + optlen);
	h[0] = (uint8_t)(0x40 | (20 + optlen) / 4);
	store_be16(h + 4, 0x1234);
	store_be16(h + 6, 0x4000);
	h[8] = 64;
	h[9] = proto;
	store_be32(h + 12, 0xc000020a);
	store_be32(h + 16, 0xc6336401);
	memset(h + 20, 1, optlen);
	f->version = 4;
	f->proto = proto;
	f->ip_len = f->l4 = f->len;
}

/* 2001:db8::a > 2001:db8:1::1; next is the first header's kind, proto what is summed in the end. */
static inline void frame_ip6(struct frame *f, uint8_t next, uint8_t proto)
{
	uint8_t *h;

	f->ip = f->len;
	h = frame_add(f, NULL, 40);
	h[0] = 0x60;
	h[6] = next;
	h[7] = 64;
	store_be32(h + 8, 0x20010db8);
	h[23] = 0x0a;
	store_be32(h + 24, 0x20010db8);
	h[29] = 1;
	h[39] = 1;
	f->version = 6;
	f->proto = proto;
	f->ip_len = f->l4 = f->len;
}

/* An extension header of n bytes (a multiple of 8): next, length, zeroes. */
static inline uint8_t *frame_ext(struct frame *f, uint8_t next, uint32_t n)
{
	uint8_t *h = frame_add(f, NULL, n);

	h[0] = next;
	h[1] = (uint8_t)(n / 8 - 1);
	f->l4 = f->len;
	return h;
}

/* Ports 40000 > 80, seq 1000, ack 2000, window 502, and the options (n is a multiple of 4). */
static inline uint8_t *frame_tcp(struct frame *f, uint8_t flags, const void *opt, uint32_t n)
{
	uint32_t at = f->len;
	uint8_t *t;

	f->l4 = at;
	t = frame_add(f, NULL, 20);
	store_be16(t, 40000);
	store_be16(t + 2, 80);
	store_be32(t + 4, 1000);
	store_be32(t + 8, 2000);
	t[12] = (uint8_t)((20 + n) / 4 << 4);
	t[13] = flags;
	store_be16(t + 14, 502);
	frame_add(f, opt, n);
	return f->buf + at;
}

/* n bytes of payload that do not repeat soon. */
static inline void frame_payload(struct frame *f, uint32_t n)
{
	uint8_t *b = frame_add(f, NULL, n);

	for (uint32_t i = 0; i < n; i++)
		b[i] = (uint8_t)(i * 7 + (i >> 5) + 1);
}

static inline uint32_t frame_pseudo(const struct frame *f, uint32_t l4_len)
{
	const uint8_t *h = f->buf + f->ip;
	uint32_t sum = f->version == 4 ? frame_sum(0, h + 12, 8) : frame_sum(0, h + 8, 32);

	return sum + f->proto + l4_len;
}

/* Lengths and checksums, and the packet: wholly in head, checksum complete. */
static inline struct packet *frame_end(struct frame *f)
{
	uint8_t *h = f->buf + f->ip, *t = f->buf + f->l4;
	uint32_t n = f->len - f->l4, csum = 0;

	if (f->version == 4) {
		store_be16(h + 2, (uint16_t)(f->len - f->ip));
		store_be16(h + 10, 0);
		store_be16(h + 10, (uint16_t)~frame_sum(0, h, f->ip_len - f->ip));
	} else if (f->version == 6) {
		store_be16(h + 4, (uint16_t)(f->len - f->ip - 40));
	}
	if (f->proto == 6 && n >= 20)
		csum = 16;
	if ((f->proto == 1 || f->proto == 58) && n >= 8)
		csum = 2;
	if (csum) {
		store_be16(t + csum, 0);
		store_be16(t + csum,
			   (uint16_t)~frame_sum(f->proto == 1 ? 0 : frame_pseudo(f, n), t, n));
	}
	f->p = (struct packet){ .head = f->buf,
				.head_len = f->len,
				.off = { .csum = CSUM_COMPLETE } };
	return &f->p;
}

/* "NOP NOP TS" with TSval 10 and TSecr 20. */
#define FRAME_TS "\x01\x01\x08\x0a\0\0\0\x0a\0\0\0\x14"

/* A plain data segment of n payload bytes; version is 4 or 6. */
static inline struct packet *frame_segment(struct frame *f, int version, uint32_t n)
{
	frame_eth(f, NULL, version == 4 ? 0x0800 : 0x86dd);
	if (version == 4)
		frame_ip4(f, 6, 0);
	else
		frame_ip6(f, 6, 6);
	frame_tcp(f, 0x18, FRAME_TS, 12);
	frame_payload(f, n);
	return frame_end(f);
}

/* A copy of the first n bytes in a block of exactly that size, so that a sanitizer sees each step too far. */
static inline struct packet frame_cut(const struct packet *p, uint32_t n)
{
	struct packet c = *p;

	c.head = malloc(n ? n : 1);
	assert(c.head && n <= p->head_len);
	memcpy(c.head, p->head, n);
	c.head_len = n;
	return c;
}
#endif
