/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "port/if_long.h"

#include "frame.h"

#define MSS 1428u

enum kind { IP4, IP6, IP6_JUMBO };

/* A super-packet as the kernel gives it: n payload bytes, what is beyond the slot in a tail. */
struct whole {
	struct frame f; /* its headers */
	uint8_t head[PACKET_MAX], *tail;
	uint32_t payload;
	struct packet p;
};

static uint8_t payload_byte(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 5) + (i >> 13) + 1);
}

static void put_jumbo(struct frame *f, uint32_t l4_len)
{
	uint8_t *h = frame_ext(f, 6, 8);

	h[2] = 0xc2;
	h[3] = 4;
	store_be32(h + 4, l4_len + 8);
}

static struct packet *make(struct whole *w, enum kind kind, uint32_t n, uint8_t flags)
{
	static const uint32_t tag[] = { 0x81000005, 0 };
	struct frame *f = &w->f;

	frame_eth(f, tag, kind == IP4 ? 0x0800 : 0x86dd);
	if (kind == IP4)
		frame_ip4(f, 6, 0);
	else
		frame_ip6(f, kind == IP6 ? 6 : 0, 6);
	if (kind == IP6_JUMBO)
		put_jumbo(f, 32 + n);
	frame_tcp(f, flags, FRAME_TS, 12);
	w->payload = n;
	w->tail = malloc(f->len + n);
	assert_non_null(w->tail);
	memcpy(w->tail, f->buf, f->len);
	for (uint32_t i = 0; i < n; i++)
		w->tail[f->len + i] = payload_byte(i);
	w->p = (struct packet){ .head = w->head, .head_len = f->len + n };
	if (w->p.head_len > PACKET_MAX) {
		w->p.body = w->tail + PACKET_MAX;
		w->p.body_len = w->p.head_len - PACKET_MAX;
		w->p.head_len = PACKET_MAX;
	}
	memcpy(w->head, w->tail, w->p.head_len);
	w->p.off = (struct offload){
		.csum = CSUM_PARTIAL,
		.gso_type = (uint8_t)((kind == IP4 ? GSO_TCP4 : GSO_TCP6) |
				      (flags & 0x80 ? GSO_ECN : 0)),
		.gso_size = MSS,
		.csum_start = (uint16_t)f->l4,
		.csum_offset = 16,
	};
	return &w->p;
}

/* The piece is a packet of its own, and its payload is the whole's from *at on. */
static void check_piece(const struct whole *w, enum kind kind, const struct packet *p, uint32_t *at)
{
	uint32_t skip = kind == IP6_JUMBO ? 8 : 0, l4 = w->f.l4 - skip, n;
	const uint8_t *ip = p->head + w->f.ip, *t = p->head + l4;
	struct frame f = w->f; /* for its own sum of addresses */

	assert_int_equal(p->body_len, 0);
	assert_true(p->head_len <= 65535);
	n = p->head_len - l4 - 32;
	if (kind == IP4) {
		assert_int_equal(load_be16(ip + 2), p->head_len - w->f.ip);
		assert_int_equal(load_be16(ip + 4), (0x1234 + *at / MSS) & 0xffff);
		assert_int_equal(frame_sum(0, ip, 20), 0xffff);
	} else {
		assert_int_equal(load_be16(ip + 4), p->head_len - w->f.ip - 40);
		assert_int_equal(ip[6], 6);
	}
	assert_int_equal(load_be32(t + 4), 1000 + *at);
	assert_int_equal(load_be32(t + 8), 2000);
	assert_int_equal(load_be16(t + 16),
			 frame_sum(frame_pseudo(&f, 32 + n), (const uint8_t *)"\0\0", 2));
	assert_int_equal(p->off.csum, CSUM_PARTIAL);
	assert_int_equal(p->off.csum_start, l4);
	assert_int_equal(p->off.hdr_len, l4 + 32);
	assert_int_equal(p->off.gso_size, n > MSS ? MSS : 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(t[32 + i], payload_byte(*at + i));
	*at += n;
	assert_true(*at == w->payload || n % MSS == 0);
}

static void cut_one(struct if_long *l, enum kind kind, uint32_t n, uint8_t flags)
{
	static struct whole w;
	struct packet *p = make(&w, kind, n, flags);
	unsigned first = l->n, k = if_long_put(l, p);
	uint32_t at = 0;

	assert_true(k > 1);
	for (unsigned i = 0; i < k; i++) {
		const struct packet *piece = l->queue[first + i];
		uint8_t want = flags;

		if (i > 0)
			want &= 0x7f;
		if (i + 1 < k)
			want &= 0xf6;
		check_piece(&w, kind, piece, &at);
		assert_int_equal(piece->head[w.f.l4 - (kind == IP6_JUMBO ? 8 : 0) + 13], want);
		if (piece->off.gso_type)
			assert_int_equal(piece->off.gso_type & GSO_ECN, want & 0x80);
	}
	assert_int_equal(at, n);
	free(w.tail);
}

static void pieces_are_the_whole(void **state)
{
	static const uint32_t sizes[] = { 65600,	131071,		  200000,
					  45 * MSS * 3, 45 * MSS * 3 + 1, 524000 };
	struct if_long *l = *state;

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		for (enum kind k = IP4; k <= IP6_JUMBO; k++) {
			if_long_reset(l);
			cut_one(l, k, sizes[i], 0x99);
		}
	}
}

