/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_QUEUE_H
#define SUT_SIM_QUEUE_H
/*
 * queue - frames on the simulated links, by the time at which they arrive, then by place (the link), then in order of sending.
 */
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"

struct frame {
	uint32_t len;
	uint8_t room[PACKET_HEADROOM];
	uint8_t bytes[];
};

struct arrival {
	sut_time at;
	uint64_t serial;
	unsigned place;
	struct frame *frame;
};

struct queue {
	struct arrival *heap;
	uint32_t n, max;
	uint64_t serial;
};

/* Puts a copy of the first len bytes of a frame on its way. */
void queue_put(struct queue *q, sut_time at, unsigned place, const uint8_t *bytes, uint32_t len);

/* The next arrival, or NULL. */
const struct arrival *queue_next(const struct queue *q);

/* Takes it off; its frame is then the caller's to free. */
struct arrival queue_take(struct queue *q);

/* Frees everything. */
void queue_clear(struct queue *q);
#endif
