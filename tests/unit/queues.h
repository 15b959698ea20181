/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_QUEUES_H
#define SUT_TEST_QUEUES_H
/*
 * queues - as much of a stack as its queues need: some connections and a pool of cells.
 *
 * Segments are pieces of one stream, whose byte at place i is queues_byte(i).
 */
#include <stdlib.h>
#include <string.h>

#include "stack/parts.h"

#define QUEUES_CONNS 8u

struct queues {
	struct stack *s;
	struct conn *c; /* the first one */
};

static inline uint8_t queues_byte(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + 3);
}

static inline size_t queues_round(size_t n)
{
	return (n + 63) / 64 * 64;
}

/* A stack with so many cells; connections have empty queues, buffers of 64 KB and agreed to SACK. */
static inline void queues_new(struct queues *ret_q, uint32_t cells)
{
	size_t conns = queues_round(sizeof(struct stack));
	size_t store = conns + queues_round(QUEUES_CONNS * sizeof(struct conn));
	size_t size = queues_round(store + store_need(cells));
	struct stack *s = aligned_alloc(64, size);

	if (s == NULL)
		abort();
	memset(s, 0, store + 64);
	s->conns = conns;
	s->store = store;
	s->cfg.cells = cells;
	s->cfg.max_conns = QUEUES_CONNS;
	s->ready_first = s->ready_last = CONN_NONE;
	s->dirty_first = s->dirty_last = CONN_NONE;
	store_init((uint8_t *)s + store, cells);
	for (unsigned i = 0; i < QUEUES_CONNS; i++) {
		struct conn *c = conn_at(s, i);

		c->gen = 1;
		c->state = ST_ESTABLISHED;
		c->flags = CF_SACK | CF_HELD;
		c->rcvbuf = c->sndbuf = 65536;
		c->rcv_wscale = 10;
		recvq_init(&c->recvq);
		sendq_init(&c->sendq);
	}
	*ret_q = (struct queues){ s, conn_at(s, 0) };
}

static inline void queues_free(struct queues *q)
{
	free(q->s);
}

#define QUEUES_SEG_MAX 16384u

/*
 * A segment whose payload is the n bytes from place `at` of the stream, which has sequence number isn + at; the first `head` of them
 * lie in the packet's head (behind 20 bytes that are not theirs), the others in its body.
 */
struct queues_seg {
	struct seg g;
	struct packet p;
	struct view v;
	uint8_t head[20 + QUEUES_SEG_MAX], body[QUEUES_SEG_MAX];
};

static inline const struct seg *queues_seg(struct queues_seg *m, uint32_t isn, uint32_t at,
					   uint32_t n, uint32_t head)
{
	if (head > n)
		head = n;
	for (uint32_t i = 0; i < n; i++)
		*(i < head ? m->head + 20 + i : m->body + i - head) = queues_byte(at + i);
	m->p = (struct packet){ m->head, m->body, 20 + head, n - head, { .csum = CSUM_COMPLETE } };
	m->v = (struct view){ .payload = 20, .payload_len = n };
	m->g = (struct seg){
		.p = &m->p, .v = &m->v, .seq = isn + at, .len = n, .data_len = n, .flags = TCP_ACK
	};
	return &m->g;
}
#endif
