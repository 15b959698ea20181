/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_HELD_H
#define SUT_ROLE_REPLICA_HELD_H
/*
 * held - whole frames that wait until the numbers of their flow are known, in a pool of 2 KB
 * cells.
 *
 * Owns:     the cells, and which are free.  A frame lies in one run of neighbouring cells, with
 *           PACKET_HEADROOM in front, so that a held one goes out from where it lies.
 * Does not: look into frames, or know what they wait for.
 *
 * A frame that was taken out stays valid until held_sweep(): the outbox still points at it.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/reason.h"

#define HELD_NONE UINT32_MAX
#define HELD_CELL 2048u
#define HELD_CELLS_MAX (1u << 20)
#define HELD_FLOW_CELLS 80u /* a flow's share: two super-packets of 64 KB, or 80 frames */
#define HELD_NOTE 32u /* bytes beside each frame that are the user's own */

struct held;

/* The frames of one flow in order of arrival. */
struct held_queue {
	uint32_t first, last; /* cells; HELD_NONE where empty */
	uint32_t cells;
};

/* Bytes for a pool of this many cells (1 to HELD_CELLS_MAX). */
size_t held_need(uint32_t cells);

/* Lays the pool out in block (held_need() bytes, zeroed, aligned to 64). */
struct held *held_init(void *block, uint32_t cells);

void held_queue_init(struct held_queue *q);

/*
 * Copies p, which came in at port, behind the others of q.  R_NONE; R_QUOTA: the flow's share
 * is used up; R_STORE_FULL: no run of cells is free.
 */
enum reason held_put(struct held *h, struct held_queue *q, unsigned port, const struct packet *p);

/*
 * Walks a queue: at is q->first, then what the last call returned, until HELD_NONE.  The packet
 * describes the held bytes; they may be changed.
 */
uint32_t held_look(struct held *h, uint32_t at, unsigned *ret_port, struct packet *ret_p);

/*
 * Takes the first frame of q out (there must be one): *ret_p as held_look() gives it, valid
 * until held_sweep().
 */
void held_take(struct held *h, struct held_queue *q, unsigned *ret_port, struct packet *ret_p);

/* Drops the first frame of q (there must be one): its cells are free at once. */
void held_drop(struct held *h, struct held_queue *q);

/* Drops those frames of q that came in at one of ports (a bit each).  Returns how many there were. */
unsigned held_drop_ports(struct held *h, struct held_queue *q, uint32_t ports);

/* Drops all frames of q.  Returns how many there were. */
unsigned held_clear(struct held *h, struct held_queue *q);

/*
 * For queues that are no plain ones: a frame is stored in no queue (R_NONE or R_STORE_FULL; no share
 * limits it), linked in behind the frame prev (HELD_NONE: as the first), unlinked from behind prev
 * (there must be one), and in no queue again given out as by held_take(), or dropped.
 */
enum reason held_store(struct held *h, unsigned port, const struct packet *p, uint32_t *ret_at);
void held_link(struct held *h, struct held_queue *q, uint32_t prev, uint32_t at);
uint32_t held_unlink(struct held *h, struct held_queue *q, uint32_t prev);
void held_give(struct held *h, uint32_t at, struct packet *ret_p);
void held_forget(struct held *h, uint32_t at);

/* HELD_NOTE bytes, aligned to 8, that lie with the frame at `at`: zeroed when it is held. */
void *held_note(struct held *h, uint32_t at);

/* The frame behind that at `at` in its queue; HELD_NONE if it is the last. */
uint32_t held_next(struct held *h, uint32_t at);

/* Gives the cells of taken frames back: the outbox was flushed. */
void held_sweep(struct held *h);

/* Cells that p takes. */
uint32_t held_cells(const struct packet *p);

/* Cells that are free. */
uint32_t held_free(const struct held *h);
#endif
