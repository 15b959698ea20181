/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LINES_H
#define SUT_APP_LINES_H
/*
 * lines - lines of text that wait to be read as the packets of a port of messages.
 *
 * Owns:     their bytes, in a ring.
 * Does not: know what they say.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/packet.h"

#define LINES_MAX 1024u
#define LINE_BYTES 1088u

struct lines;

/* NULL: out of memory. */
struct lines *lines_open(void);
void lines_close(struct lines *l);

/* How many more find room. */
unsigned lines_room(const struct lines *l);
bool lines_are_empty(const struct lines *l);

/* Adds one; false, and nothing is added, where it is too long or there is no room. */
bool lines_add(struct lines *l, const char *fmt, ...) SUT_PRINTF(2, 3);
/* The same of "FIRST TEXT", or of len bytes of text alone where first is NULL. */
bool lines_put(struct lines *l, const char *first, const char *text, size_t len);

/* Takes up to max of them, in order: how many.  They stay as they are until the next call. */
unsigned lines_take(struct lines *l, struct packet **ret_pkts, unsigned max);
#endif
