/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_MEM_H
#define SUT_PORT_MEM_H
/*
 * mem - a port of two rings in memory, for tests: what the test pushes comes in, what goes out the test takes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"

struct arena;
struct port;

#define MEM_FRAMES 1024u /* each ring holds that many */

/* A new port; NULL if out of memory.  Its descriptor is ready while frames wait, and after mem_end(). */
struct port *mem_open(const char *name, struct arena *a);

/* Puts a copy of p's bytes and offload state where recv finds it: false if the ring is full. */
bool mem_push(struct port *port, const struct packet *p);

/* After the frames that wait recv says -ENODATA. */
void mem_end(struct port *port);

/*
 * Takes the oldest frame that was sent: ret_p's head points to bytes that the caller frees with free().  False if there is none.
 */
bool mem_pop(struct port *port, struct packet *ret_p);

/* How many frames the port takes before it is full; MEM_FRAMES at first. */
void mem_set_room(struct port *port, uint32_t frames);

/*
 * Makes the port one whose peer is slow: more than limit frames that were sent and not taken yet make it congested, and each recv takes
 * pace of them (0: none).  mem_pop finds them all the same.  limit 0: never congested, as at first.
 */
void mem_set_limit(struct port *port, uint32_t limit, uint32_t pace);
#endif