/* As much as a burst can be: the pool holds it, and all of it is handed out in order. */
static void a_burst_of_the_longest(void **state)
{
	struct if_long *l = *state;
	struct packet *got[PORT_BURST];
	uint32_t want = 0, seen = 0, n;

	if_long_reset(l);
	for (unsigned i = 0; i < PORT_BURST; i++)
		cut_one(l, IP6_JUMBO, 524000, 0x10);
	want = l->n;
	while ((n = if_long_take(l, got, PORT_BURST)) > 0)
		seen += n;
	assert_int_equal(seen, want);
	assert_true(if_long_empty(l));
}

/* What waits is out of the arena: others may use that in between. */
static void what_waits_is_kept(void **state)
{
	struct if_long *l = *state;
	static struct frame f[3];
	static struct packet slot[3];
	struct packet *got[PORT_BURST];

	if_long_reset(l);
	for (unsigned i = 0; i < 3; i++) {
		slot[i] = *frame_segment(&f[i], 4, 100 + i);
		assert_int_equal(if_long_put(l, &slot[i]), 1);
	}
	assert_int_equal(if_long_take(l, got, 1), 1);
	assert_ptr_equal(got[0], &slot[0]);
	for (unsigned i = 1; i < 3; i++) {
		memset(f[i].buf, 0xee, sizeof f[i].buf);
		memset(&slot[i], 0, sizeof slot[i]);
	}
	assert_int_equal(if_long_take(l, got, PORT_BURST), 2);
	for (unsigned i = 1; i < 3; i++) {
		struct frame same;

		frame_segment(&same, 4, 100 + i);
		assert_int_equal(got[i - 1]->head_len, same.len);
		assert_memory_equal(got[i - 1]->head, same.buf, same.len);
	}
}

/* What has a length, or is left whole by nobody, is not touched; what is too long and no such packet is refused. */
static void others_are_left_alone(void **state)
{
	static struct whole w;
	struct if_long *l = *state;
	struct packet *p = make(&w, IP6_JUMBO, 66000, 0x10);

	if_long_reset(l);
	p->off.csum = CSUM_UNKNOWN;
	assert_int_equal(if_long_put(l, p), 1);
	assert_ptr_equal(l->queue[0], p);
	free(w.tail);

	p = make(&w, IP6_JUMBO, 200000, 0x10);
	p->off.csum = CSUM_UNKNOWN;
	assert_int_equal(if_long_put(l, p), 0);
	p->off.csum = CSUM_PARTIAL;
	p->head[w.f.ip + 40 + 7] ^= 1; /* the jumbo option says another length */
	assert_int_equal(if_long_put(l, p), 0);
	free(w.tail);

	p = make(&w, IP6, 200000, 0x10);
	p->off.gso_size = 0;
	assert_int_equal(if_long_put(l, p), 0);
	p->off.gso_size = 65535; /* not even one segment to a piece */
	assert_int_equal(if_long_put(l, p), 0);
	free(w.tail);
}

static int open_long(void **state)
{
	static struct if_long l;

	*state = &l;
	return if_long_open(&l);
}

static int close_long(void **state)
{
	if_long_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_the_whole),
		cmocka_unit_test(a_burst_of_the_longest),
		cmocka_unit_test(what_waits_is_kept),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, open_long, close_long);
}
