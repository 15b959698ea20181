/* SPDX-License-Identifier: MIT */
#include "port/if_long.h"

#include <errno.h>
#include <string.h>

#include <sys/mman.h>

#define TAIL (BIGTCP_FRAME_MAX - PACKET_MAX)
/* A frame of the pool, of n bytes, with its headroom; the next one is aligned again. */
#define POOL_NEED(n) (((size_t)(n) + PACKET_HEADROOM + 63u) & ~(size_t)63u)
/* The most that a frame of a burst can need: all of its bytes, and headers for each piece. */
#define POOL_EACH \
	(BIGTCP_FRAME_MAX + (size_t)BIGTCP_PIECES_MAX * POOL_NEED(BIGTCP_HEADERS_MAX + 63u))
#define POOL_AT ((size_t)PORT_BURST * TAIL)
#define MAPPED (POOL_AT + PORT_BURST * POOL_EACH)

int if_long_open(struct if_long *l)
{
	void *mem = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	l->mem = mem;
	if_long_reset(l);
	return 0;
}

void if_long_close(struct if_long *l)
{
	if (l->mem)
		munmap(l->mem, MAPPED);
	l->mem = NULL;
}

struct iovec if_long_tail(const struct if_long *l, unsigned i)
{
	return (struct iovec){ l->mem + (size_t)i * TAIL, TAIL };
}

/* Room in the pool for a frame of n bytes; there is enough by the measure of MAPPED. */
static uint8_t *pool_take(struct if_long *l, uint32_t n)
{
	uint8_t *at = l->mem + POOL_AT + l->used + PACKET_HEADROOM;

	l->used += POOL_NEED(n);
	return at;
}

static unsigned put_pieces(struct if_long *l, const struct packet *p, const struct bigtcp *b)
{
	for (uint32_t i = 0; i < b->count; i++, l->n++) {
		bigtcp_piece(p, b, i, pool_take(l, bigtcp_piece_len(b, i)), &l->own[l->n]);
		l->queue[l->n] = &l->own[l->n];
	}
	return b->count;
}

unsigned if_long_put(struct if_long *l, struct packet *p)
{
	struct bigtcp b;

	if (bigtcp_long(p) && bigtcp_plan(p, &b))
		return put_pieces(l, p, &b);
	if (p->body_len)
		return 0;
	l->queue[l->n++] = p;
	return 1;
}

/* The packet in place i of the queue moves from the arena, which others use too, to the pool. */
static void keep(struct if_long *l, unsigned i)
{
	const struct packet *p = l->queue[i];
	uint8_t *at;

	if (p == &l->own[i])
		return;
	at = pool_take(l, p->head_len);
	memcpy(at, p->head, p->head_len);
	l->own[i] = *p;
	l->own[i].head = at;
	l->queue[i] = &l->own[i];
}

unsigned if_long_take(struct if_long *l, struct packet **ret_pkts, unsigned max)
{
	unsigned n = l->n - l->next < max ? l->n - l->next : max;

	for (unsigned i = 0; i < n; i++)
		ret_pkts[i] = l->queue[l->next++];
	for (unsigned i = l->next; i < l->n; i++)
		keep(l, i);
	return n;
}
