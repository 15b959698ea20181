/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_STORE_H
#define SUT_CORE_STORE_H
/*
 * store - held bytes in a pool of 2 KB cells, with a quota for each user and in all.
 *
 * Owns:     the cells.  A queue of held segments is a chain of cells, each with up to
 *           STORE_CELL_BYTES of payload and the header facts needed to send it again.  Cells hold
 *           near numbers.
 * Does not: judge: hold_insert keeps the *first* copy of every byte, in seq order, and drops
 *           duplicates.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/reason.h"
#include "base/seq.h"
#include "proto/view.h"

#define STORE_NONE UINT32_MAX
#define STORE_CELL 2048u

struct cell {
	uint32_t next; /* index, STORE_NONE at the end */
	sut_seq seq;
	uint16_t len; /* payload bytes */
	/* TCP_PSH, TCP_FIN; a FIN stands behind the len bytes, and len may be 0 then */
	uint8_t flags;
	uint8_t has_ts;
	uint32_t tsval; /* of the first copy */
	uint8_t bytes[STORE_CELL - 16];
};

#define STORE_CELL_BYTES (STORE_CELL - 16u)
_Static_assert(sizeof(struct cell) == STORE_CELL, "cells tile the pool");

struct store;

/* Bytes for a pool of this many cells. */
size_t store_need(uint32_t cells);

/* Lays the pool out in block (store_need() bytes, aligned to 64).  Touches no cell before it is used. */
struct store *store_init(void *block, uint32_t cells);

uint32_t store_free_cells(const struct store *s);

/* A cell out of the pool, its contents whatever they are; STORE_NONE: all are in use.  For users with chains of their own. */
uint32_t store_take(struct store *s);

/* Gives a cell that store_take() gave back. */
void store_give(struct store *s, uint32_t i);

/* The cell with this index, which must be in use. */
struct cell *store_cell(struct store *s, uint32_t i);
const struct cell *store_cell_const(const struct store *s, uint32_t i);

/* A chain of held payload, in seq order, without overlaps (gaps may be). */
struct hold {
	uint32_t first, last; /* cells; STORE_NONE if empty */
	uint32_t bytes;
	uint16_t cells;
};

void hold_init(struct hold *h);

/*
 * Copies what is new of the payload of v into cells of at most `piece` bytes (1 to
 * STORE_CELL_BYTES).  seq is the near number of the payload's first byte (a SYN's seq + 1); tsval
 * is the segment's timestamp, has_ts whether there is one. max_cells is the flow's quota.  PSH
 * goes to the last new piece; so does FIN if that piece ends the segment, else a new FIN gets a
 * cell of its own with len 0.  Returns R_NONE; R_DUP_HELD if nothing was new; R_QUOTA, R_STORE_FULL:
 * nothing was kept.
 */
enum reason hold_insert(struct store *s, struct hold *h, const struct packet *p,
			const struct view *v, sut_seq seq, bool has_ts, uint32_t tsval,
			uint32_t piece, uint16_t max_cells);

/* Drops the cells that lie wholly before una, their FIN included. */
void hold_drop_before(struct store *s, struct hold *h, sut_seq una);

/* Gives all cells back. */
void hold_clear(struct store *s, struct hold *h);
#endif
